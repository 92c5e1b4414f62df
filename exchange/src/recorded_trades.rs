//! What settlement recorded of trades, for the edge: a reader of its database beside the pipeline.
//!
//! It is asked for changes of trades only, and what it reads was committed and is never changed. A trade
//! that settlement has not captured yet is not there, and then the change is refused for the moment.

use std::sync::{Mutex, PoisonError};

use gateway::verifier::KnownTrades;
use settlement::{CapturedTrades, SettlementError, store::database::Store};
use types::{KnownTrade, TradeId};

/// See the module's description.
#[derive(Debug)]
pub(crate) struct RecordedTrades {
    database: Store,
    /// Opened with the first question. Verifiers that ask at the same time wait for each other: one row by
    /// its key each.
    captured: Mutex<Option<CapturedTrades>>,
}

impl RecordedTrades {
    /// Of the pipeline with this database.
    pub(crate) const fn new(database: Store) -> Self {
        Self { database, captured: Mutex::new(None) }
    }

    fn look_for(&self, trade: TradeId) -> Result<Option<KnownTrade>, SettlementError> {
        let mut captured = self.captured.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = match captured.take() {
            Some(reader) => reader,
            None => CapturedTrades::open(&self.database)?,
        };
        let found = reader.trade(trade);
        // After an error it is opened anew.
        let contract = found?;
        *captured = Some(reader);
        Ok(contract.map(|contract| KnownTrade {
            key: contract.key,
            buyer: contract.buy.meter,
            seller: contract.sell.meter,
            price: contract.price,
            quantity: contract.energy,
        }))
    }
}

impl KnownTrades for RecordedTrades {
    fn trade(&self, trade: TradeId) -> Option<KnownTrade> {
        self.look_for(trade).unwrap_or_else(|error| {
            tracing::warn!(%error, %trade, "cannot look for a trade that is to be changed");
            None
        })
    }
}
