//! Monthly statements of retailers: the files that `gridcross statement --file` writes.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use serde::Deserialize;
use settlement::{
    Month, Pipeline, Settings,
    statement::{UTC_OFFSET_MINUTES_MAX, utc_offset},
    store::database::Store,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use types::{Party, RetailerId, Role};
use utoipa::IntoParams;

use super::super::{
    Desk,
    access::{self, Endpoint},
    body,
    caller::Caller,
    problem::*,
};

/// Where a statement's books are, and what it is made and signed with.
#[derive(Debug, Clone)]
pub(crate) struct Books {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
}

/// Of which month.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatementQuery {
    /// The month of delivery, such as 2026-06.
    month: String,
    /// How far the month's clock is ahead of UTC, such as +05:30; without it, it is that of UTC.
    utc_offset: Option<String>,
    /// An earlier revision than the newest, from 1.
    revision: Option<u32>,
}

/// A statement that is asked for.
#[derive(Debug)]
struct Asked {
    retailer: RetailerId,
    month: Month,
    revision: Option<u32>,
}

/// A retailer's statement of a month as the exchange signs it, one record of JSON a line: the same bytes as
/// `gridcross statement --file` writes, until something settled is changed. It is made out of the whole
/// ledger, one at a time.
#[utoipa::path(
    get, path = "/v1/statements/{retailer}", tag = "settlement",
    params(("retailer" = u16, Path, description = "its number"), StatementQuery),
    responses((status = 200, body = String, content_type = "application/x-ndjson"), (status = 304),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json")),
    security(("certificate" = []))
)]
pub(crate) async fn statement(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let caller = caller.may(Endpoint::Statements)?;
    let asked = asked(&uri)?;
    if !access::may_see_statements(caller, asked.retailer) {
        return Err(Problem::not_authorised("statements are for their retailer"));
    }
    let place = place(&desk.shared.statements)?;
    let books = desk.shared.books.clone();
    let made = tokio::task::spawn_blocking(move || {
        // Kept until the reading ends, though nobody may wait for it any more.
        let _place = place;
        file(books, &asked)
    });
    let text = made.await.map_err(|_| Problem::internal())??;
    Ok(body::tagged(&headers, "application/x-ndjson", text.into_bytes()))
}

/// All threads of the API together read the ledger for one statement at a time.
fn place(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(places).try_acquire_owned().map_err(|_| Problem::one_at_a_time())
}

fn asked(uri: &Uri) -> Result<Asked, Problem> {
    let text = uri.path().strip_prefix("/v1/statements/").unwrap_or_default();
    let number = text.parse::<u16>().ok().filter(|number| number.to_string() == text);
    let number = number.ok_or_else(|| Problem::bad_value("retailer", text, "its number"))?;
    let StatementQuery { month, utc_offset, revision } = body::from_query(uri)?;
    let ahead = utc_offset.as_deref().map_or(Ok(0), offset)?;
    let month = Month::new(&month, ahead)
        .ok_or_else(|| Problem::bad_value("month", month, "a month such as 2026-06"))?;
    Ok(Asked { retailer: RetailerId::new(number), month, revision })
}

/// In a URL a plus is a space.
fn offset(text: &str) -> Result<i32, Problem> {
    let hours = UTC_OFFSET_MINUTES_MAX.div_euclid(60);
    let expected = format!("a distance from UTC such as +05:30, of at most {hours} hours");
    let plus = text.strip_prefix(' ').map(|rest| format!("+{rest}"));
    let found = utc_offset(plus.as_deref().unwrap_or(text));
    found.ok_or_else(|| Problem::bad_value("utc_offset", text, &expected))
}

/// Reads the whole ledger.
fn file(books: Books, asked: &Asked) -> Result<String, Problem> {
    let pipeline = Pipeline::open_for_questions(books.store, books.settings);
    let pipeline = pipeline.map_err(|error| Problem::from(&error))?;
    if !pipeline.is_registered(Party { role: Role::Retailer, number: asked.retailer.get() }) {
        return Err(Problem::not_found("retailer"));
    }
    let made = pipeline.statement(asked.retailer, &asked.month, asked.revision);
    let made = made.map_err(|error| Problem::from(&error))?;
    let made = made.ok_or_else(|| Problem::not_found("revision of the statement"))?;
    Ok(pipeline.seal_statement(&made))
}

#[cfg(test)]
mod tests {
    use axum::{
        http::{StatusCode, header},
        response::IntoResponse as _,
    };

    use super::*;

    #[test]
    fn one_is_made_at_a_time_and_others_are_told_when_to_come_again() {
        let places = Arc::new(Semaphore::new(1));
        let first = place(&places).unwrap();
        let refused = place(&places).unwrap_err().into_response();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
        drop(first);
        assert!(place(&places).is_ok());
    }
}
