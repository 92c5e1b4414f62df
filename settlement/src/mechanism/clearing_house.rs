//! The clearing house: it holds the payer's money from the trade on, pays on verified delivery and
//! gives back the rest.
//!
//! Each thing due is its own leg and none is netted against another. What the hold does not cover
//! comes from the payer's free money, and what that does not cover is written down as owed. The
//! penalty comes from what the seller earned under this contract, then from the seller's free
//! money, and the rest is owed.

use types::MeterId;

use super::{
    Claim, Cover, Funds, Leg, LegKind, Rail, Settled,
    desk::{Desk, Met},
};
use crate::books::accounts::{Account, AccountKind};

/// A clearing house.
#[derive(Debug, Clone, Copy)]
pub struct ClearingHouse;

impl Rail for ClearingHouse {
    fn cover(&self) -> Cover {
        Cover::AtTrade
    }

    /// Rule S-36.
    fn settle(&self, claim: &Claim, funds: Funds, legs: &mut Vec<Leg>) -> Settled {
        let mut desk = Desk { claim, funds, legs };
        let (energy, take_or_pay) = desk.amounts();
        let energy = pay(
            &mut desk,
            energy,
            [LegKind::Energy, LegKind::EnergyUncovered, LegKind::EnergyOwed],
        );
        let take_or_pay = pay(
            &mut desk,
            take_or_pay,
            [LegKind::TakeOrPay, LegKind::TakeOrPayUncovered, LegKind::TakeOrPayOwed],
        );
        let refund = desk.refund();
        desk.finish(energy, take_or_pay, refund)
    }

    fn draws_free_money(&self) -> bool {
        true
    }
}

/// From the hold, then from free money, then as a debt.
fn pay(desk: &mut Desk<'_>, amount: i64, [held, free, debt]: [LegKind; 3]) -> Met {
    let from_hold = desk.pay_held(amount, held);
    let from_free = desk.pay_free(amount.saturating_sub(from_hold), free);
    let paid = from_hold.saturating_add(from_free);
    let owed = amount.saturating_sub(paid);
    desk.owe(owed, debt);
    Met { paid, owed }
}

/// What the clearing house holds of the payer's money when a contract is captured.
#[must_use]
pub fn hold(payer: MeterId, amount: i64) -> Leg {
    let of = |kind| Account::of_meter(payer, kind);
    Leg::new(LegKind::Hold, of(AccountKind::Available), of(AccountKind::Escrow), amount)
}

/// Gives back a hold whose money a reversal took from the payer's free money a second time.
/// Rule S-18.
#[must_use]
pub fn uncover(payer: MeterId, amount: i64) -> Leg {
    let of = |kind| Account::of_meter(payer, kind);
    Leg::new(LegKind::Uncover, of(AccountKind::Escrow), of(AccountKind::Available), amount)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use types::{Money, PlatformId, Price, RetailerId, UtilityId};

    use super::*;
    use crate::{
        books::Due,
        mechanism::{BlockState, Parties},
        policy::PenaltyTo,
    };

    fn settle(
        parties: &Parties,
        due: &Due,
        penalty_to: PenaltyTo,
        funds: Funds,
        legs: &mut Vec<Leg>,
    ) -> Settled {
        let claim = Claim { parties: *parties, due: *due, penalty_to, fee: 0 };
        ClearingHouse.settle(&claim, funds, legs)
    }

    fn funds(escrow: i64, payer_available: i64, seller_available: i64) -> Funds {
        let (block, freed_to) = (BlockState::Used, Account::EXTERNAL);
        Funds { escrow, block, freed_to, payer_available, seller_available }
    }

    fn parties(micros: i64) -> Parties {
        Parties {
            buyer: MeterId::new(7),
            seller: MeterId::new(1),
            buyer_retailer: RetailerId::new(2),
            seller_retailer: RetailerId::new(1),
            seller_utility: UtilityId::new(1),
            seller_platform: PlatformId::new(1),
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
    fn s36_delivery_pays_from_the_hold_and_refunds_the_rest() {
        let mut legs = Vec::new();
        let funds = funds(2_500, 10, 0);
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
    fn s30_what_cannot_be_paid_is_owed() {
        let mut legs = Vec::new();
        let funds = funds(1_000, 200, 30);
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
    fn s03_at_a_negative_price_the_seller_pays() {
        let mut legs = Vec::new();
        let funds = funds(400, 0, 0);
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
            let funds = funds(escrow, payer, seller_available);
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
