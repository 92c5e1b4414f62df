//! A log that is read by somebody who believes nothing: rebuilt from its leaves, tampered with,
//! compared with the books.

use std::{fs, path::Path};

use ed25519_dalek::SigningKey;

use super::fixture::{Desk, Feed, file, later, settings};
use crate::{
    Books, Pipeline,
    tlog::{
        note::{self, VerifierKey},
        rebuild::Rebuilt,
        tiles::TileDirectory,
        walk::{Walked, walk},
    },
};

fn log_key() -> VerifierKey {
    let key = SigningKey::from_bytes(&settings().ledger_key_seed).verifying_key();
    VerifierKey::of_log("test.example/ledger", key)
}

/// A day with a correction, deposits, and contracts that wait.
fn day() -> Desk {
    let mut feed = Feed::new();
    for number in 0..300 {
        feed.trade(number % 3, (1 + number % 2, 7), 10, 5_000_000);
    }
    let mut desk = Desk::new();
    desk.deposit_all(400);
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    desk.pipeline.checkpoint().unwrap();
    desk.taken(&file(1, 0, &[(1, 700, 0), (2, 300, 0)]));
    desk.taken(&file(1, 0, &[(7, 0, 1_500)]));
    desk.pipeline.verify(later()).unwrap();
    desk.pipeline.checkpoint().unwrap();
    desk.taken(&file(2, 0, &[(1, 900, 0)]));
    desk.taken(&file(1, 1, &[(1, 400, 0), (2, 900, 0)]));
    desk.taken(&file(1, 1, &[(7, 0, 1_000)]));
    desk.pipeline.verify(later()).unwrap();
    desk.pipeline.checkpoint().unwrap();
    desk
}

/// Everything an auditor does with a directory.
fn audit(ledger: &Path, books: Option<&Books>) -> Result<(Walked, Rebuilt), String> {
    let text = fs::read_to_string(ledger.join("checkpoint")).map_err(|error| error.to_string())?;
    let signed = note::open_by(&log_key(), &text).map_err(|error| error.to_string())?;
    let sizes = books.map_or_else(Vec::new, |books| books.checkpoint_sizes().unwrap());
    let mut rebuilt = Rebuilt::default();
    let mut files = TileDirectory::new(ledger, signed.size);
    let walked = walk(&mut files, (signed.size, &signed.root), &sizes, |index, bytes| {
        rebuilt.apply(index, bytes)
    })
    .map_err(|error| error.to_string())?;
    rebuilt.finish()?;
    if let Some(books) = books {
        for (bytes, index) in books.unsigned(signed.size).unwrap().iter().zip(signed.size..) {
            rebuilt.apply(index, bytes)?;
        }
        rebuilt.finish()?;
        if let Some(text) = books.first_difference(&log_key(), &walked, &rebuilt).unwrap() {
            return Err(text);
        }
    }
    Ok((walked, rebuilt))
}

fn books(desk: &Desk) -> Books {
    Books::open(&desk.folder.path().join("settlement.db")).unwrap()
}

#[test]
fn balances_and_outcomes_are_rebuilt_from_leaves() {
    let desk = day();
    let ledger = desk.folder.path().join("ledger");
    let (walked, rebuilt) = audit(&ledger, Some(&books(&desk))).unwrap();
    assert_eq!(walked.roots.len(), 3, "every checkpoint");
    assert_eq!(walked.frontier.root(), desk.pipeline.ledger_head().1);
    assert_eq!(rebuilt.counts.contracts, 300);
    assert!(rebuilt.counts.outcomes > 200, "{:?}", rebuilt.counts);
    assert_eq!(rebuilt.counts.documents, 5);
    let stored = desk.pipeline.balances().unwrap();
    for (account, minor) in stored {
        let by_leaves = rebuilt.balances.get(&account.number()).copied().unwrap_or(0);
        assert_eq!(by_leaves, minor, "{account}");
    }
}

#[test]
fn leaves_that_are_not_signed_yet_count_beside_the_books() {
    let mut desk = day();
    desk.pipeline.deposit(77, types::MeterId::new(3), types::Money::from_minor(5)).unwrap();
    let ledger = desk.folder.path().join("ledger");
    let books = books(&desk);
    audit(&ledger, Some(&books)).unwrap();
}

#[test]
fn books_that_say_something_else_are_found() {
    for (change, said) in [
        ("UPDATE accounts SET balance = balance + 1 WHERE account % 256 = 1", "account meter/"),
        ("UPDATE contracts SET settled = settled + 1 WHERE trade = 9", "contract 9"),
        ("UPDATE contracts SET state = 1 WHERE trade = 300", "contract 300"),
        ("DELETE FROM contracts WHERE trade = 5", "299 contracts"),
        (
            "UPDATE checkpoints SET root = zeroblob(32) WHERE size = (SELECT min(size) FROM checkpoints)",
            "checkpoint of",
        ),
        ("UPDATE checkpoints SET note = replace(note, 'test', 'best')", "checkpoint of"),
    ] {
        let desk = day();
        desk.pipeline.connection().execute(change, []).unwrap();
        let ledger = desk.folder.path().join("ledger");
        let error = audit(&ledger, Some(&books(&desk))).unwrap_err();
        assert!(error.contains(said), "{change}: {error}");
    }
}

/// Signs a log of these leaves, whatever they say.
fn signed_log(folder: &Path, leaves: &[Vec<u8>]) {
    let mut tiles = TileDirectory::new(folder, 0);
    let size = tiles.write(0, leaves.iter().map(Vec::as_slice)).unwrap();
    let root = crate::tlog::root_of(&mut tiles, size).unwrap();
    let key = SigningKey::from_bytes(&settings().ledger_key_seed);
    tiles.write_checkpoint(&note::sign("test.example/ledger", &key, size, root).note).unwrap();
}

fn leaves(pipeline: &Pipeline) -> Vec<Vec<u8>> {
    let size = pipeline.ledger_head().0;
    crate::store::ledger::leaves(pipeline.connection(), 0, size).unwrap()
}

/// An exchange that signs what it should not have written: a leaf left out, or repeated.
#[test]
fn a_signed_lie_is_found() {
    let honest = leaves(&day().pipeline);
    let folder = tempfile::tempdir().unwrap();
    signed_log(folder.path(), &honest);
    audit(folder.path(), None).unwrap();
    let rebuilt = |leaves: &[Vec<u8>]| {
        let mut rebuilt = Rebuilt::default();
        for (bytes, at) in leaves.iter().zip(0_u64..) {
            rebuilt.apply(at, bytes)?;
        }
        rebuilt.finish().map(|()| rebuilt)
    };
    let truth = rebuilt(&honest).unwrap();
    for (kind, place) in [(1, 0), (2, 0), (32, 1)] {
        let mut found = honest.iter().enumerate().filter(|(_, leaf)| leaf[0] == kind);
        let (index, _) = found.nth(place).unwrap();
        let mut dropped = honest.clone();
        dropped.remove(index);
        let mut doubled = honest.clone();
        doubled.insert(index, honest[index].clone());
        for (what, lie) in [("dropped", dropped), ("doubled", doubled)] {
            let told = rebuilt(&lie);
            let differs = told.as_ref().is_ok_and(|told| told.balances != truth.balances);
            assert!(told.is_err() || differs, "kind {kind} {what}");
        }
    }
}
