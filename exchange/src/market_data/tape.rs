//! The newest market data of a shard, encoded once for all readers; and where a reader stands in it.
//!
//! No I/O here: [`Tape::take_events`] and [`Tape::take_books`] put in, [`Follower::read`] takes out. A
//! reader that falls behind what is kept is brought to the newest state.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use market_view::{BookView, MarketReader, Version};
use types::{Energy, Phase, Seq, SlotKey, Timestamp};
use wire::{
    FeedItem, MarketMessage,
    feed::Progress,
    market::{Level, Missed, Selection},
};

use super::{
    DEPTH_MAX,
    changes::{change, closed, public, snapshot},
};

/// Pieces that are kept for readers that are behind.
pub const PIECES_MAX: usize = 8_192;
/// Bytes of them.
pub const BYTES_MAX: usize = 16 << 20;
/// Messages of a piece of events; they are sent in one frame.
const PIECE_MESSAGES_MAX: u16 = 128;
/// Closed slots that are remembered, so that a reader that was away learns of them: at 96 slots a day
/// in each of 8 markets, more than five days.
const CLOSED_MAX: usize = 4_096;
/// Bytes that a reader is given at once, less one piece.
const READ_BYTES_MAX: usize = 256 << 10;

/// How many pieces are kept.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Pieces.
    pub pieces: usize,
    /// Bytes of all of them.
    pub bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { pieces: PIECES_MAX, bytes: BYTES_MAX }
    }
}

/// What happened in a slot besides its book.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    trades: u64,
    traded: Energy,
    events: u64,
}

impl Totals {
    fn add(&mut self, more: Self) {
        self.trades = self.trades.saturating_add(more.trades);
        self.traded = self.traded.checked_add(more.traded).unwrap_or(self.traded);
        self.events = self.events.saturating_add(more.events);
    }

    /// What came after `before`.
    fn since(self, before: Self) -> Self {
        Self {
            trades: self.trades.saturating_sub(before.trades),
            traded: self.traded.saturating_sub(before.traded),
            events: self.events.saturating_sub(before.events),
        }
    }

    fn of(message: &MarketMessage) -> Self {
        if let MarketMessage::Trade(at) = message {
            return Self { trades: 1, traded: at.body.quantity, ..Self::default() };
        }
        Self { events: 1, ..Self::default() }
    }
}

/// Messages of one slot that are sent in one frame.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Which slot; `None` for what is of all.
    key: Option<SlotKey>,
    /// Encoded.
    pub bytes: Arc<[u8]>,
    /// How many messages.
    pub messages: u16,
    /// What it tells besides books.
    totals: Totals,
    /// The revision that it leads to, or the position at which the slot closed.
    revision: Option<Seq>,
    /// Whether it ends with the slot's close.
    closes: bool,
}

impl Piece {
    fn new(key: Option<SlotKey>, messages: impl IntoIterator<Item = MarketMessage>) -> Self {
        let mut bytes = Vec::new();
        let mut count = 0_u16;
        let mut totals = Totals::default();
        let mut closed_at = None;
        for message in messages {
            message.encode(&mut bytes);
            closed_at = closed_at.or(closed(&message));
            count = count.saturating_add(1);
            if public_event(&message) {
                totals.add(Totals::of(&message));
            }
        }
        let (revision, closes) = (closed_at, closed_at.is_some());
        Self { key, bytes: bytes.into(), messages: count, totals, revision, closes }
    }

    /// One message for everyone.
    #[must_use]
    pub fn of(message: MarketMessage) -> Self {
        Self::new(None, [message])
    }
}

const fn public_event(message: &MarketMessage) -> bool {
    matches!(
        message,
        MarketMessage::Trade(_)
            | MarketMessage::SlotPhaseChanged(_)
            | MarketMessage::AuctionUncrossed(_)
    )
}

/// Events on their way to pieces: those of one slot together, in order.
#[derive(Debug, Default)]
pub struct Events {
    slots: BTreeMap<SlotKey, Vec<MarketMessage>>,
    full: Vec<Piece>,
    closed: Vec<(SlotKey, Seq, Timestamp)>,
}

impl Events {
    /// Takes what everyone may know of an event of a selected slot.
    pub fn take(&mut self, item: &FeedItem, wanted: &dyn Fn(SlotKey) -> bool) {
        let Some((key, message)) = public(item) else { return };
        if !wanted(key) {
            return;
        }
        if let Some(seq) = closed(&message) {
            self.closed.push((key, seq, item.time));
        }
        let messages = self.slots.entry(key).or_default();
        messages.push(message);
        if messages.len() >= usize::from(PIECE_MESSAGES_MAX) {
            self.full.push(Piece::new(Some(key), messages.drain(..)));
        }
    }

    /// Everything taken, as pieces.
    pub fn pieces(&mut self) -> Vec<Piece> {
        self.closed.clear();
        let mut pieces = std::mem::take(&mut self.full);
        for (key, messages) in std::mem::take(&mut self.slots) {
            if !messages.is_empty() {
                pieces.push(Piece::new(Some(key), messages));
            }
        }
        pieces
    }
}

/// A slot as it is now.
#[derive(Debug)]
struct Slot {
    book: BookView,
    totals: Totals,
    /// The snapshot of the book, once someone needed it.
    snapshot: Option<Piece>,
}

impl Slot {
    fn new() -> Self {
        let book = BookView { phase: Phase::Closed, ..BookView::with_depth(0) };
        Self { book, totals: Totals::default(), snapshot: None }
    }

    /// What a reader has that has everything of it.
    fn sent(&self) -> Sent {
        let closed = self.book.phase == Phase::Closed;
        Sent { revision: self.book.seq, totals: self.totals, closed }
    }

    fn snapshot(&mut self, key: SlotKey) -> Piece {
        let book = &self.book;
        self.snapshot
            .get_or_insert_with(|| Piece {
                revision: Some(book.seq),
                ..Piece::new(Some(key), snapshot(key, book))
            })
            .clone()
    }
}

/// The newest market data of a shard.
#[derive(Debug)]
pub struct Tape {
    slots: BTreeMap<SlotKey, Slot>,
    /// Slots that closed, the oldest first.
    closed: VecDeque<SlotKey>,
    pieces: VecDeque<Piece>,
    /// Number of the first piece that is kept.
    first: u64,
    bytes: usize,
    room: Room,
    /// Events up to here are on it.
    through: Seq,
    /// What the view has shown up to here is on it.
    seen: Version,
    /// Memory for comparing.
    keys: Vec<SlotKey>,
    book: BookView,
    levels: Vec<Level>,
}

impl Tape {
    /// Empty, at a position.
    #[must_use]
    pub fn new(room: Room, through: Seq) -> Self {
        Self {
            slots: BTreeMap::new(),
            closed: VecDeque::new(),
            pieces: VecDeque::new(),
            first: 0,
            bytes: 0,
            room,
            through,
            seen: Version::NONE,
            keys: Vec::new(),
            book: BookView::with_depth(DEPTH_MAX),
            levels: Vec::new(),
        }
    }

    /// Events up to here are on it.
    #[must_use]
    pub const fn through(&self) -> Seq {
        self.through
    }

    /// Takes every event up to a position.
    pub fn take_events(&mut self, events: &mut Events, through: Seq) {
        let closed = std::mem::take(&mut events.closed);
        for piece in events.pieces() {
            if let Some(key) = piece.key {
                self.slots.entry(key).or_insert_with(Slot::new).totals.add(piece.totals);
            }
            self.push(piece);
        }
        for (key, seq, time) in closed {
            self.close(key, seq, time);
        }
        self.through = through;
    }

    /// Takes what the view shows now and did not show before. The view must be at least as far as
    /// the events that were taken: what is closed there is not shown any more.
    pub fn take_books(&mut self, view: &MarketReader) {
        let latest = view.latest();
        let mut keys = std::mem::take(&mut self.keys);
        view.keys_since(self.seen, &mut keys);
        let mut whole = true;
        for key in keys.drain(..) {
            match view.book_into(key, &mut self.book) {
                Ok(Some(_)) => self.take_book(key),
                Ok(None) => {}
                Err(_) => whole = false,
            }
        }
        self.keys = keys;
        if whole {
            self.seen = latest;
        }
    }

    /// Takes the book in `self.book`, if it is another.
    fn take_book(&mut self, key: SlotKey) {
        let slot = self.slots.entry(key).or_insert_with(Slot::new);
        let known = slot.book.phase != Phase::Closed;
        // A slot that closed keeps the position at which it did.
        if self.book.seq <= slot.book.seq && (known || slot.book.seq > Seq::ZERO) {
            return;
        }
        slot.snapshot = None;
        let piece = if known {
            let head = change(key, &slot.book, &self.book, &mut self.levels);
            let levels = self.levels.iter().copied().map(MarketMessage::Level);
            let messages = std::iter::once(head).chain(levels);
            std::mem::swap(&mut slot.book, &mut self.book);
            Piece { revision: Some(slot.book.seq), ..Piece::new(Some(key), messages) }
        } else {
            std::mem::swap(&mut slot.book, &mut self.book);
            slot.snapshot(key)
        };
        self.push(piece);
    }

    fn close(&mut self, key: SlotKey, seq: Seq, time: Timestamp) {
        let slot = self.slots.entry(key).or_insert_with(Slot::new);
        slot.book.clear();
        slot.book.phase = Phase::Closed;
        slot.book.seq = seq;
        slot.book.time = time;
        slot.snapshot = None;
        self.closed.push_back(key);
        if self.closed.len() > CLOSED_MAX
            && let Some(oldest) = self.closed.pop_front()
            && self.slots.get(&oldest).is_some_and(|slot| slot.book.phase == Phase::Closed)
        {
            self.slots.remove(&oldest);
        }
    }

    fn push(&mut self, piece: Piece) {
        self.bytes = self.bytes.saturating_add(piece.bytes.len());
        self.pieces.push_back(piece);
        while self.pieces.len() > self.room.pieces || self.bytes > self.room.bytes {
            let Some(oldest) = self.pieces.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(oldest.bytes.len());
            self.first = self.first.saturating_add(1);
        }
    }

    /// The number that the next piece will have.
    fn end(&self) -> u64 {
        self.first.saturating_add(u64::try_from(self.pieces.len()).unwrap_or(u64::MAX))
    }
}

/// What a reader has of a slot.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    revision: Seq,
    totals: Totals,
    closed: bool,
}

/// Where one reader stands.
#[derive(Debug)]
pub struct Follower {
    /// Sorted. Empty: everything.
    selections: Vec<Selection>,
    /// Number of the next piece it reads.
    next: u64,
    sent: BTreeMap<SlotKey, Sent>,
    /// Events up to here were sent to it, or counted.
    told: Seq,
}

/// The reader was away so long that what it missed cannot be counted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFarBehind;

/// Whether a slot is among the selections.
#[must_use]
pub fn selects(selections: &[Selection], key: SlotKey) -> bool {
    selections.is_empty()
        || selections.binary_search(&Selection::Slot(key)).is_ok()
        || selections.binary_search(&Selection::Market(key.market)).is_ok()
}

impl Follower {
    /// A reader that begins now, and the books it begins with.
    pub fn begin(tape: &mut Tape, mut selections: Vec<Selection>) -> (Self, Vec<Piece>) {
        selections.sort_unstable();
        let mut books = Vec::new();
        let mut sent = BTreeMap::new();
        for (&key, slot) in &mut tape.slots {
            if !selects(&selections, key) {
                continue;
            }
            if slot.book.phase != Phase::Closed {
                books.push(slot.snapshot(key));
            }
            sent.insert(key, slot.sent());
        }
        (Self { selections, next: tape.end(), sent, told: tape.through }, books)
    }

    /// Whether a slot is one of its.
    #[must_use]
    pub fn wants(&self, key: SlotKey) -> bool {
        selects(&self.selections, key)
    }

    /// Gives it what came since the last time, or the newest state of what changed when that is no
    /// longer kept. Nothing is given where nothing of its slots happened. What is left for the next
    /// time when it is much, comes without a position at the end.
    ///
    /// # Errors
    /// When what it missed cannot be counted any more.
    pub fn read(&mut self, tape: &mut Tape, pieces: &mut Vec<Piece>) -> Result<(), TooFarBehind> {
        if self.next < tape.first {
            self.catch_up(tape, pieces)?;
        } else {
            let skip = usize::try_from(self.next.saturating_sub(tape.first)).unwrap_or(usize::MAX);
            let mut bytes = 0_usize;
            for piece in tape.pieces.iter().skip(skip) {
                if bytes > READ_BYTES_MAX {
                    return Ok(());
                }
                self.next = self.next.saturating_add(1);
                let Some(key) = piece.key.filter(|&key| selects(&self.selections, key)) else {
                    continue;
                };
                let sent = self.sent.entry(key).or_default();
                sent.totals.add(piece.totals);
                sent.revision = piece.revision.unwrap_or(sent.revision);
                sent.closed |= piece.closes;
                bytes = bytes.saturating_add(piece.bytes.len());
                pieces.push(piece.clone());
            }
        }
        if self.sent.len() > tape.slots.len().saturating_add(CLOSED_MAX) {
            self.forget_closed(tape);
        }
        self.told = tape.through;
        if !pieces.is_empty() {
            pieces.push(self.position());
        }
        Ok(())
    }

    /// Events up to here were sent to it, or counted.
    #[must_use]
    pub const fn position_seq(&self) -> Seq {
        self.told
    }

    /// Where it is, as a message.
    #[must_use]
    pub fn position(&self) -> Piece {
        Piece::of(MarketMessage::Position(Progress { through: self.told }))
    }

    /// Forgets slots whose close it was told and that nobody remembers.
    fn forget_closed(&mut self, tape: &Tape) {
        self.sent.retain(|key, sent| !sent.closed || tape.slots.contains_key(key));
    }

    /// Counts what is left out, and gives each book that it does not have.
    fn catch_up(&mut self, tape: &mut Tape, pieces: &mut Vec<Piece>) -> Result<(), TooFarBehind> {
        self.forget_closed(tape);
        if self.sent.keys().any(|key| !tape.slots.contains_key(key)) {
            return Err(TooFarBehind);
        }
        self.next = tape.end();
        for (&key, slot) in &mut tape.slots {
            if !selects(&self.selections, key) {
                continue;
            }
            let is_new = !self.sent.contains_key(&key);
            let sent = self.sent.entry(key).or_default();
            let missed = slot.totals.since(sent.totals);
            if missed != Totals::default() {
                pieces.push(Piece::of(MarketMessage::Missed(Missed {
                    slot: Some(key),
                    after: self.told,
                    through: tape.through,
                    trades: missed.trades,
                    traded: missed.traded,
                    events: missed.events,
                })));
            }
            let unknown = sent.revision != slot.book.seq;
            if unknown && !(is_new && slot.book.phase == Phase::Closed) {
                pieces.push(slot.snapshot(key));
            }
            *sent = slot.sent();
        }
        Ok(())
    }
}
