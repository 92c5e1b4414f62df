use types::{
    CallExtended, Code, CommandRejected, Currency, DeliverySlot, Energy, Operation, Price,
    PriceRule, Remark, Seq, Signature, SignedOperation,
};

use super::*;
use crate::clock::Clock;

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
    ScheduledMarket {
        definition,
        uncross_lead: Lead::from_minutes(30),
        call_extension_minutes: 5,
        cycles: AuctionCycles::none(),
    }
}

/// Opens at minute 60, its call ends at 90, its gate closes after 105.
fn key() -> SlotKey {
    market().definition.key(DeliverySlot::new(120, 15).unwrap())
}

/// A minute and some seconds.
fn instant(minute: u32, seconds: i64) -> Timestamp {
    Timestamp::from_minutes(minute).plus_ns(seconds * SECOND_NS)
}

/// A timetable and what a test does with it.
struct Desk {
    schedule: Schedule,
    seeds: Seeds,
}

impl Desk {
    /// With nothing entered.
    fn empty() -> Self {
        let seeds = Seeds::beside(&Clock::starting_at(Timestamp::from_ns(0))).unwrap();
        Self { schedule: Schedule::default(), seeds }
    }

    /// With the slot entered before it opens.
    fn new() -> Self {
        let mut desk = Self::empty();
        desk.schedule.add_slot(&market(), key(), instant(0, 0));
        desk
    }

    /// In a market whose calls are frozen for 10 to 60 seconds.
    fn freezing() -> Self {
        let mut desk = Self::new();
        desk.freezes(60);
        desk
    }

    fn freezes(&mut self, freeze_max_s: u16) {
        let standard = MarketControls::standard(key().market);
        let freeze_min_s = freeze_max_s.min(10);
        let controls = MarketControls { freeze_min_s, freeze_max_s, ..standard };
        self.caused(instant(0, 0), Command::SetControls(controls), Event::ControlsSet(controls));
    }

    /// After a start in which only the events are known.
    fn restarted(mut self, now: Timestamp) -> Self {
        self.schedule.timers.clear();
        self.schedule.markets.clear();
        self.schedule.add_slot(&market(), key(), now);
        self
    }

    /// What is due up to an instant.
    fn due(&mut self, now: Timestamp) -> Vec<Command> {
        let mut commands = Vec::new();
        self.schedule.due(now, &mut self.seeds, &mut commands);
        commands
    }

    fn caused(&mut self, time: Timestamp, value: Command, event: Event) {
        let command = Sequenced { seq: Seq::new(1), time, value };
        self.schedule.observe(&command, &event);
    }

    fn phase(&mut self, time: Timestamp, phase: Phase) {
        let changed = SlotPhaseChanged { key: key(), phase };
        self.caused(time, Command::PassTime, Event::SlotPhaseChanged(changed));
    }

    fn frozen(&mut self, time: Timestamp, uncross_at: Timestamp) {
        self.phase(time, Phase::Frozen);
        let frozen = SlotFrozen { key: key(), uncross_at };
        self.caused(time, Command::PassTime, Event::SlotFrozen(frozen));
    }

    fn extended(&mut self, time: Timestamp) {
        let [price, reference] = [Price::from_micros(9), Price::from_micros(1)];
        let extended = CallExtended { key: key(), price, reference };
        self.caused(time, Command::UncrossSlot(key()), Event::CallExtended(extended));
    }

    fn refused(&mut self, time: Timestamp, command: Command, reason: RejectReason) {
        self.caused(time, command, Event::CommandRejected(CommandRejected { reason }));
    }

    /// When something is due next, in seconds after minute 60.
    fn next(&self) -> Option<i64> {
        let next = self.schedule.next_deadline()?;
        Some((next.ns() - instant(60, 0).ns()).div_euclid(SECOND_NS))
    }

    /// Opens and uncrosses the slot.
    fn continuous(mut self) -> Self {
        self.due(instant(60, 0));
        self.phase(instant(60, 0), Phase::Call);
        self.due(instant(90, 0));
        self.phase(instant(90, 0), Phase::Continuous);
        self
    }
}

/// The gate's instant is still accepted; the slot closes one nanosecond later.
fn closing() -> Timestamp {
    instant(105, 0).plus_ns(1)
}

fn is_freeze(commands: &[Command]) -> bool {
    matches!(commands, [Command::FreezeSlot(freeze)] if freeze.key == key())
}

#[test]
fn a_slot_opens_uncrosses_and_closes() {
    let mut desk = Desk::new();
    assert_eq!(desk.due(instant(59, 59)), []);
    assert_eq!(desk.due(instant(60, 0)), [Command::OpenSlot(key())]);
    assert_eq!(desk.due(instant(90, 0)), [Command::UncrossSlot(key())]);
    assert_eq!(desk.due(instant(105, 0)), []);
    assert_eq!(desk.due(closing()), [Command::CloseSlot(key())]);
    assert_eq!(desk.next(), None);
}

#[test]
fn a_restart_goes_on_where_it_stopped() {
    let mut desk = Desk::empty();
    desk.phase(instant(60, 0), Phase::Call);
    let mut desk = desk.restarted(instant(70, 0));
    assert_eq!(desk.due(instant(91, 0)), [Command::UncrossSlot(key())]);
}

#[test]
fn a_call_slept_through_closes_without_trading() {
    let mut desk = Desk::empty();
    desk.phase(instant(60, 0), Phase::Call);
    let mut desk = desk.restarted(instant(200, 0));
    assert_eq!(desk.due(instant(200, 0)), [Command::CloseSlot(key())]);
}

#[test]
fn a_call_that_is_frozen_uncrosses_when_the_engine_says() {
    let mut desk = Desk::freezing();
    desk.due(instant(60, 0));
    desk.phase(instant(60, 0), Phase::Call);
    assert!(is_freeze(&desk.due(instant(90, 0))));
    desk.frozen(instant(90, 0), instant(90, 42));
    assert_eq!(desk.due(instant(90, 41)), []);
    assert_eq!(desk.due(instant(90, 42)), [Command::UncrossSlot(key())]);
    desk.phase(instant(90, 42), Phase::Continuous);
    assert_eq!(desk.due(closing()), [Command::CloseSlot(key())]);
}

#[test]
fn the_events_of_a_freeze_may_come_in_any_order() {
    let mut desk = Desk::freezing();
    desk.due(instant(90, 0));
    let frozen = SlotFrozen { key: key(), uncross_at: instant(90, 42) };
    desk.caused(instant(90, 0), Command::PassTime, Event::SlotFrozen(frozen));
    desk.phase(instant(90, 0), Phase::Frozen);
    assert_eq!(desk.due(instant(90, 42)), [Command::UncrossSlot(key())]);
}

#[test]
fn every_freeze_has_a_seed_of_its_own() {
    let mut desk = Desk::freezing();
    let other = market().definition.key(DeliverySlot::new(135, 15).unwrap());
    desk.schedule.add_slot(&market(), other, instant(0, 0));
    let seeds: BTreeSet<u64> = desk
        .due(instant(105, 0))
        .into_iter()
        .filter_map(|command| {
            if let Command::FreezeSlot(freeze) = command { Some(freeze.seed) } else { None }
        })
        .collect();
    assert_eq!(seeds.len(), 2);
}

#[test]
fn a_restart_waits_for_the_auction_of_a_frozen_call() {
    let mut desk = Desk::freezing();
    desk.phase(instant(60, 0), Phase::Call);
    desk.frozen(instant(90, 0), instant(90, 42));
    let mut desk = desk.restarted(instant(90, 20));
    assert_eq!(desk.due(instant(90, 41)), []);
    assert_eq!(desk.due(instant(90, 42)), [Command::UncrossSlot(key())]);
}

#[test]
fn an_auction_that_a_restart_missed_is_due_at_once() {
    let mut desk = Desk::freezing();
    desk.frozen(instant(90, 0), instant(90, 42));
    let mut desk = desk.restarted(instant(95, 0));
    assert_eq!(desk.due(instant(95, 0)), [Command::UncrossSlot(key())]);
}

#[test]
fn an_interruption_ends_after_five_minutes() {
    let mut desk = Desk::new().continuous();
    desk.phase(instant(93, 7), Phase::Call);
    assert_eq!(desk.due(instant(98, 6)), []);
    assert_eq!(desk.due(instant(98, 7)), [Command::UncrossSlot(key())]);
    desk.phase(instant(98, 7), Phase::Continuous);
    assert_eq!(desk.due(closing()), [Command::CloseSlot(key())]);
}

#[test]
fn an_interruption_ends_with_a_freeze_where_the_market_has_one() {
    let mut desk = Desk::freezing().continuous();
    desk.phase(instant(93, 0), Phase::Call);
    assert!(is_freeze(&desk.due(instant(98, 0))));
    desk.frozen(instant(98, 0), instant(98, 11));
    assert_eq!(desk.due(instant(98, 11)), [Command::UncrossSlot(key())]);
}

#[test]
fn a_restart_remembers_when_an_interruption_began() {
    let mut desk = Desk::new().continuous();
    desk.phase(instant(93, 7), Phase::Call);
    let mut desk = desk.restarted(instant(95, 0));
    assert_eq!(desk.due(instant(98, 6)), []);
    assert_eq!(desk.due(instant(98, 7)), [Command::UncrossSlot(key())]);
}

#[test]
fn an_interruption_near_the_gate_ends_before_it() {
    let mut desk = Desk::new().continuous();
    desk.phase(instant(103, 0), Phase::Call);
    assert_eq!(desk.due(instant(104, 58)), []);
    assert_eq!(desk.due(instant(104, 59)), [Command::UncrossSlot(key())]);

    let mut desk = Desk::freezing().continuous();
    desk.phase(instant(103, 0), Phase::Call);
    assert!(is_freeze(&desk.due(instant(103, 59))), "60 seconds and one before the gate");
}

#[test]
fn an_interruption_without_time_for_an_auction_closes_with_the_gate() {
    let mut desk = Desk::new().continuous();
    desk.phase(instant(104, 59), Phase::Call);
    assert_eq!(desk.due(instant(105, 0)), []);
    assert_eq!(desk.due(closing()), [Command::CloseSlot(key())]);
}

#[test]
fn an_extended_call_goes_on_for_five_minutes() {
    let mut desk = Desk::new();
    desk.due(instant(60, 0));
    desk.phase(instant(60, 0), Phase::Call);
    assert_eq!(desk.due(instant(90, 0)), [Command::UncrossSlot(key())]);
    desk.extended(instant(90, 0));
    assert_eq!(desk.due(instant(94, 59)), []);
    assert_eq!(desk.due(instant(95, 0)), [Command::UncrossSlot(key())]);
}

#[test]
fn an_extended_call_that_was_frozen_is_frozen_again() {
    let mut desk = Desk::freezing();
    desk.due(instant(60, 0));
    desk.phase(instant(60, 0), Phase::Call);
    assert!(is_freeze(&desk.due(instant(90, 0))));
    desk.frozen(instant(90, 0), instant(90, 30));
    assert_eq!(desk.due(instant(90, 30)), [Command::UncrossSlot(key())]);
    desk.extended(instant(90, 30));
    desk.phase(instant(90, 30), Phase::Call);
    let mut desk = desk.restarted(instant(91, 0));
    assert_eq!(desk.due(instant(95, 29)), []);
    assert!(is_freeze(&desk.due(instant(95, 30))));
}

#[test]
fn an_auction_that_came_too_early_is_tried_again() {
    let uncross = Command::UncrossSlot(key());
    let mut desk = Desk::freezing();
    desk.due(instant(60, 0));
    desk.frozen(instant(90, 0), instant(90, 42));
    desk.schedule.forget_calls(key());
    desk.refused(instant(90, 1), uncross, RejectReason::AuctionNotDue);
    assert_eq!(desk.due(instant(90, 41)), []);
    assert_eq!(desk.due(instant(90, 42)), [uncross]);
    desk.refused(instant(90, 42), uncross, RejectReason::AuctionNotDue);
    assert_eq!(desk.due(instant(90, 42)), [], "not at once");
    assert_eq!(desk.due(instant(90, 43)), [uncross]);
    desk.refused(instant(90, 43), uncross, RejectReason::GateClosed);
    assert_eq!(desk.due(closing()), [Command::CloseSlot(key())], "what is over is over");
}

#[test]
fn a_call_ends_as_the_controls_of_its_end_say() {
    let uncross = Command::UncrossSlot(key());
    let mut desk = Desk::new();
    desk.due(instant(60, 0));
    desk.phase(instant(60, 0), Phase::Call);
    assert_eq!(desk.due(instant(90, 0)), [uncross]);
    // Controls were set before the uncross, which then was not possible.
    desk.freezes(60);
    desk.refused(instant(90, 0), uncross, RejectReason::AuctionNotDue);
    let freeze = desk.due(instant(90, 1));
    assert!(is_freeze(&freeze));
    // And the other way round.
    desk.freezes(0);
    desk.refused(instant(90, 1), freeze[0], RejectReason::WrongPhase);
    assert_eq!(desk.due(instant(90, 2)), [uncross]);
}

#[test]
fn refusals_of_the_past_enter_nothing() {
    let mut desk = Desk::empty();
    desk.phase(instant(60, 0), Phase::Call);
    let uncross = Command::UncrossSlot(key());
    desk.refused(instant(80, 0), uncross, RejectReason::AuctionNotDue);
    assert_eq!(desk.next(), None);
    let mut desk = desk.restarted(instant(85, 0));
    assert_eq!(desk.due(instant(90, 0)), [uncross]);
    assert_eq!(desk.due(closing()), [Command::CloseSlot(key())]);
}

#[test]
fn a_followed_market_trades_every_day_once() {
    let mut desk = Desk::empty();
    desk.schedule.follow(market());
    let mut opened = BTreeSet::new();
    let start = Timestamp::from_seconds(1_774_000_000); // 2026-03-20, before a clock change
    for hour in 0..(24 * 12) {
        let now = start.plus_ns(hour * HOUR_NS);
        desk.schedule.extend(now);
        for command in desk.due(now) {
            let (key, phase) = if let Command::OpenSlot(key) = command {
                assert!(opened.insert(key), "{key} opens twice");
                (key, Phase::Call)
            } else if let Command::UncrossSlot(key) = command {
                (key, Phase::Continuous)
            } else if let Command::CloseSlot(key) = command {
                (key, Phase::Closed)
            } else {
                panic!("{command:?}")
            };
            let changed = SlotPhaseChanged { key, phase };
            desk.caused(now, command, Event::SlotPhaseChanged(changed));
        }
    }
    let minutes: Vec<_> = opened.iter().map(|key| key.slot.start_minute()).collect();
    assert!(minutes.windows(2).all(|pair| pair[1] - pair[0] == 15), "no slot is left out");
    assert!(minutes.len() > 12 * 95, "{}", minutes.len());
    assert!(desk.schedule.slots.len() < 96 * 6, "{}", desk.schedule.slots.len());
}

#[test]
fn every_slot_of_a_followed_market_is_opened_by_one_shard() {
    let shards = types::Shards::new(3).unwrap();
    let map = Arc::new(ShardMap::new(shards, [&market().definition]).unwrap());
    let mut opened = BTreeMap::new();
    for shard in shards.iter() {
        let mut schedule = Schedule::of_shard(shard, Arc::clone(&map));
        schedule.follow(market());
        // 2026-03-27 and the days after it, among them one of 23 hours.
        for day in 0..5 {
            schedule.extend(Timestamp::from_seconds(1_774_600_000).plus_ns(day * DAY_NS));
        }
        for &(_, step, key) in &schedule.timers {
            if step == Step::Open {
                assert_eq!(opened.insert(key, shard), None, "{key} has two shards");
            }
        }
    }
    let minutes: Vec<_> = opened.keys().map(|key| key.slot.start_minute()).collect();
    assert!(minutes.windows(2).all(|pair| pair[1] - pair[0] == 15), "no slot is left out");
    assert!(minutes.len() > 5 * 92, "{}", minutes.len());
    let changes = opened.values().collect::<Vec<_>>();
    let changes = changes.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!((5..=7).contains(&changes), "a day has one shard: {changes} changes");
}

#[test]
fn a_day_with_a_clock_change_has_92_slots() {
    let mut schedule = Schedule::default();
    schedule.add_day(&market(), "2026-03-29", Timestamp::from_minutes(0)).unwrap();
    assert_eq!(schedule.timers.len(), 92 * 3);
}

#[test]
fn what_a_timetable_learned_is_kept_in_a_snapshot() {
    let mut desk = Desk::freezing();
    desk.phase(instant(60, 0), Phase::Call);
    desk.extended(instant(90, 0));
    let frozen = SlotFrozen { key: key(), uncross_at: instant(96, 7) };
    desk.caused(instant(95, 0), Command::PassTime, Event::SlotFrozen(frozen));
    let mut kept = Vec::new();
    desk.schedule.keep(&mut kept);

    let mut learned = Schedule::default();
    let mut rest = kept.as_slice();
    learned.learn(&mut rest).unwrap();
    assert!(rest.is_empty());
    assert_eq!((&learned.slots, &learned.freezes), (&desk.schedule.slots, &desk.schedule.freezes));
    assert_eq!(learned.slots[&key()].since, Some(instant(90, 0)));
    assert!(learned.timers.is_empty(), "timers are entered anew");
    for end in 0..kept.len() {
        assert!(Schedule::default().learn(&mut &kept[..end]).is_err(), "{end} bytes");
    }
}

/// An operator's order for the market of these tests.
fn defined() -> (Command, Event) {
    let action = Action::Define(NewMarket {
        market: key().market,
        uncross_lead: Lead::from_minutes(30),
        call_extension_minutes: 5,
    });
    let operation = Operation {
        operator: 1,
        number: 1,
        action,
        valid_until: instant(9, 0),
        reason: Remark::new("a test").unwrap(),
    };
    let signed = SignedOperation { operation, signer: 1, signature: Signature::new([0; 64]) };
    (Command::Operate(signed), Event::MarketDefined(market().definition))
}

#[test]
fn what_an_operator_defines_is_followed_from_then_on() {
    let mut desk = Desk::empty();
    let start = Timestamp::from_seconds(1_774_000_000);
    desk.schedule.begin();
    desk.schedule.extend(start);
    assert_eq!(desk.next(), None);
    let (command, event) = defined();
    desk.caused(start, command, event);
    assert_eq!(desk.schedule.take_new(), [market()]);
    assert_eq!(desk.schedule.take_new(), [], "once");
    desk.schedule.extend(start.plus_ns(1));
    let opened = desk.due(start.plus_ns(1));
    let count = opened.iter().filter(|command| matches!(command, Command::OpenSlot(_))).count();
    assert!((3..=4).contains(&count), "those between opening and gate open at once: {opened:?}");
    assert!(desk.next().is_some(), "and more are to come");
}

#[test]
fn what_an_operator_defined_is_kept_in_a_snapshot() {
    let mut desk = Desk::new();
    desk.phase(instant(60, 0), Phase::Call);
    let mut without = Vec::new();
    desk.schedule.keep(&mut without);
    let (command, event) = defined();
    desk.caused(instant(1, 0), command, event);
    assert_eq!(desk.schedule.take_new(), [], "a journal that is followed tells nobody");
    let mut kept = Vec::new();
    desk.schedule.keep(&mut kept);
    assert!(kept.starts_with(&without));

    let mut learned = Schedule::default();
    let mut rest = kept.as_slice();
    learned.learn(&mut rest).unwrap();
    assert!(rest.is_empty());
    assert_eq!(learned.defined().collect::<Vec<_>>(), [&market()]);
    for end in (0..kept.len()).filter(|&end| end != without.len()) {
        assert!(Schedule::default().learn(&mut &kept[..end]).is_err(), "{end} bytes");
    }
}
