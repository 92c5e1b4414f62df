//! Calls: freezing, the random instant of the auction, the collar.

use expect_test::expect;

use super::{check_call, check_large};

#[test]
fn a_call_of_a_market_that_freezes_has_no_auction_without_it() {
    check_call(
        "controls freeze 10 30
         uncross
         freeze
         uncross
         at now+9999999998
         uncross
         uncross",
        &expect![[r#"
            controls set
            refused auction_not_due
            frozen
            due now+10s
            refused auction_not_due
            refused auction_not_due
            uncrossed none 0kWh surplus 0 of 0
            continuous
        "#]],
    );
}

#[test]
fn t51_the_auction_is_due_to_the_nanosecond() {
    check_call(
        "controls freeze 10 30
         freeze
         at now+9999999999
         uncross
         show due
         uncross",
        &expect![[r#"
            controls set
            frozen
            due now+10s
            refused auction_not_due
            now+1
            uncrossed none 0kWh surplus 0 of 0
            continuous
        "#]],
    );
}

#[test]
fn t49_the_seed_decides_between_the_shortest_and_the_longest_freeze() {
    check_large(
        "controls freeze 10 30
         open
         open slot 1
         open slot 2
         open slot 3
         open slot 4
         freeze seed 20000000000
         freeze seed 20000000001 slot 1
         freeze seed 1 slot 2
         freeze seed 18446744073709551615 slot 3
         controls freeze 10 10
         freeze seed 18446744073709551615 slot 4",
        &expect![[r#"
            controls set
            call
            call
            call
            call
            call
            frozen
            due now+30s
            frozen
            due now+10s
            frozen
            due now+10000000001
            frozen
            due now+22787214412
            controls set
            frozen
            due now+10s
        "#]],
    );
}

#[test]
fn a_freeze_of_no_time_at_all_is_due_at_once() {
    check_call(
        "controls freeze 0 30
         freeze seed 0
         uncross",
        &expect![[r#"
            controls set
            frozen
            due now+0s
            uncrossed none 0kWh surplus 0 of 0
            continuous
        "#]],
    );
}

#[test]
fn t50_the_auction_is_due_at_the_gate_at_the_latest() {
    check_large(
        "controls freeze 10 30
         open
         at gate-5s
         freeze seed 20000000000
         at gate
         uncross",
        &expect![[r#"
            controls set
            call
            frozen
            due now+4s
            uncrossed none 0kWh surplus 0 of 0
            continuous
        "#]],
    );
    check_large(
        "controls freeze 10 30
         open
         open slot 1
         at gate-10s
         freeze
         at gate-9999999999
         freeze slot 1
         at gate
         show due
         pass time
         show due
         uncross",
        &expect![[r#"
            controls set
            call
            call
            frozen
            due now+9s
            frozen
            due now+10s
            now+8999999999
            now+-1s
            refused gate_closed
        "#]],
    );
}

#[test]
fn what_can_be_frozen() {
    check_large(
        "freeze of 9
         freeze misaligned
         freeze
         open
         freeze
         controls freeze 0 1
         freeze
         freeze
         at now+1s
         uncross
         freeze
         open slot 1
         at gate+1
         freeze
         freeze slot 1
         close
         freeze
         close slot 1
         freeze slot 1",
        &expect![[r#"
            refused unknown_market
            refused slot_misaligned
            refused slot_not_open
            call
            refused wrong_phase
            controls set
            frozen
            due now+0s
            refused wrong_phase
            uncrossed none 0kWh surplus 0 of 0
            continuous
            refused wrong_phase
            call
            refused gate_closed
            frozen
            due now+0s
            closed
            refused gate_closed
            closed
            refused wrong_phase
        "#]],
    );
}

#[test]
fn t48_nothing_enters_leaves_or_changes_in_a_frozen_call() {
    check_call(
        "controls freeze 10 30
         sell S1 3kWh @ 4.00
         sell S2 3kWh @ 4.00
         hibernate #2
         buy B1 1kWh @ 4.00
         freeze
         sell S3 1kWh @ 4.00
         sell S3 1kWh at market
         sell S3 1kWh @ 4.00 ioc
         cancel #1
         replace #1 S1 2kWh @ 4.00
         reduce #1 1kWh
         hibernate #1
         activate #2
         cancel #2
         sell S1 3kWh @ 4.00 as 101
         indicative
         at now+10s
         uncross",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            hibernated #2 3kWh
            accepted #3
            frozen
            due now+10s
            rejected New wrong_phase
            rejected New wrong_phase
            rejected New wrong_phase
            rejected Cancel wrong_phase
            rejected Replace wrong_phase
            rejected Reduce wrong_phase
            rejected Hibernate wrong_phase
            rejected Activate wrong_phase
            rejected Cancel wrong_phase
            restated #1 filled 0kWh leaves 3kWh
            indicative 4.00 1kWh surplus -2000
            uncrossed 4.00 1kWh surplus -2000 of 1
            trade S1#1 B1#3 1kWh @ 4.00
            continuous
        "#]],
    );
}

#[test]
fn a_frozen_call_loses_what_expires_and_what_is_cancelled_in_mass() {
    check_call(
        "controls freeze 10 30
         sell S1 1kWh @ 4.00 until-time now+5s
         sell S2 1kWh @ 4.00
         sell S3 1kWh @ 4.00
         buy B1 3kWh @ 4.00
         freeze
         mass cancel meter S2 by 1
         at now+6s
         pass time
         at now+5s
         uncross",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            frozen
            due now+10s
            cancelled #2 1kWh MassCancel 102
            cancelled 1 of meter S2 for platform 1 as 105
            cancelled #1 1kWh Expired 101
            uncrossed 4.00 1kWh surplus 2000 of 1
            trade S3#3 B1#4 1kWh @ 4.00
            continuous
        "#]],
    );
}

#[test]
fn a_frozen_call_stays_so_when_the_market_freezes_no_more() {
    check_call(
        "controls freeze 10 30
         freeze
         controls
         uncross
         at now+10s
         uncross",
        &expect![[r#"
            controls set
            frozen
            due now+10s
            controls set
            refused auction_not_due
            uncrossed none 0kWh surplus 0 of 0
            continuous
        "#]],
    );
}

#[test]
fn a_frozen_call_can_be_closed() {
    check_call(
        "controls freeze 10 30
         sell S1 1kWh @ 4.00
         freeze
         close
         show due",
        &expect![[r#"
            controls set
            accepted #1
            frozen
            due now+10s
            cancelled #1 1kWh GateClosed 101
            closed
            none
        "#]],
    );
}

#[test]
fn a_call_after_an_interruption_must_be_frozen_too() {
    check_call(
        "controls freeze 10 30 band 0.10
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         freeze
         at now+10s
         uncross
         sell S1 1kWh @ 5.00
         buy B1 1kWh @ 5.00
         uncross
         freeze
         at now+10s
         uncross",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            frozen
            due now+10s
            uncrossed 4.00 1kWh surplus 0 of 1
            trade S1#1 B1#2 1kWh @ 4.00
            continuous
            accepted #3
            accepted #4
            call
            refused auction_not_due
            frozen
            due now+10s
            uncrossed 5.00 1kWh surplus 0 of 1 clamped
            trade S1#3 B1#4 1kWh @ 5.00
            continuous
        "#]],
    );
}

#[test]
fn t60_a_price_outside_the_collar_extends_the_call_once() {
    check_call(
        "controls collar 0.50
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         uncross
         open slot 1
         sell S1 1kWh @ 4.51 slot 1
         buy B1 1kWh @ 4.51 slot 1
         uncross slot 1
         show phase slot 1
         sell S2 1kWh @ 4.52 slot 1
         buy B2 1kWh @ 4.52 slot 1
         uncross slot 1
         show phase slot 1",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            uncrossed 4.00 1kWh surplus 0 of 1
            trade S1#1 B1#2 1kWh @ 4.00
            continuous
            call
            accepted #3
            accepted #4
            extended: 4.51 is too far from 4.00
            call
            accepted #5
            accepted #6
            uncrossed 4.51 1kWh surplus 1000 of 2 clamped
            trade S1#3 B2#6 1kWh @ 4.51
            continuous
            continuous
        "#]],
    );
}

#[test]
fn a_price_at_the_collar_exactly_does_not_extend() {
    check_call(
        "controls collar 0.50
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         uncross
         open slot 1
         sell S1 1kWh @ 4.50 slot 1
         buy B1 1kWh @ 4.50 slot 1
         uncross slot 1
         open slot 2
         sell S1 1kWh @ 4.00 slot 2
         buy B1 1kWh @ 4.00 slot 2
         uncross slot 2
         open slot 3
         sell S1 1kWh @ 3.49 slot 3
         buy B1 1kWh @ 3.49 slot 3
         uncross slot 3",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            uncrossed 4.00 1kWh surplus 0 of 1
            trade S1#1 B1#2 1kWh @ 4.00
            continuous
            call
            accepted #3
            accepted #4
            uncrossed 4.50 1kWh surplus 0 of 1 clamped
            trade S1#3 B1#4 1kWh @ 4.50
            continuous
            call
            accepted #5
            accepted #6
            uncrossed 4.00 1kWh surplus 0 of 1 clamped
            trade S1#5 B1#6 1kWh @ 4.00
            continuous
            call
            accepted #7
            accepted #8
            extended: 3.49 is too far from 4.00
        "#]],
    );
}

#[test]
fn without_a_reference_or_a_price_nothing_is_extended() {
    check_call(
        "controls collar 0.50
         sell S1 1kWh @ 9.00
         buy B1 1kWh @ 9.00
         uncross
         open slot 1
         sell S1 1kWh @ 4.00 slot 1
         uncross slot 1",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            uncrossed 9.00 1kWh surplus 0 of 1
            trade S1#1 B1#2 1kWh @ 9.00
            continuous
            call
            accepted #3
            uncrossed none 0kWh surplus 0 of 0
            continuous
        "#]],
    );
}

#[test]
fn an_extended_call_that_was_frozen_takes_orders_again() {
    check_call(
        "sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         uncross
         open slot 1
         controls collar 0.50 freeze 10 10
         sell S1 1kWh @ 5.00 slot 1
         buy B1 1kWh @ 5.00 slot 1
         freeze slot 1
         at now+10s
         uncross slot 1
         show due slot 1
         uncross slot 1
         cancel #4
         buy B2 1kWh @ 5.10 slot 1
         freeze slot 1
         at now+10s
         uncross slot 1",
        &expect![[r#"
            accepted #1
            accepted #2
            uncrossed 4.00 1kWh surplus 0 of 1
            trade S1#1 B1#2 1kWh @ 4.00
            continuous
            call
            controls set
            accepted #3
            accepted #4
            frozen
            due now+10s
            extended: 5.00 is too far from 4.00
            call
            none
            refused auction_not_due
            cancelled #4 1kWh Requested 105
            accepted #5
            frozen
            due now+10s
            uncrossed 5.00 1kWh surplus 0 of 2 clamped
            trade S1#3 B2#5 1kWh @ 5.00
            continuous
        "#]],
    );
}

#[test]
fn an_extended_call_may_end_inside_the_collar() {
    check_call(
        "controls collar 0.50
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         uncross
         open slot 1
         sell S1 1kWh @ 5.00 slot 1
         buy B1 1kWh @ 5.00 slot 1
         uncross slot 1
         sell S2 1kWh @ 4.20 slot 1
         uncross slot 1",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            uncrossed 4.00 1kWh surplus 0 of 1
            trade S1#1 B1#2 1kWh @ 4.00
            continuous
            call
            accepted #3
            accepted #4
            extended: 5.00 is too far from 4.00
            accepted #5
            uncrossed 4.20 1kWh surplus 0 of 1 clamped
            trade S2#5 B1#4 1kWh @ 4.20
            continuous
        "#]],
    );
}

#[test]
fn each_call_of_a_slot_can_be_extended_once_around_its_own_last_price() {
    check_call(
        "controls collar 0.50 band 0.10
         sell S1 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         uncross
         open slot 1
         sell S1 1kWh @ 5.00 slot 1
         buy B1 1kWh @ 5.00 slot 1
         uncross slot 1
         uncross slot 1
         sell S1 1kWh @ 4.50 slot 1
         buy B1 1kWh @ 4.50 slot 1
         uncross slot 1
         sell S1 1kWh @ 3.99 slot 1
         buy B1 1kWh @ 3.99 slot 1
         uncross slot 1
         uncross slot 1",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            uncrossed 4.00 1kWh surplus 0 of 1
            trade S1#1 B1#2 1kWh @ 4.00
            continuous
            call
            accepted #3
            accepted #4
            extended: 5.00 is too far from 4.00
            uncrossed 5.00 1kWh surplus 0 of 1 clamped
            trade S1#3 B1#4 1kWh @ 5.00
            continuous
            accepted #5
            accepted #6
            call
            uncrossed 4.50 1kWh surplus 0 of 1 clamped
            trade S1#5 B1#6 1kWh @ 4.50
            continuous
            accepted #7
            accepted #8
            call
            extended: 3.99 is too far from 4.50
            uncrossed 3.99 1kWh surplus 0 of 1 clamped
            trade S1#7 B1#8 1kWh @ 3.99
            continuous
        "#]],
    );
}
