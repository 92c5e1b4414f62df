//! Who calls, and how often.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use gateway::throttle::Bucket;
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
        next.run(request).await
    } else {
        Problem::too_many(1_000_u64.div_ceil(rate.per_s.max(1).into())).into_response()
    }
}
