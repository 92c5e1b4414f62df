//! Between the values of the exchange and their layouts. Every code is checked on the way back.

mod aggregates;
mod amendments;
mod contracts;
mod controls;
mod delegations;
mod grid;
mod operations;
mod orders;
mod registry;
mod reports;
mod slots;

use types::{DeliverySlot, MarketId, Origin, PlatformId, SessionId, SlotKey};

use super::{Archived, Stored, layout, operator_layout};

fn zero<const N: usize>(reserved: &[u8; N]) -> Option<()> {
    (*reserved == [0; N]).then_some(())
}

fn slot_key(start_minute: u32, minutes: u16, market: u16) -> Option<SlotKey> {
    let slot = DeliverySlot::new(start_minute, minutes).ok()?;
    Some(SlotKey { market: MarketId::new(market), slot })
}

fn origin(platform: u16, session: u32) -> Origin {
    Origin { platform: PlatformId::new(platform), session: SessionId::new(session) }
}

/// An origin that may be missing: without one its fields are zero.
fn optional_origin(present: bool, platform: u16, session: u32) -> Option<Option<Origin>> {
    match (present, platform, session) {
        (true, platform, session) => Some(Some(origin(platform, session))),
        (false, 0, 0) => Some(None),
        (false, ..) => None,
    }
}

/// The platform and the session of an origin, zero without one.
fn origin_parts(origin: Option<Origin>) -> (u16, u32) {
    origin.map_or((0, 0), |origin| (origin.platform.get(), origin.session.get()))
}
