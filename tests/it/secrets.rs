//! What the program says at its most talkative: no key is in it.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Stdio},
    sync::mpsc,
    thread::{self, JoinHandle},
};

use exchange::node::Layout;
use gateway::{
    Identity, authority,
    client::{TradingSession, sign_new, sign_replace},
    identity,
};
use rustix::process::{Pid, Signal, kill_process};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::Value;
use tests::{
    cast::{self, FIRST, SECOND},
    day::text,
    line::{Line, describe},
    platform::{Platform, price, told},
    program::{finish, gridcross},
    venue::{PATIENCE, soon},
};
use types::{Energy, MeterId, Role, Side};
use wire::{ALPN_DATA, ALPN_ORDERS};

use crate::crash::{always_open, connector};

/// The program while it runs and logs everything.
struct Talkative {
    child: Child,
    said: JoinHandle<Vec<String>>,
    address: String,
}

impl Talkative {
    fn serve(dir: &Path, format: &str) -> Self {
        let mut child = gridcross(["serve", "--data-dir", text(dir), "--log-format", format])
            .env("RUST_LOG", "trace")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, addresses) = mpsc::channel();
        let said = thread::spawn(move || {
            let mut said = Vec::new();
            for line in lines.map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("listening on ") {
                    let address = address.split('"').next().unwrap_or_default();
                    sender.send(address.to_owned()).ok();
                }
                said.push(line);
            }
            said
        });
        let address = addresses.recv_timeout(PATIENCE).unwrap();
        Self { child, said, address }
    }

    fn end(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.said.join().unwrap().join("\n")
    }
}

/// The ways in which a key could be written.
fn spellings(pem: &str, seed: &[u8]) -> Vec<String> {
    let mut hex = String::new();
    for byte in seed {
        write!(hex, "{byte:02x}").unwrap();
    }
    let list = |seed: &[u8]| {
        let numbers: Vec<_> = seed.iter().map(u8::to_string).collect();
        numbers.join(", ")
    };
    // Half a seed would be too much already.
    let half = seed.len() / 2;
    let body = pem.lines().find(|line| !line.starts_with('-')).unwrap_or_default();
    vec![
        hex[..seed.len()].to_owned(),
        hex.to_uppercase()[..seed.len()].to_owned(),
        list(&seed[..half]),
        body.to_owned(),
    ]
}

/// Every key in a directory, in every spelling, by the name of its file.
fn secrets(keys: &Path) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(keys).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(secrets(&path));
            continue;
        }
        let pem = fs::read_to_string(&path).unwrap_or_default();
        if pem.contains("PRIVATE KEY") {
            let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
            // In PKCS#8 a key's secret is an octet string of 32 bytes, of Ed25519 and of P-256.
            let der = key.secret_der();
            let at = der.windows(2).position(|head| head == [0x04, 0x20]).unwrap() + 2;
            let seed = &der[at..at + 32];
            found.push((path.display().to_string(), spellings(&pem, seed)));
        }
    }
    found
}

fn is_said(said: &str, spellings: &[String]) -> bool {
    said.contains("PRIVATE KEY") || spellings.iter().any(|spelling| said.contains(spelling))
}

/// A good session, and refusals by the engine, the edge and the session.
async fn talk(dir: &Path, address: &str, slots: &[types::SlotKey]) {
    let connector_1 = connector(dir, address, 1);
    let mut platform = Platform::connect(&connector_1, slots[0], slots[0].slot.start()).await;
    let order = platform.order(FIRST, Side::Sell, 100, 100);
    let number = platform.accepted(order).await.order;
    let replacement = platform.replacement(number, FIRST, 200, 100);
    let replace = sign_replace(&cast::meter_key(FIRST), replacement);
    assert_eq!(told(&platform.ask(replace).await), "replaced leaves 100");
    let forged = platform.order(FIRST, Side::Sell, 100, 100);
    let forged = platform.ask(sign_new(&cast::meter_key(SECOND), forged)).await;
    assert_eq!(told(&forged), "turned away signature_invalid");
    let mut odd = platform.order(FIRST, Side::Sell, 100, 100);
    (odd.limit, odd.quantity) = (price(100), Energy::from_wh(5));
    assert_eq!(told(&platform.place(odd).await), "rejected quantity_not_on_lot");
    let unknown = platform.order(MeterId::new(77), Side::Sell, 100, 100);
    assert_eq!(told(&platform.place(unknown).await), "turned away unknown_meter");
    platform.session.log_out().await.unwrap();

    let line = Line::connect(&connector_1, ALPN_ORDERS).await.unwrap();
    line.log_on().await.last_bytes(&[0xA5; 512]).await;
    assert_eq!(line.end().await, "1 protocol_error");
    let line = Line::connect(&connector_1, ALPN_DATA).await.unwrap();
    line.is_heard().await;
    // Certificates of nobody, of the server, and of another authority.
    let mut strange = connector_1.clone();
    strange.identity = Identity::load(&Layout::new(dir).keys(), "server").unwrap();
    let refused = line_refusal(Line::connect(&strange, ALPN_ORDERS).await).await;
    assert!(refused.starts_with("TLS alert"), "{refused}");
    line_refusal(Line::connect_nameless(&connector_1, ALPN_ORDERS).await).await;
    let mut session = soon(TradingSession::open(&connector_1, 60_000)).await.unwrap();
    session.sender.send_raw(b"half a frame").await.unwrap();
}

async fn line_refusal(line: Result<Line, quinn::ConnectionError>) -> String {
    match line {
        Ok(line) => line.end().await,
        Err(error) => describe(&error),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_is_in_any_log_at_any_level() {
    has_no_key("text").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_is_in_a_log_of_json_and_every_event_is_an_object() {
    let said = has_no_key("json").await;
    let mut messages = Vec::new();
    for line in said.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        let word = |name: &str| event[name].as_str().map(str::to_owned);
        let (time, level) = (word("timestamp").unwrap(), word("level").unwrap());
        assert!(time.ends_with('Z'), "{line}");
        if !["TRACE", "DEBUG"].contains(&level.as_str()) {
            // What is logged at first names no household.
            assert!(!line.contains("METER") && !event.to_string().contains("meter"), "{line}");
            messages.extend(word("message").map(|message| (message, event)));
        }
    }
    let event = |words: &str| {
        let found = messages.iter().find(|(message, _)| message.contains(words));
        &found.unwrap_or_else(|| panic!("`{words}` is not said")).1
    };
    assert_eq!(event("recovered ")["shard"], "1");
    let opened = event("session opened");
    assert_eq!((&opened["platform"], &opened["shard"]), (&"1".into(), &"1".into()));
    assert!(opened["session"].is_string(), "{opened}");
    assert!(event("orders accepted")["sequence"].is_string());
}

/// Talks with the program while it logs everything, and looks for keys. What it logged.
async fn has_no_key(format: &str) -> String {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("exchange");
    let slots = always_open(&dir);
    let keys = Layout::new(&dir).keys();
    let meter_key = temporary.path().join("meter.key");
    let pem = identity::signing_key_pem(&cast::meter_key(FIRST)).unwrap();
    identity::write_key_file(&meter_key, &pem).unwrap();

    let serving = tokio::task::block_in_place(|| Talkative::serve(&dir, format));
    talk(&dir, &serving.address, &slots).await;
    // The program as a client, and as the authority.
    let as_platform = ["--server", &serving.address, "--keys", text(&keys), "--as", "platform-1"]
        .map(str::to_owned);
    let slot = slots[0].slot.start().to_string();
    let order = ["order", "new", "--market", "1", "--slot", &slot, "--meter", "1", "--meter-key"];
    let order = order.into_iter().chain([text(&meter_key), "--side", "sell", "--price", "0.10"]);
    let order = order.chain(["--quantity", "100Wh", "--validate-only"]).map(str::to_owned);
    let issue = ["ca", "issue", "--dir", text(&keys), "platform/8"].map(str::to_owned);
    let mut said = String::new();
    let commands: [Vec<String>; 2] = [order.chain(as_platform).collect(), issue.to_vec()];
    for arguments in commands {
        let run =
            tokio::task::block_in_place(|| finish(gridcross(&arguments).env("RUST_LOG", "trace")));
        assert_eq!(run.code, Some(0), "{run:?}");
        said += &run.stderr;
    }
    let served = tokio::task::block_in_place(|| serving.end());
    said += &served;

    for level in ["TRACE", "DEBUG", "INFO"] {
        assert!(said.contains(level), "nothing at level {level}");
    }
    let all = secrets(temporary.path());
    let transport = authority::file_name(cast::party(Role::Platform, 1));
    for name in [format!("{transport}.key"), "meter.key".to_owned(), "ledger".to_owned()] {
        assert!(all.iter().any(|(file, _)| file.contains(&name)), "no {name} among the keys");
    }
    for (file, spellings) in &all {
        assert!(!is_said(&said, spellings), "the log has the key in {file}");
        // The search finds what it looks for.
        for spelling in spellings {
            assert!(spelling.len() >= 32, "{file}");
            assert!(is_said(&format!("{said}key: {spelling}"), spellings), "{file}");
        }
    }
    println!("{} bytes of log, {} keys", said.len(), all.len());
    served
}
