//! `calls`: the calls of a whole day, journaled and durable.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bench::{
    Failure,
    history::History,
    machine,
    market::Setup,
    rate,
    report::{CommonOptions, Report},
};
use clap::Parser;
use engine::{Engine, Limits};
use journal::{Options as JournalOptions, SyncMethod, Writer};
use serde::Serialize;
use types::{Command, Event, Sequenced};

/// Commands made durable with one sync, as the exchange has it.
const BATCH: usize = 8_192;

/// Enters orders into the calls of 96 slots and ends them all, through engine and journal
///
/// Every command is applied, appended with its events and made durable with its batch. About half
/// of the orders trade. The figures are of the fastest round.
#[derive(Debug, Parser, Serialize)]
struct Options {
    /// Slots
    #[arg(long, default_value_t = 96, value_parser = clap::value_parser!(u32).range(1..=96))]
    slots: u32,
    /// Orders of each slot
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    orders: u32,
    /// Rounds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Directory below which journals are written [default: the system's for temporary files]
    #[arg(long)]
    dir: Option<PathBuf>,
    #[command(flatten)]
    #[serde(skip)]
    common: CommonOptions,
}

#[derive(Debug, Serialize)]
struct Figures {
    file_system: String,
    sync: &'static str,
    /// From the first order to the last that is durable.
    collecting_ms: f64,
    collecting_orders_per_s: u64,
    /// From the end of the first call to the last trade that is durable.
    ending_ms: f64,
    /// The slowest batch of ends: applied, appended and synced.
    ending_slowest_commit_ms: f64,
    trades: u64,
}

/// What one round took.
struct Round {
    collecting: Duration,
    ending: Duration,
    slowest: Duration,
    trades: usize,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let report = Report::begin("calls", &options.common);
    let dir = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let orders = usize::try_from(options.slots * options.orders)?;
    let setup = Setup::new(options.slots, 2_048);
    let history = History::of_call(&setup, orders, options.common.seed)?;
    let sync = SyncMethod::default();
    let mut best: Option<Round> = None;
    for _ in 0..options.rounds {
        let folder = tempfile::tempdir_in(&dir)?;
        let round = round(folder.path(), &history, orders, sync)?;
        if best.as_ref().is_none_or(|best| round.ending < best.ending) {
            best = Some(round);
        }
    }
    let best = best.ok_or("no round")?;
    let figures = Figures {
        file_system: machine::file_system_of(&dir),
        sync: sync.name(),
        collecting_ms: rate::tenths(best.collecting.as_micros(), 1_000),
        collecting_orders_per_s: rate::per_second(u64::try_from(orders)?, best.collecting),
        ending_ms: rate::tenths(best.ending.as_micros(), 1_000),
        ending_slowest_commit_ms: rate::tenths(best.slowest.as_micros(), 1_000),
        trades: u64::try_from(best.trades)?,
    };
    let digest = history.engine.digest().to_string();
    std::io::stdout().write_all(report.finish(&options, &figures, &digest)?.as_bytes())?;
    Ok(())
}

fn round(dir: &Path, history: &History, orders: usize, sync: SyncMethod) -> Result<Round, Failure> {
    let options = JournalOptions { sync: Some(sync), ..JournalOptions::default() };
    let (writer, _) = Writer::open(dir, options, &mut |_| {})?;
    let mut engine = Engine::new(Limits::default());
    engine.prefault(u32::try_from(orders)?);
    let mut exchange = Exchange { engine, writer, events: Vec::new(), trades: 0 };
    let (opening, ends) = history.parts();
    let (setup, collecting) =
        opening.split_at_checked(opening.len().saturating_sub(orders)).ok_or("too few commands")?;
    setup.chunks(BATCH).try_for_each(|batch| exchange.turn(batch))?;
    let began = Instant::now();
    collecting.chunks(BATCH).try_for_each(|batch| exchange.turn(batch))?;
    let collecting = began.elapsed();
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    // A few at once, as their instants come: so nobody waits for all the others' trades.
    for batch in ends.chunks(8) {
        let began = Instant::now();
        exchange.turn(batch)?;
        slowest = slowest.max(began.elapsed());
    }
    let ending = began.elapsed();
    if exchange.engine.digest() != history.engine.digest() {
        return Err("the same commands led to another state".into());
    }
    Ok(Round { collecting, ending, slowest, trades: exchange.trades })
}

/// Engine and journal, as the core loop joins them.
struct Exchange {
    engine: Engine,
    writer: Writer,
    events: Vec<Event>,
    trades: usize,
}

impl Exchange {
    fn turn(&mut self, batch: &[Sequenced<Command>]) -> Result<(), Failure> {
        for command in batch {
            self.events.clear();
            self.engine.apply(command, &mut self.events);
            self.writer.append(command, &self.events)?;
            self.trades +=
                self.events.iter().filter(|event| matches!(event, Event::Trade(_))).count();
        }
        self.writer.commit()?;
        Ok(())
    }
}
