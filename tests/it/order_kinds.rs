//! What an order can ask for besides price and quantity, and what can be asked of it, over the
//! network.

use std::ops::ControlFlow;

use gateway::client::sign_new;
use tests::{
    cast::{self, FIRST, FOURTH, SECOND, THIRD},
    platform::{Platform, report, told},
    venue::{Venue, config_text},
};
use types::{
    ClientOrderId, Command, Conditions, Energy, ListKind, MarketId, NewOrder, OrderId, OrderKind,
    OrderList, PlatformId, Price, Scope, Side, SlotKey, TimeInForce,
};
use wire::{Inbound, Outbound, inbound::SignedNew, outbound::ExecType};

/// An exchange in which the slot at noon trades continuously, and two platforms.
async fn desk() -> (Venue, Platform, Platform) {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let first = Platform::log_on(&venue, 1).await;
    let second = Platform::log_on(&venue, 2).await;
    (venue, first, second)
}

fn with(order: NewOrder, conditions: Conditions) -> NewOrder {
    NewOrder { conditions, ..order }
}

fn staying(order: NewOrder, time_in_force: TimeInForce) -> NewOrder {
    NewOrder { time_in_force, ..order }
}

fn at_market(order: NewOrder) -> NewOrder {
    NewOrder { kind: OrderKind::Market, limit: Price::from_micros(0), ..order }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_reduced_where_it_stands() {
    let (venue, mut first, mut second) = desk().await;
    let early = first.order(FIRST, Side::Sell, 120, 500);
    let early = first.accepted(early).await.order;
    let late = first.order(THIRD, Side::Sell, 120, 500);
    first.accepted(late).await;
    let reduced = first.reduce(early, 200).await;
    assert_eq!(told(&reduced), "replaced leaves 300");
    assert_eq!((report(&reduced).order, report(&reduced).price), (early, late.limit));
    let buy = second.order(SECOND, Side::Buy, 120, 100);
    second.accepted(buy).await;
    assert_eq!(first.report_of(ExecType::Trade).await.order, early, "its place is kept");

    assert_eq!(told(&second.reduce(early, 10).await), "reduce rejected not_authorised");
    assert_eq!(told(&first.reduce(early, 5).await), "reduce rejected quantity_not_on_lot");
    assert_eq!(told(&first.reduce(early, 0).await), "reduce rejected quantity_not_on_lot");
    assert_eq!(told(&first.reduce(early, 200).await), "cancelled 200 requested");
    assert_eq!(told(&first.reduce(early, 10).await), "reduce rejected unknown_order");
    assert_eq!(first.unread().await, []);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_hibernates_and_wakes_up() {
    let (venue, mut first, mut second) = desk().await;
    let sell = first.order(FIRST, Side::Sell, 120, 500);
    let sell = first.accepted(sell).await.order;
    assert_eq!(told(&second.hibernate(sell).await), "hibernate rejected not_authorised");
    assert_eq!(told(&first.activate(sell).await), "activate rejected unknown_order");
    assert_eq!(told(&first.hibernate(sell).await), "hibernated leaves 500");
    assert_eq!(told(&first.hibernate(sell).await), "hibernate rejected unknown_order");
    assert_eq!(told(&first.reduce(sell, 10).await), "reduce rejected unknown_order");
    let buy = second.order(SECOND, Side::Buy, 120, 300);
    second.accepted(buy).await;
    assert_eq!(second.unread().await, [], "nobody is there");

    assert_eq!(told(&first.activate(sell).await), "activated leaves 500");
    assert_eq!(first.unread_words().await, ["trade 300 leaves 200"]);
    assert_eq!(second.report_of(ExecType::Trade).await.leaves.wh(), 0);
    assert_eq!(told(&first.hibernate(sell).await), "hibernated leaves 200");
    assert_eq!(told(&first.cancel(sell).await), "cancelled 200 requested", "also asleep");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_cancels_all_its_orders_and_nobody_elses() {
    let (venue, mut first, mut second) = desk().await;
    let theirs = second.order(SECOND, Side::Buy, 10, 100);
    let theirs = second.accepted(theirs).await.order;
    let mut orders = Vec::new();
    for (meter, slot) in [(FIRST, 0), (THIRD, 1), (FIRST, 1)] {
        first.key = venue.slot(slot);
        let order = first.order(meter, Side::Sell, 300, 10);
        first.accepted(order).await;
        orders.push(order);
    }
    let done = first.mass_cancel(Scope::All, None).await;
    assert_eq!(told(&done), "mass cancelled 3");
    let Outbound::MassCancelled(done) = done else { panic!("{done:?}") };
    assert!(done.complete);
    let cancelled = first.unread().await;
    assert_eq!(cancelled.len(), 3);
    for (message, order) in cancelled.iter().zip(&orders) {
        assert_eq!(told(message), "cancelled 10 mass_cancel");
        assert_eq!(
            (report(message).client_order, report(message).seq),
            (order.client_order, done.seq)
        );
    }
    assert_eq!(told(&first.mass_cancel(Scope::All, None).await), "mass cancelled 0");
    let other = Scope::Platform(PlatformId::new(2));
    assert_eq!(told(&first.mass_cancel(other, None).await), "mass cancelled 0");
    assert_eq!(second.unread().await, [], "nobody else notices");
    assert_eq!(told(&second.cancel(theirs).await), "cancelled 100 requested");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mass_cancellation_keeps_to_its_slot_and_scope() {
    let (venue, mut first, _) = desk().await;
    for (meter, slot) in [(FIRST, 0), (THIRD, 0), (FIRST, 1)] {
        first.key = venue.slot(slot);
        let order = first.order(meter, Side::Sell, 300, 10);
        first.accepted(order).await;
    }
    let unknown = SlotKey { market: MarketId::new(9), ..venue.slot(0) };
    let refused = told(&first.mass_cancel(Scope::All, Some(unknown)).await);
    assert_eq!(refused, "mass cancel rejected unknown_market");
    let of_meter = first.mass_cancel(Scope::Meter(THIRD), None).await;
    assert_eq!(told(&of_meter), "mass cancelled 1");
    let of_slot = first.mass_cancel(Scope::All, Some(venue.slot(1))).await;
    assert_eq!(told(&of_slot), "mass cancelled 1");
    let session = first.session.accepted.session;
    let of_session = first.mass_cancel(Scope::Session(session), Some(venue.slot(0))).await;
    assert_eq!(told(&of_session), "mass cancelled 1");
    assert_eq!(first.unread().await.len(), 3);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fill_or_kill_fills_whole_or_not_at_all() {
    let (venue, mut first, mut second) = desk().await;
    let sell = first.order(FIRST, Side::Sell, 120, 300);
    first.accepted(sell).await;
    let much = staying(second.order(SECOND, Side::Buy, 150, 400), TimeInForce::FillOrKill);
    second.accepted(much).await;
    assert_eq!(second.unread_words().await, ["cancelled 400 fill_or_kill"]);
    assert_eq!(first.unread().await, []);
    let enough = staying(second.order(SECOND, Side::Buy, 150, 300), TimeInForce::FillOrKill);
    second.accepted(enough).await;
    assert_eq!(second.unread_words().await, ["trade 300 leaves 0"]);
    let mut early = staying(second.order(SECOND, Side::Buy, 150, 10), TimeInForce::FillOrKill);
    early.key = venue.slot(1);
    assert_eq!(told(&second.place(early).await), "rejected wrong_phase", "not in a call");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_order_takes_what_there_is() {
    let (venue, mut first, mut second) = desk().await;
    for (milli, wh) in [(120, 100), (390, 200)] {
        let sell = first.order(FIRST, Side::Sell, milli, wh);
        first.accepted(sell).await;
    }
    let buy = at_market(second.order(SECOND, Side::Buy, 0, 500));
    second.accepted(buy).await;
    assert_eq!(
        second.unread_words().await,
        ["trade 100 leaves 400", "trade 200 leaves 200", "cancelled 200 no_liquidity"]
    );
    let limited = NewOrder { kind: OrderKind::Market, ..second.order(SECOND, Side::Buy, 100, 10) };
    assert_eq!(told(&second.place(limited).await), "rejected invalid_conditions");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_market_order_waits_for_the_end_of_its_call() {
    let (venue, mut first, mut second) = desk().await;
    first.key = venue.slot(1);
    second.key = venue.slot(1);
    let sell = first.order(FIRST, Side::Sell, 120, 100);
    first.accepted(sell).await;
    let buy = at_market(second.order(SECOND, Side::Buy, 0, 300));
    second.accepted(buy).await;
    venue.clock_to(-15).await;
    let words = second.unread_words().await;
    assert_eq!(words, ["trade 100 leaves 200", "cancelled 200 no_liquidity"]);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_only_order_never_takes() {
    let (venue, mut first, mut second) = desk().await;
    let post_only = Conditions { post_only: true, ..Conditions::NONE };
    let sell = with(first.order(FIRST, Side::Sell, 120, 100), post_only);
    first.accepted(sell).await;
    let buy = with(second.order(SECOND, Side::Buy, 120, 100), post_only);
    assert_eq!(told(&second.place(buy).await), "rejected post_only_would_trade");
    let lower = with(second.order(SECOND, Side::Buy, 119, 100), post_only);
    second.accepted(lower).await;
    let immediate = staying(buy, TimeInForce::ImmediateOrCancel);
    assert_eq!(told(&second.place(immediate).await), "rejected invalid_conditions");
    assert_eq!(first.unread().await, []);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quantities_that_belong_together_trade_together() {
    let (venue, mut first, mut second) = desk().await;
    let all_or_none = Conditions { all_or_none: true, ..Conditions::NONE };
    let sell = with(first.order(FIRST, Side::Sell, 120, 300), all_or_none);
    first.accepted(sell).await;
    let small = second.order(SECOND, Side::Buy, 120, 200);
    second.accepted(small).await;
    assert_eq!(second.unread().await, [], "it is passed over");
    let enough = second.order(FOURTH, Side::Buy, 120, 300);
    second.accepted(enough).await;
    assert_eq!(first.unread_words().await, ["trade 300 leaves 0"]);

    let iceberg = Conditions { display: Energy::from_wh(100), ..Conditions::NONE };
    let hidden = with(first.order(THIRD, Side::Sell, 130, 500), iceberg);
    first.accepted(hidden).await;
    let behind = first.order(FIRST, Side::Sell, 130, 100);
    first.accepted(behind).await;
    let buy = second.order(FOURTH, Side::Buy, 130, 300);
    second.accepted(buy).await;
    assert_eq!(
        first.unread_words().await,
        ["trade 100 leaves 400", "trade 100 leaves 0", "trade 100 leaves 300"],
        "the next part stands at the end of the queue"
    );
    let minimum = Conditions { minimum: Energy::from_wh(350), ..Conditions::NONE };
    let demanding = with(second.order(SECOND, Side::Buy, 130, 400), minimum);
    second.accepted(demanding).await;
    assert_eq!(first.unread().await, [], "300 is less than the minimum");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_expires_though_nothing_else_happens() {
    let (venue, mut first, _) = desk().await;
    let until = |order, expires| {
        let conditions = Conditions { expires, ..Conditions::NONE };
        with(staying(order, TimeInForce::UntilTime), conditions)
    };
    let expires = venue.now().plus_ns(60_000_000_000);
    let order = until(first.order(FIRST, Side::Sell, 300, 50), expires);
    first.accepted(order).await;
    let past = until(first.order(FIRST, Side::Sell, 300, 50), venue.now().plus_ns(-1));
    assert_eq!(told(&first.place(past).await), "rejected invalid_conditions");
    venue.set_clock(expires).await;
    assert_eq!(first.unread().await, [], "its last instant is its own");
    venue.set_clock(expires.plus_ns(1)).await;
    let gone = first.report_of(ExecType::Expired).await;
    assert_eq!(told(&Outbound::ExecutionReport(gone)), "expired 50 last_instant");
    assert_eq!(gone.client_order, order.client_order);
    venue.set_clock(expires.plus_ns(600_000_000_000)).await;

    let journal = venue.layout.journal();
    let keep = venue.stop().await;
    let mut passed = Vec::new();
    journal::scan(&journal, &mut |entry, _| {
        if entry.command.value == Command::PassTime {
            passed.push(entry.events.len());
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(passed, [1], "time passes once, with what it caused");
    drop(keep);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_order_asks_for_is_signed() {
    let (venue, mut first, _) = desk().await;
    let order = first.order(FIRST, Side::Sell, 300, 50);
    let Inbound::NewOrder(signed) = sign_new(&cast::meter_key(FIRST), order) else {
        panic!("a new order");
    };
    let all_or_none = Conditions { all_or_none: true, ..Conditions::NONE };
    let listed = OrderList { kind: ListKind::Block, orders: 1, number: ClientOrderId::new(1) };
    for changed in [
        with(order, all_or_none),
        staying(order, TimeInForce::FillOrKill),
        at_market(order),
        NewOrder { list: listed, ..order },
    ] {
        let message = Inbound::NewOrder(SignedNew { order: changed, ..signed });
        assert_eq!(told(&first.ask(message).await), "turned away signature_invalid");
    }
    first.accepted(order).await;
    venue.close().await;
}

/// Two slots trade continuously half an hour before noon: the one at noon and the next.
async fn wide_desk() -> (Venue, Platform, Platform) {
    let text = config_text();
    let early = text.replace("uncross_lead_minutes = 30", "uncross_lead_minutes = 45");
    assert_ne!(text, early);
    let venue = Venue::open_with(&early).await;
    venue.clock_to(-29).await;
    let first = Platform::log_on(&venue, 1).await;
    let second = Platform::log_on(&venue, 2).await;
    (venue, first, second)
}

/// Orders of one list over the slots at noon and after it.
fn list(
    venue: &Venue,
    platform: &mut Platform,
    (kind, number): (ListKind, u64),
    order: impl Fn(&mut Platform) -> NewOrder,
) -> [NewOrder; 2] {
    [0, 1].map(|slot| {
        platform.key = venue.slot(slot);
        let list = OrderList { kind, orders: 2, number: ClientOrderId::new(number) };
        NewOrder { list, ..order(platform) }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_basket_fills_everywhere_or_nowhere() {
    let (venue, mut first, mut second) = wide_desk().await;
    first.key = venue.slot(0);
    let sell = first.order(FIRST, Side::Sell, 100, 200);
    first.accepted(sell).await;
    let buy = |platform: &mut Platform| {
        staying(platform.order(SECOND, Side::Buy, 100, 200), TimeInForce::FillOrKill)
    };
    for order in list(&venue, &mut second, (ListKind::Basket, 1), buy) {
        second.accepted(order).await;
    }
    assert_eq!(
        second.unread_words().await,
        ["cancelled 200 fill_or_kill", "cancelled 200 fill_or_kill"]
    );
    first.key = venue.slot(1);
    let sell = first.order(FIRST, Side::Sell, 100, 200);
    first.accepted(sell).await;
    for order in list(&venue, &mut second, (ListKind::Basket, 2), buy) {
        second.accepted(order).await;
    }
    assert_eq!(second.unread_words().await, ["trade 200 leaves 0", "trade 200 leaves 0"]);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_waits_until_all_of_it_can_fill() {
    let (venue, mut first, mut second) = wide_desk().await;
    let sell = |platform: &mut Platform| platform.order(FIRST, Side::Sell, 100, 200);
    let mut orders = Vec::new();
    for order in list(&venue, &mut first, (ListKind::Block, 1), sell) {
        orders.push(first.accepted(order).await.order);
    }
    for order in &orders {
        assert_eq!(told(&first.reduce(*order, 10).await), "reduce rejected part_of_list");
    }
    second.key = venue.slot(0);
    let buy = second.order(SECOND, Side::Buy, 100, 200);
    second.accepted(buy).await;
    assert_eq!(second.unread().await, [], "the other slot is missing");
    second.key = venue.slot(1);
    let buy = second.order(SECOND, Side::Buy, 100, 200);
    second.accepted(buy).await;
    assert_eq!(first.unread_words().await, ["trade 200 leaves 0", "trade 200 leaves 0"]);

    let mut orders = Vec::new();
    for order in list(&venue, &mut first, (ListKind::Block, 2), sell) {
        orders.push(first.accepted(order).await.order);
    }
    assert_eq!(told(&first.cancel(orders[1]).await), "cancelled 200 requested");
    assert_eq!(first.unread_words().await, ["cancelled 200 list"], "a list ends whole");
    assert_eq!(told(&first.cancel(OrderId::new(0)).await), "cancel rejected unknown_order");
    venue.close().await;
}
