//! Scripts in, text out. The language of the scripts is in `script`.

mod aggregates;
mod amendments;
mod auctions;
mod baskets;
mod blocks;
mod call_orders;
mod calls;
mod changes;
mod checks;
mod conditions;
mod contracts;
mod credit;
mod delegations;
mod entry;
mod expiry;
mod grid;
mod iceberg;
mod limits;
mod many;
mod matching;
mod minimum;
mod operations;
mod post_only;
mod refusals;
mod say;
mod script;
mod self_trade;
mod shards;
mod snapshots;
mod stage;
mod volatility;
mod words;

use expect_test::Expect;

use stage::Stage;

/// Runs a script on a fresh engine and compares what it says.
fn check(script: &str, expected: &Expect) {
    expected.assert_eq(&script::run(script));
}

/// As [`check`] on the large stage, where no slot is open yet.
fn check_large(script: &str, expected: &Expect) {
    let mut stage = Stage::large();
    stage.perform(script);
    expected.assert_eq(&stage.out);
}

/// As [`check_large`], with the first slot in its call.
fn check_call(script: &str, expected: &Expect) {
    check_after("open", script, expected);
}

/// As [`check_large`], with the first slot in continuous trading.
fn check_continuous(script: &str, expected: &Expect) {
    check_after("open\nuncross", script, expected);
}

/// What the first lines say is left out.
fn check_after(first: &str, script: &str, expected: &Expect) {
    let mut stage = Stage::large();
    stage.perform(first);
    stage.out.clear();
    stage.perform(script);
    expected.assert_eq(&stage.out);
}
