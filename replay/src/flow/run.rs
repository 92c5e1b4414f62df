//! A flow through the engine: every operation is a command like any other, admitted and answered
//! with events.

use engine::Engine;
use types::{
    Command, Energy, Event, OrderId, OrderRequest, Price, SelfTradeAction, Sequenced, Side,
    TimeInForce,
};

use super::{FlowHeader, FlowKind, FlowOperation, FlowResult};
use crate::stage::{ORIGIN, Setup, Stage, key, order};

/// Events that have room from the start: many more than batches of a few hundred commands cause.
const EVENTS_AT_ONCE: usize = 8_192;

/// An engine that runs a flow, in three steps a batch: [`FlowEngine::load`] turns operations into
/// commands, [`FlowEngine::run`] applies them, [`FlowEngine::count`] reads the events. Only the
/// second is the engine's work.
#[derive(Debug)]
pub struct FlowEngine {
    stage: Stage,
    keys: Vec<types::SlotKey>,
    commands: Vec<Sequenced<Command>>,
    events: Vec<Event>,
}

impl FlowEngine {
    /// An engine with the books and accounts of a flow, its memory touched beforehand.
    #[must_use]
    pub fn new(header: &FlowHeader) -> Self {
        let orders_max = u32::try_from(header.id_max).unwrap_or(u32::MAX - 1).max(1);
        let mut stage = Stage::new(&Setup {
            price_max: header.price_max,
            books: header.book_count,
            meters: header.account_count.max(1),
            orders_max,
            self_trade: SelfTradeAction::Allow,
        });
        stage.engine.prefault(orders_max);
        let keys = (0..header.book_count).map(key).collect();
        let events = Vec::with_capacity(EVENTS_AT_ONCE);
        Self { stage, keys, commands: Vec::new(), events }
    }

    /// Turns operations into the next commands.
    pub fn load(&mut self, operations: &[FlowOperation]) {
        self.commands.clear();
        for operation in operations {
            let command = self.command(operation);
            let sequenced = self.stage.stamp(command);
            self.commands.push(sequenced);
        }
    }

    /// The loaded commands.
    #[must_use]
    pub fn commands(&self) -> &[Sequenced<Command>] {
        &self.commands
    }

    /// The engine alone, for those who bring its commands to it some other way.
    #[must_use]
    pub fn into_engine(self) -> Engine {
        self.stage.engine
    }

    /// Applies the loaded commands.
    #[inline(never)]
    pub fn run(&mut self) {
        self.run_with(|| (), |()| ());
    }

    /// As [`FlowEngine::run`]; tells `done` of each command when it was begun.
    pub fn run_each(&mut self, done: impl FnMut(std::time::Instant)) {
        self.run_with(std::time::Instant::now, done);
    }

    #[inline]
    fn run_with<T>(&mut self, begin: impl Fn() -> T, mut done: impl FnMut(T)) {
        let Self { stage: Stage { engine, .. }, commands, events, .. } = self;
        events.clear();
        // The last commands have fewer behind them than the look-ahead reaches.
        let looking_ahead = commands.windows(Engine::FAR + 1);
        for window in looking_ahead {
            let [command, .., far] = window else { continue };
            let begun = begin();
            engine.anticipate(&far.value);
            if let Some(near) = window.get(Engine::NEAR) {
                engine.expect(&near.value);
            }
            engine.apply(command, events);
            done(begun);
        }
        let last = commands.len().saturating_sub(Engine::FAR);
        for (index, command) in commands.iter().enumerate().skip(last) {
            let begun = begin();
            if let Some(near) = commands.get(index + Engine::NEAR) {
                engine.expect(&near.value);
            }
            engine.apply(command, events);
            done(begun);
        }
    }

    /// Counts what the commands caused.
    pub fn count(&mut self, result: &mut FlowResult) {
        for event in &self.events {
            if let Event::Trade(trade) = event {
                let (taker, maker) = match trade.maker {
                    Some(Side::Buy) => (&trade.sell, &trade.buy),
                    Some(Side::Sell) | None => (&trade.buy, &trade.sell),
                };
                let price = u32::try_from(trade.price.micros()).unwrap_or(0);
                let quantity = u32::try_from(trade.quantity.wh()).unwrap_or(0);
                result.fill(taker.order.get(), maker.order.get(), price, quantity);
            } else if let Event::OrderRejected(rejected) = event {
                // A refusal must not go unnoticed: no flow expects this fill.
                result.fill(u64::from(rejected.reason.code()), 0, 0, 0);
            }
        }
    }

    /// All three steps.
    pub fn apply(&mut self, operations: &[FlowOperation], result: &mut FlowResult) {
        self.load(operations);
        self.run();
        self.count(result);
    }

    /// How many events the last batch caused.
    #[must_use]
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// Counts the best prices of all books.
    pub fn finish(&self, result: &mut FlowResult) {
        for &key in &self.keys {
            let depth = self.stage.engine.depth(key).unwrap_or_default();
            let price = |level: Option<&engine::DepthLevel>| {
                level.and_then(|level| u32::try_from(level.price.micros()).ok())
            };
            result.fold_best_prices(price(depth.buy.first()), price(depth.sell.first()));
        }
    }

    #[inline]
    fn command(&self, operation: &FlowOperation) -> Command {
        if operation.kind == FlowKind::Cancel {
            return Command::CancelOrder(OrderRequest {
                origin: ORIGIN,
                client_order: types::ClientOrderId::new(operation.id),
                order: OrderId::new(operation.id),
            });
        }
        let key = self.keys.get(usize::from(operation.book)).copied().unwrap_or_else(|| key(0));
        let mut signed = order(operation.id, operation.account, key, operation.side);
        signed.order.limit = Price::from_micros(i64::from(operation.price));
        signed.order.quantity = Energy::from_wh(u64::from(operation.quantity));
        if operation.kind == FlowKind::ImmediateOrCancel {
            signed.order.time_in_force = TimeInForce::ImmediateOrCancel;
        }
        Command::NewOrder(signed)
    }
}
