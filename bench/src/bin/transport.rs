//! `transport`: what the settings of QUIC are worth for frames of orders and their reports.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bench::{
    Failure, rate,
    report::{CommonOptions, Report},
};
use clap::{Parser, value_parser};
use exchange::load::latency::{Latencies, Percentiles};
use quinn::{
    AckFrequencyConfig, ClientConfig, Connection, Endpoint, EndpointConfig, MtuDiscoveryConfig,
    RecvStream, SendStream, ServerConfig, TransportConfig, VarInt, congestion,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use rustls::{CipherSuite, RootCertStore, crypto::CryptoProvider};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};

/// Frames over one connection on loopback, with one setting changed at a time
///
/// A client sends frames as large as 255 delegated orders and gets, for each, as many bytes as their
/// reports have; then single orders, each behind the answer to the one before. Client and server have
/// a thread each. Settings take turns, and the best of all rounds counts.
#[derive(Debug, Parser, Serialize)]
struct Options {
    /// Rounds over all settings
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Frames of 255 orders in a round
    #[arg(long, default_value_t = 4_000, value_parser = value_parser!(u32).range(100..=1_000_000))]
    frames: u32,
    /// Such frames that may be unanswered
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u32).range(1..=4_096))]
    window: u32,
    /// Single orders in a round
    #[arg(long, default_value_t = 4_000, value_parser = value_parser!(u32).range(100..=1_000_000))]
    orders: u32,
    /// Only settings with this in their name
    #[arg(long)]
    only: Option<String>,
    #[command(flatten)]
    #[serde(skip)]
    common: CommonOptions,
}

/// Orders in a large frame.
const FRAME_ORDERS: u64 = 255;
/// A head, a signature, and 255 orders of 96 bytes; 255 reports of 80 bytes behind a head.
const LARGE: Exchange = Exchange { request: 24 + 88 + 255 * 96, answer: 24 + 255 * 80 };
/// A signed order, and its report.
const SINGLE: Exchange = Exchange { request: 24 + 160, answer: 24 + 80 };

/// Bytes there and back.
#[derive(Debug, Clone, Copy)]
struct Exchange {
    request: usize,
    answer: usize,
}

/// What is changed of the settings that the gateway has.
struct Setting {
    name: &'static str,
    /// Threads of the server's runtime; 0 for one that is the calling thread's.
    threads: usize,
    suite: Option<CipherSuite>,
    payload_bytes: Option<u16>,
    socket_bytes: usize,
    change: fn(&mut TransportConfig),
}

const BASE: Setting = Setting {
    name: "as it is",
    threads: 1,
    suite: None,
    payload_bytes: None,
    socket_bytes: 4 << 20,
    change: |_| {},
};

/// Largest UDP payload over Ethernet with jumbo frames.
const JUMBO: u16 = 8_952;
/// Largest over loopback.
const LOOPBACK: u16 = 65_487;

const fn setting(name: &'static str, change: fn(&mut TransportConfig)) -> Setting {
    Setting { name, change, ..BASE }
}

fn settings() -> Vec<Setting> {
    vec![
        BASE,
        Setting { name: "runtime: current thread", threads: 0, ..BASE },
        Setting { name: "runtime: two threads", threads: 2, ..BASE },
        Setting { name: "socket buffers: system's", socket_bytes: 0, ..BASE },
        setting("windows: 256 KiB", |config| windows(config, 256 << 10)),
        setting("windows: 4 MiB", |config| windows(config, 4 << 20)),
        setting("windows: 16 MiB", |config| windows(config, 16 << 20)),
        setting("acknowledge every 10th, 1 ms", |config| acknowledge(config, 10, 1)),
        setting("acknowledge every 50th, 5 ms", |config| acknowledge(config, 50, 5)),
        setting("congestion: NewReno", |config| {
            config.congestion_controller_factory(Arc::new(congestion::NewRenoConfig::default()));
        }),
        setting("congestion: BBR", |config| {
            config.congestion_controller_factory(Arc::new(congestion::BbrConfig::default()));
        }),
        setting("datagrams: 1,200, no search", |config| {
            config.mtu_discovery_config(None);
        }),
        Setting {
            payload_bytes: Some(JUMBO),
            ..setting("datagrams: 8,952, no offload", |config| large(config, JUMBO))
        },
        Setting {
            payload_bytes: Some(LOOPBACK),
            ..setting("datagrams: 65,487, no offload", |config| large(config, LOOPBACK))
        },
        setting("without segmentation offload", |config| {
            config.enable_segmentation_offload(false);
        }),
        Setting { name: "AES-128-GCM", suite: Some(CipherSuite::TLS13_AES_128_GCM_SHA256), ..BASE },
        Setting {
            name: "ChaCha20-Poly1305",
            suite: Some(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
            ..BASE
        },
    ]
}

fn windows(config: &mut TransportConfig, bytes: u32) {
    config.stream_receive_window(VarInt::from_u32(bytes));
    config.receive_window(VarInt::from_u32(bytes));
    config.send_window(bytes.into());
}

fn acknowledge(config: &mut TransportConfig, packets: u32, delay_ms: u64) {
    let mut frequency = AckFrequencyConfig::default();
    frequency.ack_eliciting_threshold(VarInt::from_u32(packets));
    frequency.max_ack_delay(Some(Duration::from_millis(delay_ms)));
    config.ack_frequency_config(Some(frequency));
}

fn large(config: &mut TransportConfig, bytes: u16) {
    let mut search = MtuDiscoveryConfig::default();
    search.upper_bound(bytes);
    config.mtu_discovery_config(Some(search));
    // Ten of them are more than the system takes at once.
    config.enable_segmentation_offload(false);
}

impl Setting {
    fn transport(&self) -> Arc<TransportConfig> {
        let mut config = TransportConfig::default();
        config.max_concurrent_bidi_streams(VarInt::from_u32(1));
        config.max_concurrent_uni_streams(VarInt::from_u32(0));
        config.datagram_receive_buffer_size(None);
        (self.change)(&mut config);
        Arc::new(config)
    }

    fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = rustls::crypto::ring::default_provider();
        if let Some(suite) = self.suite {
            // The first packets of a connection need this one whatever is agreed on afterwards.
            let first = CipherSuite::TLS13_AES_128_GCM_SHA256;
            provider.cipher_suites.retain(|have| [suite, first].contains(&have.suite()));
            provider.cipher_suites.sort_by_key(|have| have.suite() != suite);
        }
        Arc::new(provider)
    }

    fn endpoint(&self, server: Option<ServerConfig>) -> Result<Endpoint, Failure> {
        let socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        if self.socket_bytes > 0 {
            rustix::net::sockopt::set_socket_recv_buffer_size(&socket, self.socket_bytes)?;
            rustix::net::sockopt::set_socket_send_buffer_size(&socket, self.socket_bytes)?;
        }
        let mut config = EndpointConfig::default();
        if let Some(bytes) = self.payload_bytes {
            config.max_udp_payload_size(bytes)?;
        }
        Ok(Endpoint::new(config, server, socket, Arc::new(quinn::TokioRuntime))?)
    }

    fn runtime(&self) -> Result<Runtime, Failure> {
        let mut builder = match self.threads {
            0 => Builder::new_current_thread(),
            threads => {
                let mut builder = Builder::new_multi_thread();
                builder.worker_threads(threads);
                builder
            }
        };
        Ok(builder.enable_all().build()?)
    }
}

/// What a setting reached.
#[derive(Debug, Serialize)]
struct Figures {
    setting: &'static str,
    /// In large frames.
    orders_per_s: u64,
    /// The same, against the gateway's settings.
    percent: u64,
    /// Of large frames.
    frame_us: Percentiles,
    /// Of single orders, one at a time.
    single_us: Percentiles,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let report = Report::begin("transport", &options.common);
    let mut settings = settings();
    if let Some(only) = &options.only {
        settings
            .retain(|setting| setting.name.contains(only.as_str()) || setting.name == BASE.name);
    }
    let mut best: Vec<Option<Round>> = settings.iter().map(|_| None).collect();
    for _ in 0..options.rounds {
        for (setting, best) in settings.iter().zip(&mut best) {
            let round = run(setting, &options)?;
            *best = Some(match best.take() {
                Some(before) => before.better(round),
                None => round,
            });
        }
    }
    let base = best.first().and_then(Option::as_ref).map_or(1, |round| round.orders_per_s.max(1));
    let figures: Vec<_> = settings
        .iter()
        .zip(&best)
        .filter_map(|(setting, round)| {
            let round = round.as_ref()?;
            Some(Figures {
                setting: setting.name,
                orders_per_s: round.orders_per_s,
                percent: round.orders_per_s * 100 / base,
                frame_us: round.frames.percentiles(),
                single_us: round.single.percentiles(),
            })
        })
        .collect();
    let text = report.finish(&options, &figures, "")?;
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

struct Round {
    orders_per_s: u64,
    frames: Latencies,
    single: Latencies,
}

impl Round {
    /// The higher rate, and the lower median of single orders.
    fn better(self, other: Self) -> Self {
        let single = if other.single.quantile_ns(0.5) < self.single.quantile_ns(0.5) {
            other.single
        } else {
            self.single
        };
        let (orders_per_s, frames) = if other.orders_per_s > self.orders_per_s {
            (other.orders_per_s, other.frames)
        } else {
            (self.orders_per_s, self.frames)
        };
        Self { orders_per_s, frames, single }
    }
}

fn run(setting: &Setting, options: &Options) -> Result<Round, Failure> {
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let key =
        PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certificate.signing_key.serialize_der()));
    let tls = rustls::ServerConfig::builder_with_provider(setting.provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key)?;
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(setting.transport());
    let server_runtime = setting.runtime()?;
    let endpoint = {
        let _in = server_runtime.enter();
        setting.endpoint(Some(config))?
    };
    let address = endpoint.local_addr()?;
    let serving = thread::spawn(move || server_runtime.block_on(serve(endpoint)).is_ok());

    let mut roots = RootCertStore::empty();
    roots.add(certificate.cert.der().clone())?;
    let tls = rustls::ClientConfig::builder_with_provider(setting.provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(setting.transport());
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let round = runtime.block_on(ask(setting, options, config, address))?;
    if !serving.join().map_err(|_| "the server panicked")? {
        return Err("the server failed".into());
    }
    Ok(round)
}

/// Two connections one after the other: large frames, then single orders.
async fn serve(endpoint: Endpoint) -> Result<(), Failure> {
    for exchange in [LARGE, SINGLE] {
        let connection = endpoint.accept().await.ok_or("no connection")?.await?;
        let (send, recv) = connection.accept_bi().await?;
        answer(exchange, send, recv).await?;
        connection.closed().await;
    }
    Ok(())
}

async fn answer(
    exchange: Exchange,
    mut send: SendStream,
    mut recv: RecvStream,
) -> Result<(), Failure> {
    let bytes = vec![7; exchange.answer];
    let mut have = 0;
    while let Some(chunk) = recv.read_chunk(64 << 10, true).await? {
        have += chunk.bytes.len();
        while have >= exchange.request {
            have -= exchange.request;
            send.write_all(&bytes).await?;
        }
    }
    send.finish()?;
    Ok(())
}

async fn ask(
    setting: &Setting,
    options: &Options,
    config: ClientConfig,
    server: SocketAddr,
) -> Result<Round, Failure> {
    let endpoint = setting.endpoint(None)?;
    let connect = || endpoint.connect_with(config.clone(), server, "localhost");
    let connection = connect()?.await?;
    let began = Instant::now();
    let frames = converse(&connection, LARGE, (options.frames, options.window)).await?;
    let orders_per_s = rate::per_second(u64::from(options.frames) * FRAME_ORDERS, began.elapsed());
    connection.close(VarInt::from_u32(0), b"");
    let connection = connect()?.await?;
    let single = converse(&connection, SINGLE, (options.orders, 1)).await?;
    connection.close(VarInt::from_u32(0), b"");
    endpoint.wait_idle().await;
    Ok(Round { orders_per_s, frames, single })
}

/// Sends so many requests, of which `window` may be unanswered.
async fn converse(
    connection: &Connection,
    exchange: Exchange,
    (count, window): (u32, u32),
) -> Result<Latencies, Failure> {
    let (mut send, mut recv) = connection.open_bi().await?;
    let room = Arc::new(tokio::sync::Semaphore::new(usize::try_from(window)?));
    let (sent, mut due) = tokio::sync::mpsc::unbounded_channel();
    let let_through = Arc::clone(&room);
    let sending = tokio::spawn(async move {
        let bytes = vec![3; exchange.request];
        for _ in 0..count {
            let_through.acquire().await?.forget();
            sent.send(Instant::now())?;
            send.write_all(&bytes).await?;
        }
        send.finish()?;
        Ok::<_, Failure>(())
    });
    let mut latencies = Latencies::new()?;
    let mut have = 0;
    while let Some(chunk) = recv.read_chunk(64 << 10, true).await? {
        have += chunk.bytes.len();
        while have >= exchange.answer {
            have -= exchange.answer;
            let due = due.recv().await.ok_or("an answer without a request")?;
            latencies.record(due.elapsed());
            room.add_permits(1);
        }
    }
    sending.await??;
    Ok(latencies)
}
