//! What happens to a caller's contracts, as it happens: server-sent events with resume.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Extension,
    body::{Body, Bytes, HttpBody},
    extract::State,
    http::{HeaderMap, Uri, header},
    response::{IntoResponse, Response},
};
use hyper::body::Frame;
use serde::Deserialize;
use tokio::sync::mpsc;
use types::Party;
use utoipa::IntoParams;

use super::super::{Desk, access::Endpoint, body, caller::Caller, problem::*};
use crate::questions::{self, NoticeRow};

/// Between two looks at what is new.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks without news after which a comment shows that both sides are still there.
const QUIET_LOOKS: u32 = 15;
/// Pieces of an answer that may wait for the transport.
const PIECES_MAX: usize = 4;
/// Where a client says what it has seen.
const LAST_EVENT_ID: &str = "last-event-id";

/// From where on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// Events after this one; the header `Last-Event-ID` counts more.
    after: Option<u64>,
    /// What is there already, and no waiting for more.
    #[serde(default)]
    once: bool,
}

/// A body that is written while it is sent.
struct Told(mpsc::Receiver<Bytes>);

impl HttpBody for Told {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Contracts of the caller's meters that are new or changed, curtailed or limited: at least once, in
/// order. Each event's id is where to resume.
#[utoipa::path(
    get, path = "/v1/events", tag = "settlement",
    params(EventsQuery, ("Last-Event-ID" = Option<u64>, Header, description = "the last event that was seen")),
    responses((status = 200, body = String, content_type = "text/event-stream"),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json")),
    security(("certificate" = []))
)]
pub(crate) async fn events(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let caller = caller.may(Endpoint::Events)?;
    let query: EventsQuery = body::from_query(&uri)?;
    let resumed = headers.get(LAST_EVENT_ID).map(|value| {
        let text = value.to_str().unwrap_or_default();
        let refused = || Problem::bad_value("Last-Event-ID", text, "the id of an event");
        text.parse::<u64>().map_err(|_| refused())
    });
    let after = resumed.transpose()?.or(query.after).unwrap_or(0);
    let first = news(&desk, caller, after).await?;
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    if query.once {
        sender.try_send(first.0).ok();
    } else {
        tokio::spawn(tell(desk, caller, first, sender));
    }
    let kinds = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((kinds, Body::new(Told(pieces))).into_response())
}

/// What is new after an event, as it is sent, and the last of it.
async fn news(desk: &Desk, caller: Party, after: u64) -> Result<(Bytes, u64), Problem> {
    let rows = desk.ask(move |desk, _| questions::notices(desk, caller, after)).await?;
    let last = rows.last().map_or(after, |row| row.notice);
    Ok((Bytes::from(rows.iter().map(event).collect::<String>()), last))
}

fn event(row: &NoticeRow) -> String {
    // Plain strings and numbers always serialise, on one line.
    let data = serde_json::to_string(row).unwrap_or_default();
    format!("id: {}\nevent: {}\ndata: {data}\n\n", row.notice, row.what)
}

/// Tells what is new until the client goes away, the desk fails or the exchange stops.
async fn tell(desk: Desk, caller: Party, first: (Bytes, u64), sender: mpsc::Sender<Bytes>) {
    let mut stop = desk.shared.stop.clone();
    let (mut bytes, mut after) = first;
    let mut quiet = QUIET_LOOKS;
    loop {
        quiet = quiet.saturating_add(1);
        if bytes.is_empty() && quiet > QUIET_LOOKS {
            bytes = Bytes::from_static(b": nothing new\n\n");
        }
        if !bytes.is_empty() {
            quiet = 0;
            if sender.send(bytes).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = sender.closed() => return,
            _ = stop.wait_for(|&stop| stop) => return,
        }
        match news(&desk, caller, after).await {
            Ok(more) => (bytes, after) = more,
            Err(_) => return,
        }
    }
}
