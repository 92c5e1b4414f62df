//! Stop 1 of an order's life: datagrams become the bytes of a stream.
//!
//! One endpoint serves four protocols, told apart by ALPN: trading sessions (`trading`), the
//! trade feed and the data port (`requests`), and market data (`market`). What a subscriber or a
//! document needs beyond the edge is handed to the composition through channels.

mod live;
pub mod market;
mod requests;
mod trading;

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32},
    },
    time::{Duration, Instant},
};

use quinn::{
    Connection, Endpoint, EndpointConfig, IdleTimeout, SendStream, ServerConfig, TransportConfig,
    VarInt, crypto::rustls::HandshakeData,
};
use rustls_pki_types::CertificateDer;
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    time::sleep_until,
};
use types::{Party, PlatformId, Seq, ShardId, ShardMap, Shards};
use wire::{
    ALPN_DATA, ALPN_FEED, ALPN_MARKET, ALPN_ORDERS,
    data::{Answer, RequestKind},
    inbound::ResumePoint,
    market::Selection,
};

use self::live::Live;
use crate::{
    directory::Directory,
    egress::{OutboundBatch, SessionHandle, Sessions},
    guard,
    identity::{self, Identity, IdentityError},
    ingress::Ingress,
    revocation::ClientVerifier,
    throttle::{Limits, Used},
    tls::{self, TlsError},
    verifier::{Admission, Verifiers},
};

/// Longest time a handshake and the first message after it may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Silence on the transport after which a connection is lost.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Connections at once: 1,024 × (1.25 MB stream window + 64 KiB frame) = 1.4 GB at worst.
const CONNECTIONS_MAX: usize = 1_024;
/// Handshakes at once: 256 × about 50 KiB of state and 1 ms of work each. From half of them on a
/// source must prove its address first.
const HANDSHAKES_AT_ONCE_MAX: usize = 256;
/// Bytes kept of one connection that is not accepted yet: two flights with the longest chain.
const INCOMING_BYTES_MAX: u64 = 32 << 10;
/// Of all of them: 4 MiB.
const INCOMING_BYTES_TOTAL_MAX: u64 = 4 << 20;
/// Connections of one party at once and for each shard: one in use, one taking over, and some to
/// spare.
const CONNECTIONS_OF_PARTY_MAX: u32 = 8;
/// Kernel buffer of the socket in each direction; the default drops datagrams under load.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// How soon what found no room in the ring is tried again.
const GUARD_RETRY: Duration = Duration::from_millis(1);
/// Streams a data connection may have open at once.
const DATA_STREAMS_MAX: u32 = 8;

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
        }
    }
}

/// Where and how the gateway listens.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// Address to bind; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Threads that verify signatures.
    pub verifier_threads: usize,
    /// Most signatures that may wait for one verifier.
    pub unverified_max: u32,
    /// What every session may send.
    pub limits: Limits,
    /// Most connections from one address at once, handshakes included.
    pub connections_of_source: u32,
}

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The socket cannot be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Cause.
        source: io::Error,
    },
    /// The TLS identity cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A thread cannot be started.
    #[error("cannot start a verifier thread")]
    Thread(#[source] io::Error),
}

/// A subscriber of the trade feed, past its subscription.
#[derive(Debug)]
pub struct FeedSubscriber {
    /// Who.
    pub party: Party,
    /// Which shard's feed. It exists.
    pub shard: ShardId,
    /// The last position it has.
    pub after: Seq,
    /// Where the feed is written.
    pub stream: SendStream,
    /// Its connection.
    pub connection: Connection,
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

/// A subscriber of market data, past its subscription.
#[derive(Debug)]
pub struct MarketSubscriber {
    /// Who.
    pub party: Party,
    /// Which shard's. It exists.
    pub shard: ShardId,
    /// The last position it has; 0 where it wants nothing of the past.
    pub after: Seq,
    /// What it is limited to; nothing for everything.
    pub selections: Vec<Selection>,
    /// Where the data is written.
    pub stream: SendStream,
    /// Its connection.
    pub connection: Connection,
}

/// A document or a question, whole.
#[derive(Debug)]
pub struct DataRequest {
    /// Who sent it.
    pub party: Party,
    /// What it is.
    pub kind: RequestKind,
    /// The document, or the fields of the question.
    pub body: Vec<u8>,
    /// Takes the answer and the text after it.
    pub answer: oneshot::Sender<(Answer, Vec<u8>)>,
}

/// What leaves the edge besides orders.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Feed subscribers.
    pub feed: mpsc::Sender<FeedSubscriber>,
    /// Subscribers of market data.
    pub market: mpsc::Sender<MarketSubscriber>,
    /// Documents and questions.
    pub data: mpsc::Sender<DataRequest>,
    /// Sessions that ask for what they missed.
    pub resume: mpsc::Sender<Resume>,
}

/// Counts who is there; each leaves by dropping what it got on entering.
#[derive(Debug, Clone)]
struct Presence(Arc<watch::Sender<usize>>);

struct Present(Arc<watch::Sender<usize>>);

impl Presence {
    fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    fn enter(&self) -> Present {
        self.0.send_modify(|count| *count = count.saturating_add(1));
        Present(Arc::clone(&self.0))
    }

    async fn nobody(&self) {
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
struct Shared {
    /// By index: as many as `shards` says.
    ports: Vec<ShardPort>,
    shards: Shards,
    map: Arc<ShardMap>,
    verifiers: Verifiers,
    incoming: Incoming,
    /// Turns true once, when nothing more is to be read.
    stop_reading: watch::Receiver<bool>,
    /// Turns true once, when everything read is answered.
    going_away: watch::Receiver<bool>,
    /// Sessions that are being read.
    readers: Presence,
    /// Connections of each party. Touched when one opens or ends, never for a message.
    connections: Mutex<BTreeMap<Party, u32>>,
    /// Connections and handshakes from each address.
    sources: Arc<Mutex<BTreeMap<IpAddr, u32>>>,
    connections_of_source: u32,
    /// Open connections, whose certificates may be revoked.
    live: Arc<Live>,
    /// Places for handshakes that are going on.
    handshakes: Arc<Semaphore>,
    next_session: AtomicU32,
    limits: Limits,
    /// What platforms have used of them. Touched when a session opens, never for a message.
    used: Mutex<BTreeMap<(PlatformId, ShardId), Arc<Used>>>,
    /// When the gateway began to listen.
    began: Instant,
}

impl Shared {
    fn port(&self, shard: ShardId) -> Option<&ShardPort> {
        self.ports.get(usize::from(shard.index()))
    }

    /// Time since the gateway began to listen.
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Where a platform's use of its limits at a shard is kept. There are as many as platforms, which
    /// are at most 65,536.
    fn used(&self, platform: PlatformId, shard: ShardId) -> Arc<Used> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(used.entry((platform, shard)).or_default())
    }
}

/// A listening gateway.
#[derive(Debug)]
pub struct Gateway {
    endpoint: Endpoint,
    address: SocketAddr,
    stop_reading: watch::Sender<bool>,
    going_away: watch::Sender<bool>,
    readers: Presence,
    verifiers: Verifiers,
}

/// What a gateway works with.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The server's transport identity.
    pub identity: &'a Identity,
    /// Whose certificates are believed.
    pub verifier: Arc<ClientVerifier>,
    /// Known meters.
    pub directory: &'a Arc<Directory>,
    /// Which shard a slot belongs to.
    pub map: &'a Arc<ShardMap>,
    /// The way to every shard, by index.
    pub ports: Vec<ShardPort>,
    /// Takes what is not an order.
    pub incoming: Incoming,
    /// Whether the disk is too full for more orders; set from outside at any time.
    pub storage_low: Arc<AtomicBool>,
}

impl Gateway {
    /// Binds and begins to accept, on the current tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be bound or the identity not be used.
    pub fn start(options: &GatewayOptions, parts: Parts<'_>) -> Result<Self, GatewayError> {
        let bind = |source| GatewayError::Bind { address: options.listen, source };
        let protocols = [ALPN_ORDERS, ALPN_FEED, ALPN_MARKET, ALPN_DATA];
        let crypto = tls::server(parts.identity, Arc::clone(&parts.verifier), &protocols)?;
        let mut config = ServerConfig::with_crypto(Arc::new(crypto));
        config.transport_config(Arc::new(transport()));
        config.max_incoming(HANDSHAKES_AT_ONCE_MAX.saturating_mul(2));
        config.incoming_buffer_size(INCOMING_BYTES_MAX);
        config.incoming_buffer_size_total(INCOMING_BYTES_TOTAL_MAX);
        let socket = bind_udp(options.listen).map_err(bind)?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket, runtime)
            .map_err(bind)?;
        let address = endpoint.local_addr().map_err(bind)?;
        let (stop_reading, stop_reading_seen) = watch::channel(false);
        let (going_away, going_away_seen) = watch::channel(false);
        let readers = Presence::new();
        let admission = Admission {
            directory: Arc::clone(parts.directory),
            map: Arc::clone(parts.map),
            rings: parts.ports.iter().map(|port| port.ingress.clone()).collect(),
            storage_low: parts.storage_low,
            open_requests_max: options.limits.open_requests.max(1),
            unverified_max: options.unverified_max,
        };
        let verifiers =
            Verifiers::start(options.verifier_threads, admission).map_err(GatewayError::Thread)?;
        let live = Arc::new(Live::new(parts.verifier));
        tokio::spawn(Arc::clone(&live).watch(going_away_seen.clone()));
        let shared = Arc::new(Shared {
            ports: parts.ports,
            shards: parts.map.shards(),
            map: Arc::clone(parts.map),
            verifiers: verifiers.clone(),
            incoming: parts.incoming,
            stop_reading: stop_reading_seen,
            going_away: going_away_seen,
            readers: readers.clone(),
            connections: Mutex::default(),
            sources: Arc::default(),
            connections_of_source: options.connections_of_source,
            live,
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_AT_ONCE_MAX)),
            next_session: AtomicU32::new(1),
            limits: options.limits,
            used: Mutex::default(),
            began: Instant::now(),
        });
        for port in &shared.ports {
            tokio::spawn(watch_guard(port.clone(), shared.began, shared.going_away.clone()));
        }
        tokio::spawn(accept(endpoint.clone(), shared));
        Ok(Self { endpoint, address, stop_reading, going_away, readers, verifiers })
    }

    /// The bound address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no further connections and requests; returns when everything that was read is in the
    /// ring or refused. Sessions stay open for their answers.
    pub async fn stop_reading(&self) {
        self.stop_reading.send_replace(true);
        self.readers.nobody().await;
        self.verifiers.fence().await;
    }

    /// Tells every session, behind its last answer, that the exchange goes away; waits for them to
    /// end, and closes.
    pub async fn say_goodbye(self) {
        self.going_away.send_replace(true);
        let drained = tokio::time::timeout(DRAIN_MAX, self.endpoint.wait_idle());
        if drained.await.is_err() {
            tracing::warn!("connections were still open after {DRAIN_MAX:?} and are closed");
        }
        let code = CloseCode::GoingAway;
        self.endpoint.close(VarInt::from_u32(code.code()), code.name().as_bytes());
    }
}

/// How long sessions may take to end when the exchange shuts down.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// A UDP socket with buffers large enough for bursts, where the kernel grants them.
pub(crate) fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    // Best effort: the kernel caps what an unprivileged process may ask for.
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER_BYTES).ok();
    rustix::net::sockopt::set_socket_send_buffer_size(&socket, SOCKET_BUFFER_BYTES).ok();
    Ok(socket)
}

/// Transport settings of both sides.
pub(crate) fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.max_concurrent_bidi_streams(VarInt::from_u32(1));
    transport.max_concurrent_uni_streams(VarInt::from_u32(0));
    transport.datagram_receive_buffer_size(None);
    transport.max_idle_timeout(IdleTimeout::try_from(IDLE_MAX).ok());
    transport.keep_alive_interval(Some(Duration::from_secs(5)));
    transport
}

/// Keeps the clock of a shard's guard: what is due goes into the ring, until the exchange goes away.
async fn watch_guard(port: ShardPort, began: Instant, mut going_away: watch::Receiver<bool>) {
    loop {
        let next = port.sessions.look_at_guard(|guard| {
            guard.due(began.elapsed(), |platform, why| {
                let is_in = port.ingress.push(guard::cancel_all(platform)).is_ok();
                if is_in {
                    tracing::warn!(%platform, ?why, "open orders are cancelled");
                }
                is_in
            });
            guard.next_deadline()
        });
        let sleep = async {
            match next {
                // What found no room is tried again soon.
                Some(next) => {
                    let soonest = began.elapsed().saturating_add(GUARD_RETRY);
                    let deadline = began.checked_add(next.max(soonest));
                    match deadline {
                        Some(deadline) => sleep_until(deadline.into()).await,
                        None => std::future::pending().await,
                    }
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => {}
            () = port.sessions.guard_changed() => {}
            _ = going_away.wait_for(|&away| away) => return,
        }
    }
}

async fn accept(endpoint: Endpoint, shared: Arc<Shared>) {
    while let Some(incoming) = endpoint.accept().await {
        let open = endpoint.open_connections();
        if open >= CONNECTIONS_MAX || *shared.stop_reading.borrow() {
            incoming.refuse();
            continue;
        }
        if !incoming.remote_address_validated() {
            // A source must show that it receives what is sent to it before anything costs more than
            // this answer, which is shorter than the question. It takes one way there and back.
            incoming.retry().ok();
            continue;
        }
        let source = incoming.remote_address().ip();
        let counted = Source::enter(source, &shared);
        let permit = Arc::clone(&shared.handshakes).try_acquire_owned();
        let (Some(counted), Ok(permit)) = (counted, permit) else {
            tracing::info!(%source, "a connection too many is refused");
            incoming.refuse();
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _counted = counted;
            let shaken = tokio::time::timeout(HANDSHAKE_MAX, incoming).await;
            drop(permit);
            match shaken {
                Ok(Ok(connection)) => serve(connection, &shared).await,
                Ok(Err(error)) => tracing::info!(%error, "handshake failed"),
                Err(_) => tracing::info!("handshake took too long"),
            }
        });
    }
}

/// One connection or handshake in the count of its source.
struct Source {
    source: IpAddr,
    sources: Arc<Mutex<BTreeMap<IpAddr, u32>>>,
}

impl Source {
    fn enter(source: IpAddr, shared: &Shared) -> Option<Self> {
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
struct Counted<'a> {
    party: Party,
    shared: &'a Shared,
}

impl<'a> Counted<'a> {
    fn enter(party: Party, shared: &'a Shared) -> Option<Self> {
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

/// Serves one authenticated connection by the protocol it asked for.
async fn serve(connection: Connection, shared: &Shared) {
    let party = match peer(&connection) {
        Ok(party) => party,
        Err(error) => {
            tracing::info!(remote = %connection.remote_address(), %error, "not served");
            close(&connection, CloseCode::Refused);
            return;
        }
    };
    let Some(_counted) = Counted::enter(party, shared) else {
        tracing::info!(%party, "too many connections of one party");
        close(&connection, CloseCode::Refused);
        return;
    };
    let Some(_entered) = shared.live.enter(party, &connection) else {
        tracing::info!(%party, "the certificate is revoked");
        close(&connection, CloseCode::Revoked);
        return;
    };
    let code = match protocol(&connection).as_deref() {
        Some(ALPN_ORDERS) => trading::serve(&connection, party, shared).await,
        Some(ALPN_FEED) => requests::serve_feed(&connection, party, shared).await,
        Some(ALPN_MARKET) => market::serve(&connection, party, shared).await,
        Some(ALPN_DATA) => requests::serve_data(&connection, party, shared).await,
        _ => Some(CloseCode::Refused),
    };
    if let Some(code) = code {
        tracing::debug!(%party, code = code.name(), "connection closed");
        close(&connection, code);
    }
}

fn close(connection: &Connection, code: CloseCode) {
    connection.close(VarInt::from_u32(code.code()), code.name().as_bytes());
}

fn peer(connection: &Connection) -> Result<Party, IdentityError> {
    let chain = connection
        .peer_identity()
        .and_then(|chain| chain.downcast::<Vec<CertificateDer<'static>>>().ok());
    let own = chain.as_ref().and_then(|chain| chain.first()).ok_or(IdentityError::NoParty)?;
    identity::party_of(own)
}

fn protocol(connection: &Connection) -> Option<Vec<u8>> {
    connection.handshake_data()?.downcast::<HandshakeData>().ok()?.protocol
}
