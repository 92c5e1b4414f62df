//! `gridcross settle`: where settlement stands, a cycle now, and how a contract's money came about.

use clap::Subcommand;
use serde::Serialize;
use settlement::{State, rails::bill};
use types::TradeId;

use super::{OutputOptions, books::BooksOptions, verify::CycleOptions};
use crate::{
    exit::Failure,
    output::{self, Format},
};

/// What is asked of settlement.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Contracts by state and by mechanism, and what is asked of the payment rail
    Status {
        /// Whose books
        #[command(flatten)]
        books: BooksOptions,
        /// How it is printed
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Verify and settle now what has changed, and do what is due
    Run(CycleOptions),
    /// Every leg of a contract, with the rule and the inputs that made it
    Explain {
        /// The contract's number
        contract: u64,
        /// Whose books
        #[command(flatten)]
        books: BooksOptions,
        /// How it is printed
        #[command(flatten)]
        output: OutputOptions,
    },
}

/// How many there are of something, and their money or energy.
#[derive(Debug, Serialize)]
struct StatusLine {
    what: &'static str,
    name: String,
    state: &'static str,
    count: u64,
    minor: Option<i64>,
    amount: Option<String>,
    currency: String,
    settled_wh: Option<u64>,
}

#[derive(Debug, Serialize)]
struct LegLine {
    run: u16,
    leg: String,
    debit: String,
    credit: String,
    minor: i64,
    amount: String,
    currency: String,
    rule: &'static str,
    inputs: String,
}

/// Carries the command out.
///
/// # Errors
/// When the books cannot be read, or as the data port says.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Status { books, output } => status(books, output.output),
        Command::Run(options) => options.run(),
        Command::Explain { contract, books, output } => {
            explain(TradeId::new(*contract), books, output.output)
        }
    }
}

fn status(books: &BooksOptions, format: Format) -> Result<(), Failure> {
    let (_, config, pipeline) = books.open()?;
    let of = config.policy.currency;
    let amount = |minor| Some(bill::decimal(minor, of));
    let states = pipeline.contracts_by_state().map_err(Failure::runtime)?;
    let of_state = |(state, (count, settled_wh)): (State, (u64, u64))| StatusLine {
        what: "contracts",
        name: String::new(),
        state: state.name(),
        count,
        minor: None,
        amount: None,
        currency: String::new(),
        settled_wh: Some(settled_wh),
    };
    let mut lines: Vec<_> = states.into_iter().map(of_state).collect();
    let totals = pipeline.by_mechanism().map_err(Failure::runtime)?;
    lines.extend(totals.into_iter().map(|total| StatusLine {
        what: "mechanism",
        name: total.mechanism.name().to_owned(),
        state: "",
        count: total.contracts,
        minor: Some(total.paid_minor),
        amount: amount(total.paid_minor),
        currency: of.code().to_owned(),
        settled_wh: Some(total.settled_wh),
    }));
    let totals = pipeline.rail_totals().map_err(Failure::runtime)?;
    lines.extend(totals.into_iter().map(|(kind, state, count, minor)| StatusLine {
        what: "instructions",
        name: kind.name().to_owned(),
        state: state.name(),
        count,
        minor: Some(minor),
        amount: amount(minor),
        currency: of.code().to_owned(),
        settled_wh: None,
    }));
    output::print_rows(&lines, format)
}

fn explain(contract: TradeId, books: &BooksOptions, format: Format) -> Result<(), Failure> {
    let (_, config, pipeline) = books.open()?;
    let currency = config.policy.currency;
    let found = pipeline.explain(contract).map_err(Failure::runtime)?;
    let Some(found) = found else {
        return Err(Failure::refused(format!("there is no contract {contract}")));
    };
    let lines: Vec<_> = found
        .legs
        .into_iter()
        .map(|leg| LegLine {
            run: leg.run,
            leg: if leg.is_reversal {
                format!("reversal of {}", leg.leg)
            } else {
                leg.leg.to_owned()
            },
            debit: leg.debit.to_string(),
            credit: leg.credit.to_string(),
            minor: leg.minor,
            amount: bill::decimal(leg.minor, currency),
            currency: currency.code().to_owned(),
            rule: leg.rule,
            inputs: leg.inputs,
        })
        .collect();
    if format == Format::Human {
        let (state, energy) = (found.state.name(), found.energy.wh());
        let run = found.outcome.map_or(0, |outcome| outcome.run);
        let mechanism = found.mechanism.name();
        output::print(&format!(
            "contract {contract}: {energy} Wh, {mechanism}, {state}, run {run}\n"
        ))?;
        if lines.is_empty() {
            return output::print(
                "no money moved: nothing is settled yet, or it rounds to nothing\n",
            );
        }
    }
    output::print_rows(&lines, format)
}
