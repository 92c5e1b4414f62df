//! One operation of a flow.

use types::Side;

use super::take;

/// Length of an operation.
pub const OPERATION_BYTES: usize = 24;

/// What an operation asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FlowKind {
    /// An order that trades at its price or better, and rests with what is left.
    New = 0,
    /// Takes an order out of its book.
    Cancel = 1,
    /// An order that trades at its price or better, and never rests.
    ImmediateOrCancel = 2,
}

impl FlowKind {
    /// The kind with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::New),
            1 => Some(Self::Cancel),
            2 => Some(Self::ImmediateOrCancel),
            _ => None,
        }
    }

    /// The code in a file.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// One operation. A cancellation repeats the book, the price and the side of the order it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowOperation {
    /// The order: a new one has the id after the last new one, the first has 1.
    pub id: u64,
    /// Limit, in ticks from 1.
    pub price: u32,
    /// Lots; zero in a cancellation.
    pub quantity: u32,
    /// Who sends it, from 1; zero in a cancellation.
    pub account: u32,
    /// The book, from 0.
    pub book: u16,
    /// What it asks for.
    pub kind: FlowKind,
    /// Which way the order trades.
    pub side: Side,
}

const _: () = assert!(size_of::<FlowOperation>() == OPERATION_BYTES);

/// An operation as it stands in a file: every byte pattern is one.
pub(super) struct RawOperation {
    pub(super) id: u64,
    pub(super) price: u32,
    pub(super) quantity: u32,
    pub(super) account: u32,
    pub(super) book: u16,
    pub(super) kind: u8,
    pub(super) side: u8,
}

impl RawOperation {
    pub(super) fn from_bytes(bytes: &[u8; OPERATION_BYTES]) -> Self {
        let mut rest = bytes.as_slice();
        Self {
            id: u64::from_le_bytes(take(&mut rest)),
            price: u32::from_le_bytes(take(&mut rest)),
            quantity: u32::from_le_bytes(take(&mut rest)),
            account: u32::from_le_bytes(take(&mut rest)),
            book: u16::from_le_bytes(take(&mut rest)),
            kind: u8::from_le_bytes(take(&mut rest)),
            side: u8::from_le_bytes(take(&mut rest)),
        }
    }
}

impl FlowOperation {
    /// The operation in these bytes, as far as it can be checked alone.
    ///
    /// # Errors
    /// Name, value and possible values of the first field that cannot be.
    pub fn from_bytes(bytes: &[u8; OPERATION_BYTES]) -> Result<Self, (&'static str, u8, String)> {
        let raw = RawOperation::from_bytes(bytes);
        let Some(kind) = FlowKind::from_code(raw.kind) else {
            let expected = "0 (new), 1 (cancel) or 2 (immediate or cancel)";
            return Err(("kind", raw.kind, expected.to_owned()));
        };
        let Some(side) = Side::from_code(raw.side) else {
            return Err(("side", raw.side, "0 (buy) or 1 (sell)".to_owned()));
        };
        let RawOperation { id, price, quantity, account, book, .. } = raw;
        Ok(Self { id, price, quantity, account, book, kind, side })
    }

    pub(super) fn to_bytes(self) -> [u8; OPERATION_BYTES] {
        let mut bytes = [0; OPERATION_BYTES];
        let fields = self
            .id
            .to_le_bytes()
            .into_iter()
            .chain(self.price.to_le_bytes())
            .chain(self.quantity.to_le_bytes())
            .chain(self.account.to_le_bytes())
            .chain(self.book.to_le_bytes())
            .chain([self.kind.code(), self.side.code()]);
        bytes.iter_mut().zip(fields).for_each(|(byte, field)| *byte = field);
        bytes
    }
}
