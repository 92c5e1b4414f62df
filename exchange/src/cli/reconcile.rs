//! `gridcross reconcile`: books, instructions and the rail's statement against each other.

use std::{fs, path::PathBuf};

use clap::Args;
use serde::Serialize;
use settlement::rails::{
    PaymentRail as _, Statement,
    statement::{self, STATEMENT_BYTES_MAX},
};

use super::{OutputOptions, books::BooksOptions, connect::block_on};
use crate::{clock::Clock, exit::Failure, output, rails};

/// Which day, and against what.
#[derive(Debug, Args)]
pub struct Options {
    /// Whose books
    #[command(flatten)]
    books: BooksOptions,
    /// The day, in UTC, such as 2026-04-01
    #[arg(long, value_parser = day)]
    day: i64,
    /// The rail's statement, CSV or camt.053 [default: the rail is asked]
    #[arg(long)]
    statement: Option<PathBuf>,
    /// How breaks are printed
    #[command(flatten)]
    output: OutputOptions,
}

/// A difference.
#[derive(Debug, Serialize)]
struct Line {
    reference: String,
    kind: &'static str,
    books_minor: Option<i64>,
    instruction_minor: Option<i64>,
    statement_minor: Option<i64>,
}

/// A day of the command line.
pub(super) fn day(text: &str) -> Result<i64, String> {
    statement::day(text).ok_or_else(|| "a day is written like 2026-04-01".to_owned())
}

/// Carries the command out: breaks to stdout, and code 4 if there are any.
///
/// # Errors
/// When there are breaks, or something cannot be read.
pub fn run(options: &Options) -> Result<(), Failure> {
    let (layout, config, pipeline) = options.books.open()?;
    let currency = config.policy.currency;
    let stated = match (&options.statement, &config.rails) {
        (Some(path), _) => {
            let unreadable = |error: std::io::Error| {
                Failure::usage(format!("cannot read `{}`: {error}", path.display()))
            };
            let size = fs::metadata(path).map_err(unreadable)?.len();
            if size > STATEMENT_BYTES_MAX {
                return Err(Failure::refused("the statement is too large"));
            }
            let text = fs::read_to_string(path).map_err(unreadable)?;
            Statement::read(options.day, &text, currency).map_err(Failure::runtime)?
        }
        (None, Some(rail)) => {
            let rail =
                rails::rail(&layout, rail, Clock::System, currency).map_err(Failure::config)?;
            let asked = async { Ok(rail.statement(options.day).await) };
            let unreachable = || {
                Failure::unreachable("the payment rail gives no statement").hint(
                    "is `rails.url` right and the rail running? --statement takes a file instead",
                )
            };
            block_on(asked)?.ok_or_else(unreachable)?
        }
        (None, None) => {
            return Err(Failure::usage("there is no `[rails]` to ask; give a --statement"));
        }
    };
    let found = pipeline.reconcile(&stated).map_err(Failure::runtime)?;
    let lines: Vec<_> = found
        .breaks
        .into_iter()
        .map(|one| Line {
            reference: one.reference,
            kind: one.kind.name(),
            books_minor: one.books,
            instruction_minor: one.instruction,
            statement_minor: one.statement,
        })
        .collect();
    let day = statement::date(found.day);
    let told = format!("{day}: {} movements agree, {} breaks", found.agreed, lines.len());
    if options.output.output == output::Format::Human && lines.is_empty() {
        return output::print(&format!("{told}\n"));
    }
    tracing::info!("{told}");
    output::print_rows(&lines, options.output.output)?;
    if lines.is_empty() {
        return Ok(());
    }
    Err(Failure::mismatch(format!("{day} does not agree: {} breaks", lines.len())))
}
