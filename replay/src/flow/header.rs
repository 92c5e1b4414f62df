//! The first 64 bytes of a flow.

use super::{FlowError, take};

/// Length of a header.
pub const HEADER_BYTES: usize = 64;

/// 6 GiB of operations / 24 bytes; an index of one fits in 32 bits.
pub const OPERATIONS_MAX: u64 = 1 << 28;

const MAGIC: [u8; 8] = *b"EOLBOOK1";

/// Books are named by 16 bits.
const BOOKS_MAX: u32 = 1 << 16;

/// What a flow says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowHeader {
    /// All operations, those of the opening included.
    pub operation_count: u64,
    /// How many operations at the start build the books; they are timed apart.
    pub opening_count: u64,
    /// Books, named from 0.
    pub book_count: u32,
    /// The highest price; the lowest is 1.
    pub price_max: u32,
    /// The id of the last new order; the first has 1, and none is left out.
    pub id_max: u64,
    /// Number of the workload: a label.
    pub workload: u32,
    /// Accounts, named from 1.
    pub account_count: u32,
    /// What the flow was generated from: a label.
    pub seed: u64,
}

impl FlowHeader {
    /// The header in these bytes.
    ///
    /// # Errors
    /// Names the first field that cannot be.
    pub fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> Result<Self, FlowError> {
        let mut rest = bytes.as_slice();
        let magic: [u8; 8] = take(&mut rest);
        if magic != MAGIC {
            let got = format!("`{}`", magic.escape_ascii());
            return Err(refused("magic", got, format!("`{}`", MAGIC.escape_ascii())));
        }
        let header = Self {
            operation_count: u64::from_le_bytes(take(&mut rest)),
            opening_count: u64::from_le_bytes(take(&mut rest)),
            book_count: u32::from_le_bytes(take(&mut rest)),
            price_max: u32::from_le_bytes(take(&mut rest)),
            id_max: u64::from_le_bytes(take(&mut rest)),
            workload: u32::from_le_bytes(take(&mut rest)),
            account_count: u32::from_le_bytes(take(&mut rest)),
            seed: u64::from_le_bytes(take(&mut rest)),
        };
        within("operation_count", header.operation_count, 0, OPERATIONS_MAX)?;
        within("opening_count", header.opening_count, 0, header.operation_count)?;
        within("book_count", header.book_count.into(), 1, BOOKS_MAX.into())?;
        within("price_max", header.price_max.into(), 1, u32::MAX.into())?;
        within("id_max", header.id_max, 0, header.operation_count)?;
        within("account_count", header.account_count.into(), 1, u32::MAX.into())?;
        within("reserved", u64::from_le_bytes(take(&mut rest)), 0, 0)?;
        Ok(header)
    }

    pub(super) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let fields = MAGIC
            .into_iter()
            .chain(self.operation_count.to_le_bytes())
            .chain(self.opening_count.to_le_bytes())
            .chain(self.book_count.to_le_bytes())
            .chain(self.price_max.to_le_bytes())
            .chain(self.id_max.to_le_bytes())
            .chain(self.workload.to_le_bytes())
            .chain(self.account_count.to_le_bytes())
            .chain(self.seed.to_le_bytes());
        bytes.iter_mut().zip(fields).for_each(|(byte, field)| *byte = field);
        bytes
    }
}

fn within(field: &'static str, got: u64, min: u64, max: u64) -> Result<(), FlowError> {
    if (min..=max).contains(&got) {
        return Ok(());
    }
    let expected = if min == max { min.to_string() } else { format!("{min} to {max}") };
    Err(refused(field, got.to_string(), expected))
}

fn refused(field: &'static str, got: String, expected: String) -> FlowError {
    FlowError::Header { field, got, expected }
}
