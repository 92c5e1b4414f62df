//! `gridcross rail simulate`: a payment rail that misbehaves on purpose, as a process of its own.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Path, State},
    http::{HeaderMap, Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hyper::Method;
use serde::Deserialize;
use settlement::rails::{
    InstructionId, PaymentRail as _, Sealed, Signer,
    message::{MESSAGE_BYTES_MAX, Submission},
    simulated::{Chances, SimulatedDesk, SimulatedRail},
    statement,
};
use tokio::{net::TcpListener, sync::watch};
use types::{Currency, MeterId, Money};

use super::{
    EVENTS,
    adapter::{INSTRUCTIONS, STATEMENT},
    http::{self, Endpoint},
};
use crate::clock::Clock;

/// Between two looks at what is to be told.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Between two attempts to tell what could not be told.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// How long the exchange may take for an event.
const DEADLINE: Duration = Duration::from_secs(5);

/// What a simulated rail is started with.
#[derive(Debug)]
pub struct Simulation {
    /// How it misbehaves.
    pub chances: Chances,
    /// Of every amount.
    pub currency: Currency,
    /// How long it keeps blocks.
    pub hold_days: u32,
    /// The secret shared with the exchange: checks its requests.
    pub secret: Vec<u8>,
    /// Seals events; with the secret, if there is no key.
    pub events: Signer,
    /// Where events go, if anybody is told.
    pub exchange: Option<Endpoint>,
    /// Its clock.
    pub clock: Clock,
    /// How far its clock is ahead of that, in seconds.
    pub ahead_s: i64,
}

#[derive(Debug, Clone)]
struct Counter {
    desk: Arc<SimulatedDesk>,
    requests: Arc<Signer>,
    currency: Currency,
    clock: Clock,
    ahead_s: i64,
}

impl Counter {
    fn set_clock(&self) {
        let ahead_ns = self.ahead_s.saturating_mul(1_000_000_000);
        self.desk.set_clock(self.clock.now().plus_ns(ahead_ns));
    }

    /// Whether the exchange sealed this, under this number.
    fn knows(&self, headers: &HeaderMap, number: Option<&str>, body: &[u8]) -> Option<Sealed> {
        let sealed = http::sealed(headers, body.to_vec())?;
        let is_same = number.is_none_or(|number| number == sealed.number);
        self.requests.verifier().check(&sealed).ok().filter(|()| is_same).map(|()| sealed)
    }
}

/// Runs until told to stop.
pub async fn run(listener: TcpListener, simulation: Simulation, stop: watch::Receiver<bool>) {
    let Simulation { chances, currency, hold_days, secret, events, exchange, clock, ahead_s } =
        simulation;
    let rail = SimulatedRail::new(chances, currency, hold_days);
    let desk = Arc::new(SimulatedDesk::new(rail, events));
    let requests = Arc::new(Signer::Hmac(secret));
    let counter = Counter { desk, requests, currency, clock, ahead_s };
    if let Some(exchange) = exchange {
        tokio::spawn(tell(counter.clone(), exchange, stop.clone()));
    }
    http::serve(listener, None, router(counter), stop).await;
}

fn router(counter: Counter) -> Router {
    Router::new()
        .route(INSTRUCTIONS, post(submit))
        .route(&format!("{INSTRUCTIONS}/{{number}}"), get(query))
        .route(&format!("{STATEMENT}/{{day}}"), get(statement_of))
        .route("/v1/deposits", post(deposit))
        .with_state(counter)
}

async fn submit(State(counter): State<Counter>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MESSAGE_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let Ok((message, id, _)) = Submission::read(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if counter.knows(&head.headers, Some(&id.to_string()), &body).is_none() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    counter.set_clock();
    match counter.desk.answer(&message) {
        Some(answer) => json(answer.to_body(&[])),
        // Whoever asked gives up at its own deadline.
        None => std::future::pending().await,
    }
}

async fn query(
    State(counter): State<Counter>,
    Path(number): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(id) = InstructionId::parse(&number) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if counter.knows(&headers, Some(&number), &[]).is_none() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    counter.set_clock();
    let (answer, events) = counter.desk.query(id).await;
    json(answer.to_body(&events))
}

async fn statement_of(
    State(counter): State<Counter>,
    Path(day): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(number) = statement::day(&day) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if counter.knows(&headers, Some(&day), &[]).is_none() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let text = counter.desk.statement_of(number).to_csv(counter.currency);
    ([(header::CONTENT_TYPE, "text/csv")], text).into_response()
}

/// Somebody pays in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deposit {
    reference: u64,
    meter: u32,
    amount: i64,
}

/// What the rail's customers do is not sealed: this rail is for trying out.
async fn deposit(State(counter): State<Counter>, body: Body) -> Response {
    let body = to_bytes(body, MESSAGE_BYTES_MAX).await.unwrap_or_default();
    let Ok(Deposit { reference, meter, amount }) = serde_json::from_slice(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    counter.set_clock();
    counter.desk.deposit(reference, MeterId::new(meter), Money::from_minor(amount));
    json(b"{\"answer\":\"accepted\"}".to_vec())
}

fn json(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Tells the exchange what happened, again and again until it has it. An event that cannot be told
/// lets the next ones pass.
async fn tell(counter: Counter, exchange: Endpoint, mut stop: watch::Receiver<bool>) {
    let mut waiting: Vec<(tokio::time::Instant, Sealed)> = Vec::new();
    loop {
        counter.set_clock();
        let now = tokio::time::Instant::now();
        waiting.extend(counter.desk.take_due().into_iter().map(|sealed| (now, sealed)));
        let (due, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(at, _)| *at <= now);
        waiting = later;
        for (_, sealed) in due {
            let sealed = counter.desk.seal_again(&sealed);
            let limits = (MESSAGE_BYTES_MAX, DEADLINE);
            let told = tokio::select! {
                told = exchange.call((Method::POST, EVENTS), &sealed, limits) => told,
                _ = stop.wait_for(|&stop| stop) => return,
            };
            match told {
                Ok((status, _)) if status.is_success() => {}
                Ok((status, _)) => {
                    tracing::info!(event = %sealed.number, %status, "the exchange does not take it");
                    waiting.extend(later_than(now).map(|at| (at, sealed)));
                }
                Err(error) => {
                    tracing::info!(event = %sealed.number, %error, "the exchange is not there");
                    waiting.extend(later_than(now).map(|at| (at, sealed)));
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.wait_for(|&stop| stop) => return,
        }
    }
}

fn later_than(now: tokio::time::Instant) -> Option<tokio::time::Instant> {
    now.checked_add(RETRY_AFTER)
}
