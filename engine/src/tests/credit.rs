//! What a platform may owe in a market: reserved, owed, released.

use expect_test::expect;

use super::{check_call, check_continuous};

#[test]
fn t16_buys_above_zero_reserve_up_to_the_limit_exactly() {
    check_continuous(
        "show credit 2
         credit limit 2 40.00
         show credit 2
         show credit 1
         buy B1 9kWh @ 4.00
         buy B2 1.01kWh @ 4.00
         buy B2 1kWh @ 4.00
         buy B3 0.01kWh @ 0.01
         buy B3 1kWh @ 0.00
         buy B3 1kWh @ -0.50
         sell S1 20kWh @ 9.00
         sell S1 9kWh @ 9.00",
        &expect![[r#"
            none
            platform 2 may owe 40.00
            40.00
            none
            accepted #1
            rejected New credit_exceeded
            accepted #2
            rejected New credit_exceeded
            accepted #3
            accepted #4
            rejected New quantity_above_maximum
            accepted #5
        "#]],
    );
}

#[test]
fn t17_sells_below_zero_reserve_and_others_do_not() {
    check_continuous(
        "credit limit 1 2.00
         sell S1 4.01kWh @ -0.50
         sell S1 4kWh @ -0.50
         sell S2 0.01kWh @ -0.01
         sell S2 5kWh @ 0.00
         sell S3 5kWh @ 3.00",
        &expect![[r#"
            platform 1 may owe 2.00
            rejected New credit_exceeded
            accepted #1
            rejected New credit_exceeded
            accepted #2
            accepted #3
        "#]],
    );
}

#[test]
fn market_orders_reserve_at_the_edge_of_the_band() {
    check_continuous(
        "credit limit 2 9.99
         credit limit 1 1.00
         buy B1 1.01kWh at market
         buy B1 1kWh at market
         buy B1 1kWh @ 9.99
         sell S1 1.01kWh at market
         sell S1 1kWh at market
         sell S1 1kWh @ -1.00
         sell S2 0.01kWh @ -0.01",
        &expect![[r#"
            platform 2 may owe 9.99
            platform 1 may owe 1.00
            rejected New credit_exceeded
            accepted #1
            cancelled #1 1kWh NoLiquidity 102
            accepted #2
            rejected New credit_exceeded
            accepted #3
            trade S1#3 B1#2 1kWh @ 9.99 maker buy
            accepted #4
            rejected New credit_exceeded
        "#]],
    );
}

#[test]
fn t18_a_trade_owes_its_price_and_frees_the_rest_of_what_was_reserved() {
    check_continuous(
        "credit limit 2 10.00
         sell S1 1kWh @ 4.00
         buy B1 2kWh @ 5.00
         buy B2 1.01kWh @ 1.00
         buy B2 1kWh @ 1.00
         cancel #2
         buy B3 5.01kWh @ 1.00
         buy B3 5kWh @ 1.00
         release credit 2 4.01
         release credit 2 4.00
         buy B3 4.01kWh @ 1.00
         buy B3 4kWh @ 1.00",
        &expect![[r#"
            platform 2 may owe 10.00
            accepted #1
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            rejected New credit_exceeded
            accepted #3
            cancelled #2 1kWh Requested 105
            rejected New credit_exceeded
            accepted #4
            refused invalid_credit
            platform 2 owes 4.00 less
            rejected New credit_exceeded
            accepted #5
        "#]],
    );
}

#[test]
fn a_resting_order_owes_its_own_limit() {
    check_continuous(
        "credit limit 2 10.00
         buy B1 2kWh @ 5.00
         sell S1 2kWh @ 3.00
         buy B2 0.01kWh @ 0.01
         release credit 2 10.01
         release credit 2 0.01
         buy B2 1.01kWh @ 0.01
         buy B2 1kWh @ 0.01",
        &expect![[r#"
            platform 2 may owe 10.00
            accepted #1
            accepted #2
            trade S1#2 B1#1 2kWh @ 5.00 maker buy
            rejected New credit_exceeded
            refused invalid_credit
            platform 2 owes 0.01 less
            rejected New credit_exceeded
            accepted #3
        "#]],
    );
}

#[test]
fn at_negative_prices_the_seller_owes_and_the_buyer_does_not() {
    check_continuous(
        "credit limit 1 1.00
         credit limit 2 0.00
         buy B1 1kWh @ -0.40
         sell S1 1kWh @ -1.00
         sell S2 0.61kWh @ -1.00
         sell S2 0.6kWh @ -1.00
         release credit 1 0.41
         release credit 1 0.40
         release credit 2 0.01
         sell S3 0.4kWh @ -1.00
         buy B1 1kWh @ 0.00",
        &expect![[r#"
            platform 1 may owe 1.00
            platform 2 may owe 0.00
            accepted #1
            accepted #2
            trade S1#2 B1#1 1kWh @ -0.40 maker buy
            rejected New credit_exceeded
            accepted #3
            refused invalid_credit
            platform 1 owes 0.40 less
            refused invalid_credit
            accepted #4
            accepted #5
            trade S2#3 B1#5 0.6kWh @ -1.00 maker sell
            trade S3#4 B1#5 0.4kWh @ -1.00 maker sell
        "#]],
    );
}

#[test]
fn an_auction_owes_its_price() {
    check_call(
        "credit limit 2 10.00
         sell S1 2kWh @ 3.00
         buy B1 2kWh @ 5.00
         sell S2 5kWh @ 3.00
         buy B2 0.01kWh @ 0.01
         uncross
         release credit 2 6.01
         buy B2 4.01kWh @ 1.00
         buy B2 4kWh @ 1.00
         release credit 2 6.00",
        &expect![[r#"
            platform 2 may owe 10.00
            accepted #1
            accepted #2
            accepted #3
            rejected New credit_exceeded
            uncrossed 3.00 2kWh surplus -5000 of 2
            trade S1#1 B1#2 2kWh @ 3.00
            continuous
            refused invalid_credit
            rejected New credit_exceeded
            accepted #4
            platform 2 owes 6.00 less
        "#]],
    );
}

#[test]
fn every_way_out_of_a_book_releases() {
    check_continuous(
        "credit limit 2 10.00
         buy B1 2kWh @ 5.00 ioc
         buy B1 2kWh @ 5.00 fok
         buy B1 2kWh @ 5.00 until-time now+2
         pass time
         pass time
         sell B1 1kWh @ 5.00
         buy B1 2kWh @ 5.00
         cancel #4
         buy B1 2kWh @ 5.00 fok in basket 1 of 1
         buy B1 2kWh @ 5.00
         mass cancel everyone
         buy B1 2kWh @ 5.00
         kill platform 2
         resume platform 2
         buy B1 2kWh @ 5.00
         close
         open slot 1
         buy B1 2kWh @ 5.00 slot 1",
        &expect![[r#"
            platform 2 may owe 10.00
            accepted #1
            cancelled #1 2kWh ImmediateOrCancel 101
            accepted #2
            cancelled #2 2kWh FillOrKill 102
            accepted #3
            cancelled #3 2kWh Expired 103
            accepted #4
            accepted #5
            cancelled #5 2kWh SelfTrade 105
            cancelled #4 1kWh Requested 106
            accepted #6
            cancelled #6 2kWh FillOrKill 107
            accepted #7
            cancelled #7 2kWh MassCancel 108
            cancelled 1 of everyone for the operator
            accepted #8
            platform 2 killed
            cancelled #8 2kWh Killed 110
            cancelled 1 of platform 2 for the operator
            platform 2 active
            accepted #9
            cancelled #9 2kWh GateClosed 111
            closed
            call
            accepted #10
        "#]],
    );
}

#[test]
fn a_limit_below_what_is_in_use_stops_every_new_order() {
    check_continuous(
        "buy B1 4kWh @ 5.00
         credit limit 2 10.00
         buy B2 1kWh @ -0.50
         sell B2 1kWh @ 9.00
         replace #1 B1 4kWh @ 5.00
         replace #1 B1 5kWh @ 4.00
         replace #1 B1 4.01kWh @ 5.00
         replace #1 B1 4kWh @ 5.00
         sell S1 2kWh @ 3.00
         release credit 2 9.99
         buy B2 1kWh @ -0.50
         release credit 2 0.01
         buy B2 1kWh @ -0.50
         buy B2 0.01kWh @ 0.01",
        &expect![[r#"
            accepted #1
            platform 2 may owe 10.00
            rejected New credit_exceeded
            rejected New credit_exceeded
            replaced #1 4kWh @ 5.00 in place
            replaced #1 5kWh @ 4.00
            rejected Replace credit_exceeded
            replaced #1 4kWh @ 5.00
            accepted #2
            trade S1#2 B1#1 2kWh @ 5.00 maker buy
            platform 2 owes 9.99 less
            rejected New credit_exceeded
            platform 2 owes 0.01 less
            accepted #3
            rejected New credit_exceeded
        "#]],
    );
}

#[test]
fn parts_of_a_minor_unit_count() {
    check_continuous(
        "credit limit 2 0.00
         buy B1 0.01kWh @ 0.01
         credit limit 2 0.01
         buy B1 1.01kWh @ 0.01
         buy B1 0.99kWh @ 0.01
         buy B2 0.01kWh @ 0.01
         buy B3 0.01kWh @ 0.01",
        &expect![[r#"
            platform 2 may owe 0.00
            rejected New credit_exceeded
            platform 2 may owe 0.01
            rejected New credit_exceeded
            accepted #1
            accepted #2
            rejected New credit_exceeded
        "#]],
    );
}

#[test]
fn each_market_has_its_own_account() {
    check_continuous(
        "market 2
         open of 2
         credit limit 2 4.00
         buy B1 1kWh @ 4.00
         buy B1 10kWh @ 4.00 of 2
         credit limit 2 39.99 of 2
         buy B2 0.01kWh @ 0.01 of 2
         credit limit 2 40.01 of 2
         buy B2 1kWh @ 0.01 of 2
         buy B2 0.01kWh @ 0.01
         show credit 2
         show credit 2 of 2",
        &expect![[r#"
            market 2 defined
            call
            platform 2 may owe 4.00
            accepted #1
            accepted #2
            platform 2 may owe 39.99
            rejected New credit_exceeded
            platform 2 may owe 40.01
            accepted #3
            rejected New credit_exceeded
            4.00
            40.01
        "#]],
    );
}

#[test]
fn limits_and_releases_that_are_refused() {
    check_continuous(
        "credit limit 9 1.00
         credit limit 1 1.00 of 9
         credit limit 1 -0.01
         credit limit 1 0.00
         credit limit 1 92233720368547758.07
         release credit 9 1.00
         release credit 1 1.00 of 9
         release credit 1 -0.01
         release credit 1 0.01
         release credit 1 92233720368547758.07
         release credit 1 0.00
         sell S1 12kWh @ -1.00",
        &expect![[r#"
            refused unknown_party
            refused unknown_market
            refused invalid_credit
            platform 1 may owe 0.00
            platform 1 may owe 92233720368547758.07
            refused unknown_party
            refused unknown_market
            refused invalid_credit
            refused invalid_credit
            refused invalid_credit
            platform 1 owes 0.00 less
            accepted #1
        "#]],
    );
}
