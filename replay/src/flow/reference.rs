//! A slow and obvious book: what every other one is compared with.

use std::collections::{BTreeMap, VecDeque};

use types::Side;

use super::{Flow, FlowKind, FlowOperation, FlowResult};

/// Books with price-time priority: the best price trades first, at one price the oldest order, and
/// always at the price of the order that rests.
#[derive(Debug, Clone)]
pub struct ReferenceBooks {
    books: Vec<Book>,
    /// Where each order rests, from id 1 on; `None` once it does not.
    orders: Vec<Option<Resting>>,
}

/// A match with an order that rested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fill {
    pub(crate) maker: u64,
    pub(crate) price: u32,
    pub(crate) quantity: u32,
}

#[derive(Debug, Clone, Default)]
struct Book {
    bids: Levels,
    asks: Levels,
    /// Ids of the orders that rest, in no order: the generator draws from them.
    ids: Vec<u64>,
}

/// Queues by price: the id and what is left of each order, oldest first.
type Levels = BTreeMap<u32, VecDeque<(u64, u32)>>;

#[derive(Debug, Clone, Copy)]
struct Resting {
    book: u16,
    side: Side,
    price: u32,
    /// Its place among the ids of the book.
    place: usize,
}

impl ReferenceBooks {
    /// Empty books.
    #[must_use]
    pub fn new(books: u32) -> Self {
        let books = (0..books).map(|_| Book::default()).collect();
        Self { books, orders: Vec::new() }
    }

    /// What a flow leads to.
    #[must_use]
    pub fn result_of(flow: &Flow) -> FlowResult {
        let mut books = Self::new(flow.header().book_count);
        let mut result = FlowResult::default();
        flow.operations().iter().for_each(|operation| books.apply(operation, &mut result));
        books.finish(&mut result);
        result
    }

    /// Applies one operation of a checked flow. To cancel an order that no longer rests does nothing.
    ///
    /// # Panics
    /// When the book does not exist, or ids are not dense: no checked flow has either.
    pub fn apply(&mut self, operation: &FlowOperation, result: &mut FlowResult) {
        self.apply_each(operation, &mut |fill| {
            result.fill(operation.id, fill.maker, fill.price, fill.quantity);
        });
    }

    /// As [`Self::apply`], telling of each fill.
    pub(crate) fn apply_each(&mut self, operation: &FlowOperation, each: &mut dyn FnMut(&Fill)) {
        match operation.kind {
            FlowKind::New => {
                self.orders.push(None);
                let left = self.trade(operation, each);
                if left > 0 {
                    self.rest(operation, left);
                }
            }
            FlowKind::ImmediateOrCancel => {
                self.orders.push(None);
                self.trade(operation, each);
            }
            FlowKind::Cancel => self.cancel(operation.id),
        }
    }

    /// Counts the best prices of all books.
    pub fn finish(&self, result: &mut FlowResult) {
        self.books.iter().for_each(|book| result.fold_best_prices(book.bid(), book.ask()));
    }

    /// Price of the best order that `taker` could trade with.
    pub(super) fn best_against(&self, book: u16, taker: Side) -> Option<u32> {
        self.book(book).best_against(taker)
    }

    /// How many orders rest in a book.
    pub(super) fn resting(&self, book: u16) -> usize {
        self.book(book).ids.len()
    }

    /// One of the orders that rest in a book, as a cancellation of it.
    pub(super) fn cancellation(&self, book: u16, place: usize) -> Option<FlowOperation> {
        let &id = self.book(book).ids.get(place)?;
        let Resting { side, price, .. } = self.order(id)?;
        let kind = FlowKind::Cancel;
        Some(FlowOperation { id, price, quantity: 0, account: 0, book, kind, side })
    }

    /// Trades while prices meet; returns what is left.
    fn trade(&mut self, taker: &FlowOperation, each: &mut dyn FnMut(&Fill)) -> u32 {
        let mut left = taker.quantity;
        while left > 0 {
            let book = self.book_mut(taker.book);
            let Some(price) = book.best_against(taker.side).filter(|&price| meets(taker, price))
            else {
                break;
            };
            let levels = book.levels_mut(taker.side.opposite());
            let Some(queue) = levels.get_mut(&price) else { break };
            let Some((maker, maker_left)) = queue.front_mut() else { break };
            let quantity = left.min(*maker_left);
            left -= quantity;
            *maker_left -= quantity;
            let (maker, maker_left) = (*maker, *maker_left);
            each(&Fill { maker, price, quantity });
            if maker_left == 0 {
                queue.pop_front();
                if queue.is_empty() {
                    levels.remove(&price);
                }
                self.forget(maker);
            }
        }
        left
    }

    fn rest(&mut self, order: &FlowOperation, left: u32) {
        let &FlowOperation { id, price, book, side, .. } = order;
        let into = self.book_mut(book);
        into.levels_mut(side).entry(price).or_default().push_back((id, left));
        let place = into.ids.len();
        into.ids.push(id);
        let last = u64::try_from(self.orders.len()).unwrap_or(u64::MAX);
        assert!(last == id, "order {id} comes after {} others", last.saturating_sub(1));
        *self.order_mut(id) = Some(Resting { book, side, price, place });
    }

    fn cancel(&mut self, id: u64) {
        let Some(Resting { book, side, price, .. }) = self.order(id) else { return };
        let levels = self.book_mut(book).levels_mut(side);
        if let Some(queue) = levels.get_mut(&price) {
            queue.retain(|&(queued, _)| queued != id);
            if queue.is_empty() {
                levels.remove(&price);
            }
        }
        self.forget(id);
    }

    /// Takes an order off the ids of its book; the last one moves to its place.
    fn forget(&mut self, id: u64) {
        let Some(Resting { book, place, .. }) = self.order_mut(id).take() else { return };
        let ids = &mut self.book_mut(book).ids;
        ids.swap_remove(place);
        if let Some(&moved) = ids.get(place)
            && let Some(moved) = self.order_mut(moved)
        {
            moved.place = place;
        }
    }

    /// Makes an order that rests smaller where it stands; what is left of it must be above zero.
    #[cfg(test)]
    pub(crate) fn reduce(&mut self, id: u64, by: u32) {
        let Some(Resting { book, side, price, .. }) = self.order(id) else { return };
        let queue = self.book_mut(book).levels_mut(side).get_mut(&price);
        let found = queue.and_then(|queue| queue.iter_mut().find(|(queued, _)| *queued == id));
        if let Some((_, left)) = found {
            *left -= by;
        }
    }

    /// What is left of an order that rests.
    #[cfg(test)]
    pub(crate) fn left(&self, id: u64) -> Option<u32> {
        let Resting { book, side, price, .. } = self.order(id)?;
        let book = self.book(book);
        let levels = if side == Side::Buy { &book.bids } else { &book.asks };
        let found = levels.get(&price)?.iter().find(|(queued, _)| *queued == id);
        found.map(|(_, left)| *left)
    }

    fn order(&self, id: u64) -> Option<Resting> {
        *self.orders.get(index_of(id)?)?
    }

    #[expect(clippy::indexing_slicing, reason = "ids are dense: part of the contract")]
    fn order_mut(&mut self, id: u64) -> &mut Option<Resting> {
        &mut self.orders[index_of(id).unwrap_or(usize::MAX)]
    }

    #[expect(clippy::indexing_slicing, reason = "the book exists: part of the contract")]
    fn book(&self, book: u16) -> &Book {
        &self.books[usize::from(book)]
    }

    #[expect(clippy::indexing_slicing, reason = "the book exists: part of the contract")]
    fn book_mut(&mut self, book: u16) -> &mut Book {
        &mut self.books[usize::from(book)]
    }
}

impl Book {
    fn bid(&self) -> Option<u32> {
        self.bids.last_key_value().map(|(&price, _)| price)
    }

    fn ask(&self) -> Option<u32> {
        self.asks.first_key_value().map(|(&price, _)| price)
    }

    fn best_against(&self, taker: Side) -> Option<u32> {
        match taker {
            Side::Buy => self.ask(),
            Side::Sell => self.bid(),
        }
    }

    const fn levels_mut(&mut self, side: Side) -> &mut Levels {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }
}

fn meets(taker: &FlowOperation, price: u32) -> bool {
    match taker.side {
        Side::Buy => price <= taker.price,
        Side::Sell => price >= taker.price,
    }
}

fn index_of(id: u64) -> Option<usize> {
    usize::try_from(id).ok()?.checked_sub(1)
}
