//! What a request of a platform does once it is admitted.

use types::{
    CancelReason, ClientOrderId, Energy, Event, NewOrder, OrderAccepted, OrderMoved, OrderRejected,
    OrderReplaced, OrderRequest, OrderRestated, OrderValidated, Origin, ReduceOrder, RejectReason,
    ReplaceOrder, Request, SignedNewOrder, TimeInForce,
};

use super::{Model, Order, Stand, admission::Admitted, delegations::By, order_id, refuse_if};

impl Model {
    pub(super) fn new_order(
        &mut self,
        (origin, by): (Origin, By),
        sent: &NewOrder,
        events: &mut Vec<Event>,
    ) {
        let sent = *sent;
        match self.admit_new(origin, by, &sent) {
            Ok(Admitted::Repeat(at)) => self.restate(at, origin, sent.client_order, events),
            Ok(Admitted::Fresh(at)) => self.accept(at, origin, sent, events),
            Err(reason) => {
                events.push(reject(origin, sent.client_order, Request::New, reason));
                self.break_list(origin.platform, &sent, events);
            }
        }
    }

    pub(super) fn validate(&self, signed: &SignedNewOrder, events: &mut Vec<Event>) {
        let (origin, client_order) = (signed.origin, signed.order.client_order);
        match self.admit_new(origin, By::Meter, &signed.order) {
            Ok(Admitted::Repeat(at)) => self.restate(at, origin, client_order, events),
            Ok(Admitted::Fresh(_)) => {
                events.push(Event::OrderValidated(OrderValidated { origin, client_order }));
            }
            Err(reason) => events.push(reject(origin, client_order, Request::Validate, reason)),
        }
    }

    /// By the exchange's number or, if that is 0, by the platform's own.
    pub(super) fn ask(&self, ask: &OrderRequest, events: &mut Vec<Event>) {
        let OrderRequest { origin, client_order, order } = *ask;
        let at = if order.get() == 0 {
            let is_it = |one: &Order| {
                one.platform == origin.platform && one.sent.client_order == client_order
            };
            self.orders.iter().position(is_it).ok_or(RejectReason::UnknownOrder)
        } else {
            self.position(order).ok_or(RejectReason::UnknownOrder).and_then(|at| {
                let foreign = self.orders[at].platform != origin.platform;
                refuse_if(foreign, RejectReason::NotAuthorised).map(|()| at)
            })
        };
        match at {
            Ok(at) => self.restate(at, origin, client_order, events),
            Err(reason) => events.push(reject(origin, client_order, Request::Ask, reason)),
        }
    }

    pub(super) fn restate(
        &self,
        at: usize,
        origin: Origin,
        client_order: ClientOrderId,
        events: &mut Vec<Event>,
    ) {
        events.push(Event::OrderRestated(OrderRestated {
            origin,
            client_order,
            order: order_id(at),
            filled: Energy::from_wh(self.orders[at].filled),
            leaves: Energy::from_wh(self.orders[at].open),
        }));
    }

    pub(super) fn accept(
        &mut self,
        at: usize,
        origin: Origin,
        sent: NewOrder,
        events: &mut Vec<Event>,
    ) {
        let controls = self.markets[&sent.key.market].controls;
        self.orders.push(Order {
            platform: origin.platform,
            session: origin.session,
            sent,
            // The members of an aggregate order have their own.
            group: self.find_meter(sent.meter).and_then(|_| self.group_of(sent.meter, &controls)),
            limit: sent.limit,
            last_replace: ClientOrderId::new(0),
            filled: 0,
            open: sent.quantity.wh(),
            view: 0,
            place: 0,
            stand: Stand::Entering,
        });
        events.push(Event::OrderAccepted(OrderAccepted {
            origin,
            client_order: sent.client_order,
            order: order_id(at),
            meter: sent.meter,
            key: sent.key,
            side: sent.side,
            limit: sent.limit,
            quantity: sent.quantity,
        }));
        if self.orders[at].is_listed() {
            self.join_list(at, events);
        } else {
            self.enter(at, sent.client_order, events);
        }
    }

    pub(super) fn cancel(&mut self, request: &OrderRequest, events: &mut Vec<Event>) {
        let (origin, client_order) = (request.origin, request.client_order);
        match self.admit_cancel(request) {
            Ok(at) => {
                self.cancel_whole(at, Some(client_order), CancelReason::Requested, events);
            }
            Err(reason) => events.push(reject(origin, client_order, Request::Cancel, reason)),
        }
    }

    pub(super) fn replace(
        &mut self,
        (origin, by): (Origin, By),
        replace: &ReplaceOrder,
        events: &mut Vec<Event>,
    ) {
        let client_order = replace.client_order;
        let at = match self.admit_replace(origin, by, replace) {
            Ok(Admitted::Fresh(at)) => at,
            Ok(Admitted::Repeat(at)) => return self.restate(at, origin, client_order, events),
            Err(reason) => {
                return events.push(reject(origin, client_order, Request::Replace, reason));
            }
        };
        let quantity = replace.quantity.wh();
        let order = &mut self.orders[at];
        let kept_place = order.keeps_place(replace.limit, quantity);
        order.limit = replace.limit;
        order.last_replace = client_order;
        order.open = quantity;
        order.view = order.view.min(quantity);
        if !kept_place {
            order.stand = Stand::Entering;
        }
        events.push(Event::OrderReplaced(OrderReplaced {
            origin,
            client_order,
            order: replace.order,
            limit: replace.limit,
            leaves: replace.quantity,
            kept_place,
        }));
        if kept_place {
            self.after_shrink(at, events);
        } else {
            self.enter(at, client_order, events);
        }
    }

    pub(super) fn reduce(&mut self, reduce: &ReduceOrder, events: &mut Vec<Event>) {
        let (origin, client_order) = (reduce.origin, reduce.client_order);
        let at = match self.admit_reduce(reduce) {
            Ok(at) => at,
            Err(reason) => {
                return events.push(reject(origin, client_order, Request::Reduce, reason));
            }
        };
        let by = reduce.by.wh();
        let order = &mut self.orders[at];
        if by >= order.open {
            return self.cancel_order(at, client_order, CancelReason::Requested, events);
        }
        order.open -= by;
        order.view = order.view.min(order.open);
        events.push(Event::OrderReplaced(OrderReplaced {
            origin,
            client_order,
            order: reduce.order,
            limit: order.limit,
            leaves: Energy::from_wh(order.open),
            kept_place: true,
        }));
        self.after_shrink(at, events);
    }

    fn admit_reduce(&self, reduce: &ReduceOrder) -> Result<usize, RejectReason> {
        let ReduceOrder { origin, client_order, order, by } = *reduce;
        let at =
            self.admit_change(&OrderRequest { origin, client_order, order }, Stand::Resting)?;
        let lot = self.markets[&self.orders[at].sent.key.market].definition.lot.wh();
        let off_lot = by.is_zero() || !by.wh().is_multiple_of(lot);
        refuse_if(off_lot, RejectReason::QuantityNotOnLot)?;
        Ok(at)
    }

    pub(super) fn hibernate(&mut self, request: &OrderRequest, events: &mut Vec<Event>) {
        let (origin, client_order) = (request.origin, request.client_order);
        match self.admit_change(request, Stand::Resting) {
            Ok(at) => {
                self.orders[at].stand = Stand::Hibernating;
                events.push(Event::OrderHibernated(self.moved(at, request)));
            }
            Err(reason) => events.push(reject(origin, client_order, Request::Hibernate, reason)),
        }
    }

    pub(super) fn activate(&mut self, request: &OrderRequest, events: &mut Vec<Event>) {
        let (origin, client_order) = (request.origin, request.client_order);
        match self.admit_activate(request) {
            Ok(at) => {
                self.orders[at].stand = Stand::Entering;
                events.push(Event::OrderActivated(self.moved(at, request)));
                self.enter(at, client_order, events);
            }
            Err(reason) => events.push(reject(origin, client_order, Request::Activate, reason)),
        }
    }

    fn moved(&self, at: usize, request: &OrderRequest) -> OrderMoved {
        OrderMoved {
            origin: request.origin,
            client_order: request.client_order,
            order: request.order,
            leaves: Energy::from_wh(self.orders[at].open),
        }
    }

    /// Before every command: the orders whose last instant has passed, by instant, then number.
    pub(super) fn expire(&mut self, events: &mut Vec<Event>) {
        let mut expired: Vec<usize> = (0..self.orders.len())
            .filter(|&at| {
                let order = &self.orders[at];
                order.is_open()
                    && order.sent.time_in_force == TimeInForce::UntilTime
                    && order.sent.conditions.expires < self.last_time
            })
            .collect();
        expired.sort_by_key(|&at| (self.orders[at].sent.conditions.expires, at));
        for at in expired {
            let client_order = self.orders[at].sent.client_order;
            self.cancel_order(at, client_order, CancelReason::Expired, events);
        }
    }
}

pub(super) const fn reject(
    origin: Origin,
    client_order: ClientOrderId,
    request: Request,
    reason: RejectReason,
) -> Event {
    Event::OrderRejected(OrderRejected { origin, client_order, request, reason })
}
