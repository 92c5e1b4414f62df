//! Scripts in, text out. The language of the scripts is in `script`.

mod auctions;
mod matching;
mod refusals;
mod script;

use expect_test::Expect;

/// Runs a script on a fresh engine and compares what it says.
fn check(script: &str, expected: &Expect) {
    expected.assert_eq(&script::run(script));
}
