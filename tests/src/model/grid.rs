//! Where meters hang on the wires, and limits of what they may have open and traded there.

use types::{
    CancelReason, DeliverySlot, Energy, Event, GridLimit, GridLimitSet, GridPlace, GridRefused,
    MASS_CANCEL_MAX, MeterId, Party, Phase, PlaceNote, PlaceNoted, RejectReason, Role, Side,
    Timestamp,
};

use super::{Model, Outcome, aggregates::Part, digest::Listing, refuse_if};

/// All that utilities said, one of each subject: the newest.
#[derive(Debug)]
pub(super) struct Wires {
    notes: Vec<PlaceNote>,
    limits: Vec<GridLimit>,
}

impl Wires {
    pub(super) const fn new() -> Self {
        Self { notes: Vec::new(), limits: Vec::new() }
    }

    fn limits_in_force(&self, now: Timestamp) -> Vec<GridLimit> {
        let mut limits: Vec<GridLimit> =
            self.limits.iter().copied().filter(|limit| limit.slot.start() >= now).collect();
        limits.sort_by_key(|limit| (limit.slot, limit.place, limit.side));
        limits
    }
}

impl Model {
    /// The zone of a meter in a slot, and its feeder where it has one.
    fn places_of(&self, meter: MeterId, slot: DeliverySlot) -> Vec<GridPlace> {
        let mut notes: Vec<&PlaceNote> = self
            .wires
            .notes
            .iter()
            .filter(|note| note.meter == meter && note.from_minute <= slot.start_minute())
            .collect();
        notes.sort_by_key(|note| note.from_minute);
        let utility = self.find_meter(meter).expect("the meter was checked").utility;
        let Some(zone) = notes.iter().rev().find_map(|note| note.zone) else { return Vec::new() };
        let feeder = notes.iter().rev().find_map(|note| note.feeder);
        let mut places = vec![GridPlace { utility, zone, feeder: None }];
        if feeder.is_some() {
            places.push(GridPlace { utility, zone, feeder });
        }
        places
    }

    /// What the meters of a place have open and traded in slots that are open.
    fn used_at(&self, place: GridPlace, side: Side, slot: DeliverySlot) -> u64 {
        let keys = self.slots.iter().filter(|known| known.phase != Phase::Closed);
        let keys: Vec<_> = keys.map(|known| known.key).filter(|key| key.slot == slot).collect();
        let meters = self.meters.iter().map(|meter| meter.meter);
        meters
            .filter(|&meter| self.places_of(meter, slot).contains(&place))
            .flat_map(|meter| keys.iter().map(move |&key| self.used(meter, side, key)))
            .map(|used| u64::try_from(used).expect("nobody holds less than nothing"))
            .sum()
    }

    fn limit_of(&self, place: GridPlace, side: Side, slot: DeliverySlot) -> Option<GridLimit> {
        let limits = self.wires.limits_in_force(self.last_time);
        let of = |limit: &GridLimit| (limit.place, limit.side, limit.slot);
        limits.into_iter().find(|limit| of(limit) == (place, side, slot))
    }

    fn is_above(&self, place: GridPlace, side: Side, slot: DeliverySlot) -> bool {
        let limit = self.limit_of(place, side, slot);
        limit.is_some_and(|limit| self.used_at(place, side, slot) > limit.limit.wh())
    }

    pub(super) fn check_grid(
        &self,
        meter: MeterId,
        side: Side,
        slot: DeliverySlot,
        more: u64,
    ) -> Outcome {
        let exceeds = self.places_of(meter, slot).into_iter().any(|place| {
            let limit = self.limit_of(place, side, slot);
            limit.is_some_and(|limit| self.used_at(place, side, slot) + more > limit.limit.wh())
        });
        refuse_if(exceeds, RejectReason::GridLimit)
    }

    /// The first member that is too much for a place, with those before it.
    pub(super) fn check_grid_of_members(
        &self,
        parts: &[Part],
        side: Side,
        slot: DeliverySlot,
    ) -> Result<(), MeterId> {
        for (at, part) in parts.iter().enumerate() {
            for place in self.places_of(part.meter, slot) {
                let there = |part: &&Part| self.places_of(part.meter, slot).contains(&place);
                let more: u64 = parts[..=at].iter().filter(there).map(|part| part.open).sum();
                let limit = self.limit_of(place, side, slot).map(|limit| limit.limit.wh());
                if limit.is_some_and(|limit| self.used_at(place, side, slot) + more > limit) {
                    return Err(part.meter);
                }
            }
        }
        Ok(())
    }

    pub(super) fn note_place(&mut self, note: &PlaceNote, events: &mut Vec<Event>) {
        if let Err(reason) = self.check_note(note) {
            events.push(Event::GridRefused(GridRefused { number: note.number, reason }));
            return;
        }
        let subject = |one: &PlaceNote| (one.meter, one.from_minute);
        self.wires.notes.retain(|known| subject(known) != subject(note));
        self.wires.notes.push(*note);
        let mut slots: Vec<DeliverySlot> =
            self.wires.limits_in_force(self.last_time).iter().map(|limit| limit.slot).collect();
        slots.dedup();
        let (mut cancelled, mut complete) = (0, true);
        for slot in slots.into_iter().filter(|slot| slot.start_minute() >= note.from_minute) {
            for place in self.places_of(note.meter, slot) {
                for side in [Side::Buy, Side::Sell] {
                    complete &= self.enforce(place, side, slot, &mut cancelled, events);
                }
            }
        }
        events.push(Event::PlaceNoted(PlaceNoted { note: *note, cancelled, complete }));
    }

    fn check_note(&self, note: &PlaceNote) -> Outcome {
        refuse_if(self.find_meter(note.meter).is_none(), RejectReason::UnknownMeter)?;
        let own: Vec<&PlaceNote> =
            self.wires.notes.iter().filter(|known| known.meter == note.meter).collect();
        match own.iter().find(|known| known.from_minute == note.from_minute) {
            None => refuse_if(own.len() >= 64, RejectReason::RegistryFull),
            Some(known) => {
                let same = PlaceNote { number: known.number, ..*note } == **known;
                let outdated = note.revision <= known.revision && !same;
                refuse_if(outdated, RejectReason::RevisionOutdated)
            }
        }
    }

    pub(super) fn set_grid_limit(&mut self, limit: &GridLimit, events: &mut Vec<Event>) {
        if let Err(reason) = self.check_limit(limit) {
            events.push(Event::GridRefused(GridRefused { number: limit.number, reason }));
            return;
        }
        let GridLimit { place, side, slot, .. } = *limit;
        let subject = |one: &GridLimit| (one.place, one.side, one.slot);
        self.wires.limits.retain(|known| subject(known) != subject(limit));
        self.wires.limits.push(*limit);
        let mut cancelled = 0;
        let complete = self.enforce(place, side, slot, &mut cancelled, events);
        let used = Energy::from_wh(self.used_at(place, side, slot));
        events.push(Event::GridLimitSet(GridLimitSet { limit: *limit, used, cancelled, complete }));
    }

    fn check_limit(&self, limit: &GridLimit) -> Outcome {
        let party = Party { role: Role::Utility, number: limit.place.utility.get() };
        refuse_if(!self.parties.contains_key(&party), RejectReason::UnknownParty)?;
        let keys = self.markets.values().map(|market| market.definition.key(limit.slot));
        let keys: Vec<_> = keys.filter(|&key| self.market_of(key).is_ok()).collect();
        refuse_if(keys.is_empty(), RejectReason::SlotMisaligned)?;
        let over = |key: &types::SlotKey| {
            let gate = self.markets[&key.market].definition.gate_closes_after(key.slot);
            let closed = self.find_slot(*key).is_some_and(|slot| slot.phase == Phase::Closed);
            closed || self.last_time > gate
        };
        refuse_if(keys.iter().all(over), RejectReason::GateClosed)?;
        let Some(known) = self.limit_of(limit.place, limit.side, limit.slot) else {
            return Ok(());
        };
        let same = known.revision == limit.revision && known.limit == limit.limit;
        let outdated = limit.revision <= known.revision && !same;
        refuse_if(outdated, RejectReason::RevisionOutdated)
    }

    /// Cancels the newest orders of a place while it is above its limit; whether it could.
    fn enforce(
        &mut self,
        place: GridPlace,
        side: Side,
        slot: DeliverySlot,
        cancelled: &mut u32,
        events: &mut Vec<Event>,
    ) -> bool {
        while self.is_above(place, side, slot) {
            let newest = (0..self.orders.len()).rev().find(|&at| {
                let order = &self.orders[at];
                let sent = order.sent;
                order.is_open()
                    && sent.side == side
                    && sent.key.slot == slot
                    && self
                        .open_meters(at)
                        .into_iter()
                        .any(|meter| self.places_of(meter, slot).contains(&place))
            });
            let Some(at) = newest else { return true };
            if *cancelled >= MASS_CANCEL_MAX {
                return false;
            }
            *cancelled += self.cancel_whole(at, None, CancelReason::GridLimit, events);
        }
        true
    }

    pub(super) fn list_wires(&self, listing: &mut Listing) {
        let limits = self.wires.limits_in_force(self.last_time);
        if self.wires.notes.is_empty() && limits.is_empty() {
            return;
        }
        let mut notes = self.wires.notes.clone();
        notes.sort_by_key(|note| (note.meter, note.from_minute));
        let of_meters: Vec<&[PlaceNote]> = notes.chunk_by(|a, b| a.meter == b.meter).collect();
        listing.count(of_meters.len());
        for own in of_meters {
            listing.bytes(&own[0].meter.get().to_le_bytes());
            listing.count(own.len());
            for note in own {
                listing.bytes(&note.from_minute.to_le_bytes());
                listing.bytes(&note.revision.to_le_bytes());
                for name in [note.zone, note.feeder] {
                    listing.bytes(&name.map_or([0; 16], |name| *name.padded()));
                }
            }
        }
        listing.count(limits.len());
        for limit in limits {
            listing.bytes(&limit.slot.start_minute().to_le_bytes());
            listing.bytes(&limit.slot.minutes().to_le_bytes());
            listing.bytes(&limit.place.utility.get().to_le_bytes());
            listing.bytes(limit.place.zone.padded());
            let feeder = limit.place.feeder;
            listing.bytes(&feeder.map_or([0; 16], |name| *name.padded()));
            listing.bytes(&[limit.side.code()]);
            listing.bytes(&limit.revision.to_le_bytes());
            listing.bytes(&limit.limit.wh().to_le_bytes());
        }
    }
}
