//! The worked examples of `docs/settlement.md`, recomputed.

use types::{MeterId, Money};

use super::{
    fixture::{Desk, Feed, file, later, settings, slot},
    rails,
};
use crate::{
    BlockRequest, Pace, Pipeline, Policy, Settings,
    books::accounts::Account,
    mechanism::LegKind,
    policy::{BlockRule, Enforcement, Fraction, Mechanism},
    rails::{Event, EventAnswer, News, Outcome},
};

const DOCUMENT: &str = include_str!("../../../docs/settlement.md");

fn transfers(pipeline: &Pipeline) -> String {
    let mut select = pipeline
        .connection()
        .prepare_cached(
            "SELECT run, leg, reversal, debit, credit, amount FROM transfer_details ORDER BY id",
        )
        .unwrap();
    let mut rows = select.query([]).unwrap();
    let mut text = String::new();
    while let Some(row) = rows.next().unwrap() {
        let run = row.get::<Option<u16>>(0).unwrap().map_or("-".to_owned(), |r| r.to_string());
        let leg = LegKind::from_code(row.get(1).unwrap()).unwrap().name();
        let reversal = if row.get::<u8>(2).unwrap() == 1 { "reversal of " } else { "" };
        let account = |column| Account::from_number(row.get(column).unwrap()).unwrap().to_string();
        let (debit, credit) = (account(3), account(4));
        let amount: i64 = row.get(5).unwrap();
        text += &format!("{run} | {reversal}{leg} | {debit} | {credit} | {amount}\n");
    }
    text
}

/// The text between the lines `<!-- name -->` and `<!-- end -->`, without the table's frame.
fn documented(name: &str) -> String {
    let (_, rest) = DOCUMENT.split_once(&format!("<!-- {name} -->\n")).unwrap();
    let (table, _) = rest.split_once("<!-- end -->").unwrap();
    let lines = table.lines().filter(|line| line.starts_with('|')).skip(2);
    lines.map(|line| line.trim_matches(['|', ' ']).to_owned() + "\n").collect()
}

#[test]
fn the_worked_example_is_what_happens() {
    let mut feed = Feed::new();
    let trade = feed.trade(0, (1, 7), 5_000, 5_000_000);
    let mut desk = Desk::new();
    desk.pipeline.deposit(1, MeterId::new(7), Money::from_minor(3_000)).unwrap();
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    desk.taken(&file(1, 0, &[(1, 4_400, 0)]));
    desk.taken(&file(1, 0, &[(7, 0, 5_200)]));
    desk.pipeline.verify(later()).unwrap();
    let record = desk.pipeline.outcome_of(trade).unwrap().unwrap();
    assert_eq!(record.outcome.shortfall.wh(), 600);
    assert_eq!(documented("first run"), transfers(&desk.pipeline));
    desk.taken(&file(2, 0, &[(1, 4_700, 0)]));
    desk.pipeline.verify(later()).unwrap();
    assert_eq!(documented("both runs"), transfers(&desk.pipeline));
    let balances: String = desk
        .pipeline
        .balances()
        .unwrap()
        .into_iter()
        .map(|(account, minor)| format!("{account} | {minor}\n"))
        .collect();
    assert_eq!(documented("balances"), balances);
}

/// The same delivery under another mechanism: 4.4 of 5 kWh.
fn delivered(mechanism: Mechanism) -> Pipeline {
    let policy = Policy {
        mechanism,
        platform_fee: Fraction::from_ppm(15_000).unwrap(),
        block: Some(BlockRule { hold_days: 7, lead_days: None }),
        ..settings().policy
    };
    let mut pipeline = Pipeline::in_memory(Settings { policy, ..settings() }).unwrap();
    let mut feed = Feed::new();
    let contract = feed.trade(0, (1, 7), 5_000, 5_000_000);
    pipeline.capture(feed.end(), &feed.items).unwrap();
    let amount = Money::from_minor(2_500);
    let asked = slot(0).start();
    pipeline.block(&BlockRequest { contract, amount, from_deposits: false, asked }).unwrap();
    if mechanism == Mechanism::Prepaid {
        pipeline.deposit(1, MeterId::new(7), Money::from_minor(3_000)).unwrap();
    }
    for document in [file(1, 0, &[(1, 4_400, 0)]), file(1, 0, &[(7, 0, 5_200)])] {
        assert_eq!(pipeline.ingest(later(), &document).unwrap().result, Ok(()));
    }
    pipeline.verify(slot(0).end()).unwrap();
    pipeline.pay(1, contract, Money::from_minor(2_200)).unwrap();
    assert!(pipeline.audit().unwrap().is_clean());
    super::audit::check_leaves(&pipeline);
    pipeline
}

#[test]
fn the_worked_example_of_a_rail_is_what_happens() {
    let policy = Policy {
        provisional: None,
        block: Some(BlockRule { hold_days: 7, lead_days: None }),
        enforcement: None,
        ..rails::policy(Mechanism::Block)
    };
    let mut pipeline = Pipeline::in_memory(Settings { policy, ..settings() }).unwrap();
    let mut feed = Feed::new();
    let contract = feed.trade(0, (1, 7), 5_000, 5_000_000);
    pipeline.capture(feed.end(), &feed.items).unwrap();
    let pace = Pace { retry_min_s: 1, retry_max_s: 1, query_s: 1 };
    let now = slot(0).end();
    let tell_all = |pipeline: &mut Pipeline, now| {
        for errand in pipeline.rail_errands(now, 9, pace).unwrap() {
            let until = Some(slot(90).end());
            let (instruction, outcome) = (errand.id, Outcome::Settled { until });
            let amount = Money::from_minor(errand.submission.amount);
            let news = News::Of { instruction, outcome, amount };
            let event = Event { id: errand.id.to_string(), at: now, news };
            let body = event.to_body(rails::rupee());
            assert_eq!(pipeline.rail_event(&event, &body, now).unwrap(), EventAnswer::Taken);
        }
    };
    tell_all(&mut pipeline, slot(0).start());
    for document in [file(1, 0, &[(1, 4_400, 0)]), file(1, 0, &[(7, 0, 5_200)])] {
        assert_eq!(pipeline.ingest(now, &document).unwrap().result, Ok(()));
    }
    pipeline.verify(now).unwrap();
    tell_all(&mut pipeline, now);
    let later = slot(24 * 3).end();
    assert_eq!(pipeline.pay_out(later).unwrap().minor, 2_200);
    tell_all(&mut pipeline, later);
    assert_eq!(documented("rails"), transfers(&pipeline));
    assert!(pipeline.audit().unwrap().is_clean());
    // Each leg has its rule, and what it was applied to.
    let found = pipeline.explain(contract).unwrap().unwrap();
    assert!(found.legs.iter().all(|leg| !leg.rule.is_empty()));
    let energy = found.legs.iter().find(|leg| leg.leg == "energy").unwrap();
    let inputs = "4400 Wh settled at 5 per kWh = 22.00; seller's share 4400 Wh, buyer's 5000 Wh";
    assert_eq!(energy.inputs, inputs);
}

#[test]
fn the_worked_example_of_enforcement_is_what_happens() {
    let rule = Enforcement {
        due_days: 3,
        grace_days: 1,
        fine_after_days: Some(4),
        fine_rate: Fraction::from_ppm(50_000).unwrap(),
        repeat_days: None,
    };
    let policy = Policy {
        mechanism: Mechanism::PlatformBiller,
        platform_fee: Fraction::from_ppm(15_000).unwrap(),
        shortfall_penalty: None,
        enforcement: Some(rule),
        ..settings().policy
    };
    let mut pipeline = Pipeline::in_memory(Settings { policy, ..settings() }).unwrap();
    let mut feed = Feed::new();
    let contract = feed.trade(0, (1, 7), 5_000, 5_000_000);
    pipeline.capture(feed.end(), &feed.items).unwrap();
    for document in [file(1, 0, &[(1, 4_400, 0)]), file(1, 0, &[(7, 0, 5_200)])] {
        assert_eq!(pipeline.ingest(later(), &document).unwrap().result, Ok(()));
    }
    pipeline.verify(slot(0).end()).unwrap();
    for (day, level) in [(3, 0), (4, 1), (7, 1), (8, 2), (30, 2)] {
        pipeline.enforce(slot(24 * day).end()).unwrap();
        assert_eq!(pipeline.enforcement_level(contract).unwrap(), level, "day {day}");
    }
    let recovered = Money::from_minor(2_250);
    pipeline.recover(1, MeterId::new(7), recovered).unwrap();
    assert_eq!(documented("enforcement"), transfers(&pipeline));
    let open: i64 = pipeline.debts_of(contract).unwrap().iter().map(|debt| debt.open).sum();
    assert_eq!(open, 60);
    assert!(pipeline.audit().unwrap().is_clean());
}

#[test]
fn the_worked_example_of_each_other_mechanism_is_what_happens() {
    let block = transfers(&delivered(Mechanism::Block));
    assert_eq!(documented("block"), block);
    let prepaid = transfers(&delivered(Mechanism::Prepaid));
    assert_eq!(documented("prepaid"), prepaid);
    let seller = transfers(&delivered(Mechanism::SellerBiller));
    assert_eq!(documented("seller biller"), seller);
    let platform = transfers(&delivered(Mechanism::PlatformBiller));
    assert_eq!(documented("platform biller"), platform);
}
