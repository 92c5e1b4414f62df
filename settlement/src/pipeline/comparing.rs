//! The database against what its own leaves say: who audits a log may hold the books against it too.

use std::collections::BTreeMap;

use types::{Digest, TradeId};

use crate::{
    error::{Doing as _, SettlementError, fit},
    store::database::{Connection, Store},
    store::{self, ledger},
    tlog::{
        note::{Note, VerifierKey},
        rebuild::{Rebuilt, Standing},
        walk::Walked,
    },
};

/// A database beside the log that it makes, read in one transaction.
#[derive(Debug)]
pub struct Books {
    connection: Connection,
}

/// What the database says of a contract.
type Row = (i64, u8, u32, i64, i64, bool, i64, i64);

impl Books {
    /// Opens a database; nothing of it changes while it is open.
    ///
    /// # Errors
    /// When there is none of this version.
    pub fn open(db: impl Into<Store>) -> Result<Self, SettlementError> {
        let connection = store::open_read_only(&db.into())?;
        connection.begin_reading().doing("begin to read")?;
        Ok(Self { connection })
    }

    /// The key of the ledger that the database belongs to.
    ///
    /// # Errors
    /// When the database refuses, or there is none.
    pub fn log(&self) -> Result<VerifierKey, SettlementError> {
        let bytes = store::meta(&self.connection, super::LEDGER)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        VerifierKey::parse(&text).map_err(|error| SettlementError::Damaged(error.to_string()))
    }

    /// Indices of a contract's own leaf and of its newest, if there is the contract.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn leaves_of(&self, contract: TradeId) -> Result<Option<(u64, u64)>, SettlementError> {
        ledger::leaves_of(&self.connection, contract)
    }

    /// Sizes for which the database holds a signed checkpoint.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn checkpoint_sizes(&self) -> Result<Vec<u64>, SettlementError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT size FROM checkpoints ORDER BY size")
            .doing("read the checkpoints")?;
        let rows = select.query_map([], |row| row.get::<i64>(0)).doing("read the checkpoints")?;
        rows.map(|row| fit(row.doing("read the checkpoints")?, "a size")).collect()
    }

    /// Leaves that are stored after the log's newest checkpoint, and are not signed yet.
    ///
    /// # Errors
    /// When the database refuses, or the database holds fewer leaves than were signed.
    pub fn unsigned(&self, signed: u64) -> Result<Vec<Vec<u8>>, SettlementError> {
        let stored = ledger::leaf_count(&self.connection)?;
        if stored < signed {
            return Err(SettlementError::RolledBack { promised: signed, stored });
        }
        ledger::leaves(&self.connection, signed, stored)
    }

    /// Compares everything: checkpoints with the roots that a walk computed, contracts and balances
    /// with what the leaves say. The first thing that differs, if there is one.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn first_difference(
        &self,
        log: &VerifierKey,
        walked: &Walked,
        rebuilt: &Rebuilt,
    ) -> Result<Option<String>, SettlementError> {
        if let Some(text) = self.checkpoints(log, &walked.roots)? {
            return Ok(Some(text));
        }
        if let Some(text) = self.balances(&rebuilt.balances)? {
            return Ok(Some(text));
        }
        self.contracts(&rebuilt.contracts)
    }

    fn checkpoints(
        &self,
        log: &VerifierKey,
        roots: &BTreeMap<u64, Digest>,
    ) -> Result<Option<String>, SettlementError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT size, root, note FROM checkpoints ORDER BY size")
            .doing("read the checkpoints")?;
        let mut rows = select.query([]).doing("read the checkpoints")?;
        while let Some(row) = rows.next().doing("read the checkpoints")? {
            let size: i64 = row.get(0).doing("read a checkpoint")?;
            let stored: Vec<u8> = row.get(1).doing("read a checkpoint")?;
            let text: String = row.get(2).doing("read a checkpoint")?;
            let size: u64 = fit(size, "a size")?;
            let Some(root) = roots.get(&size) else { continue };
            let said = Note::parse(&text).ok().filter(|note| {
                (note.size, note.root) == (size, *root)
                    && matches!(note.signed_by(log), Ok(Some(_)))
            });
            if root.as_bytes() != stored.as_slice() || said.is_none() {
                return Ok(Some(format!("the checkpoint of {size} leaves is not of this log")));
            }
        }
        Ok(None)
    }

    fn balances(&self, rebuilt: &BTreeMap<i64, i64>) -> Result<Option<String>, SettlementError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT account, balance FROM accounts ORDER BY account")
            .doing("read the balances")?;
        let rows = select
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .doing("read the balances")?;
        let stored: BTreeMap<i64, i64> =
            rows.collect::<Result<_, _>>().doing("read the balances")?;
        let of = |balances: &BTreeMap<i64, i64>, account| balances.get(&account).copied();
        let mut all = stored.keys().chain(rebuilt.keys()).copied();
        Ok(all.find_map(|account| {
            let (in_books, by_leaves) = (of(&stored, account), of(rebuilt, account));
            let differs = in_books.unwrap_or(0) != by_leaves.unwrap_or(0);
            differs.then(|| {
                let name = crate::books::accounts::Account::from_number(account)
                    .map_or_else(|| account.to_string(), |account| account.to_string());
                format!(
                    "account {name} is {in_books:?} in the books and {by_leaves:?} by the leaves"
                )
            })
        }))
    }

    fn contracts(
        &self,
        rebuilt: &BTreeMap<TradeId, Standing>,
    ) -> Result<Option<String>, SettlementError> {
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT trade, state, version, energy, settled, provisional, leaf, newest_leaf
                 FROM contracts ORDER BY trade",
            )
            .doing("read the contracts")?;
        let rows = select
            .query_map([], |row| {
                let head = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                let rest = (row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?);
                Ok((head.0, head.1, head.2, head.3, rest.0, rest.1, rest.2, rest.3))
            })
            .doing("read the contracts")?;
        let mut count = 0_usize;
        for row in rows {
            let row: Row = row.doing("read the contracts")?;
            let id = TradeId::new(fit(row.0, "a trade number")?);
            count = count.saturating_add(1);
            let same = rebuilt.get(&id).is_some_and(|standing| {
                let wh = |energy: types::Energy| i64::try_from(energy.wh()).unwrap_or(-1);
                let index = |leaf: u64| i64::try_from(leaf).unwrap_or(-1);
                let of_leaves: Row = (
                    row.0,
                    standing.state.code(),
                    standing.version,
                    wh(standing.energy),
                    wh(standing.settled),
                    standing.provisional,
                    index(standing.leaf),
                    index(standing.newest),
                );
                of_leaves == row
            });
            if !same {
                return Ok(Some(format!(
                    "contract {id} is another in the books than by its leaves"
                )));
            }
        }
        if count != rebuilt.len() {
            let text =
                format!("{count} contracts are in the books, {} by the leaves", rebuilt.len());
            return Ok(Some(text));
        }
        Ok(None)
    }
}
