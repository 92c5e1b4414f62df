//! Bounds of quantity, price, value, capacity, executions, time and room: at the bound and one
//! beyond it.

use expect_test::expect;

use super::{check_call, check_continuous, check_large, stage::Stage};
use crate::Limits;

#[test]
fn t07_quantities_are_whole_lots_up_to_the_largest() {
    check_continuous(
        "sell S1 0Wh @ 4.00
         sell S1 1Wh @ 4.00
         sell S1 9Wh @ 4.00
         sell S1 11Wh @ 4.00
         sell S1 10Wh @ 4.00
         sell S1 11999Wh @ 4.00
         sell S1 11990Wh @ 4.00
         sell S2 12000Wh @ 4.00
         sell S3 12001Wh @ 4.00
         sell S3 12010Wh @ 4.00
         sell S3 4294967290Wh @ 4.00
         sell S3 4294967295Wh @ 4.00
         sell S3 4294967296Wh @ 4.00
         sell S3 4294967300Wh @ 4.00
         sell S3 18446744073709551610Wh @ 4.00
         sell S3 18446744073709551615Wh @ 4.00",
        &expect![[r#"
            rejected New quantity_not_on_lot
            rejected New quantity_not_on_lot
            rejected New quantity_not_on_lot
            rejected New quantity_not_on_lot
            accepted #1
            rejected New quantity_not_on_lot
            accepted #2
            accepted #3
            rejected New quantity_not_on_lot
            rejected New quantity_above_maximum
            rejected New quantity_above_maximum
            rejected New quantity_not_on_lot
            rejected New quantity_not_on_lot
            rejected New quantity_above_maximum
            rejected New quantity_above_maximum
            rejected New quantity_not_on_lot
        "#]],
    );
}

#[test]
fn one_order_is_at_most_what_32_bits_hold_whatever_the_market_says() {
    check_large(
        "market 2 lot 1Wh largest 18446744073709551615Wh
         open of 2
         sell S8 0Wh @ 4.00 of 2
         sell S8 4294967296Wh @ 4.00 of 2
         sell S8 18446744073709551615Wh @ 4.00 of 2
         sell S8 4294967295Wh @ 4.00 of 2
         sell S8 1Wh @ 4.00 of 2
         replace #1 S8 4294967296Wh @ 4.00
         replace #1 S8 18446744073709551615Wh @ 4.00
         replace #1 S8 4294967294Wh @ 4.00
         sell S8 2Wh @ 4.00 of 2
         sell S8 1Wh @ 4.00 of 2
         buy B8 4294967295Wh @ 4.00 of 2
         uncross of 2",
        &expect![[r#"
            market 2 defined
            call
            rejected New quantity_not_on_lot
            rejected New quantity_above_maximum
            rejected New quantity_above_maximum
            accepted #1
            rejected New capacity_exceeded
            rejected Replace quantity_above_maximum
            rejected Replace quantity_above_maximum
            replaced #1 4294967.294kWh @ 4.00 in place
            rejected New capacity_exceeded
            accepted #2
            accepted #3
            uncrossed 4.00 4294967.295kWh surplus 0 of 1
            trade S8#1 B8#3 4294967.294kWh @ 4.00
            trade S8#2 B8#3 0.001kWh @ 4.00
            continuous
        "#]],
    );
}

#[test]
fn the_capacity_of_a_meter_counts_as_at_most_what_32_bits_hold() {
    check_large(
        "market 2 lot 1Wh largest 4294967295Wh minutes 1440
         open day of 2
         buy B8 4294967295Wh @ 4.00 day of 2
         buy B8 1Wh @ 4.00 day of 2
         buy B1 240001Wh @ 4.00 day of 2
         buy B1 240000Wh @ 4.00 day of 2",
        &expect![[r#"
            market 2 defined
            call
            accepted #1
            rejected New capacity_exceeded
            rejected New capacity_exceeded
            accepted #2
        "#]],
    );
}

#[test]
fn t09_prices_are_in_the_band_and_on_the_tick() {
    check_continuous(
        "buy B1 1kWh @ -1.01
         buy B1 1kWh @ -1.00
         buy B1 1kWh @ -0.995
         buy B1 1kWh @ -0.999999
         buy B1 1kWh @ 9.98
         sell S1 1kWh @ 9.99
         sell S1 1kWh @ 9.989999
         sell S1 1kWh @ 9.990001
         sell S1 1kWh @ 10.00
         sell S1 1kWh @ 9223372036854.775807
         sell S1 1kWh @ -9223372036854.775808
         replace #3 S1 1kWh @ 9223372036854.775807
         replace #3 S1 1kWh @ -9223372036854.775808",
        &expect![[r#"
            rejected New price_outside_band
            accepted #1
            rejected New price_not_on_tick
            rejected New price_not_on_tick
            accepted #2
            accepted #3
            rejected New price_not_on_tick
            rejected New price_outside_band
            rejected New price_outside_band
            rejected New price_outside_band
            rejected New price_outside_band
            rejected Replace price_outside_band
            rejected Replace price_outside_band
        "#]],
    );
}

#[test]
fn slots_in_the_past_and_far_ahead() {
    check_continuous(
        "sell S1 1kWh @ 4.00 slot -3
         sell S1 1kWh @ 4.00 slot -87600
         sell S1 1kWh @ 4.00 slot -483334
         sell S1 1kWh @ 4.00 slot 1
         sell S1 1kWh @ 4.00 slot 87600
         open slot -87600
         open slot 87600
         sell S1 1kWh @ 4.00 slot 87600
         uncross slot 87600
         freeze slot -3
         close slot 87601",
        &expect![[r#"
            rejected New slot_not_open
            rejected New gate_closed
            rejected New gate_closed
            rejected New slot_not_open
            rejected New slot_not_open
            refused gate_closed
            call
            rejected New slot_not_open
            uncrossed none 0kWh surplus 0 of 0
            continuous
            refused slot_not_open
            refused slot_not_open
        "#]],
    );
}

#[test]
fn t08_the_smallest_quantity_of_a_market() {
    check_continuous(
        "controls smallest 1.005kWh
         sell S1 1kWh @ 4.00
         sell S1 1.01kWh @ 4.00
         controls smallest 18446744073709551615Wh
         sell S1 12kWh @ 4.00
         reduce #1 1kWh
         controls
         sell S1 0.01kWh @ 4.00",
        &expect![[r#"
            controls set
            rejected New quantity_below_minimum
            accepted #1
            controls set
            rejected New quantity_below_minimum
            replaced #1 0.01kWh @ 4.00 in place
            controls set
            accepted #2
        "#]],
    );
}

#[test]
fn t10_the_largest_value_of_an_order() {
    check_continuous(
        "controls value 4.00
         sell S1 1kWh @ 4.00
         sell S1 1.01kWh @ 4.00
         sell S1 1kWh @ 4.01
         sell S1 0.99kWh @ 4.04
         sell S1 0.99kWh @ 4.05
         sell S2 12kWh @ 0.00
         buy B1 4kWh @ -1.00
         buy B1 4.01kWh @ -1.00
         replace #1 S1 1.01kWh @ 4.00
         replace #1 S1 1kWh @ 4.01
         replace #1 S1 0.5kWh @ 8.00",
        &expect![[r#"
            controls set
            accepted #1
            rejected New value_above_maximum
            rejected New value_above_maximum
            accepted #2
            rejected New value_above_maximum
            accepted #3
            accepted #4
            rejected New value_above_maximum
            rejected Replace value_above_maximum
            rejected Replace value_above_maximum
            replaced #1 0.5kWh @ 8.00
        "#]],
    );
}

#[test]
fn t11_the_value_of_a_market_order_is_at_the_edge_it_may_reach() {
    check_continuous(
        "controls value 9.99
         buy B1 1.01kWh at market
         buy B1 1kWh at market
         sell S1 10kWh at market
         sell S1 9.99kWh at market
         controls value 0.01
         sell S1 0.02kWh at market
         sell S1 0.01kWh at market
         sell S1 0.01kWh @ 1.01
         sell S1 0.01kWh @ 1.00",
        &expect![[r#"
            controls set
            rejected New value_above_maximum
            accepted #1
            cancelled #1 1kWh NoLiquidity 102
            rejected New value_above_maximum
            accepted #2
            cancelled #2 9.99kWh NoLiquidity 104
            controls set
            rejected New value_above_maximum
            accepted #3
            cancelled #3 0.01kWh NoLiquidity 106
            rejected New value_above_maximum
            accepted #4
        "#]],
    );
}

#[test]
fn capacity_of_both_sides_at_the_bound() {
    check_continuous(
        "buy B1 10.01kWh @ 1.00
         buy B1 10kWh @ 1.00
         buy B1 0.01kWh @ 1.00
         buy B1 0.01kWh at market
         buy B1 0.01kWh @ 1.00 fok
         sell B1 10kWh @ 9.00
         sell B1 10.01kWh @ 9.00
         sell B1 10kWh @ 9.00
         sell B1 0.01kWh @ 9.00
         open slot 1
         buy B1 10kWh @ 1.00 slot 1",
        &expect![[r#"
            rejected New capacity_exceeded
            accepted #1
            rejected New capacity_exceeded
            rejected New capacity_exceeded
            rejected New capacity_exceeded
            accepted #2
            rejected New capacity_exceeded
            accepted #3
            rejected New capacity_exceeded
            call
            accepted #4
        "#]],
    );
}

#[test]
fn t13_what_has_traded_stays_used_and_what_is_cancelled_does_not() {
    check_continuous(
        "sell S1 4kWh @ 1.00
         buy B1 10kWh @ 1.00 ioc
         buy B1 6.01kWh @ 1.00
         buy B1 6kWh @ 1.00
         replace #3 B1 6.01kWh @ 1.00
         replace #3 B1 5kWh @ 1.00
         replace #3 B1 6kWh @ 1.01
         reduce #3 1kWh
         buy B1 1.01kWh @ 1.00
         buy B1 1kWh @ 1.00",
        &expect![[r#"
            accepted #1
            accepted #2
            trade S1#1 B1#2 4kWh @ 1.00 maker sell
            cancelled #2 6kWh ImmediateOrCancel 102
            rejected New capacity_exceeded
            accepted #3
            rejected Replace capacity_exceeded
            replaced #3 5kWh @ 1.00 in place
            replaced #3 6kWh @ 1.01
            replaced #3 5kWh @ 1.01 in place
            rejected New capacity_exceeded
            accepted #4
        "#]],
    );
}

#[test]
fn t15_executions_are_counted_on_both_sides_and_per_slot() {
    check_continuous(
        "controls executions 2
         sell S1 1kWh @ 4.00
         sell S2 1kWh @ 4.00
         buy B1 2kWh @ 4.00
         buy B1 1kWh @ 4.00
         sell B1 1kWh @ 4.00
         sell S1 1kWh @ 4.00
         buy B2 1kWh @ 4.00
         sell S1 1kWh @ 4.00
         buy S1 1kWh @ 1.00
         open slot 1
         uncross slot 1
         sell S1 1kWh @ 4.00 slot 1
         buy B1 1kWh @ 4.00 slot 1",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            trade S1#1 B1#3 1kWh @ 4.00 maker sell
            trade S2#2 B1#3 1kWh @ 4.00 maker sell
            rejected New execution_limit_reached
            rejected New execution_limit_reached
            accepted #4
            accepted #5
            trade S1#4 B2#5 1kWh @ 4.00 maker sell
            rejected New execution_limit_reached
            rejected New execution_limit_reached
            call
            uncrossed none 0kWh surplus 0 of 0
            continuous
            accepted #6
            accepted #7
            trade S1#6 B1#7 1kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn one_order_may_trade_more_often_than_the_limit() {
    check_continuous(
        "controls executions 1
         sell S1 4kWh @ 4.00 showing 1kWh
         buy B1 3kWh @ 4.00
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         buy B2 1kWh @ 4.00",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            rejected New execution_limit_reached
            rejected New execution_limit_reached
            accepted #3
            trade S1#1 B2#3 1kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn executions_are_counted_while_the_market_says_so() {
    check_continuous(
        "sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         controls executions 1
         sell S1 1kWh @ 4.00
         controls
         buy B1 1kWh @ 4.00
         controls executions 1
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         sell S1 1kWh @ 4.00
         controls
         sell S1 1kWh @ 4.00
         controls executions 1
         buy B1 1kWh @ 4.00
         controls executions 2
         buy B1 1kWh @ 4.00
         controls executions 4294967295
         buy B1 1kWh @ 1.00",
        &expect![[r#"
            accepted #1
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            controls set
            accepted #3
            controls set
            accepted #4
            trade S1#3 B1#4 1kWh @ 4.00 maker sell
            controls set
            accepted #5
            accepted #6
            trade S1#5 B1#6 1kWh @ 4.00 maker sell
            rejected New execution_limit_reached
            controls set
            accepted #7
            controls set
            rejected New execution_limit_reached
            controls set
            accepted #8
            trade S1#7 B1#8 1kWh @ 4.00 maker sell
            controls set
            accepted #9
        "#]],
    );
}

#[test]
fn executions_of_an_auction_count() {
    check_call(
        "controls executions 2
         sell S1 2kWh @ 4.00
         buy B1 1kWh @ 4.00
         buy B2 1kWh @ 4.00
         uncross
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         buy B2 1kWh @ 4.00",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            uncrossed 4.00 2kWh surplus 0 of 1
            trade S1#1 B1#2 1kWh @ 4.00
            trade S1#1 B2#3 1kWh @ 4.00
            continuous
            rejected New execution_limit_reached
            accepted #4
            accepted #5
        "#]],
    );
}

#[test]
fn t14_room_in_a_slot_and_in_the_engine() {
    let one = |slot: u32| format!("sell S8 0.01kWh @ 4.00 slot {slot}\n");
    let script = format!(
        "open slot 1
         hibernate #99
         {first}
         hibernate #1
         sell S8 0.01kWh @ 4.00 in block 1 of 2
         sell S8 0.01kWh @ 4.00 in block 2 of 2
         sell S8 0.01kWh @ 4.00
         sell S8 0.01kWh @ 4.00 ioc
         {second}
         sell S8 0.01kWh @ 4.00 slot 1
         sell S8 0.01kWh @ 4.00 slot 2
         cancel #1
         sell S8 0.01kWh @ 4.00 ioc
         sell S8 0.01kWh @ 4.00 slot 1
         sell S8 0.01kWh @ 4.00",
        first = one(0).repeat(10),
        second = one(1).repeat(8),
    );
    check_continuous(
        &script,
        &expect![[r#"
            call
            rejected Hibernate unknown_order
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            accepted #5
            accepted #6
            accepted #7
            accepted #8
            accepted #9
            accepted #10
            hibernated #1 0.01kWh
            accepted #11
            accepted #12
            rejected New order_limit_reached
            rejected New order_limit_reached
            accepted #13
            accepted #14
            accepted #15
            accepted #16
            accepted #17
            accepted #18
            accepted #19
            accepted #20
            rejected New order_limit_reached
            rejected New slot_not_open
            cancelled #1 0.01kWh Requested 127
            accepted #21
            cancelled #21 0.01kWh ImmediateOrCancel 128
            accepted #22
            rejected New order_limit_reached
        "#]],
    );
}

/// A book holds only so many orders of the kinds that are tried again whenever something rests.
#[test]
fn a_slot_holds_a_hundred_orders_with_a_minimum_and_a_hundred_of_lists() {
    let large = Stage::large().limits;
    let limits = Limits { orders_max: 1_000, book_orders_max: 1_000, ..large };
    for (kind, other) in
        [("minimum 0.01kWh", "all-or-none"), ("in block N of 2", "in basket N of 2 fok")]
    {
        let mut stage = Stage::with_limits(limits);
        stage.perform("open\nuncross\nopen slot 1\nuncross slot 1");
        for number in 1..=100 {
            let line = format!("sell S8 0.01kWh @ 4.00 {kind}");
            stage.perform(&line.replace('N', &number.to_string()));
        }
        stage.out.clear();
        stage.perform(&format!("sell S8 0.01kWh @ 4.00 {kind}").replace('N', "101"));
        stage.perform(&format!("sell S8 0.01kWh @ 4.00 {other}").replace('N', "102"));
        stage.perform("sell S8 0.01kWh @ 4.00");
        stage.perform(&format!("sell S8 0.01kWh @ 4.00 slot 1 {kind}").replace('N', "103"));
        stage.perform("cancel #7");
        stage.perform(&format!("sell S8 0.01kWh @ 4.00 {other}").replace('N', "104"));
        expect![[r#"
            rejected New order_limit_reached
            rejected New order_limit_reached
            accepted #101
            accepted #102
            cancelled #7 0.01kWh Requested 205
            accepted #103
        "#]]
        .assert_eq(&stage.out);
    }
}
