//! The slow, obvious engine: one list of orders, searched from the beginning for every question.
//!
//! It shares nothing with the real one but the types, the limits and the SHA-256 function. Where
//! the two disagree on an event or a digest, one of them is wrong. `docs/matching.md` has the rules.
//!
//! | module | what it holds |
//! |---|---|
//! | `registry` | markets and their controls, parties, meters |
//! | `slots` | the phases of a slot, and the uncross |
//! | `admission` | every check of a request, in the order of the rules |
//! | `requests` | what a request of a platform does once it is admitted |
//! | `matching` | sweeps, what rests, and the orders that are tried again at rest |
//! | `lists` | blocks and baskets |
//! | `contracts` | negotiated trades |
//! | `aggregates` | orders for many meters |
//! | `delegations` | what platforms may do for meters |
//! | `control` | mass cancellations, suspensions, kills, credit |
//! | `grid` | where meters hang, and limits of what they may trade there |
//! | `auction`, `price` | the result of a call, and its price by every rule |
//! | `digest` | the canonical listing of the state |
//! | `laws` | what always holds between two commands |
//! | [`history`] | random histories of commands |
#![expect(clippy::indexing_slicing, clippy::expect_used, reason = "a model may panic")]

mod admission;
mod aggregates;
mod amendments;
mod auction;
mod contracts;
mod control;
mod delegations;
mod digest;
mod grid;
pub mod history;
mod laws;
mod lists;
mod matching;
mod operations;
mod price;
mod registry;
mod requests;
mod slots;

use std::collections::BTreeMap;

use aggregates::{Pool, Waiting};
use contracts::Offer;
use delegations::By;
use engine::Limits;
use grid::Wires;
use lists::List;
use operations::Desks;
pub use price::{Priced, price_by_brute_force};
use types::{
    AmendmentTerms, ClientOrderId, Command, CommandRejected, Delegation, Event, MarketControls,
    MarketDefinition, MarketId, MeterId, MeterRegistration, Money, NewOrder, OrderId, OrderKind,
    Party, PartyRegistration, Phase, PlatformId, Price, RejectReason, Scope, SelfTradeAction,
    SelfTradeScope, Seq, Sequenced, SessionId, Side, SlotKey, Timestamp, TradingState,
};

/// Where an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// It has just been accepted, or it left its queue to enter anew.
    Entering,
    /// In a queue of its book.
    Resting,
    /// Asleep, outside its book.
    Hibernating,
    /// In a list that has not traded, outside its book.
    Waiting,
    /// Filled or cancelled.
    Done,
}

/// Who must not trade with themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Meter(u32),
    Owner(u32),
}

/// An order, open or done.
#[derive(Debug, Clone, Copy)]
struct Order {
    platform: PlatformId,
    session: SessionId,
    sent: NewOrder,
    group: Option<Group>,
    /// Zero in a market order.
    limit: Price,
    last_replace: ClientOrderId,
    filled: u64,
    /// Zero once it is done.
    open: u64,
    /// How much of an iceberg is in view while it rests.
    view: u64,
    /// Who came first: smaller is earlier. Given anew when an order goes to the tail.
    place: u64,
    stand: Stand,
}

impl Order {
    const fn is_open(&self) -> bool {
        self.open > 0
    }

    fn rests(&self) -> bool {
        self.stand == Stand::Resting
    }

    fn is_market(&self) -> bool {
        self.sent.kind == OrderKind::Market
    }

    const fn is_iceberg(&self) -> bool {
        !self.sent.conditions.display.is_zero()
    }

    /// Whether it takes no part in auctions.
    const fn has_minimum(&self) -> bool {
        self.sent.conditions.all_or_none || !self.sent.conditions.minimum.is_zero()
    }

    /// What can trade at once while it rests.
    const fn in_view(&self) -> u64 {
        if self.is_iceberg() { self.view } else { self.open }
    }
}

/// A market, its controls and the price of its last auction.
#[derive(Debug, Clone, Copy)]
struct Market {
    definition: MarketDefinition,
    controls: MarketControls,
    last_auction_price: Option<Price>,
}

/// A slot that was opened once.
#[derive(Debug, Clone)]
struct Slot {
    key: SlotKey,
    phase: Phase,
    /// Whether the present call has been extended.
    extended: bool,
    last_price: Option<Price>,
    /// When the auction of a frozen slot is due.
    uncross_at: Option<Timestamp>,
    /// Counted trades by meter.
    executions: BTreeMap<MeterId, u32>,
}

/// The model. See [`Model::apply`].
#[derive(Debug)]
pub struct Model {
    limits: Limits,
    last_seq: Seq,
    last_time: Timestamp,
    markets: BTreeMap<MarketId, Market>,
    parties: BTreeMap<Party, PartyRegistration>,
    meters: Vec<MeterRegistration>,
    /// Scopes that may not trade, by the parts of the scope.
    halted: BTreeMap<(u8, u32), TradingState>,
    /// In the order of their opening.
    slots: Vec<Slot>,
    credit: BTreeMap<(PlatformId, MarketId), Money>,
    /// By meter: the number of the last delegation or revocation, and the delegation if it holds.
    delegations: BTreeMap<MeterId, (u64, Option<Delegation>)>,
    /// What platforms owe for trades, in nano-currency.
    owed: BTreeMap<(PlatformId, MarketId), i128>,
    lists: BTreeMap<(PlatformId, ClientOrderId), List>,
    /// By number: the first has number 1.
    offers: Vec<Offer>,
    /// Trades that the exchange undid, as changes to nothing.
    busts: Vec<AmendmentTerms>,
    /// What aggregate orders have besides, by their place among the orders.
    pools: BTreeMap<usize, Pool>,
    /// Lists of members without their orders, the oldest first.
    waiting: Vec<Waiting>,
    /// By number: the first has number 1.
    orders: Vec<Order>,
    wires: Wires,
    desks: Desks,
    trades: u64,
    places: u64,
}

type Outcome = Result<(), RejectReason>;

impl Model {
    /// A model before its first command.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            last_seq: Seq::ZERO,
            last_time: Timestamp::from_ns(i64::MIN),
            markets: BTreeMap::new(),
            parties: BTreeMap::new(),
            meters: Vec::new(),
            halted: BTreeMap::new(),
            slots: Vec::new(),
            credit: BTreeMap::new(),
            delegations: BTreeMap::new(),
            owed: BTreeMap::new(),
            lists: BTreeMap::new(),
            offers: Vec::new(),
            busts: Vec::new(),
            pools: BTreeMap::new(),
            waiting: Vec::new(),
            orders: Vec::new(),
            wires: Wires::new(),
            desks: Desks::new(),
            trades: 0,
            places: 0,
        }
    }

    /// The same contract as `engine::Engine::apply`.
    pub fn apply(&mut self, command: &Sequenced<Command>, events: &mut Vec<Event>) {
        self.last_seq = command.seq;
        self.last_time = command.time;
        self.expire(events);
        self.expire_offers(events);
        let mut caused = Vec::new();
        match self.decide(&command.value, &mut caused) {
            Ok(()) => events.append(&mut caused),
            Err(reason) => events.push(Event::CommandRejected(CommandRejected { reason })),
        }
        self.keep_draft(&command.value);
    }

    fn decide(&mut self, command: &Command, events: &mut Vec<Event>) -> Outcome {
        match command {
            Command::DefineMarket(market) => return self.define_market(market, events),
            Command::RegisterParty(party) => return self.register_party(party, events),
            Command::RegisterMeter(meter) => return self.register_meter(meter, events),
            Command::SetControls(controls) => return self.set_controls(controls, events),
            Command::OpenSlot(key) => return self.open_slot(*key, events),
            Command::FreezeSlot(freeze) => return self.freeze_slot(freeze, events),
            Command::UncrossSlot(key) => return self.uncross_slot(*key, events),
            Command::CloseSlot(key) => return self.close_slot(*key, events),
            Command::MassCancel(mass) => return self.mass_cancel(mass, events),
            Command::SetTrading(control) => return self.set_trading(control, events),
            Command::SetCredit(limit) => return self.set_credit(limit, events),
            Command::ReleaseCredit(release) => return self.release_credit(release, events),
            Command::NotePlace(note) => self.note_place(note, events),
            Command::SetGridLimit(limit) => self.set_grid_limit(limit, events),
            Command::NewOrder(signed) => {
                self.new_order((signed.origin, By::Meter), &signed.order, events);
            }
            Command::ValidateOrder(signed) => self.validate(signed, events),
            Command::AskOrder(request) => self.ask(request, events),
            Command::DelegatedOrder(delegated) => {
                self.new_order((delegated.origin, By::Platform), &delegated.order, events);
            }
            Command::OfferContract(request) => self.offer(request, events),
            Command::AcceptContract(request) => self.accept_offer(request, events),
            Command::DeclineContract(request) => self.decline(request, events),
            Command::WithdrawContract(request) => self.withdraw(request, events),
            Command::AggregateMembers(page) => self.take_page(page, events),
            Command::NewAggregateOrder(new) => self.new_aggregate(new, events),
            Command::OfferAmendment(request) => self.offer_change(request, events),
            Command::AcceptAmendment(request) => self.accept_change(request, events),
            Command::DelegateMeter(request) => self.delegate(request, events),
            Command::RevokeDelegation(request) => self.revoke(request, events),
            Command::CancelOrder(request) => self.cancel(request, events),
            Command::ReplaceOrder(signed) => {
                self.replace((signed.origin, By::Meter), &signed.replace, events);
            }
            Command::DelegatedReplace(delegated) => {
                self.replace((delegated.origin, By::Platform), &delegated.replace, events);
            }
            Command::ReduceOrder(reduce) => self.reduce(reduce, events),
            Command::HibernateOrder(request) => self.hibernate(request, events),
            Command::ActivateOrder(request) => self.activate(request, events),
            Command::Operate(signed) => return self.operate(signed, None, events),
            Command::BustTrade(bust) => {
                return self.operate(&bust.signed(), Some(&bust.made()), events);
            }
            Command::PassTime | Command::SignedFrame(_) | Command::DraftMarket(_) => {}
        }
        Ok(())
    }

    /// How many orders are open, in their books or outside.
    #[must_use]
    pub fn open_orders(&self) -> usize {
        self.orders.iter().filter(|order| order.is_open()).count()
    }

    /// The market of a slot that fits it.
    fn market_of(&self, key: SlotKey) -> Result<Market, RejectReason> {
        let market = *self.markets.get(&key.market).ok_or(RejectReason::UnknownMarket)?;
        let minutes = market.definition.slot_minutes;
        let grid = if minutes > 30 { 30 } else { u32::from(minutes) };
        let fits = key.slot.minutes() == minutes && key.slot.start_minute().is_multiple_of(grid);
        refuse_if(!fits, RejectReason::SlotMisaligned)?;
        Ok(market)
    }

    fn find_slot(&self, key: SlotKey) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.key == key)
    }

    /// A slot that is known to exist.
    fn slot(&self, key: SlotKey) -> &Slot {
        self.find_slot(key).expect("the slot was opened")
    }

    fn slot_mut(&mut self, key: SlotKey) -> &mut Slot {
        self.slots.iter_mut().find(|slot| slot.key == key).expect("the slot was opened")
    }

    fn find_meter(&self, meter: MeterId) -> Option<MeterRegistration> {
        self.meters.iter().copied().find(|known| known.meter == meter)
    }

    fn position(&self, order: OrderId) -> Option<usize> {
        let at = usize::try_from(order.get()).ok()?.checked_sub(1)?;
        (at < self.orders.len()).then_some(at)
    }

    /// The group that an order of this meter gets now.
    fn group_of(&self, meter: MeterId, controls: &MarketControls) -> Option<Group> {
        let owner = self.find_meter(meter).expect("the meter was checked").owner.get();
        match (controls.self_trade, controls.self_trade_scope) {
            (SelfTradeAction::Allow, _) => None,
            (_, SelfTradeScope::Owner) if owner != 0 => Some(Group::Owner(owner)),
            (_, SelfTradeScope::Owner | SelfTradeScope::Meter) => Some(Group::Meter(meter.get())),
        }
    }

    /// Whether the scope takes in this order.
    fn is_in_scope(&self, at: usize, scope: Scope) -> bool {
        let (order, meters) = (&self.orders[at], self.meters_of(at));
        match scope {
            Scope::All => true,
            Scope::Platform(platform) => order.platform == platform,
            Scope::Retailer(retailer) => {
                let of =
                    |&meter: &MeterId| self.find_meter(meter).expect("it was checked").retailer;
                meters.iter().any(|meter| of(meter) == retailer)
            }
            Scope::Meter(meter) => meters.contains(&meter),
            Scope::Session(session) => order.session == session,
            Scope::Market(market) => order.sent.key.market == market,
        }
    }

    /// Positions of the resting orders of one side, in priority order.
    fn queue(&self, key: SlotKey, side: Side) -> Vec<usize> {
        let mut queue: Vec<usize> = (0..self.orders.len())
            .filter(|&at| {
                let order = &self.orders[at];
                order.rests() && order.sent.side == side && order.sent.key == key
            })
            .collect();
        queue.sort_by_key(|&at| {
            let order = &self.orders[at];
            let worse = match side {
                Side::Buy => -i128::from(order.limit.micros()),
                Side::Sell => i128::from(order.limit.micros()),
            };
            (!order.is_market(), worse, order.place)
        });
        queue
    }
}

/// Whether an order of this side and limit reaches a price.
fn reaches(side: Side, limit: Price, price: Price) -> bool {
    match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    }
}

/// The worst price an order may get: its limit, or the edge of the band for a market order.
const fn worst_price(
    market: &MarketDefinition,
    kind: OrderKind,
    side: Side,
    limit: Price,
) -> Price {
    match (kind, side) {
        (OrderKind::Limit, _) => limit,
        (OrderKind::Market, Side::Buy) => market.price_max,
        (OrderKind::Market, Side::Sell) => market.price_min,
    }
}

/// What a quantity at a price owes in nano-currency: a buyer above zero, a seller below.
fn exposure(side: Side, price: Price, wh: u64) -> i128 {
    let pays = match side {
        Side::Buy => i128::from(price.micros()),
        Side::Sell => -i128::from(price.micros()),
    };
    pays.max(0) * i128::from(wh)
}

fn refuse_if(broken: bool, reason: RejectReason) -> Outcome {
    if broken { Err(reason) } else { Ok(()) }
}

fn order_id(at: usize) -> OrderId {
    OrderId::new(u64::try_from(at + 1).expect("few orders"))
}
