//! What the books and the ledger say as a whole.

use std::collections::BTreeMap;

use types::{Digest, TradeId};

use super::Pipeline;
use crate::{
    books::accounts::Account,
    error::{Doing as _, SettlementError, fit},
    mechanism::LegKind,
    outcome::State,
    policy::Mechanism,
    store,
    store::database::OptionalExtension as _,
    tlog::leaf::{self, KIND_AMENDMENT, KIND_CONTRACT, OutcomeRecord},
};

/// All accounts of one kind together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountTotal {
    /// Role of the owners, such as `meter`.
    pub owner: &'static str,
    /// Kind of the accounts, such as `escrow`.
    pub kind: &'static str,
    /// How many have a balance, zero included.
    pub accounts: u64,
    /// Sum of their balances in minor units.
    pub minor: i64,
}

/// Where everything stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Contracts captured.
    pub contracts: u64,
    /// Settled without unexcused shortfall beyond tolerance.
    pub complete: u64,
    /// Settled with a breach.
    pub partial: u64,
    /// Settled with a curtailment.
    pub partial_curtailed: u64,
    /// Nothing delivered.
    pub failed: u64,
    /// For people to decide.
    pub disputed: u64,
    /// Waiting for readings, or for the slot to end.
    pub awaiting: u64,
    /// Energy settled.
    pub settled_wh: u64,
    /// Money by owner and kind.
    pub accounts: Vec<AccountTotal>,
    /// Sum of all balances: always zero.
    pub balance_minor: i64,
    /// Leaves of the ledger.
    pub ledger_size: u64,
    /// Their root.
    pub ledger_root: Digest,
}

/// What the contracts of one mechanism came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MechanismTotal {
    /// Which.
    pub mechanism: Mechanism,
    /// How many there are, in whatever state.
    pub contracts: u64,
    /// Energy settled.
    pub settled_wh: u64,
    /// Paid for energy, taken or not, in minor units.
    pub paid_minor: i64,
    /// Owed under them by now, in minor units.
    pub open_minor: i64,
}

/// Legs by which somebody is paid for energy.
const PAYS_FOR_ENERGY: [LegKind; 6] = [
    LegKind::Energy,
    LegKind::EnergyUncovered,
    LegKind::EnergyCollected,
    LegKind::TakeOrPay,
    LegKind::TakeOrPayUncovered,
    LegKind::TakeOrPayCollected,
];

/// What a full check of books and ledger found. [`Audit::is_clean`] says whether all is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Transfers posted.
    pub transfers: u64,
    /// Sum of what they moved, in minor units.
    pub moved_minor: i64,
    /// Sum of all balances: zero.
    pub balance_minor: i64,
    /// Balance of the rounding account: zero.
    pub rounding_minor: i64,
    /// Accounts whose balance is not the sum of their transfers: none.
    pub balances_wrong: u64,
    /// Accounts on the wrong side of zero: none.
    pub balances_overdrawn: u64,
    /// Contracts captured.
    pub contracts: u64,
    /// Contract leaves in the ledger: as many.
    pub contract_leaves: u64,
    /// Contracts counted by state: as many.
    pub contracts_by_state: u64,
}

/// One transfer under a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferLine {
    /// The settlement run it belongs to; of a hold, which hold it is.
    pub run: u16,
    /// What it is for ([`crate::mechanism::LegKind::code`]).
    pub leg: u8,
    /// It takes back the same leg of an earlier run.
    pub is_reversal: bool,
    /// How much, in minor units.
    pub minor: i64,
}

impl Audit {
    /// Whether everything that must hold holds.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.balance_minor == 0
            && self.rounding_minor == 0
            && self.balances_wrong == 0
            && self.balances_overdrawn == 0
            && self.contracts == self.contract_leaves
            && self.contracts == self.contracts_by_state
    }
}

impl Pipeline {
    /// Where everything stands.
    ///
    /// # Errors
    /// When the database refuses or a row cannot be.
    pub fn summary(&self) -> Result<Summary, SettlementError> {
        let states = self.state_totals()?;
        let count = |state: State| states.get(&state).map_or(0, |(contracts, _)| *contracts);
        let mut totals: BTreeMap<(&'static str, &'static str), (u64, i64)> = BTreeMap::new();
        let mut balance_minor = 0_i64;
        for (account, minor) in self.balances()? {
            let name = (account.owner.role_name(), account.kind.name());
            let total = totals.entry(name).or_default();
            total.0 = total.0.saturating_add(1);
            total.1 = total.1.saturating_add(minor);
            balance_minor = balance_minor.saturating_add(minor);
        }
        let (ledger_size, ledger_root) = self.ledger_head();
        Ok(Summary {
            contracts: State::ALL.into_iter().map(count).fold(0, u64::saturating_add),
            complete: count(State::Complete),
            partial: count(State::Partial),
            partial_curtailed: count(State::PartialCurtailed),
            failed: count(State::Failed),
            disputed: count(State::Disputed),
            awaiting: count(State::AwaitingMeterData),
            settled_wh: states.values().map(|(_, wh)| *wh).fold(0, u64::saturating_add),
            accounts: totals
                .into_iter()
                .map(|((owner, kind), (accounts, minor))| AccountTotal {
                    owner,
                    kind,
                    accounts,
                    minor,
                })
                .collect(),
            balance_minor,
            ledger_size,
            ledger_root,
        })
    }

    /// Checks the books and the ledger against each other. Reads everything.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn audit(&self) -> Result<Audit, SettlementError> {
        let balances = self.balances()?;
        let wrong = |(account, minor): &&(Account, i64)| !account.kind.allows(*minor);
        let rounding = balances.iter().find(|(account, _)| *account == Account::ROUNDING);
        let states = self.state_totals()?;
        Ok(Audit {
            transfers: self.number("SELECT count(*) FROM transfers")?,
            moved_minor: self.signed_number("SELECT coalesce(sum(amount), 0) FROM transfers")?,
            balance_minor: balances.iter().map(|(_, minor)| *minor).fold(0, i64::saturating_add),
            rounding_minor: rounding.map_or(0, |(_, minor)| *minor),
            balances_wrong: self.number(
                "SELECT count(*) FROM (
                    SELECT account, sum(amount) AS moved FROM (
                        SELECT credit AS account, amount FROM transfers
                        UNION ALL SELECT debit, -amount FROM transfers
                        UNION ALL SELECT account, -balance FROM accounts
                    ) AS moves GROUP BY account
                ) AS sums WHERE moved <> 0",
            )?,
            balances_overdrawn: u64::try_from(balances.iter().filter(wrong).count())
                .unwrap_or(u64::MAX),
            contracts: self.number("SELECT count(*) FROM contracts")?,
            contract_leaves: self.contract_leaves()?,
            contracts_by_state: states
                .values()
                .map(|(contracts, _)| *contracts)
                .fold(0, u64::saturating_add),
        })
    }

    /// Every account with its balance, in the order of account numbers.
    ///
    /// # Errors
    /// When the database refuses or an account cannot be.
    pub fn balances(&self) -> Result<Vec<(Account, i64)>, SettlementError> {
        let rows: Vec<(i64, i64)> = self
            .connection()
            .prepare_cached("SELECT account, balance FROM accounts ORDER BY account")
            .and_then(|mut select| {
                select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .doing("read the balances")?;
        rows.into_iter()
            .map(|(number, minor)| {
                let account = Account::from_number(number)
                    .ok_or_else(|| SettlementError::Damaged(format!("account {number}")))?;
                Ok((account, minor))
            })
            .collect()
    }

    /// The newest outcome of a contract, or `None` before its first settlement run.
    ///
    /// # Errors
    /// When the database refuses or the leaf cannot be read.
    pub fn outcome_of(&self, contract: TradeId) -> Result<Option<OutcomeRecord>, SettlementError> {
        let Some((own, newest)) = self.leaves_of(contract)? else { return Ok(None) };
        if own == newest {
            return Ok(None);
        }
        let bytes = store::ledger::leaf(self.connection(), newest)?.unwrap_or_default();
        if bytes.first() == Some(&KIND_AMENDMENT) {
            return Ok(None);
        }
        let record = leaf::decode_outcome(&bytes);
        let damaged = || SettlementError::Damaged(format!("leaf {newest} is no outcome"));
        record.ok_or_else(damaged).map(Some)
    }

    /// Every transfer under a contract, in order of run; within a run reversals come last.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn transfers_of(&self, contract: TradeId) -> Result<Vec<TransferLine>, SettlementError> {
        let found = store::captured::folio(self.connection(), contract)?;
        let Some(folio) = found else { return Ok(Vec::new()) };
        let mut select = self
            .connection()
            .prepare_cached(
                "SELECT run, leg, reversal, amount FROM transfer_details
                 WHERE folio = ?1 AND id BETWEEN ?2 AND ?3 ORDER BY id",
            )
            .doing("read the transfers of a contract")?;
        select
            .query_map(folio.of_all(), |row| {
                let reversal: u8 = row.get(2)?;
                let (run, leg, minor) = (row.get(0)?, row.get(1)?, row.get(3)?);
                Ok(TransferLine { run, leg, is_reversal: reversal == 1, minor })
            })
            .and_then(Iterator::collect)
            .doing("read the transfers of a contract")
    }

    /// Where a contract stands and which version of it, if it was captured.
    ///
    /// # Errors
    /// When the database refuses or the state cannot be.
    pub fn standing(&self, contract: TradeId) -> Result<Option<(State, u32)>, SettlementError> {
        let key = i64::try_from(contract.get()).unwrap_or(-1);
        let row: Option<(u8, u32)> = self
            .connection()
            .prepare_cached("SELECT state, version FROM contracts WHERE trade = ?1")
            .and_then(|mut select| {
                select.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .doing("look for a contract")?;
        row.map(|(state, version)| {
            let damaged = || SettlementError::Damaged(format!("state {state}"));
            Ok((State::from_code(state).ok_or_else(damaged)?, version))
        })
        .transpose()
    }

    /// How many contracts are in each state, and how many Wh of them are settled.
    ///
    /// # Errors
    /// When the database refuses or a row cannot be.
    pub fn contracts_by_state(&self) -> Result<BTreeMap<State, (u64, u64)>, SettlementError> {
        self.state_totals()
    }

    /// What the contracts of each mechanism came to, in the order of mechanisms. Reads all transfers.
    ///
    /// # Errors
    /// When the database refuses or a row cannot be.
    pub fn by_mechanism(&self) -> Result<Vec<MechanismTotal>, SettlementError> {
        let legs: Vec<_> = PAYS_FOR_ENERGY.map(|kind| kind.code().to_string()).into();
        let paid = self.sums(&format!(
            "SELECT c.mechanism, sum(CASE WHEN t.reversal = 1 THEN -t.amount ELSE t.amount END)
             FROM transfer_details t JOIN contracts c ON c.trade = t.contract
             WHERE t.leg IN ({}) GROUP BY c.mechanism",
            legs.join(", ")
        ))?;
        let of = |sums: &BTreeMap<u8, i64>, code: u8| sums.get(&code).copied().unwrap_or(0);
        let open = self.sums(
            "SELECT c.mechanism, sum(d.open) FROM debts d JOIN contracts c ON c.trade = d.trade
             GROUP BY c.mechanism",
        )?;
        let settled =
            self.sums("SELECT mechanism, sum(settled) FROM contracts GROUP BY mechanism")?;
        let contracts =
            self.sums("SELECT mechanism, count(*) FROM contracts GROUP BY mechanism")?;
        let total = |(&code, &count): (&u8, &i64)| {
            let damaged = || SettlementError::Damaged(format!("mechanism {code}"));
            Ok(MechanismTotal {
                mechanism: Mechanism::from_code(code).ok_or_else(damaged)?,
                contracts: fit(count, "a total")?,
                settled_wh: fit(of(&settled, code), "a total")?,
                paid_minor: of(&paid, code),
                open_minor: of(&open, code),
            })
        };
        contracts.iter().map(total).collect()
    }

    /// A number for each mechanism.
    fn sums(&self, query: &str) -> Result<BTreeMap<u8, i64>, SettlementError> {
        self.connection()
            .prepare_cached(query)
            .and_then(|mut select| {
                select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .doing("add up mechanisms")
    }

    fn state_totals(&self) -> Result<BTreeMap<State, (u64, u64)>, SettlementError> {
        let rows: Vec<(u8, i64, i64)> = self
            .connection()
            .prepare_cached("SELECT state, contracts, settled_wh FROM state_totals ORDER BY state")
            .and_then(|mut select| {
                select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
            })
            .doing("read the totals")?;
        rows.into_iter()
            .map(|(state, contracts, wh)| {
                let state = State::from_code(state)
                    .ok_or_else(|| SettlementError::Damaged(format!("state {state}")))?;
                Ok((state, (fit(contracts, "a total")?, fit(wh, "a total")?)))
            })
            .collect()
    }

    fn contract_leaves(&self) -> Result<u64, SettlementError> {
        let sql = "SELECT count(*) FROM contracts JOIN leaves USING (leaf)
                   WHERE substr(leaves.bytes, 1, 1) = ?1";
        let count = self.connection().query_row(sql, [[KIND_CONTRACT]], |row| row.get::<i64>(0));
        fit(count.doing("audit")?, "a count")
    }

    fn number(&self, query: &str) -> Result<u64, SettlementError> {
        fit(self.signed_number(query)?, "a count")
    }

    fn signed_number(&self, query: &str) -> Result<i64, SettlementError> {
        self.connection().query_row(query, [], |row| row.get(0)).doing("audit")
    }
}
