//! Call auctions: the price rule of a market and the result of an uncross.

use crate::{
    identity::Digest,
    slot::SlotKey,
    units::{Energy, Price},
};

/// How a call auction finds its one price. The steps of each rule stand in the engine's `auction`
/// module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PriceRule {
    /// Maximum volume, minimum absolute surplus, pressure, then the reference price clamped into
    /// the range that is left. The result may be no order's limit.
    T7Clamp = 0,
    /// As `T7Clamp`, but the last step takes the limit nearest to the reference.
    XetraNearest = 1,
    /// As `XetraNearest`, with the reference price itself among the candidates.
    Euronext = 2,
    /// Maximum volume, minimum absolute surplus, pressure, nearest limit; ties high.
    Asx = 3,
    /// The same steps as `Asx`, under the name another exchange gives them.
    CmeIop = 4,
    /// Maximum volume, minimum absolute surplus, nearest limit.
    Nse = 5,
    /// The middle of all prices at which supply meets demand, as power exchanges price.
    Midpoint = 6,
    /// The price of `T7Clamp`; at an edge of the band the rationed side shares pro rata.
    ProRataAtBand = 7,
}

impl PriceRule {
    /// Every rule, in the order of its code.
    pub const ALL: [Self; 8] = [
        Self::T7Clamp,
        Self::XetraNearest,
        Self::Euronext,
        Self::Asx,
        Self::CmeIop,
        Self::Nse,
        Self::Midpoint,
        Self::ProRataAtBand,
    ];

    /// The rule with this code, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.code() == code)
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
            Self::XetraNearest => "xetra_nearest",
            Self::Euronext => "euronext",
            Self::Asx => "asx",
            Self::CmeIop => "cme_iop",
            Self::Nse => "nse",
            Self::Midpoint => "midpoint",
            Self::ProRataAtBand => "pro_rata_at_band",
        }
    }

    /// The rule of this name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name)
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
