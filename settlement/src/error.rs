//! Operating errors of the pipeline. What a participant did wrong is never one of these: that is a
//! [`crate::metering::DocumentReject`] or a [`crate::pipeline::DepositOutcome`].

use std::{io, path::PathBuf};

use types::{MarketId, MeterId, Seq, ShardId, TradeId};

use crate::{policy::PolicyError, store::database::DatabaseError};

/// Why the pipeline could not do what it was asked. Nothing of the call was kept.
#[derive(Debug, thiserror::Error)]
pub enum SettlementError {
    /// The database refused.
    #[error("cannot {doing}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        source: DatabaseError,
    },
    /// The ledger directory refused.
    #[error("cannot {doing} `{}`", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database was written by another version of this program.
    #[error("the database has schema {found}, this program reads {supported}")]
    Schema {
        /// The version in the file.
        found: i64,
        /// The version this program writes.
        supported: i64,
    },
    /// The database belongs to a ledger of another name or key.
    #[error("the database belongs to the ledger `{stored}`, not to `{given}`")]
    OtherLedger {
        /// Verifier key in the database.
        stored: String,
        /// Verifier key of the settings.
        given: String,
    },
    /// The name of the ledger cannot be one.
    #[error("`{0}` cannot name a ledger: it is empty, or has a plus sign or white space")]
    BadOrigin(String),
    /// The policy cannot be used.
    #[error("the policy is not usable")]
    Policy(#[from] PolicyError),
    /// An item of the feed is newer than the batch claims to reach.
    #[error("feed item {seq} lies beyond the end of its batch, {through}")]
    BeyondBatch {
        /// The item.
        seq: Seq,
        /// The end of the batch.
        through: Seq,
    },
    /// The feed says two different things at one position.
    #[error("the feed says two different things at {seq}, event {index}")]
    TwoEvents {
        /// The command.
        seq: Seq,
        /// The event.
        index: u32,
    },
    /// A trade number came twice, at two positions of the feed.
    #[error("trade {0} came twice, at two positions of the feed")]
    TradeTwice(TradeId),
    /// A change of a trade came, and the trade had not come before it.
    #[error("sequence {seq} changes trade {contract}, which the feed never told of")]
    AmendedUnknown {
        /// The trade.
        contract: TradeId,
        /// Where in the feed.
        seq: Seq,
    },
    /// A trade of one shard came by the feed of another.
    #[error("trade {trade} came by the feed of shard {shard}, which did not number it")]
    OtherShard {
        /// The trade.
        trade: TradeId,
        /// Whose feed.
        shard: ShardId,
    },
    /// A trade names a meter the feed never registered.
    #[error("trade {trade} names meter {meter}, which the feed never registered")]
    UnknownMeter {
        /// The trade.
        trade: TradeId,
        /// The meter.
        meter: MeterId,
    },
    /// A trade names a market the feed never defined.
    #[error("trade {trade} names market {market}, which the feed never defined")]
    UnknownMarket {
        /// The trade.
        trade: TradeId,
        /// The market.
        market: MarketId,
    },
    /// A market trades in another currency than this pipeline settles in.
    #[error("market {market} trades in {got}, this pipeline settles in {expected}")]
    OtherCurrency {
        /// The market.
        market: MarketId,
        /// Its currency.
        got: String,
        /// The policy's currency.
        expected: String,
    },
    /// A number is beyond what the arithmetic is proven for.
    #[error("{what} of contract {contract} is out of range")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// Whose.
        contract: TradeId,
    },
    /// Stored data contradicts itself. The pipeline stops; it never works around this.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// The ledger on disk has promised more than the database holds.
    #[error("the signed checkpoint covers {promised} leaves, the database holds {stored}")]
    RolledBack {
        /// Leaves under the checkpoint.
        promised: u64,
        /// Leaves in the database.
        stored: u64,
    },
    /// More rows than one answer may have.
    #[error("the answer has more than {limit} rows; ask for a shorter period")]
    TooManyRows {
        /// The limit.
        limit: u32,
    },
    /// There is no leaf of this number under the newest checkpoint.
    #[error("leaf {index} is not among the {size} leaves of the newest checkpoint")]
    NoSuchLeaf {
        /// The number asked for.
        index: u64,
        /// Leaves under the checkpoint.
        size: u64,
    },
    /// The pipeline was opened without a ledger directory.
    #[error("this pipeline has no ledger directory")]
    NoLedger,
    /// An earlier failure left it unknown what is durable. Open the pipeline again.
    #[error("the pipeline stopped after a failed commit and must be opened again")]
    Stopped,
}

impl SettlementError {
    /// Whether the server of the database cannot be reached.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Store {
                source: DatabaseError::Unreachable { .. } | DatabaseError::Lost { .. },
                ..
            }
        )
    }
}

/// Names what was being done when the database refused.
pub(crate) trait Doing<T> {
    /// Converts the error.
    fn doing(self, doing: &'static str) -> Result<T, SettlementError>;
}

impl<T> Doing<T> for Result<T, DatabaseError> {
    fn doing(self, doing: &'static str) -> Result<T, SettlementError> {
        self.map_err(|source| SettlementError::Store { doing, source })
    }
}

/// Converts between integer types where stored data guarantees that it fits.
pub(crate) fn fit<T, U: TryFrom<T>>(value: T, what: &'static str) -> Result<U, SettlementError> {
    U::try_from(value).map_err(|_| SettlementError::Damaged(format!("{what} does not fit")))
}
