//! Re-execution of journals: the proof that state is nothing but the fold of its commands.
#![forbid(unsafe_code)]

pub mod flow;
pub mod stage;

use std::{ops::ControlFlow, path::Path};

use engine::{Engine, Limits};
use journal::{Entry, JournalError};
use types::{Digest, Event, Seq};

/// A journal that replays to what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Commands re-executed.
    pub commands: u64,
    /// Events compared.
    pub events: u64,
    /// Trades among them.
    pub trades: u64,
    /// The last position.
    pub last_seq: Seq,
    /// Digest of the state at the end.
    pub state_digest: Digest,
    /// Hash of the last batch: names the whole journal.
    pub chain: Digest,
    /// Bytes after the last whole batch, left by a crash.
    pub torn_bytes: u64,
}

/// Why a journal is not what it says.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read, or is damaged.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A command caused other events than the journal holds.
    #[error(
        "sequence {seq}: the journal holds other events than the command causes, first at event {index}"
    )]
    Different {
        /// Position of the command.
        seq: Seq,
        /// Index of the first event that differs.
        index: usize,
        /// What the journal holds there.
        recorded: Option<Box<Event>>,
        /// What the engine says.
        computed: Option<Box<Event>>,
    },
}

/// Re-executes the journal in `dir` and compares every event. `each` is told how many commands are
/// done, now and then.
///
/// # Errors
/// At the first damage or difference.
pub fn verify(
    dir: &Path,
    limits: Limits,
    each: &mut dyn FnMut(u64),
) -> Result<Verified, VerifyError> {
    const TELL_EVERY: u64 = 4_096;
    let mut engine = Engine::new(limits);
    let mut computed = Vec::new();
    let (mut commands, mut events, mut trades) = (0_u64, 0_u64, 0_u64);
    let mut different = None;
    let recovery = journal::scan(dir, &mut |entry, _| {
        computed.clear();
        engine.apply(&entry.command, &mut computed);
        if let Some(difference) = compare(entry, &computed) {
            different = Some(difference);
            return ControlFlow::Break(());
        }
        commands = commands.saturating_add(1);
        for event in &computed {
            events = events.saturating_add(1);
            trades = trades.saturating_add(u64::from(matches!(event, Event::Trade(_))));
        }
        if commands.is_multiple_of(TELL_EVERY) {
            each(commands);
        }
        ControlFlow::Continue(())
    })?;
    if let Some(difference) = different {
        return Err(difference);
    }
    each(commands);
    Ok(Verified {
        commands,
        events,
        trades,
        last_seq: recovery.last_seq,
        state_digest: engine.digest(),
        chain: recovery.chain,
        torn_bytes: recovery.torn_bytes,
    })
}

/// The first difference between what is recorded and what was computed.
#[must_use]
pub fn compare(entry: &Entry, computed: &[Event]) -> Option<VerifyError> {
    if entry.events == computed {
        return None;
    }
    let same = entry.events.iter().zip(computed).take_while(|(left, right)| left == right).count();
    Some(VerifyError::Different {
        seq: entry.command.seq,
        index: same,
        recorded: entry.events.get(same).copied().map(Box::new),
        computed: computed.get(same).copied().map(Box::new),
    })
}
