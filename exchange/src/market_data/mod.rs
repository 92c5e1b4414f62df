//! What changed in a turn goes to the market view, once the turn is durable; from there to everyone.
//!
//! The core loop's part is [`MarketData`]: it copies the best levels of each book that a turn changed
//! into the lock-free view, and knows nothing of readers. `hub` compares what the view shows with
//! what it showed before and reads trades from the journal; [`tape`] keeps the newest of both, encoded
//! once for all readers; `stream` writes them to one reader each.

mod changes;
mod hub;
mod stream;
pub mod tape;

use engine::Engine;
use market_view::{
    BookView, Counters, IndicativeView, MarketReader, MarketView, MarketWriter, ViewLevel,
};
use types::{Event, Phase, Side, SlotKey};

pub use hub::{ShardMarket, serve};

/// Levels of each side that readers see.
pub const DEPTH_MAX: u16 = 32;

/// The core loop's way to the market view.
pub struct MarketData {
    writer: MarketWriter,
    /// Since this process started.
    counters: Counters,
    /// Slots that changed since the last publication, with repetitions.
    changed: Vec<SlotKey>,
    book: BookView,
}

impl std::fmt::Debug for MarketData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MarketData").field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl MarketData {
    /// For at most this many open slots at a time, and the end that readers have.
    #[must_use]
    pub fn new(slots_max: u32) -> (Self, MarketReader) {
        let (writer, reader) = MarketView::new(slots_max, DEPTH_MAX);
        let book = BookView::with_depth(DEPTH_MAX);
        (Self { writer, counters: Counters::default(), changed: Vec::new(), book }, reader)
    }

    /// Notes every open slot as changed, as after a start.
    pub fn begin(&mut self, engine: &Engine) {
        let open = engine.slots().filter(|&(_, phase)| phase != Phase::Closed);
        self.changed.extend(open.map(|(key, _)| key));
        self.publish(engine);
    }

    /// Notes what a command caused.
    pub fn observe(&mut self, engine: &Engine, events: &[Event]) {
        self.counters.commands += 1;
        for event in events {
            if let Some(key) = self.slot_of(engine, event) {
                self.changed.push(key);
            }
        }
    }

    /// Shows what changed. The turn is durable by now.
    pub fn publish(&mut self, engine: &Engine) {
        self.changed.sort_unstable();
        self.changed.dedup();
        // First what closed: its place may be needed for what opened in the same turn.
        let writer = &mut self.writer;
        self.changed.retain(|&key| {
            let open = engine.phase(key).is_some_and(|phase| phase != Phase::Closed);
            if !open {
                writer.retire(key);
            }
            open
        });
        for key in self.changed.drain(..) {
            fill(&mut self.book, engine, key);
            if self.writer.publish(key, &self.book).is_err() {
                tracing::warn!(?key, "the market view has no room for a slot");
            }
        }
        self.writer.count(self.counters);
    }

    /// The slot whose book an event changed, and counting.
    fn slot_of(&mut self, engine: &Engine, event: &Event) -> Option<SlotKey> {
        match event {
            Event::OrderAccepted(accepted) => {
                self.counters.accepted += 1;
                Some(accepted.key)
            }
            // It is no trade of the book, and leaves it as it was.
            Event::Trade(trade) if trade.is_negotiated() => None,
            Event::Trade(trade) => {
                self.counters.trades += 1;
                self.counters.traded =
                    self.counters.traded.checked_add(trade.quantity).unwrap_or_default();
                Some(trade.key)
            }
            Event::OrderRejected(_) => {
                self.counters.rejected += 1;
                None
            }
            Event::SlotPhaseChanged(changed) => Some(changed.key),
            Event::SlotFrozen(frozen) => Some(frozen.key),
            Event::OrderReplaced(replaced) => engine.slot_of(replaced.order),
            Event::OrderCancelled(cancelled) => engine.slot_of(cancelled.order),
            Event::OrderHibernated(moved) | Event::OrderActivated(moved) => {
                engine.slot_of(moved.order)
            }
            Event::MarketDefined(_)
            | Event::PartyRegistered(_)
            | Event::MeterRegistered(_)
            | Event::ControlsSet(_)
            | Event::CallExtended(_)
            | Event::AuctionUncrossed(_)
            | Event::OrderRestated(_)
            | Event::OrderValidated(_)
            | Event::MassCancelled(_)
            | Event::TradingChanged(_)
            | Event::CreditSet(_)
            | Event::CreditReleased(_)
            | Event::MeterDelegated(_)
            | Event::DelegationRevoked(_)
            | Event::ContractOffered(_)
            | Event::ContractAgreed(_)
            | Event::ContractEnded(_)
            | Event::ContractRestated(_)
            | Event::AmendmentOffered(_)
            | Event::ContractAmended(_)
            | Event::MembersListed(_)
            | Event::MemberRefused(_)
            | Event::PlaceNoted(_)
            | Event::GridLimitSet(_)
            | Event::GridRefused(_)
            | Event::Operated(_)
            | Event::TradeBusted(_)
            | Event::CommandRejected(_) => None,
        }
    }
}

/// Fills the view of an open slot's book from the engine.
fn fill(book: &mut BookView, engine: &Engine, key: SlotKey) {
    book.clear();
    book.seq = engine.last_seq();
    book.time = engine.last_time();
    book.phase = engine.phase(key).unwrap_or(Phase::Closed);
    book.last = engine.last_price(key);
    book.indicative = engine.indicative(key).map(|now| IndicativeView {
        price: now.price,
        volume: now.volume,
        surplus_wh: now.surplus_wh,
    });
    let most = usize::from(DEPTH_MAX);
    for (side, levels) in [(Side::Buy, &mut book.buy), (Side::Sell, &mut book.sell)] {
        levels.extend(engine.levels(key, side).take(most).map(|level| ViewLevel {
            price: level.price,
            quantity: level.quantity,
            orders: level.orders,
        }));
    }
}
