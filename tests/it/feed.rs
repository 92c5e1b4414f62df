//! The trade feed: everything once, in order, from wherever a subscriber begins.

use tests::{
    cast::{FIRST, FOURTH, SECOND, THIRD},
    platform::Platform,
    venue::{Venue, follow, soon},
};
use types::{Event, Seq, Side};
use wire::FeedItem;

/// Trades so many times between both pairs of meters. Returns the position of the last trade.
async fn trade(first: &mut Platform, second: &mut Platform, rounds: usize) -> Seq {
    let mut last = Seq::ZERO;
    for _ in 0..rounds {
        for (seller, buyer) in [(FIRST, SECOND), (THIRD, FOURTH)] {
            let sell = first.order(seller, Side::Sell, 100, 20);
            first.accepted(sell).await;
            let buy = second.order(buyer, Side::Buy, 100, 20);
            last = second.accepted(buy).await.seq;
        }
    }
    last
}

fn after(items: &[FeedItem], seq: Seq) -> Vec<FeedItem> {
    items.iter().filter(|item| item.seq > seq).copied().collect()
}

fn trades(items: &[FeedItem]) -> Vec<u64> {
    let trades = items.iter().filter_map(|item| {
        if let Event::Trade(trade) = &item.event { Some(trade.trade.get()) } else { None }
    });
    trades.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_subscriber_gets_the_same_items_whenever_it_begins() {
    const ROUNDS: usize = 20;
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut first = Platform::log_on(&venue, 1).await;
    let mut second = Platform::log_on(&venue, 2).await;
    let (goal, mut reached) = tokio::sync::watch::channel(Seq::ZERO);
    let mut live = venue.subscribe(Seq::ZERO).await;
    let live = tokio::spawn(async move {
        let mut items = Vec::new();
        // Batch by batch while there is trading, until told how far it went.
        while *reached.borrow_and_update() == Seq::ZERO {
            let batch = async {
                tokio::select! {
                    batch = live.next_batch() => batch.unwrap().items,
                    _ = reached.changed() => Vec::new(),
                }
            };
            items.extend(soon(batch).await);
        }
        (items, live)
    });
    let middle = trade(&mut first, &mut second, ROUNDS).await;
    let mut from_middle = venue.subscribe(middle).await;
    let end = trade(&mut first, &mut second, ROUNDS).await;
    goal.send_replace(end);
    let (mut items, mut live) = live.await.unwrap();
    if items.last().is_none_or(|item| item.seq < end) {
        items.extend(follow(&mut live, end).await);
    }

    let whole = venue.feed(Seq::ZERO, end).await;
    let places: Vec<_> = whole.iter().map(|item| (item.seq, item.index)).collect();
    assert!(places.is_sorted_by(|one, next| one < next), "in order, nothing twice");
    let expected: Vec<_> = (1..=u64::try_from(ROUNDS * 4).unwrap()).collect();
    assert_eq!(trades(&whole), expected, "every trade, none twice");
    assert_eq!(items, whole, "live from the beginning");
    assert_eq!(follow(&mut from_middle, end).await, after(&whole, middle), "from the middle");
    for from in [1, middle.get() + 1, end.get() - 1].map(Seq::new) {
        assert_eq!(venue.feed(from, end).await, after(&whole, from), "late, from {from}");
    }
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_goes_on_after_a_restart() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut first = Platform::log_on(&venue, 1).await;
    let mut second = Platform::log_on(&venue, 2).await;
    let before = trade(&mut first, &mut second, 3).await;
    let items = venue.feed(Seq::ZERO, before).await;
    drop((first, second));

    let (venue, _) = venue.restart().await;
    assert_eq!(venue.durable(), before, "a restart over known parties adds nothing");
    assert_eq!(venue.feed(Seq::ZERO, before).await, items, "the same from disk");
    let mut waiting = venue.subscribe(before).await;
    let mut first = Platform::log_on(&venue, 1).await.counting_from(100);
    let mut second = Platform::log_on(&venue, 2).await.counting_from(100);
    let end = trade(&mut first, &mut second, 3).await;
    let whole = venue.feed(Seq::ZERO, end).await;
    assert_eq!(whole[..items.len()], items[..]);
    assert_eq!(follow(&mut waiting, end).await, whole[items.len()..]);
    assert_eq!(trades(&whole), (1..=12).collect::<Vec<_>>(), "numbers go on");
    venue.settled_through(end).await;
    let summary = venue.node.settlement.summary().await.unwrap();
    assert_eq!(summary.contracts, 12, "settlement has each once");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_says_whose_a_meter_is() {
    let venue = Venue::open().await;
    let items = venue.feed(Seq::ZERO, venue.durable()).await;
    let owners: Vec<_> = items
        .iter()
        .filter_map(|item| {
            let Event::MeterRegistered(meter) = &item.event else { return None };
            Some((meter.meter.get(), meter.owner.get()))
        })
        .collect();
    assert_eq!(owners, [(1, 1), (2, 0), (3, 0), (4, 1), (5, 0)]);
    venue.close().await;
}
