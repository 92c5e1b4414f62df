//! Slots: their keys, phases, calls and auctions.

use types::{
    AuctionResult, CallExtended, Digest, Energy, FreezeSlot, Phase, Price, PriceRule, SlotFrozen,
    SlotKey, SlotPhaseChanged, Timestamp,
};

use super::{
    Archived, Stored,
    layout::{AuctionLayout, ExtendedLayout, FreezeLayout, FrozenLayout, PhaseLayout, SlotLayout},
    slot_key, zero,
};

/// There is a price.
const HAS_PRICE: u8 = 1;
/// There is a reference price.
const HAS_REFERENCE: u8 = 2;
/// The reference was clamped.
const CLAMPED: u8 = 4;

/// A price that may be missing: without one its field is zero.
fn optional_price(present: bool, micros: i64) -> Option<Option<Price>> {
    match (present, micros) {
        (true, micros) => Some(Some(Price::from_micros(micros))),
        (false, 0) => Some(None),
        (false, _) => None,
    }
}

impl Stored for SlotKey {
    type Layout = SlotLayout;

    fn layout(&self) -> SlotLayout {
        SlotLayout {
            start_minute: self.slot.start_minute(),
            minutes: self.slot.minutes(),
            market: self.market.get(),
        }
    }

    fn restore(layout: &Archived<SlotLayout>) -> Option<Self> {
        slot_key(
            layout.start_minute.to_native(),
            layout.minutes.to_native(),
            layout.market.to_native(),
        )
    }
}

impl Stored for FreezeSlot {
    type Layout = FreezeLayout;

    fn layout(&self) -> FreezeLayout {
        FreezeLayout {
            seed: self.seed,
            start_minute: self.key.slot.start_minute(),
            minutes: self.key.slot.minutes(),
            market: self.key.market.get(),
        }
    }

    fn restore(layout: &Archived<FreezeLayout>) -> Option<Self> {
        let key = slot_key(
            layout.start_minute.to_native(),
            layout.minutes.to_native(),
            layout.market.to_native(),
        )?;
        Some(Self { key, seed: layout.seed.to_native() })
    }
}

impl Stored for SlotPhaseChanged {
    type Layout = PhaseLayout;

    fn layout(&self) -> PhaseLayout {
        PhaseLayout {
            start_minute: self.key.slot.start_minute(),
            minutes: self.key.slot.minutes(),
            market: self.key.market.get(),
            phase: self.phase.code(),
            zero: [0; 7],
        }
    }

    fn restore(layout: &Archived<PhaseLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        let key = slot_key(
            layout.start_minute.to_native(),
            layout.minutes.to_native(),
            layout.market.to_native(),
        )?;
        Some(Self { key, phase: Phase::from_code(layout.phase)? })
    }
}

impl Stored for SlotFrozen {
    type Layout = FrozenLayout;

    fn layout(&self) -> FrozenLayout {
        FrozenLayout {
            uncross_at: self.uncross_at.ns(),
            start_minute: self.key.slot.start_minute(),
            minutes: self.key.slot.minutes(),
            market: self.key.market.get(),
        }
    }

    fn restore(layout: &Archived<FrozenLayout>) -> Option<Self> {
        let key = slot_key(
            layout.start_minute.to_native(),
            layout.minutes.to_native(),
            layout.market.to_native(),
        )?;
        Some(Self { key, uncross_at: Timestamp::from_ns(layout.uncross_at.to_native()) })
    }
}

impl Stored for CallExtended {
    type Layout = ExtendedLayout;

    fn layout(&self) -> ExtendedLayout {
        ExtendedLayout {
            price: self.price.micros(),
            reference: self.reference.micros(),
            start_minute: self.key.slot.start_minute(),
            minutes: self.key.slot.minutes(),
            market: self.key.market.get(),
        }
    }

    fn restore(layout: &Archived<ExtendedLayout>) -> Option<Self> {
        let key = slot_key(
            layout.start_minute.to_native(),
            layout.minutes.to_native(),
            layout.market.to_native(),
        )?;
        Some(Self {
            key,
            price: Price::from_micros(layout.price.to_native()),
            reference: Price::from_micros(layout.reference.to_native()),
        })
    }
}

impl Stored for AuctionResult {
    type Layout = AuctionLayout;

    fn layout(&self) -> AuctionLayout {
        let mut flags = 0;
        if self.price.is_some() {
            flags |= HAS_PRICE;
        }
        if self.reference.is_some() {
            flags |= HAS_REFERENCE;
        }
        if self.clamped {
            flags |= CLAMPED;
        }
        AuctionLayout {
            price: self.price.map_or(0, Price::micros),
            volume: self.volume.wh(),
            surplus_wh: self.surplus_wh,
            reference: self.reference.map_or(0, Price::micros),
            book: *self.book.as_bytes(),
            candidates: self.candidates,
            start_minute: self.key.slot.start_minute(),
            minutes: self.key.slot.minutes(),
            market: self.key.market.get(),
            rule: self.rule.code(),
            flags,
            zero: [0; 2],
        }
    }

    fn restore(layout: &Archived<AuctionLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        let flags = layout.flags;
        if flags & !(HAS_PRICE | HAS_REFERENCE | CLAMPED) != 0 {
            return None;
        }
        Some(Self {
            key: slot_key(
                layout.start_minute.to_native(),
                layout.minutes.to_native(),
                layout.market.to_native(),
            )?,
            rule: PriceRule::from_code(layout.rule)?,
            price: optional_price(flags & HAS_PRICE != 0, layout.price.to_native())?,
            volume: Energy::from_wh(layout.volume.to_native()),
            surplus_wh: layout.surplus_wh.to_native(),
            reference: optional_price(flags & HAS_REFERENCE != 0, layout.reference.to_native())?,
            candidates: layout.candidates.to_native(),
            clamped: flags & CLAMPED != 0,
            book: Digest::new(layout.book),
        })
    }
}
