//! Orders that must not trade as they arrive.

use expect_test::expect;

use super::{check_call, check_continuous};

#[test]
fn t24_post_only_is_refused_at_the_best_price_and_rests_one_tick_away() {
    check_continuous(
        "sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00 post-only
         buy B1 1kWh @ 9.99 post-only
         buy B1 1kWh @ 3.99 post-only
         sell S2 1kWh @ 3.99 post-only
         sell S2 1kWh @ 4.00 post-only
         depth
         sell S3 1kWh @ 3.99
         depth",
        &expect![[r#"
            accepted #1
            rejected New post_only_would_trade
            rejected New post_only_would_trade
            accepted #2
            rejected New post_only_would_trade
            accepted #3
            buy 1x1kWh @ 3.99 | sell 2x2kWh @ 4.00
            accepted #4
            trade S3#4 B1#2 1kWh @ 3.99 maker buy
            buy | sell 2x2kWh @ 4.00
        "#]],
    );
}

#[test]
fn post_only_is_refused_by_whatever_rests_there() {
    check_continuous(
        "sell S1 5kWh @ 4.00 showing 1kWh
         buy B1 1kWh @ 4.00 post-only
         cancel #1
         sell S1 5kWh @ 4.00 all-or-none
         buy B1 1kWh @ 4.00 post-only
         cancel #2
         sell S1 5kWh @ 4.00 minimum 2kWh
         buy B1 1kWh @ 4.00 post-only
         cancel #3
         sell S1 5kWh @ 4.00 post-only
         buy B1 1kWh @ 4.00 post-only
         cancel #4
         sell B1 5kWh @ 4.00
         buy B1 1kWh @ 4.00 post-only
         cancel #5
         sell S1 5kWh @ 4.00 until-time gate
         buy B1 1kWh @ 4.00 post-only
         cancel #6
         buy B1 1kWh @ 4.00 post-only",
        &expect![[r#"
            accepted #1
            rejected New post_only_would_trade
            cancelled #1 5kWh Requested 103
            accepted #2
            rejected New post_only_would_trade
            cancelled #2 5kWh Requested 106
            accepted #3
            rejected New post_only_would_trade
            cancelled #3 5kWh Requested 109
            accepted #4
            rejected New post_only_would_trade
            cancelled #4 5kWh Requested 112
            accepted #5
            rejected New post_only_would_trade
            cancelled #5 5kWh Requested 115
            accepted #6
            rejected New post_only_would_trade
            cancelled #6 5kWh Requested 118
            accepted #7
        "#]],
    );
}

#[test]
fn post_only_does_not_see_what_is_outside_the_book() {
    check_continuous(
        "sell S1 1kWh @ 4.00
         hibernate #1
         sell S2 1kWh @ 4.00 in block 7 of 2
         buy B1 1kWh @ 4.00 post-only
         depth",
        &expect![[r#"
            accepted #1
            hibernated #1 1kWh
            accepted #2
            accepted #3
            buy 1x1kWh @ 4.00 | sell
        "#]],
    );
}

#[test]
fn post_only_goes_with_conditions_of_orders_that_rest() {
    check_continuous(
        "buy B1 2kWh @ 3.99 post-only all-or-none
         buy B1 2kWh @ 3.98 post-only minimum 1kWh
         buy B1 2kWh @ 3.97 post-only showing 1kWh
         buy B1 2kWh @ 3.96 post-only until-time gate
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            buy 1x2kWh @ 3.99 1x2kWh @ 3.98 1x1kWh @ 3.97 1x2kWh @ 3.96 | sell
        "#]],
    );
}

#[test]
fn post_only_means_nothing_in_a_call() {
    check_call(
        "sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00 post-only
         replace #2 B1 1kWh @ 4.10
         hibernate #2
         activate #2
         uncross",
        &expect![[r#"
            accepted #1
            accepted #2
            replaced #2 1kWh @ 4.10
            hibernated #2 1kWh
            activated #2 1kWh
            uncrossed 4.05 1kWh surplus 0 of 2
            trade S1#1 B1#2 1kWh @ 4.05
            continuous
        "#]],
    );
}

#[test]
fn a_replacement_of_post_only_must_not_trade_where_it_moves() {
    check_continuous(
        "buy B1 2kWh @ 3.90 post-only
         sell S1 1kWh @ 4.00
         replace #1 B1 2kWh @ 4.00
         replace #1 B1 2kWh @ 3.99
         sell S2 5kWh @ 3.99 all-or-none
         replace #1 B1 2.01kWh @ 3.99
         replace #1 B1 1kWh @ 3.99
         replace #1 B1 9kWh @ 3.98
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            rejected Replace post_only_would_trade
            replaced #1 2kWh @ 3.99
            accepted #3
            rejected Replace post_only_would_trade
            replaced #1 1kWh @ 3.99 in place
            replaced #1 9kWh @ 3.98
            buy 1x9kWh @ 3.98 | sell 1x5kWh @ 3.99 1x1kWh @ 4.00
        "#]],
    );
}

#[test]
fn a_refused_activation_of_post_only_leaves_it_asleep() {
    check_continuous(
        "buy B1 2kWh @ 4.00 post-only
         hibernate #1
         sell S1 1kWh @ 4.00
         activate #1
         depth
         cancel #2
         activate #1
         depth",
        &expect![[r#"
            accepted #1
            hibernated #1 2kWh
            accepted #2
            rejected Activate post_only_would_trade
            buy | sell 1x1kWh @ 4.00
            cancelled #2 1kWh Requested 105
            activated #1 2kWh
            buy 1x2kWh @ 4.00 | sell
        "#]],
    );
}
