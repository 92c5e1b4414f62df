//! NEM12: the Australian market's interval meter data file, version 2.
//!
//! Records by their first field: 100 header, 200 a channel, 300 one day of it, 400 the quality of
//! some of that day's intervals, 500 a manual reading (not used), 900 the end. Days begin at
//! midnight, ten hours ahead of UTC all year round.

use std::collections::BTreeMap;

use super::{
    FormatError, Problem, amount,
    line_source::LineSource,
    series::{self, Clock, Direction, Reading, Series, Unit},
};

const DAY_MINUTES: u32 = 1_440;

/// Fields of a day besides its intervals: indicator and date before, five behind.
const FIELDS_BEHIND_MAX: usize = 5;

/// Reads a file.
pub(super) fn read(source: &mut LineSource<'_>) -> Result<Vec<Series>, FormatError> {
    let mut parser = Parser::default();
    let mut line = String::new();
    loop {
        let number = source.line();
        if !source.next_line(&mut line)? {
            break;
        }
        parser.line = number;
        parser.record(&line)?;
    }
    parser.end()
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Start,
    Running,
    Ended,
}

/// The channel that the days after a 200 record belong to.
#[derive(Debug, Clone, Copy)]
struct Channel {
    series: usize,
    minutes: u32,
    intervals: usize,
}

/// A day whose qualities may still follow.
#[derive(Debug, Clone, Copy)]
struct Day {
    line: u64,
    first: usize,
    covered: usize,
    varies: bool,
}

#[derive(Debug, Default)]
struct Parser {
    line: u64,
    stage: Stage,
    series: Vec<Series>,
    places: BTreeMap<(String, String), usize>,
    channel: Option<Channel>,
    day: Option<Day>,
    readings: usize,
}

impl Parser {
    fn refuse<T>(
        &self,
        problem: Problem,
        field: &str,
        value: &str,
        why: &str,
    ) -> Result<T, FormatError> {
        Err(FormatError::new(problem, Some(self.line), field, value, why))
    }

    fn record(&mut self, line: &str) -> Result<(), FormatError> {
        const FIELD: &str = "record indicator";
        let fields: Vec<&str> = line.split(',').collect();
        let indicator = fields.first().copied().unwrap_or_default();
        match (&self.stage, indicator) {
            (Stage::Start, "100") => self.header(&fields),
            (Stage::Start, _) => {
                let why = "the file must begin with a 100 record";
                self.refuse(Problem::OutOfPlace, FIELD, indicator, why)
            }
            (Stage::Ended, _) if line.trim().is_empty() => Ok(()),
            (Stage::Ended, _) => {
                self.refuse(Problem::OutOfPlace, FIELD, indicator, "nothing may follow 900")
            }
            (Stage::Running, "200") => self.begin_channel(&fields),
            (Stage::Running, "300") => self.add_day(&fields),
            (Stage::Running, "400") => self.set_quality(&fields),
            (Stage::Running, "500") if self.channel.is_some() => self.close_day(),
            (Stage::Running, "900") => {
                self.close_day()?;
                self.stage = Stage::Ended;
                Ok(())
            }
            (Stage::Running, "500") => {
                self.refuse(Problem::OutOfPlace, FIELD, indicator, "a 500 record follows a day")
            }
            (Stage::Running, _) => {
                let why = "expected 200, 300, 400, 500 or 900";
                self.refuse(Problem::Malformed, FIELD, indicator, why)
            }
        }
    }

    fn header(&mut self, fields: &[&str]) -> Result<(), FormatError> {
        let version = fields.get(1).copied().unwrap_or_default();
        if version != "NEM12" {
            return self.refuse(Problem::Version, "version header", version, "expected NEM12");
        }
        self.stage = Stage::Running;
        Ok(())
    }

    /// `200,NMI,configuration,register,suffix,stream,meter serial,unit,minutes,next read`.
    fn begin_channel(&mut self, fields: &[&str]) -> Result<(), FormatError> {
        self.close_day()?;
        let [_, meter, _, _, suffix, _, _, unit_name, minutes, rest @ ..] = fields else {
            let count = fields.len().to_string();
            let why = "a 200 record has 10 fields";
            return self.refuse(Problem::Missing, "fields", &count, why);
        };
        if rest.len() > 1 {
            let count = fields.len().to_string();
            return self.refuse(Problem::Malformed, "fields", &count, "a 200 record has 10 fields");
        }
        if meter.is_empty() || meter.len() > 10 {
            return self.refuse(Problem::Malformed, "NMI", meter, "expected 1 to 10 characters");
        }
        let minutes: u32 = match *minutes {
            "5" => 5,
            "15" => 15,
            "30" => 30,
            other => {
                let why = "expected 5, 15 or 30 minutes";
                return self.refuse(Problem::IntervalLength, "interval length", other, why);
            }
        };
        let (unit, direction) = self.meaning(suffix, unit_name)?;
        let key = ((*meter).to_owned(), (*suffix).to_owned());
        let place = *self.places.entry(key).or_insert(self.series.len());
        match self.series.get(place) {
            Some(known) if known.unit != unit => {
                let why = "the channel has another unit above";
                return self.refuse(Problem::Unit, "unit", unit_name, why);
            }
            Some(_) => {}
            None => self.series.push(Series {
                meter: (*meter).to_owned(),
                channel: (*suffix).to_owned(),
                unit_name: (*unit_name).to_owned(),
                unit,
                direction,
                clock: Clock::Nem,
                qualities: Vec::new(),
                readings: Vec::new(),
            }),
        }
        let intervals = usize::try_from(DAY_MINUTES.div_euclid(minutes)).unwrap_or(usize::MAX);
        self.channel = Some(Channel { series: place, minutes, intervals });
        Ok(())
    }

    /// The unit, and which way the energy flows: the suffix's first letter says what is metered.
    fn meaning(&self, suffix: &str, unit_name: &str) -> Result<(Unit, Direction), FormatError> {
        let (plain, direction) = match suffix.bytes().next() {
            Some(b'E' | b'A') => ("wh", Direction::Withdrawn),
            Some(b'B') => ("wh", Direction::Injected),
            Some(b'D' | b'J') => ("wh", Direction::Neither),
            Some(b'Q' | b'K' | b'C' | b'F' | b'L' | b'P' | b'R') => ("varh", Direction::Neither),
            Some(b'S' | b'T' | b'U' | b'G' | b'H' | b'M') => ("vah", Direction::Neither),
            Some(_) | None => {
                let why = "expected a channel such as E1, B1, Q1 or K1";
                return self.refuse(Problem::Malformed, "NMI suffix", suffix, why);
            }
        };
        match Unit::from_name(unit_name) {
            Some(unit) if unit.plain == plain => Ok((unit, direction)),
            Some(_) => {
                let why = format!("channel {suffix} is not metered in this unit");
                self.refuse(Problem::Unit, "unit", unit_name, &why)
            }
            None => {
                let why = "expected Wh, varh or VAh, or thousands or millions of them";
                self.refuse(Problem::Unit, "unit", unit_name, why)
            }
        }
    }

    /// `300,date,value…,quality,reason,description,updated,loaded`.
    fn add_day(&mut self, fields: &[&str]) -> Result<(), FormatError> {
        self.close_day()?;
        let Some(channel) = self.channel else {
            return self.refuse(
                Problem::OutOfPlace,
                "record indicator",
                "300",
                "a day follows the 200 record of its channel",
            );
        };
        let behind = fields.len().checked_sub(channel.intervals.saturating_add(2));
        if !behind.is_some_and(|behind| (1..=FIELDS_BEHIND_MAX).contains(&behind)) {
            let why = format!(
                "a day of {}-minute intervals has a date, {} values and a quality, \
                 and at most 4 fields behind",
                channel.minutes, channel.intervals
            );
            return self.refuse(Problem::Malformed, "fields", &fields.len().to_string(), &why);
        }
        let date = fields.get(1).copied().unwrap_or_default();
        let midnight = self.midnight(date)?;
        let quality = fields.get(channel.intervals.saturating_add(2)).copied().unwrap_or_default();
        let varies = quality == "V";
        if !varies {
            self.check_quality(quality)?;
        }
        let values = fields.get(2..).unwrap_or_default().iter().take(channel.intervals);
        self.readings = self.readings.saturating_add(channel.intervals);
        series::check_count(self.readings, Some(self.line))?;
        let line = u32::try_from(self.line).unwrap_or(u32::MAX);
        let seconds = channel.minutes.saturating_mul(60);
        let mut read = Vec::with_capacity(channel.intervals);
        for (value, number) in values.zip(0_i64..) {
            let value = amount::parse_unsigned(value).or_else(|(problem, why)| {
                let field = format!("interval {}", number.saturating_add(1));
                self.refuse(problem, &field, value, why)
            })?;
            let start = midnight.saturating_add(number.saturating_mul(i64::from(seconds)));
            read.push(Reading { start, seconds, value, quality: 0, line });
        }
        let Some(series) = self.series.get_mut(channel.series) else { return Ok(()) };
        let code = if varies { 0 } else { series.quality(quality) };
        let first = series.readings.len();
        series.readings.extend(read.into_iter().map(|one| Reading { quality: code, ..one }));
        self.day = Some(Day { line: self.line, first, covered: 0, varies });
        Ok(())
    }

    /// The instant at which a day begins, in seconds since 1970.
    fn midnight(&self, date: &str) -> Result<i64, FormatError> {
        const WHY: &str = "expected a date such as 20260401";
        let number = |range| {
            let text: Option<&str> = date.get(range);
            text.and_then(|text| text.parse::<i16>().ok())
        };
        let parts = (number(0..4), number(4..6), number(6..8));
        let is_plain = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
        if let (true, (Some(year), Some(month), Some(day))) = (is_plain, parts)
            && let (Ok(month), Ok(day)) = (i8::try_from(month), i8::try_from(day))
            && let Ok(date) = jiff::civil::Date::new(year, month, day)
            && let Ok(zoned) = date.to_zoned(jiff::tz::TimeZone::UTC)
        {
            let utc = zoned.timestamp().as_second();
            return Ok(utc.saturating_sub(i64::from(Clock::Nem.offset_seconds())));
        }
        self.refuse(Problem::Malformed, "interval date", date, WHY)
    }

    /// One letter, and two digits behind where a method is named.
    fn check_quality(&self, quality: &str) -> Result<(), FormatError> {
        let mut bytes = quality.bytes();
        let letter = bytes.next().is_some_and(|letter| b"AEFNS".contains(&letter));
        let rest: Vec<u8> = bytes.collect();
        let method = rest.is_empty() || (rest.len() == 2 && rest.iter().all(u8::is_ascii_digit));
        if letter && method {
            return Ok(());
        }
        let why =
            "expected A, E, F, N, S or V, with two digits of a method behind where there is one";
        self.refuse(Problem::Quality, "quality", quality, why)
    }

    /// `400,first interval,last interval,quality,reason,description`.
    fn set_quality(&mut self, fields: &[&str]) -> Result<(), FormatError> {
        let (Some(channel), Some(day)) = (self.channel, self.day) else {
            return self.refuse(
                Problem::OutOfPlace,
                "record indicator",
                "400",
                "qualities follow their day",
            );
        };
        let [_, first, last, quality, ..] = fields else {
            let count = fields.len().to_string();
            return self.refuse(Problem::Missing, "fields", &count, "a 400 record has 6 fields");
        };
        if !day.varies {
            let why = "the day above has one quality for all intervals, not V";
            return self.refuse(Problem::Quality, "record indicator", "400", why);
        }
        self.check_quality(quality)?;
        let bounds = first.parse::<usize>().ok().zip(last.parse::<usize>().ok());
        let in_order = bounds.filter(|&(first, last)| {
            first == day.covered.saturating_add(1) && (first..=channel.intervals).contains(&last)
        });
        let Some((first, last)) = in_order else {
            let why = format!(
                "expected a range that begins at {} and ends by {}",
                day.covered.saturating_add(1),
                channel.intervals
            );
            let range = format!("{first}-{last}");
            return self.refuse(Problem::Quality, "intervals", &range, &why);
        };
        if let Some(series) = self.series.get_mut(channel.series) {
            let code = series.quality(quality);
            let from = day.first.saturating_add(first).saturating_sub(1);
            let end = day.first.saturating_add(last);
            for reading in series.readings.get_mut(from..end).unwrap_or_default() {
                reading.quality = code;
            }
        }
        self.day = Some(Day { covered: last, ..day });
        Ok(())
    }

    /// A day of varying quality must have got one for every interval.
    fn close_day(&mut self) -> Result<(), FormatError> {
        let (Some(day), Some(channel)) = (self.day.take(), self.channel) else { return Ok(()) };
        if !day.varies || day.covered == channel.intervals {
            return Ok(());
        }
        let why = format!("quality V, and 400 records for {} of it only", day.covered);
        let value = format!("{} intervals", channel.intervals);
        Err(FormatError::new(Problem::Quality, Some(day.line), "quality", &value, &why))
    }

    fn end(self) -> Result<Vec<Series>, FormatError> {
        match self.stage {
            Stage::Ended => Ok(self.series),
            Stage::Start | Stage::Running => {
                let why = "the 900 record at the end is missing; the file was cut off";
                self.refuse(Problem::Truncated, "file", "", why)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use types::Timestamp;

    use super::*;

    fn day(date: &str, values: usize, tail: &str) -> String {
        format!("300,{date},{}{tail}\n", "1.5,".repeat(values))
    }

    fn file(body: &str) -> String {
        format!("100,NEM12,202604010000,MDP,RET\n{body}900\n")
    }

    const CHANNEL: &str = "200,NMI1,E1B1,1,E1,N1,SER,kWh,30,\n";

    fn problem(text: &str) -> (Problem, Option<u64>) {
        let now = Timestamp::from_seconds(1_775_000_000);
        let error = super::super::read(&mut text.as_bytes(), now).unwrap_err();
        (error.problem, error.line)
    }

    #[test]
    fn each_broken_rule_is_its_own_error_with_its_line() {
        let good = day("20250301", 48, "A,,,,");
        let with = |more: &str| file(&format!("{CHANNEL}{more}"));
        let cases = [
            (with(""), Problem::NoReadings, None),
            (format!("{CHANNEL}{good}900\n"), Problem::OutOfPlace, Some(1)),
            (file("").replace("NEM12", "NEM13"), Problem::Version, Some(1)),
            (with(&good).replace("900\n", ""), Problem::Truncated, Some(3)),
            (with(&good).replace("E1,N1", "Q1,N1"), Problem::Unit, Some(2)),
            (with(&good).replace("kWh", "kW"), Problem::Unit, Some(2)),
            (with(&good).replace(",30,", ",20,"), Problem::IntervalLength, Some(2)),
            (with(&good).replace(",30,", ",15,"), Problem::Malformed, Some(3)),
            (with(&good).replacen("1.5", "1.5x", 1), Problem::Number, Some(3)),
            (with(&good).replacen("1.5", "-1.5", 1), Problem::Negative, Some(3)),
            (with(&good).replacen("1.5", "", 1), Problem::Number, Some(3)),
            (with(&day("20250229", 48, "A,,,,")), Problem::Malformed, Some(3)),
            (with(&day("20260901", 48, "A,,,,")), Problem::Future, Some(3)),
            (with(&format!("{good}{good}")), Problem::Duplicate, Some(4)),
            (with(&day("20250301", 48, "X,,,,")), Problem::Quality, Some(3)),
            (with(&day("20250301", 48, "V,,,,")), Problem::Quality, Some(3)),
            (with(&format!("{good}400,1,48,A,,\n")), Problem::Quality, Some(4)),
            (format!("{}300,\n", with(&good)), Problem::OutOfPlace, Some(5)),
            (file(&good), Problem::OutOfPlace, Some(2)),
            (file("400,1,48,A,,\n"), Problem::OutOfPlace, Some(2)),
            (file("500,S,,,\n"), Problem::OutOfPlace, Some(2)),
            (with("700\n"), Problem::Malformed, Some(3)),
        ];
        for (text, expected, line) in cases {
            assert_eq!(problem(&text), (expected, line), "{text}");
        }
        let varying = day("20250301", 48, "V,,,,");
        for ranges in ["400,1,20,A,,\n400,22,48,E52,,\n", "400,1,49,A,,\n", "400,2,48,A,,\n"] {
            let (found, _) = problem(&with(&format!("{varying}{ranges}")));
            assert_eq!(found, Problem::Quality, "{ranges}");
        }
    }

    #[test]
    fn intervals_of_five_minutes_and_ranges_of_quality() {
        let text = file(&format!(
            "{}{}400,1,100,A,,\n400,101,288,E52,79,\n500,S,,,\n",
            CHANNEL.replace(",30,", ",5,"),
            day("20250301", 288, "V,,,,")
        ));
        let now = Timestamp::from_seconds(1_775_000_000);
        let data = super::super::read(&mut text.as_bytes(), now).unwrap();
        let summary = data.series[0].summary();
        assert_eq!((summary.intervals, summary.sum.to_string()), (288, "432.0".to_owned()));
        assert_eq!(summary.quality, "A|E52");
        assert_eq!(summary.first_start, "2025-03-01 00:00:00");
        assert_eq!(summary.last_end, "2025-03-02 00:00:00");
    }

    #[test]
    fn every_cut_of_a_file_is_refused() {
        let varying = day("20250301", 48, "V,,,,");
        let text = file(&format!("{CHANNEL}{varying}400,1,48,A,,\n"));
        let now = Timestamp::from_seconds(1_775_000_000);
        // The last byte is the end of the last line, which may be missing.
        for end in 0..text.len() - 1 {
            let cut = &text.as_bytes()[..end];
            assert!(super::super::read(&mut &*cut, now).is_err(), "cut at {end}");
        }
    }
}
