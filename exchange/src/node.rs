//! Composition: the shards of one process, and what they have together: gateway, feed, settlement.

use std::{
    fs::{self, File},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use engine::Engine;
use gateway::{
    ClientVerifier, Directory, Gateway, GatewayError, GatewayOptions, Identity, IdentityError,
    Incoming, KnownMarket, Markets, Validity, authority, client::Connector, identity, quic,
    tls::TlsError,
};
use journal::JournalError;
use rustls_pki_types::CertificateDer;
use settlement::{Pipeline, Settings, SettlementError, store::database::Store};
use tokio::sync::{mpsc, watch};
use types::{
    Party, PlatformId, Role, Seq, ShardId, ShardMap, Shards, SlotKey, Timestamp,
    calendar::CalendarError, shard::SHARDS_MAX,
};

use crate::{
    api::{self, Api, ApiError, operations},
    clock::Clock,
    config::Config,
    feed, market_data,
    notices::{self, WebhookError, Webhooks, signature::NoticeKey},
    pull::{self, Pull},
    rails::{self, RailError},
    recorded_trades::RecordedTrades,
    registry::{self, Registry},
    reserve::Reserve,
    resume,
    schedule::ScheduledMarket,
    seeds,
    settlement_worker::{Captures, Settlement, SettlementWorker, Ways, WorkerError},
    shard::{self, Ready, Shard},
};

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

    /// The journal's segments; of several shards, the first one's.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.journal_of(ShardId::FIRST)
    }

    /// The segments of a shard's journal.
    #[must_use]
    pub fn journal_of(&self, shard: ShardId) -> PathBuf {
        if shard == ShardId::FIRST {
            self.root.join("journal")
        } else {
            self.root.join(format!("journal-{shard}"))
        }
    }

    /// The settlement database.
    #[must_use]
    pub fn settlement(&self) -> PathBuf {
        self.root.join("settlement.db")
    }

    /// Where the books are kept: on the server of the configuration, or in the settlement database.
    #[must_use]
    pub fn store(&self, config: &Config) -> Store {
        match &config.store {
            Some(address) => Store::Server(address.clone()),
            None => Store::File(self.settlement()),
        }
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
    /// The payment rail.
    #[error("the payment rail")]
    Rail(#[from] RailError),
    /// The HTTP API.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Webhooks.
    #[error(transparent)]
    Webhooks(#[from] WebhookError),
    /// The listener for operations.
    #[error("cannot listen for operations on {address}")]
    Operations {
        /// Where.
        address: SocketAddr,
        /// Cause.
        source: io::Error,
    },
    /// A certificate or key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The authority or its revocation lists.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The network.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The system gives no random numbers.
    #[error("cannot open `{}`, which the times of auctions are drawn from", seeds::SYSTEM)]
    Seeds(#[source] io::Error),
    /// A thread cannot be started.
    #[error("cannot start the core thread")]
    Thread(#[source] io::Error),
    /// The time zone of a market.
    #[error("cannot tell the local days of a market")]
    Calendar(#[source] CalendarError),
    /// The snapshots beside a journal cannot be listed.
    #[error("cannot list the snapshots in `{}`", path.display())]
    ListSnapshots {
        /// Where.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The directories of the journals cannot be made.
    #[error("cannot make the journals' directories in `{}`", path.display())]
    MakeJournals {
        /// Where.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The directory was made with another number of shards.
    #[error(
        "`{}` holds the journals of {found} shards, and `exchange.shards` of the configuration is \
         {configured}; set it to {found}, or start with another number in a new directory",
        path.display()
    )]
    OtherShards {
        /// The data directory.
        path: PathBuf,
        /// Journals in it.
        found: u8,
        /// What the configuration says.
        configured: u8,
    },
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
    /// A core loop ended by itself; its own error was logged.
    #[error("the core loop has stopped")]
    CoreStopped,
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

/// A running exchange with its settlement: its shards, and what it has once.
#[derive(Debug)]
pub struct Node {
    /// Where it listens.
    pub address: SocketAddr,
    /// The settlement pipeline.
    pub settlement: Settlement,
    /// By index; at least one.
    pub shards: Vec<Shard>,
    /// What is traded.
    pub markets: Arc<Markets>,
    /// Room on the disk that orders may not take.
    pub reserve: Arc<Reserve>,
    gateway: Gateway,
    worker: SettlementWorker,
    webhooks: Option<notices::Running>,
    api: Option<Api>,
    operations_address: Option<SocketAddr>,
    stop_cores: Arc<AtomicBool>,
    stop_worker: watch::Sender<bool>,
}

impl Node {
    /// Recovers from the files, opens the market and begins to listen.
    ///
    /// # Errors
    /// When a file is missing or damaged, another process holds them, or the address is taken.
    #[expect(
        clippy::too_many_lines,
        reason = "all that a node has, in the order of what needs what"
    )]
    pub async fn start(options: NodeOptions<'_>) -> Result<Self, NodeError> {
        let NodeOptions { layout, config, .. } = &options;
        let keys = layout.keys();
        let authority = identity::load_certificates(&keys.join("ca.crt"))?;
        check_journals(layout, config.shards)?;
        let map = Arc::new(ShardMap::new(config.shards, []).map_err(NodeError::Calendar)?);
        let settings = settlement_settings(layout, config)?;
        let mut pipeline = Pipeline::open(layout.store(config), &layout.ledger(), settings)?;
        pipeline.set_shards(Arc::clone(&map));
        let secret = seeds::Seeds::beside(&options.clock).and_then(|mut seeds| seeds.secret());
        pipeline.salt_with(secret.map_err(NodeError::Seeds)?);
        let directory = Arc::new(Directory::default());
        let opened = shard::open_all(layout, config, &pipeline, &map, &directory)?;
        let defined = shard::only_defined(config, &opened);
        let markets = known_markets(config, &map, &defined)?;
        let mut ready = Vec::new();
        for opened in opened {
            ready.push(opened.prepare(&options, (&directory, &markets), &defined)?);
        }

        let (feed_sender, feed_receiver) = mpsc::channel(INCOMING_MAX);
        let (market_sender, market_receiver) = mpsc::channel(INCOMING_MAX);
        let (data_sender, data_receiver) = mpsc::channel(INCOMING_MAX);
        let (resume_sender, resume_receiver) = mpsc::channel(INCOMING_MAX);
        let journals = config.shards.iter().map(|shard| layout.journal_of(shard)).collect();
        let reserve = Arc::new(Reserve::new(journals, config.reserve_bytes));
        let revocations = keys.join(authority::REVOCATION_FILE);
        let verifier = ClientVerifier::load(&authority, &revocations)?;
        let parts = quic::Parts {
            identity: &Identity::load(&keys, "server")?,
            verifier: Arc::clone(&verifier),
            directory: &directory,
            map: &map,
            ports: ready.iter().map(Ready::port).collect(),
            incoming: Incoming {
                feed: feed_sender,
                market: market_sender,
                data: data_sender,
                resume: resume_sender,
            },
            storage_low: reserve.low(),
            trades: Arc::new(RecordedTrades::new(layout.store(config))),
            markets: Arc::clone(&markets),
        };
        let gateway = Gateway::start(&gateway_options(config), parts)?;
        let address = gateway.address();
        let connector = own_connector(&keys, address)?;
        let feeds = ready.iter().map(|ready| ready.feed(layout)).collect();
        let histories = ready.iter().map(|ready| ready.history(layout, &map)).collect();
        tokio::spawn(resume::serve(histories, resume_receiver));
        let views = ready.iter().map(|ready| ready.market(layout)).collect();
        let rings = ready.iter().map(Ready::ring).collect();
        let stop_cores = Arc::new(AtomicBool::new(false));
        let cursors: Captures =
            config.shards.iter().map(|shard| (shard, pipeline.cursor_of(shard))).collect();
        let (captured_sender, captured) = watch::channel(cursors);
        let mut shards = Vec::new();
        for ready in ready {
            shards.push(ready.run(layout, &map, &stop_cores, &captured)?);
        }
        tokio::spawn(feed::serve(feeds, feed_receiver));
        tokio::spawn(market_data::serve(views, market_receiver));
        let (stop_worker, stopped) = watch::channel(false);
        tokio::spawn(Arc::clone(&reserve).watch(stopped.clone()));
        let pull = pull_parts(&options, &keys, &authority)?;
        let ways = Ways { feed: connector, data: data_receiver, rings, pull, keys: layout.keys() };
        let stop = stopped.clone();
        let worker = start_settlement(&options, pipeline, captured_sender, ways, stopped).await?;
        let settlement = worker.handle.clone();
        for shard in &shards {
            shard.opened().await?;
        }
        let webhooks = start_webhooks(&options, &settlement, &authority, stop.clone())?;
        let hooks = webhooks.as_ref().map(|running| running.webhooks.clone());
        let api = start_api(
            &options,
            (&settlement, &shards, Arc::clone(&markets)),
            verifier,
            (hooks.clone(), stop.clone()),
        )?;
        let watched = operations::Watched {
            shards: shards.iter().map(Into::into).collect(),
            captured: settlement.captures(),
            signed: settlement.signed(),
            reserve: Arc::clone(&reserve),
            webhooks: hooks,
            stop,
        };
        let operations_address = start_operations(config, watched).await?;
        Ok(Self {
            address,
            settlement,
            shards,
            markets,
            reserve,
            gateway,
            worker,
            webhooks,
            api,
            operations_address,
            stop_cores,
            stop_worker,
        })
    }

    /// What asks parties for readings.
    #[must_use]
    pub fn pull(&self) -> Pull {
        self.worker.pull.clone()
    }

    /// How long certificates of open connections and revocation lists are still valid.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.gateway.validity()
    }

    /// Where it listens for order entry over HTTPS, if it does.
    #[must_use]
    pub fn https_address(&self) -> Option<SocketAddr> {
        self.gateway.https_address()
    }

    /// Where the HTTP API is, if it is served.
    #[must_use]
    pub fn api_address(&self) -> Option<SocketAddr> {
        self.api.as_ref().map(|api| api.address)
    }

    /// Where health and figures are, if anywhere.
    #[must_use]
    pub const fn operations_address(&self) -> Option<SocketAddr> {
        self.operations_address
    }

    /// Where events of payment rails arrive, if one is used.
    #[must_use]
    pub const fn rail_address(&self) -> Option<SocketAddr> {
        self.worker.rail_address
    }

    /// Waits until every shard has done what was due at an instant.
    ///
    /// # Errors
    /// When a core loop has stopped.
    pub async fn scheduled_through(&self, instant: Timestamp) -> Result<(), NodeError> {
        for shard in &self.shards {
            let mut progress = shard.progress();
            let reached = progress.wait_for(|progress| progress.scheduled >= instant).await;
            reached.map_err(|_| NodeError::CoreStopped)?;
        }
        Ok(())
    }

    /// Waits until settlement has captured everything that every shard has given a position by now.
    ///
    /// # Errors
    /// When the pipeline has stopped.
    pub async fn captured(&self) -> Result<(), WorkerError> {
        for shard in &self.shards {
            // What somebody was told of has its position; that it is durable is relayed a little later.
            self.settlement.captured_through(shard.id, shard.sequenced().last()).await?;
        }
        Ok(())
    }

    /// Makes the core loops look at their clock now.
    pub fn wake(&self) {
        self.shards.iter().for_each(Shard::wake);
    }

    /// Whether every core loop and settlement still run.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.shards.iter().all(Shard::is_running) && self.worker.is_running()
    }

    /// Stops reading, answers what was read, settles what is captured, says goodbye. Gives the
    /// shards' engines back.
    ///
    /// # Errors
    /// When a journal or settlement failed meanwhile.
    pub async fn shut_down(self) -> Result<Vec<Engine>, NodeError> {
        // Settlement's own subscriptions may still be on their way in: they must not be turned away.
        if tokio::time::timeout(SETTLE_MAX, self.captured()).await.is_err() {
            tracing::warn!(
                "settlement is more than {SETTLE_MAX:?} behind; it goes on at the next start"
            );
        }
        self.gateway.stop_reading().await;
        self.stop_cores.store(true, Ordering::Release);
        self.shards.iter().for_each(Shard::wake);
        let mut engines = Vec::new();
        let mut failed = None;
        let mut stopped = Vec::new();
        let mut snapshotters = Vec::new();
        for shard in self.shards {
            let id = shard.id;
            match shard.join().await {
                Ok((engine, snapshotter)) => {
                    stopped.push((id, engine.last_seq()));
                    snapshotters.extend(snapshotter.map(|one| (one, engine.last_seq())));
                    engines.push(engine);
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        // Whatever failed, everyone is told what is known and that the exchange goes away.
        let captured = match failed {
            None => settle_rest(&self.settlement, &stopped).await,
            Some(_) => Ok(()),
        };
        self.stop_worker.send_replace(true);
        self.gateway.say_goodbye().await;
        drop(self.settlement);
        let (worker, api, webhooks) = (self.worker, self.api, self.webhooks);
        let join = move || {
            // Their threads ask settlement, which ends when nobody can.
            api.into_iter().for_each(Api::join);
            webhooks.into_iter().for_each(notices::Running::join);
            worker.join();
        };
        tokio::task::spawn_blocking(join).await.ok();
        for (snapshotter, last) in snapshotters {
            snapshotter.finish(last).await;
        }
        captured?;
        failed.map_or(Ok(engines), Err)
    }
}

/// The settlement pipeline with what feeds it, and its payment rail.
async fn start_settlement(
    options: &NodeOptions<'_>,
    pipeline: Pipeline,
    captured: watch::Sender<Captures>,
    ways: Ways,
    stopped: watch::Receiver<bool>,
) -> Result<SettlementWorker, NodeError> {
    let NodeOptions { layout, config, clock, .. } = options;
    let (stop, clock) = (stopped.clone(), clock.clone());
    let mut worker = SettlementWorker::start(pipeline, captured, clock.clone(), ways, stop)?;
    if let Some(rail) = &config.rails {
        let (handle, currency) = (worker.handle.clone(), config.policy.currency);
        let started = rails::start((layout, rail), currency, handle, clock, stopped).await?;
        worker.rail_address = Some(started);
    }
    Ok(worker)
}

/// The markets of the configuration, and those that operators defined.
fn known_markets(
    config: &Config,
    map: &Arc<ShardMap>,
    defined: &[ScheduledMarket],
) -> Result<Arc<Markets>, NodeError> {
    let shown = shard::books_shown(config, defined);
    let room = shown.min(engine::Limits::default().slots_max);
    let markets = Markets::new(Arc::clone(map), config.policy.currency, room);
    for market in config.markets.iter().chain(defined) {
        let ScheduledMarket { definition, uncross_lead, .. } = market;
        let known = KnownMarket { definition: *definition, uncross_lead: *uncross_lead };
        markets.learn(known).map_err(NodeError::Calendar)?;
    }
    Ok(Arc::new(markets))
}

/// The HTTP API, if it is configured.
fn start_api(
    options: &NodeOptions<'_>,
    (settlement, shards, markets): (&Settlement, &[Shard], Arc<Markets>),
    verifier: Arc<ClientVerifier>,
    (webhooks, stop): (Option<Webhooks>, watch::Receiver<bool>),
) -> Result<Option<Api>, NodeError> {
    let NodeOptions { layout, config, clock, .. } = options;
    let Some(api) = &config.api else { return Ok(None) };
    let parts = api::Parts {
        identity: Identity::load(&layout.keys(), "server")?,
        verifier,
        settlement: settlement.clone(),
        database: layout.store(config),
        settings: settlement_settings(layout, config)?,
        clock: clock.clone(),
        markets,
        cycles: api::cycles_of(&config.markets),
        currency: config.policy.currency,
        views: shards.iter().map(|shard| shard.market.clone()).collect(),
        webhooks,
        stop,
    };
    Ok(Some(api::start(api.clone(), parts)?))
}

/// The webhooks, if the registry has any.
fn start_webhooks(
    options: &NodeOptions<'_>,
    settlement: &Settlement,
    authority: &[CertificateDer<'static>],
    stop: watch::Receiver<bool>,
) -> Result<Option<notices::Running>, NodeError> {
    let NodeOptions { layout, config, registry, clock, .. } = options;
    if registry.webhooks.is_empty() {
        return Ok(None);
    }
    let seed = seeds::Seeds::beside(clock).and_then(|mut seeds| seeds.draw());
    let parts = notices::Parts {
        options: config.webhooks,
        webhooks: (layout.root(), &registry.webhooks),
        authority,
        key: NoticeKey::beside(&identity::load_signing_key(&layout.ledger_key())?),
        clock: clock.clone(),
        currency: config.policy.currency,
        settlement: settlement.clone(),
        database: layout.store(config),
        seed: seed.map_err(NodeError::Seeds)?,
        stop,
    };
    Ok(Some(notices::start(parts)?))
}

/// Health and figures, if they are configured.
async fn start_operations(
    config: &Config,
    watched: operations::Watched,
) -> Result<Option<SocketAddr>, NodeError> {
    let Some(address) = config.operations else { return Ok(None) };
    let started = operations::start(address, watched).await;
    started.map(Some).map_err(|source| NodeError::Operations { address, source })
}

/// How settlement reaches its own exchange.
fn own_connector(keys: &Path, address: SocketAddr) -> Result<Connector, IdentityError> {
    Ok(Connector {
        address: reachable(address),
        server_name: "localhost".to_owned(),
        identity: Identity::load(keys, &authority::file_name(SETTLEMENT))?,
        authority: identity::load_certificates(&keys.join("ca.crt"))?,
    })
}

/// Whom to ask for readings, and how. The exchange shows the certificate of its settlement.
fn pull_parts(
    options: &NodeOptions<'_>,
    keys: &Path,
    authority: &[CertificateDer<'static>],
) -> Result<pull::Parts, NodeError> {
    let identity = Identity::load(keys, &authority::file_name(SETTLEMENT))?;
    let seed = seeds::Seeds::beside(&options.clock).and_then(|mut seeds| seeds.draw());
    let seed = seed.map_err(NodeError::Seeds)?;
    let endpoints = (options.layout.root(), options.registry.endpoints.as_slice());
    Ok(pull::Parts::load(options.config.pull, endpoints, &identity, authority, seed)?)
}

/// Gives settlement some time for what is durable of the shards that stopped.
async fn settle_rest(
    settlement: &Settlement,
    stopped: &[(ShardId, Seq)],
) -> Result<(), WorkerError> {
    let all = async {
        for &(shard, last) in stopped {
            settlement.captured_through(shard, last).await?;
        }
        Ok(())
    };
    tokio::time::timeout(SETTLE_MAX, all).await.unwrap_or_else(|_| {
        tracing::warn!("settlement did not catch up; it goes on at the next start");
        Ok(())
    })
}

/// The directory has journals of as many shards as the configuration says, or none yet. What is in
/// one shard's journal stays there, so their number never changes.
fn check_journals(layout: &Layout, shards: Shards) -> Result<(), NodeError> {
    let every = (0..SHARDS_MAX).filter_map(ShardId::new);
    let found: Vec<_> = every.filter(|&shard| layout.journal_of(shard).is_dir()).collect();
    // The first is made last: a start that broke off before has left others, and nothing in them.
    let whole = found.first() == Some(&ShardId::FIRST);
    let last = found.last().copied();
    let fits = if whole { last == Some(shards.last()) } else { last <= Some(shards.last()) };
    if !fits {
        return Err(NodeError::OtherShards {
            path: layout.root().to_owned(),
            found: last.map_or(0, |last| last.index().saturating_add(1)),
            configured: shards.count(),
        });
    }
    if !whole && shards != Shards::ONE {
        let every: Vec<_> = shards.iter().map(|shard| layout.journal_of(shard)).collect();
        make_journals(&every)
            .map_err(|source| NodeError::MakeJournals { path: layout.root().to_owned(), source })?;
    }
    Ok(())
}

/// Makes the directories, the first one last, and makes them durable.
fn make_journals(paths: &[PathBuf]) -> io::Result<()> {
    paths.iter().rev().try_for_each(fs::create_dir_all)?;
    let above = paths.iter().find_map(|path| path.parent());
    above.map_or(Ok(()), |above| File::open(above)?.sync_all())
}

fn gateway_options(config: &Config) -> GatewayOptions {
    GatewayOptions {
        listen: config.listen,
        verifier_threads: config.verifier_threads,
        limits: config.limits,
        connections_of_source: config.connections_of_source,
        unverified_max: config.unverified_max,
        https: config.https.clone(),
    }
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

/// An address to connect to, where the bound one is "any".
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
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
