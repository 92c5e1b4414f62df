//! What stands in a certificate and in a revocation list.

use std::{fs, path::Path};

use jiff::Timestamp as Instant;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, RevocationReason, RevokedCertParams, SanType,
    SerialNumber, string::Ia5String,
};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use super::{AuthorityError, Branch, Holder, Issued, Purpose, Reason, Validity};
use crate::identity::{self, IdentityError};

/// Common name of the root.
const ROOT_NAME: &str = "gridcross root authority";

/// A certificate that may sign others, with its key, P-256.
#[derive(Debug)]
pub(super) struct Issuer {
    inner: rcgen::Issuer<'static, KeyPair>,
    key_pem: String,
    /// Its own certificate as PEM, sent with every certificate it signs; empty for the root, which
    /// everybody has.
    chain: String,
}

impl Issuer {
    /// A new root and its certificate.
    pub(super) fn root(validity: Validity) -> Result<(Self, String), AuthorityError> {
        let build = building(ROOT_NAME);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(&build)?;
        let mut params = authority(ROOT_NAME, 1);
        params.serial_number = Some(serial(ROOT_NAME, 0, &key));
        set_validity(&mut params, validity);
        let pem = params.self_signed(&key).map_err(&build)?.pem();
        let key_pem = key.serialize_pem();
        let inner = rcgen::Issuer::new(params, key);
        Ok((Self { inner, key_pem, chain: String::new() }, pem))
    }

    /// A new branch, its certificate and that one's serial number.
    pub(super) fn branch(
        &self,
        branch: Branch,
        validity: Validity,
    ) -> Result<(Self, String, String), AuthorityError> {
        let name = branch.common_name();
        let build = building(&name);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(&build)?;
        let mut params = authority(&name, 0);
        params.use_authority_key_identifier_extension = true;
        let number = serial(&name, 0, &key);
        let hexadecimal = hex(&number.to_bytes());
        params.serial_number = Some(number);
        set_validity(&mut params, validity);
        let pem = params.signed_by(&key, &self.inner).map_err(&build)?.pem();
        let key_pem = key.serialize_pem();
        let inner = rcgen::Issuer::new(params, key);
        Ok((Self { inner, key_pem, chain: pem.clone() }, pem, hexadecimal))
    }

    /// Loads `NAME.crt` and `NAME.key`.
    pub(super) fn load(dir: &Path, name: &str) -> Result<Self, AuthorityError> {
        let build = building(name);
        let key_pem = identity::read_key_file(&dir.join(format!("{name}.key")))?;
        let key = KeyPair::from_pem(&key_pem).map_err(&build)?;
        let path = dir.join(format!("{name}.crt"));
        let chain =
            fs::read_to_string(&path).map_err(|source| IdentityError::Read { path, source })?;
        let inner = rcgen::Issuer::from_ca_cert_pem(&chain, key).map_err(&build)?;
        Ok(Self { inner, key_pem, chain })
    }

    pub(super) fn write_key(&self, dir: &Path, name: &str) -> Result<(), AuthorityError> {
        Ok(identity::write_key_file(&dir.join(format!("{name}.key")), &self.key_pem)?)
    }

    /// Signs a certificate. Gives the chain that its holder sends, as PEM, and the serial number.
    pub(super) fn certify(
        &self,
        mut params: CertificateParams,
        public: &impl PublicKeyData,
        holder: Holder,
        count: usize,
        validity: Validity,
    ) -> Result<(String, String), AuthorityError> {
        let number = serial(&holder.uri(), count, public);
        let hexadecimal = hex(&number.to_bytes());
        params.serial_number = Some(number);
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, validity);
        let certificate =
            params.signed_by(public, &self.inner).map_err(building(&holder.to_string()))?;
        Ok((format!("{}{}", certificate.pem(), self.chain), hexadecimal))
    }

    /// A signed list of what was taken back, as PEM.
    pub(super) fn revocation_list<'a>(
        &self,
        revoked: impl Iterator<Item = &'a Issued>,
        number: u64,
        validity: Validity,
    ) -> Result<String, AuthorityError> {
        let revoked_certs = revoked
            .filter_map(|issued| {
                let taken_back = issued.revoked?;
                Some(RevokedCertParams {
                    serial_number: SerialNumber::from_slice(&unhex(&issued.serial)?),
                    revocation_time: date(taken_back.at),
                    reason_code: Some(reason(taken_back.reason)),
                    invalidity_date: None,
                })
            })
            .collect();
        let params = CertificateRevocationListParams {
            this_update: date(validity.from),
            next_update: date(validity.until),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params
            .signed_by(&self.inner)
            .and_then(|list| list.pem())
            .map_err(building("a revocation list"))
    }
}

/// What stands in the server's certificate.
pub(super) fn server(host_names: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let names: Vec<String> = host_names.iter().map(|&host| host.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = common_name("gridcross server");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

/// What stands in a client's certificate. One to sign with has no extended usage for a connection,
/// so no connection accepts it.
pub(super) fn client(holder: Holder, purpose: Purpose) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(&holder.to_string());
    let uri = Ia5String::try_from(holder.uri())?;
    params.subject_alt_names = vec![SanType::URI(uri)];
    match purpose {
        Purpose::Transport => {
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }
        Purpose::Signing => {
            params.key_usages = vec![KeyUsagePurpose::ContentCommitment];
            params.extended_key_usages =
                vec![ExtendedKeyUsagePurpose::Other(DOCUMENT_SIGNING.to_vec())];
        }
    }
    Ok(params)
}

/// Key purpose "document signing", RFC 9336: 1.3.6.1.5.5.7.3.36.
const DOCUMENT_SIGNING: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 3, 36];

fn authority(name: &str, path_length: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn set_validity(params: &mut CertificateParams, validity: Validity) {
    params.not_before = date(validity.from);
    params.not_after = date(validity.until);
}

fn date(instant: Instant) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(instant.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A serial number that no other certificate of this authority has: 16 bytes of a hash over the
/// name, how many were issued before, and the key.
fn serial(name: &str, count: usize, public: &impl PublicKeyData) -> SerialNumber {
    let mut hash = Sha256::new();
    hash.update(b"gridcross serial v1\0");
    hash.update(name.as_bytes());
    hash.update(b"\0");
    hash.update(count.to_string().as_bytes());
    hash.update(b"\0");
    hash.update(public.der_bytes());
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash.finalize()).for_each(|(byte, hashed)| *byte = hashed);
    // Positive, and as long as every other.
    bytes[0] = bytes[0] & 0x3f | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pair = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}

const fn reason(reason: Reason) -> RevocationReason {
    match reason {
        Reason::Unspecified => RevocationReason::Unspecified,
        Reason::KeyCompromise => RevocationReason::KeyCompromise,
        Reason::Superseded => RevocationReason::Superseded,
        Reason::CessationOfOperation => RevocationReason::CessationOfOperation,
        Reason::PrivilegeWithdrawn => RevocationReason::PrivilegeWithdrawn,
    }
}

fn building(what: &str) -> impl Fn(rcgen::Error) -> AuthorityError {
    let what = what.to_owned();
    move |source| AuthorityError::Build { what: what.clone(), source }
}
