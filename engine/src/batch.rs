//! A whole call at once: raw orders in, fills out, no book in between.
//!
//! Two passes over the orders and one over the levels: quantities are added up by level, the price
//! rule decides on the sums, and every order is filled by comparing its level with the last one
//! that trades. For auctions over orders that stand in no book: rehearsals, and calls of millions.

use types::{Energy, Price, PriceRule, Side};

use crate::{
    auction::{Clearing, Curve, CurvePoint, clear},
    index::at,
};

/// An order of a batch, in 8 bytes. The orders of a batch stand in the order of their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchOrder {
    /// The side in the highest bit, the level below it.
    side_and_level: u32,
    /// In Wh.
    quantity: u32,
}

/// Sell orders have the highest bit set.
const SELL: u32 = 1 << 31;

impl BatchOrder {
    /// An order of `quantity` Wh limited to the price of a level, counted from the lowest price.
    ///
    /// # Panics
    /// When the level is 2^31 or above.
    #[must_use]
    pub const fn new(side: Side, level: u32, quantity: u32) -> Self {
        assert!(level < SELL, "a level has 31 bits");
        let bit = match side {
            Side::Buy => 0,
            Side::Sell => SELL,
        };
        Self { side_and_level: bit | level, quantity }
    }

    const fn level(self) -> u32 {
        self.side_and_level & !SELL
    }

    const fn is_sell(self) -> bool {
        self.side_and_level & SELL != 0
    }
}

/// The prices of a batch: `lowest` + level × `tick`.
#[derive(Debug, Clone, Copy)]
pub struct Prices {
    /// Price of level 0.
    pub lowest: Price,
    /// From level to level.
    pub tick: Price,
    /// How many levels there are.
    pub levels: u32,
}

impl Prices {
    /// The price of a level; a band that is a market's cannot overflow.
    const fn of(&self, level: u32) -> Price {
        #[expect(clippy::as_conversions, reason = "u32 to i64 loses nothing")]
        Price::from_micros(self.lowest.micros() + self.tick.micros() * level as i64)
    }
}

/// Memory of calls, used again from one to the next.
#[derive(Debug, Default)]
pub struct Batch {
    /// Quantity in Wh by level: buys and sells.
    sums: Vec<[u64; 2]>,
    points: Vec<CurvePoint>,
    fills: Vec<u32>,
}

/// Where one side stops trading.
#[derive(Debug, Clone, Copy)]
struct Margin {
    /// The last level that trades.
    level: u32,
    /// What is left for it, in Wh.
    left: u64,
}

impl Batch {
    /// Finds the price of a call and what each order gets, oldest first at the last price that
    /// trades. Without a price nobody gets anything.
    ///
    /// # Panics
    /// When an order's level is not one of `prices`, or all quantities add up to 2^63 Wh or more.
    pub fn call(
        &mut self,
        orders: &[BatchOrder],
        prices: &Prices,
        rule: PriceRule,
        reference: Option<Price>,
    ) -> Option<Clearing> {
        self.add_up(orders, prices.levels);
        let clearing = self.price(prices, rule, reference);
        self.fills.clear();
        self.fills.resize(orders.len(), 0);
        if let Some(clearing) = clearing {
            self.fill(orders, clearing.volume.wh());
        }
        clearing
    }

    /// What each order of the last call got, in Wh.
    #[must_use]
    pub fn fills(&self) -> &[u32] {
        &self.fills
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "hot; a level outside the band is the caller's bug"
    )]
    fn add_up(&mut self, orders: &[BatchOrder], levels: u32) {
        self.sums.clear();
        self.sums.resize(at(levels), [0, 0]);
        let sums = self.sums.as_mut_slice();
        for order in orders {
            let sum = &mut sums[at(order.level())];
            sum[usize::from(order.is_sell())] += u64::from(order.quantity);
        }
    }

    fn price(
        &mut self,
        prices: &Prices,
        rule: PriceRule,
        reference: Option<Price>,
    ) -> Option<Clearing> {
        self.points.clear();
        let levels = (0..).zip(&self.sums).filter(|(_, sums)| **sums != [0, 0]);
        self.points.extend(levels.map(|(level, &[buy, sell])| CurvePoint {
            price: prices.of(level),
            buy: Energy::from_wh(buy),
            sell: Energy::from_wh(sell),
        }));
        let curve = Curve {
            points: &self.points,
            market_buy: Energy::ZERO,
            market_sell: Energy::ZERO,
            tick: prices.tick,
            reference,
        };
        clear(rule, &curve)
    }

    /// Where each side stops when `volume` Wh trade: buys from the highest level, sells from the
    /// lowest.
    fn margins(&self, volume: u64) -> [Margin; 2] {
        let stop = |levels: &mut dyn Iterator<Item = (u32, u64)>| {
            let mut left = volume;
            for (level, quantity) in levels {
                if quantity >= left {
                    return Margin { level, left };
                }
                left -= quantity;
            }
            Margin { level: 0, left: 0 }
        };
        let mut sells = (0..).zip(&self.sums).map(|(level, sums)| (level, sums[1]));
        let sell = stop(&mut sells);
        let mut level = crate::index::next_index(self.sums.len());
        let mut buys = self.sums.iter().rev().map(|sums| {
            level -= 1;
            (level, sums[0])
        });
        [stop(&mut buys), sell]
    }

    fn fill(&mut self, orders: &[BatchOrder], volume: u64) {
        let [mut buy, mut sell] = self.margins(volume);
        for (order, fill) in orders.iter().zip(&mut self.fills) {
            let (margin, better) = if order.is_sell() {
                let better = order.level() < sell.level;
                (&mut sell, better)
            } else {
                let better = order.level() > buy.level;
                (&mut buy, better)
            };
            // At the margin what is left of it; worse than that nothing.
            let at_margin = if order.level() == margin.level { margin.left } else { 0 };
            let part = u64::from(order.quantity).min(at_margin);
            margin.left -= part;
            let part = crate::index::low(part);
            *fill = if better { order.quantity } else { part };
        }
    }
}
