//! What is inside an envelope: a file of readings or a curtailment, as JSON with whole numbers.

use serde::{Deserialize, Serialize};
use types::{DeliverySlot, Energy, MarketId, MeterId, Timestamp};

use super::{
    Disconnection, DocumentKind, DocumentReject, GridLimit, Key, MeterCodes, MeterPoints,
    PayOutRequest, Quality, Statement, ZoneCurtailment, grid,
};
use crate::{allocation::Metered, capture::ENERGY_WH_MAX};

/// Blocks begin on the quarter hour (or on a multiple of their length, when that is shorter): time
/// zones are whole quarter hours away from UTC.
const GRID_MINUTES: u16 = 15;

/// One meter's two registers over one interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Which meter.
    pub meter: MeterId,
    /// What it moved.
    pub metered: Metered,
    /// How far that can be relied on.
    pub quality: Quality,
}

/// The readings of one interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// When it begins.
    pub start: Timestamp,
    /// One per meter.
    pub readings: Vec<Reading>,
}

/// A retailer's file of readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterFile {
    /// For which market's slots.
    pub market: MarketId,
    /// Which version of these readings, from 1 upwards.
    pub revision: u32,
    /// Duration of every interval.
    pub minutes: u16,
    /// The intervals.
    pub intervals: Vec<Interval>,
}

/// Why a meter was curtailed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CurtailmentReason {
    /// The grid failed.
    Outage,
    /// The meter broke a rule.
    Policy,
}

/// A utility's limit on what one meter could move in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Curtailment {
    /// Which meter.
    pub meter: MeterId,
    /// When: exactly one slot.
    pub slot: DeliverySlot,
    /// The most it could move.
    pub cap: Energy,
    /// Why.
    pub reason: CurtailmentReason,
    /// Which version, from 1 upwards.
    pub revision: u32,
}

/// A document of either kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// Readings.
    MeterReadings(MeterFile),
    /// A curtailment of one meter.
    Curtailment(Curtailment),
    /// A curtailment of a zone or feeder.
    ZoneCurtailment(ZoneCurtailment),
    /// Where meters hang and who serves them.
    MeterPoints(MeterPoints),
    /// Names of meters in the signer's files.
    MeterCodes(MeterCodes),
    /// A limit on what is traded in a zone.
    GridLimit(GridLimit),
    /// Free money is to be paid out.
    PayOutRequest(PayOutRequest),
    /// A retailer's decision on disconnection.
    Disconnection(Disconnection),
}

#[derive(Deserialize)]
struct KindText<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MeterFileText {
    #[serde(rename = "type")]
    kind: String,
    market: u16,
    revision: u32,
    minutes: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot_start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    readings: Option<Vec<ReadingText>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    intervals: Option<Vec<IntervalText>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IntervalText {
    start: String,
    readings: Vec<ReadingText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadingText {
    meter: u32,
    injected_wh: Option<i64>,
    withdrawn_wh: Option<i64>,
    #[serde(default, skip_serializing_if = "is_measured")]
    quality: QualityText,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum QualityText {
    #[default]
    Measured,
    Estimated,
}

fn is_measured(quality: &QualityText) -> bool {
    *quality == QualityText::Measured
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CurtailmentText {
    #[serde(rename = "type")]
    kind: String,
    meter: u32,
    slot_start: String,
    minutes: u16,
    cap_wh: Option<i64>,
    reason: CurtailmentReason,
    #[serde(default = "first_revision")]
    revision: u32,
}

pub(super) const fn first_revision() -> u32 {
    1
}

/// Which kind a body says it is.
#[must_use]
pub fn kind_of(body: &[u8]) -> DocumentKind {
    match serde_json::from_slice::<KindText<'_>>(body) {
        Ok(KindText { kind: "meter_readings" }) => DocumentKind::MeterReadings,
        Ok(KindText { kind: "curtailment" }) => DocumentKind::Curtailment,
        Ok(KindText { kind: "meter_points" }) => DocumentKind::MeterPoints,
        Ok(KindText { kind: "meter_codes" }) => DocumentKind::MeterCodes,
        Ok(KindText { kind: "grid_limit" }) => DocumentKind::GridLimit,
        Ok(KindText { kind: "pay_out_request" }) => DocumentKind::PayOutRequest,
        Ok(KindText { kind: "disconnection" }) => DocumentKind::Disconnection,
        Ok(_) | Err(_) => DocumentKind::Unknown,
    }
}

/// Reads a body.
///
/// # Errors
/// The first rule it breaks.
pub fn parse(kind: DocumentKind, body: &[u8]) -> Result<Document, DocumentReject> {
    match kind {
        // A side's report is a signed request, never an envelope.
        DocumentKind::Unknown | DocumentKind::SideReport => Err(DocumentReject::Malformed),
        DocumentKind::MeterReadings => {
            let text = serde_json::from_slice(body).map_err(|_| unreadable(body))?;
            meter_file(text).map(Document::MeterReadings)
        }
        DocumentKind::Curtailment => {
            if let Ok(text) = serde_json::from_slice(body) {
                return curtailment(&text).map(Document::Curtailment);
            }
            grid::parse_zone_curtailment(body).map(Document::ZoneCurtailment)
        }
        DocumentKind::MeterPoints => grid::parse_points(body).map(Document::MeterPoints),
        DocumentKind::MeterCodes => grid::parse_codes(body).map(Document::MeterCodes),
        DocumentKind::GridLimit => grid::parse_limit(body).map(Document::GridLimit),
        DocumentKind::PayOutRequest => PayOutRequest::parse(body).map(Document::PayOutRequest),
        DocumentKind::Disconnection => Disconnection::parse(body).map(Document::Disconnection),
    }
}

impl MeterFile {
    /// The body to be sealed.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        let interval = |interval: &Interval| IntervalText {
            start: interval.start.to_string(),
            readings: interval.readings.iter().map(reading_text).collect(),
        };
        to_json(&MeterFileText {
            kind: DocumentKind::MeterReadings.name().to_owned(),
            market: self.market.get(),
            revision: self.revision,
            minutes: self.minutes,
            slot_start: None,
            readings: None,
            intervals: Some(self.intervals.iter().map(interval).collect()),
        })
    }

    /// The readings with the span they are about.
    pub fn statements(&self) -> impl Iterator<Item = Statement> + '_ {
        self.intervals.iter().flat_map(|interval| {
            let slot = DeliverySlot::starting_at(interval.start, self.minutes).ok();
            interval.readings.iter().filter_map(move |reading| {
                let Reading { meter, metered, quality } = *reading;
                slot.map(|slot| Statement { key: Key { meter, slot }, metered, quality })
            })
        })
    }
}

impl Curtailment {
    /// The body to be sealed.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        to_json(&CurtailmentText {
            kind: DocumentKind::Curtailment.name().to_owned(),
            meter: self.meter.get(),
            slot_start: self.slot.start().to_string(),
            minutes: self.slot.minutes(),
            cap_wh: i64::try_from(self.cap.wh()).ok(),
            reason: self.reason,
            revision: self.revision,
        })
    }
}

fn reading_text(reading: &Reading) -> ReadingText {
    ReadingText {
        meter: reading.meter.get(),
        injected_wh: i64::try_from(reading.metered.injected.wh()).ok(),
        withdrawn_wh: i64::try_from(reading.metered.withdrawn.wh()).ok(),
        quality: match reading.quality {
            Quality::Measured => QualityText::Measured,
            Quality::Estimated => QualityText::Estimated,
        },
    }
}

/// Structs of numbers and strings always serialise.
pub(super) fn to_json<T: Serialize>(text: &T) -> Vec<u8> {
    serde_json::to_vec(text).unwrap_or_default()
}

fn meter_file(text: MeterFileText) -> Result<MeterFile, DocumentReject> {
    let intervals = match (text.slot_start, text.readings, text.intervals) {
        (Some(start), Some(readings), None) => vec![IntervalText { start, readings }],
        (None, None, Some(intervals)) => intervals,
        _ => return Err(DocumentReject::Malformed),
    };
    if text.revision == 0 || intervals.is_empty() {
        return Err(DocumentReject::Malformed);
    }
    let mut seen = Vec::new();
    let mut read = Vec::with_capacity(intervals.len());
    for interval in intervals {
        let slot = span(&interval.start, text.minutes)?;
        let readings: Vec<Reading> =
            interval.readings.iter().map(reading).collect::<Result<_, _>>()?;
        seen.extend(readings.iter().map(|reading| (slot, reading.meter)));
        read.push(Interval { start: slot.start(), readings });
    }
    seen.sort_unstable();
    if seen.windows(2).any(|pair| matches!(pair, [first, second] if first == second)) {
        return Err(DocumentReject::RepeatedReading);
    }
    Ok(MeterFile {
        market: MarketId::new(text.market),
        revision: text.revision,
        minutes: text.minutes,
        intervals: read,
    })
}

/// Why readings cannot be read. A register in another unit (`injected_kwh`, `withdrawn_w`, or a `unit`)
/// has a reason of its own: it is what their sender has to look for.
fn unreadable(body: &[u8]) -> DocumentReject {
    let is_register = |key: &str| {
        let unit = key.strip_prefix("injected").or_else(|| key.strip_prefix("withdrawn"));
        key == "unit" || unit.is_some_and(|unit| unit != "_wh")
    };
    let has_other_unit = |interval: &serde_json::Value| {
        let readings = interval.get("readings").and_then(serde_json::Value::as_array);
        let objects = readings.into_iter().flatten().filter_map(serde_json::Value::as_object);
        objects.flat_map(serde_json::Map::keys).any(|key| is_register(key))
    };
    let Ok(file) = serde_json::from_slice::<serde_json::Value>(body) else {
        return DocumentReject::Malformed;
    };
    let intervals = file.get("intervals").and_then(serde_json::Value::as_array);
    let is_other = file.get("unit").is_some()
        || has_other_unit(&file)
        || intervals.into_iter().flatten().any(has_other_unit);
    if is_other { DocumentReject::WrongUnit } else { DocumentReject::Malformed }
}

fn reading(text: &ReadingText) -> Result<Reading, DocumentReject> {
    let metered =
        Metered { injected: energy(text.injected_wh)?, withdrawn: energy(text.withdrawn_wh)? };
    let quality = match text.quality {
        QualityText::Measured => Quality::Measured,
        QualityText::Estimated => Quality::Estimated,
    };
    Ok(Reading { meter: MeterId::new(text.meter), metered, quality })
}

fn curtailment(text: &CurtailmentText) -> Result<Curtailment, DocumentReject> {
    if text.revision == 0 {
        return Err(DocumentReject::Malformed);
    }
    Ok(Curtailment {
        meter: MeterId::new(text.meter),
        slot: span(&text.slot_start, text.minutes)?,
        cap: energy(text.cap_wh)?,
        reason: text.reason,
        revision: text.revision,
    })
}

pub(super) fn energy(wh: Option<i64>) -> Result<Energy, DocumentReject> {
    let wh = wh.and_then(|wh| u64::try_from(wh).ok()).ok_or(DocumentReject::NegativeOrMissing)?;
    if wh > ENERGY_WH_MAX { Err(DocumentReject::OutOfRange) } else { Ok(Energy::from_wh(wh)) }
}

/// Any UTC offset is an instant.
pub(super) fn span(start: &str, minutes: u16) -> Result<DeliverySlot, DocumentReject> {
    let instant: jiff::Timestamp = start.parse().map_err(|_| DocumentReject::Malformed)?;
    let ns = i64::try_from(instant.as_nanosecond()).map_err(|_| DocumentReject::Misaligned)?;
    let slot = DeliverySlot::starting_at(Timestamp::from_ns(ns), minutes)
        .map_err(|_| DocumentReject::Misaligned)?;
    on_grid(slot)
}

/// The slot, if it lies on the grid of blocks.
pub(super) fn on_grid(slot: DeliverySlot) -> Result<DeliverySlot, DocumentReject> {
    let grid = u32::from(slot.minutes().min(GRID_MINUTES));
    if slot.start_minute().checked_rem(grid) == Some(0) {
        Ok(slot)
    } else {
        Err(DocumentReject::Misaligned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Document, DocumentReject> {
        parse(kind_of(body.as_bytes()), body.as_bytes())
    }

    fn one(reading: &str) -> Result<Document, DocumentReject> {
        read(&format!(
            r#"{{"type":"meter_readings","market":1,"revision":1,"minutes":15,
                "slot_start":"2026-04-01T19:30:00+05:30","readings":[{reading}]}}"#
        ))
    }

    #[test]
    fn both_forms_mean_the_same_and_any_offset_is_an_instant() {
        let Document::MeterReadings(file) =
            one(r#"{"meter":17,"injected_wh":123,"withdrawn_wh":0}"#).unwrap()
        else {
            panic!("not a meter file");
        };
        assert_eq!(file.intervals[0].start.to_string(), "2026-04-01T14:00:00Z");
        let body = file.to_body();
        assert_eq!(parse(kind_of(&body), &body), Ok(Document::MeterReadings(file)));
    }

    #[test]
    fn each_broken_rule_has_its_reason() {
        use DocumentReject as Why;
        let refused = |reading: &str| one(reading).unwrap_err();
        assert_eq!(refused(r#"{"meter":1,"injected_wh":1}"#), Why::NegativeOrMissing);
        let negative = r#"{"meter":1,"injected_wh":-1,"withdrawn_wh":0}"#;
        assert_eq!(refused(negative), Why::NegativeOrMissing);
        let fraction = r#"{"meter":1,"injected_wh":1.5,"withdrawn_wh":0}"#;
        assert_eq!(refused(fraction), Why::Malformed);
        let key_twice = r#"{"meter":1,"meter":1,"injected_wh":1,"withdrawn_wh":0}"#;
        assert_eq!(refused(key_twice), Why::Malformed);
        let kilo = r#"{"meter":1,"injected_kwh":0.1,"withdrawn_kwh":0}"#;
        assert_eq!(refused(kilo), Why::WrongUnit);
        let watts = r#"{"meter":1,"injected_wh":1,"withdrawn_wh":0,"withdrawn_w":4}"#;
        assert_eq!(refused(watts), Why::WrongUnit);
        let named = r#"{"meter":1,"injected_wh":1,"withdrawn_wh":0,"unit":"Wh"}"#;
        assert_eq!(refused(named), Why::WrongUnit);
        let other_key = r#"{"meter":1,"injected_wh":1,"withdrawn_wh":0,"import":4}"#;
        assert_eq!(refused(other_key), Why::Malformed);
        let huge = r#"{"meter":1,"injected_wh":10000000001,"withdrawn_wh":0}"#;
        assert_eq!(refused(huge), Why::OutOfRange);
        let fine = r#"{"meter":1,"injected_wh":1,"withdrawn_wh":0}"#;
        assert_eq!(refused(&format!("{fine},{fine}")), Why::RepeatedReading);
        assert_eq!(read(r#"{"type":"other"}"#), Err(Why::Malformed));
        let cut = |start: &str, cap: &str| {
            read(&format!(
                r#"{{"type":"curtailment","meter":1,"slot_start":"{start}","minutes":60,
                    "cap_wh":{cap},"reason":"outage"}}"#
            ))
        };
        assert!(cut("2026-04-01T14:30:00Z", "0").is_ok());
        assert_eq!(cut("2026-04-01T14:05:00Z", "0"), Err(Why::Misaligned));
        assert_eq!(cut("2026-04-01T14:00:00.5Z", "0"), Err(Why::Misaligned));
        assert_eq!(cut("2026-04-01T14:00", "0"), Err(Why::Malformed));
        assert_eq!(cut("2026-04-01T14:00:00Z", "null"), Err(Why::NegativeOrMissing));
    }
}
