//! The view against a plain map, and under load.
#![cfg(not(loom))]

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Barrier, thread};

use types::{DeliverySlot, Energy, MarketId, Phase, Price, Seq, SlotKey, Timestamp};

use super::*;

/// SplitMix64: the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Often an end of the range, as that is where packing goes wrong.
    fn word(&mut self) -> u64 {
        match self.below(4) {
            0 => 0,
            1 => u64::MAX,
            _ => self.next(),
        }
    }

    fn maybe_price(&mut self) -> Option<Price> {
        (self.below(2) == 0).then(|| Price::from_micros(self.word().cast_signed()))
    }

    fn levels(&mut self, levels_max: u64) -> Vec<ViewLevel> {
        let level = |random: &mut Self| ViewLevel {
            price: Price::from_micros(random.word().cast_signed()),
            quantity: Energy::from_wh(random.word()),
            orders: u32::try_from(random.word() >> 32).unwrap(),
        };
        (0..self.below(levels_max + 1)).map(|_| level(self)).collect()
    }

    fn book(&mut self, levels_max: u64) -> BookView {
        const PHASES: [Phase; 5] =
            [Phase::PreOpen, Phase::Call, Phase::Frozen, Phase::Continuous, Phase::Closed];
        BookView {
            seq: Seq::new(self.word()),
            time: Timestamp::from_ns(self.word().cast_signed()),
            phase: PHASES[usize::try_from(self.below(5)).unwrap()],
            last: self.maybe_price(),
            indicative: (self.below(2) == 0).then(|| IndicativeView {
                price: self.maybe_price(),
                volume: Energy::from_wh(self.word()),
                surplus_wh: self.word().cast_signed(),
            }),
            buy: self.levels(levels_max),
            sell: self.levels(levels_max),
        }
    }
}

/// Keys that differ in one part each, at the ends of what the parts hold.
fn key(number: u64) -> SlotKey {
    let (market, start_minute, minutes) = [
        (1, 29_000_000, 15),
        (1, 29_000_015, 15),
        (1, 29_000_030, 15),
        (2, 29_000_000, 15),
        (1, 29_000_000, 30),
        (u16::MAX, 150_000_000, 1_440),
        (0, 0, 5),
    ][usize::try_from(number % 7).unwrap()];
    let slot = DeliverySlot::new(start_minute, minutes).unwrap();
    SlotKey { market: MarketId::new(market), slot }
}

fn best_of(book: &BookView) -> BestView {
    let quote = |side: &[ViewLevel]| {
        side.first().map(|level| Quote { price: level.price, quantity: level.quantity })
    };
    BestView { seq: book.seq, phase: book.phase, buy: quote(&book.buy), sell: quote(&book.sell) }
}

/// Everything a reader can ask agrees with the map.
fn compare(reader: &MarketReader, map: &BTreeMap<SlotKey, (Version, BookView)>) {
    let mut copy = BookView::with_depth(1);
    for key in (0..7).map(key) {
        let known = map.get(&key);
        assert_eq!(reader.book(key).unwrap().as_ref(), known);
        let best = known.map(|(version, book)| (*version, best_of(book)));
        assert_eq!(reader.best(key), Ok(best));
        let version = reader.book_into(key, &mut copy).unwrap();
        assert_eq!(version, known.map(|(version, _)| *version));
        assert_eq!(copy, known.map_or_else(|| BookView::with_depth(0), |(_, book)| book.clone()));
        assert!(!reader.changed_since(key, version.unwrap_or_default()));
        assert!(reader.changed_since(key, Version::new(1)));
    }
    assert_eq!(reader.keys(), map.keys().copied().collect::<Vec<_>>());
    for since in map.values().map(|(version, _)| *version).chain([Version::NONE]) {
        let mut later = Vec::new();
        reader.keys_since(since, &mut later);
        later.sort_unstable();
        let known = map.iter().filter(|(_, (version, _))| *version > since).map(|(key, _)| *key);
        assert_eq!(later, known.collect::<Vec<_>>());
    }
}

#[test]
fn random_publications_agree_with_a_map() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let slots_max = random.below(7) + 1;
        let depth_max = u16::try_from(random.below(6) + 1).unwrap();
        let (mut writer, reader) = MarketView::new(u32::try_from(slots_max).unwrap(), depth_max);
        let mut map = BTreeMap::new();
        let mut counters = Counters::default();
        let mut latest = Version::NONE;
        for _ in 0..400 {
            let key = key(random.next());
            match random.below(8) {
                0 | 1 => assert_eq!(writer.retire(key), map.remove(&key).is_some(), "seed {seed}"),
                2 => {
                    counters = Counters {
                        commands: random.word(),
                        accepted: random.word(),
                        rejected: random.word(),
                        trades: random.word(),
                        traded: Energy::from_wh(random.word()),
                    };
                    writer.count(counters);
                }
                _ => {
                    let mut book = random.book(8);
                    let published = writer.publish(key, &book);
                    let full = u64::try_from(map.len()).unwrap() == slots_max;
                    if full && !map.contains_key(&key) {
                        assert_eq!(published, Err(NoCell), "seed {seed}");
                    } else {
                        book.buy.truncate(usize::from(depth_max));
                        book.sell.truncate(usize::from(depth_max));
                        let version = published.unwrap();
                        assert!(version > latest, "seed {seed}");
                        assert_eq!(reader.latest(), version, "seed {seed}");
                        map.insert(key, (version, book));
                    }
                }
            }
            assert!(reader.latest() >= latest, "seed {seed}");
            latest = reader.latest();
            assert_eq!(reader.counters(), Ok(counters), "seed {seed}");
            compare(&reader, &map);
        }
    }
}

#[test]
fn publishing_and_reading_again_need_no_memory() {
    let mut random = Random(7);
    let (mut writer, reader) = MarketView::new(2, 32);
    let mut copy = BookView::with_depth(32);
    let sizes = |writer: &MarketWriter, copy: &BookView| {
        (writer.words.capacity(), copy.buy.capacity(), copy.sell.capacity())
    };
    let before = sizes(&writer, &copy);
    for _ in 0..1_000 {
        writer.publish(key(0), &random.book(64)).unwrap();
        reader.book_into(key(0), &mut copy).unwrap();
    }
    assert_eq!(sizes(&writer, &copy), before);
}

#[test]
fn both_ends_go_to_other_threads() {
    fn shared<T: Clone + Send + Sync>(_: &T) {}
    fn sent<T: Send>(_: &T) {}
    let (writer, reader) = MarketView::new(1, 1);
    sent(&writer);
    shared(&reader);
}

#[test]
fn a_view_without_cells_takes_no_book() {
    let (mut writer, reader) = MarketView::new(0, 0);
    assert_eq!(writer.publish(key(0), &BookView::with_depth(1)), Err(NoCell));
    assert!(!writer.retire(key(0)));
    assert_eq!(reader.book(key(0)), Ok(None));
    assert_eq!(reader.latest(), Version::NONE);
}

/// Every word decides the sum, and so does the key: it cannot be that of a mix.
fn sum(key: SlotKey, book: &BookView) -> Timestamp {
    let mut sum = Random(u64::from(key.slot.start_minute()) ^ book.seq.get());
    let mut add = |word: u64| sum = Random(sum.next() ^ word);
    add(u64::from(key.market.get()));
    add(u64::from(book.phase.code()));
    add(book.last.map_or(1, |price| price.micros().cast_unsigned()));
    if let Some(indicative) = book.indicative {
        add(indicative.price.map_or(2, |price| price.micros().cast_unsigned()));
        add(indicative.volume.wh());
        add(indicative.surplus_wh.cast_unsigned());
    }
    for level in book.buy.iter().chain(&book.sell) {
        add(level.price.micros().cast_unsigned());
        add(level.quantity.wh());
        add(u64::from(level.orders));
    }
    add(u64::try_from(book.buy.len()).unwrap());
    Timestamp::from_ns(sum.next().cast_signed())
}

/// Publishes and retires; sequence numbers rise, and the time of each book is its sum.
fn write_random_books(writer: &mut MarketWriter, seqs: RangeInclusive<u64>) {
    let mut random = Random(*seqs.start());
    for seq in seqs {
        let key = key(random.below(5));
        if random.below(4) == 0 {
            writer.retire(key);
        } else {
            let mut book = random.book(8);
            book.seq = Seq::new(seq);
            book.time = sum(key, &book);
            // With fewer cells than keys, some find no place.
            writer.publish(key, &book).ok();
        }
        writer.count(Counters {
            commands: seq,
            accepted: seq / 2,
            rejected: seq.div_ceil(2),
            trades: seq ^ 0xFF,
            traded: Energy::from_wh(!seq),
        });
    }
}

/// Reads everything, again and again. Gives how many books it saw and how often it was overtaken.
fn read_random_books(reader: &MarketReader, seed: u64, reads: u64) -> (u64, u64) {
    let mut random = Random(seed);
    let mut book = BookView::with_depth(8);
    let mut seen = [(Version::NONE, Seq::ZERO); 5];
    let (mut books, mut overtaken) = (0, 0);
    let mut commands = 0;
    for _ in 0..reads {
        let number = random.below(5);
        let key = key(number);
        let (version, seq) = &mut seen[usize::try_from(number).unwrap()];
        match reader.book_into(key, &mut book) {
            Ok(Some(now)) => {
                assert_eq!(book.time, sum(key, &book));
                assert!((now, book.seq) >= (*version, *seq));
                assert_eq!(now == *version, book.seq == *seq);
                assert!(reader.latest() >= Version::new(now.get() - 2));
                (*version, *seq) = (now, book.seq);
                books += 1;
            }
            Ok(None) => assert!(book.buy.is_empty()),
            Err(Overtaken) => overtaken += 1,
        }
        match reader.best(key) {
            Ok(Some((now, best))) => {
                assert!((now, best.seq) >= (*version, *seq));
                if now == *version {
                    assert_eq!(best, BestView { seq: *seq, ..best });
                }
                (*version, *seq) = (now, best.seq);
            }
            Ok(None) => (),
            Err(Overtaken) => overtaken += 1,
        }
        if let Ok(counters) = reader.counters() {
            assert!(counters.commands >= commands);
            commands = counters.commands;
            let Counters { accepted, rejected, trades, traded, .. } = counters;
            assert_eq!(accepted + rejected, commands);
            if commands > 0 {
                assert_eq!((trades, traded.wh()), (commands ^ 0xFF, !commands));
            }
        }
    }
    (books, overtaken)
}

#[test]
fn readers_beside_a_busy_writer_see_whole_books() {
    const OPERATIONS: u64 = 60_000;
    let (mut writer, reader) = MarketView::new(3, 8);
    // Something to see even for readers that are done before the writer gets a processor.
    write_random_books(&mut writer, 1..=100);
    assert!(!reader.keys().is_empty());
    let start = Barrier::new(4);
    let books: u64 = thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|seed| {
                let (reader, start) = (reader.clone(), &start);
                scope.spawn(move || {
                    start.wait();
                    read_random_books(&reader, seed, OPERATIONS)
                })
            })
            .collect();
        start.wait();
        write_random_books(&mut writer, 101..=OPERATIONS);
        readers.into_iter().map(|reader| reader.join().unwrap().0).sum()
    });
    assert!(books > 0);
    // The writer is still: nobody is overtaken any more.
    assert_eq!(read_random_books(&reader, 9, 1_000).1, 0);
    assert_eq!(reader.counters().unwrap().commands, OPERATIONS);
}
