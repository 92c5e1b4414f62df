//! Whether a checkpoint may be cosigned (C2SP tlog-witness). Keeping what was cosigned, and the clock,
//! are the caller's.

use types::Digest;

use super::{
    consistency::{CONSISTENCY_HASHES_MAX, verify_consistency},
    note::{NOTE_BYTES_MAX, Note, VerifierKey, decimal, hash_from, hash_text},
};

/// Longest request: an old size, 63 hashes and a checkpoint.
pub const REQUEST_BYTES_MAX: usize = 32 + CONSISTENCY_HASHES_MAX * 45 + NOTE_BYTES_MAX;

/// What a witness is asked: to cosign a checkpoint that grew out of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// The size that the witness cosigned last, as the log has it.
    pub old: u64,
    /// That the checkpoint begins with that tree.
    pub proof: Vec<Digest>,
    /// The checkpoint.
    pub note: Note<'a>,
    /// The checkpoint as it stands.
    pub note_text: &'a str,
}

/// What a witness cosigned last of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// How many leaves.
    pub size: u64,
    /// Their root.
    pub root: Digest,
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not a request.
    #[error("the request is malformed")]
    Malformed,
    /// The log is not one that this witness watches.
    #[error("the log is not known to this witness")]
    UnknownLog,
    /// The log's key did not sign it.
    #[error("the checkpoint is not signed by the log")]
    NotSigned,
    /// The old size is larger than that of the checkpoint.
    #[error("the old size is larger than that of the checkpoint")]
    OldAboveNew,
    /// The witness cosigned another size last.
    #[error("this witness cosigned {size} leaves last")]
    OtherSize {
        /// How many leaves it cosigned.
        size: u64,
    },
    /// The log signed fewer leaves than the witness has seen of it.
    #[error("the log is rolled back: this witness cosigned {size} leaves")]
    RolledBack {
        /// How many leaves it cosigned.
        size: u64,
    },
    /// The log signed two roots for one size.
    #[error("the log is forked: it signed another root for {size} leaves")]
    Forked {
        /// For how many leaves.
        size: u64,
    },
    /// The tree does not begin with the one that was cosigned, as far as the proof shows.
    #[error("the consistency proof does not verify")]
    Inconsistent,
}

impl Refusal {
    /// The status of the answer over HTTP.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed | Self::OldAboveNew => 400,
            Self::NotSigned => 403,
            Self::UnknownLog => 404,
            Self::OtherSize { .. } | Self::RolledBack { .. } | Self::Forked { .. } => 409,
            Self::Inconsistent => 422,
        }
    }

    /// What the asker should have said, where the answer has it.
    #[must_use]
    pub const fn size(self) -> Option<u64> {
        match self {
            Self::OtherSize { size } | Self::RolledBack { size } | Self::Forked { size } => {
                Some(size)
            }
            Self::Malformed
            | Self::UnknownLog
            | Self::NotSigned
            | Self::OldAboveNew
            | Self::Inconsistent => None,
        }
    }

    /// Whether the log signed what it should not have, so that the checkpoint is worth keeping.
    #[must_use]
    pub const fn is_evidence(self) -> bool {
        matches!(self, Self::RolledBack { .. } | Self::Forked { .. } | Self::Inconsistent)
    }
}

impl<'a> Request<'a> {
    /// Reads a request.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(body: &'a str) -> Result<Self, Refusal> {
        if body.len() > REQUEST_BYTES_MAX {
            return Err(Refusal::Malformed);
        }
        let (head, note_text) = body.split_once("\n\n").ok_or(Refusal::Malformed)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(decimal);
        let proof: Option<Vec<Digest>> = lines.map(hash_from).collect();
        let proof = proof.filter(|proof| proof.len() <= CONSISTENCY_HASHES_MAX);
        let note = Note::parse(note_text).map_err(|_| Refusal::Malformed)?;
        let (old, proof) = (old.ok_or(Refusal::Malformed)?, proof.ok_or(Refusal::Malformed)?);
        Ok(Self { old, proof, note, note_text })
    }

    /// The request as text.
    #[must_use]
    pub fn text(old: u64, proof: &[Digest], note: &str) -> String {
        let mut text = format!("old {old}\n");
        for hash in proof {
            text.push_str(&hash_text(hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(note);
        text
    }

    /// Which of the logs signed the checkpoint.
    ///
    /// # Errors
    /// When none is known or none signed.
    pub fn log<'k>(&self, logs: &'k [VerifierKey]) -> Result<&'k VerifierKey, Refusal> {
        let mut known = logs.iter().filter(|log| log.name == self.note.origin).peekable();
        if known.peek().is_none() {
            return Err(Refusal::UnknownLog);
        }
        let signed = |log: &&VerifierKey| matches!(self.note.signed_by(log), Ok(Some(_)));
        known.find(signed).ok_or(Refusal::NotSigned)
    }

    /// Whether a checkpoint that the log signed may be cosigned after `last`.
    ///
    /// # Errors
    /// Why not.
    pub fn judge(&self, last: Option<&Cosigned>) -> Result<(), Refusal> {
        let Note { size, root, .. } = &self.note;
        let seen = last.map_or(0, |last| last.size);
        if let Some(last) = last {
            if *size == last.size && *root != last.root {
                return Err(Refusal::Forked { size: seen });
            }
            if *size < last.size {
                return Err(Refusal::RolledBack { size: seen });
            }
        }
        if self.old > *size {
            return Err(Refusal::OldAboveNew);
        }
        if self.old != seen {
            return Err(Refusal::OtherSize { size: seen });
        }
        let holds = match last {
            None => self.proof.is_empty(),
            Some(last) => verify_consistency((last.size, &last.root), (*size, root), &self.proof),
        };
        if holds { Ok(()) } else { Err(Refusal::Inconsistent) }
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::tlog::{
        Frontier, consistency::consistency_proof, hash_leaf, note, root_of, testing::InMemory,
    };

    fn tree(salt: u8, size: u8) -> InMemory {
        InMemory((0..size).map(|n| hash_leaf(&[n, if n < 5 { 0 } else { salt }])).collect())
    }

    fn signed(nodes: &mut InMemory, size: u64) -> note::Checkpoint {
        let root = root_of(nodes, size).unwrap();
        note::sign("log", &SigningKey::from_bytes(&[1; 32]), size, root)
    }

    fn judged(
        old: u64,
        proof: &[Digest],
        note: &str,
        last: Option<&Cosigned>,
    ) -> Result<(), Refusal> {
        let text = Request::text(old, proof, note);
        let request = Request::parse(&text)?;
        let key = SigningKey::from_bytes(&[1; 32]).verifying_key();
        request.log(&[VerifierKey::of_log("log", key)])?;
        request.judge(last)
    }

    #[test]
    fn a_log_that_grows_is_cosigned_and_no_other() {
        let (mut one, mut other) = (tree(1, 12), tree(2, 12));
        let first = signed(&mut one, 7);
        assert_eq!(judged(0, &[], &first.note, None), Ok(()));
        let last = Cosigned { size: 7, root: first.root };
        let last = Some(&last);
        let next = signed(&mut one, 12);
        let proof = consistency_proof(&mut one, 7, 12).unwrap();
        assert_eq!(judged(7, &proof, &next.note, last), Ok(()));
        assert_eq!(judged(7, &[], &first.note, last), Ok(()), "the same again");
        assert_eq!(judged(0, &[], &next.note, last), Err(Refusal::OtherSize { size: 7 }));
        assert_eq!(judged(13, &proof, &next.note, last), Err(Refusal::OldAboveNew));
        assert_eq!(judged(7, &proof[1..], &next.note, last), Err(Refusal::Inconsistent));
        let fork = signed(&mut other, 7);
        assert_eq!(judged(7, &[], &fork.note, last), Err(Refusal::Forked { size: 7 }));
        let later_fork = signed(&mut other, 12);
        let of_fork = consistency_proof(&mut other, 7, 12).unwrap();
        for proof in [&proof, &of_fork] {
            let refused = judged(7, proof, &later_fork.note, last).unwrap_err();
            assert!(refused == Refusal::Inconsistent && refused.is_evidence());
        }
        let back = signed(&mut one, 5);
        assert_eq!(judged(5, &[], &back.note, last), Err(Refusal::RolledBack { size: 7 }));
        assert_eq!(judged(0, &proof, &first.note, None), Err(Refusal::Inconsistent));
    }

    #[test]
    fn strangers_and_noise_are_refused() {
        let root = Frontier::default().root();
        let stranger = note::sign("log", &SigningKey::from_bytes(&[2; 32]), 0, root);
        assert_eq!(judged(0, &[], &stranger.note, None), Err(Refusal::NotSigned));
        let unknown = note::sign("another", &SigningKey::from_bytes(&[1; 32]), 0, root);
        assert_eq!(judged(0, &[], &unknown.note, None), Err(Refusal::UnknownLog));
        for text in ["", "old 1", "old 01\n\n", "older 1\n\n"] {
            assert_eq!(Request::parse(text), Err(Refusal::Malformed));
        }
        let many = vec![root; CONSISTENCY_HASHES_MAX + 1];
        let text = Request::text(0, &many, &unknown.note);
        assert_eq!(Request::parse(&text), Err(Refusal::Malformed));
    }
}
