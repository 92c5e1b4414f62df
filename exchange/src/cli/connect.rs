//! What commands that talk to a running exchange have in common: where it is, who asks, and what
//! people write.

use std::{
    net::{SocketAddr, ToSocketAddrs as _},
    path::{Path, PathBuf},
};

use clap::Args;
use gateway::{
    Identity,
    authority::{self, Holder},
    client::{ClientError, Connector},
    https::PATH,
    identity,
};
use hyper::Uri;
use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use types::{
    ClientOrderId, DeliverySlot, Energy, MarketId, Party, Price, RejectReason, Role, ShardId,
    ShardMap, SlotKey, Timestamp,
};

use crate::{
    clock::Clock,
    config::{self, Config},
    exit::{Failure, Kind},
    node::{self, Layout},
};

/// Where the exchange is and as whom to connect.
#[derive(Debug, Clone, Args)]
pub(super) struct ServerOptions {
    /// The exchange's directory on this machine: address, markets and keys are taken from it
    #[arg(long, required_unless_present = "keys")]
    data_dir: Option<PathBuf>,
    /// Address of the exchange, such as exchange.example:7400
    #[arg(long, visible_alias = "address", value_name = "HOST:PORT")]
    server: Option<String>,
    /// Directory with `ca.crt`, the party's certificate and key, and meters' keys
    #[arg(long)]
    keys: Option<PathBuf>,
    /// The party whose certificate is shown, such as platform/2, retailer/1 or operator/1 [default: platform/1
    /// for what platforms do]
    #[arg(long = "as", value_name = "PARTY", value_parser = party)]
    party: Option<Party>,
    /// The name in the exchange's certificate
    #[arg(long, default_value = "localhost")]
    server_name: String,
}

impl ServerOptions {
    /// The configuration, where the exchange's directory is given.
    pub(super) fn config(&self) -> Result<Option<Config>, Failure> {
        let load = |dir: &PathBuf| config::load(&dir.join(config::FILE_NAME));
        self.data_dir.as_ref().map(load).transpose().map_err(Failure::config)
    }

    /// The exchange's directory, if it is given.
    pub(super) fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// Who connects: who is named, or the first platform.
    pub(super) fn party(&self) -> Party {
        self.party.unwrap_or(Party { role: Role::Platform, number: 1 })
    }

    /// Who connects, where that must be named.
    pub(super) fn named_party(&self) -> Result<Party, Failure> {
        self.party.ok_or_else(|| {
            Failure::usage("--as says whose certificate is shown, such as retailer/1 or operator/1")
        })
    }

    /// Where keys lie.
    pub(super) fn keys(&self) -> PathBuf {
        let own = || self.data_dir.as_deref().map(|dir| Layout::new(dir).keys());
        self.keys.clone().or_else(own).unwrap_or_default()
    }

    /// How to connect.
    pub(super) fn connector(&self, config: Option<&Config>) -> Result<Connector, Failure> {
        self.connector_to(self.address(config)?)
    }

    /// How to connect for order entry over HTTPS.
    pub(super) fn https_connector(&self, url: &Uri) -> Result<Connector, Failure> {
        let hint = "--https takes a URL such as https://exchange.example:7443";
        let is_plain = url.scheme_str() == Some("https")
            && matches!(url.path(), "/" | PATH)
            && url.query().is_none();
        let host = url
            .host()
            .filter(|_| is_plain)
            .ok_or_else(|| Failure::usage(format!("`{url}` is no address for HTTPS")).hint(hint))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found = (host, url.port_u16().unwrap_or(HTTPS_PORT)).to_socket_addrs();
        let address = found.ok().and_then(|mut addresses| addresses.next()).ok_or_else(|| {
            Failure::unreachable(format!("`{url}` is no address that can be found")).hint(hint)
        })?;
        self.connector_to(address)
    }

    fn connector_to(&self, address: SocketAddr) -> Result<Connector, Failure> {
        let keys = self.keys();
        let missing = |error: &dyn std::error::Error| {
            Failure::new(Kind::Config, error).hint(
                "--keys names the directory of `ca.crt`, and --as the party whose .crt and .key \
                 lie there; `gridcross ca issue` makes them",
            )
        };
        let authority =
            identity::load_certificates(&keys.join("ca.crt")).map_err(|error| missing(&error))?;
        let identity = Identity::load(&keys, &authority::file_name(self.party()))
            .map_err(|error| missing(&error))?;
        Ok(Connector { address, server_name: self.server_name.clone(), identity, authority })
    }

    fn address(&self, config: Option<&Config>) -> Result<SocketAddr, Failure> {
        match (&self.server, config) {
            (Some(server), _) => {
                server.to_socket_addrs().ok().and_then(|mut addresses| addresses.next()).ok_or_else(
                    || {
                        Failure::unreachable(format!("`{server}` is no address that can be found"))
                            .hint("--server takes a host and a port, such as 127.0.0.1:7400")
                    },
                )
            }
            (None, Some(config)) => Ok(node::reachable(config.listen)),
            (None, None) => {
                Err(Failure::usage("--server or --data-dir says where the exchange is"))
            }
        }
    }

    /// The slot of a market that starts at an instant, as long as given or as the configuration has it.
    pub(super) fn slot(
        &self,
        market: MarketId,
        start: Timestamp,
        minutes: Option<u16>,
    ) -> Result<SlotKey, Failure> {
        slot_key(market, start, self.slot_minutes(self.config()?.as_ref(), market, minutes)?)
    }

    /// Length of a market's slots in minutes: as given, or as the configuration has it.
    pub(super) fn slot_minutes(
        &self,
        config: Option<&Config>,
        market: MarketId,
        given: Option<u16>,
    ) -> Result<u16, Failure> {
        let Some(config) = config else { return Ok(given.unwrap_or(SLOT_MINUTES)) };
        let known = config.markets.iter().find(|known| known.definition.market == market);
        match (given, known) {
            // An operator may have defined a market that the file does not name.
            (Some(given), _) => Ok(given),
            (None, Some(known)) => Ok(known.definition.slot_minutes),
            (None, None) => {
                let every: Vec<_> = config
                    .markets
                    .iter()
                    .map(|known| known.definition.market.get().to_string())
                    .collect();
                let every = every.join(", ");
                Err(Failure::usage(format!(
                    "there is no market {market} in the configuration, there is {every}; of one that an operator \
                     defined, say with `--minutes` how long slots are"
                )))
            }
        }
    }
}

/// A party as people write it: its role and number, as in its certificate's name or its file's.
fn party(text: &str) -> Result<Party, String> {
    let name = match text.rsplit_once('-') {
        Some((role, number)) if !text.contains('/') => format!("{role}/{number}"),
        Some(_) | None => text.to_owned(),
    };
    match name.parse() {
        Ok(Holder::Party(party)) => Ok(party),
        Ok(_) => Err("only parties connect".to_owned()),
        Err(error) => Err(format!("{error}")),
    }
}

/// Where HTTPS is when a URL does not say.
const HTTPS_PORT: u16 = 443;
/// Length of slots where nothing says otherwise.
const SLOT_MINUTES: u16 = 15;

/// Longest silence of either side of a session, in milliseconds.
pub(super) const HEARTBEAT_MS: u32 = 10_000;

/// Runs one conversation to its end, on this thread.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::runtime)?;
    runtime.block_on(async {
        let result = work.await;
        // What ends a connection is sent by tasks of this runtime, which would end with it. To the exchange a
        // connection that falls silent is one of its party's for 30 s more.
        for _ in 0..TURNS_AT_THE_END {
            tokio::task::yield_now().await;
        }
        result
    })
}

/// How often the tasks of a conversation may run after its end: a connection's and an endpoint's, a few times.
const TURNS_AT_THE_END: u32 = 16;

/// The platform's number of a request: as given, or the time in microseconds.
pub(super) fn client_order(given: Option<u64>) -> Result<ClientOrderId, Failure> {
    let now = || u64::try_from(Clock::System.now().ns().div_euclid(1_000)).unwrap_or(1);
    match given.unwrap_or_else(now) {
        0 => Err(Failure::usage("--client-order counts from 1")),
        number => Ok(ClientOrderId::new(number)),
    }
}

/// A shard by the number that people give it, from 1.
pub(super) fn shard_of_number(number: u8) -> Result<ShardId, Failure> {
    let index = number.checked_sub(1).and_then(ShardId::new);
    index.ok_or_else(|| Failure::usage(format!("--shard: there is no shard {number}")))
}

/// The shard of a slot: as given, or as the configuration has it; `None` where nobody says.
pub(super) fn shard_of_slot(
    given: Option<u8>,
    config: Option<&Config>,
    key: SlotKey,
) -> Result<Option<ShardId>, Failure> {
    if let Some(number) = given {
        return shard_of_number(number).map(Some);
    }
    let Some(config) = config else { return Ok(None) };
    let markets = config.markets.iter().map(|market| &market.definition);
    let map = ShardMap::new(config.shards, markets).map_err(Failure::config)?;
    Ok(map.of(key))
}

/// The slot of a market that starts at an instant.
pub(super) fn slot_key(
    market: MarketId,
    start: Timestamp,
    minutes: u16,
) -> Result<SlotKey, Failure> {
    const MINUTE_NS: i64 = 60_000_000_000;
    let whole = start.ns().rem_euclid(MINUTE_NS) == 0;
    let minute = u32::try_from(start.ns().div_euclid(MINUTE_NS)).ok().filter(|_| whole);
    let slot = minute.and_then(|minute| DeliverySlot::new(minute, minutes).ok());
    slot.map(|slot| SlotKey { market, slot }).ok_or_else(|| {
        Failure::usage("--slot is no start of a slot: a whole minute on the grid of its length")
    })
}

/// An instant as people write it, with its offset.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    let instant: jiff::Timestamp = text
        .parse()
        .map_err(|error| format!("{error}; write it such as 2026-11-24T10:00+05:30"))?;
    i64::try_from(instant.as_nanosecond())
        .map(Timestamp::from_ns)
        .map_err(|_| "beyond the range of instants".to_owned())
}

/// An instant as text, in UTC.
pub(super) fn instant_text(instant: Timestamp) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(instant.ns()))
        .map_or_else(|_| instant.ns().to_string(), |instant| instant.to_string())
}

/// The start of a slot as text, in UTC.
pub(super) fn slot_text(key: SlotKey) -> String {
    instant_text(Timestamp::from_minutes(key.slot.start_minute()))
}

/// A market's number.
pub(super) fn market(text: &str) -> Result<MarketId, String> {
    text.parse().map(MarketId::new).map_err(|error| format!("{error}"))
}

/// A price per kWh with at most six decimals.
pub(super) fn price(text: &str) -> Result<Price, String> {
    scaled(text, 1_000_000)
        .and_then(|micros| micros.to_i64())
        .map(Price::from_micros)
        .ok_or_else(|| "a price per kWh has at most six decimals, such as 4.50".to_owned())
}

/// An amount of energy with its unit, a whole number of Wh.
pub(super) fn energy(text: &str) -> Result<Energy, String> {
    let units = [("MWh", 1_000_000_u32), ("kWh", 1_000), ("Wh", 1)];
    let found = units.iter().find_map(|&(unit, wh)| {
        let number = text.strip_suffix(unit)?;
        scaled(number.trim_end(), wh)?.to_u64()
    });
    found.filter(|&wh| wh > 0).map(Energy::from_wh).ok_or_else(|| {
        "an amount of energy is a number and its unit, Wh, kWh or MWh, such as 2.5kWh; at least \
         1Wh, and a whole number of them"
            .to_owned()
    })
}

/// A decimal in parts of one, where it is a whole number of them.
fn scaled(text: &str, parts: u32) -> Option<Decimal> {
    // Exponents are for programs.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    let number = text.parse::<Decimal>().ok().filter(|_| is_plain)?;
    number.checked_mul(Decimal::from(parts)).filter(Decimal::is_integer)
}

/// A price in its unit, without trailing zeros.
pub(super) fn price_text(price: Price) -> String {
    Decimal::new(price.micros(), 6).normalize().to_string()
}

/// Energy in kWh, without trailing zeros.
pub(super) fn energy_text(energy: Energy) -> String {
    Decimal::from(energy.wh())
        .checked_div(Decimal::from(1_000_u32))
        .map_or_else(|| energy.wh().to_string(), |kwh| kwh.normalize().to_string())
}

/// A client that cannot go on, as people are told.
pub(super) fn client_failure(error: &ClientError, address: SocketAddr) -> Failure {
    match error {
        ClientError::Refused(RejectReason::NotAuthorised) => {
            Failure::unreachable("the exchange refused the session: not_authorised (21)")
                .hint("--as must name a party whose role may do this: a platform, for orders")
        }
        ClientError::Refused(reason) => refusal(*reason),
        ClientError::Tls(_) => Failure::new(Kind::Config, error),
        ClientError::Socket(_) | ClientError::TooManySelections => {
            Failure::new(Kind::Runtime, error)
        }
        ClientError::Connect { .. }
        | ClientError::Connection(_)
        | ClientError::Timeout
        | ClientError::Write(_)
        | ClientError::Read(_)
        | ClientError::Frame(_)
        | ClientError::Message(_)
        | ClientError::Https(_)
        | ClientError::NoSession { .. }
        | ClientError::Ended
        | ClientError::Unexpected => {
            let what = Failure::new(Kind::Unreachable, error);
            let told = format!("no answer from {address}: {}", what.message());
            if address.port() == 0 {
                return Failure::unreachable(told).hint(
                    "`exchange.listen` has port 0, whichever is free: the exchange's log says which, \
                     and --server takes it",
                );
            }
            Failure::unreachable(told).hint(
                "check that the exchange runs there (`gridcross serve`), and that --as names a party \
                 with a valid certificate (`gridcross ca list`)",
            )
        }
    }
}

/// The exchange's refusal, and what to do about it.
pub(super) fn refusal(reason: RejectReason) -> Failure {
    refusal_for("", reason)
}

/// Likewise, with what it refused.
pub(super) fn refusal_for(what: &str, reason: RejectReason) -> Failure {
    let space = if what.is_empty() { "" } else { " " };
    let again = if reason.is_transient() {
        "the same request may succeed later"
    } else {
        "the same request will be refused again"
    };
    let advice =
        ADVICE.iter().find(|(known, _)| *known == reason).map_or(again, |(_, advice)| *advice);
    Failure::refused(format!(
        "the exchange refused{space}{what}: {} ({})",
        reason.name(),
        reason.code()
    ))
    .hint(advice)
}

/// What to do about the refusals that people meet.
const ADVICE: &[(RejectReason, &str)] = &[
    (RejectReason::WrongShard, "the slot is of another shard; name it with --shard"),
    (RejectReason::UnknownMeter, "no meter of this number is registered; see registry.toml"),
    (RejectReason::NotAuthorised, "--as must name the platform that serves the meter"),
    (
        RejectReason::SignatureInvalid,
        "--meter-key must be the key that is registered for the meter",
    ),
    (RejectReason::SignatureExpired, "set the clock, or give a later --valid-until"),
    (RejectReason::UnknownOffer, "the offer has ended or never was; see `gridcross contract list`"),
    (RejectReason::ReferenceTaken, "choose another --reference: this one has other content"),
    (RejectReason::SameParty, "a contract is between two meters of different owners"),
    (RejectReason::UnknownMarket, "no market of this number is defined; see gridcross.toml"),
    (
        RejectReason::SlotMisaligned,
        "slots of the market start on its grid; see --minutes and --slot",
    ),
    (RejectReason::SlotNotOpen, "the slot opens later: try again when it is open for trading"),
    (RejectReason::GateClosed, "trading in this slot is over: choose a later --slot"),
    (RejectReason::WrongPhase, "not in this phase of the slot: try again after the call"),
    (RejectReason::UnknownOrder, "the order has filled, was cancelled or never was"),
    (RejectReason::QuantityNotOnLot, "--quantity must be a whole number of the market's lots"),
    (
        RejectReason::QuantityAboveMaximum,
        "split the order: --quantity is above the market's largest",
    ),
    (RejectReason::QuantityBelowMinimum, "--quantity is below the market's smallest"),
    (RejectReason::PriceOutsideBand, "--price must be within the market's band"),
    (RejectReason::PriceNotOnTick, "--price must be a whole number of the market's ticks"),
    (
        RejectReason::DuplicateClientOrder,
        "choose another --client-order: this one has other content",
    ),
    (RejectReason::CapacityExceeded, "the meter's certified capacity is used up: lower --quantity"),
    (RejectReason::PostOnlyWouldTrade, "it would trade at once: move --price or drop --post-only"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_amounts_with_units() {
        assert_eq!(energy("2.5kWh"), Ok(Energy::from_wh(2_500)));
        assert_eq!(energy("0.0015 MWh"), Ok(Energy::from_wh(1_500)));
        assert_eq!(energy("300Wh"), Ok(Energy::from_wh(300)));
        for wrong in ["2.5", "2.5kwh", "0.0001kWh", "-1kWh", "0Wh", "kWh", "1e3Wh"] {
            assert!(energy(wrong).is_err(), "{wrong}");
        }
        assert_eq!(price("4.50"), Ok(Price::from_micros(4_500_000)));
        assert_eq!(price("-0.000001"), Ok(Price::from_micros(-1)));
        assert!(price("0.0000001").is_err() && price("4,5").is_err());
        assert_eq!(price_text(Price::from_micros(4_500_000)), "4.5");
        assert_eq!(energy_text(Energy::from_wh(2_500)), "2.5");
        let same = instant("2026-11-24T10:00+05:30").unwrap();
        assert_eq!(instant_text(same), "2026-11-24T04:30:00Z");
    }
}
