//! `gridcross demo`: one summer day, from load and sunshine to settled money and a signed ledger.
//!
//! [`household`] holds the data, [`strategy`] decides orders, [`community`] bundles some of them, [`neighbours`] agree
//! directly and [`changes`] are what they change their minds to, [`policy`] says how it is settled, [`rail_desk`] moves the money, [`trader`] sends it, [`grid_desk`] knows the wires, [`meter_desk`]
//! reports what was metered, `play` moves the clock and lets everyone take turns, so that one seed
//! gives one result although everything travels over the network. `summary` and [`report`] tell
//! what happened.

pub mod changes;
pub mod community;
pub mod dice;
mod examples;
pub mod grid_desk;
pub mod household;
pub mod meter_desk;
pub mod neighbours;
pub mod observer;
mod play;
pub mod policy;
pub mod rail_desk;
pub mod report;
mod setup;
pub mod strategy;
mod summary;
pub mod trader;

use std::{fs, path::PathBuf, time::Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    cli::OutputOptions,
    exit::{Failure, Kind},
    init, output,
};

/// What to play.
#[derive(Debug, Args)]
pub struct Options {
    /// Meters that take part, from the beginning of the data
    #[arg(long, default_value_t = 2_405, value_parser = clap::value_parser!(u32).range(8..=2_405))]
    pub meters: u32,
    /// Quarter-hour slots to trade, in the middle of the day
    #[arg(long, default_value_t = 96, value_parser = clap::value_parser!(u32).range(1..=96))]
    pub slots: u32,
    /// Shards of the exchange; the day is traded at one of them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub shards: u8,
    /// Decides everything that is random
    #[arg(long, default_value_t = 20_160_725)]
    pub seed: u64,
    /// An empty directory to work in [default: a temporary one]
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// Leave the directory: gridcross.toml, registry.toml, keys/, journal/, settlement.db, ledger/, statements/, rail/,
    /// blotter/ (each platform's reports), report.html
    #[arg(long)]
    pub keep: bool,
    /// How it is printed
    #[command(flatten)]
    pub output: OutputOptions,
}

/// Plays the day.
///
/// # Errors
/// When the directory is not usable or a part of the exchange fails.
pub fn run(options: &Options) -> Result<(), Failure> {
    let began = Instant::now();
    let temporary = match &options.data_dir {
        Some(_) => None,
        None => Some(tempfile::tempdir().map_err(Failure::runtime)?),
    };
    let dir = match (&options.data_dir, &temporary) {
        (Some(dir), _) => dir.clone(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => return Err(Failure::usage("no directory to work in")),
    };
    init::claim_directory(&dir).map_err(Failure::config)?;
    let bar = progress_bar(options.slots);
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::runtime)?;
    let played = runtime.block_on(play::play(options, &dir, &bar));
    bar.finish_and_clear();
    let played = played.map_err(|error| Failure::new(Kind::Runtime, &*error))?;
    let elapsed = began.elapsed();
    let report = report::render(&summary::report_data(options, &played, elapsed));
    fs::write(dir.join("report.html"), report).map_err(Failure::runtime)?;
    let kept = match temporary {
        Some(temporary) if options.keep => Some(temporary.keep()),
        Some(_) => None,
        None if options.keep => Some(dir),
        None => {
            // It was empty when it was claimed: everything in it is ours.
            fs::remove_dir_all(&dir).map_err(Failure::runtime)?;
            None
        }
    };
    let text = summary::text(options, &played, elapsed, kept.as_deref())?;
    output::print(&text)
}

/// Hidden where stderr is no terminal.
fn progress_bar(slots: u32) -> ProgressBar {
    let bar = ProgressBar::new(u64::from(slots).saturating_add(play::STEPS_AFTER_LAST_SLOT));
    let style =
        ProgressStyle::with_template("{msg:28} {wide_bar} {pos}/{len} quarter hours  {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
