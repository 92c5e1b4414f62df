//! Development tasks, run as `cargo xtask <task>`. Uses nothing of the product, so that it can judge it.

mod ci;
mod crash_kit;
mod long;
mod repository;
mod tidy;

use std::process::ExitCode;

use crate::ci::Extent;
use crate::repository::Repository;

const USAGE: &str = "\
usage: cargo xtask <task>

tasks:
  ci           every check a change must pass: format, clippy, docs, tests, tidy, the README's commands
  ci --quick   the same without the release build and what runs on it
  ci --only WORD...
               only the steps whose names contain one of these words: ci --only tests ledger
  long NAME    the long form of a check: model (1e8 commands), prices (1e6 random books per property),
               settlement-model (1e5 histories over five mechanisms);
               of the journal: lying-disk (1e5 crashes), crash (1e4 kills), cuts (every bit of 256 KiB),
               machine-crash (2,000), syscalls, full-disk
  tidy         the rules about the source tree that no compiler checks";

/// The command line was not understood.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let task: fn(&Repository) -> ExitCode = match *arguments {
        ["ci"] => |repository| ci::run(repository, Extent::Full, &[]),
        ["ci", "--quick"] => |repository| ci::run(repository, Extent::Quick, &[]),
        ["ci", "--only", ref words @ ..] if !words.is_empty() => {
            return with_repository(|repository| ci::run(repository, Extent::Full, words));
        }
        ["tidy"] => tidy::run,
        ["long", name] => return with_repository(|repository| long::run(repository, name)),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    with_repository(task)
}

fn with_repository(task: impl FnOnce(&Repository) -> ExitCode) -> ExitCode {
    match Repository::find() {
        Ok(repository) => task(&repository),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
