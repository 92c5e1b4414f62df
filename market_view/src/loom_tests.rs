//! Every execution of small cases, under the memory model of the language:
//! `RUSTFLAGS="--cfg loom" cargo test --release market_view`.
//!
//! Each case counts what its readers met, so that one in which nothing happens at the same time
//! cannot pass. A reader makes one attempt here; a second is like a second call.
//!
//! What the checker cannot do does not matter here: it knows no load buffering, but nobody both loads
//! and stores; it reorders a store with the last access to its word only, which would hide what
//! readers loaded before if the writer loaded a word before storing it.
#![cfg(loom)]

use std::sync::atomic::{AtomicU64, Ordering};

use loom::thread;
use types::{DeliverySlot, Energy, MarketId, Phase, Price, Seq, SlotKey, Timestamp};

use super::{
    seqlock::{Cells, Words},
    table::{KeyWord, Table, TableWriter, home},
    *,
};

/// How often each thing was met, over all executions of a case. Not part of the model.
struct Met<const N: usize>([AtomicU64; N]);

impl<const N: usize> Met<N> {
    fn add(&self, what: usize) {
        self.0[what].fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs a case until every execution was seen, or every one in which threads are interrupted at most
/// `preemptions_max` times. Whatever it may meet has to be met.
fn explore<const N: usize>(
    name: &str,
    names: [&str; N],
    preemptions_max: Option<usize>,
    case: impl Fn(&Met<N>) + Sync + Send + 'static,
) {
    let met = Arc::new((Met(std::array::from_fn(|_| AtomicU64::new(0))), AtomicU64::new(0)));
    let inside = Arc::clone(&met);
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions_max;
    model.check(move || {
        inside.1.fetch_add(1, Ordering::Relaxed);
        case(&inside.0);
    });
    let counts = met.0.0.each_ref().map(|count| count.load(Ordering::Relaxed));
    let all: Vec<_> =
        names.iter().zip(counts).map(|(name, count)| format!("{name} {count}")).collect();
    println!("{name}: {} executions; {}", met.1.load(Ordering::Relaxed), all.join(", "));
    for (name, count) in names.iter().zip(counts) {
        assert!(count > 0, "never met: {name}");
    }
}

fn version(number: u64) -> Version {
    Version::new(2 * number)
}

fn pair(words: &mut Words<'_>) -> [u64; 2] {
    [words.next(), words.next()]
}

fn at(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

fn key(number: u32) -> SlotKey {
    let slot = DeliverySlot::new(29_000_000 + 15 * number, 15).unwrap();
    SlotKey { market: MarketId::new(1), slot }
}

/// Two keys whose search begins at the same of two cells.
fn two_of_one_home() -> [KeyWord; 2] {
    let first = KeyWord::new(key(0));
    let mut others = (1..).map(|number| KeyWord::new(key(number)));
    [first, others.find(|other| home(other.0, 2) == home(first.0, 2)).unwrap()]
}

/// Writes one cell of two words as often as wanted: n and 10 n under version n.
fn write_pairs(cells: &Cells, numbers: std::ops::RangeInclusive<u64>) {
    let mut known = [0; 2];
    for number in numbers {
        cells.get(0).write(version(number), &mut known, &[number, 10 * number]);
    }
}

/// Reads it: the number, or `None` when overtaken.
fn read_pair(cells: &Cells) -> Option<u64> {
    let (now, [number, tenfold]) = cells.get(0).read(pair).ok()?;
    assert_eq!((version(number), 10 * number), (now, tenfold), "torn");
    Some(number)
}

#[test]
fn a_copy_is_of_one_publication() {
    let names = ["before", "first", "second", "overtaken"];
    explore("two publications, a copy", names, None, |met| {
        let cells = Arc::new(Cells::new(1, 2));
        let shared = Arc::clone(&cells);
        let writer = thread::spawn(move || write_pairs(&shared, 1..=2));
        met.add(read_pair(&cells).map_or(3, at));
        writer.join().unwrap();
        assert_eq!(read_pair(&cells), Some(2), "lost");
    });
}

#[test]
fn versions_never_go_back() {
    explore("a publication, two copies", ["before", "after", "overtaken"], None, |met| {
        let cells = Arc::new(Cells::new(1, 2));
        let shared = Arc::clone(&cells);
        let writer = thread::spawn(move || write_pairs(&shared, 1..=1));
        let (first, second) = (read_pair(&cells), read_pair(&cells));
        assert!(second.is_none() || first <= second, "back in time");
        met.add(first.map_or(2, at));
        met.add(second.map_or(2, at));
        writer.join().unwrap();
    });
}

#[test]
fn readers_do_not_disturb_each_other() {
    explore("a publication, two readers", ["before", "after", "overtaken"], Some(3), |met| {
        let cells = Arc::new(Cells::new(1, 2));
        let shared = Arc::clone(&cells);
        let writer = thread::spawn(move || write_pairs(&shared, 1..=1));
        let shared = Arc::clone(&cells);
        let other = thread::spawn(move || read_pair(&shared));
        met.add(read_pair(&cells).map_or(2, at));
        met.add(other.join().unwrap().map_or(2, at));
        writer.join().unwrap();
    });
}

/// A table of slots that have one word besides their key.
fn table(slots: usize) -> (TableWriter, Arc<Table>) {
    (TableWriter::new(slots, 2), Arc::new(Table::new(slots, 2)))
}

/// Reads a slot whose word is the number of its version.
fn read_slot(table: &Table, key: KeyWord) -> Result<Option<u64>, Overtaken> {
    let found = table.read(key, |words| words.next())?;
    let Some((now, number)) = found else { return Ok(None) };
    assert_eq!(now, version(number), "mixed");
    Ok(Some(number))
}

/// Publishes, retires and gives the cell to another slot.
#[test]
fn a_reused_cell_is_never_of_two_slots() {
    let names = ["old", "new", "neither", "overtaken"];
    explore("one cell, two slots", names, None, |met| {
        let (old, new) = (KeyWord::new(key(1)), KeyWord::new(key(2)));
        let (mut writer, table) = table(1);
        writer.publish(&table, version(1), &[old.0, 1]).unwrap();
        let shared = Arc::clone(&table);
        let writer = thread::spawn(move || {
            assert!(writer.retire(&shared, old));
            writer.publish(&shared, version(3), &[new.0, 3]).unwrap();
        });
        let found = read_slot(&table, new);
        met.add(match found {
            Ok(Some(number)) => {
                assert_eq!(number, 3, "mixed");
                1
            }
            Ok(None) => 2,
            Err(Overtaken) => 3,
        });
        met.add(match read_slot(&table, old) {
            Ok(Some(number)) => {
                assert_eq!(number, 1, "mixed");
                assert_ne!(found, Ok(Some(3)), "back in time");
                0
            }
            Ok(None) => 2,
            Err(Overtaken) => 3,
        });
        writer.join().unwrap();
        assert_eq!(read_slot(&table, old), Ok(None));
        assert_eq!(read_slot(&table, new), Ok(Some(3)));
    });
}

/// The slot leaves the second cell and comes back in the first, where the search begins.
#[test]
fn a_slot_that_moves_never_goes_back() {
    let names = ["first", "second", "gone", "overtaken"];
    explore("two cells, one slot moves", names, None, |met| {
        let [moving, other] = two_of_one_home();
        let (mut writer, table) = table(2);
        writer.publish(&table, version(1), &[other.0, 1]).unwrap();
        writer.publish(&table, version(2), &[moving.0, 2]).unwrap();
        assert!(writer.retire(&table, other));
        let shared = Arc::clone(&table);
        let writer = thread::spawn(move || {
            assert!(writer.retire(&shared, moving));
            writer.publish(&shared, version(5), &[moving.0, 5]).unwrap();
        });
        let mut last = None;
        for _ in 0..2 {
            met.add(match read_slot(&table, moving) {
                Ok(Some(number)) => {
                    assert!(last <= Some(number), "back in time");
                    last = Some(number);
                    usize::from(number == 5)
                }
                Ok(None) => {
                    assert_ne!(last, Some(5), "lost");
                    2
                }
                Err(Overtaken) => 3,
            });
        }
        writer.join().unwrap();
        assert_eq!(read_slot(&table, moving), Ok(Some(5)));
    });
}

#[test]
fn a_key_that_is_listed_can_be_read() {
    explore("keys, then a copy", ["listed", "not listed"], None, |met| {
        let (mut writer, table) = table(1);
        let shared = Arc::clone(&table);
        let writer = thread::spawn(move || {
            writer.publish(&shared, version(1), &[KeyWord::new(key(1)).0, 1]).unwrap();
        });
        if let Some(listed) = table.keys().next() {
            assert_eq!(listed, key(1));
            let read = read_slot(&table, KeyWord::new(listed));
            assert_eq!(read, Ok(Some(1)), "listed too early");
            met.add(0);
        } else {
            met.add(1);
        }
        writer.join().unwrap();
    });
}

/// A book of one level a side, in which few words depend on `number`.
fn book(number: u64) -> BookView {
    let level =
        |wh| ViewLevel { price: Price::from_micros(7), quantity: Energy::from_wh(wh), orders: 1 };
    BookView {
        seq: Seq::new(number),
        time: Timestamp::from_ns(number.cast_signed()),
        phase: Phase::Continuous,
        buy: vec![level(100)],
        sell: vec![level(number)],
        ..BookView::with_depth(1)
    }
}

#[test]
fn whole_books_are_of_one_publication() {
    explore("two books of one slot", ["first", "second", "overtaken"], None, |met| {
        let (mut writer, reader) = MarketView::new(1, 1);
        let first = writer.publish(key(1), &book(1)).unwrap();
        let writer = thread::spawn(move || writer.publish(key(1), &book(2)).unwrap());
        match reader.book(key(1)) {
            Ok(found) => {
                let (now, found) = found.expect("never retired");
                let number = found.seq.get();
                assert_eq!(found, book(number), "torn");
                assert_eq!(number == 1, now == first);
                met.add(at(number - 1));
            }
            Err(Overtaken) => met.add(2),
        }
        let second = writer.join().unwrap();
        assert_eq!(reader.book(key(1)), Ok(Some((second, book(2)))));
    });
}

#[test]
fn what_changed_is_found_by_the_next_read() {
    explore("changed, then a copy", ["changed", "unchanged", "overtaken"], None, |met| {
        let (mut writer, reader) = MarketView::new(1, 1);
        let first = writer.publish(key(1), &book(1)).unwrap();
        let writer = thread::spawn(move || writer.publish(key(1), &book(2)).unwrap());
        if reader.changed_since(key(1), first) {
            match reader.best(key(1)) {
                Ok(found) => {
                    let (now, best) = found.expect("never retired");
                    assert!(now > first, "a change that is not there");
                    assert_eq!(best.seq, Seq::new(2), "torn");
                    met.add(0);
                }
                Err(Overtaken) => met.add(2),
            }
        } else {
            met.add(1);
        }
        let second = writer.join().unwrap();
        assert!(reader.changed_since(key(1), first));
        assert!(!reader.changed_since(key(1), second));
    });
}

#[test]
fn what_latest_announces_is_found() {
    explore("latest, then a copy", ["announced", "not yet", "overtaken"], None, |met| {
        let (mut writer, reader) = MarketView::new(1, 1);
        let writer = thread::spawn(move || {
            writer.publish(key(1), &book(1)).unwrap();
        });
        let latest = reader.latest();
        met.add(match reader.best(key(1)) {
            Ok(Some((now, _))) => {
                assert_eq!(now, version(1));
                usize::from(latest == Version::NONE)
            }
            Ok(None) => {
                assert_eq!(latest, Version::NONE, "still to come");
                1
            }
            Err(Overtaken) => {
                assert_eq!(latest, Version::NONE, "still to come");
                2
            }
        });
        writer.join().unwrap();
    });
}

#[test]
fn what_latest_announces_as_retired_is_gone() {
    explore("latest, then keys", ["announced", "not yet"], None, |met| {
        let (mut writer, reader) = MarketView::new(1, 1);
        let first = writer.publish(key(1), &book(1)).unwrap();
        let writer = thread::spawn(move || assert!(writer.retire(key(1))));
        if reader.latest() > first {
            assert_eq!(reader.keys(), []);
            assert_eq!(reader.best(key(1)), Ok(None));
            assert!(reader.changed_since(key(1), first));
            met.add(0);
        } else {
            met.add(1);
        }
        writer.join().unwrap();
    });
}

#[test]
fn counters_are_of_one_moment() {
    explore("counters", ["before", "after", "overtaken"], None, |met| {
        let (mut writer, reader) = MarketView::new(1, 1);
        let counters = Counters { commands: 3, accepted: 2, rejected: 1, ..Counters::default() };
        let writer = thread::spawn(move || writer.count(counters));
        match reader.counters() {
            Ok(found) if found == counters => met.add(1),
            Ok(found) => {
                assert_eq!(found, Counters::default(), "torn");
                met.add(0);
            }
            Err(Overtaken) => met.add(2),
        }
        writer.join().unwrap();
        assert_eq!(reader.counters(), Ok(counters));
    });
}
