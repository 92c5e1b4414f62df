//! What is said where a request is no session at all (RFC 9457).

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use serde_json::json;

use super::{BODY_BYTES_MAX, CONTENT_TYPE, PATH};
use crate::quic::CloseCode;

/// Why there is no session.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    status: StatusCode,
    /// For programs: a word of its own for each reason.
    code: &'static str,
    /// For people.
    detail: Cow<'static, str>,
}

impl Problem {
    pub(super) const TOO_MANY_CONNECTIONS: Self = Self {
        status: StatusCode::TOO_MANY_REQUESTS,
        code: "too_many_connections",
        detail: Cow::Borrowed("the platform has as many connections as it may; close one"),
    };

    pub(super) fn not_authorised(detail: String) -> Self {
        Self { status: StatusCode::FORBIDDEN, code: "not_authorised", detail: detail.into() }
    }

    pub(super) fn unknown_path() -> Self {
        let detail = format!("there is only POST {PATH}");
        Self { status: StatusCode::NOT_FOUND, code: "unknown_path", detail: detail.into() }
    }

    pub(super) fn wrong_method() -> Self {
        let detail = format!("a session's frames are the body of a POST to {PATH}");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self { status, code: "wrong_method", detail: detail.into() }
    }

    pub(super) fn wrong_content_type() -> Self {
        let detail = format!("the body is of the type {CONTENT_TYPE}");
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self { status, code: "wrong_content_type", detail: detail.into() }
    }

    pub(super) fn body_too_long() -> Self {
        let detail = format!("a body has at most {BODY_BYTES_MAX} bytes; send the rest in another");
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self { status, code: "body_too_long", detail: detail.into() }
    }

    /// A request that ended before its session was accepted or rejected; `None` where the line was
    /// lost.
    pub(super) const fn without_session(code: Option<CloseCode>) -> Self {
        let (status, code, detail) = match code {
            Some(CloseCode::Silent | CloseCode::Unfinished | CloseCode::TooLong) => {
                (StatusCode::REQUEST_TIMEOUT, "no_logon", "no whole Logon came in time")
            }
            Some(CloseCode::Revoked) => {
                (StatusCode::FORBIDDEN, "revoked", "the certificate is not valid any more")
            }
            Some(
                CloseCode::Done
                | CloseCode::ProtocolError
                | CloseCode::TakenOver
                | CloseCode::SlowReader
                | CloseCode::GoingAway
                | CloseCode::Refused
                | CloseCode::Throttled
                | CloseCode::Failed,
            )
            | None => (StatusCode::BAD_REQUEST, "no_logon", "the body begins with no whole Logon"),
        };
        Self { status, code, detail: Cow::Borrowed(detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let Self { status, code, detail } = self;
        let text = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "code": code,
            "detail": detail,
        });
        let mut response = Response::new(Body::from(text.to_string()));
        *response.status_mut() = status;
        let content_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response
    }
}
