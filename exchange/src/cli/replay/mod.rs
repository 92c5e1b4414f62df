//! `gridcross replay`: what can be done with a journal, a file for each command.

mod diff;
mod export;
mod inspect;
mod network;
mod parts;
mod run;
mod trace;
mod verify;

use clap::Subcommand;
use types::Timestamp;

use crate::exit::Failure;

/// What can be done with a journal.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Re-execute a journal and compare every event; exit code 4 at the first difference
    Verify(verify::Options),
    /// Show what is in a journal: files, batches, commands, events, refusals
    Inspect(inspect::Options),
    /// Find where two journals part; exit code 4 when they do
    Diff(diff::Options),
    /// Tell the life of an order or a trade, stop by stop
    Trace(trace::Options),
    /// Drive a log of orders through the engine, or ours to a running exchange: CSV, NDJSON, flows, LOBSTER, ITCH
    Run(run::Options),
    /// Write orders, trades, events or commands as CSV or NDJSON
    Export(export::Options),
}

/// Carries the command out.
///
/// # Errors
/// With code 4 when the journal is damaged or is not what it should be.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Verify(options) => verify::run(options),
        Command::Inspect(options) => inspect::run(options),
        Command::Diff(options) => diff::run(options),
        Command::Trace(options) => trace::run(options),
        Command::Run(options) => run::run(options),
        Command::Export(options) => export::run(options),
    }
}

/// An instant, or a time of a day without a date.
fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        let ns = i64::try_from(instant.as_nanosecond()).map_err(|error| error.to_string())?;
        return Ok(Timestamp::from_ns(ns));
    }
    let time: jiff::civil::Time =
        text.parse().map_err(|_| "expected 2026-02-06T12:00:00Z or 09:30:00".to_owned())?;
    let midnight = jiff::civil::Time::midnight();
    let since = time.duration_since(midnight).as_nanos();
    i64::try_from(since).map(Timestamp::from_ns).map_err(|error| error.to_string())
}
