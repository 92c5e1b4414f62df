//! Enforcement: whoever does not pay in time is warned, fined, suspended.
//!
//! Level 1 is the recorded default, of which both retailers learn; 2 a fine; 3, at another default
//! of the same party within the days of the policy, suspension. Level 4, disconnection, is only a
//! retailer's decision and never reached here.

use std::collections::BTreeMap;

use types::{MeterId, Timestamp, TradeId};

use super::{DAY_MINUTES, Pipeline, Work, minute_of};
use crate::{
    books::{
        self,
        accounts::{Account, AccountKind, Owner},
    },
    error::SettlementError,
    mechanism::{Leg, LegKind},
    policy::Enforcement,
    store::debts::{self, Arrears, Debt, Of},
    tlog::leaf::{self, DefaultRecord},
};

/// The warning: the default is recorded.
const WARNED: u8 = 1;
/// The fine.
const FINED: u8 = 2;
/// New orders are refused; open trades settle.
const SUSPENDED: u8 = 3;

/// What a round of enforcement did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EnforcementSummary {
    /// Parties in arrears, contract by contract.
    pub examined: u64,
    /// Of these, how many reached a higher level.
    pub raised: u64,
}

impl Pipeline {
    /// Raises the level of everybody who has owed for too long by `now`.
    ///
    /// # Errors
    /// When stored data is damaged or the database refuses.
    pub fn enforce(&mut self, now: Timestamp) -> Result<EnforcementSummary, SettlementError> {
        let Some(rule) = self.policy().enforcement else {
            return Ok(EnforcementSummary::default());
        };
        self.transact(|work| {
            let mut summary = EnforcementSummary::default();
            for arrears in debts::arrears(work.connection)? {
                summary.examined = summary.examined.saturating_add(1);
                let raised = work.enforce(arrears, rule, minute_of(now))?;
                summary.raised = summary.raised.saturating_add(u64::from(raised));
            }
            Ok(summary)
        })
    }

    /// Every meter that was ever suspended, and whether it still is: as long as something is open under a
    /// contract for which it was.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn suspended(&self) -> Result<BTreeMap<MeterId, bool>, SettlementError> {
        debts::reached(self.connection(), SUSPENDED)
    }

    /// The enforcement level reached under a contract: 0 while nobody defaulted.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn enforcement_level(&self, contract: TradeId) -> Result<u8, SettlementError> {
        debts::level(self.connection(), contract)
    }

    /// What is open under a contract, fines included.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn debts_of(&self, contract: TradeId) -> Result<Vec<Debt>, SettlementError> {
        debts::open(self.connection(), Of::Contract(contract))
    }
}

impl Work<'_> {
    fn enforce(
        &mut self,
        arrears: Arrears,
        rule: Enforcement,
        now: i64,
    ) -> Result<bool, SettlementError> {
        let days = |days: u32| i64::from(days).saturating_mul(DAY_MINUTES);
        let mut after = arrears;
        let default_at =
            arrears.since.saturating_add(days(rule.due_days)).saturating_add(days(rule.grace_days));
        if now < default_at {
            return Ok(false);
        }
        if arrears.defaulted.is_none() {
            after.defaulted = Some(default_at);
            let repeated = match rule.repeat_days {
                Some(repeat) => {
                    let from = default_at.saturating_sub(days(repeat));
                    debts::defaulted_between(self.connection, arrears.debtor, from, default_at)?
                }
                None => false,
            };
            after.level = after.level.max(if repeated { SUSPENDED } else { WARNED });
        }
        let mut fine = 0;
        if let Some(fine_after) = rule.fine_after_days
            && !arrears.is_fined
            && now >= default_at.saturating_add(days(fine_after))
        {
            fine = self.fine(arrears.contract, arrears.debtor, rule)?;
            after.is_fined = true;
            after.level = after.level.max(FINED);
        }
        if after == arrears {
            return Ok(false);
        }
        debts::put_level(self.connection, &after)?;
        let record = DefaultRecord {
            contract: arrears.contract,
            debtor: arrears.debtor,
            level: after.level,
            minute: now,
            open: self.open_principal(arrears.contract, arrears.debtor)?,
            fine,
        };
        self.ledger.append(&leaf::encode_default(&record))?;
        Ok(after.level > arrears.level)
    }

    fn open_principal(&self, contract: TradeId, debtor: MeterId) -> Result<i64, SettlementError> {
        let open = debts::open(self.connection, Of::Contract(contract))?;
        let own = open.iter().filter(|debt| debt.debtor == debtor && !debt.is_fine());
        Ok(own.map(|debt| debt.open).fold(0, i64::saturating_add))
    }

    /// A fraction of what is open, owed to the debtor's retailer.
    fn fine(
        &mut self,
        contract: TradeId,
        debtor: MeterId,
        rule: Enforcement,
    ) -> Result<i64, SettlementError> {
        let open = self.open_principal(contract, debtor)?;
        let fine = books::fraction_of(open, rule.fine_rate, self.policy)
            .ok_or(SettlementError::OutOfRange { what: "a fine", contract })?;
        let unknown = SettlementError::UnknownMeter { trade: contract, meter: debtor };
        let retailer = Owner::Retailer(self.registry.meter(debtor).ok_or(unknown)?.retailer);
        if fine <= 0 {
            return Ok(0);
        }
        let creditor = Account { owner: retailer, kind: AccountKind::Owed };
        let owes = Account::of_meter(debtor, AccountKind::Owes);
        self.post_once(contract, &[Leg::new(LegKind::Fine, owes, creditor, fine)])?;
        let known = debts::open(self.connection, Of::Contract(contract))?
            .into_iter()
            .find(|debt| debt.is_fine() && debt.debtor == debtor);
        let open = known.map_or(0, |debt| debt.open).saturating_add(fine);
        let leg = LegKind::Fine;
        debts::put(self.connection, &Debt { contract, leg, debtor, creditor, open })?;
        Ok(fine)
    }
}
