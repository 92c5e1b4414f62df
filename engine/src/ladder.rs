//! One side of a book: an array cell per price level and a bitmap of those that hold orders.
//!
//! Levels are numbered by rank: 0 is for market orders, 1 the best price of the side, whichever
//! way that is. So both sides run through the same code.

use crate::{
    index::{NONE, at},
    orders::{NOBODY, Order, OrderLog},
};

/// The queue of one price level with its totals.
///
/// `head` may be an order that is done; while the level holds any, an open one comes behind it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Level {
    /// Open quantity of the queue in Wh, hidden or not.
    pub(crate) quantity: u64,
    /// First in the queue.
    pub(crate) head: u32,
    /// Last in the queue.
    pub(crate) tail: u32,
    /// How many open orders are in the queue.
    pub(crate) orders: u32,
    /// How many of them a sweep must look at closely: icebergs and those with a need.
    pub(crate) special: u32,
}

const _: () = assert!(size_of::<Level>() == 24);

impl Level {
    const EMPTY: Self = Self { quantity: 0, head: NOBODY, tail: NOBODY, orders: 0, special: 0 };
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
    /// Open orders of all levels.
    orders: u32,
    /// How many of them have a need.
    pub(crate) needy: u32,
}

impl Ladder {
    /// Makes an empty ladder ready for `ranks` ranks.
    pub(crate) fn reset(&mut self, ranks: u32) {
        let words = ranks.div_ceil(64);
        self.levels.resize(at(ranks), Level::EMPTY);
        self.words.resize(at(words), 0);
        self.summary.resize(at(words.div_ceil(64)), 0);
        self.best = NONE;
        self.orders = 0;
        self.needy = 0;
    }

    /// How many orders rest on this side.
    #[inline(always)]
    pub(crate) const fn orders(&self) -> u32 {
        self.orders
    }

    /// The best rank that holds orders; [`NONE`], above every rank, in an empty ladder.
    #[inline(always)]
    pub(crate) const fn best(&self) -> u32 {
        self.best
    }

    /// The best rank that holds orders, not better than `from`; [`NONE`] if there is none.
    pub(crate) fn best_from(&self, from: u32) -> u32 {
        let word = from >> 6;
        let bits = self.words.get(at(word)).map_or(0, |bits| bits & (u64::MAX << (from & 63)));
        if bits == 0 { self.first_from_word(word + 1) } else { lowest(word, bits) }
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "hot; ranks are checked at admission")]
    pub(crate) fn level(&self, rank: u32) -> &Level {
        &self.levels[at(rank)]
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "hot; ranks are checked at admission")]
    pub(crate) fn level_mut(&mut self, rank: u32) -> &mut Level {
        &mut self.levels[at(rank)]
    }

    /// The levels of these ranks, both included.
    pub(crate) fn slice(&self, from: u32, to: u32) -> &[Level] {
        self.levels.get(at(from)..=at(to)).unwrap_or_default()
    }

    /// Puts an open order at the end of the queue.
    #[inline(always)]
    pub(crate) fn push(&mut self, orders: &mut OrderLog, rank: u32, number: u32) {
        self.orders += 1;
        let order = orders.get_mut(number);
        let (leaves, special) = (order.leaves, order.traits.is_special());
        order.next = NOBODY;
        let level = self.level_mut(rank);
        order.prev = level.tail;
        let tail = core::mem::replace(&mut level.tail, number);
        level.quantity += u64::from(leaves);
        level.orders += 1;
        level.head = if tail == NOBODY { number } else { level.head };
        orders.get_mut(tail).next = number;
        self.mark(rank);
        if special {
            self.count_special(orders.get(number), rank, 1);
        }
    }

    /// Puts a plain order that is about to be appended at the end of the queue; the one before it.
    #[inline(always)]
    pub(crate) fn push_plain(
        &mut self,
        orders: &mut OrderLog,
        rank: u32,
        (number, quantity): (u32, u32),
    ) -> u32 {
        self.orders += 1;
        let level = self.level_mut(rank);
        level.quantity += u64::from(quantity);
        level.orders += 1;
        let tail = core::mem::replace(&mut level.tail, number);
        // No branch on whether the level was empty: that is hard to foresee.
        level.head = if tail == NOBODY { number } else { level.head };
        orders.get_mut(tail).next = number;
        self.mark(rank);
        tail
    }

    /// Takes a plain order that is done for ever out of the totals. It stays linked.
    #[inline(always)]
    pub(crate) fn bury_plain(&mut self, rank: u32, leaves: u32) {
        self.orders -= 1;
        let level = self.level_mut(rank);
        level.quantity -= u64::from(leaves);
        self.leave(rank);
    }

    /// Takes one off the orders of a level; with the last one it forgets the level, with whatever is
    /// still linked.
    #[inline(always)]
    fn leave(&mut self, rank: u32) {
        let level = self.level_mut(rank);
        level.orders -= 1;
        // No branch on whether it was the last: that is hard to foresee.
        let last = u32::from(level.orders == 0);
        let kept = last.wrapping_sub(1);
        level.head &= kept;
        level.tail &= kept;
        let word = rank >> 6;
        let bits = word_mut(&mut self.words, word);
        *bits &= !(u64::from(last) << (rank & 63));
        if *bits == 0 || (last == 1 && rank == self.best) {
            self.look_further(rank);
        }
    }

    /// The level was the last of its word, or the best: finds the next.
    fn look_further(&mut self, rank: u32) {
        let word = rank >> 6;
        let left = *word_mut(&mut self.words, word);
        if left == 0 {
            *word_mut(&mut self.summary, word >> 6) &= !(1 << (word & 63));
        }
        if rank == self.best {
            self.best = if left == 0 { self.first_from_word(word + 1) } else { lowest(word, left) };
        }
    }

    /// Takes an order that is filled out of the head of its queue.
    #[inline(always)]
    pub(crate) fn pop(&mut self, rank: u32, next: u32) {
        self.orders -= 1;
        self.level_mut(rank).head = next;
        self.leave(rank);
    }

    /// Takes an order that is done for ever out of the totals. It stays linked.
    #[inline(always)]
    pub(crate) fn bury(&mut self, order: &Order, rank: u32) {
        self.orders -= 1;
        if order.traits.is_special() {
            self.count_special(order, rank, u32::MAX);
        }
        self.level_mut(rank).quantity -= u64::from(order.leaves);
        self.leave(rank);
    }

    /// Takes an order out of its queue that may come back. Its quantity goes with it.
    pub(crate) fn unlink(&mut self, orders: &mut OrderLog, rank: u32, number: u32) {
        let order = *orders.get(number);
        let level = self.level_mut(rank);
        if level.head == number {
            level.head = order.next;
        } else {
            orders.get_mut(order.prev).next = order.next;
        }
        let level = self.level_mut(rank);
        if level.tail == number {
            level.tail = order.prev;
        } else {
            orders.get_mut(order.next).prev = order.prev;
        }
        self.bury(&order, rank);
    }

    /// Ranks that hold orders, best first.
    #[inline(always)]
    pub(crate) fn ranks(&self) -> Ranks<'_> {
        let word = if self.best == NONE { 0 } else { self.best >> 6 };
        Ranks { ladder: self, word, bits: self.words.get(at(word)).copied().unwrap_or(0) }
    }

    /// How many ranks there are, empty ones included.
    pub(crate) fn len(&self) -> usize {
        self.levels.len()
    }

    /// Adds `by` to the counts of special orders; `u32::MAX` takes one off.
    #[cold]
    fn count_special(&mut self, order: &Order, rank: u32, by: u32) {
        if order.traits.has(crate::orders::Traits::NEEDY) {
            self.needy = self.needy.wrapping_add(by);
        }
        let level = self.level_mut(rank);
        level.special = level.special.wrapping_add(by);
    }

    #[inline(always)]
    fn mark(&mut self, rank: u32) {
        let word = rank >> 6;
        let bits = word_mut(&mut self.words, word);
        let was_empty = *bits == 0;
        *bits |= 1 << (rank & 63);
        if was_empty {
            *word_mut(&mut self.summary, word >> 6) |= 1 << (word & 63);
        }
        self.best = self.best.min(rank);
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

    #[inline(always)]
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
#[inline(always)]
const fn lowest(word: u32, bits: u64) -> u32 {
    (word << 6) | bits.trailing_zeros()
}

#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "hot; sized together with the levels")]
fn word_mut(words: &mut [u64], index: u32) -> &mut u64 {
    &mut words[at(index)]
}

/// The open orders of one queue with their numbers, first in line first.
pub(crate) fn queue<'a>(
    orders: &'a OrderLog,
    level: &Level,
) -> impl Iterator<Item = (u32, &'a Order)> {
    let mut number = level.head;
    core::iter::from_fn(move || {
        while number != NOBODY {
            let (this, order) = (number, orders.get(number));
            number = order.next;
            if order.leaves > 0 {
                return Some((this, order));
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::Accepted;
    use types::{
        ClientOrderId, MeterId, OrderKind, PlatformId, SessionId, Side, TimeInForce, Timestamp,
    };

    const ORDER: Accepted = Accepted {
        client_order: ClientOrderId::new(0),
        valid_until: Timestamp::from_ns(0),
        quantity: 1,
        meter: MeterId::new(1),
        level: 0,
        slot: 0,
        session: SessionId::new(1),
        group: 0,
        platform: PlatformId::new(1),
        side: Side::Buy,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::UntilGate,
    };

    #[test]
    fn the_best_level_is_found_across_words_and_groups() {
        let mut orders = OrderLog::new(0);
        let mut ladder = Ladder::default();
        ladder.reset(1 << 20);
        assert_eq!((ladder.best(), ladder.ranks().next()), (NONE, None));
        let ranks = [0, 63, 64, 4_095, 4_096, 500_000, (1 << 20) - 1];
        let mut numbers = Vec::new();
        for &rank in ranks.iter().rev() {
            let number = orders.push(&ORDER, None);
            ladder.push(&mut orders, rank, number);
            assert_eq!(ladder.best(), rank);
            numbers.push(number);
        }
        assert_eq!(ladder.ranks().collect::<Vec<_>>(), ranks);
        for (pair, &rank) in ranks.windows(2).zip(&ranks) {
            assert_eq!(ladder.best_from(rank), rank);
            assert_eq!(ladder.best_from(rank + 1), pair[1]);
        }
        for (&rank, &number) in ranks.iter().zip(numbers.iter().rev()) {
            assert_eq!(ladder.best(), rank);
            ladder.unlink(&mut orders, rank, number);
        }
        assert_eq!(ladder.best(), NONE);
    }

    #[test]
    fn the_dead_stay_linked_and_are_not_seen() {
        let mut orders = OrderLog::new(0);
        let mut ladder = Ladder::default();
        ladder.reset(8);
        for number in 1..=5 {
            assert_eq!(orders.push(&ORDER, None), number);
            ladder.push(&mut orders, 3, number);
        }
        let open = |orders: &OrderLog, ladder: &Ladder| -> Vec<u32> {
            queue(orders, ladder.level(3)).map(|(number, _)| number).collect()
        };
        for number in [3, 5] {
            ladder.bury(&orders.get(number).clone(), 3);
            orders.finish(number);
        }
        assert_eq!(open(&orders, &ladder), [1, 2, 4]);
        ladder.unlink(&mut orders, 3, 4);
        ladder.push(&mut orders, 3, 4);
        ladder.unlink(&mut orders, 3, 1);
        ladder.push(&mut orders, 3, 1);
        assert_eq!(open(&orders, &ladder), [2, 4, 1]);
        assert_eq!(ladder.level(3).quantity, 3);
        for number in [1, 2, 4] {
            ladder.bury(&orders.get(number).clone(), 3);
            orders.finish(number);
        }
        assert_eq!((ladder.best(), ladder.level(3).head, orders.open()), (NONE, NOBODY, 0));
    }
}
