//! Stop 7 of an order's life: [`Engine::apply`], the only `match` over [`Command`].
//!
//! Also here: what the engine is made of, the commands of the operator that need no matching, and
//! the queries that market data and snapshots are made from.

use types::{
    Command, Digest, Energy, Event, MarketDefinition, MarketId, MeterRegistration,
    PartyRegistration, Phase, Price, RejectReason, Seq, Sequenced, SlotKey, SlotPhaseChanged,
    Timestamp,
};

use crate::{
    auction::clear_book,
    book::Depth,
    client_ids::ClientIds,
    digest::state_digest,
    limits::Limits,
    orders::OrderLog,
    registry::Registry,
    slab::Slab,
    slots::{Slot, Slots},
};

/// What a call auction would do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indicative {
    /// The price, or `None` while nothing crosses.
    pub price: Option<Price>,
    /// Energy that would trade.
    pub volume: Energy,
    /// Demand minus supply at the price, in Wh. 0 without a price.
    pub surplus_wh: i64,
}

/// All books of one shard. State is the fold of [`Engine::apply`] over the commands.
#[derive(Debug)]
pub struct Engine {
    pub(crate) last_seq: Seq,
    pub(crate) last_time: Timestamp,
    /// How many trades there were; also the number of the last one.
    pub(crate) trades: u64,
    pub(crate) registry: Registry,
    pub(crate) slots: Slots,
    pub(crate) slab: Slab,
    pub(crate) book_orders_max: u32,
    pub(crate) orders: OrderLog,
    pub(crate) client_ids: ClientIds,
    /// Orders of a slot that is being closed, by number. Empty between commands.
    pub(crate) expiring: Vec<(u32, u32)>,
}

impl Engine {
    /// An engine before its first command.
    ///
    /// # Panics
    /// When a limit is beyond what the tables can index.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        limits.check();
        Self {
            last_seq: Seq::ZERO,
            last_time: Timestamp::from_ns(i64::MIN),
            trades: 0,
            registry: Registry::new(limits),
            slots: Slots::new(limits.slots_max),
            slab: Slab::new(limits.orders_max),
            book_orders_max: limits.book_orders_max,
            orders: OrderLog::default(),
            client_ids: ClientIds::new(limits.orders_max),
            expiring: Vec::new(),
        }
    }

    /// Reserves and touches the memory that the next `orders` accepted orders will need, so that
    /// none of them waits for the operating system. For start-up: without it everything works, and
    /// the first touch of each page costs about as much as ten orders.
    ///
    /// 64 bytes of record and 16 to 32 of number table per order, and 32 per open order of the limit.
    pub fn prefault(&mut self, orders: u32) {
        if self.orders.len() == 0 {
            self.slab.prefault();
            self.client_ids.prefault(orders);
        }
        self.orders.prefault(orders);
    }

    /// Applies the next command and appends what it caused to `events`, which is never cleared.
    ///
    /// Pure: the same history gives the same events and the same state.
    ///
    /// # Panics
    /// When the command is not the next in sequence, or its time is not later than the last one's:
    /// then the journal is damaged.
    #[inline]
    pub fn apply(&mut self, command: &Sequenced<Command>, events: &mut Vec<Event>) {
        assert!(command.seq == self.last_seq.next(), "a command is out of sequence");
        assert!(command.time > self.last_time, "sequenced time does not rise");
        self.last_seq = command.seq;
        self.last_time = command.time;
        match &command.value {
            Command::DefineMarket(market) => self.define_market(market, events),
            Command::RegisterParty(party) => self.register_party(party, events),
            Command::RegisterMeter(meter) => self.register_meter(meter, events),
            Command::OpenSlot(key) => self.open_slot(*key, events),
            Command::UncrossSlot(key) => self.uncross_slot(*key, events),
            Command::CloseSlot(key) => self.close_slot(*key, events),
            Command::NewOrder(signed) => self.new_order(command.time, signed, events),
            Command::CancelOrder(cancel) => self.cancel_order(command.time, cancel, events),
            Command::ReplaceOrder(signed) => self.replace_order(command.time, signed, events),
        }
    }

    /// SHA-256 over the canonical listing of the state, which does not depend on how the engine
    /// keeps it. The layout is described in the module `digest`.
    #[must_use]
    pub fn digest(&self) -> Digest {
        state_digest(self)
    }

    /// Position of the last command; [`Seq::ZERO`] before the first.
    #[must_use]
    pub const fn last_seq(&self) -> Seq {
        self.last_seq
    }

    /// Time of the last command; the earliest possible one before the first.
    #[must_use]
    pub const fn last_time(&self) -> Timestamp {
        self.last_time
    }

    /// Phase of a slot, or `None` if it has never been opened.
    #[must_use]
    pub fn phase(&self, key: SlotKey) -> Option<Phase> {
        self.opened(key).map(|slot| slot.phase)
    }

    /// The market with this number.
    #[must_use]
    pub fn market(&self, id: MarketId) -> Option<&MarketDefinition> {
        let index = self.registry.market_index(id)?;
        Some(&self.registry.market(index).definition)
    }

    /// All markets in the order of their numbers.
    pub fn markets(&self) -> impl Iterator<Item = &MarketDefinition> {
        self.registry.markets().map(|market| &market.definition)
    }

    /// All slots ever opened with their phases, in the order of opening.
    pub fn slots(&self) -> impl Iterator<Item = (SlotKey, Phase)> {
        self.slots.iter().map(|slot| (slot.key, slot.phase))
    }

    /// The price levels of an open slot.
    #[must_use]
    pub fn depth(&self, key: SlotKey) -> Option<Depth> {
        let slot = self.open(key)?;
        Some(self.slots.book(slot.book).depth(self.registry.market(slot.market)))
    }

    /// What the uncross of a slot in its call would do now; `None` in any other phase.
    #[must_use]
    pub fn indicative(&self, key: SlotKey) -> Option<Indicative> {
        let slot = self.open(key).filter(|slot| slot.phase == Phase::Call)?;
        let book = self.slots.book(slot.book);
        let clearing = clear_book(book, self.registry.market(slot.market));
        Some(Indicative {
            price: clearing.map(|clearing| clearing.price),
            volume: clearing.map_or(Energy::ZERO, |clearing| clearing.volume),
            surplus_wh: clearing.map_or(0, |clearing| clearing.surplus_wh),
        })
    }

    /// How many orders rest in all books.
    #[must_use]
    pub const fn open_orders(&self) -> u32 {
        self.slab.used()
    }

    /// All meters in the order of their numbers.
    pub fn registrations(&self) -> impl Iterator<Item = &MeterRegistration> {
        self.registry.meters().iter()
    }

    /// All parties in the order of role and number.
    pub fn parties(&self) -> impl Iterator<Item = &PartyRegistration> {
        self.registry.parties().iter()
    }

    fn define_market(&mut self, market: &MarketDefinition, events: &mut Vec<Event>) {
        events.push(match self.registry.define_market(market) {
            Ok(()) => Event::MarketDefined(*market),
            Err(reason) => Self::refused(reason),
        });
    }

    fn register_party(&mut self, party: &PartyRegistration, events: &mut Vec<Event>) {
        events.push(match self.registry.register_party(party) {
            Ok(()) => Event::PartyRegistered(*party),
            Err(reason) => Self::refused(reason),
        });
    }

    fn register_meter(&mut self, meter: &MeterRegistration, events: &mut Vec<Event>) {
        events.push(match self.registry.register_meter(meter) {
            Ok(()) => Event::MeterRegistered(*meter),
            Err(reason) => Self::refused(reason),
        });
    }

    fn open_slot(&mut self, key: SlotKey, events: &mut Vec<Event>) {
        events.push(match self.try_open_slot(key) {
            Ok(()) => Event::SlotPhaseChanged(SlotPhaseChanged { key, phase: Phase::Call }),
            Err(reason) => Self::refused(reason),
        });
    }

    /// Checks in the order of the reject codes, then opens.
    fn try_open_slot(&mut self, key: SlotKey) -> Result<(), RejectReason> {
        let registry = &self.registry;
        let index = registry.market_index(key.market).ok_or(RejectReason::UnknownMarket)?;
        let market = registry.market(index);
        let number = market.grid_number(key.slot).ok_or(RejectReason::SlotMisaligned)?;
        if self.last_time > market.definition.gate_closes_after(key.slot) {
            return Err(RejectReason::GateClosed);
        }
        self.slots.open(key, index, market, number)
    }

    fn opened(&self, key: SlotKey) -> Option<&Slot> {
        let index = self.find_slot(key).ok()??;
        Some(self.slots.slot(index))
    }

    fn open(&self, key: SlotKey) -> Option<&Slot> {
        self.opened(key).filter(|slot| slot.phase != Phase::Closed)
    }
}
