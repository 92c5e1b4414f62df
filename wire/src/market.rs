//! Market data: books as revisions, trades, phases and auction results, for everyone.
//!
//! Nothing here names a meter, an order or a platform. A revision of a book is the position of the
//! journal up to which it is the book: everyone who has the same revision has the same levels.

use types::{
    AuctionResult, DeliverySlot, Energy, MarketId, Phase, Price, RejectReason, Seq, Side, SlotKey,
    SlotPhaseChanged, Timestamp, Trade, TradeId,
};

use crate::{
    feed::{At, Progress, Subscribe},
    field::{DecodeError, Field, Zero},
    inbound::Empty,
};

/// Most selections of one subscription: with `Subscribe` they are one frame.
pub const SELECTIONS_MAX: usize = 255;

/// What a subscription is limited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selection {
    /// Every slot of a market, those to come included.
    Market(MarketId),
    /// One slot.
    Slot(SlotKey),
}

impl Selection {
    /// Whether a slot is part of it.
    #[must_use]
    pub fn covers(self, key: SlotKey) -> bool {
        match self {
            Self::Market(market) => key.market == market,
            Self::Slot(slot) => key == slot,
        }
    }
}

/// A market and a slot; six zero bytes in the place of the slot for all of them.
impl Field for Selection {
    const SIZE: usize = SlotKey::SIZE;
    const NAME: &'static str = "slot, or its market";
    fn parts(name: &'static str) -> Vec<(String, usize, &'static str)> {
        SlotKey::parts(name)
    }
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Slot(key) => key.put(out),
            Self::Market(market) => {
                market.put(out);
                Zero::<6>.put(out);
            }
        }
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let market = MarketId::take(bytes)?;
        let minutes = u16::take(bytes)?;
        let start = u32::take(bytes)?;
        if (minutes, start) == (0, 0) {
            return Ok(Self::Market(market));
        }
        let slot =
            DeliverySlot::new(start, minutes).map_err(|_| DecodeError::BadField("DeliverySlot"))?;
        Ok(Self::Slot(SlotKey { market, slot }))
    }
}

/// The subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribed {
    /// Trades, phases and results after this position are sent as they come. Those between the
    /// position asked for and this one follow at once.
    pub through: Seq,
    /// Most levels of a side in a book.
    pub depth: u16,
}
layout! { Subscribed { through: Seq, depth: u16, zero 6, } }

/// The subscription is refused; the connection closes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionRejected {
    /// Why.
    pub reason: RejectReason,
}
layout! { SubscriptionRejected { reason: RejectReason, zero 6, } }

/// What the uncross of a slot in its call would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indicative {
    /// The price, or `None` while nothing crosses.
    pub price: Option<Price>,
    /// Energy that would trade.
    pub volume: Energy,
    /// Demand minus supply at the price, in Wh. 0 without a price.
    pub surplus_wh: i64,
}

/// A `u64` that is 0 or 1, and zeros where there is nothing.
impl Field for Option<Indicative> {
    const SIZE: usize = 40;
    const NAME: &'static str = "optional indicative result";
    fn parts(name: &'static str) -> Vec<(String, usize, &'static str)> {
        let part = |field: &str| format!("{name}_{field}");
        vec![
            (part("count"), 8, "u64, 0 or 1"),
            (part("price_count"), 8, "u64, 0 or 1"),
            (part("price"), 8, "i64"),
            (part("volume"), 8, "u64"),
            (part("surplus_wh"), 8, "i64"),
        ]
    }
    fn put(&self, out: &mut Vec<u8>) {
        u64::from(self.is_some()).put(out);
        let none = Indicative { price: None, volume: Energy::ZERO, surplus_wh: 0 };
        let Indicative { price, volume, surplus_wh } = self.unwrap_or(none);
        price.put(out);
        volume.put(out);
        surplus_wh.put(out);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let present = u64::take(bytes)?;
        let price = <Option<Price> as Field>::take(bytes)?;
        let volume = Energy::take(bytes)?;
        let surplus_wh = i64::take(bytes)?;
        match (present, price, volume.wh(), surplus_wh) {
            (0, None, 0, 0) => Ok(None),
            (1, ..) => Ok(Some(Indicative { price, volume, surplus_wh })),
            _ => Err(DecodeError::BadField("Option<Indicative>")),
        }
    }
}

/// A revision of a book without its levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BookHead {
    /// Whose book.
    pub key: SlotKey,
    /// The book is that of this position: every command up to it has had its effect.
    pub revision: Seq,
    /// When the command at that position was sequenced.
    pub time: Timestamp,
    /// Price of the last trade, if there was one.
    pub last: Option<Price>,
    /// What an uncross would do, in a call.
    pub indicative: Option<Indicative>,
    /// Where the slot stands. `Closed`: there is no book any more.
    pub phase: Phase,
    /// How many `Level` messages follow, in the same frame.
    pub levels: u16,
}
layout! {
    BookHead {
        key: SlotKey,
        revision: Seq,
        time: Timestamp,
        last: Option<Price>,
        indicative: Option<Indicative>,
        phase: Phase,
        zero 1,
        levels: u16,
        zero 4,
    }
}

/// A revision of a book as the changes since another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BookChange {
    /// The revision that the changes are to. Who has another one has missed something.
    pub previous: Seq,
    /// What the book is now. The levels that follow replace those of the same side and price.
    pub head: BookHead,
}
layout! { BookChange { previous: Seq, head: BookHead, } }

/// A price level of the book before it in the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Its price.
    pub price: Price,
    /// Displayed quantity of all its orders.
    pub quantity: Energy,
    /// How many orders rest there. 0: the level is gone, or below the depth that is shown.
    pub orders: u32,
    /// Buys or sells.
    pub side: Side,
}
layout! { Level { price: Price, quantity: Energy, orders: u32, side: Side, zero 3, } }

/// A trade as everyone sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicTrade {
    /// Its number.
    pub trade: TradeId,
    /// What is delivered.
    pub key: SlotKey,
    /// At which price.
    pub price: Price,
    /// How much.
    pub quantity: Energy,
    /// The side that was resting, or `None` in an auction.
    pub maker: Option<Side>,
}
layout! {
    PublicTrade {
        trade: TradeId,
        key: SlotKey,
        price: Price,
        quantity: Energy,
        maker: Option<Side>,
        zero 7,
    }
}
layout! { At<PublicTrade> { place: crate::feed::Place, body: PublicTrade, } }

impl From<&Trade> for PublicTrade {
    fn from(trade: &Trade) -> Self {
        let Trade { trade, key, price, quantity, maker, .. } = *trade;
        Self { trade, key, price, quantity, maker }
    }
}

/// What a reader that was too slow is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// Of which slot, with counts; `None` for everything selected, without.
    pub slot: Option<SlotKey>,
    /// It happened after this position
    pub after: Seq,
    /// and not after this one.
    pub through: Seq,
    /// Trades that are not sent.
    pub trades: u64,
    /// Energy of those trades.
    pub traded: Energy,
    /// Changes of phase and auction results that are not sent.
    pub events: u64,
}
layout! {
    Missed {
        slot: Option<SlotKey>,
        after: Seq,
        through: Seq,
        trades: u64,
        traded: Energy,
        events: u64,
    }
}

messages! {
    /// What travels on a market data stream, in either direction.
    MarketMessage {
        /// Subscriber → exchange, the first message of the first and only frame. `after` 0 asks for nothing of the past.
        Subscribe(Subscribe) = 160, 16;
        /// Subscriber → exchange, behind `Subscribe`: what it is limited to. Without any, everything of the shard.
        Select(Selection) = 161, 16;
        /// The subscription stands. The first message.
        Subscribed(Subscribed) = 162, 24;
        /// The subscription is refused; the only message.
        SubscriptionRejected(SubscriptionRejected) = 163, 16;
        /// A book, whole.
        BookSnapshot(BookHead) = 164, 96;
        /// A book, as changes.
        BookChange(BookChange) = 165, 104;
        /// A level of the book before it.
        Level(Level) = 166, 32;
        /// Two orders met.
        Trade(At<PublicTrade>) = 167, 72;
        /// A slot moved on.
        SlotPhaseChanged(At<SlotPhaseChanged>) = 168, 48;
        /// A call ended.
        AuctionUncrossed(At<AuctionResult>) = 169, 128;
        /// The subscriber was too slow, or asked for too much of the past.
        Missed(Missed) = 170, 56;
        /// Every trade, phase and result up to the position was sent or counted as missed.
        Position(Progress) = 171, 16;
        /// The exchange is shutting down.
        GoingAway(Empty) = 172, 8;
    }
}
