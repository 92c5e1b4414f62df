//! Looking ahead: the lines that coming commands need are asked for while others are applied.
//!
//! A book that has outgrown the cache costs a miss for the order, its level, the end of its queue
//! and the meter's capacity. Whoever has the next commands at hand says so twice: some ten commands
//! before, when nothing of them may be in the cache, and some four before, when the lines of the
//! first time have arrived and lead to the next.

use types::{Command, SlotKey};

use crate::{book::Book, engine::Engine, index::NONE, orders::Order, prefetch::prefetch};

impl Engine {
    /// Says that a command comes in about ten. Changes nothing.
    #[inline]
    pub fn anticipate(&self, coming: &Command) {
        if let Command::CancelOrder(cancel) = coming {
            if let Some(number) = self.orders.number(cancel.order) {
                prefetch(self.orders.get(number));
            }
        } else if let Command::NewOrder(signed) = coming
            && let Some(book) = self.book_of(signed.order.key)
        {
            book.prefetch_used(signed.order.meter);
            if let Some(market) = self.registry.market_index(signed.order.key.market)
                && let Ok(level) = self.registry.market(market).level_of(signed.order.limit)
            {
                let rank = book.rank(signed.order.side, level);
                prefetch(book.ladder(signed.order.side).level(rank));
            }
        }
    }

    /// Says that a command comes in about four. Changes nothing.
    #[inline]
    pub fn expect(&self, coming: &Command) {
        if let Command::CancelOrder(cancel) = coming {
            if let Some(number) = self.orders.number(cancel.order) {
                self.prefetch_place(self.orders.get(number));
            }
        } else if let Command::NewOrder(signed) = coming
            && let Some(book) = self.book_of(signed.order.key)
            && let Some(market) = self.registry.market_index(signed.order.key.market)
            && let Ok(level) = self.registry.market(market).level_of(signed.order.limit)
        {
            let side = signed.order.side;
            let tail = book.ladder(side).level(book.rank(side, level)).tail;
            if tail != crate::orders::NOBODY {
                prefetch(self.orders.get(tail));
            }
        }
    }

    /// What leaving its book touches of an order.
    #[inline]
    fn prefetch_place(&self, order: &Order) {
        let book = self.slots.slot(order.slot).book;
        if book != NONE {
            let book = self.slots.book(book);
            book.prefetch_used(order.meter);
            prefetch(book.ladder(order.side()).level(book.rank(order.side(), order.level)));
        }
    }

    #[inline]
    fn book_of(&self, key: SlotKey) -> Option<&Book> {
        let index = self.find_slot(key).ok()??;
        let book = self.slots.slot(index).book;
        (book != NONE).then(|| self.slots.book(book))
    }
}
