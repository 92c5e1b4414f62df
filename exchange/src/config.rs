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
use settlement::{Policy, store::database::Address};
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
    let store = store(&file.settlement).map_err(|message| value("settlement.store", message))?;
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
    let policy = policy(&file.settlement).map_err(|message| value("settlement.policy", message))?;
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

/// Where books are kept on a server, if they are.
fn store(table: &SettlementTable) -> Result<Option<Address>, String> {
    let address = table.store.as_deref().map(str::parse::<Address>);
    address.transpose().map_err(|error| error.to_string())
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

#[cfg(test)]
mod tests {
    use types::{Allocation, Money, PlatformId, SelfTradeAction, SelfTradeScope};

    use super::*;
    use crate::init;

    /// The template with a part replaced.
    fn with(from: &str, to: &str) -> Result<Config, ConfigError> {
        let text = init::CONFIG_TEMPLATE.replace(from, to);
        assert_ne!(text, init::CONFIG_TEMPLATE, "`{from}` is in the template");
        parse(Path::new("g.toml"), &text)
    }

    fn refused(from: &str, to: &str) -> String {
        with(from, to).unwrap_err().to_string()
    }

    #[test]
    fn the_template_is_a_configuration() {
        let config = parse(Path::new("g.toml"), init::CONFIG_TEMPLATE).unwrap();
        assert_eq!(config.markets[0].definition.levels(), 401);
        assert_eq!(config.shards, Shards::ONE);
        assert_eq!(config.reserve_bytes, 256 << 20);
        assert_eq!(config.keep_segments, None);
        assert_eq!(config.checkpoint_every, Duration::from_millis(250));
        let some = with("# keep_segments = 0", "keep_segments = 4").unwrap();
        assert_eq!(some.keep_segments, NonZeroUsize::new(4));
        assert_eq!(with("# reserve_mib = 256", "reserve_mib = 0").unwrap().reserve_bytes, 0);
        assert_eq!(with("# shards = 1", "shards = 16").unwrap().shards, Shards::new(16).unwrap());
    }

    #[test]
    fn refusals_say_where_and_how_to_mend() {
        let unknown = refused("segment_mib", "segmnt_mib");
        assert!(
            unknown.contains("line ") && unknown.contains("did you mean `segment_mib`?"),
            "{unknown}"
        );
        assert!(refused("tick = \"0.001\"", "tick = \"0.0000001\"").contains("markets[0].tick"));
        assert!(refused("segment_mib = 64", "segment_mib = 1").contains("64 to 1024"));
        assert!(refused("# checkpoint_ms = 250", "checkpoint_ms = 49").contains("50 to 3600000"));
        assert!(refused("# reserve_mib = 256", "reserve_mib = 1048577").contains("0 to 1048576"));
        let lines = "snapshot_commands = 0\nkeep_segments = 4";
        assert!(refused("# keep_segments = 0", lines).contains("needs snapshots"));
        for count in ["0", "17", "300"] {
            let shards = refused("# shards = 1", &format!("shards = {count}"));
            assert!(shards.contains("shards") || shards.contains("u8"), "{shards}");
        }
        assert!(refused("Europe/Berlin", "Europe/Bärlin").contains("time_zone"));
        assert!(refused("Europe/Berlin", "Europe/Berlyn").contains("unknown"));
    }

    #[test]
    fn https_is_off_unless_it_has_an_address() {
        let with_https = |lines: &str| {
            with("\n[journal]\n", &format!("\n[gateway.https]\n{lines}\n\n[journal]\n"))
        };
        assert!(parse(Path::new("g.toml"), init::CONFIG_TEMPLATE).unwrap().https.is_none());
        let https = with_https("address = \"127.0.0.1:0\"").unwrap().https.unwrap();
        assert_eq!((https.listen.port(), https.request_max), (0, Duration::from_secs(120)));
        for (lines, mend) in [
            ("request_s = 1", "address"),
            ("address = \"everywhere\"", "socket address"),
            ("address = \"127.0.0.1:0\"\nrequest_s = 0", "gateway.https.request_s` is 0"),
            ("address = \"127.0.0.1:0\"\nrequests_s = 1", "did you mean `request_s`?"),
        ] {
            let refused = with_https(lines).unwrap_err().to_string();
            assert!(refused.contains(mend), "{lines}: {refused}");
        }
    }

    #[test]
    fn quarter_hours_of_sixty_days_can_be_open() {
        let lead = |minutes: u32| {
            with("opening_lead_minutes = 60 ", &format!("opening_lead_minutes = {minutes} "))
        };
        let config = lead(86_400).unwrap();
        assert_eq!((config.slots_open_max, config.books_shown()), (5_760, 8_640));
        let config = parse(Path::new("g.toml"), init::CONFIG_TEMPLATE).unwrap();
        assert_eq!((config.slots_open_max, config.books_shown()), (4, 1_024));
        let refused = lead(122_895).unwrap_err().to_string();
        assert!(refused.contains("8193 slots open at once, 8192 are possible"), "{refused}");
    }

    #[test]
    fn the_api_is_off_unless_it_has_an_address() {
        let with_tables = |lines: &str| {
            parse(Path::new("g.toml"), &format!("{}\n{lines}\n", init::CONFIG_TEMPLATE))
        };
        let without = with_tables("").unwrap();
        assert!(without.api.is_none() && without.operations.is_none());
        let listen = "listen = \"127.0.0.1:0\"";
        let both = with_tables(&format!("[api]\n{listen}\n[operations]\n{listen}")).unwrap();
        let api = both.api.unwrap();
        assert_eq!((api.threads, api.connections, api.requests.per_s), (1, 256, 2_000));
        assert_eq!((api.body_bytes, api.depth), (65_536, 8));
        assert!(both.operations.is_some());
        for (lines, mend) in [
            ("threads = 1", "listen"),
            ("listen = \"127.0.0.1:0\"\nthreads = 0", "api.threads` is 0, possible are 1 to 16"),
            ("listen = \"127.0.0.1:0\"\nconnections = 5000", "api.connections"),
            ("listen = \"127.0.0.1:0\"\nrequests_burst = 0", "api.requests_burst"),
            ("listen = \"127.0.0.1:0\"\nbody_kib = 1025", "1 to 1024"),
            ("listen = \"127.0.0.1:0\"\ndepth = 3", "4 to 64"),
            ("listen = \"127.0.0.1:0\"\nbodykib = 1", "did you mean `body_kib`?"),
        ] {
            let refused = with_tables(&format!("[api]\n{lines}")).unwrap_err().to_string();
            assert!(refused.contains(mend), "{lines}: {refused}");
        }
    }

    #[test]
    fn pulling_is_bounded() {
        let at_first = parse(Path::new("g.toml"), init::CONFIG_TEMPLATE).unwrap().pull;
        assert_eq!(at_first, crate::pull::plan::tests::OPTIONS, "as in the template's comments");
        let with_pull =
            |lines: &str| with("\n[settlement]\n", &format!("\n[pull]\n{lines}\n[settlement]\n"));
        assert_eq!(with_pull("retries = 0\nround_ms = 10000").unwrap().pull.retries, 0);
        for (lines, mend) in [
            ("parallel = 0", "pull.parallel` is 0, possible are 1 to 64"),
            ("page_readings = 10001", "1 to 10000"),
            ("request_ms = 99", "100 to 600000"),
            ("request_ms = 5000\nround_ms = 4999", "pull.round_ms` is 4999, possible are 5000 to"),
            ("answer_mib = 65", "1 to 64"),
            ("rest_after = 0", "1 to 100"),
            ("retry = 1", "did you mean `retries`?"),
        ] {
            let refused = with_pull(lines).unwrap_err().to_string();
            assert!(refused.contains(mend), "{lines}: {refused}");
        }
    }

    /// The template with a payment rail, and something replaced in its table.
    fn with_rails(from: &str, to: &str) -> Result<Config, ConfigError> {
        let lines = "\n[settlement.policy.rail]\n\n[rails]\nurl = \"http://127.0.0.1:9400\"\n\
                     listen = \"127.0.0.1:0\"\nsecret_file = \"keys/rail.secret\"\n";
        let text = init::CONFIG_TEMPLATE.to_owned() + &lines.replace(from, to);
        parse(Path::new("g.toml"), &text)
    }

    #[test]
    fn a_payment_rail_has_a_rule_and_an_address_or_neither() {
        assert!(parse(Path::new("g.toml"), init::CONFIG_TEMPLATE).unwrap().rails.is_none());
        let rails = with_rails("", "").unwrap().rails.unwrap();
        assert_eq!((rails.window_s, rails.in_flight, rails.pace.retry_min_s), (300, 8, 5));
        assert_eq!(rails.deadline, Duration::from_secs(5));
        for (from, to, mend) in [
            ("[settlement.policy.rail]\n", "", "settlement.policy"),
            ("[rails]\nurl", "[rails]\nunknown = 1\nurl", "unknown field"),
            ("http://127", "http://10", "rails.url"),
            ("listen", "window_s = 9\nlisten", "rails.window_s` is 9, possible are 10 to 86400"),
            ("listen", "in_flight = 65\nlisten", "rails.in_flight"),
            ("listen", "deadline_ms = 1\nlisten", "rails.deadline_ms"),
            ("listen", "retry_min_s = 9\nretry_max_s = 8\nlisten", "rails.retry_max_s"),
            ("listen", "event_key = \"AAAA\"\nlisten", "rails.event_key"),
        ] {
            let refused = with_rails(from, to).unwrap_err().to_string();
            assert!(refused.contains(mend), "{to}: {refused}");
        }
        let text = init::CONFIG_TEMPLATE.to_owned() + "\n[settlement.policy.rail]\n";
        let refused = parse(Path::new("g.toml"), &text).unwrap_err().to_string();
        assert!(refused.contains("`rails`"), "{refused}");
    }

    /// The template with controls of its market and whatever else follows.
    fn with_controls(lines: &str) -> Result<Config, ConfigError> {
        with("\n[settlement]\n", &format!("\n[markets.controls]\n{lines}\n\n[settlement]\n"))
    }

    #[test]
    fn controls_and_credit_are_optional() {
        let config = parse(Path::new("g.toml"), init::CONFIG_TEMPLATE).unwrap();
        assert_eq!(config.controls, []);
        assert_eq!(config.credit, []);
        assert_eq!(config.markets[0].call_extension_minutes, 5);
        let market = MarketId::new(1);
        let standard = with_controls("").unwrap().controls;
        assert_eq!(standard, [MarketControls::standard(market)], "what is not stated is standard");
        let all = "self_trade_scope = \"owner\"\nself_trade = \"decrement\"\n\
                   allocation = \"pro_rata\"\nquantity_min_wh = 50\nvalue_max = \"12.50\"\n\
                   collar = \"0.05\"\ndynamic_band = \"0.02\"\nexecutions_max = 40\n\
                   freeze_min_s = 5\nfreeze_max_s = 30\n\
                   [[credit]]\nplatform = 2\nmarket = 1\nlimit = \"250\"";
        let config = with_controls(all).unwrap();
        let stated = MarketControls {
            market,
            self_trade_scope: SelfTradeScope::Owner,
            self_trade: SelfTradeAction::Decrement,
            allocation: Allocation::ProRata,
            quantity_min: Energy::from_wh(50),
            value_max: Money::from_minor(1_250),
            collar: Price::from_micros(50_000),
            dynamic_band: Price::from_micros(20_000),
            executions_max: 40,
            freeze_min_s: 5,
            freeze_max_s: 30,
        };
        assert_eq!(config.controls, [stated]);
        let limit = Money::from_minor(25_000);
        assert_eq!(config.credit, [CreditLimit { platform: PlatformId::new(2), market, limit }]);
    }

    #[test]
    fn the_template_shows_every_control_as_it_is_at_first() {
        let uncommented = |line: &str| match line.strip_prefix("# ") {
            Some(rest) if rest.starts_with('[') || rest.contains(" = ") => format!("{rest}\n"),
            Some(_) | None => format!("{line}\n"),
        };
        let text: String = init::CONFIG_TEMPLATE.lines().map(uncommented).collect();
        for key in
            ["shards = 1", "call_extension_minutes = 5", "\nfreeze_max_s = 0", "\n[[credit]]"]
        {
            assert!(text.contains(key), "{key}");
        }
        let config = parse(Path::new("g.toml"), &text).unwrap();
        assert_eq!(config.controls, [MarketControls::standard(MarketId::new(1))]);
        assert_eq!(config.credit.len(), 1);
        assert_eq!(config.markets[0].call_extension_minutes, 5);
        assert_eq!(config.pull, crate::pull::plan::tests::OPTIONS);
        assert!(text.contains("\nanswer_mib = 16"), "{text}");
    }

    #[test]
    fn controls_that_cannot_be_are_refused() {
        for (lines, place, mend) in [
            ("colar = \"0.05\"", "line ", "did you mean `collar`?"),
            ("self_trade = \"stop\"", "controls.self_trade`", "`cancel_taker`"),
            ("self_trade_scope = \"street\"", "controls.self_trade_scope`", "`owner`"),
            ("allocation = \"size\"", "controls.allocation`", "`pro_rata`"),
            ("quantity_min_wh = 100001", "controls.quantity_min_wh`", "0 to 100000"),
            ("value_max = \"1.005\"", "controls.value_max`", "2 decimals"),
            ("value_max = \"-1\"", "controls.value_max`", "not below zero"),
            ("collar = \"-0.01\"", "controls.collar`", "not below zero"),
            ("dynamic_band = \"0.0000001\"", "controls.dynamic_band`", "six decimals"),
            ("freeze_min_s = 9", "controls.freeze_min_s`", "`freeze_max_s`"),
            ("freeze_max_s = 900", "controls.freeze_max_s`", "0 to 898"),
            ("[[credit]]\nplatform = 2\nmarket = 7\nlimit = \"1\"", "credit[0].market", "1"),
            (
                "[[credit]]\nplatform = 2\nmarket = 1\nlimit = \"0.001\"",
                "credit[0].limit",
                "2 decimals",
            ),
            (
                "[[credit]]\nplatform = 2\nmarket = 1\nlimit = \"1\"\n\
                 [[credit]]\nplatform = 2\nmarket = 1\nlimit = \"2\"",
                "credit[1].platform",
                "twice",
            ),
        ] {
            let refused = with_controls(lines).unwrap_err().to_string();
            assert!(refused.contains(place) && refused.contains(mend), "{lines}: {refused}");
        }
        let extension = refused("price_rule = ", "call_extension_minutes = 0\nprice_rule = ");
        assert!(extension.contains("call_extension_minutes` is 0, possible are 1 to 1440"));
    }
}
