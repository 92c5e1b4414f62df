//! Billers: the seller or the seller's platform sends the payer a bill after delivery.
//!
//! Nothing is set aside; everything is owed until exactly that amount is paid. What was paid stays
//! with the contract: when a correction lowers the bill, the rest goes back, and when it raises the
//! bill, the difference is owed.

use super::{Claim, Cover, Funds, Leg, LegKind, Rail, Settled, desk::Desk};

/// A bill-presentment rail.
#[derive(Debug, Clone, Copy)]
pub struct Biller;

impl Rail for Biller {
    fn cover(&self) -> Cover {
        Cover::Never
    }

    fn settle(&self, claim: &Claim, funds: Funds, legs: &mut Vec<Leg>) -> Settled {
        let mut desk = Desk { claim, funds, legs };
        let (energy, take_or_pay) = desk.amounts();
        let energy = desk.pay_held_or_owe(energy, [LegKind::Energy, LegKind::EnergyOwed]);
        let take_or_pay =
            desk.pay_held_or_owe(take_or_pay, [LegKind::TakeOrPay, LegKind::TakeOrPayOwed]);
        let refund = desk.refund();
        desk.finish(energy, take_or_pay, refund)
    }

    fn draws_free_money(&self) -> bool {
        false
    }
}
