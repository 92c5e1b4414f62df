//! `gridcross bench book`: a flow of operations through the real engine.
//!
//! Every operation is a command that passes admission, limits, capacity, credit and self-trade
//! prevention, and whose events are written out. Timed is [`engine::Engine::apply`], told of
//! commands to come like the exchange tells it; making commands of a file's operations and reading
//! the events is not.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::{Args, value_parser};
use hdrhistogram::Histogram;
use replay::flow::{Flow, FlowResult, SIZE_MAX, Workload, generate, run::FlowEngine};
use serde::Serialize;

use super::{ns_each, peak_rss_bytes, print};
use crate::{
    exit::{Failure, Kind},
    output::Format,
};

/// Operations made ready, applied and counted at a time: the commands stay in the cache.
const BATCH: usize = 256;

/// Options of `bench book`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("input").required(true))]
pub struct Options {
    /// A flow file
    #[arg(long, group = "input")]
    flow: Option<PathBuf>,
    /// A canonical flow: 1 one book, 2 energy over 96 books, 3 a million resting orders
    #[arg(long, group = "input", value_parser = value_parser!(u32).range(1..=3))]
    workload: Option<u32>,
    /// Seed of a canonical flow; its own default if not given
    #[arg(long, requires = "workload")]
    seed: Option<u64>,
    /// Operations of a canonical flow after its opening; its own default if not given
    #[arg(long, requires = "workload", value_parser = value_parser!(u32).range(1..=i64::from(SIZE_MAX)))]
    operations: Option<u32>,
    /// Rounds; the fastest counts
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Format of what is printed
    #[arg(long, value_enum, default_value = "human")]
    output: Format,
}

#[derive(Debug, Serialize)]
struct Figures {
    /// Of the whole flow; its opening is not timed.
    operations: usize,
    ns_per_op: f64,
    ns_per_op_median: f64,
    p50_ns: u64,
    p99_ns: u64,
    p999_ns: u64,
    trades: u64,
    volume: u64,
    notional: u64,
    fill_hash: String,
    bbo_hash: String,
    rounds: u32,
    opening: usize,
    peak_rss_bytes: u64,
}

/// Measures and prints.
///
/// # Errors
/// See [`super::run`].
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let (flow, expected) = input(options)?;
    let (opening, operations) = flow.parts();
    let mut rounds = Vec::new();
    let mut result = FlowResult::default();
    for _ in 0..options.rounds {
        let (took, counted) = round(&flow);
        rounds.push(took);
        result = counted;
    }
    rounds.sort_unstable();
    if let Some(expected) = expected.filter(|expected| *expected != result) {
        return Err(Failure::mismatch(format!(
            "the engine's fills differ from what the flow must give: got {result:?}, expected \
             {expected:?}"
        )));
    }
    let latencies = latencies(&flow).map_err(Failure::runtime)?;
    let middle = rounds.get(rounds.len() / 2).copied().unwrap_or_default();
    let figures = Figures {
        operations: opening.len() + operations.len(),
        ns_per_op: ns_each(rounds.first().copied().unwrap_or_default(), operations.len()),
        ns_per_op_median: ns_each(middle, operations.len()),
        p50_ns: latencies.value_at_quantile(0.5),
        p99_ns: latencies.value_at_quantile(0.99),
        p999_ns: latencies.value_at_quantile(0.999),
        trades: result.trades,
        volume: result.volume,
        notional: result.notional,
        fill_hash: format!("{:016x}", result.fill_hash),
        bbo_hash: format!("{:016x}", result.best_price_hash),
        rounds: options.rounds,
        opening: opening.len(),
        peak_rss_bytes: peak_rss_bytes(),
    };
    print(&figures, options.output)
}

/// The flow and, where it is a canonical one, what it must give.
fn input(options: &Options) -> Result<(Flow, Option<FlowResult>), Failure> {
    if let Some(path) = &options.flow {
        let flow = Flow::read(path).map_err(|error| Failure::new(Kind::Usage, &error))?;
        return Ok((flow, None));
    }
    let workload = options.workload.and_then(Workload::from_number).unwrap_or(Workload::OneBook);
    let size = options.operations.unwrap_or_else(|| workload.default_size());
    let seed = options.seed.unwrap_or_else(|| workload.default_seed());
    let generated = generate(workload, size, seed);
    Ok((generated.flow, Some(generated.expected)))
}

/// Runs the flow once on a new engine: how long the operations after the opening took.
fn round(flow: &Flow) -> (Duration, FlowResult) {
    let (opening, operations) = flow.parts();
    let mut engine = FlowEngine::new(flow.header());
    let mut result = FlowResult::default();
    for batch in opening.chunks(BATCH) {
        engine.apply(batch, &mut result);
    }
    let mut took = Duration::ZERO;
    for batch in operations.chunks(BATCH) {
        engine.load(batch);
        let start = Instant::now();
        engine.run();
        took += start.elapsed();
        engine.count(&mut result);
    }
    engine.finish(&mut result);
    (took, result)
}

/// Runs the flow once more with the clock read around each operation. What two reads of the clock
/// cost on their own is taken off.
fn latencies(flow: &Flow) -> Result<Histogram<u64>, hdrhistogram::CreationError> {
    let (opening, operations) = flow.parts();
    let mut engine = FlowEngine::new(flow.header());
    let mut result = FlowResult::default();
    let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3)?;
    let clock = clock_cost();
    for batch in opening.chunks(BATCH) {
        engine.apply(batch, &mut result);
    }
    for batch in operations.chunks(BATCH) {
        engine.load(batch);
        engine.run_each(|start: Instant| {
            let took = start.elapsed().saturating_sub(clock).as_nanos();
            histogram.saturating_record(u64::try_from(took).unwrap_or(u64::MAX).max(1));
        });
    }
    Ok(histogram)
}

/// The least that two reads of the clock take.
fn clock_cost() -> Duration {
    let reads = (0..10_000).map(|_| Instant::now().elapsed());
    reads.min().unwrap_or_default()
}
