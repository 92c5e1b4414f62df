//! Trading sessions from the platform's side over HTTPS: each is one request and its answer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, StatusCode,
    body::Incoming,
    client::conn::{http1, http2},
    header,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use wire::{
    Inbound, Outbound,
    inbound::{Logon, ResumePoint},
    outbound::{SessionAccepted, SessionLimits},
};

use super::{
    CONNECT_MAX, ClientError, Connector,
    trading::{FrameReader, FrameWriter, opening},
};
use crate::{
    https::{CLOSE_TRAILER, CONTENT_TYPE, HTTP1, HTTP2, PATH},
    session::HEARTBEAT_MS_MAX,
    tls,
};

/// Heartbeats that may be missing before the exchange counts as gone.
const SILENT_INTERVALS_MAX: u32 = 3;

/// An HTTPS connection, HTTP/2 where the exchange has that. The address of the connector is that of
/// order entry over HTTPS.
#[derive(Debug)]
pub struct HttpsTrading {
    requests: Requests,
    authority: String,
}

#[derive(Debug)]
enum Requests {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Requests {
    async fn open(connector: &Connector, protocols: &[&[u8]]) -> Result<Self, ClientError> {
        let config = tls::client_config(&connector.identity, &connector.authority, protocols)?;
        let name = ServerName::try_from(connector.server_name.clone()).map_err(lost)?;
        let stream = TcpStream::connect(connector.address).await.map_err(lost)?;
        stream.set_nodelay(true).map_err(lost)?;
        let tls = TlsConnector::from(Arc::new(config));
        let stream = tls.connect(name, stream).await.map_err(lost)?;
        let has_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        let io = TokioIo::new(stream);
        // What breaks a connection reaches the request that it breaks.
        if has_http2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new());
            let (requests, connection) = builder.handshake(io).await.map_err(lost)?;
            tokio::spawn(async move { connection.await.ok() });
            return Ok(Self::Two(requests));
        }
        let (requests, connection) = http1::handshake(io).await.map_err(lost)?;
        tokio::spawn(async move { connection.await.ok() });
        Ok(Self::One(requests))
    }
}

/// A session that is over.
#[derive(Debug)]
pub struct Exchanged {
    /// What the exchange said at logon.
    pub accepted: SessionAccepted,
    /// What the session could send.
    pub limits: SessionLimits,
    /// Everything it was told after that, without heartbeats and `LoggedOut`.
    pub told: Vec<Outbound>,
    /// The last report received: where a next session resumes, without gap or repetition.
    pub resume_point: ResumePoint,
    /// Code and reason, such as `2 taken_over`, where the session ended before all was answered.
    pub cut: Option<String>,
}

impl HttpsTrading {
    /// Connects.
    ///
    /// # Errors
    /// When the exchange cannot be reached or its certificate is not believed.
    pub async fn connect(connector: &Connector) -> Result<Self, ClientError> {
        Self::connect_with(connector, &[HTTP2, HTTP1]).await
    }

    /// Connects with HTTP/1.1, also where the exchange has HTTP/2.
    ///
    /// # Errors
    /// As [`HttpsTrading::connect`].
    pub async fn connect_http1(connector: &Connector) -> Result<Self, ClientError> {
        Self::connect_with(connector, &[HTTP1]).await
    }

    async fn connect_with(connector: &Connector, protocols: &[&[u8]]) -> Result<Self, ClientError> {
        let opening = Requests::open(connector, protocols);
        let requests = timeout(CONNECT_MAX, opening).await.map_err(|_| ClientError::Timeout)??;
        let authority = format!("{}:{}", connector.server_name, connector.address.port());
        Ok(Self { requests, authority })
    }

    /// Opens a session, sends messages and waits until each is answered and the session has ended.
    /// Each slice begins with a frame of its own, as what a frame's signature covers needs.
    ///
    /// # Errors
    /// When the exchange refuses the session, or the connection is lost; which messages arrived is
    /// then unknown.
    pub async fn exchange(
        &mut self,
        logon: Logon,
        frames: &[&[Inbound]],
    ) -> Result<Exchanged, ClientError> {
        let mut body = Vec::new();
        let mut writer = FrameWriter::default();
        writer.write(&[Inbound::Logon(logon)], &mut body);
        frames.iter().for_each(|messages| writer.write(messages, &mut body));
        let mut response = self.post(CONTENT_TYPE, body).await?;
        let status = response.status;
        if status != StatusCode::OK.as_u16() {
            let text = response.text().await?;
            return Err(ClientError::NoSession { status, detail: detail(&text) });
        }
        let mut reader = FrameReader::after(logon.resume.unwrap_or_default());
        let first = response.message(&mut reader).await?.ok_or(ClientError::Ended)?;
        if let Outbound::SessionRejected(rejected) = first {
            return Err(ClientError::Refused(rejected.reason));
        }
        let second = response.message(&mut reader).await?.ok_or(ClientError::Ended)?;
        let (accepted, limits) = opening(&logon, (first, second), &mut reader)?;
        response.heartbeat_ms = accepted.heartbeat_ms;
        let mut told = Vec::new();
        let mut is_whole = false;
        while let Some(message) = response.message(&mut reader).await? {
            if let Outbound::LoggedOut(_) = message {
                is_whole = true;
            } else if !matches!(message, Outbound::Heartbeat(_)) {
                told.push(message);
            }
        }
        let cut = if is_whole { None } else { Some(response.close.ok_or(ClientError::Ended)?) };
        Ok(Exchanged { accepted, limits, told, resume_point: reader.reached(), cut })
    }

    /// Posts a body as it is.
    ///
    /// # Errors
    /// When the connection is lost before there is an answer.
    pub async fn post(
        &mut self,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Response, ClientError> {
        let request = match self.requests {
            Requests::One(_) => Request::post(PATH).header(header::HOST, &self.authority),
            Requests::Two(_) => Request::post(format!("https://{}{PATH}", self.authority)),
        };
        let request = request
            .header(header::CONTENT_TYPE, content_type)
            .header(header::TE, "trailers")
            .body(Full::new(Bytes::from(body)))
            .map_err(lost)?;
        let response = match &mut self.requests {
            Requests::One(requests) => {
                requests.ready().await.map_err(lost)?;
                requests.send_request(request).await
            }
            Requests::Two(requests) => {
                requests.ready().await.map_err(lost)?;
                requests.send_request(request).await
            }
        };
        let (head, body) = response.map_err(lost)?.into_parts();
        let content_type = head.headers.get(header::CONTENT_TYPE);
        Ok(Response {
            status: head.status.as_u16(),
            content_type: content_type
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
            close: None,
            heartbeat_ms: HEARTBEAT_MS_MAX,
            body,
        })
    }
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// What the body is.
    pub content_type: String,
    /// Code and reason of the session's end, once the body is read.
    pub close: Option<String>,
    heartbeat_ms: u32,
    body: Incoming,
}

impl Response {
    /// The next piece of the body, or `None` at its end.
    ///
    /// # Errors
    /// When the answer breaks off, or the exchange is silent for three heartbeat intervals.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, ClientError> {
        let silence_ms = self.heartbeat_ms.saturating_mul(SILENT_INTERVALS_MAX);
        let silence = Duration::from_millis(silence_ms.into());
        loop {
            let frame =
                timeout(silence, self.body.frame()).await.map_err(|_| ClientError::Timeout)?;
            let Some(frame) = frame.transpose().map_err(lost)? else { return Ok(None) };
            match frame.into_data() {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    let close = trailers.get(CLOSE_TRAILER).and_then(|value| value.to_str().ok());
                    self.close = close.map(str::to_owned);
                }
            }
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`Response::piece`].
    pub async fn text(&mut self) -> Result<String, ClientError> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The next message of a session, or `None` at its end.
    async fn message(&mut self, frames: &mut FrameReader) -> Result<Option<Outbound>, ClientError> {
        loop {
            if let Some(message) = frames.next()? {
                return Ok(Some(message));
            }
            match self.piece().await? {
                Some(bytes) => frames.extend(&bytes),
                None => return Ok(None),
            }
        }
    }
}

/// What a problem says, or its text where it is none.
fn detail(text: &str) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let detail = problem.as_ref().and_then(|problem| problem.get("detail")?.as_str());
    detail.unwrap_or(text).to_owned()
}

fn lost(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
    ClientError::Https(error.into())
}
