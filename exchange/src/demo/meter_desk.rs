//! Simulated retailers: they sign what meters counted and send it over QUIC. Some files are late, some are badly signed, some are corrected, some
//! are contradicted by a second one of the same revision, and one never comes.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use gateway::client::{ClientError, DataClient};
use settlement::{Interval, MeterFile, Quality, Reading, allocation::Metered, seal};
use types::{DeliverySlot, Energy, MarketId, MeterId, Party};

use super::{
    dice::{Dice, Question},
    household::{Day, Household},
};

/// Slots in one meter file.
pub const FILE_SLOTS: usize = 4;
/// Quarter hours after which a late file arrives.
const LATE_STEPS: usize = 16;
/// Quarter hours after which a badly signed file is sent again.
const RESEND_STEPS: usize = 4;
/// Quarter hours after which a wrong file is corrected.
const CORRECT_STEPS: usize = 8;
/// Quarter hours after which a file is contradicted.
const CONTRADICT_STEPS: usize = 2;

/// What the desks did and were told.
#[derive(Debug, Default, Clone, Copy)]
pub struct DeskCounts {
    /// Documents sent.
    pub documents: u64,
    /// Documents refused.
    pub refused: u64,
    /// Readings and curtailments taken.
    pub accepted: u64,
    /// Files that came late.
    pub late: u64,
    /// Files that were corrected.
    pub corrected: u64,
    /// Files that a second one of the same revision contradicted.
    pub contradicted: u64,
    /// Curtailments among the documents.
    pub curtailments: u64,
}

impl DeskCounts {
    pub(super) fn note(&mut self, receipt: wire::data::Receipt) {
        self.documents = self.documents.saturating_add(1);
        self.refused = self.refused.saturating_add(u64::from(receipt.reason != 0));
        self.accepted = self.accepted.saturating_add(receipt.accepted.into());
    }
}

/// One signer with its connection.
#[derive(Debug)]
pub struct Desk {
    /// Who signs.
    pub party: Party,
    /// With which key.
    pub key: SigningKey,
    /// How it reaches the exchange.
    pub client: DataClient,
}

/// What happens to a file on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    OnTime,
    Late,
    BadlySigned,
    Corrected,
    Contradicted,
    Lost,
}

/// What every meter really did, outages and curtailments included.
#[derive(Debug)]
pub struct Actuals<'a> {
    /// The data.
    pub day: &'a Day,
    /// The seed.
    pub dice: Dice,
    /// Curtailed meters: their caps by meter and quarter hour.
    pub caps: BTreeMap<(MeterId, usize), Energy>,
}

impl Actuals<'_> {
    /// Meters inject no more than their caps in a quarter hour.
    pub fn hold_to(&mut self, quarter: usize, caps: &[(MeterId, Energy)]) {
        for &(meter, cap) in caps {
            let known = self.caps.entry((meter, quarter)).or_insert(cap);
            *known = cap.min(*known);
        }
    }

    /// What the meter counted in a quarter hour.
    #[must_use]
    pub fn metered(&self, meter: MeterId, household: &Household, quarter: usize) -> Metered {
        let slot = u32::try_from(quarter).unwrap_or(u32::MAX);
        let metered = self.day.metered(household, quarter);
        if metered.injected.is_zero() {
            return metered;
        }
        // Twelve in a thousand producing quarter hours: the plant trips.
        if self.dice.roll(Question::Outage, meter.get(), slot, 1_000) < 12 {
            return self.day.metered_without_plant(household, quarter);
        }
        let cap = self.caps.get(&(meter, quarter)).copied();
        Metered { injected: metered.injected.min(cap.unwrap_or(metered.injected)), ..metered }
    }
}

/// A span of slots that one file covers.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// The slots.
    pub slots: &'a [DeliverySlot],
    /// Quarter hour of the day of the first.
    pub first_quarter: usize,
    /// Number of the file in the day.
    pub file: u32,
}

/// All desks, and the files that are still under way.
#[derive(Debug)]
pub struct Desks {
    /// Retailers by number.
    pub retailers: Vec<Desk>,
    /// Utilities by number.
    pub utilities: Vec<Desk>,
    /// What they did.
    pub counts: DeskCounts,
    /// Signed documents to be sent at a step.
    under_way: BTreeMap<usize, Vec<(usize, Vec<u8>)>>,
    /// The file that never comes: retailer index and file number.
    lost: (usize, u32),
}

impl Desks {
    /// Desks that lose one of `files` files.
    #[must_use]
    pub fn new(retailers: Vec<Desk>, utilities: Vec<Desk>, dice: Dice, files: u32) -> Self {
        let sides = u64::try_from(retailers.len()).unwrap_or(1);
        let retailer = dice.roll(Question::LostFile, 0, 0, sides);
        let file = dice.roll(Question::LostFile, 0, 1, files.into());
        let lost = (usize::try_from(retailer).unwrap_or(0), u32::try_from(file).unwrap_or(0));
        Self {
            retailers,
            utilities,
            counts: DeskCounts::default(),
            under_way: BTreeMap::new(),
            lost,
        }
    }

    /// Signs and sends the readings of a span, each retailer for its meters.
    ///
    /// # Errors
    /// When a connection is lost.
    pub async fn report(
        &mut self,
        step: usize,
        span: Span<'_>,
        market: MarketId,
        actuals: &Actuals<'_>,
    ) -> Result<(), ClientError> {
        for index in 0..self.retailers.len() {
            let Some(desk) = self.retailers.get(index) else { continue };
            let file = meter_file(desk.party.number, span, market, actuals);
            if file.intervals.iter().all(|interval| interval.readings.is_empty()) {
                continue;
            }
            let sealed = seal(desk.party, &desk.key, &file.to_body());
            match self.fate(index, span.file, actuals.dice) {
                Fate::OnTime => self.send(index, &sealed).await?,
                Fate::Late => {
                    self.counts.late = self.counts.late.saturating_add(1);
                    self.later(step.saturating_add(LATE_STEPS), index, sealed);
                }
                Fate::BadlySigned => {
                    let intruder = SigningKey::from_bytes(&[0x42; 32]);
                    let forged = seal(desk.party, &intruder, &file.to_body());
                    self.send(index, &forged).await?;
                    self.later(step.saturating_add(RESEND_STEPS), index, sealed);
                }
                Fate::Corrected => {
                    self.counts.corrected = self.counts.corrected.saturating_add(1);
                    let wrong = seal(desk.party, &desk.key, &misread(&file).to_body());
                    let corrected = MeterFile { revision: 2, ..file };
                    let sealed = seal(desk.party, &desk.key, &corrected.to_body());
                    self.send(index, &wrong).await?;
                    self.later(step.saturating_add(CORRECT_STEPS), index, sealed);
                }
                Fate::Contradicted => {
                    self.counts.contradicted = self.counts.contradicted.saturating_add(1);
                    let other = seal(desk.party, &desk.key, &misread(&file).to_body());
                    self.send(index, &sealed).await?;
                    self.later(step.saturating_add(CONTRADICT_STEPS), index, other);
                }
                Fate::Lost => {}
            }
        }
        Ok(())
    }

    /// Signs and sends a file of a retailer, by its number.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn report_file(
        &mut self,
        retailer: u16,
        file: &MeterFile,
    ) -> Result<(), ClientError> {
        let found = self.retailers.iter().position(|desk| desk.party.number == retailer);
        let Some((index, desk)) = found.and_then(|at| Some((at, self.retailers.get(at)?))) else {
            return Ok(());
        };
        let sealed = seal(desk.party, &desk.key, &file.to_body());
        self.send(index, &sealed).await
    }

    /// Sends what was under way until this step.
    ///
    /// # Errors
    /// When a connection is lost.
    pub async fn send_due(&mut self, step: usize) -> Result<(), ClientError> {
        let later = self.under_way.split_off(&step.saturating_add(1));
        let due = std::mem::replace(&mut self.under_way, later);
        for (index, document) in due.into_values().flatten() {
            self.send(index, &document).await?;
        }
        Ok(())
    }

    /// The last step at which something is still under way.
    #[must_use]
    pub fn last_step(&self) -> Option<usize> {
        self.under_way.keys().next_back().copied()
    }

    fn fate(&self, index: usize, file: u32, dice: Dice) -> Fate {
        if self.lost == (index, file) {
            return Fate::Lost;
        }
        let retailer = u32::try_from(index).unwrap_or(0);
        match dice.roll(Question::FileFate, retailer, file, 100) {
            0..5 => Fate::Late,
            5..9 => Fate::BadlySigned,
            9..12 => Fate::Corrected,
            12..14 => Fate::Contradicted,
            _ => Fate::OnTime,
        }
    }

    fn later(&mut self, step: usize, index: usize, document: Vec<u8>) {
        self.under_way.entry(step).or_default().push((index, document));
    }

    async fn send(&mut self, index: usize, document: &[u8]) -> Result<(), ClientError> {
        if let Some(desk) = self.retailers.get(index) {
            let receipt = desk.client.submit(document).await?;
            self.counts.note(receipt);
        }
        Ok(())
    }
}

/// The readings of one retailer's meters over a span.
fn meter_file(retailer: u16, span: Span<'_>, market: MarketId, actuals: &Actuals<'_>) -> MeterFile {
    let intervals = (span.first_quarter..)
        .zip(span.slots)
        .map(|(quarter, slot)| Interval {
            start: slot.start(),
            readings: (1_u32..)
                .zip(&actuals.day.households)
                .filter(|(_, household)| household.retailer == retailer)
                .map(|(number, household)| {
                    let meter = MeterId::new(number);
                    let metered = actuals.metered(meter, household, quarter);
                    Reading { meter, metered, quality: Quality::Measured }
                })
                .collect(),
        })
        .collect();
    let minutes = span.slots.first().map_or(15, |slot| slot.minutes());
    MeterFile { market, revision: 1, minutes, intervals }
}

/// The same file with every tenth reading too low by half.
fn misread(file: &MeterFile) -> MeterFile {
    let mut file = file.clone();
    for interval in &mut file.intervals {
        for reading in interval.readings.iter_mut().step_by(10) {
            let half = |energy: Energy| Energy::from_wh(energy.wh().div_euclid(2));
            reading.metered = Metered {
                injected: half(reading.metered.injected),
                withdrawn: half(reading.metered.withdrawn),
            };
        }
    }
    file
}
