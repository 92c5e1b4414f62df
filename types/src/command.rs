//! Commands: everything that changes the state of the exchange, in the order it was decided.

use crate::{
    control::{CreditLimit, CreditRelease, MarketControls, Scope, TradingControl},
    identity::Signature,
    ids::{ClientOrderId, MeterId, OrderId, PlatformId, Seq, SessionId},
    market::MarketDefinition,
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
}

impl Command {
    /// The session that sent it; `None` for what the operator, the schedule or the exchange entered.
    #[must_use]
    pub const fn origin(&self) -> Option<Origin> {
        match self {
            Self::NewOrder(signed) => Some(signed.origin),
            Self::ReplaceOrder(signed) => Some(signed.origin),
            Self::CancelOrder(request)
            | Self::HibernateOrder(request)
            | Self::ActivateOrder(request) => Some(request.origin),
            Self::ReduceOrder(reduce) => Some(reduce.origin),
            Self::MassCancel(cancel) => cancel.origin,
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
            | Self::PassTime => None,
        }
    }
}
