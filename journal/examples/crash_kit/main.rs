//! The crash kit: processes that append to a journal and are killed, cut off or refused a system
//! call, and a check of what is left. Each run prints what it counted, with its seed.
//!
//! `cargo run -p journal --example crash_kit -- kills 1000 1` is one run; `cargo xtask long` and
//! `cargo xtask ci` have the others. `docs/reliability.md` says what each proves.

mod appender;
mod check;
mod cuts;
mod full_disk;
mod history;
mod kills;
mod machine;
mod shortened;
mod syscalls;

use std::{error::Error, process::ExitCode};

/// What went wrong, in a sentence.
type Failure = Box<dyn Error + Send + Sync>;

/// How a run ended, if it did not fail.
enum Outcome {
    /// With what was counted.
    Passed(String),
    /// With what is missing on this machine. It is not a pass.
    Skipped(String),
}

/// The exit code of a run that could not be done here.
const EXIT_SKIPPED: u8 = 77;

const USAGE: &str = "\
usage: crash_kit <run>

runs:
  kills COUNT SEED      kill -9 of a process that appends and acknowledges
  cuts BYTES SEED       a journal of so many bytes, cut at each and with each bit flipped
  machine COUNT SEED    crash of the machine: ext4 on a loop device that is shut down (needs root)
  syscalls COUNT        each of the first COUNT calls of each kind fails, or kills (needs strace)
  shortened COUNT SEED  a segment is cut short under a process that maps it
  full-disk             a file system without room for another segment (needs root)
  append ...            the process that appends; the other runs start it";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match *arguments {
        ["append", ref rest @ ..] => return appender::run(rest),
        ["kills", count, seed] => {
            numbers(count, seed).and_then(|(count, seed)| kills::run(count, seed))
        }
        ["machine", count, seed] => {
            numbers(count, seed).and_then(|(count, seed)| machine::run(count, seed))
        }
        ["shortened", count, seed] => {
            numbers(count, seed).and_then(|(count, seed)| shortened::run(count, seed))
        }
        ["syscalls", count] => {
            numbers(count, "1").and_then(|(count, seed)| syscalls::run(count, seed))
        }
        ["cuts", bytes, seed] => {
            numbers(bytes, seed).and_then(|(bytes, seed)| cuts::run(bytes, seed))
        }
        ["full-disk"] => full_disk::run(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(Outcome::Passed(counts)) => {
            println!("{counts}, commit {}", commit());
            ExitCode::SUCCESS
        }
        Ok(Outcome::Skipped(reason)) => {
            println!("skipped: {reason}");
            ExitCode::from(EXIT_SKIPPED)
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn numbers(count: &str, seed: &str) -> Result<(u64, u64), Failure> {
    Ok((count.parse()?, seed.parse()?))
}

fn commit() -> String {
    let described = std::process::Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"])
        .output();
    let text = described.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "unknown".to_owned())
}
