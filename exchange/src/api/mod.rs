//! The HTTP API: the ledger service of the ecosystem (`/ledger`), our own reads (`/v1`), their
//! description (`/openapi.json`) with pages that show it (`/docs`).
//!
//! It runs on threads of its own, each with its own connections and its own read-only view of the
//! settlement database, so that nobody who reads can hold up trading. Writes wait their turn at the
//! settlement desk, like documents. Who a caller is says the certificate of the connection; what a
//! caller may is decided in [`access`], and nowhere else.

pub mod access;
pub(crate) mod amount;
mod body;
mod caller;
mod ledger;
pub mod openapi;
pub mod operations;
mod problem;
mod server;
mod v1;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use gateway::{ClientVerifier, Identity, Markets, throttle::Rate};
use market_view::MarketReader;
use settlement::{
    Pipeline, Settings, SettlementError,
    store::{database::Store, queries::Queries},
};
use tokio::sync::{Semaphore, watch};
use types::{Currency, MarketId, Timestamp};

use crate::{
    clock::Clock,
    notices::{Webhooks, pages::Pages},
    schedule::{AuctionCycles, ScheduledMarket},
    settlement_worker::{Settlement, WorkerError},
};

use self::{caller::Callers, problem::Problem};
pub use self::{
    problem::ProblemCode,
    server::{Api, ApiError, start},
};

/// How long a request may wait for the settlement desk. A verification cycle of 5,000 contracts may be
/// before it.
const DESK_MAX: Duration = Duration::from_secs(10);

/// How the API is served: the table `[api]`, checked.
#[derive(Debug, Clone)]
pub struct ApiOptions {
    /// Address to bind; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Threads, each with a view of the database.
    pub threads: usize,
    /// Connections at once, of all threads.
    pub connections: u32,
    /// Requests of one caller.
    pub requests: Rate,
    /// Longest body.
    pub body_bytes: usize,
    /// Levels of JSON in a body.
    pub depth: u32,
}

/// What the API is made from.
#[derive(Debug)]
pub struct Parts {
    /// Certificate and key of the server.
    pub identity: Identity,
    /// Whose certificates are believed.
    pub verifier: Arc<ClientVerifier>,
    /// The desk.
    pub settlement: Settlement,
    /// The settlement database.
    pub database: Store,
    /// What statements are made and signed with.
    pub settings: Settings,
    /// When now is.
    pub clock: Clock,
    /// The markets.
    pub markets: Arc<Markets>,
    /// Their auctions that come again, as [`cycles_of`] has them.
    pub cycles: BTreeMap<MarketId, AuctionCycles>,
    /// What prices of contracts are in.
    pub currency: Currency,
    /// The books of each shard.
    pub views: Vec<MarketReader>,
    /// The webhooks, if there are any.
    pub webhooks: Option<Webhooks>,
    /// Turns true when the exchange stops.
    pub stop: watch::Receiver<bool>,
}

/// The auctions that come again in each market of the configuration.
#[must_use]
pub fn cycles_of(markets: &[ScheduledMarket]) -> BTreeMap<MarketId, AuctionCycles> {
    markets.iter().map(|market| (market.definition.market, market.cycles.clone())).collect()
}

/// What all threads share.
#[derive(Debug)]
struct Shared {
    options: ApiOptions,
    settlement: Settlement,
    markets: Arc<Markets>,
    cycles: BTreeMap<MarketId, AuctionCycles>,
    currency: Currency,
    views: Vec<MarketReader>,
    webhooks: Option<Webhooks>,
    clock: Clock,
    books: v1::statements::Books,
    /// One place: for who has a statement made.
    statements: Arc<Semaphore>,
    callers: Callers,
    stop: watch::Receiver<bool>,
}

/// What a handler works with.
#[derive(Debug, Clone)]
struct Desk {
    shared: Arc<Shared>,
    /// Of this thread: nobody else waits for it.
    queries: Arc<Mutex<Queries>>,
    /// Pages of notices that this thread has read.
    pages: Arc<Mutex<Pages>>,
}

impl Desk {
    /// The thread's view of the database. Never held while something is waited for.
    fn queries(&self) -> MutexGuard<'_, Queries> {
        self.queries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pages of notices that the thread has read. Never held while something is waited for.
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something at the settlement desk, when it is its turn.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Pipeline, Timestamp) -> Result<T, SettlementError> + Send + 'static,
    ) -> Result<T, Problem> {
        match tokio::time::timeout(DESK_MAX, self.shared.settlement.rail(work)).await {
            Ok(done) => done.map_err(|error| Problem::from(&error)),
            Err(_) => Err(Problem::busy()),
        }
    }
}

impl From<&WorkerError> for Problem {
    fn from(error: &WorkerError) -> Self {
        match error {
            WorkerError::Settlement(error) => Self::from(error),
            WorkerError::Stopped | WorkerError::Thread(_) => Self::busy(),
        }
    }
}

impl From<&SettlementError> for Problem {
    fn from(error: &SettlementError) -> Self {
        if let SettlementError::TooManyRows { limit } = error {
            return Self::too_wide(*limit);
        }
        if let SettlementError::NoSuchLeaf { .. } = error {
            return Self::not_yet("the ledger is not signed so far");
        }
        let cause = crate::exit::Failure::new(crate::exit::Kind::Runtime, error);
        tracing::error!("API: {}", cause.message());
        Self::internal()
    }
}
