//! What utilities say of their wires: where meters hang and who serves them, curtailments and
//! limits of zones and feeders; and the names that meters have in a signer's own files.

use serde::{Deserialize, Serialize};
use types::{DeliverySlot, Energy, MeterId, Party, Role, Side};

use super::{
    CurtailmentReason, DocumentKind, DocumentReject,
    document::{energy, first_revision, span, to_json},
    side_name,
};
use crate::registry::{MeterCode, MeterPoint, PlaceName};

/// A utility's limit on what all contracts of a zone or feeder may move in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZoneCurtailment {
    /// Which zone.
    pub zone: PlaceName,
    /// Which feeder of it; all, if none is named.
    pub feeder: Option<PlaceName>,
    /// Injection is the seller's side, withdrawal the buyer's.
    pub side: Side,
    /// When: exactly one slot.
    pub slot: DeliverySlot,
    /// The most that its contracts together may move; zero rejects them.
    pub cap: Energy,
    /// Why.
    pub reason: CurtailmentReason,
    /// Which version, from 1 upwards.
    pub revision: u32,
}

/// A utility's limit on what may be traded ahead of time in a zone or feeder, in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridLimit {
    /// Which zone.
    pub zone: PlaceName,
    /// Which feeder of it; all, if none is named.
    pub feeder: Option<PlaceName>,
    /// Injection is the seller's side, withdrawal the buyer's.
    pub side: Side,
    /// When: exactly one slot.
    pub slot: DeliverySlot,
    /// The most that may be traded.
    pub limit: Energy,
    /// Which version, from 1 upwards.
    pub revision: u32,
}

/// Where meters hang, and who serves them, from a moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterPoints {
    /// Which version of what it says of these meters and moments, from 1 upwards.
    pub revision: u32,
    /// What it says.
    pub points: Vec<(MeterId, MeterPoint)>,
}

/// The names of meters in files of the signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterCodes {
    /// Each name for good.
    pub codes: Vec<(MeterId, MeterCode)>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Direction {
    Injection,
    Withdrawal,
}

impl Direction {
    const fn side(self) -> Side {
        match self {
            Self::Injection => Side::Sell,
            Self::Withdrawal => Side::Buy,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ZoneCurtailmentText {
    #[serde(rename = "type")]
    _kind: String,
    zone: String,
    feeder: Option<String>,
    direction: Direction,
    slot_start: String,
    minutes: u16,
    cap_wh: Option<i64>,
    reason: CurtailmentReason,
    #[serde(default = "first_revision")]
    revision: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GridLimitText {
    #[serde(rename = "type")]
    _kind: String,
    zone: String,
    feeder: Option<String>,
    direction: Direction,
    slot_start: String,
    minutes: u16,
    limit_wh: Option<i64>,
    #[serde(default = "first_revision")]
    revision: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MeterPointsText {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default = "first_revision")]
    revision: u32,
    points: Vec<PointText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PointText {
    meter: u32,
    from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feeder: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    served_by: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MeterCodesText {
    #[serde(rename = "type")]
    kind: String,
    codes: Vec<CodeText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeText {
    meter: u32,
    code: String,
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, DocumentReject> {
    serde_json::from_slice(body).map_err(|_| DocumentReject::Malformed)
}

fn name<const N: usize>(text: &str) -> Result<types::Code<N>, DocumentReject> {
    types::Code::new(text).map_err(|_| DocumentReject::Malformed)
}

fn rising(revision: u32) -> Result<u32, DocumentReject> {
    if revision == 0 { Err(DocumentReject::Malformed) } else { Ok(revision) }
}

/// Reads the body of a curtailment that names a zone.
///
/// # Errors
/// The first rule it breaks.
pub fn parse_zone_curtailment(body: &[u8]) -> Result<ZoneCurtailment, DocumentReject> {
    let text: ZoneCurtailmentText = read(body)?;
    Ok(ZoneCurtailment {
        zone: name(&text.zone)?,
        feeder: text.feeder.as_deref().map(name).transpose()?,
        side: text.direction.side(),
        slot: span(&text.slot_start, text.minutes)?,
        cap: energy(text.cap_wh)?,
        reason: text.reason,
        revision: rising(text.revision)?,
    })
}

/// Reads the body of a limit.
///
/// # Errors
/// The first rule it breaks.
pub fn parse_limit(body: &[u8]) -> Result<GridLimit, DocumentReject> {
    let text: GridLimitText = read(body)?;
    Ok(GridLimit {
        zone: name(&text.zone)?,
        feeder: text.feeder.as_deref().map(name).transpose()?,
        side: text.direction.side(),
        slot: span(&text.slot_start, text.minutes)?,
        limit: energy(text.limit_wh)?,
        revision: rising(text.revision)?,
    })
}

/// Reads the body of a list of meter points.
///
/// # Errors
/// The first rule it breaks.
pub fn parse_points(body: &[u8]) -> Result<MeterPoints, DocumentReject> {
    let text: MeterPointsText = read(body)?;
    let mut points = Vec::with_capacity(text.points.len());
    for point in &text.points {
        // Whoever changes, changes on the grid of blocks.
        let from = span(&point.from, 15)?;
        let served_by = point.served_by.as_deref().map(server).transpose()?;
        let said = MeterPoint {
            from_minute: from.start_minute(),
            zone: point.zone.as_deref().map(name).transpose()?,
            feeder: point.feeder.as_deref().map(name).transpose()?,
            served_by,
        };
        points.push((MeterId::new(point.meter), said));
    }
    let mut keys: Vec<_> =
        points.iter().map(|(meter, point)| (*meter, point.from_minute)).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| matches!(pair, [first, second] if first == second)) {
        return Err(DocumentReject::RepeatedReading);
    }
    if points.is_empty() {
        return Err(DocumentReject::Malformed);
    }
    Ok(MeterPoints { revision: rising(text.revision)?, points })
}

/// Retailers and utilities read meters.
fn server(text: &str) -> Result<Party, DocumentReject> {
    super::envelope::parse_party(text)
        .filter(|party| matches!(party.role, Role::Retailer | Role::Utility))
        .ok_or(DocumentReject::Malformed)
}

/// Reads the body of a list of names.
///
/// # Errors
/// The first rule it breaks.
pub fn parse_codes(body: &[u8]) -> Result<MeterCodes, DocumentReject> {
    let text: MeterCodesText = read(body)?;
    let mut codes = Vec::with_capacity(text.codes.len());
    for line in &text.codes {
        codes.push((MeterId::new(line.meter), name(&line.code)?));
    }
    let mut names: Vec<MeterCode> = codes.iter().map(|(_, code)| *code).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| matches!(pair, [first, second] if first == second)) {
        return Err(DocumentReject::CodeTaken);
    }
    if codes.is_empty() { Err(DocumentReject::Malformed) } else { Ok(MeterCodes { codes }) }
}

/// What curtailments and limits of a place have in common.
struct Scope<'a> {
    kind: DocumentKind,
    zone: &'a PlaceName,
    feeder: Option<&'a PlaceName>,
    side: Side,
    slot: DeliverySlot,
    revision: u32,
}

impl Scope<'_> {
    /// The keys of the scope, and more.
    fn to_body(&self, more: &[(&str, serde_json::Value)]) -> Vec<u8> {
        let mut map = serde_json::Map::new();
        let mut put = |key: &str, value: serde_json::Value| {
            map.insert(key.to_owned(), value);
        };
        put("type", self.kind.name().into());
        put("zone", self.zone.as_str().into());
        if let Some(feeder) = self.feeder {
            put("feeder", feeder.as_str().into());
        }
        put("direction", side_name(self.side).into());
        put("slot_start", self.slot.start().to_string().into());
        put("minutes", self.slot.minutes().into());
        for (key, value) in more {
            put(key, value.clone());
        }
        put("revision", self.revision.into());
        to_json(&map)
    }
}

impl ZoneCurtailment {
    /// The body to be sealed.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        let Self { zone, feeder, side, slot, revision, .. } = self;
        let (kind, feeder) = (DocumentKind::Curtailment, feeder.as_ref());
        let reason = match self.reason {
            CurtailmentReason::Outage => "outage",
            CurtailmentReason::Policy => "policy",
        };
        Scope { kind, zone, feeder, side: *side, slot: *slot, revision: *revision }
            .to_body(&[("cap_wh", self.cap.wh().into()), ("reason", reason.into())])
    }
}

impl GridLimit {
    /// The body to be sealed.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        let Self { zone, feeder, side, slot, revision, .. } = self;
        let (kind, feeder) = (DocumentKind::GridLimit, feeder.as_ref());
        Scope { kind, zone, feeder, side: *side, slot: *slot, revision: *revision }
            .to_body(&[("limit_wh", self.limit.wh().into())])
    }
}

impl MeterPoints {
    /// The body to be sealed.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        let text = |name: Option<PlaceName>| name.map(|name| name.to_string());
        let line = |(meter, point): &(MeterId, MeterPoint)| PointText {
            meter: meter.get(),
            from: types::Timestamp::from_seconds(i64::from(point.from_minute).saturating_mul(60))
                .to_string(),
            zone: text(point.zone),
            feeder: text(point.feeder),
            served_by: point.served_by.map(|party| party.to_string()),
        };
        to_json(&MeterPointsText {
            kind: DocumentKind::MeterPoints.name().to_owned(),
            revision: self.revision,
            points: self.points.iter().map(line).collect(),
        })
    }
}

impl MeterCodes {
    /// The body to be sealed.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        let line = |(meter, code): &(MeterId, MeterCode)| CodeText {
            meter: meter.get(),
            code: code.to_string(),
        };
        to_json(&MeterCodesText {
            kind: DocumentKind::MeterCodes.name().to_owned(),
            codes: self.codes.iter().map(line).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::document, *};
    use crate::metering::Document;

    fn read(body: &[u8]) -> Result<Document, DocumentReject> {
        document::parse(document::kind_of(body), body)
    }

    #[test]
    fn every_kind_survives_its_body() {
        let slot = DeliverySlot::new(29_000_040, 60).unwrap();
        let zone = PlaceName::new("Z1").unwrap();
        let curtailment = ZoneCurtailment {
            zone,
            feeder: None,
            side: Side::Sell,
            slot,
            cap: Energy::from_wh(400),
            reason: CurtailmentReason::Policy,
            revision: 2,
        };
        let known = read(&curtailment.to_body());
        assert_eq!(known, Ok(Document::ZoneCurtailment(curtailment)));
        let feeder = Some(PlaceName::new("F9").unwrap());
        let limit = Energy::from_wh(7);
        let limit = GridLimit { zone, feeder, side: Side::Buy, slot, limit, revision: 1 };
        assert_eq!(read(&limit.to_body()), Ok(Document::GridLimit(limit)));
        let served_by = Some(Party { role: Role::Retailer, number: 2 });
        let point = MeterPoint { from_minute: 29_000_040, zone: Some(zone), feeder, served_by };
        let points = MeterPoints { revision: 1, points: vec![(MeterId::new(3), point)] };
        assert_eq!(read(&points.to_body()), Ok(Document::MeterPoints(points)));
        let codes = MeterCodes { codes: vec![(MeterId::new(3), MeterCode::new("NMI3").unwrap())] };
        assert_eq!(read(&codes.to_body()), Ok(Document::MeterCodes(codes)));
    }

    #[test]
    fn each_broken_rule_has_its_reason() {
        use DocumentReject as Why;
        let refused = |text: &str| read(text.as_bytes()).unwrap_err();
        let limit = |zone: &str, start: &str, wh: &str, revision: &str| {
            refused(&format!(
                r#"{{"type":"grid_limit","zone":"{zone}","direction":"injection","slot_start":"{start}",
                    "minutes":60,"limit_wh":{wh},"revision":{revision}}}"#
            ))
        };
        let start = "2026-04-01T14:00:00Z";
        assert_eq!(limit("a zone", start, "1", "1"), Why::Malformed);
        assert_eq!(limit("Z", "2026-04-01T14:01:00Z", "1", "1"), Why::Misaligned);
        assert_eq!(limit("Z", start, "-1", "1"), Why::NegativeOrMissing);
        assert_eq!(limit("Z", start, "1", "0"), Why::Malformed);
        let code = r#"{"meter":1,"code":"A"}"#;
        let codes =
            |lines: &str| refused(&format!(r#"{{"type":"meter_codes","codes":[{lines}]}}"#));
        assert_eq!(codes(""), Why::Malformed);
        assert_eq!(codes(&format!("{code},{code}")), Why::CodeTaken);
        let points =
            |line: &str| refused(&format!(r#"{{"type":"meter_points","points":[{line}]}}"#));
        let good = r#"{"meter":1,"from":"2026-04-01T14:00:00Z"}"#;
        assert_eq!(points(""), Why::Malformed);
        assert_eq!(points(&format!("{good},{good}")), Why::RepeatedReading);
        let bad = good.replace('}', r#","served_by":"platform/1"}"#);
        assert_eq!(points(&bad), Why::Malformed);
        let unknown = good.replace('}', r#","colour":"red"}"#);
        assert_eq!(points(&unknown), Why::Malformed);
    }
}
