//! `instructions`: how many machine instructions the engine takes for an operation of each flow, as
//! callgrind counts them. Unlike times, the counts are the same in every run of one build.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use bench::Failure;
use clap::Parser;
use replay::flow::{FlowResult, Workload, generate, run::FlowEngine};
use serde::{Deserialize, Serialize};

/// Operations of each flow after its opening.
const OPERATIONS: u32 = 200_000;
/// Commands applied at a time.
const BATCH: usize = 256;
/// Worse than the record by more than this, in percent, fails the check.
const TOLERANCE_PERCENT: f64 = 5.0;
/// The exit code of a program that missed its objective.
const MISSED: u8 = 5;

/// Counts instructions an operation of the three canonical flows under callgrind
///
/// Needs `valgrind` and a release build. Prints one JSON document.
#[derive(Debug, Parser)]
struct Options {
    /// Fail with exit code 5 if a count is more than 5 % above the recorded one
    #[arg(long, conflicts_with = "record")]
    check: bool,
    /// Write the counts into the record
    #[arg(long)]
    record: bool,
    /// Run one flow, for callgrind to count
    #[arg(long, hide = true)]
    counted: Option<u32>,
}

/// The record, and what is printed.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Counts {
    /// Instructions an operation, by flow.
    instructions_per_operation: BTreeMap<String, f64>,
}

fn main() -> Result<ExitCode, Failure> {
    let options = Options::parse();
    if let Some(number) = options.counted {
        run(number)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut counts = Counts::default();
    for number in 1..=3 {
        let count = count(number)?;
        counts.instructions_per_operation.insert(number.to_string(), count);
    }
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&counts)?)?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.toml");
    if options.record {
        let text = toml::to_string(&counts)?;
        std::fs::write(
            &path,
            format!("# cargo run --release -p bench --bin instructions -- --record\n{text}"),
        )?;
    }
    let is_worse = options.check && is_worse(&counts, &path)?;
    Ok(if is_worse { ExitCode::from(MISSED) } else { ExitCode::SUCCESS })
}

/// Compares with the record, and says what is worse.
fn is_worse(counts: &Counts, path: &PathBuf) -> Result<bool, Failure> {
    let recorded: Counts = toml::from_str(&std::fs::read_to_string(path)?)?;
    let mut is_worse = false;
    for (flow, count) in &counts.instructions_per_operation {
        let known = recorded.instructions_per_operation.get(flow);
        let known = known.ok_or_else(|| format!("{} has no flow {flow}", path.display()))?;
        #[expect(clippy::float_arithmetic, reason = "a report")]
        let most = known * (1.0 + TOLERANCE_PERCENT / 100.0);
        if *count > most {
            writeln!(
                std::io::stderr(),
                "flow {flow} takes {count} instructions an operation, more than 5 % above the \
                 {known} recorded; if that is meant, record it with --record"
            )?;
            is_worse = true;
        }
    }
    Ok(is_worse)
}

/// Runs this program again under callgrind: instructions an operation.
fn count(number: u32) -> Result<f64, Failure> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*counted_batch*"])
        .arg("--callgrind-out-file=/dev/null")
        .arg(std::env::current_exe()?)
        .args(["--counted", &number.to_string()])
        .output()
        .map_err(|error| {
            if error.kind() == ErrorKind::NotFound {
                Failure::from("valgrind is not installed; install the package `valgrind`")
            } else {
                error.into()
            }
        })?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let (_, instructions) =
        collected.ok_or_else(|| format!("callgrind counted nothing, but said: {said}"))?;
    let operations: u64 = String::from_utf8_lossy(&output.stdout).trim().parse()?;
    Ok(bench::rate::tenths(instructions.trim().parse()?, operations))
}

/// Runs a flow; how many operations were counted goes to stdout.
fn run(number: u32) -> Result<(), Failure> {
    let workload = Workload::from_number(number).ok_or("flows are numbered 1 to 3")?;
    let generated = generate(workload, OPERATIONS, workload.default_seed());
    let (opening, operations) = generated.flow.parts();
    let mut engine = FlowEngine::new(generated.flow.header());
    let mut result = FlowResult::default();
    for batch in opening.chunks(BATCH) {
        engine.apply(batch, &mut result);
    }
    for batch in operations.chunks(BATCH) {
        engine.load(batch);
        counted_batch(&mut engine);
        engine.count(&mut result);
    }
    engine.finish(&mut result);
    if result != generated.expected {
        return Err("the engine's fills differ from what the flow must give".into());
    }
    writeln!(std::io::stdout(), "{}", operations.len())?;
    Ok(())
}

/// What callgrind counts.
#[inline(never)]
fn counted_batch(engine: &mut FlowEngine) {
    engine.run();
}
