//! `boundary`: the engine on a thread of its own, fed and read in batches through lock-free queues.
//!
//! Buffers go round: the other thread fills one with commands and hands it over, the engine's thread
//! hands on the events of the batch in another, and both come back empty. So nothing is allocated
//! once all buffers are in use.

use std::{
    io::Write as _,
    thread,
    time::{Duration, Instant},
};

use bench::{
    Failure, rate,
    report::{CommonOptions, Report},
};
use clap::Parser;
use crossbeam::queue::ArrayQueue;
use engine::Engine;
use replay::flow::{Generated, Workload, generate, run::FlowEngine};
use serde::Serialize;
use types::{Command, Event, Sequenced};

/// Commands of a batch.
const BATCH: usize = 256;
/// Batches under way in each direction: 32 × 48 KiB of commands.
const BATCHES: usize = 32;

/// Messages a second through a thread boundary: commands in, events out, in batches of 256
///
/// One thread hands the commands of a flow to the engine's thread and reads the events that come
/// back. What comes back is compared with a run on one thread.
#[derive(Debug, Parser, Serialize)]
struct Options {
    /// The flow: 1 one book, 2 energy over 96 books, 3 a million resting orders
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3))]
    workload: u32,
    /// Operations after the opening of the flow
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=4_000_000))]
    operations: u32,
    /// Rounds; the fastest counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    #[command(flatten)]
    #[serde(skip)]
    common: CommonOptions,
}

#[derive(Debug, Serialize)]
struct Figures {
    commands: u64,
    events: u64,
    messages_per_s: u64,
    messages_per_s_slowest_round: u64,
    ns_per_command: f64,
    events_digest: String,
}

/// What came out: how many events, and a digest of them in their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Reading {
    events: u64,
    digest: u64,
}

impl Reading {
    /// Reads events as a session would: the numbers that name an order, and what is left of it.
    fn read(&mut self, events: &[Event]) {
        for event in events {
            let (kind, one, other) = if let Event::OrderAccepted(it) = event {
                (1, it.order.get(), it.client_order.get())
            } else if let Event::OrderCancelled(it) = event {
                (2, it.order.get(), it.leaves.wh())
            } else if let Event::Trade(it) = event {
                let left = it.sell.leaves.wh().rotate_left(32) ^ it.buy.leaves.wh();
                (3 ^ it.trade.get(), it.buy.order.get() ^ left, it.sell.order.get())
            } else {
                (4, 0, 0)
            };
            self.events += 1;
            let mixed = (self.digest ^ kind ^ one.rotate_left(24) ^ other.rotate_left(48))
                .wrapping_mul(0x9E37_79B9_7F4A_7C15);
            self.digest = mixed ^ (mixed >> 29);
        }
    }
}

/// Buffers on their way.
struct Boundary {
    commands: ArrayQueue<Vec<Sequenced<Command>>>,
    commands_back: ArrayQueue<Vec<Sequenced<Command>>>,
    events: ArrayQueue<Vec<Event>>,
    events_back: ArrayQueue<Vec<Event>>,
}

impl Boundary {
    fn new() -> Self {
        let boundary = Self {
            commands: ArrayQueue::new(BATCHES),
            commands_back: ArrayQueue::new(BATCHES),
            events: ArrayQueue::new(BATCHES),
            events_back: ArrayQueue::new(BATCHES),
        };
        for _ in 0..BATCHES {
            // As many buffers as places: a queue never refuses one.
            drop(boundary.commands_back.push(Vec::with_capacity(BATCH)));
            drop(boundary.events_back.push(Vec::with_capacity(BATCH * 4)));
        }
        boundary
    }

    /// The engine's thread: as many batches as there are.
    fn apply(&self, engine: &mut Engine, batches: usize) {
        for _ in 0..batches {
            let mut commands = wait(&self.commands);
            let mut events = wait(&self.events_back);
            apply(engine, &commands, &mut events);
            drop(self.events.push(events));
            commands.clear();
            drop(self.commands_back.push(commands));
        }
    }

    /// The other thread: hands batches over as buffers come back, and reads what comes out.
    fn feed(&self, batches: &[Vec<Sequenced<Command>>]) -> Reading {
        let mut reading = Reading::default();
        let (mut coming, mut left) = (batches.iter(), batches.len());
        while left > 0 {
            if let Some(mut commands) = self.commands_back.pop()
                && let Some(batch) = coming.next()
            {
                commands.extend_from_slice(batch);
                drop(self.commands.push(commands));
            }
            if let Some(mut events) = self.events.pop() {
                reading.read(&events);
                events.clear();
                drop(self.events_back.push(events));
                left -= 1;
            } else {
                std::hint::spin_loop();
            }
        }
        reading
    }
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let report = Report::begin("boundary", &options.common);
    let workload = Workload::from_number(options.workload).ok_or("flows are numbered 1 to 3")?;
    let flow = generate(workload, options.operations, workload.default_seed());
    let batches = batches(&flow);
    let (expected, state) = alone(&flow, &batches);
    let mut times = Vec::new();
    for _ in 0..options.rounds {
        let mut engine = opened(&flow);
        let (took, reading) = through_boundary(&mut engine, &batches);
        if reading != expected || engine.digest() != state {
            return Err("what came out differs from a run on one thread".into());
        }
        times.push(took);
    }
    let commands = batches.iter().fold(0, |sum, batch| sum + batch.len());
    let commands = u64::try_from(commands)?;
    let best = times.iter().min().copied().unwrap_or_default();
    let worst = times.iter().max().copied().unwrap_or_default();
    let messages = commands + expected.events;
    let figures = Figures {
        commands,
        events: expected.events,
        messages_per_s: rate::per_second(messages, best),
        messages_per_s_slowest_round: rate::per_second(messages, worst),
        ns_per_command: rate::tenths(best.as_nanos(), commands),
        events_digest: format!("{:016x}", expected.digest),
    };
    let digest = state.to_string();
    std::io::stdout().write_all(report.finish(&options, &figures, &digest)?.as_bytes())?;
    Ok(())
}

/// The commands of a flow after its opening.
fn batches(flow: &Generated) -> Vec<Vec<Sequenced<Command>>> {
    let (opening, operations) = flow.flow.parts();
    let mut maker = FlowEngine::new(flow.flow.header());
    opening.chunks(BATCH).for_each(|batch| maker.load(batch));
    let loaded = operations.chunks(BATCH).map(|batch| {
        maker.load(batch);
        maker.commands().to_vec()
    });
    loaded.collect()
}

/// An engine after the opening of a flow.
fn opened(flow: &Generated) -> Engine {
    let mut engine = FlowEngine::new(flow.flow.header());
    for batch in flow.flow.parts().0.chunks(BATCH) {
        engine.load(batch);
        engine.run();
    }
    engine.into_engine()
}

/// The same on one thread.
fn alone(flow: &Generated, batches: &[Vec<Sequenced<Command>>]) -> (Reading, types::Digest) {
    let (mut engine, mut events, mut reading) = (opened(flow), Vec::new(), Reading::default());
    for batch in batches {
        events.clear();
        apply(&mut engine, batch, &mut events);
        reading.read(&events);
    }
    (reading, engine.digest())
}

fn through_boundary(
    engine: &mut Engine,
    batches: &[Vec<Sequenced<Command>>],
) -> (Duration, Reading) {
    let boundary = Boundary::new();
    thread::scope(|scope| {
        scope.spawn(|| boundary.apply(engine, batches.len()));
        let began = Instant::now();
        let reading = boundary.feed(batches);
        (began.elapsed(), reading)
    })
}

/// Applies a batch with the look-ahead of the core loop.
fn apply(engine: &mut Engine, commands: &[Sequenced<Command>], events: &mut Vec<Event>) {
    for (index, command) in commands.iter().enumerate() {
        if let Some(coming) = commands.get(index + Engine::FAR) {
            engine.anticipate(&coming.value);
        }
        if let Some(coming) = commands.get(index + Engine::NEAR) {
            engine.expect(&coming.value);
        }
        engine.apply(command, events);
    }
}

/// Spins until a buffer is there, and lets others run once that takes long.
fn wait<T>(queue: &ArrayQueue<T>) -> T {
    loop {
        for _ in 0..1_000 {
            if let Some(buffer) = queue.pop() {
                return buffer;
            }
            std::hint::spin_loop();
        }
        thread::yield_now();
    }
}
