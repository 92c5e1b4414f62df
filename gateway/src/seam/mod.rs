//! Where what a session is told of the past ends and what it is told live begins.
//!
//! A session that asks what it missed is told from the journal, at its own pace, while the core loop
//! goes on and skips it. Once it has caught up it joins: from one position on, which both sides agree
//! on without a lock, the core loop's reports are its own. No position is told twice or not at all;
//! a model of every execution checks that.

#[cfg(test)]
mod model;
mod protocol;

pub use protocol::{Seam, Told};

/// What the protocol is made of; the model puts its own in its place.
mod sync {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering, fence};
}
