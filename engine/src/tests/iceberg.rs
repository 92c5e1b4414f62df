//! Orders that show only a part of themselves.

use expect_test::expect;

use super::{check_call, check_continuous};

#[test]
fn t72_what_is_displayed_fills_and_the_next_part_stands_at_the_end() {
    check_continuous(
        "sell S1 5kWh @ 4.00 showing 2kWh
         sell S2 1kWh @ 4.00
         depth
         buy B1 4kWh @ 4.00
         depth
         buy B2 2kWh @ 4.00
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            buy | sell 2x3kWh @ 4.00
            accepted #3
            trade S1#1 B1#3 2kWh @ 4.00 maker sell
            trade S2#2 B1#3 1kWh @ 4.00 maker sell
            trade S1#1 B1#3 1kWh @ 4.00 maker sell
            buy | sell 1x1kWh @ 4.00
            accepted #4
            trade S1#1 B2#4 1kWh @ 4.00 maker sell
            trade S1#1 B2#4 1kWh @ 4.00 maker sell
            buy | sell
        "#]],
    );
}

#[test]
fn what_is_displayed_keeps_its_place_until_it_is_gone() {
    check_continuous(
        "sell S1 4kWh @ 4.00 showing 2kWh
         sell S2 2kWh @ 4.00
         buy B1 1kWh @ 4.00
         depth
         buy B1 2kWh @ 4.00
         depth
         buy B1 3kWh @ 4.00",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            trade S1#1 B1#3 1kWh @ 4.00 maker sell
            buy | sell 2x3kWh @ 4.00
            accepted #4
            trade S1#1 B1#4 1kWh @ 4.00 maker sell
            trade S2#2 B1#4 1kWh @ 4.00 maker sell
            buy | sell 2x3kWh @ 4.00
            accepted #5
            trade S2#2 B1#5 1kWh @ 4.00 maker sell
            trade S1#1 B1#5 2kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn several_icebergs_take_turns() {
    check_continuous(
        "sell S1 3kWh @ 4.00 showing 1kWh
         sell S2 3kWh @ 4.00 showing 2kWh
         buy B1 5kWh @ 4.00
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            trade S1#1 B1#3 1kWh @ 4.00 maker sell
            trade S2#2 B1#3 2kWh @ 4.00 maker sell
            trade S1#1 B1#3 1kWh @ 4.00 maker sell
            trade S2#2 B1#3 1kWh @ 4.00 maker sell
            buy | sell 1x1kWh @ 4.00
        "#]],
    );
}

#[test]
fn an_iceberg_enters_with_all_of_it() {
    check_continuous(
        "sell S1 3kWh @ 4.00
         buy B1 5.5kWh @ 4.00 showing 1kWh
         depth
         sell S2 0.5kWh @ 4.00
         depth
         sell S2 9kWh @ 4.00 ioc",
        &expect![[r#"
            accepted #1
            accepted #2
            trade S1#1 B1#2 3kWh @ 4.00 maker sell
            buy 1x1kWh @ 4.00 | sell
            accepted #3
            trade S2#3 B1#2 0.5kWh @ 4.00 maker buy
            buy 1x0.5kWh @ 4.00 | sell
            accepted #4
            trade S2#4 B1#2 0.5kWh @ 4.00 maker buy
            trade S2#4 B1#2 1kWh @ 4.00 maker buy
            trade S2#4 B1#2 0.5kWh @ 4.00 maker buy
            cancelled #4 7kWh ImmediateOrCancel 104
        "#]],
    );
}

#[test]
fn t74_a_reduction_takes_from_what_is_hidden_first() {
    check_continuous(
        "sell S1 6kWh @ 4.00 showing 2kWh
         sell S2 1kWh @ 4.00
         buy B1 1kWh @ 4.00
         reduce #1 3kWh
         depth
         reduce #1 1kWh
         depth
         reduce #1 0.5kWh
         depth
         buy B1 1kWh @ 4.00
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            trade S1#1 B1#3 1kWh @ 4.00 maker sell
            replaced #1 2kWh @ 4.00 in place
            buy | sell 2x2kWh @ 4.00
            replaced #1 1kWh @ 4.00 in place
            buy | sell 2x2kWh @ 4.00
            replaced #1 0.5kWh @ 4.00 in place
            buy | sell 2x1.5kWh @ 4.00
            accepted #4
            trade S1#1 B1#4 0.5kWh @ 4.00 maker sell
            trade S2#2 B1#4 0.5kWh @ 4.00 maker sell
            buy | sell 1x0.5kWh @ 4.00
        "#]],
    );
}

#[test]
fn a_replacement_in_place_takes_from_what_is_hidden_first() {
    check_continuous(
        "sell S1 6kWh @ 4.00 showing 2kWh
         buy B1 1kWh @ 4.00
         sell S2 1kWh @ 4.00
         replace #1 S1 3kWh @ 4.00
         depth
         replace #1 S1 0.6kWh @ 4.00
         depth
         buy B1 1kWh @ 4.00",
        &expect![[r#"
            accepted #1
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            accepted #3
            replaced #1 3kWh @ 4.00 in place
            buy | sell 2x2kWh @ 4.00
            replaced #1 0.6kWh @ 4.00 in place
            buy | sell 2x1.6kWh @ 4.00
            accepted #4
            trade S1#1 B1#4 0.6kWh @ 4.00 maker sell
            trade S2#3 B1#4 0.4kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn a_replacement_that_moves_shows_its_display_anew() {
    check_continuous(
        "sell S1 6kWh @ 4.00 showing 2kWh
         buy B1 1kWh @ 4.00
         depth
         replace #1 S1 5kWh @ 4.01
         depth
         replace #1 S1 1kWh @ 4.01
         depth
         replace #1 S1 8kWh @ 4.01
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            buy | sell 1x1kWh @ 4.00
            replaced #1 5kWh @ 4.01
            buy | sell 1x2kWh @ 4.01
            replaced #1 1kWh @ 4.01 in place
            buy | sell 1x1kWh @ 4.01
            replaced #1 8kWh @ 4.01
            buy | sell 1x2kWh @ 4.01
        "#]],
    );
}

#[test]
fn an_activated_iceberg_shows_its_display_anew() {
    check_continuous(
        "sell S1 6kWh @ 4.00 showing 2kWh
         buy B1 1kWh @ 4.00
         hibernate #1
         depth
         activate #1
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            trade S1#1 B1#2 1kWh @ 4.00 maker sell
            hibernated #1 5kWh
            buy | sell
            activated #1 5kWh
            buy | sell 1x2kWh @ 4.00
        "#]],
    );
}

#[test]
fn a_display_of_all_of_it_is_an_ordinary_order() {
    check_continuous(
        "sell S1 2kWh @ 4.00 showing 2kWh
         sell S2 2kWh @ 4.00
         buy B1 3kWh @ 4.00
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            trade S1#1 B1#3 2kWh @ 4.00 maker sell
            trade S2#2 B1#3 1kWh @ 4.00 maker sell
            buy | sell 1x1kWh @ 4.00
        "#]],
    );
}

#[test]
fn an_iceberg_and_an_all_or_none_at_one_price() {
    check_continuous(
        "sell S1 6kWh @ 4.00 showing 2kWh
         sell S2 5kWh @ 4.00 all-or-none
         buy B1 6kWh @ 4.00
         depth
         sell S3 6kWh @ 4.00 showing 2kWh
         buy B2 9kWh @ 4.00",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            trade S1#1 B1#3 2kWh @ 4.00 maker sell
            trade S1#1 B1#3 2kWh @ 4.00 maker sell
            trade S1#1 B1#3 2kWh @ 4.00 maker sell
            buy | sell 1x5kWh @ 4.00
            accepted #4
            accepted #5
            trade S2#2 B2#5 5kWh @ 4.00 maker sell
            trade S3#4 B2#5 2kWh @ 4.00 maker sell
            trade S3#4 B2#5 2kWh @ 4.00 maker sell
        "#]],
    );
}

#[test]
fn t73_all_of_an_iceberg_takes_part_in_an_auction_at_its_place() {
    check_call(
        "sell S1 5kWh @ 4.00 showing 1kWh
         sell S2 5kWh @ 4.00
         buy B1 3kWh @ 4.00
         depth
         indicative
         uncross
         depth
         buy B2 2kWh @ 4.00
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            buy 1x3kWh @ 4.00 | sell 2x6kWh @ 4.00
            indicative 4.00 3kWh surplus -7000
            uncrossed 4.00 3kWh surplus -7000 of 1
            trade S1#1 B1#3 3kWh @ 4.00
            continuous
            buy | sell 2x6kWh @ 4.00
            accepted #4
            trade S1#1 B2#4 1kWh @ 4.00 maker sell
            trade S2#2 B2#4 1kWh @ 4.00 maker sell
            buy | sell 2x5kWh @ 4.00
        "#]],
    );
}

#[test]
fn after_an_auction_the_smaller_of_display_and_open_is_in_view() {
    check_call(
        "sell S1 5kWh @ 4.00 showing 2kWh
         buy B1 2kWh @ 4.00
         buy B2 2kWh @ 4.00
         uncross
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            accepted #3
            uncrossed 4.00 4kWh surplus -1000 of 1
            trade S1#1 B1#2 2kWh @ 4.00
            trade S1#1 B2#3 2kWh @ 4.00
            continuous
            buy | sell 1x1kWh @ 4.00
        "#]],
    );
}

#[test]
fn an_iceberg_reduced_and_replaced_in_a_call() {
    check_call(
        "sell S1 5kWh @ 4.00 showing 2kWh
         sell S2 1kWh @ 4.00
         reduce #1 2kWh
         depth
         replace #1 S1 1kWh @ 4.00
         depth
         replace #1 S1 4kWh @ 4.00
         depth
         buy B1 3kWh @ 4.00
         uncross
         depth",
        &expect![[r#"
            accepted #1
            accepted #2
            replaced #1 3kWh @ 4.00 in place
            buy | sell 2x3kWh @ 4.00
            replaced #1 1kWh @ 4.00 in place
            buy | sell 2x2kWh @ 4.00
            replaced #1 4kWh @ 4.00
            buy | sell 2x3kWh @ 4.00
            accepted #3
            uncrossed 4.00 3kWh surplus -2000 of 1
            trade S2#2 B1#3 1kWh @ 4.00
            trade S1#1 B1#3 2kWh @ 4.00
            continuous
            buy | sell 1x2kWh @ 4.00
        "#]],
    );
}

#[test]
fn an_iceberg_that_is_not_touched_by_an_auction_shows_what_it_showed() {
    check_call(
        "sell S1 5kWh @ 5.00 showing 2kWh
         uncross
         buy B1 1kWh @ 5.00
         depth
         open slot 1
         depth",
        &expect![[r#"
            accepted #1
            uncrossed none 0kWh surplus 0 of 0
            continuous
            accepted #2
            trade S1#1 B1#2 1kWh @ 5.00 maker sell
            buy | sell 1x1kWh @ 5.00
            call
            buy | sell 1x1kWh @ 5.00
        "#]],
    );
}
