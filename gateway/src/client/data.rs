//! Documents and questions of retailers and utilities.

use quinn::{Connection, Endpoint, ReadToEndError};
use types::{MarketDefinition, RejectReason, SignedOperation};
use wire::{
    ALPN_DATA,
    data::{
        Answer, BODY_BYTES_MAX, P2pQuery, QueryResult, Receipt, RequestHead, RequestKind,
        ScheduleQuery, SinceQuery,
    },
    field::Field,
};

use super::{ClientError, Connector};

/// An open data connection.
#[derive(Debug)]
pub struct DataClient {
    connection: Connection,
    _endpoint: Endpoint,
}

impl DataClient {
    /// Connects.
    ///
    /// # Errors
    /// When the exchange cannot be reached.
    pub async fn connect(connector: &Connector) -> Result<Self, ClientError> {
        let (endpoint, connection) = connector.connect(ALPN_DATA).await?;
        Ok(Self { connection, _endpoint: endpoint })
    }

    /// Sends a signed document and waits for its receipt.
    ///
    /// # Errors
    /// When the connection is lost or the request is refused as such. A document that is read and
    /// refused has a receipt with a reason.
    pub async fn submit(&self, document: &[u8]) -> Result<Receipt, ClientError> {
        match self.request(RequestKind::Document, document).await? {
            (Answer::Receipt(receipt), _) => Ok(receipt),
            (Answer::QueryResult(result), _) => Err(refused(result.reason)),
        }
    }

    /// Asks for a meter's P2P energy; the answer is JSON.
    ///
    /// # Errors
    /// When the connection is lost or the question is refused.
    pub async fn p2p_energy(&self, query: P2pQuery) -> Result<String, ClientError> {
        self.question(RequestKind::P2pEnergy, &query).await
    }

    /// Asks for what is contracted on a utility's wires; the answer is JSON. A query with
    /// `wait_seconds` is answered as soon as something changed.
    ///
    /// # Errors
    /// When the connection is lost or the question is refused.
    pub async fn schedule(&self, query: ScheduleQuery) -> Result<String, ClientError> {
        self.question(RequestKind::GridSchedule, &query).await
    }

    /// Asks one of the questions whose body is a [`SinceQuery`]; the answer is JSON.
    ///
    /// # Errors
    /// When the connection is lost or the question is refused.
    pub async fn since(&self, kind: RequestKind, query: SinceQuery) -> Result<String, ClientError> {
        self.question(kind, &query).await
    }

    async fn question(&self, kind: RequestKind, query: &impl Field) -> Result<String, ClientError> {
        let mut body = Vec::new();
        query.put(&mut body);
        match self.request(kind, &body).await? {
            (Answer::QueryResult(result), text) if result.reason == 0 => {
                String::from_utf8(text).map_err(|_| ClientError::Unexpected)
            }
            (Answer::QueryResult(result), _) => Err(refused(result.reason)),
            (Answer::Receipt(_), _) => Err(ClientError::Unexpected),
        }
    }

    /// Sends an operator's order. When this returns it is durable at every shard that it concerns: it took
    /// effect, or waits for another operator where [`types::Action::needs_two`].
    ///
    /// # Errors
    /// When the connection is lost or the order is refused.
    pub async fn operate(&self, signed: &SignedOperation) -> Result<(), ClientError> {
        let mut body = Vec::new();
        signed.put(&mut body);
        self.order(RequestKind::Operate, &body).await
    }

    /// Sends an operator's order that defines a market. Done when it is durable.
    ///
    /// # Errors
    /// As [`DataClient::operate`].
    pub async fn define(
        &self,
        signed: &SignedOperation,
        market: &MarketDefinition,
    ) -> Result<(), ClientError> {
        let mut body = Vec::new();
        signed.put(&mut body);
        market.put(&mut body);
        self.order(RequestKind::DefineMarket, &body).await
    }

    async fn order(&self, kind: RequestKind, body: &[u8]) -> Result<(), ClientError> {
        match self.request(kind, body).await? {
            (Answer::QueryResult(QueryResult { reason: 0 }), _) => Ok(()),
            (Answer::QueryResult(result), _) => Err(refused(result.reason)),
            (Answer::Receipt(_), _) => Err(ClientError::Unexpected),
        }
    }

    async fn request(
        &self,
        kind: RequestKind,
        body: &[u8],
    ) -> Result<(Answer, Vec<u8>), ClientError> {
        let (mut send, mut recv) = self.connection.open_bi().await?;
        let body_bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let mut head = Vec::new();
        RequestHead { kind, body_bytes }.put(&mut head);
        send.write_all(&head).await?;
        send.write_all(body).await?;
        send.finish().map_err(|_| ClientError::Ended)?;
        let bytes_max = usize::try_from(BODY_BYTES_MAX).unwrap_or(usize::MAX);
        let bytes = recv.read_to_end(bytes_max).await.map_err(|error| match error {
            ReadToEndError::Read(error) => ClientError::Read(error),
            ReadToEndError::TooLong => ClientError::Unexpected,
        })?;
        let mut rest = bytes.as_slice();
        let answer = Answer::decode(&mut rest)?;
        Ok((answer, rest.to_vec()))
    }
}

fn refused(code: u16) -> ClientError {
    RejectReason::from_code(code).map_or(ClientError::Unexpected, ClientError::Refused)
}
