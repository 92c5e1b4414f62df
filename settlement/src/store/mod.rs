//! The pipeline's memory: one SQLite database (WAL, `synchronous = FULL`).
//!
//! Rows only; what they mean is decided by the stages. Everything here runs inside the transaction
//! of its caller.

pub mod captured;
pub mod debts;
pub mod grid;
pub mod intake;
pub mod ledger;
pub mod outbox;
pub mod queries;
pub mod rails;

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use types::{MarketId, MeterId, Party, PlatformId, Power, PublicKey, RetailerId, Role, UtilityId};

use crate::{
    error::{Doing as _, SettlementError, fit},
    registry::{Market, Meter, Registry, Signer},
};

/// The schema this program writes and reads.
pub const SCHEMA_VERSION: i64 = 4;

/// Prepared statements kept per connection; the pipeline has about a hundred and thirty.
const STATEMENTS_MAX: usize = 160;

/// Opens or creates the database.
///
/// # Errors
/// When SQLite refuses, or another version wrote the file.
pub fn open(path: &Path) -> Result<Connection, SettlementError> {
    let connection = Connection::open(path).doing("open the database")?;
    prepare(connection)
}

/// Opens a database that another process may be writing, and never changes it.
///
/// # Errors
/// When there is none of this version, or SQLite refuses.
pub fn open_read_only(path: &Path) -> Result<Connection, SettlementError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).doing("open the database")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .doing("read the schema version")?;
    if found == SCHEMA_VERSION {
        Ok(connection)
    } else {
        Err(SettlementError::Schema { found, supported: SCHEMA_VERSION })
    }
}

/// A database that is gone when it is closed.
///
/// # Errors
/// When SQLite refuses.
pub fn open_in_memory() -> Result<Connection, SettlementError> {
    prepare(Connection::open_in_memory().doing("open a database in memory")?)
}

fn prepare(connection: Connection) -> Result<Connection, SettlementError> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA cache_size = -65536;
             PRAGMA wal_autocheckpoint = 8192;
             PRAGMA temp_store = MEMORY;",
        )
        .doing("configure the database")?;
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .doing("read the schema version")?;
    if found == 0 {
        let schema = include_str!("schema.sql");
        let rails = include_str!("rails.sql");
        let script = format!("BEGIN;{schema}{rails}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;");
        connection.execute_batch(&script).doing("create the schema")?;
    } else if found != SCHEMA_VERSION {
        return Err(SettlementError::Schema { found, supported: SCHEMA_VERSION });
    }
    connection.execute_batch(include_str!("service.sql")).doing("add what is missing")?;
    Ok(connection)
}

/// The value under `key`.
///
/// # Errors
/// When SQLite refuses.
pub fn meta(connection: &Connection, key: &str) -> Result<Option<Vec<u8>>, SettlementError> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")
        .and_then(|mut select| select.query_row([key], |row| row.get(0)).optional())
        .doing("read a setting")
}

/// Sets the value under `key`.
///
/// # Errors
/// When SQLite refuses.
pub fn set_meta(connection: &Connection, key: &str, value: &[u8]) -> Result<(), SettlementError> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")
        .and_then(|mut insert| insert.execute(params![key, value]))
        .doing("write a setting")?;
    Ok(())
}

/// Keeps a market.
///
/// # Errors
/// When SQLite refuses.
pub fn put_market(connection: &Connection, market: &Market) -> Result<(), SettlementError> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO markets (market, slot_minutes) VALUES (?1, ?2)")
        .and_then(|mut put| put.execute(params![market.id.get(), market.slot_minutes]))
        .doing("write a market")?;
    Ok(())
}

/// Keeps a party.
///
/// # Errors
/// When SQLite refuses.
pub fn put_signer(connection: &Connection, signer: &Signer) -> Result<(), SettlementError> {
    let row = params![signer.party.role.code(), signer.party.number, signer.bytes.as_bytes()];
    connection
        .prepare_cached("INSERT OR REPLACE INTO parties (role, number, key) VALUES (?1, ?2, ?3)")
        .and_then(|mut put| put.execute(row))
        .doing("write a party")?;
    Ok(())
}

/// Keeps a meter.
///
/// # Errors
/// When SQLite refuses.
pub fn put_meter(connection: &Connection, meter: &Meter) -> Result<(), SettlementError> {
    let row = params![
        meter.id.get(),
        meter.platform.get(),
        meter.retailer.get(),
        meter.utility.get(),
        meter.code.as_str(),
        meter.injection_max.w(),
        meter.withdrawal_max.w()
    ];
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO meters
             (meter, platform, retailer, utility, code, injection_max, withdrawal_max)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .and_then(|mut put| put.execute(row))
        .doing("write a meter")?;
    Ok(())
}

/// Everybody and everything named so far.
///
/// # Errors
/// When SQLite refuses or a row cannot be.
pub fn registry(connection: &Connection) -> Result<Registry, SettlementError> {
    let mut registry = Registry::default();
    let mut select =
        connection.prepare("SELECT market, slot_minutes FROM markets").doing("read the markets")?;
    let rows = select
        .query_map([], |row| {
            Ok(Market { id: MarketId::new(row.get(0)?), slot_minutes: row.get(1)? })
        })
        .doing("read the markets")?;
    for market in rows {
        registry.add_market(market.doing("read the markets")?);
    }
    let mut select = connection
        .prepare(
            "SELECT meter, platform, retailer, utility, code, injection_max, withdrawal_max
             FROM meters ORDER BY meter",
        )
        .doing("read the meters")?;
    let mut rows = select.query([]).doing("read the meters")?;
    while let Some(row) = rows.next().doing("read the meters")? {
        registry.add_meter(read_meter(row)?);
    }
    let mut select =
        connection.prepare("SELECT role, number, key FROM parties").doing("read the parties")?;
    let rows = select
        .query_map([], |row| Ok((row.get::<_, u8>(0)?, row.get::<_, u16>(1)?, row.get(2)?)))
        .doing("read the parties")?;
    for row in rows {
        let (role, number, key) = row.doing("read the parties")?;
        let role = Role::from_code(role)
            .ok_or_else(|| SettlementError::Damaged("a party has no known role".to_owned()))?;
        registry.add_signer(Signer::new(Party { role, number }, PublicKey::new(key)));
    }
    grid::read_points(connection, &mut registry)?;
    grid::read_codes(connection, &mut registry)?;
    Ok(registry)
}

fn read_meter(row: &rusqlite::Row<'_>) -> Result<Meter, SettlementError> {
    const DOING: &str = "read the meters";
    let code: String = row.get(4).doing(DOING)?;
    Ok(Meter {
        id: MeterId::new(row.get(0).doing(DOING)?),
        platform: PlatformId::new(row.get(1).doing(DOING)?),
        retailer: RetailerId::new(row.get(2).doing(DOING)?),
        utility: UtilityId::new(row.get(3).doing(DOING)?),
        code: types::Code::new(&code)
            .map_err(|_| SettlementError::Damaged(format!("the name `{code}` of a meter")))?,
        injection_max: Power::from_w(row.get(5).doing(DOING)?),
        withdrawal_max: Power::from_w(row.get(6).doing(DOING)?),
    })
}

/// An unsigned number as SQLite keeps it.
///
/// # Errors
/// When it is beyond 2^63 − 1.
pub fn signed(value: u64) -> Result<i64, SettlementError> {
    fit(value, "a number in the database")
}
