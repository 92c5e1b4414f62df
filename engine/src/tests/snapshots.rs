//! Snapshots: every script takes one before each of its commands; here is what is no snapshot.

use super::stage::Stage;
use crate::{Engine, snapshot::SnapshotError};

/// A stage with an order of every kind, in books and outside, and everything that counts.
fn full() -> Stage {
    let mut stage = Stage::large();
    stage.perform(
        "controls scope owner value 1000.00 executions 100 band 5.00
         credit limit 1 100.00
         suspend meter S3
         open
         uncross
         open slot 1
         sell S1 5kWh @ 4.00 showing 1kWh
         buy B1 1.5kWh @ 4.00
         sell S2 2kWh @ 5.00 all-or-none until-time gate
         sell S2 2kWh @ 5.10 minimum 1kWh post-only
         hibernate #4
         buy B2 1kWh @ 3.00 in block 7 of 2
         buy B2 1kWh @ 3.00 slot 1 in block 7 of 2
         buy B3 1kWh @ 3.00 in block 8 of 2
         replace #1 S1 3kWh @ 4.10 as 900
         buy B1 1kWh at market slot 1
         open slot 2
         close slot 2
         delegate S1 to 1 number 3 most 2kWh pays 4.20
         revoke S2 number 4",
    );
    stage
}

#[test]
fn a_snapshot_that_ends_too_early_or_too_late_is_refused() {
    let stage = full();
    let whole = stage.engine.snapshot();
    assert!(Engine::restore(stage.limits, &whole).is_ok());
    for length in 0..whole.len() {
        assert!(Engine::restore(stage.limits, &whole[..length]).is_err(), "{length}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    let refused = Engine::restore(stage.limits, &longer).unwrap_err();
    assert_eq!(refused, SnapshotError::TrailingBytes(whole.len()));
}

#[test]
fn a_snapshot_with_a_bit_changed_is_refused_or_means_the_same() {
    let stage = full();
    let (whole, digest) = (stage.engine.snapshot(), stage.engine.digest());
    let mut refused = 0;
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        match Engine::restore(stage.limits, &changed) {
            Err(_) => refused += 1,
            Ok(restored) => assert_eq!(restored.digest(), digest, "byte {at}"),
        }
    }
    // The others are of prices that are not there, and of a slot that is closed.
    assert!(refused > whole.len() * 9 / 10, "{refused} of {}", whole.len());
}

#[test]
fn a_restored_engine_has_the_same_snapshot() {
    let stage = full();
    let whole = stage.engine.snapshot();
    let restored = Engine::restore(stage.limits, &whole).unwrap();
    restored.check_invariants();
    assert!(restored.snapshot() == whole);
    assert_eq!(restored.next_expiry(), stage.engine.next_expiry());
}
