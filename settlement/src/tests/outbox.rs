//! What the exchange is told of the grid, and what becomes of its answers.

use types::{
    Command, Energy, Event, GridLimitSet, GridRefused, Lead, MarketId, MeterId, Party, PlaceNoted,
    RejectReason, Role, Seq, ShardId, ShardMap, Shards, Side, Timestamp, UtilityId,
};

use super::{
    energy::{UTILITY, sealed},
    fixture::{Desk, FIRST_SLOT, Feed, slot},
};
use crate::{
    DocumentReject, GridLimit, LimitNotice, MeterPoint, MeterPoints, NoticeKind, PlaceName,
    ScheduleFilter,
};

fn name(text: &str) -> PlaceName {
    PlaceName::new(text).unwrap()
}

fn points(revision: u32, zone: Option<&str>, feeder: Option<&str>) -> Vec<u8> {
    let point = MeterPoint {
        from_minute: FIRST_SLOT - 60,
        zone: zone.map(name),
        feeder: feeder.map(name),
        served_by: None,
    };
    sealed(UTILITY, &MeterPoints { revision, points: vec![(MeterId::new(1), point)] }.to_body())
}

fn limit(revision: u32, wh: u64) -> Vec<u8> {
    let (zone, feeder, slot) = (name("NORTH"), None, slot(0));
    let limit = Energy::from_wh(wh);
    let limit = GridLimit { zone, feeder, side: Side::Sell, slot, limit, revision };
    sealed(UTILITY, &limit.to_body())
}

fn waiting(desk: &Desk, shard: u8) -> Vec<Command> {
    let commands = desk.pipeline.grid_commands(ShardId::new(shard).unwrap(), 100).unwrap();
    commands.into_iter().map(|(_, command)| command).collect()
}

/// As the exchange does: what it is told is in force.
fn answer(command: &Command, used: u64, complete: bool) -> Event {
    let (cancelled, used) = (0, Energy::from_wh(used));
    if let Command::NotePlace(note) = *command {
        return Event::PlaceNoted(PlaceNoted { note, cancelled, complete });
    }
    let Command::SetGridLimit(limit) = *command else { panic!("{command:?} is not of the outbox") };
    Event::GridLimitSet(GridLimitSet { limit, used, cancelled, complete })
}

fn capture(desk: &mut Desk, feed: &mut Feed, event: Event) {
    feed.push(event);
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
}

fn is_in_force(desk: &Desk) -> Option<bool> {
    let filter = ScheduleFilter {
        utility: UtilityId::new(1),
        zone: Some(name("NORTH")),
        feeder: None,
        from: slot(0).start(),
        to: slot(0).end(),
        after: 0,
    };
    let lines = desk.pipeline.schedule(&filter).unwrap().lines;
    lines.first().and_then(|line| line.injection_limit).map(|limit| limit.in_force)
}

#[test]
fn a_limit_is_told_until_the_exchange_says_that_it_is_in_force() {
    let mut desk = Desk::new();
    desk.taken(&points(1, Some("NORTH"), None));
    desk.taken(&limit(1, 9_000));
    // What is known already is not told again, nor what is older.
    desk.taken(&limit(1, 9_000));
    let told = waiting(&desk, 0);
    let [Command::NotePlace(place), Command::SetGridLimit(of_zone)] = told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((place.number, place.meter.get(), place.zone), (1, 1, Some(name("NORTH"))));
    assert_eq!((of_zone.number, of_zone.revision, of_zone.limit.wh()), (2, 1, 9_000));
    assert_eq!(is_in_force(&desk), Some(false));
    // A restart changes nothing; it is told again.
    let mut desk = desk.restart();
    assert_eq!(waiting(&desk, 0), told);
    let mut feed = Feed::new();
    capture(&mut desk, &mut feed, answer(&told[1], 8_000, true));
    assert_eq!(waiting(&desk, 0), told[..1]);
    assert_eq!(is_in_force(&desk), Some(true));
    // The answer to what was told twice comes twice.
    let before = desk.pipeline.notices(Party { role: Role::Operator, number: 1 }, 0).unwrap();
    capture(&mut desk, &mut feed, answer(&told[1], 8_000, true));
    capture(&mut desk, &mut feed, answer(&told[0], 0, true));
    assert!(waiting(&desk, 0).is_empty());
    let notices = desk.pipeline.notices(UTILITY, 0).unwrap();
    assert_eq!(notices, before);
    let [notice] = notices[..] else { panic!("{notices:?}") };
    assert_eq!((notice.kind, notice.contracted.wh()), (NoticeKind::Limit, 8_000));
    assert_eq!((notice.allowed.wh(), notice.slot), (9_000, slot(0)));
    let since = Ok((ShardId::FIRST, Seq::new(feed.end().get() - 2)));
    let said = LimitNotice { zone: name("NORTH"), feeder: None, since };
    assert_eq!(notice.limit, Some(said));
    let other = Party { role: Role::Utility, number: 2 };
    assert!(desk.pipeline.notices(other, 0).unwrap().is_empty());
}

#[test]
fn what_is_not_complete_is_told_again_under_another_number() {
    let mut desk = Desk::new();
    let mut feed = Feed::new();
    desk.taken(&points(1, Some("NORTH"), None));
    desk.taken(&limit(1, 9_000));
    for told in waiting(&desk, 0) {
        capture(&mut desk, &mut feed, answer(&told, 10_000, false));
    }
    let again = waiting(&desk, 0);
    let [Command::NotePlace(place), Command::SetGridLimit(of_zone)] = again[..] else {
        panic!("{again:?}")
    };
    assert_eq!((place.number, of_zone.number, of_zone.revision), (3, 4, 1));
    assert_eq!(is_in_force(&desk), Some(false));
    capture(&mut desk, &mut feed, answer(&again[1], 9_000, true));
    assert_eq!(is_in_force(&desk), Some(true));
}

#[test]
fn a_refused_limit_is_not_in_force_and_its_utility_is_told_why() {
    let mut desk = Desk::new();
    let mut feed = Feed::new();
    desk.taken(&points(1, Some("NORTH"), None));
    desk.taken(&limit(1, 9_000));
    let reason = RejectReason::GateClosed;
    capture(&mut desk, &mut feed, Event::GridRefused(GridRefused { number: 2, reason }));
    assert_eq!(waiting(&desk, 0).len(), 1);
    assert_eq!(is_in_force(&desk), Some(false));
    let notices = desk.pipeline.notices(UTILITY, 0).unwrap();
    assert_eq!(notices[0].limit.unwrap().since, Err(reason));
    // An older revision is refused by itself, and never told.
    desk.taken(&limit(3, 7_000));
    assert_eq!(desk.refused(&limit(2, 8_000)), DocumentReject::StaleRevision);
    assert_eq!(waiting(&desk, 0).len(), 2);
}

#[test]
fn who_serves_a_meter_is_nothing_to_the_exchange() {
    let mut desk = Desk::new();
    desk.taken(&points(1, None, None));
    assert!(waiting(&desk, 0).is_empty());
    // What takes a name back is.
    desk.taken(&points(2, Some("NORTH"), Some("F1")));
    desk.taken(&points(3, None, Some("F1")));
    assert_eq!(waiting(&desk, 0).len(), 2);
}

#[test]
fn places_go_to_every_shard_and_limits_to_that_of_their_slot() {
    let mut desk = Desk::new();
    let market = types::MarketDefinition {
        market: MarketId::new(1),
        area: types::Code::new("TEST").unwrap(),
        time_zone: types::Code::new("UTC").unwrap(),
        currency: types::Currency::from_iso("INR").unwrap(),
        slot_minutes: 60,
        price_min: types::Price::from_micros(0),
        price_max: types::Price::from_micros(10_000_000),
        tick: types::Price::from_micros(10_000),
        lot: Energy::from_wh(1),
        quantity_max: Energy::from_wh(1_000_000),
        opening_lead: Lead::from_minutes(1_440),
        gate_lead: Lead::from_minutes(60),
        price_rule: types::PriceRule::T7Clamp,
    };
    let map = ShardMap::new(Shards::new(3).unwrap(), [&market]).unwrap();
    let of_slot = map.of(types::SlotKey { market: market.market, slot: slot(0) }).unwrap();
    desk.pipeline.set_shards(std::sync::Arc::new(map));
    desk.taken(&points(1, Some("NORTH"), None));
    desk.taken(&limit(1, 9_000));
    for shard in 0..3 {
        let expected = if shard == of_slot.index() { 2 } else { 1 };
        assert_eq!(waiting(&desk, shard).len(), expected, "{shard}");
    }
    // An answer is of its shard alone.
    let told = waiting(&desk, 0)[0];
    let item = wire::FeedItem {
        seq: Seq::new(1),
        time: Timestamp::from_ns(1),
        index: 0,
        event: answer(&told, 0, true),
    };
    desk.pipeline.capture_from(ShardId::new(1).unwrap(), Seq::new(1), &[item]).unwrap();
    assert!(waiting(&desk, 0).contains(&told));
    assert!(!waiting(&desk, 1).contains(&told));
}
