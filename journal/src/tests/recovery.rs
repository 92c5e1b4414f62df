//! Opening again, and journals that do not fit together.

use std::{fs, ops::ControlFlow, path::Path};

use expect_test::expect;
use types::{Digest, Seq};

use super::{
    SMALL, damage,
    lying_disk::{Lie, LyingDisk},
    read, segments,
    values::orders,
    write,
};
use crate::{
    JournalError, Options, SyncMethod, Writer,
    format::{SEGMENT_HEADER_BYTES, SegmentHeader, batch_at},
    scan, scan_expecting,
};

#[test]
fn appending_after_reopening_continues_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let all = orders(1, 60);
    let mut chain = Digest::new([0; 32]);
    for part in all.chunks(6) {
        let recovery = write(dir.path(), SMALL, part, 4);
        assert_eq!(recovery.last_seq.next(), part[0].command.seq);
        assert_eq!(recovery.chain, chain);
        chain = read(dir.path()).1.unwrap().chain;
        assert_ne!(recovery.chain, chain);
    }
    assert_eq!(read(dir.path()).0, all);
    let image = fs::read(segments(dir.path()).pop().unwrap()).unwrap();
    let batch = batch_at(&image[SEGMENT_HEADER_BYTES..]).unwrap();
    assert!(batch.header.epoch > 1, "the epoch rises with each opening that wrote something");
}

#[test]
fn a_second_writer_is_locked_out() {
    let dir = tempfile::tempdir().unwrap();
    let first = Writer::open(dir.path(), SMALL, &mut |_| {}).unwrap();
    let second = Writer::open(dir.path(), SMALL, &mut |_| {}).unwrap_err();
    assert!(matches!(second, JournalError::Locked { .. }), "{second}");
    drop(first);
    Writer::open(dir.path(), SMALL, &mut |_| {}).unwrap();
}

#[test]
fn missing_directories_are_created() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b/journal");
    write(&deep, SMALL, &orders(1, 1), 1);
    assert_eq!(read(&deep).0, orders(1, 1));
    let file = segments(&deep).remove(0);
    let error = Writer::open(&file, SMALL, &mut |_| {}).unwrap_err();
    assert!(matches!(error, JournalError::OpenDirectory { .. }), "{error}");
}

#[test]
fn a_failed_sync_poisons_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let all = orders(1, 3);
    let (mut writer, _) = Writer::open(dir.path(), SMALL, &mut |_| {}).unwrap();
    let disk = LyingDisk::beneath(&mut writer, dir.path(), Lie::None, 1);
    writer.append(&all[0].command, &all[0].events).unwrap();
    assert_eq!(writer.commit().unwrap(), Seq::new(1));
    writer.append(&all[1].command, &all[1].events).unwrap();
    disk.fail_next_sync();
    let error = writer.commit().unwrap_err();
    assert!(matches!(error, JournalError::Sync { .. }), "{error}");
    assert_eq!(writer.last_durable(), Seq::new(1));
    for error in [
        writer.commit().unwrap_err(),
        writer.append(&all[2].command, &all[2].events).unwrap_err(),
        writer.commit().unwrap_err(),
    ] {
        assert!(matches!(error, JournalError::Poisoned { .. }), "{error}");
    }
}

#[test]
fn an_empty_commit_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, recovery) = Writer::open(dir.path(), SMALL, &mut |_| {}).unwrap();
    assert_eq!(recovery.last_seq, Seq::ZERO);
    assert_eq!(writer.commit().unwrap(), Seq::ZERO);
    drop(writer);
    assert_eq!(read(dir.path()).1.unwrap().entries, 0);
}

#[test]
#[should_panic(expected = "sequence 3 is appended after 0")]
fn sequences_have_no_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = Writer::open(dir.path(), SMALL, &mut |_| {}).unwrap();
    drop(writer.append(&orders(3, 1)[0].command, &[]));
}

#[test]
fn what_was_not_committed_is_zeroed() {
    let dir = tempfile::tempdir().unwrap();
    let all = orders(1, 2);
    // Through a mapping it reaches the file all the same.
    let mapped = Options { sync: Some(SyncMethod::Msync), ..SMALL };
    let (mut writer, _) = Writer::open(dir.path(), mapped, &mut |_| {}).unwrap();
    writer.append(&all[0].command, &all[0].events).unwrap();
    writer.commit().unwrap();
    writer.append(&all[1].command, &all[1].events).unwrap();
    drop(writer);
    assert!(read(dir.path()).1.unwrap().torn_bytes > 0);
    let (_, recovery) = Writer::open(dir.path(), mapped, &mut |_| {}).unwrap();
    assert_eq!(recovery.last_seq, Seq::new(1));
    assert!(recovery.torn_bytes > 0);
    assert_eq!(read(dir.path()).1.unwrap().torn_bytes, 0);
}

#[test]
fn a_batch_that_outgrows_its_limit_is_committed_early() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { batch_bytes_max: 120 + 464, ..SMALL };
    let all = orders(1, 5);
    let (mut writer, _) = Writer::open(dir.path(), options, &mut |_| {}).unwrap();
    let durable: Vec<u64> = all
        .iter()
        .map(|entry| {
            writer.append(&entry.command, &entry.events).unwrap();
            writer.last_durable().get()
        })
        .collect();
    assert_eq!(durable, [0, 0, 2, 2, 4]);
}

#[test]
fn an_entry_larger_than_a_batch_is_refused_and_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let order = &orders(1, 1)[0];
    let (mut writer, _) = Writer::open(dir.path(), SMALL, &mut |_| {}).unwrap();
    let events = vec![order.events[0]; 60];
    let error = writer.append(&order.command, &events).unwrap_err();
    expect!["entry 1 needs a batch of 4128 bytes, at most 4072 are allowed"]
        .assert_eq(&error.to_string());
    writer.append(&order.command, &events[..59]).unwrap();
    writer.commit().unwrap();
    assert_eq!(read(dir.path()).0[0].events, events[..59]);
}

#[test]
fn an_empty_segment_takes_the_size_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    drop(Writer::open(dir.path(), SMALL, &mut |_| {}).unwrap());
    let wide = Options { segment_bytes: 65_536, batch_bytes_max: 60_000, ..SMALL };
    let order = &orders(1, 1)[0];
    let events = vec![order.events[0]; 500];
    let (mut writer, _) = Writer::open(dir.path(), wide, &mut |_| {}).unwrap();
    writer.append(&order.command, &events).unwrap();
    writer.commit().unwrap();
    drop(writer);
    // A segment with batches keeps its size; later ones are as asked for.
    write(dir.path(), SMALL, &orders(2, 400), 3);
    let sizes: Vec<u64> =
        segments(dir.path()).iter().map(|path| fs::metadata(path).unwrap().len()).collect();
    assert_eq!(sizes[..3], [65_536, 8_192, 8_192]);
    assert_eq!(read(dir.path()).1.unwrap().entries, 401);
}

#[test]
fn options_that_do_not_fit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for options in [
        Options { segment_bytes: 4_096, ..SMALL },
        Options { segment_bytes: 8_200, ..SMALL },
        Options { segment_bytes: 2 << 30, ..SMALL },
        Options { batch_bytes_max: 4_073, ..SMALL },
        Options { batch_bytes_max: 100, ..SMALL },
    ] {
        let error = Writer::open(dir.path(), options, &mut |_| {}).unwrap_err();
        assert!(matches!(error, JournalError::InvalidOptions { .. }), "{error}");
    }
}

#[test]
fn a_scan_says_where_entries_are_and_stops_when_told() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), SMALL, &orders(1, 30), 2);
    let mut positions = Vec::new();
    let recovery = scan(dir.path(), &mut |_, position| {
        positions.push((position.segment, position.offset));
        if positions.len() == 17 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert_eq!(recovery.last_seq, Seq::new(17));
    assert_eq!(positions[..3], [(1, 4_176), (1, 4_408), (1, 4_760)]);
    assert_eq!(positions[16], (2, 5_112));
}

#[test]
fn segments_that_never_got_their_name_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let unfinished = dir.path().join("00000000000000000001.seg.new");
    fs::write(&unfinished, [1; 100]).unwrap();
    write(dir.path(), SMALL, &orders(1, 1), 1);
    assert!(!unfinished.exists());
}

/// Writes three segments, spoils the directory and says what a scan and a writer find.
fn spoil(change: impl FnOnce(&Path, &[std::path::PathBuf])) -> String {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), SMALL, &orders(1, 40), 4);
    let paths = segments(dir.path());
    assert_eq!(paths.len(), 3);
    change(dir.path(), &paths);
    let found = damage(&read(dir.path()).1.unwrap_err());
    let refused = Writer::open(dir.path(), SMALL, &mut |_| {}).unwrap_err();
    assert_eq!(damage(&refused), found);
    found
}

fn edit_header(path: &Path, edit: impl FnOnce(&mut SegmentHeader)) {
    let mut image = fs::read(path).unwrap();
    let mut header = SegmentHeader::decode(image.first_chunk().unwrap()).unwrap();
    edit(&mut header);
    image[..SEGMENT_HEADER_BYTES].copy_from_slice(&header.encode());
    fs::write(path, image).unwrap();
}

#[test]
fn missing_and_misplaced_segments_are_damage() {
    expect!["00000000000000000030.seg @0 #30: a segment before it is missing or out of order"]
        .assert_eq(&spoil(|_, paths| fs::remove_file(&paths[1]).unwrap()));
    expect!["00000000000000000030.seg @7008 #41: end-of-segment marker is missing or does not fit"]
        .assert_eq(&spoil(|dir, paths| {
            fs::copy(&paths[1], dir.join("00000000000000000041.seg")).unwrap();
        }));
    expect!["00000000000000000016.seg @0 #16: file name differs from the segment header"]
        .assert_eq(&spoil(|dir, paths| {
            fs::rename(&paths[1], dir.join("swap")).unwrap();
            fs::rename(&paths[2], &paths[1]).unwrap();
            fs::rename(dir.join("swap"), &paths[2]).unwrap();
        }));
    expect!["00000000000000000016.seg @0 #16: file size differs from the segment header"]
        .assert_eq(&spoil(|_, paths| {
            let file = fs::OpenOptions::new().write(true).open(&paths[1]).unwrap();
            file.set_len(8_000).unwrap();
        }));
    expect!["00000000000000000030.seg @0 #30: file size differs from the segment header"]
        .assert_eq(&spoil(|_, paths| {
            let file = fs::OpenOptions::new().write(true).open(&paths[2]).unwrap();
            file.set_len(9_000).unwrap();
        }));
}

#[test]
fn segments_of_another_journal_are_damage() {
    expect!["00000000000000000016.seg @0 #16: hash of the previous batch differs"].assert_eq(
        &spoil(|_, paths| {
            let other = tempfile::tempdir().unwrap();
            let mut entries = orders(1, 40);
            entries[2].events.clear();
            entries[2].events.push(orders(9, 1)[0].events[0]);
            write(other.path(), SMALL, &entries, 4);
            fs::copy(&segments(other.path())[1], &paths[1]).unwrap();
        }),
    );
    expect!["00000000000000000030.seg @0 #30: hash of the previous batch differs"].assert_eq(
        &spoil(|_, paths| edit_header(&paths[2], |header| header.previous = Digest::new([7; 32]))),
    );
    expect!["00000000000000000016.seg @4096 #16: epoch goes backwards"]
        .assert_eq(&spoil(|_, paths| edit_header(&paths[1], |header| header.epoch = 9)));
    expect!["00000000000000000030.seg @0 #30: epoch goes backwards"]
        .assert_eq(&spoil(|_, paths| edit_header(&paths[2], |header| header.epoch = 0)));
}

/// A journal goes on, and older copies of its segments are put back.
#[test]
fn old_copies_of_segments_are_damage() {
    let dir = tempfile::tempdir().unwrap();
    let all = orders(1, 40);
    write(dir.path(), SMALL, &all[..24], 4);
    let before: Vec<_> =
        segments(dir.path()).iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    assert_eq!(before.len(), 2);
    write(dir.path(), SMALL, &all[24..], 4);
    let paths = segments(dir.path());
    assert_eq!(paths.len(), 3);
    // The middle segment as it was: its end marker is not there yet.
    let now = fs::read(&paths[1]).unwrap();
    fs::write(&before[1].0, &before[1].1).unwrap();
    expect!["00000000000000000016.seg @6544 #25: end-of-segment marker is missing or does not fit"]
        .assert_eq(&damage(&read(dir.path()).1.unwrap_err()));
    // All of them as they were: nothing inside is wrong, and a number from outside tells.
    fs::remove_file(&paths[2]).unwrap();
    let mut pass = |_: &crate::Entry, _| ControlFlow::Continue(());
    assert_eq!(scan(dir.path(), &mut pass).unwrap().last_seq, Seq::new(24));
    let error = scan_expecting(dir.path(), Seq::new(25), &mut pass).unwrap_err();
    expect![
        "00000000000000000016.seg @6544 #25: journal ends before a sequence known to be durable"
    ]
    .assert_eq(&damage(&error));
    let refused = Writer::open_expecting(dir.path(), SMALL, Seq::new(40), &mut |_| {}).unwrap_err();
    assert_eq!(damage(&refused), damage(&error));
    // The last segment as another process wrote it, that went on from the old copy.
    write(dir.path(), SMALL, &orders(25, 16), 4);
    let other = fs::read(&segments(dir.path())[2]).unwrap();
    fs::write(&paths[1], now).unwrap();
    fs::write(&paths[2], other).unwrap();
    expect!["00000000000000000030.seg @0 #30: hash of the previous batch differs"]
        .assert_eq(&damage(&read(dir.path()).1.unwrap_err()));
}

/// Batches moved within a segment, each intact.
#[test]
fn batches_that_change_places_are_damage() {
    let batches = |image: &[u8]| {
        let mut ends = vec![SEGMENT_HEADER_BYTES];
        while let Ok(batch) = batch_at(&image[*ends.last().unwrap()..]) {
            ends.push(ends.last().unwrap() + batch.total);
        }
        ends
    };
    // Exchanged: the one that should come later stands first.
    expect!["00000000000000000016.seg @4096 #16: sequence does not continue"].assert_eq(&spoil(
        |_, paths| {
            let mut image = fs::read(&paths[1]).unwrap();
            let ends = batches(&image);
            image[ends[0]..ends[2]].rotate_left(ends[1] - ends[0]);
            fs::write(&paths[1], image).unwrap();
        },
    ));
    // Copied: the same batch a second time.
    expect!["00000000000000000016.seg @4448 #17: sequence does not continue"].assert_eq(&spoil(
        |_, paths| {
            let mut image = fs::read(&paths[1]).unwrap();
            let ends = batches(&image);
            image.copy_within(ends[0]..ends[1], ends[1]);
            fs::write(&paths[1], image).unwrap();
        },
    ));
    // Gone, and the rest moved up.
    expect!["00000000000000000030.seg @4912 #33: sequence does not continue"].assert_eq(&spoil(
        |_, paths| {
            let mut image = fs::read(&paths[2]).unwrap();
            let ends = batches(&image);
            let end = image.len();
            image.copy_within(ends[2]..end, ends[1]);
            fs::write(&paths[2], image).unwrap();
        },
    ));
}

#[test]
fn lost_ends_are_damage() {
    // The marker of a segment that has a successor.
    expect!["00000000000000000001.seg @8056 #16: end-of-segment marker is missing or does not fit"]
        .assert_eq(&spoil(|_, paths| {
            let mut image = fs::read(&paths[0]).unwrap();
            image[8_056..].fill(0);
            fs::write(&paths[0], image).unwrap();
        }));
    // The last batch before a marker, where the successor is gone as well.
    expect!["00000000000000000001.seg @7240 #13: batch fails its checksum"].assert_eq(&spoil(
        |_, paths| {
            fs::remove_file(&paths[1]).unwrap();
            fs::remove_file(&paths[2]).unwrap();
            let mut image = fs::read(&paths[0]).unwrap();
            image[8_000] ^= 1;
            fs::write(&paths[0], image).unwrap();
        },
    ));
}

#[test]
fn a_lost_last_segment_shows_against_a_watermark() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), SMALL, &orders(1, 40), 4);
    fs::remove_file(&segments(dir.path())[2]).unwrap();
    let mut pass = |_: &crate::Entry, _| ControlFlow::Continue(());
    assert_eq!(scan(dir.path(), &mut pass).unwrap().last_seq, Seq::new(29));
    let error = scan_expecting(dir.path(), Seq::new(35), &mut pass).unwrap_err();
    expect![
        "00000000000000000016.seg @7968 #30: journal ends before a sequence known to be durable"
    ]
    .assert_eq(&damage(&error));
    let empty = tempfile::tempdir().unwrap();
    let error = Writer::open_expecting(empty.path(), SMALL, Seq::new(1), &mut |_| {}).unwrap_err();
    expect!["00000000000000000001.seg @0 #1: journal ends before a sequence known to be durable"]
        .assert_eq(&damage(&error));
    assert!(segments(empty.path()).is_empty());
}

#[test]
fn other_files_are_not_journals() {
    let dir = tempfile::tempdir().unwrap();
    let mut pass = |_: &crate::Entry, _| ControlFlow::Continue(());
    let error = scan(dir.path(), &mut pass).unwrap_err();
    assert!(matches!(error, JournalError::NotAJournal { .. }), "{error}");
    write(dir.path(), SMALL, &orders(1, 1), 1);
    fs::write(dir.path().join("notes.txt"), "ignored").unwrap();
    assert_eq!(scan(dir.path(), &mut pass).unwrap().entries, 1);
    fs::write(dir.path().join("copy.seg"), "").unwrap();
    let error = scan(dir.path(), &mut pass).unwrap_err();
    assert!(matches!(error, JournalError::NotAJournal { .. }), "{error}");
}

#[test]
fn later_versions_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), SMALL, &orders(1, 1), 1);
    let path = segments(dir.path()).remove(0);
    let mut image = fs::read(&path).unwrap();
    image[8] = 2;
    let sum = crc_fast::crc32_iscsi(&image[..SEGMENT_HEADER_BYTES - 4]).to_le_bytes();
    image[SEGMENT_HEADER_BYTES - 4..SEGMENT_HEADER_BYTES].copy_from_slice(&sum);
    fs::write(&path, image).unwrap();
    let error = read(dir.path()).1.unwrap_err();
    assert!(matches!(error, JournalError::UnsupportedVersion { version: 2, .. }), "{error}");
}

#[test]
fn damage_names_segment_offset_and_sequence() {
    let error = JournalError::Damaged {
        segment: "/var/j/00000000000000000001.seg".into(),
        offset: 4_096,
        seq: Seq::new(1),
        what: crate::Damage::BatchChecksum,
    };
    expect!["segment `/var/j/00000000000000000001.seg` is damaged at offset 4096 (sequence 1): batch fails its checksum"]
        .assert_eq(&error.to_string());
}
