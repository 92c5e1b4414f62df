//! `gridcross order` and `gridcross book watch` as people use them, against a running exchange.

use std::{
    io::pipe,
    path::{Path, PathBuf},
    process::Stdio,
};

use gateway::identity;
use serde_json::Value;
use tests::{
    cast::{self, FIRST, SECOND},
    day::text,
    https,
    platform::Platform,
    program::{Run, finish, gridcross, run},
    venue::Venue,
};
use types::{MeterId, Role, Side};

/// Runs the program beside the exchange of this test.
fn beside(arguments: &[String]) -> Run {
    tokio::task::block_in_place(|| run(arguments))
}

/// A command line for this exchange as a party.
fn line(venue: &Venue, party: &str, arguments: &[&str]) -> Vec<String> {
    let (server, keys) = (venue.node.address.to_string(), venue.layout.keys());
    let ends = ["--server", &server, "--keys", text(&keys), "--as", party];
    arguments.iter().chain(&ends).map(|&word| word.to_owned()).collect()
}

fn key_file(dir: &Path, meter: MeterId) -> PathBuf {
    let path = dir.join(format!("meter-{meter}.key"));
    let pem = identity::signing_key_pem(&cast::meter_key(meter)).unwrap();
    identity::write_key_file(&path, &pem).unwrap();
    path
}

/// `order new` for a meter in the slot at noon, with more options behind.
fn new_order(venue: &Venue, party: &str, key: &Path, meter: MeterId, more: &[&str]) -> Run {
    // Noon in Berlin.
    let meter = meter.to_string();
    let mut words = vec!["order", "new", "--market", "1", "--slot", "2026-06-24T12:00+02:00"];
    words.extend(["--meter", &meter, "--meter-key", text(key)]);
    words.extend(more);
    beside(&line(venue, party, &words))
}

fn refused(run: &Run, code: i32, words: &[&str]) {
    assert_eq!(run.code, Some(code), "{run:?}");
    assert_eq!(run.stdout, "", "errors go to stderr");
    assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
    for word in words {
        assert!(run.stderr.contains(word), "no `{word}` in {}", run.stderr);
    }
}

fn rows(run: &Run) -> Vec<Value> {
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_ask_before_and_after_an_order() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    drop(venue.connector(cast::party(Role::Platform, 1)));
    drop(venue.connector(cast::party(Role::Platform, 2)));
    let keys = tempfile::tempdir().unwrap();
    let key = key_file(keys.path(), FIRST);
    let order = ["--side", "sell", "--price", "0.12", "--client-order", "42"];
    let order = [&order[..], &["--output", "ndjson", "--quantity"]].concat();

    // It would be accepted, and is not there afterwards: its number is free.
    let plan = [&order[..], &["1kWh", "--validate-only"]].concat();
    for _ in 0..2 {
        let planned = rows(&new_order(&venue, "platform-1", &key, FIRST, &plan));
        assert_eq!(planned[0]["report"], "validated", "{planned:?}");
        assert_eq!((&planned[0]["order"], &planned[0]["client_order"]), (&0.into(), &42.into()));
    }
    let huge = [&order[..], &["9kWh", "--validate-only"]].concat();
    let said = new_order(&venue, "platform-1", &key, FIRST, &huge);
    refused(&said, 1, &["capacity_exceeded"]);
    let followed = [&plan[..], &["--follow"]].concat();
    let said = new_order(&venue, "platform-1", &key, FIRST, &followed);
    refused(&said, 2, &["--follow"]);

    let sent = [&order[..], &["1kWh"]].concat();
    let placed = rows(&new_order(&venue, "platform-1", &key, FIRST, &sent));
    let number = placed[0]["order"].to_string();
    let ask = ["order", "ask", &number, "--output", "ndjson"];
    let asked = rows(&beside(&line(&venue, "platform-1", &ask)));
    let open = (&asked[0]["report"], &asked[0]["quantity_wh"], &asked[0]["leaves_wh"]);
    assert_eq!(open, (&"status".into(), &0.into(), &1000.into()));
    let words = beside(&line(&venue, "platform-1", &ask[..3]));
    assert_eq!(words.stdout, format!("known: order {number}, 0 kWh filled, 1 kWh open\n"));
    refused(&beside(&line(&venue, "platform-2", &ask)), 1, &["not_authorised"]);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_place_change_and_cancel_orders() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    drop(venue.connector(cast::party(Role::Platform, 1)));
    drop(venue.connector(cast::party(Role::Platform, 2)));
    let keys = tempfile::tempdir().unwrap();
    let (first, second) = (key_file(keys.path(), FIRST), key_file(keys.path(), SECOND));
    let order = ["--side", "sell", "--price", "0.12", "--quantity", "1kWh", "--output", "ndjson"];

    let more = [&order[..], &["--client-order", "41"]].concat();
    let placed = rows(&new_order(&venue, "platform-1", &first, FIRST, &more));
    assert_eq!(placed[0]["report"], "accepted", "{placed:?}");
    assert_eq!(placed[0]["client_order"], 41);
    assert_eq!((&placed[0]["price"], &placed[0]["quantity_wh"]), (&"0.12".into(), &1000.into()));
    let number = placed[0]["order"].to_string();

    // Another one, with a number of its own.
    let run = new_order(&venue, "platform-1", &first, FIRST, &more[..6]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.starts_with("accepted: order "), "{}", run.stdout);

    // It is in the book, for a retailer too.
    drop(venue.connector(cast::party(Role::Retailer, 1)));
    let watch = ["book", "watch", "--market", "1", "--slot", "2026-06-24T10:00:00Z", "--once"];
    let json = [&watch[..], &["--output", "ndjson"]].concat();
    let book = rows(&beside(&line(&venue, "retailer-1", &json)));
    assert_eq!(book[0]["sell"][0]["price"], "0.12");
    assert_eq!(book[0]["sell"][0]["quantity_wh"], 2000);
    assert_eq!(book[0]["sell"][0]["orders"], 2);
    let table = beside(&line(&venue, "retailer-1", &watch));
    assert!(table.stdout.contains("continuous") && table.stdout.contains("0.12"), "{table:?}");

    let reduce = ["order", "reduce", &number, "--quantity", "500Wh", "--output", "ndjson"];
    let reduced = rows(&beside(&line(&venue, "platform-1", &reduce)));
    assert_eq!(reduced[0]["leaves_wh"], 500, "{reduced:?}");
    let meter = FIRST.to_string();
    let replace = [
        "order",
        "replace",
        &number,
        "--meter",
        &meter,
        "--meter-key",
        text(&first),
        "--price",
        "0.11",
        "--quantity",
        "1kWh",
        "--output",
        "ndjson",
    ];
    let replaced = rows(&beside(&line(&venue, "platform-1", &replace)));
    assert_eq!(replaced[0]["report"], "replaced", "{replaced:?}");

    // A buyer takes part of it; the fill is printed behind the acceptance.
    let buy = ["--side", "buy", "--price", "0.11", "--quantity", "400Wh", "--output", "ndjson"];
    let bought = rows(&new_order(&venue, "platform-2", &second, SECOND, &buy));
    let reports: Vec<_> = bought.iter().map(|row| row["report"].as_str().unwrap()).collect();
    assert_eq!(reports, ["accepted", "filled"], "{bought:?}");
    assert_eq!(bought[1]["leaves_wh"], 0);

    let root = venue.layout.root();
    let by_number = ["order", "status", &number, "--data-dir", text(root), "--output", "ndjson"];
    let status = rows(&beside(&by_number.map(str::to_owned)));
    assert_eq!((&status[0]["state"], &status[0]["leaves_wh"]), (&"open".into(), &600.into()));
    assert_eq!((&status[0]["filled_wh"], &status[0]["limit"]), (&400.into(), &"0.11".into()));

    let cancel = ["order", "cancel", &number, "--output", "csv"];
    let run = beside(&line(&venue, "platform-1", &cancel));
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains(",cancelled,") && run.stdout.contains(",requested,"), "{run:?}");
    let by_client = ["order", "status", "--client-order", "41", "--platform", "1", "--data-dir"];
    let words = by_client.iter().copied().chain([text(root), "--output", "ndjson"]);
    let status = rows(&beside(&words.map(str::to_owned).collect::<Vec<_>>()));
    assert_eq!(
        (&status[0]["state"], &status[0]["reason"]),
        (&"cancelled".into(), &"requested".into())
    );

    let again = beside(&line(&venue, "platform-1", &cancel));
    refused(&again, 1, &["unknown_order (45)", "\nhint: "]);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_place_change_and_cancel_orders_over_https() {
    let venue = Venue::open_with(&https::config_text("")).await;
    venue.clock_to(-29).await;
    drop(venue.connector(cast::party(Role::Platform, 1)));
    drop(venue.connector(cast::party(Role::Retailer, 1)));
    let keys = tempfile::tempdir().unwrap();
    let first = key_file(keys.path(), FIRST);
    let url = format!("https://{}", venue.node.https_address().unwrap());
    let venue_keys = venue.layout.keys();
    let ask = |party: &str, words: &[&str]| {
        let ends = ["--https", &url, "--keys", text(&venue_keys), "--as", party];
        beside(&words.iter().chain(&ends).map(|&word| word.to_owned()).collect::<Vec<_>>())
    };
    let meter = FIRST.to_string();
    let signing = ["--meter", &meter, "--meter-key", text(&first), "--output", "ndjson"];
    let noon = ["order", "new", "--market", "1", "--slot", "2026-06-24T12:00+02:00"];
    let sell = ["--side", "sell", "--price", "0.12", "--quantity", "1kWh"];
    let new = [&noon[..], &sell, &signing].concat();
    let placed = rows(&ask("platform-1", &new));
    assert_eq!(placed[0]["report"], "accepted", "{placed:?}");
    let number = placed[0]["order"].to_string();
    let replace = ["order", "replace", &number, "--price", "0.11", "--quantity", "500Wh"];
    let replaced = rows(&ask("platform-1", &[&replace[..], &signing].concat()));
    assert_eq!(
        (&replaced[0]["report"], &replaced[0]["leaves_wh"]),
        (&"replaced".into(), &500.into())
    );
    let cancel = ["order", "cancel", &number, "--output", "ndjson"];
    let cancelled = rows(&ask("platform-1", &cancel));
    assert_eq!(cancelled[0]["report"], "cancelled", "{cancelled:?}");

    refused(&ask("platform-1", &cancel), 1, &["unknown_order (45)", "\nhint: "]);
    refused(&ask("retailer-1", &new), 6, &["status 403", "only platforms trade", "--as"]);
    let follow = [&new[..new.len() - 2], &["--follow"]].concat();
    refused(&ask("platform-1", &follow), 2, &["--https"]);
    for wrong in ["http://localhost:1", "https://localhost/v2", "https://"] {
        let words = ["order", "cancel", &number, "--https", wrong, "--keys", text(&venue_keys)];
        let run = beside(&words.map(str::to_owned));
        assert_eq!(run.code, Some(2), "{wrong}: {run:?}");
    }
    let nobody = ["order", "cancel", &number, "--keys", text(&venue_keys)].map(str::to_owned);
    refused(&beside(&nobody), 2, &["--server or --data-dir"]);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_an_order_is_told() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    drop(venue.connector(cast::party(Role::Platform, 1)));
    drop(venue.connector(cast::party(Role::Platform, 2)));
    drop(venue.connector(cast::party(Role::Retailer, 1)));
    let keys = tempfile::tempdir().unwrap();
    let (first, second) = (key_file(keys.path(), FIRST), key_file(keys.path(), SECOND));
    let sell = |price: &str, quantity: &str| {
        ["--side", "sell", "--price", price, "--quantity", quantity].map(str::to_owned)
    };
    let new = |party: &str, key: &Path, words: &[String]| {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        new_order(&venue, party, key, FIRST, &words)
    };
    // The exchange says no, with a reason and what to do.
    refused(
        &new("platform-1", &first, &sell("9999", "1kWh")),
        1,
        &["price_outside_band", "hint: --price"],
    );
    refused(
        &new("platform-1", &second, &sell("0.12", "1kWh")),
        1,
        &["signature_invalid", "--meter-key"],
    );
    refused(&new("platform-2", &first, &sell("0.12", "1kWh")), 1, &["not_authorised", "--as"]);
    // A wrong command line.
    for (price, quantity, word) in
        [("0.12", "1", "2.5kWh"), ("0,12", "1kWh", "six decimals"), ("0.12", "0kWh", "at least")]
    {
        refused(&new("platform-1", &first, &sell(price, quantity)), 2, &[word]);
    }
    // Nobody that may trade, and no key.
    let retailer = new("retailer-1", &first, &sell("0.12", "1kWh"));
    refused(&retailer, 6, &["refused the session", "not_authorised", "--as"]);
    let missing = keys.path().join("nothing.key");
    refused(&new("platform-1", &missing, &sell("0.12", "1kWh")), 3, &["nothing.key"]);
    let unknown = new("platform-77", &first, &sell("0.12", "1kWh"));
    refused(&unknown, 3, &["platform-77.crt", "gridcross ca issue"]);
    let root = text(venue.layout.root());
    let status = ["order", "status", "4711", "--data-dir", root].map(str::to_owned);
    refused(&beside(&status), 1, &["no such order"]);
    let market =
        ["book", "watch", "--data-dir", root, "--market", "9", "--once"].map(str::to_owned);
    refused(&beside(&market), 2, &["there is no market 9"]);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_nobody_reads_ends() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let order = platform.order(FIRST, Side::Sell, 120, 500);
    platform.accepted(order).await;
    drop(venue.connector(cast::party(Role::Retailer, 1)));
    for output in ["ndjson", "human"] {
        let words = ["book", "watch", "--market", "1", "--output", output];
        let run = tokio::task::block_in_place(|| {
            let (reader, writer) = pipe().unwrap();
            drop(reader);
            finish(gridcross(line(&venue, "retailer-1", &words)).stdout(Stdio::from(writer)))
        });
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{output}");
    }
    venue.close().await;
}
