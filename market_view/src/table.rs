//! Which cell belongs to which slot: a table of keys that is searched without locks.
//!
//! A key is one word, so it is read whole. The slot it stands for has the cell of the same index,
//! and the cell repeats the key among the words its version covers: that copy decides.

use core::fmt;

use types::{DeliverySlot, MarketId, SlotKey};

use super::{
    seqlock::{Cell, Cells, Overtaken, Version, Words},
    sync::{AtomicU64, Ordering},
};

/// More slots are open than the table was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoCell;

impl fmt::Display for NoCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("every cell of the market view has a slot")
    }
}

impl core::error::Error for NoCell {}

/// A slot's key as one word. Never 0, as no slot lasts 0 minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyWord(pub(super) u64);

/// No slot.
const FREE: u64 = 0;

impl KeyWord {
    #[inline]
    pub(super) fn new(key: SlotKey) -> Self {
        let market = u64::from(key.market.get()) << 48;
        let start = u64::from(key.slot.start_minute()) << 16;
        Self(market | start | u64::from(key.slot.minutes()))
    }

    /// The key this is the word of; `None` for [`FREE`].
    fn key(self) -> Option<SlotKey> {
        let [m0, m1, s0, s1, s2, s3, d0, d1] = self.0.to_be_bytes();
        let start_minute = u32::from_be_bytes([s0, s1, s2, s3]);
        let slot = DeliverySlot::new(start_minute, u16::from_be_bytes([d0, d1])).ok()?;
        Some(SlotKey { market: MarketId::new(u16::from_be_bytes([m0, m1])), slot })
    }
}

/// Keys and cells, as readers see them.
pub(super) struct Table {
    keys: Box<[AtomicU64]>,
    cells: Cells,
}

/// Keys and cells, as the writer remembers them. It never reads what it shares, so a line comes back
/// from a reader's cache only to be changed.
pub(super) struct TableWriter {
    keys: Box<[u64]>,
    /// Words of all cells.
    known: Box<[u64]>,
    /// Words of each.
    words: usize,
}

impl TableWriter {
    /// For [`Table::new`] with the same numbers.
    pub(super) fn new(slots: usize, words: usize) -> Self {
        Self {
            keys: (0..slots).map(|_| FREE).collect(),
            known: vec![0; slots * words].into(),
            words,
        }
    }

    /// Replaces the words of the slot whose key is the first of them.
    ///
    /// # Errors
    /// When the slot has no cell yet and none is free.
    #[inline]
    pub(super) fn publish(
        &mut self,
        table: &Table,
        version: Version,
        words: &[u64],
    ) -> Result<(), NoCell> {
        let key = words.first().copied().unwrap_or(FREE);
        if let Some(index) = self.search(key, key) {
            self.write(table, index, version, words);
            return Ok(());
        }
        let index = self.search(FREE, key).ok_or(NoCell)?;
        self.write(table, index, version, words);
        // Release pairs with the acquire in `Table::keys`: who lists the key finds the words.
        self.enter(table, index, key, Ordering::Release);
        Ok(())
    }

    /// Frees the slot's cell, if it has one. The words stay until another slot takes it: a reader on
    /// its way there still copies the last book, of a slot that was shown when it looked.
    pub(super) fn retire(&mut self, table: &Table, key: KeyWord) -> bool {
        let Some(index) = self.search(key.0, key.0) else { return false };
        self.enter(table, index, FREE, Ordering::Relaxed);
        true
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "as many cells as keys")]
    fn write(&mut self, table: &Table, index: usize, version: Version, words: &[u64]) {
        let known = &mut self.known[index * self.words..][..self.words];
        table.cells.get(index).write(version, known, words);
    }

    #[expect(clippy::indexing_slicing, reason = "the index comes from a search of the keys")]
    fn enter(&mut self, table: &Table, index: usize, key: u64, ordering: Ordering) {
        self.keys[index] = key;
        table.keys[index].store(key, ordering);
    }

    /// First entry with `wanted`, beginning at the home of `key`.
    #[inline]
    fn search(&self, wanted: u64, key: u64) -> Option<usize> {
        let (before, after) = self.keys.split_at_checked(home(key, self.keys.len()))?;
        let found = after.iter().position(|&known| known == wanted);
        found
            .map(|index| before.len() + index)
            .or_else(|| before.iter().position(|&known| known == wanted))
    }
}

impl Table {
    /// `slots` cells, each of a key and more words: `words` together.
    pub(super) fn new(slots: usize, words: usize) -> Self {
        let keys = (0..slots).map(|_| AtomicU64::new(FREE)).collect();
        Self { keys, cells: Cells::new(slots, words) }
    }

    /// Copies words of the slot with this key, beginning behind the key. `None` when the slot had no
    /// cell at some moment of the call.
    ///
    /// # Errors
    /// When the writer came between every time.
    #[inline]
    pub(super) fn read<T>(
        &self,
        key: KeyWord,
        mut copy: impl FnMut(&mut Words<'_>) -> T,
    ) -> Result<Option<(Version, T)>, Overtaken> {
        for cell in self.search(key) {
            let copied = cell.read(|words| (words.next() == key.0).then(|| copy(words)))?;
            // Another key: the cell was given to another slot after its index was found.
            if let (version, Some(copied)) = copied {
                return Ok(Some((version, copied)));
            }
        }
        Ok(None)
    }

    /// The version of the slot with this key: odd while it is written, none when it has no cell.
    #[inline]
    pub(super) fn version(&self, key: KeyWord) -> Version {
        self.search(key).next().map_or(Version::NONE, Cell::version)
    }

    /// Keys that had a cell at some moment of the call, in the order of the table.
    pub(super) fn keys(&self) -> impl Iterator<Item = SlotKey> {
        self.keys.iter().filter_map(|entry| KeyWord(entry.load(Ordering::Acquire)).key())
    }

    /// As [`Table::keys`], those whose cell has a later version than `since` or is being written.
    ///
    /// Relaxed is enough for the version: who has read `latest` before finds at least the version of
    /// every publication up to it.
    pub(super) fn keys_since(&self, since: Version) -> impl Iterator<Item = SlotKey> {
        self.keys.iter().enumerate().filter_map(move |(index, entry)| {
            let key = KeyWord(entry.load(Ordering::Acquire)).key()?;
            (self.cells.get(index).version() > since).then_some(key)
        })
    }

    /// Cells whose entry is `key`, once around from its home. A key keeps its place, so this finds
    /// every key that is there all the time; it cannot stop early, as keys that went leave gaps.
    ///
    /// Relaxed is enough: a cell that is found before its words says that it is not the slot's.
    #[inline]
    fn search(&self, key: KeyWord) -> impl Iterator<Item = Cell<'_>> {
        let home = home(key.0, self.keys.len());
        let entries = self.keys.iter().enumerate();
        let around = entries.clone().skip(home).chain(entries.take(home));
        around
            .filter(move |(_, entry)| entry.load(Ordering::Relaxed) == key.0)
            .map(|(index, _)| self.cells.get(index))
    }
}

/// Where the search for a key begins in a table of `entries`: anywhere, but spread evenly.
#[inline]
pub(super) fn home(key: u64, entries: usize) -> usize {
    // 2^64 divided by the golden ratio; the high half of the product, scaled to the table.
    let spread = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let scaled = u64::try_from(entries).map_or(0, |entries| (spread * entries) >> 32);
    usize::try_from(scaled).unwrap_or(0)
}
