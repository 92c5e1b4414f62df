//! Demand and supply of one call auction as cumulative step curves.

use std::collections::{BTreeMap, BTreeSet};

use super::chart::{self, Area, Canvas, Layout};
use super::scale::{EnergyScale, Scale, price_scale};
use super::{CurveData, html, number};

/// All orders at one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    /// Limit in micro-currency per kWh.
    pub(super) price: i64,
    /// Energy at this limit, in Wh.
    pub(super) wh: i128,
    /// Energy at this limit and all better ones, in Wh.
    pub(super) cumulated_wh: i128,
}

/// The section about the auction.
pub(super) fn section(data: &CurveData, currency: &str) -> String {
    let book = Book::new(data);
    let lead = lead(data, &book, currency);
    let heading = format!("Call auction for {}", data.slot);
    let title = format!("Demand and supply in the auction for {}", data.slot);
    let body = if book.demand.is_empty() && book.supply.is_empty() {
        html::figure(&title, &[], &html::empty("No orders in this auction."))
    } else {
        let charts =
            chart::both(|layout| draw(data, &book, currency, layout).finish(&title, &lead));
        let mut legend = Vec::new();
        if !book.demand.is_empty() {
            legend.push(("key-demand", "demand"));
        }
        if !book.supply.is_empty() {
            legend.push(("key-supply", "supply"));
        }
        if book.cleared.is_some() {
            legend.push(("key-surplus", "gain from trading"));
            legend.push(("key-mark", "clearing price and volume"));
        }
        [html::figure(&title, &legend, &charts), table(&book, currency)].concat()
    };
    html::section("auction", &heading, &lead, &body)
}

/// Buy levels from the highest limit down, cumulated. Levels without energy are left out.
pub(super) fn demand_levels(orders: &[(i64, u64)]) -> Vec<Level> {
    cumulated(merged(orders).into_iter().rev())
}

/// Sell levels from the lowest limit up, cumulated. Levels without energy are left out.
pub(super) fn supply_levels(orders: &[(i64, u64)]) -> Vec<Level> {
    cumulated(merged(orders).into_iter())
}

/// Corners of the step curve from no energy up to `wh_max`, as energy and price.
pub(super) fn corners(levels: &[Level], wh_max: i128) -> Vec<(i128, i64)> {
    let mut corners = Vec::with_capacity(levels.len() * 2);
    for level in levels {
        let start = level.cumulated_wh - level.wh;
        if start >= wh_max {
            break;
        }
        corners.push((start, level.price));
        corners.push((level.cumulated_wh.min(wh_max), level.price));
    }
    corners
}

/// The levels in the order the curves visit them.
struct Book {
    demand: Vec<Level>,
    supply: Vec<Level>,
    /// Price and energy, when the auction cleared some.
    cleared: Option<(i64, i128)>,
    price_places: u32,
}

impl Book {
    fn new(data: &CurveData) -> Self {
        let demand = demand_levels(&data.demand);
        let supply = supply_levels(&data.supply);
        let cleared = data
            .price_micros
            .filter(|_| data.volume_wh > 0)
            .map(|price| (price, i128::from(data.volume_wh)));
        let prices = demand.iter().chain(&supply).map(|level| level.price);
        let price_places = number::price_places(prices.chain(data.price_micros));
        Self { demand, supply, cleared, price_places }
    }

    fn wh_max(&self) -> i128 {
        let volume = self.cleared.map_or(0, |(_, volume)| volume);
        total(&self.demand).max(total(&self.supply)).max(volume)
    }

    /// Lowest and highest price on the chart.
    fn price_range(&self) -> (i64, i64) {
        let levels = self.demand.iter().chain(&self.supply).map(|level| level.price);
        let prices = || levels.clone().chain(self.cleared.map(|(price, _)| price));
        (prices().min().unwrap_or(0), prices().max().unwrap_or(0))
    }
}

/// Energy of all levels together, in Wh.
fn total(levels: &[Level]) -> i128 {
    levels.last().map_or(0, |level| level.cumulated_wh)
}

fn merged(orders: &[(i64, u64)]) -> BTreeMap<i64, i128> {
    let mut levels = BTreeMap::new();
    for &(price, wh) in orders.iter().filter(|(_, wh)| *wh > 0) {
        *levels.entry(price).or_insert(0) += i128::from(wh);
    }
    levels
}

fn cumulated(levels: impl Iterator<Item = (i64, i128)>) -> Vec<Level> {
    levels
        .scan(0, |cumulated_wh, (price, wh)| {
            *cumulated_wh += wh;
            Some(Level { price, wh, cumulated_wh: *cumulated_wh })
        })
        .collect()
}

/// What the chart says, in words.
fn lead(data: &CurveData, book: &Book, currency: &str) -> String {
    let price =
        |micros: i64| format!("{}\u{a0}{currency}/kWh", number::price(micros, book.price_places));
    if let Some((clearing_price, volume)) = book.cleared {
        return format!(
            "{} clear at one price, {}. Buyers asked for {} in total and sellers offered {}.",
            number::energy(volume),
            price(clearing_price),
            number::energy(total(&book.demand)),
            number::energy(total(&book.supply)),
        );
    }
    match (book.demand.first(), book.supply.first()) {
        (None, None) => "There were no orders, so nothing cleared.".to_owned(),
        (None, Some(_)) => "Nobody wanted to buy, so nothing cleared.".to_owned(),
        (Some(_), None) => "Nobody offered energy, so nothing cleared.".to_owned(),
        (Some(bid), Some(ask)) if bid.price < ask.price => format!(
            "The highest buy limit, {}, is below the lowest sell limit, {}, so nothing cleared.",
            price(bid.price),
            price(ask.price),
        ),
        (Some(_), Some(_)) => format!("No energy cleared in the auction for {}.", data.slot),
    }
}

/// The axes of one drawing.
struct Plane {
    area: Area,
    energy: EnergyScale,
    price: Scale,
}

impl Plane {
    fn x(&self, wh: i128) -> i128 {
        self.energy.scale.place(wh, self.area.left, self.area.right)
    }

    fn y(&self, price: i64) -> i128 {
        self.price.place(price.into(), self.area.bottom, self.area.top)
    }
}

fn draw(data: &CurveData, book: &Book, currency: &str, layout: Layout) -> Canvas {
    let (low, high) = book.price_range();
    let price = price_scale(low, high, 8);
    let price_ticks = price.ticks(6);
    let energy = EnergyScale::up_to(book.wh_max(), layout.ticks_max() - 1);
    let mark = data.price_micros.map(|micros| number::price(micros, book.price_places));
    let area = Area {
        left: chart::margin_for(&price_ticks),
        right: layout.width() - mark.map_or(250, |mark| chart::text_width(&mark) + 100),
        top: 480,
        bottom: 3_480,
    };
    let plane = Plane { area, energy, price };
    let mut canvas = Canvas::new(layout, area.bottom + 460);
    // The line between the title and the plot belongs to the label of the cleared volume.
    canvas.title_left(area.top - 330, &format!("Limit price, {currency} per kWh"));
    canvas.axis_left(area, &price, &price_ticks);
    let energy_ticks: Vec<_> =
        energy.ticks().into_iter().map(|(wh, label)| (plane.x(wh), label)).collect();
    canvas.axis_bottom(area, &energy_ticks, &format!("Cumulative energy, {}", energy.unit));
    draw_curves(&mut canvas, &plane, book);
    draw_mark(&mut canvas, &plane, book);
    canvas
}

fn draw_curves(canvas: &mut Canvas, plane: &Plane, book: &Book) {
    if let Some((_, volume)) = book.cleared {
        let buy = corners(&book.demand, volume);
        let sell = corners(&book.supply, volume);
        let outline: Vec<String> = buy
            .iter()
            .chain(sell.iter().rev())
            .map(|&(wh, price)| format!("{} {}", plane.x(wh), plane.y(price)))
            .collect();
        if !buy.is_empty() && !sell.is_empty() {
            canvas.path("surplus", &format!("M{}Z", outline.join("L")));
        }
    }
    // Past its last order a curve leaves the plot: no more energy at any price.
    let ends =
        [("demand", &book.demand, plane.area.bottom), ("supply", &book.supply, plane.area.top)];
    for (class, levels, end) in ends {
        let mut commands = String::new();
        for level in levels {
            let y = plane.y(level.price);
            let step = match commands.is_empty() {
                true => format!("M{} {y}", plane.area.left),
                false => format!("V{y}"),
            };
            commands.push_str(&format!("{step}H{}", plane.x(level.cumulated_wh)));
        }
        if !commands.is_empty() {
            canvas.path(class, &format!("{commands}V{end}"));
        }
    }
}

/// Marks the clearing price and volume; their labels stand in the margins, away from the curves.
fn draw_mark(canvas: &mut Canvas, plane: &Plane, book: &Book) {
    let Some((price, volume)) = book.cleared else { return };
    let area = plane.area;
    let (x, y) = (plane.x(volume), plane.y(price));
    canvas.line("mark", (area.left, y), (area.right, y));
    canvas.line("mark", (x, area.top), (x, area.bottom));
    canvas.dot("mark-dot", (x, y));
    let price = number::price(price, book.price_places);
    canvas.label_right("mark-label", (area.right + 60, y), &price);
    let bounds = (area.left, area.right);
    canvas.label_within("mark-label", (x, area.top - 90), bounds, &number::energy(volume));
}

fn table(book: &Book, currency: &str) -> String {
    let by_price = |levels: &[Level]| -> BTreeMap<i64, Level> {
        levels.iter().map(|level| (level.price, *level)).collect()
    };
    let (demand, supply) = (by_price(&book.demand), by_price(&book.supply));
    let prices: BTreeSet<i64> = demand.keys().chain(supply.keys()).copied().collect();
    let cells = |level: Option<&Level>| match level {
        Some(level) => [number::energy_exact(level.wh), number::energy_exact(level.cumulated_wh)],
        None => ["–".to_owned(), "–".to_owned()],
    };
    let rows: Vec<Vec<String>> = prices
        .iter()
        .rev()
        .map(|price| {
            let [buy, buy_cumulated] = cells(demand.get(price));
            let [sell, sell_cumulated] = cells(supply.get(price));
            vec![number::price(*price, book.price_places), buy, buy_cumulated, sell, sell_cumulated]
        })
        .collect();
    let price = format!("{currency}/kWh");
    let head = [price.as_str(), "buy kWh", "buy kWh, cumulated", "sell kWh", "sell kWh, cumulated"];
    html::data_table("Order levels as a table", &head, 0, &rows)
}
