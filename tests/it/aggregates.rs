//! Aggregate orders over real sessions: members listed, fills shared, contracts between two meters, settled
//! and proved; and what is refused.

use std::fs;

use ed25519_dalek::SigningKey;
use gateway::client::{AggregateTerms, sign_aggregate, sign_delegation};
use tests::{
    cast::{self, FIRST, FOURTH, SECOND, THIRD},
    day::text,
    platform::{Platform, price, report, told},
    venue::{Venue, soon},
};
use types::{
    Delegation, Digest, Energy, Event, MarketId, Member, MeterId, OrderId, PlatformId, PublicKey,
    Role, Seq, Side, Sides, TimeInForce, Timestamp, Trade,
};
use wire::{Inbound, Outbound, outbound::ExecType};

use crate::contracts::{beside, line, prove, rows};

/// An exchange with the slot at noon in its continuous phase, and both platforms, each with the delegations
/// of its two meters.
async fn desk() -> (Venue, Platform, Platform) {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut first = Platform::log_on(&venue, 1).await;
    let mut second = Platform::log_on(&venue, 2).await;
    for meter in [FIRST, THIRD] {
        delegate(&venue, &mut first, 1, meter).await;
    }
    for meter in [SECOND, FOURTH] {
        delegate(&venue, &mut second, 2, meter).await;
    }
    (venue, first, second)
}

async fn delegate(venue: &Venue, platform: &mut Platform, number: u16, meter: MeterId) {
    let key = cast::meter_key(meter);
    let delegation = Delegation {
        number: u64::from(3 - number),
        meter,
        platform: PlatformId::new(number),
        market: MarketId::new(0),
        sides: Sides::Both,
        quantity_max: Energy::from_wh(1_000),
        buy_limit: Delegation::ANY_BUY,
        sell_limit: Delegation::ANY_SELL,
        valid_from: Timestamp::from_ns(0),
        valid_until: venue.now().plus_ns(3_600_000_000_000),
        key: PublicKey::new(key.verifying_key().to_bytes()).id(),
    };
    let id = platform.next_id();
    let told = told(&platform.ask(sign_delegation(&key, id, delegation)).await);
    assert!(told.starts_with("delegation "), "{told}");
}

fn members(of: &[(MeterId, u32)]) -> Vec<Member> {
    of.iter().map(|&(meter, wh)| Member::new(meter, wh)).collect()
}

fn key_of(number: u16) -> SigningKey {
    cast::party_key(cast::party(Role::Platform, number))
}

/// The pages of a list and its order, as a platform sends them.
fn signed(
    venue: &Venue,
    platform: &mut Platform,
    number: u16,
    (side, milli): (Side, i64),
    members: &[Member],
) -> Vec<Inbound> {
    let terms = AggregateTerms {
        client_order: platform.next_id(),
        key: venue.slot(0),
        side,
        limit: price(milli),
        time_in_force: TimeInForce::UntilGate,
        valid_until: venue.minutes_from_noon(0),
    };
    sign_aggregate((PlatformId::new(number), &key_of(number)), &terms, members)
}

/// What is said of the pages, and last what becomes of the order.
async fn send(platform: &mut Platform, messages: &[Inbound]) -> (Vec<String>, Outbound) {
    platform.send(messages).await;
    let mut words = Vec::new();
    loop {
        let message = platform.next().await;
        // A fill is of an order before it.
        let is_fill = matches!(&message, Outbound::ExecutionReport(report) if report.exec_type == ExecType::Trade);
        if matches!(&message, Outbound::MembersReport(_)) {
            words.push(told(&message));
        } else if !is_fill {
            return (words, message);
        }
    }
}

async fn trades(venue: &Venue) -> Vec<Trade> {
    let feed = venue.feed(Seq::ZERO, venue.durable()).await;
    feed.iter()
        .filter_map(|item| if let Event::Trade(trade) = item.event { Some(trade) } else { None })
        .collect()
}

/// Sends an aggregate order that is accepted.
async fn accepted(
    (venue, platform, number): (&Venue, &mut Platform, u16),
    (side, milli): (Side, i64),
    of: &[(MeterId, u32)],
) -> OrderId {
    let messages = signed(venue, platform, number, (side, milli), &members(of));
    let (pages, answer) = send(platform, &messages).await;
    assert_eq!(pages, [format!("listed {}", of.len())]);
    let sum: u32 = of.iter().map(|(_, wh)| wh).sum();
    assert_eq!(told(&answer), format!("new {sum}"));
    assert_eq!(report(&answer).meter, MeterId::new(0));
    report(&answer).order
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_aggregate_orders_have_contracts_with_one_another() {
    let (venue, mut first, mut second) = desk().await;
    let sell = [(FIRST, 300), (THIRD, 200)];
    accepted((&venue, &mut first, 1), (Side::Sell, 90), &sell).await;
    let buy = [(SECOND, 100), (FOURTH, 250)];
    accepted((&venue, &mut second, 2), (Side::Buy, 110), &buy).await;
    for leaves in [250, 140, 0] {
        let report = second.report_of(ExecType::Trade).await;
        assert_eq!(report.leaves.wh(), leaves, "{report:?}");
    }
    // The fourth meter goes to the other platform, and all sell to one plain order.
    delegate(&venue, &mut first, 1, FOURTH).await;
    let sell = [(FIRST, 100), (THIRD, 100), (FOURTH, 100)];
    let rest = accepted((&venue, &mut first, 1), (Side::Sell, 100), &sell).await;
    let buy = second.order(SECOND, Side::Buy, 110, 400);
    second.accepted(buy).await;
    soon(venue.settled()).await;
    let made: Vec<_> = trades(&venue)
        .await
        .into_iter()
        .map(|trade| (trade.sell.meter, trade.buy.meter, trade.quantity.wh(), trade.price))
        .collect();
    let expected = [
        (FIRST, SECOND, 100, price(90)),
        (FIRST, FOURTH, 110, price(90)),
        (THIRD, FOURTH, 140, price(90)),
        (FIRST, SECOND, 90, price(90)),
        (THIRD, SECOND, 60, price(90)),
        (FIRST, SECOND, 90, price(100)),
        (THIRD, SECOND, 80, price(100)),
        (FOURTH, SECOND, 80, price(100)),
    ];
    assert_eq!(made, expected);

    let row = prove(&venue, 1, "book", 4);
    assert_eq!(
        (&row["buyer"], &row["seller"], &row["quantity_wh"]),
        (&2.into(), &1.into(), &100.into())
    );
    let row = prove(&venue, 8, "book", 3);
    assert_eq!(
        (&row["buyer"], &row["seller"], &row["quantity_wh"]),
        (&2.into(), &4.into(), &80.into())
    );

    first.unread().await;
    assert_eq!(told(&first.reduce(rest, 10).await), "reduce rejected not_for_aggregates");
    assert_eq!(told(&first.hibernate(rest).await), "hibernate rejected not_for_aggregates");
    assert_eq!(told(&first.cancel(rest).await), "cancelled 50 requested");

    let dir = venue.stop().await;
    let (journal, books) = (dir.path().join("journal"), dir.path().join("settlement.db"));
    let evidence = replay::verify_signatures(&journal).unwrap();
    assert_eq!((evidence.aggregates, evidence.members), (3, 7));
    let traced =
        replay::trace::trace(&journal, &books, replay::trace::Subject::Order(rest)).unwrap();
    let texts: Vec<_> = traced.iter().map(|row| row.text.as_str()).collect();
    let proof = "3 members as it names them, in Wh: 1:100 3:100 4:100";
    assert!(
        texts.iter().any(|text| text.contains("verifies") && text.contains(proof)),
        "{texts:?}"
    );
    let contracts = traced.iter().filter(|row| row.trade.is_some() && row.stop.number == 12);
    assert_eq!(contracts.count(), 3, "{traced:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_is_not_the_signed_one_makes_no_order() {
    let (venue, mut first, second) = desk().await;
    let mut list: Vec<Member> =
        (100..150).map(|meter| Member::new(MeterId::new(meter), 10)).collect();
    list.splice(0..0, members(&[(FIRST, 300), (THIRD, 200)]));
    let at = (Side::Sell, 90);
    let differs = "rejected members_differ";

    // One bit of one member.
    let mut changed = signed(&venue, &mut first, 1, at, &list);
    let Inbound::AggregateMembers(page) = &mut changed[1] else { panic!("{changed:?}") };
    let member = page.members[3];
    page.members[3] = Member::new(member.meter, member.wh() ^ 1);
    let (pages, answer) = send(&mut first, &changed).await;
    assert_eq!((pages.last().unwrap().as_str(), told(&answer).as_str()), ("listed 52", differs));
    // A page is missing, at the end or in between.
    let mut short = signed(&venue, &mut first, 1, at, &list);
    short.remove(3);
    let (pages, answer) = send(&mut first, &short).await;
    assert_eq!((pages.last().unwrap().as_str(), told(&answer).as_str()), ("listed 48", differs));
    let mut gap = signed(&venue, &mut first, 1, at, &list);
    gap.remove(1);
    let (pages, answer) = send(&mut first, &gap).await;
    assert_eq!(pages[1..], ["page rejected members_out_of_turn"; 2]);
    assert_eq!(told(&answer), differs);
    // Pages in another order, and one of them twice.
    let mut moved = signed(&venue, &mut first, 1, at, &list);
    moved.swap(1, 2);
    let (pages, answer) = send(&mut first, &moved).await;
    assert_eq!(pages[1], "page rejected members_out_of_turn");
    assert_eq!(told(&answer), differs);
    // No page at all, or those of another order.
    let bare = signed(&venue, &mut first, 1, at, &list);
    let (pages, answer) = send(&mut first, &bare[bare.len() - 1..]).await;
    assert_eq!((pages.len(), told(&answer).as_str()), (0, differs));
    assert_eq!(trades(&venue).await, []);
    drop((first, second));
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_may_not_be_members_are_refused() {
    let (venue, mut first, second) = desk().await;
    let at = (Side::Sell, 90);
    let cases = [
        (
            members(&[(FIRST, 300), (FIRST, 300)]),
            vec!["page rejected members_invalid"],
            "members_differ",
        ),
        (
            members(&[(THIRD, 300), (FIRST, 300)]),
            vec!["page rejected members_invalid"],
            "members_differ",
        ),
        (
            members(&[(FIRST, 300), (SECOND, 300)]),
            vec!["listed 2", "refused for meter 2"],
            "delegation_missing",
        ),
        (
            members(&[(FIRST, 300), (THIRD, 1_010)]),
            vec!["listed 2", "refused for meter 3"],
            "delegation_exceeded",
        ),
        (
            members(&[(FIRST, 300), (MeterId::new(77), 300)]),
            vec!["listed 2", "refused for meter 77"],
            "unknown_meter",
        ),
    ];
    for (list, pages, reason) in cases {
        let messages = signed(&venue, &mut first, 1, at, &list);
        let (said, answer) = send(&mut first, &messages).await;
        assert_eq!(said, pages);
        assert_eq!(told(&answer), format!("rejected {reason}"), "{list:?}");
    }
    let crowd: Vec<Member> =
        (1..=10_001).map(|meter| Member::new(MeterId::new(meter), 10)).collect();
    let messages = signed(&venue, &mut first, 1, at, &crowd);
    assert_eq!(messages.len(), 627);
    let (said, answer) = send(&mut first, &messages).await;
    assert_eq!(said[624..], ["listed 10000", "page rejected members_invalid"]);
    assert_eq!(told(&answer), "rejected members_differ");
    assert_eq!(trades(&venue).await, []);
    drop((first, second));
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aggregate_order_needs_the_key_of_its_platform() {
    let (venue, mut first, second) = desk().await;
    let list = members(&[(FIRST, 300), (THIRD, 200)]);
    let terms = |client_order| AggregateTerms {
        client_order,
        key: venue.slot(0),
        side: Side::Sell,
        limit: price(90),
        time_in_force: TimeInForce::UntilGate,
        valid_until: venue.minutes_from_noon(0),
    };
    let invalid = "turned away signature_invalid";
    // Another platform's key, a meter's key, and its own key for another platform.
    let own = PlatformId::new(1);
    let signers =
        [(own, key_of(2)), (own, cast::meter_key(FIRST)), (PlatformId::new(2), key_of(1))];
    for (platform, key) in signers {
        let messages = sign_aggregate((platform, &key), &terms(first.next_id()), &list);
        assert_eq!(told(&send(&mut first, &messages).await.1), invalid);
    }
    // Every field that is signed, changed afterwards.
    let changes: [fn(&mut types::AggregateOrder); 6] = [
        |order| order.limit = price(80),
        |order| order.quantity = Energy::from_wh(510),
        |order| order.side = Side::Buy,
        |order| order.time_in_force = TimeInForce::ImmediateOrCancel,
        |order| order.members = 3,
        |order| order.list = Digest::new([7; 32]),
    ];
    for change in changes {
        let mut messages = sign_aggregate((own, &key_of(1)), &terms(first.next_id()), &list);
        let Some(Inbound::NewAggregateOrder(signed)) = messages.last_mut() else { panic!() };
        change(&mut signed.order);
        assert_eq!(told(&send(&mut first, &messages).await.1), invalid);
    }
    let good = sign_aggregate((own, &key_of(1)), &terms(first.next_id()), &list);
    assert_eq!(told(&send(&mut first, &good).await.1), "new 500");
    drop((first, second));
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_send_an_order_for_the_members_of_a_file() {
    let (venue, first, second) = desk().await;
    drop((first, second));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("members.csv");
    let pem = gateway::identity::signing_key_pem(&key_of(1)).unwrap();
    let key = venue.layout.keys().join("platform-1.signing.key");
    gateway::identity::write_key_file(&key, &pem).unwrap();
    let words = [
        "order",
        "new",
        "--members",
        text(&file),
        "--market",
        "1",
        "--slot",
        "2026-06-24T12:00+02:00",
        "--side",
        "sell",
        "--price",
        "0.11",
        "--valid-until",
        "2026-06-24T12:00+02:00",
    ];
    let place = || beside(&line(&venue, "platform-1", &words));
    fs::write(&file, "meter,wh\n3,200\n1,300\n").unwrap();
    let placed = rows(&place());
    assert_eq!(
        (&placed[0]["report"], &placed[0]["quantity_wh"]),
        (&"accepted".into(), &500.into()),
        "{placed:?}"
    );

    fs::write(&file, "meter,wh\n1,300\n2,300\n").unwrap();
    let refused = place();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let said = "the exchange refused the order for its member, meter 2: delegation_missing (25)";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    fs::write(&file, "meter,wh\n1,300\n1,300\n").unwrap();
    let refused = place();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("line 3 has meter 1 again"), "{}", refused.stderr);
    venue.close().await;
}
