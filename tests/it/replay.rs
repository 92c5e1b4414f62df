//! `gridcross replay`: every command of it, on the kept day and on journals of imported logs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;
use tempfile::TempDir;
use tests::{
    day::{self, text},
    program::{Run, gridcross, run},
};

/// What a command printed as JSON.
fn json(run: &Run) -> Value {
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.stdout))
}

fn replay_json(arguments: &[&str]) -> Value {
    json(&run(["replay"].iter().chain(arguments).chain(&["--output", "json"])))
}

/// The one error of a command that failed.
fn refusal(arguments: &[&str], code: i32) -> String {
    let run = run(["replay"].iter().chain(arguments));
    assert_eq!(run.code, Some(code), "{run:?}");
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    let errors: Vec<_> = run.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{}", run.stderr);
    run.stderr
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../replay/samples").join(name)
}

/// A journal of a sample, and what the run that wrote it said.
fn imported(name: &str) -> (TempDir, PathBuf, Value) {
    let place = tempfile::tempdir().unwrap();
    let journal = place.path().join("journal");
    let sample = sample(name);
    let arguments = ["run", text(&sample), "--journal", text(&journal), "--lot", "0.001"];
    let run = replay_json(&arguments);
    (place, journal, run)
}

#[test]
fn an_imported_journal_verifies_and_runs_to_the_same_state() {
    for name in ["lobster.csv", "itch.bin", "orders.csv", "orders.ndjson"] {
        let (_place, journal, figures) = imported(name);
        let figures = &figures["run"][0];
        assert!(figures["trades"].as_u64().unwrap() > 50, "{figures}");
        assert_eq!(figures["executions_different"], 0);
        assert!(figures["ns_per_op"].as_f64().unwrap() > 0.0);
        for latency in ["p50_ns", "p99_ns", "p999_ns"] {
            assert!(figures[latency].as_u64().unwrap() > 0, "{latency}");
        }
        let rows = replay_json(&["verify", text(&journal)]);
        assert_eq!((&rows[0]["result"], &rows[0]["shard"]), (&"equal".into(), &1.into()));
        assert_eq!(rows[0]["state_digest"], figures["state_digest"]);
        assert_eq!(rows[0]["commands"], figures["operations"]);
        let again = replay_json(&["run", text(&journal), "--loop", "2"]);
        assert_eq!(again["run"][0]["state_digest"], figures["state_digest"]);
        assert_eq!(again["run"][0]["trades"], figures["trades"]);
    }
}

#[test]
fn a_journal_is_begun_and_never_continued() {
    let (_place, journal, _) = imported("lobster.csv");
    let file = sample("lobster.csv");
    let told = refusal(&["run", text(&file), "--journal", text(&journal)], 2);
    assert!(told.contains("holds a journal already"), "{told}");
}

#[test]
fn exported_commands_lead_to_the_same_events_and_state() {
    let day = day::kept();
    let place = tempfile::tempdir().unwrap();
    let (file, journal) = (place.path().join("commands.ndjson"), place.path().join("journal"));
    let arguments = ["export", text(&day.dir), "--format", "ndjson", "--what", "commands"];
    let exported = run(["replay"].iter().chain(&arguments).chain(&["--file", text(&file)]));
    assert_eq!((exported.code, exported.stdout.as_str()), (Some(0), ""), "{}", exported.stderr);
    let ran = replay_json(&["run", text(&file), "--journal", text(&journal)]);
    assert_eq!(ran["run"][0]["state_digest"], day.summary["state_digest"]);
    // Every command and every event, field by field.
    let compared = run(["replay", "diff", text(&day.dir), text(&journal)]);
    assert_eq!(compared.code, Some(0), "{}", compared.stderr);
    assert_eq!(compared.stdout, format!("equal: {} entries\n", day.summary["commands"]));
}

#[test]
fn exports_are_tables() {
    let day = day::kept();
    let of = |what: &str, format: &str| {
        let run = run(["replay", "export", text(&day.dir), "--format", format, "--what", what]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        run.stdout
    };
    let rows = |what: &str| {
        let (csv, ndjson) = (of(what, "csv"), of(what, "ndjson"));
        assert_eq!(csv.lines().count(), ndjson.lines().count() + 1, "{what}");
        ndjson.lines().count()
    };
    assert_eq!(Value::from(rows("trades")), day.summary["trades"]);
    // Those that a limit of the grid or a suspension stopped were no orders of a book.
    let stopped = ["grid_stopped", "orders_suspended"];
    let stopped: u64 = stopped.iter().map(|name| day.summary[*name].as_u64().unwrap()).sum();
    let accepted = day.summary["orders"].as_u64().unwrap() - stopped;
    assert_eq!(u64::try_from(rows("orders")).unwrap(), accepted);
    assert_eq!(Value::from(rows("commands")), day.summary["commands"]);
    assert!(rows("events") > rows("commands"));
    let trades = of("trades", "csv");
    assert!(trades.starts_with("seq,time_ns,index,event,trade,market,start_minute,"), "{trades}");
    let none = ["--from", "2099-01-01T00:00:00Z", "--what", "trades", "--format", "ndjson"];
    let run = run(["replay", "export", text(&day.dir)].iter().chain(&none));
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""));
}

#[test]
fn a_build_without_a_format_names_the_feature() {
    let (_place, journal, _) = imported("lobster.csv");
    let file = journal.with_file_name("orders.parquet");
    let export = ["export", text(&journal), "--format", "parquet", "--file", text(&file)];
    let refused = refusal(&export, 2);
    assert!(refused.contains("build it with `--features parquet`"), "{refused}");
    assert!(!file.exists(), "nothing was there to write");
    let refused = refusal(&["run", text(&sample("mbo.dbn"))], 2);
    assert!(refused.contains("build it with `--features dbn`"), "{refused}");
}

#[test]
fn an_inspection_adds_up() {
    let day = day::kept();
    let found = replay_json(&["inspect", text(&day.dir)]);
    let journal = &found["journal"][0];
    assert_eq!(journal["entries"], day.summary["commands"]);
    assert_eq!(journal["torn_bytes"], 0);
    let sum = |part: &str, field: &str| -> u64 {
        found[part].as_array().unwrap().iter().map(|row| row[field].as_u64().unwrap()).sum()
    };
    let segments = found["segments"].as_array().unwrap().len();
    let batches = found["batches"][0]["batches"].as_u64().unwrap();
    assert_eq!(sum("commands", "count"), journal["entries"].as_u64().unwrap());
    assert_eq!(sum("segments", "batches"), batches);
    // A page and 120 bytes around each batch; one segment here, so no end marker.
    let around = 4_096 + batches * 120;
    let records = sum("commands", "bytes") + sum("events", "bytes");
    assert_eq!((segments, records + around), (1, journal["bytes_used"].as_u64().unwrap()));
    let of = |part: &str, kind: &str| {
        let rows = found[part].as_array().unwrap();
        rows.iter().find(|row| row["kind"] == kind).map(|row| row["count"].clone())
    };
    assert_eq!(of("events", "trade"), Some(day.summary["trades"].clone()));
    let sent = ["new_order", "new_aggregate_order"].map(|kind| of("commands", kind));
    let sent: u64 = sent.iter().flatten().filter_map(Value::as_u64).sum();
    assert_eq!(Some(sent), day.summary["orders"].as_u64());

    let human = run(["replay", "inspect", text(&day.dir)]);
    assert!(human.stdout.starts_with("journal\n") && human.stdout.contains("\nsegments\n"));
    let csv = run(["replay", "inspect", text(&day.dir), "--output", "csv"]).stdout;
    assert!(csv.starts_with("part,row,name,value\njournal,0,journal,"), "{csv}");
    let ndjson = run(["replay", "inspect", text(&day.dir), "--output", "ndjson"]).stdout;
    assert!(ndjson.lines().all(|line| line.starts_with("{\"part\":\"")), "{ndjson}");
}

#[test]
fn entries_can_be_looked_at() {
    let day = day::kept();
    let entries = |range: &str, format: &str| {
        let arguments = ["replay", "inspect", text(&day.dir), "--entries", range, "--output"];
        let run = run(arguments.iter().chain(&[format]));
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        run.stdout
    };
    let found: Value = serde_json::from_str(&entries("1..3", "json")).unwrap();
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!((&found[0]["seq"], &found[0]["command"]), (&1.into(), &"define_market".into()));
    assert_eq!(found[0]["events"][0]["event"], "market_defined");
    assert_eq!(entries("1..3", "ndjson").lines().count(), 3);
    assert_eq!(entries("999999999..", "json").split_whitespace().collect::<String>(), "[]");
    assert!(entries("1..1", "human").contains("Z define_market market=1 "));
    assert!(entries("2", "csv").lines().nth(1).unwrap().starts_with("2,"));
    let told = refusal(&["inspect", text(&day.dir), "--entries", "3..1"], 2);
    assert!(told.contains("sequence numbers rise"), "{told}");
}

#[test]
fn journals_that_part_are_shown_side_by_side() {
    let place = tempfile::tempdir().unwrap();
    let journal = |name: &str, table: &str| {
        let (file, dir) = (place.path().join(name), place.path().join(format!("{name}.journal")));
        fs::write(&file, table).unwrap();
        replay_json(&["run", text(&file), "--journal", text(&dir)]);
        dir
    };
    let table = "time_ns,id,side,price,qty\n1,1,buy,10,5\n2,2,sell,10,3\n";
    let whole = journal("whole", &format!("{table}3,3,sell,10,1\n"));
    let shorter = journal("shorter", table);
    let other = journal("other", &table.replace("10,3", "10,4"));
    let compare = |left: &Path, right: &Path| {
        let run = run(["replay", "diff", text(left), text(right), "--output", "json"]);
        let rows: Value = serde_json::from_str(&run.stdout).unwrap();
        (run.code, rows[0].clone(), run.stderr)
    };
    assert_eq!(compare(&whole, &whole).0, Some(0));
    assert_eq!(compare(&whole, &whole).1["result"], "equal");

    let (code, row, told) = compare(&whole, &shorter);
    assert_eq!((code, &row["result"]), (Some(4), &"right_is_prefix".into()));
    let (left, right) =
        (row["entries_left"].as_u64().unwrap(), row["entries_right"].as_u64().unwrap());
    assert_eq!(left, right + 1);
    assert!(told.contains(&format!("{right} entries of {left}")), "{told}");
    assert_eq!(compare(&shorter, &whole).1["result"], "left_is_prefix");

    let (code, row, told) = compare(&whole, &other);
    assert_eq!((code, &row["result"]), (Some(4), &"different".into()));
    assert_eq!(row["differing"], serde_json::json!(["quantity_wh"]));
    assert_eq!((&row["left"]["quantity_wh"], &row["right"]["quantity_wh"]), (&3.into(), &4.into()));
    assert!(told.contains("the commands differ"), "{told}");
    let human = run(["replay", "diff", text(&whole), text(&other)]);
    let line = human.stdout.lines().find(|line| line.contains("quantity_wh")).unwrap();
    assert!(line.contains('*') && human.code == Some(4), "{}", human.stdout);
}

/// The stops that `docs/ARCHITECTURE.md` lists, with the words of its second column.
fn documented_stops() -> Vec<(u64, String)> {
    let document = include_str!("../../docs/ARCHITECTURE.md");
    let section = document.lines().skip_while(|line| !line.starts_with("## Life of an order"));
    let rows = section.skip(1).take_while(|line| !line.starts_with('#'));
    let row = |line: &str| {
        let mut cells = line.strip_prefix('|')?.split('|');
        let number = cells.next()?.trim().parse().ok()?;
        Some((number, cells.next()?.trim().replace('`', "")))
    };
    rows.filter_map(row).collect()
}

#[test]
fn a_trace_passes_every_stop() {
    let day = day::kept();
    // The first one of a book: neighbours who agree directly have no orders.
    let lines = tests::told::blotter(&day.dir, 1);
    let (_, numbers) = lines.iter().find(|(kind, _)| kind == "trade").unwrap();
    let trade = numbers[2].to_string();
    let rows = replay_json(&["trace", text(&day.dir), "--trade", &trade]);
    let rows = rows.as_array().unwrap();
    let stops = documented_stops();
    assert_eq!(stops.len(), 18);
    for (number, place) in &stops {
        let of_stop: Vec<_> = rows.iter().filter(|row| row["stop"] == *number).collect();
        assert!(!of_stop.is_empty(), "stop {number} is missing");
        assert!(of_stop.iter().all(|row| row["place"] == **place), "{of_stop:?}");
    }
    let texts = |number: u64, status: &str| -> Vec<&str> {
        let of_stop = rows.iter().filter(|row| row["stop"] == number && row["status"] == status);
        of_stop.map(|row| row["text"].as_str().unwrap()).collect()
    };
    assert_eq!(texts(1, "recorded"), [""; 0], "datagrams are not kept");
    assert!(texts(3, "recorded").iter().all(|text| text.contains("signature verifies under key")));
    assert_eq!(texts(3, "recorded").len(), 2, "of both orders");
    assert!(
        texts(8, "recorded").iter().any(|text| text.contains(&format!("trade trade={trade} ")))
    );
    assert!(texts(11, "recorded").iter().any(|text| text.starts_with("trade ")));
    assert!(texts(12, "recorded")[0].starts_with(&format!("contract {trade} from ")), "{rows:?}");
    assert!(texts(18, "recorded")[0].starts_with("leaf "), "{rows:?}");

    let text_of = |row: &Value| row["text"].as_str().unwrap().to_owned();
    let accepted = rows.iter().find(|row| text_of(row).contains("order_accepted")).unwrap();
    let words = text_of(accepted);
    let order = words.split(" order=").nth(1).unwrap().split(' ').next().unwrap();
    let of_order = replay_json(&["trace", text(&day.dir), "--order", order]);
    let number: u64 = trade.parse().unwrap();
    let is_there = |row: &Value| row["trade"] == number && row["stop"] == 12;
    assert!(of_order.as_array().unwrap().iter().any(is_there), "its trade is told too");
    let human = run(["replay", "trace", text(&day.dir), "--order", order]).stdout;
    assert!(human.starts_with("sequence ") && human.contains("\n   1 gateway/"), "{human}");
}

#[test]
fn a_journal_alone_says_what_it_does_not_know() {
    let (_place, journal, _) = imported("lobster.csv");
    let rows = replay_json(&["trace", text(&journal), "--trade", "1"]);
    for row in rows.as_array().unwrap() {
        let stop = row["stop"].as_u64().unwrap();
        let is_recorded = !matches!(stop, 1 | 4 | 12..);
        assert_eq!(row["status"] == "recorded", is_recorded, "{row}");
        if stop == 3 {
            assert!(row["text"].as_str().unwrap().contains("does NOT verify"), "{row}");
        }
    }
    for (option, word) in [("--order", "no order 99999999 was accepted"), ("--trade", "no trade")] {
        let told = refusal(&["trace", text(&journal), option, "99999999"], 2);
        assert!(told.contains(word), "{told}");
    }
}

#[test]
fn what_cannot_be_read_is_told() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("orders.csv");
    fs::write(&file, "id,side,price,qty\n1,buy,1,1\n2,up,1,1\n3,buy,x,1\n").unwrap();
    let told = refusal(&["run", text(&file)], 2);
    assert!(told.contains("line 3: `side` is `up`") && told.contains("line 4: `price`"), "{told}");
    let ran = replay_json(&["run", text(&file), "--skip-bad"]);
    assert_eq!((&ran["run"][0]["bad_rows"], &ran["run"][0]["rows"]), (&2.into(), &3.into()));
    let told = refusal(&["run", text(&file), "--tick", "0"], 2);
    assert!(told.contains("above zero"), "{told}");
    let told = refusal(&["run", "/nowhere/at/all"], 2);
    assert!(told.contains("/nowhere/at/all"), "{told}");
    for command in ["verify", "inspect"] {
        let told = refusal(&[command, text(place.path())], 1);
        assert!(told.contains("not a journal"), "{told}");
    }
}

#[test]
fn a_damaged_journal_is_refused_by_every_command() {
    let copy = day::copy();
    let segment = copy.path().join("journal").join("00000000000000000001.seg");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[4_096 + 100] ^= 0x10;
    fs::write(&segment, bytes).unwrap();
    let (dir, sound) = (text(copy.path()), text(&day::kept().dir));
    for arguments in [
        &["verify", dir][..],
        &["inspect", dir],
        &["inspect", dir, "--entries", "1..2"],
        &["diff", dir, sound],
        &["diff", sound, dir],
        &["trace", dir, "--order", "1"],
        &["run", dir],
        &["export", dir, "--format", "csv"],
    ] {
        let told = refusal(arguments, 4);
        assert!(told.contains("00000000000000000001.seg"), "{told}");
    }
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    for arguments in [
        &["export", "--format", "ndjson", "--what", "events"][..],
        &["inspect", "--entries", "1.."],
    ] {
        let mut command = gridcross(["replay", arguments[0], text(&day::kept().dir)]);
        let mut child =
            command.args(&arguments[1..]).stdout(Stdio::piped()).spawn().expect("it starts");
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?}");
    }
}
