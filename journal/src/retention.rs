//! Which segments may go: those that nothing reads any more, oldest first.

use std::{
    fs::{self, File},
    io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use types::Seq;

use crate::{
    directory::{SegmentFile, list_segments},
    error::JournalError,
    snapshots::{self, SnapshotError},
};

/// Why segments cannot be removed. Those that were removed before are gone.
#[derive(Debug, thiserror::Error)]
pub enum RetainError {
    /// The segments cannot be listed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The snapshots cannot be listed.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A segment cannot be removed for good.
    #[error("cannot remove segment `{}`", path.display())]
    Remove {
        /// The segment.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Removes the oldest segments of the journal in `dir` that nobody needs, and returns how many.
///
/// A segment goes only when every entry in it is in each sound snapshot beside it, the oldest
/// included, and everybody who follows the journal has acknowledged it: `consumed` is the least of
/// what they have. At least `keep` segments stay, and the last one always. Without a sound snapshot
/// nothing goes. A writer may go on meanwhile: what has a successor is not written again.
///
/// A crash at any moment leaves a journal without a gap.
///
/// # Errors
/// When the directory cannot be listed, or a segment not be removed for good.
pub fn retain(dir: &Path, consumed: Seq, keep: NonZeroUsize) -> Result<usize, RetainError> {
    let Some(snapshot) = snapshots::oldest_sound(dir)? else { return Ok(0) };
    let needed = consumed.min(snapshot).next();
    let segments = list_segments(dir)?;
    let most = segments.len().saturating_sub(keep.get());
    let unneeded = segments.windows(2).take(most).map_while(|pair| match pair {
        [segment, next] if next.first_seq <= needed => Some(segment),
        _ => None,
    });
    let mut removed = 0;
    for SegmentFile { path, .. } in unneeded {
        remove(dir, path).map_err(|source| RetainError::Remove { path: path.clone(), source })?;
        removed += 1;
    }
    Ok(removed)
}

/// Removes a segment before any later one is: of two removals a crash could keep the second alone.
fn remove(dir: &Path, segment: &Path) -> io::Result<()> {
    fs::remove_file(segment)?;
    File::open(dir)?.sync_all()
}
