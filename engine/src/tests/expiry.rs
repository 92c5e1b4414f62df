//! Orders with a last instant.

use expect_test::expect;

use super::{check_call, check_continuous};

#[test]
fn an_order_trades_at_its_last_instant() {
    check_continuous(
        "sell S1 1kWh @ 4.00 until-time now+1s
         show expiry
         at now+999999999
         buy B1 1kWh @ 4.00
         show expiry",
        &expect![[r#"
            accepted #1
            now+999999999
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            now+0s
        "#]],
    );
}

#[test]
fn t36_an_order_is_gone_one_nanosecond_later() {
    check_continuous(
        "sell S1 1kWh @ 4.00 until-time gate-100
         at gate-99
         buy B1 1kWh @ 4.00
         depth
         show expiry",
        &expect![[r#"
            accepted #1
            cancelled #1 1kWh Expired 101
            accepted #2
            buy 1x1kWh @ 4.00 | sell
            none
        "#]],
    );
}

#[test]
fn nothing_but_the_time_is_enough() {
    check_continuous(
        "sell S1 1kWh @ 4.00 until-time gate-100 as 7
         at gate-100
         pass time
         pass time
         pass time
         sell S1 1kWh @ 4.00 until-time gate-100 as 7",
        &expect![[r#"
            accepted #1
            cancelled #1 1kWh Expired 7
            restated #1 filled 0kWh leaves 0kWh
        "#]],
    );
}

#[test]
fn the_last_instant_may_be_that_of_the_command_itself() {
    check_continuous(
        "sell S1 1kWh @ 4.00 until-time now
         sell S1 1kWh @ 4.00 until-time now+1
         sell S2 2kWh @ 4.00 until-time now+1
         depth",
        &expect![[r#"
            rejected New invalid_conditions
            accepted #1
            cancelled #1 1kWh Expired 102
            accepted #2
            buy | sell 1x2kWh @ 4.00
        "#]],
    );
}

#[test]
fn orders_expire_by_instant_and_then_by_number() {
    check_continuous(
        "sell S1 1kWh @ 4.00 until-time gate-100
         sell S2 1kWh @ 4.00 until-time gate-300
         sell S3 1kWh @ 4.00 until-time gate-200
         buy B1 1kWh @ 3.00 until-time gate-200
         buy B2 1kWh @ 3.00
         at gate-100
         pass time
         depth
         pass time",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            accepted #5
            cancelled #2 1kWh Expired 102
            cancelled #3 1kWh Expired 103
            cancelled #4 1kWh Expired 104
            buy 1x1kWh @ 3.00 | sell 1x1kWh @ 4.00
            cancelled #1 1kWh Expired 101
        "#]],
    );
}

#[test]
fn orders_expire_before_a_command_that_is_refused_as_well() {
    check_continuous(
        "sell S1 1kWh @ 4.00 until-time gate-100
         at gate-99
         sell S9 1kWh @ 4.00
         sell S1 1kWh @ 4.00 until-time gate-50
         at gate-49
         uncross",
        &expect![[r#"
            accepted #1
            cancelled #1 1kWh Expired 101
            rejected New unknown_meter
            accepted #2
            cancelled #2 1kWh Expired 103
            refused wrong_phase
        "#]],
    );
}

#[test]
fn what_an_expired_order_held_is_free_for_the_command() {
    check_continuous(
        "controls value 100.00
         credit limit 2 50.00
         buy B1 10kWh @ 5.00 until-time gate-100
         buy B1 0.01kWh @ 5.00
         buy B2 0.01kWh @ 5.00
         at gate-99
         buy B1 10kWh @ 5.00",
        &expect![[r#"
            controls set
            platform 2 may owe 50.00
            accepted #1
            rejected New capacity_exceeded
            rejected New credit_exceeded
            cancelled #1 10kWh Expired 101
            accepted #2
        "#]],
    );
}

#[test]
fn what_is_left_of_a_partly_filled_order_expires() {
    check_continuous(
        "sell S1 5kWh @ 4.00 until-time gate-100 showing 1kWh
         sell S2 5kWh @ 4.00 until-time gate-100 all-or-none
         buy B1 2kWh @ 4.00
         at gate-99
         depth
         pass time
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            trade S1#1 B1#3 1kWh @ 4.00 maker sell
            trade S1#1 B1#3 1kWh @ 4.00 maker sell
            buy | sell 2x6kWh @ 4.00
            cancelled #1 3kWh Expired 101
            cancelled #2 5kWh Expired 102
            buy | sell
        "#]],
    );
}

#[test]
fn a_hibernating_order_expires() {
    check_continuous(
        "sell S1 1kWh @ 4.00 until-time gate-100
         hibernate #1
         at gate-99
         activate #1",
        &expect![[r#"
            accepted #1
            hibernated #1 1kWh
            cancelled #1 1kWh Expired 101
            rejected Activate unknown_order
        "#]],
    );
}

#[test]
fn an_order_expires_before_the_auction_that_comes_too_late_for_it() {
    check_call(
        "sell S1 1kWh @ 4.00 until-time gate-100
         sell S2 1kWh @ 4.10 until-time gate-99
         buy B1 2kWh @ 4.20
         at gate-99
         uncross",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            cancelled #1 1kWh Expired 101
            uncrossed 4.20 1kWh surplus 1000 of 2
            trade S2#2 B1#3 1kWh @ 4.20
            continuous
        "#]],
    );
}

#[test]
fn an_order_in_a_frozen_call_expires_and_one_past_its_gate_too() {
    check_call(
        "controls freeze 10 30
         sell S1 1kWh @ 4.00 until-time gate-1
         sell S2 1kWh @ 4.00 until-time gate+1
         sell S3 1kWh @ 4.00 until-time gate+2
         at gate-1
         freeze
         at gate
         pass time
         at gate+2
         pass time
         close",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            frozen
            due now+0s
            cancelled #1 1kWh Expired 101
            cancelled #2 1kWh Expired 102
            cancelled #3 1kWh Expired 103
            closed
        "#]],
    );
}

#[test]
fn orders_that_are_gone_do_not_expire() {
    check_continuous(
        "sell S1 1kWh @ 4.00 until-time gate-100
         sell S2 1kWh @ 4.00 until-time gate-100
         sell S3 1kWh @ 5.00 until-time gate-100
         buy B1 1kWh @ 4.00
         cancel #2
         close
         pass time
         at gate
         pass time
         show expiry",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            trade S1#1 B1#4 1kWh @ 4.00 maker sell
            cancelled #2 1kWh Requested 105
            cancelled #3 1kWh GateClosed 103
            closed
            none
        "#]],
    );
}

#[test]
fn a_last_instant_stays_when_an_order_is_replaced_reduced_or_sleeps() {
    check_continuous(
        "sell S1 3kWh @ 4.00 until-time gate-100
         replace #1 S1 2kWh @ 4.10
         reduce #1 0.5kWh
         hibernate #1
         activate #1
         at gate-100
         pass time
         depth
         pass time",
        &expect![[r#"
            accepted #1
            replaced #1 2kWh @ 4.10
            replaced #1 1.5kWh @ 4.10 in place
            hibernated #1 1.5kWh
            activated #1 1.5kWh
            buy | sell 1x1.5kWh @ 4.10
            cancelled #1 1.5kWh Expired 101
        "#]],
    );
}

#[test]
fn an_order_may_outlive_its_slot() {
    check_continuous(
        "sell S1 1kWh @ 4.00 until-time gate+100
         close
         at gate+101
         pass time",
        &expect![[r#"
            accepted #1
            cancelled #1 1kWh GateClosed 101
            closed
        "#]],
    );
}
