//! `settlement`: a day of trades through capture, readings, verification and the signed ledger.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bench::{
    Failure,
    dice::Dice,
    latency::{Latencies, Percentiles},
    machine,
    market::{Market, RETAILERS, Setup},
    rate,
    report::{CommonOptions, Report},
};
use clap::Parser;
use serde::Serialize;
use settlement::{
    Interval, MeterFile, Pipeline, Quality, Reading, Settings,
    allocation::Metered,
    seal,
    store::database::{Address, Store},
};
use types::{
    ClientOrderId, Energy, Event, MeterId, Money, OrderId, Party, Price, Role, Seq, SlotKey,
    Timestamp, Trade, TradeId, TradeSide,
};
use wire::FeedItem;

/// Slots of the day.
const SLOTS: u32 = 96;

/// Settles a day of trades on `SQLite` on disk, stage by stage
///
/// Meters with odd numbers sell, the others buy. One meter in twenty delivers or takes 60 % of what
/// it contracted, the others 90 to 105 %. Every retailer signs one file of readings per slot.
#[derive(Debug, Parser, Serialize)]
struct Options {
    /// Trades of the day
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    trades: u32,
    /// Trades captured in one transaction
    #[arg(long, default_value_t = 8_192, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    batch: u32,
    /// Meters
    #[arg(long, default_value_t = 2_048, value_parser = clap::value_parser!(u32).range(8..=100_000))]
    meters: u32,
    /// Directory below which database and ledger are written [default: the system's for temporary
    /// files]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// An empty `PostgreSQL` database, postgres://…, in place of a file
    #[arg(long)]
    #[serde(skip)]
    store: Option<Address>,
    #[command(flatten)]
    #[serde(skip)]
    common: CommonOptions,
}

#[derive(Debug, Serialize)]
struct Figures {
    file_system: String,
    stages: Vec<StageFigures>,
    trades_per_s: u64,
    complete: u64,
    partial: u64,
    documents: u64,
    readings: u64,
    ledger_leaves: u64,
    books_are_clean: bool,
    proof_us: Percentiles,
    memory_peak_mib: u64,
    memory_before_mib: u64,
    database_mib: u64,
}

#[derive(Debug, Serialize)]
struct StageFigures {
    stage: &'static str,
    ms: f64,
    trades_per_s: u64,
}

/// The day, and what each meter has contracted.
struct Day {
    market: Market,
    dice: Dice,
    seq: Seq,
    trades: u64,
    /// By meter and slot, in Wh.
    contracted: Vec<u64>,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let report = Report::begin("settlement", &options.common);
    let dir = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::tempdir_in(&dir)?;
    let mut day = Day::new(&options)?;
    let settings = Settings {
        policy: day.market.config.policy.clone(),
        ledger_origin: "bench.example/ledger".to_owned(),
        ledger_key_seed: [7; 32],
    };
    let database = folder.path().join("settlement.db");
    let store = options.store.clone().map_or(Store::File(database.clone()), Store::Server);
    let mut pipeline = Pipeline::open(store, &folder.path().join("ledger"), settings)?;
    open_accounts(&mut day, &mut pipeline)?;
    let memory_before_mib = machine::memory_peak_kib() / 1_024;
    let capture = capture(&mut day, &mut pipeline, &options)?;
    let (documents, ingest) = ingest(&mut day, &mut pipeline)?;
    let now = day.market.slots.last().map_or_else(Timestamp::default, |key| key.slot.end());
    let began = Instant::now();
    let verified = pipeline.verify(now)?;
    let verify = began.elapsed();
    let began = Instant::now();
    let checkpoint = pipeline.checkpoint()?;
    let sign = began.elapsed();
    let memory_peak_mib = machine::memory_peak_kib() / 1_024;
    if verified.changed != u64::from(options.trades) {
        return Err("not every trade was settled".into());
    }
    let trades = u64::from(options.trades);
    let total = capture + ingest + verify + sign;
    let line = |stage, took| StageFigures {
        stage,
        ms: rate::milliseconds(took),
        trades_per_s: rate::per_second(trades, took),
    };
    let summary = pipeline.summary()?;
    let figures = Figures {
        file_system: machine::file_system_of(&dir),
        stages: vec![
            line("capture: contracts, holds, contract leaves", capture),
            line("readings: signed files", ingest),
            line("verify: allocate, decide, settle, post, outcome leaves", verify),
            line("checkpoint: tiles, tree, signature", sign),
            line("all", total),
        ],
        trades_per_s: rate::per_second(trades, total),
        complete: summary.complete,
        partial: summary.partial,
        documents,
        readings: u64::from(SLOTS) * u64::from(options.meters),
        ledger_leaves: checkpoint.size,
        books_are_clean: pipeline.audit()?.is_clean(),
        proof_us: proofs(&mut day.dice, &pipeline, checkpoint.size)?,
        memory_peak_mib,
        memory_before_mib,
        database_mib: size_of(&database) >> 20,
    };
    let text = report.finish(&options, &figures, &checkpoint.root.to_string())?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

impl Day {
    fn new(options: &Options) -> Result<Self, Failure> {
        let setup = Setup::new(SLOTS, options.meters);
        let market = Market::new(setup, options.common.seed)?;
        let cells = usize::try_from(u64::from(SLOTS) * u64::from(options.meters + 1))?;
        Ok(Self {
            market,
            dice: Dice::new(options.common.seed),
            seq: Seq::ZERO,
            trades: 0,
            contracted: vec![0; cells],
        })
    }

    fn item(&mut self, event: Event) -> FeedItem {
        self.seq = self.seq.next();
        let ns = i64::try_from(self.seq.get()).unwrap_or(i64::MAX);
        FeedItem { seq: self.seq, time: self.market.opened_at.plus_ns(ns), index: 0, event }
    }

    fn trade(&mut self) -> Result<FeedItem, Failure> {
        let half = self.market.setup.meters / 2;
        let seller = MeterId::new(self.dice.below(half) * 2 + 1);
        let buyer = MeterId::new(self.dice.below(half) * 2 + 2);
        let slot = self.dice.below(SLOTS);
        let key = *self.market.slots.get(usize::try_from(slot)?).ok_or("no such slot")?;
        let quantity = u64::from(1 + self.dice.below(100)) * 10;
        for meter in [seller, buyer] {
            *self.contracted(meter, slot)? += quantity;
        }
        self.trades += 1;
        let number = self.trades;
        let side = |meter, order| TradeSide {
            order: OrderId::new(order),
            client_order: ClientOrderId::new(order),
            meter,
            platform: self.market.platform_of(meter),
            leaves: Energy::ZERO,
        };
        let trade = Trade {
            trade: TradeId::new(number),
            key,
            price: Price::from_micros(0),
            quantity: Energy::from_wh(quantity),
            buy: side(buyer, number * 2),
            sell: side(seller, number * 2 + 1),
            maker: None,
        };
        let price = Price::from_micros(i64::from(100 + self.dice.below(200)) * 1_000);
        Ok(self.item(Event::Trade(Trade { price, ..trade })))
    }

    fn contracted(&mut self, meter: MeterId, slot: u32) -> Result<&mut u64, Failure> {
        let at = u64::from(meter.get()) * u64::from(SLOTS) + u64::from(slot);
        let cell = self.contracted.get_mut(usize::try_from(at)?);
        Ok(cell.ok_or("no such meter")?)
    }

    /// A retailer's signed readings of one slot.
    fn file(&mut self, retailer: u16, number: u32, key: SlotKey) -> Result<Vec<u8>, Failure> {
        let mut readings = Vec::new();
        for meter in (1..=self.market.setup.meters).map(MeterId::new) {
            if self.market.retailer_of(meter).get() != retailer {
                continue;
            }
            let contracted = *self.contracted(meter, number)?;
            let percent = if self.dice.below(20) == 0 { 60 } else { 90 + self.dice.below(16) };
            let moved = Energy::from_wh(contracted * u64::from(percent) / 100);
            let metered = if meter.get() % 2 == 1 {
                Metered { injected: moved, withdrawn: Energy::ZERO }
            } else {
                Metered { injected: Energy::ZERO, withdrawn: moved }
            };
            readings.push(Reading { meter, metered, quality: Quality::Measured });
        }
        let file = MeterFile {
            market: key.market,
            revision: 1,
            minutes: key.slot.minutes(),
            intervals: vec![Interval { start: key.slot.start(), readings }],
        };
        let party = Party { role: Role::Retailer, number: retailer };
        Ok(seal(party, &self.market.party_key(party), &file.to_body()))
    }
}

/// Everyone registers, and every meter deposits more than it can spend.
fn open_accounts(day: &mut Day, pipeline: &mut Pipeline) -> Result<(), Failure> {
    let parties = day.market.registry.parties.clone();
    let meters = day.market.registry.meters.clone();
    let deposits: Vec<_> = meters
        .iter()
        .map(|line| (line.meter.get().into(), line.meter, Money::from_minor(1_000_000_000)))
        .collect();
    let mut items = vec![day.item(Event::MarketDefined(day.market.definition))];
    items.extend(parties.into_iter().map(|line| day.item(Event::PartyRegistered(line))));
    items.extend(meters.into_iter().map(|line| day.item(Event::MeterRegistered(line))));
    pipeline.capture(day.seq, &items)?;
    pipeline.deposits(&deposits)?;
    Ok(())
}

/// Only capturing is timed, not making the trades up.
fn capture(day: &mut Day, pipeline: &mut Pipeline, options: &Options) -> Result<Duration, Failure> {
    let mut took = Duration::ZERO;
    let mut left = options.trades;
    while left > 0 {
        let count = left.min(options.batch);
        left -= count;
        let items = (0..count).map(|_| day.trade()).collect::<Result<Vec<_>, _>>()?;
        let began = Instant::now();
        pipeline.capture(day.seq, &items)?;
        took += began.elapsed();
    }
    Ok(took)
}

/// Only taking the files is timed, not writing and signing them.
fn ingest(day: &mut Day, pipeline: &mut Pipeline) -> Result<(u64, Duration), Failure> {
    let mut took = Duration::ZERO;
    let mut documents = 0;
    for (number, key) in (0..).zip(day.market.slots.clone()) {
        for retailer in 1..=RETAILERS {
            let document = day.file(retailer, number, key)?;
            let began = Instant::now();
            let receipt = pipeline.ingest(key.slot.end(), &document)?;
            took += began.elapsed();
            receipt.result.map_err(|reason| format!("a file was refused: {reason:?}"))?;
            documents += 1;
        }
    }
    Ok((documents, took))
}

/// Proofs of random leaves under the checkpoint.
fn proofs(dice: &mut Dice, pipeline: &Pipeline, size: u64) -> Result<Percentiles, Failure> {
    let mut latencies = Latencies::new()?;
    for _ in 0..1_000 {
        let index = dice.roll() % size.max(1);
        let began = Instant::now();
        pipeline.inclusion_proof(index)?;
        latencies.record(began.elapsed());
    }
    Ok(latencies.percentiles())
}

fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |data| data.len())
}
