//! The timetable of every slot: when its book opens, when its call ends, when its gate closes.
//!
//! Timers are inputs: what is due becomes a sequenced command like any other, so that replay sees
//! it. The timetable is a value; it learns from events what has already happened, also before a
//! restart.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use types::{
    Action, Command, Event, FreezeSlot, Lead, MarketControls, MarketDefinition, MarketId,
    NewMarket, Phase, RejectReason, Sequenced, ShardId, ShardMap, SlotFrozen, SlotKey,
    SlotPhaseChanged, Timestamp,
    calendar::{self, CalendarError},
};

use crate::seeds::Seeds;

mod cycles;
mod kept;

pub use cycles::{AuctionCycle, AuctionCycles, CycleSlots, CycleTimes, ListedCycle};

/// A market and what the timetable adds to its definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledMarket {
    /// The market's rules.
    pub definition: MarketDefinition,
    /// The call of a slot ends this long before delivery, where no cycle has an auction of it.
    pub uncross_lead: Lead,
    /// How long a call lasts that an interruption or an extension began, in minutes. Shorter where
    /// the gate is near.
    pub call_extension_minutes: u32,
    /// Auctions that come again and again.
    pub cycles: AuctionCycles,
}

/// What is still to be done, by time; at one time closings come before uncrosses and
/// these before openings.
#[derive(Debug, Default)]
pub struct Schedule {
    /// Whose slots are entered; without it, all.
    shard: Option<(ShardId, Arc<ShardMap>)>,
    timers: BTreeSet<(Timestamp, Step, SlotKey)>,
    slots: BTreeMap<SlotKey, Slot>,
    /// Markets with slots that are entered. Others are remembered, and have no timers.
    markets: BTreeMap<MarketId, ScheduledMarket>,
    /// Longest freeze of markets whose calls are frozen before their auction, in nanoseconds.
    freezes: BTreeMap<MarketId, i64>,
    /// Markets of which every day is traded, each with the first day that is not entered yet.
    followed: Vec<(ScheduledMarket, Option<String>)>,
    /// Markets that operators defined while the exchange ran.
    defined: BTreeMap<MarketId, ScheduledMarket>,
    /// Those that were defined since the timetable began, until somebody takes them.
    new: Vec<ScheduledMarket>,
    /// Whether it is a running exchange's, not one that a journal is followed for.
    runs: bool,
    /// When to look for further days.
    look_again: Timestamp,
}

/// A second.
const SECOND_NS: i64 = 1_000_000_000;
/// 60 seconds.
const MINUTE_NS: i64 = 60 * SECOND_NS;
/// 60 minutes.
const HOUR_NS: i64 = 60 * MINUTE_NS;
/// 24 hours.
const DAY_NS: i64 = 24 * HOUR_NS;
/// How long before the gate the last auction is: the core loop must not come too late for it.
const LAST_AUCTION_NS: i64 = SECOND_NS;
/// After this time a step is tried again that was refused or could not be taken.
const TRY_AGAIN_NS: i64 = SECOND_NS;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Close,
    /// The auction of a call that is frozen.
    Uncross,
    /// The end of a call: its auction, or its freeze where the market has one.
    EndCall,
    Open,
    /// A slot that trades continuously is called for the auction of a cycle.
    Call,
}

impl Step {
    /// Whether it begins a call anew, or brings one to its auction.
    const fn is_of_calls(self) -> bool {
        match self {
            Self::Uncross | Self::EndCall | Self::Call => true,
            Self::Close | Self::Open => false,
        }
    }
}

/// What happened to a slot so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    phase: Phase,
    /// In a call that began anew, by an interruption, an extension, a cycle or an operator: when. In continuous
    /// trading after a call that an operator ended: when that was.
    since: Option<Timestamp>,
    /// When the auction of its frozen call is due.
    uncross_at: Option<Timestamp>,
}

impl Slot {
    const NEW: Self = Self { phase: Phase::PreOpen, since: None, uncross_at: None };
}

impl Schedule {
    /// The timetable of a shard: slots of others are not entered.
    #[must_use]
    pub fn of_shard(shard: ShardId, map: Arc<ShardMap>) -> Self {
        Self { shard: Some((shard, map)), ..Self::default() }
    }

    /// Enters every slot that starts on a local day (`YYYY-MM-DD`) of a market, except what has
    /// already happened and what is too late at `now`.
    ///
    /// # Errors
    /// When the day does not exist or does not divide into slots.
    pub fn add_day(
        &mut self,
        market: &ScheduledMarket,
        date: &str,
        now: Timestamp,
    ) -> Result<(), CalendarError> {
        let definition = &market.definition;
        let zone = definition.time_zone.as_str();
        for slot in calendar::local_day(date, zone, definition.slot_minutes)? {
            self.add_slot(market, definition.key(slot), now);
        }
        Ok(())
    }

    /// Trades every day of a market from now on, as its time comes.
    pub fn follow(&mut self, market: ScheduledMarket) {
        self.followed.push((market, None));
    }

    /// Markets that operators defined, by number.
    pub fn defined(&self) -> impl Iterator<Item = &ScheduledMarket> {
        self.defined.values()
    }

    /// From now on what operators define is traded every day, as its time comes.
    pub(crate) const fn begin(&mut self) {
        self.runs = true;
    }

    /// Gives away those that were defined since it began, each once.
    pub(crate) fn take_new(&mut self) -> Vec<ScheduledMarket> {
        std::mem::take(&mut self.new)
    }

    fn define(&mut self, new: &NewMarket, definition: MarketDefinition) {
        let market = ScheduledMarket {
            definition,
            uncross_lead: new.uncross_lead,
            call_extension_minutes: new.call_extension_minutes.into(),
            cycles: AuctionCycles::none(),
        };
        if self.runs {
            self.new.push(market.clone());
            self.follow(market.clone());
            self.look_again = Timestamp::default();
        }
        self.defined.insert(definition.market, market);
    }

    /// Enters the days of followed markets whose slots open within a day of `now`. A day that does
    /// not divide into slots is left out with a warning.
    pub fn extend(&mut self, now: Timestamp) {
        if now < self.look_again {
            return;
        }
        // The horizon is a day further than needed, so an hour more or less does not matter.
        self.look_again = now.plus_ns(HOUR_NS);
        let mut followed = std::mem::take(&mut self.followed);
        for (market, next) in &mut followed {
            let zone = market.definition.time_zone.as_str();
            let lead = market.definition.opening_lead;
            let horizon = now.plus_ns(lead.ns()).plus_ns(DAY_NS);
            let Ok(last) = calendar::local_date(horizon, zone) else { continue };
            let mut day = match next.take() {
                Some(day) => day,
                // Yesterday's slots may still be open when the exchange starts.
                None => match calendar::local_date(now.plus_ns(-DAY_NS), zone) {
                    Ok(day) => day,
                    Err(_) => continue,
                },
            };
            while day <= last {
                if let Err(error) = self.add_day(market, &day, now) {
                    let market = market.definition.market;
                    tracing::warn!(%market, %day, %error, "no slots are traded on this day");
                }
                match calendar::next_date(&day) {
                    Ok(following) => day = following,
                    Err(_) => break,
                }
            }
            *next = Some(day);
        }
        self.followed = followed;
    }

    /// Enters one slot, as [`Schedule::add_day`] does.
    pub fn add_slot(&mut self, market: &ScheduledMarket, key: SlotKey, now: Timestamp) {
        if self.shard.as_ref().is_some_and(|(own, map)| map.of(key) != Some(*own)) {
            return;
        }
        self.markets.entry(key.market).or_insert_with(|| market.clone());
        let definition = &market.definition;
        // The gate's instant is the last that is accepted.
        let close = definition.gate_closes_after(key.slot).plus_ns(1);
        let slot = self.slots.get(&key).copied().unwrap_or(Slot::NEW);
        if slot.phase == Phase::Closed || (slot.phase == Phase::PreOpen && now >= close) {
            return;
        }
        if slot.phase == Phase::PreOpen {
            self.timers.insert((definition.opens_at(key.slot), Step::Open, key));
        }
        // A call that the exchange slept through must not trade after the gate.
        if now < close {
            self.enter_calls(key, slot, now);
        }
        self.timers.insert((close, Step::Close, key));
    }

    /// Learns from what a command caused.
    pub fn observe(&mut self, command: &Sequenced<Command>, event: &Event) {
        match event {
            Event::SlotPhaseChanged(changed) => self.change_phase(*changed, command),
            Event::SlotFrozen(frozen) => self.freeze(*frozen, command.time),
            Event::CallExtended(extended) => self.go_on(extended.key, command.time),
            Event::ControlsSet(controls) => self.set_controls(controls),
            Event::CommandRejected(rejected) => self.try_again(command, rejected.reason),
            Event::MarketDefined(definition) => {
                if let Command::Operate(signed) = &command.value
                    && let Action::Define(new) = &signed.operation.action
                {
                    self.define(new, *definition);
                }
            }
            Event::PartyRegistered(_)
            | Event::MeterRegistered(_)
            | Event::AuctionUncrossed(_)
            | Event::OrderAccepted(_)
            | Event::OrderRestated(_)
            | Event::OrderValidated(_)
            | Event::OrderReplaced(_)
            | Event::OrderCancelled(_)
            | Event::OrderHibernated(_)
            | Event::OrderActivated(_)
            | Event::MassCancelled(_)
            | Event::OrderRejected(_)
            | Event::Trade(_)
            | Event::TradingChanged(_)
            | Event::CreditSet(_)
            | Event::MeterDelegated(_)
            | Event::DelegationRevoked(_)
            | Event::ContractOffered(_)
            | Event::ContractAgreed(_)
            | Event::ContractEnded(_)
            | Event::ContractRestated(_)
            | Event::AmendmentOffered(_)
            | Event::ContractAmended(_)
            | Event::MembersListed(_)
            | Event::MemberRefused(_)
            | Event::PlaceNoted(_)
            | Event::GridLimitSet(_)
            | Event::GridRefused(_)
            | Event::Operated(_)
            | Event::TradeBusted(_)
            | Event::CreditReleased(_) => {}
        }
    }

    fn change_phase(&mut self, changed: SlotPhaseChanged, command: &Sequenced<Command>) {
        let SlotPhaseChanged { key, phase } = changed;
        let time = command.time;
        let slot = self.slots.entry(key).or_insert(Slot::NEW);
        let before = std::mem::replace(&mut slot.phase, phase);
        match phase {
            Phase::Call if before == Phase::Continuous => self.call_again(key, time),
            Phase::PreOpen | Phase::Call => slot.uncross_at = None,
            // When its auction is due stands in another event.
            Phase::Frozen => {}
            Phase::Continuous => {
                // What was called for when an operator ended the call is not called for again.
                let by_hand = matches!(command.value, Command::Operate(_));
                *slot = Slot { phase, since: by_hand.then_some(time), uncross_at: None };
                let slot = *slot;
                self.forget_calls(key);
                self.enter_calls(key, slot, time);
            }
            Phase::Closed => {
                // A closed slot never appears again; its timers are done.
                self.timers.retain(|&(_, _, other)| other != key);
                self.forget_before(key.slot.start());
            }
        }
    }

    /// A call goes on after its end: for as long as if it began anew then.
    fn go_on(&mut self, key: SlotKey, time: Timestamp) {
        let slot = self.slots.get(&key).copied().unwrap_or(Slot::NEW);
        let market = self.markets.get(&key.market);
        let end = market.and_then(|market| self.end_of_call(market, key, slot));
        self.call_again(key, end.map_or(time, |end| end.max(time)));
    }

    /// A call begins anew.
    fn call_again(&mut self, key: SlotKey, time: Timestamp) {
        let slot = self.slots.entry(key).or_insert(Slot::NEW);
        slot.since = Some(time);
        let slot = Slot { phase: Phase::Call, ..*slot };
        self.forget_calls(key);
        self.enter_calls(key, slot, time);
    }

    fn freeze(&mut self, frozen: SlotFrozen, time: Timestamp) {
        let slot = self.slots.entry(frozen.key).or_insert(Slot::NEW);
        slot.phase = Phase::Frozen;
        slot.uncross_at = Some(frozen.uncross_at);
        let slot = *slot;
        self.forget_calls(frozen.key);
        self.enter_calls(frozen.key, slot, time);
    }

    fn set_controls(&mut self, controls: &MarketControls) {
        let longest = i64::from(controls.freeze_max_s).saturating_mul(SECOND_NS);
        if longest > 0 {
            self.freezes.insert(controls.market, longest);
        } else {
            self.freezes.remove(&controls.market);
        }
    }

    /// The end of a call that came too early, or in another way than the market's controls want it
    /// by now, is not forgotten.
    fn try_again(&mut self, command: &Sequenced<Command>, reason: RejectReason) {
        let key = match (&command.value, reason) {
            (Command::UncrossSlot(key), RejectReason::AuctionNotDue) => *key,
            (Command::FreezeSlot(freeze), RejectReason::WrongPhase) => freeze.key,
            (_, _) => return,
        };
        let Some(slot) = self.slots.get(&key).filter(|_| self.markets.contains_key(&key.market))
        else {
            return;
        };
        let later = command.time.plus_ns(TRY_AGAIN_NS);
        match slot.phase {
            Phase::Call => {
                self.timers.insert((later, Step::EndCall, key));
            }
            Phase::Frozen => {
                let due = slot.uncross_at.filter(|&due| due > command.time).unwrap_or(later);
                self.timers.insert((due, Step::Uncross, key));
            }
            Phase::PreOpen | Phase::Continuous | Phase::Closed => {}
        }
    }

    /// Enters what brings the slot to its auction, or calls it for the next one of a cycle, if that is still to come.
    /// Rule T-62.
    fn enter_calls(&mut self, key: SlotKey, slot: Slot, now: Timestamp) {
        let Some(market) = self.markets.get(&key.market) else { return };
        match slot.phase {
            Phase::PreOpen | Phase::Call => {
                if let Some(end) = self.end_of_call(market, key, slot) {
                    self.timers.insert((end, Step::EndCall, key));
                }
            }
            Phase::Frozen => {
                if let Some(due) = slot.uncross_at {
                    self.timers.insert((due, Step::Uncross, key));
                }
            }
            Phase::Continuous => {
                if let Some(call) = self.next_call(market, key, slot, now) {
                    self.timers.insert((call, Step::Call, key));
                }
            }
            Phase::Closed => {}
        }
    }

    /// From when on a slot that trades continuously is called again, for an auction after `now`. An auction whose
    /// whole call passed while the exchange was down is left out, and so is one for which the slot was called
    /// already when an operator ended that call.
    fn next_call(
        &self,
        market: &ScheduledMarket,
        key: SlotKey,
        slot: Slot,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let last = self.last_auction(market, key);
        let wanted = market.cycles.next(key.slot, (now, slot.since), last);
        wanted.map(|auction| auction.call_from).min()
    }

    /// The latest instant at which a call can end with an auction.
    fn last_auction(&self, market: &ScheduledMarket, key: SlotKey) -> Timestamp {
        let freeze = self.freezes.get(&key.market).copied().unwrap_or(0);
        let needed = freeze.saturating_add(LAST_AUCTION_NS);
        market.definition.gate_closes_after(key.slot).plus_ns(needed.saturating_neg())
    }

    /// When the slot's call ends. `None` where no time is left for an auction: the gate closes it. A call that
    /// goes on until another one for an auction of a cycle begins, or is one, ends with that auction.
    fn end_of_call(&self, market: &ScheduledMarket, key: SlotKey, slot: Slot) -> Option<Timestamp> {
        let last = self.last_auction(market, key);
        let Some(since) = slot.since else {
            let opening = market.definition.opens_at(key.slot);
            let first = market.cycles.next(key.slot, (opening, None), last).map(|one| one.at).min();
            return Some(first.unwrap_or(key.slot.start().earlier_by(market.uncross_lead)));
        };
        let minutes = i64::from(market.call_extension_minutes);
        let end = since.plus_ns(minutes.saturating_mul(MINUTE_NS));
        let wanted: Vec<_> = market.cycles.next(key.slot, (since, None), last).collect();
        if wanted.iter().any(|auction| auction.call_from <= end) {
            return wanted.iter().map(|auction| auction.at).min();
        }
        (last > since).then(|| end.min(last))
    }

    fn forget_calls(&mut self, key: SlotKey) {
        self.timers.retain(|&(_, step, other)| other != key || !step.is_of_calls());
    }

    /// Forgets slots that closed long before a delivery: a day that is entered again lies closer.
    fn forget_before(&mut self, delivery: Timestamp) {
        let limit = delivery.plus_ns(DAY_NS.saturating_mul(-3));
        self.slots.retain(|key, slot| slot.phase != Phase::Closed || key.slot.start() >= limit);
    }

    /// Slots whose book is open, each with its phase.
    pub fn open_slots(&self) -> impl Iterator<Item = (SlotKey, Phase)> {
        self.slots
            .iter()
            .filter(|(_, slot)| slot.phase != Phase::Closed)
            .map(|(&key, slot)| (key, slot.phase))
    }

    /// Moves what is due at `now` to the end of `commands`, in order of time. Freezes draw from
    /// `seeds`.
    pub fn due(&mut self, now: Timestamp, seeds: &mut Seeds, commands: &mut Vec<Command>) {
        while let Some(&timer) = self.timers.first() {
            let (time, step, key) = timer;
            if time > now {
                return;
            }
            self.timers.remove(&timer);
            commands.push(match step {
                Step::Open => Command::OpenSlot(key),
                // A call that was slept through is left out; its timer is for the next one now.
                Step::Call if self.is_call_over(key, now) => continue,
                Step::Call => Command::OpenSlot(key),
                Step::Close => Command::CloseSlot(key),
                Step::EndCall if self.freezes.contains_key(&key.market) => match seeds.draw() {
                    Ok(seed) => Command::FreezeSlot(FreezeSlot { key, seed }),
                    Err(error) => {
                        tracing::error!(%key, %error, "no seed can be drawn; the call goes on");
                        self.timers.insert((now.plus_ns(TRY_AGAIN_NS), step, key));
                        continue;
                    }
                },
                Step::EndCall | Step::Uncross => Command::UncrossSlot(key),
            });
        }
    }

    /// Whether no auction stands any more for which a slot that trades continuously was to be called by `now`.
    /// Then the next call is entered.
    fn is_call_over(&mut self, key: SlotKey, now: Timestamp) -> bool {
        let slot = self.slots.get(&key).copied().unwrap_or(Slot::NEW);
        let next =
            self.markets.get(&key.market).and_then(|market| self.next_call(market, key, slot, now));
        match next {
            Some(call) if call <= now => false,
            Some(call) => {
                self.timers.insert((call, Step::Call, key));
                true
            }
            None => true,
        }
    }

    /// When something is due next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.first().map(|&(time, _, _)| time)
    }
}

#[cfg(test)]
mod cycle_tests;
#[cfg(test)]
mod tests;
