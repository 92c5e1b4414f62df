//! Frames of 64 signed orders: encoding, and decoding with everything that is checked.

use std::{hint::black_box, time::Duration};

use bench::{
    market::{Market, Setup},
    orders::{OrderSource, Style},
};
use criterion::{Criterion, Throughput};
use types::Signature;
use wire::{
    FrameBuilder, FrameDecoder, Inbound,
    inbound::{InboundMessages, SignedNew},
};

const ORDERS: usize = 64;

fn orders() -> Vec<Inbound> {
    let Ok(market) = Market::new(Setup::new(96, 64), 1) else { return Vec::new() };
    let mut source = OrderSource::new(&market, 1);
    let signature = Signature::new([7; 64]);
    std::iter::from_fn(|| source.next(Style::Any))
        .map(|(_, order)| Inbound::NewOrder(SignedNew { order, signature }))
        .take(ORDERS)
        .collect()
}

fn encode(orders: &[Inbound], builder: &mut FrameBuilder, bytes: &mut Vec<u8>) {
    bytes.clear();
    for order in orders {
        builder.push(|out| order.encode(out));
    }
    builder.seal(1, bytes);
}

fn decode(decoder: &mut FrameDecoder, bytes: &[u8]) -> usize {
    decoder.extend(bytes);
    let mut messages = 0;
    while let Ok(Some(frame)) = decoder.next_frame() {
        messages += InboundMessages::new(&frame.payload, frame.header.messages)
            .filter(Result::is_ok)
            .count();
    }
    messages
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let orders = orders();
    let (mut builder, mut bytes) = (FrameBuilder::default(), Vec::new());
    encode(&orders, &mut builder, &mut bytes);
    let frame = bytes.clone();
    assert_eq!(decode(&mut FrameDecoder::default(), &frame), ORDERS, "the frame is whole");
    let mut group = criterion.benchmark_group("frame_of_64_orders");
    group.throughput(Throughput::Bytes(u64::try_from(frame.len()).unwrap_or(0)));
    group.bench_function("encode", |bencher| {
        bencher.iter(|| encode(black_box(&orders), &mut builder, &mut bytes));
    });
    let mut decoder = FrameDecoder::default();
    group.bench_function("decode", |bencher| {
        bencher.iter(|| decode(&mut decoder, black_box(&frame)));
    });
    group.finish();
    criterion.final_summary();
}
