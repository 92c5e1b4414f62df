//! `gridcross declare`.

use std::path::PathBuf;

use clap::Subcommand;
use settlement::Pipeline;
use types::{MeterId, Timestamp};

use super::{OutputOptions, connect::instant};
use crate::{
    config, declaration,
    exit::Failure,
    node::{self, Layout},
    output,
};

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Which P2P energy has this meter in this period? What is settled must not be billed again
    Query {
        /// The directory of the exchange
        #[arg(long)]
        data_dir: PathBuf,
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
        Command::Query { data_dir, meter, from, to, output } => {
            let layout = Layout::new(data_dir);
            let config =
                config::load(&data_dir.join(config::FILE_NAME)).map_err(Failure::config)?;
            let settings = node::settlement_settings(&layout, &config).map_err(Failure::config)?;
            let pipeline = Pipeline::open_for_questions(layout.store(&config), settings)
                .map_err(|error| Failure::settlement(&error))?;
            let from = from.unwrap_or_else(|| Timestamp::from_ns(0));
            let to = to.unwrap_or_else(|| Timestamp::from_ns(i64::MAX));
            let energy =
                pipeline.p2p_energy(MeterId::new(*meter), from, to).map_err(Failure::runtime)?;
            output::print_rows(&declaration::lines(&energy), output.output)
        }
    }
}
