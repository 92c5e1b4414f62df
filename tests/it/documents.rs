//! Documents of retailers and utilities, and the question they ask, over the network.

use ed25519_dalek::SigningKey;
use gateway::{
    Authority,
    authority::{Holder, KeySource, Purpose, Reason, Revoked, Validity},
    client::ClientError,
};
use serde_json::Value;
use settlement::{
    Curtailment, CurtailmentReason, DocumentReject, Interval, MeterFile, Quality, Reading,
    allocation::Metered, seal,
};
use tests::{
    cast::{self, FIRST, FOURTH, SECOND, THIRD},
    line::Line,
    platform::Platform,
    venue::{Venue, soon},
};
use types::{DeliverySlot, Energy, MarketId, MeterId, Party, RejectReason, Role, Side, Timestamp};
use wire::{
    ALPN_DATA,
    data::{Answer, BODY_BYTES_MAX, P2pQuery, QueryResult, Receipt, RequestHead, RequestKind},
    field::Field as _,
};

const RETAILER: Party = cast::party(Role::Retailer, 1);
const OTHER_RETAILER: Party = cast::party(Role::Retailer, 2);
const UTILITY: Party = cast::party(Role::Utility, 1);
const OTHER_UTILITY: Party = cast::party(Role::Utility, 2);

/// Readings of meters in the slot at noon.
fn file(venue: &Venue, revision: u32, readings: &[(MeterId, u64, u64)]) -> Vec<u8> {
    let key = venue.slot(0);
    let reading = |&(meter, injected, withdrawn): &(MeterId, u64, u64)| {
        let injected = Energy::from_wh(injected);
        let metered = Metered { injected, withdrawn: Energy::from_wh(withdrawn) };
        Reading { meter, metered, quality: Quality::Measured }
    };
    let readings = readings.iter().map(reading).collect();
    let intervals = vec![Interval { start: key.slot.start(), readings }];
    MeterFile { market: MarketId::new(1), revision, minutes: 15, intervals }.to_body()
}

fn curtailment(meter: MeterId, slot: DeliverySlot, cap: u64) -> Vec<u8> {
    let cap = Energy::from_wh(cap);
    let reason = CurtailmentReason::Outage;
    Curtailment { meter, slot, cap, reason, revision: 1 }.to_body()
}

fn signed(signer: Party, body: &[u8]) -> Vec<u8> {
    seal(signer, &cast::party_key(signer), body)
}

/// What a receipt says, in words.
fn said(receipt: &Receipt) -> String {
    match DocumentReject::from_code(receipt.reason) {
        Some(reason) => format!("refused {}", reason.name()),
        None => format!("{} accepted", receipt.accepted),
    }
}

/// A venue whose settlement knows everybody, and a trade of 100 Wh from meter 1 to meter 2.
async fn after_a_trade() -> Venue {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut first = Platform::log_on(&venue, 1).await;
    let mut second = Platform::log_on(&venue, 2).await;
    let sell = first.order(FIRST, Side::Sell, 100, 100);
    first.accepted(sell).await;
    let buy = second.order(SECOND, Side::Buy, 100, 100);
    let traded = second.accepted(buy).await.seq;
    venue.settled_through(traded).await;
    venue
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_meter_file_counts_once_and_only_from_its_retailer() {
    let venue = after_a_trade().await;
    venue.clock_to(16).await;
    let desk = venue.desk(RETAILER).await;
    let other = venue.desk(OTHER_RETAILER).await;
    let body = file(&venue, 1, &[(FIRST, 120, 0), (THIRD, 0, 40)]);
    let document = signed(RETAILER, &body);
    let forged = seal(RETAILER, &SigningKey::from_bytes(&[9; 32]), &body);
    let stolen = seal(RETAILER, &cast::party_key(OTHER_RETAILER), &body);
    let mut bent = document.clone();
    let last = bent.len() - 10;
    bent[last] = if bent[last] == b'A' { b'B' } else { b'A' };
    for (name, document, answer) in [
        ("another key", forged, "refused signature_invalid"),
        ("another party's key", stolen, "refused signature_invalid"),
        ("a bent signature", bent, "refused signature_invalid"),
        ("another retailer", signed(OTHER_RETAILER, &body), "refused wrong_signer"),
        ("a utility", signed(UTILITY, &body), "refused wrong_signer"),
        ("an unknown one", signed(cast::party(Role::Retailer, 9), &body), "refused unknown_signer"),
        ("garbage", vec![0xff; 1_000], "refused malformed"),
        ("nothing", Vec::new(), "refused malformed"),
        ("signed garbage", signed(RETAILER, b"\0\x01\x02"), "refused malformed"),
        (
            "a meter of another retailer among its own",
            signed(RETAILER, &file(&venue, 1, &[(FIRST, 1, 0), (SECOND, 1, 0)])),
            "refused wrong_signer",
        ),
        (
            "an unknown meter",
            signed(RETAILER, &file(&venue, 1, &[(MeterId::new(99), 1, 0)])),
            "refused unknown_meter",
        ),
    ] {
        let receipt = soon(desk.submit(&document)).await.unwrap();
        assert_eq!(said(&receipt), answer, "{name}");
        assert_eq!(receipt.accepted, 0, "{name}");
    }

    let receipt = soon(desk.submit(&document)).await.unwrap();
    assert_eq!(said(&receipt), "2 accepted");
    assert_eq!(soon(desk.submit(&document)).await.unwrap(), receipt, "the same answer again");
    let changed = signed(RETAILER, &file(&venue, 1, &[(FIRST, 121, 0)]));
    let answer = soon(desk.submit(&changed)).await.unwrap();
    assert_eq!(said(&answer), "refused equivocation", "other content under the same revision");
    let corrected = signed(RETAILER, &file(&venue, 3, &[(FIRST, 119, 0)]));
    assert_eq!(said(&soon(desk.submit(&corrected)).await.unwrap()), "1 accepted");
    let late = signed(RETAILER, &file(&venue, 2, &[(FIRST, 118, 0)]));
    assert_eq!(said(&soon(desk.submit(&late)).await.unwrap()), "refused stale_revision");
    let theirs = signed(OTHER_RETAILER, &file(&venue, 1, &[(SECOND, 0, 90), (FOURTH, 5, 0)]));
    assert_eq!(said(&soon(other.submit(&theirs)).await.unwrap()), "2 accepted");
    drop((desk, other));

    let (venue, _) = venue.restart().await;
    let desk = venue.desk(RETAILER).await;
    assert_eq!(soon(desk.submit(&document)).await.unwrap(), receipt, "also after a restart");
    drop(desk);
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_certificate_signs_no_document() {
    let venue = after_a_trade().await;
    venue.clock_to(16).await;
    let desk = venue.desk(RETAILER).await;
    let mut authority = Authority::open(&venue.layout.keys()).unwrap();
    let (holder, purpose) = (Holder::Party(RETAILER), Purpose::Signing);
    let until = |seconds| Validity {
        from: jiff::Timestamp::UNIX_EPOCH,
        until: jiff::Timestamp::from_second(seconds).unwrap(),
    };
    let noon = venue.minutes_from_noon(0).ns().div_euclid(1_000_000_000);
    let document = |wh| signed(RETAILER, &file(&venue, 1, &[(FIRST, wh, 0)]));

    // It expired a quarter hour ago, by the exchange's clock; then it is renewed, and then revoked.
    authority.issue(holder, purpose, KeySource::New, until(noon)).unwrap();
    let receipt = soon(desk.submit(&document(120))).await.unwrap();
    assert_eq!(said(&receipt), "refused certificate_expired");
    authority.renew(holder, purpose, Validity::development()).unwrap();
    assert_eq!(said(&soon(desk.submit(&document(120))).await.unwrap()), "1 accepted");
    let at = jiff::Timestamp::from_second(noon + 60).unwrap();
    let revoked = Revoked { at, reason: Reason::KeyCompromise };
    authority.revoke(holder, purpose, revoked, Validity::development()).unwrap();
    let receipt = soon(desk.submit(&document(1))).await.unwrap();
    assert_eq!(said(&receipt), "refused certificate_expired", "not even as a contradiction");
    // What was taken stays, and others go on.
    assert_eq!(said(&soon(desk.submit(&document(120))).await.unwrap()), "1 accepted");
    let other = venue.desk(OTHER_RETAILER).await;
    let theirs = signed(OTHER_RETAILER, &file(&venue, 1, &[(SECOND, 0, 90)]));
    assert_eq!(said(&soon(other.submit(&theirs)).await.unwrap()), "1 accepted");
    drop((desk, other));
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_curtailment_comes_from_the_utility_of_the_meter() {
    let venue = after_a_trade().await;
    let desk = venue.desk(UTILITY).await;
    let slot = venue.slot(0).slot;
    let body = curtailment(FIRST, slot, 50);
    let other = signed(OTHER_UTILITY, &body);
    assert_eq!(said(&soon(desk.submit(&other)).await.unwrap()), "refused wrong_signer");
    let retailers = signed(RETAILER, &body);
    assert_eq!(said(&soon(desk.submit(&retailers)).await.unwrap()), "refused wrong_signer");
    let hour = DeliverySlot::new(slot.start_minute(), 60).unwrap();
    let misaligned = signed(UTILITY, &curtailment(FIRST, hour, 50));
    assert_eq!(said(&soon(desk.submit(&misaligned)).await.unwrap()), "refused misaligned");
    let document = signed(UTILITY, &body);
    let receipt = soon(desk.submit(&document)).await.unwrap();
    assert_eq!(said(&receipt), "1 accepted");
    assert_eq!(soon(desk.submit(&document)).await.unwrap(), receipt);
    let changed = signed(UTILITY, &curtailment(FIRST, slot, 60));
    assert_eq!(said(&soon(desk.submit(&changed)).await.unwrap()), "refused equivocation");
    drop(desk);
    venue.close().await;
}

/// What the exchange tells an operator about a meter's energy in a period.
async fn ask(venue: &Venue, meter: MeterId, from: Timestamp, to: Timestamp) -> Value {
    let desk = venue.desk(cast::party(Role::Operator, 1)).await;
    let text = soon(desk.p2p_energy(P2pQuery { from, to, meter })).await.unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_question_is_answered_before_and_after_settlement() {
    let venue = after_a_trade().await;
    let (start, end) = (venue.slot(0).slot.start(), venue.slot(0).slot.end());
    let rows = ask(&venue, FIRST, start, end).await;
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
    assert_eq!((&rows[0]["side"], &rows[0]["contract"]), (&Value::from("sell"), &Value::from(1)));
    let energy = |rows: &Value| {
        ["contracted_wh", "pending_wh", "settled_wh"].map(|name| rows[0][name].as_u64().unwrap())
    };
    assert_eq!(energy(&rows), [100, 100, 0]);
    let empty = Value::Array(Vec::new());
    assert_eq!(ask(&venue, FIRST, end, end.plus_ns(1)).await, empty, "half-open: not after");
    assert_eq!(ask(&venue, FIRST, start.plus_ns(-1), start).await, empty, "nor before");
    assert_eq!(ask(&venue, FOURTH, start, end).await, empty, "nor another meter");

    let mut deposits = Vec::new();
    for meter in [FIRST, SECOND] {
        deposits.push((u64::from(meter.get()), meter, types::Money::from_minor(5_000)));
    }
    soon(venue.node.settlement.deposits(deposits)).await.unwrap();
    venue.clock_to(16).await;
    for (signer, reading) in [(RETAILER, (FIRST, 100, 0)), (OTHER_RETAILER, (SECOND, 0, 100))] {
        let desk = venue.desk(signer).await;
        let document = signed(signer, &file(&venue, 1, &[reading]));
        assert_eq!(said(&soon(desk.submit(&document)).await.unwrap()), "1 accepted");
    }
    soon(venue.node.settlement.verify(venue.now())).await.unwrap();
    for (meter, side) in [(FIRST, "sell"), (SECOND, "buy")] {
        let rows = ask(&venue, meter, start, end).await;
        assert_eq!(energy(&rows), [100, 0, 100], "{rows}");
        assert_eq!((&rows[0]["side"], &rows[0]["state"]), (&side.into(), &"COMPLETE".into()));
    }
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_has_to_do_with_a_meter_may_ask_about_it() {
    let venue = after_a_trade().await;
    let unknown = MeterId::new(99);
    for (role, allowed) in [
        (Role::Retailer, &[FIRST, THIRD][..]),
        (Role::Utility, &[FIRST, THIRD]),
        (Role::Operator, &[FIRST, SECOND, THIRD, FOURTH]),
    ] {
        let desk = venue.desk(cast::party(role, 1)).await;
        for meter in [FIRST, SECOND, THIRD, FOURTH, unknown] {
            let (from, to) = (Timestamp::from_ns(0), Timestamp::from_ns(i64::MAX));
            let answer = soon(desk.p2p_energy(P2pQuery { from, to, meter })).await;
            if allowed.contains(&meter) {
                assert!(answer.is_ok(), "{role:?} about meter {meter}: {answer:?}");
            } else {
                let refused =
                    matches!(answer, Err(ClientError::Refused(RejectReason::NotAuthorised)));
                assert!(refused, "{role:?} about meter {meter}: {answer:?}");
            }
        }
    }
    venue.close().await;
}

/// Sends a request as it is and reads the answer.
async fn exchange(line: &Line, head: &[u8], body: &[u8]) -> Option<Answer> {
    let mut stream = line.open().await;
    stream.bytes(head).await;
    stream.last_bytes(body).await;
    let bytes = stream.rest().await;
    Answer::decode(&mut bytes.as_slice()).ok()
}

fn head(kind: RequestKind, body_bytes: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    RequestHead { kind, body_bytes }.put(&mut bytes);
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_cannot_be_read_are_refused_and_others_go_on() {
    let venue = after_a_trade().await;
    let line = Line::connect(&venue.connector(RETAILER), ALPN_DATA).await.unwrap();
    let mut question = Vec::new();
    let ever = (Timestamp::from_ns(0), Timestamp::from_ns(i64::MAX));
    P2pQuery { from: ever.0, to: ever.1, meter: FIRST }.put(&mut question);
    let document = signed(RETAILER, &file(&venue, 1, &[(FIRST, 1, 0)]));
    let bytes = u32::try_from(document.len()).unwrap();
    let mut reserved = question.clone();
    reserved[23] = 1;
    let longer = [question.clone(), vec![0; 8]].concat();
    for (name, head, body) in [
        ("unknown kind", vec![11, 0, 0, 0, 0, 0, 0, 0], Vec::new()),
        ("reserved byte", vec![1, 1, 0, 0, 0, 0, 0, 0], Vec::new()),
        ("half a head", vec![1, 0, 0, 0], Vec::new()),
        ("one byte too large", head(RequestKind::Document, BODY_BYTES_MAX + 1), vec![0; 100]),
        ("largest number", head(RequestKind::Document, u32::MAX), vec![0; 100]),
        ("shorter than announced", head(RequestKind::Document, bytes + 1), document.clone()),
        ("longer than announced", head(RequestKind::Document, bytes - 1), document.clone()),
        ("empty question", head(RequestKind::P2pEnergy, 0), Vec::new()),
        ("short question", head(RequestKind::P2pEnergy, 23), question[..23].to_vec()),
        ("long question", head(RequestKind::P2pEnergy, 32), longer),
        ("reserved byte of the question", head(RequestKind::P2pEnergy, 24), reserved),
    ] {
        let reason = RejectReason::MalformedMessage.code();
        let refused = Answer::QueryResult(QueryResult { reason });
        assert_eq!(exchange(&line, &head, &body).await, Some(refused), "{name}");
        let answer = exchange(&line, &self::head(RequestKind::P2pEnergy, 24), &question).await;
        let answered = Answer::QueryResult(QueryResult { reason: 0 });
        assert_eq!(answer, Some(answered), "the connection goes on after: {name}");
    }
    // None of the cut documents counted.
    venue.clock_to(16).await;
    let desk = venue.desk(RETAILER).await;
    assert_eq!(said(&soon(desk.submit(&document)).await.unwrap()), "1 accepted");
    let nothing = vec![b' '; usize::try_from(BODY_BYTES_MAX).unwrap() + 1];
    let refused = soon(desk.submit(&nothing)).await;
    assert!(
        matches!(
            refused,
            Err(ClientError::Refused(RejectReason::MalformedMessage) | ClientError::Write(_))
        ),
        "{refused:?}"
    );
    drop((line, desk));
    venue.close().await;
}
