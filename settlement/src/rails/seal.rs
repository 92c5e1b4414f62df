//! Seals: who sent a message, over its bytes as they came, with a time and a number.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use types::Timestamp;

/// What a signature begins with: of this use only.
const DOMAIN: &[u8] = b"gridcross-rail-v1\0";

/// Shortest shared secret, in bytes.
pub const SECRET_BYTES_MIN: usize = 32;

/// A message with its seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The sender's clock, in seconds since 1970.
    pub timestamp: i64,
    /// The number of the message.
    pub number: String,
    /// The message, byte for byte.
    pub body: Vec<u8>,
    /// `hmac-sha256=` or `ed25519=`, and base64.
    pub signature: String,
}

impl Sealed {
    fn text(timestamp: i64, number: &str, body: &[u8]) -> Vec<u8> {
        let time = timestamp.to_string();
        [DOMAIN, time.as_bytes(), b"\0", number.as_bytes(), b"\0", body].concat()
    }
}

/// Why a message is not taken for the sender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealReject {
    /// It names another kind of signature, or none that can be read.
    #[error("the signature cannot be read")]
    Unreadable,
    /// It is not the sender's, or not over these bytes.
    #[error("the signature is not valid")]
    Invalid,
    /// The sender's clock is too far from ours: it may be a replay.
    #[error("the time of the message is not within the window")]
    Stale,
}

/// Who seals.
#[derive(Clone)]
pub enum Signer {
    /// A shared secret.
    Hmac(Vec<u8>),
    /// A key of its own.
    Ed25519(Box<SigningKey>),
}

impl core::fmt::Debug for Signer {
    /// Without the secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Hmac(_) => "Hmac",
            Self::Ed25519(_) => "Ed25519",
        })
    }
}

impl Signer {
    /// Seals a message. A secret of any length serves; short ones are refused where they are read.
    #[must_use]
    pub fn seal(&self, timestamp: i64, number: &str, body: Vec<u8>) -> Sealed {
        let text = Sealed::text(timestamp, number, &body);
        let signature = match self {
            Self::Hmac(secret) => match mac(secret, &text) {
                Some(mac) => {
                    format!("hmac-sha256={}", STANDARD.encode(mac.finalize().into_bytes()))
                }
                None => String::new(),
            },
            Self::Ed25519(key) => {
                format!("ed25519={}", STANDARD.encode(key.sign(&text).to_bytes()))
            }
        };
        Sealed { timestamp, number: number.to_owned(), body, signature }
    }

    /// What checks these seals.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        match self {
            Self::Hmac(secret) => Verifier::Hmac(secret.clone()),
            Self::Ed25519(key) => Verifier::Ed25519(key.verifying_key()),
        }
    }
}

/// Who checks seals.
#[derive(Clone)]
pub enum Verifier {
    /// A shared secret.
    Hmac(Vec<u8>),
    /// The sender's key.
    Ed25519(VerifyingKey),
}

impl core::fmt::Debug for Verifier {
    /// Without the secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Hmac(_) => "Hmac",
            Self::Ed25519(_) => "Ed25519",
        })
    }
}

impl Verifier {
    /// Checks the signature. Whether the message is fresh is [`within`]'s question.
    ///
    /// # Errors
    /// When it is not the sender's over these bytes.
    pub fn check(&self, sealed: &Sealed) -> Result<(), SealReject> {
        let Sealed { timestamp, number, body, signature } = sealed;
        let (name, text) = signature.split_once('=').ok_or(SealReject::Unreadable)?;
        let bytes = STANDARD.decode(text).map_err(|_| SealReject::Unreadable)?;
        let signed = Sealed::text(*timestamp, number, body);
        match (self, name) {
            (Self::Hmac(secret), "hmac-sha256") => mac(secret, &signed)
                .ok_or(SealReject::Invalid)?
                // In constant time.
                .verify_slice(&bytes)
                .map_err(|_| SealReject::Invalid),
            (Self::Ed25519(key), "ed25519") => {
                let signature =
                    Signature::from_slice(&bytes).map_err(|_| SealReject::Unreadable)?;
                key.verify_strict(&signed, &signature).map_err(|_| SealReject::Invalid)
            }
            (Self::Hmac(_) | Self::Ed25519(_), _) => Err(SealReject::Unreadable),
        }
    }
}

/// Whether a message's time is at most `window_s` seconds from `now`, either way.
///
/// # Errors
/// When it is further away.
pub fn within(sealed: &Sealed, now: Timestamp, window_s: u32) -> Result<(), SealReject> {
    let seconds = now.ns().div_euclid(1_000_000_000);
    if seconds.abs_diff(sealed.timestamp) > u64::from(window_s) {
        return Err(SealReject::Stale);
    }
    Ok(())
}

/// HMAC takes keys of any length.
fn mac(secret: &[u8], text: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(text);
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signers() -> [Signer; 2] {
        [Signer::Hmac(vec![7; 32]), Signer::Ed25519(Box::new(SigningKey::from_bytes(&[7; 32])))]
    }

    #[test]
    fn every_part_of_a_message_is_sealed() {
        for signer in signers() {
            let good = signer.seal(1_000, "e-1", b"{\"a\":1}".to_vec());
            let verifier = signer.verifier();
            assert_eq!(verifier.check(&good), Ok(()));
            let forged = [
                Sealed { timestamp: 1_001, ..good.clone() },
                Sealed { number: "e-2".to_owned(), ..good.clone() },
                Sealed { body: b"{\"a\":2}".to_vec(), ..good.clone() },
            ];
            for forged in forged {
                assert_eq!(verifier.check(&forged), Err(SealReject::Invalid));
            }
            for text in ["", "none", "hmac-sha256=?", "ed25519=AAAA", "rsa=AAAA"] {
                let forged = Sealed { signature: text.to_owned(), ..good.clone() };
                assert!(verifier.check(&forged).is_err(), "{text}");
            }
        }
        let [one, other] = signers();
        let sealed = one.seal(1, "e", Vec::new());
        assert_eq!(other.verifier().check(&sealed), Err(SealReject::Unreadable));
    }

    #[test]
    fn the_window_has_two_sides() {
        let now = Timestamp::from_seconds(10_000);
        let at = |timestamp| signers()[0].seal(timestamp, "e", Vec::new());
        for (timestamp, fresh) in [(9_700, true), (10_300, true), (9_699, false), (10_301, false)] {
            assert_eq!(within(&at(timestamp), now, 300).is_ok(), fresh, "{timestamp}");
        }
        assert_eq!(within(&at(i64::MIN), now, 300), Err(SealReject::Stale));
    }
}
