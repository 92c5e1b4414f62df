//! A copy of a journal while it is written, for a backup.
//!
//! A segment that has a successor never changes again. The last one is read from its end to its
//! beginning, a page at a time: entries are written in order, so when a page is read, everything before
//! it holds at least what it held when the pages behind it were read. What is read is therefore the
//! segment as it was at some moment, and behind that perhaps the beginnings of a batch that was being
//! written: a torn tail, as after a crash. The copy is scanned afterwards, so that nothing of this has to be
//! believed.

use std::{
    fs::{self, File},
    io,
    ops::ControlFlow,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use types::Seq;

use crate::{
    BatchEnd, Recovery,
    directory::{SegmentFile, allocate, list_segments},
    error::JournalError,
    scan::scan_after,
    snapshots,
};

/// Read at once: what the system copies in one piece.
const PAGE_BYTES: usize = 4_096;

/// Copies the journal in `from`, with its snapshots, into the new directory `to`, while a writer appends.
/// The copy holds everything up to `durable` and perhaps more, is durable, and was scanned.
///
/// # Errors
/// When a file cannot be read or written, when segments were removed meanwhile (another copy can do), and when the
/// copy is damaged or ends before `durable`.
pub fn copy(from: &Path, to: &Path, durable: Seq) -> Result<Recovery, JournalError> {
    let failed = |source| JournalError::Copy { path: to.to_owned(), source };
    fs::create_dir_all(to).map_err(failed)?;
    // Before the segments: what a snapshot holds must be in the copy too.
    copy_snapshots(from, to).map_err(failed)?;
    let segments = list_segments(from)?;
    let Some((last, complete)) = segments.split_last() else {
        return Err(JournalError::NotAJournal { path: from.to_owned() });
    };
    for segment in complete {
        copy_file(&segment.path, &target(to, segment)).map_err(failed)?;
    }
    copy_backwards(&last.path, &target(to, last)).map_err(failed)?;
    File::open(to).and_then(|directory| directory.sync_all()).map_err(failed)?;
    check(to, segments.first().map_or(Seq::ZERO, |first| first.first_seq), durable)
}

fn target(to: &Path, segment: &SegmentFile) -> PathBuf {
    to.join(segment.path.file_name().unwrap_or_default())
}

/// Those that are removed meanwhile are old.
fn copy_snapshots(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // Those that are not finished have an extension.
        if !name.starts_with("snapshot-") || name.contains('.') {
            continue;
        }
        match copy_file(&path, &to.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            copied => copied?,
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

/// Copies a segment that is written, from its last page to its first.
fn copy_backwards(from: &Path, to: &Path) -> io::Result<()> {
    let (source, target) = (File::open(from)?, File::create_new(to)?);
    let bytes = source.metadata()?.len();
    // As the writer has it: what is written to it cannot meet a full disk.
    allocate(&target, bytes)?;
    let page_bytes = crate::format::wide(PAGE_BYTES);
    let mut page = [0; PAGE_BYTES];
    for number in (0..bytes.div_ceil(page_bytes)).rev() {
        let at = number.saturating_mul(page_bytes);
        let length = bytes.saturating_sub(at).min(page_bytes);
        let (page, _) = page.split_at_mut(crate::format::narrow(length));
        source.read_exact_at(page, at)?;
        if page.iter().any(|&byte| byte != 0) {
            target.write_all_at(page, at)?;
        }
    }
    target.sync_all()
}

/// Scans a copy, from its beginning or from its newest snapshot where the beginning was removed.
fn check(copy: &Path, first: Seq, durable: Seq) -> Result<Recovery, JournalError> {
    let after = if first <= Seq::ZERO.next() {
        BatchEnd::START
    } else {
        let failed = |source| JournalError::Copy { path: copy.to_owned(), source };
        let newest =
            snapshots::newest_valid(copy).map_err(|error| failed(io::Error::other(error)))?;
        newest.snapshot.map_or(BatchEnd::START, |snapshot| snapshot.end)
    };
    scan_after(copy, after, durable, &mut |_, _| ControlFlow::Continue(()))
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use types::{Command, Sequenced, Timestamp};

    use super::*;
    use crate::{Options, SEGMENT_BYTES_MIN, Writer};

    fn options(segment_bytes: u64) -> Options {
        Options { segment_bytes, batch_bytes_max: 4_000, ..Options::default() }
    }

    fn append(writer: &mut Writer, seq: u64) {
        let time = Timestamp::from_ns(i64::try_from(seq).unwrap());
        let command = Sequenced { seq: Seq::new(seq), time, value: Command::PassTime };
        writer.append(&command, &[]).unwrap();
        writer.commit().unwrap();
    }

    #[test]
    fn a_copy_of_a_journal_that_is_written_is_one_of_its_beginnings() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("journal");
        // Small segments: the last one changes all the time.
        let mut writer =
            Writer::open(&from, options(8 * SEGMENT_BYTES_MIN), &mut |_| {}).unwrap().0;
        append(&mut writer, 1);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let writing = scope.spawn(|| {
                let mut seq = 1;
                while !stop.load(Ordering::Relaxed) {
                    seq += 1;
                    append(&mut writer, seq);
                }
                seq
            });
            let mut known = Seq::new(1);
            for number in 0..20 {
                let to = dir.path().join(format!("copy-{number}"));
                let found = copy(&from, &to, known).unwrap();
                assert!(found.last_seq >= known, "{found:?}");
                known = found.last_seq;
                // It can be written on.
                let (mut copied, opened) =
                    Writer::open(&to, options(SEGMENT_BYTES_MIN), &mut |_| {}).unwrap();
                assert_eq!(opened.last_seq, known);
                append(&mut copied, known.get() + 1);
            }
            stop.store(true, Ordering::Relaxed);
            let last = writing.join().unwrap();
            assert!(known.get() > 20 && known.get() <= last, "{known} of {last}");
        });
        let to = dir.path().join("short");
        let error = copy(&from, &to, Seq::new(u64::MAX / 2)).unwrap_err();
        assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
    }
}
