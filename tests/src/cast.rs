//! Who takes part in the tests: two platforms, two retailers, two utilities, five meters.
#![expect(clippy::expect_used, reason = "a cast that cannot be made fails the test")]

use ed25519_dalek::SigningKey;
use exchange::{init, registry::Registry};
use types::{
    Code, MeterId, MeterRegistration, OwnerId, Party, PartyRegistration, PlatformId, Power,
    PublicKey, RetailerId, Role, UtilityId,
};

/// Meter of platform 1 at retailer 1 and utility 1.
pub const FIRST: MeterId = MeterId::new(1);
/// Meter of platform 2 at retailer 2 and utility 2.
pub const SECOND: MeterId = MeterId::new(2);
/// Another meter of platform 1 at retailer 1 and utility 1.
pub const THIRD: MeterId = MeterId::new(3);
/// Another meter of platform 2 at retailer 2 and utility 2.
pub const FOURTH: MeterId = MeterId::new(4);
/// Meter of platform 1 whose registered key is of small order: it vouches for nothing.
pub const WEAK: MeterId = MeterId::new(5);

/// What a meter may inject in a quarter hour, in Wh: 10 kW.
pub const INJECTION_WH: u64 = 2_500;
/// What a meter may withdraw in a quarter hour, in Wh: 15 kW.
pub const WITHDRAWAL_WH: u64 = 3_750;

/// The neutral point of the curve, encoded: a key under which one signature fits every message.
pub const NEUTRAL_POINT: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};

const SECRET: [u8; 32] = [7; 32];

/// The key that signs for a meter.
#[must_use]
pub fn meter_key(meter: MeterId) -> SigningKey {
    init::derive_key(&SECRET, &format!("METER-{meter}"))
}

/// The key that signs documents for a party.
#[must_use]
pub fn party_key(party: Party) -> SigningKey {
    init::derive_key(&SECRET, &party.to_string())
}

/// The key that signs checkpoints.
#[must_use]
pub fn ledger_key() -> SigningKey {
    init::derive_key(&SECRET, "ledger")
}

/// A party of a role.
#[must_use]
pub const fn party(role: Role, number: u16) -> Party {
    Party { role, number }
}

/// What the exchange knows of everyone.
#[must_use]
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    for role in [Role::Platform, Role::Retailer, Role::Utility, Role::Operator] {
        for number in 1..=2 {
            let party = party(role, number);
            let code = code(&format!("{}-{number}", role.name().to_uppercase()));
            let key = init::public_key(&party_key(party));
            registry.parties.push(PartyRegistration { party, code, key });
        }
    }
    for (meter, served_by) in [(FIRST, 1), (SECOND, 2), (THIRD, 1), (FOURTH, 2), (WEAK, 1)] {
        let key = init::public_key(&meter_key(meter));
        registry.meters.push(MeterRegistration {
            meter,
            code: code(&format!("METER-{meter}")),
            platform: PlatformId::new(served_by),
            retailer: RetailerId::new(served_by),
            utility: UtilityId::new(served_by),
            // First and fourth are one person's, at different platforms.
            owner: OwnerId::new(if [FIRST, FOURTH].contains(&meter) { 1 } else { 0 }),
            key: if meter == WEAK { PublicKey::new(NEUTRAL_POINT) } else { key },
            injection_max: Power::from_w(10_000),
            withdrawal_max: Power::from_w(15_000),
        });
    }
    registry
}

fn code<const N: usize>(text: &str) -> Code<N> {
    Code::new(text).expect("a short name")
}
