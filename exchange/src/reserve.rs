//! The room on the disk that is kept for what takes orders away: below it nothing that makes orders is
//! taken, so that cancelling, reducing and everything of the operator go on.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

/// Between two looks at the disk. A journal that grows by 100 MB in it leaves most of the reserve.
const PERIOD: Duration = Duration::from_secs(1);

/// How much room there must be, and whether there is.
#[derive(Debug)]
pub struct Reserve {
    journals: Vec<PathBuf>,
    /// What every request at the edge looks at.
    low: Arc<AtomicBool>,
    looked: Mutex<Looked>,
}

/// What the last look was for and found.
#[derive(Debug)]
struct Looked {
    /// Zero when none is kept.
    required: u64,
    found: Found,
    /// Nothing where the system did not say.
    free: Option<u64>,
}

/// How much room there is and how much is kept, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Free on the file system of the journal that has least; nothing where the system did not say.
    pub free: Option<u64>,
    /// Kept for what takes orders away; zero for nothing.
    pub kept: u64,
    /// Whether less than that is free.
    pub is_low: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Enough,
    Low,
    /// The system did not say: nobody is refused for that.
    Unknown,
}

impl Reserve {
    /// Of `required` bytes on the file system of each journal, as of now.
    #[must_use]
    pub fn new(journals: Vec<PathBuf>, required: u64) -> Self {
        let looked = Mutex::new(Looked { required, found: Found::Enough, free: None });
        let reserve = Self { journals, low: Arc::default(), looked };
        reserve.look();
        reserve
    }

    /// Whether there is less; it changes at any time.
    #[must_use]
    pub fn low(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.low)
    }

    /// Keeps another number of bytes from now on.
    pub fn require(&self, bytes: u64) {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner).required = bytes;
        self.look();
    }

    /// What the last look found.
    #[must_use]
    pub fn room(&self) -> Room {
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        Room { free: looked.free, kept: looked.required, is_low: looked.found == Found::Low }
    }

    /// Looks now and then until told to stop.
    pub(crate) async fn watch(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut period = tokio::time::interval(PERIOD);
        loop {
            tokio::select! {
                _ = period.tick() => {}
                _ = stop.wait_for(|&stop| stop) => return,
            }
            let reserve = Arc::clone(&self);
            // A disk that is in trouble may take its time.
            if tokio::task::spawn_blocking(move || reserve.look()).await.is_err() {
                return;
            }
        }
    }

    fn look(&self) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let required = looked.required;
        let space = self.least_space();
        looked.free = space.as_ref().ok().copied();
        let found = match &space {
            Ok(space) if *space < required => Found::Low,
            Err(_) if required > 0 => Found::Unknown,
            Ok(_) | Err(_) => Found::Enough,
        };
        if found != looked.found {
            tell(looked.found, found, required, space);
        }
        looked.found = found;
        self.low.store(found == Found::Low, Ordering::Relaxed);
    }

    fn least_space(&self) -> io::Result<u64> {
        self.journals.iter().try_fold(u64::MAX, |least, path| Ok(least.min(journal::space(path)?)))
    }
}

/// Logs what has changed.
fn tell(before: Found, found: Found, required: u64, space: io::Result<u64>) {
    match (found, space) {
        (_, Err(error)) => tracing::warn!(%error, "the free storage of the journal is not known"),
        (Found::Low, Ok(space)) => tracing::warn!(
            "storage is low: the journal has {space} bytes left and {required} are kept \
             (`journal.reserve_mib`); no new orders, replacements and activations are taken"
        ),
        (_, Ok(_)) if before == Found::Low => {
            tracing::warn!("storage is no longer low: new orders are taken again");
        }
        (_, Ok(_)) => tracing::info!("the free storage of the journal is known again"),
    }
}
