//! A payment rail over HTTP with JSON: `POST /v1/instructions`, `GET /v1/instructions/NUMBER`,
//! `GET /v1/statement/DAY`. Every request is sealed with the shared secret.

use std::time::Duration;

use hyper::{Method, StatusCode};
use settlement::rails::{
    Answer, Capabilities, InstructionId, PaymentRail, SealReject, Sealed, Signer, Statement,
    Verifier,
    message::{MESSAGE_BYTES_MAX, Submission},
    statement::{self, STATEMENT_BYTES_MAX},
};
use types::Currency;

use super::http::Endpoint;
use crate::clock::Clock;

/// The path of instructions.
pub const INSTRUCTIONS: &str = "/v1/instructions";
/// The path of statements.
pub const STATEMENT: &str = "/v1/statement";

/// A rail that is called over HTTP.
#[derive(Debug)]
pub struct HttpRail {
    /// Where.
    pub endpoint: Endpoint,
    /// Seals requests.
    pub signer: Signer,
    /// Checks events.
    pub events: Verifier,
    /// The time in seals.
    pub clock: Clock,
    /// Of every amount.
    pub currency: Currency,
    /// How long a call may take.
    pub deadline: Duration,
}

impl HttpRail {
    fn seal(&self, number: &str, body: Vec<u8>) -> Sealed {
        self.signer.seal(self.clock.now().ns().div_euclid(1_000_000_000), number, body)
    }
}

impl PaymentRail for HttpRail {
    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL
    }

    async fn submit(&self, message: &Submission) -> Answer {
        let sealed = self.seal(&message.instruction, message.to_body());
        let limits = (MESSAGE_BYTES_MAX, self.deadline);
        match self.endpoint.call((Method::POST, INSTRUCTIONS), &sealed, limits).await {
            Ok((StatusCode::OK, body)) => Answer::read(&body).0,
            // What else it says may be said by something between us: nothing is known.
            Ok((status, _)) => {
                tracing::warn!(instruction = %message.instruction, %status, "a rail's answer");
                Answer::Unknown
            }
            Err(error) => {
                tracing::info!(instruction = %message.instruction, %error, "no answer of a rail");
                Answer::Unknown
            }
        }
    }

    async fn query(&self, id: InstructionId) -> (Answer, Vec<Sealed>) {
        let number = id.to_string();
        let path = format!("{INSTRUCTIONS}/{number}");
        let sealed = self.seal(&number, Vec::new());
        let limits = (MESSAGE_BYTES_MAX, self.deadline);
        match self.endpoint.call((Method::GET, &path), &sealed, limits).await {
            Ok((StatusCode::OK, body)) => Answer::read(&body),
            Ok(_) | Err(_) => (Answer::Unknown, Vec::new()),
        }
    }

    fn verify(&self, sealed: &Sealed) -> Result<(), SealReject> {
        self.events.check(sealed)
    }

    async fn statement(&self, day: i64) -> Option<Statement> {
        let number = statement::date(day);
        let path = format!("{STATEMENT}/{number}");
        let sealed = self.seal(&number, Vec::new());
        let bytes_max = usize::try_from(STATEMENT_BYTES_MAX).unwrap_or(usize::MAX);
        let limits = (bytes_max, self.deadline);
        let (status, body) =
            self.endpoint.call((Method::GET, &path), &sealed, limits).await.ok()?;
        let text = std::str::from_utf8(&body).ok().filter(|_| status == StatusCode::OK)?;
        Statement::read(day, text, self.currency).ok()
    }
}
