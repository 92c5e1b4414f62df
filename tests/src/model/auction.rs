//! The result of a call, and who fills.

use engine::digest_of;
use types::{Allocation, AuctionResult, Energy, Event, MeterId, Price, PriceRule, Side, SlotKey};

use super::{Market, Model, digest::Listing, price_by_brute_force};

impl Model {
    /// What uncrossing the slot now would report.
    pub(super) fn auction(&self, key: SlotKey, market: &Market) -> AuctionResult {
        let both = [Side::Buy, Side::Sell].map(|side| self.taking_part(key, side)).concat();
        // Beside limits, market orders are limits at the edge of the band.
        let has_limits = both.iter().any(|&at| !self.orders[at].is_market());
        let orders: Vec<(Side, Option<Price>, u64)> = both
            .into_iter()
            .map(|at| {
                let order = &self.orders[at];
                let side = order.sent.side;
                let edge = match side {
                    Side::Buy => market.definition.price_max,
                    Side::Sell => market.definition.price_min,
                };
                let limit = if order.is_market() { edge } else { order.limit };
                (side, has_limits.then_some(limit), order.open)
            })
            .collect();
        let reference = self.slot(key).last_price.or(market.last_auction_price);
        let rule = market.definition.price_rule;
        let priced = price_by_brute_force(rule, &orders, market.definition.tick, reference);
        AuctionResult {
            key,
            rule,
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

    /// The orders of one side that take part in auctions, in priority order.
    fn taking_part(&self, key: SlotKey, side: Side) -> Vec<usize> {
        let mut queue = self.queue(key, side);
        queue.retain(|&at| !self.orders[at].has_minimum());
        queue
    }

    /// The trades of an auction: both sides in priority order.
    pub(super) fn fill_auction(
        &mut self,
        key: SlotKey,
        market: &Market,
        price: Price,
        volume: u64,
        events: &mut Vec<Event>,
    ) {
        let [buys, sells] = [Side::Buy, Side::Sell].map(|side| self.taking_part(key, side));
        let buy_shares = self.shares(&buys, market, price, volume);
        let sell_shares = self.shares(&sells, market, price, volume);
        let mut buys = self.parts(&buys, &buy_shares);
        let mut sells = self.parts(&sells, &sell_shares);
        while let (Some(buy), Some(sell)) = (buys.first_mut(), sells.first_mut()) {
            let quantity = buy.1.min(sell.1);
            buy.1 -= quantity;
            sell.1 -= quantity;
            let (buyer, seller) = (buy.0, sell.0);
            self.trade_between(price, quantity, (buyer, seller), None, events);
            self.show(buyer.0);
            self.show(seller.0);
            buys.retain(|(_, left)| *left > 0);
            sells.retain(|(_, left)| *left > 0);
        }
    }

    /// What the meters of each order get of its share, in order.
    fn parts(&mut self, orders: &[usize], shares: &[u64]) -> Vec<((usize, MeterId), u64)> {
        let mut parts = Vec::new();
        for (&at, &share) in orders.iter().zip(shares).filter(|(_, share)| **share > 0) {
            parts.extend(self.split(at, share).into_iter().map(|(meter, wh)| ((at, meter), wh)));
        }
        parts
    }

    /// What each order of one side gets: all of it, until those of one price are too many.
    fn shares(&self, queue: &[usize], market: &Market, price: Price, volume: u64) -> Vec<u64> {
        let definition = &market.definition;
        let at_edge = price == definition.price_min || price == definition.price_max;
        let by_rule = definition.price_rule == PriceRule::ProRataAtBand && at_edge;
        let pro_rata = market.controls.allocation == Allocation::ProRata || by_rule;
        let level = |at: usize| (self.orders[at].is_market(), self.orders[at].limit);
        let mut left = volume;
        let mut shares: Vec<u64> = Vec::new();
        while let Some(&first) = queue.get(shares.len()) {
            let wanted: Vec<u64> = queue[shares.len()..]
                .iter()
                .take_while(|&&at| level(at) == level(first))
                .map(|&at| self.orders[at].open)
                .collect();
            let given = if pro_rata {
                in_proportion(&wanted, left, definition.lot.wh())
            } else {
                by_time(&wanted, left)
            };
            left -= given.iter().sum::<u64>();
            shares.extend(given);
        }
        shares
    }

    fn book_listing(&self, key: SlotKey) -> Vec<u8> {
        let mut listing = Listing::new("gridcross book 1\n");
        listing.key(key);
        for side in [Side::Buy, Side::Sell] {
            let mut levels: Vec<(bool, Price, u64, u32)> = Vec::new();
            for at in self.queue(key, side) {
                let order = self.orders[at];
                match levels.last_mut() {
                    Some(level) if (level.0, level.1) == (order.is_market(), order.limit) => {
                        level.2 += order.open;
                        level.3 += 1;
                    }
                    Some(_) | None => {
                        levels.push((order.is_market(), order.limit, order.open, 1));
                    }
                }
            }
            listing.count(levels.len());
            for (_, price, quantity, orders) in levels {
                listing.bytes(&price.micros().to_le_bytes());
                listing.bytes(&quantity.to_le_bytes());
                listing.bytes(&orders.to_le_bytes());
            }
        }
        listing.0
    }
}

/// Those before take all they want.
fn by_time(wanted: &[u64], mut left: u64) -> Vec<u64> {
    wanted
        .iter()
        .map(|&wanted| {
            let given = wanted.min(left);
            left -= given;
            given
        })
        .collect()
}

/// In proportion, in whole lots rounded down; the lots left over go to the largest remainders, and
/// of equals to the one before.
pub(super) fn in_proportion(wanted: &[u64], left: u64, lot: u64) -> Vec<u64> {
    let all: u64 = wanted.iter().sum();
    if all <= left {
        return wanted.to_vec();
    }
    let product = |wanted: u64| u128::from(wanted / lot) * u128::from(left / lot);
    let all = u128::from(all / lot);
    let mut lots: Vec<u128> = wanted.iter().map(|&wanted| product(wanted) / all).collect();
    let mut by_remainder: Vec<usize> = (0..wanted.len()).collect();
    by_remainder.sort_by_key(|&at| std::cmp::Reverse(product(wanted[at]) % all));
    let over = u128::from(left / lot) - lots.iter().sum::<u128>();
    for &at in by_remainder.iter().take(usize::try_from(over).expect("fewer than orders")) {
        lots[at] += 1;
    }
    lots.into_iter().map(|lots| u64::try_from(lots).expect("at most what is left") * lot).collect()
}
