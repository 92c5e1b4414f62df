//! What verification still waits for, from whom, and what it did: cycles and documents.

use std::collections::{BTreeMap, BTreeSet};

use types::{DeliverySlot, Digest, MarketId, MeterId, Party, Role, Timestamp};

use super::{Pipeline, VerificationSummary, Work, minute_of};
use crate::{
    error::{Doing as _, SettlementError, fit},
    metering::{self, DocumentKind, DocumentReject},
    store::database::params,
    store::intake,
};

/// Most lines of an answer.
pub(super) const LINES_MAX: usize = 10_000;

/// Readings that are needed and not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingReadings {
    /// Whose readings settle it.
    pub server: Party,
    /// When.
    pub slot: DeliverySlot,
    /// Whose contracts need it; of several markets the first.
    pub market: MarketId,
    /// Of which meter.
    pub meter: MeterId,
    /// There are readings, but an estimate among them.
    pub is_estimated: bool,
}

/// A document that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentLine {
    /// Its number; numbers rise.
    pub number: u64,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// When it came.
    pub received: Timestamp,
    /// Who signed it.
    pub signer: Party,
    /// What it is.
    pub kind: DocumentKind,
    /// How many of its statements were taken.
    pub accepted: u32,
    /// Whether it was taken.
    pub result: Result<(), DocumentReject>,
}

/// A transaction of a verification cycle: a cycle of many contracts has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CycleLine {
    /// Its number, from 1.
    pub number: u64,
    /// When it ran.
    pub at: Timestamp,
    /// Of which market; all of them, if none is named.
    pub market: Option<MarketId>,
    /// What it did.
    pub summary: VerificationSummary,
}

/// Where the verification of a market stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarketStatus {
    /// Which market.
    pub market: MarketId,
    /// Slots that ended and have changed since they were verified.
    pub slots_due: u64,
    /// Contracts of slots that ended and wait for readings.
    pub awaiting: u64,
    /// Contracts with a provisional outcome.
    pub provisional: u64,
    /// When the next of them are settled without their readings.
    pub deadline: Option<Timestamp>,
}

impl Work<'_> {
    pub(super) fn note_cycle(
        &self,
        now: Timestamp,
        market: Option<MarketId>,
        summary: &VerificationSummary,
    ) -> Result<(), SettlementError> {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let row = params![
            now.ns(),
            market.map_or(0, MarketId::get),
            number(summary.slots),
            number(summary.examined),
            number(summary.changed),
            number(summary.corrected),
            number(summary.awaiting),
            number(summary.provisional)
        ];
        self.connection
            .prepare_cached(
                "INSERT INTO cycles
                 (cycle, at, market, slots, examined, changed, corrected, awaiting, provisional)
                 VALUES ((SELECT coalesce(max(cycle), 0) + 1 FROM cycles), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )
            .and_then(|mut insert| insert.write(row))
            .doing("write a cycle")?;
        Ok(())
    }
}

impl Pipeline {
    /// The readings that contracts of slots that ended still need, of one party's meters or of all:
    /// none are there, not all, or estimates. The earliest slots first.
    ///
    /// # Errors
    /// When the database refuses or a row cannot be.
    pub fn missing_readings(
        &self,
        of: Option<Party>,
        now: Timestamp,
    ) -> Result<Vec<MissingReadings>, SettlementError> {
        let mut missing = Vec::new();
        self.each_missing(now, |line| {
            if missing.len() < LINES_MAX && of.is_none_or(|party| party == line.server) {
                missing.push(line);
            }
            missing.len() < LINES_MAX
        })?;
        Ok(missing)
    }

    /// [`Pipeline::missing_readings`] of each of some parties, in one pass: whoever misses much leaves
    /// room for the others. Who misses nothing is not in it.
    ///
    /// # Errors
    /// When the database refuses or a row cannot be.
    pub fn missing_of_each(
        &self,
        parties: &BTreeSet<Party>,
        now: Timestamp,
    ) -> Result<BTreeMap<Party, Vec<MissingReadings>>, SettlementError> {
        let mut missing: BTreeMap<Party, Vec<MissingReadings>> = BTreeMap::new();
        let mut full = 0_usize;
        self.each_missing(now, |line| {
            if parties.contains(&line.server) {
                let own = missing.entry(line.server).or_default();
                if own.len() < LINES_MAX {
                    own.push(line);
                    full = full.saturating_add(usize::from(own.len() == LINES_MAX));
                }
            }
            full < parties.len()
        })?;
        Ok(missing)
    }

    /// Goes through missing readings, by slot and meter, until `goes_on` says no.
    fn each_missing(
        &self,
        now: Timestamp,
        mut goes_on: impl FnMut(MissingReadings) -> bool,
    ) -> Result<(), SettlementError> {
        const DOING: &str = "look for contracts without readings";
        let mut select = self
            .connection()
            .prepare_cached(
                "SELECT start_minute, minutes, buyer, seller, market
                 FROM slots JOIN contracts USING (start_minute, market, minutes)
                 WHERE slots.open = 1 AND end_minute <= ?1 AND (state = 0 OR provisional = 1)
                 ORDER BY start_minute, minutes, market",
            )
            .doing(DOING)?;
        let mut found = select.query([minute_of(now)]).doing(DOING)?;
        let mut slot: Option<DeliverySlot> = None;
        let mut meters: BTreeMap<MeterId, MarketId> = BTreeMap::new();
        while let Some(row) = found.next().doing(DOING)? {
            let (start, minutes) = (row.get(0).doing(DOING)?, row.get(1).doing(DOING)?);
            let next = DeliverySlot::new(start, minutes)
                .map_err(|error| SettlementError::Damaged(error.to_string()))?;
            if let Some(slot) = slot
                && slot != next
                && !self.missing_in(slot, &std::mem::take(&mut meters), &mut goes_on)?
            {
                return Ok(());
            }
            slot = Some(next);
            let market = MarketId::new(row.get(4).doing(DOING)?);
            for column in [2, 3] {
                meters.entry(MeterId::new(row.get(column).doing(DOING)?)).or_insert(market);
            }
        }
        if let Some(slot) = slot {
            self.missing_in(slot, &meters, &mut goes_on)?;
        }
        Ok(())
    }

    /// The missing readings of some meters in one slot; whether to go on.
    fn missing_in(
        &self,
        slot: DeliverySlot,
        meters: &BTreeMap<MeterId, MarketId>,
        goes_on: &mut impl FnMut(MissingReadings) -> bool,
    ) -> Result<bool, SettlementError> {
        let numbers: Vec<MeterId> = meters.keys().copied().collect();
        let blocks = intake::blocks(self.connection(), slot, &numbers)?;
        for (&meter, &market) in meters {
            let from = blocks.partition_point(|(known, _)| *known < meter);
            let to = blocks.partition_point(|(known, _)| *known <= meter);
            let own = blocks.get(from..to).unwrap_or_default();
            let covered = metering::cover(slot, own.iter().map(|(_, block)| block));
            let Some(known) = self.registry().meter(meter) else { continue };
            let server = self.registry().server_at(known, slot.start_minute());
            let is_estimated = covered.is_complete;
            if (!covered.is_complete || covered.is_estimated)
                && !goes_on(MissingReadings { server, slot, market, meter, is_estimated })
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The documents after a number that a party signed, or all.
    ///
    /// # Errors
    /// When the database refuses or a row cannot be.
    pub fn documents(
        &self,
        of: Option<Party>,
        after: u64,
    ) -> Result<Vec<DocumentLine>, SettlementError> {
        const DOING: &str = "read the documents";
        let mut select = self
            .connection()
            .prepare_cached(
                "SELECT document, digest, received, signer_role, signer, kind, accepted, reject
                 FROM documents WHERE document > ?1
                 AND ((signer_role = ?2 AND signer = ?3) OR ?2 IS NULL)
                 ORDER BY document LIMIT ?4",
            )
            .doing(DOING)?;
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit = i64::try_from(LINES_MAX).unwrap_or(i64::MAX);
        let (role, number) = (of.map(|party| party.role.code()), of.map(|party| party.number));
        let mut found = select.query(params![after, role, number, limit]).doing(DOING)?;
        let mut lines = Vec::new();
        while let Some(row) = found.next().doing(DOING)? {
            let number = fit(row.get::<i64>(0).doing(DOING)?, "a document's number")?;
            let damaged = || SettlementError::Damaged(format!("document {number}"));
            let role = Role::from_code(row.get(3).doing(DOING)?).ok_or_else(damaged)?;
            let kind = DocumentKind::from_code(row.get(5).doing(DOING)?).ok_or_else(damaged)?;
            let result = match row.get(7).doing(DOING)? {
                0 => Ok(()),
                code => Err(DocumentReject::from_code(code).ok_or_else(damaged)?),
            };
            lines.push(DocumentLine {
                number,
                digest: Digest::new(row.get(1).doing(DOING)?),
                received: Timestamp::from_ns(row.get(2).doing(DOING)?),
                signer: Party { role, number: row.get(4).doing(DOING)? },
                kind,
                accepted: row.get(6).doing(DOING)?,
                result,
            });
        }
        Ok(lines)
    }

    /// The last cycles that looked at something, the newest first.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn cycles(&self, most: u32) -> Result<Vec<CycleLine>, SettlementError> {
        const DOING: &str = "read the cycles";
        let mut select = self
            .connection()
            .prepare_cached(
                "SELECT cycle, at, market, slots, examined, changed, corrected, awaiting,
                 provisional FROM cycles ORDER BY cycle DESC LIMIT ?1",
            )
            .doing(DOING)?;
        let mut found = select.query([most]).doing(DOING)?;
        let mut lines = Vec::new();
        while let Some(row) = found.next().doing(DOING)? {
            let number = |column: usize| -> Result<u64, SettlementError> {
                fit(row.get::<i64>(column).doing(DOING)?, "a number of a cycle")
            };
            let market: u16 = row.get(2).doing(DOING)?;
            lines.push(CycleLine {
                number: number(0)?,
                at: Timestamp::from_ns(row.get(1).doing(DOING)?),
                market: (market > 0).then(|| MarketId::new(market)),
                summary: VerificationSummary {
                    slots: number(3)?,
                    examined: number(4)?,
                    changed: number(5)?,
                    corrected: number(6)?,
                    awaiting: number(7)?,
                    provisional: number(8)?,
                },
            });
        }
        Ok(lines)
    }

    /// Where the verification of every market stands.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn verification_status(
        &self,
        now: Timestamp,
    ) -> Result<Vec<MarketStatus>, SettlementError> {
        const DOING: &str = "read where verification stands";
        let mut select = self
            .connection()
            .prepare_cached(
                "SELECT market,
                 (SELECT count(*) FROM slots s WHERE s.market = m.market AND s.dirty = 1
                  AND s.end_minute <= ?1),
                 (SELECT count(*) FROM slots s JOIN contracts c USING (start_minute, market, minutes)
                  WHERE s.open = 1 AND s.market = m.market AND s.end_minute <= ?1 AND c.state = 0),
                 (SELECT count(*) FROM slots s JOIN contracts c USING (start_minute, market, minutes)
                  WHERE s.open = 1 AND s.market = m.market AND c.provisional = 1),
                 (SELECT min(waiting) FROM slots s WHERE s.market = m.market
                  AND s.waiting IS NOT NULL)
                 FROM markets m ORDER BY market",
            )
            .doing(DOING)?;
        let mut found = select.query([minute_of(now)]).doing(DOING)?;
        let mut lines = Vec::new();
        while let Some(row) = found.next().doing(DOING)? {
            let number = |column: usize| -> Result<u64, SettlementError> {
                fit(row.get::<i64>(column).doing(DOING)?, "a count")
            };
            let deadline: Option<i64> = row.get(4).doing(DOING)?;
            lines.push(MarketStatus {
                market: MarketId::new(row.get(0).doing(DOING)?),
                slots_due: number(1)?,
                awaiting: number(2)?,
                provisional: number(3)?,
                deadline: deadline.map(|minute| Timestamp::from_seconds(minute.saturating_mul(60))),
            });
        }
        Ok(lines)
    }
}
