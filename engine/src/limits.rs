//! How much the engine holds. Everything has a limit; each comment shows the sum.

/// The limits of one engine. Part of its configuration: a replay needs the same ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most orders open at the same time.
    pub orders_max: u32,
    /// Most orders open in one slot, where each member of an aggregate order counts as one too. Whatever
    /// one command does must fit into one journal batch of 48 MiB: 300,000 orders and members and
    /// 1,000 × 100 parts of icebergs make as many trades at most, blocks and baskets 50,000 more;
    /// 450,000 × 104 bytes of record = 44.6 MiB. Who rests is met once in a command: two lists of parts that
    /// are walked side by side make one trade less than both are long. Only what is tried again at rest
    /// may meet an aggregate order a second time: that is among the 50,000.
    pub book_orders_max: u32,
    /// Most meters. 131,072 × (8 bytes of used capacity + 8 of open orders) = 2 MiB for each open
    /// slot.
    pub meters_max: u32,
    /// Most slots open at the same time: 8,192 is 60 days of 96 quarter hours and 2,432 to spare. An open
    /// slot takes 48 bytes for each price level, and what `meters_max` says once meters trade in it: above
    /// 1,024 books that is given back when the slot closes.
    pub slots_max: u32,
    /// Most markets. 64 × about 300 bytes = 19 KiB.
    pub markets_max: u16,
    /// Most parties. 1,024 × 68 bytes = 68 KiB.
    pub parties_max: u16,
    /// Most offers of contracts and changes that are remembered, contracts with an open gate among them: 65,536 ×
    /// about 300 bytes = 19 MiB; and one command can end them all, 65,536 × 40 bytes of record = 2.5 MiB.
    /// As many changed trades are known, 65,536 × about 100 bytes = 6 MiB.
    pub offers_max: u32,
    /// Most of them that a platform offered and that are no contracts.
    pub platform_offers_max: u32,
    /// Which of the exchange's engines this is. Order and trade numbers are `(shard << 48) + n` with
    /// n from 1, at most 2^48 − 1 of each; an order number of another shard is an unknown order.
    pub shard: u8,
}

/// Bits of an order's or trade's number below the shard.
const NUMBER_BITS: u32 = 48;

/// Most orders and most trades of one shard.
pub(crate) const NUMBERS_MAX: u64 = (1 << NUMBER_BITS) - 1;

/// Most icebergs open in one slot.
pub(crate) const BOOK_ICEBERGS_MAX: u32 = 1_000;

/// Most orders with a minimum or all-or-none open in one slot. All of them may be tried again, each
/// with a count over the other side, whenever an order comes to rest.
pub(crate) const BOOK_NEEDY_MAX: u32 = 100;

/// Most orders of blocks and baskets open in one slot. Each may be that of a block that waits, which
/// is tried again likewise, with a count in each of at most 100 slots.
pub(crate) const BOOK_LISTED_MAX: u32 = 100;

/// Most trades that blocks and baskets make in one command, and with aggregate orders those that are tried
/// again for their need.
pub(crate) const LIST_TRADES_MAX: u64 = 50_000;

/// Most trades that an aggregate order makes as it enters. Its parts count at each price again, so that
/// it may make more of them than there are orders and members on the other side; yet less than those
/// could: 50,000 of the 450,000 of [`Limits::book_orders_max`].
pub(crate) const AGGREGATE_TRADES_MAX: u64 = 50_000;

/// Most limits of the grid in force: 262,144 × about 120 bytes of tree = 30 MiB. Those of 300 feeders,
/// both ways, over four days of quarter hours are 230,400.
pub(crate) const GRID_LIMITS_MAX: usize = 1 << 18;

/// Most moments at which a meter changed its place.
pub(crate) const METER_PLACES_MAX: usize = 64;

/// Largest [`Limits::meters_max`]. A meter's capacity in a slot counts as at most 2^32 Wh; times
/// 2^26 meters is below 2^63, so that every sum over a book fits in an `i64`.
pub(crate) const METERS_MAX: u32 = 1 << 26;

impl Default for Limits {
    /// One market area of a large city: 2^20 open orders, 2^17 meters, 8,192 slots, 64 markets,
    /// 1,024 parties, 2^16 offers of contracts with 2^12 of a platform, shard 0. 16 MiB of platforms' numbers at the start + 2 MiB per slot with 131,072 active
    /// meters (96 slots: 192 MiB) + 64 bytes per accepted order.
    fn default() -> Self {
        Self {
            orders_max: 1 << 20,
            book_orders_max: 300_000,
            meters_max: 1 << 17,
            slots_max: 8_192,
            markets_max: 64,
            parties_max: 1_024,
            offers_max: 1 << 16,
            platform_offers_max: 1 << 12,
            shard: 0,
        }
    }
}

impl Limits {
    /// What is added to a count from 1 to make an order's or trade's number.
    pub(crate) fn numbers_from(self) -> u64 {
        u64::from(self.shard) << NUMBER_BITS
    }

    /// Stops on limits that the engine's number formats cannot hold.
    pub(crate) fn check(&self) {
        assert!(self.orders_max < u32::MAX, "orders_max must be below 2^32 - 1");
        assert!(self.meters_max <= METERS_MAX, "meters_max must be at most 2^26");
        assert!(self.slots_max < u32::MAX, "slots_max must be below 2^32 - 1");
        assert!(self.markets_max < u16::MAX, "markets_max must be below 2^16 - 1");
    }
}
