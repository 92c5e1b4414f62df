//! The one door: every check a change must pass, in order, with a summary at the end.

mod api;
mod debian;
mod demo;
mod ledger;
mod packaging;
mod pages;
mod postgres;
mod python;
mod release;
mod slowest;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::crash_kit;
use crate::repository::Repository;
use crate::tidy;

/// What default builds leave out. Lints, documents and tests have it, all of the whole workspace: with other
/// features, or of other packages, cargo would compile most dependencies once more. The program of the release
/// build is without.
const FEATURES: &str = "exchange/dbn,exchange/parquet";

/// Commands the README promises, word for word.
const README_COMMANDS: [&str; 2] = ["cargo run --release -- demo", "cargo xtask ci"];

/// How much of the checks to run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Full,
    /// Without the release build and what runs on it.
    Quick,
}

/// Runs every step, whatever became of the ones before; fails if one failed. With words, only the steps
/// whose names contain one of them.
pub(crate) fn run(repository: &Repository, extent: Extent, words: &[&str]) -> ExitCode {
    let mut steps = Steps { words: words.to_vec(), slowest: None, finished: Vec::new() };
    steps.run("format", || cargo(repository, &["fmt", "--all", "--check"]));
    steps.run("clippy", || {
        let all = ["clippy", "--workspace", "--all-targets", "--features", FEATURES];
        cargo(repository, &[all.as_slice(), &["--", "-D", "warnings"]].concat())
    });
    steps.run("docs", || docs(repository));
    tests(repository, &mut steps);
    steps.run("loom", || loom(repository));
    steps.run("tidy", || Outcome::from(tidy::check(repository)));
    steps.run("readme", || Outcome::from(readme(repository)));
    if extent == Extent::Full {
        crash_kit_runs(repository, &mut steps);
        release::run(repository, &mut steps);
        python::run(repository, &mut steps);
        ledger::run(repository, &mut steps);
        postgres::run(repository, &mut steps);
        api::run(repository, &mut steps);
        packaging::run(repository, &mut steps);
        pages::run(repository, &mut steps);
    }
    dependencies(repository, &mut steps);
    steps.summarise()
}

fn docs(repository: &Repository) -> Outcome {
    let mut command = repository.cargo();
    command.args(["doc", "--workspace", "--no-deps", "--features", FEATURES]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    outcome_of(&mut command)
}

/// Every execution of small cases of what readers and the core loop share without locks. A build of its
/// own, because the model checker replaces the atomics.
fn loom(repository: &Repository) -> Outcome {
    let mut command = repository.cargo();
    command.args(["test", "--release", "-p", "market_view", "--lib", "--target-dir"]);
    command.arg(repository.root().join("target/loom")).env("RUSTFLAGS", "--cfg loom");
    command.args(["--", "loom_tests", "--nocapture"]);
    outcome_of(&mut command)
}

/// The short forms of the journal's crash kit. What this machine lacks is said, and is not a pass.
fn crash_kit_runs(repository: &Repository, steps: &mut Steps<'_>) {
    let tools = ["xfs_io", "strace"];
    let is_there = || tools.into_iter().all(debian::has_program);
    let wants = crash_kit::RUNS.iter().any(|run| steps.selects(run.name));
    if wants && let Err(reason) = debian::install(is_there, &["xfsprogs", "strace"]) {
        println!("{reason}");
    }
    for run in &crash_kit::RUNS {
        steps.run(run.name, || {
            let mut command = crash_kit::command(repository, run.short);
            announce(&command);
            match command.status() {
                Ok(status) if status.success() => Outcome::Passed,
                Ok(status) if status.code() == Some(crash_kit::EXIT_SKIPPED) => {
                    Outcome::Skipped("this machine lacks what it needs, as said above".to_owned())
                }
                Ok(status) => Outcome::Failed(status.to_string()),
                Err(error) => Outcome::Failed(format!("cannot run {command:?}: {error}")),
            }
        });
    }
}

/// Builds first, with the program that some tests run: else the first of them would build it while
/// others, which have deadlines, run beside it. Nextest does not run documentation tests, so they get a
/// step of their own.
fn tests(repository: &Repository, steps: &mut Steps<'_>) {
    steps.run("build", || {
        let all = ["build", "--workspace", "--bin", "gridcross", "--tests"];
        let built = cargo(repository, &[all.as_slice(), &["--features", FEATURES]].concat());
        settle_disk();
        built
    });
    if has_subcommand(repository, "nextest") {
        steps.run("tests", || {
            let all = ["nextest", "run", "--profile", "ci", "--workspace", "--no-fail-fast"];
            cargo(repository, &[all.as_slice(), &["--features", FEATURES]].concat())
        });
        steps.slowest = steps.selects("tests").then(|| slowest::list(repository)).flatten();
        steps.run("doc tests", || {
            cargo(repository, &["test", "--doc", "--workspace", "--features", FEATURES])
        });
    } else {
        steps.run("tests", || {
            let all = ["test", "--workspace", "--no-fail-fast", "--features", FEATURES];
            cargo(repository, &all)
        });
    }
}

/// Waits until what a build wrote is on the disk. Whoever syncs a byte next would wait for all of it: on a slow
/// disk longer than sessions may be silent.
fn settle_disk() {
    let mut sync = Command::new("sync");
    announce(&sync);
    if let Err(error) = sync.status() {
        println!("cannot run `sync`: {error}");
    }
}

fn readme(repository: &Repository) -> Result<(), String> {
    let text = repository.text("README.md")?;
    let missing: Vec<&str> =
        README_COMMANDS.into_iter().filter(|command| !text.contains(command)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("README.md does not show `{}`", missing.join("`, `")))
}

/// Licences and sources of dependencies, then known vulnerabilities: both need a tool of their own, the
/// second also a database from the network.
fn dependencies(repository: &Repository, steps: &mut Steps<'_>) {
    let has_deny = has_subcommand(repository, "deny");
    steps.run("licences", || {
        if has_deny {
            return cargo(
                repository,
                &["deny", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"],
            );
        }
        Outcome::Skipped("cargo-deny is not installed".to_owned())
    });
    steps.run("advisories", || {
        if has_deny {
            return match cargo(repository, &["deny", "fetch", "db"]) {
                Outcome::Passed => cargo(repository, &["deny", "check", "advisories"]),
                Outcome::Failed(_) | Outcome::Skipped(_) => cannot_fetch(),
            };
        }
        if has_subcommand(repository, "audit") {
            return audit(repository);
        }
        Outcome::Skipped("neither cargo-deny nor cargo-audit is installed".to_owned())
    });
}

fn audit(repository: &Repository) -> Outcome {
    let mut command = repository.cargo();
    announce(command.args(["audit", "--deny", "warnings"]));
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return Outcome::Failed(format!("cannot run {command:?}: {error}")),
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{stderr}");
    if output.status.success() {
        Outcome::Passed
    } else if stderr.contains("couldn't fetch advisory database") {
        cannot_fetch()
    } else {
        Outcome::Failed(output.status.to_string())
    }
}

fn cannot_fetch() -> Outcome {
    Outcome::Skipped("the advisory database cannot be fetched".to_owned())
}

fn has_subcommand(repository: &Repository, name: &str) -> bool {
    let output = repository.cargo().args([name, "--version"]).output();
    output.is_ok_and(|output| output.status.success())
}

fn cargo(repository: &Repository, arguments: &[&str]) -> Outcome {
    outcome_of(repository.cargo().args(arguments))
}

/// Shows the command, runs it, and takes its exit status as the outcome.
fn outcome_of(command: &mut Command) -> Outcome {
    announce(command);
    match command.status() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(status.to_string()),
        Err(error) => Outcome::Failed(format!("cannot run {command:?}: {error}")),
    }
}

fn announce(command: &Command) {
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or_else(|| command.get_program());
    println!("$ {} {}", name.to_string_lossy(), arguments.join(" "));
}

/// What became of a step.
enum Outcome {
    Passed,
    /// With the reason.
    Failed(String),
    /// With the reason.
    Skipped(String),
}

impl From<Result<(), String>> for Outcome {
    fn from(result: Result<(), String>) -> Self {
        match result {
            Ok(()) => Self::Passed,
            Err(reason) => Self::Failed(reason),
        }
    }
}

struct Step {
    name: &'static str,
    outcome: Outcome,
    elapsed: Duration,
}

/// The steps that have run, in order.
struct Steps<'a> {
    /// What a step's name contains to be run; without words every step is.
    words: Vec<&'a str>,
    /// The slowest tests, a line each.
    slowest: Option<String>,
    finished: Vec<Step>,
}

impl Steps<'_> {
    /// Whether a step of this name is to run.
    fn selects(&self, name: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|&word| name.contains(word))
    }

    /// Runs one step under its own heading.
    fn run(&mut self, name: &'static str, work: impl FnOnce() -> Outcome) {
        if !self.selects(name) {
            return;
        }
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = work();
        let step = Step { name, outcome, elapsed: start.elapsed() };
        println!("-- {}", step.line());
        if let Some(reason) = step.reason() {
            println!("{reason}");
        }
        self.finished.push(step);
    }

    /// Prints the slowest tests, the table, the reasons, and last the count.
    fn summarise(&self) -> ExitCode {
        if let Some(tests) = &self.slowest {
            println!("\n== slowest tests\n{tests}");
        }
        print!("\n== summary\n{}", self.summary());
        let has_failed =
            self.finished.iter().any(|step| matches!(step.outcome, Outcome::Failed(_)));
        if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    fn summary(&self) -> String {
        let mut text = String::new();
        let (mut passed, mut failed, mut skipped) = (0_usize, 0_usize, 0_usize);
        for step in &self.finished {
            text.push_str(&format!("{}\n", step.line()));
        }
        for step in &self.finished {
            let count = match step.outcome {
                Outcome::Passed => &mut passed,
                Outcome::Failed(_) => &mut failed,
                Outcome::Skipped(_) => &mut skipped,
            };
            *count = count.saturating_add(1);
            text.extend(step.reason().map(|reason| format!("{reason}\n")));
        }
        text.push_str(&format!("{passed} passed, {failed} failed, {skipped} skipped\n"));
        text
    }
}

impl Step {
    fn line(&self) -> String {
        let outcome = match self.outcome {
            Outcome::Passed => "passed",
            Outcome::Failed(_) => "FAILED",
            Outcome::Skipped(_) => "skipped",
        };
        format!("{:<20} {outcome:<8} {:>8.1} s", self.name, self.elapsed.as_secs_f64())
    }

    /// Why the step did not pass.
    fn reason(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Passed => None,
            Outcome::Failed(reason) => Some(format!("FAILED: {}: {reason}", self.name)),
            Outcome::Skipped(reason) => Some(format!("SKIPPED: {}: {reason}", self.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_ends_with_the_count() {
        let step = |name, outcome| Step { name, outcome, elapsed: Duration::from_millis(1_500) };
        let steps = Steps {
            words: Vec::new(),
            slowest: None,
            finished: vec![
                step("format", Outcome::Passed),
                step("tests", Outcome::Failed("exit status: 100".to_owned())),
                step("advisories", Outcome::Skipped("cargo-deny is not installed".to_owned())),
            ],
        };
        assert_eq!(
            steps.summary(),
            "format               passed        1.5 s\n\
             tests                FAILED        1.5 s\n\
             advisories           skipped       1.5 s\n\
             FAILED: tests: exit status: 100\n\
             SKIPPED: advisories: cargo-deny is not installed\n\
             1 passed, 1 failed, 1 skipped\n"
        );
    }
}
