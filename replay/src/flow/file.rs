//! Flows in memory and in files.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{FlowHeader, FlowKind, FlowOperation, HEADER_BYTES, OPERATION_BYTES, OPERATIONS_MAX};

/// A flow in which every operation is possible: prices, books and accounts are within the header's
/// bounds, ids are dense, and a cancellation names an order sent before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    header: FlowHeader,
    operations: Vec<FlowOperation>,
}

/// Why bytes are not a flow. Operations are counted from 0.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// Too short, too long, or cut in the middle.
    #[error("the flow is {got} bytes long, expected {expected}")]
    Length {
        /// Bytes there are.
        got: u64,
        /// How many there should be.
        expected: String,
    },
    /// A field of the header.
    #[error("header: `{field}` is {got}, expected {expected}")]
    Header {
        /// Its name.
        field: &'static str,
        /// Its value.
        got: String,
        /// What it may be.
        expected: String,
    },
    /// A field of an operation.
    #[error("operation {number} at byte {byte}: `{field}` is {got}, expected {expected}")]
    Operation {
        /// Which operation.
        number: usize,
        /// Where the operation begins.
        byte: usize,
        /// Name of the field.
        field: &'static str,
        /// Its value.
        got: u64,
        /// What it may be.
        expected: String,
    },
}

/// What can go wrong with a file that holds a flow.
#[derive(Debug, thiserror::Error)]
pub enum FlowFileError {
    /// It cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds something else.
    #[error("`{}` is not an order flow: {source}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        source: FlowError,
    },
    /// It cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Flow {
    /// A flow whose operations are known to be possible.
    pub(super) const fn of(header: FlowHeader, operations: Vec<FlowOperation>) -> Self {
        Self { header, operations }
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// When it cannot be read, or at the first field that is not possible.
    pub fn read(path: &Path) -> Result<Self, FlowFileError> {
        let read = |source| FlowFileError::Read { path: path.to_owned(), source };
        let refused = |source| FlowFileError::Refused { path: path.to_owned(), source };
        let length = fs::metadata(path).map_err(read)?.len();
        if length > bytes_of(OPERATIONS_MAX) {
            let expected = format!("{} or fewer", bytes_of(OPERATIONS_MAX));
            return Err(refused(FlowError::Length { got: length, expected }));
        }
        let bytes = fs::read(path).map_err(read)?;
        Self::from_bytes(&bytes).map_err(refused)
    }

    /// Checks and decodes a flow.
    ///
    /// # Errors
    /// At the first field that is not possible.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FlowError> {
        let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            let expected = format!("{HEADER_BYTES} or more");
            return Err(FlowError::Length { got, expected });
        };
        let header = FlowHeader::from_bytes(header)?;
        if got != bytes_of(header.operation_count) {
            let count = header.operation_count;
            let expected = format!("{} for {count} operations", bytes_of(count));
            return Err(FlowError::Length { got, expected });
        }
        let (records, _) = rest.as_chunks::<OPERATION_BYTES>();
        let mut check = Check { header, orders: Vec::new(), number: 0 };
        let mut operations = Vec::with_capacity(records.len());
        for (number, record) in records.iter().enumerate() {
            check.number = number;
            operations.push(check.operation(record, &operations)?);
        }
        let ids = u64::try_from(check.orders.len()).unwrap_or(u64::MAX);
        if ids != header.id_max {
            let (got, expected) = (header.id_max.to_string(), format!("{ids}, the last id sent"));
            return Err(FlowError::Header { field: "id_max", got, expected });
        }
        Ok(Self { header, operations })
    }

    /// Writes a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), FlowFileError> {
        let written = File::create(path).and_then(|file| {
            let mut file = BufWriter::new(file);
            self.write_to(&mut file)?;
            file.flush()
        });
        written.map_err(|source| FlowFileError::Write { path: path.to_owned(), source })
    }

    /// Writes what [`Self::from_bytes`] reads.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_to(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&self.header.to_bytes())?;
        self.operations.iter().try_for_each(|operation| to.write_all(&operation.to_bytes()))
    }

    /// What the flow says about itself.
    #[must_use]
    pub const fn header(&self) -> &FlowHeader {
        &self.header
    }

    /// All operations, in order.
    #[must_use]
    pub fn operations(&self) -> &[FlowOperation] {
        &self.operations
    }

    /// The operations that build the books, and the ones to time.
    #[must_use]
    pub fn parts(&self) -> (&[FlowOperation], &[FlowOperation]) {
        let opening = usize::try_from(self.header.opening_count).unwrap_or(usize::MAX);
        self.operations.split_at_checked(opening).unwrap_or((&self.operations, &[]))
    }
}

/// Length of a flow with this many operations.
fn bytes_of(operations: u64) -> u64 {
    // 28 + 5 bits: does not overflow.
    const _: () = assert!(OPERATIONS_MAX < 1 << 32 && OPERATION_BYTES == 24 && HEADER_BYTES == 64);
    operations * 24 + 64
}

/// What is known at one operation.
struct Check {
    header: FlowHeader,
    /// Number of the operation that sent each order, from id 1 on.
    orders: Vec<usize>,
    /// The operation being checked.
    number: usize,
}

impl Check {
    fn operation(
        &mut self,
        bytes: &[u8; OPERATION_BYTES],
        before: &[FlowOperation],
    ) -> Result<FlowOperation, FlowError> {
        let operation = FlowOperation::from_bytes(bytes)
            .map_err(|(field, got, expected)| self.refused(field, got.into(), expected))?;
        let FlowOperation { price, book, .. } = operation;
        self.within("book", u32::from(book), 0, self.header.book_count.saturating_sub(1))?;
        self.within("price", price, 1, self.header.price_max)?;
        match operation.kind {
            FlowKind::New | FlowKind::ImmediateOrCancel => self.order(&operation)?,
            FlowKind::Cancel => self.cancellation(&operation, before)?,
        }
        Ok(operation)
    }

    fn order(&mut self, order: &FlowOperation) -> Result<(), FlowError> {
        let next = u64::try_from(self.orders.len()).unwrap_or(u64::MAX).saturating_add(1);
        if order.id != next {
            return Err(self.refused("id", order.id, format!("{next}, the id after the last")));
        }
        self.within("quantity", order.quantity, 1, u32::MAX)?;
        self.within("account", order.account, 1, self.header.account_count)?;
        self.orders.push(self.number);
        Ok(())
    }

    fn cancellation(
        &self,
        cancellation: &FlowOperation,
        before: &[FlowOperation],
    ) -> Result<(), FlowError> {
        let at = usize::try_from(cancellation.id).ok().and_then(|id| id.checked_sub(1));
        let number = at.and_then(|at| self.orders.get(at));
        let Some(order) = number.and_then(|&number| before.get(number)) else {
            let expected = match self.orders.len() {
                0 => "the id of an order sent before, and there is none".to_owned(),
                last => format!("1 to {last}, an order sent before"),
            };
            return Err(self.refused("id", cancellation.id, expected));
        };
        if order.kind != FlowKind::New {
            let expected = "an order that can rest, not immediate or cancel".to_owned();
            return Err(self.refused("id", cancellation.id, expected));
        }
        let same = [
            ("book", u64::from(cancellation.book), u64::from(order.book)),
            ("price", cancellation.price.into(), order.price.into()),
            ("side", cancellation.side.code().into(), order.side.code().into()),
        ];
        for (field, got, expected) in same {
            if got != expected {
                return Err(self.refused(
                    field,
                    got,
                    format!("{expected} as in order {}", order.id),
                ));
            }
        }
        Ok(())
    }

    fn within(&self, field: &'static str, got: u32, min: u32, max: u32) -> Result<(), FlowError> {
        if (min..=max).contains(&got) {
            return Ok(());
        }
        Err(self.refused(field, got.into(), format!("{min} to {max}")))
    }

    const fn refused(&self, field: &'static str, got: u64, expected: String) -> FlowError {
        let byte = self.number.saturating_mul(OPERATION_BYTES).saturating_add(HEADER_BYTES);
        FlowError::Operation { number: self.number, byte, field, got, expected }
    }
}
