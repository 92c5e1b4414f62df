//! Free money that a meter's platform asks back.

use types::{Code, Currency, MeterId, Money, Party, PartyRegistration, PublicKey, Role};

use super::{
    fixture::{Feed, key, later, settings, slot},
    rails,
};
use crate::{
    DocumentReject, Pace, PayOutRequest, Pipeline, Policy, Receipt, Settings,
    books::accounts::{Account, AccountKind},
    policy::{Mechanism, RailRule},
    rails::{Event, EventAnswer, News, Outcome},
    seal,
};

const PACE: Pace = Pace { retry_min_s: 1, retry_max_s: 1, query_s: 1 };

fn request(number: u16, minor: i64) -> PayOutRequest {
    let amount = Money::from_minor(minor);
    PayOutRequest { meter: MeterId::new(7), number, amount, currency: rails::rupee() }
}

fn ask(pipeline: &mut Pipeline, platform: u16, request: PayOutRequest) -> Receipt {
    let signer = Party { role: Role::Platform, number: platform };
    let sealed = seal(signer, &key(Role::Platform, platform), &request.to_body());
    pipeline.ingest(slot(0).start(), &sealed).unwrap()
}

/// Meter 7, with 50.00, has bought 5 kWh for 25.00 in the first hour.
fn pipeline(policy: Policy) -> (Pipeline, Feed) {
    let mut feed = Feed::new();
    for number in [1, 2] {
        let party = Party { role: Role::Platform, number };
        let key = PublicKey::new(key(Role::Platform, number).verifying_key().to_bytes());
        feed.push(types::Event::PartyRegistered(PartyRegistration {
            party,
            code: Code::new("platform").unwrap(),
            key,
        }));
    }
    feed.trade(0, (1, 7), 5_000, 5_000_000);
    let mut pipeline = Pipeline::in_memory(Settings { policy, ..settings() }).unwrap();
    pipeline.capture(feed.end(), &feed.items).unwrap();
    pipeline.deposit(1, MeterId::new(7), Money::from_minor(5_000)).unwrap();
    (pipeline, feed)
}

fn policy(mechanism: Mechanism) -> Policy {
    let rail = Some(RailRule::default());
    Policy { rail, enforcement: None, provisional: None, ..rails::policy(mechanism) }
}

fn balance(pipeline: &Pipeline, account: Account) -> i64 {
    let all = pipeline.balances().unwrap();
    all.into_iter().find(|(of, _)| *of == account).map_or(0, |(_, minor)| minor)
}

fn free(pipeline: &Pipeline) -> i64 {
    balance(pipeline, Account::of_meter(MeterId::new(7), AccountKind::Available))
}

/// Tells the pipeline how everything ended that it asks the rail for.
fn tell(pipeline: &mut Pipeline, outcome: Outcome) -> usize {
    let now = slot(0).start();
    let errands = pipeline.rail_errands(now, 9, PACE).unwrap();
    for errand in &errands {
        let amount = Money::from_minor(errand.submission.amount);
        let news = News::Of { instruction: errand.id, outcome, amount };
        let event = Event { id: errand.id.to_string(), at: now, news };
        let body = event.to_body(rails::rupee());
        for _ in 0..3 {
            assert_eq!(pipeline.rail_event(&event, &body, now).unwrap(), EventAnswer::Taken);
        }
    }
    errands.len()
}

#[test]
fn s46_free_money_leaves_once_and_never_what_is_held() {
    let (mut pipeline, _) = pipeline(policy(Mechanism::ClearingHouse));
    assert_eq!(free(&pipeline), 2_500);
    let too_much = ask(&mut pipeline, 2, request(1, 2_501));
    assert_eq!(too_much.result, Err(DocumentReject::InsufficientFunds));
    let taken = ask(&mut pipeline, 2, request(1, 2_000));
    assert_eq!((taken.result, taken.accepted, taken.repeated), (Ok(()), 1, false));
    assert_eq!((free(&pipeline), balance(&pipeline, Account::LEAVING)), (500, 2_000));
    // The same again, in the same bytes and in others.
    let again = ask(&mut pipeline, 2, request(1, 2_000));
    assert_eq!((again.result, again.repeated), (Ok(()), true));
    let operator = Party { role: Role::Operator, number: 1 };
    let unknown = seal(operator, &key(Role::Operator, 1), &request(1, 2_000).to_body());
    let unknown = pipeline.ingest(later(), &unknown).unwrap();
    assert_eq!(unknown.result, Err(DocumentReject::UnknownSigner));
    // The same number for something else is evidence, and moves nothing.
    let other = ask(&mut pipeline, 2, request(1, 1));
    assert_eq!(other.result, Err(DocumentReject::Equivocation));
    // It can be asked for no more than is left, while the first is on its way.
    let more = ask(&mut pipeline, 2, request(2, 501));
    assert_eq!(more.result, Err(DocumentReject::InsufficientFunds));
    assert_eq!(free(&pipeline), 500);
    assert_eq!(tell(&mut pipeline, Outcome::Settled { until: None }), 1);
    assert_eq!((free(&pipeline), balance(&pipeline, Account::LEAVING)), (500, 0));
    assert_eq!(balance(&pipeline, Account::EXTERNAL), -3_000);
    assert!(pipeline.audit().unwrap().is_clean());
    super::audit::check_leaves(&pipeline);
}

#[test]
fn declined_money_is_back_and_covers_what_came_meanwhile() {
    let (mut pipeline, mut feed) = pipeline(policy(Mechanism::ClearingHouse));
    assert_eq!(ask(&mut pipeline, 2, request(1, 2_500)).result, Ok(()));
    let trade = feed.trade(1, (1, 7), 2_000, 5_000_000);
    pipeline.capture(feed.end(), &feed.items).unwrap();
    assert_eq!(free(&pipeline), 0);
    assert_eq!(tell(&mut pipeline, Outcome::Declined), 1);
    assert_eq!((free(&pipeline), balance(&pipeline, Account::LEAVING)), (1_500, 0));
    let held = pipeline.explain(trade).unwrap().unwrap();
    assert_eq!(
        held.legs.iter().map(|leg| (leg.leg, leg.minor)).collect::<Vec<_>>(),
        [("hold", 1_000)]
    );
    // What was declined can be asked for again, under a number of its own.
    assert_eq!(ask(&mut pipeline, 2, request(1, 2_500)).result, Ok(()));
    assert_eq!(free(&pipeline), 1_500, "the first request is answered");
    assert_eq!(ask(&mut pipeline, 2, request(2, 1_500)).result, Ok(()));
    assert_eq!(tell(&mut pipeline, Outcome::Settled { until: None }), 1);
    assert_eq!(balance(&pipeline, Account::EXTERNAL), -3_500);
    assert!(pipeline.audit().unwrap().is_clean());
    super::audit::check_leaves(&pipeline);
}

#[test]
fn who_may_ask_for_what_is_said_by_code() {
    let (mut prepaid, _) = pipeline(policy(Mechanism::Prepaid));
    // 25.00 will be debited on delivery.
    let refused = |pipeline: &mut Pipeline, platform, request| {
        ask(pipeline, platform, request).result.unwrap_err()
    };
    let much = refused(&mut prepaid, 2, request(1, 2_501));
    assert_eq!(much, DocumentReject::InsufficientFunds);
    assert_eq!(refused(&mut prepaid, 1, request(1, 1)), DocumentReject::WrongSigner);
    let other = PayOutRequest { meter: MeterId::new(99), ..request(1, 1) };
    assert_eq!(refused(&mut prepaid, 2, other), DocumentReject::UnknownMeter);
    assert_eq!(refused(&mut prepaid, 2, request(0, 1)), DocumentReject::Malformed);
    assert_eq!(refused(&mut prepaid, 2, request(1, 0)), DocumentReject::NegativeOrMissing);
    let euro = PayOutRequest { currency: Currency::from_iso("EUR").unwrap(), ..request(1, 1) };
    assert_eq!(refused(&mut prepaid, 2, euro), DocumentReject::NoRail);
    assert_eq!(ask(&mut prepaid, 2, request(1, 2_500)).result, Ok(()));
    let rule = Policy { rail: None, ..policy(Mechanism::Prepaid) };
    let (mut without, _) = pipeline(rule);
    assert_eq!(refused(&mut without, 2, request(1, 1)), DocumentReject::NoRail);
}
