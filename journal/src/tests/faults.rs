//! Every cut and every flipped bit of a small journal.

use std::{fs, fs::OpenOptions, os::unix::fs::FileExt, path::Path};

use types::Seq;

use super::{
    SMALL, read, segments, seq,
    values::{entries, orders},
    write,
};
use crate::{Entry, JournalError, Reader, Writer, format};

/// Where each batch of a segment ends, with the number of entries up to there.
fn batch_ends(image: &[u8]) -> Vec<(usize, u64)> {
    let mut ends = vec![(format::SEGMENT_HEADER_BYTES, 0)];
    while let Ok(batch) = format::batch_at(&image[ends.last().unwrap().0..]) {
        ends.push((ends.last().unwrap().0 + batch.total, batch.header.last_seq.get()));
    }
    ends
}

fn is_prefix(found: &[Entry], all: &[Entry]) -> bool {
    all.get(..found.len()) == Some(found)
}

fn count(entries: &[Entry]) -> u64 {
    u64::try_from(entries.len()).unwrap()
}

/// Entries whose batch lies wholly before `cut`.
fn whole_before(ends: &[(usize, u64)], cut: usize) -> u64 {
    ends.iter().rev().find(|(end, _)| *end <= cut).unwrap().1
}

#[test]
fn a_journal_cut_at_any_byte_recovers_every_whole_batch() {
    let dir = tempfile::tempdir().unwrap();
    let all = entries(3, 1, 12);
    write(dir.path(), SMALL, &all, 4);
    let path = segments(dir.path()).remove(0);
    let image = fs::read(&path).unwrap();
    let ends = batch_ends(&image);
    assert_eq!(ends.len(), 4, "one segment with three batches");
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    for cut in (0..=ends.last().unwrap().0 + 16).rev() {
        let length = u64::try_from(cut).unwrap();
        // First a file that ends at the cut, then one that holds zero bytes from there on.
        for then in [length, SMALL.segment_bytes] {
            file.set_len(length).unwrap();
            file.set_len(then).unwrap();
            let (found, result) = read(dir.path());
            assert!(is_prefix(&found, &all), "cut at {cut}");
            if cut < format::SEGMENT_HEADER_BYTES {
                assert!(matches!(result, Err(JournalError::Damaged { .. })), "cut at {cut}");
                continue;
            }
            let recovery = result.unwrap();
            assert_eq!(count(&found), whole_before(&ends, cut), "cut at {cut}");
            assert_eq!(recovery.last_seq, seq(&found));
        }
    }
}

#[test]
fn a_cut_journal_takes_new_entries() {
    let dir = tempfile::tempdir().unwrap();
    let all = entries(3, 1, 12);
    write(dir.path(), SMALL, &all, 4);
    let path = segments(dir.path()).remove(0);
    let image = fs::read(&path).unwrap();
    let ends = batch_ends(&image);
    for cut in (format::SEGMENT_HEADER_BYTES..ends.last().unwrap().0).step_by(101) {
        fs::write(&path, &image[..cut]).unwrap();
        let whole = whole_before(&ends, cut);
        let more = orders(whole + 1, 3);
        let recovery = write(dir.path(), SMALL, &more, 2);
        assert_eq!(recovery.last_seq, Seq::new(whole));
        let (found, result) = read(dir.path());
        assert_eq!(result.unwrap().torn_bytes, 0, "the torn tail is gone");
        let kept = usize::try_from(whole).unwrap();
        assert_eq!(found[..kept], all[..kept]);
        assert_eq!(found[kept..], more);
        assert_eq!(fs::metadata(&path).unwrap().len(), SMALL.segment_bytes);
        fs::remove_file(&path).unwrap();
        assert!(segments(dir.path()).is_empty());
    }
}

/// Flips each bit of `range` in turn and hands over the bit's byte.
fn flip_each(path: &Path, range: std::ops::Range<usize>, check: &mut dyn FnMut(usize)) {
    let image = fs::read(path).unwrap();
    let file = OpenOptions::new().write(true).open(path).unwrap();
    for at in range {
        for bit in 0..8 {
            let offset = u64::try_from(at).unwrap();
            file.write_all_at(&[image[at] ^ (1 << bit)], offset).unwrap();
            check(at);
        }
        file.write_all_at(&[image[at]], u64::try_from(at).unwrap()).unwrap();
    }
}

#[test]
fn any_flipped_bit_is_damage_or_a_torn_last_batch() {
    let dir = tempfile::tempdir().unwrap();
    let all = entries(4, 1, 12);
    write(dir.path(), SMALL, &all, 4);
    let path = segments(dir.path()).remove(0);
    let ends = batch_ends(&fs::read(&path).unwrap());
    let (last_batch, kept) = ends[ends.len() - 2];
    let end = ends.last().unwrap().0;
    let (mut refused, mut torn) = (0, 0);
    flip_each(&path, 0..end + 64, &mut |at| {
        let (found, result) = read(dir.path());
        assert!(is_prefix(&found, &all), "bit of byte {at}");
        match result {
            Err(JournalError::Damaged { segment, offset, .. }) => {
                assert_eq!(segment, path);
                let batch = ends.iter().rev().find(|(start, _)| *start <= at);
                assert_eq!(offset, u64::try_from(batch.map_or(0, |batch| batch.0)).unwrap());
                assert!(at < last_batch, "bit of byte {at}");
                refused += 1;
            }
            Ok(recovery) => {
                assert!(at >= last_batch, "bit of byte {at}");
                assert!(recovery.torn_bytes > 0, "bit of byte {at}");
                assert_eq!(count(&found), if at < end { kept } else { 12 });
                torn += 1;
            }
            Err(other) => panic!("bit of byte {at}: {other}"),
        }
    });
    assert_eq!(refused, last_batch * 8);
    assert_eq!(torn, (end + 64 - last_batch) * 8);
    assert_eq!(read(dir.path()).0, all, "every bit was put back");
}

#[test]
fn a_reader_never_gives_a_wrong_entry() {
    let dir = tempfile::tempdir().unwrap();
    let all = entries(4, 1, 9);
    write(dir.path(), SMALL, &all, 3);
    let path = segments(dir.path()).remove(0);
    let end = batch_ends(&fs::read(&path).unwrap()).last().unwrap().0;
    let mut entry = Entry::default();
    flip_each(&path, format::SEGMENT_HEADER_BYTES..end, &mut |at| {
        let mut reader = Reader::open(dir.path(), Seq::ZERO).unwrap();
        let mut expected = all.iter();
        let error = loop {
            match reader.next(seq(&all), &mut entry) {
                Ok(true) => assert_eq!(Some(&entry), expected.next(), "bit of byte {at}"),
                Ok(false) => panic!("bit of byte {at} was not noticed"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, JournalError::Damaged { .. }), "bit of byte {at}: {error}");
    });
}

#[test]
fn any_flipped_bit_before_the_last_segment_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let all = orders(1, 30);
    write(dir.path(), SMALL, &all, 4);
    let path = segments(dir.path()).remove(0);
    // Everything after the header page, unused bytes included.
    let size = usize::try_from(SMALL.segment_bytes).unwrap();
    flip_each(&path, format::SEGMENT_HEADER_BYTES..size, &mut |at| {
        let (found, result) = read(dir.path());
        assert!(is_prefix(&found, &all), "bit of byte {at}");
        assert!(matches!(result, Err(JournalError::Damaged { .. })), "bit of byte {at}");
    });
}

#[test]
fn a_watermark_tells_damage_to_the_last_batch_from_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), SMALL, &orders(1, 8), 4);
    let path = segments(dir.path()).remove(0);
    let mut image = fs::read(&path).unwrap();
    let ends = batch_ends(&image);
    image[ends[1].0 + 300] ^= 1;
    fs::write(&path, &image).unwrap();
    let error = Writer::open_expecting(dir.path(), SMALL, Seq::new(8), &mut |_| {}).unwrap_err();
    let expected = format!(
        "00000000000000000001.seg @{} #5: journal ends before a sequence known to be durable",
        ends[1].0
    );
    assert_eq!(super::damage(&error), expected);
    assert_eq!(fs::read(&path).unwrap(), image, "a refused journal is left as it is");
    let (_, recovery) =
        Writer::open_expecting(dir.path(), SMALL, Seq::new(4), &mut |_| {}).unwrap();
    assert_eq!(recovery.last_seq, Seq::new(4));
    assert!(recovery.torn_bytes > 0);
}
