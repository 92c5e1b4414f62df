//! Stop 7 of an order's life: [`Engine::apply`], the only `match` over [`Command`].
//!
//! Also here: what the engine is made of, the commands of the operator that need no matching, and
//! the queries that market data and snapshots are made from.

use types::{
    Command, CommandRejected, CreditLimit, CreditRelease, Digest, Energy, Event, MarketControls,
    MarketDefinition, MarketId, MeterRegistration, OrderId, Party, PartyRegistration, Phase,
    PlatformId, Price, RejectReason, Role, Seq, Sequenced, Side, SlotKey, Timestamp,
};

use crate::{
    admission::{Change, Entry},
    aggregates::Aggregates,
    amendments::Amendments,
    book::{Depth, DepthLevel},
    calls::reference,
    client_ids::ClientIds,
    contracts::Contracts,
    credit::Credit,
    curve::clear_book,
    delegations::Delegations,
    digest::state_digest,
    expiries::Expiries,
    grid::Grid,
    limits::Limits,
    lists::Lists,
    operations::Operations,
    orders::OrderLog,
    registry::Registry,
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
    /// How many trades there were; with the shard, the number of the last one.
    pub(crate) trades: u64,
    /// The same before the present command.
    pub(crate) trades_before: u64,
    pub(crate) registry: Registry,
    pub(crate) slots: Slots,
    pub(crate) limits: Limits,
    pub(crate) orders: OrderLog,
    pub(crate) client_ids: ClientIds,
    pub(crate) credit: Credit,
    pub(crate) grid: Grid,
    pub(crate) delegations: Delegations,
    pub(crate) contracts: Contracts,
    pub(crate) amended: Amendments,
    pub(crate) aggregates: Aggregates,
    pub(crate) operations: Operations,
    pub(crate) expiries: Expiries,
    pub(crate) lists: Lists,
    /// Orders of a slot that is being closed. Empty between commands.
    pub(crate) numbers: Vec<u32>,
    /// Sends plain orders the general way too.
    #[cfg(test)]
    pub(crate) general_only: bool,
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
            trades_before: 0,
            registry: Registry::new(limits),
            slots: Slots::new(limits.slots_max),
            limits,
            orders: OrderLog::new(limits.numbers_from()),
            client_ids: ClientIds::new(limits.orders_max),
            credit: Credit::default(),
            grid: Grid::default(),
            delegations: Delegations::default(),
            contracts: Contracts::default(),
            amended: Amendments::default(),
            aggregates: Aggregates::default(),
            operations: Operations::default(),
            expiries: Expiries::default(),
            lists: Lists::default(),
            numbers: Vec::new(),
            #[cfg(test)]
            general_only: false,
        }
    }

    /// Reserves and touches the memory that the next `orders` accepted orders will need, so that
    /// none of them waits for the operating system. For start-up: without it everything works, and
    /// the first touch of each page costs about as much as ten orders.
    ///
    /// 64 bytes of record and 16 to 32 of number table per order.
    pub fn prefault(&mut self, orders: u32) {
        if self.orders.len() == 0 {
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
        let time = command.time;
        self.last_seq = command.seq;
        self.last_time = time;
        self.trades_before = self.trades;
        if self.expiries.next().is_some_and(|expires| expires < time) {
            self.expire(time, events);
        }
        if self.contracts.next_expiry().is_some_and(|expires| expires < time) {
            self.expire_offers(time, events);
        }
        // Nearly all commands are one of these, and nearly all of these are plain.
        let is_done = if let Command::NewOrder(signed) = &command.value {
            self.plain_new::<false>(time, signed.origin, &signed.order, events)
        } else if let Command::CancelOrder(cancel) = &command.value {
            self.plain_cancel(time, cancel, events)
        } else if let Command::DelegatedOrder(delegated) = &command.value {
            self.plain_new::<true>(time, delegated.origin, &delegated.order, events)
        } else {
            false
        };
        if !is_done {
            self.apply_any(time, &command.value, events);
        }
    }

    /// The only `match` over all commands.
    #[inline(never)]
    fn apply_any(&mut self, time: Timestamp, command: &Command, events: &mut Vec<Event>) {
        match command {
            Command::DefineMarket(market) => self.define_market(market, events),
            Command::RegisterParty(party) => self.register_party(party, events),
            Command::RegisterMeter(meter) => self.register_meter(meter, events),
            Command::SetControls(controls) => self.set_controls(controls, events),
            Command::OpenSlot(key) => self.open_slot(*key, events),
            Command::FreezeSlot(freeze) => self.freeze_slot(freeze, events),
            Command::UncrossSlot(key) => self.uncross_slot(*key, events),
            Command::CloseSlot(key) => self.close_slot(*key, events),
            Command::NewOrder(signed) => {
                self.new_order(time, Entry::signed(signed), events);
            }
            Command::ValidateOrder(signed) => self.validate_order(time, signed, events),
            Command::AskOrder(request) => self.ask_order(request, events),
            Command::DelegatedOrder(delegated) => {
                self.new_order(time, Entry::delegated(delegated), events);
            }
            Command::CancelOrder(cancel) => self.cancel_order(time, cancel, events),
            Command::ReplaceOrder(signed) => {
                self.replace_order(time, Change::signed(signed), events);
            }
            Command::DelegatedReplace(delegated) => {
                self.replace_order(time, Change::delegated(delegated), events);
            }
            Command::DelegateMeter(request) => self.delegate_meter(time, request, events),
            Command::RevokeDelegation(request) => self.revoke_delegation(request, events),
            Command::ReduceOrder(reduce) => self.reduce_order(time, reduce, events),
            Command::HibernateOrder(request) => self.hibernate_order(time, request, events),
            Command::ActivateOrder(request) => self.activate_order(time, request, events),
            Command::OfferContract(request) => self.offer_contract(time, request, events),
            Command::AcceptContract(request) => self.accept_contract(time, request, events),
            Command::DeclineContract(request) => self.decline_contract(request, events),
            Command::WithdrawContract(request) => self.withdraw_contract(request, events),
            Command::OfferAmendment(request) => self.offer_amendment(time, request, events),
            Command::AcceptAmendment(request) => self.accept_amendment(time, request, events),
            Command::AggregateMembers(page) => self.list_members(page, events),
            Command::NewAggregateOrder(new) => self.new_aggregate(time, new, events),
            Command::MassCancel(request) => self.mass_cancel(request, events),
            Command::SetTrading(control) => {
                if let Err(reason) = self.set_trading(*control, events) {
                    events.push(Self::refused(reason));
                }
            }
            Command::DraftMarket(market) => self.operations.put_draft(self.last_seq, *market),
            Command::Operate(signed) => self.operate(time, (signed, None), events),
            Command::BustTrade(bust) => {
                self.operate(time, (&bust.signed(), Some(&bust.made())), events);
            }
            Command::SetCredit(limit) => self.set_credit(limit, events),
            Command::ReleaseCredit(release) => self.release_credit(release, events),
            Command::NotePlace(note) => self.note_place(note, events),
            Command::SetGridLimit(limit) => self.set_grid_limit(limit, events),
            // A frame's signature is evidence of what follows: that decides.
            Command::PassTime | Command::SignedFrame(_) => {}
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
        let market = self.registry.market(slot.market);
        Some(self.slots.book(slot.book).depth(&self.orders, market))
    }

    /// The price levels of one side of an open slot, best first; none of any other.
    pub fn levels(&self, key: SlotKey, side: Side) -> impl Iterator<Item = DepthLevel> + '_ {
        let levels = self.open(key).map(|slot| {
            let market = self.registry.market(slot.market);
            self.slots.book(slot.book).side(side, &self.orders, market)
        });
        levels.into_iter().flatten()
    }

    /// The slot of an accepted order.
    #[must_use]
    pub fn slot_of(&self, order: OrderId) -> Option<SlotKey> {
        let number = self.orders.number(order)?;
        Some(self.slots.slot(self.orders.get(number).slot).key)
    }

    /// What the auction of a slot in its call, frozen or not, would do now; `None` in other phases.
    ///
    /// One pass over the levels that cross; no order is touched.
    #[must_use]
    pub fn indicative(&self, key: SlotKey) -> Option<Indicative> {
        let slot =
            self.open(key).filter(|slot| matches!(slot.phase, Phase::Call | Phase::Frozen))?;
        let book = self.slots.book(slot.book);
        let market = self.registry.market(slot.market);
        let clearing = clear_book(book, &self.orders, market, reference(slot, market));
        Some(Indicative {
            price: clearing.map(|clearing| clearing.price),
            volume: clearing.map_or(Energy::ZERO, |clearing| clearing.volume),
            surplus_wh: clearing.map_or(0, |clearing| clearing.surplus_wh),
        })
    }

    /// How many orders are open, in books and outside.
    #[must_use]
    pub const fn open_orders(&self) -> u32 {
        self.orders.open()
    }

    /// All meters in the order of their numbers.
    pub fn registrations(&self) -> impl Iterator<Item = &MeterRegistration> {
        self.registry.meters().iter()
    }

    /// All parties in the order of role and number.
    pub fn parties(&self) -> impl Iterator<Item = &PartyRegistration> {
        self.registry.parties().iter()
    }

    /// What a market checks and does besides its definition.
    #[must_use]
    pub fn controls(&self, id: MarketId) -> Option<&MarketControls> {
        let index = self.registry.market_index(id)?;
        Some(&self.registry.market(index).controls)
    }

    /// What a platform may owe in a market, if it has a limit there.
    #[must_use]
    pub fn credit(&self, platform: PlatformId, market: MarketId) -> Option<CreditLimit> {
        let index = self.registry.market_index(market)?;
        let limit = self.credit.account(index, platform)?.limit?;
        Some(CreditLimit { platform, market, limit })
    }

    /// Price of a slot's last trade or auction.
    #[must_use]
    pub fn last_price(&self, key: SlotKey) -> Option<Price> {
        self.opened(key)?.last_price
    }

    /// When the auction of a frozen slot is due.
    #[must_use]
    pub fn uncross_at(&self, key: SlotKey) -> Option<Timestamp> {
        let slot = self.opened(key).filter(|slot| slot.phase == Phase::Frozen)?;
        Some(slot.uncross_at)
    }

    /// The answer to an operator's command that is not possible.
    pub(crate) const fn refused(reason: RejectReason) -> Event {
        Event::CommandRejected(CommandRejected { reason })
    }

    fn set_controls(&mut self, controls: &MarketControls, events: &mut Vec<Event>) {
        events.push(match self.registry.set_controls(controls) {
            Ok(()) => Event::ControlsSet(*controls),
            Err(reason) => Self::refused(reason),
        });
    }

    fn set_credit(&mut self, limit: &CreditLimit, events: &mut Vec<Event>) {
        let set = self.credit_account(limit.platform, limit.market).and_then(|(market, minor)| {
            let reserved = self.reserved(market, limit.platform);
            self.credit.set_limit(market, limit, minor, reserved)
        });
        events.push(match set {
            Ok(()) => Event::CreditSet(*limit),
            Err(reason) => Self::refused(reason),
        });
    }

    fn release_credit(&mut self, release: &CreditRelease, events: &mut Vec<Event>) {
        let released = self
            .credit_account(release.platform, release.market)
            .and_then(|(market, minor)| self.credit.release(market, release, minor));
        events.push(match released {
            Ok(()) => Event::CreditReleased(*release),
            Err(reason) => Self::refused(reason),
        });
    }

    /// Index of the market of an account, and its minor unit in nano-currency.
    fn credit_account(
        &self,
        platform: PlatformId,
        market: MarketId,
    ) -> Result<(u16, i128), RejectReason> {
        let index = self.registry.market_index(market).ok_or(RejectReason::UnknownMarket)?;
        if !self.registry.has_party(Party { role: Role::Platform, number: platform.get() }) {
            return Err(RejectReason::UnknownParty);
        }
        Ok((index, self.registry.market(index).definition.currency.nanos_per_minor()))
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

    fn opened(&self, key: SlotKey) -> Option<&Slot> {
        let index = self.find_slot(key).ok()??;
        Some(self.slots.slot(index))
    }

    fn open(&self, key: SlotKey) -> Option<&Slot> {
        self.opened(key).filter(|slot| slot.phase != Phase::Closed)
    }
}
