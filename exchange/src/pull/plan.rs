//! What is decided about pulling, from times and numbers alone.

use std::time::Duration;

use types::Timestamp;

/// 60 seconds.
const MINUTE_NS: i64 = 60_000_000_000;
/// A rest is doubled so often at most: 15 minutes become four hours.
const DOUBLED_MAX: u32 = 4;

/// How, and how patiently, parties are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullOptions {
    /// A round begins so long after the end of each slot, in minutes, besides one before each cycle.
    pub after_slot_minutes: u32,
    /// Parties asked at once.
    pub parallel: usize,
    /// Most readings in one request.
    pub page_readings: usize,
    /// From the first byte to the last of one request and its answer.
    pub request_max: Duration,
    /// All requests of a round.
    pub round_max: Duration,
    /// Attempts after the first.
    pub retries: u32,
    /// Pause before the second attempt; each further one is twice as long.
    pub retry_pause: Duration,
    /// After so many failed rounds in a row a party is left alone.
    pub rest_after: u32,
    /// For how many minutes at first; each further failure doubles it, four times at most.
    pub rest_minutes: u32,
    /// Largest answer.
    pub answer_bytes_max: usize,
}

/// What is remembered of a party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Rounds in a row that failed.
    pub failures: u32,
    /// It is not asked before.
    pub rests_until: Timestamp,
}

impl Standing {
    /// Of a party that was never asked.
    pub const NEW: Self = Self { failures: 0, rests_until: Timestamp::from_ns(i64::MIN) };

    /// Whether it may be asked now.
    #[must_use]
    pub fn may_be_asked(self, now: Timestamp) -> bool {
        now >= self.rests_until
    }

    /// Attempts in the next round. A party that comes back from its rest has one.
    #[must_use]
    pub const fn attempts(self, options: &PullOptions) -> u32 {
        if self.failures >= options.rest_after { 1 } else { options.retries.saturating_add(1) }
    }

    /// After a round in which something was answered that counts.
    #[must_use]
    pub const fn succeeded(self) -> Self {
        Self::NEW
    }

    /// After a round that failed.
    #[must_use]
    pub fn failed(self, now: Timestamp, options: &PullOptions) -> Self {
        let failures = self.failures.saturating_add(1);
        let Some(beyond) = failures.checked_sub(options.rest_after) else {
            return Self { failures, rests_until: self.rests_until };
        };
        let minutes = i64::from(options.rest_minutes) << beyond.min(DOUBLED_MAX);
        Self { failures, rests_until: now.plus_ns(minutes.saturating_mul(MINUTE_NS)) }
    }
}

/// The pause before an attempt, 2 for the first repetition: doubled from one to the next, and of that
/// between a half and the whole, as `chance` has it.
#[must_use]
pub fn pause(options: &PullOptions, attempt: u32, chance: u64) -> Duration {
    let doubled = 1_u32.checked_shl(attempt.saturating_sub(2)).unwrap_or(u32::MAX);
    let whole = options.retry_pause.saturating_mul(doubled).min(options.round_max);
    let micros = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX);
    let half = micros.div_euclid(2);
    let more = chance.checked_rem(half.saturating_add(1)).unwrap_or(0);
    Duration::from_micros(half.saturating_add(more))
}

/// Whether a slot of any of these durations may have ended so long ago, after one instant and up to
/// another: rounds follow it. Slots begin on multiples of their duration, or of 30 minutes if they
/// are longer; a round with nothing to ask for costs nothing.
#[must_use]
pub fn is_due(
    options: &PullOptions,
    slot_minutes: &[u16],
    after: Timestamp,
    until: Timestamp,
) -> bool {
    let lead_ns = i64::from(options.after_slot_minutes).saturating_mul(MINUTE_NS);
    let minute = |at: Timestamp| at.plus_ns(lead_ns.saturating_neg()).ns().div_euclid(MINUTE_NS);
    slot_minutes.iter().any(|&minutes| {
        let every = i64::from(minutes.clamp(1, 30));
        minute(until).div_euclid(every) > minute(after).div_euclid(every)
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const OPTIONS: PullOptions = PullOptions {
        after_slot_minutes: 5,
        parallel: 8,
        page_readings: 1_000,
        request_max: Duration::from_secs(10),
        round_max: Duration::from_secs(60),
        retries: 2,
        retry_pause: Duration::from_millis(500),
        rest_after: 3,
        rest_minutes: 15,
        answer_bytes_max: 16 << 20,
    };

    const fn minute(minute: i64) -> Timestamp {
        Timestamp::from_ns(minute * MINUTE_NS)
    }

    #[test]
    fn a_party_that_fails_rests_longer_each_time_and_is_then_tried_once() {
        let mut standing = Standing::NEW;
        let mut told = Vec::new();
        for round in 0..8 {
            let now = minute(round * 1_000);
            assert!(standing.may_be_asked(now));
            let attempts = standing.attempts(&OPTIONS);
            standing = standing.failed(now, &OPTIONS);
            let rest = (standing.rests_until.ns().max(now.ns()) - now.ns()) / MINUTE_NS;
            told.push((attempts, rest));
        }
        let expected = [(3, 0), (3, 0), (3, 15), (1, 30), (1, 60), (1, 120), (1, 240), (1, 240)];
        assert_eq!(told, expected);
        let until = standing.rests_until;
        assert!(!standing.may_be_asked(until.plus_ns(-1)));
        assert!(standing.may_be_asked(until), "the rest's last instant is over");
        assert_eq!(standing.succeeded(), Standing::NEW);
        assert_eq!(standing.succeeded().attempts(&OPTIONS), 3);
    }

    #[test]
    fn pauses_double_and_lie_between_a_half_and_the_whole() {
        for (attempt, whole_ms) in [(2, 500), (3, 1_000), (4, 2_000), (9, 60_000), (200, 60_000)] {
            let whole = Duration::from_millis(whole_ms);
            assert_eq!(pause(&OPTIONS, attempt, 0), whole / 2);
            let micros = u64::try_from(whole.as_micros()).unwrap();
            assert_eq!(pause(&OPTIONS, attempt, micros / 2), whole, "the longest");
            for chance in [1, 77, 1 << 40, u64::MAX] {
                let pause = pause(&OPTIONS, attempt, chance);
                assert!(pause >= whole / 2 && pause <= whole, "{attempt} {chance}: {pause:?}");
            }
        }
    }

    #[test]
    fn rounds_follow_the_ends_of_slots() {
        // Slots of 15 minutes: rounds 5 minutes after each quarter.
        let due =
            |slots: &[u16], from: i64, to: i64| is_due(&OPTIONS, slots, minute(from), minute(to));
        let minutes: Vec<i64> = (1..=60).filter(|&at| due(&[15], at - 1, at)).collect();
        assert_eq!(minutes, [5, 20, 35, 50]);
        let hours: Vec<i64> = (1..=60).filter(|&at| due(&[60], at - 1, at)).collect();
        assert_eq!(hours, [5, 35], "hours of some zones end at half past");
        let both: Vec<i64> = (1..=30).filter(|&at| due(&[5, 15], at - 1, at)).collect();
        assert_eq!(both, [5, 10, 15, 20, 25, 30]);
        assert!(due(&[15], 6, 600), "nobody looked for a long time");
        assert!(!due(&[15], 5, 5), "each instant counts once");
        assert!(!due(&[], 0, 600));
    }
}
