//! `gridcross dry-run`: written cases through the real code, one JSON line per case.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use engine::{
    auction::{Clearing, Curve, CurvePoint, clear},
    sharing::{CallOrder, allocate, sharing},
};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use types::{Energy, Price, PriceRule, Side};

use crate::{exit::Failure, output};

/// What can be rehearsed.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run order-book cases through the real engine, a fresh book each
    Book {
        /// A JSON array of cases
        file: PathBuf,
    },
    /// Price call auctions with the real auction code
    Auction {
        /// A JSON array of cases
        file: PathBuf,
    },
    /// Run settlement policies through the real pipeline, in memory
    Settlement {
        /// A JSON array of cases
        file: PathBuf,
    },
}

/// One case in, one line out; or which field is wrong.
type Runner = fn(&serde_json::Value) -> Result<String, String>;

/// Carries the command out.
///
/// # Errors
/// With code 2 when the file is malformed; the message names file, case and field. Cases that are sound are run all
/// the same, and in place of one that is not stands a line with its `error`.
pub fn run(command: &Command) -> Result<(), Failure> {
    let (file, run): (_, Runner) = match command {
        Command::Book { file } => (file, super::dry_run_book::run),
        Command::Auction { file } => (file, auction),
        Command::Settlement { file } => (file, settlement),
    };
    let mut cases = read_cases(file)?;
    let mut text = String::new();
    let mut failure = None;
    for (index, case) in cases.iter_mut().enumerate() {
        let name = case.get("name").and_then(Value::as_str).unwrap_or("unnamed").to_owned();
        if let Some(fields) = case.as_object_mut() {
            fields.retain(|field, _| !FOR_PEOPLE.contains(&field.as_str()));
        }
        let line = run(case).unwrap_or_else(|message| {
            let line = json!({ "name": name, "error": message }).to_string();
            failure.get_or_insert_with(|| {
                let place = format!("`{}` case {index} (`{name}`)", file.display());
                Failure::usage(format!("{place}: {message}"))
            });
            line
        });
        text.push_str(&line);
        text.push('\n');
    }
    output::print(&text)?;
    failure.map_or(Ok(()), Err)
}

/// Fields of a case that say something to people and nothing to the code.
const FOR_PEOPLE: [&str; 4] = ["group", "note", "notes", "source"];

fn read_cases(file: &Path) -> Result<Vec<serde_json::Value>, Failure> {
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read `{}`: {error}", file.display())))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!("`{}` is no list of cases: {error}", file.display()))
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuctionCase {
    name: String,
    rule: String,
    tick: Decimal,
    reference_price: Option<Decimal>,
    band: Option<[Decimal; 2]>,
    orders: Vec<OrderLine>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderLine {
    id: String,
    side: String,
    quantity: u64,
    price: Option<Decimal>,
    #[serde(default)]
    time: u64,
}

#[derive(Debug, Serialize)]
struct AuctionLine<'a> {
    name: &'a str,
    clearing_price: Option<String>,
    volume: u64,
    surplus: Option<i64>,
    fills: BTreeMap<&'a str, u64>,
}

/// Prices one case and shares its volume.
fn auction(case: &serde_json::Value) -> Result<String, String> {
    let case = AuctionCase::deserialize(case).map_err(|error| error.to_string())?;
    let rule = PriceRule::from_name(&case.rule)
        .ok_or_else(|| format!("field `rule`: `{}` is not a price rule", case.rule))?;
    let tick = price("tick", case.tick)?;
    if tick.micros() <= 0 {
        return Err(format!("field `tick`: got {}, expected more than zero", case.tick));
    }
    let reference = case.reference_price.map(|at| price("reference_price", at)).transpose()?;
    let band = match case.band {
        Some([low, high]) => Some((price("band", low)?, price("band", high)?)),
        None => None,
    };
    let orders = case.orders.iter().map(call_order).collect::<Result<Vec<_>, _>>()?;
    let cleared = clear_orders(rule, tick, reference, &at_edges(band, &orders))?;
    let fills = cleared.map_or_else(Vec::new, |clearing| {
        let sharing = sharing(rule, clearing.price, band);
        allocate(&orders, clearing.price, clearing.volume.wh(), sharing)
    });
    let mut of_orders: BTreeMap<&str, u64> = BTreeMap::new();
    for (line, fill) in case.orders.iter().zip(fills).filter(|&(_, fill)| fill > 0) {
        let sum = of_orders.entry(&line.id).or_default();
        *sum = sum.saturating_add(fill);
    }
    let line = AuctionLine {
        name: &case.name,
        clearing_price: cleared.map(|clearing| decimal(clearing.price)),
        volume: cleared.map_or(0, |clearing| clearing.volume.wh()),
        surplus: cleared.map(|clearing| clearing.surplus_wh),
        fills: of_orders,
    };
    serde_json::to_string(&line).map_err(|error| error.to_string())
}

fn call_order(line: &OrderLine) -> Result<CallOrder, String> {
    let side = match line.side.as_str() {
        "buy" => Side::Buy,
        "sell" => Side::Sell,
        other => return Err(format!("field `side`: got `{other}`, expected `buy` or `sell`")),
    };
    let limit = line.price.map(|limit| price("price", limit)).transpose()?;
    Ok(CallOrder { side, limit, quantity: line.quantity, time: line.time })
}

/// The orders as they are priced: where there are a band and limits, market orders are limits at its edge.
/// Rule T-57.
fn at_edges(band: Option<(Price, Price)>, orders: &[CallOrder]) -> Vec<CallOrder> {
    let has_limits = orders.iter().any(|order| order.limit.is_some());
    let edges = band.filter(|_| has_limits);
    let placed = |order: &CallOrder| {
        let edge = edges.map(|(low, high)| match order.side {
            Side::Buy => high,
            Side::Sell => low,
        });
        CallOrder { limit: order.limit.or(edge), ..*order }
    };
    orders.iter().map(placed).collect()
}

/// The curve of the orders, and the price of it.
fn clear_orders(
    rule: PriceRule,
    tick: Price,
    reference: Option<Price>,
    orders: &[CallOrder],
) -> Result<Option<Clearing>, String> {
    let mut levels: BTreeMap<Price, [u64; 2]> = BTreeMap::new();
    let mut market = [0_u64; 2];
    let mut totals = [0_u64; 2];
    for order in orders {
        let entry = match order.limit {
            Some(limit) => levels.entry(limit).or_default(),
            None => &mut market,
        };
        let [buy, sell] = entry;
        let [total_buy, total_sell] = &mut totals;
        let (sum, total) = match order.side {
            Side::Buy => (buy, total_buy),
            Side::Sell => (sell, total_sell),
        };
        *total = total
            .checked_add(order.quantity)
            .filter(|total| i64::try_from(*total).is_ok())
            .ok_or("field `quantity`: all together are beyond 2^63 - 1")?;
        // No larger than the total.
        *sum = sum.saturating_add(order.quantity);
    }
    let points: Vec<_> = levels
        .into_iter()
        .map(|(price, [buy, sell])| CurvePoint {
            price,
            buy: Energy::from_wh(buy),
            sell: Energy::from_wh(sell),
        })
        .collect();
    let [market_buy, market_sell] = market.map(Energy::from_wh);
    Ok(clear(rule, &Curve { points: &points, market_buy, market_sell, tick, reference }))
}

/// A decimal in millionths, exactly.
fn price(field: &str, value: Decimal) -> Result<Price, String> {
    value
        .checked_mul(Decimal::from(1_000_000_u32))
        .filter(Decimal::is_integer)
        .and_then(|micros| micros.to_i64())
        .map(Price::from_micros)
        .ok_or_else(|| format!("field `{field}`: got {value}, expected at most six decimals"))
}

/// Without trailing zeros.
fn decimal(price: Price) -> String {
    Decimal::new(price.micros(), 6).normalize().to_string()
}

/// Settles one case.
fn settlement(case: &serde_json::Value) -> Result<String, String> {
    let outcome =
        ::settlement::rehearse::rehearse_value(case.clone()).map_err(|error| error.to_string())?;
    serde_json::to_string(&outcome).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_auction_cases_come_out_as_published() {
        let cases: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("../../cases/auction.json")).unwrap();
        let expected: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("../../cases/auction.expected.json")).unwrap();
        assert_eq!(cases.len(), expected.len());
        for (case, expected) in cases.iter().zip(&expected) {
            let line = auction(case).unwrap();
            let got: serde_json::Value = serde_json::from_str(&line).unwrap();
            for field in ["name", "clearing_price", "volume", "surplus", "fills"] {
                assert_eq!(got[field], expected[field], "{field} of {}", expected["name"]);
            }
        }
    }

    #[test]
    fn market_orders_beside_limits_are_limits_at_the_edge_of_the_band() {
        let clear = |rule: &str, reference: Option<&str>, sell: u64| {
            let case = serde_json::json!({"name": "x", "rule": rule, "tick": "1", "reference_price": reference,
                "band": ["0", "100"], "orders": [
                {"id": "B", "side": "buy", "quantity": 10, "price": null, "time": 1},
                {"id": "S", "side": "sell", "quantity": sell, "price": "20", "time": 2}]});
            let line: serde_json::Value = serde_json::from_str(&auction(&case).unwrap()).unwrap();
            line["clearing_price"].as_str().unwrap().to_owned()
        };
        assert_eq!(clear("t7_clamp", Some("50"), 10), "50");
        assert_eq!(clear("midpoint", None, 5), "100");
        assert_eq!(clear("midpoint", None, 10), "60");
        assert_eq!(clear("pro_rata_at_band", None, 5), "100");
    }

    #[test]
    fn malformed_cases_name_the_field() {
        let case = |rule: &str, price: &str| {
            serde_json::json!({"name": "x", "rule": rule, "tick": "1", "reference_price": null,
                "orders": [{"id": "B", "side": "buy", "quantity": 1, "price": price, "time": 1}]})
        };
        assert!(auction(&case("magic", "1")).unwrap_err().contains("`rule`"));
        assert!(auction(&case("asx", "0.0000001")).unwrap_err().contains("`price`"));
    }
}
