//! Rows of what is owed: debts, arrears, blocks at payment rails, instructions.

use std::collections::BTreeMap;

use types::{MeterId, TradeId};

use super::signed;
use crate::{
    books::accounts::Account,
    error::{Doing as _, SettlementError, fit},
    mechanism::LegKind,
    store::database::{Connection, OptionalExtension as _, Row, params},
};

/// An open debt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Debt {
    /// Under which contract.
    pub contract: TradeId,
    /// The leg that wrote it down as owed.
    pub leg: LegKind,
    /// Who owes.
    pub debtor: MeterId,
    /// The account of whom it is owed to, of kind `owed`.
    pub creditor: Account,
    /// How much is open, in minor units.
    pub open: i64,
}

impl Debt {
    /// Whether it is a fine, which is paid after everything else.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.leg == LegKind::Fine
    }
}

/// How long somebody has owed something under a contract. Instants are minutes since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrears {
    /// Under which contract.
    pub contract: TradeId,
    /// Who owes.
    pub debtor: MeterId,
    /// Since when; 0 when nothing is open any more.
    pub since: i64,
    /// When the default was recorded.
    pub defaulted: Option<i64>,
    /// The enforcement level reached.
    pub level: u8,
    /// Whether it was fined.
    pub is_fined: bool,
}

/// Whose debts are asked for.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    /// All under a contract.
    Contract(TradeId),
    /// All of a debtor.
    Debtor(MeterId),
}

/// Open debts in order of contract and leg.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn open(connection: &Connection, of: Of) -> Result<Vec<Debt>, SettlementError> {
    const DOING: &str = "read debts";
    const COLUMNS: &str = "SELECT trade, leg, debtor, creditor, open FROM debts WHERE";
    let (filter, key) = match of {
        Of::Contract(contract) => ("trade", signed(contract.get())?),
        Of::Debtor(debtor) => ("debtor", i64::from(debtor.get())),
    };
    let mut select = connection
        .prepare_cached(&format!("{COLUMNS} {filter} = ?1 ORDER BY trade, leg, debtor"))
        .doing(DOING)?;
    let rows = select
        .query_map([key], |row| {
            let numbers: [i64; 3] = [row.get(0)?, row.get(3)?, row.get(4)?];
            Ok((numbers, row.get::<u8>(1)?, row.get::<u32>(2)?))
        })
        .doing(DOING)?;
    rows.map(|row| {
        let ([trade, creditor, open], leg, debtor) = row.doing(DOING)?;
        let damaged = || SettlementError::Damaged(format!("debt {leg} of contract {trade}"));
        Ok(Debt {
            contract: TradeId::new(fit(trade, "a trade number")?),
            leg: LegKind::from_code(leg).ok_or_else(damaged)?,
            debtor: MeterId::new(debtor),
            creditor: Account::from_number(creditor).ok_or_else(damaged)?,
            open,
        })
    })
    .collect()
}

/// Sets what is open; nothing open is no row.
///
/// # Errors
/// When the database refuses.
pub fn put(connection: &Connection, debt: &Debt) -> Result<(), SettlementError> {
    const DOING: &str = "write a debt";
    if debt.open <= 0 {
        let key = params![signed(debt.contract.get())?, debt.leg.code(), debt.debtor.get()];
        connection
            .prepare_cached("DELETE FROM debts WHERE trade = ?1 AND leg = ?2 AND debtor = ?3")
            .and_then(|mut delete| delete.write(key))
            .doing(DOING)?;
        return Ok(());
    }
    let row = params![
        signed(debt.contract.get())?,
        debt.leg.code(),
        debt.debtor.get(),
        debt.creditor.number(),
        debt.open
    ];
    connection
        .prepare_cached(
            "INSERT INTO debts (trade, leg, debtor, creditor, open) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (trade, leg, debtor) DO UPDATE
             SET creditor = excluded.creditor, open = excluded.open",
        )
        .and_then(|mut put| put.write(row))
        .doing(DOING)?;
    Ok(())
}

/// Forgets the debt of a run that was taken back.
///
/// # Errors
/// When the database refuses.
pub fn forget(
    connection: &Connection,
    contract: TradeId,
    leg: LegKind,
) -> Result<(), SettlementError> {
    connection
        .prepare_cached("DELETE FROM debts WHERE trade = ?1 AND leg = ?2")
        .and_then(|mut delete| {
            delete.write(params![signed(contract.get()).unwrap_or(-1), leg.code()])
        })
        .doing("write a debt")?;
    Ok(())
}

/// Notes that somebody owes something since `minute`, if nothing was open before; or, without a
/// minute, that nothing is open.
///
/// # Errors
/// When the database refuses.
pub fn note_since(
    connection: &Connection,
    contract: TradeId,
    debtor: MeterId,
    minute: Option<i64>,
) -> Result<(), SettlementError> {
    let key = signed(contract.get())?;
    let written = match minute {
        Some(minute) => connection
            .prepare_cached(
                "INSERT INTO arrears (trade, debtor, since) VALUES (?1, ?2, ?3)
                 ON CONFLICT (trade, debtor) DO UPDATE
                 SET since = coalesce(arrears.since, excluded.since)",
            )
            .and_then(|mut put| put.write(params![key, debtor.get(), minute])),
        None => connection
            .prepare_cached("UPDATE arrears SET since = NULL WHERE trade = ?1 AND debtor = ?2")
            .and_then(|mut put| put.write(params![key, debtor.get()])),
    };
    written.doing("write arrears")?;
    Ok(())
}

/// Everybody who owes something, the longest first.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn arrears(connection: &Connection) -> Result<Vec<Arrears>, SettlementError> {
    read_arrears(connection, "since IS NOT NULL")
}

/// Where a debtor stands under all contracts, the longest first.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn arrears_of(
    connection: &Connection,
    debtor: MeterId,
) -> Result<Vec<Arrears>, SettlementError> {
    read_arrears(connection, &format!("debtor = {}", debtor.get()))
}

/// Who has paid what brought them to this level, and still stands there.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn paid_at(connection: &Connection, level: u8) -> Result<Vec<Arrears>, SettlementError> {
    read_arrears(connection, &format!("level = {level} AND since IS NULL"))
}

fn read_arrears(connection: &Connection, filter: &str) -> Result<Vec<Arrears>, SettlementError> {
    const DOING: &str = "read arrears";
    let mut select = connection
        .prepare_cached(&format!(
            "SELECT trade, debtor, coalesce(since, 0), defaulted, level, fined FROM arrears
             WHERE {filter} ORDER BY coalesce(since, 0), trade, debtor"
        ))
        .doing(DOING)?;
    let rows = select
        .query_map([], |row| {
            let key: (i64, u32) = (row.get(0)?, row.get(1)?);
            Ok((key, row.get(2)?, row.get(3)?, row.get(4)?, row.get::<u8>(5)?))
        })
        .doing(DOING)?;
    rows.map(|row| {
        let ((trade, debtor), since, defaulted, level, fined) = row.doing(DOING)?;
        Ok(Arrears {
            contract: TradeId::new(fit(trade, "a trade number")?),
            debtor: MeterId::new(debtor),
            since,
            defaulted,
            level,
            is_fined: fined != 0,
        })
    })
    .collect()
}

/// Everybody who owes something, or reached a level under a contract, the longest first.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn all_arrears(connection: &Connection) -> Result<Vec<Arrears>, SettlementError> {
    read_arrears(connection, "since IS NOT NULL OR level > 0")
}

/// Keeps how far enforcement has gone.
///
/// # Errors
/// When the database refuses.
pub fn put_level(connection: &Connection, arrears: &Arrears) -> Result<(), SettlementError> {
    let row = params![
        signed(arrears.contract.get())?,
        arrears.debtor.get(),
        arrears.defaulted,
        arrears.level,
        arrears.is_fined
    ];
    connection
        .prepare_cached(
            "UPDATE arrears SET defaulted = ?3, level = ?4, fined = ?5
             WHERE trade = ?1 AND debtor = ?2",
        )
        .and_then(|mut put| put.write(row))
        .doing("write arrears")?;
    Ok(())
}

/// Whether a debtor defaulted between two minutes: from the first, before the second.
///
/// # Errors
/// When the database refuses.
pub fn defaulted_between(
    connection: &Connection,
    debtor: MeterId,
    from: i64,
    before: i64,
) -> Result<bool, SettlementError> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM arrears
             WHERE debtor = ?1 AND defaulted >= ?2 AND defaulted < ?3)",
        )
        .and_then(|mut select| {
            select.query_row(params![debtor.get(), from, before], |row| row.get(0))
        })
        .doing("look for earlier defaults")
}

/// Who reached a level under a contract, and whether something is still open where it did.
///
/// # Errors
/// When the database refuses.
pub fn reached(
    connection: &Connection,
    level: u8,
) -> Result<BTreeMap<MeterId, bool>, SettlementError> {
    const DOING: &str = "read who reached a level";
    let mut select = connection
        .prepare_cached(
            "SELECT debtor, coalesce(max(since), 0) FROM arrears WHERE level >= ?1
             GROUP BY debtor ORDER BY debtor",
        )
        .doing(DOING)?;
    let rows = select
        .query_map([i64::from(level)], |row| {
            Ok((MeterId::new(row.get(0)?), row.get::<i64>(1)? != 0))
        })
        .doing(DOING)?;
    rows.map(|row| row.doing(DOING)).collect()
}

/// The highest enforcement level reached under a contract.
///
/// # Errors
/// When the database refuses.
pub fn level(connection: &Connection, contract: TradeId) -> Result<u8, SettlementError> {
    let key = signed(contract.get())?;
    connection
        .prepare_cached("SELECT coalesce(max(level), 0) FROM arrears WHERE trade = ?1")
        .and_then(|mut select| select.query_row([key], |row| row.get(0)))
        .doing("read an enforcement level")
}

/// Money blocked at a payment rail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    /// When the block expires, in minutes since 1970.
    pub expires: i64,
    /// Whether it came from the payer's deposits.
    pub is_deposited: bool,
    /// Whether it was captured or given free.
    pub is_used: bool,
}

/// The block of a contract.
///
/// # Errors
/// When the database refuses.
pub fn block(
    connection: &Connection,
    contract: TradeId,
) -> Result<Option<Blocked>, SettlementError> {
    let key = signed(contract.get())?;
    connection
        .prepare_cached("SELECT expires, deposited, used FROM blocks WHERE trade = ?1")
        .and_then(|mut select| {
            let columns = |row: Row<'_>| {
                Ok(Blocked {
                    expires: row.get(0)?,
                    is_deposited: row.get(1)?,
                    is_used: row.get(2)?,
                })
            };
            select.query_row([key], columns).optional()
        })
        .doing("read a block")
}

/// Keeps the block of a contract.
///
/// # Errors
/// When the database refuses.
pub fn put_block(
    connection: &Connection,
    contract: TradeId,
    block: Blocked,
) -> Result<(), SettlementError> {
    let Blocked { expires, is_deposited, is_used } = block;
    let row = params![signed(contract.get())?, expires, is_deposited, is_used];
    connection
        .prepare_cached(
            "INSERT INTO blocks (trade, expires, deposited, used) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (trade) DO UPDATE SET expires = excluded.expires,
             deposited = excluded.deposited, used = excluded.used",
        )
        .and_then(|mut put| put.write(row))
        .doing("write a block")?;
    Ok(())
}

/// What is known of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Nothing: it is new.
    No,
    /// It was carried out with the same content.
    Same,
    /// Its reference was used with other content.
    Other,
}

/// Looks for an instruction of this kind and reference.
///
/// # Errors
/// When the database refuses.
pub fn instruction(
    connection: &Connection,
    kind: u8,
    reference: i64,
    content: &[u8],
) -> Result<Known, SettlementError> {
    let stored: Option<Vec<u8>> = connection
        .prepare_cached("SELECT content FROM instructions WHERE kind = ?1 AND reference = ?2")
        .and_then(|mut select| {
            select.query_row(params![kind, reference], |row| row.get(0)).optional()
        })
        .doing("look for an instruction")?;
    Ok(match stored {
        None => Known::No,
        Some(stored) if stored == content => Known::Same,
        Some(_) => Known::Other,
    })
}

/// Keeps an instruction that was carried out.
///
/// # Errors
/// When the database refuses.
pub fn put_instruction(
    connection: &Connection,
    kind: u8,
    reference: i64,
    content: &[u8],
) -> Result<(), SettlementError> {
    connection
        .prepare_cached("INSERT INTO instructions (kind, reference, content) VALUES (?1, ?2, ?3)")
        .and_then(|mut put| put.write(params![kind, reference, content]))
        .doing("write an instruction")?;
    Ok(())
}
