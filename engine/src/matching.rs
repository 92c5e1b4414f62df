//! Stop 8 of an order's life: matching. An order is accepted, enters the book, sweeps the other
//! side, and rests or goes.
//!
//! Price, then time; a trade is at the price of the order that was resting. What is rare, an
//! iceberg or an order with a minimum in the way, is in `special`.

use types::{
    CancelReason, ClientOrderId, Event, NewOrder, OrderAccepted, OrderKind, OrderRejected,
    OrderRestated, OrderValidated, Origin, Phase, Price, RejectReason, Request, SelfTradeAction,
    Side, SignedNewOrder, TimeInForce, Timestamp,
};

use crate::{
    admission::{Admitted, Entry, Refusal},
    desk::{Desk, Match, Party, energy},
    engine::Engine,
    index::NONE,
    ladder::queue,
    limits::AGGREGATE_TRADES_MAX,
    orders::{Order, Traits},
    registry::Market,
    slots::Slot,
};

/// An order that sweeps the other side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taker {
    pub(crate) party: Party,
    /// Its self-trade group; [`NONE`], which no order has, if nothing keeps it from trading.
    pub(crate) group: u32,
    /// Number of the last trade that an aggregate order may make on entry; 0 for any other order.
    pub(crate) last_trade: u64,
}

/// Which ranks of the other side a sweep may trade at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    /// Better ones are outside the dynamic band.
    pub(crate) first: u32,
    /// Worse ones are outside the band or beyond the limit.
    pub(crate) last: u32,
    /// Worse ones are beyond the limit.
    limit: u32,
}

impl Reach {
    /// The same for an order that is tried again at rest: it stops at the band, and that is all.
    pub(crate) const fn at_rest(self) -> Self {
        Self { limit: 0, ..self }
    }
}

/// How a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing is left.
    Filled,
    /// Nothing on the other side is good enough.
    Exhausted,
    /// It gave way to an order of its own group.
    SelfTrade,
    /// The next trade would be outside the dynamic band.
    Interrupted,
    /// An aggregate order has made as many trades as it may.
    TooManyTrades,
}

impl Engine {
    /// A new order: a refusal, or accepted and then whatever follows from that.
    #[inline(never)]
    pub(crate) fn new_order(&mut self, time: Timestamp, entry: Entry<'_>, events: &mut Vec<Event>) {
        let Entry { origin, order, .. } = entry;
        match self.admit_new(time, entry) {
            Ok(admitted) => self.accept((origin, order), &admitted, events),
            Err(Refusal::Restate(number)) => {
                events.push(self.restated(origin, order.client_order, number));
            }
            Err(Refusal::Reject(reason)) => {
                events.push(rejected(origin, order.client_order, Request::New, reason));
                self.break_list(origin.platform, &order.list, events);
            }
        }
    }

    /// What would be said of a new order, without doing it. No list is broken by its refusal.
    /// Rule T-25.
    #[cold]
    pub(crate) fn validate_order(
        &self,
        time: Timestamp,
        signed: &SignedNewOrder,
        events: &mut Vec<Event>,
    ) {
        let entry = Entry::signed(signed);
        let Entry { origin, order, .. } = entry;
        let client_order = order.client_order;
        events.push(match self.admit_new(time, entry) {
            Ok(_) => Event::OrderValidated(OrderValidated { origin, client_order }),
            Err(Refusal::Restate(number)) => self.restated(origin, client_order, number),
            Err(Refusal::Reject(reason)) => {
                rejected(origin, client_order, Request::Validate, reason)
            }
        });
    }

    /// Where an order stands, for a request that came again.
    pub(crate) fn restated(
        &self,
        origin: Origin,
        client_order: ClientOrderId,
        number: u32,
    ) -> Event {
        let order = self.orders.get(number);
        Event::OrderRestated(OrderRestated {
            origin,
            client_order,
            order: self.orders.id(number),
            filled: energy(order.filled),
            leaves: energy(order.leaves),
        })
    }

    #[inline]
    fn accept(
        &mut self,
        (origin, order): (Origin, &NewOrder),
        admitted: &Admitted,
        events: &mut Vec<Event>,
    ) {
        let number = self.orders.push(&admitted.order, admitted.extra);
        self.client_ids.insert(&self.orders, admitted.vacancy);
        let listed = self.orders.get(number).traits.has(Traits::LISTED);
        let mut desk = self.desk(admitted.order.slot);
        let taker = desk.taker(number);
        desk.reserve(&taker.party, admitted.order.group, admitted.reserve);
        events.push(Event::OrderAccepted(OrderAccepted {
            origin,
            client_order: order.client_order,
            order: self.orders.id(number),
            meter: order.meter,
            key: order.key,
            side: order.side,
            limit: order.limit,
            quantity: order.quantity,
        }));
        if order.time_in_force == TimeInForce::UntilTime {
            self.expiries.push(order.conditions.expires, number);
        }
        if listed {
            self.list(number, &order.list, events);
        } else {
            self.enter(admitted.order.slot, taker, order.client_order, events);
        }
    }

    /// Matches an order where its slot's phase allows it, then rests or cancels what is left.
    /// `request` is the number of the request that brought it here.
    #[inline(never)]
    pub(crate) fn enter(
        &mut self,
        slot: u32,
        mut taker: Taker,
        request: ClientOrderId,
        events: &mut Vec<Event>,
    ) {
        let mut desk = self.desk(slot);
        let number = taker.party.number;
        // Rule T-46.
        if desk.slot.phase != Phase::Continuous {
            return desk.rest(number);
        }
        let order = desk.orders.get(number);
        let whole = order.time_in_force() == TimeInForce::FillOrKill;
        let goes = order.time_in_force().is_immediate() || order.kind() == OrderKind::Market;
        let reach = desk.reach(&taker);
        if (whole || order.is_needy()) && !desk.is_enough(&taker, reach, whole) {
            return self.decline(slot, number, request, events);
        }
        let ending = if desk.book.ladder(taker.party.side.opposite()).best() > reach.limit {
            Ending::Exhausted
        } else {
            let leaves = taker.party.leaves;
            let ending = desk.sweep(&mut taker, reach, events);
            desk.write_back(&taker, leaves);
            ending
        };
        match ending {
            Ending::Filled => {}
            Ending::Exhausted if !goes => {
                desk.rest(number);
                if desk.book.may_wake(taker.party.side) {
                    self.wake(slot, taker.party.side, taker.party.level, events);
                }
            }
            Ending::Exhausted | Ending::SelfTrade | Ending::Interrupted | Ending::TooManyTrades => {
                self.leave(slot, number, (ending, request), events);
            }
        }
    }

    /// What becomes of an order that has swept and cannot simply rest.
    fn leave(
        &mut self,
        slot: u32,
        number: u32,
        (ending, request): (Ending, ClientOrderId),
        events: &mut Vec<Event>,
    ) {
        let order = self.orders.get(number);
        let reason = match ending {
            Ending::SelfTrade => Some(CancelReason::SelfTrade),
            Ending::TooManyTrades => Some(CancelReason::TradeLimit),
            // Rule T-66.
            _ if order.kind() == OrderKind::Market => Some(CancelReason::NoLiquidity),
            // Rule T-65.
            _ if order.time_in_force().is_immediate() => Some(CancelReason::ImmediateOrCancel),
            Ending::Filled | Ending::Exhausted | Ending::Interrupted => None,
        };
        if let Some(reason) = reason {
            self.cancel(number, Some(request), reason, events);
        } else {
            self.desk(slot).rest(number);
        }
        if ending == Ending::Interrupted {
            self.interrupt(slot, events);
        }
    }

    /// An order that cannot fill as much as it needs does not trade.
    /// Rule T-67.
    #[cold]
    fn decline(&mut self, slot: u32, number: u32, request: ClientOrderId, events: &mut Vec<Event>) {
        let order = *self.orders.get(number);
        if order.time_in_force().is_immediate() || order.kind() == OrderKind::Market {
            self.cancel(number, Some(request), CancelReason::FillOrKill, events);
        } else {
            self.desk(slot).rest(number);
            self.wake(slot, order.side(), order.level, events);
        }
    }

    /// A trade would be outside the dynamic band: the slot turns to a call.
    /// Rule T-61.
    #[cold]
    fn interrupt(&mut self, index: u32, events: &mut Vec<Event>) {
        self.call_again(index, events);
    }
}

impl Desk<'_> {
    /// An open order as one that sweeps.
    #[inline]
    pub(crate) fn taker(&self, number: u32) -> Taker {
        let order = self.orders.get(number);
        // Rule T-86.
        let trades_with_all =
            order.group == 0 || self.market.controls.self_trade == SelfTradeAction::Allow;
        let group = if trades_with_all { NONE } else { order.group };
        let is_aggregate = order.traits.has(Traits::AGGREGATE);
        let last_trade = if is_aggregate { *self.trades + AGGREGATE_TRADES_MAX } else { 0 };
        Taker { party: Party::of(number, order), group, last_trade }
    }

    /// Which ranks of the other side an order may trade at.
    #[inline]
    pub(crate) fn reach(&self, taker: &Taker) -> Reach {
        let other = taker.party.side.opposite();
        let limit = self.book.reach(other, taker.party.level);
        let band = self.market.controls.dynamic_band.micros();
        match self.slot.last_price {
            Some(last) if band > 0 => self.reach_in_band(other, limit, last, band),
            _ => Reach { first: 0, last: limit, limit },
        }
    }

    #[cold]
    fn reach_in_band(&self, other: Side, limit: u32, last: Price, band: i64) -> Reach {
        let lowest = self.market.level_at_or_above(last.micros().saturating_sub(band));
        let highest = self.market.level_at_or_below(last.micros().saturating_add(band));
        let (first, worst) = match other {
            Side::Sell => (lowest, highest),
            Side::Buy => (highest, lowest),
        };
        let (first, worst) = (self.book.rank(other, first), self.book.rank(other, worst));
        Reach { first, last: limit.min(worst), limit }
    }

    /// Trades against the other side, best price first and oldest first, as far as the reach goes.
    /// Rule T-63.
    ///
    /// The fills of makers are booked one by one, those of the taker by [`Desk::write_back`].
    #[inline]
    pub(crate) fn sweep(
        &mut self,
        taker: &mut Taker,
        reach: Reach,
        events: &mut Vec<Event>,
    ) -> Ending {
        let other = taker.party.side.opposite();
        let mut from = 0;
        loop {
            let ladder = self.book.ladder(other);
            let rank = if from == 0 { ladder.best() } else { ladder.best_from(from) };
            if rank > reach.last || rank < reach.first {
                // An empty side has rank NONE, above every limit.
                if rank > reach.limit {
                    return Ending::Exhausted;
                }
                return self.stop_at_band(taker, reach.limit, events);
            }
            let ending = if taker.last_trade != 0 {
                from = rank + 1; // Likewise.
                self.sweep_with_members(taker, rank, events)
            } else if ladder.level(rank).special == 0 {
                self.sweep_level(taker, rank, events)
            } else {
                from = rank + 1; // What is left there has been passed over.
                self.sweep_special(taker, rank, events)
            };
            if let Some(ending) = ending {
                return ending;
            }
        }
    }

    /// The next trade would be outside the band. Orders of the taker's own group within its limit
    /// are met all the same; whether anything would trade after that decides.
    #[cold]
    fn stop_at_band(&mut self, taker: &Taker, limit: u32, events: &mut Vec<Event>) -> Ending {
        let ladder = self.book.ladder(taker.party.side.opposite());
        let mut own = Vec::new();
        for rank in ladder.ranks().take_while(|&rank| rank <= limit) {
            let line = queue(self.orders, ladder.level(rank));
            own.extend(line.filter(|(_, o)| o.group == taker.group).map(|(number, _)| number));
        }
        for number in own {
            if let Some(ending) = self.meet_own(taker, number, events) {
                return ending;
            }
        }
        let best = self.book.ladder(taker.party.side.opposite()).best();
        if self.would_trade(taker, best, limit) { Ending::Interrupted } else { Ending::Exhausted }
    }

    /// Trades against one level that holds ordinary orders only, until it or the taker is empty.
    /// Rule T-64.
    #[inline]
    fn sweep_level(
        &mut self,
        taker: &mut Taker,
        rank: u32,
        events: &mut Vec<Event>,
    ) -> Option<Ending> {
        let other = taker.party.side.opposite();
        let price = self.market.price_of(self.book.level(other, rank));
        while self.book.ladder(other).level(rank).orders > 0 {
            let number = self.book.ladder(other).level(rank).head;
            let maker = *self.orders.get(number);
            if maker.leaves == 0 {
                self.book.ladder_mut(other).level_mut(rank).head = maker.next;
                continue;
            }
            if maker.group == taker.group {
                if let Some(ending) = self.meet_own(taker, number, events) {
                    return Some(ending);
                }
                continue;
            }
            let quantity = maker.leaves.min(taker.party.leaves);
            self.trade(
                taker,
                (number, &maker),
                Match { price, quantity, maker: Some(other) },
                events,
            );
            let ladder = self.book.ladder_mut(other);
            ladder.level_mut(rank).quantity -= u64::from(quantity);
            if quantity == maker.leaves {
                ladder.pop(rank, maker.next);
                self.filled(number);
            }
            if taker.party.leaves == 0 {
                return Some(Ending::Filled);
            }
        }
        None
    }

    /// Books a trade of the taker with a maker, and the fill of the maker.
    #[inline(always)]
    pub(crate) fn trade(
        &mut self,
        taker: &mut Taker,
        (number, maker): (u32, &Order),
        made: Match,
        events: &mut Vec<Event>,
    ) {
        self.record(made, [&taker.party, &Party::of(number, maker)], events);
        self.fill(number, made.quantity);
        self.slot.last_price = Some(made.price);
        taker.party.leaves -= made.quantity;
    }

    /// The taker meets an order of its own group.
    #[cold]
    pub(crate) fn meet_own(
        &mut self,
        taker: &Taker,
        number: u32,
        events: &mut Vec<Event>,
    ) -> Option<Ending> {
        let smaller = self.orders.get(number).leaves <= taker.party.leaves;
        let (maker_goes, taker_goes) = match self.market.controls.self_trade {
            // With `Allow` a taker has no group.
            // Rule T-82.
            SelfTradeAction::Allow | SelfTradeAction::CancelTaker => (false, true),
            // Rule T-83.
            SelfTradeAction::CancelMaker => (true, false),
            // Rule T-84.
            SelfTradeAction::CancelBoth => (true, true),
            // Rule T-85.
            SelfTradeAction::Decrement => (smaller, !smaller),
        };
        if maker_goes {
            self.cancel(number, None, CancelReason::SelfTrade, events);
        }
        taker_goes.then_some(Ending::SelfTrade)
    }

    /// Books what the taker filled, if anything. It is in no queue.
    #[inline]
    pub(crate) fn write_back(&mut self, taker: &Taker, leaves_before: u32) {
        let number = taker.party.number;
        let filled = leaves_before - taker.party.leaves;
        if filled == 0 {
            return;
        }
        self.fill(number, filled);
        if taker.party.leaves == 0 {
            self.filled(number);
        }
    }
}

impl Market {
    /// The lowest level with at least this price, or the highest of all.
    fn level_at_or_above(&self, micros: i64) -> u32 {
        self.nearest_level(micros, true)
    }

    /// The highest level with at most this price, or the lowest of all.
    fn level_at_or_below(&self, micros: i64) -> u32 {
        self.nearest_level(micros, false)
    }

    fn nearest_level(&self, micros: i64, up: bool) -> u32 {
        let tick = self.definition.tick.micros();
        let above = micros.saturating_sub(self.definition.price_min.micros()).max(0);
        let level = above.div_euclid(tick) + i64::from(up && above.rem_euclid(tick) != 0);
        u32::try_from(level).unwrap_or(u32::MAX).min(self.levels - 1)
    }
}

impl Slot {
    /// Whether orders match on arrival.
    pub(crate) fn is_continuous(&self) -> bool {
        self.phase == Phase::Continuous
    }
}

pub(crate) const fn rejected(
    origin: Origin,
    client_order: ClientOrderId,
    request: Request,
    reason: RejectReason,
) -> Event {
    Event::OrderRejected(OrderRejected { origin, client_order, request, reason })
}
