//! `book`: what the engine costs per command, in memory and on one thread.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use bench::{
    Failure,
    history::History,
    latency::Latencies,
    market::Setup,
    rate,
    report::{CommonOptions, Report},
};
use clap::Parser;
use engine::{Engine, Limits};
use serde::Serialize;
use types::{Command, Digest, Event, Sequenced};

/// Applies one seeded flow to the engine: one book, 96 books, and the end of a call
///
/// A flow of 100 commands is 50 orders that rest, 33 cancellations, 12 immediate-or-cancel orders
/// that trade and 5 replacements, over books that hold 10,000 orders. Admission, limits, self-trade
/// prevention and events are all on. The figures are of the fastest round; rounds take turns.
#[derive(Debug, Parser, Serialize)]
struct Options {
    /// Commands of a flow
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1_000..=4_000_000))]
    commands: u32,
    /// Rounds of each
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    #[command(flatten)]
    #[serde(skip)]
    common: CommonOptions,
}

#[derive(Debug, Serialize)]
struct Figures {
    flows: Vec<FlowFigures>,
    uncrosses: Vec<UncrossFigures>,
    clock_read_ns: u64,
}

#[derive(Debug, Serialize)]
struct FlowFigures {
    books: u32,
    ns_per_command: f64,
    ns_per_command_slowest_round: f64,
    commands_per_s: u64,
    p50_ns: u64,
    p99_ns: u64,
    p999_ns: u64,
    max_us: f64,
    trades: u64,
    state_digest: String,
}

#[derive(Debug, Serialize)]
struct UncrossFigures {
    orders: u32,
    uncross_us: f64,
    trades: u64,
    ns_per_order: f64,
    collecting_ns_per_order: f64,
    state_digest: String,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let report = Report::begin("book", &options.common);
    let flows = [1, 96];
    let histories = flows
        .iter()
        .map(|&books| {
            let count = usize::try_from(options.commands)?;
            History::of_flow(&Setup::new(books, 2_048), count, options.common.seed)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut rounds = vec![Vec::new(); histories.len()];
    for _ in 0..options.rounds {
        for (history, times) in histories.iter().zip(&mut rounds) {
            times.push(time_flow(history)?);
        }
    }
    let flows = flows
        .iter()
        .zip(histories.iter().zip(&rounds))
        .map(|(&books, (history, times))| flow_figures(books, history, times))
        .collect::<Result<Vec<_>, _>>()?;
    drop(histories);
    let uncrosses = [10_000, 100_000]
        .into_iter()
        .map(|orders| uncross(orders, &options))
        .collect::<Result<Vec<_>, _>>()?;
    let digest = flows.first().map(|flow| flow.state_digest.clone()).unwrap_or_default();
    let figures = Figures { flows, uncrosses, clock_read_ns: clock_read_ns() };
    std::io::stdout().write_all(report.finish(&options, &figures, &digest)?.as_bytes())?;
    Ok(())
}

/// An engine with the market set up and its memory touched.
fn prepared(history: &History, events: &mut Vec<Event>) -> Result<Engine, Failure> {
    let mut engine = Engine::new(Limits::default());
    let (opening, rest) = history.parts();
    engine.prefault(u32::try_from(opening.len() + rest.len())?);
    apply_all(&mut engine, opening, events);
    Ok(engine)
}

fn apply_all(engine: &mut Engine, commands: &[Sequenced<Command>], events: &mut Vec<Event>) {
    for command in commands {
        events.clear();
        engine.apply(command, events);
    }
}

fn time_flow(history: &History) -> Result<Duration, Failure> {
    let mut events = Vec::new();
    let mut engine = prepared(history, &mut events)?;
    let began = Instant::now();
    apply_all(&mut engine, history.parts().1, &mut events);
    let elapsed = began.elapsed();
    same(engine.digest(), history)?;
    Ok(elapsed)
}

fn flow_figures(books: u32, history: &History, times: &[Duration]) -> Result<FlowFigures, Failure> {
    let mut events = Vec::new();
    let mut engine = prepared(history, &mut events)?;
    let mut latencies = Latencies::new()?;
    let flow = history.parts().1;
    let mut trades = 0;
    for command in flow {
        events.clear();
        let began = Instant::now();
        engine.apply(command, &mut events);
        latencies.record(began.elapsed());
        trades += trades_in(&events)?;
    }
    same(engine.digest(), history)?;
    let commands = u64::try_from(flow.len())?;
    let best = times.iter().min().copied().unwrap_or_default();
    let worst = times.iter().max().copied().unwrap_or_default();
    Ok(FlowFigures {
        books,
        ns_per_command: rate::tenths(best.as_nanos(), commands),
        ns_per_command_slowest_round: rate::tenths(worst.as_nanos(), commands),
        commands_per_s: rate::per_second(commands, best),
        p50_ns: latencies.quantile_ns(0.5),
        p99_ns: latencies.quantile_ns(0.99),
        p999_ns: latencies.quantile_ns(0.999),
        max_us: rate::tenths(latencies.max_ns().into(), 1_000),
        trades,
        state_digest: engine.digest().to_string(),
    })
}

fn uncross(orders: u32, options: &Options) -> Result<UncrossFigures, Failure> {
    let count = usize::try_from(orders)?;
    let history = History::of_call(&Setup::new(1, 2_048), count, options.common.seed)?;
    let (opening, end) = history.parts();
    let collected = opening.len().saturating_sub(count);
    let (setup, collecting) = opening.split_at_checked(collected).ok_or("too few commands")?;
    let (mut best, mut best_collecting, mut trades) = (Duration::MAX, Duration::MAX, 0);
    // The first round touches the memory that the others use.
    let mut events = Vec::new();
    for _ in 0..options.rounds {
        let mut engine = Engine::new(Limits::default());
        engine.prefault(orders);
        apply_all(&mut engine, setup, &mut events);
        let began = Instant::now();
        apply_all(&mut engine, collecting, &mut events);
        best_collecting = best_collecting.min(began.elapsed());
        events.clear();
        let began = Instant::now();
        end.iter().for_each(|command| engine.apply(command, &mut events));
        best = best.min(began.elapsed());
        trades = trades_in(&events)?;
        same(engine.digest(), &history)?;
    }
    Ok(UncrossFigures {
        orders,
        uncross_us: rate::tenths(best.as_nanos(), 1_000),
        trades,
        ns_per_order: rate::tenths(best.as_nanos(), orders.into()),
        collecting_ns_per_order: rate::tenths(best_collecting.as_nanos(), orders.into()),
        state_digest: history.engine.digest().to_string(),
    })
}

fn trades_in(events: &[Event]) -> Result<u64, Failure> {
    let trades = events.iter().filter(|event| matches!(event, Event::Trade(_))).count();
    Ok(u64::try_from(trades)?)
}

/// A round that ends in another state measured something else.
fn same(digest: Digest, history: &History) -> Result<(), Failure> {
    if digest == history.engine.digest() {
        return Ok(());
    }
    Err("the same commands led to another state".into())
}

/// What the clock adds to each command's latency.
fn clock_read_ns() -> u64 {
    const READS: u32 = 1_000_000;
    let began = Instant::now();
    let mut last = began;
    for _ in 0..READS {
        last = Instant::now();
    }
    u64::try_from((last.duration_since(began) / READS).as_nanos()).unwrap_or(0)
}
