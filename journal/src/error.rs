//! What can go wrong with a journal, one variant per operation.

use std::{fmt, io, path::PathBuf};

use types::Seq;

use crate::SyncMethod;

/// Why a journal cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The options do not fit together.
    #[error("journal `{}` cannot be opened with these options: {what}", path.display())]
    InvalidOptions {
        /// The journal's directory.
        path: PathBuf,
        /// The rule that is broken.
        what: &'static str,
    },
    /// The directory cannot be created, opened or listed.
    #[error("cannot open journal directory `{}`", path.display())]
    OpenDirectory {
        /// The journal's directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another writer has the journal open.
    #[error("journal `{}` is locked by another writer", path.display())]
    Locked {
        /// The journal's directory.
        path: PathBuf,
    },
    /// There are no segments, or a file with a segment's name is something else.
    #[error("`{}` is not a journal", path.display())]
    NotAJournal {
        /// The directory or the file.
        path: PathBuf,
    },
    /// A segment was written by a later version of this software.
    #[error("segment `{}` has format version {version}, which is not supported", path.display())]
    UnsupportedVersion {
        /// The segment.
        path: PathBuf,
        /// Its version.
        version: u16,
    },
    /// A segment cannot be created, preallocated or given its name.
    #[error("cannot create segment `{}`", path.display())]
    CreateSegment {
        /// The segment.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A segment cannot be opened or read.
    #[error("cannot read segment `{}`", path.display())]
    ReadSegment {
        /// The segment.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A journal cannot be copied.
    #[error("cannot copy a journal to `{}`", path.display())]
    Copy {
        /// The directory of the copy.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A segment cannot be mapped into memory.
    #[error("cannot map segment `{}`", path.display())]
    MapSegment {
        /// The segment.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refuses what a way of making batches durable needs.
    #[error("batches of journal `{}` cannot be made durable by {method}", path.display())]
    Method {
        /// The journal's directory.
        path: PathBuf,
        /// The way that was asked for.
        method: SyncMethod,
        /// What the system said.
        source: io::Error,
    },
    /// Written bytes cannot be made durable. Whether they are is unknown: the writer is poisoned.
    #[error("cannot sync `{}` after sequence {durable}", path.display())]
    Sync {
        /// The segment or directory.
        path: PathBuf,
        /// The last sequence known to be durable.
        durable: Seq,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that were durable once are not what was written.
    #[error("segment `{}` is damaged at offset {offset} (sequence {seq}): {what}", segment.display())]
    Damaged {
        /// The segment.
        segment: PathBuf,
        /// Byte in its file at which the damaged batch or header starts.
        offset: u64,
        /// The first sequence that cannot be read.
        seq: Seq,
        /// The check that failed.
        what: Damage,
    },
    /// The first segments were removed, and somebody asks for what was in them.
    #[error(
        "journal `{}` begins at sequence {first}, what came before was removed; it can be read from a \
         snapshot after sequence {} or later, and not from its beginning",
        path.display(),
        first.get().saturating_sub(1)
    )]
    BeginsLater {
        /// The journal's directory.
        path: PathBuf,
        /// The first sequence that is there.
        first: Seq,
    },
    /// One command with its events is larger than a batch may be.
    #[error("entry {seq} needs a batch of {bytes} bytes, at most {max} are allowed")]
    BatchTooLarge {
        /// The command.
        seq: Seq,
        /// What it needs.
        bytes: u64,
        /// [`Options::batch_bytes_max`](crate::Options::batch_bytes_max).
        max: u32,
    },
    /// An earlier operation failed. Only a new writer, which reads what is durable, can go on.
    #[error("journal `{}` failed earlier and takes nothing more", path.display())]
    Poisoned {
        /// The journal's directory.
        path: PathBuf,
    },
}

/// Which check a damaged segment failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The segment's header fails its checksum.
    SegmentHeader,
    /// The file's size is not what its header says.
    SegmentSize,
    /// The file's name is not the sequence its header says.
    SegmentName,
    /// A segment before this one is missing, or this one is not the next.
    SegmentOrder,
    /// The batch's header is not one.
    BatchHeader,
    /// The batch fails its checksum.
    BatchChecksum,
    /// The batch fails its hash.
    BatchHash,
    /// The batch or segment does not name the hash of the batch before it.
    Chain,
    /// The batch or segment does not start at the next sequence.
    Sequence,
    /// The epoch is earlier than the one before it.
    Epoch,
    /// A record in an intact batch has no meaning.
    Record,
    /// The end-of-segment marker contradicts what precedes it, or a segment follows without one.
    EndMarker,
    /// There are bytes after the end-of-segment marker.
    AfterEnd,
    /// The journal ends before a sequence that is known to have been durable.
    BelowWatermark,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SegmentHeader => "segment header fails its checksum",
            Self::SegmentSize => "file size differs from the segment header",
            Self::SegmentName => "file name differs from the segment header",
            Self::SegmentOrder => "a segment before it is missing or out of order",
            Self::BatchHeader => "no batch header where a batch must be",
            Self::BatchChecksum => "batch fails its checksum",
            Self::BatchHash => "batch fails its hash",
            Self::Chain => "hash of the previous batch differs",
            Self::Sequence => "sequence does not continue",
            Self::Epoch => "epoch goes backwards",
            Self::Record => "record in an intact batch has no meaning",
            Self::EndMarker => "end-of-segment marker is missing or does not fit",
            Self::AfterEnd => "bytes after the end-of-segment marker",
            Self::BelowWatermark => "journal ends before a sequence known to be durable",
        })
    }
}
