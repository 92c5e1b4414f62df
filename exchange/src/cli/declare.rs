//! `gridcross declare`.

use clap::Subcommand;
use types::{MeterId, Timestamp};

use super::{OutputOptions, books::BooksOptions, connect::instant};
use crate::{declaration, exit::Failure, output};

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Which P2P energy has this meter in this period? What is settled must not be billed again
    Query {
        /// Whose books
        #[command(flatten)]
        books: BooksOptions,
        /// The meter's number
        #[arg(long)]
        meter: u32,
        /// First instant of delivery, RFC 3339 [default: everything]
        #[arg(long, value_parser = instant)]
        from: Option<Timestamp>,
        /// First instant after the period, RFC 3339 [default: everything]
        #[arg(long, value_parser = instant)]
        to: Option<Timestamp>,
        /// How it is printed
        #[command(flatten)]
        output: OutputOptions,
    },
}

/// Carries the command out.
///
/// # Errors
/// When the settlement database cannot be read.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Query { books, meter, from, to, output } => {
            let (_, _, pipeline) = books.open()?;
            let from = from.unwrap_or_else(|| Timestamp::from_ns(0));
            let to = to.unwrap_or_else(|| Timestamp::from_ns(i64::MAX));
            if !pipeline.knows_meter(MeterId::new(*meter)) {
                return Err(Failure::refused(format!("there is no meter {meter} in the books")));
            }
            let energy =
                pipeline.p2p_energy(MeterId::new(*meter), from, to).map_err(Failure::runtime)?;
            output::print_rows(&declaration::lines(&energy), output.output)
        }
    }
}
