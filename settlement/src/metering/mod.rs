//! Stop 13 of an order's life: signed documents of retailers and utilities become verified readings
//! and curtailments.
//!
//! [`envelope`] checks who signed the bytes, [`document`] what they say, [`authority`] whether that
//! signer may say it, and [`judge`] whether it is new, known, late or contradicts what the same
//! signer said before. All pure: what is stored and who is registered are arguments. [`formats`]
//! reads meter files as other systems write them, and [`mod@files`] makes statements of them.

mod disconnection;
pub mod document;
pub mod envelope;
pub mod files;
pub mod formats;
pub mod grid;
mod payment;
mod reject;

use types::{DeliverySlot, Digest, Energy, MeterId, Party, Role, Side, Timestamp};

pub use disconnection::{Disconnection, DisconnectionDecision, REASON_CHARS_MAX};
pub use document::{Curtailment, CurtailmentReason, Document, Interval, MeterFile, Reading};
pub use envelope::{FileHead, Opened, seal, seal_file};
pub use grid::{GridLimit, MeterCodes, MeterPoints, ZoneCurtailment};
pub use payment::PayOutRequest;
pub use reject::DocumentReject;

use crate::{
    allocation::Metered,
    policy::Fraction,
    registry::{Meter, Registry},
};

/// What kind of document it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum DocumentKind {
    /// It could not be read far enough to know.
    Unknown = 0,
    /// Readings of a retailer's meters.
    MeterReadings = 1,
    /// A utility's curtailment of a meter, a feeder or a zone.
    Curtailment = 2,
    /// Where meters hang and who serves them, from a utility.
    MeterPoints = 3,
    /// The names of meters in files of the signer.
    MeterCodes = 4,
    /// A utility's limit on what is traded in a zone.
    GridLimit = 5,
    /// A meter's free money is to be paid out, from its platform.
    PayOutRequest = 6,
    /// What a distribution company says of its side of a contract, over the ledger service.
    SideReport = 7,
    /// What a retailer decides about disconnecting a meter that it serves.
    Disconnection = 8,
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
            3 => Some(Self::MeterPoints),
            4 => Some(Self::MeterCodes),
            5 => Some(Self::GridLimit),
            6 => Some(Self::PayOutRequest),
            7 => Some(Self::SideReport),
            8 => Some(Self::Disconnection),
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
            Self::MeterPoints => "meter_points",
            Self::MeterCodes => "meter_codes",
            Self::GridLimit => "grid_limit",
            Self::PayOutRequest => "pay_out_request",
            Self::SideReport => "side_report",
            Self::Disconnection => "disconnection",
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
/// Rule S-08.
#[must_use]
pub fn judge<T: PartialEq>(stored: &[(u32, T)], revision: u32, content: &T) -> Verdict {
    if let Some((_, known)) = stored.iter().find(|(number, _)| *number == revision) {
        return if known == content { Verdict::Known } else { Verdict::Contradicts };
    }
    if stored.iter().any(|(number, _)| *number > revision) { Verdict::Late } else { Verdict::New }
}

/// How far a reading can be relied on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    /// Counted by the meter, or made final by who reads it.
    #[default]
    Measured,
    /// Put in place of what the meter did not count. What it decides is provisional.
    Estimated,
}

impl Quality {
    /// The word in documents and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Estimated => "estimated",
        }
    }
}

/// What a signer says a meter moved in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// Which meter, and when.
    pub key: Key,
    /// What it moved.
    pub metered: Metered,
    /// How far that can be relied on.
    pub quality: Quality,
}

/// What statements are checked against.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    /// Who is who.
    pub registry: &'a Registry,
    /// No interval ends after this.
    pub received: Timestamp,
    /// No reading is above this fraction of the certified capacity.
    pub plausible: Fraction,
}

/// Whether `signer` may say this, of a meter that could have moved it, in an interval that is over.
/// Rule S-05.
///
/// # Errors
/// The first rule it breaks.
pub fn check_statement(
    signer: Party,
    statement: &Statement,
    bounds: Bounds<'_>,
) -> Result<(), DocumentReject> {
    let Key { meter, slot } = statement.key;
    let meter = bounds.registry.meter(meter).ok_or(DocumentReject::UnknownMeter)?;
    if signer != bounds.registry.server_at(meter, slot.start_minute()) {
        return Err(DocumentReject::WrongSigner);
    }
    if slot.end() > bounds.received {
        return Err(DocumentReject::Future);
    }
    if is_plausible(meter, statement, bounds.plausible) {
        Ok(())
    } else {
        Err(DocumentReject::Implausible)
    }
}

/// A capacity of zero is none that anybody certified, and bounds nothing here.
/// Rule S-09.
fn is_plausible(meter: &Meter, statement: &Statement, plausible: Fraction) -> bool {
    const MILLION: u128 = 1_000_000;
    let minutes = u128::from(statement.key.slot.minutes());
    let within = |energy: Energy, capacity: types::Power| {
        let wh = u128::from(energy.wh()).saturating_mul(60).saturating_mul(MILLION);
        let most = u128::from(capacity.w()).saturating_mul(minutes);
        capacity.w() == 0 || wh <= most.saturating_mul(u128::from(plausible.ppm()))
    };
    within(statement.metered.injected, meter.injection_max)
        && within(statement.metered.withdrawn, meter.withdrawal_max)
}

/// Whether `signer` may say this, and about meters and slots that exist. Readings are checked one
/// by one, by [`check_statement`].
/// Rule S-06.
///
/// # Errors
/// The first rule it breaks.
pub fn authority(
    signer: Party,
    document: &Document,
    bounds: Bounds<'_>,
) -> Result<(), DocumentReject> {
    let registry = bounds.registry;
    let is_utility_of = |meter: MeterId| {
        let meter = registry.meter(meter).ok_or(DocumentReject::UnknownMeter)?;
        let utility = Party { role: Role::Utility, number: meter.utility.get() };
        if signer == utility { Ok(()) } else { Err(DocumentReject::WrongSigner) }
    };
    let is_slot = |slot: DeliverySlot| {
        let known = registry.has_slots_of(slot.minutes());
        if known { Ok(()) } else { Err(DocumentReject::Misaligned) }
    };
    let is_utility = || {
        let known = signer.role == Role::Utility;
        if known { Ok(()) } else { Err(DocumentReject::WrongSigner) }
    };
    match document {
        Document::MeterReadings(file) => {
            let market = registry.market(file.market).ok_or(DocumentReject::UnknownMarket)?;
            let fits = market.slot_minutes.checked_rem(file.minutes) == Some(0);
            if fits { Ok(()) } else { Err(DocumentReject::Misaligned) }
        }
        Document::Curtailment(curtailment) => {
            is_utility_of(curtailment.meter)?;
            is_slot(curtailment.slot)
        }
        Document::ZoneCurtailment(curtailment) => {
            is_utility()?;
            is_slot(curtailment.slot)
        }
        Document::GridLimit(limit) => {
            is_utility()?;
            is_slot(limit.slot)
        }
        Document::PayOutRequest(request) => {
            let meter = registry.meter(request.meter).ok_or(DocumentReject::UnknownMeter)?;
            let platform = Party { role: Role::Platform, number: meter.platform.get() };
            let may_ask = signer == platform || signer.role == Role::Operator;
            if may_ask { Ok(()) } else { Err(DocumentReject::WrongSigner) }
        }
        Document::Disconnection(decided) => {
            let meter = registry.meter(decided.meter).ok_or(DocumentReject::UnknownMeter)?;
            let serves = signer == registry.retailer_at(meter, bounds.received);
            if serves { Ok(()) } else { Err(DocumentReject::WrongSigner) }
        }
        Document::MeterPoints(points) => {
            points.points.iter().try_for_each(|(meter, _)| is_utility_of(*meter))
        }
        Document::MeterCodes(codes) => codes.codes.iter().try_for_each(|&(meter, code)| {
            let known = registry.meter(meter).ok_or(DocumentReject::UnknownMeter)?;
            let utility = Party { role: Role::Utility, number: known.utility.get() };
            if signer != utility && !registry.ever_served(known, signer) {
                return Err(DocumentReject::WrongSigner);
            }
            match registry.given_code(signer, code) {
                Some(other) if other != meter => Err(DocumentReject::CodeTaken),
                Some(_) | None => Ok(()),
            }
        }),
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
    /// How far it can be relied on.
    pub quality: Quality,
}

/// What is known of a meter in a slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The sum of the blocks that are known.
    pub metered: Metered,
    /// They cover the slot exactly.
    pub is_complete: bool,
    /// One of them is an estimate at least.
    pub is_estimated: bool,
}

/// What a meter moved in `slot`: the sum of blocks, and whether they cover it exactly. Where blocks
/// of two lengths begin together, the longer one counts.
/// Rule S-12.
#[must_use]
pub fn cover<'a>(slot: DeliverySlot, blocks: impl Iterator<Item = &'a Block> + Clone) -> Coverage {
    let end = slot.start_minute().saturating_add(u32::from(slot.minutes()));
    let end_of = |block: &Block| block.start_minute.saturating_add(u32::from(block.minutes));
    let mut at = slot.start_minute();
    let mut sum = Coverage { is_complete: true, ..Coverage::default() };
    while at < end {
        let next = blocks
            .clone()
            .filter(|block| block.start_minute >= at && end_of(block) <= end)
            .min_by_key(|block| (block.start_minute, core::cmp::Reverse(block.minutes)));
        let Some(block) = next else {
            sum.is_complete = false;
            break;
        };
        sum.is_complete &= block.start_minute == at;
        sum.is_estimated |= block.quality == Quality::Estimated;
        let add = |sum: Energy, more: Energy| Energy::from_wh(sum.wh().saturating_add(more.wh()));
        sum.metered.injected = add(sum.metered.injected, block.injected);
        sum.metered.withdrawn = add(sum.metered.withdrawn, block.withdrawn);
        at = end_of(block);
    }
    sum
}

/// The register that a curtailment limits, by the side that uses it.
#[must_use]
pub const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Sell => "injection",
        Side::Buy => "withdrawal",
    }
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
    fn s12_a_longer_slot_needs_the_exact_sum() {
        let block = |start_minute, minutes, wh| Block {
            start_minute,
            minutes,
            injected: Energy::from_wh(wh),
            withdrawn: Energy::ZERO,
            quality: Quality::Measured,
        };
        let slot = DeliverySlot::new(60, 60).unwrap();
        let quarters = [block(60, 15, 1), block(75, 15, 2), block(90, 15, 3), block(105, 15, 4)];
        let known = |blocks: &[Block]| {
            let covered = cover(slot, blocks.iter());
            (covered.metered.injected.wh(), covered.is_complete)
        };
        assert_eq!(known(&quarters), (10, true));
        assert_eq!(known(&quarters[..3]), (6, false));
        assert_eq!(known(&quarters[1..]), (9, false));
        assert_eq!(known(&[quarters[0], quarters[2], quarters[3]]), (8, false));
        assert_eq!(known(&[block(60, 30, 5), block(60, 15, 1), block(90, 30, 6)]), (11, true));
        assert_eq!(known(&[block(60, 120, 5)]), (0, false));
        assert_eq!(known(&[]), (0, false));
        let mut guessed = quarters;
        guessed[2].quality = Quality::Estimated;
        assert!(cover(slot, guessed.iter()).is_estimated);
        assert!(!cover(slot, quarters.iter()).is_estimated);
    }
}
