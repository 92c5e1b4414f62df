//! A case as it is written down.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};

use super::RehearseError;
use crate::policy::{PolicyDocument, Written};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) policy: PolicyDocument,
    #[serde(default)]
    meters: BTreeMap<String, MeterText>,
    pub(super) contracts: Vec<ContractText>,
    pub(super) events: Vec<EventText>,
    /// What samples of cases say about themselves decides nothing.
    #[serde(default, rename = "group")]
    _group: IgnoredAny,
    #[serde(default, rename = "note")]
    _note: IgnoredAny,
    #[serde(default, rename = "notes")]
    _notes: IgnoredAny,
    #[serde(default, rename = "source")]
    _source: IgnoredAny,
}

impl Case {
    /// The retailers that the case names, for all contracts or with one, and their meters.
    pub(super) fn meters(&self) -> Result<BTreeMap<&str, &str>, RehearseError> {
        let with_contracts = self.contracts.iter().flat_map(|contract| &contract.meters);
        let mut meters = BTreeMap::new();
        for (meter, text) in self.meters.iter().chain(with_contracts) {
            let (MeterText::Retailer(retailer) | MeterText::Fields { retailer }) = text;
            let before = meters.insert(meter.as_str(), retailer.as_str());
            if before.is_some_and(|before| before != retailer) {
                let why = format!("`{meter}` has two retailers");
                return Err(RehearseError::Bad { field: "meters".to_owned(), why });
            }
        }
        Ok(meters)
    }
}

/// The retailer of a meter, alone or as a field.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum MeterText {
    Retailer(String),
    Fields { retailer: String },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContractText {
    pub(super) id: String,
    pub(super) seller: String,
    pub(super) buyer: String,
    pub(super) energy_wh: u64,
    pub(super) price: Written,
    pub(super) slot: SlotText,
    #[serde(default)]
    pub(super) traded: u64,
    /// As those of the case.
    #[serde(default)]
    meters: BTreeMap<String, MeterText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SlotText {
    pub(super) start: String,
    pub(super) minutes: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Direction {
    Injected,
    Withdrawn,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SignatureText {
    #[default]
    Valid,
    Invalid,
    OtherRetailer,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadingText {
    pub(super) meter: String,
    pub(super) direction: Direction,
    pub(super) wh: u64,
    #[serde(default = "first")]
    pub(super) revision: u32,
    #[serde(default)]
    pub(super) signature: SignatureText,
}

impl ReadingText {
    /// Whether the pipeline has no reason to refuse it for itself.
    pub(super) fn is_proper(&self) -> bool {
        self.signature == SignatureText::Valid && self.revision > 0
    }
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum EventText {
    Deposit {
        account: String,
        minor: i64,
    },
    Reading(ReadingText),
    Curtailment {
        meter: String,
        cap_wh: u64,
        #[serde(default = "first")]
        revision: u32,
    },
    Verify,
    RepeatLast {
        times: u32,
    },
    Day {
        to: i64,
    },
    Hold {
        contract: String,
        minor: i64,
        day: i64,
    },
    Modification {
        contract: String,
        by: PartyText,
        version: u32,
        energy_wh: u64,
        answer: AnswerText,
    },
    Payment {
        contract: String,
        minor: i64,
    },
    Recovery {
        party: String,
        minor: i64,
    },
}

/// Who asks for a modification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PartyText {
    Buyer,
    Seller,
}

/// What the other party says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AnswerText {
    Accept,
    Reject,
}

const fn first() -> u32 {
    1
}
