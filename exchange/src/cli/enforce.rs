//! `gridcross enforce`: who has not paid, what was done about it, and what comes next; and what a retailer
//! decides about disconnection.

use clap::{Args, Subcommand};
use serde::Serialize;
use settlement::{
    Disconnection, DisconnectionDecision, Pipeline, Standing,
    pipeline::level_name,
    rails::bill,
    tlog::leaf::{DefaultRecord, DisconnectionStep},
};
use types::{Currency, MeterId, Timestamp};

use super::{
    OutputOptions,
    books::BooksOptions,
    data_port::{self, Access},
};
use crate::{exit::Failure, output};

/// What is asked of enforcement.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Who owes, or reached a level, contract by contract: what is due, and what comes next
    Status(Options),
    /// Every level that was reached, with its leaf in the ledger
    Steps(Options),
    /// Give notice of disconnection to a suspended meter, as the retailer that serves it
    Disconnect(DecisionOptions),
    /// Take a notice of disconnection back, as the retailer that serves the meter
    Withdraw(DecisionOptions),
}

/// A retailer's decision.
#[derive(Debug, Args)]
pub struct DecisionOptions {
    /// How the exchange is reached, and as whom
    #[command(flatten)]
    access: Access,
    /// Whose
    #[arg(long)]
    meter: u32,
    /// Which version of what this retailer decides about this meter: a later one replaces an earlier one, the
    /// same again is the same decision
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    revision: u32,
    /// Why, in at most 200 characters; kept in the signed document and told to who serves the meter
    #[arg(long)]
    reason: String,
    /// How the answer is printed
    #[command(flatten)]
    output: OutputOptions,
}

/// Whose.
#[derive(Debug, Args)]
pub struct Options {
    /// Whose books
    #[command(flatten)]
    books: BooksOptions,
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
    decision: Option<&'static str>,
    by: Option<String>,
    document: Option<u64>,
    reason: Option<String>,
}

/// Carries the command out.
///
/// # Errors
/// When the books cannot be read, or a decision is refused.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Status(options) => {
            let (standings, currency, _) = read(options)?;
            let lines: Vec<_> = standings.iter().map(|one| standing(one, currency)).collect();
            output::print_rows(&lines, options.output.output)
        }
        Command::Steps(options) => {
            let (standings, _, pipeline) = read(options)?;
            let steps = standings.iter().flat_map(|one| &one.steps);
            let mut lines: Vec<_> =
                steps.map(|(leaf, one)| step(*leaf, one, &pipeline)).collect::<Result<_, _>>()?;
            lines.sort_by_key(|line| line.leaf);
            output::print_rows(&lines, options.output.output)
        }
        Command::Disconnect(options) => decide(options, DisconnectionDecision::Notice),
        Command::Withdraw(options) => decide(options, DisconnectionDecision::Withdrawn),
    }
}

fn decide(options: &DecisionOptions, decision: DisconnectionDecision) -> Result<(), Failure> {
    let DecisionOptions { access, meter, revision, reason, output } = options;
    if !Disconnection::is_reason(reason) {
        return Err(Failure::usage(format!("`{reason}` is no reason of 1 to 200 characters")));
    }
    let (meter, revision, reason) = (MeterId::new(*meter), *revision, reason.clone());
    let decided = Disconnection { meter, revision, decision, reason };
    let name = format!("{} {revision} of meter {meter}", decision.name());
    data_port::say(access, &name, &decided.to_body(), output.output)
}

/// The standings that are asked for.
fn read(options: &Options) -> Result<(Vec<Standing>, Currency, Pipeline), Failure> {
    let (_, config, pipeline) = options.books.open()?;
    let mut standings = pipeline.standings().map_err(Failure::runtime)?;
    if let Some(meter) = options.meter {
        if !pipeline.knows_meter(MeterId::new(meter)) {
            return Err(Failure::refused(format!("there is no meter {meter} in the books")));
        }
        standings.retain(|one| one.debtor == MeterId::new(meter));
    }
    if options.suspended {
        standings.retain(Standing::suspends);
    }
    Ok((standings, config.policy.currency, pipeline))
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

fn step(leaf: u64, step: &DefaultRecord, pipeline: &Pipeline) -> Result<StepLine, Failure> {
    let document = step.step.and_then(DisconnectionStep::document);
    let decided = match document {
        Some(document) => pipeline.disconnection(document).map_err(Failure::runtime)?,
        None => None,
    };
    Ok(StepLine {
        leaf,
        at: instant(step.minute),
        meter: step.debtor.get(),
        contract: step.contract.get(),
        level: level_name(step.level),
        open_minor: step.open,
        fine_minor: step.fine,
        decision: step.step.map(DisconnectionStep::name),
        by: decided.as_ref().map(|one| format!("retailer/{}", one.retailer)),
        document,
        reason: decided.map(|one| one.said.reason),
    })
}

/// A minute since 1970 as a time.
fn instant(minute: i64) -> String {
    Timestamp::from_seconds(minute.saturating_mul(60)).to_string()
}
