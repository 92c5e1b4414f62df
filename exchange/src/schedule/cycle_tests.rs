//! Auction cycles: at which instants they are, and that every slot has just its auctions.

use fastrand::Rng;
use types::{Code, Currency, DeliverySlot, Energy, Price, PriceRule, Seq};

use super::*;
use crate::clock::Clock;

const ZONES: [&str; 6] = [
    "Europe/Berlin",
    "Asia/Kolkata",
    "UTC",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/St_Johns",
];

/// A market of hour slots whose books open 50 hours before delivery and whose gates close one hour before.
fn market(zone: &str, cycles: Vec<AuctionCycle>) -> ScheduledMarket {
    let definition = MarketDefinition {
        market: MarketId::new(1),
        area: Code::new("AREA").unwrap(),
        time_zone: Code::new(zone).unwrap(),
        currency: Currency::from_iso("EUR").unwrap(),
        slot_minutes: 30,
        price_min: Price::from_micros(0),
        price_max: Price::from_micros(400_000),
        tick: Price::from_micros(1_000),
        lot: Energy::from_wh(10),
        quantity_max: Energy::from_wh(100_000),
        opening_lead: Lead::from_minutes(50 * 60),
        gate_lead: Lead::from_minutes(60),
        price_rule: PriceRule::T7Clamp,
    };
    ScheduledMarket {
        definition,
        uncross_lead: Lead::from_minutes(90),
        call_extension_minutes: 5,
        cycles: AuctionCycles::new(zone, cycles).unwrap(),
    }
}

fn instant(text: &str) -> Timestamp {
    Timestamp::from_seconds(text.parse::<jiff::Timestamp>().unwrap().as_second())
}

/// A slot that is far away, so that its book could be open at any of these times.
fn slot_at(text: &str) -> DeliverySlot {
    DeliverySlot::starting_at(instant(text), 30).unwrap()
}

/// The instants of a cycle for a slot, between two others.
fn instants(
    cycle: AuctionCycle,
    zone: &str,
    slot: DeliverySlot,
    from: &str,
    to: &str,
) -> Vec<String> {
    let cycles = AuctionCycles::new(zone, vec![cycle]).unwrap();
    let (mut after, last) = (instant(from).plus_ns(-1), instant(to));
    let mut found = Vec::new();
    while let Some(auction) = cycles.next(slot, (after, None), last).next() {
        assert!(auction.at > after, "instants rise");
        after = auction.at;
        found.push(after.to_string());
    }
    found
}

#[test]
fn clocks_that_change_leave_each_time_of_day_one_auction() {
    let far = slot_at("2026-11-30T00:00Z");
    let at = |time, from, to| {
        let cycle = AuctionCycle::at(time, CycleSlots::Open, 5).unwrap();
        instants(cycle, "Europe/Berlin", far, from, to)
    };
    // Clocks go from 02:00 to 03:00, which is 01:00 UTC.
    assert_eq!(
        at("02:30", "2026-03-28T00:00Z", "2026-03-31T00:00Z"),
        ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    );
    // Clocks go from 03:00 back to 02:00, which is 01:00 UTC too.
    assert_eq!(
        at("02:30", "2026-10-24T00:00Z", "2026-10-27T00:00Z"),
        ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
    assert_eq!(
        at("12:00", "2026-10-24T12:00Z", "2026-10-26T12:00Z"),
        ["2026-10-25T11:00:00Z", "2026-10-26T11:00:00Z"]
    );
}

#[test]
fn days_of_23_and_25_hours_have_92_and_100_quarter_hours() {
    let far = slot_at("2026-11-30T00:00Z");
    let of_day = |from, to| {
        let cycle = AuctionCycle::every("*/15 * * * *", CycleSlots::Open, 5).unwrap();
        instants(cycle, "Europe/Berlin", far, from, to).len()
    };
    assert_eq!(of_day("2026-03-28T23:00Z", "2026-03-29T21:45Z"), 92);
    assert_eq!(of_day("2026-10-24T22:00Z", "2026-10-25T22:45Z"), 100);
    assert_eq!(of_day("2026-06-23T22:00Z", "2026-06-24T21:45Z"), 96);
}

#[test]
fn a_cycle_is_of_its_slots() {
    let noon = |slots| AuctionCycle::at("12:00", slots, 5).unwrap();
    let of = |slots, slot| {
        instants(
            noon(slots),
            "Europe/Berlin",
            slot_at(slot),
            "2026-06-22T00:00Z",
            "2026-06-27T00:00Z",
        )
    };
    // The first and the last slot of the 25th, by local time.
    for slot in ["2026-06-24T22:00Z", "2026-06-25T21:30Z"] {
        assert_eq!(of(CycleSlots::Tomorrow, slot), ["2026-06-24T10:00:00Z"], "{slot}");
    }
    assert_eq!(of(CycleSlots::Today, "2026-06-25T21:30Z"), ["2026-06-25T10:00:00Z"]);
    assert_eq!(of(CycleSlots::Today, "2026-06-25T09:30Z"), Vec::<String>::new(), "it is past");
    assert_eq!(of(CycleSlots::Open, "2026-06-25T09:30Z").len(), 3);
}

#[test]
fn patterns_and_times_that_cannot_be_are_refused() {
    for time in ["", "12", "24:00", "12:60", "1:00", "12:00:00", "+1:00"] {
        assert!(AuctionCycle::at(time, CycleSlots::Open, 5).is_err(), "{time}");
    }
    for pattern in ["", "* * * *", "* * * * * *", "60 * * * *", "0 12 30 2 *", "x * * * *"] {
        assert!(AuctionCycle::every(pattern, CycleSlots::Open, 5).is_err(), "{pattern}");
    }
}

#[test]
fn a_cycle_of_tomorrow_needs_books_that_are_open() {
    let least = |time| {
        let cycle = AuctionCycle::at(time, CycleSlots::Tomorrow, 5).unwrap();
        AuctionCycles::new("Europe/Berlin", vec![cycle]).unwrap().opening_lead_min(15)
    };
    // From noon to the last quarter hour of tomorrow are 35:45 hours, and one more in autumn.
    assert_eq!((least("12:00"), least("00:00")), (Some(2_205), Some(2_925)));
    assert_eq!(AuctionCycles::none().opening_lead_min(15), None);
}

/// A timetable and an engine that does what it says.
struct Play {
    market: ScheduledMarket,
    schedule: Schedule,
    seeds: Seeds,
    now: Timestamp,
    /// When each slot had its auctions.
    held: BTreeMap<SlotKey, Vec<Timestamp>>,
}

impl Play {
    fn new(market: ScheduledMarket, now: Timestamp) -> Self {
        let seeds = Seeds::beside(&Clock::starting_at(Timestamp::from_ns(0))).unwrap();
        let schedule = Schedule::default();
        let mut play = Self { market, schedule, seeds, now, held: BTreeMap::new() };
        play.schedule.follow(play.market.clone());
        play
    }

    /// Trades until an instant.
    fn until(&mut self, end: Timestamp) {
        while self.now < end {
            self.schedule.extend(self.now);
            let mut commands = Vec::new();
            self.schedule.due(self.now, &mut self.seeds, &mut commands);
            for command in commands.iter().copied() {
                self.apply(command);
            }
            if commands.is_empty() {
                let hour = self.now.plus_ns(HOUR_NS);
                self.now =
                    self.schedule.next_deadline().map_or(hour, |next| next.min(hour)).min(end);
            }
        }
    }

    fn apply(&mut self, value: Command) {
        let (key, phase) = if let Command::OpenSlot(key) = value {
            (key, Phase::Call)
        } else if let Command::UncrossSlot(key) = value {
            self.held.entry(key).or_default().push(self.now);
            (key, Phase::Continuous)
        } else if let Command::CloseSlot(key) = value {
            (key, Phase::Closed)
        } else {
            panic!("{value:?}")
        };
        self.observe(value, Event::SlotPhaseChanged(SlotPhaseChanged { key, phase }));
    }

    fn observe(&mut self, value: Command, event: Event) {
        let command = Sequenced { seq: Seq::new(1), time: self.now, value };
        self.schedule.observe(&command, &event);
    }

    /// Ends here, and begins again later with what a snapshot keeps.
    fn restart(&mut self, down_ns: i64) {
        let mut kept = Vec::new();
        self.schedule.keep(&mut kept);
        self.now = self.now.plus_ns(down_ns);
        let mut schedule = Schedule::default();
        schedule.learn(&mut kept.as_slice()).unwrap();
        let open: Vec<_> = schedule.open_slots().map(|(key, _)| key).collect();
        for key in open {
            schedule.add_slot(&self.market, key, self.now);
        }
        schedule.follow(self.market.clone());
        self.schedule = schedule;
    }
}

/// The times of a pattern, minute by minute: the slow way.
#[derive(Debug, Clone, Copy)]
struct Plain {
    /// Every so many minutes of these hours, from the first minute on.
    minutes: u32,
    hours: (u32, u32),
    slots: CycleSlots,
}

impl Plain {
    fn cycle(&self, call_minutes: u32) -> AuctionCycle {
        let (from, to) = self.hours;
        let hours = if (from, to) == (0, 23) { "*".to_owned() } else { format!("{from}-{to}") };
        let pattern = format!("*/{} {hours} * * *", self.minutes);
        AuctionCycle::every(&pattern, self.slots, call_minutes).unwrap()
    }

    fn wants(&self, zone: &jiff::tz::TimeZone, at: Timestamp, slot: DeliverySlot) -> bool {
        let local = |instant: Timestamp| {
            let seconds = instant.ns().div_euclid(SECOND_NS);
            jiff::Timestamp::from_second(seconds).unwrap().to_zoned(zone.clone())
        };
        let (now, start) = (local(at), local(slot.start()));
        let (hour, minute) =
            (u32::try_from(now.hour()).unwrap(), u32::try_from(now.minute()).unwrap());
        let is_day = match self.slots {
            CycleSlots::Open => true,
            CycleSlots::Today => now.date() == start.date(),
            CycleSlots::Tomorrow => now.date().tomorrow().unwrap() == start.date(),
        };
        is_day && minute % self.minutes == 0 && (self.hours.0..=self.hours.1).contains(&hour)
    }
}

impl Plain {
    fn any(rng: &mut Rng) -> Self {
        let slots = rng.choice(CycleSlots::ALL).unwrap();
        let (one, other) = (rng.u32(0..24), rng.u32(0..24));
        let hours = if other > 18 { (0, 23) } else { (one.min(other), one.max(other)) };
        // A single time of day follows another rule.
        let minutes = if hours.0 == hours.1 { &[10, 15, 30][..] } else { &[10, 15, 30, 60] };
        Self { minutes: *rng.choice(minutes).unwrap(), hours, slots }
    }
}

/// Days before clocks change somewhere, or nowhere.
const STARTS: [&str; 4] =
    ["2026-03-27T00:00Z", "2026-10-23T00:00Z", "2026-04-03T00:00Z", "2026-06-20T00:00Z"];

/// Whatever the cycles and the clocks, and over restarts: a slot has the auctions that one of them wants while its
/// book is open, once each, in order; without any, the one before its gate.
#[test]
fn t62_every_slot_has_exactly_its_auctions() {
    for seed in 0..12 {
        slots_have_their_auctions(seed);
    }
}

fn slots_have_their_auctions(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let zone = *rng.choice(&ZONES).unwrap();
    let begin = instant(rng.choice(&STARTS).unwrap());
    let plain: Vec<Plain> = (0..rng.usize(0..3)).map(|_| Plain::any(&mut rng)).collect();
    let call_minutes = rng.u32(1..40);
    let market = market(zone, plain.iter().map(|plain| plain.cycle(call_minutes)).collect());
    let end = begin.plus_ns(5 * DAY_NS);
    let mut play = Play::new(market.clone(), begin);
    let mut restarts: Vec<i64> = (0..rng.usize(0..4)).map(|_| rng.i64(0..5 * 24 * 60)).collect();
    restarts.sort_unstable();
    for minute in restarts {
        play.until(begin.plus_ns(minute * MINUTE_NS));
        play.restart(0);
    }
    play.until(end);
    let tz = jiff::tz::TimeZone::get(zone).unwrap();
    let definition = &market.definition;
    let mut checked = 0;
    for (key, held) in &play.held {
        let opens = definition.opens_at(key.slot);
        let gate = definition.gate_closes_after(key.slot);
        if opens < begin || gate >= end {
            continue;
        }
        checked += 1;
        let mut expected = Vec::new();
        let mut at = opens.plus_ns(MINUTE_NS);
        while at <= gate.plus_ns(-LAST_AUCTION_NS) {
            if plain.iter().any(|plain| plain.wants(&tz, at, key.slot)) {
                expected.push(at);
            }
            at = at.plus_ns(MINUTE_NS);
        }
        if expected.is_empty() {
            expected.push(key.slot.start().earlier_by(market.uncross_lead));
        }
        assert_eq!(held, &expected, "seed {seed}: {key} in {zone}");
    }
    assert!(checked > 48, "seed {seed}: {checked} slots");
}

/// A slot of a market with an auction every half hour, called ten minutes before.
fn half_hourly() -> (Play, SlotKey) {
    let cycle = AuctionCycle::every("*/30 * * * *", CycleSlots::Open, 10).unwrap();
    let market = market("UTC", vec![cycle]);
    let key = market.definition.key(slot_at("2026-06-24T12:00Z"));
    let mut play = Play::new(market, instant("2026-06-22T09:00Z"));
    play.until(instant("2026-06-24T08:00Z").plus_ns(1));
    (play, key)
}

/// The auctions of a slot after an instant, as minutes after 8 o'clock.
fn held(play: &Play, key: SlotKey) -> Vec<i64> {
    let began = instant("2026-06-24T08:00Z");
    let all = play.held[&key].iter().filter(|at| **at > began);
    all.map(|at| (at.ns() - began.ns()).div_euclid(MINUTE_NS)).collect()
}

#[test]
fn what_was_slept_through_is_left_out_and_what_stands_is_uncrossed() {
    let (mut play, key) = half_hourly();
    // The whole call of 8:30 passes, and 9:00 is called late.
    play.until(instant("2026-06-24T08:15Z"));
    play.restart(37 * MINUTE_NS);
    play.until(instant("2026-06-24T09:22Z"));
    assert_eq!(held(&play, key), [60]);
    // The call of 9:30 stands, and its instant passes.
    play.restart(15 * MINUTE_NS);
    play.until(instant("2026-06-24T10:01Z"));
    assert_eq!(held(&play, key), [60, 97, 120]);
}

#[test]
fn a_call_that_an_operator_ends_is_not_repeated() {
    let (mut play, key) = half_hourly();
    play.until(instant("2026-06-24T08:25Z"));
    let operation = types::Operation {
        operator: 1,
        number: 1,
        action: types::Action::Slot(types::SlotAction::CancelAuction, key),
        valid_until: play.now,
        reason: types::Remark::new("the feed is down").unwrap(),
    };
    let signature = types::Signature::new([0; 64]);
    let command = Command::Operate(types::SignedOperation { operation, signer: 1, signature });
    let changed = SlotPhaseChanged { key, phase: Phase::Continuous };
    play.observe(command, Event::SlotPhaseChanged(changed));
    play.restart(MINUTE_NS);
    play.until(instant("2026-06-24T09:01Z"));
    assert_eq!(held(&play, key), [60], "not at 8:30, for which it had been called");
}

#[test]
fn an_interruption_that_reaches_into_a_call_ends_with_its_auction() {
    let (mut play, key) = half_hourly();
    play.until(instant("2026-06-24T08:16Z"));
    let interrupted = Event::SlotPhaseChanged(SlotPhaseChanged { key, phase: Phase::Call });
    play.observe(Command::PassTime, interrupted);
    play.until(instant("2026-06-24T09:05Z"));
    assert_eq!(held(&play, key), [30, 60]);
    // And one that does not ends by itself.
    play.observe(Command::PassTime, interrupted);
    play.until(instant("2026-06-24T09:31Z"));
    assert_eq!(held(&play, key), [30, 60, 70, 90]);
}
