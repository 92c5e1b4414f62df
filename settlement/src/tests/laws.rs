//! Laws that hold for any history, whatever the mechanism.

use proptest::prelude::*;
use types::{Currency, Energy, MeterId, Money, Side, Timestamp, TradeId};

use super::fixture::{Feed, METERS, file, later, settings, slot};
use crate::{
    Amendment, Answer, BlockRequest, Pipeline, Policy, Settings,
    policy::{BlockRule, Enforcement, Fraction, Mechanism},
};

#[derive(Debug, Clone)]
enum Step {
    Trade { slot: u32, seller: u32, buyer: u32, wh: u64, micros: i64 },
    Deposit { meter: u32, minor: i64 },
    Readings { slot: u32, meter: u32, injected: u64, withdrawn: u64 },
    Block { trade: u64, minor: i64, day: i64, own: bool },
    Amend { trade: u64, buys: bool, version: u32, wh: u64, agrees: bool },
    Pay { trade: u64, minor: Option<i64> },
    Recover { meter: u32, minor: i64 },
    Verify { day: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    // A market may allow a meter to trade with itself.
    prop_oneof![
        6 => (0_u32..2, 1..=METERS, 0..METERS, 1_u64..9_000, -2_000_000_i64..9_000_000).prop_map(
            |(slot, seller, by, wh, micros)| Step::Trade {
                slot, seller, buyer: (seller + by - 1) % METERS + 1, wh, micros,
            }),
        3 => (1..=METERS, 1_i64..5_000).prop_map(|(meter, minor)| Step::Deposit { meter, minor }),
        8 => (0_u32..2, 1..=METERS, 0_u64..12_000, 0_u64..12_000).prop_map(
            |(slot, meter, injected, withdrawn)| Step::Readings { slot, meter, injected, withdrawn }),
        3 => (1_u64..9, 0_i64..6_000, -9_i64..0, any::<bool>()).prop_map(
            |(trade, minor, day, own)| Step::Block { trade, minor, day, own }),
        2 => (1_u64..9, any::<bool>(), 1_u32..3, 0_u64..9_000, prop::bool::weighted(0.8)).prop_map(
            |(trade, buys, version, wh, agrees)| Step::Amend { trade, buys, version, wh, agrees }),
        3 => (1_u64..9, prop::option::weighted(0.2, 1_i64..9_000)).prop_map(
            |(trade, minor)| Step::Pay { trade, minor }),
        2 => (1..=METERS, 1_i64..3_000).prop_map(|(meter, minor)| Step::Recover { meter, minor }),
        5 => (0_i64..40).prop_map(|day| Step::Verify { day }),
    ]
}

fn mechanism() -> impl Strategy<Value = Mechanism> {
    prop_oneof![
        Just(Mechanism::ClearingHouse),
        Just(Mechanism::Block),
        Just(Mechanism::Prepaid),
        Just(Mechanism::SellerBiller),
        Just(Mechanism::PlatformBiller),
    ]
}

fn settings_of(mechanism: Mechanism) -> Settings {
    let part = |ppm| Fraction::from_ppm(ppm).unwrap();
    let policy = Policy {
        mechanism,
        platform_fee: part(15_000),
        modification_penalty: part(20_000),
        block: Some(BlockRule { hold_days: 7, lead_days: None }),
        enforcement: Some(Enforcement {
            due_days: 3,
            grace_days: 1,
            fine_after_days: Some(4),
            fine_rate: part(50_000),
            repeat_days: Some(30),
        }),
        finality_days: Some(30),
        ..settings().policy
    };
    assert_eq!(policy.currency, Currency::from_iso("INR").unwrap());
    Settings { policy, ..settings() }
}

fn at(day: i64) -> Timestamp {
    slot(1).end().plus_ns(day * 86_400_000_000_000)
}

/// Everything about one moment: what must be the same whichever way it was reached.
fn digest(pipeline: &Pipeline) -> impl PartialEq + core::fmt::Debug {
    (pipeline.ledger_head(), pipeline.balances().unwrap(), pipeline.summary().unwrap())
}

fn check(pipeline: &Pipeline) {
    let audit = pipeline.audit().unwrap();
    assert!(audit.is_clean(), "{audit:?}");
    super::audit::check_leaves(pipeline);
    let balances = pipeline.balances().unwrap();
    let sum = |kinds: &[&str]| -> i64 {
        let of = balances.iter().filter(|(account, _)| kinds.contains(&account.kind.name()));
        of.map(|(_, minor)| *minor).sum()
    };
    assert_eq!(sum(&["available", "escrow", "earned", "pool"]), -sum(&["external"]));
    assert_eq!(sum(&["owed"]), -sum(&["owes"]));
    assert_eq!((sum(&["rounding"]), sum(&["clearing"])), (0, 0));
    let debts: i64 = (1..60)
        .flat_map(|trade| pipeline.debts_of(TradeId::new(trade)).unwrap())
        .map(|debt| debt.open)
        .sum();
    assert_eq!(debts, sum(&["owed"]), "debts are what accounts say is owed");
}

fn carry_out(pipeline: &mut Pipeline, step: &Step, feed: &Feed, number: u32, pay: i64) {
    let reference = u64::from(number);
    match *step {
        Step::Trade { .. } => {
            pipeline.capture(feed.end(), &feed.items).unwrap();
        }
        Step::Deposit { meter, minor } => {
            let meter = MeterId::new(meter);
            pipeline.deposit(reference, meter, Money::from_minor(minor)).unwrap();
        }
        Step::Readings { slot, meter, injected, withdrawn } => {
            let document = file(number, slot, &[(meter, injected, withdrawn)]);
            let receipt = pipeline.ingest(later(), &document).unwrap();
            assert_eq!(receipt.result, Ok(()));
        }
        Step::Block { trade, minor, day, own } => {
            let request = BlockRequest {
                contract: TradeId::new(trade),
                amount: Money::from_minor(minor),
                from_deposits: own,
                asked: at(day),
            };
            pipeline.block(&request).unwrap();
        }
        Step::Amend { trade, buys, version, wh, agrees } => {
            let request = Amendment {
                contract: TradeId::new(trade),
                by: if buys { Side::Buy } else { Side::Sell },
                version,
                energy: Energy::from_wh(wh),
                answer: if agrees { Answer::Accept } else { Answer::Reject },
            };
            pipeline.amend(reference, &request, at(-1)).unwrap();
        }
        Step::Pay { trade, .. } => {
            let amount = Money::from_minor(pay);
            pipeline.pay(reference, TradeId::new(trade), amount).unwrap();
        }
        Step::Recover { meter, minor } => {
            let amount = Money::from_minor(minor);
            pipeline.recover(reference, MeterId::new(meter), amount).unwrap();
        }
        Step::Verify { day } => {
            pipeline.verify(at(day)).unwrap();
            pipeline.enforce(at(day)).unwrap();
        }
    }
}

/// What a contract's bill is now.
fn bill(pipeline: &Pipeline, trade: u64) -> i64 {
    let open = pipeline.debts_of(TradeId::new(trade)).unwrap();
    let energy = open.iter().filter(|debt| debt.leg.name().starts_with("energy"));
    let taken = open.iter().filter(|debt| debt.leg.name().starts_with("take"));
    energy.chain(taken).map(|debt| debt.open).sum()
}

/// Runs a history; the second time, everything is delivered twice.
fn run(mechanism: Mechanism, steps: &[Step], times: usize) -> Pipeline {
    let mut pipeline = Pipeline::in_memory(settings_of(mechanism)).unwrap();
    let mut feed = Feed::new();
    pipeline.capture(feed.end(), &feed.items).unwrap();
    for (step, number) in steps.iter().chain([&Step::Verify { day: 1 }]).zip(1_u32..) {
        let mut pay = 0;
        if let Step::Trade { slot, seller, buyer, wh, micros } = *step {
            feed.trade(slot, (seller, buyer), wh, micros);
        } else if let Step::Pay { trade, minor } = *step {
            pay = minor.unwrap_or_else(|| bill(&pipeline, trade));
        }
        for _ in 0..times {
            carry_out(&mut pipeline, step, &feed, number, pay);
            check(&pipeline);
        }
    }
    pipeline
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn s60_money_is_conserved_and_delivering_twice_changes_nothing(
        mechanism in mechanism(), steps in prop::collection::vec(step(), 1..60),
    ) {
        let once = run(mechanism, &steps, 1);
        let twice = run(mechanism, &steps, 2);
        prop_assert_eq!(digest(&once), digest(&twice));
    }

    /// Readings of different meters are independent: their order before a verification does not
    /// matter.
    #[test]
    fn the_order_of_independent_readings_does_not_matter(
        mechanism in mechanism(),
        trades in prop::collection::vec((1..=METERS, 1..METERS, 1_u64..9_000, -1_000_000_i64..9_000_000), 1..8),
        readings in prop::collection::vec((0_u64..12_000, 0_u64..12_000), 8),
        turn in 0_usize..8,
    ) {
        let trade = |&(seller, by, wh, micros): &(u32, u32, u64, i64)| Step::Trade {
            slot: 0, seller, buyer: (seller + by - 1) % METERS + 1, wh, micros,
        };
        let reading = |(meter, &(injected, withdrawn)): (u32, &(u64, u64))| {
            Step::Readings { slot: 0, meter, injected, withdrawn }
        };
        let start: Vec<Step> = trades.iter().map(trade)
            .chain((1..=METERS).map(|meter| Step::Deposit { meter, minor: 4_000 })).collect();
        let straight: Vec<Step> = (1..=METERS).zip(&readings).map(reading).collect();
        let mut turned = straight.clone();
        turned.rotate_left(turn);
        turned.reverse();
        let books = |readings: Vec<Step>| {
            let steps: Vec<Step> = start.iter().cloned().chain(readings).collect();
            run(mechanism, &steps, 1).balances().unwrap()
        };
        prop_assert_eq!(books(straight), books(turned));
    }

    /// A correction that is taken back restores what was there, whatever the mechanism.
    #[test]
    fn a_reverted_correction_restores_the_accounts(
        mechanism in mechanism(), wh in 1_u64..9_000, micros in -1_000_000_i64..9_000_000,
        first in 0_u64..12_000, wrong in 0_u64..12_000, deposit in 1_i64..6_000,
    ) {
        let trade = Step::Trade { slot: 0, seller: 1, buyer: 7, wh, micros };
        let read = |injected| Step::Readings { slot: 0, meter: 1, injected, withdrawn: 0 };
        let start = [
            trade,
            Step::Deposit { meter: 7, minor: deposit },
            Step::Block { trade: 1, minor: 100_000, day: -1, own: false },
            Step::Readings { slot: 0, meter: 7, injected: 0, withdrawn: wh },
            read(first),
            Step::Verify { day: 0 },
        ];
        let once = run(mechanism, &start, 1).balances().unwrap();
        let more = [read(wrong), Step::Verify { day: 0 }, read(first), Step::Verify { day: 0 }];
        let steps: Vec<Step> = start.iter().cloned().chain(more).collect();
        let back = run(mechanism, &steps, 1).balances().unwrap();
        let visible = |list: Vec<(crate::books::accounts::Account, i64)>| {
            list.into_iter().filter(|(_, minor)| *minor != 0).collect::<Vec<_>>()
        };
        if mechanism != Mechanism::Block || wrong >= first.min(wh) {
            prop_assert_eq!(visible(once), visible(back));
        }
    }
}
