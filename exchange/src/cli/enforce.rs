//! `gridcross enforce`: who has not paid, what was done about it, and what comes next.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use settlement::{Standing, pipeline::level_name, rails::bill};
use types::{Currency, MeterId, Timestamp};

use super::{OutputOptions, accounts};
use crate::{exit::Failure, output};

/// What is asked of enforcement.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Who owes, or reached a level, contract by contract: what is due, and what comes next
    Status(Options),
    /// Every level that was reached, with its leaf in the ledger
    Steps(Options),
}

/// Whose.
#[derive(Debug, Args)]
pub struct Options {
    /// The directory of the exchange
    #[arg(long)]
    data_dir: PathBuf,
    /// Only this meter's
    #[arg(long)]
    meter: Option<u32>,
    /// Only of meters that may not trade
    #[arg(long)]
    suspended: bool,
    /// How it is printed
    #[command(flatten)]
    output: OutputOptions,
}

/// Where somebody stands under a contract.
#[derive(Debug, Serialize)]
struct StandingLine {
    meter: u32,
    contract: u64,
    level: &'static str,
    owes_since: Option<String>,
    open_minor: i64,
    fines_minor: i64,
    due: String,
    currency: String,
    next: Option<&'static str>,
    next_at: Option<String>,
    trading: &'static str,
    leaf: Option<u64>,
}

/// A level that was reached.
#[derive(Debug, Serialize)]
struct StepLine {
    leaf: u64,
    at: String,
    meter: u32,
    contract: u64,
    level: &'static str,
    open_minor: i64,
    fine_minor: i64,
}

/// Carries the command out.
///
/// # Errors
/// When the books cannot be read.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Status(options) => {
            let (standings, currency) = read(options)?;
            let lines: Vec<_> = standings.iter().map(|one| standing(one, currency)).collect();
            output::print_rows(&lines, options.output.output)
        }
        Command::Steps(options) => {
            let (standings, _) = read(options)?;
            let mut lines: Vec<_> = standings.iter().flat_map(steps).collect();
            lines.sort_by_key(|line| line.leaf);
            output::print_rows(&lines, options.output.output)
        }
    }
}

/// The standings that are asked for.
fn read(options: &Options) -> Result<(Vec<Standing>, Currency), Failure> {
    let (_, config, pipeline) = accounts::open(&options.data_dir)?;
    let mut standings = pipeline.standings().map_err(Failure::runtime)?;
    if let Some(meter) = options.meter {
        standings.retain(|one| one.debtor == MeterId::new(meter));
    }
    if options.suspended {
        standings.retain(Standing::suspends);
    }
    Ok((standings, config.policy.currency))
}

fn standing(one: &Standing, currency: Currency) -> StandingLine {
    StandingLine {
        meter: one.debtor.get(),
        contract: one.contract.get(),
        level: level_name(one.level),
        owes_since: one.since.map(instant),
        open_minor: one.open,
        fines_minor: one.fines,
        due: bill::decimal(one.open.saturating_add(one.fines), currency),
        currency: currency.code().to_owned(),
        next: one.next.map(|(level, _)| level_name(level)),
        next_at: one.next.map(|(_, minute)| instant(minute)),
        trading: if one.suspends() { "refused" } else { "allowed" },
        leaf: one.steps.last().map(|(leaf, _)| *leaf),
    }
}

fn steps(one: &Standing) -> Vec<StepLine> {
    one.steps
        .iter()
        .map(|(leaf, step)| StepLine {
            leaf: *leaf,
            at: instant(step.minute),
            meter: step.debtor.get(),
            contract: step.contract.get(),
            level: level_name(step.level),
            open_minor: step.open,
            fine_minor: step.fine,
        })
        .collect()
}

/// A minute since 1970 as a time.
fn instant(minute: i64) -> String {
    Timestamp::from_seconds(minute.saturating_mul(60)).to_string()
}
