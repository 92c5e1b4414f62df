//! A segment that is cut short under a process that writes into a mapping of it: the process ends
//! with a sentence and an exit code, and not by a signal.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use journal::SyncMethod;

use crate::{
    Failure, Outcome,
    check::{Appender, Plan},
};

/// What stays of a segment: its header. The pages of every batch are gone.
const LEFT_BYTES: u64 = 4_096;
/// Entries that are acknowledged before.
const UNTIL_CUT: u64 = 50;

pub(crate) fn run(count: u64, seed: u64) -> Result<Outcome, Failure> {
    let mut acked = 0;
    for method in [SyncMethod::Msync, SyncMethod::MappedFdatasync] {
        for round in 0..count {
            let seed = seed.wrapping_add(round);
            acked += shorten(method, seed).map_err(|error| format!("{method}: {error}"))?;
        }
    }
    Ok(Outcome::Passed(format!(
        "shortened: {} processes lost the segment they wrote into, after {acked} acknowledged \
         entries; all said so and ended with code 1, seed {seed}",
        2 * count
    )))
}

/// What was acknowledged before.
fn shorten(method: SyncMethod, seed: u64) -> Result<u64, Failure> {
    let folder = tempfile::tempdir()?;
    let dir = folder.path().join("journal");
    let plan = Plan {
        dir: &dir,
        method: Some(method),
        seed,
        until: u64::MAX,
        manner: "honest",
        under: &[],
    };
    let mut appender = Appender::start(&plan)?;
    while appender.said.acked < UNTIL_CUT {
        if !appender.listen()? {
            return Err("the appender ended before its segment was cut".into());
        }
    }
    let acked = appender.said.acked;
    // It may go on in another segment meanwhile, which is then cut too.
    loop {
        let newest = newest_segment(&dir)?;
        File::options().write(true).open(newest)?.set_len(LEFT_BYTES)?;
        if !appender.listen()? {
            break;
        }
    }
    let (said, status) = appender.finish()?;
    let errors = said.errors.trim_end();
    if status.code() != Some(1) || !errors.starts_with("error: SIGBUS") || errors.contains('\n') {
        return Err(format!("{status}, which says `{errors}`").into());
    }
    Ok(acked)
}

fn newest_segment(dir: &Path) -> Result<PathBuf, Failure> {
    let mut newest = None;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            newest = newest.max(Some(path));
        }
    }
    newest.ok_or_else(|| "there is no segment".into())
}
