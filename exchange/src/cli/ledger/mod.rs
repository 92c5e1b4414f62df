//! `gridcross ledger`: a ledger that nobody has to believe. Proofs, checkpoints, witnesses, audits.

mod auditing;
mod files;
mod proving;
mod serving;
mod signing;

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use settlement::{
    Books, SettlementError,
    tlog::{
        note::{Checkpoint, VerifierKey, open_by},
        tiles::TileDirectory,
        trust::{POLICY_BYTES_MAX, TrustPolicy},
    },
};

use super::books::StoreOptions;
use crate::{
    exit::{Failure, Kind},
    node::Layout,
    output::Format,
};

const EXAMPLES: &str = "\
Examples:
  gridcross ledger checkpoint day                       the newest signed head, and the log's key
  gridcross ledger prove trade/1 day --file one.tlog-proof
  gridcross ledger verify one.tlog-proof --log 'gridcross.local/ledger+1a2b3c4d+AQ…'
  gridcross ledger verify one.tlog-proof --policy trust.txt     with a quorum of witnesses
  gridcross ledger consistency monday.txt tuesday.txt day       the second begins with the first
  gridcross ledger audit day                            every leaf, tile, balance and outcome
  gridcross ledger audit https://ledger.example/ --log 'NAME+ID+KEY'
  gridcross ledger witness state --key w.key --name w.example --log 'NAME+ID+KEY'
  gridcross ledger checkpoint day --policy trust.txt    asks the witnesses of the policy to cosign

A policy names logs, witnesses and a quorum (C2SP tlog-policy):
  log gridcross.local/ledger+1a2b3c4d+AQ…
  witness utility w1.example+5e6f7a8b+BA… http://127.0.0.1:7410
  witness regulator w2.example+9c0d1e2f+BA…
  group both all utility regulator
  quorum both";

/// The file with the newest checkpoint that enough witnesses cosigned.
const WITNESSED: &str = "checkpoint.witnessed";

/// What can be done with a ledger.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Show the newest checkpoint; with a policy, have its witnesses cosign it first
    Checkpoint(signing::CheckpointOptions),
    /// Write a proof that an entry is in the ledger, as a file that needs nothing else
    Prove(proving::ProveOptions),
    /// Check a proof file, with nothing but the file and the keys one trusts
    Verify(proving::VerifyOptions),
    /// Check that one checkpoint grew out of another
    Consistency(signing::ConsistencyOptions),
    /// Read a whole ledger, check every hash, and rebuild every balance and outcome from its leaves
    Audit(auditing::AuditOptions),
    /// Run a witness: cosigns checkpoints of logs that only grow
    Witness(serving::WitnessOptions),
}

/// Whom the user trusts.
#[derive(Debug, Args)]
struct TrustOptions {
    /// The log's public key, NAME+ID+KEY (`ledger checkpoint` of the exchange prints it)
    #[arg(long, value_name = "KEY", value_parser = verifier_key)]
    log: Option<VerifierKey>,
    /// Logs, witnesses and quorum, as C2SP tlog-policy
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// How it is printed.
#[derive(Debug, Args)]
struct PrintOptions {
    /// How it is printed
    #[arg(long, value_enum, default_value = "human")]
    output: Format,
}

impl TrustOptions {
    /// The policy, or only the log, or the log of a directory.
    fn trust(&self, of_directory: Option<VerifierKey>) -> Result<TrustPolicy, Failure> {
        let from_file = self.policy.as_deref().map(read_policy).transpose()?;
        let log = self.log.clone().or(of_directory);
        match (from_file, log) {
            (Some(policy), Some(log)) if policy.logs().next().is_none() => Ok(policy.and_log(log)),
            (Some(policy), _) => match &self.log {
                Some(log) if !policy.logs().any(|known| known == log) => {
                    Err(Failure::usage("the policy names other logs than --log"))
                }
                Some(_) | None => Ok(policy),
            },
            (None, Some(log)) => Ok(TrustPolicy::of_log(log)),
            (None, None) => Err(Failure::usage("--log or --policy says whose log it is")),
        }
    }
}

/// Carries the command out.
///
/// # Errors
/// Code 2 for a wrong command line, 3 for keys and policies, 4 where something does not hold, 6 where
/// nobody answers.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Checkpoint(options) => signing::checkpoint(options),
        Command::Prove(options) => proving::prove(options),
        Command::Verify(options) => proving::verify(options),
        Command::Consistency(options) => signing::consistency(options),
        Command::Audit(options) => auditing::audit(options),
        Command::Witness(options) => serving::run(options),
    }
}

/// A ledger's directory, alone or in a data directory.
struct Place {
    ledger: PathBuf,
    books: Option<Books>,
}

impl Place {
    /// `dir` is a data directory if there is a ledger in it.
    fn open(dir: &Path, store: &StoreOptions) -> Result<Self, Failure> {
        if !dir.is_dir() {
            let text = format!("there is no directory `{}`", dir.display());
            return Err(Failure::usage(text));
        }
        let layout = Layout::new(dir);
        if !layout.ledger().is_dir() {
            return Ok(Self { ledger: dir.to_owned(), books: None });
        }
        let store = store.of_copy(&layout)?;
        let books = if store.file().is_none_or(Path::exists) {
            Some(Books::open(store).map_err(|error| damage(&error))?)
        } else {
            None
        };
        Ok(Self { ledger: layout.ledger(), books })
    }

    fn log(&self) -> Result<Option<VerifierKey>, Failure> {
        self.books.as_ref().map(Books::log).transpose().map_err(|error| damage(&error))
    }

    fn tiles(&self, size: u64) -> TileDirectory {
        TileDirectory::new(&self.ledger, size)
    }

    /// The newest checkpoint, signed by one of the logs. Its witnesses are not asked for.
    fn checkpoint(&self, trust: &TrustPolicy) -> Result<Checkpoint, Failure> {
        let text = self.tiles(0).read_checkpoint().map_err(|error| damage(&error))?;
        let ledger = self.ledger.display();
        let text =
            text.ok_or_else(|| Failure::refused(format!("there is no checkpoint in `{ledger}`")))?;
        signed_by_log(trust, &text)
    }

    /// The newest checkpoint that has its cosignatures with it, if there is one.
    fn witnessed(&self, trust: &TrustPolicy) -> Option<Checkpoint> {
        let text = fs::read_to_string(self.ledger.join(WITNESSED)).ok()?;
        trust.check(&text).ok()?;
        signed_by_log(trust, &text).ok()
    }
}

/// A checkpoint with its log's signature checked.
fn signed_by_log(trust: &TrustPolicy, text: &str) -> Result<Checkpoint, Failure> {
    let mut last = None;
    for log in trust.logs() {
        match open_by(log, text) {
            Ok(checkpoint) => return Ok(checkpoint),
            Err(error) => last = Some(error),
        }
    }
    let error = last.map_or_else(|| "no log is trusted".to_owned(), |error| error.to_string());
    Err(Failure::mismatch(error))
}

fn verifier_key(text: &str) -> Result<VerifierKey, String> {
    VerifierKey::parse(text).map_err(|error| error.to_string())
}

fn read_policy(path: &Path) -> Result<TrustPolicy, Failure> {
    let text = read_text(path, POLICY_BYTES_MAX)?;
    TrustPolicy::parse(&text).map_err(Failure::config)
}

/// A file of at most so many bytes.
fn read_text(path: &Path, bytes_max: usize) -> Result<String, Failure> {
    use std::io::Read as _;
    let cannot = |what: &dyn std::fmt::Display| {
        Failure::usage(format!("cannot read `{}`: {what}", path.display()))
    };
    let most = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| cannot(&error))?;
    file.take(most).read_to_end(&mut bytes).map_err(|error| cannot(&error))?;
    if bytes.len() > bytes_max {
        return Err(Failure::mismatch(format!("`{}` is too long", path.display())));
    }
    String::from_utf8(bytes)
        .map_err(|_| Failure::mismatch(format!("`{}` is not text", path.display())))
}

fn write_text(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text)
        .map_err(|error| Failure::refused(format!("cannot write `{}`: {error}", path.display())))
}

/// A ledger or database that cannot be read, or is not what it says.
fn damage(error: &SettlementError) -> Failure {
    let is_mismatch = matches!(
        error,
        SettlementError::Damaged(_)
            | SettlementError::RolledBack { .. }
            | SettlementError::NoSuchLeaf { .. }
    );
    if is_mismatch { Failure::new(Kind::Mismatch, error) } else { Failure::settlement(error) }
}
