//! Stop 1 of an order's life, whatever it came over: bytes become frames of a session.
//!
//! One trading session: a reader that feeds the session, a writer that numbers what it is told.
//!
//! It does not know what carries its bytes: a QUIC stream or the bodies of an HTTPS request.

use std::{
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{
    sync::{
        mpsc::{self, error::TryRecvError},
        oneshot, watch,
    },
    task::JoinHandle,
    time::timeout,
};
use types::{Origin, Party, PlatformId, RejectReason, Role, Seq, SessionId};
use wire::{
    FrameDecoder, Outbound, field::Field, frame::FrameHeader, inbound::Empty,
    outbound::SessionRejected,
};

use crate::{
    edge::{CloseCode, HANDSHAKE_MAX, Resume, Shared},
    egress::{OutboundBatch, SessionHandle},
    session::{Ended, HEARTBEAT_MS_MAX, Handled, LOGGED_OUT, Opened, Session},
    throttle::Used,
    verifier::Job,
};

/// Batches that may wait for a session's writer: 1,024 × 20 KiB = 20 MiB before a reader is slow.
const OUTBOUND_BATCHES_MAX: usize = 1_024;
/// Batches from the journal that may wait for it: 16 × 20 KiB = 320 KiB.
const HISTORY_BATCHES_MAX: usize = 16;
/// Bytes read or written at once.
pub(crate) const PIECE_BYTES_MAX: usize = 64 << 10;
/// Silent heartbeat intervals after which a session is closed.
const SILENT_INTERVALS_MAX: u32 = 3;
/// How long a frame may take from its first byte to its last, if the session may be silent as long.
const FRAME_MAX: Duration = Duration::from_secs(10);

/// The line is lost.
#[derive(Debug)]
pub(crate) struct Lost;

/// What a client sends next.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Bytes, as they come.
    Bytes(Bytes),
    /// Nothing more: the session ends as it stands.
    End,
    /// Nothing more, which stands for a `Logout`.
    LogsOut,
    /// More than may come at once.
    TooLong,
}

/// Bytes that a client sends.
pub(crate) trait Arriving: Send {
    /// What comes next. Given up and called again, it loses nothing.
    fn piece(&mut self) -> impl Future<Output = Result<Piece, Lost>> + Send;
}

/// Bytes that a client is told.
pub(crate) trait Leaving: Send + 'static {
    /// Writes all of them, waiting for room.
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), Lost>> + Send;

    /// Ends them. Completes when they are delivered, or will not be.
    fn finish(self) -> impl Future<Output = ()> + Send;
}

/// What carries a session, and whose it is.
#[derive(Debug)]
pub(crate) struct Line<A, L, C> {
    /// Whose certificate was shown.
    pub(crate) party: Party,
    /// Where from.
    pub(crate) remote: SocketAddr,
    /// What the client sends.
    pub(crate) arriving: A,
    /// What it is told.
    pub(crate) leaving: L,
    /// Completes when the line has to be closed, with the reason.
    pub(crate) closing: C,
    /// How long what is still to be told may take when the session has ended.
    pub(crate) drain_max: Duration,
}

/// How a session ended.
#[derive(Debug)]
pub(crate) enum End {
    /// Everything is told: its line is closed with this, or lost.
    Told(Option<CloseCode>),
    /// It was closed before everything was told.
    Cut(Cut),
}

/// A session that was closed from outside. Nothing more is told: the reason is all there is room for.
#[derive(Debug)]
pub(crate) struct Cut {
    /// Why.
    pub(crate) code: CloseCode,
    /// Still writes what it has in hand, where the line lets it.
    pub(crate) writer: JoinHandle<()>,
    /// Through where it was sent reports.
    reported: Arc<AtomicU64>,
}

impl Cut {
    /// The reason phrase. A slow reader is told how far it was sent reports.
    pub(crate) fn reason(&self) -> String {
        let name = self.code.name();
        if self.code != CloseCode::SlowReader {
            return name.to_owned();
        }
        let reported = Seq::new(self.reported.load(Ordering::Relaxed));
        format!("{name}, sent through {reported}")
    }
}

/// Runs a session to its end.
pub(crate) async fn serve<A, L, C>(line: Line<A, L, C>, shared: &Shared) -> End
where
    A: Arriving,
    L: Leaving,
    C: Future<Output = CloseCode> + Send,
{
    // What arrives is held to the end, though nobody reads it: a client is told why by the close alone.
    let Line { party, remote, mut arriving, leaving, closing, drain_max } = line;
    let mut closing = pin!(closing);
    let number = shared.next_session.fetch_add(1, Ordering::Relaxed);
    let origin =
        Origin { platform: PlatformId::new(party.number), session: SessionId::new(number) };
    let (outbound, live) = mpsc::channel(OUTBOUND_BATCHES_MAX);
    let (first, history) = mpsc::channel(HISTORY_BATCHES_MAX);
    let handle = SessionHandle::new(origin, outbound);
    let heartbeat_ms = Arc::new(AtomicU32::new(HEARTBEAT_MS_MAX));
    let (told_past, past) = oneshot::channel();
    let told = Told { history, live, told_past: Some(told_past), reported: Arc::default() };
    let reported = Arc::clone(&told.reported);
    let going_away = shared.going_away.clone();
    let mut writer = tokio::spawn(write(leaving, told, Arc::clone(&heartbeat_ms), going_away));
    let code = if party.role == Role::Platform {
        let session = Session::new(origin.platform, origin.session, shared.shards, shared.limits);
        let (first, cancel_after) = (Some(first), Duration::ZERO);
        let used = None;
        let reader =
            Reader { session, handle, first, past, heartbeat_ms, cancel_after, used, remote };
        match reader.run_to_end(&mut arriving, closing.as_mut(), shared).await {
            Ok(code) => code,
            Err(code) => return End::Cut(Cut { code, writer, reported }),
        }
    } else {
        let reason = RejectReason::NotAuthorised;
        let mut batch = OutboundBatch::default();
        batch.push(&Outbound::SessionRejected(SessionRejected { reason }));
        first.try_send(batch).ok();
        drop((first, handle));
        Some(CloseCode::Refused)
    };
    // The writer ends when nobody can give it messages any more, and everything is delivered.
    // A peer that does not read does not hold it up.
    tokio::select! {
        _ = timeout(drain_max, &mut writer) => End::Told(code),
        code = closing => End::Cut(Cut { code, writer, reported }),
    }
}

struct Reader {
    session: Session,
    handle: SessionHandle,
    /// Takes what is told first. Dropped when the rest is live.
    first: Option<mpsc::Sender<OutboundBatch>>,
    /// Completes when everything of the past is told.
    past: oneshot::Receiver<()>,
    heartbeat_ms: Arc<AtomicU32>,
    /// How long after the end orders are cancelled; zero for never.
    cancel_after: Duration,
    /// Where the use of the limits is noted, once the session is open.
    used: Option<Arc<Used>>,
    remote: SocketAddr,
}

impl Reader {
    /// Reads until the session ends, and takes it out of its shard. `Err` says why it was closed from
    /// outside.
    async fn run_to_end(
        mut self,
        arriving: &mut impl Arriving,
        closing: impl Future<Output = CloseCode> + Send,
        shared: &Shared,
    ) -> Result<Option<CloseCode>, CloseCode> {
        let origin = self.handle.origin();
        let reading = shared.readers.enter();
        let handle = self.handle.clone();
        let ended = tokio::select! {
            // Who resumes may be told everything only where nothing went wrong before.
            biased;
            code = handle.closing() => Err(code),
            code = closing => Err(code),
            code = self.run(arriving, shared) => Ok(code),
        };
        drop((reading, handle));
        let is_stopping = ended == Ok(Some(CloseCode::GoingAway));
        if is_stopping {
            // Answers to what was read are still on their way.
            shared.going_away.clone().wait_for(|&gone| gone).await.ok();
        }
        if let Some(port) = shared.port(self.session.shard()) {
            if !is_stopping {
                port.sessions.ended(origin, shared.now(), self.cancel_after);
            }
            port.sessions.leave(origin);
        }
        ended
    }

    async fn run(&mut self, arriving: &mut impl Arriving, shared: &Shared) -> Option<CloseCode> {
        let mut decoder = FrameDecoder::default();
        let mut stop_reading = shared.stop_reading.clone();
        // Since when a frame is not whole.
        let mut unfinished: Option<Instant> = None;
        loop {
            let silence = if self.session.is_logged_on() {
                let intervals = self.session.heartbeat_ms().saturating_mul(SILENT_INTERVALS_MAX);
                Duration::from_millis(intervals.into())
            } else {
                HANDSHAKE_MAX
            };
            let whole = FRAME_MAX.min(silence);
            let rest = unfinished.map(|since| whole.saturating_sub(since.elapsed()));
            let patience = rest.unwrap_or(silence);
            let read = tokio::select! {
                read = timeout(patience, arriving.piece()) => read,
                _ = stop_reading.wait_for(|&stop| stop) => return Some(CloseCode::GoingAway),
            };
            let bytes = match read {
                Err(_) if rest.is_some() => return Some(CloseCode::Unfinished),
                Err(_) => return Some(CloseCode::Silent),
                Ok(Err(Lost)) => return None,
                Ok(Ok(Piece::Bytes(bytes))) => bytes,
                Ok(Ok(Piece::End)) => return Some(CloseCode::Done),
                Ok(Ok(Piece::TooLong)) => return Some(CloseCode::TooLong),
                Ok(Ok(Piece::LogsOut)) if !self.session.is_logged_on() => {
                    return Some(CloseCode::Done);
                }
                Ok(Ok(Piece::LogsOut)) if decoder.is_mid_frame() => {
                    self.answered(shared).await;
                    return Some(CloseCode::Unfinished);
                }
                Ok(Ok(Piece::LogsOut)) => return Some(self.log_out(shared).await),
            };
            decoder.extend(&bytes);
            let mut frames = 0_u32;
            loop {
                let handled = match decoder.next_frame() {
                    Ok(None) => break,
                    Ok(Some(frame)) => {
                        let last_seq = |shard| {
                            let port = shared.port(shard);
                            port.map_or(Seq::ZERO, |port| port.sessions.told().through())
                        };
                        let now_ns = u64::try_from(shared.now().as_nanos()).unwrap_or(u64::MAX);
                        self.session.handle_frame(&frame, now_ns, last_seq)
                    }
                    Err(error) => self.session.handle_frame_error(error),
                };
                frames = frames.saturating_add(1);
                if let Some(code) = self.act(handled, shared).await {
                    return Some(code);
                }
            }
            unfinished = match unfinished {
                Some(since) if frames == 0 => Some(since),
                _ => decoder.is_mid_frame().then(Instant::now),
            };
        }
    }

    /// Sends replies, opens the session at logon, passes requests on.
    async fn act(&mut self, mut handled: Handled, shared: &Shared) -> Option<CloseCode> {
        match handled.opened {
            Some(opened) => self.open(opened, &mut handled.replies, shared).await,
            None => reply(&self.handle, self.first.as_ref(), &handled.replies),
        }
        if let Some(used) = &self.used {
            used.store(self.session.throttle());
        }
        let shard = self.session.shard();
        if let Some(ms) = handled.dead_man_ms
            && let Some(port) = shared.port(shard)
        {
            let (now, origin) = (shared.now(), self.handle.origin());
            let after = Duration::from_millis(ms.into());
            port.sessions.guard(|guard| guard.set_dead_man(now, origin, after));
        }
        if !handled.requests.is_empty() {
            let (session, requests) = (self.handle.clone(), handled.requests);
            let job = Job::Requests { shard, session, requests, covered: handled.covered };
            shared.verifiers.submit(job).await;
        }
        match handled.ended {
            None => None,
            Some(Ended::LoggedOut) => Some(self.log_out(shared).await),
            Some(Ended::Refused) => {
                self.first = None;
                Some(CloseCode::Refused)
            }
            Some(Ended::ProtocolError) => {
                self.first = None;
                Some(CloseCode::ProtocolError)
            }
            Some(Ended::Throttled) => {
                let platform = self.handle.origin().platform;
                tracing::warn!(%platform, "a session that goes on sending too much is closed");
                Some(CloseCode::Throttled)
            }
        }
    }

    /// Enters the session at its shard. `SessionAccepted` is told first; then, if it asked for that,
    /// what it missed; and then what is live.
    async fn open(&mut self, opened: Opened, replies: &mut [Outbound], shared: &Shared) {
        let shard = self.session.shard();
        let (origin, handle) = (self.handle.origin(), self.handle.clone());
        let (Some(port), Some(first)) = (shared.port(shard), self.first.take()) else { return };
        self.heartbeat_ms.store(self.session.heartbeat_ms(), Ordering::Relaxed);
        self.cancel_after = Duration::from_millis(opened.cancel_after_ms.into());
        let used = shared.used(origin.platform, shard);
        self.session.throttle().begin_with(&used.load());
        self.used = Some(used);
        if opened.tell_applied {
            handle.tell_applied();
        }
        port.sessions.open(&handle);
        let (platform, session, remote) = (origin.platform, origin.session, self.remote);
        tracing::info!(%platform, %session, %shard, %remote, "session opened");
        let Some(after) = opened.resume else {
            let joined = handle.join(port.sessions.told());
            // Everything behind this position comes on this session, and nothing before it.
            if let Some(Outbound::SessionAccepted(accepted)) = replies.first_mut() {
                accepted.last_seq = joined;
            }
            return reply(&handle, Some(&first), replies);
        };
        reply(&handle, Some(&first), replies);
        let sessions = Arc::clone(&port.sessions);
        let resume = Resume { shard, after, session: handle, sessions, history: first };
        if shared.incoming.resume.send(resume).await.is_err() {
            self.handle.close(CloseCode::Failed);
        }
    }

    /// Tells that the session is over, behind every answer and behind what it missed.
    async fn log_out(&mut self, shared: &Shared) -> CloseCode {
        self.answered(shared).await;
        // It fails when nobody can be told any more.
        (&mut self.past).await.ok();
        reply(&self.handle, None, &[LOGGED_OUT]);
        CloseCode::Done
    }

    /// Waits until every request of the session is answered, or nobody answers any more.
    async fn answered(&self, shared: &Shared) {
        let shard = self.session.shard();
        let Some(port) = shared.port(shard) else { return };
        shared.verifiers.fence_of(self.handle.origin(), shard).await;
        let mut durable = port.durable.clone();
        // A new position is announced behind the reports that it made.
        let answered = durable.wait_for(|_| self.handle.open_requests() == 0);
        timeout(HANDSHAKE_MAX, answered).await.ok();
    }
}

/// Sends replies: first of all, where that is still open, or behind what is live.
fn reply(
    handle: &SessionHandle,
    first: Option<&mpsc::Sender<OutboundBatch>>,
    messages: &[Outbound],
) {
    let mut batch = OutboundBatch::default();
    let send = |batch: OutboundBatch| match first {
        // Nobody else has sent anything: there is room.
        Some(first) if batch.messages > 0 => first.try_send(batch).is_err().then_some(()),
        Some(_) => None,
        None => {
            handle.send(batch);
            None
        }
    };
    for message in messages {
        if let Some(full) = batch.push(message) {
            send(full);
        }
    }
    send(batch);
}

/// What a session is told: from the journal first, then live.
struct Told {
    history: mpsc::Receiver<OutboundBatch>,
    live: mpsc::Receiver<OutboundBatch>,
    /// Until there is nothing more from the journal.
    told_past: Option<oneshot::Sender<()>>,
    /// Position of the last report given to the stream.
    reported: Arc<AtomicU64>,
}

impl Told {
    async fn next(&mut self) -> Option<OutboundBatch> {
        match self.history.recv().await {
            Some(batch) => Some(batch),
            None => {
                if let Some(told_past) = self.told_past.take() {
                    told_past.send(()).ok(); // Who reads may have ended.
                }
                self.live.recv().await
            }
        }
    }

    /// What need not be waited for.
    fn at_hand(&mut self) -> Option<OutboundBatch> {
        match self.history.try_recv() {
            Ok(batch) => Some(batch),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => self.live.try_recv().ok(),
        }
    }
}

/// Numbers and writes batches until nobody can send any more; then says whether the exchange goes
/// away.
async fn write(
    mut leaving: impl Leaving,
    mut told: Told,
    heartbeat_ms: Arc<AtomicU32>,
    going_away: watch::Receiver<bool>,
) {
    let mut number = 0_u64;
    let mut bytes = Vec::with_capacity(PIECE_BYTES_MAX);
    let mut ended = false;
    while !ended {
        bytes.clear();
        let interval = Duration::from_millis(heartbeat_ms.load(Ordering::Relaxed).into());
        tokio::select! {
            biased;
            batch = told.next() => match batch {
                Some(batch) => {
                    let mut next = Some(batch);
                    while let Some(batch) = next {
                        seal(&batch, &mut number, &mut bytes);
                        told.reported.fetch_max(batch.reported.get(), Ordering::Relaxed);
                        next = (bytes.len() < PIECE_BYTES_MAX).then(|| told.at_hand()).flatten();
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
        if leaving.write(&bytes).await.is_err() {
            return;
        }
    }
    leaving.finish().await;
}

fn single(message: &Outbound) -> OutboundBatch {
    let mut batch = OutboundBatch::default();
    batch.push(message);
    batch
}

fn seal(batch: &OutboundBatch, number: &mut u64, bytes: &mut Vec<u8>) {
    *number = number.saturating_add(1);
    // A batch holds at most one frame's messages, so its length fits.
    let payload_bytes = u32::try_from(batch.payload.len()).unwrap_or(u32::MAX);
    FrameHeader { number: *number, payload_bytes, messages: batch.messages }.put(bytes);
    bytes.extend_from_slice(&batch.payload);
}
