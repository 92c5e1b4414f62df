//! From a book to the curve of its auction: aggregate quantities of levels, no order touched.

use types::{Energy, Price, Side};

use crate::{
    auction::{Clearing, Curve, CurvePoint, clear},
    book::Book,
    ladder::Ranks,
    orders::OrderLog,
    registry::Market,
};

/// Prices the book of a slot as its auction would, without touching an order.
///
/// Only the levels in question go into the curve. As many better levels as trade for certain are
/// walked from both ends until they no longer cross: that gives the largest volume V and the
/// marginal limit of each side. Supply reaches V from the marginal sell on and demand down to the
/// marginal buy, so exactly the limits between the two have volume V, and everything better than
/// them behaves as a market order.
pub(crate) fn clear_book(
    book: &Book,
    orders: &OrderLog,
    market: &Market,
    reference: Option<Price>,
) -> Option<Clearing> {
    let mut buy = Walk::new(book, orders, Side::Buy);
    let mut sell = Walk::new(book, orders, Side::Sell);
    while let (Some(bid), Some(ask)) = (buy.upcoming(), sell.upcoming()) {
        if bid < ask {
            break;
        }
        buy.advance();
        sell.advance();
        let quantity = buy.left.min(sell.left);
        buy.left -= quantity;
        sell.left -= quantity;
    }
    let (low, high) = (sell.current?.0, buy.current?.0);
    let (market_buy, market_sell) = (buy.at_any_price(), sell.at_any_price());
    let sells = sell.rest(|level| level <= high);
    let buys = buy.rest(|level| level >= low);
    let points = merge(&buys, &sells, market);
    let curve = Curve {
        points: &points,
        market_buy: Energy::from_wh(market_buy),
        market_sell: Energy::from_wh(market_sell),
        tick: market.definition.tick,
        reference,
    };
    clear(market.definition.price_rule, &curve)
}

/// A level and its quantity in the auction. Market orders stand above all levels as buys, below
/// all as sells.
type Step = (i64, u64);

/// Walks the levels of one side from the best, by quantity.
struct Walk<'a> {
    book: &'a Book,
    orders: &'a OrderLog,
    side: Side,
    ranks: Ranks<'a>,
    /// The level after the current one.
    next: Option<Step>,
    /// The current level, and what of it is left.
    current: Option<Step>,
    left: u64,
    /// Quantity of all better levels.
    better: u64,
}

impl<'a> Walk<'a> {
    fn new(book: &'a Book, orders: &'a OrderLog, side: Side) -> Self {
        let ranks = book.ladder(side).ranks();
        let mut walk =
            Self { book, orders, side, ranks, next: None, current: None, left: 0, better: 0 };
        walk.next = walk.step();
        walk
    }

    /// The next level that takes part.
    fn step(&mut self) -> Option<Step> {
        loop {
            let rank = self.ranks.next()?;
            let quantity = self.book.auction_quantity(self.orders, self.side, rank);
            if quantity > 0 {
                return Some((self.level(rank), quantity));
            }
        }
    }

    fn level(&self, rank: u32) -> i64 {
        match (rank, self.side) {
            (0, Side::Buy) => i64::MAX,
            (0, Side::Sell) => -1,
            (rank, side) => i64::from(self.book.level(side, rank)),
        }
    }

    /// The level that [`Walk::advance`] would leave as the current one.
    fn upcoming(&self) -> Option<i64> {
        let step = if self.left > 0 { self.current } else { self.next };
        step.map(|(level, _)| level)
    }

    /// Moves on to the next level once the current one is used up.
    fn advance(&mut self) {
        if let (0, Some((level, quantity))) = (self.left, self.next) {
            self.better += self.current.map_or(0, |(_, quantity)| quantity);
            self.current = Some((level, quantity));
            self.left = quantity;
            self.next = self.step();
        }
    }

    /// Quantity that trades at any price in question.
    fn at_any_price(&self) -> u64 {
        let market = self.current.filter(|&(level, _)| !is_limit(level));
        self.better + market.map_or(0, |(_, quantity)| quantity)
    }

    /// The current level and those after it while `reached` holds, each with its whole quantity.
    fn rest(mut self, reached: impl Fn(i64) -> bool) -> Vec<(u32, u64)> {
        let mut levels = Vec::new();
        let mut step = self.current.filter(|&(level, _)| is_limit(level));
        if step.is_none() {
            step = self.next;
            self.next = None;
            if step.is_some() {
                self.next = self.step();
            }
        }
        while let Some((level, quantity)) = step
            && reached(level)
        {
            levels.extend(u32::try_from(level).map(|level| (level, quantity)));
            step = self.next;
            self.next = self.step();
        }
        levels
    }
}

const fn is_limit(level: i64) -> bool {
    level != i64::MAX && level != -1
}

/// Falling buys and rising sells as one rising list of points.
fn merge(buys: &[(u32, u64)], sells: &[(u32, u64)], market: &Market) -> Vec<CurvePoint> {
    let mut buys = buys.iter().rev().copied().peekable();
    let mut sells = sells.iter().copied().peekable();
    let mut points = Vec::new();
    while let Some(level) = match (buys.peek(), sells.peek()) {
        (Some(&(buy, _)), Some(&(sell, _))) => Some(buy.min(sell)),
        (Some(&(level, _)), None) | (None, Some(&(level, _))) => Some(level),
        (None, None) => None,
    } {
        let buy = buys.next_if(|&(at, _)| at == level).map_or(0, |(_, quantity)| quantity);
        let sell = sells.next_if(|&(at, _)| at == level).map_or(0, |(_, quantity)| quantity);
        points.push(CurvePoint {
            price: market.price_of(level),
            buy: Energy::from_wh(buy),
            sell: Energy::from_wh(sell),
        });
    }
    points
}
