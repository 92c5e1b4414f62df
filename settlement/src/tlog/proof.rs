//! Proofs as files that need nothing else: `c2sp.org/tlog-proof@v1`.
//!
//! The extra data of a file is the leaf, so that leaf, path and checkpoint travel together. It is
//! hashed, and so covered by the proof.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use types::Digest;

use super::{
    LEVELS_MAX, hash_leaf,
    note::{Checkpoint, NOTE_BYTES_MAX, Note, decimal, hash_from, hash_text},
    trust::{TrustError, TrustPolicy},
    verify_inclusion,
};

/// First line of a proof file.
pub const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Longest leaf: its length is two bytes in a bundle of entries.
pub const LEAF_BYTES_MAX: usize = 65_535;

/// Longest proof file: a leaf and 64 hashes in base64, and a checkpoint.
pub const PROOF_BYTES_MAX: usize = LEAF_BYTES_MAX * 2 + LEVELS_MAX * 45 + NOTE_BYTES_MAX;

/// A leaf with the proof that it is under a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafProof {
    /// Its index.
    pub index: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Hashes from the leaf's sibling up to the root's child.
    pub path: Vec<Digest>,
    /// The checkpoint.
    pub checkpoint: Checkpoint,
}

/// Why a proof file proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It is not a proof file in its one spelling.
    #[error("this is not a proof file, or not in its one spelling")]
    Malformed,
    /// It has no leaf in it.
    #[error("the proof file has no leaf in its `extra` line")]
    NoLeaf,
    /// The leaf is not under the root of the checkpoint at this index.
    #[error("the leaf is not under the root of the checkpoint")]
    NotIncluded,
    /// The checkpoint is not one to be trusted.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl LeafProof {
    /// The file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let leaf = STANDARD.encode(&self.bytes);
        let mut text = format!("{HEADER}\nextra {leaf}\nindex {}\n", self.index);
        for hash in &self.path {
            text.push_str(&hash_text(hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.checkpoint.note);
        text
    }

    /// Reads a file. Nothing is verified yet.
    ///
    /// # Errors
    /// When it is malformed or has no leaf.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        if text.len() > PROOF_BYTES_MAX {
            return Err(ProofError::Malformed);
        }
        let (head, note) = text.split_once("\n\n").ok_or(ProofError::Malformed)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(ProofError::Malformed);
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra "));
        let bytes =
            STANDARD.decode(extra.ok_or(ProofError::NoLeaf)?).map_err(|_| ProofError::Malformed)?;
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(decimal);
        let index = index.ok_or(ProofError::Malformed)?;
        let path: Option<Vec<Digest>> = lines.map(hash_from).collect();
        let path = path.filter(|path| path.len() <= LEVELS_MAX).ok_or(ProofError::Malformed)?;
        let parsed = Note::parse(note).map_err(|_| ProofError::Malformed)?;
        let (size, root) = (parsed.size, parsed.root);
        let checkpoint = Checkpoint { size, root, note: note.to_owned() };
        let proof = Self { index, bytes, path, checkpoint };
        // Base64 and numbers have one spelling, and so has the file.
        if proof.to_text() == text { Ok(proof) } else { Err(ProofError::Malformed) }
    }

    /// Whether the leaf is under the checkpoint. Who signed that is not asked.
    #[must_use]
    pub fn is_included(&self) -> bool {
        let Checkpoint { size, root, .. } = &self.checkpoint;
        verify_inclusion(hash_leaf(&self.bytes), self.index, *size, &self.path, root)
    }

    /// Checks everything: signatures of log and witnesses by the policy, and the path.
    ///
    /// # Errors
    /// When something does not hold. The first that is found is told.
    pub fn verify(&self, trust: &TrustPolicy) -> Result<Vec<(String, u64)>, ProofError> {
        let cosigned = trust.check(&self.checkpoint.note)?;
        if self.is_included() { Ok(cosigned) } else { Err(ProofError::NotIncluded) }
    }
}
