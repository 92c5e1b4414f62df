//! The crash kit of the journal: its short form in `ci`, its long form in `long`.

use std::process::Command;

use crate::repository::Repository;

/// A run of the kit.
pub(crate) struct Run {
    /// What it is called in both forms.
    pub(crate) name: &'static str,
    /// What `ci` runs.
    pub(crate) short: &'static [&'static str],
    /// What `long` runs.
    pub(crate) long: &'static [&'static str],
}

/// The seed of every run; the kit prints it.
const SEED: &str = "20260725";

/// Every run of the kit. The figures of both forms are in `docs/reliability.md`.
pub(crate) const RUNS: [Run; 6] = [
    Run { name: "crash", short: &["kills", "1000", SEED], long: &["kills", "10000", SEED] },
    Run { name: "cuts", short: &["cuts", "65536", SEED], long: &["cuts", "262144", SEED] },
    Run {
        name: "machine-crash",
        short: &["machine", "60", SEED],
        long: &["machine", "2000", SEED],
    },
    Run { name: "syscalls", short: &["syscalls", "3"], long: &["syscalls", "40"] },
    Run { name: "shortened", short: &["shortened", "20", SEED], long: &["shortened", "500", SEED] },
    Run { name: "full-disk", short: &["full-disk"], long: &["full-disk"] },
];

/// The exit code by which the kit says that this machine lacks what a run needs.
pub(crate) const EXIT_SKIPPED: i32 = 77;

/// The command of a run.
pub(crate) fn command(repository: &Repository, arguments: &[&str]) -> Command {
    let mut command = repository.cargo();
    command.args(["run", "--release", "--quiet", "-p", "journal", "--example", "crash_kit", "--"]);
    command.args(arguments);
    command
}
