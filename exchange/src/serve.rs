//! `gridcross serve`: exchange and settlement in one process, until SIGTERM.

use std::{path::Path, time::Duration};

use gateway::Validity;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use types::MarketId;

use crate::{
    clock::Clock,
    config::Config,
    exit::Failure,
    node::{Layout, Node, NodeError, NodeOptions},
    pull::{Pull, plan},
    registry::{self, Registry},
    settlement_worker::{Settlement, WorkerError},
    shard::Shard,
};

/// Between two lines of status.
const STATUS_PERIOD: Duration = Duration::from_secs(60);

/// Runs until a signal asks to stop.
///
/// # Errors
/// Sorted by exit code: configuration, or what went wrong while running.
pub fn run(dir: &Path, config: &Config) -> Result<(), Failure> {
    let layout = Layout::new(dir);
    let registry = Registry::load(&dir.join(registry::FILE_NAME)).map_err(Failure::config)?;
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::runtime)?;
    runtime.block_on(serve(layout, config, &registry))
}

async fn serve(layout: Layout, config: &Config, registry: &Registry) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::runtime)?;
    let clock = Clock::System;
    let options = NodeOptions {
        layout,
        config,
        registry,
        clock: clock.clone(),
        trades_every_day: true,
        slots: &[],
    };
    let node = Node::start(options).await.map_err(Failure::node)?;
    node.shards.iter().for_each(log_recovery);
    log_addresses(&node);
    notify(&[NotifyState::Ready]);
    let period = Duration::from_secs(u64::from(config.verify_every_minutes).saturating_mul(60));
    let mut cycle = tokio::time::interval(period);
    let mut minute = tokio::time::interval(Duration::from_secs(60));
    let mut signing = Signing::every(config.checkpoint_every);
    let mut minutes = 0_u32;
    let mut looked = clock.now();
    let mut health = tokio::time::interval(Duration::from_secs(1));
    let mut status = tokio::time::interval(STATUS_PERIOD);
    let failed = loop {
        tokio::select! {
            _ = terminate.recv() => break None,
            _ = interrupt.recv() => break None,
            _ = health.tick() => {
                if !node.is_running() {
                    break Some(NodeError::CoreStopped);
                }
                notify(&[NotifyState::Watchdog]);
            }
            _ = status.tick() => {
                node.shards.iter().for_each(log_status);
                log_validity(node.validity());
            }
            () = signing.due() => signing.begin(&node.settlement),
            _ = minute.tick() => {
                let now = clock.now();
                verify_markets(config, &node, minutes, now);
                minutes = minutes.wrapping_add(1);
                ask_after_slots(config, &node, looked, now);
                looked = now;
            }
            _ = cycle.tick() => {
                tokio::spawn(verify(&node, None, clock.now()));
            }
        }
    };
    tracing::info!("draining");
    notify(&[NotifyState::Stopping]);
    let ended = node.shut_down().await;
    if let Some(error) = failed {
        return Err(Failure::node(ended.err().unwrap_or(error)));
    }
    let engines = ended.map_err(Failure::node)?;
    for (shard, engine) in config.shards.iter().zip(&engines) {
        let (sequence, state) = (engine.last_seq(), engine.digest());
        tracing::info!(%shard, "stopped at sequence {sequence}, state {state}");
    }
    Ok(())
}

/// Tells systemd, where it asked to be told.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

fn log_addresses(node: &Node) {
    tracing::info!("listening on {}", node.address);
    if let Some(address) = node.https_address() {
        tracing::info!("order entry over HTTPS on https://{address}");
    }
    if let Some(address) = node.api_address() {
        tracing::info!("HTTP API on https://{address}");
    }
    if let Some(address) = node.operations_address() {
        tracing::info!("health and figures on http://{address}");
    }
    if let Some(address) = node.rail_address() {
        tracing::info!("events of payment rails on https://{address}");
    }
}

/// Checkpoints of the ledger while it grows: never two at once, however long one takes.
struct Signing {
    interval: tokio::time::Interval,
    running: Option<tokio::task::JoinHandle<()>>,
}

impl Signing {
    fn every(period: Duration) -> Self {
        let mut interval = tokio::time::interval(period);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Self { interval, running: None }
    }

    async fn due(&mut self) {
        self.interval.tick().await;
    }

    fn begin(&mut self, settlement: &Settlement) {
        if self.running.as_ref().is_some_and(|running| !running.is_finished()) {
            return;
        }
        let settlement = settlement.clone();
        self.running = Some(tokio::spawn(async move {
            if let Err(error) = settlement.checkpoint().await {
                tracing::error!("checkpoint: {}", Failure::runtime(error).message());
            }
        }));
    }
}

fn log_recovery(shard: &Shard) {
    let recovered = shard.recovered;
    tracing::info!(
        shard = %shard.id,
        "recovered {} commands up to sequence {} in {:?} (snapshot at {}, torn bytes dropped: {}, \
         settled up to {})",
        recovered.commands,
        recovered.last_seq,
        recovered.took,
        recovered.snapshot,
        recovered.torn_bytes,
        recovered.captured
    );
}

/// Markets with a rhythm of their own, besides the cycles of all.
fn verify_markets(config: &Config, node: &Node, minutes: u32, now: types::Timestamp) {
    for &(market, every) in &config.verify_market_minutes {
        if minutes.checked_rem(every) == Some(0) {
            tokio::spawn(verify(node, Some(market), now));
        }
    }
}

/// Asks for readings when a slot has ended a while ago, since one instant and at another.
fn ask_after_slots(config: &Config, node: &Node, since: types::Timestamp, now: types::Timestamp) {
    let markets = node.markets.known();
    let minutes: Vec<u16> = markets.iter().map(|market| market.definition.slot_minutes).collect();
    if plan::is_due(&config.pull, &minutes, since, now) {
        tokio::spawn(ask_for_readings(node.pull()));
    }
}

/// One line for operators. Reading does not disturb the core loop; a moment later will do as well.
fn log_status(shard: &Shard) {
    if let Ok(counters) = shard.market.counters() {
        tracing::info!(
            shard = %shard.id,
            sequence = %shard.durable(),
            "{} commands, {} orders accepted, {} requests refused, {} trades of {} Wh since the \
             start; {} books",
            counters.commands,
            counters.accepted,
            counters.rejected,
            counters.trades,
            counters.traded.wh(),
            shard.market.keys().len()
        );
    }
}

/// One line for operators: who runs out of what.
fn log_validity(validity: Validity) {
    let Validity { connections, certificate_days, lists_days } = validity;
    let first = certificate_days.map_or_else(String::new, |days| {
        format!(", the first certificate of an open connection in {days} days")
    });
    tracing::info!("{connections} connections; revocation lists end in {lists_days} days{first}");
}

/// Asks parties for what is missing from them. A pipeline that has died is noticed by the health check.
async fn ask_for_readings(pull: Pull) {
    if let Err(error) = pull.round().await {
        tracing::error!("asking for readings: {}", Failure::runtime(error).message());
    }
}

/// One verification cycle and a checkpoint, after asking for what is missing. A failure is logged; the
/// next cycle tries again, and a pipeline that has died is noticed by the health check.
fn verify(
    node: &Node,
    market: Option<MarketId>,
    now: types::Timestamp,
) -> impl Future<Output = ()> + use<> {
    let (settlement, pull) = (node.settlement.clone(), node.pull());
    async move {
        ask_for_readings(pull).await;
        cycle(settlement, market, now).await;
    }
}

async fn cycle(settlement: Settlement, market: Option<MarketId>, now: types::Timestamp) {
    let verified = async {
        let summary = match market {
            None => settlement.verify(now).await?,
            Some(market) => settlement.verify_market(now, market).await?,
        };
        Ok::<_, WorkerError>((summary, settlement.checkpoint().await?))
    };
    match verified.await {
        Ok((summary, checkpoint)) => {
            tracing::info!(
                slots = summary.slots,
                examined = summary.examined,
                changed = summary.changed,
                corrected = summary.corrected,
                awaiting = summary.awaiting,
                provisional = summary.provisional,
                ledger_size = checkpoint.size,
                "verification cycle"
            );
        }
        Err(error) => tracing::error!("verification cycle: {}", Failure::runtime(error).message()),
    }
}
