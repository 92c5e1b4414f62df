//! Commands about the wires.

use types::{
    Command, DeliverySlot, Energy, GridLimit, GridPlace, MeterId, PlaceName, PlaceNote, Side,
    UtilityId,
};

use super::{History, setup};

impl History {
    fn name(&mut self, names: &[&str]) -> PlaceName {
        PlaceName::new(self.random.one_of(names)).expect("a short name")
    }

    fn optional_name(&mut self, names: &[&str]) -> Option<PlaceName> {
        let name = self.name(names);
        (!self.random.once_in(4)).then_some(name)
    }

    /// A slot that is open, or will be, or was.
    fn some_slot(&mut self) -> DeliverySlot {
        if self.random.once_in(8) {
            let minute = (self.minute() / 60 + u32::from(self.random.small(4))) * 60;
            return DeliverySlot::new(minute, 60).expect("an hour");
        }
        self.open_key().slot
    }

    pub(super) fn note_place(&mut self) -> Command {
        let meter = if self.random.once_in(20) { 99 } else { setup::METERS };
        let meter = 1 + u32::try_from(self.random.below(u64::from(meter))).unwrap_or(0);
        let from_minute = match self.random.below(3) {
            0 => 0,
            1 => self.minute(),
            _ => self.some_slot().start_minute(),
        };
        Command::NotePlace(PlaceNote {
            number: self.random.below(9),
            meter: MeterId::new(meter),
            from_minute,
            revision: 1 + u32::from(self.random.small(4)),
            zone: self.optional_name(&["Z1", "Z1", "Z2"]),
            feeder: self.optional_name(&["F1", "F2"]),
        })
    }

    pub(super) fn grid_limit(&mut self) -> Command {
        let feeder = self.optional_name(&["F1", "F2"]).filter(|_| self.random.once_in(2));
        let utility = if self.random.once_in(20) { 77 } else { 1 };
        let lots = if self.random.once_in(5) { 0 } else { self.random.small(40) };
        Command::SetGridLimit(GridLimit {
            number: self.random.below(9),
            place: GridPlace {
                utility: UtilityId::new(utility),
                zone: self.name(&["Z1", "Z1", "Z2"]),
                feeder,
            },
            side: self.random.one_of(&[Side::Buy, Side::Sell]),
            slot: self.some_slot(),
            limit: Energy::from_wh(u64::from(lots) * 100),
            revision: 1 + u32::from(self.random.small(6)),
        })
    }
}
