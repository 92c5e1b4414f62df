//! Delegations: what they allow, to the last watt-hour, tick and nanosecond.

use expect_test::expect;

use super::check_continuous;

#[test]
fn an_order_needs_a_delegation_to_its_platform() {
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
        &expect![[""]],
    );
}

#[test]
fn limits_count_to_the_last_unit() {
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
        &expect![[""]],
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
        &expect![[""]],
    );
}

#[test]
fn replacements_are_held_to_the_delegation_and_change_ones_own_orders() {
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
        &expect![[""]],
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
        &expect![[""]],
    );
}

#[test]
fn numbers_rise_and_revocations_end_all_below() {
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
        &expect![[""]],
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
        &expect![[""]],
    );
}
