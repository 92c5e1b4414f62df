//! Meter files inside envelopes, their quality, who serves a meter when, and what is settled without
//! readings.

use proptest::prelude::*;
use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use types::{Energy, MeterId, Party, Role, Timestamp, TradeId};

use super::fixture::{Desk, FIRST_SLOT, Feed, file, key, later, settings, slot};
use crate::{
    DocumentReject, FileHead, MeterCode, MeterCodes, MeterPoint, MeterPoints, Pipeline, Quality,
    Settings, State,
    metering::{Bounds, files, formats::Format},
    policy::{Fraction, Missing, Policy, ProvisionalRule},
    registry::{Meter, Registry},
    seal, seal_file,
};

pub(super) const RETAILER: Party = Party { role: Role::Retailer, number: 1 };
pub(super) const UTILITY: Party = Party { role: Role::Utility, number: 1 };
const HOUR_NS: i64 = 3_600_000_000_000;

/// The day of NEM12 in which slot 0 is: it begins eight hours before.
const NEM_DATE: &str = "20250220";

pub(super) fn sealed(party: Party, body: &[u8]) -> Vec<u8> {
    seal(party, &key(party.role, party.number), body)
}

/// A file with both registers of one meter, by half hours of the day; quality by channel.
fn nem12(code: &str, withdrawn: &[&str], injected: &[&str], quality: &str) -> String {
    let day = |channel: &str, values: &[&str]| {
        let values = values.join(",");
        format!(
            "200,{code},E1B1,1,{channel},N1,SER,kWh,30,\n300,{NEM_DATE},{values},{quality},,,,\n"
        )
    };
    format!("100,NEM12,202604010000,MDP,RET\n{}{}900\n", day("E1", withdrawn), day("B1", injected))
}

/// Zero but for the two half hours of slot 0.
fn day_with<'a>(first: &'a str, second: &'a str) -> [&'a str; 48] {
    let mut day = ["0"; 48];
    day[16] = first;
    day[17] = second;
    day
}

fn in_envelope(party: Party, format: Format, revision: u32, text: &str) -> Vec<u8> {
    let head = FileHead { format, revision };
    seal_file(party, &key(party.role, party.number), head, text.as_bytes())
}

pub(super) fn codes(party: Party, lines: &[(u32, &str)]) -> Vec<u8> {
    let code = |&(meter, code): &(u32, &str)| (MeterId::new(meter), MeterCode::new(code).unwrap());
    sealed(party, &MeterCodes { codes: lines.iter().map(code).collect() }.to_body())
}

/// A trade of 5 kWh from meter 1 to meter 7, whose buyer has taken all; meter 1 is called NMI1.
fn desk() -> (Desk, TradeId) {
    let mut feed = Feed::new();
    let trade = feed.trade(0, (1, 7), 5_000, 5_000_000);
    let mut desk = Desk::new();
    desk.deposit_all(2_500);
    desk.pipeline.capture(feed.end(), &feed.items).unwrap();
    desk.taken(&codes(RETAILER, &[(1, "NMI1")]));
    desk.taken(&file(1, 0, &[(7, 0, 5_000)]));
    (desk, trade)
}

fn outcome(desk: &Desk, trade: TradeId) -> (State, u64, u16, bool) {
    let record = desk.pipeline.outcome_of(trade).unwrap().unwrap();
    (record.outcome.state, record.outcome.settled.wh(), record.run, record.provisional)
}

#[test]
fn a_signed_file_settles_like_a_signed_document() {
    let (mut desk, trade) = desk();
    let text = nem12("NMI1", &["0"; 48], &day_with("2.4", "2.2"), "A");
    let document = in_envelope(RETAILER, Format::Nem12, 1, &text);
    let receipt = desk.ingest(&document);
    assert_eq!((receipt.result, receipt.accepted), (Ok(()), 48));
    desk.pipeline.verify(later()).unwrap();
    assert_eq!(outcome(&desk, trade), (State::Complete, 4_600, 1, false));
    assert!(desk.ingest(&document).repeated);
    let lie = nem12("NMI1", &["0"; 48], &day_with("2.4", "2.3"), "A");
    let lie = desk.ingest(&in_envelope(RETAILER, Format::Nem12, 1, &lie));
    assert_eq!((lie.result, lie.accepted), (Err(DocumentReject::Equivocation), 0));
    let corrected = nem12("NMI1", &["0"; 48], &day_with("2.4", "2.3"), "A");
    assert_eq!(desk.ingest(&in_envelope(RETAILER, Format::Nem12, 2, &corrected)).accepted, 48);
    desk.pipeline.verify(later()).unwrap();
    assert_eq!(outcome(&desk, trade), (State::Complete, 4_700, 2, false));
    desk.check();
}

#[test]
fn s13_an_estimate_is_provisional_until_it_is_measured() {
    let (mut desk, trade) = desk();
    let estimated = nem12("NMI1", &["0"; 48], &day_with("2.4", "2.2"), "E52");
    desk.taken(&in_envelope(RETAILER, Format::Nem12, 1, &estimated));
    let summary = desk.pipeline.verify(later()).unwrap();
    assert_eq!((summary.changed, summary.provisional), (1, 1));
    assert_eq!(outcome(&desk, trade), (State::Complete, 4_600, 1, true));
    let missing = desk.pipeline.missing_readings(None, later()).unwrap();
    assert_eq!(missing.len(), 1);
    assert!(missing[0].is_estimated && missing[0].server == RETAILER);
    let before = desk.balances();
    // The same numbers, now measured: no money moves, and the outcome is no longer provisional.
    let measured = nem12("NMI1", &["0"; 48], &day_with("2.4", "2.2"), "A");
    desk.taken(&in_envelope(RETAILER, Format::Nem12, 2, &measured));
    desk.pipeline.verify(later()).unwrap();
    assert_eq!(outcome(&desk, trade), (State::Complete, 4_600, 2, false));
    assert_eq!(desk.balances(), before);
    assert!(desk.pipeline.missing_readings(None, later()).unwrap().is_empty());
    desk.check();
}

#[test]
fn an_interval_without_data_is_missing() {
    let (mut desk, _) = desk();
    let text = nem12("NMI1", &["0"; 48], &day_with("2.4", "2.2"), "V")
        .replace("900\n", "400,1,16,A,,\n400,17,17,N,,\n400,18,48,A,,\n900\n");
    // Only the second day has varying quality here.
    let text = text.replacen(",V,", ",A,", 1);
    assert_eq!(desk.ingest(&in_envelope(RETAILER, Format::Nem12, 1, &text)).accepted, 47);
    assert_eq!(desk.pipeline.verify(later()).unwrap().awaiting, 1);
}

#[test]
fn green_button_and_interval_profiles_are_settled_too() {
    let (mut desk, trade) = desk();
    let reading = |start: i64, wh: u64| {
        format!(
            "<IntervalReading><timePeriod><duration>900</duration><start>{start}</start>\
             </timePeriod><value>{wh}</value></IntervalReading>"
        )
    };
    let start = slot(0).start().ns() / 1_000_000_000;
    let channel = |number: u32, flow: u32, wh: u64| {
        let up = format!("/UsagePoint/NMI1/MeterReading/{number}");
        let values: String = (0..4).map(|quarter| reading(start + quarter * 900, wh)).collect();
        format!(
            "<entry><link rel='self' href='{up}'/><link rel='related' href='/T/{number}'/>\
             <MeterReading/></entry>\
             <entry><link rel='up' href='{up}/IntervalBlock'/><IntervalBlock>{values}\
             </IntervalBlock></entry>\
             <entry><link rel='self' href='/T/{number}'/><ReadingType><flowDirection>{flow}\
             </flowDirection><uom>72</uom></ReadingType></entry>"
        )
    };
    let feed = format!("<feed>{}{}</feed>", channel(1, 1, 0), channel(2, 19, 1_150));
    let receipt = desk.ingest(&in_envelope(RETAILER, Format::GreenButton, 1, &feed));
    assert_eq!((receipt.result, receipt.accepted), (Ok(()), 4));
    desk.pipeline.verify(later()).unwrap();
    assert_eq!(outcome(&desk, trade), (State::Complete, 4_600, 1, false));
    let profile = r#"[{"profileType":"DESCRIPTOR","id":"D","payloadDescriptorSets":[{"name":"b",
        "payloadDescriptors":[{"readingType":"kWh imp block"},{"readingType":"kWh exp block"}],
        "compactSequences":[{"name":"p","sequenceItems":[{"readingType":"kWh imp block"},
        {"readingType":"kWh exp block"}]}]}]},
        {"profileType":"INTERVAL","meterRefs":[{"value":"NMI1"}],"compactSequenceRef":"p",
        "intervalPeriod":{"start":"2025-02-20T03:30:00+05:30","duration":"PT30M"},
        "intervals":[{"id":0,"payloads":[0.0,2.5]},{"id":1,"payloads":[0.0,2.4]}]}]"#;
    let receipt = desk.ingest(&in_envelope(RETAILER, Format::IntervalProfile, 2, profile));
    assert_eq!((receipt.result, receipt.accepted), (Ok(()), 2));
    desk.pipeline.verify(later()).unwrap();
    // Where blocks of two lengths begin together, the longer one counts.
    assert_eq!(outcome(&desk, trade), (State::Complete, 4_900, 2, false));
    desk.check();
}

/// Each of these says one thing that cannot be: nothing moves, and none is kept.
#[test]
fn every_bad_file_is_refused_with_its_reason() {
    use DocumentReject as Why;
    let (mut desk, _) = desk();
    let before = desk.dump();
    let zero = ["0"; 48];
    let good = nem12("NMI1", &zero, &day_with("2.4", "2.2"), "A");
    let refused =
        |desk: &mut Desk, text: &str| desk.refused(&in_envelope(RETAILER, Format::Nem12, 1, text));
    let cases = [
        (good.replace("900\n", ""), Why::Truncated),
        (good.replace("kWh", "kW"), Why::WrongUnit),
        (good.replace("kWh", "kvarh"), Why::WrongUnit),
        (good.replace("2.4", "-2.4"), Why::NegativeOrMissing),
        (good.replace("2.4", ""), Why::FileInvalid),
        (good.replace("2.4", "1e1"), Why::FileInvalid),
        (good.replace("2.4", "24"), Why::Implausible),
        (good.replace(NEM_DATE, "20991231"), Why::Future),
        (good.replace(NEM_DATE, "20250230"), Why::FileInvalid),
        (good.replace("NMI1", "NMI2"), Why::UnknownCode),
        (good.replace(",B1,", ",E2,"), Why::NegativeOrMissing),
        (good.replace(",30,", ",20,"), Why::Misaligned),
        (format!("\u{1f}\u{8b}{good}"), Why::FileInvalid),
        ("<!DOCTYPE b [<!ENTITY a 'b'>]><feed/>".to_owned(), Why::FileInvalid),
        ("<feed></feed>".to_owned(), Why::FileInvalid),
        ("[".to_owned(), Why::Truncated),
    ];
    for (text, reason) in cases {
        assert_eq!(refused(&mut desk, &text), reason, "{text}");
    }
    let channel = good.split_inclusive('\n').nth(2).unwrap();
    let twice = good.replacen(channel, &channel.repeat(2), 1);
    assert_eq!(refused(&mut desk, &twice), Why::RepeatedReading);
    let mislabelled = in_envelope(RETAILER, Format::GreenButton, 1, &good);
    assert_eq!(desk.refused(&mislabelled), Why::FormatMismatch);
    let other = Party { role: Role::Retailer, number: 2 };
    let by_another = in_envelope(other, Format::Nem12, 1, &good);
    assert_eq!(desk.refused(&by_another), Why::UnknownCode);
    let other_key = key(Role::Retailer, 2);
    let head = FileHead { format: Format::Nem12, revision: 1 };
    let forged = seal_file(RETAILER, &other_key, head, good.as_bytes());
    assert_eq!(desk.refused(&forged), Why::SignatureInvalid);
    assert_eq!(desk.refused(&codes(RETAILER, &[(7, "X")])), Why::WrongSigner);
    assert_eq!(desk.refused(&codes(RETAILER, &[(2, "NMI1")])), Why::CodeTaken);
    assert_eq!(desk.dump(), before);
    let early = slot(0).start();
    let document = in_envelope(RETAILER, Format::Nem12, 1, &good);
    assert_eq!(desk.pipeline.ingest(early, &document).unwrap().result, Err(Why::Future));
    let whole_day = slot(0).start().plus_ns(16 * HOUR_NS);
    assert_eq!(desk.pipeline.ingest(whole_day, &document).unwrap().result, Ok(()));
}

fn points(revision: u32, point: MeterPoint) -> Vec<u8> {
    sealed(UTILITY, &MeterPoints { revision, points: vec![(MeterId::new(1), point)] }.to_body())
}

/// From slot 1 on, the other retailer serves the meter; before it, only the first.
#[test]
fn s05_readings_count_from_who_serves_the_meter_at_that_time() {
    let (mut desk, _) = desk();
    let other = Party { role: Role::Retailer, number: 2 };
    let change = MeterPoint {
        from_minute: FIRST_SLOT + 60,
        zone: None,
        feeder: None,
        served_by: Some(other),
    };
    assert_eq!(
        desk.refused(&sealed(RETAILER, b"{\"type\":\"meter_points\"}")),
        DocumentReject::Malformed
    );
    desk.taken(&points(1, change));
    let body = |number| super::fixture::file_body(1, number, &[(1, 100, 0)]);
    assert_eq!(desk.refused(&sealed(other, &body(0))), DocumentReject::WrongSigner);
    assert_eq!(desk.refused(&sealed(RETAILER, &body(1))), DocumentReject::WrongSigner);
    desk.taken(&sealed(RETAILER, &body(0)));
    desk.taken(&sealed(other, &body(1)));
    // It still holds after a restart, and a later revision takes it back.
    let mut desk = desk.restart();
    assert_eq!(desk.refused(&sealed(RETAILER, &body(2))), DocumentReject::WrongSigner);
    let back = MeterPoint { served_by: Some(RETAILER), ..change };
    assert_eq!(desk.refused(&points(1, back)), DocumentReject::Equivocation);
    desk.taken(&points(2, back));
    desk.taken(&sealed(RETAILER, &body(2)));
    let wrong = sealed(
        Party { role: Role::Utility, number: 2 },
        &MeterPoints { revision: 3, points: vec![(MeterId::new(1), change)] }.to_body(),
    );
    assert_eq!(desk.refused(&wrong), DocumentReject::WrongSigner);
}

fn with_rule(missing: Missing) -> (Pipeline, TradeId) {
    let policy = Policy {
        provisional: Some(ProvisionalRule { after_hours: 48, missing }),
        finality_days: Some(3),
        ..settings().policy
    };
    let mut pipeline = Pipeline::in_memory(Settings { policy, ..settings() }).unwrap();
    let mut feed = Feed::new();
    let trade = feed.trade(0, (1, 7), 5_000, 5_000_000);
    pipeline.capture(feed.end(), &feed.items).unwrap();
    let deposit = types::Money::from_minor(2_500);
    pipeline.deposit(1, MeterId::new(7), deposit).unwrap();
    pipeline.ingest(later(), &file(1, 0, &[(7, 0, 5_000)])).unwrap();
    (pipeline, trade)
}

#[test]
fn s14_what_never_came_is_settled_by_rule_at_the_deadline_and_trued_up_whenever_it_comes() {
    for (missing, state, wh) in
        [(Missing::Nothing, State::Failed, 0), (Missing::Contracted, State::Complete, 5_000)]
    {
        let (mut pipeline, trade) = with_rule(missing);
        let at = |hours: i64| slot(0).end().plus_ns(hours * HOUR_NS);
        assert_eq!(pipeline.verify(at(47)).unwrap().awaiting, 1);
        assert_eq!(pipeline.verify(at(47)).unwrap().slots, 0, "nothing is new");
        let status = pipeline.verification_status(at(47)).unwrap();
        assert_eq!((status[0].awaiting, status[0].deadline), (1, Some(at(48))));
        let summary = pipeline.verify(at(48)).unwrap();
        assert_eq!((summary.changed, summary.provisional), (1, 1));
        let record = pipeline.outcome_of(trade).unwrap().unwrap();
        let settled = record.outcome.settled.wh();
        assert_eq!((record.outcome.state, settled, record.provisional), (state, wh, true));
        assert_eq!(pipeline.verify(at(49)).unwrap().slots, 0);
        // Long after finality, the first real reading still decides.
        pipeline.ingest(later(), &file(1, 0, &[(1, 4_800, 0)])).unwrap();
        pipeline.verify(at(24 * 30)).unwrap();
        let record = pipeline.outcome_of(trade).unwrap().unwrap();
        assert_eq!((record.outcome.state, record.run), (State::Complete, 2));
        assert_eq!((record.outcome.settled.wh(), record.provisional), (4_800, false));
        // The next correction does not.
        pipeline.ingest(later(), &file(2, 0, &[(1, 100, 0)])).unwrap();
        pipeline.verify(at(24 * 30)).unwrap();
        let record = pipeline.outcome_of(trade).unwrap().unwrap();
        assert_eq!((record.outcome.state, record.outcome.settled.wh()), (State::Disputed, 4_800));
        assert!(pipeline.audit().unwrap().is_clean());
        super::audit::check_leaves(&pipeline);
        assert_eq!(pipeline.cycles(9).unwrap().len(), 4);
    }
}

/// A registry of one meter that anything is plausible for.
fn one_meter() -> Registry {
    let mut registry = Registry::default();
    registry.add_market(crate::registry::Market { id: types::MarketId::new(1), slot_minutes: 60 });
    registry.add_meter(Meter {
        id: MeterId::new(1),
        platform: types::PlatformId::new(1),
        retailer: types::RetailerId::new(1),
        utility: types::UtilityId::new(1),
        code: MeterCode::new("NMI1").unwrap(),
        injection_max: types::Power::from_w(1),
        withdrawal_max: types::Power::from_w(1),
    });
    registry
}

proptest! {
    /// However fine a file counts: the slots of a day sum to the exact sum, rounded down, and no
    /// interval is off by a watt-hour.
    #[test]
    fn s10_a_day_sums_to_its_exact_sum_rounded_down(
        values in prop::collection::vec((0_u64..3_000_000_000, 0_u32..10), 48),
    ) {
        let exact: Vec<Decimal> =
            values.iter().map(|&(digits, scale)| Decimal::from_i128_with_scale(digits.into(), scale)).collect();
        let texts: Vec<String> = exact.iter().map(ToString::to_string).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let text = nem12("NMI1", &["0"; 48], &texts, "A");
        let registry = one_meter();
        let bounds = Bounds { registry: &registry, received: later(), plausible: Fraction::ZERO };
        let head = FileHead { format: Format::Nem12, revision: 1 };
        let read = files::read(RETAILER, head, text.as_bytes(), bounds);
        let thousand = Decimal::from(1_000);
        if exact.iter().any(|kwh| kwh * thousand >= Decimal::from(10_000_000_000_u64)) {
            prop_assert_eq!(read, Err(DocumentReject::OutOfRange));
            return Ok(());
        }
        let statements = read.unwrap();
        let sum: u64 = statements.iter().map(|one| one.metered.injected.wh()).sum();
        let whole = (exact.iter().sum::<Decimal>() * thousand).floor().to_u64().unwrap();
        prop_assert_eq!(sum, whole);
        for (statement, kwh) in statements.iter().zip(&exact) {
            let wh = Decimal::from(statement.metered.injected.wh());
            prop_assert!((wh - kwh * thousand).abs() < Decimal::ONE);
            prop_assert_eq!(statement.quality, Quality::Measured);
            prop_assert_eq!(statement.metered.withdrawn, Energy::ZERO);
        }
    }
}

#[test]
fn the_remainder_is_carried_from_interval_to_interval() {
    let third = ["0.0003333"; 48];
    let registry = one_meter();
    let bounds = Bounds {
        registry: &registry,
        received: Timestamp::from_seconds(i64::MAX / 2_000_000_000),
        plausible: Fraction::ZERO,
    };
    let head = FileHead { format: Format::Nem12, revision: 1 };
    let text = nem12("NMI1", &["0"; 48], &third, "A");
    let read = files::read(RETAILER, head, text.as_bytes(), Bounds { received: later(), ..bounds });
    let injected: Vec<u64> = read.unwrap().iter().map(|one| one.metered.injected.wh()).collect();
    // 48 × 0.3333 Wh are 15.9984.
    assert_eq!(injected.iter().sum::<u64>(), 15);
    assert_eq!(injected[..8], [0, 0, 0, 1, 0, 0, 1, 0]);
}
