//! The store is locked, full or read-only, clocks are wrong, and everything comes twice, in disorder and
//! with restarts: an error is a value, and the books end as those of a clean run.

use std::cell::{Cell, RefCell};

use rusqlite::{Connection, ErrorCode};
use types::{MeterId, Money, Timestamp};

use super::fixture::{Desk, Feed, file, later, slot};
use crate::{
    DocumentReject, SettlementError,
    store::database::{DatabaseError, LOCKED_MAX},
};

/// How long the lock is held, by the clock of [`wait`].
const LOCKED_MS: u64 = 60_000;

/// What a round of waiting takes, by that clock.
const ROUND_MS: u64 = 100;

thread_local! {
    static WAITED_MS: Cell<u64> = const { Cell::new(0) };
    static OTHER: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// Waits a round for a lock, on a clock of its own. After a minute the other lets it go.
fn wait(_: i32) -> bool {
    WAITED_MS.set(WAITED_MS.get() + ROUND_MS);
    if WAITED_MS.get() >= LOCKED_MS {
        OTHER.take();
    }
    u128::from(WAITED_MS.get()) < LOCKED_MAX.as_millis()
}

/// What must be the same to the byte.
fn books(desk: &Desk) -> String {
    let tables = ["accounts ", "contracts ", "debts ", "leaves ", "readings ", "transfers "];
    let dump = desk.dump();
    let lines = dump.lines().filter(|line| tables.iter().any(|table| line.starts_with(table)));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The work of a day in parts, each of which may be done again.
fn part(desk: &mut Desk, number: u32) -> Result<(), SettlementError> {
    let mut feed = Feed::new();
    for round in 0..50 {
        feed.trade(0, (1 + round % 4, 5 + round % 3), 100 + u64::from(round), 5_000_000);
    }
    let pipeline = &mut desk.pipeline;
    match number {
        0 => pipeline.capture(feed.end(), &feed.items).map(drop),
        1 => pipeline.deposit(1, MeterId::new(5), Money::from_minor(900)).map(drop),
        2 => {
            let own = [1, 2, 3, 4].map(|meter| (meter, 1_500, 0));
            pipeline.ingest(later(), &file(1, 0, &own)).map(drop)
        }
        3 => {
            let own = [5, 6, 7].map(|meter| (meter, 0, 2_000));
            pipeline.ingest(later(), &file(1, 0, &own)).map(drop)
        }
        _ => pipeline.verify(later()).map(drop),
    }
}

const PARTS: u32 = 5;

fn clean() -> Desk {
    let mut desk = Desk::new();
    for number in 0..PARTS {
        part(&mut desk, number).unwrap();
    }
    desk.check();
    desk
}

fn other(desk: &Desk) -> Connection {
    Connection::open(desk.folder.path().join("settlement.db")).unwrap()
}

fn code(error: &SettlementError) -> Option<ErrorCode> {
    let SettlementError::Store { source, .. } = error else { return None };
    let DatabaseError::Sqlite(source) = source else { return None };
    source.sqlite_error_code()
}

#[test]
fn a_store_that_is_locked_for_a_minute_is_waited_for() {
    let expected = books(&clean());
    let mut desk = Desk::new();
    for number in 0..PARTS {
        let holder = other(&desk);
        holder.execute_batch("BEGIN IMMEDIATE").unwrap();
        OTHER.replace(Some(holder));
        WAITED_MS.set(0);
        desk.pipeline.connection_mut().sqlite_mut().busy_handler(Some(wait)).unwrap();
        part(&mut desk, number).unwrap();
        assert_eq!(WAITED_MS.get(), LOCKED_MS, "part {number}");
    }
    assert_eq!(books(&desk), expected);
    desk.check();
}

#[test]
fn a_store_that_stays_locked_is_an_error_and_later_goes_on() {
    let expected = books(&clean());
    let mut desk = Desk::new();
    for number in 0..PARTS {
        let before = books(&desk);
        let holder = other(&desk);
        holder.execute_batch("BEGIN IMMEDIATE").unwrap();
        desk.pipeline.connection_mut().sqlite_mut().busy_handler(Some(|_| false)).unwrap();
        let error = part(&mut desk, number).unwrap_err();
        assert_eq!(code(&error), Some(ErrorCode::DatabaseBusy), "{error}");
        assert_eq!(books(&desk), before);
        drop(holder);
        part(&mut desk, number).unwrap();
    }
    assert_eq!(books(&desk), expected);
    desk.check();
}

/// Does every part once while the store refuses, and again when it does not.
fn refusing(refuse: &str, allow: &str, expected_code: ErrorCode) -> u32 {
    let expected = books(&clean());
    let mut desk = Desk::new();
    let mut refused = 0;
    for number in 0..PARTS {
        let before = books(&desk);
        desk.pipeline.connection().execute_batch(refuse).unwrap();
        let Err(error) = part(&mut desk, number) else {
            desk.pipeline.connection().execute_batch(allow).unwrap();
            continue;
        };
        refused += 1;
        assert_eq!(code(&error), Some(expected_code), "{error}");
        if matches!(error, SettlementError::Store { doing: "commit", .. }) {
            // What is durable is unknown then: the pipeline does nothing more until it is opened again.
            assert!(matches!(part(&mut desk, number), Err(SettlementError::Stopped)));
            desk = desk.restart();
        } else {
            desk.pipeline.connection().execute_batch(allow).unwrap();
        }
        assert_eq!(books(&desk), before, "part {number}");
        part(&mut desk, number).unwrap();
    }
    assert_eq!(books(&desk), expected);
    desk.check();
    refused
}

#[test]
fn a_full_store_is_an_error_and_later_goes_on() {
    // Pages cannot be fewer than there are: nothing finds room that needs a new one.
    let (full, empty) = ("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000");
    assert!(refusing(full, empty, ErrorCode::DiskFull) > 0);
}

#[test]
fn a_read_only_store_is_an_error_and_later_goes_on() {
    let (on, off) = ("PRAGMA query_only = ON", "PRAGMA query_only = OFF");
    assert_eq!(refusing(on, off, ErrorCode::ReadOnly), PARTS);
}

#[test]
fn clocks_two_hours_off_end_with_the_same_books() {
    const HOURS_NS: i64 = 2 * 3_600_000_000_000;
    let run = |off: i64| {
        let mut feed = Feed::new();
        feed.trade(0, (1, 7), 5_000, 5_000_000);
        let mut desk = Desk::new();
        desk.deposit_all(3_000);
        desk.pipeline.capture(feed.end(), &feed.items).unwrap();
        let documents = [file(1, 0, &[(1, 4_400, 0)]), file(1, 0, &[(7, 0, 5_200)])];
        let end = slot(0).end();
        let mut turn = |at: Timestamp| {
            let now = at.plus_ns(off);
            let answers: Vec<_> = documents
                .iter()
                .map(|document| desk.pipeline.ingest(now, document).unwrap().result)
                .collect();
            desk.pipeline.verify(now).unwrap();
            answers
        };
        let first = turn(end);
        // The sender sends again what was refused.
        let second = turn(end.plus_ns(HOURS_NS));
        desk.check();
        (first, second, books(&desk))
    };
    let (first, _, expected) = run(0);
    assert_eq!(first, [Ok(()), Ok(())]);
    let (first, second, ahead) = run(HOURS_NS);
    assert_eq!((first, second, &ahead), (vec![Ok(()); 2], vec![Ok(()); 2], &expected));
    let (first, second, behind) = run(-HOURS_NS);
    assert_eq!(first, [Err(DocumentReject::Future); 2]);
    assert_eq!((second, behind), (vec![Ok(()); 2], expected));
}

/// Trades of the long history.
const TRADES: u64 = 5_000;

/// After so many trades the pipeline is closed and opened.
const RESTART_EVERY: usize = 1_000;

#[test]
fn duplicates_disorder_and_restarts_end_with_the_same_bytes() {
    let mut feed = Feed::new();
    let start = feed.items.len();
    for round in 0..TRADES {
        let pick = |of: u64| u32::try_from(round * of % 4).unwrap();
        feed.trade(
            u32::try_from(round % 8).unwrap(),
            (1 + pick(3), 5 + pick(5)),
            50 + round % 70,
            4_500_000,
        );
    }
    let run = |is_rough: bool| {
        let mut desk = Desk::new();
        desk.deposit_all(40_000);
        for batch in feed.items[start..].chunks(RESTART_EVERY) {
            let through = batch.last().unwrap().seq;
            let mut items = batch.to_vec();
            if is_rough {
                // Every tenth comes again at the end, with some of the batches before, and every tenth
                // comes before the one in front of it.
                let again: Vec<_> = items.iter().step_by(10).copied().collect();
                for at in (10..items.len()).step_by(10) {
                    items.swap(at - 1, at);
                }
                items.extend(again);
                let known = feed.items.iter().filter(|item| item.seq < batch[0].seq);
                items.extend(known.step_by(10));
            }
            desk.pipeline.capture(through, &items).unwrap();
            if is_rough {
                desk = desk.restart();
            }
        }
        for number in 0..8 {
            for own in [[1, 2, 3, 4].map(|m| (m, 19_000, 0)), [5, 6, 7, 8].map(|m| (m, 0, 18_500))]
            {
                let document = file(1, number, &own);
                desk.taken(&document);
                if is_rough {
                    assert!(desk.ingest(&document).repeated);
                    desk = desk.restart();
                }
            }
        }
        desk.pipeline.verify(later()).unwrap();
        desk.check();
        (books(&desk), desk.pipeline.ledger_head())
    };
    let (clean, rough) = (run(false), run(true));
    assert_eq!(clean.1, rough.1);
    assert!(clean.0 == rough.0, "other books");
}
