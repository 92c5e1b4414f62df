//! What a sync costs in a directory: a journal of its own that commits one entry after the other.

use std::{path::Path, time::Instant};

use journal::{Options, Writer};
use serde::Serialize;

use crate::{
    Failure,
    history::History,
    latency::{Latencies, Percentiles},
    machine,
    market::Setup,
};

/// How many commits are timed.
const COMMITS: usize = 200;

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct SyncProbe {
    /// File system of the directory.
    pub file_system: String,
    /// Commits of a single entry, in microseconds.
    pub commit_us: Percentiles,
}

/// Commits single entries to a new journal in `dir` and removes it again.
///
/// # Errors
/// When the journal cannot be written.
pub fn probe(dir: &Path) -> Result<SyncProbe, Failure> {
    let folder = tempfile::tempdir_in(dir)?;
    let options =
        Options { segment_bytes: 1 << 20, batch_bytes_max: 1 << 19, ..Options::default() };
    let history = History::of_orders(&Setup::new(1, 64), COMMITS, 1)?;
    let (mut writer, _) = Writer::open(folder.path(), options, &mut |_| {})?;
    let mut latencies = Latencies::new()?;
    for (command, events) in history.entries().take(COMMITS) {
        writer.append(command, events)?;
        let began = Instant::now();
        writer.commit()?;
        latencies.record(began.elapsed());
    }
    Ok(SyncProbe {
        file_system: machine::file_system_of(folder.path()),
        commit_us: latencies.percentiles(),
    })
}
