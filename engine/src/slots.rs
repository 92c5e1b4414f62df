//! Which slots are known, the phase of each, and the books of those that are open.

use types::{Phase, Price, RejectReason, SlotKey, Timestamp};

use crate::{
    book::Book,
    index::{NONE, at, next_index},
    registry::Market,
};

/// A slot that has been opened at some time. Slots are never forgotten: 72 bytes each, of which a
/// market of quarter hours makes 96 a day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    /// Which one.
    pub(crate) key: SlotKey,
    /// Call, continuous or closed.
    pub(crate) phase: Phase,
    /// Index of its market.
    pub(crate) market: u16,
    /// Index of its book, or [`NONE`] once it is closed.
    pub(crate) book: u32,
    /// First instant at which orders are accepted.
    pub(crate) opens_at: Timestamp,
    /// Last instant at which orders are accepted.
    pub(crate) gate_closes_after: Timestamp,
    /// When the auction of a frozen slot is due.
    pub(crate) uncross_at: Timestamp,
    /// Price of its last trade or auction.
    pub(crate) last_price: Option<Price>,
    /// Whether its present call has been extended.
    pub(crate) extended: bool,
}

/// All slots, found through one small table per market.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    /// By market index.
    grids: Vec<Grid>,
    books: Vec<Book>,
    /// Books that wait for their next slot.
    books_free: Vec<u32>,
    books_max: u32,
}

impl Slots {
    pub(crate) fn new(books_max: u32) -> Self {
        Self { books_max, ..Self::default() }
    }

    /// Index of the slot at place `number` of the grid of the market with this index.
    #[inline]
    pub(crate) fn find(&self, market: u16, number: u32) -> Option<u32> {
        self.grids.get(usize::from(market))?.find(number)
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "hot; slots are never forgotten")]
    pub(crate) fn slot(&self, index: u32) -> &Slot {
        &self.slots[at(index)]
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "slots are never forgotten")]
    pub(crate) fn slot_mut(&mut self, index: u32) -> &mut Slot {
        &mut self.slots[at(index)]
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "hot; an open slot has a book")]
    pub(crate) fn book(&self, index: u32) -> &Book {
        &self.books[at(index)]
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "hot; an open slot has a book")]
    pub(crate) fn book_mut(&mut self, index: u32) -> &mut Book {
        &mut self.books[at(index)]
    }

    /// How many slots were ever opened.
    pub(crate) fn len(&self) -> u32 {
        next_index(self.slots.len())
    }

    /// All slots ever opened, in the order of opening.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    /// Opens a slot with an empty book in the call phase.
    pub(crate) fn open(
        &mut self,
        key: SlotKey,
        market_index: u16,
        market: &Market,
        number: u32,
    ) -> Result<(), RejectReason> {
        if self.find(market_index, number).is_some() {
            return Err(RejectReason::AlreadyRegistered);
        }
        let book = self.take_book().ok_or(RejectReason::RegistryFull)?;
        self.book_mut(book).reset(market.levels);
        let index = next_index(self.slots.len());
        self.slots.push(Slot {
            key,
            phase: Phase::Call,
            market: market_index,
            book,
            opens_at: market.definition.opens_at(key.slot),
            gate_closes_after: market.definition.gate_closes_after(key.slot),
            uncross_at: Timestamp::from_ns(0),
            last_price: None,
            extended: false,
        });
        let grids = usize::from(market_index) + 1;
        if self.grids.len() < grids {
            self.grids.resize_with(grids, Grid::default);
        }
        if let Some(grid) = self.grids.get_mut(usize::from(market_index)) {
            grid.insert(number, index);
        }
        Ok(())
    }

    /// Closes a slot; its book, empty by now, waits for the next one.
    pub(crate) fn close(&mut self, index: u32) {
        let slot = self.slot_mut(index);
        slot.phase = Phase::Closed;
        let book = core::mem::replace(&mut slot.book, NONE);
        self.books_free.push(book);
    }

    fn take_book(&mut self) -> Option<u32> {
        if let Some(book) = self.books_free.pop() {
            return Some(book);
        }
        let book = next_index(self.books.len());
        if book >= self.books_max {
            return None;
        }
        self.books.push(Book::default());
        Some(book)
    }
}

/// Finds a slot by its number in the market's grid of starts. A ring: neighbours in time are
/// neighbours in the table, so days that follow one another never collide.
#[derive(Debug, Default)]
struct Grid {
    /// Number and slot index, or [`NONE`]; a power of two of them, at most half used.
    cells: Vec<(u32, u32)>,
    used: usize,
}

impl Grid {
    #[inline]
    fn find(&self, number: u32) -> Option<u32> {
        let mask = self.cells.len().checked_sub(1)?;
        let mut cell = at(number) & mask;
        loop {
            let &(known, slot) = self.cells.get(cell)?;
            if slot == NONE {
                return None;
            }
            if known == number {
                return Some(slot);
            }
            cell = (cell + 1) & mask;
        }
    }

    fn insert(&mut self, number: u32, slot: u32) {
        if (self.used + 1) * 2 > self.cells.len() {
            let doubled = vec![(0, NONE); (self.cells.len() * 2).max(256)];
            let old = core::mem::replace(&mut self.cells, doubled);
            for (number, slot) in old.into_iter().filter(|&(_, slot)| slot != NONE) {
                self.put(number, slot);
            }
        }
        self.used += 1;
        self.put(number, slot);
    }

    fn put(&mut self, number: u32, slot: u32) {
        let mask = self.cells.len() - 1;
        let mut cell = at(number) & mask;
        while let Some(entry) = self.cells.get_mut(cell) {
            if entry.1 == NONE {
                *entry = (number, slot);
                return;
            }
            cell = (cell + 1) & mask;
        }
    }
}
