//! Delegations: what a meter's owner lets a platform do in the meter's name, signed once.

use crate::{
    command::NewOrder,
    identity::KeyId,
    ids::{MarketId, MeterId, PlatformId},
    order::{OrderKind, Side},
    time::Timestamp,
    units::{Energy, Price},
};

/// Sides on which a platform may trade for a meter. Code: bit 0 buy, bit 1 sell; never none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Sides {
    /// It may buy.
    Buy = 1,
    /// It may sell.
    Sell = 2,
    /// It may do both.
    Both = 3,
}

impl Sides {
    /// The sides with this code, if there are any.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Buy),
            2 => Some(Self::Sell),
            3 => Some(Self::Both),
            _ => None,
        }
    }

    /// The code in messages and records.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Whether a side is among them.
    #[must_use]
    pub const fn has(self, side: Side) -> bool {
        self.code() & (1 << side.code()) != 0
    }
}

/// What a platform may do for a meter. These fields, and no others, are what the meter's key signs.
///
/// A meter has one delegation at most: the newest, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delegation {
    /// Above that of every delegation and revocation of the meter before it; counts from 1.
    pub number: u64,
    /// Whose orders.
    pub meter: MeterId,
    /// Who may send them.
    pub platform: PlatformId,
    /// In this market only; 0 for all.
    pub market: MarketId,
    /// On these sides.
    pub sides: Sides,
    /// Largest quantity of an order; zero for no limit of its own.
    pub quantity_max: Energy,
    /// Highest limit of an order to buy. [`Delegation::ANY_BUY`] allows every price and market orders.
    pub buy_limit: Price,
    /// Lowest limit of an order to sell. [`Delegation::ANY_SELL`] allows every price and market orders.
    pub sell_limit: Price,
    /// First instant at which it counts.
    pub valid_from: Timestamp,
    /// Last instant at which it counts.
    pub valid_until: Timestamp,
    /// The key that signs it.
    pub key: KeyId,
}

impl Delegation {
    /// Every price to buy at.
    pub const ANY_BUY: Price = Price::from_micros(i64::MAX);
    /// Every price to sell at.
    pub const ANY_SELL: Price = Price::from_micros(i64::MIN);
}

/// What a delegation asks of an order, new or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// In which market.
    pub market: MarketId,
    /// Buy or sell.
    pub side: Side,
    /// How much: of a replacement, the open quantity it asks for.
    pub quantity: Energy,
    /// At which price at worst: without end for a market order.
    pub worst: Price,
}

impl From<&NewOrder> for Terms {
    #[inline]
    fn from(order: &NewOrder) -> Self {
        let worst = match (order.kind, order.side) {
            (OrderKind::Limit, _) => order.limit,
            (OrderKind::Market, Side::Buy) => Delegation::ANY_BUY,
            (OrderKind::Market, Side::Sell) => Delegation::ANY_SELL,
        };
        Self { market: order.key.market, side: order.side, quantity: order.quantity, worst }
    }
}
