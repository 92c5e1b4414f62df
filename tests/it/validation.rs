//! Orders that are only validated, and questions where orders stand.

use std::collections::BTreeMap;

use engine::Engine;
use tests::{
    cast::{self, FIRST, SECOND, THIRD},
    model::history::{History, limits},
    platform::{Platform, report, told},
    venue::{self, Venue},
};
use types::{
    ClientOrderId, Command, Event, OrderId, OrderRejected, OrderValidated, Request, Sequenced,
    Side, SignedNewOrder,
};

const SEED: u64 = 20_261_123;
const HISTORIES: u64 = 40;
const COMMANDS: u64 = 1_000;

/// What a command causes on an engine in this state, and the digest after it.
fn caused(before: &[u8], command: &Sequenced<Command>) -> (Vec<Event>, types::Digest) {
    let mut engine = Engine::restore(limits(), before).unwrap();
    let mut events = Vec::new();
    engine.apply(command, &mut events);
    (events, engine.digest())
}

/// What was said of a new order, in a word.
fn verdict(event: &Event) -> String {
    if let Event::OrderAccepted(_) | Event::OrderValidated(_) = event {
        "accepted".to_owned()
    } else if let Event::OrderRestated(_) = event {
        "known".to_owned()
    } else if let Event::OrderRejected(rejected) = event {
        rejected.reason.name().to_owned()
    } else {
        panic!("no answer to a new order: {event:?}")
    }
}

#[test]
fn validated_is_what_the_same_order_would_be_at_the_same_place_and_next() {
    let mut verdicts = BTreeMap::<String, u64>::new();
    for seed in SEED..SEED + HISTORIES {
        let mut history = History::new(seed);
        let mut engine = Engine::new(limits());
        let mut events = Vec::new();
        for _ in 0..COMMANDS {
            let command = history.next_command();
            let before = if let Command::NewOrder(_) = command.value {
                engine.snapshot()
            } else {
                Vec::new()
            };
            events.clear();
            engine.apply(&command, &mut events);
            history.observe(&events);
            let Command::NewOrder(signed) = command.value else { continue };
            let verdict = compare(&before, &command, &signed, &events);
            *verdicts.entry(verdict).or_default() += 1;
        }
    }
    println!("{verdicts:#?}");
    // Every reason there is for a new order that a meter signed.
    assert!(verdicts.len() >= 25, "{} verdicts only", verdicts.len());
    assert!(verdicts.values().all(|&count| count >= 3), "{verdicts:?}");
}

/// Compares a new order with its validation at the same place; what was said of it.
fn compare(
    before: &[u8],
    command: &Sequenced<Command>,
    signed: &SignedNewOrder,
    events: &[Event],
) -> String {
    let validation = Sequenced { value: Command::ValidateOrder(*signed), ..*command };
    let idle = Sequenced { value: Command::PassTime, ..*command };
    let (expired, unchanged) = caused(before, &idle);
    let (answers, digest) = caused(before, &validation);
    assert_eq!(digest, unchanged, "{signed:?}");
    let answer = answers[expired.len()];
    assert_eq!((&answers[..expired.len()], answers.len()), (&expired[..], expired.len() + 1));
    let said = verdict(&events[expired.len()]);
    assert_eq!(verdict(&answer), said, "{signed:?}");
    let SignedNewOrder { origin, order, .. } = *signed;
    let client_order = order.client_order;
    let expected = if let Event::OrderRejected(rejected) = events[expired.len()] {
        Event::OrderRejected(OrderRejected { request: Request::Validate, ..rejected })
    } else if said == "known" {
        events[expired.len()]
    } else {
        Event::OrderValidated(OrderValidated { origin, client_order })
    };
    assert_eq!(answer, expected);
    // Sent next, it is judged the same, unless the nanosecond in between changes something.
    let mut engine = Engine::restore(limits(), before).unwrap();
    engine.apply(&validation, &mut Vec::new());
    let next = Sequenced { seq: command.seq.next(), time: command.time.plus_ns(1), ..*command };
    let mut caused = Vec::new();
    engine.apply(&next, &mut caused);
    let until = order.valid_until.min(engine_gate(&engine, &order));
    let expires = order.conditions.expires.ns();
    let is_over = next.time > until || (expires != 0 && next.time.ns() > expires);
    if !is_over && said == "accepted" && !is_expiry(&caused[0]) {
        assert_eq!(verdict(&caused[0]), said, "{signed:?}");
    }
    said
}

fn engine_gate(engine: &Engine, order: &types::NewOrder) -> types::Timestamp {
    let market = engine.market(order.key.market);
    market.map_or(order.valid_until, |market| market.gate_closes_after(order.key.slot))
}

const fn is_expiry(event: &Event) -> bool {
    matches!(event, Event::OrderCancelled(_))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t25_an_order_that_is_only_validated_does_nothing_and_leaves_its_number_free() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let mut other = Platform::log_on(&venue, 2).await;
    let resting = other.order(SECOND, Side::Buy, 200, 500);
    other.accepted(resting).await;

    // It would trade; nobody is told anything but the answer.
    let order = platform.order(FIRST, Side::Sell, 200, 300);
    let first = platform.validate(order).await;
    assert_eq!(told(&first), "validated");
    assert_eq!(report(&first).client_order, order.client_order);
    assert_eq!(report(&first).order, OrderId::new(0), "there is no order");
    let again = platform.validate(order).await;
    assert_eq!(told(&again), "validated");
    assert_eq!(report(&again).seq, report(&first).seq.next(), "each has its place");
    assert_eq!(other.unread_words().await, [""; 0]);

    let mut bad = order;
    bad.limit = types::Price::from_micros(1);
    assert_eq!(told(&platform.validate(bad).await), "validate rejected price_not_on_tick");
    bad.valid_until = types::Timestamp::from_seconds(1);
    assert_eq!(told(&platform.validate(bad).await), "validate rejected signature_expired");
    // The edge checks what it checks of a new order.
    let foreign = platform.order(SECOND, Side::Sell, 200, 100);
    assert_eq!(told(&platform.validate(foreign).await), "turned away not_authorised");
    let unsigned = gateway::client::sign_validation(&cast::meter_key(THIRD), order);
    assert_eq!(told(&platform.ask(unsigned).await), "turned away signature_invalid");

    // A number that was only validated is free; then it is taken.
    platform.accepted(order).await;
    assert_eq!(platform.unread_words().await, ["trade 300 leaves 0"]);
    assert_eq!(told(&platform.validate(order).await), "status filled 300 leaves 0");
    bad.valid_until = order.valid_until;
    bad.limit = types::Price::from_micros(210_000);
    assert_eq!(told(&platform.validate(bad).await), "validate rejected duplicate_client_order");

    // It makes no order: a disk without room is no reason.
    venue.node.reserve.require(u64::MAX);
    let order = platform.order(FIRST, Side::Sell, 200, 100);
    assert_eq!(told(&platform.validate(order).await), "validated");
    assert_eq!(told(&platform.place(order).await), "turned away storage_low");
    venue.node.reserve.require(0);

    // Journaled: a restart replays it to the same state.
    let (venue, digest) = venue.restart().await;
    assert_eq!(venue.closed_for_repair().await.digest, digest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_asks_where_its_own_orders_stand() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let mut other = Platform::log_on(&venue, 2).await;
    let resting = platform.order(FIRST, Side::Sell, 200, 500);
    let order = platform.accepted(resting).await.order;
    let buy = other.order(SECOND, Side::Buy, 200, 200);
    let bought = other.accepted(buy).await.order;

    assert_eq!(told(&platform.status(order).await), "status filled 200 leaves 300");
    assert_eq!(told(&other.status(bought).await), "status filled 200 leaves 0");
    // By the platform's own number.
    let own = |client_order| gateway::client::ask_status(client_order, OrderId::new(0));
    let answer = platform.ask(own(resting.client_order)).await;
    assert_eq!(
        (told(&answer).as_str(), report(&answer).order),
        ("status filled 200 leaves 300", order)
    );

    assert_eq!(told(&other.status(order).await), "status rejected not_authorised");
    assert_eq!(told(&platform.status(OrderId::new(9_999)).await), "status rejected unknown_order");
    let unknown = own(ClientOrderId::new(9_999));
    assert_eq!(told(&platform.ask(unknown).await), "status rejected unknown_order");
    platform.cancel(order).await;
    assert_eq!(told(&platform.status(order).await), "status filled 200 leaves 0");
    // Past the gate too.
    venue.clock_to(-10).await;
    assert_eq!(told(&platform.status(order).await), "status filled 200 leaves 0");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validation_is_limited_as_an_order_is() {
    let limit = "[gateway]\norders_per_s = 1\norders_burst = 2\n\n[journal]";
    let config = venue::config_text().replacen("[journal]", limit, 1);
    let venue = Venue::open_with(&config).await;
    venue.clock_to(-29).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let orders = [1, 2, 3].map(|_| platform.order(FIRST, Side::Sell, 200, 100));
    let key = cast::meter_key(FIRST);
    let [first, second, third] = orders.map(|order| order.client_order);
    // In one frame they come at one instant.
    platform
        .send(&[
            gateway::client::sign_validation(&key, orders[0]),
            gateway::client::sign_new(&key, orders[1]),
            gateway::client::sign_validation(&key, orders[2]),
            // A question counts with what takes back.
            gateway::client::ask_status(ClientOrderId::new(100), OrderId::new(77)),
        ])
        .await;
    assert_eq!(told(&platform.answer(first).await), "validated");
    assert_eq!(told(&platform.answer(second).await), "new 100");
    assert_eq!(told(&platform.answer(third).await), "turned away throttled");
    let asked = platform.answer(ClientOrderId::new(100)).await;
    assert_eq!(told(&asked), "status rejected unknown_order");
    venue.close().await;
}
