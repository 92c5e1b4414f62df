//! One request: what is no session is refused, everything else is one.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::State,
    http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header},
    response::IntoResponse,
    routing::post,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout},
};
use types::Party;

use super::{
    BODY_BYTES_MAX, CLOSE_TRAILER, CONTENT_TYPE, PATH,
    body::{self, Part, Sent, Told},
    problem::Problem,
    turned_true,
};
use crate::{
    edge::{HANDSHAKE_MAX, Presence, Shared},
    quic::CloseCode,
    trading::{self, End, Line},
};

/// Who asks, and over which connection.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) party: Party,
    pub(super) remote: SocketAddr,
    pub(super) shared: Arc<Shared>,
    /// Turns true when the certificate is not valid any more.
    pub(super) revoked: watch::Receiver<bool>,
    /// Requests that are not answered yet.
    pub(super) running: Presence,
    pub(super) request_max: Duration,
}

/// Answers the requests of one connection: those of a caller who may trade, or all with a problem.
pub(super) fn router(caller: Result<Caller, Problem>) -> Router {
    match caller {
        Ok(caller) => Router::new()
            .route(PATH, post(trade))
            .fallback(async || Problem::unknown_path())
            .method_not_allowed_fallback(async || Problem::wrong_method())
            .with_state(caller),
        Err(problem) => Router::new().fallback(async move || problem.clone()),
    }
}

async fn trade(
    State(caller): State<Caller>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let running = caller.running.enter();
    if !is_of_sessions(request.headers()) {
        return Err(Problem::wrong_content_type());
    }
    if request.body().size_hint().lower() > BODY_BYTES_MAX {
        return Err(Problem::body_too_long());
    }
    let (answer, mut told) = body::answer();
    let session = tokio::spawn(run(caller, Sent::new(request.into_body()), answer));
    // The status waits for the session's first words.
    match told.recv().await {
        Some(Part::Bytes(first)) => Ok(stream(Told::new(first, told, running))),
        Some(Part::End(_)) | None => {
            let code = session.await.ok().flatten();
            Err(Problem::without_session(code))
        }
    }
}

fn is_of_sessions(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(CONTENT_TYPE))
}

fn stream(told: Told) -> Response<Body> {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::TRAILER, HeaderValue::from_static(CLOSE_TRAILER)),
    ];
    (StatusCode::OK, headers, Body::new(told)).into_response()
}

/// Runs the session of a request to its end, and tells it.
async fn run(caller: Caller, sent: Sent, answer: mpsc::Sender<Part>) -> Option<CloseCode> {
    let Caller { party, remote, shared, revoked, request_max, .. } = caller;
    let deadline = Instant::now().checked_add(request_max);
    let closing = async move {
        tokio::select! {
            Some(()) = past(deadline) => CloseCode::TooLong,
            () = turned_true(revoked) => CloseCode::Revoked,
        }
    };
    let line = Line {
        party,
        remote,
        arriving: sent,
        leaving: answer.clone(),
        closing,
        // What a resumed session missed may be much: the deadline ends it.
        drain_max: request_max,
    };
    let (code, reason) = match trading::serve(line, &shared).await {
        End::Told(code) => (code, code.map(|code| code.name().to_owned())),
        End::Cut(cut) => {
            cut.writer.abort();
            (Some(cut.code), Some(cut.reason()))
        }
    };
    if let Some((code, reason)) = code.zip(reason) {
        tracing::debug!(%party, %reason, "session over HTTPS ended");
        let end = Part::End(format!("{} {reason}", code.code()));
        // Who does not read it finds that the answer breaks off.
        timeout(HANDSHAKE_MAX, answer.send(end)).await.ok();
    }
    code
}

/// Completes at an instant; gives `None` at once where there is none.
async fn past(deadline: Option<Instant>) -> Option<()> {
    sleep_until(deadline?).await;
    Some(())
}
