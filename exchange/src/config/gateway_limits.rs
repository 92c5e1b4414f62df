//! What sessions may send, and order entry over HTTPS: the table `[gateway]`.

use std::{net::SocketAddr, time::Duration};

use gateway::{
    https::HttpsOptions,
    throttle::{Limits, Rate},
};
use serde::Deserialize;

use super::{Refused, within};

/// Every key has a default that only a session beyond what a shard can do meets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct GatewayTable {
    orders_per_s: u32,
    orders_burst: u32,
    cancels_per_s: u32,
    cancels_burst: u32,
    open_requests: u32,
    pub(super) connections_of_source: u32,
    pub(super) unverified: u32,
    https: Option<HttpsTable>,
}

/// Without this table nothing listens for HTTPS.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpsTable {
    listen: SocketAddr,
    #[serde(default = "default_request_s")]
    request_s: u32,
}

/// The longest body, 4 MiB, takes so long at 280 kbit/s.
const fn default_request_s() -> u32 {
    120
}

impl Default for GatewayTable {
    fn default() -> Self {
        let Limits { orders, cancels, open_requests } = Limits::default();
        Self {
            orders_per_s: orders.per_s,
            orders_burst: orders.burst,
            cancels_per_s: cancels.per_s,
            cancels_burst: cancels.burst,
            open_requests,
            connections_of_source: 1_024,
            unverified: 2_048,
            https: None,
        }
    }
}

impl GatewayTable {
    /// The limits and order entry over HTTPS, if they make sense.
    pub(super) fn check(&self) -> Result<(Limits, Option<HttpsOptions>), Refused> {
        let key = |key, got: u32, least, most| {
            within(got.into(), least, most).map_err(|message| (key, message))
        };
        key("orders_per_s", self.orders_per_s, 0, 1_000_000_000)?;
        key("orders_burst", self.orders_burst, 1, 1_000_000_000)?;
        key("cancels_per_s", self.cancels_per_s, 0, 1_000_000_000)?;
        key("cancels_burst", self.cancels_burst, 1, 1_000_000_000)?;
        key("open_requests", self.open_requests, 1, 1 << 22)?;
        key("connections_of_source", self.connections_of_source, 1, 1_024)?;
        key("unverified", self.unverified, 256, 1 << 22)?;
        let is_larger = |cancels, orders| cancels == 0 || (orders > 0 && cancels >= orders);
        if !is_larger(self.cancels_per_s, self.orders_per_s) {
            let message = "must not be smaller than `orders_per_s`: who has to take orders back must be able to";
            return Err(("cancels_per_s", message.to_owned()));
        }
        if self.cancels_burst < self.orders_burst {
            let message = "must not be smaller than `orders_burst`: who has to take orders back must be able to";
            return Err(("cancels_burst", message.to_owned()));
        }
        let https = self.https.as_ref().map(HttpsTable::check).transpose()?;
        let limits = Limits {
            orders: Rate { per_s: self.orders_per_s, burst: self.orders_burst },
            cancels: Rate { per_s: self.cancels_per_s, burst: self.cancels_burst },
            open_requests: self.open_requests,
        };
        Ok((limits, https))
    }
}

impl HttpsTable {
    /// Where and how order entry over HTTPS listens.
    fn check(&self) -> Result<HttpsOptions, Refused> {
        within(self.request_s.into(), 1, 3_600).map_err(|message| ("https.request_s", message))?;
        let request_max = Duration::from_secs(self.request_s.into());
        Ok(HttpsOptions { listen: self.listen, request_max })
    }
}
