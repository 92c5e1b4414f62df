//! Our tree and notes against those of others: `ct-merkle`, `tlog_tiles` and `signed_note`.

use ct_merkle::{ConsistencyProof, InclusionProof, mem_backed_tree::MemoryBackedTree};
use ed25519_dalek::SigningKey;
use sha2::Sha256;
use signed_note::{StandardVerifier, VerifierList};
use tlog_tiles::{Checkpoint, Hash, Tile};
use types::Digest;

use crate::tlog::{
    consistency::{consistency_proof, verify_consistency},
    hash_leaf, inclusion_proof, note, root_of,
    testing::InMemory,
    tiles::tile_path,
    verify_inclusion,
};

const SIZE: u64 = 70;

fn leaf(number: u64) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

fn theirs(hash: &Digest) -> Hash {
    Hash(*hash.as_bytes())
}

fn bytes(path: &[Digest]) -> Vec<u8> {
    path.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

#[test]
fn trees_and_proofs_are_those_of_others() {
    let mut nodes = InMemory((0..SIZE).map(|n| hash_leaf(&leaf(n))).collect());
    let mut peer = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut roots = vec![peer.root()];
    for size in 1..=SIZE {
        peer.push(leaf(size - 1));
        roots.push(peer.root());
        let root = root_of(&mut nodes, size).unwrap();
        assert_eq!(peer.root().as_bytes().as_slice(), root.as_bytes(), "size {size}");
        for index in 0..size {
            let path = inclusion_proof(&mut nodes, index, size).unwrap();
            let place = usize::try_from(index).unwrap();
            assert_eq!(peer.prove_inclusion(place).as_bytes(), bytes(&path), "{index} of {size}");
            let proof = InclusionProof::try_from_bytes(bytes(&path)).unwrap();
            peer.root().verify_inclusion(&leaf(index), index, &proof).unwrap();
            let hashes: Vec<Hash> = path.iter().map(theirs).collect();
            let hash = tlog_tiles::record_hash(&leaf(index));
            tlog_tiles::check_record(&hashes, size, theirs(&root), index, hash).unwrap();
            assert!(verify_inclusion(hash_leaf(&leaf(index)), index, size, &path, &root));
        }
        for old in 1..size {
            let proof = consistency_proof(&mut nodes, old, size).unwrap();
            let added = usize::try_from(size - old).unwrap();
            assert_eq!(peer.prove_consistency(added).as_bytes(), bytes(&proof), "{old} to {size}");
            let known = ConsistencyProof::try_from_bytes(bytes(&proof)).unwrap();
            peer.root().verify_consistency(&roots[usize::try_from(old).unwrap()], &known).unwrap();
            let old_root = root_of(&mut nodes, old).unwrap();
            let hashes: Vec<Hash> = proof.iter().map(theirs).collect();
            tlog_tiles::check_tree(&hashes, size, theirs(&root), old, theirs(&old_root)).unwrap();
            assert!(verify_consistency((old, &old_root), (size, &root), &proof));
        }
    }
}

#[test]
fn notes_and_paths_are_those_of_others() {
    let key = SigningKey::from_bytes(&[5; 32]);
    let checkpoint = note::sign("peer.example/log", &key, 12, Digest::new([3; 32]));
    let verifier =
        StandardVerifier::new(&note::verifier_key("peer.example/log", &key.verifying_key()));
    let known = VerifierList::new(vec![Box::new(verifier.unwrap())]);
    let parsed = signed_note::Note::from_bytes(checkpoint.note.as_bytes()).unwrap();
    let (verified, unverified) = parsed.verify(&known).unwrap();
    assert_eq!((verified.len(), unverified.len()), (1, 0));
    let text = Checkpoint::from_bytes(parsed.text()).unwrap();
    assert_eq!((text.origin(), text.size()), ("peer.example/log", 12));
    assert_eq!(text.hash().0, [3; 32]);
    let forged = checkpoint.note.replacen("\n12\n", "\n13\n", 1);
    let forged = signed_note::Note::from_bytes(forged.as_bytes()).unwrap();
    assert!(forged.verify(&known).is_err());
    for (level, number, width) in [(0_u8, 0_u64, 256_u32), (1, 1_234_067, 256), (3, 5, 17)] {
        let tile = Tile::new(8, level, number, width, false);
        let ours = tile_path(&level.to_string(), number, u64::from(width));
        assert!(tile.path().ends_with(ours.strip_prefix("tile/").unwrap()), "{}", tile.path());
    }
}
