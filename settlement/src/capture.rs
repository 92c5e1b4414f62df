//! Stop 12 of an order's life: a trade from the feed becomes a contract, exactly once.
//!
//! The feed is read in batches; [`in_order`] brings a batch into the order of the journal and drops
//! what was captured before, so that redelivery and reordering inside a batch change nothing. Pure:
//! the registry and the cursor are arguments.

use types::{
    Energy, MeterId, OrderId, PlatformId, Price, RetailerId, Seq, ShardId, SlotKey, Timestamp,
    Trade, TradeId, TradeSide, UtilityId, shard::NUMBER_MASK,
};
use wire::FeedItem;

use crate::{
    books::{Exact, round},
    error::SettlementError,
    mechanism::Parties,
    policy::Policy,
    registry::Registry,
};

/// Largest energy of a contract: 10 GWh. Keeps every product of the pipeline within i128.
pub const ENERGY_WH_MAX: u64 = 10_000_000_000;

/// Largest price of a contract, either sign: one million per kWh.
pub const PRICE_MICROS_MAX: u64 = 1_000_000_000_000;

/// Bits of a transfer's number that hold what a shard counted of its trades.
pub(crate) const TRADE_BITS: u32 = 35;

/// Most trades of one shard, 34 billion: transfer numbers hold the shard in 4 bits and its count in
/// 35.
pub const SHARD_TRADES_MAX: u64 = (1 << TRADE_BITS) - 1;

/// One side of a contract, as registered when the trade was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContractSide {
    /// Whose meter.
    pub meter: MeterId,
    /// The platform that sent the order.
    pub platform: PlatformId,
    /// Who serves the meter.
    pub retailer: RetailerId,
    /// Whose wires the meter hangs on.
    pub utility: UtilityId,
    /// The order.
    pub order: OrderId,
}

/// The bilateral result of a trade. Its number is the trade's, which names the shard too: so no two
/// shards make a contract of one number, and within a shard numbers rise with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contract {
    /// Its number.
    pub id: TradeId,
    /// Position of the command that traded it, in the journal of its shard.
    pub seq: Seq,
    /// Which of that command's events it is.
    pub index: u32,
    /// When it was traded, by the exchange.
    pub traded: Timestamp,
    /// What is delivered.
    pub key: SlotKey,
    /// At which price.
    pub price: Price,
    /// How much.
    pub energy: Energy,
    /// Who takes it.
    pub buy: ContractSide,
    /// Who gives it.
    pub sell: ContractSide,
}

impl Contract {
    /// Who pays whom.
    #[must_use]
    pub const fn parties(&self) -> Parties {
        Parties {
            buyer: self.buy.meter,
            seller: self.sell.meter,
            buyer_retailer: self.buy.retailer,
            seller_retailer: self.sell.retailer,
            seller_utility: self.sell.utility,
            seller_platform: self.sell.platform,
            price: self.price,
        }
    }
}

/// The items after `cursor`, each once, in the order of the journal. All are of one shard: positions
/// of different shards are not comparable.
/// Rule S-01.
///
/// # Errors
/// When an item lies beyond `through`, or two different events have one place.
pub fn in_order(
    cursor: Seq,
    through: Seq,
    items: &[FeedItem],
) -> Result<Vec<FeedItem>, SettlementError> {
    let mut new: Vec<FeedItem> = items.iter().filter(|item| item.seq > cursor).copied().collect();
    if let Some(beyond) = new.iter().find(|item| item.seq > through) {
        return Err(SettlementError::BeyondBatch { seq: beyond.seq, through });
    }
    new.sort_by_key(|item| (item.seq, item.index));
    let place = |item: &FeedItem| (item.seq, item.index);
    for pair in new.windows(2) {
        if let [first, second] = pair
            && place(first) == place(second)
            && first != second
        {
            return Err(SettlementError::TwoEvents { seq: first.seq, index: first.index });
        }
    }
    new.dedup_by_key(|item| (item.seq, item.index));
    Ok(new)
}

/// Makes the contract of a trade that the feed of a shard told.
///
/// # Errors
/// When the feed never named its market or a meter, the trade has a number of another shard, or a
/// number is beyond the proven range.
pub fn contract(
    shard: ShardId,
    item: &FeedItem,
    trade: &Trade,
    registry: &Registry,
) -> Result<Contract, SettlementError> {
    let id = trade.trade;
    let market = trade.key.market;
    if registry.market(market).is_none() {
        return Err(SettlementError::UnknownMarket { trade: id, market });
    }
    if ShardId::of_number(id.get()) != Some(shard) {
        return Err(SettlementError::OtherShard { trade: id, shard });
    }
    let range = [
        (trade.quantity.wh() <= ENERGY_WH_MAX, "the energy"),
        (trade.price.micros().unsigned_abs() <= PRICE_MICROS_MAX, "the price"),
        (id.get() & NUMBER_MASK <= SHARD_TRADES_MAX, "the number"),
    ];
    if let Some((_, what)) = range.into_iter().find(|(fits, _)| !fits) {
        return Err(SettlementError::OutOfRange { what, contract: id });
    }
    let side = |side: &TradeSide| {
        let meter = registry
            .meter(side.meter)
            .ok_or(SettlementError::UnknownMeter { trade: id, meter: side.meter })?;
        Ok::<_, SettlementError>(ContractSide {
            meter: side.meter,
            platform: side.platform,
            retailer: meter.retailer,
            utility: meter.utility,
            order: side.order,
        })
    };
    Ok(Contract {
        id,
        seq: item.seq,
        index: item.index,
        traded: item.time,
        key: trade.key,
        price: trade.price,
        energy: trade.quantity,
        buy: side(&trade.buy)?,
        sell: side(&trade.sell)?,
    })
}

/// What the payer must have ready for a contract: all of its energy at its price, rounded as it
/// would be posted.
///
/// # Errors
/// When the amount is beyond the range of money.
pub fn hold_due(contract: &Contract, policy: &Policy) -> Result<i64, SettlementError> {
    value(contract.price, contract.energy, policy)
        .ok_or(SettlementError::OutOfRange { what: "the amount", contract: contract.id })
}

/// What an energy is worth at a price, whatever its sign, in minor units. `None` when it does not
/// fit.
#[must_use]
pub fn value(price: Price, energy: Energy, policy: &Policy) -> Option<i64> {
    let exact = Exact::from_notional(price.notional(energy))?;
    Some(round(exact, policy.currency, policy.rounding)?.amount.minor().saturating_abs())
}

#[cfg(test)]
mod tests {
    use types::{CommandRejected, Event, RejectReason};

    use super::*;

    fn item(seq: u64, index: u32, reason: RejectReason) -> FeedItem {
        let event = Event::CommandRejected(CommandRejected { reason });
        FeedItem { seq: Seq::new(seq), time: Timestamp::from_ns(1), index, event }
    }

    #[test]
    fn a_batch_is_sorted_and_what_came_before_is_dropped() {
        let busy = |seq, index| item(seq, index, RejectReason::Busy);
        let items = [busy(4, 1), busy(2, 0), busy(4, 0), busy(3, 0), busy(3, 0)];
        let new = in_order(Seq::new(2), Seq::new(5), &items).unwrap();
        assert_eq!(new, [busy(3, 0), busy(4, 0), busy(4, 1)]);
    }

    #[test]
    fn contradictions_and_overshoot_are_errors() {
        let two = [item(3, 0, RejectReason::Busy), item(3, 0, RejectReason::GoingAway)];
        let error = in_order(Seq::ZERO, Seq::new(3), &two).unwrap_err();
        assert!(matches!(error, SettlementError::TwoEvents { index: 0, .. }));
        let error = in_order(Seq::ZERO, Seq::new(2), &two).unwrap_err();
        assert!(matches!(error, SettlementError::BeyondBatch { .. }));
    }
}
