//! Numbers of a shard: those of shard 3 begin behind 3 × 2^48 = 844,424,930,131,968.

use expect_test::expect;
use types::Event;

use super::stage::Stage;
use crate::{Engine, Limits, snapshot::SnapshotError};

/// The large stage in another shard.
fn stage_of(shard: u8) -> Stage {
    Stage::with_limits(Limits { shard, ..Stage::large().limits })
}

/// Every line is also performed by an engine restored from a snapshot of before it.
#[test]
fn orders_of_a_shard_are_accepted_traded_changed_and_cancelled_by_its_numbers() {
    let mut stage = stage_of(3);
    stage.perform("open");
    stage.out.clear();
    stage.perform(
        "sell S1 2kWh @ 4.00 as 7
         buy B1 1kWh @ 4.50
         uncross
         sell S1 2kWh @ 4.00 as 7
         buy B2 0.5kWh @ 4.50 ioc
         replace #844424930131969 S1 3kWh @ 4.10
         reduce #844424930131969 1kWh by 1
         hibernate #844424930131969 by 1
         activate #844424930131969 by 1
         cancel #844424930131969 by 1
         cancel #844424930131969 by 1",
    );
    expect![[r#"
        accepted #844424930131969
        accepted #844424930131970
        uncrossed 4.00 1kWh surplus -1000 of 2
        trade S1#844424930131969 B1#844424930131970 1kWh @ 4.00
        continuous
        restated #844424930131969 filled 1kWh leaves 1kWh
        accepted #844424930131971
        trade S1#844424930131969 B2#844424930131971 0.5kWh @ 4.00 maker sell
        replaced #844424930131969 3kWh @ 4.10
        replaced #844424930131969 2kWh @ 4.10 in place
        hibernated #844424930131969 2kWh
        activated #844424930131969 2kWh
        cancelled #844424930131969 2kWh Requested 109
        rejected Cancel unknown_order
    "#]]
    .assert_eq(&stage.out);
}

#[test]
fn an_order_of_another_shard_is_unknown() {
    let mut stage = stage_of(3);
    stage.perform("open");
    stage.out.clear();
    stage.perform(
        "sell S1 2kWh @ 4.00
         cancel #1 by 1
         cancel #0 by 1
         cancel #562949953421313 by 1
         cancel #844424930131968 by 1
         cancel #844424930131970 by 1
         cancel #1125899906842625 by 1
         replace #1 S1 3kWh @ 4.10
         cancel #844424930131969 by 1",
    );
    expect![[r#"
        accepted #844424930131969
        rejected Cancel unknown_order
        rejected Cancel unknown_order
        rejected Cancel unknown_order
        rejected Cancel unknown_order
        rejected Cancel unknown_order
        rejected Cancel unknown_order
        rejected Replace unknown_order
        cancelled #844424930131969 2kWh Requested 109
    "#]]
    .assert_eq(&stage.out);
    let mut first = Stage::large();
    first.perform("open");
    first.out.clear();
    first.perform("sell S1 2kWh @ 4.00\ncancel #844424930131969 by 1\ncancel #1");
    expect![[r#"
        accepted #1
        rejected Cancel unknown_order
        cancelled #1 2kWh Requested 103
    "#]]
    .assert_eq(&first.out);
}

#[test]
fn trades_are_numbered_within_the_shard() {
    let mut stage = stage_of(255);
    stage.perform("open\nuncross\nsell S1 2kWh @ 4.00");
    let command = stage.parse("buy B1 1kWh @ 4.00");
    let mut events = Vec::new();
    let (seq, time) = (stage.seq.next(), stage.time.plus_ns(1));
    stage.engine.apply(&types::Sequenced { seq, time, value: command }, &mut events);
    let [_, Event::Trade(trade)] = events[..] else { panic!("{events:?}") };
    assert_eq!(trade.trade.get(), (255 << 48) + 1);
}

#[test]
fn a_snapshot_is_of_its_shard() {
    let mut stage = stage_of(3);
    stage.perform("open\nsell S1 2kWh @ 4.00");
    let snapshot = stage.engine.snapshot();
    let restored = Engine::restore(stage.limits, &snapshot).unwrap();
    assert_eq!(restored.digest(), stage.engine.digest());
    let other = Limits { shard: 2, ..stage.limits };
    let refused = Engine::restore(other, &snapshot).unwrap_err();
    assert!(matches!(refused, SnapshotError::DifferentState { .. }), "{refused}");
}
