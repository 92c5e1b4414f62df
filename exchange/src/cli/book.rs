//! `gridcross book watch`: books as they change.

use std::{collections::BTreeSet, io::IsTerminal as _, time::Duration};

use clap::{Args, Subcommand};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use gateway::client::{
    ClientError, Connector, LocalBook, MarketClient, MarketSubscription, MarketUpdate,
};
use serde::Serialize;
use types::{MarketId, Phase, ShardId, Side, SlotKey, Timestamp};
use wire::market::{Level, Selection};

use super::connect::{
    ServerOptions, block_on, client_failure, energy_text, instant, instant_text, market,
    price_text, slot_key, slot_text,
};
use crate::{
    exit::Failure,
    output::{self, Format},
};

/// Between two redraws of a terminal.
const REDRAW: Duration = Duration::from_millis(100);
/// Slots in the overview of a market.
const SLOTS_SHOWN: usize = 20;

/// What can be looked at.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show books and trades as they change, until interrupted
    Watch(WatchOptions),
}

/// Options of `book watch`.
#[derive(Debug, Args)]
pub struct WatchOptions {
    #[command(flatten)]
    server: ServerOptions,
    /// The market's number
    #[arg(long, value_parser = market)]
    market: MarketId,
    /// Only the slot that starts then, RFC 3339 with an offset [default: all slots]
    #[arg(long, value_parser = instant, value_name = "TIME")]
    slot: Option<Timestamp>,
    /// Length of the slot in minutes [default: the market's, or 15 without --data-dir]
    #[arg(long)]
    minutes: Option<u16>,
    /// Levels of each side that are printed
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(u16).range(1..))]
    depth: u16,
    /// Print the books as they are now, and end
    #[arg(long)]
    once: bool,
    /// The shard, from 1
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u8).range(1..))]
    shard: u8,
    /// human: tables; ndjson: a line for every book, trade and phase; json and csv only with --once
    #[arg(long, value_enum, default_value = "human")]
    output: Format,
}

/// Carries the command out.
///
/// # Errors
/// Code 2 for a wrong command line, 3 for keys and configuration, 6 where the exchange does not answer
/// or does not take us for who we are.
pub fn run(command: &Command) -> Result<(), Failure> {
    let Command::Watch(options) = command;
    if !options.once && matches!(options.output, Format::Json | Format::Csv) {
        return Err(Failure::usage("without --once, --output is human or ndjson"));
    }
    let config = options.server.config()?;
    let connector = options.server.connector(config.as_ref())?;
    let minutes = options.server.slot_minutes(config.as_ref(), options.market, options.minutes)?;
    let selection = match options.slot {
        Some(start) => Selection::Slot(slot_key(options.market, start, minutes)?),
        None => Selection::Market(options.market),
    };
    let shard = options.shard.checked_sub(1).and_then(ShardId::new);
    let shard = shard.ok_or_else(|| Failure::usage("--shard: there is no such shard"))?;
    block_on(async {
        let subscription = MarketSubscription { shard, ..MarketSubscription::of([selection]) };
        tokio::select! {
            result = watch(options, &connector, subscription) => result,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })
}

async fn watch(
    options: &WatchOptions,
    connector: &Connector,
    subscription: MarketSubscription,
) -> Result<(), Failure> {
    let failed = |error: ClientError| client_failure(&error, connector.address);
    let mut client = MarketClient::subscribe(connector, subscription).await.map_err(failed)?;
    if options.once {
        // The first position comes behind every book.
        while !matches!(client.next().await.map_err(failed)?, MarketUpdate::Position(_)) {}
        return print_once(options, &client);
    }
    match options.output {
        Format::Ndjson => loop {
            let update = client.next().await.map_err(failed)?;
            let Some(line) = line(options, &client, &update)? else { continue };
            if output::print_on(&line)?.is_break() {
                return Ok(());
            }
        },
        Format::Human | Format::Json | Format::Csv => draw(options, &mut client, &failed).await,
    }
}

/// Draws books again when they changed, on a terminal over what was there.
async fn draw(
    options: &WatchOptions,
    client: &mut MarketClient,
    failed: &dyn Fn(ClientError) -> Failure,
) -> Result<(), Failure> {
    let clear = if std::io::stdout().is_terminal() { "\x1b[H\x1b[J" } else { "" };
    let mut redraw = tokio::time::interval(REDRAW);
    let mut last_trade = String::new();
    let (mut changed, mut drawn) = (false, false);
    loop {
        tokio::select! {
            update = client.next() => match update.map_err(failed)? {
                MarketUpdate::Position(_) => changed |= !drawn,
                MarketUpdate::Trade(at) => {
                    last_trade = format!(
                        "last trade: {} kWh at {} for {} at {}\n",
                        energy_text(at.body.quantity),
                        price_text(at.body.price),
                        slot_text(at.body.key),
                        instant_text(at.place.time),
                    );
                    changed = true;
                }
                MarketUpdate::Book(_)
                | MarketUpdate::Closed(_)
                | MarketUpdate::Phase(_)
                | MarketUpdate::Auction(_)
                | MarketUpdate::Missed(_) => changed = true,
            },
            _ = redraw.tick(), if changed => {
                let text = format!("{clear}{}{last_trade}", tables(options, client));
                if output::print_on(&text)?.is_break() {
                    return Ok(());
                }
                (changed, drawn) = (false, true);
            }
        }
    }
}

fn print_once(options: &WatchOptions, client: &MarketClient) -> Result<(), Failure> {
    match options.output {
        Format::Human => output::print(&tables(options, client)),
        Format::Csv => {
            let books = client.books().books();
            let rows: Vec<_> =
                books.flat_map(|(&key, book)| level_rows(key, book, options.depth)).collect();
            output::print_rows(&rows, Format::Csv)
        }
        Format::Json | Format::Ndjson => {
            let books = client.books().books();
            let rows: Vec<_> =
                books.map(|(&key, book)| BookRow::new(key, book, options.depth)).collect();
            output::print_rows(&rows, options.output)
        }
    }
}

/// A book as a JSON object.
#[derive(Debug, Serialize)]
struct BookRow {
    kind: &'static str,
    market: u16,
    slot_start: String,
    minutes: u16,
    revision: u64,
    time: String,
    phase: &'static str,
    last: Option<String>,
    indicative_price: Option<String>,
    indicative_wh: Option<u64>,
    indicative_surplus_wh: Option<i64>,
    buy: Vec<LevelRow>,
    sell: Vec<LevelRow>,
}

#[derive(Debug, Serialize)]
struct LevelRow {
    price: String,
    quantity_wh: u64,
    orders: u32,
}

impl LevelRow {
    fn new(level: &Level) -> Self {
        Self {
            price: price_text(level.price),
            quantity_wh: level.quantity.wh(),
            orders: level.orders,
        }
    }
}

impl BookRow {
    fn new(key: SlotKey, book: &LocalBook, depth: u16) -> Self {
        let side = |side| book.levels(side).take(depth.into()).map(LevelRow::new).collect();
        let indicative = book.head.indicative;
        Self {
            kind: "book",
            market: key.market.get(),
            slot_start: slot_text(key),
            minutes: key.slot.minutes(),
            revision: book.revision().get(),
            time: instant_text(book.head.time),
            phase: book.head.phase.name(),
            last: book.head.last.map(price_text),
            indicative_price: indicative.and_then(|now| now.price).map(price_text),
            indicative_wh: indicative.map(|now| now.volume.wh()),
            indicative_surplus_wh: indicative.map(|now| now.surplus_wh),
            buy: side(Side::Buy),
            sell: side(Side::Sell),
        }
    }
}

/// A level as a row of its own.
#[derive(Debug, Serialize)]
struct FlatRow {
    market: u16,
    slot_start: String,
    revision: u64,
    side: &'static str,
    price: String,
    quantity_wh: u64,
    orders: u32,
}

fn level_rows(key: SlotKey, book: &LocalBook, depth: u16) -> impl Iterator<Item = FlatRow> {
    let sides = [Side::Buy, Side::Sell].into_iter();
    sides.flat_map(move |side| book.levels(side).take(depth.into())).map(move |level| FlatRow {
        market: key.market.get(),
        slot_start: slot_text(key),
        revision: book.revision().get(),
        side: level.side.name(),
        price: price_text(level.price),
        quantity_wh: level.quantity.wh(),
        orders: level.orders,
    })
}

/// An update as a line of JSON. Positions are none.
fn line(
    options: &WatchOptions,
    client: &MarketClient,
    update: &MarketUpdate,
) -> Result<Option<String>, Failure> {
    let place = |kind: &str, key: SlotKey, seq: types::Seq, time: Timestamp| {
        serde_json::json!({
            "kind": kind, "market": key.market.get(), "slot_start": slot_text(key), "seq": seq.get(),
            "time": instant_text(time),
        })
    };
    let with = |mut row: serde_json::Value, more: serde_json::Value| {
        if let (Some(row), serde_json::Value::Object(more)) = (row.as_object_mut(), more) {
            row.extend(more);
        }
        row
    };
    let row = match update {
        MarketUpdate::Position(_) => return Ok(None),
        MarketUpdate::Book(key) => {
            let Some(book) = client.books().book(*key) else { return Ok(None) };
            let row = BookRow::new(*key, book, options.depth);
            serde_json::to_value(row).map_err(Failure::runtime)?
        }
        MarketUpdate::Closed(key) => serde_json::json!({
            "kind": "phase", "market": key.market.get(), "slot_start": slot_text(*key),
            "phase": Phase::Closed.name(),
        }),
        MarketUpdate::Trade(at) => with(
            place("trade", at.body.key, at.place.seq, at.place.time),
            serde_json::json!({
                "trade": at.body.trade.get(), "price": price_text(at.body.price),
                "quantity_wh": at.body.quantity.wh(), "maker": at.body.maker.map(Side::name),
            }),
        ),
        MarketUpdate::Phase(at) => with(
            place("phase", at.body.key, at.place.seq, at.place.time),
            serde_json::json!({ "phase": at.body.phase.name() }),
        ),
        MarketUpdate::Auction(at) => with(
            place("auction", at.body.key, at.place.seq, at.place.time),
            serde_json::json!({
                "price": at.body.price.map(price_text), "volume_wh": at.body.volume.wh(),
                "surplus_wh": at.body.surplus_wh,
            }),
        ),
        MarketUpdate::Missed(missed) => serde_json::json!({
            "kind": "missed", "slot_start": missed.slot.map(slot_text), "after": missed.after.get(),
            "through": missed.through.get(), "trades": missed.trades,
            "traded_wh": missed.traded.wh(), "events": missed.events,
        }),
    };
    Ok(Some(format!("{row}\n")))
}

/// One slot with its levels, or the best prices of many.
fn tables(options: &WatchOptions, client: &MarketClient) -> String {
    let mut books = client.books().books();
    match (options.slot, books.next()) {
        (_, None) => format!("market {}: no slot is open\n", options.market),
        (Some(_), Some((&key, book))) => ladder(key, book, options.depth),
        (None, Some(first)) => overview(options, std::iter::once(first).chain(books).collect()),
    }
}

fn title(key: SlotKey, book: &LocalBook) -> String {
    let last = book.head.last.map_or_else(|| "-".to_owned(), price_text);
    let indicative = book.head.indicative.map_or_else(String::new, |now| {
        let price = now.price.map_or_else(|| "-".to_owned(), price_text);
        format!(", indicative {price} for {} kWh", energy_text(now.volume))
    });
    format!(
        "market {} slot {} ({} min): {}, last {last}{indicative}, revision {}\n",
        key.market,
        slot_text(key),
        key.slot.minutes(),
        book.head.phase.name(),
        book.revision(),
    )
}

fn ladder(key: SlotKey, book: &LocalBook, depth: u16) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["orders", "kWh", "buy", "sell", "kWh", "orders"]);
    let (mut buy, mut sell) = (book.levels(Side::Buy), book.levels(Side::Sell));
    for _ in 0..depth {
        let (buy, sell) = (buy.next(), sell.next());
        if buy.is_none() && sell.is_none() {
            break;
        }
        let cells = |level: Option<&Level>| {
            level.map_or_else(Default::default, |level| {
                [level.orders.to_string(), energy_text(level.quantity), price_text(level.price)]
            })
        };
        let mut right: [String; 3] = cells(sell);
        right.reverse();
        table.add_row(cells(buy).into_iter().chain(right));
    }
    format!("{}{table}\n", title(key, book))
}

fn overview(options: &WatchOptions, books: Vec<(&SlotKey, &LocalBook)>) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["slot", "phase", "kWh", "buy", "sell", "kWh", "last", "revision"]);
    let phases: BTreeSet<_> = books.iter().map(|(_, book)| book.head.phase.name()).collect();
    for (key, book) in books.iter().take(SLOTS_SHOWN) {
        let best = |side| book.levels(side).next();
        let price =
            |level: Option<&Level>| level.map_or_else(String::new, |at| price_text(at.price));
        let quantity =
            |level: Option<&Level>| level.map_or_else(String::new, |at| energy_text(at.quantity));
        let (buy, sell) = (best(Side::Buy), best(Side::Sell));
        table.add_row([
            slot_text(**key),
            book.head.phase.name().to_owned(),
            quantity(buy),
            price(buy),
            price(sell),
            quantity(sell),
            book.head.last.map_or_else(String::new, price_text),
            book.revision().to_string(),
        ]);
    }
    let phases: Vec<_> = phases.into_iter().collect();
    let more = books.len().saturating_sub(SLOTS_SHOWN);
    let more = if more > 0 { format!(" ({more} more are not shown)") } else { String::new() };
    format!(
        "market {}: {} slots in {}{more}\n{table}\n",
        options.market,
        books.len(),
        phases.join(", ")
    )
}
