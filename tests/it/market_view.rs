//! The books as readers see them, beside a running exchange.

use exchange::market_data::MarketData;
use tests::{
    cast::{FIRST, SECOND},
    platform::Platform,
    venue::Venue,
};
use types::{Energy, Phase, Side};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_a_report_finds_its_effect_in_the_books() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut first = Platform::log_on(&venue, 1).await;
    let mut second = Platform::log_on(&venue, 2).await;
    let market = venue.first().market.clone();

    let sell = first.order(FIRST, Side::Sell, 120, 500);
    first.accepted(sell).await;
    let (before, book) = market.book(sell.key).unwrap().unwrap();
    assert_eq!(book.phase, Phase::Continuous);
    assert_eq!((book.buy.len(), book.sell.len(), book.last), (0, 1, None));
    assert_eq!(book.sell[0].price, sell.limit);
    assert_eq!((book.sell[0].quantity, book.sell[0].orders), (Energy::from_wh(500), 1));
    assert!(!market.changed_since(sell.key, before));

    let buy = second.order(SECOND, Side::Buy, 120, 200);
    second.accepted(buy).await;
    let (after, best) = market.best(sell.key).unwrap().unwrap();
    assert!(after > before && market.changed_since(sell.key, before));
    assert_eq!(best.sell.unwrap().quantity, Energy::from_wh(300));
    let (_, book) = market.book(sell.key).unwrap().unwrap();
    assert_eq!(book.last, Some(sell.limit));
    let counters = market.counters().unwrap();
    assert_eq!((counters.accepted, counters.trades), (2, 1));
    assert_eq!(counters.traded, Energy::from_wh(200));
    venue.close().await;
}

#[test]
fn a_view_without_books_shows_none() {
    let (data, reader) = MarketData::new(4);
    assert_eq!(reader.keys(), []);
    drop(data);
}
