//! What users see: exit codes, sentences, and what is printed where.

use std::{
    fs,
    io::pipe,
    net::UdpSocket,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use exchange::init;
use serde_json::Value;
use tempfile::TempDir;
use tests::{
    day::{self, text},
    program::{Run, finish, gridcross, run},
    venue::config_text,
};
use types::{MeterId, Timestamp};

/// One error, told in one line; a hint may follow.
fn sentence(run: &Run, code: i32) -> String {
    assert_eq!(run.code, Some(code), "{run:?}");
    assert_eq!(run.stdout, "", "errors go to stderr");
    let errors: Vec<_> =
        run.stderr.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    assert_eq!(errors.len(), 1, "{}", run.stderr);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    errors[0].to_owned()
}

/// A directory that `init` made, with a free port.
pub(crate) fn initialised() -> (TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("exchange");
    let run = run(["init", text(&dir)]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("gridcross serve --data-dir"), "{}", run.stdout);
    fs::write(dir.join("gridcross.toml"), config_text()).unwrap();
    (temporary, dir)
}

fn serve(dir: &Path) -> Run {
    run(["serve", "--data-dir", text(dir)])
}

/// Names and contents of everything in a directory.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn help_begins_with_examples() {
    for arguments in [&["--help"][..], &["help"]] {
        let help = run(arguments);
        assert_eq!(help.code, Some(0));
        assert!(help.stdout.starts_with("Examples:\n  gridcross demo"), "{}", help.stdout);
        for command in ["demo", "init", "serve", "replay", "declare"] {
            assert!(help.stdout.contains(&format!("\n  {command} ")), "{command}");
        }
    }
    let bare = run(Vec::<String>::new());
    assert_eq!((bare.code, bare.stdout.as_str()), (Some(2), ""), "no command is no success");
    assert!(bare.stderr.starts_with("Examples:"), "{}", bare.stderr);
}

#[test]
fn a_wrong_command_line_is_answered_with_a_suggestion() {
    for (arguments, suggestion) in [
        (&["demo", "--metres", "9"][..], "'--meters'"),
        (&["dmo"], "'demo'"),
        (&["replay", "verfy", "day"], "'verify'"),
        (&["demo", "--output", "jsn"], "'json'"),
    ] {
        let run = run(arguments);
        sentence(&run, 2);
        assert!(run.stderr.contains(suggestion), "{}", run.stderr);
    }
    let run = run(["demo", "--meters", "3"]);
    assert!(sentence(&run, 2).contains("8..=2405"), "{}", run.stderr);
}

#[test]
fn a_kept_day_replays() {
    let day = day::kept();
    for dir in [day.dir.clone(), day.dir.join("journal")] {
        let run = run(["replay", "verify", text(&dir), "--output", "json"]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        let rows: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(rows[0]["result"], "equal");
        assert_eq!(rows[0]["state_digest"], day.summary["state_digest"]);
        assert_eq!(rows[0]["commands"], day.summary["commands"]);
    }
}

#[test]
fn one_byte_changed_in_a_journal_is_found_and_placed() {
    let copy = day::copy();
    let segment = copy.path().join("journal").join("00000000000000000001.seg");
    let sound = fs::read(&segment).unwrap();
    let used = sound.iter().rposition(|&byte| byte != 0).unwrap();
    // In the header; in the first batch; in the middle of all.
    for at in [16, 4_096 + 100, used / 2] {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        fs::write(&segment, bytes).unwrap();
        let run = run(["replay", "verify", text(copy.path())]);
        let sentence = sentence(&run, 4);
        assert!(sentence.contains("00000000000000000001.seg"), "byte {at}: {sentence}");
        let words: Vec<&str> = sentence.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let place = words.windows(2).find(|pair| pair[0] == "byte" || pair[0] == "offset");
        let offset: usize = place.expect("the offset is told")[1].parse().unwrap();
        assert!(offset <= at, "byte {at} lies behind what is told: {sentence}");
        // An exchange does not start over it either.
        let run = serve(copy.path());
        assert_ne!(run.code, Some(0), "byte {at}");
        assert!(run.stderr.contains("00000000000000000001.seg"), "{}", run.stderr);
    }
    let run = run(["replay", "verify", text(&copy.path().join("keys"))]);
    assert!(sentence(&run, 1).contains("not a journal"), "{}", run.stderr);
}

#[test]
fn a_wrong_configuration_is_told_with_its_place() {
    let (_temporary, dir) = initialised();
    let file = dir.join("gridcross.toml");
    let line = 1 + config_text().lines().position(|line| line.starts_with("segment_mib")).unwrap();
    fs::write(&file, config_text().replace("segment_mib", "segmnt_mib")).unwrap();
    let told = sentence(&serve(&dir), 3);
    assert!(told.contains(text(&file)), "{told}");
    assert!(told.contains(&format!("line {line},")), "{told}");
    assert!(told.contains("did you mean `segment_mib`?"), "{told}");

    fs::write(&file, config_text().replace("tick = \"0.001\"", "tick = \"0.003\"")).unwrap();
    let told = sentence(&serve(&dir), 3);
    assert!(told.contains("markets[0]"), "{told}");

    let credit = "[[credit]]\nplatform = 9\nmarket = 1\nlimit = \"10\"\n\n[settlement]\n";
    fs::write(&file, config_text().replacen("[settlement]\n", credit, 1)).unwrap();
    let told = sentence(&serve(&dir), 3);
    assert!(told.contains("names platform 9") && told.contains("registry.toml"), "{told}");

    fs::remove_file(&file).unwrap();
    let told = sentence(&serve(&dir), 3);
    assert!(told.contains(text(&file)) && told.contains("gridcross init"), "{told}");
    let run = run(["serve", "--data-dir", text(&dir), "--config", "/nowhere/at/all.toml"]);
    assert!(sentence(&run, 3).contains("/nowhere/at/all.toml"));
}

#[test]
fn an_address_in_use_is_named() {
    let (_temporary, dir) = initialised();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fs::write(
        dir.join("gridcross.toml"),
        init::CONFIG_TEMPLATE.replace("127.0.0.1:7400", &address),
    )
    .unwrap();
    let run = serve(&dir);
    let told = sentence(&run, 1);
    assert!(told.contains(&format!("cannot listen on {address}")), "{told}");
    assert!(run.stderr.contains("\nhint: ") && run.stderr.contains("listen"), "{}", run.stderr);
}

#[test]
fn directories_that_hold_something_are_left_alone() {
    let temporary = tempfile::tempdir().unwrap();
    fs::write(temporary.path().join("letter.txt"), "dear").unwrap();
    let before = contents(temporary.path());
    let dir = text(temporary.path());
    for arguments in
        [&["init", dir][..], &["demo", "--data-dir", dir], &["demo", "--data-dir", dir, "--keep"]]
    {
        let told = sentence(&run(arguments), 3);
        assert!(told.contains(dir) && told.contains("not empty"), "{told}");
        assert_eq!(contents(temporary.path()), before, "{arguments:?}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_told() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("exchange");
    for arguments in [&["init", text(&below)][..], &["demo", "--data-dir", text(&below)]] {
        let told = sentence(&run(arguments), 3);
        assert!(told.contains(text(&below)), "{told}");
    }
}

#[test]
fn keys_that_are_open_or_missing_are_told() {
    let (_temporary, dir) = initialised();
    for name in ["server.key", "settlement-1.key", "ledger.key"] {
        let key = dir.join("keys").join(name);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let told = sentence(&serve(&dir), 3);
        assert!(told.contains(&format!("chmod 600 {}", key.display())), "{told}");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let moved = key.with_extension("moved");
        fs::rename(&key, &moved).unwrap();
        let told = sentence(&serve(&dir), 3);
        assert!(told.contains(text(&key)), "{told}");
        fs::rename(&moved, &key).unwrap();
    }
    let certificate = dir.join("keys").join("ca.crt");
    fs::write(&certificate, "not a certificate").unwrap();
    let told = sentence(&serve(&dir), 3);
    assert!(told.contains("ca.crt") && told.contains("certificate"), "{told}");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let dir = text(&day::kept().dir);
    for arguments in [
        &["replay", "verify", dir][..],
        &["replay", "verify", dir, "--output", "json"],
        &["declare", "query", "--data-dir", dir, "--meter", "1", "--output", "csv"],
    ] {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let run = finish(gridcross(arguments).stdout(Stdio::from(writer)));
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

fn query(dir: &Path, meter: u32, format: &str) -> Run {
    let meter = meter.to_string();
    run(["declare", "query", "--data-dir", text(dir), "--meter", &meter, "--output", format])
}

#[test]
fn retailers_are_told_each_contract_on_both_sides() {
    // Its own copy: the database is opened for writing.
    let copy = day::copy();
    let summary = &day::kept().summary;
    let (mut settled, mut contracts) = (0, Vec::new());
    for meter in 1..=120 {
        let run = query(copy.path(), meter, "ndjson");
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "meter {meter}");
        for line in run.stdout.lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            settled += row["settled_wh"].as_u64().unwrap();
            contracts.push((row["contract"].as_u64().unwrap(), row["side"].to_string()));
        }
    }
    assert_eq!(settled, 2 * summary["settled_wh"].as_u64().unwrap());
    contracts.sort();
    contracts.dedup();
    let trades = usize::try_from(summary["trades"].as_u64().unwrap()).unwrap();
    assert_eq!(contracts.len(), 2 * trades, "each once as a purchase and once as a sale");
}

#[test]
fn an_answer_is_the_same_in_every_format() {
    let copy = day::copy();
    let pipeline = day::settlement(copy.path());
    let ever = (Timestamp::from_ns(0), Timestamp::from_ns(i64::MAX));
    let busy =
        |meter: &u32| pipeline.p2p_energy(MeterId::new(*meter), ever.0, ever.1).unwrap().len() > 2;
    let meter = (1..=120).find(busy).unwrap();
    drop(pipeline);
    let json: Value = serde_json::from_str(&query(copy.path(), meter, "json").stdout).unwrap();
    let rows = json.as_array().unwrap();
    let csv = query(copy.path(), meter, "csv").stdout;
    let mut lines = csv.lines();
    let columns: Vec<_> = lines.next().unwrap().split(',').collect();
    for (row, line) in rows.iter().zip(lines.by_ref()) {
        let cells: Vec<_> = line.split(',').collect();
        assert_eq!(cells.len(), columns.len());
        for (column, cell) in columns.iter().zip(cells) {
            let value = &row[column];
            assert_eq!(value.as_str().map_or_else(|| value.to_string(), str::to_owned), cell);
        }
    }
    assert_eq!((lines.next(), csv.lines().count()), (None, rows.len() + 1));

    let first = rows[0]["slot_start"].as_str().unwrap();
    let arguments = ["declare", "query", "--data-dir", text(copy.path()), "--output", "json"];
    let meter = meter.to_string();
    let only = |period: [&str; 4]| {
        let run = run(arguments.iter().copied().chain(["--meter", &meter]).chain(period));
        serde_json::from_str::<Value>(&run.stdout).unwrap()
    };
    assert_eq!(only(["--to", first, "--from", "1970-01-01T00:00:00Z"]), Value::Array(Vec::new()));
    assert_eq!(&only(["--from", first, "--to", "2100-01-01T00:00:00Z"]), &json);
    let nobody = query(copy.path(), 4_000, "json");
    assert!(sentence(&nobody, 1).contains("there is no meter 4000"));
}

#[test]
fn a_benchmark_of_the_gateway_says_what_it_measured_and_what_was_missed() {
    let common =
        ["bench", "gateway", "--seconds", "1", "--warm-up-seconds", "0", "--output", "json"];
    let small = ["--rate", "600", "--frame-orders", "8", "--sign", "frame", "--meters", "256"];
    let with = |objective: &'static str| {
        let asked = ["--books", "4", "--assert", "unanswered<=0", "--assert", objective];
        run(common.iter().chain(&small).chain(&asked).copied())
    };
    let met = with("p50<60s");
    assert_eq!(met.code, Some(0), "{}", met.stderr);
    let figures: Value = serde_json::from_str(&met.stdout).unwrap();
    assert_eq!(figures["accepted"], 600, "{figures}");
    assert_eq!(figures["durability"], "durable");
    assert!(figures["latency_us"]["p9999"].as_f64().unwrap() > 0.0);
    let missed = with("p50<1ns");
    assert_eq!(missed.code, Some(5), "{}", missed.stderr);
    assert!(missed.stderr.contains("error: `p50<1ns` is missed"), "{}", missed.stderr);
    let unknown = run(["bench", "gateway", "--assert", "p98<1ms"]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.stderr);
    let too_many = run(["bench", "gateway", "--sign", "frame", "--frame-orders", "256"]);
    assert!(sentence(&too_many, 2).contains("at most 255"));
}

#[test]
fn books_elsewhere_are_asked_for_there_and_passwords_are_not_shown() {
    let (_temporary, dir) = initialised();
    let file = fs::read_to_string(dir.join("gridcross.toml")).unwrap();
    let stored = "[settlement]\nstore = \"postgres://of:secret@%2Fnowhere%2Ffile/books\"";
    fs::write(dir.join("gridcross.toml"), file.replace("[settlement]", stored)).unwrap();
    let [option, variable] = ["option", "variable"]
        .map(|from| format!("postgres://of:secret@%2Fnowhere%2F{from}/books"));
    let dir = text(&dir).to_owned();
    let commands: [&[&str]; 5] = [
        &["settle", "status", "--data-dir", &dir],
        &["accounts", "--data-dir", &dir],
        &["enforce", "status", "--data-dir", &dir],
        &["statement", "retailer/1", "--month", "2026-06", "--data-dir", &dir],
        &["serve", "--data-dir", &dir],
    ];
    for command in commands {
        let asked = |arguments: &[&str], variable: &str| {
            let mut program = gridcross(command.iter().chain(arguments));
            let told = sentence(&finish(program.env("GRIDCROSS_STORE", variable)), 6);
            assert!(!told.contains("secret"), "{told}");
            told
        };
        for (arguments, variable, place) in [
            (&["--store", option.as_str()][..], variable.as_str(), "/nowhere/option"),
            (&[], variable.as_str(), "/nowhere/variable"),
            (&[], "", "/nowhere/file"),
        ] {
            let told = asked(arguments, variable);
            assert!(told.contains(place), "{command:?} {place}: {told}");
        }
    }
    let wrong = run(["settle", "status", "--data-dir", &dir, "--store", "mysql://a:secret@b/c"]);
    let told = sentence(&wrong, 3);
    assert!(told.contains("--store") && !wrong.stderr.contains("secret"), "{told}");
}
