//! Events of rails as they arrive: `POST /v1/rail/events`, over HTTPS, sealed.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    http::{Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use settlement::rails::{Event, EventAnswer, PaymentRail as _, message::MESSAGE_BYTES_MAX, seal};

use super::{EVENTS, adapter::HttpRail, http};
use crate::settlement_worker::Settlement;

/// What every request needs.
#[derive(Debug, Clone)]
pub(super) struct Events {
    pub(super) rail: Arc<HttpRail>,
    pub(super) settlement: Settlement,
    pub(super) window_s: u32,
}

pub(super) fn router(events: Events) -> Router {
    Router::new().route(EVENTS, post(take)).with_state(events)
}

async fn take(State(events): State<Events>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MESSAGE_BYTES_MAX).await else {
        return said(StatusCode::PAYLOAD_TOO_LARGE, "too_large");
    };
    let Some(sealed) = http::sealed(&head.headers, body.to_vec()) else {
        return said(StatusCode::UNAUTHORIZED, "no_seal");
    };
    let now = events.rail.clock.now();
    // The signature first: who is not the rail learns nothing of our clock.
    let checked = events.rail.verify(&sealed);
    if let Err(error) = checked.and_then(|()| seal::within(&sealed, now, events.window_s)) {
        tracing::warn!(%error, "an event of a rail is refused");
        let word = match error {
            seal::SealReject::Unreadable => "seal_unreadable",
            seal::SealReject::Invalid => "seal_invalid",
            seal::SealReject::Stale => "stale",
        };
        return said(StatusCode::UNAUTHORIZED, word);
    }
    let event = match Event::read(&sealed.body, events.rail.currency) {
        Ok(event) if event.id == sealed.number => event,
        Ok(_) | Err(_) => return said(StatusCode::BAD_REQUEST, "malformed"),
    };
    let taken = events
        .settlement
        .rail(move |pipeline, now| pipeline.rail_event(&event, &sealed.body, now))
        .await;
    match taken {
        Ok(answer) => said(status(answer), answer.name()),
        // It is told again.
        Err(_) => said(StatusCode::SERVICE_UNAVAILABLE, "not_now"),
    }
}

const fn status(answer: EventAnswer) -> StatusCode {
    match answer {
        EventAnswer::Taken
        | EventAnswer::Repeated
        | EventAnswer::Contradiction
        | EventAnswer::UnknownMeter => StatusCode::OK,
        EventAnswer::UnknownInstruction => StatusCode::NOT_FOUND,
        EventAnswer::Conflict => StatusCode::CONFLICT,
    }
}

fn said(status: StatusCode, word: &str) -> Response {
    let body = format!("{{\"answer\":\"{word}\"}}\n");
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
