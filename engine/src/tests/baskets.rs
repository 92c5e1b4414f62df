//! Baskets: fill-or-kill orders over slots, at once or not at all.

use expect_test::{Expect, expect};

use super::check_after;

/// The first three slots are in continuous trading, the fourth is in its call.
fn check(script: &str, expected: &Expect) {
    check_after(
        "open
         uncross
         open slot 1
         uncross slot 1
         open slot 2
         uncross slot 2
         open slot 3",
        script,
        expected,
    );
}

#[test]
fn a_basket_fills_over_meters_sides_and_prices() {
    check(
        "sell S1 2kWh @ 4.00
         buy B1 3kWh @ 3.00 slot 2
         buy B2 2kWh @ 4.00 fok in basket 9 of 2
         depth
         sell B3 3kWh @ 2.00 slot 2 fok in basket 9 of 2
         depth slot 2",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            buy | sell 1x2kWh @ 4.00
            accepted #4
            trade S1#1 B2#3 2kWh @ 4.00 maker sell
            trade B3#4 B1#2 3kWh @ 3.00 maker buy
            buy | sell
        "#]],
    );
}

#[test]
fn t77_a_basket_that_cannot_fill_whole_is_cancelled_by_number() {
    check(
        "sell S1 2kWh @ 4.00
         sell S2 1.99kWh @ 4.00 slot 1
         buy B1 2kWh @ 4.00 fok in basket 9 of 2
         buy B1 2kWh @ 4.00 slot 1 fok in basket 9 of 2
         depth
         depth slot 1",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            cancelled #3 2kWh FillOrKill 103
            cancelled #4 2kWh FillOrKill 104
            buy | sell 1x2kWh @ 4.00
            buy | sell 1x1.99kWh @ 4.00
        "#]],
    );
}

#[test]
fn the_orders_of_a_basket_enter_in_order_of_their_numbers() {
    check(
        "sell S1 2kWh @ 4.00
         sell S2 2kWh @ 4.00 slot 1
         buy B1 2kWh @ 4.00 slot 1 fok in basket 9 of 2
         buy B1 2kWh @ 4.00 fok in basket 9 of 2",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            trade S2#2 B1#3 2kWh @ 4.00 maker sell
            trade S1#1 B1#4 2kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn a_basket_waits_for_its_last_order_only() {
    check(
        "sell S1 2kWh @ 4.00
         buy B1 2kWh @ 4.00 fok in basket 9 of 2
         buy B2 2kWh @ 4.00
         buy B1 2kWh @ 4.00 slot 1 fok in basket 9 of 2",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            trade S1#1 B2#3 2kWh @ 4.00 maker sell
            accepted #4
            cancelled #2 2kWh FillOrKill 102
            cancelled #4 2kWh FillOrKill 104
        "#]],
    );
}

#[test]
fn a_basket_of_one_is_a_fill_or_kill_order() {
    check(
        "sell S1 2kWh @ 4.00
         buy B1 2.01kWh @ 4.00 fok in basket 8 of 1
         buy B1 2kWh @ 4.00 fok in basket 9 of 1",
        &expect![[r#"
            accepted #1
            accepted #2
            cancelled #2 2.01kWh FillOrKill 102
            accepted #3
            trade S1#1 B1#3 2kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn t76_each_order_of_a_basket_is_of_another_slot() {
    check(
        "buy B1 1kWh @ 4.00 slot 1 fok in basket 9 of 3
         buy B1 1kWh @ 4.00 slot 0 fok in basket 9 of 3
         sell B2 1kWh @ 4.00 slot 1 fok in basket 9 of 3",
        &expect![[r#"
            accepted #1
            accepted #2
            rejected New invalid_list
            cancelled #1 1kWh List 101
            cancelled #2 1kWh List 102
        "#]],
    );
}

#[test]
fn a_basket_may_be_of_several_markets() {
    check(
        "market 2
         open of 2
         uncross of 2
         sell S1 1kWh @ 4.00
         sell S1 1kWh @ 5.00 of 2
         buy B1 1kWh @ 4.00 fok in basket 9 of 2
         buy B1 1kWh @ 5.00 of 2 fok in basket 9 of 2",
        &expect![[r#"
            market 2 defined
            call
            uncrossed none 0kWh surplus 0 of 0
            continuous
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            trade S1#1 B1#3 1kWh @ 4.00 maker sell
            trade S1#2 B1#4 1kWh @ 5.00 maker sell
        "#]],
    );
}

/// The second order of a basket does not fit the first.
fn check_second(second: &str) {
    let script = format!(
        "buy B1 2kWh @ 4.20 fok in basket 7 of 2 as 1
         {second}"
    );
    let text = expect![[r#"
        accepted #1
        rejected New invalid_list
        cancelled #1 2kWh List 1
    "#]];
    check(&script, &text);
}

#[test]
fn the_orders_of_a_basket_are_fill_or_kill_without_conditions() {
    for second in [
        "buy B1 2kWh @ 4.20 slot 1 in basket 7 of 2",
        "buy B1 2kWh @ 4.20 slot 1 ioc in basket 7 of 2",
        "buy B1 2kWh @ 4.20 slot 1 until-time gate in basket 7 of 2",
        "buy B1 2kWh at market slot 1 fok in basket 7 of 2",
        "buy B1 2kWh @ 4.20 slot 1 fok all-or-none in basket 7 of 2",
        "buy B1 2kWh @ 4.20 slot 1 fok minimum 1kWh in basket 7 of 2",
        "buy B1 2kWh @ 4.20 slot 1 fok in basket 7 of 3",
        "buy B1 2kWh @ 4.20 slot 1 in block 7 of 2",
    ] {
        check_second(second);
    }
}

#[test]
fn a_basket_ends_with_an_order_for_a_slot_in_its_call() {
    check(
        "sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00 fok in basket 9 of 2
         buy B1 1kWh @ 4.00 slot 3 fok in basket 9 of 2
         uncross slot 3
         buy B1 1kWh @ 4.00 slot 3 fok in basket 9 of 2",
        &expect![[r#"
            accepted #1
            accepted #2
            rejected New wrong_phase
            cancelled #2 1kWh List 102
            uncrossed none 0kWh surplus 0 of 0
            continuous
            rejected New invalid_list
        "#]],
    );
}

#[test]
fn a_basket_with_a_slot_that_turned_to_a_call_is_cancelled() {
    check(
        "controls band 0.10
         sell S8 1kWh @ 4.00
         buy B8 1kWh @ 4.00
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00 fok in basket 9 of 2
         sell S2 1kWh @ 4.00 slot 1
         sell S3 5kWh @ 5.00
         buy B2 2kWh @ 5.00
         buy B1 1kWh @ 4.00 slot 1 fok in basket 9 of 2",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S8#1 B8#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            accepted #5
            accepted #6
            accepted #7
            trade S1#3 B2#7 1kWh @ 4.00 maker sell
            call
            accepted #8
            cancelled #4 1kWh FillOrKill 104
            cancelled #8 1kWh FillOrKill 108
        "#]],
    );
}

#[test]
fn a_basket_that_waits_is_cancelled_whole() {
    check(
        "buy B1 1kWh @ 4.00 fok in basket 1 of 3
         buy B2 2kWh @ 4.00 slot 1 fok in basket 1 of 3
         cancel #2 as 55
         buy B1 1kWh @ 4.00 fok in basket 2 of 3
         buy B2 2kWh @ 4.00 slot 1 fok in basket 2 of 3
         kill meter B2
         buy B1 1kWh @ 4.00 fok in basket 3 of 3
         sell B3 2kWh @ 4.00 slot 1 fok in basket 3 of 3
         reduce #5 0.5kWh
         replace #5 B1 0.5kWh @ 4.00
         hibernate #6
         mass cancel everyone by 2 only slot 1
         buy B1 1kWh @ 4.00 fok in basket 4 of 3
         close",
        &expect![[r#"
            accepted #1
            accepted #2
            cancelled #2 2kWh Requested 55
            cancelled #1 1kWh List 101
            accepted #3
            accepted #4
            meter B2 killed
            cancelled #4 2kWh Killed 105
            cancelled #3 1kWh List 104
            cancelled 2 of meter B2 for the operator
            accepted #5
            accepted #6
            rejected Reduce part_of_list
            rejected Replace part_of_list
            rejected Hibernate part_of_list
            cancelled #6 2kWh MassCancel 107
            cancelled #5 1kWh List 106
            cancelled 2 of everyone for platform 2 as 111
            accepted #7
            cancelled #7 1kWh GateClosed 112
            closed
        "#]],
    );
}

#[test]
fn a_basket_meets_its_own_orders_as_the_market_says() {
    check(
        "sell B1 1kWh @ 4.00
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00 fok in basket 1 of 1
         controls self-trade cancel_maker
         buy B1 1kWh @ 4.00 fok in basket 2 of 1",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            cancelled #3 1kWh FillOrKill 103
            controls set
            accepted #4
            cancelled #1 1kWh SelfTrade 101
            trade S1#2 B1#4 1kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn a_basket_leaves_a_block_alone_and_a_block_fills_after_it() {
    check(
        "buy B1 1kWh @ 4.00 in block 1 of 1
         sell S1 1kWh @ 4.00 fok in basket 1 of 1
         sell S1 2kWh @ 4.10
         buy B2 1kWh @ 4.10 fok in basket 2 of 1
         replace #3 S1 1kWh @ 4.00",
        &expect![[r#"
            accepted #1
            accepted #2
            cancelled #2 1kWh FillOrKill 102
            accepted #3
            accepted #4
            trade S1#3 B2#4 1kWh @ 4.10 maker sell
            replaced #3 1kWh @ 4.00
            trade S1#3 B1#1 1kWh @ 4.00 maker sell
        "#]],
    );
}
