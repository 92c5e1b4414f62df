//! `gridcross verify`: verification cycles on demand, and where they stand.

use clap::{Args, Subcommand};
use serde::Serialize;
use types::MarketId;
use wire::data::{RequestKind, SinceQuery};

use super::{OutputOptions, data_port::Access};
use crate::{
    exit::Failure,
    output::{self, Format},
    questions::{CycleRow, Status, StatusRow},
};

/// What operators ask of verification.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Verify now what has changed, and tell what came of it
    Run(CycleOptions),
    /// What waits for readings, what is provisional, and the last cycles
    Status {
        /// As whom: an operator
        #[command(flatten)]
        access: Access,
        /// How it is printed
        #[command(flatten)]
        output: OutputOptions,
    },
}

/// A cycle on demand.
#[derive(Debug, Args)]
pub struct CycleOptions {
    /// As whom: an operator
    #[command(flatten)]
    access: Access,
    /// Only this market
    #[arg(long, default_value_t = 0)]
    market: u16,
    /// How it is printed
    #[command(flatten)]
    output: OutputOptions,
}

impl CycleOptions {
    /// Runs the cycle.
    ///
    /// # Errors
    /// As the data port says.
    pub(super) fn run(&self) -> Result<(), Failure> {
        let market = MarketId::new(self.market);
        let query = SinceQuery { market, ..SinceQuery::default() };
        let row: CycleRow = self.access.since(RequestKind::Verify, query)?;
        output::print_rows(&[row], self.output.output)
    }
}

/// A line about a market or a cycle, for formats with one table.
#[derive(Debug, Serialize)]
struct Line {
    what: &'static str,
    market: u16,
    cycle: Option<u64>,
    at: Option<String>,
    slots: u64,
    changed: Option<u64>,
    corrected: Option<u64>,
    awaiting: u64,
    provisional: u64,
}

impl Line {
    fn of_market(row: StatusRow) -> Self {
        Self {
            what: "market",
            market: row.market,
            cycle: None,
            at: row.deadline,
            slots: row.slots_due,
            changed: None,
            corrected: None,
            awaiting: row.awaiting,
            provisional: row.provisional,
        }
    }

    fn of_cycle(row: CycleRow) -> Self {
        Self {
            what: "cycle",
            market: row.market,
            cycle: Some(row.cycle),
            at: Some(row.at),
            slots: row.slots,
            changed: Some(row.changed),
            corrected: Some(row.corrected),
            awaiting: row.awaiting,
            provisional: row.provisional,
        }
    }
}

/// Carries the command out.
///
/// # Errors
/// As the data port says.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Run(options) => options.run(),
        Command::Status { access, output } => {
            let status: Status = access.since(RequestKind::VerifyStatus, SinceQuery::default())?;
            if output.output == Format::Human {
                output::print_rows(&status.markets, Format::Human)?;
                output::print_rows(&status.cycles, Format::Human)?;
                if status.pulls.is_empty() {
                    return Ok(());
                }
                return output::print_rows(&status.pulls, Format::Human);
            }
            let markets = status.markets.into_iter().map(Line::of_market);
            let lines: Vec<_> =
                markets.chain(status.cycles.into_iter().map(Line::of_cycle)).collect();
            output::print_rows(&lines, output.output)
        }
    }
}
