//! Orders with a need: all-or-none and minimum quantity, entering, at rest and woken.

use expect_test::expect;

use super::check_continuous;

#[test]
fn t69_all_or_none_is_passed_over_and_blocks_nobody() {
    check_continuous(
        "sell S1 5kWh @ 4.00 all-or-none
         sell S2 2kWh @ 4.00
         sell S3 2kWh @ 4.10
         buy B1 3kWh @ 4.10
         depth
         buy B2 5kWh @ 4.00
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            trade S2#2 B1#4 2kWh @ 4.00 maker sell
            trade S3#3 B1#4 1kWh @ 4.10 maker sell
            buy | sell 1x5kWh @ 4.00 1x1kWh @ 4.10
            accepted #5
            trade S1#1 B2#5 5kWh @ 4.00 maker sell
            buy | sell 1x1kWh @ 4.10
        "#]],
    );
}

#[test]
fn the_need_of_an_order_at_rest_is_for_one_trade_with_it() {
    check_continuous(
        "sell S2 2kWh @ 4.00
         sell S1 5kWh @ 4.00 all-or-none
         buy B1 6kWh @ 4.00 ioc
         sell S2 2kWh @ 4.00
         buy B1 7kWh @ 4.00",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            trade S2#1 B1#3 2kWh @ 4.00 maker sell
            cancelled #3 4kWh ImmediateOrCancel 103
            accepted #4
            accepted #5
            trade S1#2 B1#5 5kWh @ 4.00 maker sell
            trade S2#4 B1#5 2kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn all_or_none_rests_until_enough_has_come() {
    check_continuous(
        "sell S1 5kWh @ 4.00 all-or-none
         buy B1 4kWh @ 4.00
         depth
         buy B2 1kWh @ 3.99
         buy B3 1kWh @ 4.00
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            buy 1x4kWh @ 4.00 | sell 1x5kWh @ 4.00
            accepted #3
            accepted #4
            trade S1#1 B1#2 4kWh @ 4.00 maker buy
            trade S1#1 B3#4 1kWh @ 4.00 maker buy
            buy 1x1kWh @ 3.99 | sell
        "#]],
    );
}

#[test]
fn all_or_none_enters_at_once_when_there_is_enough() {
    check_continuous(
        "sell S1 2kWh @ 4.00
         sell S2 2kWh @ 4.10
         buy B1 4.01kWh @ 4.10 all-or-none
         cancel #3
         buy B1 4kWh @ 4.10 all-or-none
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            cancelled #3 4.01kWh Requested 104
            accepted #4
            trade S1#1 B1#4 2kWh @ 4.00 maker sell
            trade S2#2 B1#4 2kWh @ 4.10 maker sell
            buy | sell
        "#]],
    );
}

#[test]
fn a_woken_order_trades_at_the_prices_of_those_at_rest_best_first() {
    check_continuous(
        "sell S1 5kWh @ 4.00 all-or-none
         buy B1 2kWh @ 4.20
         buy B2 2kWh @ 4.50
         buy B3 2kWh @ 4.30
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            trade S1#1 B2#3 2kWh @ 4.50 maker buy
            trade S1#1 B3#4 2kWh @ 4.30 maker buy
            trade S1#1 B1#2 1kWh @ 4.20 maker buy
            buy 1x1kWh @ 4.20 | sell
        "#]],
    );
}

#[test]
fn only_those_are_woken_that_the_price_reaches() {
    check_continuous(
        "sell S1 3kWh @ 4.10 all-or-none
         buy B1 2kWh @ 4.20
         buy B2 2kWh @ 4.09
         depth
         buy B3 1kWh @ 4.10
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            buy 1x2kWh @ 4.20 1x2kWh @ 4.09 | sell 1x3kWh @ 4.10
            accepted #4
            trade S1#1 B1#2 2kWh @ 4.20 maker buy
            trade S1#1 B3#4 1kWh @ 4.10 maker buy
            buy 1x2kWh @ 4.09 | sell
        "#]],
    );
}

#[test]
fn t70_the_woken_are_tried_once_each_in_priority_order() {
    check_continuous(
        "sell S1 3kWh @ 4.10 all-or-none
         sell S2 2kWh @ 4.10 all-or-none
         sell S3 2kWh @ 4.00 all-or-none
         buy B1 1kWh @ 4.10
         buy B2 1kWh @ 4.10
         depth
         buy B1 1kWh @ 4.10
         buy B2 1kWh @ 4.10
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            accepted #5
            trade S3#3 B1#4 1kWh @ 4.10 maker buy
            trade S3#3 B2#5 1kWh @ 4.10 maker buy
            buy | sell 2x5kWh @ 4.10
            accepted #6
            accepted #7
            trade S2#2 B1#6 1kWh @ 4.10 maker buy
            trade S2#2 B2#7 1kWh @ 4.10 maker buy
            buy | sell 1x3kWh @ 4.10
        "#]],
    );
}

#[test]
fn two_all_or_none_trade_with_each_other_when_they_are_equal() {
    check_continuous(
        "sell S1 5kWh @ 4.00 all-or-none
         buy B1 5kWh @ 4.20 all-or-none
         sell S1 5kWh @ 4.00 all-or-none
         buy B1 4kWh @ 4.20 all-or-none
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            trade S1#1 B1#2 5kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            buy 1x4kWh @ 4.20 | sell 1x5kWh @ 4.00
        "#]],
    );
}

#[test]
fn a_third_order_brings_two_all_or_none_together() {
    check_continuous(
        "sell S1 5kWh @ 4.00 all-or-none
         buy B1 8kWh @ 4.00 all-or-none
         depth
         sell S2 3kWh @ 4.00
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            buy 1x8kWh @ 4.00 | sell 1x5kWh @ 4.00
            accepted #3
            trade S1#1 B1#2 5kWh @ 4.00 maker sell
            trade S2#3 B1#2 3kWh @ 4.00 maker sell
            buy | sell
        "#]],
    );
}

#[test]
fn t68_a_minimum_counts_the_whole_sweep_on_entry() {
    check_continuous(
        "sell S1 1kWh @ 4.00
         sell S2 1kWh @ 4.10
         buy B1 5kWh @ 4.10 minimum 2.01kWh
         depth
         cancel #3
         buy B1 5kWh @ 4.10 minimum 2kWh
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            buy 1x5kWh @ 4.10 | sell 1x1kWh @ 4.00 1x1kWh @ 4.10
            cancelled #3 5kWh Requested 104
            accepted #4
            trade S1#1 B1#4 1kWh @ 4.00 maker sell
            trade S2#2 B1#4 1kWh @ 4.10 maker sell
            buy 1x3kWh @ 4.10 | sell
        "#]],
    );
}

#[test]
fn a_minimum_at_rest_is_for_each_trade_and_never_more_than_what_is_open() {
    check_continuous(
        "sell S1 5kWh @ 4.00 minimum 3kWh
         buy B1 2.99kWh @ 4.00 ioc
         buy B1 4kWh @ 4.00
         buy B2 0.99kWh @ 4.00 ioc
         depth
         buy B2 1kWh @ 4.00
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            cancelled #2 2.99kWh ImmediateOrCancel 102
            accepted #3
            trade S1#1 B1#3 4kWh @ 4.00 maker sell
            accepted #4
            cancelled #4 0.99kWh ImmediateOrCancel 104
            buy | sell 1x1kWh @ 4.00
            accepted #5
            trade S1#1 B2#5 1kWh @ 4.00 maker sell
            buy | sell
        "#]],
    );
}

#[test]
fn an_order_with_a_minimum_keeps_its_place_and_is_woken_again() {
    check_continuous(
        "sell S1 6kWh @ 4.00 minimum 2kWh
         sell S2 6kWh @ 4.00 minimum 2kWh
         buy B1 1kWh @ 4.00
         buy B2 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         buy B2 1kWh @ 4.00
         depth
         buy B3 2kWh @ 4.00
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            trade S1#1 B1#3 1kWh @ 4.00 maker buy
            trade S1#1 B2#4 1kWh @ 4.00 maker buy
            accepted #5
            accepted #6
            trade S1#1 B1#5 1kWh @ 4.00 maker buy
            trade S1#1 B2#6 1kWh @ 4.00 maker buy
            buy | sell 2x8kWh @ 4.00
            accepted #7
            trade S1#1 B3#7 2kWh @ 4.00 maker sell
            buy | sell 1x6kWh @ 4.00
        "#]],
    );
}

#[test]
fn counting_sees_all_of_an_iceberg() {
    check_continuous(
        "sell S1 4kWh @ 4.00 showing 2kWh
         buy B1 3kWh @ 4.00 all-or-none
         buy B2 1.01kWh @ 4.00 fok
         buy B2 1kWh @ 4.00 minimum 1kWh",
        &expect![[r#"
            accepted #1
            accepted #2
            trade S1#1 B1#2 2kWh @ 4.00 maker sell
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            accepted #3
            cancelled #3 1.01kWh FillOrKill 103
            accepted #4
            trade S1#1 B2#4 1kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn counting_passes_over_what_a_sweep_would_pass_over() {
    check_continuous(
        "sell S1 5kWh @ 4.00 all-or-none
         sell S2 1kWh @ 4.00
         buy B1 3kWh @ 4.00 fok
         buy B1 6.01kWh @ 4.00 fok
         buy B1 6kWh @ 4.00 fok
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            cancelled #3 3kWh FillOrKill 103
            accepted #4
            cancelled #4 6.01kWh FillOrKill 104
            accepted #5
            trade S1#1 B1#5 5kWh @ 4.00 maker sell
            trade S2#2 B1#5 1kWh @ 4.00 maker sell
            buy | sell
        "#]],
    );
}

#[test]
fn a_count_that_fails_cancels_nothing_of_the_own_group() {
    check_continuous(
        "controls self-trade cancel_maker
         sell B1 1kWh @ 4.00
         sell S1 1kWh @ 4.00
         buy B1 3kWh @ 4.00 all-or-none
         depth
         sell S2 2kWh @ 4.00
         depth",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            buy 1x3kWh @ 4.00 | sell 2x2kWh @ 4.00
            accepted #4
            cancelled #1 1kWh SelfTrade 101
            trade S1#2 B1#3 1kWh @ 4.00 maker sell
            trade S2#4 B1#3 2kWh @ 4.00 maker sell
            buy | sell
        "#]],
    );
}

#[test]
fn a_woken_order_that_meets_its_own_group_gives_way() {
    check_continuous(
        "buy B1 1kWh @ 3.50
         sell B1 6kWh @ 3.00 minimum 2kWh
         buy B2 1kWh @ 4.00
         buy B3 1kWh @ 4.00
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            trade B1#2 B2#3 1kWh @ 4.00 maker buy
            trade B1#2 B3#4 1kWh @ 4.00 maker buy
            cancelled #2 4kWh SelfTrade 102
            buy 1x1kWh @ 3.50 | sell
        "#]],
    );
}

#[test]
fn t125_a_need_made_smaller_in_place_is_tried_at_once() {
    check_continuous(
        "sell S1 5kWh @ 4.00 all-or-none
         buy B1 3kWh @ 4.00
         reduce #1 1kWh
         replace #1 S1 3kWh @ 4.00
         depth
         buy B2 1kWh @ 3.00
         buy B2 1kWh @ 4.00
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            replaced #1 4kWh @ 4.00 in place
            replaced #1 3kWh @ 4.00 in place
            trade S1#1 B1#2 3kWh @ 4.00 maker buy
            buy | sell
            accepted #3
            accepted #4
            buy 1x1kWh @ 4.00 1x1kWh @ 3.00 | sell
        "#]],
    );
}

#[test]
fn a_replacement_that_moves_counts_and_wakes() {
    check_continuous(
        "sell S1 5kWh @ 4.00 all-or-none
         buy B1 3kWh @ 4.00
         buy B2 2kWh @ 3.90
         replace #3 B2 2kWh @ 4.00
         depth
         sell S1 5kWh @ 4.00 all-or-none
         buy B1 3kWh @ 4.00
         replace #4 S1 3kWh @ 3.99
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            replaced #3 2kWh @ 4.00
            trade S1#1 B1#2 3kWh @ 4.00 maker buy
            trade S1#1 B2#3 2kWh @ 4.00 maker buy
            buy | sell
            accepted #4
            accepted #5
            replaced #4 3kWh @ 3.99
            trade S1#4 B1#5 3kWh @ 4.00 maker buy
            buy | sell
        "#]],
    );
}

#[test]
fn an_activated_order_counts_and_wakes() {
    check_continuous(
        "sell S1 5kWh @ 4.00 all-or-none
         buy B1 3kWh @ 4.00
         buy B2 2kWh @ 3.90
         hibernate #1
         replace #3 B2 2kWh @ 4.00
         depth
         activate #1
         depth
         sell S1 5kWh @ 4.00 all-or-none
         buy B1 3kWh @ 4.00
         hibernate #5
         buy B2 2kWh @ 4.00
         activate #5
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            hibernated #1 5kWh
            replaced #3 2kWh @ 4.00
            buy 2x5kWh @ 4.00 | sell
            activated #1 5kWh
            trade S1#1 B1#2 3kWh @ 4.00 maker buy
            trade S1#1 B2#3 2kWh @ 4.00 maker buy
            buy | sell
            accepted #4
            accepted #5
            hibernated #5 3kWh
            accepted #6
            activated #5 3kWh
            trade S1#4 B2#6 2kWh @ 4.00 maker buy
            trade S1#4 B1#5 3kWh @ 4.00 maker buy
            buy | sell
        "#]],
    );
}

#[test]
fn a_minimum_stays_above_a_quantity_made_smaller() {
    check_continuous(
        "sell S1 5kWh @ 4.00 minimum 3kWh
         reduce #1 4kWh
         buy B1 0.5kWh @ 4.00 ioc
         replace #1 S1 2kWh @ 4.00
         buy B1 1.99kWh @ 4.00 ioc
         replace #1 S1 6kWh @ 4.00
         buy B1 2.99kWh @ 4.00 ioc
         buy B1 3kWh @ 4.00 ioc
         depth",
        &expect![[r#"
            accepted #1
            replaced #1 1kWh @ 4.00 in place
            accepted #2
            cancelled #2 0.5kWh ImmediateOrCancel 103
            replaced #1 2kWh @ 4.00
            accepted #3
            cancelled #3 1.99kWh ImmediateOrCancel 105
            replaced #1 6kWh @ 4.00
            accepted #4
            cancelled #4 2.99kWh ImmediateOrCancel 107
            accepted #5
            trade S1#1 B1#5 3kWh @ 4.00 maker sell
            buy | sell 1x3kWh @ 4.00
        "#]],
    );
}
