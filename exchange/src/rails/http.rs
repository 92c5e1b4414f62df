//! HTTP as rails and their events need it: one request on a connection, small bodies, deadlines; and
//! a listener for either side.

use std::{io, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use bytes::Bytes;
use gateway::tls;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, Uri, client::conn::http1, header};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use rustls_pki_types::{CertificateDer, ServerName};
use settlement::rails::Sealed;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// When a message was sealed, in seconds since 1970.
pub const TIMESTAMP: &str = "gridcross-rail-timestamp";
/// The number of the message.
pub const NUMBER: &str = "gridcross-rail-number";
/// Who sealed it.
pub const SIGNATURE: &str = "gridcross-rail-signature";

/// Connections at once: 64 × (buffers of 16 KiB + a message of 64 KiB) = 5 MiB.
const CONNECTIONS_MAX: usize = 64;
/// How long a handshake or the head of a request may take.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// How long a connection lives.
const CONNECTION_MAX: Duration = Duration::from_secs(120);
/// How soon a listener that found no descriptor tries again.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// Longest head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// It is no address.
    #[error("is no URL such as `https://rail.example:8443`")]
    Unreadable,
    /// Over a network in clear text.
    #[error("is not encrypted: `http` is only for this machine, `https` for others")]
    Clear,
    /// No authority to check the other side with.
    #[error("needs the certificates of its authority")]
    NoAuthority,
    /// The authority cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The connection.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// Request or answer.
    #[error("the request broke off")]
    Broken(#[source] hyper::Error),
    /// The answer.
    #[error("the answer cannot be read")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The deadline.
    #[error("there is no answer within {0:?}")]
    Late(Duration),
    /// A request that cannot be written.
    #[error("the request cannot be written")]
    Request(#[source] hyper::http::Error),
}

/// Where somebody is called.
#[derive(Clone)]
pub struct Endpoint {
    host: String,
    port: u16,
    path: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}{}", self.host, self.port, self.path)
    }
}

impl Endpoint {
    /// From a URL. `authority` is who vouches for the other side, over `https`.
    ///
    /// # Errors
    /// When it is none, or would send secrets over a network in clear text.
    pub fn parse(
        url: &str,
        authority: Option<&[CertificateDer<'static>]>,
    ) -> Result<Self, EndpointError> {
        let uri: Uri = url.parse().map_err(|_| EndpointError::Unreadable)?;
        let host = uri.host().ok_or(EndpointError::Unreadable)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = uri.path().trim_end_matches('/').to_owned();
        match uri.scheme_str() {
            Some("http") => {
                let is_here = bare == "localhost"
                    || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
                if !is_here {
                    return Err(EndpointError::Clear);
                }
                Ok(Self { host: bare, port: uri.port_u16().unwrap_or(80), path, tls: None })
            }
            Some("https") => {
                let authority = authority.ok_or(EndpointError::NoAuthority)?;
                let config = Arc::new(tls::client_without_certificate(authority)?);
                let name =
                    ServerName::try_from(bare.clone()).map_err(|_| EndpointError::Unreadable)?;
                let tls = Some((TlsConnector::from(config), name));
                Ok(Self { host: bare, port: uri.port_u16().unwrap_or(443), path, tls })
            }
            Some(_) | None => Err(EndpointError::Unreadable),
        }
    }

    /// Sends a sealed message and reads the answer, all within `deadline`.
    ///
    /// # Errors
    /// When there is none, or it is longer than `bytes_max`. Whether the message arrived is not known
    /// then.
    pub async fn call(
        &self,
        (method, path): (Method, &str),
        sealed: &Sealed,
        (bytes_max, deadline): (usize, Duration),
    ) -> Result<(StatusCode, Bytes), CallError> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.path))
            .header(header::HOST, format!("{}:{}", self.host, self.port))
            .header(header::CONTENT_TYPE, "application/json")
            .header(TIMESTAMP, sealed.timestamp)
            .header(NUMBER, &sealed.number)
            .header(SIGNATURE, &sealed.signature)
            .body(Full::new(Bytes::from(sealed.body.clone())))
            .map_err(CallError::Request)?;
        let called = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port))
                .await
                .map_err(CallError::Connect)?;
            stream.set_nodelay(true).map_err(CallError::Connect)?;
            match &self.tls {
                None => exchange(stream, request, bytes_max).await,
                Some((connector, name)) => {
                    let stream = connector.connect(name.clone(), stream).await;
                    exchange(stream.map_err(CallError::Connect)?, request, bytes_max).await
                }
            }
        };
        timeout(deadline, called).await.map_err(|_| CallError::Late(deadline))?
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    bytes_max: usize,
) -> Result<(StatusCode, Bytes), CallError> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(CallError::Broken)?;
    let answered = async {
        let response = sender.send_request(request).await.map_err(CallError::Broken)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, bytes_max).collect().await.map_err(CallError::Body)?;
        Ok((head.status, body.to_bytes()))
    };
    let (mut answered, mut connection) = (pin!(answered), pin!(connection));
    tokio::select! {
        answer = &mut answered => answer,
        ended = &mut connection => match ended {
            // The other side closed behind its answer.
            Ok(()) => answered.await,
            Err(error) => Err(CallError::Broken(error)),
        },
    }
}

/// Serves requests until told to stop. What is not answered then is not answered.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|&stop| stop) => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted for payment rails");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::info!("a payment rail's connection too many is refused");
            continue;
        };
        let (tls, router, mut stop) = (tls.clone(), router.clone(), stop.clone());
        tokio::spawn(async move {
            let served = timeout(CONNECTION_MAX, serve_one(stream, tls, router));
            tokio::select! {
                _ = served => {}
                _ = stop.wait_for(|&stop| stop) => {}
            }
            drop(place);
        });
    }
}

async fn serve_one(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router) {
    match tls {
        None => run(stream, router).await,
        Some(acceptor) => match timeout(HEAD_MAX, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => run(stream, router).await,
            Ok(Err(error)) => tracing::info!(%error, "a payment rail's handshake failed"),
            Err(_) => tracing::info!("a payment rail's handshake took too long"),
        },
    }
}

async fn run(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let service = TowerToHyperService::new(router);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(error = %error, "a payment rail's connection broke off");
    }
}

/// The seal of a request, with its body.
#[must_use]
pub fn sealed(headers: &axum::http::HeaderMap, body: Vec<u8>) -> Option<Sealed> {
    let text = |name| headers.get(name)?.to_str().ok();
    Some(Sealed {
        timestamp: text(TIMESTAMP)?.parse().ok()?,
        number: text(NUMBER)?.to_owned(),
        body,
        signature: text(SIGNATURE)?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_leave_the_machine_in_clear_text() {
        for good in ["http://127.0.0.1:1", "http://[::1]:1/rail/", "http://localhost"] {
            assert!(Endpoint::parse(good, None).is_ok(), "{good}");
        }
        for bad in ["http://10.0.0.1", "https://rail.example", "rail.example", "ftp://127.0.0.1"] {
            assert!(Endpoint::parse(bad, None).is_err(), "{bad}");
        }
    }
}
