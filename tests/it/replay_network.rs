//! `gridcross replay run --quic`: a log is sent to a running exchange.

use std::path::Path;

use gateway::identity;
use serde_json::Value;
use tests::{
    cast::{self, FIRST, THIRD},
    day::text,
    platform::{Platform, told},
    program::{Run, run},
    venue::Venue,
};
use types::{Energy, Role, Side};

/// The exchange before noon's gate, in continuous trading.
async fn trading() -> Venue {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    venue
}

/// Orders that rest, trade, are replaced, reduced, cancelled, and refused. Eleven requests.
async fn trade(venue: &Venue) {
    let mut platform = Platform::log_on(venue, 1).await;
    let sell = platform.order(FIRST, Side::Sell, 300, 500);
    let resting = platform.accepted(sell).await.order;
    assert_eq!(told(&platform.reduce(resting, 100).await), "replaced leaves 400");
    let replacement = platform.replacement(resting, FIRST, 290, 300);
    assert_eq!(told(&platform.replace(replacement).await), "replaced leaves 300");
    let buy = platform.order(THIRD, Side::Buy, 290, 200);
    platform.accepted(buy).await;
    assert_eq!(told(&platform.hibernate(resting).await), "hibernated leaves 100");
    assert_eq!(told(&platform.activate(resting).await), "activated leaves 100");
    assert_eq!(told(&platform.cancel(resting).await), "cancelled 100 requested");
    assert_eq!(told(&platform.cancel(resting).await), "cancel rejected unknown_order");
    let mut uneven = platform.order(FIRST, Side::Sell, 300, 500);
    uneven.quantity = Energy::from_wh(505);
    assert_eq!(told(&platform.place(uneven).await), "rejected quantity_not_on_lot");
    let last = platform.order(FIRST, Side::Sell, 310, 50);
    platform.accepted(last).await;
    let all = platform.mass_cancel(types::Scope::All, None).await;
    assert_eq!(told(&all), "mass cancelled 1");
}

/// Puts the meters' keys beside the certificates.
fn write_meter_keys(keys: &Path) {
    for meter in cast::registry().meters {
        let pem = identity::signing_key_pem(&cast::meter_key(meter.meter)).unwrap();
        identity::write_key_file(&keys.join(format!("{}.signing.key", meter.code)), &pem).unwrap();
    }
}

async fn replay(arguments: Vec<String>) -> Run {
    let running = move || run(["replay", "run"].into_iter().map(str::to_owned).chain(arguments));
    tokio::task::spawn_blocking(running).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_sent_to_a_running_exchange() {
    let first = trading().await;
    trade(&first).await;
    let log = first.stop().await;
    let venue = trading().await;
    let before = venue.durable();
    let keys = venue.layout.keys();
    drop(venue.connector(cast::party(Role::Platform, 1)));
    let address = venue.node.address.to_string();
    let arguments = |speed: &str, more: &[&str]| {
        let given = [text(log.path()), "--quic", &address, "--keys", text(&keys), "--speed", speed];
        let output = ["--output", "json"];
        given.iter().chain(more).chain(&output).map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };

    let refused = replay(arguments("max", &[])).await;
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.stderr.contains("signing.key"), "the meters' keys are not there: {refused:?}");

    write_meter_keys(&keys);
    let sent = replay(arguments("max", &[])).await;
    assert_eq!((sent.code, sent.stderr.as_str()), (Some(0), ""), "{sent:?}");
    let sent: Value = serde_json::from_str(&sent.stdout).unwrap();
    let figures = &sent["run"][0];
    assert_eq!(figures["sessions"], 1);
    assert_eq!(figures["sent"], 11, "{sent}");
    assert_eq!(figures["accepted"], 9, "{sent}");
    assert_eq!(figures["rejected"], 2, "{sent}");
    assert_eq!(figures["unanswered"], 0);
    let rejects = serde_json::json!([
        { "reason": "quantity_not_on_lot", "count": 1 },
        { "reason": "unknown_order", "count": 1 },
    ]);
    assert_eq!(sent["rejects"], rejects);
    assert_eq!(sent["left_out"][0]["reason"], "not_a_request");
    assert!(figures["p50_us"].as_u64().unwrap() > 0);
    assert!(figures["max_us"].as_u64() >= figures["p99_us"].as_u64());
    assert!(venue.durable() >= types::Seq::new(before.get() + 11));

    // A day later there are no such slots.
    let late = replay(arguments("max", &["--shift-days", "1"])).await;
    let late: Value = serde_json::from_str(&late.stdout).unwrap();
    assert_eq!(late["run"][0]["unanswered"], 0, "{late}");
    assert_eq!(late["run"][0]["accepted"], 1, "nothing is there to cancel: {late}");
    venue.close().await;
}

#[test]
fn logs_of_other_venues_are_not_sent() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../replay/samples/lobster.csv");
    let keys = tempfile::tempdir().unwrap();
    let address = "127.0.0.1:1";
    let refused =
        run(["replay", "run", text(&sample), "--quic", address, "--keys", text(keys.path())]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("the log of another venue"), "{refused:?}");
}
