//! A line is a command, or sets the time of the next one.
//!
//! ```text
//! open | uncross | close | freeze [seed N] [KEY]    the schedule
//! pass time                              nothing but the time
//! sell S1 5kWh @ 4.10 [OPTION…]          a new order; buy likewise
//! sell S1 5kWh at market [OPTION…]
//! cancel | hibernate | activate #1 [OPTION…]
//! reduce #1 2kWh [OPTION…]
//! replace #1 S1 3kWh @ 4.20 [OPTION…]
//! delegate S1 to N number N [buy|sell] [most 2kWh] [pays 4.20] [takes 4.00] [in N (the market)]
//!          [from INSTANT] [till INSTANT] [by N]     without `by` its platform brings it
//! revoke S1 number N [by N]              without `by` the meter signs it
//! offer S1 to B1 2kWh @ 4.20 [OPTION…] [ref N]   S1 sells; `offer B1 from S1 …` B1 buys
//! change 1 S1 to 3kWh [OPTION…] [ref N]  the first trade, by S1: so much, in the slot of the KEY if one is
//!                                        named, else in its own
//!        [version N] [was 2kWh] [was-in HOURS] [with B2] [was-at 4.00]    of a trade that is said to be other than it is
//! accept %1 [OPTION…] [but 3kWh] [same side]     the first offer, by the other side
//! decline | withdraw %1 [OPTION…]        by the other side, by who offered it
//! list 7 S1 2kWh S2 1kWh [page N] [by N] a page of the members of the order that will be number 7
//! aggregate sell @ 4.10 S1 2kWh S2 1kWh [OPTION…] [unlisted] [members N] [sum 5kWh] [wrong hash]
//!                                        its pages, unless they are said to be there, then the order
//! mass cancel SCOPE [by N] [only KEY]    without `by` it is the operator who asks
//! suspend | kill | resume SCOPE
//! operator 1 [agrees with N] number N ACTION [until INSTANT]    an operator's order
//! controls [CONTROL…] [of N]             those not named are off
//! credit limit 2 40.00 [of N]            of platform 2; release credit 2 40.00 likewise
//! place S1 Z1/F1 [from slot N] [rev N] [number N]     where it hangs; `-` for what is not said
//! limit Z1/F1 sell 5kWh [slot N] [rev N] [utility N] [number N]
//! market 2 [tick 0] [rule NAME] [lot 1Wh] [largest 5kWh] [minutes 30]
//! party platform 3 [key 1]
//! meter 7 [key 1] [utility 9] [platform 3] [owner 2]
//! at gate | at gate+1 | at opening-1 | at now+30s    around the first slot's hours, in
//!                                        nanoseconds or seconds; `now` is the last command's time
//! depth | indicative | show phase | show price | show due [KEY]    queries
//! show expiry | show stopped | show credit 2 [of N]
//!
//! OPTION: as N (the platform's number) | by N (the platform) | session N | until INSTANT (the
//!         signature's) | KEY | ioc | fok | until-time INSTANT | post-only | all-or-none |
//!         minimum 2kWh | showing 1kWh | expires INSTANT (whatever the time in force) |
//!         delegated (signed by the platform) |
//!         in block N of K | in basket N of K (list number N, K orders)
//! KEY: slot N (hours after the first) | misaligned | short | day | of N (the market)
//! INSTANT: as after `at` | epoch
//! SCOPE: everyone | platform N | retailer N | meter S1 | market N | session N
//! ACTION: suspend | kill | resume SCOPE | auction | extend | call-off | shut [KEY]
//! CONTROL: self-trade ACTION | scope owner | allocation pro_rata | smallest 1kWh | value 4.00 |
//!          collar 0.10 | band 0.10 | executions 3 | freeze 10 30 (seconds)
//! ```
//! Quantities are in kWh or Wh. Without `by`, requests about an order come from its own platform,
//! and all others from the one that serves the meter. Meters are S1 B1 S2 B2 …, numbered 1 2 3 4 …;
//! who and what there is at the start is in `stage`.
//!
//! After every line this is checked:
//! - the invariants of the engine;
//! - a second engine, its twin, that was told the same, but the mere time instead of what was
//!   refused, and that sends plain orders the general way, has the same digest;
//! - instead of a new order its validation says the same of it, and changes nothing;
//! - an engine restored from a snapshot of before the line did the same and is in the same state;
//! - an auction gives what the indicative price said just before, if nothing has expired with it.

use types::{
    ClientOrderId, Command, Conditions, CreditLimit, CreditRelease, DelegateMeter, DelegatedOrder,
    DelegatedReplace, Delegation, Energy, Event, FreezeSlot, KeyId, ListKind, MarketId, MassCancel,
    MeterId, Money, NewOrder, OrderId, OrderKind, OrderRejected, OrderRequest, OrderValidated,
    Origin, Phase, PlatformId, Price, ReduceOrder, ReplaceOrder, Request, RevokeDelegation,
    Sequenced, SessionId, Side, Sides, Signature, SignedNewOrder, SignedReplaceOrder, TimeInForce,
    Timestamp, TradingControl, TradingState,
};

use super::{
    say,
    stage::{self, Stage},
    words::{self, Words},
};
use crate::{Depth, DepthLevel, Engine, Limits};

/// Runs the lines of a script on the small stage; the text of all events.
pub(super) fn run(script: &str) -> String {
    let mut stage = Stage::small();
    stage.perform(script);
    stage.out
}

impl Stage {
    /// Runs the lines of a script.
    pub(super) fn perform(&mut self, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            self.line(line);
            self.engine.check_invariants();
        }
    }

    fn line(&mut self, line: &str) {
        let mut words = Words::new(line);
        match words.peek() {
            "at" => {
                words.next();
                self.time_set = Some(self.instant(words.next()));
            }
            "depth" => self.depth(words.rest()),
            "indicative" => self.indicative(words.rest()),
            "show" => self.show(words.rest()),
            "aggregate" => self.aggregate(line),
            _ => {
                let command = self.parse(line);
                self.apply(command);
            }
        }
    }

    /// The command that a line means.
    pub(super) fn parse(&mut self, line: &str) -> Command {
        let mut words = Words::new(line);
        let command = match words.next() {
            "open" => Command::OpenSlot(words.key()),
            "uncross" => Command::UncrossSlot(words.key()),
            "close" => Command::CloseSlot(words.key()),
            "freeze" => {
                let seed = words.option("seed").map_or(0, |word| word.parse().unwrap());
                Command::FreezeSlot(FreezeSlot { key: words.key(), seed })
            }
            "pass" => words.then("time", Command::PassTime),
            "buy" => self.order(Side::Buy, &mut words),
            "sell" => self.order(Side::Sell, &mut words),
            "cancel" => Command::CancelOrder(self.request(&mut words)),
            "ask" => Command::AskOrder(self.request(&mut words)),
            "validate" => self.validation(&mut words),
            "hibernate" => Command::HibernateOrder(self.request(&mut words)),
            "activate" => Command::ActivateOrder(self.request(&mut words)),
            "reduce" => self.reduce(&mut words),
            "delegate" => self.delegate(&mut words),
            "revoke" => self.revoke(&mut words),
            "replace" => self.replace(&mut words),
            "offer" => self.offer(&mut words),
            "change" => self.offer_change(&mut words),
            "accept" => self.accept(&mut words),
            "decline" => Command::DeclineContract(self.offer_request(&mut words, false)),
            "withdraw" => Command::WithdrawContract(self.offer_request(&mut words, true)),
            "list" => super::aggregates::page(&mut words),
            "mass" => self.mass_cancel(&mut words),
            "suspend" => trading(&mut words, TradingState::Suspended),
            "kill" => trading(&mut words, TradingState::Killed),
            "resume" => trading(&mut words, TradingState::Active),
            "operator" => self.operation(&mut words),
            "draft" => stage::draft(&mut words),
            "controls" => stage::controls(&mut words),
            "credit" => credit_limit(&mut words),
            "release" => credit_release(&mut words),
            "place" => Self::place(&mut words),
            "limit" => Self::grid_limit(&mut words),
            "market" => stage::odd_market(&mut words),
            "party" => stage::odd_party(&mut words),
            "meter" => stage::odd_meter(&mut words),
            other => panic!("`{other}` is not a command"),
        };
        words.end(line);
        command
    }

    pub(super) fn apply(&mut self, value: Command) {
        self.seq = self.seq.next();
        self.time = self.time_set.take().unwrap_or(self.time.plus_ns(1));
        let auctioned = if let Command::UncrossSlot(key) = value {
            Some(key)
        } else if let Command::Operate(signed) = value {
            signed.operation.action.slot()
        } else {
            None
        };
        let indicative = auctioned.and_then(|key| self.engine.indicative(key));
        let before = self.engine.snapshot();
        let mut restored = Engine::restore(self.limits, &before).unwrap();
        restored.check_invariants();
        self.engine.anticipate(&value);
        self.engine.expect(&value);
        let mut events = Vec::new();
        let command = Sequenced { seq: self.seq, time: self.time, value };
        self.engine.apply(&command, &mut events);
        self.compare(&mut restored, &command, &events);
        if let Command::NewOrder(signed) = value {
            compare_with_validation(&before, self.limits, (&command, &signed), &events);
        }
        self.compare_with_twin(&command, &events);
        for event in &events {
            if let Event::OrderAccepted(accepted) = event {
                self.platforms.push(accepted.origin.platform);
            }
            self.note_contracts(event);
            if let Event::AuctionUncrossed(result) = event
                && !events.iter().any(say::is_expiry)
            {
                let said = indicative.map(|now| (now.price, now.volume, now.surplus_wh));
                assert_eq!(said, Some((result.price, result.volume, result.surplus_wh)));
            }
            self.put(&say::event(event, self.time));
        }
    }

    /// An engine in the state before goes on in the same way.
    fn compare(&self, before: &mut Engine, command: &Sequenced<Command>, events: &[Event]) {
        let mut same = Vec::new();
        before.apply(command, &mut same);
        assert_eq!(same, events, "{:?} caused other events", command.value);
        assert_eq!(before.digest(), self.engine.digest(), "{:?}", command.value);
    }

    /// The twin is told nothing of what was refused, and is in the same state.
    fn compare_with_twin(&mut self, command: &Sequenced<Command>, events: &[Event]) {
        let expired = events.iter().take_while(|event| say::is_expiry(event)).count();
        let refused = matches!(
            events[expired..],
            [Event::MemberRefused(_), Event::OrderRejected(_)]
                | [Event::OrderRejected(_)
                    | Event::CommandRejected(_)
                    | Event::GridRefused(_)
                    | Event::OrderRestated(_)
                    | Event::OrderValidated(_)
                    | Event::ContractRestated(_)]
        );
        // The refusal of an order of a list means something to the list.
        let order = command.value.new_order();
        let listed = order.is_some_and(|order| order.list.kind != ListKind::Single);
        let mut told = *command;
        if refused && !listed {
            told.value = Command::PassTime;
        }
        let mut same = Vec::new();
        self.twin.apply(&told, &mut same);
        if told.value == command.value {
            assert_eq!(same, events, "the same history gave other events");
        }
        let (one, other) = (self.engine.digest(), self.twin.digest());
        assert_eq!(one, other, "{:?} was refused and changed something", command.value);
    }

    /// An instant: a name, and how much later or earlier.
    fn instant(&self, text: &str) -> Timestamp {
        let (market, slot) = (stage::market(1), stage::first_slot());
        let at = text.find(['+', '-']).unwrap_or(text.len());
        let (name, offset) = text.split_at(at);
        let base = match name {
            "gate" => market.gate_closes_after(slot),
            "opening" => market.opens_at(slot),
            "now" => self.time,
            "epoch" => Timestamp::from_ns(0),
            other => panic!("`{other}` is not an instant"),
        };
        base.plus_ns(match (offset.strip_suffix('s'), offset) {
            (Some(seconds), _) => seconds.parse::<i64>().unwrap() * 1_000_000_000,
            (None, "") => 0,
            (None, nanoseconds) => nanoseconds.parse().unwrap(),
        })
    }

    pub(super) fn client_order(&mut self, words: &mut Words<'_>) -> ClientOrderId {
        self.client_orders += 1;
        let given = words.option("as").map(|word| word.parse().unwrap());
        ClientOrderId::new(given.unwrap_or(self.client_orders))
    }

    pub(super) fn valid_until(&self, words: &mut Words<'_>) -> Timestamp {
        words.option("until").map_or(Timestamp::from_ns(i64::MAX), |word| self.instant(word))
    }

    fn order(&mut self, side: Side, words: &mut Words<'_>) -> Command {
        let client_order = self.client_order(words);
        let is_delegated = words.flag("delegated");
        let list = words.list();
        let key = words.key();
        let valid_until = self.valid_until(words);
        let (time_in_force, conditions) = self.conditions(words);
        let session = session(words);
        let meter = words::meter_number(words.next());
        let origin = Origin { platform: serving(words, meter), session };
        let quantity = words::energy(words.next());
        let (kind, limit) = match words.next() {
            "@" => (OrderKind::Limit, words::price(words.next())),
            "at" => {
                assert_eq!(words.next(), "market");
                (OrderKind::Market, words.last().map_or(Price::default(), words::price))
            }
            other => panic!("`{other}` is not a price"),
        };
        let order = NewOrder {
            client_order,
            meter: MeterId::new(meter),
            key,
            side,
            kind,
            time_in_force,
            limit,
            quantity,
            valid_until,
            conditions,
            list,
        };
        if is_delegated {
            return Command::DelegatedOrder(DelegatedOrder { origin, order });
        }
        let signature = Signature::new([0; 64]);
        Command::NewOrder(SignedNewOrder { origin, order, signature })
    }

    /// `validate`, then the order that it is about.
    fn validation(&mut self, words: &mut Words<'_>) -> Command {
        let side = if words.flag("buy") { Side::Buy } else { words.then("sell", Side::Sell) };
        let Command::NewOrder(signed) = self.order(side, words) else {
            panic!("only what a meter signed can be validated")
        };
        Command::ValidateOrder(signed)
    }

    pub(super) fn conditions(&self, words: &mut Words<'_>) -> (TimeInForce, Conditions) {
        let mut time_in_force = TimeInForce::UntilGate;
        let mut expires = Timestamp::from_ns(0);
        if words.flag("ioc") {
            time_in_force = TimeInForce::ImmediateOrCancel;
        }
        if words.flag("fok") {
            time_in_force = TimeInForce::FillOrKill;
        }
        if let Some(instant) = words.option("until-time") {
            time_in_force = TimeInForce::UntilTime;
            expires = self.instant(instant);
        }
        if let Some(instant) = words.option("expires") {
            expires = self.instant(instant);
        }
        let conditions = Conditions {
            post_only: words.flag("post-only"),
            all_or_none: words.flag("all-or-none"),
            display: words.option("showing").map_or(Energy::ZERO, words::energy),
            minimum: words.option("minimum").map_or(Energy::ZERO, words::energy),
            expires,
        };
        (time_in_force, conditions)
    }

    /// Who sends a request about an order that exists.
    fn sender(&self, words: &mut Words<'_>, name: &str) -> (OrderId, Origin) {
        let order = words::order(name);
        let index = usize::try_from(order.get()).ok().and_then(|number| number.checked_sub(1));
        let own = index.and_then(|index| self.platforms.get(index).copied());
        let given = words.number("by").map(PlatformId::new);
        let platform = given.or(own).unwrap_or(PlatformId::new(1));
        (order, Origin { platform, session: session(words) })
    }

    fn request(&mut self, words: &mut Words<'_>) -> OrderRequest {
        let client_order = self.client_order(words);
        let name = words.next();
        let (order, origin) = self.sender(words, name);
        OrderRequest { origin, client_order, order }
    }

    fn reduce(&mut self, words: &mut Words<'_>) -> Command {
        let OrderRequest { origin, client_order, order } = self.request(words);
        let by = words::energy(words.next());
        Command::ReduceOrder(ReduceOrder { origin, client_order, order, by })
    }

    fn replace(&mut self, words: &mut Words<'_>) -> Command {
        let is_delegated = words.flag("delegated");
        let client_order = self.client_order(words);
        let valid_until = self.valid_until(words);
        let order = words::order(words.next());
        let meter = words::meter_number(words.next());
        let platform = serving(words, meter);
        let origin = Origin { platform, session: session(words) };
        let quantity = words::energy(words.next());
        assert_eq!(words.next(), "@");
        let limit = words::price(words.next());
        let meter = MeterId::new(meter);
        let replace = ReplaceOrder { client_order, order, meter, limit, quantity, valid_until };
        if is_delegated {
            return Command::DelegatedReplace(DelegatedReplace { origin, replace });
        }
        let signature = Signature::new([0; 64]);
        Command::ReplaceOrder(SignedReplaceOrder { origin, replace, signature })
    }

    fn delegate(&mut self, words: &mut Words<'_>) -> Command {
        let client_order = self.client_order(words);
        let platform = words.option("to").map_or(1, |word| word.parse().unwrap());
        let sender = words.option("by").map_or(platform, |word| word.parse().unwrap());
        let (buys, sells) = (words.flag("buy"), words.flag("sell"));
        let delegation = Delegation {
            number: words.option("number").unwrap().parse().unwrap(),
            platform: PlatformId::new(platform),
            market: MarketId::new(words.option("in").map_or(0, |word| word.parse().unwrap())),
            sides: match (buys, sells) {
                (true, false) => Sides::Buy,
                (false, true) => Sides::Sell,
                (true, true) | (false, false) => Sides::Both,
            },
            quantity_max: words.option("most").map_or(Energy::ZERO, words::energy),
            buy_limit: words.option("pays").map_or(Delegation::ANY_BUY, words::price),
            sell_limit: words.option("takes").map_or(Delegation::ANY_SELL, words::price),
            valid_from: self.instant(words.option("from").unwrap_or("epoch")),
            valid_until: self.instant(words.option("till").unwrap_or("gate")),
            key: KeyId::new(5),
            meter: MeterId::new(words::meter_number(words.next())),
        };
        let origin = Origin { platform: PlatformId::new(sender), session: SessionId::new(1) };
        let signature = Signature::new([0; 64]);
        Command::DelegateMeter(DelegateMeter { origin, client_order, delegation, signature })
    }

    fn revoke(&mut self, words: &mut Words<'_>) -> Command {
        let client_order = self.client_order(words);
        let sender: Option<u16> = words.option("by").map(|word| word.parse().unwrap());
        let number = words.option("number").unwrap().parse().unwrap();
        let meter = MeterId::new(words::meter_number(words.next()));
        let platform = PlatformId::new(sender.unwrap_or(1));
        let origin = Origin { platform, session: SessionId::new(1) };
        let signature = sender.is_none().then_some(Signature::new([1; 64]));
        Command::RevokeDelegation(RevokeDelegation {
            origin,
            client_order,
            meter,
            number,
            signature,
        })
    }

    fn mass_cancel(&mut self, words: &mut Words<'_>) -> Command {
        assert_eq!(words.next(), "cancel");
        let client_order = self.client_order(words);
        let platform = words.number("by").map(PlatformId::new);
        let origin = platform.map(|platform| Origin { platform, session: SessionId::new(1) });
        let slot = words.flag("only").then(|| words.key());
        let scope = words.scope();
        Command::MassCancel(MassCancel { origin, client_order, scope, slot })
    }

    fn depth(&mut self, mut words: Words<'_>) {
        let Some(Depth { buy, sell }) = self.engine.depth(words.key()) else {
            return self.put("no book");
        };
        let text = |level: &DepthLevel| {
            format!(" {}x{} @ {}", level.orders, say::energy(level.quantity), level.price)
        };
        let buy: String = buy.iter().map(text).collect();
        let sell: String = sell.iter().map(text).collect();
        self.put(&format!("buy{buy} | sell{sell}"));
    }

    fn indicative(&mut self, mut words: Words<'_>) {
        let text = match self.engine.indicative(words.key()) {
            None => "not in a call".to_owned(),
            Some(now) => format!(
                "indicative {} {} surplus {}",
                say::price(now.price),
                say::energy(now.volume),
                now.surplus_wh
            ),
        };
        self.put(&text);
    }

    fn show(&mut self, mut words: Words<'_>) {
        let text = match words.next() {
            "phase" => say::phase(self.engine.phase(words.key()).unwrap_or(Phase::PreOpen)),
            "price" => say::price(self.engine.last_price(words.key())),
            "due" => say::instant(self.engine.uncross_at(words.key()), self.time),
            "expiry" => say::instant(self.engine.next_expiry(), self.time),
            "stopped" => stopped(&self.engine),
            "credit" => {
                let (platform, market) = account(&mut words);
                let limit = self.engine.credit(platform, market).map(|credit| credit.limit);
                limit.map_or("none".to_owned(), say::money)
            }
            other => panic!("`{other}` cannot be shown"),
        };
        self.put(&text);
    }
}

/// Instead of a new order, its validation: says the same of it and changes nothing.
fn compare_with_validation(
    before: &[u8],
    limits: Limits,
    (command, signed): (&Sequenced<Command>, &SignedNewOrder),
    events: &[Event],
) {
    let told = |value| {
        let mut engine = Engine::restore(limits, before).unwrap();
        let mut events = Vec::new();
        engine.apply(&Sequenced { value, ..*command }, &mut events);
        (events, engine.digest())
    };
    let (mut expected, digest) = told(Command::PassTime);
    let SignedNewOrder { origin, order, .. } = *signed;
    let client_order = order.client_order;
    let first = events.get(expected.len());
    expected.push(match first {
        Some(Event::OrderAccepted(_)) => {
            Event::OrderValidated(OrderValidated { origin, client_order })
        }
        Some(Event::OrderRejected(rejected)) => {
            Event::OrderRejected(OrderRejected { request: Request::Validate, ..*rejected })
        }
        Some(restated @ Event::OrderRestated(_)) => *restated,
        other => panic!("no answer to a new order: {other:?}"),
    });
    assert_eq!(told(Command::ValidateOrder(*signed)), (expected, digest), "{order:?}");
}

fn stopped(engine: &Engine) -> String {
    let scopes: Vec<String> = engine.stopped().map(say::trading).collect();
    if scopes.is_empty() { "nobody is stopped".to_owned() } else { scopes.join(", ") }
}

/// The platform that serves a meter, unless another is named.
pub(super) fn serving(words: &mut Words<'_>, meter: u32) -> PlatformId {
    PlatformId::new(words.number("by").unwrap_or(if meter % 2 == 1 { 1 } else { 2 }))
}

pub(super) fn session(words: &mut Words<'_>) -> SessionId {
    SessionId::new(words.option("session").map_or(1, |word| word.parse().unwrap()))
}

fn trading(words: &mut Words<'_>, state: TradingState) -> Command {
    Command::SetTrading(TradingControl { scope: words.scope(), state })
}

fn account(words: &mut Words<'_>) -> (PlatformId, MarketId) {
    let market = MarketId::new(words.number("of").unwrap_or(1));
    (PlatformId::new(words.next().parse().unwrap()), market)
}

fn money(words: &mut Words<'_>) -> Money {
    Money::from_minor(words::decimal(words.next(), 2))
}

fn credit_limit(words: &mut Words<'_>) -> Command {
    assert_eq!(words.next(), "limit");
    let (platform, market) = account(words);
    Command::SetCredit(CreditLimit { platform, market, limit: money(words) })
}

fn credit_release(words: &mut Words<'_>) -> Command {
    assert_eq!(words.next(), "credit");
    let (platform, market) = account(words);
    Command::ReleaseCredit(CreditRelease { platform, market, amount: money(words) })
}
