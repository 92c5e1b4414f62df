//! The same history, delivered cleanly and badly, must end the same.

use types::{Event, MeterId, Money, Seq, TradeId};

use super::fixture::{Desk, Feed, curtailment, file, later, slot};
use crate::{Checkpoint, DepositOutcome, SettlementError, State, outcome::Outcome};

fn feed() -> Feed {
    let mut feed = Feed::new();
    for round in 0..6_u64 {
        for number in 0..3 {
            feed.trade(number, (1, 7), 1_000 + round, 5_000_000);
            feed.trade(number, (2, 7), 500, 4_200_000);
            feed.trade(number, (2, 8), 700 + 10 * round, 3_333_333);
        }
    }
    feed
}

fn documents() -> Vec<Vec<u8>> {
    let mut documents = Vec::new();
    for number in 0..3 {
        documents.push(file(1, number, &[(1, 5_500, 0), (2, 7_001, 3)]));
        documents.push(file(1, number, &[(7, 0, 9_000), (8, 4, 4_000)]));
    }
    documents.push(curtailment(1, 1, 1, 5_600));
    documents
}

#[test]
fn s01_redelivery_reordering_and_restarts_change_nothing() {
    let feed = feed();
    let mut clean = Desk::new();
    clean.deposit_all(3_000);
    clean.pipeline.capture(feed.end(), &feed.items).unwrap();
    for document in documents() {
        clean.taken(&document);
    }
    clean.pipeline.verify(later()).unwrap();
    let expected = clean.pipeline.checkpoint().unwrap();
    clean.check();

    let forward = documents();
    let mut reordered = documents();
    reordered.reverse();
    let rough = roughly(&feed, &forward);
    assert_eq!(rough.1, expected);
    assert_eq!(rough.0.balances(), clean.balances());
    // The ledger has documents in the order in which they came; what follows from them is the same.
    let rough = roughly(&feed, &reordered);
    assert_eq!(rough.1.size, expected.size);
    assert_eq!(rough.0.balances(), clean.balances());
}

/// A history with repetitions, batches in disorder and restarts.
fn roughly(feed: &Feed, documents: &[Vec<u8>]) -> (Desk, Checkpoint) {
    let mut rough = Desk::new();
    rough.deposit_all(3_000);
    rough.deposit_all(3_000);
    for batch in feed.items.chunks(7) {
        let through = batch.last().unwrap().seq;
        let mut shuffled = batch.to_vec();
        shuffled.reverse();
        shuffled.extend_from_slice(batch);
        // Redelivered from the beginning, too.
        shuffled.extend(feed.items.iter().filter(|item| item.seq < through));
        rough.pipeline.capture(through, &shuffled).unwrap();
        rough.pipeline.capture(through, &shuffled).unwrap();
        rough = rough.restart();
        assert!(rough.pipeline.cursor() >= through);
    }
    for document in documents {
        let first = rough.ingest(document);
        let again = rough.ingest(document);
        assert!(!first.repeated && again.repeated);
        assert_eq!((first.accepted, first.result), (again.accepted, again.result));
    }
    rough = rough.restart();
    rough.pipeline.verify(later()).unwrap();
    let again = rough.pipeline.verify(later()).unwrap();
    assert_eq!(again.slots, 0);
    let checkpoint = rough.pipeline.checkpoint().unwrap();
    rough.check();
    (rough, checkpoint)
}

#[test]
fn a_contradicting_feed_is_an_error_and_leaves_nothing() {
    let mut feed = feed();
    let mut desk = Desk::new();
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    let before = desk.pipeline.ledger_head();
    let mut copy = *feed.items.last().unwrap();
    copy.seq = feed.end().next();
    feed.items.push(copy);
    let error = desk.pipeline.capture(copy.seq, &feed.items).unwrap_err();
    assert!(matches!(error, SettlementError::TradeTwice(_)));
    assert_eq!(desk.pipeline.ledger_head(), before);
    assert!(desk.pipeline.cursor() < copy.seq);
    let unknown = {
        let mut other = Feed::new();
        other.trade(0, (1, 99), 1, 1);
        let mut item = *other.items.last().unwrap();
        if let Event::Trade(trade) = &mut item.event {
            trade.trade = TradeId::new(9_999);
        }
        item
    };
    let item = wire::FeedItem { seq: copy.seq, ..unknown };
    let error = desk.pipeline.capture(copy.seq, &[item]).unwrap_err();
    assert!(matches!(error, SettlementError::UnknownMeter { .. }));
    desk.check();
}

fn outcome(desk: &Desk, trade: TradeId) -> Outcome {
    desk.pipeline.outcome_of(trade).unwrap().unwrap().outcome
}

#[test]
fn s17_a_correction_reverses_and_reposts_and_a_reverted_one_restores() {
    let mut feed = Feed::new();
    let trade = feed.trade(0, (1, 7), 5_000, 5_000_000);
    let mut desk = Desk::new();
    desk.deposit_all(2_500);
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    desk.taken(&file(1, 0, &[(1, 5_000, 0)]));
    desk.taken(&file(1, 0, &[(7, 0, 5_000)]));
    desk.pipeline.verify(later()).unwrap();
    let first = desk.balances();
    assert_eq!(outcome(&desk, trade).state, State::Complete);

    desk.taken(&file(2, 0, &[(1, 3_000, 0)]));
    let summary = desk.pipeline.verify(later()).unwrap();
    assert_eq!((summary.changed, summary.corrected), (1, 1));
    let corrected = outcome(&desk, trade);
    assert_eq!((corrected.state, corrected.settled.wh()), (State::Partial, 3_000));
    assert_ne!(desk.balances(), first);
    desk.check();

    desk.taken(&file(3, 0, &[(1, 5_000, 0)]));
    desk.pipeline.verify(later()).unwrap();
    assert_eq!(outcome(&desk, trade).state, State::Complete);
    assert_eq!(desk.balances(), first);
    desk.check();
    let energy: Vec<(u16, bool, i64)> = desk
        .pipeline
        .transfers_of(trade)
        .unwrap()
        .iter()
        .filter(|line| line.leg == 2)
        .map(|line| (line.run, line.is_reversal, line.minor))
        .collect();
    let expected = [
        (1, false, 2_500),
        (2, false, 1_500),
        (2, true, 2_500),
        (3, false, 2_500),
        (3, true, 1_500),
    ];
    assert_eq!(energy, expected);
    assert_eq!(desk.pipeline.outcome_of(trade).unwrap().unwrap().run, 3);
}

#[test]
fn s18_a_refund_in_use_elsewhere_is_not_taken_back() {
    let mut feed = Feed::new();
    let first = feed.trade(0, (1, 7), 5_000, 5_000_000);
    let mut desk = Desk::new();
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    desk.pipeline.deposit(1, MeterId::new(7), Money::from_minor(2_500)).unwrap();
    desk.taken(&file(1, 0, &[(1, 0, 0)]));
    desk.taken(&file(1, 0, &[(7, 0, 5_000)]));
    desk.pipeline.verify(later()).unwrap();
    assert_eq!(outcome(&desk, first).state, State::Failed);
    // The refund becomes the hold of the next contract.
    feed.trade(1, (2, 7), 5_000, 5_000_000);
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    assert!(desk.balances().contains("meter/7:escrow 2500"));
    desk.taken(&file(2, 0, &[(1, 5_000, 0)]));
    desk.pipeline.verify(later()).unwrap();
    let settled = desk.pipeline.outcome_of(first).unwrap().unwrap().settled;
    assert_eq!((settled.energy_paid, settled.energy_owed), (0, 2_500));
    assert!(desk.balances().contains("meter/7:escrow 2500"));
    desk.check();
    desk.taken(&file(3, 0, &[(1, 0, 0)]));
    desk.pipeline.verify(later()).unwrap();
    assert!(desk.balances().contains("meter/7:escrow 2500"));
    assert!(!desk.balances().contains("meter/7:owes"));
    desk.check();
}

#[test]
fn s24_a_late_trade_changes_the_allocation_of_the_earlier_one() {
    let mut feed = Feed::new();
    let first = feed.trade(0, (1, 7), 4_000, 5_000_000);
    let mut desk = Desk::new();
    desk.deposit_all(10_000);
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    desk.taken(&file(1, 0, &[(1, 4_000, 0)]));
    desk.taken(&file(1, 0, &[(7, 0, 4_000), (8, 0, 4_000)]));
    desk.pipeline.verify(later()).unwrap();
    assert_eq!(outcome(&desk, first).settled.wh(), 4_000);
    let second = feed.trade(0, (1, 8), 4_000, 5_000_000);
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    desk.pipeline.verify(later()).unwrap();
    assert_eq!(outcome(&desk, first).settled.wh(), 2_000);
    assert_eq!(outcome(&desk, second).settled.wh(), 2_000);
    desk.check();
}

#[test]
fn s11_nothing_is_verified_before_the_slot_ends_or_without_both_sides() {
    let mut feed = Feed::new();
    let trade = feed.trade(0, (1, 7), 4_000, 5_000_000);
    let mut desk = Desk::new();
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    desk.taken(&file(1, 0, &[(1, 4_000, 0)]));
    let early = desk.pipeline.verify(slot(0).end().plus_ns(-1)).unwrap();
    assert_eq!(early.slots, 0);
    let one_side = desk.pipeline.verify(slot(0).end()).unwrap();
    assert_eq!((one_side.examined, one_side.awaiting, one_side.changed), (1, 1, 0));
    assert_eq!(desk.pipeline.outcome_of(trade).unwrap(), None);
    assert_eq!(desk.pipeline.summary().unwrap().awaiting, 1);
    desk.taken(&file(1, 0, &[(7, 0, 4_000)]));
    let both = desk.pipeline.verify(slot(0).end()).unwrap();
    assert_eq!((both.awaiting, both.changed), (0, 1));
    // Nobody deposited: what is due is written down, not paid.
    assert_eq!(desk.balances(), "meter/1:owed 2000\nmeter/7:owes -2000\n");
    desk.check();
}

#[test]
fn s04_deposits_are_credited_once_and_cover_what_waits() {
    let mut feed = Feed::new();
    feed.trade(0, (1, 7), 4_000, 5_000_000);
    feed.trade(0, (2, 7), 4_000, 5_000_000);
    let mut desk = Desk::new();
    desk.pipeline.capture(Seq::new(feed.end().get()), &feed.items).unwrap();
    let mut deposit = |reference, meter, minor| {
        desk.pipeline.deposit(reference, MeterId::new(meter), Money::from_minor(minor)).unwrap()
    };
    assert_eq!(deposit(1, 7, 2_300), DepositOutcome::Credited);
    assert_eq!(deposit(1, 7, 2_300), DepositOutcome::Exists);
    assert_eq!(deposit(1, 7, 2_301), DepositOutcome::Conflict);
    assert_eq!(deposit(2, 7, 0), DepositOutcome::NotPositive);
    assert_eq!(deposit(2, 99, 1), DepositOutcome::UnknownMeter);
    assert_eq!(deposit(u64::MAX, 7, 1), DepositOutcome::ReferenceOutOfRange);
    assert_eq!(deposit(2, 7, 1_800), DepositOutcome::Credited);
    assert_eq!(
        desk.balances(),
        "meter/7:available 100\nmeter/7:escrow 4000\nexchange:external -4100\n"
    );
    desk.check();
}

#[test]
fn s57_the_retailers_question_has_energy_and_no_prices() {
    let mut feed = Feed::new();
    feed.trade(0, (1, 7), 4_000, 5_000_000);
    feed.trade(5, (1, 8), 1_000, 5_000_000);
    let mut desk = Desk::new();
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    desk.taken(&file(1, 0, &[(1, 3_900, 0)]));
    desk.taken(&file(1, 0, &[(7, 0, 4_000)]));
    desk.pipeline.verify(later()).unwrap();
    let meter = MeterId::new(1);
    let rows = desk.pipeline.p2p_energy(meter, slot(0).start(), slot(6).start()).unwrap();
    let seen: Vec<_> = rows.iter().map(|r| (r.pending.wh(), r.settled.wh(), r.state)).collect();
    assert_eq!(seen, [(0, 3_900, State::Complete), (1_000, 0, State::AwaitingMeterData)]);
    assert_eq!(desk.pipeline.p2p_energy(meter, slot(1).start(), slot(5).start()).unwrap(), []);
}
