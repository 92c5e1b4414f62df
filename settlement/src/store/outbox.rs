//! Rows of what shards of the exchange are to be told of the grid.

use crate::store::database::{Connection, Row, params};
use types::{
    Command, DeliverySlot, Energy, GridLimit, GridPlace, MeterId, PlaceNote, ShardId, Side,
    UtilityId,
};

use super::{
    grid::{name_of, name_text},
    signed,
};
use crate::error::{Doing as _, SettlementError, fit};

/// Key of the last number given.
const NUMBER: &str = "grid-outbox";

/// The next number; each is given once.
///
/// # Errors
/// When the database refuses or what is stored is no number.
pub fn next_number(connection: &Connection) -> Result<u64, SettlementError> {
    let last = match super::meta(connection, NUMBER)? {
        None => 0,
        Some(bytes) => u64::from_le_bytes(fit(bytes, "the number of the outbox")?),
    };
    let next = last.saturating_add(1);
    super::set_meta(connection, NUMBER, &next.to_le_bytes())?;
    Ok(next)
}

/// Keeps a place that a shard is to be told.
///
/// # Errors
/// When the database refuses.
pub fn put_place(
    connection: &Connection,
    shard: ShardId,
    note: &PlaceNote,
) -> Result<(), SettlementError> {
    let row = params![
        shard.index(),
        signed(note.number)?,
        note.meter.get(),
        name_text(note.zone.as_ref()),
        name_text(note.feeder.as_ref()),
        note.from_minute,
        note.revision
    ];
    connection
        .prepare_cached(
            "INSERT INTO grid_outbox (shard, number, is_limit, meter, utility, zone, feeder, side,
             start_minute, minutes, revision, energy)
             VALUES (?1, ?2, 0, ?3, 0, ?4, ?5, 0, ?6, 0, ?7, 0)",
        )
        .and_then(|mut insert| insert.write(row))
        .doing("write a place into the outbox")?;
    Ok(())
}

/// Keeps a limit that a shard is to be told.
///
/// # Errors
/// When the database refuses.
pub fn put_limit(
    connection: &Connection,
    shard: ShardId,
    limit: &GridLimit,
) -> Result<(), SettlementError> {
    let row = params![
        shard.index(),
        signed(limit.number)?,
        limit.place.utility.get(),
        limit.place.zone.as_str(),
        name_text(limit.place.feeder.as_ref()),
        limit.side.code(),
        limit.slot.start_minute(),
        limit.slot.minutes(),
        limit.revision,
        signed(limit.limit.wh())?
    ];
    connection
        .prepare_cached(
            "INSERT INTO grid_outbox (shard, number, is_limit, meter, utility, zone, feeder, side,
             start_minute, minutes, revision, energy)
             VALUES (?1, ?2, 1, 0, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )
        .and_then(|mut insert| insert.write(row))
        .doing("write a limit into the outbox")?;
    Ok(())
}

/// What a shard has not answered, each with its number, the oldest first, at most `most`.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn waiting(
    connection: &Connection,
    shard: ShardId,
    most: u32,
) -> Result<Vec<(u64, Command)>, SettlementError> {
    const DOING: &str = "read the outbox";
    let mut select = connection
        .prepare_cached(
            "SELECT number, is_limit, meter, utility, zone, feeder, side, start_minute, minutes,
             revision, energy FROM grid_outbox WHERE shard = ?1 ORDER BY number LIMIT ?2",
        )
        .doing(DOING)?;
    let mut rows = select.query(params![shard.index(), most]).doing(DOING)?;
    let mut commands = Vec::new();
    while let Some(row) = rows.next().doing(DOING)? {
        commands.push(read(row)?);
    }
    Ok(commands)
}

/// What a shard is told under a number, if it has not answered. Takes the row away.
///
/// # Errors
/// When the database refuses or the row cannot be.
pub fn take(
    connection: &Connection,
    shard: ShardId,
    number: u64,
) -> Result<Option<Command>, SettlementError> {
    const DOING: &str = "take an answered row out of the outbox";
    let mut delete = connection
        .prepare_cached(
            "DELETE FROM grid_outbox WHERE shard = ?1 AND number = ?2
             RETURNING number, is_limit, meter, utility, zone, feeder, side, start_minute, minutes,
             revision, energy",
        )
        .doing(DOING)?;
    let mut rows = delete.query(params![shard.index(), signed(number)?]).doing(DOING)?;
    let row = rows.next().doing(DOING)?.map(read).transpose()?;
    Ok(row.map(|(_, command)| command))
}

fn read(row: Row<'_>) -> Result<(u64, Command), SettlementError> {
    const DOING: &str = "read the outbox";
    let wide = |column: usize| -> Result<u64, SettlementError> {
        fit(row.get::<i64>(column).doing(DOING)?, "a number of the outbox")
    };
    let text = |column: usize| row.get::<String>(column).doing(DOING);
    let (number, zone, feeder) = (wide(0)?, name_of(&text(4)?)?, name_of(&text(5)?)?);
    let (start, revision) = (row.get(7).doing(DOING)?, row.get(9).doing(DOING)?);
    if !row.get::<bool>(1).doing(DOING)? {
        let meter = MeterId::new(row.get(2).doing(DOING)?);
        let note = PlaceNote { number, meter, from_minute: start, revision, zone, feeder };
        return Ok((number, Command::NotePlace(note)));
    }
    let damaged = || SettlementError::Damaged(format!("number {number} of the outbox"));
    let minutes = row.get(8).doing(DOING)?;
    let limit = GridLimit {
        number,
        place: GridPlace {
            utility: UtilityId::new(row.get(3).doing(DOING)?),
            zone: zone.ok_or_else(damaged)?,
            feeder,
        },
        side: Side::from_code(row.get(6).doing(DOING)?).ok_or_else(damaged)?,
        slot: DeliverySlot::new(start, minutes).map_err(|_| damaged())?,
        limit: Energy::from_wh(wide(10)?),
        revision,
    };
    Ok((number, Command::SetGridLimit(limit)))
}

/// What a shard said of a limit.
#[derive(Debug, Clone, Copy)]
pub struct Said {
    /// Which shard.
    pub shard: ShardId,
    /// The position at which it is in force, or 0.
    pub since: u64,
    /// What is open and traded.
    pub used: Energy,
    /// Code of the refusal, or 0.
    pub reason: u16,
}

/// Writes down what became of a limit; the number of its document.
///
/// # Errors
/// When the database refuses.
pub fn set_said(
    connection: &Connection,
    limit: &GridLimit,
    said: &Said,
) -> Result<i64, SettlementError> {
    let row = params![
        limit.place.utility.get(),
        limit.place.zone.as_str(),
        limit.slot.start_minute(),
        name_text(limit.place.feeder.as_ref()),
        limit.side.code(),
        limit.slot.minutes(),
        limit.revision,
        said.shard.index(),
        signed(said.since)?,
        signed(said.used.wh())?,
        said.reason
    ];
    connection
        .prepare_cached(
            "UPDATE grid_limits SET shard = ?8, since = ?9, used = ?10, reason = ?11
             WHERE utility = ?1 AND zone = ?2 AND start_minute = ?3 AND feeder = ?4 AND side = ?5
             AND minutes = ?6 AND revision = ?7 RETURNING document",
        )
        .and_then(|mut update| update.query_row(row, |row| row.get(0)))
        .doing("write what became of a limit")
}

/// Writes down that a utility is to be told what became of its limit.
///
/// # Errors
/// When the database refuses.
pub fn put_notice(
    connection: &Connection,
    limit: &GridLimit,
    document: i64,
) -> Result<(), SettlementError> {
    let row = params![limit.side.code(), signed(limit.limit.wh())?, document];
    connection
        .prepare_cached(
            "INSERT INTO notices (notice, trade, side, allowed, document)
             VALUES ((SELECT coalesce(max(notice), 0) + 1 FROM notices), 0, ?1, ?2, ?3)",
        )
        .and_then(|mut insert| insert.write(row))
        .doing("write a notice of a limit")?;
    Ok(())
}
