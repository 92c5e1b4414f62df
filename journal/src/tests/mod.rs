//! Tests of the journal on real files in a temporary directory.

mod faults;
mod following;
mod golden;
mod grid_values;
mod lying_disk;
mod methods;
mod operation_values;
mod recovery;
mod retention;
mod round_trip;
mod snapshots;
mod values;

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use types::Seq;

use crate::{Entry, JournalError, Options, Recovery, SyncMethod, Writer, scan};

/// The smallest segments, so that few entries fill one.
const SMALL: Options = Options {
    segment_bytes: 8_192,
    batch_bytes_max: 4_072,
    sync: Some(SyncMethod::WriteFdatasync),
};

/// Writes `entries` with a commit after each `batch` of them.
fn write(dir: &Path, options: Options, entries: &[Entry], batch: usize) -> Recovery {
    let (mut writer, recovery) = Writer::open(dir, options, &mut |_| {}).unwrap();
    for entries in entries.chunks(batch) {
        for entry in entries {
            writer.append(&entry.command, &entry.events).unwrap();
        }
        let last = entries.last().unwrap().command.seq;
        assert_eq!(writer.commit().unwrap(), last);
        assert_eq!(writer.last_durable(), last);
    }
    recovery
}

/// Scans and collects the entries that were visited before the result.
fn read(dir: &Path) -> (Vec<Entry>, Result<Recovery, JournalError>) {
    let mut entries = Vec::new();
    let result = scan(dir, &mut |entry, _| {
        entries.push(entry.clone());
        ControlFlow::Continue(())
    });
    (entries, result)
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    paths.sort();
    paths
}

fn seq(entries: &[Entry]) -> Seq {
    entries.last().map_or(Seq::ZERO, |entry| entry.command.seq)
}

/// What a damage error says, without the directory.
fn damage(error: &JournalError) -> String {
    let JournalError::Damaged { segment, offset, seq, what } = error else {
        panic!("not damage: {error}")
    };
    let name = segment.file_name().unwrap().to_string_lossy();
    format!("{name} @{offset} #{seq}: {what}")
}
