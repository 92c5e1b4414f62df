//! Blocks: orders over consecutive slots that fill all together.

use expect_test::{Expect, expect};

use super::{check_after, check_call};

/// The first three slots are in continuous trading.
fn check(script: &str, expected: &Expect) {
    check_after(
        "open
         uncross
         open slot 1
         uncross slot 1
         open slot 2
         uncross slot 2",
        script,
        expected,
    );
}

#[test]
fn a_block_fills_at_once_when_all_its_orders_can() {
    check(
        "sell S1 2kWh @ 4.00
         sell S2 3kWh @ 4.10 slot 1
         buy B1 2kWh @ 4.20 in block 7 of 2
         depth
         buy B1 3kWh @ 4.20 slot 1 in block 7 of 2
         depth
         depth slot 1",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            buy | sell 1x2kWh @ 4.00
            accepted #4
            trade S1#1 B1#3 2kWh @ 4.00 maker sell
            trade S2#2 B1#4 3kWh @ 4.10 maker sell
            buy | sell
            buy | sell
        "#]],
    );
}

#[test]
fn a_block_of_sells_leaves_the_rest_of_what_it_meets() {
    check(
        "buy B1 5kWh @ 3.00
         buy B2 2kWh @ 2.90 slot 1
         buy B3 2kWh @ 2.80 slot 1
         sell S1 3kWh @ 2.80 in block 7 of 2
         sell S1 3kWh @ 2.80 slot 1 in block 7 of 2
         depth
         depth slot 1",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            accepted #5
            trade S1#4 B1#1 3kWh @ 3.00 maker buy
            trade S1#5 B2#2 2kWh @ 2.90 maker buy
            trade S1#5 B3#3 1kWh @ 2.80 maker buy
            buy 1x2kWh @ 3.00 | sell
            buy 1x1kWh @ 2.80 | sell
        "#]],
    );
}

#[test]
fn t78_a_block_waits_until_the_last_of_its_slots_has_enough() {
    check(
        "buy B1 2kWh @ 4.20 in block 7 of 2
         buy B1 2kWh @ 4.20 slot 1 in block 7 of 2
         sell S1 2kWh @ 4.00
         sell S2 1kWh @ 4.20 slot 1
         sell S3 1kWh @ 4.21 slot 1
         depth slot 1
         sell S3 1kWh @ 4.20 slot 1
         depth
         depth slot 1",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            accepted #5
            buy | sell 1x1kWh @ 4.20 1x1kWh @ 4.21
            accepted #6
            trade S1#3 B1#1 2kWh @ 4.00 maker sell
            trade S2#4 B1#2 1kWh @ 4.20 maker sell
            trade S3#6 B1#2 1kWh @ 4.20 maker sell
            buy | sell
            buy | sell 1x1kWh @ 4.21
        "#]],
    );
}

#[test]
fn orders_that_enter_do_not_meet_a_block() {
    check(
        "buy B1 2kWh @ 4.20 in block 7 of 2
         buy B1 2kWh @ 4.20 slot 1 in block 7 of 2
         sell S1 2kWh @ 4.00 ioc
         sell S1 2kWh @ 4.00 fok
         sell S1 2kWh at market
         sell S1 2kWh @ 4.00 in block 8 of 2
         sell S1 2kWh @ 4.00 slot 1 in block 8 of 2
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            cancelled #3 2kWh ImmediateOrCancel 103
            accepted #4
            cancelled #4 2kWh FillOrKill 104
            accepted #5
            cancelled #5 2kWh NoLiquidity 105
            accepted #6
            accepted #7
            buy | sell
        "#]],
    );
}

#[test]
fn a_block_takes_no_part_in_an_auction_and_is_tried_after_it() {
    check_after(
        "open
         uncross
         open slot 1",
        "sell S1 2kWh @ 4.00
         buy B1 2kWh @ 4.20 in block 7 of 2
         sell S2 3kWh @ 4.10 slot 1
         buy B1 2kWh @ 4.20 slot 1 in block 7 of 2
         sell S3 2kWh @ 4.00
         indicative slot 1
         uncross slot 1",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            accepted #5
            indicative none 0kWh surplus 0
            uncrossed none 0kWh surplus 0 of 0
            continuous
            trade S1#1 B1#2 2kWh @ 4.00 maker sell
            trade S2#3 B1#4 2kWh @ 4.10 maker sell
        "#]],
    );
}

#[test]
fn a_block_over_slots_in_their_calls_fills_after_the_last_auction() {
    check_call(
        "open slot 1
         buy B1 2kWh @ 4.20 in block 7 of 2
         buy B1 2kWh @ 4.20 slot 1 in block 7 of 2
         sell S1 2kWh @ 4.00
         sell S2 2kWh @ 4.00 slot 1
         uncross slot 1
         uncross",
        &expect![[r#"
            call
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            uncrossed none 0kWh surplus 0 of 0
            continuous
            uncrossed none 0kWh surplus 0 of 0
            continuous
            trade S1#3 B1#1 2kWh @ 4.00 maker sell
            trade S2#4 B1#2 2kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn blocks_are_tried_by_the_number_of_their_last_order() {
    check(
        "buy B1 1kWh @ 4.20 in block 1 of 2
         buy B2 1kWh @ 4.20 in block 2 of 2
         buy B2 1kWh @ 4.20 slot 1 in block 2 of 2
         buy B1 1kWh @ 4.20 slot 1 in block 1 of 2
         sell S1 2kWh @ 4.00 slot 1
         sell S2 1kWh @ 4.00
         sell S3 1kWh @ 4.00",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            accepted #5
            accepted #6
            trade S2#6 B2#2 1kWh @ 4.00 maker sell
            trade S1#5 B2#3 1kWh @ 4.00 maker sell
            accepted #7
            trade S3#7 B1#1 1kWh @ 4.00 maker sell
            trade S1#5 B1#4 1kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn a_block_that_cannot_fill_does_not_stand_in_the_way_of_the_next() {
    check(
        "buy B1 2kWh @ 4.20 in block 1 of 1
         buy B2 1kWh @ 4.20 in block 2 of 1
         buy B3 1kWh @ 4.20 in block 3 of 1
         sell S1 1kWh @ 4.00",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            trade S1#4 B2#2 1kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn one_order_that_rests_may_fill_several_blocks() {
    check(
        "buy B1 2kWh @ 4.20 in block 1 of 1
         buy B2 1kWh @ 4.20 in block 2 of 1
         sell S1 5kWh @ 4.00
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            trade S1#3 B1#1 2kWh @ 4.00 maker sell
            trade S1#3 B2#2 1kWh @ 4.00 maker sell
            buy | sell 1x2kWh @ 4.00
        "#]],
    );
}

#[test]
fn orders_in_the_book_are_woken_before_blocks() {
    check(
        "buy B1 3kWh @ 4.20 in block 1 of 1
         buy B2 4kWh @ 4.10 all-or-none
         sell S1 2kWh @ 4.00
         sell S2 2kWh @ 4.00
         sell S3 3kWh @ 4.00",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            trade S1#3 B2#2 2kWh @ 4.00 maker sell
            trade S2#4 B2#2 2kWh @ 4.00 maker sell
            accepted #5
            trade S3#5 B1#1 3kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn a_block_is_woken_by_what_is_replaced_or_activated() {
    check(
        "buy B1 2kWh @ 4.20 in block 1 of 1
         sell S1 2kWh @ 4.30
         replace #2 S1 2kWh @ 4.20
         sell S2 2kWh @ 4.00
         hibernate #3
         buy B2 1kWh @ 4.20 in block 2 of 1
         activate #3
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            replaced #2 2kWh @ 4.20
            trade S1#2 B1#1 2kWh @ 4.20 maker sell
            accepted #3
            hibernated #3 2kWh
            accepted #4
            activated #3 2kWh
            trade S2#3 B2#4 1kWh @ 4.00 maker sell
            buy | sell 1x1kWh @ 4.00
        "#]],
    );
}

#[test]
fn a_block_counts_icebergs_whole_and_passes_over_what_needs_more() {
    check(
        "sell S1 3kWh @ 4.00 showing 1kWh
         sell S2 9kWh @ 4.00 all-or-none
         buy B1 4kWh @ 4.20 in block 1 of 1
         buy B2 3kWh @ 4.20 in block 2 of 1
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            trade S1#1 B2#4 1kWh @ 4.00 maker sell
            trade S1#1 B2#4 1kWh @ 4.00 maker sell
            trade S1#1 B2#4 1kWh @ 4.00 maker sell
            buy | sell 1x9kWh @ 4.00
        "#]],
    );
}

#[test]
fn a_block_waits_behind_an_order_of_its_own_group() {
    check(
        "sell B1 1kWh @ 4.00
         sell S1 2kWh @ 4.10
         buy B1 2kWh @ 4.20 in block 1 of 1
         cancel #1
         sell S2 1kWh @ 4.30
         sell S2 1kWh @ 4.20",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            cancelled #1 1kWh Requested 104
            accepted #4
            accepted #5
            trade S1#2 B1#3 2kWh @ 4.10 maker sell
        "#]],
    );
}

#[test]
fn a_block_that_fills_cancels_its_own_where_the_market_says_so() {
    check(
        "controls self-trade cancel_maker
         sell B1 1kWh @ 4.00
         buy B1 2kWh @ 4.20 in block 1 of 1
         sell S1 1kWh @ 4.10
         sell S1 1kWh @ 4.10",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            cancelled #1 1kWh SelfTrade 101
            trade S1#3 B1#2 1kWh @ 4.10 maker sell
            trade S1#4 B1#2 1kWh @ 4.10 maker sell
        "#]],
    );
}

#[test]
fn a_block_counts_up_to_the_dynamic_band() {
    check(
        "controls band 0.10
         sell S8 1kWh @ 4.00
         buy B8 1kWh @ 4.00
         buy B1 2kWh @ 4.50 in block 1 of 1
         sell S1 2kWh @ 4.11
         show phase
         sell S2 1kWh @ 4.10
         sell S2 1kWh @ 4.05
         depth",
        &expect![[r#"
            controls set
            accepted #1
            accepted #2
            trade S8#1 B8#2 1kWh @ 4.00 maker sell
            accepted #3
            accepted #4
            continuous
            accepted #5
            accepted #6
            trade S2#6 B1#3 1kWh @ 4.05 maker sell
            trade S2#5 B1#3 1kWh @ 4.10 maker sell
            buy | sell 1x2kWh @ 4.11
        "#]],
    );
}

#[test]
fn a_block_does_not_fill_while_one_of_its_slots_is_in_a_call_again() {
    check(
        "controls band 0.10
         sell S8 1kWh @ 4.00
         buy B8 1kWh @ 4.00
         buy B1 1kWh @ 5.00 in block 1 of 2
         buy B1 1kWh @ 5.00 slot 1 in block 1 of 2
         sell S1 1kWh @ 4.20
         buy B2 1kWh @ 4.20
         sell S2 1kWh @ 4.00 slot 1
         sell S3 2kWh @ 4.21
         uncross",
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
            accepted #7
            accepted #8
            uncrossed 4.20 1kWh surplus 0 of 1 clamped
            trade S1#5 B2#6 1kWh @ 4.20
            continuous
            trade S3#8 B1#3 1kWh @ 4.21 maker sell
            trade S2#7 B1#4 1kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn t79_cancelling_one_order_of_a_block_cancels_all() {
    check(
        "buy B1 1kWh @ 4.20 in block 1 of 3
         buy B1 2kWh @ 4.20 slot 1 in block 1 of 3
         cancel #2 as 55
         buy B1 1kWh @ 4.20 in block 2 of 3
         buy B1 2kWh @ 4.20 slot 1 in block 2 of 3
         buy B1 3kWh @ 4.20 slot 2 in block 2 of 3
         cancel #4 as 56
         cancel #3 as 57",
        &expect![[r#"
            accepted #1
            accepted #2
            cancelled #2 2kWh Requested 55
            cancelled #1 1kWh List 101
            accepted #3
            accepted #4
            accepted #5
            cancelled #4 2kWh Requested 56
            cancelled #3 1kWh List 104
            cancelled #5 3kWh List 106
            rejected Cancel unknown_order
        "#]],
    );
}

#[test]
fn a_block_ends_with_the_first_of_its_slots_that_closes() {
    check(
        "buy B1 1kWh @ 4.20 in block 1 of 2
         buy B1 2kWh @ 4.20 slot 1 in block 1 of 2
         sell S1 1kWh @ 9.00
         close
         sell S2 2kWh @ 4.00 slot 1
         depth slot 1",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            cancelled #1 1kWh GateClosed 101
            cancelled #2 2kWh List 102
            cancelled #3 1kWh GateClosed 103
            closed
            accepted #4
            buy | sell 1x2kWh @ 4.00
        "#]],
    );
}

#[test]
fn a_mass_cancellation_of_one_order_of_a_block_cancels_all() {
    check(
        "buy B1 1kWh @ 4.20 in block 1 of 2
         buy B1 2kWh @ 4.20 slot 1 in block 1 of 2
         buy B2 1kWh @ 4.20 slot 1
         buy B2 1kWh @ 4.20
         mass cancel platform 2 by 2 only slot 1",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            cancelled #2 2kWh MassCancel 102
            cancelled #1 1kWh List 101
            cancelled #3 1kWh MassCancel 103
            cancelled 3 of platform 2 for platform 2 as 105
        "#]],
    );
}

#[test]
fn a_kill_ends_blocks() {
    check(
        "buy B1 1kWh @ 4.20 in block 1 of 2
         buy B1 2kWh @ 4.20 slot 1 in block 1 of 2
         buy B1 1kWh @ 4.00 in block 2 of 2
         kill meter B1",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            meter B1 killed
            cancelled #1 1kWh Killed 101
            cancelled #2 2kWh List 102
            cancelled #3 1kWh Killed 103
            cancelled 3 of meter B1 for the operator
        "#]],
    );
}

#[test]
fn an_order_of_a_block_can_only_be_cancelled() {
    check(
        "buy B1 2kWh @ 4.20 in block 1 of 2
         reduce #1 1kWh
         hibernate #1
         activate #1
         replace #1 B1 1kWh @ 4.20
         buy B1 2kWh @ 4.20 slot 1 in block 1 of 2
         reduce #1 0kWh
         hibernate #2
         activate #2
         replace #2 B1 0kWh @ 99.00
         reduce #1 1kWh by 1",
        &expect![[r#"
            accepted #1
            rejected Reduce part_of_list
            rejected Hibernate part_of_list
            rejected Activate part_of_list
            rejected Replace part_of_list
            accepted #2
            rejected Reduce part_of_list
            rejected Hibernate part_of_list
            rejected Activate part_of_list
            rejected Replace part_of_list
            rejected Reduce not_authorised
        "#]],
    );
}

/// The second order of a block does not fit the first.
fn check_second(second: &str) {
    let script = format!(
        "buy B1 2kWh @ 4.20 in block 7 of 2 as 1
         {second}
         depth slot 1"
    );
    let text = expect![[r#"
        market 2 defined
        call
        accepted #1
        rejected New invalid_list
        cancelled #1 2kWh List 1
        buy | sell
    "#]];
    check(&format!("market 2\nopen slot 1 of 2\n{script}"), &text);
}

#[test]
fn t75_the_orders_of_a_block_are_alike() {
    for second in [
        "buy B2 2kWh @ 4.20 slot 1 in block 7 of 2",
        "sell B1 2kWh @ 4.20 slot 1 in block 7 of 2",
        "buy B1 2kWh @ 4.21 slot 1 in block 7 of 2",
        "buy B1 2kWh @ 4.20 slot 1 of 2 in block 7 of 2",
        "buy B1 2kWh @ 4.20 slot 2 in block 7 of 2",
        "buy B1 2kWh @ 4.20 in block 7 of 2",
        "buy B1 2kWh @ 4.20 slot 1 in block 7 of 3",
        "buy B1 2kWh @ 4.20 slot 1 in block 7 of 1",
        "buy B1 2kWh @ 4.20 slot 1 fok in basket 7 of 2",
        "buy B1 2kWh @ 4.20 slot 1 in basket 7 of 2",
        "buy B1 2kWh @ 4.20 slot 1 fok in block 7 of 2",
        "buy B1 2kWh @ 4.20 slot 1 ioc in block 7 of 2",
        "buy B1 2kWh @ 4.20 slot 1 until-time gate in block 7 of 2",
        "buy B1 2kWh at market slot 1 in block 7 of 2",
        "buy B1 2kWh @ 4.20 slot 1 post-only in block 7 of 2",
        "buy B1 2kWh @ 4.20 slot 1 all-or-none in block 7 of 2",
        "buy B1 2kWh @ 4.20 slot 1 minimum 1kWh in block 7 of 2",
        "buy B1 2kWh @ 4.20 slot 1 showing 1kWh in block 7 of 2",
    ] {
        check_second(second);
    }
}

#[test]
fn slots_of_a_block_follow_one_another_forwards() {
    check(
        "buy B1 2kWh @ 4.20 slot 1 in block 7 of 2
         buy B1 2kWh @ 4.20 in block 7 of 2
         buy B1 1kWh @ 4.20 in block 8 of 3
         buy B1 2kWh @ 4.20 slot 1 in block 8 of 3
         buy B1 3kWh @ 4.20 slot 2 in block 8 of 3",
        &expect![[r#"
            accepted #1
            rejected New invalid_list
            cancelled #1 2kWh List 101
            accepted #2
            accepted #3
            accepted #4
        "#]],
    );
}

#[test]
fn numbers_and_counts_of_lists() {
    check(
        "buy B1 1kWh @ 4.20 in block 0 of 2
         buy B1 1kWh @ 4.20 in block 1 of 0
         buy B1 1kWh @ 4.20 in block 2 of 101
         buy B1 1kWh @ 4.20 in block 3 of 255
         buy B1 1kWh @ 4.20 in single 4 of 0
         buy B1 1kWh @ 4.20 in single 0 of 1
         buy B1 1kWh @ 4.20 in single 4 of 1
         buy B1 1kWh @ 4.20 in block 18446744073709551615 of 100
         buy B1 1kWh @ 4.20 in single 0 of 0
         depth",
        &expect![[r#"
            rejected New invalid_list
            rejected New invalid_list
            rejected New invalid_list
            rejected New invalid_list
            rejected New invalid_list
            rejected New invalid_list
            rejected New invalid_list
            accepted #1
            accepted #2
            buy 1x1kWh @ 4.20 | sell
        "#]],
    );
}

#[test]
fn t80_the_refusal_of_an_order_ends_its_block() {
    check(
        "buy B1 1kWh @ 4.20 in block 1 of 3
         buy B1 2kWh @ 4.20 slot 1 in block 1 of 3
         buy B1 11kWh @ 4.20 slot 2 in block 1 of 3
         buy B1 3kWh @ 4.20 slot 2 in block 1 of 3
         buy B1 1kWh @ 4.20 in block 2 of 2
         buy B1 1kWh @ 4.20 slot 1 in block 2 of 2 until opening
         buy B1 1kWh @ 4.20 in block 3 of 2
         buy B9 1kWh @ 4.20 slot 1 in block 3 of 2
         buy B1 1kWh @ 4.20 in block 4 of 2
         buy S1 1kWh @ 4.20 slot 1 in block 4 of 2 by 2",
        &expect![[r#"
            accepted #1
            accepted #2
            rejected New capacity_exceeded
            cancelled #1 1kWh List 101
            cancelled #2 2kWh List 102
            rejected New invalid_list
            accepted #3
            rejected New signature_expired
            cancelled #3 1kWh List 105
            accepted #4
            rejected New unknown_meter
            cancelled #4 1kWh List 107
            accepted #5
            rejected New not_authorised
            cancelled #5 1kWh List 109
        "#]],
    );
}

#[test]
fn a_repeat_of_an_order_ends_nothing() {
    check(
        "buy B1 1kWh @ 4.20 in block 1 of 2 as 11
         buy B1 1kWh @ 4.20 in block 1 of 2 as 11
         buy B1 2kWh @ 4.20 slot 1 in block 1 of 2 as 12
         sell S1 1kWh @ 4.00
         sell S1 2kWh @ 4.00 slot 1
         buy B1 2kWh @ 4.20 slot 1 in block 1 of 2 as 12
         buy B1 1kWh @ 4.20 in block 1 of 2 as 11",
        &expect![[r#"
            accepted #1
            restated #1 filled 0kWh leaves 1kWh
            accepted #2
            accepted #3
            accepted #4
            trade S1#3 B1#1 1kWh @ 4.00 maker sell
            trade S1#4 B1#2 2kWh @ 4.00 maker sell
            restated #2 filled 2kWh leaves 0kWh
            restated #1 filled 1kWh leaves 0kWh
        "#]],
    );
}

#[test]
fn a_number_used_with_other_content_ends_the_block() {
    check(
        "buy B1 1kWh @ 4.20 in block 1 of 2 as 11
         buy B1 1kWh @ 4.20 slot 1 in block 1 of 2 as 11
         buy B1 1kWh @ 4.20 in block 2 of 2 as 12
         buy B1 1kWh @ 4.20 as 12
         buy B1 1kWh @ 4.20 in block 2 of 2 as 12
         buy B1 1kWh @ 4.20 in block 3 of 2 as 12",
        &expect![[r#"
            accepted #1
            rejected New duplicate_client_order
            cancelled #1 1kWh List 11
            accepted #2
            rejected New duplicate_client_order
            restated #2 filled 0kWh leaves 1kWh
            rejected New duplicate_client_order
        "#]],
    );
}

#[test]
fn a_list_that_is_over_takes_no_more_orders() {
    check(
        "sell S1 2kWh @ 4.00
         buy B1 1kWh @ 4.20 in block 1 of 1
         buy B1 1kWh @ 4.20 in block 1 of 1
         buy B1 1kWh @ 4.20 fok in basket 1 of 1
         buy B1 1kWh @ 3.00 in block 2 of 1
         cancel #3
         buy B1 1kWh @ 3.00 in block 2 of 1
         sell S1 1kWh @ 9.00 in block 2 of 1
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            rejected New invalid_list
            rejected New invalid_list
            accepted #3
            cancelled #3 1kWh Requested 106
            rejected New invalid_list
            accepted #4
            buy | sell 1x1kWh @ 4.00
        "#]],
    );
}

#[test]
fn a_block_holds_capacity_credit_and_room() {
    check(
        "credit limit 2 8.00
         buy B1 1kWh @ 4.00 in block 1 of 3
         buy B1 1kWh @ 4.00 slot 1 in block 1 of 3
         buy B2 0.01kWh @ 0.01
         cancel #1
         credit limit 2 1000.00
         buy B1 10kWh @ 4.00 in block 2 of 2
         buy B1 0.01kWh @ 1.00
         buy B1 10kWh @ 4.00 slot 1
         buy B1 0.01kWh @ 4.00 slot 1 in block 2 of 2
         buy B1 0.01kWh @ 1.00",
        &expect![[r#"
            platform 2 may owe 8.00
            accepted #1
            accepted #2
            rejected New credit_exceeded
            cancelled #1 1kWh Requested 104
            cancelled #2 1kWh List 102
            platform 2 may owe 1000.00
            accepted #3
            rejected New capacity_exceeded
            accepted #4
            rejected New capacity_exceeded
            cancelled #3 10kWh List 105
            accepted #5
        "#]],
    );
}

#[test]
fn a_suspended_meter_keeps_its_block_and_it_may_fill() {
    check(
        "buy B1 1kWh @ 4.00 in block 1 of 2
         buy B1 1kWh @ 4.00 slot 1 in block 1 of 2
         buy B2 1kWh @ 4.00 in block 2 of 2
         suspend retailer 1
         buy B2 1kWh @ 4.00 slot 1 in block 2 of 2
         sell S6 1kWh @ 4.00
         sell S6 1kWh @ 4.00 slot 1",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            retailer 1 suspended
            rejected New trading_suspended
            cancelled #3 1kWh List 103
            accepted #4
            accepted #5
            trade S6#4 B1#1 1kWh @ 4.00 maker sell
            trade S6#5 B1#2 1kWh @ 4.00 maker sell
        "#]],
    );
}
