//! Stop 16 of an order's life: a mechanism turns what is due into legs between accounts.
//!
//! A mechanism is a [`Rail`]: a pure function from what is due and what funds there are to a list
//! of [`Leg`]s. [`clearing_house`] holds the payer's money, [`block`] lets a payment rail do so,
//! [`prepaid`] debits a prepaid meter, [`biller`] sends a bill. What a rail cannot pay is owed;
//! collecting it later is the pipeline's business and the same for all.

pub mod biller;
pub mod block;
pub mod clearing_house;
mod desk;
mod leg;
pub mod prepaid;

use types::{MeterId, PlatformId, Price, RetailerId, UtilityId};

pub use leg::{Leg, LegKind};

use crate::{
    books::{
        Due,
        accounts::{Account, AccountKind, Owner},
    },
    policy::{Mechanism, PenaltyTo},
};

/// Who pays whom under a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parties {
    /// Takes the energy.
    pub buyer: MeterId,
    /// Gives the energy.
    pub seller: MeterId,
    /// Who serves the buyer.
    pub buyer_retailer: RetailerId,
    /// Who serves the seller.
    pub seller_retailer: RetailerId,
    /// The seller's utility.
    pub seller_utility: UtilityId,
    /// The seller's platform.
    pub seller_platform: PlatformId,
    /// Decides by its sign who pays for the energy.
    pub price: Price,
}

impl Parties {
    /// Who pays for the energy: the seller, if the price is negative.
    /// Rule S-03.
    #[must_use]
    pub const fn payer(&self) -> MeterId {
        if self.price.micros() < 0 { self.seller } else { self.buyer }
    }

    /// Who is paid for the energy.
    #[must_use]
    pub const fn payee(&self) -> MeterId {
        if self.price.micros() < 0 { self.buyer } else { self.seller }
    }

    /// The accounts through which prepaid money passes: the payer's retailer's and the payee's.
    #[must_use]
    pub const fn retailers(&self) -> (Account, Account) {
        let buyer =
            Account { owner: Owner::Retailer(self.buyer_retailer), kind: AccountKind::Clearing };
        let seller =
            Account { owner: Owner::Retailer(self.seller_retailer), kind: AccountKind::Clearing };
        if self.price.micros() < 0 { (seller, buyer) } else { (buyer, seller) }
    }
}

/// What a contract's settlement comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Who pays whom.
    pub parties: Parties,
    /// How much for what.
    pub due: Due,
    /// Who receives the penalty.
    pub penalty_to: PenaltyTo,
    /// What the platform keeps once the seller is paid in full.
    pub fee: i64,
}

/// The payer's money at a payment rail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BlockState {
    /// There is none, or it was captured or given free before.
    #[default]
    Used,
    /// It is blocked and may be captured.
    Blocked,
    /// The block expired before it was captured.
    Expired,
}

/// What there is to pay with, in minor units. None is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Funds {
    /// Held for this contract: by the house, or at a payment rail; or paid for it.
    pub escrow: i64,
    /// Whether the rail still blocks it.
    pub block: BlockState,
    /// Where money goes that the rail gives free.
    pub freed_to: Account,
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

/// When a mechanism wants the payer's money set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cover {
    /// From the payer's deposits, as soon as the contract is captured.
    AtTrade,
    /// By a payment rail, before delivery; without it the contract is cancelled.
    ByRail,
    /// Never.
    Never,
}

/// A way in which money moves.
pub trait Rail {
    /// When the payer's money is set aside.
    fn cover(&self) -> Cover;

    /// Pays what is due from the funds, writes down as owed what they do not cover, and gives the
    /// rest back; the legs are appended to `legs`.
    fn settle(&self, claim: &Claim, funds: Funds, legs: &mut Vec<Leg>) -> Settled;

    /// Whether debts are paid as soon as the payer has free money again.
    fn draws_free_money(&self) -> bool;

    /// Brings money that pays a debt on its way from the payer's escrow to the payee; the account
    /// where it arrives.
    fn route(&self, parties: &Parties, _total: i64, _legs: &mut Vec<Leg>) -> Account {
        Account::of_meter(parties.payer(), AccountKind::Escrow)
    }
}

/// The rail of a mechanism.
#[must_use]
pub fn rail(mechanism: Mechanism) -> &'static dyn Rail {
    match mechanism {
        Mechanism::ClearingHouse => &clearing_house::ClearingHouse,
        Mechanism::Block => &block::Block,
        Mechanism::Prepaid => &prepaid::Prepaid,
        Mechanism::SellerBiller | Mechanism::PlatformBiller => &biller::Biller,
    }
}

/// Whether the policy's platform fee is charged: not where the seller sends the bill, because
/// then no money passes the platform.
#[must_use]
pub const fn has_fee(mechanism: Mechanism) -> bool {
    match mechanism {
        Mechanism::ClearingHouse
        | Mechanism::Block
        | Mechanism::Prepaid
        | Mechanism::PlatformBiller => true,
        Mechanism::SellerBiller => false,
    }
}
