//! `market_data`: what showing the books costs the core loop, and how fast readers follow.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bench::no_trades::NoTrades;
use bench::{
    Failure,
    history::History,
    market::{Market, Setup},
    rate,
    report::{CommonOptions, Report},
};
use clap::Parser;
use engine::{Engine, Limits};
use exchange::{
    init,
    market_data::{self, MarketData, ShardMarket},
    node::Layout,
    progress::{Progress, ProgressWriter},
};
use gateway::{
    ClientVerifier, Directory, Gateway, GatewayOptions, Identity, Incoming, Ingress, Markets,
    Sessions, ShardPort, authority,
    client::{Connector, MarketClient, MarketSubscription, MarketUpdate},
    identity,
    quic::Parts,
    throttle,
};
use journal::Writer;
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use types::{Command, Event, Party, Role, Seq, Sequenced, ShardMap, Shards};

/// The core loop with market data and without it, and readers of market data on loopback
///
/// One seeded flow over 96 books. The first part applies it in turns and compares with the same turns
/// that show nothing; the fastest rounds count, and rounds take turns. The second part journals it
/// durably, as fast as it goes, while readers follow over QUIC in the same process; the time counts
/// until the last of them has everything.
#[derive(Debug, Parser, Serialize)]
struct Options {
    /// Commands of the flow
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1_000..=4_000_000))]
    commands: u32,
    /// Rounds of the first part
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Commands of a turn in the second part
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=32_768))]
    turn: u32,
    #[command(flatten)]
    #[serde(skip)]
    common: CommonOptions,
}

#[derive(Debug, Serialize)]
struct Figures {
    turns: Vec<TurnFigures>,
    readers: Vec<ReaderFigures>,
}

#[derive(Debug, Serialize)]
struct TurnFigures {
    turn_commands: usize,
    without_ns_per_command: f64,
    with_ns_per_command: f64,
    added_ns_per_command: f64,
}

#[derive(Debug, Serialize)]
struct ReaderFigures {
    readers: usize,
    commands_per_s: u64,
    all_readers_done_ms: f64,
    updates_of_a_reader: u64,
    updates_per_s_of_all: u64,
    trades_seen_of_a_reader: u64,
    trades_missed_of_a_reader: u64,
    books_equal: bool,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let report = Report::begin("market_data", &options.common);
    let count = usize::try_from(options.commands)?;
    let setup = Setup::new(96, 2_048);
    let history = History::of_flow(&setup, count, options.common.seed)?;
    let mut turns = Vec::new();
    for size in [1, 16, 256] {
        turns.push(turn_figures(&history, size, options.rounds));
    }
    let market = Market::new(setup, options.common.seed)?;
    let mut readers = Vec::new();
    for count in [0, 1, 16] {
        readers.push(follow(&history, &market, usize::try_from(options.turn)?, count)?);
    }
    let figures = Figures { turns, readers };
    std::io::stdout().write_all(report.finish(&options, &figures, "")?.as_bytes())?;
    Ok(())
}

/// An engine with the market set up.
fn prepared(history: &History) -> Engine {
    let mut engine = Engine::new(Limits::default());
    let mut events = Vec::new();
    for command in history.parts().0 {
        events.clear();
        engine.apply(command, &mut events);
    }
    engine
}

fn turn_figures(history: &History, size: usize, rounds: u32) -> TurnFigures {
    let (mut without, mut with) = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds {
        without = without.min(time_turns(history, size, None));
        let (mut data, reader) = MarketData::new(Limits::default().slots_max);
        with = with.min(time_turns(history, size, Some(&mut data)));
        drop(reader);
    }
    let commands = u64::try_from(history.parts().1.len()).unwrap_or(1);
    let tenths = |time: Duration| rate::tenths(time.as_nanos(), commands);
    TurnFigures {
        turn_commands: size,
        without_ns_per_command: tenths(without),
        with_ns_per_command: tenths(with),
        added_ns_per_command: tenths(with.saturating_sub(without)),
    }
}

fn time_turns(history: &History, size: usize, mut data: Option<&mut MarketData>) -> Duration {
    let mut engine = prepared(history);
    let mut events: Vec<Event> = Vec::new();
    if let Some(data) = data.as_deref_mut() {
        data.begin(&engine);
    }
    let began = Instant::now();
    for turn in history.parts().1.chunks(size) {
        for command in turn {
            events.clear();
            engine.apply(command, &mut events);
            if let Some(data) = data.as_deref_mut() {
                data.observe(&engine, &events);
            }
        }
        if let Some(data) = data.as_deref_mut() {
            data.publish(&engine);
        }
    }
    began.elapsed()
}

/// A gateway in front of a core loop that needs no orders from outside.
struct Stage {
    _gateway: Gateway,
    connector: Connector,
    progress: ProgressWriter,
    data: MarketData,
    journal: Writer,
    engine: Engine,
    /// Kept open.
    _ends: (gateway::IngressReceiver, watch::Sender<Seq>, [Box<dyn std::any::Any>; 3]),
}

fn stage(history: &History, market: &Market, layout: &Layout) -> Result<Stage, Failure> {
    let ledger_key = init::derive_key(&[0; 32], "ledger");
    init::write_directory(layout, &market.registry, init::CONFIG_TEMPLATE, &ledger_key)?;
    let mut journal = journal_of(&layout.journal())?;
    let mut engine = Engine::new(Limits::default());
    let mut events = Vec::new();
    let (mut data, view) = MarketData::new(Limits::default().slots_max);
    for command in history.parts().0 {
        events.clear();
        engine.apply(command, &mut events);
        journal.append(command, &events)?;
    }
    let opened = journal.commit()?;
    data.begin(&engine);
    let (progress, seen) = ProgressWriter::start_at(opened);
    let map = Arc::new(ShardMap::new(Shards::ONE, [&market.definition])?);
    let currency = market.definition.currency;
    let markets = Arc::new(Markets::new(Arc::clone(&map), currency, 1_024));
    let (ingress, receiver) = Ingress::new(16);
    let (durable_sender, durable) = watch::channel(opened);
    let (feed, feed_receiver) = mpsc::channel(1);
    let (documents, documents_receiver) = mpsc::channel(1);
    let (resume, resume_receiver) = mpsc::channel(1);
    let (subscribers, arrivals) = mpsc::channel(64);
    let keys = layout.keys();
    let root = identity::load_certificates(&keys.join("ca.crt"))?;
    let parts = Parts {
        identity: &Identity::load(&keys, "server")?,
        verifier: ClientVerifier::load(&root, &keys.join(authority::REVOCATION_FILE))?,
        directory: &Arc::new(Directory::default()),
        map: &map,
        ports: vec![ShardPort { sessions: Arc::new(Sessions::after(opened)), ingress, durable }],
        incoming: Incoming { feed, market: subscribers, data: documents, resume },
        storage_low: Arc::default(),
        trades: Arc::new(NoTrades),
        markets,
    };
    let options = GatewayOptions {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        verifier_threads: 1,
        limits: throttle::Limits::default(),
        connections_of_source: 1_024,
        https: None,
        unverified_max: 2_048,
    };
    let gateway = Gateway::start(&options, parts)?;
    let shard = ShardMarket { journal: layout.journal(), progress: seen, view };
    tokio::spawn(market_data::serve(vec![shard], arrivals));
    let operator = Party { role: Role::Operator, number: 1 };
    let connector = Connector {
        address: gateway.address(),
        server_name: "localhost".to_owned(),
        identity: Identity::load(&keys, &authority::file_name(operator))?,
        authority: root,
    };
    let kept: [Box<dyn std::any::Any>; 3] =
        [Box::new(feed_receiver), Box::new(documents_receiver), Box::new(resume_receiver)];
    let ends = (receiver, durable_sender, kept);
    Ok(Stage { _gateway: gateway, connector, progress, data, journal, engine, _ends: ends })
}

fn journal_of(dir: &Path) -> Result<Writer, Failure> {
    let (journal, _) = Writer::open(dir, journal::Options::default(), &mut |_| {})?;
    Ok(journal)
}

#[derive(Default)]
struct Read {
    updates: u64,
    trades: u64,
    missed: u64,
    books: Vec<u8>,
}

fn follow(
    history: &History,
    market: &Market,
    turn: usize,
    readers: usize,
) -> Result<ReaderFigures, Failure> {
    let folder = tempfile::tempdir()?;
    let layout = Layout::new(folder.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let Stage { _gateway, connector, progress, mut data, mut journal, mut engine, _ends } =
            stage(history, market, &layout)?;
        let last = history.parts().1.last().map_or(Seq::ZERO, |command| command.seq);
        let mut tasks = Vec::new();
        for _ in 0..readers {
            let everything = MarketSubscription::everything();
            let client = MarketClient::subscribe(&connector, everything).await?;
            tasks.push(tokio::spawn(read(client, last)));
        }
        let commands: Vec<Sequenced<Command>> = history.parts().1.to_vec();
        let began = Instant::now();
        let core = tokio::task::spawn_blocking(move || {
            let mut events = Vec::new();
            for turn in commands.chunks(turn) {
                for command in turn {
                    events.clear();
                    engine.apply(command, &mut events);
                    journal.append(command, &events)?;
                    data.observe(&engine, &events);
                }
                let durable = journal.commit()?;
                data.publish(&engine);
                progress.advance(Progress { durable, scheduled: engine.last_time() });
            }
            Ok::<_, journal::JournalError>((began.elapsed(), progress, data))
        });
        let (core, _progress, _data) = core.await??;
        let mut reads = Vec::new();
        for task in tasks {
            reads.push(task.await??);
        }
        let elapsed = began.elapsed();
        let first = reads.first();
        Ok(ReaderFigures {
            readers,
            commands_per_s: rate::per_second(u64::try_from(history.parts().1.len())?, core),
            all_readers_done_ms: rate::milliseconds(elapsed),
            updates_of_a_reader: first.map_or(0, |read| read.updates),
            updates_per_s_of_all: rate::per_second(
                reads.iter().map(|read| read.updates).sum(),
                elapsed,
            ),
            trades_seen_of_a_reader: first.map_or(0, |read| read.trades),
            trades_missed_of_a_reader: first.map_or(0, |read| read.missed),
            books_equal: reads.windows(2).all(|pair| match pair {
                [one, other] => one.books == other.books,
                _ => true,
            }),
        })
    })
}

/// Reads until everything up to a position is known.
async fn read(mut client: MarketClient, last: Seq) -> Result<Read, gateway::client::ClientError> {
    let mut read = Read::default();
    loop {
        match client.next().await? {
            MarketUpdate::Position(through) if through >= last => break,
            MarketUpdate::Trade(_) => read.trades += 1,
            MarketUpdate::Missed(missed) => read.missed += missed.trades,
            MarketUpdate::Position(_)
            | MarketUpdate::Book(_)
            | MarketUpdate::Closed(_)
            | MarketUpdate::Phase(_)
            | MarketUpdate::Auction(_) => {}
        }
        read.updates += 1;
    }
    for (_, book) in client.books().books() {
        read.books.extend(book.to_bytes());
    }
    Ok(read)
}
