//! The journal: every command with the events it caused, in order, durable before anyone is told.
//!
//! A journal is a directory of preallocated segments. [`Writer`] appends entries to a batch
//! and makes them durable together; [`Reader`] follows behind at its own pace;
//! [`scan`] checks a whole journal for tools. `docs/journal.md` has the byte tables, the rule that
//! tells a torn tail from damage, and the faults that are covered.
#![deny(unsafe_code)]

mod ahead;
#[expect(unsafe_code, reason = "docs/decisions/0002-unsafe-mapping.md")]
mod bus_error;
mod copying;
mod directory;
mod error;
mod format;
#[expect(unsafe_code, reason = "docs/decisions/0002-unsafe-mapping.md")]
mod mapping;
mod probe;
mod reader;
mod record;
mod retention;
#[expect(unsafe_code, reason = "docs/decisions/0019-io-uring.md")]
mod ring;
mod scan;
pub mod snapshots;
mod space;
mod storage;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use types::{Command, Digest, Event, Seq, Sequenced, Timestamp};

pub use copying::copy;
pub use directory::first_seq;
pub use error::{Damage, JournalError};
pub use probe::{MethodFigures, SyncChoice};
pub use reader::Reader;
pub use retention::{RetainError, retain};
pub use scan::{scan, scan_after, scan_expecting};
pub use space::space;
pub use storage::SyncMethod;
pub use writer::Writer;

/// Largest segment: offsets and batch lengths stay within 31 bits.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// Smallest segment: one page of header and one page of batches.
pub const SEGMENT_BYTES_MIN: u64 = 8_192;

/// How a writer lays out what it creates. Existing segments keep their size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Size of new segments: a multiple of 4,096 from [`SEGMENT_BYTES_MIN`] to
    /// [`SEGMENT_BYTES_MAX`].
    pub segment_bytes: u64,
    /// Largest batch, header and trailer included. A batch must fit into an empty segment. An
    /// entry that would make the open batch larger commits it first.
    pub batch_bytes_max: u32,
    /// How a batch is made durable; `None` for the way that is fastest in the journal's directory,
    /// which takes some 100 ms to measure. A journal can be opened with another way each time.
    pub sync: Option<SyncMethod>,
}

impl Default for Options {
    /// 64 MiB segments. Half a segment for a batch holds the 320,000 trades of one uncross:
    /// 33,554,432 bytes / 104-byte trade records.
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            batch_bytes_max: 32 << 20,
            sync: Some(SyncMethod::default()),
        }
    }
}

impl Options {
    fn check(self, directory: &std::path::Path) -> Result<(), JournalError> {
        let refuse =
            |what| Err(JournalError::InvalidOptions { path: PathBuf::from(directory), what });
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            return refuse("segment_bytes must be 8 KiB to 1 GiB");
        }
        if self.segment_bytes.rem_euclid(4_096) != 0 {
            return refuse("segment_bytes must be a multiple of 4096");
        }
        let batch = format::narrow(u64::from(self.batch_bytes_max));
        if batch < format::BATCH_BYTES_MIN || batch > format::batch_room(self.segment_bytes) {
            return refuse("batch_bytes_max must hold a batch and fit into an empty segment");
        }
        Ok(())
    }
}

/// A command and what it caused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The command, with its place and time.
    pub command: Sequenced<Command>,
    /// What it caused, in order.
    pub events: Vec<Event>,
}

impl Default for Entry {
    /// A place to read into: nothing at sequence 0, which no journal holds.
    fn default() -> Self {
        let value = Command::PassTime;
        let command = Sequenced { seq: Seq::ZERO, time: Timestamp::default(), value };
        Self { command, events: Vec::new() }
    }
}

/// What was found in a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// Sequence of the last entry; zero when there is none.
    pub last_seq: Seq,
    /// Time of the last entry.
    pub last_time: Timestamp,
    /// How many entries there are.
    pub entries: u64,
    /// How many segments there are.
    pub segments: u32,
    /// Bytes of an unfinished last batch: written, never made durable. A writer has zeroed them.
    pub torn_bytes: u64,
    /// Hash of the last batch, which vouches for every byte of every batch before it. Zero when
    /// there is none.
    pub chain: Digest,
}

impl Recovery {
    /// The end of the last batch that was found.
    #[must_use]
    pub const fn end(&self) -> BatchEnd {
        BatchEnd { seq: self.last_seq, time: self.last_time, chain: self.chain }
    }
}

/// The end of a batch: a place between two entries that the hash chain vouches for. A snapshot
/// stands at one, and a journal can be read on from one without what lies before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchEnd {
    /// Sequence of the last entry of the batch.
    pub seq: Seq,
    /// Time of that entry.
    pub time: Timestamp,
    /// Hash of the batch.
    pub chain: Digest,
}

impl BatchEnd {
    /// Before the first batch of all.
    pub const START: Self =
        Self { seq: Seq::ZERO, time: Timestamp::from_ns(0), chain: Digest::new([0; 32]) };
}

/// Where an entry lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Index of the segment, from 1.
    pub segment: u32,
    /// Byte in the segment's file at which the entry's command record starts.
    pub offset: u64,
    /// Hash of its batch, where it is the last entry of one.
    pub batch_end: Option<Digest>,
}

impl Position {
    /// The end of the batch of which `entry`, which lies here, is the last.
    #[must_use]
    pub fn end_after(&self, entry: &Entry) -> Option<BatchEnd> {
        let Sequenced { seq, time, .. } = entry.command;
        self.batch_end.map(|chain| BatchEnd { seq, time, chain })
    }
}
