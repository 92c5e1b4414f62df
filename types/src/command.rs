//! Commands: everything that changes the state of the exchange, in the order it was decided.

use crate::{
    identity::Signature,
    ids::{ClientOrderId, MeterId, OrderId, PlatformId, Seq, SessionId},
    market::MarketDefinition,
    order::{Side, TimeInForce},
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
    /// How long it stays.
    pub time_in_force: TimeInForce,
    /// Worst acceptable price.
    pub limit: Price,
    /// How much.
    pub quantity: Energy,
    /// The signature is void after this instant.
    pub valid_until: Timestamp,
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

/// A cancellation. The session's certificate is its authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CancelOrder {
    /// Who sent it.
    pub origin: Origin,
    /// The platform's own number for this request.
    pub client_order: ClientOrderId,
    /// The order to cancel.
    pub order: OrderId,
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
    /// A slot's book opens: pre-open → call.
    OpenSlot(SlotKey),
    /// A slot's call ends with an uncross: call → continuous.
    UncrossSlot(SlotKey),
    /// A slot's gate closes: every resting order expires.
    CloseSlot(SlotKey),
    /// A new order.
    NewOrder(SignedNewOrder),
    /// A cancellation.
    CancelOrder(CancelOrder),
    /// A replacement.
    ReplaceOrder(SignedReplaceOrder),
}
