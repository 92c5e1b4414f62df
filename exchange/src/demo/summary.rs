//! What the day came to: a table for people, JSON for programs, the data of the report.

use std::{collections::BTreeMap, path::Path, time::Duration};

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use hdrhistogram::Histogram;
use serde::Serialize;
use settlement::{MechanismTotal, Standing, Summary, rails::InstructionState, statement::Total};
use types::{Energy, MeterId, Price, Side, SlotKey};

use super::{
    Options, examples, household,
    play::{self, Paper, Played},
    report::{self, CurveData, FunnelStep, MoneyLine, ReportData, SlotLine},
    trader::Intent,
};
use crate::{exit::Failure, output::Format};

/// Longest line of an example: as long as a ledger root with its size.
const LINE_MAX: usize = 82;
/// The level from which a meter may not trade.
const SUSPENDED: u8 = 3;
/// Accounts that are neither outside, nor free, held or earned.
const OTHER_KINDS: [&str; 7] =
    ["owes", "owed", "pool", "rounding", "clearing", "arriving", "leaving"];

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
    #[serde(flatten)]
    settlement: SettlementNumbers,
    commands: u64,
    state_digest: String,
    ledger_size: u64,
    ledger_root: String,
    ack_latency_us: LatencyNumbers,
    elapsed_s: u64,
    elapsed_ms: u64,
    data_dir: Option<String>,
}

/// What follows from the contracts: money, debts and papers.
#[derive(Debug, Serialize)]
struct SettlementNumbers {
    mechanisms: Vec<MechanismNumbers>,
    rail_settled: u64,
    rail_declined: u64,
    rail_silent: u64,
    rail_events: u64,
    reconciled_days: u64,
    reconciled_movements: u64,
    reconciliation_breaks: u64,
    defaults: u64,
    fined: u64,
    suspended: u64,
    reinstated: u64,
    orders_suspended: u64,
    default_example: String,
    statements_month: &'static str,
    statements: Vec<StatementNumbers>,
    money_sum_minor: i64,
    money: Vec<MoneyNumbers>,
}

#[derive(Debug, Serialize)]
struct MoneyNumbers {
    owner: &'static str,
    account: &'static str,
    accounts: u64,
    minor: i64,
}

#[derive(Debug, Serialize)]
struct MechanismNumbers {
    mechanism: &'static str,
    contracts: u64,
    settled_wh: u64,
    paid_minor: i64,
    open_minor: i64,
}

#[derive(Debug, Serialize)]
struct StatementNumbers {
    retailer: u16,
    contracts: u64,
    bought_wh: u64,
    sold_wh: u64,
    charges_minor: i64,
    fines_minor: i64,
    net_minor: i64,
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
    let summary = &played.settled.summary;
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
        cancelled: cancelled(summary),
        settled_wh: summary.settled_wh,
        documents: played.desks.documents,
        documents_refused: played.desks.refused,
        files_late: played.desks.late,
        files_corrected: played.desks.corrected,
        files_contradicted: played.desks.contradicted,
        curtailments: played.desks.curtailments,
        settlement: SettlementNumbers::of(played),
        commands: played.commands,
        state_digest: played.state_digest.to_string(),
        ledger_size: played.settled.checkpoint.size,
        ledger_root: played.settled.checkpoint.root.to_string(),
        ack_latency_us: latency_numbers(&played.latency),
        elapsed_s: elapsed.as_secs(),
        elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        data_dir: kept.map(|dir| dir.display().to_string()),
    }
}

impl SettlementNumbers {
    fn of(played: &Played) -> Self {
        let summary = &played.settled.summary;
        let levels = Levels::of(&played.settled.standings);
        let rail = |state| rail_count(played, state);
        Self {
            mechanisms: played.settled.mechanisms.iter().map(MechanismNumbers::of).collect(),
            rail_settled: rail(InstructionState::Settled),
            rail_declined: rail(InstructionState::Declined),
            rail_silent: played.rail.silent,
            rail_events: played.rail.told,
            reconciled_days: played.settled.compared.days,
            reconciled_movements: played.settled.compared.agreed,
            reconciliation_breaks: played.settled.compared.breaks,
            defaults: levels.defaults,
            fined: levels.fined,
            suspended: levels.suspended,
            reinstated: levels.reinstated,
            orders_suspended: played.counts.suspended,
            default_example: examples::default(played.story.as_ref(), &played.settled.standings),
            statements_month: play::month(),
            statements: played.settled.papers.iter().map(StatementNumbers::of).collect(),
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
        }
    }
}

impl MechanismNumbers {
    fn of(total: &MechanismTotal) -> Self {
        let MechanismTotal { mechanism, contracts, settled_wh, paid_minor, open_minor } = *total;
        Self { mechanism: mechanism.name(), contracts, settled_wh, paid_minor, open_minor }
    }
}

impl StatementNumbers {
    fn of(paper: &Paper) -> Self {
        let Total { contracts, bought_wh, sold_wh, charges_minor, fines_minor, net_minor, .. } =
            paper.total;
        let retailer = paper.retailer;
        Self { retailer, contracts, bought_wh, sold_wh, charges_minor, fines_minor, net_minor }
    }
}

/// How far enforcement went: contracts in default and fined, meters suspended and let trade again.
#[derive(Debug, Default)]
struct Levels {
    defaults: u64,
    fined: u64,
    suspended: u64,
    reinstated: u64,
}

impl Levels {
    fn of(standings: &[Standing]) -> Self {
        let mut levels = Self::default();
        let mut meters: BTreeMap<MeterId, bool> = BTreeMap::new();
        for one in standings {
            levels.defaults = levels.defaults.saturating_add(u64::from(one.level > 0));
            let is_fined = one.steps.iter().any(|(_, step)| step.fine > 0);
            levels.fined = levels.fined.saturating_add(u64::from(is_fined));
            if one.level >= SUSPENDED {
                let still = meters.entry(one.debtor).or_default();
                *still = *still || one.suspends();
            }
        }
        levels.suspended = count(meters.len());
        levels.reinstated = count(meters.values().filter(|&&still| !still).count());
        levels
    }
}

/// Contracts that both sides cancelled, or for which nobody blocked money: those in no other state.
fn cancelled(summary: &Summary) -> u64 {
    let Summary { complete, partial, partial_curtailed, failed, disputed, awaiting, .. } = *summary;
    let others = [complete, partial, partial_curtailed, failed, disputed, awaiting];
    summary.contracts.saturating_sub(others.into_iter().fold(0, u64::saturating_add))
}

/// Instructions in a state.
fn rail_count(played: &Played, of: InstructionState) -> u64 {
    let counts = played.settled.instructions.iter().filter(|(_, state, ..)| *state == of);
    counts.map(|(_, _, count, _)| *count).fold(0, u64::saturating_add)
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
    let (mechanisms, statements) = (mechanism_table(numbers), statement_table(numbers));
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
    format!("{table}\n{mechanisms}\n{statements}\n{hint}\n")
}

fn mechanism_table(numbers: &Numbers) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["mechanism", "contracts", "settled", "paid", "still owed"]);
    for line in &numbers.settlement.mechanisms {
        table.add_row([
            line.mechanism.to_owned(),
            line.contracts.to_string(),
            Energy::from_wh(line.settled_wh).to_string(),
            minor(line.paid_minor),
            minor(line.open_minor),
        ]);
    }
    table
}

fn statement_table(numbers: &Numbers) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let head = format!("statement of {}", numbers.settlement.statements_month);
    table.set_header([&head, "sides", "bought", "sold", "charges", "net"]);
    for line in &numbers.settlement.statements {
        table.add_row([
            format!("retailer/{}", line.retailer),
            line.contracts.to_string(),
            Energy::from_wh(line.bought_wh).to_string(),
            Energy::from_wh(line.sold_wh).to_string(),
            minor(line.charges_minor),
            minor(line.net_minor),
        ]);
    }
    table
}

/// In lines of so many characters, where that can be.
fn wrapped_lines(text: &str) -> String {
    let mut wrapped = String::new();
    let mut used = 0_usize;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used.saturating_add(length) >= LINE_MAX {
            wrapped.push('\n');
            used = 0;
        } else if used > 0 {
            wrapped.push(' ');
        }
        wrapped.push_str(word);
        used = used.saturating_add(length).saturating_add(1);
    }
    wrapped
}

/// Where the money is, in one line.
fn books(numbers: &Numbers, currency: &str) -> String {
    let sum = |kinds: &[&str]| {
        let lines = numbers.settlement.money.iter().filter(|line| kinds.contains(&line.account));
        minor(lines.map(|line| line.minor).fold(0, i64::saturating_add))
    };
    format!(
        "{} outside, {} free, {} held, {} earned, {} other; sum {} {currency}",
        sum(&["external"]),
        sum(&["available"]),
        sum(&["escrow"]),
        sum(&["earned"]),
        sum(&OTHER_KINDS),
        minor(numbers.settlement.money_sum_minor)
    )
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
        (
            "cleared energy, call prices",
            format!("{}, {}", Energy::from_wh(numbers.cleared_wh), price_range(played)),
        ),
        (
            "durable answer p50 / p99 / p99.9",
            format!("{} / {} / {} µs", latency.p50, latency.p99, latency.p999),
        ),
    ];
    let rows = rows.into_iter().chain(settlement_facts(numbers, played));
    rows.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The rows about what was settled.
fn settlement_facts(numbers: &Numbers, played: &Played) -> Vec<(&'static str, String)> {
    vec![
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
        (
            "payment rail: settled, declined, silent at first",
            format!(
                "{}, {}, {}",
                numbers.settlement.rail_settled,
                numbers.settlement.rail_declined,
                numbers.settlement.rail_silent
            ),
        ),
        (
            "compared three ways: days, movements, breaks",
            format!(
                "{}, {}, {}",
                numbers.settlement.reconciled_days,
                numbers.settlement.reconciled_movements,
                numbers.settlement.reconciliation_breaks
            ),
        ),
        (
            "defaults, fined, suspended, reinstated",
            format!(
                "{}, {}, {}, {}",
                numbers.settlement.defaults,
                numbers.settlement.fined,
                numbers.settlement.suspended,
                numbers.settlement.reinstated
            ),
        ),
        ("· one of them", wrapped_lines(&numbers.settlement.default_example)),
        ("books", books(numbers, played.market.currency.code())),
        ("state digest", numbers.state_digest.clone()),
        ("ledger root", format!("{} ({} leaves)", numbers.ledger_root, numbers.ledger_size)),
        ("elapsed", format!("{} ms", numbers.elapsed_ms)),
    ]
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
            .settlement
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
            ("checkpoint".to_owned(), played.settled.checkpoint.note.clone()),
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
