//! What is in a journal: its files, its batches, and how many of each kind of command and event.

mod segments;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, io, ops::ControlFlow, path::Path, path::PathBuf};

use journal::{Entry, JournalError, Position, Recovery};
use types::{Event, RejectReason, Timestamp};

pub use segments::{Batches, Segment};

use crate::fields::{command_bytes, command_name, event_bytes, event_name};

/// Head of a record, and the time that follows it in a command's.
const RECORD_HEAD_BYTES: u64 = 8;
const COMMAND_HEAD_BYTES: u64 = 16;

/// How many of one kind, and how many bytes of records they take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub count: u64,
    /// Bytes of their records.
    pub bytes: u64,
}

impl Count {
    fn add(&mut self, bytes: u64) {
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// See the module's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// What the scan found.
    pub recovery: Recovery,
    /// Time of the first entry.
    pub first_time: Timestamp,
    /// Every segment, in order.
    pub segments: Vec<Segment>,
    /// How large batches are.
    pub batches: Batches,
    /// Commands by kind.
    pub commands: BTreeMap<&'static str, Count>,
    /// Events by kind.
    pub events: BTreeMap<&'static str, Count>,
    /// Refusals by reason, of requests and of the operator's commands.
    pub rejects: BTreeMap<RejectReason, u64>,
}

/// Why a journal cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It cannot be read, or is damaged.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Proves the journal in `dir` and counts what is in it. `each` is shown every entry.
///
/// # Errors
/// When it cannot be read or is damaged.
pub fn inspect(
    dir: &Path,
    each: &mut dyn FnMut(&Entry, Position),
) -> Result<Inspection, InspectError> {
    let (mut commands, mut events) = (BTreeMap::new(), BTreeMap::new());
    let mut rejects = BTreeMap::new();
    let mut first_time = None;
    let recovery = journal::scan(dir, &mut |entry, position| {
        let command = &entry.command.value;
        let counted: &mut Count = commands.entry(command_name(command)).or_default();
        counted.add(COMMAND_HEAD_BYTES.saturating_add(command_bytes(command)));
        for event in &entry.events {
            let counted: &mut Count = events.entry(event_name(event)).or_default();
            counted.add(RECORD_HEAD_BYTES.saturating_add(event_bytes(event)));
            if let Some(reason) = rejection(event) {
                let count: &mut u64 = rejects.entry(reason).or_default();
                *count = count.saturating_add(1);
            }
        }
        first_time.get_or_insert(entry.command.time);
        each(entry, position);
        ControlFlow::Continue(())
    })?;
    let (segments, batches) = segments::read(dir, recovery.last_seq.get())?;
    let first_time = first_time.unwrap_or_default();
    Ok(Inspection { recovery, first_time, segments, batches, commands, events, rejects })
}

impl Inspection {
    /// Bytes of all segments that hold something valid.
    #[must_use]
    pub fn bytes_used(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes_used).fold(0, u64::saturating_add)
    }

    /// Bytes of all records.
    #[must_use]
    pub fn record_bytes(&self) -> u64 {
        let all = self.commands.values().chain(self.events.values());
        all.map(|count| count.bytes).fold(0, u64::saturating_add)
    }

    /// Used bytes of the journal for each new order in it, in tenths of a byte; `None` when there is
    /// no order.
    #[must_use]
    pub fn tenths_of_bytes_per_order(&self) -> Option<u64> {
        let orders = self.commands.get("new_order")?.count;
        self.bytes_used().saturating_mul(10).checked_div(orders)
    }
}

/// Why a request or a command was refused, if it was.
const fn rejection(event: &Event) -> Option<RejectReason> {
    if let Event::OrderRejected(rejected) = event {
        return Some(rejected.reason);
    }
    if let Event::CommandRejected(rejected) = event {
        return Some(rejected.reason);
    }
    None
}
