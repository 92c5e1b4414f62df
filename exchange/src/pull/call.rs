//! One request to an endpoint, over a connection of its own.

use std::{error::Error, sync::Arc};

use gateway::{
    Identity,
    tls::{self, TlsError},
};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{Request, StatusCode, body::Bytes, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, rustls::ClientConfig};

use super::{PATH, Url, paper};

const JSON: &str = "application/json";

/// An endpoint with what its server has to show.
#[derive(Debug)]
pub struct Callable {
    url: Url,
    tls: Arc<ClientConfig>,
}

/// Why a request has no answer that counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    #[error("no answer in time")]
    Timeout,
    #[error("answered with status {0}")]
    Status(u16),
    #[error("the answer is too large")]
    TooLarge,
    #[error("the answer is not what was asked for")]
    Malformed,
}

impl CallError {
    /// The word in rows.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Timeout => "timeout",
            Self::Status(_) => "status",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
        }
    }

    /// Whether the same request can have another answer in a moment.
    pub(super) const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Timeout => true,
            Self::Status(status) => matches!(*status, 408 | 425 | 429 | 500..=599),
            Self::TooLarge | Self::Malformed => false,
        }
    }
}

impl Callable {
    /// A server that `trust` issued a certificate for, or that shows `trust` itself; the exchange
    /// shows `identity`.
    ///
    /// # Errors
    /// When a certificate cannot be used.
    pub fn new(
        url: Url,
        identity: &Identity,
        trust: &[CertificateDer<'static>],
    ) -> Result<Self, TlsError> {
        let config = tls::client_config(identity, trust, &[b"http/1.1"])?;
        Ok(Self { url, tls: Arc::new(config) })
    }

    /// Posts a page and gives the documents of the answer; none where there is nothing yet.
    pub(super) async fn post(
        &self,
        page: Bytes,
        answer_bytes_max: usize,
    ) -> Result<Vec<Vec<u8>>, CallError> {
        let answer = self.send(page).await?;
        match answer.status() {
            StatusCode::NO_CONTENT => return Ok(Vec::new()),
            StatusCode::OK => {}
            other => return Err(CallError::Status(other.as_u16())),
        }
        // What is packed could be a bomb: nothing was asked for that may be.
        let is_packed = answer.headers().contains_key(header::CONTENT_ENCODING);
        let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_json = kind.and_then(|kind| kind.split(';').next()).map(str::trim) == Some(JSON);
        if is_packed || !is_json {
            return Err(CallError::Malformed);
        }
        let body = Limited::new(answer.into_body(), answer_bytes_max).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() { CallError::TooLarge } else { unreachable(&*error) }
        })?;
        paper::documents(&body.to_bytes()).ok_or(CallError::Malformed)
    }

    async fn send(&self, page: Bytes) -> Result<hyper::Response<Incoming>, CallError> {
        let Url { host, port, path } = &self.url;
        let name = ServerName::try_from(host.clone()).map_err(|error| unreachable(&error))?;
        let stream = TcpStream::connect((host.as_str(), *port));
        let stream = stream.await.map_err(|error| unreachable(&error))?;
        let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream);
        let stream = tls.await.map_err(|error| unreachable(&error))?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (mut requests, connection) = shaken.map_err(|error| unreachable(&error))?;
        // It ends with the request, or when the answer is dropped; what breaks it reaches them.
        tokio::spawn(async move { connection.await.ok() });
        let authority = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let request = Request::post(format!("{path}{PATH}"))
            .header(header::HOST, format!("{authority}:{port}"))
            .header(header::USER_AGENT, "gridcross")
            .header(header::CONTENT_TYPE, JSON)
            .header(header::ACCEPT, JSON)
            .header(header::ACCEPT_ENCODING, "identity")
            .header(header::CONNECTION, "close")
            .body(Full::new(page))
            .map_err(|error| unreachable(&error))?;
        requests.send_request(request).await.map_err(|error| unreachable(&error))
    }
}

/// With every cause: a TLS alert lies deep inside.
fn unreachable(error: &(dyn Error + 'static)) -> CallError {
    let mut words = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    words.dedup();
    CallError::Unreachable(words.join(": "))
}
