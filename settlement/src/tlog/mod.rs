//! Stop 18 of an order's life: leaf, tree, signed checkpoint: final and provable.
//!
//! The tree is that of RFC 6962 over SHA-256. [`Frontier`] folds leaves into a root in constant
//! memory, [`inclusion_proof`] and [`verify_inclusion`] show that a leaf is under a root,
//! [`consistency`] that a tree begins with an earlier one, [`tiles`] keeps the hashes on disk in the
//! layout of C2SP tlog-tiles, [`note`] signs checkpoints, and [`leaf`] lays out what is hashed.
//!
//! What others need who believe nobody: [`proof`] is a proof as a file, [`trust`] whose signatures
//! count, [`witness`] decides whether a checkpoint may be cosigned, [`walk`] reads a whole log, and
//! [`rebuild`] makes contracts and balances from nothing but its leaves.

pub mod consistency;
pub mod facts;
pub mod leaf;
pub mod note;
pub mod proof;
pub mod rebuild;
pub mod tiles;
pub mod trust;
pub mod walk;
pub mod witness;

use sha2::{Digest as _, Sha256};
use types::Digest;

/// Most levels a tree of 2^64 leaves has.
pub const LEVELS_MAX: usize = 64;

/// The hash of a leaf's bytes.
#[must_use]
pub fn hash_leaf(bytes: &[u8]) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(bytes);
    Digest::new(hasher.finalize().into())
}

/// The hash of two subtrees.
#[must_use]
pub fn hash_pair(left: &Digest, right: &Digest) -> Digest {
    let mut bytes = [1; 65];
    let (head, tail) = bytes.split_at_mut(33);
    if let Some(slot) = head.get_mut(1..) {
        slot.copy_from_slice(left.as_bytes());
    }
    tail.copy_from_slice(right.as_bytes());
    Digest::new(Sha256::digest(bytes).into())
}

/// The complete subtrees of a tree that only grows, largest first: enough to know its root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

impl Frontier {
    /// How many leaves there are.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds the hash of the next leaf.
    pub fn push(&mut self, leaf: Digest) {
        let mut hash = leaf;
        let mut merges = self.size.trailing_ones();
        while merges > 0 {
            let Some(left) = self.peaks.pop() else { break };
            hash = hash_pair(&left, &hash);
            merges = merges.saturating_sub(1);
        }
        self.peaks.push(hash);
        self.size = self.size.saturating_add(1);
    }

    /// The root; of the empty tree, the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Digest {
        let folded =
            self.peaks.iter().rev().copied().reduce(|right, left| hash_pair(&left, &right));
        folded.unwrap_or_else(|| Digest::new(Sha256::digest([]).into()))
    }

    /// Size and peaks as bytes: a little-endian u64, then 32 bytes each.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_le_bytes().to_vec();
        for peak in &self.peaks {
            bytes.extend_from_slice(peak.as_bytes());
        }
        bytes
    }

    /// From [`Frontier::to_bytes`], or `None` if the bytes are something else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk::<8>()?;
        let size = u64::from_le_bytes(*size);
        let (peaks, tail) = rest.as_chunks::<32>();
        let expected = usize::try_from(size.count_ones()).ok()?;
        if !tail.is_empty() || peaks.len() != expected {
            return None;
        }
        Some(Self { size, peaks: peaks.iter().copied().map(Digest::new).collect() })
    }
}

/// The hash of the complete subtree of 2^`level` leaves that is number `index` from the left.
pub trait Nodes {
    /// What can go wrong while looking.
    type Error;

    /// The hash of one node.
    ///
    /// # Errors
    /// When it cannot be had.
    fn node(&mut self, level: u32, index: u64) -> Result<Digest, Self::Error>;
}

/// The complete subtrees covering `count` leaves from `start`, left to right, as (level, index).
/// `start` is a multiple of the largest power of two not above `count`.
fn cover(start: u64, count: u64) -> Vec<(u32, u64)> {
    let mut covering = Vec::new();
    let (mut at, mut left) = (start, count);
    while left > 0 {
        let level = left.ilog2();
        covering.push((level, at >> level));
        let width = 1_u64 << level;
        at = at.saturating_add(width);
        left = left.saturating_sub(width);
    }
    covering
}

/// The root of the first `size` leaves, from stored nodes.
///
/// # Errors
/// When a node cannot be had.
pub fn root_of<N: Nodes>(nodes: &mut N, size: u64) -> Result<Digest, N::Error> {
    range_root(nodes, 0, size)
}

fn range_root<N: Nodes>(nodes: &mut N, start: u64, count: u64) -> Result<Digest, N::Error> {
    let mut hash = None;
    for (level, index) in cover(start, count).into_iter().rev() {
        let left = nodes.node(level, index)?;
        hash = Some(hash.map_or(left, |right| hash_pair(&left, &right)));
    }
    Ok(hash.unwrap_or_else(|| Digest::new(Sha256::digest([]).into())))
}

/// The audit path of leaf `index` in the tree of the first `size` leaves (RFC 6962, 2.1.1), from
/// the leaf upwards. Empty when there is no such leaf.
///
/// # Errors
/// When a node cannot be had.
pub fn inclusion_proof<N: Nodes>(
    nodes: &mut N,
    index: u64,
    size: u64,
) -> Result<Vec<Digest>, N::Error> {
    let mut path = Vec::new();
    if index >= size {
        return Ok(path);
    }
    let (mut start, mut count) = (0_u64, size);
    while count > 1 {
        // The largest power of two below `count` leaves to the left.
        let split = 1_u64 << count.saturating_sub(1).ilog2();
        let right = count.saturating_sub(split);
        let middle = start.saturating_add(split);
        if index < middle {
            path.push(range_root(nodes, middle, right)?);
            count = split;
        } else {
            path.push(range_root(nodes, start, split)?);
            start = middle;
            count = right;
        }
    }
    path.reverse();
    Ok(path)
}

/// Whether `path` shows that `leaf` is leaf `index` of the tree of `size` leaves with this `root`.
#[must_use]
pub fn verify_inclusion(
    leaf: Digest,
    index: u64,
    size: u64,
    path: &[Digest],
    root: &Digest,
) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last) = (index, size.saturating_sub(1));
    let mut hash = leaf;
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = hash_pair(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = hash_pair(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A tree by its leaves' hashes.
    pub(crate) struct InMemory(pub(crate) Vec<Digest>);

    impl Nodes for InMemory {
        type Error = core::convert::Infallible;

        fn node(&mut self, level: u32, index: u64) -> Result<Digest, Self::Error> {
            if level == 0 {
                return Ok(self.0[usize::try_from(index).unwrap()]);
            }
            let left = self.node(level - 1, index * 2)?;
            let right = self.node(level - 1, index * 2 + 1)?;
            Ok(hash_pair(&left, &right))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::InMemory, *};

    /// RFC 6962, 2.1, as it is written there.
    fn by_definition(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::new(Sha256::digest([]).into()),
            [one] => *one,
            _ => {
                let split = 1 << (leaves.len() - 1).ilog2();
                hash_pair(&by_definition(&leaves[..split]), &by_definition(&leaves[split..]))
            }
        }
    }

    #[test]
    fn roots_follow_the_definition_and_every_leaf_has_a_proof() {
        let leaves: Vec<Digest> = (0_u32..70).map(|n| hash_leaf(&n.to_le_bytes())).collect();
        let mut frontier = Frontier::default();
        let mut nodes = InMemory(leaves.clone());
        for size in 0..=leaves.len() {
            let root = by_definition(&leaves[..size]);
            let wide = u64::try_from(size).unwrap();
            assert_eq!(frontier.root(), root, "size {size}");
            assert_eq!(Frontier::from_bytes(&frontier.to_bytes()).unwrap(), frontier);
            assert_eq!(root_of(&mut nodes, wide).unwrap(), root);
            for (leaf, index) in leaves[..size].iter().zip(0..) {
                let path = inclusion_proof(&mut nodes, index, wide).unwrap();
                assert!(verify_inclusion(*leaf, index, wide, &path, &root));
                let other = hash_leaf(b"other");
                assert!(!verify_inclusion(other, index, wide, &path, &root));
                assert!(!verify_inclusion(*leaf, index ^ 1, wide, &path, &root));
                assert!(!verify_inclusion(
                    *leaf,
                    index,
                    wide,
                    &[&path[..], &[other]].concat(),
                    &root
                ));
            }
            if let Some(next) = leaves.get(size) {
                frontier.push(*next);
            }
        }
    }

    #[test]
    fn known_roots() {
        // The test vectors of the Certificate Transparency implementations.
        let empty = Frontier::default().root().to_string();
        assert_eq!(empty, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let mut one = Frontier::default();
        one.push(hash_leaf(b""));
        let root = one.root().to_string();
        assert_eq!(root, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        one.push(hash_leaf(b"\0"));
        let root = one.root().to_string();
        assert_eq!(root, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
    }

    #[test]
    fn frontiers_that_do_not_fit_are_refused() {
        assert_eq!(Frontier::from_bytes(&[0; 7]), None);
        assert_eq!(Frontier::from_bytes(&[0; 40]), None);
        assert_eq!(Frontier::from_bytes(&[1, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
