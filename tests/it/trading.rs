//! Orders from logon to their end, over the network.

use gateway::client::sign_new;
use tests::{
    cast::{FIRST, FOURTH, SECOND, THIRD},
    line::Line,
    platform::{Platform, report, told},
    venue::Venue,
};
use types::{Role, Side, TimeInForce};
use wire::{ALPN_ORDERS, Inbound, outbound::ExecType};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_platforms_trade_in_continuous_and_both_are_told() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut seller = Platform::log_on(&venue, 1).await;
    let mut buyer = Platform::log_on(&venue, 2).await;
    let last = seller.session.accepted.last_seq;
    assert!(types::Seq::ZERO < last && last <= venue.durable(), "{last}");

    let sell = seller.order(FIRST, Side::Sell, 120, 500);
    let resting = seller.accepted(sell).await;
    let buy = buyer.order(SECOND, Side::Buy, 150, 300);
    let taken = buyer.accepted(buy).await;
    let (sold, bought) =
        (seller.report_of(ExecType::Trade).await, buyer.report_of(ExecType::Trade).await);
    assert_eq!((sold.trade, sold.seq), (bought.trade, bought.seq));
    assert_ne!(sold.trade.get(), 0);
    assert_eq!(sold.price, sell.limit, "the resting order's price");
    assert_eq!(bought.price, sell.limit);
    assert_eq!((sold.order, bought.order), (resting.order, taken.order));
    assert_eq!((sold.meter, bought.meter), (FIRST, SECOND));
    assert_eq!((sold.side, bought.side), (Some(Side::Sell), Some(Side::Buy)));
    assert_eq!((sold.quantity.wh(), sold.leaves.wh()), (300, 200));
    assert_eq!((bought.quantity.wh(), bought.leaves.wh()), (300, 0));

    assert_eq!(told(&seller.place(sell).await), "status filled 300 leaves 200");
    assert_eq!(told(&seller.cancel(resting.order).await), "cancelled 200 requested");
    assert_eq!(told(&seller.place(sell).await), "status filled 300 leaves 0");
    assert_eq!(seller.unread().await, []);
    assert_eq!(buyer.unread().await, []);
    assert_eq!(seller.session.log_out().await.unwrap(), []);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_trades_at_one_price_and_the_gate_expires_the_rest() {
    let venue = Venue::open().await;
    venue.clock_to(-59).await;
    let mut first = Platform::log_on(&venue, 1).await;
    let mut second = Platform::log_on(&venue, 2).await;
    let sell = first.order(FIRST, Side::Sell, 100, 400);
    let sell = first.accepted(sell).await.order;
    let buy = second.order(SECOND, Side::Buy, 200, 1_000);
    second.accepted(buy).await;
    assert_eq!(first.unread().await, [], "nothing trades in the call");

    venue.clock_to(-30).await;
    let sold = first.report_of(ExecType::Trade).await;
    let bought = second.report_of(ExecType::Trade).await;
    assert_eq!((sold.trade, sold.price), (bought.trade, bought.price));
    assert!((100_000..=200_000).contains(&sold.price.micros()), "{}", sold.price);
    assert_eq!((sold.order, sold.leaves.wh(), bought.leaves.wh()), (sell, 0, 600));

    venue.clock_to(-15).await;
    let expired = second.report_of(ExecType::Expired).await;
    assert_eq!(told(&wire::Outbound::ExecutionReport(expired)), "expired 600 gate_closed");
    assert_eq!(expired.client_order, buy.client_order);
    assert_eq!(first.unread().await, []);
    assert_eq!(told(&second.place(buy).await), "status filled 400 leaves 0", "also afterwards");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_replaced_and_immediate_ones_do_not_rest() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut first = Platform::log_on(&venue, 1).await;
    let mut second = Platform::log_on(&venue, 2).await;
    let sell = first.order(FIRST, Side::Sell, 300, 500);
    let sell = first.accepted(sell).await.order;
    let mut hurried = second.order(SECOND, Side::Buy, 200, 100);
    hurried.time_in_force = TimeInForce::ImmediateOrCancel;
    second.accepted(hurried).await;
    let gone = second.report_of(ExecType::Cancelled).await;
    assert_eq!(told(&wire::Outbound::ExecutionReport(gone)), "cancelled 100 immediate");

    let cheaper = first.replacement(sell, FIRST, 200, 500);
    assert_eq!(told(&first.replace(cheaper).await), "replaced leaves 500");
    let mut hurried = second.order(SECOND, Side::Buy, 200, 700);
    hurried.time_in_force = TimeInForce::ImmediateOrCancel;
    second.accepted(hurried).await;
    assert_eq!(second.report_of(ExecType::Trade).await.quantity.wh(), 500);
    assert_eq!(second.report_of(ExecType::Cancelled).await.leaves.wh(), 200);
    assert_eq!(first.report_of(ExecType::Trade).await.order, sell);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_meter_does_not_trade_with_itself() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let sell = platform.order(FIRST, Side::Sell, 100, 500);
    platform.accepted(sell).await;
    let buy = platform.order(FIRST, Side::Buy, 100, 200);
    platform.accepted(buy).await;
    let gone = platform.report_of(ExecType::Cancelled).await;
    assert_eq!(told(&wire::Outbound::ExecutionReport(gone)), "cancelled 200 self_trade");
    let other = platform.order(THIRD, Side::Buy, 100, 200);
    platform.accepted(other).await;
    assert_eq!(platform.report_of(ExecType::Trade).await.quantity.wh(), 200);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_session_of_a_platform_closes_the_one_before() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let line = Line::connect(&venue.connector(tests::cast::party(Role::Platform, 1)), ALPN_ORDERS)
        .await
        .unwrap();
    let mut stream = line.log_on().await;
    let mut newer = Platform::log_on(&venue, 1).await;
    assert_eq!(line.end().await, "2 taken_over");
    assert_eq!(stream.next().await, None, "nothing was said on the older session");

    // Reports of what the older session had placed go to the newer one.
    let sell = newer.order(FIRST, Side::Sell, 100, 500);
    newer.accepted(sell).await;
    let mut newest = Platform::log_on(&venue, 1).await.counting_from(10);
    let mut buyer = Platform::log_on(&venue, 2).await;
    let buy = buyer.order(FOURTH, Side::Buy, 100, 500);
    buyer.accepted(buy).await;
    assert_eq!(newest.report_of(ExecType::Trade).await.client_order, sell.client_order);
    assert_eq!(told(&newest.place(sell).await), "status filled 500 leaves 0");
    newest.goes_on(FIRST).await;
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identical_order_is_answered_on_any_session_and_after_a_restart() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let order = platform.order(FIRST, Side::Sell, 100, 500);
    let accepted = platform.accepted(order).await;
    drop(platform);
    let (venue, digest) = venue.restart().await;
    let mut platform = Platform::log_on(&venue, 1).await.counting_from(2);
    let status = platform.place(order).await;
    assert_eq!(told(&status), "status filled 0 leaves 500");
    assert_eq!(report(&status).order, accepted.order);
    let mut other = order;
    other.quantity = types::Energy::from_wh(510);
    assert_eq!(told(&platform.place(other).await), "rejected duplicate_client_order");
    platform.goes_on(FIRST).await;
    assert_ne!(digest, types::Digest::new([0; 32]));
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_is_answered_after_its_signature_expired() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let mut order = platform.order(FIRST, Side::Sell, 100, 500);
    order.valid_until = venue.now().plus_ns(60_000_000_000);
    let number = platform.accepted(order).await.order;
    let mut first = platform.replacement(number, FIRST, 110, 400);
    first.valid_until = order.valid_until;
    let second = platform.replacement(number, FIRST, 120, 300);
    assert_eq!(told(&platform.replace(first).await), "replaced leaves 400");
    assert_eq!(told(&platform.replace(first).await), "status filled 0 leaves 400");
    assert_eq!(told(&platform.replace(second).await), "replaced leaves 300");
    let older = told(&platform.replace(first).await);
    assert_eq!(older, "replace rejected duplicate_client_order", "a replacement works once");
    venue.clock_to(-20).await;
    assert_eq!(told(&platform.place(order).await), "status filled 0 leaves 300");
    let mut changed = order;
    changed.limit = tests::platform::price(101);
    assert_eq!(told(&platform.place(changed).await), "rejected signature_expired");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_exchange_tells_all_that_it_did() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let orders: Vec<_> = (0..200).map(|_| platform.order(FIRST, Side::Sell, 100, 10)).collect();
    let key = tests::cast::meter_key(FIRST);
    let messages: Vec<_> = orders.iter().map(|order| sign_new(&key, *order)).collect();
    for frame in messages.chunks(20) {
        platform.send(frame).await;
    }
    let reader = tokio::spawn(async move {
        let mut acknowledged = 0_u64;
        loop {
            match told(&platform.next().await).as_str() {
                "new 10" => acknowledged += 1,
                "going away" => return acknowledged,
                other => panic!("{other}"),
            }
        }
    });
    let journal = venue.layout.journal();
    let keep = venue.stop().await;
    let acknowledged = reader.await.unwrap();
    let mut accepted = 0;
    journal::scan(&journal, &mut |entry, _| {
        let is_new = |event: &&types::Event| matches!(event, types::Event::OrderAccepted(_));
        accepted += u64::try_from(entry.events.iter().filter(is_new).count()).unwrap();
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(acknowledged, accepted, "what is in the journal was told before the goodbye");
    drop(keep);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_exchange_says_so() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let line = Line::connect(&venue.connector(tests::cast::party(Role::Platform, 1)), ALPN_ORDERS)
        .await
        .unwrap();
    let mut stream = line.log_on().await;
    stream.frame(&[Inbound::Heartbeat(wire::inbound::Empty)]).await;
    let watch = tokio::spawn(async move {
        let last = stream.next().await;
        (last.map(|message| told(&message)), line.end().await)
    });
    venue.close().await;
    let (last, end) = watch.await.unwrap();
    assert_eq!(last.as_deref(), Some("going away"));
    assert_eq!(end, "5 going_away");
}
