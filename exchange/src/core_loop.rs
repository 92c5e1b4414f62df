//! Stop 5 of an order's life: the spine. Everything the exchange decides, it decides here.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use engine::Engine;
use gateway::{Egress, IngressReceiver, KnownMarket, Markets, Published};
use journal::{JournalError, Writer};
use types::{Command, CommandRejected, Event, GridRefused, Origin, Seq, Timestamp};
use wire::outbound::Applied as Told;

use crate::{
    clock::Clock,
    market_data::MarketData,
    progress::{Progress, ProgressWriter},
    schedule::{Schedule, ScheduledMarket},
    seeds::Seeds,
    sequencer::Sequencer,
};

/// Longest time the loop sleeps when nothing is due: bounds how late it notices a clock that jumps.
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// How long nothing happens before orders whose last instant has passed get a command of their own:
/// a second, in nanoseconds. Every other command lets them expire too.
const PASS_TIME_NS: i64 = 1_000_000_000;

/// Entries between two looks at the clock: 27 ns a look / 32 entries = under a nanosecond each.
const LOOK_ENTRIES: usize = 32;
/// Events of one command that took long enough to look at the clock at once.
const LOOK_EVENTS: usize = 256;

/// What one sync covers at most: bounds how long the first command of a turn waits for its own. A
/// turn takes what waits and ends when one of these is reached; the rest is the next turn. So a batch
/// adapts by itself: what comes during a sync is the next batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchBounds {
    /// Commands.
    pub commands_max: usize,
    /// Bytes of records. The entry that reaches it is the last, so that a batch is longer by at most one.
    pub bytes_max: usize,
    /// From the first command's application to the beginning of the sync. One command that takes longer,
    /// such as the uncross of a full book, is not interrupted.
    pub time_max: Duration,
}

impl BatchBounds {
    /// Whether a turn ends after so many commands, which began at `began` and made an open batch of so
    /// many bytes; the last of them caused so many events.
    fn are_reached(&self, commands: usize, bytes: usize, events: usize, began: Instant) -> bool {
        let looks = commands.is_multiple_of(LOOK_ENTRIES) || events >= LOOK_EVENTS;
        commands >= self.commands_max
            || bytes >= self.bytes_max
            || (looks && began.elapsed() >= self.time_max)
    }
}

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
    /// When a turn ends although more waits.
    pub bounds: BatchBounds,
    /// Who serves something for each market looks here.
    pub markets: Arc<Markets>,
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
    /// What was applied of the commands, which are still there.
    fn published(&self) -> impl DoubleEndedIterator<Item = Published<'_>> + Clone {
        self.applied.iter().zip(&self.commands).map(|(applied, command)| Published {
            seq: applied.seq,
            time: applied.time,
            origin: applied.origin,
            command,
            is_control: applied.is_control,
            events: self.events.get(applied.events.clone()).unwrap_or_default(),
        })
    }

    /// Requests of sessions that this turn has applied.
    fn applied_requests(&self) -> impl Iterator<Item = (Origin, Told)> {
        self.applied.iter().zip(&self.commands).filter_map(|(applied, command)| {
            let told = Told { seq: applied.seq, client_order: command.client_order() };
            applied.origin.map(|origin| (origin, told))
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
        batch.commands = std::mem::take(&mut self.opening);
        while !batch.commands.is_empty() {
            self.turn(self.clock.now(), &mut batch)?;
        }
        let mut scheduled = Timestamp::default();
        loop {
            let stopping = stop.load(Ordering::Acquire);
            // A clock that jumps back does not reopen what sequenced time has closed.
            let now = self.clock.now().max(self.sequencer.last_time());
            self.schedule.extend(now);
            self.schedule.due(now, &mut self.seeds, &mut batch.commands);
            self.ingress.drain_into(&mut batch.commands, self.bounds.commands_max);
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
            if batch.commands.is_empty() {
                scheduled = now;
            }
            self.progress.advance(Progress { durable, scheduled });
            if batch.commands.is_empty() {
                self.ingress.wait(self.longest_sleep(now));
            }
        }
    }

    /// One turn: stamp, apply, record, make durable, publish. What is over the bounds stays.
    fn turn(&mut self, now: Timestamp, batch: &mut Batch) -> Result<(), JournalError> {
        batch.clear();
        let began = Instant::now();
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
                if let Event::CommandRejected(CommandRejected { reason })
                | Event::GridRefused(GridRefused { reason, .. }) = event
                {
                    let seq = sequenced.seq;
                    tracing::warn!(%seq, %reason, "a command of the exchange itself was refused");
                }
            }
            let range = first..batch.events.len();
            let events = range.len();
            batch.applied.push(Applied {
                seq: sequenced.seq,
                time: sequenced.time,
                // The signature of a frame is evidence and has no answer.
                origin: command.origin().filter(|_| !matches!(command, Command::SignedFrame(_))),
                is_control: matches!(command, Command::Operate(_) | Command::BustTrade(_)),
                events: range,
            });
            // A signed frame becomes durable with its evidence, whole, and a market with who defines it.
            let goes_on = matches!(command, Command::DraftMarket(_))
                || matches!(
                    batch.commands.get(index.saturating_add(1)),
                    Some(Command::DelegatedOrder(_) | Command::DelegatedReplace(_))
                );
            let (commands, bytes) = (batch.applied.len(), self.journal.open_bytes());
            if !goes_on && self.bounds.are_reached(commands, bytes, events, began) {
                break;
            }
        }
        self.egress.tell_applied(batch.applied_requests());
        batch.applied.last().into_iter().for_each(|last| self.progress.sequence(last.seq));
        self.journal.commit()?; // Nobody is told anything before this line.
        self.tell_of_markets();
        // Who has a report finds its effect in the books.
        self.market_data.publish(&self.engine);
        self.egress.publish(batch.published());
        batch.commands.drain(..batch.applied.len());
        Ok(())
    }

    /// A market that an operator defined is known to everybody before the operator has an answer.
    fn tell_of_markets(&mut self) {
        for market in self.schedule.take_new() {
            let ScheduledMarket { definition, uncross_lead, .. } = market;
            if let Err(error) = self.markets.learn(KnownMarket { definition, uncross_lead }) {
                let market = definition.market;
                tracing::error!(%market, %error, "no slots of a new market can be found");
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_when_any_bound_is_reached() {
        let wide = BatchBounds {
            commands_max: 1_000,
            bytes_max: 10_000,
            time_max: Duration::from_secs(3_600),
        };
        let now = Instant::now();
        assert!(!wide.are_reached(999, 9_999, 0, now));
        assert!(wide.are_reached(1_000, 0, 0, now));
        assert!(wide.are_reached(1, 10_000, 0, now));
        let hasty = BatchBounds { time_max: Duration::ZERO, ..wide };
        assert!(!hasty.are_reached(31, 0, 255, now), "the clock is not looked at");
        assert!(hasty.are_reached(32, 0, 0, now));
        assert!(hasty.are_reached(1, 0, 256, now), "a command that did much");
    }
}
