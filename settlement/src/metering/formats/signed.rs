//! Our own readings: the document inside an envelope, or bare. Whether it is well formed is told
//! here; who signed it needs the registered key and is checked on ingestion.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rust_decimal::Decimal;
use serde::{Deserialize, de::IgnoredAny};
use types::{MeterId, Timestamp};

use super::{
    Format, FormatError, MeterData, Problem,
    series::{self, Clock, Direction, Reading, Series, Unit},
};
use crate::metering::{
    Document, DocumentKind, DocumentReject, MeterFile, Quality, Statement,
    document::{self},
};

#[derive(Deserialize)]
struct Keys {
    signer: Option<IgnoredAny>,
    #[serde(rename = "type")]
    kind: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    signer: String,
    body: String,
    signature: String,
}

/// Whether the keys are those of an envelope or of a body.
pub(super) fn is_signed(bytes: &[u8]) -> bool {
    // A list would be read as the fields of a struct.
    bytes.trim_ascii_start().starts_with(b"{")
        && serde_json::from_slice::<Keys>(bytes)
            .is_ok_and(|keys| keys.signer.is_some() || keys.kind.is_some())
}

/// Reads an envelope with whatever file is inside, or a bare body.
pub(super) fn read(bytes: &[u8], now: Timestamp) -> Result<MeterData, FormatError> {
    let keys: Keys = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    if keys.signer.is_none() {
        return read_body(bytes, now);
    }
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    let decode = |field: &str, text: &str| {
        STANDARD.decode(text).map_err(|error| {
            FormatError::new(Problem::Malformed, None, field, text, &error.to_string())
        })
    };
    if envelope.signer.split_once('/').is_none() {
        let why = "expected a role and a number, such as retailer/1";
        return Err(FormatError::new(Problem::Malformed, None, "signer", &envelope.signer, why));
    }
    if decode("signature", &envelope.signature)?.len() != 64 {
        let why = "expected 64 bytes in base64";
        let value = &envelope.signature;
        return Err(FormatError::new(Problem::Malformed, None, "signature", value, why));
    }
    read_body(&decode("body", &envelope.body)?, now)
}

fn read_body(body: &[u8], now: Timestamp) -> Result<MeterData, FormatError> {
    let kind = document::kind_of(body);
    if kind == DocumentKind::Curtailment {
        let why = "a curtailment holds no readings";
        return Err(FormatError::new(Problem::OtherDocument, None, "type", kind.name(), why));
    }
    match document::parse(kind, body) {
        Ok(Document::MeterReadings(file)) => {
            let mut series = from_file(&file);
            series::settle(&mut series, now)?;
            Ok(MeterData { format: Format::Signed, series })
        }
        Ok(_) => {
            let why = "expected readings";
            Err(FormatError::new(Problem::OtherDocument, None, "type", kind.name(), why))
        }
        Err(reject) => Err(refusal(kind, reject)),
    }
}

fn refusal(kind: DocumentKind, reject: DocumentReject) -> FormatError {
    let known = [
        (DocumentReject::NegativeOrMissing, Problem::Negative),
        (DocumentReject::Misaligned, Problem::Misaligned),
        (DocumentReject::RepeatedReading, Problem::Duplicate),
        (DocumentReject::OutOfRange, Problem::Number),
    ];
    let found = known.into_iter().find(|(of, _)| *of == reject);
    let problem = found.map_or(Problem::Malformed, |(_, problem)| problem);
    FormatError::new(problem, None, "body", kind.name(), reject.name())
}

fn malformed(error: &serde_json::Error) -> FormatError {
    let line = u64::try_from(error.line()).ok();
    FormatError::new(Problem::Malformed, line, "document", "", &error.to_string())
}

/// Both registers of every meter.
fn from_file(file: &MeterFile) -> Vec<Series> {
    let mut places: BTreeMap<MeterId, usize> = BTreeMap::new();
    let mut all: Vec<Series> = Vec::new();
    for Statement { key, metered, quality } in file.statements() {
        let place = *places.entry(key.meter).or_insert_with(|| {
            let first = all.len();
            for (channel, direction) in
                [("injected", Direction::Injected), ("withdrawn", Direction::Withdrawn)]
            {
                all.push(Series {
                    meter: key.meter.to_string(),
                    channel: channel.to_owned(),
                    unit_name: "Wh".to_owned(),
                    unit: Unit { exponent: 0, plain: "wh" },
                    direction,
                    clock: Clock::Utc,
                    qualities: Vec::new(),
                    readings: Vec::new(),
                });
            }
            first
        });
        let start = i64::from(key.slot.start_minute()).saturating_mul(60);
        let seconds = u32::from(key.slot.minutes()).saturating_mul(60);
        let registers = [metered.injected, metered.withdrawn];
        let both = all.iter_mut().skip(place).take(2);
        for (series, energy) in both.zip(registers) {
            let value = Decimal::from(energy.wh());
            let quality = series.quality(match quality {
                Quality::Measured => series::UNSTATED,
                Quality::Estimated => quality.name(),
            });
            series.readings.push(Reading { start, seconds, value, quality, line: 0 });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"type":"meter_readings","market":1,"revision":1,"minutes":15,
        "slot_start":"2026-03-01T19:30:00+05:30","readings":[
        {"meter":17,"injected_wh":123,"withdrawn_wh":0},
        {"meter":18,"injected_wh":0,"withdrawn_wh":7}]}"#;

    fn read_text(text: &str) -> Result<MeterData, FormatError> {
        super::super::read(&mut text.as_bytes(), Timestamp::from_seconds(1_775_000_000))
    }

    #[test]
    fn bare_and_enveloped_documents_are_read_alike() {
        let bare = read_text(BODY).unwrap();
        let lines: Vec<String> = bare
            .series
            .iter()
            .map(|one| format!("{} {} {}", one.meter, one.channel, one.summary().sum))
            .collect();
        assert_eq!(lines, ["17 injected 123", "17 withdrawn 0", "18 injected 0", "18 withdrawn 7"]);
        let body = STANDARD.encode(BODY);
        let signature = STANDARD.encode([0; 64]);
        let envelope =
            format!(r#"{{"signer":"retailer/1","body":"{body}","signature":"{signature}"}}"#);
        assert_eq!(read_text(&envelope).unwrap(), bare);
        let short = envelope.replace(&signature, "AAAA");
        assert_eq!(read_text(&short).unwrap_err().field, "signature");
    }

    #[test]
    fn what_is_wrong_with_a_document_is_told() {
        let problem =
            |from: &str, to: &str| read_text(&BODY.replace(from, to)).unwrap_err().problem;
        assert_eq!(problem("123", "-123"), Problem::Negative);
        assert_eq!(problem(":30:00+", ":31:00+"), Problem::Misaligned);
        assert_eq!(problem("\"meter\":18", "\"meter\":17"), Problem::Duplicate);
        assert_eq!(problem("2026-03", "2026-09"), Problem::Future);
        assert_eq!(problem("123,", "123"), Problem::Malformed);
        let curtailment = r#"{"type":"curtailment","meter":1}"#;
        assert_eq!(read_text(curtailment).unwrap_err().problem, Problem::OtherDocument);
    }
}
