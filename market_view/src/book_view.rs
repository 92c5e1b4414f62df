//! What market data shows of a book, and its form in words.

use types::{Energy, Phase, Price, Seq, Timestamp};

use super::{seqlock::Words, table::KeyWord};

/// A price level as market data shows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ViewLevel {
    /// Its price.
    pub price: Price,
    /// Displayed quantity of all its orders.
    pub quantity: Energy,
    /// How many orders rest there.
    pub orders: u32,
}

/// What the uncross of a slot in its call would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndicativeView {
    /// The price, or `None` while nothing crosses.
    pub price: Option<Price>,
    /// Energy that would trade.
    pub volume: Energy,
    /// Demand minus supply at the price, in Wh. 0 without a price.
    pub surplus_wh: i64,
}

/// One book after one command. A writer fills the same one again and again: its vectors keep their
/// memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookView {
    /// The last command that changed it.
    pub seq: Seq,
    /// Sequenced time of that command.
    pub time: Timestamp,
    /// Where the slot stands.
    pub phase: Phase,
    /// Price of the last trade, if there was one.
    pub last: Option<Price>,
    /// What an uncross would do, in a call.
    pub indicative: Option<IndicativeView>,
    /// Buys: highest price first.
    pub buy: Vec<ViewLevel>,
    /// Sells: lowest price first.
    pub sell: Vec<ViewLevel>,
}

/// Price and displayed quantity of the best level of a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// Its price.
    pub price: Price,
    /// Displayed quantity.
    pub quantity: Energy,
}

/// The top of one book after one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BestView {
    /// The last command that changed the book.
    pub seq: Seq,
    /// Where the slot stands.
    pub phase: Phase,
    /// The highest buy.
    pub buy: Option<Quote>,
    /// The lowest sell.
    pub sell: Option<Quote>,
}

/// Totals since the first command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Commands sequenced.
    pub commands: u64,
    /// Orders accepted.
    pub accepted: u64,
    /// Requests refused.
    pub rejected: u64,
    /// Trades.
    pub trades: u64,
    /// Energy of all trades.
    pub traded: Energy,
}

/// Key, facts, sequence number, best quotes; time, last price, three of the uncross, best orders.
const FIRST_WORDS: usize = 13;

/// Each further rank: two prices, two quantities, and both numbers of orders in one word.
const RANK_WORDS: usize = 5;

/// Words of [`Counters`].
pub(super) const COUNTER_WORDS: usize = 5;

/// Words of a book of `depth_max` levels a side. The version and the first seven, all that
/// [`decode_best`] needs, share a cache line. With 32 levels: 1 + 13 + 31 × 5 = 169 words, 22 lines.
pub(super) fn book_words(depth_max: u16) -> usize {
    FIRST_WORDS + usize::from(depth_max.max(1)).saturating_sub(1) * RANK_WORDS
}

impl BookView {
    /// An empty book with place for `depth_max` levels a side.
    #[must_use]
    pub fn with_depth(depth_max: u16) -> Self {
        Self {
            seq: Seq::ZERO,
            time: Timestamp::default(),
            phase: Phase::PreOpen,
            last: None,
            indicative: None,
            buy: Vec::with_capacity(usize::from(depth_max)),
            sell: Vec::with_capacity(usize::from(depth_max)),
        }
    }

    /// Empties it; the memory stays.
    pub fn clear(&mut self) {
        self.buy.clear();
        self.sell.clear();
        let (buy, sell) = (core::mem::take(&mut self.buy), core::mem::take(&mut self.sell));
        *self = Self { buy, sell, ..Self::with_depth(0) };
    }
}

/// What is there: a phase, three options, and how many levels each side shows.
#[derive(Clone, Copy)]
struct Facts {
    phase: Phase,
    last: bool,
    indicative: bool,
    indicative_price: bool,
    buy: u16,
    sell: u16,
}

impl Facts {
    fn word(self) -> u64 {
        let bits = u8::from(self.last)
            | u8::from(self.indicative) << 1
            | u8::from(self.indicative_price) << 2;
        let [b0, b1] = self.buy.to_le_bytes();
        let [s0, s1] = self.sell.to_le_bytes();
        u64::from_le_bytes([self.phase.code(), bits, b0, b1, s0, s1, 0, 0])
    }

    fn of(word: u64) -> Self {
        let [phase, bits, b0, b1, s0, s1, _, _] = word.to_le_bytes();
        Self {
            // One word is never torn, so the code is always one of a phase.
            phase: Phase::from_code(phase).unwrap_or(Phase::Closed),
            last: bits & 1 != 0,
            indicative: bits & 2 != 0,
            indicative_price: bits & 4 != 0,
            buy: u16::from_le_bytes([b0, b1]),
            sell: u16::from_le_bytes([s0, s1]),
        }
    }
}

/// Two levels of one rank, as words.
fn quotes(buy: ViewLevel, sell: ViewLevel) -> [u64; 4] {
    let price = |level: ViewLevel| level.price.micros().cast_unsigned();
    [price(buy), buy.quantity.wh(), price(sell), sell.quantity.wh()]
}

fn orders(buy: ViewLevel, sell: ViewLevel) -> u64 {
    u64::from(buy.orders) | u64::from(sell.orders) << 32
}

fn orders_of(word: u64) -> (u32, u32) {
    let [b0, b1, b2, b3, s0, s1, s2, s3] = word.to_le_bytes();
    (u32::from_le_bytes([b0, b1, b2, b3]), u32::from_le_bytes([s0, s1, s2, s3]))
}

fn price_of(word: u64) -> Price {
    Price::from_micros(word.cast_signed())
}

fn at_most(levels: &[ViewLevel], depth_max: u16) -> (&[ViewLevel], u16) {
    let levels = levels.get(..usize::from(depth_max)).unwrap_or(levels);
    (levels, u16::try_from(levels.len()).unwrap_or(depth_max))
}

/// Puts a key and its book into words, each side's best `depth_max` levels.
pub(super) fn encode_book(words: &mut Vec<u64>, key: KeyWord, book: &BookView, depth_max: u16) {
    let (buy, buy_levels) = at_most(&book.buy, depth_max);
    let (sell, sell_levels) = at_most(&book.sell, depth_max);
    let indicative_price = book.indicative.and_then(|indicative| indicative.price);
    let facts = Facts {
        phase: book.phase,
        last: book.last.is_some(),
        indicative: book.indicative.is_some(),
        indicative_price: indicative_price.is_some(),
        buy: buy_levels,
        sell: sell_levels,
    };
    let rank = |rank: usize| {
        let level = |side: &[ViewLevel]| side.get(rank).copied().unwrap_or_default();
        (level(buy), level(sell))
    };
    let (best_buy, best_sell) = rank(0);
    words.clear();
    words.extend_from_slice(&[key.0, facts.word(), book.seq.get()]);
    words.extend_from_slice(&quotes(best_buy, best_sell));
    words.extend_from_slice(&[
        book.time.ns().cast_unsigned(),
        book.last.unwrap_or_default().micros().cast_unsigned(),
        indicative_price.unwrap_or_default().micros().cast_unsigned(),
        book.indicative.map_or(0, |indicative| indicative.volume.wh()),
        book.indicative.map_or(0, |indicative| indicative.surplus_wh.cast_unsigned()),
        orders(best_buy, best_sell),
    ]);
    for (buy, sell) in (1..buy.len().max(sell.len())).map(rank) {
        let [b, bq, s, sq] = quotes(buy, sell);
        words.extend_from_slice(&[b, bq, s, sq, orders(buy, sell)]);
    }
}

/// The book behind the key.
pub(super) fn decode_book(words: &mut Words<'_>, book: &mut BookView) {
    book.clear();
    let facts = Facts::of(words.next());
    book.phase = facts.phase;
    book.seq = Seq::new(words.next());
    let best = [words.next(), words.next(), words.next(), words.next()];
    book.time = Timestamp::from_ns(words.next().cast_signed());
    let last = price_of(words.next());
    book.last = facts.last.then_some(last);
    let indicative = IndicativeView {
        price: Some(price_of(words.next())).filter(|_| facts.indicative_price),
        volume: Energy::from_wh(words.next()),
        surplus_wh: words.next().cast_signed(),
    };
    book.indicative = facts.indicative.then_some(indicative);
    let mut push = |rank: u16, [b, bq, s, sq]: [u64; 4], both: u64| {
        let level = |price, wh, orders| ViewLevel {
            price: price_of(price),
            quantity: Energy::from_wh(wh),
            orders,
        };
        let (buy, sell) = orders_of(both);
        if rank < facts.buy {
            book.buy.push(level(b, bq, buy));
        }
        if rank < facts.sell {
            book.sell.push(level(s, sq, sell));
        }
    };
    push(0, best, words.next());
    for rank in 1..facts.buy.max(facts.sell) {
        let quotes = [words.next(), words.next(), words.next(), words.next()];
        push(rank, quotes, words.next());
    }
}

/// The top of the book behind the key.
pub(super) fn decode_best(words: &mut Words<'_>) -> BestView {
    let facts = Facts::of(words.next());
    let seq = Seq::new(words.next());
    let mut quote =
        || Quote { price: price_of(words.next()), quantity: Energy::from_wh(words.next()) };
    let (buy, sell) = (quote(), quote());
    BestView {
        seq,
        phase: facts.phase,
        buy: (facts.buy > 0).then_some(buy),
        sell: (facts.sell > 0).then_some(sell),
    }
}

/// Counters in words.
pub(super) const fn encode_counters(counters: &Counters) -> [u64; COUNTER_WORDS] {
    let Counters { commands, accepted, rejected, trades, traded } = *counters;
    [commands, accepted, rejected, trades, traded.wh()]
}

/// Words in counters.
pub(super) fn decode_counters(words: &mut Words<'_>) -> Counters {
    Counters {
        commands: words.next(),
        accepted: words.next(),
        rejected: words.next(),
        trades: words.next(),
        traded: Energy::from_wh(words.next()),
    }
}
