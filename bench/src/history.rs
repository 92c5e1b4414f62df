//! A seeded history: commands in sequence with the events they cause, and the engine after them.

use engine::{Engine, Limits};
use types::{
    Command, Energy, Event, MeterId, NewOrder, OrderId, OrderRequest, Origin, PlatformId, Price,
    ReplaceOrder, Sequenced, SessionId, Side, Signature, SignedNewOrder, SignedReplaceOrder,
    Timestamp,
};

use crate::{
    Failure,
    market::{Market, Setup},
    orders::{OrderSource, Style},
};

/// Orders that rest before a flow begins.
const RESTING_BEFORE: u32 = 10_000;
/// Time between commands.
const STEP_NS: i64 = 1_000;
/// Engines do not look at signatures; the edge does.
const UNSIGNED: Signature = Signature::new([0; 64]);

/// Commands and what they cause.
#[derive(Debug)]
pub struct History {
    /// The engine after the last command.
    pub engine: Engine,
    /// How many commands at the front set the market up.
    pub opening: usize,
    commands: Vec<Sequenced<Command>>,
    events: Vec<Event>,
    /// Where each command's events end.
    ends: Vec<usize>,
    time: Timestamp,
}

/// An order that rested when it was last heard of.
#[derive(Debug, Clone, Copy)]
struct Resting {
    order: OrderId,
    platform: PlatformId,
    meter: MeterId,
    side: Side,
}

impl History {
    /// `count` new orders of every kind, in continuous trading.
    ///
    /// # Errors
    /// When the market cannot be made.
    pub fn of_orders(setup: &Setup, count: usize, seed: u64) -> Result<Self, Failure> {
        let (mut history, mut source) = Self::opened(setup, seed, true)?;
        history.opening = history.commands.len();
        for (platform, order) in std::iter::from_fn(|| source.next(Style::Any)).take(count) {
            history.push(new_order(platform, order));
        }
        Ok(history)
    }

    /// `count` orders in a call, and the command that ends it.
    ///
    /// # Errors
    /// When the market cannot be made.
    pub fn of_call(setup: &Setup, count: usize, seed: u64) -> Result<Self, Failure> {
        let (mut history, mut source) = Self::opened(setup, seed, false)?;
        for (platform, order) in std::iter::from_fn(|| source.next(Style::Call)).take(count) {
            history.push(new_order(platform, order));
        }
        history.opening = history.commands.len();
        let slots: Vec<_> = history.engine.slots().map(|(key, _)| key).collect();
        slots.into_iter().for_each(|key| history.push(Command::UncrossSlot(key)));
        Ok(history)
    }

    /// `count` commands of a mixed flow over books that hold 10,000 orders: of 100 commands 50
    /// orders that rest, 33 cancellations, 12 immediate-or-cancel orders that trade and 5
    /// replacements.
    ///
    /// # Errors
    /// When the market cannot be made.
    pub fn of_flow(setup: &Setup, count: usize, seed: u64) -> Result<Self, Failure> {
        let (mut history, mut source) = Self::opened(setup, seed, true)?;
        let mut book = Book::default();
        for _ in 0..RESTING_BEFORE {
            let (platform, order) = source.next(Style::Passive).ok_or("no slots")?;
            history.push(new_order(platform, order));
            book.learn(history.newest_events());
        }
        history.opening = history.commands.len();
        for _ in 0..count {
            let command = match source.dice().below(100) {
                0..50 => source.next(Style::Passive).map(|(by, order)| new_order(by, order)),
                50..83 => book.cancel(&mut source),
                83..88 => book.replace(&mut source),
                _ => source.next(Style::Aggressive).map(|(by, order)| new_order(by, order)),
            };
            history.push(command.ok_or("the books ran empty")?);
            book.learn(history.newest_events());
        }
        Ok(history)
    }

    /// Every command with its events, from the first.
    pub fn entries(&self) -> impl Iterator<Item = (&Sequenced<Command>, &[Event])> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        self.commands.iter().zip(starts.zip(&self.ends)).map(|(command, (start, &end))| {
            (command, self.events.get(start..end).unwrap_or_default())
        })
    }

    /// The commands that set the market up, and those after them.
    #[must_use]
    pub fn parts(&self) -> (&[Sequenced<Command>], &[Sequenced<Command>]) {
        self.commands.split_at_checked(self.opening).unwrap_or_default()
    }

    fn opened(setup: &Setup, seed: u64, continuous: bool) -> Result<(Self, OrderSource), Failure> {
        let market = Market::new(*setup, seed)?;
        let mut history = Self {
            engine: Engine::new(Limits::default()),
            opening: 0,
            commands: Vec::new(),
            events: Vec::new(),
            ends: Vec::new(),
            time: market.opened_at,
        };
        market.opening().for_each(|command| history.push(command));
        if continuous {
            market.slots.iter().for_each(|&key| history.push(Command::UncrossSlot(key)));
        }
        let refused = |event: &Event| matches!(event, Event::CommandRejected(_));
        if history.events.iter().any(refused) {
            return Err("the engine refuses the canonical market".into());
        }
        Ok((history, OrderSource::new(&market, seed)))
    }

    fn push(&mut self, value: Command) {
        self.time = self.time.plus_ns(STEP_NS);
        let command = Sequenced { seq: self.engine.last_seq().next(), time: self.time, value };
        self.engine.apply(&command, &mut self.events);
        self.commands.push(command);
        self.ends.push(self.events.len());
    }

    fn newest_events(&self) -> &[Event] {
        let start = self.ends.iter().rev().nth(1).copied().unwrap_or(0);
        self.events.get(start..).unwrap_or_default()
    }
}

/// Which orders rest, so that cancellations meet something.
#[derive(Debug, Default)]
struct Book {
    resting: Vec<Resting>,
    /// By the order's number: where it stands in `resting`.
    places: Vec<Option<usize>>,
}

impl Book {
    fn learn(&mut self, events: &[Event]) {
        for event in events {
            if let Event::OrderAccepted(accepted) = event {
                self.add(Resting {
                    order: accepted.order,
                    platform: accepted.origin.platform,
                    meter: accepted.meter,
                    side: accepted.side,
                });
            } else if let Event::Trade(trade) = event {
                for side in [trade.buy, trade.sell] {
                    if side.leaves.is_zero() {
                        self.remove(side.order);
                    }
                }
            } else if let Event::OrderCancelled(cancelled) = event {
                self.remove(cancelled.order);
            }
        }
    }

    fn add(&mut self, resting: Resting) {
        let number = place_of(resting.order);
        if self.places.len() <= number {
            self.places.resize(number + 1, None);
        }
        if let Some(place) = self.places.get_mut(number) {
            *place = Some(self.resting.len());
            self.resting.push(resting);
        }
    }

    fn remove(&mut self, order: OrderId) {
        let Some(at) = self.places.get_mut(place_of(order)).and_then(Option::take) else { return };
        self.resting.swap_remove(at);
        if let Some(moved) = self.resting.get(at)
            && let Some(place) = self.places.get_mut(place_of(moved.order))
        {
            *place = Some(at);
        }
    }

    fn cancel(&self, source: &mut OrderSource) -> Option<Command> {
        let resting = *source.dice().pick(&self.resting)?;
        let client_order = source.client_order(resting.platform);
        let origin = origin(resting.platform);
        Some(Command::CancelOrder(OrderRequest { origin, client_order, order: resting.order }))
    }

    fn replace(&self, source: &mut OrderSource) -> Option<Command> {
        let resting = *source.dice().pick(&self.resting)?;
        let limit: Price = source.limit(resting.side, Style::Passive)?;
        let replace = ReplaceOrder {
            client_order: source.client_order(resting.platform),
            order: resting.order,
            meter: resting.meter,
            limit,
            quantity: Energy::from_wh(500),
            valid_until: Timestamp::from_ns(i64::MAX),
        };
        let origin = origin(resting.platform);
        Some(Command::ReplaceOrder(SignedReplaceOrder { origin, replace, signature: UNSIGNED }))
    }
}

fn place_of(order: OrderId) -> usize {
    usize::try_from(order.get()).unwrap_or(0)
}

const fn origin(platform: PlatformId) -> Origin {
    Origin { platform, session: SessionId::new(1) }
}

const fn new_order(platform: PlatformId, order: NewOrder) -> Command {
    Command::NewOrder(SignedNewOrder { origin: origin(platform), order, signature: UNSIGNED })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(history: &History) -> usize {
        let refused =
            |event: &&Event| matches!(event, Event::OrderRejected(_) | Event::CommandRejected(_));
        history.events.iter().filter(refused).count()
    }

    #[test]
    fn a_seed_decides_the_flow_and_nothing_is_refused() {
        let flow = |seed| History::of_flow(&Setup::new(4, 64), 2_000, seed).unwrap();
        let (first, again, other) = (flow(1), flow(1), flow(2));
        assert_eq!(first.engine.digest(), again.engine.digest());
        assert_ne!(first.engine.digest(), other.engine.digest());
        assert_eq!(rejected(&first), 0);
        assert_eq!(first.parts().1.len(), 2_000);
        assert_eq!(
            first.entries().map(|(_, events)| events.len()).sum::<usize>(),
            first.events.len()
        );
    }

    #[test]
    fn a_call_ends_with_trades() {
        let call = History::of_call(&Setup::new(1, 64), 500, 1).unwrap();
        assert_eq!(rejected(&call), 0);
        assert!(matches!(
            call.newest_events().last(),
            Some(Event::SlotPhaseChanged(_)) | Some(Event::Trade(_))
        ));
    }
}
