//! Changes of trades that the feed tells: books, schedules, notices, and the chain of versions.

use types::{Energy, Party, Role, Side, Timestamp, TradeId};

use super::fixture::{Desk, Feed, file, later, settings, slot};
use crate::{
    Amendment, Answer, NoticeKind, Policy, State,
    policy::Fraction,
    store::ledger,
    tlog::{
        hash_leaf,
        leaf::{AMENDMENT_BYTES, AMENDMENT_MOVED_BYTES, KIND_AMENDMENT, VERSION, VERSION_MOVED},
    },
};

/// Everyone has money, and meter 1 sold meter 7 5 kWh at 5.00 in the first slot.
fn desk() -> (Desk, Feed) {
    let mut desk = Desk::new();
    desk.deposit_all(10_000);
    let mut feed = Feed::new();
    feed.trade(0, (1, 7), 5_000, 5_000_000);
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    (desk, feed)
}

/// The contract as it stands: start, Wh, state, version, held, and its newest leaf.
fn contract(desk: &Desk) -> (u32, i64, u8, u32, i64, u64) {
    let read = "SELECT start_minute, energy, state, version, escrowed, newest_leaf FROM contracts
                WHERE trade = 1";
    let connection = desk.pipeline.connection();
    connection
        .query_row(read, [], |row| {
            let leaf: i64 = row.get(5)?;
            let place = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok((place, (row.get(3)?, row.get(4)?), u64::try_from(leaf).unwrap()))
        })
        .map(|((start, wh, state), (version, held), leaf)| (start, wh, state, version, held, leaf))
        .unwrap()
}

/// What a party was told: kind, Wh.
fn told(desk: &Desk, role: Role, number: u16) -> Vec<(NoticeKind, u64)> {
    let notices = desk.pipeline.notices(Party { role, number }, 0).unwrap();
    notices.iter().map(|one| (one.kind, one.allowed.wh())).collect()
}

/// Rows of the schedule that are not empty: start, injection and withdrawal.
fn scheduled(desk: &Desk) -> Vec<(u32, i64, i64, i64)> {
    let read = "SELECT start_minute, sum(injection), sum(withdrawal), sum(contracts) FROM schedule
                WHERE contracts > 0 GROUP BY start_minute ORDER BY start_minute";
    let mut select = desk.pipeline.connection().prepare_cached(read).unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

#[test]
fn s48_a_change_fits_the_hold_and_a_move_takes_the_schedule_along() {
    let (mut desk, mut feed) = desk();
    let (first, second) = (slot(0).start_minute(), slot(1).start_minute());
    assert_eq!(contract(&desk).4, 2_500);
    assert_eq!(scheduled(&desk), [(first, 5_000, 5_000, 2)]);
    feed.amend((1, 1), (0, 5_000), (0, 3_000));
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    let (start, wh, _, version, held, small) = contract(&desk);
    assert_eq!((start, wh, version, held), (first, 3_000, 2, 1_500));
    assert_eq!(scheduled(&desk), [(first, 3_000, 3_000, 2)]);
    feed.amend((1, 2), (0, 3_000), (1, 4_000));
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    let (start, wh, _, version, held, moved) = contract(&desk);
    assert_eq!((start, wh, version, held), (second, 4_000, 3, 2_000));
    assert_eq!(scheduled(&desk), [(second, 4_000, 4_000, 2)]);

    // Each leaf hashes the one before it; only that of a move says when.
    let leaf = |at| ledger::leaf(desk.pipeline.connection(), at).unwrap().unwrap();
    let (small_leaf, moved_leaf) = (leaf(small), leaf(moved));
    assert_eq!(
        (&small_leaf[..2], small_leaf.len()),
        (&[KIND_AMENDMENT, VERSION][..], AMENDMENT_BYTES)
    );
    let expected = (&[KIND_AMENDMENT, VERSION_MOVED][..], AMENDMENT_MOVED_BYTES);
    assert_eq!((&moved_leaf[..2], moved_leaf.len()), expected);
    assert_eq!(moved_leaf[14..22], small.to_le_bytes());
    assert_eq!(&moved_leaf[22..54], hash_leaf(&small_leaf).as_bytes());
    assert_eq!(moved_leaf[72..76], second.to_le_bytes());

    let all = [(NoticeKind::Amended(2), 3_000), (NoticeKind::Amended(3), 4_000)];
    for role in [Role::Platform, Role::Retailer, Role::Utility] {
        assert_eq!([told(&desk, role, 1), told(&desk, role, 2)], [all, all], "{role:?}");
    }
    // Once more, all of it: nothing.
    let before = desk.dump();
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    let mut desk = desk.restart();
    assert_eq!(desk.dump(), before);

    // It is verified by what was delivered in its new slot.
    desk.taken(&file(1, 1, &[(1, 4_000, 0)]));
    desk.taken(&file(1, 1, &[(7, 0, 4_000)]));
    desk.pipeline.verify(later()).unwrap();
    let outcome = desk.pipeline.outcome_of(TradeId::new(1)).unwrap().unwrap().outcome;
    assert_eq!((outcome.state, outcome.settled.wh()), (State::Complete, 4_000));
    assert!(desk.pipeline.audit().unwrap().is_clean());
    desk.check();
}

#[test]
fn a_cancellation_gives_everything_back_and_costs_the_requester() {
    let (desk, mut feed) = desk();
    let modification_penalty = Fraction::from_ppm(20_000).unwrap();
    let mut desk = desk.with_rules(Policy { modification_penalty, ..settings().policy });
    feed.amend((1, 1), (0, 5_000), (0, 0));
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    let (_, wh, state, version, held, _) = contract(&desk);
    assert_eq!((wh, state, version, held), (0, State::Cancelled.code(), 2, 0));
    assert_eq!(scheduled(&desk), []);
    // 2 % of 25.00 from who asked, the seller or the buyer, to the other.
    let balances = desk.balances();
    let lines: Vec<&str> =
        balances.lines().filter(|line| !line.ends_with("available 10000")).collect();
    assert_eq!(lines, ["meter/1:available 9950", "meter/7:earned 50", "exchange:external -80000"]);
    desk.check();
}

#[test]
fn s51_a_bust_gives_everything_back_and_costs_nobody_anything() {
    let (desk, mut feed) = desk();
    let modification_penalty = Fraction::from_ppm(20_000).unwrap();
    let mut desk = desk.with_rules(Policy { modification_penalty, ..settings().policy });
    feed.bust(1);
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    let (_, wh, state, version, held, _) = contract(&desk);
    assert_eq!((wh, state, version, held), (0, State::CancelledBusted.code(), 1, 0));
    assert_eq!(scheduled(&desk), []);
    for role in [Role::Platform, Role::Retailer, Role::Utility] {
        let all = [(NoticeKind::Busted, 0)];
        assert_eq!([told(&desk, role, 1), told(&desk, role, 2)], [all, all], "{role:?}");
    }
    let before = desk.dump();
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    let mut desk = desk.restart();
    assert_eq!(desk.dump(), before);

    // What was delivered all the same is nobody's contract.
    desk.taken(&file(1, 0, &[(1, 5_000, 0)]));
    desk.taken(&file(1, 0, &[(7, 0, 5_000)]));
    desk.pipeline.verify(later()).unwrap();
    assert_eq!(desk.pipeline.outcome_of(TradeId::new(1)).unwrap(), None);
    let balances = desk.balances();
    let lines: Vec<&str> =
        balances.lines().filter(|line| !line.ends_with("available 10000")).collect();
    assert_eq!(lines, ["exchange:external -80000"]);
    assert!(desk.pipeline.audit().unwrap().is_clean());
    desk.check();
}

#[test]
fn a_bust_of_what_was_cancelled_has_no_effect() {
    let (mut desk, mut feed) = desk();
    feed.amend((1, 1), (0, 5_000), (0, 0));
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    let (before, books) = (contract(&desk), desk.balances());
    feed.bust(1);
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    assert_eq!((contract(&desk), desk.balances()), (before, books));
    let all = [(NoticeKind::Amended(2), 0), (NoticeKind::AmendedInVain, 0)];
    assert_eq!(told(&desk, Role::Retailer, 1), all);
    desk.check();
}

#[test]
fn s50_a_change_of_what_is_over_has_no_effect_and_both_sides_are_told() {
    let (mut desk, mut feed) = desk();
    let request = Amendment {
        contract: TradeId::new(1),
        by: Side::Buy,
        version: 1,
        energy: Energy::ZERO,
        answer: Answer::Accept,
    };
    desk.pipeline.amend(9, &request, Timestamp::from_ns(0)).unwrap();
    let (before, books) = (contract(&desk), desk.balances());
    feed.amend((1, 1), (0, 5_000), (1, 3_000));
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    assert_eq!((contract(&desk), desk.balances()), (before, books));
    assert_eq!(told(&desk, Role::Retailer, 2), [(NoticeKind::AmendedInVain, 3_000)]);
    desk.check();
}

#[test]
fn a_change_of_a_trade_that_was_never_told_stops_the_capture() {
    let mut feed = Feed::new();
    feed.trade(0, (1, 7), 5_000, 5_000_000);
    feed.amend((1, 1), (0, 5_000), (0, 3_000));
    let at = feed.items.len() - 2;
    feed.items.remove(at);
    let mut desk = Desk::empty();
    let error = desk.pipeline.capture(feed.end(), &feed.items).unwrap_err();
    assert!(error.to_string().contains("changes trade 1, which the feed never told of"), "{error}");
}
