//! `gateway`: signed orders over QUIC into a whole exchange, until each is durably answered.
//!
//! Everything runs in one process, exchange and clients on threads of their own.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use bench::{
    Failure,
    exchange_under_test::{Exchange, Stopped},
    latency::Percentiles,
    load::{self, Outcome, Pace, SessionLoad},
    market::{Market, Setup},
    orders::{OrderSource, Style},
    rate,
    report::{CommonOptions, Report},
    sync_probe::{self, SyncProbe},
    threads::{ThreadShare, ThreadTimes},
};
use clap::Parser;
use ed25519_dalek::Signature;
use gateway::client::sign_new;
use serde::Serialize;
use types::{MeterId, Party, PlatformId, Role};
use wire::{Inbound, signing};

/// Drives a whole exchange over QUIC with individually signed orders
///
/// In the open loop (default), latency counts from when an order should have been sent; an order is
/// answered when the report of its durable acceptance or refusal arrives. Orders are signed before
/// the clock starts.
#[derive(Debug, Parser, Serialize)]
struct Options {
    /// Trading sessions, each of its own platform
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    sessions: u16,
    /// Orders in a frame
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    frame_orders: u16,
    /// Closed loop: frames of a session that may be unanswered
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    window: Option<u16>,
    /// Open loop: orders per second over all sessions
    #[arg(long, default_value_t = 10_000, conflicts_with = "window",
        value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rate: u64,
    /// Orders over all sessions
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    orders: u32,
    /// Threads of the exchange that check signatures [default: as in its default configuration]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    verifiers: Option<u16>,
    /// Slots that are traded
    #[arg(long, default_value_t = 96, value_parser = clap::value_parser!(u32).range(1..=96))]
    books: u32,
    /// Meters that send orders
    #[arg(long, default_value_t = 2_048, value_parser = clap::value_parser!(u32).range(256..=100_000))]
    meters: u32,
    /// Directory below which the exchange keeps its files [default: the system's for temporary files]
    #[arg(long)]
    dir: Option<PathBuf>,
    #[command(flatten)]
    #[serde(skip)]
    common: CommonOptions,
}

#[derive(Debug, Serialize)]
struct Figures {
    mode: &'static str,
    offered_per_s: Option<u64>,
    sent_per_s: u64,
    accepted_durably_per_s: u64,
    accepted: u64,
    rejected: BTreeMap<String, u64>,
    unanswered: u64,
    sessions_lost: Vec<String>,
    latency_us: Percentiles,
    sent_late_max_ms: f64,
    messages_received: u64,
    commits: u64,
    orders_per_commit: f64,
    sync_before: SyncProbe,
    sync_after: SyncProbe,
    signatures_checked_per_s: u64,
    signature_check_us: f64,
    bound_of_one_verifier_core_per_s: u64,
    cpu_us_per_order: f64,
    cores_busy: f64,
    threads: Vec<ThreadShare>,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let report = Report::begin("gateway", &options.common);
    let dir = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let mut market = Market::new(
        Setup { books: options.books, meters: options.meters, platforms: options.sessions },
        options.common.seed,
    )?;
    if let Some(verifiers) = options.verifiers {
        market.config.verifier_threads = usize::from(verifiers);
    }
    let exchange = Exchange::start(&market, &dir)?;
    let sessions = sessions(&options, &market, &exchange)?;
    let check = check_time(&market, &sessions)?;
    let sync_before = sync_probe::probe(exchange.dir())?;
    let pace = options
        .window
        .map_or(Pace::OrdersPerSecond(options.rate), |frames| Pace::Window(frames.into()));
    let before = ThreadTimes::observe();
    let began = Instant::now();
    let (outcome, mut threads) = load::run(sessions, pace, ThreadTimes::observe)?;
    threads.add("sender", outcome.senders_cpu_ns);
    let elapsed = began.elapsed();
    let sync_after = sync_probe::probe(exchange.dir())?;
    let stopped = exchange.shut_down()?;
    let threads = threads.since(&before, outcome.orders());
    let syncs = (sync_before, sync_after);
    let figures = figures(&options, outcome, &stopped, syncs, check, threads, elapsed);
    let text = report.finish(&options, &figures, &stopped.state_digest.to_string())?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Signs everything that will be sent.
fn sessions(
    options: &Options,
    market: &Market,
    exchange: &Exchange,
) -> Result<Vec<SessionLoad>, Failure> {
    let keys: Vec<_> =
        (0..=options.meters).map(|number| market.meter_key(MeterId::new(number))).collect();
    let mut source = OrderSource::new(market, options.common.seed);
    let each = usize::try_from(options.orders.div_ceil(u32::from(options.sessions)))?;
    (1..=options.sessions)
        .map(|number| {
            let orders = std::iter::from_fn(|| source.next_of(PlatformId::new(number), Style::Any));
            let signed: Vec<_> = orders
                .take(each)
                .filter_map(|order| {
                    let key = keys.get(usize::try_from(order.meter.get()).ok()?)?;
                    Some(sign_new(key, order))
                })
                .collect();
            let frames = signed.chunks(usize::from(options.frame_orders)).map(<[_]>::to_vec);
            let connector = exchange.connector(Party { role: Role::Platform, number })?;
            Ok(SessionLoad { connector, frames: frames.collect() })
        })
        .collect()
}

/// What checking one signature costs here: the shortest of five rounds over orders of this run.
fn check_time(market: &Market, sessions: &[SessionLoad]) -> Result<Duration, Failure> {
    const CHECKS: u32 = 1_000;
    let orders: Vec<_> = sessions
        .iter()
        .flat_map(|session| session.frames.iter().flatten())
        .take(usize::try_from(CHECKS)?)
        .filter_map(
            |message| if let Inbound::NewOrder(signed) = message { Some(signed) } else { None },
        )
        .map(|signed| {
            let mut bytes = Vec::new();
            signing::new_order(&signed.order, &mut bytes);
            let signature = Signature::from_bytes(signed.signature.as_bytes());
            (market.meter_key(signed.order.meter).verifying_key(), bytes, signature)
        })
        .collect();
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        for (key, bytes, signature) in &orders {
            key.verify_strict(bytes, signature)?;
        }
        best = best.min(began.elapsed() / u32::try_from(orders.len().max(1))?);
    }
    Ok(best)
}

fn figures(
    options: &Options,
    outcome: Outcome,
    stopped: &Stopped,
    (sync_before, sync_after): (SyncProbe, SyncProbe),
    check: Duration,
    threads: Vec<ThreadShare>,
    elapsed: Duration,
) -> Figures {
    let cpu_ms: u64 = threads.iter().map(|share| share.cpu_ms).sum();
    let orders = outcome.orders();
    let answered = orders - outcome.unanswered;
    Figures {
        mode: if options.window.is_some() { "closed loop, window" } else { "open loop" },
        offered_per_s: options.window.is_none().then_some(options.rate),
        sent_per_s: rate::per_second(orders, outcome.sending),
        accepted_durably_per_s: rate::per_second(outcome.accepted, outcome.elapsed),
        accepted: outcome.accepted,
        latency_us: outcome.latencies.percentiles(),
        rejected: outcome.rejected,
        unanswered: outcome.unanswered,
        sessions_lost: outcome.lost,
        sent_late_max_ms: rate::milliseconds(outcome.late_max),
        messages_received: outcome.messages,
        commits: stopped.commits,
        orders_per_commit: rate::tenths(stopped.commands.into(), stopped.commits),
        sync_before,
        sync_after,
        signatures_checked_per_s: rate::per_second(answered, outcome.elapsed),
        signature_check_us: rate::tenths(check.as_nanos(), 1_000),
        bound_of_one_verifier_core_per_s: rate::per_second(1, check),
        cpu_us_per_order: rate::tenths(u128::from(cpu_ms) * 1_000, orders),
        cores_busy: rate::tenths(
            u128::from(cpu_ms),
            u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        ),
        threads,
    }
}
