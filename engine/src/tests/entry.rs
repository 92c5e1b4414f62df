//! What happens as an order enters: immediate orders, fill-or-kill, market orders.

use expect_test::expect;

use super::{check_call, check_continuous};

#[test]
fn t67_fill_or_kill_fills_whole_or_not_at_all() {
    check_continuous(
        "sell S1 2kWh @ 4.00
         sell S2 2kWh @ 4.10
         buy B1 4.01kWh @ 4.10 fok
         buy B1 4kWh @ 4.09 fok
         depth
         buy B1 4kWh @ 4.10 fok
         buy B1 1kWh @ 9.99 fok
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            cancelled #3 4.01kWh FillOrKill 103
            accepted #4
            cancelled #4 4kWh FillOrKill 104
            buy | sell 1x2kWh @ 4.00 1x2kWh @ 4.10
            accepted #5
            trade S1#1 B1#5 2kWh @ 4.00 maker sell
            trade S2#2 B1#5 2kWh @ 4.10 maker sell
            accepted #6
            cancelled #6 1kWh FillOrKill 106
            buy | sell
        "#]],
    );
}

#[test]
fn fill_or_kill_leaves_the_rest_of_what_it_meets() {
    check_continuous(
        "buy B1 5kWh @ 4.00
         sell S1 3kWh @ 3.00 fok
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            trade S1#2 B1#1 3kWh @ 4.00 maker buy
            buy 1x2kWh @ 4.00 | sell
        "#]],
    );
}

#[test]
fn fill_or_kill_needs_all_of_it_whatever_its_minimum() {
    check_continuous(
        "sell S1 2kWh @ 4.00
         buy B1 3kWh @ 4.00 fok minimum 1kWh
         buy B1 2kWh @ 4.00 fok all-or-none",
        &expect![[r#"
            accepted #1
            accepted #2
            cancelled #2 3kWh FillOrKill 102
            accepted #3
            trade S1#1 B1#3 2kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn an_immediate_order_may_ask_for_a_minimum() {
    check_continuous(
        "sell S1 1kWh @ 4.00
         sell S2 1kWh @ 4.10
         buy B1 5kWh @ 4.10 ioc minimum 2.01kWh
         buy B1 5kWh @ 4.10 ioc all-or-none
         buy B1 5kWh @ 4.10 ioc minimum 2kWh
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            cancelled #3 5kWh FillOrKill 103
            accepted #4
            cancelled #4 5kWh FillOrKill 104
            accepted #5
            trade S1#1 B1#5 1kWh @ 4.00 maker sell
            trade S2#2 B1#5 1kWh @ 4.10 maker sell
            cancelled #5 3kWh ImmediateOrCancel 105
            buy | sell
        "#]],
    );
}

#[test]
fn t66_a_market_order_takes_every_price_and_never_rests() {
    check_continuous(
        "sell S1 2kWh @ 4.00
         sell S2 1kWh @ 9.99
         buy B1 5kWh at market
         depth
         buy B2 2kWh @ -1.00
         sell S1 3kWh at market
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            trade S1#1 B1#3 2kWh @ 4.00 maker sell
            trade S2#2 B1#3 1kWh @ 9.99 maker sell
            cancelled #3 2kWh NoLiquidity 103
            buy | sell
            accepted #4
            accepted #5
            trade S1#5 B2#4 2kWh @ -1.00 maker buy
            cancelled #5 1kWh NoLiquidity 105
            buy | sell
        "#]],
    );
}

#[test]
fn what_is_left_of_a_market_order_has_no_liquidity_whatever_its_time_in_force() {
    check_continuous(
        "buy B1 1kWh at market
         buy B1 1kWh at market ioc
         buy B1 1kWh at market until-time gate
         buy B1 1kWh at market fok",
        &expect![[r#"
            accepted #1
            cancelled #1 1kWh NoLiquidity 101
            accepted #2
            cancelled #2 1kWh NoLiquidity 102
            accepted #3
            cancelled #3 1kWh NoLiquidity 103
            accepted #4
            cancelled #4 1kWh FillOrKill 104
        "#]],
    );
}

#[test]
fn a_market_order_with_a_need_that_is_not_met_is_killed() {
    check_continuous(
        "sell S1 2kWh @ 4.00
         buy B1 3kWh at market fok
         buy B1 3kWh at market all-or-none
         buy B1 5kWh at market minimum 3kWh
         buy B1 5kWh at market minimum 2kWh
         sell S1 2kWh @ 4.00
         buy B1 2kWh at market fok
         sell S1 2kWh @ 4.00
         buy B1 2kWh at market all-or-none",
        &expect![[r#"
            accepted #1
            accepted #2
            cancelled #2 3kWh FillOrKill 102
            accepted #3
            cancelled #3 3kWh FillOrKill 103
            accepted #4
            cancelled #4 5kWh FillOrKill 104
            accepted #5
            trade S1#1 B1#5 2kWh @ 4.00 maker sell
            cancelled #5 3kWh NoLiquidity 105
            accepted #6
            accepted #7
            trade S1#6 B1#7 2kWh @ 4.00 maker sell
            accepted #8
            accepted #9
            trade S1#8 B1#9 2kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn t47_immediate_orders_are_refused_in_a_call_and_market_orders_are_not() {
    check_call(
        "buy B1 1kWh @ 4.00 ioc
         buy B1 1kWh @ 4.00 fok
         buy B1 1kWh at market ioc
         buy B1 1kWh at market fok
         buy B1 1kWh at market
         buy B1 1kWh at market until-time gate
         depth",
        &expect![[r#"
            rejected New wrong_phase
            rejected New wrong_phase
            rejected New wrong_phase
            rejected New wrong_phase
            accepted #1
            accepted #2
            buy | sell
        "#]],
    );
}
