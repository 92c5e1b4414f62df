//! Stop 4 of an order's life: the bounded lock-free ring between the edge and the core loop.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering, fence},
    },
    time::Duration,
};

use crossbeam::{
    queue::ArrayQueue,
    sync::{Parker, Unparker},
};
use types::Command;

/// The producers' end: any number of clones push.
#[derive(Debug, Clone)]
pub struct Ingress {
    shared: Arc<Shared>,
    unparker: Unparker,
}

/// The consumer's end: one core loop drains.
#[derive(Debug)]
pub struct IngressReceiver {
    shared: Arc<Shared>,
    parker: Parker,
}

/// What waits in one place of the ring.
#[derive(Debug)]
enum Waiting {
    One(Command),
    /// The commands of a signed frame: they come and go together.
    Frame(Vec<Command>),
}

#[derive(Debug)]
struct Shared {
    ring: ArrayQueue<Waiting>,
    /// How many more commands may wait. Taken before a push, given back after a drain.
    room: AtomicUsize,
    /// The consumer is about to park or parked: a producer must wake it.
    asleep: AtomicBool,
}

impl Ingress {
    /// A ring of `commands_max` places.
    #[must_use]
    pub fn new(commands_max: u32) -> (Self, IngressReceiver) {
        let places = usize::try_from(commands_max.max(1)).unwrap_or(1);
        let shared = Arc::new(Shared {
            ring: ArrayQueue::new(places),
            room: AtomicUsize::new(places),
            asleep: AtomicBool::new(false),
        });
        let parker = Parker::new();
        let unparker = parker.unparker().clone();
        (Self { shared: Arc::clone(&shared), unparker }, IngressReceiver { shared, parker })
    }

    /// Puts a command in; gives it back when the ring is full, which the sender must be told.
    ///
    /// # Errors
    /// The command, when there is no place.
    #[expect(clippy::result_large_err, reason = "the command goes back whole, nothing is boxed")]
    pub fn push(&self, command: Command) -> Result<(), Command> {
        if !self.take_room(1) {
            return Err(command);
        }
        self.put(Waiting::One(command));
        Ok(())
    }

    /// Puts the commands of a signed frame in, all of them and together; gives them back when there is
    /// no room for all.
    ///
    /// # Errors
    /// The commands, when they do not fit.
    pub fn push_frame(&self, commands: Vec<Command>) -> Result<(), Vec<Command>> {
        if !self.take_room(commands.len()) {
            return Err(commands);
        }
        self.put(Waiting::Frame(commands));
        Ok(())
    }

    /// Takes room for so many commands, if there is that much.
    fn take_room(&self, commands: usize) -> bool {
        let take = |room: usize| room.checked_sub(commands);
        // Acquire pairs with the release in `drain_into`: who sees the room finds the places empty.
        self.shared.room.fetch_update(Ordering::Acquire, Ordering::Relaxed, take).is_ok()
    }

    fn put(&self, waiting: Waiting) {
        // Room for a command is a place at least, and was taken.
        let full = self.shared.ring.push(waiting).is_err();
        assert!(!full, "the ring has a place for every command that has room");
        self.wake_sleeper();
    }

    /// Whether so many commands that make orders have to wait: the last eighth of the ring is kept for what takes
    /// orders away and for the operator, who get in when everything else is refused.
    #[must_use]
    pub fn is_crowded(&self, commands: usize) -> bool {
        let kept = self.shared.ring.capacity().div_euclid(8);
        // A moment sooner or later makes no difference: the room itself is taken with the push.
        self.shared.room.load(Ordering::Relaxed) < commands.saturating_add(kept)
    }

    /// Commands that wait, as of a moment ago.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let room = self.shared.room.load(Ordering::Relaxed);
        self.shared.ring.capacity().saturating_sub(room)
    }

    /// Makes the core loop look at its clock: its next sleep ends at once.
    pub fn wake(&self) {
        self.unparker.unpark();
    }

    fn wake_sleeper(&self) {
        // Pairs with the fence in `IngressReceiver::wait`: either the consumer sees the command,
        // or this sees that it sleeps.
        fence(Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::Relaxed) {
            self.unparker.unpark();
        }
    }
}

impl IngressReceiver {
    /// Moves waiting commands to the end of `batch` until there are `max`. A signed frame stays whole,
    /// so that its evidence becomes durable with its orders: then there are up to 255 more.
    pub fn drain_into(&mut self, batch: &mut Vec<Command>, max: usize) {
        let before = batch.len();
        while batch.len() < max {
            match self.shared.ring.pop() {
                Some(Waiting::One(command)) => batch.push(command),
                Some(Waiting::Frame(commands)) => batch.extend_from_slice(&commands),
                None => break,
            }
        }
        let drained = batch.len().saturating_sub(before);
        if drained > 0 {
            self.shared.room.fetch_add(drained, Ordering::Release);
        }
    }

    /// Sleeps until a command waits, [`Ingress::wake`] is called or `longest` has passed.
    pub fn wait(&mut self, longest: Duration) {
        // Waking a sleeping thread costs 17–50 µs, so look a little longer first.
        for _ in 0..SPINS {
            if !self.shared.ring.is_empty() {
                return;
            }
            std::hint::spin_loop();
        }
        self.shared.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.shared.ring.is_empty() {
            self.parker.park_timeout(longest);
        }
        self.shared.asleep.store(false, Ordering::Relaxed);
    }
}

/// About 5 µs of looking before the core loop gives its processor away.
const SPINS: u32 = 200;

#[cfg(test)]
mod tests {
    use types::{Command, DeliverySlot, MarketId, SlotKey};

    use super::*;

    fn command(minute: u32) -> Command {
        let slot = DeliverySlot::new(minute, 15).unwrap();
        Command::OpenSlot(SlotKey { market: MarketId::new(1), slot })
    }

    #[test]
    fn a_full_ring_gives_the_command_back() {
        let (ingress, mut receiver) = Ingress::new(2);
        assert_eq!(ingress.push(command(0)), Ok(()));
        assert_eq!(ingress.push(command(15)), Ok(()));
        assert_eq!(ingress.push(command(30)), Err(command(30)));
        let mut batch = Vec::new();
        receiver.drain_into(&mut batch, 10);
        assert_eq!(batch, [command(0), command(15)]);
    }

    #[test]
    fn a_frame_finds_room_for_all_of_it_and_stays_whole() {
        let (ingress, mut receiver) = Ingress::new(4);
        assert_eq!(ingress.push(command(0)), Ok(()));
        assert_eq!(ingress.push(command(15)), Ok(()));
        let frame: Vec<_> = [30, 45, 60].map(command).to_vec();
        assert_eq!(ingress.push_frame(frame.clone()), Err(frame.clone()), "room for two");
        let mut batch = Vec::new();
        receiver.drain_into(&mut batch, 1);
        assert_eq!(ingress.push_frame(frame), Ok(()));
        assert_eq!(ingress.push(command(75)), Err(command(75)));
        receiver.drain_into(&mut batch, 3);
        assert_eq!(batch, [0, 15, 30, 45, 60].map(command));
        assert_eq!(ingress.push(command(75)), Ok(()), "its room is given back");
    }

    #[test]
    fn no_wake_up_is_lost() {
        let (ingress, mut receiver) = Ingress::new(1_024);
        let producer = std::thread::spawn(move || {
            for minute in 0..10_000 {
                while ingress.push(command(minute)).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        let mut batch = Vec::new();
        while batch.len() < 10_000 {
            receiver.wait(Duration::from_secs(60));
            receiver.drain_into(&mut batch, 10_000);
        }
        producer.join().unwrap();
        let expected: Vec<_> = (0..10_000).map(command).collect();
        assert_eq!(batch, expected);
    }
}
