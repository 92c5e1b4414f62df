//! Markets, parties and meters, as the trade feed named them. Small enough to keep in memory.

use std::collections::BTreeMap;

use ed25519_dalek::VerifyingKey;
use types::{
    MarketDefinition, MarketId, MeterId, MeterRegistration, Party, PartyRegistration, PlatformId,
    PublicKey, RetailerId, UtilityId,
};

/// What settlement needs to know of a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meter {
    /// Its number.
    pub id: MeterId,
    /// The platform that trades for it.
    pub platform: PlatformId,
    /// Who signs its readings.
    pub retailer: RetailerId,
    /// Who signs its curtailments.
    pub utility: UtilityId,
}

impl From<&MeterRegistration> for Meter {
    fn from(registration: &MeterRegistration) -> Self {
        Self {
            id: registration.meter,
            platform: registration.platform,
            retailer: registration.retailer,
            utility: registration.utility,
        }
    }
}

/// What settlement needs to know of a market.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Market {
    /// Its number.
    pub id: MarketId,
    /// Duration of its slots.
    pub slot_minutes: u16,
}

impl From<&MarketDefinition> for Market {
    fn from(definition: &MarketDefinition) -> Self {
        Self { id: definition.market, slot_minutes: definition.slot_minutes }
    }
}

/// A party and its key. A key that is not a sound Ed25519 key verifies nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signer {
    /// Who.
    pub party: Party,
    /// The key as registered.
    pub bytes: PublicKey,
    /// The key, if it is usable.
    pub key: Option<VerifyingKey>,
}

impl Signer {
    /// A party with its key; a weak or malformed key is kept as unusable.
    #[must_use]
    pub fn new(party: Party, bytes: PublicKey) -> Self {
        let key = VerifyingKey::from_bytes(bytes.as_bytes()).ok().filter(|key| !key.is_weak());
        Self { party, bytes, key }
    }
}

impl From<&PartyRegistration> for Signer {
    fn from(registration: &PartyRegistration) -> Self {
        Self::new(registration.party, registration.key)
    }
}

/// Everybody and everything the feed has named so far.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    markets: BTreeMap<MarketId, Market>,
    meters: BTreeMap<MeterId, Meter>,
    signers: BTreeMap<Party, Signer>,
}

impl Registry {
    /// Adds or replaces a market.
    pub fn add_market(&mut self, market: Market) {
        self.markets.insert(market.id, market);
    }

    /// Adds or replaces a meter.
    pub fn add_meter(&mut self, meter: Meter) {
        self.meters.insert(meter.id, meter);
    }

    /// Adds or replaces a party.
    pub fn add_signer(&mut self, signer: Signer) {
        self.signers.insert(signer.party, signer);
    }

    /// The market of this number.
    #[must_use]
    pub fn market(&self, id: MarketId) -> Option<&Market> {
        self.markets.get(&id)
    }

    /// The meter of this number.
    #[must_use]
    pub fn meter(&self, id: MeterId) -> Option<&Meter> {
        self.meters.get(&id)
    }

    /// The party.
    #[must_use]
    pub fn signer(&self, party: Party) -> Option<&Signer> {
        self.signers.get(&party)
    }

    /// Whether some market has slots of this length.
    #[must_use]
    pub fn has_slots_of(&self, minutes: u16) -> bool {
        self.markets.values().any(|market| market.slot_minutes == minutes)
    }
}
