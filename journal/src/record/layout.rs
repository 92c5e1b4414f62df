//! Layouts of version 1. Integers are little-endian; `zero` is reserved and holds zero bytes.
//! Fields are in falling order of alignment, so there is no padding.

use rkyv::{Archive, Archived, Serialize};

/// Declares layouts with their size, which is also the sum of their fields.
macro_rules! layouts {
    ($($(#[$doc:meta])* $name:ident[$bytes:literal] { $($field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Archive, Serialize)]
        pub(super) struct $name {
            $(pub(super) $field: $kind,)*
        }

        const _: () = assert!(size_of::<Archived<$name>>() == $bytes, "size is pinned");
        const _: () = assert!(0 $(+ size_of::<$kind>())* == $bytes, "no padding");
        const _: () = assert!($bytes % 8 == 0, "the next record is aligned");
    )*};
}

layouts! {
    /// A market.
    MarketLayout[112] {
        price_min: i64,
        price_max: i64,
        tick: i64,
        lot: u64,
        quantity_max: u64,
        area: [u8; 16],
        time_zone: [u8; 32],
        opening_lead: u32,
        gate_lead: u32,
        currency: [u8; 3],
        minor_digits: u8,
        market: u16,
        slot_minutes: u16,
        price_rule: u8,
        zero: [u8; 7],
    }

    /// A party.
    PartyLayout[72] {
        code: [u8; 32],
        key: [u8; 32],
        number: u16,
        role: u8,
        zero: [u8; 5],
    }

    /// A meter.
    MeterLayout[88] {
        code: [u8; 32],
        key: [u8; 32],
        meter: u32,
        injection_max: u32,
        withdrawal_max: u32,
        platform: u16,
        retailer: u16,
        utility: u16,
        zero: [u8; 6],
    }

    /// A slot of a market.
    SlotLayout[8] {
        start_minute: u32,
        minutes: u16,
        market: u16,
    }

    /// A new order with its evidence.
    NewOrderLayout[120] {
        signature: [u8; 64],
        client_order: u64,
        limit: i64,
        quantity: u64,
        valid_until: i64,
        meter: u32,
        session: u32,
        start_minute: u32,
        minutes: u16,
        market: u16,
        platform: u16,
        side: u8,
        time_in_force: u8,
        zero: [u8; 4],
    }

    /// A cancellation.
    CancelLayout[24] {
        client_order: u64,
        order: u64,
        session: u32,
        platform: u16,
        zero: [u8; 2],
    }

    /// A replacement with its evidence.
    ReplaceLayout[120] {
        signature: [u8; 64],
        client_order: u64,
        order: u64,
        limit: i64,
        quantity: u64,
        valid_until: i64,
        meter: u32,
        session: u32,
        platform: u16,
        zero: [u8; 6],
    }

    /// A slot that moved on.
    PhaseLayout[16] {
        start_minute: u32,
        minutes: u16,
        market: u16,
        phase: u8,
        zero: [u8; 7],
    }

    /// An uncross. Bits of `flags`: 0 there is a price, 1 there is a reference, 2 clamped.
    AuctionLayout[80] {
        price: i64,
        volume: u64,
        surplus_wh: i64,
        reference: i64,
        book: [u8; 32],
        candidates: u32,
        start_minute: u32,
        minutes: u16,
        market: u16,
        rule: u8,
        flags: u8,
        zero: [u8; 2],
    }

    /// An accepted order.
    AcceptedLayout[56] {
        client_order: u64,
        order: u64,
        limit: i64,
        quantity: u64,
        meter: u32,
        session: u32,
        start_minute: u32,
        minutes: u16,
        market: u16,
        platform: u16,
        side: u8,
        zero: [u8; 5],
    }

    /// An order sent again.
    RestatedLayout[40] {
        client_order: u64,
        order: u64,
        filled: u64,
        leaves: u64,
        session: u32,
        platform: u16,
        zero: [u8; 2],
    }

    /// A replaced order. `kept_place` is 0 or 1.
    ReplacedLayout[40] {
        client_order: u64,
        order: u64,
        limit: i64,
        leaves: u64,
        session: u32,
        platform: u16,
        kept_place: u8,
        zero: [u8; 1],
    }

    /// A cancelled order.
    CancelledLayout[32] {
        client_order: u64,
        order: u64,
        leaves: u64,
        platform: u16,
        reason: u8,
        zero: [u8; 5],
    }

    /// A refused request.
    RejectedLayout[24] {
        client_order: u64,
        session: u32,
        platform: u16,
        reason: u16,
        request: u8,
        zero: [u8; 7],
    }

    /// A trade. `maker` is 0 for none, otherwise 1 + the code of the side.
    TradeLayout[96] {
        trade: u64,
        price: i64,
        quantity: u64,
        buy_order: u64,
        buy_client_order: u64,
        buy_leaves: u64,
        sell_order: u64,
        sell_client_order: u64,
        sell_leaves: u64,
        buy_meter: u32,
        sell_meter: u32,
        start_minute: u32,
        minutes: u16,
        market: u16,
        buy_platform: u16,
        sell_platform: u16,
        maker: u8,
        zero: [u8; 3],
    }

    /// A refused command.
    CommandRejectedLayout[8] {
        reason: u16,
        zero: [u8; 6],
    }
}
