//! Legs: what a transfer is for, and the movement itself.

use types::Money;

use crate::books::accounts::Account;

/// Declares the kinds once: variant, code, name in output, and whether a new run takes it back.
macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $name:literal, $of_run:literal;)*) => {
        /// What a transfer is for. Codes are part of transfer numbers: appended to, never
        /// renumbered.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum LegKind {
            $($(#[$doc])* $variant = $code,)*
        }

        impl LegKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code in transfers.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// The name in output.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Whether it belongs to a settlement run, and is reversed when a later run corrects
            /// that one. The others happened once and for all.
            #[must_use]
            pub const fn is_of_run(self) -> bool {
                match self {
                    $(Self::$variant => $of_run,)*
                }
            }
        }
    };
}

kinds! {
    /// Payer's available → payer's escrow, when the contract is captured or a deposit covers it.
    Hold = 1, "hold", false;
    /// Payer's escrow (or, prepaid, the payee's retailer) → payee's earnings, for settled energy.
    Energy = 2, "energy", true;
    /// Payer's available → payee's earnings: settled energy the hold did not cover.
    EnergyUncovered = 3, "energy_uncovered", true;
    /// Payer owes → payee is owed: settled energy that is not paid yet.
    EnergyOwed = 4, "energy_owed", true;
    /// Buyer's escrow (or, prepaid, the seller's retailer) → seller's earnings, for energy
    /// delivered and not taken.
    TakeOrPay = 5, "take_or_pay", true;
    /// Buyer's available → seller's earnings, likewise.
    TakeOrPayUncovered = 6, "take_or_pay_uncovered", true;
    /// Buyer owes → seller is owed, likewise.
    TakeOrPayOwed = 7, "take_or_pay_owed", true;
    /// Payer's escrow → payer's available: what the contract did not need.
    Refund = 8, "refund", true;
    /// Seller's earnings → beneficiary.
    Penalty = 9, "penalty", true;
    /// Seller's available → beneficiary: what the earnings did not cover.
    PenaltyUncovered = 10, "penalty_uncovered", true;
    /// Seller owes → beneficiary is owed.
    PenaltyOwed = 11, "penalty_owed", true;
    /// Payer's escrow → payer's available, after a reversal took back a refund already in use.
    Uncover = 12, "uncover", true;
    /// The world → meter's available.
    Deposit = 13, "deposit", false;
    /// Payer's escrow → payer's available: a modification needs less than was held.
    Release = 14, "release", false;
    /// The world → payer's escrow: the rail blocked the payer's money.
    Block = 15, "block", false;
    /// Payer's escrow → the world: the rail gave blocked money free.
    BlockRelease = 16, "block_release", false;
    /// The world → payer's escrow: a bill was paid, or a debt recovered.
    Payment = 17, "payment", false;
    /// The world → seller's available: a debt was recovered.
    Recovery = 18, "recovery", false;
    /// Payer's escrow (or, prepaid, the payee's retailer) → payee's earnings: owed energy is paid.
    EnergyCollected = 19, "energy_collected", true;
    /// Payee is owed → payer owes: and is owed no more.
    EnergyCleared = 20, "energy_cleared", true;
    /// Buyer's escrow (or, prepaid, the seller's retailer) → seller's earnings, likewise.
    TakeOrPayCollected = 21, "take_or_pay_collected", true;
    /// Seller is owed → buyer owes: and is owed no more.
    TakeOrPayCleared = 22, "take_or_pay_cleared", true;
    /// Seller's earnings → beneficiary: an owed penalty is paid.
    PenaltyCollected = 23, "penalty_collected", true;
    /// Beneficiary is owed → seller owes: and is owed no more.
    PenaltyCleared = 24, "penalty_cleared", true;
    /// Seller's earnings → platform's earnings.
    Fee = 25, "fee", true;
    /// Payer's prepaid balance, or escrow, → payer's retailer.
    RetailerDebit = 26, "retailer_debit", true;
    /// Payer's retailer → payee's retailer, gross.
    RetailerTransfer = 27, "retailer_transfer", true;
    /// Requester's available → other party's earnings, for a modification.
    ModificationPenalty = 28, "modification_penalty", false;
    /// Requester owes → other party is owed, for a modification.
    ModificationOwed = 29, "modification_owed", false;
    /// Requester's earnings → other party's earnings: an owed penalty is paid.
    ModificationCollected = 30, "modification_collected", true;
    /// Other party is owed → requester owes: and is owed no more.
    ModificationCleared = 31, "modification_cleared", true;
    /// Debtor owes → debtor's retailer is owed, for not paying.
    Fine = 32, "fine", false;
    /// Debtor → debtor's retailer: a fine is paid.
    FineCollected = 33, "fine_collected", false;
    /// Debtor's retailer is owed → debtor owes: and is owed no more.
    FineCleared = 34, "fine_cleared", false;
    /// Seller's available → beneficiary: an owed penalty was recovered.
    PenaltyRecovered = 35, "penalty_recovered", true;
    /// Requester's available → other party's earnings: an owed penalty was recovered.
    ModificationRecovered = 36, "modification_recovered", false;
    /// Other party is owed → requester owes: and is owed no more.
    ModificationForgotten = 37, "modification_forgotten", false;
    /// The world → the rail's promises: the rail has paid what was captured.
    Captured = 48, "captured", false;
    /// Payer's escrow → the rail's promises: the rail did not pay what it had blocked.
    BlockLost = 49, "block_lost", false;
    /// The world → payer's available: more was paid than is owed by now.
    Overpaid = 50, "overpaid", false;
    /// Earnings, or payer's available → on its way out: the rail is asked to pay it.
    PayOut = 51, "pay_out", false;
    /// On its way out → the world: the rail has paid it.
    PaidOut = 52, "paid_out", false;
    /// On its way out → where it came from: the rail did not pay it.
    PayOutReturned = 53, "pay_out_returned", false;
}

impl LegKind {
    /// Added to the code of a leg in the transfer that reverses it.
    pub const REVERSAL: u8 = 128;

    /// The kind with this code, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }

    /// Of a debt: the legs by which money from outside pays and clears it.
    #[must_use]
    pub const fn collection(self) -> Option<(Self, Self)> {
        match self {
            Self::EnergyOwed => Some((Self::EnergyCollected, Self::EnergyCleared)),
            Self::TakeOrPayOwed => Some((Self::TakeOrPayCollected, Self::TakeOrPayCleared)),
            Self::PenaltyOwed => Some((Self::PenaltyRecovered, Self::PenaltyCleared)),
            Self::ModificationOwed => {
                Some((Self::ModificationRecovered, Self::ModificationForgotten))
            }
            Self::Fine => Some((Self::FineCollected, Self::FineCleared)),
            Self::Hold
            | Self::Energy
            | Self::EnergyUncovered
            | Self::TakeOrPay
            | Self::TakeOrPayUncovered
            | Self::Refund
            | Self::Penalty
            | Self::PenaltyUncovered
            | Self::Uncover
            | Self::Deposit
            | Self::Release
            | Self::Block
            | Self::BlockRelease
            | Self::Payment
            | Self::Recovery
            | Self::EnergyCollected
            | Self::EnergyCleared
            | Self::TakeOrPayCollected
            | Self::TakeOrPayCleared
            | Self::PenaltyCollected
            | Self::PenaltyCleared
            | Self::Fee
            | Self::RetailerDebit
            | Self::RetailerTransfer
            | Self::ModificationPenalty
            | Self::ModificationCollected
            | Self::ModificationCleared
            | Self::FineCollected
            | Self::FineCleared
            | Self::PenaltyRecovered
            | Self::ModificationRecovered
            | Self::ModificationForgotten
            | Self::Captured
            | Self::BlockLost
            | Self::Overpaid
            | Self::PayOut
            | Self::PaidOut
            | Self::PayOutReturned => None,
        }
    }
}

impl LegKind {
    /// Of a seller's debt: the legs by which earnings under the same contract pay and clear it.
    #[must_use]
    pub fn collection_from_earnings(self) -> Option<(Self, Self)> {
        if self == Self::PenaltyOwed {
            Some((Self::PenaltyCollected, Self::PenaltyCleared))
        } else if self == Self::ModificationOwed {
            Some((Self::ModificationCollected, Self::ModificationCleared))
        } else {
            None
        }
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

impl Leg {
    /// A movement of `minor` units.
    #[must_use]
    pub const fn new(kind: LegKind, debit: Account, credit: Account, minor: i64) -> Self {
        Self { kind, debit, credit, amount: Money::from_minor(minor) }
    }
}
