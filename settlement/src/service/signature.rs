//! The signature of a request to the ledger service: who sent exactly these bytes, and when.
//!
//! Public rule of the service: Ed25519 over three lines, the times and the BLAKE2b-512 of the raw
//! body. Pure; the key is the one that is registered for the party.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use blake2::{Blake2b512, Digest as _};
use ed25519_dalek::{Signature, Signer as _, SigningKey};
use types::{Party, Timestamp};

use crate::{
    metering::envelope::parse_party,
    registry::{Registry, Signer},
};

/// What the header begins with.
const SCHEME: &str = "Signature ";
/// The only algorithm.
const ALGORITHM: &str = "ed25519";
/// What is signed, and in which order.
const COVERED: &str = "(created) (expires) digest";
/// Longest header: six parameters of at most 100 bytes.
pub const HEADER_BYTES_MAX: usize = 1_024;

/// Why a signature is refused. None of these tells whose key would have been right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureReject {
    /// The header is not of the scheme, lacks a parameter, or has one twice.
    #[error(
        "the header is no `Signature` with keyId, algorithm, created, expires, headers, signature"
    )]
    Malformed,
    /// Nobody of that name has a key that can be used.
    #[error("nobody has this keyId")]
    UnknownKey,
    /// It says that it was made later than now.
    #[error("created lies in the future")]
    NotYet,
    /// It is over.
    #[error("the signature has expired")]
    Expired,
    /// The key did not sign these times and this body.
    #[error("the signature does not fit the times and the body")]
    Invalid,
}

/// A request whose signature was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// Who signed it.
    pub party: Party,
    /// When, in seconds since 1970.
    pub created: i64,
}

/// A header, read and not believed.
struct Header {
    party: Party,
    created: i64,
    expires: i64,
    signature: [u8; 64],
}

impl Header {
    fn parse(text: &str) -> Option<Self> {
        let parameters = text.strip_prefix(SCHEME).filter(|_| text.len() <= HEADER_BYTES_MAX)?;
        let mut values = BTreeMap::new();
        for parameter in parameters.split(',') {
            let (name, value) = parameter.trim().split_once('=')?;
            let value = value.strip_prefix('"')?.strip_suffix('"')?;
            if values.insert(name, value).is_some() {
                return None;
            }
        }
        let mut take = |name: &str| values.remove(name);
        let (key, algorithm) = (take("keyId")?, take("algorithm")?);
        let (created, expires) = (seconds(take("created")?)?, seconds(take("expires")?)?);
        let (headers, signature) = (take("headers")?, take("signature")?);
        let mut key = key.split('|');
        let party = parse_party(key.next()?)?;
        let (_number, of) = (key.next().filter(|number| !number.is_empty())?, key.next()?);
        let is_known = of == ALGORITHM && algorithm == ALGORITHM && headers == COVERED;
        if !is_known || key.next().is_some() || !values.is_empty() {
            return None;
        }
        let signature = STANDARD.decode(signature).ok()?.try_into().ok()?;
        Some(Self { party, created, expires, signature })
    }
}

/// Digits only: neither sign nor space.
fn seconds(text: &str) -> Option<i64> {
    let digits = (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// What is signed.
fn signed_text(created: i64, expires: i64, body: &[u8]) -> String {
    let digest = STANDARD.encode(Blake2b512::digest(body));
    format!("(created): {created}\n(expires): {expires}\ndigest: BLAKE-512={digest}")
}

/// Checks the `Authorization` header of a request against its raw body.
///
/// # Errors
/// The first rule it breaks.
pub fn verify(
    header: &str,
    body: &[u8],
    now: Timestamp,
    registry: &Registry,
) -> Result<Signed, SignatureReject> {
    let header = Header::parse(header).ok_or(SignatureReject::Malformed)?;
    let key = registry.signer(header.party).and_then(|signer: &Signer| signer.key.as_ref());
    let key = key.ok_or(SignatureReject::UnknownKey)?;
    let text = signed_text(header.created, header.expires, body);
    key.verify_strict(text.as_bytes(), &Signature::from_bytes(&header.signature))
        .map_err(|_| SignatureReject::Invalid)?;
    if Timestamp::from_seconds(header.created) > now {
        return Err(SignatureReject::NotYet);
    }
    if Timestamp::from_seconds(header.expires) <= now {
        return Err(SignatureReject::Expired);
    }
    Ok(Signed { party: header.party, created: header.created })
}

/// The `Authorization` header for a body.
#[must_use]
pub fn sign(party: Party, key: &SigningKey, (created, expires): (i64, i64), body: &[u8]) -> String {
    let signature = key.sign(signed_text(created, expires, body).as_bytes());
    format!(
        "{SCHEME}keyId=\"{party}|1|{ALGORITHM}\",algorithm=\"{ALGORITHM}\",created=\"{created}\",\
         expires=\"{expires}\",headers=\"{COVERED}\",signature=\"{}\"",
        STANDARD.encode(signature.to_bytes())
    )
}

#[cfg(test)]
mod tests {
    use types::{PublicKey, Role};

    use super::*;

    const PLATFORM: Party = Party { role: Role::Platform, number: 1 };
    const BODY: &[u8] = br#"{"role":"BUYER","transactionId":"tx-123","orderItemId":"item-1"}"#;
    const TIMES: (i64, i64) = (1_769_000_000, 1_769_000_300);

    fn key() -> SigningKey {
        let seed = STANDARD.decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=").unwrap();
        SigningKey::from_bytes(&seed.try_into().unwrap())
    }

    fn registry() -> Registry {
        let mut registry = Registry::default();
        let key = PublicKey::new(key().verifying_key().to_bytes());
        registry.add_signer(Signer::new(PLATFORM, key));
        registry
    }

    #[test]
    fn the_published_vector() {
        let digest = STANDARD.encode(Blake2b512::digest(BODY));
        assert_eq!(
            digest,
            "9fjFbV1ort+dnMdwFMNPbInP9l036a5/kpBTYB1pfFBHXYIbGW3gvCp/Ro+5e10Gpff5vLyHLlA2zjEJYQImzA=="
        );
        let header = sign(PLATFORM, &key(), TIMES, BODY);
        let signature = "fop0lhkhDwUrJBh7bDmTldUNdnfJjOvdeiaDZSQB9kgSlnZ8nIqeglJiKGu7h39XKEwr6Akh0pCbSsabZ0vTCQ==";
        assert!(header.ends_with(&format!("signature=\"{signature}\"")), "{header}");
        let now = Timestamp::from_seconds(TIMES.0);
        let signed = verify(&header, BODY, now, &registry());
        assert_eq!(signed, Ok(Signed { party: PLATFORM, created: TIMES.0 }));
    }

    #[test]
    fn what_was_not_signed_so_is_refused() {
        let header = sign(PLATFORM, &key(), TIMES, BODY);
        let at = |seconds| Timestamp::from_seconds(seconds);
        let check = |header: &str, body: &[u8], now| verify(header, body, now, &registry());
        assert_eq!(check(&header, BODY, at(TIMES.0 - 1)), Err(SignatureReject::NotYet));
        assert_eq!(check(&header, BODY, at(TIMES.1)), Err(SignatureReject::Expired));
        assert!(check(&header, BODY, at(TIMES.1 - 1)).is_ok());
        assert_eq!(check(&header, b"{}", at(TIMES.0)), Err(SignatureReject::Invalid));
        for (from, to, reject) in [
            ("platform/1", "platform/2", SignatureReject::UnknownKey),
            ("1769000300", "1769000301", SignatureReject::Invalid),
            ("1769000000", "1768999999", SignatureReject::Invalid),
            ("created=\"1769000000\"", "created=\"+1769000000\"", SignatureReject::Malformed),
            ("|ed25519", "|rsa", SignatureReject::Malformed),
            ("(created) (expires) digest", "(created) digest", SignatureReject::Malformed),
            ("algorithm=", "algorithm=\"ed25519\",algorithm=", SignatureReject::Malformed),
            ("expires=", "until=", SignatureReject::Malformed),
            ("Signature ", "Bearer ", SignatureReject::Malformed),
            ("==\"", "=\"", SignatureReject::Malformed),
        ] {
            let bent = header.replacen(from, to, 1);
            assert_ne!(bent, header, "{from}");
            assert_eq!(check(&bent, BODY, at(TIMES.0)), Err(reject), "{from} -> {to}");
        }
    }
}
