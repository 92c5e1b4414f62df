//! Stop 8 of an order's life: matching. An order enters the book, sweeps the other side, rests,
//! changes, and leaves.
//!
//! Price, then time; a trade is at the price of the order that was resting. An incoming order that
//! reaches one of its own meter gives way with the rest of its quantity.

use types::{
    CancelOrder, CancelReason, ClientOrderId, CommandRejected, Energy, Event, MeterId,
    OrderAccepted, OrderCancelled, OrderId, OrderRejected, OrderReplaced, OrderRestated, Origin,
    Phase, PlatformId, RejectReason, Request, Side, SignedNewOrder, SignedReplaceOrder, SlotKey,
    SlotPhaseChanged, TimeInForce, Timestamp, Trade, TradeId, TradeSide,
};

use crate::{
    admission::{Placement, Refusal},
    engine::Engine,
    index::NONE,
    ladder::queue,
    orders::OrderRecord,
    slab::OpenOrder,
};

/// An order on its way into a book.
#[derive(Debug, Clone, Copy)]
struct Taker {
    number: u32,
    slot: u32,
    book: u32,
    phase: Phase,
    /// The platform's number of the order.
    client_order: ClientOrderId,
    /// The platform's number of the request that brought it here.
    request: ClientOrderId,
    meter: MeterId,
    platform: PlatformId,
    side: Side,
    level: u32,
    leaves: u64,
    time_in_force: TimeInForce,
}

/// How a sweep ended.
enum Sweep {
    /// Nothing is left.
    Filled,
    /// Nothing on the other side is good enough.
    Exhausted,
    /// The next order on the other side is of the same meter.
    OwnOrder,
}

impl Engine {
    /// A new order: a refusal, or accepted and then whatever follows from that.
    #[inline]
    pub(crate) fn new_order(
        &mut self,
        time: Timestamp,
        signed: &SignedNewOrder,
        events: &mut Vec<Event>,
    ) {
        match self.admit_new(time, signed) {
            Ok(placement) => self.accept(signed, placement, events),
            Err(Refusal::Restate(number)) => {
                events.push(self.restated(signed.origin, signed.order.client_order, number));
            }
            Err(Refusal::Reject(reason)) => {
                let client_order = signed.order.client_order;
                events.push(rejected(signed.origin, client_order, Request::New, reason));
            }
        }
    }

    /// Where an order stands, for a request that came again.
    fn restated(&self, origin: Origin, client_order: ClientOrderId, number: u32) -> Event {
        let record = self.orders.get(number);
        let leaves = record.leaves(number, &self.slab);
        Event::OrderRestated(OrderRestated {
            origin,
            client_order,
            order: OrderId::new(u64::from(number)),
            filled: Energy::from_wh(record.total - leaves),
            leaves: Energy::from_wh(leaves),
        })
    }

    /// A cancellation.
    #[inline]
    pub(crate) fn cancel_order(
        &mut self,
        time: Timestamp,
        cancel: &CancelOrder,
        events: &mut Vec<Event>,
    ) {
        let number = match self.admit_cancel(time, cancel) {
            Ok(number) => number,
            Err(reason) => {
                let request = Request::Cancel;
                return events.push(rejected(cancel.origin, cancel.client_order, request, reason));
            }
        };
        let leaves = self.take_out(number);
        let record = self.orders.get_mut(number);
        record.total -= leaves;
        let (slot, meter, side) = (record.slot, record.meter, record.side);
        let book = self.slots.slot(slot).book;
        *self.slots.book_mut(book).used_mut(meter, side) -= leaves;
        events.push(Event::OrderCancelled(OrderCancelled {
            platform: cancel.origin.platform,
            client_order: cancel.client_order,
            order: cancel.order,
            leaves: Energy::from_wh(leaves),
            reason: CancelReason::Requested,
        }));
    }

    /// A replacement: same price and not larger keeps the place, anything else enters anew.
    pub(crate) fn replace_order(
        &mut self,
        time: Timestamp,
        signed: &SignedReplaceOrder,
        events: &mut Vec<Event>,
    ) {
        let replace = &signed.replace;
        let admitted = match self.admit_replace(time, signed) {
            Ok(admitted) => admitted,
            Err(Refusal::Restate(number)) => {
                return events.push(self.restated(signed.origin, replace.client_order, number));
            }
            Err(Refusal::Reject(reason)) => {
                let request = Request::Replace;
                return events.push(rejected(signed.origin, replace.client_order, request, reason));
            }
        };
        let number = admitted.number;
        let record = *self.orders.get(number);
        let leaves = record.leaves(number, &self.slab);
        let quantity = replace.quantity.wh();
        let kept_place = admitted.level == record.level && quantity <= leaves;
        let client_order = if kept_place {
            self.shrink(&record, leaves - quantity)
        } else {
            let client_order = self.slab.get(record.entry).client_order;
            self.take_out(number);
            client_order
        };
        let slot = *self.slots.slot(record.slot);
        let used = self.slots.book_mut(slot.book).used_mut(record.meter, record.side);
        *used = *used - leaves + quantity;
        let changed = self.orders.get_mut(number);
        changed.total = record.total - leaves + quantity;
        changed.level = admitted.level;
        changed.last_replace = replace.client_order;
        events.push(Event::OrderReplaced(OrderReplaced {
            origin: signed.origin,
            client_order: replace.client_order,
            order: replace.order,
            limit: replace.limit,
            leaves: replace.quantity,
            kept_place,
        }));
        if !kept_place {
            let taker = Taker {
                number,
                slot: record.slot,
                book: slot.book,
                phase: slot.phase,
                client_order,
                request: replace.client_order,
                meter: record.meter,
                platform: record.platform,
                side: record.side,
                level: admitted.level,
                leaves: quantity,
                time_in_force: record.time_in_force,
            };
            self.enter(taker, events);
        }
    }

    /// Closes a slot: its orders expire in the order of their numbers.
    pub(crate) fn close_slot(&mut self, key: SlotKey, events: &mut Vec<Event>) {
        let found = self.known_slot(key).and_then(|index| match self.slots.slot(index).phase {
            Phase::Call | Phase::Continuous => Ok(index),
            Phase::PreOpen | Phase::Closed => Err(RejectReason::WrongPhase),
        });
        let index = match found {
            Ok(index) => index,
            Err(reason) => return events.push(Self::refused(reason)),
        };
        let mut expiring = core::mem::take(&mut self.expiring);
        let book = self.slots.slot(index).book;
        for side in [Side::Buy, Side::Sell] {
            let ladder = self.slots.book_mut(book).ladder_mut(side);
            while ladder.best() != NONE {
                let rank = ladder.best();
                for entry in queue(&self.slab, ladder.level(rank)) {
                    expiring.push((self.slab.get(entry).number, entry));
                }
                ladder.clear(rank);
            }
        }
        expiring.sort_unstable();
        for (number, entry) in expiring.drain(..) {
            let order = *self.slab.get(entry);
            self.slab.release(entry);
            let record = self.orders.get_mut(number);
            record.total -= order.leaves;
            events.push(Event::OrderCancelled(OrderCancelled {
                platform: record.platform,
                client_order: order.client_order,
                order: OrderId::new(u64::from(number)),
                leaves: Energy::from_wh(order.leaves),
                reason: CancelReason::GateClosed,
            }));
        }
        self.expiring = expiring;
        self.slots.close(index);
        let phase = Phase::Closed;
        events.push(Event::SlotPhaseChanged(SlotPhaseChanged { key, phase }));
    }

    /// The answer to an operator's command that is not possible.
    pub(crate) const fn refused(reason: RejectReason) -> Event {
        Event::CommandRejected(CommandRejected { reason })
    }

    #[inline]
    fn accept(&mut self, signed: &SignedNewOrder, placed: Placement, events: &mut Vec<Event>) {
        let order = &signed.order;
        let number = self.orders.next_number();
        self.orders.push(OrderRecord {
            client_order: order.client_order,
            last_replace: ClientOrderId::new(0),
            valid_until: order.valid_until,
            quantity: order.quantity,
            total: order.quantity.wh(),
            meter: order.meter,
            slot: placed.slot,
            level_sent: placed.level,
            level: placed.level,
            entry: NONE,
            platform: signed.origin.platform,
            side: order.side,
            time_in_force: order.time_in_force,
        });
        self.client_ids.insert(&self.orders, placed.vacancy);
        *self.slots.book_mut(placed.book).used_mut(order.meter, order.side) += order.quantity.wh();
        events.push(Event::OrderAccepted(OrderAccepted {
            origin: signed.origin,
            client_order: order.client_order,
            order: OrderId::new(u64::from(number)),
            meter: order.meter,
            key: order.key,
            side: order.side,
            limit: order.limit,
            quantity: order.quantity,
        }));
        let taker = Taker {
            number,
            slot: placed.slot,
            book: placed.book,
            phase: placed.phase,
            client_order: order.client_order,
            request: order.client_order,
            meter: order.meter,
            platform: signed.origin.platform,
            side: order.side,
            level: placed.level,
            leaves: order.quantity.wh(),
            time_in_force: order.time_in_force,
        };
        self.enter(taker, events);
    }

    /// Matches an order where its slot's phase allows it, then rests or cancels what is left.
    #[inline]
    fn enter(&mut self, mut taker: Taker, events: &mut Vec<Event>) {
        let sweep = match taker.phase {
            Phase::Continuous => self.sweep(&mut taker, events),
            Phase::PreOpen | Phase::Call | Phase::Closed => Sweep::Exhausted,
        };
        match (sweep, taker.time_in_force) {
            (Sweep::Filled, _) => {}
            (Sweep::Exhausted, TimeInForce::UntilGate) => self.rest(&taker),
            (Sweep::Exhausted, TimeInForce::ImmediateOrCancel) => {
                self.cancel_rest(&taker, CancelReason::ImmediateOrCancel, events);
            }
            (Sweep::OwnOrder, _) => self.cancel_rest(&taker, CancelReason::SelfTrade, events),
        }
    }

    /// Trades against the other side, best price first and oldest first, as far as the limit goes.
    #[inline]
    fn sweep(&mut self, taker: &mut Taker, events: &mut Vec<Event>) -> Sweep {
        let slot = self.slots.slot(taker.slot);
        let (key, market) = (slot.key, self.registry.market(slot.market));
        let book = self.slots.book_mut(taker.book);
        let other = taker.side.opposite();
        let rank_worst = book.rank(other, taker.level);
        loop {
            let rank = book.ladder(other).best();
            if rank == NONE || rank > rank_worst {
                return Sweep::Exhausted;
            }
            let price = market.price_of(book.rank(other, rank));
            let ladder = book.ladder_mut(other);
            let level = ladder.level_mut(rank);
            let index = level.head;
            let maker = self.slab.get_mut(index);
            if maker.meter == taker.meter {
                return Sweep::OwnOrder;
            }
            let quantity = maker.leaves.min(taker.leaves);
            level.quantity -= quantity;
            maker.leaves -= quantity;
            taker.leaves -= quantity;
            let resting = TradeSide {
                order: OrderId::new(u64::from(maker.number)),
                client_order: maker.client_order,
                meter: maker.meter,
                platform: self.registry.platform_of(maker.meter),
                leaves: Energy::from_wh(maker.leaves),
            };
            if maker.leaves == 0 {
                ladder.unlink(&mut self.slab, rank, index);
                self.slab.release(index);
            }
            let incoming = taker.trade_side();
            let (buy, sell) = match taker.side {
                Side::Buy => (incoming, resting),
                Side::Sell => (resting, incoming),
            };
            self.trades += 1;
            events.push(Event::Trade(Trade {
                trade: TradeId::new(self.trades),
                key,
                price,
                quantity: Energy::from_wh(quantity),
                buy,
                sell,
                maker: Some(other),
            }));
            if taker.leaves == 0 {
                return Sweep::Filled;
            }
        }
    }

    /// Puts what is left of an order at the end of its queue.
    #[inline]
    fn rest(&mut self, taker: &Taker) {
        let entry = self.slab.insert(OpenOrder {
            client_order: taker.client_order,
            leaves: taker.leaves,
            number: taker.number,
            meter: taker.meter,
            next: NONE,
            prev: NONE,
        });
        self.orders.get_mut(taker.number).entry = entry;
        let book = self.slots.book_mut(taker.book);
        let rank = book.rank(taker.side, taker.level);
        book.ladder_mut(taker.side).push(&mut self.slab, rank, entry);
    }

    /// Cancels what is left of an order that does not rest.
    fn cancel_rest(&mut self, taker: &Taker, reason: CancelReason, events: &mut Vec<Event>) {
        let book = self.slots.book_mut(taker.book);
        *book.used_mut(taker.meter, taker.side) -= taker.leaves;
        self.orders.get_mut(taker.number).total -= taker.leaves;
        events.push(Event::OrderCancelled(OrderCancelled {
            platform: taker.platform,
            client_order: taker.request,
            order: OrderId::new(u64::from(taker.number)),
            leaves: Energy::from_wh(taker.leaves),
            reason,
        }));
    }

    /// Takes an open order off its queue and out of the slab; what it still held, in Wh.
    #[inline]
    fn take_out(&mut self, number: u32) -> u64 {
        let record = self.orders.get(number);
        let (entry, side) = (record.entry, record.side);
        let leaves = self.slab.get(entry).leaves;
        let book = self.slots.book_mut(self.slots.slot(record.slot).book);
        let rank = book.rank(side, record.level);
        book.ladder_mut(side).unlink(&mut self.slab, rank, entry);
        self.slab.release(entry);
        leaves
    }

    /// Makes an open order smaller where it stands; returns the platform's number of it.
    fn shrink(&mut self, record: &OrderRecord, less: u64) -> ClientOrderId {
        let book = self.slots.book_mut(self.slots.slot(record.slot).book);
        let rank = book.rank(record.side, record.level);
        book.ladder_mut(record.side).level_mut(rank).quantity -= less;
        let order = self.slab.get_mut(record.entry);
        order.leaves -= less;
        order.client_order
    }
}

impl Taker {
    #[inline]
    fn trade_side(&self) -> TradeSide {
        TradeSide {
            order: OrderId::new(u64::from(self.number)),
            client_order: self.client_order,
            meter: self.meter,
            platform: self.platform,
            leaves: Energy::from_wh(self.leaves),
        }
    }
}

fn rejected(
    origin: Origin,
    client_order: ClientOrderId,
    request: Request,
    reason: RejectReason,
) -> Event {
    Event::OrderRejected(OrderRejected { origin, client_order, request, reason })
}
