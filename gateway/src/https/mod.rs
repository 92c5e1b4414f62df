//! Stop 1 of an order's life: the body of a request becomes the bytes of a session.
//!
//! Order entry over HTTPS, for platforms whose network lets no UDP through.
//!
//! There is no second protocol: the body of `POST /v1/trading` is what a client would write to the
//! stream of its trading session, and the body of the answer is what the session would write. So
//! `request` only joins two bodies to `trading`. Who may connect, how often and for how
//! long is decided here, as `crate::quic` does for its connections.

mod body;
mod problem;
mod request;

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use rustls_pki_types::CertificateDer;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use types::{Party, Role};

pub use self::problem::ProblemCode;
use self::{
    problem::Problem,
    request::{Caller, router},
};
use crate::{
    edge::{Counted, HANDSHAKE_MAX, Presence, Shared, Source},
    identity::{self, Identity, IdentityError},
    live::Line,
    quic::{DRAIN_MAX, GatewayError},
    revocation::ClientVerifier,
    tls,
};

/// Where a trading session's request goes.
pub const PATH: &str = "/v1/trading";
/// What its body and the answer's are.
pub const CONTENT_TYPE: &str = "application/gridcross-trading";
/// Trailer of the answer: why the session ended, as the code and the reason of a QUIC connection's
/// end.
pub const CLOSE_TRAILER: &str = "gridcross-close";
/// Longest body of a request: 26,000 signed orders.
pub const BODY_BYTES_MAX: u64 = 4 << 20;
/// Longest head of a request.
pub const HEAD_BYTES_MAX: u32 = 16 << 10;
/// HTTP/2, as TLS names it.
pub(crate) const HTTP2: &[u8] = b"h2";
/// HTTP/1.1, as TLS names it.
pub(crate) const HTTP1: &[u8] = b"http/1.1";
/// Connections at once: 256 × (buffers of 400 KiB + a session's 20 MiB at worst) = 5.2 GB at worst.
const CONNECTIONS_MAX: usize = 256;
/// Handshakes at once. They are counted apart from those over QUIC and cannot take their places.
const HANDSHAKES_AT_ONCE_MAX: usize = 64;
/// How long a connection may be open without a request.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// How long bytes may be unread on the other side before the kernel ends the connection.
const UNREAD_MAX: Duration = Duration::from_secs(30);
/// How soon a listener that found no descriptor tries again.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Where and how order entry over HTTPS listens.
#[derive(Debug, Clone)]
pub struct HttpsOptions {
    /// Address to bind; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Longest time from a request's head to the end of its answer.
    pub request_max: Duration,
}

/// A bound listener that does not accept yet.
#[derive(Debug)]
pub(crate) struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    acceptor: Acceptor,
    request_max: Duration,
}

/// What every handshake needs.
#[derive(Clone)]
struct Acceptor(TlsAcceptor);

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

impl Listening {
    /// Binds on the current tokio runtime.
    pub(crate) fn bind(
        options: &HttpsOptions,
        identity: &Identity,
        verifier: &Arc<ClientVerifier>,
    ) -> Result<Self, GatewayError> {
        let config = tls::server_config(identity, Arc::clone(verifier), &[HTTP2, HTTP1])?;
        let bound = || -> io::Result<_> {
            let listener = StdListener::bind(options.listen)?;
            listener.set_nonblocking(true)?;
            let listener = TcpListener::from_std(listener)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) =
            bound().map_err(|source| GatewayError::Bind { address: options.listen, source })?;
        let acceptor = Acceptor(TlsAcceptor::from(Arc::new(config)));
        Ok(Self { listener, address, acceptor, request_max: options.request_max })
    }

    /// Begins to accept.
    pub(crate) fn start(self, shared: &Arc<Shared>) -> Https {
        let Self { listener, address, acceptor, request_max } = self;
        let connections = Presence::new();
        let door = Door {
            shared: Arc::clone(shared),
            acceptor,
            request_max,
            connections: connections.clone(),
            places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_AT_ONCE_MAX)),
        };
        tokio::spawn(door.accept(listener));
        Https { address, connections }
    }
}

/// Order entry over HTTPS while it runs.
#[derive(Debug)]
pub(crate) struct Https {
    address: SocketAddr,
    connections: Presence,
}

impl Https {
    /// The bound address.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Completes when no connection is open.
    pub(crate) async fn nobody(&self) {
        self.connections.nobody().await;
    }
}

/// What every connection needs.
#[derive(Debug, Clone)]
struct Door {
    shared: Arc<Shared>,
    acceptor: Acceptor,
    request_max: Duration,
    connections: Presence,
    places: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
}

impl Door {
    /// Accepts until the exchange stops reading.
    async fn accept(self, listener: TcpListener) {
        let mut stop_reading = self.shared.stop_reading.clone();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop_reading.wait_for(|&stop| stop) => return,
            };
            match accepted {
                Ok((stream, remote)) => self.admit(stream, remote),
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted for HTTPS");
                    sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    /// Begins a handshake, unless there are too many or too much comes from one address.
    fn admit(&self, stream: TcpStream, remote: SocketAddr) {
        let source = remote.ip();
        let counted = Source::enter(source, &self.shared);
        let place = Arc::clone(&self.places).try_acquire_owned();
        let shaking = Arc::clone(&self.handshakes).try_acquire_owned();
        let (Some(counted), Ok(place), Ok(shaking)) = (counted, place, shaking) else {
            tracing::info!(%source, "an HTTPS connection too many is refused");
            return;
        };
        let door = self.clone();
        tokio::spawn(async move {
            let _present = door.connections.enter();
            let _counted = (counted, place);
            door.shake_hands(stream, remote, shaking).await;
        });
    }

    async fn shake_hands(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        shaking: OwnedSemaphorePermit,
    ) {
        // Best effort: answers wait for nothing, and nothing waits for ever for a client to read it.
        stream.set_nodelay(true).ok();
        let unread_ms = u32::try_from(UNREAD_MAX.as_millis()).unwrap_or(u32::MAX);
        rustix::net::sockopt::set_tcp_user_timeout(&stream, unread_ms).ok();
        let shaken = timeout(HANDSHAKE_MAX, self.acceptor.0.accept(stream)).await;
        drop(shaking);
        match shaken {
            Ok(Ok(stream)) => self.serve(stream, remote).await,
            Ok(Err(error)) => tracing::info!(%error, "HTTPS handshake failed"),
            Err(_) => tracing::info!("HTTPS handshake took too long"),
        }
    }

    /// Serves one authenticated connection.
    async fn serve(&self, stream: TlsStream<TcpStream>, remote: SocketAddr) {
        let shared = &self.shared;
        let (party, chain) = match peer(&stream) {
            Ok(peer) => peer,
            Err(error) => {
                tracing::info!(%remote, %error, "not served");
                return self.refuse(stream, Problem::not_authorised(error.to_string())).await;
            }
        };
        if party.role != Role::Platform {
            let detail = format!("{party} is no platform: only platforms trade");
            return self.refuse(stream, Problem::not_authorised(detail)).await;
        }
        let Some(_counted) = Counted::enter(party, shared) else {
            tracing::info!(%party, "too many connections of one party");
            return self.refuse(stream, Problem::TOO_MANY_CONNECTIONS).await;
        };
        let (revoke, revoked) = watch::channel(false);
        let Some(_entered) = shared.live.enter(party, chain, Line::Https(revoke)) else {
            tracing::info!(%party, "the certificate is revoked");
            return;
        };
        let running = Presence::new();
        let caller = Caller {
            party,
            remote,
            shared: Arc::clone(shared),
            revoked: revoked.clone(),
            running: running.clone(),
            request_max: self.request_max,
        };
        let over = async {
            tokio::select! {
                () = idle(&running) => {}
                () = turned_true(revoked) => {}
                () = turned_true(shared.going_away.clone()) => {}
            }
        };
        self.run(stream, Ok(caller), over).await;
    }

    /// Answers every request of a connection in the same way, for as long as a handshake may take.
    async fn refuse(&self, stream: TlsStream<TcpStream>, problem: Problem) {
        self.run(stream, Err(problem), sleep(HANDSHAKE_MAX)).await;
    }

    /// Serves requests until the client has no more or `over` completes.
    async fn run(
        &self,
        stream: TlsStream<TcpStream>,
        caller: Result<Caller, Problem>,
        over: impl Future<Output = ()>,
    ) {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_MAX)
            .max_buf_size(usize::try_from(HEAD_BYTES_MAX).unwrap_or(usize::MAX));
        builder
            .http2()
            .timer(TokioTimer::new())
            // A platform has one session at each shard.
            .max_concurrent_streams(u32::from(self.shared.shards.count()))
            .max_header_list_size(HEAD_BYTES_MAX)
            .keep_alive_interval(HANDSHAKE_MAX)
            .keep_alive_timeout(HANDSHAKE_MAX);
        let service = TowerToHyperService::new(router(caller));
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            ended = connection.as_mut() => return log_end(ended),
            () = over => {}
        }
        connection.as_mut().graceful_shutdown();
        if let Ok(ended) = timeout(DRAIN_MAX, connection).await {
            log_end(ended);
        }
    }
}

fn log_end(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTPS connection was lost");
    }
}

/// Completes when no request has run for as long as a connection may be idle.
async fn idle(running: &Presence) {
    loop {
        running.nobody().await;
        if timeout(IDLE_MAX, running.somebody()).await.is_err() {
            return;
        }
    }
}

/// Completes when a signal is given, never when nobody can give it any more.
async fn turned_true(mut signal: watch::Receiver<bool>) {
    if signal.wait_for(|&turned| turned).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Whom the certificate names, and its chain.
fn peer(
    stream: &TlsStream<TcpStream>,
) -> Result<(Party, Vec<CertificateDer<'static>>), IdentityError> {
    let (_, session) = stream.get_ref();
    let chain = session.peer_certificates().ok_or(IdentityError::NoParty)?;
    let own = chain.first().ok_or(IdentityError::NoParty)?;
    Ok((identity::party_of(own)?, chain.to_vec()))
}
