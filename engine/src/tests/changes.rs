//! Requests about an order that is open: cancel, replace, reduce, hibernate, activate.

use expect_test::expect;

use super::{check_call, check_continuous};

#[test]
fn t29_a_reduction_keeps_the_place() {
    check_continuous(
        "sell S1 3kWh @ 4.00
         sell S2 3kWh @ 4.00
         reduce #1 2kWh
         depth
         buy B1 2kWh @ 4.00
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            replaced #1 1kWh @ 4.00 in place
            buy | sell 2x4kWh @ 4.00
            accepted #3
            trade S1#1 B1#3 1kWh @ 4.00 maker sell
            trade S2#2 B1#3 1kWh @ 4.00 maker sell
            buy | sell 1x2kWh @ 4.00
        "#]],
    );
}

#[test]
fn t30_a_reduction_by_all_that_is_open_or_more_is_a_cancellation() {
    check_continuous(
        "sell S1 3kWh @ 4.00
         reduce #1 2.99kWh
         reduce #1 0.01kWh as 77
         sell S1 3kWh @ 4.00
         buy B1 1kWh @ 4.00
         reduce #2 2.01kWh as 78
         sell S1 3kWh @ 4.00
         reduce #4 18446744073709551610Wh as 79
         depth",
        &expect![[r#"
            accepted #1
            replaced #1 0.01kWh @ 4.00 in place
            cancelled #1 0.01kWh Requested 77
            accepted #2
            accepted #3
            trade S1#2 B1#3 1kWh @ 4.00 maker sell
            cancelled #2 2kWh Requested 78
            accepted #4
            cancelled #4 3kWh Requested 79
            buy | sell
        "#]],
    );
}

#[test]
fn what_a_reduction_needs() {
    check_continuous(
        "sell S1 3kWh @ 4.00
         reduce #1 0kWh
         reduce #1 0.009kWh
         reduce #1 0.011kWh
         reduce #1 18446744073709551615Wh
         reduce #1 1kWh by 2
         reduce #2 1kWh
         reduce #0 1kWh
         reduce #18446744073709551615 1kWh
         hibernate #1
         reduce #1 1kWh
         cancel #1
         reduce #1 1kWh
         reduce #1 0kWh
         depth",
        &expect![[r#"
            accepted #1
            rejected Reduce quantity_not_on_lot
            rejected Reduce quantity_not_on_lot
            rejected Reduce quantity_not_on_lot
            rejected Reduce quantity_not_on_lot
            rejected Reduce not_authorised
            rejected Reduce unknown_order
            rejected Reduce unknown_order
            rejected Reduce unknown_order
            hibernated #1 3kWh
            rejected Reduce unknown_order
            cancelled #1 3kWh Requested 112
            rejected Reduce unknown_order
            rejected Reduce unknown_order
            buy | sell
        "#]],
    );
}

#[test]
fn a_reduction_gives_back_capacity_and_credit() {
    check_continuous(
        "credit limit 2 40.00
         buy B1 10kWh @ 4.00
         buy B2 0.01kWh @ 0.01
         buy B1 0.01kWh @ -1.00
         reduce #1 1kWh
         buy B1 1kWh @ 4.00
         buy B2 0.01kWh @ 0.01
         buy B1 0.01kWh @ -1.00",
        &expect![[r#"
            platform 2 may owe 40.00
            accepted #1
            rejected New credit_exceeded
            rejected New capacity_exceeded
            replaced #1 9kWh @ 4.00 in place
            accepted #2
            rejected New credit_exceeded
            rejected New capacity_exceeded
        "#]],
    );
}

#[test]
fn t34_a_hibernating_order_does_not_trade_and_comes_back_at_the_end() {
    check_continuous(
        "sell S1 1kWh @ 4.00
         sell S2 1kWh @ 4.00
         hibernate #1 as 55
         depth
         activate #1 as 56
         depth
         buy B1 1kWh @ 4.00
         hibernate #1
         buy B1 1kWh @ 4.00",
        &expect![[r#"
            accepted #1
            accepted #2
            hibernated #1 1kWh
            buy | sell 1x1kWh @ 4.00
            activated #1 1kWh
            buy | sell 2x2kWh @ 4.00
            accepted #3
            trade S2#2 B1#3 1kWh @ 4.00 maker sell
            hibernated #1 1kWh
            accepted #4
        "#]],
    );
}

#[test]
fn an_activated_order_enters_anew() {
    check_continuous(
        "sell S1 3kWh @ 4.00
         hibernate #1
         buy B1 2kWh @ 4.50
         buy B2 2kWh @ 4.20
         activate #1
         depth
         buy B1 2kWh @ 4.60
         hibernate #4
         sell B1 1kWh @ 4.50
         activate #4 as 99
         depth",
        &expect![[r#"
            accepted #1
            hibernated #1 3kWh
            accepted #2
            accepted #3
            activated #1 3kWh
            trade S1#1 B1#2 2kWh @ 4.50 maker buy
            trade S1#1 B2#3 1kWh @ 4.20 maker buy
            buy 1x1kWh @ 4.20 | sell
            accepted #4
            hibernated #4 2kWh
            accepted #5
            activated #4 2kWh
            cancelled #4 2kWh SelfTrade 99
            buy 1x1kWh @ 4.20 | sell 1x1kWh @ 4.50
        "#]],
    );
}

#[test]
fn t35_a_hibernating_order_keeps_capacity_credit_and_its_number() {
    check_continuous(
        "credit limit 2 40.00
         buy B1 10kWh @ 4.00 as 7
         hibernate #1
         buy B1 0.01kWh @ -1.00
         buy B2 0.01kWh @ 0.01
         buy B1 10kWh @ 4.00 as 7
         buy B1 9kWh @ 4.00 as 7
         cancel #1
         buy B1 10kWh @ 4.00 as 8",
        &expect![[r#"
            platform 2 may owe 40.00
            accepted #1
            hibernated #1 10kWh
            rejected New capacity_exceeded
            rejected New credit_exceeded
            restated #1 filled 0kWh leaves 10kWh
            rejected New duplicate_client_order
            cancelled #1 10kWh Requested 107
            accepted #2
        "#]],
    );
}

#[test]
fn what_hibernation_and_activation_need() {
    check_continuous(
        "sell S1 3kWh @ 4.00
         hibernate #1 by 2
         hibernate #2
         activate #1
         hibernate #1
         hibernate #1
         activate #1 by 2
         activate #2
         replace #1 S1 2kWh @ 4.00
         suspend platform 1
         activate #1 by 2
         activate #1
         resume platform 1
         activate #1
         activate #1
         buy B1 3kWh @ 4.00
         hibernate #1
         activate #1",
        &expect![[r#"
            accepted #1
            rejected Hibernate not_authorised
            rejected Hibernate unknown_order
            rejected Activate unknown_order
            hibernated #1 3kWh
            rejected Hibernate unknown_order
            rejected Activate not_authorised
            rejected Activate unknown_order
            rejected Replace unknown_order
            platform 1 suspended
            rejected Activate not_authorised
            rejected Activate trading_suspended
            platform 1 active
            activated #1 3kWh
            rejected Activate unknown_order
            accepted #2
            trade S1#1 B1#2 3kWh @ 4.00 maker sell
            rejected Hibernate unknown_order
            rejected Activate unknown_order
        "#]],
    );
}

#[test]
fn in_a_call_a_hibernating_order_loses_its_place() {
    check_call(
        "sell S1 1kWh @ 4.00
         sell S2 1kWh @ 4.00
         hibernate #1
         activate #1
         buy B1 1kWh @ 4.00
         uncross",
        &expect![[r#"
            accepted #1
            accepted #2
            hibernated #1 1kWh
            activated #1 1kWh
            accepted #3
            uncrossed 4.00 1kWh surplus -1000 of 1
            trade S2#2 B1#3 1kWh @ 4.00
            continuous
        "#]],
    );
}

#[test]
fn a_hibernating_order_is_closed_with_its_slot() {
    check_continuous(
        "sell S1 1kWh @ 4.00
         sell S2 1kWh @ 4.00
         hibernate #1
         at gate+1
         activate #1
         close",
        &expect![[r#"
            accepted #1
            accepted #2
            hibernated #1 1kWh
            rejected Activate gate_closed
            cancelled #1 1kWh GateClosed 101
            cancelled #2 1kWh GateClosed 102
            closed
        "#]],
    );
}

#[test]
fn t28_past_the_gate_nothing_changes_any_more() {
    check_continuous(
        "sell S1 2kWh @ 4.00
         sell S2 2kWh @ 4.00
         hibernate #2
         at gate
         reduce #1 1kWh
         cancel #1
         reduce #2 1kWh
         hibernate #2
         activate #2
         replace #2 S2 1kWh @ 4.00",
        &expect![[r#"
            accepted #1
            accepted #2
            hibernated #2 2kWh
            replaced #1 1kWh @ 4.00 in place
            rejected Cancel gate_closed
            rejected Reduce gate_closed
            rejected Hibernate gate_closed
            rejected Activate gate_closed
            rejected Replace gate_closed
        "#]],
    );
}

#[test]
fn t33_the_numbers_of_replacements_rise_and_the_last_one_is_a_repeat() {
    check_continuous(
        "sell S1 5kWh @ 4.00
         replace #1 S1 4kWh @ 4.00 as 10
         replace #1 S1 4kWh @ 4.00 as 10
         replace #1 S1 1kWh @ 9.00 as 10
         replace #1 S1 3kWh @ 4.00 as 9
         replace #1 S1 3kWh @ 4.00 as 0
         replace #1 S1 3kWh @ 4.00 as 11
         replace #1 S1 4kWh @ 4.00 as 10
         buy B1 1kWh @ 4.00
         replace #1 S1 3kWh @ 4.00 as 11
         cancel #1
         replace #1 S1 3kWh @ 4.00 as 11
         replace #1 S1 3kWh @ 4.00 as 12",
        &expect![[r#"
            accepted #1
            replaced #1 4kWh @ 4.00 in place
            restated #1 filled 0kWh leaves 4kWh
            restated #1 filled 0kWh leaves 4kWh
            rejected Replace duplicate_client_order
            rejected Replace duplicate_client_order
            replaced #1 3kWh @ 4.00 in place
            rejected Replace duplicate_client_order
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            restated #1 filled 1kWh leaves 2kWh
            cancelled #1 2kWh Requested 111
            restated #1 filled 1kWh leaves 0kWh
            rejected Replace unknown_order
        "#]],
    );
}

#[test]
fn a_repeated_replacement_is_answered_when_a_new_one_would_not_be() {
    check_continuous(
        "sell S1 5kWh @ 4.00
         replace #1 S1 4kWh @ 4.00 as 10
         suspend meter S1
         replace #1 S1 4kWh @ 4.00 as 10 until opening
         replace #1 S1 4kWh @ 4.00 as 11 until opening
         replace #1 S1 4kWh @ 4.00 as 11
         at gate+1
         replace #1 S1 4kWh @ 4.00 as 10",
        &expect![[r#"
            accepted #1
            replaced #1 4kWh @ 4.00 in place
            meter S1 suspended
            restated #1 filled 0kWh leaves 4kWh
            rejected Replace signature_expired
            rejected Replace trading_suspended
            restated #1 filled 0kWh leaves 4kWh
        "#]],
    );
}

#[test]
fn filled_and_new_quantity_together_have_a_largest_value() {
    check_continuous(
        "market 2 lot 1Wh largest 18446744073709551615Wh
         open of 2
         uncross of 2
         sell S8 4294967295Wh @ 4.00 of 2
         buy B8 1Wh @ 4.00 of 2
         replace #1 S8 4294967295Wh @ 4.00
         replace #1 S8 4294967295Wh @ 40.00
         replace #1 S8 4294967294Wh @ 4.00
         replace #1 S8 4294967294Wh @ 5.00
         cancel #1",
        &expect![[r#"
            market 2 defined
            call
            uncrossed none 0kWh surplus 0 of 0
            continuous
            accepted #1
            accepted #2
            trade S8#1 B8#2 0.001kWh @ 4.00 maker sell
            rejected Replace quantity_above_maximum
            rejected Replace quantity_above_maximum
            replaced #1 4294967.294kWh @ 4.00 in place
            replaced #1 4294967.294kWh @ 5.00
            cancelled #1 4294967.294kWh Requested 107
        "#]],
    );
}

#[test]
fn a_replacement_checks_size_value_capacity_and_credit_of_what_it_asks_for() {
    check_continuous(
        "buy B1 5kWh @ 4.00
         controls smallest 1kWh value 20.00
         replace #1 B1 0.99kWh @ 4.00
         replace #1 B1 1kWh @ 4.00
         replace #1 B1 5.01kWh @ 4.00
         replace #1 B1 5kWh @ 4.01
         replace #1 B1 5kWh @ 4.00
         controls
         replace #1 B1 10.01kWh @ 1.00
         credit limit 2 20.00
         replace #1 B1 10kWh @ 2.01
         replace #1 B1 10kWh @ 2.00
         credit limit 2 10.00
         replace #1 B1 10kWh @ 2.01
         replace #1 B1 10kWh @ 1.99
         replace #1 B1 9.99kWh @ 1.99",
        &expect![[r#"
            accepted #1
            controls set
            rejected Replace quantity_below_minimum
            replaced #1 1kWh @ 4.00 in place
            rejected Replace value_above_maximum
            rejected Replace value_above_maximum
            replaced #1 5kWh @ 4.00
            controls set
            rejected Replace capacity_exceeded
            platform 2 may owe 20.00
            rejected Replace credit_exceeded
            replaced #1 10kWh @ 2.00
            platform 2 may owe 10.00
            rejected Replace credit_exceeded
            replaced #1 10kWh @ 1.99
            replaced #1 9.99kWh @ 1.99 in place
        "#]],
    );
}

#[test]
fn a_replacement_is_not_bound_by_the_limit_of_executions() {
    check_continuous(
        "controls executions 1
         sell S1 2kWh @ 4.00
         buy B1 1kWh @ 4.00
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         replace #1 S1 2kWh @ 4.10
         buy B2 1kWh @ 4.10
         depth",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            rejected New execution_limit_reached
            rejected New execution_limit_reached
            replaced #1 2kWh @ 4.10
            accepted #3
            trade S1#1 B2#3 1kWh @ 4.10 maker sell
            buy | sell 1x1kWh @ 4.10
        "#]],
    );
}
