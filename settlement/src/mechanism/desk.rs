//! What every rail does alike: paying from funds, owing, penalties, fees, giving back.

use super::{Claim, Funds, Leg, LegKind, Settled};
use crate::{
    books::accounts::{Account, AccountKind, Owner},
    policy::PenaltyTo,
};

/// Paid and not paid of one amount.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Met {
    pub(super) paid: i64,
    pub(super) owed: i64,
}

/// A contract on the table: what is due, what is left of the funds, and the legs so far.
pub(super) struct Desk<'a> {
    pub(super) claim: &'a Claim,
    pub(super) funds: Funds,
    pub(super) legs: &'a mut Vec<Leg>,
}

impl Desk<'_> {
    pub(super) fn push(&mut self, kind: LegKind, debit: Account, credit: Account, amount: i64) {
        if amount > 0 {
            self.legs.push(Leg::new(kind, debit, credit, amount));
        }
    }

    pub(super) fn payer(&self, kind: AccountKind) -> Account {
        Account::of_meter(self.claim.parties.payer(), kind)
    }

    pub(super) fn payee(&self, kind: AccountKind) -> Account {
        Account::of_meter(self.claim.parties.payee(), kind)
    }

    /// What the payer owes for energy, and what the buyer owes for energy not taken.
    pub(super) fn amounts(&self) -> (i64, i64) {
        let due = &self.claim.due;
        (due.energy.minor().saturating_abs(), due.take_or_pay.minor().max(0))
    }

    /// From the hold.
    pub(super) fn pay_held(&mut self, amount: i64, kind: LegKind) -> i64 {
        let paid = amount.min(self.funds.escrow);
        self.funds.escrow = self.funds.escrow.saturating_sub(paid);
        let (from, to) = (self.payer(AccountKind::Escrow), self.payee(AccountKind::Earned));
        self.push(kind, from, to, paid);
        paid
    }

    /// From the payer's free money.
    pub(super) fn pay_free(&mut self, amount: i64, kind: LegKind) -> i64 {
        let paid = amount.min(self.funds.payer_available);
        self.take_available(true, paid);
        let (from, to) = (self.payer(AccountKind::Available), self.payee(AccountKind::Earned));
        self.push(kind, from, to, paid);
        paid
    }

    /// As a debt.
    pub(super) fn owe(&mut self, amount: i64, kind: LegKind) {
        let (from, to) = (self.payer(AccountKind::Owes), self.payee(AccountKind::Owed));
        self.push(kind, from, to, amount);
    }

    /// From the hold, and what it does not cover as a debt.
    pub(super) fn pay_held_or_owe(&mut self, amount: i64, [held, debt]: [LegKind; 2]) -> Met {
        let paid = self.pay_held(amount, held);
        let owed = amount.saturating_sub(paid);
        self.owe(owed, debt);
        Met { paid, owed }
    }

    /// Gives the rest of the hold back.
    pub(super) fn refund(&mut self) -> i64 {
        let amount = core::mem::take(&mut self.funds.escrow);
        let (from, to) = (self.payer(AccountKind::Escrow), self.payer(AccountKind::Available));
        self.push(LegKind::Refund, from, to, amount);
        self.funds.payer_available = self.funds.payer_available.saturating_add(amount);
        if self.claim.parties.payer() == self.claim.parties.seller {
            self.funds.seller_available = self.funds.payer_available;
        }
        amount
    }

    /// The fee, once the seller is paid in full, then the penalty: from what was earned under this
    /// contract, then from the seller's free money; the rest of the penalty is owed.
    pub(super) fn finish(mut self, energy: Met, take_or_pay: Met, refund: i64) -> Settled {
        let parties = &self.claim.parties;
        let is_paid = parties.payee() == parties.seller;
        let mut earned = if is_paid { energy.paid.saturating_add(take_or_pay.paid) } else { 0 };
        if energy.owed == 0 && take_or_pay.owed == 0 {
            let fee = self.claim.fee.min(earned);
            let platform = Owner::Platform(parties.seller_platform);
            let to = Account { owner: platform, kind: AccountKind::Earned };
            let from = Account::of_meter(parties.seller, AccountKind::Earned);
            self.push(LegKind::Fee, from, to, fee);
            earned = earned.saturating_sub(fee);
        }
        let penalty = self.penalise(earned);
        Settled {
            energy_paid: energy.paid,
            energy_owed: energy.owed,
            take_or_pay_paid: take_or_pay.paid,
            take_or_pay_owed: take_or_pay.owed,
            refund,
            penalty_paid: penalty.paid,
            penalty_owed: penalty.owed,
        }
    }

    /// Rule S-30.
    fn penalise(&mut self, earned: i64) -> Met {
        let amount = self.claim.due.penalty.minor().max(0);
        let parties = &self.claim.parties;
        let of = |owner, kind| Account { owner, kind };
        let (receives, is_owed) = match self.claim.penalty_to {
            PenaltyTo::Buyer => {
                let buyer = Owner::Meter(parties.buyer);
                (of(buyer, AccountKind::Earned), of(buyer, AccountKind::Owed))
            }
            PenaltyTo::SellerUtility => {
                let utility = Owner::Utility(parties.seller_utility);
                (of(utility, AccountKind::Earned), of(utility, AccountKind::Owed))
            }
            PenaltyTo::Pool => (Account::POOL, of(Owner::Exchange, AccountKind::Owed)),
        };
        let from_earned = amount.min(earned);
        let from_free = amount.saturating_sub(from_earned).min(self.funds.seller_available);
        let paid = from_earned.saturating_add(from_free);
        let owed = amount.saturating_sub(paid);
        self.take_available(false, from_free);
        let seller = Owner::Meter(self.claim.parties.seller);
        let from = of(seller, AccountKind::Earned);
        self.push(LegKind::Penalty, from, receives, from_earned);
        let from = of(seller, AccountKind::Available);
        self.push(LegKind::PenaltyUncovered, from, receives, from_free);
        self.push(LegKind::PenaltyOwed, of(seller, AccountKind::Owes), is_owed, owed);
        Met { paid, owed }
    }

    /// Takes free money from the payer or the seller, who may be the same.
    pub(super) fn take_available(&mut self, from_payer: bool, amount: i64) {
        let parties = &self.claim.parties;
        let is_same = parties.payer() == parties.seller;
        if from_payer || is_same {
            self.funds.payer_available = self.funds.payer_available.saturating_sub(amount);
        }
        if !from_payer || is_same {
            self.funds.seller_available = self.funds.seller_available.saturating_sub(amount);
        }
    }
}
