//! `/status`: everything at a glance, for `gridcross status`.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use serde::{Deserialize, Serialize};

use super::{Desk, WatchedShard};
use crate::{COMMIT, VERSION};

/// Looks at the counters that are kept: rates are of the last ten seconds.
const SAMPLES_MAX: usize = 11;

/// What a running exchange says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Whether everything runs that never ends by itself.
    pub live: bool,
    /// Whether orders are taken and settled.
    pub ready: bool,
    /// Why it is not ready.
    pub reasons: Vec<String>,
    /// Of the program.
    pub version: String,
    /// Of its source.
    pub commit: String,
    /// Seconds since it began to listen for operations.
    pub uptime_s: u64,
    /// Orders accepted in a second, of the last ten seconds.
    pub orders_per_s: u64,
    /// Trades in a second, of the last ten seconds.
    pub trades_per_s: u64,
    /// Room on the journals' disks.
    pub storage: StorageStatus,
    /// The ledger's newest checkpoint; nothing before the first since the start.
    pub checkpoint: Option<SignedStatus>,
    /// Every shard.
    pub shards: Vec<ShardStatus>,
}

/// Room on the disk, in bytes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct StorageStatus {
    /// Free where least is; nothing where the system did not say.
    pub free_bytes: Option<u64>,
    /// Kept for what takes orders away (`journal.reserve_mib`).
    pub reserve_bytes: u64,
    /// Whether less than that is free.
    pub is_low: bool,
}

/// A checkpoint of the ledger.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct SignedStatus {
    /// Leaves under it.
    pub leaves: u64,
    /// Since the ledger was last found to have nothing that is not signed, in milliseconds.
    pub age_ms: u64,
}

/// A shard. Positions are sequences of its journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShardStatus {
    /// From 1.
    pub shard: u8,
    /// The last position that was given out.
    pub sequence: u64,
    /// The last one that is durable.
    pub durable: u64,
    /// Commands that wait for their position.
    pub waiting: u64,
    /// The last position that settlement has captured.
    pub captured: u64,
    /// Durable commands that it has not.
    pub settlement_behind: u64,
    /// Where the newest snapshot stands; nothing where none are made.
    pub snapshot: Option<u64>,
    /// Durable commands after it, which a start executes again.
    pub snapshot_behind: Option<u64>,
    /// Orders accepted since the start.
    pub orders: u64,
    /// Trades since the start.
    pub trades: u64,
    /// Books that are shown.
    pub books: u64,
}

pub(super) fn of(desk: &Desk) -> Status {
    let watched = &desk.watched;
    let reasons = watched.unready();
    let room = watched.reserve.room();
    let (orders_per_s, trades_per_s) = desk.rates.of_a_second();
    let shards = watched.shards.iter().map(|shard| of_shard(desk, shard)).collect();
    let checkpoint = *watched.signed.borrow();
    Status {
        live: watched.dead().is_empty(),
        ready: reasons.is_empty(),
        reasons,
        version: VERSION.to_owned(),
        commit: COMMIT.to_owned(),
        uptime_s: desk.began.elapsed().as_secs(),
        orders_per_s,
        trades_per_s,
        storage: StorageStatus {
            free_bytes: room.free,
            reserve_bytes: room.kept,
            is_low: room.is_low,
        },
        checkpoint: checkpoint.map(|signed| SignedStatus {
            leaves: signed.leaves,
            age_ms: u64::try_from(signed.at.elapsed().as_millis()).unwrap_or(u64::MAX),
        }),
        shards,
    }
}

fn of_shard(desk: &Desk, shard: &WatchedShard) -> ShardStatus {
    // What follows is read first, so that nothing is ahead of what it follows.
    let captured = desk.watched.captured(shard);
    let snapshot = shard.newest_snapshot.as_ref().map(|newest| newest.seq().get());
    let durable = shard.durable().get();
    let counters = shard.view.counters().unwrap_or_default();
    ShardStatus {
        shard: shard.number(),
        sequence: shard.sequenced.last().get(),
        durable,
        waiting: wide(shard.ring.waiting()),
        captured,
        settlement_behind: durable.saturating_sub(captured),
        snapshot,
        snapshot_behind: snapshot.map(|snapshot| durable.saturating_sub(snapshot)),
        orders: counters.accepted,
        trades: counters.trades,
        books: wide(shard.view.keys().len()),
    }
}

pub(super) fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Counters of all shards as they were at some instants.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<VecDeque<Sample>>);

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    orders: u64,
    trades: u64,
}

impl Rates {
    pub(super) fn look(&self, shards: &[WatchedShard]) {
        // Overtaken while it was read: the next look has it.
        let Ok(counters) = shards.iter().map(|shard| shard.view.counters()).collect() else {
            return;
        };
        let counters: Vec<market_view::Counters> = counters;
        self.add(Sample {
            at: Instant::now(),
            orders: counters.iter().map(|of| of.accepted).sum(),
            trades: counters.iter().map(|of| of.trades).sum(),
        });
    }

    fn add(&self, sample: Sample) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == SAMPLES_MAX {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// Orders and trades, rounded down.
    fn of_a_second(&self) -> (u64, u64) {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(first), Some(last)) = (samples.front(), samples.back()) else { return (0, 0) };
        let took = last.at.duration_since(first.at).as_millis();
        let rate = |before: u64, now: u64| {
            let more = u128::from(now.saturating_sub(before)).saturating_mul(1_000);
            u64::try_from(more.checked_div(took).unwrap_or(0)).unwrap_or(u64::MAX)
        };
        (rate(first.orders, last.orders), rate(first.trades, last.trades))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rates_are_of_the_last_ten_seconds() {
        let rates = Rates::default();
        assert_eq!(rates.of_a_second(), (0, 0));
        let began = Instant::now();
        let sample = |second: u64, orders, trades| Sample {
            at: began + Duration::from_secs(second),
            orders,
            trades,
        };
        rates.add(sample(0, 5_000_000, 70));
        assert_eq!(rates.of_a_second(), (0, 0), "one look is no rate");
        rates.add(sample(2, 5_000_500, 73));
        assert_eq!(rates.of_a_second(), (250, 1));
        for second in 3..=12 {
            rates.add(sample(second, 5_000_500 + (second - 2) * 100, 73));
        }
        assert_eq!(rates.of_a_second(), (100, 0), "what was before is over");
    }
}
