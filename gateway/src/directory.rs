//! Which platform and which key speak for a meter, and which key for a platform: read by every
//! verifier, written as they register, never locked.

use std::sync::OnceLock;

use ed25519_dalek::VerifyingKey;
use types::{KeyId, MeterId, MeterRegistration, PartyRegistration, PlatformId, PublicKey, Role};

/// Entries in one chunk of a table.
const CHUNK_ENTRIES: u32 = 1_024;
/// 1,024 chunks of 1,024 meters: 1,048,576 meters.
const METER_CHUNKS_MAX: usize = 1_024;
/// 64 chunks of 1,024 parties of a role: all 65,536 numbers.
const PARTY_CHUNKS_MAX: usize = 64;

/// A key that signs.
#[derive(Debug, Clone, Copy)]
pub struct SignerKey {
    /// Its short name.
    pub id: KeyId,
    /// Verifies what it signs. `None` where the registered key is no usable Ed25519 key.
    pub verifying: Option<VerifyingKey>,
}

impl SignerKey {
    fn new(key: &PublicKey) -> Self {
        Self { id: key.id(), verifying: usable_key(key.as_bytes()) }
    }
}

/// What the gateway must know of a meter.
#[derive(Debug)]
pub struct MeterIdentity {
    /// The one platform that may send orders which the meter signed.
    pub platform: PlatformId,
    /// Verifies its orders and delegations.
    pub key: SignerKey,
}

type Chunk<T> = Box<[OnceLock<T>]>;

/// A table that only grows: each place is written once and read without locks.
#[derive(Debug)]
struct Table<T> {
    chunks: Box<[OnceLock<Chunk<T>>]>,
}

impl<T> Table<T> {
    fn new(chunks_max: usize) -> Self {
        Self { chunks: (0..chunks_max).map(|_| OnceLock::new()).collect() }
    }

    fn enter(&self, number: u32, entry: impl FnOnce() -> T) {
        let (chunk, place) = position(number);
        let Some(chunk) = self.chunks.get(chunk) else { return };
        let chunk =
            chunk.get_or_init(|| (0..CHUNK_ENTRIES).map(|_| OnceLock::new()).collect::<Chunk<T>>());
        if let Some(slot) = chunk.get(place) {
            slot.get_or_init(entry);
        }
    }

    fn get(&self, number: u32) -> Option<&T> {
        let (chunk, place) = position(number);
        self.chunks.get(chunk)?.get()?.get(place)?.get()
    }
}

/// Everyone who signs what sessions bring. Entries never change once made.
#[derive(Debug)]
pub struct Directory {
    meters: Table<MeterIdentity>,
    platforms: Table<SignerKey>,
    operators: Table<SignerKey>,
}

impl Default for Directory {
    fn default() -> Self {
        Self {
            meters: Table::new(METER_CHUNKS_MAX),
            platforms: Table::new(PARTY_CHUNKS_MAX),
            operators: Table::new(PARTY_CHUNKS_MAX),
        }
    }
}

impl Directory {
    /// Enters a registered meter.
    pub fn enrol(&self, registration: &MeterRegistration) {
        self.meters.enter(registration.meter.get(), || MeterIdentity {
            platform: registration.platform,
            key: SignerKey::new(&registration.key),
        });
    }

    /// Enters a registered party, if it is one whose signatures the edge checks: a platform or an operator.
    pub fn enrol_party(&self, registration: &PartyRegistration) {
        let table = match registration.party.role {
            Role::Platform => &self.platforms,
            Role::Operator => &self.operators,
            Role::Retailer | Role::Utility | Role::Settlement => return,
        };
        table.enter(registration.party.number.into(), || SignerKey::new(&registration.key));
    }

    /// The meter's entry, if it is registered.
    #[must_use]
    pub fn meter(&self, meter: MeterId) -> Option<&MeterIdentity> {
        self.meters.get(meter.get())
    }

    /// The key with which a platform signs frames, if it is registered.
    #[must_use]
    pub fn platform(&self, platform: PlatformId) -> Option<&SignerKey> {
        self.platforms.get(platform.get().into())
    }

    /// The key with which an operator signs orders, if it is registered.
    #[must_use]
    pub fn operator(&self, number: u16) -> Option<&SignerKey> {
        self.operators.get(number.into())
    }
}

/// A key under which a signature is evidence: well-formed and not of small order.
fn usable_key(bytes: &[u8; 32]) -> Option<VerifyingKey> {
    VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak())
}

fn position(number: u32) -> (usize, usize) {
    let chunk = number.div_euclid(CHUNK_ENTRIES);
    let place = number.rem_euclid(CHUNK_ENTRIES);
    (usize::try_from(chunk).unwrap_or(usize::MAX), usize::try_from(place).unwrap_or(usize::MAX))
}
