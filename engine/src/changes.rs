//! Requests about an open order: cancel, replace, reduce, hibernate, activate.

use types::{
    CancelReason, Event, OrderMoved, OrderReplaced, OrderRequest, Phase, ReduceOrder, RejectReason,
    Request, Timestamp,
};

use crate::{
    admission::{Change, Refusal, Replacement},
    desk::energy,
    engine::Engine,
    matching::rejected,
    orders::{Place, Traits},
};

impl Engine {
    /// A cancellation. Of one order of a list, it cancels the list.
    #[inline(never)]
    pub(crate) fn cancel_order(
        &mut self,
        time: Timestamp,
        cancel: &OrderRequest,
        events: &mut Vec<Event>,
    ) {
        match self.admit_request(time, cancel.origin, cancel.order) {
            Ok(number) => {
                let client_order = Some(cancel.client_order);
                self.cancel_with_list(number, client_order, CancelReason::Requested, events);
            }
            Err(reason) => events.push(refused(cancel, Request::Cancel, reason)),
        }
    }

    /// A reduction: in place, and all that is open is a cancellation.
    /// Rule T-29.
    pub(crate) fn reduce_order(
        &mut self,
        time: Timestamp,
        reduce: &ReduceOrder,
        events: &mut Vec<Event>,
    ) {
        let (origin, client_order) = (reduce.origin, reduce.client_order);
        let number = match self.admit_reduction(time, reduce) {
            Ok(number) => number,
            Err(reason) => {
                return events.push(rejected(origin, client_order, Request::Reduce, reason));
            }
        };
        let order = *self.orders.get(number);
        let by = u32::try_from(reduce.by.wh()).unwrap_or(u32::MAX);
        // Rule T-30.
        if by >= order.leaves {
            return self.cancel(number, Some(client_order), CancelReason::Requested, events);
        }
        self.shrink(number, order.leaves - by);
        let market = self.registry.market(self.slots.slot(order.slot).market);
        events.push(Event::OrderReplaced(OrderReplaced {
            origin,
            client_order,
            order: reduce.order,
            limit: market.limit_of(order.level),
            leaves: energy(order.leaves - by),
            kept_place: true,
        }));
        self.try_shrunk(number, events);
    }

    /// An order that got smaller where it stands and needs less than before is tried again, and so are those that
    /// could not trade with all of it.
    /// Rule T-125.
    #[inline]
    fn try_shrunk(&mut self, number: u32, events: &mut Vec<Event>) {
        let order = *self.orders.get(number);
        if !order.is_needy() || self.slots.slot(order.slot).phase != Phase::Continuous {
            return;
        }
        self.try_again(order.slot, number, events);
        if self.orders.get(number).leaves > 0 {
            self.wake(order.slot, order.side(), order.level, events);
        }
    }

    /// A replacement: same price and not larger keeps the place, anything else enters anew.
    pub(crate) fn replace_order(
        &mut self,
        time: Timestamp,
        change: Change<'_>,
        events: &mut Vec<Event>,
    ) {
        let Change { origin, replace, .. } = change;
        let admitted = match self.admit_replace(time, change) {
            Ok(admitted) => admitted,
            Err(Refusal::Restate(number)) => {
                return events.push(self.restated(origin, replace.client_order, number));
            }
            Err(Refusal::Reject(reason)) => {
                let request = Request::Replace;
                return events.push(rejected(origin, replace.client_order, request, reason));
            }
        };
        let Replacement { number, level, quantity } = admitted;
        let order = *self.orders.get(number);
        // Rule T-31.
        let kept_place = level == order.level && quantity <= order.leaves;
        if kept_place {
            self.shrink(number, quantity);
        } else {
            let mut desk = self.desk(order.slot);
            desk.take_out(number);
            desk.hold(&order, level, quantity);
            let changed = desk.orders.get_mut(number);
            changed.level = level;
            changed.leaves = quantity;
        }
        self.orders.extra_mut(number).last_replace = replace.client_order;
        events.push(Event::OrderReplaced(OrderReplaced {
            origin,
            client_order: replace.client_order,
            order: replace.order,
            limit: replace.limit,
            leaves: replace.quantity,
            kept_place,
        }));
        if kept_place {
            return self.try_shrunk(number, events);
        }
        // Rule T-32.
        let taker = self.desk(order.slot).taker(number);
        self.enter(order.slot, taker, replace.client_order, events);
    }

    /// An order leaves its queue and keeps its number and what it holds.
    /// Rule T-35.
    pub(crate) fn hibernate_order(
        &mut self,
        time: Timestamp,
        request: &OrderRequest,
        events: &mut Vec<Event>,
    ) {
        let admitted = self
            .admit_request(time, request.origin, request.order)
            .and_then(|number| self.check_stands(number, Place::Queue).map(|()| number));
        match admitted {
            Ok(number) => {
                let slot = self.orders.get(number).slot;
                let mut desk = self.desk(slot);
                desk.take_out(number);
                desk.set_aside(number, Place::Asleep);
                events.push(Event::OrderHibernated(self.moved(request, number)));
            }
            Err(reason) => events.push(refused(request, Request::Hibernate, reason)),
        }
    }

    /// A hibernating order enters its book anew.
    /// Rule T-34.
    pub(crate) fn activate_order(
        &mut self,
        time: Timestamp,
        request: &OrderRequest,
        events: &mut Vec<Event>,
    ) {
        match self.admit_activation(time, request.origin, request.order) {
            Ok(number) => {
                let slot = self.orders.get(number).slot;
                self.desk(slot).take_out(number);
                events.push(Event::OrderActivated(self.moved(request, number)));
                let taker = self.desk(slot).taker(number);
                self.enter(slot, taker, request.client_order, events);
            }
            Err(reason) => events.push(refused(request, Request::Activate, reason)),
        }
    }

    /// Where an order of the platform stands, open or done.
    /// Rule T-26.
    #[cold]
    pub(crate) fn ask_order(&self, ask: &OrderRequest, events: &mut Vec<Event>) {
        events.push(match self.find_asked(ask) {
            Ok(number) => self.restated(ask.origin, ask.client_order, number),
            Err(reason) => refused(ask, Request::Ask, reason),
        });
    }

    /// The order that is asked about: by its number, or with 0 by the platform's own.
    fn find_asked(&self, ask: &OrderRequest) -> Result<u32, RejectReason> {
        if ask.order.get() != 0 {
            return self.own_order(ask.origin, ask.order).map(|(number, _)| number);
        }
        let found = self.client_ids.find(&self.orders, ask.origin.platform, ask.client_order);
        found.map_err(|_| RejectReason::UnknownOrder)
    }

    fn admit_reduction(&self, time: Timestamp, reduce: &ReduceOrder) -> Result<u32, RejectReason> {
        let number = self.admit_request(time, reduce.origin, reduce.order)?;
        self.check_stands(number, Place::Queue)?;
        let slot = self.slots.slot(self.orders.get(number).slot);
        if self.registry.market(slot.market).is_lots(reduce.by.wh()) {
            Ok(number)
        } else {
            Err(RejectReason::QuantityNotOnLot)
        }
    }

    /// Makes an order that rests smaller where it stands; what is hidden of it goes first.
    /// Rule T-74.
    fn shrink(&mut self, number: u32, quantity: u32) {
        let order = *self.orders.get(number);
        let mut desk = self.desk(order.slot);
        desk.hold(&order, order.level, quantity);
        let rank = desk.book.rank(order.side(), order.level);
        let level = desk.book.ladder_mut(order.side()).level_mut(rank);
        level.quantity -= u64::from(order.leaves - quantity);
        desk.orders.get_mut(number).leaves = quantity;
        if order.traits.has(Traits::ICEBERG) {
            let extra = desk.orders.extra_mut(number);
            extra.shown = extra.shown.min(quantity);
        }
    }

    fn moved(&self, request: &OrderRequest, number: u32) -> OrderMoved {
        OrderMoved {
            origin: request.origin,
            client_order: request.client_order,
            order: self.orders.id(number),
            leaves: energy(self.orders.get(number).leaves),
        }
    }
}

const fn refused(request: &OrderRequest, what: Request, reason: RejectReason) -> Event {
    rejected(request.origin, request.client_order, what, reason)
}
