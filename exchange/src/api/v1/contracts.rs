//! Contracts, and their proofs.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use serde::{Deserialize, Serialize};
use settlement::store::queries::ContractRow;
use types::{Party, Side, TradeId};
use utoipa::{IntoParams, ToSchema};

use super::{
    super::{
        Desk,
        access::{Endpoint, Sight},
        amount::Amount,
        body,
        caller::Caller,
        problem::*,
    },
    page, window,
};

/// Contracts that one question looks at: 2,000 × 30 µs.
const CANDIDATES_MAX: u32 = 2_000;
/// Contracts of one answer.
const CONTRACTS_MAX: u32 = 500;

/// Which contracts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ContractsQuery {
    /// Delivered from this instant on, RFC 3339.
    from: Option<String>,
    /// Up to, not including, this one.
    to: Option<String>,
    /// After this contract: `next` of the answer before.
    after: Option<u64>,
    /// 100, if it is not said.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// A side of a contract.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContractSideRow {
    /// The registered name of its meter, for who serves it.
    meter: Option<String>,
    platform: u16,
    retailer: u16,
    utility: u16,
    /// Who signs the meter's readings in that slot.
    server: String,
    /// Allocated to it, in Wh, once both sides are known.
    allocated_wh: Option<u64>,
}

/// A contract, as far as the caller sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContractLine {
    /// Its number; a cursor too.
    contract: u64,
    market: u16,
    slot_start: String,
    minutes: u16,
    traded: String,
    version: u32,
    state: &'static str,
    provisional: bool,
    contracted_wh: u64,
    /// Delivered and taken, once that is known.
    settled_wh: Option<u64>,
    /// For platforms and the operator.
    #[schema(value_type = Option<f64>)]
    price: Option<Amount>,
    buyer: ContractSideRow,
    seller: ContractSideRow,
    /// Index of its newest leaf in the ledger.
    leaf: u64,
}

/// A page of contracts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Contracts {
    contracts: Vec<ContractLine>,
    /// Where the next page begins; a page may have fewer lines than asked for, even none.
    next: Option<u64>,
}

fn line(row: &ContractRow, sight: Sight) -> ContractLine {
    let side = |side: Side, is_seen: bool| {
        let of = match side {
            Side::Buy => &row.contract.buy,
            Side::Sell => &row.contract.sell,
        };
        ContractSideRow {
            meter: is_seen.then(|| row.side(side).code.to_string()),
            platform: of.platform.get(),
            retailer: of.retailer.get(),
            utility: of.utility.get(),
            server: row.side(side).server.to_string(),
            allocated_wh: row.allocated(side).map(|energy| energy.wh()),
        }
    };
    ContractLine {
        contract: row.contract.id.get(),
        market: row.key.market.get(),
        slot_start: row.key.slot.start().to_string(),
        minutes: row.key.slot.minutes(),
        traded: row.contract.traded.to_string(),
        version: row.version,
        state: row.state.name(),
        provisional: row.provisional,
        contracted_wh: row.energy.wh(),
        settled_wh: row.outcome.map(|record| record.outcome.settled.wh()),
        price: sight.price.then(|| Amount::of_price(row.contract.price)),
        buyer: side(Side::Buy, sight.buyer),
        seller: side(Side::Sell, sight.seller),
        leaf: row.newest_leaf,
    }
}

/// Contracts that the caller is a party to, by number.
#[utoipa::path(
    get, path = "/v1/contracts", tag = "settlement", params(ContractsQuery),
    responses((status = 200, body = Contracts), (status = 304),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json")),
    security(("certificate" = []))
)]
pub(crate) async fn contracts(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let caller = caller.may(Endpoint::Contracts)?;
    let query: ContractsQuery = body::from_query(&uri)?;
    let (limit, after) = page(query.limit, query.after, CONTRACTS_MAX)?;
    let (from, to) = window(query.from.as_deref(), query.to.as_deref())?;
    let refused = |error| Problem::from(&error);
    let queries = desk.queries();
    let state = queries.one_state().map_err(refused)?;
    let candidates = queries.after(after, CANDIDATES_MAX).map_err(refused)?;
    let full = usize::try_from(CANDIDATES_MAX).unwrap_or(usize::MAX);
    let mut next = candidates.last().filter(|_| candidates.len() >= full).map(|last| last.get());
    let mut contracts = Vec::new();
    for trade in candidates {
        let Some(row) = queries.contract(trade).map_err(refused)? else { continue };
        let start = row.key.slot.start();
        let sight = Sight::of(caller, &row).filter(|_| start >= from && start < to);
        contracts.extend(sight.map(|sight| line(&row, sight)));
        if contracts.len() >= limit {
            next = Some(trade.get());
            break;
        }
    }
    drop(state);
    drop(queries);
    Ok(body::answer(&headers, &Contracts { contracts, next }))
}

/// The number behind a prefix of the path, and nothing that merely means the same.
fn number(uri: &Uri, suffix: &str) -> Result<TradeId, Problem> {
    body::no_query(uri)?;
    let text = uri.path().strip_prefix("/v1/contracts/").and_then(|rest| rest.strip_suffix(suffix));
    let number = text.and_then(|text| text.parse::<u64>().ok());
    let number = number.filter(|number| text == Some(number.to_string().as_str()));
    let got = text.unwrap_or_default();
    number.map(TradeId::new).ok_or_else(|| Problem::bad_value("contract", got, "its number"))
}

fn visible(desk: &Desk, caller: Party, trade: TradeId) -> Result<(ContractRow, Sight), Problem> {
    let row = desk.queries().contract(trade).map_err(|error| Problem::from(&error))?;
    let seen = row.and_then(|row| Sight::of(caller, &row).map(|sight| (row, sight)));
    seen.ok_or_else(|| Problem::not_found("contract"))
}

/// One contract.
#[utoipa::path(
    get, path = "/v1/contracts/{contract}", tag = "settlement",
    params(("contract" = u64, Path, description = "its number")),
    responses((status = 200, body = ContractLine), (status = 304),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json")),
    security(("certificate" = []))
)]
pub(crate) async fn contract(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let caller = caller.may(Endpoint::Contracts)?;
    let (row, sight) = visible(&desk, caller, number(&uri, "")?)?;
    Ok(body::answer(&headers, &line(&row, sight)))
}

/// The newest leaf of a contract with its proof under the newest checkpoint, as an offline proof file
/// (`c2sp.org/tlog-proof@v1`). A leaf has prices and amounts: only for who sees them.
#[utoipa::path(
    get, path = "/v1/contracts/{contract}/proof", tag = "settlement",
    params(("contract" = u64, Path, description = "its number")),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 304),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json")),
    security(("certificate" = []))
)]
pub(crate) async fn proof(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let caller = caller.may(Endpoint::Proofs)?;
    let (row, sight) = visible(&desk, caller, number(&uri, "/proof")?)?;
    if !sight.price {
        return Err(Problem::not_authorised("a leaf has the price, which is for the platforms"));
    }
    let leaf = row.newest_leaf;
    let proof = desk.ask(move |desk, _| Ok(desk.inclusion_proof(leaf))).await?;
    let proof = proof.map_err(|error| Problem::from(&error))?;
    Ok(body::tagged(&headers, "text/plain; charset=utf-8", proof.to_text().into_bytes()))
}
