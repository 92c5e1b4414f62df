//! The canonical market: the one of the default configuration, with leads long enough for a whole
//! day of slots to be open at once.

use std::path::Path;

use crate::{
    config::{self, Config},
    init,
    registry::Registry,
};
use ed25519_dalek::SigningKey;
use types::{
    Code, Command, DeliverySlot, Lead, MarketDefinition, MeterId, MeterRegistration, OwnerId,
    Party, PartyRegistration, PlatformId, Power, RetailerId, Role, SlotKey, Timestamp, UtilityId,
};

use super::Failure;

/// Retailers; meter `n` belongs to number `(n − 1) mod 4 + 1`.
pub const RETAILERS: u16 = 4;
/// Distribution utilities, given out in the same way.
const UTILITIES: u16 = 2;
/// Start of the first slot, in minutes since 1970: a midnight UTC.
const FIRST_START_MINUTE: u32 = 20_400 * 1_440;
/// Trading takes place this long before the first slot.
const AHEAD: Lead = Lead::from_minutes(1_440);
/// A connection nobody exhausts: 1 GW.
const CAPACITY: Power = Power::from_w(1_000_000_000);

/// How large the market is.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Slots that are open, one book each; at most the 96 of a day.
    pub books: u32,
    /// Meters.
    pub meters: u32,
    /// Platforms they trade through.
    pub platforms: u16,
}

impl Setup {
    /// With one platform.
    #[must_use]
    pub const fn new(books: u32, meters: u32) -> Self {
        Self { books, meters, platforms: 1 }
    }
}

/// The market with everyone in it.
#[derive(Debug)]
pub struct Market {
    /// How large it is.
    pub setup: Setup,
    /// The configuration of its exchange.
    pub config: Config,
    /// Its rules.
    pub definition: MarketDefinition,
    /// Who takes part.
    pub registry: Registry,
    /// Slots that are traded.
    pub slots: Vec<SlotKey>,
    /// When.
    pub opened_at: Timestamp,
    secret: [u8; 32],
}

impl Market {
    /// Decided by size and seed alone.
    ///
    /// # Errors
    /// When the default configuration is not usable.
    pub fn new(setup: Setup, seed: u64) -> Result<Self, Failure> {
        Self::from_minute(setup, seed, FIRST_START_MINUTE)
    }

    /// With its first slot at this minute since 1970, a multiple of the slots' length.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn from_minute(setup: Setup, seed: u64, first_minute: u32) -> Result<Self, Failure> {
        let mut config = config::parse(Path::new("the template"), init::CONFIG_TEMPLATE)?;
        config.listen = (std::net::Ipv4Addr::LOCALHOST, 0).into();
        let market = config.markets.first_mut().ok_or("the template has no market")?;
        market.definition.opening_lead = Lead::from_minutes(2_880);
        market.uncross_lead = Lead::from_minutes(2_870);
        let definition = market.definition;
        let minutes = definition.slot_minutes;
        let slots = (0..setup.books)
            .map(|number| {
                let start = first_minute + number * u32::from(minutes);
                Ok(definition.key(DeliverySlot::new(start, minutes)?))
            })
            .collect::<Result<_, types::SlotError>>()?;
        let mut secret = [0; 32];
        secret.iter_mut().zip(seed.to_le_bytes()).for_each(|(byte, part)| *byte = part);
        let opened_at = Timestamp::from_minutes(first_minute).earlier_by(AHEAD);
        let registry = Registry::default();
        let mut market = Self { setup, config, definition, registry, slots, opened_at, secret };
        market.register()?;
        Ok(market)
    }

    /// The key of a meter.
    #[must_use]
    pub fn meter_key(&self, meter: MeterId) -> SigningKey {
        init::derive_key(&self.secret, &format!("meter/{meter}"))
    }

    /// The key of a party.
    #[must_use]
    pub fn party_key(&self, party: Party) -> SigningKey {
        init::derive_key(&self.secret, &party.to_string())
    }

    /// The platform of a meter.
    #[must_use]
    pub fn platform_of(&self, meter: MeterId) -> PlatformId {
        PlatformId::new(nth(meter, self.setup.platforms))
    }

    /// The retailer of a meter.
    #[must_use]
    pub fn retailer_of(&self, meter: MeterId) -> RetailerId {
        RetailerId::new(nth(meter, RETAILERS))
    }

    /// What an engine is told before the first order: every registration, then every book opens.
    pub fn opening(&self) -> impl Iterator<Item = Command> {
        let parties = self.registry.parties.iter().copied().map(Command::RegisterParty);
        let meters = self.registry.meters.iter().copied().map(Command::RegisterMeter);
        std::iter::once(Command::DefineMarket(self.definition))
            .chain(parties)
            .chain(meters)
            .chain(self.slots.iter().copied().map(Command::OpenSlot))
    }

    fn register(&mut self) -> Result<(), Failure> {
        let roles = [
            (Role::Platform, self.setup.platforms),
            (Role::Retailer, RETAILERS),
            (Role::Utility, UTILITIES),
        ];
        for (role, count) in roles {
            for number in 1..=count {
                let party = Party { role, number };
                let code = Code::new(&format!("{}-{number}", role.name()))?;
                let key = init::public_key(&self.party_key(party));
                self.registry.parties.push(PartyRegistration { party, code, key });
            }
        }
        for number in 1..=self.setup.meters {
            let meter = MeterId::new(number);
            self.registry.meters.push(MeterRegistration {
                meter,
                code: Code::new(&format!("METER-{number}"))?,
                platform: self.platform_of(meter),
                retailer: self.retailer_of(meter),
                utility: UtilityId::new(nth(meter, UTILITIES)),
                owner: OwnerId::default(),
                key: init::public_key(&self.meter_key(meter)),
                injection_max: CAPACITY,
                withdrawal_max: CAPACITY,
            });
        }
        Ok(())
    }
}

/// Which of `count` a meter belongs to, from 1.
fn nth(meter: MeterId, count: u16) -> u16 {
    let place = meter.get().saturating_sub(1) % u32::from(count.max(1));
    u16::try_from(place).unwrap_or(0).saturating_add(1)
}
