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

/// Why there is no session. Names are public and stay; two reasons may have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemCode {
    /// The body ended before a whole `Logon`.
    NoLogon,
    /// No whole `Logon` came in time.
    LateLogon,
    /// The certificate's role is not platform, or it names no party.
    NotAuthorised,
    /// The certificate was revoked before the session began.
    Revoked,
    /// Another path.
    UnknownPath,
    /// Another method.
    WrongMethod,
    /// More than 4 MiB are announced.
    BodyTooLong,
    /// Another content type.
    WrongContentType,
    /// More than eight connections of the party for each shard, those over QUIC included.
    TooManyConnections,
}

impl ProblemCode {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::NoLogon,
        Self::LateLogon,
        Self::NotAuthorised,
        Self::Revoked,
        Self::UnknownPath,
        Self::WrongMethod,
        Self::BodyTooLong,
        Self::WrongContentType,
        Self::TooManyConnections,
    ];

    /// The word for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoLogon | Self::LateLogon => "no_logon",
            Self::NotAuthorised => "not_authorised",
            Self::Revoked => "revoked",
            Self::UnknownPath => "unknown_path",
            Self::WrongMethod => "wrong_method",
            Self::BodyTooLong => "body_too_long",
            Self::WrongContentType => "wrong_content_type",
            Self::TooManyConnections => "too_many_connections",
        }
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NoLogon => StatusCode::BAD_REQUEST,
            Self::LateLogon => StatusCode::REQUEST_TIMEOUT,
            Self::NotAuthorised | Self::Revoked => StatusCode::FORBIDDEN,
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WrongContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyConnections => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

/// What is said of it.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    code: ProblemCode,
    /// For people.
    detail: Cow<'static, str>,
}

impl Problem {
    pub(super) const TOO_MANY_CONNECTIONS: Self = Self {
        code: ProblemCode::TooManyConnections,
        detail: Cow::Borrowed("the platform has as many connections as it may; close one"),
    };

    pub(super) fn not_authorised(detail: String) -> Self {
        Self { code: ProblemCode::NotAuthorised, detail: detail.into() }
    }

    pub(super) fn unknown_path() -> Self {
        let detail = format!("there is only POST {PATH}");
        Self { code: ProblemCode::UnknownPath, detail: detail.into() }
    }

    pub(super) fn wrong_method() -> Self {
        let detail = format!("a session's frames are the body of a POST to {PATH}");
        Self { code: ProblemCode::WrongMethod, detail: detail.into() }
    }

    pub(super) fn wrong_content_type() -> Self {
        let detail = format!("the body is of the type {CONTENT_TYPE}");
        Self { code: ProblemCode::WrongContentType, detail: detail.into() }
    }

    pub(super) fn body_too_long() -> Self {
        let detail = format!("a body has at most {BODY_BYTES_MAX} bytes; send the rest in another");
        Self { code: ProblemCode::BodyTooLong, detail: detail.into() }
    }

    /// A request that ended before its session was accepted or rejected; `None` where the line was
    /// lost.
    pub(super) const fn without_session(code: Option<CloseCode>) -> Self {
        let (code, detail) = match code {
            Some(CloseCode::Silent | CloseCode::Unfinished | CloseCode::TooLong) => {
                (ProblemCode::LateLogon, "no whole Logon came in time")
            }
            Some(CloseCode::Revoked) => {
                (ProblemCode::Revoked, "the certificate is not valid any more")
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
            | None => (ProblemCode::NoLogon, "the body begins with no whole Logon"),
        };
        Self { code, detail: Cow::Borrowed(detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let Self { code, detail } = self;
        let status = code.status();
        let text = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "code": code.name(),
            "detail": detail,
        });
        let mut response = Response::new(Body::from(text.to_string()));
        *response.status_mut() = status;
        let content_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response
    }
}
