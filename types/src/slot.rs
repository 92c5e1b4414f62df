//! Delivery slots: a UTC instant and a duration.

use core::fmt;

use crate::{ids::MarketId, time::Timestamp};

/// A span of delivery: begins at a whole UTC minute and lasts whole minutes.
///
/// Invariant: the duration is 5 to 1,440 minutes and divides the day, and the end is representable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliverySlot {
    start_minute: u32,
    minutes: u16,
}

/// Why a span is not a delivery slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotError {
    /// The duration is not 5 to 1,440 minutes or does not divide a day.
    BadDuration(u16),
    /// The start is not a whole minute, is before 1970 or after 2260.
    BadStart,
}

impl fmt::Display for SlotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadDuration(got) => {
                write!(f, "slot of {got} minutes; 5 to 1440 that divide a day are possible")
            }
            Self::BadStart => {
                f.write_str("slot does not start at a whole minute between 1970 and 2260")
            }
        }
    }
}

impl core::error::Error for SlotError {}

/// The last minute at which a slot may start: in 2260, so that no instant of a slot is beyond what
/// 64 bits of nanoseconds since 1970 can hold.
pub(crate) const START_MINUTE_MAX: u32 = 153_000_000;

impl DeliverySlot {
    /// From minutes since the epoch and a duration in minutes.
    ///
    /// # Errors
    /// When the duration is none of a day's divisors from 5 to 1,440, or the start is after 2260.
    pub fn new(start_minute: u32, minutes: u16) -> Result<Self, SlotError> {
        if !(5..=1_440).contains(&minutes) || 1_440_u16.rem_euclid(minutes) != 0 {
            return Err(SlotError::BadDuration(minutes));
        }
        if start_minute > START_MINUTE_MAX {
            return Err(SlotError::BadStart);
        }
        Ok(Self { start_minute, minutes })
    }

    /// From an instant and a duration in minutes.
    ///
    /// # Errors
    /// As [`DeliverySlot::new`], and when the instant is not a whole minute since 1970.
    pub fn starting_at(start: Timestamp, minutes: u16) -> Result<Self, SlotError> {
        const MINUTE_NS: i64 = 60_000_000_000;
        if start.ns().rem_euclid(MINUTE_NS) != 0 {
            return Err(SlotError::BadStart);
        }
        let start_minute =
            u32::try_from(start.ns().div_euclid(MINUTE_NS)).map_err(|_| SlotError::BadStart)?;
        Self::new(start_minute, minutes)
    }

    /// Start in minutes since the epoch.
    #[must_use]
    pub const fn start_minute(self) -> u32 {
        self.start_minute
    }

    /// Duration in minutes.
    #[must_use]
    pub const fn minutes(self) -> u16 {
        self.minutes
    }

    /// First instant of delivery.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp::from_minutes(self.start_minute)
    }

    /// First instant after delivery.
    #[must_use]
    pub fn end(self) -> Timestamp {
        Timestamp::from_minutes(self.start_minute.saturating_add(u32::from(self.minutes)))
    }
}

impl fmt::Display for DeliverySlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/PT{}M", self.start(), self.minutes)
    }
}

/// One book: a delivery slot in a market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotKey {
    /// The market whose rules hold.
    pub market: MarketId,
    /// When the energy is delivered.
    pub slot: DeliverySlot,
}

impl fmt::Display for SlotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.market, self.slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_divide_the_day() {
        assert!(DeliverySlot::new(0, 15).is_ok());
        assert_eq!(DeliverySlot::new(0, 7), Err(SlotError::BadDuration(7)));
        assert_eq!(DeliverySlot::new(0, 0), Err(SlotError::BadDuration(0)));
        assert_eq!(DeliverySlot::new(u32::MAX, 15), Err(SlotError::BadStart));
        let off = Timestamp::from_ns(1);
        assert_eq!(DeliverySlot::starting_at(off, 15), Err(SlotError::BadStart));
        let before = Timestamp::from_seconds(-60);
        assert_eq!(DeliverySlot::starting_at(before, 15), Err(SlotError::BadStart));
    }

    #[test]
    fn slots_print_as_iso_intervals() {
        let slot = DeliverySlot::new(29_000_000, 15).unwrap();
        assert_eq!(slot.to_string(), "2025-02-19T21:20:00Z/PT15M");
    }
}
