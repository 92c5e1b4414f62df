//! Signed checkpoints in the format of C2SP signed-note and tlog-checkpoint, by one Ed25519 key.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use types::Digest;

/// The signature type of Ed25519 in key ids and verifier keys.
const ALGORITHM_ED25519: u8 = 1;

/// Longest checkpoint file that is read: origin, size, root and a few signatures.
pub const NOTE_BYTES_MAX: usize = 16_384;

/// What a checkpoint says: the log has this many leaves and this root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// How many leaves.
    pub size: u64,
    /// Their root.
    pub root: Digest,
    /// The signed note, as it stands in the file.
    pub note: String,
}

/// Why a note is not a checkpoint of the expected log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a signed note with a checkpoint in it.
    #[error("the checkpoint is malformed")]
    Malformed,
    /// It speaks of another log.
    #[error("the checkpoint is of another log")]
    OtherOrigin,
    /// The expected key did not sign it.
    #[error("the checkpoint is not signed by the expected key")]
    NotSigned,
}

/// Signs a checkpoint.
#[must_use]
pub fn sign(origin: &str, key: &SigningKey, size: u64, root: Digest) -> Checkpoint {
    let body = format!("{origin}\n{size}\n{}\n", STANDARD.encode(root.as_bytes()));
    let mut signature = key_id(origin, &key.verifying_key()).to_vec();
    signature.extend_from_slice(&key.sign(body.as_bytes()).to_bytes());
    let note = format!("{body}\n\u{2014} {origin} {}\n", STANDARD.encode(signature));
    Checkpoint { size, root, note }
}

/// Reads a checkpoint and checks the log's signature.
///
/// # Errors
/// When it is malformed, of another log, or not signed by `key`.
pub fn open(origin: &str, key: &VerifyingKey, note: &str) -> Result<Checkpoint, NoteError> {
    let (text, signatures) = note.split_once("\n\n").ok_or(NoteError::Malformed)?;
    let mut lines = text.split('\n');
    let (Some(first), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
        return Err(NoteError::Malformed);
    };
    if first != origin {
        return Err(NoteError::OtherOrigin);
    }
    let bad_size = size.len() > 1 && size.starts_with('0') || size.starts_with('+');
    let parsed = size.parse().ok().filter(|_| !bad_size).ok_or(NoteError::Malformed)?;
    let root = STANDARD.decode(root).ok().and_then(|bytes| bytes.try_into().ok());
    let root = Digest::new(root.ok_or(NoteError::Malformed)?);
    let signed = format!("{text}\n");
    let id = key_id(origin, key);
    let ours = |line: &str| {
        let encoded = line.strip_prefix("\u{2014} ")?.strip_prefix(origin)?.strip_prefix(' ')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let signature: &[u8; 64] = bytes.strip_prefix(&id)?.try_into().ok()?;
        key.verify_strict(signed.as_bytes(), &Signature::from_bytes(signature)).ok()
    };
    if signatures.lines().any(|line| ours(line).is_some()) {
        Ok(Checkpoint { size: parsed, root, note: note.to_owned() })
    } else {
        Err(NoteError::NotSigned)
    }
}

/// The log's key as verifiers are given it: `origin+id+key`.
#[must_use]
pub fn verifier_key(origin: &str, key: &VerifyingKey) -> String {
    let id = u32::from_be_bytes(key_id(origin, key));
    let mut bytes = vec![ALGORITHM_ED25519];
    bytes.extend_from_slice(key.as_bytes());
    format!("{origin}+{id:08x}+{}", STANDARD.encode(bytes))
}

/// Whether a text can name a log: not empty, no plus sign, no white space.
#[must_use]
pub fn is_origin(origin: &str) -> bool {
    !origin.is_empty()
        && !origin.contains(|c: char| c == '+' || c.is_whitespace() || c.is_control())
}

fn key_id(origin: &str, key: &VerifyingKey) -> [u8; 4] {
    let mut hasher = Sha256::new();
    hasher.update(origin.as_bytes());
    hasher.update([b'\n', ALGORITHM_ED25519]);
    hasher.update(key.as_bytes());
    let hash: [u8; 32] = hasher.finalize().into();
    hash.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_opens_and_nothing_else_does() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let checkpoint = sign("grid.example/log", &key, 12, Digest::new([3; 32]));
        let public = key.verifying_key();
        assert_eq!(open("grid.example/log", &public, &checkpoint.note), Ok(checkpoint.clone()));
        assert_eq!(open("other", &public, &checkpoint.note), Err(NoteError::OtherOrigin));
        let other = SigningKey::from_bytes(&[8; 32]).verifying_key();
        assert_eq!(open("grid.example/log", &other, &checkpoint.note), Err(NoteError::NotSigned));
        let forged = checkpoint.note.replacen("\n12\n", "\n13\n", 1);
        assert_eq!(open("grid.example/log", &public, &forged), Err(NoteError::NotSigned));
        assert_eq!(open("grid.example/log", &public, "x"), Err(NoteError::Malformed));
    }

    #[test]
    fn a_verifier_key_has_the_published_form() {
        // The example of golang.org/x/mod/sumdb/note.
        let bytes = STANDARD.decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
        let key: &[u8; 32] = bytes[1..].try_into().unwrap();
        let key = VerifyingKey::from_bytes(key).unwrap();
        let text = verifier_key("PeterNeumann", &key);
        assert_eq!(text, "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
    }
}
