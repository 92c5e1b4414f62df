//! Documents: who may say what, and what happens when they say it twice.

use types::{Party, Role};

use super::fixture::{Desk, Feed, curtailment, file, file_body, key, later, slot};
use crate::{
    DocumentKind, DocumentReject, FileHead, State, metering::formats::Format, seal, seal_file,
};

fn desk() -> (Desk, types::TradeId) {
    let mut feed = Feed::new();
    let trade = feed.trade(0, (1, 7), 5_000, 5_000_000);
    let mut desk = Desk::new();
    desk.deposit_all(2_500);
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    (desk, trade)
}

#[test]
fn s06_only_the_serving_retailer_and_utility_may_speak() {
    let (mut desk, _) = desk();
    let body = file_body(1, 0, &[(1, 5_000, 0)]);
    let retailer = |number| Party { role: Role::Retailer, number };
    let other = seal(retailer(2), &key(Role::Retailer, 2), &body);
    assert_eq!(desk.refused(&other), DocumentReject::WrongSigner);
    let forged = seal(retailer(1), &key(Role::Retailer, 2), &body);
    assert_eq!(desk.refused(&forged), DocumentReject::SignatureInvalid);
    let nobody = seal(retailer(3), &key(Role::Retailer, 3), &body);
    assert_eq!(desk.refused(&nobody), DocumentReject::UnknownSigner);
    let utility = Party { role: Role::Utility, number: 1 };
    let by_utility = seal(utility, &key(Role::Utility, 1), &body);
    assert_eq!(desk.refused(&by_utility), DocumentReject::WrongSigner);
    assert_eq!(desk.refused(&file(1, 0, &[(1, 1, 0), (7, 1, 0)])), DocumentReject::WrongSigner);
    assert_eq!(desk.refused(&file(1, 0, &[(1, 1, 0), (99, 1, 0)])), DocumentReject::UnknownMeter);
    assert_eq!(desk.refused(b"{"), DocumentReject::Malformed);
    assert_eq!(
        desk.refused(&seal(retailer(1), &key(Role::Retailer, 1), b"{}")),
        DocumentReject::Malformed
    );
    let twice = file(1, 0, &[(1, 1, 0), (1, 1, 0)]);
    assert_eq!(desk.refused(&twice), DocumentReject::RepeatedReading);
    // None of this moved anything.
    assert_eq!(desk.pipeline.verify(later()).unwrap().changed, 0);
    let mut market = serde_json::from_slice::<serde_json::Value>(&body).unwrap();
    market["market"] = 2.into();
    let unknown = seal(retailer(1), &key(Role::Retailer, 1), market.to_string().as_bytes());
    assert_eq!(desk.refused(&unknown), DocumentReject::UnknownMarket);
    market["market"] = 1.into();
    market["minutes"] = 120.into();
    let long = seal(retailer(1), &key(Role::Retailer, 1), market.to_string().as_bytes());
    assert_eq!(desk.refused(&long), DocumentReject::Misaligned);
}

/// What no meter can have moved, or nobody can know yet: nothing moves, and none of it is kept.
#[test]
fn s09_readings_that_cannot_be_are_refused_with_their_reason() {
    use DocumentReject as Why;
    let (mut desk, _) = desk();
    let retailer = Party { role: Role::Retailer, number: 1 };
    let before = desk.dump();
    let body = String::from_utf8(file_body(1, 0, &[(1, 5_000, 0)])).unwrap();
    let start = slot(0).start().to_string();
    let with = |from: &str, to: &str| {
        let changed = body.replace(from, to);
        assert_ne!(changed, body, "{from}");
        seal(retailer, &key(Role::Retailer, 1), changed.as_bytes())
    };
    for (from, to, reason) in [
        // 10 kW: 10 kWh in an hour, and twice that is plausible.
        ("5000", "20001", Why::Implausible),
        ("5000", "-1", Why::NegativeOrMissing),
        ("5000", "null", Why::NegativeOrMissing),
        ("injected_wh", "injected_kwh", Why::WrongUnit),
        ("withdrawn_wh", "withdrawn_w", Why::WrongUnit),
        (&start, "2099-01-01T00:00:00Z", Why::Future),
        (&start, &start.replace(":00Z", ":01Z"), Why::Misaligned),
        (&start, &start.replace("00:00Z", "07:00Z"), Why::Misaligned),
        (&start, "yesterday", Why::Malformed),
        ("\"revision\":1", "\"revision\":0", Why::Malformed),
        ("meter_readings", "meter_reading", Why::Malformed),
    ] {
        assert_eq!(desk.refused(&with(from, to)), reason, "{from} → {to}");
    }
    let line = seal_file(
        retailer,
        &key(Role::Retailer, 1),
        FileHead { format: Format::Nem12, revision: 1 },
        format!("100,{}", "9".repeat(2 << 20)).as_bytes(),
    );
    assert_eq!(desk.refused(&line), Why::TooLarge, "a line without end");
    assert_eq!(desk.dump(), before);
    desk.taken(&with("5000", "20000"));
}

#[test]
fn what_is_missing_is_told_by_who_has_to_send_it() {
    let (mut desk, _) = desk();
    let retailer = |number| Party { role: Role::Retailer, number };
    let both = [retailer(1), retailer(2)].into();
    let missing = desk.pipeline.missing_of_each(&both, later()).unwrap();
    let lines = missing.iter().map(|(party, lines)| (party.number, lines[0].meter.get()));
    assert_eq!(lines.collect::<Vec<_>>(), [(1, 1), (2, 7)]);
    for party in both {
        let own = desk.pipeline.missing_readings(Some(party), later()).unwrap();
        assert_eq!(missing[&party], own);
        let alone = desk.pipeline.missing_of_each(&[party].into(), later()).unwrap();
        assert_eq!(alone.into_iter().collect::<Vec<_>>(), [(party, own)], "nobody else's");
    }
    desk.taken(&file(1, 0, &[(1, 5_000, 0)]));
    let left = desk.pipeline.missing_of_each(&[retailer(1)].into(), later()).unwrap();
    assert!(left.is_empty(), "{left:?}");
    assert!(desk.pipeline.missing_of_each(&[].into(), later()).unwrap().is_empty());
}

#[test]
fn a_refusal_that_may_change_is_not_remembered() {
    let (mut desk, _) = desk();
    let document = file(1, 0, &[(1, 5_000, 0)]);
    let mut empty = Desk::empty();
    assert_eq!(empty.refused(&document), DocumentReject::UnknownSigner);
    let feed = Feed::new();
    empty.pipeline.capture(feed.end(), &feed.items).unwrap();
    empty.taken(&document);
    desk.taken(&document);
    assert_eq!(desk.ingest(&document).kind, DocumentKind::MeterReadings);
}

#[test]
fn a_certificate_that_expired_signs_nothing_new() {
    let (mut desk, _) = desk();
    let retailer = Party { role: Role::Retailer, number: 1 };
    let utility = Party { role: Role::Utility, number: 1 };
    let (before, after) = (file(1, 0, &[(1, 5_000, 0)]), file(1, 0, &[(2, 7, 0)]));
    let until = |instant| [(retailer, instant), (utility, instant)].into();
    // The last instant counts.
    desk.pipeline.set_signing_until(until(later()));
    desk.taken(&before);
    desk.pipeline.set_signing_until(until(later().plus_ns(-1)));
    let state = desk.dump();
    assert_eq!(desk.refused(&after), DocumentReject::CertificateExpired);
    assert_eq!(desk.refused(&curtailment(1, 0, 1, 4_000)), DocumentReject::CertificateExpired);
    // It is no evidence against anybody either: who has the key now is not known.
    assert_eq!(desk.refused(&file(1, 0, &[(1, 1, 0)])), DocumentReject::CertificateExpired);
    assert_eq!(desk.dump(), state, "nothing moved, and nothing is kept");
    // What was taken stays taken; a signature that is none is told as such; a new certificate counts again.
    assert!(desk.ingest(&before).repeated);
    let forged = seal(retailer, &key(Role::Retailer, 2), &file_body(1, 0, &[(2, 7, 0)]));
    assert_eq!(desk.refused(&forged), DocumentReject::SignatureInvalid);
    desk.pipeline.set_signing_until(until(later()));
    desk.taken(&after);
}

#[test]
fn s07_equivocation_is_kept_and_moves_nothing() {
    let (mut desk, trade) = desk();
    desk.taken(&file(1, 0, &[(1, 5_000, 0), (2, 7, 0)]));
    desk.taken(&file(1, 0, &[(7, 0, 5_000)]));
    desk.pipeline.verify(later()).unwrap();
    let before = (desk.balances(), desk.pipeline.ledger_head().0);
    // One contradiction refuses the whole file, the new reading of meter 3 too.
    let lie = file(1, 0, &[(1, 1_000, 0), (3, 5, 0)]);
    let receipt = desk.ingest(&lie);
    assert_eq!((receipt.accepted, receipt.result), (0, Err(DocumentReject::Equivocation)));
    let again = desk.ingest(&lie);
    assert_eq!((again.repeated, again.result), (true, receipt.result));
    desk.taken(&file(1, 0, &[(3, 6, 0)]));
    desk.pipeline.verify(later()).unwrap();
    let leaves = before.1 + 2;
    let after = (desk.balances(), desk.pipeline.ledger_head().0);
    assert_eq!(after, (before.0, leaves), "both documents are in the ledger, and nothing else");
    assert_eq!(desk.pipeline.outcome_of(trade).unwrap().unwrap().run, 1);
    // The same statement in another document is no contradiction.
    let same = desk.ingest(&file(1, 0, &[(1, 5_000, 0)]));
    assert_eq!((same.accepted, same.result, same.repeated), (0, Ok(()), false));
}

#[test]
fn s08_late_revisions_are_history() {
    let (mut desk, trade) = desk();
    desk.taken(&file(3, 0, &[(1, 5_000, 0)]));
    desk.taken(&file(1, 0, &[(7, 0, 5_000)]));
    assert_eq!(desk.refused(&file(2, 0, &[(1, 1, 0)])), DocumentReject::StaleRevision);
    assert_eq!(desk.refused(&file(2, 0, &[(1, 2, 0)])), DocumentReject::Equivocation);
    let mixed = desk.ingest(&file(1, 0, &[(1, 9, 0), (2, 9, 0)]));
    assert_eq!((mixed.accepted, mixed.result), (1, Ok(())));
    desk.pipeline.verify(later()).unwrap();
    let record = desk.pipeline.outcome_of(trade).unwrap().unwrap();
    assert_eq!(record.outcome.settled.wh(), 5_000);
}

#[test]
fn a_curtailment_excuses_its_part_and_can_be_corrected() {
    let (mut desk, trade) = desk();
    desk.taken(&file(1, 0, &[(1, 3_000, 0)]));
    desk.taken(&file(1, 0, &[(7, 0, 5_000)]));
    desk.taken(&curtailment(1, 0, 1, 4_000));
    desk.pipeline.verify(later()).unwrap();
    let record = desk.pipeline.outcome_of(trade).unwrap().unwrap();
    assert_eq!(record.outcome.state, State::PartialCurtailed);
    assert_eq!((record.outcome.shortfall.wh(), record.outcome.excused.wh()), (1_000, 1_000));
    assert_eq!(record.due.penalty.minor(), 100);
    assert_eq!(desk.refused(&curtailment(1, 0, 1, 3_000)), DocumentReject::Equivocation);
    desk.taken(&curtailment(2, 0, 1, 3_000));
    desk.pipeline.verify(later()).unwrap();
    let record = desk.pipeline.outcome_of(trade).unwrap().unwrap();
    assert_eq!((record.outcome.shortfall.wh(), record.due.penalty.minor()), (0, 0));
    let body = crate::Curtailment {
        meter: types::MeterId::new(1),
        slot: super::fixture::slot(0),
        cap: types::Energy::ZERO,
        reason: crate::CurtailmentReason::Policy,
        revision: 9,
    }
    .to_body();
    let utility = Party { role: Role::Utility, number: 2 };
    let other = seal(utility, &key(Role::Utility, 2), &body);
    assert_eq!(desk.refused(&other), DocumentReject::WrongSigner);
    desk.check();
}

#[test]
fn codes_of_refusals_are_one_to_one() {
    for reason in DocumentReject::ALL {
        assert_eq!(DocumentReject::from_code(reason.code()), Some(*reason));
        assert!(reason.code() > 0);
    }
}
