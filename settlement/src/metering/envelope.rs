//! The signed envelope around every document: who signed, the bytes, the signature.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use types::{Digest, Party, Role};

use super::DocumentReject;
use crate::registry::Registry;

/// First bytes of what is signed.
pub const DOMAIN: &[u8] = b"gridcross-document-v1\0";

/// Longest document: 100,000 meters at 100 bytes each in base64, rounded up to 16 MiB.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    signer: Cow<'a, str>,
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
    /// What was signed.
    pub body: Vec<u8>,
}

/// Signs a body and puts it into an envelope.
#[must_use]
pub fn seal(signer: Party, key: &SigningKey, body: &[u8]) -> Vec<u8> {
    let signature = key.sign(&signed_bytes(signer, body));
    // Three plain strings always serialise.
    format!(
        r#"{{"signer":"{signer}","body":"{}","signature":"{}"}}"#,
        STANDARD.encode(body),
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
    let body = STANDARD.decode(envelope.body.as_bytes()).map_err(|_| DocumentReject::Malformed)?;
    let signature: [u8; 64] = STANDARD
        .decode(envelope.signature.as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(DocumentReject::Malformed)?;
    let signer = registry.signer(party).ok_or(DocumentReject::UnknownSigner)?;
    let key = signer.key.as_ref().ok_or(DocumentReject::KeyUnusable)?;
    key.verify_strict(&signed_bytes(party, &body), &Signature::from_bytes(&signature))
        .map_err(|_| DocumentReject::SignatureInvalid)?;
    Ok(Opened { signer: party, body })
}

fn signed_bytes(signer: Party, body: &[u8]) -> Vec<u8> {
    let name = signer.to_string();
    [DOMAIN, name.as_bytes(), b"\0", body].concat()
}

/// `retailer/1`, and nothing that merely means the same, such as `retailer/01`.
fn parse_party(text: &str) -> Option<Party> {
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
        assert_eq!(opened, Opened { signer: RETAILER, body: b"\x00body".to_vec() });
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
