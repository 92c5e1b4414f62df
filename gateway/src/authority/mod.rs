//! The exchange's certificate authority: a root, a branch for each kind of holder, the certificates
//! they issue and the lists of those taken back.
//!
//! Its files lie in one folder: `ca.crt` and `ca.key` (the root), `BRANCH-ca.crt` and `.key`,
//! `NAME.crt` and `NAME.key` for every holder, `register.json` (what was issued) and `crl.pem` (what
//! was revoked, one list for each issuer). The root's key is needed only to make branches and to
//! revoke them: it can be kept elsewhere, `Authority::open` does not ask for it.

mod build;
mod holder;
mod register;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use ed25519_dalek::{SigningKey, VerifyingKey, pkcs8::DecodePrivateKey};
use jiff::{SignedDuration, Timestamp as Instant};
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData as _, SubjectPublicKeyInfo,
};
use rustls_pki_types::CertificateDer;
use types::Party;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use self::{build::Issuer, register::replace_file};
pub use self::{
    holder::{Branch, Holder, Purpose, UnknownHolder},
    register::{Issued, Reason, Register, RegisterError, Revoked},
};
use crate::identity::{self, IdentityError};

/// Name of the file with every issuer's revocation list.
pub const REVOCATION_FILE: &str = "crl.pem";
/// Name of the register.
pub const REGISTER_FILE: &str = "register.json";
/// Base name of the root's files.
const ROOT: &str = "ca";

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
    /// Its register.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// A certificate or list could not be built.
    #[error("cannot build {what}")]
    Build {
        /// What.
        what: String,
        /// Cause.
        source: rcgen::Error,
    },
    /// A key could not be encoded.
    #[error("cannot encode the key of {holder}")]
    Key {
        /// Of whom.
        holder: String,
        /// Cause.
        source: ed25519_dalek::pkcs8::Error,
    },
    /// A request for a certificate is not usable.
    #[error("the request for {holder} is not usable: {why}")]
    BadRequest {
        /// For whom.
        holder: Holder,
        /// Why.
        why: String,
    },
    /// There is a valid certificate already.
    #[error("{holder} has a valid {} certificate; `renew` or `revoke` it", purpose.name())]
    AlreadyIssued {
        /// Whose.
        holder: Holder,
        /// What for.
        purpose: Purpose,
    },
    /// There is no certificate to renew or revoke.
    #[error("{wanted} has no certificate that is not revoked; `gridcross ca list` shows all")]
    NotIssued {
        /// Whose, or which.
        wanted: String,
    },
    /// Branches are made with the authority.
    #[error("{holder} is a branch of the authority, which only `ca init` makes")]
    IsBranch {
        /// Which.
        holder: Holder,
    },
}

/// From when until when something is valid, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first instant.
    pub from: Instant,
    /// The last instant.
    pub until: Instant,
}

impl Validity {
    /// For so many days from now. It begins an hour early, because clocks differ.
    #[must_use]
    pub fn days(now: Instant, days: u32) -> Self {
        let seconds = |seconds| Instant::from_second(seconds).unwrap_or(Instant::MAX);
        let now = now.as_second();
        Self {
            from: seconds(now.saturating_sub(3_600)),
            until: seconds(now.saturating_add(i64::from(days).saturating_mul(86_400))),
        }
    }

    /// A development authority is valid for a fixed decade, 2025 to 2035, so that it works whatever
    /// the clock says.
    #[must_use]
    pub fn development() -> Self {
        let year = |seconds| Instant::from_second(seconds).unwrap_or(Instant::MAX);
        Self { from: year(1_735_689_600), until: year(2_051_222_400) }
    }
}

/// Where a certificate's key comes from.
#[derive(Debug, Clone, Copy)]
pub enum KeySource<'a> {
    /// A new key, written beside the certificate.
    New,
    /// The key of a certificate signing request (PKCS#10, PEM): its holder keeps the private half.
    Request(&'a str),
}

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    dir: PathBuf,
    branches: Vec<(Branch, Issuer)>,
    /// Only there when the authority was just made, or its key is in the folder.
    root: Option<Issuer>,
    register: Register,
}

impl Authority {
    /// Makes a new authority in `dir` with all its branches and empty revocation lists, all valid
    /// for the same time. Refuses to overwrite one.
    ///
    /// # Errors
    /// When files exist or cannot be written.
    pub fn create(dir: &Path, validity: Validity) -> Result<Self, AuthorityError> {
        fs::create_dir_all(dir)
            .map_err(|source| AuthorityError::CreateDir { path: dir.to_owned(), source })?;
        let (root, pem) = Issuer::root(validity)?;
        root.write_key(dir, ROOT)?;
        write_certificate(dir, ROOT, &pem)?;
        let mut register = Register::default();
        let mut branches = Vec::new();
        for branch in Branch::ALL {
            let holder = Holder::Branch(branch);
            let (issuer, pem, serial) = root.branch(branch, validity)?;
            issuer.write_key(dir, &holder.file_name())?;
            write_certificate(dir, &holder.file_name(), &pem)?;
            register.certificates.push(issued(serial, holder, Purpose::Signing, validity));
            branches.push((branch, issuer));
        }
        let mut authority = Self { dir: dir.to_owned(), branches, root: Some(root), register };
        authority.write_lists(validity)?;
        Ok(authority)
    }

    /// Opens the authority in `dir`.
    ///
    /// # Errors
    /// When a file is missing, malformed, or a key may be read by others.
    pub fn open(dir: &Path) -> Result<Self, AuthorityError> {
        let register = Register::load(&dir.join(REGISTER_FILE))?;
        let mut branches = Vec::new();
        for branch in Branch::ALL {
            branches.push((branch, Issuer::load(dir, &Holder::Branch(branch).file_name())?));
        }
        let has_root = dir.join(format!("{ROOT}.key")).exists();
        let root = has_root.then(|| Issuer::load(dir, ROOT)).transpose()?;
        Ok(Self { dir: dir.to_owned(), branches, root, register })
    }

    /// Everything issued so far, oldest first.
    #[must_use]
    pub fn certificates(&self) -> &[Issued] {
        &self.register.certificates
    }

    /// Issues the server's transport certificate, P-256, for these host names.
    ///
    /// # Errors
    /// When it has one, or files cannot be written.
    pub fn issue_server(
        &mut self,
        host_names: &[&str],
        validity: Validity,
    ) -> Result<Issued, AuthorityError> {
        let holder = Holder::Server;
        self.refuse_second(holder, Purpose::Transport, validity)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(building(holder))?;
        identity::write_key_file(&self.path("server", "key"), &key.serialize_pem())?;
        let params = build::server(host_names).map_err(building(holder))?;
        self.certify(holder, Purpose::Transport, params, &key, validity)
    }

    /// Issues a party's or prosumer's certificate, Ed25519, as `NAME.crt` or `NAME.signing.crt`,
    /// and for a new key its file.
    ///
    /// # Errors
    /// When the holder has a valid one for the purpose, the request is not usable, or files exist
    /// or cannot be written.
    pub fn issue(
        &mut self,
        holder: Holder,
        purpose: Purpose,
        key: KeySource<'_>,
        validity: Validity,
    ) -> Result<Issued, AuthorityError> {
        self.refuse_second(holder, purpose, validity)?;
        let public = match key {
            KeySource::New => self.new_key(holder, purpose)?,
            KeySource::Request(pem) => requested_key(holder, pem)?,
        };
        let params = build::client(holder, purpose).map_err(building(holder))?;
        self.certify(holder, purpose, params, &public, validity)
    }

    /// Issues a certificate for the same key and names as the holder's last one, which stays valid
    /// until it expires.
    ///
    /// # Errors
    /// When there is none that is not revoked, or files cannot be written.
    pub fn renew(
        &mut self,
        holder: Holder,
        purpose: Purpose,
        validity: Validity,
    ) -> Result<Issued, AuthorityError> {
        let known = |issued: &Issued| {
            issued.holder == holder && issued.purpose == purpose && issued.revoked.is_none()
        };
        if !self.register.certificates.iter().any(known) {
            return Err(AuthorityError::NotIssued { wanted: holder.to_string() });
        }
        let path = self.path(&purpose.file_name(holder), "crt");
        let malformed = || IdentityError::Malformed { path: path.clone(), what: "certificate" };
        let chain = identity::load_certificates(&path)?;
        let (public, hosts) = chain.first().and_then(key_and_hosts).ok_or_else(malformed)?;
        let params = match holder {
            Holder::Server => build::server(&hosts.iter().map(String::as_str).collect::<Vec<_>>()),
            Holder::Branch(_) | Holder::Party(_) | Holder::Meter(_) => {
                build::client(holder, purpose)
            }
        };
        self.certify(holder, purpose, params.map_err(building(holder))?, &public, validity)
    }

    /// Takes back every certificate of a holder for one purpose, and writes the revocation lists.
    ///
    /// # Errors
    /// When there is none, the key of its issuer is not here, or files cannot be written.
    pub fn revoke(
        &mut self,
        holder: Holder,
        purpose: Purpose,
        revoked: Revoked,
        lists: Validity,
    ) -> Result<usize, AuthorityError> {
        let mut count = 0_usize;
        for issued in &mut self.register.certificates {
            if issued.holder == holder && issued.purpose == purpose && issued.revoked.is_none() {
                issued.revoked = Some(revoked);
                count = count.saturating_add(1);
            }
        }
        if count == 0 {
            return Err(AuthorityError::NotIssued { wanted: holder.to_string() });
        }
        self.write_lists(lists)?;
        Ok(count)
    }

    /// Writes the revocation list of every issuer whose key is here, valid for this time, into one
    /// file. A running exchange takes it up by itself.
    ///
    /// # Errors
    /// When it cannot be written. Nothing has changed then.
    pub fn write_lists(&mut self, validity: Validity) -> Result<(), AuthorityError> {
        let number = self.register.lists.saturating_add(1);
        let mut text = String::new();
        let of = |branch: Option<Branch>| {
            self.register.certificates.iter().filter(move |issued| {
                issued.revoked.is_some() && issued.holder.issued_by() == branch
            })
        };
        match &self.root {
            Some(root) => text.push_str(&root.revocation_list(of(None), number, validity)?),
            // Without its key the root's last list goes on.
            None => text.push_str(&self.last_list_of_root()?),
        }
        for (branch, issuer) in &self.branches {
            text.push_str(&issuer.revocation_list(of(Some(*branch)), number, validity)?);
        }
        self.register.lists = number;
        self.register.save(&self.dir.join(REGISTER_FILE))?;
        let path = self.dir.join(REVOCATION_FILE);
        replace_file(&path, text.as_bytes())
            .map_err(|source| IdentityError::Write { path, source }.into())
    }

    fn last_list_of_root(&self) -> Result<String, AuthorityError> {
        const END: &str = "-----END X509 CRL-----\n";
        let path = self.dir.join(REVOCATION_FILE);
        let text = fs::read_to_string(&path)
            .map_err(|source| IdentityError::Read { path: path.clone(), source })?;
        let (first, _) = text
            .split_once(END)
            .ok_or(IdentityError::Malformed { path, what: "revocation list" })?;
        Ok(format!("{first}{END}"))
    }

    fn refuse_second(
        &self,
        holder: Holder,
        purpose: Purpose,
        validity: Validity,
    ) -> Result<(), AuthorityError> {
        if matches!(holder, Holder::Branch(_)) {
            return Err(AuthorityError::IsBranch { holder });
        }
        // The hour by which validity begins early is not over at its start.
        let now =
            validity.from.saturating_add(SignedDuration::from_hours(1)).unwrap_or(Instant::MAX);
        let has_one = |issued: &Issued| {
            issued.holder == holder && issued.purpose == purpose && issued.is_valid_at(now)
        };
        if self.register.certificates.iter().any(has_one) {
            return Err(AuthorityError::AlreadyIssued { holder, purpose });
        }
        Ok(())
    }

    /// A new key in a file of its own.
    fn new_key(
        &self,
        holder: Holder,
        purpose: Purpose,
    ) -> Result<SubjectPublicKeyInfo, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(building(holder))?;
        // The generator writes PKCS#8 version 2, which OpenSSL 1.1 and others refuse.
        let pem = SigningKey::from_pkcs8_der(&key.serialize_der())
            .and_then(|signing| identity::signing_key_pem(&signing))
            .map_err(|source| AuthorityError::Key { holder: holder.to_string(), source })?;
        let path = self.path(&purpose.file_name(holder), "key");
        identity::write_key_file(&path, &pem)?;
        SubjectPublicKeyInfo::from_pem(&key.public_key_pem()).map_err(building(holder))
    }

    /// Signs, enters and writes a certificate.
    fn certify(
        &mut self,
        holder: Holder,
        purpose: Purpose,
        params: rcgen::CertificateParams,
        public: &impl rcgen::PublicKeyData,
        validity: Validity,
    ) -> Result<Issued, AuthorityError> {
        let branch = holder.issued_by().ok_or(AuthorityError::IsBranch { holder })?;
        let (_, issuer) = self
            .branches
            .iter()
            .find(|(of, _)| *of == branch)
            .ok_or(AuthorityError::IsBranch { holder })?;
        let count = self.register.certificates.len();
        let (pem, serial) = issuer.certify(params, public, holder, count, validity)?;
        let issued = issued(serial, holder, purpose, validity);
        self.register.certificates.push(issued.clone());
        self.register.save(&self.dir.join(REGISTER_FILE))?;
        write_certificate(&self.dir, &purpose.file_name(holder), &pem)?;
        Ok(issued)
    }

    fn path(&self, name: &str, extension: &str) -> PathBuf {
        self.dir.join(format!("{name}.{extension}"))
    }
}

/// Until when signatures of parties count, as the register in `dir` says: to the end of the last of their
/// certificates to sign with, or until it was revoked. Who was never given one is not in it.
///
/// # Errors
/// When the register is missing or holds something else.
pub fn signing_until(dir: &Path) -> Result<BTreeMap<Party, Instant>, RegisterError> {
    let mut until = BTreeMap::new();
    for issued in Register::load(&dir.join(REGISTER_FILE))?.certificates {
        if let (Holder::Party(party), Purpose::Signing) = (issued.holder, issued.purpose) {
            let end = issued.revoked.map_or(issued.not_after, |revoked| revoked.at);
            let last = until.entry(party).or_insert(end);
            *last = end.min(issued.not_after).max(*last);
        }
    }
    Ok(until)
}

/// Base name of a party's transport files: `platform-7`.
#[must_use]
pub fn file_name(party: Party) -> String {
    Holder::Party(party).file_name()
}

fn issued(serial: String, holder: Holder, purpose: Purpose, validity: Validity) -> Issued {
    let Validity { from: not_before, until: not_after } = validity;
    Issued { serial, holder, purpose, not_before, not_after, revoked: None }
}

fn building(holder: Holder) -> impl Fn(rcgen::Error) -> AuthorityError {
    move |source| AuthorityError::Build { what: format!("the certificate of {holder}"), source }
}

/// The key of a request whose signature shows that the sender has its private half. Its names are
/// not taken over: whose certificate it becomes is the authority's decision.
fn requested_key(holder: Holder, pem: &str) -> Result<SubjectPublicKeyInfo, AuthorityError> {
    let bad = |why: String| AuthorityError::BadRequest { holder, why };
    let request = rcgen::CertificateSigningRequestParams::from_pem(pem)
        .map_err(|error| bad(error.to_string()))?;
    let key = <[u8; 32]>::try_from(request.public_key.der_bytes())
        .ok()
        .filter(|_| *request.public_key.algorithm() == PKCS_ED25519)
        .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
        .ok_or_else(|| bad("its key is not Ed25519".to_owned()))?;
    if key.is_weak() {
        return Err(bad("its key is weak: every signature would fit it".to_owned()));
    }
    SubjectPublicKeyInfo::from_der(&request.public_key.subject_public_key_info())
        .map_err(building(holder))
}

/// The public key of a certificate and the host names in it.
fn key_and_hosts(
    certificate: &CertificateDer<'static>,
) -> Option<(SubjectPublicKeyInfo, Vec<String>)> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let public = SubjectPublicKeyInfo::from_der(parsed.public_key().raw).ok()?;
    let names = parsed.subject_alternative_name().ok().flatten();
    let hosts = names
        .into_iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| {
            if let GeneralName::DNSName(host) = name { Some((*host).to_owned()) } else { None }
        })
        .collect();
    Some((public, hosts))
}

fn write_certificate(dir: &Path, name: &str, pem: &str) -> Result<(), AuthorityError> {
    let path = dir.join(format!("{name}.crt"));
    replace_file(&path, pem.as_bytes())
        .map_err(|source| IdentityError::Write { path, source }.into())
}

#[cfg(test)]
mod tests;
