//! A market observer: an operator's subscription to the trade feed, for the report.

use std::collections::BTreeMap;

use gateway::client::{ClientError, Connector, FeedClient};
use types::{AmendmentTerms, Energy, Event, GridLimitSet, Price, Seq, ShardId, SlotKey};

/// What a slot traded.
#[derive(Debug, Default, Clone, Copy)]
pub struct SlotTotals {
    /// Price of the call.
    pub auction_price: Option<Price>,
    /// Energy of the call.
    pub auction: Energy,
    /// Energy after the call.
    pub continuous: Energy,
}

/// What the whole market traded.
#[derive(Debug, Default)]
pub struct Observed {
    /// By slot.
    pub slots: BTreeMap<SlotKey, SlotTotals>,
    /// How many trades.
    pub trades: u64,
    /// Energy of all trades, in Wh.
    pub cleared_wh: u64,
    /// Of the trades, those that two meters agreed on directly.
    pub negotiated: u64,
    /// Changes of trades that both sides signed.
    pub changes: Vec<AmendmentTerms>,
    /// Limits of the grid that were in force, each with what it did.
    pub limits: Vec<GridLimitSet>,
}

/// Follows the feed of a shard from the beginning up to a position.
///
/// # Errors
/// When the feed is lost before it.
pub async fn observe(
    connector: &Connector,
    shard: ShardId,
    through: tokio::sync::oneshot::Receiver<Seq>,
) -> Result<Observed, ClientError> {
    let mut feed = FeedClient::subscribe_at(connector, shard, Seq::ZERO).await?;
    let mut observed = Observed::default();
    let mut reached = Seq::ZERO;
    let mut through = std::pin::pin!(through);
    let goal = loop {
        tokio::select! {
            batch = feed.next_batch() => {
                let batch = batch?;
                reached = batch.through;
                batch.items.iter().for_each(|item| note(&mut observed, &item.event));
            }
            goal = &mut through => break goal.map_err(|_| ClientError::Ended)?,
        }
    };
    while reached < goal {
        let batch = feed.next_batch().await?;
        reached = batch.through;
        batch.items.iter().for_each(|item| note(&mut observed, &item.event));
    }
    Ok(observed)
}

fn note(observed: &mut Observed, event: &Event) {
    if let Event::AuctionUncrossed(result) = event {
        observed.slots.entry(result.key).or_default().auction_price = result.price;
    }
    if let Event::ContractAmended(amended) = event {
        observed.changes.push(amended.terms);
    }
    if let Event::GridLimitSet(set) = event {
        observed.limits.push(*set);
    }
    if let Event::Trade(trade) = event {
        observed.trades = observed.trades.saturating_add(1);
        observed.cleared_wh = observed.cleared_wh.saturating_add(trade.quantity.wh());
        if trade.is_negotiated() {
            observed.negotiated = observed.negotiated.saturating_add(1);
            return; // Neither of the call nor of the book after it.
        }
        let totals = observed.slots.entry(trade.key).or_default();
        let total =
            if trade.maker.is_some() { &mut totals.continuous } else { &mut totals.auction };
        *total = total.checked_add(trade.quantity).unwrap_or(*total);
    }
}
