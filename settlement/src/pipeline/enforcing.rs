//! Enforcement: whoever does not pay in time is warned, fined, suspended.
//!
//! Level 1 is the recorded default, of which both retailers learn; 2 a fine; 3, at another default
//! of the same party within the days of the policy, suspension. Level 4, disconnection, is the
//! retailer's decision and never reached here: `disconnecting` has it.

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
    store::{
        self,
        debts::{self, Arrears, Debt, Of},
        disconnections::{self, Decided},
    },
    tlog::{
        facts::Leaf,
        leaf::{self, DefaultRecord, KIND_DEFAULT, LEVEL_DISCONNECTION, LEVEL_SUSPENDED},
    },
};

/// The warning: the default is recorded.
const WARNED: u8 = 1;
/// The fine.
const FINED: u8 = 2;

/// The name of a level in reports.
#[must_use]
pub const fn level_name(level: u8) -> &'static str {
    match level {
        0 => "none",
        WARNED => "warned",
        FINED => "fined",
        LEVEL_SUSPENDED => "suspended",
        LEVEL_DISCONNECTION => "disconnection",
        _ => "unknown",
    }
}

/// What a round of enforcement did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EnforcementSummary {
    /// Parties in arrears, contract by contract.
    pub examined: u64,
    /// Of these, how many reached a higher level.
    pub raised: u64,
}

/// Where somebody stands who owes under a contract, or once did for too long. Instants are minutes since
/// 1970, amounts minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Under which contract.
    pub contract: TradeId,
    /// Who.
    pub debtor: MeterId,
    /// The level reached, from 0; it stays when everything is paid, but for the notice of disconnection.
    pub level: u8,
    /// Since when something is open, if it still is.
    pub since: Option<i64>,
    /// The next level that time brings, and when, as long as nothing is paid; another default may
    /// bring a higher one.
    pub next: Option<(u8, i64)>,
    /// Open without fines.
    pub open: i64,
    /// Open fines.
    pub fines: i64,
    /// Each level with the index of its leaf, in order.
    pub steps: Vec<(u64, DefaultRecord)>,
}

impl Standing {
    /// Whether it keeps the debtor from trading.
    #[must_use]
    pub const fn suspends(&self) -> bool {
        self.level >= LEVEL_SUSPENDED && self.since.is_some()
    }
}

impl Pipeline {
    /// Everybody who owes, or reached a level, contract by contract. Reads all leaves.
    ///
    /// # Errors
    /// When stored data is damaged or the database refuses.
    pub fn standings(&self) -> Result<Vec<Standing>, SettlementError> {
        let mut steps: BTreeMap<(TradeId, MeterId), Vec<(u64, DefaultRecord)>> = BTreeMap::new();
        for (index, bytes) in store::ledger::leaves_of_kind(self.connection(), KIND_DEFAULT)? {
            if let Some(Leaf::Default(record)) = Leaf::decode(&bytes) {
                steps.entry((record.contract, record.debtor)).or_default().push((index, record));
            }
        }
        let standing = |arrears: Arrears| {
            let Arrears { contract, debtor, level, .. } = arrears;
            let open = debts::open(self.connection(), Of::Contract(contract))?;
            let own = || open.iter().filter(|debt| debt.debtor == debtor);
            let sum = |fines: bool| {
                let amounts = own().filter(|debt| debt.is_fine() == fines).map(|debt| debt.open);
                amounts.fold(0, i64::saturating_add)
            };
            Ok(Standing {
                contract,
                debtor,
                level,
                since: Some(arrears.since).filter(|&since| since != 0),
                next: self.policy().enforcement.and_then(|rule| next_level(&arrears, rule)),
                open: sum(false),
                fines: sum(true),
                steps: steps.remove(&(contract, debtor)).unwrap_or_default(),
            })
        };
        debts::all_arrears(self.connection())?.into_iter().map(standing).collect()
    }

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
            work.end_paid_disconnections(minute_of(now))?;
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
        debts::reached(self.connection(), LEVEL_SUSPENDED)
    }

    /// What the document of this number decides about disconnecting a meter.
    ///
    /// # Errors
    /// When stored data is damaged or the database refuses.
    pub fn disconnection(&self, document: u64) -> Result<Option<Decided>, SettlementError> {
        disconnections::of_document(self.connection(), document)
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

/// So many days in minutes.
fn days(days: u32) -> i64 {
    i64::from(days).saturating_mul(DAY_MINUTES)
}

/// When who owes since then is in default.
/// Rule S-52.
fn default_at(since: i64, rule: Enforcement) -> i64 {
    since.saturating_add(days(rule.due_days)).saturating_add(days(rule.grace_days))
}

/// What time alone brings next to who owes, and when.
fn next_level(arrears: &Arrears, rule: Enforcement) -> Option<(u8, i64)> {
    if arrears.since == 0 {
        return None;
    }
    let at = default_at(arrears.since, rule);
    if arrears.defaulted.is_none() {
        return Some((WARNED, at));
    }
    let after = rule.fine_after_days.filter(|_| !arrears.is_fined)?;
    Some((arrears.level.max(FINED), at.saturating_add(days(after))))
}

impl Work<'_> {
    /// Rule S-54.
    fn enforce(
        &mut self,
        arrears: Arrears,
        rule: Enforcement,
        now: i64,
    ) -> Result<bool, SettlementError> {
        let mut after = arrears;
        let default_at = default_at(arrears.since, rule);
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
            after.level = after.level.max(if repeated { LEVEL_SUSPENDED } else { WARNED });
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
            step: None,
        };
        self.ledger.append(&leaf::encode_default(&record))?;
        Ok(after.level > arrears.level)
    }

    pub(super) fn open_principal(
        &self,
        contract: TradeId,
        debtor: MeterId,
    ) -> Result<i64, SettlementError> {
        let open = debts::open(self.connection, Of::Contract(contract))?;
        let own = open.iter().filter(|debt| debt.debtor == debtor && !debt.is_fine());
        Ok(own.map(|debt| debt.open).fold(0, i64::saturating_add))
    }

    /// A fraction of what is open, owed to the debtor's retailer.
    /// Rule S-53.
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
