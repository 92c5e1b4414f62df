//! What the wires allow: where meters hang, and the most that a zone or feeder may have open and traded
//! in one slot and direction.
//!
//! A limit counts until its slot begins. With the first limit of a slot its open and traded energy is
//! summed up by place, in one pass over what meters have used of their capacity; from then on every change of
//! that is counted here too. Slots without any limit pay nothing.

use std::collections::BTreeMap;

use types::{
    CancelReason, DeliverySlot, Energy, Event, GridLimit, GridLimitSet, GridPlace, GridRefused,
    MASS_CANCEL_MAX, MeterId, Party, PlaceName, PlaceNote, PlaceNoted, RejectReason, Role, Side,
    SlotKey, Timestamp, UtilityId,
};

use crate::{
    aggregates::Part,
    engine::Engine,
    index::NONE,
    limits::{GRID_LIMITS_MAX, METER_PLACES_MAX},
    many::open_numbers,
    orders::Traits,
    slots::Slot,
};

/// What a utility says of a meter from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) from_minute: u32,
    pub(crate) revision: u32,
    /// As before, if it is not said; so is the feeder.
    pub(crate) zone: Option<PlaceName>,
    pub(crate) feeder: Option<PlaceName>,
}

impl Point {
    const fn of(note: &PlaceNote) -> Self {
        let PlaceNote { from_minute, revision, zone, feeder, .. } = *note;
        Self { from_minute, revision, zone, feeder }
    }
}

/// Where a meter hangs, in order of time.
#[derive(Debug)]
struct Places {
    utility: UtilityId,
    points: Vec<Point>,
}

impl Places {
    /// The zone at a moment, and the feeder if there is one. None before the first zone is named.
    /// Rule T-91.
    fn at(&self, minute: u32) -> Option<GridPlace> {
        let until = self.points.partition_point(|point| point.from_minute <= minute);
        let said = || self.points.iter().take(until).rev();
        let zone = said().find_map(|point| point.zone)?;
        Some(GridPlace {
            utility: self.utility,
            zone,
            feeder: said().find_map(|point| point.feeder),
        })
    }
}

/// What the meters of a place have open and traded in a direction, and what they may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counter {
    used: u64,
    /// Revision and Wh of the limit, if there is one.
    limit: Option<(u32, u64)>,
}

impl Counter {
    fn is_above(&self) -> bool {
        self.limit.is_some_and(|(_, limit)| self.used > limit)
    }
}

/// The counters of a slot that has a limit: of every place, since the next limit may be of any.
type Counters = BTreeMap<(GridPlace, Side), Counter>;

/// Places of meters, and limits of slots that have not begun.
#[derive(Debug, Default)]
pub(crate) struct Grid {
    places: BTreeMap<MeterId, Places>,
    slots: BTreeMap<DeliverySlot, Counters>,
    limits: usize,
}

impl Grid {
    /// Whether nobody ever said anything that still counts at this time.
    pub(crate) fn is_empty(&self, now: Timestamp) -> bool {
        self.places.is_empty() && self.limits(now).next().is_none()
    }

    /// Meters with what was said of them, by number.
    pub(crate) fn places(&self) -> impl ExactSizeIterator<Item = (MeterId, &[Point])> {
        self.places.iter().map(|(&meter, places)| (meter, places.points.as_slice()))
    }

    /// Limits in force at this time by slot, place and side: with revision and Wh.
    pub(crate) fn limits(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = (DeliverySlot, GridPlace, Side, (u32, u64))> {
        let slots = self.slots.iter().filter(move |(slot, _)| slot.start() >= now);
        slots.flat_map(|(&slot, counters)| {
            counters.iter().filter_map(move |(&(place, side), counter)| {
                counter.limit.map(|limit| (slot, place, side, limit))
            })
        })
    }

    /// Enters what is said of a meter, in order of time; a snapshot does so too.
    pub(crate) fn put_point(&mut self, meter: MeterId, utility: UtilityId, point: Point) {
        let places =
            self.places.entry(meter).or_insert_with(|| Places { utility, points: Vec::new() });
        match places.points.binary_search_by_key(&point.from_minute, |known| known.from_minute) {
            Ok(at) => {
                if let Some(known) = places.points.get_mut(at) {
                    *known = point;
                }
            }
            Err(at) => places.points.insert(at, point),
        }
    }

    /// The places of a meter in a slot that may have a limit: its zone, and its feeder.
    /// Rule T-89.
    fn places_in(
        &self,
        meter: MeterId,
        slot: DeliverySlot,
    ) -> impl Iterator<Item = GridPlace> + use<> {
        let place = self.places.get(&meter).and_then(|places| places.at(slot.start_minute()));
        let zone = place.map(|place| GridPlace { feeder: None, ..place });
        let feeder = place.filter(|place| place.feeder.is_some());
        [zone, feeder].into_iter().flatten()
    }

    /// Counts what a meter has more, where its slot has limits.
    #[cold]
    pub(crate) fn add(&mut self, slot: DeliverySlot, (meter, side): (MeterId, Side), more: u32) {
        for place in self.places_in(meter, slot) {
            if let Some(counters) = self.slots.get_mut(&slot) {
                counters.entry((place, side)).or_default().used += u64::from(more);
            }
        }
    }

    /// Counts what a meter has less.
    #[cold]
    pub(crate) fn take(&mut self, slot: DeliverySlot, (meter, side): (MeterId, Side), less: u32) {
        for place in self.places_in(meter, slot) {
            let counter = self.slots.get_mut(&slot).and_then(|all| all.get_mut(&(place, side)));
            if let Some(counter) = counter {
                counter.used -= u64::from(less);
            }
        }
    }

    fn counter(&self, slot: DeliverySlot, place: GridPlace, side: Side) -> Option<&Counter> {
        self.slots.get(&slot)?.get(&(place, side))
    }

    fn is_above(&self, slot: DeliverySlot, place: GridPlace, side: Side) -> bool {
        self.counter(slot, place, side).is_some_and(Counter::is_above)
    }

    /// Lets go of slots that have begun: nothing can be traded in them any more.
    /// Rule T-92.
    fn forget(&mut self, now: Timestamp) {
        while let Some(first) = self.slots.first_entry() {
            if first.key().start() >= now {
                return;
            }
            let limits = first.get().values().filter(|counter| counter.limit.is_some()).count();
            first.remove();
            self.limits -= limits;
        }
    }

    /// Whether a limit may be entered.
    /// Rule T-93.
    fn check_limit(&self, new: &GridLimit) -> Result<(), RejectReason> {
        let known = self.counter(new.slot, new.place, new.side).and_then(|counter| counter.limit);
        match known {
            Some((revision, _)) if new.revision > revision => Ok(()),
            Some(known) if known == (new.revision, new.limit.wh()) => Ok(()),
            Some(_) => Err(RejectReason::RevisionOutdated),
            None if self.limits >= GRID_LIMITS_MAX => Err(RejectReason::RegistryFull),
            None => Ok(()),
        }
    }

    /// Whether what is said of a meter may be entered.
    fn check_point(&self, note: &PlaceNote) -> Result<(), RejectReason> {
        let Some(places) = self.places.get(&note.meter) else { return Ok(()) };
        let known = places.points.iter().find(|point| point.from_minute == note.from_minute);
        match known {
            Some(known) if note.revision > known.revision => Ok(()),
            Some(known) if *known == Point::of(note) => Ok(()),
            Some(_) => Err(RejectReason::RevisionOutdated),
            None if places.points.len() >= METER_PLACES_MAX => Err(RejectReason::RegistryFull),
            None => Ok(()),
        }
    }
}

/// What went for a limit.
#[derive(Debug, Clone, Copy)]
struct Gone {
    cancelled: u32,
    complete: bool,
}

impl Engine {
    /// Says where a meter hangs from a moment on. What it has in slots with limits counts there then.
    pub(crate) fn note_place(&mut self, note: &PlaceNote, events: &mut Vec<Event>) {
        let known = self.registry.registered(note.meter).map(|meter| meter.utility);
        let checked = known
            .ok_or(RejectReason::UnknownMeter)
            .and_then(|utility| self.grid.check_point(note).map(|()| utility));
        let utility = match checked {
            Ok(utility) => utility,
            Err(reason) => return events.push(refused(note.number, reason)),
        };
        self.grid.forget(self.last_time);
        let moved: Vec<DeliverySlot> = self
            .grid
            .slots
            .keys()
            .copied()
            .filter(|slot| slot.start_minute() >= note.from_minute)
            .collect();
        self.count_meter(&moved, note.meter, Grid::take);
        self.grid.put_point(note.meter, utility, Point::of(note));
        self.count_meter(&moved, note.meter, Grid::add);
        let mut gone = Gone { cancelled: 0, complete: true };
        for slot in moved {
            let places: Vec<GridPlace> = self.grid.places_in(note.meter, slot).collect();
            for place in places {
                for side in [Side::Buy, Side::Sell] {
                    self.enforce((slot, place, side), &mut gone, events);
                }
            }
        }
        let Gone { cancelled, complete } = gone;
        events.push(Event::PlaceNoted(PlaceNoted { note: *note, cancelled, complete }));
    }

    /// Counts all that a meter has in some slots, at the places where it hangs now.
    fn count_meter(
        &mut self,
        slots: &[DeliverySlot],
        meter: MeterId,
        count: impl Fn(&mut Grid, DeliverySlot, (MeterId, Side), u32),
    ) {
        for &slot in slots {
            for index in self.open_slots(slot) {
                let book = self.slots.book(self.slots.slot(index).book);
                for side in [Side::Buy, Side::Sell] {
                    count(&mut self.grid, slot, (meter, side), book.used(meter, side));
                }
            }
        }
    }

    /// Sets a limit. What is open and traded above it: orders are cancelled, the newest first.
    pub(crate) fn set_grid_limit(&mut self, limit: &GridLimit, events: &mut Vec<Event>) {
        self.grid.forget(self.last_time);
        if let Err(reason) = self.check_grid_limit(limit) {
            return events.push(refused(limit.number, reason));
        }
        self.enter_limit(limit);
        let mut gone = Gone { cancelled: 0, complete: true };
        self.enforce((limit.slot, limit.place, limit.side), &mut gone, events);
        let counter = self.grid.counter(limit.slot, limit.place, limit.side);
        events.push(Event::GridLimitSet(GridLimitSet {
            limit: *limit,
            used: Energy::from_wh(counter.map_or(0, |counter| counter.used)),
            cancelled: gone.cancelled,
            complete: gone.complete,
        }));
    }

    fn check_grid_limit(&self, limit: &GridLimit) -> Result<(), RejectReason> {
        let number = limit.place.utility.get();
        if !self.registry.has_party(Party { role: Role::Utility, number }) {
            return Err(RejectReason::UnknownParty);
        }
        let mut gates = self.registry.markets().filter(|market| market.fits(limit.slot)).peekable();
        if gates.peek().is_none() {
            return Err(RejectReason::SlotMisaligned);
        }
        // What nobody can trade any more, no limit stops.
        let is_tradable = gates.any(|market| {
            let slot = self.slots.find(market.definition.key(limit.slot));
            let is_closed = slot.is_some_and(|slot| self.slots.slot(slot).book == NONE);
            !is_closed && self.last_time <= market.definition.gate_closes_after(limit.slot)
        });
        if is_tradable { self.grid.check_limit(limit) } else { Err(RejectReason::GateClosed) }
    }

    /// Enters a limit; with the first one of its slot, sums up what the meters of each place have.
    pub(crate) fn enter_limit(&mut self, limit: &GridLimit) {
        let known = self.grid.slots.len();
        self.grid.slots.entry(limit.slot).or_default();
        if self.grid.slots.len() > known {
            for index in self.open_slots(limit.slot) {
                self.slots.slot_mut(index).is_limited = true;
                self.count_book(index, Grid::add);
            }
        }
        let Some(counters) = self.grid.slots.get_mut(&limit.slot) else { return };
        let counter = counters.entry((limit.place, limit.side)).or_default();
        self.grid.limits += usize::from(counter.limit.is_none());
        counter.limit = Some((limit.revision, limit.limit.wh()));
    }

    /// Counts all that everybody has in an open slot.
    fn count_book(
        &mut self,
        index: u32,
        count: impl Fn(&mut Grid, DeliverySlot, (MeterId, Side), u32),
    ) {
        let slot = self.slots.slot(index);
        for (meter, side, used) in self.slots.book(slot.book).all_used() {
            count(&mut self.grid, slot.key.slot, (meter, side), used);
        }
    }

    /// A slot has opened, perhaps after limits for it were set.
    pub(crate) fn limit_opened(&mut self, key: SlotKey) {
        if self.grid.slots.contains_key(&key.slot)
            && let Some(index) = self.slots.find(key)
        {
            self.slots.slot_mut(index).is_limited = true;
        }
    }

    /// A slot is about to close: what is traded in it no longer counts against limits of other
    /// markets' slots.
    pub(crate) fn release_limits(&mut self, index: u32) {
        self.grid.forget(self.last_time);
        if self.slots.slot(index).is_limited {
            self.count_book(index, Grid::take);
        }
    }

    /// What a meter has more stays within the limits of its zone and its feeder.
    /// Rule T-88.
    #[cold]
    pub(crate) fn check_grid(
        &self,
        slot: &Slot,
        meter: MeterId,
        side: Side,
        more: u32,
    ) -> Result<(), RejectReason> {
        let slot = slot.key.slot;
        let fits = |place| {
            let counter = self.grid.counter(slot, place, side).copied().unwrap_or_default();
            let used = counter.used + u64::from(more);
            counter.limit.is_none_or(|(_, limit)| used <= limit)
        };
        let mut places = self.grid.places_in(meter, slot);
        if places.all(fits) { Ok(()) } else { Err(RejectReason::GridLimit) }
    }

    /// What the members of an aggregate order have more together stays within the limits of their zones
    /// and feeders. Names the first member that is too much.
    #[cold]
    pub(crate) fn check_grid_of_members(
        &self,
        slot: &Slot,
        side: Side,
        parts: &[Part],
    ) -> Result<(), MeterId> {
        let mut more: BTreeMap<GridPlace, u64> = BTreeMap::new();
        for part in parts {
            for place in self.grid.places_in(part.meter, slot.key.slot) {
                let sum = more.entry(place).or_default();
                *sum += u64::from(part.leaves);
                let counter = self.grid.counter(slot.key.slot, place, side);
                let Counter { used, limit } = counter.copied().unwrap_or_default();
                if limit.is_some_and(|(_, limit)| used + *sum > limit) {
                    return Err(part.meter);
                }
            }
        }
        Ok(())
    }

    /// Cancels orders of a place, the newest first, until it is within its limit or none is left, or
    /// as many are gone as one command may cancel.
    /// Rule T-90.
    fn enforce(
        &mut self,
        (slot, place, side): (DeliverySlot, GridPlace, Side),
        gone: &mut Gone,
        events: &mut Vec<Event>,
    ) {
        if !self.grid.is_above(slot, place, side) {
            return;
        }
        for number in self.orders_at(slot, place, side).into_iter().rev() {
            if !self.grid.is_above(slot, place, side) {
                return;
            }
            if self.orders.get(number).is_done() {
                continue; // With its list.
            }
            if gone.cancelled >= MASS_CANCEL_MAX {
                gone.complete = false;
                return;
            }
            let reason = CancelReason::GridLimit;
            gone.cancelled += self.cancel_with_list(number, None, reason, events);
        }
    }

    /// Open orders of a place in a direction, by number.
    fn orders_at(&self, slot: DeliverySlot, place: GridPlace, side: Side) -> Vec<u32> {
        let mut numbers = Vec::new();
        for index in self.open_slots(slot) {
            let book = self.slots.book(self.slots.slot(index).book);
            open_numbers(book, &self.orders, &mut numbers);
        }
        numbers.retain(|&number| {
            let order = self.orders.get(number);
            let is_there = |meter| self.grid.places_in(meter, slot).any(|known| known == place);
            let has_member_there = || {
                let mut open = self.aggregates.get(number).parts.iter();
                open.any(|part| part.leaves > 0 && is_there(part.meter))
            };
            let is_aggregate = order.traits.has(Traits::AGGREGATE);
            order.side() == side
                && if is_aggregate { has_member_there() } else { is_there(order.meter) }
        });
        numbers
    }

    /// Indices of the open slots of all markets with this delivery.
    fn open_slots(&self, slot: DeliverySlot) -> Vec<u32> {
        let markets = self.registry.markets_in_order().iter();
        let keys = markets.map(|market| SlotKey { market: market.definition.market, slot });
        keys.filter_map(|key| self.slots.find(key))
            .filter(|&index| self.slots.slot(index).book != NONE)
            .collect()
    }

    /// Whether the counters agree with what meters have open and traded.
    ///
    /// # Panics
    /// When they do not.
    pub(crate) fn check_counters(&self) {
        let mut limits = 0;
        for (&slot, counters) in &self.grid.slots {
            let mut sums: BTreeMap<(GridPlace, Side), u64> = BTreeMap::new();
            for index in self.open_slots(slot) {
                assert!(self.slots.slot(index).is_limited, "a slot does not know of its limits");
                for (meter, side, used) in self.slots.book(self.slots.slot(index).book).all_used() {
                    for place in self.grid.places_in(meter, slot) {
                        *sums.entry((place, side)).or_default() += u64::from(used);
                    }
                }
            }
            for (key, counter) in counters {
                let sum = sums.remove(key).unwrap_or(0);
                assert!(counter.used == sum, "what a place has differs from its meters");
                limits += usize::from(counter.limit.is_some());
            }
            assert!(sums.values().all(|&sum| sum == 0), "a place is not counted");
        }
        assert!(limits == self.grid.limits, "the count of limits is wrong");
    }
}

const fn refused(number: u64, reason: RejectReason) -> Event {
    Event::GridRefused(GridRefused { number, reason })
}
