//! From a book to the curve of its auction: aggregate quantities of levels, no order touched.

use types::{Energy, Price, Side};

use crate::{
    auction::{Clearing, Curve, CurvePoint, clear},
    book::Book,
    index::{NONE, at, next_index},
    ladder::Level,
    orders::OrderLog,
    registry::Market,
};

/// Prices the book of a slot as its auction would, without touching an order.
///
/// Only the levels in question go into the curve. One pass over the levels where the sides overlap
/// finds the largest volume V, a second where supply reaches it and demand still does: exactly the
/// limits between those two have volume V, and everything better than them behaves as a market
/// order. Both passes run straight through, so that nothing in the book decides which way they go.
pub(crate) fn clear_book(
    book: &Book,
    orders: &OrderLog,
    market: &Market,
    reference: Option<Price>,
) -> Option<Clearing> {
    let market_buy = book.auction_quantity(orders, Side::Buy, 0);
    let market_sell = book.auction_quantity(orders, Side::Sell, 0);
    let overlap = Overlap::of(book, market, [market_buy, market_sell])?;
    let needy = book.ladder(Side::Buy).needy + book.ladder(Side::Sell).needy;
    let question = if needy == 0 {
        overlap.question(|_, _, level| level.quantity)
    } else {
        overlap.question(|side, level_index, level| {
            if level.special == 0 {
                level.quantity
            } else {
                book.auction_quantity(orders, side, book.rank(side, level_index))
            }
        })
    };
    let points: Vec<CurvePoint> = question
        .levels
        .into_iter()
        .map(|(level, [buy, sell])| CurvePoint {
            price: market.price_of(level),
            buy: Energy::from_wh(buy),
            sell: Energy::from_wh(sell),
        })
        .collect();
    let curve = Curve {
        points: &points,
        market_buy: Energy::from_wh(question.better_buys),
        market_sell: Energy::from_wh(question.better_sells),
        tick: market.definition.tick,
        reference,
    };
    clear(market.definition.price_rule, &curve)
}

/// The levels at which a buy could meet a sell, from the lowest.
struct Overlap<'a> {
    lowest: u32,
    sells: &'a [Level],
    /// From the highest level down, as ranks go.
    buys: &'a [Level],
    market_buy: u64,
    market_sell: u64,
}

/// What the price rule has to decide on.
struct Question {
    /// Levels that hold limits: buys and sells.
    levels: Vec<(u32, [u64; 2])>,
    /// Everything that trades at any of these prices.
    better_buys: u64,
    better_sells: u64,
}

impl<'a> Overlap<'a> {
    /// From the best sell up to the best buy; with market orders, which reach every level, from
    /// the bottom or up to the top. `None` when no buy meets a sell.
    fn of(book: &'a Book, market: &Market, [market_buy, market_sell]: [u64; 2]) -> Option<Self> {
        let best = |side| Some(book.ladder(side).best_from(1)).filter(|&rank| rank != NONE);
        let top = market.levels - 1;
        let (best_buy, best_sell) = (best(Side::Buy), best(Side::Sell));
        if (best_buy.is_none() && market_buy == 0) || (best_sell.is_none() && market_sell == 0) {
            return None;
        }
        let lowest = match best_sell {
            Some(rank) if market_sell == 0 => book.level(Side::Sell, rank),
            Some(_) | None => 0,
        };
        let highest = match best_buy {
            Some(rank) if market_buy == 0 => book.level(Side::Buy, rank),
            Some(_) | None => top,
        };
        if lowest > highest {
            return None;
        }
        let sells = book
            .ladder(Side::Sell)
            .slice(book.rank(Side::Sell, lowest), book.rank(Side::Sell, highest));
        let buys = book
            .ladder(Side::Buy)
            .slice(book.rank(Side::Buy, highest), book.rank(Side::Buy, lowest));
        Some(Self { lowest, sells, buys, market_buy, market_sell })
    }

    /// Runs the two passes. `quantity` is what a level brings into the auction.
    #[inline]
    fn question(&self, quantity: impl Fn(Side, u32, &Level) -> u64) -> Question {
        let sides = self.buys.iter().rev().zip(self.sells);
        let mut sums: Vec<[u64; 2]> = (self.lowest..)
            .zip(sides)
            .map(|(level, (buy, sell))| {
                [quantity(Side::Buy, level, buy), quantity(Side::Sell, level, sell)]
            })
            .collect();
        let [market_buy, market_sell] = self.beyond_limits(&mut sums);
        let total = market_buy + sums.iter().map(|[buy, _]| buy).sum::<u64>();
        let (mut demand, mut supply, mut volume) = (total, market_sell, 0);
        // All sums are below 2^63 (see `Limits`), so nothing wraps; unchecked, the passes need no
        // branches.
        for &[buy, sell] in &sums {
            supply = supply.wrapping_add(sell);
            volume = demand.min(supply).max(volume);
            demand = demand.wrapping_sub(buy);
        }
        // How many levels have less supply than the volume, and how many enough demand.
        let (mut below, mut enough) = (0_u32, 0_u32);
        let (mut better_buys, mut better_sells) = (0, market_sell);
        (demand, supply) = (total, market_sell);
        for &[buy, sell] in &sums {
            supply = supply.wrapping_add(sell);
            let (is_below, is_enough) = (supply < volume, demand >= volume);
            below = below.wrapping_add(u32::from(is_below));
            enough = enough.wrapping_add(u32::from(is_enough));
            better_sells = if is_below { supply } else { better_sells };
            better_buys = if is_enough { better_buys } else { demand.max(better_buys) };
            demand = demand.wrapping_sub(buy);
        }
        // Beyond the highest level there are only market orders.
        if enough == next_index(self.sells.len()) {
            better_buys = market_buy;
        }
        let in_question = (self.lowest + below..).zip(sums.iter().skip(at(below)));
        let levels = in_question
            .take(at(enough.saturating_sub(below)))
            .filter(|(_, sums)| **sums != [0, 0])
            .map(|(level, sums)| (level, *sums))
            .collect();
        Question { levels, better_buys, better_sells }
    }

    /// Puts market orders to the limits at the edges of the band; without any limit they stay apart, and are what is
    /// returned. Where there are some, the levels reach to that edge (see [`Overlap::of`]).
    /// Rule T-57.
    fn beyond_limits(&self, sums: &mut [[u64; 2]]) -> [u64; 2] {
        let market = [self.market_buy, self.market_sell];
        if market == [0, 0] || sums.iter().all(|sums| *sums == [0, 0]) {
            return market;
        }
        if let Some([buy, _]) = sums.last_mut() {
            *buy += self.market_buy;
        }
        if let Some([_, sell]) = sums.first_mut() {
            *sell += self.market_sell;
        }
        [0, 0]
    }
}
