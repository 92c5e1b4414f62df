//! Laws that hold for any history.

use proptest::prelude::*;
use types::{MeterId, Money};

use super::fixture::{Feed, METERS, file, later, settings};
use crate::Pipeline;

#[derive(Debug, Clone)]
enum Step {
    Trade { slot: u32, seller: u32, buyer: u32, wh: u64, micros: i64 },
    Deposit { meter: u32, minor: i64 },
    Readings { slot: u32, meter: u32, injected: u64, withdrawn: u64 },
    Verify,
}

fn step() -> impl Strategy<Value = Step> {
    // A market may allow a meter to trade with itself.
    prop_oneof![
        4 => (0_u32..2, 1..=METERS, 0..METERS, 1_u64..9_000, -2_000_000_i64..9_000_000).prop_map(
            |(slot, seller, by, wh, micros)| Step::Trade {
                slot, seller, buyer: (seller + by - 1) % METERS + 1, wh, micros,
            }),
        2 => (1..=METERS, 1_i64..5_000).prop_map(|(meter, minor)| Step::Deposit { meter, minor }),
        6 => (0_u32..2, 1..=METERS, 0_u64..12_000, 0_u64..12_000).prop_map(
            |(slot, meter, injected, withdrawn)| Step::Readings { slot, meter, injected, withdrawn }),
        2 => Just(Step::Verify),
    ]
}

/// Runs a history; the second time, everything is delivered twice.
fn run(steps: &[Step], times: usize) -> Pipeline {
    let mut pipeline = Pipeline::in_memory(settings()).unwrap();
    let mut feed = Feed::new();
    pipeline.capture(feed.end(), &feed.items).unwrap();
    for (step, number) in steps.iter().chain([&Step::Verify]).zip(1_u32..) {
        if let Step::Trade { slot, seller, buyer, wh, micros } = *step {
            feed.trade(slot, (seller, buyer), wh, micros);
        }
        for _ in 0..times {
            match *step {
                Step::Trade { .. } => {
                    pipeline.capture(feed.end(), &feed.items).unwrap();
                }
                Step::Deposit { meter, minor } => {
                    let meter = MeterId::new(meter);
                    pipeline.deposit(u64::from(number), meter, Money::from_minor(minor)).unwrap();
                }
                Step::Readings { slot, meter, injected, withdrawn } => {
                    let document = file(number, slot, &[(meter, injected, withdrawn)]);
                    let receipt = pipeline.ingest(later(), &document).unwrap();
                    assert_eq!(receipt.result, Ok(()));
                }
                Step::Verify => {
                    pipeline.verify(later()).unwrap();
                }
            }
        }
    }
    pipeline
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn money_is_conserved_and_delivering_twice_changes_nothing(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let once = run(&steps, 1);
        let audit = once.audit().unwrap();
        prop_assert!(audit.is_clean(), "{:?}", audit);
        let deposited: i64 = steps.iter().map(|step| match step {
            Step::Deposit { minor, .. } => *minor,
            Step::Trade { .. } | Step::Readings { .. } | Step::Verify => 0,
        }).sum();
        let cash: i64 = once.balances().unwrap().into_iter()
            .filter(|(account, _)| matches!(account.kind.name(), "available" | "escrow" | "earned"))
            .map(|(_, minor)| minor).sum();
        prop_assert_eq!(cash, deposited);
        let twice = run(&steps, 2);
        prop_assert_eq!(once.ledger_head(), twice.ledger_head());
        prop_assert_eq!(once.balances().unwrap(), twice.balances().unwrap());
        prop_assert_eq!(once.summary().unwrap(), twice.summary().unwrap());
    }
}
