//! Logs of an exchange itself: a journal, or its commands as NDJSON.

use std::{ops::ControlFlow, path::Path};

use journal::{Entry, Reader};
use types::Seq;

use super::{BadRow, Row, RowError, Rows, lines::Lines};
use crate::fields::{FieldError, Object, command_from_fields};

/// Reads the commands of a journal.
#[derive(Debug)]
pub struct JournalRows {
    reader: Reader,
    last: Seq,
    entry: Entry,
}

impl JournalRows {
    /// Proves the journal in `dir` and opens it.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn open(dir: &Path) -> Result<Self, RowError> {
        let recovery = journal::scan(dir, &mut |_, _| ControlFlow::Continue(()))?;
        let reader = Reader::open(dir, Seq::ZERO)?;
        Ok(Self { reader, last: recovery.last_seq, entry: Entry::default() })
    }
}

impl Rows for JournalRows {
    fn next_row(&mut self) -> Option<Result<Row, RowError>> {
        match self.reader.next(self.last, &mut self.entry) {
            Ok(true) => Some(Ok(Row::Command(self.entry.command))),
            Ok(false) => None,
            Err(error) => {
                self.last = Seq::ZERO;
                Some(Err(error.into()))
            }
        }
    }
}

/// Reads exported commands.
#[derive(Debug)]
pub struct CommandRows {
    lines: Lines,
}

impl CommandRows {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, RowError> {
        Ok(Self { lines: Lines::open(path)? })
    }
}

impl Rows for CommandRows {
    fn next_row(&mut self) -> Option<Result<Row, RowError>> {
        let parsed = match self.lines.next()? {
            Ok(line) => serde_json::from_str::<Object>(line)
                .map_err(|error| ("line".to_owned(), error.to_string(), "a JSON object")),
            Err(error) => return Some(Err(error)),
        };
        let command = parsed.and_then(|fields| {
            command_from_fields(&fields)
                .map_err(|FieldError { field, got, expected }| (field, got, expected))
        });
        let place = format!("line {}", self.lines.number());
        Some(command.map(Row::Command).map_err(|(column, value, expected)| {
            BadRow { place, column: column.into(), value, expected: expected.to_owned() }.into()
        }))
    }
}
