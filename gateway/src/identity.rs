//! Who a peer is: key files, certificate files and the party a certificate names.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes, spki::der::pem::LineEnding},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use types::Party;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::authority::{Branch, Holder};

/// Why a key, a certificate or a peer's identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// Other users may read a key.
    #[error("key file `{}` is readable by others (mode {mode:04o}); run: chmod 600 {}", path.display(), path.display())]
    KeyIsOpen {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not PEM of the expected kind.
    #[error("`{}` holds no usable {what}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
    },
    /// A peer's certificate names no party.
    #[error("the certificate names no party as `gridcross://role/number`")]
    NoParty,
    /// A certificate names a party for which its issuer may not speak.
    #[error("the certificate names {party}, but not the branch for that role issued it")]
    OtherBranch {
        /// Whom it names.
        party: Party,
    },
}

/// A certificate chain and the key to it.
#[derive(Debug)]
pub struct Identity {
    /// The chain, own certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key, PKCS#8.
    pub key: PrivateKeyDer<'static>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

impl Identity {
    /// Loads `NAME.crt` and `NAME.key` from `dir`.
    ///
    /// # Errors
    /// When a file is missing or malformed, or the key may be read by others.
    pub fn load(dir: &Path, name: &str) -> Result<Self, IdentityError> {
        let chain = load_certificates(&dir.join(format!("{name}.crt")))?;
        let path = dir.join(format!("{name}.key"));
        let pem = read_key_file(&path)?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| IdentityError::Malformed { path, what: "PKCS#8 private key" })?;
        Ok(Self { chain, key: key.into() })
    }
}

/// Loads every certificate of a PEM file.
///
/// # Errors
/// When the file cannot be read or holds none.
pub fn load_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let pem =
        fs::read(path).map_err(|source| IdentityError::Read { path: path.to_owned(), source })?;
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().unwrap_or_default();
    if certificates.is_empty() {
        return Err(IdentityError::Malformed { path: path.to_owned(), what: "certificate" });
    }
    Ok(certificates)
}

/// Reads a key file after checking that nobody else can.
///
/// # Errors
/// When it cannot be read, or group or others have any permission on it.
pub fn read_key_file(path: &Path) -> Result<String, IdentityError> {
    let read = |source| IdentityError::Read { path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(read)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::KeyIsOpen { path: path.to_owned(), mode });
    }
    fs::read_to_string(path).map_err(read)
}

/// Writes a new key file with mode 0600; never overwrites.
///
/// # Errors
/// When it exists or cannot be written.
pub fn write_key_file(path: &Path, pem: &str) -> Result<(), IdentityError> {
    let write = |source| IdentityError::Write { path: path.to_owned(), source };
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(write)?;
    file.write_all(pem.as_bytes()).map_err(write)
}

/// Loads an Ed25519 signing key.
///
/// # Errors
/// When the file is missing, open to others, or no Ed25519 key in PKCS#8.
pub fn load_signing_key(path: &Path) -> Result<SigningKey, IdentityError> {
    let pem = read_key_file(path)?;
    SigningKey::from_pkcs8_pem(&pem).map_err(|_| IdentityError::Malformed {
        path: path.to_owned(),
        what: "Ed25519 key in PKCS#8",
    })
}

/// The PEM text of an Ed25519 key as PKCS#8 version 1, which every common library reads.
///
/// # Errors
/// Never for a well-formed key; the encoder's signature asks for it.
pub fn signing_key_pem(key: &SigningKey) -> Result<String, ed25519_dalek::pkcs8::Error> {
    let pair = KeypairBytes { secret_key: key.to_bytes(), public_key: None };
    Ok(pair.to_pkcs8_pem(LineEnding::LF)?.to_string())
}

/// The party a verified certificate names, if the branch for its role issued it. The names of the
/// issuers are what the root says, so a branch cannot speak for another role.
///
/// # Errors
/// When it names none or more than one, or another branch issued it.
pub fn party_of(certificate: &CertificateDer<'_>) -> Result<Party, IdentityError> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| IdentityError::NoParty)?;
    let names = parsed.subject_alternative_name().map_err(|_| IdentityError::NoParty)?;
    let mut holders = names
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| if let GeneralName::URI(uri) = name { Some(uri) } else { None })
        .map(|uri| Holder::from_uri(uri));
    let (Some(Some(Holder::Party(party))), None) = (holders.next(), holders.next()) else {
        return Err(IdentityError::NoParty);
    };
    let branch = Branch::Role(party.role).common_name();
    let mut issuers = parsed.issuer().iter_common_name().map(|name| name.as_str());
    match (issuers.next(), issuers.next()) {
        (Some(Ok(issuer)), None) if issuer == branch => Ok(party),
        _ => Err(IdentityError::OtherBranch { party }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_private_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        let key = SigningKey::from_bytes(&[7; 32]);
        write_key_file(&path, &signing_key_pem(&key).unwrap()).unwrap();
        assert_eq!(load_signing_key(&path).unwrap(), key);
        assert!(matches!(write_key_file(&path, "x"), Err(IdentityError::Write { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            load_signing_key(&path),
            Err(IdentityError::KeyIsOpen { mode: 0o644, .. })
        ));
    }
}
