//! Rows of payment rails: instructions, events, and which transfers came of them.

use types::{Money, Timestamp, TradeId};

use super::signed;
use crate::{
    books::accounts::Owner,
    error::{Doing as _, SettlementError, fit},
    rails::{
        EventAnswer, Instruction, InstructionId, InstructionKind, InstructionState, StatementLine,
    },
    store::database::{Connection, DatabaseError, OptionalExtension as _, Params, Row, params},
};

const COLUMNS: &str =
    "SELECT instruction, kind, trade, role, number, amount, block, state, attempts, next
     FROM rail_instructions";

fn read(row: Row<'_>) -> Result<Option<Instruction>, DatabaseError> {
    let (id, trade): (i64, Option<i64>) = (row.get(0)?, row.get(2)?);
    let (role, number): (u8, u32) = (row.get(3)?, row.get(4)?);
    let of: Option<i64> = row.get(6)?;
    let kind = InstructionKind::from_code(row.get(1)?);
    let state = InstructionState::from_code(row.get(7)?);
    let (Some(kind), Some(state), Some(owner)) = (kind, state, Owner::from_parts(role, number))
    else {
        return Ok(None);
    };
    Ok(Some(Instruction {
        id: InstructionId::from_number(id),
        kind,
        contract: trade.and_then(|trade| u64::try_from(trade).ok()).map(TradeId::new),
        owner,
        amount: Money::from_minor(row.get(5)?),
        of: of.map(InstructionId::from_number),
        state,
        attempts: row.get(8)?,
        next: Timestamp::from_ns(row.get(9)?),
    }))
}

fn whole(found: Option<Instruction>) -> Result<Instruction, SettlementError> {
    found.ok_or_else(|| SettlementError::Damaged("an instruction to a rail".to_owned()))
}

/// The instruction of a number.
///
/// # Errors
/// When the database refuses or the row cannot be.
pub fn instruction(
    connection: &Connection,
    id: InstructionId,
) -> Result<Option<Instruction>, SettlementError> {
    let found = connection
        .prepare_cached(&format!("{COLUMNS} WHERE instruction = ?1"))
        .and_then(|mut select| select.query_row([id.number()], read).optional())
        .doing("read an instruction")?;
    found.map(whole).transpose()
}

/// Writes an instruction that is new.
///
/// # Errors
/// When the database refuses, or there is one of this number.
pub fn insert(connection: &Connection, new: &Instruction) -> Result<(), SettlementError> {
    let (role, number) = new.owner.parts();
    let trade = new.contract.map(|contract| signed(contract.get())).transpose()?;
    let row = params![
        new.id.number(),
        new.kind.code(),
        trade,
        role,
        number,
        new.amount.minor(),
        new.of.map(InstructionId::number),
        new.state.code(),
        new.attempts,
        new.next.ns()
    ];
    connection
        .prepare_cached(
            "INSERT INTO rail_instructions
             (instruction, kind, trade, role, number, amount, block, state, attempts, next)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )
        .and_then(|mut insert| insert.write(row))
        .doing("write an instruction")?;
    Ok(())
}

/// Writes what changed of an instruction.
///
/// # Errors
/// When the database refuses.
pub fn update(connection: &Connection, changed: &Instruction) -> Result<(), SettlementError> {
    let row = params![
        changed.id.number(),
        changed.amount.minor(),
        changed.state.code(),
        changed.attempts,
        changed.next.ns()
    ];
    connection
        .prepare_cached(
            "UPDATE rail_instructions SET amount = ?2, state = ?3, attempts = ?4, next = ?5
             WHERE instruction = ?1",
        )
        .and_then(|mut update| update.write(row))
        .doing("write an instruction")?;
    Ok(())
}

/// Notes the day of an instruction's value.
///
/// # Errors
/// When the database refuses.
pub fn set_day(
    connection: &Connection,
    id: InstructionId,
    day: i64,
) -> Result<(), SettlementError> {
    connection
        .prepare_cached("UPDATE rail_instructions SET day = ?2 WHERE instruction = ?1")
        .and_then(|mut update| update.write(params![id.number(), day]))
        .doing("write an instruction")?;
    Ok(())
}

/// The minute at which a block ended that was not known to be placed.
///
/// # Errors
/// When the database refuses.
pub fn lapsed(connection: &Connection, id: InstructionId) -> Result<Option<i64>, SettlementError> {
    connection
        .prepare_cached("SELECT lapsed FROM rail_instructions WHERE instruction = ?1")
        .and_then(|mut select| select.query_row([id.number()], |row| row.get(0)).optional())
        .map(Option::flatten)
        .doing("read an instruction")
}

/// Notes it.
///
/// # Errors
/// When the database refuses.
pub fn set_lapsed(
    connection: &Connection,
    id: InstructionId,
    minute: i64,
) -> Result<(), SettlementError> {
    connection
        .prepare_cached("UPDATE rail_instructions SET lapsed = ?2 WHERE instruction = ?1")
        .and_then(|mut update| update.write(params![id.number(), minute]))
        .doing("write an instruction")?;
    Ok(())
}

/// What was sent, if anything was.
///
/// # Errors
/// When the database refuses.
pub fn body(
    connection: &Connection,
    id: InstructionId,
) -> Result<Option<Vec<u8>>, SettlementError> {
    connection
        .prepare_cached("SELECT body FROM rail_instructions WHERE instruction = ?1")
        .and_then(|mut select| select.query_row([id.number()], |row| row.get(0)).optional())
        .map(Option::flatten)
        .doing("read an instruction")
}

/// Keeps what is sent.
///
/// # Errors
/// When the database refuses.
pub fn set_body(
    connection: &Connection,
    id: InstructionId,
    body: &[u8],
) -> Result<(), SettlementError> {
    connection
        .prepare_cached("UPDATE rail_instructions SET body = ?2 WHERE instruction = ?1")
        .and_then(|mut update| update.write(params![id.number(), body]))
        .doing("write an instruction")?;
    Ok(())
}

fn list(
    connection: &Connection,
    filter: &str,
    values: impl Params,
) -> Result<Vec<Instruction>, SettlementError> {
    const DOING: &str = "read instructions";
    let mut select =
        connection.prepare_cached(&format!("{COLUMNS} WHERE {filter}")).doing(DOING)?;
    let rows = select.query_map(values, read).doing(DOING)?;
    rows.map(|row| whole(row.doing(DOING)?)).collect()
}

/// Open instructions about which something is to be done by now, the longest due first.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn due(
    connection: &Connection,
    now: Timestamp,
    most: u32,
) -> Result<Vec<Instruction>, SettlementError> {
    let filter = "state <= 4 AND next <= ?1 ORDER BY next, instruction LIMIT ?2";
    list(connection, filter, params![now.ns(), most])
}

/// Everything asked under a contract, by number.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn of_contract(
    connection: &Connection,
    contract: TradeId,
) -> Result<Vec<Instruction>, SettlementError> {
    list(connection, "trade = ?1 ORDER BY instruction", [signed(contract.get())?])
}

/// Instructions after a number, in the order of numbers; with `open_only`, those that may still
/// come to something.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn after(
    connection: &Connection,
    number: i64,
    last_state: InstructionState,
    most: u32,
) -> Result<Vec<Instruction>, SettlementError> {
    let filter = "instruction > ?1 AND state <= ?2 ORDER BY instruction LIMIT ?3";
    list(connection, filter, params![number, last_state.code(), most])
}

/// Instructions whose value is of a day.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn of_day(connection: &Connection, day: i64) -> Result<Vec<Instruction>, SettlementError> {
    list(connection, "day = ?1 ORDER BY instruction", [day])
}

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptEvent {
    /// SHA-256 of its bytes.
    pub digest: [u8; 32],
    /// What became of it.
    pub answer: EventAnswer,
    /// The day it happened, counted from 1970.
    pub day: i64,
    /// The instruction it was about.
    pub instruction: Option<InstructionId>,
    /// The movement in statements.
    pub reference: Option<String>,
    /// The rail's figure, in minor units.
    pub amount: i64,
}

fn read_event(row: Row<'_>) -> Result<Option<KeptEvent>, DatabaseError> {
    let answer = EventAnswer::from_code(row.get(1)?);
    let (digest, day) = (row.get(0)?, row.get(2)?);
    let instruction: Option<i64> = row.get(3)?;
    let (reference, amount) = (row.get(4)?, row.get(5)?);
    let instruction = instruction.map(InstructionId::from_number);
    Ok(answer.map(|answer| KeptEvent { digest, answer, day, instruction, reference, amount }))
}

const EVENT_COLUMNS: &str =
    "SELECT digest, answer, day, instruction, reference, amount FROM rail_events";

/// The event of a number.
///
/// # Errors
/// When the database refuses or the row cannot be.
pub fn event(connection: &Connection, id: &str) -> Result<Option<KeptEvent>, SettlementError> {
    let found = connection
        .prepare_cached(&format!("{EVENT_COLUMNS} WHERE event = ?1"))
        .and_then(|mut select| select.query_row([id], read_event).optional())
        .doing("read an event")?;
    let damaged = || SettlementError::Damaged(format!("event `{id}` of a rail"));
    found.map(|event| event.ok_or_else(damaged)).transpose()
}

/// Events of a day, in the order of their numbers.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn events_of_day(connection: &Connection, day: i64) -> Result<Vec<KeptEvent>, SettlementError> {
    const DOING: &str = "read events";
    let mut select = connection
        .prepare_cached(&format!("{EVENT_COLUMNS} WHERE day = ?1 ORDER BY event"))
        .doing(DOING)?;
    let rows = select.query_map([day], read_event).doing(DOING)?;
    let damaged = || SettlementError::Damaged("an event of a rail".to_owned());
    rows.map(|row| row.doing(DOING)?.ok_or_else(damaged)).collect()
}

/// Keeps an event.
///
/// # Errors
/// When the database refuses, or there is one of this number.
pub fn put_event(
    connection: &Connection,
    id: &str,
    event: &KeptEvent,
    body: &[u8],
) -> Result<(), SettlementError> {
    let row = params![
        id,
        event.digest,
        event.answer.code(),
        event.day,
        event.instruction.map(InstructionId::number),
        event.reference,
        event.amount,
        body
    ];
    connection
        .prepare_cached(
            "INSERT INTO rail_events
             (event, digest, answer, day, instruction, reference, amount, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .and_then(|mut put| put.write(row))
        .doing("write an event")?;
    Ok(())
}

/// Notes that a transfer came of a movement at the rail.
///
/// # Errors
/// When the database refuses.
pub fn put_booking(
    connection: &Connection,
    (folio, transfer): (u32, i64),
    reference: &str,
    day: i64,
) -> Result<(), SettlementError> {
    connection
        .prepare_cached(
            "INSERT INTO rail_bookings (transfer, folio, reference, day) VALUES (?1, ?2, ?3, ?4)",
        )
        .and_then(|mut put| put.write(params![transfer, folio, reference, day]))
        .doing("write a booking")?;
    Ok(())
}

/// What the books say went in (above zero) or out on a day: by movement, in the order of references.
///
/// # Errors
/// When the database refuses.
pub fn booked_on(
    connection: &Connection,
    day: i64,
    outside: i64,
) -> Result<Vec<(String, i64)>, SettlementError> {
    connection
        .prepare_cached(
            "SELECT b.reference,
                 sum(CASE WHEN t.debit = ?2 THEN t.amount ELSE 0 END)
                 - sum(CASE WHEN t.credit = ?2 THEN t.amount ELSE 0 END)
             FROM rail_bookings b JOIN transfers t ON t.folio = b.folio AND t.id = b.transfer
             WHERE b.day = ?1 GROUP BY b.reference ORDER BY b.reference",
        )
        .and_then(|mut select| {
            let columns = |row: Row<'_>| Ok((row.get(0)?, row.get(1)?));
            select.query_map(params![day, outside], columns)?.collect()
        })
        .doing("read bookings")
}

/// What went in and out before a day, together, by the books.
///
/// # Errors
/// When the database refuses.
pub fn booked_before(
    connection: &Connection,
    day: i64,
    outside: i64,
) -> Result<i64, SettlementError> {
    connection
        .prepare_cached(
            "SELECT coalesce(sum(CASE WHEN t.debit = ?2 THEN t.amount ELSE 0 END), 0)
                 - coalesce(sum(CASE WHEN t.credit = ?2 THEN t.amount ELSE 0 END), 0)
             FROM rail_bookings b JOIN transfers t ON t.folio = b.folio AND t.id = b.transfer
             WHERE b.day < ?1",
        )
        .and_then(|mut select| select.query_row(params![day, outside], |row| row.get(0)))
        .doing("read bookings")
}

/// Transfers between the world and the books that came of no movement at the rail: how many, and what
/// they put in together.
///
/// # Errors
/// When the database refuses.
pub fn unbooked(connection: &Connection, outside: i64) -> Result<(u64, i64), SettlementError> {
    let found: (i64, i64) = connection
        .prepare_cached(
            "SELECT count(*),
                 coalesce(sum(CASE WHEN debit = ?1 THEN amount ELSE -amount END), 0)
             FROM transfers WHERE (debit = ?1 OR credit = ?1)
             AND id NOT IN (SELECT transfer FROM rail_bookings)",
        )
        .and_then(|mut select| select.query_row([outside], |row| Ok((row.get(0)?, row.get(1)?))))
        .doing("read bookings")?;
    Ok((fit(found.0, "a count")?, found.1))
}

/// How many instructions there are in each state, and their amounts together.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn totals(
    connection: &Connection,
) -> Result<Vec<(InstructionKind, InstructionState, u64, i64)>, SettlementError> {
    const DOING: &str = "count instructions";
    let mut select = connection
        .prepare_cached(
            "SELECT kind, state, count(*), sum(amount) FROM rail_instructions
             GROUP BY kind, state ORDER BY kind, state",
        )
        .doing(DOING)?;
    let rows = select
        .query_map([], |row| {
            Ok((row.get::<u8>(0)?, row.get::<u8>(1)?, row.get::<i64>(2)?, row.get(3)?))
        })
        .doing(DOING)?;
    rows.map(|row| {
        let (kind, state, count, sum) = row.doing(DOING)?;
        let damaged = || SettlementError::Damaged(format!("instructions of kind {kind}"));
        Ok((
            InstructionKind::from_code(kind).ok_or_else(damaged)?,
            InstructionState::from_code(state).ok_or_else(damaged)?,
            fit(count, "a count")?,
            sum,
        ))
    })
    .collect()
}

/// Releases that the rail did not carry out, with what is still blocked: until the rail says that the
/// block's time is over.
///
/// # Errors
/// When the database refuses.
pub fn releases_declined(
    connection: &Connection,
) -> Result<Vec<(InstructionId, i64)>, SettlementError> {
    let filter = "kind = 3 AND state = 6 AND NOT EXISTS (
        SELECT 1 FROM rail_instructions b
        WHERE b.instruction = rail_instructions.block AND b.lapsed IS NOT NULL
    ) ORDER BY instruction";
    let found = list(connection, filter, [])?;
    Ok(found.into_iter().map(|one| (one.id, one.amount.minor())).collect())
}

/// A day's movements, by reference; each with the first instant it was told of.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn lines_of_day(
    connection: &Connection,
    day: i64,
    outside: i64,
) -> Result<Vec<StatementLine>, SettlementError> {
    let booked = booked_on(connection, day, outside)?;
    let mut select = connection
        .prepare_cached(
            "SELECT body FROM rail_events WHERE day = ?1 AND reference = ?2 AND answer = 1",
        )
        .doing("read events")?;
    let mut lines = Vec::with_capacity(booked.len());
    for (reference, minor) in booked {
        let bodies: Vec<Vec<u8>> = select
            .query_map(params![day, reference], |row| row.get(0))
            .and_then(Iterator::collect)
            .doing("read events")?;
        let at = bodies.iter().filter_map(|body| told_at(body)).min();
        let at = at.as_deref().and_then(crate::rails::message::instant);
        let damaged = || SettlementError::Damaged(format!("the event of `{reference}`"));
        lines.push(StatementLine { at: at.ok_or_else(damaged)?, reference, minor });
    }
    Ok(lines)
}

/// When an event says that it happened, as it is written in it.
fn told_at(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(body.get("at")?.as_str()?.to_owned())
}
