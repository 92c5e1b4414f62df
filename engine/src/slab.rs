//! The open orders: one small record each, linked into queues by index.

use types::{ClientOrderId, MeterId};

use crate::index::{NONE, at, next_index};

/// What a sweep needs of an open order, in half a cache line. Its side, level and slot follow from
/// the queue it is in; for the way back see [`crate::orders::OrderRecord`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenOrder {
    /// The platform's number, for trade events.
    pub(crate) client_order: ClientOrderId,
    /// Open quantity in Wh. Above zero while the order is open.
    pub(crate) leaves: u64,
    /// The order's number; 0 in a free entry.
    pub(crate) number: u32,
    /// For whom.
    pub(crate) meter: MeterId,
    /// Behind this one in the queue; in a free entry, the next free one.
    pub(crate) next: u32,
    /// Before this one in the queue.
    pub(crate) prev: u32,
}

const _: () = assert!(size_of::<OpenOrder>() == 32);

impl OpenOrder {
    /// Fills memory that is only reserved.
    const UNUSED: Self = Self {
        client_order: ClientOrderId::new(0),
        leaves: 0,
        number: 0,
        meter: MeterId::new(0),
        next: NONE,
        prev: NONE,
    };
}

/// The entries, reserved once; free ones are threaded into a list, the last freed first.
#[derive(Debug)]
pub(crate) struct Slab {
    entries: Vec<OpenOrder>,
    free: u32,
    used: u32,
    max: u32,
}

impl Slab {
    pub(crate) fn new(orders_max: u32) -> Self {
        Self { entries: Vec::with_capacity(at(orders_max)), free: NONE, used: 0, max: orders_max }
    }

    /// Touches the memory of all entries, before the first order.
    pub(crate) fn prefault(&mut self) {
        if self.entries.is_empty() {
            self.entries.resize(at(self.max), OpenOrder::UNUSED);
            core::hint::black_box(&mut self.entries).clear();
        }
    }

    /// How many orders are open.
    pub(crate) const fn used(&self) -> u32 {
        self.used
    }

    /// Whether no further order fits.
    #[inline]
    pub(crate) const fn is_full(&self) -> bool {
        self.used >= self.max
    }

    /// Stores an order and returns its index. The caller has made sure that one fits.
    #[inline]
    pub(crate) fn insert(&mut self, order: OpenOrder) -> u32 {
        assert!(!self.is_full(), "more open orders than the limit");
        self.used += 1;
        if self.free == NONE {
            let index = next_index(self.entries.len());
            self.entries.push(order);
            return index;
        }
        let index = self.free;
        let entry = self.get_mut(index);
        let next = entry.next;
        *entry = order;
        self.free = next;
        index
    }

    /// Frees an entry that is in no queue any more.
    #[inline]
    pub(crate) fn release(&mut self, index: u32) {
        let next = self.free;
        let entry = self.get_mut(index);
        entry.number = 0;
        entry.next = next;
        self.free = index;
        self.used -= 1;
    }

    /// The entry of order `number` if it still holds it.
    #[inline]
    pub(crate) fn find(&self, index: u32, number: u32) -> Option<&OpenOrder> {
        self.entries.get(at(index)).filter(|entry| entry.number == number)
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "hot; links only ever name existing entries")]
    pub(crate) fn get(&self, index: u32) -> &OpenOrder {
        &self.entries[at(index)]
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "hot; links only ever name existing entries")]
    pub(crate) fn get_mut(&mut self, index: u32) -> &mut OpenOrder {
        &mut self.entries[at(index)]
    }
}
