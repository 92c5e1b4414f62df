//! Slots that are traded sixty days ahead.

use serde_json::Value;
use tests::{
    cast::{self, FIRST, SECOND},
    platform::{Platform, told},
    venue::{Venue, config_text, soon},
};
use types::{
    ClientOrderId, ListKind, MeterId, NewOrder, OrderList, Party, Phase, Role, Side, SlotKey,
    calendar,
};
use wire::data::P2pQuery;

const OPERATOR: Party = cast::party(Role::Operator, 1);
/// In the 60 days after it, Berlin's clocks go back: 25 October 2026 has 100 quarter hours.
const DATE: &str = "2026-09-01";
/// Two months ahead, and the hour in which they change.
const FAR: &str = "2026-10-30";
const LONG_DAY: &str = "2026-10-25";

/// Quarter hours that open 60 days before delivery, trade from ten minutes later, and close 15 minutes
/// before delivery.
async fn venue() -> Venue {
    let text = config_text()
        .replace("opening_lead_minutes = 60 ", "opening_lead_minutes = 86400 ")
        .replace("uncross_lead_minutes = 30 ", "uncross_lead_minutes = 86390 ");
    let venue = Venue::open_from(&text, DATE, 61).await;
    venue.set_clock(venue.now()).await;
    venue
}

/// Slots of a day, by quarter hours since its midnight.
fn slots(venue: &Venue, date: &str, quarters: std::ops::Range<usize>) -> Vec<SlotKey> {
    let day = calendar::local_day(date, "Europe/Berlin", 15).unwrap();
    let market = venue.slot(0).market;
    day[quarters].iter().map(|&slot| SlotKey { market, slot }).collect()
}

fn phase(venue: &Venue, key: SlotKey) -> Option<Phase> {
    let book = venue.first().market.book(key).unwrap();
    book.map(|(_, book)| book.phase)
}

/// An order in a slot.
fn order(platform: &mut Platform, key: SlotKey, meter: MeterId, side: Side) -> NewOrder {
    (platform.key, platform.valid_until) = (key, key.slot.start());
    platform.order(meter, side, 100, 200)
}

/// Contracted and pending energy of a meter in some slots, in Wh, by start.
async fn contracted(venue: &Venue, meter: MeterId, slots: &[SlotKey]) -> Vec<(String, u64, u64)> {
    let (first, last) = (slots.first().unwrap().slot, slots.last().unwrap().slot);
    let desk = venue.desk(OPERATOR).await;
    let query = P2pQuery { from: first.start(), to: last.end(), meter };
    let rows: Value = serde_json::from_str(&soon(desk.p2p_energy(query)).await.unwrap()).unwrap();
    let number = |row: &Value, name: &str| row[name].as_u64().unwrap();
    let start = |row: &Value| row["slot_start"].as_str().unwrap().to_owned();
    let rows = rows.as_array().unwrap().iter();
    let mut rows: Vec<_> = rows
        .map(|row| (start(row), number(row, "contracted_wh"), number(row, "pending_wh")))
        .collect();
    rows.sort();
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_to_four_in_the_afternoon_59_days_ahead_trades_as_a_block() {
    let venue = venue().await;
    venue.clock_to(-120).await;
    let afternoon = slots(&venue, FAR, 56..64);
    assert_eq!(afternoon[0].slot.start().to_string(), "2026-10-30T13:00:00Z", "winter time");
    assert!(afternoon.iter().all(|&key| phase(&venue, key) == Some(Phase::Continuous)));
    let mut first = Platform::log_on(&venue, 1).await;
    let mut second = Platform::log_on(&venue, 2).await;
    let orders = u8::try_from(afternoon.len()).unwrap();
    let mut blocks = Vec::new();
    for &key in &afternoon {
        let list = OrderList { kind: ListKind::Block, orders, number: ClientOrderId::new(1_000) };
        blocks.push(NewOrder { list, ..order(&mut first, key, FIRST, Side::Sell) });
    }
    for block in blocks {
        first.accepted(block).await;
    }
    let (last, others) = afternoon.split_last().unwrap();
    for &key in others {
        let buy = order(&mut second, key, SECOND, Side::Buy);
        second.accepted(buy).await;
    }
    assert_eq!(first.unread_words().await, [""; 0], "seven quarters are not the afternoon");
    let buy = order(&mut second, *last, SECOND, Side::Buy);
    let traded = second.accepted(buy).await.seq;
    assert_eq!(first.unread_words().await, ["trade 200 leaves 0"; 8]);
    venue.settled_through(traded).await;
    let rows = contracted(&venue, FIRST, &afternoon).await;
    let expected: Vec<_> =
        afternoon.iter().map(|key| (key.slot.start().to_string(), 200, 200)).collect();
    assert_eq!(rows, expected, "eight contracts");
    drop((first, second));
    let (venue, _) = venue.restart().await;
    venue.set_clock(venue.now()).await;
    assert_eq!(contracted(&venue, SECOND, &afternoon).await, expected);
    assert!(afternoon.iter().all(|&key| phase(&venue, key) == Some(Phase::Continuous)));
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_opens_60_days_before_delivery_and_long_days_have_all_their_slots() {
    let venue = venue().await;
    // 9:40 in summer time; 60 days of 24 hours ahead it is 8:40 in winter time.
    let market = &venue.first().market;
    let open = market.keys().len();
    assert!((5_750..=5_770).contains(&open), "{open} slots of 60 days are open");
    let long = slots(&venue, LONG_DAY, 0..100);
    assert!(long.iter().all(|&key| phase(&venue, key).is_some()), "100 quarter hours");
    let [quarter_to, nine, after]: [SlotKey; 3] =
        slots(&venue, "2026-10-31", 35..38).try_into().unwrap();
    assert_eq!(nine.slot.start().to_string(), "2026-10-31T08:00:00Z");
    let opens = nine.slot.start().plus_ns(-86_400 * 60_000_000_000);
    // Commands of one instant are a nanosecond apart: the clock keeps a second from the limits.
    venue.set_clock(opens.plus_ns(-1_000_000_000)).await;
    assert_eq!((phase(&venue, quarter_to), phase(&venue, nine)), (Some(Phase::Continuous), None));
    let mut platform = Platform::log_on(&venue, 1).await;
    let early = order(&mut platform, nine, FIRST, Side::Sell);
    let early = platform.place(early).await;
    assert!(told(&early).starts_with("rejected"), "{}", told(&early));
    venue.set_clock(opens).await;
    assert_eq!(phase(&venue, nine), Some(Phase::Call), "60 days before");
    let sell = order(&mut platform, nine, FIRST, Side::Sell);
    platform.accepted(sell).await;
    let beyond = order(&mut platform, after, FIRST, Side::Sell);
    assert!(told(&platform.place(beyond).await).starts_with("rejected"));
    let near = venue.slot(0);
    let gate = near.slot.start().plus_ns(-15 * 60_000_000_000);
    venue.set_clock(gate.plus_ns(-1_000_000_000)).await;
    let sell = order(&mut platform, near, FIRST, Side::Sell);
    platform.accepted(sell).await;
    let late = order(&mut platform, near, FIRST, Side::Sell);
    venue.set_clock(gate.plus_ns(1)).await;
    assert!(told(&platform.place(late).await).contains("gate_closed"));
    drop(platform);
    venue.close().await;
}
