//! The payment rail: the table `[rails]`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use settlement::{Pace, Policy};
use types::PublicKey;

use super::{ConfigError, Refused, within};
use crate::rails::{
    RailOptions,
    http::{Endpoint, EndpointError},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RailsTable {
    url: String,
    authority_file: Option<PathBuf>,
    listen: SocketAddr,
    secret_file: PathBuf,
    event_key: Option<String>,
    #[serde(default = "default_window_s")]
    window_s: u32,
    #[serde(default = "default_in_flight")]
    in_flight: u32,
    #[serde(default = "default_deadline_ms")]
    deadline_ms: u32,
    #[serde(default = "default_retry_min_s")]
    retry_min_s: u32,
    #[serde(default = "default_retry_max_s")]
    retry_max_s: u32,
    #[serde(default = "default_query_s")]
    query_s: u32,
}

/// Five minutes: clocks of machines that keep them differ by less.
const fn default_window_s() -> u32 {
    300
}

/// 8 in flight at 50 ms each are 160 instructions a second.
const fn default_in_flight() -> u32 {
    8
}

/// Five seconds.
const fn default_deadline_ms() -> u32 {
    5_000
}

/// As long as a deadline.
const fn default_retry_min_s() -> u32 {
    5
}

/// A quarter of an hour.
const fn default_retry_max_s() -> u32 {
    900
}

/// A minute without an event.
const fn default_query_s() -> u32 {
    60
}

/// The rail, if the policy uses one too; `path` is for messages.
pub(super) fn check(
    path: &Path,
    table: Option<&RailsTable>,
    policy: &Policy,
) -> Result<Option<RailOptions>, ConfigError> {
    options(table, policy).map_err(|(key, message)| ConfigError::Value {
        path: path.to_owned(),
        key: format!("rails{key}"),
        message,
    })
}

fn options(table: Option<&RailsTable>, policy: &Policy) -> Result<Option<RailOptions>, Refused> {
    let Some(table) = table else {
        return match policy.rail {
            None => Ok(None),
            Some(_) => {
                Err(("", "is missing: the policy has `rail`, and nobody would be asked".to_owned()))
            }
        };
    };
    if policy.rail.is_none() {
        return Err(("", "needs `rail = {}` in `settlement.policy`".to_owned()));
    }
    let range = |key, got: u32, least, most| {
        within(got.into(), least, most).map_err(|message| (key, message))
    };
    range(".window_s", table.window_s, 10, 86_400)?;
    range(".in_flight", table.in_flight, 1, 64)?;
    range(".deadline_ms", table.deadline_ms, 100, 60_000)?;
    range(".retry_min_s", table.retry_min_s, 1, 3_600)?;
    range(".retry_max_s", table.retry_max_s, table.retry_min_s.into(), 86_400)?;
    range(".query_s", table.query_s, 1, 86_400)?;
    // Certificates are read when the rail is used.
    match Endpoint::parse(&table.url, None) {
        Ok(_) => {}
        Err(EndpointError::NoAuthority) if table.authority_file.is_some() => {}
        Err(EndpointError::NoAuthority) => {
            return Err((".authority_file", "is missing: `https` needs it".to_owned()));
        }
        Err(error) => return Err((".url", error.to_string())),
    }
    let key = |text: &String| {
        let bytes = STANDARD.decode(text).ok();
        let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
        let refused = || (".event_key", "is no base64 of an Ed25519 key, 32 bytes".to_owned());
        bytes.map(PublicKey::new).ok_or_else(refused)
    };
    Ok(Some(RailOptions {
        url: table.url.clone(),
        authority: table.authority_file.clone(),
        listen: table.listen,
        secret: table.secret_file.clone(),
        event_key: table.event_key.as_ref().map(key).transpose()?,
        window_s: table.window_s,
        in_flight: table.in_flight,
        deadline: Duration::from_millis(table.deadline_ms.into()),
        pace: Pace {
            retry_min_s: table.retry_min_s,
            retry_max_s: table.retry_max_s,
            query_s: table.query_s,
        },
    }))
}
