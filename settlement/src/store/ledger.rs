//! Rows of the ledger: leaves and checkpoints.

use types::{Digest, TradeId};

use super::{set_meta, signed};
use crate::{
    books::posting::Unlogged,
    error::{Doing as _, SettlementError, fit},
    store::database::{Connection, OptionalExtension as _, Row, Statement, params},
    tlog::{
        Frontier,
        facts::{TRANSFERS_MAX, encode_transfers},
        hash_leaf,
    },
};

/// Where the frontier is kept.
pub const FRONTIER: &str = "frontier";

/// Appends leaves within one transaction.
#[derive(Debug)]
pub struct Appender<'c> {
    connection: &'c Connection,
    /// Writes a leaf; prepared for the first.
    insert: Option<Statement<'c>>,
    frontier: Frontier,
    unlogged: Unlogged,
}

impl<'c> Appender<'c> {
    /// Continues after `frontier`. The transfers in `unlogged` become leaves before the next leaf, or
    /// at the end.
    #[must_use]
    pub const fn new(connection: &'c Connection, frontier: Frontier, unlogged: Unlogged) -> Self {
        Self { connection, insert: None, frontier, unlogged }
    }

    /// Appends a leaf, behind the transfers that were posted before it, and returns its index.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn append(&mut self, bytes: &[u8]) -> Result<u64, SettlementError> {
        self.append_transfers()?;
        self.append_one(bytes)
    }

    /// One leaf for each contract and run, wherever transactions end: so the tree does not depend on
    /// how work was batched.
    fn append_transfers(&mut self) -> Result<(), SettlementError> {
        let transfers = self.unlogged.take();
        for group in transfers.chunk_by(|one, next| one.group() == next.group()) {
            for part in group.chunks(TRANSFERS_MAX) {
                self.append_one(&encode_transfers(part))?;
            }
        }
        Ok(())
    }

    fn append_one(&mut self, bytes: &[u8]) -> Result<u64, SettlementError> {
        const INSERT: &str = "INSERT INTO leaves (leaf, bytes) VALUES (?1, ?2)";
        const DOING: &str = "append a leaf";
        let index = self.frontier.size();
        let insert = match &mut self.insert {
            Some(insert) => insert,
            none => none.insert(self.connection.prepare_cached(INSERT).doing(DOING)?),
        };
        insert.write(params![signed(index).unwrap_or(-1), bytes]).doing(DOING)?;
        self.frontier.push(hash_leaf(bytes));
        Ok(index)
    }

    /// Keeps the frontier with the leaves and hands it back.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn finish(mut self) -> Result<Frontier, SettlementError> {
        self.append_transfers()?;
        set_meta(self.connection, FRONTIER, &self.frontier.to_bytes())?;
        Ok(self.frontier)
    }
}

/// The bytes of a leaf, if there is one of this index.
///
/// # Errors
/// When the database refuses.
pub fn leaf(connection: &Connection, index: u64) -> Result<Option<Vec<u8>>, SettlementError> {
    let index = signed(index)?;
    connection
        .prepare_cached("SELECT bytes FROM leaves WHERE leaf = ?1")
        .and_then(|mut select| select.query_row([index], |row| row.get(0)).optional())
        .doing("read a leaf")
}

/// The leaves from `first` up to, not including, `end`.
///
/// # Errors
/// When the database refuses or a leaf is missing.
pub fn leaves(
    connection: &Connection,
    first: u64,
    end: u64,
) -> Result<Vec<Vec<u8>>, SettlementError> {
    let mut select = connection
        .prepare_cached("SELECT bytes FROM leaves WHERE leaf >= ?1 AND leaf < ?2 ORDER BY leaf")
        .doing("read leaves")?;
    let range = [signed(first)?, signed(end)?];
    let rows = select.query_map(range, |row| row.get(0)).doing("read leaves")?;
    let bytes: Vec<Vec<u8>> = rows.collect::<Result<_, _>>().doing("read leaves")?;
    if u64::try_from(bytes.len()).ok() == end.checked_sub(first) {
        Ok(bytes)
    } else {
        Err(SettlementError::Damaged(format!("leaves are missing between {first} and {end}")))
    }
}

/// The leaves of a kind, with their indices, in order. Reads all leaves.
///
/// # Errors
/// When the database refuses.
pub fn leaves_of_kind(
    connection: &Connection,
    kind: u8,
) -> Result<Vec<(u64, Vec<u8>)>, SettlementError> {
    const DOING: &str = "read leaves of a kind";
    let mut select = connection
        .prepare_cached(
            "SELECT leaf, bytes FROM leaves WHERE substr(bytes, 1, 1) = ?1 ORDER BY leaf",
        )
        .doing(DOING)?;
    let rows = select
        .query_map([[kind]], |row| Ok((row.get::<i64>(0)?, row.get(1)?)))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .doing(DOING)?;
    rows.into_iter().map(|(index, bytes)| Ok((fit(index, "a leaf index")?, bytes))).collect()
}

/// How many leaves there are.
///
/// # Errors
/// When the database refuses.
pub fn leaf_count(connection: &Connection) -> Result<u64, SettlementError> {
    let count: i64 = connection
        .query_row("SELECT coalesce(max(leaf) + 1, 0) FROM leaves", [], |row| row.get(0))
        .doing("count the leaves")?;
    fit(count, "the number of leaves")
}

/// The indices of a contract's own leaf and of its newest: its own until there is another.
///
/// # Errors
/// When the database refuses.
pub fn leaves_of(
    connection: &Connection,
    contract: TradeId,
) -> Result<Option<(u64, u64)>, SettlementError> {
    let row: Option<(i64, i64)> = connection
        .prepare_cached("SELECT leaf, newest_leaf FROM contracts WHERE trade = ?1")
        .and_then(|mut select| {
            let id = signed(contract.get()).unwrap_or(-1);
            select.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .doing("look for a contract")?;
    row.map(|(own, newest)| Ok((fit(own, "a leaf index")?, fit(newest, "a leaf index")?)))
        .transpose()
}

/// A checkpoint as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// Size and peaks of the tree.
    pub frontier: Frontier,
    /// Its root.
    pub root: Digest,
    /// The note.
    pub note: String,
}

/// The newest checkpoint of at most `size` leaves.
///
/// # Errors
/// When the database refuses or the row cannot be.
pub fn checkpoint(
    connection: &Connection,
    size: u64,
) -> Result<Option<SignedCheckpoint>, SettlementError> {
    let row: Option<([u8; 32], Vec<u8>, String)> = connection
        .prepare_cached(
            "SELECT root, frontier, note FROM checkpoints WHERE size <= ?1
             ORDER BY size DESC LIMIT 1",
        )
        .and_then(|mut select| {
            let columns = |row: Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            select.query_row([i64::try_from(size).unwrap_or(i64::MAX)], columns).optional()
        })
        .doing("read the newest checkpoint")?;
    row.map(|(root, frontier, note)| {
        let frontier = Frontier::from_bytes(&frontier)
            .ok_or_else(|| SettlementError::Damaged("a checkpoint's frontier".to_owned()))?;
        Ok(SignedCheckpoint { frontier, root: Digest::new(root), note })
    })
    .transpose()
}

/// Keeps a checkpoint.
///
/// # Errors
/// When the database refuses.
pub fn put_checkpoint(
    connection: &Connection,
    checkpoint: &SignedCheckpoint,
) -> Result<(), SettlementError> {
    let row = params![
        signed(checkpoint.frontier.size())?,
        checkpoint.root.as_bytes(),
        checkpoint.frontier.to_bytes(),
        checkpoint.note
    ];
    connection
        .prepare_cached(
            "INSERT INTO checkpoints (size, root, frontier, note) VALUES (?1, ?2, ?3, ?4)",
        )
        .and_then(|mut insert| insert.write(row))
        .doing("write a checkpoint")?;
    Ok(())
}
