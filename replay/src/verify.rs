//! Re-execution of a journal: what was recorded is compared with what the commands cause.
//!
//! One thread reads and proves the journal, this one runs the engine; chunks of entries go from the
//! first to the second and come back empty.

use std::{
    ops::ControlFlow,
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use engine::{Engine, Limits};
use journal::{Entry, JournalError, Position, Recovery};
use types::{Command, Digest, Event, Seq, Sequenced};

/// Commands handed over at a time: with their events they stay in the cache of a core.
const CHUNK_COMMANDS: usize = 256;
/// Chunks on their way. 16 × 256 × about 400 bytes = 1.6 MiB.
const CHUNKS_WAITING: usize = 16;

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

/// How far a verification is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Commands re-executed.
    pub commands: u64,
    /// The segment that is read, from 1, and how far.
    pub segment: u32,
    /// Byte in that segment.
    pub offset: u64,
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
    /// A command is not later than the one before it: no exchange writes that.
    #[error("sequence {seq}: the command is not later than the one before it")]
    Time {
        /// Position of the command.
        seq: Seq,
    },
}

/// Entries on their way from the journal to the engine.
#[derive(Debug, Default)]
struct Chunk {
    commands: Vec<Sequenced<Command>>,
    /// What all of them caused.
    events: Vec<Event>,
    /// Where in `events` each command's end.
    ends: Vec<usize>,
    /// Where the last one stands.
    segment: u32,
    offset: u64,
}

impl Chunk {
    fn push(&mut self, entry: &Entry, position: Position) {
        self.commands.push(entry.command);
        self.events.extend_from_slice(&entry.events);
        self.ends.push(self.events.len());
        self.segment = position.segment;
        self.offset = position.offset;
    }

    fn clear(&mut self) {
        self.commands.clear();
        self.events.clear();
        self.ends.clear();
    }
}

/// Re-executes the journal in `dir` and compares every event. `each` is told how far it is, now and
/// then.
///
/// # Errors
/// At the first damage or difference.
pub fn verify(
    dir: &Path,
    limits: Limits,
    each: &mut dyn FnMut(Progress),
) -> Result<Verified, VerifyError> {
    let mut comparison = Comparison::new(limits);
    let (full, chunks) = sync_channel(CHUNKS_WAITING);
    let (empty, emptied) = sync_channel(CHUNKS_WAITING);
    let (compared, scanned) = thread::scope(|scope| {
        let scanner = scope.spawn(move || scan(dir, &full, &emptied));
        let compared = comparison.run(chunks, &empty, each);
        (compared, scanner.join())
    });
    let scanned = match scanned {
        Ok(scanned) => scanned,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    // A difference ends the scan early; what was found first counts.
    compared?;
    let recovery = scanned?;
    Ok(Verified {
        commands: comparison.commands,
        events: comparison.events,
        trades: comparison.trades,
        last_seq: recovery.last_seq,
        state_digest: comparison.engine.digest(),
        chain: recovery.chain,
        torn_bytes: recovery.torn_bytes,
    })
}

/// Reads the journal into chunks until its end, or until nobody wants them.
fn scan(
    dir: &Path,
    full: &SyncSender<Chunk>,
    emptied: &Receiver<Chunk>,
) -> Result<Recovery, JournalError> {
    let mut chunk = Chunk::default();
    let recovery = journal::scan(dir, &mut |entry, position| {
        chunk.push(entry, position);
        if chunk.commands.len() < CHUNK_COMMANDS {
            return ControlFlow::Continue(());
        }
        let next = emptied.try_recv().unwrap_or_default();
        match full.send(std::mem::replace(&mut chunk, next)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    // Nobody wants the rest once a difference was found.
    full.send(chunk).ok();
    Ok(recovery)
}

/// The engine and what was counted.
#[derive(Debug)]
struct Comparison {
    engine: Engine,
    computed: Vec<Event>,
    commands: u64,
    events: u64,
    trades: u64,
}

impl Comparison {
    fn new(limits: Limits) -> Self {
        let engine = Engine::new(limits);
        Self { engine, computed: Vec::new(), commands: 0, events: 0, trades: 0 }
    }

    fn run(
        &mut self,
        chunks: Receiver<Chunk>,
        empty: &SyncSender<Chunk>,
        each: &mut dyn FnMut(Progress),
    ) -> Result<(), VerifyError> {
        for mut chunk in chunks {
            self.chunk(&chunk)?;
            let Chunk { segment, offset, .. } = chunk;
            each(Progress { commands: self.commands, segment, offset });
            chunk.clear();
            // One more empty chunk than there is room for is simply dropped.
            empty.try_send(chunk).ok();
        }
        Ok(())
    }

    /// Applies a chunk's commands and compares what they cause, all together: where that differs is
    /// looked for only when it does.
    fn chunk(&mut self, chunk: &Chunk) -> Result<(), VerifyError> {
        let mut last = self.engine.last_time();
        for command in &chunk.commands {
            if command.time <= last {
                return Err(VerifyError::Time { seq: command.seq });
            }
            last = command.time;
        }
        self.computed.clear();
        for (index, (command, &end)) in chunk.commands.iter().zip(&chunk.ends).enumerate() {
            if let Some(coming) = chunk.commands.get(index + Engine::FAR) {
                self.engine.anticipate(&coming.value);
            }
            if let Some(coming) = chunk.commands.get(index + Engine::NEAR) {
                self.engine.expect(&coming.value);
            }
            self.engine.apply(command, &mut self.computed);
            // What follows a difference means nothing.
            if self.computed.len() != end {
                return Err(self.difference(chunk, index));
            }
        }
        if self.computed != chunk.events {
            return Err(self.difference(chunk, chunk.commands.len()));
        }
        self.commands = self.commands.saturating_add(count(chunk.commands.len()));
        self.events = self.events.saturating_add(count(chunk.events.len()));
        let trades = chunk.events.iter().filter(|event| matches!(event, Event::Trade(_))).count();
        self.trades = self.trades.saturating_add(count(trades));
        Ok(())
    }

    /// The first difference in a chunk that has one: in an event before command `last`, or else in how
    /// many events that one causes.
    fn difference(&self, chunk: &Chunk, last: usize) -> VerifyError {
        let at = same(&chunk.events, &self.computed);
        let place = chunk.ends.partition_point(|&end| end <= at).min(last);
        let begin = place.checked_sub(1).and_then(|before| chunk.ends.get(before)).copied();
        let begin = begin.unwrap_or(0);
        let end = chunk.ends.get(place).copied().unwrap_or(begin);
        let recorded = chunk.events.get(begin..end).unwrap_or_default();
        let until = if place == last { self.computed.len() } else { end };
        let computed = self.computed.get(begin..until).unwrap_or_default();
        let index = same(recorded, computed);
        VerifyError::Different {
            seq: chunk.commands.get(place).map_or(Seq::ZERO, |command| command.seq),
            index,
            recorded: recorded.get(index).copied().map(Box::new),
            computed: computed.get(index).copied().map(Box::new),
        }
    }
}

/// The first difference between what is recorded and what was computed.
#[must_use]
pub fn compare(entry: &Entry, computed: &[Event]) -> Option<VerifyError> {
    if entry.events == computed {
        return None;
    }
    let index = same(&entry.events, computed);
    Some(VerifyError::Different {
        seq: entry.command.seq,
        index,
        recorded: entry.events.get(index).copied().map(Box::new),
        computed: computed.get(index).copied().map(Box::new),
    })
}

/// How many events at the front are the same.
fn same(left: &[Event], right: &[Event]) -> usize {
    left.iter().zip(right).take_while(|(left, right)| left == right).count()
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
