//! One side of a book: an array cell per price level and a bitmap of those that hold orders.
//!
//! Levels are numbered by rank: 0 is the best price of the side, whichever way that is. So both
//! sides run through the same code.

use crate::{
    index::{NONE, at},
    slab::Slab,
};

/// The queue of one price level with its totals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Level {
    /// Open quantity of the queue in Wh.
    pub(crate) quantity: u64,
    /// First in the queue.
    pub(crate) head: u32,
    /// Last in the queue.
    pub(crate) tail: u32,
    /// How many orders are in the queue.
    pub(crate) orders: u32,
}

const _: () = assert!(size_of::<Level>() == 24);

impl Level {
    const EMPTY: Self = Self { quantity: 0, head: NONE, tail: NONE, orders: 0 };
}

/// All levels of one side. An empty level is [`Level::EMPTY`], so an empty ladder can be re-used
/// for any number of levels.
#[derive(Debug, Default)]
pub(crate) struct Ladder {
    levels: Vec<Level>,
    /// Bit r: level r holds orders.
    words: Vec<u64>,
    /// Bit w: word w is not zero.
    summary: Vec<u64>,
    /// Lowest rank that holds orders, or [`NONE`].
    best: u32,
    /// Orders of all levels.
    orders: u32,
}

impl Ladder {
    /// Makes an empty ladder ready for `levels` levels.
    pub(crate) fn reset(&mut self, levels: u32) {
        let words = levels.div_ceil(64);
        self.levels.resize(at(levels), Level::EMPTY);
        self.words.resize(at(words), 0);
        self.summary.resize(at(words.div_ceil(64)), 0);
        self.best = NONE;
        self.orders = 0;
    }

    /// How many orders rest on this side.
    #[inline]
    pub(crate) const fn orders(&self) -> u32 {
        self.orders
    }

    /// The best rank that holds orders; [`NONE`], above every rank, in an empty ladder.
    #[inline]
    pub(crate) const fn best(&self) -> u32 {
        self.best
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "hot; ranks are checked at admission")]
    pub(crate) fn level(&self, rank: u32) -> &Level {
        &self.levels[at(rank)]
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "hot; ranks are checked at admission")]
    pub(crate) fn level_mut(&mut self, rank: u32) -> &mut Level {
        &mut self.levels[at(rank)]
    }

    /// Puts the order in slab entry `index` at the end of the queue.
    #[inline]
    pub(crate) fn push(&mut self, slab: &mut Slab, rank: u32, index: u32) {
        let order = slab.get_mut(index);
        let leaves = order.leaves;
        order.next = NONE;
        self.orders += 1;
        let level = self.level_mut(rank);
        order.prev = level.tail;
        let tail = core::mem::replace(&mut level.tail, index);
        level.quantity += leaves;
        level.orders += 1;
        if tail == NONE {
            level.head = index;
            self.mark(rank);
        } else {
            slab.get_mut(tail).next = index;
        }
    }

    /// Takes the order in slab entry `index` out of its queue, with what it still holds. The entry
    /// itself stays.
    #[inline]
    pub(crate) fn unlink(&mut self, slab: &mut Slab, rank: u32, index: u32) {
        let order = *slab.get(index);
        self.orders -= 1;
        let level = self.level_mut(rank);
        level.quantity -= order.leaves;
        level.orders -= 1;
        if order.prev == NONE {
            level.head = order.next;
        } else {
            slab.get_mut(order.prev).next = order.next;
        }
        if order.next == NONE {
            level.tail = order.prev;
        } else {
            slab.get_mut(order.next).prev = order.prev;
        }
        if level.head == NONE {
            self.unmark(rank);
        }
    }

    /// Empties one level at once. The entries of its orders stay.
    pub(crate) fn clear(&mut self, rank: u32) {
        self.orders -= self.level(rank).orders;
        *self.level_mut(rank) = Level::EMPTY;
        self.unmark(rank);
    }

    /// Ranks that hold orders, best first.
    #[inline]
    pub(crate) fn ranks(&self) -> Ranks<'_> {
        let word = if self.best == NONE { 0 } else { self.best >> 6 };
        Ranks { ladder: self, word, bits: self.words.get(at(word)).copied().unwrap_or(0) }
    }

    /// How many levels there are, empty ones included.
    pub(crate) fn len(&self) -> usize {
        self.levels.len()
    }

    #[inline]
    fn mark(&mut self, rank: u32) {
        let word = rank >> 6;
        *word_mut(&mut self.words, word) |= 1 << (rank & 63);
        *word_mut(&mut self.summary, word >> 6) |= 1 << (word & 63);
        self.best = self.best.min(rank);
    }

    #[inline]
    fn unmark(&mut self, rank: u32) {
        let word = rank >> 6;
        let bits = word_mut(&mut self.words, word);
        *bits &= !(1 << (rank & 63));
        let left = *bits;
        if left == 0 {
            *word_mut(&mut self.summary, word >> 6) &= !(1 << (word & 63));
        }
        if rank == self.best {
            self.best = if left == 0 { self.first_from_word(word + 1) } else { lowest(word, left) };
        }
    }

    /// Lowest rank that holds orders in word `word` or a later one.
    fn first_from_word(&self, word: u32) -> u32 {
        let group = word >> 6;
        let mut mask = u64::MAX << (word & 63);
        for (at_group, &bits) in (group..).zip(self.summary.iter().skip(at(group))) {
            let bits = bits & mask;
            if bits != 0 {
                let found = lowest(at_group, bits);
                return lowest(found, self.words.get(at(found)).copied().unwrap_or(0));
            }
            mask = u64::MAX;
        }
        NONE
    }
}

/// See [`Ladder::ranks`].
#[derive(Debug, Clone)]
pub(crate) struct Ranks<'a> {
    ladder: &'a Ladder,
    word: u32,
    bits: u64,
}

impl Iterator for Ranks<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        if self.bits == 0 {
            let rank = self.ladder.first_from_word(self.word + 1);
            if rank == NONE {
                return None;
            }
            self.word = rank >> 6;
            self.bits = self.ladder.words.get(at(self.word)).copied().unwrap_or(0);
        }
        let rank = lowest(self.word, self.bits);
        self.bits &= self.bits - 1;
        Some(rank)
    }
}

/// Number of the lowest set bit of word `word`.
#[inline]
const fn lowest(word: u32, bits: u64) -> u32 {
    (word << 6) | bits.trailing_zeros()
}

#[inline]
#[expect(clippy::indexing_slicing, reason = "hot; sized together with the levels")]
fn word_mut(words: &mut [u64], index: u32) -> &mut u64 {
    &mut words[at(index)]
}

/// The slab entry's index of every order of one queue, first in line first.
pub(crate) fn queue(slab: &Slab, level: &Level) -> impl Iterator<Item = u32> {
    let mut index = level.head;
    core::iter::from_fn(move || {
        let this = index;
        if this == NONE {
            return None;
        }
        index = slab.get(this).next;
        Some(this)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::OpenOrder;
    use types::{ClientOrderId, MeterId};

    fn order(number: u32) -> OpenOrder {
        OpenOrder {
            client_order: ClientOrderId::new(0),
            leaves: 1,
            number,
            meter: MeterId::new(1),
            next: NONE,
            prev: NONE,
        }
    }

    #[test]
    fn the_best_level_is_found_across_words_and_groups() {
        let mut slab = Slab::new(8);
        let mut ladder = Ladder::default();
        ladder.reset(1 << 20);
        assert_eq!((ladder.best(), ladder.ranks().next()), (NONE, None));
        let ranks = [0, 63, 64, 4_095, 4_096, 500_000, (1 << 20) - 1];
        let mut indices = Vec::new();
        for &rank in ranks.iter().rev() {
            let index = slab.insert(order(1));
            ladder.push(&mut slab, rank, index);
            assert_eq!(ladder.best(), rank);
            indices.push(index);
        }
        assert_eq!(ladder.ranks().collect::<Vec<_>>(), ranks);
        for (&rank, &index) in ranks.iter().zip(indices.iter().rev()) {
            assert_eq!(ladder.best(), rank);
            ladder.unlink(&mut slab, rank, index);
            slab.release(index);
        }
        assert_eq!((ladder.best(), slab.used()), (NONE, 0));
    }
}
