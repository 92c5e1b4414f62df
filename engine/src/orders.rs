//! Every order ever accepted, by its dense number.

use types::{ClientOrderId, Energy, MeterId, OrderId, PlatformId, Side, TimeInForce, Timestamp};

use crate::{
    index::{NONE, at, low},
    slab::{OpenOrder, Slab},
};

/// What must outlive the order: enough to recognise it when it is sent again, to find it in its
/// book, and to say how it ended. One cache line.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct OrderRecord {
    /// The platform's number.
    pub(crate) client_order: ClientOrderId,
    /// The platform's number of the last replacement; 0 before the first.
    pub(crate) last_replace: ClientOrderId,
    /// As first sent.
    pub(crate) valid_until: Timestamp,
    /// As first sent.
    pub(crate) quantity: Energy,
    /// Filled plus open quantity in Wh; once the order is done, what it filled. A fill does not
    /// change it, so that a sweep need not touch this record.
    pub(crate) total: u64,
    /// For whom.
    pub(crate) meter: MeterId,
    /// Index of its slot.
    pub(crate) slot: u32,
    /// Level of the limit as first sent.
    pub(crate) level_sent: u32,
    /// Level of the limit now.
    pub(crate) level: u32,
    /// Where it rests, if it still does; see [`OrderRecord::open`].
    pub(crate) entry: u32,
    /// Whose it is.
    pub(crate) platform: PlatformId,
    /// Buy or sell.
    pub(crate) side: Side,
    /// As first sent.
    pub(crate) time_in_force: TimeInForce,
}

const _: () = assert!(size_of::<OrderRecord>() == 64);

impl OrderRecord {
    /// Fills memory that is only reserved.
    const UNUSED: Self = Self {
        client_order: ClientOrderId::new(0),
        last_replace: ClientOrderId::new(0),
        valid_until: Timestamp::from_ns(0),
        quantity: Energy::ZERO,
        total: 0,
        meter: MeterId::new(0),
        slot: 0,
        level_sent: 0,
        level: 0,
        entry: NONE,
        platform: PlatformId::new(0),
        side: Side::Buy,
        time_in_force: TimeInForce::UntilGate,
    };

    /// The order as it rests in its book, unless it is done. `number` is the record's own.
    #[inline]
    pub(crate) fn open<'a>(&self, number: u32, slab: &'a Slab) -> Option<&'a OpenOrder> {
        slab.find(self.entry, number)
    }

    /// Open quantity in Wh.
    pub(crate) fn leaves(&self, number: u32, slab: &Slab) -> u64 {
        self.open(number, slab).map_or(0, |open| open.leaves)
    }
}

/// 65,536 records × 64 bytes = 4 MiB are reserved at a time, so that growing never copies.
const CHUNK_BITS: u32 = 16;

/// The records, appended to only. 64 bytes per accepted order: 2^32 of them would be 256 GiB, so
/// memory ends before the numbers do.
#[derive(Debug, Default)]
pub(crate) struct OrderLog {
    chunks: Vec<Vec<OrderRecord>>,
    len: u32,
}

impl OrderLog {
    /// How many orders were accepted; also the number of the last one.
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// The number that the next order will have.
    #[inline]
    pub(crate) fn next_number(&self) -> u32 {
        assert!(self.len < NONE - 1, "order numbers are exhausted");
        self.len + 1
    }

    /// Appends the record of the order with [`OrderLog::next_number`].
    #[inline]
    pub(crate) fn push(&mut self, record: OrderRecord) {
        let chunk = at(self.len >> CHUNK_BITS);
        if chunk == self.chunks.len() {
            self.chunks.push(Vec::with_capacity(1 << CHUNK_BITS));
        }
        if let Some(records) = self.chunks.get_mut(chunk) {
            records.push(record);
        }
        self.len += 1;
    }

    /// Reserves and touches the memory of at least `orders` further records.
    pub(crate) fn prefault(&mut self, orders: u32) {
        let until = at(self.len.saturating_add(orders)).div_ceil(1 << CHUNK_BITS);
        while self.chunks.len() < until {
            let mut records = Vec::with_capacity(1 << CHUNK_BITS);
            records.resize(1 << CHUNK_BITS, OrderRecord::UNUSED);
            core::hint::black_box(&mut records).clear();
            self.chunks.push(records);
        }
    }

    /// The number as a table index, if an order has it.
    #[inline]
    pub(crate) fn number(&self, order: OrderId) -> Option<u32> {
        let raw = order.get();
        (raw >= 1 && raw <= u64::from(self.len)).then(|| low(raw))
    }

    /// The record of an accepted order's number.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "hot; only numbers of accepted orders get here")]
    pub(crate) fn get(&self, number: u32) -> &OrderRecord {
        let index = number - 1;
        &self.chunks[at(index >> CHUNK_BITS)][at(index & ((1 << CHUNK_BITS) - 1))]
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "hot; only numbers of accepted orders get here")]
    pub(crate) fn get_mut(&mut self, number: u32) -> &mut OrderRecord {
        let index = number - 1;
        &mut self.chunks[at(index >> CHUNK_BITS)][at(index & ((1 << CHUNK_BITS) - 1))]
    }

    /// All records with their numbers, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &OrderRecord)> {
        (1..).zip(self.chunks.iter().flatten())
    }
}
