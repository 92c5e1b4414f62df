//! Rows of what utilities say of their wires, of the schedule, and of what both sides are told.

use types::{DeliverySlot, Energy, MeterId, Party, Role, Side, TradeId, UtilityId};

use super::signed;
use crate::{
    error::{Doing as _, SettlementError, fit},
    metering::{GridLimit, ZoneCurtailment},
    registry::{MeterCode, MeterPoint, Place, PlaceName, Registry},
    store::database::{Connection, Row, params},
};

/// Key of the number of the last transaction that changed the schedule.
const SCHEDULE: &str = "schedule";

/// An optional name as it stands in a row.
#[must_use]
pub fn name_text(name: Option<&PlaceName>) -> &str {
    name.map_or("", PlaceName::as_str)
}

/// An optional name from a row.
///
/// # Errors
/// When it is none.
pub fn name_of(text: &str) -> Result<Option<PlaceName>, SettlementError> {
    if text.is_empty() {
        return Ok(None);
    }
    let damaged = |_| SettlementError::Damaged(format!("the name `{text}` of a place"));
    PlaceName::new(text).map(Some).map_err(damaged)
}

/// Every known revision of what is said of a meter from a moment on.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn points(
    connection: &Connection,
    meter: MeterId,
    from_minute: u32,
) -> Result<Vec<(u32, MeterPoint)>, SettlementError> {
    const DOING: &str = "read a meter's points";
    let mut select = connection
        .prepare_cached(
            "SELECT revision, from_minute, zone, feeder, role, number FROM meter_points
             WHERE meter = ?1 AND from_minute = ?2 ORDER BY revision",
        )
        .doing(DOING)?;
    let mut rows = select.query(params![meter.get(), from_minute]).doing(DOING)?;
    let mut points = Vec::new();
    while let Some(row) = rows.next().doing(DOING)? {
        points.push((row.get(0).doing(DOING)?, read_point(row, 1)?));
    }
    Ok(points)
}

fn read_point(row: Row<'_>, first: usize) -> Result<MeterPoint, SettlementError> {
    const DOING: &str = "read a meter's points";
    let at = |offset: usize| first.saturating_add(offset);
    let zone: String = row.get(at(1)).doing(DOING)?;
    let feeder: String = row.get(at(2)).doing(DOING)?;
    let role: u8 = row.get(at(3)).doing(DOING)?;
    let number = row.get(at(4)).doing(DOING)?;
    Ok(MeterPoint {
        from_minute: row.get(at(0)).doing(DOING)?,
        zone: name_of(&zone)?,
        feeder: name_of(&feeder)?,
        served_by: Role::from_code(role).map(|role| Party { role, number }),
    })
}

/// Keeps what is said of a meter.
///
/// # Errors
/// When the database refuses.
pub fn put_point(
    connection: &Connection,
    (meter, revision, document): (MeterId, u32, i64),
    point: &MeterPoint,
) -> Result<(), SettlementError> {
    let row = params![
        meter.get(),
        point.from_minute,
        revision,
        name_text(point.zone.as_ref()),
        name_text(point.feeder.as_ref()),
        point.served_by.map_or(u8::MAX, |party| party.role.code()),
        point.served_by.map_or(0, |party| party.number),
        document
    ];
    connection
        .prepare_cached(
            "INSERT INTO meter_points
             (meter, from_minute, revision, zone, feeder, role, number, document)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .and_then(|mut insert| insert.write(row))
        .doing("write a meter's point")?;
    Ok(())
}

/// The newest of what is said of every meter and moment, into the registry.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn read_points(
    connection: &Connection,
    registry: &mut Registry,
) -> Result<(), SettlementError> {
    const DOING: &str = "read the meters' points";
    let mut select = connection
        .prepare_cached(
            "SELECT meter, from_minute, zone, feeder, role, number FROM meter_points
             ORDER BY meter, from_minute, revision",
        )
        .doing(DOING)?;
    let mut rows = select.query([]).doing(DOING)?;
    while let Some(row) = rows.next().doing(DOING)? {
        registry.add_point(MeterId::new(row.get(0).doing(DOING)?), read_point(row, 1)?);
    }
    Ok(())
}

/// Keeps a meter's name in files of a signer; known names stay.
///
/// # Errors
/// When the database refuses.
pub fn put_code(
    connection: &Connection,
    signer: Party,
    (meter, code): (MeterId, &MeterCode),
    document: i64,
) -> Result<(), SettlementError> {
    let row = params![signer.role.code(), signer.number, code.as_str(), meter.get(), document];
    connection
        .prepare_cached(
            "INSERT INTO meter_codes (role, number, code, meter, document)
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (role, number, code) DO NOTHING",
        )
        .and_then(|mut insert| insert.write(row))
        .doing("write a meter's name")?;
    Ok(())
}

/// Every name of a meter in files, into the registry.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn read_codes(connection: &Connection, registry: &mut Registry) -> Result<(), SettlementError> {
    const DOING: &str = "read the meters' names";
    let mut select = connection
        .prepare_cached(
            "SELECT role, number, code, meter FROM meter_codes ORDER BY role, number, code",
        )
        .doing(DOING)?;
    let mut rows = select.query([]).doing(DOING)?;
    while let Some(row) = rows.next().doing(DOING)? {
        let code: String = row.get(2).doing(DOING)?;
        let role = Role::from_code(row.get(0).doing(DOING)?);
        let (Some(role), Ok(name)) = (role, MeterCode::new(&code)) else {
            return Err(SettlementError::Damaged(format!("the name `{code}` of a meter")));
        };
        let party = Party { role, number: row.get(1).doing(DOING)? };
        registry.add_code(party, name, MeterId::new(row.get(3).doing(DOING)?));
    }
    Ok(())
}

/// Every known revision of a curtailment of a place: cap and code of the reason.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn zone_curtailments(
    connection: &Connection,
    utility: UtilityId,
    of: &ZoneCurtailment,
) -> Result<Vec<(u32, super::intake::Cap)>, SettlementError> {
    const DOING: &str = "read the curtailments of a zone";
    let mut select = connection
        .prepare_cached(
            "SELECT revision, cap, reason FROM zone_curtailments
             WHERE start_minute = ?1 AND utility = ?2 AND zone = ?3 AND feeder = ?4 AND side = ?5
             AND minutes = ?6 ORDER BY revision",
        )
        .doing(DOING)?;
    let key = params![
        of.slot.start_minute(),
        utility.get(),
        of.zone.as_str(),
        name_text(of.feeder.as_ref()),
        of.side.code(),
        of.slot.minutes()
    ];
    let mut rows = select.query(key).doing(DOING)?;
    let mut known = Vec::new();
    while let Some(row) = rows.next().doing(DOING)? {
        let cap = fit(row.get::<i64>(1).doing(DOING)?, "a cap")?;
        let reason = row.get(2).doing(DOING)?;
        known.push((row.get(0).doing(DOING)?, (Energy::from_wh(cap), reason)));
    }
    Ok(known)
}

/// Keeps a curtailment of a place and returns its number. If it is the newest, the ones before no
/// longer count.
///
/// # Errors
/// When the database refuses.
pub fn put_zone_curtailment(
    connection: &Connection,
    utility: UtilityId,
    of: &ZoneCurtailment,
    (reason, is_newest, document): (u8, bool, i64),
) -> Result<i64, SettlementError> {
    const DOING: &str = "write a curtailment of a zone";
    let feeder = name_text(of.feeder.as_ref());
    let zone = of.zone.as_str();
    if is_newest {
        connection
            .prepare_cached(
                "UPDATE zone_curtailments SET newest = 0
                 WHERE start_minute = ?1 AND utility = ?2 AND zone = ?3 AND feeder = ?4
                 AND side = ?5 AND minutes = ?6",
            )
            .and_then(|mut update| {
                let slot = of.slot;
                let side = of.side.code();
                let (start, minutes) = (slot.start_minute(), slot.minutes());
                update.write(params![start, utility.get(), zone, feeder, side, minutes])
            })
            .doing(DOING)?;
    }
    let row = params![
        utility.get(),
        zone,
        feeder,
        of.side.code(),
        of.slot.start_minute(),
        of.slot.minutes(),
        of.revision,
        signed(of.cap.wh())?,
        reason,
        is_newest,
        document
    ];
    connection
        .prepare_cached(
            "INSERT INTO zone_curtailments (source, utility, zone, feeder, side, start_minute,
             minutes, revision, cap, reason, newest, document)
             VALUES ((SELECT coalesce(max(source), 0) + 1 FROM zone_curtailments),
             ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING source",
        )
        .and_then(|mut insert| insert.query_row(row, |row| row.get(0)))
        .doing(DOING)
}

/// Keeps what a curtailment of a place leaves a meter.
///
/// # Errors
/// When the database refuses.
pub fn put_curtailed_meter(
    connection: &Connection,
    slot: DeliverySlot,
    source: i64,
    (meter, cap): (MeterId, Energy),
) -> Result<(), SettlementError> {
    let row = params![slot.start_minute(), slot.minutes(), source, meter.get(), signed(cap.wh())?];
    connection
        .prepare_cached(
            "INSERT INTO curtailed_meters (start_minute, minutes, source, meter, cap)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .and_then(|mut insert| insert.write(row))
        .doing("write a curtailed meter")?;
    Ok(())
}

/// Every known revision of a limit.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn limits(
    connection: &Connection,
    utility: UtilityId,
    of: &GridLimit,
) -> Result<Vec<(u32, Energy)>, SettlementError> {
    const DOING: &str = "read the limits of a zone";
    let mut select = connection
        .prepare_cached(
            "SELECT revision, energy FROM grid_limits WHERE utility = ?1 AND zone = ?2
             AND start_minute = ?3 AND feeder = ?4 AND side = ?5 AND minutes = ?6 ORDER BY revision",
        )
        .doing(DOING)?;
    let key = params![
        utility.get(),
        of.zone.as_str(),
        of.slot.start_minute(),
        name_text(of.feeder.as_ref()),
        of.side.code(),
        of.slot.minutes()
    ];
    let mut rows = select.query(key).doing(DOING)?;
    let mut known = Vec::new();
    while let Some(row) = rows.next().doing(DOING)? {
        let energy = fit(row.get::<i64>(1).doing(DOING)?, "a limit")?;
        known.push((row.get(0).doing(DOING)?, Energy::from_wh(energy)));
    }
    Ok(known)
}

/// Keeps a limit.
///
/// # Errors
/// When the database refuses.
pub fn put_limit(
    connection: &Connection,
    utility: UtilityId,
    limit: &GridLimit,
    document: i64,
) -> Result<(), SettlementError> {
    let row = params![
        utility.get(),
        limit.zone.as_str(),
        limit.slot.start_minute(),
        name_text(limit.feeder.as_ref()),
        limit.side.code(),
        limit.slot.minutes(),
        limit.revision,
        signed(limit.limit.wh())?,
        document
    ];
    connection
        .prepare_cached(
            "INSERT INTO grid_limits (utility, zone, start_minute, feeder, side, minutes, revision,
             energy, document) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .and_then(|mut insert| insert.write(row))
        .doing("write a limit")?;
    Ok(())
}

/// A place and a span of time of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScheduleKey {
    /// Where.
    pub place: Place,
    /// When.
    pub slot: DeliverySlot,
}

/// How much the schedule of a place changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScheduleChange {
    /// Sold energy, in Wh.
    pub injection: i64,
    /// Bought energy, in Wh.
    pub withdrawal: i64,
    /// Sides of contracts.
    pub contracts: i64,
}

/// Adds a change to the schedule, under the number of its transaction.
///
/// # Errors
/// When the database refuses.
pub fn add_to_schedule(
    connection: &Connection,
    key: &ScheduleKey,
    change: ScheduleChange,
    changed: i64,
) -> Result<(), SettlementError> {
    let row = params![
        key.place.utility.get(),
        name_text(key.place.zone.as_ref()),
        key.slot.start_minute(),
        name_text(key.place.feeder.as_ref()),
        key.slot.minutes(),
        change.injection,
        change.withdrawal,
        change.contracts,
        changed
    ];
    connection
        .prepare_cached(
            "INSERT INTO schedule (utility, zone, start_minute, feeder, minutes, injection,
             withdrawal, contracts, changed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (utility, zone, start_minute, feeder, minutes) DO UPDATE
             SET injection = schedule.injection + excluded.injection,
             withdrawal = schedule.withdrawal + excluded.withdrawal,
             contracts = schedule.contracts + excluded.contracts, changed = excluded.changed",
        )
        .and_then(|mut put| put.write(row))
        .doing("write the schedule")?;
    Ok(())
}

/// Lets a place appear in the schedule, and all feeders of a zone, as what has changed.
///
/// # Errors
/// When the database refuses.
pub fn touch_schedule(
    connection: &Connection,
    key: &ScheduleKey,
    changed: i64,
) -> Result<(), SettlementError> {
    add_to_schedule(connection, key, ScheduleChange::default(), changed)?;
    if key.place.feeder.is_some() {
        return Ok(());
    }
    let (utility, zone) = (key.place.utility.get(), name_text(key.place.zone.as_ref()));
    let (start, minutes) = (key.slot.start_minute(), key.slot.minutes());
    connection
        .prepare_cached(
            "UPDATE schedule SET changed = ?5 WHERE utility = ?1 AND zone = ?2
             AND start_minute = ?3 AND minutes = ?4",
        )
        .and_then(|mut update| update.write(params![utility, zone, start, minutes, changed]))
        .doing("write the schedule")?;
    Ok(())
}

/// The number of the last transaction that changed the schedule.
///
/// # Errors
/// When the database refuses or it is none.
pub fn schedule_serial(connection: &Connection) -> Result<i64, SettlementError> {
    match super::meta(connection, SCHEDULE)? {
        None => Ok(0),
        Some(bytes) => Ok(i64::from_le_bytes(fit(bytes, "the number of the schedule")?)),
    }
}

/// Writes it down.
///
/// # Errors
/// When the database refuses.
pub fn set_schedule_serial(connection: &Connection, serial: i64) -> Result<(), SettlementError> {
    super::set_meta(connection, SCHEDULE, &serial.to_le_bytes())
}

/// Writes down what both sides of a contract are to be told.
///
/// # Errors
/// When the database refuses.
pub fn put_notice(
    connection: &Connection,
    trade: TradeId,
    (side, allowed): (Side, Energy),
    document: i64,
) -> Result<(), SettlementError> {
    let row = params![signed(trade.get())?, side.code(), signed(allowed.wh())?, document];
    connection
        .prepare_cached(
            "INSERT INTO notices (notice, trade, side, allowed, document)
             VALUES ((SELECT coalesce(max(notice), 0) + 1 FROM notices), ?1, ?2, ?3, ?4)",
        )
        .and_then(|mut insert| insert.write(row))
        .doing("write a notice")?;
    Ok(())
}
