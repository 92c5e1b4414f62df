//! Green Button: ESPI resources in an Atom feed, read as a stream.
//!
//! Entries point at each other: an interval block lies under its meter reading, a meter reading
//! names its reading type, and the type says unit, power of ten and direction. Entries may come in
//! any order, so readings are kept until the feed has ended. Document type declarations, and with
//! them every entity of a file's own, are refused; nothing is fetched.

use std::collections::BTreeMap;

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use rust_decimal::Decimal;

use super::{
    FormatError, Problem, amount,
    line_source::LineSource,
    series::{self, Clock, Direction, Reading, Series, Unit},
};

/// Deepest nesting; a feed needs about eight.
const DEPTH_MAX: usize = 32;

/// Largest power of ten of a reading type, either sign.
const POWER_MAX: i32 = 9;

/// The elements that mean something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Entry,
    Link,
    MeterReading,
    ReadingType,
    IntervalBlock,
    IntervalReading,
    ReadingQuality,
    TimePeriod,
    Quality,
    Duration,
    Start,
    Value,
    FlowDirection,
    PowerOfTen,
    Uom,
    Accumulation,
    Other,
}

impl Tag {
    fn from_name(name: &str) -> Self {
        match name {
            "entry" => Self::Entry,
            "link" => Self::Link,
            "MeterReading" => Self::MeterReading,
            "ReadingType" => Self::ReadingType,
            "IntervalBlock" => Self::IntervalBlock,
            "IntervalReading" => Self::IntervalReading,
            "ReadingQuality" => Self::ReadingQuality,
            "timePeriod" => Self::TimePeriod,
            "quality" => Self::Quality,
            "duration" => Self::Duration,
            "start" => Self::Start,
            "value" => Self::Value,
            "flowDirection" => Self::FlowDirection,
            "powerOfTenMultiplier" => Self::PowerOfTen,
            "uom" => Self::Uom,
            "accumulationBehaviour" => Self::Accumulation,
            _ => Self::Other,
        }
    }
}

/// A reading before its type is known.
#[derive(Debug, Clone, Copy)]
struct Raw {
    start: i64,
    seconds: u32,
    value: Decimal,
    quality: Option<u8>,
    line: u32,
}

#[derive(Debug, Default)]
struct RawText {
    start: Option<i64>,
    seconds: Option<u32>,
    value: Option<Decimal>,
    quality: Option<u8>,
}

#[derive(Debug, Clone, Default)]
struct ReadingType {
    flow: Option<i32>,
    power: Option<i32>,
    uom: Option<i32>,
    accumulation: Option<i32>,
    line: u64,
}

#[derive(Debug, Default)]
struct Entry {
    own: String,
    up: String,
    related: Vec<String>,
    reading_type: Option<ReadingType>,
    is_meter_reading: bool,
    has_block: bool,
    readings: Vec<Raw>,
    line: u64,
}

#[derive(Debug, Default)]
struct Parser {
    line: u64,
    path: Vec<Tag>,
    text: String,
    entry: Entry,
    raw: RawText,
    types: BTreeMap<String, ReadingType>,
    meter_readings: BTreeMap<String, Vec<String>>,
    blocks: Vec<(String, u64, Vec<Raw>)>,
    readings: usize,
    is_feed: bool,
}

/// Reads a feed.
pub(super) fn read(source: &mut LineSource<'_>) -> Result<Vec<Series>, FormatError> {
    let mut reader = Reader::from_reader(source);
    let mut parser = Parser::default();
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        reader.get_mut().begin_piece();
        parser.line = reader.get_ref().line();
        let event =
            reader.read_event_into(&mut buffer).map_err(|error| not_xml(&error, parser.line))?;
        match event {
            Event::Start(tag) => parser.open(&tag)?,
            Event::Empty(tag) => {
                parser.open(&tag)?;
                parser.close()?;
            }
            Event::End(_) => parser.close()?,
            Event::Text(text) => parser.text.push_str(text.into_inner().trim()),
            Event::CData(text) => parser.text.push_str(text.into_inner().trim()),
            Event::GeneralRef(name) => parser.add_reference(&name.into_inner())?,
            Event::DocType(_) => {
                let why = "document type declarations are refused: they can define entities";
                return parser.refuse(Problem::Malformed, "DOCTYPE", "", why);
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if !parser.path.is_empty() {
        let why = "the feed ends inside an element; the file was cut off";
        return parser.refuse(Problem::Truncated, "file", "", why);
    }
    parser.resolve()
}

fn not_xml(error: &quick_xml::Error, line: u64) -> FormatError {
    if let quick_xml::Error::Io(error) = error {
        return super::line_source::unreadable(error, Some(line));
    }
    let is_cut = matches!(error, quick_xml::Error::Syntax(_));
    let problem = if is_cut { Problem::Truncated } else { Problem::Malformed };
    FormatError::new(problem, Some(line), "XML", "", &error.to_string())
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

    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), FormatError> {
        if self.path.len() >= DEPTH_MAX {
            let why = format!("elements are nested deeper than {DEPTH_MAX}");
            return self.refuse(Problem::TooLarge, "XML", "", &why);
        }
        let name = tag.local_name();
        let found = Tag::from_name(name.as_ref());
        if self.path.is_empty() && name.as_ref() == "feed" {
            self.is_feed = true;
        }
        if found == Tag::Entry {
            self.entry = Entry { line: self.line, ..Entry::default() };
        } else if found == Tag::Link && self.path.last() == Some(&Tag::Entry) {
            self.link(tag)?;
        } else if found == Tag::MeterReading {
            self.entry.is_meter_reading = true;
        } else if found == Tag::ReadingType {
            let line = self.line;
            self.entry.reading_type = Some(ReadingType { line, ..ReadingType::default() });
        } else if found == Tag::IntervalBlock {
            self.entry.has_block = true;
        } else if found == Tag::IntervalReading {
            self.raw = RawText::default();
        }
        self.text.clear();
        self.path.push(found);
        Ok(())
    }

    fn link(&mut self, tag: &BytesStart<'_>) -> Result<(), FormatError> {
        let mut rel = String::new();
        let mut href = String::new();
        for attribute in tag.attributes() {
            let Ok(attribute) = attribute else {
                return self.refuse(Problem::Malformed, "link", "", "an attribute cannot be read");
            };
            match attribute.key.local_name().as_ref() {
                "rel" => rel = attribute.value.into_owned(),
                "href" => href = attribute.value.into_owned(),
                _ => {}
            }
        }
        match rel.as_str() {
            "self" => self.entry.own = href,
            "up" => self.entry.up = href,
            "related" => self.entry.related.push(href),
            _ => {}
        }
        Ok(())
    }

    /// The five references of XML itself and numbered ones occur in titles; others cannot be
    /// defined without a document type.
    fn add_reference(&mut self, name: &str) -> Result<(), FormatError> {
        let known = matches!(name, "amp" | "lt" | "gt" | "quot" | "apos");
        if known || name.starts_with('#') {
            self.text.push('&');
            return Ok(());
        }
        self.refuse(Problem::Malformed, "entity", name, "this entity is defined nowhere")
    }

    fn number<T: core::str::FromStr>(&self, field: &str) -> Result<T, FormatError> {
        match self.text.parse() {
            Ok(number) => Ok(number),
            Err(_) => self.refuse(Problem::Number, field, &self.text, "expected a whole number"),
        }
    }

    fn close(&mut self) -> Result<(), FormatError> {
        let tag = self.path.pop().unwrap_or(Tag::Other);
        let parent = self.path.last().copied().unwrap_or(Tag::Other);
        match (tag, parent) {
            (Tag::Start, Tag::TimePeriod) => self.raw.start = Some(self.number("start")?),
            (Tag::Duration, Tag::TimePeriod) => self.raw.seconds = Some(self.number("duration")?),
            (Tag::Quality, Tag::ReadingQuality) => {
                self.raw.quality = Some(self.number("quality")?);
            }
            (Tag::Value, Tag::IntervalReading) => {
                let value = amount::parse(&self.text)
                    .or_else(|(problem, why)| self.refuse(problem, "value", &self.text, why))?;
                self.raw.value = Some(value);
            }
            (Tag::IntervalReading, _) => self.end_reading()?,
            (
                Tag::FlowDirection | Tag::PowerOfTen | Tag::Uom | Tag::Accumulation,
                Tag::ReadingType,
            ) => {
                self.describe(tag)?;
            }
            (Tag::Entry, _) => self.end_entry(),
            _ => {}
        }
        self.text.clear();
        Ok(())
    }

    fn describe(&mut self, tag: Tag) -> Result<(), FormatError> {
        let number = Some(self.number("reading type")?);
        if let Some(kind) = &mut self.entry.reading_type {
            if tag == Tag::FlowDirection {
                kind.flow = number;
            } else if tag == Tag::PowerOfTen {
                kind.power = number;
            } else if tag == Tag::Uom {
                kind.uom = number;
            } else {
                kind.accumulation = number;
            }
        }
        Ok(())
    }

    fn end_reading(&mut self) -> Result<(), FormatError> {
        let raw = core::mem::take(&mut self.raw);
        let (Some(start), Some(seconds), Some(value)) = (raw.start, raw.seconds, raw.value) else {
            let why = "a reading needs timePeriod/start, timePeriod/duration and value";
            return self.refuse(Problem::Missing, "IntervalReading", "", why);
        };
        if !series::is_length(seconds) {
            let why = "expected 300, 900, 1800, 3600 or 86400 seconds";
            let value = seconds.to_string();
            return self.refuse(Problem::IntervalLength, "duration", &value, why);
        }
        self.readings = self.readings.saturating_add(1);
        series::check_count(self.readings, Some(self.line))?;
        let line = u32::try_from(self.line).unwrap_or(u32::MAX);
        self.entry.readings.push(Raw { start, seconds, value, quality: raw.quality, line });
        Ok(())
    }

    fn end_entry(&mut self) {
        let entry = core::mem::take(&mut self.entry);
        if let Some(kind) = entry.reading_type {
            self.types.insert(entry.own, kind);
        } else if entry.is_meter_reading {
            self.meter_readings.insert(entry.own, entry.related);
        } else if entry.has_block {
            let up = if entry.up.is_empty() { entry.own } else { entry.up };
            self.blocks.push((up, entry.line, entry.readings));
        }
    }

    /// Gives every block its type.
    fn resolve(mut self) -> Result<Vec<Series>, FormatError> {
        if !self.is_feed {
            let why = "expected an Atom feed of ESPI resources";
            self.line = 1;
            return self.refuse(Problem::UnknownFormat, "root element", "", why);
        }
        let mut all: Vec<Series> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for (up, line, raws) in core::mem::take(&mut self.blocks) {
            self.line = line;
            let owner = up.split("/IntervalBlock").next().unwrap_or_default();
            let related = self.meter_readings.get(owner);
            let kind = related.into_iter().flatten().find_map(|href| self.types.get(href)).cloned();
            let Some(kind) = kind else {
                let why = "its meter reading, or the reading type of that, is not in the feed";
                return self.refuse(Problem::Unresolved, "IntervalBlock", &up, why);
            };
            let place = match places.get(owner) {
                Some(place) => *place,
                None => {
                    places.insert(owner.to_owned(), all.len());
                    all.push(self.series(owner, &kind)?);
                    all.len().saturating_sub(1)
                }
            };
            let Some(one) = all.get_mut(place) else { continue };
            self.fill(one, &kind, &raws)?;
        }
        Ok(all)
    }

    fn series(&self, owner: &str, kind: &ReadingType) -> Result<Series, FormatError> {
        let at = |problem, field: &str, value: Option<i32>, why: &str| {
            let value = value.map_or_else(String::new, |value| value.to_string());
            Err(FormatError::new(problem, Some(kind.line), field, &value, why))
        };
        let (unit_name, plain) = match kind.uom {
            Some(72) => ("Wh", "wh"),
            Some(73) => ("varh", "varh"),
            Some(71) => ("VAh", "vah"),
            other => {
                let why = "expected 72 (Wh), 73 (varh) or 71 (VAh)";
                return at(Problem::Unit, "uom", other, why);
            }
        };
        if !matches!(kind.accumulation, None | Some(4)) {
            let why = "expected 4: what was metered within each interval";
            return at(Problem::OtherDocument, "accumulationBehaviour", kind.accumulation, why);
        }
        if kind.power.unwrap_or(0).abs() > POWER_MAX {
            return at(Problem::Unit, "powerOfTenMultiplier", kind.power, "expected -9 to 9");
        }
        let (flow, direction) = match kind.flow {
            Some(1) => ("forward", Direction::Withdrawn),
            Some(19) => ("reverse", Direction::Injected),
            Some(4) => ("net", Direction::Neither),
            None | Some(0) => ("none", Direction::Neither),
            other => {
                let why = "expected 1 (forward), 19 (reverse), 4 (net) or 0 (none)";
                return at(Problem::Unit, "flowDirection", other, why);
            }
        };
        let after = |name: &str| {
            let mut parts = owner.split('/');
            parts.by_ref().find(|part| *part == name)?;
            parts.next()
        };
        let Some(meter) = after("UsagePoint") else {
            let why = "expected a link with a usage point in it";
            return self.refuse(Problem::Unresolved, "IntervalBlock", owner, why);
        };
        Ok(Series {
            meter: meter.to_owned(),
            channel: format!("{}:{flow}", after("MeterReading").unwrap_or_default()),
            unit_name: unit_name.to_owned(),
            unit: Unit { exponent: 0, plain },
            direction: if plain == "wh" { direction } else { Direction::Neither },
            clock: Clock::Utc,
            qualities: Vec::new(),
            readings: Vec::new(),
        })
    }

    fn fill(&self, one: &mut Series, kind: &ReadingType, raws: &[Raw]) -> Result<(), FormatError> {
        let is_net = matches!(kind.flow, Some(4));
        for raw in raws {
            let line = Some(u64::from(raw.line));
            let shown = raw.value.to_string();
            if raw.value.is_sign_negative() && !raw.value.is_zero() && !is_net {
                let why = "below zero, but the flow has one direction";
                return Err(FormatError::new(Problem::Negative, line, "value", &shown, why));
            }
            let Some(value) = shift(raw.value, kind.power.unwrap_or(0)) else {
                let why = "too large or too fine at its power of ten";
                return Err(FormatError::new(Problem::Number, line, "value", &shown, why));
            };
            let quality = match raw.quality {
                Some(code) => one.quality(&code.to_string()),
                None => one.quality(series::UNSTATED),
            };
            let Raw { start, seconds, line, .. } = *raw;
            one.readings.push(Reading { start, seconds, value, quality, line });
        }
        Ok(())
    }
}

/// The value times a power of ten, exactly, within the digits every quantity keeps to.
fn shift(value: Decimal, power: i32) -> Option<Decimal> {
    const VALUE_MAX: i64 = 1_000_000_000_000;
    let factor = Decimal::from(10_i64.checked_pow(power.unsigned_abs())?);
    let shifted = if power < 0 {
        let mut finer = value;
        finer.set_scale(value.scale().checked_add(power.unsigned_abs())?).ok()?;
        finer
    } else {
        value.checked_mul(factor)?
    };
    (shifted.abs() < Decimal::from(VALUE_MAX) && shifted.scale() <= 9).then_some(shifted)
}

#[cfg(test)]
mod tests {
    use types::Timestamp;

    use super::*;

    const UP: &str = "/r/UsagePoint/U7/MeterReading/2";

    fn entry(own: &str, links: &str, content: &str) -> String {
        format!(
            r#"<entry><link rel="self" href="{own}"/>{links}<content>{content}</content></entry>"#
        )
    }

    fn reading(start: i64, value: &str, extra: &str) -> String {
        format!(
            "<IntervalReading>{extra}<timePeriod><duration>900</duration><start>{start}</start>\
             </timePeriod><value>{value}</value></IntervalReading>"
        )
    }

    fn feed(power: &str, blocks: &str) -> String {
        let link = r#"<link rel="related" href="/r/ReadingType/9"/>"#;
        let kind = format!(
            "<espi:ReadingType xmlns:espi='http://naesb.org/espi'>\
             <espi:accumulationBehaviour>4</espi:accumulationBehaviour>\
             <espi:flowDirection>19</espi:flowDirection>\
             <espi:powerOfTenMultiplier>{power}</espi:powerOfTenMultiplier><espi:uom>72</espi:uom>\
             </espi:ReadingType>"
        );
        let up = format!(r#"<link rel="up" href="{UP}/IntervalBlock"/>"#);
        // The type comes last on purpose.
        format!(
            "<?xml version='1.0'?>\n<feed xmlns='http://www.w3.org/2005/Atom'><title>A &amp; B</title>\n{}\n{}\n{}\n</feed>",
            entry(UP, link, "<MeterReading/>"),
            entry(
                &format!("{UP}/IntervalBlock/1"),
                &up,
                &format!("<IntervalBlock>{blocks}</IntervalBlock>")
            ),
            entry("/r/ReadingType/9", "", &kind),
        )
    }

    fn read_text(text: &str) -> Result<Vec<Series>, FormatError> {
        let now = Timestamp::from_seconds(1_775_000_000);
        super::super::read(&mut text.as_bytes(), now).map(|data| data.series)
    }

    #[test]
    fn links_are_followed_and_the_power_of_ten_is_exact() {
        let quality = "<ReadingQuality><quality>8</quality></ReadingQuality>";
        let blocks = reading(1_330_578_000, "282", quality) + &reading(1_330_578_900, "1", "");
        let series = read_text(&feed("-3", &blocks)).unwrap();
        let [one] = series.as_slice() else { panic!("one series") };
        assert_eq!((one.meter.as_str(), one.channel.as_str()), ("U7", "2:reverse"));
        assert_eq!(one.direction, Direction::Injected);
        let summary = one.summary();
        assert_eq!(summary.sum.to_string(), "0.283");
        assert_eq!(summary.quality, "8|unstated");
        assert_eq!(summary.first_start, "2012-03-01T05:00:00Z");
        assert_eq!(summary.last_end, "2012-03-01T05:30:00Z");
        let kilo = read_text(&feed("3", &reading(1_330_578_000, "282", ""))).unwrap();
        assert_eq!(kilo[0].summary().sum.to_string(), "282000");
    }

    #[test]
    fn each_broken_rule_is_its_own_error() {
        let good = feed("0", &reading(1_330_578_000, "282", ""));
        let problem = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            read_text(&good.replacen(from, to, 1)).unwrap_err().problem
        };
        assert_eq!(problem("<value>282", "<value>-282"), Problem::Negative);
        assert_eq!(problem("<value>282", "<value>many"), Problem::Number);
        assert_eq!(problem("<value>282</value>", ""), Problem::Missing);
        assert_eq!(problem("<duration>900", "<duration>901"), Problem::IntervalLength);
        assert_eq!(problem("1330578000", "1330578001"), Problem::Misaligned);
        assert_eq!(problem("1330578000", "1330578300"), Problem::Misaligned);
        assert_eq!(problem("1330578000", "1930577400"), Problem::Future);
        assert_eq!(problem("uom>72<", "uom>38<"), Problem::Unit);
        assert_eq!(problem("Behaviour>4<", "Behaviour>3<"), Problem::OtherDocument);
        assert_eq!(problem("Direction>19<", "Direction>7<"), Problem::Unit);
        assert_eq!(problem("related", "other"), Problem::Unresolved);
        assert_eq!(problem("A &amp; B", "A &bomb; B"), Problem::Malformed);
        assert_eq!(problem("</feed>", ""), Problem::Truncated);
        assert_eq!(problem("</IntervalBlock>", ""), Problem::Malformed);
        assert_eq!(problem("</feed", "</feed><feed><entry"), Problem::Truncated);
        let doctype = good.replacen("<feed", "<!DOCTYPE x [<!ENTITY a 'b'>]><feed", 1);
        assert_eq!(read_text(&doctype).unwrap_err().field, "DOCTYPE");
        let twice = feed("0", &reading(1_330_578_000, "282", "").repeat(2));
        assert_eq!(read_text(&twice).unwrap_err().problem, Problem::Duplicate);
        assert_eq!(read_text("<html></html>").unwrap_err().problem, Problem::UnknownFormat);
        assert_eq!(read_text("<feed></feed>").unwrap_err().problem, Problem::NoReadings);
        let deep = format!("<feed>{}", "<a>".repeat(40));
        assert_eq!(read_text(&deep).unwrap_err().problem, Problem::TooLarge);
        let long = format!("<feed><a>{}</a></feed>", "x".repeat(2_000_000));
        assert_eq!(read_text(&long).unwrap_err().problem, Problem::TooLarge);
    }
}
