//! Which accepted order has a platform's own number: the one hash table of the engine.
//!
//! Open addressing with a fixed mixing function. 512 successive numbers of a platform share a page
//! and lie there in order, because that is how platforms count: the next number's cell is in the
//! cache already. A collision moves on by a number of pages that the mix decides. A cell is 32 bits
//! of the mix and the order's number; the order's record has the last word. Entries stay for as long
//! as the records do, since a repeated number must be recognised for ever: 8 bytes × at most 4 cells
//! per accepted order.
//!
//! The mixing function is public, so numbers that collide can be made up. A number therefore has 16
//! cells and no more; what finds them all taken is kept in an ordered map, in logarithmic time.

use std::collections::BTreeMap;

use types::{ClientOrderId, PlatformId};

use crate::{
    index::{at, low},
    orders::OrderLog,
};

/// How many successive numbers lie together: 512 cells × 8 bytes = one page of 4 KiB.
const RUN_BITS: u32 = 9;
const RUN: u64 = 1 << RUN_BITS;
/// Cells a number may be in. At most half of all cells are taken, so that without intent one number
/// in 2^16 finds no place among them.
const PROBES_MAX: usize = 16;
/// As many runs as probes: each probe is in another.
const CELLS_MIN: usize = PROBES_MAX << RUN_BITS;
/// Records moved into a grown table with each insertion. The next growth is as many insertions
/// away as there are records to move, so one would do.
const MOVES: u32 = 4;

/// The high half of a cell: bits of the mix.
const TAG: u64 = 0xFFFF_FFFF_0000_0000;

/// A number that no order has yet: what [`ClientIds::insert`] needs to add one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vacancy {
    hash: u64,
    /// The empty cell that was found; [`usize::MAX`] if there was none.
    cell: usize,
}

/// What the cells of a number hold.
enum Found {
    /// The order.
    Order(u32),
    /// Nothing yet; this is where it would be.
    Empty(usize),
    /// Sixteen others.
    Full,
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
    /// Numbers that found their cells taken.
    crowded: BTreeMap<(PlatformId, ClientOrderId), u32>,
}

impl ClientIds {
    /// A table for at least `orders` orders before it grows.
    pub(crate) fn new(orders: u32) -> Self {
        let cells = (at(orders) * 2).next_power_of_two().max(CELLS_MIN);
        let (cells, old) = (vec![0; cells], Vec::new());
        Self { cells, old, moved: 0, old_len: 0, crowded: BTreeMap::new() }
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
    #[inline(always)]
    pub(crate) fn find(
        &self,
        orders: &OrderLog,
        platform: PlatformId,
        client_order: ClientOrderId,
    ) -> Result<u32, Vacancy> {
        let hash = mix(platform, client_order);
        let cell = nth_cell(hash, 0, self.cells.len());
        // Nearly always: a new number, and nobody in its first cell.
        if self.old.is_empty() && self.cells.get(cell) == Some(&0) {
            return Err(Vacancy { hash, cell });
        }
        self.find_among(orders, (platform, client_order), hash)
    }

    #[inline(never)]
    fn find_among(
        &self,
        orders: &OrderLog,
        name: (PlatformId, ClientOrderId),
        hash: u64,
    ) -> Result<u32, Vacancy> {
        let is_it = |number| {
            let order = orders.get(number);
            (order.platform, order.client_order) == name
        };
        let mut vacancy = Vacancy { hash, cell: usize::MAX };
        let mut is_crowded = false;
        match search(&self.cells, hash, is_it) {
            Found::Order(number) => return Ok(number),
            Found::Empty(cell) => vacancy.cell = cell,
            Found::Full => is_crowded = true,
        }
        match search(&self.old, hash, is_it) {
            Found::Order(number) => return Ok(number),
            Found::Empty(_) => {}
            Found::Full => is_crowded = true,
        }
        let crowded = if is_crowded { self.crowded.get(&name) } else { None };
        crowded.copied().ok_or(vacancy)
    }

    /// Enters the order just appended to `orders`. Nothing was entered since the vacancy was found.
    #[inline(always)]
    pub(crate) fn insert(&mut self, orders: &OrderLog, vacancy: Vacancy) {
        let number = orders.len();
        let has_room = at(number) * 2 <= self.cells.len() && self.old.is_empty();
        match self.cells.get_mut(vacancy.cell) {
            Some(cell) if has_room => *cell = (vacancy.hash & TAG) | u64::from(number),
            Some(_) | None => self.insert_among(orders, vacancy.hash),
        }
    }

    #[inline(never)]
    fn insert_among(&mut self, orders: &OrderLog, hash: u64) {
        let number = orders.len();
        if at(number) * 2 > self.cells.len() {
            self.grow(number - 1);
        }
        if self.moved < self.old_len {
            self.move_some(orders);
        }
        self.put(orders, hash, number);
    }

    /// Enters an order into the first empty cell of its number.
    fn put(&mut self, orders: &OrderLog, hash: u64, number: u32) {
        if let Found::Empty(cell) = search(&self.cells, hash, |_| false)
            && let Some(cell) = self.cells.get_mut(cell)
        {
            *cell = (hash & TAG) | u64::from(number);
        } else {
            let order = orders.get(number);
            self.crowded.insert((order.platform, order.client_order), number);
        }
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
            self.put(orders, mix(order.platform, order.client_order), number);
        }
        self.moved = until;
        if until == self.old_len {
            self.old = Vec::new();
        }
    }
}

/// The cell's index in the low bits, the tag in the high ones. The constants are those of
/// `SplitMix64` (Steele, Lea and Flood, 2014).
#[inline(always)]
fn mix(platform: PlatformId, client_order: ClientOrderId) -> u64 {
    let number = client_order.get();
    let mut hash = (number >> RUN_BITS) ^ (u64::from(platform.get()) << 48);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^= hash >> 31;
    // Where in its run a run begins differs, so that multiples of 512 do not all meet.
    let cell = number.wrapping_add(hash >> 32) & (RUN - 1);
    (hash & !(RUN - 1)) | cell
}

/// The cell to try after `probe` others. They are all in different runs.
#[inline(always)]
fn nth_cell(hash: u64, probe: usize, cells: usize) -> usize {
    let runs = at(low(hash >> 40) | 1) << RUN_BITS;
    at(low(hash)).wrapping_add(probe.wrapping_mul(runs)) & cells.wrapping_sub(1)
}

fn search(cells: &[u64], hash: u64, is_it: impl Fn(u32) -> bool) -> Found {
    for probe in 0..PROBES_MAX {
        let cell = nth_cell(hash, probe, cells.len());
        match cells.get(cell) {
            None | Some(0) => return Found::Empty(cell),
            Some(&entry) if (entry ^ hash) & TAG == 0 && is_it(low(entry)) => {
                return Found::Order(low(entry));
            }
            Some(_) => {}
        }
    }
    Found::Full
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::Order;

    fn fill(names: impl Iterator<Item = (u16, u64)>, size: u32) -> (ClientIds, OrderLog) {
        let (mut ids, mut orders) = (ClientIds::new(size), OrderLog::new(0));
        for (platform, client_order) in names {
            let (platform, client_order) =
                (PlatformId::new(platform), ClientOrderId::new(client_order));
            let vacancy = ids.find(&orders, platform, client_order).unwrap_err();
            orders.append(Order { platform, client_order, ..Order::UNUSED });
            ids.insert(&orders, vacancy);
            assert_eq!(ids.find(&orders, platform, client_order).unwrap(), orders.len());
        }
        (ids, orders)
    }

    /// How many cells are looked at to find the order of a name.
    fn probes(ids: &ClientIds, number: u32, (platform, client_order): (u16, u64)) -> usize {
        let hash = mix(PlatformId::new(platform), ClientOrderId::new(client_order));
        let cell = |probe| ids.cells[nth_cell(hash, probe, ids.cells.len())];
        let own = |&probe: &usize| cell(probe) == (hash & TAG) | u64::from(number);
        (0..PROBES_MAX).find(own).map_or(PROBES_MAX, |probe| probe + 1)
    }

    #[test]
    fn numbers_in_order_are_in_their_first_cells() {
        for step in [1, 2, 512, 1_000, 1 << 20, 1 << 32] {
            let names = (1..=100_000).map(|number| (1, number * step));
            let (ids, _) = fill(names.clone(), 16);
            let looked: usize = (1..).zip(names).map(|(n, name)| probes(&ids, n, name)).sum();
            assert!(looked < 200_000, "{looked} for 100,000 at intervals of {step}");
            assert!(ids.crowded.len() <= 512, "{} at intervals of {step}", ids.crowded.len());
        }
    }

    #[test]
    fn numbers_made_up_to_collide_cost_sixteen_cells_and_a_look_into_the_map() {
        const CELLS: usize = 1 << 13;
        // All those among millions of runs whose first cell is the same, and its step too.
        let meet = |&client_order: &u64| {
            let hash = mix(PlatformId::new(1), ClientOrderId::new(client_order));
            nth_cell(hash, 0, CELLS) >> RUN_BITS == 0 && nth_cell(hash, 1, CELLS) >> RUN_BITS == 1
        };
        let in_run = |run: u64| {
            let hash = mix(PlatformId::new(1), ClientOrderId::new(run << RUN_BITS));
            (run << RUN_BITS) + (RUN - hash % RUN) % RUN
        };
        let made_up: Vec<u64> = (1..400_000).map(in_run).filter(meet).take(1_000).collect();
        assert_eq!(made_up.len(), 1_000);
        let names = made_up.iter().map(|&client_order| (1, client_order));
        // Large enough not to grow, which would spread them.
        let (ids, orders) = fill(names.clone(), 4_096);
        assert_eq!(ids.cells.len(), CELLS);
        assert!(ids.crowded.len() > 900, "{}", ids.crowded.len());
        for (number, name) in (1..).zip(names) {
            assert!(probes(&ids, number, name) <= PROBES_MAX);
            let (platform, client_order) = (PlatformId::new(name.0), ClientOrderId::new(name.1));
            assert_eq!(ids.find(&orders, platform, client_order).unwrap(), number);
        }
    }

    #[test]
    fn a_table_that_grows_finds_what_was_crowded_before() {
        let names = (1..=40_000_u64).map(|number| (1, number.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        let (ids, orders) = fill(names.clone(), 16);
        for (number, (platform, client_order)) in (1..).zip(names) {
            let found =
                ids.find(&orders, PlatformId::new(platform), ClientOrderId::new(client_order));
            assert_eq!(found.unwrap(), number);
        }
    }
}
