//! The shell of payment rails: what is written is sent, what a rail tells is taken.
//!
//! Everything goes through the queue of the settlement thread, in small pieces; trading never waits
//! for any of it. What was not answered when the program ended is asked about after the next start.

pub mod adapter;
pub mod http;
mod sender;
pub mod simulator;
mod webhooks;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use gateway::{Identity, IdentityError, identity, tls::TlsError};
use settlement::{
    Pace,
    rails::{Signer, Verifier, seal::SECRET_BYTES_MIN},
};
use tokio::{net::TcpListener, sync::watch};
use tokio_rustls::TlsAcceptor;
use types::{Currency, PublicKey};

use self::{
    adapter::HttpRail,
    http::{Endpoint, EndpointError},
};
use crate::{clock::Clock, node::Layout, settlement_worker::Settlement};

/// Where the exchange takes events.
pub const EVENTS: &str = "/v1/rail/events";

/// How a payment rail is used: the table `[rails]`, checked.
#[derive(Debug, Clone)]
pub struct RailOptions {
    /// Where the rail is called.
    pub url: String,
    /// Who vouches for it, over `https`; in the data directory.
    pub authority: Option<PathBuf>,
    /// Where its events arrive; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The secret shared with the rail; in the data directory.
    pub secret: PathBuf,
    /// The key that signs its events, if it does not use the secret.
    pub event_key: Option<PublicKey>,
    /// How far the rail's clock may be from ours, in seconds.
    pub window_s: u32,
    /// Instructions in flight at once.
    pub in_flight: u32,
    /// How long a call may take.
    pub deadline: Duration,
    /// When something is tried again.
    pub pace: Pace,
}

/// Why payment rails cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RailError {
    /// The secret.
    #[error(
        "cannot read the rail's secret: at least {SECRET_BYTES_MIN} bytes in a file that only its owner can read"
    )]
    Secret(#[source] Option<IdentityError>),
    /// The rail's address.
    #[error("`rails.url`")]
    Endpoint(#[from] EndpointError),
    /// A certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The key of events.
    #[error("`rails.event_key` is no Ed25519 key that can be used")]
    EventKey,
    /// The address for events.
    #[error("cannot listen for events of payment rails on {address}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Cause.
        source: io::Error,
    },
}

/// Reads a shared secret: every byte of the file but a line's end.
///
/// # Errors
/// When it cannot be read, is too short, or others may read it.
pub fn read_secret(path: &std::path::Path) -> Result<Vec<u8>, RailError> {
    let text = identity::read_key_file(path).map_err(|error| RailError::Secret(Some(error)))?;
    let secret = text.trim_end_matches(['\r', '\n']).as_bytes().to_vec();
    if secret.len() < SECRET_BYTES_MIN { Err(RailError::Secret(None)) } else { Ok(secret) }
}

/// A rail as the configuration names it.
///
/// # Errors
/// When a file or a value cannot be used.
pub fn rail(
    layout: &Layout,
    options: &RailOptions,
    clock: Clock,
    currency: Currency,
) -> Result<HttpRail, RailError> {
    let secret = read_secret(&layout.root().join(&options.secret))?;
    let authority = match &options.authority {
        None => None,
        Some(path) => Some(identity::load_certificates(&layout.root().join(path))?),
    };
    let events = match options.event_key {
        None => Verifier::Hmac(secret.clone()),
        Some(key) => ed25519_dalek::VerifyingKey::from_bytes(key.as_bytes())
            .map(Verifier::Ed25519)
            .map_err(|_| RailError::EventKey)?,
    };
    let endpoint = Endpoint::parse(&options.url, authority.as_deref())?;
    let signer = Signer::Hmac(secret);
    Ok(HttpRail { endpoint, signer, events, clock, currency, deadline: options.deadline })
}

/// Starts to send and to listen, until told to stop. The address where events arrive.
///
/// # Errors
/// When a file or a value cannot be used, or the address is taken.
pub async fn start(
    (layout, options): (&Layout, &RailOptions),
    currency: Currency,
    settlement: Settlement,
    clock: Clock,
    stop: watch::Receiver<bool>,
) -> Result<SocketAddr, RailError> {
    let rail = Arc::new(rail(layout, options, clock, currency)?);
    let identity = Identity::load(&layout.keys(), "server")?;
    let acceptor = TlsAcceptor::from(Arc::new(gateway::tls::server_without_clients(&identity)?));
    let bind = |source| RailError::Bind { address: options.listen, source };
    let listener = TcpListener::bind(options.listen).await.map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let events = webhooks::Events {
        rail: Arc::clone(&rail),
        settlement: settlement.clone(),
        window_s: options.window_s,
    };
    tokio::spawn(http::serve(listener, Some(acceptor), webhooks::router(events), stop.clone()));
    tokio::spawn(sender::run(rail, options.clone(), settlement, stop));
    Ok(address)
}
