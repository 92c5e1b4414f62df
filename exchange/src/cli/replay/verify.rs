//! `gridcross replay verify`: every shard's journal, each on threads of its own.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use ::replay::{
    EvidenceError, Progress, Shard, Verified, VerifyError, shards,
    shards::{SegmentSizes, segment_sizes},
};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::{
    cli::OutputOptions,
    exit::{Failure, Kind},
    output,
};

/// Options of `replay verify`.
#[derive(Debug, Args)]
pub struct Options {
    /// A data directory, or the journal directory inside it
    dir: PathBuf,
    /// Check every signature too: of meters, and of platforms over frames
    #[arg(long)]
    signatures: bool,
    /// How it is printed
    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Debug, Serialize)]
struct Line {
    shard: u8,
    journal: String,
    result: &'static str,
    commands: u64,
    events: u64,
    trades: u64,
    last_seq: u64,
    torn_bytes: u64,
    state_digest: String,
    chain: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    signatures: Option<u64>,
    elapsed_ms: u64,
    commands_per_s: u64,
}

/// Verifies and prints a row for each shard.
///
/// # Errors
/// See [`super::run`].
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let shards = shards(&options.dir);
    let sizes: Vec<_> = shards.iter().map(|shard| segment_sizes(&shard.journal)).collect();
    let bar = progress_bar(sizes.iter().map(SegmentSizes::total).sum());
    let commands = AtomicU64::new(0);
    let verified: Vec<Result<Line, Failure>> = thread::scope(|scope| {
        let threads: Vec<_> = shards
            .iter()
            .zip(&sizes)
            .map(|(shard, sizes)| {
                let meter = Meter { bar: &bar, sizes, commands: &commands, told: Told::default() };
                scope.spawn(move || verify(shard, options.signatures, meter))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    bar.finish_and_clear();
    let rows = verified.into_iter().collect::<Result<Vec<_>, _>>()?;
    output::print_rows(&rows, options.output.output)
}

fn verify(shard: &Shard, signatures: bool, mut meter: Meter<'_>) -> Result<Line, Failure> {
    let began = Instant::now();
    let verified =
        ::replay::verify(&shard.journal, shard.limits(), &mut |progress| meter.tell(progress))
            .map_err(failure)?;
    let evidence = signatures.then(|| ::replay::verify_signatures(&shard.journal)).transpose();
    let evidence = evidence.map_err(evidence_failure)?;
    Ok(Line {
        signatures: evidence.map(|found| found.signatures()),
        ..line(shard, &verified, began.elapsed())
    })
}

fn line(shard: &Shard, verified: &Verified, elapsed: Duration) -> Line {
    let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX).max(1);
    Line {
        shard: shard.number,
        journal: shard.journal.display().to_string(),
        result: "equal",
        commands: verified.commands,
        events: verified.events,
        trades: verified.trades,
        last_seq: verified.last_seq.get(),
        torn_bytes: verified.torn_bytes,
        state_digest: verified.state_digest.to_string(),
        chain: verified.chain.to_string(),
        signatures: None,
        elapsed_ms: elapsed_us.div_euclid(1_000),
        commands_per_s: verified.commands.saturating_mul(1_000_000).div_euclid(elapsed_us),
    }
}

/// Hidden where stderr is no terminal.
fn progress_bar(bytes: u64) -> ProgressBar {
    let template = "{bar:30} {bytes}/{total_bytes} ({bytes_per_sec}, {eta} left) {msg}";
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// One shard's part in the bar of all.
#[derive(Debug)]
struct Meter<'a> {
    bar: &'a ProgressBar,
    sizes: &'a SegmentSizes,
    commands: &'a AtomicU64,
    told: Told,
}

/// What a shard has added to the bar so far.
#[derive(Debug, Default)]
struct Told {
    commands: u64,
    bytes: u64,
}

impl Meter<'_> {
    fn tell(&mut self, progress: Progress) {
        let bytes = self.sizes.before(progress.segment).saturating_add(progress.offset);
        self.bar.inc(bytes.saturating_sub(self.told.bytes));
        let more = progress.commands.saturating_sub(self.told.commands);
        let all = self.commands.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        self.bar.set_message(format!("{all} commands"));
        self.told = Told { commands: progress.commands, bytes };
    }
}

fn evidence_failure(error: EvidenceError) -> Failure {
    if let EvidenceError::Journal(error) = &error {
        return Failure::journal(error);
    }
    Failure::new(Kind::Mismatch, &error)
}

fn failure(error: VerifyError) -> Failure {
    match &error {
        VerifyError::Different { .. } | VerifyError::Time { .. } => {
            Failure::new(Kind::Mismatch, &error)
        }
        VerifyError::Journal(error) => Failure::journal(error),
    }
}
