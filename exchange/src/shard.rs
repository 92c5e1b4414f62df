//! What every shard has: an engine on a thread of its own, with its slots, its ring and its journal.
//! Shards share nothing; what the process has once is in [`crate::node`].

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use engine::{Engine, Limits};
use gateway::{Directory, Egress, Ingress, Markets, Sessions, ShardPort};
use journal::{JournalError, Reader, Writer};
use market_view::MarketReader;
use settlement::Pipeline;
use tokio::sync::watch;
use types::{Seq, ShardId, ShardMap, Shards};

use crate::{
    config::Config,
    core_loop::CoreLoop,
    exit::{Failure, Kind},
    feed::ShardFeed,
    journal_options,
    market_data::{MarketData, ShardMarket},
    node::{Layout, NodeError, NodeOptions},
    progress::{Progress, ProgressWriter, Sequenced},
    registrations,
    resume::ShardHistory,
    schedule::{Schedule, ScheduledMarket},
    seeds::Seeds,
    sequencer::Sequencer,
    settlement_worker::Captures,
    snapshots::{self, Snapshotter, State},
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
    sequenced: Sequenced,
    /// Where everybody is entered.
    opening_done: Seq,
    core: thread::JoinHandle<Result<Engine, JournalError>>,
    snapshotter: Option<Snapshotter>,
}

/// What a restart found.
#[derive(Debug, Clone, Copy)]
pub struct Recovered {
    /// Where the snapshot stands that was restored; zero without one.
    pub snapshot: Seq,
    /// Commands re-executed from the journal after it.
    pub commands: u64,
    /// The last of them.
    pub last_seq: Seq,
    /// Bytes of a torn tail that were dropped.
    pub torn_bytes: u64,
    /// Everything up to here is settled's knowledge.
    pub captured: Seq,
    /// The first sequence of the journal, above 1 where segments were removed.
    pub begins_at: Seq,
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

    /// The last position it gave out, to look at.
    #[must_use]
    pub fn sequenced(&self) -> Sequenced {
        self.sequenced.clone()
    }

    /// Where its newest snapshot stands, to look at; `None` where none are made.
    pub(crate) fn snapshot(&self) -> Option<snapshots::Newest> {
        self.snapshotter.as_ref().map(Snapshotter::newest)
    }

    /// Its ring, whose length is looked at.
    pub(crate) fn ring(&self) -> Ingress {
        self.ingress.clone()
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

    /// Waits until its core loop has stopped. Gives its engine back, and what may make a last
    /// snapshot.
    pub(crate) async fn join(self) -> Result<(Engine, Option<Snapshotter>), NodeError> {
        let core = self.core;
        match tokio::task::spawn_blocking(move || core.join()).await {
            Ok(Ok(result)) => Ok((result?, self.snapshotter)),
            Ok(Err(_)) | Err(_) => Err(NodeError::CoreStopped),
        }
    }
}

/// A shard as its files have it, before anything runs.
#[derive(Debug)]
pub(crate) struct Opened {
    id: ShardId,
    pub(crate) recovered: Recovered,
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
    sequenced: Sequenced,
    opening_done: Seq,
    core_loop: CoreLoop,
    /// Whether there are others, from which its log lines must differ.
    is_one_of_many: bool,
    /// Commands between snapshots; zero for none.
    snapshot_commands: u64,
    keep_segments: Option<NonZeroUsize>,
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
        Files { shard, journal: layout.journal_of(shard), config, captured, map }.open(directory)
    };
    let others: Vec<_> =
        config.shards.iter().skip(1).map(|shard| (shard, pipeline.cursor_of(shard))).collect();
    let first = pipeline.cursor_of(ShardId::FIRST);
    thread::scope(|scope| {
        let opening: Vec<_> = others
            .into_iter()
            .map(|(shard, captured)| scope.spawn(move || open(shard, captured)))
            .collect();
        let first = open(ShardId::FIRST, first);
        let others = opening
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        std::iter::once(first).chain(others).collect()
    })
}

/// Where a shard's state is rebuilt from.
pub(crate) struct Files<'a> {
    pub(crate) shard: ShardId,
    pub(crate) journal: PathBuf,
    pub(crate) config: &'a Config,
    /// What settlement has captured was durable once.
    pub(crate) captured: Seq,
    pub(crate) map: &'a Arc<ShardMap>,
}

impl Files<'_> {
    /// Restores the newest snapshot that the journal goes on from, and re-executes the rest of the
    /// journal, comparing every event; at worst, the whole of it.
    pub(crate) fn open(&self, directory: &Directory) -> Result<Opened, NodeError> {
        let began = Instant::now();
        // A journal that ends before what was known to be durable is damaged.
        let mut durable = self.captured;
        // What settlement has yet to capture must be there, or it would wait for it for ever.
        if let Err(error @ JournalError::BeginsLater { .. }) =
            Reader::open(&self.journal, self.captured)
        {
            return Err(error.into());
        }
        let states = snapshots::states(&self.journal, self.shard, self.map);
        for state in states
            .map_err(|source| NodeError::ListSnapshots { path: self.journal.clone(), source })?
        {
            let at = state.end.seq;
            durable = durable.max(at);
            // A snapshot makes a start short; it does not stand in for a journal that is gone.
            if let Err(error) = Reader::open(&self.journal, at) {
                let cause = Failure::new(Kind::Runtime, &error);
                tracing::warn!("no snapshot is used: {}", cause.message());
                break;
            }
            match self.open_after(state, durable, began) {
                Err(
                    error @ (NodeError::Replay(_)
                    | NodeError::Journal(JournalError::Damaged { .. })),
                ) => {
                    let cause = Failure::new(Kind::Runtime, &error);
                    tracing::warn!(
                        "the journal does not go on from the snapshot at {at}: {}",
                        cause.message()
                    );
                }
                result => return result.inspect(|opened| opened.enrol(directory)),
            }
        }
        let state = State::beginning(self.shard, self.map);
        self.open_after(state, durable, began).inspect(|opened| opened.enrol(directory))
    }

    fn open_after(
        &self,
        mut state: State,
        durable: Seq,
        began: Instant,
    ) -> Result<Opened, NodeError> {
        let snapshot = state.end.seq;
        let options = journal_options::of(self.config);
        let mut different = None;
        let (path, after) = (&self.journal, state.end);
        let opened = Writer::open_after(path, options, after, durable, &mut |entry| {
            if different.is_none() {
                different = state.follow(&entry).err();
            }
        });
        if let Some(difference) = different {
            return Err(NodeError::Replay(difference));
        }
        let (journal, recovery) = opened?;
        journal_options::tell(journal.sync_choice());
        let begins_at = journal::first_seq(path)?;
        if begins_at > Seq::ZERO.next() && self.config.keep_segments.is_none() {
            tracing::warn!(
                "the journal `{}` begins at sequence {begins_at}: its first segments are missing, \
                 although `journal.keep_segments` lets none go; the snapshot at {snapshot} stands \
                 in for them",
                path.display()
            );
        }
        let recovered = Recovered {
            snapshot,
            commands: recovery.entries,
            last_seq: recovery.last_seq,
            torn_bytes: recovery.torn_bytes,
            captured: self.captured,
            begins_at,
            took: began.elapsed(),
        };
        let State { engine, schedule, .. } = state;
        Ok(Opened { id: self.shard, recovered, journal, recovery, engine, schedule })
    }
}

impl Opened {
    /// Tells the edge of every party and meter.
    fn enrol(&self, directory: &Directory) {
        self.engine.parties().for_each(|registration| directory.enrol_party(registration));
        self.engine.registrations().for_each(|registration| directory.enrol(registration));
    }

    /// Puts everything around the engine. Nothing runs yet but the relay of its progress.
    pub(crate) fn prepare(
        self,
        options: &NodeOptions<'_>,
        (directory, markets): (&Arc<Directory>, &Arc<Markets>),
        defined: &[ScheduledMarket],
    ) -> Result<Ready, NodeError> {
        let Self { id, recovered, journal, recovery, engine, schedule } = self;
        let NodeOptions { config, registry, clock, .. } = options;
        let opening = registrations::missing(&engine, (config, defined), registry)?;
        let opening_done = opening.iter().fold(recovered.last_seq, |seq, _| seq.next());
        let (ingress, receiver) = Ingress::new(config.ring_commands);
        let sessions = Arc::new(Sessions::after(recovered.last_seq));
        let (progress_writer, progress) = ProgressWriter::start_at(recovered.last_seq);
        let sequenced = progress_writer.sequenced();
        let (market_data, market) = MarketData::new(books_shown(config, defined));
        let core_loop = CoreLoop {
            market_data,
            ingress: receiver,
            sequencer: Sequencer::after(recovered.last_seq, recovery.last_time),
            engine,
            journal,
            egress: Egress::new(Arc::clone(&sessions), Arc::clone(directory)),
            progress: progress_writer,
            schedule: timetable(schedule, options, defined),
            markets: Arc::clone(markets),
            clock: clock.clone(),
            seeds: Seeds::beside(clock).map_err(NodeError::Seeds)?,
            bounds: config.batch,
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
            sequenced,
            opening_done,
            core_loop,
            is_one_of_many,
            snapshot_commands: config.snapshot_commands,
            keep_segments: config.keep_segments,
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

    /// The way to its core loop.
    pub(crate) fn ring(&self) -> (ShardId, Ingress) {
        (self.id, self.ingress.clone())
    }

    /// What its feed is read from.
    pub(crate) fn feed(&self, layout: &Layout) -> ShardFeed {
        ShardFeed { journal: layout.journal_of(self.id), progress: self.progress.clone() }
    }

    /// What its sessions' history is read from.
    pub(crate) fn history(&self, layout: &Layout, map: &Arc<ShardMap>) -> ShardHistory {
        let (shard, map) = (self.id, Arc::clone(map));
        ShardHistory { shard, journal: layout.journal_of(shard), map }
    }

    /// What its market data is made from.
    pub(crate) fn market(&self, layout: &Layout) -> ShardMarket {
        let (view, progress) = (self.market.clone(), self.progress.clone());
        ShardMarket { journal: layout.journal_of(self.id), progress, view }
    }

    /// Starts its threads.
    pub(crate) fn run(
        self,
        layout: &Layout,
        map: &Arc<ShardMap>,
        stop: &Arc<AtomicBool>,
        captured: &watch::Receiver<Captures>,
    ) -> Result<Shard, NodeError> {
        let Self { id, recovered, market, ingress, progress, sequenced, opening_done, .. } = self;
        let snapshotter = match self.snapshot_commands {
            0 => None,
            every => {
                let (journal, last) = (layout.journal_of(id), recovered.snapshot);
                let retention = self.keep_segments.map(|keep| (keep, captured.clone()));
                let progress = progress.clone();
                let started =
                    Snapshotter::start(id, journal, map, every, last, progress, retention);
                Some(started.map_err(NodeError::Thread)?)
            }
        };
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
        Ok(Shard {
            id,
            recovered,
            market,
            ingress,
            progress,
            sequenced,
            opening_done,
            core,
            snapshotter,
        })
    }
}

/// Enters what is open from before and what is asked for.
fn timetable(
    mut schedule: Schedule,
    options: &NodeOptions<'_>,
    defined: &[ScheduledMarket],
) -> Schedule {
    let now = options.clock.now();
    for market in &options.config.markets {
        let open = schedule.open_slots().map(|(key, _)| key);
        let slots: Vec<_> = open
            .chain(options.slots.iter().copied())
            .filter(|key| key.market == market.definition.market)
            .collect();
        slots.into_iter().for_each(|key| schedule.add_slot(market, key, now));
        if options.trades_every_day {
            schedule.follow(market.clone());
        }
    }
    for market in defined {
        let number = market.definition.market;
        let open: Vec<_> = schedule.open_slots().map(|(key, _)| key).collect();
        for key in open.into_iter().filter(|key| key.market == number) {
            schedule.add_slot(market, key, now);
        }
        schedule.follow(market.clone());
    }
    schedule.begin();
    schedule
}

/// Markets that operators defined, at any shard, and that the configuration does not name too.
pub(crate) fn only_defined(config: &Config, opened: &[Opened]) -> Vec<ScheduledMarket> {
    let is_named = |market: &ScheduledMarket| {
        let number = market.definition.market;
        config.markets.iter().any(|named| named.definition.market == number)
    };
    let every = opened.iter().flat_map(|opened| opened.schedule.defined());
    let by_number: BTreeMap<_, _> =
        every.map(|market| (market.definition.market, market.clone())).collect();
    by_number.into_values().filter(|market| !is_named(market)).collect()
}

/// Books that readers of market data see at most.
pub(crate) fn books_shown(config: &Config, defined: &[ScheduledMarket]) -> u32 {
    let open = defined.iter().map(|market| market.definition.slots_open_max());
    config.books_shown_with(open.fold(0, u32::saturating_add))
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
