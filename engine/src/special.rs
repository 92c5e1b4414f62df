//! Orders that are not always in the way: icebergs, and those with a minimum or all-or-none.
//!
//! An order's need is the least it accepts. On entry it counts first what it would fill; at rest a
//! sweep passes over it where one trade would fill less; and it is tried again when something has
//! come to rest that it could trade with.

use std::collections::VecDeque;

use types::{Event, SelfTradeAction, Side};

use crate::{
    desk::{Desk, Match},
    engine::Engine,
    ladder::queue,
    limits::LIST_TRADES_MAX,
    matching::{Ending, Reach, Taker},
    orders::{Order, Traits},
};

impl Desk<'_> {
    /// Trades against one level in which some orders are icebergs or have a need.
    pub(crate) fn sweep_special(
        &mut self,
        taker: &mut Taker,
        rank: u32,
        events: &mut Vec<Event>,
    ) -> Option<Ending> {
        let other = taker.party.side.opposite();
        let price = self.market.price_of(self.book.level(other, rank));
        let mut line: VecDeque<u32> =
            queue(self.orders, self.book.ladder(other).level(rank)).map(|(n, _)| n).collect();
        while let Some(number) = line.pop_front() {
            let maker = *self.orders.get(number);
            if maker.group == taker.group {
                if let Some(ending) = self.meet_own(taker, number, events) {
                    return Some(ending);
                }
                continue;
            }
            let quantity = self.orders.in_view(&maker).min(taker.party.leaves);
            // Rule T-69.
            if quantity < self.orders.need(&maker) {
                continue; // Passed over.
            }
            let made = Match { price, quantity, maker: Some(other) };
            if maker.traits.has(Traits::AGGREGATE) {
                self.trade_with_members(taker, number, made, events);
            } else {
                self.trade(taker, (number, &maker), made, events);
            }
            if self.take_off((number, &maker), rank, quantity) {
                line.push_back(number);
            }
            if taker.party.leaves == 0 {
                return Some(Ending::Filled);
            }
        }
        None
    }

    /// Takes a fill off the level of a maker, given as it was before; whether it stands at the end of the
    /// queue again.
    pub(crate) fn take_off(
        &mut self,
        (number, maker): (u32, &Order),
        rank: u32,
        quantity: u32,
    ) -> bool {
        let ladder = self.book.ladder_mut(maker.side());
        ladder.level_mut(rank).quantity -= u64::from(quantity);
        if quantity == maker.leaves {
            ladder.unlink(self.orders, rank, number);
            self.filled(number);
            return false;
        }
        maker.traits.has(Traits::ICEBERG) && self.refill(number, rank, quantity)
    }

    /// Takes a fill off what an iceberg shows. When all of that is gone the next part comes into
    /// view at the end of the queue.
    /// Rule T-72.
    fn refill(&mut self, number: u32, rank: u32, quantity: u32) -> bool {
        let extra = self.orders.extra_mut(number);
        extra.shown -= quantity;
        if extra.shown > 0 {
            return false;
        }
        let side = self.orders.get(number).side();
        self.book.ladder_mut(side).unlink(self.orders, rank, number);
        self.show(number);
        self.book.ladder_mut(side).push(self.orders, rank, number);
        true
    }

    /// Whether a sweep would fill at least what the order needs; all of it if it is to be `whole`.
    /// Rule T-68.
    pub(crate) fn is_enough(&self, taker: &Taker, reach: Reach, whole: bool) -> bool {
        let order = self.orders.get(taker.party.number);
        let need = if whole { order.leaves } else { self.orders.need(order) };
        self.fills_whole_need(taker, reach, need).is_some()
    }

    /// How many trades a sweep would make that fills at least `need`, if it would.
    pub(crate) fn fills_whole_need(&self, taker: &Taker, reach: Reach, need: u32) -> Option<u64> {
        let best = self.book.ladder(taker.party.side.opposite()).best();
        let count = self.count(taker, need, best, reach.last);
        (best >= reach.first && count.filled >= need).then_some(count.trades)
    }

    /// Whether a sweep from rank `from` to rank `last` would trade at all.
    #[cold]
    pub(crate) fn would_trade(&self, taker: &Taker, from: u32, last: u32) -> bool {
        self.count(taker, 1, from, last).filled > 0
    }

    /// Counts what a sweep from rank `from` to rank `last` would fill, until that is `need`.
    fn count(&self, taker: &Taker, need: u32, from: u32, last: u32) -> Count {
        let other = taker.party.side.opposite();
        let ladder = self.book.ladder(other);
        let mut count = Count { left: taker.party.leaves, filled: 0, trades: 0, over: false };
        let mut rank = from;
        while rank <= last && !count.over && count.filled < need {
            self.count_level(taker, other, rank, &mut count);
            rank = ladder.best_from(rank + 1);
        }
        count
    }

    /// Counts what a sweep would fill at one level.
    fn count_level(&self, taker: &Taker, other: Side, rank: u32, count: &mut Count) {
        let in_turn = queue(self.orders, self.book.ladder(other).level(rank));
        let mut line: VecDeque<(u32, &Order, u32, u32)> = in_turn
            .map(|(number, order)| (number, order, self.orders.in_view(order), order.leaves))
            .collect();
        while let Some((number, maker, in_view, leaves)) = line.pop_front() {
            if count.left == 0 {
                return;
            }
            if maker.group == taker.group {
                count.over = match self.market.controls.self_trade {
                    SelfTradeAction::CancelMaker => false,
                    SelfTradeAction::Decrement => leaves > count.left,
                    SelfTradeAction::Allow
                    | SelfTradeAction::CancelTaker
                    | SelfTradeAction::CancelBoth => true,
                };
                if count.over {
                    return;
                }
                continue;
            }
            let quantity = in_view.min(count.left);
            if quantity < self.orders.need(maker) {
                continue;
            }
            count.left -= quantity;
            count.filled += quantity;
            count.trades += self.shares(number);
            let hidden = leaves - in_view;
            if quantity == in_view && hidden > 0 {
                let display = self.orders.extra(maker).display;
                line.push_back((number, maker, display.min(hidden), hidden));
            }
        }
    }
}

/// A sweep that is only imagined.
struct Count {
    left: u32,
    filled: u32,
    /// At most: of an aggregate order as many as it has members.
    trades: u64,
    /// It would give way to an order of its own group.
    over: bool,
}

impl Engine {
    /// Tries again what an order that has come to rest may make possible: orders with a need on
    /// the other side that its price reaches, then blocks.
    #[inline]
    pub(crate) fn wake(&mut self, slot: u32, side: Side, level: u32, events: &mut Vec<Event>) {
        let book = self.slots.book(self.slots.slot(slot).book);
        let other = side.opposite();
        if book.ladder(other).needy > 0 {
            let last = book.reach(other, level);
            self.try_needy(slot, other, last, events);
        }
        if !self.slots.book(self.slots.slot(slot).book).blocks.is_empty() {
            self.try_blocks(slot, Some((other, level)), events);
        }
    }

    /// Tries the orders with a need of one side, up to a rank, once each in priority order.
    /// Rule T-70.
    #[cold]
    pub(crate) fn try_needy(&mut self, slot: u32, side: Side, last: u32, events: &mut Vec<Event>) {
        let book = self.slots.book(self.slots.slot(slot).book);
        let ladder = book.ladder(side);
        let mut candidates = Vec::new();
        for rank in ladder.ranks().take_while(|&rank| rank <= last) {
            if ladder.level(rank).special > 0 {
                let line = queue(&self.orders, ladder.level(rank));
                candidates.extend(line.filter(|(_, o)| o.is_needy()).map(|(number, _)| number));
            }
        }
        for number in candidates {
            self.try_again(slot, number, events);
        }
    }

    /// Lets an order at rest sweep as if it entered now. What is left keeps its place.
    pub(crate) fn try_again(&mut self, slot: u32, number: u32, events: &mut Vec<Event>) {
        let trades_before = self.trades_before;
        let mut desk = self.desk(slot);
        let order = *desk.orders.get(number);
        if order.leaves == 0 {
            return; // A sweep before it in turn has filled or cancelled it.
        }
        let mut taker = desk.taker(number);
        let reach = desk.reach(&taker).at_rest();
        if !desk.is_enough(&taker, reach, false) {
            return;
        }
        // An aggregate order that several of these meet would make many times the trades of its members.
        if desk.book.members(order.side().opposite()) > 0 {
            let best = desk.book.ladder(order.side().opposite()).best();
            let count = desk.count(&taker, order.leaves, best, reach.last);
            if *desk.trades - trades_before + count.trades > LIST_TRADES_MAX {
                return;
            }
        }
        let ending = desk.sweep(&mut taker, reach, events);
        let filled = order.leaves - taker.party.leaves;
        let rank = desk.book.rank(order.side(), order.level);
        desk.fill(number, filled);
        desk.book.ladder_mut(order.side()).level_mut(rank).quantity -= u64::from(filled);
        if taker.party.leaves == 0 {
            desk.book.ladder_mut(order.side()).unlink(desk.orders, rank, number);
            desk.filled(number);
        } else if ending == Ending::SelfTrade {
            desk.cancel(number, None, types::CancelReason::SelfTrade, events);
        }
    }
}
