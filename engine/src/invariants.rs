//! What is always true between two commands, checked the slow way. For tests.

use std::collections::BTreeMap;

use types::{MeterId, Phase, Side};

use crate::{
    engine::Engine,
    index::{NONE, next_index},
    ladder::queue,
    slots::Slot,
};

/// Quantities by slot, meter and side, in Wh.
type Used = BTreeMap<(u32, MeterId, Side), u64>;

impl Engine {
    /// Recomputes every total and follows every link.
    ///
    /// # Panics
    /// When a book is crossed outside its call, a level's totals differ from its queue, what a
    /// meter has used differs from its orders, or a table's entries do not point at each other.
    pub fn check_invariants(&self) {
        let mut used = Used::new();
        for (number, record) in self.orders.iter() {
            assert!(record.total >= record.leaves(number, &self.slab), "more open than ordered");
            let sum = used.entry((record.slot, record.meter, record.side)).or_default();
            *sum += record.total;
        }
        let mut open_orders = 0;
        for (index, slot) in (0..).zip(self.slots.iter()) {
            assert!((slot.phase == Phase::Closed) == (slot.book == NONE), "a closed slot's book");
            if slot.book != NONE {
                open_orders += self.check_side(index, slot, Side::Buy);
                open_orders += self.check_side(index, slot, Side::Sell);
                self.check_slot(index, slot, &used);
            }
        }
        assert!(open_orders == self.slab.used(), "orders rest in no queue");
    }

    fn check_slot(&self, index: u32, slot: &Slot, used: &Used) {
        let book = self.slots.book(slot.book);
        if slot.phase == Phase::Continuous {
            assert!(!book.is_crossed(), "book is crossed");
        }
        for meter in self.registry.meters() {
            let mut sides = [0, 0];
            for (sum, side) in sides.iter_mut().zip([Side::Buy, Side::Sell]) {
                *sum = used.get(&(index, meter.meter, side)).copied().unwrap_or(0);
                assert!(book.used(meter.meter, side) == *sum, "used capacity differs from orders");
                let row = self.registry.meter(meter.meter);
                let capacity = row.map(|row| row.capacity(side, slot.key.slot.minutes()));
                assert!(capacity.is_some_and(|capacity| *sum <= capacity), "capacity exceeded");
            }
            if slot.phase == Phase::Call {
                assert!(sides.contains(&0), "a meter is on both sides of a call");
            }
        }
    }

    /// Checks one ladder; how many orders it holds.
    fn check_side(&self, index: u32, slot: &Slot, side: Side) -> u32 {
        let book = self.slots.book(slot.book);
        let ladder = book.ladder(side);
        let mut orders = 0;
        let mut marked = ladder.ranks().peekable();
        assert!(marked.peek().copied().unwrap_or(NONE) == ladder.best(), "best level is wrong");
        for rank in 0..next_index(ladder.len()) {
            let level = ladder.level(rank);
            let is_marked = marked.next_if_eq(&rank).is_some();
            assert!(is_marked == (level.head != NONE), "bitmap differs from the queue");
            let (mut quantity, mut count, mut before) = (0, 0, NONE);
            for entry in queue(&self.slab, level) {
                let order = self.slab.get(entry);
                let record = self.orders.get(order.number);
                assert!(order.prev == before, "queue is not linked both ways");
                assert!(order.leaves > 0, "an order without quantity rests");
                assert!(record.entry == entry, "a record points elsewhere");
                assert!(record.slot == index, "an order is in another slot's book");
                assert!(record.side == side, "an order is on the wrong side");
                assert!(book.rank(side, record.level) == rank, "an order is at the wrong level");
                assert!(record.meter == order.meter, "an order has two meters");
                assert!(record.client_order == order.client_order, "an order has two names");
                quantity += order.leaves;
                count += 1;
                before = entry;
            }
            assert!(level.tail == before, "the last of a queue is wrong");
            assert!(level.quantity == quantity, "level quantity differs from its queue");
            assert!(level.orders == count, "level count differs from its queue");
            orders += count;
        }
        orders
    }
}
