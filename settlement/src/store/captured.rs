//! Trades as they were captured, for who asks from outside the pipeline.

use types::TradeId;

use super::{open_read_only, signed};
use crate::{
    books::posting::Folio,
    capture::Contract,
    error::{Doing as _, SettlementError},
    store::database::{Connection, OptionalExtension as _, Row, Store},
    tlog::leaf,
};

/// Where the transfers of a contract lie, if it was captured.
///
/// # Errors
/// When the database refuses.
pub fn folio(connection: &Connection, contract: TradeId) -> Result<Option<Folio>, SettlementError> {
    connection
        .prepare_cached("SELECT folio FROM contracts WHERE trade = ?1")
        .and_then(|mut select| {
            let id = signed(contract.get()).unwrap_or(-1);
            let folio = |row: Row<'_>| Ok(Folio { contract, minute: row.get(0)? });
            select.query_row([id], folio).optional()
        })
        .doing("look for a contract")
}

/// A reader of captured trades beside a pipeline that writes them. It sees what is committed.
#[derive(Debug)]
pub struct CapturedTrades {
    connection: Connection,
}

impl CapturedTrades {
    /// Opens the database of a pipeline.
    ///
    /// # Errors
    /// When there is none of this version, or the database refuses.
    pub fn open(store: impl Into<Store>) -> Result<Self, SettlementError> {
        Ok(Self { connection: open_read_only(&store.into())? })
    }

    /// A trade as it was captured, whatever became of it: its leaf, which is never changed.
    ///
    /// # Errors
    /// When the database refuses, or the leaf is none of a contract.
    pub fn trade(&self, trade: TradeId) -> Result<Option<Contract>, SettlementError> {
        let Ok(number) = signed(trade.get()) else { return Ok(None) };
        let bytes: Option<Vec<u8>> = self
            .connection
            .prepare_cached(
                "SELECT leaves.bytes FROM contracts JOIN leaves USING (leaf) WHERE trade = ?1",
            )
            .and_then(|mut select| select.query_row([number], |row| row.get(0)).optional())
            .doing("look for a captured trade")?;
        let damaged = || SettlementError::Damaged(format!("the leaf of trade {trade}"));
        bytes.map(|bytes| leaf::decode_contract(&bytes).ok_or_else(damaged)).transpose()
    }
}
