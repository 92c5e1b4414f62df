//! A platform in Rust: sells energy of one meter, buys some of it with another at another platform, and
//! cancels the rest.
//!
//! `cargo run --release --example trade -- 127.0.0.1:7400 exchange/keys`
#![expect(clippy::print_stdout, reason = "what it shows")]

use std::{env, error::Error, net::SocketAddr, path::Path};

use exchange::clock::Clock;
use gateway::{
    Identity,
    client::{ClientError, Connector, TradingSession, cancel, sign_new},
    identity,
};
use types::{
    ClientOrderId, Conditions, DeliverySlot, Energy, MarketId, MeterId, NewOrder, OrderKind,
    OrderList, Price, Side, SlotKey, TimeInForce, Timestamp,
};
use wire::{
    Outbound,
    outbound::{ExecType, ExecutionReport},
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The session may be silent for so long, in milliseconds.
const HEARTBEAT_MS: u32 = 10_000;
/// A slot, its gate's lead and half a minute in hand, in seconds.
const QUARTER_S: i64 = 900;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, keys] = arguments.as_slice() else { return Err("trade ADDRESS KEYS".into()) };
    let (address, keys) = (address.parse()?, Path::new(keys));
    let mut seller = open(address, keys, "platform-1").await?;
    let mut buyer = open(address, keys, "platform-2").await?;
    let key = SlotKey { market: MarketId::new(1), slot: continuous_slot(Clock::System.now())? };

    let offered = order(key, (1, Side::Sell), Price::from_micros(210_000), Energy::from_wh(1_000));
    let offer = place(&mut seller, keys, "METER-1", offered).await?;
    println!("offered {} Wh as order {}", offered.quantity.wh(), offer.order);
    let wanted = order(key, (2, Side::Buy), Price::from_micros(250_000), Energy::from_wh(600));
    let bid = place(&mut buyer, keys, "METER-2", wanted).await?;
    let fill = told(&mut buyer, ExecType::Trade).await?;
    let (wh, price) = (fill.quantity.wh(), fill.price.micros());
    println!("bought {wh} Wh at {price} millionths, order {}, trade {}", bid.order, fill.trade);
    seller.sender.send(&[cancel(number(), offer.order)]).await?;
    let cancelled = told(&mut seller, ExecType::Cancelled).await?;
    println!("cancelled {} Wh of order {}", cancelled.leaves.wh(), cancelled.order);
    seller.log_out().await?;
    buyer.log_out().await?;
    Ok(())
}

/// Opens a session with a platform's certificate.
async fn open(address: SocketAddr, keys: &Path, platform: &str) -> Outcome<TradingSession> {
    let connector = Connector {
        address,
        server_name: "localhost".to_owned(),
        identity: Identity::load(keys, platform)?,
        authority: identity::load_certificates(&keys.join("ca.crt"))?,
    };
    Ok(TradingSession::open(&connector, HEARTBEAT_MS).await?)
}

/// The quarter hour that is traded continuously: its gate closes 15 minutes before delivery.
fn continuous_slot(now: Timestamp) -> Outcome<DeliverySlot> {
    let second = now.ns().div_euclid(1_000_000_000).saturating_add(QUARTER_S).saturating_add(30);
    let start = second.div_euclid(QUARTER_S).saturating_add(1).saturating_mul(15);
    Ok(DeliverySlot::new(u32::try_from(start)?, 15)?)
}

fn order(key: SlotKey, (meter, side): (u32, Side), limit: Price, quantity: Energy) -> NewOrder {
    NewOrder {
        client_order: number(),
        meter: MeterId::new(meter),
        key,
        side,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::UntilGate,
        limit,
        quantity,
        valid_until: key.slot.start(),
        conditions: Conditions::NONE,
        list: OrderList::NONE,
    }
}

/// A platform numbers its requests itself, and never twice: by the clock, in microseconds.
fn number() -> ClientOrderId {
    let now = Clock::System.now().ns().div_euclid(1_000);
    ClientOrderId::new(u64::try_from(now).unwrap_or(1))
}

/// Signs an order with its meter's key, sends it, and waits until it is durable.
async fn place(
    session: &mut TradingSession,
    keys: &Path,
    meter: &str,
    order: NewOrder,
) -> Outcome<ExecutionReport> {
    let key = identity::load_signing_key(&keys.join(format!("{meter}.signing.key")))?;
    session.sender.send(&[sign_new(&key, order)]).await?;
    told(session, ExecType::New).await
}

/// The next report of a kind. A refusal is the end.
#[expect(clippy::wildcard_enum_match_arm, reason = "everything else is of no concern here")]
async fn told(session: &mut TradingSession, kind: ExecType) -> Outcome<ExecutionReport> {
    loop {
        match session.receiver.next().await? {
            Outbound::ExecutionReport(report) if report.exec_type == kind => return Ok(report),
            Outbound::ExecutionReport(report) if report.exec_type == ExecType::Rejected => {
                return Err(format!("refused with code {}", report.reason).into());
            }
            Outbound::MessageRejected(rejected) => {
                return Err(ClientError::Refused(rejected.reason).into());
            }
            _ => {}
        }
    }
}
