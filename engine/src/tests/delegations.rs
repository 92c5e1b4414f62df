//! Delegations: what they allow, to the last watt-hour, tick and nanosecond.

use expect_test::expect;

use super::check_continuous;

#[test]
fn t94_an_order_needs_a_delegation_to_its_platform() {
    check_continuous(
        "sell S1 1kWh @ 4.00 delegated
         delegate S1 to 1 number 1
         sell S1 1kWh @ 4.00 delegated
         sell S1 1kWh @ 4.00 delegated by 2
         sell S1 1kWh @ 4.00 by 2
         delegate S1 to 2 number 2
         sell S1 1kWh @ 4.00 delegated
         sell S1 1kWh @ 4.00 delegated by 2
         sell S1 1kWh @ 4.00
         revoke S1 number 2
         sell S1 1kWh @ 4.00 delegated by 2",
        &expect![[r#"
            rejected New delegation_missing
            meter 1 delegates to 1
            accepted #1
            rejected New delegation_missing
            rejected New not_authorised
            meter 1 delegates to 2
            rejected New delegation_missing
            accepted #2
            accepted #3
            meter 1 delegates nothing up to 2
            rejected New delegation_missing
        "#]],
    );
}

#[test]
fn t95_limits_count_to_the_last_unit() {
    check_continuous(
        "delegate S1 to 1 number 1 most 2kWh pays 4.20 takes 4.00
         sell S1 2kWh @ 4.30 delegated
         sell S1 2.01kWh @ 4.30 delegated
         sell S1 1kWh @ 4.00 delegated
         sell S1 1kWh @ 3.99 delegated
         buy S2 1kWh @ 4.20 delegated
         delegate S2 to 1 number 1 pays 4.20 in 1
         buy S2 1kWh @ 3.00 delegated
         buy S2 1kWh @ 4.21 delegated
         buy S2 1kWh at market delegated
         sell S2 1kWh at market delegated
         delegate S3 to 1 number 1 sell
         sell S3 1kWh @ 5.00 delegated
         buy S3 1kWh @ 1.00 delegated",
        &expect![[r#"
            meter 1 delegates to 1
            accepted #1
            rejected New delegation_exceeded
            accepted #2
            rejected New delegation_exceeded
            rejected New delegation_missing
            meter 3 delegates to 1
            accepted #3
            rejected New delegation_exceeded
            rejected New delegation_exceeded
            accepted #4
            cancelled #4 1kWh SelfTrade 111
            meter 5 delegates to 1
            accepted #5
            rejected New delegation_exceeded
        "#]],
    );
}

#[test]
fn a_period_counts_to_the_last_nanosecond() {
    check_continuous(
        "delegate S1 to 1 number 1 from now+10 till now+20
         at now+8
         sell S1 1kWh @ 4.00 delegated
         sell S1 1kWh @ 4.00 delegated
         at now+10
         sell S1 1kWh @ 4.00 delegated
         sell S1 1kWh @ 4.00 delegated
         delegate S1 to 1 number 2 till now",
        &expect![[r#"
            meter 1 delegates to 1
            rejected New delegation_missing
            accepted #1
            accepted #2
            rejected New delegation_expired
            rejected Delegate delegation_expired
        "#]],
    );
}

#[test]
fn t97_replacements_are_held_to_the_delegation_and_change_ones_own_orders() {
    check_continuous(
        "delegate S1 to 1 number 1 most 2kWh takes 4.00
         sell S1 1kWh @ 4.50 delegated
         replace #1 S1 2kWh @ 4.00 delegated
         replace #1 S1 2.01kWh @ 4.00 delegated
         replace #1 S1 1kWh @ 3.99 delegated
         delegate S1 to 2 number 2
         replace #1 S1 1kWh @ 4.10 delegated
         replace #1 S1 1kWh @ 4.10 delegated by 2
         sell S1 1kWh @ 4.60 delegated by 2
         replace #2 S1 1kWh @ 4.50
         replace #1 S1 1kWh @ 4.50
         replace #99 S1 1kWh @ 4.50 delegated by 2
         cancel #2",
        &expect![[r#"
            meter 1 delegates to 1
            accepted #1
            replaced #1 2kWh @ 4.00
            rejected Replace delegation_exceeded
            rejected Replace delegation_exceeded
            meter 1 delegates to 2
            rejected Replace delegation_missing
            rejected Replace not_authorised
            accepted #2
            rejected Replace not_authorised
            replaced #1 1kWh @ 4.50
            rejected Replace unknown_order
            cancelled #2 1kWh Requested 113
        "#]],
    );
}

#[test]
fn a_repeat_is_answered_whatever_became_of_the_delegation() {
    check_continuous(
        "delegate S1 to 1 number 1
         sell S1 1kWh @ 4.00 delegated as 7
         replace #1 S1 1kWh @ 4.10 delegated as 8
         revoke S1 number 1 by 1
         sell S1 1kWh @ 4.00 delegated as 7
         replace #1 S1 1kWh @ 4.10 delegated as 8
         sell S1 1.01kWh @ 4.00 delegated as 7
         replace #1 S1 1kWh @ 4.10 delegated as 9",
        &expect![[r#"
            meter 1 delegates to 1
            accepted #1
            replaced #1 1kWh @ 4.10
            meter 1 delegates nothing up to 1
            restated #1 filled 0kWh leaves 1kWh
            restated #1 filled 0kWh leaves 1kWh
            rejected New delegation_missing
            rejected Replace delegation_missing
        "#]],
    );
}

#[test]
fn t96_numbers_rise_and_revocations_end_all_below() {
    check_continuous(
        "delegate S1 to 1 number 5
         delegate S1 to 1 number 5
         delegate S1 to 1 number 5 buy
         delegate S1 to 1 number 4
         delegate S1 to 1 number 6 by 2
         delegate S1 to 1 number 6 in 9
         delegate S1 to 9 number 6
         revoke S1 number 4
         revoke S1 number 5 by 2
         revoke S1 number 6 by 1
         revoke S1 number 8
         revoke S1 number 8
         delegate S1 to 1 number 8
         delegate S1 to 1 number 9
         revoke S1 number 9 by 1
         revoke S1 number 9 by 1
         revoke S2 number 0
         sell S1 1kWh @ 4.00 delegated",
        &expect![[r#"
            meter 1 delegates to 1
            meter 1 delegates to 1
            rejected Delegate delegation_outdated
            rejected Delegate delegation_outdated
            rejected Delegate not_authorised
            rejected Delegate unknown_market
            rejected Delegate unknown_party
            rejected Revoke delegation_outdated
            rejected Revoke not_authorised
            rejected Revoke delegation_outdated
            meter 1 delegates nothing up to 8
            meter 1 delegates nothing up to 8
            rejected Delegate delegation_outdated
            meter 1 delegates to 1
            meter 1 delegates nothing up to 9
            rejected Revoke not_authorised
            rejected Revoke delegation_outdated
            rejected New delegation_missing
        "#]],
    );
}

#[test]
fn the_platform_that_sends_is_the_one_that_is_suspended() {
    check_continuous(
        "delegate S1 to 2 number 1
         sell S1 1kWh @ 4.00 delegated by 2
         suspend platform 1
         sell S1 1kWh @ 4.10 delegated by 2
         hibernate #1
         activate #1
         resume platform 1
         suspend platform 2
         sell S1 1kWh @ 4.20 delegated by 2
         sell S1 1kWh @ 4.30",
        &expect![[r#"
            meter 1 delegates to 2
            accepted #1
            platform 1 suspended
            accepted #2
            hibernated #1 1kWh
            activated #1 1kWh
            platform 1 active
            platform 2 suspended
            rejected New trading_suspended
            accepted #3
        "#]],
    );
}
