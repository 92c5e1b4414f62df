//! Events: what a command caused. Every event stands on its own: readers need no other state.

use crate::{
    aggregate::{MemberRefused, MembersListed},
    amendment::{AmendmentOffered, ContractAmended},
    auction::AuctionResult,
    bust::TradeBusted,
    command::Origin,
    contract::{ContractAgreed, ContractEnded, ContractOffered, ContractRestated},
    control::{CreditLimit, CreditRelease, MarketControls, Scope, TradingControl},
    delegation::Delegation,
    grid::{GridLimitSet, GridRefused, PlaceNoted},
    ids::{ClientOrderId, MeterId, OrderId, PlatformId, TradeId},
    market::{MarketDefinition, Phase},
    operation::Operated,
    order::Side,
    participant::{MeterRegistration, PartyRegistration},
    reject::RejectReason,
    slot::SlotKey,
    time::Timestamp,
    units::{Energy, Price},
};

/// Which request a rejection answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Request {
    /// A new order.
    New = 0,
    /// A cancellation.
    Cancel = 1,
    /// A replacement.
    Replace = 2,
    /// A reduction.
    Reduce = 3,
    /// A hibernation.
    Hibernate = 4,
    /// An activation.
    Activate = 5,
    /// A mass cancellation.
    MassCancel = 6,
    /// A delegation.
    Delegate = 7,
    /// The end of a delegation.
    Revoke = 8,
    /// A validation of a new order.
    Validate = 13,
    /// A question about an order.
    Ask = 14,
    /// A page of the members of an aggregate order.
    ListMembers = 15,
    /// An offer of a contract or of a change.
    Offer = 9,
    /// The acceptance of one.
    Accept = 10,
    /// The refusal of one by the other side.
    Decline = 11,
    /// An offer that is taken back.
    Withdraw = 12,
}

impl Request {
    /// The request with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::New),
            1 => Some(Self::Cancel),
            2 => Some(Self::Replace),
            3 => Some(Self::Reduce),
            4 => Some(Self::Hibernate),
            5 => Some(Self::Activate),
            6 => Some(Self::MassCancel),
            7 => Some(Self::Delegate),
            8 => Some(Self::Revoke),
            13 => Some(Self::Validate),
            14 => Some(Self::Ask),
            15 => Some(Self::ListMembers),
            9 => Some(Self::Offer),
            10 => Some(Self::Accept),
            11 => Some(Self::Decline),
            12 => Some(Self::Withdraw),
            _ => None,
        }
    }

    /// The code in messages and records.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// Why an order left the book without filling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CancelReason {
    /// Its platform asked for it.
    Requested = 0,
    /// Immediate-or-cancel, and nothing more could fill.
    ImmediateOrCancel = 1,
    /// It met an order of the same meter or owner.
    SelfTrade = 2,
    /// The gate closed: the order expired.
    GateClosed = 3,
    /// Its last instant has passed.
    Expired = 4,
    /// It had to fill whole, or by its minimum, at once, and could not.
    FillOrKill = 5,
    /// A mass cancellation.
    MassCancel = 6,
    /// Its scope was killed.
    Killed = 7,
    /// A market order with nothing left to trade with.
    NoLiquidity = 8,
    /// Another order of its block or basket was refused, cancelled or could not fill.
    List = 9,
    /// The rest of an aggregate order that has made as many trades on entry as it may.
    TradeLimit = 10,
    /// The grid allows less at its meter's place than was open and traded there.
    GridLimit = 11,
    /// The operator cancelled the auction for which it stood.
    AuctionCancelled = 12,
}

impl CancelReason {
    /// The reason with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Requested),
            1 => Some(Self::ImmediateOrCancel),
            2 => Some(Self::SelfTrade),
            3 => Some(Self::GateClosed),
            4 => Some(Self::Expired),
            5 => Some(Self::FillOrKill),
            6 => Some(Self::MassCancel),
            7 => Some(Self::Killed),
            8 => Some(Self::NoLiquidity),
            9 => Some(Self::List),
            10 => Some(Self::TradeLimit),
            11 => Some(Self::GridLimit),
            12 => Some(Self::AuctionCancelled),
            _ => None,
        }
    }

    /// The code in messages and records.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// A new order passed admission and has its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderAccepted {
    /// Who sent it.
    pub origin: Origin,
    /// The platform's number.
    pub client_order: ClientOrderId,
    /// The engine's number.
    pub order: OrderId,
    /// For whom; 0 where it is an aggregate order.
    pub meter: MeterId,
    /// Which book.
    pub key: SlotKey,
    /// Buy or sell.
    pub side: Side,
    /// Worst acceptable price.
    pub limit: Price,
    /// How much.
    pub quantity: Energy,
}

/// A new order would have been accepted at this place. Nothing changed: its number stays free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderValidated {
    /// Who sent it.
    pub origin: Origin,
    /// The platform's number.
    pub client_order: ClientOrderId,
}

/// The same new order arrived again, or somebody asks; this is where it stands now. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderRestated {
    /// Who sent it again, or asks.
    pub origin: Origin,
    /// The platform's number of the request.
    pub client_order: ClientOrderId,
    /// The engine's number.
    pub order: OrderId,
    /// Filled so far.
    pub filled: Energy,
    /// Still resting.
    pub leaves: Energy,
}

/// A resting order has a new limit and open quantity. Trades it caused follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderReplaced {
    /// Who asked.
    pub origin: Origin,
    /// The platform's number of the request.
    pub client_order: ClientOrderId,
    /// The order.
    pub order: OrderId,
    /// Its limit now.
    pub limit: Price,
    /// Its open quantity now.
    pub leaves: Energy,
    /// Whether it kept its place in the queue.
    pub kept_place: bool,
}

/// An order is gone without filling the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderCancelled {
    /// Whose order it was.
    pub platform: PlatformId,
    /// The platform's number of the request, if that named this order or brought it in; otherwise
    /// of the order itself.
    pub client_order: ClientOrderId,
    /// The order.
    pub order: OrderId,
    /// What had not filled.
    pub leaves: Energy,
    /// Why.
    pub reason: CancelReason,
}

/// A request of a platform was refused. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderRejected {
    /// Who sent it.
    pub origin: Origin,
    /// The platform's number of the request.
    pub client_order: ClientOrderId,
    /// What was asked.
    pub request: Request,
    /// Why not.
    pub reason: RejectReason,
}

/// One order's part in a trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TradeSide {
    /// The order.
    pub order: OrderId,
    /// Its platform's number.
    pub client_order: ClientOrderId,
    /// For whom.
    pub meter: MeterId,
    /// By whom.
    pub platform: PlatformId,
    /// What is still open after this trade.
    pub leaves: Energy,
}

/// A match: one seller's meter, one buyer's meter, one price. Negotiated by the two, it is of no order:
/// both numbers are 0, and [`ContractAgreed`] stands before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trade {
    /// Its number.
    pub trade: TradeId,
    /// What is delivered.
    pub key: SlotKey,
    /// At which price.
    pub price: Price,
    /// How much.
    pub quantity: Energy,
    /// Who takes it.
    pub buy: TradeSide,
    /// Who gives it.
    pub sell: TradeSide,
    /// The side that was resting, or `None` in an auction and where it was negotiated.
    pub maker: Option<Side>,
}

impl Trade {
    /// Whether the two sides agreed on it between themselves. Then it is no price of a book.
    #[must_use]
    pub const fn is_negotiated(&self) -> bool {
        self.buy.order.get() == 0
    }
}

/// An order left its book for a while, or came back to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderMoved {
    /// Who asked.
    pub origin: Origin,
    /// The platform's number of the request.
    pub client_order: ClientOrderId,
    /// The order.
    pub order: OrderId,
    /// What is open of it.
    pub leaves: Energy,
}

/// A mass cancellation is done; the orders it cancelled came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MassCancelled {
    /// Who asked; `None` for the operator.
    pub origin: Option<Origin>,
    /// The platform's number of the request.
    pub client_order: ClientOrderId,
    /// Whose orders.
    pub scope: Scope,
    /// How many were cancelled.
    pub cancelled: u32,
    /// Whether none are left. If some are, the same request again goes on.
    pub complete: bool,
}

/// A slot's call takes no more orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotFrozen {
    /// Which slot.
    pub key: SlotKey,
    /// The auction is due at this instant, and not before.
    pub uncross_at: Timestamp,
}

/// The price of a call was outside the collar: the call goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallExtended {
    /// Which slot.
    pub key: SlotKey,
    /// The price it would have had.
    pub price: Price,
    /// The price it was compared with.
    pub reference: Price,
}

/// A slot moved to its next phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotPhaseChanged {
    /// Which slot.
    pub key: SlotKey,
    /// Its phase now.
    pub phase: Phase,
}

/// A platform may send orders for a meter, as the delegation says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeterDelegated {
    /// Who brought it.
    pub origin: Origin,
    /// The platform's number of the request.
    pub client_order: ClientOrderId,
    /// What it says.
    pub delegation: Delegation,
    /// Another platform that held a delegation of the meter, which it ends.
    pub before: Option<PlatformId>,
}

/// No delegation of a meter up to a number counts any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelegationRevoked {
    /// Who asked.
    pub origin: Origin,
    /// The platform's number of the request.
    pub client_order: ClientOrderId,
    /// Whose.
    pub meter: MeterId,
    /// Up to which number.
    pub number: u64,
    /// The platform that held a delegation, if one did.
    pub holder: Option<PlatformId>,
}

/// A command of the operator or the schedule was refused. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandRejected {
    /// Why.
    pub reason: RejectReason,
}

/// Everything the engine can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A market exists.
    MarketDefined(MarketDefinition),
    /// A party takes part.
    PartyRegistered(PartyRegistration),
    /// A meter takes part.
    MeterRegistered(MeterRegistration),
    /// A market has other controls.
    ControlsSet(MarketControls),
    /// A slot moved on.
    SlotPhaseChanged(SlotPhaseChanged),
    /// Entry into a call ended.
    SlotFrozen(SlotFrozen),
    /// A call goes on.
    CallExtended(CallExtended),
    /// A call ended.
    AuctionUncrossed(AuctionResult),
    /// An order has its number.
    OrderAccepted(OrderAccepted),
    /// An order that would be accepted.
    OrderValidated(OrderValidated),
    /// An order sent again, or asked about.
    OrderRestated(OrderRestated),
    /// An order changed.
    OrderReplaced(OrderReplaced),
    /// An order is gone.
    OrderCancelled(OrderCancelled),
    /// An order hibernates.
    OrderHibernated(OrderMoved),
    /// A hibernating order is back. Trades it caused follow.
    OrderActivated(OrderMoved),
    /// Many orders were cancelled.
    MassCancelled(MassCancelled),
    /// A request was refused.
    OrderRejected(OrderRejected),
    /// Two orders met, or two sides agreed.
    Trade(Trade),
    /// A scope may trade, or may not.
    TradingChanged(TradingControl),
    /// A platform may owe this much.
    CreditSet(CreditLimit),
    /// A platform owes less.
    CreditReleased(CreditRelease),
    /// A meter has a delegation.
    MeterDelegated(MeterDelegated),
    /// A meter has none up to a number.
    DelegationRevoked(DelegationRevoked),
    /// A contract is offered.
    ContractOffered(ContractOffered),
    /// Both sides have signed a contract. Its trade follows.
    ContractAgreed(ContractAgreed),
    /// An offer of a contract or of a change is gone.
    ContractEnded(ContractEnded),
    /// An offer or acceptance sent again.
    ContractRestated(ContractRestated),
    /// A change of a trade is offered.
    AmendmentOffered(AmendmentOffered),
    /// Both sides have signed a change: the trade has another version.
    ContractAmended(ContractAmended),
    /// A page of members was taken.
    MembersListed(MembersListed),
    /// Which member of an aggregate order the refusal that follows is about.
    MemberRefused(MemberRefused),
    /// A meter hangs at a place.
    PlaceNoted(PlaceNoted),
    /// A limit of a place is in force.
    GridLimitSet(GridLimitSet),
    /// A place or a limit was refused.
    GridRefused(GridRefused),
    /// An operator's order was signed.
    Operated(Operated),
    /// The exchange undid a trade.
    TradeBusted(TradeBusted),
    /// An operator's command was refused.
    CommandRejected(CommandRejected),
}
