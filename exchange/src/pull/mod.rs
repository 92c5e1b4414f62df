//! The exchange asks retailers and utilities for readings that verification waits for.
//!
//! [`plan`] decides, without a clock: when a round is due, which party is asked, how long it waits and
//! rests. `paper` is what is said: pages of missing readings, and the signed documents in an answer.
//! `call` is one request over HTTPS, and `round` all of them, side by side. What is answered goes the way
//! of pushed documents into the pipeline.

mod call;
mod paper;
pub mod plan;
mod round;
mod status;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use gateway::Identity;
use rustls_pki_types::CertificateDer;
use types::Party;

pub use self::{
    call::Callable,
    paper::PATH,
    plan::PullOptions,
    round::Pull,
    status::{PullRow, PullRows},
};

/// Where a party answers, as the registry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Who signs what is answered there.
    pub party: Party,
    /// `https://host[:port][/path]`.
    pub url: Url,
    /// PEM file in the data directory with the certificate that the server shows, or the authority
    /// that issued it; without one, the exchange's own authority did.
    pub trust: Option<PathBuf>,
}

/// The address of an endpoint, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    host: String,
    port: u16,
    path: String,
}

impl Url {
    /// Reads `https://host[:port][/path]`: nothing else, and no user, query or fragment.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let uri: hyper::Uri = text.parse().ok()?;
        let authority = uri.authority()?;
        let is_plain = uri.scheme_str() == Some("https")
            && uri.query().is_none()
            && !text.contains(['#', '@', ' ']);
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        (is_plain && !host.is_empty()).then(|| Self {
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(443),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port, path } = self;
        if host.contains(':') {
            write!(f, "https://[{host}]:{port}{path}")
        } else {
            write!(f, "https://{host}:{port}{path}")
        }
    }
}

/// What rounds are made with.
#[derive(Debug)]
pub struct Parts {
    /// How, and how patiently.
    pub options: PullOptions,
    /// Whom to ask.
    pub endpoints: Vec<(Endpoint, Arc<Callable>)>,
    /// What the pauses are drawn from.
    pub seed: u64,
}

impl Parts {
    /// Loads what the endpoints' servers are known by, from `folder`. The exchange shows `identity`.
    ///
    /// # Errors
    /// When a certificate file cannot be read or used.
    pub fn load(
        options: PullOptions,
        (folder, endpoints): (&Path, &[Endpoint]),
        identity: &Identity,
        authority: &[CertificateDer<'static>],
        seed: u64,
    ) -> Result<Self, gateway::tls::TlsError> {
        let mut loaded = Vec::new();
        for endpoint in endpoints {
            let own = endpoint.trust.as_deref();
            let own = own.map(|file| gateway::identity::load_certificates(&folder.join(file)));
            let own = own.transpose()?;
            let trust = own.as_deref().unwrap_or(authority);
            let callable = Callable::new(endpoint.url.clone(), identity, trust)?;
            loaded.push((endpoint.clone(), Arc::new(callable)));
        }
        Ok(Self { options, endpoints: loaded, seed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_and_nothing_more() {
        for (text, shown) in [
            ("https://meters.example", Some("https://meters.example:443")),
            ("https://meters.example/", Some("https://meters.example:443")),
            ("https://meters.example:8443/p2p/", Some("https://meters.example:8443/p2p")),
            ("https://[::1]:9/a", Some("https://[::1]:9/a")),
            ("http://meters.example", None),
            ("https://user@meters.example", None),
            ("https://meters.example/?a=1", None),
            ("https://meters.example/#a", None),
            ("https:///p2p", None),
            ("meters.example", None),
            ("", None),
        ] {
            let url = Url::parse(text).map(|url| url.to_string());
            assert_eq!(url.as_deref(), shown, "{text}");
        }
    }
}
