//! Verification, settlement and the provable ledger.
//!
//! A trade enters from the feed and leaves as an entry in balanced books and a leaf under a signed
//! checkpoint. Read the stops in their order; each takes values and returns values, and
//! [`pipeline`] composes them around one database transaction:
//!
//! | stop | module | in → out |
//! |---|---|---|
//! | 12 | [`capture`] | trade → contract, exactly once by sequence number |
//! | 13 | [`metering`] | signed documents → verified readings and curtailments |
//! | 14 | [`allocation`] | metered energy spread over a meter's contracts |
//! | 15 | [`outcome`] | contract, allocation and curtailment → outcome and exact amounts |
//! | 16 | [`mechanism`] | amounts due and funds → legs between accounts |
//! | 17 | [`books`] | legs → balanced transfers; the one place that rounds |
//! | 18 | [`tlog`] | leaf, tree, signed checkpoint |
//!
//! Around them: [`policy`] holds the rules as integers, [`registry`] who is who, [`store`] the
//! rows, [`declaration`] answers the retailers' question, [`statement`] sums up their month, [`mod@rehearse`] runs written cases through
//! all of it in memory. Only [`pipeline`], [`store`] and [`tlog::tiles`] touch a disk, and nothing
//! here reads a clock.
#![forbid(unsafe_code)]

pub mod allocation;
pub mod books;
pub mod capture;
pub mod declaration;
pub mod error;
pub mod mechanism;
pub mod metering;
pub mod outcome;
pub mod pipeline;
pub mod policy;
pub mod rails;
pub mod registry;
pub mod rehearse;
pub mod service;
pub mod statement;
pub mod store;
pub mod tlog;

#[cfg(test)]
mod tests;

pub use capture::Contract;
pub use declaration::P2pEnergy;
pub use error::SettlementError;
pub use metering::{
    Curtailment, CurtailmentReason, Disconnection, DisconnectionDecision, DocumentKind,
    DocumentReject, FileHead, GridLimit, Interval, MeterCodes, MeterFile, MeterPoints,
    PayOutRequest, Quality, Reading, Receipt, ZoneCurtailment, seal, seal_file,
};
pub use outcome::State;
pub use pipeline::{
    AccountTotal, Amendment, AmendmentOutcome, Answer, Audit, BlockOutcome, BlockRequest, Books,
    Break, BreakKind, Captured, CycleLine, DepositOutcome, DocumentLine, EnforcementSummary,
    Errand, ExplainedLeg, Explanation, LimitNotice, MarketStatus, MechanismTotal, MissingReadings,
    Notice, NoticeKind, Pace, PayOutSummary, PaymentOutcome, Pipeline, Reconciliation,
    ScheduleAnswer, ScheduleFilter, ScheduleLimit, ScheduleLine, Settings, Standing, Summary, Task,
    TransferLine, VerificationSummary,
};
pub use policy::{Policy, PolicyError};
pub use registry::{MeterCode, MeterPoint, PlaceName};
pub use rehearse::{RehearseError, rehearse};
pub use statement::{Month, RetailerStatement};
pub use store::captured::CapturedTrades;
pub use tlog::{note::Checkpoint, proof::LeafProof};
