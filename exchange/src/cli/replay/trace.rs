//! `gridcross replay trace`: the life of an order or a trade.

use std::path::PathBuf;

use ::replay::{
    shards,
    trace::{Row, Subject, TraceError, settlement_of, trace},
};
use clap::Args;
use serde::Serialize;
use types::{OrderId, TradeId};

use crate::{
    cli::OutputOptions,
    exit::{Failure, Kind},
    output,
};

/// Options of `replay trace`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("subject").required(true))]
pub struct Options {
    /// A data directory, or the journal directory inside it
    dir: PathBuf,
    /// The engine's number of an order
    #[arg(long, group = "subject")]
    order: Option<OrderId>,
    /// The engine's number of a trade
    #[arg(long, group = "subject")]
    trade: Option<TradeId>,
    /// How it is printed
    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Debug, Serialize)]
struct Line {
    stop: u8,
    place: &'static str,
    seq: u64,
    trade: Option<u64>,
    status: &'static str,
    text: String,
}

/// Traces and prints.
///
/// # Errors
/// When there is no such order or trade; see also [`super::run`].
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let subject = match (options.order, options.trade) {
        (_, Some(trade)) => Subject::Trade(trade),
        (order, None) => Subject::Order(order.unwrap_or_default()),
    };
    let settlement = settlement_of(&options.dir);
    let mut missing = None;
    for shard in shards(&options.dir) {
        match trace(&shard.journal, &settlement, subject) {
            Ok(rows) => {
                let lines: Vec<_> = rows.into_iter().map(line).collect();
                return output::print_rows(&lines, options.output.output);
            }
            // Another shard may have it.
            Err(error @ (TraceError::NoOrder { .. } | TraceError::NoTrade { .. })) => {
                missing = Some(Failure::new(Kind::Usage, &error));
            }
            Err(TraceError::Journal(error)) => return Err(super::journal_failure(&error)),
            Err(error @ TraceError::Settlement(_)) => return Err(Failure::runtime(error)),
        }
    }
    Err(missing.unwrap_or_else(|| Failure::usage("there is no journal")))
}

fn line(row: Row) -> Line {
    Line {
        stop: row.stop.number,
        place: row.stop.place,
        seq: row.seq.get(),
        trade: row.trade.map(TradeId::get),
        status: row.status.name(),
        text: row.text,
    }
}
