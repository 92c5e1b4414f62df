//! Who takes part in an auction, who fills, and what happens to the rest.

use expect_test::expect;

use super::check_call;

#[test]
fn t56_market_orders_stand_before_every_limit() {
    check_call(
        "buy B1 2kWh @ 9.99
         buy B2 2kWh at market
         sell S1 3kWh @ 4.00
         depth
         indicative
         uncross
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            buy 1x2kWh @ 9.99 | sell 1x3kWh @ 4.00
            indicative 9.99 3kWh surplus 1000
            uncrossed 9.99 3kWh surplus 1000 of 2
            trade S1#3 B2#2 2kWh @ 9.99
            trade S1#3 B1#1 1kWh @ 9.99
            continuous
            buy 1x1kWh @ 9.99 | sell
        "#]],
    );
}

#[test]
fn t58_market_orders_left_of_a_call_are_cancelled_by_number() {
    check_call(
        "buy B1 2kWh at market as 51
         sell S1 1kWh at market as 52
         sell S2 1kWh @ 4.00
         buy B2 5kWh at market as 54
         buy B3 1kWh at market all-or-none as 55
         uncross
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            accepted #5
            uncrossed 9.99 2kWh surplus 5000 of 2
            trade S1#2 B1#1 1kWh @ 9.99
            trade S2#3 B1#1 1kWh @ 9.99
            cancelled #4 5kWh NoLiquidity 54
            cancelled #5 1kWh NoLiquidity 55
            continuous
            buy | sell
        "#]],
    );
}

#[test]
fn t57_market_orders_alone_trade_at_the_reference() {
    check_call(
        "buy B1 2kWh at market
         sell S1 1kWh at market
         uncross
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         open slot 1
         buy B1 2kWh at market slot 1
         sell S1 1kWh at market slot 1
         uncross slot 1",
        &expect![[r#"
            accepted #1
            accepted #2
            uncrossed none 0kWh surplus 0 of 0
            cancelled #1 2kWh NoLiquidity 101
            cancelled #2 1kWh NoLiquidity 102
            continuous
            accepted #3
            accepted #4
            trade S1#3 B1#4 1kWh @ 4.00 maker sell
            call
            accepted #5
            accepted #6
            uncrossed none 0kWh surplus 0 of 0
            cancelled #5 2kWh NoLiquidity 105
            cancelled #6 1kWh NoLiquidity 106
            continuous
        "#]],
    );
    check_call(
        "sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         uncross
         open slot 1
         buy B1 2kWh at market slot 1
         sell S1 1kWh at market slot 1
         indicative slot 1
         uncross slot 1
         show price slot 1",
        &expect![[r#"
            accepted #1
            accepted #2
            uncrossed 4.00 1kWh surplus 0 of 1
            trade S1#1 B1#2 1kWh @ 4.00
            continuous
            call
            accepted #3
            accepted #4
            indicative 4.00 1kWh surplus 1000
            uncrossed 4.00 1kWh surplus 1000 of 0
            trade S1#4 B1#3 1kWh @ 4.00
            cancelled #3 1kWh NoLiquidity 103
            continuous
            4.00
        "#]],
    );
}

#[test]
fn a_market_order_in_a_call_can_be_reduced_and_cancelled() {
    check_call(
        "buy B1 2kWh at market
         reduce #1 1kWh
         replace #1 B1 1kWh @ 4.00
         buy B2 2kWh at market until-time now+1s
         cancel #1
         at now+2s
         pass time",
        &expect![[r#"
            accepted #1
            replaced #1 1kWh @ 0.00 in place
            rejected Replace invalid_conditions
            accepted #2
            cancelled #1 1kWh Requested 105
            cancelled #2 2kWh Expired 104
        "#]],
    );
}

#[test]
fn t71_orders_with_a_need_take_no_part_in_an_auction_and_are_tried_after_it() {
    check_call(
        "sell S1 5kWh @ 3.00 all-or-none
         sell S2 1kWh @ 4.00
         sell S3 2kWh @ 1.00 minimum 0.01kWh
         buy B1 1kWh @ 5.00
         buy B2 5kWh @ 3.50
         indicative
         depth
         uncross
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            accepted #5
            indicative 4.50 1kWh surplus 0
            buy 1x1kWh @ 5.00 1x5kWh @ 3.50 | sell 1x2kWh @ 1.00 1x5kWh @ 3.00 1x1kWh @ 4.00
            uncrossed 4.50 1kWh surplus 0 of 2
            trade S2#2 B1#4 1kWh @ 4.50
            continuous
            trade S3#3 B2#5 2kWh @ 3.50 maker buy
            buy 1x3kWh @ 3.50 | sell 1x5kWh @ 3.00
        "#]],
    );
}

#[test]
fn after_an_auction_buys_are_tried_before_sells() {
    check_call(
        "sell S1 3kWh @ 3.00 all-or-none
         buy B1 3kWh @ 5.00 all-or-none
         sell S2 2kWh @ 4.00 all-or-none
         buy B2 1kWh @ 4.40
         buy B3 1kWh @ 4.30
         uncross
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            accepted #5
            uncrossed none 0kWh surplus 0 of 0
            continuous
            trade S1#1 B1#2 3kWh @ 3.00 maker sell
            trade S2#3 B2#4 1kWh @ 4.40 maker buy
            trade S2#3 B3#5 1kWh @ 4.30 maker buy
            buy | sell
        "#]],
    );
}

#[test]
fn t59_the_last_price_of_a_call_is_shared_in_proportion_where_the_market_says_so() {
    check_call(
        "controls allocation pro_rata
         buy B1 6kWh @ 5.00
         buy B2 3kWh @ 5.00
         buy B3 1kWh @ 5.00
         buy B4 1kWh @ 5.10
         sell S1 6kWh @ 4.00
         uncross
         depth",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            accepted #5
            uncrossed 5.00 6kWh surplus 5000 of 2
            trade S1#5 B4#4 1kWh @ 5.00
            trade S1#5 B1#1 3kWh @ 5.00
            trade S1#5 B2#2 1.5kWh @ 5.00
            trade S1#5 B3#3 0.5kWh @ 5.00
            continuous
            buy 3x5kWh @ 5.00 | sell
        "#]],
    );
}

#[test]
fn shares_are_whole_lots_and_the_remainder_goes_to_the_oldest() {
    check_call(
        "controls allocation pro_rata
         sell S1 1kWh @ 4.00
         sell S2 1kWh @ 4.00
         sell S3 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         uncross
         open slot 1
         sell S1 1kWh @ 4.00 slot 1
         sell S2 1kWh @ 4.00 slot 1
         sell S3 1kWh @ 4.00 slot 1
         buy B1 0.02kWh @ 4.00 slot 1
         uncross slot 1",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            uncrossed 4.00 1kWh surplus -2000 of 1
            trade S1#1 B1#4 0.34kWh @ 4.00
            trade S2#2 B1#4 0.33kWh @ 4.00
            trade S3#3 B1#4 0.33kWh @ 4.00
            continuous
            call
            accepted #5
            accepted #6
            accepted #7
            accepted #8
            uncrossed 4.00 0.02kWh surplus -2980 of 1
            trade S1#5 B1#8 0.01kWh @ 4.00
            trade S2#6 B1#8 0.01kWh @ 4.00
            continuous
        "#]],
    );
}

#[test]
fn shares_are_of_all_that_is_open_and_of_those_that_take_part() {
    check_call(
        "controls allocation pro_rata
         sell S1 3kWh @ 4.00 showing 1kWh
         sell S2 1kWh @ 4.00
         sell S3 4kWh @ 4.00 all-or-none
         buy B1 2kWh @ 4.00
         uncross
         depth",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            uncrossed 4.00 2kWh surplus -2000 of 1
            trade S1#1 B1#4 1.5kWh @ 4.00
            trade S2#2 B1#4 0.5kWh @ 4.00
            continuous
            buy | sell 3x5.5kWh @ 4.00
        "#]],
    );
}

#[test]
fn orders_in_hibernation_take_no_part_in_an_auction() {
    check_call(
        "sell S1 1kWh @ 3.00
         sell S2 1kWh @ 4.00
         buy B1 2kWh @ 5.00
         hibernate #1
         indicative
         uncross
         activate #1
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            hibernated #1 1kWh
            indicative 5.00 1kWh surplus 1000
            uncrossed 5.00 1kWh surplus 1000 of 2
            trade S2#2 B1#3 1kWh @ 5.00
            continuous
            activated #1 1kWh
            trade S1#1 B1#3 1kWh @ 5.00 maker buy
            buy | sell
        "#]],
    );
}
