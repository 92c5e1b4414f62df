//! Random histories: after every step the pipeline agrees with the model about every balance, every
//! outcome, and every leg.

use std::{collections::BTreeMap, env};

use types::{MeterId, Money, Timestamp, TradeId};

use super::{
    fixture::{Feed, METERS, curtailment, file, later, retailer_of, settings, slot},
    model::{Model, Rules, Way},
};
use crate::{
    BlockRequest, Pipeline, Policy, Settings,
    policy::{BlockRule, Enforcement, Fraction, Mechanism, Method, UnderConsumption},
};

/// Steps of a history.
const STEPS: u32 = 40;

/// How many histories there are, if nobody says otherwise; every fifth is of the same mechanism.
const HISTORIES: u64 = 60;

/// SplitMix64: a number says everything about a history.
struct Draw(u64);

impl Draw {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    fn small(&mut self, below: u32) -> u32 {
        u32::try_from(self.next(below.into())).unwrap()
    }

    fn between(&mut self, from: i64, below: i64) -> i64 {
        from + i64::try_from(self.next(u64::try_from(below - from).unwrap())).unwrap()
    }
}

fn at(day: i64) -> Timestamp {
    slot(1).end().plus_ns(day * 86_400_000_000_000)
}

fn minute(at: Timestamp) -> i64 {
    at.ns().div_euclid(60_000_000_000)
}

/// The same rules, for the pipeline and for the model.
fn rules(way: Way, draw: &mut Draw) -> (Settings, Rules) {
    let part = |ppm| Fraction::from_ppm(ppm).unwrap();
    let (is_fifo, takes_or_pays) = (draw.next(2) == 0, draw.next(2) == 0);
    let policy = Policy {
        mechanism: match way {
            Way::House => Mechanism::ClearingHouse,
            Way::Block => Mechanism::Block,
            Way::Prepaid => Mechanism::Prepaid,
            Way::SellerBills => Mechanism::SellerBiller,
            Way::PlatformBills => Mechanism::PlatformBiller,
        },
        allocation: if is_fifo { Method::Fifo } else { Method::ProRata },
        under_consumption: if takes_or_pays {
            UnderConsumption::TakeOrPay
        } else {
            UnderConsumption::Actuals
        },
        platform_fee: part(15_000),
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
    let rules = Rules {
        way,
        is_fifo,
        takes_or_pays,
        tolerance: 100_000,
        penalty: 200_000,
        fee: 15_000,
        hold_days: 7,
        due_days: 3 + 1,
        fine_days: 4,
        fine: 50_000,
        final_days: 30,
    };
    (Settings { policy, ..settings() }, rules)
}

struct Both {
    pipeline: Pipeline,
    model: Model,
    feed: Feed,
    /// Days since the last slot ended.
    day: i64,
}

impl Both {
    /// The same step for both.
    fn step(&mut self, number: u32, draw: &mut Draw) -> String {
        let Self { pipeline, model, feed, .. } = self;
        let (reference, meter) = (u64::from(number), 1 + draw.small(METERS));
        let hour = draw.small(2);
        match draw.next(24) {
            0..5 => {
                let (buyer, wh) = (1 + draw.small(METERS), 1 + draw.next(9_000));
                let micros = draw.between(-2_000_000, 9_000_000);
                feed.trade(hour, (meter, buyer), wh, micros);
                pipeline.capture(feed.end(), &feed.items).unwrap();
                let id = model.trade(hour, meter, buyer, wh, micros);
                format!("{id}: {meter} sells {buyer} {wh} Wh at {micros} in hour {hour}")
            }
            5..8 => {
                let minor = draw.between(1, 6_000);
                pipeline.deposit(reference, MeterId::new(meter), Money::from_minor(minor)).unwrap();
                model.deposit(meter, minor);
                format!("{meter} deposits {minor}")
            }
            8..14 => {
                let (injected, withdrawn) = (draw.next(12_000), draw.next(12_000));
                let document = file(number, hour, &[(meter, injected, withdrawn)]);
                assert_eq!(pipeline.ingest(later(), &document).unwrap().result, Ok(()));
                model.read(hour, meter, injected, withdrawn);
                format!("{meter} reads {injected} and {withdrawn} Wh in hour {hour}")
            }
            14 => {
                let cap = draw.next(9_000);
                let document = curtailment(number, hour, meter, cap);
                assert_eq!(pipeline.ingest(later(), &document).unwrap().result, Ok(()));
                model.curtail(hour, meter, cap);
                format!("{meter} may move {cap} Wh in hour {hour}")
            }
            15..18 => {
                let (contract, minor) = (1 + draw.next(12), draw.between(0, 6_000));
                let (own, day) = (draw.next(3) == 0, draw.between(-9, 0));
                let request = BlockRequest {
                    contract: TradeId::new(contract),
                    amount: Money::from_minor(minor),
                    from_deposits: own,
                    asked: at(day),
                };
                pipeline.block(&request).unwrap();
                model.block(contract, minor, own, minute(at(day)));
                format!("{minor} are blocked for {contract} on day {day}, of deposits: {own}")
            }
            18..20 => {
                let contract = 1 + draw.next(12);
                let minor = model.bill(contract) + i64::from(draw.next(6) == 0);
                pipeline.pay(reference, TradeId::new(contract), Money::from_minor(minor)).unwrap();
                model.pay(contract, minor);
                format!("{minor} are paid for {contract}")
            }
            20 => {
                let minor = draw.between(1, 3_000);
                pipeline.recover(reference, MeterId::new(meter), Money::from_minor(minor)).unwrap();
                model.recover(meter, minor);
                format!("{minor} are recovered from {meter}")
            }
            _ => {
                // Time goes on, at times beyond a block's life or finality.
                let far = i64::from(draw.next(5) == 0) * 20;
                self.day += draw.between(0, 5) + far;
                self.verify(self.day);
                format!("verified on day {}", self.day)
            }
        }
    }

    fn verify(&mut self, day: i64) {
        self.pipeline.verify(at(day)).unwrap();
        self.pipeline.enforce(at(day)).unwrap();
        self.model.verify(minute(at(day)));
        self.model.enforce(minute(at(day)));
    }

    fn agree(&self, history: &str) {
        let balances = self.pipeline.balances().unwrap().into_iter();
        let balances: BTreeMap<String, i64> = balances
            .filter(|(_, minor)| *minor != 0)
            .map(|(account, minor)| (account.to_string(), minor))
            .collect();
        let mut open = 0;
        for (&id, expected) in &self.model.contracts {
            let contract = TradeId::new(id);
            let found = self.pipeline.explain(contract).unwrap().unwrap();
            assert_eq!(found.state.name(), expected.state(), "{id}: {history}");
            let facts = found.outcome.map(|record| {
                let (outcome, due) = (record.outcome, record.due);
                super::model::Facts {
                    state: outcome.state.name(),
                    allocated: [record.buyer_allocated.wh(), record.seller_allocated.wh()],
                    settled: outcome.settled.wh(),
                    shortfall: outcome.shortfall.wh(),
                    excused: outcome.excused.wh(),
                    take_or_pay: outcome.take_or_pay.wh(),
                    is_breach: outcome.breach,
                    excess: [record.excess.withdrawn.wh(), record.excess.injected.wh()],
                    due: [due.energy, due.take_or_pay, due.penalty].map(Money::minor),
                }
            });
            assert_eq!(facts, expected.facts, "{id}: {history}");
            let mut legs = BTreeMap::new();
            for leg in found.legs {
                let (mut from, mut to) = (leg.debit.to_string(), leg.credit.to_string());
                let minor = if leg.is_reversal { -leg.minor } else { leg.minor };
                if leg.is_reversal {
                    core::mem::swap(&mut from, &mut to);
                }
                *legs.entry((leg.leg.to_owned(), from, to)).or_insert(0) += minor;
            }
            legs.retain(|_, minor| *minor != 0);
            assert_eq!(legs, expected.legs(), "{id}: {history}");
            open += self.pipeline.debts_of(contract).unwrap().iter().map(|d| d.open).sum::<i64>();
        }
        assert_eq!(balances, self.model.balances(), "{history}");
        assert_eq!(open, self.model.open(), "{history}");
        assert_eq!(balances.values().sum::<i64>(), 0, "{history}");
    }
}

fn run(seed: u64) {
    let way = [Way::House, Way::Block, Way::Prepaid, Way::SellerBills, Way::PlatformBills];
    let way = way[usize::try_from(seed % 5).unwrap()];
    let mut draw = Draw(seed);
    let (settings, rules) = rules(way, &mut draw);
    let mut pipeline = Pipeline::in_memory(settings).unwrap();
    let feed = Feed::new();
    pipeline.capture(feed.end(), &feed.items).unwrap();
    let model = Model::new(rules, retailer_of, |number| minute(slot(number).end()));
    let mut both = Both { pipeline, model, feed, day: 0 };
    let mut history = format!("seed {seed}, {way:?}");
    for number in 1..=STEPS {
        history += "\n";
        history += &both.step(number, &mut draw);
        both.agree(&history);
    }
    both.verify(both.day + 1);
    both.agree(&history);
}

#[test]
fn the_pipeline_agrees_with_the_model() {
    let count = env::var("GRIDCROSS_SETTLEMENT_HISTORIES").ok();
    let count = count.and_then(|text| text.parse().ok()).unwrap_or(HISTORIES);
    let first: u64 = env::var("GRIDCROSS_SETTLEMENT_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20_260_725);
    println!("{count} histories of {STEPS} steps from seed {first}");
    for seed in first..first + count {
        run(seed);
    }
}
