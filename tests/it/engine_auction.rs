//! The laws of call auctions on random small books, with brute force as the judge.

use engine::auction::{Curve, CurvePoint, clear};
use proptest::prelude::*;
use std::collections::BTreeMap;
use tests::model::price_by_brute_force;
use types::{Energy, Price, PriceRule, Side};

/// Side, limit in ticks, quantity.
type Book = Vec<(Side, Price, u64)>;

const TICK: i64 = 5;

fn price(ticks: i64) -> Price {
    Price::from_micros(ticks * TICK)
}

fn books() -> impl Strategy<Value = Book> {
    let order = (any::<bool>(), -6_i64..7, 1_u64..6).prop_map(|(buys, ticks, quantity)| {
        (if buys { Side::Buy } else { Side::Sell }, price(ticks), quantity)
    });
    prop::collection::vec(order, 0..14)
}

fn points(book: &Book) -> Vec<CurvePoint> {
    let mut levels: BTreeMap<Price, (u64, u64)> = BTreeMap::new();
    for &(side, limit, quantity) in book {
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

fn demand(book: &Book, price: Price) -> u64 {
    book.iter().filter(|o| o.0 == Side::Buy && o.1 >= price).map(|o| o.2).sum()
}

fn supply(book: &Book, price: Price) -> u64 {
    book.iter().filter(|o| o.0 == Side::Sell && o.1 <= price).map(|o| o.2).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn prices_follow_the_laws(book in books(), reference in prop::option::of(-9_i64..10)) {
        let reference = reference.map(price);
        let points = points(&book);
        let curve = Curve {
            points: &points,
            market_buy: Energy::ZERO,
            market_sell: Energy::ZERO,
            tick: Price::from_micros(TICK),
            reference,
        };
        let cleared = clear(PriceRule::T7Clamp, &curve);
        let brute = price_by_brute_force(&book, Price::from_micros(TICK), reference);
        prop_assert_eq!(cleared.map(|c| c.price), brute.map(|b| b.price));
        prop_assert_eq!(cleared.map(|c| c.volume.wh()), brute.map(|b| b.volume));
        prop_assert_eq!(cleared.map(|c| i128::from(c.surplus_wh)), brute.map(|b| b.surplus));
        prop_assert_eq!(cleared.map(|c| c.clamped), brute.map(|b| b.clamped));

        // Every price there is, whether a limit or not.
        let all = (-40_i64..41).map(Price::from_micros);
        let volume = |p: Price| demand(&book, p).min(supply(&book, p));
        let most = all.clone().map(volume).max().unwrap_or(0);
        let Some(cleared) = cleared else {
            prop_assert_eq!(most, 0, "something could trade");
            return Ok(());
        };
        prop_assert_eq!(cleared.volume.wh(), most, "volume is not the largest");
        let surplus = |p: Price| demand(&book, p).abs_diff(supply(&book, p));
        let limits = points.iter().map(|point| point.price);
        let least = limits.filter(|&p| volume(p) == most).map(surplus).min();
        prop_assert!(Some(cleared.surplus_wh.unsigned_abs()) <= least, "surplus is not the least");
        prop_assert_eq!(cleared.price.micros().rem_euclid(TICK), 0, "price is off the tick");
        // Strictly better-priced orders fit into the volume, so they are filled in full.
        let better_buys = demand(&book, Price::from_micros(cleared.price.micros() + 1));
        let better_sells = supply(&book, Price::from_micros(cleared.price.micros() - 1));
        prop_assert!(better_buys <= most, "a better buy is left over");
        prop_assert!(better_sells <= most, "a better sell is left over");
    }

    #[test]
    fn an_order_that_cannot_trade_changes_nothing(
        book in books(), quantity in 1_u64..9, reference in prop::option::of(-9_i64..10),
    ) {
        let clear_book = |book: &Book| {
            let points = points(book);
            let curve = Curve {
                points: &points,
                market_buy: Energy::ZERO,
                market_sell: Energy::ZERO,
                tick: Price::from_micros(TICK),
                reference: reference.map(price),
            };
            clear(PriceRule::T7Clamp, &curve)
        };
        let before = clear_book(&book);
        let mut more = book;
        more.push((Side::Buy, price(-7), quantity));
        more.push((Side::Sell, price(7), quantity));
        prop_assert_eq!(before, clear_book(&more));
    }

    #[test]
    fn better_priced_limits_act_as_market_orders(
        book in books(), buy in 0_u64..9, sell in 0_u64..9, reference in -6_i64..7,
    ) {
        let with = |points: &[CurvePoint], buy: u64, sell: u64| {
            let curve = Curve {
                points,
                market_buy: Energy::from_wh(buy),
                market_sell: Energy::from_wh(sell),
                tick: Price::from_micros(TICK),
                reference: Some(price(reference)),
            };
            clear(PriceRule::T7Clamp, &curve)
        };
        let inside = points(&book);
        // Only with a limit on each side of the book do the band edges never become the price.
        prop_assume!(inside.iter().any(|p| !p.buy.is_zero()));
        prop_assume!(inside.iter().any(|p| !p.sell.is_zero()));
        let Some(market) = with(&inside, buy, sell) else { return Ok(()) };
        let mut limited = book;
        if buy > 0 {
            limited.push((Side::Buy, price(20), buy));
        }
        if sell > 0 {
            limited.push((Side::Sell, price(-20), sell));
        }
        let limited = with(&points(&limited), 0, 0);
        let limited = limited.map(|cleared| (cleared.volume, cleared.surplus_wh.unsigned_abs()));
        // The edges are candidates too, so the surplus can only become smaller.
        prop_assert_eq!(limited.map(|l| l.0), Some(market.volume));
        prop_assert!(limited.is_some_and(|l| l.1 <= market.surplus_wh.unsigned_abs()));
    }
}
