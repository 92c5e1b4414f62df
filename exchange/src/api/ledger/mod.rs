//! `/ledger`: the ledger service of the ecosystem, version 0.4.0.
//!
//! Decision 0033 says how it is mapped onto contracts, readings and allocations.

mod find;
pub(crate) mod shapes;

use axum::{
    Extension, Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use settlement::{
    metering::envelope,
    registry::MeterCode,
    service::{
        AllocatedPart, MeterStatement, NAME_BYTES_MAX, RecordName, Refusal, Request, SideStatus,
        TradeFacts, Written,
        signature::{SignatureReject, Signed},
    },
    store::queries::ContractRow,
};
use types::{DeliverySlot, Energy, Party, PlatformId, Price, Role, Side, Timestamp};

use self::shapes::{
    AllocateRequest, AllocateResponse, AllocationPart, DiscomRole, ErrorDetails, GetRequest,
    GetResponse, LedgerError, Metric, MetricType, PlatformRole, PutRequest, Record, RecordRequest,
    TradeDetail, TradeStatus, TradeType, TradeUnit, WriteResponse,
};
use super::{
    Desk,
    access::{Endpoint, Sight},
    amount::Amount,
    body::{self, instant},
    caller::Caller,
    problem::{Problem, ProblemCode},
};

/// A refusal in the form of the service.
#[derive(Debug)]
pub(crate) struct LedgerProblem(Problem);

impl From<Problem> for LedgerProblem {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

/// The service's code for our own.
fn service_code(problem: &Problem) -> &'static str {
    match problem.code {
        ProblemCode::MissingField => "SCH_MISSING_REQUIRED",
        ProblemCode::SignatureInvalid => "AUT_SIGNATURE_INVALID",
        ProblemCode::Conflict | ProblemCode::NotYet => "PRC_CONFLICT",
        ProblemCode::NotFound => "PRC_NOT_FOUND",
        ProblemCode::NotAuthorised => "AUT_NOT_AUTHORIZED",
        ProblemCode::Internal | ProblemCode::NotNow => "SRV_INTERNAL_ERROR",
        ProblemCode::UnknownField
        | ProblemCode::DuplicateKey
        | ProblemCode::BadValue
        | ProblemCode::Malformed
        | ProblemCode::TooDeep
        | ProblemCode::Exponent
        | ProblemCode::TooWide
        | ProblemCode::UnknownPath
        | ProblemCode::WrongMethod
        | ProblemCode::BodyTooLarge
        | ProblemCode::WrongContentType
        | ProblemCode::TooManyRequests => "SCH_FIELD_NOT_ALLOWED",
    }
}

impl IntoResponse for LedgerProblem {
    fn into_response(self) -> Response {
        let code = service_code(&self.0);
        let Problem { code: reason, detail, field, got, expected } = self.0;
        let (status, retryable) = (reason.status(), reason.is_retryable());
        let reason = reason.name();
        let details = Some(ErrorDetails { reason, field, got, expected, retryable });
        (status, Json(LedgerError { code, message: detail, details })).into_response()
    }
}

/// A request that was signed by who sends it.
struct Received {
    signed: Signed,
    header: String,
    bytes: Bytes,
}

impl Desk {
    /// The body, if the caller signed it.
    async fn signed(
        &self,
        caller: Party,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Received, Problem> {
        let bytes = body::json_bytes(headers, body, self.shared.options.body_bytes).await?;
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let refused = |why: SignatureReject| {
            Problem::new(ProblemCode::SignatureInvalid, why.to_string()).of_field("Authorization")
        };
        let header = header.ok_or_else(|| refused(SignatureReject::Malformed))?.to_owned();
        let (text, body) = (header.clone(), bytes.clone());
        let signed = self.ask(move |desk, now| Ok(desk.signer_of(&text, &body, now))).await?;
        let signed = signed.map_err(refused)?;
        if signed.party != caller {
            let detail = "the signature is another party's than the connection";
            return Err(Problem::not_authorised(detail).of_field("Authorization"));
        }
        Ok(Received { signed, header, bytes })
    }

    fn parsed<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, Problem> {
        body::from_json(bytes, self.shared.options.depth)
    }
}

/// A platform names a trade of its own; what it says of the trade must be so.
#[utoipa::path(
    post, path = "/ledger/put", tag = "ledger service",
    request_body = PutRequest,
    responses(
        (status = 200, body = WriteResponse),
        (status = 400, body = LedgerError), (status = 401, body = LedgerError),
        (status = 403, body = LedgerError), (status = 404, body = LedgerError),
        (status = 409, body = LedgerError), (status = 413, body = LedgerError),
        (status = 415, body = LedgerError), (status = 429, body = super::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = LedgerError),
    ),
    security(("certificate" = []), ("signature" = []))
)]
pub(super) async fn put(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<WriteResponse>, LedgerProblem> {
    let caller = caller.may(Endpoint::LedgerPut)?;
    let received = desk.signed(caller, &headers, body).await?;
    let wanted: PutRequest = desk.parsed(&received.bytes)?;
    let name = name(&wanted.transaction_id, &wanted.order_item_id)?;
    let facts = facts(&wanted, desk.shared.currency.code())?;
    let side = match wanted.role {
        PlatformRole::Buyer => Side::Buy,
        PlatformRole::Seller => Side::Sell,
    };
    let request = request(&received, name, wanted.client_reference)?;
    let done = desk.ask(move |desk, _| desk.name_trade(&request, side, &facts)).await?;
    Ok(Json(written(done)?))
}

/// A distribution company says what became of its side of a trade.
#[utoipa::path(
    post, path = "/ledger/record", tag = "ledger service",
    request_body = RecordRequest,
    responses(
        (status = 200, body = WriteResponse),
        (status = 400, body = LedgerError), (status = 401, body = LedgerError),
        (status = 403, body = LedgerError), (status = 404, body = LedgerError),
        (status = 409, body = LedgerError), (status = 413, body = LedgerError),
        (status = 415, body = LedgerError), (status = 429, body = super::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = LedgerError),
    ),
    security(("certificate" = []), ("signature" = []))
)]
pub(super) async fn record(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<WriteResponse>, LedgerProblem> {
    let caller = caller.may(Endpoint::LedgerRecord)?;
    let received = desk.signed(caller, &headers, body).await?;
    let said: RecordRequest = desk.parsed(&received.bytes)?;
    let name = name(&said.transaction_id, &said.order_item_id)?;
    let (side, report) = report(&said)?;
    let request = request(&received, name, said.client_reference)?;
    let Received { header, bytes, .. } = received;
    let done = desk
        .ask(move |desk, now| desk.report_side((&request, now), side, report, (&header, &bytes)))
        .await?;
    Ok(Json(written(done)?))
}

/// A distribution company says what a meter moved; it is a reading like any other.
#[utoipa::path(
    post, path = "/ledger/allocate", tag = "ledger service",
    request_body = AllocateRequest,
    responses(
        (status = 200, body = AllocateResponse),
        (status = 400, body = LedgerError), (status = 401, body = LedgerError),
        (status = 403, body = LedgerError), (status = 404, body = LedgerError),
        (status = 409, body = LedgerError), (status = 413, body = LedgerError),
        (status = 415, body = LedgerError), (status = 429, body = super::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = LedgerError),
    ),
    security(("certificate" = []), ("signature" = []))
)]
pub(super) async fn allocate(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<AllocateResponse>, LedgerProblem> {
    let caller = caller.may(Endpoint::LedgerAllocate)?;
    let received = desk.signed(caller, &headers, body).await?;
    let said: AllocateRequest = desk.parsed(&received.bytes)?;
    if said.discom_id != caller.to_string() {
        let problem = Problem::not_authorised("a company speaks for itself only");
        return Err(problem.of_field("discomId").got(said.discom_id).into());
    }
    let start = instant("deliveryStartTime", &said.delivery_start_time)?;
    let end = instant("deliveryEndTime", &said.delivery_end_time)?;
    let statement = MeterStatement {
        meter: code("meterId", &said.meter_id)?,
        span: span(start, end)?,
        imported_wh: wh("actualImported", said.actual_imported)?,
    };
    let Received { signed, header, bytes } = received;
    let parts = desk
        .ask(move |desk, now| desk.allocate_meter((signed, now), &statement, (&header, &bytes)))
        .await?
        .map_err(refused)?;
    Ok(Json(allocations(&parts)))
}

/// Records that the caller may see.
#[utoipa::path(
    post, path = "/ledger/get", tag = "ledger service",
    request_body = GetRequest,
    responses(
        (status = 200, body = GetResponse),
        (status = 400, body = LedgerError), (status = 401, body = LedgerError),
        (status = 403, body = LedgerError), (status = 413, body = LedgerError),
        (status = 415, body = LedgerError), (status = 429, body = super::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = LedgerError),
    ),
    security(("certificate" = []), ("signature" = []))
)]
pub(super) async fn get(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<GetResponse>, LedgerProblem> {
    let caller = caller.may(Endpoint::LedgerGet)?;
    // The certificate says who asks; a signature that is there must be right all the same.
    let bytes = if headers.contains_key(header::AUTHORIZATION) {
        desk.signed(caller, &headers, body).await?.bytes
    } else {
        body::json_bytes(&headers, body, desk.shared.options.body_bytes).await?
    };
    let wanted: GetRequest = desk.parsed(&bytes)?;
    Ok(Json(find::records(&desk, caller, &wanted)?))
}

/// What was refused at the desk.
fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::NotAuthorised => Problem::not_authorised("this is another party's to write"),
        Refusal::NotFound => Problem::not_found("trade"),
        Refusal::Missing(field) => Problem::missing(field),
        Refusal::Conflict { field, got, expected } => {
            let detail = format!("`{field}` says otherwise than what stands here");
            let problem = Problem::new(ProblemCode::Conflict, detail);
            problem.of_field(field).got(got).expected(expected)
        }
        Refusal::Reading(reject) => reading_refused(reject),
    }
}

fn reading_refused(reject: settlement::DocumentReject) -> Problem {
    use settlement::DocumentReject as Reject;
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other reason is a bad value")]
    let code = match reject {
        Reject::WrongSigner => ProblemCode::NotAuthorised,
        Reject::UnknownMeter => ProblemCode::NotFound,
        Reject::Equivocation | Reject::StaleRevision => ProblemCode::Conflict,
        _ => ProblemCode::BadValue,
    };
    let problem = Problem::new(code, format!("the reading is refused: {}", reject.name()));
    problem.of_field("actualImported")
}

fn written(done: Result<Written, Refusal>) -> Result<WriteResponse, Problem> {
    let Written { row, repeated } = done.map_err(refused)?;
    Ok(WriteResponse {
        success: true,
        record_id: row.contract.id.to_string(),
        creation_time: row.contract.traded.to_string(),
        row_digest: row.newest_hash.to_string(),
        message: repeated.then_some("nothing new"),
    })
}

fn request(
    received: &Received,
    name: RecordName,
    reference: Option<String>,
) -> Result<Request, Problem> {
    let reference = reference.map(|text| text_of("clientReference", &text)).transpose()?;
    let Signed { party: caller, created } = received.signed;
    let digest = *envelope::digest(&received.bytes).as_bytes();
    Ok(Request { caller, created, name, reference, digest })
}

/// Visible characters only, and not too many.
fn text_of(field: &str, text: &str) -> Result<String, Problem> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if (1..=NAME_BYTES_MAX).contains(&text.len()) && is_plain {
        Ok(text.to_owned())
    } else {
        Err(Problem::bad_value(field, text, "1 to 64 visible ASCII characters"))
    }
}

fn name(transaction: &str, item: &str) -> Result<RecordName, Problem> {
    let transaction = text_of("transactionId", transaction)?;
    Ok(RecordName { transaction, item: text_of("orderItemId", item)? })
}

fn code(field: &str, text: &str) -> Result<MeterCode, Problem> {
    MeterCode::new(text).map_err(|_| Problem::bad_value(field, text, "the name of a meter"))
}

fn span(start: Timestamp, end: Timestamp) -> Result<DeliverySlot, Problem> {
    const MINUTE_NS: i64 = 60_000_000_000;
    let length = end.ns().saturating_sub(start.ns());
    let whole = (length.rem_euclid(MINUTE_NS) == 0).then(|| length.div_euclid(MINUTE_NS));
    let minutes = whole.and_then(|minutes| u16::try_from(minutes).ok());
    let slot = minutes.and_then(|minutes| DeliverySlot::starting_at(start, minutes).ok());
    let expected = "whole minutes after deliveryStartTime, at most a day";
    slot.ok_or_else(|| Problem::bad_value("deliveryEndTime", end.to_string(), expected))
}

fn wh(field: &str, amount: Amount) -> Result<i64, Problem> {
    amount.wh().ok_or_else(|| Problem::bad_value(field, amount.to_string(), "whole watt-hours"))
}

fn energy(field: &str, amount: Amount) -> Result<Energy, Problem> {
    let wh = wh(field, amount)?;
    let energy = u64::try_from(wh).map(Energy::from_wh);
    energy.map_err(|_| Problem::bad_value(field, amount.to_string(), "not below zero"))
}

/// `retailer/1`.
fn party(field: &str, text: &str) -> Result<Party, Problem> {
    let party = envelope::parse_party(text);
    party.ok_or_else(|| Problem::bad_value(field, text, "a party such as `retailer/1`"))
}

fn platform(field: &str, text: &str) -> Result<PlatformId, Problem> {
    match party(field, text)? {
        Party { role: Role::Platform, number } => Ok(PlatformId::new(number)),
        Party { .. } => Err(Problem::bad_value(field, text, "a platform such as `platform/1`")),
    }
}

fn each<T, U>(
    fields: [(&'static str, &Option<T>); 2],
    read: impl Fn(&str, &T) -> Result<U, Problem>,
) -> Result<[Option<U>; 2], Problem> {
    let [(first, buyer), (second, seller)] = fields;
    let buyer = buyer.as_ref().map(|value| read(first, value)).transpose()?;
    Ok([buyer, seller.as_ref().map(|value| read(second, value)).transpose()?])
}

fn facts(wanted: &PutRequest, currency: &str) -> Result<TradeFacts, Problem> {
    let text = |read: fn(&str, &str) -> Result<Party, Problem>| {
        move |field: &str, value: &String| read(field, value)
    };
    let time = |field: &'static str, value: &Option<String>| {
        value.as_deref().map(|value| instant(field, value)).transpose()
    };
    let mut facts = TradeFacts {
        platforms: each(
            [
                ("platformIdBuyer", &wanted.platform_id_buyer),
                ("platformIdSeller", &wanted.platform_id_seller),
            ],
            |field, value| platform(field, value),
        )?,
        servers: each(
            [
                ("discomIdBuyer", &wanted.discom_id_buyer),
                ("discomIdSeller", &wanted.discom_id_seller),
            ],
            text(party),
        )?,
        meters: each(
            [("buyerId", &wanted.buyer_id), ("sellerId", &wanted.seller_id)],
            |field, value| code(field, value),
        )?,
        traded: time("tradeTime", &wanted.trade_time)?,
        start: time("deliveryStartTime", &wanted.delivery_start_time)?,
        end: time("deliveryEndTime", &wanted.delivery_end_time)?,
        energy: None,
        price: None,
    };
    if let Some(details) = &wanted.trade_details {
        let [detail] = details.as_slice() else {
            let got = details.len().to_string();
            return Err(Problem::bad_value("tradeDetails", got, "one entry"));
        };
        traded(detail, currency, &mut facts)?;
    }
    Ok(facts)
}

/// What is traded here is energy, in the market's currency.
fn traded(detail: &TradeDetail, currency: &str, facts: &mut TradeFacts) -> Result<(), Problem> {
    if detail.trade_type != TradeType::Energy {
        let got = format!("{:?}", detail.trade_type);
        return Err(Problem::bad_value("tradeDetails.tradeType", got, "ENERGY"));
    }
    if detail.trade_unit != TradeUnit::Kwh {
        return Err(Problem::bad_value("tradeDetails.tradeUnit", "KW", "KWH"));
    }
    if let Some(other) = detail.price_currency.as_ref().filter(|code| *code != currency) {
        return Err(Problem::bad_value("tradeDetails.priceCurrency", other, currency));
    }
    facts.energy = Some(energy("tradeDetails.tradeQty", detail.trade_qty)?);
    let price = |amount: Amount| {
        let refused = || {
            let field = "tradeDetails.pricePerUnit";
            Problem::bad_value(field, amount.to_string(), "at most six decimals")
        };
        amount.micros().map(Price::from_micros).ok_or_else(refused)
    };
    facts.price = detail.price_per_unit.map(price).transpose()?;
    Ok(())
}

type Report = (Option<SideStatus>, Option<Energy>);

/// A company's own side only.
fn report(said: &RecordRequest) -> Result<(Side, Report), Problem> {
    let buyer = (&said.buyer_fulfillment_validation_metrics, said.status_buyer_discom);
    let seller = (&said.seller_fulfillment_validation_metrics, said.status_seller_discom);
    let buyer_fields = ("buyerFulfillmentValidationMetrics", "statusBuyerDiscom");
    let seller_fields = ("sellerFulfillmentValidationMetrics", "statusSellerDiscom");
    let (side, own, fields, other, theirs, metric) = match said.role {
        DiscomRole::BuyerDiscom => {
            (Side::Buy, buyer, buyer_fields, seller, seller_fields, MetricType::ActualPulled)
        }
        DiscomRole::SellerDiscom => {
            (Side::Sell, seller, seller_fields, buyer, buyer_fields, MetricType::ActualPushed)
        }
    };
    let is_theirs = [(other.0.is_some(), theirs.0), (other.1.is_some(), theirs.1)];
    if let Some((_, field)) = is_theirs.into_iter().find(|(is_there, _)| *is_there) {
        let detail = "the other side's company says that";
        let problem = Problem::new(ProblemCode::UnknownField, detail);
        return Err(problem.of_field(field));
    }
    let (metrics, status) = own;
    let metered = match metrics.as_deref() {
        None | Some([]) => None,
        Some([one]) if one.validation_metric_type == metric => {
            Some(energy("validationMetricValue", one.validation_metric_value)?)
        }
        Some(_) => {
            let expected = "one entry, ACTUAL_PULLED of a buyer or ACTUAL_PUSHED of a seller";
            return Err(Problem::bad_value(fields.0, "others", expected));
        }
    };
    if status.is_none() && metered.is_none() {
        return Err(Problem::missing(fields.1));
    }
    let status = status.map(|status| match status {
        TradeStatus::Pending => SideStatus::Pending,
        TradeStatus::Confirmed => SideStatus::Confirmed,
        TradeStatus::CancelledOutage => SideStatus::CancelledOutage,
        TradeStatus::CancelledPolViolation => SideStatus::CancelledPolicy,
        TradeStatus::CurtailedOutage => SideStatus::CurtailedOutage,
        TradeStatus::CurtailedPolViolation => SideStatus::CurtailedPolicy,
        TradeStatus::Completed => SideStatus::Completed,
    });
    Ok((side, (status, metered)))
}

const fn told(status: SideStatus) -> TradeStatus {
    match status {
        SideStatus::Pending => TradeStatus::Pending,
        SideStatus::Confirmed => TradeStatus::Confirmed,
        SideStatus::CancelledOutage => TradeStatus::CancelledOutage,
        SideStatus::CancelledPolicy => TradeStatus::CancelledPolViolation,
        SideStatus::CurtailedOutage => TradeStatus::CurtailedOutage,
        SideStatus::CurtailedPolicy => TradeStatus::CurtailedPolViolation,
        SideStatus::Completed => TradeStatus::Completed,
    }
}

fn allocations(parts: &[AllocatedPart]) -> AllocateResponse {
    let part = |part: &AllocatedPart| AllocationPart {
        record_id: part.trade.to_string(),
        transaction_id: part.name.transaction.clone(),
        order_item_id: part.name.item.clone(),
        role: match part.side {
            Side::Buy => DiscomRole::BuyerDiscom,
            Side::Sell => DiscomRole::SellerDiscom,
        },
        trade_qty: Amount::of_energy(part.contracted),
        allocated_qty: Amount::of_energy(part.allocated),
    };
    let sum = |of: fn(&AllocatedPart) -> Energy| {
        let wh = parts.iter().fold(0_u64, |sum, part| sum.saturating_add(of(part).wh()));
        Amount::of_energy(Energy::from_wh(wh))
    };
    AllocateResponse {
        success: true,
        allocations: parts.iter().map(part).collect(),
        total_matched: sum(|part| part.contracted),
        total_allocated: sum(|part| part.allocated),
    }
}

/// A contract as a record, as far as a caller sees it.
fn shown(row: &ContractRow, sight: Sight, currency: &str) -> Record {
    let contract = &row.contract;
    let platform =
        |number: PlatformId| Party { role: Role::Platform, number: number.get() }.to_string();
    let metrics = |side: Side, kind: MetricType| {
        let metric = |energy| Metric {
            validation_metric_type: kind,
            validation_metric_value: Amount::of_energy(energy),
        };
        row.allocated(side).map(metric).into_iter().collect()
    };
    let [buyer, seller] = &row.sides;
    Record {
        record_id: contract.id.to_string(),
        creation_time: contract.traded.to_string(),
        transaction_id: row.name.transaction.clone(),
        order_item_id: row.name.item.clone(),
        platform_id_buyer: platform(contract.buy.platform),
        platform_id_seller: platform(contract.sell.platform),
        discom_id_buyer: buyer.server.to_string(),
        discom_id_seller: seller.server.to_string(),
        buyer_id: sight.buyer.then(|| buyer.code.to_string()),
        seller_id: sight.seller.then(|| seller.code.to_string()),
        trade_time: contract.traded.to_string(),
        delivery_start_time: row.key.slot.start().to_string(),
        delivery_end_time: row.key.slot.end().to_string(),
        trade_details: vec![TradeDetail {
            trade_type: TradeType::Energy,
            trade_qty: Amount::of_energy(row.energy),
            trade_unit: TradeUnit::Kwh,
            price_per_unit: sight.price.then(|| Amount::of_price(contract.price)),
            price_currency: sight.price.then(|| currency.to_owned()),
        }],
        buyer_fulfillment_validation_metrics: metrics(Side::Buy, MetricType::ActualPulled),
        seller_fulfillment_validation_metrics: metrics(Side::Sell, MetricType::ActualPushed),
        status_buyer_discom: told(row.status(Side::Buy)),
        status_seller_discom: told(row.status(Side::Sell)),
        network_id: row.key.market.to_string(),
        row_digest: row.newest_hash.to_string(),
    }
}
