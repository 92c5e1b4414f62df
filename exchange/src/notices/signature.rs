//! HTTP Message Signatures (RFC 9421) as webhooks use them: Ed25519 over what a request says, its body by
//! its digest (RFC 9530).
//!
//! Pure: the time is an argument. Only what is needed here is understood: derived components and headers
//! with one value, no parameters of components.

use core::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// The label of our signature.
pub const LABEL: &str = "gridcross";
/// The headers of a signature.
pub const SIGNATURE_INPUT: &str = "signature-input";
/// Its bytes.
pub const SIGNATURE: &str = "signature";
/// The digest of a body.
pub const CONTENT_DIGEST: &str = "content-digest";

/// The key of an exchange that signs webhooks, and what it is called.
#[derive(Clone)]
pub struct NoticeKey {
    key: SigningKey,
    id: String,
}

impl core::fmt::Debug for NoticeKey {
    /// Without the key.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("NoticeKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl NoticeKey {
    /// The key that follows from the key of the ledger: nothing leads from it back, and what it signs is no
    /// checkpoint.
    #[must_use]
    pub fn beside(ledger: &SigningKey) -> Self {
        Self::of(crate::init::derive_key(&ledger.to_bytes(), "notices"))
    }

    fn of(key: SigningKey) -> Self {
        let digest = Sha256::digest(key.verifying_key().as_bytes());
        let mut id = "notices-".to_owned();
        for byte in digest.iter().take(4) {
            // Writing to a string cannot fail.
            write!(id, "{byte:02x}").ok();
        }
        Self { key, id }
    }

    /// What signatures call it: it begins the hash of the public key, so another key has another name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key that receivers verify with.
    #[must_use]
    pub fn public(&self) -> VerifyingKey {
        self.key.verifying_key()
    }
}

/// A component that a signature covers, with its value: `@method` or the name of a header in small letters.
pub type Component<'a> = (&'a str, &'a str);

/// The values of `Signature-Input` and `Signature`, over components at an instant in seconds since 1970.
#[must_use]
pub fn sign(key: &NoticeKey, components: &[Component<'_>], created: i64) -> (String, String) {
    let params = params(components, created, &format!("keyid=\"{}\";alg=\"ed25519\"", key.id));
    let signature = key.key.sign(base(components, &params).as_bytes());
    let bytes = STANDARD.encode(signature.to_bytes());
    (format!("{LABEL}={params}"), format!("{LABEL}=:{bytes}:"))
}

/// Whether a request with these components was signed with a key: what `Signature-Input` covers must be
/// exactly them. When it was signed is for the caller to judge.
#[must_use]
pub fn signed_at(
    key: &VerifyingKey,
    components: &[Component<'_>],
    (input, signature): (&str, &str),
) -> Option<i64> {
    let params = input.strip_prefix(LABEL)?.strip_prefix('=')?;
    let expected = covered(components);
    let rest = params.strip_prefix(expected.as_str())?.strip_prefix(";created=")?;
    let (created, _) = rest.split_once(';')?;
    let bytes = signature.strip_prefix(LABEL)?.strip_prefix("=:")?.strip_suffix(':')?;
    let signature = Signature::from_slice(&STANDARD.decode(bytes).ok()?).ok()?;
    key.verify_strict(base(components, params).as_bytes(), &signature).ok()?;
    created.parse().ok()
}

/// The value of `Content-Digest`.
#[must_use]
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

fn covered(components: &[Component<'_>]) -> String {
    let names: Vec<_> = components.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    format!("({})", names.join(" "))
}

fn params(components: &[Component<'_>], created: i64, rest: &str) -> String {
    format!("{};created={created};{rest}", covered(components))
}

/// The signature base: what is signed (RFC 9421, 2.5).
fn base(components: &[Component<'_>], params: &str) -> String {
    let mut base = String::new();
    for (name, value) in components {
        // Writing to a string cannot fail.
        writeln!(base, "\"{name}\": {value}").ok();
    }
    base + "\"@signature-params\": " + params
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::pkcs8::DecodePrivateKey as _;

    use super::*;

    /// `test-key-ed25519` of RFC 9421, B.1.4.
    const TEST_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n\
        -----END PRIVATE KEY-----\n";

    /// RFC 9421, B.2.6: signing a request with Ed25519.
    #[test]
    fn the_example_of_the_standard_comes_out_the_same() {
        let components = [
            ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
            ("@method", "POST"),
            ("@path", "/foo"),
            ("@authority", "example.com"),
            ("content-type", "application/json"),
            ("content-length", "18"),
        ];
        let params = params(&components, 1_618_884_473, "keyid=\"test-key-ed25519\"");
        let key = SigningKey::from_pkcs8_pem(TEST_KEY).unwrap();
        let signature = key.sign(base(&components, &params).as_bytes());
        assert_eq!(
            STANDARD.encode(signature.to_bytes()),
            "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
        );
        assert_eq!(
            STANDARD.encode(key.verifying_key().as_bytes()),
            "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="
        );
    }

    /// RFC 9530, appendix D: the digest of a body.
    #[test]
    fn the_digest_of_a_body_is_as_the_standard_has_it() {
        assert_eq!(
            content_digest(b"{\"hello\": \"world\"}\n"),
            "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
        );
    }

    #[test]
    fn a_signature_covers_each_component_and_no_other() {
        let key = NoticeKey::of(SigningKey::from_bytes(&[7; 32]));
        let right =
            [("@method", "POST"), ("@target-uri", "https://a/"), ("gridcross-notice", "17")];
        let (input, signature) = sign(&key, &right, 1_000);
        let at = |components: &[Component<'_>], input: &str, signature: &str| {
            signed_at(&key.public(), components, (input, signature))
        };
        assert_eq!(at(&right, &input, &signature), Some(1_000));
        for (place, value) in [(0, "PUT"), (1, "https://b/"), (2, "18")] {
            let mut wrong = right;
            wrong[place].1 = value;
            assert_eq!(at(&wrong, &input, &signature), None, "{value}");
        }
        assert_eq!(at(&right[..2], &input, &signature), None);
        assert_eq!(at(&right, &input.replace("1000", "1001"), &signature), None);
        assert_eq!(at(&right, &input, &signature.replacen("=:", "=:A", 1)), None);
        let other = NoticeKey::of(SigningKey::from_bytes(&[8; 32]));
        let (_, others) = sign(&other, &right, 1_000);
        assert_eq!(at(&right, &input, &others), None);
        assert_ne!(key.id(), other.id());
    }
}
