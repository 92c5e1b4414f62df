//! Writing transfers and balances, within one transaction.

use core::{cell::RefCell, ops::RangeInclusive};
use std::{collections::BTreeMap, rc::Rc};

use types::{ShardId, TradeId};

use super::accounts::{Account, Owner};
use crate::{
    capture::{SHARD_TRADES_MAX, TRADE_BITS},
    error::{Doing as _, SettlementError},
    mechanism::{Leg, LegKind},
    store::database::{Connection, OptionalExtension as _},
    tlog::facts::Transfer,
};

const BALANCE: &str = "SELECT balance FROM accounts WHERE account = ?1";

/// The number of a transfer: the contract's shard and count, run and leg, one after the other. The
/// same leg of the same run can be written only once.
#[must_use]
pub fn transfer_number(contract: TradeId, run: u16, code: u8) -> i64 {
    let shard = ShardId::of_number(contract.get()).unwrap_or_default();
    // Captured contracts have no larger one.
    let count = contract.get() & SHARD_TRADES_MAX;
    let contract = (i64::from(shard.index()) << TRADE_BITS) | i64::try_from(count).unwrap_or(0);
    (contract << 24) | (i64::from(run) << 8) | i64::from(code)
}

/// The number of a deposit's transfer: below zero, one for each reference.
#[must_use]
pub const fn deposit_number(reference: i64) -> i64 {
    !reference
}

/// The number of a transfer of a pay-out: below those of deposits, whose references end before 2^62.
#[must_use]
pub fn pay_out_number(owner: Owner, day: u16, code: u8) -> i64 {
    let (role, number) = owner.parts();
    let owner = (i64::from(role) << 32) | i64::from(number);
    !((1 << 62) | (owner << 24) | (i64::from(day) << 8) | i64::from(code))
}

/// The contract in a transfer's number; a deposit has none.
#[must_use]
pub fn contract_of(id: i64) -> Option<TradeId> {
    let id = u64::try_from(id).ok()?;
    let shard = id >> 59;
    Some(TradeId::new((shard << 48) | ((id >> 24) & SHARD_TRADES_MAX)))
}

/// The settlement run (or serial number) in a transfer's number.
#[must_use]
pub fn run_of(id: i64) -> u16 {
    u16::try_from((id >> 8) & 0xffff).unwrap_or(0)
}

/// Where the transfers of a contract lie: beside those of its slot, with which they are settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Folio {
    /// The contract.
    pub contract: TradeId,
    /// Start of the slot for which it was captured, in minutes since 1970; the same for ever.
    pub minute: u32,
}

impl Folio {
    /// The transfers of these runs, as `folio = ?1 AND id BETWEEN ?2 AND ?3`.
    #[must_use]
    pub fn of_runs(self, runs: RangeInclusive<u16>) -> [i64; 3] {
        let first = transfer_number(self.contract, *runs.start(), 0);
        let last = transfer_number(self.contract, *runs.end(), u8::MAX);
        [self.minute.into(), first, last]
    }

    /// All its transfers, those of no run included, in the same form.
    #[must_use]
    pub fn of_all(self) -> [i64; 3] {
        self.of_runs(0..=u16::MAX)
    }
}

/// Transfers that were posted and are not in the ledger yet, in their order. Posting and ledger of a
/// transaction share one, so that every transfer becomes part of a leaf, whoever posts it.
pub type Unlogged = Rc<RefCell<Vec<Transfer>>>;

/// Transfers and balances of one transaction. Balances are read once; they and the transfers are kept
/// here, and written by [`Posting::finish`] in the order in which they are stored.
#[derive(Debug)]
pub struct Posting<'c> {
    connection: &'c Connection,
    balances: BTreeMap<i64, Balance>,
    unwritten: Vec<[i64; 5]>,
    outside: Vec<(u32, i64)>,
    unlogged: Unlogged,
}

#[derive(Debug, Clone, Copy)]
struct Balance {
    minor: i64,
    changed: bool,
}

impl<'c> Posting<'c> {
    /// Nothing read or posted yet. What is posted goes to `unlogged` too.
    #[must_use]
    pub const fn new(connection: &'c Connection, unlogged: Unlogged) -> Self {
        Self {
            connection,
            balances: BTreeMap::new(),
            unwritten: Vec::new(),
            outside: Vec::new(),
            unlogged,
        }
    }

    /// The balance of an account, with everything posted so far.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn balance(&mut self, account: Account) -> Result<i64, SettlementError> {
        self.load(account.number()).map(|balance| balance.minor)
    }

    /// Reads the balances of accounts that will be asked for or moved, many at once.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn read_ahead(
        &mut self,
        accounts: impl IntoIterator<Item = Account>,
    ) -> Result<(), SettlementError> {
        let numbers = accounts.into_iter().map(Account::number);
        let mut unknown: Vec<i64> =
            numbers.filter(|number| !self.balances.contains_key(number)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        let mut minors = vec![0_i64; unknown.len()];
        self.connection
            .prepare_cached(BALANCE)
            .and_then(|mut select| {
                select.query_each(unknown.iter().map(|&number| [number]), |place, row| {
                    if let Some(minor) = minors.get_mut(place) {
                        *minor = row.get(0)?;
                    }
                    Ok(())
                })
            })
            .doing("read balances")?;
        let read = minors.into_iter().map(|minor| Balance { minor, changed: false });
        self.balances.extend(unknown.into_iter().zip(read));
        Ok(())
    }

    /// Posts a leg of a run. That the same leg of the same run is there already shows when it is written.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn post(&mut self, folio: Folio, run: u16, leg: &Leg) -> Result<(), SettlementError> {
        let id = transfer_number(folio.contract, run, leg.kind.code());
        self.write(folio.minute, id, [leg.debit.number(), leg.credit.number(), leg.amount.minor()])
    }

    /// Posts a deposit.
    ///
    /// # Errors
    /// As [`Posting::post`].
    pub fn post_deposit(&mut self, reference: i64, leg: &Leg) -> Result<(), SettlementError> {
        self.post_numbered(deposit_number(reference), leg)
    }

    /// Posts a leg of no contract, under a number of its own.
    ///
    /// # Errors
    /// As [`Posting::post`].
    pub fn post_numbered(&mut self, id: i64, leg: &Leg) -> Result<(), SettlementError> {
        self.write(0, id, [leg.debit.number(), leg.credit.number(), leg.amount.minor()])
    }

    /// The transfers between the world and the books that were posted since this was last asked, each
    /// with its folio's minute.
    #[must_use]
    pub fn take_outside(&mut self) -> Vec<(u32, i64)> {
        core::mem::take(&mut self.outside)
    }

    /// Posts the opposite of every leg of the runs `undone` as part of `run`, and returns what was
    /// taken back. Legs that belong to no run stay.
    ///
    /// # Errors
    /// As [`Posting::post`].
    pub fn reverse(
        &mut self,
        folio: Folio,
        undone: RangeInclusive<u16>,
        run: u16,
    ) -> Result<Vec<Leg>, SettlementError> {
        self.flush()?;
        let legs: Vec<[i64; 4]> = self
            .connection
            .prepare_cached(
                "SELECT id, debit, credit, amount FROM transfers
                 WHERE folio = ?1 AND id BETWEEN ?2 AND ?3 ORDER BY id",
            )
            .and_then(|mut select| {
                let rows = select.query_map(folio.of_runs(undone), |row| {
                    Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
                })?;
                rows.collect()
            })
            .doing("read the transfers of a run")?;
        // Debts may have been collected in parts: one reversal takes all parts back.
        let mut sums: BTreeMap<(LegKind, i64, i64), i64> = BTreeMap::new();
        for [id, debit, credit, amount] in legs {
            let code = u8::try_from(id & 0xff).unwrap_or(0);
            if let Some(kind) = LegKind::from_code(code)
                && kind.is_of_run()
            {
                let sum = sums.entry((kind, debit, credit)).or_default();
                *sum = sum.saturating_add(amount);
            }
        }
        let mut reversed = Vec::with_capacity(sums.len());
        for ((kind, debit, credit), amount) in sums {
            let code = kind.code() | LegKind::REVERSAL;
            let id = transfer_number(folio.contract, run, code);
            self.write(folio.minute, id, [credit, debit, amount])?;
            let account = |number| {
                Account::from_number(number)
                    .ok_or_else(|| SettlementError::Damaged(format!("account {number}")))
            };
            reversed.push(Leg::new(kind, account(debit)?, account(credit)?, amount));
        }
        Ok(reversed)
    }

    /// Writes the transfers that wait, for who looks them up within the transaction.
    ///
    /// # Errors
    /// When the database refuses, or a leg of a run is posted twice.
    pub fn flush(&mut self) -> Result<(), SettlementError> {
        self.unwritten.sort_unstable();
        let mut insert = self
            .connection
            .prepare_cached(
                "INSERT INTO transfers (folio, id, debit, credit, amount)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )
            .doing("write a transfer")?;
        for row in self.unwritten.drain(..) {
            insert.write(row).doing("write a transfer")?;
        }
        Ok(())
    }

    /// Writes the transfers, and the balances that changed after checking that each is on its side of zero.
    /// Rule S-60.
    ///
    /// # Errors
    /// As [`Posting::flush`], or an account is overdrawn.
    pub fn finish(mut self) -> Result<(), SettlementError> {
        self.flush()?;
        let mut put = self
            .connection
            .prepare_cached(
                "INSERT INTO accounts (account, balance) VALUES (?1, ?2)
                 ON CONFLICT (account) DO UPDATE SET balance = excluded.balance",
            )
            .doing("write balances")?;
        for (number, balance) in self.balances.into_iter().filter(|(_, b)| b.changed) {
            let account = Account::from_number(number)
                .ok_or_else(|| SettlementError::Damaged(format!("account {number}")))?;
            if !account.kind.allows(balance.minor) {
                let text = format!("account {account} would be {}", balance.minor);
                return Err(SettlementError::Damaged(text));
            }
            put.write([number, balance.minor]).doing("write balances")?;
        }
        Ok(())
    }

    /// Rule S-61.
    fn write(
        &mut self,
        minute: u32,
        id: i64,
        [debit, credit, amount]: [i64; 3],
    ) -> Result<(), SettlementError> {
        self.unwritten.push([minute.into(), id, debit, credit, amount]);
        if [debit, credit].contains(&Account::EXTERNAL.number()) {
            self.outside.push((minute, id));
        }
        self.unlogged.borrow_mut().push(Transfer { id, debit, credit, minor: amount });
        self.move_by(debit, amount.checked_neg())?;
        self.move_by(credit, Some(amount))
    }

    fn move_by(&mut self, account: i64, amount: Option<i64>) -> Result<(), SettlementError> {
        let balance = self.load(account)?;
        let moved = amount.and_then(|amount| balance.minor.checked_add(amount));
        balance.minor =
            moved.ok_or_else(|| SettlementError::Damaged("a balance overflows".to_owned()))?;
        balance.changed = true;
        Ok(())
    }

    fn load(&mut self, account: i64) -> Result<&mut Balance, SettlementError> {
        use std::collections::btree_map::Entry;
        match self.balances.entry(account) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let stored: Option<i64> = self
                    .connection
                    .prepare_cached(BALANCE)
                    .and_then(|mut select| select.query_row([account], |row| row.get(0)).optional())
                    .doing("read a balance")?;
                Ok(entry.insert(Balance { minor: stored.unwrap_or(0), changed: false }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_of_different_shards_have_different_numbers() {
        let trade = |shard: u64, count: u64| TradeId::new((shard << 48) + count);
        assert_eq!(transfer_number(trade(0, 7), 3, 1), (7 << 24) + (3 << 8) + 1);
        let last = transfer_number(trade(15, SHARD_TRADES_MAX), u16::MAX, u8::MAX);
        assert_eq!(last, i64::MAX, "all bits are used, the sign is left to deposits");
        let before = transfer_number(trade(1, SHARD_TRADES_MAX), u16::MAX, u8::MAX);
        assert_eq!(transfer_number(trade(2, 0), 0, 0), before + 1);
        for contract in [trade(0, 7), trade(15, SHARD_TRADES_MAX)] {
            let number = transfer_number(contract, 300, 7);
            assert_eq!((contract_of(number), run_of(number)), (Some(contract), 300));
        }
        assert_eq!(contract_of(deposit_number(4)), None);
    }
}
