//! Percentiles.

use std::time::Duration;

use hdrhistogram::{CreationError, Histogram};
use serde::Serialize;

use crate::rate;

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

    /// The longest, in nanoseconds.
    #[must_use]
    pub fn max_ns(&self) -> u64 {
        self.ns.max()
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
