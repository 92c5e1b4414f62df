//! Contracts of one exchange under different mechanisms, chosen by market and by contract.

use types::{Event, MarketId, MeterId, Money, OrderId, TradeId};

use super::fixture::{Desk, Feed, file, slot};
use crate::{
    BlockOutcome, BlockRequest, MechanismTotal, PaymentOutcome, Policy, Standing, policy::Mechanism,
};

const RULES: &str = r#"{"currency":"INR","mechanism":"clearing_house","block":{"hold_days":7},
    "platform_fee":"0.02",
    "enforcement":{"due_days":3,"grace_days":1,"fine_after_days":4,"fine_rate":"0.05"},
    "mechanisms":[
        {"market":2,"mechanism":"platform_biller"},
        {"origin":"negotiated","seller_platform":1,"mechanism":"seller_biller"},
        {"origin":"negotiated","mechanism":"block"},
        {"buyer_retailer":2,"mechanism":"prepaid"}]}"#;

fn rules() -> Policy {
    Policy::from_json(RULES).unwrap()
}

/// Without rules: what is traded from now on goes through the clearing house.
fn without_rules() -> Policy {
    Policy { mechanisms: Vec::new(), ..rules() }
}

/// Where the last trade of a feed was made, and how.
fn last_is(feed: &mut Feed, market: u16, is_negotiated: bool) {
    let Event::Trade(trade) = &mut feed.items.last_mut().unwrap().event else { panic!() };
    trade.key.market = MarketId::new(market);
    if is_negotiated {
        (trade.buy.order, trade.sell.order) = (OrderId::new(0), OrderId::new(0));
    }
}

/// A second market, and five contracts of one kilowatt-hour: in the book with and without a prepaid
/// buyer, between neighbours of both platforms, and in the second market.
fn captured() -> (Desk, [TradeId; 5]) {
    let mut feed = Feed::new();
    let Event::MarketDefined(mut market) = feed.items[0].event else { panic!() };
    market.market = MarketId::new(2);
    feed.push(Event::MarketDefined(market));
    let trades = [
        (0, (5, 3), 1, false),
        (0, (6, 4), 1, true),
        (0, (1, 7), 1, false),
        (0, (2, 8), 1, true),
        (1, (1, 7), 2, false),
    ]
    .map(|(number, pair, market, is_negotiated)| {
        let trade = feed.trade(number, pair, 1_000, 5_000_000);
        last_is(&mut feed, market, is_negotiated);
        trade
    });
    let mut desk = Desk::empty().with_rules(rules());
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    (desk, trades)
}

fn deliver(desk: &mut Desk) {
    desk.taken(&file(1, 0, &[(1, 1_000, 0), (2, 1_000, 0), (3, 0, 1_000), (4, 0, 1_000)]));
    desk.taken(&file(1, 0, &[(5, 1_000, 0), (6, 1_000, 0), (7, 0, 1_000), (8, 0, 1_000)]));
    desk.taken(&file(1, 1, &[(1, 1_000, 0)]));
    desk.taken(&file(1, 1, &[(7, 0, 1_000)]));
    desk.pipeline.verify(slot(2).end()).unwrap();
}

fn totals(desk: &Desk, [paid_by_bill, open]: [i64; 2]) {
    let of = |mechanism, paid_minor, open_minor| MechanismTotal {
        mechanism,
        contracts: 1,
        settled_wh: 1_000,
        paid_minor,
        open_minor,
    };
    let expected = [
        of(Mechanism::ClearingHouse, 500, 0),
        of(Mechanism::Block, 500, 0),
        of(Mechanism::Prepaid, 500, 0),
        of(Mechanism::SellerBiller, paid_by_bill, open),
        of(Mechanism::PlatformBiller, paid_by_bill, open),
    ];
    assert_eq!(desk.pipeline.by_mechanism().unwrap(), expected);
    desk.check();
}

#[test]
fn s02_a_contract_keeps_the_mechanism_that_it_was_captured_with() {
    let (mut desk, [held, blocked, prepaid, by_seller, by_platform]) = captured();
    for meter in [3, 7] {
        let deposit = Money::from_minor(2_000);
        desk.pipeline.deposit(meter.into(), MeterId::new(meter), deposit).unwrap();
    }
    let (amount, asked) = (Money::from_minor(500), slot(0).start());
    let request = |contract| BlockRequest { contract, amount, from_deposits: false, asked };
    for other in [held, prepaid, by_seller, by_platform] {
        let outcome = desk.pipeline.block(&request(other)).unwrap();
        assert_eq!(outcome, BlockOutcome::NotBlocking, "{other}");
    }
    assert_eq!(desk.pipeline.block(&request(blocked)).unwrap(), BlockOutcome::Blocked);
    deliver(&mut desk);
    totals(&desk, [0, 500]);

    // Free money is no payment of a bill, and other rules are for other contracts.
    let mut desk = desk.with_rules(without_rules());
    for (reference, meter) in [(90, 7), (91, 8)] {
        let deposit = Money::from_minor(1_000);
        desk.pipeline.deposit(reference, MeterId::new(meter), deposit).unwrap();
    }
    totals(&desk, [0, 500]);
    for (reference, contract) in [(1, by_seller), (2, by_platform)] {
        let paid = desk.pipeline.pay(reference, contract, Money::from_minor(500)).unwrap();
        assert_eq!(paid, PaymentOutcome::Paid);
    }
    totals(&desk, [500, 0]);
    let explained = desk.pipeline.explain(by_platform).unwrap().unwrap();
    assert_eq!(explained.mechanism, Mechanism::PlatformBiller);
    // 2 % of 5.00 of four contracts; the seller that sends its own bill pays none.
    let fees = desk.balances();
    let fees: Vec<_> = fees.lines().filter(|line| line.starts_with("platform/")).collect();
    assert_eq!(fees, ["platform/1:earned 20", "platform/2:earned 20"]);
}

#[test]
fn s40_where_nobody_blocked_anything_only_contracts_of_blocks_are_cancelled() {
    let (mut desk, [_, blocked, ..]) = captured();
    desk.deposit_all(2_000);
    deliver(&mut desk);
    let state = |contract| desk.pipeline.standing(contract).unwrap().unwrap().0;
    assert_eq!(state(blocked), crate::State::CancelledUnfunded);
    let counts = desk.pipeline.contracts_by_state().unwrap();
    assert_eq!(counts[&crate::State::Complete], (4, 4_000));
    desk.check();
}

#[test]
fn what_is_worth_nothing_needs_no_block() {
    let names = ["of_nothing_is_not_needed", "of_nothing_cannot_be_declined"];
    for name in names.into_iter().chain(["of_something_is_needed_beside_one_of_nothing"]) {
        super::cases::comes_out(&format!("block_{name}"));
    }
}

#[test]
fn standings_say_who_owes_what_comes_next_and_which_leaves_prove_it() {
    let (mut desk, [.., by_seller, by_platform]) = captured();
    desk.deposit_all(2_000);
    deliver(&mut desk);
    let since = slot(2).end().ns() / 60_000_000_000;
    let day = 24 * 60;
    let standing = |desk: &Desk, contract| -> Standing {
        let all = desk.pipeline.standings().unwrap();
        assert_eq!(all.len(), 2, "{all:?}");
        all.into_iter().find(|one| one.contract == contract).unwrap()
    };
    let before = standing(&desk, by_seller);
    assert_eq!((before.debtor, before.level), (MeterId::new(8), 0));
    assert_eq!((before.open, before.next), (500, Some((1, since + 4 * day))));

    let at = |days: i64| slot(2).end().plus_ns(days * day * 60_000_000_000);
    desk.pipeline.enforce(at(4)).unwrap();
    let warned = standing(&desk, by_seller);
    assert_eq!((warned.level, warned.next), (1, Some((2, since + 8 * day))));
    desk.pipeline.enforce(at(8)).unwrap();
    let fined = standing(&desk, by_seller);
    assert_eq!((fined.level, fined.open, fined.fines, fined.next), (2, 500, 25, None));
    let levels: Vec<_> = fined.steps.iter().map(|(_, step)| (step.level, step.fine)).collect();
    assert_eq!(levels, [(1, 0), (2, 25)]);
    let (leaves, _) = desk.pipeline.ledger_head();
    assert!(fined.steps.iter().all(|(leaf, _)| *leaf < leaves));

    desk.pipeline.recover(1, MeterId::new(8), Money::from_minor(525)).unwrap();
    let paid = standing(&desk, by_seller);
    assert_eq!((paid.level, paid.since, paid.open, paid.fines), (2, None, 0, 0));
    assert!(standing(&desk, by_platform).since.is_some());
    desk.check();
}

#[test]
fn rules_are_checked_with_what_they_need() {
    let refused = |rest: &str| {
        let text = format!(r#"{{"currency":"INR","mechanism":"prepaid",{rest}}}"#);
        Policy::from_json(&text).unwrap_err().to_string()
    };
    assert!(refused(r#""mechanisms":[{"market":1,"mechanism":"block"}]"#).contains("`block`"));
    assert!(refused(r#""rail":{"call_lead_days":1}"#).contains("clearing house"));
    assert!(
        refused(r#""mechanisms":[{"origin":"heaven","mechanism":"prepaid"}]"#).contains("heaven")
    );
    let many = vec![r#"{"mechanism":"prepaid"}"#; 65].join(",");
    assert!(refused(&format!(r#""mechanisms":[{many}]"#)).contains("`mechanisms`"));
    let calls = r#"{"currency":"INR","mechanism":"prepaid","rail":{"call_lead_days":1},
        "mechanisms":[{"market":1,"mechanism":"clearing_house"}]}"#;
    assert!(Policy::from_json(calls).is_ok());
}

#[test]
fn a_rehearsal_has_one_mechanism() {
    let case = format!(r#"{{"name":"two","policy":{RULES},"contracts":[],"events":[]}}"#);
    let refused = crate::rehearse(&case).unwrap_err().to_string();
    assert!(refused.contains("policy.mechanisms"), "{refused}");
}
