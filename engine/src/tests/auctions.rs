//! Call auctions: scripts through the engine, and published examples through the price rule.

use expect_test::expect;
use types::{Energy, Price, PriceRule};

use super::check;
use crate::auction::{Clearing, Curve, CurvePoint, clear};

#[test]
fn t46_a_call_collects_and_the_uncross_pairs_in_priority_order() {
    check(
        "open
         indicative
         sell S1 3kWh @ 3.00
         sell S2 2kWh @ 2.00
         buy B1 1kWh @ 4.00
         buy B2 3kWh @ 5.00
         indicative
         uncross
         indicative
         depth",
        &expect![[r#"
            call
            indicative none 0kWh surplus 0
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            indicative 3.00 4kWh surplus -1000
            uncrossed 3.00 4kWh surplus -1000 of 2
            trade S2#2 B2#4 2kWh @ 3.00
            trade S1#1 B2#4 1kWh @ 3.00
            trade S1#1 B1#3 1kWh @ 3.00
            continuous
            not in a call
            buy | sell 1x1kWh @ 3.00
        "#]],
    );
}

#[test]
fn at_an_edge_of_the_band_the_rationed_side_shares_pro_rata() {
    check(
        "market 2 rule pro_rata_at_band
         open of 2
         buy B1 6kWh @ 9.99 of 2
         buy B2 4kWh @ 9.99 of 2
         sell S1 2.01kWh @ 2.00 of 2
         sell S2 3kWh @ 2.00 of 2
         uncross of 2
         depth of 2",
        &expect![[r#"
            market 2 defined
            call
            accepted #1
            accepted #2
            accepted #3
            accepted #4
            uncrossed 9.99 5.01kWh surplus 4990 of 2
            trade S1#3 B1#1 2.01kWh @ 9.99
            trade S2#4 B1#1 1kWh @ 9.99
            trade S2#4 B2#2 2kWh @ 9.99
            continuous
            buy 2x4.99kWh @ 9.99 | sell
        "#]],
    );
}

#[test]
fn away_from_the_edge_the_oldest_fills_first_under_the_same_rule() {
    check(
        "market 2 rule pro_rata_at_band
         open of 2
         buy B1 6kWh @ 9.98 of 2
         buy B2 4kWh @ 9.98 of 2
         sell S1 5kWh @ 2.00 of 2
         uncross of 2",
        &expect![[r#"
            market 2 defined
            call
            accepted #1
            accepted #2
            accepted #3
            uncrossed 9.98 5kWh surplus 5000 of 2
            trade S1#3 B1#1 5kWh @ 9.98
            continuous
        "#]],
    );
}

#[test]
fn t55_nothing_crosses_without_a_price() {
    check(
        "open
         sell S1 3kWh @ 3.00
         buy B1 1kWh @ 2.99
         indicative
         uncross
         depth",
        &expect![[r#"
            call
            accepted #1
            accepted #2
            indicative none 0kWh surplus 0
            uncrossed none 0kWh surplus 0 of 0
            continuous
            buy 1x1kWh @ 2.99 | sell 1x3kWh @ 3.00
        "#]],
    );
}

#[test]
fn t54_without_a_reference_the_middle_of_the_range_then_the_last_price_clamped() {
    check(
        "at opening+10800000000000
         open
         sell S1 1kWh @ 3.00
         buy B1 1kWh @ 3.05
         indicative
         uncross
         close
         open slot 1
         sell S1 1kWh @ 3.03 slot 1
         buy B1 1kWh @ 3.09 slot 1
         uncross slot 1
         close slot 1
         open slot 2
         sell S1 1kWh @ -1.00 slot 2
         buy B1 1kWh @ 9.99 slot 2
         uncross slot 2
         close slot 2
         open slot 3
         sell S1 2kWh @ -0.03 slot 3
         buy B1 2kWh @ -0.01 slot 3
         uncross slot 3",
        &expect![[r#"
            call
            accepted #1
            accepted #2
            indicative 3.02 1kWh surplus 0
            uncrossed 3.02 1kWh surplus 0 of 2
            trade S1#1 B1#2 1kWh @ 3.02
            continuous
            closed
            call
            accepted #3
            accepted #4
            uncrossed 3.03 1kWh surplus 0 of 2 clamped
            trade S1#3 B1#4 1kWh @ 3.03
            continuous
            closed
            call
            accepted #5
            accepted #6
            uncrossed 3.03 1kWh surplus 0 of 2
            trade S1#5 B1#6 1kWh @ 3.03
            continuous
            closed
            call
            accepted #7
            accepted #8
            uncrossed -0.01 2kWh surplus 0 of 2 clamped
            trade S1#7 B1#8 2kWh @ -0.01
            continuous
        "#]],
    );
}

#[test]
fn t53_pressure_decides_where_a_surplus_is_left() {
    check(
        "open
         sell S1 1kWh @ 3.00
         buy B1 1kWh @ 3.05
         buy B2 1kWh @ 3.05
         indicative
         sell S2 3kWh @ 2.00
         indicative
         uncross
         depth",
        &expect![[r#"
            call
            accepted #1
            accepted #2
            accepted #3
            indicative 3.05 1kWh surplus 1000
            accepted #4
            indicative 2.00 2kWh surplus -1000
            uncrossed 2.00 2kWh surplus -1000 of 1
            trade S2#4 B1#2 1kWh @ 2.00
            trade S2#4 B2#3 1kWh @ 2.00
            continuous
            buy | sell 1x1kWh @ 2.00 1x1kWh @ 3.00
        "#]],
    );
}

#[test]
fn a_replacement_in_a_call_loses_its_place_unless_smaller() {
    check(
        "open
         sell S1 2kWh @ 3.00
         sell S2 2kWh @ 3.00
         replace #1 S1 2kWh @ 3.01
         replace #1 S1 2kWh @ 3.00
         buy B1 3kWh @ 3.00
         uncross",
        &expect![[r#"
            call
            accepted #1
            accepted #2
            replaced #1 2kWh @ 3.01
            replaced #1 2kWh @ 3.00
            accepted #3
            uncrossed 3.00 3kWh surplus -1000 of 1
            trade S2#2 B1#3 2kWh @ 3.00
            trade S1#1 B1#3 1kWh @ 3.00
            continuous
        "#]],
    );
}

/// One published or derived example: market orders, then limits with quantities, in ticks.
struct Example {
    market: (u64, u64),
    points: &'static [(i64, u64, u64)],
    reference: Option<i64>,
    /// Price, volume, surplus.
    expected: Option<(i64, u64, i64)>,
}

fn price(example: &Example) -> Option<Clearing> {
    let point = |&(price, buy, sell): &(i64, u64, u64)| CurvePoint {
        price: Price::from_micros(price),
        buy: Energy::from_wh(buy),
        sell: Energy::from_wh(sell),
    };
    let points: Vec<CurvePoint> = example.points.iter().map(point).collect();
    let curve = Curve {
        points: &points,
        market_buy: Energy::from_wh(example.market.0),
        market_sell: Energy::from_wh(example.market.1),
        tick: Price::from_micros(1),
        reference: example.reference.map(Price::from_micros),
    };
    clear(PriceRule::T7Clamp, &curve)
}

fn check_example(example: &Example) {
    let cleared = price(example).map(|c| (c.price.micros(), c.volume.wh(), c.surplus_wh));
    assert_eq!(cleared, example.expected);
}

/// Books of "Xetra Market Model Equities", release 14.0, chapter 13.1, under the rule text of "T7
/// Release 10.0 Market Model", section 11.1.1: example 1, a single limit with the most volume.
#[test]
fn t7_one_limit_has_the_most_volume() {
    check_example(&Example {
        market: (0, 0),
        points: &[(197, 0, 400), (198, 0, 200), (200, 300, 100), (201, 200, 0), (202, 200, 0)],
        reference: None,
        expected: Some((200, 700, 0)),
    });
}

/// Example 6 of the same source: market orders alone trade at the reference price.
#[test]
fn t7_market_orders_alone_trade_at_the_reference() {
    let example = Example {
        market: (900, 800),
        points: &[],
        reference: Some(250),
        expected: Some((250, 800, 100)),
    };
    check_example(&example);
    check_example(&Example { reference: None, expected: None, ..example });
}

/// Example 4 of the same source: the surplus changes sign between the limits that are left. A
/// reference between them is the price though it is no limit; one outside is clamped.
#[test]
fn t7_the_reference_is_clamped_between_opposite_surpluses() {
    let points = &[(199, 100, 0), (202, 0, 100)];
    for (reference, expected, clamped) in [
        (200, (200, 100, 0), false),
        (190, (199, 100, 100), true),
        (203, (202, 100, -100), true),
        (199, (199, 100, 100), false),
    ] {
        let reference = Some(reference);
        let example = Example { market: (100, 100), points, reference, expected: Some(expected) };
        check_example(&example);
        let cleared = price(&example).unwrap();
        assert_eq!((cleared.candidates, cleared.clamped), (2, clamped));
    }
}

/// Cases at the edges, derived from the same rule text.
#[test]
fn t7_edges() {
    let buys_only =
        Example { market: (0, 0), points: &[(5, 10, 0)], reference: None, expected: None };
    check_example(&buys_only);
    check_example(&Example { points: &[(5, 10, 10)], expected: Some((5, 10, 0)), ..buys_only });
    check_example(&Example {
        points: &[(-30, 0, 12), (-20, 5, 0), (-5, 10, 0)],
        reference: Some(-10),
        expected: Some((-20, 12, 3)),
        ..buys_only
    });
    check_example(&Example {
        points: &[(3, 35, 20)],
        reference: Some(3),
        expected: Some((3, 20, 15)),
        ..buys_only
    });
    const HUGE: u64 = 9_000_000_000_000_000;
    check_example(&Example {
        points: &[(9, 0, HUGE), (10, HUGE, 0)],
        reference: Some(11),
        expected: Some((10, HUGE, 0)),
        ..buys_only
    });
    check_example(&Example {
        points: &[(10, 0, 120), (15, 40, 0), (20, 45, 0), (50, 0, 60), (60, 50, 0)],
        reference: Some(20),
        expected: Some((15, 120, 15)),
        ..buys_only
    });
}
