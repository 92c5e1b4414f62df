//! The schedule of a utility's wires, its limits and its curtailments.

use types::{DeliverySlot, Energy, MeterId, Party, Role, Side, Timestamp, UtilityId};

use super::{
    energy::{UTILITY, sealed},
    fixture::{Desk, FIRST_SLOT, Feed, curtailment, file, later, slot},
};
use crate::{
    Amendment, Answer, CurtailmentReason, DocumentReject, GridLimit, MeterPoint, MeterPoints,
    PlaceName, ScheduleFilter, ScheduleLine, State, ZoneCurtailment,
};

fn name(text: &str) -> PlaceName {
    PlaceName::new(text).unwrap()
}

fn point(feeder: &str) -> MeterPoint {
    MeterPoint {
        from_minute: FIRST_SLOT - 60,
        zone: Some(name("NORTH")),
        feeder: Some(name(feeder)),
        served_by: None,
    }
}

fn points(revision: u32, lines: &[(u32, &str)]) -> Vec<u8> {
    let points = lines.iter().map(|&(meter, at)| (MeterId::new(meter), point(at))).collect();
    sealed(UTILITY, &MeterPoints { revision, points }.to_body())
}

/// Meters 1 and 2 on feeder F1, 3 on F2; they sell 4, 2 and 6 kWh in slot 0.
fn desk() -> (Desk, Feed) {
    let mut desk = Desk::new();
    desk.deposit_all(100_000);
    desk.taken(&points(1, &[(1, "F1"), (2, "F1"), (3, "F2")]));
    let mut feed = Feed::new();
    for (seller, wh) in [(1, 4_000), (2, 2_000), (3, 6_000)] {
        feed.trade(0, (seller, 7), wh, 5_000_000);
    }
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    (desk, feed)
}

fn filter(after: u64) -> ScheduleFilter {
    ScheduleFilter {
        utility: UtilityId::new(1),
        zone: Some(name("NORTH")),
        feeder: None,
        from: slot(0).start(),
        to: slot(1).end(),
        after,
    }
}

fn lines(desk: &Desk, filter: &ScheduleFilter) -> Vec<(String, u64, u64, u64)> {
    let line = |line: ScheduleLine| {
        (line.feeder, line.injection.wh(), line.withdrawal.wh(), line.contracts)
    };
    desk.pipeline.schedule(filter).unwrap().lines.into_iter().map(line).collect()
}

#[test]
fn the_schedule_follows_contracts_and_places() {
    let (mut desk, mut feed) = desk();
    let at = |feeder: &str, injection, withdrawal, contracts| {
        (feeder.to_owned(), injection, withdrawal, contracts)
    };
    assert_eq!(lines(&desk, &filter(0)), [at("F1", 6_000, 0, 2), at("F2", 6_000, 0, 1)]);
    let serial = desk.pipeline.schedule(&filter(0)).unwrap().serial;
    assert!(lines(&desk, &filter(serial)).is_empty(), "nothing is new");
    // Only what changed is told.
    feed.trade(0, (5, 3), 1_500, 5_000_000);
    feed.trade(1, (4, 3), 700, 5_000_000);
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    let news = [at("F2", 6_000, 1_500, 2), at("F2", 0, 700, 1)];
    assert_eq!(lines(&desk, &filter(serial)), news);
    let only = ScheduleFilter { feeder: Some(name("F1")), ..filter(0) };
    assert_eq!(lines(&desk, &only), [at("F1", 6_000, 0, 2)]);
    let serial = desk.pipeline.schedule(&filter(0)).unwrap().serial;
    let amendment = |wh| Amendment {
        contract: types::TradeId::new(1),
        by: Side::Sell,
        version: 1,
        energy: Energy::from_wh(wh),
        answer: Answer::Accept,
    };
    let before = Timestamp::from_ns(0);
    desk.pipeline.amend(1, &amendment(1_000), before).unwrap();
    assert_eq!(lines(&desk, &filter(serial)), [at("F1", 3_000, 0, 2)]);
    let cancel = Amendment { version: 2, ..amendment(0) };
    desk.pipeline.amend(2, &cancel, before).unwrap();
    assert_eq!(lines(&desk, &filter(serial)), [at("F1", 2_000, 0, 1)]);
    // A meter that hangs elsewhere takes its contracts with it, also in what is kept.
    desk.taken(&points(2, &[(3, "F1")]));
    let moved =
        [at("F1", 8_000, 1_500, 3), at("F2", 0, 0, 0), at("F1", 0, 700, 1), at("F2", 0, 0, 0)];
    assert_eq!(lines(&desk, &filter(0)), moved);
    let desk = desk.restart();
    assert_eq!(lines(&desk, &filter(0)), moved);
    let all = ScheduleFilter { zone: None, ..filter(0) };
    let everywhere: u64 = lines(&desk, &all).iter().map(|line| line.1).sum();
    assert_eq!(everywhere, 8_000 + 700, "meter 4 has no place, and is seen nevertheless");
    let other = ScheduleFilter { utility: UtilityId::new(2), zone: None, ..filter(0) };
    let elsewhere: u64 = lines(&desk, &other).iter().map(|line| line.2).sum();
    assert_eq!(elsewhere, 8_000, "meter 7 buys at the other utility");
}

fn limit(revision: u32, feeder: Option<&str>, wh: u64) -> GridLimit {
    GridLimit {
        zone: name("NORTH"),
        feeder: feeder.map(name),
        side: Side::Sell,
        slot: slot(0),
        limit: Energy::from_wh(wh),
        revision,
    }
}

#[test]
fn the_lowest_limit_of_feeder_and_zone_is_shown() {
    let (mut desk, _) = desk();
    desk.taken(&sealed(UTILITY, &limit(1, None, 9_000).to_body()));
    desk.taken(&sealed(UTILITY, &limit(1, Some("F1"), 3_000).to_body()));
    let limits = |desk: &Desk| {
        let lines = desk.pipeline.schedule(&filter(0)).unwrap().lines;
        let left = |line: &ScheduleLine| {
            let limit = line.injection_limit.unwrap();
            (limit.limit.wh(), limit.headroom.wh())
        };
        lines.iter().map(left).collect::<Vec<_>>()
    };
    // The zone has a line of its own; 12 kWh are sold in it, 6 kWh on each feeder.
    assert_eq!(limits(&desk), [(9_000, 0), (3_000, 0), (9_000, 0)]);
    let other = sealed(UTILITY, &limit(1, None, 8_000).to_body());
    assert_eq!(desk.refused(&other), DocumentReject::Equivocation);
    desk.taken(&sealed(UTILITY, &limit(2, None, 2_000).to_body()));
    assert_eq!(limits(&desk), [(2_000, 0); 3]);
    desk.taken(&sealed(UTILITY, &limit(3, None, 20_000).to_body()));
    desk.taken(&sealed(UTILITY, &limit(2, Some("F1"), 7_000).to_body()));
    assert_eq!(limits(&desk), [(20_000, 8_000), (7_000, 1_000), (20_000, 8_000)]);
    let nowhere = GridLimit { zone: name("SOUTH"), ..limit(1, None, 1) };
    assert_eq!(desk.refused(&sealed(UTILITY, &nowhere.to_body())), DocumentReject::UnknownZone);
    let retailer = Party { role: Role::Retailer, number: 1 };
    let by_retailer = sealed(retailer, &limit(4, None, 1).to_body());
    assert_eq!(desk.refused(&by_retailer), DocumentReject::WrongSigner);
}

fn zone(revision: u32, feeder: Option<&str>, cap: u64) -> ZoneCurtailment {
    ZoneCurtailment {
        zone: name("NORTH"),
        feeder: feeder.map(name),
        side: Side::Sell,
        slot: slot(0),
        cap: Energy::from_wh(cap),
        reason: CurtailmentReason::Outage,
        revision,
    }
}

#[test]
fn s26_a_zone_is_curtailed_pro_rata_and_both_sides_are_told() {
    let (mut desk, _) = desk();
    desk.taken(&sealed(UTILITY, &zone(1, None, 6_000).to_body()));
    let party = |role, number| Party { role, number };
    let told = |desk: &Desk, party| -> Vec<(u64, u64)> {
        let notices = desk.pipeline.notices(party, 0).unwrap();
        notices.iter().map(|one| (one.contract.get(), one.allowed.wh())).collect()
    };
    let all = [(1, 2_000), (2, 1_000), (3, 3_000)];
    for who in [
        party(Role::Retailer, 1),
        party(Role::Retailer, 2),
        party(Role::Platform, 1),
        party(Role::Platform, 2),
        party(Role::Operator, 1),
    ] {
        assert_eq!(told(&desk, who), all, "{who}");
    }
    assert!(told(&desk, party(Role::Retailer, 3)).is_empty());
    let operator = party(Role::Operator, 1);
    let second = desk.pipeline.notices(operator, 0).unwrap()[1].number;
    assert_eq!(desk.pipeline.notices(operator, second).unwrap().len(), 1);
    // Half of everything was possible: meter 1 moved just that, meter 2 less, meter 3 all.
    desk.taken(&file(1, 0, &[(1, 2_000, 0), (2, 500, 0), (3, 6_000, 0)]));
    desk.taken(&file(1, 0, &[(7, 0, 12_000)]));
    desk.pipeline.verify(later()).unwrap();
    let outcome = |desk: &Desk, trade| {
        let record = desk.pipeline.outcome_of(types::TradeId::new(trade)).unwrap().unwrap();
        (record.outcome.state, record.outcome.shortfall.wh(), record.outcome.excused.wh())
    };
    assert_eq!(outcome(&desk, 1), (State::PartialCurtailed, 0, 2_000));
    assert_eq!(outcome(&desk, 2), (State::PartialCurtailed, 500, 1_000));
    assert_eq!(outcome(&desk, 3), (State::Complete, 0, 0));
    // A revision replaces the shares: now only a quarter was possible.
    desk.taken(&sealed(UTILITY, &zone(2, None, 3_000).to_body()));
    desk.pipeline.verify(later()).unwrap();
    assert_eq!(outcome(&desk, 2), (State::PartialCurtailed, 0, 1_500));
    // A lower cap of the meter itself counts where it is lower.
    desk.taken(&curtailment(1, 0, 1, 100));
    desk.pipeline.verify(later()).unwrap();
    assert_eq!(outcome(&desk, 1), (State::PartialCurtailed, 0, 2_000));
    assert_eq!(told(&desk, party(Role::Operator, 1)).last(), Some(&(1, 100)));
    desk.check();
}

#[test]
fn curtailments_of_others_and_of_nowhere_are_refused_and_change_nothing() {
    use DocumentReject as Why;
    let (mut desk, _) = desk();
    let before = desk.dump();
    let other = Party { role: Role::Utility, number: 2 };
    let retailer = Party { role: Role::Retailer, number: 1 };
    let body = zone(1, Some("F1"), 100).to_body();
    assert_eq!(desk.refused(&sealed(other, &body)), Why::UnknownZone);
    assert_eq!(desk.refused(&sealed(retailer, &body)), Why::WrongSigner);
    let nowhere = zone(1, Some("F9"), 100).to_body();
    assert_eq!(desk.refused(&sealed(UTILITY, &nowhere)), Why::UnknownZone);
    let short = DeliverySlot::new(FIRST_SLOT, 15).unwrap();
    let short = ZoneCurtailment { slot: short, ..zone(1, None, 100) };
    assert_eq!(desk.refused(&sealed(UTILITY, &short.to_body())), Why::Misaligned);
    assert_eq!(desk.dump(), before);
    desk.taken(&sealed(UTILITY, &body));
    let lie = zone(1, Some("F1"), 101).to_body();
    assert_eq!(desk.refused(&sealed(UTILITY, &lie)), Why::Equivocation);
}
