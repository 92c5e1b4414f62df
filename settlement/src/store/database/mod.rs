//! The seam between the pipeline and the database that keeps its rows: one set of statements, one
//! small set of values, and a connection that is of one kind or another.
//!
//! A statement is written once, in the dialect that every store knows: numbered parameters (`?1`),
//! integers of 64 bits, `ON CONFLICT` with its columns, `RETURNING`, and an order wherever the order
//! of rows matters. Everything else that the stores do differently stays behind this module.

mod address;
mod batch;
mod dialect;
mod lease;
mod postgres;
mod sqlite;
mod value;

use core::{fmt, ops::Deref};
use std::{io, path::Path, sync::Arc};

pub use self::address::{Address, AddressError, Store};
pub use self::lease::Lease;
#[cfg(test)]
pub(crate) use self::postgres::Fault;
use self::postgres::{Postgres, Prepared};
pub use self::value::{FromValue, Param, Params, ToValue, Value};

/// Parameters of a statement, in order.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::store::database::Param { value: &$value }),*]
    };
}
pub(crate) use params;

/// Why the database refused.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// What `SQLite` said.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// What `PostgreSQL` said.
    #[error("{said}")]
    Postgres {
        /// Its sentence and code.
        said: String,
        /// The cause.
        source: tokio_postgres::Error,
    },
    /// The server cannot be reached, or does not let us in.
    #[error("the store at {place} cannot be reached")]
    Unreachable {
        /// Where.
        place: String,
        /// The cause.
        source: tokio_postgres::Error,
    },
    /// The connection to the server ended.
    #[error("the connection to the store at {place} is lost")]
    Lost {
        /// Where.
        place: String,
        /// The cause.
        source: tokio_postgres::Error,
    },
    /// Another process writes to this store.
    #[error("`{holder}` writes to this store")]
    LeaseHeld {
        /// Which, as it calls itself.
        holder: String,
    },
    /// Another process took the lease while this one slept.
    #[error("another process writes to this store now")]
    LeaseLost,
    /// The system gives no thread or poll.
    #[error("cannot speak to a server")]
    Runtime {
        /// What it said.
        source: io::Error,
    },
    /// A statement that finds one row found none.
    #[error("there is no such row")]
    NoRow,
    /// A statement has parameters of a kind of which many cannot be asked at once.
    #[error("a parameter is neither number, bytes nor text")]
    NotForMany,
    /// A column holds a value of another kind or range than is read.
    #[error("column {column} holds {found}")]
    Column {
        /// Which, counted from 0.
        column: usize,
        /// What it holds.
        found: &'static str,
    },
}

/// Turns "there is no such row" into nothing.
pub trait OptionalExtension<T> {
    /// The row, if there is one.
    ///
    /// # Errors
    /// Every other failure.
    fn optional(self) -> Result<Option<T>, DatabaseError>;
}

impl<T> OptionalExtension<T> for Result<T, DatabaseError> {
    fn optional(self) -> Result<Option<T>, DatabaseError> {
        match self {
            Ok(row) => Ok(Some(row)),
            Err(DatabaseError::NoRow) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A connection to a database. It is used by one thread at a time.
pub struct Connection {
    kind: Kind,
}

enum Kind {
    Sqlite(rusqlite::Connection),
    Postgres(Box<Postgres>),
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Sqlite(connection) => connection.fmt(f),
            Kind::Postgres(server) => server.fmt(f),
        }
    }
}

impl Connection {
    /// Opens or creates an `SQLite` file.
    ///
    /// # Errors
    /// When `SQLite` refuses.
    pub fn open_file(path: &Path) -> Result<Self, DatabaseError> {
        Ok(Self { kind: Kind::Sqlite(sqlite::open(path)?) })
    }

    /// Copies an `SQLite` file that another process may be writing into a new one, as it is at one moment.
    ///
    /// # Errors
    /// When `SQLite` refuses.
    pub fn copy_file(from: &Path, to: &Path) -> Result<(), DatabaseError> {
        sqlite::copy(from, to)
    }

    /// Opens an `SQLite` file that another process may be writing, and never changes it.
    ///
    /// # Errors
    /// When there is none, or `SQLite` refuses.
    pub fn open_file_read_only(path: &Path) -> Result<Self, DatabaseError> {
        Ok(Self { kind: Kind::Sqlite(sqlite::open_read_only(path)?) })
    }

    /// An `SQLite` database that is gone when it is closed.
    ///
    /// # Errors
    /// When `SQLite` refuses.
    pub fn open_in_memory() -> Result<Self, DatabaseError> {
        Ok(Self { kind: Kind::Sqlite(sqlite::open_in_memory()?) })
    }

    /// Connects to a `PostgreSQL` server. `script` says which tables there are.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub fn connect(address: &Address, script: &str) -> Result<Self, DatabaseError> {
        Ok(Self { kind: Kind::Postgres(Box::new(Postgres::connect(address, script)?)) })
    }

    /// Takes the right to write: from now on every transaction is refused if another took it since.
    /// Returns the fence. Of an `SQLite` file it is the file's lock, and the fence is always 0.
    ///
    /// # Errors
    /// When another has it, or the database refuses.
    pub fn take_lease(&mut self, lease: &Lease) -> Result<u64, DatabaseError> {
        match &mut self.kind {
            Kind::Sqlite(_) => Ok(0),
            Kind::Postgres(server) => server.take_lease(lease),
        }
    }

    /// Whether the connection to a server has ended.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        match &self.kind {
            Kind::Sqlite(_) => false,
            Kind::Postgres(server) => server.is_closed(),
        }
    }

    /// The version of the schema in the database; 0 when it has none.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn schema_version(&self) -> Result<i64, DatabaseError> {
        match &self.kind {
            Kind::Sqlite(connection) => sqlite::schema_version(connection),
            Kind::Postgres(server) => server.schema_version(),
        }
    }

    /// Creates the schema that `script` describes and calls it `version`, all or nothing.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn create_schema(&self, script: &str, version: i64) -> Result<(), DatabaseError> {
        match &self.kind {
            Kind::Sqlite(connection) => sqlite::create_schema(connection, script, version),
            Kind::Postgres(server) => server.create_schema(script, version),
        }
    }

    /// A statement, kept for the next time it is asked for.
    ///
    /// # Errors
    /// When the database does not understand it.
    pub fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>, DatabaseError> {
        match &self.kind {
            Kind::Sqlite(connection) => Ok(Statement::Sqlite(connection.prepare_cached(sql)?)),
            Kind::Postgres(server) => Ok(Statement::Postgres(server, server.prepare(sql)?)),
        }
    }

    /// Runs a statement and returns how many rows it wrote.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn execute(&self, sql: &str, params: impl Params) -> Result<usize, DatabaseError> {
        self.prepare_cached(sql)?.execute(params)
    }

    /// Runs a statement that finds one row.
    ///
    /// # Errors
    /// When there is no such row, or the database refuses.
    pub fn query_row<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(Row<'_>) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        self.prepare_cached(sql)?.query_row(params, read)
    }

    /// Runs statements without parameters and results.
    ///
    /// # Errors
    /// When the database refuses one.
    pub fn execute_batch(&self, sql: &str) -> Result<(), DatabaseError> {
        match &self.kind {
            Kind::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Kind::Postgres(server) => server.batch(sql),
        }
    }

    /// Begins a transaction that will write.
    ///
    /// # Errors
    /// When the database refuses: of an `SQLite` file, also when another process writes it.
    pub fn begin(&self) -> Result<Transaction<'_>, DatabaseError> {
        match &self.kind {
            Kind::Sqlite(connection) => connection.execute_batch("BEGIN IMMEDIATE")?,
            Kind::Postgres(server) => server.begin()?,
        }
        Ok(Transaction { connection: self, is_open: true })
    }

    /// Begins a transaction that reads one state of the database, and lasts as long as the connection.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn begin_reading(&self) -> Result<(), DatabaseError> {
        match &self.kind {
            Kind::Sqlite(connection) => Ok(connection.execute_batch("BEGIN")?),
            Kind::Postgres(server) => {
                server.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            }
        }
    }

    /// Reads one state of the database until what is returned is dropped. Of a file that is also cheaper: each
    /// statement would lock and unlock it by itself.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn read_one_state(&self) -> Result<Transaction<'_>, DatabaseError> {
        self.begin_reading()?;
        Ok(Transaction { connection: self, is_open: true })
    }

    fn rollback(&self) {
        match &self.kind {
            Kind::Sqlite(connection) => {
                // SQLite ends a transaction by itself after some failures.
                if !connection.is_autocommit() {
                    drop(connection.execute_batch("ROLLBACK"));
                }
            }
            Kind::Postgres(server) => server.rollback(),
        }
    }

    /// Fails at a statement, counted from 1, in a way: of a server only.
    #[cfg(test)]
    pub(crate) fn fail_at(&self, statement: u32, how: Fault) {
        if let Kind::Postgres(server) = &self.kind {
            server.fail_at(statement, how);
        }
    }

    /// The connection below, for what only tests do to `SQLite`.
    #[cfg(test)]
    pub(crate) const fn sqlite_mut(&mut self) -> &mut rusqlite::Connection {
        match &mut self.kind {
            Kind::Sqlite(connection) => connection,
            Kind::Postgres(_) => panic!("this is no SQLite file"),
        }
    }
}

#[cfg(test)]
pub(crate) use dialect::tables;
#[cfg(test)]
pub(crate) use sqlite::LOCKED_MAX;

/// A transaction that takes everything back when it is dropped.
#[derive(Debug)]
pub struct Transaction<'c> {
    connection: &'c Connection,
    is_open: bool,
}

impl Transaction<'_> {
    /// Makes everything durable.
    ///
    /// # Errors
    /// When the database refuses. What is durable is unknown then.
    pub fn commit(mut self) -> Result<(), DatabaseError> {
        let committed = match &self.connection.kind {
            Kind::Sqlite(connection) => connection.execute_batch("COMMIT").map_err(From::from),
            Kind::Postgres(server) => server.commit(),
        };
        self.is_open = committed.is_err();
        committed
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.connection.rollback();
        }
    }
}

/// A prepared statement.
pub enum Statement<'c> {
    /// Of `SQLite`.
    Sqlite(rusqlite::CachedStatement<'c>),
    /// Of `PostgreSQL`.
    #[expect(private_interfaces, reason = "opaque")]
    Postgres(&'c Postgres, Arc<Prepared>),
}

impl fmt::Debug for Statement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement").finish_non_exhaustive()
    }
}

impl Statement<'_> {
    /// Runs it and returns how many rows it wrote.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn execute(&mut self, params: impl Params) -> Result<usize, DatabaseError> {
        match self {
            Self::Sqlite(statement) => {
                sqlite::bind(statement, params)?;
                Ok(statement.raw_execute()?)
            }
            Self::Postgres(server, prepared) => {
                Ok(usize::try_from(server.execute(prepared, params)?).unwrap_or(usize::MAX))
            }
        }
    }

    /// Runs it before anything could see that it did not: a server is told of many rows at once.
    ///
    /// # Errors
    /// When the database refuses. Of a server that may show later, at the commit at the latest.
    pub fn write(&mut self, params: impl Params) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(_) => self.execute(params).map(drop),
            Self::Postgres(server, prepared) => server.write(prepared, params),
        }
    }

    /// Runs it; its rows are read one after the other.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn query(&mut self, params: impl Params) -> Result<Rows<'_>, DatabaseError> {
        match self {
            Self::Sqlite(statement) => {
                sqlite::bind(statement, params)?;
                Ok(Rows::Sqlite(statement.raw_query()))
            }
            Self::Postgres(server, prepared) => {
                Ok(Rows::Postgres(server.query(prepared, params)?, 0))
            }
        }
    }

    /// Runs it; every row becomes what `read` makes of it.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn query_map<T, F: FnMut(Row<'_>) -> Result<T, DatabaseError>>(
        &mut self,
        params: impl Params,
        read: F,
    ) -> Result<MappedRows<'_, F>, DatabaseError> {
        Ok(MappedRows { rows: self.query(params)?, read })
    }

    /// Runs it and reads its first row.
    ///
    /// # Errors
    /// When there is none, or the database refuses.
    pub fn query_row<T>(
        &mut self,
        params: impl Params,
        read: impl FnOnce(Row<'_>) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        read(self.query(params)?.next()?.ok_or(DatabaseError::NoRow)?)
    }

    /// Runs it once for each of many questions: a server is asked thousands of them at once. `read` gets each
    /// row with the place of its question, counted from 0; rows of one question come in any order.
    ///
    /// # Errors
    /// When the database refuses, and those of `read`.
    pub fn query_each<P: Params>(
        &mut self,
        questions: impl IntoIterator<Item = P>,
        mut read: impl FnMut(usize, Row<'_>) -> Result<(), DatabaseError>,
    ) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(statement) => {
                for (place, question) in questions.into_iter().enumerate() {
                    sqlite::bind(statement, question)?;
                    let mut rows = statement.raw_query();
                    while let Some(row) = rows.next()? {
                        read(place, Row::Sqlite(row))?;
                    }
                }
                Ok(())
            }
            Self::Postgres(server, prepared) => server.query_each(prepared, questions, read),
        }
    }

    /// How many columns its rows have.
    #[cfg(test)]
    pub(crate) fn column_count(&self) -> usize {
        match self {
            Self::Sqlite(statement) => statement.column_count(),
            Self::Postgres(_, prepared) => prepared.column_count(),
        }
    }
}

/// Rows of a statement, in its order.
pub enum Rows<'s> {
    /// Of `SQLite`, which finds them as they are asked for.
    Sqlite(rusqlite::Rows<'s>),
    /// Of `PostgreSQL`, all of them, and how many were read.
    Postgres(Vec<tokio_postgres::Row>, usize),
}

impl fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").finish_non_exhaustive()
    }
}

impl Rows<'_> {
    /// The next row.
    ///
    /// # Errors
    /// When the database refuses.
    #[expect(clippy::should_implement_trait, reason = "a row borrows from the rows")]
    pub fn next(&mut self) -> Result<Option<Row<'_>>, DatabaseError> {
        match self {
            Self::Sqlite(rows) => Ok(rows.next()?.map(Row::Sqlite)),
            Self::Postgres(rows, read) => {
                let row = rows.get(*read).map(Row::Postgres);
                *read = read.saturating_add(1);
                Ok(row)
            }
        }
    }
}

/// Rows of a statement as something else.
#[derive(Debug)]
pub struct MappedRows<'s, F> {
    rows: Rows<'s>,
    read: F,
}

impl<T, F: FnMut(Row<'_>) -> Result<T, DatabaseError>> Iterator for MappedRows<'_, F> {
    type Item = Result<T, DatabaseError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.rows.next() {
            Ok(row) => row.map(&mut self.read),
            Err(error) => Some(Err(error)),
        }
    }
}

/// A row.
#[derive(Clone, Copy)]
pub enum Row<'r> {
    /// Of `SQLite`.
    Sqlite(&'r rusqlite::Row<'r>),
    /// Of `PostgreSQL`.
    Postgres(&'r tokio_postgres::Row),
}

impl fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").finish_non_exhaustive()
    }
}

impl<'r> Row<'r> {
    /// The value of a column, counted from 0.
    ///
    /// # Errors
    /// When there is no such column, or it holds another kind of value.
    pub fn get<T: FromValue>(self, column: usize) -> Result<T, DatabaseError> {
        let value = self.value(column)?;
        T::from_value(value)
            .ok_or_else(|| DatabaseError::Column { column, found: value.kind_name() })
    }

    pub(crate) fn value(self, column: usize) -> Result<Value<'r>, DatabaseError> {
        match self {
            Self::Sqlite(row) => sqlite::value(row, column),
            Self::Postgres(row) => postgres::value(row, column),
        }
    }
}
