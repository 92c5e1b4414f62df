//! The report of a demonstration run: one HTML file with inline styles and SVG charts.
//!
//! The page loads nothing, runs no script, and is the same bytes for the same data. Every number
//! is computed with integers; coordinates are whole tenths of a CSS pixel.

mod chart;
mod curve;
mod day;
mod funnel;
mod html;
mod latency;
mod money;
mod number;
mod scale;

#[cfg(test)]
mod tests;

use hdrhistogram::Histogram;

/// Everything the report shows.
#[derive(Debug, Clone)]
pub struct ReportData {
    /// Heading of the page, for example "One day of peer-to-peer trading".
    pub title: String,
    /// What was run, as label and value: meters, slots, seed, data source, elapsed time.
    pub facts: Vec<(String, String)>,
    /// Currency code printed next to prices and amounts, for example "EUR".
    pub currency: String,
    /// Demand and supply of one call auction.
    pub noon: CurveData,
    /// One line per delivery slot, in time order.
    pub day: Vec<SlotLine>,
    /// How many items reach each step from order to money, in order.
    pub funnel: Vec<FunnelStep>,
    /// Latency histogram, in ascending order of `upper_us`.
    pub latency: Vec<LatencyBucket>,
    /// Latency figures as label and value, for example ("p50", "312 µs").
    pub latency_summary: Vec<(String, String)>,
    /// Net result of each account.
    pub money: Vec<MoneyLine>,
    /// Digests as label and value: state digest, ledger root, checkpoint.
    pub proofs: Vec<(String, String)>,
    /// Provenance and caveats, one paragraph each.
    pub notes: Vec<String>,
}

/// The order levels of one call auction and its result.
#[derive(Debug, Clone)]
pub struct CurveData {
    /// Delivery slot the auction was for, for example "12:00".
    pub slot: String,
    /// Buy levels: limit in micro-currency per kWh, energy in Wh. Unsorted, not cumulated.
    pub demand: Vec<(i64, u64)>,
    /// Sell levels: limit in micro-currency per kWh, energy in Wh. Unsorted, not cumulated.
    pub supply: Vec<(i64, u64)>,
    /// Clearing price in micro-currency per kWh; `None` when nothing cleared.
    pub price_micros: Option<i64>,
    /// Cleared energy in Wh.
    pub volume_wh: u64,
}

/// What was traded for one delivery slot.
#[derive(Debug, Clone)]
pub struct SlotLine {
    /// Start of the slot as a wall-clock time, for example "12:15".
    pub label: String,
    /// Clearing price in micro-currency per kWh; `None` when nothing cleared.
    pub auction_price_micros: Option<i64>,
    /// Energy traded in the call auction, in Wh.
    pub auction_wh: u64,
    /// Energy traded in continuous trading, in Wh.
    pub continuous_wh: u64,
}

/// One step on the way from order to money.
#[derive(Debug, Clone)]
pub struct FunnelStep {
    /// What is counted, for example "orders accepted".
    pub label: String,
    /// How many there were.
    pub count: u64,
}

/// One bucket of the latency histogram.
#[derive(Debug, Clone)]
pub struct LatencyBucket {
    /// Upper bound in microseconds, inclusive. The bucket starts above the previous bound.
    pub upper_us: u64,
    /// Measurements in the bucket.
    pub count: u64,
}

/// Net result of one account.
#[derive(Debug, Clone)]
pub struct MoneyLine {
    /// What kind of account it is; lines are summed by role.
    pub role: String,
    /// Name of the account.
    pub account: String,
    /// Hundredths of the currency. Positive is received, negative is paid.
    pub minor: i64,
}

/// Forbids the page everything but its own styles, whatever text ends up in it.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Renders the whole page. The same data gives the same bytes.
#[must_use]
pub fn render(data: &ReportData) -> String {
    let sections = [
        curve::section(&data.noon, &data.currency),
        day::section(&data.day, &data.currency),
        funnel::section(&data.funnel),
        latency::section(&data.latency, &data.latency_summary),
        money::section(&data.money, &data.currency),
        proofs_section(&data.proofs),
        notes_section(&data.notes),
    ]
    .concat();
    page("gridcross demo", &data.title, &data.facts, &sections)
}

/// Renders a page with nothing but a distribution of latencies, in nanoseconds.
#[must_use]
pub fn latency_page(title: &str, facts: &[(String, String)], latency: &Histogram<u64>) -> String {
    page("gridcross bench", title, facts, &latency::section(&latency_buckets(latency), &[]))
}

/// `sections` is HTML.
fn page(eyebrow: &str, title: &str, facts: &[(String, String)], sections: &str) -> String {
    let title = html::escape(title);
    let style = include_str!("style.css");
    let facts = html::pairs("facts", facts);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{CONTENT_POLICY}\">\n\
         <title>{title} – gridcross</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n\
         <header>\n<p class=\"eyebrow\">{eyebrow}</p>\n<h1>{title}</h1>\n{facts}</header>\n\
         {sections}</main>\n</body>\n</html>\n"
    )
}

/// Buckets whose bounds grow by a quarter of a factor of ten, of durations in nanoseconds.
#[must_use]
pub fn latency_buckets(latency: &Histogram<u64>) -> Vec<LatencyBucket> {
    const STEPS_US: [u64; 4] = [178, 316, 562, 1_000];
    let mut buckets = Vec::new();
    let (mut below, mut scale) = (0, 1_u64);
    while below < latency.len() {
        for step in STEPS_US {
            let upper_us = step.saturating_mul(scale).div_euclid(10);
            let up_to = latency.count_between(0, upper_us.saturating_mul(1_000));
            buckets.push(LatencyBucket { upper_us, count: up_to.saturating_sub(below) });
            below = up_to.max(below);
        }
        scale = scale.saturating_mul(10);
        if scale > 1_000_000_000 {
            break;
        }
    }
    buckets
}

fn proofs_section(proofs: &[(String, String)]) -> String {
    if proofs.is_empty() {
        return String::new();
    }
    let lead = "Two runs with equal digests had equal results, to the last byte.";
    html::section("proofs", "Digests", lead, &html::pairs("proofs", proofs))
}

fn notes_section(notes: &[String]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let items: String =
        notes.iter().map(|note| format!("<li>{}</li>\n", html::escape(note))).collect();
    html::section("notes", "Notes", "", &format!("<ul class=\"notes\">\n{items}</ul>\n"))
}
