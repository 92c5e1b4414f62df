//! Journals as released versions wrote them. Their bytes are never written again: they stay readable,
//! and what is read of them is written today as the same bytes.
//!
//! `golden/v1` was written by the first released version. A kind of command or event that came later
//! gets a journal of its own beside it: `NEW_GOLDEN=v1-name cargo nextest run -p journal every_kind_is` makes
//! one and refuses a name that is taken.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use expect_test::expect_file;
use types::{Command, Event};

use super::{
    SMALL, segments,
    values::{COMMAND_KINDS, EVENT_KINDS, entries},
    write,
};
use crate::{format, record, scan};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// Every golden journal, in the order of their names.
fn journals() -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// A history of every kind of command and event there is now, in batches of six.
fn write_new(dir: &Path) {
    fs::create_dir(dir).expect("a golden journal is written once");
    write(dir, SMALL, &entries(1, 1, 3 * COMMAND_KINDS.max(EVENT_KINDS)), 6);
    fs::write(dir.join("listing.txt"), listing(dir)).unwrap();
    fs::write(dir.join("hashes.txt"), hashes(dir)).unwrap();
}

/// What a journal says.
fn listing(dir: &Path) -> String {
    let mut listing = String::new();
    let recovery = scan(dir, &mut |entry, position| {
        let command = entry.command;
        let place = format!("{}@{}", position.segment, position.offset);
        writeln!(listing, "{place} {} {}: {:?}", command.seq, command.time.ns(), command.value)
            .unwrap();
        for event in &entry.events {
            writeln!(listing, "    {event:?}").unwrap();
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    writeln!(listing, "{recovery:?}").unwrap();
    listing
}

/// BLAKE3 of each segment.
fn hashes(dir: &Path) -> String {
    let line = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        format!("{} {name}\n", blake3::hash(&fs::read(path).unwrap()))
    };
    segments(dir).iter().map(line).collect()
}

#[test]
fn golden_journals_read_as_they_were_listed() {
    for dir in journals() {
        // A type that learns a new field lists it; what was there says the same as ever.
        expect_file![dir.join("listing.txt")].assert_eq(&listing(&dir));
    }
}

#[test]
fn golden_journals_are_never_changed() {
    for dir in journals() {
        let recorded = fs::read_to_string(dir.join("hashes.txt")).unwrap();
        assert!(recorded == hashes(&dir), "{} was changed: restore it", dir.display());
    }
}

#[test]
fn what_is_read_of_a_golden_journal_is_written_as_the_same_bytes() {
    for dir in journals() {
        let images: Vec<_> = segments(&dir).iter().map(|path| fs::read(path).unwrap()).collect();
        assert!(images.len() > 1, "a golden journal crosses segments");
        scan(&dir, &mut |entry, position| {
            let image = &images[usize::try_from(position.segment).unwrap() - 1];
            let recorded = &image[format::narrow(position.offset)..];
            let mut again = vec![0xA5; record::entry_bytes(&entry.command.value, &entry.events)];
            let (_, bytes) = record::encode_entry(&entry.command, &entry.events, &mut again);
            assert_eq!(bytes, again.len());
            assert!(again == recorded[..bytes], "{}: {}", dir.display(), entry.command.seq);
            ControlFlow::Continue(())
        })
        .unwrap();
    }
}

#[test]
fn every_kind_is_in_a_golden_journal() {
    if let Some(name) = std::env::var_os("NEW_GOLDEN") {
        write_new(&golden().join(name));
    }
    let (mut commands, mut events) = (BTreeSet::new(), BTreeSet::new());
    for dir in journals() {
        scan(&dir, &mut |entry, _| {
            commands.insert(name::<Command>(&entry.command.value));
            events.extend(entry.events.iter().map(name::<Event>));
            ControlFlow::Continue(())
        })
        .unwrap();
    }
    let found = (commands.len(), events.len());
    let kinds = [COMMAND_KINDS, EVENT_KINDS].map(|kinds| usize::try_from(kinds).unwrap());
    assert_eq!(
        found,
        (kinds[0], kinds[1]),
        "a new kind needs a journal: `NEW_GOLDEN=v1-name cargo nextest run -p journal every_kind_is` makes one"
    );
}

/// The name of a variant.
fn name<T: std::fmt::Debug>(value: &T) -> String {
    let text = format!("{value:?}");
    text.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap().to_owned()
}
