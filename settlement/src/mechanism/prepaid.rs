//! Prepaid: the payer's prepaid meter is debited for everything at once or not at all, and the
//! payer's retailer passes it on to the payee's. Retailers net among themselves; the gross legs
//! stay in the books.

use super::{
    Claim, Cover, Funds, Leg, LegKind, Parties, Rail, Settled,
    desk::{Desk, Met},
};
use crate::books::accounts::{Account, AccountKind};

/// Prepaid meters.
#[derive(Debug, Clone, Copy)]
pub struct Prepaid;

impl Rail for Prepaid {
    fn cover(&self) -> Cover {
        Cover::Never
    }

    /// Rule S-42.
    fn settle(&self, claim: &Claim, funds: Funds, legs: &mut Vec<Leg>) -> Settled {
        let mut desk = Desk { claim, funds, legs };
        // What was recovered before is the payer's again, and is debited like a top-up.
        let refund = desk.refund();
        let (energy, take_or_pay) = desk.amounts();
        let total = energy.saturating_add(take_or_pay);
        if total > desk.funds.payer_available {
            desk.owe(energy, LegKind::EnergyOwed);
            desk.owe(take_or_pay, LegKind::TakeOrPayOwed);
            let owed = |owed| Met { paid: 0, owed };
            return desk.finish(owed(energy), owed(take_or_pay), refund);
        }
        desk.take_available(true, total);
        let from = pass_on(&claim.parties, AccountKind::Available, total, desk.legs);
        let to = desk.payee(AccountKind::Earned);
        desk.push(LegKind::Energy, from, to, energy);
        desk.push(LegKind::TakeOrPay, from, to, take_or_pay);
        let paid = |paid| Met { paid, owed: 0 };
        desk.finish(paid(energy), paid(take_or_pay), refund)
    }

    fn draws_free_money(&self) -> bool {
        true
    }

    fn route(&self, parties: &Parties, total: i64, legs: &mut Vec<Leg>) -> Account {
        pass_on(parties, AccountKind::Escrow, total, legs)
    }
}

/// From one of the payer's accounts through both retailers; the account where it arrives.
fn pass_on(parties: &Parties, from: AccountKind, total: i64, legs: &mut Vec<Leg>) -> Account {
    let (out, into) = parties.retailers();
    if total > 0 {
        let from = Account::of_meter(parties.payer(), from);
        legs.push(Leg::new(LegKind::RetailerDebit, from, out, total));
        if out != into {
            legs.push(Leg::new(LegKind::RetailerTransfer, out, into, total));
        }
    }
    into
}
