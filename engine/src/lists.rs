//! Blocks and baskets: orders over several slots that fill all together or not at all.
//!
//! Each order of a list is admitted and accepted by itself and then waits outside its book, holding
//! capacity and credit. The last one sets the list off.

use std::collections::BTreeMap;

use types::{
    CancelReason, ClientOrderId, Conditions, Event, ListKind, NewOrder, OrderKind, OrderList,
    PlatformId, RejectReason, Side, TimeInForce,
};

use crate::{
    engine::Engine,
    index::{NONE, at, next_index},
    limits::LIST_TRADES_MAX,
    orders::{Order, Place, Traits},
};

/// Where a list stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListState {
    /// Some of its orders are still to come.
    Collecting,
    /// A block that cannot fill yet.
    Waiting,
    /// Filled, cancelled or refused.
    Over,
}

/// A block or basket.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) platform: PlatformId,
    pub(crate) sent: OrderList,
    pub(crate) state: ListState,
    /// Its orders so far, in order of arrival and so of number.
    pub(crate) orders: Vec<u32>,
}

impl List {
    /// Number of the last of its orders that arrived: its place among the blocks of a slot.
    fn last(&self) -> u32 {
        self.orders.last().copied().unwrap_or(0)
    }
}

/// Every list there ever was: its orders are refused when they come again.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    lists: Vec<List>,
    by_number: BTreeMap<(PlatformId, ClientOrderId), u32>,
}

impl Lists {
    #[expect(clippy::indexing_slicing, reason = "lists are never forgotten")]
    pub(crate) fn get(&self, index: u32) -> &List {
        &self.lists[at(index)]
    }

    #[expect(clippy::indexing_slicing, reason = "lists are never forgotten")]
    fn get_mut(&mut self, index: u32) -> &mut List {
        &mut self.lists[at(index)]
    }

    fn find(&self, platform: PlatformId, sent: &OrderList) -> Option<u32> {
        self.by_number.get(&(platform, sent.number)).copied()
    }

    /// Adds a list.
    pub(crate) fn put(&mut self, list: List) -> u32 {
        let index = next_index(self.lists.len());
        self.by_number.insert((list.platform, list.sent.number), index);
        self.lists.push(list);
        index
    }

    /// All lists, in the order of their first orders.
    pub(crate) fn in_order(&self) -> &[List] {
        &self.lists
    }

    /// All lists, by platform and number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &List> {
        self.by_number.values().map(|&index| self.get(index))
    }
}

impl Engine {
    /// Whether an order fits the list it names.
    #[cold]
    pub(crate) fn check_list(
        &self,
        platform: PlatformId,
        order: &NewOrder,
        level: u32,
    ) -> Result<(), RejectReason> {
        let list = &order.list;
        let kind_fits = match list.kind {
            ListKind::Single => false,
            ListKind::Block => order.time_in_force == TimeInForce::UntilGate,
            ListKind::Basket => order.time_in_force == TimeInForce::FillOrKill,
        };
        let shape_fits = (1..=types::LIST_ORDERS_MAX).contains(&list.orders)
            && list.number.get() != 0
            && order.kind == OrderKind::Limit
            && order.conditions == Conditions::NONE;
        let joins = match self.lists.find(platform, list) {
            None => true,
            Some(index) => self.joins(self.lists.get(index), order, level),
        };
        if kind_fits && shape_fits && joins { Ok(()) } else { Err(RejectReason::InvalidList) }
    }

    /// Whether an order fits those of its list that have arrived.
    /// Rule T-75.
    fn joins(&self, list: &List, order: &NewOrder, level: u32) -> bool {
        if list.state != ListState::Collecting || list.sent != order.list {
            return false;
        }
        let slot_of = |number: u32| self.slots.slot(self.orders.get(number).slot);
        match (list.sent.kind, list.orders.last()) {
            (ListKind::Block, Some(&last)) => {
                let (known, key) = (self.orders.get(last), slot_of(last).key);
                known.meter == order.meter
                    && known.side() == order.side
                    && known.level == level
                    && key.market == order.key.market
                    && key.slot.end() == order.key.slot.start()
            }
            // Rule T-76.
            _ => list.orders.iter().all(|&number| slot_of(number).key != order.key),
        }
    }

    /// An accepted order of a list waits; the last one sets the list off.
    /// Rule T-77.
    #[cold]
    pub(crate) fn list(&mut self, number: u32, sent: &OrderList, events: &mut Vec<Event>) {
        let order = *self.orders.get(number);
        let found = self.lists.find(order.platform, sent);
        let index = found.unwrap_or_else(|| {
            let (platform, state) = (order.platform, ListState::Collecting);
            self.lists.put(List { platform, sent: *sent, state, orders: Vec::new() })
        });
        self.lists.get_mut(index).orders.push(number);
        self.orders.extra_mut(number).list = index;
        self.desk(order.slot).set_aside(number, Place::Waiting);
        if next_index(self.lists.get(index).orders.len()) < u32::from(sent.orders) {
            return;
        }
        if self.can_fill(index) {
            self.fill_list(index, events);
        } else if sent.kind == ListKind::Basket {
            self.cancel_list(index, CancelReason::FillOrKill, events);
        } else {
            self.lists.get_mut(index).state = ListState::Waiting;
            self.wait(index);
        }
    }

    /// Enters a block that waits into the books of its slots.
    pub(crate) fn wait(&mut self, index: u32) {
        let list = self.lists.get(index);
        for &number in &list.orders {
            let book = self.slots.slot(self.orders.get(number).slot).book;
            self.slots.book_mut(book).blocks.insert(list.last(), index);
        }
    }

    /// Whether all slots of a list are continuous and each of its orders would fill whole, without
    /// more trades than lists may make in one command.
    /// Rule T-78.
    ///
    /// The gate is a matter of sequenced time here too.
    fn can_fill(&mut self, index: u32) -> bool {
        let now = self.last_time;
        let numbers = self.lists.get(index).orders.clone();
        let mut trades = self.trades - self.trades_before;
        numbers.into_iter().all(|number| {
            let slot = self.orders.get(number).slot;
            let desk = self.desk(slot);
            if !desk.slot.is_continuous() || now > desk.slot.gate_closes_after {
                return false;
            }
            let taker = desk.taker(number);
            let made = desk.fills_whole_need(&taker, desk.reach(&taker), taker.party.leaves);
            trades = trades.saturating_add(made.unwrap_or(0));
            made.is_some() && trades <= LIST_TRADES_MAX
        })
    }

    /// Fills a list of which each order would fill whole.
    fn fill_list(&mut self, index: u32, events: &mut Vec<Event>) {
        self.end_list(index);
        for number in self.lists.get(index).orders.clone() {
            let slot = self.orders.get(number).slot;
            let mut desk = self.desk(slot);
            desk.take_out(number);
            let taker = desk.taker(number);
            self.enter(slot, taker, taker.party.client_order, events);
        }
    }

    /// Tries the blocks of a slot: those that an order at rest which wants to trade with `side` at
    /// `level` makes possible, or all of them.
    #[cold]
    pub(crate) fn try_blocks(
        &mut self,
        slot: u32,
        rested: Option<(Side, u32)>,
        events: &mut Vec<Event>,
    ) {
        let book = self.slots.book(self.slots.slot(slot).book);
        let blocks: Vec<u32> = book.blocks.values().copied().collect();
        for index in blocks {
            let list = self.lists.get(index);
            let reaches = rested.is_none_or(|(side, level)| {
                let first = list.orders.first().map(|&number| self.orders.get(number));
                let book = self.slots.book(self.slots.slot(slot).book);
                first.is_some_and(|order| {
                    order.side() == side && book.rank(side, order.level) <= book.reach(side, level)
                })
            });
            if list.state == ListState::Waiting && reaches && self.can_fill(index) {
                self.fill_list(index, events);
            }
        }
    }

    /// A list is over: nothing of it waits any longer.
    fn end_list(&mut self, index: u32) {
        self.lists.get_mut(index).state = ListState::Over;
        let list = self.lists.get(index);
        for &number in &list.orders {
            let book = self.slots.slot(self.orders.get(number).slot).book;
            if book != NONE {
                self.slots.book_mut(book).blocks.remove(&list.last());
            }
        }
    }

    /// Cancels what waits of a list, by number; how many.
    fn cancel_list(&mut self, index: u32, reason: CancelReason, events: &mut Vec<Event>) -> u32 {
        self.end_list(index);
        let mut cancelled = 0;
        for number in self.lists.get(index).orders.clone() {
            if !self.orders.get(number).is_done() {
                self.cancel(number, None, reason, events);
                cancelled += 1;
            }
        }
        cancelled
    }

    /// Cancels an open order and, if it belongs to a list, the rest of that; how many.
    /// Rule T-79.
    #[inline]
    pub(crate) fn cancel_with_list(
        &mut self,
        number: u32,
        client_order: Option<ClientOrderId>,
        reason: CancelReason,
        events: &mut Vec<Event>,
    ) -> u32 {
        self.cancel(number, client_order, reason, events);
        let order = self.orders.get(number);
        if !order.traits.has(Traits::LISTED) {
            return 1;
        }
        let index = self.orders.extra(order).list;
        1 + self.cancel_list(index, CancelReason::List, events)
    }

    /// An order of a list was refused: the list is over.
    /// Rule T-80.
    #[inline]
    pub(crate) fn break_list(
        &mut self,
        platform: PlatformId,
        sent: &OrderList,
        events: &mut Vec<Event>,
    ) {
        if sent.kind != ListKind::Single {
            self.break_known_list(platform, sent, events);
        }
    }

    #[cold]
    fn break_known_list(
        &mut self,
        platform: PlatformId,
        sent: &OrderList,
        events: &mut Vec<Event>,
    ) {
        if let Some(index) = self.lists.find(platform, sent)
            && self.lists.get(index).state == ListState::Collecting
        {
            self.cancel_list(index, CancelReason::List, events);
        }
    }

    /// The list of an order as sent.
    pub(crate) fn list_of(&self, order: &Order) -> OrderList {
        if order.traits.has(Traits::LISTED) {
            self.lists.get(self.orders.extra(order).list).sent
        } else {
            OrderList::NONE
        }
    }
}
