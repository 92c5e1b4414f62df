//! `journal`: durable commands per second for batches of several sizes, and how fast they are read.

use std::{
    fs,
    io::Write as _,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bench::{
    Failure,
    history::History,
    latency::{Latencies, Percentiles},
    machine,
    market::Setup,
    rate,
    report::{CommonOptions, Report},
};
use clap::Parser;
use engine::{Engine, Limits};
use journal::{Options as JournalOptions, SyncMethod, Writer};
use serde::Serialize;

/// Commands in a batch.
const BATCHES: [usize; 5] = [1, 8, 64, 256, 1_024];

/// Appends new orders with the events they cause, commits, and reads everything back
///
/// An entry is a new order with its signature, its acceptance and its trades. The figures of each
/// size are of its fastest round; rounds of all sizes take turns.
#[derive(Debug, Parser, Serialize)]
struct Options {
    /// Commits of each size and round
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    commits: u32,
    /// Rounds of each size
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
    methods: Vec<MethodFigures>,
    flow: FlowFigures,
    appending: Vec<BatchFigures>,
    reading: Vec<ReadFigures>,
}

#[derive(Debug, Clone, Serialize)]
struct BatchFigures {
    batch: usize,
    entries_per_s: u64,
    bytes_per_entry: f64,
    append_ns_per_entry: f64,
    commit_us: Percentiles,
}

/// One way of making batches durable: every append timed by itself, batches of 256, segments of
/// 8 MiB, so that most of them were prepared ahead.
#[derive(Debug, Serialize)]
struct MethodFigures {
    method: &'static str,
    append_p50_ns: u64,
    append_p9999_ns: u64,
    append_max_us: f64,
    commit_us: Percentiles,
}

/// A flow over one book, applied and appended, without commits; and only applied.
#[derive(Debug, Serialize)]
struct FlowFigures {
    commands: usize,
    bytes_per_command: f64,
    bare_ns_per_command: f64,
    journaled_ns_per_command: f64,
    commit_ns_per_command_in_memory: f64,
}

#[derive(Debug, Serialize)]
struct ReadFigures {
    what: &'static str,
    entries: u64,
    entries_per_s: u64,
    mb_per_s: u64,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let report = Report::begin("journal", &options.common);
    let dir = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let commits = usize::try_from(options.commits)?;
    let largest = BATCHES.iter().max().copied().unwrap_or(1);
    let history =
        History::of_orders(&Setup::new(96, 2_048), commits * largest, options.common.seed)?;
    let mut best: Vec<Option<BatchFigures>> = vec![None; BATCHES.len()];
    for _ in 0..options.rounds {
        for (&batch, best) in BATCHES.iter().zip(&mut best) {
            let folder = tempfile::tempdir_in(&dir)?;
            let round = append(folder.path(), &history, batch, commits)?;
            if best.as_ref().is_none_or(|best| round.entries_per_s > best.entries_per_s) {
                *best = Some(round);
            }
        }
    }
    let methods = SyncMethod::ALL
        .into_iter()
        .map(|method| time_method(&dir, &history, method))
        .collect::<Result<Vec<_>, _>>()?;
    let flow = time_flow(&options)?;
    let folder = tempfile::tempdir_in(&dir)?;
    append(folder.path(), &history, largest, commits)?;
    let (reading, chain) = read(folder.path(), options.rounds)?;
    let appending = best.into_iter().flatten().collect();
    let file_system = machine::file_system_of(&dir);
    let figures = Figures { file_system, methods, flow, appending, reading };
    std::io::stdout().write_all(report.finish(&options, &figures, &chain)?.as_bytes())?;
    Ok(())
}

fn append(
    dir: &Path,
    history: &History,
    batch: usize,
    commits: usize,
) -> Result<BatchFigures, Failure> {
    let (mut writer, _) = Writer::open(dir, JournalOptions::default(), &mut |_| {})?;
    // The market's registrations first, untimed.
    let mut entries = history.entries();
    for (command, events) in entries.by_ref().take(history.opening) {
        writer.append(command, events)?;
    }
    writer.commit()?;
    let before = bytes_used(dir)?;
    let mut latencies = Latencies::new()?;
    let mut committing = Duration::ZERO;
    let began = Instant::now();
    for _ in 0..commits {
        for (command, events) in entries.by_ref().take(batch) {
            writer.append(command, events)?;
        }
        let asked = Instant::now();
        writer.commit()?;
        let took = asked.elapsed();
        committing += took;
        latencies.record(took);
    }
    let elapsed = began.elapsed();
    let count = u64::try_from(commits * batch)?;
    Ok(BatchFigures {
        batch,
        entries_per_s: rate::per_second(count, elapsed),
        bytes_per_entry: rate::tenths(u128::from(bytes_used(dir)? - before), count),
        append_ns_per_entry: rate::tenths(elapsed.saturating_sub(committing).as_nanos(), count),
        commit_us: latencies.percentiles(),
    })
}

fn time_method(
    dir: &Path,
    history: &History,
    method: SyncMethod,
) -> Result<MethodFigures, Failure> {
    let folder = tempfile::tempdir_in(dir)?;
    let options =
        JournalOptions { segment_bytes: 8 << 20, batch_bytes_max: 4 << 20, sync: Some(method) };
    let (mut writer, _) = Writer::open(folder.path(), options, &mut |_| {})?;
    let (mut appends, mut commits) = (Latencies::new()?, Latencies::new()?);
    for (index, (command, events)) in history.entries().enumerate() {
        let began = Instant::now();
        writer.append(command, events)?;
        appends.record(began.elapsed());
        if index.is_multiple_of(256) {
            let began = Instant::now();
            writer.commit()?;
            commits.record(began.elapsed());
        }
    }
    Ok(MethodFigures {
        method: method.name(),
        append_p50_ns: appends.quantile_ns(0.5),
        append_p9999_ns: appends.quantile_ns(0.9999),
        append_max_us: rate::tenths(appends.max_ns().into(), 1_000),
        commit_us: commits.percentiles(),
    })
}

/// Commands between two commits of the flow.
const FLOW_BATCH: usize = 1_024;

/// What appending adds to the engine. The journal lies in memory where the system has a directory
/// for that, so that a commit is its checksum, its hash and its copy.
fn time_flow(options: &Options) -> Result<FlowFigures, Failure> {
    const COMMANDS: usize = 200_000;
    let history = History::of_flow(&Setup::new(1, 2_048), COMMANDS, options.common.seed)?;
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let (mut bare, mut journaled, mut commits) = (Duration::MAX, Duration::MAX, Duration::MAX);
    let mut bytes = 0;
    for _ in 0..options.rounds {
        bare = bare.min(flow_round(&history, None)?.0);
        let folder = tempfile::tempdir_in(&dir)?;
        let (mut writer, _) = Writer::open(folder.path(), JournalOptions::default(), &mut |_| {})?;
        let (applying, committing) = flow_round(&history, Some(&mut writer))?;
        journaled = journaled.min(applying);
        commits = commits.min(committing);
        bytes = bytes_used(folder.path())?;
    }
    let all = u64::try_from(history.entries().count())?;
    let count = u64::try_from(COMMANDS)?;
    Ok(FlowFigures {
        commands: COMMANDS,
        bytes_per_command: rate::tenths(u128::from(bytes), all),
        bare_ns_per_command: rate::tenths(bare.as_nanos(), count),
        journaled_ns_per_command: rate::tenths(journaled.as_nanos(), count),
        commit_ns_per_command_in_memory: rate::tenths(commits.as_nanos(), count),
    })
}

/// Applies a flow, and appends it where there is a writer. Gives the time of both without commits,
/// and that of the commits.
fn flow_round(
    history: &History,
    mut writer: Option<&mut Writer>,
) -> Result<(Duration, Duration), Failure> {
    let (opening, flow) = history.parts();
    let mut engine = Engine::new(Limits::default());
    engine.prefault(u32::try_from(opening.len() + flow.len())?);
    let mut events = Vec::new();
    let (mut applying, mut committing) = (Duration::ZERO, Duration::ZERO);
    for (timed, commands) in [(false, opening), (true, flow)] {
        for batch in commands.chunks(FLOW_BATCH) {
            let began = Instant::now();
            for command in batch {
                events.clear();
                engine.apply(command, &mut events);
                if let Some(writer) = writer.as_deref_mut() {
                    writer.append(command, &events)?;
                }
            }
            let applied = began.elapsed();
            if let Some(writer) = writer.as_deref_mut() {
                writer.commit()?;
            }
            if timed {
                applying += applied;
                committing += began.elapsed().saturating_sub(applied);
            }
        }
    }
    Ok((applying, committing))
}

/// Reads the journal as a tool, as a replay and as a restart would. Also gives its name.
fn read(dir: &Path, rounds: u32) -> Result<(Vec<ReadFigures>, String), Failure> {
    let bytes = bytes_used(dir)?;
    let (mut scan, mut replay, mut restart) = (Duration::MAX, Duration::MAX, Duration::MAX);
    let (mut entries, mut chain) = (0, String::new());
    for _ in 0..rounds {
        let began = Instant::now();
        let found = journal::scan(dir, &mut |_, _| ControlFlow::Continue(()))?;
        scan = scan.min(began.elapsed());
        (entries, chain) = (found.entries, found.chain.to_string());
        let began = Instant::now();
        replay::verify(dir, Limits::default(), &mut |_| {})?;
        replay = replay.min(began.elapsed());
        let began = Instant::now();
        let mut engine = Engine::new(Limits::default());
        let mut events = Vec::new();
        Writer::open(dir, JournalOptions::default(), &mut |entry| {
            events.clear();
            engine.apply(&entry.command, &mut events);
        })?;
        restart = restart.min(began.elapsed());
    }
    let line = |what, took| ReadFigures {
        what,
        entries,
        entries_per_s: rate::per_second(entries, took),
        mb_per_s: rate::per_second(bytes, took) / 1_000_000,
    };
    let lines = vec![
        line("scan: checksums, hashes, chain, records", scan),
        line("replay: scan, engine, every event compared", replay),
        line("restart: open for writing, engine rebuilt", restart),
    ];
    Ok((lines, chain))
}

/// Bytes up to the last one that is not zero, over all segments.
fn bytes_used(dir: &Path) -> Result<u64, Failure> {
    let mut used = 0;
    for file in fs::read_dir(dir)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            let bytes = fs::read(path)?;
            used += bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        }
    }
    Ok(u64::try_from(used)?)
}
