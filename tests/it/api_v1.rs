//! The API's own reads, its edge and the listener for operations.

use std::fmt::Write as _;

use expect_test::expect;
use gateway::authority::{Holder, Purpose, Reason, Revoked, Validity};
use hyper::Method;
use serde_json::Value;
use settlement::{
    LeafProof, Month, statement,
    tlog::{note::VerifierKey, trust::TrustPolicy},
};
use tests::{
    api::{Answer, ApiCaller, config_text},
    cast,
    https::{Version, Wire},
    venue::{Venue, soon},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use types::{Party, RetailerId, Role};

use crate::api::traded;

async fn caller(venue: &Venue, role: Role, number: u16) -> ApiCaller {
    ApiCaller::connect(venue, cast::party(role, number), Version::Http2).await
}

/// The month in which what is traded is delivered, by UTC.
fn month_of(venue: &Venue) -> String {
    venue.slot(0).slot.start().to_string()[..7].to_owned()
}

/// The number of the first contract.
async fn first_contract(venue: &Venue) -> u64 {
    let listed = caller(venue, Role::Operator, 1).await.get("/v1/contracts").await.json();
    listed["contracts"][0]["contract"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_endpoint_role_and_foreign_id() {
    let venue = traded("").await;
    venue.node.settlement.checkpoint().await.unwrap();
    let contract = first_contract(&venue).await;
    let body = format!(r#""transactionId":"{contract}","orderItemId":"{contract}""#);
    let (start, end) = (venue.slot(0).slot.start(), venue.slot(0).slot.end());
    let span = format!(r#""deliveryStartTime":"{start}","deliveryEndTime":"{end}""#);
    let posts = [
        ("/ledger/put", format!(r#"{{"role":"BUYER",{body}}}"#)),
        ("/ledger/put", format!(r#"{{"role":"SELLER",{body}}}"#)),
        (
            "/ledger/record",
            format!(r#"{{"role":"BUYER_DISCOM",{body},"statusBuyerDiscom":"CONFIRMED"}}"#),
        ),
        (
            "/ledger/record",
            format!(r#"{{"role":"SELLER_DISCOM",{body},"statusSellerDiscom":"CONFIRMED"}}"#),
        ),
        (
            "/ledger/allocate",
            format!(r#"{{"meterId":"METER-1","discomId":"retailer/1",{span},"actualImported":0}}"#),
        ),
        ("/ledger/get", format!(r#"{{"recordId":"{contract}"}}"#)),
    ];
    let own = ["instruments", "slots", "auctions"].map(str::to_owned);
    let gets = [
        format!("contracts/{contract}"),
        format!("contracts/{contract}/proof"),
        "schedules?utility=1".to_owned(),
        "meter-files".to_owned(),
        format!("declarations?meter=1&from={start}&to={end}"),
        format!("statements/1?month={}", month_of(&venue)),
    ];
    let told = ["events?once=true", "notices", "webhook"].map(str::to_owned);
    let roles = [Role::Platform, Role::Retailer, Role::Utility];
    let mut parties: Vec<Party> =
        roles.into_iter().flat_map(|role| (1..=3).map(move |n| cast::party(role, n))).collect();
    parties.push(cast::party(Role::Operator, 1));
    parties.push(cast::party(Role::Settlement, 1));
    let mut table = String::new();
    for party in parties {
        let mut api = ApiCaller::connect(&venue, party, Version::Http2).await;
        write!(table, "{party}:").unwrap();
        for (path, body) in &posts {
            let answer = api.post(&venue, path, body).await;
            // Of a question, what counts is whether the record is seen.
            let seen = answer.json()["count"].as_u64().filter(|_| *path == "/ledger/get");
            let seen = seen.map_or(String::new(), |count| format!("/{count}"));
            write!(table, " {}{seen}", answer.status).unwrap();
        }
        write!(table, " |").unwrap();
        for path in own.iter().chain(&gets).chain(&told) {
            write!(table, " {}", api.get(&format!("/v1/{path}")).await.status).unwrap();
        }
        writeln!(table).unwrap();
    }
    expect![[r#"
        platform/1: 403 200 403 403 403 200/1 | 200 200 200 200 200 403 403 200 403 200 200 404
        platform/2: 200 403 403 403 403 200/1 | 200 200 200 200 200 403 403 404 403 200 200 404
        platform/3: 401 401 403 403 403 401 | 200 200 200 404 404 403 403 404 403 200 200 404
        retailer/1: 403 403 403 200 400 200/1 | 200 200 200 200 403 403 200 200 200 200 200 404
        retailer/2: 403 403 200 403 403 200/1 | 200 200 200 200 403 403 200 404 403 200 200 404
        retailer/3: 403 403 401 401 401 401 | 200 200 200 404 404 403 200 404 403 200 200 404
        utility/1: 403 403 404 404 403 200/1 | 200 200 200 200 403 200 200 200 403 200 200 404
        utility/2: 403 403 404 404 403 200/1 | 200 200 200 200 403 403 200 404 403 200 200 404
        utility/3: 403 403 401 401 401 401 | 200 200 200 404 404 403 200 404 403 200 200 404
        operator/1: 403 403 403 403 403 200/1 | 200 200 200 200 200 200 200 200 200 403 403 404
        settlement/1: 403 403 403 403 403 403 | 403 403 403 403 403 403 403 403 403 403 403 403
    "#]]
    .assert_eq(&table);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_page_and_know_what_the_caller_has() {
    let venue = traded("").await;
    let mut api = ApiCaller::connect(&venue, cast::party(Role::Retailer, 1), Version::Http1).await;
    let first = api.get("/v1/contracts?limit=1").await.json();
    let next = first["next"].as_u64().unwrap();
    let second = api.get(&format!("/v1/contracts?limit=1&after={next}")).await;
    let line = &second.json()["contracts"][0];
    assert_ne!(line["contract"], first["contracts"][0]["contract"]);
    assert_eq!(line["price"], Value::Null, "a retailer sees no price");
    assert_eq!(line["seller"]["meter"], "METER-1");
    assert_eq!(line["buyer"]["meter"], Value::Null, "another retailer's meter");
    let tag = second.tag.unwrap();
    let headers = [("if-none-match", tag.as_str())];
    let path = format!("/v1/contracts?limit=1&after={next}");
    let request = ApiCaller::request(&Method::GET, &path, &headers, "");
    let known = api.send(request).await;
    assert_eq!((known.status, known.text.as_str()), (304, ""));

    let instruments = api.get("/v1/instruments").await.json();
    let instrument = &instruments["instruments"][0];
    let said = ["market", "unit", "tick", "lot_wh", "price_scale"]
        .map(|name| instrument[name].to_string());
    assert_eq!(said, ["1", "\"kWh\"", "0.001", "10", "6"]);
    let slots = api.get("/v1/slots").await.json();
    let phases: Vec<_> =
        slots["slots"].as_array().unwrap().iter().map(|slot| slot["phase"].clone()).collect();
    assert_eq!(phases, ["continuous", "call", "call"]);
    // Every call that ended by now is final; the two that run say what they would do.
    let auctions = api.get("/v1/auctions?market=1").await.json();
    let stages: Vec<_> = auctions["auctions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|auction| auction["status"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(stages, [vec!["final"; 9], vec!["preliminary"; 2]].concat());
    for (path, status, code) in [
        ("/v1/contracts?limit=0", 400, "bad_value"),
        ("/v1/contracts?color=red", 400, "unknown_field"),
        ("/v1/contracts?limit=1&limit=2", 400, "duplicate_key"),
        ("/v1/contracts?limit=many", 400, "bad_value"),
        ("/v1/contracts/01", 400, "bad_value"),
        ("/v1/contracts/99", 404, "not_found"),
        ("/v1/declarations?meter=1", 400, "missing_field"),
        ("/v1/auctions?from=yesterday", 400, "bad_value"),
        ("/v1/none", 404, "unknown_path"),
        ("/ledger/get", 405, "wrong_method"),
    ] {
        let answer = api.get(path).await;
        let body = answer.json();
        assert_eq!((answer.status, body["code"].as_str().unwrap()), (status, code), "{path}");
        assert_eq!(answer.kind, "application/problem+json", "{path}");
        assert_eq!(body["retryable"], false, "{path}");
    }
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_file_verifies_with_the_ledgers_key_alone() {
    let venue = traded("").await;
    let contract = first_contract(&venue).await;
    let path = format!("/v1/contracts/{contract}/proof");
    let mut api = caller(&venue, Role::Platform, 1).await;
    let early = api.get(&path).await;
    assert_eq!((early.status, early.json()["code"].clone()), (409, "not_yet".into()));
    venue.node.settlement.checkpoint().await.unwrap();
    let proof = api.get(&path).await;
    assert_eq!(proof.status, 200, "{}", proof.text);
    let key = venue.node.settlement.rail(|desk, _| Ok(desk.ledger_verifier())).await.unwrap();
    let trust = TrustPolicy::of_log(VerifierKey::parse(&key).unwrap());
    assert!(LeafProof::parse(&proof.text).unwrap().verify(&trust).is_ok());
    let bent = proof.text.replacen("extra", "Extra", 1);
    let other = if bent == proof.text { proof.text.replacen('A', "B", 1) } else { bent };
    let judged = LeafProof::parse(&other).map(|proof| proof.verify(&trust).is_ok());
    assert!(!matches!(judged, Ok(true)), "{other}");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_is_the_file_that_the_exchange_signs() {
    let venue = traded("").await;
    venue.node.settlement.checkpoint().await.unwrap();
    let month = month_of(&venue);
    let path = format!("/v1/statements/1?month={month}");
    let mut api = caller(&venue, Role::Retailer, 1).await;
    let got = api.get(&path).await;
    assert_eq!((got.status, got.kind.as_str()), (200, "application/x-ndjson"), "{}", got.text);
    let of = Month::new(&month, 0).unwrap();
    let desk = &venue.node.settlement;
    let file = desk.rail(move |books, _| {
        let made = books.statement(RetailerId::new(1), &of, None)?;
        Ok(made.map(|made| books.seal_statement(&made)))
    });
    assert_eq!(got.text, file.await.unwrap().unwrap());
    let key = desk.rail(|books, _| Ok(books.ledger_verifier())).await.unwrap();
    let key = VerifierKey::parse(&key).unwrap();
    let read = statement::verify(&got.text, &key.key).unwrap();
    assert_eq!(read.lines.len(), 2, "its side of two contracts");

    let tag = got.tag.unwrap();
    let headers = [("if-none-match", tag.as_str())];
    let known = api.send(ApiCaller::request(&Method::GET, &path, &headers, "")).await;
    assert_eq!((known.status, known.text.as_str()), (304, ""));
    let first = api.get(&format!("{path}&revision=1")).await;
    assert_eq!(first.text, got.text);
    for ahead in ["+05:30", "%2B05:30"] {
        let local = api.get(&format!("{path}&utc_offset={ahead}")).await;
        assert!(local.text.contains("\"utc_offset_minutes\":330"), "{}", local.text);
    }
    for (asked, status, code, field) in [
        ("1", 400, "missing_field", "month"),
        ("1?month=june", 400, "bad_value", "month"),
        ("1?month=2026-13", 400, "bad_value", "month"),
        ("1?month=2026-06&utc_offset=5", 400, "bad_value", "utc_offset"),
        ("01?month=2026-06", 400, "bad_value", "retailer"),
        ("1?month=2026-06&year=1", 400, "unknown_field", "year"),
        ("1?month=2026-06&revision=9", 404, "not_found", ""),
        ("2?month=2026-06", 403, "not_authorised", ""),
    ] {
        let answer = api.get(&format!("/v1/statements/{asked}")).await;
        let body = answer.json();
        let said = (answer.status, body["code"].as_str().unwrap());
        assert_eq!(said, (status, code), "{asked}");
        assert_eq!(body["field"].as_str().unwrap_or_default(), field, "{asked}");
        assert_eq!(answer.kind, "application/problem+json", "{asked}");
    }
    let mut operator = caller(&venue, Role::Operator, 1).await;
    assert_eq!(operator.get(&path).await.text, got.text);
    let nobody = operator.get("/v1/statements/99?month=2026-06").await;
    assert_eq!((nobody.status, nobody.json()["code"].clone()), (404, "not_found".into()));
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instruments_say_when_the_next_call_is() {
    let cycles = "[[markets.auctions]]\nat = \"12:30\"\nslots = \"today\"\ncall_minutes = 10\n\
                  [[markets.auctions]]\nevery = \"*/15 * * * *\"\nslots = \"open\"\n\n[settlement]\n";
    let text = config_text("").replacen("[settlement]\n", cycles, 1);
    let venue = Venue::open_with(&text).await;
    venue.clock_to(3).await;
    let instruments = caller(&venue, Role::Platform, 1).await.get("/v1/instruments").await.json();
    let cycles = &instruments["instruments"][0]["auction_cycles"];
    let today = venue.slot(0).slot.start().to_string()[..10].to_owned();
    // Noon of the market is two hours before that of UTC.
    let noon = |minute: &str| format!("{today}T10:{minute}:00Z");
    let expected = serde_json::json!([
        {"at": "12:30", "every": null, "slots": "today", "call_minutes": 10,
         "next_call": noon("20"), "next_auction": noon("30")},
        {"at": null, "every": "*/15 * * * *", "slots": "open", "call_minutes": 5,
         "next_call": noon("10"), "next_auction": noon("15")},
    ]);
    assert_eq!(*cycles, expected);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_resume_where_the_client_was() {
    let venue = traded("").await;
    let slot = venue.slot(0).slot;
    for (meter, cap) in [(1, 400), (2, 300)] {
        let utility = cast::party(Role::Utility, meter);
        let cap = types::Energy::from_wh(cap);
        let reason = settlement::CurtailmentReason::Outage;
        let meter = types::MeterId::new(meter.into());
        let body = settlement::Curtailment { meter, slot, cap, reason, revision: 1 }.to_body();
        let document = settlement::seal(utility, &cast::party_key(utility), &body);
        let desk = venue.desk(utility).await;
        soon(desk.submit(&document)).await.unwrap();
    }
    let mut api = caller(&venue, Role::Retailer, 1).await;
    let all = api.get("/v1/events?once=true").await;
    assert_eq!(all.kind, "text/event-stream");
    let ids = |answer: &Answer| -> Vec<u64> {
        let lines = answer.text.lines().filter_map(|line| line.strip_prefix("id: "));
        lines.map(|id| id.parse().unwrap()).collect()
    };
    let seen = ids(&all);
    assert_eq!(seen.len(), 6, "{}", all.text);
    assert!(all.text.contains("event: curtailed\ndata: {"), "{}", all.text);
    let last = seen[1].to_string();
    let headers = [("last-event-id", last.as_str())];
    let request = ApiCaller::request(&Method::GET, "/v1/events?once=true", &headers, "");
    assert_eq!(ids(&api.send(request).await), seen[2..]);
    let headers = [("last-event-id", "x")];
    let request = ApiCaller::request(&Method::GET, "/v1/events", &headers, "");
    assert_eq!(api.send(request).await.status, 400);
    // A stream that goes on says at once what is there, and ends with the exchange.
    let connector = venue.connector(cast::party(Role::Retailer, 1));
    let address = venue.node.api_address().unwrap();
    let connector = gateway::client::Connector { address, ..connector };
    let mut wire = Wire::connect(&connector, b"http/1.1").await.unwrap();
    wire.bytes(b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    wire.until(&format!("id: {}", seen[5])).await;
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_without_a_certificate_and_nobody_too_often() {
    let venue = Venue::open_with(&config_text("requests_per_s = 1\nrequests_burst = 3")).await;
    let party = cast::party(Role::Retailer, 1);
    let connector = venue.connector(party);
    let address = venue.node.api_address().unwrap();
    let connector = gateway::client::Connector { address, ..connector };
    let mut nameless = Wire::connect_nameless(&connector).await.unwrap();
    nameless.bytes(b"GET /v1/instruments HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let mut nothing = Vec::new();
    assert!(soon(nameless.stream.read_to_end(&mut nothing)).await.is_err() || nothing.is_empty());

    let mut api = ApiCaller::connect(&venue, party, Version::Http2).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(api.get("/v1/instruments").await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
    let refused = api.get("/v1/instruments").await.json();
    assert_eq!(
        (&refused["code"], &refused["retryable"]),
        (&"too_many_requests".into(), &true.into())
    );
    let mut other = caller(&venue, Role::Retailer, 2).await;
    assert_eq!(other.get("/v1/instruments").await.status, 200, "others are not held up");

    let mut authority = gateway::Authority::open(&venue.layout.keys()).unwrap();
    let lists = Validity::development();
    let revoked = Revoked { at: lists.from, reason: Reason::KeyCompromise };
    authority.revoke(Holder::Party(party), Purpose::Transport, revoked, lists).unwrap();
    // The list is read within a second, and the connection ends within another.
    let ended = async {
        loop {
            let request = ApiCaller::request(&Method::GET, "/v1/none", &[], "");
            if api.try_send(request).await.is_none() {
                return;
            }
        }
    };
    soon(ended).await;
    assert!(ApiCaller::try_connect(&venue, party).await.is_none(), "and no other is opened");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_health_and_figures() {
    let venue = traded("").await;
    let address = venue.node.operations_address().unwrap();
    let get = async |path: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        soon(stream.read_to_string(&mut text)).await.unwrap();
        text
    };
    for path in ["/livez", "/readyz"] {
        let text = get(path).await;
        assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
        assert!(text.ends_with("{\"status\":\"ok\",\"reasons\":[]}"), "{text}");
    }
    let text = get("/metrics").await;
    assert!(text.contains("application/openmetrics-text"), "{text}");
    for line in [
        "gridcross_trades_total{shard=\"1\"} 2",
        "gridcross_traded_energy_joules_total{shard=\"1\"} 3600000",
        "gridcross_orders_accepted_total{shard=\"1\"} 4",
        "gridcross_storage_low 0",
        "gridcross_ready 1",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.to_lowercase().contains("meter"), "no meter is named: {text}");
    venue.node.reserve.require(u64::MAX);
    let unready = get("/readyz").await;
    assert!(unready.starts_with("HTTP/1.1 503"), "{unready}");
    assert!(unready.contains("storage is low"), "{unready}");
    assert!(get("/livez").await.starts_with("HTTP/1.1 200"));
    venue.close().await;
}
