//! What statements are made of: checkpoints in order, and the areas of markets.

use std::collections::BTreeMap;

use types::{Digest, MarketDefinition, MarketId};

use super::{
    database::{Connection, OptionalExtension as _, Row, params},
    set_meta, signed,
};
use crate::error::{Doing as _, SettlementError, fit};

/// Under this and a market's number stands its area.
const AREA: &str = "area-";

/// The first checkpoint over the leaf of this index: its size and root.
///
/// # Errors
/// When SQLite refuses or the row cannot be.
pub fn checkpoint_over(
    connection: &Connection,
    leaf: u64,
) -> Result<Option<(u64, Digest)>, SettlementError> {
    let row: Option<(i64, [u8; 32])> = connection
        .prepare_cached("SELECT size, root FROM checkpoints WHERE size > ?1 ORDER BY size LIMIT 1")
        .and_then(|mut select| {
            let columns = |row: Row<'_>| Ok((row.get(0)?, row.get(1)?));
            select.query_row(params![signed(leaf).unwrap_or(i64::MAX)], columns).optional()
        })
        .doing("look for a checkpoint")?;
    row.map(|(size, root)| Ok((fit(size, "a checkpoint's size")?, Digest::new(root)))).transpose()
}

/// Keeps the area of a market.
///
/// # Errors
/// When SQLite refuses.
pub fn put_area(
    connection: &Connection,
    definition: &MarketDefinition,
) -> Result<(), SettlementError> {
    let key = format!("{AREA}{}", definition.market);
    set_meta(connection, &key, definition.area.as_str().as_bytes())
}

/// The areas of all markets.
///
/// # Errors
/// When SQLite refuses.
pub fn areas(connection: &Connection) -> Result<BTreeMap<MarketId, String>, SettlementError> {
    const DOING: &str = "read the areas of markets";
    let mut select = connection
        .prepare_cached("SELECT key, value FROM meta WHERE key >= ?1 AND key < ?2")
        .doing(DOING)?;
    // All keys of that beginning; the next letter ends them.
    let rows = select
        .query_map(params![AREA, "area."], |row| {
            Ok((row.get::<String>(0)?, row.get::<Vec<u8>>(1)?))
        })
        .doing(DOING)?;
    let mut areas = BTreeMap::new();
    for row in rows {
        let (key, area) = row.doing(DOING)?;
        let market = key.strip_prefix(AREA).and_then(|number| number.parse().ok());
        let market = market.ok_or_else(|| SettlementError::Damaged(format!("the key `{key}`")))?;
        areas.insert(MarketId::new(market), String::from_utf8_lossy(&area).into_owned());
    }
    Ok(areas)
}
