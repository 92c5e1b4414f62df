//! Modifications: what two meters agree to change of a trade that they have, before its gate.
//!
//! A modification is an offer that amends a trade, whether that was made in a book or negotiated.
//! It is offered, accepted, declined, withdrawn and expires as an offer of a contract does, and its
//! number is one of an offer. Quantity and slot can change, and no quantity cancels; the price stays.

use crate::{
    command::Origin,
    contract::{ContractTerms, OfferTerms},
    identity::Signature,
    ids::{ClientOrderId, MeterId, OfferId, PlatformId, TradeId},
    order::Side,
    slot::{DeliverySlot, SlotKey},
    time::Timestamp,
    units::{Energy, Price},
};

/// The version of a trade that was never changed.
pub const FIRST_VERSION: u32 = 1;

/// What two meters agree to change. These fields, and no others, are what both meters' keys sign.
///
/// Trade and reference together name a modification: it is made once at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmendmentTerms {
    /// Which trade.
    pub trade: TradeId,
    /// Its version that is changed, from [`FIRST_VERSION`]. The fields up to `quantity` are the trade at
    /// this version.
    pub version: u32,
    /// What is delivered, and when.
    pub key: SlotKey,
    /// Who takes it.
    pub buyer: MeterId,
    /// Who gives it.
    pub seller: MeterId,
    /// At which price. It stays.
    pub price: Price,
    /// How much.
    pub quantity: Energy,
    /// When it is delivered from now on: a slot of the same market.
    pub new_slot: DeliverySlot,
    /// How much from now on; nothing cancels the trade.
    pub new_quantity: Energy,
    /// Chosen by who asks: another one for every modification of the trade.
    pub reference: u64,
    /// The signatures are void after this instant, and the request has expired.
    pub expires: Timestamp,
}

impl AmendmentTerms {
    /// The meter of a side.
    #[must_use]
    pub const fn meter(&self, side: Side) -> MeterId {
        match side {
            Side::Buy => self.buyer,
            Side::Sell => self.seller,
        }
    }

    /// The slot from now on, in its market.
    #[must_use]
    pub const fn new_key(&self) -> SlotKey {
        SlotKey { market: self.key.market, slot: self.new_slot }
    }

    /// The version that this makes.
    #[must_use]
    pub const fn new_version(&self) -> u32 {
        self.version.saturating_add(1)
    }

    /// What is asked of a trade as it stands: neither slot nor quantity change.
    #[must_use]
    pub fn changes_nothing(&self) -> bool {
        self.new_key() == self.key && self.new_quantity == self.quantity
    }
}

/// One side asks the other to change a trade, with its evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferAmendment {
    /// Who sent it: the platform of the meter that asks.
    pub origin: Origin,
    /// The platform's own number for this request.
    pub client_order: ClientOrderId,
    /// What was signed.
    pub terms: AmendmentTerms,
    /// Which side the meter is that asks.
    pub offered_by: Side,
    /// By the key of the meter that asks.
    pub signature: Signature,
}

/// The other side agrees to the change, with its evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptAmendment {
    /// Who sent it: the platform of the other meter.
    pub origin: Origin,
    /// The platform's own number for this request.
    pub client_order: ClientOrderId,
    /// The offer.
    pub offer: OfferId,
    /// What was signed; must be the terms of the offer.
    pub terms: AmendmentTerms,
    /// Which side the meter is that agrees.
    pub accepted_by: Side,
    /// By the key of the meter that agrees.
    pub signature: Signature,
}

/// A request to change a trade passed its checks and has its number. Its signature stands in the
/// command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmendmentOffered {
    /// Who sent it.
    pub origin: Origin,
    /// The platform's number of the request.
    pub client_order: ClientOrderId,
    /// The exchange's number.
    pub offer: OfferId,
    /// What is to change.
    pub terms: AmendmentTerms,
    /// Which side asks.
    pub offered_by: Side,
    /// The platform of the other meter.
    pub invited: PlatformId,
}

/// The other side agreed: the trade has another version, as the terms say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContractAmended {
    /// Who sent the acceptance.
    pub origin: Origin,
    /// The platform's number of the acceptance.
    pub client_order: ClientOrderId,
    /// The offer.
    pub offer: OfferId,
    /// Who asked for it.
    pub offerer: PlatformId,
    /// The number of the offer among that platform's requests.
    pub offered_as: ClientOrderId,
    /// Which side asked.
    pub offered_by: Side,
    /// What both signed.
    pub terms: AmendmentTerms,
}

/// What both sides of an offer sign, whatever it is about.
impl OfferTerms {
    /// The meter of a side.
    #[must_use]
    pub const fn meter(&self, side: Side) -> MeterId {
        match self {
            Self::Contract(terms) => terms.meter(side),
            Self::Amendment(terms) => terms.meter(side),
        }
    }

    /// The last instant of the signatures and of the offer.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        match self {
            Self::Contract(ContractTerms { expires, .. })
            | Self::Amendment(AmendmentTerms { expires, .. }) => *expires,
        }
    }

    /// The slots whose gates end it: of a contract, twice the same.
    #[must_use]
    pub const fn keys(&self) -> [SlotKey; 2] {
        match self {
            Self::Contract(terms) => [terms.key, terms.key],
            Self::Amendment(terms) => [terms.key, terms.new_key()],
        }
    }
}
