//! A path of its own for the orders that nearly all orders are: a limit, no conditions, no list, in a
//! slot that trades continuously, and nothing to say against them. And for cancelling those.
//!
//! Every rule of `docs/matching.md` is looked at here too, but in the order that is cheapest, since
//! it matters only that all of them hold: whatever is not plainly in order changes nothing here and
//! goes the general way (`admission`, `matching`, `desk`), which knows the answer. Each table is
//! touched once. Tests run every script with and without this path and compare, and a model beside.

use types::{
    CancelReason, ClientOrderId, Event, NewOrder, OrderAccepted, OrderCancelled, OrderKind,
    OrderRequest, Origin, Phase, PlatformId, Terms, TimeInForce, Timestamp,
};

use crate::{
    book::{of, of_mut},
    client_ids::Vacancy,
    credit::{amount, exposure},
    desk::energy,
    engine::Engine,
    orders::{MARKET, NOBODY, Order, Place, State, Traits},
    registry::{Market, group},
};

/// A plain new order that is accepted.
struct Plain {
    number: u32,
    slot: u32,
    book: u32,
    level: u32,
    quantity: u32,
    group: u32,
    vacancy: Vacancy,
    /// Of the platform's credit.
    has_limit: bool,
}

impl Engine {
    /// Does all of a plain new order that is accepted. `false`, and nothing has changed, for others.
    ///
    /// `DELEGATED`: it rests on a delegation instead of the meter's own signature. Compiled for each, so
    /// that neither pays for the other.
    #[inline(never)]
    pub(crate) fn plain_new<const DELEGATED: bool>(
        &mut self,
        time: Timestamp,
        origin: Origin,
        order: &NewOrder,
        events: &mut Vec<Event>,
    ) -> bool {
        #[cfg(test)]
        if self.general_only {
            return false;
        }
        let Some(plain) = self.admit_plain::<DELEGATED>(time, origin, order) else { return false };
        let rests = self.accept_plain(origin, order, &plain);
        let id = self.orders.id(plain.number);
        write(events, || {
            Event::OrderAccepted(OrderAccepted {
                origin,
                client_order: order.client_order,
                order: id,
                meter: order.meter,
                key: order.key,
                side: order.side,
                limit: order.limit,
                quantity: order.quantity,
            })
        });
        if !rests {
            self.enter_plain(&plain, order.client_order, events);
        }
        true
    }

    /// Checks everything that needs no look at the book's queues.
    #[inline(always)]
    fn admit_plain<const DELEGATED: bool>(
        &self,
        time: Timestamp,
        origin: Origin,
        order: &NewOrder,
    ) -> Option<Plain> {
        let platform = origin.platform;
        if !is_plain(order) || time > order.valid_until || self.registry.stops_anyone() {
            return None;
        }
        let index = self.slots.find(order.key)?;
        let slot = self.slots.slot(index);
        let row = self.registry.meter(order.meter)?;
        let is_authorised = if DELEGATED {
            self.delegations.allows((order.meter, platform), time, &Terms::from(order))
        } else {
            row.platform == platform
        };
        if !is_authorised
            || slot.phase != Phase::Continuous
            || slot.is_limited
            || time < slot.opens_at
            || time > slot.gate_closes_after
            || self.orders.open() >= self.limits.orders_max
        {
            return None;
        }
        let market = self.registry.market(slot.market);
        let (level, quantity) = market.plain(order)?;
        let capacity = row.capacity(order.side, order.key.slot.minutes());
        let book = self.slots.book(slot.book);
        let used = *of(book.used_cell(order.meter)?, order.side);
        if u64::from(used) + u64::from(quantity) > u64::from(capacity)
            || book.has_members()
            || book.lines() >= self.limits.book_orders_max
        {
            return None;
        }
        let has_limit = self.credit.has_limit(slot.market, platform);
        if has_limit && !self.has_credit(slot.market, platform, (order, quantity)) {
            return None;
        }
        let vacancy = self.client_ids.find(&self.orders, platform, order.client_order).err()?;
        let group = group(&market.controls, order.meter, row.owner);
        let number = self.orders.len() + 1;
        let book = slot.book;
        Some(Plain { number, slot: index, book, level, quantity, group, vacancy, has_limit })
    }

    #[cold]
    fn has_credit(
        &self,
        market: u16,
        platform: PlatformId,
        (order, quantity): (&NewOrder, u32),
    ) -> bool {
        let reserve = amount(exposure(order.side, order.limit), quantity);
        self.credit.account(market, platform).is_none_or(|account| account.has_room(reserve))
    }

    /// Books what the order holds and puts it into its queue, if it meets nobody and stays.
    #[inline(always)]
    fn accept_plain(&mut self, origin: Origin, order: &NewOrder, plain: &Plain) -> bool {
        let book = self.slots.book_mut(plain.book);
        if let Some(used) = book.used_cell_mut(order.meter) {
            *of_mut(used, order.side) += plain.quantity;
        }
        if plain.group != 0 {
            *book.open_mut(plain.group, order.side) += 1;
        }
        let other = order.side.opposite();
        let meets = book.ladder(other).best() <= book.rank_of_limit(other, plain.level);
        let rests =
            !meets && order.time_in_force == TimeInForce::UntilGate && !book.may_wake(order.side);
        let (place, prev) = if rests {
            let rank = book.rank_of_limit(order.side, plain.level);
            let ladder = book.ladder_mut(order.side);
            let prev = ladder.push_plain(&mut self.orders, rank, (plain.number, plain.quantity));
            (Place::Queue, prev)
        } else {
            (Place::Waiting, NOBODY)
        };
        self.orders.append(Order {
            client_order: order.client_order,
            valid_until: order.valid_until,
            quantity: plain.quantity,
            leaves: plain.quantity,
            filled: 0,
            meter: order.meter,
            next: NOBODY,
            prev,
            level: plain.level,
            slot: plain.slot,
            extra: plain.level,
            session: origin.session,
            group: plain.group,
            platform: origin.platform,
            state: State::new(place, order.side, OrderKind::Limit, order.time_in_force),
            traits: Traits::NONE,
        });
        self.client_ids.insert(&self.orders, plain.vacancy);
        if plain.has_limit {
            self.reserve_credit(plain.number);
        }
        rests
    }

    #[cold]
    fn reserve_credit(&mut self, number: u32) {
        let order = *self.orders.get(number);
        let (reserves, market) = (self.reserves(&order), self.slots.slot(order.slot).market);
        if let Some(reserved) = self.credit.reserved_mut(market, order.platform) {
            *reserved += reserves;
        }
    }

    /// An order that meets somebody, does not stay, or may wake others goes the general way on.
    #[inline(never)]
    fn enter_plain(&mut self, plain: &Plain, request: ClientOrderId, events: &mut Vec<Event>) {
        let taker = self.desk(plain.slot).taker(plain.number);
        self.enter(plain.slot, taker, request, events);
    }

    /// Does all of a cancellation of a plain order that rests. `false`, and nothing has changed, for
    /// others.
    #[inline(never)]
    pub(crate) fn plain_cancel(
        &mut self,
        time: Timestamp,
        cancel: &OrderRequest,
        events: &mut Vec<Event>,
    ) -> bool {
        #[cfg(test)]
        if self.general_only {
            return false;
        }
        let Some(number) = self.orders.number(cancel.order) else { return false };
        let order = self.orders.get_mut(number);
        let (side, level, leaves) = (order.side(), order.level, order.leaves);
        // What is in a queue has a book.
        if order.platform != cancel.origin.platform
            || order.place() != Place::Queue
            || order.traits.is_rare()
            || level == MARKET
        {
            return false;
        }
        let slot = self.slots.slot(order.slot);
        if slot.phase == Phase::Frozen || slot.is_limited || time > slot.gate_closes_after {
            return false;
        }
        if self.credit.has_limit(slot.market, order.platform) {
            return false;
        }
        let book = self.slots.book_mut(slot.book);
        let Some(used) = book.used_cell_mut(order.meter) else { return false };
        *of_mut(used, side) -= leaves;
        let rank = book.rank_of_limit(side, level);
        book.ladder_mut(side).bury_plain(rank, leaves);
        if order.group != 0 {
            *book.open_mut(order.group, side) -= 1;
        }
        order.leaves = 0;
        order.set_place(Place::Done);
        self.orders.one_less();
        write(events, || {
            Event::OrderCancelled(OrderCancelled {
                platform: cancel.origin.platform,
                client_order: cancel.client_order,
                order: cancel.order,
                leaves: energy(leaves),
                reason: CancelReason::Requested,
            })
        });
        true
    }
}

impl Market {
    /// Level and quantity of an order that is within all that the market asks for.
    #[inline(always)]
    fn plain(&self, order: &NewOrder) -> Option<(u32, u32)> {
        let (definition, controls) = (&self.definition, &self.controls);
        let wh = order.quantity.wh();
        if !self.is_lots(wh)
            || wh > definition.quantity_max.wh()
            || wh < controls.quantity_min.wh()
            || controls.executions_max != 0
        {
            return None;
        }
        let level = self.level_of(order.limit).ok()?;
        let quantity = u32::try_from(wh).ok()?;
        let fits = self.value_max == i128::MAX
            || amount(order.limit.micros().unsigned_abs(), quantity) <= self.value_max;
        fits.then_some((level, quantity))
    }
}

/// A limit order that rests until the gate or is gone at once, and asks for nothing else.
#[inline(always)]
fn is_plain(order: &NewOrder) -> bool {
    let conditions = &order.conditions;
    // One branch for all that is usually zero.
    let more = conditions.display.wh()
        | conditions.minimum.wh()
        | conditions.expires.ns().cast_unsigned()
        | order.list.number.get();
    let flags = conditions.post_only | conditions.all_or_none;
    let list = order.list.kind.code() | order.list.orders;
    more == 0
        && !flags
        && list == 0
        && order.kind == OrderKind::Limit
        && matches!(order.time_in_force, TimeInForce::UntilGate | TimeInForce::ImmediateOrCancel)
}

/// Appends an event that is made where it stays: room is there before it is made, so that it is not
/// made elsewhere and copied.
#[inline(always)]
pub(crate) fn write(events: &mut Vec<Event>, event: impl FnOnce() -> Event) {
    events.reserve(1);
    events.push(event());
}
