//! How parties are asked for readings: the table `[pull]`.

use std::time::Duration;

use serde::Deserialize;

use super::{Refused, within};
use crate::pull::PullOptions;

/// Whom to ask stands in the registry; without an endpoint there none of this matters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PullTable {
    after_slot_minutes: u32,
    parallel: u32,
    page_readings: u32,
    request_ms: u32,
    round_ms: u32,
    retries: u32,
    retry_ms: u32,
    rest_after: u32,
    rest_minutes: u32,
    answer_mib: u32,
}

/// 8 parties × 16 MiB of answer = 128 MiB at the worst.
impl Default for PullTable {
    fn default() -> Self {
        Self {
            after_slot_minutes: 5,
            parallel: 8,
            page_readings: 1_000,
            request_ms: 10_000,
            round_ms: 60_000,
            retries: 2,
            retry_ms: 500,
            rest_after: 3,
            rest_minutes: 15,
            answer_mib: 16,
        }
    }
}

impl PullTable {
    /// The options, if they make sense.
    pub(super) fn check(&self) -> Result<PullOptions, Refused> {
        let key = |key, got: u32, least, most| {
            within(got.into(), least, most).map_err(|message| (key, message))
        };
        key("after_slot_minutes", self.after_slot_minutes, 0, 1_440)?;
        key("parallel", self.parallel, 1, 64)?;
        key("page_readings", self.page_readings, 1, 10_000)?;
        key("request_ms", self.request_ms, 100, 600_000)?;
        key("round_ms", self.round_ms, self.request_ms.into(), 3_600_000)?;
        key("retries", self.retries, 0, 10)?;
        key("retry_ms", self.retry_ms, 1, 60_000)?;
        key("rest_after", self.rest_after, 1, 100)?;
        key("rest_minutes", self.rest_minutes, 1, 1_440)?;
        key("answer_mib", self.answer_mib, 1, 64)?;
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let millis = |number: u32| Duration::from_millis(number.into());
        Ok(PullOptions {
            after_slot_minutes: self.after_slot_minutes,
            parallel: size(self.parallel),
            page_readings: size(self.page_readings),
            request_max: millis(self.request_ms),
            round_max: millis(self.round_ms),
            retries: self.retries,
            retry_pause: millis(self.retry_ms),
            rest_after: self.rest_after,
            rest_minutes: self.rest_minutes,
            answer_bytes_max: size(self.answer_mib).saturating_mul(1 << 20),
        })
    }
}
