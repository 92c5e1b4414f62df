//! Version 1 as it was written once: these bytes stay readable, and are what is written today.

use std::{
    fmt::Write,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use expect_test::expect_file;

use super::{SMALL, segments, values::entries, write};
use crate::scan;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/v1")
}

/// The golden history: every kind of command and event, 60 entries in batches of six.
fn write_golden(dir: &Path) {
    write(dir, SMALL, &entries(1, 1, 60), 6);
}

#[test]
fn the_golden_journal_reads_as_it_was_listed() {
    let mut listing = String::new();
    let recovery = scan(&golden(), &mut |entry, position| {
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
    expect_file!["../../golden/v1/listing.txt"].assert_eq(&listing);
}

#[test]
fn the_golden_journal_is_what_is_written_today() {
    let dir = tempfile::tempdir().unwrap();
    write_golden(dir.path());
    let written = segments(dir.path());
    if std::env::var_os("UPDATE_GOLDEN_V1").is_some() {
        fs::create_dir_all(golden()).unwrap();
        for path in &written {
            fs::copy(path, golden().join(path.file_name().unwrap())).unwrap();
        }
    }
    assert!(written.len() > 1, "the golden journal crosses segments");
    for path in &written {
        let expected = fs::read(golden().join(path.file_name().unwrap())).unwrap();
        assert!(fs::read(path).unwrap() == expected, "{} differs", path.display());
    }
}
