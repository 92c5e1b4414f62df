//! The directory of a journal: its lock, its list of segments, and how a segment comes into being.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FallocateFlags, FlockOperation};
use types::Seq;

use crate::{
    error::{Damage, JournalError},
    format::{HeaderFault, SEGMENT_HEADER_BYTES, SegmentHeader},
};

/// A directory held under the exclusive lock. Dropping it gives the lock back.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    handle: File,
}

/// A file with a segment's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentFile {
    /// The sequence in its name.
    pub(crate) first_seq: Seq,
    pub(crate) path: PathBuf,
}

impl Directory {
    /// Creates the directory if need be, locks it, and removes segments that never got their name.
    pub(crate) fn lock(path: &Path) -> Result<Self, JournalError> {
        let failed = |source| JournalError::OpenDirectory { path: path.to_owned(), source };
        create_durably(path).map_err(failed)?;
        let handle = File::open(path).map_err(failed)?;
        match rustix::fs::flock(&handle, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(JournalError::Locked { path: path.to_owned() });
            }
            Err(errno) => return Err(failed(errno.into())),
        }
        for entry in fs::read_dir(path).map_err(failed)? {
            let unfinished = entry.map_err(failed)?.path();
            if unfinished.to_string_lossy().ends_with(".seg.new") {
                fs::remove_file(unfinished).map_err(failed)?;
            }
        }
        Ok(Self { path: path.to_owned(), handle })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a segment of a prepared file at `unnamed`: with its header, durable, and only then
    /// named. A file with a segment's name therefore always has a whole header.
    pub(crate) fn name_segment(
        &self,
        header: &SegmentHeader,
        file: &File,
        unnamed: &Path,
    ) -> io::Result<()> {
        file.write_all_at(&header.encode(), 0)?;
        file.sync_all()?;
        fs::rename(unnamed, segment_path(&self.path, header.first_seq))?;
        self.handle.sync_all()
    }
}

/// Creates a directory and those above it that are missing, each durable in the one above.
fn create_durably(path: &Path) -> io::Result<()> {
    let above = match path.parent() {
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => return Ok(()),
    };
    if !above.is_dir() {
        create_durably(above)?;
    }
    match fs::create_dir(path) {
        Ok(()) => File::open(above)?.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Reserves disk blocks for the whole file, so that a mapped write cannot meet a full disk. Bytes
/// that were not written yet read as zero.
pub(crate) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes)?;
    Ok(())
}

/// Path of the segment that starts at `first_seq`.
pub(crate) fn segment_path(directory: &Path, first_seq: Seq) -> PathBuf {
    directory.join(format!("{:020}.seg", first_seq.get()))
}

/// The segments of a journal in order. Files with other names are not the journal's.
pub(crate) fn list_segments(directory: &Path) -> Result<Vec<SegmentFile>, JournalError> {
    let failed = |source| JournalError::OpenDirectory { path: directory.to_owned(), source };
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_none_or(|extension| extension != "seg") {
            continue;
        }
        let first_seq = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .filter(|stem| stem.len() == 20 && stem.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|stem| stem.parse().ok());
        match first_seq {
            Some(first_seq) => segments.push(SegmentFile { first_seq, path }),
            None => return Err(JournalError::NotAJournal { path }),
        }
    }
    segments.sort_by_key(|segment| segment.first_seq);
    Ok(segments)
}

/// The first sequence that the journal in `dir` holds, or will: 1 unless segments were removed.
///
/// # Errors
/// [`JournalError::NotAJournal`] when there are no segments, or the directory cannot be listed.
pub fn first_seq(dir: &Path) -> Result<Seq, JournalError> {
    let segments = list_segments(dir)?;
    let first = segments.first().ok_or_else(|| JournalError::NotAJournal { path: dir.to_owned() });
    first.map(|segment| segment.first_seq)
}

/// Reads and checks the header of the segment in `file`, which must be the one its name says.
pub(crate) fn read_header(
    file: &File,
    segment: &SegmentFile,
) -> Result<SegmentHeader, JournalError> {
    let mut page = [0; SEGMENT_HEADER_BYTES];
    let damaged = |what| damaged_header(segment, what);
    match file.read_exact_at(&mut page, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(damaged(Damage::SegmentSize));
        }
        Err(source) => {
            return Err(JournalError::ReadSegment { path: segment.path.clone(), source });
        }
    }
    let header = SegmentHeader::decode(&page).map_err(|fault| match fault {
        HeaderFault::Checksum => damaged(Damage::SegmentHeader),
        HeaderFault::Magic => JournalError::NotAJournal { path: segment.path.clone() },
        HeaderFault::Version(version) => {
            JournalError::UnsupportedVersion { path: segment.path.clone(), version }
        }
    })?;
    if header.first_seq != segment.first_seq {
        return Err(damaged(Damage::SegmentName));
    }
    if !(crate::SEGMENT_BYTES_MIN..=crate::SEGMENT_BYTES_MAX).contains(&header.segment_bytes) {
        return Err(damaged(Damage::SegmentSize));
    }
    Ok(header)
}

/// What is asked for came before the first segment.
pub(crate) fn begins_later(directory: &Path, first: &SegmentFile) -> JournalError {
    JournalError::BeginsLater { path: directory.to_owned(), first: first.first_seq }
}

/// Damage at the start of a segment.
pub(crate) fn damaged_header(segment: &SegmentFile, what: Damage) -> JournalError {
    JournalError::Damaged { segment: segment.path.clone(), offset: 0, seq: segment.first_seq, what }
}
