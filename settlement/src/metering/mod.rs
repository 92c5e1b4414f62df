//! Stop 13 of an order's life: signed documents of retailers and utilities become verified readings
//! and curtailments.
//!
//! [`envelope`] checks who signed the bytes, [`document`] what they say, [`authority`] whether that
//! signer may say it, and [`judge`] whether it is new, known, late or contradicts what the same
//! signer said before. All pure: what is stored and who is registered are arguments. [`formats`]
//! reads meter files as other systems write them; nothing is settled by those yet.

pub mod document;
pub mod envelope;
pub mod formats;
mod reject;

use types::{DeliverySlot, Digest, Energy, MeterId, Party, Role};

pub use document::{Curtailment, CurtailmentReason, Document, Interval, MeterFile, Reading};
pub use envelope::{Opened, seal};
pub use reject::DocumentReject;

use crate::{allocation::Metered, registry::Registry};

/// What kind of document it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum DocumentKind {
    /// It could not be read far enough to know.
    Unknown = 0,
    /// Readings of a retailer's meters.
    MeterReadings = 1,
    /// A utility's curtailment of one meter.
    Curtailment = 2,
}

impl DocumentKind {
    /// The code in rows.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The kind with this code, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Unknown),
            1 => Some(Self::MeterReadings),
            2 => Some(Self::Curtailment),
            _ => None,
        }
    }

    /// The word in documents and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::MeterReadings => "meter_readings",
            Self::Curtailment => "curtailment",
        }
    }
}

/// The answer to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// SHA-256 of the document's bytes.
    pub digest: Digest,
    /// What it was.
    pub kind: DocumentKind,
    /// How many of its readings (or curtailments) are now the newest of their key.
    pub accepted: u32,
    /// Whether it was taken, and if not, why.
    pub result: Result<(), DocumentReject>,
    /// The same bytes were answered before; this is that answer.
    pub repeated: bool,
}

/// What a stored revision makes of a statement with the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A revision above all that are known.
    New,
    /// A known revision with the same content.
    Known,
    /// An unknown revision below a known one. Kept as history.
    Late,
    /// A known revision with other content.
    Contradicts,
}

/// Judges `content` of `revision` against the stored revisions of its key.
#[must_use]
pub fn judge<T: PartialEq>(stored: &[(u32, T)], revision: u32, content: &T) -> Verdict {
    if let Some((_, known)) = stored.iter().find(|(number, _)| *number == revision) {
        return if known == content { Verdict::Known } else { Verdict::Contradicts };
    }
    if stored.iter().any(|(number, _)| *number > revision) { Verdict::Late } else { Verdict::New }
}

/// Whether `signer` may say this, and about meters and slots that exist.
///
/// # Errors
/// The first rule it breaks.
pub fn authority(
    signer: Party,
    document: &Document,
    registry: &Registry,
) -> Result<(), DocumentReject> {
    match document {
        Document::MeterReadings(file) => {
            let market = registry.market(file.market).ok_or(DocumentReject::UnknownMarket)?;
            if market.slot_minutes.checked_rem(file.minutes) != Some(0) {
                return Err(DocumentReject::Misaligned);
            }
            for reading in file.intervals.iter().flat_map(|interval| &interval.readings) {
                let meter = registry.meter(reading.meter).ok_or(DocumentReject::UnknownMeter)?;
                let serves = Party { role: Role::Retailer, number: meter.retailer.get() };
                if signer != serves {
                    return Err(DocumentReject::WrongSigner);
                }
            }
            Ok(())
        }
        Document::Curtailment(curtailment) => {
            let meter = registry.meter(curtailment.meter).ok_or(DocumentReject::UnknownMeter)?;
            if signer != (Party { role: Role::Utility, number: meter.utility.get() }) {
                return Err(DocumentReject::WrongSigner);
            }
            if registry.has_slots_of(curtailment.slot.minutes()) {
                Ok(())
            } else {
                Err(DocumentReject::Misaligned)
            }
        }
    }
}

/// The newest reading of one metered interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    /// Start in minutes since the epoch.
    pub start_minute: u32,
    /// Duration in minutes.
    pub minutes: u16,
    /// Into the grid.
    pub injected: Energy,
    /// Out of the grid.
    pub withdrawn: Energy,
}

/// What a meter moved in `slot`: the sum of blocks that cover it exactly, or `None` if a block is
/// missing. Where blocks of two lengths begin together, the longer one counts.
#[must_use]
pub fn cover<'a>(
    slot: DeliverySlot,
    blocks: impl Iterator<Item = &'a Block> + Clone,
) -> Option<Metered> {
    let end = slot.start_minute().checked_add(u32::from(slot.minutes()))?;
    let mut at = slot.start_minute();
    let mut sum = Metered::default();
    while at < end {
        let fits = |block: &&'a Block| {
            let block_end = block.start_minute.checked_add(u32::from(block.minutes));
            block.start_minute == at && block_end.is_some_and(|block_end| block_end <= end)
        };
        let block = blocks.clone().filter(fits).max_by_key(|block| block.minutes)?;
        sum.injected = sum.injected.checked_add(block.injected)?;
        sum.withdrawn = sum.withdrawn.checked_add(block.withdrawn)?;
        at = at.checked_add(u32::from(block.minutes))?;
    }
    Some(sum)
}

/// What a reading or curtailment is about: a meter and a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Which meter.
    pub meter: MeterId,
    /// When.
    pub slot: DeliverySlot,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_rise_and_contradictions_are_seen_at_any_revision() {
        let stored = [(1, "a"), (3, "c")];
        assert_eq!(judge(&stored, 4, &"d"), Verdict::New);
        assert_eq!(judge(&stored, 3, &"c"), Verdict::Known);
        assert_eq!(judge(&stored, 2, &"b"), Verdict::Late);
        assert_eq!(judge(&stored, 1, &"b"), Verdict::Contradicts);
        assert_eq!(judge::<&str>(&[], 1, &"a"), Verdict::New);
    }

    #[test]
    fn a_longer_slot_needs_the_exact_sum() {
        let block = |start_minute, minutes, wh| Block {
            start_minute,
            minutes,
            injected: Energy::from_wh(wh),
            withdrawn: Energy::ZERO,
        };
        let slot = DeliverySlot::new(60, 60).unwrap();
        let quarters = [block(60, 15, 1), block(75, 15, 2), block(90, 15, 3), block(105, 15, 4)];
        let sum = |blocks: &[Block]| cover(slot, blocks.iter()).map(|sum| sum.injected.wh());
        assert_eq!(sum(&quarters), Some(10));
        assert_eq!(sum(&quarters[..3]), None);
        assert_eq!(sum(&quarters[1..]), None);
        assert_eq!(sum(&[block(60, 30, 5), block(60, 15, 1), block(90, 30, 6)]), Some(11));
        assert_eq!(sum(&[block(60, 120, 5)]), None);
    }
}
