//! An edge that knows of no trades: what the programs send changes none.

use gateway::verifier::KnownTrades;
use types::{KnownTrade, TradeId};

/// See the module's description.
#[derive(Debug)]
pub struct NoTrades;

impl KnownTrades for NoTrades {
    fn trade(&self, _: TradeId) -> Option<KnownTrade> {
        None
    }
}
