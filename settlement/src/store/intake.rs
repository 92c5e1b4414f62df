//! Rows of documents, readings and curtailments.

use std::collections::BTreeMap;

use types::{DeliverySlot, Digest, Energy, MeterId, Party, Side, Timestamp};

use crate::{
    allocation::Metered,
    error::{Doing as _, SettlementError, fit},
    metering::{
        Block, CurtailmentReason, DocumentKind, DocumentReject, Key, Quality, Receipt, Statement,
    },
    store::database::{Connection, OptionalExtension as _, Row, params},
};

/// The answer given to a document of this digest before.
///
/// # Errors
/// When the database refuses or the row cannot be.
pub fn receipt(
    connection: &Connection,
    digest: &Digest,
) -> Result<Option<Receipt>, SettlementError> {
    let row: Option<(u8, u32, u16)> = connection
        .prepare_cached("SELECT kind, accepted, reject FROM documents WHERE digest = ?1")
        .and_then(|mut select| {
            let columns = |row: Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            select.query_row([digest.as_bytes()], columns).optional()
        })
        .doing("look for a document")?;
    row.map(|(kind, accepted, reject)| {
        let damaged = || SettlementError::Damaged(format!("document {digest}"));
        let kind = DocumentKind::from_code(kind).ok_or_else(damaged)?;
        let result = match reject {
            0 => Ok(()),
            code => Err(DocumentReject::from_code(code).ok_or_else(damaged)?),
        };
        Ok(Receipt { digest: *digest, kind, accepted, result, repeated: true })
    })
    .transpose()
}

/// Keeps a document with the answer to it and returns its number.
///
/// # Errors
/// When the database refuses.
pub fn put_document(
    connection: &Connection,
    receipt: &Receipt,
    (signer, received): (Party, Timestamp),
    bytes: &[u8],
) -> Result<i64, SettlementError> {
    let reject = receipt.result.err().map_or(0, DocumentReject::code);
    let row = params![
        receipt.digest.as_bytes(),
        received.ns(),
        receipt.kind.code(),
        receipt.accepted,
        reject,
        bytes,
        signer.role.code(),
        signer.number
    ];
    connection
        .prepare_cached(
            "INSERT INTO documents
             (document, digest, received, kind, accepted, reject, bytes, signer_role, signer)
             VALUES ((SELECT coalesce(max(document), 0) + 1 FROM documents),
             ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING document",
        )
        .and_then(|mut insert| insert.query_row(row, |row| row.get(0)))
        .doing("write a document")
}

/// Writes the final answer to a document that is kept.
///
/// # Errors
/// When the database refuses.
pub fn answer_document(
    connection: &Connection,
    document: i64,
    receipt: &Receipt,
) -> Result<(), SettlementError> {
    let reject = receipt.result.err().map_or(0, DocumentReject::code);
    connection
        .prepare_cached("UPDATE documents SET accepted = ?2, reject = ?3 WHERE document = ?1")
        .and_then(|mut update| update.write(params![document, receipt.accepted, reject]))
        .doing("answer a document")?;
    Ok(())
}

/// Keeps what leads from a document to its leaf. Erasing the salt with the document's bytes leaves a
/// leaf that leads nowhere.
///
/// # Errors
/// When the database refuses.
pub fn put_salt(
    connection: &Connection,
    document: i64,
    salt: &[u8; 32],
    leaf: u64,
) -> Result<(), SettlementError> {
    let row = params![document, salt.as_slice(), super::signed(leaf)?];
    connection
        .prepare_cached("UPDATE documents SET salt = ?2, leaf = ?3 WHERE document = ?1")
        .and_then(|mut update| update.write(row))
        .doing("write the salt of a document")?;
    Ok(())
}

/// A revision of a reading, and what it says.
pub type Revision = (u32, (Metered, Quality));

/// Every known revision of each of many readings, in order, as the keys are.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn readings(
    connection: &Connection,
    keys: &[Key],
) -> Result<Vec<Vec<Revision>>, SettlementError> {
    let mut known: Vec<Vec<Revision>> = vec![Vec::new(); keys.len()];
    let mut damaged = None;
    let questions = keys.iter().map(|key| {
        let Key { meter, slot } = key;
        [slot.start_minute(), meter.get(), u32::from(slot.minutes())]
    });
    connection
        .prepare_cached(
            "SELECT revision, injected, withdrawn, estimated FROM readings
             WHERE start_minute = ?1 AND meter = ?2 AND minutes = ?3",
        )
        .and_then(|mut select| {
            select.query_each(questions, |place, row| {
                let quality = quality(row.get(3)?);
                match (metered(row.get(1)?, row.get(2)?), known.get_mut(place)) {
                    (Ok(metered), Some(known)) => known.push((row.get(0)?, (metered, quality))),
                    (Err(error), _) => damaged = Some(error),
                    (Ok(_), None) => {}
                }
                Ok(())
            })
        })
        .doing("read readings")?;
    for revisions in &mut known {
        revisions.sort_unstable_by_key(|(revision, _)| *revision);
    }
    damaged.map_or(Ok(known), Err)
}

/// Keeps readings.
///
/// # Errors
/// When the database refuses.
pub fn put_readings(
    connection: &Connection,
    revision: u32,
    statements: &[&Statement],
    document: i64,
) -> Result<(), SettlementError> {
    const DOING: &str = "write a reading";
    let mut insert = connection
        .prepare_cached(
            "INSERT INTO readings
             (start_minute, meter, minutes, revision, injected, withdrawn, document, estimated)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .doing(DOING)?;
    for Statement { key, metered, quality } in statements {
        let row = params![
            key.slot.start_minute(),
            key.meter.get(),
            key.slot.minutes(),
            revision,
            super::signed(metered.injected.wh())?,
            super::signed(metered.withdrawn.wh())?,
            document,
            *quality == Quality::Estimated
        ];
        insert.write(row).doing(DOING)?;
    }
    Ok(())
}

/// A cap and the code of its reason.
pub type Cap = (Energy, u8);

/// Every known revision of a curtailment.
///
/// # Errors
/// When the database refuses.
pub fn curtailments(connection: &Connection, key: Key) -> Result<Vec<(u32, Cap)>, SettlementError> {
    let mut select = connection
        .prepare_cached(
            "SELECT revision, cap, reason FROM curtailments
             WHERE start_minute = ?1 AND meter = ?2 AND minutes = ?3 ORDER BY revision",
        )
        .doing("read curtailments")?;
    let rows = select
        .query_map(params![key.slot.start_minute(), key.meter.get(), key.slot.minutes()], |row| {
            Ok((row.get(0)?, row.get::<i64>(1)?, row.get(2)?))
        })
        .doing("read curtailments")?;
    rows.map(|row| {
        let (revision, cap, reason) = row.doing("read curtailments")?;
        Ok((revision, (Energy::from_wh(fit(cap, "a cap")?), reason)))
    })
    .collect()
}

/// Keeps a curtailment.
///
/// # Errors
/// When the database refuses.
pub fn put_curtailment(
    connection: &Connection,
    key: Key,
    revision: u32,
    (cap, reason): Cap,
    document: i64,
) -> Result<(), SettlementError> {
    let row = params![
        key.slot.start_minute(),
        key.meter.get(),
        key.slot.minutes(),
        revision,
        super::signed(cap.wh())?,
        reason,
        document
    ];
    connection
        .prepare_cached(
            "INSERT INTO curtailments
             (start_minute, meter, minutes, revision, cap, reason, document)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .and_then(|mut insert| insert.write(row))
        .doing("write a curtailment")?;
    Ok(())
}

/// The code of a curtailment's reason in rows.
#[must_use]
pub const fn reason_code(reason: CurtailmentReason) -> u8 {
    match reason {
        CurtailmentReason::Outage => 1,
        CurtailmentReason::Policy => 2,
    }
}

/// Marks every slot that overlaps `span` as changed.
///
/// # Errors
/// When the database refuses.
pub fn touch_slots(connection: &Connection, span: DeliverySlot) -> Result<(), SettlementError> {
    let start = span.start_minute();
    let end = start.saturating_add(u32::from(span.minutes()));
    // No slot is longer than a day.
    let earliest = start.saturating_sub(1_440);
    connection
        .prepare_cached(
            "UPDATE slots SET dirty = 1 WHERE start_minute >= ?1 AND start_minute < ?2
             AND end_minute > ?3 AND dirty = 0",
        )
        .and_then(|mut update| update.write([earliest, end, start]))
        .doing("mark slots as changed")?;
    Ok(())
}

/// The newest readings inside `slot` of `meters`, which are in order and each there once; the
/// answer is in order of meters.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn blocks(
    connection: &Connection,
    slot: DeliverySlot,
    meters: &[MeterId],
) -> Result<Vec<(MeterId, Block)>, SettlementError> {
    const DOING: &str = "read the readings of a slot";
    let mut select = connection
        .prepare_cached(
            "SELECT meter, start_minute, minutes, injected, withdrawn, estimated FROM readings
             WHERE start_minute >= ?1 AND start_minute < ?2
             ORDER BY start_minute, meter, minutes, revision",
        )
        .doing(DOING)?;
    let end = slot.start_minute().saturating_add(u32::from(slot.minutes()));
    let mut rows = select.query([slot.start_minute(), end]).doing(DOING)?;
    let mut blocks: Vec<(MeterId, Block)> = Vec::with_capacity(meters.len());
    while let Some(row) = rows.next().doing(DOING)? {
        let meter = MeterId::new(row.get(0).doing(DOING)?);
        if meters.binary_search(&meter).is_err() {
            continue;
        }
        let start_minute = row.get(1).doing(DOING)?;
        let minutes = row.get(2).doing(DOING)?;
        let registers = metered(row.get(3).doing(DOING)?, row.get(4).doing(DOING)?)?;
        let Metered { injected, withdrawn } = registers;
        let quality = quality(row.get(5).doing(DOING)?);
        let block = Block { start_minute, minutes, injected, withdrawn, quality };
        match blocks.last_mut() {
            // Revisions of one interval follow each other; the newest is last.
            Some((of, last))
                if (*of, last.start_minute, last.minutes) == (meter, start_minute, minutes) =>
            {
                *last = block;
            }
            Some(_) | None => blocks.push((meter, block)),
        }
    }
    blocks.sort_by_key(|(meter, _)| *meter);
    Ok(blocks)
}

/// The lowest caps for exactly this slot, by meter and the side they limit.
pub type Caps = BTreeMap<(MeterId, u8), Energy>;

/// The newest caps for exactly this slot: of meters, and what zones and feeders leave them.
///
/// # Errors
/// When the database refuses or a row cannot be.
pub fn caps(connection: &Connection, slot: DeliverySlot) -> Result<Caps, SettlementError> {
    const DOING: &str = "read the curtailments of a slot";
    let mut caps = Caps::new();
    let mut select = connection
        .prepare_cached(
            "SELECT meter, cap FROM curtailments WHERE start_minute = ?1 AND minutes = ?2
             ORDER BY meter, revision",
        )
        .doing(DOING)?;
    let mut rows = select.query(params![slot.start_minute(), slot.minutes()]).doing(DOING)?;
    while let Some(row) = rows.next().doing(DOING)? {
        let meter = MeterId::new(row.get(0).doing(DOING)?);
        let cap = Energy::from_wh(fit(row.get::<i64>(1).doing(DOING)?, "a cap")?);
        for side in [Side::Buy, Side::Sell] {
            caps.insert((meter, side.code()), cap);
        }
    }
    let mut select = connection
        .prepare_cached(
            "SELECT m.meter, z.side, m.cap FROM curtailed_meters m
             JOIN zone_curtailments z ON z.source = m.source AND z.newest = 1
             WHERE m.start_minute = ?1 AND m.minutes = ?2 ORDER BY m.source, m.meter",
        )
        .doing(DOING)?;
    let mut rows = select.query(params![slot.start_minute(), slot.minutes()]).doing(DOING)?;
    while let Some(row) = rows.next().doing(DOING)? {
        let key = (MeterId::new(row.get(0).doing(DOING)?), row.get(1).doing(DOING)?);
        let cap = Energy::from_wh(fit(row.get::<i64>(2).doing(DOING)?, "a cap")?);
        let lowest = caps.get(&key).map_or(cap, |known| cap.min(*known));
        caps.insert(key, lowest);
    }
    Ok(caps)
}

const fn quality(is_estimated: bool) -> Quality {
    if is_estimated { Quality::Estimated } else { Quality::Measured }
}

fn metered(injected: i64, withdrawn: i64) -> Result<Metered, SettlementError> {
    Ok(Metered {
        injected: Energy::from_wh(fit(injected, "a reading")?),
        withdrawn: Energy::from_wh(fit(withdrawn, "a reading")?),
    })
}
