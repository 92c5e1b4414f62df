//! Market data: what subscribers put together from changes is the book, whoever they are.
#![expect(clippy::wildcard_enum_match_arm, reason = "tests look for what they name")]

use std::collections::BTreeMap;

use engine::Engine;
use exchange::market_data::{
    DEPTH_MAX, MarketData,
    tape::{Events, Follower, Piece, Room, Tape},
};
use gateway::client::{
    ClientError, LocalBook, MarketBooks, MarketClient, MarketSubscription, MarketUpdate,
};
use tests::{
    cast::{self, FIRST, SECOND},
    model::history::{History, Random, limits},
    platform::Platform,
    venue::{Venue, config_text, soon},
};
use types::{
    DeliverySlot, Energy, Event, MarketId, NewOrder, Party, Phase, Price, RejectReason, Role, Seq,
    ShardId, Side, SlotKey,
};
use wire::{FeedItem, MarketMessage, market::Selection};

/// Histories, and commands of each.
const HISTORIES: u64 = 150;
const COMMANDS: usize = 1_200;

/// A reader beside an engine: what it was told and what it made of it.
struct Beside {
    follower: Follower,
    books: MarketBooks,
    trades: BTreeMap<SlotKey, Counted>,
    snapshots: u64,
    changes: u64,
    missed: u64,
}

/// Trades, their energy and other events of a slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counted {
    trades: u64,
    traded: u64,
    events: u64,
}

impl Beside {
    fn begin(tape: &mut Tape, selections: Vec<Selection>) -> Self {
        let (follower, books) = Follower::begin(tape, selections);
        let mut reader = Self {
            follower,
            books: MarketBooks::default(),
            trades: BTreeMap::new(),
            snapshots: 0,
            changes: 0,
            missed: 0,
        };
        reader.take(&books);
        reader.snapshots = 0;
        reader
    }

    fn read(&mut self, tape: &mut Tape) {
        loop {
            let mut pieces = Vec::new();
            self.follower.read(tape, &mut pieces).unwrap();
            if pieces.is_empty() {
                return;
            }
            self.take(&pieces);
        }
    }

    fn take(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            let mut bytes = &piece.bytes[..];
            let mut messages = 0;
            while !bytes.is_empty() {
                let message = MarketMessage::decode(&mut bytes).unwrap();
                messages += 1;
                self.count(&message);
                self.books.apply(&message).unwrap();
            }
            assert_eq!(messages, piece.messages);
        }
    }

    fn count(&mut self, message: &MarketMessage) {
        match message {
            MarketMessage::BookSnapshot(_) => self.snapshots += 1,
            MarketMessage::BookChange(_) => self.changes += 1,
            MarketMessage::Trade(at) => {
                let counted = self.trades.entry(at.body.key).or_default();
                counted.trades += 1;
                counted.traded += at.body.quantity.wh();
            }
            MarketMessage::SlotPhaseChanged(at) => {
                self.trades.entry(at.body.key).or_default().events += 1;
            }
            MarketMessage::AuctionUncrossed(at) => {
                self.trades.entry(at.body.key).or_default().events += 1;
            }
            MarketMessage::Missed(missed) => {
                assert!(missed.trades + missed.events > 0, "nothing is no gap");
                assert!(missed.after < missed.through);
                let counted = self.trades.entry(missed.slot.unwrap()).or_default();
                counted.trades += missed.trades;
                counted.traded += missed.traded.wh();
                counted.events += missed.events;
                self.missed += 1;
            }
            _ => {}
        }
    }
}

/// An engine with its market data, one turn after the other.
struct Source {
    history: History,
    engine: Engine,
    data: MarketData,
    view: market_view::MarketReader,
    told: BTreeMap<SlotKey, Counted>,
    /// What an uncross would have done after each turn. A trade in another slot of the market can
    /// change it too, without a revision.
    indicative: BTreeMap<(SlotKey, Seq), Option<Indicative>>,
}

/// Price, volume and surplus in Wh of an uncross that was not.
type Indicative = (Option<Price>, Energy, i64);

impl Source {
    fn new(seed: u64) -> Self {
        let (data, view) = MarketData::new(limits().slots_max);
        let (history, engine) = (History::new(seed), Engine::new(limits()));
        let (told, indicative) = (BTreeMap::new(), BTreeMap::new());
        Self { history, engine, data, view, told, indicative }
    }

    /// A turn of so many commands, and onto the tape with it.
    fn turn(&mut self, commands: u64, events: &mut Events) -> Seq {
        let mut seq = Seq::ZERO;
        for _ in 0..commands {
            let command = self.history.next_command();
            let mut caused = Vec::new();
            self.engine.apply(&command, &mut caused);
            self.history.observe(&caused);
            self.data.observe(&self.engine, &caused);
            (seq, _) = (command.seq, command.time);
            for (index, event) in (0..).zip(caused) {
                self.note(&event);
                let item = FeedItem { seq, time: command.time, index, event };
                events.take(&item, &|_| true);
            }
        }
        self.data.publish(&self.engine);
        for (key, _) in self.engine.slots() {
            let now = self.engine.indicative(key);
            let now = now.map(|now| (now.price, now.volume, now.surplus_wh));
            self.indicative.insert((key, seq), now);
        }
        seq
    }

    fn note(&mut self, event: &Event) {
        match event {
            // What two sides agree on between themselves is no trade of the market.
            Event::Trade(trade) if trade.is_negotiated() => {}
            Event::Trade(trade) => {
                let counted = self.told.entry(trade.key).or_default();
                counted.trades += 1;
                counted.traded += trade.quantity.wh();
            }
            Event::SlotPhaseChanged(changed) => {
                self.told.entry(changed.key).or_default().events += 1;
            }
            Event::SlotFrozen(frozen) => self.told.entry(frozen.key).or_default().events += 1,
            Event::AuctionUncrossed(result) => {
                self.told.entry(result.key).or_default().events += 1;
            }
            _ => {}
        }
    }

    /// The books are those of the engine now.
    fn check(&self, seed: u64, books: &MarketBooks, wants: impl Fn(SlotKey) -> bool) {
        let open: Vec<_> = self
            .engine
            .slots()
            .filter(|&(key, phase)| phase != Phase::Closed && wants(key))
            .map(|(key, _)| key)
            .collect();
        let shown: Vec<_> = books.books().map(|(&key, _)| key).collect();
        let mut sorted = open.clone();
        sorted.sort_unstable();
        assert_eq!(shown, sorted, "seed {seed}");
        for key in open {
            let book = books.book(key).unwrap();
            assert!(book.revision() <= self.engine.last_seq());
            assert_eq!(Some(book.head.phase), self.engine.phase(key), "seed {seed} {key:?}");
            assert_eq!(book.head.last, self.engine.last_price(key), "seed {seed} {key:?}");
            let shown = book.head.indicative;
            let shown = shown.map(|now| (now.price, now.volume, now.surplus_wh));
            let then = self.indicative.get(&(key, book.revision()));
            assert_eq!(Some(&shown), then, "seed {seed} {key:?}");
            for side in [Side::Buy, Side::Sell] {
                let ours: Vec<_> = book
                    .levels(side)
                    .map(|level| (level.price, level.quantity, level.orders))
                    .collect();
                let theirs: Vec<_> = self
                    .engine
                    .levels(key, side)
                    .take(usize::from(DEPTH_MAX))
                    .map(|level| (level.price, level.quantity, level.orders))
                    .collect();
                assert_eq!(ours, theirs, "seed {seed} {key:?} {side:?}");
            }
        }
    }
}

#[test]
fn what_is_put_together_from_changes_is_the_engines_book() {
    let (mut changes, mut missed, mut snapshots) = (0, 0, 0);
    for seed in 0..HISTORIES {
        let mut random = Random::new(seed ^ 0x5eed);
        let mut source = Source::new(seed);
        let mut events = Events::default();
        let mut tape = Tape::new(Room { pieces: 48, bytes: 1 << 20 }, Seq::ZERO);
        let only = Selection::Market(MarketId::new(1));
        let mut quick = Beside::begin(&mut tape, Vec::new());
        let mut slow = Beside::begin(&mut tape, Vec::new());
        let mut narrow = Beside::begin(&mut tape, vec![only]);
        let mut done = 0;
        while done < COMMANDS {
            let commands = 1 + random.below(12);
            done += usize::try_from(commands).unwrap();
            let seq = source.turn(commands, &mut events);
            if random.once_in(4) {
                continue; // The tape does not see every turn.
            }
            tape.take_events(&mut events, seq);
            tape.take_books(&source.view);
            quick.read(&mut tape);
            source.check(seed, &quick.books, |_| true);
            if random.once_in(25) {
                slow.read(&mut tape);
                source.check(seed, &slow.books, |_| true);
            }
            if random.once_in(8) {
                narrow.read(&mut tape);
                source.check(seed, &narrow.books, |key| key.market == MarketId::new(1));
            }
            if random.once_in(40) {
                // Who comes later has the same.
                let late = Beside::begin(&mut tape, Vec::new());
                assert_eq!(bytes(&late.books), bytes(&quick.books), "seed {seed}");
            }
        }
        let seq = source.turn(1, &mut events);
        tape.take_events(&mut events, seq);
        tape.take_books(&source.view);
        for reader in [&mut quick, &mut slow, &mut narrow] {
            reader.read(&mut tape);
        }
        assert_eq!(bytes(&slow.books), bytes(&quick.books), "seed {seed}");
        assert_eq!(quick.missed, 0, "seed {seed}");
        // Every event was sent or counted, to both.
        assert_eq!(quick.trades, source.told, "seed {seed}");
        assert_eq!(slow.trades, source.told, "seed {seed}");
        changes += quick.changes;
        missed += slow.missed;
        snapshots += slow.snapshots;
    }
    println!("{changes} changes, {missed} gaps, {snapshots} snapshots");
    assert!(changes > 10_000 && missed > 1_000 && snapshots > 1_000);
}

fn bytes(books: &MarketBooks) -> Vec<Vec<u8>> {
    books.books().map(|(_, book)| LocalBook::to_bytes(book)).collect()
}

async fn subscribe(venue: &Venue, party: Party, to: MarketSubscription) -> MarketClient {
    soon(MarketClient::subscribe(&venue.connector(party), to)).await.unwrap()
}

/// Updates up to a position.
async fn through(client: &mut MarketClient, seq: Seq) -> Vec<MarketUpdate> {
    let mut updates = Vec::new();
    loop {
        match soon(client.next()).await.unwrap() {
            MarketUpdate::Position(position) if position >= seq => return updates,
            MarketUpdate::Position(_) => {}
            update => updates.push(update),
        }
    }
}

/// Updates until the book of a slot has a revision.
async fn revision(client: &mut MarketClient, key: SlotKey, seq: Seq) -> Vec<MarketUpdate> {
    let mut updates = Vec::new();
    while client.books().book(key).is_none_or(|book| book.revision() < seq) {
        updates.push(soon(client.next()).await.unwrap());
    }
    updates
}

/// The trade of 200 Wh of an order, and what it left in the book.
async fn sees_the_trade(client: &mut MarketClient, sell: &NewOrder, seq: Seq) {
    let updates = through(client, seq).await;
    let trades: Vec<_> = updates
        .iter()
        .filter_map(|update| match update {
            MarketUpdate::Trade(at) => Some(at),
            _ => None,
        })
        .collect();
    assert_eq!(trades.len(), 1, "{updates:?}");
    assert_eq!(trades[0].place.seq, seq);
    let trade = trades[0].body;
    assert_eq!((trade.key, trade.price), (sell.key, sell.limit));
    assert_eq!((trade.quantity, trade.maker), (Energy::from_wh(200), Some(Side::Sell)));
    revision(client, sell.key, seq).await;
    let book = client.books().book(sell.key).unwrap();
    assert_eq!(book.head.last, Some(sell.limit));
    assert_eq!(book.levels(Side::Sell).next().unwrap().quantity, Energy::from_wh(300));
}

fn retailer() -> Party {
    cast::party(Role::Retailer, 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_sees_books_trades_and_phases() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut first = Platform::log_on(&venue, 1).await;
    let mut second = Platform::log_on(&venue, 2).await;
    let sell = first.order(FIRST, Side::Sell, 120, 500);
    first.accepted(sell).await;

    // A retailer, which may not even have a session.
    let mut all = subscribe(&venue, retailer(), MarketSubscription::everything()).await;
    let only = MarketSubscription::of([Selection::Slot(sell.key)]);
    let mut one = subscribe(&venue, cast::party(Role::Platform, 2), only.clone()).await;
    let at = all.subscribed_at();
    through(&mut all, at).await;
    through(&mut one, at).await;
    assert_eq!(all.depth(), DEPTH_MAX);
    assert!(all.books().books().count() > 1, "other slots are open");
    assert_eq!(one.books().books().map(|(&key, _)| key).collect::<Vec<_>>(), [sell.key]);
    let book = one.books().book(sell.key).unwrap();
    assert_eq!(book.head.phase, Phase::Continuous);
    let level = book.levels(Side::Sell).next().unwrap();
    assert_eq!((level.price, level.quantity, level.orders), (sell.limit, sell.quantity, 1));
    assert_eq!(book.to_bytes(), all.books().book(sell.key).unwrap().to_bytes());

    let buy = second.order(SECOND, Side::Buy, 120, 200);
    let report = second.accepted(buy).await;
    for client in [&mut all, &mut one] {
        sees_the_trade(client, &sell, report.seq).await;
    }
    let (ours, theirs) = (all.books().book(sell.key), one.books().book(sell.key));
    assert_eq!(ours.map(LocalBook::to_bytes), theirs.map(LocalBook::to_bytes));

    // The gate closes: the book is gone, and everyone is told.
    venue.clock_to(-14).await;
    let closed = venue.first().durable();
    let updates = through(&mut one, closed).await;
    let phases: Vec<_> = updates
        .iter()
        .filter_map(|update| match update {
            MarketUpdate::Phase(at) => Some((at.body.key, at.body.phase)),
            _ => None,
        })
        .collect();
    assert_eq!(phases, [(sell.key, Phase::Closed)]);
    assert_eq!(one.books().book(sell.key), None);

    // From where the first position was: everything again, each once.
    let resumed = MarketSubscription { after: at, ..only };
    let mut again = subscribe(&venue, retailer(), resumed).await;
    let updates = through(&mut again, closed).await;
    let names: Vec<_> = updates
        .iter()
        .map(|update| match update {
            MarketUpdate::Trade(at) => (at.place.seq, "trade"),
            MarketUpdate::Phase(at) => (at.place.seq, "phase"),
            _ => panic!("{update:?}"),
        })
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(names[0], (report.seq, "trade"));
    assert_eq!(names[1].1, "phase");
    drop((first, second));
    venue.close().await;
    let mut end = Ok(MarketUpdate::Position(Seq::ZERO));
    while end.is_ok() {
        end = soon(all.next()).await;
    }
    assert!(matches!(end, Err(ClientError::Ended)), "{end:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_have_indicative_prices_and_results() {
    let venue = Venue::open().await;
    venue.clock_to(-50).await;
    let mut first = Platform::log_on(&venue, 1).await;
    let mut second = Platform::log_on(&venue, 2).await;
    let key = first.key;
    let slot = MarketSubscription::of([Selection::Slot(key)]);
    let mut client = subscribe(&venue, retailer(), slot).await;
    let sell = first.order(FIRST, Side::Sell, 110, 500);
    first.accepted(sell).await;
    let buy = second.order(SECOND, Side::Buy, 130, 200);
    let report = second.accepted(buy).await;
    revision(&mut client, key, report.seq).await;
    let head = client.books().book(key).unwrap().head;
    assert_eq!(head.phase, Phase::Call);
    let indicative = head.indicative.unwrap();
    assert_eq!(indicative.volume, Energy::from_wh(200));
    assert!(indicative.price.is_some());

    venue.clock_to(-29).await;
    let now = venue.first().durable();
    let updates = through(&mut client, now).await;
    let result = updates.iter().find_map(|update| match update {
        MarketUpdate::Auction(at) => Some(at.body),
        _ => None,
    });
    let result = result.unwrap();
    assert_eq!((result.key, result.volume), (key, Energy::from_wh(200)));
    assert_eq!(result.price, indicative.price);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_subscribed_to_is_told() {
    let venue = Venue::open().await;
    let refused = async |to: MarketSubscription| {
        let connector = venue.connector(retailer());
        match soon(MarketClient::subscribe(&connector, to)).await {
            Err(ClientError::Refused(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    let nowhere =
        MarketSubscription { shard: ShardId::new(3).unwrap(), ..MarketSubscription::everything() };
    assert_eq!(refused(nowhere).await, RejectReason::WrongShard);
    venue.close().await;

    let two = config_text().replacen("[exchange]\n", "[exchange]\nshards = 2\n", 1);
    let venue = Venue::open_with(&two).await;
    let connector = venue.connector(retailer());
    let subscribe = async |shard: u8, market: u16| {
        let slot = DeliverySlot::new(venue.slot(0).slot.start_minute(), 15).unwrap();
        let key = SlotKey { market: MarketId::new(market), slot };
        let shard = ShardId::new(shard).unwrap();
        let to = MarketSubscription { shard, ..MarketSubscription::of([Selection::Slot(key)]) };
        soon(MarketClient::subscribe(&connector, to)).await
    };
    let mut refusals = Vec::new();
    for shard in [0, 1] {
        if let Err(ClientError::Refused(reason)) = subscribe(shard, 1).await {
            refusals.push(reason);
        }
    }
    assert_eq!(refusals, [RejectReason::WrongShard]);
    let unknown = subscribe(0, 99).await;
    assert!(matches!(unknown, Err(ClientError::Refused(RejectReason::UnknownMarket))));
    venue.close().await;
}
