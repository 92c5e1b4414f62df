//! Looking ahead: the lines that coming commands need are asked for while others are applied.
//!
//! A book that has outgrown the cache costs a miss for the order, its level, the end of its queue
//! and the meter's capacity. Whoever has the next commands at hand says so twice: some ten commands
//! before, when nothing of them may be in the cache, and some four before, when the lines of the
//! first time have arrived and lead to the next.

use types::{Command, NewOrder};

use crate::{book::Book, engine::Engine, orders::Order, prefetch::prefetch};

/// Below this many open orders the books are in the cache, and asking for them would only cost. An
/// order that is cancelled may still be far away: it lies among all that were ever accepted.
const ORDERS_IN_CACHE: u32 = 4_096;

impl Engine {
    /// How many commands before its turn to [`Engine::anticipate`] a command.
    pub const FAR: usize = 12;
    /// How many commands before its turn to [`Engine::expect`] it.
    pub const NEAR: usize = 5;

    /// Says that a command comes in about ten. Changes nothing.
    #[inline(always)]
    pub fn anticipate(&self, coming: &Command) {
        if let Command::CancelOrder(cancel) = coming {
            if let Some(number) = self.orders.number(cancel.order) {
                prefetch(self.orders.get(number));
            }
        } else if let Some(order) = coming.new_order()
            && self.orders.open() >= ORDERS_IN_CACHE
        {
            self.prefetch_level(order);
            if let Command::DelegatedOrder(_) = coming {
                self.delegations.prefetch(order.meter);
            }
        }
    }

    /// Says that a command comes in about four. Changes nothing.
    #[inline(always)]
    pub fn expect(&self, coming: &Command) {
        if self.orders.open() >= ORDERS_IN_CACHE {
            self.prefetch_second(coming);
        }
    }

    /// What a new order touches of its book.
    fn prefetch_level(&self, order: &NewOrder) {
        if let Some((book, rank)) = self.place_of(order) {
            book.prefetch_used(order.meter);
            prefetch(book.ladder(order.side).level(rank));
        }
    }

    fn prefetch_second(&self, coming: &Command) {
        if let Command::CancelOrder(cancel) = coming {
            if let Some(number) = self.orders.number(cancel.order) {
                self.prefetch_place(self.orders.get(number));
            }
        } else if let Some(order) = coming.new_order()
            && let Some((book, rank)) = self.place_of(order)
        {
            prefetch(self.orders.get(book.ladder(order.side).level(rank).tail));
        }
    }

    /// What leaving its book touches of an order.
    #[inline(always)]
    fn prefetch_place(&self, order: &Order) {
        if let Some(book) = self.slots.book_if_open(self.slots.slot(order.slot)) {
            book.prefetch_used(order.meter);
            prefetch(book.ladder(order.side()).level(book.rank(order.side(), order.level)));
        }
    }

    /// The book and rank where a limit order would rest.
    #[inline(always)]
    fn place_of(&self, order: &NewOrder) -> Option<(&Book, u32)> {
        let slot = self.slots.slot(self.slots.find(order.key)?);
        let book = self.slots.book_if_open(slot)?;
        let level = self.registry.market(slot.market).level_of(order.limit).ok()?;
        Some((book, book.rank_of_limit(order.side, level)))
    }
}
