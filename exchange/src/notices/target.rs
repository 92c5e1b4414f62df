//! The server behind a webhook: which addresses it may have, and one signed call of it.
//!
//! An exchange stands where others cannot reach. So it connects only to an address that it has looked at
//! itself, never to this machine or its networks unless the registry or the operator says so, and goes
//! nowhere else, whatever the server answers.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use gateway::{
    identity::{self, IdentityError},
    tls::{self, TlsError},
};
use http_body_util::Full;
use hyper::{Request, StatusCode, Uri, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{self, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::Webhook;

/// The address of a webhook, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    text: String,
    authority: String,
    path: String,
    host: String,
    port: u16,
    is_encrypted: bool,
}

impl WebhookUrl {
    /// Reads `https://host[:port][/path]`, or `http` where the host is this machine: nothing else, and no
    /// user, query or fragment, which logs would tell.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let authority = uri.authority()?.as_str().to_owned();
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || uri.query().is_some() || text.contains(['#', '@', ' ']) {
            return None;
        }
        let (is_encrypted, port) = match uri.scheme_str()? {
            "https" => (true, 443),
            "http" if names_this_machine(&host) => (false, 80),
            _ => return None,
        };
        let path = uri.path().to_owned();
        let scheme = if is_encrypted { "https" } else { "http" };
        let text = format!("{scheme}://{authority}{path}");
        let port = uri.port_u16().unwrap_or(port);
        Some(Self { text, authority, path, host, port, is_encrypted })
    }
}

impl std::fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a host is written so that everybody sees that it is this machine.
fn names_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Which addresses a webhook may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Of this machine: it says so.
    Here,
    /// Of the public network.
    Public,
    /// Of the public network or a private one.
    Private,
}

impl Reach {
    fn includes(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Self::Here => address.is_loopback(),
            Self::Public => is_public(address),
            Self::Private => is_public(address) || is_private(address),
        }
    }
}

/// Whether an address is one of a private network (RFC 1918, 4193, 6598).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_private() || matches!(address.octets(), [100, 64..=127, ..])
        }
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

/// Whether an address is one that everybody reaches (the special-purpose registries of IANA).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [198, 18..=19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

/// Of 2000::/3 all but what stands for addresses of IPv4, or for nothing.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // Protocols, Teredo; 6to4; documentation.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x2002, ..] => false,
        [0x3fff, 0..=0x0fff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// Why a webhook cannot be called at all.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The file with its certificate.
    #[error(transparent)]
    Trust(#[from] IdentityError),
    /// The certificate in it.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No certificate can be for its host.
    #[error("`{0}` is no name of a server")]
    Name(String),
}

/// Why a call was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The name stands for no address that may be called.
    #[error("`{0}` has no address that may be called")]
    Forbidden(String),
    /// No connection.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// No answer.
    #[error("no answer in time")]
    Timeout,
    /// Another answer than 2xx. One that leads elsewhere is not followed.
    #[error("answered with status {0}")]
    Status(u16),
}

/// A webhook's server, with what it has to show.
#[derive(Debug)]
pub struct Target {
    url: WebhookUrl,
    reach: Reach,
    tls: Option<(TlsShown, ServerName<'static>)>,
}

/// A connector, which says nothing of itself.
#[derive(Clone)]
struct TlsShown(TlsConnector);

impl std::fmt::Debug for TlsShown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TLS")
    }
}

impl Target {
    /// With what the server is known by, from a file in a folder, or else by the exchange's authority.
    ///
    /// # Errors
    /// When the file or a certificate cannot be used.
    pub fn load(
        webhook: &Webhook,
        folder: &Path,
        authority: &[CertificateDer<'static>],
        private_networks: bool,
    ) -> Result<Self, TargetError> {
        let url = webhook.url.clone();
        let own = webhook.trust.as_deref();
        let own = own.map(|file| identity::load_certificates(&folder.join(file))).transpose()?;
        let tls = if url.is_encrypted {
            let config = tls::client_without_certificate(own.as_deref().unwrap_or(authority))?;
            let name = ServerName::try_from(url.host.clone())
                .map_err(|_| TargetError::Name(url.host.clone()))?;
            Some((TlsShown(TlsConnector::from(Arc::new(config))), name))
        } else {
            None
        };
        let reach = match private_networks {
            _ if names_this_machine(&url.host) => Reach::Here,
            true => Reach::Private,
            false => Reach::Public,
        };
        Ok(Self { url, reach, tls })
    }

    /// The URL that a signature covers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url.text
    }

    /// Posts JSON with headers, all within a time. An answer of 2xx acknowledges it; its body is not read.
    ///
    /// # Errors
    /// When it is not acknowledged; whether it arrived is not known then.
    pub async fn post(
        &self,
        headers: &[(&str, &str)],
        body: Bytes,
        deadline: Duration,
    ) -> Result<(), CallError> {
        let mut request = Request::post(&self.url.path)
            .header(header::HOST, &self.url.authority)
            .header(header::USER_AGENT, "gridcross")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close");
        for &(name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).map_err(|error| unreachable(&error))?;
        let called = async {
            let stream = self.connect().await?;
            match &self.tls {
                None => exchange(stream, request).await,
                Some((connector, name)) => {
                    let stream = connector.0.connect(name.clone(), stream).await;
                    exchange(stream.map_err(|error| unreachable(&error))?, request).await
                }
            }
        };
        match timeout(deadline, called).await.map_err(|_| CallError::Timeout)?? {
            status if status.is_success() => Ok(()),
            status => Err(CallError::Status(status.as_u16())),
        }
    }

    /// Connects to an address that was looked at: nothing asks for the name again in between.
    async fn connect(&self) -> Result<TcpStream, CallError> {
        let WebhookUrl { host, port, .. } = &self.url;
        let found = net::lookup_host((host.as_str(), *port)).await;
        let found = found.map_err(|error| unreachable(&error))?;
        let allowed: Vec<SocketAddr> =
            found.filter(|address| self.reach.includes(address.ip())).collect();
        if allowed.is_empty() {
            return Err(CallError::Forbidden(host.clone()));
        }
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in allowed {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(unreachable(&last))
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<StatusCode, CallError> {
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (mut requests, connection) = shaken.map_err(|error| unreachable(&error))?;
    // It ends when the answer is dropped; what breaks it reaches the answer.
    tokio::spawn(async move { connection.await.ok() });
    let answer = requests.send_request(request).await;
    answer.map(|answer| answer.status()).map_err(|error| unreachable(&error))
}

/// With its cause: a TLS alert lies inside.
fn unreachable(error: &dyn std::error::Error) -> CallError {
    let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
    CallError::Unreachable(format!("{error}{cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_https_or_on_this_machine() {
        for (text, shown) in [
            ("https://hooks.example", Some("https://hooks.example/")),
            ("https://hooks.example:8443/p2p/in", Some("https://hooks.example:8443/p2p/in")),
            ("https://[2a00::1]/a", Some("https://[2a00::1]/a")),
            ("https://10.1.2.3/a", Some("https://10.1.2.3/a")),
            ("http://127.0.0.1:8080/a", Some("http://127.0.0.1:8080/a")),
            ("http://localhost/a", Some("http://localhost/a")),
            ("http://[::1]:8080", Some("http://[::1]:8080/")),
            ("http://hooks.example/a", None),
            ("http://10.1.2.3/a", None),
            ("http://localhost.example/a", None),
            ("https://user@hooks.example/", None),
            ("https://hooks.example/?token=1", None),
            ("https://hooks.example/#a", None),
            ("https:///a", None),
            ("file:///etc/passwd", None),
            ("ftp://hooks.example", None),
            ("hooks.example", None),
            ("", None),
        ] {
            let url = WebhookUrl::parse(text).map(|url| url.to_string());
            assert_eq!(url.as_deref(), shown, "{text}");
        }
    }

    #[test]
    fn addresses_of_this_machine_and_its_networks_are_not_called() {
        let at = |reach: Reach, text: &str| reach.includes(text.parse().unwrap());
        for public in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2a00:1450::1", "::ffff:8.8.8.8"] {
            assert!(at(Reach::Public, public) && at(Reach::Private, public), "{public}");
            assert!(!at(Reach::Here, public), "{public}");
        }
        for private in ["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1"] {
            assert!(!at(Reach::Public, private) && at(Reach::Private, private), "{private}");
        }
        // This machine, the services of a cloud, everybody and nobody, and IPv4 in other clothes.
        for never in [
            "127.0.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "::",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "192.0.2.1",
            "2001:db8::1",
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
            "2001::1",
        ] {
            assert!(!at(Reach::Public, never) && !at(Reach::Private, never), "{never}");
        }
        assert!(at(Reach::Here, "127.0.0.1") && at(Reach::Here, "::1"));
    }
}
