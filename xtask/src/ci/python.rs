//! The Python client against the release build: its types, and a conversation with a real exchange.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Outcome, Steps, announce, outcome_of};
use crate::repository::Repository;

/// Where the client lies.
const CLIENT: &str = "clients/python";

/// Installs the client into an environment of its own and runs its tests. Without Python or its packages
/// the step is skipped and says so.
pub(super) fn run(repository: &Repository, steps: &mut Steps<'_>) {
    steps.run("python client", || match environment(repository) {
        Ok(python) => check(repository, &python),
        Err(reason) => Outcome::Skipped(reason),
    });
}

/// An interpreter that has the client and a type checker.
pub(super) fn environment(repository: &Repository) -> Result<PathBuf, String> {
    let folder = repository.root().join("target/python");
    let python = folder.join("bin/python");
    if !python.exists() {
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&folder))
            .map_err(|reason| format!("no environment for Python: {reason}"))?;
    }
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "mypy"]);
    succeed(install.arg(repository.root().join(CLIENT)))
        .map_err(|reason| format!("packages of Python cannot be installed: {reason}"))?;
    Ok(python)
}

fn check(repository: &Repository, python: &Path) -> Outcome {
    let client = repository.root().join(CLIENT);
    let mut types = Command::new(python);
    types.args(["-m", "mypy", "--strict", "--cache-dir"]);
    types.arg(repository.root().join("target/python/mypy")).arg(client.join("gridcross"));
    let mut build = repository.cargo();
    build.args(["build", "--release", "--quiet", "--bin", "gridcross"]);
    let mut talk = Command::new(python);
    talk.arg(client.join("tests/conversation.py"));
    talk.arg(repository.root().join("target/release/gridcross"));
    for command in [&mut types, &mut build, &mut talk] {
        match outcome_of(command) {
            Outcome::Passed => {}
            other @ (Outcome::Failed(_) | Outcome::Skipped(_)) => return other,
        }
    }
    Outcome::Passed
}

pub(super) fn succeed(command: &mut Command) -> Result<(), String> {
    announce(command);
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(stderr.lines().last().map_or_else(|| output.status.to_string(), str::to_owned))
}
