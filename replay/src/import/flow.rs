//! Flow files (`EOLBOOK1`), read operation by operation.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use super::{Action, BadRow, Message, Row, RowError, Rows, Stay};
use crate::flow::{FlowHeader, FlowKind, FlowOperation, HEADER_BYTES, OPERATION_BYTES};

/// Reads a flow. Its prices are ticks and its quantities lots already.
#[derive(Debug)]
pub struct FlowRows {
    path: PathBuf,
    file: BufReader<File>,
    header: FlowHeader,
    /// Operations read.
    read: u64,
}

impl FlowRows {
    /// Opens a flow and reads its header.
    ///
    /// # Errors
    /// When it cannot be opened or is none.
    pub fn open(path: &Path) -> Result<Self, RowError> {
        let failed = |source| RowError::Read { path: path.to_owned(), source };
        let mut file = BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?);
        let mut head = [0; HEADER_BYTES];
        file.read_exact(&mut head).map_err(failed)?;
        let header = FlowHeader::from_bytes(&head).map_err(|error| {
            RowError::Broken(BadRow {
                place: "byte 0".to_owned(),
                column: "header".into(),
                value: error.to_string(),
                expected: "the header of a flow".to_owned(),
            })
        })?;
        Ok(Self { path: path.to_owned(), file, header, read: 0 })
    }

    /// What the flow says about itself.
    #[must_use]
    pub const fn header(&self) -> &FlowHeader {
        &self.header
    }

    fn bad(&self, column: &'static str, value: String, expected: String) -> BadRow {
        let at = self.read.saturating_sub(1).saturating_mul(24).saturating_add(64);
        BadRow { place: format!("byte {at}"), column: column.into(), value, expected }
    }

    fn row(&self, bytes: &[u8; OPERATION_BYTES]) -> Result<Row, BadRow> {
        let operation = FlowOperation::from_bytes(bytes)
            .map_err(|(field, got, expected)| self.bad(field, got.to_string(), expected))?;
        let FlowOperation { id, price, quantity, account, book, kind, side } = operation;
        let within = |field, got: u32, first: u32, last: u32| {
            let fits = (first..=last).contains(&got);
            let bad = || self.bad(field, got.to_string(), format!("{first} to {last}"));
            if fits { Ok(()) } else { Err(bad()) }
        };
        within("book", book.into(), 0, self.header.book_count.saturating_sub(1))?;
        within("price", price, 1, self.header.price_max)?;
        let action = match kind {
            FlowKind::Cancel => Action::Cancel { id },
            FlowKind::New | FlowKind::ImmediateOrCancel => {
                within("quantity", quantity, 1, u32::MAX)?;
                let stay = if kind == FlowKind::New { Stay::Rests } else { Stay::Immediate };
                let (price, quantity) = (price.into(), quantity.into());
                Action::New { id, side, price, quantity, account: account.into(), stay }
            }
        };
        Ok(Row::Message(Message { time: 0, book: book.into(), action }))
    }
}

impl Rows for FlowRows {
    fn next_row(&mut self) -> Option<Result<Row, RowError>> {
        if self.read == self.header.operation_count {
            return None;
        }
        self.read = self.read.saturating_add(1);
        let mut bytes = [0; OPERATION_BYTES];
        match self.file.read_exact(&mut bytes) {
            Ok(()) => Some(self.row(&bytes).map_err(RowError::Bad)),
            Err(error) => {
                let missing = self.header.operation_count.saturating_sub(self.read);
                let expected = format!("{} more operations", missing.saturating_add(1));
                let cut = self.bad("operation", "the end of the file".to_owned(), expected);
                self.read = self.header.operation_count;
                Some(Err(if error.kind() == io::ErrorKind::UnexpectedEof {
                    RowError::Broken(cut)
                } else {
                    RowError::Read { path: self.path.clone(), source: error }
                }))
            }
        }
    }
}
