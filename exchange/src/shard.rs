//! What every shard has: an engine on a thread of its own, with its slots, its ring and its journal.
//! Shards share nothing; what the process has once is in [`crate::node`].

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use engine::{Engine, Limits};
use gateway::{Directory, Egress, Ingress, Sessions, ShardPort};
use journal::{JournalError, Writer};
use market_view::MarketReader;
use settlement::Pipeline;
use tokio::sync::watch;
use types::{Event, Seq, ShardId, ShardMap, Shards};

use crate::{
    config::Config,
    core_loop::CoreLoop,
    exit::{Failure, Kind},
    feed::ShardFeed,
    market_data::MarketData,
    node::{Layout, NodeError, NodeOptions},
    progress::{Progress, ProgressWriter},
    registrations,
    schedule::Schedule,
    seeds::Seeds,
    sequencer::Sequencer,
};

/// A running shard.
#[derive(Debug)]
pub struct Shard {
    /// Which.
    pub id: ShardId,
    /// What its start found.
    pub recovered: Recovered,
    /// Its books, as of the last turn.
    pub market: MarketReader,
    ingress: Ingress,
    progress: watch::Receiver<Progress>,
    /// Where everybody is entered.
    opening_done: Seq,
    core: thread::JoinHandle<Result<Engine, JournalError>>,
}

/// What a restart found.
#[derive(Debug, Clone, Copy)]
pub struct Recovered {
    /// Commands re-executed from the journal.
    pub commands: u64,
    /// The last of them.
    pub last_seq: Seq,
    /// Bytes of a torn tail that were dropped.
    pub torn_bytes: u64,
    /// Everything up to here is settled's knowledge.
    pub captured: Seq,
    /// How long it took.
    pub took: Duration,
}

/// The limits of a shard's engine.
#[must_use]
pub fn limits(shard: ShardId) -> Limits {
    Limits { shard: shard.index(), ..Limits::default() }
}

impl Shard {
    /// How far its core loop is, to wait on.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Its last durable position.
    #[must_use]
    pub fn durable(&self) -> Seq {
        self.progress.borrow().durable
    }

    /// Makes its core loop look at its clock now.
    pub(crate) fn wake(&self) {
        self.ingress.wake();
    }

    /// Whether its core loop still runs.
    pub(crate) fn is_running(&self) -> bool {
        !self.core.is_finished()
    }

    /// Waits until everybody is entered.
    pub(crate) async fn opened(&self) -> Result<(), NodeError> {
        let mut progress = self.progress.clone();
        let reached = progress.wait_for(|progress| progress.durable >= self.opening_done).await;
        reached.map(|_| ()).map_err(|_| NodeError::CoreStopped)
    }

    /// Waits until its core loop has stopped. Gives its engine back.
    pub(crate) async fn join(self) -> Result<Engine, NodeError> {
        let core = self.core;
        match tokio::task::spawn_blocking(move || core.join()).await {
            Ok(Ok(result)) => result.map_err(NodeError::from),
            Ok(Err(_)) | Err(_) => Err(NodeError::CoreStopped),
        }
    }
}

/// A shard as its files have it, before anything runs.
#[derive(Debug)]
pub(crate) struct Opened {
    id: ShardId,
    recovered: Recovered,
    journal: Writer,
    recovery: journal::Recovery,
    engine: Engine,
    schedule: Schedule,
}

/// A shard that can run.
#[derive(Debug)]
pub(crate) struct Ready {
    id: ShardId,
    recovered: Recovered,
    market: MarketReader,
    sessions: Arc<Sessions>,
    ingress: Ingress,
    progress: watch::Receiver<Progress>,
    opening_done: Seq,
    core_loop: CoreLoop,
    /// Whether there are others, from which its log lines must differ.
    is_one_of_many: bool,
}

/// Opens the journals of all shards at once and rebuilds their state.
pub(crate) fn open_all(
    layout: &Layout,
    config: &Config,
    pipeline: &Pipeline,
    map: &Arc<ShardMap>,
    directory: &Directory,
) -> Result<Vec<Opened>, NodeError> {
    let open = |shard, captured| {
        let journal = layout.journal_of(shard);
        let schedule = Schedule::of_shard(shard, Arc::clone(map));
        Opened::read(shard, journal, config, captured, schedule, directory)
    };
    let (first, others) = (ShardId::FIRST, config.shards.iter().skip(1));
    let others: Vec<_> = others.map(|shard| (shard, pipeline.cursor_of(shard))).collect();
    let captured = pipeline.cursor_of(first);
    thread::scope(|scope| {
        let opening =
            others.into_iter().map(|(shard, captured)| scope.spawn(move || open(shard, captured)));
        let opening: Vec<_> = opening.collect();
        let joined = opening.into_iter().map(|thread| thread.join());
        let others: Vec<_> = joined
            .map(|opened| opened.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect();
        std::iter::once(open(first, captured)).chain(others).collect()
    })
}

impl Opened {
    /// Opens a journal and rebuilds state, comparing every event on the way. What settlement has
    /// captured was durable once: a journal that ends before it is damaged.
    fn read(
        id: ShardId,
        path: PathBuf,
        config: &Config,
        captured: Seq,
        mut schedule: Schedule,
        directory: &Directory,
    ) -> Result<Self, NodeError> {
        let began = Instant::now();
        let mut engine = Engine::new(limits(id));
        let options = journal::Options {
            segment_bytes: config.segment_bytes,
            // A batch must fit into an empty segment; and one entry into a batch, of which the
            // largest cancels every order: 1,048,576 × 40 bytes = 40 MiB, of segments of at least
            // 64 MiB.
            batch_bytes_max: u32::try_from(config.segment_bytes.div_euclid(4).saturating_mul(3))
                .unwrap_or(u32::MAX),
            ..journal::Options::default()
        };
        let mut events = Vec::new();
        let mut different = None;
        let opened = Writer::open_expecting(&path, options, captured, &mut |entry| {
            if different.is_some() {
                return;
            }
            events.clear();
            engine.apply(&entry.command, &mut events);
            different = replay::compare(&entry, &events);
            for event in &events {
                schedule.observe(&entry.command, event);
                if let Event::MeterRegistered(registration) = event {
                    directory.enrol(registration);
                }
            }
        });
        if let Some(difference) = different {
            return Err(NodeError::Replay(difference));
        }
        let (journal, recovery) = opened?;
        let recovered = Recovered {
            commands: recovery.entries,
            last_seq: recovery.last_seq,
            torn_bytes: recovery.torn_bytes,
            captured,
            took: began.elapsed(),
        };
        Ok(Self { id, recovered, journal, recovery, engine, schedule })
    }

    /// Puts everything around the engine. Nothing runs yet but the relay of its progress.
    pub(crate) fn prepare(
        self,
        options: &NodeOptions<'_>,
        directory: &Arc<Directory>,
    ) -> Result<Ready, NodeError> {
        let Self { id, recovered, journal, recovery, engine, schedule } = self;
        let NodeOptions { config, registry, clock, .. } = options;
        let opening = registrations::missing(&engine, config, registry)?;
        let opening_done = opening.iter().fold(recovered.last_seq, |seq, _| seq.next());
        let (ingress, receiver) = Ingress::new(config.ring_commands);
        let sessions = Arc::new(Sessions::default());
        let (progress_writer, progress) = ProgressWriter::start_at(recovered.last_seq);
        let (market_data, market) = MarketData::new(Limits::default().slots_max);
        let core_loop = CoreLoop {
            market_data,
            ingress: receiver,
            sequencer: Sequencer::after(recovered.last_seq, recovery.last_time),
            engine,
            journal,
            egress: Egress::new(Arc::clone(&sessions), Arc::clone(directory)),
            progress: progress_writer,
            schedule: timetable(schedule, options),
            clock: clock.clone(),
            seeds: Seeds::beside(clock).map_err(NodeError::Seeds)?,
            batch_commands_max: config.batch_commands,
            opening,
        };
        let is_one_of_many = config.shards != Shards::ONE;
        Ok(Ready {
            id,
            recovered,
            market,
            sessions,
            ingress,
            progress,
            opening_done,
            core_loop,
            is_one_of_many,
        })
    }
}

impl Ready {
    /// The edge's way to it.
    pub(crate) fn port(&self) -> ShardPort {
        ShardPort {
            sessions: Arc::clone(&self.sessions),
            ingress: self.ingress.clone(),
            durable: durable_only(self.progress.clone()),
        }
    }

    /// What its feed is read from.
    pub(crate) fn feed(&self, layout: &Layout) -> ShardFeed {
        ShardFeed { journal: layout.journal_of(self.id), progress: self.progress.clone() }
    }

    /// Starts its thread.
    pub(crate) fn run(self, stop: &Arc<AtomicBool>) -> Result<Shard, NodeError> {
        let Self { id, recovered, market, ingress, progress, opening_done, .. } = self;
        let (core_loop, stop) = (self.core_loop, Arc::clone(stop));
        let (name, span) = if self.is_one_of_many {
            (format!("core-{id}"), tracing::info_span!("shard", number = %id))
        } else {
            ("core".to_owned(), tracing::Span::none())
        };
        let core = thread::Builder::new()
            .name(name)
            .spawn(move || {
                let _entered = span.enter();
                let result = core_loop.run(&stop);
                if let Err(error) = &result {
                    let cause = Failure::new(Kind::Runtime, error);
                    tracing::error!("the core loop stops: {}", cause.message());
                }
                result
            })
            .map_err(NodeError::Thread)?;
        Ok(Shard { id, recovered, market, ingress, progress, opening_done, core })
    }
}

/// Enters what is open from before and what is asked for.
fn timetable(mut schedule: Schedule, options: &NodeOptions<'_>) -> Schedule {
    let now = options.clock.now();
    for market in &options.config.markets {
        let open = schedule.open_slots().map(|(key, _)| key);
        let slots: Vec<_> = open
            .chain(options.slots.iter().copied())
            .filter(|key| key.market == market.definition.market)
            .collect();
        slots.into_iter().for_each(|key| schedule.add_slot(market, key, now));
        if options.trades_every_day {
            schedule.follow(*market);
        }
    }
    schedule
}

/// The durable position alone, for those who need no more.
fn durable_only(mut progress: watch::Receiver<Progress>) -> watch::Receiver<Seq> {
    let (sender, receiver) = watch::channel(progress.borrow().durable);
    tokio::spawn(async move {
        while progress.changed().await.is_ok() {
            sender.send_replace(progress.borrow_and_update().durable);
        }
    });
    receiver
}
