//! Axes: from values to positions, with ticks at round numbers.

use super::number;

/// A price axis is at least a hundredth of the currency long.
const PRICE_SPAN_MIN: i128 = 10_000;

/// A linear axis whose ends are ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scale {
    /// Value at the start of the axis.
    pub(super) min: i128,
    /// Value at the end of the axis; above `min`.
    pub(super) max: i128,
    /// Distance between ticks: 1, 2 or 5 times a power of ten.
    pub(super) step: i128,
}

impl Scale {
    /// The shortest axis with round ends that holds `min..=max` in at most `intervals_max` steps
    /// (one more when the ends have to be rounded outwards). It is at least `span_min` long.
    pub(super) fn covering(min: i128, max: i128, span_min: i128, intervals_max: i128) -> Self {
        let max = max.max(min + span_min.max(1));
        let step = round_step(max - min, intervals_max);
        let min = min.div_euclid(step) * step;
        let max = -((-max).div_euclid(step)) * step;
        Self { min, max, step }
    }

    /// Position of `value` on an axis drawn from `start` to `end`.
    pub(super) fn place(&self, value: i128, start: i128, end: i128) -> i128 {
        start + (value - self.min) * (end - start) / (self.max - self.min)
    }

    /// Ticks with their labels; labels show the value over `10^digits`.
    pub(super) fn ticks(&self, digits: u32) -> Vec<(i128, String)> {
        let places = number::places_needed(self.step, digits);
        let mut ticks = Vec::new();
        let mut value = self.min;
        while value <= self.max {
            ticks.push((value, number::decimal(value, digits, places)));
            value += self.step;
        }
        ticks
    }
}

/// An axis of energy from zero, and the unit its labels are in.
#[derive(Debug, Clone, Copy)]
pub(super) struct EnergyScale {
    /// The axis, in Wh.
    pub(super) scale: Scale,
    digits: u32,
    /// Unit of the labels.
    pub(super) unit: &'static str,
}

impl EnergyScale {
    /// An axis from zero to at least `wh_max`.
    pub(super) fn up_to(wh_max: i128, intervals_max: i128) -> Self {
        let scale = Scale::covering(0, wh_max, 1_000, intervals_max);
        let (digits, unit) = match scale.max {
            ..100_000_000 => (3, "kWh"),
            100_000_000..100_000_000_000 => (6, "MWh"),
            _ => (9, "GWh"),
        };
        Self { scale, digits, unit }
    }

    /// Ticks with their labels.
    pub(super) fn ticks(&self) -> Vec<(i128, String)> {
        self.scale.ticks(self.digits)
    }
}

/// An axis of prices in micro-currency per kWh. It reaches down to zero when that leaves the
/// prices at least half of the axis.
pub(super) fn price_scale(min: i64, max: i64, intervals_max: i128) -> Scale {
    let (min, max) = (i128::from(min), i128::from(max));
    let min = if min > 0 && min <= max - min { 0 } else { min };
    // Flat prices are drawn as a flat line in the middle, not as noise.
    let spare = (PRICE_SPAN_MIN - (max - min)).max(0);
    Scale::covering(min - spare / 2, max + spare / 2, 1, intervals_max)
}

/// Binary logarithm in 1024ths, rounded down; zero counts as one.
pub(super) fn log2_1024(value: u64) -> i128 {
    let value = value.max(1);
    let whole = value.ilog2();
    // 63 fraction bits, in [1, 2); its square fits in 128 bits.
    let mut mantissa = (u128::from(value) << 63) >> whole;
    let mut fraction = 0;
    for _ in 0..10 {
        mantissa = (mantissa * mantissa) >> 63;
        fraction *= 2;
        if mantissa >= 1 << 64 {
            mantissa >>= 1;
            fraction += 1;
        }
    }
    i128::from(whole) * 1_024 + fraction
}

/// Smallest of 1, 2 and 5 times a power of ten that divides `span` into at most `intervals_max`.
fn round_step(span: i128, intervals_max: i128) -> i128 {
    let mut power = 1;
    loop {
        for step in [power, power * 2, power * 5] {
            if step * intervals_max >= span {
                return step;
            }
        }
        power *= 10;
    }
}
