//! Who goes first when there is more work than processors: who trades before who settles.
//!
//! What follows the journal (settlement, snapshots) may fall behind and catches up; orders wait for nobody.

use rustix::process::setpriority_process;

/// Settlement gets about a tenth of a processor that trading wants whole.
pub(crate) const SETTLEMENT: Niceness = Niceness(10);
/// What settlement is fed by.
pub(crate) const FEED: Niceness = Niceness(5);
/// A snapshot is needed at the next start only.
pub(crate) const SNAPSHOTS: Niceness = Niceness(15);

/// How far a thread steps back for others: 0 not at all, 19 as far as possible.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Niceness(i32);

impl Niceness {
    /// Sets that of the calling thread. Where the system refuses, the thread stays as it is: it is slower
    /// for others, and not wrong.
    pub(crate) fn apply(self) {
        // No process means the caller, which for Linux is the thread.
        if let Err(error) = setpriority_process(None, self.0) {
            tracing::debug!(%error, "a thread keeps its priority");
        }
    }
}
