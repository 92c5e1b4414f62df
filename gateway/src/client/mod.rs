//! The Rust client: trading sessions, market data, the trade feed, documents.
//!
//! A platform opens a [`TradingSession`] at the shard of its slots. The meter's key signs new orders
//! and replacements; every request is answered, and fills come by themselves:
//!
//! ```no_run
//! use std::path::Path;
//!
//! use gateway::{
//!     Identity,
//!     client::{ClientError, Connector, TradingSession, cancel, sign_new, sign_replace},
//!     identity,
//! };
//! use types::{
//!     ClientOrderId, Conditions, DeliverySlot, Energy, MarketId, MeterId, NewOrder, OrderKind,
//!     OrderList, Price, ReplaceOrder, Side, SlotKey, TimeInForce, Timestamp,
//! };
//! use wire::{Outbound, outbound::ExecType};
//!
//! # async fn trade() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = Path::new("exchange/keys");
//! let connector = Connector {
//!     address: "127.0.0.1:7400".parse()?,
//!     server_name: "localhost".to_owned(),
//!     identity: Identity::load(keys, "platform-1")?,
//!     authority: identity::load_certificates(&keys.join("ca.crt"))?,
//! };
//! let meter_key = identity::load_signing_key(&keys.join("METER-1.signing.key"))?;
//! let TradingSession { mut sender, mut receiver, .. } =
//!     TradingSession::open(&connector, 10_000).await?;
//!
//! // Sell 2 kWh at 0.15 or better, in the quarter hour that begins 2026-11-24T09:00Z.
//! let slot = DeliverySlot::new(29_925_660, 15)?;
//! let order = NewOrder {
//!     client_order: ClientOrderId::new(1),
//!     meter: MeterId::new(1),
//!     key: SlotKey { market: MarketId::new(1), slot },
//!     side: Side::Sell,
//!     kind: OrderKind::Limit,
//!     time_in_force: TimeInForce::UntilGate,
//!     limit: Price::from_micros(150_000),
//!     quantity: Energy::from_wh(2_000),
//!     valid_until: Timestamp::from_seconds(1_795_500_000),
//!     conditions: Conditions::NONE,
//!     list: OrderList::NONE,
//! };
//! sender.send(&[sign_new(&meter_key, order)]).await?;
//! loop {
//!     match receiver.next().await? {
//!         Outbound::ExecutionReport(report) => match report.exec_type {
//!             // It has a number now: make it cheaper, and a little smaller.
//!             ExecType::New => {
//!                 let replace = ReplaceOrder {
//!                     client_order: ClientOrderId::new(2),
//!                     order: report.order,
//!                     meter: order.meter,
//!                     limit: Price::from_micros(140_000),
//!                     quantity: Energy::from_wh(1_500),
//!                     valid_until: order.valid_until,
//!                 };
//!                 sender.send(&[sign_replace(&meter_key, replace)]).await?;
//!             }
//!             // Half of it is enough: cancel the rest after the first fill.
//!             ExecType::Trade if !report.leaves.is_zero() => {
//!                 println!("sold {} Wh, {} left", report.quantity.wh(), report.leaves.wh());
//!                 sender.send(&[cancel(ClientOrderId::new(3), report.order)]).await?;
//!             }
//!             ExecType::Trade | ExecType::Cancelled | ExecType::Expired => break,
//!             _ => {}
//!         },
//!         // Refused at the edge: nothing of it is recorded.
//!         Outbound::MessageRejected(rejected) => {
//!             return Err(ClientError::Refused(rejected.reason).into());
//!         }
//!         Outbound::GoingAway(_) => break,
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`OrderStates`] keeps where each order stands. Where no UDP gets through, [`HttpsTrading`] sends the same
//! messages in requests over HTTPS. [`MarketClient`] follows books, trades and phases; any party may.

mod data;
mod feed;
mod https;
mod market;
mod orders;
mod trading;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig};
use rustls_pki_types::CertificateDer;
use types::RejectReason;
use wire::{DecodeError, FrameError, market::SELECTIONS_MAX};

pub use self::{
    data::DataClient,
    feed::{FeedBatch, FeedClient},
    https::{Exchanged, HttpsTrading, Response},
    market::{BookError, LocalBook, MarketBooks, MarketClient, MarketSubscription, MarketUpdate},
    orders::{OrderState, OrderStates, OrderStatus},
    trading::{
        AggregateTerms, FrameToSign, TradingReceiver, TradingSender, TradingSession,
        accept_amendment, accept_contract, activate, ask_status, cancel, decline_contract,
        end_delegation, hibernate, mass_cancel, offer_amendment, offer_contract, reduce,
        set_dead_man, sign_aggregate, sign_definition, sign_delegation, sign_new, sign_operation,
        sign_replace, sign_revocation, sign_validation, withdraw_contract,
    },
};
use crate::{
    identity::Identity,
    quic::{bind_udp, transport},
    tls::{self, TlsError},
};

/// Longest wait for a connection and for the first answer on it.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Why a client cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A local socket cannot be opened.
    #[error("cannot open a local socket")]
    Socket(#[source] std::io::Error),
    /// The identity cannot be used for TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address cannot be connected to.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where.
        address: SocketAddr,
        /// Cause.
        source: quinn::ConnectError,
    },
    /// The connection failed or was lost.
    #[error("the connection was lost: {0}")]
    Connection(#[from] quinn::ConnectionError),
    /// Nothing came in time.
    #[error("the exchange did not answer within {CONNECT_MAX:?}")]
    Timeout,
    /// A stream could not be written.
    #[error("the stream cannot be written")]
    Write(#[from] quinn::WriteError),
    /// A stream could not be read.
    #[error("the stream cannot be read")]
    Read(#[from] quinn::ReadError),
    /// The exchange sent bytes that are not a frame.
    #[error("the exchange sent bytes that are not a frame: {0}")]
    Frame(#[from] FrameError),
    /// The exchange sent bytes that are not a message.
    #[error("the exchange sent bytes that are not a message: {0}")]
    Message(#[from] DecodeError),
    /// An HTTPS connection failed or was lost.
    #[error("the HTTPS connection failed")]
    Https(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The exchange took a request over HTTPS for no session.
    #[error("the exchange answered with status {status}: {detail}")]
    NoSession {
        /// HTTP status.
        status: u16,
        /// What the exchange says.
        detail: String,
    },
    /// The exchange ended the stream.
    #[error("the exchange ended the stream")]
    Ended,
    /// The exchange refused the session or request.
    #[error("the exchange refused: {0}")]
    Refused(RejectReason),
    /// A subscription has more selections than fit into its frame.
    #[error("a subscription can select at most {SELECTIONS_MAX} markets and slots")]
    TooManySelections,
    /// The exchange answered with something else than what was asked.
    #[error("the exchange answered with an unexpected message")]
    Unexpected,
}

/// How to reach an exchange and as whom.
#[derive(Debug, Clone)]
pub struct Connector {
    /// Where it listens.
    pub address: SocketAddr,
    /// The name its certificate carries.
    pub server_name: String,
    /// Own certificate and key.
    pub identity: Identity,
    /// Certificates of its authority.
    pub authority: Vec<CertificateDer<'static>>,
}

impl Connector {
    /// Opens an authenticated connection that speaks `protocol`.
    async fn connect(&self, protocol: &[u8]) -> Result<(Endpoint, Connection), ClientError> {
        let crypto = tls::client(&self.identity, &self.authority, protocol)?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport()));
        let any: SocketAddr = if self.address.is_ipv4() {
            (std::net::Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let socket = bind_udp(any).map_err(ClientError::Socket)?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, runtime)
            .map_err(ClientError::Socket)?;
        let connecting = endpoint
            .connect_with(config, self.address, &self.server_name)
            .map_err(|source| ClientError::Connect { address: self.address, source })?;
        let connection = tokio::time::timeout(CONNECT_MAX, connecting)
            .await
            .map_err(|_| ClientError::Timeout)??;
        Ok((endpoint, connection))
    }
}
