//! What utilities say of their wires that trading has to keep to: where meters hang, and how much may
//! be traded at a place.

use crate::{
    code::Code,
    ids::{MeterId, UtilityId},
    order::Side,
    reject::RejectReason,
    slot::DeliverySlot,
    units::Energy,
};

/// The name of a zone or a feeder.
pub type PlaceName = Code<16>;

/// A zone of a utility's wires, or one feeder of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GridPlace {
    /// Whose wires.
    pub utility: UtilityId,
    /// Which zone of them.
    pub zone: PlaceName,
    /// Which feeder of the zone; `None` for all of them.
    pub feeder: Option<PlaceName>,
}

/// Where a meter hangs from a moment on, as its utility says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaceNote {
    /// Settlement's number of it, which the event repeats.
    pub number: u64,
    /// Which meter.
    pub meter: MeterId,
    /// From when, in minutes since 1970.
    pub from_minute: u32,
    /// Which version of what is said of this meter and moment, from 1 upwards.
    pub revision: u32,
    /// The zone; as before, if it is not said.
    pub zone: Option<PlaceName>,
    /// The feeder; as before, if it is not said.
    pub feeder: Option<PlaceName>,
}

/// The most that meters of a place may have open and traded in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridLimit {
    /// Settlement's number of it, which the event repeats.
    pub number: u64,
    /// Where.
    pub place: GridPlace,
    /// Injection is the seller's side, withdrawal the buyer's.
    pub side: Side,
    /// When: the slots of all markets with this start and duration.
    pub slot: DeliverySlot,
    /// How much.
    pub limit: Energy,
    /// Which version, from 1 upwards.
    pub revision: u32,
}

/// A meter hangs at a place; the orders that had to go for that came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaceNoted {
    /// What was said.
    pub note: PlaceNote,
    /// How many orders were cancelled because its new place is above a limit.
    pub cancelled: u32,
    /// Whether none of them are left. If some are, the same command again goes on.
    pub complete: bool,
}

/// A limit is in force; the orders that had to go for it came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridLimitSet {
    /// What was said.
    pub limit: GridLimit,
    /// What meters of the place have open and traded now. Trades stand, above the limit too.
    pub used: Energy,
    /// How many orders were cancelled.
    pub cancelled: u32,
    /// Whether none are left that have to go. If some are, the same command again goes on.
    pub complete: bool,
}

impl GridLimitSet {
    /// By how much the place is above its limit.
    #[must_use]
    pub const fn above(&self) -> Energy {
        Energy::from_wh(self.used.wh().saturating_sub(self.limit.limit.wh()))
    }
}

/// A place or a limit was refused. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridRefused {
    /// Settlement's number of it.
    pub number: u64,
    /// Why.
    pub reason: RejectReason,
}
