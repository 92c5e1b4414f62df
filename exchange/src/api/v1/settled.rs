//! What retailers and utilities ask: schedules, meter files, declarations.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use serde::{Deserialize, Serialize};
use settlement::{DocumentKind, ScheduleFilter};
use types::{Code, MeterId, UtilityId};
use utoipa::{IntoParams, ToSchema};

use super::{
    super::{
        Desk,
        access::{self, Endpoint},
        body,
        caller::Caller,
        problem::*,
    },
    cursor, page, window,
};

/// Documents of one answer.
const DOCUMENTS_MAX: u32 = 1_000;

/// What is contracted on whose wires.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SchedulesQuery {
    /// A utility's own number; the operator asks about any.
    utility: u16,
    /// Of one zone.
    zone: Option<String>,
    /// Of one feeder.
    feeder: Option<String>,
    /// Delivered from this instant on, RFC 3339.
    from: Option<String>,
    /// Up to, not including, this one.
    to: Option<String>,
    /// Only what changed after this `serial`.
    after: Option<u64>,
}

/// What is contracted at a place in a slot.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScheduleLine {
    /// Empty for meters of which nobody said where they hang.
    zone: String,
    feeder: String,
    slot_start: String,
    minutes: u16,
    injection_wh: u64,
    withdrawal_wh: u64,
    /// Sides of contracts.
    contracts: u64,
}

/// By zone, time and feeder.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Schedules {
    /// Ask for what changes after it.
    serial: u64,
    lines: Vec<ScheduleLine>,
}

fn place(field: &str, text: Option<&String>) -> Result<Option<Code<16>>, Problem> {
    let read = |text: &String| {
        Code::new(text).map_err(|_| Problem::bad_value(field, text, "a name of 1 to 16 bytes"))
    };
    text.map(read).transpose()
}

/// What is contracted on a utility's wires, slot by slot.
#[utoipa::path(
    get, path = "/v1/schedules", tag = "settlement", params(SchedulesQuery),
    responses((status = 200, body = Schedules), (status = 304),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json")),
    security(("certificate" = []))
)]
pub(crate) async fn schedules(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let caller = caller.may(Endpoint::Schedules)?;
    let query: SchedulesQuery = body::from_query(&uri)?;
    let utility = UtilityId::new(query.utility);
    if !access::may_see_wires(caller, utility) {
        return Err(Problem::not_authorised("another utility's wires").of_field("utility"));
    }
    let (from, to) = window(query.from.as_deref(), query.to.as_deref())?;
    let zone = place("zone", query.zone.as_ref())?;
    let feeder = place("feeder", query.feeder.as_ref())?;
    let after = cursor(query.after)?;
    let filter = ScheduleFilter { utility, zone, feeder, from, to, after };
    let answer = desk.ask(move |desk, _| Ok(desk.schedule(&filter))).await?;
    let answer = answer.map_err(|error| Problem::from(&error))?;
    let line = |line: &settlement::ScheduleLine| ScheduleLine {
        zone: line.zone.clone(),
        feeder: line.feeder.clone(),
        slot_start: line.slot.start().to_string(),
        minutes: line.slot.minutes(),
        injection_wh: line.injection.wh(),
        withdrawal_wh: line.withdrawal.wh(),
        contracts: line.contracts,
    };
    let lines = answer.lines.iter().map(line).collect();
    Ok(body::answer(&headers, &Schedules { serial: answer.serial, lines }))
}

/// Which documents.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MeterFilesQuery {
    /// After this document: `next` of the answer before.
    after: Option<u64>,
    /// 100, if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A document that was kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeterFileLine {
    /// Its number; a cursor too.
    document: u64,
    received: String,
    signer: String,
    kind: &'static str,
    /// How many of its statements were taken.
    accepted: u32,
    /// `taken`, or why not.
    result: &'static str,
    /// SHA-256 of its bytes.
    digest: String,
}

/// A page of documents.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeterFiles {
    files: Vec<MeterFileLine>,
    /// Where the next page begins.
    next: Option<u64>,
}

/// Meter files that the caller signed and the exchange keeps; the operator's are all.
#[utoipa::path(
    get, path = "/v1/meter-files", tag = "settlement", params(MeterFilesQuery),
    responses((status = 200, body = MeterFiles), (status = 304),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json")),
    security(("certificate" = []))
)]
pub(crate) async fn meter_files(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let caller = caller.may(Endpoint::MeterFiles)?;
    let query: MeterFilesQuery = body::from_query(&uri)?;
    let (limit, after) = page(query.limit, query.after, DOCUMENTS_MAX)?;
    let of = access::only_own(caller);
    let lines = desk.ask(move |desk, _| desk.documents(of, after)).await?;
    let next = lines.get(limit.saturating_sub(1)).filter(|_| lines.len() > limit);
    let next = next.map(|line| line.number);
    let is_file = |line: &&settlement::DocumentLine| line.kind == DocumentKind::MeterReadings;
    let file = |line: &settlement::DocumentLine| MeterFileLine {
        document: line.number,
        received: line.received.to_string(),
        signer: line.signer.to_string(),
        kind: line.kind.name(),
        accepted: line.accepted,
        result: line.result.map_or_else(|reject| reject.name(), |()| "taken"),
        digest: line.digest.to_string(),
    };
    let files = lines.iter().take(limit).filter(is_file).map(file).collect();
    Ok(body::answer(&headers, &MeterFiles { files, next }))
}

/// Of which meter, and when.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeclarationsQuery {
    /// The number of the meter.
    meter: u32,
    /// Delivered from this instant on, RFC 3339.
    from: String,
    /// Up to, not including, this one.
    to: String,
}

/// P2P energy of a meter under one contract.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeclarationLine {
    contract: u64,
    slot_start: String,
    minutes: u16,
    /// `buy` or `sell`.
    side: &'static str,
    state: &'static str,
    contracted_wh: u64,
    /// Contracted and not decided yet.
    pending_wh: u64,
    /// What the retailer may not bill.
    settled_wh: u64,
}

/// All contracts of a meter in a period.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Declarations {
    meter: u32,
    lines: Vec<DeclarationLine>,
}

/// Which energy of a meter is traded between prosumers: what its retailer may not bill.
#[utoipa::path(
    get, path = "/v1/declarations", tag = "settlement", params(DeclarationsQuery),
    responses((status = 200, body = Declarations), (status = 304),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json")),
    security(("certificate" = []))
)]
pub(crate) async fn declarations(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let caller = caller.may(Endpoint::Declarations)?;
    let query: DeclarationsQuery = body::from_query(&uri)?;
    let (from, to) = window(Some(&query.from), Some(&query.to))?;
    let meter = MeterId::new(query.meter);
    // Whose meter it is knows settlement; a meter of others does not exist for the caller.
    let told = desk.ask(move |desk, _| {
        Ok(desk.may_ask(caller, meter).then(|| desk.p2p_energy(meter, from, to)))
    });
    let rows = told.await?.ok_or_else(|| Problem::not_found("meter"))?;
    let rows = rows.map_err(|error| Problem::from(&error))?;
    let line = |row: &settlement::P2pEnergy| DeclarationLine {
        contract: row.contract.get(),
        slot_start: row.key.slot.start().to_string(),
        minutes: row.key.slot.minutes(),
        side: row.side.name(),
        state: row.state.name(),
        contracted_wh: row.contracted.wh(),
        pending_wh: row.pending.wh(),
        settled_wh: row.settled.wh(),
    };
    let lines = rows.iter().map(line).collect();
    Ok(body::answer(&headers, &Declarations { meter: query.meter, lines }))
}
