//! `gridcross replay`.

use std::{path::PathBuf, time::Instant};

use ::replay::{Verified, VerifyError};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::OutputOptions;
use crate::{
    exit::{Failure, Kind},
    node::Layout,
    output,
};

/// What can be done with a journal.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Re-execute a journal and compare every event; exit code 4 at the first difference
    Verify {
        /// A data directory, or the journal directory inside it
        dir: PathBuf,
        /// How it is printed
        #[command(flatten)]
        output: OutputOptions,
    },
}

#[derive(Debug, Serialize)]
struct Line {
    journal: String,
    result: &'static str,
    commands: u64,
    events: u64,
    trades: u64,
    last_seq: u64,
    torn_bytes: u64,
    state_digest: String,
    chain: String,
    elapsed_ms: u64,
}

/// Carries the command out.
///
/// # Errors
/// With code 4 when the journal is damaged or replays to something else.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Verify { dir, output } => {
            let inside = Layout::new(dir).journal();
            let journal = if inside.is_dir() { inside } else { dir.clone() };
            let began = Instant::now();
            // Hidden where stderr is no terminal.
            let bar = ProgressBar::new_spinner().with_style(
                ProgressStyle::with_template("{spinner} replaying {pos} commands ({per_sec})")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            let verified = ::replay::verify(&journal, engine::Limits::default(), &mut |done| {
                bar.set_position(done)
            });
            bar.finish_and_clear();
            let verified = verified.map_err(failure)?;
            let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let journal = journal.display().to_string();
            output::print_rows(&[line(journal, &verified, elapsed_ms)], output.output)
        }
    }
}

fn line(journal: String, verified: &Verified, elapsed_ms: u64) -> Line {
    Line {
        journal,
        result: "equal",
        commands: verified.commands,
        events: verified.events,
        trades: verified.trades,
        last_seq: verified.last_seq.get(),
        torn_bytes: verified.torn_bytes,
        state_digest: verified.state_digest.to_string(),
        chain: verified.chain.to_string(),
        elapsed_ms,
    }
}

fn failure(error: VerifyError) -> Failure {
    use journal::JournalError as E;
    match &error {
        VerifyError::Different { .. } => Failure::new(Kind::Mismatch, &error),
        VerifyError::Journal(E::Damaged { .. }) => Failure::new(Kind::Mismatch, &error)
            .hint("restore the journal from a copy; what follows the damage cannot be trusted"),
        VerifyError::Journal(_) => Failure::runtime(error),
    }
}
