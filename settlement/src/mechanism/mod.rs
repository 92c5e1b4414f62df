//! Stop 16 of an order's life: a mechanism turns what is due into legs between accounts.
//!
//! A mechanism is a pure function from what is due and what funds there are to a list of
//! [`Leg`]s. The clearing house is the one there is.

pub mod clearing_house;

use types::{MeterId, Money, Price, UtilityId};

use crate::{
    books::{Due, accounts::Account},
    policy::{Mechanism, PenaltyTo},
};

/// What a transfer is for. Codes are part of transfer numbers: appended to, never renumbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum LegKind {
    /// Payer's available → payer's escrow, when the contract is captured or a deposit covers it.
    Hold = 1,
    /// Payer's escrow → payee's earnings, for settled energy.
    Energy = 2,
    /// Payer's available → payee's earnings: settled energy the hold did not cover.
    EnergyUncovered = 3,
    /// Payer owes → payee is owed: settled energy nobody could pay yet.
    EnergyOwed = 4,
    /// Buyer's escrow → seller's earnings, for energy delivered and not taken.
    TakeOrPay = 5,
    /// Buyer's available → seller's earnings, likewise.
    TakeOrPayUncovered = 6,
    /// Buyer owes → seller is owed, likewise.
    TakeOrPayOwed = 7,
    /// Payer's escrow → payer's available: what the contract did not need.
    Refund = 8,
    /// Seller's earnings → beneficiary.
    Penalty = 9,
    /// Seller's available → beneficiary: what the earnings did not cover.
    PenaltyUncovered = 10,
    /// Seller owes → beneficiary is owed.
    PenaltyOwed = 11,
    /// Payer's escrow → payer's available, after a reversal took back a refund already in use.
    Uncover = 12,
    /// The world → meter's available.
    Deposit = 13,
}

impl LegKind {
    /// Added to the code of a leg in the transfer that reverses it.
    pub const REVERSAL: u8 = 128;

    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Hold,
        Self::Energy,
        Self::EnergyUncovered,
        Self::EnergyOwed,
        Self::TakeOrPay,
        Self::TakeOrPayUncovered,
        Self::TakeOrPayOwed,
        Self::Refund,
        Self::Penalty,
        Self::PenaltyUncovered,
        Self::PenaltyOwed,
        Self::Uncover,
        Self::Deposit,
    ];

    /// The kind with this code, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The name in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Energy => "energy",
            Self::EnergyUncovered => "energy_uncovered",
            Self::EnergyOwed => "energy_owed",
            Self::TakeOrPay => "take_or_pay",
            Self::TakeOrPayUncovered => "take_or_pay_uncovered",
            Self::TakeOrPayOwed => "take_or_pay_owed",
            Self::Refund => "refund",
            Self::Penalty => "penalty",
            Self::PenaltyUncovered => "penalty_uncovered",
            Self::PenaltyOwed => "penalty_owed",
            Self::Uncover => "uncover",
            Self::Deposit => "deposit",
        }
    }

    /// The code in transfers.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// One movement of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leg {
    /// What for.
    pub kind: LegKind,
    /// Whose balance falls.
    pub debit: Account,
    /// Whose balance rises.
    pub credit: Account,
    /// By how much; above zero.
    pub amount: Money,
}

/// Who pays whom under a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parties {
    /// Takes the energy.
    pub buyer: MeterId,
    /// Gives the energy.
    pub seller: MeterId,
    /// The seller's utility.
    pub seller_utility: UtilityId,
    /// Decides by its sign who pays for the energy.
    pub price: Price,
}

impl Parties {
    /// Who pays for the energy: the seller, if the price is negative.
    #[must_use]
    pub const fn payer(&self) -> MeterId {
        if self.price.micros() < 0 { self.seller } else { self.buyer }
    }

    /// Who is paid for the energy.
    #[must_use]
    pub const fn payee(&self) -> MeterId {
        if self.price.micros() < 0 { self.buyer } else { self.seller }
    }
}

/// What there is to pay with, in minor units. None is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Funds {
    /// Held for this contract.
    pub escrow: i64,
    /// Free money of the payer.
    pub payer_available: i64,
    /// Free money of the seller. The same money as the payer's when the seller pays.
    pub seller_available: i64,
}

/// How what was due was met. Amounts are not negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Paid for settled energy.
    pub energy_paid: i64,
    /// Not paid yet for settled energy.
    pub energy_owed: i64,
    /// Paid for energy not taken.
    pub take_or_pay_paid: i64,
    /// Not paid yet for energy not taken.
    pub take_or_pay_owed: i64,
    /// Back to the payer from the hold.
    pub refund: i64,
    /// Penalty paid.
    pub penalty_paid: i64,
    /// Penalty not paid yet.
    pub penalty_owed: i64,
}

/// Settles what is due by the policy's mechanism; the legs are appended to `legs`.
pub fn settle(
    mechanism: Mechanism,
    parties: &Parties,
    due: &Due,
    penalty_to: PenaltyTo,
    funds: Funds,
    legs: &mut Vec<Leg>,
) -> Settled {
    match mechanism {
        Mechanism::ClearingHouse => clearing_house::settle(parties, due, penalty_to, funds, legs),
    }
}
