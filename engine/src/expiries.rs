//! Orders with a last instant, the earliest first.

use std::{cmp::Reverse, collections::BinaryHeap};

use types::{CancelReason, Event, Timestamp};

use crate::engine::Engine;

/// Last instants and numbers of orders, including those of orders that are done by now.
#[derive(Debug, Default)]
pub(crate) struct Expiries(BinaryHeap<Reverse<(Timestamp, u32)>>);

impl Expiries {
    pub(crate) fn push(&mut self, expires: Timestamp, number: u32) {
        self.0.push(Reverse((expires, number)));
    }

    /// The earliest last instant.
    #[inline]
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.0.peek().map(|&Reverse((expires, _))| expires)
    }

    /// An order whose last instant is before `time`.
    fn pop_before(&mut self, time: Timestamp) -> Option<u32> {
        let &Reverse((expires, number)) = self.0.peek()?;
        (expires < time).then(|| {
            self.0.pop();
            number
        })
    }
}

impl Engine {
    /// The earliest instant after which an order or an offer expires. Not later than that of any that
    /// is open.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.expiries.next().into_iter().chain(self.contracts.next_expiry()).min()
    }

    /// Cancels the orders whose last instant is before `time`.
    /// Rule T-36.
    #[cold]
    pub(crate) fn expire(&mut self, time: Timestamp, events: &mut Vec<Event>) {
        while let Some(number) = self.expiries.pop_before(time) {
            if !self.orders.get(number).is_done() {
                self.cancel(number, None, CancelReason::Expired, events);
            }
        }
    }
}
