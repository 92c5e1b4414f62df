//! How far the core loop is: written by it without locks, relayed to whoever waits.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering, fence},
};

use tokio::sync::{mpsc, watch};
use types::{Seq, Timestamp};

/// How far everything is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Everything up to here is durable and published.
    pub durable: Seq,
    /// Everything the timetable had due up to here is among it.
    pub scheduled: Timestamp,
}

/// The core loop's end.
#[derive(Debug)]
pub struct ProgressWriter {
    shared: Arc<Shared>,
    bell: mpsc::Sender<()>,
}

/// The last position that was given out, durable or not. It lags by nothing that a person sees.
#[derive(Debug, Clone)]
pub struct Sequenced(Arc<Shared>);

impl Sequenced {
    /// Which it is now.
    #[must_use]
    pub fn last(&self) -> Seq {
        Seq::new(self.0.sequenced.load(Ordering::Relaxed))
    }
}

#[derive(Debug)]
struct Shared {
    sequenced: AtomicU64,
    durable: AtomicU64,
    scheduled: AtomicI64,
}

impl Shared {
    fn load(&self) -> Progress {
        // Acquire pairs with the release in `ProgressWriter::advance`: what was durable then is
        // visible now.
        let scheduled = Timestamp::from_ns(self.scheduled.load(Ordering::Acquire));
        Progress { durable: Seq::new(self.durable.load(Ordering::Acquire)), scheduled }
    }
}

impl ProgressWriter {
    /// Starts the relay on the current tokio runtime, when everything up to `durable` is on disk.
    #[must_use]
    pub fn start_at(durable: Seq) -> (Self, watch::Receiver<Progress>) {
        let initial = Progress { durable, ..Progress::default() };
        let shared = Arc::new(Shared {
            sequenced: AtomicU64::new(initial.durable.get()),
            durable: AtomicU64::new(initial.durable.get()),
            scheduled: AtomicI64::new(initial.scheduled.ns()),
        });
        // One place: a bell that already rings need not ring twice.
        let (bell, mut rings) = mpsc::channel(1);
        let (sender, receiver) = watch::channel(initial);
        let relay = Arc::clone(&shared);
        tokio::spawn(async move {
            while rings.recv().await.is_some() {
                // Pairs with the fence in `advance`: a bell that was full is answered with the state
                // it was rung for.
                fence(Ordering::SeqCst);
                sender.send_replace(relay.load());
            }
            sender.send_replace(relay.load());
        });
        (Self { shared, bell }, receiver)
    }

    /// What was given out, to look at.
    #[must_use]
    pub fn sequenced(&self) -> Sequenced {
        Sequenced(Arc::clone(&self.shared))
    }

    /// Positions up to here are given out and are about to become durable.
    pub fn sequence(&self, last: Seq) {
        self.shared.sequenced.store(last.get(), Ordering::Relaxed);
    }

    /// Publishes a new state; never waits.
    pub fn advance(&self, progress: Progress) {
        self.shared.durable.store(progress.durable.get(), Ordering::Release);
        self.shared.scheduled.store(progress.scheduled.ns(), Ordering::Release);
        fence(Ordering::SeqCst);
        // Full means the relay has not looked yet and will see this state.
        self.bell.try_send(()).ok();
    }
}
