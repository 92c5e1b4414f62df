//! Books beside the writer: showing one of 32 levels a side, and reading it.

use std::{hint::black_box, time::Duration};

use bench::Failure;
use criterion::Criterion;
use market_view::{BookView, MarketView, ViewLevel};
use types::{DeliverySlot, Energy, MarketId, Phase, Price, SlotKey};

const DEPTH: u16 = 32;

/// Levels of one side; another `shift` is other words throughout.
fn levels(shift: u32) -> Vec<ViewLevel> {
    (0..u32::from(DEPTH))
        .map(|rank| ViewLevel {
            price: Price::from_micros(i64::from(rank * 10_000 + shift)),
            quantity: Energy::from_wh(u64::from(1_000 + rank + shift)),
            orders: 1 + rank + shift,
        })
        .collect()
}

fn book(shift: u32) -> BookView {
    BookView {
        phase: Phase::Continuous,
        buy: levels(shift),
        sell: levels(shift + 7),
        ..BookView::with_depth(DEPTH)
    }
}

fn main() -> Result<(), Failure> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let key = SlotKey { market: MarketId::new(1), slot: DeliverySlot::new(29_000_040, 60)? };
    let (mut writer, reader) = MarketView::new(1_024, DEPTH);
    let (mut shown, mut other) = (book(0), book(1));
    criterion.bench_function("market_view/publish_every_word_changed", |bencher| {
        bencher.iter(|| {
            std::mem::swap(&mut shown, &mut other);
            writer.publish(key, black_box(&shown)).is_ok()
        });
    });
    let mut copy = BookView::with_depth(DEPTH);
    criterion.bench_function("market_view/copy", |bencher| {
        bencher.iter(|| reader.book_into(black_box(key), &mut copy).is_ok());
    });
    criterion.bench_function("market_view/best_prices", |bencher| {
        bencher.iter(|| reader.best(black_box(key)));
    });
    criterion.bench_function("market_view/anything_changed", |bencher| {
        bencher.iter(|| reader.latest());
    });
    criterion.final_summary();
    Ok(())
}
