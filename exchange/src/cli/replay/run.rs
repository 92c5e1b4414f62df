//! `gridcross replay run`: a log of orders through the engine.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use ::replay::{
    import::{self, Scale, UNIT, detect},
    run::{self, Outcome, RunError},
};
use clap::{Args, ValueEnum, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use types::{Timestamp, market::LEVELS_MAX};

use super::{
    network,
    parts::{self, Part},
};
use crate::{
    cli::OutputOptions,
    exit::{Failure, Kind},
};

/// Options of `replay run`.
#[derive(Debug, Args)]
pub struct Options {
    /// A journal, an export of its commands, or a log of another venue
    file: PathBuf,
    /// What it is
    #[arg(long, value_enum, default_value = "auto")]
    format: FormatName,
    /// As fast as it happened, ten times as fast, or as fast as the engine goes
    #[arg(long, value_enum, default_value = "max")]
    speed: Speed,
    /// Time from here on: RFC 3339, or HH:MM:SS where the log has no date
    #[arg(long, value_parser = super::instant)]
    from: Option<Timestamp>,
    /// Stop after this time
    #[arg(long, value_parser = super::instant)]
    to: Option<Timestamp>,
    /// Run so many times, each on a new engine; figures are of the fastest
    #[arg(long = "loop", default_value_t = 1, value_parser = value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Pass over rows that are not of the format, and count them
    #[arg(long)]
    skip_bad: bool,
    /// Use this symbol only; in ITCH also a locate code
    #[arg(long)]
    symbol: Option<String>,
    /// Smallest step of a price in the file, in its unit
    #[arg(long, default_value = "0.01", value_parser = step)]
    tick: i64,
    /// Smallest step of a quantity in the file, in its unit
    #[arg(long, default_value = "1", value_parser = step)]
    lot: i64,
    /// Price levels of a book, its first price in their middle
    #[arg(long, default_value_t = 65_536, value_parser = value_parser!(u32).range(2..=i64::from(LEVELS_MAX)))]
    levels: u32,
    /// Write a journal into this new directory
    #[arg(long, value_name = "DIR", conflicts_with = "rounds")]
    journal: Option<PathBuf>,
    /// Send the requests of an exchange's log to a running exchange at this address
    #[arg(long, value_name = "ADDRESS", requires = "keys")]
    #[arg(conflicts_with_all = ["rounds", "journal", "skip_bad", "symbol"])]
    quic: Option<SocketAddr>,
    /// With --quic: certificates of its platforms and authority, signing keys of its meters
    #[arg(long, value_name = "DIR", requires = "quic")]
    keys: Option<PathBuf>,
    /// With --quic: the name in the exchange's certificate
    #[arg(long, default_value = "localhost", requires = "quic")]
    server_name: String,
    /// With --quic: move delivery slots and validity by so many days
    #[arg(long, default_value_t = 0, allow_hyphen_values = true, requires = "quic")]
    #[arg(value_parser = value_parser!(i64).range(-36_525..=36_525))]
    shift_days: i64,
    /// How it is printed
    #[command(flatten)]
    output: OutputOptions,
}

/// Formats by their names on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// By the first bytes of the file
    Auto,
    /// A journal directory, or exported commands in NDJSON
    Gridcross,
    /// Comma-separated values with a header
    Csv,
    /// One JSON object a line
    Ndjson,
    /// A flow file, as `bench book --flow` reads
    Flow,
    /// A message file of LOBSTER
    Lobster,
    /// NASDAQ TotalView-ITCH 5.0
    Itch,
    /// Databento DBN, schema MBO (in builds with the feature `dbn`)
    Dbn,
}

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Speed {
    /// As it happened
    #[value(name = "1x")]
    Real,
    /// Ten times as fast
    #[value(name = "10x")]
    Tenfold,
    /// As fast as it goes
    Max,
}

/// A decimal above zero, in billionths.
fn step(text: &str) -> Result<i64, String> {
    import::decimal(text)
        .filter(|step| *step > 0)
        .ok_or_else(|| "expected a decimal number above zero, such as 0.01".to_owned())
}

#[derive(Debug, Serialize)]
struct Figures {
    rows: u64,
    operations: u64,
    timed: u64,
    ns_per_op: f64,
    p50_ns: u64,
    p99_ns: u64,
    p999_ns: u64,
    trades: u64,
    volume: String,
    notional: String,
    rejects: u64,
    lost: u64,
    bad_rows: u64,
    executions_equal: u64,
    executions_different: u64,
    state_digest: String,
    elapsed_ms: u64,
    peak_rss_bytes: u64,
}

#[derive(Debug, Serialize)]
struct CountRow {
    reason: &'static str,
    count: u64,
}

/// Runs and prints.
///
/// # Errors
/// See [`super::run`].
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let settings = settings(options)?;
    if let (Some(address), Some(keys)) = (options.quic, &options.keys) {
        return send(options, &settings, address, keys);
    }
    let style = ProgressStyle::with_template("{spinner} {pos} rows ({per_sec})");
    let bar = ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    let mut fastest: Option<Outcome> = None;
    for _ in 0..options.rounds {
        let outcome = run::run(&options.file, &settings, &mut |rows| bar.set_position(rows));
        let outcome = outcome.map_err(failure)?;
        if let Some(before) = &fastest
            && before.state_digest != outcome.state_digest
        {
            return Err(Failure::mismatch("the same log led to two states"));
        }
        if fastest.as_ref().is_none_or(|before| outcome.took < before.took) {
            fastest = Some(outcome);
        }
    }
    bar.finish_and_clear();
    let Some(outcome) = fastest else { return Ok(()) };
    let scale = match settings.format {
        // Prices are in millionths and for a kilowatt-hour, quantities in watt-hours.
        import::Format::Journal | import::Format::Commands => {
            Scale { tick: 1_000, lot: UNIT / 1_000 }
        }
        import::Format::Flow => Scale { tick: UNIT, lot: UNIT },
        import::Format::Csv
        | import::Format::Ndjson
        | import::Format::Lobster
        | import::Format::Itch
        | import::Format::Dbn => settings.scale,
    };
    let figures = figures(&outcome, scale);
    let count = |(reason, count): (&'static str, u64)| CountRow { reason, count };
    let rejects: BTreeMap<_, _> =
        outcome.rejects.iter().map(|(reason, n)| (reason.name(), *n)).collect();
    let lost: BTreeMap<_, _> = outcome.lost.iter().map(|(loss, n)| (loss.name(), *n)).collect();
    let rejects: Vec<_> = rejects.into_iter().map(count).collect();
    let lost: Vec<_> = lost.into_iter().map(count).collect();
    let parts =
        [Part::new("run", &[figures])?, Part::new("rejects", &rejects)?, Part::new("lost", &lost)?];
    parts::print(&parts, options.output.output)
}

#[derive(Debug, Serialize)]
struct NetworkFigures {
    rows: u64,
    sessions: usize,
    sent: u64,
    accepted: u64,
    rejected: u64,
    unanswered: u64,
    left_out: u64,
    p50_us: u64,
    p99_us: u64,
    p999_us: u64,
    max_us: u64,
    elapsed_ms: u64,
}

/// Sends the log's requests to a running exchange, and prints what came of them.
fn send(
    options: &Options,
    settings: &run::Options,
    address: SocketAddr,
    keys: &std::path::Path,
) -> Result<(), Failure> {
    let target = network::Target {
        address,
        server_name: options.server_name.clone(),
        keys: keys.to_owned(),
        shift_days: options.shift_days,
        speed: settings.speed,
        from: settings.from,
        to: settings.to,
    };
    let outcome = network::run(&options.file, settings.format, &target)?;
    let total = |counts: &BTreeMap<&str, u64>| counts.values().copied().sum();
    let quantile = |quantile| outcome.latencies.value_at_quantile(quantile);
    let figures = NetworkFigures {
        rows: outcome.rows,
        sessions: outcome.sessions,
        sent: outcome.sent,
        accepted: outcome.accepted,
        rejected: total(&outcome.rejected),
        unanswered: outcome.unanswered,
        left_out: total(&outcome.left_out),
        p50_us: quantile(0.5),
        p99_us: quantile(0.99),
        p999_us: quantile(0.999),
        max_us: outcome.latencies.max(),
        elapsed_ms: u64::try_from(outcome.elapsed.as_millis()).unwrap_or(u64::MAX),
    };
    let rows = |counts: BTreeMap<&'static str, u64>| -> Vec<_> {
        counts.into_iter().map(|(reason, count)| CountRow { reason, count }).collect()
    };
    let (rejects, left_out) = (rows(outcome.rejected), rows(outcome.left_out));
    let parts = [
        Part::new("run", &[figures])?,
        Part::new("rejects", &rejects)?,
        Part::new("left_out", &left_out)?,
    ];
    parts::print(&parts, options.output.output)
}

fn settings(options: &Options) -> Result<run::Options, Failure> {
    let detected = detect(&options.file).map_err(|source| {
        Failure::usage(format!("cannot read `{}`: {source}", options.file.display()))
    })?;
    let format = match options.format {
        FormatName::Auto => detected,
        FormatName::Gridcross if options.file.is_dir() => import::Format::Journal,
        FormatName::Gridcross => import::Format::Commands,
        FormatName::Csv => import::Format::Csv,
        FormatName::Ndjson => import::Format::Ndjson,
        FormatName::Flow => import::Format::Flow,
        FormatName::Lobster => import::Format::Lobster,
        FormatName::Itch => import::Format::Itch,
        FormatName::Dbn => import::Format::Dbn,
    };
    Ok(run::Options {
        format,
        scale: Scale { tick: options.tick, lot: options.lot },
        levels: options.levels,
        symbol: options.symbol.clone(),
        from: options.from,
        to: options.to,
        speed: match options.speed {
            Speed::Real => Some(1),
            Speed::Tenfold => Some(10),
            Speed::Max => None,
        },
        skip_bad: options.skip_bad,
        journal: options.journal.clone(),
    })
}

#[expect(
    clippy::float_arithmetic,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a figure for people; nothing is decided by it"
)]
fn figures(outcome: &Outcome, scale: Scale) -> Figures {
    let took = outcome.took.as_nanos() as f64 / outcome.timed.max(1) as f64;
    let volume = i128::try_from(outcome.volume).unwrap_or(i128::MAX);
    let quantile = |quantile| outcome.latencies.value_at_quantile(quantile);
    Figures {
        rows: outcome.rows,
        operations: outcome.commands,
        timed: outcome.timed,
        ns_per_op: (took * 10.0).round() / 10.0,
        p50_ns: quantile(0.5),
        p99_ns: quantile(0.99),
        p999_ns: quantile(0.999),
        trades: outcome.trades,
        volume: decimal(volume, i128::from(scale.lot), 9),
        notional: decimal(outcome.notional, i128::from(scale.tick) * i128::from(scale.lot), 18),
        rejects: outcome.rejects.values().copied().fold(0, u64::saturating_add),
        lost: outcome.lost.values().copied().fold(0, u64::saturating_add),
        bad_rows: outcome.bad_rows,
        executions_equal: outcome.executions.equal,
        executions_different: outcome.executions.different,
        state_digest: outcome.state_digest.to_string(),
        elapsed_ms: u64::try_from(outcome.elapsed.as_millis()).unwrap_or(u64::MAX),
        peak_rss_bytes: peak_rss_bytes(),
    }
}

/// `count` steps of `step`, of which 10 to the `digits` are one, as a decimal number.
fn decimal(count: i128, step: i128, digits: u32) -> String {
    // Trailing zeroes of the step first: a sum over a year fits then.
    let (mut step, mut digits) = (step, digits);
    while digits > 0 && step.rem_euclid(10) == 0 {
        step = step.div_euclid(10);
        digits = digits.saturating_sub(1);
    }
    let value = count.saturating_mul(step);
    let one = 10_i128.pow(digits);
    let sign = if value < 0 { "-" } else { "" };
    let value = value.saturating_abs();
    let (whole, fraction) = (value.div_euclid(one), value.rem_euclid(one));
    if digits == 0 {
        return format!("{sign}{whole}");
    }
    let width = usize::try_from(digits).unwrap_or(0);
    let text = format!("{sign}{whole}.{fraction:0width$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Most memory this process has had, in bytes; 0 where the system does not say.
fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}

fn failure(error: RunError) -> Failure {
    match error {
        RunError::Journal(error) => Failure::journal(&error),
        bad @ RunError::BadRows(_) => Failure::new(Kind::Usage, &bad)
            .hint("name the format with --format, or pass over such rows with --skip-bad"),
        missing @ RunError::NotBuilt { .. } => Failure::new(Kind::Usage, &missing),
        exists @ RunError::JournalExists { .. } => Failure::new(Kind::Usage, &exists),
        other @ (RunError::Read { .. } | RunError::Histogram(_)) => Failure::runtime(other),
    }
}
