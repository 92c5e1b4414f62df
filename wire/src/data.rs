//! Documents and questions of retailers and utilities: one request and one answer per stream.
//!
//! A request is an 8-byte [`RequestHead`] and a body; an answer is one message of [`Answer`] and,
//! for a question, JSON text up to the end of the stream.

use types::{
    Action, Code, Digest, MarketId, MeterId, Operation, Remark, Scope, Signature, SignedOperation,
    Timestamp, TradingControl, TradingState, UtilityId,
};

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
    /// Which readings of the asker's meters are missing? The body is a [`SinceQuery`].
    MissingReadings = 3,
    /// What is contracted on a utility's wires? The body is a [`ScheduleQuery`].
    GridSchedule = 4,
    /// What happened to contracts of the asker's meters? The body is a [`SinceQuery`].
    Notices = 5,
    /// Verify now; for operators. The body is a [`SinceQuery`].
    Verify = 6,
    /// Where does verification stand? The body is a [`SinceQuery`].
    VerifyStatus = 7,
    /// Which documents of the asker are kept? The body is a [`SinceQuery`].
    Documents = 8,
    /// The body is a [`SignedOperation`]: an operator's order.
    Operate = 9,
    /// The body is a [`SignedOperation`] that defines a market, and its [`types::MarketDefinition`].
    DefineMarket = 10,
    /// How did the exchange last ask for readings: the asker, or all? The body is a [`SinceQuery`].
    Pulls = 60,
}

impl RequestKind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Document,
        Self::P2pEnergy,
        Self::MissingReadings,
        Self::GridSchedule,
        Self::Notices,
        Self::Verify,
        Self::VerifyStatus,
        Self::Documents,
        Self::Operate,
        Self::DefineMarket,
        Self::Pulls,
    ];

    /// The code in request heads.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl Field for RequestKind {
    const SIZE: usize = 1;
    const NAME: &'static str = "u8";
    fn put(&self, out: &mut Vec<u8>) {
        self.code().put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let code = u8::take(bytes)?;
        let kind = Self::ALL.into_iter().find(|kind| kind.code() == code);
        kind.ok_or(DecodeError::UnknownKind(code))
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
layout! {
    Operation {
        number: u64,
        valid_until: Timestamp,
        reason: Remark,
        action: Action,
        operator: u16,
        zero 2,
    }
}
layout! { SignedOperation { operation: Operation, signer: u16, zero 6, signature: Signature, } }
/// What is contracted on the wires of this utility, and what changed of it?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduleQuery {
    /// Begin of the period of delivery.
    pub from: Timestamp,
    /// First instant after the period.
    pub to: Timestamp,
    /// Only what changed after this number of the schedule; 0 is everything.
    pub after: u64,
    /// Of one zone, or of all.
    pub zone: Option<Code<16>>,
    /// Of one feeder, or of all.
    pub feeder: Option<Code<16>>,
    /// Whose wires: a utility's own number; operators ask about any.
    pub utility: UtilityId,
    /// How long the answer may wait for a change, if there is none yet.
    pub wait_seconds: u16,
}
layout! {
    ScheduleQuery {
        from: Timestamp,
        to: Timestamp,
        after: u64,
        zone: Option<Code<16>>,
        feeder: Option<Code<16>>,
        utility: UtilityId,
        wait_seconds: u16,
        zero 4,
    }
}

/// What is new since a number, of a market or of all?
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SinceQuery {
    /// Only what has a larger number; 0 is everything. Not used where nothing is numbered.
    pub after: u64,
    /// Which market; 0 is all. Used by `Verify` only.
    pub market: MarketId,
    /// How long the answer may wait, if there is nothing yet.
    pub wait_seconds: u16,
}
layout! { SinceQuery { after: u64, market: MarketId, wait_seconds: u16, zero 4, } }

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
