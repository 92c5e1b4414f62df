//! Orders that cannot be: each reason as its sender is told it, while another platform trades on.

use tests::{
    cast::{self, FIRST, FOURTH, INJECTION_WH, SECOND, THIRD, WITHDRAWAL_WH},
    platform::{Platform, price, report, told},
    venue::Venue,
};
use types::{
    DeliverySlot, Energy, MarketId, MeterId, NewOrder, OrderId, Price, Side, SlotKey, TimeInForce,
};
use wire::Inbound;

/// Signs with the key of the meter that the order names.
fn signed(order: NewOrder) -> Inbound {
    gateway::client::sign_new(&cast::meter_key(order.meter), order)
}

fn for_slot(order: NewOrder, key: SlotKey) -> NewOrder {
    NewOrder { key, ..order }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reason_is_told_to_its_sender_only() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut bystander = Platform::log_on(&venue, 2).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let order = platform.order(FIRST, Side::Sell, 100, 10);
    let limit = |micros| NewOrder { limit: Price::from_micros(micros), ..order };
    let quantity = |wh| NewOrder { quantity: Energy::from_wh(wh), ..order };
    let at = |key| for_slot(order, key);
    let other_market = SlotKey { market: MarketId::new(2), ..venue.slot(0) };
    let noon = venue.slot(0).slot.start_minute();
    let slot = |start, minutes| {
        let slot = DeliverySlot::new(start, minutes).unwrap();
        SlotKey { market: MarketId::new(1), slot }
    };
    let hurried = NewOrder { time_in_force: TimeInForce::ImmediateOrCancel, ..order };
    let expired = NewOrder { valid_until: venue.now().plus_ns(-1), ..order };
    for (name, order, answer) in [
        ("meter 6", NewOrder { meter: MeterId::new(6), ..order }, "turned away unknown_meter"),
        ("meter 0", NewOrder { meter: MeterId::new(0), ..order }, "turned away unknown_meter"),
        (
            "largest meter",
            NewOrder { meter: MeterId::new(u32::MAX), ..order },
            "turned away unknown_meter",
        ),
        ("platform 2's", NewOrder { meter: SECOND, ..order }, "turned away not_authorised"),
        ("expired", expired, "rejected signature_expired"),
        ("market 2", at(other_market), "rejected unknown_market"),
        ("an hour", at(slot(noon, 60)), "rejected slot_misaligned"),
        ("five past", at(slot(noon + 5, 15)), "rejected slot_misaligned"),
        ("not open", at(venue.slot(3)), "rejected slot_not_open"),
        ("next year", at(slot(noon + 525_600, 15)), "rejected slot_not_open"),
        ("closed", at(venue.slot(-1)), "rejected gate_closed"),
        ("long past", at(slot(0, 15)), "rejected gate_closed"),
        ("immediate in a call", for_slot(hurried, venue.slot(1)), "rejected wrong_phase"),
        ("nothing", quantity(0), "rejected quantity_not_on_lot"),
        ("half a lot", quantity(5), "rejected quantity_not_on_lot"),
        ("a lot and one", quantity(11), "rejected quantity_not_on_lot"),
        ("one lot too large", quantity(100_010), "rejected quantity_above_maximum"),
        ("largest number", quantity(u64::MAX - 5), "rejected quantity_above_maximum"),
        ("the largest order", quantity(100_000), "rejected capacity_exceeded"),
        ("below the band", limit(-1_000), "rejected price_outside_band"),
        ("above the band", limit(401_000), "rejected price_outside_band"),
        ("smallest number", limit(i64::MIN), "rejected price_outside_band"),
        ("largest price", limit(i64::MAX), "rejected price_outside_band"),
        ("between ticks", limit(100_500), "rejected price_not_on_tick"),
        ("a millionth off", limit(100_001), "rejected price_not_on_tick"),
    ] {
        assert_eq!(told(&platform.ask(signed(order)).await), answer, "{name}");
        bystander.goes_on(SECOND).await;
    }
    // A refused order does not use up its number.
    platform.accepted(order).await;
    assert_eq!(bystander.unread().await, []);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bounds_themselves_are_allowed() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let lowest = platform.order(FIRST, Side::Buy, 0, 10);
    platform.accepted(lowest).await;
    let highest = platform.order(THIRD, Side::Sell, 400, 10);
    platform.accepted(highest).await;
    let mut last_moment = platform.order(FIRST, Side::Buy, 1, 10);
    last_moment.valid_until = venue.now().plus_ns(1_000_000);
    platform.accepted(last_moment).await;
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_meter_trades_no_more_than_its_capacity() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let mut other = Platform::log_on(&venue, 2).await;
    for (meter, side, capacity) in
        [(FIRST, Side::Sell, INJECTION_WH), (THIRD, Side::Buy, WITHDRAWAL_WH)]
    {
        let far = if side == Side::Sell { 400 } else { 0 };
        let all = platform.order(meter, side, far, capacity);
        let all = platform.accepted(all).await.order;
        let more = platform.order(meter, side, far, 10);
        assert_eq!(told(&platform.place(more).await), "rejected capacity_exceeded");
        let larger = platform.replacement(all, meter, far, capacity + 10);
        let answer = told(&platform.replace(larger).await);
        assert_eq!(answer, "replace rejected capacity_exceeded");
        let smaller = platform.replacement(all, meter, far, capacity - 10);
        let answer = told(&platform.replace(smaller).await);
        assert_eq!(answer, format!("replaced leaves {}", capacity - 10));
        assert_eq!(told(&platform.place(more).await), "new 10", "there is room now");
    }
    // What has traded counts too.
    let sell = other.order(FOURTH, Side::Sell, 0, INJECTION_WH);
    other.accepted(sell).await;
    let mut left = INJECTION_WH;
    while left > 0 {
        left -= other.report_of(wire::outbound::ExecType::Trade).await.quantity.wh();
    }
    let more = other.order(FOURTH, Side::Sell, 400, 10);
    assert_eq!(told(&other.place(more).await), "rejected capacity_exceeded");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_takes_no_order_that_could_meet_its_own_meter() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    platform.key = venue.slot(1);
    let sell = platform.order(FIRST, Side::Sell, 100, 10);
    platform.accepted(sell).await;
    let buy = platform.order(FIRST, Side::Buy, 100, 10);
    assert_eq!(told(&platform.place(buy).await), "rejected self_trade");
    let neighbour = platform.order(THIRD, Side::Buy, 100, 10);
    platform.accepted(neighbour).await;
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_means_one_order() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let mut other = Platform::log_on(&venue, 2).await;
    let order = platform.order(FIRST, Side::Sell, 100, 20);
    let accepted = platform.accepted(order).await;
    for (field, changed) in [
        ("meter", NewOrder { meter: THIRD, ..order }),
        ("slot", NewOrder { key: venue.slot(1), ..order }),
        ("side", NewOrder { side: Side::Buy, ..order }),
        ("stay", NewOrder { time_in_force: TimeInForce::ImmediateOrCancel, ..order }),
        ("limit", NewOrder { limit: price(101), ..order }),
        ("quantity", NewOrder { quantity: Energy::from_wh(10), ..order }),
        ("validity", NewOrder { valid_until: order.valid_until.plus_ns(-1), ..order }),
    ] {
        let answer = told(&platform.place(changed).await);
        assert_eq!(answer, "rejected duplicate_client_order", "{field}");
    }
    let again = platform.place(order).await;
    assert_eq!(told(&again), "status filled 0 leaves 20");
    assert_eq!(report(&again).order, accepted.order);
    assert!(report(&again).seq > accepted.seq);
    // Numbers belong to platforms; and the order exists once.
    let same_number = other.order(SECOND, Side::Buy, 100, 50);
    assert_eq!(same_number.client_order, order.client_order);
    other.accepted(same_number).await;
    let fill = other.report_of(wire::outbound::ExecType::Trade).await;
    assert_eq!((fill.quantity.wh(), fill.leaves.wh()), (20, 30));
    assert_eq!(told(&platform.place(order).await), "status filled 20 leaves 0");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t27_only_resting_orders_of_ones_own_change() {
    let venue = Venue::open().await;
    venue.clock_to(-44).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let mut other = Platform::log_on(&venue, 2).await;
    platform.key = venue.slot(-1);
    let early = platform.order(FIRST, Side::Sell, 400, 10);
    let early = platform.accepted(early).await.order;
    platform.key = venue.slot(0);
    venue.clock_to(-29).await;
    let order = platform.order(FIRST, Side::Sell, 100, 20);
    let order = platform.accepted(order).await.order;
    let unknown = OrderId::new(4_000);

    assert_eq!(told(&other.cancel(order).await), "cancel rejected not_authorised");
    let theirs = other.replacement(order, SECOND, 100, 10);
    assert_eq!(told(&other.replace(theirs).await), "replace rejected not_authorised");
    let theirs = other.replacement(order, FIRST, 100, 10);
    assert_eq!(told(&other.replace(theirs).await), "turned away not_authorised");
    let neighbours = platform.replacement(order, THIRD, 100, 10);
    assert_eq!(told(&platform.replace(neighbours).await), "replace rejected not_authorised");

    assert_eq!(told(&platform.cancel(unknown).await), "cancel rejected unknown_order");
    assert_eq!(told(&platform.cancel(OrderId::new(0)).await), "cancel rejected unknown_order");
    let nothing = platform.replacement(unknown, FIRST, 100, 10);
    assert_eq!(told(&platform.replace(nothing).await), "replace rejected unknown_order");
    assert_eq!(told(&platform.cancel(early).await), "cancel rejected gate_closed");
    let late = platform.replacement(early, FIRST, 100, 10);
    assert_eq!(told(&platform.replace(late).await), "replace rejected gate_closed");

    let mut expired = platform.replacement(order, FIRST, 100, 10);
    expired.valid_until = venue.now().plus_ns(-1);
    assert_eq!(told(&platform.replace(expired).await), "replace rejected signature_expired");
    for (wh, milli, reason) in [
        (0, 100, "quantity_not_on_lot"),
        (15, 100, "quantity_not_on_lot"),
        (100_010, 100, "quantity_above_maximum"),
        (10, 401, "price_outside_band"),
    ] {
        let bad = platform.replacement(order, FIRST, milli, wh);
        let answer = told(&platform.replace(bad).await);
        assert_eq!(answer, format!("replace rejected {reason}"));
    }
    let mut off_tick = platform.replacement(order, FIRST, 100, 10);
    off_tick.limit = Price::from_micros(100_500);
    assert_eq!(told(&platform.replace(off_tick).await), "replace rejected price_not_on_tick");

    assert_eq!(told(&platform.cancel(order).await), "cancelled 20 requested");
    assert_eq!(told(&platform.cancel(order).await), "cancel rejected unknown_order");
    other.goes_on(SECOND).await;
    venue.close().await;
}
