//! `gridcross doctor`: whether this machine and a data directory are fit to run an exchange, line by line,
//! with what mends it.

mod files;
mod machine;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::OutputOptions;
use crate::{config, exit::Failure, node::Layout, output, registry};

const EXAMPLES: &str = "\
Examples:
  gridcross doctor --data-dir exchange
  gridcross doctor --data-dir exchange --output json

Nothing is changed; a file to try the disk with is written into the directory and removed. Exit codes: 0 nothing
has failed, warnings aside; 1 something has.";

/// What is looked at.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The directory that `init` made
    #[arg(long)]
    data_dir: PathBuf,
    /// Another configuration than DATA_DIR/gridcross.toml
    #[arg(long)]
    config: Option<PathBuf>,
    /// How it is printed
    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    found: String,
    /// Empty where nothing is to be done.
    mend: String,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, found: found.into(), mend: String::new() }
    }

    fn warn(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warn, found: found.into(), mend: mend.into() }
    }

    fn fail(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Fail, found: found.into(), mend: mend.into() }
    }
}

/// Carries the command out.
///
/// # Errors
/// Code 1 where something has failed.
pub fn run(options: &Options) -> Result<(), Failure> {
    let findings = examine(options);
    output::print_rows(&findings, options.output.output)?;
    let failed: Vec<_> = findings.iter().filter(|one| one.verdict == Verdict::Fail).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = failed.iter().map(|one| one.check).collect();
    Err(Failure::refused(format!("not fit to run an exchange: {}", names.join(", "))))
}

fn examine(options: &Options) -> Vec<Finding> {
    let layout = Layout::new(&options.data_dir);
    let mut findings = vec![machine::descriptors(), machine::clock()];
    let path = options.config.clone().unwrap_or_else(|| layout.root().join(config::FILE_NAME));
    let config = match config::store::load_for_books(&path, None) {
        Ok(config) => {
            findings.push(Finding::ok("configuration", path.display().to_string()));
            config
        }
        Err(error) => {
            let found = Failure::config(error).message().to_owned();
            let mend = "`gridcross init DIR` writes one that can be read";
            findings.push(Finding::fail("configuration", found, mend));
            return findings;
        }
    };
    let registry = layout.root().join(registry::FILE_NAME);
    findings.push(match registry::Registry::load(&registry) {
        Ok(known) => {
            let (parties, meters) = (known.parties.len(), known.meters.len());
            Finding::ok("registry", format!("{parties} parties, {meters} meters"))
        }
        Err(error) => {
            Finding::fail("registry", Failure::config(error).message(), "mend the line it names")
        }
    });
    findings.push(files::keys(&layout.keys()));
    findings.extend(files::certificates(&layout.keys()));
    findings.push(files::journal_clock(&layout, &config));
    findings.push(machine::sync(layout.root()));
    findings.push(machine::space(layout.root(), &config));
    let is_running = files::is_running(&layout);
    findings.extend(machine::ports(&config, is_running));
    findings
}
