//! The exchange undoes a trade: an order of operators, with what is on record of the trade.

use crate::{
    identity::Signature,
    ids::{MeterId, PlatformId, TradeId},
    operation::{Action, Operation, Remark, SignedOperation},
    slot::SlotKey,
    time::Timestamp,
    units::{Energy, Price},
};

/// A trade as it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownTrade {
    /// What is delivered.
    pub key: SlotKey,
    /// Who takes it.
    pub buyer: MeterId,
    /// Who gives it.
    pub seller: MeterId,
    /// At which price.
    pub price: Price,
    /// How much.
    pub quantity: Energy,
}

/// An operator's order to bust a trade, with the trade as it is on record. The engine does not remember the
/// trades of its books: that the trade is so was checked by the edge, and by every replay, as signatures are.
/// Flat, so that no command takes more room in a ring for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BustTrade {
    /// Whose order it is.
    pub operator: u16,
    /// Who signed.
    pub signer: u16,
    /// The operator's own number of it.
    pub number: u64,
    /// Last instant at which it takes effect.
    pub valid_until: Timestamp,
    /// Why.
    pub reason: Remark,
    /// Over the operation.
    pub signature: Signature,
    /// Which trade.
    pub trade: TradeId,
    /// In which slot it was made.
    pub key: SlotKey,
    /// Who took it.
    pub buyer: MeterId,
    /// Who gave it.
    pub seller: MeterId,
    /// At which price.
    pub price: Price,
    /// How much, in Wh.
    pub quantity_wh: u32,
}

impl BustTrade {
    /// An operation about a trade that was made so; `None` of another one, and of more energy than a trade has.
    #[must_use]
    pub fn new(signed: &SignedOperation, made: &KnownTrade) -> Option<Self> {
        let Operation { operator, number, action, valid_until, reason } = signed.operation;
        let Action::Bust(trade) = action else { return None };
        let KnownTrade { key, buyer, seller, price, quantity } = *made;
        Some(Self {
            operator,
            signer: signed.signer,
            number,
            valid_until,
            reason,
            signature: signed.signature,
            trade,
            key,
            buyer,
            seller,
            price,
            quantity_wh: u32::try_from(quantity.wh()).ok()?,
        })
    }

    /// What the operator signed.
    #[must_use]
    pub const fn signed(&self) -> SignedOperation {
        let operation = Operation {
            operator: self.operator,
            number: self.number,
            action: Action::Bust(self.trade),
            valid_until: self.valid_until,
            reason: self.reason,
        };
        SignedOperation { operation, signer: self.signer, signature: self.signature }
    }

    /// The trade as it was made.
    #[must_use]
    pub fn made(&self) -> KnownTrade {
        let Self { key, buyer, seller, price, quantity_wh, .. } = *self;
        KnownTrade { key, buyer, seller, price, quantity: Energy::from_wh(quantity_wh.into()) }
    }
}

/// The exchange undid a trade: nothing of it is delivered or paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TradeBusted {
    /// Which.
    pub trade: TradeId,
    /// The version that it had.
    pub version: u32,
    /// Where it was to be delivered.
    pub key: SlotKey,
    /// Who was to take it.
    pub buyer: MeterId,
    /// Who was to give it.
    pub seller: MeterId,
    /// At which price.
    pub price: Price,
    /// How much.
    pub quantity: Energy,
    /// The buyer's platform.
    pub buyer_platform: PlatformId,
    /// The seller's platform.
    pub seller_platform: PlatformId,
}
