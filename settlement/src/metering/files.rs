//! Meter files of other systems as statements: whole watt-hours of both registers, interval by
//! interval.
//!
//! Files count in fractions of a watt-hour. Intervals are never rounded one by one: of each register
//! of a meter, the exact sum since the day began is rounded down, and an interval gets what it adds
//! to that. So the slots of a day sum to the day's exact sum, rounded down, however they are cut;
//! what is below a watt-hour at the end of the day is dropped. The day is that of the format's clock,
//! and only the file decides: another file of the same day begins its own sum.

use std::collections::BTreeMap;

use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use types::{DeliverySlot, Energy, Party};

use super::{
    DocumentReject, FileHead, Key, Quality, Statement,
    document::on_grid,
    formats::{self, Direction, Format, FormatError, MeterData, Problem, Series},
};
use crate::{
    allocation::Metered,
    capture::ENERGY_WH_MAX,
    metering::Bounds,
    registry::{Meter, MeterCode, Registry},
};

/// Reads the bytes of a signed meter file. The statements are in order of time.
///
/// # Errors
/// The first rule it breaks.
pub fn read(
    signer: Party,
    head: FileHead,
    bytes: &[u8],
    bounds: Bounds<'_>,
) -> Result<Vec<Statement>, DocumentReject> {
    let data = formats::read(&mut &*bytes, bounds.received).map_err(|error| reason(&error))?;
    if data.format != head.format {
        return Err(DocumentReject::FormatMismatch);
    }
    statements(signer, data, bounds.registry)
}

fn reason(error: &FormatError) -> DocumentReject {
    match error.problem {
        Problem::TooLarge => DocumentReject::TooLarge,
        Problem::Truncated => DocumentReject::Truncated,
        Problem::Negative | Problem::Missing => DocumentReject::NegativeOrMissing,
        Problem::Unit => DocumentReject::WrongUnit,
        Problem::Misaligned | Problem::IntervalLength => DocumentReject::Misaligned,
        Problem::Duplicate => DocumentReject::RepeatedReading,
        Problem::Future => DocumentReject::Future,
        Problem::Unreadable
        | Problem::Empty
        | Problem::Compressed
        | Problem::UnknownFormat
        | Problem::NotText
        | Problem::Version
        | Problem::OutOfPlace
        | Problem::Malformed
        | Problem::Number
        | Problem::Quality
        | Problem::Unresolved
        | Problem::NoReadings
        | Problem::OtherDocument => DocumentReject::FileInvalid,
    }
}

/// What a file says of an interval of a meter, while its channels are put together.
#[derive(Debug, Clone, Copy)]
struct Cell {
    /// When it begins, in seconds since 1970.
    start: i64,
    seconds: u32,
    metered: Metered,
    quality: Quality,
    /// How many channels of each register speak of it.
    channels: [u16; 2],
    /// The file says that the meter did not count.
    is_void: bool,
}

fn statements(
    signer: Party,
    data: MeterData,
    registry: &Registry,
) -> Result<Vec<Statement>, DocumentReject> {
    let mut by_meter: BTreeMap<String, Vec<Series>> = BTreeMap::new();
    let format = data.format;
    for series in data.series {
        if series.direction != Direction::Neither {
            by_meter.entry(series.meter.clone()).or_default().push(series);
        }
    }
    let mut all = Vec::new();
    // Each meter's series are dropped when its statements are made.
    for (name, channels) in by_meter {
        let code = MeterCode::new(&name).map_err(|_| DocumentReject::UnknownCode)?;
        let meter = registry.meter_named(signer, code).ok_or(DocumentReject::UnknownCode)?;
        for cell in join(format, &channels, meter)? {
            let minutes = cell.seconds.div_euclid(60);
            let minutes = u16::try_from(minutes).map_err(|_| DocumentReject::Misaligned)?;
            if !registry.has_use_for_blocks_of(minutes) {
                return Err(DocumentReject::Misaligned);
            }
            let start = u32::try_from(cell.start.div_euclid(60));
            let start = start.map_err(|_| DocumentReject::OutOfRange)?;
            let slot = DeliverySlot::new(start, minutes).map_err(|_| DocumentReject::Misaligned)?;
            let key = Key { meter: meter.id, slot: on_grid(slot)? };
            all.push(Statement { key, metered: cell.metered, quality: cell.quality });
        }
    }
    if all.is_empty() {
        return Err(DocumentReject::NegativeOrMissing);
    }
    all.sort_unstable_by_key(|statement| (statement.key.slot, statement.key.meter));
    let key = |statement: &Statement| (statement.key.slot.start_minute(), statement.key.meter);
    // Two names of one meter in one file.
    if all.windows(2).any(|pair| matches!(pair, [first, second] if key(first) == key(second))) {
        return Err(DocumentReject::RepeatedReading);
    }
    Ok(all)
}

/// Both registers of a meter, from however many channels; an interval that a channel calls void is
/// left out.
fn join(format: Format, channels: &[Series], meter: &Meter) -> Result<Vec<Cell>, DocumentReject> {
    let mut cells: Vec<Cell> = Vec::new();
    let mut expected = [0_u16; 2];
    for (series, number) in channels.iter().zip(0_usize..) {
        let register = usize::from(series.direction == Direction::Withdrawn);
        if let Some(count) = expected.get_mut(register) {
            *count = count.saturating_add(1);
        }
        let mut place = 0;
        let mut carry = Carry::default();
        for reading in &series.readings {
            let name = series.qualities.get(usize::from(reading.quality));
            let quality = formats::quality_of(format, name.map_or("", String::as_str));
            let energy = carry.add(series, reading)?;
            let cell = if number == 0 {
                cells.push(Cell {
                    start: reading.start,
                    seconds: reading.seconds,
                    metered: Metered::default(),
                    quality: Quality::Measured,
                    channels: [0; 2],
                    is_void: false,
                });
                cells.last_mut()
            } else {
                // Both are in order of time.
                while cells.get(place).is_some_and(|cell| cell.start < reading.start) {
                    place = place.saturating_add(1);
                }
                cells
                    .get_mut(place)
                    .filter(|cell| (cell.start, cell.seconds) == (reading.start, reading.seconds))
            };
            // What one channel counted, another one left out.
            let cell = cell.ok_or(DocumentReject::NegativeOrMissing)?;
            let sum = if register == 0 {
                &mut cell.metered.injected
            } else {
                &mut cell.metered.withdrawn
            };
            *sum = sum.checked_add(energy).ok_or(DocumentReject::OutOfRange)?;
            if let Some(count) = cell.channels.get_mut(register) {
                *count = count.saturating_add(1);
            }
            match quality {
                Some(quality) => cell.quality = cell.quality.max(quality),
                None => cell.is_void = true,
            }
        }
    }
    // A register that the meter is certified for has to be in the file.
    let capacities = [meter.injection_max, meter.withdrawal_max];
    let is_missing = |(capacity, count): (&types::Power, &u16)| capacity.w() > 0 && *count == 0;
    let is_partial = |cell: &Cell| cell.channels != expected;
    if capacities.iter().zip(&expected).any(is_missing) || cells.iter().any(is_partial) {
        return Err(DocumentReject::NegativeOrMissing);
    }
    cells.retain(|cell| !cell.is_void);
    Ok(cells)
}

/// The exact sum of a register since its day began.
#[derive(Debug, Default)]
struct Carry {
    day: Option<i64>,
    exact: Decimal,
    /// What of it is given away already.
    whole: u64,
}

impl Carry {
    /// The whole watt-hours that a reading adds.
    /// Rule S-10.
    fn add(
        &mut self,
        series: &Series,
        reading: &formats::Reading,
    ) -> Result<Energy, DocumentReject> {
        const DAY_SECONDS: i64 = 86_400;
        let local = reading.start.saturating_add(i64::from(series.clock.offset_seconds()));
        let day = Some(local.div_euclid(DAY_SECONDS));
        if self.day != day {
            *self = Self { day, ..Self::default() };
        }
        let factor = 10_i64.checked_pow(u32::from(series.unit.exponent));
        let factor = Decimal::from(factor.ok_or(DocumentReject::WrongUnit)?);
        let wh = reading.value.checked_mul(factor).ok_or(DocumentReject::OutOfRange)?;
        let exact = self.exact.checked_add(wh).ok_or(DocumentReject::OutOfRange)?;
        self.exact = exact;
        let whole = exact.floor().to_u64().ok_or(DocumentReject::OutOfRange)?;
        let added = whole.saturating_sub(self.whole);
        self.whole = whole;
        if added > ENERGY_WH_MAX {
            Err(DocumentReject::OutOfRange)
        } else {
            Ok(Energy::from_wh(added))
        }
    }
}
