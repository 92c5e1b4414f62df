//! Bodies of requests: read up to a limit, looked through once, then taken apart strictly; and JSON
//! answers with a tag.

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use types::Timestamp;

use super::problem::{Problem, ProblemCode};

/// The raw body, if it is JSON by its type and not too long.
pub(super) async fn json_bytes(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Bytes, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        let code = ProblemCode::WrongContentType;
        let problem = Problem::new(code, "the body is to be JSON");
        return Err(problem.of_field("Content-Type").expected("application/json"));
    }
    to_bytes(body, bytes_max).await.map_err(|_| {
        let detail = format!("a body has at most {bytes_max} bytes, and all of them arrive");
        Problem::new(ProblemCode::BodyTooLarge, detail)
    })
}

/// Looks through JSON text for what no reader behind it would refuse: nesting and exponents.
fn look_through(bytes: &[u8], depth_max: u32) -> Result<(), Problem> {
    let (mut depth, mut in_text, mut is_escaped) = (0_u32, false, false);
    let mut in_number = false;
    for &byte in bytes {
        if in_text {
            in_text = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => {
                depth = depth.saturating_add(1);
                if depth > depth_max {
                    let detail = format!("JSON goes {depth_max} levels deep at most");
                    return Err(Problem::new(ProblemCode::TooDeep, detail));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'e' | b'E' if in_number => {
                let detail = "numbers are written without an exponent";
                return Err(Problem::new(ProblemCode::Exponent, detail));
            }
            _ => {}
        }
        in_number = byte.is_ascii_digit() || (in_number && matches!(byte, b'.' | b'+' | b'-'));
    }
    Ok(())
}

/// Takes a body apart. Unknown and repeated keys are refused.
pub(super) fn from_json<T: DeserializeOwned>(bytes: &[u8], depth_max: u32) -> Result<T, Problem> {
    look_through(bytes, depth_max)?;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        refused(&error.into_inner().to_string(), &path)
    })?;
    reader.end().map_err(|error| refused(&error.to_string(), "."))?;
    Ok(value)
}

/// The words of the reader, sorted by what it found.
fn refused(text: &str, path: &str) -> Problem {
    let name = text.split('`').nth(1).unwrap_or_default().to_owned();
    let (code, field) = if text.starts_with("unknown field") {
        (ProblemCode::UnknownField, name)
    } else if text.starts_with("duplicate field") {
        (ProblemCode::DuplicateKey, name)
    } else if text.starts_with("missing field") {
        (ProblemCode::MissingField, name)
    } else if text.starts_with("unknown variant") || text.starts_with("invalid") {
        (ProblemCode::BadValue, path.to_owned())
    } else {
        (ProblemCode::Malformed, path.to_owned())
    };
    Problem::new(code, text).of_field(field)
}

/// RFC 3339 with any offset, from 1970 on.
pub(super) fn instant(field: &str, text: &str) -> Result<Timestamp, Problem> {
    let parsed: Option<jiff::Timestamp> = text.parse().ok();
    let ns = parsed.and_then(|at| i64::try_from(at.as_nanosecond()).ok());
    let ns = ns.filter(|&ns| ns >= 0);
    ns.map(Timestamp::from_ns)
        .ok_or_else(|| Problem::bad_value(field, text, "RFC 3339, such as 2026-04-01T14:00:00Z"))
}

/// The parameters of a URL. Unknown and repeated ones are refused.
pub(super) fn from_query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    axum::extract::Query::<T>::try_from_uri(uri).map(|query| query.0).map_err(|rejection| {
        let text = rejection.body_text();
        // What could not be read and, of one parameter, its name stand before the reason.
        let text = text.rsplit(": ").next().unwrap_or_default();
        refused(text, "query")
    })
}

/// No parameters.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Refuses parameters where there are none.
pub(super) fn no_query(uri: &Uri) -> Result<(), Problem> {
    from_query::<Nothing>(uri).map(|Nothing {}| ())
}

/// An answer with a tag: who has it already is told so.
pub(super) fn answer<T: Serialize>(headers: &HeaderMap, value: &T) -> Response {
    // Plain strings and numbers always serialise.
    let text = serde_json::to_vec(value).unwrap_or_default();
    tagged(headers, "application/json", text)
}

/// As [`answer`], of any type of text.
pub(super) fn tagged(headers: &HeaderMap, kind: &'static str, text: Vec<u8>) -> Response {
    let digest = Sha256::digest(&text);
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest.get(..16).unwrap_or_default()));
    let known =
        headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|value| value.split(','));
    let is_known = known.any(|one| one.trim().trim_start_matches("W/") == tag || one.trim() == "*");
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, kind)], text).into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    let private = HeaderValue::from_static("private, no-cache");
    response.headers_mut().insert(header::CACHE_CONTROL, private);
    response
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only whether it can be read counts")]
        b: Vec<u32>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only whether it can be read counts")]
        a: Inner,
    }

    fn said(text: &str) -> (&'static str, String) {
        let problem = from_json::<Outer>(text.as_bytes(), 3).unwrap_err();
        (problem.code.name(), problem.field.unwrap_or_default())
    }

    #[test]
    fn bodies_are_taken_apart_strictly() {
        assert!(from_json::<Outer>(br#"{"a":{"b":[1,2]}} "#, 3).is_ok());
        for (text, code, field) in [
            (r#"{"a":{"b":[1]},"a":{"b":[1]}}"#, "duplicate_key", "a"),
            (r#"{"a":{"b":[1],"b":[1]}}"#, "duplicate_key", "b"),
            (r#"{"a":{"b":[1],"c":1}}"#, "unknown_field", "c"),
            (r#"{"a":{}}"#, "missing_field", "b"),
            (r#"{"a":{"b":[1e3]}}"#, "exponent", ""),
            (r#"{"a":{"b":[1.5E-3]}}"#, "exponent", ""),
            (r#"{"a":{"b":[[1]]}}"#, "too_deep", ""),
            (r#"{"a":{"b":["e1"]}}"#, "bad_value", "a.b[0]"),
            (r#"{"a":{"b":[1]}}{"#, "malformed", "."),
            (r#"{"a":"#, "malformed", "a"),
            ("", "malformed", "."),
        ] {
            assert_eq!(said(text), (code, field.to_owned()), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(said(&deep).0, "too_deep");
    }

    #[test]
    fn who_has_an_answer_is_told_so() {
        let first = answer(&HeaderMap::new(), &1);
        let tag = first.headers().get(header::ETAG).unwrap().clone();
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, tag);
        assert_eq!(answer(&headers, &1).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(answer(&headers, &2).status(), StatusCode::OK);
    }
}
