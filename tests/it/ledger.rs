//! `gridcross ledger`: what others can check of a day, with nothing but files and keys.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use gateway::identity;
use serde_json::Value;
use settlement::tlog::{note, root_of, tiles::TileDirectory};
use tests::{
    day::{self, text},
    program::{Run, Running, run},
};

fn ledger(arguments: &[&str]) -> Run {
    run([&["ledger"], arguments].concat())
}

fn rows(arguments: &[&str]) -> Value {
    let done = ledger(&[arguments, &["--output", "json"]].concat());
    assert_eq!(done.code, Some(0), "{arguments:?}: {}", done.stderr);
    serde_json::from_str::<Value>(&done.stdout).unwrap()[0].take()
}

fn log_key(dir: &Path) -> String {
    rows(&["checkpoint", text(dir)])["key"].as_str().unwrap().to_owned()
}

fn refused(arguments: &[&str], words: &str) {
    let done = ledger(arguments);
    assert_eq!(done.code, Some(4), "{arguments:?}: {}{}", done.stdout, done.stderr);
    assert!(done.stderr.contains(words), "{arguments:?}: {}", done.stderr);
}

#[test]
fn a_trade_of_the_demo_is_proven_by_a_file_alone() {
    let dir = &day::kept().dir;
    let key = log_key(dir);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one.tlog-proof");
    // The first trade is one that was changed.
    let newest = [("newest/1", "amendment"), ("newest/2", "outcome")];
    for (entry, kind) in [("trade/1", "contract"), newest[0], newest[1], ("0", "transfers")] {
        let done = ledger(&["prove", entry, text(dir), "--file", text(&file)]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        let row = rows(&["verify", text(&file), "--log", &key]);
        assert_eq!(row["kind"], kind);
        assert_eq!(row["root"], day::kept().summary["ledger_root"]);
    }
    let honest = fs::read(&file).unwrap();
    assert!(honest.starts_with(b"c2sp.org/tlog-proof@v1\nextra "));
    for place in (0..honest.len()).step_by(honest.len().div_euclid(12)) {
        let mut bytes = honest.clone();
        bytes[place] ^= 1;
        fs::write(&file, bytes).unwrap();
        assert_eq!(ledger(&["verify", text(&file), "--log", &key]).code, Some(4), "byte {place}");
    }
    let strange = format!("other{}", &key[key.find('+').unwrap()..]);
    assert_eq!(ledger(&["verify", text(&file), "--log", &strange]).code, Some(2));
    assert_eq!(ledger(&["verify", text(&file)]).code, Some(2), "whose log?");
    assert_eq!(ledger(&["prove", "trade/999999", text(dir)]).code, Some(1));
    assert_eq!(ledger(&["prove", "order/1", text(dir)]).code, Some(2));
}

#[test]
fn an_audit_rebuilds_the_day_and_finds_what_is_damaged() {
    let dir = &day::kept().dir;
    let row = rows(&["audit", text(dir)]);
    let summary = &day::kept().summary;
    assert_eq!((&row["contracts"], &row["root"]), (&summary["contracts"], &summary["ledger_root"]));
    assert_eq!(row["books_compared"], true);
    assert!(row["documents"].as_u64().unwrap() > 0 && row["transfers"].as_u64().unwrap() > 0);

    let key = log_key(dir);
    let alone = dir.join("ledger");
    assert_eq!(rows(&["audit", text(&alone), "--log", &key])["books_compared"], false);
    let address = serve_files(alone);
    let url = format!("http://{address}/");
    assert_eq!(rows(&["audit", &url, "--log", &key])["root"], summary["ledger_root"]);

    for (place, at) in [("tile/entries/000", 70), ("tile/0/000", 40), ("tile/1/000.p", 3)] {
        let copy = day::copy();
        let mut path = copy.path().join("ledger").join(place);
        while path.is_dir() {
            path = fs::read_dir(&path).unwrap().next().unwrap().unwrap().path();
        }
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        refused(&["audit", text(copy.path())], "at leaf ");
    }
}

/// Files of a directory over HTTP, one connection after the other.
fn serve_files(root: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let path = first.split(' ').nth(1).unwrap().trim_start_matches('/');
            let (status, body) = match fs::read(root.join(path)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        }
    });
    address
}

/// A witness, its line in a policy, and its address.
fn witness(folder: &Path, log: &str) -> (Running, String) {
    let (state, key) = (folder.join("state"), folder.join("w.key"));
    let running = Running::start([
        "ledger",
        "witness",
        text(&state),
        "--key",
        text(&key),
        "--name",
        "w.example",
        "--log",
        log,
        "--listen",
        "127.0.0.1:0",
    ]);
    let said = running.says("listening on ");
    let (url, key) = said.split_once(" as ").unwrap();
    (running, format!("witness w {key} {url}\n"))
}

#[test]
fn a_witness_cosigns_what_grows_and_keeps_evidence_of_a_fork() {
    let copy = day::copy();
    let dir = copy.path();
    let log = log_key(dir);
    let folder = tempfile::tempdir().unwrap();
    let (running, line) = witness(folder.path(), &log);
    let policy = folder.path().join("policy");
    fs::write(&policy, format!("log {log}\n{line}quorum w\n")).unwrap();
    let trusting = ["--policy", text(&policy)];

    let file = folder.path().join("one.tlog-proof");
    let prove = ["prove", "trade/1", text(dir), "--file", text(&file)];
    assert_eq!(ledger(&prove).code, Some(0));
    refused(&[&["verify", text(&file)][..], &trusting].concat(), "not enough witnesses");

    let row = rows(&[&["checkpoint", text(dir)][..], &trusting].concat());
    assert_eq!(row["cosigned_by"], "w");
    assert_eq!(ledger(&[&prove[..], &trusting].concat()).code, Some(0));
    let row = rows(&[&["verify", text(&file)][..], &trusting].concat());
    assert!(row["cosigned"].as_str().unwrap().starts_with("w at 20"), "{row}");

    // Killed and started again, it knows what it cosigned.
    running.kill();
    let (_running, line) = witness(folder.path(), &log);
    fs::write(&policy, format!("log {log}\n{line}quorum w\n")).unwrap();
    assert_eq!(rows(&[&["checkpoint", text(dir)][..], &trusting].concat())["cosigned_by"], "w");
    let signing = identity::load_signing_key(&dir.join("keys/ledger.key")).unwrap();
    let size = row["size"].as_u64().unwrap();
    for (what, leaves) in [("forked", size), ("rolled back", size - 3), ("consistency", size + 3)] {
        let forged = tempfile::tempdir().unwrap();
        forge(forged.path(), &signing, leaves);
        let place = ["checkpoint", text(forged.path())];
        refused(&[&place[..], &trusting].concat(), "not enough witnesses");
        let evidence = walk(&folder.path().join("state"));
        assert!(evidence.contains(what), "{what}: {evidence}");
    }
}

/// A log of the same name and key with other leaves.
fn forge(folder: &Path, key: &ed25519_dalek::SigningKey, size: u64) {
    let leaves: Vec<_> = (0..size).map(u64::to_le_bytes).collect();
    let mut tiles = TileDirectory::new(folder, 0);
    tiles.write(0, leaves.iter().map(<[u8; 8]>::as_slice)).unwrap();
    let root = root_of(&mut tiles, size).unwrap();
    let signed = note::sign("gridcross.local/ledger", key, size, root);
    tiles.write_checkpoint(&signed.note).unwrap();
}

/// The evidence that a witness keeps.
fn walk(state: &Path) -> String {
    let folders = fs::read_dir(state).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.map(|folder| folder.join("evidence")).filter(|file| file.exists());
    files.map(|file| fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn two_checkpoints_are_of_one_log_or_not() {
    let dir = &day::kept().dir;
    let folder = tempfile::tempdir().unwrap();
    let signing = identity::load_signing_key(&dir.join("keys/ledger.key")).unwrap();
    let newest = dir.join("ledger/checkpoint");
    let size = rows(&["checkpoint", text(dir)])["size"].as_u64().unwrap();
    let earlier = folder.path().join("earlier");
    let root = root_of(&mut TileDirectory::new(&dir.join("ledger"), size), 100).unwrap();
    for (root, code) in [(root, 0), (types::Digest::new([1; 32]), 4)] {
        let signed = note::sign("gridcross.local/ledger", &signing, 100, root);
        fs::write(&earlier, signed.note).unwrap();
        let done = ledger(&["consistency", text(&earlier), text(&newest), text(dir)]);
        assert_eq!(done.code, Some(code), "{}", done.stderr);
    }
    refused(&["consistency", text(&newest), text(&earlier), text(dir)], "fewer than");
    assert!(size > 100);
}
