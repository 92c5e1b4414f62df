//! Stop 8 of an order's life: the phases of its slot. It opens with a call, is frozen, uncrosses
//! into continuous trading, and closes.

use types::{
    AuctionResult, CallExtended, CancelReason, Energy, Event, FreezeSlot, Phase, Price,
    RejectReason, Side, SlotFrozen, SlotKey, SlotPhaseChanged,
};

use crate::{
    auction::Clearing, curve::clear_book, digest::book_digest, engine::Engine, index::NONE,
    ladder::queue, registry::Market, slots::Slot,
};

/// A second in nanoseconds.
const SECOND: u64 = 1_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

impl Engine {
    /// A slot's book opens with a call; one that trades continuously is called again.
    pub(crate) fn open_slot(&mut self, key: SlotKey, events: &mut Vec<Event>) {
        events.push(match self.try_open_slot(key) {
            Ok(()) => phase_changed(key, Phase::Call),
            Err(reason) => Self::refused(reason),
        });
    }

    /// Checks in the order of the reject codes, then opens.
    fn try_open_slot(&mut self, key: SlotKey) -> Result<(), RejectReason> {
        let registry = &self.registry;
        let index = registry.market_index(key.market).ok_or(RejectReason::UnknownMarket)?;
        let market = registry.market(index);
        if !market.fits(key.slot) {
            return Err(RejectReason::SlotMisaligned);
        }
        if self.last_time > market.definition.gate_closes_after(key.slot) {
            return Err(RejectReason::GateClosed);
        }
        if let Some(known) = self.slots.find(key)
            && self.slots.slot(known).phase == Phase::Continuous
        {
            self.slots.slot_mut(known).phase = Phase::Call;
            return Ok(());
        }
        self.slots.open(key, index, market)?;
        self.limit_opened(key);
        Ok(())
    }

    /// Index of a slot that trades continuously, before its gate.
    pub(crate) fn callable(&self, key: SlotKey) -> Result<u32, RejectReason> {
        let index = self.known_slot(key)?;
        let slot = self.slots.slot(index);
        if self.last_time > slot.gate_closes_after {
            return Err(RejectReason::GateClosed);
        }
        if slot.phase == Phase::Continuous { Ok(index) } else { Err(RejectReason::WrongPhase) }
    }

    /// A slot that trades continuously is called: orders collect for another auction.
    pub(crate) fn call_again(&mut self, index: u32, events: &mut Vec<Event>) {
        let slot = self.slots.slot_mut(index);
        slot.phase = Phase::Call;
        events.push(phase_changed(slot.key, Phase::Call));
    }

    /// Ends entry into a call. The instant of the auction follows from the seed.
    pub(crate) fn freeze_slot(&mut self, freeze: &FreezeSlot, events: &mut Vec<Event>) {
        let index = match self.freezable(freeze.key) {
            Ok(index) => index,
            Err(reason) => return events.push(Self::refused(reason)),
        };
        let now = self.last_time;
        let slot = self.slots.slot_mut(index);
        let controls = &self.registry.market(slot.market).controls;
        let shortest = u64::from(controls.freeze_min_s) * SECOND;
        let span = u64::from(controls.freeze_max_s - controls.freeze_min_s) * SECOND;
        // Rule T-49.
        let wait = shortest + freeze.seed.rem_euclid(span + 1);
        // At most 65,535 seconds.
        let due = now.plus_ns(i64::try_from(wait).unwrap_or(i64::MAX));
        slot.phase = Phase::Frozen;
        // A second is left for the auction before the gate.
        // Rule T-50.
        let latest = slot.gate_closes_after.plus_ns(-SECOND_NS).max(now);
        slot.uncross_at = due.min(latest);
        let (key, uncross_at) = (slot.key, slot.uncross_at);
        events.push(phase_changed(key, Phase::Frozen));
        events.push(Event::SlotFrozen(SlotFrozen { key, uncross_at }));
    }

    fn freezable(&self, key: SlotKey) -> Result<u32, RejectReason> {
        let index = self.known_slot(key)?;
        let slot = self.slots.slot(index);
        // At the gate's last instant no auction could follow.
        if self.last_time >= slot.gate_closes_after {
            return Err(RejectReason::GateClosed);
        }
        let freezes = self.registry.market(slot.market).controls.freeze_max_s > 0;
        if slot.phase == Phase::Call && freezes { Ok(index) } else { Err(RejectReason::WrongPhase) }
    }

    /// Ends a slot's call when its auction is due.
    pub(crate) fn uncross_slot(&mut self, key: SlotKey, events: &mut Vec<Event>) {
        match self.uncrossable(key) {
            Ok(index) => self.uncross(index, events),
            Err(reason) => events.push(Self::refused(reason)),
        }
    }

    /// Ends a slot's call: the result, its trades, then the continuous phase.
    pub(crate) fn uncross(&mut self, index: u32, events: &mut Vec<Event>) {
        let slot = *self.slots.slot(index);
        let key = slot.key;
        let market = self.registry.market(slot.market);
        let reference = reference(&slot, market);
        let book = self.slots.book(slot.book);
        let clearing = clear_book(book, &self.orders, market, reference);
        if let (Some(clearing), Some(reference)) = (clearing, reference)
            && is_outside_collar(market, clearing.price, reference)
            && !slot.extended
        {
            return self.extend(index, clearing.price, reference, events);
        }
        events.push(Event::AuctionUncrossed(AuctionResult {
            key,
            rule: market.definition.price_rule,
            price: clearing.map(|clearing| clearing.price),
            volume: clearing.map_or(Energy::ZERO, |clearing| clearing.volume),
            surplus_wh: clearing.map_or(0, |clearing| clearing.surplus_wh),
            reference,
            candidates: clearing.map_or(0, |clearing| clearing.candidates),
            clamped: clearing.is_some_and(|clearing| clearing.clamped),
            book: book_digest(book, market, key),
        }));
        if let Some(clearing) = clearing {
            self.trade_auction(index, clearing, events);
        }
        self.cancel_market_orders(index, events);
        self.trade_continuously(index, events);
        for side in [Side::Buy, Side::Sell] {
            if self.slots.book(self.slots.slot(index).book).ladder(side).needy > 0 {
                // Rule T-71.
                self.try_needy(index, side, NONE, events);
            }
        }
        self.try_blocks(index, None, events);
    }

    /// The call of a slot is over.
    pub(crate) fn trade_continuously(&mut self, index: u32, events: &mut Vec<Event>) {
        let slot = self.slots.slot_mut(index);
        slot.phase = Phase::Continuous;
        slot.extended = false;
        let key = slot.key;
        events.push(phase_changed(key, Phase::Continuous));
    }

    /// Rule T-51.
    fn uncrossable(&self, key: SlotKey) -> Result<u32, RejectReason> {
        let index = self.in_call(key)?;
        let slot = self.slots.slot(index);
        let freezes = self.registry.market(slot.market).controls.freeze_max_s > 0;
        let is_due = match slot.phase {
            Phase::Frozen => self.last_time >= slot.uncross_at,
            Phase::PreOpen | Phase::Call | Phase::Continuous | Phase::Closed => !freezes,
        };
        if is_due { Ok(index) } else { Err(RejectReason::AuctionNotDue) }
    }

    /// Index of a slot that is in its call, frozen or not, before its gate.
    pub(crate) fn in_call(&self, key: SlotKey) -> Result<u32, RejectReason> {
        let index = self.known_slot(key)?;
        let slot = self.slots.slot(index);
        // A call that the schedule slept through must not trade after the gate.
        if self.last_time > slot.gate_closes_after {
            return Err(RejectReason::GateClosed);
        }
        match slot.phase {
            Phase::Call | Phase::Frozen => Ok(index),
            Phase::PreOpen | Phase::Continuous | Phase::Closed => Err(RejectReason::WrongPhase),
        }
    }

    /// The price would be outside the collar: the call goes on, once.
    /// Rule T-60.
    fn extend(&mut self, index: u32, price: Price, reference: Price, events: &mut Vec<Event>) {
        self.slots.slot_mut(index).extended = true;
        self.go_on(index, (price, reference), events);
    }

    /// An operator lets a call go on. The event has the price at which it would have ended, zero for none.
    /// Rule T-121.
    pub(crate) fn extend_call(&mut self, index: u32, events: &mut Vec<Event>) {
        let slot = self.slots.slot(index);
        let market = self.registry.market(slot.market);
        let reference = reference(slot, market);
        let clearing = clear_book(self.slots.book(slot.book), &self.orders, market, reference);
        let none = Price::from_micros(0);
        let price = clearing.map_or(none, |clearing| clearing.price);
        self.go_on(index, (price, reference.unwrap_or(none)), events);
    }

    fn go_on(&mut self, index: u32, (price, reference): (Price, Price), events: &mut Vec<Event>) {
        let slot = self.slots.slot_mut(index);
        let key = slot.key;
        events.push(Event::CallExtended(CallExtended { key, price, reference }));
        if slot.phase == Phase::Frozen {
            slot.phase = Phase::Call;
            events.push(phase_changed(key, Phase::Call));
        }
    }

    /// The trades of an auction.
    fn trade_auction(&mut self, index: u32, clearing: Clearing, events: &mut Vec<Event>) {
        let slot = self.slots.slot_mut(index);
        slot.last_price = Some(clearing.price);
        let market = self.registry.market_mut(slot.market);
        market.last_auction_price = Some(clearing.price);
        self.pair(index, clearing, events);
    }

    /// Market orders do not outlive their auction.
    /// Rule T-58.
    fn cancel_market_orders(&mut self, index: u32, events: &mut Vec<Event>) {
        let book = self.slots.book(self.slots.slot(index).book);
        let mut numbers = Vec::new();
        for side in [Side::Buy, Side::Sell] {
            let level = book.ladder(side).level(0);
            numbers.extend(queue(&self.orders, level).map(|(number, _)| number));
        }
        numbers.sort_unstable();
        for number in numbers {
            self.cancel(number, None, CancelReason::NoLiquidity, events);
        }
    }

    /// Closes a slot at its gate.
    pub(crate) fn close_slot(&mut self, key: SlotKey, events: &mut Vec<Event>) {
        match self.closable(key) {
            Ok(index) => self.close(index, events),
            Err(reason) => events.push(Self::refused(reason)),
        }
    }

    pub(crate) fn closable(&self, key: SlotKey) -> Result<u32, RejectReason> {
        let index = self.known_slot(key)?;
        match self.slots.slot(index).phase {
            Phase::Call | Phase::Frozen | Phase::Continuous => Ok(index),
            Phase::PreOpen | Phase::Closed => Err(RejectReason::WrongPhase),
        }
    }

    /// Closes a slot: its orders expire in the order of their numbers, then its offers of contracts end.
    /// Rule T-45.
    pub(crate) fn close(&mut self, index: u32, events: &mut Vec<Event>) {
        self.cancel_slot(index, CancelReason::GateClosed, events);
        self.close_offers(index, events);
        self.aggregates.close_slot(index);
        self.release_limits(index);
        self.slots.close(index);
        self.close_amended(index);
        events.push(phase_changed(self.slots.slot(index).key, Phase::Closed));
    }
}

/// The price that an auction of the slot stays close to.
/// Rule T-54.
pub(crate) fn reference(slot: &Slot, market: &Market) -> Option<Price> {
    slot.last_price.or(market.last_auction_price)
}

fn is_outside_collar(market: &Market, price: Price, reference: Price) -> bool {
    let collar = market.controls.collar.micros().unsigned_abs();
    collar > 0 && price.micros().abs_diff(reference.micros()) > collar
}

const fn phase_changed(key: SlotKey, phase: Phase) -> Event {
    Event::SlotPhaseChanged(SlotPhaseChanged { key, phase })
}
