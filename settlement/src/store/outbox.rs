//! Rows of what is to be told: shards of the exchange of the grid, and parties by notices.
//!
//! Every notice has a number, and numbers rise without gaps. One row is one notice, or as many as a
//! transaction added leaves to the ledger: so a captured batch costs one row and not one for each contract.

use crate::store::database::{Connection, Row, params};
use types::{
    Command, DeliverySlot, Energy, GridLimit, GridPlace, MeterId, Party, PlaceNote, RejectReason,
    Seq, ShardId, Side, UtilityId,
};

use super::{
    grid::{name_of, name_text},
    signed,
};
use crate::{
    error::{Doing as _, SettlementError, fit},
    registry::PlaceName,
};

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

/// Tells of the leaves that a transaction appended, from one index up to, not including, another. They take
/// as many numbers as they are; the row stands under the last.
///
/// # Errors
/// When the database refuses.
pub fn put_leaves(connection: &Connection, first: u64, end: u64) -> Result<(), SettlementError> {
    let count = signed(end.saturating_sub(first))?;
    if count == 0 {
        return Ok(());
    }
    let document = LEAVES_BEFORE.saturating_sub(signed(first)?);
    connection
        .prepare_cached(
            "INSERT INTO notices (notice, trade, side, allowed, document)
             VALUES ((SELECT coalesce(max(notice), 0) + ?1 FROM notices), 0, 0, ?1, ?2)",
        )
        .and_then(|mut insert| insert.write(params![count, document]))
        .doing("write a notice of leaves")?;
    Ok(())
}

/// What stands as the document of a notice of the leaves from 0 on; of later ones it is further below zero.
const LEAVES_BEFORE: i64 = -1;

/// A row of the outbox: what its notices are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoticeRow {
    /// The number of its last notice.
    pub last: u64,
    /// Of what.
    pub about: About,
}

/// What a row of the outbox is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A contract.
    Contract {
        /// Which.
        trade: u64,
        /// The curtailed side, or whose idea it was.
        side: Side,
        /// What it may still move, or what a change says.
        energy: Energy,
        /// The document that curtails it, or what stands in place of one.
        document: i64,
    },
    /// A limit, by its document.
    Limit(i64),
    /// Leaves of the ledger.
    Leaves {
        /// The first.
        first: u64,
        /// How many: the row has as many numbers.
        count: u64,
    },
}

/// Rows with notices after a number, the oldest first, at most `most`.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn rows_after(
    connection: &Connection,
    after: u64,
    most: u32,
) -> Result<Vec<NoticeRow>, SettlementError> {
    const DOING: &str = "read the notices";
    let mut select = connection
        .prepare_cached(
            "SELECT notice, trade, side, allowed, document FROM notices
             WHERE notice > ?1 ORDER BY notice LIMIT ?2",
        )
        .doing(DOING)?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut found = select.query(params![after, most]).doing(DOING)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next().doing(DOING)? {
        let wide = |column: usize| -> Result<u64, SettlementError> {
            fit(row.get::<i64>(column).doing(DOING)?, "a notice")
        };
        let document: i64 = row.get(4).doing(DOING)?;
        let about = match (wide(1)?, document) {
            (0, ..0) => {
                let first = LEAVES_BEFORE.saturating_sub(document);
                About::Leaves { first: fit(first, "a leaf index")?, count: wide(3)? }
            }
            (0, _) => About::Limit(document),
            (trade, _) => {
                let code: u8 = row.get(2).doing(DOING)?;
                let side = if code == Side::Buy.code() { Side::Buy } else { Side::Sell };
                About::Contract { trade, side, energy: Energy::from_wh(wide(3)?), document }
            }
        };
        rows.push(NoticeRow { last: wide(0)?, about });
    }
    Ok(rows)
}

/// The number of the newest notice; 0 while there is none.
///
/// # Errors
/// When the database refuses.
pub fn newest(connection: &Connection) -> Result<u64, SettlementError> {
    let newest: i64 = connection
        .prepare_cached("SELECT coalesce(max(notice), 0) FROM notices")
        .and_then(|mut select| select.query_row([], |row| row.get(0)))
        .doing("look for the newest notice")?;
    fit(newest, "the number of a notice")
}

/// Where it is kept which notices a party's webhook has acknowledged.
fn acknowledged_key(party: Party) -> String {
    format!("webhook-{}-{}", party.role.name(), party.number)
}

/// The notice through which a party's webhook has acknowledged all; nothing of one that is new.
///
/// # Errors
/// When the database refuses or what is stored is no number.
pub fn acknowledged(connection: &Connection, party: Party) -> Result<Option<u64>, SettlementError> {
    let stored = super::meta(connection, &acknowledged_key(party))?;
    let number = |bytes| fit(bytes, "what a webhook has acknowledged").map(u64::from_le_bytes);
    stored.map(number).transpose()
}

/// Keeps through which notice a party's webhook has acknowledged all.
///
/// # Errors
/// When the database refuses.
pub fn set_acknowledged(
    connection: &Connection,
    party: Party,
    through: u64,
) -> Result<(), SettlementError> {
    super::set_meta(connection, &acknowledged_key(party), &through.to_le_bytes())
}

/// A utility's limit, and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitRow {
    /// Whose wires.
    pub utility: UtilityId,
    /// Where.
    pub zone: PlaceName,
    /// Which feeder of it; all, if none is named.
    pub feeder: Option<PlaceName>,
    /// The limited side.
    pub side: Side,
    /// When.
    pub slot: DeliverySlot,
    /// How much.
    pub limit: Energy,
    /// What was open and traded when it came into force.
    pub used: Energy,
    /// In force since this position of a shard, or refused.
    pub since: Result<(ShardId, Seq), RejectReason>,
}

/// The limit of a document.
///
/// # Errors
/// When the database refuses, or there is none that could be.
pub fn limit_of(connection: &Connection, document: i64) -> Result<LimitRow, SettlementError> {
    const DOING: &str = "read a notice of a limit";
    let mut select = connection
        .prepare_cached(
            "SELECT utility, zone, feeder, side, start_minute, minutes, energy, shard, since,
             used, reason FROM grid_limits WHERE document = ?1",
        )
        .doing(DOING)?;
    let mut found = select.query([document]).doing(DOING)?;
    let damaged = || SettlementError::Damaged(format!("the limit of document {document}"));
    let row = found.next().doing(DOING)?.ok_or_else(damaged)?;
    let number = |column: usize| -> Result<u64, SettlementError> {
        fit(row.get::<i64>(column).doing(DOING)?, "a notice of a limit")
    };
    let name = |column: usize| name_of(&row.get::<String>(column).doing(DOING)?);
    let shard = ShardId::new(row.get(7).doing(DOING)?).ok_or_else(damaged)?;
    let since = match number(8)? {
        0 => {
            let code = row.get(10).doing(DOING)?;
            Err(RejectReason::from_code(code).ok_or_else(damaged)?)
        }
        since => Ok((shard, Seq::new(since))),
    };
    let (start, minutes) = (row.get(4).doing(DOING)?, row.get(5).doing(DOING)?);
    Ok(LimitRow {
        utility: UtilityId::new(row.get(0).doing(DOING)?),
        zone: name(1)?.ok_or_else(damaged)?,
        feeder: name(2)?,
        side: Side::from_code(row.get(3).doing(DOING)?).ok_or_else(damaged)?,
        slot: DeliverySlot::new(start, minutes).map_err(|_| damaged())?,
        limit: Energy::from_wh(number(6)?),
        used: Energy::from_wh(number(9)?),
        since,
    })
}
