//! What the commands of retailers, utilities and operators have in common: a connection to the data
//! port with a party's certificate, and the key that signs its documents.

use std::{net::SocketAddr, path::PathBuf, str::FromStr as _};

use clap::Args;
use ed25519_dalek::SigningKey;
use gateway::{
    Identity,
    authority::{self, Holder},
    client::{ClientError, Connector, DataClient},
    identity,
};
use serde::de::DeserializeOwned;
use types::{Party, Timestamp};
use wire::data::{RequestKind, SinceQuery};

use crate::exit::{Failure, Kind};

/// How the exchange is reached, and as whom.
#[derive(Debug, Clone, Args)]
pub struct Access {
    /// Whose certificate and key are used, such as retailer/1, utility/2 or operator/1
    #[arg(long = "as", value_name = "PARTY", value_parser = party)]
    party: Party,
    /// The directory with the party's certificate and keys, and the authority's certificate
    #[arg(long)]
    keys: PathBuf,
    /// Where the exchange listens
    #[arg(long, default_value = "127.0.0.1:7400")]
    address: SocketAddr,
    /// The name that the exchange's certificate carries
    #[arg(long, default_value = "localhost")]
    server_name: String,
}

fn party(text: &str) -> Result<Party, String> {
    match Holder::from_str(text) {
        Ok(Holder::Party(party)) => Ok(party),
        Ok(_) => Err("only parties have a data connection".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads an instant with its offset.
///
/// # Errors
/// When it is none.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    let instant: jiff::Timestamp = text.parse().map_err(|error| format!("{error}"))?;
    i64::try_from(instant.as_nanosecond())
        .map(Timestamp::from_ns)
        .map_err(|_| "beyond the range of instants".to_owned())
}

impl Access {
    /// Who asks.
    pub(super) const fn party(&self) -> Party {
        self.party
    }

    /// The key that signs the party's documents.
    ///
    /// # Errors
    /// With code 3 when it cannot be read.
    pub(super) fn signing_key(&self) -> Result<SigningKey, Failure> {
        let name = format!("{}.signing.key", authority::file_name(self.party));
        identity::load_signing_key(&self.keys.join(name)).map_err(Failure::config)
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
        let file_name = authority::file_name(self.party);
        let connector = Connector {
            address: self.address,
            server_name: self.server_name.clone(),
            identity: Identity::load(&self.keys, &file_name).map_err(Failure::config)?,
            authority: identity::load_certificates(&self.keys.join("ca.crt"))
                .map_err(Failure::config)?,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::runtime)?;
        runtime.block_on(async {
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
