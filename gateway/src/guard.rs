//! When a platform's orders are cancelled without its asking: some time after its session ended, or when
//! its dead-man switch was not set again.
//!
//! Time is an argument. What is due becomes a journaled mass cancellation; [`crate::quic`] keeps the
//! clock. Both live in memory: a restart of the exchange forgets them.

use std::{collections::BTreeMap, time::Duration};

use types::{ClientOrderId, Command, MassCancel, Origin, PlatformId, Scope, SessionId};

/// Time since the gateway began to listen.
pub type Now = Duration;

/// What is known of a platform at the shard.
#[derive(Debug, Clone, Copy, Default)]
struct Guarded {
    /// Its newest session.
    session: Option<SessionId>,
    /// When its orders are cancelled because that ended.
    ended: Option<Now>,
    /// When they are cancelled because the switch was not set again.
    dead_man: Option<Now>,
}

/// Every platform with something to watch at one shard.
#[derive(Debug, Default)]
pub struct Guard {
    platforms: BTreeMap<PlatformId, Guarded>,
}

impl Guard {
    /// A session opened: it takes over what an earlier one left.
    pub fn opened(&mut self, origin: Origin) {
        let guarded = self.platforms.entry(origin.platform).or_default();
        guarded.session = Some(origin.session);
        guarded.ended = None;
    }

    /// A session ended that asked for its orders to be cancelled `after` so long; zero for never.
    /// One that was taken over leaves everything to its successor.
    /// Rule T-40.
    pub fn ended(&mut self, now: Now, origin: Origin, after: Duration) {
        let Some(guarded) = self.platforms.get_mut(&origin.platform) else { return };
        if guarded.session == Some(origin.session) {
            guarded.session = None;
            guarded.ended = (!after.is_zero()).then(|| now.saturating_add(after));
            self.forget(origin.platform);
        }
    }

    /// A session sets the dead-man switch; zero takes it away. It stays when the session ends. What
    /// a session says that was taken over does not count.
    pub fn set_dead_man(&mut self, now: Now, origin: Origin, after: Duration) {
        let Some(guarded) = self.platforms.get_mut(&origin.platform) else { return };
        if guarded.session == Some(origin.session) {
            guarded.dead_man = (!after.is_zero()).then(|| now.saturating_add(after));
        }
    }

    /// The next instant at which something is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Now> {
        self.platforms
            .values()
            .flat_map(|guarded| [guarded.ended, guarded.dead_man])
            .flatten()
            .min()
    }

    /// Hands over what is due, each once. What `push` cannot take stays due.
    pub fn due(&mut self, now: Now, mut push: impl FnMut(PlatformId, Why) -> bool) {
        for (&platform, guarded) in &mut self.platforms {
            for (deadline, why) in
                [(&mut guarded.ended, Why::Disconnected), (&mut guarded.dead_man, Why::DeadMan)]
            {
                if deadline.is_some_and(|deadline| deadline <= now) && push(platform, why) {
                    *deadline = None;
                }
            }
        }
        self.platforms.retain(|_, guarded| guarded.is_needed());
    }

    /// Not everything was cancelled: it is due again at once.
    pub fn again(&mut self, platform: PlatformId) {
        self.platforms.entry(platform).or_default().ended = Some(Now::ZERO);
    }

    fn forget(&mut self, platform: PlatformId) {
        if self.platforms.get(&platform).is_some_and(|guarded| !guarded.is_needed()) {
            self.platforms.remove(&platform);
        }
    }
}

impl Guarded {
    const fn is_needed(&self) -> bool {
        self.session.is_some() || self.ended.is_some() || self.dead_man.is_some()
    }
}

/// Why a platform's orders are cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its session ended and no other came in time.
    Disconnected,
    /// Its dead-man switch was not set again in time.
    DeadMan,
}

/// Cancels everything of a platform at a shard, as the operator would.
#[must_use]
pub const fn cancel_all(platform: PlatformId) -> Command {
    Command::MassCancel(MassCancel {
        origin: None,
        client_order: ClientOrderId::new(0),
        scope: Scope::Platform(platform),
        slot: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    const fn origin(session: u32) -> Origin {
        Origin { platform: PlatformId::new(7), session: SessionId::new(session) }
    }

    const fn at(seconds: u64) -> Now {
        Duration::from_secs(seconds)
    }

    fn due(guard: &mut Guard, now: Now) -> Vec<Why> {
        let mut due = Vec::new();
        guard.due(now, |platform, why| {
            assert_eq!(platform, origin(1).platform);
            due.push(why);
            true
        });
        due
    }

    #[test]
    fn t40_orders_go_when_the_grace_has_passed_and_stay_when_a_session_comes_before() {
        let mut guard = Guard::default();
        guard.opened(origin(1));
        assert_eq!(guard.next_deadline(), None, "while it is open");
        guard.ended(at(10), origin(1), GRACE);
        assert_eq!(guard.next_deadline(), Some(at(15)));
        assert_eq!(due(&mut guard, at(15).saturating_sub(Duration::from_nanos(1))), []);
        guard.opened(origin(2));
        assert_eq!((guard.next_deadline(), due(&mut guard, at(100))), (None, vec![]));
        guard.ended(at(100), origin(2), GRACE);
        assert_eq!(due(&mut guard, at(105)), [Why::Disconnected]);
        assert_eq!(due(&mut guard, at(200)), [], "once");
        assert!(guard.platforms.is_empty(), "nothing is kept");
    }

    #[test]
    fn a_session_that_was_taken_over_cancels_nothing() {
        let mut guard = Guard::default();
        guard.opened(origin(1));
        guard.opened(origin(2));
        guard.ended(at(1), origin(1), GRACE);
        guard.set_dead_man(at(1), origin(1), GRACE);
        assert_eq!(guard.next_deadline(), None);
        guard.ended(at(2), origin(2), Duration::ZERO);
        assert_eq!(guard.next_deadline(), None, "it did not ask for it");
        assert!(guard.platforms.is_empty());
    }

    #[test]
    fn the_dead_man_switch_fires_in_a_living_session_and_after_it() {
        let mut guard = Guard::default();
        guard.opened(origin(1));
        guard.set_dead_man(at(0), origin(1), GRACE);
        guard.set_dead_man(at(4), origin(1), GRACE);
        assert_eq!(due(&mut guard, at(8)), [], "set again in time");
        assert_eq!(due(&mut guard, at(9)), [Why::DeadMan]);
        assert_eq!(guard.next_deadline(), None, "until it is set again");
        guard.set_dead_man(at(20), origin(1), GRACE);
        guard.set_dead_man(at(21), origin(1), Duration::ZERO);
        assert_eq!(guard.next_deadline(), None, "taken away");
        guard.set_dead_man(at(30), origin(1), GRACE);
        guard.ended(at(31), origin(1), Duration::ZERO);
        assert_eq!(guard.next_deadline(), Some(at(35)), "it outlives the session");
        guard.opened(origin(2));
        assert_eq!(due(&mut guard, at(35)), [Why::DeadMan], "and the next one has it");
    }

    #[test]
    fn what_finds_no_room_stays_due() {
        let mut guard = Guard::default();
        guard.opened(origin(1));
        guard.ended(at(0), origin(1), GRACE);
        guard.due(at(5), |_, _| false);
        assert_eq!(guard.next_deadline(), Some(at(5)));
        assert_eq!(due(&mut guard, at(6)), [Why::Disconnected]);
        guard.again(origin(1).platform);
        assert_eq!(due(&mut guard, at(7)), [Why::Disconnected], "until nothing is left");
    }
}
