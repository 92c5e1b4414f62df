//! Commands: everything that changes the state of the exchange, in the order it was decided.

use crate::{
    aggregate::{MembersPage, NewAggregateOrder},
    amendment::{AcceptAmendment, OfferAmendment},
    bust::BustTrade,
    contract::{AcceptContract, OfferContract, OfferRequest},
    control::{CreditLimit, CreditRelease, MarketControls, Scope, TradingControl},
    delegation::Delegation,
    grid::{GridLimit, PlaceNote},
    identity::{KeyId, Signature},
    ids::{ClientOrderId, MeterId, OfferId, OrderId, PlatformId, Seq, SessionId},
    market::MarketDefinition,
    operation::SignedOperation,
    order::{Conditions, OrderKind, OrderList, Side, TimeInForce},
    participant::{MeterRegistration, PartyRegistration},
    slot::SlotKey,
    time::Timestamp,
    units::{Energy, Price},
};

/// A value with its place in the one order of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequenced<T> {
    /// Position, without gaps.
    pub seq: Seq,
    /// When it was sequenced; strictly rising with `seq`.
    pub time: Timestamp,
    /// What.
    pub value: T,
}

/// Who sent a command, and where the answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The platform whose certificate the session carries.
    pub platform: PlatformId,
    /// The session it arrived on. Not part of what is signed.
    pub session: SessionId,
}

/// A new order as its sender states it. These fields, and no others, are what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewOrder {
    /// The platform's own number for it.
    pub client_order: ClientOrderId,
    /// For whom.
    pub meter: MeterId,
    /// What is traded.
    pub key: SlotKey,
    /// Buy or sell.
    pub side: Side,
    /// Limit or market.
    pub kind: OrderKind,
    /// How long it stays.
    pub time_in_force: TimeInForce,
    /// Worst acceptable price; zero in a market order.
    pub limit: Price,
    /// How much.
    pub quantity: Energy,
    /// The signature is void after this instant.
    pub valid_until: Timestamp,
    /// What else it asks for.
    pub conditions: Conditions,
    /// The block or basket it belongs to.
    pub list: OrderList,
}

/// A change of a resting order's limit and open quantity. These fields are what is signed.
///
/// Same price and not larger keeps the place in the queue; anything else goes to the tail and may
/// trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplaceOrder {
    /// The platform's own number for this request; does not rename the order.
    pub client_order: ClientOrderId,
    /// The order to change.
    pub order: OrderId,
    /// For whom; must be the order's meter.
    pub meter: MeterId,
    /// New worst acceptable price.
    pub limit: Price,
    /// New open quantity.
    pub quantity: Energy,
    /// The signature is void after this instant.
    pub valid_until: Timestamp,
}

/// A new order with its evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedNewOrder {
    /// Who sent it.
    pub origin: Origin,
    /// What was signed.
    pub order: NewOrder,
    /// By the meter's key.
    pub signature: Signature,
}

/// A replacement with its evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedReplaceOrder {
    /// Who sent it.
    pub origin: Origin,
    /// What was signed.
    pub replace: ReplaceOrder,
    /// By the meter's key.
    pub signature: Signature,
}

/// A platform brings a delegation that the meter's owner signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelegateMeter {
    /// Who sent it; the platform that the delegation names.
    pub origin: Origin,
    /// The platform's own number for this request.
    pub client_order: ClientOrderId,
    /// What was signed.
    pub delegation: Delegation,
    /// By the meter's key.
    pub signature: Signature,
}

/// Ends the delegation of a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokeDelegation {
    /// Who sent it.
    pub origin: Origin,
    /// The platform's own number for this request.
    pub client_order: ClientOrderId,
    /// Whose delegation.
    pub meter: MeterId,
    /// Delegations up to this number end, and none of them is accepted any more.
    pub number: u64,
    /// By the meter's key; `None` where the platform gives back the delegation that it holds.
    pub signature: Option<Signature>,
}

/// The platform's signature over orders of a frame, which follow it directly as [`DelegatedOrder`]
/// and [`DelegatedReplace`]. It is evidence and changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedFrame {
    /// Who sent it.
    pub origin: Origin,
    /// Number of the frame in its session.
    pub frame: u64,
    /// How many orders it covers.
    pub orders: u16,
    /// The platform's key.
    pub key: KeyId,
    /// By the platform's key.
    pub signature: Signature,
}

/// A new order that a platform signed, with others, in the name of a meter that delegated that to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelegatedOrder {
    /// Who sent it.
    pub origin: Origin,
    /// What was signed.
    pub order: NewOrder,
}

/// A replacement that a platform signed, with others, in the name of a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelegatedReplace {
    /// Who sent it.
    pub origin: Origin,
    /// What was signed.
    pub replace: ReplaceOrder,
}

/// A request about one order that needs no more words: to cancel, hibernate or activate it. The
/// session's certificate is its authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderRequest {
    /// Who sent it.
    pub origin: Origin,
    /// The platform's own number for this request.
    pub client_order: ClientOrderId,
    /// The order.
    pub order: OrderId,
}

/// Makes a resting order smaller where it stands. The session's certificate is its authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReduceOrder {
    /// Who sent it.
    pub origin: Origin,
    /// The platform's own number for this request.
    pub client_order: ClientOrderId,
    /// The order.
    pub order: OrderId,
    /// By how much. All that is open, or more, cancels it.
    pub by: Energy,
}

/// Cancels every open order of a scope.
///
/// One command cancels at most [`MASS_CANCEL_MAX`] orders, so that it fits one batch of the
/// journal; its event says whether any are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MassCancel {
    /// The platform that asks, for orders of its own; `None` when the operator does.
    pub origin: Option<Origin>,
    /// The platform's own number for this request.
    pub client_order: ClientOrderId,
    /// Whose orders.
    pub scope: Scope,
    /// Of which slot; `None` for all.
    pub slot: Option<SlotKey>,
}

/// Most orders that one command cancels: 262,144 × 40 bytes of record = 10 MiB.
pub const MASS_CANCEL_MAX: u32 = 1 << 18;

/// Ends the entry of orders into a call. The auction follows at a random instant that the seed
/// decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreezeSlot {
    /// Which slot.
    pub key: SlotKey,
    /// Drawn by the exchange from the operating system, and journaled.
    pub seed: u64,
}

/// Everything the engine can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// A market comes into being.
    DefineMarket(MarketDefinition),
    /// A party joins.
    RegisterParty(PartyRegistration),
    /// A meter joins.
    RegisterMeter(MeterRegistration),
    /// What a market checks and does besides its definition.
    SetControls(MarketControls),
    /// A slot's book opens: pre-open → call.
    OpenSlot(SlotKey),
    /// Entry into a slot's call ends: call → frozen.
    FreezeSlot(FreezeSlot),
    /// A slot's call ends with an uncross: call or frozen → continuous.
    UncrossSlot(SlotKey),
    /// A slot's gate closes: every resting order expires.
    CloseSlot(SlotKey),
    /// A new order.
    NewOrder(SignedNewOrder),
    /// Whether this new order would be accepted here. Changes nothing.
    ValidateOrder(SignedNewOrder),
    /// Where an order stands. Changes nothing.
    AskOrder(OrderRequest),
    /// A cancellation.
    CancelOrder(OrderRequest),
    /// A replacement.
    ReplaceOrder(SignedReplaceOrder),
    /// A reduction.
    ReduceOrder(ReduceOrder),
    /// An order leaves its book and keeps its number and reservations.
    HibernateOrder(OrderRequest),
    /// A hibernating order enters its book again.
    ActivateOrder(OrderRequest),
    /// A cancellation of many orders.
    MassCancel(MassCancel),
    /// A suspension, a kill, or the end of one.
    SetTrading(TradingControl),
    /// What a platform may owe in a market.
    SetCredit(CreditLimit),
    /// A platform has paid for some of what it traded.
    ReleaseCredit(CreditRelease),
    /// Nothing but the time: orders whose last instant has passed expire.
    PassTime,
    /// A platform may send orders for a meter.
    DelegateMeter(DelegateMeter),
    /// It may no more.
    RevokeDelegation(RevokeDelegation),
    /// Evidence of the orders that follow.
    SignedFrame(SignedFrame),
    /// A new order under a delegation.
    DelegatedOrder(DelegatedOrder),
    /// A replacement under a delegation.
    DelegatedReplace(DelegatedReplace),
    /// One side offers a contract to the other.
    OfferContract(OfferContract),
    /// The other side agrees.
    AcceptContract(AcceptContract),
    /// The other side does not, or not to a change.
    DeclineContract(OfferRequest),
    /// Who offered a contract or a change takes it back.
    WithdrawContract(OfferRequest),
    /// One side asks the other to change a trade.
    OfferAmendment(OfferAmendment),
    /// The other side agrees to the change.
    AcceptAmendment(AcceptAmendment),
    /// A page of the members of an aggregate order that is to come.
    AggregateMembers(MembersPage),
    /// A new order for many meters.
    NewAggregateOrder(NewAggregateOrder),
    /// Where a meter hangs.
    NotePlace(PlaceNote),
    /// How much may be traded at a place.
    SetGridLimit(GridLimit),
    /// The definition of a market that the operation defines which follows directly. Changes nothing by itself.
    DraftMarket(MarketDefinition),
    /// An operator's order, signed.
    Operate(SignedOperation),
    /// An operator's order to bust a trade, with what is on record of that.
    BustTrade(BustTrade),
}

impl Command {
    /// Whether it asks for more than to take back: an order, or more of one, a contract or a change of one.
    #[must_use]
    pub const fn makes_orders(&self) -> bool {
        matches!(
            self,
            Self::NewOrder(_)
                | Self::ReplaceOrder(_)
                | Self::ActivateOrder(_)
                | Self::DelegatedOrder(_)
                | Self::DelegatedReplace(_)
                | Self::OfferContract(_)
                | Self::AcceptContract(_)
                | Self::OfferAmendment(_)
                | Self::AcceptAmendment(_)
                | Self::AggregateMembers(_)
                | Self::NewAggregateOrder(_)
        )
    }

    /// Whether it counts as an order in what a session may send, and gives way to what takes back when
    /// there is little room: what makes orders, and what costs as much.
    #[must_use]
    pub const fn counts_as_order(&self) -> bool {
        self.makes_orders() || matches!(self, Self::ValidateOrder(_))
    }

    /// The session that sent it; `None` where the operator or the timetable did.
    #[must_use]
    pub const fn origin(&self) -> Option<Origin> {
        match self {
            Self::NewOrder(signed) | Self::ValidateOrder(signed) => Some(signed.origin),
            Self::ReplaceOrder(signed) => Some(signed.origin),
            Self::ReduceOrder(reduce) => Some(reduce.origin),
            Self::CancelOrder(request)
            | Self::HibernateOrder(request)
            | Self::ActivateOrder(request)
            | Self::AskOrder(request) => Some(request.origin),
            Self::MassCancel(request) => request.origin,
            Self::DelegateMeter(request) => Some(request.origin),
            Self::RevokeDelegation(request) => Some(request.origin),
            Self::SignedFrame(frame) => Some(frame.origin),
            Self::DelegatedOrder(delegated) => Some(delegated.origin),
            Self::DelegatedReplace(delegated) => Some(delegated.origin),
            Self::OfferContract(offer) => Some(offer.origin),
            Self::AcceptContract(accept) => Some(accept.origin),
            Self::OfferAmendment(offer) => Some(offer.origin),
            Self::AcceptAmendment(accept) => Some(accept.origin),
            Self::AggregateMembers(page) => Some(page.origin),
            Self::NewAggregateOrder(aggregate) => Some(aggregate.origin),
            Self::DeclineContract(request) | Self::WithdrawContract(request) => {
                Some(request.origin)
            }
            Self::DefineMarket(_)
            | Self::RegisterParty(_)
            | Self::RegisterMeter(_)
            | Self::SetControls(_)
            | Self::OpenSlot(_)
            | Self::FreezeSlot(_)
            | Self::UncrossSlot(_)
            | Self::CloseSlot(_)
            | Self::SetTrading(_)
            | Self::SetCredit(_)
            | Self::ReleaseCredit(_)
            | Self::NotePlace(_)
            | Self::SetGridLimit(_)
            | Self::DraftMarket(_)
            | Self::Operate(_)
            | Self::BustTrade(_)
            | Self::PassTime => None,
        }
    }

    /// The platform's own number of the request; 0 where it has none.
    #[must_use]
    pub const fn client_order(&self) -> ClientOrderId {
        match self {
            Self::NewOrder(signed) | Self::ValidateOrder(signed) => signed.order.client_order,
            Self::ReplaceOrder(signed) => signed.replace.client_order,
            Self::CancelOrder(request)
            | Self::HibernateOrder(request)
            | Self::ActivateOrder(request)
            | Self::AskOrder(request) => request.client_order,
            Self::ReduceOrder(reduce) => reduce.client_order,
            Self::MassCancel(cancel) => cancel.client_order,
            Self::DelegateMeter(request) => request.client_order,
            Self::RevokeDelegation(request) => request.client_order,
            Self::DelegatedOrder(delegated) => delegated.order.client_order,
            Self::DelegatedReplace(delegated) => delegated.replace.client_order,
            Self::OfferContract(offer) => offer.client_order,
            Self::AcceptContract(accept) => accept.client_order,
            Self::OfferAmendment(offer) => offer.client_order,
            Self::AcceptAmendment(accept) => accept.client_order,
            Self::AggregateMembers(page) => page.client_order,
            Self::NewAggregateOrder(aggregate) => aggregate.order.client_order,
            Self::DeclineContract(request) | Self::WithdrawContract(request) => {
                request.client_order
            }
            Self::SignedFrame(_)
            | Self::DefineMarket(_)
            | Self::RegisterParty(_)
            | Self::RegisterMeter(_)
            | Self::SetControls(_)
            | Self::OpenSlot(_)
            | Self::FreezeSlot(_)
            | Self::UncrossSlot(_)
            | Self::CloseSlot(_)
            | Self::SetTrading(_)
            | Self::SetCredit(_)
            | Self::ReleaseCredit(_)
            | Self::NotePlace(_)
            | Self::SetGridLimit(_)
            | Self::DraftMarket(_)
            | Self::Operate(_)
            | Self::BustTrade(_)
            | Self::PassTime => ClientOrderId::new(0),
        }
    }

    /// The new order that it brings, whoever signed it.
    #[must_use]
    #[inline]
    pub const fn new_order(&self) -> Option<&NewOrder> {
        if let Self::NewOrder(SignedNewOrder { order, .. })
        | Self::DelegatedOrder(DelegatedOrder { order, .. }) = self
        {
            Some(order)
        } else {
            None
        }
    }

    /// The signature of an offer, which its event does not repeat.
    #[must_use]
    pub const fn offer_signature(&self) -> Option<&Signature> {
        if let Self::OfferContract(OfferContract { signature, .. })
        | Self::OfferAmendment(OfferAmendment { signature, .. }) = self
        {
            Some(signature)
        } else {
            None
        }
    }

    /// Whether it is one of the orders that a [`SignedFrame`] covers.
    #[must_use]
    pub const fn is_of_signed_frame(&self) -> bool {
        matches!(self, Self::DelegatedOrder(_) | Self::DelegatedReplace(_))
    }

    /// What a request is about: where it belongs, without asking an engine.
    #[must_use]
    pub const fn about(&self) -> About {
        match self {
            Self::NewOrder(signed) | Self::ValidateOrder(signed) => About::Slot(signed.order.key),
            Self::OpenSlot(key) | Self::UncrossSlot(key) | Self::CloseSlot(key) => {
                About::Slot(*key)
            }
            Self::FreezeSlot(freeze) => About::Slot(freeze.key),
            Self::DelegatedOrder(delegated) => About::Slot(delegated.order.key),
            Self::ReplaceOrder(signed) => About::Order(signed.replace.order),
            Self::DelegatedReplace(delegated) => About::Order(delegated.replace.order),
            Self::CancelOrder(request)
            | Self::HibernateOrder(request)
            | Self::ActivateOrder(request) => About::Order(request.order),
            Self::ReduceOrder(reduce) => About::Order(reduce.order),
            // Number 0 is no order's: it is asked by the platform's number.
            Self::AskOrder(request) if request.order.get() != 0 => About::Order(request.order),
            Self::OfferContract(offer) => About::Slot(offer.terms.key),
            Self::NewAggregateOrder(aggregate) => About::Slot(aggregate.order.key),
            Self::AcceptContract(accept) => About::Offer(accept.offer),
            Self::OfferAmendment(offer) => About::Slots(offer.terms.key, offer.terms.new_key()),
            Self::AcceptAmendment(accept) => About::Offer(accept.offer),
            Self::DeclineContract(request) | Self::WithdrawContract(request) => {
                About::Offer(request.offer)
            }
            Self::MassCancel(MassCancel { slot: Some(key), .. }) => About::Slot(*key),
            Self::BustTrade(bust) => About::Slot(bust.key),
            Self::Operate(signed) => match signed.operation.action.slot() {
                Some(key) => About::Slot(key),
                None => About::Everything,
            },
            Self::MassCancel(MassCancel { slot: None, .. })
            | Self::AskOrder(_)
            | Self::AggregateMembers(_)
            | Self::DelegateMeter(_)
            | Self::RevokeDelegation(_)
            | Self::SignedFrame(_)
            | Self::DefineMarket(_)
            | Self::RegisterParty(_)
            | Self::RegisterMeter(_)
            | Self::SetControls(_)
            | Self::SetTrading(_)
            | Self::SetCredit(_)
            | Self::ReleaseCredit(_)
            | Self::NotePlace(_)
            | Self::SetGridLimit(_)
            | Self::DraftMarket(_)
            | Self::PassTime => About::Everything,
        }
    }
}

/// What a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// One slot's book.
    Slot(SlotKey),
    /// A slot that is left and the one that is entered, which may be the same.
    Slots(SlotKey, SlotKey),
    /// An order that was accepted.
    Order(OrderId),
    /// An offer of a contract or of a change.
    Offer(OfferId),
    /// No single slot: what every shard knows.
    Everything,
}
