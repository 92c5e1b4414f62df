//! The India Energy Stack's interval profile: JSON with compact arrays of numbers.
//!
//! A descriptor set names the columns (OBIS code, unit), a sequence orders them, and each profile
//! holds one meter's intervals from `intervalPeriod.start` onwards, `duration` each. Only the
//! compact form with usage per interval is read; numbers keep every digit they are written with.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    FormatError, Problem, amount,
    series::{self, Clock, Direction, Reading, Series, Unit},
};

const IMPORT: &str = "1.0.1.29.0.255";
const EXPORT: &str = "1.0.2.29.0.255";

/// Codes of readings that need no further description.
const WELL_KNOWN: [(&str, &str); 2] = [("kWh imp block", IMPORT), ("kWh exp block", EXPORT)];

#[derive(Deserialize)]
struct Dataset<'a> {
    #[serde(default, rename = "payloadDescriptorSets")]
    sets: Vec<DescriptorSet>,
    #[serde(borrow)]
    data: Vec<Item<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    profile_type: Option<String>,
    id: Option<String>,
    #[serde(default)]
    payload_descriptor_sets: Vec<DescriptorSet>,
    #[serde(default)]
    meter_refs: Vec<Reference>,
    payload_descriptor_set_ref: Option<String>,
    compact_sequence_ref: Option<String>,
    interval_period: Option<Period>,
    #[serde(default, borrow)]
    intervals: Vec<Interval<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescriptorSet {
    name: String,
    #[serde(default)]
    payload_descriptors: Vec<Descriptor>,
    #[serde(default)]
    compact_sequences: Vec<Sequence>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    reading_type: String,
    obis: Option<String>,
    unit: Option<String>,
    reported_mode: Option<String>,
    #[serde(default)]
    power_of_ten_multiplier: i32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sequence {
    name: String,
    sequence_items: Vec<SequenceItem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SequenceItem {
    reading_type: String,
}

#[derive(Deserialize)]
struct Reference {
    value: String,
}

#[derive(Deserialize)]
struct Period {
    start: String,
    duration: String,
}

#[derive(Deserialize)]
struct Interval<'a> {
    id: u32,
    #[serde(default, borrow)]
    payloads: Vec<&'a RawValue>,
    #[serde(default)]
    overrides: Vec<Override>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Override {
    descriptor_index: usize,
    validation_status: Option<String>,
}

/// Reads a list of profiles, or a dataset around one.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Series>, FormatError> {
    let is_list = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let dataset = if is_list {
        Dataset { sets: Vec::new(), data: parse(bytes)? }
    } else {
        parse::<Dataset<'_>>(bytes)?
    };
    let mut all = Vec::new();
    let mut readings = 0_usize;
    for (item, index) in dataset.data.iter().zip(0_usize..) {
        match item.profile_type.as_deref() {
            Some("DESCRIPTOR") => {}
            Some("INTERVAL") => {
                let mut profile = Profile { dataset: &dataset, item, place: format!("[{index}]") };
                let series = profile.read()?;
                readings = series
                    .iter()
                    .map(|one| one.readings.len())
                    .fold(readings, usize::saturating_add);
                series::check_count(readings, None)?;
                all.extend(series);
            }
            other => {
                let field = format!("[{index}].profileType");
                let why = "expected INTERVAL or DESCRIPTOR";
                let value = other.unwrap_or_default();
                return Err(FormatError::new(Problem::OtherDocument, None, &field, value, why));
            }
        }
    }
    Ok(merge(all))
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, FormatError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let problem = match error.classify() {
            serde_json::error::Category::Eof => Problem::Truncated,
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Data => Problem::Malformed,
        };
        let line = u64::try_from(error.line()).ok();
        FormatError::new(problem, line, "interval profile", "", &error.to_string())
    })
}

/// Profiles of one meter and channel become one series.
fn merge(all: Vec<Series>) -> Vec<Series> {
    let mut merged: Vec<Series> = Vec::new();
    for one in all {
        let same = |known: &&mut Series| {
            (&known.meter, &known.channel, known.unit) == (&one.meter, &one.channel, one.unit)
        };
        match merged.iter_mut().find(same) {
            None => merged.push(one),
            Some(known) => {
                for reading in &one.readings {
                    let name = one.qualities.get(usize::from(reading.quality));
                    let quality = known.quality(name.map_or(series::UNSTATED, String::as_str));
                    known.readings.push(Reading { quality, ..*reading });
                }
            }
        }
    }
    merged
}

/// One profile with what its references can point to.
struct Profile<'a> {
    dataset: &'a Dataset<'a>,
    item: &'a Item<'a>,
    place: String,
}

impl Profile<'_> {
    fn refuse<T>(
        &self,
        problem: Problem,
        field: &str,
        value: &str,
        why: &str,
    ) -> Result<T, FormatError> {
        let field = format!("{}.{field}", self.place);
        Err(FormatError::new(problem, None, &field, value, why))
    }

    fn read(&mut self) -> Result<Vec<Series>, FormatError> {
        let [meter] = self.item.meter_refs.as_slice() else {
            let count = self.item.meter_refs.len().to_string();
            return self.refuse(Problem::Missing, "meterRefs", &count, "expected one meter");
        };
        let mut columns = self.columns(&meter.value)?;
        let (start, seconds) = self.period()?;
        for (interval, index) in self.item.intervals.iter().zip(0_usize..) {
            let field = format!("intervals[{index}].payloads");
            if interval.payloads.len() != columns.len() {
                let count = interval.payloads.len().to_string();
                let why = format!("the sequence has {} columns", columns.len());
                return self.refuse(Problem::Malformed, &field, &count, &why);
            }
            let offset = i64::from(interval.id).saturating_mul(i64::from(seconds));
            let start = start.saturating_add(offset);
            for ((series, raw), column) in columns.iter_mut().zip(&interval.payloads).zip(0_usize..)
            {
                let text = raw.get();
                let value = amount::parse_unsigned(text).or_else(|(problem, why)| {
                    let problem = if text == "null" { Problem::Missing } else { problem };
                    self.refuse(problem, &format!("{field}[{column}]"), text, why)
                })?;
                let stated = interval.overrides.iter().find(|one| one.descriptor_index == column);
                let status = stated.and_then(|one| one.validation_status.as_deref());
                let quality = series.quality(status.unwrap_or(series::UNSTATED));
                series.readings.push(Reading { start, seconds, value, quality, line: 0 });
            }
        }
        Ok(columns)
    }

    /// The instant of the first interval, and the length of all.
    fn period(&self) -> Result<(i64, u32), FormatError> {
        let Some(period) = &self.item.interval_period else {
            return self.refuse(
                Problem::Missing,
                "intervalPeriod",
                "",
                "expected start and duration",
            );
        };
        let seconds = match period.duration.as_str() {
            "PT15M" => 900,
            "PT30M" => 1_800,
            other => {
                let why = "expected PT15M or PT30M";
                return self.refuse(Problem::IntervalLength, "intervalPeriod.duration", other, why);
            }
        };
        let Ok(start) = period.start.parse::<jiff::Timestamp>() else {
            let why = "expected an instant with its offset, such as 2026-04-01T00:00:00+05:30";
            return self.refuse(Problem::Malformed, "intervalPeriod.start", &period.start, why);
        };
        if start.subsec_nanosecond() != 0 {
            let why = "an interval begins on a whole second";
            return self.refuse(Problem::Misaligned, "intervalPeriod.start", &period.start, why);
        }
        Ok((start.as_second(), seconds))
    }

    /// An empty series per column of the profile's sequence.
    fn columns(&self, meter: &str) -> Result<Vec<Series>, FormatError> {
        let wanted = self.item.compact_sequence_ref.as_deref().unwrap_or_default();
        let sequence = self.sets().find_map(|set| {
            set.compact_sequences.iter().find(|one| one.name == wanted).map(|one| (set, one))
        });
        let Some((set, sequence)) = sequence else {
            let why = "no descriptor set of this file has this sequence";
            return self.refuse(Problem::Unresolved, "compactSequenceRef", wanted, why);
        };
        let mut columns = Vec::new();
        for item in &sequence.sequence_items {
            let name = item.reading_type.as_str();
            let mut described = set.payload_descriptors.iter();
            let Some(descriptor) = described.find(|one| one.reading_type == name) else {
                let why = "the descriptor set does not describe this reading";
                return self.refuse(Problem::Unresolved, "sequenceItems.readingType", name, why);
            };
            columns.push(self.column(meter, descriptor)?);
        }
        Ok(columns)
    }

    /// The sets the profile refers to: by the id of a descriptor profile or by a set's name.
    fn sets(&self) -> impl Iterator<Item = &DescriptorSet> {
        let wanted = self.item.payload_descriptor_set_ref.as_deref();
        let described = self.dataset.data.iter().flat_map(move |item| {
            let by_id = wanted.is_some() && item.id.as_deref() == wanted;
            item.payload_descriptor_sets
                .iter()
                .filter(move |set| by_id || wanted.is_none_or(|name| set.name == name))
        });
        let shared = self.dataset.sets.iter();
        shared.filter(move |set| wanted.is_none_or(|name| set.name == name)).chain(described)
    }

    fn column(&self, meter: &str, descriptor: &Descriptor) -> Result<Series, FormatError> {
        let name = descriptor.reading_type.as_str();
        let known = WELL_KNOWN.iter().find(|(code, _)| *code == name).map(|(_, obis)| *obis);
        let Some(obis) = descriptor.obis.as_deref().or(known) else {
            let why = "a reading needs its OBIS code";
            return self.refuse(Problem::Missing, "payloadDescriptors.obis", name, why);
        };
        if let Some(mode) = descriptor.reported_mode.as_deref()
            && mode != "USAGE"
        {
            let why = "expected USAGE: what the register counted within each interval";
            return self.refuse(
                Problem::OtherDocument,
                "payloadDescriptors.reportedMode",
                mode,
                why,
            );
        }
        if descriptor.power_of_ten_multiplier != 0 {
            let value = descriptor.power_of_ten_multiplier.to_string();
            let why = "expected 0: the unit says the size";
            let field = "payloadDescriptors.powerOfTenMultiplier";
            return self.refuse(Problem::Unit, field, &value, why);
        }
        let unit_name = descriptor.unit.as_deref().or(known.map(|_| "kWh")).unwrap_or_default();
        let Some(unit) = Unit::from_name(unit_name) else {
            let why = "expected Wh, varh or VAh, or thousands or millions of them";
            return self.refuse(Problem::Unit, "payloadDescriptors.unit", unit_name, why);
        };
        let direction = match obis {
            IMPORT => Direction::Withdrawn,
            EXPORT => Direction::Injected,
            _ => Direction::Neither,
        };
        if direction != Direction::Neither && !unit.is_active() {
            let why = format!("{obis} is active energy");
            return self.refuse(Problem::Unit, "payloadDescriptors.unit", unit_name, &why);
        }
        Ok(Series {
            meter: meter.to_owned(),
            channel: obis.to_owned(),
            unit_name: unit_name.to_owned(),
            unit,
            direction,
            clock: Clock::India,
            qualities: Vec::new(),
            readings: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use types::Timestamp;

    use super::*;

    /// Two profiles of one meter; numbers and names are made up.
    const FILE: &str = r#"[
      {"profileType":"DESCRIPTOR","id":"D1","payloadDescriptorSets":[{"name":"blocks",
        "payloadDescriptors":[
          {"readingType":"in","unit":"kWh","reportedMode":"USAGE","obis":"1.0.1.29.0.255"},
          {"readingType":"out","unit":"kWh","reportedMode":"USAGE","obis":"1.0.2.29.0.255"}],
        "compactSequences":[{"name":"pair","sequenceItems":[
          {"readingType":"in"},{"readingType":"out"}]}]}]},
      {"profileType":"INTERVAL","meterRefs":[{"scheme":"METER_SERIAL","value":"SM-7"}],
        "payloadDescriptorSetRef":"D1","compactSequenceRef":"pair",
        "intervalPeriod":{"start":"2026-03-01T00:00:00+05:30","duration":"PT30M"},
        "intervals":[{"id":0,"payloads":[0.1,0.0]},{"id":1,"payloads":[0.2,1.125],
          "overrides":[{"descriptorIndex":1,"validationStatus":"ESTIMATED"}]}]},
      {"profileType":"INTERVAL","meterRefs":[{"scheme":"METER_SERIAL","value":"SM-7"}],
        "payloadDescriptorSetRef":"blocks","compactSequenceRef":"pair",
        "intervalPeriod":{"start":"2026-03-01T01:00:00+05:30","duration":"PT30M"},
        "intervals":[{"id":0,"payloads":[0.7,0.3]}]}]"#;

    fn read_text(text: &str) -> Result<Vec<Series>, FormatError> {
        let now = Timestamp::from_seconds(1_775_000_000);
        super::super::read(&mut text.as_bytes(), now).map(|data| data.series)
    }

    #[test]
    fn compact_numbers_are_summed_exactly() {
        let series = read_text(FILE).unwrap();
        let [import, export] = series.as_slice() else { panic!("two channels") };
        assert_eq!(import.summary().sum.to_string(), "1.0");
        assert_eq!(export.summary().sum.to_string(), "1.425");
        assert_eq!(export.summary().quality, "ESTIMATED|unstated");
        assert_eq!(import.summary().first_start, "2026-03-01T00:00:00+05:30");
        assert_eq!(import.summary().last_end, "2026-03-01T01:30:00+05:30");
        assert_eq!(
            (import.direction, export.direction),
            (Direction::Withdrawn, Direction::Injected)
        );
    }

    #[test]
    fn each_broken_rule_is_its_own_error() {
        let problem = |from: &str, to: &str| {
            assert!(FILE.contains(from), "{from}");
            read_text(&FILE.replacen(from, to, 1)).unwrap_err().problem
        };
        assert_eq!(problem("0.1,", "-0.1,"), Problem::Negative);
        assert_eq!(problem("0.1,", "null,"), Problem::Missing);
        assert_eq!(problem("0.1,", "\"0.1\","), Problem::Number);
        assert_eq!(problem("0.1,", "1e-1,"), Problem::Number);
        assert_eq!(problem("[0.1,0.0]", "[0.1]"), Problem::Malformed);
        assert_eq!(problem("\"id\":1", "\"id\":0"), Problem::Duplicate);
        assert_eq!(problem("T01:00", "T00:30"), Problem::Duplicate);
        assert_eq!(problem("PT30M", "PT20M"), Problem::IntervalLength);
        assert_eq!(problem("00:00:00+05:30", "00:01:00+05:30"), Problem::Misaligned);
        assert_eq!(problem("00:00:00+05:30", "00:00:00"), Problem::Malformed);
        assert_eq!(problem("2026-03-01T00", "2026-09-01T00"), Problem::Future);
        assert_eq!(problem("kWh", "kVAh"), Problem::Unit);
        assert_eq!(problem("kWh", "kW"), Problem::Unit);
        assert_eq!(problem("USAGE", "READING"), Problem::OtherDocument);
        assert_eq!(problem("\"name\":\"pair\"", "\"name\":\"other\""), Problem::Unresolved);
        assert_eq!(
            problem("\"readingType\":\"in\"}", "\"readingType\":\"x\"}"),
            Problem::Unresolved
        );
        assert_eq!(problem("INTERVAL", "BILLING"), Problem::OtherDocument);
        let cut = &FILE[..FILE.len() - 1];
        assert_eq!(read_text(cut).unwrap_err().problem, Problem::Truncated);
    }
}
