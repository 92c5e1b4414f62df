//! Two shards: what is of which day goes to which engine, and neither knows of the other.

use std::{collections::BTreeMap, ops::ControlFlow};

use engine::Engine;
use exchange::{config, shard};
use gateway::client::{ClientError, FeedClient, TradingSession};
use journal::Entry;
use serde_json::Value;
use tests::{
    cast::{self, FIRST, FOURTH, SECOND, THIRD},
    day,
    platform::{Platform, told},
    program,
    venue::{Venue, config_text, soon},
};
use types::{
    About, ClientOrderId, Command, Event, Money, OrderId, PlatformId, RejectReason, Role, Scope,
    Seq, Sequenced, ShardId, ShardMap, Side, SlotKey, TradeId,
};

/// The last half hour of the day and the first of the next trade together, continuously.
const BEFORE_MIDNIGHT: isize = 46;
const AFTER_MIDNIGHT: isize = 49;
/// 23:01, in minutes from noon.
const LATE: i64 = 661;

fn two_shards() -> String {
    config_text()
        .replace("# shards = 1 ", "shards = 2 ")
        .replace("opening_lead_minutes = 60", "opening_lead_minutes = 180")
        .replace("uncross_lead_minutes = 30", "uncross_lead_minutes = 120")
}

async fn venue() -> Venue {
    venue_with("").await
}

async fn venue_with(more: &str) -> Venue {
    let config = two_shards().replacen("[settlement]\n", &format!("{more}\n[settlement]\n"), 1);
    let venue = Venue::open_for_two_days(&config).await;
    venue.clock_to(LATE).await;
    venue
}

/// A slot of the day and one of the next.
fn days(venue: &Venue) -> [SlotKey; 2] {
    [venue.slot(BEFORE_MIDNIGHT), venue.slot(AFTER_MIDNIGHT)]
}

/// Every entry of a shard's journal.
fn entries(venue: &Venue, shard: ShardId) -> Vec<Entry> {
    let mut entries = Vec::new();
    let scanned = journal::scan(&venue.layout.journal_of(shard), &mut |entry, _| {
        entries.push(entry.clone());
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    entries
}

/// Both platforms, each with a session at the shard of a slot.
async fn pair(venue: &Venue, key: SlotKey) -> [Platform; 2] {
    [Platform::log_on_at(venue, 1, key).await, Platform::log_on_at(venue, 2, key).await]
}

/// Trades once. Returns the number of the resting order and the position of the other.
async fn trade([seller, buyer]: &mut [Platform; 2], wh: u64) -> (OrderId, Seq) {
    let sell = seller.order(FIRST, Side::Sell, 100, wh);
    let order = seller.accepted(sell).await.order;
    let buy = buyer.order(SECOND, Side::Buy, 100, wh);
    (order, buyer.accepted(buy).await.seq)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_for_two_days_go_to_two_journals() {
    let venue = venue().await;
    let [today, tomorrow] = days(&venue);
    assert_ne!(venue.shard_of(today), venue.shard_of(tomorrow));
    let mut numbers = Vec::new();
    for key in [today, tomorrow] {
        let shard = venue.shard_of(key);
        let mut pair = pair(&venue, key).await;
        let accepted = pair[0].session.accepted;
        assert_eq!((accepted.shard, accepted.last_shard.index()), (shard, 1));
        numbers.push(trade(&mut pair, 100).await.0);
        for entry in entries(&venue, shard) {
            if let Command::OpenSlot(key) = entry.command.value {
                assert_eq!(venue.shard_of(key), shard, "a shard opens its own slots only");
            }
            if let Command::NewOrder(signed) = entry.command.value {
                assert_eq!(signed.order.key, key);
            }
        }
    }
    let of = |order: &OrderId| ShardId::of_number(order.get());
    let shards: Vec<_> = numbers.iter().map(of).collect();
    assert_eq!(shards, [today, tomorrow].map(|key| Some(venue.shard_of(key))));
    let (one, two) = (entries(&venue, ShardId::FIRST), entries(&venue, second()));
    let opened = |entries: &[Entry]| {
        entries.iter().filter(|e| matches!(e.command.value, Command::OpenSlot(_))).count()
    };
    assert!(opened(&one) > 0 && opened(&two) > 0, "both have slots");
    venue.close().await;
}

fn second() -> ShardId {
    ShardId::new(1).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_of_another_shard_is_turned_away_and_leaves_no_trace() {
    let venue = venue().await;
    let [today, tomorrow] = days(&venue);
    let mut there = pair(&venue, tomorrow).await;
    let foreign = there[0].order(FIRST, Side::Sell, 390, 50);
    let foreign = there[0].accepted(foreign).await.order;
    let mut here = Platform::log_on_at(&venue, 1, today).await;
    let shard = venue.shard_of(today);
    let before = entries(&venue, shard).len();

    let order = here.order(FIRST, Side::Sell, 100, 50);
    let order = types::NewOrder { key: tomorrow, ..order };
    assert_eq!(told(&here.place(order).await), "turned away wrong_shard");
    let replacement = here.replacement(foreign, FIRST, 380, 50);
    assert_eq!(told(&here.replace(replacement).await), "turned away wrong_shard");
    assert_eq!(told(&here.cancel(foreign).await), "turned away wrong_shard");
    assert_eq!(told(&here.reduce(foreign, 10).await), "turned away wrong_shard");
    let refused = here.mass_cancel(Scope::All, Some(tomorrow)).await;
    assert_eq!(told(&refused), "turned away wrong_shard");
    assert_eq!(entries(&venue, shard).len(), before, "no trace");
    assert!(!RejectReason::WrongShard.is_transient());

    // Numbers that no shard has given out are the engine's to refuse.
    let nobodys = OrderId::new(9 << 48);
    assert_eq!(told(&here.cancel(nobodys).await), "cancel rejected unknown_order");
    // All slots of a mass cancellation are all of the session's shard.
    let own = here.order(FIRST, Side::Sell, 390, 50);
    here.accepted(own).await;
    assert_eq!(told(&here.mass_cancel(Scope::All, None).await), "mass cancelled 1");
    assert_eq!(told(&there[0].cancel(foreign).await), "cancelled 50 requested");

    let connector = venue.connector(cast::party(Role::Platform, 1));
    let third = ShardId::new(2).unwrap();
    let refused = soon(TradingSession::open_at(&connector, third, 60_000)).await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused(RejectReason::WrongShard)), "{refused}");
    let operator = venue.connector(cast::party(Role::Operator, 1));
    let mut feed = soon(FeedClient::subscribe_at(&operator, third, Seq::ZERO)).await.unwrap();
    soon(feed.next_batch()).await.unwrap_err();
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_has_a_session_at_every_shard_and_a_newer_one_takes_over_there() {
    let venue = venue().await;
    let [today, tomorrow] = days(&venue);
    let mut here = pair(&venue, today).await;
    let mut there = pair(&venue, tomorrow).await;
    // The same numbers of the platform at both: each shard counts for itself.
    for pair in [&mut here, &mut there] {
        let (order, _) = trade(pair, 100).await;
        assert_eq!(told(&pair[0].cancel(order).await), "cancel rejected unknown_order");
        let open = pair[0].order(FIRST, Side::Sell, 390, 70);
        let open = pair[0].accepted(open).await.order;
        assert_eq!(told(&pair[0].cancel(open).await), "cancelled 70 requested");
    }
    let mut newer = Platform::log_on_at(&venue, 1, today).await.counting_from(100);
    let [mut older, _] = here;
    loop {
        // What it was told before comes first.
        if let Err(end) = soon(older.session.receiver.next()).await {
            assert!(format!("{end:?}").contains("taken_over"), "{end:?}");
            break;
        }
    }
    newer.goes_on(FIRST).await;
    there[0].goes_on(FIRST).await;
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_recovers_both_and_settlement_has_every_trade_once() {
    let mut venue = venue().await;
    let [today, tomorrow] = days(&venue);
    for round in 0..3_u64 {
        for key in [today, tomorrow] {
            let [one, two] = pair(&venue, key).await;
            let numbers = 1 + round * 10;
            let mut pair = [one.counting_from(numbers), two.counting_from(numbers)];
            trade(&mut pair, 100).await;
            let (_, end) = trade(&mut pair, 50).await;
            venue.durable_through(venue.shard_of(key), end).await;
        }
        venue.settled().await;
        let summary = venue.node.settlement.summary().await.unwrap();
        assert_eq!(summary.contracts, 4 * (round + 1), "both shards' trades, each once");
        let durable: Vec<_> = venue.node.shards.iter().map(|shard| shard.durable()).collect();
        venue = venue.restart().await.0;
        let found = venue.node.shards.iter().map(|shard| shard.recovered);
        let found: Vec<_> = found.map(|found| (found.last_seq, found.captured)).collect();
        assert_eq!(found, durable.iter().map(|&seq| (seq, seq)).collect::<Vec<_>>());
        let now: Vec<_> = venue.node.shards.iter().map(|shard| shard.durable()).collect();
        assert_eq!(now, durable, "a restart over known parties adds nothing");
    }
    let known = [1, 2].map(|count: u64| {
        [today, tomorrow].map(|key| TradeId::new(venue.shard_of(key).number_base() + count))
    });
    let trades = |shard| {
        let entries = entries(&venue, shard);
        let events = entries.into_iter().flat_map(|entry| entry.events);
        let trades = events.filter_map(|event| {
            if let Event::Trade(trade) = event { Some(trade.trade) } else { None }
        });
        trades.collect::<Vec<_>>()
    };
    for trade in known.into_iter().flatten() {
        let shard = ShardId::of_number(trade.get()).unwrap();
        assert!(trades(shard).contains(&trade), "trade {trade}");
    }
    let dir = venue.stop().await;
    let audit = day::settlement(dir.path()).audit().unwrap();
    assert!(audit.is_clean() && audit.contracts == 12, "{audit:?}");
}

/// The slot a command is about; none where it enters somebody or something.
fn slot_of(command: &Command, slots: &BTreeMap<OrderId, SlotKey>) -> Option<SlotKey> {
    match command.about() {
        About::Slot(key) | About::Slots(key, _) => Some(key),
        About::Order(order) => Some(slots[&order]),
        About::Offer(_) | About::Everything => None,
    }
}

/// What an order is to its platform.
type Own = (PlatformId, ClientOrderId);

/// What two shards did, as one history: who is entered, once, and then everything by time.
struct History {
    commands: Vec<Command>,
    times: Vec<types::Timestamp>,
    slots: BTreeMap<OrderId, SlotKey>,
    owns: BTreeMap<OrderId, Own>,
    trades: Vec<String>,
}

fn words(trade: &types::Trade) -> String {
    let (buy, sell) = (trade.buy.client_order, trade.sell.client_order);
    format!("{} {buy} {sell} {} {}", trade.key, trade.price, trade.quantity)
}

impl History {
    fn of(venue: &Venue) -> Self {
        let mut slots = BTreeMap::new();
        let mut owns = BTreeMap::new();
        let mut trades = Vec::new();
        let mut all = Vec::new();
        for shard in venue.shard_map().shards().iter() {
            let entries = entries(venue, shard);
            for event in entries.iter().flat_map(|entry| &entry.events) {
                if let Event::OrderAccepted(accepted) = event {
                    slots.insert(accepted.order, accepted.key);
                    owns.insert(accepted.order, (accepted.origin.platform, accepted.client_order));
                }
                if let Event::Trade(trade) = event {
                    trades.push(words(trade));
                }
            }
            let is_new = |entry: &&Entry| {
                shard == ShardId::FIRST || slot_of(&entry.command.value, &slots).is_some()
            };
            all.extend(entries.iter().filter(is_new).map(|entry| entry.command));
        }
        all.sort_by_key(|command| command.time);
        trades.sort();
        let times = all.iter().map(|command| command.time).collect();
        Self { commands: all.into_iter().map(|c| c.value).collect(), times, slots, owns, trades }
    }

    /// An engine that is told the part of one shard, and nothing else.
    fn apply_part(&self, map: &ShardMap, shard: ShardId) -> Engine {
        let mut engine = Engine::new(shard::limits(shard));
        let mut seq = Seq::ZERO;
        for (value, &time) in self.commands.iter().zip(&self.times) {
            if slot_of(value, &self.slots).is_none_or(|key| map.of(key) == Some(shard)) {
                seq = seq.next();
                engine.apply(&Sequenced { seq, time, value: *value }, &mut Vec::new());
            }
        }
        engine
    }

    /// The trades of one engine that is told everything.
    fn trades_of_one(&self) -> Vec<String> {
        let mut engine = Engine::new(shard::limits(ShardId::FIRST));
        let mut numbers: BTreeMap<Own, OrderId> = BTreeMap::new();
        let (mut events, mut trades) = (Vec::new(), Vec::new());
        let mut command =
            Sequenced { seq: Seq::ZERO, time: self.times[0], value: Command::PassTime };
        for (value, &time) in self.commands.iter().zip(&self.times) {
            command.seq = command.seq.next();
            command.time = command.time.plus_ns(1).max(time);
            command.value = *value;
            if let Command::CancelOrder(request) = &mut command.value {
                request.order = numbers[&self.owns[&request.order]];
            }
            events.clear();
            engine.apply(&command, &mut events);
            for event in &events {
                if let Event::OrderAccepted(accepted) = event {
                    let own = (accepted.origin.platform, accepted.client_order);
                    numbers.insert(own, accepted.order);
                }
                if let Event::Trade(trade) = event {
                    trades.push(words(trade));
                }
            }
        }
        trades.sort();
        trades
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_is_what_one_engine_makes_of_its_part_of_the_commands() {
    let venue = venue().await;
    let keys = days(&venue);
    let mut sessions = [pair(&venue, keys[0]).await, pair(&venue, keys[1]).await];
    for round in 0..10_i64 {
        for (index, [seller, buyer]) in (0_i64..).zip(&mut sessions) {
            // Numbers differ between the days, so that one engine could take them all.
            let first = u64::try_from(1 + 1_000 * index + 10 * round).unwrap();
            let mut next = first..;
            let mut number = |order: types::NewOrder| types::NewOrder {
                client_order: ClientOrderId::new(next.next().unwrap()),
                ..order
            };
            let wh = u64::try_from(10 * (1 + (round * 7 + index) % 5)).unwrap();
            let sell = number(seller.order(THIRD, Side::Sell, 100 + round % 4, wh));
            let resting = seller.accepted(sell).await.order;
            let buy = number(buyer.order(FOURTH, Side::Buy, 98 + round % 7, 20));
            buyer.accepted(buy).await;
            if round % 3 == 0 {
                // It may have filled: both are an answer of the engine.
                let request = ClientOrderId::new(900_000 + first);
                seller.ask(gateway::client::cancel(request, resting)).await;
            }
        }
    }
    drop(sessions);
    let history = History::of(&venue);
    assert!(history.trades.len() > 4, "{:?}", history.trades);
    let map = venue.shard_map();
    for shard in map.shards().iter() {
        let journal = venue.layout.journal_of(shard);
        let whole = replay::verify(&journal, shard::limits(shard), &mut |_| {}).unwrap();
        let part = history.apply_part(&map, shard);
        assert_eq!(part.digest(), whole.state_digest, "shard {shard}");
    }
    assert_eq!(history.trades_of_one(), history.trades, "shards change no trade");
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_is_entered_everywhere_and_credit_is_split() {
    let credit = "[[credit]]\nplatform = 1\nmarket = 1\nlimit = \"250.01\"\n";
    let venue = venue_with(credit).await;
    let entered = |shard| {
        let commands = entries(&venue, shard).into_iter().map(|entry| entry.command.value);
        let settings = commands.filter(|command| {
            !matches!(
                command,
                Command::OpenSlot(_) | Command::UncrossSlot(_) | Command::CloseSlot(_)
            )
        });
        settings.collect::<Vec<_>>()
    };
    let first = entered(ShardId::FIRST);
    assert_eq!(first, entered(second()));
    let credit = first.iter().find_map(|command| {
        if let Command::SetCredit(limit) = command { Some(limit.limit) } else { None }
    });
    assert_eq!(credit, Some(Money::from_minor(12_500)), "half of it, and a cent is nobody's");
    let (venue, _) = venue.restart().await;
    assert_eq!(entries(&venue, second()).len(), entries_now(&venue), "nothing is entered twice");
    venue.close().await;
}

fn entries_now(venue: &Venue) -> usize {
    let found = venue.node.shards.iter().find(|shard| shard.id == second()).unwrap();
    usize::try_from(found.recovered.last_seq.get()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_number_of_shards_is_refused() {
    let venue = venue().await;
    let dir = venue.stop().await;
    for (count, found) in [("1", "2"), ("3", "2")] {
        let file = dir.path().join(config::FILE_NAME);
        std::fs::write(&file, two_shards().replace("shards = 2 ", &format!("shards = {count} ")))
            .unwrap();
        let run = program::run(["serve", "--data-dir", day::text(dir.path())]);
        assert_eq!(run.code, Some(3), "{}", run.stderr);
        for words in ["exchange.shards", &format!("set it to {found}"), "new directory"] {
            assert!(run.stderr.contains(words), "{}", run.stderr);
        }
    }
}

/// What does not depend on the order in which settlement sees the shards.
const SUMS: [&str; 15] = [
    "orders",
    "order_changes",
    "rejected",
    "trades",
    "cleared_wh",
    "contracts",
    "complete",
    "partial",
    "partial_curtailed",
    "failed",
    "disputed",
    "awaiting",
    "settled_wh",
    "money",
    "money_sum_minor",
];

#[test]
fn a_demo_with_two_shards_comes_to_the_same_sums() {
    let run = day::play(day::SEED, &["--output", "json", "--shards", "2"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let summary: Value = serde_json::from_str(&run.stdout).unwrap();
    let expected = &day::kept().summary;
    for sum in SUMS {
        assert_eq!(summary[sum], expected[sum], "{sum}");
    }
    assert_eq!(summary["money_sum_minor"], 0);
    assert!(summary["trades"].as_u64().unwrap() > 100, "{summary}");
}
