//! The two values of the seam, and who does what with them.

use types::Seq;

use super::sync::{AtomicU64, Ordering, fence};

/// The session is behind: the core loop skips it.
const FAR: u64 = u64::MAX;
/// The session has caught up: whoever is first says where live reports begin.
const JOIN: u64 = 0;

/// How far a shard's reports are: written by its core loop, before it looks at any session.
#[derive(Debug)]
pub struct Told(AtomicU64);

impl Told {
    /// Everything up to here is durable.
    #[must_use]
    pub fn after(durable: Seq) -> Self {
        Self(AtomicU64::new(durable.get()))
    }

    /// The core loop is about to tell everything up to here, which is durable. Whatever sessions it
    /// looks at, it does so after this.
    pub fn announce(&self, through: Seq) {
        self.0.store(through.get(), Ordering::Release);
        // Pairs with the fence in `Seam::join`: either this thread sees the session joining, or the
        // session sees the position.
        fence(Ordering::SeqCst);
    }

    /// Everything up to here is durable, and can be read from the journal.
    #[must_use]
    pub fn through(&self) -> Seq {
        Seq::new(self.0.load(Ordering::Acquire))
    }
}

/// Where a session's live reports begin.
#[derive(Debug)]
pub struct Seam(AtomicU64);

impl Seam {
    /// Of a session that is told nothing live yet.
    #[must_use]
    pub fn far() -> Self {
        Self(AtomicU64::new(FAR))
    }

    /// The core loop's side: the first position that it tells the session itself, when what it tells
    /// now begins with `first`; `None` for none of this.
    #[must_use]
    pub fn live_from(&self, first: Seq) -> Option<Seq> {
        match self.0.load(Ordering::Acquire) {
            FAR => None,
            JOIN => Some(Seq::new(self.settle(first.get()))),
            from => Some(Seq::new(from)),
        }
    }

    /// The session's side, after it was entered where the core loop looks: ends the skipping.
    /// Returns the last position that it will not be told live.
    #[must_use]
    pub fn join(&self, told: &Told) -> Seq {
        self.0.store(JOIN, Ordering::Release);
        // Pairs with the fence in `Told::announce`.
        fence(Ordering::SeqCst);
        let from = self.settle(told.through().next().get());
        Seq::new(from.saturating_sub(1))
    }

    /// Decides where live reports begin, unless the other side has.
    fn settle(&self, from: u64) -> u64 {
        match self.0.compare_exchange(JOIN, from, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => from,
            Err(decided) => decided,
        }
    }
}
