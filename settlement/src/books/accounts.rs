//! The chart of accounts: an owner and a kind.
//!
//! A balance is credits minus debits. What the house owes somebody is positive, what somebody owes
//! the house is negative, and all balances together are zero.

use core::fmt;

use types::{MeterId, PlatformId, RetailerId, UtilityId};

/// Whose account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A prosumer, known by the meter.
    Meter(MeterId),
    /// An energy retailer.
    Retailer(RetailerId),
    /// A distribution utility.
    Utility(UtilityId),
    /// A trade platform.
    Platform(PlatformId),
    /// The exchange itself.
    Exchange,
}

impl Owner {
    /// Role and number, as they stand in account numbers.
    pub(crate) const fn parts(self) -> (u8, u32) {
        match self {
            Self::Meter(meter) => (1, meter.get()),
            Self::Retailer(retailer) => (2, widen(retailer.get())),
            Self::Utility(utility) => (3, widen(utility.get())),
            Self::Platform(platform) => (4, widen(platform.get())),
            Self::Exchange => (5, 0),
        }
    }

    /// The owner of a role and number, if there can be one.
    pub(crate) fn from_parts(role: u8, number: u32) -> Option<Self> {
        let small = u16::try_from(number);
        match role {
            1 => Some(Self::Meter(MeterId::new(number))),
            2 => small.ok().map(|n| Self::Retailer(RetailerId::new(n))),
            3 => small.ok().map(|n| Self::Utility(UtilityId::new(n))),
            4 => small.ok().map(|n| Self::Platform(PlatformId::new(n))),
            5 if number == 0 => Some(Self::Exchange),
            _ => None,
        }
    }

    /// The word for the owner's role in summaries.
    #[must_use]
    pub const fn role_name(self) -> &'static str {
        match self {
            Self::Meter(_) => "meter",
            Self::Retailer(_) => "retailer",
            Self::Utility(_) => "utility",
            Self::Platform(_) => "platform",
            Self::Exchange => "exchange",
        }
    }
}

#[expect(clippy::as_conversions, reason = "u16 to u32 is lossless; From is not const")]
const fn widen(number: u16) -> u32 {
    number as u32
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (5, _) => f.write_str(self.role_name()),
            (_, number) => write!(f, "{}/{number}", self.role_name()),
        }
    }
}

/// What an account is for, and on which side of zero it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum AccountKind {
    /// Deposited and free. Never negative.
    Available = 1,
    /// Held for contracts. Never negative.
    Escrow = 2,
    /// Paid by the house for energy or as a penalty; to be paid out. Never negative.
    Earned = 3,
    /// What the owner still has to pay. Never positive.
    Owes = 4,
    /// What the owner still has to get, once others have paid. Never negative.
    Owed = 5,
    /// Penalties that go to nobody in particular. Never negative.
    Pool = 6,
    /// The world outside: minus everything ever deposited. Never positive.
    External = 7,
    /// Always zero; here so that it can be seen to be.
    Rounding = 8,
    /// Passing through between retailers. Zero after every transaction.
    Clearing = 9,
    /// Minus what a payment rail has promised and not paid yet: blocks and captures. Never positive.
    Arriving = 10,
    /// On its way out, until the payment rail has paid it. Never negative.
    Leaving = 11,
}

impl AccountKind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Available,
        Self::Escrow,
        Self::Earned,
        Self::Owes,
        Self::Owed,
        Self::Pool,
        Self::External,
        Self::Rounding,
        Self::Clearing,
        Self::Arriving,
        Self::Leaving,
    ];

    /// The code in account numbers.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The name in summaries.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Escrow => "escrow",
            Self::Earned => "earned",
            Self::Owes => "owes",
            Self::Owed => "owed",
            Self::Pool => "pool",
            Self::External => "external",
            Self::Rounding => "rounding",
            Self::Clearing => "clearing",
            Self::Arriving => "arriving",
            Self::Leaving => "leaving",
        }
    }

    /// Whether a balance is on the side of zero where this kind stays.
    #[must_use]
    pub const fn allows(self, balance: i64) -> bool {
        match self {
            Self::Available
            | Self::Escrow
            | Self::Earned
            | Self::Owed
            | Self::Pool
            | Self::Leaving => balance >= 0,
            Self::Owes | Self::External | Self::Arriving => balance <= 0,
            Self::Rounding | Self::Clearing => balance == 0,
        }
    }
}

/// An account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// Whose.
    pub owner: Owner,
    /// For what.
    pub kind: AccountKind,
}

impl Account {
    /// Where deposits come from.
    pub const EXTERNAL: Self = Self { owner: Owner::Exchange, kind: AccountKind::External };
    /// Where pooled penalties go.
    pub const POOL: Self = Self { owner: Owner::Exchange, kind: AccountKind::Pool };
    /// What payment rails have promised.
    pub const ARRIVING: Self = Self { owner: Owner::Exchange, kind: AccountKind::Arriving };
    /// What payment rails are asked to pay out.
    pub const LEAVING: Self = Self { owner: Owner::Exchange, kind: AccountKind::Leaving };
    /// What rounding would leave over, were it not zero.
    pub const ROUNDING: Self = Self { owner: Owner::Exchange, kind: AccountKind::Rounding };

    /// An account of a prosumer.
    #[must_use]
    pub const fn of_meter(meter: MeterId, kind: AccountKind) -> Self {
        Self { owner: Owner::Meter(meter), kind }
    }

    /// The account number: role, number of the owner, and kind, one after the other.
    #[must_use]
    pub fn number(self) -> i64 {
        let (role, owner) = self.owner.parts();
        (i64::from(role) << 40) | (i64::from(owner) << 8) | i64::from(self.kind.code())
    }

    /// The account with this number, if there can be one.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        let role = u8::try_from(number >> 40).ok()?;
        let owner = u32::try_from((number >> 8) & i64::from(u32::MAX)).ok()?;
        let code = u8::try_from(number & 0xff).ok()?;
        let kind = AccountKind::ALL.into_iter().find(|kind| kind.code() == code)?;
        Some(Self { owner: Owner::from_parts(role, owner)?, kind })
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.owner, self.kind.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_accounts_are_one_to_one() {
        for owner in [
            Owner::Meter(MeterId::new(u32::MAX)),
            Owner::Retailer(RetailerId::new(7)),
            Owner::Utility(UtilityId::new(u16::MAX)),
            Owner::Platform(PlatformId::new(0)),
            Owner::Exchange,
        ] {
            for kind in AccountKind::ALL {
                let account = Account { owner, kind };
                assert_eq!(Account::from_number(account.number()), Some(account));
            }
        }
        assert_eq!(Account::from_number(-1), None);
        assert_eq!(
            Account::of_meter(MeterId::new(7), AccountKind::Owes).to_string(),
            "meter/7:owes"
        );
    }
}
