//! Who calls, and how often.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use axum::{
    extract::{Request, State},
    http::HeaderMap,
    middleware::Next,
    response::{IntoResponse, Response},
};
use gateway::throttle::Bucket;
use tracing::Instrument as _;
use types::Party;

use super::{
    Desk,
    access::{Endpoint, may_call},
    problem::Problem,
};

/// Whose certificate the connection has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller(pub(super) Party);

impl Caller {
    /// Refuses who may not call an endpoint.
    pub(super) fn may(self, endpoint: Endpoint) -> Result<Party, Problem> {
        if may_call(self.0.role, endpoint) {
            Ok(self.0)
        } else {
            Err(Problem::not_authorised(format!("{} may not ask for this", self.0)))
        }
    }
}

/// What callers have used of their rate. There are as many as the registry has parties.
#[derive(Debug)]
pub(super) struct Callers {
    began: Instant,
    used: Mutex<BTreeMap<Party, Bucket>>,
}

impl Callers {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), used: Mutex::default() }
    }
}

/// Lets as many requests of a caller through as it may send.
pub(super) async fn pace(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let Some(&Caller(party)) = request.extensions().get::<Caller>() else {
        return Problem::not_authorised("nobody is known on this connection").into_response();
    };
    let callers = &desk.shared.callers;
    let now_ns = u64::try_from(callers.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let rate = desk.shared.options.requests;
    let is_there = {
        let mut used = callers.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.entry(party).or_default().take(1, now_ns, rate)
    };
    if is_there {
        let span = tracing::info_span!("request", %party, trace = trace(request.headers()));
        told(request, next).instrument(span).await
    } else {
        Problem::too_many(1_000_u64.div_ceil(rate.per_s.max(1).into())).into_response()
    }
}

/// Answers, and says so to who reads everything: the path only, because queries name meters.
async fn told(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    tracing::debug!(%method, path, status = response.status().as_u16(), "a request is answered");
    response
}

/// The trace that a caller says its request belongs to: of a `traceparent` (W3C Trace Context), and
/// only if it is one, so that nobody writes into the log.
fn trace(headers: &HeaderMap) -> Option<&str> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
    let (_version, trace) = (parts.next()?, parts.next()?);
    let is_one = trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then_some(trace)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_trace_is_32_digits_and_nothing_else() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", HeaderValue::from_static(value));
            trace(&headers).map(str::to_owned)
        };
        let sound = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(of(sound).as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
        for other in
            ["", "00", "00-short-b7ad6b7169203331-01", "00-zzf7651916cd43dd8448eb211c80319c-1"]
        {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(trace(&HeaderMap::new()), None);
    }
}
