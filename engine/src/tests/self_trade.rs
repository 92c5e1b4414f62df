//! What happens when an incoming order meets one of its own meter or owner.

use expect_test::expect;

use super::{check_call, check_continuous};

#[test]
fn t82_cancel_taker_is_what_happens_without_controls_and_with_it() {
    let expected = &expect![[r#"
        controls set
        accepted #1
        accepted #2
        accepted #3
        accepted #4
        trade S2#1 B1#4 1kWh @ 3.90 maker sell
        cancelled #4 4kWh SelfTrade 104
        buy | sell 1x2kWh @ 4.00 1x1kWh @ 4.10
    "#]];
    for controls in ["controls", "controls self-trade cancel_taker"] {
        check_continuous(&meeting(controls), expected);
    }
}

#[test]
fn t83_cancel_maker_cancels_the_resting_order_and_goes_on() {
    check_continuous(
        &meeting("controls self-trade cancel_maker"),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            trade S2#1 B1#4 1kWh @ 3.90 maker sell
            cancelled #2 2kWh SelfTrade 102
            trade S2#3 B1#4 1kWh @ 4.10 maker sell
            buy 1x3kWh @ 4.10 | sell
        "#]],
    );
}

#[test]
fn t84_cancel_both_cancels_first_the_resting_order() {
    check_continuous(
        &meeting("controls self-trade cancel_both"),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            trade S2#1 B1#4 1kWh @ 3.90 maker sell
            cancelled #2 2kWh SelfTrade 102
            cancelled #4 4kWh SelfTrade 104
            buy | sell 1x1kWh @ 4.10
        "#]],
    );
}

#[test]
fn t86_allow_lets_them_trade() {
    check_continuous(
        &meeting("controls self-trade allow"),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            trade S2#1 B1#4 1kWh @ 3.90 maker sell
            trade B1#2 B1#4 2kWh @ 4.00 maker sell
            trade S2#3 B1#4 1kWh @ 4.10 maker sell
            buy 1x1kWh @ 4.10 | sell
        "#]],
    );
}

/// B1 meets its own sell in the middle of a sweep.
fn meeting(controls: &str) -> String {
    format!(
        "{controls}
         sell S2 1kWh @ 3.90
         sell B1 2kWh @ 4.00
         sell S2 1kWh @ 4.10
         buy B1 5kWh @ 4.10
         depth"
    )
}

#[test]
fn t85_decrement_cancels_the_smaller_and_leaves_the_other_as_it_is() {
    check_continuous(
        "controls self-trade decrement
         sell B1 2kWh @ 4.00
         buy B1 1.99kWh @ 4.00
         depth
         buy B1 2.01kWh @ 4.00
         depth
         cancel #3
         sell B1 2kWh @ 4.00
         buy B1 2kWh @ 4.00
         depth",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            cancelled #2 1.99kWh SelfTrade 102
            buy | sell 1x2kWh @ 4.00
            accepted #3
            cancelled #1 2kWh SelfTrade 101
            buy 1x2.01kWh @ 4.00 | sell
            cancelled #3 2.01kWh Requested 104
            accepted #4
            accepted #5
            cancelled #4 2kWh SelfTrade 105
            buy 1x2kWh @ 4.00 | sell
        "#]],
    );
}

#[test]
fn decrement_compares_what_is_open_of_both() {
    check_continuous(
        "controls self-trade decrement
         sell B1 5kWh @ 4.00 showing 1kWh
         buy B2 3kWh @ 4.00
         sell S1 4kWh @ 3.00
         buy B1 5kWh @ 4.00
         depth
         cancel #4
         sell B1 5kWh @ 4.00 showing 1kWh
         buy B1 4kWh @ 4.00 ioc
         depth",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade B1#1 B2#2 1kWh @ 4.00 maker sell
            trade B1#1 B2#2 1kWh @ 4.00 maker sell
            trade B1#1 B2#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            trade S1#3 B1#4 4kWh @ 3.00 maker sell
            cancelled #4 1kWh SelfTrade 104
            buy | sell 1x1kWh @ 4.00
            rejected Cancel unknown_order
            accepted #5
            accepted #6
            cancelled #1 2kWh SelfTrade 101
            cancelled #6 4kWh SelfTrade 107
            buy | sell 1x1kWh @ 4.00
        "#]],
    );
}

#[test]
fn an_own_order_is_met_even_where_it_would_be_passed_over() {
    check_continuous(
        "sell B1 5kWh @ 4.00 all-or-none
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         controls self-trade cancel_maker
         buy B1 1kWh @ 4.00",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            cancelled #3 1kWh SelfTrade 103
            controls set
            accepted #4
            cancelled #1 5kWh SelfTrade 101
            trade S1#2 B1#4 1kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn an_order_that_fills_before_does_not_meet_its_own() {
    check_continuous(
        "controls self-trade cancel_both
         sell S1 2kWh @ 4.00
         sell B1 2kWh @ 4.00
         buy B1 2kWh @ 4.00
         depth",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            trade S1#1 B1#3 2kWh @ 4.00 maker sell
            buy | sell 1x2kWh @ 4.00
        "#]],
    );
}

/// S1, then B1 itself, then S2: fill-or-kill for all but the own order, and for more.
fn fill_or_kill_around_own(controls: &str) -> String {
    format!(
        "{controls}
         sell S1 2kWh @ 4.00
         sell B1 2kWh @ 4.00
         sell S2 2kWh @ 4.00
         buy B1 4.01kWh @ 4.00 fok
         buy B1 4kWh @ 4.00 fok
         depth"
    )
}

#[test]
fn fill_or_kill_counts_nothing_beyond_an_own_order_that_ends_it() {
    let expected = &expect![[r#"
        controls set
        accepted #1
        accepted #2
        accepted #3
        accepted #4
        cancelled #4 4.01kWh FillOrKill 104
        accepted #5
        cancelled #5 4kWh FillOrKill 105
        buy | sell 3x6kWh @ 4.00
    "#]];
    for action in ["cancel_taker", "cancel_both"] {
        let controls = format!("controls self-trade {action}");
        check_continuous(&fill_or_kill_around_own(&controls), expected);
    }
}

#[test]
fn fill_or_kill_counts_past_an_own_order_that_is_cancelled() {
    check_continuous(
        &fill_or_kill_around_own("controls self-trade cancel_maker"),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            cancelled #4 4.01kWh FillOrKill 104
            accepted #5
            trade S1#1 B1#5 2kWh @ 4.00 maker sell
            cancelled #2 2kWh SelfTrade 102
            trade S2#3 B1#5 2kWh @ 4.00 maker sell
            buy | sell
        "#]],
    );
}

#[test]
fn fill_or_kill_counts_past_an_own_order_that_is_not_larger_under_decrement() {
    check_continuous(
        &fill_or_kill_around_own("controls self-trade decrement"),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            cancelled #4 4.01kWh FillOrKill 104
            accepted #5
            trade S1#1 B1#5 2kWh @ 4.00 maker sell
            cancelled #2 2kWh SelfTrade 102
            trade S2#3 B1#5 2kWh @ 4.00 maker sell
            buy | sell
        "#]],
    );
    check_continuous(
        "controls self-trade decrement
         sell S1 2kWh @ 4.00
         sell B1 2.01kWh @ 4.00
         sell S2 2kWh @ 4.00
         buy B1 4kWh @ 4.00 fok
         buy B1 4.01kWh @ 4.00 ioc minimum 2.01kWh
         depth",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            cancelled #4 4kWh FillOrKill 104
            accepted #5
            trade S1#1 B1#5 2kWh @ 4.00 maker sell
            cancelled #2 2.01kWh SelfTrade 102
            trade S2#3 B1#5 2kWh @ 4.00 maker sell
            cancelled #5 0.01kWh ImmediateOrCancel 105
            buy | sell
        "#]],
    );
}

#[test]
fn fill_or_kill_counts_its_own_orders_where_that_is_allowed() {
    check_continuous(
        &fill_or_kill_around_own("controls self-trade allow"),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            trade S1#1 B1#4 2kWh @ 4.00 maker sell
            trade B1#2 B1#4 2kWh @ 4.00 maker sell
            trade S2#3 B1#4 0.01kWh @ 4.00 maker sell
            accepted #5
            cancelled #5 4kWh FillOrKill 105
            buy | sell 1x1.99kWh @ 4.00
        "#]],
    );
}

#[test]
fn t81_meters_of_one_owner_are_apart_unless_the_market_says_owner() {
    check_continuous(
        "sell S4 1kWh @ 4.00
         buy B4 1kWh @ 4.00
         controls scope owner
         sell S4 1kWh @ 4.00
         buy B4 1kWh @ 4.00
         buy B5 1kWh @ 4.00
         sell S4 1kWh @ 4.00
         buy S4 1kWh @ 4.00",
        &expect![[r#"
            accepted #1
            accepted #2
            trade S4#1 B4#2 1kWh @ 4.00 maker sell
            controls set
            accepted #3
            accepted #4
            cancelled #4 1kWh SelfTrade 104
            accepted #5
            trade S4#3 B5#5 1kWh @ 4.00 maker sell
            accepted #6
            accepted #7
            cancelled #7 1kWh SelfTrade 107
        "#]],
    );
}

#[test]
fn a_meter_without_an_owner_stands_for_itself() {
    check_continuous(
        "controls scope owner
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         sell S1 1kWh @ 4.00
         buy S1 1kWh @ 4.00
         buy B2 1kWh @ 4.00
         sell S1 1kWh @ 4.00
         buy B4 1kWh @ 4.00",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            cancelled #4 1kWh SelfTrade 104
            accepted #5
            trade S1#3 B2#5 1kWh @ 4.00 maker sell
            accepted #6
            accepted #7
            trade S1#6 B4#7 1kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn the_group_of_an_order_is_fixed_when_it_is_accepted() {
    check_continuous(
        "controls self-trade allow
         sell B1 1kWh @ 4.00
         controls
         sell B1 1kWh @ 4.01
         buy B1 2kWh @ 4.01
         controls self-trade allow
         buy B1 1kWh @ 4.01
         controls scope owner
         sell S4 1kWh @ 4.00
         controls
         sell S4 1kWh @ 4.01
         buy B4 2kWh @ 4.01
         controls scope owner
         sell S4 1kWh @ 4.00
         buy B4 1kWh @ 4.00",
        &expect![[r#"
            controls set
            accepted #1
            controls set
            accepted #2
            accepted #3
            trade B1#1 B1#3 1kWh @ 4.00 maker sell
            cancelled #3 1kWh SelfTrade 103
            controls set
            accepted #4
            trade B1#2 B1#4 1kWh @ 4.01 maker sell
            controls set
            accepted #5
            controls set
            accepted #6
            accepted #7
            trade S4#5 B4#7 1kWh @ 4.00 maker sell
            trade S4#6 B4#7 1kWh @ 4.01 maker sell
            controls set
            accepted #8
            accepted #9
            cancelled #9 1kWh SelfTrade 109
        "#]],
    );
}

#[test]
fn t87_in_a_call_a_group_is_on_one_side_only() {
    check_call(
        "sell S4 1kWh @ 4.00
         buy B4 1kWh @ 1.00
         cancel #2
         controls scope owner
         sell S4 1kWh @ 4.00
         buy B4 1kWh @ 1.00
         buy S4 1kWh @ 1.00
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 1.00
         buy S1 1kWh @ 1.00
         controls self-trade allow scope owner
         buy B4 1kWh @ 4.00
         uncross",
        &expect![[r#"
            accepted #1
            accepted #2
            cancelled #2 1kWh Requested 103
            controls set
            accepted #3
            rejected New self_trade
            rejected New self_trade
            accepted #4
            accepted #5
            rejected New self_trade
            controls set
            accepted #6
            uncrossed 4.00 1kWh surplus -2000 of 1
            trade S4#1 B4#6 1kWh @ 4.00
            continuous
        "#]],
    );
}

#[test]
fn in_a_call_what_moves_or_comes_back_must_be_alone_too() {
    check_continuous(
        "controls band 0.10
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         sell S1 2kWh @ 5.00
         buy S1 2kWh @ 3.00
         sell S1 2kWh @ 6.00
         hibernate #5
         sell S2 1kWh @ 4.11
         buy B2 1kWh @ 4.11
         replace #3 S1 2kWh @ 5.01
         replace #4 S1 2.01kWh @ 3.00
         replace #3 S1 1kWh @ 5.00
         reduce #4 1kWh
         activate #5
         cancel #4
         activate #5
         replace #3 S1 2kWh @ 5.01",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            accepted #5
            hibernated #5 2kWh
            accepted #6
            accepted #7
            call
            rejected Replace self_trade
            rejected Replace self_trade
            replaced #3 1kWh @ 5.00 in place
            replaced #4 1kWh @ 3.00 in place
            rejected Activate self_trade
            cancelled #4 1kWh Requested 114
            activated #5 2kWh
            replaced #3 2kWh @ 5.01
        "#]],
    );
}

#[test]
fn in_a_call_orders_outside_the_book_count_as_well() {
    check_call(
        "sell S1 1kWh @ 4.00
         hibernate #1
         buy S1 1kWh @ 1.00
         cancel #1
         buy S1 1kWh @ 1.00 in block 7 of 2
         sell S1 1kWh @ 4.00
         cancel #2
         sell S1 1kWh @ 4.00",
        &expect![[r#"
            accepted #1
            hibernated #1 1kWh
            rejected New self_trade
            cancelled #1 1kWh Requested 104
            accepted #2
            rejected New self_trade
            cancelled #2 1kWh Requested 107
            accepted #3
        "#]],
    );
}
