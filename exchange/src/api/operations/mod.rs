//! For who runs the exchange: whether it lives, whether it is ready and if not why, and figures.
//!
//! A listener of its own, in clear text and without callers: it belongs on the machine or into a
//! network of operators. Nothing here names a meter, a party or an order.

mod figures;
mod status;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use gateway::Ingress;
use market_view::MarketReader;
use serde::Serialize;
use tokio::{net::TcpListener, sync::watch};
use types::{Seq, ShardId};

use self::status::Rates;
pub use self::status::{ShardStatus, SignedStatus, Status, StorageStatus};
use crate::{
    notices::Webhooks,
    progress::{Progress, Sequenced},
    rails::http,
    reserve::Reserve,
    settlement_worker::{Captures, Signed},
    shard::Shard,
    snapshots::Newest,
};

/// Commands that settlement may be behind before the exchange calls itself not ready: what it captures
/// in a few seconds.
const BEHIND_MAX: u64 = 200_000;
/// Between two looks at the counters that rates are made of.
const SAMPLE_PERIOD: Duration = Duration::from_secs(1);

/// What is looked at.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Of each shard.
    pub shards: Vec<WatchedShard>,
    /// How far settlement is.
    pub captured: watch::Receiver<Captures>,
    /// The newest checkpoint of the ledger.
    pub signed: watch::Receiver<Option<Signed>>,
    /// Room on the journals' disks.
    pub reserve: Arc<Reserve>,
    /// The webhooks, if there are any.
    pub webhooks: Option<Webhooks>,
    /// Turns true when the exchange stops.
    pub stop: watch::Receiver<bool>,
}

/// What is looked at of a shard.
#[derive(Debug, Clone)]
pub struct WatchedShard {
    id: ShardId,
    /// Its books with their counters.
    view: MarketReader,
    progress: watch::Receiver<Progress>,
    sequenced: Sequenced,
    ring: Ingress,
    newest_snapshot: Option<Newest>,
}

impl From<&Shard> for WatchedShard {
    fn from(shard: &Shard) -> Self {
        Self {
            id: shard.id,
            view: shard.market.clone(),
            progress: shard.progress(),
            sequenced: shard.sequenced(),
            ring: shard.ring(),
            newest_snapshot: shard.snapshot(),
        }
    }
}

impl WatchedShard {
    /// As people count, from 1.
    fn number(&self) -> u8 {
        self.id.index().saturating_add(1)
    }

    fn durable(&self) -> Seq {
        self.progress.borrow().durable
    }
}

/// Whether all is well, and if not, why.
#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    reasons: Vec<String>,
}

impl Watched {
    /// What has ended that never ends by itself.
    fn dead(&self) -> Vec<String> {
        let ended = |shard: &WatchedShard| {
            let is_over = shard.progress.has_changed().is_err();
            is_over.then(|| format!("the core loop of shard {} stopped", shard.id))
        };
        let mut reasons: Vec<_> = self.shards.iter().filter_map(ended).collect();
        if self.captured.has_changed().is_err() {
            reasons.push("settlement stopped".to_owned());
        }
        reasons
    }

    /// Why nobody should be sent here now.
    fn unready(&self) -> Vec<String> {
        let mut reasons = self.dead();
        if *self.stop.borrow() {
            reasons.push("the exchange stops".to_owned());
        }
        if self.reserve.room().is_low {
            reasons.push("storage is low: only what takes orders away is taken".to_owned());
        }
        for shard in &self.shards {
            let behind = self.behind(shard);
            if behind > BEHIND_MAX {
                reasons.push(format!("settlement is {behind} commands behind shard {}", shard.id));
            }
        }
        reasons
    }

    fn captured(&self, shard: &WatchedShard) -> u64 {
        self.captured.borrow().get(&shard.id).map_or(0, |seq| seq.get())
    }

    fn behind(&self, shard: &WatchedShard) -> u64 {
        shard.durable().get().saturating_sub(self.captured(shard))
    }
}

/// What every request works with.
#[derive(Debug, Clone)]
struct Desk {
    watched: Watched,
    began: Instant,
    rates: Arc<Rates>,
}

fn answer(reasons: Vec<String>) -> Response {
    let (code, status) = if reasons.is_empty() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ok")
    };
    (code, Json(Health { status, reasons })).into_response()
}

async fn metrics(State(desk): State<Desk>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match figures::text(&desk) {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Looks at the counters now and then until told to stop.
async fn sample(desk: Desk) {
    let mut stop = desk.watched.stop.clone();
    let mut period = tokio::time::interval(SAMPLE_PERIOD);
    loop {
        tokio::select! {
            _ = period.tick() => desk.rates.look(&desk.watched.shards),
            _ = stop.wait_for(|&stop| stop) => return,
        }
    }
}

/// Binds, and answers on the current runtime until told to stop. The address.
///
/// # Errors
/// When the address is taken.
pub async fn start(listen: SocketAddr, watched: Watched) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let stop = watched.stop.clone();
    let desk = Desk { watched, began: Instant::now(), rates: Arc::default() };
    tokio::spawn(sample(desk.clone()));
    let router = Router::new()
        .route("/livez", get(async |State(desk): State<Desk>| answer(desk.watched.dead())))
        .route("/readyz", get(async |State(desk): State<Desk>| answer(desk.watched.unready())))
        .route("/status", get(async |State(desk): State<Desk>| Json(status::of(&desk))))
        .route("/metrics", get(metrics))
        .with_state(desk);
    tokio::spawn(http::serve(listener, None, router, stop));
    Ok(address)
}
