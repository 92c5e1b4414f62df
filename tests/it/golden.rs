//! Histories that a released version executed and wrote down: they replay to the events and the state
//! that were recorded with them, for ever.
//!
//! The journals of `tests/golden` are read only. `NEW_GOLDEN=v2 cargo nextest run -p tests golden` makes
//! another one and refuses a name that is taken. Where a new field joins the listing of the state, it is
//! listed only where it is not what every older state has: so an old digest stays what it was.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use engine::{Engine, Limits};
use journal::{Options, SyncMethod, Writer};
use tests::model::history::History;

/// What the histories are executed with.
const LIMITS: Limits = Limits {
    orders_max: 64,
    book_orders_max: 20,
    meters_max: 8,
    slots_max: 9,
    markets_max: 3,
    parties_max: 9,
    offers_max: 24,
    platform_offers_max: 8,
    shard: 0,
};
/// Every command of a history causes refusals, trades, auctions; 600 of them fill several segments.
const COMMANDS: usize = 600;
const BATCH_COMMANDS: usize = 16;
const SEED: u64 = 20_260_725;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// Executes and writes a history.
fn write_new(dir: &Path) {
    fs::create_dir_all(golden()).unwrap();
    fs::create_dir(dir).expect("a golden journal is written once");
    let sync = Some(SyncMethod::WriteFdatasync);
    let options = Options { segment_bytes: 32_768, batch_bytes_max: 24_000, sync };
    let (mut writer, _) = Writer::open(dir, options, &mut |_| {}).unwrap();
    let (mut history, mut engine) = (History::new(SEED), Engine::new(LIMITS));
    let mut events = Vec::new();
    for step in 1..=COMMANDS {
        let command = history.next_command();
        events.clear();
        engine.apply(&command, &mut events);
        history.observe(&events);
        writer.append(&command, &events).unwrap();
        if step % BATCH_COMMANDS == 0 {
            writer.commit().unwrap();
        }
    }
    writer.commit().unwrap();
    drop(writer);
    fs::write(dir.join("recorded.txt"), recorded(dir)).unwrap();
}

/// What a journal replays to.
fn recorded(dir: &Path) -> String {
    let verified = replay::verify(dir, LIMITS, &mut |_| {}).unwrap();
    let replay::Verified { commands, events, trades, chain, state_digest, .. } = verified;
    format!(
        "commands {commands}\nevents {events}\ntrades {trades}\nchain {chain}\nstate {state_digest}\n"
    )
}

#[test]
fn golden_journals_replay_to_what_was_recorded() {
    if let Some(name) = env::var_os("NEW_GOLDEN") {
        write_new(&golden().join(name));
    }
    let mut count = 0;
    for dir in fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path()) {
        let expected = fs::read_to_string(dir.join("recorded.txt")).unwrap();
        assert_eq!(recorded(&dir), expected, "{}", dir.display());
        count += 1;
    }
    assert!(count > 0, "there is one");
}
