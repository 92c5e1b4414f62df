//! When frames are due: stages of constant rate, one behind the other.

use std::time::Duration;

/// Some time at one rate.
#[derive(Debug, Clone, Copy)]
pub struct Stage {
    /// Over all sessions.
    pub orders_per_s: u64,
    /// How long.
    pub length: Duration,
}

/// When a session's frames are due.
#[derive(Debug, Clone)]
pub(super) struct Timetable {
    stages: Vec<Part>,
}

/// One session's part of a stage.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// The first frame.
    first: u64,
    /// When it is due.
    first_ns: u64,
    /// Nanoseconds from one frame to the next.
    interval_ns: u64,
}

impl Timetable {
    /// Of a session, by its number among all: they take turns.
    pub(super) fn new(stages: &[Stage], frame_orders: u64, number: u64, sessions: u64) -> Self {
        let (mut first, mut begins_ns) = (0, 0);
        let mut parts = Vec::with_capacity(stages.len());
        for stage in stages {
            let rate = stage.orders_per_s.max(1);
            let interval_ns = (frame_orders * sessions * 1_000_000_000 / rate).max(1);
            let offset_ns = interval_ns * number / sessions.max(1);
            let length_ns = u64::try_from(stage.length.as_nanos()).unwrap_or(u64::MAX);
            parts.push(Part { first, first_ns: begins_ns + offset_ns, interval_ns });
            first += length_ns.saturating_sub(offset_ns).div_ceil(interval_ns);
            begins_ns += length_ns;
        }
        Self { stages: parts }
    }

    /// When a frame is due, in nanoseconds from the beginning. What lies behind the last stage goes on
    /// at its rate.
    pub(super) fn due_ns(&self, frame: u64) -> u64 {
        let behind = self.stages.partition_point(|part| part.first <= frame);
        let part = behind.checked_sub(1).and_then(|index| self.stages.get(index));
        part.map_or(0, |part| part.first_ns + part.interval_ns * (frame - part.first))
    }

    /// How many of `frames` are due by now.
    pub(super) fn due_by(&self, now_ns: u64, frames: usize) -> usize {
        let begun = self.stages.partition_point(|part| part.first_ns <= now_ns);
        let due = begun.checked_sub(1).and_then(|index| self.stages.get(index)).map_or(0, |part| {
            let next = self.stages.get(begun).map_or(u64::MAX, |next| next.first);
            let passed = (now_ns - part.first_ns) / part.interval_ns + 1;
            part.first.saturating_add(passed).min(next)
        });
        usize::try_from(due).unwrap_or(usize::MAX).min(frames)
    }
}

/// Orders that a session has in all stages, in whole frames.
#[must_use]
pub fn orders_of_session(stages: &[Stage], sessions: u64) -> u64 {
    let orders = |stage: &Stage| {
        let ns = u128::from(stage.orders_per_s) * stage.length.as_nanos();
        u64::try_from(ns / 1_000_000_000).unwrap_or(u64::MAX)
    };
    stages.iter().map(orders).fold(0, u64::saturating_add).div_ceil(sessions.max(1))
}

/// In which stage an instant lies, and how far behind its beginning, in nanoseconds.
pub(super) fn stage_at(stages: &[Stage], at_ns: u64) -> (usize, u64) {
    let mut begins_ns = 0;
    for (index, stage) in stages.iter().enumerate() {
        let length_ns = u64::try_from(stage.length.as_nanos()).unwrap_or(u64::MAX);
        let is_last = index + 1 == stages.len();
        if is_last || at_ns < begins_ns + length_ns {
            return (index, at_ns.saturating_sub(begins_ns));
        }
        begins_ns += length_ns;
    }
    (0, at_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn stage(orders_per_s: u64, ms: u64) -> Stage {
        Stage { orders_per_s, length: Duration::from_millis(ms) }
    }

    #[test]
    fn sessions_take_turns_at_the_rate() {
        // 1,000 orders a second in frames of 10 over 2 sessions: each sends a frame every 20 ms.
        let stages = [stage(1_000, 100_000)];
        let [first, second] = [0, 1].map(|number| Timetable::new(&stages, 10, number, 2));
        assert_eq!([first.due_ns(0), first.due_ns(1)], [0, 20_000_000]);
        assert_eq!(second.due_ns(0), 10_000_000);
        assert_eq!([0, 20_000_000].map(|now| first.due_by(now, 100)), [1, 2]);
        assert_eq!([9_999_999, 10_000_000].map(|now| second.due_by(now, 100)), [0, 1]);
        assert_eq!(first.due_by(u64::MAX / 2, 100), 100);
    }

    #[test]
    fn the_rate_changes_with_the_stage() {
        // A frame each 10 ms for 50 ms, then each 2 ms for 10 ms, then each 10 ms again.
        let stages = [stage(1_000, 50), stage(5_000, 10), stage(1_000, 50)];
        let table = Timetable::new(&stages, 10, 0, 1);
        let due: Vec<_> = (0..12).map(|frame| table.due_ns(frame) / 1_000_000).collect();
        assert_eq!(due, [0, 10, 20, 30, 40, 50, 52, 54, 56, 58, 60, 70]);
        for (frame, &ms) in due.iter().enumerate() {
            assert_eq!(table.due_by(ms * 1_000_000, 100), frame + 1);
            assert_eq!(table.due_by(ms * 1_000_000 + 999_999, 100), frame + 1);
        }
        assert_eq!(orders_of_session(&stages, 1), 150);
        let at = |ms: u64| stage_at(&stages, ms * 1_000_000);
        assert_eq!([at(0), at(50), at(65)], [(0, 0), (1, 0), (2, 5_000_000)]);
        assert_eq!(at(500), (2, 440_000_000), "what comes late is of the last");
    }
}
