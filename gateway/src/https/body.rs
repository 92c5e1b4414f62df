//! The bodies of a request and its answer, as the two streams of a session.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::{BODY_BYTES_MAX, CLOSE_TRAILER};
use crate::{
    edge::Present,
    trading::{Arriving, Leaving, Lost, Piece},
};

/// Pieces of an answer that may wait for the transport: 4 × 64 KiB and what the last batch is over.
const PIECES_MAX: usize = 4;

/// The body of a request. Its end logs out: a client that has sent everything waits for its answers.
#[derive(Debug)]
pub(super) struct Sent {
    body: Body,
    bytes: u64,
}

impl Sent {
    pub(super) const fn new(body: Body) -> Self {
        Self { body, bytes: 0 }
    }
}

impl Arriving for Sent {
    async fn piece(&mut self) -> Result<Piece, Lost> {
        loop {
            let frame = match self.body.frame().await {
                None => return Ok(Piece::LogsOut),
                Some(frame) => frame.map_err(|_| Lost)?,
            };
            // Trailers of a request say nothing.
            let Ok(bytes) = frame.into_data() else { continue };
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.bytes = self.bytes.saturating_add(length);
            if self.bytes > BODY_BYTES_MAX {
                return Ok(Piece::TooLong);
            }
            return Ok(Piece::Bytes(bytes));
        }
    }
}

/// A part of an answer.
#[derive(Debug)]
pub(super) enum Part {
    /// Of its body.
    Bytes(Bytes),
    /// Its end, and why the session ended.
    End(String),
}

/// Where a session writes what becomes the body of its answer.
pub(super) fn answer() -> (mpsc::Sender<Part>, mpsc::Receiver<Part>) {
    mpsc::channel(PIECES_MAX)
}

impl Leaving for mpsc::Sender<Part> {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        if bytes.is_empty() {
            return Ok(()); // Nothing is said yet: the status is still open.
        }
        self.send(Part::Bytes(Bytes::copy_from_slice(bytes))).await.map_err(|_| Lost)
    }

    async fn finish(self) {
        // Why it ended comes behind, by who knows it.
    }
}

/// The body of an answer. It breaks off where the session's end is not told.
pub(super) struct Told {
    first: Option<Bytes>,
    rest: mpsc::Receiver<Part>,
    is_ended: bool,
    _running: Present,
}

impl Told {
    pub(super) const fn new(first: Bytes, rest: mpsc::Receiver<Part>, running: Present) -> Self {
        Self { first: Some(first), rest, is_ended: false, _running: running }
    }
}

/// The session's line was lost before its end.
#[derive(Debug, thiserror::Error)]
#[error("the session was lost")]
pub(super) struct Broken;

impl HttpBody for Told {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.is_ended {
            return Poll::Ready(None);
        }
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        self.rest.poll_recv(context).map(|part| match part {
            Some(Part::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Part::End(reason)) => {
                self.is_ended = true;
                Some(Ok(Frame::trailers(trailers(&reason))))
            }
            None => Some(Err(Broken)),
        })
    }
}

/// Reasons are made of names and numbers, which a header can carry.
fn trailers(reason: &str) -> HeaderMap {
    let value = HeaderValue::from_str(reason).ok();
    value.map(|value| (HeaderName::from_static(CLOSE_TRAILER), value)).into_iter().collect()
}
