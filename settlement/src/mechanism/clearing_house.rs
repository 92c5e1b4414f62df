//! The clearing house: it holds the payer's money from the trade on, pays on verified delivery and
//! gives back the rest.
//!
//! Each thing due is its own leg and none is netted against another. What the hold does not cover
//! comes from the payer's free money, and what that does not cover is written down as owed. The
//! penalty comes from what the seller earned under this contract, then from the seller's free
//! money, and the rest is owed.

use types::{MeterId, Money};

use super::{Funds, Leg, LegKind, Parties, Settled};
use crate::{
    books::{
        Due,
        accounts::{Account, AccountKind, Owner},
    },
    policy::PenaltyTo,
};

/// What the clearing house holds of the payer's money when a contract is captured.
#[must_use]
pub fn hold(payer: MeterId, amount: i64) -> Leg {
    Leg {
        kind: LegKind::Hold,
        debit: Account::of_meter(payer, AccountKind::Available),
        credit: Account::of_meter(payer, AccountKind::Escrow),
        amount: Money::from_minor(amount),
    }
}

/// Gives back a hold whose money a reversal took from the payer's free money a second time.
#[must_use]
pub fn uncover(payer: MeterId, amount: i64) -> Leg {
    Leg { kind: LegKind::Uncover, ..release(payer, amount) }
}

/// Settles one contract. See [`super::settle`].
pub(super) fn settle(
    parties: &Parties,
    due: &Due,
    penalty_to: PenaltyTo,
    funds: Funds,
    legs: &mut Vec<Leg>,
) -> Settled {
    let mut desk = Desk { parties, funds, legs };
    let energy = desk.pay(
        due.energy.minor().saturating_abs(),
        [LegKind::Energy, LegKind::EnergyUncovered, LegKind::EnergyOwed],
    );
    let take_or_pay = desk.pay(
        due.take_or_pay.minor().max(0),
        [LegKind::TakeOrPay, LegKind::TakeOrPayUncovered, LegKind::TakeOrPayOwed],
    );
    let refund = desk.refund();
    let earned = if parties.payee() == parties.seller {
        energy.paid.saturating_add(take_or_pay.paid)
    } else {
        0
    };
    let penalty = desk.penalise(due.penalty.minor().max(0), earned, penalty_to);
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

fn release(payer: MeterId, amount: i64) -> Leg {
    Leg {
        kind: LegKind::Refund,
        debit: Account::of_meter(payer, AccountKind::Escrow),
        credit: Account::of_meter(payer, AccountKind::Available),
        amount: Money::from_minor(amount),
    }
}

struct Met {
    paid: i64,
    owed: i64,
}

struct Desk<'a> {
    parties: &'a Parties,
    funds: Funds,
    legs: &'a mut Vec<Leg>,
}

impl Desk<'_> {
    fn push(&mut self, kind: LegKind, debit: Account, credit: Account, amount: i64) {
        if amount > 0 {
            self.legs.push(Leg { kind, debit, credit, amount: Money::from_minor(amount) });
        }
    }

    /// From the hold, then from free money, then as a debt.
    fn pay(&mut self, amount: i64, [held, free, debt]: [LegKind; 3]) -> Met {
        let (payer, payee) = (self.parties.payer(), self.parties.payee());
        let from_hold = amount.min(self.funds.escrow);
        let from_free = amount.saturating_sub(from_hold).min(self.funds.payer_available);
        let paid = from_hold.saturating_add(from_free);
        let owed = amount.saturating_sub(paid);
        self.funds.escrow = self.funds.escrow.saturating_sub(from_hold);
        self.take_available(payer, from_free);
        let earned = Account::of_meter(payee, AccountKind::Earned);
        self.push(held, Account::of_meter(payer, AccountKind::Escrow), earned, from_hold);
        self.push(free, Account::of_meter(payer, AccountKind::Available), earned, from_free);
        let owes = Account::of_meter(payer, AccountKind::Owes);
        self.push(debt, owes, Account::of_meter(payee, AccountKind::Owed), owed);
        Met { paid, owed }
    }

    fn refund(&mut self) -> i64 {
        let amount = self.funds.escrow;
        if amount > 0 {
            let payer = self.parties.payer();
            self.legs.push(release(payer, amount));
            self.funds.escrow = 0;
            self.funds.payer_available = self.funds.payer_available.saturating_add(amount);
            if payer == self.parties.seller {
                self.funds.seller_available = self.funds.payer_available;
            }
        }
        amount
    }

    fn penalise(&mut self, amount: i64, earned: i64, to: PenaltyTo) -> Met {
        let seller = self.parties.seller;
        let (receives, is_owed) = match to {
            PenaltyTo::Buyer => {
                let of = |kind| Account::of_meter(self.parties.buyer, kind);
                (of(AccountKind::Earned), of(AccountKind::Owed))
            }
            PenaltyTo::SellerUtility => {
                let of =
                    |kind| Account { owner: Owner::Utility(self.parties.seller_utility), kind };
                (of(AccountKind::Earned), of(AccountKind::Owed))
            }
            PenaltyTo::Pool => {
                (Account::POOL, Account { owner: Owner::Exchange, kind: AccountKind::Owed })
            }
        };
        let from_earned = amount.min(earned);
        let from_free = amount.saturating_sub(from_earned).min(self.funds.seller_available);
        let paid = from_earned.saturating_add(from_free);
        let owed = amount.saturating_sub(paid);
        self.take_available(seller, from_free);
        let of = |kind| Account::of_meter(seller, kind);
        self.push(LegKind::Penalty, of(AccountKind::Earned), receives, from_earned);
        self.push(LegKind::PenaltyUncovered, of(AccountKind::Available), receives, from_free);
        self.push(LegKind::PenaltyOwed, of(AccountKind::Owes), is_owed, owed);
        Met { paid, owed }
    }

    fn take_available(&mut self, meter: MeterId, amount: i64) {
        if meter == self.parties.payer() {
            self.funds.payer_available = self.funds.payer_available.saturating_sub(amount);
        }
        if meter == self.parties.seller {
            self.funds.seller_available = self.funds.seller_available.saturating_sub(amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use types::{Price, UtilityId};

    use super::*;

    fn parties(micros: i64) -> Parties {
        Parties {
            buyer: MeterId::new(7),
            seller: MeterId::new(1),
            seller_utility: UtilityId::new(1),
            price: Price::from_micros(micros),
        }
    }

    fn due(energy: i64, take_or_pay: i64, penalty: i64) -> Due {
        Due {
            energy: Money::from_minor(energy),
            take_or_pay: Money::from_minor(take_or_pay),
            penalty: Money::from_minor(penalty),
            ..Due::default()
        }
    }

    fn kinds(legs: &[Leg]) -> Vec<(LegKind, i64)> {
        legs.iter().map(|leg| (leg.kind, leg.amount.minor())).collect()
    }

    #[test]
    fn delivery_pays_from_the_hold_and_refunds_the_rest() {
        let mut legs = Vec::new();
        let funds = Funds { escrow: 2_500, payer_available: 10, seller_available: 0 };
        let settled =
            settle(&parties(1), &due(1_500, 250, 100), PenaltyTo::Buyer, funds, &mut legs);
        assert_eq!(
            kinds(&legs),
            [
                (LegKind::Energy, 1_500),
                (LegKind::TakeOrPay, 250),
                (LegKind::Refund, 750),
                (LegKind::Penalty, 100)
            ]
        );
        assert_eq!((settled.refund, settled.penalty_paid, settled.energy_owed), (750, 100, 0));
    }

    #[test]
    fn what_cannot_be_paid_is_owed() {
        let mut legs = Vec::new();
        let funds = Funds { escrow: 1_000, payer_available: 200, seller_available: 30 };
        let settled = settle(&parties(1), &due(1_500, 0, 0), PenaltyTo::Buyer, funds, &mut legs);
        assert_eq!((settled.energy_paid, settled.energy_owed), (1_200, 300));
        legs.clear();
        let failed = settle(&parties(1), &due(0, 0, 500), PenaltyTo::Pool, funds, &mut legs);
        assert_eq!((failed.refund, failed.penalty_paid, failed.penalty_owed), (1_000, 30, 470));
        assert_eq!(
            kinds(&legs),
            [
                (LegKind::Refund, 1_000),
                (LegKind::PenaltyUncovered, 30),
                (LegKind::PenaltyOwed, 470)
            ]
        );
    }

    #[test]
    fn at_a_negative_price_the_seller_pays() {
        let mut legs = Vec::new();
        let funds = Funds { escrow: 400, payer_available: 0, seller_available: 0 };
        let settled = settle(&parties(-1), &due(-300, 0, 150), PenaltyTo::Buyer, funds, &mut legs);
        assert_eq!((settled.energy_paid, settled.refund), (300, 100));
        assert_eq!((settled.penalty_paid, settled.penalty_owed), (100, 50));
        assert_eq!(legs[0].credit, Account::of_meter(MeterId::new(7), AccountKind::Earned));
    }

    proptest! {
        #[test]
        fn what_is_due_is_paid_or_owed_and_no_account_is_overdrawn(
            energy in -5_000_i64..5_000, take in 0_i64..2_000, penalty in 0_i64..5_000,
            escrow in 0_i64..5_000, payer in 0_i64..1_000, other in 0_i64..1_000,
        ) {
            let parties = parties(if energy < 0 { -1 } else { 1 });
            let take = if energy < 0 { 0 } else { take };
            let seller_available = if energy < 0 { payer } else { other };
            let funds = Funds { escrow, payer_available: payer, seller_available };
            let mut legs = Vec::new();
            let due = due(energy, take, penalty);
            let got = settle(&parties, &due, PenaltyTo::Buyer, funds, &mut legs);
            prop_assert_eq!(got.energy_paid + got.energy_owed, energy.abs());
            prop_assert_eq!(got.take_or_pay_paid + got.take_or_pay_owed, take);
            prop_assert_eq!(got.penalty_paid + got.penalty_owed, penalty);
            let mut balances = std::collections::BTreeMap::new();
            let payer_id = parties.payer();
            balances.insert(Account::of_meter(payer_id, AccountKind::Escrow).number(), escrow);
            balances.insert(Account::of_meter(parties.seller, AccountKind::Available).number(), seller_available);
            balances.insert(Account::of_meter(payer_id, AccountKind::Available).number(), payer);
            for leg in &legs {
                *balances.entry(leg.debit.number()).or_default() -= leg.amount.minor();
                *balances.entry(leg.credit.number()).or_default() += leg.amount.minor();
            }
            for (number, balance) in balances {
                let account = Account::from_number(number).unwrap();
                prop_assert!(account.kind.allows(balance), "{} is {}", account, balance);
                prop_assert!(account.kind != AccountKind::Escrow || balance == 0);
            }
        }
    }
}
