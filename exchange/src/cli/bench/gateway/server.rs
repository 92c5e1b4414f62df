//! The exchange that is measured: this very program's `serve`, in a process and a directory of its
//! own, and what the system says of it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use gateway::{Identity, authority, client::Connector, identity};
use journal::Writer;
use tempfile::TempDir;
use types::Party;

use crate::{
    config::{self, Config},
    exit::{Failure, Kind},
    init, journal_options,
    load::market::{Market, Setup},
    node::Layout,
};

/// How long it may take to start.
const START_MAX: Duration = Duration::from_secs(60);
/// From now to the first slot that is traded, in minutes: no gate closes while it is measured.
const AHEAD_MINUTES: u32 = 120;
/// Between two looks at its memory.
const LOOK_EACH: Duration = Duration::from_millis(100);
/// What the program logs in front of its address.
const LISTENING: &str = "listening on ";

/// How it is to be set up.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) setup: Setup,
    pub(super) seed: u64,
    pub(super) verifiers: Option<u16>,
    /// Directory below which its own is made.
    pub(super) below: PathBuf,
}

/// A running exchange; dropping it ends it and removes its files.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) market: Market,
    /// What making a small batch durable takes in its directory.
    pub(super) sync_latency: Duration,
    process: Child,
    address: SocketAddr,
    layout: Layout,
    /// Removed last.
    _folder: TempDir,
}

/// What the process has used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    /// Processor time of all its threads, in milliseconds.
    pub(super) cpu_ms: u64,
    /// Memory it has resident, in KiB.
    pub(super) resident_kib: u64,
}

/// How much memory it had resident at some instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct MemorySample {
    pub(super) at: Instant,
    pub(super) resident_kib: u64,
}

/// Looks at its memory until it is finished.
#[derive(Debug)]
pub(super) struct MemoryWatch {
    stop: mpsc::Sender<()>,
    thread: thread::JoinHandle<Vec<MemorySample>>,
}

impl MemoryWatch {
    /// What was seen.
    pub(super) fn finish(self) -> Vec<MemorySample> {
        drop(self.stop);
        self.thread.join().unwrap_or_default()
    }
}

impl Usage {
    /// The processor time since `before`, and the memory now.
    pub(super) const fn since(self, before: Self) -> Self {
        Self { cpu_ms: self.cpu_ms.saturating_sub(before.cpu_ms), ..self }
    }
}

impl Server {
    /// Makes a directory for the canonical market with its slots some hours from now, starts
    /// `serve` on it and waits until it listens.
    pub(super) fn start(opened: &Opened) -> Result<Self, Failure> {
        let market = Market::from_minute(opened.setup, opened.seed, first_minute())
            .map_err(|error| Failure::new(Kind::Runtime, error.as_ref()))?;
        let folder = tempfile::tempdir_in(&opened.below).map_err(Failure::runtime)?;
        let layout = Layout::new(folder.path());
        let ledger_key = init::derive_key(&[0; 32], "ledger");
        let text = config_text(opened.verifiers);
        init::write_directory(&layout, &market.registry, &text, &ledger_key)
            .map_err(Failure::runtime)?;
        let config =
            config::load(&layout.root().join(config::FILE_NAME)).map_err(Failure::runtime)?;
        let sync_latency = sync_latency(&layout, &config)?;
        let program = std::env::current_exe().map_err(Failure::runtime)?;
        let mut process = Command::new(program)
            .args(["serve", "--data-dir"])
            .arg(layout.root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Failure::runtime)?;
        match listening(&mut process) {
            Some(address) => {
                Ok(Self { market, sync_latency, process, address, layout, _folder: folder })
            }
            None => {
                process.kill().ok();
                process.wait().ok();
                Err(Failure::runtime(std::io::Error::other(
                    "the exchange did not start; its messages stand above",
                )))
            }
        }
    }

    /// How a party reaches it.
    pub(super) fn connector(&self, party: Party) -> Result<Connector, gateway::IdentityError> {
        let keys = self.layout.keys();
        Ok(Connector {
            address: self.address,
            server_name: "localhost".to_owned(),
            identity: Identity::load(&keys, &authority::file_name(party))?,
            authority: identity::load_certificates(&keys.join("ca.crt"))?,
        })
    }

    /// Begins to look at its memory.
    pub(super) fn watch_memory(&self) -> MemoryWatch {
        let (stop, stopped) = mpsc::channel();
        let id = self.process.id();
        let thread = thread::spawn(move || {
            let mut samples = Vec::new();
            while stopped.recv_timeout(LOOK_EACH) == Err(mpsc::RecvTimeoutError::Timeout) {
                samples.push(MemorySample { at: Instant::now(), resident_kib: resident_kib(id) });
            }
            samples
        });
        MemoryWatch { stop, thread }
    }

    /// What it has used so far; zeros where the system does not say.
    pub(super) fn usage(&self) -> Usage {
        let id = self.process.id();
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name may hold spaces and ends with the last parenthesis.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 =
            fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        let ticks_per_s = rustix::param::clock_ticks_per_second();
        Usage {
            cpu_ms: ticks.saturating_mul(1_000).checked_div(ticks_per_s).unwrap_or(0),
            resident_kib: resident_kib(id),
        }
    }
}

/// Memory that a process has resident; 0 where the system does not say.
fn resident_kib(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    resident.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok()).unwrap_or(0)
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing it has is needed any more.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The default configuration with leads so long that a whole day of slots trades at once.
fn config_text(verifiers: Option<u16>) -> String {
    let text = init::CONFIG_TEMPLATE
        .replace("127.0.0.1:7400", "127.0.0.1:0")
        .replace("opening_lead_minutes = 60", "opening_lead_minutes = 2880")
        .replace("uncross_lead_minutes = 30", "uncross_lead_minutes = 2870");
    match verifiers {
        None => text,
        Some(threads) => {
            text.replace("verifier_threads = 2", &format!("verifier_threads = {threads}"))
        }
    }
}

/// A quarter of an hour, some hours from now, in minutes since 1970.
fn first_minute() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let minute = u32::try_from(since.as_secs() / 60).unwrap_or(u32::MAX / 2);
    (minute + AHEAD_MINUTES).next_multiple_of(15)
}

/// Measures it with a journal of its own, which leaves nothing behind.
fn sync_latency(layout: &Layout, config: &Config) -> Result<Duration, Failure> {
    let folder = tempfile::tempdir_in(layout.root()).map_err(Failure::runtime)?;
    let options = journal::Options { sync: None, ..journal_options::of(config) };
    let (writer, _) =
        Writer::open(folder.path(), options, &mut |_| {}).map_err(Failure::runtime)?;
    let choice = writer.sync_choice();
    let chosen = choice.measured.iter().find(|figures| figures.method == choice.method);
    Ok(chosen.map_or(Duration::ZERO, |figures| figures.small))
}

/// Waits for the address in the process's log. What it logs before, and warnings afterwards, go to
/// this process's log.
fn listening(process: &mut Child) -> Option<SocketAddr> {
    let log = BufReader::new(process.stderr.take()?);
    let (sender, address) = mpsc::channel();
    thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            if let Some((_, address)) = line.split_once(LISTENING) {
                sender.send(address.trim().parse().ok()).ok();
            } else if line.contains("WARN") || line.contains("ERROR") || line.starts_with("error") {
                tracing::warn!("the exchange says: {line}");
            }
        }
    });
    address.recv_timeout(START_MAX).ok().flatten()
}
