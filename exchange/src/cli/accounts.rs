//! `gridcross accounts`: balances of the books.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use settlement::{Pipeline, rails::bill};

use super::OutputOptions;
use crate::{
    config::{self, Config},
    exit::Failure,
    node::{self, Layout},
    output,
};

/// Whose balances.
#[derive(Debug, Args)]
pub struct Options {
    /// The directory of the exchange
    #[arg(long)]
    data_dir: PathBuf,
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

/// The books of a directory, to read beside a program that writes them.
///
/// # Errors
/// When configuration or database cannot be read.
pub(super) fn open(data_dir: &Path) -> Result<(Layout, Config, Pipeline), Failure> {
    let layout = Layout::new(data_dir);
    let config = config::load(&data_dir.join(config::FILE_NAME)).map_err(Failure::config)?;
    let settings = node::settlement_settings(&layout, &config).map_err(Failure::config)?;
    let pipeline = Pipeline::open_for_questions(layout.store(&config), settings)
        .map_err(|error| Failure::settlement(&error))?;
    Ok((layout, config, pipeline))
}

/// Carries the command out.
///
/// # Errors
/// When the books cannot be read.
pub fn run(options: &Options) -> Result<(), Failure> {
    let (_, config, pipeline) = open(&options.data_dir)?;
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
