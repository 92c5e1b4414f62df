//! Where meters hang, and limits of zones and feeders.

use types::{
    DeliverySlot, Energy, GridLimit, GridLimitSet, GridPlace, GridRefused, MeterId, PlaceName,
    PlaceNote, PlaceNoted, RejectReason, Side, UtilityId,
};

use super::{
    Archived, Stored,
    layout::{
        GridLimitLayout, GridLimitSetLayout, GridRefusedLayout, PlaceLayout, PlaceNotedLayout,
    },
    zero,
};

/// No order is left that has to go.
const COMPLETE: u8 = 1;

fn padded(name: Option<PlaceName>) -> [u8; 16] {
    name.map_or([0; 16], |name| *name.padded())
}

/// A name that may be missing: then its bytes are zero.
fn optional_name(padded: [u8; 16]) -> Option<Option<PlaceName>> {
    if padded == [0; 16] {
        return Some(None);
    }
    PlaceName::from_padded(padded).ok().map(Some)
}

fn is_complete(flags: u8) -> Option<bool> {
    (flags & !COMPLETE == 0).then_some(flags == COMPLETE)
}

impl Stored for PlaceNote {
    type Layout = PlaceLayout;

    fn layout(&self) -> PlaceLayout {
        PlaceLayout {
            number: self.number,
            meter: self.meter.get(),
            from_minute: self.from_minute,
            revision: self.revision,
            zone: padded(self.zone),
            feeder: padded(self.feeder),
            zero: [0; 4],
        }
    }

    fn restore(layout: &Archived<PlaceLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            number: layout.number.to_native(),
            meter: MeterId::new(layout.meter.to_native()),
            from_minute: layout.from_minute.to_native(),
            revision: layout.revision.to_native(),
            zone: optional_name(layout.zone)?,
            feeder: optional_name(layout.feeder)?,
        })
    }
}

impl Stored for PlaceNoted {
    type Layout = PlaceNotedLayout;

    fn layout(&self) -> PlaceNotedLayout {
        PlaceNotedLayout {
            number: self.note.number,
            meter: self.note.meter.get(),
            from_minute: self.note.from_minute,
            revision: self.note.revision,
            cancelled: self.cancelled,
            zone: padded(self.note.zone),
            feeder: padded(self.note.feeder),
            flags: u8::from(self.complete),
            zero: [0; 7],
        }
    }

    fn restore(layout: &Archived<PlaceNotedLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            note: PlaceNote {
                number: layout.number.to_native(),
                meter: MeterId::new(layout.meter.to_native()),
                from_minute: layout.from_minute.to_native(),
                revision: layout.revision.to_native(),
                zone: optional_name(layout.zone)?,
                feeder: optional_name(layout.feeder)?,
            },
            cancelled: layout.cancelled.to_native(),
            complete: is_complete(layout.flags)?,
        })
    }
}

/// The limit in a layout that has one.
macro_rules! limit {
    ($layout:ident) => {
        GridLimit {
            number: $layout.number.to_native(),
            place: GridPlace {
                utility: UtilityId::new($layout.utility.to_native()),
                zone: PlaceName::from_padded($layout.zone).ok()?,
                feeder: optional_name($layout.feeder)?,
            },
            side: Side::from_code($layout.side)?,
            slot: DeliverySlot::new($layout.start_minute.to_native(), $layout.minutes.to_native())
                .ok()?,
            limit: Energy::from_wh($layout.limit.to_native()),
            revision: $layout.revision.to_native(),
        }
    };
}

impl Stored for GridLimit {
    type Layout = GridLimitLayout;

    fn layout(&self) -> GridLimitLayout {
        GridLimitLayout {
            number: self.number,
            limit: self.limit.wh(),
            start_minute: self.slot.start_minute(),
            revision: self.revision,
            minutes: self.slot.minutes(),
            utility: self.place.utility.get(),
            zone: *self.place.zone.padded(),
            feeder: padded(self.place.feeder),
            side: self.side.code(),
            zero: [0; 3],
        }
    }

    fn restore(layout: &Archived<GridLimitLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(limit!(layout))
    }
}

impl Stored for GridLimitSet {
    type Layout = GridLimitSetLayout;

    fn layout(&self) -> GridLimitSetLayout {
        let GridLimit { number, place, side, slot, limit, revision } = self.limit;
        GridLimitSetLayout {
            number,
            limit: limit.wh(),
            used: self.used.wh(),
            start_minute: slot.start_minute(),
            revision,
            cancelled: self.cancelled,
            minutes: slot.minutes(),
            utility: place.utility.get(),
            zone: *place.zone.padded(),
            feeder: padded(place.feeder),
            side: side.code(),
            flags: u8::from(self.complete),
            zero: [0; 6],
        }
    }

    fn restore(layout: &Archived<GridLimitSetLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            limit: limit!(layout),
            used: Energy::from_wh(layout.used.to_native()),
            cancelled: layout.cancelled.to_native(),
            complete: is_complete(layout.flags)?,
        })
    }
}

impl Stored for GridRefused {
    type Layout = GridRefusedLayout;

    fn layout(&self) -> GridRefusedLayout {
        GridRefusedLayout { number: self.number, reason: self.reason.code(), zero: [0; 6] }
    }

    fn restore(layout: &Archived<GridRefusedLayout>) -> Option<Self> {
        zero(&layout.zero)?;
        Some(Self {
            number: layout.number.to_native(),
            reason: RejectReason::from_code(layout.reason.to_native())?,
        })
    }
}
