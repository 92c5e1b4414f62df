//! Which platform and which key speak for a meter: read by every verifier, written as meters
//! register, never locked.

use std::sync::OnceLock;

use ed25519_dalek::VerifyingKey;
use types::{MeterId, MeterRegistration, PlatformId};

/// Meters in one chunk of the table.
const CHUNK_METERS: u32 = 1_024;
/// 1,024 chunks of 1,024 meters: 1,048,576 meters.
const CHUNKS_MAX: usize = 1_024;

/// What the gateway must know of a meter.
#[derive(Debug)]
pub struct MeterIdentity {
    /// The one platform that may send orders for it.
    pub platform: PlatformId,
    /// Verifies its orders. `None` where the registered key is no usable Ed25519 key.
    pub key: Option<VerifyingKey>,
}

type Chunk = Box<[OnceLock<MeterIdentity>]>;

/// A table that only grows: each place is written once and read without locks.
#[derive(Debug)]
pub struct Directory {
    chunks: Box<[OnceLock<Chunk>]>,
}

impl Default for Directory {
    fn default() -> Self {
        Self { chunks: (0..CHUNKS_MAX).map(|_| OnceLock::new()).collect() }
    }
}

impl Directory {
    /// Enters a registered meter. A meter's entry never changes once made.
    pub fn enrol(&self, registration: &MeterRegistration) {
        let (chunk, place) = position(registration.meter);
        let Some(chunk) = self.chunks.get(chunk) else { return };
        let chunk =
            chunk.get_or_init(|| (0..CHUNK_METERS).map(|_| OnceLock::new()).collect::<Chunk>());
        if let Some(slot) = chunk.get(place) {
            slot.get_or_init(|| MeterIdentity {
                platform: registration.platform,
                key: usable_key(registration.key.as_bytes()),
            });
        }
    }

    /// The meter's entry, if it is registered.
    #[must_use]
    pub fn meter(&self, meter: MeterId) -> Option<&MeterIdentity> {
        let (chunk, place) = position(meter);
        self.chunks.get(chunk)?.get()?.get(place)?.get()
    }
}

/// A key under which a signature is evidence: well-formed and not of small order.
fn usable_key(bytes: &[u8; 32]) -> Option<VerifyingKey> {
    VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak())
}

fn position(meter: MeterId) -> (usize, usize) {
    let chunk = meter.get().div_euclid(CHUNK_METERS);
    let place = meter.get().rem_euclid(CHUNK_METERS);
    (usize::try_from(chunk).unwrap_or(usize::MAX), usize::try_from(place).unwrap_or(usize::MAX))
}
