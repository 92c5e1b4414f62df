//! The one place that reads a clock; or, in a simulation, the one place that moves it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use types::Timestamp;

/// Where the time of a node comes from.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that somebody sets; nanoseconds since the epoch.
    Virtual(Arc<AtomicI64>),
}

impl Clock {
    /// A virtual clock that shows `start`.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self::Virtual(Arc::new(AtomicI64::new(start.ns())))
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_ns(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
            }
            Self::Virtual(ns) => Timestamp::from_ns(ns.load(Ordering::Acquire)),
        }
    }

    /// Sets a virtual clock; a machine's clock stays as it is.
    pub fn set(&self, now: Timestamp) {
        if let Self::Virtual(ns) = self {
            // Release pairs with the acquire in `now`.
            ns.store(now.ns(), Ordering::Release);
        }
    }
}
