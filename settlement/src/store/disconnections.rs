//! Rows of what retailers decided about disconnecting meters.

use types::{MeterId, RetailerId};

use crate::{
    error::{Doing as _, SettlementError},
    metering::{Disconnection, DisconnectionDecision},
    store::database::{Connection, OptionalExtension as _, Row, params},
};

/// A decision as it is kept: by whom, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Who decided.
    pub retailer: RetailerId,
    /// What, and why.
    pub said: Disconnection,
}

/// What is said at a revision, and compared.
pub type Content = (u8, String);

/// Every revision of what a retailer decided about a meter.
///
/// # Errors
/// When the database refuses.
pub fn revisions(
    connection: &Connection,
    meter: MeterId,
    retailer: RetailerId,
) -> Result<Vec<(u32, Content)>, SettlementError> {
    const DOING: &str = "read decisions on disconnection";
    let mut select = connection
        .prepare_cached(
            "SELECT revision, decision, reason FROM disconnections
             WHERE meter = ?1 AND retailer = ?2 ORDER BY revision",
        )
        .doing(DOING)?;
    let rows = select
        .query_map(params![meter.get(), retailer.get()], |row| {
            Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))
        })
        .doing(DOING)?;
    rows.map(|row| row.doing(DOING)).collect()
}

/// Keeps a decision, with the document that says it.
///
/// # Errors
/// When the database refuses.
pub fn put(
    connection: &Connection,
    decided: &Decided,
    document: i64,
) -> Result<(), SettlementError> {
    let Decided { retailer, said } = decided;
    let row = params![
        said.meter.get(),
        retailer.get(),
        said.revision,
        said.decision.code(),
        said.reason.as_str(),
        document
    ];
    connection
        .prepare_cached(
            "INSERT INTO disconnections (meter, retailer, revision, decision, reason, document)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .and_then(|mut insert| insert.write(row))
        .doing("write a decision on disconnection")?;
    Ok(())
}

/// What the document of this number decides.
///
/// # Errors
/// When the database refuses or the row cannot be.
pub fn of_document(
    connection: &Connection,
    document: u64,
) -> Result<Option<Decided>, SettlementError> {
    const DOING: &str = "read a decision on disconnection";
    let key = super::signed(document)?;
    let columns = |row: Row<'_>| {
        let numbers: (u32, u16, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok((numbers, row.get::<u8>(3)?, row.get::<String>(4)?))
    };
    let found = connection
        .prepare_cached(
            "SELECT meter, retailer, revision, decision, reason FROM disconnections
             WHERE document = ?1",
        )
        .and_then(|mut select| select.query_row([key], columns).optional())
        .doing(DOING)?;
    let Some(((meter, retailer, revision), decision, reason)) = found else { return Ok(None) };
    let damaged = || SettlementError::Damaged(format!("the decision of document {document}"));
    let decision = DisconnectionDecision::from_code(decision).ok_or_else(damaged)?;
    let said = Disconnection { meter: MeterId::new(meter), revision, decision, reason };
    Ok(Some(Decided { retailer: RetailerId::new(retailer), said }))
}
