//! What parties are told: by events, by pages, and by webhooks whose servers fail in every way.

use std::{collections::BTreeMap, ops::RangeInclusive};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::VerifyingKey;
use exchange::notices::{Webhook, target::WebhookUrl};
use hyper::Method;
use serde_json::{Value, json};
use tests::{
    api::{ApiCaller, config_text},
    cast::{self, FIRST, SECOND},
    https::{Version, Wire},
    platform::Platform,
    receiver::Receiver,
    venue::{Stopped, Venue, soon},
};
use types::{Party, Role, Side};

const RETAILER: Party = Party { role: Role::Retailer, number: 1 };
const OTHER_RETAILER: Party = Party { role: Role::Retailer, number: 2 };
const PLATFORM: Party = Party { role: Role::Platform, number: 1 };
const UTILITY: Party = Party { role: Role::Utility, number: 1 };
const OPERATOR: Party = Party { role: Role::Operator, number: 1 };

/// Pauses that nobody notices; small bodies, so that order shows.
const HASTY: &str =
    "[webhooks]\nbatch = 2\nrequest_ms = 400\nretry_min_ms = 10\nretry_max_s = 1\n\n[settlement]\n";

fn text() -> String {
    config_text("").replacen("[settlement]\n", HASTY, 1)
}

fn set(stopped: &mut Stopped, hooks: &[(Party, &str)]) {
    let webhook = |&(party, url): &(Party, &str)| {
        let url = WebhookUrl::parse(url).unwrap();
        Webhook { party, url, trust: None }
    };
    stopped.set_webhooks(hooks.iter().map(webhook).collect());
}

/// A venue with these webhooks, shortly before the slot at noon.
async fn venue_with(hooks: &[(Party, &str)]) -> Venue {
    let mut stopped = Venue::open_with(&text()).await.closed_for_repair().await;
    set(&mut stopped, hooks);
    let venue = stopped.start().await;
    venue.clock_to(-29).await;
    venue
}

/// Meter 1 sells to meter 2, by orders with these numbers.
async fn trade(venue: &Venue, numbers: RangeInclusive<u64>) {
    let mut first = Platform::log_on(venue, 1).await;
    let mut second = Platform::log_on(venue, 2).await;
    let mut last = None;
    for number in 1..=*numbers.end() {
        let sell = first.order(FIRST, Side::Sell, 100, 500);
        let buy = second.order(SECOND, Side::Buy, 100, 500);
        if numbers.contains(&number) {
            first.accepted(sell).await;
            last = Some(second.accepted(buy).await.seq);
        }
    }
    venue.settled_through(last.unwrap()).await;
}

async fn caller(venue: &Venue, party: Party) -> ApiCaller {
    ApiCaller::connect(venue, party, Version::Http1).await
}

/// All that a party is told after a notice, page by page, and through which number.
async fn told(venue: &Venue, party: Party, after: u64) -> (Vec<Value>, u64) {
    let mut api = caller(venue, party).await;
    let (mut all, mut through) = (Vec::new(), after);
    loop {
        let page = api.get(&format!("/v1/notices?limit=3&after={through}")).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let page = page.json();
        all.extend(page["notices"].as_array().unwrap().iter().cloned());
        through = page["through"].as_u64().unwrap();
        if page["next"].is_null() {
            return (all, through);
        }
    }
}

fn number(notice: &Value) -> u64 {
    notice["notice"].as_u64().unwrap()
}

/// What came, each once; a repetition says the same.
fn distinct(came: Vec<Value>) -> Vec<Value> {
    let mut known = BTreeMap::new();
    for notice in came {
        let before = known.insert(number(&notice), notice.clone());
        assert!(before.is_none_or(|before| before == notice), "{notice}");
    }
    known.into_values().collect()
}

async fn state(venue: &Venue, party: Party) -> Value {
    caller(venue, party).await.get("/v1/webhook").await.json()
}

async fn public_key(venue: &Venue, party: Party) -> VerifyingKey {
    let key = state(venue, party).await["public_key"].as_str().unwrap().to_owned();
    let bytes = STANDARD.decode(key).unwrap();
    VerifyingKey::from_bytes(&bytes.try_into().unwrap()).unwrap()
}

/// Waits until a webhook has acknowledged a number.
async fn acknowledged(venue: &Venue, party: Party, through: u64) {
    let mut api = caller(venue, party).await;
    let reached = async {
        while api.get("/v1/webhook").await.json()["through"].as_u64().unwrap() < through {
            tokio::task::yield_now().await;
        }
    };
    soon(reached).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_fails_in_every_way_is_told_everything_in_order() {
    let (mut bad, mut good, mut other) =
        (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    let hooks = [(RETAILER, bad.url()), (OTHER_RETAILER, good.url())];
    let hooks: Vec<_> = hooks.iter().map(|(party, url)| (*party, url.as_str())).collect();
    let venue = venue_with(&hooks).await;
    trade(&venue, 1..=3).await;
    let (expected, _) = told(&venue, RETAILER, 0).await;
    let last = number(expected.last().unwrap());
    // The one that answers nothing so far holds nobody up.
    let (others, _) = told(&venue, OTHER_RETAILER, 0).await;
    let others_last = number(others.last().unwrap());
    assert_eq!(distinct(good.through(others_last).await), others);

    let key = public_key(&venue, RETAILER).await;
    let mut came = Vec::new();
    let first = bad.next().await;
    let now = venue.now().ns().div_euclid(1_000_000_000);
    assert_eq!(first.signed_at(&key), Some(now));
    assert_eq!(first.header("content-type"), "application/json");
    let begins = first.notices();
    came.extend(begins.clone());
    first.answer(500);
    let second = bad.next().await;
    assert_eq!(second.notices()[0], begins[0], "it is told again");
    second.cut();
    bad.next().await.redirect(&other.url());
    // Nobody answers this one: its time ends.
    drop(bad.next().await);
    bad.next().await.answer(404);
    loop {
        let call = bad.next().await;
        assert!(call.signed_at(&key).is_some());
        let notices = call.notices();
        assert!(notices.len() <= 2 && notices.is_sorted_by_key(number));
        let reached: u64 = call.header("gridcross-notice").parse().unwrap();
        assert_eq!(Some(reached), notices.last().map(number));
        came.extend(notices);
        call.answer(200);
        if reached >= last {
            break;
        }
    }
    assert_eq!(distinct(came), expected);
    assert!(other.called.try_recv().is_err(), "nobody follows a redirection");
    acknowledged(&venue, RETAILER, last).await;
    let state = state(&venue, RETAILER).await;
    assert_eq!((&state["failures"], &state["last_error"]), (&0.into(), &Value::Null));
    assert!(state["calls_failed"].as_u64().unwrap() >= 5, "{state}");
    let figures = figures(&venue).await;
    let line = "gridcross_webhook_backlog{role=\"retailer\"} 0";
    assert!(figures.contains(line), "{figures}");
    assert!(figures.contains("gridcross_webhook_failures_total{role=\"retailer\"}"), "{figures}");
    venue.close().await;
}

/// `/metrics` of a venue that has everything there is a figure of.
pub(crate) async fn every_figure() -> String {
    let receiver = Receiver::start().await;
    let venue = venue_with(&[(RETAILER, &receiver.url())]).await;
    trade(&venue, 1..=1).await;
    venue.node.settlement.checkpoint().await.unwrap();
    let figures = figures(&venue).await;
    venue.close().await;
    figures
}

async fn figures(venue: &Venue) -> String {
    let address = venue.node.operations_address().unwrap();
    let mut stream = soon(tokio::net::TcpStream::connect(address)).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    soon(tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())).await.unwrap();
    let mut text = String::new();
    soon(tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text)).await.unwrap();
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_loses_no_notice_and_a_party_can_have_them_again() {
    let mut receiver = Receiver::start().await;
    let url = receiver.url();
    let venue = venue_with(&[(RETAILER, &url)]).await;
    trade(&venue, 1..=1).await;
    let (first, through) = told(&venue, RETAILER, 0).await;
    let key = public_key(&venue, RETAILER).await;
    assert_eq!(distinct(receiver.through(number(first.last().unwrap())).await), first);
    acknowledged(&venue, RETAILER, through).await;
    trade(&venue, 2..=3).await;
    // On its way while the exchange stops: nobody says that it arrived.
    let unanswered = receiver.next().await.notices();
    let mut stopped = venue.closed_for_repair().await;
    set(&mut stopped, &[(RETAILER, &url)]);
    let venue = stopped.start().await;
    let (all, through) = told(&venue, RETAILER, 0).await;
    let rest: Vec<_> = all[first.len()..].to_vec();
    assert_eq!(unanswered[0], rest[0]);
    let again = receiver.through(number(rest.last().unwrap())).await;
    assert_eq!(distinct(again), rest, "behind what was acknowledged, and nothing is lost");
    assert_eq!(public_key(&venue, RETAILER).await, key, "the key is the same");
    acknowledged(&venue, RETAILER, through).await;

    // Set back by the party, and by the operator.
    let asked = [
        (RETAILER, json!({ "after": 0 }), all.clone()),
        (OPERATOR, json!({ "party": "retailer/1", "after": number(&rest[0]) }), rest[1..].to_vec()),
    ];
    for (who, body, expected) in asked {
        let mut api = caller(&venue, who).await;
        let answer = api.post_as("/v1/webhook/replay", &body.to_string(), "").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let came = receiver.through(number(expected.last().unwrap())).await;
        assert_eq!(distinct(came), expected, "{who}");
        acknowledged(&venue, RETAILER, through).await;
    }
    for (who, body, status) in [
        (OTHER_RETAILER, json!({ "party": "retailer/1", "after": 0 }), 403),
        (OTHER_RETAILER, json!({ "after": 0 }), 404),
        (OPERATOR, json!({ "after": 0 }), 404),
        (OPERATOR, json!({ "party": "retailer/x", "after": 0 }), 400),
        (RETAILER, json!({ "after": through + 1 }), 400),
        (RETAILER, json!({ "after": 0, "to": 1 }), 400),
        (RETAILER, json!({}), 400),
    ] {
        let mut api = caller(&venue, who).await;
        let answer = api.post_as("/v1/webhook/replay", &body.to_string(), "").await;
        assert_eq!(answer.status, status, "{who} {body}: {}", answer.text);
    }
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_is_told_their_own_and_no_more() {
    let venue = Venue::open_with(&config_text("")).await;
    venue.clock_to(-29).await;
    trade(&venue, 1..=1).await;
    let slot = venue.slot(0).slot;
    let meter = types::MeterId::new(1);
    let (cap, reason) = (types::Energy::from_wh(400), settlement::CurtailmentReason::Outage);
    let body = settlement::Curtailment { meter, slot, cap, reason, revision: 1 }.to_body();
    let document = settlement::seal(UTILITY, &cast::party_key(UTILITY), &body);
    soon(venue.desk(UTILITY).await.submit(&document)).await.unwrap();
    venue.clock_to(16).await;
    for (retailer, meter, injected, withdrawn) in [(1, FIRST, 400, 0), (2, SECOND, 0, 450)] {
        let party = cast::party(Role::Retailer, retailer);
        let file = meter_file(slot, meter, injected, withdrawn);
        let document = settlement::seal(party, &cast::party_key(party), &file.to_body());
        soon(venue.desk(party).await.submit(&document)).await.unwrap();
    }
    venue.node.settlement.verify(venue.now()).await.unwrap();
    let words = |notices: &[Value]| {
        let seen = |notice: &Value, key: &str| !notice[key].is_null();
        let word = |notice: &Value| {
            let own =
                [("buyer_meter", "B"), ("seller_meter", "S"), ("price", "P"), ("energy_due", "D")];
            let own: String = own
                .iter()
                .filter(|(key, _)| seen(notice, key))
                .map(|(_, letter)| *letter)
                .collect();
            format!(
                "{}{}{own}",
                notice["what"].as_str().unwrap(),
                if own.is_empty() { "" } else { ":" }
            )
        };
        notices.iter().map(word).collect::<Vec<_>>().join(" ")
    };
    let mut table = String::new();
    for (role, number) in [
        (Role::Platform, 1),
        (Role::Platform, 2),
        (Role::Platform, 3),
        (Role::Retailer, 1),
        (Role::Retailer, 2),
        (Role::Retailer, 3),
        (Role::Utility, 1),
        (Role::Utility, 3),
    ] {
        let party = cast::party(role, number);
        let (notices, _) = told(&venue, party, 0).await;
        table += &format!("{party}: {}.\n", words(&notices));
    }
    expect_test::expect![[r#"
        platform/1: contract:SP curtailed:SP outcome:SPD.
        platform/2: contract:BP curtailed:BP outcome:BPD.
        platform/3: .
        retailer/1: contract:S curtailed:S document outcome:S.
        retailer/2: contract:B curtailed:B document outcome:B.
        retailer/3: .
        utility/1: contract:S curtailed:S document outcome:S.
        utility/3: .
    "#]]
    .assert_eq(&table);
    let mut operator = caller(&venue, OPERATOR).await;
    assert_eq!(operator.get("/v1/notices").await.status, 403);
    let (notices, _) = told(&venue, PLATFORM, 0).await;
    let outcome = notices.iter().find(|notice| notice["what"] == "outcome").unwrap();
    let proof = caller(&venue, PLATFORM).await.get("/v1/contracts/1").await.json();
    assert_eq!(outcome["leaf"], proof["leaf"], "what it says can be proven");
    assert_eq!((&outcome["settled_wh"], &outcome["run"]), (&400.into(), &1.into()));
    venue.close().await;
}

fn meter_file(
    slot: types::DeliverySlot,
    meter: types::MeterId,
    injected: u64,
    withdrawn: u64,
) -> settlement::MeterFile {
    use settlement::{Interval, MeterFile, Quality, Reading, allocation::Metered};
    let energy = types::Energy::from_wh;
    let metered = Metered { injected: energy(injected), withdrawn: energy(withdrawn) };
    let readings = vec![Reading { meter, metered, quality: Quality::Measured }];
    let intervals = vec![Interval { start: slot.start(), readings }];
    MeterFile { market: types::MarketId::new(1), revision: 1, minutes: 15, intervals }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_cut_goes_on_where_it_was() {
    let venue = Venue::open_with(&config_text("")).await;
    venue.clock_to(-29).await;
    let connector = venue.connector(RETAILER);
    let address = venue.node.api_address().unwrap();
    let connector = gateway::client::Connector { address, ..connector };
    let mut wire = Wire::connect(&connector, b"http/1.1").await.unwrap();
    wire.bytes(b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    // An open stream is told what happens, without asking again.
    trade(&venue, 1..=1).await;
    let (first, _) = told(&venue, RETAILER, 0).await;
    let seen = number(first.last().unwrap());
    wire.until(&format!("id: {seen}\nevent: contract\n")).await;
    drop(wire);
    trade(&venue, 2..=3).await;
    let (rest, _) = told(&venue, RETAILER, seen).await;
    assert_eq!(rest.len(), 2);
    let seen = seen.to_string();
    let headers = [("last-event-id", seen.as_str())];
    let request = ApiCaller::request(&Method::GET, "/v1/events?once=true", &headers, "");
    let mut api = caller(&venue, RETAILER).await;
    let by_header = api.send(request).await.text;
    let by_query = api.get(&format!("/v1/events?once=true&after={seen}")).await.text;
    assert_eq!(by_header, by_query);
    let data: Vec<Value> = by_header
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert_eq!(data, rest);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_reaches_no_service_of_the_machines_around() {
    // A name or number of a service that only machines inside should reach.
    let inside = "https://169.254.169.254/latest/meta-data";
    let mut receiver = Receiver::start().await;
    let url = receiver.url();
    let venue = venue_with(&[(RETAILER, inside), (UTILITY, &url)]).await;
    trade(&venue, 1..=1).await;
    let (others, _) = told(&venue, UTILITY, 0).await;
    assert_eq!(distinct(receiver.through(number(others.last().unwrap())).await), others);
    let mut api = caller(&venue, RETAILER).await;
    let error = async {
        loop {
            let error = api.get("/v1/webhook").await.json()["last_error"].clone();
            if let Some(error) = error.as_str() {
                return error.to_owned();
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(soon(error).await, "`169.254.169.254` has no address that may be called");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_or_changed_call_is_told_apart() {
    let mut receiver = Receiver::start().await;
    let url = receiver.url();
    let venue = venue_with(&[(RETAILER, &url)]).await;
    trade(&venue, 1..=1).await;
    let key = public_key(&venue, RETAILER).await;
    let mut call = receiver.next().await;
    assert!(call.signed_at(&key).is_some());
    let body = call.body.clone();
    let text = String::from_utf8(body.to_vec()).unwrap();
    call.body = text.replace("retailer/1", "retailer/2").into();
    assert_eq!(call.signed_at(&key), None, "another body");
    call.body = body;
    call.target.1.push_str("/elsewhere");
    assert_eq!(call.signed_at(&key), None, "another server");
    call.target.1 = url.clone();
    let number = call.header("gridcross-notice").parse::<u64>().unwrap();
    let next = (number + 1).to_string().parse().unwrap();
    let own = call.headers.insert("gridcross-notice", next).unwrap();
    assert_eq!(call.signed_at(&key), None, "another number");
    call.headers.insert("gridcross-notice", own);
    // Of the ledger's key: whoever had only that could not sign for webhooks.
    let other = cast::ledger_key().verifying_key();
    assert_eq!(call.signed_at(&other), None);
    assert!(call.signed_at(&key).is_some());
    call.answer(200);
    venue.close().await;
}
