//! Layouts of version 1 of what operators order, and what became of it; by the rules of `layout`.

use rkyv::{Archive, Archived};

use super::{
    layout::LAYOUT_BYTES_MAX,
    layouts::{Field, Layout, layouts},
};
use crate::format::Fill;

layouts! {
    /// An operator's order; of the event, bit 0 of `flags`: it took effect. What it is about is a scope
    /// and a state, or a slot; the other is zero. Of a bust, `scope_number` and `start_minute` are the low and
    /// the high half of the trade's number. Of a new market `scope_number` is how many minutes before delivery a
    /// call ends, and `minutes` how many an extension lasts.
    OperationLayout[152] {
        signature: [u8; 64],
        reason: [u8; 48],
        number: u64,
        valid_until: i64,
        scope_number: u32,
        start_minute: u32,
        operator: u16,
        signer: u16,
        market: u16,
        minutes: u16,
        action: u8,
        scope_kind: u8,
        state: u8,
        flags: u8,
        zero: [u8; 4],
    }

    /// An operator's order to bust a trade, and the trade as it was made.
    BustLayout[168] {
        signature: [u8; 64],
        reason: [u8; 48],
        number: u64,
        valid_until: i64,
        trade: u64,
        price: i64,
        quantity: u32,
        buyer: u32,
        seller: u32,
        start_minute: u32,
        operator: u16,
        signer: u16,
        market: u16,
        minutes: u16,
    }

    /// A trade that was undone.
    BustedLayout[48] {
        trade: u64,
        price: i64,
        quantity: u64,
        buyer: u32,
        seller: u32,
        version: u32,
        start_minute: u32,
        market: u16,
        minutes: u16,
        buyer_platform: u16,
        seller_platform: u16,
    }
}
