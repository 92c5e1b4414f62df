//! What the client's [`OrderStates`] say against what the engine knows, over random histories.

use std::collections::BTreeMap;

use engine::Engine;
use gateway::{
    client::{OrderStates, OrderStatus},
    egress::reports_to,
};
use tests::model::history::{History, Random, limits};
use types::{
    CancelReason, Command, Energy, Event, OrderId, PlatformId, Price, Seq, Sequenced, TradeId,
};
use wire::{
    Outbound,
    outbound::{ExecType, ExecutionReport, ResumeComplete, ResumeTooOld},
};

const SEED: u64 = 20_261_124;
const HISTORIES: u64 = 200;
const COMMANDS: u64 = 1_000;
const PLATFORMS: [PlatformId; 2] = [PlatformId::new(1), PlatformId::new(2)];

/// What the events say of an order, added up once.
#[derive(Debug, Default, Clone, Copy)]
struct Truth {
    filled: u64,
    value: i128,
    last: Option<(Energy, Price)>,
    ended: Option<OrderStatus>,
}

/// A client of one platform: told everything once, told much twice, and away for a while.
struct Client {
    platform: PlatformId,
    once: OrderStates,
    again: OrderStates,
    away: OrderStates,
    /// Since when, while it is away.
    is_away: bool,
    reports: Vec<Outbound>,
}

impl Client {
    fn new(platform: PlatformId) -> Self {
        let (once, again, away) = Default::default();
        Self { platform, once, again, away, is_away: false, reports: Vec::new() }
    }

    fn take(&mut self, command: &Sequenced<Command>, events: &[Event], random: &mut Random) {
        for message in events.iter().flat_map(|event| reports_to(self.platform, command, event)) {
            self.once.take(&message);
            self.again.take(&message);
            if !self.is_away {
                self.away.take(&message);
            }
            self.reports.push(message);
        }
        if random.once_in(20) {
            // A resumed session that asks for more than it misses, even for half a command.
            let back = usize::try_from(random.below(60)).unwrap().min(self.reports.len());
            for message in &self.reports[self.reports.len() - back..] {
                self.again.take(message);
            }
        }
        if random.once_in(200) {
            self.again.forget_ended();
        }
    }

    /// The client comes back too late: it is told what is open.
    fn come_back(&mut self, engine: &Engine, through: Seq) {
        self.is_away = false;
        let first_seq = through;
        self.away.take(&Outbound::ResumeTooOld(ResumeTooOld { first_seq, through }));
        for open in engine.open_orders_of(self.platform) {
            self.away.take(&Outbound::ExecutionReport(ExecutionReport {
                seq: through,
                time: engine.last_time(),
                client_order: open.client_order,
                order: open.order,
                trade: TradeId::new(0),
                price: Price::default(),
                quantity: open.filled,
                leaves: open.leaves,
                meter: open.meter,
                reason: 0,
                exec_type: ExecType::Status,
                side: Some(open.side),
            }));
        }
        self.away.take(&Outbound::ResumeComplete(ResumeComplete { through }));
    }

    fn check(&self, engine: &Engine, truth: &BTreeMap<OrderId, Truth>) {
        let expected: Vec<_> = engine
            .open_orders_of(self.platform)
            .map(|open| {
                let owner = (Some(open.client_order), Some(open.meter), Some(open.side));
                (open.order, owner, open.filled, open.leaves)
            })
            .collect();
        let told = [(&self.once, "once"), (&self.again, "again"), (&self.away, "away")];
        let present = if self.is_away { 2 } else { 3 };
        for (states, name) in told.into_iter().take(present) {
            let open: Vec<_> = states
                .open()
                .map(|state| {
                    let owner = (state.client_order, state.meter, state.side);
                    (state.order, owner, state.cumulative, state.leaves)
                })
                .collect();
            assert_eq!(open, expected, "{name}, platform {}", self.platform);
        }
        for state in self.once.iter() {
            let truth = truth[&state.order];
            let filled = Energy::from_wh(truth.filled);
            assert_eq!(state.cumulative, filled);
            let last = (!filled.is_zero()).then_some((state.last_quantity, state.last_price));
            assert_eq!(last, truth.last);
            let average = truth.value.checked_div_euclid(truth.filled.into());
            let average = average.map(|micros| Price::from_micros(micros.try_into().unwrap()));
            assert_eq!(state.average_price(), average);
            let ended = (!state.status.is_open()).then_some(state.status);
            assert_eq!(ended, truth.ended, "{state:?}");
            // Of one that was forgotten, only what was told since is known.
            let again = self.again.get(state.order);
            if let Some(again) = again.filter(|again| again.status != OrderStatus::Ended) {
                assert_eq!(again, state, "what is told twice counts once");
            }
        }
    }
}

/// What the events make of orders.
fn learn(truth: &mut BTreeMap<OrderId, Truth>, events: &[Event]) {
    for event in events {
        if let Event::OrderAccepted(accepted) = event {
            truth.insert(accepted.order, Truth::default());
        } else if let Event::Trade(trade) = event
            // The trade of a contract has no orders.
            && !trade.is_negotiated()
        {
            for side in [trade.buy, trade.sell] {
                let order = truth.get_mut(&side.order).unwrap();
                order.filled += trade.quantity.wh();
                order.value += trade.price.notional(trade.quantity).nanos();
                order.last = Some((trade.quantity, trade.price));
                order.ended = side.leaves.is_zero().then_some(OrderStatus::Filled);
            }
        } else if let Event::OrderCancelled(cancelled) = event {
            let order = truth.get_mut(&cancelled.order).unwrap();
            let expired = [CancelReason::GateClosed, CancelReason::Expired];
            order.ended = Some(if expired.contains(&cancelled.reason) {
                OrderStatus::Expired
            } else {
                OrderStatus::Cancelled
            });
        }
    }
}

#[test]
fn after_any_history_states_are_what_the_engine_knows() {
    let mut seen = BTreeMap::<OrderStatus, u64>::new();
    for seed in SEED..SEED + HISTORIES {
        let mut history = History::new(seed);
        let mut random = Random::new(seed);
        let mut engine = Engine::new(limits());
        let mut clients = PLATFORMS.map(Client::new);
        let mut truth = BTreeMap::new();
        let mut events = Vec::new();
        for step in 1..=COMMANDS {
            let command = history.next_command();
            events.clear();
            engine.apply(&command, &mut events);
            history.observe(&events);
            learn(&mut truth, &events);
            for client in &mut clients {
                client.take(&command, &events, &mut random);
                if client.is_away && random.once_in(50) {
                    client.come_back(&engine, command.seq);
                } else if random.once_in(100) {
                    client.is_away = true;
                }
                if step % 10 == 0 {
                    client.check(&engine, &truth);
                }
            }
        }
        for client in &clients {
            for states in [&client.once, &client.away] {
                for state in states.iter() {
                    *seen.entry(state.status).or_default() += 1;
                }
            }
        }
    }
    println!("{seen:?}");
    let all = [
        OrderStatus::New,
        OrderStatus::PartiallyFilled,
        OrderStatus::Suspended,
        OrderStatus::Filled,
        OrderStatus::Cancelled,
        OrderStatus::Expired,
        OrderStatus::Ended,
    ];
    assert!(
        all.iter().all(|status| seen.get(status).is_some_and(|&count| count >= 10)),
        "{seen:?}"
    );
}
