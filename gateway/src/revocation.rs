//! Whose certificate is believed: the authority's chains and its revocation lists, which are
//! exchanged while the exchange runs.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, UnixTime, pem::PemObject as _,
};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use crate::{
    identity::IdentityError,
    tls::{self, TlsError},
};

/// Believes client certificates that chain to the authority and are in none of its lists. An
/// expired list counts as a refusal: who can keep a new list away must not gain by it.
#[derive(Debug)]
pub struct ClientVerifier {
    path: PathBuf,
    roots: Arc<RootCertStore>,
    hints: Vec<DistinguishedName>,
    current: ArcSwap<Current>,
}

#[derive(Debug)]
struct Current {
    text: Vec<u8>,
    inner: Arc<dyn ClientCertVerifier>,
    /// When the first of the lists expires, in seconds since 1970.
    expires: i64,
}

impl ClientVerifier {
    /// With the authority's certificates and the lists in a file (`crl.pem`).
    ///
    /// # Errors
    /// When the file is missing or holds no lists.
    pub fn load(authority: &[CertificateDer<'static>], path: &Path) -> Result<Arc<Self>, TlsError> {
        let roots = tls::roots(authority)?;
        let current = read(&roots, path)?;
        let hints = current.inner.root_hint_subjects().to_vec();
        let current = ArcSwap::from_pointee(current);
        Ok(Arc::new(Self { path: path.to_owned(), roots, hints, current }))
    }

    /// Takes up the file's lists if they have changed. Says whether they have.
    ///
    /// # Errors
    /// When the file is missing or holds no lists: the old ones go on until they expire.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let text = fs::read(&self.path)
            .map_err(|source| IdentityError::Read { path: self.path.clone(), source })?;
        if text == self.current.load().text {
            return Ok(false);
        }
        self.current.store(Arc::new(read(&self.roots, &self.path)?));
        Ok(true)
    }

    /// Whether a chain that was accepted once still would be.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, chain: &[CertificateDer<'_>]) -> Result<(), Error> {
        let (own, others) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        self.verify_client_cert(own, others, UnixTime::now()).map(|_| ())
    }

    /// Seconds until the first list expires, below zero when it has.
    #[must_use]
    pub fn seconds_left(&self) -> i64 {
        let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
        self.current.load().expires.saturating_sub(now)
    }
}

fn read(roots: &Arc<RootCertStore>, path: &Path) -> Result<Current, TlsError> {
    let text =
        fs::read(path).map_err(|source| IdentityError::Read { path: path.to_owned(), source })?;
    let malformed = || IdentityError::Malformed { path: path.to_owned(), what: "revocation list" };
    let lists: Vec<CertificateRevocationListDer<'static>> =
        CertificateRevocationListDer::pem_slice_iter(&text)
            .collect::<Result<_, _>>()
            .map_err(|_| malformed())?;
    let expiry = |list: &CertificateRevocationListDer<'_>| {
        let (_, parsed) = CertificateRevocationList::from_der(list).ok()?;
        parsed.next_update().map(|update| update.timestamp())
    };
    let expires = lists.iter().map(expiry).min().flatten().ok_or_else(malformed)?;
    let inner = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), tls::provider())
        .with_crls(lists)
        .enforce_revocation_expiration()
        .build()?;
    Ok(Current { text, inner, expires })
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.current.load().inner.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.current.load().inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.current.load().inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current.load().inner.supported_verify_schemes()
    }
}
