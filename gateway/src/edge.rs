//! What the transports of the edge have together: the way to the shards, who is connected, and how
//! connections end.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU32},
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, mpsc, watch};
use types::{Party, PlatformId, Seq, ShardId, ShardMap, Shards};
use wire::inbound::ResumePoint;

use crate::{
    directory::Directory,
    egress::{OutboundBatch, SessionHandle, Sessions},
    ingress::Ingress,
    live::Live,
    quic::Incoming,
    throttle::{Limits, Used},
    verifier::Verifiers,
};

/// Longest time a handshake and the first message after it may take.
pub(crate) const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Connections of one party at once and for each shard: one in use, one taking over, and some to
/// spare.
const CONNECTIONS_OF_PARTY_MAX: u32 = 8;

/// Why the exchange closed a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum CloseCode {
    /// The session or request ended as it should.
    Done = 0,
    /// The peer broke the protocol; the last message said how.
    ProtocolError = 1,
    /// A newer session of the same platform at the same shard took over.
    TakenOver = 2,
    /// The peer did not read its messages fast enough.
    SlowReader = 3,
    /// The peer was silent for three heartbeat intervals.
    Silent = 4,
    /// The exchange is shutting down.
    GoingAway = 5,
    /// The certificate names no party, or one that may not do this.
    Refused = 6,
    /// The certificate was revoked, or has expired, while the connection was open.
    Revoked = 7,
    /// The peer went on sending more than its limits after it was refused.
    Throttled = 8,
    /// The peer began a frame and did not finish it in time.
    Unfinished = 9,
    /// The exchange could not do what the session asked for at its logon. Its log says why.
    Failed = 10,
    /// A session's request over HTTPS was longer, in bytes or in time, than it may be.
    TooLong = 11,
}

impl CloseCode {
    /// The QUIC application error code.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The reason phrase.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::ProtocolError => "protocol_error",
            Self::TakenOver => "taken_over",
            Self::SlowReader => "slow_reader",
            Self::Silent => "silent",
            Self::GoingAway => "going_away",
            Self::Refused => "refused",
            Self::Revoked => "revoked",
            Self::Throttled => "throttled",
            Self::Unfinished => "unfinished",
            Self::Failed => "failed",
            Self::TooLong => "too_long",
        }
    }
}

/// A session that asks for what it missed. Everything goes to `history`, in order; when that is
/// dropped, live reports follow, so the session has to have joined before.
#[derive(Debug)]
pub struct Resume {
    /// Its shard. It exists.
    pub shard: ShardId,
    /// The last report it has.
    pub after: ResumePoint,
    /// Joins when it has caught up.
    pub session: SessionHandle,
    /// How far the shard is.
    pub sessions: Arc<Sessions>,
    /// Takes reports from the journal.
    pub history: mpsc::Sender<OutboundBatch>,
}

/// Counts who is there; each leaves by dropping what it got on entering.
#[derive(Debug, Clone)]
pub(crate) struct Presence(Arc<watch::Sender<usize>>);

pub(crate) struct Present(Arc<watch::Sender<usize>>);

impl Presence {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    pub(crate) fn enter(&self) -> Present {
        self.0.send_modify(|count| *count = count.saturating_add(1));
        Present(Arc::clone(&self.0))
    }

    pub(crate) async fn somebody(&self) {
        self.0.subscribe().wait_for(|&count| count > 0).await.ok();
    }

    pub(crate) async fn nobody(&self) {
        self.0.subscribe().wait_for(|&count| count == 0).await.ok();
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// The edge's way to one shard.
#[derive(Debug, Clone)]
pub struct ShardPort {
    /// Open sessions at the shard.
    pub sessions: Arc<Sessions>,
    /// The ring to its core loop.
    pub ingress: Ingress,
    /// Last durable position of its journal.
    pub durable: watch::Receiver<Seq>,
}

/// What every connection shares.
#[derive(Debug)]
pub(crate) struct Shared {
    /// By index: as many as `shards` says.
    pub(crate) ports: Vec<ShardPort>,
    pub(crate) shards: Shards,
    pub(crate) map: Arc<ShardMap>,
    /// Who signs.
    pub(crate) directory: Arc<Directory>,
    /// What was recorded of trades.
    pub(crate) trades: Arc<dyn crate::verifier::KnownTrades>,
    /// What is traded.
    pub(crate) markets: Arc<crate::markets::Markets>,
    pub(crate) verifiers: Verifiers,
    pub(crate) incoming: Incoming,
    /// Turns true once, when nothing more is to be read.
    pub(crate) stop_reading: watch::Receiver<bool>,
    /// Turns true once, when everything read is answered.
    pub(crate) going_away: watch::Receiver<bool>,
    /// Sessions that are being read.
    pub(crate) readers: Presence,
    /// Connections of each party. Touched when one opens or ends, never for a message.
    pub(crate) connections: Mutex<BTreeMap<Party, u32>>,
    /// Connections and handshakes from each address.
    pub(crate) sources: Arc<Mutex<BTreeMap<IpAddr, u32>>>,
    pub(crate) connections_of_source: u32,
    /// Open connections, whose certificates may be revoked.
    pub(crate) live: Arc<Live>,
    /// Places for handshakes that are going on.
    pub(crate) handshakes: Arc<Semaphore>,
    pub(crate) next_session: AtomicU32,
    pub(crate) limits: Limits,
    /// What platforms have used of them. Touched when a session opens, never for a message.
    pub(crate) used: Mutex<BTreeMap<(PlatformId, ShardId), Arc<Used>>>,
    /// When the gateway began to listen.
    pub(crate) began: Instant,
}

impl Shared {
    pub(crate) fn port(&self, shard: ShardId) -> Option<&ShardPort> {
        self.ports.get(usize::from(shard.index()))
    }

    /// Time since the gateway began to listen.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Where a platform's use of its limits at a shard is kept. There are as many as platforms, which
    /// are at most 65,536.
    pub(crate) fn used(&self, platform: PlatformId, shard: ShardId) -> Arc<Used> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(used.entry((platform, shard)).or_default())
    }
}

/// One connection or handshake in the count of its source.
pub(crate) struct Source {
    source: IpAddr,
    sources: Arc<Mutex<BTreeMap<IpAddr, u32>>>,
}

impl Source {
    pub(crate) fn enter(source: IpAddr, shared: &Shared) -> Option<Self> {
        let mut sources = shared.sources.lock().ok()?;
        let count = sources.entry(source).or_default();
        if *count >= shared.connections_of_source {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Self { source, sources: Arc::clone(&shared.sources) })
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Ok(mut sources) = self.sources.lock()
            && let Some(count) = sources.get_mut(&self.source)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

/// One connection in the count of its party.
pub(crate) struct Counted<'a> {
    party: Party,
    shared: &'a Shared,
}

impl<'a> Counted<'a> {
    pub(crate) fn enter(party: Party, shared: &'a Shared) -> Option<Self> {
        let mut connections = shared.connections.lock().ok()?;
        let count = connections.entry(party).or_default();
        let most = CONNECTIONS_OF_PARTY_MAX.saturating_mul(shared.shards.count().into());
        if *count >= most {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Self { party, shared })
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if let Ok(mut connections) = self.shared.connections.lock()
            && let Some(count) = connections.get_mut(&self.party)
        {
            *count = count.saturating_sub(1);
        }
    }
}
