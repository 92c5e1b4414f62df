//! `gridcross meter`: meter files, before anything is settled by them.

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use clap::Subcommand;
use rust_decimal::Decimal;
use serde::Serialize;
use settlement::metering::formats::{self, FormatError, Series};
use types::Timestamp;

use super::OutputOptions;
use crate::{clock::Clock, exit::Failure, output};

/// Bytes read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// What can be done with meter files.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read files of any supported format and sum them up, one line per meter and channel
    Inspect {
        /// NEM12, Green Button XML, interval profiles or our signed documents, told apart by content
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// How it is printed
        #[command(flatten)]
        output: OutputOptions,
    },
}

#[derive(Debug, Serialize)]
struct Line {
    file: String,
    meter: String,
    channel: String,
    intervals: usize,
    sum: String,
    unit: String,
    first_start: String,
    last_end: String,
    quality: String,
}

/// Carries the command out.
///
/// # Errors
/// With code 2 when a file cannot be read or is wrong; the message names file, line, field, value
/// and reason. Nothing is printed then.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Inspect { files, output } => {
            // Only to tell which readings are in the future.
            let now = Clock::System.now();
            let mut lines = Vec::new();
            for file in files {
                lines.extend(inspect(file, now)?);
            }
            output::print_rows(&lines, output.output)
        }
    }
}

fn inspect(path: &Path, now: Timestamp) -> Result<Vec<Line>, Failure> {
    let unreadable =
        |error: io::Error| Failure::usage(format!("cannot read `{}`: {error}", path.display()));
    let opened = File::open(path).map_err(unreadable)?;
    if opened.metadata().map_err(unreadable)?.is_dir() {
        return Err(unreadable(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    let mut input = BufReader::with_capacity(BUFFER_BYTES, opened);
    let data = formats::read(&mut input, now)
        .map_err(|error: FormatError| Failure::usage(format!("`{}` {error}", path.display())))?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    Ok(data.series.iter().map(|series| line(&name, series)).collect())
}

fn line(file: &str, series: &Series) -> Line {
    let summary = series.summary();
    Line {
        file: file.to_owned(),
        meter: series.meter.clone(),
        channel: series.channel.clone(),
        intervals: summary.intervals,
        sum: decimal(summary.sum),
        unit: series.unit_name.clone(),
        first_start: summary.first_start,
        last_end: summary.last_end,
        quality: summary.quality,
    }
}

/// Without trailing zeros, and with one decimal at least.
fn decimal(sum: Decimal) -> String {
    let mut shortest = sum.normalize();
    if shortest.scale() == 0 {
        shortest.rescale(1);
    }
    shortest.to_string()
}
