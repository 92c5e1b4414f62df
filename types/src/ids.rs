//! Identifiers. Two numbers of the same machine type and different meaning are two types.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($raw:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name($raw);

        impl $name {
            /// Wraps the number.
            #[must_use]
            pub const fn new(raw: $raw) -> Self {
                Self(raw)
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> $raw {
                self.0
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(&self.0, f)
            }
        }

        impl core::str::FromStr for $name {
            type Err = core::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id! {
    /// A market: the rules shared by all slots of one area. Assigned by the operator.
    MarketId(u16)
}
id! {
    /// A meter. Dense: assigned from 1 upwards by the operator, so that tables can be indexed.
    MeterId(u32)
}
id! {
    /// A trade platform.
    PlatformId(u16)
}
id! {
    /// An energy retailer.
    RetailerId(u16)
}
id! {
    /// A distribution utility.
    UtilityId(u16)
}
id! {
    /// A beneficial owner of meters. 0 stands for "not stated".
    OwnerId(u32)
}
id! {
    /// One logon of a platform. Assigned by the gateway, never reused within a process.
    SessionId(u32)
}
id! {
    /// An order, numbered by the engine from 1 upwards in order of acceptance.
    OrderId(u64)
}
id! {
    /// A trade, numbered by the engine from 1 upwards.
    TradeId(u64)
}
id! {
    /// An offer of a contract, numbered by the engine from 1 upwards in order of arrival.
    OfferId(u64)
}
id! {
    /// The platform's own number of an order; unique among the platform's accepted orders.
    ClientOrderId(u64)
}
id! {
    /// Position of a command in the journal, from 1 upwards without gaps. 0 means "before the first".
    Seq(u64)
}

impl Seq {
    /// Before the first command.
    pub const ZERO: Self = Self(0);

    /// The next position.
    ///
    /// # Panics
    /// When 2^64 − 1 commands have been sequenced.
    #[must_use]
    #[expect(clippy::expect_used, reason = "2^64 commands cannot be reached")]
    pub const fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("sequence numbers are exhausted"))
    }
}
