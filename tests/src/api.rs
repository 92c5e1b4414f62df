//! Callers of the HTTP API.
#![expect(clippy::expect_used, reason = "a call that cannot be made fails the test")]

use std::sync::Arc;

use gateway::tls;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request,
    body::Bytes,
    client::conn::{http1, http2},
    header,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use serde_json::Value;
use settlement::service::signature;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use types::Party;

use crate::{
    cast,
    https::Version,
    venue::{self, Venue, soon},
};

/// The configuration of a venue with the API and operations, and more lines of the table `[api]`.
#[must_use]
pub fn config_text(lines: &str) -> String {
    let text = venue::config_text();
    let listen = "listen = \"127.0.0.1:0\"";
    format!("{text}\n[api]\n{listen}\n{lines}\n\n[operations]\n{listen}\n")
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its tag, if it has one.
    pub tag: Option<String>,
    /// Its type.
    pub kind: String,
    /// Its body.
    pub text: String,
}

impl Answer {
    /// Its body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("a body of JSON")
    }
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// A party's connection with the API.
pub struct ApiCaller {
    party: Party,
    sender: Sender,
}

impl std::fmt::Debug for ApiCaller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.party)
    }
}

impl ApiCaller {
    /// Connects with the party's certificate.
    ///
    /// # Panics
    /// When the venue has no API or does not take the connection.
    pub async fn connect(venue: &Venue, party: Party, version: Version) -> Self {
        let connector = venue.connector(party);
        let address = venue.node.api_address().expect("an API");
        let protocol: &[u8] = match version {
            Version::Http1 => b"http/1.1",
            Version::Http2 => b"h2",
        };
        let config = tls::client_config(&connector.identity, &connector.authority, &[protocol]);
        let config = Arc::new(config.expect("a usable identity"));
        let stream = soon(TcpStream::connect(address)).await.expect("a connection");
        let name = ServerName::try_from(connector.server_name.clone()).expect("a name");
        let stream = soon(TlsConnector::from(config).connect(name, stream)).await.expect("TLS");
        let io = TokioIo::new(stream);
        let sender = match version {
            Version::Http1 => {
                let (sender, connection) = http1::handshake(io).await.expect("HTTP/1.1");
                tokio::spawn(connection);
                Sender::Http1(sender)
            }
            Version::Http2 => {
                let executor = TokioExecutor::new();
                let (sender, connection) = http2::handshake(executor, io).await.expect("HTTP/2");
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        };
        Self { party, sender }
    }

    /// Whether a new connection of a party answers: what it says to an empty question.
    pub async fn try_connect(venue: &Venue, party: Party) -> Option<Answer> {
        let mut caller = Self::connect(venue, party, Version::Http1).await;
        caller.try_send(Self::request(&Method::GET, "/v1/instruments", &[], "")).await
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Panics
    /// When there is none.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Answer {
        self.try_send(request).await.expect("an answer")
    }

    /// As [`ApiCaller::send`]; nothing, when the connection is over.
    pub async fn try_send(&mut self, request: Request<Full<Bytes>>) -> Option<Answer> {
        let response = match &mut self.sender {
            Sender::Http1(sender) => {
                soon(sender.ready()).await.ok()?;
                soon(sender.send_request(request)).await
            }
            Sender::Http2(sender) => soon(sender.send_request(request)).await,
        };
        let (head, body) = response.ok()?.into_parts();
        let bytes = soon(body.collect()).await.ok()?.to_bytes();
        let text = |name| Some(head.headers.get(name)?.to_str().ok()?.to_owned());
        Some(Answer {
            status: head.status.as_u16(),
            tag: text(header::ETAG),
            kind: text(header::CONTENT_TYPE).unwrap_or_default(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }

    /// A request of this method with these headers.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn request(
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Request<Full<Bytes>> {
        let mut builder = Request::builder().method(method).uri(format!("https://localhost{path}"));
        builder = builder.header(header::HOST, "localhost");
        for &(name, value) in headers {
            builder = builder.header(name, value);
        }
        builder.body(Full::new(Bytes::from(body.to_owned()))).expect("a request")
    }

    /// Asks.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Self::request(&Method::GET, path, &[], "")).await
    }

    /// Posts JSON that the party signed now, for five minutes.
    pub async fn post(&mut self, venue: &Venue, path: &str, body: &str) -> Answer {
        let now = venue.now().ns().div_euclid(1_000_000_000);
        let key = cast::party_key(self.party);
        let signed =
            signature::sign(self.party, &key, (now, now.saturating_add(300)), body.as_bytes());
        self.post_as(path, body, &signed).await
    }

    /// Posts JSON under a header that signs it, or does not.
    pub async fn post_as(&mut self, path: &str, body: &str, signature: &str) -> Answer {
        let headers = [("content-type", "application/json"), ("authorization", signature)];
        self.send(Self::request(&Method::POST, path, &headers, body)).await
    }
}
