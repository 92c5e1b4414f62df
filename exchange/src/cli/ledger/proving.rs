//! `gridcross ledger prove` and `verify`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use settlement::tlog::{
    facts::Leaf,
    inclusion_proof,
    proof::{LeafProof, PROOF_BYTES_MAX},
};
use types::{Timestamp, TradeId};

use super::{Place, PrintOptions, TrustOptions, damage, read_text, write_text};
use crate::{
    cli::{books::StoreOptions, connect::instant_text},
    exit::Failure,
    output::{self, Format},
};

/// Options of `ledger prove`.
#[derive(Debug, Args)]
pub struct ProveOptions {
    /// A leaf by its index (17), a contract by its trade (trade/1), or its newest leaf (newest/1)
    #[arg(value_parser = entry)]
    entry: Entry,
    /// The exchange's directory, a copy of it, or the ledger's alone
    dir: PathBuf,
    /// Where its books are
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    trust: TrustOptions,
    /// Write the proof to this file and not to stdout
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Options of `ledger verify`.
#[derive(Debug, Args)]
pub struct VerifyOptions {
    /// The file that `ledger prove` wrote
    file: PathBuf,
    #[command(flatten)]
    trust: TrustOptions,
    #[command(flatten)]
    print: PrintOptions,
}

/// What is to be proved.
#[derive(Debug, Clone, Copy)]
enum Entry {
    Leaf(u64),
    Trade(TradeId),
    Newest(TradeId),
}

/// A proof that holds.
#[derive(Debug, Serialize)]
struct Row {
    index: u64,
    kind: &'static str,
    contract: Option<u64>,
    leaf_bytes: usize,
    size: u64,
    root: String,
    cosigned: String,
}

fn entry(text: &str) -> Result<Entry, String> {
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is no number"));
    match text.split_once('/') {
        None => number(text).map(Entry::Leaf),
        Some(("trade" | "contract", text)) => Ok(Entry::Trade(TradeId::new(number(text)?))),
        Some(("newest", text)) => Ok(Entry::Newest(TradeId::new(number(text)?))),
        Some(_) => Err("an entry is 17, trade/1 or newest/1".to_owned()),
    }
}

/// Writes a proof.
///
/// # Errors
/// Code 1 where there is no such entry under a checkpoint, 4 where the ledger is damaged.
pub(super) fn prove(options: &ProveOptions) -> Result<(), Failure> {
    let place = Place::open(&options.dir, &options.store)?;
    let trust = options.trust.trust(place.log()?)?;
    let index = find(&place, options.entry)?;
    let newest = place.checkpoint(&trust)?;
    // One that witnesses cosigned proves more, if it reaches far enough.
    let checkpoint = place.witnessed(&trust).filter(|of| of.size > index).unwrap_or(newest);
    if index >= checkpoint.size {
        let size = checkpoint.size;
        return Err(Failure::refused(format!(
            "leaf {index} is not under the checkpoint of {size}"
        )));
    }
    let mut tiles = place.tiles(checkpoint.size);
    let path = inclusion_proof(&mut tiles, index, checkpoint.size).map_err(|e| damage(&e))?;
    let bytes = tiles.leaf(index).map_err(|error| damage(&error))?;
    let proof = LeafProof { index, bytes, path, checkpoint };
    if !proof.is_included() {
        return Err(Failure::mismatch(format!("leaf {index} is not under the signed root")));
    }
    match &options.file {
        Some(file) => write_text(file, &proof.to_text()),
        None => output::print(&proof.to_text()),
    }
}

/// The index of an entry. Of a contract the database says it, if there is one.
fn find(place: &Place, entry: Entry) -> Result<u64, Failure> {
    let (trade, is_newest) = match entry {
        Entry::Leaf(index) => return Ok(index),
        Entry::Trade(trade) => (trade, false),
        Entry::Newest(trade) => (trade, true),
    };
    let books = place.books.as_ref().ok_or_else(|| {
        Failure::usage("without the exchange's database, an entry is known by its index only")
    })?;
    let leaves = books.leaves_of(trade).map_err(|error| damage(&error))?;
    let (own, newest) =
        leaves.ok_or_else(|| Failure::refused(format!("contract {trade} is not in the ledger")))?;
    Ok(if is_newest { newest } else { own })
}

/// Checks a proof file.
///
/// # Errors
/// Code 4 where it does not hold.
pub(super) fn verify(options: &VerifyOptions) -> Result<(), Failure> {
    let trust = options.trust.trust(None)?;
    let text = read_text(&options.file, PROOF_BYTES_MAX)?;
    let wrong = |error: settlement::tlog::proof::ProofError| Failure::mismatch(error.to_string());
    let proof = LeafProof::parse(&text).map_err(wrong)?;
    let cosigned = proof.verify(&trust).map_err(wrong)?;
    let leaf = Leaf::decode(&proof.bytes);
    let by = |(name, seconds): &(String, u64)| {
        let seconds = i64::try_from(*seconds).unwrap_or(i64::MAX);
        format!("{name} at {}", instant_text(Timestamp::from_seconds(seconds)))
    };
    let row = Row {
        index: proof.index,
        kind: leaf.as_ref().map_or("unknown", Leaf::kind),
        contract: leaf.as_ref().and_then(Leaf::contract).map(TradeId::get),
        leaf_bytes: proof.bytes.len(),
        size: proof.checkpoint.size,
        root: proof.checkpoint.root.to_string(),
        cosigned: cosigned.iter().map(by).collect::<Vec<_>>().join(", "),
    };
    output::print_rows(&[row], options.print.output)?;
    match (&leaf, options.print.output) {
        (Some(leaf), Format::Human) => output::print(&format!("{leaf:#?}\n")),
        (None | Some(_), _) => Ok(()),
    }
}
