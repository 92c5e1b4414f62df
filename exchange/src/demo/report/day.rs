//! Price and volume of every delivery slot of the day.

use super::chart::{self, Area, Canvas, Layout};
use super::scale::{EnergyScale, Scale, price_scale};
use super::{SlotLine, html, number};

/// Distances between labels on the time axis, in minutes; the first that fits is used.
const TICK_MINUTES: [u32; 9] = [5, 15, 30, 60, 120, 180, 240, 360, 720];
/// Minutes in a day.
const DAY_MINUTES: u32 = 1_440;
/// A few slots are drawn this wide, not across the whole plot.
const SLOT_WIDTH_MAX: i128 = 1_200;
/// The least height of a bar that stands for something.
const BAR_HEIGHT_MIN: i128 = 8;

/// The section about the day.
pub(super) fn section(slots: &[SlotLine], currency: &str) -> String {
    let places = number::price_places(slots.iter().filter_map(|slot| slot.auction_price_micros));
    let lead = lead(slots, currency, places);
    let title = "Auction price and traded volume by delivery slot";
    let body = if slots.is_empty() {
        html::figure(title, &[], &html::empty("No delivery slots."))
    } else {
        let charts = chart::both(|layout| draw(slots, currency, layout).finish(title, &lead));
        let mut legend = vec![
            ("key-price", "auction price"),
            ("key-auction", "auction volume"),
            ("key-continuous", "continuous volume"),
        ];
        if slots.iter().any(|slot| slot.auction_price_micros.is_none()) {
            legend.push(("key-gap", "no auction price"));
        }
        [html::figure(title, &legend, &charts), table(slots, currency, places)].concat()
    };
    html::section("day", "The day, slot by slot", &lead, &body)
}

/// Which slot edges get a label on the time axis, at most `count_max` of them.
pub(super) fn time_ticks(labels: &[&str], count_max: usize) -> Vec<(usize, String)> {
    let minutes: Option<Vec<u32>> = labels.iter().map(|label| minute_of_day(label)).collect();
    let Some(mut edges) = minutes else { return every_few(labels, count_max) };
    if let [.., before, last] = edges.as_slice()
        && let Some(length) = last.checked_sub(*before)
        && last + length <= DAY_MINUTES
    {
        edges.push(last + length);
    }
    for period in TICK_MINUTES {
        let ticks: Vec<(usize, String)> = edges
            .iter()
            .enumerate()
            .filter(|(_, minute)| minute.is_multiple_of(period))
            .map(|(index, minute)| (index, format!("{:02}:{:02}", minute / 60, minute % 60)))
            .collect();
        if !ticks.is_empty() && ticks.len() <= count_max {
            return ticks;
        }
    }
    every_few(labels, count_max)
}

fn every_few(labels: &[&str], count_max: usize) -> Vec<(usize, String)> {
    let step = labels.len().div_ceil(count_max.max(1)).max(1);
    labels.iter().map(|label| (*label).to_owned()).enumerate().step_by(step).collect()
}

/// Minutes since midnight of a label such as "12:15".
fn minute_of_day(label: &str) -> Option<u32> {
    let (hour, minute) = label.split_once(':')?;
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

fn volume(slot: &SlotLine) -> i128 {
    i128::from(slot.auction_wh) + i128::from(slot.continuous_wh)
}

/// What the chart says, in words.
fn lead(slots: &[SlotLine], currency: &str, places: u32) -> String {
    let traded = slots.iter().filter(|slot| volume(slot) > 0).count();
    if traded == 0 {
        return "No energy was traded.".to_owned();
    }
    let auction: i128 = slots.iter().map(|slot| i128::from(slot.auction_wh)).sum();
    let continuous: i128 = slots.iter().map(|slot| i128::from(slot.continuous_wh)).sum();
    let mut text = format!(
        "{} were traded for {traded} of {} delivery slots: {} in auctions and {} continuously.",
        number::energy(auction + continuous),
        slots.len(),
        number::energy(auction),
        number::energy(continuous),
    );
    let prices = || slots.iter().filter_map(|slot| slot.auction_price_micros);
    if let (Some(low), Some(high)) = (prices().min(), prices().max()) {
        let (low, high) = (number::price(low, places), number::price(high, places));
        let range = if low == high {
            format!(" Every auction cleared at {low}\u{a0}{currency}/kWh.")
        } else {
            format!(" Auction prices ran from {low} to {high}\u{a0}{currency}/kWh.")
        };
        text.push_str(&range);
    }
    text
}

/// The two plots of one drawing and the time axis they share.
struct Panels {
    price: Area,
    volume: Area,
    slots: i128,
}

impl Panels {
    /// Position of the edge before slot `index`.
    fn edge(&self, index: usize) -> i128 {
        let width = (self.volume.right - self.volume.left).min(self.slots * SLOT_WIDTH_MAX);
        self.volume.left + number::signed(index) * width / self.slots
    }

    /// Left and right side of the bar of slot `index`.
    fn bar(&self, index: usize) -> (i128, i128) {
        let (left, right) = (self.edge(index), self.edge(index + 1));
        let gap = if right - left >= 60 { 10 } else { 0 };
        (left, right - gap)
    }
}

fn draw(slots: &[SlotLine], currency: &str, layout: Layout) -> Canvas {
    let prices = || slots.iter().filter_map(|slot| slot.auction_price_micros);
    let price = price_scale(prices().min().unwrap_or(0), prices().max().unwrap_or(0), 4);
    let energy = EnergyScale::up_to(slots.iter().map(volume).max().unwrap_or(0), 4);
    // An axis without anything on it would only suggest numbers.
    let has_price = prices().next().is_some();
    let has_volume = slots.iter().any(|slot| volume(slot) > 0);
    let price_ticks = if has_price { price.ticks(6) } else { Vec::new() };
    let energy_ticks = if has_volume { energy.ticks() } else { Vec::new() };
    let left = chart::margin_for(&price_ticks).max(chart::margin_for(&energy_ticks));
    let right = layout.width() - 250;
    let panels = Panels {
        price: Area { left, right, top: 320, bottom: 1_820 },
        volume: Area { left, right, top: 2_360, bottom: 3_860 },
        slots: number::signed(slots.len()),
    };
    let mut canvas = Canvas::new(layout, panels.volume.bottom + 460);
    draw_gaps(&mut canvas, &panels, slots);
    let title = format!("Auction price, {currency} per kWh");
    canvas.title_left(panels.price.top - 170, &title);
    canvas.axis_left(panels.price, &price, &price_ticks);
    let title = format!("Traded volume, {} per slot", energy.unit);
    canvas.title_left(panels.volume.top - 170, &title);
    canvas.axis_left(panels.volume, &energy.scale, &energy_ticks);
    let labels: Vec<&str> = slots.iter().map(|slot| slot.label.as_str()).collect();
    let count_max = usize::try_from(layout.ticks_max()).unwrap_or(usize::MAX);
    let ticks: Vec<(i128, String)> = time_ticks(&labels, count_max)
        .into_iter()
        .map(|(index, label)| (panels.edge(index), label))
        .collect();
    canvas.axis_bottom(panels.volume, &ticks, "Start of delivery slot");
    draw_bars(&mut canvas, &panels, &energy, slots);
    draw_prices(&mut canvas, &panels, &price, slots);
    draw_hints(&mut canvas, &panels, slots, currency);
    canvas
}

/// Tints the runs of slots without a price.
fn draw_gaps(canvas: &mut Canvas, panels: &Panels, slots: &[SlotLine]) {
    let mut start = 0;
    for run in
        slots.chunk_by(|a, b| a.auction_price_micros.is_none() == b.auction_price_micros.is_none())
    {
        let end = start + run.len();
        if run.iter().all(|slot| slot.auction_price_micros.is_none()) {
            let (left, right) = (panels.edge(start), panels.edge(end));
            canvas.rectangle("gap", Area { left, right, ..panels.price });
        }
        start = end;
    }
}

/// Steps from slot to slot, interrupted where there is no price.
fn draw_prices(canvas: &mut Canvas, panels: &Panels, scale: &Scale, slots: &[SlotLine]) {
    let mut commands = String::new();
    let mut is_connected = false;
    for (index, slot) in slots.iter().enumerate() {
        if let Some(price) = slot.auction_price_micros {
            let y = scale.place(price.into(), panels.price.bottom, panels.price.top);
            let (left, right) = (panels.edge(index), panels.edge(index + 1));
            let start = if is_connected { format!("V{y}") } else { format!("M{left} {y}") };
            commands.push_str(&format!("{start}H{right}"));
        }
        is_connected = slot.auction_price_micros.is_some();
    }
    match commands.as_str() {
        "" => canvas.placeholder(panels.price, "no auction price in any slot"),
        commands => canvas.path("price", commands),
    }
}

/// One bar per slot: auction volume below, continuous volume on top.
fn draw_bars(canvas: &mut Canvas, panels: &Panels, energy: &EnergyScale, slots: &[SlotLine]) {
    if slots.iter().all(|slot| volume(slot) == 0) {
        canvas.placeholder(panels.volume, "no trades in any slot");
    }
    let Area { top, bottom, .. } = panels.volume;
    for (index, slot) in slots.iter().enumerate() {
        let (left, right) = panels.bar(index);
        let mut base = bottom;
        for (class, wh) in [("auction", slot.auction_wh), ("continuous", slot.continuous_wh)] {
            if wh > 0 {
                let height =
                    (bottom - energy.scale.place(wh.into(), bottom, top)).max(BAR_HEIGHT_MIN);
                canvas.rectangle(class, Area { left, right, top: base - height, bottom: base });
                base -= height;
            }
        }
    }
}

/// Invisible columns that name their slot when pointed at.
fn draw_hints(canvas: &mut Canvas, panels: &Panels, slots: &[SlotLine], currency: &str) {
    for (index, slot) in slots.iter().enumerate() {
        let price = match slot.auction_price_micros {
            Some(micros) => {
                let places = number::price_places([micros]);
                format!("{} {currency}/kWh", number::price(micros, places))
            }
            None => "no auction price".to_owned(),
        };
        let hint = format!(
            "{}: {price}, auction {}, continuous {}",
            slot.label,
            number::energy(slot.auction_wh),
            number::energy(slot.continuous_wh),
        );
        let (left, right) = (panels.edge(index), panels.edge(index + 1));
        let (top, bottom) = (panels.price.top, panels.volume.bottom);
        canvas.rectangle_with_hint("hint", Area { left, right, top, bottom }, &hint);
    }
}

fn table(slots: &[SlotLine], currency: &str, places: u32) -> String {
    let rows: Vec<Vec<String>> = slots
        .iter()
        .map(|slot| {
            let price = slot.auction_price_micros;
            vec![
                slot.label.clone(),
                price.map_or_else(|| "–".to_owned(), |micros| number::price(micros, places)),
                number::energy_exact(slot.auction_wh),
                number::energy_exact(slot.continuous_wh),
                number::energy_exact(volume(slot)),
            ]
        })
        .collect();
    let price = format!("auction {currency}/kWh");
    let head = ["slot", price.as_str(), "auction kWh", "continuous kWh", "total kWh"];
    html::data_table("Slots as a table", &head, 1, &rows)
}
