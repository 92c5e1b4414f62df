//! Which accepted order has a platform's own number: the one hash table of the engine.
//!
//! Open addressing with a fixed mixing function. 512 successive numbers of a platform share a page
//! and lie there in order, because that is how platforms count: the next number's cell is in the
//! cache already. Numbers that come at wide intervals are spread evenly instead. A collision moves
//! on by a page and a cell. A cell is 32 bits of the mix and the order's number; the order's record
//! has the last word. Entries stay for as long as the records do, since a repeated number must be
//! recognised for ever: 8 bytes × at most 4 cells per accepted order.

use types::{ClientOrderId, PlatformId};

use crate::{
    index::{at, low},
    orders::OrderLog,
};

/// How many successive numbers lie together: 512 cells × 8 bytes = one page of 4 KiB.
const RUN_BITS: u32 = 9;
const RUN: u64 = 1 << RUN_BITS;
/// From one cell to the next to try: a run further, so that a run that meets another does not try
/// each of its cells. Odd, so that every cell is reached.
const STEP: usize = (1 << RUN_BITS) + 1;
/// Records moved into a grown table with each insertion. The next growth is as many insertions
/// away as there are records to move, so one would do.
const MOVES: u32 = 4;

/// The high half of a cell: bits of the mix.
const TAG: u64 = 0xFFFF_FFFF_0000_0000;

/// A number that no order has yet: what [`ClientIds::insert`] needs to add one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vacancy {
    hash: u64,
}

/// The table. While it grows there are two: the old one answers for records not moved yet.
#[derive(Debug)]
pub(crate) struct ClientIds {
    cells: Vec<u64>,
    old: Vec<u64>,
    /// Orders up to this number are in `cells`.
    moved: u32,
    /// Orders up to this number are in `old` as well.
    old_len: u32,
}

impl ClientIds {
    /// A table for at least `orders` orders before it grows.
    pub(crate) fn new(orders: u32) -> Self {
        let cells = (at(orders) * 2).next_power_of_two().max(16);
        Self { cells: vec![0; cells], old: Vec::new(), moved: 0, old_len: 0 }
    }

    /// Makes the table large enough for `orders` orders and touches its memory, before the first.
    pub(crate) fn prefault(&mut self, orders: u32) {
        let larger = Self::new(orders);
        if larger.cells.len() > self.cells.len() {
            *self = larger;
        }
        core::hint::black_box(&mut self.cells).fill(0);
    }

    /// The number of the accepted order that `platform` calls `client_order`.
    #[inline]
    pub(crate) fn find(
        &self,
        orders: &OrderLog,
        platform: PlatformId,
        client_order: ClientOrderId,
    ) -> Result<u32, Vacancy> {
        let hash = mix(platform, client_order);
        let is_it = |number| {
            let order = orders.get(number);
            order.client_order == client_order && order.platform == platform
        };
        let found = search(&self.cells, hash, is_it).or_else(|| search(&self.old, hash, is_it));
        found.ok_or(Vacancy { hash })
    }

    /// Enters the order just appended to `orders`.
    #[inline]
    pub(crate) fn insert(&mut self, orders: &OrderLog, vacancy: Vacancy) {
        let number = orders.len();
        if at(number) * 2 > self.cells.len() {
            self.grow(number - 1);
        }
        if self.moved < self.old_len {
            self.move_some(orders);
        }
        put(&mut self.cells, vacancy.hash, number);
    }

    #[cold]
    fn grow(&mut self, len: u32) {
        assert!(self.moved >= self.old_len, "the table fills faster than it moves");
        let doubled = vec![0; self.cells.len() * 2];
        self.old = core::mem::replace(&mut self.cells, doubled);
        self.old_len = len;
        self.moved = 0;
    }

    #[cold]
    fn move_some(&mut self, orders: &OrderLog) {
        let until = self.old_len.min(self.moved + MOVES);
        for number in self.moved + 1..=until {
            let order = orders.get(number);
            put(&mut self.cells, mix(order.platform, order.client_order), number);
        }
        self.moved = until;
        if until == self.old_len {
            self.old = Vec::new();
        }
    }
}

/// The cell's index in the low bits, the tag in the high ones. The constants are those of
/// `SplitMix64` (Steele, Lea and Flood, 2014).
#[inline]
fn mix(platform: PlatformId, client_order: ClientOrderId) -> u64 {
    let number = client_order.get();
    let mut hash = (number >> RUN_BITS) ^ u64::from(platform.get()).rotate_left(48);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^= hash >> 31;
    // Where in its run a run begins differs, so that multiples of 512 do not all meet.
    let cell = number.wrapping_add(hash >> 32) % RUN;
    (hash & !(RUN - 1)) | cell
}

#[inline]
fn search(cells: &[u64], hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
    let mask = cells.len().checked_sub(1)?;
    let mut cell = at(low(hash)) & mask;
    loop {
        let &entry = cells.get(cell)?;
        if entry == 0 {
            return None;
        }
        if (entry ^ hash) & TAG == 0 && is_it(low(entry)) {
            return Some(low(entry));
        }
        cell = (cell + STEP) & mask;
    }
}

#[inline]
fn put(cells: &mut [u64], hash: u64, number: u32) {
    let mask = cells.len() - 1;
    let mut cell = at(low(hash)) & mask;
    while let Some(entry) = cells.get_mut(cell) {
        if *entry == 0 {
            *entry = (hash & TAG) | u64::from(number);
            return;
        }
        cell = (cell + STEP) & mask;
    }
}
