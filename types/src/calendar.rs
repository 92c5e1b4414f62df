//! Local days as lists of delivery slots. The time-zone database is compiled in, so that a day has
//! the same slots on every machine.

use std::collections::BTreeSet;

use jiff::{Span, civil::Date, tz::TimeZone};

use crate::{
    slot::{DeliverySlot, START_MINUTE_MAX, SlotError},
    time::Timestamp,
};

/// Why a local day cannot be cut into slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CalendarError {
    /// The time zone is not in the compiled database.
    UnknownTimeZone(String),
    /// The text is not a date `YYYY-MM-DD`.
    BadDate(String),
    /// The day begins or ends outside the representable range or off the minute.
    OutOfRange,
    /// The day is not a whole number of slots, or the slot length is not possible.
    Slot(SlotError),
}

impl core::fmt::Display for CalendarError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::UnknownTimeZone(name) => write!(f, "time zone `{name}` is unknown"),
            Self::BadDate(text) => write!(f, "`{text}` is not a date, expected YYYY-MM-DD"),
            Self::OutOfRange => f.write_str("the day is outside the range of delivery slots"),
            Self::Slot(source) => core::fmt::Display::fmt(source, f),
        }
    }
}

impl core::error::Error for CalendarError {}

/// All slots of `minutes` that start on the local day `date` (`YYYY-MM-DD`) in `time_zone`.
///
/// A day in spring has 92 quarter hours and a day in autumn 100 where clocks change.
///
/// # Errors
/// When the zone or the date is unknown, or the day does not divide into such slots.
pub fn local_day(
    date: &str,
    time_zone: &str,
    minutes: u16,
) -> Result<Vec<DeliverySlot>, CalendarError> {
    let zone = TimeZone::get(time_zone)
        .map_err(|_| CalendarError::UnknownTimeZone(time_zone.to_owned()))?;
    let day: Date = date.parse().map_err(|_| CalendarError::BadDate(date.to_owned()))?;
    let next = day.tomorrow().map_err(|_| CalendarError::OutOfRange)?;
    let first = start_of_day(day, &zone)?;
    let end = start_of_day(next, &zone)?;
    let mut slots = Vec::with_capacity(100);
    let mut start = first;
    while start < end {
        let slot = DeliverySlot::starting_at(start, minutes).map_err(CalendarError::Slot)?;
        start = slot.end();
        slots.push(slot);
    }
    if start == end { Ok(slots) } else { Err(CalendarError::Slot(SlotError::BadDuration(minutes))) }
}

/// The local date (`YYYY-MM-DD`) at an instant.
///
/// # Errors
/// When the zone is unknown or the instant out of range.
pub fn local_date(instant: Timestamp, time_zone: &str) -> Result<String, CalendarError> {
    let zone = TimeZone::get(time_zone)
        .map_err(|_| CalendarError::UnknownTimeZone(time_zone.to_owned()))?;
    let instant = jiff::Timestamp::from_nanosecond(i128::from(instant.ns()))
        .map_err(|_| CalendarError::OutOfRange)?;
    Ok(instant.to_zoned(zone).date().to_string())
}

/// The day after a date (`YYYY-MM-DD`).
///
/// # Errors
/// When the text is no date, or the last one there is.
pub fn next_date(date: &str) -> Result<String, CalendarError> {
    let day: Date = date.parse().map_err(|_| CalendarError::BadDate(date.to_owned()))?;
    Ok(day.tomorrow().map_err(|_| CalendarError::OutOfRange)?.to_string())
}

fn start_of_day(day: Date, zone: &TimeZone) -> Result<Timestamp, CalendarError> {
    let zoned = day.to_zoned(zone.clone()).map_err(|_| CalendarError::OutOfRange)?;
    Ok(Timestamp::from_seconds(zoned.timestamp().as_second()))
}

/// Where the local days of a time zone begin, kept so that the day of a slot is found without the
/// time-zone database: by a search among at most about 3,000 × 16 bytes = 48 KiB.
#[derive(Debug, Clone)]
pub struct LocalDays {
    stretches: Vec<Stretch>,
}

/// A day and those after it that begin 24 hours after each other.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    /// First whole minute of its first day, since the epoch.
    start_minute: i64,
    /// Number of its first day.
    day: i64,
}

impl LocalDays {
    /// Of a zone, for every slot there can be.
    ///
    /// # Errors
    /// When the zone is unknown.
    pub fn new(time_zone: &str) -> Result<Self, CalendarError> {
        let zone = TimeZone::get(time_zone)
            .map_err(|_| CalendarError::UnknownTimeZone(time_zone.to_owned()))?;
        let first = jiff::Timestamp::UNIX_EPOCH;
        let last = jiff::Timestamp::from_second(i64::from(START_MINUTE_MAX).saturating_mul(60))
            .map_err(|_| CalendarError::OutOfRange)?;
        // Only around a change of the clocks does a day begin something else than 24 hours after the
        // one before.
        let changes = zone.following(first).map(|change| change.timestamp());
        let changes = changes.take_while(|&change| change <= last);
        let days: BTreeSet<i64> = std::iter::once(first)
            .chain(changes)
            .flat_map(|instant| {
                let day = day_number(instant.to_zoned(zone.clone()).date());
                day.saturating_sub(2)..=day.saturating_add(2)
            })
            .collect();
        let mut stretches: Vec<Stretch> = Vec::with_capacity(days.len());
        for day in days {
            let start = start_of_day(date_of(day)?, &zone)?.ns();
            let start_minute = start.div_euclid(MINUTE_NS);
            let off_the_minute = i64::from(start.rem_euclid(MINUTE_NS) > 0);
            let start_minute = start_minute.saturating_add(off_the_minute);
            // A day that a zone left out begins where the next one does, and has no slot.
            stretches.pop_if(|before| before.start_minute >= start_minute);
            stretches.push(Stretch { start_minute, day });
        }
        Ok(Self { stretches })
    }

    /// The local day on which a slot starts: the one among whose slots [`local_day`] lists it.
    /// Counted from 1970-01-01, which is 0.
    #[must_use]
    pub fn day_of(&self, slot: DeliverySlot) -> i64 {
        let minute = i64::from(slot.start_minute());
        let after = self.stretches.partition_point(|stretch| stretch.start_minute <= minute);
        // The first stretch begins before 1970, and slots do not.
        let Some(stretch) = after.checked_sub(1).and_then(|at| self.stretches.get(at)) else {
            return 0;
        };
        let passed = minute.saturating_sub(stretch.start_minute).div_euclid(1_440);
        let day = stretch.day.saturating_add(passed);
        // The last hour of a day of 25 is its own.
        self.stretches.get(after).map_or(day, |next| day.min(next.day.saturating_sub(1)))
    }
}

/// A minute, in nanoseconds.
const MINUTE_NS: i64 = 60_000_000_000;
/// The day that has number 0.
const EPOCH: Date = Date::constant(1970, 1, 1);

fn day_number(date: Date) -> i64 {
    // Two dates are never more days apart than fit.
    EPOCH.until(date).map_or(0, |span| i64::from(span.get_days()))
}

fn date_of(day: i64) -> Result<Date, CalendarError> {
    Span::new()
        .try_days(day)
        .and_then(|days| EPOCH.checked_add(days))
        .map_err(|_| CalendarError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_days_have_92_96_or_100_quarter_hours() {
        let count = |date| local_day(date, "Europe/Berlin", 15).unwrap().len();
        assert_eq!(count("2026-03-29"), 92);
        assert_eq!(count("2026-06-24"), 96);
        assert_eq!(count("2026-10-25"), 100);
    }

    #[test]
    fn indian_hours_start_at_half_past() {
        let slots = local_day("2026-04-01", "Asia/Kolkata", 60).unwrap();
        assert_eq!(slots.len(), 24);
        assert_eq!(slots[0].start().to_string(), "2026-03-31T18:30:00Z");
    }

    #[test]
    fn days_that_do_not_divide_are_refused() {
        assert_eq!(
            local_day("2026-03-29", "Europe/Berlin", 1_440),
            Err(CalendarError::Slot(SlotError::BadDuration(1_440)))
        );
        assert!(matches!(local_day("x", "UTC", 15), Err(CalendarError::BadDate(_))));
        assert!(matches!(
            local_day("2026-01-01", "Mars/Olympus", 15),
            Err(CalendarError::UnknownTimeZone(_))
        ));
    }
}
