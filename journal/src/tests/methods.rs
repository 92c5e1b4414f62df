//! Every way of making batches durable leaves the same bytes.

use std::fs;

use types::Seq;

use super::{
    SMALL, read, segments,
    values::{entries, orders},
    write,
};
use crate::{Options, SyncMethod, Writer};

#[test]
fn every_method_writes_the_same_journal() {
    let all = entries(8, 1, 120);
    let mut images = Vec::new();
    for sync in SyncMethod::ALL {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), Options { sync: Some(sync), ..SMALL }, &all, 5);
        assert!(read(dir.path()).0 == all, "{sync}");
        let image: Vec<_> =
            segments(dir.path()).iter().map(|path| fs::read(path).unwrap()).collect();
        assert!(image.len() > 4, "the history spans segments");
        images.push(image);
    }
    assert!(images.iter().all(|image| *image == images[0]));
}

#[test]
fn methods_take_turns_on_one_journal() {
    let dir = tempfile::tempdir().unwrap();
    let all = orders(1, 90);
    for (part, sync) in all.chunks(10).zip(SyncMethod::ALL.into_iter().cycle()) {
        write(dir.path(), Options { sync: Some(sync), ..SMALL }, part, 3);
    }
    assert!(read(dir.path()).0 == all);
}

#[test]
fn a_prepared_segment_is_gone_when_the_writer_is() {
    let dir = tempfile::tempdir().unwrap();
    let all = orders(1, 12);
    for sync in SyncMethod::ALL {
        let dir = dir.path().join(sync.name());
        let (mut writer, _) =
            Writer::open(&dir, Options { sync: Some(sync), ..SMALL }, &mut |_| {}).unwrap();
        for entry in &all {
            writer.append(&entry.command, &entry.events).unwrap();
            writer.commit().unwrap();
        }
        assert!(dir.join("next.seg.new").exists(), "a quarter is full: the next is on its way");
        drop(writer);
        assert!(!dir.join("next.seg.new").exists());
        let (_, recovery) = Writer::open(&dir, SMALL, &mut |_| {}).unwrap();
        assert_eq!(recovery.last_seq, Seq::new(12));
    }
}

#[test]
fn the_fastest_method_is_measured_where_the_journal_lies() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { sync: None, ..SMALL };
    let (writer, _) = Writer::open(dir.path(), options, &mut |_| {}).unwrap();
    let choice = writer.sync_choice();
    // Some systems let no process have a ring.
    let refused: Vec<_> = choice.refused.iter().map(|(method, _)| *method).collect();
    assert!(refused.iter().all(|method| *method == SyncMethod::IoUring), "{choice:?}");
    let methods: Vec<_> = choice.measured.iter().map(|figures| figures.method).collect();
    let expected = SyncMethod::ALL.into_iter().filter(|method| !refused.contains(method));
    assert_eq!(methods, expected.collect::<Vec<_>>());
    let cost = |figures: &crate::MethodFigures| figures.small + figures.large;
    let picked = choice.measured.iter().find(|figures| figures.method == choice.method).unwrap();
    assert!(choice.measured.iter().all(|figures| cost(figures) >= cost(picked)), "{choice:?}");
    assert!(choice.measured.iter().all(|figures| figures.worst >= figures.large));
    let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut left = names.filter(|name| name.to_string_lossy().starts_with("probe"));
    assert_eq!(left.next(), None);
}
