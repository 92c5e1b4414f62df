//! A failure at any statement leaves nothing behind: the database is opened again, everything is
//! delivered again, and the books are the same to the byte.

use std::{cell::Cell, path::Path};

use rusqlite::trace::{TraceEvent, TraceEventCodes};
use tempfile::TempDir;
use types::{
    Event, GridLimitSet, GridPlace, MeterId, Party, PlaceNote, PlaceNoted, Role, Side, UtilityId,
};

use super::{
    energy::{UTILITY, codes, sealed},
    fixture::{Desk, FIRST_SLOT, Feed, curtailment, file, later, settings, slot},
    server::{is_of_files, store},
};
use crate::{
    CurtailmentReason, GridLimit, MeterPoint, MeterPoints, Pipeline, PlaceName, SettlementError,
    ZoneCurtailment, store::database::Fault,
};

thread_local! {
    /// Statements until the failure.
    static LEFT: Cell<u32> = const { Cell::new(u32::MAX) };
}

fn count(event: TraceEvent<'_>) {
    if let TraceEvent::Stmt(..) = event {
        LEFT.set(LEFT.get().saturating_sub(1));
    }
}

/// Fails at a statement, counted from 1.
pub(super) fn arm(pipeline: &mut Pipeline, statement: u32) {
    if !is_of_files() {
        return pipeline.connection().fail_at(statement, Fault::Refused);
    }
    LEFT.set(statement);
    let connection = pipeline.connection_mut().sqlite_mut();
    connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(count)).unwrap();
    connection.progress_handler(1, Some(|| LEFT.get() == 0)).unwrap();
}

/// Fails no more.
pub(super) fn disarm() {
    LEFT.set(u32::MAX);
}

pub(super) fn step(pipeline: &mut Pipeline, number: usize) -> Result<(), SettlementError> {
    let name = |text: &str| PlaceName::new(text).unwrap();
    let mut feed = Feed::new();
    feed.trade(0, (1, 7), 5_000, 5_000_000);
    feed.trade(0, (2, 7), 3_000, 4_000_000);
    let point = MeterPoint {
        from_minute: FIRST_SLOT,
        zone: Some(name("N")),
        feeder: Some(name("F")),
        served_by: None,
    };
    let points = [1, 2].map(|meter| (MeterId::new(meter), point));
    let place = MeterPoints { revision: 1, points: points.to_vec() };
    let (zone, feeder, side, slot) = (name("N"), None, Side::Sell, slot(0));
    let (cap, limit) = (types::Energy::from_wh(2_000), types::Energy::from_wh(9_000));
    let reason = CurtailmentReason::Outage;
    let zone_cut = ZoneCurtailment { zone, feeder, side, slot, cap, reason, revision: 1 };
    let grid_limit = GridLimit { zone, feeder, side, slot, limit, revision: 1 };
    let retailer = Party { role: Role::Retailer, number: 1 };
    let deposit = types::Money::from_minor(9_000);
    match number {
        0 => pipeline.capture(feed.end(), &feed.items).map(drop),
        // The second contract moves, the first becomes smaller, and that again has no effect.
        1 => {
            amend(&mut feed);
            pipeline.capture(feed.end(), &feed.items).map(drop)
        }
        2 => pipeline.deposit(1, MeterId::new(7), deposit).map(drop),
        3 => pipeline.ingest(later(), &sealed(UTILITY, &place.to_body())).map(drop),
        4 => pipeline.ingest(later(), &codes(retailer, &[(1, "NMI1")])).map(drop),
        5 => pipeline.ingest(later(), &sealed(UTILITY, &grid_limit.to_body())).map(drop),
        6 => pipeline.ingest(later(), &sealed(UTILITY, &zone_cut.to_body())).map(drop),
        7 => pipeline.ingest(later(), &curtailment(1, 0, 2, 700)).map(drop),
        8 => pipeline.ingest(later(), &file(1, 0, &[(1, 4_000, 0), (2, 500, 0)])).map(drop),
        9 => pipeline.ingest(later(), &file(1, 0, &[(7, 0, 8_000)])).map(drop),
        // A contradiction after readings that were written already.
        10 => pipeline.ingest(later(), &file(1, 0, &[(3, 1, 0), (2, 9, 0)])).map(drop),
        11 => pipeline.verify(later()).map(drop),
        12 => pipeline.ingest(later(), &file(2, 0, &[(1, 4_500, 0)])).map(drop),
        13 => pipeline.verify(later()).map(drop),
        14 => pipeline.enforce(later()).map(drop),
        // The exchange answers; of one limit orders are left that have to go.
        15 => answer(pipeline, &mut feed, true),
        _ => answer(pipeline, &mut feed, false),
    }
}

pub(super) const STEPS: usize = 17;

fn amend(feed: &mut Feed) {
    feed.amend((2, 1), (0, 3_000), (1, 2_500));
    feed.amend((1, 1), (0, 5_000), (0, 4_500));
    feed.amend((1, 1), (0, 5_000), (0, 4_000));
}

/// The feed brings answers to all that waits in the outbox, after what it brought before.
fn answer(pipeline: &mut Pipeline, feed: &mut Feed, is_first: bool) -> Result<(), SettlementError> {
    amend(feed);
    let place = PlaceNote {
        number: 1,
        meter: MeterId::new(1),
        from_minute: FIRST_SLOT,
        revision: 1,
        zone: None,
        feeder: None,
    };
    let utility = UtilityId::new(1);
    let place_of = GridPlace { utility, zone: PlaceName::new("N").unwrap(), feeder: None };
    let mut limit = types::GridLimit {
        number: 3,
        place: place_of,
        side: Side::Sell,
        slot: slot(0),
        limit: types::Energy::from_wh(9_000),
        revision: 1,
    };
    let (cancelled, used) = (0, types::Energy::from_wh(8_000));
    for number in [1, 2] {
        let note = PlaceNote { number, ..place };
        feed.push(Event::PlaceNoted(PlaceNoted { note, cancelled, complete: true }));
    }
    feed.push(Event::GridLimitSet(GridLimitSet { limit, used, cancelled, complete: false }));
    if !is_first {
        limit.number = 4;
        feed.push(Event::GridLimitSet(GridLimitSet { limit, used, cancelled, complete: true }));
    }
    pipeline.capture(feed.end(), &feed.items).map(drop)
}

fn open(folder: &Path) -> Pipeline {
    let (db, ledger) = (folder.join("settlement.db"), folder.join("ledger"));
    let pipeline = Pipeline::open(store(&db), &ledger, settings()).unwrap();
    // The tests kill the program, not the machine.
    if is_of_files() {
        pipeline.connection().execute_batch("PRAGMA synchronous = OFF").unwrap();
    }
    pipeline
}

#[test]
fn a_failure_at_any_statement_and_a_restart_change_nothing() {
    let straight = TempDir::new().unwrap();
    let mut pipeline = open(straight.path());
    let mut after = Vec::new();
    for number in 0..STEPS {
        step(&mut pipeline, number).unwrap();
        after.push(Desk::dump_of(&pipeline));
    }
    let expected = (Desk::dump_of(&pipeline), pipeline.ledger_head());
    drop(pipeline);
    let crooked = TempDir::new().unwrap();
    let mut kills = 0;
    for (number, expected_after) in after.iter().enumerate() {
        for statement in 1_u32.. {
            let mut pipeline = open(crooked.path());
            let before = Desk::dump_of(&pipeline);
            arm(&mut pipeline, statement);
            let outcome = step(&mut pipeline, number);
            disarm();
            if outcome.is_ok() {
                break;
            }
            kills += 1;
            drop(pipeline);
            let pipeline = open(crooked.path());
            let found = Desk::dump_of(&pipeline);
            // A step of two transactions may have finished the first.
            let is_whole = found == before || found == *expected_after;
            assert!(is_whole, "step {number}, statement {statement}: {found}");
        }
    }
    assert!(kills > 150, "{kills}");
    // Everything is delivered once more.
    let mut pipeline = open(crooked.path());
    for number in 0..STEPS {
        step(&mut pipeline, number).unwrap();
    }
    assert!((Desk::dump_of(&pipeline), pipeline.ledger_head()) == expected, "other books");
    assert!(pipeline.audit().unwrap().is_clean());
}
