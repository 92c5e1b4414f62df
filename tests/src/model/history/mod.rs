//! Random histories: one seed decides everything. They stay where it hurts: few prices, few meters
//! with little capacity, few slots that open and close all the time, markets with every rule and
//! control, and among the requests that can succeed many repeated and bad ones.

mod aggregates;
mod amendments;
mod contracts;
mod delegations;
mod grid;
mod operator;
mod orders;
mod requests;
mod setup;

use std::collections::{BTreeMap, VecDeque};

use engine::Limits;
use types::{
    AmendmentTerms, ClientOrderId, Command, Delegation, Event, KnownTrade, MarketControls,
    MarketDefinition, MarketId, MeterId, NewAggregateOrder, OfferAmendment, OfferContract, OfferId,
    Operation, OrderId, Phase, Scope, Seq, Sequenced, SignedNewOrder, SlotKey, Timestamp, TradeId,
    TradingState,
};

/// The limits that histories are meant for: small enough to be reached.
#[must_use]
pub const fn limits() -> Limits {
    Limits {
        orders_max: 64,
        book_orders_max: 20,
        meters_max: 8,
        slots_max: 9,
        markets_max: 3,
        parties_max: 11,
        offers_max: 24,
        platform_offers_max: 8,
        shard: 0,
    }
}

/// Pseudo-random numbers by `SplitMix64` (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A stream of numbers for each seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) % end
    }

    /// True once in `n` times.
    pub const fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of the values.
    pub fn pick<T: Copy>(&mut self, values: &[T]) -> Option<T> {
        let count = u64::try_from(values.len()).ok().filter(|&count| count > 0)?;
        values.get(usize::try_from(self.below(count)).ok()?).copied()
    }

    /// One of the values, of which there are some.
    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        self.pick(values).expect("there are values")
    }

    fn small(&mut self, end: u16) -> u16 {
        u16::try_from(self.below(u64::from(end))).unwrap_or(0)
    }
}

/// A slot that is open, as the events tell it.
#[derive(Debug, Clone, Copy)]
struct OpenSlot {
    key: SlotKey,
    phase: Phase,
    uncross_at: Timestamp,
}

/// An accepted order, as the events tell it.
#[derive(Debug, Clone, Copy)]
struct Known {
    order: OrderId,
    signed: SignedNewOrder,
    open: bool,
    hibernates: bool,
}

/// A history in the making.
#[derive(Debug)]
pub struct History {
    random: Random,
    seq: Seq,
    time: Timestamp,
    setup: VecDeque<Command>,
    /// Orders of lists that are still to be sent.
    pending: VecDeque<SignedNewOrder>,
    markets: Vec<MarketDefinition>,
    controls: BTreeMap<MarketId, MarketControls>,
    client_orders: u64,
    lists: u64,
    /// The number of the last replacement sent for an order.
    replaced: BTreeMap<OrderId, u64>,
    sent: Vec<SignedNewOrder>,
    known: Vec<Known>,
    slots: Vec<OpenSlot>,
    halted: Vec<Scope>,
    /// What an operator proposed last, and how many operations there were.
    proposed: Vec<Operation>,
    /// What defines the market of the last command.
    ordered: Option<Command>,
    operations: u64,
    /// Delegations that hold, as the events tell them.
    delegations: BTreeMap<MeterId, Delegation>,
    delegation_numbers: u64,
    /// Offers of contracts, whatever became of them, and the one that is on its way.
    offers: Vec<(OfferId, OfferContract)>,
    offering: Option<OfferContract>,
    /// Pages of an aggregate order on their way, it behind them, and those that were sent.
    pool: VecDeque<Command>,
    aggregates: Vec<NewAggregateOrder>,
    /// Trades as they stand, and changes of them that were offered.
    traded: Vec<AmendmentTerms>,
    /// And as they were made.
    made: Vec<(TradeId, KnownTrade)>,
    changes: Vec<(OfferId, OfferAmendment)>,
    changing: Option<OfferAmendment>,
    /// Members of the last one.
    listed: Vec<MeterId>,
}

const MINUTE_NS: u64 = 60_000_000_000;

impl History {
    /// The history of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let markets = setup::markets(&mut random);
        let setup = setup::commands(&mut random, &markets);
        Self {
            random,
            seq: Seq::ZERO,
            time: Timestamp::from_minutes(29_000_010),
            setup,
            pending: VecDeque::new(),
            markets,
            controls: BTreeMap::new(),
            client_orders: 0,
            lists: 0,
            replaced: BTreeMap::new(),
            sent: Vec::new(),
            known: Vec::new(),
            slots: Vec::new(),
            halted: Vec::new(),
            proposed: Vec::new(),
            ordered: None,
            operations: 0,
            delegations: BTreeMap::new(),
            delegation_numbers: 0,
            offers: Vec::new(),
            offering: None,
            pool: VecDeque::new(),
            aggregates: Vec::new(),
            traded: Vec::new(),
            made: Vec::new(),
            changes: Vec::new(),
            changing: None,
            listed: Vec::new(),
        }
    }

    /// The next command. The first ones set the stage.
    pub fn next_command(&mut self) -> Sequenced<Command> {
        let value = self.setup.pop_front().unwrap_or_else(|| self.draw());
        self.seq = self.seq.next();
        let pause = if self.random.once_in(16) { 2 * MINUTE_NS } else { 1 };
        let ns = i64::try_from(1 + self.random.below(pause)).unwrap_or(1);
        self.time = self.time.plus_ns(ns);
        if self.random.once_in(40) {
            self.time = Timestamp::from_minutes(self.minute() + 1);
        }
        Sequenced { seq: self.seq, time: self.time, value }
    }

    /// Learns from the events of the last command which slots are open and how they stand, and
    /// which orders there are to cancel and change.
    #[expect(clippy::too_many_lines, reason = "an arm for each kind")]
    pub fn observe(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::OrderAccepted(accepted) => {
                    let signed = *self.sent.last().expect("an order was sent");
                    let order = accepted.order;
                    self.known.push(Known { order, signed, open: true, hibernates: false });
                }
                Event::Trade(trade) => {
                    self.note_trade(trade);
                    for side in [trade.buy, trade.sell] {
                        self.note(side.order, |known| known.open = !side.leaves.is_zero());
                    }
                }
                Event::OrderCancelled(cancelled) => {
                    self.note(cancelled.order, |known| known.open = false);
                }
                Event::OrderHibernated(moved) => {
                    self.note(moved.order, |known| known.hibernates = true);
                }
                Event::OrderActivated(moved) => {
                    self.note(moved.order, |known| known.hibernates = false);
                }
                Event::SlotPhaseChanged(changed) => self.note_phase(changed.key, changed.phase),
                Event::SlotFrozen(frozen) => {
                    for slot in self.slots.iter_mut().filter(|slot| slot.key == frozen.key) {
                        slot.phase = Phase::Frozen;
                        slot.uncross_at = frozen.uncross_at;
                    }
                }
                Event::ControlsSet(controls) => {
                    self.controls.insert(controls.market, *controls);
                }
                Event::TradingChanged(control) => {
                    self.halted.retain(|&scope| scope != control.scope);
                    if control.state != TradingState::Active {
                        self.halted.push(control.scope);
                    }
                }
                Event::ContractOffered(offered) => {
                    let request = self.offering.expect("a contract was offered");
                    self.offers.push((offered.offer, request));
                }
                Event::AmendmentOffered(offered) => {
                    let request = self.changing.expect("a change was offered");
                    self.changes.push((offered.offer, request));
                }
                Event::ContractAmended(amended) => self.note_change(&amended.terms),
                Event::TradeBusted(busted) => self.note_bust(busted),
                Event::MeterDelegated(delegated) => {
                    let delegation = delegated.delegation;
                    self.delegations.insert(delegation.meter, delegation);
                }
                Event::DelegationRevoked(revoked) => {
                    self.delegations.remove(&revoked.meter);
                }
                Event::MarketDefined(_)
                | Event::PartyRegistered(_)
                | Event::MeterRegistered(_)
                | Event::CallExtended(_)
                | Event::AuctionUncrossed(_)
                | Event::OrderRestated(_)
                | Event::OrderValidated(_)
                | Event::OrderReplaced(_)
                | Event::MassCancelled(_)
                | Event::ContractAgreed(_)
                | Event::ContractEnded(_)
                | Event::ContractRestated(_)
                | Event::MembersListed(_)
                | Event::MemberRefused(_)
                | Event::OrderRejected(_)
                | Event::CreditSet(_)
                | Event::CreditReleased(_)
                | Event::PlaceNoted(_)
                | Event::GridRefused(_)
                | Event::Operated(_)
                | Event::GridLimitSet(_)
                | Event::CommandRejected(_) => {}
            }
        }
    }

    fn note(&mut self, order: OrderId, change: impl Fn(&mut Known)) {
        let at = usize::try_from(order.get()).unwrap_or(0).wrapping_sub(1);
        if let Some(known) = self.known.get_mut(at) {
            change(known);
        }
    }

    fn note_phase(&mut self, key: SlotKey, phase: Phase) {
        let known = self.slots.iter().copied().find(|slot| slot.key == key);
        self.slots.retain(|slot| slot.key != key);
        if phase != Phase::Closed {
            let uncross_at = known.map_or(Timestamp::from_ns(0), |slot| slot.uncross_at);
            self.slots.push(OpenSlot { key, phase, uncross_at });
        }
    }

    fn draw(&mut self) -> Command {
        if let Some(operation) = self.ordered.take()
            && !self.random.once_in(8)
        {
            return operation;
        }
        if !self.random.once_in(6)
            && let Some(signed) = self.pending.pop_front()
        {
            let may = self.has_delegation(signed.origin, signed.order.meter);
            let is_delegated = may && self.random.once_in(2);
            return self.send(signed, is_delegated);
        }
        if !self.random.once_in(6)
            && let Some(command) = self.next_of_pool()
        {
            return command;
        }
        let tradable = self.slots.iter().filter(|slot| self.is_tradable(slot.key)).count();
        if tradable < 4 && self.random.once_in(4) {
            return Command::OpenSlot(self.key());
        }
        if !self.halted.is_empty() && self.random.once_in(8) {
            return Command::SetTrading(self.trading());
        }
        match self.random.below(1_000) {
            0..335 => self.new_order(),
            335..340 => self.operation(),
            340..370 => self.aggregate(),
            370..395 => self.change(),
            395..411 => self.grid_limit(),
            411..421 => self.note_place(),
            421..433 => self.validate(),
            433..440 => self.ask(),
            440..460 => self.offer(),
            460..466 => self.change(),
            466..489 => self.accept_offer(),
            489..497 => self.end_offer(),
            497..520 => self.delegate(),
            520..528 => self.revoke(),
            528..530 => self.signed_frame(),
            530..560 => self.list(),
            560..605 => self.cancel(),
            605..690 => self.replace(),
            690..725 => self.reduce(),
            725..755 => self.hibernate(),
            755..795 => self.activate(),
            795..803 => self.mass_cancel(),
            803..818 => Command::SetTrading(self.trading()),
            818..830 => self.credit(),
            830..842 => self.release(),
            842..888 => Command::OpenSlot(self.key()),
            888..925 => self.uncross(),
            925..955 => self.close(),
            955..963 => self.set_controls(),
            963..972 => Command::PassTime,
            972..978 => self.odd_market(),
            978..984 => self.odd_party(),
            _ => self.odd_meter(),
        }
    }

    fn minute(&self) -> u32 {
        u32::try_from(self.time.ns().div_euclid(60_000_000_000)).unwrap_or(0)
    }

    fn next_number(&mut self) -> ClientOrderId {
        self.client_orders += 1 + self.random.below(3);
        ClientOrderId::new(self.client_orders)
    }

    /// The definition of a market, of the first one for those that are not known.
    fn definition(&self, market: MarketId) -> MarketDefinition {
        let known = self.markets.iter().find(|known| known.market == market);
        *known.unwrap_or(&self.markets[0])
    }

    /// A slot around now; most of them of the first market and in its trading hours.
    fn key(&mut self) -> SlotKey {
        let number = match self.random.below(60) {
            0 => 9,
            1..12 => 2,
            12..20 => 3,
            _ => 1,
        };
        let market = self.definition(MarketId::new(number));
        let minutes = u32::from(market.slot_minutes);
        let grid = minutes.min(30);
        let gate = self.minute() + market.gate_lead.minutes();
        let ahead = match self.random.below(12) {
            0 => 0,
            1 => u32::from(self.random.small(12)),
            _ => 1 + u32::from(self.random.small(5)),
        };
        let odd = if self.random.once_in(60) { 5 } else { 0 };
        let start = gate / grid * grid + grid * ahead + odd;
        let minutes = if self.random.once_in(60) { 20 } else { market.slot_minutes };
        SlotKey { market: MarketId::new(number), slot: setup::slot(start, minutes) }
    }

    /// A slot that is open and in its trading hours, mostly.
    fn open_key(&mut self) -> SlotKey {
        self.open_key_where(|_| true)
    }

    /// A slot that is open, in its trading hours and of a kind, mostly.
    fn open_key_where(&mut self, wanted: impl Fn(&OpenSlot) -> bool) -> SlotKey {
        let any = self.random.once_in(16);
        let open: Vec<SlotKey> = self
            .slots
            .iter()
            .filter(|slot| self.is_tradable(slot.key) && (any || wanted(slot)))
            .map(|slot| slot.key)
            .collect();
        if self.random.once_in(30) {
            return self.key();
        }
        // Often one of the first two, so that some books are full.
        let few = if self.random.once_in(2) { 2 } else { open.len() };
        match self.random.pick(&open[..open.len().min(few)]) {
            Some(key) => key,
            None => self.key(),
        }
    }

    /// Whether the trading hours of a slot have begun, or are about to, and are not almost over.
    fn is_tradable(&self, key: SlotKey) -> bool {
        let soon = self.time.plus_ns(i64::try_from(MINUTE_NS / 4).unwrap_or(0));
        self.definition(key.market).opens_at(key.slot) <= soon && self.is_before_gate(key)
    }

    fn is_before_gate(&self, key: SlotKey) -> bool {
        let gate = self.definition(key.market).gate_closes_after(key.slot);
        gate > self.time.plus_ns(i64::try_from(MINUTE_NS).unwrap_or(0))
    }

    fn phase(&self, key: SlotKey) -> Phase {
        let slot = self.slots.iter().find(|slot| slot.key == key);
        slot.map_or(Phase::PreOpen, |slot| slot.phase)
    }
}
