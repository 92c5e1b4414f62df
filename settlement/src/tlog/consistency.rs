//! Consistency proofs (RFC 6962, 2.1.2): a later tree begins with all leaves of an earlier one.

use types::Digest;

use super::{Nodes, hash_pair, range_root};

/// Most hashes in the proof of a tree that 64 bits can count.
pub const CONSISTENCY_HASHES_MAX: usize = 63;

/// The proof that the tree of `new` leaves begins with the tree of `old` leaves. Empty where there
/// is nothing to prove: `old` is 0, or not below `new`.
///
/// # Errors
/// When a node cannot be had.
pub fn consistency_proof<N: Nodes>(
    nodes: &mut N,
    old: u64,
    new: u64,
) -> Result<Vec<Digest>, N::Error> {
    let mut proof = Vec::new();
    if old == 0 || old >= new {
        return Ok(proof);
    }
    let (mut start, mut count, mut left) = (0_u64, new, old);
    // Whether the subtree in hand began as the old tree itself, whose root the verifier knows.
    let mut is_known = true;
    while left < count {
        let split = 1_u64 << count.saturating_sub(1).ilog2();
        let middle = start.saturating_add(split);
        if left <= split {
            proof.push(range_root(nodes, middle, count.saturating_sub(split))?);
            count = split;
        } else {
            proof.push(range_root(nodes, start, split)?);
            start = middle;
            left = left.saturating_sub(split);
            count = count.saturating_sub(split);
            is_known = false;
        }
    }
    if !is_known {
        proof.push(range_root(nodes, start, left)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Whether `proof` shows that the tree of `new` leaves begins with that of `old` leaves.
#[must_use]
pub fn verify_consistency(
    (old, old_root): (u64, &Digest),
    (new, new_root): (u64, &Digest),
    proof: &[Digest],
) -> bool {
    if old > new {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return proof.is_empty();
    }
    let mut hashes = proof.iter();
    let first = if old.is_power_of_two() { Some(old_root) } else { hashes.next() };
    let Some(first) = first else { return false };
    let (mut node, mut last) = (old.saturating_sub(1), new.saturating_sub(1));
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for hash in hashes {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_hash = hash_pair(hash, &old_hash);
            new_hash = hash_pair(hash, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = hash_pair(&new_hash, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::{hash_leaf, root_of, testing::InMemory};

    #[test]
    fn every_pair_of_sizes_has_a_proof_and_no_other_root_passes() {
        let leaves: Vec<Digest> = (0_u32..40).map(|n| hash_leaf(&n.to_le_bytes())).collect();
        let mut nodes = InMemory(leaves);
        let roots: Vec<Digest> = (0..=40).map(|size| root_of(&mut nodes, size).unwrap()).collect();
        let other = hash_leaf(b"other");
        for new in 0..=40_u64 {
            let new_root = &roots[usize::try_from(new).unwrap()];
            for old in 0..=new {
                let old_root = &roots[usize::try_from(old).unwrap()];
                let proof = consistency_proof(&mut nodes, old, new).unwrap();
                assert!(verify_consistency((old, old_root), (new, new_root), &proof));
                assert!(!verify_consistency((old, old_root), (new, &other), &proof) || old == 0);
                if old > 0 {
                    assert!(!verify_consistency((old, &other), (new, new_root), &proof));
                }
                let longer = [&proof[..], &[other]].concat();
                assert!(!verify_consistency((old, old_root), (new, new_root), &longer));
                for at in 0..proof.len() {
                    let mut changed = proof.clone();
                    changed[at] = other;
                    assert!(!verify_consistency((old, old_root), (new, new_root), &changed));
                    changed.remove(at);
                    assert!(!verify_consistency((old, old_root), (new, new_root), &changed));
                }
            }
        }
    }
}
