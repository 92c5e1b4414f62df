//! Stop 4 of an order's life: the bounded lock-free ring between the edge and the core loop.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering, fence},
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

#[derive(Debug)]
struct Shared {
    ring: ArrayQueue<Command>,
    /// The consumer is about to park or parked: a producer must wake it.
    asleep: AtomicBool,
}

impl Ingress {
    /// A ring of `commands_max` places.
    #[must_use]
    pub fn new(commands_max: u32) -> (Self, IngressReceiver) {
        let places = usize::try_from(commands_max.max(1)).unwrap_or(1);
        let shared =
            Arc::new(Shared { ring: ArrayQueue::new(places), asleep: AtomicBool::new(false) });
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
        self.shared.ring.push(command)?;
        self.wake_sleeper();
        Ok(())
    }

    /// Whether what makes orders has to wait: the last eighth of the ring is kept for what takes
    /// orders away and for the operator, who get in when everything else is refused.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        let places = self.shared.ring.capacity();
        self.shared.ring.len() >= places.saturating_sub(places.div_euclid(8))
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
    /// Moves up to `max` waiting commands to the end of `batch`.
    pub fn drain_into(&mut self, batch: &mut Vec<Command>, max: usize) {
        while batch.len() < max {
            let Some(command) = self.shared.ring.pop() else { return };
            batch.push(command);
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
