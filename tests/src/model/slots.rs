//! The phases of a slot: its opening, the end of entry, the uncross, its closing.

use std::collections::BTreeMap;

use types::{
    CallExtended, CancelReason, Event, FreezeSlot, Phase, RejectReason, Side, SlotFrozen, SlotKey,
    SlotPhaseChanged,
};

use super::{Market, Model, Outcome, Slot, refuse_if};

impl Model {
    pub(super) fn open_slot(&mut self, key: SlotKey, events: &mut Vec<Event>) -> Outcome {
        let market = self.market_of(key)?;
        let gate = market.definition.gate_closes_after(key.slot);
        refuse_if(self.last_time > gate, RejectReason::GateClosed)?;
        match self.find_slot(key).map(|slot| slot.phase) {
            None => {}
            Some(Phase::Continuous) => {
                self.enter_phase(key, Phase::Call, events);
                return Ok(());
            }
            Some(_) => return Err(RejectReason::AlreadyRegistered),
        }
        let open = self.slots.iter().filter(|slot| slot.phase != Phase::Closed).count();
        let slots_max = usize::try_from(self.limits.slots_max).expect("fits");
        refuse_if(open == slots_max, RejectReason::RegistryFull)?;
        self.slots.push(Slot {
            key,
            phase: Phase::Call,
            extended: false,
            last_price: None,
            uncross_at: None,
            executions: BTreeMap::new(),
        });
        self.enter_phase(key, Phase::Call, events);
        Ok(())
    }

    /// The market and phase of a slot whose gate is open.
    pub(super) fn check_before_gate(&self, key: SlotKey) -> Result<(Market, Phase), RejectReason> {
        let market = self.market_of(key)?;
        let phase = self.find_slot(key).ok_or(RejectReason::SlotNotOpen)?.phase;
        let gate = market.definition.gate_closes_after(key.slot);
        refuse_if(self.last_time > gate, RejectReason::GateClosed)?;
        Ok((market, phase))
    }

    pub(super) fn freeze_slot(&mut self, freeze: &FreezeSlot, events: &mut Vec<Event>) -> Outcome {
        let key = freeze.key;
        let (market, phase) = self.check_before_gate(key)?;
        let gate = market.definition.gate_closes_after(key.slot);
        refuse_if(self.last_time >= gate, RejectReason::GateClosed)?;
        refuse_if(phase != Phase::Call, RejectReason::WrongPhase)?;
        let controls = market.controls;
        refuse_if(controls.freeze_max_s == 0, RejectReason::WrongPhase)?;
        let shortest = 1_000_000_000 * u64::from(controls.freeze_min_s);
        let longest = 1_000_000_000 * u64::from(controls.freeze_max_s);
        let wait = shortest + freeze.seed % (longest - shortest + 1);
        let due = self.last_time.plus_ns(i64::try_from(wait).expect("at most 65,535 seconds"));
        let latest = market.definition.gate_closes_after(key.slot).plus_ns(-1_000_000_000);
        let uncross_at = due.min(latest.max(self.last_time));
        self.enter_phase(key, Phase::Frozen, events);
        events.push(Event::SlotFrozen(SlotFrozen { key, uncross_at }));
        self.slot_mut(key).uncross_at = Some(uncross_at);
        Ok(())
    }

    pub(super) fn uncross_slot(&mut self, key: SlotKey, events: &mut Vec<Event>) -> Outcome {
        let (market, phase) = self.check_before_gate(key)?;
        let in_call = phase == Phase::Call || phase == Phase::Frozen;
        refuse_if(!in_call, RejectReason::WrongPhase)?;
        let unfrozen = phase == Phase::Call && market.controls.freeze_max_s > 0;
        let slot = self.slot(key).clone();
        let early = slot.uncross_at.is_some_and(|due| self.last_time < due);
        refuse_if(unfrozen || early, RejectReason::AuctionNotDue)?;
        self.uncross(key, &market, events);
        Ok(())
    }

    /// The market of a slot that is in its call, frozen or not, before its gate.
    pub(super) fn check_call(&self, key: SlotKey) -> Result<Market, RejectReason> {
        let (market, phase) = self.check_before_gate(key)?;
        let in_call = phase == Phase::Call || phase == Phase::Frozen;
        refuse_if(!in_call, RejectReason::WrongPhase)?;
        Ok(market)
    }

    /// The auction of a call, due or not.
    pub(super) fn uncross(&mut self, key: SlotKey, market: &Market, events: &mut Vec<Event>) {
        let slot = self.slot(key).clone();
        let phase = slot.phase;
        let result = self.auction(key, market);
        if let (Some(price), Some(reference)) = (result.price, result.reference) {
            let collar = market.controls.collar.micros().unsigned_abs();
            let beyond = price.micros().abs_diff(reference.micros()) > collar;
            if collar > 0 && beyond && !slot.extended {
                events.push(Event::CallExtended(CallExtended { key, price, reference }));
                if phase == Phase::Frozen {
                    self.enter_phase(key, Phase::Call, events);
                }
                self.slot_mut(key).extended = true;
                return;
            }
        }
        events.push(Event::AuctionUncrossed(result));
        if let Some(price) = result.price {
            self.fill_auction(key, market, price, result.volume.wh(), events);
            self.slot_mut(key).last_price = Some(price);
            let market = self.markets.get_mut(&key.market).expect("it was found above");
            market.last_auction_price = Some(price);
        }
        for at in 0..self.orders.len() {
            let order = self.orders[at];
            if order.rests() && order.is_market() && order.sent.key == key {
                self.cancel_order(at, order.sent.client_order, CancelReason::NoLiquidity, events);
            }
        }
        self.enter_phase(key, Phase::Continuous, events);
        for side in [Side::Buy, Side::Sell] {
            for at in self.queue(key, side) {
                self.try_at_rest(at, events);
            }
        }
        self.try_blocks(key, None, events);
    }

    pub(super) fn close_slot(&mut self, key: SlotKey, events: &mut Vec<Event>) -> Outcome {
        self.market_of(key)?;
        let phase = self.find_slot(key).ok_or(RejectReason::SlotNotOpen)?.phase;
        refuse_if(phase == Phase::Closed, RejectReason::WrongPhase)?;
        self.cancel_slot(key, CancelReason::GateClosed, events);
        self.close_offers(key, events);
        self.enter_phase(key, Phase::Closed, events);
        Ok(())
    }

    /// Cancels what is open in a slot.
    pub(super) fn cancel_slot(
        &mut self,
        key: SlotKey,
        reason: CancelReason,
        events: &mut Vec<Event>,
    ) {
        for at in 0..self.orders.len() {
            let order = self.orders[at];
            if order.is_open() && order.sent.key == key {
                self.cancel_whole(at, None, reason, events);
            }
        }
    }

    /// Every call starts without an extension, and only a frozen slot knows when its auction is due.
    pub(super) fn enter_phase(&mut self, key: SlotKey, phase: Phase, events: &mut Vec<Event>) {
        let slot = self.slot_mut(key);
        if phase != Phase::Frozen {
            slot.extended = false;
        }
        slot.uncross_at = None;
        slot.phase = phase;
        events.push(Event::SlotPhaseChanged(SlotPhaseChanged { key, phase }));
    }
}
