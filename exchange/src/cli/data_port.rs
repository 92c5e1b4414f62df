//! What the commands of retailers, utilities and operators have in common: a connection to the data
//! port with a party's certificate, and the key that signs its documents.

use clap::Args;
use ed25519_dalek::SigningKey;
use gateway::{
    authority,
    client::{ClientError, DataClient},
    identity,
};
use serde::de::DeserializeOwned;
use settlement::{DocumentReject, seal};
use types::Party;
use wire::data::{RequestKind, SinceQuery};

use super::{
    connect::{ServerOptions, block_on},
    meter,
};
use crate::{
    exit::{Failure, Kind},
    output::Format,
};

/// How the exchange is reached, and as whom.
#[derive(Debug, Clone, Args)]
pub struct Access {
    #[command(flatten)]
    server: ServerOptions,
}

impl Access {
    /// Who asks.
    ///
    /// # Errors
    /// With code 2 when nobody is named.
    pub(super) fn party(&self) -> Result<Party, Failure> {
        self.server.named_party()
    }

    /// Where the exchange is.
    pub(super) const fn server(&self) -> &ServerOptions {
        &self.server
    }

    /// The key that signs the party's documents.
    ///
    /// # Errors
    /// With code 3 when it cannot be read.
    pub(super) fn signing_key(&self) -> Result<SigningKey, Failure> {
        let name = format!("{}.signing.key", authority::file_name(self.party()?));
        identity::load_signing_key(&self.server.keys().join(name)).map_err(Failure::config)
    }

    /// Connects, does what is to be done, and waits for it.
    ///
    /// # Errors
    /// With code 3 when certificate or key cannot be used, 6 when the exchange cannot be reached or
    /// does not accept them, 1 when it refuses what is asked.
    pub(super) fn run<T>(
        &self,
        work: impl AsyncFnOnce(&DataClient) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.party()?;
        let connector = self.server.connector(self.server.config()?.as_ref())?;
        block_on(async {
            let client = DataClient::connect(&connector).await.map_err(failure)?;
            work(&client).await
        })
    }

    /// Asks one question and reads the answer.
    ///
    /// # Errors
    /// As [`Access::run`].
    pub(super) fn since<T: DeserializeOwned>(
        &self,
        kind: RequestKind,
        query: SinceQuery,
    ) -> Result<T, Failure> {
        self.run(async |client| read(&client.since(kind, query).await.map_err(failure)?))
    }
}

/// Reads an answer.
///
/// # Errors
/// When it is not what this program expects.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(Failure::runtime)
}

/// Signs a body, sends it and prints what became of it.
///
/// # Errors
/// As [`Access::run`], and when the document is refused.
pub(super) fn say(access: &Access, name: &str, body: &[u8], format: Format) -> Result<(), Failure> {
    let document = seal(access.party()?, &access.signing_key()?, body);
    let receipt = access.run(async |client| client.submit(&document).await.map_err(failure))?;
    crate::output::print_rows(&[meter::PushLine::new(name, body.len(), &receipt)], format)?;
    match DocumentReject::from_code(receipt.reason) {
        None => Ok(()),
        Some(reason) => Err(meter::refused(name, reason)),
    }
}

/// What a failed request means for who asked.
pub(super) fn failure(error: ClientError) -> Failure {
    match &error {
        ClientError::Refused(_) | ClientError::Unexpected | ClientError::TooManySelections => {
            Failure::runtime(error)
        }
        ClientError::Tls(_) => Failure::config(error),
        ClientError::Socket(_)
        | ClientError::Connect { .. }
        | ClientError::Connection(_)
        | ClientError::Timeout
        | ClientError::Write(_)
        | ClientError::Https(_)
        | ClientError::NoSession { .. }
        | ClientError::Read(_)
        | ClientError::Frame(_)
        | ClientError::Message(_)
        | ClientError::Ended => Failure::new(Kind::Unreachable, &error)
            .hint("is the exchange running at this address, and does it know this certificate?"),
    }
}
