//! The continuous phase: priority, fills, replacing, immediate orders, self-trade, closing.

use expect_test::expect;

use super::check;

#[test]
fn t64_the_oldest_at_a_price_trades_first() {
    check(
        "open
         uncross
         sell S1 5kWh @ 4.10
         sell S2 5kWh @ 4.10
         buy B1 6kWh @ 4.50
         depth",
        &expect![[r#"
            call
            uncrossed none 0kWh surplus 0 of 0
            continuous
            accepted #1
            accepted #2
            accepted #3
            trade S1#1 B1#3 5kWh @ 4.10 maker sell
            trade S2#2 B1#3 1kWh @ 4.10 maker sell
            buy | sell 1x4kWh @ 4.10
        "#]],
    );
}

#[test]
fn t63_the_best_price_trades_first_and_the_rest_rests() {
    check(
        "open
         uncross
         sell S1 2kWh @ 4.20
         sell S2 2kWh @ 4.10
         sell S3 2kWh @ 4.30
         buy B1 5kWh @ 4.20
         depth
         sell S1 1kWh @ -1.00
         depth",
        &expect![[r#"
            call
            uncrossed none 0kWh surplus 0 of 0
            continuous
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            trade S2#2 B1#4 2kWh @ 4.10 maker sell
            trade S1#1 B1#4 2kWh @ 4.20 maker sell
            buy 1x1kWh @ 4.20 | sell 1x2kWh @ 4.30
            accepted #5
            trade S1#5 B1#4 1kWh @ 4.20 maker buy
            buy | sell 1x2kWh @ 4.30
        "#]],
    );
}

#[test]
fn t65_an_immediate_order_never_rests() {
    check(
        "open
         uncross
         buy B1 1kWh @ 0.00 ioc
         sell S1 2kWh @ 4.00
         buy B1 3kWh @ 4.00 ioc
         buy B2 3kWh @ 4.00 ioc
         depth",
        &expect![[r#"
            call
            uncrossed none 0kWh surplus 0 of 0
            continuous
            accepted #1
            cancelled #1 1kWh ImmediateOrCancel 101
            accepted #2
            accepted #3
            trade S1#2 B1#3 2kWh @ 4.00 maker sell
            cancelled #3 1kWh ImmediateOrCancel 103
            accepted #4
            cancelled #4 3kWh ImmediateOrCancel 104
            buy | sell
        "#]],
    );
}

#[test]
fn t31_smaller_at_the_same_price_keeps_the_place() {
    check(
        "open
         uncross
         sell S1 5kWh @ 4.00
         sell S2 5kWh @ 4.00
         replace #1 S1 5kWh @ 4.00
         replace #1 S1 2kWh @ 4.00
         depth
         buy B1 3kWh @ 4.00
         depth",
        &expect![[r#"
            call
            uncrossed none 0kWh surplus 0 of 0
            continuous
            accepted #1
            accepted #2
            replaced #1 5kWh @ 4.00 in place
            replaced #1 2kWh @ 4.00 in place
            buy | sell 2x7kWh @ 4.00
            accepted #3
            trade S1#1 B1#3 2kWh @ 4.00 maker sell
            trade S2#2 B1#3 1kWh @ 4.00 maker sell
            buy | sell 1x4kWh @ 4.00
        "#]],
    );
}

#[test]
fn t32_larger_or_another_price_goes_to_the_tail() {
    check(
        "open
         uncross
         sell S1 2kWh @ 4.00
         sell S2 2kWh @ 4.00
         replace #1 S1 2.01kWh @ 4.00
         buy B1 1kWh @ 4.00
         replace #2 S2 1kWh @ 4.01
         depth
         buy B1 3kWh @ 4.01",
        &expect![[r#"
            call
            uncrossed none 0kWh surplus 0 of 0
            continuous
            accepted #1
            accepted #2
            replaced #1 2.01kWh @ 4.00
            accepted #3
            trade S2#2 B1#3 1kWh @ 4.00 maker sell
            replaced #2 1kWh @ 4.01
            buy | sell 1x2.01kWh @ 4.00 1x1kWh @ 4.01
            accepted #4
            trade S1#1 B1#4 2.01kWh @ 4.00 maker sell
            trade S2#2 B1#4 0.99kWh @ 4.01 maker sell
        "#]],
    );
}

#[test]
fn a_replacement_may_trade() {
    check(
        "open
         uncross
         buy B1 2kWh @ 3.00
         sell S1 3kWh @ 4.00
         replace #2 S1 3kWh @ 2.50 as 777
         depth
         buy B2 1kWh @ 2.50 as 5
         buy B2 1kWh @ 2.50 as 5",
        &expect![[r#"
            call
            uncrossed none 0kWh surplus 0 of 0
            continuous
            accepted #1
            accepted #2
            replaced #2 3kWh @ 2.50
            trade S1#2 B1#1 2kWh @ 3.00 maker buy
            buy | sell 1x1kWh @ 2.50
            accepted #3
            trade S1#2 B2#3 1kWh @ 2.50 maker sell
            restated #3 filled 1kWh leaves 0kWh
        "#]],
    );
}

#[test]
fn an_order_that_reaches_its_own_meter_gives_way() {
    check(
        "open
         uncross
         sell S2 1kWh @ 3.90
         sell S1 2kWh @ 4.00
         sell S2 1kWh @ 4.10
         buy S1 5kWh @ 4.10 as 900
         depth",
        &expect![[r#"
            call
            uncrossed none 0kWh surplus 0 of 0
            continuous
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            trade S2#1 S1#4 1kWh @ 3.90 maker sell
            cancelled #4 4kWh SelfTrade 900
            buy | sell 1x2kWh @ 4.00 1x1kWh @ 4.10
        "#]],
    );
}

#[test]
fn a_replacement_that_reaches_its_own_meter_gives_way() {
    check(
        "open
         uncross
         sell S1 2kWh @ 4.00
         buy S1 1kWh @ 3.00
         replace #2 S1 1kWh @ 4.00 as 901
         depth",
        &expect![[r#"
            call
            uncrossed none 0kWh surplus 0 of 0
            continuous
            accepted #1
            accepted #2
            replaced #2 1kWh @ 4.00
            cancelled #2 1kWh SelfTrade 901
            buy | sell 1x2kWh @ 4.00
        "#]],
    );
}

#[test]
fn cancelling_frees_capacity() {
    check(
        "open
         uncross
         buy B1 10kWh @ 1.00
         buy B1 0.01kWh @ 1.00
         cancel #1 by 2 as 55
         cancel #1 by 2
         buy B1 10kWh @ 1.00 as 102
         depth",
        &expect![[r#"
            call
            uncrossed none 0kWh surplus 0 of 0
            continuous
            accepted #1
            rejected New capacity_exceeded
            cancelled #1 10kWh Requested 55
            rejected Cancel unknown_order
            accepted #2
            buy 1x10kWh @ 1.00 | sell
        "#]],
    );
}

#[test]
fn t45_closing_expires_orders_in_the_order_of_their_numbers() {
    check(
        "open
         sell S1 1kWh @ 4.00 as 41
         buy B1 1kWh @ 3.00 as 42
         sell S2 1kWh @ 2.00 as 43
         uncross
         buy B2 1kWh @ 3.50 as 44
         close
         depth
         close
         open",
        &expect![[r#"
            call
            accepted #1
            accepted #2
            accepted #3
            uncrossed 2.50 1kWh surplus 0 of 2
            trade S2#3 B1#2 1kWh @ 2.50
            continuous
            accepted #4
            cancelled #1 1kWh GateClosed 41
            cancelled #4 1kWh GateClosed 44
            closed
            no book
            refused wrong_phase
            refused already_registered
        "#]],
    );
}

#[test]
fn a_closed_slot_makes_room_for_another() {
    check(
        "at opening+10800000000000
         open
         open slot 1
         open slot 2
         sell S1 1kWh @ 4.00 slot 1
         close
         open slot 2
         sell S1 20kWh @ 4.00 slot 2
         sell S1 12kWh @ 4.00 slot 2
         depth slot 2
         depth slot 1",
        &expect![[r#"
            call
            call
            refused registry_full
            accepted #1
            closed
            call
            rejected New quantity_above_maximum
            accepted #2
            buy | sell 1x12kWh @ 4.00
            buy | sell 1x1kWh @ 4.00
        "#]],
    );
}

#[test]
fn t05_the_same_order_again_is_restated_and_changes_nothing() {
    check(
        "open
         sell S1 3kWh @ 4.00 as 7
         sell S1 3kWh @ 4.00 as 7
         buy B1 1kWh @ 4.00 as 7
         uncross
         sell S1 3kWh @ 4.00 as 7
         replace #1 S1 1kWh @ 5.00
         sell S1 3kWh @ 4.00 as 7
         close
         at gate+1
         sell S1 3kWh @ 4.00 as 7
         sell S1 3kWh @ 4.00 as 8",
        &expect![[r#"
            call
            accepted #1
            restated #1 filled 0kWh leaves 3kWh
            accepted #2
            uncrossed 4.00 1kWh surplus -2000 of 1
            trade S1#1 B1#2 1kWh @ 4.00
            continuous
            restated #1 filled 1kWh leaves 2kWh
            replaced #1 1kWh @ 5.00
            restated #1 filled 1kWh leaves 1kWh
            cancelled #1 1kWh GateClosed 7
            closed
            restated #1 filled 1kWh leaves 0kWh
            rejected New gate_closed
        "#]],
    );
}

#[test]
fn many_numbers_of_platforms_are_kept_apart() {
    let mut script = "open\nuncross\n".to_owned();
    for number in 0..40_u64 {
        let far = number * (1 << 40);
        script += &format!("sell S1 0.01kWh @ 4.00 as {far}\nbuy B1 0.01kWh @ 4.00 as {far}\n");
    }
    let accepted = super::script::run(&script);
    assert_eq!(accepted.matches("accepted").count(), 80);
    for number in 0..40_u64 {
        let far = number * (1 << 40);
        script += &format!("sell S1 0.01kWh @ 4.00 as {far}\nbuy B1 0.01kWh @ 4.00 as {far}\n");
    }
    let all = super::script::run(&script);
    assert_eq!(all.matches("restated").count(), 80);
    assert_eq!(all.matches("accepted").count(), 80);
}
