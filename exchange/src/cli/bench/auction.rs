//! `gridcross bench auction`: calls from raw orders to fills, and the price of a live book.

use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use engine::batch::{Batch, BatchOrder, Prices};
use replay::{
    flow::Random,
    stage::{Setup, Stage, key, order},
};
use serde::Serialize;
use types::{Command, Energy, Price, PriceRule, SelfTradeAction, Side};

use super::{ns_each, print};
use crate::{exit::Failure, output::Format};

/// Options of `bench auction`.
#[derive(Debug, Args)]
pub struct Options {
    /// Orders of each slot
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u32).range(1..=50_000_000))]
    orders: u32,
    /// Price levels
    #[arg(long, default_value_t = 1_001, value_parser = value_parser!(u32).range(2..=1_048_576))]
    levels: u32,
    /// Slots, one call each
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=1_000))]
    slots: u32,
    /// Rounds; the fastest counts
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Seed of the orders
    #[arg(long, default_value_t = 20_260_401)]
    seed: u64,
    /// Format of what is printed
    #[arg(long, value_enum, default_value = "human")]
    output: Format,
}

#[derive(Debug, Serialize)]
struct Figures {
    orders: u32,
    levels: u32,
    slots: u32,
    total_ms: f64,
    ns_per_order: f64,
    price_us: f64,
    volume: u64,
    filled_orders: u64,
    rounds: u32,
}

/// Measures and prints.
///
/// # Errors
/// When stdout fails.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let mut random = Random::new(options.seed);
    // Slots have other orders each, but not more of them than memory likes.
    let different = options.slots.min(8);
    let calls: Vec<Vec<BatchOrder>> =
        (0..different).map(|_| orders(options, &mut random)).collect();
    let prices = Prices {
        lowest: Price::from_micros(0),
        tick: Price::from_micros(10_000),
        levels: options.levels,
    };
    let mut batch = Batch::default();
    let mut fastest = Duration::MAX;
    let (mut volume, mut filled) = (0, 0);
    for _ in 0..options.rounds {
        (volume, filled) = (0, 0);
        let mut took = Duration::ZERO;
        for orders in calls.iter().cycle().zip(0..options.slots).map(|(orders, _)| orders) {
            let start = Instant::now();
            let clearing = batch.call(orders, &prices, PriceRule::T7Clamp, None);
            took += start.elapsed();
            volume += clearing.map_or(0, |clearing| clearing.volume.wh());
            filled += batch.fills().iter().fold(0, |sum, &fill| sum + u64::from(fill > 0));
        }
        fastest = fastest.min(took);
    }
    let count = usize::try_from(u64::from(options.orders) * u64::from(options.slots));
    let figures = Figures {
        orders: options.orders,
        levels: options.levels,
        slots: options.slots,
        total_ms: ns_each(fastest, 1_000_000),
        ns_per_order: ns_each(fastest, count.unwrap_or(usize::MAX)),
        price_us: ns_each(price(options, &mut random), 1_000),
        volume,
        filled_orders: filled,
        rounds: options.rounds,
    };
    print(&figures, options.output)
}

/// Random orders around the middle of the band: buys a little above, sells a little below, so that
/// about half of them trade.
fn orders(options: &Options, random: &mut Random) -> Vec<BatchOrder> {
    (0..options.orders)
        .map(|_| {
            let (side, level, quantity) = draw(options.levels, random);
            BatchOrder::new(side, level, quantity)
        })
        .collect()
}

fn draw(levels: u32, random: &mut Random) -> (Side, u32, u32) {
    let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
    // The sum of two throws: most orders are near the middle.
    let level = (random.below(u64::from(levels)) + random.below(u64::from(levels))) / 2;
    let quantity = 1 + random.below(1_000);
    let fit = |number: u64| u32::try_from(number).unwrap_or(0);
    (side, fit(level).min(levels - 1), fit(quantity))
}

/// The fastest of many computations of the indicative price of a live book with all its levels.
fn price(options: &Options, random: &mut Random) -> Duration {
    let count = options.levels.saturating_mul(20).min(200_000);
    let mut stage = Stage::in_call(&Setup {
        price_max: options.levels,
        books: 1,
        meters: 1_000,
        orders_max: count,
        self_trade: SelfTradeAction::Allow,
    });
    for id in 1..=count {
        let (side, level, quantity) = draw(options.levels, random);
        let mut signed = order(u64::from(id), 1 + id.rem_euclid(1_000), key(0), side);
        signed.order.limit = Price::from_micros(i64::from(level) + 1);
        signed.order.quantity = Energy::from_wh(u64::from(quantity));
        stage.tell(Command::NewOrder(signed));
    }
    let times = (0..1_000).map(|_| {
        let start = Instant::now();
        std::hint::black_box(stage.engine.indicative(key(0)));
        start.elapsed()
    });
    times.min().unwrap_or_default()
}
