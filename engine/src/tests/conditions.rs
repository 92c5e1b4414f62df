//! Which conditions go together.

use expect_test::expect;

use super::{check_call, check_continuous};

#[test]
fn t19_a_market_order_has_no_limit_is_not_post_only_and_shows_all() {
    check_call(
        "buy B1 2kWh at market 4.00
         buy B1 2kWh at market -0.01
         buy B1 2kWh at market 99999.999999
         buy B1 2kWh at market post-only
         buy B1 2kWh at market showing 1kWh
         buy B1 2kWh at market showing 2kWh
         buy B1 2kWh at market 0.00
         buy B1 2kWh at market minimum 1kWh
         buy B1 2kWh at market all-or-none
         buy B1 2kWh at market until-time gate",
        &expect![[r#"
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            accepted #1
            accepted #2
            accepted #3
            accepted #4
        "#]],
    );
}

#[test]
fn t20_only_an_order_until_a_time_has_one_and_it_has_not_passed() {
    check_continuous(
        "sell S1 1kWh @ 4.00 expires gate
         sell S1 1kWh @ 4.00 ioc expires gate
         sell S1 1kWh @ 4.00 fok expires gate
         sell S1 1kWh @ 4.00 expires epoch-1
         sell S1 1kWh at market expires gate
         sell S1 1kWh @ 4.00 until-time epoch
         sell S1 1kWh @ 4.00 until-time epoch-1
         sell S1 1kWh @ 4.00 until-time now
         sell S1 1kWh @ 4.00 until-time now+1
         sell S1 1kWh @ 4.00 until-time epoch+9223372036854775807",
        &expect![[r#"
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            accepted #1
            cancelled #1 1kWh Expired 109
            accepted #2
        "#]],
    );
}

#[test]
fn t21_post_only_and_a_display_need_an_order_that_can_rest() {
    check_continuous(
        "sell S1 2kWh @ 4.00 ioc post-only
         sell S1 2kWh @ 4.00 fok post-only
         sell S1 2kWh @ 4.00 ioc showing 1kWh
         sell S1 2kWh @ 4.00 fok showing 1kWh
         sell S1 2kWh @ 4.00 post-only
         sell S1 2kWh @ 4.00 showing 1kWh
         sell S1 2kWh @ 4.00 until-time gate post-only showing 1kWh
         depth",
        &expect![[r#"
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            accepted #1
            accepted #2
            accepted #3
            buy | sell 3x4kWh @ 4.00
        "#]],
    );
}

#[test]
fn t22_of_all_or_none_minimum_and_display_there_is_at_most_one() {
    check_continuous(
        "sell S1 2kWh @ 4.00 all-or-none minimum 1kWh
         sell S1 2kWh @ 4.00 all-or-none showing 1kWh
         sell S1 2kWh @ 4.00 minimum 1kWh showing 1kWh
         sell S1 2kWh @ 4.00 all-or-none minimum 1kWh showing 1kWh
         sell S1 2kWh @ 4.00 all-or-none minimum 0kWh showing 0kWh
         sell S1 2kWh @ 4.00 minimum 1kWh
         sell S1 2kWh @ 4.00 showing 1kWh",
        &expect![[r#"
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            accepted #1
            accepted #2
            accepted #3
        "#]],
    );
}

#[test]
fn t23_minimum_and_display_are_whole_lots_and_at_most_the_quantity() {
    check_continuous(
        "sell S1 2kWh @ 4.00 minimum 9Wh
         sell S1 2kWh @ 4.00 minimum 11Wh
         sell S1 2kWh @ 4.00 minimum 2010Wh
         sell S1 2kWh @ 4.00 minimum 18446744073709551610Wh
         sell S1 2kWh @ 4.00 minimum 4294967300Wh
         sell S1 2kWh @ 4.00 minimum 2000Wh
         sell S1 2kWh @ 4.00 minimum 10Wh
         sell S2 2kWh @ 4.00 showing 9Wh
         sell S2 2kWh @ 4.00 showing 11Wh
         sell S2 2kWh @ 4.00 showing 2010Wh
         sell S2 2kWh @ 4.00 showing 18446744073709551615Wh
         sell S2 2kWh @ 4.00 showing 2000Wh
         sell S2 2kWh @ 4.00 showing 10Wh
         sell S2 2.01kWh @ 4.00 showing 20Wh
         sell S2 2kWh @ 4.00 showing 20Wh",
        &expect![[r#"
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            accepted #1
            accepted #2
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            rejected New invalid_conditions
            accepted #3
            rejected New invalid_conditions
            rejected New invalid_conditions
            accepted #4
        "#]],
    );
}

#[test]
fn an_order_is_the_same_only_with_the_same_conditions() {
    check_continuous(
        "sell S1 2kWh @ 4.00 minimum 1kWh as 1
         sell S1 2kWh @ 4.00 minimum 1kWh as 1
         sell S1 2kWh @ 4.00 minimum 2kWh as 1
         sell S1 2kWh @ 4.00 as 1
         sell S1 2kWh @ 4.00 minimum 1kWh ioc as 1
         sell S1 2kWh @ 4.00 minimum 1kWh post-only as 1
         sell S1 2kWh @ 4.00 minimum 1kWh until-time gate as 1
         sell S1 2kWh @ 4.00 minimum 1kWh in block 1 of 1 as 1
         sell S1 2kWh at market minimum 1kWh as 1
         sell S1 2kWh @ 4.00 until-time gate as 2
         sell S1 2kWh @ 4.00 until-time gate as 2
         sell S1 2kWh @ 4.00 until-time gate-1 as 2
         sell S1 2kWh @ 4.00 showing 1kWh as 3
         sell S1 2kWh @ 4.00 showing 1kWh as 3 session 9
         sell S1 2kWh @ 4.00 showing 2kWh as 3
         sell S1 2kWh @ 4.00 all-or-none as 3
         replace #3 S1 1kWh @ 5.00
         sell S1 2kWh @ 4.00 showing 1kWh as 3
         sell S1 1kWh @ 5.00 showing 1kWh as 3
         buy B1 1kWh at market as 4
         buy B1 1kWh at market as 4
         buy B1 1kWh @ 0.00 as 4
         buy B1 1kWh at market fok as 4",
        &expect![[r#"
            accepted #1
            restated #1 filled 0kWh leaves 2kWh
            rejected New duplicate_client_order
            rejected New duplicate_client_order
            rejected New duplicate_client_order
            rejected New duplicate_client_order
            rejected New duplicate_client_order
            rejected New duplicate_client_order
            rejected New duplicate_client_order
            accepted #2
            restated #2 filled 0kWh leaves 2kWh
            rejected New duplicate_client_order
            accepted #3
            restated #3 filled 0kWh leaves 2kWh
            rejected New duplicate_client_order
            rejected New duplicate_client_order
            replaced #3 1kWh @ 5.00
            restated #3 filled 0kWh leaves 1kWh
            rejected New duplicate_client_order
            accepted #4
            trade S1#1 B1#4 1kWh @ 4.00 maker sell
            restated #4 filled 1kWh leaves 0kWh
            rejected New duplicate_client_order
            rejected New duplicate_client_order
        "#]],
    );
}
