//! Ten thousand seeded mutations of a log's files, its proofs and requests to a witness: each is found.

use std::{collections::BTreeMap, convert::Infallible, fs, path::Path};

use ed25519_dalek::SigningKey;

use crate::tlog::{
    consistency::consistency_proof,
    inclusion_proof,
    note::{self, Checkpoint, Note, VerifierKey},
    proof::LeafProof,
    root_of,
    tiles::TileDirectory,
    trust::TrustPolicy,
    walk::{LogFiles, walk},
    witness::{Cosigned, Request},
};

/// Of each of the three kinds.
const MUTATIONS: usize = 3_400;

const ORIGIN: &str = "tamper.example/log";
const SIZE: u64 = 600;

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn log_key() -> VerifierKey {
    VerifierKey::of_log(ORIGIN, key(1).verifying_key())
}

/// A log in memory.
#[derive(Clone, Default)]
struct Files(BTreeMap<String, Vec<u8>>);

impl LogFiles for Files {
    type Error = Infallible;

    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.get(path).cloned())
    }
}

fn collect(root: &Path, folder: &Path, into: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, into);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            into.0.insert(name, fs::read(&path).unwrap());
        }
    }
}

/// A log of leaves of different lengths, cosigned by a witness.
struct Log {
    folder: tempfile::TempDir,
    checkpoint: Checkpoint,
    trust: TrustPolicy,
}

impl Log {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let leaves: Vec<Vec<u8>> = (0..SIZE)
            .map(|n| [&n.to_le_bytes()[..], &vec![7; usize::try_from(n % 50).unwrap()]].concat())
            .collect();
        let mut tiles = TileDirectory::new(folder.path(), 0);
        tiles.write(0, leaves.iter().map(Vec::as_slice)).unwrap();
        let root = root_of(&mut tiles, SIZE).unwrap();
        let mut checkpoint = note::sign(ORIGIN, &key(1), SIZE, root);
        let text = Note::parse(&checkpoint.note).unwrap().text.to_owned();
        checkpoint.note += &note::cosign("w.example", &key(2), 1_700_000_000, &text);
        tiles.write_checkpoint(&checkpoint.note).unwrap();
        let witness = VerifierKey::of_witness("w.example", key(2).verifying_key());
        let policy = format!("log {}\nwitness w {witness}\nquorum w\n", log_key());
        Self { folder, checkpoint, trust: TrustPolicy::parse(&policy).unwrap() }
    }

    fn tiles(&self) -> TileDirectory {
        TileDirectory::new(self.folder.path(), SIZE)
    }

    fn proof(&self, index: u64) -> String {
        let mut tiles = self.tiles();
        let path = inclusion_proof(&mut tiles, index, SIZE).unwrap();
        let bytes = tiles.leaf(index).unwrap();
        LeafProof { index, bytes, path, checkpoint: self.checkpoint.clone() }.to_text()
    }

    /// Whether somebody who trusts log and witness takes these files.
    fn takes(&self, files: &mut Files) -> bool {
        let text =
            files.0.get("checkpoint").and_then(|bytes| String::from_utf8(bytes.clone()).ok());
        let Some(text) = text.filter(|text| self.trust.check(text).is_ok()) else { return false };
        let Ok(checkpoint) = note::open_by(&log_key(), &text) else { return false };
        walk(files, (checkpoint.size, &checkpoint.root), &[], |_, _| Ok(())).is_ok()
    }
}

/// Numbers of splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let bound = u64::try_from(bound).unwrap();
        usize::try_from((mixed ^ (mixed >> 31)) % bound).unwrap()
    }

    /// Other bytes: a bit flipped, bytes left out, put in, repeated or swapped.
    fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        loop {
            let mut other = bytes.to_vec();
            let at = self.below(bytes.len());
            match self.below(6) {
                0 | 1 => other[at] ^= 1 << self.below(8),
                2 => other.truncate(at),
                3 => drop(other.remove(at)),
                4 => other.insert(at, u8::try_from(self.below(256)).unwrap()),
                _ => {
                    let to = self.below(bytes.len());
                    other.swap(at, to);
                }
            }
            if other != bytes {
                return other;
            }
        }
    }
}

#[test]
fn every_mutation_of_a_proof_is_found() {
    let log = Log::new();
    let mut dice = Dice(1);
    let trusted = |text: &str| LeafProof::parse(text).is_ok_and(|p| p.verify(&log.trust).is_ok());
    for round in 0..MUTATIONS {
        let proof = log.proof(u64::try_from(dice.below(600)).unwrap());
        assert!(round % 100 > 0 || trusted(&proof));
        let other = dice.mutate(proof.as_bytes());
        let taken = String::from_utf8(other).is_ok_and(|text| trusted(&text));
        assert!(!taken, "round {round}");
    }
}

#[test]
fn every_mutation_of_a_log_is_found() {
    let log = Log::new();
    let mut honest = Files::default();
    collect(log.folder.path(), log.folder.path(), &mut honest);
    assert!(log.takes(&mut honest.clone()));
    let mut dice = Dice(2);
    let names: Vec<String> = honest.0.keys().cloned().collect();
    assert!(names.len() >= 8, "{names:?}");
    for round in 0..MUTATIONS {
        let name = &names[dice.below(names.len())];
        let mut files = honest.clone();
        if dice.below(50) == 0 {
            files.0.remove(name);
        } else {
            let other = dice.mutate(&honest.0[name]);
            files.0.insert(name.clone(), other);
        }
        assert!(!log.takes(&mut files), "round {round}, `{name}`");
    }
}

#[test]
fn every_mutation_of_a_request_is_refused_by_a_witness() {
    let log = Log::new();
    let mut dice = Dice(3);
    let judged = |text: &str, last: &Cosigned| {
        let request = Request::parse(text)?;
        let logs = [log_key()];
        request.log(&logs)?;
        request.judge(Some(last))
    };
    let note = note::sign(ORIGIN, &key(1), SIZE, log.checkpoint.root).note;
    for round in 0..MUTATIONS {
        let old = u64::try_from(1 + dice.below(599)).unwrap();
        let mut tiles = log.tiles();
        let proof = consistency_proof(&mut tiles, old, SIZE).unwrap();
        let root = root_of(&mut tiles, old).unwrap();
        let last = Cosigned { size: old, root };
        let text = Request::text(old, &proof, &note);
        assert!(round % 100 > 0 || judged(&text, &last).is_ok(), "{old}");
        let other = dice.mutate(text.as_bytes());
        let taken = String::from_utf8(other).is_ok_and(|text| judged(&text, &last).is_ok());
        assert!(!taken, "round {round}, from {old}");
    }
}
