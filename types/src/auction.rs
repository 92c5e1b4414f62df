//! Call auctions: the price rule of a market and the result of an uncross.

use crate::{
    identity::Digest,
    slot::SlotKey,
    units::{Energy, Price},
};

/// How a call auction finds its one price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PriceRule {
    /// Maximum volume, minimum absolute surplus, pressure, then the reference price clamped into
    /// the range that is left. The result may be no order's limit.
    T7Clamp = 0,
}

impl PriceRule {
    /// The rule with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::T7Clamp),
            _ => None,
        }
    }

    /// The code in messages and records.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The name in configuration and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::T7Clamp => "t7_clamp",
        }
    }

    /// The rule of this name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::T7Clamp].into_iter().find(|rule| rule.name() == name)
    }
}

/// The audit record of one uncross. The trades it caused follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuctionResult {
    /// The book that was uncrossed.
    pub key: SlotKey,
    /// The rule that decided.
    pub rule: PriceRule,
    /// The one price, or `None` when nothing crossed.
    pub price: Option<Price>,
    /// Energy traded.
    pub volume: Energy,
    /// Demand minus supply at the price, in Wh; positive for buys left over. 0 without a price.
    pub surplus_wh: i64,
    /// The reference price the rule was given, if there was one.
    pub reference: Option<Price>,
    /// How many prices were tied after volume and surplus.
    pub candidates: u32,
    /// Whether the reference had to be clamped into the range.
    pub clamped: bool,
    /// Digest of the book before the uncross.
    pub book: Digest,
}
