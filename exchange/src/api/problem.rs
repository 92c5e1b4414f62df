//! What is said where a request is refused: RFC 9457, and the form of the ledger service.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A refusal. It names what was wrong, what came, and what would have been right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// For programs: a word of its own for each reason.
    pub(super) code: &'static str,
    /// For people.
    pub(super) detail: String,
    pub(super) field: Option<String>,
    pub(super) got: Option<String>,
    pub(super) expected: Option<String>,
    /// Whether the same request can succeed later.
    pub(super) retryable: bool,
}

/// `application/problem+json` (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProblemBody {
    /// Always `about:blank`: the code says more.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// One sentence.
    detail: String,
    /// A word for programs.
    code: &'static str,
    /// Which field or parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// What came.
    #[serde(skip_serializing_if = "Option::is_none")]
    got: Option<String>,
    /// What would have been right.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    /// Whether the same request can succeed later.
    retryable: bool,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let retryable = false;
        let (field, got, expected) = (None, None, None);
        Self { status, code, detail: detail.into(), field, got, expected, retryable }
    }

    pub(super) fn of_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    pub(super) fn got(mut self, got: impl Into<String>) -> Self {
        // What came may be long, and it is told to who sent it only.
        self.got = Some(got.into().chars().take(200).collect());
        self
    }

    pub(super) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    const fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    pub(super) fn not_authorised(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "not_authorised", detail)
    }

    pub(super) fn not_found(what: &str) -> Self {
        let detail = format!("there is no such {what}, or none that you may see");
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    pub(super) fn bad_value(field: &str, got: impl Into<String>, expected: &str) -> Self {
        let detail = format!("`{field}` cannot be used");
        let problem = Self::new(StatusCode::BAD_REQUEST, "bad_value", detail);
        problem.of_field(field).got(got).expected(expected)
    }

    pub(super) fn missing(field: &str) -> Self {
        let detail = format!("`{field}` is missing");
        Self::new(StatusCode::BAD_REQUEST, "missing_field", detail).of_field(field)
    }

    pub(super) fn too_wide(limit: u32) -> Self {
        let detail =
            format!("the answer would come from more than {limit} contracts; ask for less");
        Self::new(StatusCode::BAD_REQUEST, "too_wide", detail)
            .expected("ids, or a shorter window of delivery")
    }

    pub(super) fn too_many(retry_ms: u64) -> Self {
        let detail = format!("more requests than one caller may send; go on in {retry_ms} ms");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail).retryable()
    }

    pub(super) fn busy() -> Self {
        let detail = "the settlement desk does not answer in time; send it again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_now", detail).retryable()
    }

    pub(super) fn one_at_a_time() -> Self {
        let detail = "another statement is being made; send it again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_now", detail).retryable()
    }

    pub(super) fn not_yet(detail: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "not_yet", detail).retryable()
    }

    pub(super) fn internal() -> Self {
        let detail = "something is wrong here and was logged; the request may be sent again";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).retryable()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status;
        let body = ProblemBody {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: self.detail,
            code: self.code,
            field: self.field,
            got: self.got,
            expected: self.expected,
            retryable: self.retryable,
        };
        // Plain strings and numbers always serialise.
        let text = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, text).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
