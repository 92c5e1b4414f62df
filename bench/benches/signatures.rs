//! One order's signature: signing, and the strict check of the exchange's edge.

use std::{hint::black_box, time::Duration};

use bench::{
    market::{Market, Setup},
    orders::{OrderSource, Style},
};
use criterion::Criterion;
use ed25519_dalek::Signer as _;
use types::MeterId;
use wire::signing;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let Ok(market) = Market::new(Setup::new(1, 64), 1) else { return };
    let Some((_, order)) = OrderSource::new(&market, 1).next(Style::Any) else { return };
    let key = market.meter_key(MeterId::new(1));
    let public = key.verifying_key();
    let mut bytes = Vec::new();
    signing::new_order(&order, &mut bytes);
    let signature = key.sign(&bytes);
    criterion.bench_function("signature/sign", |bencher| {
        bencher.iter(|| key.sign(black_box(&bytes)));
    });
    criterion.bench_function("signature/verify_strict", |bencher| {
        bencher.iter(|| public.verify_strict(black_box(&bytes), &signature).is_ok());
    });
    criterion.final_summary();
}
