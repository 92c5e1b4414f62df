//! Order entry over HTTPS, for platforms and for clients that do not keep to the protocol.
#![expect(clippy::expect_used, reason = "a line that cannot be opened fails the test")]

use std::sync::Arc;

use gateway::{
    client::{Connector, HttpsTrading},
    tls,
};
use rustls::{RootCertStore, crypto::ring, pki_types::ServerName, version::TLS13};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use types::Role;

use crate::{
    cast,
    venue::{self, Venue, soon},
};

/// The configuration of a venue with order entry over HTTPS, and more lines of its table.
#[must_use]
pub fn config_text(lines: &str) -> String {
    let table = format!("[gateway.https]\nlisten = \"127.0.0.1:0\"\n{lines}\n\n[journal]");
    venue::config_text().replacen("[journal]", &table, 1)
}

/// The way to order entry over HTTPS with the certificate of a connector.
///
/// # Panics
/// When the venue has none.
#[must_use]
pub fn way(venue: &Venue, connector: Connector) -> Connector {
    let address = venue.node.https_address().expect("order entry over HTTPS");
    Connector { address, ..connector }
}

/// How a platform reaches order entry over HTTPS.
///
/// # Panics
/// When the venue has none.
#[must_use]
pub fn connector(venue: &Venue, number: u16) -> Connector {
    way(venue, venue.connector(cast::party(Role::Platform, number)))
}

/// A platform's connection, HTTP/2 or HTTP/1.1.
///
/// # Panics
/// When the exchange does not take it.
pub async fn trading(venue: &Venue, number: u16, version: Version) -> HttpsTrading {
    let connector = connector(venue, number);
    let connection = match version {
        Version::Http1 => soon(HttpsTrading::connect_http1(&connector)).await,
        Version::Http2 => soon(HttpsTrading::connect(&connector)).await,
    };
    connection.expect("a connection")
}

/// Of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// A bare connection over TLS that speaks HTTP/1.1 by hand, or another protocol.
#[derive(Debug)]
pub struct Wire {
    /// Its bytes.
    pub stream: TlsStream<TcpStream>,
    read: Vec<u8>,
}

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// When the exchange refuses the handshake. A refused certificate shows only when something is
    /// read.
    ///
    /// # Panics
    /// When the identity cannot be used at all.
    pub async fn connect(connector: &Connector, protocol: &[u8]) -> std::io::Result<Self> {
        let Connector { identity, authority, .. } = connector;
        let config = tls::client_config(identity, authority, &[protocol]);
        Self::over(connector, config.expect("a usable identity")).await
    }

    /// Connects without a certificate.
    ///
    /// # Errors
    /// As [`Wire::connect`].
    ///
    /// # Panics
    /// When the authority's certificate cannot be used.
    pub async fn connect_nameless(connector: &Connector) -> std::io::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in &connector.authority {
            roots.add(certificate.clone()).expect("the authority's certificate");
        }
        let builder =
            rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(&[&TLS13]).expect("TLS 1.3");
        Self::over(connector, builder.with_root_certificates(roots).with_no_client_auth()).await
    }

    async fn over(connector: &Connector, config: rustls::ClientConfig) -> std::io::Result<Self> {
        let stream = TcpStream::connect(connector.address).await?;
        let name = ServerName::try_from(connector.server_name.clone()).expect("a name");
        let stream = soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await?;
        Ok(Self { stream, read: Vec::new() })
    }

    /// Begins a request to trade whose body comes in chunks.
    pub async fn post(&mut self) {
        self.bytes(
            b"POST /v1/trading HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\
              te: trailers\r\ncontent-type: application/gridcross-trading\r\n\r\n",
        )
        .await;
    }

    /// Sends a chunk of a body. An empty one is its end.
    pub async fn chunk(&mut self, bytes: &[u8]) {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.bytes(&chunk).await;
    }

    /// Sends bytes as they are. The exchange may have ended the connection: that shows when it is
    /// read.
    pub async fn bytes(&mut self, bytes: &[u8]) {
        soon(async {
            if self.stream.write_all(bytes).await.is_ok() {
                self.stream.flush().await.ok();
            }
        })
        .await;
    }

    /// Reads until words come. Returns everything read since the last time.
    ///
    /// # Panics
    /// When the connection ends before.
    pub async fn until(&mut self, words: &str) -> String {
        while !contains(&self.read, words) {
            let more = self.more().await.expect("an open connection");
            assert!(more > 0, "no `{words}` in {}", String::from_utf8_lossy(&self.read));
        }
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// Reads to the end of the connection. Returns what came and how it ended.
    pub async fn rest(mut self) -> (String, std::io::Result<()>) {
        let end = loop {
            match self.more().await {
                Ok(0) => break Ok(()),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        (String::from_utf8_lossy(&self.read).into_owned(), end)
    }

    async fn more(&mut self) -> std::io::Result<usize> {
        soon(self.stream.read_buf(&mut self.read)).await
    }
}

fn contains(bytes: &[u8], words: &str) -> bool {
    bytes.windows(words.len()).any(|window| window == words.as_bytes())
}
