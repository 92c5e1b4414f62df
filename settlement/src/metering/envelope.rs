//! The signed envelope around every document: who signed, the bytes, the signature.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use types::{Digest, Party, Role};

use super::{DocumentReject, formats::Format};
use crate::registry::Registry;

/// First bytes of what is signed.
pub const DOMAIN: &[u8] = b"gridcross-document-v1\0";

/// First bytes of what is signed around a meter file of another system.
pub const FILE_DOMAIN: &[u8] = b"gridcross-meter-file-v1\0";

/// Longest document: 100,000 meters at 100 bytes each in base64, rounded up to 16 MiB.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    signer: Cow<'a, str>,
    #[serde(borrow, default)]
    format: Option<Cow<'a, str>>,
    #[serde(default)]
    revision: Option<u32>,
    #[serde(borrow)]
    body: Cow<'a, str>,
    #[serde(borrow)]
    signature: Cow<'a, str>,
}

/// A body whose signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Who signed it.
    pub signer: Party,
    /// What the signature says of the body, if it is a meter file of another system.
    pub file: Option<FileHead>,
    /// What was signed.
    pub body: Vec<u8>,
}

/// What is signed besides the bytes of a meter file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHead {
    /// In which format the file is.
    pub format: Format,
    /// Which version of these readings, from 1 upwards.
    pub revision: u32,
}

/// Signs a body and puts it into an envelope.
#[must_use]
pub fn seal(signer: Party, key: &SigningKey, body: &[u8]) -> Vec<u8> {
    let signature = key.sign(&signed_bytes(signer, None, body));
    // Three plain strings always serialise.
    format!(
        r#"{{"signer":"{signer}","body":"{}","signature":"{}"}}"#,
        STANDARD.encode(body),
        STANDARD.encode(signature.to_bytes())
    )
    .into_bytes()
}

/// Signs the exact bytes of a meter file and puts them into an envelope.
#[must_use]
pub fn seal_file(signer: Party, key: &SigningKey, head: FileHead, file: &[u8]) -> Vec<u8> {
    let signature = key.sign(&signed_bytes(signer, Some(head), file));
    format!(
        r#"{{"signer":"{signer}","format":"{}","revision":{},"body":"{}","signature":"{}"}}"#,
        head.format.name(),
        head.revision,
        STANDARD.encode(file),
        STANDARD.encode(signature.to_bytes())
    )
    .into_bytes()
}

/// The digest by which a document is known: SHA-256 of its bytes.
#[must_use]
pub fn digest(document: &[u8]) -> Digest {
    Digest::new(Sha256::digest(document).into())
}

/// Opens an envelope and checks its signature.
///
/// # Errors
/// The first rule it breaks.
pub fn open(document: &[u8], registry: &Registry) -> Result<Opened, DocumentReject> {
    if document.len() > DOCUMENT_BYTES_MAX {
        return Err(DocumentReject::TooLarge);
    }
    let envelope: Envelope<'_> =
        serde_json::from_slice(document).map_err(|_| DocumentReject::Malformed)?;
    let party = parse_party(&envelope.signer).ok_or(DocumentReject::Malformed)?;
    let file = file_head(envelope.format.as_deref(), envelope.revision)?;
    let body = STANDARD.decode(envelope.body.as_bytes()).map_err(|_| DocumentReject::Malformed)?;
    let signature: [u8; 64] = STANDARD
        .decode(envelope.signature.as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(DocumentReject::Malformed)?;
    let signer = registry.signer(party).ok_or(DocumentReject::UnknownSigner)?;
    let key = signer.key.as_ref().ok_or(DocumentReject::KeyUnusable)?;
    key.verify_strict(&signed_bytes(party, file, &body), &Signature::from_bytes(&signature))
        .map_err(|_| DocumentReject::SignatureInvalid)?;
    Ok(Opened { signer: party, file, body })
}

/// Format and revision stand there together, or neither.
fn file_head(
    format: Option<&str>,
    revision: Option<u32>,
) -> Result<Option<FileHead>, DocumentReject> {
    match (format, revision) {
        (None, None) => Ok(None),
        (Some(name), Some(revision @ 1..)) => match Format::from_name(name) {
            Some(format) if format != Format::Signed => Ok(Some(FileHead { format, revision })),
            Some(_) | None => Err(DocumentReject::Malformed),
        },
        (Some(_), Some(0) | None) | (None, Some(_)) => Err(DocumentReject::Malformed),
    }
}

fn signed_bytes(signer: Party, file: Option<FileHead>, body: &[u8]) -> Vec<u8> {
    let name = signer.to_string();
    match file {
        None => [DOMAIN, name.as_bytes(), b"\0", body].concat(),
        Some(FileHead { format, revision }) => {
            let head = format!("{name}\0{}\0{revision}\0", format.name());
            [FILE_DOMAIN, head.as_bytes(), body].concat()
        }
    }
}

/// `retailer/1`, and nothing that merely means the same, such as `retailer/01`.
#[must_use]
pub fn parse_party(text: &str) -> Option<Party> {
    let (role, number) = text.split_once('/')?;
    let party = Party { role: Role::from_name(role)?, number: number.parse().ok()? };
    (party.to_string() == text).then_some(party)
}

#[cfg(test)]
mod tests {
    use types::PublicKey;

    use super::*;
    use crate::registry::Signer;

    const RETAILER: Party = Party { role: Role::Retailer, number: 1 };

    fn registry() -> (SigningKey, Registry) {
        let key = SigningKey::from_bytes(&[1; 32]);
        let mut registry = Registry::default();
        registry.add_signer(Signer::new(RETAILER, PublicKey::new(key.verifying_key().to_bytes())));
        (key, registry)
    }

    #[test]
    fn what_was_sealed_opens() {
        let (key, registry) = registry();
        let opened = open(&seal(RETAILER, &key, b"\x00body"), &registry).unwrap();
        assert_eq!(opened, Opened { signer: RETAILER, file: None, body: b"\x00body".to_vec() });
        let head = FileHead { format: Format::Nem12, revision: 3 };
        let file = seal_file(RETAILER, &key, head, b"100,NEM12");
        assert_eq!(open(&file, &registry).unwrap().file, Some(head));
        let text = String::from_utf8(file).unwrap();
        let refused = |from, to| open(text.replace(from, to).as_bytes(), &registry).unwrap_err();
        assert_eq!(refused(":3,", ":4,"), DocumentReject::SignatureInvalid);
        assert_eq!(refused("nem12", "green_button"), DocumentReject::SignatureInvalid);
        assert_eq!(refused("nem12", "signed"), DocumentReject::Malformed);
        assert_eq!(refused(":3,", ":0,"), DocumentReject::Malformed);
        assert_eq!(refused("\"revision\":3,", ""), DocumentReject::Malformed);
        let no_head = text.replace("\"format\":\"nem12\",\"revision\":3,", "");
        let not_a_document = open(no_head.as_bytes(), &registry);
        assert_eq!(not_a_document, Err(DocumentReject::SignatureInvalid));
    }

    #[test]
    fn envelopes_that_lie_are_refused() {
        let (key, registry) = registry();
        let text = String::from_utf8(seal(RETAILER, &key, b"body")).unwrap();
        let refused = |text: &str| open(text.as_bytes(), &registry).unwrap_err();
        assert_eq!(refused("{}"), DocumentReject::Malformed);
        assert_eq!(refused(&format!("{text} x")), DocumentReject::Malformed);
        assert_eq!(refused(&text.replace("{\"", "{\"x\":1,\"")), DocumentReject::Malformed);
        let twice = text.replace("{\"", "{\"signer\":\"retailer/1\",\"");
        assert_eq!(refused(&twice), DocumentReject::Malformed);
        assert_eq!(refused(&text.replace("er/1", "er/01")), DocumentReject::Malformed);
        assert_eq!(refused(&text.replace("er/1", "er/2")), DocumentReject::UnknownSigner);
        let other = text.replace(&STANDARD.encode(b"body"), &STANDARD.encode(b"bodz"));
        assert_eq!(refused(&other), DocumentReject::SignatureInvalid);
        let wrong_key = SigningKey::from_bytes(&[2; 32]);
        let forged = seal(RETAILER, &wrong_key, b"body");
        assert_eq!(open(&forged, &registry), Err(DocumentReject::SignatureInvalid));
        let long = vec![b' '; DOCUMENT_BYTES_MAX + 1];
        assert_eq!(open(&long, &registry), Err(DocumentReject::TooLarge));
        let at_bound = vec![b' '; DOCUMENT_BYTES_MAX];
        assert_eq!(open(&at_bound, &registry), Err(DocumentReject::Malformed));
    }

    #[test]
    fn a_weak_key_verifies_nothing() {
        let mut registry = Registry::default();
        // The neutral element: under it, plain verification accepts one signature for any message.
        let mut identity = [0; 32];
        identity[0] = 1;
        registry.add_signer(Signer::new(RETAILER, PublicKey::new(identity)));
        let mut signature = [0; 64];
        signature[0] = 1;
        let text = format!(
            r#"{{"signer":"retailer/1","body":"","signature":"{}"}}"#,
            STANDARD.encode(signature)
        );
        assert_eq!(open(text.as_bytes(), &registry), Err(DocumentReject::KeyUnusable));
    }
}
