//! Atomics of the machine, or those of the model checker in its tests.

#[cfg(all(test, loom))]
pub(super) use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(not(all(test, loom)))]
pub(super) use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Whether the model checker runs: everything is as small as it can be then.
pub(super) const MODELLED: bool = cfg!(all(test, loom));
