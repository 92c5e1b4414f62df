//! Requests on the data port: documents are taken, questions are answered as JSON.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use settlement::{
    CycleLine, DocumentLine, MarketStatus, MissingReadings, Notice, NoticeKind, Pipeline,
    ScheduleAnswer, ScheduleFilter, SettlementError, VerificationSummary,
};
use types::{DeliverySlot, MarketId, Party, RejectReason, Role, Timestamp};
use wire::{
    data::{Answer, P2pQuery, QueryResult, Receipt, RequestKind, ScheduleQuery, SinceQuery},
    field::Field,
};

use crate::{declaration, pull::PullRow};

/// Longest wait for news, in seconds: connections are kept alive meanwhile, but an answer that comes
/// now and then shows that both sides are still there.
pub const WAIT_SECONDS_MAX: u16 = 60;

/// Cycles that are told.
const CYCLES_MAX: u32 = 20;

/// Who asks what.
#[derive(Debug, Clone)]
pub struct Question {
    /// Whose certificate the connection has.
    pub party: Party,
    /// What is asked.
    pub kind: RequestKind,
    /// The rest of it.
    pub body: Vec<u8>,
}

/// What is answered.
#[derive(Debug)]
pub struct Reply {
    /// The message.
    pub result: Answer,
    /// JSON text behind it.
    pub text: Vec<u8>,
    /// There is nothing new in it.
    pub is_empty: bool,
}

/// A line about what is scheduled at a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleRow {
    /// The zone; empty for meters of which nobody said where they hang.
    pub zone: String,
    /// The feeder, likewise.
    pub feeder: String,
    /// Start of the slot, RFC 3339 in UTC.
    pub slot_start: String,
    /// Duration of the slot.
    pub minutes: u16,
    /// Sold there, in Wh.
    pub injection_wh: u64,
    /// Bought there, in Wh.
    pub withdrawal_wh: u64,
    /// Sides of contracts.
    pub contracts: u64,
    /// The lowest limit on injection.
    pub injection_limit_wh: Option<u64>,
    /// The lowest limit on withdrawal.
    pub withdrawal_limit_wh: Option<u64>,
    /// What the limits on injection leave beyond the schedule; open orders use it too.
    pub injection_headroom_wh: Option<u64>,
    /// What the limits on withdrawal leave.
    pub withdrawal_headroom_wh: Option<u64>,
    /// Whether the exchange has confirmed these limits, and refuses what exceeds them.
    pub limits_in_force: Option<bool>,
}

/// What is scheduled on a utility's wires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleRows {
    /// Ask for what changed after it.
    pub serial: u64,
    /// By zone, time and feeder.
    pub lines: Vec<ScheduleRow>,
}

/// A line about readings that are needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingRow {
    /// Who signs them.
    pub from: String,
    /// The meter.
    pub meter: u32,
    /// Start of the slot.
    pub slot_start: String,
    /// Duration of the slot.
    pub minutes: u16,
    /// `missing`, or `estimated` where only estimates are there.
    pub why: String,
}

/// A line about a contract that is new or changed, or that a curtailment leaves less; or about a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeRow {
    /// Ask for what comes after it.
    pub notice: u64,
    /// `negotiated`, `curtailed`, `amended`, `amended_in_vain` or `busted`; `limit_in_force` or `limit_refused`.
    pub what: String,
    /// The version that a change made.
    pub version: Option<u32>,
    /// The contract; 0 of a limit.
    pub contract: u64,
    /// Start of the slot.
    pub slot_start: String,
    /// Duration of the slot.
    pub minutes: u16,
    /// The curtailed or limited side, or the one that asked for the change: `buy` or `sell`.
    pub side: String,
    /// Its meter; 0 of a limit.
    pub meter: u32,
    /// What is contracted, in Wh; open and traded when a limit came into force.
    pub contracted_wh: u64,
    /// The most it may still move, or what the change says, in Wh; the limit.
    pub allowed_wh: u64,
    /// The zone of a limit.
    pub zone: Option<String>,
    /// Its feeder.
    pub feeder: Option<String>,
    /// The position since which it is in force.
    pub since: Option<u64>,
    /// Of which shard, from 1.
    pub shard: Option<String>,
    /// Why it was refused.
    pub reason: Option<String>,
}

/// A line about a document that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentRow {
    /// Ask for what comes after it.
    pub document: u64,
    /// When it came.
    pub received: String,
    /// Who signed it.
    pub signer: String,
    /// What it is.
    pub kind: String,
    /// How many of its statements were taken.
    pub accepted: u32,
    /// `taken`, or why not.
    pub result: String,
    /// SHA-256 of its bytes.
    pub digest: String,
}

/// What a cycle did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CycleRow {
    /// Its number; 0 for one that found nothing to do.
    pub cycle: u64,
    /// When it ran.
    pub at: String,
    /// Of which market; 0 is all.
    pub market: u16,
    /// Slots looked at.
    pub slots: u64,
    /// Contracts looked at.
    pub examined: u64,
    /// Contracts with a new outcome.
    pub changed: u64,
    /// Of these, corrections.
    pub corrected: u64,
    /// Contracts that still miss a reading.
    pub awaiting: u64,
    /// New outcomes that are provisional.
    pub provisional: u64,
}

/// Where the verification of a market stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRow {
    /// The market.
    pub market: u16,
    /// Slots to be verified.
    pub slots_due: u64,
    /// Contracts of ended slots without readings.
    pub awaiting: u64,
    /// Contracts with a provisional outcome.
    pub provisional: u64,
    /// When the next are settled without their readings.
    pub deadline: Option<String>,
}

/// Where verification stands, and what it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// By market.
    pub markets: Vec<StatusRow>,
    /// The newest first.
    pub cycles: Vec<CycleRow>,
    /// The last pull of each party that has an endpoint.
    #[serde(default)]
    pub pulls: Vec<PullRow>,
}

/// How long an answer may wait for news, if it may at all.
#[must_use]
pub fn wait_of(kind: RequestKind, body: &[u8]) -> Option<Duration> {
    let seconds = match kind {
        RequestKind::GridSchedule => whole::<ScheduleQuery>(body)?.wait_seconds,
        RequestKind::Notices | RequestKind::MissingReadings => {
            whole::<SinceQuery>(body)?.wait_seconds
        }
        RequestKind::Document
        | RequestKind::P2pEnergy
        | RequestKind::Verify
        | RequestKind::VerifyStatus
        | RequestKind::Documents
        | RequestKind::Pulls
        | RequestKind::Operate
        | RequestKind::DefineMarket => 0,
    };
    let seconds = seconds.min(WAIT_SECONDS_MAX);
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

/// Takes a document or answers a question; `pulls` are the last ones.
///
/// # Errors
/// When the pipeline fails; what is wrong with a request is in the answer.
pub fn answer(
    pipeline: &mut Pipeline,
    now: Timestamp,
    pulls: &[PullRow],
    question: &Question,
) -> Result<Reply, SettlementError> {
    let Question { party, kind, body } = question;
    let party = *party;
    let is_operator = matches!(party.role, Role::Operator);
    // Everybody's own; an operator's are all.
    let of = (!is_operator).then_some(party);
    match kind {
        RequestKind::Document => document(pipeline, now, body),
        RequestKind::P2pEnergy => match whole::<P2pQuery>(body) {
            None => Ok(refused(RejectReason::MalformedMessage)),
            Some(query) if !pipeline.may_ask(party, query.meter) => {
                Ok(refused(RejectReason::NotAuthorised))
            }
            Some(query) => {
                let energy = pipeline.p2p_energy(query.meter, query.from, query.to)?;
                Ok(told(&declaration::lines(&energy), energy.is_empty()))
            }
        },
        RequestKind::GridSchedule => match whole::<ScheduleQuery>(body) {
            None => Ok(refused(RejectReason::MalformedMessage)),
            Some(query)
                if !is_operator
                    && party != (Party { role: Role::Utility, number: query.utility.get() }) =>
            {
                Ok(refused(RejectReason::NotAuthorised))
            }
            Some(query) => schedule(pipeline, &query),
        },
        // The gateway answers it.
        RequestKind::Operate | RequestKind::DefineMarket => {
            Ok(refused(RejectReason::UnexpectedMessage))
        }
        RequestKind::MissingReadings
        | RequestKind::Notices
        | RequestKind::Verify
        | RequestKind::VerifyStatus
        | RequestKind::Pulls
        | RequestKind::Documents => match whole::<SinceQuery>(body) {
            None => Ok(refused(RejectReason::MalformedMessage)),
            Some(query) => since(pipeline, now, (*kind, party, of), pulls, query),
        },
    }
}

fn since(
    pipeline: &mut Pipeline,
    now: Timestamp,
    (kind, party, of): (RequestKind, Party, Option<Party>),
    pulls: &[PullRow],
    query: SinceQuery,
) -> Result<Reply, SettlementError> {
    match kind {
        RequestKind::MissingReadings => {
            let missing = pipeline.missing_readings(of, now)?;
            Ok(told(&missing.iter().map(missing_row).collect::<Vec<_>>(), missing.is_empty()))
        }
        RequestKind::Notices => {
            let notices = notices(pipeline, party, query.after)?;
            Ok(told(&notices, notices.is_empty()))
        }
        RequestKind::Documents => {
            let lines = pipeline.documents(of, query.after)?;
            Ok(told(&lines.iter().map(document_row).collect::<Vec<_>>(), lines.is_empty()))
        }
        RequestKind::Verify | RequestKind::VerifyStatus if of.is_some() => {
            Ok(refused(RejectReason::NotAuthorised))
        }
        RequestKind::Verify => {
            let market = (query.market.get() > 0).then_some(query.market);
            let summary = verify(pipeline, now, market)?;
            let newest = pipeline.cycles(1)?.first().map_or(0, |line| line.number);
            let number = if summary.slots > 0 { newest } else { 0 };
            Ok(told(&cycle_row(&CycleLine { number, at: now, market, summary }), false))
        }
        RequestKind::VerifyStatus => {
            let markets = pipeline.verification_status(now)?;
            let status = Status {
                markets: markets.iter().map(status_row).collect(),
                cycles: pipeline.cycles(CYCLES_MAX)?.iter().map(cycle_row).collect(),
                pulls: pulls.to_vec(),
            };
            Ok(told(&status, false))
        }
        RequestKind::Pulls => {
            let own = pulls.iter().filter(|row| of.is_none_or(|party| row.is_of(party)));
            let own: Vec<_> = own.collect();
            Ok(told(&own, own.is_empty()))
        }
        RequestKind::Document
        | RequestKind::P2pEnergy
        | RequestKind::GridSchedule
        | RequestKind::Operate
        | RequestKind::DefineMarket => Ok(refused(RejectReason::MalformedMessage)),
    }
}

/// What happened to contracts of a party's meters after a notice.
///
/// # Errors
/// When the pipeline fails.
pub fn notices(
    pipeline: &Pipeline,
    party: Party,
    after: u64,
) -> Result<Vec<NoticeRow>, SettlementError> {
    Ok(pipeline.notices(party, after)?.iter().map(notice_row).collect())
}

/// A verification cycle, and what falls due with time.
///
/// # Errors
/// When the pipeline fails.
pub fn verify(
    pipeline: &mut Pipeline,
    now: Timestamp,
    market: Option<MarketId>,
) -> Result<VerificationSummary, SettlementError> {
    let summary = pipeline.verify_market(now, market)?;
    pipeline.enforce(now)?;
    pipeline.pay_out(now)?;
    Ok(summary)
}

fn document(
    pipeline: &mut Pipeline,
    now: Timestamp,
    body: &[u8],
) -> Result<Reply, SettlementError> {
    let receipt = pipeline.ingest(now, body)?;
    let reason = receipt.result.map_or_else(|reject| reject.code(), |()| 0);
    let receipt = Receipt { digest: receipt.digest, accepted: receipt.accepted, reason };
    Ok(Reply { result: Answer::Receipt(receipt), text: Vec::new(), is_empty: false })
}

fn schedule(pipeline: &Pipeline, query: &ScheduleQuery) -> Result<Reply, SettlementError> {
    let filter = ScheduleFilter {
        utility: query.utility,
        zone: query.zone,
        feeder: query.feeder,
        from: query.from,
        to: query.to,
        after: query.after,
    };
    match pipeline.schedule(&filter) {
        Ok(answer) => {
            let is_empty = answer.lines.is_empty();
            Ok(told(&schedule_rows(&answer), is_empty))
        }
        // The asker asks for less; nothing is wrong with the pipeline.
        Err(SettlementError::TooManyRows { .. }) => Ok(refused(RejectReason::MalformedMessage)),
        Err(error) => Err(error),
    }
}

/// The struct, if the body is one and nothing else.
fn whole<T: Field>(mut body: &[u8]) -> Option<T> {
    let query = T::take(&mut body).ok()?;
    body.is_empty().then_some(query)
}

const fn refused(reason: RejectReason) -> Reply {
    let result = Answer::QueryResult(QueryResult { reason: reason.code() });
    Reply { result, text: Vec::new(), is_empty: false }
}

/// Plain numbers and strings always serialise.
fn told<T: Serialize>(lines: &T, is_empty: bool) -> Reply {
    let text = serde_json::to_vec(lines).unwrap_or_default();
    Reply { result: Answer::QueryResult(QueryResult { reason: 0 }), text, is_empty }
}

fn schedule_rows(answer: &ScheduleAnswer) -> ScheduleRows {
    let line = |line: &settlement::ScheduleLine| {
        let (slot_start, minutes) = slot_of(line.slot);
        ScheduleRow {
            zone: line.zone.clone(),
            feeder: line.feeder.clone(),
            slot_start,
            minutes,
            injection_wh: line.injection.wh(),
            withdrawal_wh: line.withdrawal.wh(),
            contracts: line.contracts,
            injection_limit_wh: line.injection_limit.map(|limit| limit.limit.wh()),
            withdrawal_limit_wh: line.withdrawal_limit.map(|limit| limit.limit.wh()),
            injection_headroom_wh: line.injection_limit.map(|limit| limit.headroom.wh()),
            withdrawal_headroom_wh: line.withdrawal_limit.map(|limit| limit.headroom.wh()),
            limits_in_force: [line.injection_limit, line.withdrawal_limit]
                .into_iter()
                .flatten()
                .map(|limit| limit.in_force)
                .reduce(|one, other| one && other),
        }
    };
    ScheduleRows { serial: answer.serial, lines: answer.lines.iter().map(line).collect() }
}

fn slot_of(slot: DeliverySlot) -> (String, u16) {
    (slot.start().to_string(), slot.minutes())
}

fn missing_row(line: &MissingReadings) -> MissingRow {
    let (slot_start, minutes) = slot_of(line.slot);
    let why = if line.is_estimated { "estimated" } else { "missing" };
    MissingRow {
        from: line.server.to_string(),
        meter: line.meter.get(),
        slot_start,
        minutes,
        why: why.to_owned(),
    }
}

fn notice_row(notice: &Notice) -> NoticeRow {
    let (slot_start, minutes) = slot_of(notice.slot);
    let limit = notice.limit;
    let since = limit.and_then(|limit| limit.since.ok());
    let reason = limit.and_then(|limit| limit.since.err());
    NoticeRow {
        notice: notice.number,
        what: match notice.kind {
            NoticeKind::Negotiated => "negotiated",
            NoticeKind::Curtailed => "curtailed",
            NoticeKind::Amended(_) => "amended",
            NoticeKind::AmendedInVain => "amended_in_vain",
            NoticeKind::Busted => "busted",
            NoticeKind::Limit if reason.is_some() => "limit_refused",
            NoticeKind::Limit => "limit_in_force",
        }
        .to_owned(),
        version: if let NoticeKind::Amended(version) = notice.kind { Some(version) } else { None },
        contract: notice.contract.get(),
        slot_start,
        minutes,
        side: notice.side.name().to_owned(),
        meter: notice.meter.get(),
        contracted_wh: notice.contracted.wh(),
        allowed_wh: notice.allowed.wh(),
        zone: limit.map(|limit| limit.zone.to_string()),
        feeder: limit.and_then(|limit| limit.feeder).map(|feeder| feeder.to_string()),
        since: since.map(|(_, since)| since.get()),
        shard: since.map(|(shard, _)| shard.to_string()),
        reason: reason.map(|reason| reason.name().to_owned()),
    }
}

fn document_row(line: &DocumentLine) -> DocumentRow {
    let result = line.result.map_or_else(|reject| reject.name(), |()| "taken");
    DocumentRow {
        document: line.number,
        received: line.received.to_string(),
        signer: line.signer.to_string(),
        kind: line.kind.name().to_owned(),
        accepted: line.accepted,
        result: result.to_owned(),
        digest: line.digest.to_string(),
    }
}

fn cycle_row(line: &CycleLine) -> CycleRow {
    let VerificationSummary { slots, examined, changed, corrected, awaiting, provisional } =
        line.summary;
    CycleRow {
        cycle: line.number,
        at: line.at.to_string(),
        market: line.market.map_or(0, MarketId::get),
        slots,
        examined,
        changed,
        corrected,
        awaiting,
        provisional,
    }
}

fn status_row(line: &MarketStatus) -> StatusRow {
    StatusRow {
        market: line.market.get(),
        slots_due: line.slots_due,
        awaiting: line.awaiting,
        provisional: line.provisional,
        deadline: line.deadline.map(|deadline| deadline.to_string()),
    }
}
