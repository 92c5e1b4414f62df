//! Integers to rates.

use std::time::Duration;

/// How many a second.
#[must_use]
pub fn per_second(count: u64, elapsed: Duration) -> u64 {
    let ns = elapsed.as_nanos().max(1);
    u64::try_from(u128::from(count).saturating_mul(1_000_000_000) / ns).unwrap_or(u64::MAX)
}

/// A quotient with one decimal, for reports.
#[must_use]
#[expect(clippy::float_arithmetic, reason = "a report may print floats")]
pub fn tenths(numerator: u128, denominator: u64) -> f64 {
    let tenths = numerator.saturating_mul(10) / u128::from(denominator.max(1));
    f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0
}

/// A duration in milliseconds with one decimal, for reports.
#[must_use]
pub fn milliseconds(duration: Duration) -> f64 {
    tenths(duration.as_nanos(), 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_divide() {
        assert_eq!(per_second(500, Duration::from_millis(250)), 2_000);
        assert_eq!(per_second(1, Duration::ZERO), 1_000_000_000);
        assert_eq!(tenths(25, 10), 2.5);
        assert_eq!(milliseconds(Duration::from_micros(1_250)), 1.2);
    }
}
