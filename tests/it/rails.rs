//! Money over a payment rail, with the running exchange and a rail that misbehaves.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Duration};

use exchange::{
    clock::Clock,
    rails::{
        http::Endpoint,
        simulator::{self, Simulation},
    },
};
use gateway::identity;
use hyper::Method;
use serde_json::Value;
use settlement::{
    Interval, MeterFile, Quality, Reading,
    allocation::Metered,
    books::accounts::Account,
    rails::{
        Event, InstructionId, InstructionKind, InstructionState, News, Outcome, Sealed, Signer,
        simulated::Chances,
    },
    seal,
};
use tempfile::TempDir;
use tests::{
    cast::{self, FIRST, SECOND},
    platform::Platform,
    program::{Run, run},
    venue::{self, Venue, soon},
};
use tokio::{net::TcpListener, sync::watch};
use types::{Currency, Energy, MarketId, MeterId, Money, Role, Side, Timestamp, TradeId};

const SECRET: &str = "a secret of more than thirty-two bytes";

fn euro() -> Currency {
    Currency::from_iso("EUR").unwrap()
}

/// A rail that is called at an address, and the clock it goes by.
struct Rail {
    listener: Option<TcpListener>,
    clock: Clock,
    stop: watch::Sender<bool>,
    dir: TempDir,
}

impl Rail {
    async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rail.secret");
        fs::write(&path, SECRET).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let clock = Clock::starting_at(Timestamp::from_ns(0));
        Self { listener: Some(listener), clock, stop: watch::channel(false).0, dir }
    }

    /// The configuration of an exchange that uses it.
    fn config(&self) -> String {
        let address = self.listener.as_ref().unwrap().local_addr().unwrap();
        let secret = self.dir.path().join("rail.secret");
        let secret = secret.display();
        let text = venue::config_text()
            .replace("mechanism = \"clearing_house\"", "mechanism = \"platform_biller\"");
        format!(
            "{text}\n[settlement.policy.rail]\n\n[rails]\nurl = \"http://{address}\"\n\
             listen = \"127.0.0.1:0\"\nsecret_file = \"{secret}\"\ndeadline_ms = 300\n\
             retry_min_s = 1\nretry_max_s = 60\nquery_s = 30\n"
        )
    }

    fn open(&mut self, venue: &Venue, chances: Chances, ahead_s: i64) {
        self.clock.set(venue.now());
        let simulation = Simulation {
            chances,
            currency: euro(),
            hold_days: 7,
            secret: SECRET.into(),
            events: Signer::Hmac(SECRET.into()),
            exchange: Some(events_of(venue)),
            clock: self.clock.clone(),
            ahead_s,
        };
        let listener = self.listener.take().unwrap();
        tokio::spawn(simulator::run(listener, simulation, self.stop.subscribe()));
    }
}

impl Drop for Rail {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// Where a venue is told events.
fn events_of(venue: &Venue) -> Endpoint {
    let port = venue.node.rail_address().unwrap().port();
    let authority = identity::load_certificates(&venue.layout.keys().join("ca.crt")).unwrap();
    Endpoint::parse(&format!("https://localhost:{port}"), Some(&authority)).unwrap()
}

/// Ten trades of 200 Wh at noon for 0.10 a kWh, captured.
async fn trade(venue: &Venue) {
    venue.clock_to(-29).await;
    let mut first = Platform::log_on(venue, 1).await;
    let mut second = Platform::log_on(venue, 2).await;
    let mut last = None;
    for _ in 0..10 {
        let sell = first.order(FIRST, Side::Sell, 100, 200);
        first.accepted(sell).await;
        let buy = second.order(SECOND, Side::Buy, 100, 200);
        last = Some(second.accepted(buy).await.seq);
    }
    venue.settled_through(last.unwrap()).await;
}

async fn deliver(venue: &Venue) {
    venue.clock_to(16).await;
    for (retailer, meter, injected, withdrawn) in [(1, FIRST, 1_900, 0), (2, SECOND, 0, 2_000)] {
        let key = venue.slot(0);
        let metered =
            Metered { injected: Energy::from_wh(injected), withdrawn: Energy::from_wh(withdrawn) };
        let readings = vec![Reading { meter, metered, quality: Quality::Measured }];
        let intervals = vec![Interval { start: key.slot.start(), readings }];
        let file = MeterFile { market: MarketId::new(1), revision: 1, minutes: 15, intervals };
        let signer = cast::party(Role::Retailer, retailer);
        let document = seal(signer, &cast::party_key(signer), &file.to_body());
        let desk = venue.desk(signer).await;
        soon(desk.submit(&document)).await.unwrap();
    }
    let summary = venue.node.settlement.verify(venue.now()).await.unwrap();
    assert_eq!(summary.changed, 10);
}

/// Lets time pass for exchange and rail until nothing asked of the rail is open.
async fn quiet(venue: &Venue, rail: &Rail) {
    soon(async {
        while venue.node.settlement.rail(|all, _| all.rail_open()).await.unwrap() > 0 {
            venue.set_clock(venue.now().plus_ns(250_000_000)).await;
            rail.clock.set(venue.now());
        }
    })
    .await;
}

async fn books(venue: &Venue) -> Vec<(Account, i64)> {
    let settlement = &venue.node.settlement;
    settlement
        .rail(|all, _| {
            assert!(all.audit()?.is_clean());
            all.balances()
        })
        .await
        .unwrap()
}

fn program(venue: &Venue, words: &[&str]) -> Run {
    let root = venue.layout.root().to_str().unwrap();
    let words = words.iter().copied().chain(["--data-dir", root]);
    tokio::task::block_in_place(|| run(words))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rail_at_its_worst_and_a_restart_leave_the_books_of_a_good_one() {
    let mut ends = Vec::new();
    for is_bad in [false, true] {
        let mut rail = Rail::bind().await;
        let mut venue = Venue::open_with(&rail.config()).await;
        let good = Chances { seed: 5, ..Chances::default() };
        let bad = Chances {
            delay_s: 3,
            duplicate_ppm: 300_000,
            reorder_ppm: 300_000,
            timeout_ppm: 500_000,
            late_ppm: 500_000,
            ..good
        };
        // The bad one's clock is two hours ahead: its events are stale, and it has to be asked.
        if is_bad {
            rail.open(&venue, bad, 7_200)
        } else {
            rail.open(&venue, good, 0)
        }
        trade(&venue).await;
        deliver(&venue).await;
        if is_bad {
            venue = venue.restart().await.0;
        }
        quiet(&venue, &rail).await;
        ends.push(books(&venue).await);
        if !is_bad {
            commands(&venue);
        }
        venue.close().await;
    }
    assert_eq!(ends[0], ends[1]);
    let outside = ends[0].iter().find(|(account, _)| *account == Account::EXTERNAL).unwrap();
    // Ten times 190 of 200 Wh at 0.10, each rounded to a cent.
    assert_eq!(outside.1, -20);
}

/// What operators see of it afterwards.
fn commands(venue: &Venue) {
    let json = |run: Run| -> Value {
        assert_eq!(run.code, Some(0), "{run:?}");
        serde_json::from_str(&run.stdout).unwrap()
    };
    let day = "2026-06-24";
    let asked = ["rail", "instructions", "--output", "json"];
    let bills = json(program(venue, &asked));
    assert_eq!(bills.as_array().unwrap().len(), 10);
    assert_eq!((&bills[0]["kind"], &bills[0]["state"]), (&"bill".into(), &"settled".into()));
    let none = json(program(venue, &["rail", "instructions", "--open", "--output", "json"]));
    assert_eq!(none, Value::Array(Vec::new()));
    let agreed = json(program(venue, &["reconcile", "--day", day, "--output", "json"]));
    assert_eq!(agreed, Value::Array(Vec::new()));
    let statement = program(venue, &["rail", "statement", "--day", day]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.csv");
    let lines: Vec<_> = statement.stdout.lines().collect();
    fs::write(&path, lines[..lines.len() - 1].join("\n")).unwrap();
    let words = ["reconcile", "--day", day, "--output", "csv", "--statement"];
    let broken = program(venue, &[&words[..], &[path.to_str().unwrap()]].concat());
    assert_eq!(broken.code, Some(4), "{broken:?}");
    assert!(broken.stdout.contains(",missing_on_statement,"), "{broken:?}");
    let xml = program(venue, &["rail", "statement", "--day", day, "--format", "camt053"]);
    let path = dir.path().join("s.xml");
    fs::write(&path, &xml.stdout).unwrap();
    let whole = program(venue, &[&words[..], &[path.to_str().unwrap()]].concat());
    assert_eq!(whole.code, Some(0), "{whole:?}");
    let earned = ["accounts", "--kind", "earned", "--owner", "meter/1", "--output", "json"];
    assert_eq!(json(program(venue, &earned))[0]["amount"], "0.20");
    let legs = json(program(venue, &["settle", "explain", "1", "--output", "json"]));
    let energy = legs.as_array().unwrap().iter().find(|leg| leg["leg"] == "energy_owed").unwrap();
    assert!(energy["inputs"].as_str().unwrap().contains("Wh settled at 0.1"), "{energy}");
    // What was told before has the same answer.
    let events = format!("https://localhost:{}", venue.node.rail_address().unwrap().port());
    let number = bills[0]["instruction"].as_str().unwrap();
    let words = ["rail", "replay", "--instruction", number, "--exchange", &events];
    let told = program(venue, &[&words[..], &["--output", "csv"]].concat());
    // The program's clock is not the venue's, the rail's is.
    assert!(told.stdout.ends_with(",taken\n"), "{told:?}");
    assert_eq!(program(venue, &["settle", "explain", "999"]).code, Some(1));
    let status = program(venue, &["settle", "status", "--output", "csv"]);
    assert!(status.stdout.contains("instructions,bill,settled,10,20,"), "{status:?}");
    let bad_day = program(venue, &["reconcile", "--day", "2026-13-01"]);
    assert_eq!(bad_day.code, Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_replayed_and_stale_events_move_nothing() {
    let rail = Rail::bind().await;
    let venue = Venue::open_with(&rail.config()).await;
    trade(&venue).await;
    deliver(&venue).await;
    let endpoint = Arc::new(events_of(&venue));
    let call = async |sealed: &Sealed| {
        let limits = (1 << 16, Duration::from_secs(20));
        let path = (Method::POST, "/v1/rail/events");
        let (status, body) = soon(endpoint.call(path, sealed, limits)).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        (status.as_u16(), body["answer"].as_str().unwrap().to_owned())
    };
    let said = |status: u16, word: &str| (status, word.to_owned());
    let signer = Signer::Hmac(SECRET.into());
    let now_s = venue.now().ns() / 1_000_000_000;
    let bill = venue
        .node
        .settlement
        .rail(|all, _| all.rail_instructions_of(TradeId::new(1)).map(|asked| asked[0]));
    let bill = bill.await.unwrap();
    let event = |name: &str, instruction, amount| {
        let outcome = Outcome::Settled { until: None };
        let news = News::Of { instruction, outcome, amount };
        Event { id: name.to_owned(), at: venue.now(), news }.to_body(euro())
    };
    let paid = event("p-1", bill.id, bill.amount);
    let before = books(&venue).await;
    let forged = Signer::Hmac(vec![1; 32]).seal(now_s, "p-1", paid.clone());
    assert_eq!(call(&forged).await, said(401, "seal_invalid"));
    let good = signer.seal(now_s, "p-1", paid.clone());
    for other in [
        Sealed { body: event("p-1", bill.id, Money::from_minor(1)), ..good.clone() },
        Sealed { number: "p-2".to_owned(), ..good.clone() },
        Sealed { timestamp: now_s + 1, ..good.clone() },
    ] {
        assert_eq!(call(&other).await, said(401, "seal_invalid"));
    }
    let unreadable = Sealed { signature: "none".to_owned(), ..good.clone() };
    assert_eq!(call(&unreadable).await, said(401, "seal_unreadable"));
    for away in [-7_200, -301, 301, 7_200] {
        let stale = signer.seal(now_s + away, "p-1", paid.clone());
        assert_eq!(call(&stale).await, said(401, "stale"));
    }
    let renamed = signer.seal(now_s, "p-2", paid.clone());
    assert_eq!(call(&renamed).await, said(400, "malformed"));
    let unknown = InstructionId::of_contract(TradeId::new(77), InstructionKind::Bill, 1);
    let nobody = signer.seal(now_s, "u", event("u", unknown, bill.amount));
    assert_eq!(call(&nobody).await, said(404, "unknown_instruction"));
    assert_eq!(books(&venue).await, before);
    for _ in 0..3 {
        assert_eq!(call(&good).await, said(200, "taken"));
    }
    let after = books(&venue).await;
    assert_ne!(after, before);
    let again = signer.seal(now_s, "p-9", event("p-9", bill.id, bill.amount));
    assert_eq!(call(&again).await, said(200, "repeated"));
    let other = signer.seal(now_s, "p-1", event("p-1", bill.id, Money::from_minor(1)));
    assert_eq!(call(&other).await, said(409, "conflict"));
    let gift =
        News::Deposit { reference: 1, meter: MeterId::new(77), amount: Money::from_minor(5) };
    let gift = Event { id: "g".to_owned(), at: venue.now(), news: gift }.to_body(euro());
    assert_eq!(call(&signer.seal(now_s, "g", gift)).await, said(200, "unknown_meter"));
    assert_eq!(books(&venue).await, after);
    let settled = venue.node.settlement.rail(move |all, _| all.rail_instruction(bill.id));
    assert_eq!(settled.await.unwrap().unwrap().state, InstructionState::Settled);
    venue.close().await;
}

#[test]
fn a_secret_is_long_and_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rail.secret");
    let simulate = |path: &Path| {
        run(["rail", "simulate", "--secret-file", path.to_str().unwrap(), "--delay", "0"])
    };
    assert_eq!(simulate(&path).code, Some(3), "there is none");
    fs::write(&path, "short").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(simulate(&path).code, Some(3));
    fs::write(&path, SECRET).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(simulate(&path).code, Some(3), "others can read it");
}
