//! Segments that may go, and journals that begin later than at their beginning.

use std::{fs, num::NonZeroUsize, ops::ControlFlow, path::Path};

use types::{Digest, Seq};

use super::{SMALL, segments, values::orders, write};
use crate::{BatchEnd, Entry, JournalError, Reader, Writer, retain, scan, scan_after, snapshots};

const ENTRIES: u64 = 100;
const ALL: Seq = Seq::new(ENTRIES);
const ONE: NonZeroUsize = NonZeroUsize::MIN;

/// A journal of several segments, each batch end in it, and the first sequence of each segment.
fn journal(dir: &Path) -> (Vec<BatchEnd>, Vec<u64>) {
    write(dir, SMALL, &orders(1, ENTRIES), 7);
    let mut ends = Vec::new();
    scan(dir, &mut |entry, at| {
        ends.extend(at.end_after(entry));
        ControlFlow::Continue(())
    })
    .unwrap();
    let firsts = firsts(dir);
    assert!(firsts.len() > 4, "the history spans segments");
    (ends, firsts)
}

fn firsts(dir: &Path) -> Vec<u64> {
    let name = |path: &std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    segments(dir).iter().map(|path| name(path).parse().unwrap()).collect()
}

fn keep(dir: &Path, end: BatchEnd) {
    snapshots::write(dir, end, Digest::new([9; 32]), b"state").unwrap();
}

/// What a slow reading of the rule says: the segments that are left.
fn left(firsts: &[u64], needed: u64, keep: usize) -> &[u64] {
    let mut rest = firsts;
    while rest.len() > keep && rest.len() > 1 && rest[1] <= needed {
        rest = &rest[1..];
    }
    rest
}

/// Everything after `end` is there for a writer, a scan and a reader.
fn reads_on(dir: &Path, end: BatchEnd) {
    let mut count = 0;
    let recovery = scan_after(dir, end, ALL, &mut |_, _| {
        count += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!((recovery.last_seq, count), (ALL, ENTRIES - end.seq.get()));
    let (_, found) = Writer::open_after(dir, SMALL, end, ALL, &mut |_| {}).unwrap();
    assert_eq!(found, recovery);
}

#[test]
fn nothing_goes_that_a_snapshot_or_a_consumer_needs() {
    let whole = tempfile::tempdir().unwrap();
    let (ends, _) = journal(whole.path());
    for &end in &ends {
        for consumed in [0, end.seq.get() - 1, end.seq.get(), end.seq.get() + 1, ENTRIES] {
            let dir = tempfile::tempdir().unwrap();
            for path in segments(whole.path()) {
                fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
            }
            let before = firsts(dir.path());
            assert_eq!(retain(dir.path(), ALL, ONE).unwrap(), 0, "without a snapshot");
            keep(dir.path(), end);
            let removed = retain(dir.path(), Seq::new(consumed), ONE).unwrap();
            let needed = consumed.min(end.seq.get()) + 1;
            let expected = left(&before, needed, 1);
            assert_eq!(firsts(dir.path()), expected, "{end:?}, {consumed} consumed");
            assert_eq!(removed, before.len() - expected.len());
            assert_eq!(retain(dir.path(), Seq::new(consumed), ONE).unwrap(), 0, "again");
            reads_on(dir.path(), end);
            let consumed = Seq::new(consumed.min(ENTRIES));
            let mut reader = Reader::open(dir.path(), consumed).unwrap();
            let mut entry = Entry::default();
            if reader.next(ALL, &mut entry).unwrap() {
                assert_eq!(entry.command.seq, consumed.next());
            }
        }
    }
}

#[test]
fn as_many_stay_as_are_asked_for_and_always_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let (ends, before) = journal(dir.path());
    keep(dir.path(), *ends.last().unwrap());
    for keep in (1..=before.len() + 1).rev() {
        retain(dir.path(), ALL, NonZeroUsize::new(keep).unwrap()).unwrap();
        assert_eq!(firsts(dir.path()), left(&before, ENTRIES + 1, keep));
    }
    assert_eq!(firsts(dir.path()).len(), 1);
    reads_on(dir.path(), *ends.last().unwrap());
}

#[test]
fn the_older_snapshot_stays_of_use_and_an_unsound_one_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let (ends, before) = journal(dir.path());
    let (older, newer) = (ends[ends.len() / 2], ends[ends.len() - 1]);
    keep(dir.path(), older);
    keep(dir.path(), newer);
    // Not sound, and older than both: it would hold everything back.
    fs::write(dir.path().join("snapshot-00000000000000000001"), b"nothing").unwrap();
    assert!(retain(dir.path(), ALL, ONE).unwrap() > 0);
    assert_eq!(firsts(dir.path()), left(&before, older.seq.get() + 1, 1));
    reads_on(dir.path(), older);
    reads_on(dir.path(), newer);
}

#[test]
fn a_journal_without_its_beginning_says_where_it_begins() {
    let dir = tempfile::tempdir().unwrap();
    let (ends, _) = journal(dir.path());
    keep(dir.path(), *ends.last().unwrap());
    retain(dir.path(), ALL, ONE).unwrap();
    let first = firsts(dir.path())[0];
    let expected = format!(
        "journal `{}` begins at sequence {first}, what came before was removed; it can be read from \
         a snapshot after sequence {} or later, and not from its beginning",
        dir.path().display(),
        first - 1
    );
    let refused = |result: Result<(), JournalError>| result.unwrap_err().to_string();
    let opened = Writer::open(dir.path(), SMALL, &mut |_| {}).map(|_| ());
    assert_eq!(refused(opened), expected);
    let scanned = scan(dir.path(), &mut |_, _| ControlFlow::Continue(())).map(|_| ());
    assert_eq!(refused(scanned), expected);
    let early = scan_after(dir.path(), ends[0], ALL, &mut |_, _| ControlFlow::Continue(()));
    assert_eq!(refused(early.map(|_| ())), expected);
    for after in [0, first - 2] {
        assert_eq!(refused(Reader::open(dir.path(), Seq::new(after)).map(|_| ())), expected);
    }
    Reader::open(dir.path(), Seq::new(first - 1)).unwrap();
}

#[test]
fn a_reader_that_is_overtaken_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let (ends, _) = journal(dir.path());
    let mut reader = Reader::open(dir.path(), Seq::ZERO).unwrap();
    let mut entry = Entry::default();
    assert!(reader.next(ALL, &mut entry).unwrap());
    keep(dir.path(), *ends.last().unwrap());
    retain(dir.path(), ALL, ONE).unwrap();
    let error = loop {
        match reader.next(ALL, &mut entry) {
            Ok(more) => assert!(more, "the segment it holds is still read"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("begins at sequence"), "{error}");
}

#[test]
fn a_removal_that_a_crash_cut_short_leaves_no_gap() {
    let dir = tempfile::tempdir().unwrap();
    let (ends, before) = journal(dir.path());
    let end = *ends.last().unwrap();
    keep(dir.path(), end);
    // Each of these is what a crash between two removals leaves.
    for gone in 1..before.len() {
        fs::remove_file(&segments(dir.path())[0]).unwrap();
        assert_eq!(firsts(dir.path()), &before[gone..]);
        reads_on(dir.path(), end);
    }
    assert_eq!(retain(dir.path(), ALL, ONE).unwrap(), 0);
}
