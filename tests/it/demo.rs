//! `gridcross demo`: one seed, one day.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use expect_test::expect_file;
use serde_json::Value;
use tests::{
    day::{self, SEED, play, text},
    program,
};

const KEYS: [&str; 17] = [
    "seed",
    "meters",
    "slots",
    "orders",
    "trades",
    "cleared_wh",
    "contracts",
    "complete",
    "partial",
    "failed",
    "awaiting",
    "money_sum_minor",
    "state_digest",
    "ledger_root",
    "ack_latency_us",
    "elapsed_s",
    "data_dir",
];

fn parse(stdout: &str) -> Value {
    serde_json::from_str(stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

/// What must not depend on the machine.
fn decided_by_the_seed(summary: &Value) -> Value {
    let mut summary = summary.clone();
    let object = summary.as_object_mut().unwrap();
    for measured in ["ack_latency_us", "elapsed_s", "elapsed_ms", "data_dir"] {
        assert!(object.remove(measured).is_some(), "`{measured}` is missing");
    }
    summary
}

#[test]
fn one_seed_is_one_day_and_another_is_another() {
    let first = &day::kept().summary;
    let again = play(SEED, &["--output", "json"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!(decided_by_the_seed(first), decided_by_the_seed(&parse(&again.stdout)));
    let other = parse(&play("8", &["--output", "json"]).stdout);
    assert_ne!(first["state_digest"], other["state_digest"]);
    assert_ne!(first["ledger_root"], other["ledger_root"]);
}

#[test]
fn the_summary_has_every_number() {
    let summary = &day::kept().summary;
    for key in KEYS {
        assert!(!summary[key].is_null(), "`{key}` is missing");
    }
    for quantile in ["p50", "p99", "p999"] {
        assert!(summary["ack_latency_us"][quantile].as_u64().unwrap() > 0, "{quantile}");
    }
    assert_eq!(summary["seed"], SEED.parse::<u64>().unwrap());
    assert_eq!((&summary["meters"], &summary["slots"]), (&Value::from(120), &Value::from(6)));
    assert_eq!(summary["money_sum_minor"], 0);
    assert_eq!(summary["contracts"], summary["trades"]);
    assert!(summary["trades"].as_u64().unwrap() > 100, "{summary}");
    let settled = ["complete", "partial", "partial_curtailed", "failed", "disputed"];
    let states = settled.iter().chain(&["awaiting", "cancelled"]);
    let by_state: u64 = states.map(|state| summary[state].as_u64().unwrap()).sum();
    assert_eq!(summary["contracts"], by_state);
    for digest in ["state_digest", "ledger_root"] {
        assert_eq!(summary[digest].as_str().unwrap().len(), 64, "{digest}");
    }
}

#[test]
fn a_day_has_changes_communities_and_limits() {
    let summary = &day::kept().summary;
    let counts = [
        "negotiated",
        "changes_agreed",
        "changes_declined",
        "aggregates",
        "aggregate_members",
        "aggregate_trades",
        "grid_limits",
        "grid_stopped",
        "grid_cancelled",
    ];
    for name in counts {
        assert!(summary[name].as_u64().unwrap() > 0, "{name}: {summary}");
    }
    assert_eq!(summary["rejected"], 0, "nothing else is refused");
    for name in ["change_example", "declined_example", "aggregate_example", "grid_example"] {
        let example = summary[name].as_str().unwrap();
        assert!(example != "none" && !example.contains([',', '"']), "{name}: {example}");
    }
    // Every version that was agreed is evidence in the journal, and every member of a community's order.
    let evidence = replay::verify_signatures(&day::kept().dir.join("journal")).unwrap();
    assert_eq!(summary["aggregates"], evidence.aggregates);
    assert_eq!(summary["aggregate_members"], evidence.members);
}

/// A command about the kept day, and what it prints.
fn about_the_day(arguments: &[&str]) -> String {
    let dir = text(&day::kept().dir).to_owned();
    let run = program::run(arguments.iter().map(|part| part.replace("DAY", &dir)));
    assert_eq!(run.code, Some(0), "{arguments:?}: {}", run.stderr);
    run.stdout
}

#[test]
fn a_day_is_settled_in_five_ways_and_everything_agrees() {
    let summary = &day::kept().summary;
    let mechanisms = summary["mechanisms"].as_array().unwrap();
    let names: Vec<_> = mechanisms.iter().map(|of| of["mechanism"].as_str().unwrap()).collect();
    let expected = ["clearing_house", "block", "prepaid", "seller_biller", "platform_biller"];
    assert_eq!(names, expected);
    let sum = |name: &str| -> i64 { mechanisms.iter().map(|of| of[name].as_i64().unwrap()).sum() };
    assert_eq!(Some(sum("contracts")), summary["contracts"].as_i64());
    assert_eq!(Some(sum("settled_wh")), summary["settled_wh"].as_i64());
    assert_eq!(sum("open_minor"), 0, "everybody has paid in the end: {summary}");
    for of in mechanisms {
        assert!(of["settled_wh"].as_i64() > Some(0) && of["paid_minor"].as_i64() > Some(0), "{of}");
    }
    for name in
        ["rail_settled", "rail_declined", "rail_silent", "rail_events", "reconciled_movements"]
    {
        assert!(summary[name].as_u64() > Some(0), "{name}: {summary}");
    }
    assert_eq!(summary["reconciliation_breaks"], 0);
    let audit = day::settlement(day::copy().path()).audit().unwrap();
    assert!(audit.is_clean(), "{audit:?}");
    let audited = about_the_day(&["ledger", "audit", "DAY", "--output", "ndjson"]);
    assert_eq!(parse(&audited)["books_compared"], true, "{audited}");
    let of_day = ["reconcile", "--data-dir", "DAY", "--day", "2016-07-25", "--statement"];
    about_the_day(&[&of_day[..], &["DAY/rail/2016-07-25.csv"]].concat());
    let status = about_the_day(&["settle", "status", "--data-dir", "DAY", "--output", "csv"]);
    assert!(expected.iter().all(|name| status.contains(&format!("mechanism,{name},"))), "{status}");
}

#[test]
fn a_buyer_is_suspended_and_let_trade_again() {
    let summary = &day::kept().summary;
    assert_eq!(summary["orders_suspended"], 1, "{summary}");
    assert_eq!(summary["suspended"], summary["reinstated"]);
    assert!(summary["suspended"].as_u64() > Some(0) && summary["fined"].as_u64() > Some(0));
    let example = summary["default_example"].as_str().unwrap();
    assert!(!example.contains([',', '"']), "{example}");
    let mut at = 0;
    for word in ["warned", "fined", "suspended", "trading_suspended", "paid", "taken"] {
        at += example[at..].find(word).unwrap_or_else(|| panic!("{word}: {example}"));
    }
    // The commands say what the summary says, and which leaves prove it.
    let all = ["--data-dir", "DAY", "--output", "csv"];
    let status = about_the_day(&[&["enforce", "status"][..], &all].concat());
    let reached = status.lines().skip(1).filter(|line| !line.contains(",none,")).count();
    assert_eq!(Some(reached), summary["defaults"].as_u64().and_then(|n| usize::try_from(n).ok()));
    let meter = example.strip_prefix("meter/").and_then(|rest| rest.split_once(':')).unwrap().0;
    let steps = about_the_day(&[&["enforce", "steps", "--meter", meter][..], &all].concat());
    for level in ["warned", "fined", "suspended"] {
        let line = steps.lines().find(|line| line.contains(level)).unwrap();
        let leaf = line.split(',').next().unwrap();
        assert!(example.contains(&format!("(leaf {leaf})")), "{line}: {example}");
    }
    assert!(
        about_the_day(&[&["enforce", "status", "--suspended"][..], &all].concat()).lines().count()
            <= 1
    );
}

#[test]
fn four_retailers_have_statements_that_anybody_can_make_again() {
    let day = day::kept();
    let statements = day.summary["statements"].as_array().unwrap();
    assert_eq!(statements.len(), 4);
    for (number, totals) in (1..=4).zip(statements) {
        assert!(totals["contracts"].as_u64() > Some(0), "{totals}");
        let kept = fs::read_to_string(day.dir.join(format!("statements/retailer-{number}.jsonl")))
            .unwrap();
        let again = tempfile::tempdir().unwrap();
        let file = again.path().join("again.jsonl");
        let name = format!("retailer/{number}");
        let shown = about_the_day(&[
            "statement",
            &name,
            "--month",
            "2016-07",
            "--data-dir",
            "DAY",
            "--file",
            text(&file),
            "--output",
            "ndjson",
        ]);
        assert_eq!(fs::read_to_string(&file).unwrap(), kept);
        let shown = parse(&shown);
        for name in ["contracts", "bought_wh", "sold_wh", "charges_minor", "net_minor"] {
            assert_eq!(shown[name], totals[name], "{name}");
        }
    }
}

/// What people see, without what the machine decides.
#[test]
fn the_summary_fits_a_screen() {
    let human = play(SEED, &[]).stdout;
    assert!(human.lines().count() <= 50, "{human}");
    let measured = ["durable answer", "elapsed", "state digest", "ledger root"];
    let lines = human.lines().filter(|line| !measured.iter().any(|word| line.contains(word)));
    let told: String = lines.map(|line| line.trim_end().to_owned() + "\n").collect();
    expect_file!["demo_summary.txt"].assert_eq(&told);
}

#[test]
fn a_kept_day_holds_everything_and_its_keys_are_private() {
    let day = day::kept();
    assert_eq!(day.summary["data_dir"], text(&day.dir));
    for name in ["gridcross.toml", "registry.toml", "settlement.db", "report.html"] {
        assert!(day.dir.join(name).is_file(), "{name}");
    }
    for name in ["journal", "ledger", "keys", "blotter", "statements", "rail"] {
        assert!(fs::read_dir(day.dir.join(name)).unwrap().next().is_some(), "{name}");
    }
    let mut keys = 0;
    for file in fs::read_dir(day.dir.join("keys")).unwrap() {
        let file = file.unwrap();
        if file.path().extension().is_some_and(|extension| extension == "key") {
            let mode = file.metadata().unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode, 0o600, "{}", file.path().display());
            keys += 1;
        }
    }
    assert!(keys > 10, "authority, server, ledger, and every party: {keys}");
    let verified = day::replay(&day.dir);
    assert_eq!(day.summary["state_digest"], verified.state_digest.to_string());
    assert_eq!(day.summary["commands"], verified.commands);
    assert_eq!(day.summary["trades"], verified.trades);
}

#[test]
fn a_day_that_is_not_kept_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let mut command =
        tests::program::gridcross(["demo", "--output", "json"].iter().chain(&day::SIZE));
    let run = tests::program::finish(command.env("TMPDIR", temporary.path()));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(parse(&run.stdout)["data_dir"], Value::Null);
    assert_eq!(entries(temporary.path()), Vec::<String>::new(), "its temporary directory");

    let place = temporary.path().join("named");
    let run = play(SEED, &["--output", "json", "--data-dir", text(&place)]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(entries(temporary.path()), Vec::<String>::new(), "a named directory");
}

fn entries(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}

#[test]
fn every_format_says_the_same() {
    let expected = decided_by_the_seed(&day::kept().summary);
    let ndjson = play(SEED, &["--output", "ndjson"]).stdout;
    assert_eq!(ndjson.lines().count(), 1);
    assert_eq!(decided_by_the_seed(&parse(&ndjson)), expected);

    let csv = play(SEED, &["--output", "csv"]).stdout;
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("name,value"));
    let mut compared = 0;
    for line in lines {
        let (name, value) = line.split_once(',').unwrap();
        assert!(!value.contains([',', '"']), "two columns: {line}");
        if let Some(known) = expected.get(name) {
            let known = known.as_str().map_or_else(|| known.to_string(), str::to_owned);
            assert_eq!(value, known, "{name}");
            compared += 1;
        }
    }
    let flat = expected.as_object().unwrap().values().filter(|value| !value.is_array()).count();
    assert_eq!(compared, flat, "{csv}");

    let human = play(SEED, &[]).stdout;
    let digest = expected["state_digest"].as_str().unwrap();
    assert!(human.contains(digest) && human.contains("trades"), "{human}");
}
