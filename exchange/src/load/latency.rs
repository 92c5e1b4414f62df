//! Percentiles.

use std::{fmt::Write as _, time::Duration};

use hdrhistogram::{CreationError, Histogram};
use serde::Serialize;

use super::rate;

/// Durations, kept with three significant digits up to ten minutes.
#[derive(Debug, Clone)]
pub struct Latencies {
    ns: Histogram<u64>,
}

/// What is printed of them, in microseconds.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the names are the percentiles")]
pub struct Percentiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub p9999: f64,
    pub max: f64,
}

impl Latencies {
    /// None yet.
    ///
    /// # Errors
    /// Never with these bounds.
    pub fn new() -> Result<Self, CreationError> {
        Ok(Self { ns: Histogram::new_with_bounds(1, 600_000_000_000, 3)? })
    }

    /// Notes one duration.
    pub fn record(&mut self, duration: Duration) {
        self.record_ns(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Notes one duration in nanoseconds.
    pub fn record_ns(&mut self, ns: u64) {
        self.ns.saturating_record(ns);
    }

    /// Takes another's durations in.
    pub fn add(&mut self, other: &Self) {
        // Both have the same bounds, so nothing can be out of range.
        self.ns.add(&other.ns).ok();
    }

    /// One of them, in nanoseconds.
    #[must_use]
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        self.ns.value_at_quantile(quantile)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ns.len()
    }

    /// The longest, in nanoseconds.
    #[must_use]
    pub fn max_ns(&self) -> u64 {
        self.ns.max()
    }

    /// The distribution as HdrHistogram's tools plot it (`.hgrm`), values in microseconds.
    #[must_use]
    #[expect(clippy::float_arithmetic, reason = "a report may print floats")]
    pub fn hgrm(&self) -> String {
        let mut text = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
        let mut counted = 0;
        for step in self.ns.iter_quantiles(5) {
            counted += step.count_since_last_iteration();
            let (value, quantile) = (step.value_iterated_to(), step.quantile_iterated_to());
            let us = format!("{}.{:03}", value / 1_000, value % 1_000);
            let inverse = 1.0 / (1.0 - quantile);
            let inverse = if inverse.is_finite() { format!("{inverse:.2}") } else { String::new() };
            // Writing to a string cannot fail.
            writeln!(text, "{us:>12} {quantile:.12} {counted:>10} {inverse:>14}").ok();
        }
        text
    }

    /// The durations themselves, in nanoseconds.
    #[must_use]
    pub const fn histogram(&self) -> &Histogram<u64> {
        &self.ns
    }

    /// In microseconds.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        let us = |quantile| rate::tenths(self.quantile_ns(quantile).into(), 1_000);
        Percentiles {
            p50: us(0.5),
            p90: us(0.9),
            p99: us(0.99),
            p999: us(0.999),
            p9999: us(0.9999),
            max: rate::tenths(self.max_ns().into(), 1_000),
        }
    }
}
