//! Blocks: a payment rail keeps the payer's money blocked until delivery, and captures it then.
//!
//! A block is used once. What is captured is paid, the rest is given free for good; if the block
//! expired before the data came, nothing is captured and the payer gets an invoice instead.

use super::{BlockState, Claim, Cover, Funds, Leg, LegKind, Rail, Settled, desk::Desk};
use crate::books::accounts::AccountKind;

/// A payment rail that blocks money.
#[derive(Debug, Clone, Copy)]
pub struct Block;

impl Rail for Block {
    fn cover(&self) -> Cover {
        Cover::ByRail
    }

    /// Rule S-38.
    fn settle(&self, claim: &Claim, funds: Funds, legs: &mut Vec<Leg>) -> Settled {
        let mut desk = Desk { claim, funds, legs };
        if funds.block == BlockState::Expired {
            set_free(&mut desk);
        }
        let (energy, take_or_pay) = desk.amounts();
        let energy = desk.pay_held_or_owe(energy, [LegKind::Energy, LegKind::EnergyOwed]);
        let take_or_pay =
            desk.pay_held_or_owe(take_or_pay, [LegKind::TakeOrPay, LegKind::TakeOrPayOwed]);
        if funds.block == BlockState::Blocked {
            set_free(&mut desk);
        }
        // Of money captured before, a correction may leave something over.
        let refund = desk.refund();
        desk.finish(energy, take_or_pay, refund)
    }

    fn draws_free_money(&self) -> bool {
        false
    }
}

/// The rail gives the rest of the block free.
fn set_free(desk: &mut Desk<'_>) {
    let rest = core::mem::take(&mut desk.funds.escrow);
    let from = desk.payer(AccountKind::Escrow);
    desk.push(LegKind::BlockRelease, from, desk.funds.freed_to, rest);
}
