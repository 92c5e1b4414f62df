//! The configuration file: the only place where settings are read.

use std::{
    collections::BTreeSet,
    fs, io,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use gateway::{https::HttpsOptions, throttle::Limits};
use journal::SyncMethod;
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::{Deserialize, de::DeserializeOwned};
use settlement::{
    Policy,
    store::database::{Address, AddressError},
};
use types::{
    Code, CreditLimit, Currency, Energy, Lead, MarketControls, MarketDefinition, MarketError,
    MarketId, Price, PriceRule, Shards, shard::SHARDS_MAX,
};

use self::{auctions::AuctionTable, controls::ControlsTable};
use crate::{
    api::ApiOptions, core_loop::BatchBounds, journal_options, notices::WebhookOptions,
    pull::PullOptions, rails::RailOptions, schedule::ScheduledMarket,
};

mod api;
mod auctions;
mod controls;
mod gateway_limits;
mod market_file;
mod pull;
mod rails;
pub mod store;
#[cfg(test)]
mod tests;
mod webhooks;

pub use market_file::load_market;

/// Name of the file in a data directory.
pub const FILE_NAME: &str = "gridcross.toml";

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration `{}`; `gridcross init` makes one", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The file of a market cannot be read.
    #[error("cannot read the market `{}`", path.display())]
    ReadMarket {
        /// Which.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("`{}` {place}: {message}{hint}", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// `line 3, column 1`.
        place: String,
        /// What is wrong.
        message: String,
        /// A suggestion, or nothing.
        hint: String,
    },
    /// A value is out of range or does not fit others.
    #[error("`{}`: `{key}` {message}", path.display())]
    Value {
        /// Which.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong and what is possible.
        message: String,
    },
    /// Where the books are is no address. It is not repeated, for it may hold a password.
    #[error("`{place}`")]
    Store {
        /// Where it was said: the option, or the variable.
        place: &'static str,
        /// What is wrong.
        source: AddressError,
    },
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// How many engines share the slots.
    pub shards: Shards,
    /// Where the gateway listens.
    pub listen: SocketAddr,
    /// Threads that verify signatures.
    pub verifier_threads: usize,
    /// What every session may send.
    pub limits: Limits,
    /// Most connections from one address.
    pub connections_of_source: u32,
    /// Most signatures that may wait for one verifier.
    pub unverified_max: u32,
    /// Where order entry over HTTPS listens, if it does.
    pub https: Option<HttpsOptions>,
    /// Places in the ring between gateway and core loop.
    pub ring_commands: u32,
    /// When a turn of the core loop ends although more waits.
    pub batch: BatchBounds,
    /// Size of a journal segment.
    pub segment_bytes: u64,
    /// Commands between two snapshots; zero for none at all.
    pub snapshot_commands: u64,
    /// Segments of a journal that stay when nothing needs them any more; `None` for all.
    pub keep_segments: Option<NonZeroUsize>,
    /// Bytes that stay free on the journals' disks for what takes orders away; zero for none.
    pub reserve_bytes: u64,
    /// How the journal makes batches durable; `None` for what is fastest where it lies.
    pub sync: Option<SyncMethod>,
    /// Most slots that are open at once, of all markets.
    pub slots_open_max: u32,
    /// The markets.
    pub markets: Vec<ScheduledMarket>,
    /// Controls of the markets that state some.
    pub controls: Vec<MarketControls>,
    /// What platforms may owe, in the markets where that is stated.
    pub credit: Vec<CreditLimit>,
    /// The HTTP API, if it is served.
    pub api: Option<ApiOptions>,
    /// Where health and figures are, if anywhere.
    pub operations: Option<SocketAddr>,
    /// How contracts are settled.
    pub policy: Policy,
    /// The payment rail, if one is used.
    pub rails: Option<RailOptions>,
    /// First line of the ledger's checkpoints.
    pub ledger_origin: String,
    /// The server that keeps the books, if it is not a file of the data directory.
    pub store: Option<Address>,
    /// Minutes between verification cycles.
    pub verify_every_minutes: u32,
    /// Between two checkpoints of the ledger while it grows.
    pub checkpoint_every: Duration,
    /// Minutes between cycles of markets that have a rhythm of their own.
    pub verify_market_minutes: Vec<(MarketId, u32)>,
    /// How parties are asked for readings.
    pub pull: PullOptions,
    /// How parties are told what happens.
    pub webhooks: WebhookOptions,
}

impl Config {
    /// Books that readers of market data see at most, 2.7 KiB each: what is open, and half as much again,
    /// so that a place is found quickly and a horizon that was longer at the last start does not matter.
    #[must_use]
    pub fn books_shown(&self) -> u32 {
        self.books_shown_with(0)
    }

    /// As [`Config::books_shown`], where other markets have so many open slots besides.
    #[must_use]
    pub fn books_shown_with(&self, others: u32) -> u32 {
        let open = self.slots_open_max.saturating_add(others);
        open.saturating_add(open.div_ceil(2)).max(1_024)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    exchange: ExchangeTable,
    #[serde(default)]
    gateway: gateway_limits::GatewayTable,
    journal: JournalTable,
    markets: Vec<MarketTable>,
    #[serde(default)]
    credit: Vec<controls::CreditTable>,
    settlement: SettlementTable,
    #[serde(default)]
    pull: pull::PullTable,
    #[serde(default)]
    webhooks: webhooks::WebhooksTable,
    rails: Option<rails::RailsTable>,
    api: Option<api::ApiTable>,
    operations: Option<api::OperationsTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExchangeTable {
    #[serde(default = "default_shards")]
    shards: u8,
    listen: SocketAddr,
    verifier_threads: usize,
    ring_commands: u32,
    batch_commands: usize,
    #[serde(default = "default_batch_kib")]
    batch_kib: u32,
    #[serde(default = "default_batch_us")]
    batch_us: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JournalTable {
    segment_mib: u64,
    #[serde(default = "default_snapshot_commands")]
    snapshot_commands: u64,
    #[serde(default = "default_reserve_mib")]
    reserve_mib: u64,
    #[serde(default)]
    keep_segments: u32,
    sync: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MarketTable {
    number: u16,
    area: String,
    time_zone: String,
    currency: String,
    slot_minutes: u16,
    price_min: Decimal,
    price_max: Decimal,
    tick: Decimal,
    lot_wh: u64,
    quantity_max_wh: u64,
    opening_lead_minutes: u32,
    uncross_lead_minutes: u32,
    gate_lead_minutes: u32,
    price_rule: String,
    #[serde(default = "default_call_extension_minutes")]
    call_extension_minutes: u32,
    verify_every_minutes: Option<u32>,
    controls: Option<ControlsTable>,
    #[serde(default)]
    auctions: Vec<AuctionTable>,
}

/// One engine for all slots.
const fn default_shards() -> u8 {
    Shards::ONE.count()
}

/// More than 8,192 orders that trade take: 8,192 × 336 bytes = 2.6 MiB.
const fn default_batch_kib() -> u32 {
    4_096
}

/// As long as a slow sync takes.
const fn default_batch_us() -> u32 {
    5_000
}

/// About two seconds of re-execution.
const fn default_snapshot_commands() -> u64 {
    1_000_000
}

/// Four segments of the usual size.
const fn default_reserve_mib() -> u64 {
    256
}

/// Five minutes of a call after an interruption or an extension.
const fn default_call_extension_minutes() -> u32 {
    5
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SettlementTable {
    ledger_origin: String,
    verify_every_minutes: u32,
    #[serde(default = "checkpoint_ms")]
    checkpoint_ms: u32,
    store: Option<String>,
    policy: toml::Table,
}

/// Reads and checks a configuration file.
///
/// # Errors
/// Names the file, the place and the mend.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(path, &text)
}

/// Checks the text of a configuration file; `path` is for messages.
///
/// # Errors
/// Names the file, the place and the mend.
pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let file: File = tables(path, text)?;
    let value = |key: &str, message: String| ConfigError::Value {
        path: path.to_owned(),
        key: key.to_owned(),
        message,
    };
    let range = |key: &str, got, least, most| {
        within(got, least, most).map_err(|message| value(key, message))
    };
    let shards =
        shards(file.exchange.shards).map_err(|message| value("exchange.shards", message))?;
    let batch = batch(&file.exchange)
        .map_err(|(key, message)| value(&format!("exchange.{key}"), message))?;
    let sync = journal(&file.journal)
        .map_err(|(key, message)| value(&format!("journal.{key}"), message))?;
    let (limits, https) =
        file.gateway.check().map_err(|(key, message)| value(&format!("gateway.{key}"), message))?;
    let api = file.api.as_ref().map(api::ApiTable::check).transpose();
    let SettlementTable { verify_every_minutes, checkpoint_ms, .. } = file.settlement;
    range("settlement.verify_every_minutes", verify_every_minutes.into(), 1, 10_080)?;
    range("settlement.checkpoint_ms", checkpoint_ms.into(), 50, 3_600_000)?;
    let store = store::of(&file.settlement).map_err(|(key, text)| value(key, text))?;
    let mut markets = Vec::new();
    let mut controls = Vec::new();
    let mut verify_market_minutes = Vec::new();
    for (index, table) in file.markets.iter().enumerate() {
        let place = |(key, message): Refused| value(&format!("markets[{index}].{key}"), message);
        let market = market(table).map_err(place)?;
        let every = rhythm(table).map_err(place)?;
        verify_market_minutes.extend(every.map(|every| (market.definition.market, every)));
        if let Some(table) = &table.controls {
            controls.push(table.check(&market).map_err(place)?);
        }
        markets.push(market);
    }
    let slots_open_max = check_together(&markets).map_err(|message| value("markets", message))?;
    let credit = controls::credit(&file.credit, &markets)
        .map_err(|(index, key, message)| value(&format!("credit[{index}].{key}"), message))?;
    let policy = settled(&file.settlement, &markets).map_err(|(key, why)| value(&key, why))?;
    Ok(Config {
        shards,
        listen: file.exchange.listen,
        verifier_threads: file.exchange.verifier_threads,
        limits,
        connections_of_source: file.gateway.connections_of_source,
        unverified_max: file.gateway.unverified,
        https,
        ring_commands: file.exchange.ring_commands,
        batch,
        snapshot_commands: file.journal.snapshot_commands,
        segment_bytes: file.journal.segment_mib.saturating_mul(1 << 20),
        keep_segments: usize::try_from(file.journal.keep_segments).ok().and_then(NonZeroUsize::new),
        reserve_bytes: file.journal.reserve_mib.saturating_mul(1 << 20),
        sync,
        slots_open_max,
        markets,
        controls,
        credit,
        api: api.map_err(|(key, message)| value(&format!("api.{key}"), message))?,
        operations: file.operations.map(|table| table.listen),
        rails: rails::check(path, file.rails.as_ref(), &policy)?,
        policy,
        ledger_origin: file.settlement.ledger_origin,
        store,
        verify_every_minutes,
        checkpoint_every: Duration::from_millis(checkpoint_ms.into()),
        verify_market_minutes,
        pull: file.pull.check().map_err(|(key, text)| value(&format!("pull.{key}"), text))?,
        webhooks: file.webhooks.check().map_err(|(key, text)| value(key, text))?,
    })
}

/// The tables as they stand there, unchecked.
fn tables<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::Parse {
        path: path.to_owned(),
        place: place(text, error.span().map_or(0, |span| span.start)),
        hint: suggestion(error.message()),
        message: error.message().to_owned(),
    })
}

type Refused = (&'static str, String);

fn shards(got: u8) -> Result<Shards, String> {
    Shards::new(got).ok_or_else(|| format!("is {got}, possible are 1 to {SHARDS_MAX}"))
}

/// Four a second, while there is something to sign.
const fn checkpoint_ms() -> u32 {
    250
}

/// The rules of settlement, as their own reader takes them.
fn policy(table: &SettlementTable) -> Result<Policy, String> {
    let text = serde_json::to_string(&table.policy).map_err(|error| error.to_string())?;
    Policy::from_json(&text).map_err(|error| error.to_string())
}

/// Minutes between a market's own verification cycles, if it has any.
fn rhythm(table: &MarketTable) -> Result<Option<u32>, Refused> {
    let every = table.verify_every_minutes;
    within(every.unwrap_or(1).into(), 1, 10_080)
        .map_err(|message| ("verify_every_minutes", message))?;
    Ok(every)
}

fn within(got: u64, least: u64, most: u64) -> Result<(), String> {
    if (least..=most).contains(&got) {
        return Ok(());
    }
    Err(format!("is {got}, possible are {least} to {most}"))
}

/// Checks what the core loop is given, and says what one sync may cover.
fn batch(table: &ExchangeTable) -> Result<BatchBounds, Refused> {
    let commands = u64::try_from(table.batch_commands).unwrap_or(u64::MAX);
    within(commands, 1, 32_768).map_err(|message| ("batch_commands", message))?;
    let threads = u64::try_from(table.verifier_threads).unwrap_or(u64::MAX);
    within(threads, 1, 256).map_err(|message| ("verifier_threads", message))?;
    let ring = table.ring_commands.into();
    within(ring, 256, 1 << 22).map_err(|message| ("ring_commands", message))?;
    within(table.batch_kib.into(), 1, 32_768).map_err(|message| ("batch_kib", message))?;
    within(table.batch_us.into(), 1, 1_000_000).map_err(|message| ("batch_us", message))?;
    Ok(BatchBounds {
        commands_max: table.batch_commands,
        bytes_max: usize::try_from(table.batch_kib).unwrap_or(usize::MAX).saturating_mul(1_024),
        time_max: Duration::from_micros(table.batch_us.into()),
    })
}

/// How settlement settles these markets: all in its one currency.
fn settled(
    table: &SettlementTable,
    markets: &[ScheduledMarket],
) -> Result<Policy, (String, String)> {
    let policy = policy(table).map_err(|message| ("settlement.policy".to_owned(), message))?;
    for (index, market) in markets.iter().enumerate() {
        let (got, settled) = (market.definition.currency, policy.currency);
        if got != settled {
            let why = format!("is {}, and `settlement.policy` has {}", got.code(), settled.code());
            return Err((format!("markets[{index}].currency"), why));
        }
    }
    Ok(policy)
}

/// Checks what concerns the journal, and gives the way to make it durable.
fn journal(table: &JournalTable) -> Result<Option<SyncMethod>, Refused> {
    within(table.segment_mib, 64, 1_024).map_err(|message| ("segment_mib", message))?;
    within(table.reserve_mib, 0, 1 << 20).map_err(|message| ("reserve_mib", message))?;
    if table.keep_segments > 0 && table.snapshot_commands == 0 {
        let message = "needs snapshots; set `snapshot_commands`, or 0 to keep every segment";
        return Err(("keep_segments", message.to_owned()));
    }
    journal_options::sync_named(table.sync.as_deref()).map_err(|message| ("sync", message))
}

fn market(table: &MarketTable) -> Result<ScheduledMarket, Refused> {
    let definition = MarketDefinition {
        market: MarketId::new(table.number),
        area: Code::new(&table.area).map_err(|error| ("area", error.to_string()))?,
        time_zone: Code::new(&table.time_zone).map_err(|error| ("time_zone", error.to_string()))?,
        currency: Currency::from_iso(&table.currency)
            .map_err(|error| ("currency", error.to_string()))?,
        slot_minutes: table.slot_minutes,
        price_min: price("price_min", table.price_min)?,
        price_max: price("price_max", table.price_max)?,
        tick: price("tick", table.tick)?,
        lot: Energy::from_wh(table.lot_wh),
        quantity_max: Energy::from_wh(table.quantity_max_wh),
        opening_lead: Lead::from_minutes(table.opening_lead_minutes),
        gate_lead: Lead::from_minutes(table.gate_lead_minutes),
        price_rule: PriceRule::from_name(&table.price_rule).ok_or((
            "price_rule",
            format!("`{}` is not a rule; try `t7_clamp`", table.price_rule),
        ))?,
    };
    definition.check().map_err(|error| {
        let key = match error {
            MarketError::BadSlotMinutes(_) => "slot_minutes",
            MarketError::BadTick => "tick",
            MarketError::BadBand => "price_max",
            MarketError::BadLot => "lot_wh",
            MarketError::BadLeads => "opening_lead_minutes",
        };
        (key, error.to_string())
    })?;
    types::calendar::local_day("2026-06-24", &table.time_zone, table.slot_minutes)
        .map_err(|error| ("time_zone", error.to_string()))?;
    let uncross_lead = Lead::from_minutes(table.uncross_lead_minutes);
    if uncross_lead <= definition.gate_lead || uncross_lead >= definition.opening_lead {
        return Err((
            "uncross_lead_minutes",
            "must be longer than the gate lead and shorter than the opening lead".to_owned(),
        ));
    }
    let call_extension_minutes = table.call_extension_minutes;
    if !(1..=1_440).contains(&call_extension_minutes) {
        return Err((
            "call_extension_minutes",
            format!("is {call_extension_minutes}, possible are 1 to 1440"),
        ));
    }
    let cycles = auctions::cycles(&table.auctions, &definition)?;
    Ok(ScheduledMarket { definition, uncross_lead, call_extension_minutes, cycles })
}

/// What no market can say alone: there is one, numbers are unique, and all slots that are open at
/// once fit. Says how many these are.
fn check_together(markets: &[ScheduledMarket]) -> Result<u32, String> {
    if markets.is_empty() {
        return Err("has no entry, at least one `[[markets]]` is needed".to_owned());
    }
    let mut numbers = BTreeSet::new();
    let mut open = 0_u32;
    for ScheduledMarket { definition, .. } in markets {
        if !numbers.insert(definition.market) {
            return Err(format!("has number {} twice", definition.market));
        }
        open = open.saturating_add(definition.slots_open_max());
    }
    let most = engine::Limits::default().slots_max;
    if open > most {
        return Err(format!("would have {open} slots open at once, {most} are possible"));
    }
    Ok(open)
}

/// Currency per kWh, exact to a millionth.
fn price(key: &'static str, decimal: Decimal) -> Result<Price, Refused> {
    decimal
        .checked_mul(Decimal::from(1_000_000_u32))
        .filter(Decimal::is_integer)
        .and_then(|micros| micros.to_i64())
        .map(Price::from_micros)
        .ok_or((key, format!("is {decimal}, at most six decimals are possible")))
}

/// `line 3, column 1` of a byte offset.
fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().unwrap_or("").chars().count().saturating_add(1);
    format!("line {line}, column {column}")
}

/// For "unknown field `a`, expected `b` or `c`": the nearest expected name.
fn suggestion(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let Some(got) = names.next().filter(|_| message.starts_with("unknown field")) else {
        return String::new();
    };
    names
        .map(|name| (strsim::damerau_levenshtein(got, name), name))
        .min()
        .filter(|&(distance, _)| distance <= 3)
        .map_or_else(String::new, |(_, name)| format!("; did you mean `{name}`?"))
}
