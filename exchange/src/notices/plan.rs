//! When a webhook that failed is called again. Pure: chance is an argument.

use std::time::Duration;

use super::WebhookOptions;

/// Doublings after which the pause grows no more, whatever the options are: 10 ms × 2^24 are two days.
const DOUBLED_MAX: u32 = 24;

/// The pause after so many failures in a row, from 1: doubled from one to the next up to the longest, and
/// of that between a half and the whole, as `chance` has it.
#[must_use]
pub fn pause(options: &WebhookOptions, failures: u32, chance: u64) -> Duration {
    let doubled = 1_u32 << failures.saturating_sub(1).min(DOUBLED_MAX);
    let whole = options.retry_min.saturating_mul(doubled).min(options.retry_max);
    let micros = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX);
    let half = micros.div_euclid(2);
    let more = chance.checked_rem(half.saturating_add(1)).unwrap_or(0);
    Duration::from_micros(half.saturating_add(more))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// As in the comments of the template.
    pub(crate) const OPTIONS: WebhookOptions = WebhookOptions {
        parallel: 8,
        batch: 100,
        request_max: Duration::from_secs(10),
        retry_min: Duration::from_secs(1),
        retry_max: Duration::from_secs(900),
        private_networks: false,
    };

    #[test]
    fn pauses_double_up_to_the_longest_and_are_never_all_the_same() {
        let at = |failures, chance| pause(&OPTIONS, failures, chance).as_micros();
        assert_eq!((at(1, 0), at(1, 500_000)), (500_000, 1_000_000));
        assert_eq!((at(2, 0), at(3, 0)), (1_000_000, 2_000_000));
        for failures in [11, 12, 40, u32::MAX] {
            assert_eq!(at(failures, 450_000_000), 900_000_000, "{failures}");
            assert!(at(failures, 12_345) < 900_000_000);
        }
    }
}
