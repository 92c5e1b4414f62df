//! `gridcross status`: how a running exchange is, once or again and again.

use std::{
    io::IsTerminal as _,
    net::{SocketAddr, ToSocketAddrs as _},
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use ureq::Agent;

use super::connect::block_on;
use crate::{
    api::operations::Status,
    config,
    exit::Failure,
    node,
    output::{self, Format},
};

const EXAMPLES: &str = "\
Examples:
  gridcross status --data-dir exchange
  gridcross status --data-dir exchange --watch
  gridcross status --address 10.0.0.7:7490 --watch --interval 10 --output ndjson >> status.ndjson
  gridcross serve --data-dir exchange & gridcross status --data-dir exchange --wait 60

The exchange answers where `[operations]` of its configuration has `listen`. Exit codes: 0 it lives (with --ready
or --wait: it is ready), 1 it does not, 6 nobody answers.";

/// Longest time until an answer is whole.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// A hundred shards and a hundred reasons need a quarter of this.
const ANSWER_BYTES_MAX: u64 = 256 << 10;
/// Between two questions while it starts.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// What is asked of which exchange.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The exchange's directory: the address is taken from its configuration
    #[arg(long, required_unless_present = "address")]
    data_dir: Option<PathBuf>,
    /// Another configuration than DATA_DIR/gridcross.toml
    #[arg(long)]
    config: Option<PathBuf>,
    /// Where it listens for operations
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// Again and again, until interrupted
    #[arg(long)]
    watch: bool,
    /// Seconds between two looks of --watch
    #[arg(long, default_value = "1", value_name = "SECONDS")]
    interval: NonZeroU32,
    /// Exit code 1 also where it lives and is not ready
    #[arg(long)]
    ready: bool,
    /// Wait so long, in seconds, until it is ready
    #[arg(long, value_name = "SECONDS", conflicts_with = "watch")]
    wait: Option<NonZeroU32>,
    /// human: tables; json: one object; ndjson: an object in a line
    #[arg(long, value_enum, default_value = "human")]
    output: Format,
}

/// Carries the command out.
///
/// # Errors
/// Code 2 for a wrong command line, 3 for a configuration without `[operations]`, 6 where nobody answers, 1 where
/// the exchange is not well.
pub fn run(options: &Options) -> Result<(), Failure> {
    let is_possible = match options.output {
        Format::Human | Format::Ndjson => true,
        Format::Json | Format::Csv => !options.watch,
    };
    if !is_possible {
        return Err(Failure::usage("with --watch, --output is human or ndjson"));
    }
    let source = Source::new(address(options)?);
    block_on(async {
        tokio::select! {
            result = show(options, &source) => result,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })
}

fn address(options: &Options) -> Result<SocketAddr, Failure> {
    if let Some(address) = &options.address {
        let found = address.to_socket_addrs().ok().and_then(|mut found| found.next());
        return found.ok_or_else(|| {
            Failure::unreachable(format!("`{address}` is no address that can be found"))
                .hint("--address takes a host and a port, such as 127.0.0.1:7490")
        });
    }
    let in_dir = options.data_dir.as_ref().map(|dir| dir.join(config::FILE_NAME));
    let path = options.config.clone().or(in_dir).unwrap_or_default();
    let config = config::load(&path).map_err(Failure::config)?;
    let address = config.operations.map(node::reachable);
    address.ok_or_else(|| {
        Failure::config(config::ConfigError::Value {
            path,
            key: "operations".to_owned(),
            message: "is missing: the exchange tells nobody how it is".to_owned(),
        })
        .hint("remove the `#` before `[operations]` and its `listen`, and start it again")
    })
}

async fn show(options: &Options, source: &Source) -> Result<(), Failure> {
    if !options.watch {
        let status = match options.wait {
            Some(seconds) => source.wait(Duration::from_secs(seconds.get().into())).await?,
            None => source.ask().await?,
        };
        if options.output == Format::Csv {
            output::print_rows(&status.shards, Format::Csv)?;
        } else {
            output::print(&text(&status, options.output)?)?;
        }
        return judge(&status, options.ready || options.wait.is_some());
    }
    let clear = if std::io::stdout().is_terminal() { "\x1b[H\x1b[J" } else { "" };
    let mut period = interval(Duration::from_secs(options.interval.get().into()));
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        let text = text(&source.ask().await?, options.output)?;
        let clear = if options.output == Format::Human { clear } else { "" };
        if output::print_on(&format!("{clear}{text}"))?.is_break() {
            return Ok(());
        }
    }
}

fn judge(status: &Status, must_be_ready: bool) -> Result<(), Failure> {
    if status.ready || (status.live && !must_be_ready) {
        return Ok(());
    }
    Err(Failure::refused(format!("the exchange is not ready: {}", status.reasons.join("; "))))
}

/// Where the answers come from.
#[derive(Debug, Clone)]
struct Source {
    agent: Agent,
    address: SocketAddr,
}

impl Source {
    fn new(address: SocketAddr) -> Self {
        let agent = Agent::config_builder()
            .timeout_global(Some(ANSWER_MAX))
            .max_redirects(0)
            .proxy(None)
            .build()
            .new_agent();
        Self { agent, address }
    }

    async fn ask(&self) -> Result<Status, Failure> {
        let (agent, url) = (self.agent.clone(), format!("http://{}/status", self.address));
        let asked = tokio::task::spawn_blocking(move || {
            let mut response = agent.get(&url).call()?;
            response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec()
        });
        let unreachable = |why: &dyn std::fmt::Display| {
            Failure::unreachable(format!("nobody tells at {} how it is: {why}", self.address)).hint(
                "is it started, and does `[operations]` of its configuration say this address?",
            )
        };
        let body = asked.await.map_err(Failure::runtime)?.map_err(|error| unreachable(&error))?;
        serde_json::from_slice(&body).map_err(|error| unreachable(&error))
    }

    /// Asks until it is ready, or for the last time when `longest` has passed.
    async fn wait(&self, longest: Duration) -> Result<Status, Failure> {
        let deadline = Instant::now().checked_add(longest);
        loop {
            let asked = self.ask().await;
            let is_over = deadline.is_none_or(|deadline| Instant::now() >= deadline);
            if is_over || asked.as_ref().is_ok_and(|status| status.ready) {
                return asked;
            }
            let again = Instant::now().checked_add(ASK_AGAIN);
            sleep_until(again.min(deadline).unwrap_or_else(Instant::now)).await;
        }
    }
}

fn text(status: &Status, format: Format) -> Result<String, Failure> {
    match format {
        Format::Human | Format::Csv => Ok(tables(status)),
        Format::Json => {
            let text = serde_json::to_string_pretty(status).map_err(Failure::runtime)?;
            Ok(format!("{text}\n"))
        }
        Format::Ndjson => {
            Ok(format!("{}\n", serde_json::to_string(status).map_err(Failure::runtime)?))
        }
    }
}

fn tables(status: &Status) -> String {
    let mut text = String::new();
    let mut say = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    let state = match (status.live, status.ready) {
        (_, true) => "live and ready",
        (true, false) => "live, NOT READY",
        (false, false) => "NOT LIVE",
    };
    let Status { version, commit, uptime_s, orders_per_s, trades_per_s, .. } = status;
    say(format!("{state}; gridcross {version} ({commit}), up {}", duration(*uptime_s)));
    status.reasons.iter().for_each(|reason| say(format!("  {reason}")));
    say(format!("{orders_per_s} orders/s, {trades_per_s} trades/s"));
    say(match status.checkpoint {
        None => "ledger: nothing was signed since the start".to_owned(),
        Some(signed) => {
            format!("ledger: {} leaves, all signed {} ms ago", signed.leaves, signed.age_ms)
        }
    });
    let storage = status.storage;
    let free = storage.free_bytes.map_or_else(|| "unknown".to_owned(), mebibytes);
    let low = if storage.is_low { ", LOW" } else { "" };
    say(format!("disk: {free} free, {} kept{low}", mebibytes(storage.reserve_bytes)));
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "shard",
        "sequence",
        "durable",
        "waiting",
        "settlement behind",
        "snapshot behind",
        "orders",
        "trades",
        "books",
    ]);
    for shard in &status.shards {
        table.add_row([
            shard.shard.to_string(),
            shard.sequence.to_string(),
            shard.durable.to_string(),
            shard.waiting.to_string(),
            shard.settlement_behind.to_string(),
            shard.snapshot_behind.map_or_else(|| "-".to_owned(), |behind| behind.to_string()),
            shard.orders.to_string(),
            shard.trades.to_string(),
            shard.books.to_string(),
        ]);
    }
    say(table.to_string());
    text
}

/// `1d 02:03:04`.
fn duration(seconds: u64) -> String {
    let (minutes, second) = (seconds.div_euclid(60), seconds.rem_euclid(60));
    let (hours, minute) = (minutes.div_euclid(60), minutes.rem_euclid(60));
    let (days, hour) = (hours.div_euclid(24), hours.rem_euclid(24));
    let days = if days > 0 { format!("{days}d ") } else { String::new() };
    format!("{days}{hour:02}:{minute:02}:{second:02}")
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_euclid(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::operations::{ShardStatus, SignedStatus, StorageStatus};

    fn status() -> Status {
        Status {
            live: true,
            ready: false,
            reasons: vec!["storage is low".to_owned()],
            version: "0.1.0".to_owned(),
            commit: "abc".to_owned(),
            uptime_s: 93_784,
            orders_per_s: 12,
            trades_per_s: 3,
            storage: StorageStatus {
                free_bytes: Some(5 << 20),
                reserve_bytes: 6 << 20,
                is_low: true,
            },
            checkpoint: Some(SignedStatus { leaves: 9, age_ms: 250 }),
            shards: vec![ShardStatus {
                shard: 1,
                sequence: 10,
                durable: 9,
                waiting: 2,
                captured: 7,
                settlement_behind: 2,
                snapshot: None,
                snapshot_behind: None,
                orders: 4,
                trades: 1,
                books: 5,
            }],
        }
    }

    #[test]
    fn people_see_what_is_wrong_first() {
        let text = tables(&status());
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("live, NOT READY; gridcross 0.1.0 (abc), up 1d 02:03:04"));
        assert_eq!(lines.next(), Some("  storage is low"));
        assert!(text.contains("disk: 5 MiB free, 6 MiB kept, LOW"), "{text}");
    }

    #[test]
    fn an_exchange_that_lives_is_well_unless_it_must_be_ready() {
        assert!(judge(&status(), false).is_ok());
        assert!(judge(&status(), true).unwrap_err().message().contains("storage is low"));
        let dead = Status { live: false, ..status() };
        assert!(judge(&dead, false).is_err());
    }
}
