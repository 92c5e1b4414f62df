//! What the day came to: a table for people, JSON for programs, the data of the report.

use std::{path::Path, time::Duration};

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use hdrhistogram::Histogram;
use serde::Serialize;
use types::{Energy, Price, Side, SlotKey};

use super::{
    Options, examples, household,
    play::Played,
    report::{self, CurveData, FunnelStep, MoneyLine, ReportData, SlotLine},
    trader::Intent,
};
use crate::{exit::Failure, output::Format};

/// The numbers, with the names under which programs find them.
#[derive(Debug, Serialize)]
struct Numbers {
    seed: u64,
    meters: usize,
    prosumers: usize,
    slots: u32,
    orders: u64,
    order_changes: u64,
    rejected: u64,
    trades: u64,
    negotiated: u64,
    changes_agreed: u64,
    change_example: String,
    changes_declined: u64,
    declined_example: String,
    aggregates: u64,
    aggregate_members: u64,
    aggregate_trades: u64,
    aggregate_example: String,
    grid_limits: u64,
    grid_stopped: u64,
    grid_cancelled: u64,
    grid_example: String,
    cleared_wh: u64,
    contracts: u64,
    complete: u64,
    partial: u64,
    partial_curtailed: u64,
    failed: u64,
    disputed: u64,
    awaiting: u64,
    cancelled: u64,
    settled_wh: u64,
    documents: u64,
    documents_refused: u64,
    files_late: u64,
    files_corrected: u64,
    files_contradicted: u64,
    curtailments: u64,
    money_sum_minor: i64,
    money: Vec<MoneyNumbers>,
    commands: u64,
    state_digest: String,
    ledger_size: u64,
    ledger_root: String,
    ack_latency_us: LatencyNumbers,
    elapsed_s: u64,
    elapsed_ms: u64,
    data_dir: Option<String>,
}

#[derive(Debug, Serialize)]
struct MoneyNumbers {
    owner: &'static str,
    account: &'static str,
    accounts: u64,
    minor: i64,
}

#[derive(Debug, Serialize)]
struct LatencyNumbers {
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

fn numbers(options: &Options, played: &Played, elapsed: Duration, kept: Option<&Path>) -> Numbers {
    let summary = &played.summary;
    Numbers {
        seed: options.seed,
        meters: played.meters,
        prosumers: played.prosumers,
        slots: options.slots,
        orders: played.counts.orders,
        order_changes: played.counts.changes,
        rejected: played.counts.rejected,
        trades: played.observed.trades,
        negotiated: played.observed.negotiated,
        changes_agreed: count(played.observed.changes.len()),
        change_example: examples::change(&played.observed.changes),
        changes_declined: count(played.declined.len()),
        declined_example: examples::change(&played.declined),
        aggregates: count(played.bundles.len()),
        aggregate_members: played.bundles.iter().map(|bundle| bundle.members).sum(),
        aggregate_trades: played.bundles.iter().map(|bundle| bundle.fills).sum(),
        aggregate_example: examples::bundle(&played.bundles),
        grid_limits: count(played.observed.limits.len()),
        grid_stopped: played.counts.stopped,
        grid_cancelled: played.observed.limits.iter().map(|set| u64::from(set.cancelled)).sum(),
        grid_example: examples::limit(&played.observed.limits),
        cleared_wh: played.observed.cleared_wh,
        contracts: summary.contracts,
        complete: summary.complete,
        partial: summary.partial,
        partial_curtailed: summary.partial_curtailed,
        failed: summary.failed,
        disputed: summary.disputed,
        awaiting: summary.awaiting,
        cancelled: count(
            played.observed.changes.iter().filter(|terms| terms.new_quantity.is_zero()).count(),
        ),
        settled_wh: summary.settled_wh,
        documents: played.desks.documents,
        documents_refused: played.desks.refused,
        files_late: played.desks.late,
        files_corrected: played.desks.corrected,
        files_contradicted: played.desks.contradicted,
        curtailments: played.desks.curtailments,
        money_sum_minor: summary.balance_minor,
        money: summary
            .accounts
            .iter()
            .map(|total| MoneyNumbers {
                owner: total.owner,
                account: total.kind,
                accounts: total.accounts,
                minor: total.minor,
            })
            .collect(),
        commands: played.commands,
        state_digest: played.state_digest.to_string(),
        ledger_size: played.checkpoint.size,
        ledger_root: played.checkpoint.root.to_string(),
        ack_latency_us: latency_numbers(&played.latency),
        elapsed_s: elapsed.as_secs(),
        elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        data_dir: kept.map(|dir| dir.display().to_string()),
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn latency_numbers(latency: &Histogram<u64>) -> LatencyNumbers {
    let us = |quantile| latency.value_at_quantile(quantile).div_euclid(1_000);
    LatencyNumbers {
        p50: us(0.5),
        p90: us(0.9),
        p99: us(0.99),
        p999: us(0.999),
        max: latency.max().div_euclid(1_000),
    }
}

/// The summary in the format that was asked for.
///
/// # Errors
/// When it cannot be serialised.
pub(super) fn text(
    options: &Options,
    played: &Played,
    elapsed: Duration,
    kept: Option<&Path>,
) -> Result<String, Failure> {
    let numbers = numbers(options, played, elapsed, kept);
    let value = serde_json::to_value(&numbers).map_err(Failure::runtime)?;
    Ok(match options.output.output {
        Format::Json => {
            let mut text = serde_json::to_string_pretty(&value).map_err(Failure::runtime)?;
            text.push('\n');
            text
        }
        Format::Ndjson => format!("{value}\n"),
        Format::Csv => {
            let mut text = String::from("name,value\n");
            for (name, value) in value.as_object().into_iter().flatten() {
                if !value.is_array() && !value.is_object() {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    text.push_str(&format!("{name},{value}\n"));
                }
            }
            text
        }
        Format::Human => human(&numbers, played, kept),
    })
}

fn human(numbers: &Numbers, played: &Played, kept: Option<&Path>) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["One day, traded and settled", ""]);
    for (name, value) in facts(numbers, played) {
        table.add_row([name, value]);
    }
    let mut money = Table::new();
    money.load_style(UTF8_FULL_CONDENSED).set_header(["owner", "account", "accounts", "amount"]);
    let currency = played.market.currency.code();
    for line in &numbers.money {
        let amount = format!("{} {currency}", minor(line.minor));
        money.add_row([line.owner, line.account, &line.accounts.to_string(), &amount]);
    }
    let total = format!("{} {currency}", minor(numbers.money_sum_minor));
    money.add_row(["sum", "", "", &total]);
    let hint = kept.map_or_else(
        || {
            "Add `--keep --data-dir DIR` to keep the journal, the ledger and report.html."
                .to_owned()
        },
        |dir| {
            let dir = dir.display();
            format!("Kept in {dir}; open {dir}/report.html, or run: gridcross replay verify {dir}")
        },
    );
    format!("{table}\n{money}\n{hint}\n")
}

fn facts(numbers: &Numbers, played: &Played) -> Vec<(String, String)> {
    let latency = &numbers.ack_latency_us;
    let rows = [
        ("meters (prosumers)", format!("{} ({})", numbers.meters, numbers.prosumers)),
        ("delivery slots", numbers.slots.to_string()),
        (
            "orders, changes, rejects",
            format!("{}, {}, {}", numbers.orders, numbers.order_changes, numbers.rejected),
        ),
        ("trades, agreed directly", format!("{}, {}", numbers.trades, numbers.negotiated)),
        (
            "changes of contracts agreed, declined",
            format!("{}, {}", numbers.changes_agreed, numbers.changes_declined),
        ),
        ("· agreed", numbers.change_example.clone()),
        ("· declined", numbers.declined_example.clone()),
        (
            "orders for communities, members, their trades",
            format!(
                "{}, {}, {}",
                numbers.aggregates, numbers.aggregate_members, numbers.aggregate_trades
            ),
        ),
        ("· one of them", numbers.aggregate_example.clone()),
        (
            "limits of the grid, orders stopped, cancelled",
            format!(
                "{}, {}, {}",
                numbers.grid_limits, numbers.grid_stopped, numbers.grid_cancelled
            ),
        ),
        ("· one of them", numbers.grid_example.clone()),
        ("cleared energy", Energy::from_wh(numbers.cleared_wh).to_string()),
        ("call prices", price_range(played)),
        (
            "durable answer p50 / p99 / p99.9",
            format!("{} / {} / {} µs", latency.p50, latency.p99, latency.p999),
        ),
        (
            "contracts verified / partial / curtailed / failed",
            format!(
                "{} / {} / {} / {}",
                numbers.complete, numbers.partial, numbers.partial_curtailed, numbers.failed
            ),
        ),
        (
            "contracts awaiting data, cancelled",
            format!("{}, {}", numbers.awaiting, numbers.cancelled),
        ),
        ("settled energy", Energy::from_wh(numbers.settled_wh).to_string()),
        (
            "documents, refused, curtailments",
            format!(
                "{}, {}, {}",
                numbers.documents, numbers.documents_refused, numbers.curtailments
            ),
        ),
        (
            "meter files late, corrected, contradicted",
            format!(
                "{}, {}, {}",
                numbers.files_late, numbers.files_corrected, numbers.files_contradicted
            ),
        ),
        ("state digest", numbers.state_digest.clone()),
        ("ledger root", format!("{} ({} leaves)", numbers.ledger_root, numbers.ledger_size)),
        ("elapsed", format!("{} ms", numbers.elapsed_ms)),
    ];
    rows.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

fn price_range(played: &Played) -> String {
    let prices = || played.observed.slots.values().filter_map(|totals| totals.auction_price);
    match (prices().min(), prices().max()) {
        (Some(low), Some(high)) => {
            format!("{low} to {high} {}/kWh", played.market.currency.code())
        }
        _ => "none".to_owned(),
    }
}

/// Minor units with the decimal point in its place.
fn minor(amount: i64) -> String {
    let sign = if amount < 0 { "-" } else { "" };
    let units = amount.unsigned_abs();
    format!("{sign}{}.{:02}", units.div_euclid(100), units.rem_euclid(100))
}

/// The data of the HTML report.
pub(super) fn report_data(options: &Options, played: &Played, elapsed: Duration) -> ReportData {
    let numbers = numbers(options, played, elapsed, None);
    let step = |label: &str, count| FunnelStep { label: label.to_owned(), count };
    let latency = &numbers.ack_latency_us;
    ReportData {
        title: "One day of peer-to-peer trading".to_owned(),
        facts: facts(&numbers, played)
            .into_iter()
            .filter(|(name, _)| name != "state digest" && name != "ledger root")
            .collect(),
        currency: played.market.currency.code().to_owned(),
        noon: noon(played),
        day: played.keys.iter().map(|&key| slot_line(played, key)).collect(),
        funnel: vec![
            step("orders", numbers.orders),
            step("trades", numbers.trades),
            step("contracts", numbers.contracts),
            step("complete", numbers.complete),
            step("curtailed", numbers.partial_curtailed),
            step("partial", numbers.partial),
            step("failed", numbers.failed),
            step("awaiting meter data", numbers.awaiting),
        ],
        latency: report::latency_buckets(&played.latency),
        latency_summary: [
            ("p50", latency.p50),
            ("p90", latency.p90),
            ("p99", latency.p99),
            ("p99.9", latency.p999),
            ("max", latency.max),
        ]
        .map(|(name, us)| (name.to_owned(), format!("{us} µs")))
        .to_vec(),
        money: numbers
            .money
            .iter()
            .map(|line| MoneyLine {
                role: line.owner.to_owned(),
                account: line.account.to_owned(),
                minor: line.minor,
            })
            .collect(),
        proofs: vec![
            ("state digest".to_owned(), numbers.state_digest.clone()),
            ("ledger root".to_owned(), numbers.ledger_root.clone()),
            ("checkpoint".to_owned(), played.checkpoint.note.clone()),
        ],
        notes: vec![
            household::SOURCE.to_owned(),
            "Limits are spread evenly between feed-in and retail rate, forecasts are off by up to \
             12 %, outages, curtailments and files that go wrong are made up: the seed decides them."
                .to_owned(),
        ],
    }
}

fn noon(played: &Played) -> CurveData {
    let mut data = CurveData {
        slot: local_time(played, played.noon_key),
        demand: Vec::new(),
        supply: Vec::new(),
        price_micros: None,
        volume_wh: 0,
    };
    for intent in &played.noon {
        if let Intent::New { side, limit, quantity, .. } = intent {
            let levels = match side {
                Side::Buy => &mut data.demand,
                Side::Sell => &mut data.supply,
            };
            levels.push((limit.micros(), quantity.wh()));
        }
    }
    if let Some(totals) = played.observed.slots.get(&played.noon_key) {
        data.price_micros = totals.auction_price.map(Price::micros);
        data.volume_wh = totals.auction.wh();
    }
    data
}

fn slot_line(played: &Played, key: SlotKey) -> SlotLine {
    let totals = played.observed.slots.get(&key).copied().unwrap_or_default();
    SlotLine {
        label: local_time(played, key),
        auction_price_micros: totals.auction_price.map(Price::micros),
        auction_wh: totals.auction.wh(),
        continuous_wh: totals.continuous.wh(),
    }
}

/// Wall-clock time of a slot's start in its market's zone.
fn local_time(played: &Played, key: SlotKey) -> String {
    let ns = i128::from(key.slot.start().ns());
    jiff::Timestamp::from_nanosecond(ns)
        .and_then(|start| start.in_tz(played.market.time_zone.as_str()))
        .map_or_else(|_| key.to_string(), |start| start.strftime("%H:%M").to_string())
}
