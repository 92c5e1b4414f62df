//! How parties are told what happens: the table `[webhooks]`.

use std::time::Duration;

use serde::Deserialize;

use super::{Refused, within};
use crate::notices::WebhookOptions;

/// Whom to tell, and where, stands in the registry; without a webhook there none of this matters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WebhooksTable {
    parallel: u32,
    batch: u32,
    request_ms: u32,
    retry_min_ms: u32,
    retry_max_s: u32,
    private_networks: bool,
}

/// 8 calls × 100 notices × 1 KiB = 1 MiB.
impl Default for WebhooksTable {
    fn default() -> Self {
        Self {
            parallel: 8,
            batch: 100,
            request_ms: 10_000,
            retry_min_ms: 1_000,
            retry_max_s: 900,
            private_networks: false,
        }
    }
}

impl WebhooksTable {
    /// The options, if they make sense.
    pub(super) fn check(&self) -> Result<WebhookOptions, Refused> {
        let key = |key, got: u32, least, most| {
            within(got.into(), least, most).map_err(|message| (key, message))
        };
        key("parallel", self.parallel, 1, 64)?;
        key("batch", self.batch, 1, 1_000)?;
        key("request_ms", self.request_ms, 100, 60_000)?;
        key("retry_min_ms", self.retry_min_ms, 10, 3_600_000)?;
        key("retry_max_s", self.retry_max_s, self.retry_min_ms.div_ceil(1_000).into(), 86_400)?;
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(WebhookOptions {
            parallel: size(self.parallel),
            batch: size(self.batch),
            request_max: Duration::from_millis(self.request_ms.into()),
            retry_min: Duration::from_millis(self.retry_min_ms.into()),
            retry_max: Duration::from_secs(self.retry_max_s.into()),
            private_networks: self.private_networks,
        })
    }
}
