//! The listener: TLS 1.3 with both sides authenticated, HTTP/1.1 and 2, on threads of its own.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use axum::{Extension, Router, middleware};
use gateway::{ClientVerifier, IdentityError, identity, tls};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use rustls_pki_types::CertificateDer;
use settlement::{
    SettlementError,
    store::{database::Store, queries::Queries},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    Desk, Parts, Shared,
    caller::{self, Caller, Callers},
    openapi,
    v1::statements::Books,
};
use crate::priority;

/// How long a handshake or the head of a request may take.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// Longest head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Requests of one HTTP/2 connection that are answered at once.
const STREAMS_MAX: u32 = 64;
/// Between two looks at whether a connection's certificate is still believed.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How long bytes may be unread on the other side before the kernel ends the connection.
const UNREAD_MS: u32 = 30_000;
/// How soon a listener that found no descriptor tries again.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// How long requests may go on when the exchange stops.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// TLS.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// A certificate or key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The address.
    #[error("cannot listen for the API on {address}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Cause.
        source: io::Error,
    },
    /// The database.
    #[error("the API cannot read the settlement database")]
    Database(#[from] SettlementError),
    /// A thread.
    #[error("cannot start a thread of the API")]
    Thread(#[source] io::Error),
}

/// The API while it runs.
#[derive(Debug)]
pub struct Api {
    /// Where it listens.
    pub address: SocketAddr,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Api {
    /// Waits until its threads have ended. They do when the exchange stops.
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the API panicked");
            }
        }
    }
}

/// What every thread begins with.
struct Beginning {
    listener: StdListener,
    acceptor: TlsAcceptor,
    verifier: Arc<ClientVerifier>,
    places: Arc<Semaphore>,
    desk: Desk,
    stop: watch::Receiver<bool>,
}

/// Binds, and serves on threads of its own until told to stop.
///
/// # Errors
/// When the address is taken, or a file or the database cannot be used.
pub fn start(options: super::ApiOptions, parts: Parts) -> Result<Api, ApiError> {
    let config =
        tls::server_config(&parts.identity, Arc::clone(&parts.verifier), &[b"h2", b"http/1.1"])?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listen = options.listen;
    let bind = |source| ApiError::Bind { address: listen, source };
    let listener = StdListener::bind(listen).map_err(bind)?;
    listener.set_nonblocking(true).map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let connections = usize::try_from(options.connections).unwrap_or(usize::MAX);
    let places = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
    let count = options.threads;
    let stop = parts.stop.clone();
    let shared = Arc::new(Shared {
        options,
        settlement: parts.settlement,
        markets: parts.markets,
        cycles: parts.cycles,
        currency: parts.currency,
        views: parts.views,
        webhooks: parts.webhooks,
        clock: parts.clock,
        books: Books { store: parts.database.clone(), settings: parts.settings },
        statements: Arc::new(Semaphore::new(1)),
        callers: Callers::new(),
        stop: stop.clone(),
    });
    let mut threads = Vec::new();
    for number in 1..=count {
        let beginning = Beginning {
            listener: listener.try_clone().map_err(bind)?,
            acceptor: acceptor.clone(),
            verifier: Arc::clone(&parts.verifier),
            places: Arc::clone(&places),
            desk: desk(&shared, &parts.database)?,
            stop: stop.clone(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(ApiError::Thread)?;
        let run = move || {
            priority::SETTLEMENT.apply();
            runtime.block_on(serve(beginning));
            // Nobody waits any more for a statement that is being made.
            runtime.shutdown_timeout(DRAIN_MAX);
        };
        let spawned = thread::Builder::new().name(format!("api-{number}")).spawn(run);
        threads.push(spawned.map_err(ApiError::Thread)?);
    }
    Ok(Api { address, threads })
}

fn desk(shared: &Arc<Shared>, database: &Store) -> Result<Desk, ApiError> {
    let queries = Arc::new(Mutex::new(Queries::open(database)?));
    Ok(Desk { shared: Arc::clone(shared), queries, pages: Arc::default() })
}

/// A thread: accepts until told to stop, and lets what runs come to its end.
async fn serve(beginning: Beginning) {
    let Beginning { listener, acceptor, verifier, places, desk, mut stop } = beginning;
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the API cannot accept connections"),
    };
    let paced = middleware::from_fn_with_state(desk.clone(), caller::pace);
    let router = openapi::router().0.layer(paced).with_state(desk);
    let mut running = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|&stop| stop) => break,
            Some(_) = running.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted for the API");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::info!("a connection too many is refused by the API");
            continue;
        };
        let (acceptor, verifier, router) =
            (acceptor.clone(), Arc::clone(&verifier), router.clone());
        let stop = stop.clone();
        running.spawn(async move {
            shake_hands(stream, &acceptor, &verifier, (router, stop)).await;
            drop(place);
        });
    }
    let over = async { while running.join_next().await.is_some() {} };
    timeout(DRAIN_MAX, over).await.ok();
}

async fn shake_hands(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    verifier: &ClientVerifier,
    (router, stop): (Router, watch::Receiver<bool>),
) {
    // Best effort, as the gateway's HTTPS has it.
    stream.set_nodelay(true).ok();
    rustix::net::sockopt::set_tcp_user_timeout(&stream, UNREAD_MS).ok();
    let stream = match timeout(HEAD_MAX, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::info!(%error, "a handshake with the API failed"),
        Err(_) => return tracing::info!("a handshake with the API took too long"),
    };
    let chain: Vec<CertificateDer<'static>> =
        stream.get_ref().1.peer_certificates().map_or_else(Vec::new, |chain| {
            chain.iter().map(|one| one.clone().into_owned()).collect()
        });
    let party = match chain.first().map(identity::party_of) {
        Some(Ok(party)) => party,
        Some(Err(_)) | None => return tracing::info!("a caller of the API is nobody"),
    };
    let router = router.layer(Extension(Caller(party)));
    tokio::select! {
        () = run(stream, router, stop) => {}
        () = disbelieved(verifier, &chain) => {
            tracing::info!(%party, "the certificate of an API connection is not believed any more");
        }
    }
}

/// Completes when the certificate is not believed any more.
async fn disbelieved(verifier: &ClientVerifier, chain: &[CertificateDer<'static>]) {
    loop {
        tokio::time::sleep(CHECK_EVERY).await;
        if verifier.check(chain).is_err() {
            return;
        }
    }
}

async fn run(stream: TlsStream<TcpStream>, router: Router, mut stop: watch::Receiver<bool>) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .keep_alive_interval(HEAD_MAX);
    let service = TowerToHyperService::new(router);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let stopped = async move { stop.wait_for(|&stop| stop).await.map_or((), |_| ()) };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection with the API broke off");
    }
}
