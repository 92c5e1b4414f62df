//! `energy`: meter files into readings, and what utilities ask and say, on a database on disk.

use std::{fmt::Write as _, io::Write as _, path::PathBuf};

use bench::{
    Failure, machine,
    market::{Market, Setup},
    rate,
    report::{CommonOptions, Report},
    stopwatch::{Stopwatch, Took},
};
use clap::Parser;
use serde::Serialize;
use settlement::{
    CurtailmentReason, FileHead, MeterCode, MeterCodes, MeterPoint, MeterPoints, Pipeline,
    PlaceName, ScheduleFilter, Settings, ZoneCurtailment, metering::formats::Format, seal,
    seal_file,
};
use types::{
    ClientOrderId, Energy, Event, MeterId, Money, OrderId, Party, Price, Role, Seq, Side,
    Timestamp, Trade, TradeId, TradeSide, UtilityId,
};
use wire::FeedItem;

/// Slots of the day.
const SLOTS: u32 = 96;

/// The first slot: 24 June 2026 at midnight of the files' clock, which is ten hours ahead of UTC.
const FIRST_MINUTE: u32 = 29_703_720;

/// When the files arrive: a day after the last slot.
const RECEIVED: Timestamp = Timestamp::from_minutes(FIRST_MINUTE + 2 * 1_440);

/// Takes signed NEM12 files, curtails a zone, asks for its schedule and verifies its contracts
#[derive(Debug, Parser, Serialize)]
struct Options {
    /// Meters with files and contracts
    #[arg(long, default_value_t = 10_500, value_parser = clap::value_parser!(u32).range(8..=50_000))]
    meters: u32,
    /// Contracts, not less than meters: each meter sells one in the slot that is curtailed
    #[arg(long, default_value_t = 1_000_000)]
    contracts: u32,
    /// Readings in all files together
    #[arg(long, default_value_t = 1_000_000)]
    readings: u32,
    /// Meters of one file
    #[arg(long, default_value_t = 400)]
    meters_per_file: u32,
    /// Directory below which the database is written [default: the system's for temporary files]
    #[arg(long)]
    dir: Option<PathBuf>,
    #[command(flatten)]
    #[serde(skip)]
    common: CommonOptions,
}

#[derive(Debug, Serialize)]
struct Figures {
    file_system: String,
    files: u64,
    file_bytes: u64,
    readings: u64,
    ingest_ms: f64,
    ingest_cpu_ms: f64,
    readings_per_s: u64,
    memory_before_mib: u64,
    memory_peak_mib: u64,
    curtailed_meters: u32,
    curtail_ms: f64,
    curtail_cpu_ms: f64,
    schedule_lines: u64,
    schedule_ms: f64,
    schedule_cpu_ms: f64,
    /// Of the contracts, those whose delivery was decided: shares, outcome, amounts, transfers, leaves.
    verified: u64,
    verify_ms: f64,
    verify_cpu_ms: f64,
}

/// The feed, and who signs.
struct Scene {
    market: Market,
    seq: Seq,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    if options.contracts < options.meters {
        return Err("there are fewer contracts than meters".into());
    }
    let report = Report::begin("energy", &options.common);
    let dir = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::tempdir_in(&dir)?;
    let market =
        Market::from_minute(Setup::new(SLOTS, options.meters), options.common.seed, FIRST_MINUTE)?;
    let settings = Settings {
        policy: market.config.policy.clone(),
        ledger_origin: "bench.example/ledger".to_owned(),
        ledger_key_seed: [7; 32],
    };
    let mut scene = Scene { market, seq: Seq::ZERO };
    let mut pipeline =
        Pipeline::open(&folder.path().join("energy.db"), &folder.path().join("ledger"), settings)?;
    scene.register(&mut pipeline)?;
    let zone = PlaceName::new("NORTH")?;
    scene.trade(&mut pipeline, zone, options.contracts)?;
    let curtail = scene.curtail(&mut pipeline, zone)?;
    let first = scene.market.slots.first().ok_or("no slots")?.slot;
    let filter = ScheduleFilter {
        utility: UtilityId::new(1),
        zone: Some(zone),
        feeder: None,
        from: first.start(),
        to: first.start().plus_ns(86_400_000_000_000),
        after: 0,
    };
    let watch = Stopwatch::start();
    let schedule_lines = u64::try_from(pipeline.schedule(&filter)?.lines.len())?;
    let schedule = watch.took();
    let memory_before_mib = machine::memory_peak_kib() / 1_024;
    let (files, file_bytes, readings, ingest) = scene.ingest(&mut pipeline, &options)?;
    let watch = Stopwatch::start();
    let verified = pipeline.verify(RECEIVED)?.changed;
    let verify = watch.took();
    if verified != u64::from(options.contracts) {
        return Err(format!("{verified} contracts were verified").into());
    }
    let figures = Figures {
        file_system: machine::file_system_of(&dir),
        files,
        file_bytes,
        readings,
        ingest_ms: rate::milliseconds(ingest.wall),
        ingest_cpu_ms: rate::milliseconds(ingest.cpu),
        readings_per_s: rate::per_second(readings, ingest.wall),
        memory_before_mib,
        memory_peak_mib: machine::memory_peak_kib() / 1_024,
        curtailed_meters: options.meters,
        curtail_ms: rate::milliseconds(curtail.wall),
        curtail_cpu_ms: rate::milliseconds(curtail.cpu),
        schedule_lines,
        schedule_ms: rate::milliseconds(schedule.wall),
        schedule_cpu_ms: rate::milliseconds(schedule.cpu),
        verified,
        verify_ms: rate::milliseconds(verify.wall),
        verify_cpu_ms: rate::milliseconds(verify.cpu),
    };
    let text = report.finish(&options, &figures, &pipeline.ledger_head().1.to_string())?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

impl Scene {
    fn item(&mut self, event: Event) -> FeedItem {
        self.seq = self.seq.next();
        FeedItem { seq: self.seq, time: self.market.opened_at, index: 0, event }
    }

    fn register(&mut self, pipeline: &mut Pipeline) -> Result<(), Failure> {
        let parties = self.market.registry.parties.clone();
        // Everybody at one retailer and one utility, and wide enough for any reading.
        let meters = self.market.registry.meters.clone().into_iter().map(|line| {
            let (retailer, utility) = (types::RetailerId::new(1), UtilityId::new(1));
            types::MeterRegistration { retailer, utility, ..line }
        });
        let mut items = vec![self.item(Event::MarketDefined(self.market.definition))];
        items.extend(parties.into_iter().map(|line| self.item(Event::PartyRegistered(line))));
        for line in meters.collect::<Vec<_>>() {
            items.push(self.item(Event::MeterRegistered(line)));
        }
        pipeline.capture(self.seq, &items)?;
        let deposits: Vec<_> = (1..=self.market.setup.meters)
            .map(|meter| (meter.into(), MeterId::new(meter), Money::from_minor(1_000_000_000)))
            .collect();
        pipeline.deposits(&deposits)?;
        let code = |meter: u32| -> Result<_, Failure> {
            Ok((MeterId::new(meter), MeterCode::new(&format!("N{meter}"))?))
        };
        let codes = (1..=self.market.setup.meters).map(code).collect::<Result<_, _>>()?;
        let document = self.sealed(Role::Retailer, &MeterCodes { codes }.to_body());
        let receipt = pipeline.ingest(Timestamp::default(), &document)?;
        receipt.result.map_err(|reason| format!("refused: {reason:?}"))?;
        Ok(())
    }

    fn sealed(&self, role: Role, body: &[u8]) -> Vec<u8> {
        let party = Party { role, number: 1 };
        seal(party, &self.market.party_key(party), body)
    }

    /// In the first slot each meter sells to the next one, then in turns of the slots each odd one to the even
    /// one after it; all hang in one zone.
    fn trade(
        &mut self,
        pipeline: &mut Pipeline,
        zone: PlaceName,
        contracts: u32,
    ) -> Result<(), Failure> {
        let meters = self.market.setup.meters;
        let first = self.market.slots.first().ok_or("no slots")?.slot;
        let mut points = Vec::new();
        for meter in 1..=meters {
            let feeder = PlaceName::new(&format!("F{}", meter % 10))?;
            let point = MeterPoint {
                from_minute: first.start_minute(),
                zone: Some(zone),
                feeder: Some(feeder),
                served_by: None,
            };
            points.push((MeterId::new(meter), point));
        }
        let body = MeterPoints { revision: 1, points }.to_body();
        let document = self.sealed(Role::Utility, &body);
        let receipt = pipeline.ingest(Timestamp::default(), &document)?;
        receipt.result.map_err(|reason| format!("refused: {reason:?}"))?;
        let mut items = Vec::with_capacity(8_192);
        for number in 0..contracts {
            let (seller, slot, wh) = match number.checked_sub(meters) {
                // Each odd meter sells more than it buys, each even one less: nothing cancels out.
                None => (number + 1, 0, if number % 2 == 0 { 1_000 } else { 400 }),
                Some(later) => (later % (meters / 2) * 2 + 1, later / (meters / 2) % SLOTS, 100),
            };
            let buyer = seller % meters + 1;
            let key = *self.market.slots.get(usize::try_from(slot)?).ok_or("no such slot")?;
            let side = |meter: u32| TradeSide {
                order: OrderId::new(number.into()),
                client_order: ClientOrderId::new(number.into()),
                meter: MeterId::new(meter),
                platform: self.market.platform_of(MeterId::new(meter)),
                leaves: Energy::ZERO,
            };
            let trade = Trade {
                trade: TradeId::new(u64::from(number) + 1),
                key,
                price: Price::from_micros(200_000),
                quantity: Energy::from_wh(wh),
                buy: side(buyer),
                sell: side(seller),
                maker: None,
            };
            items.push(self.item(Event::Trade(trade)));
            if items.len() == 8_192 || number + 1 == contracts {
                pipeline.capture(self.seq, &items)?;
                items.clear();
            }
        }
        Ok(())
    }

    /// Half of what the zone sells in the first slot.
    fn curtail(&self, pipeline: &mut Pipeline, zone: PlaceName) -> Result<Took, Failure> {
        let meters = self.market.setup.meters;
        let slot = self.market.slots.first().ok_or("no slots")?.slot;
        let body = ZoneCurtailment {
            zone,
            feeder: None,
            side: Side::Sell,
            slot,
            cap: Energy::from_wh(u64::from(meters) * 500),
            reason: CurtailmentReason::Outage,
            revision: 1,
        }
        .to_body();
        let document = self.sealed(Role::Utility, &body);
        let watch = Stopwatch::start();
        let receipt = pipeline.ingest(Timestamp::default(), &document)?;
        let took = watch.took();
        receipt.result.map_err(|reason| format!("refused: {reason:?}"))?;
        Ok(took)
    }

    /// Only taking the files is timed, not writing and signing them.
    fn ingest(
        &self,
        pipeline: &mut Pipeline,
        options: &Options,
    ) -> Result<(u64, u64, u64, Took), Failure> {
        let party = Party { role: Role::Retailer, number: 1 };
        let key = self.market.party_key(party);
        let mut took = Took::default();
        let (mut files, mut bytes, mut readings) = (0, 0, 0);
        let mut meter = 1;
        while readings < u64::from(options.readings) {
            let last = (meter + options.meters_per_file - 1).min(options.meters);
            let text = Self::file(meter..=last)?;
            meter = if last >= options.meters { 1 } else { last + 1 };
            let head = FileHead { format: Format::Nem12, revision: 1 };
            let document = seal_file(party, &key, head, text.as_bytes());
            let watch = Stopwatch::start();
            let receipt = pipeline.ingest(RECEIVED, &document)?;
            took += watch.took();
            receipt.result.map_err(|reason| format!("refused: {reason:?}"))?;
            files += 1;
            bytes += u64::try_from(document.len())?;
            readings += u64::from(receipt.accepted);
            if meter == 1 && readings < u64::from(options.readings) {
                return Err("more readings than one day of all meters has".into());
            }
        }
        Ok((files, bytes, readings, took))
    }

    /// A day of quarter hours of both registers of some meters: odd ones inject more than they withdraw.
    fn file(meters: std::ops::RangeInclusive<u32>) -> Result<String, Failure> {
        let mut text = String::from("100,NEM12,202604010000,MDP,RET\n");
        for meter in meters {
            for (channel, own) in [("E1", 0), ("B1", 1)] {
                let base = if meter % 2 == own { 500 } else { 0 };
                writeln!(text, "200,N{meter},E1B1,1,{channel},N1,SER,kWh,15,")?;
                text.push_str("300,20260624");
                for quarter in 0..SLOTS {
                    write!(text, ",0.{:03}", base + (meter + quarter) % 500)?;
                }
                text.push_str(",A,,,,\n");
            }
        }
        text.push_str("900\n");
        Ok(text)
    }
}
