//! The engine against the slow model: random histories must agree event by event.

use std::collections::BTreeMap;

use engine::Engine;
use tests::model::{
    Model,
    history::{History, limits},
};
use types::{CancelReason, Command, Event, Phase, RejectReason, Sequenced};

const SEED: u64 = 20_260_401;
const HISTORIES: u64 = 200;
const COMMANDS: u64 = 1_000;
/// Every kind of event and every reject reason must have come up this often.
const OFTEN: u64 = 10;

/// How often each kind of thing came up, by name.
type Counts = BTreeMap<String, u64>;

#[test]
fn the_engine_agrees_with_the_model() {
    let mut counts = Counts::new();
    for history in 0..HISTORIES {
        run(SEED + history, &mut counts);
    }
    println!("{} commands, seeds from {SEED}", HISTORIES * COMMANDS);
    for (name, count) in &counts {
        println!("{count:>8} {name}");
    }
    for name in expected() {
        let count = counts.get(&name).copied().unwrap_or(0);
        assert!(count >= OFTEN, "`{name}` came up {count} times only");
    }
}

fn run(seed: u64, counts: &mut Counts) {
    let mut history = History::new(seed);
    let mut engine = Engine::new(limits());
    let mut twin = Engine::new(limits());
    if seed.is_multiple_of(10) {
        twin.prefault(300); // Memory, and nothing else.
    }
    let mut model = Model::new(limits());
    let (mut ours, mut theirs, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for step in 0..COMMANDS {
        let command = history.next_command();
        let indicative = if let Command::UncrossSlot(key) = command.value {
            engine.indicative(key)
        } else {
            None
        };
        ours.clear();
        theirs.clear();
        engine.apply(&command, &mut ours);
        model.apply(&command, &mut theirs);
        assert_eq!(ours, theirs, "seed {seed}, step {step}: {command:?}");
        assert!(!ours.is_empty(), "seed {seed}, step {step}: no answer to {command:?}");
        if let (Some(Event::AuctionUncrossed(result)), Some(expected)) = (ours.first(), indicative)
        {
            assert_eq!(result.price, expected.price, "seed {seed}, step {step}");
            assert_eq!(result.volume, expected.volume, "seed {seed}, step {step}");
            assert_eq!(result.surplus_wh, expected.surplus_wh, "seed {seed}, step {step}");
        }
        history.observe(&ours);
        count(&command, &ours, counts);
        again.clear();
        twin.apply(&command, &mut again);
        if step % 50 == 49 {
            engine.check_invariants();
            assert_eq!(engine.open_orders(), u32::try_from(model.open_orders()).unwrap());
        }
        if step % 250 == 249 {
            assert_eq!(engine.digest(), twin.digest(), "seed {seed}, step {step}");
            assert_eq!(engine.digest(), model.digest(), "seed {seed}, step {step}");
        }
    }
}

fn count(command: &Sequenced<Command>, events: &[Event], counts: &mut Counts) {
    for event in events {
        let name = match event {
            Event::MarketDefined(_) => "market defined".to_owned(),
            Event::PartyRegistered(_) => "party registered".to_owned(),
            Event::MeterRegistered(_) => "meter registered".to_owned(),
            Event::SlotPhaseChanged(changed) => phase(changed.phase),
            Event::AuctionUncrossed(result) if result.price.is_some() => "uncrossed".to_owned(),
            Event::AuctionUncrossed(_) => "uncrossed without a price".to_owned(),
            Event::OrderAccepted(_) => "accepted".to_owned(),
            Event::OrderRestated(_) => "restated".to_owned(),
            Event::OrderReplaced(replaced) if replaced.kept_place => "replaced in place".to_owned(),
            Event::OrderReplaced(_) => "replaced at the tail".to_owned(),
            Event::OrderCancelled(cancelled) => cancel(cancelled.reason),
            Event::OrderRejected(rejected) => reject(rejected.reason),
            Event::Trade(trade) if trade.maker.is_none() => "trade in an auction".to_owned(),
            Event::Trade(_) => "trade".to_owned(),
            Event::CommandRejected(rejected) => reject(rejected.reason),
        };
        *counts.entry(name).or_default() += 1;
    }
    if matches!(command.value, Command::ReplaceOrder(_))
        && events.iter().any(|event| matches!(event, Event::Trade(_)))
    {
        *counts.entry("replaced and traded".to_owned()).or_default() += 1;
    }
}

fn phase(phase: Phase) -> String {
    format!("phase {phase:?}")
}

fn cancel(reason: CancelReason) -> String {
    format!("cancelled {reason:?}")
}

fn reject(reason: RejectReason) -> String {
    format!("rejected {}", reason.name())
}

fn expected() -> Vec<String> {
    let kinds = [
        "market defined",
        "party registered",
        "meter registered",
        "uncrossed",
        "uncrossed without a price",
        "accepted",
        "restated",
        "replaced in place",
        "replaced at the tail",
        "replaced and traded",
        "trade",
        "trade in an auction",
    ];
    let mut names: Vec<String> = kinds.map(str::to_owned).to_vec();
    names.extend([Phase::Call, Phase::Continuous, Phase::Closed].map(phase));
    let reasons = [
        CancelReason::Requested,
        CancelReason::ImmediateOrCancel,
        CancelReason::SelfTrade,
        CancelReason::GateClosed,
    ];
    names.extend(reasons.map(cancel));
    // The edge gives the session's reasons and checks signatures; the engine gives all others.
    let engine = RejectReason::ALL
        .iter()
        .copied()
        .filter(|reason| reason.code() >= 20 && *reason != RejectReason::SignatureInvalid);
    names.extend(engine.map(reject));
    names
}
