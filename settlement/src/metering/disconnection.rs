//! What a retailer decides about a meter that is suspended for what it owes.

use serde::{Deserialize, Serialize};
use types::MeterId;

use super::{DocumentKind, DocumentReject, document::to_json};

/// Most characters of a reason.
pub const REASON_CHARS_MAX: usize = 200;

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisconnectionDecision {
    /// The meter is to be disconnected if it goes on like this.
    Notice,
    /// The notice is taken back.
    Withdrawn,
}

impl DisconnectionDecision {
    /// The code in rows and leaves.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Notice => 1,
            Self::Withdrawn => 2,
        }
    }

    /// The decision with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Notice),
            2 => Some(Self::Withdrawn),
            _ => None,
        }
    }

    /// The word in documents and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A decision on disconnection, signed by the retailer that serves the meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnection {
    /// Whose.
    pub meter: MeterId,
    /// Which version of what this retailer decides about this meter, from 1 upwards.
    pub revision: u32,
    /// What.
    pub decision: DisconnectionDecision,
    /// Why, as [`Disconnection::is_reason`] has it.
    pub reason: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(rename = "type")]
    kind: String,
    meter: u32,
    revision: u32,
    decision: DisconnectionDecision,
    reason: String,
}

impl Disconnection {
    /// Whether a text can be a reason: 1 to [`REASON_CHARS_MAX`] characters on one line, without space
    /// around them.
    #[must_use]
    pub fn is_reason(text: &str) -> bool {
        let is_trimmed = !text.is_empty() && text.trim() == text;
        let fits = text.chars().count() <= REASON_CHARS_MAX;
        is_trimmed && fits && !text.chars().any(char::is_control)
    }

    /// The body to be sealed.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        to_json(&Text {
            kind: DocumentKind::Disconnection.name().to_owned(),
            meter: self.meter.get(),
            revision: self.revision,
            decision: self.decision,
            reason: self.reason.clone(),
        })
    }

    /// Reads [`Disconnection::to_body`] back.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub(super) fn parse(body: &[u8]) -> Result<Self, DocumentReject> {
        let text: Text = serde_json::from_slice(body).map_err(|_| DocumentReject::Malformed)?;
        if text.revision == 0 || !Self::is_reason(&text.reason) {
            return Err(DocumentReject::Malformed);
        }
        let Text { meter, revision, decision, reason, .. } = text;
        Ok(Self { meter: MeterId::new(meter), revision, decision, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_reads_back_and_says_why_in_one_line() {
        let written = Disconnection {
            meter: MeterId::new(7),
            revision: 2,
            decision: DisconnectionDecision::Withdrawn,
            reason: "über Raten geeinigt".to_owned(),
        };
        assert_eq!(Disconnection::parse(&written.to_body()), Ok(written.clone()));
        let refused = |change: fn(&mut Disconnection)| {
            let mut other = written.clone();
            change(&mut other);
            assert_eq!(Disconnection::parse(&other.to_body()), Err(DocumentReject::Malformed));
        };
        refused(|one| one.revision = 0);
        refused(|one| one.reason.clear());
        refused(|one| one.reason = " x".to_owned());
        refused(|one| one.reason = "x\ny".to_owned());
        refused(|one| one.reason = "x".repeat(REASON_CHARS_MAX + 1));
        let longest = Disconnection { reason: "ü".repeat(REASON_CHARS_MAX), ..written };
        assert_eq!(Disconnection::parse(&longest.to_body()), Ok(longest));
        for code in 1..=2 {
            assert_eq!(DisconnectionDecision::from_code(code).unwrap().code(), code);
        }
        assert_eq!(DisconnectionDecision::from_code(3), None);
    }
}
