//! What is said where a request is refused: RFC 9457, and the form of the ledger service.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// Declares the codes once: variant, name, status, whether the same request can succeed later, and a
/// sentence.
macro_rules! codes {
    ($(#[doc = $meaning:literal] $variant:ident = $name:literal, $status:ident, $retryable:literal;)*) => {
        /// Why a request over HTTP is refused. Names are public and stay.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ProblemCode {
            $(#[doc = $meaning] $variant,)*
        }

        impl ProblemCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for programs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The status of the answer.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)*
                }
            }

            /// Whether the same request can succeed later.
            #[must_use]
            pub const fn is_retryable(self) -> bool {
                match self {
                    $(Self::$variant => $retryable,)*
                }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning.trim_ascii(),)*
                }
            }
        }
    };
}

codes! {
    /// A field that is not known here.
    UnknownField = "unknown_field", BAD_REQUEST, false;
    /// A key that stands twice.
    DuplicateKey = "duplicate_key", BAD_REQUEST, false;
    /// A field or parameter that is needed is missing.
    MissingField = "missing_field", BAD_REQUEST, false;
    /// A value that is not possible.
    BadValue = "bad_value", BAD_REQUEST, false;
    /// The body cannot be read as JSON of this kind.
    Malformed = "malformed", BAD_REQUEST, false;
    /// JSON with more levels than `api.depth`.
    TooDeep = "too_deep", BAD_REQUEST, false;
    /// A number with an exponent.
    Exponent = "exponent", BAD_REQUEST, false;
    /// The answer would come from more than 20,000 contracts.
    TooWide = "too_wide", BAD_REQUEST, false;
    /// The signature is missing, expired, from the future, or of another body or key.
    SignatureInvalid = "signature_invalid", UNAUTHORIZED, false;
    /// Not for this role, or another party's to write.
    NotAuthorised = "not_authorised", FORBIDDEN, false;
    /// It is not there, or not for the caller: contracts of others do not exist.
    NotFound = "not_found", NOT_FOUND, false;
    /// There is no such path.
    UnknownPath = "unknown_path", NOT_FOUND, false;
    /// The path has another method.
    WrongMethod = "wrong_method", METHOD_NOT_ALLOWED, false;
    /// The record says otherwise.
    Conflict = "conflict", CONFLICT, false;
    /// The ledger is not signed so far.
    NotYet = "not_yet", CONFLICT, true;
    /// The body is longer than `api.body_kib`.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, false;
    /// The body is not said to be JSON.
    WrongContentType = "wrong_content_type", UNSUPPORTED_MEDIA_TYPE, false;
    /// More requests of one caller than `api.requests_per_s`.
    TooManyRequests = "too_many_requests", TOO_MANY_REQUESTS, true;
    /// Something is wrong here and was logged.
    Internal = "internal", INTERNAL_SERVER_ERROR, true;
    /// The settlement desk does not answer in time.
    NotNow = "not_now", SERVICE_UNAVAILABLE, true;
}

/// A refusal. It names what was wrong, what came, and what would have been right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// For programs.
    pub(super) code: ProblemCode,
    /// For people.
    pub(super) detail: String,
    pub(super) field: Option<String>,
    pub(super) got: Option<String>,
    pub(super) expected: Option<String>,
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
    pub(super) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        let (field, got, expected) = (None, None, None);
        Self { code, detail: detail.into(), field, got, expected }
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

    pub(super) fn not_authorised(detail: impl Into<String>) -> Self {
        Self::new(ProblemCode::NotAuthorised, detail)
    }

    pub(super) fn not_found(what: &str) -> Self {
        let detail = format!("there is no such {what}, or none that you may see");
        Self::new(ProblemCode::NotFound, detail)
    }

    pub(super) fn bad_value(field: &str, got: impl Into<String>, expected: &str) -> Self {
        let detail = format!("`{field}` cannot be used");
        let problem = Self::new(ProblemCode::BadValue, detail);
        problem.of_field(field).got(got).expected(expected)
    }

    pub(super) fn missing(field: &str) -> Self {
        let detail = format!("`{field}` is missing");
        Self::new(ProblemCode::MissingField, detail).of_field(field)
    }

    pub(super) fn too_wide(limit: u32) -> Self {
        let detail =
            format!("the answer would come from more than {limit} contracts; ask for less");
        Self::new(ProblemCode::TooWide, detail).expected("ids, or a shorter window of delivery")
    }

    pub(super) fn too_many(retry_ms: u64) -> Self {
        let detail = format!("more requests than one caller may send; go on in {retry_ms} ms");
        Self::new(ProblemCode::TooManyRequests, detail)
    }

    pub(super) fn busy() -> Self {
        let detail = "the settlement desk does not answer in time; send it again";
        Self::new(ProblemCode::NotNow, detail)
    }

    pub(super) fn one_at_a_time() -> Self {
        let detail = "another statement is being made; send it again";
        Self::new(ProblemCode::NotNow, detail)
    }

    pub(super) fn not_yet(detail: &str) -> Self {
        Self::new(ProblemCode::NotYet, detail)
    }

    pub(super) fn internal() -> Self {
        let detail = "something is wrong here and was logged; the request may be sent again";
        Self::new(ProblemCode::Internal, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let body = ProblemBody {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: self.detail,
            code: self.code.name(),
            field: self.field,
            got: self.got,
            expected: self.expected,
            retryable: self.code.is_retryable(),
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
