//! A bare QUIC connection, for clients that do not keep to the protocol.
#![expect(clippy::expect_used, reason = "a line that cannot be opened fails the test")]

use std::{
    collections::VecDeque,
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use gateway::{client::Connector, tls};
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream,
    crypto::rustls::QuicClientConfig,
};
use rustls::{RootCertStore, crypto::ring, version::TLS13};
use wire::{
    FrameBuilder, FrameDecoder, Inbound, Outbound, field::Field, frame::FrameHeader, inbound::Logon,
};

use crate::venue::soon;

/// An open connection.
#[derive(Debug)]
pub struct Line {
    connection: Connection,
    _endpoint: Endpoint,
}

/// Its stream.
#[derive(Debug)]
pub struct Stream {
    send: SendStream,
    recv: RecvStream,
    decoder: FrameDecoder,
    frames: u64,
    waiting: VecDeque<Outbound>,
}

impl Line {
    /// Connects as the connector says, speaking `protocol`.
    ///
    /// # Errors
    /// When the exchange refuses the handshake.
    ///
    /// # Panics
    /// When the identity cannot be used at all.
    pub async fn connect(connector: &Connector, protocol: &[u8]) -> Result<Self, ConnectionError> {
        let crypto = tls::client(&connector.identity, &connector.authority, protocol);
        Self::over(connector.address, crypto.expect("a usable identity")).await
    }

    /// Connects without a certificate.
    ///
    /// # Errors
    /// When the exchange refuses the handshake.
    ///
    /// # Panics
    /// When the authority's certificate cannot be used.
    pub async fn connect_nameless(
        connector: &Connector,
        protocol: &[u8],
    ) -> Result<Self, ConnectionError> {
        let mut roots = RootCertStore::empty();
        for certificate in &connector.authority {
            roots.add(certificate.clone()).expect("the authority's certificate");
        }
        let provider = Arc::new(ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let crypto = QuicClientConfig::try_from(config).expect("QUIC's cipher suites");
        Self::over(connector.address, crypto).await
    }

    async fn over(address: SocketAddr, crypto: QuicClientConfig) -> Result<Self, ConnectionError> {
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a socket");
        let config = ClientConfig::new(Arc::new(crypto));
        let connecting = endpoint.connect_with(config, address, "localhost").expect("an address");
        let connection = soon(connecting).await?;
        Ok(Self { connection, _endpoint: endpoint })
    }

    /// Opens a stream. Nothing is sent yet.
    ///
    /// # Panics
    /// When the exchange has closed the connection.
    pub async fn open(&self) -> Stream {
        let (send, recv) = soon(self.connection.open_bi()).await.expect("a stream");
        let (decoder, waiting) = (FrameDecoder::default(), VecDeque::new());
        Stream { send, recv, decoder, frames: 0, waiting }
    }

    /// Opens `streams` streams, and says whether the exchange lets it open one more, of either kind.
    ///
    /// # Panics
    /// When it does not allow as many.
    pub async fn takes_more_than(&self, streams: usize) -> [bool; 2] {
        let mut open = Vec::new();
        for _ in 0..streams {
            open.push(self.open().await);
        }
        let both = async { self.connection.open_bi().await.is_ok() };
        let one = async { self.connection.open_uni().await.is_ok() };
        // What is allowed is known by now: nothing has to be waited for.
        [at_once(both).await, at_once(one).await]
    }

    /// Whether the exchange takes datagrams.
    #[must_use]
    pub fn takes_datagrams(&self) -> bool {
        self.connection.max_datagram_size().is_some()
    }

    /// Opens a stream and logs on.
    ///
    /// # Panics
    /// When the exchange does not accept the session.
    pub async fn log_on(&self) -> Stream {
        let mut stream = self.open().await;
        stream.frame(&[Inbound::Logon(Logon::new(60_000, types::ShardId::FIRST))]).await;
        let answer = stream.next().await;
        assert!(matches!(answer, Some(Outbound::SessionAccepted(_))), "{answer:?}");
        let limits = stream.next().await;
        assert!(matches!(limits, Some(Outbound::SessionLimits(_))), "{limits:?}");
        stream
    }

    /// Waits until the exchange ends the connection; how it did.
    pub async fn end(&self) -> String {
        describe(&soon(self.connection.closed()).await)
    }

    /// Whether anything at all is answered on a further stream.
    pub async fn is_heard(&self) -> bool {
        let answered = async {
            let (mut send, mut recv) = self.connection.open_bi().await.ok()?;
            // Half a request: it is refused, and that is an answer.
            send.write_all(&[0]).await.ok()?;
            send.finish().ok()?;
            recv.read_to_end(64).await.ok()
        };
        soon(answered).await.is_some_and(|answer| !answer.is_empty())
    }
}

/// The answer if there is one without waiting.
async fn at_once(answer: impl Future<Output = bool>) -> bool {
    tokio::select! {
        biased;
        answer = answer => answer,
        () = std::future::ready(()) => false,
    }
}

/// How a connection ended: code and reason phrase of an application close, or the TLS alert.
#[must_use]
pub fn describe(error: &ConnectionError) -> String {
    if let ConnectionError::ApplicationClosed(close) = error {
        return format!("{} {}", close.error_code, String::from_utf8_lossy(&close.reason));
    }
    if let ConnectionError::ConnectionClosed(close) = error {
        // RFC 9001, section 4.8: a TLS alert is the error code 0x0100 plus the alert's number.
        let code = u64::from(close.error_code);
        return code.checked_sub(0x100).map_or_else(
            || format!("transport error {code}"),
            |alert| format!("TLS alert {alert}"),
        );
    }
    format!("{error:?}")
}

impl Stream {
    /// Sends messages as the next frame.
    pub async fn frame(&mut self, messages: &[Inbound]) {
        let bytes = self.seal(messages);
        self.bytes(&bytes).await;
    }

    /// The bytes of the next frame, which is then counted as sent.
    #[must_use]
    pub fn seal(&mut self, messages: &[Inbound]) -> Vec<u8> {
        self.frames = self.frames.saturating_add(1);
        sealed(self.frames, messages)
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// When the exchange has closed the stream.
    pub async fn bytes(&mut self, bytes: &[u8]) {
        soon(self.send.write_all(bytes)).await.expect("the stream takes bytes");
    }

    /// Sends bytes as they are and nothing after them, as far as the exchange still listens.
    pub async fn last_bytes(&mut self, bytes: &[u8]) {
        soon(self.send.write_all(bytes)).await.ok();
        self.send.finish().ok();
    }

    /// The next message that is no heartbeat, or `None` at the end of the stream.
    ///
    /// # Panics
    /// When the exchange sends something else than messages.
    pub async fn next(&mut self) -> Option<Outbound> {
        loop {
            while let Some(message) = self.waiting.pop_front() {
                if !matches!(message, Outbound::Heartbeat(_)) {
                    return Some(message);
                }
            }
            if let Some(frame) = self.decoder.next_frame().expect("a frame") {
                let mut payload = frame.payload.as_slice();
                while !payload.is_empty() {
                    self.waiting.push_back(Outbound::decode(&mut payload).expect("a message"));
                }
                continue;
            }
            let chunk = soon(self.recv.read_chunk(64 << 10, true)).await.ok()??;
            self.decoder.extend(&chunk.bytes);
        }
    }

    /// Every byte up to the end of the stream.
    ///
    /// # Panics
    /// When the connection is lost before.
    pub async fn rest(&mut self) -> Vec<u8> {
        soon(self.recv.read_to_end(1 << 20)).await.expect("the stream ends")
    }
}

/// A frame of these messages with any number.
#[must_use]
pub fn sealed(number: u64, messages: &[Inbound]) -> Vec<u8> {
    let mut builder = FrameBuilder::default();
    for message in messages {
        builder.push(|out| message.encode(out));
    }
    let mut bytes = Vec::new();
    builder.seal(number, &mut bytes);
    bytes
}

/// The bytes of a frame's header.
#[must_use]
pub fn header(number: u64, payload_bytes: u32, messages: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    FrameHeader { number, payload_bytes, messages }.put(&mut bytes);
    bytes
}
