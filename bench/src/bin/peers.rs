//! `peers`: one order flow through order books by others, side by side.

use std::{
    io::Write as _,
    thread,
    time::{Duration, Instant},
};

use bench::{
    Failure, rate,
    report::{CommonOptions, Format, Report},
    threads,
};
use clap::Parser;
use replay::flow::{Flow, FlowResult, Generated, SIZE_MAX, Workload, generate};
use serde::Serialize;

#[path = "../peers/mod.rs"]
mod peers;

use peers::{Entrant, LEFT_OUT, entrants};

/// Operations handed over at once; the clock is read in between. 96 KiB of them: a second-level cache.
const BATCH: usize = 4_096;

/// Runs one order flow through order books from crates.io
///
/// Rounds take turns: every book once, then every book again. Times are nanoseconds of the processor
/// for an operation; the operations that build the books are not timed. Fills are compared by hash with
/// a slow and obvious book; figures of a book whose fills differ are for scale only, because its state
/// soon differs too.
#[derive(Debug, Parser, Serialize)]
struct Options {
    /// 1: one shallow book; 2: 96 books of an energy market; 3: a million orders in one book
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3))]
    workload: u32,
    /// Size of the flow; with workload 3 so many cancellations and so many sweeps [default: as published]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(SIZE_MAX)))]
    operations: Option<u32>,
    /// Rounds of each
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Only books whose name begins so; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// A book that takes longer for a round is stopped and takes part no more
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    round_seconds_max: u64,
    /// Decides everything that is random [default: as published]
    #[arg(long)]
    #[serde(skip)]
    seed: Option<u64>,
    /// Format of the report
    #[arg(long, value_enum, default_value = "human")]
    #[serde(skip)]
    output: Format,
}

#[derive(Debug, Serialize)]
struct Figures {
    flow: FlowFigures,
    peers: Vec<PeerFigures>,
    left_out: Vec<LeftOut>,
}

#[derive(Debug, Serialize)]
struct FlowFigures {
    operations: u64,
    of_the_opening: u64,
    books: u32,
    trades: u64,
    volume: u64,
    fill_hash: String,
}

#[derive(Debug, Serialize)]
struct PeerFigures {
    peer: &'static str,
    ns_min: f64,
    ns_median: f64,
    times_the_fastest: f64,
    fills: String,
    remark: &'static str,
}

#[derive(Debug, Serialize)]
struct LeftOut {
    peer: &'static str,
    because: &'static str,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let workload = Workload::from_number(options.workload).ok_or("no such workload")?;
    let seed = options.seed.unwrap_or_else(|| workload.default_seed());
    let report = Report::begin("peers", &CommonOptions { seed, output: options.output });
    let size = options.operations.unwrap_or_else(|| workload.default_size());
    let Generated { flow, expected } = generate(workload, size, seed);
    let mut races: Vec<_> = entrants()
        .into_iter()
        .filter(|entrant| is_wanted(entrant.name, &options.only))
        .map(|entrant| Race { entrant, rounds: Vec::new() })
        .collect();
    let limit = Duration::from_secs(options.round_seconds_max);
    for _ in 0..options.rounds {
        races.iter_mut().for_each(|race| race.run(&flow, limit));
    }
    let header = flow.header();
    let hash = format!("{:016x}", expected.fill_hash);
    let figures = Figures {
        flow: FlowFigures {
            operations: header.operation_count,
            of_the_opening: header.opening_count,
            books: header.book_count,
            trades: expected.trades,
            volume: expected.volume,
            fill_hash: hash.clone(),
        },
        peers: peer_figures(&races, &expected),
        left_out: LEFT_OUT.map(|(peer, because)| LeftOut { peer, because }).into(),
    };
    std::io::stdout().write_all(report.finish(&options, &figures, &hash)?.as_bytes())?;
    Ok(())
}

fn is_wanted(name: &str, only: &[String]) -> bool {
    only.is_empty() || only.iter().any(|start| name.starts_with(start.as_str()))
}

/// Processor time of this thread. Unlike a clock it stands still while others run on the machine; the
/// kernel brings it up to date when a thread yields.
fn used_ns() -> u64 {
    thread::yield_now();
    threads::own_cpu_ns()
}

/// One book and its rounds.
struct Race {
    entrant: Entrant,
    rounds: Vec<Round>,
}

struct Round {
    used_ns: u64,
    operations: u64,
    /// `None` when the round was stopped.
    result: Option<FlowResult>,
}

impl Race {
    fn run(&mut self, flow: &Flow, limit: Duration) {
        if self.rounds.iter().any(|round| round.result.is_none()) {
            return;
        }
        let mut peer = (self.entrant.enter)(flow.header());
        let mut result = FlowResult::default();
        let (opening, timed) = flow.parts();
        peer.apply_all(opening, &mut result);
        let mut operations = 0_u64;
        let mut is_stopped = false;
        let (began, used_before) = (Instant::now(), used_ns());
        for batch in timed.chunks(BATCH) {
            is_stopped = began.elapsed() > limit;
            if is_stopped {
                break;
            }
            peer.apply_all(batch, &mut result);
            operations = operations.saturating_add(u64::try_from(batch.len()).unwrap_or(0));
        }
        let used_ns = used_ns().saturating_sub(used_before);
        let result = (!is_stopped).then_some(result);
        self.rounds.push(Round { used_ns, operations, result });
    }

    /// Nanoseconds an operation, the fastest round and the one in the middle.
    fn times(&self) -> (f64, f64) {
        let mut times: Vec<_> = self
            .rounds
            .iter()
            .map(|round| rate::tenths(round.used_ns.into(), round.operations))
            .collect();
        times.sort_by(f64::total_cmp);
        let at = |index: usize| times.get(index).copied().unwrap_or_default();
        (at(0), at(times.len() / 2))
    }

    /// Whether every round filled as expected.
    fn verdict(&self, expected: &FlowResult) -> String {
        for round in &self.rounds {
            let Some(result) = &round.result else {
                return format!("stopped after {} operations", round.operations);
            };
            if result.fill_hash != expected.fill_hash {
                return format!("differ: {} trades", result.trades);
            }
        }
        "equal".to_owned()
    }
}

#[expect(clippy::float_arithmetic, reason = "a report may print floats")]
fn peer_figures(races: &[Race], expected: &FlowResult) -> Vec<PeerFigures> {
    let fastest = races.iter().map(|race| race.times().0).fold(f64::INFINITY, f64::min);
    let mut figures: Vec<_> = races
        .iter()
        .map(|race| {
            let (ns_min, ns_median) = race.times();
            PeerFigures {
                peer: race.entrant.name,
                ns_min,
                ns_median,
                times_the_fastest: (ns_min / fastest * 100.0).round() / 100.0,
                fills: race.verdict(expected),
                remark: race.entrant.remark,
            }
        })
        .collect();
    figures.sort_by(|left, right| left.ns_min.total_cmp(&right.ns_min));
    figures
}
