//! Every reject reason the engine gives: at the bound and one beyond it.

use expect_test::expect;

use super::check;

#[test]
fn t02_an_order_is_of_a_registered_meter_and_its_platform() {
    check(
        "open
         sell S5 1kWh @ 4.00
         sell S1 1kWh @ 4.00 by 2
         at opening+2000000
         sell S1 1kWh @ 4.00 until opening+2000000
         sell S1 1kWh @ 4.00 until opening+2000000
         cancel #1 by 2
         replace #1 S5 1kWh @ 4.00
         replace #1 B1 1kWh @ 4.00
         replace #1 S2 1kWh @ 4.00
         replace #1 S1 1kWh @ 4.00 by 2
         replace #1 S1 1kWh @ 4.00 until opening
         depth",
        &expect![[r#"
            call
            rejected New unknown_meter
            rejected New not_authorised
            accepted #1
            rejected New signature_expired
            rejected Cancel not_authorised
            rejected Replace unknown_meter
            rejected Replace not_authorised
            rejected Replace not_authorised
            rejected Replace not_authorised
            rejected Replace signature_expired
            buy | sell 1x1kWh @ 4.00
        "#]],
    );
}

#[test]
fn t04_a_signature_counts_through_its_last_instant() {
    check(
        "open
         at opening+2000000
         sell S1 1kWh @ 4.00 until opening+2000000
         sell S2 1kWh @ 4.00 until opening+2000000",
        &expect![[r#"
            call
            accepted #1
            rejected New signature_expired
        "#]],
    );
}

#[test]
fn t42_an_order_is_for_a_slot_that_fits_its_market() {
    check(
        "sell S1 1kWh @ 4.00
         open of 9
         open misaligned
         open short
         uncross
         uncross of 9
         close
         close misaligned
         open
         open
         sell S1 1kWh @ 4.00 of 9
         sell S1 1kWh @ 4.00 misaligned
         sell S1 1kWh @ 4.00 short
         sell S1 1kWh @ 4.00 slot 1
         sell S1 1kWh @ 4.00 ioc
         uncross
         uncross
         sell S1 1kWh @ 4.00 ioc
         open slot 1
         open slot 2",
        &expect![[r#"
            rejected New slot_not_open
            refused unknown_market
            refused slot_misaligned
            refused slot_misaligned
            refused slot_not_open
            refused unknown_market
            refused slot_not_open
            refused slot_misaligned
            call
            refused already_registered
            rejected New unknown_market
            rejected New slot_misaligned
            rejected New slot_misaligned
            rejected New slot_not_open
            rejected New wrong_phase
            uncrossed none 0kWh surplus 0 of 0
            continuous
            refused wrong_phase
            accepted #1
            cancelled #1 1kWh ImmediateOrCancel 107
            call
            refused registry_full
        "#]],
    );
}

#[test]
fn t43_orders_are_taken_from_the_opening_through_the_gates_last_instant() {
    check(
        "open
         open slot 1
         sell S1 1kWh @ 4.00 slot 1
         at opening+3599999999999
         sell S1 1kWh @ 4.00 slot 1
         at opening+3600000000000
         sell S1 1kWh @ 4.00 slot 1
         sell S2 1kWh @ 4.00
         sell S3 1kWh @ 4.00
         at gate
         sell S1 1kWh @ 4.00
         at gate+1
         sell S1 1kWh @ 4.01
         cancel #2
         replace #2 S2 1kWh @ 4.01
         uncross
         close
         cancel #2
         close
         open
         sell S1 1kWh @ 4.00",
        &expect![[r#"
            call
            call
            rejected New slot_not_open
            rejected New slot_not_open
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            rejected New gate_closed
            rejected Cancel gate_closed
            rejected Replace gate_closed
            refused gate_closed
            cancelled #2 1kWh GateClosed 104
            cancelled #3 1kWh GateClosed 105
            cancelled #4 1kWh GateClosed 106
            closed
            rejected Cancel gate_closed
            refused wrong_phase
            refused gate_closed
            rejected New gate_closed
        "#]],
    );
}

#[test]
fn t44_gates_close_by_time_even_for_slots_never_opened() {
    check(
        "at gate
         sell S1 1kWh @ 4.00
         at gate+1
         sell S1 1kWh @ 4.00
         open",
        &expect![[r#"
            rejected New slot_not_open
            rejected New gate_closed
            refused gate_closed
        "#]],
    );
}

#[test]
fn quantities_and_prices() {
    check(
        "open
         sell S1 0kWh @ 4.00
         sell S1 0.005kWh @ 4.00
         sell S1 0.01kWh @ 4.00
         sell S1 12kWh @ 4.00
         sell S1 12.01kWh @ 4.00
         sell S1 1kWh @ -1.01
         sell S1 1kWh @ -1.00
         sell S1 1kWh @ 9.99
         sell S1 1kWh @ 10.00
         sell S1 1kWh @ 4.001
         replace #1 S1 0.005kWh @ 4.00
         replace #1 S1 12.01kWh @ 4.00
         replace #1 S1 1kWh @ 10.00
         replace #1 S1 1kWh @ 4.001
         depth",
        &expect![[r#"
            call
            rejected New quantity_not_on_lot
            rejected New quantity_not_on_lot
            accepted #1
            accepted #2
            rejected New quantity_above_maximum
            rejected New price_outside_band
            accepted #3
            accepted #4
            rejected New price_outside_band
            rejected New price_not_on_tick
            rejected Replace quantity_not_on_lot
            rejected Replace quantity_above_maximum
            rejected Replace price_outside_band
            rejected Replace price_not_on_tick
            buy | sell 1x1kWh @ -1.00 2x12.01kWh @ 4.00 1x1kWh @ 9.99
        "#]],
    );
}

#[test]
fn orders_that_are_gone() {
    check(
        "open
         uncross
         cancel #1
         replace #1 S1 1kWh @ 4.00
         cancel #0
         cancel #18446744073709551615
         cancel #4294967297
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         cancel #1
         cancel #2 by 2
         replace #1 S1 1kWh @ 4.00",
        &expect![[r#"
            call
            uncrossed none 0kWh surplus 0 of 0
            continuous
            rejected Cancel unknown_order
            rejected Replace unknown_order
            rejected Cancel unknown_order
            rejected Cancel unknown_order
            rejected Cancel unknown_order
            accepted #1
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            rejected Cancel unknown_order
            rejected Cancel unknown_order
            rejected Replace unknown_order
        "#]],
    );
}

#[test]
fn t06_numbers_of_a_platform_are_used_once() {
    check(
        "open
         sell S1 1kWh @ 4.00 as 1
         sell S1 1kWh @ 4.01 as 1
         sell S1 2kWh @ 4.00 as 1
         sell S2 1kWh @ 4.00 as 1
         sell S1 1kWh @ 4.00 as 1 until gate
         buy S1 1kWh @ 4.00 as 1
         sell S1 1kWh @ 4.00 as 1 slot 1
         sell S1 1kWh @ 14.00 as 1
         buy B1 1kWh @ 4.00 as 1
         sell S1 1kWh @ 4.001 as 2
         sell S1 1kWh @ 4.00 as 2",
        &expect![[r#"
            call
            accepted #1
            rejected New duplicate_client_order
            rejected New duplicate_client_order
            rejected New duplicate_client_order
            rejected New duplicate_client_order
            rejected New duplicate_client_order
            rejected New slot_not_open
            rejected New price_outside_band
            accepted #2
            rejected New price_not_on_tick
            accepted #3
        "#]],
    );
}

#[test]
fn t12_capacity_counts_open_orders_and_trades_of_one_side() {
    check(
        "open
         uncross
         buy B1 6kWh @ 4.00
         sell S1 6kWh @ 4.00
         buy B1 4.01kWh @ 4.00
         buy B1 3kWh @ 4.00
         replace #3 B1 4.01kWh @ 4.00
         replace #3 B1 4kWh @ 4.00
         sell B1 12kWh @ 5.00
         sell B1 8.01kWh @ 5.00
         sell B1 8kWh @ 5.00
         buy B1 0.01kWh @ 1.00 ioc
         cancel #3 by 2
         buy B1 4kWh @ 1.00 ioc
         buy B1 4kWh @ 1.00",
        &expect![[r#"
            call
            uncrossed none 0kWh surplus 0 of 0
            continuous
            accepted #1
            accepted #2
            trade S1#2 B1#1 6kWh @ 4.00 maker buy
            rejected New capacity_exceeded
            accepted #3
            rejected Replace capacity_exceeded
            replaced #3 4kWh @ 4.00
            accepted #4
            rejected New capacity_exceeded
            accepted #5
            rejected New capacity_exceeded
            cancelled #3 4kWh Requested 111
            accepted #6
            cancelled #6 4kWh ImmediateOrCancel 112
            accepted #7
        "#]],
    );
}

#[test]
fn both_sides_of_a_call() {
    check(
        "open
         sell S1 1kWh @ 4.00
         buy S1 1kWh @ 1.00
         cancel #1
         buy S1 1kWh @ 1.00
         sell S1 1kWh @ 4.00
         uncross
         sell S1 1kWh @ 4.00",
        &expect![[r#"
            call
            accepted #1
            rejected New self_trade
            cancelled #1 1kWh Requested 103
            accepted #2
            rejected New self_trade
            uncrossed none 0kWh surplus 0 of 0
            continuous
            accepted #3
        "#]],
    );
}

#[test]
fn the_limit_of_open_orders() {
    check(
        "open
         uncross
         sell S1 1kWh @ 4.00
         sell S1 1kWh @ 4.00
         sell S1 1kWh @ 4.00
         sell S1 1kWh @ 4.00
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00 ioc
         cancel #3
         buy B1 1kWh @ 4.00 ioc
         replace #1 S1 2kWh @ 4.00",
        &expect![[r#"
            call
            uncrossed none 0kWh surplus 0 of 0
            continuous
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            accepted #5
            rejected New order_limit_reached
            cancelled #3 1kWh Requested 107
            accepted #6
            trade S1#1 B1#6 1kWh @ 4.00 maker sell
            rejected Replace unknown_order
        "#]],
    );
}

#[test]
fn registrations() {
    check(
        "market 1
         market 1 tick 5000
         market 2 tick 0
         market 2 tick 3000
         market 2
         market 3
         party platform 1
         party platform 1 key 1
         party platform 3
         party settlement 1
         party settlement 1
         party settlement 2
         meter 6
         meter 6 key 1
         meter 8
         meter 0
         meter 7 utility 9
         meter 7
         meter 8
         meter 9",
        &expect![[r#"
            market 1 defined
            refused already_registered
            refused invalid_market
            refused invalid_market
            market 2 defined
            refused registry_full
            platform/1 registered
            refused already_registered
            platform/3 registered
            settlement/1 registered
            settlement/1 registered
            refused registry_full
            meter 6 registered
            refused already_registered
            refused meter_not_next
            refused meter_not_next
            refused unknown_party
            meter 7 registered
            refused registry_full
            refused meter_not_next
        "#]],
    );
}

#[test]
fn t26_a_platform_is_told_where_its_own_orders_stand() {
    check(
        "open
         uncross
         sell S1 2kWh @ 4.00 as 7
         validate sell S1 2kWh @ 4.00 as 7
         validate sell S1 3kWh @ 4.00 as 7
         validate buy B1 1kWh @ 4.00 as 8
         validate buy B1 1kWh @ 4.00 as 8
         buy B1 1kWh @ 4.00 as 8
         ask #1
         ask #2
         ask #3
         ask #1 by 2
         ask #0 as 7
         ask #0 as 7 by 2
         ask #0 as 9
         cancel #1
         close
         ask #1
         validate sell S1 2kWh @ 4.00 as 9",
        &expect![[r#"
            call
            uncrossed none 0kWh surplus 0 of 0
            continuous
            accepted #1
            restated #1 filled 0kWh leaves 2kWh
            rejected Validate duplicate_client_order
            validated 8
            validated 8
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            restated #1 filled 1kWh leaves 1kWh
            restated #2 filled 1kWh leaves 0kWh
            rejected Ask unknown_order
            rejected Ask not_authorised
            restated #1 filled 1kWh leaves 1kWh
            rejected Ask unknown_order
            rejected Ask unknown_order
            cancelled #1 1kWh Requested 114
            closed
            restated #1 filled 1kWh leaves 0kWh
            rejected Validate gate_closed
        "#]],
    );
}
