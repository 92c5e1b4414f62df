//! `cargo xtask long`: the long forms of checks that every run of `ci` does in short.

use std::process::ExitCode;

use crate::repository::Repository;

/// A check with a long form.
struct Long {
    name: &'static str,
    /// One test of the integration binary.
    test: &'static str,
    /// What makes it long.
    settings: &'static [(&'static str, &'static str)],
}

const ALL: [Long; 2] = [
    Long {
        name: "model",
        test: "engine_model::the_engine_agrees_with_the_model",
        settings: &[("GRIDCROSS_MODEL_COMMANDS", "100000000")],
    },
    Long { name: "prices", test: "engine_auction", settings: &[("PROPTEST_CASES", "1000000")] },
];

/// The names, for the usage text.
pub(crate) const NAMES: &str = "model, prices";

/// Runs the long form of a check in a release build; seeds and counts are printed.
pub(crate) fn run(repository: &Repository, name: &str) -> ExitCode {
    let Some(long) = ALL.iter().find(|long| long.name == name) else {
        eprintln!("error: `{name}` has no long form; these have: {NAMES}");
        return ExitCode::FAILURE;
    };
    let mut command = repository.cargo();
    command.args(["test", "--release", "-p", "tests", "--test", "it", "--", "--nocapture"]);
    command.arg(long.test);
    for (key, value) in long.settings {
        // What is set already stays: a shorter or another run of the same.
        if std::env::var_os(key).is_none() {
            command.env(key, value);
        }
    }
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: cannot run {command:?}: {error}");
            ExitCode::FAILURE
        }
    }
}
