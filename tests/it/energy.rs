//! Retailers, utilities and operators with the real program: meter files, the grid, verification.

use std::{fs, path::Path};

use serde_json::Value;
use tests::{
    cast::{self, FIRST, SECOND},
    platform::{Platform, report},
    program::{Run, run},
    venue::{Venue, soon},
};
use types::{CancelReason, Energy, PlaceName, RejectReason, Role, Side, Timestamp, UtilityId};
use wire::{data::ScheduleQuery, outbound::ExecType};

/// Runs the program against a venue as a party, with the party's certificate and signing key.
pub(crate) async fn as_party(venue: &Venue, party: &str, words: &[&str]) -> Run {
    let keys = venue.layout.keys();
    let (role, number) = party.split_once('/').unwrap();
    let role = Role::from_name(role).unwrap();
    let party_of = cast::party(role, number.parse().unwrap());
    // Issues the certificate, if there is none yet.
    drop(venue.connector(party_of));
    let signing = keys.join(format!("{}-{number}.signing.key", role.name()));
    if !signing.exists() {
        let pem = gateway::identity::signing_key_pem(&cast::party_key(party_of)).unwrap();
        gateway::identity::write_key_file(&signing, &pem).unwrap();
    }
    let address = venue.node.address.to_string();
    let mut arguments: Vec<String> = words.iter().map(ToString::to_string).collect();
    let more = ["--as", party, "--keys", keys.to_str().unwrap(), "--server", &address];
    arguments.extend(more.map(str::to_owned));
    tokio::task::spawn_blocking(move || run(arguments)).await.unwrap()
}

fn json(run: &Run) -> Value {
    assert_eq!(run.code, Some(0), "{run:?}");
    serde_json::from_str(&run.stdout).unwrap()
}

/// A venue after a trade of 100 Wh from meter 1 to meter 2 in the slot at noon, and its delivery.
async fn after_delivery() -> Venue {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut first = Platform::log_on(&venue, 1).await;
    let mut second = Platform::log_on(&venue, 2).await;
    let sell = first.order(FIRST, Side::Sell, 100, 100);
    first.accepted(sell).await;
    let buy = second.order(SECOND, Side::Buy, 100, 100);
    let traded = second.accepted(buy).await.seq;
    venue.settled_through(traded).await;
    venue.clock_to(16).await;
    venue
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// One quarter hour of both registers, as an interval profile.
fn profile(venue: &Venue, meter: &str, withdrawn: &str, injected: &str) -> String {
    let start = venue.slot(0).slot.start();
    format!(
        r#"[{{"profileType":"DESCRIPTOR","id":"D","payloadDescriptorSets":[{{"name":"b",
        "payloadDescriptors":[{{"readingType":"kWh imp block"}},{{"readingType":"kWh exp block"}}],
        "compactSequences":[{{"name":"p","sequenceItems":[{{"readingType":"kWh imp block"}},
        {{"readingType":"kWh exp block"}}]}}]}}]}},
        {{"profileType":"INTERVAL","meterRefs":[{{"value":"{meter}"}}],"compactSequenceRef":"p",
        "intervalPeriod":{{"start":"{start}","duration":"PT15M"}},
        "intervals":[{{"id":0,"payloads":[{withdrawn},{injected}]}}]}}]"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn meter_files_are_pushed_and_verified_with_the_program() {
    let venue = after_delivery().await;
    let dir = tempfile::tempdir().unwrap();
    let status =
        json(&as_party(&venue, "operator/1", &["verify", "run", "--output", "json"]).await);
    assert_eq!((&status[0]["awaiting"], &status[0]["changed"]), (&1.into(), &0.into()));
    let ask = ["meter", "status", "--missing", "--output", "json"];
    let missing = json(&as_party(&venue, "retailer/1", &ask).await);
    assert_eq!(missing.as_array().unwrap().len(), 1, "{missing}");
    assert_eq!((&missing[0]["meter"], &missing[0]["why"]), (&1.into(), &"missing".into()));

    // The registered name of a meter is known; another one has to be told first.
    let codes = write(
        dir.path(),
        "codes.json",
        r#"{"type":"meter_codes","codes":[{"meter":2,"code":"SM-2"}]}"#,
    );
    let sold = write(dir.path(), "sold.json", &profile(&venue, "METER-1", "0", "0.0991"));
    let bought = write(dir.path(), "bought.json", &profile(&venue, "SM-2", "0.1", "0"));
    let push = |file: &str| ["meter", "push", file, "--output", "csv"].map(str::to_owned);
    let words = |words: &[String; 5]| words.clone();
    let refused = words(&push(&bought));
    let refused: Vec<&str> = refused.iter().map(String::as_str).collect();
    let early = as_party(&venue, "retailer/2", &refused).await;
    assert_eq!(early.code, Some(1));
    assert!(early.stderr.contains("unknown_code"), "{early:?}");
    for (party, file) in [("retailer/2", &codes), ("retailer/2", &bought), ("retailer/1", &sold)] {
        let done = as_party(&venue, party, &["meter", "push", file, "--output", "csv"]).await;
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(done.stdout.contains(",1,taken,"), "{done:?}");
    }
    let cut = write(dir.path(), "cut.json", "[{\"profileType\":");
    let wrong = as_party(&venue, "retailer/1", &["meter", "push", &cut]).await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    let done = json(&as_party(&venue, "operator/1", &["verify", "run", "--output", "json"]).await);
    assert_eq!((&done[0]["changed"], &done[0]["awaiting"]), (&1.into(), &0.into()), "{done}");
    let kept =
        json(&as_party(&venue, "retailer/2", &["meter", "status", "--output", "json"]).await);
    let kinds: Vec<_> = kept.as_array().unwrap().iter().map(|row| &row["kind"]).collect();
    assert_eq!(kinds, ["meter_codes", "meter_readings"]);
    let status = as_party(&venue, "operator/1", &["verify", "status", "--output", "csv"]).await;
    assert_eq!(status.stdout.lines().filter(|line| line.starts_with("cycle,")).count(), 2);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_utility_sees_limits_and_curtails_its_grid_with_the_program() {
    let venue = after_delivery().await;
    let dir = tempfile::tempdir().unwrap();
    let slot = venue.slot(0).slot.start().to_string();
    let points = format!(
        r#"{{"type":"meter_points","points":[{{"meter":1,"from":"{slot}","zone":"NORTH","feeder":"F1"}}]}}"#
    );
    let points = write(dir.path(), "points.json", &points);
    let done = as_party(&venue, "utility/1", &["meter", "push", &points]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let limit = ["grid", "limit", "--zone", "NORTH", "--slot", &slot, "--direction", "injection"];
    let done = as_party(&venue, "utility/1", &[&limit[..], &["--wh", "50"]].concat()).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let schedule = ["grid", "schedule", "--zone", "NORTH", "--output", "json"];
    let rows = json(&as_party(&venue, "utility/1", &schedule).await);
    // The zone's own line, then its feeder's.
    let row = &rows.as_array().unwrap()[1];
    assert_eq!((&row["injection_wh"], &row["injection_limit_wh"]), (&100.into(), &50.into()));
    // The slot is over: nothing can be traded in it, and the limit is for information.
    assert_eq!((&row["injection_headroom_wh"], &row["feeder"]), (&0.into(), &"F1".into()));
    let told = notices(&venue, "utility/1", "0").await;
    assert_eq!(
        (&told[0]["what"], &told[0]["reason"]),
        (&"limit_refused".into(), &"gate_closed".into())
    );
    let rows = json(&as_party(&venue, "utility/1", &schedule).await);
    let other = [&schedule[..], &["--utility", "1"]].concat();
    let refused = as_party(&venue, "utility/2", &other).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert_eq!(json(&as_party(&venue, "operator/1", &other).await), rows);

    let curtail =
        ["grid", "curtail", "--zone", "NORTH", "--slot", &slot, "--direction", "injection"];
    let wrong = as_party(&venue, "utility/2", &[&curtail[..], &["--reject"]].concat()).await;
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(wrong.stderr.contains("unknown_zone"), "{wrong:?}");
    // Who waits is told as soon as it happens.
    let waiting =
        as_party(&venue, "platform/2", &["grid", "notices", "--wait", "60", "--output", "json"]);
    let curtailing = [&curtail[..], &["--cap-wh", "30", "--reason", "policy"]].concat();
    let (told, done) = tokio::join!(waiting, as_party(&venue, "utility/1", &curtailing));
    assert_eq!(done.code, Some(0), "{done:?}");
    let told = json(&told);
    assert_eq!((&told[0]["contract"], &told[0]["allowed_wh"]), (&1.into(), &30.into()), "{told}");
    let both = [&curtail[..], &["--reject", "--cap-wh", "1"]].concat();
    assert_eq!(as_party(&venue, "utility/1", &both).await.code, Some(2));
    venue.close().await;
}

/// What a party is told after a notice; waits for it.
async fn notices(venue: &Venue, party: &str, after: &str) -> Value {
    let ask = ["grid", "notices", "--after", after, "--wait", "60", "--output", "json"];
    json(&as_party(venue, party, &ask).await)
}

/// Says that a meter hangs on feeder F1 of zone NORTH from noon on.
async fn hang(venue: &Venue, dir: &Path, party: &str, meter: u32) -> Run {
    let from = venue.slot(0).slot.start();
    let points = format!(
        r#"{{"type":"meter_points","points":[{{"meter":{meter},"from":"{from}","zone":"NORTH","feeder":"F1"}}]}}"#
    );
    let points = write(dir, "points.json", &points);
    as_party(venue, party, &["meter", "push", &points]).await
}

/// Sets a limit on what feeder F1 may inject at noon.
async fn limit(venue: &Venue, party: &str, wh: &str, revision: &str) -> Run {
    let slot = venue.slot(0).slot.start().to_string();
    let place = ["grid", "limit", "--zone", "NORTH", "--feeder", "F1", "--slot", &slot];
    let what = ["--direction", "injection", "--wh", wh, "--revision", revision];
    as_party(venue, party, &[&place[..], &what[..]].concat()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_stops_orders_before_they_are_trades() {
    let venue = Venue::open().await;
    let dir = tempfile::tempdir().unwrap();
    venue.clock_to(-29).await;
    venue.settled().await;
    assert_eq!(hang(&venue, dir.path(), "utility/1", 1).await.code, Some(0));
    assert_eq!(limit(&venue, "utility/1", "250", "1").await.code, Some(0));
    let told = notices(&venue, "utility/1", "0").await;
    assert_eq!((&told[0]["what"], &told[0]["allowed_wh"]), (&"limit_in_force".into(), &250.into()));
    assert!(told[0]["since"].as_u64().unwrap() > 0, "{told}");
    let first_notice = told[0]["notice"].to_string();

    let mut first = Platform::log_on(&venue, 1).await;
    let mut second = Platform::log_on(&venue, 2).await;
    let old = first.order(FIRST, Side::Sell, 100, 100);
    let old = first.accepted(old).await;
    let more = first.order(FIRST, Side::Sell, 100, 160);
    let refused = first.place(more).await;
    assert_eq!(report(&refused).reason, RejectReason::GridLimit.code(), "{refused:?}");
    let new = first.order(FIRST, Side::Sell, 110, 150);
    let new = first.accepted(new).await;
    let buy = second.order(SECOND, Side::Buy, 100, 50);
    let traded = second.accepted(buy).await.seq;
    venue.settled_through(traded).await;

    // Less: what is open goes, the newest first; what is traded stands.
    assert_eq!(limit(&venue, "utility/1", "120", "2").await.code, Some(0));
    let gone = first.report_of(ExecType::Cancelled).await;
    assert_eq!((gone.order, gone.reason), (new.order, CancelReason::GridLimit.code().into()));
    let told = notices(&venue, "utility/1", &first_notice).await;
    assert_eq!((&told[0]["contracted_wh"], &told[0]["allowed_wh"]), (&100.into(), &120.into()));
    let schedule = ["grid", "schedule", "--zone", "NORTH", "--output", "json"];
    let rows = json(&as_party(&venue, "utility/1", &schedule).await);
    let row = &rows[0];
    assert_eq!((&row["injection_wh"], &row["injection_limit_wh"]), (&50.into(), &120.into()));
    assert_eq!(
        (&row["injection_headroom_wh"], &row["limits_in_force"]),
        (&70.into(), &true.into())
    );
    let still = report(&first.status(old.order).await);
    assert_eq!(still.leaves.wh(), 50);

    // Others cannot: a utility whose wires these are not, what is outdated, what is over.
    assert_eq!(limit(&venue, "utility/2", "0", "1").await.code, Some(1));
    assert_eq!(limit(&venue, "retailer/1", "0", "1").await.code, Some(1));
    let again = limit(&venue, "utility/1", "250", "1").await;
    assert_eq!(again.code, Some(0), "what is known is no news: {again:?}");
    let more = first.order(FIRST, Side::Sell, 100, 30);
    let refused = first.place(more).await;
    assert_eq!(report(&refused).reason, RejectReason::GridLimit.code());
    drop((first, second));
    venue.close().await;
}

/// The document is durable, and the process ends before the books know of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_the_books_have_not_heard_of_reaches_them_after_a_restart() {
    let venue = Venue::open().await;
    let dir = tempfile::tempdir().unwrap();
    venue.clock_to(-29).await;
    venue.settled().await;
    assert_eq!(hang(&venue, dir.path(), "utility/1", 1).await.code, Some(0));
    let (slot, now) = (venue.slot(0).slot, venue.now());
    let stopped = venue.closed_for_repair().await;
    let name = |text| PlaceName::new(text).unwrap();
    let limit = settlement::GridLimit {
        zone: name("NORTH"),
        feeder: Some(name("F1")),
        side: Side::Sell,
        slot,
        limit: Energy::from_wh(90),
        revision: 1,
    };
    let utility = cast::party(Role::Utility, 1);
    let document = settlement::seal(utility, &cast::party_key(utility), &limit.to_body());
    let receipt = stopped.pipeline().ingest(now, &document).unwrap();
    assert_eq!(receipt.result, Ok(()));

    let venue = stopped.start().await;
    let told = notices(&venue, "utility/1", "0").await;
    assert_eq!((&told[0]["what"], &told[0]["allowed_wh"]), (&"limit_in_force".into(), &90.into()));
    let mut first = Platform::log_on(&venue, 1).await;
    let sell = first.order(FIRST, Side::Sell, 100, 100);
    let refused = first.place(sell).await;
    assert_eq!(report(&refused).reason, RejectReason::GridLimit.code(), "{refused:?}");
    drop(first);
    // A snapshot or the journal: both know the limit.
    let (venue, _) = venue.restart().await;
    let mut first = Platform::log_on(&venue, 1).await;
    let sell = first.order(FIRST, Side::Sell, 100, 100);
    assert_eq!(report(&first.place(sell).await).reason, RejectReason::GridLimit.code());
    let fits = first.order(FIRST, Side::Sell, 100, 90);
    first.accepted(fits).await;
    drop(first);
    venue.close().await;
}

/// A subscription: what is there, then what changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_is_followed_by_its_changes() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut first = Platform::log_on(&venue, 1).await;
    let mut second = Platform::log_on(&venue, 2).await;
    let desk = venue.desk(cast::party(Role::Utility, 2)).await;
    let query = ScheduleQuery {
        from: Timestamp::from_ns(0),
        to: Timestamp::from_ns(i64::MAX),
        after: 0,
        zone: None,
        feeder: None,
        utility: UtilityId::new(2),
        wait_seconds: 0,
    };
    let nothing: Value = serde_json::from_str(&soon(desk.schedule(query)).await.unwrap()).unwrap();
    assert_eq!(nothing["lines"], Value::Array(Vec::new()));
    let after = nothing["serial"].as_u64().unwrap();
    let waiting = desk.schedule(ScheduleQuery { after, wait_seconds: 20, ..query });
    let trading = async {
        let sell = first.order(FIRST, Side::Sell, 100, 100);
        first.accepted(sell).await;
        let buy = second.order(SECOND, Side::Buy, 100, 100);
        second.accepted(buy).await.seq
    };
    let (told, _) = tokio::join!(soon(waiting), trading);
    let told: Value = serde_json::from_str(&told.unwrap()).unwrap();
    assert!(told["serial"].as_u64().unwrap() > after);
    let row = &told["lines"][0];
    assert_eq!((&row["withdrawal_wh"], &row["contracts"]), (&100.into(), &1.into()), "{told}");
    drop(desk);
    let follow = ["grid", "schedule", "--follow", "--answers", "1", "--output", "ndjson"];
    let told = as_party(&venue, "utility/2", &follow).await;
    assert_eq!(serde_json::from_str::<Value>(&told.stdout).unwrap(), *row, "{told:?}");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_connect_is_told_with_a_code_of_its_own() {
    let venue = Venue::open().await;
    let keys = venue.layout.keys();
    let keys = keys.to_str().unwrap().to_owned();
    drop(venue.connector(cast::party(Role::Operator, 1)));
    let status = |keys: &str, party: &str, address: &str| {
        let words = ["verify", "status", "--as", party, "--keys", keys, "--server", address];
        run(words)
    };
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(status(&keys, "operator/1", &nobody.to_string()).code, Some(6));
    let address = venue.node.address.to_string();
    assert_eq!(status(&keys, "operator/77", &address).code, Some(3), "no such certificate");
    assert_eq!(status(&keys, "meter/1", &address).code, Some(2), "meters have no connection");
    let other = tempfile::tempdir().unwrap();
    let strangers = gridcross_keys(other.path());
    assert_eq!(status(&strangers, "operator/1", &address).code, Some(6), "another authority");
    assert_eq!(status(&keys, "retailer/1", &address).code, Some(1), "not an operator");
    venue.close().await;
}

/// The keys of an exchange that is not this one.
fn gridcross_keys(dir: &Path) -> String {
    let made = run(["init", dir.join("other").to_str().unwrap()]);
    assert_eq!(made.code, Some(0), "{made:?}");
    dir.join("other/keys").to_str().unwrap().to_owned()
}
