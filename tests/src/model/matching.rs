//! Continuous trading: what a sweep does, what rests, and the orders that are tried again at rest.

use types::{
    CancelReason, ClientOrderId, Energy, Event, MeterId, OrderCancelled, Phase, Price,
    SelfTradeAction, Side, SlotKey, TimeInForce, Trade, TradeId, TradeSide,
};

use super::{Model, Order, Stand, order_id, reaches};

/// One thing that a sweep does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// The incoming order trades with the resting one at this position.
    Trade(usize, u64),
    /// The resting order at this position is cancelled: it is of the same group.
    CancelMaker(usize),
    /// The incoming order is cancelled: it met one of the same group.
    CancelTaker,
}

/// The lowest and the highest price of the dynamic band, in micros.
pub(super) type Band = (i128, i128);

/// A resting order while a sweep is worked out.
#[derive(Debug, Clone, Copy)]
struct Resting {
    at: usize,
    limit: Price,
    open: u64,
    view: u64,
}

impl Order {
    /// The least that a trade with it must fill while it rests, or its sweep when it is tried.
    pub(super) fn need(&self) -> u64 {
        if self.sent.conditions.all_or_none {
            self.open
        } else {
            self.sent.conditions.minimum.wh().min(self.open)
        }
    }

    /// The least that its sweep must fill when it enters.
    fn need_on_entry(&self) -> u64 {
        if self.sent.time_in_force == TimeInForce::FillOrKill { self.open } else { self.need() }
    }
}

impl Model {
    /// An order enters its book. In a call it rests; in a continuous slot it sweeps, and what is
    /// left of it rests or is cancelled under the number of the request that brought it.
    pub(super) fn enter(&mut self, at: usize, request: ClientOrderId, events: &mut Vec<Event>) {
        let order = self.orders[at];
        let key = order.sent.key;
        let immediate = order.sent.time_in_force.is_immediate();
        if self.slot(key).phase != Phase::Continuous {
            return self.rest(at);
        }
        let band = self.band(key);
        let steps = self.sweep(at, band);
        if filled(&steps) < order.need_on_entry() {
            if immediate || order.is_market() {
                return self.cancel_order(at, request, CancelReason::FillOrKill, events);
            }
            self.rest(at);
            return self.after_rest(at, events);
        }
        self.perform(at, &steps, request, events);
        if !self.orders[at].is_open() {
            return;
        }
        if band.is_some() && !self.meet_own(at, request, events) {
            return;
        }
        let interrupted = band.is_some() && filled(&self.sweep(at, None)) > 0;
        if order.is_market() {
            self.cancel_order(at, request, CancelReason::NoLiquidity, events);
        } else if immediate {
            self.cancel_order(at, request, CancelReason::ImmediateOrCancel, events);
        } else {
            self.rest(at);
        }
        if interrupted {
            self.enter_phase(key, Phase::Call, events);
        } else if self.orders[at].rests() {
            self.after_rest(at, events);
        }
    }

    /// An order that the band has stopped meets the orders of its group within its limit all the
    /// same, best first. Whether it is still open.
    fn meet_own(&mut self, at: usize, request: ClientOrderId, events: &mut Vec<Event>) -> bool {
        let order = self.orders[at];
        let action = self.markets[&order.sent.key.market].controls.self_trade;
        if order.group.is_none() || action == SelfTradeAction::Allow {
            return true;
        }
        for other in self.queue(order.sent.key, order.sent.side.opposite()) {
            let resting = self.orders[other];
            if resting.group != order.group || !self.may_trade_at(at, resting.limit, None) {
                continue;
            }
            let (maker_goes, taker_goes) = who_is_cancelled(action, resting.open, order.open);
            if maker_goes {
                let own = resting.sent.client_order;
                self.cancel_order(other, own, CancelReason::SelfTrade, events);
            }
            if taker_goes {
                self.cancel_order(at, request, CancelReason::SelfTrade, events);
                return false;
            }
        }
        true
    }

    /// The prices at which an order that enters now may trade, if the slot bounds them.
    pub(super) fn band(&self, key: SlotKey) -> Option<Band> {
        let width = self.markets[&key.market].controls.dynamic_band.micros();
        let last = i128::from(self.slot(key).last_price?.micros());
        let width = i128::from(width);
        (width > 0).then_some((last - width, last + width))
    }

    /// What the order at this position would do to the other side if it entered now.
    pub(super) fn sweep(&self, taker: usize, band: Option<Band>) -> Vec<Step> {
        let order = &self.orders[taker];
        let action = self.markets[&order.sent.key.market].controls.self_trade;
        let mut queue: Vec<Resting> = self
            .queue(order.sent.key, order.sent.side.opposite())
            .into_iter()
            .map(|at| {
                let resting = &self.orders[at];
                Resting { at, limit: resting.limit, open: resting.open, view: resting.in_view() }
            })
            .collect();
        let mut steps = Vec::new();
        let mut open = order.open;
        let mut next = 0;
        while open > 0 && next < queue.len() {
            let resting = queue[next];
            let maker = &self.orders[resting.at];
            if !self.may_trade_at(taker, resting.limit, band) {
                break;
            }
            let same = order.group.is_some() && order.group == maker.group;
            if same && action != SelfTradeAction::Allow {
                let (maker_goes, taker_goes) = who_is_cancelled(action, resting.open, open);
                if maker_goes {
                    steps.push(Step::CancelMaker(resting.at));
                    queue.remove(next);
                }
                if taker_goes {
                    steps.push(Step::CancelTaker);
                    break;
                }
            } else if maker.need() > resting.open.min(open) {
                next += 1;
            } else {
                let quantity = resting.view.min(open);
                steps.push(Step::Trade(resting.at, quantity));
                open -= quantity;
                take(&mut queue, next, quantity, maker.sent.conditions.display.wh());
            }
        }
        steps
    }

    fn may_trade_at(&self, taker: usize, price: Price, band: Option<Band>) -> bool {
        let order = &self.orders[taker];
        let micros = i128::from(price.micros());
        let inside = band.is_none_or(|(low, high)| low <= micros && micros <= high);
        let worst = order.is_market() || reaches(order.sent.side, order.limit, price);
        inside && worst
    }

    /// Does what a sweep of the order at this position came to.
    pub(super) fn perform(
        &mut self,
        taker: usize,
        steps: &[Step],
        request: ClientOrderId,
        events: &mut Vec<Event>,
    ) {
        let mut together = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            match *step {
                Step::Trade(maker, quantity) => {
                    let price = self.orders[maker].limit;
                    together.push((maker, quantity));
                    // An aggregate order shares what it fills at a price, any other each fill.
                    let goes_on = self.pools.contains_key(&taker)
                        && steps.get(number + 1).is_some_and(|next| {
                            matches!(next, Step::Trade(next, _) if self.orders[*next].limit == price)
                        });
                    if !goes_on {
                        self.trade_with_all(taker, &together, price, events);
                        together.clear();
                    }
                }
                Step::CancelMaker(maker) => {
                    let own = self.orders[maker].sent.client_order;
                    self.cancel_order(maker, own, CancelReason::SelfTrade, events);
                }
                Step::CancelTaker => {
                    self.cancel_order(taker, request, CancelReason::SelfTrade, events);
                }
            }
        }
    }

    /// Of an iceberg in a sweep: when its view is used up, the next part comes at the tail.
    pub(super) fn take_from_view(&mut self, at: usize, quantity: u64) {
        let place = self.places + 1;
        let order = &mut self.orders[at];
        if !order.is_iceberg() {
            return;
        }
        order.view -= quantity;
        if order.view == 0 && order.open > 0 {
            order.place = place;
            self.places = place;
            self.show(at);
        }
    }

    /// As much of an order comes into view as it displays.
    pub(super) fn show(&mut self, at: usize) {
        let order = &mut self.orders[at];
        order.view = order.sent.conditions.display.wh().min(order.open);
    }

    /// To the end of the queue of its price.
    fn rest(&mut self, at: usize) {
        self.places += 1;
        let order = &mut self.orders[at];
        order.place = self.places;
        order.stand = Stand::Resting;
        self.show(at);
    }

    /// An order has come to rest in a continuous slot: others may trade with it now.
    fn after_rest(&mut self, at: usize, events: &mut Vec<Event>) {
        let order = self.orders[at];
        let (key, side) = (order.sent.key, order.sent.side);
        for other in self.queue(key, side.opposite()) {
            if reaches(side, order.limit, self.orders[other].limit) {
                self.try_at_rest(other, events);
            }
        }
        self.try_blocks(key, Some((side, order.limit)), events);
    }

    /// An order that got smaller at rest needs less: it may trade now, or others with it.
    pub(super) fn after_shrink(&mut self, at: usize, events: &mut Vec<Event>) {
        let key = self.orders[at].sent.key;
        if self.orders[at].has_minimum() && self.slot(key).phase == Phase::Continuous {
            self.try_at_rest(at, events);
            if self.orders[at].rests() {
                self.after_rest(at, events);
            }
        }
    }

    /// A resting order with a minimum sweeps as if it entered now, if that fills enough of it.
    pub(super) fn try_at_rest(&mut self, at: usize, events: &mut Vec<Event>) {
        let order = self.orders[at];
        if !order.rests() || !order.has_minimum() {
            return;
        }
        let steps = self.sweep(at, self.band(order.sent.key));
        if filled(&steps) >= order.need() {
            self.perform(at, &steps, order.sent.client_order, events);
        }
    }

    /// Both orders fill, for one meter each; a resting order stays where it is.
    pub(super) fn trade_between(
        &mut self,
        price: Price,
        quantity: u64,
        (buy, sell): ((usize, MeterId), (usize, MeterId)),
        maker: Option<Side>,
        events: &mut Vec<Event>,
    ) {
        let key = self.orders[buy.0].sent.key;
        for side in [buy, sell] {
            let order = &mut self.orders[side.0];
            order.filled += quantity;
            order.open -= quantity;
            if order.open == 0 {
                order.stand = Stand::Done;
            }
            self.owe_and_count(side, price, quantity);
        }
        self.slot_mut(key).last_price = Some(price);
        self.trades += 1;
        events.push(Event::Trade(Trade {
            trade: TradeId::new(self.trades),
            key,
            price,
            quantity: Energy::from_wh(quantity),
            buy: self.trade_side(buy),
            sell: self.trade_side(sell),
            maker,
        }));
    }

    fn trade_side(&self, (at, meter): (usize, MeterId)) -> TradeSide {
        let order = &self.orders[at];
        TradeSide {
            order: order_id(at),
            client_order: order.sent.client_order,
            meter,
            platform: order.platform,
            leaves: Energy::from_wh(order.open),
        }
    }

    /// Cancels what is open of one order, under the given number.
    pub(super) fn cancel_order(
        &mut self,
        at: usize,
        client_order: ClientOrderId,
        reason: CancelReason,
        events: &mut Vec<Event>,
    ) {
        let order = &mut self.orders[at];
        events.push(Event::OrderCancelled(OrderCancelled {
            platform: order.platform,
            client_order,
            order: order_id(at),
            leaves: Energy::from_wh(order.open),
            reason,
        }));
        order.open = 0;
        order.stand = Stand::Done;
        self.end_parts(at);
    }
}

/// What the steps of a sweep fill.
pub(super) fn filled(steps: &[Step]) -> u64 {
    let quantity = |step: &Step| match *step {
        Step::Trade(_, quantity) => quantity,
        Step::CancelMaker(_) | Step::CancelTaker => 0,
    };
    steps.iter().map(quantity).sum()
}

/// Whether the resting and the incoming order go, where both are of one group.
const fn who_is_cancelled(action: SelfTradeAction, resting: u64, incoming: u64) -> (bool, bool) {
    match action {
        SelfTradeAction::Allow => (false, false),
        SelfTradeAction::CancelTaker => (false, true),
        SelfTradeAction::CancelMaker => (true, false),
        SelfTradeAction::CancelBoth => (true, true),
        SelfTradeAction::Decrement => (resting <= incoming, resting > incoming),
    }
}

/// Takes from a resting order; a further part of an iceberg comes to the end of its price.
fn take(queue: &mut Vec<Resting>, at: usize, quantity: u64, display: u64) {
    let resting = &mut queue[at];
    resting.open -= quantity;
    resting.view -= quantity;
    let mut rest = *resting;
    if rest.open == 0 {
        queue.remove(at);
    } else if rest.view == 0 {
        queue.remove(at);
        rest.view = display.min(rest.open);
        let behind = queue.iter().rposition(|other| other.limit == rest.limit);
        queue.insert(behind.map_or(at, |last| at.max(last + 1)), rest);
    }
}
