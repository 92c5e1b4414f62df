//! How long who may sign documents: what the authority's register says, as it changes.

use std::{collections::BTreeMap, fs, path::PathBuf, time::SystemTime};

use gateway::authority;
use types::{Party, Timestamp};

/// Watches the register in the directory of the authority. Where it is kept elsewhere, nobody's signatures end.
#[derive(Debug)]
pub(crate) struct Signers {
    keys: PathBuf,
    /// When the register was written that was read last, and its length.
    read: Option<(SystemTime, u64)>,
}

impl Signers {
    /// Nothing was read.
    pub(crate) const fn new(keys: PathBuf) -> Self {
        Self { keys, read: None }
    }

    /// Until when signatures of parties count, if the register has changed since it was asked last. One
    /// that cannot be read changes nothing; the log says so.
    pub(crate) fn changed(&mut self) -> Option<BTreeMap<Party, Timestamp>> {
        let path = self.keys.join(authority::REGISTER_FILE);
        let metadata = fs::metadata(path).ok()?;
        let written = (metadata.modified().ok()?, metadata.len());
        if self.read == Some(written) {
            return None;
        }
        self.read = Some(written);
        match authority::signing_until(&self.keys) {
            Ok(until) => Some(
                until
                    .into_iter()
                    .map(|(party, instant)| (party, Timestamp::from_seconds(instant.as_second())))
                    .collect(),
            ),
            Err(error) => {
                tracing::warn!(%error, "the register of certificates cannot be read");
                None
            }
        }
    }
}
