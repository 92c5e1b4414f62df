//! A market that an operator defines while the exchange runs: signed, known everywhere, traded without a restart.

use std::{fs, path::Path};

use gateway::client::{ClientError, sign_definition};
use serde_json::Value;
use settlement::tlog::{facts::Leaf, tiles::TileDirectory};
use tests::{
    api::{self, ApiCaller},
    cast::{self, FIRST, SECOND},
    day::text,
    https::Version,
    platform::{Platform, told},
    venue::{Venue, config_text, soon},
};
use types::{
    Action, Code, Currency, Energy, Event, Lead, MarketDefinition, MarketId, NewMarket, Operation,
    RejectReason, Remark, Role, Seq, ShardMap, Shards, Side, SignedOperation, SlotKey,
};
use wire::data::P2pQuery;

use crate::{
    contracts::{beside, line, rows},
    operations::refusal,
};

const NUMBER: MarketId = MarketId::new(7);

/// The market of a venue again, under another number.
fn seventh(venue: &Venue) -> MarketDefinition {
    let known = exchange::config::load(&venue.layout.root().join("gridcross.toml")).unwrap();
    let area = Code::new("DE-ST").unwrap();
    MarketDefinition { market: NUMBER, area, ..known.markets[0].definition }
}

fn ordered(venue: &Venue, number: u64, uncross_minutes: u32) -> Operation {
    Operation {
        operator: 1,
        number,
        action: Action::Define(NewMarket {
            market: NUMBER,
            uncross_lead: Lead::from_minutes(uncross_minutes),
            call_extension_minutes: 5,
        }),
        valid_until: venue.now().plus_ns(60_000_000_000),
        reason: Remark::new("a second area opens").unwrap(),
    }
}

fn signed(operation: Operation, market: &MarketDefinition) -> SignedOperation {
    sign_definition(&cast::party_key(cast::party(Role::Operator, 1)), operation, market)
}

async fn define(
    venue: &Venue,
    operation: Operation,
    market: &MarketDefinition,
) -> Result<(), ClientError> {
    let operator = venue.desk(cast::party(Role::Operator, 1)).await;
    soon(operator.define(&signed(operation, market), market)).await
}

/// The slot of the new market that is delivered with a slot of the venue's.
fn beside_slot(venue: &Venue, quarters: isize) -> SlotKey {
    SlotKey { market: NUMBER, ..venue.slot(quarters) }
}

/// Sells and buys in a slot of the new market.
async fn trade([seller, buyer]: &mut [Platform; 2], key: SlotKey) {
    for platform in [&mut *seller, &mut *buyer] {
        (platform.key, platform.valid_until) = (key, key.slot.start());
    }
    let sell = seller.order(FIRST, Side::Sell, 100, 500);
    seller.accepted(sell).await;
    let buy = buyer.order(SECOND, Side::Buy, 100, 500);
    buyer.accepted(buy).await;
}

async fn pair(venue: &Venue) -> [Platform; 2] {
    [Platform::log_on(venue, 1).await, Platform::log_on(venue, 2).await]
}

/// The slots in which trades of the new market were made, as the feed says.
async fn traded(venue: &Venue) -> Vec<SlotKey> {
    let feed = venue.feed(Seq::ZERO, venue.durable()).await;
    let key = |event: &Event| if let Event::Trade(trade) = event { Some(trade.key) } else { None };
    feed.iter().filter_map(|item| key(&item.event)).filter(|key| key.market == NUMBER).collect()
}

async fn instruments(venue: &Venue) -> Vec<(u64, u64, String)> {
    let mut api = ApiCaller::connect(venue, cast::party(Role::Platform, 1), Version::Http2).await;
    let all = api.get("/v1/instruments").await.json();
    let row = |one: &Value| {
        let number = |name: &str| one[name].as_u64().unwrap();
        (number("market"), number("uncross_lead_minutes"), one["area"].as_str().unwrap().to_owned())
    };
    all["instruments"].as_array().unwrap().iter().map(row).collect()
}

fn remove_snapshots(journal: &Path) {
    for file in fs::read_dir(journal).unwrap().map(|file| file.unwrap().path()) {
        if file.file_name().unwrap().to_str().unwrap().starts_with("snapshot-") {
            fs::remove_file(file).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_is_defined_and_trades_without_a_restart_and_after_one() {
    let venue = Venue::open_with(&api::config_text("")).await;
    let market = seventh(&venue);
    soon(define(&venue, ordered(&venue, 1, 30), &market)).await.unwrap();
    let listed = [(1, 30, "DE-LV".to_owned()), (7, 30, "DE-ST".to_owned())];
    assert_eq!(instruments(&venue).await, listed);

    // Its slots open, are called and trade as those of the other market.
    venue.clock_to(-29).await;
    let phase = |key| venue.first().market.book(key).unwrap().map(|book| book.1.phase);
    let phases: Vec<_> = (-1..5)
        .map(|quarters| [venue.slot(quarters), beside_slot(&venue, quarters)].map(phase))
        .collect();
    assert!(phases.iter().all(|[known, new]| known == new), "{phases:?}");
    assert!(phases.iter().any(|[known, _]| known.is_some()), "{phases:?}");
    let mut platforms = pair(&venue).await;
    trade(&mut platforms, beside_slot(&venue, 0)).await;
    soon(venue.settled()).await;
    assert_eq!(traded(&venue).await, [beside_slot(&venue, 0)]);
    drop(platforms);

    // The configuration does not name it; the journal does. Then by a snapshot, then from the whole journal.
    let (venue, _) = venue.restart().await;
    assert_eq!(instruments(&venue).await, listed);
    venue.clock_to(-14).await;
    let mut platforms = pair(&venue).await.map(|platform| platform.counting_from(100));
    trade(&mut platforms, beside_slot(&venue, 1)).await;
    soon(venue.settled()).await;
    assert_eq!(traded(&venue).await, [beside_slot(&venue, 0), beside_slot(&venue, 1)]);
    let slot = beside_slot(&venue, 1).slot;
    let query = P2pQuery { from: slot.start(), to: slot.end(), meter: SECOND };
    let desk = venue.desk(cast::party(Role::Operator, 1)).await;
    let energy: Value = serde_json::from_str(&soon(desk.p2p_energy(query)).await.unwrap()).unwrap();
    assert_eq!(energy.as_array().unwrap().len(), 1, "{energy}");
    drop((platforms, desk));
    let layout = venue.layout.clone();
    let stopped = venue.closed_for_repair().await;
    let journal = layout.journal();
    remove_snapshots(&journal);
    let venue = stopped.start().await;
    assert_eq!(instruments(&venue).await, listed);
    venue.clock_to(1).await;
    let mut platforms = pair(&venue).await.map(|platform| platform.counting_from(200));
    trade(&mut platforms, beside_slot(&venue, 2)).await;
    drop(platforms);

    let stopped = venue.closed_for_repair().await;
    let evidence = replay::verify_signatures(&journal).unwrap();
    assert_eq!(evidence.operations, 1);
    let mut pipeline = stopped.pipeline();
    pipeline.checkpoint().unwrap();
    assert!(pipeline.audit().unwrap().is_clean());
    let (size, _) = pipeline.ledger_head();
    let mut tiles = TileDirectory::new(&layout.ledger(), size);
    let leaves: Vec<_> =
        (0..size).map(|index| Leaf::decode(&tiles.leaf(index).unwrap()).unwrap()).collect();
    let at = leaves.iter().position(|leaf| matches!(leaf, Leaf::Operation(_))).unwrap();
    assert_eq!(leaves[at + 1], Leaf::Market(Box::new(market)), "what was signed is on the ledger");
    drop(pipeline);

    // The file may name it too, as it is; and not otherwise.
    let config = fs::read_to_string(layout.root().join("gridcross.toml")).unwrap();
    let (before, own) = config.split_once("[[markets]]").unwrap();
    let (own, after) = own.split_once("\n[settlement]").unwrap();
    let second = own.replace("number = 1 ", "number = 7 ").replace("DE-LV", "DE-ST");
    let whole = |second: &str| {
        format!("{before}[[markets]]{own}\n[[markets]]{second}\n[settlement]{after}")
    };
    let mut stopped = stopped;
    stopped.set_config(&whole(&second));
    let venue = stopped.start().await;
    assert_eq!(instruments(&venue).await, listed);
    let mut stopped = venue.closed_for_repair().await;
    stopped.set_config(&whole(&second.replace("lot_wh = 10 ", "lot_wh = 20 ")));
    let refused = stopped.try_start().await.unwrap_err();
    assert!(refused.contains("market 7 is in the journal with other content"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_that_cannot_be_is_refused_and_nothing_changes() {
    let venue = Venue::open().await;
    let market = seventh(&venue);
    let try_it = async |operation, market: MarketDefinition| {
        refusal(define(&venue, operation, &market).await)
    };
    let of = |number| ordered(&venue, number, 30);
    let pounds = Currency::from_iso("GBP").unwrap();
    let zone = Code::new("Europe/Berlyn").unwrap();
    let long = Lead::from_minutes(1_440 * 400);
    let first = MarketDefinition { market: MarketId::new(1), ..market };
    let new = NewMarket {
        market: MarketId::new(1),
        uncross_lead: Lead::from_minutes(30),
        call_extension_minutes: 5,
    };
    let of_first = Operation { action: Action::Define(new), ..of(1) };
    let late = Operation { valid_until: venue.now().plus_ns(-1), ..of(1) };
    for (operation, market, reason) in [
        (of(1), MarketDefinition { currency: pounds, ..market }, RejectReason::OtherCurrency),
        (of(1), MarketDefinition { time_zone: zone, ..market }, RejectReason::InvalidMarket),
        (of(1), MarketDefinition { slot_minutes: 7, ..market }, RejectReason::InvalidMarket),
        (of(1), first, RejectReason::InvalidMarket),
        (of_first, first, RejectReason::AlreadyRegistered),
        (ordered(&venue, 1, 60), market, RejectReason::InvalidMarket),
        (of(1), MarketDefinition { opening_lead: long, ..market }, RejectReason::RegistryFull),
        (late, market, RejectReason::SignatureExpired),
    ] {
        assert_eq!(try_it(operation, market).await, reason, "{market:?}");
    }

    let operator = venue.desk(cast::party(Role::Operator, 1)).await;
    let other = MarketDefinition { lot: Energy::from_wh(20), ..market };
    let changed = refusal(soon(operator.define(&signed(of(1), &market), &other)).await);
    assert_eq!(changed, RejectReason::SignatureInvalid, "the definition is signed");
    let alone = refusal(soon(operator.operate(&signed(of(1), &market))).await);
    assert_eq!(alone, RejectReason::MalformedMessage, "without its definition");
    let retailer = venue.desk(cast::party(Role::Retailer, 1)).await;
    let foreign = refusal(soon(retailer.define(&signed(of(1), &market), &market)).await);
    assert_eq!(foreign, RejectReason::NotAuthorised);

    soon(define(&venue, of(1), &market)).await.unwrap();
    let eighth = MarketDefinition { market: MarketId::new(8), ..market };
    let new = NewMarket { market: MarketId::new(8), ..new };
    let again = Operation { action: Action::Define(new), ..of(1) };
    assert_eq!(try_it(again, eighth).await, RejectReason::OperationOutdated);
    assert_eq!(try_it(of(2), market).await, RejectReason::AlreadyRegistered);
    drop((operator, retailer));
    let journal = venue.layout.journal();
    let stopped = venue.closed_for_repair().await;
    let evidence = replay::verify_signatures(&journal).unwrap();
    assert_eq!(evidence.operations, 3, "what came as far as the engine");
    stopped.start().await.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_shard_and_the_edge_know_a_new_market() {
    let config = config_text()
        .replace("# shards = 1 ", "shards = 2 ")
        .replace("opening_lead_minutes = 60", "opening_lead_minutes = 180")
        .replace("uncross_lead_minutes = 30", "uncross_lead_minutes = 120");
    let venue = Venue::open_for_two_days(&config).await;
    let market = seventh(&venue);
    soon(define(&venue, ordered(&venue, 1, 120), &market)).await.unwrap();
    venue.clock_to(661).await;
    let map = ShardMap::new(Shards::new(2).unwrap(), [&market]).unwrap();
    let keys = [46, 49].map(|quarters| beside_slot(&venue, quarters));
    // The numbers of both markets are odd: their days have the same shards.
    assert_eq!(
        keys.map(|key| map.of(key)),
        [46, 49].map(|at| Some(venue.shard_of(venue.slot(at))))
    );
    for (own, other) in [(46, 49), (49, 46)] {
        let slot = venue.slot(own);
        let mut platforms = [
            Platform::log_on_at(&venue, 1, slot).await,
            Platform::log_on_at(&venue, 2, slot).await,
        ];
        trade(&mut platforms, beside_slot(&venue, own)).await;
        let [seller, _] = &mut platforms;
        seller.key = beside_slot(&venue, other);
        let astray = seller.order(FIRST, Side::Sell, 100, 500);
        assert_eq!(told(&seller.place(astray).await), "turned away wrong_shard");
    }
    soon(venue.settled()).await;
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_defines_a_market_with_the_program() {
    let venue = Venue::open().await;
    let party = cast::party(Role::Operator, 1);
    let pem = gateway::identity::signing_key_pem(&cast::party_key(party)).unwrap();
    let key = venue.layout.keys().join("operator-1.signing.key");
    gateway::identity::write_key_file(&key, &pem).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("market.toml");
    let config = config_text();
    let (_, own) = config.split_once("[[markets]]").unwrap();
    let (own, _) = own.split_once("\n[settlement]").unwrap();
    let table = format!("[[markets]]{}", own.replace("number = 1 ", "number = 7 "));
    let run = |table: &str, more: &[&str]| {
        fs::write(&file, table).unwrap();
        let why = ["--reason", "a second area opens", "--valid-until", "2026-06-24T12:00+02:00"];
        let words = [&["market", "define", text(&file)][..], &why, more].concat();
        beside(&line(&venue, "operator-1", &words))
    };
    let odd = run(&table.replace("tick = \"0.001\"", "tick = \"0\""), &[]);
    assert_eq!((odd.code, odd.stderr.contains("markets[0].tick")), (Some(3), true), "{odd:?}");
    let second = run(&table, &["--file", "order.txt"]);
    assert_eq!((second.code, second.stderr.contains("no second operator")), (Some(2), true));
    let done = rows(&run(&table, &[]));
    let said = ["action", "about", "state", "reason"].map(|name| done[0][name].as_str().unwrap());
    assert_eq!(said, ["define", "market/7", "in force", "a second area opens"]);
    let again = run(&table, &[]);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("already_registered"), "{}", again.stderr);
    venue.close().await;
}
