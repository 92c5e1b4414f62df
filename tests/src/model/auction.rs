//! The price of a call auction by trying every candidate against every order.

use engine::digest_of;
use types::{AuctionResult, Energy, Price, PriceRule, Side, SlotKey};

use super::{Market, Model, digest::Listing};

/// What brute force finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priced {
    /// The one price.
    pub price: Price,
    /// What trades.
    pub volume: u64,
    /// Demand minus supply at the price.
    pub surplus: i128,
    /// Candidates left after volume and surplus.
    pub candidates: usize,
    /// Whether the reference was outside the range that was left.
    pub clamped: bool,
}

/// Prices limit orders (side, limit, quantity) by the rule `t7_clamp`.
#[must_use]
pub fn price_by_brute_force(
    orders: &[(Side, Price, u64)],
    tick: Price,
    reference: Option<Price>,
) -> Option<Priced> {
    let sum = |side: Side, accepts: &dyn Fn(Price) -> bool| -> i128 {
        let accepting = orders.iter().filter(|order| order.0 == side && accepts(order.1));
        accepting.map(|order| i128::from(order.2)).sum()
    };
    let demand = |price: Price| sum(Side::Buy, &|limit| limit >= price);
    let supply = |price: Price| sum(Side::Sell, &|limit| limit <= price);
    let volume = |price: Price| demand(price).min(supply(price));
    let surplus = |price: Price| demand(price) - supply(price);

    let mut limits: Vec<Price> = orders.iter().map(|order| order.1).collect();
    limits.sort();
    limits.dedup();
    let most = limits.iter().map(|&price| volume(price)).max()?;
    if most == 0 {
        return None;
    }
    limits.retain(|&price| volume(price) == most);
    let least = limits.iter().map(|&price| surplus(price).abs()).min()?;
    limits.retain(|&price| surplus(price).abs() == least);

    let candidates = limits.len();
    let buys: Vec<Price> = limits.iter().copied().filter(|&p| surplus(p) > 0).collect();
    let sells: Vec<Price> = limits.iter().copied().filter(|&p| surplus(p) < 0).collect();
    let (price, clamped) = if buys.len() == candidates {
        (*buys.last()?, false)
    } else if sells.len() == candidates {
        (*sells.first()?, false)
    } else {
        let low = buys.last().or(limits.first()).copied()?;
        let high = sells.first().or(limits.last()).copied()?;
        match reference {
            Some(reference) if reference < low => (low, true),
            Some(reference) if reference > high => (high, true),
            Some(reference) => (reference, false),
            None => {
                let ticks = (high.micros() - low.micros()) / 2 / tick.micros();
                (Price::from_micros(low.micros() + ticks * tick.micros()), false)
            }
        }
    };
    let volume = u64::try_from(volume(price)).ok()?;
    Some(Priced { price, volume, surplus: surplus(price), candidates, clamped })
}

impl Model {
    /// What uncrossing the slot now would report.
    pub(super) fn auction(&self, key: SlotKey, market: &Market) -> AuctionResult {
        let resting = self.orders.iter().filter(|order| order.rests && order.sent.key == key);
        let orders: Vec<(Side, Price, u64)> =
            resting.map(|order| (order.sent.side, order.limit, order.leaves)).collect();
        let reference = market.last_auction_price;
        let priced = price_by_brute_force(&orders, market.definition.tick, reference);
        AuctionResult {
            key,
            rule: PriceRule::T7Clamp,
            price: priced.map(|priced| priced.price),
            volume: Energy::from_wh(priced.map_or(0, |priced| priced.volume)),
            surplus_wh: priced
                .map_or(0, |priced| i64::try_from(priced.surplus).expect("few orders")),
            reference,
            candidates: priced
                .map_or(0, |priced| u32::try_from(priced.candidates).expect("few orders")),
            clamped: priced.is_some_and(|priced| priced.clamped),
            book: digest_of(&self.book_listing(key)),
        }
    }

    fn book_listing(&self, key: SlotKey) -> Vec<u8> {
        let mut listing = Listing::new("gridcross book 1\n");
        listing.key(key);
        for side in [Side::Buy, Side::Sell] {
            let mut levels: Vec<(Price, u64, u32)> = Vec::new();
            for at in self.queue(key, side) {
                let order = self.orders[at];
                match levels.last_mut() {
                    Some(level) if level.0 == order.limit => {
                        level.1 += order.leaves;
                        level.2 += 1;
                    }
                    _ => levels.push((order.limit, order.leaves, 1)),
                }
            }
            listing.count(levels.len());
            for (price, quantity, orders) in levels {
                listing.bytes(&price.micros().to_le_bytes());
                listing.bytes(&quantity.to_le_bytes());
                listing.bytes(&orders.to_le_bytes());
            }
        }
        listing.0
    }
}
