//! Values of the grid: where meters hang, and limits.

use types::{
    Command, DeliverySlot, Event, GridLimit, GridLimitSet, GridPlace, GridRefused, MeterId,
    PlaceNote, PlaceNoted, RejectReason, UtilityId,
};

use super::values::Source;

impl Source {
    fn note(&mut self) -> PlaceNote {
        PlaceNote {
            number: self.u64(),
            meter: MeterId::new(self.u32()),
            from_minute: self.u32(),
            revision: self.u32(),
            zone: self.bool().then(|| self.code()),
            feeder: self.bool().then(|| self.code()),
        }
    }

    fn grid_limit(&mut self) -> GridLimit {
        let start = u32::try_from(self.below(1_000_000)).unwrap();
        GridLimit {
            number: self.u64(),
            place: GridPlace {
                utility: UtilityId::new(self.u16()),
                zone: self.code(),
                feeder: self.bool().then(|| self.code()),
            },
            side: self.side(),
            slot: DeliverySlot::new(start * 15, 15).unwrap(),
            limit: self.energy(),
            revision: self.u32(),
        }
    }

    pub(super) fn grid_command(&mut self, kind: u64) -> Command {
        match kind {
            34 => Command::NotePlace(self.note()),
            _ => Command::SetGridLimit(self.grid_limit()),
        }
    }

    pub(super) fn grid_event(&mut self, kind: u64) -> Event {
        match kind {
            32 => Event::PlaceNoted(PlaceNoted {
                note: self.note(),
                cancelled: self.u32(),
                complete: self.bool(),
            }),
            33 => Event::GridLimitSet(GridLimitSet {
                limit: self.grid_limit(),
                used: self.energy(),
                cancelled: self.u32(),
                complete: self.bool(),
            }),
            _ => Event::GridRefused(GridRefused {
                number: self.u64(),
                reason: self.pick(RejectReason::ALL),
            }),
        }
    }
}
