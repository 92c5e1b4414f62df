//! `gridcross accounts`: balances of the books, and free money asked back.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use settlement::{PayOutRequest, rails::bill};
use types::{Currency, MeterId, Money};

use super::{
    OutputOptions,
    books::{self, StoreOptions},
    data_port::{self, Access},
};
use crate::{exit::Failure, output};

/// Balances, or what is done about them.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    shown: ShownOptions,
}

/// What is done about a balance.
#[derive(Debug, Subcommand)]
enum Command {
    /// Ask for free money of a meter to be paid out over the rail, as its platform or as operator
    Withdraw(WithdrawOptions),
}

#[derive(Debug, Args)]
struct WithdrawOptions {
    /// How the exchange is reached, and as whom
    #[command(flatten)]
    access: Access,
    /// Whose money
    #[arg(long)]
    meter: u32,
    /// Which request of this meter, from 1: the same again is the same request
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    number: u16,
    /// How much, such as 12.50
    #[arg(long)]
    amount: String,
    /// In which currency
    #[arg(long)]
    currency: String,
    /// How the answer is printed
    #[command(flatten)]
    output: OutputOptions,
}

/// Whose balances.
#[derive(Debug, Args)]
struct ShownOptions {
    /// The directory of the exchange
    #[arg(long, required = true)]
    data_dir: Option<PathBuf>,
    /// Where its books are
    #[command(flatten)]
    store: StoreOptions,
    /// Only this owner's, such as meter/7, retailer/1 or exchange
    #[arg(long)]
    owner: Option<String>,
    /// Only accounts of this kind, such as earned
    #[arg(long)]
    kind: Option<String>,
    /// Accounts without a balance too
    #[arg(long)]
    all: bool,
    /// How it is printed
    #[command(flatten)]
    output: OutputOptions,
}

/// An account.
#[derive(Debug, Serialize)]
struct Line {
    owner: String,
    kind: &'static str,
    minor: i64,
    amount: String,
    currency: String,
}

/// Carries the command out.
///
/// # Errors
/// When the books cannot be read.
pub fn run(options: &Options) -> Result<(), Failure> {
    match &options.command {
        None => show(&options.shown),
        Some(Command::Withdraw(options)) => withdraw(options),
    }
}

fn withdraw(options: &WithdrawOptions) -> Result<(), Failure> {
    let WithdrawOptions { access, meter, number, amount, currency, output } = options;
    let currency = Currency::from_iso(currency)
        .map_err(|_| Failure::usage(format!("`{currency}` is no currency")))?;
    let minor = bill::minor(amount, currency).filter(|&minor| minor > 0);
    let minor = minor.ok_or_else(|| Failure::usage(format!("`{amount}` is no amount")))?;
    let request = PayOutRequest {
        meter: MeterId::new(*meter),
        number: *number,
        amount: Money::from_minor(minor),
        currency,
    };
    let name = format!("pay-out {number} of meter {meter}");
    data_port::say(access, &name, &request.to_body(), output.output)
}

fn show(options: &ShownOptions) -> Result<(), Failure> {
    let data_dir = options.data_dir.as_ref();
    let data_dir = data_dir.ok_or_else(|| Failure::usage("--data-dir says whose books"))?;
    let (_, config, pipeline) = books::open(data_dir, &options.store)?;
    let currency = config.policy.currency;
    let is_asked = |line: &Line| {
        options.owner.as_ref().is_none_or(|owner| *owner == line.owner)
            && options.kind.as_ref().is_none_or(|kind| kind == line.kind)
            && (options.all || line.minor != 0)
    };
    let lines: Vec<_> = pipeline
        .balances()
        .map_err(Failure::runtime)?
        .into_iter()
        .map(|(account, minor)| Line {
            owner: account.owner.to_string(),
            kind: account.kind.name(),
            minor,
            amount: bill::decimal(minor, currency),
            currency: currency.code().to_owned(),
        })
        .filter(is_asked)
        .collect();
    output::print_rows(&lines, options.output.output)
}
