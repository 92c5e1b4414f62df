//! Controls of a market and credit, from the configuration to what platforms are told.

use std::ops::ControlFlow;

use tests::{
    cast::{FIRST, FOURTH, SECOND, THIRD},
    platform::{Platform, report, told},
    venue::{Venue, config_with_controls},
};
use types::{Command, Scope, Side};
use wire::outbound::ExecType;

const SECOND_NS: i64 = 1_000_000_000;

async fn desk(controls: &str, minute: i64) -> (Venue, Platform, Platform) {
    let venue = Venue::open_with(&config_with_controls(controls)).await;
    venue.clock_to(minute).await;
    let first = Platform::log_on(&venue, 1).await;
    let second = Platform::log_on(&venue, 2).await;
    (venue, first, second)
}

/// How many commands of a kind the journal of a stopped exchange holds.
async fn count(venue: Venue, is_one: impl Fn(&Command) -> bool) -> usize {
    let journal = venue.layout.journal();
    let keep = venue.stop().await;
    let mut count = 0;
    journal::scan(&journal, &mut |entry, _| {
        count += usize::from(is_one(&entry.command.value));
        ControlFlow::Continue(())
    })
    .unwrap();
    drop(keep);
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_enters_or_leaves_a_frozen_call() {
    let (venue, mut first, mut second) = desk("freeze_min_s = 20\nfreeze_max_s = 40", -40).await;
    let sell = first.order(FIRST, Side::Sell, 100, 400);
    let sell = first.accepted(sell).await.order;
    let other = first.order(THIRD, Side::Sell, 100, 10);
    first.accepted(other).await;
    let buy = second.order(SECOND, Side::Buy, 100, 300);
    second.accepted(buy).await;
    let end = venue.minutes_from_noon(-30);
    venue.set_clock(end).await;
    let late = second.order(SECOND, Side::Buy, 100, 100);
    assert_eq!(told(&second.place(late).await), "rejected wrong_phase");
    assert_eq!(told(&first.cancel(sell).await), "cancel rejected wrong_phase");
    assert_eq!(told(&first.reduce(sell, 10).await), "reduce rejected wrong_phase");
    assert_eq!(told(&first.hibernate(sell).await), "hibernate rejected wrong_phase");
    let emergency = first.mass_cancel(Scope::Meter(THIRD), None).await;
    assert_eq!(told(&emergency), "mass cancelled 1", "this works in every phase");
    assert_eq!(first.unread_words().await, ["cancelled 10 mass_cancel"]);
    venue.set_clock(end.plus_ns(19 * SECOND_NS)).await;
    assert_eq!(second.unread().await, [], "not before the shortest freeze");

    let (venue, _) = venue.restart().await;
    let mut second = Platform::log_on(&venue, 2).await;
    venue.set_clock(end.plus_ns(40 * SECOND_NS)).await;
    assert_eq!(second.unread_words().await, ["trade 300 leaves 0"], "also after a restart");
    let noon = venue.slot(0);
    let freezes = count(
        venue,
        |command| matches!(command, Command::FreezeSlot(freeze) if freeze.key == noon),
    );
    assert_eq!(freezes.await, 1, "the restart does not freeze it again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_of_the_price_begins_a_call() {
    let (venue, mut first, mut second) = desk("dynamic_band = \"0.02\"", -29).await;
    for (milli, wh) in [(100, 10), (150, 300)] {
        let sell = first.order(FIRST, Side::Sell, milli, wh);
        first.accepted(sell).await;
    }
    let buy = second.order(SECOND, Side::Buy, 100, 10);
    second.accepted(buy).await;
    assert_eq!(second.unread_words().await, ["trade 10 leaves 0"]);
    let jump = second.order(SECOND, Side::Buy, 160, 200);
    second.accepted(jump).await;
    assert_eq!(second.unread().await, [], "it waits for the end of the call");
    let began = venue.now();
    venue.set_clock(began.plus_ns(299 * SECOND_NS)).await;
    assert_eq!(second.unread().await, []);
    venue.set_clock(began.plus_ns(301 * SECOND_NS)).await;
    let fill = second.report_of(ExecType::Trade).await;
    assert_eq!((fill.quantity.wh(), fill.leaves.wh()), (200, 0));
    assert!((150_000..=160_000).contains(&fill.price.micros()), "{}", fill.price);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_outside_the_collar_extends_the_call_once() {
    let (venue, mut first, mut second) = desk("collar = \"0.05\"", -40).await;
    for (slot, milli) in [(0, 100), (1, 300)] {
        first.key = venue.slot(slot);
        second.key = venue.slot(slot);
        let sell = first.order(FIRST, Side::Sell, milli, 100);
        first.accepted(sell).await;
        let buy = second.order(SECOND, Side::Buy, milli, 100);
        second.accepted(buy).await;
    }
    venue.clock_to(-30).await;
    assert_eq!(second.unread_words().await, ["trade 100 leaves 0"], "the first has no reference");
    venue.clock_to(-15).await;
    assert_eq!(second.unread().await, [], "0.30 is too far from 0.10");
    let late = second.order(SECOND, Side::Buy, 300, 50);
    second.accepted(late).await;
    let (venue, _) = venue.restart().await;
    let mut second = Platform::log_on(&venue, 2).await;
    venue.set_clock(venue.minutes_from_noon(-10)).await;
    assert_eq!(second.unread().await, [], "five minutes from its end");
    venue.set_clock(venue.minutes_from_noon(-9)).await;
    assert_eq!(second.unread_words().await, ["trade 100 leaves 0"]);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_do_not_trade_with_themselves_where_the_market_says_so() {
    for (scope, words) in [("owner", "cancelled 100 self_trade"), ("meter", "trade 100 leaves 0")] {
        let (venue, mut first, mut second) =
            desk(&format!("self_trade_scope = \"{scope}\""), -29).await;
        let sell = first.order(FIRST, Side::Sell, 100, 100);
        first.accepted(sell).await;
        let buy = second.order(FOURTH, Side::Buy, 100, 100);
        second.accepted(buy).await;
        assert_eq!(second.unread_words().await, [words], "{scope}");
        venue.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_keep_to_the_controls_of_their_market() {
    let controls = "quantity_min_wh = 50\nvalue_max = \"0.05\"\nexecutions_max = 1";
    let (venue, mut first, mut second) = desk(controls, -29).await;
    let small = first.order(FIRST, Side::Sell, 100, 40);
    assert_eq!(told(&first.place(small).await), "rejected quantity_below_minimum");
    let valuable = first.order(FIRST, Side::Sell, 100, 510);
    assert_eq!(told(&first.place(valuable).await), "rejected value_above_maximum");
    let sell = first.order(FIRST, Side::Sell, 100, 500);
    first.accepted(sell).await;
    let buy = second.order(SECOND, Side::Buy, 100, 50);
    second.accepted(buy).await;
    let again = second.order(SECOND, Side::Buy, 100, 50);
    assert_eq!(told(&second.place(again).await), "rejected execution_limit_reached");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_owes_no_more_than_its_credit() {
    let credit = "[[credit]]\nplatform = 2\nmarket = 1\nlimit = \"0.05\"";
    let (venue, mut first, mut second) = desk(credit, -29).await;
    let much = second.order(SECOND, Side::Buy, 100, 510);
    assert_eq!(told(&second.place(much).await), "rejected credit_exceeded");
    let most = second.order(SECOND, Side::Buy, 100, 500);
    let most = second.accepted(most).await.order;
    let more = second.order(FOURTH, Side::Buy, 100, 10);
    assert_eq!(told(&second.place(more).await), "rejected credit_exceeded");
    assert_eq!(told(&second.cancel(most).await), "cancelled 500 requested");
    second.accepted(more).await;
    let unlimited = first.order(FIRST, Side::Buy, 100, 2_000);
    let unlimited = first.place(unlimited).await;
    assert_eq!(told(&unlimited), "new 2000", "platform 1 has no limit");
    assert_eq!(report(&unlimited).price.micros(), 100_000);

    let (venue, _) = venue.restart().await;
    let mut second = Platform::log_on(&venue, 2).await.counting_from(100);
    let much = second.order(SECOND, Side::Buy, 100, 500);
    assert_eq!(told(&second.place(much).await), "rejected credit_exceeded");
    let settings =
        count(venue, |c| matches!(c, Command::SetCredit(_) | Command::SetControls(_))).await;
    assert_eq!(settings, 1, "what is as it should be is not set again");
}
