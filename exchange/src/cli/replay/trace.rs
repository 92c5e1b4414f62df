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
    output::{self, Format},
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
                return match options.output.output {
                    Format::Human => output::print(&told(&lines)),
                    format @ (Format::Json | Format::Ndjson | Format::Csv) => {
                        output::print_rows(&lines, format)
                    }
                };
            }
            // Another shard may have it.
            Err(error @ (TraceError::NoOrder { .. } | TraceError::NoTrade { .. })) => {
                missing = Some(Failure::new(Kind::Usage, &error));
            }
            Err(TraceError::Journal(error)) => return Err(Failure::journal(&error)),
            Err(error @ TraceError::Settlement(_)) => return Err(Failure::runtime(error)),
        }
    }
    Err(missing.unwrap_or_else(|| Failure::usage("there is no journal")))
}

/// For people: a table would be wider than any screen.
fn told(lines: &[Line]) -> String {
    let mut text = String::new();
    let mut before = None;
    for line in lines {
        if before != Some((line.seq, line.trade)) {
            let trade = line.trade.map_or_else(String::new, |trade| format!(", trade {trade}"));
            text.push_str(&format!("sequence {}{trade}\n", line.seq));
            before = Some((line.seq, line.trade));
        }
        let status = if line.status == "recorded" { "" } else { line.status };
        let separator = if status.is_empty() { "" } else { ": " };
        let Line { stop, place, text: what, .. } = line;
        text.push_str(&format!("  {stop:>2} {place}\n     {status}{separator}{what}\n"));
    }
    text
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
