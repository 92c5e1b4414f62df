//! What an order can say besides price and quantity.

use crate::{ids::ClientOrderId, time::Timestamp, units::Energy};

/// Which way an order trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Side {
    /// Wants to withdraw energy.
    Buy = 0,
    /// Wants to inject energy.
    Sell = 1,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// The side with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Buy),
            1 => Some(Self::Sell),
            _ => None,
        }
    }

    /// The code in messages and records.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// `buy` or `sell`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }
}

/// What the limit of an order means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum OrderKind {
    /// Trades at its limit or better.
    #[default]
    Limit = 0,
    /// Trades at any price of the band; its limit field is zero. What cannot trade is cancelled.
    Market = 1,
}

impl OrderKind {
    /// The kind with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Limit),
            1 => Some(Self::Market),
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

/// How long an order stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TimeInForce {
    /// GTC: rests until gate closure.
    #[default]
    UntilGate = 0,
    /// IOC: fills what it can at once; the rest is cancelled. Refused during a call.
    ImmediateOrCancel = 1,
    /// GTD: rests until [`Conditions::expires`] or gate closure, whichever comes first.
    UntilTime = 2,
    /// FOK: fills whole at once or not at all. Refused during a call.
    FillOrKill = 3,
}

impl TimeInForce {
    /// The time in force with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::UntilGate),
            1 => Some(Self::ImmediateOrCancel),
            2 => Some(Self::UntilTime),
            3 => Some(Self::FillOrKill),
            _ => None,
        }
    }

    /// The code in messages and records.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Whether what does not fill at once is cancelled.
    #[must_use]
    pub const fn is_immediate(self) -> bool {
        matches!(self, Self::ImmediateOrCancel | Self::FillOrKill)
    }
}

/// Most parts in which an iceberg may come into view: bounds how many trades it makes.
pub const ICEBERG_PARTS_MAX: u32 = 100;

/// What an order may ask for besides price, quantity and time in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conditions {
    /// Refuse the order if it would trade on arrival.
    pub post_only: bool,
    /// Fill whole or not at all, however long that takes. Passed over when it cannot fill whole.
    pub all_or_none: bool,
    /// Iceberg: show no more than this of what rests, at least a hundredth
    /// ([`ICEBERG_PARTS_MAX`]) of the quantity. Zero shows everything.
    pub display: Energy,
    /// Smallest quantity it accepts: of the fill on arrival as a whole, and of each trade while it
    /// rests; never more than what is open. Zero accepts any.
    pub minimum: Energy,
    /// The last instant of a [`TimeInForce::UntilTime`] order. Zero for every other.
    pub expires: Timestamp,
}

impl Conditions {
    /// No conditions.
    pub const NONE: Self = Self {
        post_only: false,
        all_or_none: false,
        display: Energy::ZERO,
        minimum: Energy::ZERO,
        expires: Timestamp::from_ns(0),
    };

    /// Code of the two flags in messages and records: bit 0 post-only, bit 1 all-or-none.
    #[must_use]
    pub fn flags(self) -> u8 {
        u8::from(self.post_only) | (u8::from(self.all_or_none) << 1)
    }

    /// The flags with this code as (post-only, all-or-none), if it is one.
    #[must_use]
    pub const fn from_flags(flags: u8) -> Option<(bool, bool)> {
        if flags > 3 { None } else { Some((flags & 1 != 0, flags & 2 != 0)) }
    }
}

/// What a list of orders is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ListKind {
    /// The order is in no list.
    #[default]
    Single = 0,
    /// One meter, side and limit over consecutive slots of a market, all or none; rests until it
    /// can fill.
    Block = 1,
    /// Fill-or-kill orders over slots, all or none, at once.
    Basket = 2,
}

impl ListKind {
    /// The kind with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Single),
            1 => Some(Self::Block),
            2 => Some(Self::Basket),
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

/// Most orders of one list. A local day has at most 100 quarter hours.
pub const LIST_ORDERS_MAX: u8 = 100;

/// Which list an order belongs to. Each order of a list names it and how many there are; the last
/// to arrive sets it off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderList {
    /// What the list is.
    pub kind: ListKind,
    /// How many orders it has: 1 to [`LIST_ORDERS_MAX`]. Zero for a single order.
    pub orders: u8,
    /// The platform's own number of the list. Zero for a single order.
    pub number: ClientOrderId,
}

impl OrderList {
    /// A single order.
    pub const NONE: Self =
        Self { kind: ListKind::Single, orders: 0, number: ClientOrderId::new(0) };
}
