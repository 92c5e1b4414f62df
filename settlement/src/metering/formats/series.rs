//! A series: what one channel of a meter says, interval by interval.

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use types::Timestamp;

use super::{FormatError, Problem, READINGS_MAX};

/// Lengths of intervals that a settlement can use or a feed may carry, in seconds: 5, 15, 30 and 60
/// minutes, and a day.
const LENGTHS: [u32; 5] = [300, 900, 1_800, 3_600, 86_400];

/// Intervals begin on the quarter hour, or on a multiple of their length when that is shorter: time
/// zones are whole quarter hours away from UTC.
const GRID_SECONDS: u32 = 900;

/// The quality of a reading of which the file says none.
pub(super) const UNSTATED: &str = "unstated";

/// How the instants of a file are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The Australian market's time, ten hours ahead of UTC all year, without offset.
    Nem,
    /// Coordinated universal time.
    Utc,
    /// Indian standard time, five and a half hours ahead.
    India,
}

impl Clock {
    /// Seconds ahead of UTC.
    #[must_use]
    pub const fn offset_seconds(self) -> i32 {
        match self {
            Self::Nem => 36_000,
            Self::Utc => 0,
            Self::India => 19_800,
        }
    }

    /// An instant, in seconds since 1970, as this clock shows it.
    #[must_use]
    pub fn show(self, seconds: i64) -> String {
        let local = seconds.saturating_add(i64::from(self.offset_seconds()));
        let Ok(instant) = jiff::Timestamp::from_second(local) else { return local.to_string() };
        let plain = instant.to_zoned(jiff::tz::TimeZone::UTC).datetime();
        match self {
            Self::Nem => plain.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            Self::Utc => plain.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            Self::India => plain.strftime("%Y-%m-%dT%H:%M:%S+05:30").to_string(),
        }
    }
}

/// Which way the energy of a channel flows, as the grid sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Out of the grid, into the premises.
    Withdrawn,
    /// Into the grid.
    Injected,
    /// Neither alone: a net register, or one that is not active energy.
    Neither,
}

/// A unit of active, reactive or apparent energy, and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Power of ten over the plain unit: 3 for kWh.
    pub exponent: u8,
    /// The plain unit: `wh`, `varh` or `vah`.
    pub plain: &'static str,
}

impl Unit {
    /// The unit by its name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        ["wh", "varh", "vah"].into_iter().find_map(|plain| {
            let exponent = match lower.strip_suffix(plain)? {
                "" => 0,
                "k" => 3,
                "m" => 6,
                "g" => 9,
                _ => return None,
            };
            Some(Self { exponent, plain })
        })
    }

    /// Whether it is active energy.
    #[must_use]
    pub fn is_active(self) -> bool {
        self.plain == "wh"
    }
}

/// What a channel says of one interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// When the interval begins, in seconds since 1970.
    pub start: i64,
    /// How long it is.
    pub seconds: u32,
    /// How much, in the unit of the series.
    pub value: Decimal,
    /// Where its quality stands in [`Series::qualities`].
    pub quality: u16,
    /// The line it was read from, or 0.
    pub line: u32,
}

/// What one channel of a meter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// The meter, as the file names it.
    pub meter: String,
    /// The channel, as the file names it.
    pub channel: String,
    /// The unit, as the file writes it.
    pub unit_name: String,
    /// The unit.
    pub unit: Unit,
    /// Which way the energy flows.
    pub direction: Direction,
    /// How instants are shown.
    pub clock: Clock,
    /// The qualities that occur, as the file writes them.
    pub qualities: Vec<String>,
    /// The readings in order of time.
    pub readings: Vec<Reading>,
}

/// One line about a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesSummary {
    /// How many readings.
    pub intervals: usize,
    /// Their sum, in the unit of the series.
    pub sum: Decimal,
    /// When the first interval begins.
    pub first_start: String,
    /// When the last one ends.
    pub last_end: String,
    /// The qualities in order of the alphabet, with a bar between two.
    pub quality: String,
}

impl Series {
    /// The number of a quality in this series.
    pub(super) fn quality(&mut self, name: &str) -> u16 {
        let found = self.qualities.iter().position(|known| known == name);
        let place = found.unwrap_or_else(|| {
            self.qualities.push(name.to_owned());
            self.qualities.len().saturating_sub(1)
        });
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    /// Sums everything up.
    #[must_use]
    pub fn summary(&self) -> SeriesSummary {
        let sum = self.readings.iter().map(|reading| reading.value).sum::<Decimal>();
        let end = |r: &Reading| r.start.saturating_add(i64::from(r.seconds));
        let first = self.readings.first().map_or(0, |reading| reading.start);
        let last = self.readings.iter().map(end).max().unwrap_or(0);
        let used: BTreeSet<&str> = self
            .readings
            .iter()
            .filter_map(|reading| self.qualities.get(usize::from(reading.quality)))
            .map(String::as_str)
            .collect();
        SeriesSummary {
            intervals: self.readings.len(),
            sum,
            first_start: self.clock.show(first),
            last_end: self.clock.show(last),
            quality: used.into_iter().collect::<Vec<_>>().join("|"),
        }
    }
}

/// Whether intervals may have this length.
pub(super) fn is_length(seconds: u32) -> bool {
    LENGTHS.contains(&seconds)
}

/// Puts readings in order and checks what holds for every format.
pub(super) fn settle(series: &mut [Series], now: Timestamp) -> Result<(), FormatError> {
    const NS_PER_SECOND: i64 = 1_000_000_000;
    let now_seconds = now.ns().div_euclid(NS_PER_SECOND);
    if series.iter().all(|one| one.readings.is_empty()) {
        let why = "there is no reading in it";
        return Err(FormatError::new(Problem::NoReadings, None, "file", "", why));
    }
    for one in series {
        one.readings.sort_by_key(|reading| reading.start);
        let field = format!("meter {} channel {}", one.meter, one.channel);
        let refuse = |problem, reading: &Reading, why: &str| {
            let line = (reading.line > 0).then(|| u64::from(reading.line));
            let value = one.clock.show(reading.start);
            Err(FormatError::new(problem, line, &field, &value, why))
        };
        let mut end_before = i64::MIN;
        for reading in &one.readings {
            if reading.start < end_before {
                let why = "this interval is there twice, or overlaps the one before";
                return refuse(Problem::Duplicate, reading, why);
            }
            let grid = i64::from(reading.seconds.min(GRID_SECONDS));
            if reading.start.rem_euclid(grid) != 0 {
                let why = "an interval begins on the quarter hour, or on a multiple of its length";
                return refuse(Problem::Misaligned, reading, why);
            }
            end_before = reading.start.saturating_add(i64::from(reading.seconds));
            if end_before > now_seconds {
                return refuse(Problem::Future, reading, "this interval has not ended yet");
            }
        }
    }
    Ok(())
}

/// Refuses more readings than fit.
pub(super) fn check_count(readings: usize, line: Option<u64>) -> Result<(), FormatError> {
    if readings <= READINGS_MAX {
        return Ok(());
    }
    let why = format!("more than {READINGS_MAX} readings in one file; split it");
    Err(FormatError::new(Problem::TooLarge, line, "file", "", &why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_by_their_name_in_any_case() {
        let unit = |exponent, plain| Some(Unit { exponent, plain });
        assert_eq!(Unit::from_name("KWH"), unit(3, "wh"));
        assert_eq!(Unit::from_name("kVarh"), unit(3, "varh"));
        assert_eq!(Unit::from_name("MVAh"), unit(6, "vah"));
        assert_eq!(Unit::from_name("Wh"), unit(0, "wh"));
        for other in ["kW", "", "h", "m3", "xWh", "kkWh"] {
            assert_eq!(Unit::from_name(other), None, "{other}");
        }
    }

    #[test]
    fn clocks_show_their_own_time() {
        assert_eq!(Clock::Nem.show(0), "1970-01-01 10:00:00");
        assert_eq!(Clock::Utc.show(0), "1970-01-01T00:00:00Z");
        assert_eq!(Clock::India.show(0), "1970-01-01T05:30:00+05:30");
    }
}
