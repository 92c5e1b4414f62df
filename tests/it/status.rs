//! What the program tells who runs an exchange: how it is, whether the machine is fit, and systemd.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tests::{
    day::text,
    program::{Run, gridcross, run},
    venue::PATIENCE,
};
use tokio::task::block_in_place;

use crate::{api::traded, command_line::initialised};

fn status(address: &str, more: &[&str]) -> Run {
    let asked = ["status", "--address", address, "--output", "json"];
    block_in_place(|| run(asked.iter().chain(more)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_of_an_exchange_is_what_it_is() {
    let venue = traded("").await;
    let address = venue.node.operations_address().unwrap().to_string();
    venue.settled().await;
    let first = status(&address, &[]);
    assert_eq!((first.code, first.stderr.as_str()), (Some(0), ""));
    let first: Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!((&first["live"], &first["ready"]), (&true.into(), &true.into()));
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(first["checkpoint"], Value::Null, "nothing was signed");
    let shard = &first["shards"][0];
    assert_eq!(
        ["shard", "orders", "trades", "waiting", "settlement_behind"].map(|name| &shard[name]),
        [1, 4, 2, 0, 0].map(Value::from).each_ref()
    );
    assert_eq!((&shard["sequence"], &shard["captured"]), (&shard["durable"], &shard["durable"]));
    assert_eq!(shard["snapshot_behind"], shard["durable"], "the first is yet to come");
    let kept = first["storage"]["reserve_bytes"].as_u64().unwrap();
    assert_eq!(kept, 256 << 20);
    assert!(first["storage"]["free_bytes"].as_u64().unwrap() > kept, "{first}");

    let signed = venue.node.settlement.checkpoint().await.unwrap();
    let then: Value = serde_json::from_str(&status(&address, &["--ready"]).stdout).unwrap();
    assert_eq!(then["checkpoint"]["leaves"], signed.size);

    venue.node.reserve.require(u64::MAX);
    let low = status(&address, &[]);
    assert_eq!(low.code, Some(0), "it lives: {}", low.stderr);
    let low: Value = serde_json::from_str(&low.stdout).unwrap();
    assert_eq!((&low["ready"], &low["storage"]["is_low"]), (&false.into(), &true.into()));
    for must in [&["--ready"][..], &["--wait", "1"]] {
        let unready = status(&address, must);
        assert_eq!(unready.code, Some(1), "{must:?}");
        assert!(unready.stderr.contains("storage is low"), "{}", unready.stderr);
    }
    venue.close().await;
    let nobody = status(&address, &[]);
    assert_eq!((nobody.code, nobody.stdout.as_str()), (Some(6), ""));
    assert!(nobody.stderr.contains(&address), "{}", nobody.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watching_ends_when_nobody_reads() {
    let venue = traded("").await;
    let address = venue.node.operations_address().unwrap().to_string();
    let arguments = ["status", "--watch", "--output", "ndjson", "--address", &address];
    let mut child =
        gridcross(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let two = block_in_place(|| [lines.next(), lines.next()]);
    for line in two {
        let status: Value = serde_json::from_str(&line.unwrap().unwrap()).unwrap();
        assert_eq!(status["shards"][0]["trades"], 2, "{status}");
    }
    // As behind `| head -2`.
    drop(lines);
    let ended = block_in_place(|| child.wait_with_output()).unwrap();
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]));
    venue.close().await;
}

#[test]
fn where_nobody_can_be_asked_is_told() {
    let (_temporary, dir) = initialised();
    let unconfigured = run(["status", "--data-dir", text(&dir)]);
    assert_eq!(unconfigured.code, Some(3));
    assert!(unconfigured.stderr.contains("[operations]"), "{}", unconfigured.stderr);
    let wrong = run(["status", "--address", "127.0.0.1:9", "--output", "csv", "--watch"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
}

/// Names in a text that begin like a figure's.
fn figures(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("gridcross_")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_figure_that_the_page_watches_is_there() {
    let venue = traded("").await;
    venue.node.settlement.checkpoint().await.unwrap();
    let address = venue.node.operations_address().unwrap();
    let told = block_in_place(|| {
        let mut stream = TcpStream::connect(address).unwrap();
        let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let page = fs::read_to_string(page).unwrap();
    let watched = figures(&page);
    assert!(watched.len() > 8, "{watched:?}");
    let told_of = figures(&told);
    let missing: Vec<_> = watched.difference(&told_of).collect();
    assert!(missing.is_empty(), "{missing:?} of {told}");
    venue.close().await;
}

#[test]
fn systemd_is_told_when_it_is_ready_that_it_lives_and_when_it_stops() {
    let (temporary, dir) = initialised();
    let path = temporary.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut child = gridcross(["serve", "--data-dir", text(&dir)])
        .env("NOTIFY_SOCKET", &path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let told = || {
        let mut message = [0; 256];
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).trim().to_owned()
    };
    assert_eq!([told(), told()], ["READY=1", "WATCHDOG=1"]);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    while told() != "STOPPING=1" {}
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// The verdict on each check.
fn examined(dir: &Path) -> (Option<i32>, Vec<(String, String, String)>) {
    let run = run(["doctor", "--data-dir", text(dir), "--output", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    let word = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let of = |row| (word(row, "check"), word(row, "verdict"), word(row, "mend"));
    (run.code, rows.iter().map(of).collect())
}

#[test]
fn the_doctor_says_what_is_not_fit_and_what_mends_it() {
    let (_temporary, dir) = initialised();
    let (code, rows) = examined(&dir);
    assert_eq!(code, Some(0), "{rows:?}");
    assert!(rows.iter().all(|(_, verdict, _)| verdict != "fail"), "{rows:?}");
    assert!(rows.iter().all(|(_, verdict, mend)| mend.is_empty() == (verdict == "ok")), "{rows:?}");
    for check in ["open files", "clock", "disk sync", "disk space", "key files", "port, QUIC"] {
        assert!(rows.iter().any(|(name, _, _)| name == check), "no {check} in {rows:?}");
    }
    let key = dir.join("keys").join("server.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, rows) = examined(&dir);
    assert_eq!(code, Some(1));
    let mend = format!("chmod 600 {}", key.display());
    assert!(rows.contains(&("key files".to_owned(), "fail".to_owned(), mend)), "{rows:?}");
    fs::remove_file(dir.join("gridcross.toml")).unwrap();
    let (code, rows) = examined(&dir);
    assert_eq!((code, rows.last().unwrap().1.as_str()), (Some(1), "fail"), "{rows:?}");
}

#[test]
fn shells_and_man_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(["completions", shell]);
        assert_eq!((script.code, script.stderr.as_str()), (Some(0), ""));
        for word in ["serve", "status", "--data-dir"] {
            let word = if shell == "fish" { word.trim_start_matches('-') } else { word };
            assert!(script.stdout.contains(word), "{shell}: {word}");
        }
    }
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    let script = run(["completions", "bash"]).stdout;
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success(), "bash reads its script");
    let temporary = tempfile::tempdir().unwrap();
    let pages = temporary.path().join("man1");
    assert_eq!(run(["man", text(&pages)]).code, Some(0));
    for page in ["gridcross.1", "gridcross-serve.1", "gridcross-market-halt.1"] {
        let text = fs::read_to_string(pages.join(page)).unwrap();
        assert!(text.contains(".SH NAME"), "{page}: {text}");
    }
}
