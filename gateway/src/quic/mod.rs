//! Stop 1 of an order's life: datagrams become the bytes of a stream.
//!
//! One endpoint serves four protocols, told apart by ALPN: trading sessions (`trading`), the
//! trade feed and the data port (`requests`), and market data (`market`). What a subscriber or a
//! document needs beyond the edge is handed to the composition through channels.

pub mod market;
mod requests;
mod trading;

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
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
use types::{Party, Seq, ShardId, ShardMap};
use wire::{
    ALPN_DATA, ALPN_FEED, ALPN_MARKET, ALPN_ORDERS,
    data::{Answer, RequestKind},
    market::Selection,
};

pub use crate::edge::{CloseCode, Resume, ShardPort};
use crate::{
    directory::Directory,
    edge::{Counted, HANDSHAKE_MAX, Presence, Shared, Source},
    guard,
    https::{Https, HttpsOptions, Listening},
    identity::{self, Identity, IdentityError},
    live::{Line, Live, Validity},
    revocation::ClientVerifier,
    throttle::Limits,
    tls::{self, TlsError},
    verifier::{Admission, KnownTrades, Verifiers},
};

/// Silence on the transport after which a connection is lost.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Connections at once: 1,024 × (1.25 MB stream window + 64 KiB frame) = 1.4 GB at worst.
const CONNECTIONS_MAX: usize = 1_024;
/// Handshakes at once: 256 × about 50 KiB of state and 1 ms of work each.
const HANDSHAKES_AT_ONCE_MAX: usize = 256;
/// Bytes kept of one connection that is not accepted yet: two flights with the longest chain.
const INCOMING_BYTES_MAX: u64 = 32 << 10;
/// Of all of them: 4 MiB.
const INCOMING_BYTES_TOTAL_MAX: u64 = 4 << 20;
/// Kernel buffer of the socket in each direction; the default drops datagrams under load.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// How soon what found no room in the ring is tried again.
const GUARD_RETRY: Duration = Duration::from_millis(1);
/// Streams a data connection may have open at once.
const DATA_STREAMS_MAX: u32 = 8;

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
    /// Order entry over HTTPS too, or not.
    pub https: Option<HttpsOptions>,
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

/// A listening gateway.
#[derive(Debug)]
pub struct Gateway {
    endpoint: Endpoint,
    address: SocketAddr,
    stop_reading: watch::Sender<bool>,
    going_away: watch::Sender<bool>,
    readers: Presence,
    verifiers: Verifiers,
    live: Arc<Live>,
    https: Option<Https>,
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
    /// What was recorded of trades.
    pub trades: Arc<dyn KnownTrades>,
    /// What is traded.
    pub markets: Arc<crate::markets::Markets>,
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
        let https = options.https.as_ref();
        let https = https.map(|https| Listening::bind(https, parts.identity, &parts.verifier));
        let https = https.transpose()?;
        let (stop_reading, stop_reading_seen) = watch::channel(false);
        let (going_away, going_away_seen) = watch::channel(false);
        let readers = Presence::new();
        let admission = Admission {
            directory: Arc::clone(parts.directory),
            trades: Arc::clone(&parts.trades),
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
            directory: Arc::clone(parts.directory),
            trades: parts.trades,
            markets: parts.markets,
            verifiers: verifiers.clone(),
            incoming: parts.incoming,
            stop_reading: stop_reading_seen,
            going_away: going_away_seen,
            readers: readers.clone(),
            connections: Mutex::default(),
            sources: Arc::default(),
            connections_of_source: options.connections_of_source,
            live: Arc::clone(&live),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_AT_ONCE_MAX)),
            next_session: AtomicU32::new(1),
            limits: options.limits,
            used: Mutex::default(),
            began: Instant::now(),
        });
        for port in &shared.ports {
            tokio::spawn(watch_guard(port.clone(), shared.began, shared.going_away.clone()));
        }
        let https = https.map(|listening| listening.start(&shared));
        tokio::spawn(accept(endpoint.clone(), shared));
        Ok(Self { endpoint, address, stop_reading, going_away, readers, verifiers, live, https })
    }

    /// The bound address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long certificates of open connections and revocation lists are still valid.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.live.validity()
    }

    /// The bound address of order entry over HTTPS, if there is one.
    #[must_use]
    pub fn https_address(&self) -> Option<SocketAddr> {
        self.https.as_ref().map(Https::address)
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
        let idle = async {
            self.endpoint.wait_idle().await;
            if let Some(https) = &self.https {
                https.nobody().await;
            }
        };
        let drained = tokio::time::timeout(DRAIN_MAX, idle);
        if drained.await.is_err() {
            tracing::warn!("connections were still open after {DRAIN_MAX:?} and are closed");
        }
        let code = CloseCode::GoingAway;
        self.endpoint.close(VarInt::from_u32(code.code()), code.name().as_bytes());
    }
}

/// How long sessions may take to end when the exchange shuts down.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(2);

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

/// Serves one authenticated connection by the protocol it asked for.
async fn serve(connection: Connection, shared: &Shared) {
    let (party, chain) = match peer(&connection) {
        Ok(peer) => peer,
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
    let Some(_entered) = shared.live.enter(party, chain, Line::Quic(connection.clone())) else {
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

pub(crate) fn close(connection: &Connection, code: CloseCode) {
    connection.close(VarInt::from_u32(code.code()), code.name().as_bytes());
}

/// Whom the certificate names, and its chain.
fn peer(connection: &Connection) -> Result<(Party, Vec<CertificateDer<'static>>), IdentityError> {
    let chain = connection
        .peer_identity()
        .and_then(|chain| chain.downcast::<Vec<CertificateDer<'static>>>().ok());
    let chain = *chain.ok_or(IdentityError::NoParty)?;
    let own = chain.first().ok_or(IdentityError::NoParty)?;
    Ok((identity::party_of(own)?, chain))
}

fn protocol(connection: &Connection) -> Option<Vec<u8>> {
    connection.handshake_data()?.downcast::<HandshakeData>().ok()?.protocol
}
