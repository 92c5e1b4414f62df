//! A small demo day: played once and kept for everything that only reads it.
#![expect(clippy::expect_used, reason = "a day that cannot be played fails the test")]

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use engine::Limits;
use exchange::{
    config::{self, Config},
    node::{self, Layout},
    registry::{self, Registry},
};
use serde_json::Value;
use settlement::Pipeline;
use tempfile::TempDir;
use types::Seq;

use crate::program;

/// The seed of the kept day.
pub const SEED: &str = "7";
/// How long and how large every day here is.
pub const SIZE: [&str; 4] = ["--meters", "120", "--slots", "6"];

/// A directory that `gridcross` made.
#[derive(Debug)]
pub struct Day {
    /// Where it is.
    pub dir: PathBuf,
    /// What the demo printed, as JSON.
    pub summary: Value,
    _lock: File,
}

/// The day that all tests share. It stays in the target directory until the next run of the tests.
///
/// # Panics
/// When the demo fails.
pub fn kept() -> &'static Day {
    static KEPT: OnceLock<Day> = OnceLock::new();
    KEPT.get_or_init(|| {
        let place = program::target_dir().join("tmp");
        fs::create_dir_all(&place).expect("a directory for tests");
        let lock = File::create(place.join("day.lock")).expect("a lock file");
        lock.lock().expect("no other run of the tests");
        let dir = place.join("day");
        if dir.exists() {
            fs::remove_dir_all(&dir).expect("the day of the run before goes");
        }
        let run = play(SEED, &["--output", "json", "--keep", "--data-dir", text(&dir)]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let summary = serde_json::from_str(&run.stdout).expect("JSON");
        Day { dir, summary, _lock: lock }
    })
}

/// Plays a day.
pub fn play(seed: &str, options: &[&str]) -> program::Run {
    let demo = ["demo", "--seed", seed];
    program::run(demo.iter().chain(&SIZE).chain(options))
}

/// A path as an argument.
///
/// # Panics
/// When it is not UTF-8.
#[must_use]
pub fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A copy of the kept day that may be damaged.
///
/// # Panics
/// When it cannot be copied.
#[must_use]
pub fn copy() -> TempDir {
    let copy = tempfile::tempdir().expect("a temporary directory");
    copy_into(&kept().dir, copy.path());
    copy
}

fn copy_into(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            fs::create_dir(&target).expect("a new directory");
            copy_into(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a new file");
        }
    }
}

/// The configuration in a directory.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn config(dir: &Path) -> Config {
    config::load(&dir.join(config::FILE_NAME)).expect("a configuration")
}

/// Who takes part in a directory.
///
/// # Panics
/// When there is no registry.
#[must_use]
pub fn registry(dir: &Path) -> Registry {
    Registry::load(&dir.join(registry::FILE_NAME)).expect("a registry")
}

/// The settlement of a directory in which nothing runs.
///
/// # Panics
/// When it cannot be opened.
#[must_use]
pub fn settlement(dir: &Path) -> Pipeline {
    let layout = Layout::new(dir);
    let settings = node::settlement_settings(&layout, &config(dir)).expect("the ledger's key");
    Pipeline::open(&layout.settlement(), &layout.ledger(), settings).expect("a database")
}

/// How far settlement is in a directory in which an exchange runs; nowhere, while it cannot say.
///
/// # Panics
/// When there is no configuration.
#[must_use]
pub fn captured(dir: &Path) -> Seq {
    let layout = Layout::new(dir);
    let settings = node::settlement_settings(&layout, &config(dir)).expect("the ledger's key");
    let opened = Pipeline::open_for_questions(&layout.settlement(), settings);
    opened.map_or(Seq::ZERO, |pipeline| pipeline.cursor())
}

/// Re-executes the journal of a directory.
///
/// # Panics
/// When it does not replay.
#[must_use]
pub fn replay(dir: &Path) -> replay::Verified {
    let journal = Layout::new(dir).journal();
    replay::verify(&journal, Limits::default(), &mut |_| {}).expect("the journal replays")
}
