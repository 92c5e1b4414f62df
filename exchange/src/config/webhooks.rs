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
        key("webhooks.parallel", self.parallel, 1, 64)?;
        key("webhooks.batch", self.batch, 1, 1_000)?;
        key("webhooks.request_ms", self.request_ms, 100, 60_000)?;
        key("webhooks.retry_min_ms", self.retry_min_ms, 10, 3_600_000)?;
        key(
            "webhooks.retry_max_s",
            self.retry_max_s,
            self.retry_min_ms.div_ceil(1_000).into(),
            86_400,
        )?;
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::parse;
    use crate::{init::CONFIG_TEMPLATE, notices::plan::tests::OPTIONS};

    #[test]
    fn calls_of_webhooks_are_bounded() {
        let with = |lines: &str| {
            let text = format!("\n[webhooks]\n{lines}\n[settlement]\n");
            let text = CONFIG_TEMPLATE.replacen("\n[settlement]\n", &text, 1);
            parse(Path::new("g.toml"), &text).map(|config| config.webhooks)
        };
        assert_eq!(with("").unwrap(), OPTIONS, "as in the comments of the template");
        let (_, shown) = CONFIG_TEMPLATE.split_once("# [webhooks]\n").unwrap();
        let shown = shown.lines().map_while(|line| line.strip_prefix("# "));
        let shown: Vec<_> = shown.filter_map(|line| line.split('#').next()).collect();
        assert_eq!(shown.len(), 6);
        assert_eq!(with(&shown.join("\n")).unwrap(), OPTIONS);
        assert!(with("private_networks = true").unwrap().private_networks);
        for (lines, mend) in [
            ("parallel = 65", "webhooks.parallel` is 65, possible are 1 to 64"),
            ("batch = 0", "webhooks.batch` is 0"),
            ("request_ms = 99", "webhooks.request_ms` is 99"),
            ("retry_min_ms = 9", "webhooks.retry_min_ms` is 9"),
            (
                "retry_min_ms = 5001\nretry_max_s = 5",
                "webhooks.retry_max_s` is 5, possible are 6 to",
            ),
            ("retry_max_s = 86401", "webhooks.retry_max_s` is 86401"),
            ("retries = 3", "retries"),
        ] {
            let refused = with(lines).unwrap_err().to_string();
            assert!(refused.contains(mend), "{lines}: {refused}");
        }
    }
}
