//! Where two journals part: the first command or event that is not the same.

use std::path::{Path, PathBuf};

use journal::{Entry, JournalError, Reader, Recovery};
use serde_json::Value;
use types::Seq;

use crate::fields::{Object, command_fields, differing, event_fields};

/// What two journals have to do with each other.
#[derive(Debug, Clone, PartialEq)]
pub enum Comparison {
    /// The same commands at the same times caused the same events.
    Equal {
        /// How many entries.
        entries: u64,
    },
    /// One ends where the other goes on.
    Prefix {
        /// Entries of the first.
        left: u64,
        /// Entries of the second.
        right: u64,
    },
    /// They part.
    Different(Box<Difference>),
}

/// The first difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Where.
    pub seq: Seq,
    /// Index of the event, or `None` when the command itself differs.
    pub event: Option<usize>,
    /// What the first journal holds there, field by field; empty when it holds nothing.
    pub left: Object,
    /// What the second holds.
    pub right: Object,
}

impl Difference {
    /// The fields that differ, with both values.
    #[must_use]
    pub fn fields(&self) -> Vec<(String, Value, Value)> {
        differing(&self.left, &self.right)
    }
}

/// A journal that is compared.
#[derive(Debug)]
struct Side {
    reader: Reader,
    last: Seq,
    entry: Entry,
}

impl Side {
    fn open(dir: &Path, last: Seq) -> Result<Self, JournalError> {
        Ok(Self { reader: Reader::open(dir, Seq::ZERO)?, last, entry: Entry::default() })
    }

    fn next(&mut self) -> Result<bool, JournalError> {
        self.reader.next(self.last, &mut self.entry)
    }
}

/// Proves both journals and compares them, entry by entry.
///
/// # Errors
/// When one cannot be read or is damaged.
pub fn diff(left: &Path, right: &Path) -> Result<Comparison, JournalError> {
    let (found_left, found_right) = prove(left, right)?;
    let mut sides =
        (Side::open(left, found_left.last_seq)?, Side::open(right, found_right.last_seq)?);
    loop {
        match (sides.0.next()?, sides.1.next()?) {
            (true, true) => {}
            (false, false) => return Ok(Comparison::Equal { entries: found_left.entries }),
            (true, false) | (false, true) => {
                let (left, right) = (found_left.entries, found_right.entries);
                return Ok(Comparison::Prefix { left, right });
            }
        }
        let (left, right) = (&sides.0.entry, &sides.1.entry);
        if left != right {
            return Ok(Comparison::Different(Box::new(difference(left, right))));
        }
    }
}

/// Scans both at the same time.
fn prove(left: &Path, right: &Path) -> Result<(Recovery, Recovery), JournalError> {
    let scan = |dir: PathBuf| journal::scan(&dir, &mut |_, _| std::ops::ControlFlow::Continue(()));
    let (left, right) = (left.to_owned(), right.to_owned());
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || scan(left));
        let right = scan(right);
        let left = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((left?, right?))
    })
}

/// The first difference of two entries that differ.
fn difference(left: &Entry, right: &Entry) -> Difference {
    let seq = left.command.seq;
    if left.command != right.command {
        let (left, right) = (command_fields(&left.command), command_fields(&right.command));
        return Difference { seq, event: None, left, right };
    }
    let same = left.events.iter().zip(&right.events).take_while(|(left, right)| left == right);
    let index = same.count();
    let fields = |entry: &Entry| {
        let event = entry.events.get(index);
        let put = |event| event_fields(seq, entry.command.time, index, event);
        event.map(put).unwrap_or_default()
    };
    Difference { seq, event: Some(index), left: fields(left), right: fields(right) }
}
