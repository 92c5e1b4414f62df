//! A journal cut at every byte, and with every bit flipped: what is damaged is refused, and no
//! entry is ever given that was not written.

use std::{
    fs::{self, OpenOptions},
    ops::{ControlFlow, Range},
    os::unix::fs::FileExt,
    path::Path,
    thread,
};

use journal::{JournalError, Options, SyncMethod, Writer, scan_expecting};
use types::Seq;

use crate::{
    Failure, Outcome,
    history::{self, Dice},
    kills::memory,
};

/// The header of a segment and what no segment uses.
const BESIDE_BATCHES: u64 = 8_192;

pub(crate) fn run(bytes: u64, seed: u64) -> Result<Outcome, Failure> {
    let workers = thread::available_parallelism()?.get();
    let end = usize::try_from(bytes)?;
    let share = end.div_ceil(workers);
    let found: Result<Vec<_>, Failure> = thread::scope(|scope| {
        let threads: Vec<_> = (0..end)
            .step_by(share)
            .map(|first| scope.spawn(move || work(bytes, seed, first..end.min(first + share))))
            .collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a worker failed")?).collect()
    });
    let flips = found?.into_iter().sum::<u64>();
    Ok(Outcome::Passed(format!(
        "cuts: {bytes} cuts and {flips} flipped bits of a journal of {bytes} bytes, seed {seed}: 0 \
         undetected, 0 entries that were not written"
    )))
}

/// Cuts and flips in one part, in a journal of its own. Returns how many bits were flipped.
fn work(bytes: u64, seed: u64, part: Range<usize>) -> Result<u64, Failure> {
    let folder = memory()?;
    let dir = folder.path();
    let last = write(dir, bytes, seed)?;
    let path = dir.join("00000000000000000001.seg");
    let image = fs::read(&path)?;
    let used = image.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let file = OpenOptions::new().write(true).open(&path)?;
    let mut flips = 0;
    for at in part {
        let (offset, byte) = (u64::try_from(at)?, image.get(at).copied().ok_or("too short")?);
        file.set_len(offset)?;
        if at < used && !refused(dir, last)? {
            return Err(format!("a cut at byte {at} is not noticed, seed {seed}").into());
        }
        // What was cut off comes back.
        file.write_all_at(image.get(at..).unwrap_or_default(), offset)?;
        for bit in 0..8 {
            file.write_all_at(&[byte ^ (1 << bit)], offset)?;
            if !refused(dir, last)? {
                return Err(format!("bit {bit} of byte {at} is not noticed, seed {seed}").into());
            }
            flips += 1;
        }
        file.write_all_at(&[byte], offset)?;
    }
    if refused(dir, last)? {
        return Err("the journal is refused after everything was put back".into());
    }
    Ok(flips)
}

/// A journal of one segment whose batches take about `bytes`, with the header. Returns its last
/// sequence.
fn write(dir: &Path, bytes: u64, seed: u64) -> Result<Seq, Failure> {
    let options = Options {
        segment_bytes: bytes.saturating_add(BESIDE_BATCHES).next_multiple_of(4_096),
        batch_bytes_max: 4_000,
        sync: Some(SyncMethod::WriteFdatasync),
    };
    let (mut writer, _) = Writer::open(dir, options, &mut |_| {})?;
    let mut dice = Dice(seed);
    let mut seq = Seq::ZERO;
    let mut used = 4_096;
    while used < bytes {
        used += 120;
        for _ in 0..1 + dice.below(8) {
            seq = seq.next();
            let entry = history::entry(seq);
            // Records of a cancellation, and of what it caused.
            used += 48 + 40 * u64::try_from(entry.events.len())?;
            writer.append(&entry.command, &entry.events)?;
        }
        writer.commit()?;
    }
    Ok(seq)
}

/// Whether the journal, of which `last` is known to have been durable, is refused or has a torn
/// end behind all of its entries. No entry may be wrong.
fn refused(dir: &Path, last: Seq) -> Result<bool, Failure> {
    let mut wrong = false;
    let scanned = scan_expecting(dir, last, &mut |entry, _| {
        wrong = *entry != history::entry(entry.command.seq);
        if wrong { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match scanned {
        _ if wrong => Err("an entry is given that was not written".into()),
        Ok(recovery) => Ok(recovery.torn_bytes > 0),
        Err(JournalError::Damaged { .. } | JournalError::NotAJournal { .. }) => Ok(true),
        Err(JournalError::UnsupportedVersion { .. }) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
