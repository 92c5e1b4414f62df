//! Debts: what a settlement run could not pay, and how it is paid later.
//!
//! A collection is a run of its own: when a correction takes the settlement back, it takes the
//! collections back too, and the money is the payer's again, to pay what is due then.

use types::{MeterId, Timestamp, TradeId};

use super::{Work, agreement::Agreement, minute_of};
use crate::{
    books::{
        self,
        accounts::{Account, AccountKind, Owner},
    },
    error::{Doing as _, SettlementError},
    mechanism::{self, Leg, LegKind, clearing_house},
    policy::Mechanism,
    store::database::params,
    store::{
        debts::{self, Debt, Of},
        signed,
    },
};

/// The debts that a settlement run writes down.
const OF_RUN: [LegKind; 3] = [LegKind::EnergyOwed, LegKind::TakeOrPayOwed, LegKind::PenaltyOwed];

/// Whether it is owed for energy, taken or not.
pub(super) fn is_for_energy(debt: &Debt) -> bool {
    matches!(debt.leg, LegKind::EnergyOwed | LegKind::TakeOrPayOwed)
}

/// Where a debt's money goes: from "is owed" to "has earned".
fn earned(creditor: Account) -> Account {
    match creditor.owner {
        Owner::Exchange => Account::POOL,
        Owner::Meter(_) | Owner::Retailer(_) | Owner::Utility(_) | Owner::Platform(_) => {
            Account { kind: AccountKind::Earned, ..creditor }
        }
    }
}

impl Work<'_> {
    /// Replaces the debts of the run before, if there may be any, by those of this one.
    pub(super) fn write_debts(
        &self,
        (contract, may_owe): (TradeId, bool),
        (buyer, seller): (MeterId, MeterId),
        legs: &[Leg],
        now: Timestamp,
    ) -> Result<(), SettlementError> {
        if !may_owe && !legs.iter().any(|leg| OF_RUN.contains(&leg.kind)) {
            return Ok(());
        }
        for kind in OF_RUN {
            debts::forget(self.connection, contract, kind)?;
        }
        for leg in legs.iter().filter(|leg| OF_RUN.contains(&leg.kind)) {
            if let Owner::Meter(debtor) = leg.debit.owner {
                let (creditor, open) = (leg.credit, leg.amount.minor());
                let debt = Debt { contract, leg: leg.kind, debtor, creditor, open };
                debts::put(self.connection, &debt)?;
            }
        }
        for meter in [buyer, seller] {
            self.note_arrears(contract, meter, Some(now))?;
        }
        Ok(())
    }

    /// Since when somebody owes something under a contract; without `now`, only whether it ended.
    pub(super) fn note_arrears(
        &self,
        contract: TradeId,
        debtor: MeterId,
        now: Option<Timestamp>,
    ) -> Result<(), SettlementError> {
        let open = debts::open(self.connection, Of::Contract(contract))?;
        let owes = open.iter().any(|debt| debt.debtor == debtor && !debt.is_fine());
        match (owes, now) {
            (true, Some(now)) => {
                debts::note_since(self.connection, contract, debtor, Some(minute_of(now)))
            }
            (true, None) => Ok(()),
            (false, _) => debts::note_since(self.connection, contract, debtor, None),
        }
    }

    /// Debts that a reversal opened again, because they were paid from earnings that it took back.
    pub(super) fn reopen(
        &self,
        contract: TradeId,
        reversed: &[Leg],
    ) -> Result<(), SettlementError> {
        for leg in reversed.iter().filter(|leg| leg.kind == LegKind::ModificationCleared) {
            let Owner::Meter(debtor) = leg.credit.owner else { continue };
            let open = debts::open(self.connection, Of::Contract(contract))?;
            let mut known = open.iter().filter(|debt| debt.debtor == debtor);
            let before = known.find(|debt| debt.leg == LegKind::ModificationOwed);
            let open = before.map_or(0, |debt| debt.open).saturating_add(leg.amount.minor());
            let (creditor, leg) = (leg.debit, LegKind::ModificationOwed);
            debts::put(self.connection, &Debt { contract, leg, debtor, creditor, open })?;
        }
        Ok(())
    }

    /// Pays parts of a contract's debts: those for energy from the payer's escrow, the others from
    /// the debtor's free money, where what pays them has just arrived.
    pub(super) fn collect(
        &mut self,
        agreement: &Agreement,
        parts: &[(Debt, i64)],
    ) -> Result<(), SettlementError> {
        let parties = self.parties_of(agreement)?;
        let (mut legs, mut once) = (Vec::new(), Vec::new());
        let for_energy = parts.iter().filter(|(debt, _)| is_for_energy(debt));
        let total = for_energy.map(|(_, part)| *part).fold(0, i64::saturating_add);
        let arrived = mechanism::rail(agreement.mechanism).route(&parties, total, &mut legs);
        for (debt, part) in parts.iter().filter(|(_, part)| *part > 0) {
            let Some(kinds) = debt.leg.collection() else { continue };
            let from = if is_for_energy(debt) {
                arrived
            } else {
                Account::of_meter(debt.debtor, AccountKind::Available)
            };
            self.pay_debt(debt, *part, (from, kinds), &mut legs)?;
        }
        let left = debts::open(self.connection, Of::Contract(agreement.id))?;
        if total > 0 && !left.iter().any(is_for_energy) {
            self.paid_in_full(agreement, &left, &mut legs)?;
        }
        legs.retain(|leg| {
            if !leg.kind.is_of_run() {
                once.push(*leg);
            }
            leg.kind.is_of_run()
        });
        self.post_collection(agreement, &legs)?;
        self.post_once(agreement.id, &once)?;
        for meter in [agreement.buyer, agreement.seller] {
            self.note_arrears(agreement.id, meter, None)?;
        }
        Ok(())
    }

    /// A collection is the next run of its contract.
    fn post_collection(
        &mut self,
        agreement: &Agreement,
        legs: &[Leg],
    ) -> Result<(), SettlementError> {
        if legs.is_empty() {
            return Ok(());
        }
        let what = "the number of runs";
        let run = agreement
            .run
            .checked_add(1)
            .ok_or(SettlementError::OutOfRange { what, contract: agreement.id })?;
        let key = signed(agreement.id.get())?;
        self.connection
            .prepare_cached("UPDATE contracts SET run = ?2 WHERE trade = ?1")
            .and_then(|mut update| update.write(params![key, run]))
            .doing("write a run")?;
        for leg in legs {
            self.posting.post(agreement.folio, run, leg)?;
        }
        Ok(())
    }

    fn pay_debt(
        &self,
        debt: &Debt,
        part: i64,
        (from, (collected, cleared)): (Account, (LegKind, LegKind)),
        legs: &mut Vec<Leg>,
    ) -> Result<(), SettlementError> {
        let owes = Account::of_meter(debt.debtor, AccountKind::Owes);
        legs.push(Leg::new(collected, from, earned(debt.creditor), part));
        legs.push(Leg::new(cleared, debt.creditor, owes, part));
        let open = debt.open.saturating_sub(part);
        debts::put(self.connection, &Debt { open, ..*debt })
    }

    /// The seller has everything now: the platform takes its fee, and what the seller owes under
    /// this contract is paid from what was earned under it.
    fn paid_in_full(
        &self,
        agreement: &Agreement,
        left: &[Debt],
        legs: &mut Vec<Leg>,
    ) -> Result<(), SettlementError> {
        let parties = self.parties_of(agreement)?;
        if parties.payee() != parties.seller {
            return Ok(());
        }
        let record = self.outcome_at(agreement.newest_leaf)?;
        let total = record.due.energy.minor().saturating_add(record.due.take_or_pay.minor());
        let earned_left = total.saturating_sub(record.settled.penalty_paid).max(0);
        let fee = self.fee((agreement.id, agreement.mechanism), &record.due)?.min(earned_left);
        let seller = Account::of_meter(parties.seller, AccountKind::Earned);
        if fee > 0 {
            let platform = Owner::Platform(parties.seller_platform);
            let to = Account { owner: platform, kind: AccountKind::Earned };
            legs.push(Leg::new(LegKind::Fee, seller, to, fee));
        }
        self.pay_from_earnings(parties.seller, earned_left.saturating_sub(fee), left, legs)
    }

    /// Pays what a seller owes under a contract from what was earned under it.
    pub(super) fn pay_from_earnings(
        &self,
        seller: MeterId,
        mut earned_left: i64,
        open: &[Debt],
        legs: &mut Vec<Leg>,
    ) -> Result<(), SettlementError> {
        let account = Account::of_meter(seller, AccountKind::Earned);
        for debt in open.iter().filter(|debt| debt.debtor == seller) {
            let part = debt.open.min(earned_left);
            if let Some(kinds) = debt.leg.collection_from_earnings()
                && part > 0
            {
                self.pay_debt(debt, part, (account, kinds), legs)?;
                earned_left = earned_left.saturating_sub(part);
            }
        }
        Ok(())
    }

    /// What the platform keeps of a run's amounts.
    pub(super) fn fee(
        &self,
        (contract, mechanism): (TradeId, Mechanism),
        due: &books::Due,
    ) -> Result<i64, SettlementError> {
        if !mechanism::has_fee(mechanism) {
            return Ok(0);
        }
        books::platform_fee(due, self.policy)
            .ok_or(SettlementError::OutOfRange { what: "the fee", contract })
    }

    /// After a top-up: pays the meter's debts for energy, contract by contract, the earliest
    /// first, each whole or not at all; those under mechanisms that draw free money.
    pub(super) fn draw_for_debts(&mut self, payer: MeterId) -> Result<(), SettlementError> {
        let open = debts::open(self.connection, Of::Debtor(payer))?;
        let owed: Vec<Debt> = open.into_iter().filter(is_for_energy).collect();
        for group in owed.chunk_by(|one, next| one.contract == next.contract) {
            self.draw(payer, group)?;
        }
        Ok(())
    }

    /// Pays a contract's debts for energy from the payer's free money: whole, or not at all.
    /// Rule S-37.
    pub(super) fn draw(&mut self, payer: MeterId, group: &[Debt]) -> Result<(), SettlementError> {
        let total = group.iter().map(|debt| debt.open).fold(0, i64::saturating_add);
        let free = self.posting.balance(Account::of_meter(payer, AccountKind::Available))?;
        let Some(id) = group.first().map(|debt| debt.contract) else { return Ok(()) };
        let Some(agreement) = self.agreement(id)? else { return Ok(()) };
        if total > free || !mechanism::rail(agreement.mechanism).draws_free_money() {
            return Ok(());
        }
        self.post_once(id, &[clearing_house::hold(payer, total)])?;
        self.add_hold(id, total)?;
        let parts: Vec<_> = group.iter().map(|debt| (*debt, debt.open)).collect();
        self.collect(&agreement, &parts)
    }
}
