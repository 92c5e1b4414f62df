//! Monthly statements of retailers.

use ed25519_dalek::SigningKey;
use types::{MeterId, Money, Price, RetailerId, Timestamp};

use super::fixture::{Desk, Feed, METERS, file, later, policy, settings, slot};
use crate::{
    Month, Policy,
    policy::{Charge, ChargeRule, Mechanism},
    statement::{self, StatementFault, Sums},
};

/// Prepaid, with two charges.
fn rules() -> Policy {
    let charge = |name: &str, rule| Charge { name: name.to_owned(), rule };
    let price = Price::from_micros;
    Policy {
        mechanism: Mechanism::Prepaid,
        charges: vec![
            charge("wheeling", ChargeRule::SplitEqual(price(420_000))),
            charge(
                "transaction",
                ChargeRule::PerSide { buyer: price(10_000), seller: price(20_000) },
            ),
        ],
        ..policy()
    }
}

fn month() -> Month {
    Month::new(&slot(0).start().to_string()[..7], 0).unwrap()
}

fn text_of(desk: &Desk, retailer: u16, revision: Option<u32>) -> Option<String> {
    let found = desk.pipeline.statement(RetailerId::new(retailer), &month(), revision).unwrap();
    found.map(|found| desk.pipeline.seal_statement(&found))
}

fn ledger_key() -> SigningKey {
    SigningKey::from_bytes(&settings().ledger_key_seed)
}

/// Meter 1 of retailer 1 sold to 7 of retailer 2 (5 kWh, 4.4 delivered), to 2 of its own retailer (1 kWh,
/// in the next hour), and to 8 something that is not read yet.
fn a_month() -> Desk {
    let mut feed = Feed::new();
    feed.trade(0, (1, 7), 5_000, 5_000_000);
    feed.trade(1, (1, 2), 1_000, 5_000_000);
    feed.trade(2, (1, 8), 700, 5_000_000);
    feed.trade(24 * 40, (1, 8), 700, 5_000_000);
    let mut desk = Desk::empty().with_rules(rules());
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    desk.deposit_all(5_000);
    desk.taken(&file(1, 0, &[(1, 4_400, 0)]));
    desk.taken(&file(1, 0, &[(7, 0, 5_200)]));
    desk.taken(&file(1, 1, &[(1, 1_300, 0), (2, 0, 1_000)]));
    desk.pipeline.verify(later()).unwrap();
    desk.pipeline.checkpoint().unwrap();
    desk
}

#[test]
fn s58_a_statement_says_what_a_retailer_bills_and_is_owed() {
    let desk = a_month();
    let of = |retailer| {
        let found = desk.pipeline.statement(RetailerId::new(retailer), &month(), None).unwrap();
        let found = found.unwrap();
        assert_eq!(found.head.revision, 1);
        found
    };
    let (first, second) = (of(1), of(2));
    let lines: Vec<_> = first
        .lines
        .iter()
        .map(|l| (l.contract, l.side.as_str(), l.state.as_str(), l.settled_wh, l.pending_wh))
        .collect();
    assert_eq!(
        lines,
        [
            (1, "sell", "PARTIAL", 4_400, 0),
            (2, "buy", "COMPLETE", 1_000, 0),
            (2, "sell", "COMPLETE", 1_000, 0),
            (3, "sell", "AWAITING_METER_DATA", 0, 700),
        ]
    );
    // 4.4 × 0.42 = 1.848, 1.85 in paise: 0.92 and 0.93. 4.4 × 0.01 = 0.044 and 4.4 × 0.02 = 0.088.
    let charges: Vec<_> = first.lines[0]
        .charges
        .iter()
        .map(|part| (part.name.as_str(), part.own_minor, part.other_minor))
        .collect();
    assert_eq!(charges, [("wheeling", 93, 92), ("transaction", 9, 4)]);
    let Sums { meters, charges, retailers, total } = first.sums();
    assert_eq!(total.contracts, 4);
    assert_eq!((total.bought_wh, total.sold_wh, total.pending_wh), (1_000, 5_400, 700));
    // Retailer 2 passed 22.00 on for its meter 7.
    assert_eq!((total.from_minor, total.to_minor, total.net_minor), (2_200, 0, 2_200));
    assert_eq!(second.sums().total.net_minor, -2_200);
    assert_eq!(retailers.len(), 2, "its own and the other");
    assert_eq!(retailers[1].net_minor, 2_200);
    assert_eq!(meters.iter().map(|meter| meter.meter).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(meters[0].excess_injected_wh, 300);
    // Of the second contract 0.42 is shared evenly, 0.01 is the buyer's and 0.02 the seller's.
    let wheeling = charges.iter().find(|sum| sum.name == "wheeling").unwrap();
    assert_eq!(
        (wheeling.area.as_str(), wheeling.bought_wh, wheeling.sold_wh),
        ("TEST", 1_000, 5_400)
    );
    assert_eq!((wheeling.buyers_minor, wheeling.sellers_minor), (21, 93 + 21));
    assert_eq!(total.charges_minor, (93 + 9) + (21 + 1) + (21 + 2));
}

#[test]
fn statements_say_what_declarations_say_and_agree_with_each_other() {
    let desk = a_month();
    let mut declared = 0;
    for meter in 1..=METERS {
        let (from, to) = (slot(0).start(), slot(3).start());
        for row in desk.pipeline.p2p_energy(MeterId::new(meter), from, to).unwrap() {
            let retailer = RetailerId::new(super::fixture::retailer_of(meter));
            let found = desk.pipeline.statement(retailer, &month(), None).unwrap().unwrap();
            let is_it = |line: &&statement::ContractLine| {
                (line.contract, line.side.as_str()) == (row.contract.get(), row.side.name())
            };
            let line = found.lines.iter().find(is_it).unwrap();
            assert_eq!((line.settled_wh, line.pending_wh), (row.settled.wh(), row.pending.wh()));
            assert_eq!((line.run, line.state.as_str()), (row.run, row.state.name()));
            declared += 1;
        }
    }
    assert_eq!(declared, 6, "both sides of three contracts");
    let totals: Vec<_> = [1, 2]
        .into_iter()
        .map(|retailer| {
            let of = RetailerId::new(retailer);
            desk.pipeline.statement(of, &month(), None).unwrap().unwrap().sums().total
        })
        .collect();
    let sum = |of: fn(&statement::Total) -> i64| totals.iter().map(of).sum::<i64>();
    assert_eq!(sum(|total| total.net_minor), 0, "what one gets another gives");
    assert_eq!(totals.iter().map(|t| t.bought_wh).sum::<u64>(), 5_400);
    assert_eq!(totals.iter().map(|t| t.sold_wh).sum::<u64>(), 5_400);
}

#[test]
fn s59_a_correction_is_a_revision_and_the_one_before_stays_as_it_was() {
    let mut desk = a_month();
    let first = text_of(&desk, 1, None).unwrap();
    assert_eq!(text_of(&desk, 1, Some(1)), Some(first.clone()));
    assert_eq!(text_of(&desk, 1, Some(2)), None);
    // A reading of a contract that waited for it is none.
    desk.taken(&file(1, 2, &[(1, 700, 0)]));
    desk.taken(&file(1, 2, &[(8, 0, 700)]));
    desk.pipeline.verify(later()).unwrap();
    desk.pipeline.checkpoint().unwrap();
    let whole = text_of(&desk, 1, Some(1)).unwrap();
    assert_ne!(whole, first);
    // The retailer corrects a reading, and something else becomes known under the same checkpoint.
    desk.taken(&file(2, 0, &[(1, 4_700, 0)]));
    desk.taken(&file(1, 24 * 40, &[(1, 700, 0)]));
    desk.pipeline.verify(later()).unwrap();
    assert_eq!(text_of(&desk, 1, None).as_ref(), Some(&whole), "nothing is signed yet");
    desk.pipeline.checkpoint().unwrap();
    let second = text_of(&desk, 1, None).unwrap();
    assert!(second.contains("\"revision\":2,"));
    assert_eq!(text_of(&desk, 1, Some(1)).as_ref(), Some(&whole));
    assert_eq!(text_of(&desk, 1, Some(2)).as_ref(), Some(&second));
    assert_eq!(text_of(&desk, 1, Some(3)), None);
    // Money of another month, and a deposit, change nothing; nor does a restart.
    desk.pipeline.deposit(99, MeterId::new(1), Money::from_minor(5)).unwrap();
    desk.pipeline.checkpoint().unwrap();
    let desk = desk.restart().with_rules(rules());
    assert_eq!(text_of(&desk, 1, None).as_ref(), Some(&second));
    assert_eq!(text_of(&desk, 1, Some(1)).as_ref(), Some(&whole));
    // Without the rules of then, charges are told by their sum.
    let desk = desk.with_rules(Policy { charges: Vec::new(), ..rules() });
    let found = desk.pipeline.statement(RetailerId::new(1), &month(), None).unwrap().unwrap();
    assert_eq!(found.lines[0].charges.len(), 1);
    assert_eq!(found.lines[0].charges[0].name, "charges");
}

#[test]
fn a_statement_is_verified_with_the_exchange_s_key_alone() {
    let desk = a_month();
    let text = text_of(&desk, 1, None).unwrap();
    let key = ledger_key().verifying_key();
    let found = statement::verify(&text, &key).unwrap();
    assert_eq!(
        found,
        desk.pipeline.statement(RetailerId::new(1), &month(), None).unwrap().unwrap()
    );
    let other = SigningKey::from_bytes(&[1; 32]);
    let fault = |text: &str| statement::verify(text, &key).unwrap_err();
    assert_eq!(statement::verify(&text, &other.verifying_key()), Err(StatementFault::OtherKey));
    assert_eq!(fault(""), StatementFault::Malformed);
    assert_eq!(fault(text.trim_end()), StatementFault::Malformed);
    assert_eq!(fault(&text.replace("4400", "4401")), StatementFault::NotSigned);
    assert_eq!(
        fault(&text.replace("\"version\":1", "\"version\":9")),
        StatementFault::UnknownVersion(9)
    );
    for at in (0..text.len()).step_by(7) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        if let Ok(changed) = String::from_utf8(bytes) {
            assert!(statement::verify(&changed, &key).is_err(), "byte {at}");
        }
    }
    // Signed by the exchange, and yet not what its lines come to.
    let wrong = |mut found: statement::RetailerStatement| {
        let sealed = statement::seal(&found, &ledger_key());
        found.lines.remove(0);
        let without = statement::seal(&found, &ledger_key());
        let last = |text: &str| text.lines().last().unwrap().to_owned();
        sealed.replace(&last(&sealed), &last(&without))
    };
    assert_eq!(fault(&wrong(found)), StatementFault::NotSigned);
}

#[test]
fn months_are_those_of_a_calendar_at_a_distance_from_utc() {
    for text in ["2026-13", "2026-00", "2026-6", "2026-06-01", "", "junk", "2026-02-"] {
        assert_eq!(Month::new(text, 0), None, "{text}");
    }
    assert_eq!(Month::new("2026-06", 841), None);
    let desk = a_month();
    let lines = |month: &Month| {
        let found = desk.pipeline.statement(RetailerId::new(1), month, None).unwrap().unwrap();
        (found.head.revision, found.head.leaves, found.lines.len())
    };
    assert_eq!(lines(&Month::new("2020-02", 0).unwrap()), (1, 0, 0), "nothing is a statement too");
    // The same hour is in another month where the clock is far enough ahead.
    let mut feed = Feed::new();
    let start = Timestamp::from_seconds(1_751_326_200); // 2025-06-30T23:30:00Z
    let number = u32::try_from(start.ns() / 60_000_000_000).unwrap();
    let number = (number - slot(0).start_minute()) / 60;
    feed.trade(number, (1, 2), 1_000, 5_000_000);
    let mut desk = Desk::empty();
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    desk.pipeline.checkpoint().unwrap();
    let count = |text: &str, offset| {
        let month = Month::new(text, offset).unwrap();
        desk.pipeline.statement(RetailerId::new(1), &month, None).unwrap().unwrap().lines.len()
    };
    assert_eq!((count("2025-06", 0), count("2025-07", 0)), (2, 0));
    assert_eq!((count("2025-06", 330), count("2025-07", 330)), (0, 2));
}
