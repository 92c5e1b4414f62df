//! What is always true between two commands, checked the slow way. For tests.

use std::collections::BTreeMap;

use types::{MeterId, Phase, Side};

use crate::{
    engine::Engine,
    index::{NONE, next_index},
    ladder::queue,
    orders::{NOBODY, Place, Traits},
    slots::Slot,
};

/// Sums over all orders, made the slow way.
#[derive(Debug, Default)]
struct Sums {
    /// Open and filled quantity by slot, meter and side, in Wh.
    used: BTreeMap<(u32, MeterId, Side), u64>,
    /// Open orders by slot, group and side.
    open: BTreeMap<(u32, u32, Side), u32>,
    /// How many are open.
    orders: u32,
}

impl Engine {
    /// Recomputes every total and follows every link.
    ///
    /// # Panics
    /// When a book is crossed outside its call, a level's totals differ from its queue, what a
    /// meter has used or a platform reserves differs from its orders, a credit account is negative,
    /// or a table's entries do not point at each other.
    pub fn check_invariants(&self) {
        let sums = self.sum_up();
        assert!(sums.orders == self.orders.open(), "the count of open orders is wrong");
        let mut found = 0;
        for (index, slot) in (0..).zip(self.slots.iter()) {
            assert!((slot.phase == Phase::Closed) == (slot.book == NONE), "a closed slot's book");
            if slot.book != NONE {
                found += self.check_side(index, slot, Side::Buy);
                found += self.check_side(index, slot, Side::Sell);
                found += self.check_outside(index, slot);
                self.check_slot(index, slot, &sums);
            }
        }
        assert!(found == self.orders.open(), "open orders are in no book");
        self.check_offers();
        self.check_amended();
        self.check_aggregates();
        self.check_counters();
        for ((market, platform), summed) in self.accounts() {
            let counted = self.credit.account(market, platform).copied().unwrap_or_default();
            let reserved = if summed.limit.is_some() { summed.reserved } else { 0 };
            assert!(counted.reserved == reserved, "reserved credit differs from the orders");
            assert!(counted.owed >= 0, "owed credit is negative");
        }
    }

    fn sum_up(&self) -> Sums {
        let mut sums = Sums::default();
        for (_, order) in self.orders.iter() {
            let side = order.side();
            if !order.traits.has(Traits::AGGREGATE) {
                let used = sums.used.entry((order.slot, order.meter, side)).or_default();
                *used += u64::from(order.filled) + u64::from(order.leaves);
            }
            assert!(
                order.is_done() == (order.leaves == 0),
                "an order is done when nothing is open"
            );
            if order.is_done() {
                continue;
            }
            sums.orders += 1;
            *sums.open.entry((order.slot, order.group, side)).or_default() += 1;
        }
        for (number, aggregate) in self.aggregates.iter() {
            let order = self.orders.get(number);
            for part in &aggregate.parts {
                let used = sums.used.entry((order.slot, part.meter, order.side())).or_default();
                *used += u64::from(part.filled) + u64::from(part.leaves);
            }
        }
        for (slot, meter, side, quantity) in self.contracted() {
            *sums.used.entry((slot, meter, side)).or_default() += quantity;
        }
        // First what is taken: a trade that grew takes more than it was.
        for (slot, meter, side, _, more) in self.amended_holdings() {
            *sums.used.entry((slot, meter, side)).or_default() += more;
        }
        for (slot, meter, side, less, _) in self.amended_holdings() {
            *sums.used.entry((slot, meter, side)).or_default() -= less;
        }
        sums
    }

    fn check_slot(&self, index: u32, slot: &Slot, sums: &Sums) {
        let book = self.slots.book(slot.book);
        let needy = book.ladder(Side::Buy).needy + book.ladder(Side::Sell).needy;
        if slot.phase == Phase::Continuous {
            assert!(needy > 0 || !book.is_crossed(), "book is crossed");
            for side in [Side::Buy, Side::Sell] {
                assert!(book.ladder(side).level(0).orders == 0, "a market order rests");
            }
        }
        for meter in self.registry.meters() {
            for side in [Side::Buy, Side::Sell] {
                let sum = sums.used.get(&(index, meter.meter, side)).copied().unwrap_or(0);
                let used = u64::from(book.used(meter.meter, side));
                assert!(used == sum, "used capacity differs from orders");
                let row = self.registry.meter(meter.meter);
                let capacity = row.map(|row| row.capacity(side, slot.key.slot.minutes()));
                assert!(capacity.is_some_and(|most| sum <= u64::from(most)), "capacity exceeded");
            }
        }
        for (&(of_slot, group, side), &open) in &sums.open {
            if of_slot == index && group != 0 {
                assert!(book.open(group, side) == open, "open orders of a group differ");
            }
        }
    }

    fn check_outside(&self, index: u32, slot: &Slot) -> u32 {
        let book = self.slots.book(slot.book);
        for &number in &book.outside {
            let order = self.orders.get(number);
            assert!(matches!(order.place(), Place::Asleep | Place::Waiting), "it is not outside");
            assert!(order.slot == index, "an order is outside another slot's book");
        }
        next_index(book.outside.len())
    }

    /// Checks one ladder; how many orders it holds.
    fn check_side(&self, index: u32, slot: &Slot, side: Side) -> u32 {
        let book = self.slots.book(slot.book);
        let ladder = book.ladder(side);
        let (mut orders, mut needy) = (0, 0);
        let mut marked = ladder.ranks().peekable();
        assert!(marked.peek().copied().unwrap_or(NONE) == ladder.best(), "best level is wrong");
        for rank in 0..next_index(ladder.len()) {
            let level = ladder.level(rank);
            let is_marked = marked.next_if_eq(&rank).is_some();
            assert!(is_marked == (level.head != NOBODY), "bitmap differs from the queue");
            let (mut quantity, mut count, mut special) = (0, 0, 0);
            for (_, order) in queue(&self.orders, level) {
                assert!(order.place() == Place::Queue, "an order in a queue is elsewhere");
                assert!(order.slot == index, "an order is in another slot's book");
                assert!(order.side() == side, "an order is on the wrong side");
                assert!(book.rank(side, order.level) == rank, "an order is at the wrong level");
                quantity += u64::from(order.leaves);
                count += 1;
                special += u32::from(order.traits.is_special());
                needy += u32::from(order.is_needy());
                let in_view = self.orders.in_view(order);
                assert!(in_view > 0 && in_view <= order.leaves, "nothing of an order is in view");
            }
            self.check_links(level.head, level.tail);
            assert!(level.quantity == quantity, "level quantity differs from its queue");
            assert!(level.orders == count, "level count differs from its queue");
            assert!(level.special == special, "count of special orders differs");
            orders += count;
        }
        assert!(ladder.needy == needy, "count of orders with a need differs");
        orders
    }

    /// Follows a queue, the done included, both ways.
    fn check_links(&self, head: u32, tail: u32) {
        let (mut number, mut before) = (head, NOBODY);
        while number != NOBODY {
            let order = self.orders.get(number);
            assert!(number == head || order.prev == before, "queue is not linked both ways");
            before = number;
            number = order.next;
        }
        assert!(tail == before, "the last of a queue is wrong");
    }
}
