//! TLS 1.3 with both sides authenticated by the exchange's own authority.

use std::sync::Arc;

use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    server::VerifierBuilderError,
    version::TLS13,
};
use rustls_pki_types::CertificateDer;

use crate::{
    identity::{Identity, IdentityError},
    revocation::ClientVerifier,
};

/// Why a TLS configuration cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate or key does not fit.
    #[error("the certificate or key cannot be used for TLS")]
    Rustls(#[from] rustls::Error),
    /// The authority's file of revocation lists.
    #[error(transparent)]
    Lists(#[from] IdentityError),
    /// The authority cannot verify clients.
    #[error("the authority's certificate cannot verify clients")]
    Verifier(#[from] VerifierBuilderError),
    /// The cipher suites lack what QUIC needs.
    #[error("the cipher suites lack what QUIC needs")]
    Quic(#[from] NoInitialCipherSuite),
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

pub(crate) fn roots(
    authority: &[CertificateDer<'static>],
) -> Result<Arc<RootCertStore>, rustls::Error> {
    let mut store = RootCertStore::empty();
    for certificate in authority {
        store.add(certificate.clone())?;
    }
    Ok(Arc::new(store))
}

/// The server's side over QUIC: demands a certificate that the verifier believes. No early data.
///
/// # Errors
/// When the identity cannot be used.
pub fn server(
    identity: &Identity,
    verifier: Arc<ClientVerifier>,
    protocols: &[&[u8]],
) -> Result<QuicServerConfig, TlsError> {
    Ok(QuicServerConfig::try_from(server_config(identity, verifier, protocols)?)?)
}

/// The server's side over TCP, as over QUIC.
///
/// # Errors
/// When the identity cannot be used.
pub fn server_config(
    identity: &Identity,
    verifier: Arc<ClientVerifier>,
    protocols: &[&[u8]],
) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config.max_early_data_size = 0;
    Ok(config)
}

/// The server's side over TCP for callers that seal what they send and show no certificate: events of
/// payment rails.
///
/// # Errors
/// When the identity cannot be used.
pub fn server_without_clients(identity: &Identity) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
    config.alpn_protocols = vec![crate::https::HTTP1.to_vec()];
    config.max_early_data_size = 0;
    Ok(config)
}

/// Their side: trusts only the authority, shows no certificate.
///
/// # Errors
/// When the authority cannot be used.
pub fn client_without_certificate(
    authority: &[CertificateDer<'static>],
) -> Result<ClientConfig, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots(authority)?)
        .with_no_client_auth();
    config.alpn_protocols = vec![crate::https::HTTP1.to_vec()];
    Ok(config)
}

/// A client's side over QUIC: trusts only the authority, shows its own certificate.
///
/// # Errors
/// When the identity or the authority cannot be used.
pub fn client(
    identity: &Identity,
    authority: &[CertificateDer<'static>],
    protocol: &[u8],
) -> Result<QuicClientConfig, TlsError> {
    Ok(QuicClientConfig::try_from(client_config(identity, authority, &[protocol])?)?)
}

/// A client's side over TCP, as over QUIC.
///
/// # Errors
/// When the identity or the authority cannot be used.
pub fn client_config(
    identity: &Identity,
    authority: &[CertificateDer<'static>],
    protocols: &[&[u8]],
) -> Result<ClientConfig, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots(authority)?)
        .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config.enable_early_data = false;
    Ok(config)
}
