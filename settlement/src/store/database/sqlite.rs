//! `SQLite`: a file in WAL mode, every commit synced.

use std::{path::Path, time::Duration};

use rusqlite::{
    CachedStatement, Connection, Error, OpenFlags, Row, ToSql,
    backup::{Backup, StepResult},
    config::DbConfig,
    ffi,
    types::{ToSqlOutput, ValueRef},
};

use super::{DatabaseError, Params, Value};

/// Prepared statements kept per connection; the pipeline has about a hundred and thirty.
const STATEMENTS_MAX: usize = 160;

/// How long somebody else may lock the database before that is an error: a copy or an inspection takes
/// a minute at most, and the inputs wait as long.
pub(crate) const LOCKED_MAX: Duration = Duration::from_secs(120);

pub(super) fn open(path: &Path) -> Result<Connection, DatabaseError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(LOCKED_MAX)?;
    configure(connection)
}

pub(super) fn open_in_memory() -> Result<Connection, DatabaseError> {
    configure(Connection::open_in_memory()?)
}

pub(super) fn open_read_only(path: &Path) -> Result<Connection, DatabaseError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    keep_statements(&connection)?;
    Ok(connection)
}

/// Copies the database at `from` into the new file `to`, as it is at one moment, beside a process that
/// writes it. The copy is synced.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), DatabaseError> {
    let source = open_read_only(from)?;
    source.busy_timeout(LOCKED_MAX)?;
    let mut target = Connection::open(to)?;
    // One step takes every page inside one reading transaction: the writer goes on, and a second step would
    // begin anew after each of its commits.
    if Backup::new(&source, &mut target)?.step(-1)? == StepResult::Done {
        return Ok(());
    }
    Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None).into())
}

/// Statements are planned once. Without this `SQLite` plans many of them again whenever a parameter changes
/// (it could help to know the value), which took three quarters of the time of a file of readings.
fn keep_statements(connection: &Connection) -> Result<(), DatabaseError> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn configure(connection: Connection) -> Result<Connection, DatabaseError> {
    keep_statements(&connection)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA cache_size = -65536;
         PRAGMA wal_autocheckpoint = 8192;
         PRAGMA temp_store = MEMORY;",
    )?;
    Ok(connection)
}

pub(super) fn schema_version(connection: &Connection) -> Result<i64, DatabaseError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

pub(super) fn create_schema(
    connection: &Connection,
    script: &str,
    version: i64,
) -> Result<(), DatabaseError> {
    let script = format!("BEGIN;{script}PRAGMA user_version = {version};COMMIT;");
    Ok(connection.execute_batch(&script)?)
}

pub(super) fn bind(
    statement: &mut CachedStatement<'_>,
    params: impl Params,
) -> Result<(), DatabaseError> {
    params.each(|index, value| Ok(statement.raw_bind_parameter(index, value)?))
}

pub(super) fn value<'r>(row: &'r Row<'_>, column: usize) -> Result<Value<'r>, DatabaseError> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(number) => Ok(Value::Integer(number)),
        ValueRef::Blob(bytes) => Ok(Value::Bytes(bytes)),
        ValueRef::Text(text) => core::str::from_utf8(text)
            .map(Value::Text)
            .map_err(|_| DatabaseError::Column { column, found: "text that is none" }),
        ValueRef::Real(_) => Err(DatabaseError::Column { column, found: "a fraction" }),
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(number),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}
