//! What everybody may know of the markets: instruments, open slots, auctions.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use gateway::KnownMarket;
use market_view::{BookView, ViewLevel};
use serde::{Deserialize, Serialize};
use settlement::store::queries::AuctionRow;
use types::{MarketId, Price, SlotKey, Timestamp};
use utoipa::{IntoParams, ToSchema};

use super::{
    super::{Desk, access::Endpoint, amount::Amount, body, caller::Caller, problem::*},
    minutes, page, window,
};
use crate::schedule::{AuctionCycles, CycleTimes, ListedCycle};

/// Auctions of one answer.
const AUCTIONS_MAX: u32 = 1_000;

/// What can be traded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Instrument {
    market: u16,
    area: String,
    /// In which local days are cut into slots.
    time_zone: String,
    slot_minutes: u16,
    /// ISO 4217.
    currency: String,
    /// Digits behind the point of an amount of money.
    currency_digits: u8,
    /// What a price is per.
    unit: &'static str,
    /// Digits behind the point of a price at most.
    price_scale: u8,
    /// Lowest limit.
    #[schema(value_type = f64)]
    price_min: Amount,
    /// Highest limit.
    #[schema(value_type = f64)]
    price_max: Amount,
    /// Prices are multiples of it.
    #[schema(value_type = f64)]
    tick: Amount,
    /// Quantities are multiples of it, in Wh.
    lot_wh: u64,
    /// Largest order, in Wh.
    quantity_max_wh: u64,
    /// A slot's book opens so long before delivery.
    opening_lead_minutes: u32,
    /// Its call ends.
    uncross_lead_minutes: u32,
    /// Nothing changes any more.
    gate_lead_minutes: u32,
    /// How a call finds its price.
    price_rule: &'static str,
    /// Auctions that come again.
    auction_cycles: Vec<Cycle>,
}

/// Auctions that come again, at local times of the market.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cycle {
    /// Once a day, at this local time.
    at: Option<String>,
    /// Or whenever this pattern (minute, hour, day, month, day of the week, as in cron) matches the local time.
    every: Option<String>,
    /// Which slots: all that are `open`, or those delivered `today` or `tomorrow`.
    slots: &'static str,
    /// So long before its auction a slot that trades continuously is called.
    call_minutes: u32,
    /// When the next call begins, in UTC, of slots that trade continuously; it may have begun.
    next_call: String,
    /// When the auction of that call is held, in UTC, of slots that are open then.
    next_auction: String,
}

/// All instruments.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Instruments {
    instruments: Vec<Instrument>,
}

fn cycle(listed: &ListedCycle<'_>) -> Cycle {
    let (at, every) = match listed.times {
        CycleTimes::At(time) => (Some(time.clone()), None),
        CycleTimes::Every(pattern) => (None, Some(pattern.clone())),
    };
    Cycle {
        at,
        every,
        slots: listed.slots.name(),
        call_minutes: listed.call_minutes,
        next_call: listed.call_from.to_string(),
        next_auction: listed.auction_at.to_string(),
    }
}

fn instrument(market: &KnownMarket, cycles: Option<&AuctionCycles>, now: Timestamp) -> Instrument {
    let KnownMarket { definition: of, uncross_lead } = market;
    Instrument {
        market: of.market.get(),
        area: of.area.to_string(),
        time_zone: of.time_zone.to_string(),
        slot_minutes: of.slot_minutes,
        currency: of.currency.code().to_owned(),
        currency_digits: of.currency.minor_digits(),
        unit: "kWh",
        price_scale: 6,
        price_min: Amount::of_price(of.price_min),
        price_max: Amount::of_price(of.price_max),
        tick: Amount::of_price(of.tick),
        lot_wh: of.lot.wh(),
        quantity_max_wh: of.quantity_max.wh(),
        opening_lead_minutes: of.opening_lead.minutes(),
        uncross_lead_minutes: uncross_lead.minutes(),
        gate_lead_minutes: of.gate_lead.minutes(),
        price_rule: of.price_rule.name(),
        auction_cycles: cycles
            .into_iter()
            .flat_map(|cycles| cycles.listed(now))
            .map(|listed| cycle(&listed))
            .collect(),
    }
}

/// What can be traded: tick, lot, unit, scale and auction cycles of every market.
#[utoipa::path(
    get, path = "/v1/instruments", tag = "market",
    responses((status = 200, body = Instruments), (status = 304),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json")),
    security(("certificate" = []))
)]
pub(crate) async fn instruments(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    caller.may(Endpoint::Instruments)?;
    body::no_query(&uri)?;
    let now = desk.shared.clock.now();
    let of_market = |known: &KnownMarket| {
        instrument(known, desk.shared.cycles.get(&known.definition.market), now)
    };
    let instruments = desk.shared.markets.known().iter().map(of_market).collect();
    Ok(body::answer(&headers, &Instruments { instruments }))
}

/// Of which market.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SlotsQuery {
    /// All of them, if none is named.
    market: Option<u16>,
}

/// What an uncross would do now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Indicative {
    #[schema(value_type = Option<f64>)]
    price: Option<Amount>,
    volume_wh: u64,
    /// Demand minus supply at the price.
    surplus_wh: i64,
}

/// The best of a side.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Level {
    #[schema(value_type = f64)]
    price: Amount,
    quantity_wh: u64,
    orders: u32,
}

/// A slot with an open book.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Slot {
    market: u16,
    /// First instant of delivery, in UTC.
    slot_start: String,
    minutes: u16,
    /// `pre_open`, `call`, `frozen`, `continuous`, `halted` or `closed`.
    phase: &'static str,
    /// Nothing changes any more from then on.
    gate_closure: String,
    /// Position of the last command that changed it.
    seq: u64,
    #[schema(value_type = Option<f64>)]
    last_price: Option<Amount>,
    indicative: Option<Indicative>,
    best_buy: Option<Level>,
    best_sell: Option<Level>,
}

/// Slots with open books.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
}

/// Books that are shown now, by slot.
fn books(desk: &Desk, market: Option<u16>) -> Vec<(SlotKey, BookView)> {
    let wanted = |key: &SlotKey| market.is_none_or(|number| key.market == MarketId::new(number));
    let of_shard = |view: &market_view::MarketReader| -> Vec<(SlotKey, BookView)> {
        let keys = view.keys().into_iter().filter(wanted);
        // A book that is overtaken while it is read is shown the next time.
        let read =
            keys.filter_map(|key| view.book(key).ok().flatten().map(|(_, book)| (key, book)));
        read.collect()
    };
    let mut books: Vec<_> = desk.shared.views.iter().flat_map(of_shard).collect();
    books.sort_by_key(|(key, _)| *key);
    books
}

fn level(level: &ViewLevel) -> Level {
    let ViewLevel { price, quantity, orders } = *level;
    Level { price: Amount::of_price(price), quantity_wh: quantity.wh(), orders }
}

/// Slots with open books, and their phases.
#[utoipa::path(
    get, path = "/v1/slots", tag = "market", params(SlotsQuery),
    responses((status = 200, body = Slots), (status = 304),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json")),
    security(("certificate" = []))
)]
pub(crate) async fn slots(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    caller.may(Endpoint::Slots)?;
    let query: SlotsQuery = body::from_query(&uri)?;
    let markets = desk.shared.markets.known();
    let slot = |(key, book): &(SlotKey, BookView)| {
        let market = markets.iter().find(|one| one.definition.market == key.market);
        let lead = market.map(|market| market.definition.gate_lead).unwrap_or_default();
        Slot {
            market: key.market.get(),
            slot_start: key.slot.start().to_string(),
            minutes: key.slot.minutes(),
            phase: book.phase.name(),
            gate_closure: key.slot.start().earlier_by(lead).to_string(),
            seq: book.seq.get(),
            last_price: book.last.map(Amount::of_price),
            indicative: book.indicative.map(|view| Indicative {
                price: view.price.map(Amount::of_price),
                volume_wh: view.volume.wh(),
                surplus_wh: view.surplus_wh,
            }),
            best_buy: book.buy.first().map(level),
            best_sell: book.sell.first().map(level),
        }
    };
    let slots = books(&desk, query.market).iter().map(slot).collect();
    Ok(body::answer(&headers, &Slots { slots }))
}

/// Which auctions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuctionsQuery {
    /// All markets, if none is named.
    market: Option<u16>,
    /// Of slots that begin from this instant on.
    from: Option<String>,
    /// Up to, not including, this one.
    to: Option<String>,
    /// 100, if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Orders at one price, and all that are at least as good.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CurvePoint {
    #[schema(value_type = f64)]
    price: Amount,
    quantity_wh: u64,
    /// Of this and every better price.
    cumulated_wh: u64,
}

/// Both sides of a call that still runs: 32 prices of each at most.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Curves {
    buy: Vec<CurvePoint>,
    sell: Vec<CurvePoint>,
}

/// What an auction came to, or would come to now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Auction {
    market: u16,
    /// First instant of delivery, in UTC.
    slot_start: String,
    minutes: u16,
    /// `preliminary` while the call runs, `final` once it is held.
    status: &'static str,
    /// When it was held.
    held: Option<String>,
    /// Position in the journal of its shard.
    seq: u64,
    price_rule: Option<&'static str>,
    /// None, where nothing crosses.
    #[schema(value_type = Option<f64>)]
    price: Option<Amount>,
    volume_wh: u64,
    /// Demand minus supply at the price.
    surplus_wh: i64,
    #[schema(value_type = Option<f64>)]
    reference: Option<Amount>,
    /// Of a preliminary one.
    curves: Option<Curves>,
}

/// Auctions that were held, then those whose calls run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Auctions {
    auctions: Vec<Auction>,
}

fn held(row: &AuctionRow) -> Auction {
    Auction {
        market: row.key.market.get(),
        slot_start: row.key.slot.start().to_string(),
        minutes: row.key.slot.minutes(),
        status: "final",
        held: Some(row.at.to_string()),
        seq: row.place.1.get(),
        price_rule: Some(row.rule.name()),
        price: row.price.map(Amount::of_price),
        volume_wh: row.volume.wh(),
        surplus_wh: row.surplus_wh,
        reference: row.reference.map(Amount::of_price),
        curves: None,
    }
}

fn running(key: &SlotKey, book: &BookView) -> Option<Auction> {
    let view = book.indicative?;
    let curve = |levels: &[ViewLevel]| {
        let mut cumulated_wh = 0_u64;
        let point = |level: &ViewLevel| {
            cumulated_wh = cumulated_wh.saturating_add(level.quantity.wh());
            let price = Amount::of_price(level.price);
            CurvePoint { price, quantity_wh: level.quantity.wh(), cumulated_wh }
        };
        levels.iter().map(point).collect()
    };
    Some(Auction {
        market: key.market.get(),
        slot_start: key.slot.start().to_string(),
        minutes: key.slot.minutes(),
        status: "preliminary",
        held: None,
        seq: book.seq.get(),
        price_rule: None,
        price: view.price.map(Amount::of_price),
        volume_wh: view.volume.wh(),
        surplus_wh: view.surplus_wh,
        reference: None::<Price>.map(Amount::of_price),
        curves: Some(Curves { buy: curve(&book.buy), sell: curve(&book.sell) }),
    })
}

/// Results of auctions that were held, and what those that run would come to, with their curves.
#[utoipa::path(
    get, path = "/v1/auctions", tag = "market", params(AuctionsQuery),
    responses((status = 200, body = Auctions), (status = 304),
        (status = 400, body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json")),
    security(("certificate" = []))
)]
pub(crate) async fn auctions(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    caller.may(Endpoint::Auctions)?;
    let query: AuctionsQuery = body::from_query(&uri)?;
    let period = window(query.from.as_deref(), query.to.as_deref())?;
    let (limit, _) = page(query.limit, None, AUCTIONS_MAX)?;
    let rows = desk.queries().auctions(minutes(period), AUCTIONS_MAX);
    let rows = rows.map_err(|error| Problem::from(&error))?;
    let of_market = |key: &SlotKey| query.market.is_none_or(|market| market == key.market.get());
    let within = |key: &SlotKey| key.slot.start() >= period.0 && key.slot.start() < period.1;
    let mut auctions: Vec<_> = rows.iter().filter(|row| of_market(&row.key)).map(held).collect();
    let books = books(&desk, query.market);
    let shown = books.iter().filter(|(key, _)| within(key));
    auctions.extend(shown.filter_map(|(key, book)| running(key, book)));
    auctions.truncate(limit);
    Ok(body::answer(&headers, &Auctions { auctions }))
}
