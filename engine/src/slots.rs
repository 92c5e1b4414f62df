//! Which slots are known, the phase of each, and the books of those that are open.

use types::{Phase, Price, RejectReason, SlotKey, Timestamp};

use crate::{
    book::Book,
    index::{NONE, at, low, next_index},
    registry::Market,
};

/// Up to so many books keep their tables from one slot to the next, so that opening one allocates
/// nothing: ten days of quarter hours.
const BOOKS_WARM_MAX: usize = 1_024;

/// A slot that has been opened at some time. Slots are never forgotten: 64 bytes each, of which a
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
    /// Whether the grid has a limit, or had one, for what is traded in it.
    pub(crate) is_limited: bool,
}

const _: () = assert!(size_of::<Slot>() == 64);

/// All slots, found by their keys.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    by_key: Table,
    books: Vec<Book>,
    /// Books that wait for their next slot.
    books_free: Vec<u32>,
    books_max: u32,
}

impl Slots {
    pub(crate) fn new(books_max: u32) -> Self {
        Self { books_max, ..Self::default() }
    }

    /// Index of a slot that has been opened at some time.
    #[inline(always)]
    pub(crate) fn find(&self, key: SlotKey) -> Option<u32> {
        self.by_key.find(key)
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "hot; slots are never forgotten")]
    pub(crate) fn slot(&self, index: u32) -> &Slot {
        &self.slots[at(index)]
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "slots are never forgotten")]
    pub(crate) fn slot_mut(&mut self, index: u32) -> &mut Slot {
        &mut self.slots[at(index)]
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "hot; an open slot has a book")]
    pub(crate) fn book(&self, index: u32) -> &Book {
        &self.books[at(index)]
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "hot; an open slot has a book")]
    pub(crate) fn book_mut(&mut self, index: u32) -> &mut Book {
        &mut self.books[at(index)]
    }

    /// The book of a slot, unless it is closed.
    #[inline(always)]
    pub(crate) fn book_if_open(&self, slot: &Slot) -> Option<&Book> {
        self.books.get(at(slot.book)) // NONE is beyond all of them.
    }

    /// How many slots were ever opened.
    pub(crate) fn len(&self) -> u32 {
        next_index(self.slots.len())
    }

    /// An open slot and its book.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "hot; an open slot has a book")]
    pub(crate) fn open_mut(&mut self, index: u32) -> (&mut Slot, &mut Book) {
        let slot = &mut self.slots[at(index)];
        let book = &mut self.books[at(slot.book)];
        (slot, book)
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
    ) -> Result<(), RejectReason> {
        if self.find(key).is_some() {
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
            is_limited: false,
        });
        self.by_key.insert(key, index);
        Ok(())
    }

    /// Closes a slot; its book, empty by now, waits for the next one. Of many books each waits long, and
    /// not with the tables of a slot that was traded: the next slot is the furthest away.
    pub(crate) fn close(&mut self, index: u32) {
        let slot = self.slot_mut(index);
        slot.phase = Phase::Closed;
        let book = core::mem::replace(&mut slot.book, NONE);
        if self.books.len() > BOOKS_WARM_MAX {
            self.book_mut(book).release();
        }
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

/// Finds a slot by its key: open addressing, at most half full. Neighbours in time are spread by the
/// multiplication, so days that follow one another do not crowd.
#[derive(Debug, Default)]
struct Table {
    /// The key as one number and the slot's index, or [`NONE`]; a power of two of them.
    cells: Vec<(u64, u32)>,
    used: usize,
}

/// A slot key as one number.
#[inline(always)]
const fn packed(key: SlotKey) -> u64 {
    #[expect(clippy::as_conversions, reason = "widening loses nothing")]
    let packed = ((key.market.get() as u64) << 48)
        | ((key.slot.start_minute() as u64) << 16)
        | key.slot.minutes() as u64;
    packed
}

/// Where to begin to look: the high bits of a product with an odd number near 2^64 / φ.
#[inline(always)]
fn first_cell(packed: u64, mask: usize) -> usize {
    let mixed = packed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    at(low(mixed)) & mask
}

impl Table {
    #[inline(always)]
    fn find(&self, key: SlotKey) -> Option<u32> {
        let mask = self.cells.len().checked_sub(1)?;
        let packed = packed(key);
        let mut cell = first_cell(packed, mask);
        loop {
            let &(known, slot) = self.cells.get(cell)?;
            if slot == NONE {
                return None;
            }
            if known == packed {
                return Some(slot);
            }
            cell = (cell + 1) & mask;
        }
    }

    fn insert(&mut self, key: SlotKey, slot: u32) {
        if (self.used + 1) * 2 > self.cells.len() {
            let doubled = vec![(0, NONE); (self.cells.len() * 2).max(256)];
            let old = core::mem::replace(&mut self.cells, doubled);
            for (packed, slot) in old.into_iter().filter(|&(_, slot)| slot != NONE) {
                self.put(packed, slot);
            }
        }
        self.used += 1;
        self.put(packed(key), slot);
    }

    fn put(&mut self, packed: u64, slot: u32) {
        let mask = self.cells.len() - 1;
        let mut cell = first_cell(packed, mask);
        while let Some(entry) = self.cells.get_mut(cell) {
            if entry.1 == NONE {
                *entry = (packed, slot);
                return;
            }
            cell = (cell + 1) & mask;
        }
    }
}
