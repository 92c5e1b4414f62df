//! The exchange's certificate authority: one root that signs the server and every participant.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType, date_time_ymd,
    string::Ia5String,
};
use types::Party;

use crate::identity::{self, IdentityError};

/// Why the authority cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The folder for keys cannot be made.
    #[error("cannot create `{}`", path.display())]
    CreateDir {
        /// Which.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// A file of the authority.
    #[error(transparent)]
    File(#[from] IdentityError),
    /// A certificate could not be built.
    #[error("cannot build the certificate of {subject}")]
    Build {
        /// Of whom.
        subject: String,
        /// Cause.
        source: rcgen::Error,
    },
    /// A key could not be encoded.
    #[error("cannot encode the key of {subject}")]
    Key {
        /// Of whom.
        subject: String,
        /// Cause.
        source: ed25519_dalek::pkcs8::Error,
    },
}

/// A certificate authority whose files lie in one folder: `ca.crt`, `ca.key`, and for every
/// identity `NAME.crt` and `NAME.key`.
#[derive(Debug)]
pub struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new authority in `dir`. Refuses to overwrite one.
    ///
    /// # Errors
    /// When files exist or cannot be written.
    pub fn create(dir: &Path) -> Result<Self, AuthorityError> {
        fs::create_dir_all(dir)
            .map_err(|source| AuthorityError::CreateDir { path: dir.to_owned(), source })?;
        let build = |source| AuthorityError::Build { subject: "the authority".to_owned(), source };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(build)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name("gridcross development authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params);
        let certificate = params.self_signed(&key).map_err(build)?;
        identity::write_key_file(&dir.join("ca.key"), &key.serialize_pem())?;
        write_certificate(&dir.join("ca.crt"), &certificate.pem())?;
        Ok(Self { dir: dir.to_owned(), issuer: Issuer::new(params, key) })
    }

    /// Opens the authority in `dir`.
    ///
    /// # Errors
    /// When a file is missing, malformed, or its key may be read by others.
    pub fn open(dir: &Path) -> Result<Self, AuthorityError> {
        let build = |source| AuthorityError::Build { subject: "the authority".to_owned(), source };
        let key_pem = identity::read_key_file(&dir.join("ca.key"))?;
        let key = KeyPair::from_pem(&key_pem).map_err(build)?;
        let path = dir.join("ca.crt");
        let pem =
            fs::read_to_string(&path).map_err(|source| IdentityError::Read { path, source })?;
        let issuer = Issuer::from_ca_cert_pem(&pem, key).map_err(build)?;
        Ok(Self { dir: dir.to_owned(), issuer })
    }

    /// Issues the server's transport certificate, P-256, as `server.crt` and `server.key`.
    ///
    /// # Errors
    /// When files exist or cannot be written.
    pub fn issue_server(&self, host_names: &[&str]) -> Result<(), AuthorityError> {
        let subject = "the server";
        let build = |source| AuthorityError::Build { subject: subject.to_owned(), source };
        let names: Vec<String> = host_names.iter().map(|&host| host.to_owned()).collect();
        let mut params = CertificateParams::new(names).map_err(build)?;
        params.distinguished_name = name("gridcross server");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(build)?;
        self.issue(params, &key, &key.serialize_pem(), "server", subject)
    }

    /// Issues a participant's transport certificate, Ed25519, as `NAME.crt` and `NAME.key`, where
    /// `NAME` is for example `platform-7`. Returns that name.
    ///
    /// # Errors
    /// When files exist or cannot be written.
    pub fn issue_party(&self, party: Party) -> Result<String, AuthorityError> {
        let subject = party.to_string();
        let build = |source| AuthorityError::Build { subject: subject.clone(), source };
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&subject);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let uri = Ia5String::try_from(identity::party_uri(party)).map_err(build)?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(build)?;
        // The generator writes PKCS#8 version 2, which OpenSSL 1.1 and others refuse.
        let pem = SigningKey::from_pkcs8_der(&key.serialize_der())
            .and_then(|signing| identity::signing_key_pem(&signing))
            .map_err(|source| AuthorityError::Key { subject: subject.clone(), source })?;
        let file = file_name(party);
        self.issue(params, &key, &pem, &file, &subject)?;
        Ok(file)
    }

    fn issue(
        &self,
        mut params: CertificateParams,
        key: &KeyPair,
        key_pem: &str,
        file: &str,
        subject: &str,
    ) -> Result<(), AuthorityError> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params);
        let certificate = params
            .signed_by(key, &self.issuer)
            .map_err(|source| AuthorityError::Build { subject: subject.to_owned(), source })?;
        identity::write_key_file(&self.dir.join(format!("{file}.key")), key_pem)?;
        write_certificate(&self.dir.join(format!("{file}.crt")), &certificate.pem())
    }
}

/// Base name of a party's files: `platform-7`.
#[must_use]
pub fn file_name(party: Party) -> String {
    format!("{}-{}", party.role.name(), party.number)
}

/// A development authority is valid for a fixed decade, so that it works whatever the clock says.
fn set_validity(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2035, 1, 1);
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

fn write_certificate(path: &Path, pem: &str) -> Result<(), AuthorityError> {
    fs::write(path, pem)
        .map_err(|source| IdentityError::Write { path: path.to_owned(), source }.into())
}

#[cfg(test)]
mod tests {
    use types::Role;

    use super::*;
    use crate::identity::{Identity, party_of};

    #[test]
    fn an_authority_reopens_and_its_certificates_name_parties() {
        let dir = tempfile::tempdir().unwrap();
        Authority::create(dir.path()).unwrap();
        assert!(Authority::create(dir.path()).is_err(), "never overwrites");
        let authority = Authority::open(dir.path()).unwrap();
        authority.issue_server(&["localhost"]).unwrap();
        let party = Party { role: Role::Retailer, number: 3 };
        let file = authority.issue_party(party).unwrap();
        assert_eq!(file, "retailer-3");
        let identity = Identity::load(dir.path(), &file).unwrap();
        assert_eq!(party_of(&identity.chain[0]).unwrap(), party);
        let server = Identity::load(dir.path(), "server").unwrap();
        assert!(matches!(party_of(&server.chain[0]), Err(IdentityError::NoParty)));
    }
}
