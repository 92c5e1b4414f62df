//! `gridcross serve`: exchange and settlement in one process, until SIGTERM.

use std::{collections::BTreeSet, path::Path, time::Duration};

use jiff::{Timestamp as Instant, ToSpan as _, Zoned, tz::TimeZone};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    clock::Clock,
    config::{self, Config},
    exit::Failure,
    node::{Layout, Node, NodeOptions},
    registry::{self, Registry},
};

/// Runs until a signal asks to stop.
///
/// # Errors
/// Sorted by exit code: configuration, or what went wrong while running.
pub fn run(dir: &Path, config_file: Option<&Path>) -> Result<(), Failure> {
    let layout = Layout::new(dir);
    let default_file = dir.join(config::FILE_NAME);
    let config = config::load(config_file.unwrap_or(&default_file)).map_err(Failure::config)?;
    let registry = Registry::load(&dir.join(registry::FILE_NAME)).map_err(Failure::config)?;
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::runtime)?;
    runtime.block_on(serve(layout, &config, &registry))
}

async fn serve(layout: Layout, config: &Config, registry: &Registry) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::runtime)?;
    let days = trading_days(config);
    let clock = Clock::System;
    let options =
        NodeOptions { layout, config, registry, clock: clock.clone(), days: &days, slots: &[] };
    let node = Node::start(options).await.map_err(Failure::node)?;
    let recovered = node.recovered;
    tracing::info!(
        "recovered {} commands up to sequence {} in {:?} (torn bytes dropped: {}, settled up to {})",
        recovered.commands,
        recovered.last_seq,
        recovered.took,
        recovered.torn_bytes,
        recovered.captured
    );
    tracing::info!("listening on {}", node.address);
    let period = Duration::from_secs(u64::from(config.verify_every_minutes).saturating_mul(60));
    let mut cycle = tokio::time::interval(period);
    let mut health = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = health.tick() => {
                if !node.is_running() {
                    return Err(Failure::runtime(crate::node::NodeError::CoreStopped));
                }
            }
            _ = cycle.tick() => {
                let summary =
                    node.settlement.verify(clock.now()).await.map_err(Failure::runtime)?;
                let checkpoint = node.settlement.checkpoint().await.map_err(Failure::runtime)?;
                tracing::info!(?summary, ledger_size = checkpoint.size, "verification cycle");
            }
        }
    }
    tracing::info!("draining");
    let engine = node.shut_down().await.map_err(Failure::node)?;
    tracing::info!("stopped at sequence {}, state {}", engine.last_seq(), engine.digest());
    Ok(())
}

/// Yesterday to as far ahead as any market opens, in each market's own zone.
fn trading_days(config: &Config) -> Vec<String> {
    let mut days = BTreeSet::new();
    for market in &config.markets {
        let zone = TimeZone::get(market.definition.time_zone.as_str()).unwrap_or(TimeZone::UTC);
        let today = Zoned::new(Instant::now(), zone).date();
        let ahead = market.definition.opening_lead.minutes().div_ceil(1_440).saturating_add(1);
        for day in -1..=i64::from(ahead) {
            if let Ok(date) = today.checked_add(day.days()) {
                days.insert(date.to_string());
            }
        }
    }
    days.into_iter().collect()
}
