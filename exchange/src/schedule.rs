//! The timetable of every slot: when its book opens, when its call ends, when its gate closes.
//!
//! Timers are inputs: what is due becomes a sequenced command like any other, so that replay sees
//! it. The timetable is a value; it learns from events what has already happened, also before a
//! restart.

use std::collections::{BTreeMap, BTreeSet};

use types::{
    Command, Event, Lead, MarketDefinition, Phase, SlotKey, Timestamp,
    calendar::{self, CalendarError},
};

/// A market and what the timetable adds to its definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduledMarket {
    /// The market's rules.
    pub definition: MarketDefinition,
    /// The call of a slot ends this long before delivery.
    pub uncross_lead: Lead,
}

/// What is still to be done, by time; at one time closings come before uncrosses and
/// these before openings.
#[derive(Debug, Default)]
pub struct Schedule {
    timers: BTreeSet<(Timestamp, Step, SlotKey)>,
    phases: BTreeMap<SlotKey, Phase>,
    /// Markets of which every day is traded, each with the first day that is not entered yet.
    followed: Vec<(ScheduledMarket, Option<String>)>,
    /// When to look for further days.
    look_again: Timestamp,
}

/// 60 minutes.
const HOUR_NS: i64 = 3_600_000_000_000;
/// 24 hours.
const DAY_NS: i64 = 86_400_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Close,
    Uncross,
    Open,
}

impl Schedule {
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
        let definition = &market.definition;
        // The gate's instant is the last that is accepted.
        let close = definition.gate_closes_after(key.slot).plus_ns(1);
        let uncross = key.slot.start().earlier_by(market.uncross_lead);
        let phase = self.phases.get(&key).copied().unwrap_or(Phase::PreOpen);
        if phase == Phase::Closed || (phase == Phase::PreOpen && now >= close) {
            return;
        }
        if phase == Phase::PreOpen {
            self.timers.insert((definition.opens_at(key.slot), Step::Open, key));
        }
        // A call that the exchange slept through must not trade after the gate.
        if phase < Phase::Continuous && now < close {
            self.timers.insert((uncross, Step::Uncross, key));
        }
        self.timers.insert((close, Step::Close, key));
    }

    /// Learns from what happened.
    pub fn observe(&mut self, event: &Event) {
        if let Event::SlotPhaseChanged(changed) = event {
            self.phases.insert(changed.key, changed.phase);
            if changed.phase == Phase::Closed {
                // A closed slot never appears again; its timers are done.
                self.timers.retain(|&(_, _, key)| key != changed.key);
                self.forget_before(changed.key.slot.start());
            }
        }
    }

    /// Forgets slots that closed long before a delivery: a day that is entered again lies closer.
    fn forget_before(&mut self, delivery: Timestamp) {
        let limit = delivery.plus_ns(DAY_NS.saturating_mul(-3));
        self.phases.retain(|key, phase| *phase != Phase::Closed || key.slot.start() >= limit);
    }

    /// Slots whose book is open, each with its phase.
    pub fn open_slots(&self) -> impl Iterator<Item = (SlotKey, Phase)> {
        self.phases
            .iter()
            .filter(|&(_, &phase)| phase != Phase::Closed)
            .map(|(&key, &phase)| (key, phase))
    }

    /// Moves what is due at `now` to the end of `commands`, in order of time.
    pub fn due(&mut self, now: Timestamp, commands: &mut Vec<Command>) {
        while let Some(&timer) = self.timers.first() {
            let (time, step, key) = timer;
            if time > now {
                return;
            }
            self.timers.remove(&timer);
            commands.push(match step {
                Step::Open => Command::OpenSlot(key),
                Step::Uncross => Command::UncrossSlot(key),
                Step::Close => Command::CloseSlot(key),
            });
        }
    }

    /// When something is due next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.first().map(|&(time, _, _)| time)
    }
}

#[cfg(test)]
mod tests {
    use types::{
        Code, Currency, DeliverySlot, Energy, MarketId, Price, PriceRule, SlotPhaseChanged,
    };

    use super::*;

    fn market() -> ScheduledMarket {
        let definition = MarketDefinition {
            market: MarketId::new(1),
            area: Code::new("DE").unwrap(),
            time_zone: Code::new("Europe/Berlin").unwrap(),
            currency: Currency::from_iso("EUR").unwrap(),
            slot_minutes: 15,
            price_min: Price::from_micros(0),
            price_max: Price::from_micros(400_000),
            tick: Price::from_micros(1_000),
            lot: Energy::from_wh(10),
            quantity_max: Energy::from_wh(100_000),
            opening_lead: Lead::from_minutes(60),
            gate_lead: Lead::from_minutes(15),
            price_rule: PriceRule::T7Clamp,
        };
        ScheduledMarket { definition, uncross_lead: Lead::from_minutes(30) }
    }

    fn key() -> SlotKey {
        market().definition.key(DeliverySlot::new(120, 15).unwrap())
    }

    fn due(schedule: &mut Schedule, minute: u32) -> Vec<Command> {
        let mut commands = Vec::new();
        schedule.due(Timestamp::from_minutes(minute).plus_ns(1), &mut commands);
        commands
    }

    #[test]
    fn a_slot_opens_uncrosses_and_closes() {
        let mut schedule = Schedule::default();
        schedule.add_slot(&market(), key(), Timestamp::from_minutes(0));
        assert_eq!(due(&mut schedule, 59), []);
        assert_eq!(due(&mut schedule, 60), [Command::OpenSlot(key())]);
        assert_eq!(due(&mut schedule, 90), [Command::UncrossSlot(key())]);
        assert_eq!(due(&mut schedule, 105), [Command::CloseSlot(key())]);
        assert_eq!(schedule.next_deadline(), None);
    }

    #[test]
    fn a_restart_goes_on_where_it_stopped() {
        let mut schedule = Schedule::default();
        let changed = SlotPhaseChanged { key: key(), phase: Phase::Call };
        schedule.observe(&Event::SlotPhaseChanged(changed));
        schedule.add_slot(&market(), key(), Timestamp::from_minutes(70));
        assert_eq!(due(&mut schedule, 91), [Command::UncrossSlot(key())]);
    }

    #[test]
    fn a_call_slept_through_closes_without_trading() {
        let mut schedule = Schedule::default();
        let changed = SlotPhaseChanged { key: key(), phase: Phase::Call };
        schedule.observe(&Event::SlotPhaseChanged(changed));
        schedule.add_slot(&market(), key(), Timestamp::from_minutes(200));
        assert_eq!(due(&mut schedule, 200), [Command::CloseSlot(key())]);
    }

    #[test]
    fn a_followed_market_trades_every_day_once() {
        let mut schedule = Schedule::default();
        schedule.follow(market());
        let mut opened = BTreeSet::new();
        let start = Timestamp::from_seconds(1_774_000_000); // 2026-03-20, before a clock change
        for hour in 0..(24 * 12) {
            let now = start.plus_ns(hour * 3_600_000_000_000);
            schedule.extend(now);
            let mut commands = Vec::new();
            schedule.due(now, &mut commands);
            for command in commands {
                let (key, phase) = match command {
                    Command::OpenSlot(key) => {
                        assert!(opened.insert(key), "{key} opens twice");
                        (key, Phase::Call)
                    }
                    Command::UncrossSlot(key) => (key, Phase::Continuous),
                    Command::CloseSlot(key) => (key, Phase::Closed),
                    Command::DefineMarket(_)
                    | Command::RegisterParty(_)
                    | Command::RegisterMeter(_)
                    | Command::NewOrder(_)
                    | Command::CancelOrder(_)
                    | Command::ReplaceOrder(_) => panic!("{command:?}"),
                };
                schedule.observe(&Event::SlotPhaseChanged(SlotPhaseChanged { key, phase }));
            }
        }
        let minutes: Vec<_> = opened.iter().map(|key| key.slot.start_minute()).collect();
        assert!(minutes.windows(2).all(|pair| pair[1] - pair[0] == 15), "no slot is left out");
        assert!(minutes.len() > 12 * 95, "{}", minutes.len());
        assert!(schedule.phases.len() < 96 * 6, "{}", schedule.phases.len());
    }

    #[test]
    fn a_day_with_a_clock_change_has_92_slots() {
        let mut schedule = Schedule::default();
        schedule.add_day(&market(), "2026-03-29", Timestamp::from_minutes(0)).unwrap();
        assert_eq!(schedule.timers.len(), 92 * 3);
    }
}
