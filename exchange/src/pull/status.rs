//! What became of the last pull of each party, for who asks.

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use types::{Party, Timestamp};

use super::{Endpoint, plan::Standing};

/// The last pull of every party with an endpoint. Of the time since the start: what was answered is in
/// the pipeline, and a new process has nothing to hold against anybody.
pub type PullRows = watch::Receiver<Vec<PullRow>>;

/// A line about a party that the exchange asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRow {
    /// Whom.
    pub party: String,
    /// Where.
    pub endpoint: String,
    /// When it was last asked.
    pub at: Option<String>,
    /// `not_asked`, `answered`, `nothing_yet`, `refused` (none of its documents was taken), `timeout`,
    /// `unreachable`, `status`, `too_large` or `malformed`.
    pub result: String,
    /// More about it.
    pub detail: String,
    /// Requests, repetitions included.
    pub requests: u32,
    /// Readings it was asked for.
    pub asked: u64,
    /// Documents it answered with.
    pub documents: u32,
    /// Readings in them that were taken, now or before.
    pub accepted: u64,
    /// Documents that were refused.
    pub refused: u32,
    /// Rounds in a row that failed.
    pub failures: u32,
    /// It rests until then.
    pub next_try: Option<String>,
}

impl PullRow {
    /// Of a party that was not asked yet.
    pub(super) fn new(endpoint: &Endpoint) -> Self {
        Self {
            party: endpoint.party.to_string(),
            endpoint: endpoint.url.to_string(),
            at: None,
            result: "not_asked".to_owned(),
            detail: String::new(),
            requests: 0,
            asked: 0,
            documents: 0,
            accepted: 0,
            refused: 0,
            failures: 0,
            next_try: None,
        }
    }

    /// Whether it is about this party.
    #[must_use]
    pub fn is_of(&self, party: Party) -> bool {
        self.party == party.to_string()
    }

    /// With what is remembered of the party.
    pub(super) fn stand(&mut self, standing: Standing, now: Timestamp) {
        self.failures = standing.failures;
        self.next_try = (!standing.may_be_asked(now)).then(|| standing.rests_until.to_string());
    }
}
