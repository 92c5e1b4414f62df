//! A backup of an exchange that runs: it is whole, and an exchange goes on from it elsewhere.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::Value;
use tests::{
    day::{self, text},
    platform::{Platform, report},
    program::{Running, run},
    told::{Recovered, check_settlement},
};
use wire::outbound::ExecType;

use crate::crash::{always_open, connector, trade_and_kill};

/// The parts of a backup, as the program says.
fn back_up(dir: &Path, to: &Path) -> Vec<Value> {
    let made = run(["backup", "--data-dir", text(dir), "--to", text(to), "--output", "json"]);
    assert_eq!((made.code, made.stderr.as_str()), (Some(0), ""));
    serde_json::from_str(&made.stdout).unwrap()
}

fn through(parts: &[Value], name: &str) -> u64 {
    let part = parts.iter().find(|part| part["part"].as_str().unwrap().starts_with(name));
    part.and_then(|part| part["through"].as_u64()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_goes_on_from_a_backup_of_one_that_runs() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("exchange");
    let slots = always_open(&dir);
    let [first, second] = ["first", "second"].map(|name| temporary.path().join(name));
    let mut reached = 0;
    let records = trade_and_kill(&dir, &slots, 300, || {
        // While platforms trade: one backup, and another.
        for to in [&first, &second] {
            let parts = back_up(&dir, to);
            let (books, journal) = (through(&parts, "books"), through(&parts, "journal"));
            assert!(books <= journal, "what settlement knows is in the journal: {parts:?}");
            assert!(journal >= reached, "nothing is lost");
            reached = journal;
        }
    })
    .await;
    let again = run(["backup", "--data-dir", text(&dir), "--to", text(&first)]);
    assert_eq!(again.code, Some(1), "it is not empty: {}", again.stderr);
    let inside = dir.join("inside");
    let inside = run(["backup", "--data-dir", text(&dir), "--to", text(&inside)]);
    assert_eq!(inside.code, Some(2), "{}", inside.stderr);

    // The exchange and its directory are gone.
    fs::remove_dir_all(&dir).unwrap();
    let restored = temporary.path().join("restored");
    fs::rename(&second, &restored).unwrap();
    let key = fs::metadata(restored.join("keys/ledger.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    let verified = run(["replay", "verify", text(&restored), "--signatures"]);
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    let before = Recovered::read(&restored);
    assert!(!before.trades.is_empty());

    let serving = Running::start(["serve", "--data-dir", text(&restored)]);
    let address = serving.says("listening on ");
    for (platform, record) in [1, 2].into_iter().zip(&records) {
        let connector = connector(&restored, &address, platform);
        let mut again = Platform::connect(&connector, slots[0], slots[0].slot.start()).await;
        let (known, lost): (Vec<_>, Vec<_>) =
            record.sent.iter().partition(|(sent, _)| before.orders.contains_key(*sent));
        assert!(known.len() > 10, "{} orders", known.len());
        for (sent, order) in known.into_iter().rev().take(100) {
            let answer = report(&again.place(*order).await);
            let accepted = &before.orders[sent].1;
            assert_eq!((answer.exec_type, answer.order), (ExecType::Status, accepted.order));
        }
        // What came after the backup is lost, so it is new.
        for (sent, order) in lost.into_iter().take(20) {
            let answer = report(&again.place(*order).await);
            assert_ne!(answer.exec_type, ExecType::Status, "{sent:?}");
        }
    }
    serving.terminate();
    serving.says("stopped at sequence ");
    assert_eq!(serving.code(), Some(0));
    let after = Recovered::read(&restored);
    assert_eq!(day::replay(&restored).trades, u64::try_from(after.trades.len()).unwrap());
    check_settlement(&restored, &after);
    let audited = run(["ledger", "audit", text(&restored), "--output", "json"]);
    assert_eq!(audited.code, Some(0), "{}", audited.stderr);
}
