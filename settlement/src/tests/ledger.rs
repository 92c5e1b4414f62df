//! The ledger as others see it: checkpoints, proofs, and directories that were tampered with.

use ed25519_dalek::SigningKey;

use super::{
    fixture::{Desk, Feed, file, later, settings},
    server::{is_of_files, store},
};
use crate::{
    Pipeline, SettlementError,
    tlog::{hash_leaf, leaf, note, verify_inclusion},
};

/// Leaves of [`settled`]: eight deposits, and each contract's hold and itself.
const SETTLED: u64 = 8 + 300 * 2;

fn settled() -> (Desk, Feed) {
    let mut feed = Feed::new();
    for _ in 0..300 {
        feed.trade(0, (1, 7), 10, 5_000_000);
    }
    let mut desk = Desk::new();
    desk.deposit_all(100_000);
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    (desk, feed)
}

#[test]
fn s62_every_contract_and_outcome_has_a_proof_under_the_signed_checkpoint() {
    let (mut desk, _) = settled();
    let first = desk.pipeline.checkpoint().unwrap();
    assert_eq!(first.size, SETTLED);
    desk.taken(&file(1, 0, &[(1, 3_000, 0)]));
    desk.taken(&file(1, 0, &[(7, 0, 3_000)]));
    desk.pipeline.verify(later()).unwrap();
    assert!(matches!(
        desk.pipeline.inclusion_proof(SETTLED),
        Err(SettlementError::NoSuchLeaf { index: SETTLED, size: SETTLED })
    ));
    let second = desk.pipeline.checkpoint().unwrap();
    // Two documents; of each contract the transfers and the outcome.
    assert_eq!(second.size, SETTLED + 2 + 300 * 2);
    assert_eq!(desk.pipeline.checkpoint().unwrap(), second);
    let key = SigningKey::from_bytes(&settings().ledger_key_seed).verifying_key();
    let file = std::fs::read_to_string(desk.folder.path().join("ledger/checkpoint")).unwrap();
    let opened = note::open("test.example/ledger", &key, &file).unwrap();
    for trade in [1, 150, 300] {
        let id = types::TradeId::new(trade);
        let (own, newest) = desk.pipeline.leaves_of(id).unwrap().unwrap();
        for index in [own, newest] {
            let proof = desk.pipeline.inclusion_proof(index).unwrap();
            let hash = hash_leaf(&proof.bytes);
            assert!(verify_inclusion(hash, index, opened.size, &proof.path, &opened.root));
        }
        let contract = leaf::decode_contract(&desk.pipeline.inclusion_proof(own).unwrap().bytes);
        assert_eq!(contract.unwrap().id, id);
        let bytes = desk.pipeline.inclusion_proof(newest).unwrap().bytes;
        assert_eq!(leaf::decode_outcome(&bytes).unwrap().previous, own);
    }
}

fn reopen(desk: &Desk) -> Result<Pipeline, SettlementError> {
    let folder = desk.folder.path();
    Pipeline::open(store(&folder.join("settlement.db")), &folder.join("ledger"), settings())
}

#[test]
fn lost_tiles_are_made_again_and_a_forged_checkpoint_is_refused() {
    let (mut desk, _) = settled();
    let signed = desk.pipeline.checkpoint().unwrap();
    let ledger = desk.folder.path().join("ledger");
    std::fs::remove_dir_all(&ledger).unwrap();
    let again = reopen(&desk).unwrap();
    assert_eq!(std::fs::read_to_string(ledger.join("checkpoint")).unwrap(), signed.note);
    assert!(again.inclusion_proof(17).is_ok());
    let tile = ledger.join("tile/0/002.p/96");
    let mut bytes = std::fs::read(&tile).unwrap();
    bytes[5] ^= 1;
    std::fs::write(&tile, bytes).unwrap();
    let repaired = reopen(&desk).unwrap();
    let proof = repaired.inclusion_proof(607).unwrap();
    assert!(verify_inclusion(hash_leaf(&proof.bytes), 607, SETTLED, &proof.path, &signed.root));
    let forged = signed.note.replacen("\n608\n", "\n607\n", 1);
    std::fs::write(ledger.join("checkpoint"), forged).unwrap();
    assert!(matches!(reopen(&desk), Err(SettlementError::Damaged(_))));
}

#[test]
fn an_old_copy_of_the_database_is_refused() {
    if !is_of_files() {
        return; // It copies the file.
    }
    let (mut desk, mut feed) = settled();
    desk.pipeline.checkpoint().unwrap();
    let path = desk.folder.path().to_owned();
    let desk = desk.restart();
    let old = path.join("old.db");
    desk.pipeline.connection().execute("VACUUM INTO ?1", [old.to_str().unwrap()]).unwrap();
    let mut desk = desk;
    feed.trade(0, (1, 7), 10, 5_000_000);
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    desk.pipeline.checkpoint().unwrap();
    let error = Pipeline::open(&old, &path.join("ledger"), settings()).unwrap_err();
    assert!(matches!(error, SettlementError::RolledBack { promised: 610, stored: 608 }));
}

#[test]
fn s63_a_changed_leaf_is_never_signed() {
    let (mut desk, _) = settled();
    desk.pipeline
        .connection()
        .execute("UPDATE leaves SET bytes = ?1 WHERE leaf = 7", [[1_u8, 2]])
        .unwrap();
    assert!(matches!(desk.pipeline.checkpoint(), Err(SettlementError::Damaged(_))));
    assert!(!desk.folder.path().join("ledger/checkpoint").exists());
}

#[test]
fn s61_transfers_cannot_be_edited_and_a_database_keeps_to_its_ledger() {
    let (desk, _) = settled();
    let connection = desk.pipeline.connection();
    assert!(connection.execute("UPDATE transfers SET amount = 1", []).is_err());
    assert!(connection.execute("DELETE FROM transfers", []).is_err());
    let mut other = settings();
    other.ledger_key_seed = [1; 32];
    let folder = desk.folder.path();
    let error = Pipeline::open(store(&folder.join("settlement.db")), &folder.join("ledger"), other);
    assert!(matches!(error, Err(SettlementError::OtherLedger { .. })));
    let mut nameless = settings();
    nameless.ledger_origin = "two words".to_owned();
    assert!(matches!(Pipeline::in_memory(nameless), Err(SettlementError::BadOrigin(_))));
}
