//! A hostile client beside a good one.
//!
//! The hostile ones have a runtime and a thread of their own, as another process would, and each does
//! its worst as fast as it is answered or at a steady pace.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use gateway::client::{self, Connector, TradingSession};
use quinn::{ClientConfig, Endpoint};
use tests::{
    cast::{self, FIRST, SECOND},
    line::Line,
    platform::{Platform, told},
    venue::{Venue, soon},
};
use tokio::{runtime::Builder, sync::watch, time::interval};
use types::{ClientOrderId, NewOrder, OrderId, Role, Side};
use wire::{ALPN_DATA, ALPN_ORDERS, Inbound, Outbound};

/// Orders of the good client that a percentile is taken of.
const ORDERS: usize = 300;
/// A loaded machine has bad moments: one round of so many has to keep the bound.
const ROUNDS: u32 = 3;
/// What the good client may suffer.
const TIMES: u32 = 5;

/// What a hostile client does, and how often it has.
type Count = Arc<AtomicU64>;

const NAMES: [&str; 5] = ["refused requests", "garbage", "churn", "handshakes", "unread answers"];

/// What the hostile clients know.
#[derive(Clone)]
struct Target {
    platform: Connector,
    slow: Connector,
    retailer: Connector,
    order: NewOrder,
}

/// Hostile clients at work.
struct Hostile {
    stop: watch::Sender<bool>,
    counts: [Count; 5],
    thread: JoinHandle<()>,
}

impl Hostile {
    fn start(target: &Target) -> Self {
        let (stop, stopped) = watch::channel(false);
        let counts: [Count; 5] = Default::default();
        let (of, target) = (counts.clone(), target.clone());
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let [refused, garbage, churn, handshakes, unread] = of;
                tokio::join!(
                    until(&stopped, refused_requests(&target, &refused)),
                    until(&stopped, garbage_frames(&target, &garbage)),
                    until(&stopped, connection_churn(&target, &churn)),
                    until(&stopped, handshake_flood(&target, &handshakes)),
                    until(&stopped, unread_answers(&target, &unread)),
                );
            });
        });
        Self { stop, counts, thread }
    }

    fn counts(&self) -> [u64; 5] {
        [0, 1, 2, 3, 4].map(|at: usize| self.counts[at].load(Ordering::Relaxed))
    }

    /// Waits until each of them is at it.
    async fn is_at_work(&self) {
        let mut ticks = interval(Duration::from_millis(1));
        soon(async {
            while self.counts().contains(&0) {
                ticks.tick().await;
            }
        })
        .await;
    }

    fn end(self) -> [u64; 5] {
        self.stop.send_replace(true);
        let counts = self.counts();
        self.thread.join().unwrap();
        counts
    }
}

async fn until(stopped: &watch::Receiver<bool>, work: impl Future<Output = ()>) {
    let mut stopped = stopped.clone();
    tokio::select! {
        () = work => {}
        _ = stopped.wait_for(|&stopped| stopped) => {}
    }
}

fn once(count: &Count) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// A closed loop of frames that are refused: by the edge for their signatures, by the engine for the
/// orders that they are about. Counts the refusals that it is told.
async fn refused_requests(target: &Target, count: &Count) {
    let mut session = TradingSession::open(&target.platform, 60_000).await.unwrap();
    let forged = client::sign_new(&cast::meter_key(SECOND), target.order);
    loop {
        let unknown = |number| client::cancel(ClientOrderId::new(number), OrderId::new(1 << 40));
        let mut frame: Vec<Inbound> = (1..=24).map(unknown).collect();
        frame.extend([forged; 8]);
        session.sender.send(&frame).await.unwrap();
        for _ in &frame {
            let answer = session.receiver.next().await.unwrap();
            assert!(matches!(answer, Outbound::ExecutionReport(_) | Outbound::MessageRejected(_)));
            once(count);
        }
    }
}

/// Connections whose first bytes are no frame: each is told and closed.
async fn garbage_frames(target: &Target, count: &Count) {
    let mut ticks = interval(Duration::from_millis(10));
    loop {
        ticks.tick().await;
        let Ok(line) = Line::connect(&target.platform, ALPN_ORDERS).await else { continue };
        let mut stream = line.open().await;
        stream.last_bytes(&[0xA5; 4_096]).await;
        assert_eq!(line.end().await, "1 protocol_error");
        once(count);
    }
}

/// Connections that do nothing.
async fn connection_churn(target: &Target, count: &Count) {
    let mut ticks = interval(Duration::from_millis(10));
    loop {
        ticks.tick().await;
        if Line::connect(&target.retailer, ALPN_DATA).await.is_ok() {
            once(count);
        }
    }
}

/// The first datagrams of handshakes that never go on.
async fn handshake_flood(target: &Target, count: &Count) {
    let silent = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, target.platform.address.port()));
    let Connector { identity, authority, .. } = &target.platform;
    let crypto = gateway::tls::client(identity, authority, ALPN_ORDERS).unwrap();
    let config = ClientConfig::new(Arc::new(crypto));
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let mut ticks = interval(Duration::from_millis(2));
    let mut bytes = vec![0; 2_048];
    loop {
        ticks.tick().await;
        let address = silent.local_addr().unwrap();
        let connecting = endpoint.connect_with(config.clone(), address, "localhost").unwrap();
        let length = silent.recv(&mut bytes).await.unwrap();
        socket.send_to(&bytes[..length], server).unwrap();
        drop(connecting);
        once(count);
    }
}

/// A session that asks and never reads what it is told, and comes again when it is cut.
async fn unread_answers(target: &Target, count: &Count) {
    loop {
        let Ok(mut session) = TradingSession::open(&target.slow, 60_000).await else { continue };
        let mut ticks = interval(Duration::from_millis(2));
        loop {
            ticks.tick().await;
            let unknown =
                |number| client::cancel(ClientOrderId::new(number), OrderId::new(1 << 40));
            let frame: Vec<Inbound> = (1..=32).map(unknown).collect();
            if session.sender.send(&frame).await.is_err() {
                break;
            }
            once(count);
        }
    }
}

/// The good client's round trips, one after the other: the 99th percentile. Each order is accepted and
/// then cancelled.
async fn p99(good: &mut Platform) -> Duration {
    let mut times = Vec::new();
    for _ in 0..ORDERS {
        let order = good.order(SECOND, Side::Buy, 1, 10);
        let sent = Instant::now();
        let placed = good.accepted(order).await;
        times.push(sent.elapsed());
        assert_eq!(told(&good.cancel(placed.order).await), "cancelled 10 requested");
    }
    times.sort();
    times[ORDERS * 99 / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_client_is_served_beside_hostile_ones() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut good = Platform::log_on(&venue, 2).await;
    let mut first = Platform::log_on(&venue, 1).await;
    let target = Target {
        platform: venue.connector(cast::party(Role::Platform, 1)),
        slow: venue.connector(cast::party(Role::Platform, 9)),
        retailer: venue.connector(cast::party(Role::Retailer, 1)),
        order: first.order(FIRST, Side::Sell, 390, 10),
    };
    drop(first);
    p99(&mut good).await; // Warm.
    let mut kept = false;
    for round in 1..=ROUNDS {
        let alone = p99(&mut good).await;
        let hostile = Hostile::start(&target);
        hostile.is_at_work().await;
        let began = Instant::now();
        let beside = p99(&mut good).await;
        let took = began.elapsed();
        let counts = hostile.end();
        let did: Vec<_> = NAMES.iter().zip(counts).map(|(name, n)| format!("{n} {name}")).collect();
        println!(
            "round {round}: p99 of {ORDERS} orders {alone:.1?} alone, {beside:.1?} beside {} in {took:.1?}",
            did.join(", ")
        );
        assert!(counts.iter().all(|&count| count > 0), "all of them are there: {counts:?}");
        kept = beside <= alone * TIMES;
        if kept {
            break;
        }
    }
    assert!(kept, "the good client waits {TIMES} times as long as alone");
    assert_eq!(good.unread_words().await, [""; 0], "every order was answered once");
    venue.close().await;
}
