//! Signed checkpoints in the formats of C2SP signed-note, tlog-checkpoint and tlog-cosignature.
//!
//! A log signs the text of a checkpoint with Ed25519 (type 1). A witness signs the same text with a
//! time before it (type 4). Whoever reads a note says whose keys count; lines of others are skipped.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use types::Digest;

/// Longest checkpoint file that is read: origin, size, root and about a hundred signatures.
pub const NOTE_BYTES_MAX: usize = 16_384;

/// Longest name of a log or witness.
pub const NAME_BYTES_MAX: usize = 255;

/// What a line of a signature begins with.
const SIGNATURE_MARK: &str = "\u{2014} ";

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
    /// A line says that a known key signed it, and that key did not.
    #[error("a signature by a known key does not verify")]
    BadSignature,
    /// Not a key that verifies notes.
    #[error("this is no key of a log or a witness: NAME+ID+KEY is expected")]
    BadKey,
}

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// Checkpoints of its own log.
    Log,
    /// Checkpoints of others, with the time: a witness.
    Witness,
}

impl KeyKind {
    /// The type in key ids and verifier keys.
    const fn code(self) -> u8 {
        match self {
            Self::Log => 1,
            Self::Witness => 4,
        }
    }
}

/// A key as verifiers are given it: `name+id+key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    /// Whose: the origin of a log, the name of a witness.
    pub name: String,
    /// What it signs.
    pub kind: KeyKind,
    /// The key.
    pub key: VerifyingKey,
}

impl VerifierKey {
    /// The key of a log.
    #[must_use]
    pub fn of_log(origin: &str, key: VerifyingKey) -> Self {
        Self { name: origin.to_owned(), kind: KeyKind::Log, key }
    }

    /// The key of a witness.
    #[must_use]
    pub fn of_witness(name: &str, key: VerifyingKey) -> Self {
        Self { name: name.to_owned(), kind: KeyKind::Witness, key }
    }

    /// Reads `name+id+key`.
    ///
    /// # Errors
    /// When it is something else, the id is not that of the key, or the key is weak.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(NoteError::BadKey);
        };
        let bytes = STANDARD.decode(encoded).map_err(|_| NoteError::BadKey)?;
        let (&code, key) = bytes.split_first().ok_or(NoteError::BadKey)?;
        let kinds = [KeyKind::Log, KeyKind::Witness];
        let kind = kinds.into_iter().find(|kind| kind.code() == code).ok_or(NoteError::BadKey)?;
        let key: &[u8; 32] = key.try_into().map_err(|_| NoteError::BadKey)?;
        let key = VerifyingKey::from_bytes(key).map_err(|_| NoteError::BadKey)?;
        let parsed = Self { name: name.to_owned(), kind, key };
        let is_usable = is_origin(name) && !key.is_weak();
        if is_usable && parsed.to_string() == text && id.len() == 8 {
            Ok(parsed)
        } else {
            Err(NoteError::BadKey)
        }
    }

    /// The first bytes of the hash of name, type and key: what signature lines name keys by.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let mut hasher = Sha256::new();
        hasher.update(self.name.as_bytes());
        hasher.update([b'\n', self.kind.code()]);
        hasher.update(self.key.as_bytes());
        let hash: [u8; 32] = hasher.finalize().into();
        hash.first_chunk().copied().unwrap_or_default()
    }

    /// Whether a line is by this key, and if so since when (of a witness, in seconds since 1970).
    ///
    /// # Errors
    /// When the line names this key, and the key did not sign the text.
    pub fn verify(&self, text: &str, line: &SignatureLine<'_>) -> Result<Option<u64>, NoteError> {
        if line.name != self.name || line.id != self.id() {
            return Ok(None);
        }
        let (time, bytes, signed) = match self.kind {
            KeyKind::Log => (0, line.bytes.as_slice(), text.to_owned()),
            KeyKind::Witness => {
                let (time, bytes) =
                    line.bytes.split_first_chunk::<8>().ok_or(NoteError::BadSignature)?;
                let time = u64::from_be_bytes(*time);
                (time, bytes, cosigned_text(time, text))
            }
        };
        let signature: &[u8; 64] = bytes.try_into().map_err(|_| NoteError::BadSignature)?;
        self.key
            .verify_strict(signed.as_bytes(), &Signature::from_bytes(signature))
            .map_err(|_| NoteError::BadSignature)?;
        Ok(Some(time))
    }
}

impl core::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut bytes = vec![self.kind.code()];
        bytes.extend_from_slice(self.key.as_bytes());
        let id = u32::from_be_bytes(self.id());
        write!(f, "{}+{id:08x}+{}", self.name, STANDARD.encode(bytes))
    }
}

/// A signature under a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine<'a> {
    /// Whose.
    pub name: &'a str,
    /// By which of their keys.
    pub id: [u8; 4],
    /// The signature; of a witness, after its time.
    pub bytes: Vec<u8>,
    /// The line as it stands, without its end.
    pub line: &'a str,
}

impl<'a> SignatureLine<'a> {
    /// Reads one line.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (id, bytes) = bytes.split_first_chunk::<4>()?;
        (is_origin(name) && !bytes.is_empty()).then(|| Self {
            name,
            id: *id,
            bytes: bytes.to_vec(),
            line,
        })
    }
}

/// A signed checkpoint, taken apart. Nothing is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note<'a> {
    /// What is signed: origin, size and root, each on a line.
    pub text: &'a str,
    /// The log.
    pub origin: &'a str,
    /// How many leaves.
    pub size: u64,
    /// Their root.
    pub root: Digest,
    /// Who says so.
    pub signatures: Vec<SignatureLine<'a>>,
}

impl<'a> Note<'a> {
    /// Takes a note apart.
    ///
    /// # Errors
    /// When it is not a signed checkpoint in its one spelling.
    pub fn parse(note: &'a str) -> Result<Self, NoteError> {
        let is_plain = |c: char| c == '\n' || !c.is_control();
        if note.len() > NOTE_BYTES_MAX || !note.chars().all(is_plain) {
            return Err(NoteError::Malformed);
        }
        let end = note.rfind("\n\n").ok_or(NoteError::Malformed)?.saturating_add(1);
        let (text, rest) = note.split_at_checked(end).ok_or(NoteError::Malformed)?;
        let lines = rest.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n'));
        let signatures: Option<Vec<_>> =
            lines.ok_or(NoteError::Malformed)?.split('\n').map(SignatureLine::parse).collect();
        let signatures = signatures.ok_or(NoteError::Malformed)?;
        let mut body = text.strip_suffix('\n').ok_or(NoteError::Malformed)?.split('\n');
        let (Some(origin), Some(size), Some(root)) = (body.next(), body.next(), body.next()) else {
            return Err(NoteError::Malformed);
        };
        if body.any(str::is_empty) || !is_origin(origin) {
            return Err(NoteError::Malformed);
        }
        let size = decimal(size).ok_or(NoteError::Malformed)?;
        let root = hash_from(root).ok_or(NoteError::Malformed)?;
        Ok(Self { text, origin, size, root, signatures })
    }

    /// Whether a key signed it, and of a witness when, in seconds since 1970.
    ///
    /// # Errors
    /// When a line says so falsely.
    pub fn signed_by(&self, key: &VerifierKey) -> Result<Option<u64>, NoteError> {
        let mut found = None;
        for line in &self.signatures {
            found = key.verify(self.text, line)?.or(found);
        }
        Ok(found)
    }
}

/// A number as the formats write it: decimal, without sign and leading zeros.
#[must_use]
pub fn decimal(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain && is_short)
}

/// A hash as the formats write it.
#[must_use]
pub fn hash_from(text: &str) -> Option<Digest> {
    let bytes: [u8; 32] = STANDARD.decode(text).ok()?.try_into().ok()?;
    Some(Digest::new(bytes))
}

/// A hash as the formats write it.
#[must_use]
pub fn hash_text(hash: &Digest) -> String {
    STANDARD.encode(hash.as_bytes())
}

/// Signs a checkpoint.
#[must_use]
pub fn sign(origin: &str, key: &SigningKey, size: u64, root: Digest) -> Checkpoint {
    let text = format!("{origin}\n{size}\n{}\n", hash_text(&root));
    let mut bytes = VerifierKey::of_log(origin, key.verifying_key()).id().to_vec();
    bytes.extend_from_slice(&key.sign(text.as_bytes()).to_bytes());
    let note = format!("{text}\n{SIGNATURE_MARK}{origin} {}\n", STANDARD.encode(bytes));
    Checkpoint { size, root, note }
}

/// A witness' signature line over the text of a checkpoint, with its end. `time` is in seconds since
/// 1970.
#[must_use]
pub fn cosign(name: &str, key: &SigningKey, time: u64, text: &str) -> String {
    let mut bytes = VerifierKey::of_witness(name, key.verifying_key()).id().to_vec();
    bytes.extend_from_slice(&time.to_be_bytes());
    bytes.extend_from_slice(&key.sign(cosigned_text(time, text).as_bytes()).to_bytes());
    format!("{SIGNATURE_MARK}{name} {}\n", STANDARD.encode(bytes))
}

/// What a witness signs.
fn cosigned_text(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// Reads a checkpoint and checks the log's signature.
///
/// # Errors
/// When it is malformed, of another log, or not signed by `key`.
pub fn open(origin: &str, key: &VerifyingKey, note: &str) -> Result<Checkpoint, NoteError> {
    open_by(&VerifierKey::of_log(origin, *key), note)
}

/// As [`open`], with the key as verifiers have it.
///
/// # Errors
/// As there.
pub fn open_by(log: &VerifierKey, note: &str) -> Result<Checkpoint, NoteError> {
    let parsed = Note::parse(note)?;
    if parsed.origin != log.name {
        return Err(NoteError::OtherOrigin);
    }
    match parsed.signed_by(log) {
        Ok(Some(_)) if log.kind == KeyKind::Log => {
            Ok(Checkpoint { size: parsed.size, root: parsed.root, note: note.to_owned() })
        }
        Ok(_) | Err(_) => Err(NoteError::NotSigned),
    }
}

/// The log's key as verifiers are given it: `origin+id+key`.
#[must_use]
pub fn verifier_key(origin: &str, key: &VerifyingKey) -> String {
    VerifierKey::of_log(origin, *key).to_string()
}

/// Whether a text can name a log: not empty, no plus sign, no white space.
#[must_use]
pub fn is_origin(origin: &str) -> bool {
    !origin.is_empty()
        && origin.len() <= NAME_BYTES_MAX
        && !origin.contains(|c: char| c == '+' || c.is_whitespace() || c.is_control())
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

    #[test]
    fn keys_have_one_spelling() {
        let key = SigningKey::from_bytes(&[7; 32]).verifying_key();
        for known in [VerifierKey::of_log("a/log", key), VerifierKey::of_witness("w", key)] {
            let text = known.to_string();
            assert_eq!(VerifierKey::parse(&text), Ok(known));
            for (at, _) in text.char_indices() {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1;
                let other = String::from_utf8(bytes).unwrap();
                assert_eq!(VerifierKey::parse(&other), Err(NoteError::BadKey), "{other}");
            }
        }
    }

    #[test]
    fn a_witness_signs_text_and_time() {
        let log = SigningKey::from_bytes(&[7; 32]);
        let witness = SigningKey::from_bytes(&[8; 32]);
        let mut note = sign("grid.example/log", &log, 12, Digest::new([3; 32])).note;
        let line = cosign("w.example", &witness, 1_700_000_000, Note::parse(&note).unwrap().text);
        note.push_str(&line);
        let parsed = Note::parse(&note).unwrap();
        let known = VerifierKey::of_witness("w.example", witness.verifying_key());
        assert_eq!(parsed.signed_by(&known), Ok(Some(1_700_000_000)));
        let log_key = VerifierKey::of_log("grid.example/log", log.verifying_key());
        assert_eq!(open_by(&log_key, &note).unwrap().size, 12);
        let other = VerifierKey::of_witness("v.example", witness.verifying_key());
        assert_eq!(parsed.signed_by(&other), Ok(None));
        let mut later = SignatureLine::parse(line.trim_end()).unwrap();
        later.bytes[7] ^= 1;
        assert_eq!(known.verify(parsed.text, &later), Err(NoteError::BadSignature));
    }

    #[test]
    fn notes_have_one_spelling() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let note = sign("grid.example/log", &key, 12, Digest::new([3; 32])).note;
        for (from, to) in [
            ("\n12\n", "\n012\n"),
            ("\n12\n", "\n+12\n"),
            ("\n12\n", "\n12\r\n"),
            ("\n\n", "\n"),
            ("\u{2014} ", "- "),
            ("=\n\n", "\n\n"),
            ("grid.example/log\n", "grid example\n"),
        ] {
            let other = note.replacen(from, to, 1);
            assert_eq!(Note::parse(&other), Err(NoteError::Malformed), "{other:?}");
        }
        assert_eq!(Note::parse(note.trim_end()), Err(NoteError::Malformed));
    }
}
