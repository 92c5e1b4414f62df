//! `gridcross bench`: what the engine costs on this machine, on one thread and in memory, and what a
//! whole exchange answers over the network.

mod auction;
mod book;
mod gateway;

use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;

use crate::{
    exit::Failure,
    output::{self, Format},
};

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a flow of orders through the engine: time per operation, fills and their hash
    Book(book::Options),
    /// Run call auctions: from raw orders to fills, and the price alone from a live book
    Auction(auction::Options),
    /// Signed orders over QUIC into an exchange in a process of its own, until each is answered
    Gateway(gateway::Options),
}

/// Carries the command out.
///
/// # Errors
/// When a file cannot be read, an argument is out of range, or a flow gives other fills than it
/// should.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Book(options) => book::run(options),
        Command::Auction(options) => auction::run(options),
        Command::Gateway(options) => gateway::run(options),
    }
}

/// Prints one set of figures: in JSON one object.
fn print<T: Serialize>(figures: &T, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => {
            let text = serde_json::to_string_pretty(figures).map_err(Failure::runtime)?;
            output::print(&format!("{text}\n"))
        }
        Format::Human | Format::Ndjson | Format::Csv => {
            output::print_rows(std::slice::from_ref(figures), format)
        }
    }
}

/// Nanoseconds for one of `count`, to a tenth.
#[expect(
    clippy::float_arithmetic,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a figure for people; nothing is decided by it"
)]
fn ns_each(duration: Duration, count: usize) -> f64 {
    (duration.as_nanos() as f64 / count.max(1) as f64 * 10.0).round() / 10.0
}

/// Most memory this process has had, in bytes; 0 where the system does not say.
fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}
