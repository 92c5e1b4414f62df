//! `api`: records of the ledger service read by key, over TLS, from a database of many contracts.

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bench::{
    Failure,
    dice::Dice,
    latency::{Latencies, Percentiles},
    market::{Market, Setup},
    rate,
    report::{CommonOptions, Report},
};
use clap::Parser;
use exchange::{
    api::{self, ApiOptions},
    clock::Clock,
    config, init,
    node::{self, Layout},
    pull,
    schedule::ScheduledMarket,
    settlement_worker::{SettlementWorker, Ways},
};
use gateway::{
    ClientVerifier, Identity, KnownMarket, Markets, authority, client::Connector, identity,
    throttle::Rate, tls,
};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, body::Bytes, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, ServerName};
use serde::Serialize;
use settlement::Pipeline;
use settlement::store::database::Store;
use tokio::{net::TcpStream, sync::mpsc, sync::watch};
use tokio_rustls::TlsConnector;
use types::{
    ClientOrderId, Energy, Event, MeterId, OrderId, Party, Price, Role, Seq, ShardMap, Trade,
    TradeId, TradeSide,
};
use wire::FeedItem;

/// Slots of the day.
const SLOTS: u32 = 96;
/// Trades captured in one transaction.
const BATCH: u32 = 8_192;
/// Who asks: it sees every contract.
const CALLER: Party = Party { role: Role::Operator, number: 1 };
/// Milliseconds of a clock tick, as Linux tells processor time.
const TICK_MS: u64 = 10;

/// Reads records of `/ledger/get` by key over TLS, each for another contract, from one thread of the API
///
/// First one connection asks one question after the other: the time until each answer. Then many
/// connections do: how many answers there are, and how much processor time of the API's thread they
/// take, which is what a core can do whoever else uses the machine.
#[derive(Debug, Parser, Serialize)]
struct Options {
    /// Contracts
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    contracts: u32,
    /// Questions of one connection, one after the other
    #[arg(long, default_value_t = 20_000)]
    questions: u32,
    /// Connections that ask at once
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=200))]
    connections: u32,
    /// Questions of each of them
    #[arg(long, default_value_t = 10_000)]
    questions_each: u32,
    /// Directory below which the database is written [default: the system's for temporary files]
    #[arg(long)]
    dir: Option<PathBuf>,
    #[command(flatten)]
    #[serde(skip)]
    common: CommonOptions,
}

#[derive(Debug, Serialize)]
struct Figures {
    alone_us: Percentiles,
    together_reads_per_s: u64,
    together_us: Percentiles,
    reads_per_s_of_a_core: u64,
    database_mib: u64,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let report = Report::begin("api", &options.common);
    let dir = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::tempdir_in(&dir)?;
    let layout = Layout::new(folder.path());
    let market = Market::new(Setup::new(SLOTS, 2_048), options.common.seed)?;
    let key = init::derive_key(&[7; 32], "ledger");
    init::write_directory(&layout, &market.registry, init::CONFIG_TEMPLATE, &key)?;
    let config = config::load(&folder.path().join(config::FILE_NAME))?;
    let settings = node::settlement_settings(&layout, &config)?;
    let mut pipeline = Pipeline::open(&layout.settlement(), &layout.ledger(), settings)?;
    fill(&market, &mut pipeline, &options)?;
    let database_mib = fs::metadata(layout.settlement()).map_or(0, |data| data.len()) >> 20;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let figures = runtime.block_on(measure(&layout, &config, pipeline, &options))?;
    let figures = Figures { database_mib, ..figures };
    let text = report.finish(&options, &figures, "none: what is read is drawn by chance")?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Everyone registers, and trades are captured.
fn fill(market: &Market, pipeline: &mut Pipeline, options: &Options) -> Result<(), Failure> {
    let mut seq = Seq::ZERO;
    let mut item = |event| {
        seq = seq.next();
        let ns = i64::try_from(seq.get()).unwrap_or(i64::MAX);
        FeedItem { seq, time: market.opened_at.plus_ns(ns), index: 0, event }
    };
    let registry = &market.registry;
    let mut items = vec![item(Event::MarketDefined(market.definition))];
    items.extend(registry.parties.iter().map(|line| item(Event::PartyRegistered(*line))));
    items.extend(registry.meters.iter().map(|line| item(Event::MeterRegistered(*line))));
    let mut dice = Dice::new(options.common.seed);
    for number in 1..=options.contracts {
        items.push(item(Event::Trade(trade(market, &mut dice, number.into())?)));
        if number % BATCH == 0 || number == options.contracts {
            let through = items.last().map_or(Seq::ZERO, |item| item.seq);
            pipeline.capture(through, &items)?;
            items.clear();
        }
    }
    Ok(())
}

fn trade(market: &Market, dice: &mut Dice, number: u64) -> Result<Trade, Failure> {
    let half = market.setup.meters / 2;
    let slot = usize::try_from(dice.below(SLOTS))?;
    let side = |meter: u32, order| {
        let meter = MeterId::new(meter);
        TradeSide {
            order: OrderId::new(order),
            client_order: ClientOrderId::new(order),
            meter,
            platform: market.platform_of(meter),
            leaves: Energy::ZERO,
        }
    };
    Ok(Trade {
        trade: TradeId::new(number),
        key: *market.slots.get(slot).ok_or("no such slot")?,
        price: Price::from_micros(i64::from(100 + dice.below(200)) * 1_000),
        quantity: Energy::from_wh(u64::from(1 + dice.below(100)) * 10),
        buy: side(dice.below(half) * 2 + 2, number * 2),
        sell: side(dice.below(half) * 2 + 1, number * 2 + 1),
        maker: None,
    })
}

async fn measure(
    layout: &Layout,
    config: &config::Config,
    pipeline: Pipeline,
    options: &Options,
) -> Result<Figures, Failure> {
    let keys = layout.keys();
    let authority = identity::load_certificates(&keys.join("ca.crt"))?;
    let server = Identity::load(&keys, "server")?;
    let feed = Connector {
        address: SocketAddr::from(([127, 0, 0, 1], 1)),
        server_name: "localhost".to_owned(),
        identity: Identity::load(&keys, "server")?,
        authority: authority.clone(),
    };
    let pull = pull::Parts::load(config.pull, (layout.root(), &[]), &server, &authority, 1)?;
    let (stop, stopped) = watch::channel(false);
    let (_data, data) = mpsc::channel(1);
    // No shard is captured, so no feed is asked.
    let ways = Ways { feed, data, rings: Vec::new(), pull, keys: layout.keys() };
    let captured = watch::channel(std::collections::BTreeMap::default()).0;
    let worker = SettlementWorker::start(pipeline, captured, Clock::System, ways, stopped.clone())?;
    let map = Arc::new(ShardMap::one());
    let markets = Arc::new(Markets::new(map, config.policy.currency, config.books_shown()));
    for ScheduledMarket { definition, uncross_lead, .. } in &config.markets {
        markets.learn(KnownMarket { definition: *definition, uncross_lead: *uncross_lead })?;
    }
    let parts = api::Parts {
        identity: server,
        verifier: ClientVerifier::load(&authority, &keys.join(authority::REVOCATION_FILE))?,
        settlement: worker.handle.clone(),
        database: Store::File(layout.settlement()),
        settings: exchange::node::settlement_settings(layout, config)?,
        clock: Clock::System,
        markets,
        cycles: api::cycles_of(&config.markets),
        currency: config.policy.currency,
        views: Vec::new(),
        webhooks: None,
        stop: stopped,
    };
    let api = api::start(api_options(options), parts)?;
    let address = api.address;
    let way = Way::open(&keys, &authority, address)?;
    let alone = way.ask(options.questions, options.contracts, options.common.seed).await?;
    let before = processor_time()?;
    let began = Instant::now();
    let mut asking = tokio::task::JoinSet::new();
    for number in 1..=options.connections {
        let way = way.clone();
        let (each, contracts) = (options.questions_each, options.contracts);
        let seed = options.common.seed;
        asking.spawn(async move { way.ask(each, contracts, seed + u64::from(number)).await });
    }
    let mut together = Latencies::new()?;
    while let Some(done) = asking.join_next().await {
        together.add(&done??);
    }
    let took = began.elapsed();
    let used = processor_time()? - before;
    let reads = u64::from(options.connections) * u64::from(options.questions_each);
    let figures = Figures {
        alone_us: alone.percentiles(),
        together_reads_per_s: rate::per_second(reads, took),
        together_us: together.percentiles(),
        reads_per_s_of_a_core: rate::per_second(reads, used),
        database_mib: 0,
    };
    stop.send_replace(true);
    tokio::task::spawn_blocking(move || api.join()).await?;
    Ok(figures)
}

fn api_options(options: &Options) -> ApiOptions {
    ApiOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        threads: 1,
        connections: options.connections + 8,
        requests: Rate { per_s: 0, burst: 1 },
        body_bytes: 65_536,
        depth: 8,
    }
}

/// Processor time of the API's thread so far.
fn processor_time() -> Result<Duration, Failure> {
    for task in fs::read_dir("/proc/self/task")? {
        let path = task?.path();
        if fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "api-1") {
            let text = fs::read_to_string(path.join("stat"))?;
            let fields = text.rsplit(')').next().unwrap_or_default();
            let ticks = |place| fields.split_whitespace().nth(place).and_then(|n| n.parse().ok());
            let (user, system): (u64, u64) =
                (ticks(11).ok_or("no user time")?, ticks(12).ok_or("no system time")?);
            return Ok(Duration::from_millis((user + system) * TICK_MS));
        }
    }
    Err("the API has no thread".into())
}

/// How the API is reached.
#[derive(Clone)]
struct Way {
    connector: TlsConnector,
    address: SocketAddr,
}

impl Way {
    fn open(
        keys: &Path,
        authority: &[CertificateDer<'static>],
        address: SocketAddr,
    ) -> Result<Self, Failure> {
        let identity = Identity::load(keys, &authority::file_name(CALLER))?;
        let config = tls::client_config(&identity, authority, &[b"http/1.1"])?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), address })
    }

    /// Questions one after the other on a connection of its own; each must find its record.
    async fn ask(&self, count: u32, contracts: u32, seed: u64) -> Result<Latencies, Failure> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let stream = self.connector.connect(ServerName::try_from("localhost")?, stream).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await?;
        let open = tokio::spawn(connection);
        let mut dice = Dice::new(seed);
        let mut latencies = Latencies::new()?;
        for _ in 0..count {
            let number = 1 + dice.below(contracts);
            let began = Instant::now();
            read(&mut sender, number).await?;
            latencies.record(began.elapsed());
        }
        open.abort();
        Ok(latencies)
    }
}

async fn read(sender: &mut SendRequest<Full<Bytes>>, number: u32) -> Result<(), Failure> {
    let body = format!("{{\"transactionId\":\"{number}\",\"orderItemId\":\"{number}\"}}");
    let request = Request::post("/ledger/get")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))?;
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let bytes = response.into_body().collect().await?.to_bytes();
    if status == 200 && bytes.ends_with(b"\"count\":1}") {
        Ok(())
    } else {
        Err(format!("{status}: {}", String::from_utf8_lossy(&bytes)).into())
    }
}
