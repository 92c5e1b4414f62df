//! The laws of call auctions on random small books, with brute force as the judge.

use engine::auction::{Clearing, Curve, CurvePoint, clear};
use proptest::prelude::*;
use std::collections::BTreeMap;
use tests::model::price_by_brute_force;
use types::{Energy, Price, PriceRule, Side};

/// Side, limit (none in a market order), quantity.
type Book = Vec<(Side, Option<Price>, u64)>;

const TICK: i64 = 5;

fn price(ticks: i64) -> Price {
    Price::from_micros(ticks * TICK)
}

fn rules() -> impl Strategy<Value = PriceRule> {
    prop::sample::select(PriceRule::ALL.to_vec())
}

/// Books of limit orders.
fn books() -> impl Strategy<Value = Book> {
    let order = (any::<bool>(), -6_i64..7, 1_u64..6).prop_map(|(buys, ticks, quantity)| {
        (if buys { Side::Buy } else { Side::Sell }, Some(price(ticks)), quantity)
    });
    prop::collection::vec(order, 0..14)
}

/// Books of limit and market orders.
fn mixed_books() -> impl Strategy<Value = Book> {
    let limit = prop::option::weighted(0.7, -6_i64..7);
    let order = (any::<bool>(), limit, 1_u64..6).prop_map(|(buys, ticks, quantity)| {
        (if buys { Side::Buy } else { Side::Sell }, ticks.map(price), quantity)
    });
    prop::collection::vec(order, 0..12)
}

fn points(book: &Book) -> Vec<CurvePoint> {
    let mut levels: BTreeMap<Price, (u64, u64)> = BTreeMap::new();
    for &(side, limit, quantity) in book {
        let Some(limit) = limit else { continue };
        let level = levels.entry(limit).or_default();
        match side {
            Side::Buy => level.0 += quantity,
            Side::Sell => level.1 += quantity,
        }
    }
    let point = |(price, (buy, sell))| CurvePoint {
        price,
        buy: Energy::from_wh(buy),
        sell: Energy::from_wh(sell),
    };
    levels.into_iter().map(point).collect()
}

fn market_orders(book: &Book, side: Side) -> Energy {
    let market = book.iter().filter(|order| order.0 == side && order.1.is_none());
    Energy::from_wh(market.map(|order| order.2).sum())
}

fn clear_book(rule: PriceRule, book: &Book, reference: Option<Price>) -> Option<Clearing> {
    let points = points(book);
    let curve = Curve {
        points: &points,
        market_buy: market_orders(book, Side::Buy),
        market_sell: market_orders(book, Side::Sell),
        tick: Price::from_micros(TICK),
        reference,
    };
    clear(rule, &curve)
}

fn demand(book: &Book, price: Price) -> u64 {
    let accepts = |limit: Option<Price>| limit.is_none_or(|limit| limit >= price);
    book.iter().filter(|o| o.0 == Side::Buy && accepts(o.1)).map(|o| o.2).sum()
}

fn supply(book: &Book, price: Price) -> u64 {
    let accepts = |limit: Option<Price>| limit.is_none_or(|limit| limit <= price);
    book.iter().filter(|o| o.0 == Side::Sell && accepts(o.1)).map(|o| o.2).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn t52_every_rule_finds_the_price_of_brute_force(
        rule in rules(), book in mixed_books(), reference in prop::option::of(-9_i64..10),
    ) {
        let reference = reference.map(price);
        let cleared = clear_book(rule, &book, reference);
        let brute = price_by_brute_force(rule, &book, Price::from_micros(TICK), reference);
        prop_assert_eq!(cleared.map(|c| c.price), brute.map(|b| b.price));
        prop_assert_eq!(cleared.map(|c| c.volume.wh()), brute.map(|b| b.volume));
        prop_assert_eq!(cleared.map(|c| i128::from(c.surplus_wh)), brute.map(|b| b.surplus));
        prop_assert_eq!(cleared.map(|c| c.clamped), brute.map(|b| b.clamped));
        let candidates = brute.map(|b| u32::try_from(b.candidates).unwrap());
        prop_assert_eq!(cleared.map(|c| c.candidates), candidates);
    }

    #[test]
    fn prices_follow_the_laws(
        rule in rules(), book in books(), reference in prop::option::of(-9_i64..10),
    ) {
        let reference = reference.map(price);
        // Every price there is, whether a limit or not.
        let all = (-40_i64..41).map(Price::from_micros);
        let volume = |p: Price| demand(&book, p).min(supply(&book, p));
        let most = all.clone().map(volume).max().unwrap_or(0);
        let Some(cleared) = clear_book(rule, &book, reference) else {
            prop_assert_eq!(most, 0, "something could trade");
            return Ok(());
        };
        prop_assert_eq!(cleared.volume.wh(), most, "volume is not the largest");
        prop_assert_eq!(cleared.price.micros().rem_euclid(TICK), 0, "price is off the tick");
        if rule != PriceRule::Midpoint {
            let surplus = |p: Price| demand(&book, p).abs_diff(supply(&book, p));
            let limits = points(&book).into_iter().map(|point| point.price);
            let least = limits.filter(|&p| volume(p) == most).map(surplus).min();
            let surplus = cleared.surplus_wh.unsigned_abs();
            prop_assert!(Some(surplus) <= least, "surplus is not the least");
        }
        if rule != PriceRule::Nse {
            // Strictly better-priced orders fit into the volume, so they are filled in full.
            let better_buys = demand(&book, Price::from_micros(cleared.price.micros() + 1));
            let better_sells = supply(&book, Price::from_micros(cleared.price.micros() - 1));
            prop_assert!(better_buys <= most, "a better buy is left over");
            prop_assert!(better_sells <= most, "a better sell is left over");
        }
    }

    #[test]
    fn an_order_that_cannot_trade_changes_nothing(
        rule in rules(), book in books(), quantity in 1_u64..9,
        reference in prop::option::of(-9_i64..10),
    ) {
        let reference = reference.map(price);
        let before = clear_book(rule, &book, reference);
        let mut more = book;
        more.push((Side::Buy, Some(price(-10)), quantity));
        more.push((Side::Sell, Some(price(10)), quantity));
        prop_assert_eq!(before, clear_book(rule, &more, reference));
    }

    #[test]
    fn better_priced_limits_act_as_market_orders(
        book in books(), inner_buy in -6_i64..7, inner_sell in -6_i64..7,
        buy in 0_u64..9, sell in 0_u64..9, reference in -6_i64..7,
    ) {
        // Only with a limit on each side of the book do the band edges never become the price.
        let mut book = book;
        book.push((Side::Buy, Some(price(inner_buy)), 1));
        book.push((Side::Sell, Some(price(inner_sell)), 1));
        let with = |buy_limit: Option<Price>, sell_limit: Option<Price>| {
            let mut book = book.clone();
            if buy > 0 {
                book.push((Side::Buy, buy_limit, buy));
            }
            if sell > 0 {
                book.push((Side::Sell, sell_limit, sell));
            }
            clear_book(PriceRule::T7Clamp, &book, Some(price(reference)))
        };
        let Some(market) = with(None, None) else { return Ok(()) };
        let limited = with(Some(price(20)), Some(price(-20)));
        let limited = limited.map(|cleared| (cleared.volume, cleared.surplus_wh.unsigned_abs()));
        // The edges are candidates too, so the surplus can only become smaller.
        prop_assert_eq!(limited.map(|l| l.0), Some(market.volume));
        prop_assert!(limited.is_some_and(|l| l.1 <= market.surplus_wh.unsigned_abs()));
    }
}
