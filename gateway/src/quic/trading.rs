//! One trading connection: a reader that feeds the session, a writer that numbers what it is told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use quinn::{Connection, RecvStream, SendStream};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use types::{Origin, Party, PlatformId, RejectReason, Role, Seq, SessionId};
use wire::{
    FrameDecoder, Outbound, field::Field, frame::FrameHeader, inbound::Empty,
    outbound::SessionRejected,
};

use super::{CloseCode, HANDSHAKE_MAX, Shared};
use crate::{
    egress::{OutboundBatch, SessionHandle},
    session::{Ended, HEARTBEAT_MS_MAX, Handled, LOGGED_OUT, Session},
    verifier::Job,
};

/// Batches that may wait for a session's writer: 1,024 × 20 KiB = 20 MiB before a reader is slow.
const OUTBOUND_BATCHES_MAX: usize = 1_024;
/// Bytes written to the stream at once.
const WRITE_BYTES_MAX: usize = 64 << 10;
/// Silent heartbeat intervals after which a session is closed.
const SILENT_INTERVALS_MAX: u32 = 3;

/// Runs a session to its end. Returns how to close the connection, or `None` when it is lost.
pub(super) async fn serve(
    connection: &Connection,
    party: Party,
    shared: &Shared,
) -> Option<CloseCode> {
    let accepted = timeout(HANDSHAKE_MAX, connection.accept_bi()).await;
    let Ok(Ok((send, recv))) = accepted else {
        return Some(CloseCode::Silent);
    };
    let number = shared.next_session.fetch_add(1, Ordering::Relaxed);
    let origin =
        Origin { platform: PlatformId::new(party.number), session: SessionId::new(number) };
    let (outbound, batches) = mpsc::channel(OUTBOUND_BATCHES_MAX);
    let handle = SessionHandle::new(origin, outbound, connection.clone());
    let heartbeat_ms = Arc::new(AtomicU32::new(HEARTBEAT_MS_MAX));
    let mut going_away = shared.going_away.clone();
    let writer = tokio::spawn(write(send, batches, Arc::clone(&heartbeat_ms), going_away.clone()));
    let code = if party.role == Role::Platform {
        let session = Session::new(origin.platform, origin.session, shared.shards);
        let mut reader = Reader { session, handle, heartbeat_ms };
        let reading = shared.readers.enter();
        let code = reader.run(recv, shared).await;
        drop(reading);
        if code == Some(CloseCode::GoingAway) {
            // Answers to what was read are still on their way.
            going_away.wait_for(|&gone| gone).await.ok();
        }
        if let Some(port) = shared.port(reader.session.shard()) {
            port.sessions.close(origin);
        }
        code
    } else {
        let reason = RejectReason::NotAuthorised;
        reply(&handle, &[Outbound::SessionRejected(SessionRejected { reason })]);
        drop(handle);
        Some(CloseCode::Refused)
    };
    // The writer ends when nobody can give it messages any more, and everything is delivered.
    writer.await.ok();
    code
}

struct Reader {
    session: Session,
    handle: SessionHandle,
    heartbeat_ms: Arc<AtomicU32>,
}

impl Reader {
    async fn run(&mut self, mut recv: RecvStream, shared: &Shared) -> Option<CloseCode> {
        let mut decoder = FrameDecoder::default();
        let mut stop_reading = shared.stop_reading.clone();
        loop {
            let silence = if self.session.is_logged_on() {
                let intervals = self.session.heartbeat_ms().saturating_mul(SILENT_INTERVALS_MAX);
                Duration::from_millis(intervals.into())
            } else {
                HANDSHAKE_MAX
            };
            let read = tokio::select! {
                read = timeout(silence, recv.read_chunk(WRITE_BYTES_MAX, true)) => read,
                _ = stop_reading.wait_for(|&stop| stop) => return Some(CloseCode::GoingAway),
            };
            let chunk = match read {
                Err(_) => return Some(CloseCode::Silent),
                Ok(Err(_)) => return None,
                Ok(Ok(None)) => return Some(CloseCode::Done),
                Ok(Ok(Some(chunk))) => chunk,
            };
            decoder.extend(&chunk.bytes);
            loop {
                let was_logged_on = self.session.is_logged_on();
                let handled = match decoder.next_frame() {
                    Ok(None) => break,
                    Ok(Some(frame)) => {
                        let last_seq = |shard| {
                            shared.port(shard).map_or(Seq::ZERO, |port| *port.durable.borrow())
                        };
                        self.session.handle_frame(&frame, last_seq)
                    }
                    Err(error) => self.session.handle_frame_error(error),
                };
                if let Some(code) = self.act(handled, was_logged_on, shared).await {
                    return Some(code);
                }
            }
        }
    }

    /// Sends replies, opens the session at logon, passes requests on.
    async fn act(
        &self,
        handled: Handled,
        was_logged_on: bool,
        shared: &Shared,
    ) -> Option<CloseCode> {
        let logged_on = self.session.is_logged_on() && !was_logged_on;
        if logged_on {
            self.heartbeat_ms.store(self.session.heartbeat_ms(), Ordering::Relaxed);
        }
        reply(&self.handle, &handled.replies);
        let shard = self.session.shard();
        if logged_on && let Some(port) = shared.port(shard) {
            // After `SessionAccepted` is queued, so that it is the first message.
            port.sessions.open(&self.handle);
        }
        if !handled.requests.is_empty() {
            let (session, requests) = (self.handle.clone(), handled.requests);
            let job = Job::Requests { shard, session, requests, covered: handled.covered };
            shared.verifiers.submit(job).await;
        }
        match handled.ended {
            None => None,
            Some(Ended::LoggedOut) => {
                reply(&self.handle, &[LOGGED_OUT]);
                Some(CloseCode::Done)
            }
            Some(Ended::Refused) => Some(CloseCode::Refused),
            Some(Ended::ProtocolError) => Some(CloseCode::ProtocolError),
        }
    }
}

fn reply(handle: &SessionHandle, messages: &[Outbound]) {
    let mut batch = OutboundBatch::default();
    for message in messages {
        handle.push(&mut batch, message);
    }
    handle.send(batch);
}

/// Numbers and writes batches until nobody can send any more; then says whether the exchange goes
/// away.
async fn write(
    mut stream: SendStream,
    mut batches: mpsc::Receiver<OutboundBatch>,
    heartbeat_ms: Arc<AtomicU32>,
    going_away: watch::Receiver<bool>,
) {
    let mut number = 0_u64;
    let mut bytes = Vec::with_capacity(WRITE_BYTES_MAX);
    let mut ended = false;
    while !ended {
        bytes.clear();
        let interval = Duration::from_millis(heartbeat_ms.load(Ordering::Relaxed).into());
        tokio::select! {
            biased;
            batch = batches.recv() => match batch {
                Some(batch) => {
                    seal(&batch, &mut number, &mut bytes);
                    while bytes.len() < WRITE_BYTES_MAX
                        && let Ok(batch) = batches.try_recv()
                    {
                        seal(&batch, &mut number, &mut bytes);
                    }
                }
                None => {
                    ended = true;
                    if *going_away.borrow() {
                        let last = single(&Outbound::GoingAway(Empty));
                        seal(&last, &mut number, &mut bytes);
                    }
                }
            },
            () = tokio::time::sleep(interval) => {
                seal(&single(&Outbound::Heartbeat(Empty)), &mut number, &mut bytes);
            }
        }
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
    if stream.finish().is_ok() {
        // Delivered or lost: either way the connection may close now.
        timeout(HANDSHAKE_MAX, stream.stopped()).await.ok();
    }
}

fn single(message: &Outbound) -> OutboundBatch {
    let mut batch = OutboundBatch { payload: Vec::new(), messages: 1 };
    message.encode(&mut batch.payload);
    batch
}

fn seal(batch: &OutboundBatch, number: &mut u64, bytes: &mut Vec<u8>) {
    *number = number.saturating_add(1);
    // A batch holds at most one frame's messages, so its length fits.
    let payload_bytes = u32::try_from(batch.payload.len()).unwrap_or(u32::MAX);
    FrameHeader { number: *number, payload_bytes, messages: batch.messages }.put(bytes);
    bytes.extend_from_slice(&batch.payload);
}
