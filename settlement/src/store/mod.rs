//! The pipeline's memory: one database, behind the seam of [`database`].
//!
//! Rows only; what they mean is decided by the stages. Everything here runs inside the transaction
//! of its caller.

pub mod captured;
pub mod database;
pub mod debts;
pub mod disconnections;
pub mod grid;
pub mod intake;
pub mod ledger;
pub mod notices;
pub mod outbox;
pub mod queries;
pub mod rails;
pub mod statements;

use core::time::Duration;

use types::{MarketId, MeterId, Party, PlatformId, Power, PublicKey, RetailerId, Role, UtilityId};

use crate::{
    error::{Doing as _, SettlementError, fit},
    registry::{Market, Meter, Registry, Signer},
    store::database::{Connection, DatabaseError, Lease, OptionalExtension as _, Store, params},
};

/// The schema this program writes and reads.
pub const SCHEMA_VERSION: i64 = 7;

/// What makes the schema.
const SCHEMA: &str =
    concat!(include_str!("schema.sql"), include_str!("rails.sql"), include_str!("service.sql"));

/// The lease of who writes: the leaves of a ledger are one row after the other, so one process appends.
const WRITER: &str = "ledger";

/// How long a writer may be silent before another may take its place: 30 s, the longest that a batch takes
/// on a slow disk, several times over. It ends at once where its connection ends.
const WRITER_SILENT: Duration = Duration::from_secs(30);

/// Opens or creates the database, to write. On a server this takes the lease of the one who writes.
///
/// # Errors
/// When the database refuses or cannot be reached, another version wrote it, or another process writes.
pub fn open(store: &Store) -> Result<Connection, SettlementError> {
    match store {
        Store::File(path) => prepare(Connection::open_file(path).doing("open the database")?),
        Store::Server(address) => {
            let connection = Connection::connect(address, SCHEMA).doing("open the database")?;
            let mut connection = prepare(connection)?;
            let holder = format!("gridcross, process {}", std::process::id());
            let lease = Lease { name: WRITER.to_owned(), holder, lasts: WRITER_SILENT };
            take(&mut connection, &lease).doing("open the database to write")?;
            Ok(connection)
        }
    }
}

/// The server may not have seen yet that the session of whoever wrote before has ended.
fn take(connection: &mut Connection, lease: &Lease) -> Result<(), DatabaseError> {
    const PAUSE_MAX: Duration = Duration::from_millis(800);
    let mut pause = Duration::from_millis(50);
    loop {
        match connection.take_lease(lease) {
            Err(DatabaseError::LeaseHeld { .. }) if pause <= PAUSE_MAX => {
                self::pause(pause);
                pause = pause.saturating_mul(2);
            }
            taken => return taken.map(drop),
        }
    }
}

/// Waits for a server that starts, or for another's session to end. Nothing that is decided depends on
/// how long it was.
#[expect(clippy::disallowed_methods, reason = "a server says nothing while it is not there")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Opens a database that another process may be writing, and never changes it.
///
/// # Errors
/// When there is none of this version, or the database refuses or cannot be reached.
pub fn open_read_only(store: &Store) -> Result<Connection, SettlementError> {
    let opened = match store {
        Store::File(path) => Connection::open_file_read_only(path),
        Store::Server(address) => Connection::connect(address, SCHEMA),
    };
    let connection = opened.doing("open the database")?;
    if store.file().is_none() {
        let only = "SET default_transaction_read_only = on";
        connection.execute_batch(only).doing("open the database")?;
    }
    let found = connection.schema_version().doing("read the schema version")?;
    if found == SCHEMA_VERSION {
        Ok(connection)
    } else {
        Err(SettlementError::Schema { found, supported: SCHEMA_VERSION })
    }
}

/// A database that is gone when it is closed.
///
/// # Errors
/// When the database refuses.
pub fn open_in_memory() -> Result<Connection, SettlementError> {
    prepare(Connection::open_in_memory().doing("open a database in memory")?)
}

fn prepare(connection: Connection) -> Result<Connection, SettlementError> {
    let found = connection.schema_version().doing("read the schema version")?;
    if found == 0 {
        connection.create_schema(SCHEMA, SCHEMA_VERSION).doing("create the schema")?;
    } else if found != SCHEMA_VERSION {
        return Err(SettlementError::Schema { found, supported: SCHEMA_VERSION });
    }
    Ok(connection)
}

/// The value under `key`.
///
/// # Errors
/// When the database refuses.
pub fn meta(connection: &Connection, key: &str) -> Result<Option<Vec<u8>>, SettlementError> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")
        .and_then(|mut select| select.query_row([key], |row| row.get(0)).optional())
        .doing("read a setting")
}

/// Sets the value under `key`.
///
/// # Errors
/// When the database refuses.
pub fn set_meta(connection: &Connection, key: &str, value: &[u8]) -> Result<(), SettlementError> {
    connection
        .prepare_cached(
            "INSERT INTO meta (key, value) VALUES (?1, ?2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .and_then(|mut insert| insert.write(params![key, value]))
        .doing("write a setting")?;
    Ok(())
}

/// Keeps a market.
///
/// # Errors
/// When the database refuses.
pub fn put_market(connection: &Connection, market: &Market) -> Result<(), SettlementError> {
    connection
        .prepare_cached(
            "INSERT INTO markets (market, slot_minutes) VALUES (?1, ?2)
             ON CONFLICT (market) DO UPDATE SET slot_minutes = excluded.slot_minutes",
        )
        .and_then(|mut put| put.write(params![market.id.get(), market.slot_minutes]))
        .doing("write a market")?;
    Ok(())
}

/// Keeps a party.
///
/// # Errors
/// When the database refuses.
pub fn put_signer(connection: &Connection, signer: &Signer) -> Result<(), SettlementError> {
    let row = params![signer.party.role.code(), signer.party.number, signer.bytes.as_bytes()];
    connection
        .prepare_cached(
            "INSERT INTO parties (role, number, key) VALUES (?1, ?2, ?3)
             ON CONFLICT (role, number) DO UPDATE SET key = excluded.key",
        )
        .and_then(|mut put| put.write(row))
        .doing("write a party")?;
    Ok(())
}

/// Keeps a meter.
///
/// # Errors
/// When the database refuses.
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
            "INSERT INTO meters
             (meter, platform, retailer, utility, code, injection_max, withdrawal_max)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (meter) DO UPDATE SET platform = excluded.platform,
             retailer = excluded.retailer, utility = excluded.utility, code = excluded.code,
             injection_max = excluded.injection_max, withdrawal_max = excluded.withdrawal_max",
        )
        .and_then(|mut put| put.write(row))
        .doing("write a meter")?;
    Ok(())
}

/// Everybody and everything named so far.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn registry(connection: &Connection) -> Result<Registry, SettlementError> {
    let mut registry = Registry::default();
    let mut select = connection
        .prepare_cached("SELECT market, slot_minutes FROM markets ORDER BY market")
        .doing("read the markets")?;
    let rows = select
        .query_map([], |row| {
            Ok(Market { id: MarketId::new(row.get(0)?), slot_minutes: row.get(1)? })
        })
        .doing("read the markets")?;
    for market in rows {
        registry.add_market(market.doing("read the markets")?);
    }
    let mut select = connection
        .prepare_cached(
            "SELECT meter, platform, retailer, utility, code, injection_max, withdrawal_max
             FROM meters ORDER BY meter",
        )
        .doing("read the meters")?;
    let mut rows = select.query([]).doing("read the meters")?;
    while let Some(row) = rows.next().doing("read the meters")? {
        registry.add_meter(read_meter(row)?);
    }
    let mut select = connection
        .prepare_cached("SELECT role, number, key FROM parties ORDER BY role, number")
        .doing("read the parties")?;
    let rows = select
        .query_map([], |row| Ok((row.get::<u8>(0)?, row.get::<u16>(1)?, row.get(2)?)))
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

fn read_meter(row: database::Row<'_>) -> Result<Meter, SettlementError> {
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

/// Every table.
#[cfg(test)]
pub(crate) fn tables() -> std::collections::BTreeSet<String> {
    database::tables(SCHEMA)
}

/// An unsigned number as databases keep it.
///
/// # Errors
/// When it is beyond 2^63 − 1.
pub fn signed(value: u64) -> Result<i64, SettlementError> {
    fit(value, "a number in the database")
}
