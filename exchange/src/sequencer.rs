//! Stop 6 of an order's life: a command gets its place in the one order of everything.

use types::{Command, Seq, Sequenced, Timestamp};

/// Gives out positions without gaps and times that strictly rise.
#[derive(Debug)]
pub struct Sequencer {
    last_seq: Seq,
    last_time: Timestamp,
}

impl Sequencer {
    /// Goes on after what the journal holds.
    #[must_use]
    pub const fn after(last_seq: Seq, last_time: Timestamp) -> Self {
        Self { last_seq, last_time }
    }

    /// The last stamp's time.
    #[must_use]
    pub const fn last_time(&self) -> Timestamp {
        self.last_time
    }

    /// Stamps a command. A clock that stands still or jumps back cannot make time fall: the stamp
    /// is then one nanosecond after the last.
    #[must_use]
    pub fn stamp(&mut self, now: Timestamp, command: Command) -> Sequenced<Command> {
        self.last_seq = self.last_seq.next();
        self.last_time = now.max(self.last_time.plus_ns(1));
        Sequenced { seq: self.last_seq, time: self.last_time, value: command }
    }
}

#[cfg(test)]
mod tests {
    use types::{DeliverySlot, MarketId, SlotKey};

    use super::*;

    #[test]
    fn time_rises_even_when_the_clock_falls() {
        let slot = DeliverySlot::new(0, 15).unwrap();
        let command = Command::OpenSlot(SlotKey { market: MarketId::new(1), slot });
        let mut sequencer = Sequencer::after(Seq::new(7), Timestamp::from_ns(100));
        let stamps: Vec<_> = [100, 50, 200, 200]
            .map(|now| sequencer.stamp(Timestamp::from_ns(now), command))
            .iter()
            .map(|sequenced| (sequenced.seq.get(), sequenced.time.ns()))
            .collect();
        assert_eq!(stamps, [(8, 101), (9, 102), (10, 200), (11, 201)]);
    }
}
