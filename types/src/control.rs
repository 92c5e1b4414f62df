//! What the operator can set while a market runs: its controls, who may trade, and how much credit.

use core::{fmt, str::FromStr};

use crate::{
    ids::{MarketId, MeterId, PlatformId, RetailerId, SessionId},
    units::{Energy, Money, Price},
};

/// Declares an enumeration with codes for messages and records, and names for configuration.
macro_rules! coded {
    ($(#[$doc:meta])* $name:ident { $($(#[$line:meta])* $variant:ident = $code:literal, $word:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$line])* $variant = $code,)*
        }

        impl $name {
            /// Every variant, in the order of its code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The variant with this code, if there is one.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The code in messages and records.
            #[must_use]
            #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The name in configuration and output.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// The variant of this name, if there is one.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|variant| variant.name() == name)
            }
        }
    };
}
pub(crate) use coded;

coded! {
    /// Who must not trade with themselves.
    SelfTradeScope {
        /// A meter.
        Meter = 0, "meter";
        /// A beneficial owner with all its meters. A meter without one stands for itself.
        Owner = 1, "owner";
    }
}

coded! {
    /// What happens when an incoming order meets a resting one of the same scope.
    SelfTradeAction {
        /// They trade.
        Allow = 0, "allow";
        /// The rest of the incoming order is cancelled.
        CancelTaker = 1, "cancel_taker";
        /// The resting order is cancelled, and the incoming one goes on.
        CancelMaker = 2, "cancel_maker";
        /// Both are cancelled.
        CancelBoth = 3, "cancel_both";
        /// The smaller of the two is cancelled; of equals the resting one. The other stays as it is.
        Decrement = 4, "decrement";
    }
}

coded! {
    /// Who fills of the orders at the last price of a call that trades.
    Allocation {
        /// The oldest first.
        Time = 0, "time";
        /// All, in proportion to their quantity, in whole lots.
        ProRata = 1, "pro_rata";
    }
}

coded! {
    /// Whether orders of a scope are accepted.
    TradingState {
        /// They are.
        Active = 0, "active";
        /// New orders and replacements are refused; what rests stays and can be cancelled.
        Suspended = 1, "suspended";
        /// As suspended, and every open order is cancelled.
        Killed = 2, "killed";
    }
}

/// What a market checks and does besides its definition. Zero switches a control off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarketControls {
    /// Which market.
    pub market: MarketId,
    /// Who must not trade with themselves.
    pub self_trade_scope: SelfTradeScope,
    /// What happens instead.
    pub self_trade: SelfTradeAction,
    /// Who fills at the last price of a call.
    pub allocation: Allocation,
    /// Smallest quantity of one order.
    pub quantity_min: Energy,
    /// Largest value of one order: its limit, or the edge of the band, times its quantity.
    pub value_max: Money,
    /// A call whose price is further than this from the reference is extended, once.
    pub collar: Price,
    /// A trade further than this from the slot's last price turns the slot to a call instead.
    pub dynamic_band: Price,
    /// After this many trades of a meter in a slot its new orders there are refused.
    pub executions_max: u32,
    /// Shortest time from the end of entry to the auction, in seconds.
    pub freeze_min_s: u16,
    /// Longest such time. Zero: a call is not frozen before its auction.
    pub freeze_max_s: u16,
}

impl MarketControls {
    /// The controls of a market for which none have been set.
    #[must_use]
    pub const fn standard(market: MarketId) -> Self {
        Self {
            market,
            self_trade_scope: SelfTradeScope::Meter,
            self_trade: SelfTradeAction::CancelTaker,
            allocation: Allocation::Time,
            quantity_min: Energy::ZERO,
            value_max: Money::ZERO,
            collar: Price::from_micros(0),
            dynamic_band: Price::from_micros(0),
            executions_max: 0,
            freeze_min_s: 0,
            freeze_max_s: 0,
        }
    }

    /// Whether the parts fit together: nothing is negative, and the shortest freeze is not above
    /// the longest.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.value_max.minor() >= 0
            && self.collar.micros() >= 0
            && self.dynamic_band.micros() >= 0
            && self.freeze_min_s <= self.freeze_max_s
    }
}

/// Whose orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everyone's.
    All,
    /// Of one platform.
    Platform(PlatformId),
    /// Of all meters of one retailer.
    Retailer(RetailerId),
    /// Of one meter.
    Meter(MeterId),
    /// Entered on one session.
    Session(SessionId),
    /// In one market.
    Market(MarketId),
}

impl Scope {
    /// Code of the kind and the number, in messages and records.
    #[must_use]
    pub fn parts(self) -> (u8, u32) {
        match self {
            Self::All => (0, 0),
            Self::Platform(id) => (1, u32::from(id.get())),
            Self::Retailer(id) => (2, u32::from(id.get())),
            Self::Meter(id) => (3, id.get()),
            Self::Session(id) => (4, id.get()),
            Self::Market(id) => (5, u32::from(id.get())),
        }
    }

    /// The scope with these parts, if there is one.
    #[must_use]
    pub fn from_parts(kind: u8, number: u32) -> Option<Self> {
        let short = u16::try_from(number);
        match kind {
            0 if number == 0 => Some(Self::All),
            1 => short.ok().map(PlatformId::new).map(Self::Platform),
            2 => short.ok().map(RetailerId::new).map(Self::Retailer),
            3 => Some(Self::Meter(MeterId::new(number))),
            4 => Some(Self::Session(SessionId::new(number))),
            5 => short.ok().map(MarketId::new).map(Self::Market),
            _ => None,
        }
    }
}

/// As people write it: `all`, or the kind and the number, such as `platform/2`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Platform(id) => write!(f, "platform/{id}"),
            Self::Retailer(id) => write!(f, "retailer/{id}"),
            Self::Meter(id) => write!(f, "meter/{id}"),
            Self::Session(id) => write!(f, "session/{id}"),
            Self::Market(id) => write!(f, "market/{id}"),
        }
    }
}

/// The text is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeError;

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "write all, or platform, retailer, meter, session or market with a number: platform/2",
        )
    }
}

impl core::error::Error for ScopeError {}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let Some((kind, number)) = text.split_once('/') else {
            return if text == "all" { Ok(Self::All) } else { Err(ScopeError) };
        };
        let scope = match kind {
            "platform" => number.parse().ok().map(Self::Platform),
            "retailer" => number.parse().ok().map(Self::Retailer),
            "meter" => number.parse().ok().map(Self::Meter),
            "session" => number.parse().ok().map(Self::Session),
            "market" => number.parse().ok().map(Self::Market),
            _ => None,
        };
        scope.ok_or(ScopeError)
    }
}

/// Says whether a scope may trade. A suspension of everyone, of a platform, of a retailer, of a
/// meter and of a market are five things: each ends only by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TradingControl {
    /// Whose orders. Not a session: that one is closed.
    pub scope: Scope,
    /// From now on.
    pub state: TradingState,
}

/// What a platform may owe in a market: for its open orders and for what it traded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditLimit {
    /// Who.
    pub platform: PlatformId,
    /// Where; also decides the currency.
    pub market: MarketId,
    /// How much, in minor units. Below what is in use, it stops new orders until that has fallen.
    pub limit: Money,
}

/// What a platform owes for its trades has become less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditRelease {
    /// Who.
    pub platform: PlatformId,
    /// Where.
    pub market: MarketId,
    /// By how much, in minor units. More than is owed for trades is refused.
    pub amount: Money,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_written_as_they_are_read() {
        for (text, scope) in [
            ("all", Scope::All),
            ("platform/2", Scope::Platform(PlatformId::new(2))),
            ("retailer/65535", Scope::Retailer(RetailerId::new(u16::MAX))),
            ("meter/70000", Scope::Meter(MeterId::new(70_000))),
            ("session/1", Scope::Session(SessionId::new(1))),
            ("market/0", Scope::Market(MarketId::new(0))),
        ] {
            assert_eq!(text.parse(), Ok(scope));
            assert_eq!(scope.to_string(), text);
        }
        for text in ["", "all/1", "platform", "platform/", "platform/65536", "meter/-1", "x/1"] {
            assert_eq!(text.parse::<Scope>(), Err(ScopeError), "{text}");
        }
    }
}
