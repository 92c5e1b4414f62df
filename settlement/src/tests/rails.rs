//! Money over a rail that delays, repeats, reorders, times out and succeeds late: the books end the
//! same, and balance at every step.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use types::{Currency, MeterId, Money, Timestamp, TradeId};

use super::{
    fixture::{FIRST_SLOT, Feed, file, settings, slot},
    kills::{arm, disarm},
    server::{is_of_files, store},
};
use crate::{
    Pipeline, Policy, Settings, State,
    books::accounts::{Account, AccountKind, Owner},
    pipeline::{Pace, Task},
    policy::{BlockRule, Enforcement, Fraction, Mechanism, RailRule},
    rails::{
        Answer, Event, EventAnswer, InstructionId, InstructionKind, InstructionState, News,
        Outcome, PaymentRail as _, Sealed, Signer,
        simulated::{Chances, SimulatedDesk, SimulatedRail},
        statement::day_of,
    },
};

const PACE: Pace = Pace { retry_min_s: 2, retry_max_s: 8, query_s: 20 };
const HOUR_NS: i64 = 3_600_000_000_000;

pub(super) fn rupee() -> Currency {
    Currency::from_iso("INR").unwrap()
}

/// What a future that never waits comes to.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a simulated rail never waits"),
    }
}

pub(super) fn policy(mechanism: Mechanism) -> Policy {
    Policy {
        mechanism,
        platform_fee: Fraction::from_ppm(15_000).unwrap(),
        block: Some(BlockRule { hold_days: 7, lead_days: Some(1) }),
        rail: Some(RailRule {
            call_lead_days: (mechanism == Mechanism::ClearingHouse).then_some(1),
        }),
        enforcement: Some(Enforcement {
            due_days: 3,
            grace_days: 2,
            fine_after_days: None,
            fine_rate: Fraction::ZERO,
            repeat_days: None,
        }),
        finality_days: Some(2),
        ..settings().policy
    }
}

/// A pipeline, a rail, and the one clock of both.
struct World {
    pipeline: Pipeline,
    rail: SimulatedDesk,
    now: Timestamp,
}

impl World {
    fn new(mechanism: Mechanism, chances: Chances) -> Self {
        let settings = Settings { policy: policy(mechanism), ..settings() };
        let pipeline = Pipeline::in_memory(settings).unwrap();
        let rail = SimulatedRail::new(chances, rupee(), 7);
        let rail = SimulatedDesk::new(rail, Signer::Hmac(vec![3; 32]));
        Self { pipeline, rail, now: slot(0).start().plus_ns(-20 * HOUR_NS) }
    }

    fn to(&mut self, now: Timestamp) {
        self.now = now;
        self.rail.set_clock(now);
    }

    fn tell(&mut self, sealed: &Sealed) -> EventAnswer {
        self.rail.verify(sealed).unwrap();
        let event = Event::read(&sealed.body, rupee()).unwrap();
        let answer = self.pipeline.rail_event(&event, &sealed.body, self.now).unwrap();
        assert!(self.pipeline.audit().unwrap().is_clean());
        answer
    }

    /// Sends, asks and hears what is due now. Whether there was anything.
    fn turn(&mut self) -> bool {
        let errands = self.pipeline.rail_errands(self.now, 64, PACE).unwrap();
        let mut busy = !errands.is_empty();
        for errand in errands {
            let answer = match errand.task {
                Task::Submit => ready(self.rail.submit(&errand.submission)),
                Task::Query => {
                    let (answer, events) = ready(self.rail.query(errand.id));
                    for sealed in events {
                        self.tell(&sealed);
                    }
                    answer
                }
            };
            self.pipeline.rail_answer(errand.id, &answer, self.now, PACE).unwrap();
        }
        for sealed in self.rail.take_due() {
            busy = true;
            self.tell(&sealed);
        }
        busy
    }

    /// Lets time pass, second by second, until nothing has happened for a while.
    fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..20_000 {
            quiet = if self.turn() { 0 } else { quiet + 1 };
            if quiet > 300 && self.rail.is_silent() {
                return;
            }
            self.to(self.now.plus_ns(1_000_000_000));
        }
        panic!("it never becomes quiet");
    }

    fn balance(&self, account: Account) -> i64 {
        let balances = self.pipeline.balances().unwrap();
        balances.iter().find(|(of, _)| *of == account).map_or(0, |(_, minor)| *minor)
    }

    /// Every transfer, balance and debt.
    fn books(&self) -> String {
        books(&self.pipeline)
    }
}

pub(super) fn books(pipeline: &Pipeline) -> String {
    let mut text = String::new();
    for table in ["transfers", "accounts", "debts"] {
        let sql = format!("SELECT * FROM {table} ORDER BY 1, 2, 3");
        let sql = if table == "accounts" { sql.replace(", 3", "") } else { sql };
        let mut select = pipeline.connection().prepare_cached(&sql).unwrap();
        let columns = select.column_count();
        let mut rows = select.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let cells: Vec<i64> = (0..columns).map(|column| row.get(column).unwrap()).collect();
            text += &format!("{table} {cells:?}\n");
        }
    }
    text
}

/// Three hours with deliveries short and full, corrected down and up, then paid out.
fn history(mechanism: Mechanism, chances: Chances) -> World {
    let mut world = World::new(mechanism, chances);
    world.to(world.now);
    let mut feed = Feed::new();
    for hour in 0..3 {
        for pair in [(1, 7), (2, 7), (3, 8), (1, 6), (4, 5)] {
            feed.trade(hour, pair, 1_000 + u64::from(hour) * 300, 5_000_000);
        }
    }
    world.pipeline.capture(feed.end(), &feed.items).unwrap();
    if mechanism == Mechanism::Prepaid {
        for meter in [5, 6, 7, 8] {
            world.rail.deposit(meter.into(), MeterId::new(meter), Money::from_minor(700));
        }
    }
    world.settle();
    for hour in 0..3 {
        world.to(slot(hour).end());
        let sold = |meter: u32| (meter, 1_900, 0);
        for readings in
            [vec![sold(1), sold(2), sold(3), sold(4)], (5..=8).map(|m| (m, 0, 9_000)).collect()]
        {
            let receipt = world.pipeline.ingest(world.now, &file(1, hour, &readings)).unwrap();
            assert_eq!(receipt.result, Ok(()));
        }
        world.pipeline.verify(world.now).unwrap();
        world.settle();
    }
    if mechanism == Mechanism::Prepaid {
        world.rail.deposit(77, MeterId::new(7), Money::from_minor(9_000));
        world.settle();
    }
    for (revision, wh) in [(2, 900), (3, 2_600)] {
        world.to(slot(3 + revision).end());
        world.pipeline.ingest(world.now, &file(revision, 0, &[(1, wh, 0), (2, wh, 0)])).unwrap();
        world.pipeline.verify(world.now).unwrap();
        world.settle();
    }
    world.to(slot(24 * 4).end());
    world.pipeline.pay_out(world.now).unwrap();
    world.settle();
    world
}

const MECHANISMS: [Mechanism; 5] = [
    Mechanism::ClearingHouse,
    Mechanism::Block,
    Mechanism::Prepaid,
    Mechanism::SellerBiller,
    Mechanism::PlatformBiller,
];

/// What both sides say of every day agrees, and nothing is on its way any more.
fn check_reconciled(world: &World) {
    let first = day_of(slot(0).start()) - 2;
    let mut moved = 0;
    for day in first..first + 12 {
        let statement = world.rail.statement_of(day);
        let found = world.pipeline.reconcile(&statement).unwrap();
        // What a rail does not give free is no difference of money, and stays one until it expires.
        let is_other = |one: &&crate::Break| one.kind != crate::BreakKind::StillBlocked;
        assert_eq!(found.breaks.iter().find(is_other), None, "day {day}");
        assert_eq!(world.pipeline.rail_statement(day).unwrap(), statement);
        moved += found.agreed;
    }
    assert!(moved > 5, "{moved}");
    for account in [Account::ARRIVING, Account::LEAVING] {
        assert_eq!(world.balance(account), 0, "{account}");
    }
    assert_eq!(world.pipeline.rail_open().unwrap(), 0);
}

#[test]
fn the_books_of_a_rail_at_its_worst_are_those_of_a_good_one() {
    for mechanism in MECHANISMS {
        for (seed, decline_ppm) in [(1, 0), (2, 0), (3, 150_000)] {
            let good = Chances { seed, decline_ppm, ..Chances::default() };
            let bad = Chances {
                delay_s: 5,
                duplicate_ppm: 100_000,
                reorder_ppm: 100_000,
                timeout_ppm: 300_000,
                late_ppm: 500_000,
                ..good
            };
            let clean = history(mechanism, good);
            check_reconciled(&clean);
            let other = history(mechanism, bad);
            check_reconciled(&other);
            assert_eq!(other.books(), clean.books(), "{mechanism:?} with seed {seed}");
        }
    }
}

#[test]
fn s45_what_is_earned_leaves_only_when_it_is_final() {
    for mechanism in MECHANISMS {
        let world = history(mechanism, Chances::default());
        let paid =
            |meter| world.balance(Account::of_meter(MeterId::new(meter), AccountKind::Earned));
        assert_eq!([1, 2, 3, 4].map(paid), [0; 4], "{mechanism:?}");
        let mut early = World::new(mechanism, Chances::default());
        let mut feed = Feed::new();
        let contract = feed.trade(0, (1, 7), 1_000, 5_000_000);
        early.pipeline.capture(feed.end(), &feed.items).unwrap();
        early.rail.deposit(1, MeterId::new(7), Money::from_minor(900));
        early.settle();
        early.to(slot(0).end());
        early.pipeline.ingest(early.now, &file(1, 0, &[(1, 1_000, 0)])).unwrap();
        early.pipeline.ingest(early.now, &file(1, 0, &[(7, 0, 1_000)])).unwrap();
        early.pipeline.verify(early.now).unwrap();
        early.settle();
        let minute = 60_000_000_000;
        let final_at = slot(0).end().plus_ns(3 * 24 * HOUR_NS);
        assert_eq!(
            early.pipeline.pay_out(final_at.plus_ns(-24 * HOUR_NS - minute)).unwrap().written,
            0
        );
        let fee = if mechanism == Mechanism::SellerBiller { 0 } else { 8 };
        let run = early.pipeline.pay_out(final_at).unwrap();
        assert_eq!((run.written, run.minor), (1 + u64::from(fee > 0), 500), "{mechanism:?}");
        assert_eq!(early.balance(Account::LEAVING), 500);
        // The same day again finds nothing to do; a run of the day after neither.
        assert_eq!(early.pipeline.pay_out(final_at).unwrap().written, 0);
        assert_eq!(early.pipeline.pay_out(final_at.plus_ns(24 * HOUR_NS)).unwrap().written, 0);
        early.to(final_at);
        early.settle();
        assert_eq!(early.balance(Account::LEAVING), 0);
        assert_eq!(early.pipeline.standing(contract).unwrap().unwrap().0, State::Complete);
    }
}

/// A contract of meter 7 for 1 kWh from meter 1 at 5.00, whose block is placed.
fn blocked() -> (World, TradeId) {
    let mut world = World::new(Mechanism::Block, Chances::default());
    world.to(world.now);
    let mut feed = Feed::new();
    let contract = feed.trade(0, (1, 7), 1_000, 5_000_000);
    world.pipeline.capture(feed.end(), &feed.items).unwrap();
    world.settle();
    (world, contract)
}

fn deliver(world: &mut World, wh: u64) {
    world.to(slot(0).end());
    for document in [file(1, 0, &[(1, wh, 0)]), file(1, 0, &[(7, 0, 1_000)])] {
        assert_eq!(world.pipeline.ingest(world.now, &document).unwrap().result, Ok(()));
    }
    world.pipeline.verify(world.now).unwrap();
}

fn event(id: InstructionId, name: &str, outcome: Outcome, minor: i64, at: Timestamp) -> Event {
    let amount = Money::from_minor(minor);
    Event { id: name.to_owned(), at, news: News::Of { instruction: id, outcome, amount } }
}

fn hear(world: &mut World, event: &Event) -> EventAnswer {
    let body = event.to_body(rupee());
    let answer = world.pipeline.rail_event(event, &body, world.now).unwrap();
    assert!(world.pipeline.audit().unwrap().is_clean());
    answer
}

fn of(contract: TradeId, kind: InstructionKind) -> InstructionId {
    InstructionId::of_contract(contract, kind, 1)
}

const DONE: Outcome = Outcome::Settled { until: None };

#[test]
fn s47_a_capture_that_is_declined_becomes_an_invoice() {
    let (mut world, contract) = blocked();
    deliver(&mut world, 800);
    assert_eq!(world.balance(Account::ARRIVING), -400);
    let capture = of(contract, InstructionKind::Capture);
    let declined = event(capture, "c", Outcome::Declined, 400, world.now);
    assert_eq!(hear(&mut world, &declined), EventAnswer::Taken);
    assert_eq!(hear(&mut world, &declined), EventAnswer::Taken, "a replay gets the same answer");
    assert_eq!(world.balance(Account::ARRIVING), 0);
    let payer = MeterId::new(7);
    assert_eq!(world.balance(Account::of_meter(payer, AccountKind::Owes)), -400);
    let late = event(capture, "late", DONE, 400, world.now);
    assert_eq!(hear(&mut world, &late), EventAnswer::Contradiction);
    assert_eq!(world.balance(Account::EXTERNAL), 0);
    // The invoice is paid, and the seller has the money.
    let now = world.now;
    let bill = of(contract, InstructionKind::Collect);
    assert_eq!(hear(&mut world, &event(bill, "p", DONE, 400, now)), EventAnswer::Taken);
    assert_eq!(world.balance(Account::of_meter(payer, AccountKind::Owes)), 0);
    assert_eq!(world.balance(Account::EXTERNAL), -400);
}

#[test]
fn a_refund_waits_for_what_is_captured() {
    for is_captured in [true, false] {
        let (mut world, contract) = blocked();
        deliver(&mut world, 800);
        let sent = world.pipeline.rail_errands(world.now, 9, PACE).unwrap();
        assert_eq!(sent.len(), 2, "a capture and a release");
        let corrected = file(2, 0, &[(1, 600, 0)]);
        assert_eq!(world.pipeline.ingest(world.now, &corrected).unwrap().result, Ok(()));
        world.pipeline.verify(world.now).unwrap();
        assert_eq!(world.balance(Account::LEAVING), 100);
        let refund = of(contract, InstructionKind::Refund);
        let later = world.now.plus_ns(HOUR_NS);
        let due = world.pipeline.rail_errands(later, 9, PACE).unwrap();
        assert!(due.iter().all(|errand| errand.id != refund), "{due:?}");
        let (capture, now) = (of(contract, InstructionKind::Capture), world.now);
        let outcome = if is_captured { DONE } else { Outcome::Declined };
        let told = event(capture, "c", outcome, 400, now);
        assert_eq!(hear(&mut world, &told), EventAnswer::Taken);
        assert_eq!(world.balance(Account::ARRIVING), 0);
        let later = later.plus_ns(HOUR_NS);
        let due = world.pipeline.rail_errands(later, 9, PACE).unwrap();
        assert_eq!(due.iter().any(|errand| errand.id == refund), is_captured);
        let owes = Account::of_meter(MeterId::new(7), AccountKind::Owes);
        if is_captured {
            let paid = event(refund, "f", DONE, 100, now);
            assert_eq!(hear(&mut world, &paid), EventAnswer::Taken);
            assert_eq!((world.balance(Account::EXTERNAL), world.balance(owes)), (-300, 0));
        } else {
            // All of it is owed, and nothing is on its way.
            assert_eq!((world.balance(Account::LEAVING), world.balance(owes)), (0, -300));
        }
    }
}

#[test]
fn a_block_that_comes_too_late_is_given_back() {
    let mut world = World::new(Mechanism::Block, Chances::default());
    let mut feed = Feed::new();
    let contract = feed.trade(0, (1, 7), 1_000, 5_000_000);
    world.pipeline.capture(feed.end(), &feed.items).unwrap();
    let sent = world.pipeline.rail_errands(world.now, 9, PACE).unwrap();
    assert_eq!(sent.len(), 1);
    world.pipeline.rail_answer(sent[0].id, &Answer::Unknown, world.now, PACE).unwrap();
    deliver(&mut world, 1_000);
    let standing = world.pipeline.standing(contract).unwrap().unwrap().0;
    assert_eq!(standing, State::CancelledUnfunded);
    let now = world.now;
    let block = of(contract, InstructionKind::Block);
    assert_eq!(hear(&mut world, &event(block, "b", DONE, 500, now)), EventAnswer::Taken);
    let release = world.pipeline.rail_instruction(of(contract, InstructionKind::Release)).unwrap();
    let release = release.unwrap();
    assert_eq!((release.amount.minor(), release.of), (500, Some(block)));
    assert_eq!(world.balance(Account::ARRIVING), 0);
}

#[test]
fn data_after_the_rail_s_own_expiry_is_an_invoice_in_every_order() {
    for swapped in [false, true] {
        let mut world = World::new(Mechanism::Block, Chances::default());
        let mut feed = Feed::new();
        let contract = feed.trade(0, (1, 7), 1_000, 5_000_000);
        world.pipeline.capture(feed.end(), &feed.items).unwrap();
        world.pipeline.rail_errands(world.now, 9, PACE).unwrap();
        let block = of(contract, InstructionKind::Block);
        let (now, until) = (world.now, Some(slot(90).end()));
        let placed = event(block, "b", Outcome::Settled { until }, 500, now);
        let ended = event(block, "e", Outcome::Expired, 500, slot(0).start());
        let order = if swapped { [&ended, &placed] } else { [&placed, &ended] };
        for told in order {
            assert_eq!(hear(&mut world, told), EventAnswer::Taken);
        }
        deliver(&mut world, 1_000);
        assert_eq!(world.balance(Account::ARRIVING), 0);
        let owes = Account::of_meter(MeterId::new(7), AccountKind::Owes);
        assert_eq!(world.balance(owes), -500);
        let asked = world.pipeline.rail_instructions_of(contract).unwrap();
        let kinds: Vec<_> = asked.iter().map(|one| one.kind).collect();
        assert_eq!(kinds, [InstructionKind::Block, InstructionKind::Collect]);
    }
}

#[test]
fn s44_what_contradicts_or_is_unknown_moves_nothing_and_shows() {
    let (mut world, contract) = blocked();
    deliver(&mut world, 1_000);
    world.settle();
    let before = world.books();
    let (block, now) = (of(contract, InstructionKind::Block), world.now);
    let unknown = InstructionId::of_contract(TradeId::new(99), InstructionKind::Bill, 1);
    let known = format!("{block}-settled");
    let gift =
        News::Deposit { reference: 5, meter: MeterId::new(99), amount: Money::from_minor(5) };
    for (told, answer) in [
        (event(block, "again", DONE, 500, now), EventAnswer::Repeated),
        (event(block, "no", Outcome::Declined, 500, now), EventAnswer::Contradiction),
        (event(block, "more", DONE, 501, now), EventAnswer::Contradiction),
        (event(unknown, "who", DONE, 500, now), EventAnswer::UnknownInstruction),
        (event(block, &known, Outcome::Declined, 500, now), EventAnswer::Conflict),
        (Event { id: "gift".to_owned(), at: now, news: gift }, EventAnswer::UnknownMeter),
    ] {
        for _ in 0..3 {
            assert_eq!(hear(&mut world, &told), answer, "{told:?}");
        }
    }
    assert_eq!(world.books(), before);
    let found = world.pipeline.reconcile(&world.rail.statement_of(day_of(now))).unwrap();
    let kinds: Vec<_> = found.breaks.iter().map(|one| one.kind.name()).collect();
    assert_eq!(kinds, ["contradiction"; 3]);
}

#[test]
fn every_difference_of_a_statement_is_a_break() {
    let world = history(Mechanism::PlatformBiller, Chances::default());
    let day = day_of(slot(0).end());
    let good = world.rail.statement_of(day);
    assert!(good.lines.len() > 2);
    let mut bad = good.clone();
    let gone = bad.lines.remove(0);
    bad.lines[0].minor += 1;
    let mut extra = gone.clone();
    extra.reference = "deposit-1".to_owned();
    bad.lines.push(extra);
    let found = world.pipeline.reconcile(&bad).unwrap();
    assert_eq!(found.agreed, u64::try_from(good.lines.len()).unwrap() - 2);
    let mut kinds: Vec<_> = found.breaks.iter().map(|one| one.kind.name()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["missing_here", "missing_on_statement", "other_amount"]);
    let missing = found.breaks.iter().find(|one| one.reference == gone.reference).unwrap();
    assert_eq!((missing.books, missing.statement), (Some(gone.minor), None));
    // Money that came by another way than the rail.
    let mut other = World::new(Mechanism::Prepaid, Chances::default());
    let feed = Feed::new();
    other.pipeline.capture(feed.end(), &feed.items).unwrap();
    other.pipeline.deposit(1, MeterId::new(7), Money::from_minor(700)).unwrap();
    let found = other.pipeline.reconcile(&other.rail.statement_of(day)).unwrap();
    assert_eq!(found.breaks[0].kind.name(), "not_over_rail");
    assert_eq!(found.breaks[0].books, Some(700));
}

#[test]
fn a_bill_has_the_public_field_names_and_is_the_same_each_time() {
    let mut world = World::new(Mechanism::PlatformBiller, Chances::default());
    let mut feed = Feed::new();
    let contract = feed.trade(0, (1, 7), 1_000, 5_000_000);
    world.pipeline.capture(feed.end(), &feed.items).unwrap();
    deliver(&mut world, 1_000);
    let sent = world.pipeline.rail_errands(world.now, 9, PACE).unwrap().remove(0);
    let bill = serde_json::to_value(sent.submission.bill.clone().unwrap()).unwrap();
    let id = of(contract, InstructionKind::Bill);
    let date = crate::rails::statement::date(day_of(world.now));
    let due = crate::rails::statement::date(day_of(world.now) + 3);
    assert_eq!(bill["billerId"], "platform/1");
    assert_eq!(bill["billNumber"], id.to_string());
    assert_eq!(bill["billAmount"], "5.00");
    assert_eq!((&bill["billDate"], &bill["dueDate"]), (&date.into(), &due.into()));
    assert_eq!(bill["customerParams"][0]["value"], "7");
    assert_eq!(bill["paymentAmountExactness"], "EXACT");
    // The rail never got it: days later it is sent again, byte for byte.
    world.to(world.now.plus_ns(50 * HOUR_NS));
    let asked = world.pipeline.rail_errands(world.now, 9, PACE).unwrap().remove(0);
    assert_eq!((asked.task, asked.id), (Task::Query, id));
    world.pipeline.rail_answer(id, &Answer::NotKnown, world.now, PACE).unwrap();
    world.to(world.now.plus_ns(HOUR_NS));
    let again = world.pipeline.rail_errands(world.now, 9, PACE).unwrap().remove(0);
    assert_eq!((again.task, again.submission), (Task::Submit, sent.submission));
}

/// One step of a contract's life over a rail, each in a transaction or two.
fn step(pipeline: &mut Pipeline, number: usize) -> Result<(), crate::SettlementError> {
    let mut feed = Feed::new();
    let contract = feed.trade(0, (1, 7), 1_000, 5_000_000);
    let (start, end) = (slot(0).start(), slot(0).end());
    let told = |name: &str, kind, outcome, minor| {
        let event = event(of(contract, kind), name, outcome, minor, end);
        let body = event.to_body(rupee());
        (event, body)
    };
    let mut tell =
        |(event, body): (Event, Vec<u8>)| pipeline.rail_event(&event, &body, end).map(drop);
    let until = Some(slot(90).end());
    match number {
        0 => pipeline.capture(feed.end(), &feed.items).map(drop),
        1 => pipeline.rail_errands(start, 9, PACE).map(drop),
        2 => tell(told("b", InstructionKind::Block, Outcome::Settled { until }, 500)),
        3 => pipeline.ingest(end, &file(1, 0, &[(1, 800, 0)])).map(drop),
        4 => pipeline.ingest(end, &file(1, 0, &[(7, 0, 1_000)])).map(drop),
        5 => pipeline.verify(end).map(drop),
        6 => pipeline.rail_errands(end, 9, PACE).map(drop),
        7 => {
            let capture = of(contract, InstructionKind::Capture);
            pipeline.rail_answer(capture, &Answer::Rejected, end, PACE)
        }
        8 => tell(told("r", InstructionKind::Release, DONE, 100)),
        9 => pipeline.rail_errands(end, 9, PACE).map(drop),
        10 => tell(told("p", InstructionKind::Collect, DONE, 400)),
        11 => pipeline.ingest(end, &file(2, 0, &[(1, 600, 0)])).map(drop),
        12 => pipeline.verify(end).map(drop),
        13 => tell(told("f", InstructionKind::Refund, DONE, 100)),
        _ => pipeline.pay_out(slot(24 * 4).end()).map(drop),
    }
}

#[test]
fn a_failure_at_any_statement_changes_nothing_at_the_rail_either() {
    let open = |folder: &std::path::Path| {
        let settings = Settings { policy: policy(Mechanism::Block), ..settings() };
        let db = folder.join("settlement.db");
        let pipeline = Pipeline::open(store(&db), &folder.join("ledger"), settings).unwrap();
        if is_of_files() {
            pipeline.connection().execute_batch("PRAGMA synchronous = OFF").unwrap();
        }
        pipeline
    };
    let all = |pipeline: &Pipeline| {
        let list = pipeline.rail_instructions(None, InstructionState::Dropped, 99).unwrap();
        (books(pipeline), format!("{list:?}"), pipeline.ledger_head())
    };
    let (straight, crooked) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut one = open(straight.path());
    let mut kills = 0;
    for number in 0..15 {
        step(&mut one, number).unwrap();
        for statement in 1_u32.. {
            let mut pipeline = open(crooked.path());
            arm(&mut pipeline, statement);
            let outcome = step(&mut pipeline, number);
            disarm();
            if outcome.is_ok() {
                break;
            }
            kills += 1;
        }
        assert_eq!(all(&open(crooked.path())), all(&one), "step {number}");
    }
    assert!(kills > 150, "{kills}");
    assert!(one.audit().unwrap().is_clean());
    // Of 5.00 blocked, 4.00 were lost, collected, and 1.00 of them paid back.
    let balances = one.balances().unwrap();
    let find = |account| balances.iter().find(|(of, _)| *of == account).map_or(0, |(_, b)| *b);
    assert_eq!((find(Account::EXTERNAL), find(Account::ARRIVING)), (-300, 0));
    assert_eq!(find(Account { owner: Owner::Exchange, kind: AccountKind::Leaving }), 300);
    assert_eq!(FIRST_SLOT, slot(0).start_minute());
}
