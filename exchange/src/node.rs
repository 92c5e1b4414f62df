//! Composition: gateway, core loop, journal, feed and settlement of one process.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use engine::{Engine, Limits};
use gateway::{
    Directory, Egress, Gateway, GatewayError, GatewayOptions, Identity, IdentityError, Incoming,
    Ingress, Sessions, authority, client::Connector, identity, quic,
};
use journal::{JournalError, Writer};
use settlement::{Pipeline, Settings, SettlementError};
use tokio::sync::{mpsc, watch};
use types::{Command, Event, MarketControls, Party, PlatformId, Role, Seq, SlotKey};

use crate::{
    clock::Clock,
    config::Config,
    core_loop::CoreLoop,
    exit::{Failure, Kind},
    feed, journal_options,
    market_data::MarketData,
    progress::{Progress, ProgressWriter},
    registry::{self, Registry},
    schedule::Schedule,
    seeds::{self, Seeds},
    sequencer::Sequencer,
    settlement_worker::{Settlement, SettlementWorker, WorkerError},
};
use market_view::MarketReader;

/// The settlement pipeline's own party, which its feed certificate names.
pub const SETTLEMENT: Party = Party { role: Role::Settlement, number: 1 };
/// How long settlement may take to catch up when the exchange stops.
const SETTLE_MAX: Duration = Duration::from_secs(10);
/// Subscribers and documents that may wait for the composition.
const INCOMING_MAX: usize = 64;

/// Where everything of a node lies.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// In this directory.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The journal's segments.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// The settlement database.
    #[must_use]
    pub fn settlement(&self) -> PathBuf {
        self.root.join("settlement.db")
    }

    /// Tiles and checkpoints.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.root.join("ledger")
    }

    /// The authority, certificates and keys.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The key that signs checkpoints.
    #[must_use]
    pub fn ledger_key(&self) -> PathBuf {
        self.keys().join("ledger.key")
    }
}

/// Why a node cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal replays to something else than it says.
    #[error("the journal does not replay")]
    Replay(#[source] replay::VerifyError),
    /// Settlement.
    #[error(transparent)]
    Settlement(#[from] SettlementError),
    /// The settlement thread.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// A certificate or key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The network.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The system gives no random numbers.
    #[error("cannot open `{}`, which the times of auctions are drawn from", seeds::SYSTEM)]
    Seeds(#[source] io::Error),
    /// A thread cannot be started.
    #[error("cannot start the core thread")]
    Thread(#[source] io::Error),
    /// The configuration or the registry contradicts what the journal holds.
    #[error(
        "{what} is in the journal with other content; give it a new number, or restore the file"
    )]
    Contradiction {
        /// Which entry.
        what: String,
    },
    /// A credit limit is for a platform that nobody registered.
    #[error(
        "`credit` of the configuration names platform {platform}, which is not in the registry; \
         add it to `{}` or remove its limit",
        registry::FILE_NAME
    )]
    UnknownPlatform {
        /// Which.
        platform: PlatformId,
    },
    /// The core loop ended by itself; its own error was logged.
    #[error("the core loop has stopped")]
    CoreStopped,
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

/// What a node is started with.
#[derive(Debug)]
pub struct NodeOptions<'a> {
    /// Where its files lie.
    pub layout: Layout,
    /// Its configuration.
    pub config: &'a Config,
    /// Who takes part.
    pub registry: &'a Registry,
    /// Its clock.
    pub clock: Clock,
    /// Whether the slots of every day are traded, as their time comes.
    pub trades_every_day: bool,
    /// Single slots that are traded besides.
    pub slots: &'a [SlotKey],
}

/// A running exchange with its settlement.
#[derive(Debug)]
pub struct Node {
    /// Where it listens.
    pub address: SocketAddr,
    /// The settlement pipeline.
    pub settlement: Settlement,
    /// What the start found.
    pub recovered: Recovered,
    /// The books, as of the last turn.
    pub market: MarketReader,
    ingress: Ingress,
    progress: watch::Receiver<Progress>,
    gateway: Gateway,
    worker: SettlementWorker,
    core: thread::JoinHandle<Result<Engine, JournalError>>,
    stop_core: Arc<AtomicBool>,
    stop_worker: watch::Sender<bool>,
}

/// Everything that was read from files before anything runs.
struct Opened {
    pipeline: Pipeline,
    captured: Seq,
    journal: Writer,
    recovery: journal::Recovery,
    engine: Engine,
    schedule: Schedule,
    directory: Arc<Directory>,
}

impl Opened {
    fn recovered(&self, took: Duration) -> Recovered {
        Recovered {
            commands: self.recovery.entries,
            last_seq: self.recovery.last_seq,
            torn_bytes: self.recovery.torn_bytes,
            captured: self.captured,
            took,
        }
    }
}

impl Node {
    /// Recovers from the files, opens the market and begins to listen.
    ///
    /// # Errors
    /// When a file is missing or damaged, another process holds them, or the address is taken.
    pub async fn start(options: NodeOptions<'_>) -> Result<Self, NodeError> {
        let began = Instant::now();
        let NodeOptions { layout, config, registry, clock, .. } = &options;
        let keys = layout.keys();
        let authority = identity::load_certificates(&keys.join("ca.crt"))?;
        let opened = open_files(layout, config)?;
        let recovered = opened.recovered(began.elapsed());
        let opening = missing_registrations(&opened.engine, config, registry)?;
        let opening_done = opening.iter().fold(recovered.last_seq, |seq, _| seq.next());
        let schedule = timetable(opened.schedule, &options);

        let (ingress, receiver) = Ingress::new(config.ring_commands);
        let sessions = Arc::new(Sessions::default());
        let (progress_writer, progress) = ProgressWriter::start_at(recovered.last_seq);
        let (feed_sender, feed_receiver) = mpsc::channel(INCOMING_MAX);
        let (data_sender, data_receiver) = mpsc::channel(INCOMING_MAX);
        let parts = quic::Parts {
            identity: &Identity::load(&keys, "server")?,
            authority: &authority,
            directory: &opened.directory,
            sessions: &sessions,
            ingress: &ingress,
            durable: durable_only(progress.clone()),
            incoming: Incoming { feed: feed_sender, data: data_sender },
        };
        let gateway = Gateway::start(&gateway_options(config), parts)?;
        let address = gateway.address();
        let connector = Connector {
            address: reachable(address),
            server_name: "localhost".to_owned(),
            identity: Identity::load(&keys, &authority::file_name(SETTLEMENT))?,
            authority,
        };
        let stop_core = Arc::new(AtomicBool::new(false));
        let (market_data, market) = MarketData::new(Limits::default().slots_max);
        let core_loop = CoreLoop {
            market_data,
            ingress: receiver,
            sequencer: Sequencer::after(recovered.last_seq, opened.recovery.last_time),
            engine: opened.engine,
            journal: opened.journal,
            egress: Egress::new(sessions, opened.directory),
            progress: progress_writer,
            schedule,
            clock: clock.clone(),
            seeds: Seeds::beside(clock).map_err(NodeError::Seeds)?,
            batch_commands_max: config.batch_commands,
            opening,
        };
        let core = spawn_core(core_loop, &stop_core)?;
        tokio::spawn(feed::serve(layout.journal(), feed_receiver, progress.clone()));
        let (stop_worker, stopped) = watch::channel(false);
        let clock = clock.clone();
        let worker =
            SettlementWorker::start(opened.pipeline, clock, connector, data_receiver, stopped)?;
        let settlement = worker.handle.clone();
        durable_through(progress.clone(), opening_done).await?;
        Ok(Self {
            address,
            settlement,
            recovered,
            market,
            ingress,
            progress,
            gateway,
            worker,
            core,
            stop_core,
            stop_worker,
        })
    }

    /// How far the core loop is, to wait on.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Makes the core loop look at its clock now.
    pub fn wake(&self) {
        self.ingress.wake();
    }

    /// Whether core loop and settlement still run.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.core.is_finished() && self.worker.is_running()
    }

    /// Stops reading, answers what was read, settles what is captured, says goodbye. Gives the
    /// engine back.
    ///
    /// # Errors
    /// When the journal or settlement failed meanwhile.
    pub async fn shut_down(self) -> Result<Engine, NodeError> {
        // Settlement's own subscription may still be on its way in: it must not be turned away.
        let durable = self.progress.borrow().durable;
        let caught_up = self.settlement.captured_through(durable);
        if tokio::time::timeout(SETTLE_MAX, caught_up).await.is_err() {
            tracing::warn!(
                "settlement is more than {SETTLE_MAX:?} behind; it goes on at the next start"
            );
        }
        self.gateway.stop_reading().await;
        self.stop_core.store(true, Ordering::Release);
        self.ingress.wake();
        let core = self.core;
        let ended = tokio::task::spawn_blocking(move || core.join()).await;
        let engine = match ended {
            Ok(Ok(result)) => result.map_err(NodeError::from),
            Ok(Err(_)) | Err(_) => Err(NodeError::CoreStopped),
        };
        // Whatever failed, everyone is told what is known and that the exchange goes away.
        let captured = match &engine {
            Ok(engine) => {
                let captured = self.settlement.captured_through(engine.last_seq());
                tokio::time::timeout(SETTLE_MAX, captured).await.unwrap_or_else(|_| {
                    tracing::warn!("settlement did not catch up; it goes on at the next start");
                    Ok(())
                })
            }
            Err(_) => Ok(()),
        };
        self.stop_worker.send_replace(true);
        self.gateway.say_goodbye().await;
        drop(self.settlement);
        let worker = self.worker;
        tokio::task::spawn_blocking(move || worker.join()).await.ok();
        captured?;
        engine
    }
}

const fn gateway_options(config: &Config) -> GatewayOptions {
    GatewayOptions { listen: config.listen, verifier_threads: config.verifier_threads }
}

/// How the pipeline of a directory settles and signs.
///
/// # Errors
/// When the ledger's key cannot be used.
pub fn settlement_settings(layout: &Layout, config: &Config) -> Result<Settings, IdentityError> {
    Ok(Settings {
        policy: config.policy.clone(),
        ledger_origin: config.ledger_origin.clone(),
        ledger_key_seed: identity::load_signing_key(&layout.ledger_key())?.to_bytes(),
    })
}

/// Opens settlement and journal and rebuilds state, comparing every event on the way. What
/// settlement has captured was durable once: a journal that ends before it is damaged.
fn open_files(layout: &Layout, config: &Config) -> Result<Opened, NodeError> {
    let settings = settlement_settings(layout, config)?;
    let pipeline = Pipeline::open(&layout.settlement(), &layout.ledger(), settings)?;
    let captured = pipeline.cursor();
    let mut engine = Engine::new(Limits::default());
    let mut schedule = Schedule::default();
    let directory = Arc::new(Directory::default());
    let options = journal_options::of(config);
    let mut events = Vec::new();
    let mut different = None;
    let opened = Writer::open_expecting(&layout.journal(), options, captured, &mut |entry| {
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
    journal_options::tell(journal.sync_choice());
    Ok(Opened { pipeline, captured, journal, recovery, engine, schedule, directory })
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

/// What the configuration and the registry name and the journal does not hold yet. What it holds
/// must be the same: rules and participants never change under a number.
fn missing_registrations(
    engine: &Engine,
    config: &Config,
    registry: &Registry,
) -> Result<Vec<Command>, NodeError> {
    let contradiction = |what| Err(NodeError::Contradiction { what });
    let mut commands = Vec::new();
    for market in &config.markets {
        let definition = market.definition;
        match engine.market(definition.market) {
            None => commands.push(Command::DefineMarket(definition)),
            Some(known) if *known == definition => {}
            Some(_) => return contradiction(format!("market {}", definition.market)),
        }
    }
    let parties: BTreeMap<_, _> = engine.parties().map(|known| (known.party, known)).collect();
    for line in &registry.parties {
        match parties.get(&line.party) {
            None => commands.push(Command::RegisterParty(*line)),
            Some(known) if *known == line => {}
            Some(_) => return contradiction(format!("party {}", line.party)),
        }
    }
    let meters: BTreeMap<_, _> = engine.registrations().map(|m| (m.meter, m)).collect();
    let mut lines: Vec<_> = registry.meters.iter().collect();
    lines.sort_by_key(|line| line.meter);
    for line in lines {
        match meters.get(&line.meter) {
            None => commands.push(Command::RegisterMeter(*line)),
            Some(known) if *known == line => {}
            Some(_) => return contradiction(format!("meter {}", line.meter)),
        }
    }
    commands.extend(changed_settings(engine, config, registry)?);
    Ok(commands)
}

/// Controls and credit limits of the configuration that are not what the journal left. What the
/// configuration does not name stays as it is.
fn changed_settings(
    engine: &Engine,
    config: &Config,
    registry: &Registry,
) -> Result<Vec<Command>, NodeError> {
    let mut commands = Vec::new();
    for controls in &config.controls {
        let standard = MarketControls::standard(controls.market);
        if *controls != engine.controls(controls.market).copied().unwrap_or(standard) {
            commands.push(Command::SetControls(*controls));
        }
    }
    for limit in &config.credit {
        let party = Party { role: Role::Platform, number: limit.platform.get() };
        let mut parties = engine.parties().chain(&registry.parties);
        if !parties.any(|known| known.party == party) {
            return Err(NodeError::UnknownPlatform { platform: limit.platform });
        }
        if engine.credit(limit.platform, limit.market) != Some(*limit) {
            commands.push(Command::SetCredit(*limit));
        }
    }
    Ok(commands)
}

fn spawn_core(
    core_loop: CoreLoop,
    stop: &Arc<AtomicBool>,
) -> Result<thread::JoinHandle<Result<Engine, JournalError>>, NodeError> {
    let stop = Arc::clone(stop);
    thread::Builder::new()
        .name("core".to_owned())
        .spawn(move || {
            let result = core_loop.run(&stop);
            if let Err(error) = &result {
                let cause = Failure::new(Kind::Runtime, error);
                tracing::error!("the core loop stops: {}", cause.message());
            }
            result
        })
        .map_err(NodeError::Thread)
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

/// Waits until a position is durable.
async fn durable_through(
    mut progress: watch::Receiver<Progress>,
    seq: Seq,
) -> Result<(), NodeError> {
    let reached = progress.wait_for(|progress| progress.durable >= seq).await;
    reached.map(|_| ()).map_err(|_| NodeError::CoreStopped)
}

/// An address to connect to, where the bound one is "any".
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        let loopback: std::net::IpAddr = if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        };
        address.set_ip(loopback);
    }
    address
}
