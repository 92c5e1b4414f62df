//! The engine against the slow model: random histories must agree event by event.
//!
//! `GRIDCROSS_MODEL_SEED` and `GRIDCROSS_MODEL_COMMANDS` choose other histories, or more of them.
//! A single history of 1,000 commands compares the digests after every command: to look into a
//! failure, run the seed it names alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    time::Instant,
};

use engine::Engine;
use tests::model::{
    Model,
    history::{History, limits},
};
use types::{
    AmendmentTerms, CancelReason, Command, Event, FIRST_VERSION, GridLimitSet, ListKind, NewOrder,
    OrderId, OrderKind, Phase, PriceRule, RejectReason, Request, Sequenced, SlotKey, Trade,
};

const SEED: u64 = 20_260_401;
const COMMANDS: u64 = 2_000_000;
const COMMANDS_OF_A_HISTORY: u64 = 1_000;
/// Every kind of event, refusal, cancellation and change of phase must have come up this often.
const OFTEN: u64 = 10;

#[test]
fn the_engine_agrees_with_the_model() {
    let seed = number("GRIDCROSS_MODEL_SEED", SEED);
    let commands = number("GRIDCROSS_MODEL_COMMANDS", COMMANDS);
    let histories = commands.div_ceil(COMMANDS_OF_A_HISTORY);
    println!("{histories} histories of {COMMANDS_OF_A_HISTORY} commands, seeds from {seed}");
    let digest_steps = if histories == 1 { 1 } else { 250 };
    let started = Instant::now();
    let mut coverage = Coverage::default();
    for history in 0..histories {
        run(seed.wrapping_add(history), digest_steps, &mut coverage);
    }
    println!("took {:.1?}", started.elapsed());
    for (name, count) in &coverage.counts {
        println!("{count:>8} {name}");
    }
    if commands < COMMANDS {
        return; // Too few for everything to come up.
    }
    for name in expected() {
        let count = coverage.counts.get(&name).copied().unwrap_or(0);
        assert!(count >= OFTEN, "`{name}` came up {count} times only");
    }
}

/// A number from the environment, if it is there.
fn number(name: &str, otherwise: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text.replace('_', "").parse().expect("a whole number"),
        Err(_) => otherwise,
    }
}

fn run(seed: u64, digest_steps: u64, coverage: &mut Coverage) {
    let mut history = History::new(seed);
    let mut engine = Engine::new(limits());
    let mut twin = Engine::new(limits());
    if seed.is_multiple_of(10) {
        twin.prefault(300); // Memory, and nothing else.
    }
    let mut model = Model::new(limits());
    coverage.begin();
    let (mut ours, mut theirs, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for step in 0..COMMANDS_OF_A_HISTORY {
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
        let silent = matches!(
            command.value,
            Command::PassTime | Command::SignedFrame(_) | Command::DraftMarket(_)
        );
        assert!(silent || !ours.is_empty(), "seed {seed}, step {step}: no answer to {command:?}");
        // An order that expired first has changed the book.
        if let (Some(Event::AuctionUncrossed(result)), Some(expected)) = (ours.first(), &indicative)
        {
            assert_eq!(result.price, expected.price, "seed {seed}, step {step}");
            assert_eq!(result.volume, expected.volume, "seed {seed}, step {step}");
            assert_eq!(result.surplus_wh, expected.surplus_wh, "seed {seed}, step {step}");
        }
        if let (Some(Event::CallExtended(extended)), Some(expected)) = (ours.first(), &indicative) {
            assert_eq!(Some(extended.price), expected.price, "seed {seed}, step {step}");
        }
        history.observe(&ours);
        coverage.note(&command, &ours);
        again.clear();
        twin.apply(&command, &mut again);
        if step % 50 == 49 {
            engine.check_invariants();
            model.check_laws();
            assert_eq!(engine.open_orders(), u32::try_from(model.open_orders()).unwrap());
        }
        if (step + 1).is_multiple_of(digest_steps) {
            assert_eq!(engine.digest(), twin.digest(), "seed {seed}, step {step}");
            assert_eq!(engine.digest(), model.digest(), "seed {seed}, step {step}");
        }
    }
}

/// How often each kind of thing came up, by name.
#[derive(Default)]
struct Coverage {
    counts: BTreeMap<String, u64>,
    orders: BTreeMap<OrderId, NewOrder>,
    phases: BTreeMap<SlotKey, Phase>,
    aggregates: BTreeSet<OrderId>,
}

impl Coverage {
    /// A new history begins.
    fn begin(&mut self) {
        self.orders.clear();
        self.phases.clear();
        self.aggregates.clear();
    }

    fn add(&mut self, name: impl Into<String>) {
        *self.counts.entry(name.into()).or_default() += 1;
    }

    fn note(&mut self, command: &Sequenced<Command>, events: &[Event]) {
        let entering = entering(&command.value, events);
        for event in events {
            self.note_event(event, entering);
            if let Event::OrderAccepted(accepted) = event
                && let Some(&order) = command.value.new_order()
            {
                self.orders.insert(accepted.order, order);
                if let Command::DelegatedOrder(_) = command.value {
                    self.add("accepted under a delegation");
                }
            }
            if let (Event::OrderAccepted(accepted), Command::NewAggregateOrder(_)) =
                (event, &command.value)
            {
                self.aggregates.insert(accepted.order);
                self.add("accepted for members");
            }
            if let Event::SlotPhaseChanged(changed) = event {
                let before = self.phases.insert(changed.key, changed.phase);
                self.add(phases(before.unwrap_or(Phase::PreOpen), changed.phase));
            }
            if let Event::Trade(trade) = event {
                self.note_trade(trade, entering);
            }
        }
        let trades = events.iter().any(|event| matches!(event, Event::Trade(_)));
        if trades && matches!(command.value, Command::ReplaceOrder(_)) {
            self.add("replaced and traded");
        }
        if let (Command::DelegatedReplace(_), Some(Event::OrderReplaced(_))) =
            (&command.value, events.first())
        {
            self.add("replaced under a delegation");
        }
        if trades && matches!(command.value, Command::ActivateOrder(_)) {
            self.add("activated and traded");
        }
        if !events.is_empty() && matches!(command.value, Command::PassTime) {
            self.add("expired with the time");
        }
    }

    #[expect(clippy::too_many_lines, reason = "an arm for each kind")]
    fn note_event(&mut self, event: &Event, entering: Option<OrderId>) {
        let name = match event {
            Event::MarketDefined(_) => "market defined".to_owned(),
            Event::PartyRegistered(_) => "party registered".to_owned(),
            Event::MeterRegistered(_) => "meter registered".to_owned(),
            Event::ControlsSet(_) => "controls set".to_owned(),
            Event::SlotPhaseChanged(_) => "phase changed".to_owned(),
            Event::SlotFrozen(_) => "frozen".to_owned(),
            Event::CallExtended(_) => "call extended".to_owned(),
            Event::AuctionUncrossed(result) if result.price.is_none() => {
                "uncrossed without a price".to_owned()
            }
            Event::AuctionUncrossed(result) => {
                if result.clamped {
                    self.add("uncrossed at a clamped price");
                }
                if result.candidates == 0 {
                    self.add("uncrossed market orders alone");
                }
                uncrossed(result.rule)
            }
            Event::OrderAccepted(_) => "accepted".to_owned(),
            Event::OrderRestated(_) => "restated".to_owned(),
            Event::OrderValidated(_) => "validated".to_owned(),
            Event::OrderReplaced(replaced) if replaced.kept_place => "replaced in place".to_owned(),
            Event::OrderReplaced(_) => "replaced at the tail".to_owned(),
            Event::OrderCancelled(cancelled) => {
                if cancelled.reason == CancelReason::SelfTrade {
                    let incoming = entering == Some(cancelled.order);
                    self.add(if incoming { "self-trade, incoming" } else { "self-trade, resting" });
                }
                cancel(cancelled.reason)
            }
            Event::OrderHibernated(_) => "hibernated".to_owned(),
            Event::OrderActivated(_) => "activated".to_owned(),
            Event::MassCancelled(mass) if mass.origin.is_none() => {
                "mass cancelled by the operator".to_owned()
            }
            Event::MassCancelled(_) => "mass cancelled by a platform".to_owned(),
            Event::OrderRejected(rejected) => {
                self.add(request(rejected.request));
                reject(rejected.reason)
            }
            Event::ContractOffered(_) => "contract offered".to_owned(),
            Event::ContractAgreed(_) => "contract agreed".to_owned(),
            Event::AmendmentOffered(_) => "change offered".to_owned(),
            Event::ContractAmended(amended) => change(&amended.terms).to_owned(),
            Event::ContractEnded(ended) => format!("offer {}", ended.state.name()),
            Event::ContractRestated(restated) => {
                format!("offer told again as {}", restated.state.name())
            }
            Event::Trade(trade) if trade.is_negotiated() => "trade of a contract".to_owned(),
            Event::Trade(trade) if trade.maker.is_none() => "trade in an auction".to_owned(),
            Event::Trade(_) => "trade".to_owned(),
            Event::MembersListed(_) => "members listed".to_owned(),
            Event::MemberRefused(_) => "member refused".to_owned(),
            Event::TradingChanged(control) => format!("trading {}", control.state.name()),
            Event::CreditSet(_) => "credit set".to_owned(),
            Event::CreditReleased(_) => "credit released".to_owned(),
            Event::MeterDelegated(delegated) if delegated.before.is_some() => {
                "delegated, to another platform".to_owned()
            }
            Event::MeterDelegated(_) => "delegated".to_owned(),
            Event::DelegationRevoked(revoked) if revoked.holder.is_none() => {
                "revoked what nobody held".to_owned()
            }
            Event::DelegationRevoked(_) => "revoked".to_owned(),
            Event::PlaceNoted(noted) if noted.cancelled > 0 => "orders go with a place".to_owned(),
            Event::PlaceNoted(_) => "place noted".to_owned(),
            Event::GridLimitSet(set) => limit_set(set),
            Event::GridRefused(refused) => reject(refused.reason),
            Event::Operated(operated) => {
                let state = if operated.took_effect { "ordered" } else { "proposed" };
                format!("{state} {}", operated.signed.operation.action.name())
            }
            Event::TradeBusted(busted) if busted.version > 1 => "busted a changed trade".to_owned(),
            Event::TradeBusted(_) => "busted".to_owned(),
            Event::CommandRejected(rejected) => reject(rejected.reason),
        };
        self.add(name);
    }

    fn note_trade(&mut self, trade: &Trade, entering: Option<OrderId>) {
        let sides = [trade.buy.order, trade.sell.order];
        match (sides.map(|order| self.aggregates.contains(&order)), trade.maker) {
            ([false, false], _) => {}
            ([true, true], _) => self.add("trade of two aggregate orders"),
            (_, None) => self.add("trade of an aggregate order in an auction"),
            (_, Some(_)) => self.add("trade of an aggregate order"),
        }
        for order in sides {
            let Some(&sent) = self.orders.get(&order) else { continue };
            let auction = if trade.maker.is_none() { " in an auction" } else { "" };
            if !sent.conditions.display.is_zero() {
                self.add(format!("trade of an iceberg{auction}"));
            }
            if sent.kind == OrderKind::Market {
                self.add(format!("trade of a market order{auction}"));
            }
            match sent.list.kind {
                ListKind::Single => {}
                ListKind::Block => self.add("trade of a block"),
                ListKind::Basket => self.add("trade of a basket"),
            }
            if sent.conditions.all_or_none {
                self.add("trade of an all-or-none order");
            }
            if !sent.conditions.minimum.is_zero() {
                self.add("trade of an order with a minimum");
            }
        }
        let others = sides.iter().all(|&order| Some(order) != entering);
        let single = sides.iter().all(|order| {
            self.orders.get(order).is_some_and(|sent| sent.list.kind == ListKind::Single)
        });
        if trade.maker.is_some() && others {
            self.add(if single {
                "trade of an order tried again"
            } else {
                "trade of a block tried again"
            });
        }
    }
}

/// The order that a command brings into its book.
fn entering(command: &Command, events: &[Event]) -> Option<OrderId> {
    if let Command::ReplaceOrder(signed) = command {
        return Some(signed.replace.order);
    }
    if let Command::DelegatedReplace(delegated) = command {
        return Some(delegated.replace.order);
    }
    if let Command::ActivateOrder(request) = command {
        return Some(request.order);
    }
    events.iter().find_map(|event| {
        if let Event::OrderAccepted(accepted) = event { Some(accepted.order) } else { None }
    })
}

fn phases(before: Phase, after: Phase) -> String {
    format!("phase {before:?} to {after:?}")
}

fn uncrossed(rule: PriceRule) -> String {
    format!("uncrossed by {}", rule.name())
}

fn cancel(reason: CancelReason) -> String {
    format!("cancelled {reason:?}")
}

fn request(request: Request) -> String {
    format!("refused to {request:?}")
}

fn limit_set(set: &GridLimitSet) -> String {
    match (set.cancelled, set.above().wh()) {
        (0, 0) => "limit set".to_owned(),
        (0, _) => "trades above a limit".to_owned(),
        _ => "orders go for a limit".to_owned(),
    }
}

fn reject(reason: RejectReason) -> String {
    format!("rejected {}", reason.name())
}

fn change(terms: &AmendmentTerms) -> &'static str {
    if terms.new_quantity.is_zero() {
        "trade cancelled"
    } else if terms.new_key() != terms.key {
        "trade moved"
    } else if terms.version > FIRST_VERSION {
        "trade changed again"
    } else {
        "trade changed"
    }
}

const KINDS: [&str; 78] = [
    "members listed",
    "member refused",
    "accepted for members",
    "trade of an aggregate order",
    "trade of an aggregate order in an auction",
    "trade of two aggregate orders",
    "place noted",
    "limit set",
    "orders go with a place",
    "orders go for a limit",
    "trades above a limit",
    "change offered",
    "trade cancelled",
    "trade moved",
    "trade changed again",
    "trade changed",
    "validated",
    "contract offered",
    "contract agreed",
    "trade of a contract",
    "offer declined",
    "offer withdrawn",
    "offer expired",
    "offer gate_closed",
    "offer killed",
    "offer told again as open",
    "offer told again as agreed",
    "offer told again as declined",
    "accepted under a delegation",
    "replaced under a delegation",
    "delegated",
    "delegated, to another platform",
    "revoked",
    "revoked what nobody held",
    "market defined",
    "party registered",
    "meter registered",
    "controls set",
    "frozen",
    "call extended",
    "uncrossed without a price",
    "uncrossed at a clamped price",
    "uncrossed market orders alone",
    "accepted",
    "restated",
    "replaced in place",
    "replaced at the tail",
    "replaced and traded",
    "hibernated",
    "activated",
    "activated and traded",
    "mass cancelled by the operator",
    "mass cancelled by a platform",
    "expired with the time",
    "self-trade, incoming",
    "self-trade, resting",
    "trade",
    "trade in an auction",
    "trade of an iceberg",
    "trade of an iceberg in an auction",
    "trade of a market order",
    "trade of a market order in an auction",
    "trade of an all-or-none order",
    "trade of an order with a minimum",
    "trade of an order tried again",
    "trade of a block",
    "trade of a block tried again",
    "trade of a basket",
    "trading active",
    "trading suspended",
    "trading killed",
    "credit set",
    "credit released",
    "phase PreOpen to Call",
    "phase Call to Frozen",
    "phase Call to Continuous",
    "phase Frozen to Continuous",
    "phase Frozen to Call",
];

fn expected() -> Vec<String> {
    let mut names: Vec<String> = KINDS.map(str::to_owned).to_vec();
    names.push(phases(Phase::Continuous, Phase::Call));
    let open = [Phase::Call, Phase::Frozen, Phase::Continuous];
    names.extend(open.map(|before| phases(before, Phase::Closed)));
    names.extend(PriceRule::ALL.map(uncrossed));
    // An aggregate order of these few meters makes few trades.
    let reasons = (0..=u8::MAX).filter_map(CancelReason::from_code);
    names.extend(reasons.filter(|reason| *reason != CancelReason::TradeLimit).map(cancel));
    names.extend((0..=u8::MAX).filter_map(Request::from_code).map(request));
    // The edge gives the session's reasons and checks signatures; the engine gives all others.
    let edge = [RejectReason::SignatureInvalid, RejectReason::OtherCurrency];
    let engine = RejectReason::ALL
        .iter()
        .copied()
        .filter(|reason| reason.code() >= 20 && !edge.contains(reason))
        // So many never wait in a history as short as these.
        .filter(|reason| *reason != RejectReason::OperationsFull);
    names.extend(engine.map(reject));
    names
}
