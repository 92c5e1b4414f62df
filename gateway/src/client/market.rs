//! Market data: local copies of books that follow the exchange's, and what happens in their slots.

use std::collections::{BTreeMap, VecDeque};

use quinn::{Connection, Endpoint, RecvStream};
use types::{AuctionResult, Price, Seq, ShardId, Side, SlotKey, SlotPhaseChanged};
use wire::{
    ALPN_MARKET, FrameBuilder, FrameDecoder, MarketMessage,
    feed::{At, Subscribe},
    market::{BookHead, Level, Missed, PublicTrade, SELECTIONS_MAX, Selection},
};

use super::{CONNECT_MAX, ClientError, Connector};

/// What to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketSubscription {
    /// Whose slots.
    pub shard: ShardId,
    /// The position that trades and phases are known up to; 0 for nothing of the past.
    pub after: Seq,
    /// What it is limited to, at most [`SELECTIONS_MAX`]; nothing for everything of the shard.
    pub selections: Vec<Selection>,
}

impl MarketSubscription {
    /// Everything of the first shard, from now on.
    #[must_use]
    pub const fn everything() -> Self {
        Self { shard: ShardId::FIRST, after: Seq::ZERO, selections: Vec::new() }
    }

    /// These markets and slots of the first shard, from now on.
    #[must_use]
    pub fn of(selections: impl IntoIterator<Item = Selection>) -> Self {
        Self { selections: selections.into_iter().collect(), ..Self::everything() }
    }
}

/// A book as the exchange showed it at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalBook {
    /// Everything but the levels. Its `levels` is how many there are.
    pub head: BookHead,
    buy: BTreeMap<Price, Level>,
    sell: BTreeMap<Price, Level>,
}

impl LocalBook {
    const fn new(head: BookHead) -> Self {
        Self { head, buy: BTreeMap::new(), sell: BTreeMap::new() }
    }

    /// The position that it is the book of.
    #[must_use]
    pub const fn revision(&self) -> Seq {
        self.head.revision
    }

    /// Levels of a side, the best first.
    pub fn levels(&self, side: Side) -> Box<dyn Iterator<Item = &Level> + '_> {
        match side {
            Side::Buy => Box::new(self.buy.values().rev()),
            Side::Sell => Box::new(self.sell.values()),
        }
    }

    /// Its snapshot in bytes, the same for everyone who has this revision.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        MarketMessage::BookSnapshot(self.head).encode(&mut bytes);
        for level in self.levels(Side::Buy).chain(self.levels(Side::Sell)) {
            MarketMessage::Level(*level).encode(&mut bytes);
        }
        bytes
    }

    fn set(&mut self, level: Level) {
        let side = match level.side {
            Side::Buy => &mut self.buy,
            Side::Sell => &mut self.sell,
        };
        if level.orders == 0 {
            side.remove(&level.price);
        } else {
            side.insert(level.price, level);
        }
    }
}

/// What a subscriber learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarketUpdate {
    /// A slot's book has another revision, or is there for the first time.
    Book(SlotKey),
    /// A slot closed: it has no book any more.
    Closed(SlotKey),
    /// Two orders met.
    Trade(At<PublicTrade>),
    /// A slot moved on.
    Phase(At<SlotPhaseChanged>),
    /// A call ended.
    Auction(At<AuctionResult>),
    /// The exchange left something out, because this reader was too slow or asked for too much of the
    /// past. Books are whole nevertheless.
    Missed(Missed),
    /// Everything up to here came, but for what was told as missed.
    Position(Seq),
}

/// Why messages do not make books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// A change is to another revision than is known.
    #[error("a change to revision {previous} came while {known} is known")]
    Gap {
        /// What it is a change to.
        previous: Seq,
        /// What is there; 0 without a book.
        known: Seq,
    },
    /// The message does not belong where it stands.
    #[error("a message does not belong where it stands")]
    Misplaced,
}

/// Local copies of books. No I/O: messages in, updates out.
#[derive(Debug, Default)]
pub struct MarketBooks {
    books: BTreeMap<SlotKey, LocalBook>,
    /// The book that levels are of, and how many are still to come.
    open: Option<(LocalBook, u16)>,
}

impl MarketBooks {
    /// The book of a slot as it was last shown.
    #[must_use]
    pub fn book(&self, key: SlotKey) -> Option<&LocalBook> {
        self.books.get(&key)
    }

    /// All books, by market and slot.
    pub fn books(&self) -> impl Iterator<Item = (&SlotKey, &LocalBook)> {
        self.books.iter()
    }

    /// Takes a message that follows `Subscribed`.
    ///
    /// # Errors
    /// When the messages before it were not all there. The books are then of no use.
    pub fn apply(&mut self, message: &MarketMessage) -> Result<Option<MarketUpdate>, BookError> {
        if let Some((mut book, left)) = self.open.take() {
            let MarketMessage::Level(level) = message else { return Err(BookError::Misplaced) };
            book.set(*level);
            return Ok(self.fill(book, left.saturating_sub(1)));
        }
        match *message {
            MarketMessage::BookSnapshot(head) => Ok(self.fill(LocalBook::new(head), head.levels)),
            MarketMessage::BookChange(change) => {
                let key = change.head.key;
                let known = self.books.get(&key).map_or(Seq::ZERO, LocalBook::revision);
                let previous = change.previous;
                let book = self.books.remove(&key).filter(|_| known == previous);
                let mut book = book.ok_or(BookError::Gap { previous, known })?;
                book.head = change.head;
                Ok(self.fill(book, change.head.levels))
            }
            MarketMessage::Trade(at) => Ok(Some(MarketUpdate::Trade(at))),
            MarketMessage::SlotPhaseChanged(at) => {
                if at.body.phase == types::Phase::Closed {
                    self.books.remove(&at.body.key);
                }
                Ok(Some(MarketUpdate::Phase(at)))
            }
            MarketMessage::AuctionUncrossed(at) => Ok(Some(MarketUpdate::Auction(at))),
            MarketMessage::Missed(missed) => Ok(Some(MarketUpdate::Missed(missed))),
            MarketMessage::Position(position) => Ok(Some(MarketUpdate::Position(position.through))),
            MarketMessage::Subscribe(_)
            | MarketMessage::Select(_)
            | MarketMessage::Subscribed(_)
            | MarketMessage::SubscriptionRejected(_)
            | MarketMessage::Level(_)
            | MarketMessage::GoingAway(_) => Err(BookError::Misplaced),
        }
    }

    /// Keeps a book that is whole, or waits for the rest of its levels.
    fn fill(&mut self, mut book: LocalBook, left: u16) -> Option<MarketUpdate> {
        if left > 0 {
            self.open = Some((book, left));
            return None;
        }
        let key = book.head.key;
        if book.head.phase == types::Phase::Closed {
            self.books.remove(&key);
            return Some(MarketUpdate::Closed(key));
        }
        let levels = book.buy.len().saturating_add(book.sell.len());
        // What a peer could send more of does not fit into its own counts.
        book.head.levels = u16::try_from(levels).unwrap_or(u16::MAX);
        self.books.insert(key, book);
        Some(MarketUpdate::Book(key))
    }
}

/// An open subscription that keeps books. Dropping it closes the connection.
///
/// ```no_run
/// use gateway::client::{Connector, MarketClient, MarketSubscription, MarketUpdate};
/// use types::{MarketId, Side};
/// use wire::market::Selection;
///
/// async fn watch(connector: &Connector) -> Result<(), gateway::client::ClientError> {
///     let market = Selection::Market(MarketId::new(1));
///     let mut client =
///         MarketClient::subscribe(connector, MarketSubscription::of([market])).await?;
///     loop {
///         match client.next().await? {
///             MarketUpdate::Book(key) => {
///                 let Some(book) = client.books().book(key) else { continue };
///                 let best = book.levels(Side::Buy).next().map(|level| level.price);
///                 println!("{:?} at {}: best bid {best:?}", key.slot, book.revision());
///             }
///             MarketUpdate::Trade(trade) => println!("{:?}", trade.body),
///             MarketUpdate::Missed(missed) => println!("{} trades not seen", missed.trades),
///             other => println!("{other:?}"),
///         }
///     }
/// }
/// ```
#[derive(Debug)]
pub struct MarketClient {
    connector: Connector,
    subscription: MarketSubscription,
    open: Subscription,
    books: MarketBooks,
}

/// One connection.
#[derive(Debug)]
struct Subscription {
    stream: RecvStream,
    decoder: FrameDecoder,
    frames: u64,
    waiting: VecDeque<MarketMessage>,
    through: Seq,
    depth: u16,
    _connection: Connection,
    _endpoint: Endpoint,
}

impl MarketClient {
    /// Connects and subscribes.
    ///
    /// # Errors
    /// When the exchange cannot be reached or refuses the subscription.
    pub async fn subscribe(
        connector: &Connector,
        subscription: MarketSubscription,
    ) -> Result<Self, ClientError> {
        let open = Subscription::open(connector, &subscription).await?;
        let connector = connector.clone();
        Ok(Self { connector, subscription, open, books: MarketBooks::default() })
    }

    /// The books as they were last shown.
    #[must_use]
    pub const fn books(&self) -> &MarketBooks {
        &self.books
    }

    /// Most levels of a side that the exchange shows.
    #[must_use]
    pub const fn depth(&self) -> u16 {
        self.open.depth
    }

    /// The position that the exchange was at when it took the subscription.
    #[must_use]
    pub const fn subscribed_at(&self) -> Seq {
        self.open.through
    }

    /// The last position that everything is known up to: where [`MarketClient::resume`] goes on.
    #[must_use]
    pub const fn position(&self) -> Seq {
        self.subscription.after
    }

    /// The next update. Where a change does not fit the book, which the exchange never causes, it
    /// subscribes again and goes on from fresh snapshots. Cancelling this future loses nothing.
    ///
    /// # Errors
    /// When the connection is lost or carries something else than market data. Then
    /// [`MarketClient::resume`] goes on.
    pub async fn next(&mut self) -> Result<MarketUpdate, ClientError> {
        loop {
            let message = self.open.next().await?;
            if let MarketMessage::GoingAway(_) = message {
                return Err(ClientError::Ended);
            }
            match self.books.apply(&message) {
                Ok(None) => {}
                Ok(Some(update)) => {
                    if let MarketUpdate::Position(through) = update {
                        self.subscription.after = through;
                    }
                    return Ok(update);
                }
                Err(BookError::Gap { .. }) => self.resume().await?,
                Err(BookError::Misplaced) => return Err(ClientError::Unexpected),
            }
        }
    }

    /// Connects and subscribes again, behind the last position that is known. Every book comes anew.
    ///
    /// # Errors
    /// When the exchange cannot be reached or refuses the subscription.
    pub async fn resume(&mut self) -> Result<(), ClientError> {
        self.open = Subscription::open(&self.connector, &self.subscription).await?;
        self.books = MarketBooks::default();
        Ok(())
    }
}

impl Subscription {
    async fn open(
        connector: &Connector,
        subscription: &MarketSubscription,
    ) -> Result<Self, ClientError> {
        if subscription.selections.len() > SELECTIONS_MAX {
            return Err(ClientError::TooManySelections);
        }
        let (endpoint, connection) = connector.connect(ALPN_MARKET).await?;
        let (mut send, stream) = connection.open_bi().await?;
        let mut builder = FrameBuilder::default();
        let MarketSubscription { shard, after, ref selections } = *subscription;
        builder.push(|out| MarketMessage::Subscribe(Subscribe { shard, after }).encode(out));
        for &selection in selections {
            builder.push(|out| MarketMessage::Select(selection).encode(out));
        }
        let mut bytes = Vec::new();
        builder.seal(1, &mut bytes);
        send.write_all(&bytes).await?;
        let mut open = Self {
            stream,
            decoder: FrameDecoder::default(),
            frames: 0,
            waiting: VecDeque::new(),
            through: Seq::ZERO,
            depth: 0,
            _connection: connection,
            _endpoint: endpoint,
        };
        let first = tokio::time::timeout(CONNECT_MAX, open.next()).await;
        match first.map_err(|_| ClientError::Timeout)?? {
            MarketMessage::Subscribed(subscribed) => {
                (open.through, open.depth) = (subscribed.through, subscribed.depth);
                Ok(open)
            }
            MarketMessage::SubscriptionRejected(rejected) => {
                Err(ClientError::Refused(rejected.reason))
            }
            MarketMessage::Subscribe(_)
            | MarketMessage::Select(_)
            | MarketMessage::BookSnapshot(_)
            | MarketMessage::BookChange(_)
            | MarketMessage::Level(_)
            | MarketMessage::Trade(_)
            | MarketMessage::SlotPhaseChanged(_)
            | MarketMessage::AuctionUncrossed(_)
            | MarketMessage::Missed(_)
            | MarketMessage::Position(_)
            | MarketMessage::GoingAway(_) => Err(ClientError::Unexpected),
        }
    }

    async fn next(&mut self) -> Result<MarketMessage, ClientError> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Ok(message);
            }
            if let Some(frame) = self.decoder.next_frame()? {
                self.frames = self.frames.saturating_add(1);
                if frame.header.number != self.frames {
                    return Err(ClientError::Unexpected);
                }
                let mut payload = frame.payload.as_slice();
                while !payload.is_empty() {
                    self.waiting.push_back(MarketMessage::decode(&mut payload)?);
                }
                continue;
            }
            let chunk = self.stream.read_chunk(64 << 10, true).await?.ok_or(ClientError::Ended)?;
            self.decoder.extend(&chunk.bytes);
        }
    }
}
