//! Snapshots, and journals that are read on from one.

use std::{fs, num::NonZeroUsize, ops::ControlFlow, path::Path};

use types::{Digest, Seq, Timestamp};

use super::{SMALL, damage, segments, values::orders, write};
use crate::{
    BatchEnd, Entry, JournalError, Reader, Writer, scan, scan_after,
    snapshots::{self, Fault},
};

fn end(seq: u64) -> BatchEnd {
    BatchEnd { seq: Seq::new(seq), time: Timestamp::from_ns(-7), chain: Digest::new([3; 32]) }
}

const STATE: Digest = Digest::new([9; 32]);

/// Every batch end, as a scan tells them.
fn ends(dir: &Path) -> Vec<BatchEnd> {
    let mut ends = vec![BatchEnd::START];
    scan(dir, &mut |entry, at| {
        ends.extend(at.end_after(entry));
        ControlFlow::Continue(())
    })
    .unwrap();
    ends
}

fn read_after(dir: &Path, after: BatchEnd) -> Result<Vec<Entry>, JournalError> {
    let mut found = Vec::new();
    let recovery = scan_after(dir, after, Seq::ZERO, &mut |entry, _| {
        found.push(entry.clone());
        ControlFlow::Continue(())
    })?;
    assert_eq!(usize::try_from(recovery.entries).unwrap(), found.len());
    Ok(found)
}

#[test]
fn writer_reader_and_scan_agree_on_where_batches_end() {
    let dir = tempfile::tempdir().unwrap();
    let all = orders(1, 50);
    let mut told = Vec::new();
    let (mut writer, _) = Writer::open(dir.path(), SMALL, &mut |_| {}).unwrap();
    for batch in all.chunks(7) {
        for entry in batch {
            writer.append(&entry.command, &entry.events).unwrap();
        }
        writer.commit().unwrap();
        told.push(writer.batch_end());
    }
    // A full segment ends a batch early, which the writer does not tell.
    let scanned = ends(dir.path());
    assert!(told.iter().all(|end| scanned.contains(end)));
    let mut reader = Reader::open(dir.path(), Seq::ZERO).unwrap();
    let (mut entry, mut followed) = (Entry::default(), vec![BatchEnd::START]);
    assert_eq!(reader.batch_end(), None);
    while reader.next(Seq::new(50), &mut entry).unwrap() {
        followed.extend(reader.batch_end());
    }
    assert_eq!(followed, scanned);
    drop(writer);
    let (writer, recovery) = Writer::open(dir.path(), SMALL, &mut |_| {}).unwrap();
    let last = *scanned.last().unwrap();
    assert_eq!((writer.batch_end(), recovery.end()), (last, last));
}

#[test]
fn a_journal_reads_on_from_any_batch_without_earlier_segments() {
    let dir = tempfile::tempdir().unwrap();
    let all = orders(1, 100);
    write(dir.path(), SMALL, &all, 7);
    let ends = ends(dir.path());
    let last = *ends.last().unwrap();
    assert!(segments(dir.path()).len() > 4, "the history spans segments");
    for &after in &ends {
        let holds = |path: &&std::path::PathBuf| {
            path.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap()
                <= after.seq.next().get()
        };
        let earlier = segments(dir.path()).iter().filter(holds).count() - 1;
        for path in segments(dir.path()).iter().take(earlier) {
            fs::remove_file(path).unwrap();
        }
        let rest = &all[usize::try_from(after.seq.get()).unwrap()..];
        assert!(read_after(dir.path(), after).unwrap() == rest);
        let mut found = Vec::new();
        let each = &mut |entry| found.push(entry);
        let (writer, recovery) =
            Writer::open_after(dir.path(), SMALL, after, Seq::new(100), each).unwrap();
        assert!(found == rest);
        assert_eq!((recovery.end(), writer.batch_end()), (last, last));
    }
    let error = scan(dir.path(), &mut |_, _| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().contains("begins at sequence"), "{error}");
}

#[test]
fn writing_goes_on_after_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let all = orders(1, 90);
    write(dir.path(), SMALL, &all[..60], 7);
    let after = ends(dir.path())[5];
    fs::remove_file(&segments(dir.path())[0]).unwrap();
    let (mut writer, _) =
        Writer::open_after(dir.path(), SMALL, after, Seq::new(60), &mut |_| {}).unwrap();
    for entry in &all[60..] {
        writer.append(&entry.command, &entry.events).unwrap();
    }
    writer.commit().unwrap();
    let kept = usize::try_from(after.seq.get()).unwrap();
    assert!(read_after(dir.path(), after).unwrap() == all[kept..]);
}

#[test]
fn a_journal_that_does_not_continue_from_the_snapshot_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), SMALL, &orders(1, 60), 7);
    let ends = ends(dir.path());
    for (index, &sound) in ends.iter().enumerate().skip(1) {
        let chain = Digest::new([1; 32]);
        let next = sound.seq.next();
        let wrong = [
            (BatchEnd { chain, ..sound }, "hash of the previous batch differs"),
            (
                BatchEnd { chain: ends[index - 1].chain, ..sound },
                "hash of the previous batch differs",
            ),
            // Inside a batch; after the last batch there is none.
            (
                BatchEnd { seq: next, ..sound },
                if sound.seq == Seq::new(60) {
                    "journal ends before a sequence known to be durable"
                } else {
                    "hash of the previous batch differs"
                },
            ),
        ];
        for (after, expected) in wrong {
            let error = read_after(dir.path(), after).unwrap_err();
            assert!(damage(&error).ends_with(expected), "{sound:?} {after:?}: {error}");
            let refused =
                Writer::open_after(dir.path(), SMALL, after, Seq::ZERO, &mut |_| {}).unwrap_err();
            assert_eq!(damage(&refused), damage(&error));
        }
    }
}

#[test]
fn the_newest_sound_snapshot_is_read() {
    let dir = tempfile::tempdir().unwrap();
    assert!(snapshots::newest_valid(dir.path()).unwrap().snapshot.is_none());
    for seq in [3, 20, 100] {
        let payload = vec![1; usize::try_from(seq).unwrap()];
        snapshots::write(dir.path(), end(seq), STATE, &payload).unwrap();
    }
    let newest = snapshots::newest_valid(dir.path()).unwrap();
    assert!(newest.unusable.is_empty());
    let snapshot = newest.snapshot.unwrap();
    assert_eq!((snapshot.end, snapshot.state, snapshot.payload.len()), (end(100), STATE, 100));

    let path = dir.path().join("snapshot-00000000000000000100");
    fs::copy(&path, dir.path().join("snapshot-00000000000000000200")).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[150] ^= 1;
    fs::write(&path, bytes).unwrap();
    let newest = snapshots::newest_valid(dir.path()).unwrap();
    assert_eq!(newest.snapshot.unwrap().end, end(20));
    let why: Vec<_> = newest.unusable.iter().map(|unusable| unusable.fault.to_string()).collect();
    assert_eq!(why, ["has another name than its header says", "fails its hash"]);

    let one = NonZeroUsize::new(1).unwrap();
    assert_eq!(snapshots::retain(dir.path(), one).unwrap(), 1, "what is older than the sound one");
    assert_eq!(snapshots::newest_valid(dir.path()).unwrap().snapshot.unwrap().end, end(20));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}

#[test]
fn no_cut_and_no_flipped_bit_gives_a_payload() {
    let dir = tempfile::tempdir().unwrap();
    let payload: Vec<u8> = (0..=255).collect();
    let path = snapshots::write(dir.path(), end(12), STATE, &payload).unwrap();
    let image = fs::read(&path).unwrap();
    assert_eq!(image.len(), 104 + 256 + 32);
    for cut in 0..image.len() {
        fs::write(&path, &image[..cut]).unwrap();
        let fault = snapshots::read(&path).unwrap_err();
        assert!(matches!(fault, Fault::Length), "cut at {cut}: {fault}");
    }
    fs::write(&path, [&image[..], &[0]].concat()).unwrap();
    assert!(matches!(snapshots::read(&path), Err(Fault::Length)));
    for bit in 0..image.len() * 8 {
        let mut bytes = image.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        let fault = snapshots::read(&path).unwrap_err();
        assert!(matches!(fault, Fault::Length | Fault::Hash), "bit {bit}: {fault}");
    }
    let resealed = |at: usize, value: u8| {
        let mut bytes = image[..image.len() - 32].to_vec();
        bytes[at] = value;
        bytes.extend_from_slice(blake3::hash(&bytes).as_bytes());
        fs::write(&path, &bytes).unwrap();
        snapshots::read(&path).unwrap_err().to_string()
    };
    assert_eq!(resealed(0, b'X'), "is not a snapshot");
    assert_eq!(resealed(8, 2), "has format version 2, which is not supported");
    fs::write(&path, &image).unwrap();
    assert_eq!(snapshots::read(&path).unwrap().payload, payload);
}

#[test]
fn an_unfinished_snapshot_is_not_seen() {
    let dir = tempfile::tempdir().unwrap();
    let path = snapshots::write(dir.path(), end(12), STATE, b"state").unwrap();
    fs::rename(&path, path.with_extension("new")).unwrap();
    assert!(snapshots::newest_valid(dir.path()).unwrap().snapshot.is_none());
    // A journal with snapshots beside its segments is a journal.
    write(dir.path(), SMALL, &orders(1, 3), 1);
    let again = snapshots::write(dir.path(), end(12), STATE, b"state").unwrap();
    assert_eq!(snapshots::read(&again).unwrap().payload, b"state");
}
