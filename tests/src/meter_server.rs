//! A retailer's HTTPS server that the exchange asks for readings: the test says what it answers.
#![expect(clippy::expect_used, reason = "a server that cannot be made fails the test")]

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use gateway::Identity;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::{
    RootCertStore, ServerConfig, crypto::ring, pki_types::CertificateDer,
    server::WebPkiClientVerifier, version::TLS13,
};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};
use tokio_rustls::TlsAcceptor;

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Asked {
    /// Its path.
    pub path: String,
    /// Its body.
    pub page: Value,
    answer: oneshot::Sender<Response<Full<Bytes>>>,
}

impl Asked {
    /// Answers with a status and a body of JSON.
    ///
    /// # Panics
    /// When the status is none.
    pub fn answer(self, status: u16, body: impl Into<Bytes>) {
        self.answer_as("application/json; charset=utf-8", status, body);
    }

    /// Answers with a body of a type.
    ///
    /// # Panics
    /// When the status is none.
    pub fn answer_as(self, kind: &str, status: u16, body: impl Into<Bytes>) {
        let response = Response::builder().status(status).header("content-type", kind);
        // The asker may have gone.
        self.answer.send(response.body(Full::new(body.into())).expect("an answer")).ok();
    }

    /// Answers with documents.
    pub fn documents(self, documents: &[Vec<u8>]) {
        self.answer(200, envelope(documents));
    }
}

/// The body of an answer.
#[must_use]
pub fn envelope(documents: &[Vec<u8>]) -> Vec<u8> {
    let mut body = b"{\"documents\":[".to_vec();
    body.extend(documents.join(&b','));
    body.extend(b"]}");
    body
}

/// The server. Each request waits in `asked` until the test answers or drops it.
#[derive(Debug)]
pub struct MeterServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it was asked.
    pub asked: mpsc::Receiver<Asked>,
}

impl MeterServer {
    /// Listens on a free port with a certificate, for clients whose certificate `authority` issued.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn start(identity: &Identity, authority: &[CertificateDer<'static>]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let acceptor = TlsAcceptor::from(Arc::new(config(identity, authority)));
        let (sender, asked) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                tokio::spawn(async move {
                    // Who does not get in is told by TLS.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(|request| serve(request, sender.clone()));
                    http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                        .ok();
                });
            }
        });
        Self { address, asked }
    }

    /// The next request.
    ///
    /// # Panics
    /// When the server has gone.
    pub async fn next(&mut self) -> Asked {
        self.asked.recv().await.expect("the server runs")
    }
}

fn config(identity: &Identity, authority: &[CertificateDer<'static>]) -> ServerConfig {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authority.iter().cloned());
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .expect("a certificate")
}

async fn serve(
    request: Request<Incoming>,
    sender: mpsc::Sender<Asked>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = format!("{} {}", request.method(), request.uri().path());
    let body = request.into_body().collect().await.expect("a body").to_bytes();
    let page = serde_json::from_slice(&body).expect("JSON");
    let (answer, answered) = oneshot::channel();
    sender.send(Asked { path, page, answer }).await.expect("the test runs");
    // A request that the test drops is never answered.
    match answered.await {
        Ok(response) => Ok(response),
        Err(_) => std::future::pending().await,
    }
}
