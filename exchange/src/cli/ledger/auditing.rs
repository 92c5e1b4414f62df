//! `gridcross ledger audit`.

use std::{error::Error, path::Path};

use clap::Args;
use serde::Serialize;
use settlement::tlog::{
    note::Checkpoint,
    rebuild::Rebuilt,
    trust::TrustPolicy,
    walk::{LogFiles, WalkError, Walked, walk},
};

use super::{
    Place, PrintOptions, TrustOptions, damage,
    files::{Remote, is_url},
    signed_by_log,
};
use crate::{
    cli::books::StoreOptions,
    exit::{Failure, Kind},
    output,
};

/// Options of `ledger audit`.
#[derive(Debug, Args)]
pub struct AuditOptions {
    /// The exchange's directory, a copy of it, the ledger's alone, or a URL where the ledger's files are
    place: String,
    /// Where its books are
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    trust: TrustOptions,
    #[command(flatten)]
    print: PrintOptions,
}

/// What was read, and found right.
#[derive(Debug, Serialize)]
struct Row {
    leaves: u64,
    root: String,
    files: u64,
    checkpoints: usize,
    contracts: u64,
    amendments: u64,
    outcomes: u64,
    defaults: u64,
    documents: u64,
    transfers: u64,
    accounts: usize,
    unsigned_leaves: usize,
    books_compared: bool,
}

/// Audits a ledger.
///
/// # Errors
/// Code 4 with the first leaf at which something does not hold, 6 where a URL does not answer.
pub(super) fn audit(options: &AuditOptions) -> Result<(), Failure> {
    if is_url(&options.place) {
        let trust = options.trust.trust(None)?;
        let mut files = Remote::new(&options.place);
        let text =
            files.read("checkpoint").map_err(|error| Failure::unreachable(error.to_string()))?;
        let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.ok_or_else(|| Failure::mismatch("there is no checkpoint"))?;
        let checkpoint = checked(&trust, &text)?;
        let (walked, rebuilt) = read(&mut files, &checkpoint, &[])?;
        return print(options, &walked, (&rebuilt, 0), false);
    }
    let place = Place::open(Path::new(&options.place), &options.store)?;
    let trust = options.trust.trust(place.log()?)?;
    let newest = place.checkpoint(&trust)?;
    let checkpoint = checked(&trust, &newest.note)?;
    let Some(books) = &place.books else {
        let (walked, rebuilt) = read(&mut place.tiles(checkpoint.size), &checkpoint, &[])?;
        return print(options, &walked, (&rebuilt, 0), false);
    };
    let sizes = books.checkpoint_sizes().map_err(|error| damage(&error))?;
    let (walked, mut rebuilt) = read(&mut place.tiles(checkpoint.size), &checkpoint, &sizes)?;
    let unsigned = books.unsigned(checkpoint.size).map_err(|error| damage(&error))?;
    for (bytes, index) in unsigned.iter().zip(checkpoint.size..) {
        let wrong = |what: String| Failure::mismatch(format!("at leaf {index}: {what}"));
        rebuilt.apply(index, bytes).map_err(wrong)?;
    }
    rebuilt.finish().map_err(Failure::mismatch)?;
    for log in trust.logs() {
        let different = books.first_difference(log, &walked, &rebuilt);
        if let Some(what) = different.map_err(|error| damage(&error))? {
            return Err(Failure::mismatch(what));
        }
    }
    print(options, &walked, (&rebuilt, unsigned.len()), true)
}

/// A checkpoint of the log, with the witnesses that the policy asks for.
fn checked(trust: &TrustPolicy, text: &str) -> Result<Checkpoint, Failure> {
    trust.check(text).map_err(|error| Failure::mismatch(error.to_string()))?;
    signed_by_log(trust, text)
}

fn read<F: LogFiles<Error: Error + 'static>>(
    files: &mut F,
    checkpoint: &Checkpoint,
    sizes: &[u64],
) -> Result<(Walked, Rebuilt), Failure> {
    let mut rebuilt = Rebuilt::default();
    let head = (checkpoint.size, &checkpoint.root);
    let walked = walk(files, head, sizes, |index, bytes| rebuilt.apply(index, bytes));
    let walked = walked.map_err(|error| match &error {
        WalkError::Mismatch { .. } => Failure::mismatch(error.to_string()),
        WalkError::Files(_) => Failure::new(Kind::Runtime, &error),
    })?;
    rebuilt.finish().map_err(Failure::mismatch)?;
    Ok((walked, rebuilt))
}

fn print(
    options: &AuditOptions,
    walked: &Walked,
    (rebuilt, unsigned_leaves): (&Rebuilt, usize),
    books_compared: bool,
) -> Result<(), Failure> {
    let counts = rebuilt.counts;
    let row = Row {
        leaves: walked.frontier.size(),
        root: walked.frontier.root().to_string(),
        files: walked.files,
        checkpoints: walked.roots.len().max(1),
        contracts: counts.contracts,
        amendments: counts.amendments,
        outcomes: counts.outcomes,
        defaults: counts.defaults,
        documents: counts.documents,
        transfers: counts.transfers,
        accounts: rebuilt.balances.len(),
        unsigned_leaves,
        books_compared,
    };
    output::print_rows(&[row], options.print.output)
}
