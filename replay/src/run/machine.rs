//! The engine of a run, with the clock around every command and the journal behind it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use engine::{Engine, Limits};
use hdrhistogram::Histogram;
use journal::{JournalError, Writer};
use types::{Command, Event, Seq, Sequenced, Timestamp};

use super::RunError;

/// Commands that are applied together: with their events they stay in the cache.
const CHUNK_COMMANDS: usize = 256;
/// Commands between two syncs of the journal: a batch of about 1 MiB.
const COMMIT_COMMANDS: usize = 4_096;
/// Longest time that is told apart: a minute.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) engine: Engine,
    seq: Seq,
    time: Timestamp,
    commands: Vec<Sequenced<Command>>,
    /// When each command should have been applied; empty at full speed.
    due: Vec<Instant>,
    events: Vec<Event>,
    /// Where in `events` each command's end.
    ends: Vec<usize>,
    journal: Option<Writer>,
    uncommitted: usize,
    /// Whether what is applied counts.
    pub(super) is_timed: bool,
    pub(super) latencies: Histogram<u64>,
    pub(super) took: Duration,
    pub(super) timed: u64,
    /// What reading the clock takes.
    clock: Duration,
}

impl Machine {
    pub(super) fn new(journal: Option<&Path>) -> Result<Self, RunError> {
        let journal = journal.map(new_journal).transpose()?;
        Ok(Self {
            engine: Engine::new(Limits::default()),
            seq: Seq::ZERO,
            time: Timestamp::from_ns(i64::MIN),
            commands: Vec::with_capacity(CHUNK_COMMANDS),
            due: Vec::new(),
            events: Vec::new(),
            ends: Vec::with_capacity(CHUNK_COMMANDS),
            journal,
            uncommitted: 0,
            is_timed: false,
            latencies: Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)?,
            took: Duration::ZERO,
            timed: 0,
            clock: clock_cost(),
        })
    }

    /// Takes the next command, at `time` or as soon after it as the order of time allows.
    pub(super) fn load(&mut self, time: Timestamp, command: Command, due: Option<Instant>) {
        self.seq = self.seq.next();
        self.time = time.max(self.time.plus_ns(1));
        self.commands.push(Sequenced { seq: self.seq, time: self.time, value: command });
        self.due.extend(due);
    }

    pub(super) const fn is_full(&self) -> bool {
        self.commands.len() >= CHUNK_COMMANDS
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Applies what was loaded.
    pub(super) fn apply(&mut self) -> Result<(), JournalError> {
        self.events.clear();
        self.ends.clear();
        let mut begun = Instant::now();
        for (index, command) in self.commands.iter().enumerate() {
            if let Some(coming) = self.commands.get(index + Engine::FAR) {
                self.engine.anticipate(&coming.value);
            }
            if let Some(coming) = self.commands.get(index + Engine::NEAR) {
                self.engine.expect(&coming.value);
            }
            self.engine.apply(command, &mut self.events);
            self.ends.push(self.events.len());
            if !self.is_timed {
                continue;
            }
            let now = Instant::now();
            let took = now.duration_since(begun).saturating_sub(self.clock);
            begun = now;
            self.took += took;
            // At a pace, waiting counts: from when the command should have been applied.
            let latency = self.due.get(index).map_or(took, |due| now.duration_since(*due));
            let latency = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
            self.latencies.saturating_record(latency.max(1));
            self.timed = self.timed.saturating_add(1);
        }
        self.record()
    }

    /// Appends what was applied to the journal.
    fn record(&mut self) -> Result<(), JournalError> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let mut first = 0;
        for (command, &end) in self.commands.iter().zip(&self.ends) {
            journal.append(command, self.events.get(first..end).unwrap_or_default())?;
            first = end;
        }
        self.uncommitted = self.uncommitted.saturating_add(self.commands.len());
        if self.uncommitted >= COMMIT_COMMANDS {
            journal.commit()?;
            self.uncommitted = 0;
        }
        Ok(())
    }

    /// What was applied, command by command.
    pub(super) fn applied(&self) -> impl Iterator<Item = (&Sequenced<Command>, &[Event])> {
        let firsts = std::iter::once(0).chain(self.ends.iter().copied());
        self.commands.iter().zip(firsts.zip(&self.ends)).map(|(command, (first, &end))| {
            (command, self.events.get(first..end).unwrap_or_default())
        })
    }

    /// Makes room for the next chunk.
    pub(super) fn clear(&mut self) {
        self.commands.clear();
        self.due.clear();
    }

    /// Makes everything durable.
    pub(super) fn finish(&mut self) -> Result<(), JournalError> {
        if let Some(journal) = &mut self.journal {
            journal.commit()?;
        }
        Ok(())
    }
}

/// A journal is begun, never continued: its engine would need what is in it.
fn new_journal(dir: &Path) -> Result<Writer, RunError> {
    let mut is_new = true;
    let (writer, _) = Writer::open(dir, journal::Options::default(), &mut |_| is_new = false)?;
    if is_new { Ok(writer) } else { Err(RunError::JournalExists { path: dir.to_owned() }) }
}

/// The least that two reads of the clock take.
fn clock_cost() -> Duration {
    let reads = (0..10_000).map(|_| Instant::now().elapsed());
    reads.min().unwrap_or_default()
}
