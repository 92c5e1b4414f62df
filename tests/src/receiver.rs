//! A party's server that webhooks of the exchange call: the test says what it answers.
#![expect(clippy::expect_used, reason = "a server that cannot be made fails the test")]

use std::{io, net::SocketAddr};

use exchange::notices::{self, signature};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Request, Response, body::Bytes, body::Incoming, header, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};

/// A call that waits for its answer. One that is dropped is never answered.
#[derive(Debug)]
pub struct Called {
    /// Method and URL, as the receiver knows them.
    pub target: (String, String),
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    answer: oneshot::Sender<io::Result<Response<Full<Bytes>>>>,
}

impl Called {
    /// Answers with a status.
    ///
    /// # Panics
    /// When the status is none.
    pub fn answer(self, status: u16) {
        let response = Response::builder().status(status).body(Full::default());
        // The caller may have gone.
        self.answer.send(Ok(response.expect("an answer"))).ok();
    }

    /// Says that another URL is the right one.
    ///
    /// # Panics
    /// When it is none.
    pub fn redirect(self, location: &str) {
        let response = Response::builder().status(307).header(header::LOCATION, location);
        self.answer.send(Ok(response.body(Full::default()).expect("an answer"))).ok();
    }

    /// Closes the connection instead of an answer.
    pub fn cut(self) {
        self.answer.send(Err(io::Error::from(io::ErrorKind::ConnectionReset))).ok();
    }

    /// The value of a header.
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("{name} is there"));
        value.to_str().expect("text")
    }

    /// The notices in it.
    ///
    /// # Panics
    /// When the body is something else.
    #[must_use]
    pub fn notices(&self) -> Vec<Value> {
        let body: Value = serde_json::from_slice(&self.body).expect("JSON");
        body.get("notices").and_then(Value::as_array).expect("notices").clone()
    }

    /// When it was signed, if it was signed so with a key.
    #[must_use]
    pub fn signed_at(&self, key: &ed25519_dalek::VerifyingKey) -> Option<i64> {
        let digest = signature::content_digest(&self.body);
        if digest != self.header(signature::CONTENT_DIGEST) {
            return None;
        }
        let (method, url) = &self.target;
        let components = [
            ("@method", method.as_str()),
            ("@target-uri", url.as_str()),
            (signature::CONTENT_DIGEST, digest.as_str()),
            (notices::NUMBER, self.header(notices::NUMBER)),
        ];
        let signed = (self.header(signature::SIGNATURE_INPUT), self.header(signature::SIGNATURE));
        signature::signed_at(key, &components, signed)
    }
}

/// The server. Each call waits in `called` until the test answers or drops it.
#[derive(Debug)]
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    /// How it was called.
    pub called: mpsc::Receiver<Called>,
}

impl Receiver {
    /// Listens on a free port, in clear text.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, called) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                let service = service_fn(move |request| serve(request, address, sender.clone()));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, called }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The next call.
    ///
    /// # Panics
    /// When there is none.
    pub async fn next(&mut self) -> Called {
        crate::venue::soon(self.called.recv()).await.expect("the server runs")
    }

    /// Acknowledges calls until one has the notice of a number or a later one, and gives all notices.
    pub async fn through(&mut self, number: u64) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let called = self.next().await;
            let last: u64 = called.header(notices::NUMBER).parse().unwrap_or(0);
            all.extend(called.notices());
            called.answer(200);
            if last >= number {
                return all;
            }
        }
    }
}

async fn serve(
    request: Request<Incoming>,
    address: SocketAddr,
    sender: mpsc::Sender<Called>,
) -> io::Result<Response<Full<Bytes>>> {
    let method = request.method().to_string();
    let url = format!("http://{address}{}", request.uri());
    let headers = request.headers().clone();
    let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    let (answer, answered) = oneshot::channel();
    let called = Called { target: (method, url), headers, body, answer };
    if sender.send(called).await.is_err() {
        return Err(io::Error::from(io::ErrorKind::ConnectionReset));
    }
    match answered.await {
        Ok(answer) => answer,
        Err(_) => std::future::pending().await,
    }
}
