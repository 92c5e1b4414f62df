//! What the configuration says about the journal, in the journal's terms, and what it answers.

use journal::{Options, SyncChoice, SyncMethod};

use crate::config::Config;

/// In the configuration: what is fastest in the journal's directory.
const MEASURED: &str = "measured";

/// How the exchange opens its journal.
#[must_use]
pub fn of(config: &Config) -> Options {
    Options {
        segment_bytes: config.segment_bytes,
        // A batch must fit into an empty segment; and one entry into a batch, of which the largest
        // cancels every order: 1,048,576 × 40 bytes = 40 MiB, of segments of at least 64 MiB.
        batch_bytes_max: u32::try_from(config.segment_bytes.div_euclid(4).saturating_mul(3))
            .unwrap_or(u32::MAX),
        sync: config.sync,
    }
}

/// The method of this name, or `None` for the fastest, which is also what no name means.
///
/// # Errors
/// Names those that are possible.
pub fn sync_named(name: Option<&str>) -> Result<Option<SyncMethod>, String> {
    match name {
        None | Some(MEASURED) => Ok(None),
        Some(name) => SyncMethod::from_name(name).map(Some).ok_or_else(|| {
            let methods = SyncMethod::ALL.map(SyncMethod::name).join("`, `");
            format!("is `{name}`, possible are `{MEASURED}`, `{methods}`")
        }),
    }
}

/// Logs how batches are made durable, and what that costs here.
pub fn tell(choice: &SyncChoice) {
    for figures in &choice.measured {
        tracing::info!(
            "journal: {} takes {:?} for 2 KiB and {:?} for 64 KiB, at worst {:?} (middle of {})",
            figures.method,
            figures.small,
            figures.large,
            figures.worst,
            figures.rounds
        );
    }
    for (method, error) in &choice.refused {
        tracing::warn!("journal: {method} cannot be used here: {error}");
    }
    tracing::info!("journal: batches are made durable by {}", choice.method);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_chosen_by_name() {
        assert_eq!(sync_named(None), Ok(None));
        assert_eq!(sync_named(Some("measured")), Ok(None));
        assert_eq!(sync_named(Some("msync")), Ok(Some(SyncMethod::Msync)));
        let unknown = sync_named(Some("fsync")).unwrap_err();
        assert_eq!(
            unknown,
            "is `fsync`, possible are `measured`, `msync`, `mapped-fdatasync`, `write-fdatasync`, \
             `io-uring`"
        );
    }
}
