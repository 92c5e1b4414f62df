//! Disconnection: only by the retailer's decision, only from suspension, and until it is paid.

use types::{MeterId, Money, Party, Role, TradeId};

use super::fixture::{Desk, Feed, file, key, slot};
use crate::{
    Disconnection, DisconnectionDecision, DocumentReject, Policy, Receipt, Standing, seal,
    store::notices::{ContractNews, News, page_after},
    tlog::{
        facts::Leaf,
        leaf::{DefaultRecord, DisconnectionStep, encode_default},
        rebuild::Rebuilt,
    },
};

const RULES: &str = r#"{"currency":"INR","mechanism":"platform_biller",
    "enforcement":{"due_days":1,"grace_days":0,"fine_after_days":9,"fine_rate":"0.05","repeat_days":30}}"#;

const DEBTOR: MeterId = MeterId::new(7);
const DAY: u32 = 24;

/// Meter 7 of retailer 2 has not paid what was delivered on two days: warned for the first contract,
/// suspended for the second.
fn suspended() -> (Desk, [TradeId; 2]) {
    let mut feed = Feed::new();
    let trades = [0, DAY].map(|number| feed.trade(number, (1, 7), 1_000, 5_000_000));
    let mut desk = Desk::empty().with_rules(Policy::from_json(RULES).unwrap());
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    for number in [0, DAY] {
        desk.taken(&file(1, number, &[(1, 1_000, 0)]));
        desk.taken(&file(1, number, &[(7, 0, 1_000)]));
        desk.pipeline.verify(slot(number).end()).unwrap();
    }
    enforce(&mut desk, 3);
    assert_eq!(levels(&desk), [1, 3]);
    (desk, trades)
}

fn enforce(desk: &mut Desk, day: u32) {
    desk.pipeline.enforce(slot(DAY * day).end()).unwrap();
}

fn standings(desk: &Desk) -> Vec<Standing> {
    desk.check();
    let mut standings = desk.pipeline.standings().unwrap();
    standings.sort_by_key(|one| one.contract);
    standings
}

fn levels(desk: &Desk) -> Vec<u8> {
    standings(desk).iter().map(|one| one.level).collect()
}

fn decision(revision: u32, decision: DisconnectionDecision) -> Disconnection {
    let reason = "three months unpaid".to_owned();
    Disconnection { meter: DEBTOR, revision, decision, reason }
}

fn say_as(desk: &mut Desk, role: Role, number: u16, decided: &Disconnection) -> Receipt {
    let signed = seal(Party { role, number }, &key(role, number), &decided.to_body());
    desk.pipeline.ingest(slot(DAY * 3).end(), &signed).unwrap()
}

fn say(desk: &mut Desk, decided: &Disconnection) -> Result<(), DocumentReject> {
    say_as(desk, Role::Retailer, 2, decided).result
}

fn notice(revision: u32) -> Disconnection {
    decision(revision, DisconnectionDecision::Notice)
}

fn withdrawal(revision: u32) -> Disconnection {
    decision(revision, DisconnectionDecision::Withdrawn)
}

/// What is told of disconnections, with levels and reasons.
fn told(desk: &Desk) -> Vec<(u8, &'static str, Option<String>)> {
    let page = page_after(desk.pipeline.connection(), 0, 10_000).unwrap();
    let news = page.notices.into_iter().filter_map(|notice| match notice.news {
        News::Contract(_, ContractNews::Disconnection(record, reason)) => {
            Some((record.level, record.step.unwrap().name(), reason))
        }
        News::Contract(..) | News::Limit(_) | News::Document(_) | News::Operation(_) => None,
    });
    news.collect()
}

#[test]
fn time_never_disconnects() {
    let (mut desk, _) = suspended();
    for day in [4, 30, 900] {
        enforce(&mut desk, day);
        assert!(levels(&desk).into_iter().all(|level| level <= 3), "day {day}");
    }
    assert_eq!(told(&desk), []);
}

#[test]
fn a_notice_is_of_the_retailer_that_serves_the_meter_and_of_what_it_was_suspended_for() {
    let (mut desk, [_, second]) = suspended();
    for (role, number) in [(Role::Retailer, 1), (Role::Utility, 2)] {
        let refused = say_as(&mut desk, role, number, &notice(1));
        assert_eq!(refused.result, Err(DocumentReject::WrongSigner), "{number}");
    }
    let stranger = Disconnection { meter: MeterId::new(99), ..notice(1) };
    assert_eq!(say(&mut desk, &stranger), Err(DocumentReject::UnknownMeter));
    assert_eq!(levels(&desk), [1, 3]);

    let receipt = say_as(&mut desk, Role::Retailer, 2, &notice(1));
    assert_eq!((receipt.result, receipt.accepted, receipt.repeated), (Ok(()), 1, false));
    assert_eq!(levels(&desk), [1, 4]);
    let standing = standings(&desk).pop().unwrap();
    assert_eq!((standing.contract, standing.suspends()), (second, true));
    let (leaf, step) = *standing.steps.last().unwrap();
    assert_eq!((step.level, step.open, step.fine), (4, 500, 0));
    let Some(DisconnectionStep::Notice { document }) = step.step else { panic!("{step:?}") };
    let decided = desk.pipeline.disconnection(document).unwrap().unwrap();
    assert_eq!((decided.retailer.get(), &decided.said), (2, &notice(1)));
    assert_eq!(leaf + 1, desk.pipeline.ledger_head().0);
    let because = Some("three months unpaid".to_owned());
    assert_eq!(told(&desk), [(4, "notice", because.clone())]);

    // A fine that comes later leaves the notice in force.
    enforce(&mut desk, 12);
    assert_eq!(levels(&desk), [2, 4]);

    assert_eq!(say(&mut desk, &withdrawal(2)), Ok(()));
    assert_eq!(levels(&desk), [2, 3]);
    assert!(desk.pipeline.suspended().unwrap()[&DEBTOR], "it still owes");
    assert_eq!(told(&desk).pop().unwrap(), (3, "withdrawn", because));
    assert_eq!(say(&mut desk, &withdrawal(3)), Err(DocumentReject::NoNotice));
    assert_eq!(say(&mut desk, &notice(3)), Ok(()));
    assert_eq!(levels(&desk.restart()), [2, 4]);
}

#[test]
fn a_decision_is_taken_once_and_a_contradiction_is_evidence() {
    let (mut desk, _) = suspended();
    assert_eq!(say(&mut desk, &notice(2)), Ok(()));
    let size = desk.pipeline.ledger_head().0;
    let again = say_as(&mut desk, Role::Retailer, 2, &notice(2));
    assert_eq!((again.result, again.repeated), (Ok(()), true));
    assert_eq!(desk.pipeline.ledger_head().0, size);
    // The same decision in other bytes is the same; another at the same revision is not.
    let text = String::from_utf8(notice(2).to_body()).unwrap().replace(',', ", ");
    let retailer = Party { role: Role::Retailer, number: 2 };
    let spaced = seal(retailer, &key(Role::Retailer, 2), text.as_bytes());
    let receipt = desk.pipeline.ingest(slot(DAY * 3).end(), &spaced).unwrap();
    assert_eq!((receipt.result, receipt.accepted), (Ok(()), 0));
    assert_eq!(say(&mut desk, &withdrawal(2)), Err(DocumentReject::Equivocation));
    assert_eq!(say(&mut desk, &withdrawal(1)), Err(DocumentReject::StaleRevision));
    assert_eq!(levels(&desk), [1, 4]);
    // A later notice is kept; nothing rises that is there.
    assert_eq!(say(&mut desk, &notice(3)), Ok(()));
    assert_eq!((levels(&desk), told(&desk).len()), (vec![1, 4], 1));
}

#[test]
fn who_is_not_suspended_gets_no_notice() {
    let (mut desk, trades) = suspended();
    let other = Disconnection { meter: MeterId::new(8), ..notice(1) };
    assert_eq!(say(&mut desk, &other), Err(DocumentReject::NotSuspended));
    assert_eq!(say(&mut desk, &withdrawal(1)), Err(DocumentReject::NoNotice));
    for (reference, trade) in (1..).zip(trades) {
        desk.pipeline.pay(reference, trade, Money::from_minor(500)).unwrap();
    }
    assert_eq!(levels(&desk), [1, 3], "what was reached stays");
    assert_eq!(say(&mut desk, &notice(1)), Err(DocumentReject::NotSuspended));
    assert_eq!(levels(&desk), [1, 3]);
}

#[test]
fn a_notice_ends_when_what_it_was_given_for_is_paid() {
    let (mut desk, [_, second]) = suspended();
    assert_eq!(say(&mut desk, &notice(1)), Ok(()));
    desk.pipeline.pay(1, second, Money::from_minor(500)).unwrap();
    assert!(!desk.pipeline.suspended().unwrap()[&DEBTOR], "it may trade at once");
    enforce(&mut desk, 4);
    assert_eq!(levels(&desk), [1, 3]);
    assert_eq!(told(&desk).pop().unwrap(), (3, "paid", None));
    let (_, step) = *standings(&desk).last().unwrap().steps.last().unwrap();
    assert_eq!((step.step, step.open), (Some(DisconnectionStep::Paid), 0));
    let size = desk.pipeline.ledger_head().0;
    enforce(&mut desk, 5);
    assert_eq!(desk.pipeline.ledger_head().0, size, "told once");
    assert_eq!(say(&mut desk, &withdrawal(2)), Err(DocumentReject::NoNotice));
}

/// What an auditor says who reads these leaves.
fn rebuilt(leaves: &[Vec<u8>]) -> Result<(), String> {
    let mut rebuilt = Rebuilt::default();
    (0..).zip(leaves).try_for_each(|(index, bytes)| rebuilt.apply(index, bytes))
}

#[test]
fn a_disconnection_that_nobody_decided_is_found() {
    let (mut desk, _) = suspended();
    let suspended = super::audit::leaves(&desk.pipeline);
    assert_eq!(say(&mut desk, &notice(1)), Ok(()));
    let honest = super::audit::leaves(&desk.pipeline);
    rebuilt(&honest).unwrap();
    let [document, step] = &honest[suspended.len()..] else { panic!("{}", honest.len()) };
    let without = [&suspended[..], std::slice::from_ref(step)].concat();
    assert!(rebuilt(&without).unwrap_err().contains("no retailer's decision"));
    let twice = [&honest[..], std::slice::from_ref(step)].concat();
    assert!(rebuilt(&twice).unwrap_err().contains("level 4 of meter 7 after 4"));
    let Some(Leaf::Default(record)) = Leaf::decode(step) else { panic!("{step:?}") };
    let by_time = encode_default(&DefaultRecord { step: None, ..record });
    let lie = [&suspended[..], &[document.clone(), by_time]].concat();
    assert!(rebuilt(&lie).unwrap_err().contains("level 4 of meter 7 after 3"));
    let paid = DefaultRecord { step: Some(DisconnectionStep::Paid), level: 3, ..record };
    let lie = [&suspended[..], &[encode_default(&paid)]].concat();
    assert!(rebuilt(&lie).unwrap_err().contains("level 3 of meter 7 after 3"));
}
