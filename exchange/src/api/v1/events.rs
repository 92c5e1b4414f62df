//! What happens that concerns a caller, as it happens: server-sent events with resume.

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
use tokio::{sync::mpsc, time::timeout};
use types::Party;
use utoipa::IntoParams;

use super::{
    super::{Desk, access::Endpoint, body, caller::Caller, problem::*},
    cursor,
    notices::find,
};
use crate::notices::body::NoticeBody;

/// What happens close together is told together.
const NEWS_AFTER: Duration = Duration::from_millis(50);
/// The longest time without a word.
const QUIET_MAX: Duration = Duration::from_secs(15);
/// How long a client may read nothing of what waits for it.
const UNREAD_MAX: Duration = Duration::from_secs(30);
/// Notices of one piece: 256 × 1 KiB.
const EVENTS_MAX: usize = 256;
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

/// What happens that concerns the caller, as it happens: at least once, in order. Each event's id is where
/// to resume.
#[utoipa::path(
    get, path = "/v1/events", tag = "notices",
    params(EventsQuery, ("Last-Event-ID" = Option<u64>, Header, description = "the last event that was seen")),
    responses((status = 200, body = String, content_type = "text/event-stream"),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json")),
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
    let after = cursor(resumed.transpose()?.or(query.after))?;
    let first = news(&desk, caller, after)?;
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    if query.once {
        tokio::spawn(tell_once(desk, caller, first, sender));
    } else {
        tokio::spawn(tell(desk, caller, first, sender));
    }
    let kinds = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((kinds, Body::new(Told(pieces))).into_response())
}

/// What is new after an event, as it is sent; through where that is, and whether more is there already.
struct News {
    bytes: Bytes,
    through: u64,
    is_end: bool,
}

fn news(desk: &Desk, caller: Party, after: u64) -> Result<News, Problem> {
    let found = find(desk, caller, after, EVENTS_MAX)?;
    let bytes = Bytes::from(found.notices.iter().map(event).collect::<String>());
    Ok(News { bytes, through: found.through, is_end: found.is_end })
}

fn event(notice: &NoticeBody) -> String {
    // Plain strings and numbers always serialise, on one line.
    let data = serde_json::to_string(notice).unwrap_or_default();
    format!("id: {}\nevent: {}\ndata: {data}\n\n", notice.number(), notice.what())
}

/// Shows that both sides are still there, and moves the number to resume at behind what others are told.
fn heartbeat(through: u64) -> Bytes {
    Bytes::from(format!(": nothing new\nid: {through}\n\n"))
}

/// What is there already, up to the newest notice.
async fn tell_once(desk: Desk, caller: Party, mut first: News, sender: mpsc::Sender<Bytes>) {
    loop {
        if !first.bytes.is_empty() && !hand_over(&sender, first.bytes, UNREAD_MAX).await {
            return;
        }
        if first.is_end {
            return;
        }
        tokio::task::yield_now().await;
        first = match news(&desk, caller, first.through) {
            Ok(more) => more,
            Err(_) => return,
        };
    }
}

/// Tells what is new until the client goes away or does not read, the database fails or the exchange stops.
async fn tell(desk: Desk, caller: Party, mut first: News, sender: mpsc::Sender<Bytes>) {
    let mut stop = desk.shared.stop.clone();
    let mut changed = desk.shared.settlement.news();
    // What begins is answered at once.
    let mut beat = tokio::time::interval(QUIET_MAX);
    loop {
        if !first.bytes.is_empty() {
            beat.reset();
            if !hand_over(&sender, first.bytes, UNREAD_MAX).await {
                return;
            }
        }
        if first.is_end {
            let is_news = tokio::select! {
                news = changed.changed() => match news {
                    Ok(()) => true,
                    Err(_) => return,
                },
                _ = beat.tick() => false,
                () = sender.closed() => return,
                _ = stop.wait_for(|&stop| stop) => return,
            };
            if is_news {
                tokio::time::sleep(NEWS_AFTER).await;
            } else if !hand_over(&sender, heartbeat(first.through), UNREAD_MAX).await {
                return;
            }
        } else {
            tokio::task::yield_now().await;
        }
        changed.mark_unchanged();
        first = match news(&desk, caller, first.through) {
            Ok(more) => more,
            Err(_) => return,
        };
    }
}

/// Gives the transport a piece. Who does not read for a while loses the connection: what would wait for it
/// is a few pieces, and it resumes where it was.
async fn hand_over(sender: &mpsc::Sender<Bytes>, piece: Bytes, unread_max: Duration) -> bool {
    matches!(timeout(unread_max, sender.send(piece)).await, Ok(Ok(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_does_not_read_loses_the_stream_and_costs_a_few_pieces() {
        let (sender, mut pieces) = mpsc::channel(PIECES_MAX);
        let piece = Bytes::from_static(b"id: 1\n\n");
        for _ in 0..PIECES_MAX {
            assert!(hand_over(&sender, piece.clone(), UNREAD_MAX).await);
        }
        assert!(!hand_over(&sender, piece.clone(), Duration::from_millis(1)).await);
        drop(sender);
        let mut kept = 0;
        while pieces.recv().await.is_some() {
            kept += 1;
        }
        assert_eq!(kept, PIECES_MAX);
    }
}
