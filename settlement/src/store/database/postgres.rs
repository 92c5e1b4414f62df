//! `PostgreSQL`: what is only written waits, and goes to the server many rows at once.
//!
//! Writes wait by the table they write, in order. Before a statement that names a table runs, what waits
//! for this table is sent; before a commit, everything. What is sent is not waited for either: the server
//! takes one statement after the other, and a failure ends the transaction, so it is found at the next
//! answer that is waited for, at the latest that of the commit.

use core::{
    cell::RefCell,
    fmt,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    sync::{Arc, OnceLock, mpsc},
    thread,
};

use futures_executor::block_on;
use tokio::runtime::Builder;
use tokio_postgres::{
    Client, Config, NoTls, Row,
    types::{ToSql, Type},
};

use super::{
    DatabaseError, Params, Value,
    address::Address,
    batch::{self, Columns, Owned, Plan},
    dialect,
    lease::{Held, Lease},
};

/// Rows that wait for one statement: 4,096 × about 100 bytes is 400 KiB for each of twenty tables.
const ROWS_MAX: usize = 4_096;
/// Bytes that wait for one statement.
const BYTES_MAX: usize = 4 << 20;
/// Statements sent and not answered.
const UNANSWERED_MAX: usize = 64;

/// Said once to the server. Every commit is on its disk. Statements are planned once, whatever the
/// tables held then, and by their indices: so a plan made for an empty table serves a full one. Whoever
/// falls silent within a transaction loses it.
const SETTINGS: &str = "SET synchronous_commit = on; SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
    SET idle_in_transaction_session_timeout = '60s'; SET client_min_messages = warning";

type Answer = Pin<Box<dyn Future<Output = Result<u64, tokio_postgres::Error>> + Send>>;

/// A connection to a server.
pub(super) struct Postgres {
    client: Arc<Client>,
    address: Address,
    tables: BTreeSet<String>,
    statements: RefCell<BTreeMap<String, Arc<Prepared>>>,
    waiting: RefCell<Waiting>,
    lease: Option<Held>,
    #[cfg(test)]
    fault: core::cell::Cell<(u32, Fault)>,
}

/// What happens to a connection in tests.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A statement is refused.
    Refused,
    /// The server ends the connection before it.
    Lost,
}

impl Drop for Postgres {
    /// Another may write at once. Where this fails, the server finds that the session has ended.
    fn drop(&mut self) {
        if let Some(held) = &self.lease
            && !self.client.is_closed()
        {
            drop(block_on(held.give_back(&self.client)));
        }
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("address", &self.address).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Waiting {
    /// By table, in the order in which they were written.
    groups: BTreeMap<String, VecDeque<Group>>,
    answers: VecDeque<Answer>,
}

struct Group {
    statement: Arc<Prepared>,
    rows: Columns,
}

/// A statement that the server knows.
#[derive(Debug)]
pub(super) struct Prepared {
    statement: tokio_postgres::Statement,
    /// Every table that is named in it; the first is the one it writes.
    tables: Vec<String>,
    many: Option<(tokio_postgres::Statement, Plan)>,
    /// The same question, for many at once, when somebody has asked so.
    questions: OnceLock<tokio_postgres::Statement>,
    sql: String,
}

#[cfg(test)]
impl Prepared {
    pub(super) fn column_count(&self) -> usize {
        self.statement.columns().len()
    }
}

impl Postgres {
    /// Connects; `script` says which tables there are.
    pub(super) fn connect(address: &Address, script: &str) -> Result<Self, DatabaseError> {
        let client = open(address.config())?
            .map_err(|source| DatabaseError::Unreachable { place: address.to_string(), source })?;
        Ok(Self {
            client: Arc::new(client),
            address: address.clone(),
            tables: dialect::tables(script),
            statements: RefCell::default(),
            waiting: RefCell::default(),
            lease: None,
            #[cfg(test)]
            fault: core::cell::Cell::new((0, Fault::Refused)),
        })
    }

    pub(super) fn schema_version(&self) -> Result<i64, DatabaseError> {
        let known = self.one("SELECT to_regclass('schema_version') IS NOT NULL")?;
        if known == 0 { Ok(0) } else { self.one("SELECT max(version) FROM schema_version") }
    }

    pub(super) fn create_schema(&self, script: &str, version: i64) -> Result<(), DatabaseError> {
        let schema = dialect::schema(script);
        self.batch(&format!(
            "BEGIN; {schema}; INSERT INTO schema_version (version) VALUES ({version}); COMMIT"
        ))
    }

    fn one(&self, sql: &str) -> Result<i64, DatabaseError> {
        let prepared = self.prepare(sql)?;
        let rows = self.query(&prepared, [])?;
        let row = rows.first().ok_or(DatabaseError::NoRow)?;
        match value(row, 0)? {
            Value::Integer(number) => Ok(number),
            other @ (Value::Null | Value::Bytes(_) | Value::Text(_)) => {
                Err(DatabaseError::Column { column: 0, found: other.kind_name() })
            }
        }
    }

    pub(super) fn prepare(&self, sql: &str) -> Result<Arc<Prepared>, DatabaseError> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(Arc::clone(known));
        }
        let text = dialect::statement(sql);
        let statement = self.wait(self.client.prepare(&text))?;
        let plan = batch::plan(sql, statement.params());
        let many = match plan {
            None => None,
            Some(plan) => {
                let text = dialect::statement(&plan.sql);
                Some((self.wait(self.client.prepare(&text))?, plan))
            }
        };
        let named = dialect::words(sql).filter(|word| self.tables.contains(*word));
        let mut tables: Vec<String> = Vec::new();
        for name in named.map(str::to_owned) {
            if !tables.contains(&name) {
                tables.push(name);
            }
        }
        let (questions, text) = (OnceLock::new(), sql.to_owned());
        let prepared = Arc::new(Prepared { statement, tables, many, questions, sql: text });
        self.statements.borrow_mut().insert(sql.to_owned(), Arc::clone(&prepared));
        Ok(prepared)
    }

    /// Runs a statement now and returns how many rows it wrote.
    pub(super) fn execute(
        &self,
        prepared: &Prepared,
        params: impl Params,
    ) -> Result<u64, DatabaseError> {
        self.step()?;
        self.send_tables(&prepared.tables)?;
        let row = owned(params)?;
        self.wait(self.client.execute_raw(&prepared.statement, row))
    }

    /// Lets a statement run before anybody could see that it did not.
    pub(super) fn write(
        &self,
        prepared: &Arc<Prepared>,
        params: impl Params,
    ) -> Result<(), DatabaseError> {
        self.step()?;
        let row = owned(params)?;
        let (Some((_, plan)), Some(table)) = (&prepared.many, prepared.tables.first()) else {
            self.send_tables(&prepared.tables)?;
            return self.send(&prepared.statement, row);
        };
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.groups.contains_key(table) {
            waiting.groups.insert(table.clone(), VecDeque::new());
        }
        let Some(groups) = waiting.groups.get_mut(table) else { return Ok(()) };
        if let Some(last) = groups.back_mut()
            && Arc::ptr_eq(&last.statement, prepared)
            && last.rows.push(plan, &row)
        {
            let is_full = last.rows.rows() >= ROWS_MAX || last.rows.bytes() >= BYTES_MAX;
            drop(waiting);
            return if is_full { self.send_table(table) } else { Ok(()) };
        }
        let mut rows = Columns::new(prepared.statement.params());
        rows.push(plan, &row);
        groups.push_back(Group { statement: Arc::clone(prepared), rows });
        Ok(())
    }

    pub(super) fn query(
        &self,
        prepared: &Prepared,
        params: impl Params,
    ) -> Result<Vec<Row>, DatabaseError> {
        self.step()?;
        self.send_tables(&prepared.tables)?;
        let row = owned(params)?;
        let row = row.iter().map(|value| -> &(dyn ToSql + Sync) { value }).collect::<Vec<_>>();
        self.wait(self.client.query(&prepared.statement, &row))
    }

    /// Asks [`ROWS_MAX`] questions at once.
    pub(super) fn query_each<P: Params>(
        &self,
        prepared: &Prepared,
        questions: impl IntoIterator<Item = P>,
        mut read: impl FnMut(usize, super::Row<'_>) -> Result<(), DatabaseError>,
    ) -> Result<(), DatabaseError> {
        self.step()?;
        self.send_tables(&prepared.tables)?;
        let mut questions = questions.into_iter();
        let mut before = 0_usize;
        loop {
            let mut asked = Columns::new(prepared.statement.params());
            for question in questions.by_ref().take(ROWS_MAX) {
                asked.add(&owned(question)?);
            }
            let count = asked.rows();
            for row in self.answers_of(prepared, asked)? {
                let place =
                    row.len().checked_sub(1).and_then(|last| row.try_get::<_, i64>(last).ok());
                let place = place.and_then(|place| usize::try_from(place).ok()?.checked_sub(1));
                let place = place.ok_or(DatabaseError::NoRow)?;
                read(before.saturating_add(place), super::Row::Postgres(&row))?;
            }
            if count < ROWS_MAX {
                return Ok(());
            }
            before = before.saturating_add(count);
        }
    }

    fn answers_of(&self, prepared: &Prepared, asked: Columns) -> Result<Vec<Row>, DatabaseError> {
        if asked.rows() == 0 {
            return Ok(Vec::new());
        }
        let statement = match prepared.questions.get() {
            Some(known) => known.clone(),
            None => {
                let text = batch::questions(&prepared.sql, prepared.statement.params());
                let text = dialect::statement(&text.ok_or(DatabaseError::NotForMany)?);
                let statement = self.wait(self.client.prepare(&text))?;
                prepared.questions.get_or_init(|| statement).clone()
            }
        };
        let columns = asked.into_parameters();
        let columns: Vec<_> =
            columns.iter().map(|column| -> &(dyn ToSql + Sync) { column }).collect();
        self.wait(self.client.query(&statement, &columns))
    }

    pub(super) fn batch(&self, sql: &str) -> Result<(), DatabaseError> {
        self.send_all()?;
        self.wait(self.client.batch_execute(sql))
    }

    pub(super) fn begin(&self) -> Result<(), DatabaseError> {
        self.batch("BEGIN")?;
        self.check_lease()
    }

    pub(super) fn commit(&self) -> Result<(), DatabaseError> {
        self.step()?;
        self.send_all()?;
        self.answers()?;
        self.renew_lease()?;
        self.wait(self.client.batch_execute("COMMIT"))
    }

    pub(super) fn rollback(&self) {
        let waiting = self.waiting.take();
        let answers = waiting.answers;
        drop(waiting.groups);
        let client = &self.client;
        // Where this fails, the connection is gone, and the server takes the transaction back itself.
        drop(block_on(async {
            for answer in answers {
                drop(answer.await);
            }
            client.batch_execute("ROLLBACK").await
        }));
    }

    /// Takes the right to write; everything written from now on is refused if another took it since.
    pub(super) fn take_lease(&mut self, lease: &Lease) -> Result<u64, DatabaseError> {
        let held = block_on(lease.take(&self.client));
        let held = held.map_err(|error| self.failed(error))?;
        let held = match held {
            Ok(held) => held,
            Err(holder) => return Err(DatabaseError::LeaseHeld { holder }),
        };
        let fence = held.fence();
        self.lease = Some(held);
        Ok(fence)
    }

    fn check_lease(&self) -> Result<(), DatabaseError> {
        let Some(held) = &self.lease else { return Ok(()) };
        let is_ours = self.wait(held.is_ours(&self.client))?;
        if is_ours { Ok(()) } else { Err(DatabaseError::LeaseLost) }
    }

    fn renew_lease(&self) -> Result<(), DatabaseError> {
        let Some(held) = &self.lease else { return Ok(()) };
        let is_ours = self.wait(held.renew(&self.client))?;
        if is_ours { Ok(()) } else { Err(DatabaseError::LeaseLost) }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    #[cfg(not(test))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "tests let statements fail here"
    )]
    const fn step(&self) -> Result<(), DatabaseError> {
        Ok(())
    }

    #[cfg(test)]
    fn step(&self) -> Result<(), DatabaseError> {
        let (left, fault) = self.fault.get();
        self.fault.set((left.saturating_sub(1), fault));
        match (left, fault) {
            (1, Fault::Refused) => {
                let source = std::io::Error::other("a test wants it");
                Err(DatabaseError::Runtime { source })
            }
            (1, Fault::Lost) => {
                let end = "SELECT pg_terminate_backend(pg_backend_pid())";
                drop(block_on(self.client.batch_execute(end)));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    #[cfg(test)]
    pub(super) fn fail_at(&self, statement: u32, fault: Fault) {
        self.fault.set((statement, fault));
    }

    fn send_tables(&self, tables: &[String]) -> Result<(), DatabaseError> {
        tables.iter().try_for_each(|table| self.send_table(table))
    }

    fn send_all(&self) -> Result<(), DatabaseError> {
        let tables: Vec<String> = self.waiting.borrow().groups.keys().cloned().collect();
        self.send_tables(&tables)
    }

    fn send_table(&self, table: &str) -> Result<(), DatabaseError> {
        let groups = self.waiting.borrow_mut().groups.get_mut(table).map(core::mem::take);
        for Group { statement, rows } in groups.into_iter().flatten() {
            if let Some((many, _)) = &statement.many {
                self.send(many, rows.into_parameters())?;
            }
        }
        Ok(())
    }

    /// Sends a statement, behind those before it, and looks at its answer later.
    fn send<P>(
        &self,
        statement: &tokio_postgres::Statement,
        params: Vec<P>,
    ) -> Result<(), DatabaseError>
    where
        P: ToSql + Send + Sync + 'static,
    {
        let (client, statement) = (Arc::clone(&self.client), statement.clone());
        let mut answer: Answer =
            Box::pin(async move { client.execute_raw(&statement, params).await });
        // The first call puts it in line; its answer is looked at later.
        match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(_)) => Ok(()),
            Poll::Ready(Err(error)) => Err(self.failed(error)),
            Poll::Pending => {
                self.waiting.borrow_mut().answers.push_back(answer);
                self.answers_above(UNANSWERED_MAX)
            }
        }
    }

    fn answers(&self) -> Result<(), DatabaseError> {
        self.answers_above(0)
    }

    fn answers_above(&self, most: usize) -> Result<(), DatabaseError> {
        loop {
            let answer = {
                let mut waiting = self.waiting.borrow_mut();
                if waiting.answers.len() <= most {
                    return Ok(());
                }
                waiting.answers.pop_front()
            };
            let Some(answer) = answer else { return Ok(()) };
            block_on(answer).map_err(|error| self.failed(error))?;
        }
    }

    /// Waits for an answer. The statements before it are looked at first, for theirs says what is wrong.
    fn wait<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, DatabaseError> {
        let found = block_on(answer);
        self.answers()?;
        found.map_err(|error| self.failed(error))
    }

    fn failed(&self, source: tokio_postgres::Error) -> DatabaseError {
        if source.is_closed() || self.client.is_closed() {
            return DatabaseError::Lost { place: self.address.to_string(), source };
        }
        let said = source.as_db_error().map_or_else(
            || source.to_string(),
            |error| format!("{} ({})", error.message(), error.code().code()),
        );
        DatabaseError::Postgres { said, source }
    }
}

/// Connects, and leaves what is sent and received to a thread that lives as long as the client. So the
/// pipeline may be called from a thread that runs others' tasks.
fn open(config: Config) -> Result<Result<Client, tokio_postgres::Error>, DatabaseError> {
    let failed = |source| DatabaseError::Runtime { source };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (sender, receiver) = mpsc::sync_channel(1);
    let serve = move || {
        runtime.block_on(async {
            let connected = async {
                let (client, connection) = config.connect(NoTls).await?;
                let connection = tokio::spawn(connection);
                client.batch_execute(SETTINGS).await?;
                Ok((client, connection))
            };
            match connected.await {
                Err(error) => drop(sender.send(Err(error))),
                Ok((client, connection)) => {
                    drop(sender.send(Ok(client)));
                    // It ends when the client does, or with the server; every statement says so then.
                    drop(connection.await);
                }
            }
        });
    };
    thread::Builder::new().name("store".to_owned()).spawn(serve).map_err(failed)?;
    receiver.recv().map_err(|_| failed(io::Error::other("the thread of the store ended")))
}

fn owned(params: impl Params) -> Result<Vec<Owned>, DatabaseError> {
    let mut row = Vec::new();
    params.each(|_, value| {
        row.push(Owned::from(value));
        Ok(())
    })?;
    Ok(row)
}

/// The value of a column.
pub(super) fn value(row: &Row, column: usize) -> Result<Value<'_>, DatabaseError> {
    row.try_get::<_, Value<'_>>(column)
        .map_err(|_| DatabaseError::Column { column, found: "a value of another kind" })
}

impl<'v> tokio_postgres::types::FromSql<'v> for Value<'v> {
    fn from_sql(
        of: &Type,
        raw: &'v [u8],
    ) -> Result<Self, Box<dyn core::error::Error + Sync + Send>> {
        Ok(match *of {
            Type::INT8 => Self::Integer(i64::from_be_bytes(raw.try_into()?)),
            Type::INT4 => Self::Integer(i64::from(i32::from_be_bytes(raw.try_into()?))),
            Type::INT2 => Self::Integer(i64::from(i16::from_be_bytes(raw.try_into()?))),
            Type::BOOL => Self::Integer(i64::from(raw.first() == Some(&1))),
            Type::NUMERIC => Self::Integer(whole(raw).ok_or("a fraction, or out of range")?),
            Type::BYTEA => Self::Bytes(raw),
            _ => Self::Text(core::str::from_utf8(raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn core::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(of: &Type) -> bool {
        [
            Type::INT8,
            Type::INT4,
            Type::INT2,
            Type::BOOL,
            Type::NUMERIC,
            Type::BYTEA,
            Type::TEXT,
            Type::VARCHAR,
            Type::NAME,
            Type::UNKNOWN,
        ]
        .contains(of)
    }
}

/// A sum as the server sends it: groups of four decimal digits, from the highest.
fn whole(raw: &[u8]) -> Option<i64> {
    const NEGATIVE: u16 = 0x4000;
    let mut words = raw.chunks_exact(2).map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?)));
    let mut word = || words.next().flatten();
    let (count, weight, sign, _scale) = (word()?, word()?, word()?, word()?);
    if count == 0 {
        return Some(0);
    }
    let weight = i16::from_be_bytes(weight.to_be_bytes());
    let groups = u16::try_from(weight).ok()?.checked_add(1)?;
    if count > groups || (sign != 0 && sign != NEGATIVE) {
        return None;
    }
    let mut number = 0_i128;
    for place in 0..groups {
        let digits = if place < count { word()? } else { 0 };
        number = number.checked_mul(10_000)?.checked_add(i128::from(digits))?;
    }
    i64::try_from(if sign == NEGATIVE { number.checked_neg()? } else { number }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(words: &[u16]) -> Option<i64> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        whole(&bytes)
    }

    #[test]
    fn sums_are_whole_numbers() {
        assert_eq!(numeric(&[0, 0, 0, 0]), Some(0));
        assert_eq!(numeric(&[1, 0, 0, 0, 42]), Some(42));
        assert_eq!(numeric(&[1, 1, 0x4000, 0, 12]), Some(-120_000));
        assert_eq!(numeric(&[2, 1, 0, 0, 1, 5]), Some(10_005));
        assert_eq!(numeric(&[2, 0, 0, 2, 1, 5_000]), None, "a fraction");
        assert_eq!(numeric(&[1, 9, 0, 0, 9_999]), None, "too large");
        assert_eq!(numeric(&[0, 0, 0xc000, 0]), Some(0));
    }
}
