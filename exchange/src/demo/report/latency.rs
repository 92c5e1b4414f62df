//! Latency as a histogram on a logarithmic axis.

use std::collections::BTreeMap;

use super::chart::{self, Area, Canvas, Layout};
use super::scale::{Scale, log2_1024};
use super::{LatencyBucket, html, number};

/// The least height of a bar that stands for something.
const BAR_HEIGHT_MIN: i128 = 12;

/// A bucket as it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bar {
    /// Lower bound in microseconds, exclusive.
    pub(super) lower_us: u64,
    /// Upper bound in microseconds, inclusive.
    pub(super) upper_us: u64,
    /// Measurements in the bucket.
    pub(super) count: u64,
}

/// The section about latency.
pub(super) fn section(buckets: &[LatencyBucket], summary: &[(String, String)]) -> String {
    let bars = bars(buckets);
    let title = "Latency histogram";
    let total: i128 = bars.iter().map(|bar| i128::from(bar.count)).sum();
    let (lead, figure) = match (bars.first(), bars.last()) {
        (Some(first), Some(last)) => {
            let lead = format!(
                "{} measurements, in buckets from {} to {}.",
                number::grouped(total),
                number::duration(first.lower_us),
                number::duration(last.upper_us),
            );
            let charts = chart::both(|layout| draw(&bars, total, layout).finish(title, &lead));
            let figure = [html::figure(title, &[], &charts), table(&bars, total)].concat();
            (lead, figure)
        }
        _ => (String::new(), html::figure(title, &[], &html::empty("No latency was measured."))),
    };
    let body = [html::pairs("figures", summary), figure].concat();
    html::section("latency", "Latency", &lead, &body)
}

/// Bars from the first to the last bucket that holds something.
pub(super) fn bars(buckets: &[LatencyBucket]) -> Vec<Bar> {
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for bucket in buckets {
        let count = counts.entry(bucket.upper_us.max(1)).or_insert(0);
        *count = count.saturating_add(bucket.count);
    }
    let mut lower_us = 0;
    let mut bars: Vec<Bar> = counts
        .into_iter()
        .map(|(upper_us, count)| {
            let bar = Bar { lower_us, upper_us, count };
            lower_us = upper_us;
            bar
        })
        .skip_while(|bar| bar.count == 0)
        .collect();
    while bars.pop_if(|bar| bar.count == 0).is_some() {}
    bars
}

/// Positions with labels at 1, 2 and 5 times powers of ten microseconds, or only at the powers
/// when these are too many.
pub(super) fn duration_ticks(low_us: u64, high_us: u64, count_max: usize) -> Vec<(u64, String)> {
    let powers = || (0..20).map(|exponent| 10_u64.pow(exponent));
    let inside = |value: &u64| (low_us..=high_us).contains(value);
    let fine: Vec<u64> = powers()
        .flat_map(|power| [1, 2, 5].map(|digit| power.saturating_mul(digit)))
        .filter(inside)
        .collect();
    let powers: Vec<u64> = powers().filter(inside).collect();
    let step = powers.len().div_ceil(count_max.max(1)).max(1);
    let coarse = powers.into_iter().step_by(step).collect();
    let chosen: Vec<u64> = if fine.len() <= count_max { fine } else { coarse };
    chosen.into_iter().map(|us| (us, number::duration(us))).collect()
}

/// The largest round value up to `us`: 1, 2 or 5 times a power of ten.
fn round_down(us: u64) -> u64 {
    let us = us.max(1);
    let power = 10_u64.pow(us.ilog10());
    match us / power {
        1 => power,
        2..5 => power * 2,
        _ => power * 5,
    }
}

/// The smallest round value from `us` on.
fn round_up(us: u64) -> u64 {
    let down = round_down(us);
    let power = 10_u64.pow(down.ilog10());
    match down / power {
        _ if down >= us => down,
        1 => power.saturating_mul(2),
        2 => power.saturating_mul(5),
        _ => power.saturating_mul(10),
    }
}

/// Where the first bar starts: a logarithmic axis has no zero, so the first bucket of all is drawn
/// down to half its bound.
fn lower_drawn(bar: &Bar) -> u64 {
    if bar.lower_us == 0 { (bar.upper_us / 2).max(1) } else { bar.lower_us }
}

fn draw(bars: &[Bar], total: i128, layout: Layout) -> Canvas {
    let low = bars.first().map_or(1, lower_drawn);
    let high = bars.last().map_or(1, |bar| bar.upper_us);
    let (low, high) = (round_down(low), round_up(high));
    let largest = bars.iter().map(|bar| bar.count).max().unwrap_or(0);
    let counts = Scale::covering(0, largest.into(), 1, 5);
    let count_ticks = counts.ticks(0);
    let area = Area {
        left: chart::margin_for(&count_ticks),
        right: layout.width() - 250,
        top: 320,
        bottom: 2_320,
    };
    // Buckets of at most 1 µs start one octave further left, at half a microsecond.
    let is_below_one = bars.first().is_some_and(|bar| bar.upper_us == 1);
    let start = log2_1024(low) - i128::from(is_below_one) * 1_024;
    let times = Scale { min: start, max: log2_1024(high).max(start + 1), step: 1 };
    let mut canvas = Canvas::new(layout, area.bottom + 460);
    canvas.title_left(area.top - 170, "Measurements per bucket");
    canvas.axis_left(area, &counts, &count_ticks);
    let x = |us: u64| times.place(log2_1024(us), area.left, area.right);
    let count_max = usize::try_from(layout.ticks_max() + 2).unwrap_or(usize::MAX);
    let ticks: Vec<(i128, String)> = duration_ticks(low, high, count_max)
        .into_iter()
        .map(|(us, label)| (x(us), label))
        .collect();
    for bar in bars.iter().filter(|bar| bar.count > 0) {
        let left = if bar.upper_us == 1 { area.left } else { x(lower_drawn(bar)) };
        let right = x(bar.upper_us);
        let gap = if right - left >= 60 { 10 } else { 0 };
        let y = counts.place(bar.count.into(), area.bottom, area.top);
        let top = y.min(area.bottom - BAR_HEIGHT_MIN);
        let hint = format!(
            "{} to {}: {}, {}",
            number::duration(bar.lower_us),
            number::duration(bar.upper_us),
            number::grouped(bar.count),
            number::share(bar.count, total),
        );
        canvas.rectangle_with_hint(
            "latency",
            Area { left, right: right - gap, top, ..area },
            &hint,
        );
    }
    canvas.axis_bottom(area, &ticks, "Latency, logarithmic scale");
    canvas
}

fn table(bars: &[Bar], total: i128) -> String {
    let mut so_far = 0;
    let mut rows = Vec::with_capacity(bars.len());
    for bar in bars {
        so_far += i128::from(bar.count);
        rows.push(vec![
            number::duration(bar.lower_us),
            number::duration(bar.upper_us),
            number::grouped(bar.count),
            number::share(bar.count, total),
            number::share(so_far, total),
        ]);
    }
    let head = ["above", "up to", "count", "share", "share so far"];
    html::data_table("Buckets as a table", &head, 0, &rows)
}
