//! What happened, page by page: the same notices as events and webhooks tell.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use serde::{Deserialize, Serialize};
use types::Party;
use utoipa::{IntoParams, ToSchema};

use super::{
    super::{Desk, access::Endpoint, body, caller::Caller, problem::*},
    page,
};
use crate::notices::body::NoticeBody;

/// Notices of one answer.
const NOTICES_MAX: u32 = 500;
/// Pages of the outbox that one question looks through: 16 × 256 × 40 µs are 160 ms.
const PAGES_MAX: u32 = 16;

/// From where on, and how many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct NoticesQuery {
    /// After this notice: `through` of the answer before. 0, if it is not said: the first of all.
    after: Option<u64>,
    /// 100, if it is not said.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// A page of notices.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Notices {
    notices: Vec<NoticeBody>,
    /// Everything up to this number was looked at: ask for what comes after it.
    through: u64,
    /// The same number while there may be more; none behind the newest notice. A page may have fewer
    /// lines than asked for, even none.
    next: Option<u64>,
}

/// What was found for somebody.
pub(super) struct Found {
    pub(super) notices: Vec<NoticeBody>,
    pub(super) through: u64,
    /// Nothing has a later number so far.
    pub(super) is_end: bool,
}

/// Notices for a party after a number, at most so many, from a bounded part of the outbox.
pub(super) fn find(desk: &Desk, party: Party, after: u64, limit: usize) -> Result<Found, Problem> {
    let mut found = Found { notices: Vec::new(), through: after, is_end: false };
    for _ in 0..PAGES_MAX {
        let queries = desk.queries();
        let page = desk.pages().after(&queries, found.through);
        let page = page.map_err(|error| Problem::from(&error))?;
        drop(queries);
        for notice in page.notices() {
            if found.notices.len() >= limit {
                return Ok(found);
            }
            found.notices.extend(NoticeBody::of(notice, party, desk.shared.currency));
            found.through = notice.number;
        }
        found.through = page.through();
        found.is_end = page.is_end();
        if found.is_end || found.notices.len() >= limit {
            break;
        }
    }
    Ok(found)
}

/// What happened that concerns the caller, in the order of its numbers, from any number on.
#[utoipa::path(
    get, path = "/v1/notices", tag = "notices", params(NoticesQuery),
    responses((status = 200, body = Notices), (status = 304),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json")),
    security(("certificate" = []))
)]
pub(crate) async fn notices(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let caller = caller.may(Endpoint::Events)?;
    let query: NoticesQuery = body::from_query(&uri)?;
    let (limit, after) = page(query.limit, query.after, NOTICES_MAX)?;
    let Found { notices, through, is_end } = find(&desk, caller, after, limit)?;
    let next = (!is_end).then_some(through);
    Ok(body::answer(&headers, &Notices { notices, through, next }))
}
