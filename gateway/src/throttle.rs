//! How much a session may send: two steps, refuse and then log out.
//!
//! Time is an argument. Each limit is one number, the instant at which its bucket is empty again, so
//! the arithmetic is exact for rates whose interval is a whole number of nanoseconds; others are
//! rounded to the next longer interval.

use std::sync::atomic::{AtomicU64, Ordering};

use wire::{frame::FRAME_MESSAGES_MAX, outbound::SessionLimits};

/// Nanoseconds of a second.
const SECOND_NS: u64 = 1_000_000_000;

/// An average rate and how much may come at once. A rate of 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Per second, on average.
    pub per_s: u32,
    /// At once; at least 1.
    pub burst: u32,
}

/// What every session may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Orders, validated ones included, replacements and activations.
    pub orders: Rate,
    /// Everything else that asks for an answer.
    pub cancels: Rate,
    /// Requests without an answer; at least 1.
    pub open_requests: u32,
}

/// Two million orders and four million other requests in a second, which is more than a shard
/// takes; a quarter of a million open requests: 4 MiB of the ring.
impl Default for Limits {
    fn default() -> Self {
        Self {
            orders: Rate { per_s: 2_000_000, burst: 2_000_000 },
            cancels: Rate { per_s: 4_000_000, burst: 4_000_000 },
            open_requests: 262_144,
        }
    }
}

impl Limits {
    /// As they are told to a session.
    #[must_use]
    pub const fn told(&self) -> SessionLimits {
        SessionLimits {
            orders_per_s: self.orders.per_s,
            orders_burst: self.orders.burst,
            cancels_per_s: self.cancels.per_s,
            cancels_burst: self.cancels.burst,
            open_requests: self.open_requests,
            frame_messages: FRAME_MESSAGES_MAX,
        }
    }
}

/// How far a limit is used: the instant at which everything taken is paid for, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket {
    paid_at_ns: u64,
}

impl Bucket {
    /// Takes so many, if there are as many at `now_ns`; all of them or none.
    pub fn take(&mut self, count: u16, now_ns: u64, rate: Rate) -> bool {
        if rate.per_s == 0 {
            return true;
        }
        let interval = SECOND_NS.div_ceil(rate.per_s.into());
        let paid_at =
            self.paid_at_ns.max(now_ns).saturating_add(interval.saturating_mul(count.into()));
        let most = interval.saturating_mul(rate.burst.max(1).into());
        let is_there = paid_at.saturating_sub(now_ns) <= most;
        if is_there {
            self.paid_at_ns = paid_at;
        }
        is_there
    }
}

/// What a limit says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Goes on.
    Passed,
    /// Is refused: the limit is so many per second.
    Refused(u32),
    /// Is refused, and so was as much as a burst before: the session ends.
    Ended(u32),
}

/// What a platform has used at a shard. Outlives a session, so that a new one is no fresh start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Throttle {
    orders: Bucket,
    cancels: Bucket,
    refused: Bucket,
}

impl Throttle {
    /// Of a platform that has used nothing.
    #[must_use]
    pub const fn new() -> Self {
        let unused = Bucket { paid_at_ns: 0 };
        Self { orders: unused, cancels: unused, refused: unused }
    }

    /// Adds what was used before.
    pub fn begin_with(&mut self, before: &Self) {
        let pairs = [
            (&mut self.orders, before.orders),
            (&mut self.cancels, before.cancels),
            (&mut self.refused, before.refused),
        ];
        for (bucket, before) in pairs {
            bucket.paid_at_ns = bucket.paid_at_ns.max(before.paid_at_ns);
        }
    }

    /// Something that makes orders.
    pub fn order(&mut self, now_ns: u64, limits: &Limits) -> Verdict {
        self.orders(1, now_ns, limits)
    }

    /// The orders of a signed frame: all of them or none.
    pub fn orders(&mut self, count: u16, now_ns: u64, limits: &Limits) -> Verdict {
        let passed = self.orders.take(count, now_ns, limits.orders);
        self.verdict(passed, now_ns, limits.orders)
    }

    /// Something that makes none.
    pub fn cancel(&mut self, now_ns: u64, limits: &Limits) -> Verdict {
        let passed = self.cancels.take(1, now_ns, limits.cancels);
        self.verdict(passed, now_ns, limits.cancels)
    }

    /// Refusals have a bucket of the same size: who goes on all the same is too fast by twice.
    /// Rule T-39.
    fn verdict(&mut self, passed: bool, now_ns: u64, rate: Rate) -> Verdict {
        if passed {
            Verdict::Passed
        } else if self.refused.take(1, now_ns, rate) {
            Verdict::Refused(rate.per_s)
        } else {
            Verdict::Ended(rate.per_s)
        }
    }
}

/// A [`Throttle`] that outlives sessions: written by the one that is open, read by the next.
#[derive(Debug, Default)]
pub struct Used {
    orders: AtomicU64,
    cancels: AtomicU64,
    refused: AtomicU64,
}

impl Used {
    /// What was used by now. A session that is just taken over may use a little more.
    #[must_use]
    pub fn load(&self) -> Throttle {
        let bucket = |place: &AtomicU64| Bucket { paid_at_ns: place.load(Ordering::Relaxed) };
        Throttle {
            orders: bucket(&self.orders),
            cancels: bucket(&self.cancels),
            refused: bucket(&self.refused),
        }
    }

    /// Notes what is used.
    pub fn store(&self, throttle: &Throttle) {
        let Throttle { orders, cancels, refused } = throttle;
        let places = [(&self.orders, orders), (&self.cancels, cancels), (&self.refused, refused)];
        for (place, bucket) in places {
            place.store(bucket.paid_at_ns, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        orders: Rate { per_s: 10, burst: 3 },
        cancels: Rate { per_s: 10, burst: 5 },
        open_requests: 1,
    };
    const TENTH: u64 = SECOND_NS / 10;

    #[test]
    fn t39_a_burst_passes_then_the_rate_then_the_session_ends() {
        let mut throttle = Throttle::default();
        let said: Vec<_> = (0..7).map(|_| throttle.order(1_000, &LIMITS)).collect();
        let (passed, refused) = (Verdict::Passed, Verdict::Refused(10));
        let ended = Verdict::Ended(10);
        assert_eq!(said, [passed, passed, passed, refused, refused, refused, ended]);
        // One comes back every tenth of a second, not a nanosecond sooner.
        let mut throttle = Throttle::default();
        assert!((0..3).all(|_| throttle.order(0, &LIMITS) == passed));
        assert_eq!(throttle.order(TENTH - 1, &LIMITS), refused);
        assert_eq!(throttle.order(TENTH, &LIMITS), passed);
        assert_eq!(throttle.order(TENTH, &LIMITS), refused);
        // Waiting saves up no more than the burst.
        let later = 100 * SECOND_NS;
        assert!((0..3).all(|_| throttle.order(later, &LIMITS) == passed));
        assert_eq!(throttle.order(later, &LIMITS), refused);
    }

    #[test]
    fn who_sends_steadily_at_the_rate_is_never_refused_and_at_twice_the_rate_never_ended() {
        let mut throttle = Throttle::default();
        for tenth in 0..1_000 {
            assert_eq!(throttle.order(tenth * TENTH, &LIMITS), Verdict::Passed);
        }
        let mut throttle = Throttle::default();
        let said: Vec<_> =
            (0..1_000).map(|half| throttle.order(half * TENTH / 2, &LIMITS)).collect();
        assert!(said.contains(&Verdict::Refused(10)), "half are too many");
        assert!(!said.contains(&Verdict::Ended(10)), "but not twice too many");
        let mut throttle = Throttle::default();
        let mut third = (0..1_000).map(|third| throttle.order(third * TENTH / 3, &LIMITS));
        assert!(third.any(|verdict| verdict == Verdict::Ended(10)));
    }

    #[test]
    fn cancels_have_a_bucket_of_their_own() {
        let mut throttle = Throttle::default();
        assert!((0..3).all(|_| throttle.order(0, &LIMITS) == Verdict::Passed));
        assert_eq!(throttle.order(0, &LIMITS), Verdict::Refused(10));
        assert!((0..5).all(|_| throttle.cancel(0, &LIMITS) == Verdict::Passed));
        assert_eq!(throttle.cancel(0, &LIMITS), Verdict::Refused(10));
        let none = Limits { orders: Rate { per_s: 0, burst: 1 }, ..LIMITS };
        assert!((0..1_000).all(|_| throttle.order(0, &none) == Verdict::Passed), "no limit");
    }
}
