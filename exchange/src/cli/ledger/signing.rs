//! `gridcross ledger checkpoint` and `consistency`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use settlement::tlog::{
    consistency::{consistency_proof, verify_consistency},
    note::{Checkpoint, NOTE_BYTES_MAX, Note, SignatureLine, decimal},
    trust::{TrustPolicy, Witness},
    witness::Request,
};

use super::{
    Place, PrintOptions, TrustOptions, WITNESSED, damage, files, read_text, signed_by_log,
    write_text,
};
use crate::{
    cli::books::StoreOptions,
    exit::Failure,
    output::{self, Format},
};

/// Options of `ledger checkpoint`.
#[derive(Debug, Args)]
pub struct CheckpointOptions {
    /// The exchange's directory, a copy of it, or the ledger's alone
    dir: PathBuf,
    /// Where its books are
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    trust: TrustOptions,
    #[command(flatten)]
    print: PrintOptions,
}

/// Options of `ledger consistency`.
#[derive(Debug, Args)]
pub struct ConsistencyOptions {
    /// File with the earlier checkpoint
    earlier: PathBuf,
    /// File with the later checkpoint
    later: PathBuf,
    /// Where the ledger's tiles are
    dir: PathBuf,
    /// Where its books are
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    trust: TrustOptions,
    #[command(flatten)]
    print: PrintOptions,
}

#[derive(Debug, Serialize)]
struct Row {
    origin: String,
    size: u64,
    root: String,
    key: String,
    cosigned_by: String,
}

#[derive(Debug, Serialize)]
struct ConsistencyRow {
    from: u64,
    to: u64,
    hashes: usize,
    consistent: bool,
}

/// Shows the newest checkpoint, and has it cosigned.
///
/// # Errors
/// Code 4 where it is not signed by the log or its witnesses refuse, 6 where these do not answer.
pub(super) fn checkpoint(options: &CheckpointOptions) -> Result<(), Failure> {
    let place = Place::open(&options.dir, &options.store)?;
    let trust = options.trust.trust(place.log()?)?;
    let mut newest = place.checkpoint(&trust)?;
    let mut cosigned = Vec::new();
    if options.trust.policy.is_some() {
        newest = gather(&place, &trust, newest)?;
        let by = trust.check(&newest.note).map_err(|error| Failure::mismatch(error.to_string()))?;
        cosigned = by.into_iter().map(|(name, _)| name).collect();
        write_whole(&place, &newest)?;
    }
    let signed = |log: &&settlement::tlog::note::VerifierKey| {
        settlement::tlog::note::open_by(log, &newest.note).is_ok()
    };
    let log = trust.logs().find(signed).ok_or_else(|| Failure::mismatch("no log signed it"))?;
    let row = Row {
        origin: log.name.clone(),
        size: newest.size,
        root: newest.root.to_string(),
        key: log.to_string(),
        cosigned_by: cosigned.join(", "),
    };
    output::print_rows(&[row], options.print.output)?;
    if options.print.output == Format::Human { output::print(&newest.note) } else { Ok(()) }
}

/// A reader finds the file whole, before or after.
fn write_whole(place: &Place, checkpoint: &Checkpoint) -> Result<(), Failure> {
    let path = place.ledger.join(WITNESSED);
    let temporary = place.ledger.join(format!(".{WITNESSED}"));
    write_text(&temporary, &checkpoint.note)?;
    std::fs::rename(&temporary, &path)
        .map_err(|error| Failure::refused(format!("cannot write `{}`: {error}", path.display())))
}

/// Asks every witness of the policy that has a URL, and adds what they sign. Who refuses or is away is
/// told on stderr: whether enough signed is for the policy to say.
fn gather(
    place: &Place,
    trust: &TrustPolicy,
    checkpoint: Checkpoint,
) -> Result<Checkpoint, Failure> {
    let mut note = checkpoint.note.clone();
    for witness in trust.witnesses() {
        let Some(url) = &witness.url else { continue };
        match cosignature(place, &checkpoint, witness, url) {
            Ok(line) => {
                note.push_str(&line);
                note.push('\n');
            }
            Err(failure) => tracing::warn!("witness {}: {}", witness.name, failure.message()),
        }
    }
    Ok(Checkpoint { note, ..checkpoint })
}

/// A witness' signature line. Where it stands it says itself, when it is first told wrongly.
fn cosignature(
    place: &Place,
    checkpoint: &Checkpoint,
    witness: &Witness,
    url: &str,
) -> Result<String, Failure> {
    let mut old = 0;
    for _ in 0..2 {
        let mut tiles = place.tiles(checkpoint.size);
        let proof = consistency_proof(&mut tiles, old, checkpoint.size).map_err(|e| damage(&e))?;
        let answer = files::add_checkpoint(url, &Request::text(old, &proof, &checkpoint.note))?;
        match answer.status {
            200 => return of_witness(checkpoint, witness, &answer.text),
            409 => {
                let size = decimal(answer.text.trim_end());
                old = size.filter(|&size| size <= checkpoint.size).ok_or_else(|| {
                    Failure::mismatch(format!("it has seen more of the log: {}", answer.text))
                })?;
            }
            status => {
                return Err(Failure::mismatch(format!("it refuses ({status}): {}", answer.text)));
            }
        }
    }
    Err(Failure::mismatch("it refuses: the log is another than the one it has seen"))
}

/// The line that is by the witness and over this checkpoint.
fn of_witness(checkpoint: &Checkpoint, witness: &Witness, text: &str) -> Result<String, Failure> {
    let note = Note::parse(&checkpoint.note).map_err(|e| Failure::mismatch(e.to_string()))?;
    let lines = text.lines().filter_map(SignatureLine::parse);
    let mut own = lines.filter(|line| matches!(witness.key.verify(note.text, line), Ok(Some(_))));
    own.next()
        .map(|line| line.line.to_owned())
        .ok_or_else(|| Failure::mismatch("its cosignature does not verify"))
}

/// Checks that a log grew from one checkpoint to another.
///
/// # Errors
/// Code 4 where it did not.
pub(super) fn consistency(options: &ConsistencyOptions) -> Result<(), Failure> {
    let place = Place::open(&options.dir, &options.store)?;
    let trust = options.trust.trust(place.log()?)?;
    let open = |path: &PathBuf| signed_by_log(&trust, &read_text(path, NOTE_BYTES_MAX)?);
    let (earlier, later) = (open(&options.earlier)?, open(&options.later)?);
    if earlier.size > later.size {
        return Err(Failure::mismatch(format!(
            "the later checkpoint has {} leaves, fewer than the {} of the earlier",
            later.size, earlier.size
        )));
    }
    let mut tiles = place.tiles(later.size);
    let proof =
        consistency_proof(&mut tiles, earlier.size, later.size).map_err(|error| damage(&error))?;
    let (one, other) = ((earlier.size, &earlier.root), (later.size, &later.root));
    if !verify_consistency(one, other, &proof) {
        return Err(Failure::mismatch(format!(
            "the tree of {} leaves does not begin with the tree of {}: the log is forked, or its \
             tiles are damaged (`ledger audit`)",
            later.size, earlier.size
        )));
    }
    let (from, to, hashes) = (earlier.size, later.size, proof.len());
    let row = ConsistencyRow { from, to, hashes, consistent: true };
    output::print_rows(&[row], options.print.output)
}
