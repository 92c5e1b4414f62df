//! Local days as lists of delivery slots. The time-zone database is compiled in, so that a day has
//! the same slots on every machine.

use jiff::{civil::Date, tz::TimeZone};

use crate::{
    slot::{DeliverySlot, SlotError},
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
