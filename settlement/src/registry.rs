//! Markets, parties and meters, as the trade feed named them. Small enough to keep in memory.

use std::collections::BTreeMap;

use ed25519_dalek::VerifyingKey;
use types::{
    Code, MarketDefinition, MarketId, MeterId, MeterRegistration, Party, PartyRegistration,
    PlatformId, Power, PublicKey, RetailerId, Role, Timestamp, UtilityId,
};

/// The name of a zone or a feeder.
pub type PlaceName = Code<16>;

/// A meter's name in files of other systems.
pub type MeterCode = Code<32>;

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
    /// Its name, as registered.
    pub code: MeterCode,
    /// Certified injection capacity; zero is none.
    pub injection_max: Power,
    /// Certified withdrawal capacity; zero is none.
    pub withdrawal_max: Power,
}

/// Where on the wires a meter hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Whose wires.
    pub utility: UtilityId,
    /// Which zone of them, if the utility said so.
    pub zone: Option<PlaceName>,
    /// Which feeder of the zone, if the utility said so.
    pub feeder: Option<PlaceName>,
}

/// What a utility says of a meter from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeterPoint {
    /// From when, in minutes since 1970.
    pub from_minute: u32,
    /// The zone; as before, if it is not said.
    pub zone: Option<PlaceName>,
    /// The feeder; as before, if it is not said.
    pub feeder: Option<PlaceName>,
    /// Who signs the meter's readings: a retailer or a utility; as before, if it is not said.
    pub served_by: Option<Party>,
}

impl From<&MeterRegistration> for Meter {
    fn from(registration: &MeterRegistration) -> Self {
        Self {
            id: registration.meter,
            platform: registration.platform,
            retailer: registration.retailer,
            utility: registration.utility,
            code: registration.code,
            injection_max: registration.injection_max,
            withdrawal_max: registration.withdrawal_max,
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
    /// In order of time.
    points: BTreeMap<MeterId, Vec<MeterPoint>>,
    /// Names that retailers and utilities gave meters in their own files.
    codes: BTreeMap<(Party, MeterCode), MeterId>,
    /// Registered names; the first meter of a name has it.
    registered_codes: BTreeMap<MeterCode, MeterId>,
}

impl Registry {
    /// Adds or replaces a market.
    pub fn add_market(&mut self, market: Market) {
        self.markets.insert(market.id, market);
    }

    /// Adds or replaces a meter.
    pub fn add_meter(&mut self, meter: Meter) {
        self.registered_codes.entry(meter.code).or_insert(meter.id);
        self.meters.insert(meter.id, meter);
    }

    /// Adds or replaces a party.
    pub fn add_signer(&mut self, signer: Signer) {
        self.signers.insert(signer.party, signer);
    }

    /// Adds what a utility says of a meter, in place of what it said of the same moment before.
    pub fn add_point(&mut self, meter: MeterId, point: MeterPoint) {
        let points = self.points.entry(meter).or_default();
        match points.binary_search_by_key(&point.from_minute, |known| known.from_minute) {
            Ok(at) => {
                if let Some(known) = points.get_mut(at) {
                    *known = point;
                }
            }
            Err(at) => points.insert(at, point),
        }
    }

    /// Gives a meter the name that it has in files of `signer`.
    pub fn add_code(&mut self, signer: Party, code: MeterCode, meter: MeterId) {
        self.codes.insert((signer, code), meter);
    }

    /// The meter that `signer` gave a name to, and no registered name.
    #[must_use]
    pub fn given_code(&self, signer: Party, code: MeterCode) -> Option<MeterId> {
        self.codes.get(&(signer, code)).copied()
    }

    /// The meter that is meant by a name in a file of `signer`: by the signer's own list, or else by
    /// the name under which it is registered.
    #[must_use]
    pub fn meter_named(&self, signer: Party, code: MeterCode) -> Option<&Meter> {
        let given = self.given_code(signer, code);
        self.meter(given.or_else(|| self.registered_codes.get(&code).copied())?)
    }

    /// Who signs the readings of a meter at a moment, in minutes since 1970: only this party.
    #[must_use]
    pub fn server_at(&self, meter: &Meter, minute: u32) -> Party {
        let said = self.points_until(meter.id, minute).rev().find_map(|point| point.served_by);
        said.unwrap_or(Party { role: Role::Retailer, number: meter.retailer.get() })
    }

    /// The retailer that serves a meter at a moment: who signs its readings, or where that is no retailer
    /// the one it is registered with.
    #[must_use]
    pub fn retailer_at(&self, meter: &Meter, at: Timestamp) -> Party {
        let minute = at.ns().max(0).div_euclid(60_000_000_000);
        let server = self.server_at(meter, u32::try_from(minute).unwrap_or(u32::MAX));
        match server.role {
            Role::Retailer => server,
            Role::Platform | Role::Utility | Role::Operator | Role::Settlement => {
                Party { role: Role::Retailer, number: meter.retailer.get() }
            }
        }
    }

    /// Where a meter hangs at a moment, if its utility said so.
    #[must_use]
    pub fn place_at(&self, meter: &Meter, minute: u32) -> Place {
        let said = || self.points_until(meter.id, minute).rev();
        Place {
            utility: meter.utility,
            zone: said().find_map(|point| point.zone),
            feeder: said().find_map(|point| point.feeder),
        }
    }

    /// Whether a party signs readings of a meter at any time, or did.
    #[must_use]
    pub fn ever_served(&self, meter: &Meter, party: Party) -> bool {
        let said = self.points.get(&meter.id);
        (party == Party { role: Role::Retailer, number: meter.retailer.get() })
            || said.is_some_and(|points| points.iter().any(|p| p.served_by == Some(party)))
    }

    fn points_until(
        &self,
        meter: MeterId,
        minute: u32,
    ) -> impl DoubleEndedIterator<Item = &MeterPoint> {
        let points = self.points.get(&meter).map(Vec::as_slice).unwrap_or_default();
        let end = points.partition_point(|point| point.from_minute <= minute);
        points.get(..end).unwrap_or_default().iter()
    }

    /// The market of this number.
    #[must_use]
    pub fn market(&self, id: MarketId) -> Option<&Market> {
        self.markets.get(&id)
    }

    /// All markets, by number.
    pub fn markets(&self) -> impl Iterator<Item = &Market> {
        self.markets.values()
    }

    /// The meter of this number.
    #[must_use]
    pub fn meter(&self, id: MeterId) -> Option<&Meter> {
        self.meters.get(&id)
    }

    /// Every meter, by number.
    pub fn meters(&self) -> impl Iterator<Item = &Meter> {
        self.meters.values()
    }

    /// The party.
    #[must_use]
    pub fn signer(&self, party: Party) -> Option<&Signer> {
        self.signers.get(&party)
    }

    /// Whether blocks of this length fill the slots of some market.
    #[must_use]
    pub fn has_use_for_blocks_of(&self, minutes: u16) -> bool {
        self.markets.values().any(|market| market.slot_minutes.checked_rem(minutes) == Some(0))
    }

    /// Whether some market has slots of this length.
    #[must_use]
    pub fn has_slots_of(&self, minutes: u16) -> bool {
        self.markets.values().any(|market| market.slot_minutes == minutes)
    }
}
