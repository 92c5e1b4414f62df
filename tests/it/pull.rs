//! The exchange asks retailers' servers for readings that are missing.

use std::fs;

use exchange::pull::{Endpoint, PullRow, Url};
use gateway::{Identity, client::ClientError, identity};
use serde_json::Value;
use settlement::{Interval, MeterFile, Quality, Reading, allocation::Metered, seal};
use tests::{
    cast::{self, FIRST, SECOND},
    meter_server::{MeterServer, envelope},
    platform::Platform,
    venue::{self, Venue, soon},
};
use tokio::task::JoinHandle;
use types::{Energy, MarketId, MeterId, Party, RejectReason, Role, Side};
use wire::data::{RequestKind, SinceQuery};

const RETAILER: Party = cast::party(Role::Retailer, 1);
const OTHER_RETAILER: Party = cast::party(Role::Retailer, 2);

/// A venue after a trade of 100 Wh from meter 1 to meter 2 in the slot at noon, and its delivery. Both
/// retailers have a server, the first one with a certificate of the exchange's authority, the other
/// one with its own.
struct Setting {
    venue: Venue,
    first: MeterServer,
    second: MeterServer,
}

/// Patience that does not end during a test, and no pause worth mentioning.
const PATIENT: &str = "request_ms = 60000\nretry_ms = 1";

impl Setting {
    async fn open(pull: &str) -> Self {
        let text = venue::config_text().replacen(
            "\n[settlement]\n",
            &format!("\n[pull]\n{pull}\n\n[settlement]\n"),
            1,
        );
        let venue = Venue::open_with(&text).await;
        venue.clock_to(-29).await;
        let mut first = Platform::log_on(&venue, 1).await;
        let mut second = Platform::log_on(&venue, 2).await;
        let sell = first.order(FIRST, Side::Sell, 100, 100);
        first.accepted(sell).await;
        let buy = second.order(SECOND, Side::Buy, 100, 100);
        let traded = second.accepted(buy).await.seq;
        venue.settled_through(traded).await;
        drop((first, second));
        venue.clock_to(16).await;
        let keys = venue.layout.keys();
        let authority = identity::load_certificates(&keys.join("ca.crt")).unwrap();
        let exchanges = Identity::load(&keys, "server").unwrap();
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(venue.layout.root().join("meters-2.pem"), own.cert.pem()).unwrap();
        let own = Identity {
            chain: vec![own.cert.der().clone()],
            key: rustls_pki_types::PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()).into(),
        };
        let first = MeterServer::start(&exchanges, &authority).await;
        let second = MeterServer::start(&own, &authority).await;
        Self { venue, first, second }.restart().await
    }

    /// Starts the exchange again; it knows the servers.
    async fn restart(self) -> Self {
        let Self { venue, first, second } = self;
        let url = |server: &MeterServer, path: &str| {
            Url::parse(&format!("https://localhost:{}{path}", server.address.port())).unwrap()
        };
        let trust = Some("meters-2.pem".into());
        let mut stopped = venue.closed_for_repair().await;
        stopped.set_endpoints(vec![
            Endpoint { party: RETAILER, url: url(&first, "/p2p/v1"), trust: None },
            Endpoint { party: OTHER_RETAILER, url: url(&second, ""), trust },
        ]);
        Self { venue: stopped.start().await, first, second }
    }

    /// A signed reading of the slot at noon.
    fn reading(&self, signer: Party, meter: MeterId, injected: u64, withdrawn: u64) -> Vec<u8> {
        let injected = Energy::from_wh(injected);
        let metered = Metered { injected, withdrawn: Energy::from_wh(withdrawn) };
        let readings = vec![Reading { meter, metered, quality: Quality::Measured }];
        let intervals = vec![Interval { start: self.venue.slot(0).slot.start(), readings }];
        let file = MeterFile { market: MarketId::new(1), revision: 1, minutes: 15, intervals };
        seal(signer, &cast::party_key(signer), &file.to_body())
    }

    fn sold(&self) -> Vec<u8> {
        self.reading(RETAILER, FIRST, 100, 0)
    }

    fn bought(&self) -> Vec<u8> {
        self.reading(OTHER_RETAILER, SECOND, 0, 90)
    }

    /// Begins a round.
    fn round(&self) -> JoinHandle<()> {
        let pull = self.venue.node.pull();
        tokio::spawn(async move { pull.round().await.unwrap() })
    }

    /// What an operator is told of the last pulls.
    async fn pulls(&self) -> Vec<PullRow> {
        let desk = self.venue.desk(cast::party(Role::Operator, 1)).await;
        let text = soon(desk.since(RequestKind::Pulls, SinceQuery::default())).await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The meters of which readings are missing.
    async fn missing(&self) -> Vec<u64> {
        let desk = self.venue.desk(cast::party(Role::Operator, 1)).await;
        let query = SinceQuery::default();
        let text = soon(desk.since(RequestKind::MissingReadings, query)).await.unwrap();
        let rows: Value = serde_json::from_str(&text).unwrap();
        rows.as_array().unwrap().iter().map(|row| row["meter"].as_u64().unwrap()).collect()
    }

    async fn close(self) {
        self.venue.close().await;
    }
}

/// Result, requests, documents, taken readings and refused documents of a row.
fn said(row: &PullRow) -> (&str, u32, u32, u64, u32) {
    (&row.result, row.requests, row.documents, row.accepted, row.refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_asked_for_and_verified() {
    let mut setting = Setting::open(PATIENT).await;
    let before = setting.pulls().await;
    assert_eq!(before.iter().map(|row| row.result.as_str()).collect::<Vec<_>>(), ["not_asked"; 2]);
    // A cycle on demand asks first.
    let desk = setting.venue.desk(cast::party(Role::Operator, 1)).await;
    let verifying = tokio::spawn(async move {
        desk.since(RequestKind::Verify, SinceQuery::default()).await.unwrap()
    });
    let asked = soon(setting.first.next()).await;
    assert_eq!(asked.path, "POST /p2p/v1/readings");
    let start = setting.venue.slot(0).slot.start().to_string();
    let slot = serde_json::json!({
        "market": 1, "slot_start": start, "minutes": 15, "why": "missing", "meters": [1]
    });
    let page = serde_json::json!({"version": 1, "page": 1, "pages": 1, "slots": [slot]});
    assert_eq!(asked.page, page);
    asked.documents(&[setting.sold()]);
    let other = soon(setting.second.next()).await;
    assert_eq!(
        (other.path.as_str(), &other.page["slots"][0]["meters"]),
        ("POST /readings", &serde_json::json!([2]))
    );
    assert!(!verifying.is_finished(), "the cycle waits for the round");
    other.documents(&[setting.bought()]);
    let cycle: Value = serde_json::from_str(&soon(verifying).await.unwrap()).unwrap();
    assert_eq!((&cycle["changed"], &cycle["awaiting"]), (&1.into(), &0.into()), "{cycle}");
    let pulls = setting.pulls().await;
    for row in &pulls {
        assert_eq!(said(row), ("answered", 1, 1, 1, 0), "{row:?}");
        assert_eq!((row.asked, row.failures, &row.next_try), (1, 0, &None), "{row:?}");
    }
    // Nothing is missing: nobody is asked, and what was pulled is like what is pushed.
    soon(setting.round()).await.unwrap();
    assert!(setting.first.asked.try_recv().is_err());
    let desk = setting.venue.desk(RETAILER).await;
    let receipt = soon(desk.submit(&setting.sold())).await.unwrap();
    assert_eq!((receipt.accepted, receipt.reason), (1, 0), "the same document again");
    drop(desk);
    setting.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_delays_nobody_and_may_answer_late() {
    let mut setting = Setting::open(PATIENT).await;
    let round = setting.round();
    let hanging = soon(setting.first.next()).await;
    soon(setting.second.next()).await.documents(&[setting.bought()]);
    // Who waits for the first reading of meter 1 is not told; of meter 2 it is there already.
    let desk = setting.venue.desk(OTHER_RETAILER).await;
    soon(async {
        while soon(desk.since(RequestKind::MissingReadings, SinceQuery::default())).await.unwrap()
            != "[]"
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(desk);
    // Trading and questions go on; a second round waits for the first.
    let platform = Platform::log_on_at(&setting.venue, 1, setting.venue.slot(3)).await;
    let mut platform = platform.counting_from(10);
    let order = platform.order(FIRST, Side::Sell, 100, 100);
    platform.accepted(order).await;
    drop(platform);
    let second = setting.round();
    assert_eq!(setting.missing().await, [1]);
    assert!(!round.is_finished());
    hanging.documents(&[setting.sold()]);
    soon(round).await.unwrap();
    soon(second).await.unwrap();
    assert_eq!(setting.missing().await, [0_u64; 0]);
    setting.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exchange_stops_while_a_server_hangs() {
    let mut setting = Setting::open(PATIENT).await;
    let round = setting.round();
    let hanging = [soon(setting.first.next()).await, soon(setting.second.next()).await];
    let mut setting = setting.restart().await;
    soon(round).await.unwrap();
    for asked in hanging {
        asked.documents(&[setting.sold()]);
    }
    assert_eq!(setting.missing().await, [1, 2], "nobody listened any more");
    let row = setting.pulls().await.swap_remove(0);
    assert_eq!(row.result, "not_asked", "a new process has nothing against anybody");
    let round = setting.round();
    soon(setting.first.next()).await.documents(&[setting.sold()]);
    soon(setting.second.next()).await.answer(204, "");
    soon(round).await.unwrap();
    // What was answered stays, what was not is asked for again, and that alone.
    let mut setting = setting.restart().await;
    let round = setting.round();
    let asked = soon(setting.second.next()).await;
    assert_eq!(asked.page["slots"][0]["meters"], serde_json::json!([2]));
    asked.documents(&[setting.bought(), setting.bought()]);
    soon(round).await.unwrap();
    assert!(setting.first.asked.try_recv().is_err());
    assert_eq!(setting.missing().await, [0_u64; 0]);
    let settlement = &setting.venue.node.settlement;
    let cycle = soon(settlement.verify(setting.venue.now())).await.unwrap();
    assert_eq!((cycle.changed, cycle.awaiting), (1, 0), "it counts once");
    setting.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_that_pass_are_tried_again() {
    let mut setting = Setting::open("request_ms = 60000\nretry_ms = 1\nretries = 3").await;
    let round = setting.round();
    for status in [500, 503, 429] {
        soon(setting.first.next()).await.answer(status, "{}");
    }
    soon(setting.first.next()).await.documents(&[setting.sold()]);
    // What will not pass is not asked again.
    soon(setting.second.next()).await.answer(404, "{}");
    soon(round).await.unwrap();
    let pulls = setting.pulls().await;
    assert_eq!(said(&pulls[0]), ("answered", 4, 1, 1, 0));
    assert_eq!(said(&pulls[1]), ("status", 1, 0, 0, 0));
    assert_eq!(pulls[1].detail, "answered with status 404");
    assert!(setting.second.asked.try_recv().is_err());
    assert_eq!(setting.missing().await, [2]);
    // A retailer is told of its own only.
    let desk = setting.venue.desk(OTHER_RETAILER).await;
    let text = soon(desk.since(RequestKind::Pulls, SinceQuery::default())).await.unwrap();
    let own: Vec<PullRow> = serde_json::from_str(&text).unwrap();
    assert_eq!(own, [pulls[1].clone()]);
    let refused = soon(desk.since(RequestKind::VerifyStatus, SinceQuery::default())).await;
    assert!(matches!(refused, Err(ClientError::Refused(RejectReason::NotAuthorised))));
    drop(desk);
    setting.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_none_change_nothing() {
    let mut setting =
        Setting::open("request_ms = 60000\nretries = 0\nrest_after = 100\nanswer_mib = 1").await;
    let megabyte = vec![b' '; 1 << 20];
    let theirs = setting.reading(OTHER_RETAILER, FIRST, 100, 0);
    let forged = seal(RETAILER, &cast::party_key(OTHER_RETAILER), b"{}");
    for (name, kind, status, body, expected) in [
        ("garbage", "application/json", 200, b"\xff\0{".to_vec(), ("malformed", 1, 0, 0, 0)),
        ("a page", "text/html", 200, envelope(&[]), ("malformed", 1, 0, 0, 0)),
        (
            "too much",
            "application/json",
            200,
            [megabyte, envelope(&[])].concat(),
            ("too_large", 1, 0, 0, 0),
        ),
        ("elsewhere", "application/json", 302, Vec::new(), ("status", 1, 0, 0, 0)),
        ("nothing", "application/json", 204, Vec::new(), ("nothing_yet", 1, 0, 0, 0)),
        ("no document", "application/json", 200, envelope(&[]), ("nothing_yet", 1, 0, 0, 0)),
        ("another party's", "application/json", 200, envelope(&[theirs]), ("refused", 1, 1, 0, 1)),
        ("forged", "application/json", 200, envelope(&[forged]), ("refused", 1, 1, 0, 1)),
        ("a number", "application/json", 200, envelope(&[b"7".to_vec()]), ("refused", 1, 1, 0, 1)),
    ] {
        let round = setting.round();
        soon(setting.first.next()).await.answer_as(kind, status, body);
        // The other server has nothing yet.
        soon(setting.second.next()).await.answer(204, "");
        soon(round).await.unwrap();
        let pulls = setting.pulls().await;
        assert_eq!(said(&pulls[0]), expected, "{name}: {:?}", pulls[0]);
        assert_eq!(said(&pulls[1]), ("nothing_yet", 1, 0, 0, 0), "{name}");
        assert_eq!(setting.missing().await, [1, 2], "{name}");
    }
    let details = setting.pulls().await.swap_remove(0);
    assert_eq!((details.detail.as_str(), details.failures), ("malformed", 3));
    // One good document among bad ones counts, and what contradicts it is kept as evidence.
    let round = setting.round();
    let changed = setting.reading(RETAILER, FIRST, 99, 0);
    let mixed = [setting.sold(), b"{}".to_vec(), changed];
    soon(setting.first.next()).await.documents(&mixed);
    soon(setting.second.next()).await.documents(&[setting.bought()]);
    soon(round).await.unwrap();
    let row = setting.pulls().await.swap_remove(0);
    assert_eq!(said(&row), ("answered", 1, 3, 1, 2));
    assert_eq!((row.detail.as_str(), row.failures), ("equivocation", 0));
    let desk = setting.venue.desk(RETAILER).await;
    let text = soon(desk.since(RequestKind::Documents, SinceQuery::default())).await.unwrap();
    let kept: Value = serde_json::from_str(&text).unwrap();
    let results: Vec<_> = kept.as_array().unwrap().iter().map(|row| &row["result"]).collect();
    assert_eq!(results, ["taken", "equivocation"]);
    drop(desk);
    setting.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_answers_rests_and_is_tried_again() {
    let lines = "request_ms = 100\nround_ms = 60000\nretries = 1\nretry_ms = 1\nrest_after = 2";
    let mut setting = Setting::open(lines).await;
    for (requests, failures) in [(2, 1), (2, 2)] {
        soon(setting.round()).await.unwrap();
        let row = setting.pulls().await.swap_remove(0);
        assert_eq!(said(&row), ("timeout", requests, 0, 0, 0), "{row:?}");
        assert_eq!(row.failures, failures);
    }
    let rests = setting.pulls().await.swap_remove(0).next_try;
    let until = setting.venue.now().plus_ns(15 * 60_000_000_000);
    assert_eq!(rests, Some(until.to_string()));
    let asked =
        |server: &mut MeterServer| std::iter::from_fn(|| server.asked.try_recv().ok()).count();
    let before = asked(&mut setting.first);
    assert!(before <= 4, "two rounds of two attempts, as far as they arrived: {before}");
    soon(setting.round()).await.unwrap();
    assert_eq!(asked(&mut setting.first), 0, "it rests");
    setting.venue.set_clock(until).await;
    soon(setting.round()).await.unwrap();
    let row = setting.pulls().await.swap_remove(0);
    assert_eq!((row.requests, row.failures), (1, 3), "one attempt after a rest: {row:?}");
    setting.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_shows_another_certificate_gets_nothing() {
    let setting = Setting::open("request_ms = 60000\nretries = 0").await;
    let Setting { venue, first, second } = setting;
    // Both know the wrong one now.
    let url = |server: &MeterServer| {
        Url::parse(&format!("https://localhost:{}", server.address.port())).unwrap()
    };
    let mut stopped = venue.closed_for_repair().await;
    let pinned = Some("meters-2.pem".into());
    stopped.set_endpoints(vec![
        Endpoint { party: RETAILER, url: url(&first), trust: pinned },
        Endpoint { party: OTHER_RETAILER, url: url(&second), trust: None },
    ]);
    let mut setting = Setting { venue: stopped.start().await, first, second };
    soon(setting.round()).await.unwrap();
    for row in setting.pulls().await {
        assert_eq!(said(&row), ("unreachable", 1, 0, 0, 0));
        assert!(row.detail.contains("certificate"), "{row:?}");
    }
    assert!(setting.first.asked.try_recv().is_err(), "no page was sent");
    assert!(setting.second.asked.try_recv().is_err());
    setting.close().await;
}
