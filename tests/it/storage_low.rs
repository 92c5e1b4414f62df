//! A disk without room: no new orders, and everything that takes orders away.

use tests::{
    cast::{FIRST, SECOND},
    platform::{Platform, report, told},
    venue::Venue,
};
use types::{OrderId, Scope, Side};

/// More than any disk has.
const EVERYTHING: u64 = u64::MAX;

/// Rests, and its number.
async fn resting(platform: &mut Platform, wh: u64) -> OrderId {
    let order = platform.order(FIRST, Side::Sell, 390, wh);
    platform.accepted(order).await.order
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t41_without_storage_orders_are_only_taken_away() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let one = resting(&mut platform, 100).await;
    let two = resting(&mut platform, 200).await;
    let order = platform.order(FIRST, Side::Sell, 390, 300);
    let last = platform.accepted(order).await;
    let three = last.order;

    venue.node.reserve.require(EVERYTHING);
    let order = platform.order(FIRST, Side::Sell, 380, 50);
    assert_eq!(told(&platform.place(order).await), "turned away storage_low");
    let replacement = platform.replacement(one, FIRST, 380, 50);
    assert_eq!(told(&platform.replace(replacement).await), "turned away storage_low");
    let hibernated = platform.hibernate(two).await;
    assert_eq!(told(&hibernated), "hibernated leaves 200");
    assert_eq!(report(&hibernated).seq, last.seq.next(), "refusals left no trace");
    assert_eq!(told(&platform.activate(two).await), "turned away storage_low");
    assert_eq!(told(&platform.reduce(three, 100).await), "replaced leaves 200");
    assert_eq!(told(&platform.cancel(one).await), "cancelled 100 requested");
    let mut other = Platform::log_on(&venue, 2).await;
    let buy = other.order(SECOND, Side::Buy, 10, 50);
    assert_eq!(told(&other.place(buy).await), "turned away storage_low", "everybody");

    venue.node.reserve.require(1);
    assert_eq!(told(&platform.activate(two).await), "activated leaves 200");
    assert_eq!(told(&platform.place(order).await), "new 50", "the same order, unchanged");

    venue.node.reserve.require(EVERYTHING);
    assert_eq!(told(&platform.mass_cancel(Scope::All, None).await), "mass cancelled 3");
    // The timetable and the operator go on too.
    venue.clock_to(-10).await;
    venue.node.reserve.require(0);
    platform.key = venue.slot(1);
    let next = resting(&mut platform, 10).await;
    assert!(next > three, "without a reserve nobody looks");
    venue.close().await;
}
