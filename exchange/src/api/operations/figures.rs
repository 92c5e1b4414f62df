//! `/metrics`: figures in the text form of OpenMetrics, in base units.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::{Registry, Unit},
};

use super::{Desk, Watched, status::wide};
use crate::{COMMIT, VERSION, notices::Webhooks};

/// Joules of a watt-hour.
const JOULES: u64 = 3_600;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfShard {
    shard: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRole {
    role: &'static str,
}

type Counters = Family<OfShard, Counter>;
type Gauges = Family<OfShard, Gauge>;

/// All of them.
pub(super) fn text(desk: &Desk) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("gridcross");
    let of_build = vec![("version", VERSION), ("commit", COMMIT)];
    registry.register("build", "The program that runs", Info::new(of_build));
    seconds(&mut registry, "uptime", "Since it began to listen", desk.began.elapsed());
    traded(&mut registry, &desk.watched);
    positions(&mut registry, &desk.watched);
    node(&mut registry, &desk.watched);
    if let Some(webhooks) = &desk.watched.webhooks {
        told(&mut registry, webhooks);
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// What was ordered and traded.
fn traded(registry: &mut Registry, watched: &Watched) {
    let counter = Counters::default;
    let (commands, accepted, refused) = (counter(), counter(), counter());
    let (trades, energy, books) = (counter(), counter(), Gauges::default());
    for shard in &watched.shards {
        let of = OfShard { shard: shard.number() };
        books.get_or_create(&of).set(signed(wide(shard.view.keys().len())));
        // Overtaken while it was read: the next scrape has them.
        let Ok(counters) = shard.view.counters() else { continue };
        commands.get_or_create(&of).inc_by(counters.commands);
        accepted.get_or_create(&of).inc_by(counters.accepted);
        refused.get_or_create(&of).inc_by(counters.rejected);
        trades.get_or_create(&of).inc_by(counters.trades);
        energy.get_or_create(&of).inc_by(counters.traded.wh().saturating_mul(JOULES));
    }
    registry.register("commands", "Commands sequenced since the start", commands);
    registry.register("orders_accepted", "Orders accepted", accepted);
    registry.register("requests_refused", "Requests refused by the engine", refused);
    registry.register("trades", "Trades", trades);
    registry.register_with_unit("traded_energy", "Energy of all trades", Unit::Joules, energy);
    registry.register("books", "Books that are shown", books);
}

/// How far everything is.
fn positions(registry: &mut Registry, watched: &Watched) {
    let gauge = Gauges::default;
    let (sequence, durable, captured) = (gauge(), gauge(), gauge());
    let (snapshot, waiting) = (gauge(), gauge());
    for shard in &watched.shards {
        let of = OfShard { shard: shard.number() };
        captured.get_or_create(&of).set(signed(watched.captured(shard)));
        if let Some(newest) = &shard.newest_snapshot {
            snapshot.get_or_create(&of).set(signed(newest.seq().get()));
        }
        durable.get_or_create(&of).set(signed(shard.durable().get()));
        sequence.get_or_create(&of).set(signed(shard.sequenced.last().get()));
        waiting.get_or_create(&of).set(signed(wide(shard.ring.waiting())));
    }
    registry.register("journal_sequence", "Last position given out", sequence);
    registry.register("journal_durable_sequence", "Last durable position", durable);
    registry.register("settlement_captured_sequence", "Position settlement is at", captured);
    registry.register("snapshot_sequence", "Position of the newest snapshot", snapshot);
    registry.register("commands_waiting", "Commands that wait for their position", waiting);
}

/// How webhooks are doing, by the role of who is told.
fn told(registry: &mut Registry, webhooks: &Webhooks) {
    let counter = || Family::<OfRole, Counter>::default();
    let (delivered, failed) = (counter(), counter());
    let backlog = Family::<OfRole, Gauge>::default();
    for (role, figures) in webhooks.figures() {
        let of = OfRole { role: role.name() };
        delivered.get_or_create(&of).inc_by(figures.delivered);
        failed.get_or_create(&of).inc_by(figures.failed);
        backlog.get_or_create(&of).set(signed(figures.backlog));
    }
    registry.register("webhook_notices", "Notices that webhooks acknowledged", delivered);
    registry.register("webhook_failures", "Calls of webhooks that failed", failed);
    let help = "Numbers of notices that webhooks have not acknowledged";
    registry.register("webhook_backlog", help, backlog);
}

/// What there is once.
fn node(registry: &mut Registry, watched: &Watched) {
    let mut single = |name: &str, help: &str, value: u64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(signed(value));
        registry.register(name, help, gauge);
    };
    let room = watched.reserve.room();
    single("storage_low", "1 while the disk is nearly full", u64::from(room.is_low));
    single("ready", "1 while orders are taken", u64::from(watched.unready().is_empty()));
    let checkpoint = *watched.signed.borrow();
    if let Some(checkpoint) = checkpoint {
        single("ledger_signed_leaves", "Leaves under the newest checkpoint", checkpoint.leaves);
    }
    let mut bytes = |name: &str, help: &str, value: u64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(signed(value));
        registry.register_with_unit(name, help, Unit::Bytes, gauge);
    };
    bytes("storage_reserve", "Kept free for what takes orders away", room.kept);
    if let Some(free) = room.free {
        bytes("storage_free", "Free on the journals' file system", free);
    }
    if let Some(checkpoint) = checkpoint {
        let age = checkpoint.at.elapsed();
        seconds(registry, "ledger_checkpoint_age", "Since everything was signed", age);
    }
}

fn seconds(registry: &mut Registry, name: &str, help: &str, value: std::time::Duration) {
    let gauge = Gauge::<f64, AtomicU64>::default();
    gauge.set(value.as_secs_f64());
    registry.register_with_unit(name, help, Unit::Seconds, gauge);
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
