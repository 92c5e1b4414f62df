//! Documents and questions of retailers and utilities: one request and one answer per stream.
//!
//! A request is an 8-byte [`RequestHead`] and a body; an answer is one message of [`Answer`] and,
//! for a question, JSON text up to the end of the stream.

use types::{Digest, MeterId, Scope, Timestamp, TradingControl, TradingState};

use crate::{
    field::{DecodeError, Field, Zero},
    layout::Row,
};

/// Largest body of a request: a meter file of 200,000 readings.
pub const BODY_BYTES_MAX: u32 = 16 << 20;
/// Bytes of a [`RequestHead`].
pub const REQUEST_HEAD_BYTES: usize = 8;

/// What a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RequestKind {
    /// The body is a signed document.
    Document = 1,
    /// The body is a [`P2pQuery`].
    P2pEnergy = 2,
    /// The body is a [`TradingControl`]: an operator suspends, kills, or lets trade again.
    SetTrading = 3,
}

impl Field for RequestKind {
    const SIZE: usize = 1;
    const NAME: &'static str = "u8";
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Document => 1_u8,
            Self::P2pEnergy => 2_u8,
            Self::SetTrading => 3_u8,
        }
        .put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        match u8::take(bytes)? {
            1 => Ok(Self::Document),
            2 => Ok(Self::P2pEnergy),
            3 => Ok(Self::SetTrading),
            kind => Err(DecodeError::UnknownKind(kind)),
        }
    }
}

/// Begins a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead {
    /// What it is.
    pub kind: RequestKind,
    /// Bytes of the body, at most [`BODY_BYTES_MAX`].
    pub body_bytes: u32,
}
const _: () = assert!(RequestHead::SIZE == REQUEST_HEAD_BYTES);

/// Refuses a longer body than [`BODY_BYTES_MAX`], so that nobody makes room for one.
impl Field for RequestHead {
    const SIZE: usize = 8;
    const NAME: &'static str = "request head";
    fn parts(_: &'static str) -> Vec<Row> {
        [("kind", 1, "u8"), ("(zero)", 3, "zero"), ("body_bytes", 4, "u32")]
            .map(|(name, size, kind)| (name.to_owned(), size, kind))
            .to_vec()
    }
    fn put(&self, out: &mut Vec<u8>) {
        self.kind.put(out);
        Zero::<3>.put(out);
        self.body_bytes.put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let kind = RequestKind::take(bytes)?;
        Zero::<3>::take(bytes)?;
        let body_bytes = u32::take(bytes)?;
        if body_bytes > BODY_BYTES_MAX {
            return Err(DecodeError::BadField("body_bytes"));
        }
        Ok(Self { kind, body_bytes })
    }
}

/// Which P2P energy has this meter in this period?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct P2pQuery {
    /// Begin of the period.
    pub from: Timestamp,
    /// First instant after the period.
    pub to: Timestamp,
    /// The meter.
    pub meter: MeterId,
}
layout! { P2pQuery { from: Timestamp, to: Timestamp, meter: MeterId, zero 4, } }

layout! { TradingControl { scope: Scope, state: TradingState, zero 2, } }

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// SHA-256 of the document's bytes.
    pub digest: Digest,
    /// How many readings or instructions in it were taken.
    pub accepted: u32,
    /// 0, or why the document was refused (codes in `docs/settlement.md`).
    pub reason: u16,
}
layout! { Receipt { digest: Digest, accepted: u32, reason: u16, zero 2, } }

/// A question was answered or refused, or a request of any kind could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryResult {
    /// 0 and JSON text follows, or the code of a [`types::RejectReason`].
    pub reason: u16,
}
layout! { QueryResult { reason: u16, zero 6, } }

messages! {
    /// The answer to a request.
    Answer {
        /// To a document.
        Receipt(Receipt) = 192, 48;
        /// To a question or an operator's control, or to a request that could not be read.
        QueryResult(QueryResult) = 193, 16;
    }
}
