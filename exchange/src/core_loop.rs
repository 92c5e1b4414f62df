//! Stop 5 of an order's life: the spine. Everything the exchange decides, it decides here.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use engine::Engine;
use gateway::{Egress, IngressReceiver, Published};
use journal::{JournalError, Writer};
use types::{Command, Event, Origin, Seq, Timestamp};

use crate::{
    clock::Clock,
    market_data::MarketData,
    progress::{Progress, ProgressWriter},
    schedule::Schedule,
    seeds::Seeds,
    sequencer::Sequencer,
};

/// Longest time the loop sleeps when nothing is due: bounds how late it notices a clock that jumps.
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// How long nothing happens before orders whose last instant has passed get a command of their own:
/// a second, in nanoseconds. Every other command lets them expire too.
const PASS_TIME_NS: i64 = 1_000_000_000;

/// One thread that stamps, applies, journals and publishes.
#[derive(Debug)]
pub struct CoreLoop {
    /// Commands from sessions and operators.
    pub ingress: IngressReceiver,
    /// Gives each its place.
    pub sequencer: Sequencer,
    /// Decides what each does.
    pub engine: Engine,
    /// Remembers both.
    pub journal: Writer,
    /// Tells the platforms.
    pub egress: Egress,
    /// Shows everyone the books.
    pub market_data: MarketData,
    /// Tells everyone else how far it is.
    pub progress: ProgressWriter,
    /// What is due by itself.
    pub schedule: Schedule,
    /// What time it is.
    pub clock: Clock,
    /// When auctions are, as far as nobody may know before.
    pub seeds: Seeds,
    /// Most commands in one turn: bounds how long the first waits for its sync.
    pub batch_commands_max: usize,
    /// What comes before everything else: markets, parties and meters that are new.
    pub opening: Vec<Command>,
}

/// One turn's commands, where each stands and what it caused.
#[derive(Debug, Default)]
struct Batch {
    commands: Vec<Command>,
    applied: Vec<Applied>,
    events: Vec<Event>,
}

/// Where a command of a batch stands, who sent it, and its events.
#[derive(Debug)]
struct Applied {
    seq: Seq,
    time: Timestamp,
    origin: Option<Origin>,
    is_control: bool,
    events: Range<usize>,
}

impl Batch {
    fn published(&self) -> impl DoubleEndedIterator<Item = Published<'_>> + Clone {
        self.applied.iter().map(|applied| Published {
            seq: applied.seq,
            time: applied.time,
            origin: applied.origin,
            is_control: applied.is_control,
            events: self.events.get(applied.events.clone()).unwrap_or_default(),
        })
    }

    fn clear(&mut self) {
        self.applied.clear();
        self.events.clear();
    }
}

impl CoreLoop {
    /// Turns until `stop` is set and nothing waits. Gives the engine back.
    ///
    /// # Errors
    /// When the journal cannot take or sync a batch. Nobody has been told of that batch, and the
    /// process must end.
    pub fn run(mut self, stop: &Arc<AtomicBool>) -> Result<Engine, JournalError> {
        let mut batch = Batch::default();
        self.market_data.begin(&self.engine);
        for commands in std::mem::take(&mut self.opening).chunks(self.batch_commands_max) {
            batch.commands.extend_from_slice(commands);
            self.turn(self.clock.now(), &mut batch)?;
        }
        loop {
            let stopping = stop.load(Ordering::Acquire);
            // A clock that jumps back does not reopen what sequenced time has closed.
            let now = self.clock.now().max(self.sequencer.last_time());
            self.schedule.extend(now);
            self.schedule.due(now, &mut self.seeds, &mut batch.commands);
            self.ingress.drain_into(&mut batch.commands, self.batch_commands_max);
            if batch.commands.is_empty() {
                if stopping {
                    return Ok(self.engine);
                }
                batch.commands.extend(self.time_to_pass(now));
            }
            if !batch.commands.is_empty() {
                self.turn(now, &mut batch)?;
            }
            let durable = self.journal.last_durable();
            self.progress.advance(Progress { durable, scheduled: now });
            if batch.commands.is_empty() {
                self.ingress.wait(self.longest_sleep(now));
            }
        }
    }

    /// One turn: stamp, apply, record, make durable, publish.
    fn turn(&mut self, now: Timestamp, batch: &mut Batch) -> Result<(), JournalError> {
        batch.clear();
        for (index, &command) in batch.commands.iter().enumerate() {
            self.look_ahead(batch.commands.get(index..).unwrap_or_default());
            let sequenced = self.sequencer.stamp(now, command);
            let first = batch.events.len();
            self.engine.apply(&sequenced, &mut batch.events);
            let caused = batch.events.get(first..).unwrap_or_default();
            self.journal.append(&sequenced, caused)?;
            self.market_data.observe(&self.engine, caused);
            for event in caused {
                self.schedule.observe(&sequenced, event);
                if let Event::CommandRejected(rejected) = event {
                    let (seq, reason) = (sequenced.seq, rejected.reason);
                    tracing::warn!(%seq, %reason, "a command of the exchange itself was refused");
                }
            }
            let events = first..batch.events.len();
            batch.applied.push(Applied {
                seq: sequenced.seq,
                time: sequenced.time,
                // The signature of a frame is evidence and has no answer.
                origin: command.origin().filter(|_| !matches!(command, Command::SignedFrame(_))),
                is_control: matches!(command, Command::SetTrading(_)),
                events,
            });
        }
        batch.commands.clear();
        self.journal.commit()?; // Nobody is told anything before this line.
        // Who has a report finds its effect in the books.
        self.market_data.publish(&self.engine);
        self.egress.publish(batch.published());
        Ok(())
    }

    /// Time passes by itself when nothing else moved it on and an order waits for that.
    fn time_to_pass(&self, now: Timestamp) -> Option<Command> {
        let is_idle = now >= self.sequencer.last_time().plus_ns(PASS_TIME_NS);
        let has_expired = self.engine.next_expiry().is_some_and(|expiry| expiry < now);
        (is_idle && has_expired).then_some(Command::PassTime)
    }

    /// Tells the engine what comes after the first of these commands.
    fn look_ahead(&self, commands: &[Command]) {
        if let Some(coming) = commands.get(Engine::FAR) {
            self.engine.anticipate(coming);
        }
        if let Some(coming) = commands.get(Engine::NEAR) {
            self.engine.expect(coming);
        }
    }

    fn longest_sleep(&self, now: Timestamp) -> Duration {
        let until =
            self.schedule.next_deadline().map(|deadline| deadline.ns().saturating_sub(now.ns()));
        until
            .and_then(|ns| u64::try_from(ns).ok())
            .map_or(SLEEP_MAX, |ns| Duration::from_nanos(ns).min(SLEEP_MAX))
    }
}
