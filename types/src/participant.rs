//! Who takes part: parties with a role, and meters.

use crate::{
    code::Code,
    identity::PublicKey,
    ids::{MeterId, OwnerId, PlatformId, RetailerId, UtilityId},
    units::Power,
};

/// What a party is to the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// A trade platform: sends orders for meters.
    Platform = 0,
    /// An energy retailer: signs meter data, is told what it may bill.
    Retailer = 1,
    /// A distribution utility: runs the wires, signs curtailments.
    Utility = 2,
    /// A market operator.
    Operator = 3,
    /// The settlement pipeline: reads the trade feed.
    Settlement = 4,
}

impl Role {
    /// The role with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Platform),
            1 => Some(Self::Retailer),
            2 => Some(Self::Utility),
            3 => Some(Self::Operator),
            4 => Some(Self::Settlement),
            _ => None,
        }
    }

    /// The code in messages, records and certificates.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The word in certificate names (`gridcross://platform/7`) and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Retailer => "retailer",
            Self::Utility => "utility",
            Self::Operator => "operator",
            Self::Settlement => "settlement",
        }
    }

    /// The role of this name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Platform, Self::Retailer, Self::Utility, Self::Operator, Self::Settlement]
            .into_iter()
            .find(|role| role.name() == name)
    }
}

/// A party: a role and its number within that role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Party {
    /// What it is.
    pub role: Role,
    /// Which one.
    pub number: u16,
}

impl core::fmt::Display for Party {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}/{}", self.role.name(), self.number)
    }
}

/// A party joins the exchange with the key it signs documents with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartyRegistration {
    /// Who.
    pub party: Party,
    /// Its name for people and other systems.
    pub code: Code<32>,
    /// Verifies what it signs (meter files, curtailments).
    pub key: PublicKey,
}

/// A meter joins the exchange: who serves it, who may trade for it, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeterRegistration {
    /// Its dense number; the next free one.
    pub meter: MeterId,
    /// Its name for people and other systems.
    pub code: Code<32>,
    /// The one platform that may send orders for it.
    pub platform: PlatformId,
    /// Who sells to it and signs its readings.
    pub retailer: RetailerId,
    /// Whose wires it hangs on.
    pub utility: UtilityId,
    /// Who benefits from it; zero when nobody but the meter itself is known.
    pub owner: OwnerId,
    /// Verifies its orders.
    pub key: PublicKey,
    /// Certified injection capacity: bounds what it sells per slot.
    pub injection_max: Power,
    /// Certified withdrawal capacity: bounds what it buys per slot.
    pub withdrawal_max: Power,
}
