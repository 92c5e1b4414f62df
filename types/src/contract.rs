//! Negotiated trades: what two meters agree on between themselves, and how the exchange hears of it.
//!
//! One side's platform offers a contract that its meter signed; the other side's platform accepts it
//! with the other meter's signature over the same bytes, or declines it. An offer holds nothing. What
//! is agreed is a trade like any other, at the position of its acceptance.

use crate::{
    amendment::AmendmentTerms,
    command::Origin,
    identity::Signature,
    ids::{ClientOrderId, MeterId, OfferId, PlatformId, TradeId},
    order::Side,
    slot::SlotKey,
    time::Timestamp,
    units::{Energy, Price},
};

/// What two meters agree on. These fields, and no others, are what both meters' keys sign.
///
/// Slot, buyer, seller and reference together name a contract: it is made once at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContractTerms {
    /// What is delivered, and when.
    pub key: SlotKey,
    /// Who takes it.
    pub buyer: MeterId,
    /// Who gives it.
    pub seller: MeterId,
    /// At which price.
    pub price: Price,
    /// How much.
    pub quantity: Energy,
    /// Chosen by who offers: another one for every contract of these meters in the slot.
    pub reference: u64,
    /// The signatures are void after this instant, and an offer has expired.
    pub expires: Timestamp,
}

impl ContractTerms {
    /// The meter of a side.
    #[must_use]
    pub const fn meter(&self, side: Side) -> MeterId {
        match side {
            Side::Buy => self.buyer,
            Side::Sell => self.seller,
        }
    }
}

/// What an offer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferTerms {
    /// A new contract.
    Contract(ContractTerms),
    /// Another version of a trade.
    Amendment(AmendmentTerms),
}

/// One side offers a contract to the other, with its evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferContract {
    /// Who sent it: the platform of the meter that offers.
    pub origin: Origin,
    /// The platform's own number for this request.
    pub client_order: ClientOrderId,
    /// What was signed.
    pub terms: ContractTerms,
    /// Which side the meter is that offers.
    pub offered_by: Side,
    /// By the key of the meter that offers.
    pub signature: Signature,
}

/// The other side agrees, with its evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptContract {
    /// Who sent it: the platform of the other meter.
    pub origin: Origin,
    /// The platform's own number for this request.
    pub client_order: ClientOrderId,
    /// The offer.
    pub offer: OfferId,
    /// What was signed; must be the terms of the offer.
    pub terms: ContractTerms,
    /// Which side the meter is that agrees.
    pub accepted_by: Side,
    /// By the key of the meter that agrees.
    pub signature: Signature,
}

/// A request about an offer, of a contract or of a modification, that needs no more words: to decline or
/// to withdraw it. The session's
/// certificate is its authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfferRequest {
    /// Who sent it.
    pub origin: Origin,
    /// The platform's own number for this request.
    pub client_order: ClientOrderId,
    /// The offer.
    pub offer: OfferId,
}

/// Where an offer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum OfferState {
    /// It waits for the other side.
    Open = 0,
    /// Both sides have signed: there is a trade, or another version of it.
    Agreed = 1,
    /// The other side does not want it.
    Declined = 2,
    /// Who offered it took it back.
    Withdrawn = 3,
    /// Its last instant has passed.
    Expired = 4,
    /// The gate of its slot closed, or of one of its slots.
    GateClosed = 5,
    /// The scope of one of its meters was killed.
    Killed = 6,
}

impl OfferState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Open,
        Self::Agreed,
        Self::Declined,
        Self::Withdrawn,
        Self::Expired,
        Self::GateClosed,
        Self::Killed,
    ];

    /// The state with this code, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// The code in messages and records.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The name in logs and machine-readable output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Agreed => "agreed",
            Self::Declined => "declined",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::GateClosed => "gate_closed",
            Self::Killed => "killed",
        }
    }
}

/// An open offer, for who has to be told of it whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOffer {
    /// Its number.
    pub offer: OfferId,
    /// What is offered.
    pub terms: OfferTerms,
    /// Which side offers.
    pub offered_by: Side,
    /// Who offered it.
    pub offerer: PlatformId,
    /// The number of the offer among that platform's requests.
    pub offered_as: ClientOrderId,
    /// The platform of the other meter.
    pub invited: PlatformId,
    /// Of the meter that offers.
    pub signature: Signature,
}

/// An offer passed its checks and has its number. Its signature stands in the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContractOffered {
    /// Who sent it.
    pub origin: Origin,
    /// The platform's number of the request.
    pub client_order: ClientOrderId,
    /// The exchange's number.
    pub offer: OfferId,
    /// What is offered.
    pub terms: ContractTerms,
    /// Which side offers.
    pub offered_by: Side,
    /// The platform of the other meter.
    pub invited: PlatformId,
}

/// The other side agreed. The trade that follows says what is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContractAgreed {
    /// Who sent the acceptance.
    pub origin: Origin,
    /// The platform's number of the acceptance.
    pub client_order: ClientOrderId,
    /// The offer.
    pub offer: OfferId,
    /// The trade that it is now.
    pub trade: TradeId,
    /// Who offered it.
    pub offerer: PlatformId,
    /// The number of the offer among that platform's requests.
    pub offered_as: ClientOrderId,
    /// Which side offered.
    pub offered_by: Side,
}

/// An offer is gone without a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContractEnded {
    /// The offer.
    pub offer: OfferId,
    /// Who offered it.
    pub offerer: PlatformId,
    /// The number of the offer among that platform's requests.
    pub offered_as: ClientOrderId,
    /// Which side offered.
    pub offered_by: Side,
    /// The platform of the other meter.
    pub invited: PlatformId,
    /// The number of the request that ended it: the offerer's where it was withdrawn, the other's where
    /// it was declined, otherwise 0.
    pub client_order: ClientOrderId,
    /// How; neither open nor agreed.
    pub state: OfferState,
}

/// The same offer or acceptance arrived again; this is where the offer stands. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContractRestated {
    /// Who sent it again.
    pub origin: Origin,
    /// The platform's number of the request.
    pub client_order: ClientOrderId,
    /// The offer.
    pub offer: OfferId,
    /// Where it stands.
    pub state: OfferState,
    /// The trade, or 0.
    pub trade: TradeId,
    /// The side that asks.
    pub side: Side,
}
