//! The bytes between exchange and rail: JSON, unknown fields refused, amounts in minor units.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use types::{Currency, MeterId, Money, Timestamp};

use super::{
    Answer, Bill, Event, Instruction, InstructionId, InstructionKind, News, Outcome, Sealed,
    event::{EVENT_ID_BYTES_MAX, REFERENCE_MAX},
};

/// Longest message, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Most events in an answer about one instruction.
pub const EVENTS_MAX: usize = 16;

/// Why a message cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It is no JSON of this kind.
    #[error("the message cannot be read: {0}")]
    Unreadable(String),
    /// A value that cannot be.
    #[error("`{field}` of the message is not possible")]
    Bad {
        /// Which field.
        field: &'static str,
    },
}

/// An instruction as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// Its number, 16 hexadecimal digits.
    pub instruction: String,
    /// `block`, `capture`, `release`, `collect`, `pay_out`, `refund` or `bill`.
    pub kind: String,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// Who pays or is paid, such as `meter/7`.
    pub party: String,
    /// The contract, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<u64>,
    /// Of a capture or release: the block's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Of a bill: what is presented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bill: Option<Bill>,
}

impl Submission {
    /// An instruction as it is sent.
    #[must_use]
    pub fn of(instruction: &Instruction, currency: Currency, bill: Option<Bill>) -> Self {
        Self {
            instruction: instruction.id.to_string(),
            kind: instruction.kind.name().to_owned(),
            amount: instruction.amount.minor(),
            currency: currency.code().to_owned(),
            party: instruction.owner.to_string(),
            contract: instruction.contract.map(types::TradeId::get),
            of: instruction.of.map(|id| id.to_string()),
            bill,
        }
    }

    /// The bytes. Plain numbers and strings always serialise.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// From bytes, with the number and the kind.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(body: &[u8]) -> Result<(Self, InstructionId, InstructionKind), MessageError> {
        let message: Self = parse(body)?;
        let id = InstructionId::parse(&message.instruction)
            .ok_or(MessageError::Bad { field: "instruction" })?;
        let kind = InstructionKind::ALL
            .into_iter()
            .find(|kind| kind.name() == message.kind)
            .ok_or(MessageError::Bad { field: "kind" })?;
        if message.amount <= 0 {
            return Err(MessageError::Bad { field: "amount" });
        }
        Ok((message, id, kind))
    }
}

fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, MessageError> {
    if body.len() > MESSAGE_BYTES_MAX {
        return Err(MessageError::Unreadable("it is too long".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| MessageError::Unreadable(error.to_string()))
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventBody {
    event: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    instruction: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meter: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<u64>,
    amount: i64,
    currency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    at: String,
}

impl Event {
    /// The bytes. Plain numbers and strings always serialise.
    #[must_use]
    pub fn to_body(&self, currency: Currency) -> Vec<u8> {
        let mut body = EventBody {
            event: self.id.clone(),
            kind: String::new(),
            instruction: None,
            meter: None,
            reference: None,
            amount: 0,
            currency: currency.code().to_owned(),
            until: None,
            at: self.at.to_string(),
        };
        match self.news {
            News::Of { instruction, outcome, amount } => {
                outcome.name().clone_into(&mut body.kind);
                body.instruction = Some(instruction.to_string());
                body.amount = amount.minor();
                if let Outcome::Settled { until } = outcome {
                    body.until = until.map(|until| until.to_string());
                }
            }
            News::Deposit { reference, meter, amount }
            | News::Recovered { reference, meter, amount } => {
                let is_deposit = matches!(self.news, News::Deposit { .. });
                body.kind = if is_deposit { "deposit" } else { "recovered" }.to_owned();
                body.reference = Some(reference);
                body.meter = Some(meter.get());
                body.amount = amount.minor();
            }
        }
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// From bytes whose seal was checked.
    ///
    /// # Errors
    /// When it is no event, or not in this currency.
    pub fn read(body: &[u8], currency: Currency) -> Result<Self, MessageError> {
        let body: EventBody = parse(body)?;
        let bad = |field| MessageError::Bad { field };
        if body.event.is_empty() || body.event.len() > EVENT_ID_BYTES_MAX {
            return Err(bad("event"));
        }
        if body.currency != currency.code() {
            return Err(bad("currency"));
        }
        if body.amount <= 0 {
            return Err(bad("amount"));
        }
        let at = instant(&body.at).ok_or(bad("at"))?;
        let until = body.until.as_deref().map(|text| instant(text).ok_or(bad("until")));
        let until = until.transpose()?;
        let amount = Money::from_minor(body.amount);
        let news = match body.kind.as_str() {
            "settled" => News::Of {
                instruction: number(body.instruction.as_deref())?,
                outcome: Outcome::Settled { until },
                amount,
            },
            "declined" | "expired" => News::Of {
                instruction: number(body.instruction.as_deref())?,
                outcome: if body.kind == "declined" { Outcome::Declined } else { Outcome::Expired },
                amount,
            },
            "deposit" | "recovered" => {
                let reference = body.reference.filter(|&reference| reference <= REFERENCE_MAX);
                let reference = reference.ok_or(bad("reference"))?;
                let meter = MeterId::new(body.meter.ok_or(bad("meter"))?);
                if body.kind == "deposit" {
                    News::Deposit { reference, meter, amount }
                } else {
                    News::Recovered { reference, meter, amount }
                }
            }
            _ => return Err(bad("type")),
        };
        Ok(Self { id: body.event, at, news })
    }
}

fn number(text: Option<&str>) -> Result<InstructionId, MessageError> {
    text.and_then(InstructionId::parse).ok_or(MessageError::Bad { field: "instruction" })
}

/// An instant as RFC 3339 writes it, within the range of [`Timestamp`].
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(instant.as_nanosecond()).ok().map(Timestamp::from_ns)
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedBody {
    timestamp: i64,
    event: String,
    body: String,
    signature: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerBody {
    answer: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<SealedBody>,
}

impl Answer {
    const fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::NotKnown => "not_known",
        }
    }

    /// The bytes of an answer, with the events of an instruction that was asked about.
    #[must_use]
    pub fn to_body(&self, events: &[Sealed]) -> Vec<u8> {
        let seal = |sealed: &Sealed| SealedBody {
            timestamp: sealed.timestamp,
            event: sealed.number.clone(),
            body: STANDARD.encode(&sealed.body),
            signature: sealed.signature.clone(),
        };
        let events = events.iter().map(seal).collect();
        let body = AnswerBody { answer: self.name().to_owned(), events };
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// From bytes. What cannot be read is [`Answer::Unknown`].
    #[must_use]
    pub fn read(body: &[u8]) -> (Self, Vec<Sealed>) {
        let Ok(AnswerBody { answer, events }) = parse(body) else {
            return (Self::Unknown, Vec::new());
        };
        let answer = [Self::Accepted, Self::Rejected, Self::NotKnown]
            .into_iter()
            .find(|one| one.name() == answer)
            .unwrap_or(Self::Unknown);
        let open = |body: SealedBody| {
            let SealedBody { timestamp, event: number, body, signature } = body;
            Some(Sealed { timestamp, number, body: STANDARD.decode(body).ok()?, signature })
        };
        (answer, events.into_iter().take(EVENTS_MAX).filter_map(open).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rupee() -> Currency {
        Currency::from_iso("INR").unwrap()
    }

    #[test]
    fn events_are_read_as_they_were_written() {
        let instruction = InstructionId::from_number(77);
        let amount = Money::from_minor(2_500);
        let until = Some(Timestamp::from_seconds(9_000));
        let of = |outcome| News::Of { instruction, outcome, amount };
        let (reference, meter) = (REFERENCE_MAX, MeterId::new(7));
        for news in [
            of(Outcome::Settled { until }),
            of(Outcome::Settled { until: None }),
            of(Outcome::Declined),
            of(Outcome::Expired),
            News::Deposit { reference, meter, amount },
            News::Recovered { reference, meter, amount },
        ] {
            let event = Event { id: "e-1".to_owned(), at: Timestamp::from_ns(1_500), news };
            assert_eq!(Event::read(&event.to_body(rupee()), rupee()), Ok(event));
        }
    }

    #[test]
    fn events_that_cannot_be_are_refused() {
        let good = r#"{"event":"e","type":"deposit","meter":7,"reference":1,"amount":5,"currency":"INR","at":"2026-04-01T00:00:00Z"}"#;
        assert!(Event::read(good.as_bytes(), rupee()).is_ok());
        for (from, to) in [
            ("\"event\":\"e\"", "\"event\":\"\""),
            ("deposit", "gift"),
            ("\"meter\":7,", ""),
            ("\"reference\":1", "\"reference\":1152921504606846976"),
            ("\"amount\":5", "\"amount\":0"),
            ("\"amount\":5", "\"amount\":5.5"),
            ("INR", "EUR"),
            ("2026-04-01T00:00:00Z", "yesterday"),
            ("2026-04-01T00:00:00Z", "9999-04-01T00:00:00Z"),
            ("}", ",\"more\":1}"),
            ("deposit", "settled"),
        ] {
            let text = good.replace(from, to);
            assert_ne!(text, good);
            assert!(Event::read(text.as_bytes(), rupee()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_leaves_it_unknown() {
        for body in [&b""[..], b"{}", b"[1]", b"{\"answer\":\"sure\"}"] {
            assert_eq!(Answer::read(body), (Answer::Unknown, Vec::new()));
        }
        let sealed = super::super::Signer::Hmac(vec![1; 32]).seal(5, "e", b"x".to_vec());
        let body = Answer::Accepted.to_body(std::slice::from_ref(&sealed));
        assert_eq!(Answer::read(&body), (Answer::Accepted, vec![sealed]));
    }
}
