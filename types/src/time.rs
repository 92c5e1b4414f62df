//! Instants and leads.

use core::fmt;

/// An instant: nanoseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From nanoseconds since the epoch.
    #[must_use]
    pub const fn from_ns(ns: i64) -> Self {
        Self(ns)
    }

    /// From seconds since the epoch; saturates at the ends of the range.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// From whole minutes since the epoch; saturates at the end of the range.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "u32 to i64 is lossless; From is not const")]
    pub const fn from_minutes(minutes: u32) -> Self {
        Self((minutes as i64).saturating_mul(60_000_000_000))
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn ns(self) -> i64 {
        self.0
    }

    /// The instant `lead` earlier; saturates at the beginning of the range.
    #[must_use]
    pub const fn earlier_by(self, lead: Lead) -> Self {
        Self(self.0.saturating_sub(lead.ns()))
    }

    /// The instant `ns` nanoseconds later; saturates at the end of the range.
    #[must_use]
    pub const fn plus_ns(self, ns: i64) -> Self {
        Self(self.0.saturating_add(ns))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(instant) => fmt::Display::fmt(&instant, f),
            Err(_) => write!(f, "{}ns", self.0),
        }
    }
}

/// How long before the start of delivery something happens, in whole minutes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Lead(u32);

impl Lead {
    /// From minutes.
    #[must_use]
    pub const fn from_minutes(minutes: u32) -> Self {
        Self(minutes)
    }

    /// Minutes.
    #[must_use]
    pub const fn minutes(self) -> u32 {
        self.0
    }

    /// Nanoseconds.
    #[must_use]
    pub const fn ns(self) -> i64 {
        Timestamp::from_minutes(self.0).ns()
    }
}
