//! The engine on one book of 10,000 resting orders: a new order and its cancellation, and an
//! immediate-or-cancel order with the resting order it meets.

use std::time::Duration;

use bench::{
    history::History,
    market::{Market, Setup},
    orders::{OrderSource, Style},
};
use criterion::Criterion;
use engine::Engine;
use types::{
    ClientOrderId, Command, Energy, Event, NewOrder, OrderId, OrderRequest, Origin, PlatformId,
    Sequenced, SessionId, Signature, SignedNewOrder, TimeInForce, Timestamp,
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
    criterion.final_summary();
}
