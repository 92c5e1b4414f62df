//! What a meter's platform asks for in money: free deposits back.

use serde::{Deserialize, Serialize};
use types::{Currency, MeterId, Money};

use super::{DocumentKind, DocumentReject, document::to_json};

/// Free money of a meter is to be paid out, signed by its platform or the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayOutRequest {
    /// Whose money.
    pub meter: MeterId,
    /// Which request of this meter, from 1: the same again is the same request.
    pub number: u16,
    /// How much; above zero.
    pub amount: Money,
    /// In which currency.
    pub currency: Currency,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(rename = "type")]
    kind: String,
    meter: u32,
    number: u16,
    amount_minor: i64,
    currency: String,
}

impl PayOutRequest {
    /// The body to be sealed.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        to_json(&Text {
            kind: DocumentKind::PayOutRequest.name().to_owned(),
            meter: self.meter.get(),
            number: self.number,
            amount_minor: self.amount.minor(),
            currency: self.currency.code().to_owned(),
        })
    }

    /// Reads [`PayOutRequest::to_body`] back.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub(super) fn parse(body: &[u8]) -> Result<Self, DocumentReject> {
        let text: Text = serde_json::from_slice(body).map_err(|_| DocumentReject::Malformed)?;
        if text.number == 0 {
            return Err(DocumentReject::Malformed);
        }
        if text.amount_minor <= 0 {
            return Err(DocumentReject::NegativeOrMissing);
        }
        let currency = Currency::from_iso(&text.currency).map_err(|_| DocumentReject::Malformed)?;
        Ok(Self {
            meter: MeterId::new(text.meter),
            number: text.number,
            amount: Money::from_minor(text.amount_minor),
            currency,
        })
    }
}
