//! Payments of bills, and recoveries from who did not pay.

use types::{MeterId, Money, TradeId};

use super::{Pipeline, Work, agreement::Agreement, collecting::is_for_energy};
use crate::{
    allocation::largest_remainder,
    books::accounts::{Account, AccountKind},
    error::SettlementError,
    mechanism::{Leg, LegKind},
    store::debts::{self, Debt, Known, Of},
};

/// Kinds of instructions in rows.
const PAYMENT: u8 = 1;
const RECOVERY: u8 = 2;

/// What became of a payment or a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentOutcome {
    /// The money reached whom it was owed to.
    Paid,
    /// The same under the same reference is there already. Nothing changed.
    Exists,
    /// Something else under the same reference is there already. Nothing changed.
    Conflict,
    /// There is no such contract.
    UnknownContract,
    /// The meter is not registered.
    UnknownMeter,
    /// Nothing is owed that this could pay.
    NothingOwed,
    /// A bill is paid exactly or not at all.
    NotExact,
    /// The amount is zero or negative.
    NotPositive,
    /// The reference is beyond 2^63 − 1.
    ReferenceOutOfRange,
}

impl PaymentOutcome {
    /// The name in machine-readable output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Exists => "exists",
            Self::Conflict => "conflict",
            Self::UnknownContract => "unknown_contract",
            Self::UnknownMeter => "unknown_meter",
            Self::NothingOwed => "nothing_owed",
            Self::NotExact => "not_exact",
            Self::NotPositive => "not_positive",
            Self::ReferenceOutOfRange => "reference_out_of_range",
        }
    }

    /// Whether the money was taken, now or before.
    #[must_use]
    pub const fn is_taken(self) -> bool {
        matches!(self, Self::Paid | Self::Exists)
    }
}

impl Pipeline {
    /// A payer paid the bill of a contract: exactly what is open for energy, taken or not.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn pay(
        &mut self,
        reference: u64,
        contract: TradeId,
        amount: Money,
    ) -> Result<PaymentOutcome, SettlementError> {
        self.transact(|work| {
            let content = [contract.get().to_le_bytes(), amount.minor().to_le_bytes()].concat();
            work.once(PAYMENT, reference, amount, &content, |work| work.pay(contract, amount))
        })
    }

    /// Money was recovered from a party that owes: it pays what is open, over all contracts in
    /// proportion, then fines; what is left is the party's.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn recover(
        &mut self,
        reference: u64,
        party: MeterId,
        amount: Money,
    ) -> Result<PaymentOutcome, SettlementError> {
        self.transact(|work| work.recover_once(reference, party, amount))
    }
}

impl Work<'_> {
    /// Carries an instruction out unless its reference is known.
    fn once(
        &mut self,
        kind: u8,
        reference: u64,
        amount: Money,
        content: &[u8],
        carry_out: impl FnOnce(&mut Self) -> Result<PaymentOutcome, SettlementError>,
    ) -> Result<PaymentOutcome, SettlementError> {
        let Ok(reference) = i64::try_from(reference) else {
            return Ok(PaymentOutcome::ReferenceOutOfRange);
        };
        if amount.minor() <= 0 {
            return Ok(PaymentOutcome::NotPositive);
        }
        match debts::instruction(self.connection, kind, reference, content)? {
            Known::Same => return Ok(PaymentOutcome::Exists),
            Known::Other => return Ok(PaymentOutcome::Conflict),
            Known::No => {}
        }
        let outcome = carry_out(self)?;
        if outcome == PaymentOutcome::Paid {
            debts::put_instruction(self.connection, kind, reference, content)?;
        }
        Ok(outcome)
    }

    pub(super) fn recover_once(
        &mut self,
        reference: u64,
        party: MeterId,
        amount: Money,
    ) -> Result<PaymentOutcome, SettlementError> {
        let mut content = party.get().to_le_bytes().to_vec();
        content.extend(amount.minor().to_le_bytes());
        self.once(RECOVERY, reference, amount, &content, |work| work.recover(party, amount))
    }

    /// Rule S-43.
    fn pay(&mut self, id: TradeId, amount: Money) -> Result<PaymentOutcome, SettlementError> {
        let Some(agreement) = self.agreement(id)? else {
            return Ok(PaymentOutcome::UnknownContract);
        };
        let open = debts::open(self.connection, Of::Contract(id))?;
        let bill: Vec<Debt> = open.into_iter().filter(is_for_energy).collect();
        let total = bill.iter().map(|debt| debt.open).fold(0, i64::saturating_add);
        if total == 0 {
            return Ok(PaymentOutcome::NothingOwed);
        }
        if amount.minor() != total {
            return Ok(PaymentOutcome::NotExact);
        }
        let parts: Vec<(Debt, i64)> = bill.iter().map(|debt| (*debt, debt.open)).collect();
        self.take_in(&agreement, &parts)?;
        Ok(PaymentOutcome::Paid)
    }

    /// Rule S-55.
    fn recover(
        &mut self,
        party: MeterId,
        amount: Money,
    ) -> Result<PaymentOutcome, SettlementError> {
        if self.registry.meter(party).is_none() {
            return Ok(PaymentOutcome::UnknownMeter);
        }
        let open = debts::open(self.connection, Of::Debtor(party))?;
        let Some(first) = open.first().map(|debt| debt.contract) else {
            return Ok(PaymentOutcome::NothingOwed);
        };
        let (fines, principal): (Vec<Debt>, Vec<Debt>) = open.into_iter().partition(Debt::is_fine);
        let mut left = amount.minor();
        for list in [principal, fines] {
            left = left.saturating_sub(self.recover_from(&list, left)?);
        }
        if left > 0 {
            let to = Account::of_meter(party, AccountKind::Available);
            self.post_once(first, &[Leg::new(LegKind::Recovery, Account::EXTERNAL, to, left)])?;
        }
        Ok(PaymentOutcome::Paid)
    }

    /// Spreads up to `amount` over debts: over contracts in proportion to what is open, and within
    /// a contract in the order of the legs. Returns how much was used.
    /// Rule S-56.
    fn recover_from(&mut self, list: &[Debt], amount: i64) -> Result<i64, SettlementError> {
        let groups: Vec<&[Debt]> =
            list.chunk_by(|one, next| one.contract == next.contract).collect();
        let open = |group: &[Debt]| group.iter().map(|d| d.open).fold(0, i64::saturating_add);
        let weights: Vec<(TradeId, u64)> = groups
            .iter()
            .filter_map(|group| {
                let weight = u64::try_from(open(group)).unwrap_or(0);
                group.first().map(|debt| (debt.contract, weight))
            })
            .collect();
        let total = groups.iter().map(|group| open(group)).fold(0, i64::saturating_add);
        let used = amount.min(total);
        let parts = largest_remainder(&weights, u128::try_from(used).unwrap_or(0));
        for (group, part) in groups.into_iter().zip(parts) {
            let mut left = i64::try_from(part).unwrap_or(i64::MAX);
            let mut shares = Vec::new();
            for debt in group {
                let share = left.min(debt.open);
                left = left.saturating_sub(share);
                shares.push((*debt, share));
            }
            let Some(id) = group.first().map(|debt| debt.contract) else { continue };
            if let Some(agreement) = self.agreement(id)? {
                self.take_in(&agreement, &shares)?;
            }
        }
        Ok(used)
    }

    /// Pays what is open for energy under a contract with up to `amount`, in the order of the legs.
    /// Returns how much was used.
    pub(super) fn pay_in(
        &mut self,
        agreement: &Agreement,
        amount: i64,
    ) -> Result<i64, SettlementError> {
        let open = debts::open(self.connection, Of::Contract(agreement.id))?;
        let mut left = amount;
        let mut shares = Vec::new();
        for debt in open.into_iter().filter(is_for_energy) {
            let share = left.min(debt.open);
            left = left.saturating_sub(share);
            shares.push((debt, share));
        }
        if left < amount {
            self.take_in(agreement, &shares)?;
        }
        Ok(amount.saturating_sub(left))
    }

    /// Money from outside pays debts: for energy it stays with the contract, like a hold; for
    /// anything else it is the debtor's.
    fn take_in(
        &mut self,
        agreement: &Agreement,
        shares: &[(Debt, i64)],
    ) -> Result<(), SettlementError> {
        let mut once: Vec<Leg> = Vec::new();
        let mut parts = Vec::new();
        let mut held = 0_i64;
        for (debt, share) in shares.iter().filter(|(_, share)| *share > 0) {
            let for_energy = is_for_energy(debt);
            let (kind, account) = if for_energy {
                (LegKind::Payment, AccountKind::Escrow)
            } else {
                (LegKind::Recovery, AccountKind::Available)
            };
            let to = Account::of_meter(debt.debtor, account);
            match once.iter_mut().find(|leg| leg.kind == kind) {
                Some(leg) => {
                    leg.amount = Money::from_minor(leg.amount.minor().saturating_add(*share));
                }
                None => once.push(Leg::new(kind, Account::EXTERNAL, to, *share)),
            }
            held = held.saturating_add(if for_energy { *share } else { 0 });
            parts.push((*debt, *share));
        }
        self.post_once(agreement.id, &once)?;
        self.add_hold(agreement.id, held)?;
        self.collect(agreement, &parts)
    }
}
