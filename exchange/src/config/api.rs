//! The HTTP API and the listener for operations: the tables `[api]` and `[operations]`.

use std::net::SocketAddr;

use gateway::throttle::Rate;
use serde::Deserialize;

use super::{Refused, within};
use crate::api::ApiOptions;

/// Without this table there is no API.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiTable {
    listen: SocketAddr,
    #[serde(default = "default_threads")]
    threads: u32,
    #[serde(default = "default_connections")]
    connections: u32,
    #[serde(default = "default_requests")]
    requests_per_s: u32,
    #[serde(default = "default_requests")]
    requests_burst: u32,
    #[serde(default = "default_body_kib")]
    body_kib: u32,
    #[serde(default = "default_depth")]
    depth: u32,
}

/// Without this table nothing listens for operations.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OperationsTable {
    pub(super) listen: SocketAddr,
}

/// One core is left to reads.
const fn default_threads() -> u32 {
    1
}

/// 256 × 100 KiB of buffers = 25 MiB.
const fn default_connections() -> u32 {
    256
}

/// A tenth of what a thread answers.
const fn default_requests() -> u32 {
    2_000
}

/// A put has a kilobyte.
const fn default_body_kib() -> u32 {
    64
}

/// The deepest body of the service has four levels.
const fn default_depth() -> u32 {
    8
}

impl ApiTable {
    /// The options, if they make sense.
    pub(super) fn check(&self) -> Result<ApiOptions, Refused> {
        let key = |key, got: u32, least, most| {
            within(got.into(), least, most).map_err(|message| (key, message))
        };
        key("threads", self.threads, 1, 16)?;
        key("connections", self.connections, 1, 4_096)?;
        key("requests_per_s", self.requests_per_s, 0, 1_000_000)?;
        key("requests_burst", self.requests_burst, 1, 1_000_000)?;
        key("body_kib", self.body_kib, 1, 1_024)?;
        key("depth", self.depth, 4, 64)?;
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(ApiOptions {
            listen: self.listen,
            threads: size(self.threads),
            connections: self.connections,
            requests: Rate { per_s: self.requests_per_s, burst: self.requests_burst },
            body_bytes: size(self.body_kib).saturating_mul(1_024),
            depth: self.depth,
        })
    }
}
