//! Readers behind a live writer.

use std::sync::atomic::{AtomicU64, Ordering};

use types::Seq;

use super::{
    SMALL, segments,
    values::{entries, orders},
    write,
};
use crate::{Entry, JournalError, Reader, Writer};

#[test]
fn a_reader_follows_a_live_writer_across_segments() {
    let dir = tempfile::tempdir().unwrap();
    let expected = entries(11, 1, 300);
    let (mut writer, _) = Writer::open(dir.path(), SMALL, &mut |_| {}).unwrap();
    let mut reader = Reader::open(dir.path(), Seq::ZERO).unwrap();
    let durable = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for batch in expected.chunks(5) {
                for entry in batch {
                    writer.append(&entry.command, &entry.events).unwrap();
                }
                durable.store(writer.commit().unwrap().get(), Ordering::Release);
            }
        });
        let mut entry = Entry::default();
        let mut expected = expected.iter();
        while expected.len() > 0 {
            let through = Seq::new(durable.load(Ordering::Acquire));
            while reader.next(through, &mut entry).unwrap() {
                assert_eq!(Some(&entry), expected.next());
            }
            std::thread::yield_now();
        }
    });
    assert!(segments(dir.path()).len() > 5, "the history spans segments");
}

#[test]
fn a_reader_starts_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let expected = orders(1, 100);
    write(dir.path(), SMALL, &expected, 7);
    let mut entry = Entry::default();
    for after in 0..=100 {
        let mut reader = Reader::open(dir.path(), Seq::new(after)).unwrap();
        let found = reader.next(Seq::new(100), &mut entry).unwrap();
        assert_eq!(found, after < 100);
        if found {
            assert_eq!(entry, expected[usize::try_from(after).unwrap()]);
        }
    }
}

#[test]
fn a_reader_does_not_read_earlier_segments() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), SMALL, &orders(1, 100), 7);
    std::fs::remove_file(&segments(dir.path())[0]).unwrap();
    let mut reader = Reader::open(dir.path(), Seq::new(90)).unwrap();
    assert!(reader.next(Seq::new(100), &mut Entry::default()).unwrap());
    let gone = Reader::open(dir.path(), Seq::ZERO).unwrap_err();
    assert!(matches!(gone, JournalError::BeginsLater { .. }), "{gone}");
}

#[test]
fn a_reader_stops_at_the_watermark_inside_a_batch() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), SMALL, &orders(1, 10), 10);
    let mut reader = Reader::open(dir.path(), Seq::ZERO).unwrap();
    let mut entry = Entry::default();
    for seq in 1..=4 {
        assert!(reader.next(Seq::new(4), &mut entry).unwrap());
        assert_eq!(entry.command.seq, Seq::new(seq));
    }
    assert!(!reader.next(Seq::new(4), &mut entry).unwrap());
    assert!(reader.next(Seq::new(5), &mut entry).unwrap());
    assert_eq!(entry.command.seq, Seq::new(5));
}

#[test]
fn a_reader_waits_ahead_of_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = Writer::open(dir.path(), SMALL, &mut |_| {}).unwrap();
    let mut reader = Reader::open(dir.path(), Seq::new(40)).unwrap();
    let mut entry = Entry::default();
    for order in orders(1, 50) {
        writer.append(&order.command, &order.events).unwrap();
        let through = writer.commit().unwrap();
        assert_eq!(reader.next(through, &mut entry).unwrap(), through > Seq::new(40));
    }
    assert_eq!(entry.command.seq, Seq::new(50));
}

#[test]
fn a_wrong_watermark_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), SMALL, &orders(1, 3), 3);
    let mut reader = Reader::open(dir.path(), Seq::new(3)).unwrap();
    let error = reader.next(Seq::new(4), &mut Entry::default()).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
}

#[test]
fn there_is_nothing_to_read_without_segments() {
    let dir = tempfile::tempdir().unwrap();
    let error = Reader::open(dir.path(), Seq::ZERO).unwrap_err();
    assert!(matches!(error, JournalError::NotAJournal { .. }), "{error}");
    let error = Reader::open(&dir.path().join("none"), Seq::ZERO).unwrap_err();
    assert!(matches!(error, JournalError::OpenDirectory { .. }), "{error}");
}
