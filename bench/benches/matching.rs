//! The engine on one book of 10,000 resting orders: a new order and its cancellation, an
//! immediate-or-cancel order with the resting order it meets, a replacement that moves, a refusal.
//! Also the price of a live book of 1,001 levels, and a call of 100,000 orders.

use std::time::Duration;

use bench::{
    history::History,
    market::{Market, Setup},
    orders::{OrderSource, Style},
};
use criterion::{BatchSize, Criterion};
use engine::{
    Engine,
    batch::{Batch, BatchOrder, Prices},
};
use replay::{
    flow::Random,
    stage::{Setup as StageSetup, Stage, key, order},
};
use types::{
    ClientOrderId, Command, Energy, Event, NewOrder, OrderId, OrderRequest, Origin, PlatformId,
    Price, PriceRule, ReplaceOrder, SelfTradeAction, Sequenced, SessionId, Side, Signature,
    SignedNewOrder, SignedReplaceOrder, TimeInForce, Timestamp,
};

const ORIGIN: Origin = Origin { platform: PlatformId::new(1), session: SessionId::new(1) };

/// An engine that is told one command after the other.
struct Desk {
    engine: Engine,
    events: Vec<Event>,
    source: OrderSource,
    client_order: u64,
    time: Timestamp,
}

impl Desk {
    fn tell(&mut self, value: Command) {
        self.events.clear();
        self.time = self.time.plus_ns(1);
        let command = Sequenced { seq: self.engine.last_seq().next(), time: self.time, value };
        self.engine.apply(&command, &mut self.events);
    }

    fn order(&mut self, style: Style) -> Option<NewOrder> {
        let order = self.source.next_of(ORIGIN.platform, style)?;
        self.client_order += 1;
        Some(NewOrder {
            client_order: ClientOrderId::new(self.client_order),
            quantity: Energy::from_wh(100),
            ..order
        })
    }

    fn send(&mut self, order: NewOrder) -> Option<OrderId> {
        let signature = Signature::new([0; 64]);
        self.tell(Command::NewOrder(SignedNewOrder { origin: ORIGIN, order, signature }));
        match self.events.first() {
            Some(Event::OrderAccepted(accepted)) => Some(accepted.order),
            _ => None,
        }
    }

    fn cancel(&mut self, order: OrderId) {
        self.client_order += 1;
        let client_order = ClientOrderId::new(self.client_order);
        self.tell(Command::CancelOrder(OrderRequest { origin: ORIGIN, client_order, order }));
    }
}

fn desk() -> Option<Desk> {
    let setup = Setup::new(1, 2_048);
    let history = History::of_flow(&setup, 1, 1).ok()?;
    let source = OrderSource::new(&Market::new(setup, 2).ok()?, 2);
    let time = history.engine.last_time();
    // Beyond every number the history used.
    let client_order = 1 << 40;
    Some(Desk { engine: history.engine, events: Vec::new(), source, client_order, time })
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let Some(mut desk) = desk() else { return };
    criterion.bench_function("engine/new_and_cancel", |bencher| {
        bencher.iter(|| {
            let order = desk.order(Style::Passive).and_then(|order| desk.send(order));
            if let Some(order) = order {
                desk.cancel(order);
            }
        });
    });
    criterion.bench_function("engine/resting_and_aggressive_ioc", |bencher| {
        bencher.iter(|| {
            let Some(resting) = desk.order(Style::Passive) else { return };
            desk.send(resting);
            let Some(order) = desk.order(Style::Aggressive) else { return };
            // Against the order that has just rested, so that the book stays as deep as it is.
            let side = resting.side.opposite();
            let Some(limit) = desk.source.limit(side, Style::Aggressive) else { return };
            let time_in_force = TimeInForce::ImmediateOrCancel;
            desk.send(NewOrder { side, limit, time_in_force, ..order });
        });
    });
    bench_replacement(&mut criterion, &mut desk);
    bench_refusal(&mut criterion, &mut desk);
    bench_price(&mut criterion);
    bench_call(&mut criterion);
    criterion.final_summary();
}

/// An order that goes from one price to the next and back.
fn bench_replacement(criterion: &mut Criterion, desk: &mut Desk) {
    let Some(order) = desk.order(Style::Passive) else { return };
    let Some(id) = desk.send(order) else { return };
    let limits = desk.source.limit(order.side, Style::Passive).into_iter().chain([order.limit]);
    let mut limits = limits.collect::<Vec<_>>().into_iter().cycle();
    criterion.bench_function("engine/replace_and_move", |bencher| {
        bencher.iter(|| {
            desk.client_order += 1;
            let replace = ReplaceOrder {
                client_order: ClientOrderId::new(desk.client_order),
                order: id,
                meter: order.meter,
                limit: limits.next().unwrap_or_default(),
                quantity: order.quantity,
                valid_until: order.valid_until,
            };
            let signature = Signature::new([0; 64]);
            desk.tell(Command::ReplaceOrder(SignedReplaceOrder {
                origin: ORIGIN,
                replace,
                signature,
            }));
        });
    });
    desk.cancel(id);
}

/// An order that admission refuses: it is off the tick, which is checked after most else.
fn bench_refusal(criterion: &mut Criterion, desk: &mut Desk) {
    let Some(order) = desk.order(Style::Passive) else { return };
    let limit = Price::from_micros(order.limit.micros() + 1);
    criterion.bench_function("engine/refusal", |bencher| {
        bencher.iter(|| desk.send(NewOrder { limit, ..order }));
    });
}

/// A side, a level below 1,001 and a quantity: most levels near the middle, sides overlapping.
fn draw(random: &mut Random) -> (Side, u32, u32) {
    let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
    let level = (random.below(1_001) + random.below(1_001)) / 2;
    let fit = |number: u64| u32::try_from(number).unwrap_or(0);
    (side, fit(level), fit(1 + random.below(1_000)))
}

fn bench_price(criterion: &mut Criterion) {
    let mut stage = Stage::in_call(&StageSetup {
        price_max: 1_001,
        books: 1,
        meters: 1_000,
        orders_max: 20_020,
        self_trade: SelfTradeAction::Allow,
    });
    let mut random = Random::new(1);
    for id in 1..=20_020_u32 {
        let (side, level, quantity) = draw(&mut random);
        let mut signed = order(u64::from(id), 1 + id.rem_euclid(1_000), key(0), side);
        signed.order.limit = Price::from_micros(i64::from(level) + 1);
        signed.order.quantity = Energy::from_wh(u64::from(quantity));
        stage.tell(Command::NewOrder(signed));
    }
    criterion.bench_function("engine/price_of_1001_levels", |bencher| {
        bencher.iter(|| stage.engine.indicative(key(0)));
    });
}

fn bench_call(criterion: &mut Criterion) {
    let mut random = Random::new(1);
    let orders: Vec<BatchOrder> = (0..100_000)
        .map(|_| {
            let (side, level, quantity) = draw(&mut random);
            BatchOrder::new(side, level, quantity)
        })
        .collect();
    let tick = Price::from_micros(10_000);
    let prices = Prices { lowest: Price::from_micros(0), tick, levels: 1_001 };
    criterion.bench_function("engine/call_of_100k", |bencher| {
        bencher.iter_batched_ref(
            Batch::default,
            |batch| batch.call(&orders, &prices, PriceRule::T7Clamp, None),
            BatchSize::LargeInput,
        );
    });
}
