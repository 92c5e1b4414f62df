//! The book of one slot: two ladders, and how much each meter has used of its capacity.

use types::{Energy, MeterId, Price, Side};

use crate::{
    index::{NONE, at},
    ladder::Ladder,
    registry::Market,
};

/// A price level as market data shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthLevel {
    /// Its price.
    pub price: Price,
    /// Open quantity of all its orders.
    pub quantity: Energy,
    /// How many orders rest there.
    pub orders: u32,
}

/// The levels of a book that hold orders, best first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Depth {
    /// Buys: highest price first.
    pub buy: Vec<DepthLevel>,
    /// Sells: lowest price first.
    pub sell: Vec<DepthLevel>,
}

/// Open orders and used capacity of one slot.
#[derive(Debug, Default)]
pub(crate) struct Book {
    buy: Ladder,
    sell: Ladder,
    /// Highest level of the market's band.
    top: u32,
    /// By meter: open and traded quantity in Wh, of buys and of sells. Nothing is traded while a
    /// slot is in its call, so then it is the open quantity alone.
    used: Vec<[u64; 2]>,
}

impl Book {
    /// Makes an empty book ready for a slot of a market with `levels` levels.
    pub(crate) fn reset(&mut self, levels: u32) {
        self.top = levels.saturating_sub(1);
        self.buy.reset(levels);
        self.sell.reset(levels);
        self.used.fill([0, 0]);
    }

    #[inline]
    pub(crate) const fn ladder(&self, side: Side) -> &Ladder {
        match side {
            Side::Buy => &self.buy,
            Side::Sell => &self.sell,
        }
    }

    #[inline]
    pub(crate) const fn ladder_mut(&mut self, side: Side) -> &mut Ladder {
        match side {
            Side::Buy => &mut self.buy,
            Side::Sell => &mut self.sell,
        }
    }

    /// Rank on `side` of a price level, and level of a rank: 0 is the best of either side. An
    /// order of the other side at this level reaches exactly the ranks up to this one.
    #[inline]
    pub(crate) const fn rank(&self, side: Side, level: u32) -> u32 {
        match side {
            Side::Buy => self.top - level,
            Side::Sell => level,
        }
    }

    /// Whether the best buy is at or above the best sell.
    pub(crate) const fn is_crossed(&self) -> bool {
        let buy = self.buy.best();
        let sell = self.sell.best();
        buy != NONE && sell != NONE && self.rank(Side::Buy, buy) >= sell
    }

    /// What the meter has open and traded on `side`, in Wh.
    #[inline]
    pub(crate) fn used(&self, meter: MeterId, side: Side) -> u64 {
        self.used.get(at(meter.get())).map_or(0, |used| match side {
            Side::Buy => used[0],
            Side::Sell => used[1],
        })
    }

    /// The counter behind [`Book::used`]. Grows the table, in big steps, for meters that were
    /// registered after the book was last used.
    #[inline]
    pub(crate) fn used_mut(&mut self, meter: MeterId, side: Side) -> &mut u64 {
        if self.used.len() <= at(meter.get()) {
            self.grow_used(meter);
        }
        let used = self.used_cell(meter);
        match side {
            Side::Buy => &mut used[0],
            Side::Sell => &mut used[1],
        }
    }

    /// The levels that hold orders.
    pub(crate) fn depth(&self, market: &Market) -> Depth {
        Depth { buy: self.side(Side::Buy, market), sell: self.side(Side::Sell, market) }
    }

    fn side(&self, side: Side, market: &Market) -> Vec<DepthLevel> {
        let ladder = self.ladder(side);
        let levels = ladder.ranks().map(|rank| {
            let level = ladder.level(rank);
            DepthLevel {
                price: market.price_of(self.rank(side, rank)),
                quantity: Energy::from_wh(level.quantity),
                orders: level.orders,
            }
        });
        levels.collect()
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "hot; grown by the only caller")]
    fn used_cell(&mut self, meter: MeterId) -> &mut [u64; 2] {
        &mut self.used[at(meter.get())]
    }

    #[cold]
    fn grow_used(&mut self, meter: MeterId) {
        self.used.resize((at(meter.get()) + 1).next_power_of_two(), [0, 0]);
    }
}
