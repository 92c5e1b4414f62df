//! For who runs the exchange: whether it lives, whether it is ready and if not why, and figures.
//!
//! A listener of its own, in clear text and without callers: it belongs on the machine or into a
//! network of operators. Nothing here names a meter, a party or an order.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use market_view::MarketReader;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use serde::Serialize;
use tokio::{net::TcpListener, sync::watch};
use types::ShardId;

use crate::{notices::Webhooks, progress::Progress, rails::http, settlement_worker::Captures};

/// Commands that settlement may be behind before the exchange calls itself not ready: what it captures
/// in a few seconds.
const BEHIND_MAX: u64 = 200_000;
/// Joules of a watt-hour.
const JOULES: u64 = 3_600;

/// What is looked at.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Of each shard: its books with their counters, and how far it is.
    pub shards: Vec<(ShardId, MarketReader, watch::Receiver<Progress>)>,
    /// How far settlement is.
    pub captured: watch::Receiver<Captures>,
    /// Whether the disk is nearly full.
    pub storage_low: Arc<AtomicBool>,
    /// The webhooks, if there are any.
    pub webhooks: Option<Webhooks>,
    /// Turns true when the exchange stops.
    pub stop: watch::Receiver<bool>,
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
        let ended = |(shard, _, progress): &(ShardId, MarketReader, watch::Receiver<Progress>)| {
            progress
                .has_changed()
                .is_err()
                .then(|| format!("the core loop of shard {shard} stopped"))
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
        if self.storage_low.load(Ordering::Relaxed) {
            reasons.push("storage is low: only what takes orders away is taken".to_owned());
        }
        for (shard, _, _) in &self.shards {
            let behind = self.behind(*shard);
            if behind > BEHIND_MAX {
                reasons.push(format!("settlement is {behind} commands behind shard {shard}"));
            }
        }
        reasons
    }

    fn durable(&self, shard: ShardId) -> u64 {
        let of = self.shards.iter().find(|(id, _, _)| *id == shard);
        of.map_or(0, |(_, _, progress)| progress.borrow().durable.get())
    }

    fn captured(&self, shard: ShardId) -> u64 {
        self.captured.borrow().get(&shard).map_or(0, |seq| seq.get())
    }

    fn behind(&self, shard: ShardId) -> u64 {
        self.durable(shard).saturating_sub(self.captured(shard))
    }
}

fn answer(reasons: Vec<String>) -> Response {
    let (code, status) = if reasons.is_empty() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ok")
    };
    (code, Json(Health { status, reasons })).into_response()
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfShard {
    shard: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRole {
    role: &'static str,
}

/// How webhooks are doing, by the role of who is told.
fn webhook_figures(registry: &mut Registry, webhooks: &Webhooks) {
    let counter = || Family::<OfRole, Counter>::default();
    let (delivered, failed) = (counter(), counter());
    let backlog = Family::<OfRole, Gauge>::default();
    for (role, figures) in webhooks.figures() {
        let of = OfRole { role: role.name() };
        delivered.get_or_create(&of).inc_by(figures.delivered);
        failed.get_or_create(&of).inc_by(figures.failed);
        backlog.get_or_create(&of).set(i64::try_from(figures.backlog).unwrap_or(i64::MAX));
    }
    registry.register("webhook_notices", "Notices that webhooks acknowledged", delivered);
    registry.register("webhook_failures", "Calls of webhooks that failed", failed);
    let help = "Numbers of notices that webhooks have not acknowledged";
    registry.register("webhook_backlog", help, backlog);
}

/// Figures in the text form of OpenMetrics.
fn figures(watched: &Watched) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("gridcross");
    let counter = || Family::<OfShard, Counter>::default();
    let gauge = || Family::<OfShard, Gauge>::default();
    let (commands, accepted, refused) = (counter(), counter(), counter());
    let (trades, traded, books) = (counter(), counter(), gauge());
    let (durable, captured) = (gauge(), gauge());
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    for (shard, view, _) in &watched.shards {
        let of = OfShard { shard: shard.index().saturating_add(1) };
        durable.get_or_create(&of).set(signed(watched.durable(*shard)));
        captured.get_or_create(&of).set(signed(watched.captured(*shard)));
        books.get_or_create(&of).set(signed(u64::try_from(view.keys().len()).unwrap_or(u64::MAX)));
        // Overtaken while it was read: the next scrape has them.
        let Ok(counters) = view.counters() else { continue };
        commands.get_or_create(&of).inc_by(counters.commands);
        accepted.get_or_create(&of).inc_by(counters.accepted);
        refused.get_or_create(&of).inc_by(counters.rejected);
        trades.get_or_create(&of).inc_by(counters.trades);
        traded.get_or_create(&of).inc_by(counters.traded.wh().saturating_mul(JOULES));
    }
    registry.register("commands", "Commands sequenced since the first", commands);
    registry.register("orders_accepted", "Orders accepted", accepted);
    registry.register("requests_refused", "Requests refused by the engine", refused);
    registry.register("trades", "Trades", trades);
    registry.register_with_unit("traded_energy", "Energy of all trades", Unit::Joules, traded);
    registry.register("books", "Books that are shown", books);
    registry.register("journal_durable_sequence", "Last durable position", durable);
    registry.register("settlement_captured_sequence", "Position settlement is at", captured);
    let low = Gauge::<i64>::default();
    low.set(i64::from(watched.storage_low.load(Ordering::Relaxed)));
    registry.register("storage_low", "1 while the disk is nearly full", low);
    let ready = Gauge::<i64>::default();
    ready.set(i64::from(watched.unready().is_empty()));
    registry.register("ready", "1 while orders are taken", ready);
    if let Some(webhooks) = &watched.webhooks {
        webhook_figures(&mut registry, webhooks);
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

async fn metrics(State(watched): State<Watched>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match figures(&watched) {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
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
    let router = Router::new()
        .route("/livez", get(async |State(watched): State<Watched>| answer(watched.dead())))
        .route("/readyz", get(async |State(watched): State<Watched>| answer(watched.unready())))
        .route("/metrics", get(metrics))
        .with_state(watched);
    tokio::spawn(http::serve(listener, None, router, stop));
    Ok(address)
}
