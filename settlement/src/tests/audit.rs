//! A log that is read by somebody who believes nothing: rebuilt from its leaves, tampered with,
//! compared with the books.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use ed25519_dalek::SigningKey;

use super::{
    fixture::{Desk, Feed, file, later, settings},
    server::{is_of_files, store},
};
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
pub(super) fn audit(ledger: &Path, books: Option<&Books>) -> Result<(Walked, Rebuilt), String> {
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
    Books::open(store(&desk.folder.path().join("settlement.db"))).unwrap()
}

/// Every file below a folder, by its path there.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(
                    path.strip_prefix(folder).unwrap().to_owned(),
                    fs::read(&path).unwrap(),
                );
            }
        }
    }
    found
}

fn lay_out(folder: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) {
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn copy_of_database(desk: &Desk, name: &str) -> Vec<u8> {
    let path = desk.folder.path().join(name);
    desk.pipeline.connection().execute("VACUUM INTO ?1", [path.to_str().unwrap()]).unwrap();
    fs::read(path).unwrap()
}

/// A checkpoint writes tiles one by one, then its row, then its file. Wherever it stops, what is
/// published holds, and the next start signs what this one would have.
#[test]
fn a_restart_at_any_point_of_a_checkpoint_gives_a_consistent_one() {
    if !is_of_files() {
        return; // It copies the file.
    }
    let mut desk = day();
    let ledger = desk.folder.path().join("ledger");
    // Across the end of a tile.
    let more = |number| (number, types::MeterId::new(3), types::Money::from_minor(1));
    desk.pipeline.deposits(&(1_000..1_420).map(more).collect::<Vec<_>>()).unwrap();
    let (before, database_before) = (files(&ledger), copy_of_database(&desk, "before.db"));
    let expected = desk.pipeline.checkpoint().unwrap();
    let (after, database_after) = (files(&ledger), copy_of_database(&desk, "after.db"));
    let checkpoint = PathBuf::from("checkpoint");
    let is_new = |(name, bytes): &(&PathBuf, &Vec<u8>)| {
        **name != checkpoint && before.get(*name) != Some(*bytes)
    };
    let written: Vec<_> = after.iter().filter(is_new).collect();
    let names: Vec<_> = written.iter().map(|(name, _)| name).collect();
    assert!(names.len() >= 4, "{names:?}");
    let mut narrower_removed = after.clone();
    narrower_removed.insert(checkpoint.clone(), before[&checkpoint].clone());
    let mut stages = vec![
        (narrower_removed.clone(), &database_before),
        (narrower_removed, &database_after),
        (after.clone(), &database_after),
    ];
    for count in 0..=written.len() {
        let mut stage = before.clone();
        stage.extend(
            written[..count].iter().map(|(name, bytes)| ((*name).clone(), (*bytes).clone())),
        );
        stages.push((stage, &database_before));
    }
    for (number, (stage, database)) in stages.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let (place, db) = (folder.path().join("ledger"), folder.path().join("settlement.db"));
        lay_out(&place, &stage);
        fs::write(&db, database).unwrap();
        audit(&place, None).unwrap_or_else(|error| panic!("stage {number}, as found: {error}"));
        let mut pipeline = Pipeline::open(store(&db), &place, settings()).unwrap();
        audit(&place, None).unwrap_or_else(|error| panic!("stage {number}, opened: {error}"));
        assert_eq!(pipeline.checkpoint().unwrap(), expected, "stage {number}");
        audit(&place, None).unwrap_or_else(|error| panic!("stage {number}, signed: {error}"));
    }
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
            "UPDATE checkpoints SET root = frontier WHERE size = (SELECT min(size) FROM checkpoints)",
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

/// A law: the leaves of any history say what its books say.
pub(super) fn check_leaves(pipeline: &Pipeline) {
    let mut rebuilt = Rebuilt::default();
    for (bytes, index) in leaves(pipeline).iter().zip(0..) {
        rebuilt.apply(index, bytes).unwrap_or_else(|error| panic!("leaf {index}: {error}"));
    }
    rebuilt.finish().unwrap();
    for (account, minor) in pipeline.balances().unwrap() {
        let by_leaves = rebuilt.balances.remove(&account.number()).unwrap_or(0);
        assert_eq!(by_leaves, minor, "{account}");
    }
    assert!(rebuilt.balances.values().all(|minor| *minor == 0), "{:?}", rebuilt.balances);
    for (id, standing) in rebuilt.contracts {
        let (state, version) = pipeline.standing(id).unwrap().unwrap();
        assert_eq!((standing.state, standing.version), (state, version), "contract {id}");
        assert_eq!(pipeline.leaves_of(id).unwrap(), Some((standing.leaf, standing.newest)));
        assert_eq!(pipeline.enforcement_level(id).unwrap(), standing.level(), "contract {id}");
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

pub(super) fn leaves(pipeline: &Pipeline) -> Vec<Vec<u8>> {
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
