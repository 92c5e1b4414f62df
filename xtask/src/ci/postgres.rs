//! The tests of settlement once more, with their rows on a real `PostgreSQL` server instead of in files.

use std::path::Path;

use super::debian::install;
use super::{FEATURES, Outcome, Steps, outcome_of};
use crate::repository::Repository;

/// Where Debian puts the servers.
const SERVERS: &str = "/usr/lib/postgresql";

/// The tests that run: all of the pipeline but those of a file that is locked, full or read-only, and four that
/// open several databases or writers at once, for which the server of a test is not made yet.
const TESTS: &str = "test(/^tests::/) \
    - test(/^tests::faults::a_(full|read_only|store)/) \
    - test(balances_and_outcomes_are_rebuilt_from_leaves) \
    - test(lost_tiles_are_made_again) \
    - test(transfers_cannot_be_edited) \
    - test(a_correction_is_a_revision)";

/// Every test process starts a server of its own on a socket in a temporary directory, and ends it. Where
/// no server is installed and none can be, the step is skipped and says so.
pub(super) fn run(repository: &Repository, steps: &mut Steps) {
    steps.run("settlement on postgresql", || {
        match install(|| Path::new(SERVERS).is_dir(), &["postgresql"]) {
            Err(reason) => Outcome::Skipped(reason),
            Ok(()) => {
                let mut tests = repository.cargo();
                let of_settlement = format!("package(settlement) & ({TESTS})");
                tests.args(["nextest", "run", "--workspace", "--features", FEATURES, "-E"]);
                tests.arg(of_settlement);
                outcome_of(tests.env("GRIDCROSS_TEST_STORE", "postgres"))
            }
        }
    });
}
