//! `cargo xtask long`: the long forms of checks that every run of `ci` does in short.

use std::process::{Command, ExitCode};

use crate::crash_kit;
use crate::repository::Repository;

/// A check with a long form.
struct Long {
    name: &'static str,
    /// Where the test is.
    target: &'static [&'static str],
    /// One test of it.
    test: &'static str,
    /// What makes it long.
    settings: &'static [(&'static str, &'static str)],
}

const INTEGRATION: &[&str] = &["-p", "tests", "--test", "it"];

const ALL: [Long; 4] = [
    Long {
        name: "model",
        target: INTEGRATION,
        test: "engine_model::the_engine_agrees_with_the_model",
        settings: &[("GRIDCROSS_MODEL_COMMANDS", "100000000")],
    },
    Long {
        name: "prices",
        target: INTEGRATION,
        test: "engine_auction",
        settings: &[("PROPTEST_CASES", "1000000")],
    },
    Long {
        name: "settlement-model",
        target: &["-p", "settlement", "--lib"],
        test: "agreement::the_pipeline_agrees_with_the_model",
        settings: &[("GRIDCROSS_SETTLEMENT_HISTORIES", "100000")],
    },
    Long {
        name: "lying-disk",
        target: &["-p", "journal", "--lib"],
        test: "lying_disk",
        settings: &[("GRIDCROSS_LYING_DISKS", "100000")],
    },
];

/// The names, for the usage text.
pub(crate) const NAMES: &str =
    "model, prices, settlement-model, lying-disk, crash, cuts, machine-crash, syscalls, full-disk";

/// Runs the long form of a check in a release build; seeds and counts are printed.
pub(crate) fn run(repository: &Repository, name: &str) -> ExitCode {
    if let Some(run) = crash_kit::RUNS.iter().find(|run| run.name == name) {
        return finish(crash_kit::command(repository, run.long));
    }
    let Some(long) = ALL.iter().find(|long| long.name == name) else {
        eprintln!("error: `{name}` has no long form; these have: {NAMES}");
        return ExitCode::FAILURE;
    };
    let mut command = repository.cargo();
    command.args(["test", "--release"]).args(long.target).args(["--", "--nocapture", long.test]);
    for (key, value) in long.settings {
        // What is set already stays: a shorter or another run of the same.
        if std::env::var_os(key).is_none() {
            command.env(key, value);
        }
    }
    finish(command)
}

fn finish(mut command: Command) -> ExitCode {
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: cannot run {command:?}: {error}");
            ExitCode::FAILURE
        }
    }
}
