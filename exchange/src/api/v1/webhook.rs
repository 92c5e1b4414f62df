//! How a webhook is doing, and the command that sets it back.

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use settlement::metering::envelope;
use types::Party;
use utoipa::{IntoParams, ToSchema};

use super::{
    super::{
        Desk,
        access::{self, Endpoint},
        body,
        caller::Caller,
        problem::*,
    },
    cursor,
};
use crate::notices::Webhooks;

/// Whose.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WebhookQuery {
    /// `retailer/1`; the caller, if it is not said.
    party: Option<String>,
}

/// Where a webhook begins anew.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayRequest {
    /// `retailer/1`; the caller, if it is not said.
    party: Option<String>,
    /// Everything after this notice is sent again. Not beyond what is acknowledged.
    after: u64,
}

/// A webhook, and how it is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookState {
    party: String,
    /// Where it is called, as the registry says.
    url: String,
    /// Everything up to this number is acknowledged.
    through: u64,
    /// Notices acknowledged since the start of the exchange.
    delivered: u64,
    /// Calls since then that were acknowledged.
    calls_acknowledged: u64,
    /// And that were not.
    calls_failed: u64,
    /// Calls in a row that failed.
    failures: u32,
    /// Why the last one did.
    last_error: Option<String>,
    /// What signatures call the key.
    key_id: String,
    /// The Ed25519 key that they verify with, in base64.
    public_key: String,
}

/// The webhooks, and the party whose one the caller may ask about.
fn asked(desk: &Desk, caller: Party, party: Option<&str>) -> Result<(Webhooks, Party), Problem> {
    let read = |text: &str| {
        let known = envelope::parse_party(text);
        known.ok_or_else(|| Problem::bad_value("party", text, "such as retailer/1"))
    };
    let party = party.map(read).transpose()?.unwrap_or(caller);
    if !access::may_see_webhook(caller, party) {
        return Err(Problem::not_authorised("another party's webhook").of_field("party"));
    }
    let webhooks = desk.shared.webhooks.clone().filter(|webhooks| webhooks.of(party).is_some());
    Ok((webhooks.ok_or_else(|| Problem::not_found("webhook"))?, party))
}

fn state(webhooks: &Webhooks, party: Party) -> Result<WebhookState, Problem> {
    let (url, standing) = webhooks.of(party).ok_or_else(|| Problem::not_found("webhook"))?;
    let key = webhooks.key();
    Ok(WebhookState {
        party: party.to_string(),
        url,
        through: standing.through,
        delivered: standing.delivered,
        calls_acknowledged: standing.calls.0,
        calls_failed: standing.calls.1,
        failures: standing.failures,
        last_error: standing.last_error,
        key_id: key.id().to_owned(),
        public_key: STANDARD.encode(key.public().as_bytes()),
    })
}

/// The caller's webhook: how far it is, what failed, and the key that verifies its signatures.
#[utoipa::path(
    get, path = "/v1/webhook", tag = "notices", params(WebhookQuery),
    responses((status = 200, body = WebhookState), (status = 304),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json")),
    security(("certificate" = []))
)]
pub(crate) async fn webhook(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let caller = caller.may(Endpoint::Webhook)?;
    let query: WebhookQuery = body::from_query(&uri)?;
    let (webhooks, party) = asked(&desk, caller, query.party.as_deref())?;
    Ok(body::answer(&headers, &state(&webhooks, party)?))
}

/// Tells a webhook everything after a notice again: its own party, or the operator, asks for it.
#[utoipa::path(
    post, path = "/v1/webhook/replay", tag = "notices", request_body = ReplayRequest,
    responses((status = 200, body = WebhookState),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json")),
    security(("certificate" = []))
)]
pub(crate) async fn replay(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
    content: Body,
) -> Result<Json<WebhookState>, Problem> {
    let caller = caller.may(Endpoint::Webhook)?;
    body::no_query(&uri)?;
    let options = &desk.shared.options;
    let bytes = body::json_bytes(&headers, content, options.body_bytes).await?;
    let ReplayRequest { party, after } = body::from_json(&bytes, options.depth)?;
    let (webhooks, party) = asked(&desk, caller, party.as_deref())?;
    let after = cursor(Some(after))?;
    let rewound = webhooks.rewind(party, after);
    let refused =
        || Problem::bad_value("after", after.to_string(), "at most `through` of /v1/webhook");
    rewound.ok_or_else(refused)?;
    Ok(Json(state(&webhooks, party)?))
}
