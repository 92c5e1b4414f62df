//! The dynamic band: how far from the last price an order may trade, and what happens beyond it.

use expect_test::expect;

use super::{check_call, check_continuous};

/// With a band of 0.10, and a last price of 4.00 that the orders 1 and 2 made.
fn at_four(script: &str) -> String {
    format!(
        "controls band 0.10
         sell S8 1kWh @ 4.00
         buy B8 1kWh @ 4.00
         {script}"
    )
}

#[test]
fn before_a_last_price_there_is_no_band() {
    check_continuous(
        "controls band 0.10
         sell S1 1kWh @ 1.00
         sell S1 1kWh @ 9.00
         buy B1 2kWh @ 9.99
         show price",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            trade S1#1 B1#3 1kWh @ 1.00 maker sell
            trade S1#2 B1#3 1kWh @ 9.00 maker sell
            9.00
        "#]],
    );
}

#[test]
fn t61_at_the_band_exactly_upwards_there_is_a_trade_and_one_tick_beyond_a_call() {
    check_continuous(
        &at_four(
            "sell S1 1kWh @ 4.10
             buy B1 1kWh @ 4.10
             sell S1 1kWh @ 4.21
             buy B1 1kWh @ 4.21
             depth
             show phase
             uncross
             show price",
        ),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S8#1 B8#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            trade S1#3 B1#4 1kWh @ 4.10 maker sell
            accepted #5
            accepted #6
            call
            buy 1x1kWh @ 4.21 | sell 1x1kWh @ 4.21
            call
            uncrossed 4.21 1kWh surplus 0 of 1 clamped
            trade S1#5 B1#6 1kWh @ 4.21
            continuous
            4.21
        "#]],
    );
}

#[test]
fn at_the_band_exactly_downwards_there_is_a_trade_and_one_tick_beyond_a_call() {
    check_continuous(
        &at_four(
            "buy B1 1kWh @ 3.90
             sell S1 1kWh @ 3.90
             buy B1 1kWh @ 3.79
             sell S1 1kWh @ 3.79
             show phase",
        ),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S8#1 B8#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            trade S1#4 B1#3 1kWh @ 3.90 maker buy
            accepted #5
            accepted #6
            call
            call
        "#]],
    );
}

#[test]
fn a_price_too_good_is_beyond_the_band_as_well() {
    check_continuous(
        &at_four(
            "sell S1 1kWh @ 3.89
             sell S2 1kWh @ 4.00
             buy B1 1kWh @ 4.00
             depth",
        ),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S8#1 B8#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            accepted #5
            call
            buy 1x1kWh @ 4.00 | sell 1x1kWh @ 3.89 1x1kWh @ 4.00
        "#]],
    );
}

#[test]
fn the_band_is_around_the_last_price_before_the_order() {
    check_continuous(
        &at_four(
            "sell S1 1kWh @ 4.05
             sell S2 1kWh @ 4.10
             sell S3 1kWh @ 4.11
             buy B1 3kWh @ 4.20
             depth",
        ),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S8#1 B8#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            accepted #5
            accepted #6
            trade S1#3 B1#6 1kWh @ 4.05 maker sell
            trade S2#4 B1#6 1kWh @ 4.10 maker sell
            call
            buy 1x1kWh @ 4.20 | sell 1x1kWh @ 4.11
        "#]],
    );
}

#[test]
fn an_order_that_wants_no_more_than_the_band_has_rests_as_ever() {
    check_continuous(
        &at_four(
            "sell S1 1kWh @ 4.10
             sell S2 1kWh @ 4.11
             buy B1 1kWh @ 4.20
             cancel #3
             sell S1 1kWh @ 4.20
             buy B1 1kWh @ 4.10
             show phase
             depth",
        ),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S8#1 B8#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            accepted #5
            trade S1#3 B1#5 1kWh @ 4.10 maker sell
            rejected Cancel unknown_order
            accepted #6
            accepted #7
            continuous
            buy 1x1kWh @ 4.10 | sell 1x1kWh @ 4.11 1x1kWh @ 4.20
        "#]],
    );
}

#[test]
fn what_is_left_of_an_immediate_order_is_cancelled_before_the_call() {
    check_continuous(
        &at_four(
            "sell S1 1kWh @ 4.05
             sell S2 1kWh @ 4.20
             buy B1 2kWh @ 4.20 ioc
             depth
             buy B1 2kWh @ 4.20 ioc",
        ),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S8#1 B8#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            accepted #5
            trade S1#3 B1#5 1kWh @ 4.05 maker sell
            cancelled #5 1kWh ImmediateOrCancel 105
            call
            buy | sell 1x1kWh @ 4.20
            rejected New wrong_phase
        "#]],
    );
}

#[test]
fn what_is_left_of_a_market_order_is_cancelled_before_the_call() {
    check_continuous(
        &at_four(
            "buy B1 1kWh @ 3.80
             sell S1 2kWh at market
             depth",
        ),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S8#1 B8#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            cancelled #4 2kWh NoLiquidity 104
            call
            buy 1x1kWh @ 3.80 | sell
        "#]],
    );
}

#[test]
fn counting_stops_at_the_band_and_interrupts_nothing() {
    check_continuous(
        &at_four(
            "sell S1 1kWh @ 4.10
             sell S2 1kWh @ 4.11
             buy B1 2kWh @ 4.20 fok
             buy B1 2kWh at market fok
             buy B1 2kWh @ 4.20 ioc minimum 1.01kWh
             buy B1 2kWh @ 4.20 all-or-none
             show phase
             depth
             buy B2 1kWh @ 4.20 fok
             show phase",
        ),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S8#1 B8#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            accepted #5
            cancelled #5 2kWh FillOrKill 105
            accepted #6
            cancelled #6 2kWh FillOrKill 106
            accepted #7
            cancelled #7 2kWh FillOrKill 107
            accepted #8
            continuous
            buy 1x2kWh @ 4.20 | sell 1x1kWh @ 4.10 1x1kWh @ 4.11
            accepted #9
            trade S1#3 B2#9 1kWh @ 4.10 maker sell
            continuous
        "#]],
    );
}

#[test]
fn an_order_whose_minimum_is_within_the_band_trades_and_interrupts() {
    check_continuous(
        &at_four(
            "sell S1 1kWh @ 4.10
             sell S2 1kWh @ 4.11
             buy B1 3kWh @ 4.20 minimum 1kWh
             depth",
        ),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S8#1 B8#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            accepted #5
            trade S1#3 B1#5 1kWh @ 4.10 maker sell
            call
            buy 1x2kWh @ 4.20 | sell 1x1kWh @ 4.11
        "#]],
    );
}

#[test]
fn an_order_tried_again_stops_at_the_band_and_interrupts_nothing() {
    check_continuous(
        &at_four(
            "sell S1 3kWh @ 4.00 all-or-none
             buy B1 2kWh @ 4.20
             buy B2 2kWh @ 4.10
             show phase
             depth
             cancel #4
             buy B3 1kWh @ 4.05
             depth",
        ),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S8#1 B8#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            accepted #5
            continuous
            buy 1x2kWh @ 4.20 1x2kWh @ 4.10 | sell 1x3kWh @ 4.00
            cancelled #4 2kWh Requested 106
            accepted #6
            trade S1#3 B2#5 2kWh @ 4.10 maker buy
            trade S1#3 B3#6 1kWh @ 4.05 maker buy
            buy | sell
        "#]],
    );
}

#[test]
fn what_rests_after_an_interruption_wakes_nobody() {
    check_continuous(
        &at_four(
            "sell S1 3kWh @ 4.05 all-or-none
             buy B1 1kWh @ 4.05
             sell S2 1kWh @ 4.15
             buy B2 2kWh @ 4.15
             depth
             uncross
             depth",
        ),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S8#1 B8#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            accepted #5
            accepted #6
            call
            buy 1x2kWh @ 4.15 1x1kWh @ 4.05 | sell 1x3kWh @ 4.05 1x1kWh @ 4.15
            uncrossed 4.15 1kWh surplus 1000 of 1
            trade S2#5 B2#6 1kWh @ 4.15
            continuous
            buy 1x1kWh @ 4.15 1x1kWh @ 4.05 | sell 1x3kWh @ 4.05
        "#]],
    );
}

#[test]
fn the_price_of_an_auction_is_a_last_price() {
    check_call(
        "controls band 0.10
         sell S1 1kWh @ 5.00
         buy B1 1kWh @ 5.00
         uncross
         show price
         sell S1 1kWh @ 5.11
         buy B1 1kWh @ 5.11
         uncross",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            uncrossed 5.00 1kWh surplus 0 of 1
            trade S1#1 B1#2 1kWh @ 5.00
            continuous
            5.00
            accepted #3
            accepted #4
            call
            uncrossed 5.11 1kWh surplus 0 of 1 clamped
            trade S1#3 B1#4 1kWh @ 5.11
            continuous
        "#]],
    );
}

#[test]
fn a_replacement_and_an_activation_interrupt_as_a_new_order_does() {
    check_continuous(
        &at_four(
            "sell S1 1kWh @ 4.15
             buy B1 1kWh @ 4.00
             replace #4 B1 1kWh @ 4.15
             uncross",
        ),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S8#1 B8#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            replaced #4 1kWh @ 4.15
            call
            uncrossed 4.15 1kWh surplus 0 of 1 clamped
            trade S1#3 B1#4 1kWh @ 4.15
            continuous
        "#]],
    );
    check_continuous(
        &at_four(
            "buy B1 1kWh @ 4.20
             hibernate #3
             sell S1 1kWh @ 4.15
             activate #3
             depth",
        ),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S8#1 B8#2 1kWh @ 4.00 maker sell
            accepted #3
            hibernated #3 1kWh
            accepted #4
            activated #3 1kWh
            call
            buy 1x1kWh @ 4.20 | sell 1x1kWh @ 4.15
        "#]],
    );
}

#[test]
fn trades_far_from_the_last_price_are_as_ever_once_the_band_is_off() {
    check_continuous(
        &at_four(
            "controls
             sell S1 1kWh @ 9.00
             buy B1 1kWh @ 9.00",
        ),
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S8#1 B8#2 1kWh @ 4.00 maker sell
            controls set
            accepted #3
            accepted #4
            trade S1#3 B1#4 1kWh @ 9.00 maker sell
        "#]],
    );
}

#[test]
fn a_band_wider_than_all_prices_reaches_all_of_them() {
    check_continuous(
        "controls band 9223372036854.775807
         sell S1 1kWh @ -1.00
         buy B1 1kWh @ -1.00
         sell S1 1kWh @ 9.99
         buy B1 1kWh @ 9.99
         show phase",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S1#1 B1#2 1kWh @ -1.00 maker sell
            accepted #3
            accepted #4
            trade S1#3 B1#4 1kWh @ 9.99 maker sell
            continuous
        "#]],
    );
}

#[test]
fn a_band_that_is_not_whole_ticks_reaches_the_last_tick_inside() {
    check_continuous(
        "controls band 0.015
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         sell S1 1kWh @ 4.02
         sell S1 1kWh @ 4.01
         buy B1 2kWh @ 4.02",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            accepted #5
            trade S1#4 B1#5 1kWh @ 4.01 maker sell
            call
        "#]],
    );
}
