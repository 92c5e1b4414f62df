//! One book with everything that an order in it touches: its line, the meter's capacity, the
//! platform's credit. Whatever enters, fills or leaves a book does it through here, so that the
//! totals agree after every step.

use types::{
    CancelReason, ClientOrderId, Energy, Event, MeterId, OrderCancelled, PlatformId, Price, Side,
    Trade, TradeSide,
};

use crate::{
    aggregates::Aggregates,
    book::Book,
    credit::{Credit, amount, exposure},
    engine::Engine,
    grid::Grid,
    orders::{Order, OrderLog, Place, Traits},
    plain::write,
    registry::Market,
    slots::Slot,
};

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    pub(crate) orders: &'a mut OrderLog,
    pub(crate) book: &'a mut Book,
    pub(crate) market: &'a Market,
    pub(crate) credit: &'a mut Credit,
    pub(crate) aggregates: &'a mut Aggregates,
    pub(crate) grid: &'a mut Grid,
    pub(crate) trades: &'a mut u64,
    pub(crate) slot: &'a mut Slot,
}

impl Engine {
    /// The book of an open slot.
    #[inline(always)]
    pub(crate) fn desk(&mut self, slot: u32) -> Desk<'_> {
        let (slot, book) = self.slots.open_mut(slot);
        Desk {
            orders: &mut self.orders,
            book,
            market: self.registry.market(slot.market),
            credit: &mut self.credit,
            aggregates: &mut self.aggregates,
            grid: &mut self.grid,
            trades: &mut self.trades,
            slot,
        }
    }

    /// Cancels an open order, wherever it is, and says so. `client_order` is the number of the
    /// request, or `None` for the order's own.
    pub(crate) fn cancel(
        &mut self,
        number: u32,
        client_order: Option<ClientOrderId>,
        reason: CancelReason,
        events: &mut Vec<Event>,
    ) {
        let slot = self.orders.get(number).slot;
        self.desk(slot).cancel(number, client_order, reason, events);
    }
}

/// A trade with whoever traded, for [`Desk::record`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Match {
    pub(crate) price: Price,
    pub(crate) quantity: u32,
    pub(crate) maker: Option<Side>,
}

/// What a trade needs of one of its orders, as it is before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Party {
    pub(crate) number: u32,
    pub(crate) client_order: ClientOrderId,
    pub(crate) meter: MeterId,
    pub(crate) platform: PlatformId,
    pub(crate) side: Side,
    pub(crate) level: u32,
    pub(crate) leaves: u32,
}

impl Party {
    #[inline(always)]
    pub(crate) const fn of(number: u32, order: &Order) -> Self {
        Self {
            number,
            client_order: order.client_order,
            meter: order.meter,
            platform: order.platform,
            side: order.side(),
            level: order.level,
            leaves: order.leaves,
        }
    }

    #[inline(always)]
    fn after(&self, orders: &OrderLog, quantity: u32) -> TradeSide {
        TradeSide {
            order: orders.id(self.number),
            client_order: self.client_order,
            meter: self.meter,
            platform: self.platform,
            leaves: energy(self.leaves - quantity),
        }
    }
}

impl Desk<'_> {
    /// What each Wh of an order may come to owe.
    #[inline(always)]
    pub(crate) fn exposure(&self, side: Side, level: u32) -> u64 {
        exposure(side, self.market.worst_price(side, level))
    }

    /// A meter has more open or traded.
    #[inline(always)]
    pub(crate) fn use_more(&mut self, meter: MeterId, side: Side, more: u32) {
        use_more((self.book, self.grid, self.slot), (meter, side), more);
    }

    /// A meter has less open or traded.
    #[inline(always)]
    pub(crate) fn use_less(&mut self, meter: MeterId, side: Side, less: u32) {
        use_less((self.book, self.grid, self.slot), (meter, side), less);
    }

    /// Puts an open order at the end of its queue.
    #[inline(always)]
    pub(crate) fn rest(&mut self, number: u32) {
        let order = self.orders.get_mut(number);
        order.set_place(Place::Queue);
        let (side, level, iceberg) = (order.side(), order.level, order.traits.has(Traits::ICEBERG));
        if iceberg {
            self.show(number);
        }
        let rank = self.book.rank(side, level);
        self.book.ladder_mut(side).push(self.orders, rank, number);
    }

    /// Brings the next part of an iceberg into view.
    pub(crate) fn show(&mut self, number: u32) {
        let leaves = self.orders.get(number).leaves;
        let extra = self.orders.extra_mut(number);
        extra.shown = extra.display.min(leaves);
    }

    /// Takes an order out of its queue, or from outside the book, to enter it again or set it
    /// aside. It keeps everything it holds.
    pub(crate) fn take_out(&mut self, number: u32) {
        let order = *self.orders.get(number);
        if order.place() == Place::Queue {
            let rank = self.book.rank(order.side(), order.level);
            self.book.ladder_mut(order.side()).unlink(self.orders, rank, number);
        } else {
            self.book.outside.remove(&number);
        }
        self.orders.get_mut(number).set_place(Place::Waiting);
    }

    /// Puts an order outside the book: asleep, or waiting.
    pub(crate) fn set_aside(&mut self, number: u32, place: Place) {
        self.orders.get_mut(number).set_place(place);
        self.book.outside.insert(number);
    }

    /// Books a change of an order's open quantity or level that is not a trade.
    pub(crate) fn hold(&mut self, order: &Order, level: u32, quantity: u32) {
        let side = order.side();
        self.use_less(order.meter, side, order.leaves);
        self.use_more(order.meter, side, quantity);
        let before = amount(self.exposure(side, order.level), order.leaves);
        let after = amount(self.exposure(side, level), quantity);
        if let Some(reserved) = self.credit.reserved_mut(self.slot.market, order.platform) {
            *reserved += after - before;
        }
    }

    /// Books an accepted order.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, party: &Party, group: u32, reserve: i128) {
        let traits = self.orders.get(party.number).traits;
        if traits.is_rare() {
            self.book.rare.add(traits);
        }
        self.use_more(party.meter, party.side, party.leaves);
        if group != 0 {
            *self.book.open_mut(group, party.side) += 1;
        }
        if let Some(reserved) = self.credit.reserved_mut(self.slot.market, party.platform) {
            *reserved += reserve;
        }
    }

    /// Ends an open order, wherever it is; what it still held, in Wh.
    /// Rule T-13.
    #[inline(always)]
    pub(crate) fn end(&mut self, number: u32) -> u32 {
        let order = self.orders.get(number);
        let (side, level, place) = (order.side(), order.level, order.place());
        let (meter, platform, group, leaves) =
            (order.meter, order.platform, order.group, order.leaves);
        if place == Place::Queue {
            let rank = self.book.rank(side, level);
            let order = *order;
            self.book.ladder_mut(side).bury(&order, rank);
        } else {
            self.book.outside.remove(&number);
        }
        if self.orders.get(number).traits.has(Traits::AGGREGATE) {
            self.release_members(number, side);
        } else {
            self.use_less(meter, side, leaves);
        }
        self.finish(number, group, side);
        let per_wh = self.exposure(side, level);
        if let Some(reserved) = self.credit.reserved_mut(self.slot.market, platform) {
            *reserved -= amount(per_wh, leaves);
        }
        leaves
    }

    /// Ends an open order and says so.
    pub(crate) fn cancel(
        &mut self,
        number: u32,
        client_order: Option<ClientOrderId>,
        reason: CancelReason,
        events: &mut Vec<Event>,
    ) {
        let leaves = self.end(number);
        let order = self.orders.get(number);
        events.push(Event::OrderCancelled(OrderCancelled {
            platform: order.platform,
            client_order: client_order.unwrap_or(order.client_order),
            order: self.orders.id(number),
            leaves: energy(leaves),
            reason,
        }));
    }

    /// Books a trade of two orders and says so. The open quantities of the orders and their levels
    /// are the caller's.
    #[inline(always)]
    pub(crate) fn record(&mut self, made: Match, [a, b]: [&Party; 2], events: &mut Vec<Event>) {
        *self.trades += 1;
        self.owe(a, made);
        self.owe(b, made);
        if self.market.controls.executions_max != 0 {
            for party in [a, b] {
                let executions = self.book.executions_mut(party.meter);
                *executions = executions.saturating_add(1);
            }
        }
        let (buy, sell) = match a.side {
            Side::Buy => (a, b),
            Side::Sell => (b, a),
        };
        let (trade, key) = (self.orders.trade_id(*self.trades), self.slot.key);
        let (buy, sell) =
            (buy.after(self.orders, made.quantity), sell.after(self.orders, made.quantity));
        let (price, quantity, maker) = (made.price, energy(made.quantity), made.maker);
        write(events, || Event::Trade(Trade { trade, key, price, quantity, buy, sell, maker }));
    }

    /// Books what a party of a trade owes for it and no longer reserves.
    /// Rule T-18.
    #[inline(always)]
    fn owe(&mut self, party: &Party, made: Match) {
        let owed = exposure(party.side, made.price);
        let account = self.credit.account_mut(self.slot.market, party.platform);
        // Where prices are positive, sellers owe nothing.
        if owed != 0 {
            account.owed += amount(owed, made.quantity);
        }
        if account.limit.is_some() {
            let worst = self.market.worst_price(party.side, party.level);
            account.reserved -= amount(exposure(party.side, worst), made.quantity);
        }
    }

    /// Takes a fill off an order that is not done with it.
    #[inline(always)]
    pub(crate) fn fill(&mut self, number: u32, quantity: u32) {
        let order = self.orders.get_mut(number);
        order.leaves -= quantity;
        order.filled += quantity;
    }

    /// Marks a filled order as done. It is out of its queue already, or was never in it.
    #[inline(always)]
    pub(crate) fn filled(&mut self, number: u32) {
        let order = self.orders.get(number);
        let (group, side) = (order.group, order.side());
        self.finish(number, group, side);
    }

    /// An order is done: it no longer counts as open.
    #[inline(always)]
    fn finish(&mut self, number: u32, group: u32, side: Side) {
        let traits = self.orders.get(number).traits;
        if traits.is_rare() {
            self.book.rare.take(traits);
            if traits.has(Traits::AGGREGATE) {
                self.disband(number, side);
            }
        }
        self.orders.finish(number);
        if group != 0 {
            *self.book.open_mut(group, side) -= 1;
        }
    }
}

/// Where what a meter uses is counted: against its capacity, and where its slot has limits, at its
/// place in the grid.
pub(crate) type Uses<'a> = (&'a mut Book, &'a mut Grid, &'a Slot);

/// A meter has more open or traded.
#[inline(always)]
pub(crate) fn use_more((book, grid, slot): Uses<'_>, (meter, side): (MeterId, Side), more: u32) {
    *book.used_mut(meter, side) += more;
    if slot.is_limited {
        grid.add(slot.key.slot, (meter, side), more);
    }
}

/// A meter has less open or traded.
#[inline(always)]
pub(crate) fn use_less((book, grid, slot): Uses<'_>, (meter, side): (MeterId, Side), less: u32) {
    *book.used_mut(meter, side) -= less;
    if slot.is_limited {
        grid.take(slot.key.slot, (meter, side), less);
    }
}

/// Watt-hours of the engine as energy.
#[inline(always)]
pub(crate) fn energy(wh: u32) -> Energy {
    Energy::from_wh(u64::from(wh))
}
