//! The ledger service over the HTTP API: a conversation of two platforms and two distribution
//! companies, and everything that is refused.

use std::fmt::Write as _;

use expect_test::expect;
use hyper::Method;
use serde_json::{Value, json};
use settlement::service::signature;
use tests::{
    api::{Answer, ApiCaller, config_text},
    cast::{self, FIRST, SECOND},
    https::Version,
    platform::Platform,
    venue::Venue,
};
use types::{Party, Role, Side};

/// A venue with two trades of 500 Wh each from meter 1 to meter 2 at noon, captured.
pub(crate) async fn traded(lines: &str) -> Venue {
    let venue = Venue::open_with(&config_text(lines)).await;
    venue.clock_to(-29).await;
    let mut first = Platform::log_on(&venue, 1).await;
    let mut second = Platform::log_on(&venue, 2).await;
    let mut last = None;
    for _ in 0..2 {
        let sell = first.order(FIRST, Side::Sell, 100, 500);
        first.accepted(sell).await;
        let buy = second.order(SECOND, Side::Buy, 100, 500);
        last = Some(second.accepted(buy).await.seq);
    }
    venue.settled_through(last.unwrap()).await;
    venue
}

/// `platform/1`.
fn party(text: &str) -> Party {
    let (role, number) = text.split_once('/').unwrap();
    cast::party(Role::from_name(role).unwrap(), number.parse().unwrap())
}

/// What an answer says, in a line.
fn told(answer: &Answer) -> String {
    let body = answer.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    if answer.status != 200 {
        let details = &body["details"];
        let word = |name: &str| details[name].as_str().unwrap_or("-").to_owned();
        let (field, got, expected) = (word("field"), word("got"), word("expected"));
        return format!("{} {} {field}: {got}, not {expected}", answer.status, text("code"));
    }
    if let Some(parts) = body["allocations"].as_array() {
        let parts: Vec<_> = parts
            .iter()
            .map(|part| {
                let item = part["orderItemId"].as_str().unwrap();
                format!("{item} {} of {}", part["allocatedQty"], part["tradeQty"])
            })
            .collect();
        let (matched, allocated) = (&body["totalMatched"], &body["totalAllocated"]);
        return format!("{} ({allocated} of {matched})", parts.join(", "));
    }
    if let Some(records) = body["records"].as_array() {
        let mut out = format!("{} records", body["count"]);
        for record in records {
            write!(out, "\n    {}", record_line(record)).unwrap();
        }
        return out;
    }
    format!("record {} {}", text("recordId"), text("message")).trim_end().to_owned()
}

fn record_line(record: &Value) -> String {
    let text = |name: &str| record[name].as_str().unwrap_or("masked").to_owned();
    let detail = &record["tradeDetails"][0];
    let metric = |name: &str| {
        let value = &record[name][0]["validationMetricValue"];
        if value.is_null() { "-".to_owned() } else { value.to_string() }
    };
    format!(
        "{} {} {} at {} from {} to {}: {} {}, {} {}",
        text("transactionId"),
        text("orderItemId"),
        detail["tradeQty"],
        detail.get("pricePerUnit").map_or("masked".to_owned(), Value::to_string),
        text("sellerId"),
        text("buyerId"),
        text("statusSellerDiscom"),
        metric("sellerFulfillmentValidationMetrics"),
        text("statusBuyerDiscom"),
        metric("buyerFulfillmentValidationMetrics"),
    )
}

/// Each line of a script is a caller, an endpoint and what differs from an empty body; `at M` moves
/// the clock, `verify` runs a cycle. `$S` and `$E` are begin and end of the slot at noon.
async fn converse(venue: &Venue, script: &str) -> String {
    let slot = venue.slot(0).slot;
    let (start, end) = (slot.start().to_string(), slot.end().to_string());
    let mut out = String::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.splitn(3, ' ');
        let (caller, endpoint) = (words.next().unwrap(), words.next().unwrap_or_default());
        match caller {
            "at" => venue.clock_to(endpoint.parse().unwrap()).await,
            "verify" => {
                let summary = venue.node.settlement.verify(venue.now()).await.unwrap();
                writeln!(out, "verify: {} new outcomes", summary.changed).unwrap();
            }
            _ => {
                let body = words.next().unwrap().replace("$S", &start).replace("$E", &end);
                let mut api = ApiCaller::connect(venue, party(caller), Version::Http2).await;
                let path = format!("/ledger/{endpoint}");
                let answer = api.post(venue, &path, &body).await;
                writeln!(out, "{caller} {endpoint}: {}", told(&answer)).unwrap();
            }
        }
    }
    out
}

const NAMES: &str = r#"
platform/2 put {"role":"BUYER","transactionId":"tx","orderItemId":"one","buyerId":"METER-2","deliveryStartTime":"$S","deliveryEndTime":"$E","tradeDetails":[{"tradeType":"ENERGY","tradeQty":0.5,"tradeUnit":"KWH","pricePerUnit":0.1,"priceCurrency":"EUR"}],"clientReference":"r1"}
platform/2 put {"role":"BUYER","transactionId":"tx","orderItemId":"two","buyerId":"METER-2","deliveryStartTime":"$S","deliveryEndTime":"$E","tradeDetails":[{"tradeType":"ENERGY","tradeQty":0.500,"tradeUnit":"KWH"}]}
platform/1 put {"role":"SELLER","transactionId":"tx","orderItemId":"one","sellerId":"METER-1","platformIdBuyer":"platform/2","discomIdSeller":"retailer/1"}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_platforms_and_two_companies_bring_trades_to_completed() {
    let venue = traded("").await;
    let script = NAMES.to_owned()
        + r#"
retailer/1 record {"role":"SELLER_DISCOM","transactionId":"tx","orderItemId":"one","statusSellerDiscom":"CONFIRMED"}
retailer/1 record {"role":"SELLER_DISCOM","transactionId":"tx","orderItemId":"one","statusSellerDiscom":"COMPLETED","sellerFulfillmentValidationMetrics":[{"validationMetricType":"ACTUAL_PUSHED","validationMetricValue":0.5}]}
retailer/1 allocate {"meterId":"METER-1","discomId":"retailer/1","deliveryStartTime":"$S","deliveryEndTime":"$E","actualImported":-0.8}
at 16
retailer/1 allocate {"meterId":"METER-1","discomId":"retailer/1","deliveryStartTime":"$S","deliveryEndTime":"$E","actualImported":-0.801}
retailer/2 allocate {"meterId":"METER-2","discomId":"retailer/2","deliveryStartTime":"$S","deliveryEndTime":"$E","actualImported":1}
verify
platform/1 get {"transactionId":"tx","sort":"deliveryStartTime","sortOrder":"asc"}
retailer/1 record {"role":"SELLER_DISCOM","transactionId":"tx","orderItemId":"one","statusSellerDiscom":"COMPLETED","sellerFulfillmentValidationMetrics":[{"validationMetricType":"ACTUAL_PUSHED","validationMetricValue":0.5}]}
retailer/1 record {"role":"SELLER_DISCOM","transactionId":"tx","orderItemId":"one","statusSellerDiscom":"COMPLETED","sellerFulfillmentValidationMetrics":[{"validationMetricType":"ACTUAL_PUSHED","validationMetricValue":0.401}]}
retailer/1 record {"role":"SELLER_DISCOM","transactionId":"tx","orderItemId":"two","statusSellerDiscom":"COMPLETED","sellerFulfillmentValidationMetrics":[{"validationMetricType":"ACTUAL_PUSHED","validationMetricValue":0.4}]}
retailer/2 record {"role":"BUYER_DISCOM","transactionId":"tx","orderItemId":"one","statusBuyerDiscom":"COMPLETED","buyerFulfillmentValidationMetrics":[{"validationMetricType":"ACTUAL_PULLED","validationMetricValue":0.5}]}
retailer/2 record {"role":"BUYER_DISCOM","transactionId":"tx","orderItemId":"two","statusBuyerDiscom":"COMPLETED","buyerFulfillmentValidationMetrics":[{"validationMetricType":"ACTUAL_PULLED","validationMetricValue":0.500}]}
platform/2 get {"statusBuyerDiscom":"COMPLETED","statusSellerDiscom":"COMPLETED","sortOrder":"asc"}
retailer/1 get {"sortOrder":"asc"}
utility/2 get {"sortOrder":"asc","limit":1,"offset":1}
"#;
    expect![[r#"
        platform/2 put: record 1
        platform/2 put: record 2
        platform/1 put: record 1 nothing new
        retailer/1 record: record 1
        retailer/1 record: 409 PRC_CONFLICT statusSellerDiscom: COMPLETED, not both sides' readings, and a verification cycle
        retailer/1 allocate: 400 SCH_FIELD_NOT_ALLOWED actualImported: -, not -
        retailer/1 allocate: one 0.401 of 0.5, two 0.4 of 0.5 (0.801 of 1)
        retailer/2 allocate: one 0.5 of 0.5, two 0.5 of 0.5 (1 of 1)
        verify: 2 new outcomes
        platform/1 get: 2 records
            tx one 0.5 at 0.1 from METER-1 to masked: CONFIRMED 0.401, PENDING 0.5
            tx two 0.5 at 0.1 from METER-1 to masked: PENDING 0.4, PENDING 0.5
        retailer/1 record: 409 PRC_CONFLICT validationMetricValue: 500 Wh, not 401 Wh
        retailer/1 record: record 1
        retailer/1 record: record 2
        retailer/2 record: record 1
        retailer/2 record: record 2
        platform/2 get: 2 records
            tx one 0.5 at 0.1 from masked to METER-2: COMPLETED 0.401, COMPLETED 0.5
            tx two 0.5 at 0.1 from masked to METER-2: COMPLETED 0.4, COMPLETED 0.5
        retailer/1 get: 2 records
            tx one 0.5 at masked from METER-1 to masked: COMPLETED 0.401, COMPLETED 0.5
            tx two 0.5 at masked from METER-1 to masked: COMPLETED 0.4, COMPLETED 0.5
        utility/2 get: 2 records
            tx two 0.5 at masked from masked to METER-2: COMPLETED 0.4, COMPLETED 0.5
    "#]].assert_eq(&converse(&venue, &script).await);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_says_otherwise_or_is_not_the_callers_is_refused() {
    let venue = traded("").await;
    let script = NAMES.to_owned()
        + r#"
platform/2 put {"role":"BUYER","transactionId":"tx","orderItemId":"one","clientReference":"r1"}
platform/1 put {"role":"SELLER","transactionId":"tx","orderItemId":"one","tradeDetails":[{"tradeType":"ENERGY","tradeQty":0.6,"tradeUnit":"KWH"}]}
platform/1 put {"role":"SELLER","transactionId":"tx","orderItemId":"one","buyerId":"METER-1"}
platform/1 put {"role":"BUYER","transactionId":"tx","orderItemId":"one"}
platform/1 put {"role":"SELLER","transactionId":"tx","orderItemId":"three"}
platform/2 put {"role":"BUYER","transactionId":"tx","orderItemId":"three","buyerId":"METER-2","deliveryStartTime":"$S","deliveryEndTime":"$E","tradeDetails":[{"tradeType":"ENERGY","tradeQty":0.5,"tradeUnit":"KWH"}]}
platform/1 put {"role":"SELLER","transactionId":"tx","orderItemId":"one","tradeDetails":[{"tradeType":"ENERGY","tradeQty":0.5,"tradeUnit":"KW"}]}
platform/1 put {"role":"SELLER","transactionId":"tx","orderItemId":"one","tradeDetails":[{"tradeType":"ENERGY","tradeQty":5e-1,"tradeUnit":"KWH"}]}
platform/1 put {"role":"SELLER","transactionId":"tx","orderItemId":"one","tradeDetails":[{"tradeType":"ENERGY","tradeQty":0.5005,"tradeUnit":"KWH"}]}
platform/1 put {"role":"SELLER","transactionId":"tx","transactionId":"ty","orderItemId":"one"}
platform/1 put {"role":"SELLER","transactionId":"tx","orderItemId":"one","color":"red"}
platform/1 put {"role":"SELLER","transactionId":"tx"}
platform/1 put {"role":"SELLER","transactionId":"tx","orderItemId":{"a":{"b":{"c":{"d":{"e":{"f":{"g":{}}}}}}}}}
platform/1 record {"role":"SELLER_DISCOM","transactionId":"tx","orderItemId":"one","statusSellerDiscom":"CONFIRMED"}
retailer/2 record {"role":"SELLER_DISCOM","transactionId":"tx","orderItemId":"one","statusSellerDiscom":"CONFIRMED"}
utility/1 record {"role":"SELLER_DISCOM","transactionId":"tx","orderItemId":"one","statusSellerDiscom":"CONFIRMED"}
retailer/1 record {"role":"SELLER_DISCOM","transactionId":"tx","orderItemId":"one","statusBuyerDiscom":"CONFIRMED"}
retailer/1 record {"role":"SELLER_DISCOM","transactionId":"tx","orderItemId":"none","statusSellerDiscom":"CONFIRMED"}
retailer/1 record {"role":"SELLER_DISCOM","transactionId":"tx","orderItemId":"one","sellerFulfillmentValidationMetrics":[{"validationMetricType":"AVAILABILITY","validationMetricValue":1}]}
at 16
retailer/2 allocate {"meterId":"METER-1","discomId":"retailer/2","deliveryStartTime":"$S","deliveryEndTime":"$E","actualImported":-0.5}
retailer/1 allocate {"meterId":"METER-1","discomId":"retailer/2","deliveryStartTime":"$S","deliveryEndTime":"$E","actualImported":-0.5}
retailer/1 allocate {"meterId":"METER-9","discomId":"retailer/1","deliveryStartTime":"$S","deliveryEndTime":"$E","actualImported":-0.5}
retailer/1 allocate {"meterId":"METER-1","discomId":"retailer/1","deliveryStartTime":"$S","deliveryEndTime":"$E","actualImported":-0.5}
retailer/1 allocate {"meterId":"METER-1","discomId":"retailer/1","deliveryStartTime":"$S","deliveryEndTime":"$E","actualImported":-0.5}
retailer/1 allocate {"meterId":"METER-1","discomId":"retailer/1","deliveryStartTime":"$S","deliveryEndTime":"$E","actualImported":-0.6}
platform/1 get {"limit":501}
platform/1 get {"buyerId":"METER-2"}
"#;
    expect![[r#"
        platform/2 put: record 1
        platform/2 put: record 2
        platform/1 put: record 1 nothing new
        platform/2 put: 409 PRC_CONFLICT clientReference: r1, not the body sent before
        platform/1 put: 409 PRC_CONFLICT tradeDetails.tradeQty: 600, not 500
        platform/1 put: 409 PRC_CONFLICT buyerId: METER-1, not METER-2
        platform/1 put: 403 AUT_NOT_AUTHORIZED -: -, not -
        platform/1 put: 400 SCH_MISSING_REQUIRED sellerId: -, not -
        platform/2 put: 404 PRC_NOT_FOUND -: -, not -
        platform/1 put: 400 SCH_FIELD_NOT_ALLOWED tradeDetails.tradeUnit: KW, not KWH
        platform/1 put: 400 SCH_FIELD_NOT_ALLOWED -: -, not -
        platform/1 put: 400 SCH_FIELD_NOT_ALLOWED tradeDetails.tradeQty: 0.5005, not whole watt-hours
        platform/1 put: 400 SCH_FIELD_NOT_ALLOWED transactionId: -, not -
        platform/1 put: 400 SCH_FIELD_NOT_ALLOWED color: -, not -
        platform/1 put: 400 SCH_MISSING_REQUIRED orderItemId: -, not -
        platform/1 put: 400 SCH_FIELD_NOT_ALLOWED -: -, not -
        platform/1 record: 403 AUT_NOT_AUTHORIZED -: -, not -
        retailer/2 record: 403 AUT_NOT_AUTHORIZED -: -, not -
        utility/1 record: 404 PRC_NOT_FOUND -: -, not -
        retailer/1 record: 400 SCH_FIELD_NOT_ALLOWED statusBuyerDiscom: -, not -
        retailer/1 record: 404 PRC_NOT_FOUND -: -, not -
        retailer/1 record: 400 SCH_FIELD_NOT_ALLOWED sellerFulfillmentValidationMetrics: others, not one entry, ACTUAL_PULLED of a buyer or ACTUAL_PUSHED of a seller
        retailer/2 allocate: 403 AUT_NOT_AUTHORIZED actualImported: -, not -
        retailer/1 allocate: 403 AUT_NOT_AUTHORIZED discomId: retailer/2, not -
        retailer/1 allocate: 404 PRC_NOT_FOUND actualImported: -, not -
        retailer/1 allocate: one 0.25 of 0.5, two 0.25 of 0.5 (0.5 of 1)
        retailer/1 allocate: one 0.25 of 0.5, two 0.25 of 0.5 (0.5 of 1)
        retailer/1 allocate: 409 PRC_CONFLICT actualImported: -, not -
        platform/1 get: 400 SCH_FIELD_NOT_ALLOWED limit: 501, not 1 to 500
        platform/1 get: 0 records
    "#]].assert_eq(&converse(&venue, &script).await);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_is_of_these_bytes_now_and_of_the_connections_party() {
    let venue = traded("").await;
    let caller = cast::party(Role::Platform, 2);
    let other = cast::party(Role::Platform, 1);
    let body = r#"{"role":"BUYER","transactionId":"1","orderItemId":"1"}"#;
    let now = venue.now().ns().div_euclid(1_000_000_000);
    let sign = |party: Party, of: Party, times| {
        signature::sign(party, &cast::party_key(of), times, body.as_bytes())
    };
    let good = (now, now + 300);
    let mut api = ApiCaller::connect(&venue, caller, Version::Http1).await;
    for (what, header, status, code) in [
        ("none", String::new(), 401, "AUT_SIGNATURE_INVALID"),
        ("another key", sign(caller, other, good), 401, "AUT_SIGNATURE_INVALID"),
        ("expired", sign(caller, caller, (now - 300, now)), 401, "AUT_SIGNATURE_INVALID"),
        (
            "from the future",
            sign(caller, caller, (now + 1, now + 300)),
            401,
            "AUT_SIGNATURE_INVALID",
        ),
        ("another party", sign(other, other, good), 403, "AUT_NOT_AUTHORIZED"),
    ] {
        for path in ["/ledger/put", "/ledger/get"] {
            let answer = api.post_as(path, body, &header).await;
            let said = (answer.status, answer.json()["code"].clone());
            assert_eq!(said, (status, json!(code)), "{what} {path}");
        }
    }
    let header = sign(caller, caller, good);
    let bent = api.post_as("/ledger/put", &body.replace('1', "2"), &header).await;
    assert_eq!(bent.status, 401, "another body");
    let listed = api.get("/v1/contracts?limit=1").await.json();
    let trade = listed["contracts"][0]["contract"].clone();
    let body = format!(r#"{{"role":"BUYER","transactionId":"{trade}","orderItemId":"{trade}"}}"#);
    let first = api.post(&venue, "/ledger/put", &body).await;
    let again = api.post(&venue, "/ledger/put", &body).await;
    assert_eq!((first.status, &first.text), (200, &again.text), "a replay changes nothing");

    let type_of = |kind: &str| [("content-type", kind.to_owned())];
    let kind = type_of("text/plain");
    let headers: Vec<_> = kind.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let request = ApiCaller::request(&Method::POST, "/ledger/get", &headers, "{}");
    assert_eq!(api.send(request).await.status, 415);
    let long = format!(r#"{{"transactionId":"{}"}}"#, "x".repeat(70_000));
    assert_eq!(api.post(&venue, "/ledger/get", &long).await.status, 413);
    venue.close().await;
}
