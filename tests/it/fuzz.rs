//! Damaged bytes at every door of the edge: nothing panics, everything is answered, and nothing that
//! was not signed is accepted.
//!
//! `GRIDCROSS_FUZZ_SEED` and `GRIDCROSS_FUZZ_EXECUTIONS` choose other damage, or more of it; each test
//! prints both and what came up. A failure names the seed and execution that show it again.

use std::{collections::BTreeMap, env};

use gateway::{
    Directory,
    client::{self, BookError, MarketBooks, MarketUpdate},
    identity,
    quic::market::subscription,
    session::{Ended, Session},
    throttle::{Limits, Rate},
    verifier,
};
use tests::{
    cast::{self, FIRST, SECOND},
    model::history::Random,
    mutation::damage,
};
use types::{
    ClientOrderId, Command, Conditions, ContractTerms, Delegation, DeliverySlot, Energy, MarketId,
    MeterId, NewOrder, OfferId, OrderId, OrderKind, OrderList, Phase, PlatformId, Price,
    RejectReason, ReplaceOrder, Scope, Seq, SessionId, ShardId, Shards, Side, Signature, SlotKey,
    TimeInForce, Timestamp,
};
use wire::{
    FrameBuilder, FrameDecoder, Inbound, MarketMessage, Outbound,
    feed::Subscribe,
    inbound::{self, Delegate, Empty, InboundMessages, Logon, Revoke, SignedNew, SignedReplace},
    market, signing,
};

const SEED: u64 = 20_261_122;
const EXECUTIONS: u64 = 2_000_000;
/// Every outcome that is listed for a door must have come up this often.
const OFTEN: u64 = 10;

/// What came up, by name.
type Coverage = BTreeMap<&'static str, u64>;

/// Runs one execution after the other, each with random numbers of its own.
fn fuzz(door: &str, expected: &[&str], mut execute: impl FnMut(&mut Random, &mut Coverage)) {
    let number = |name: &str, otherwise: u64| {
        env::var(name).map_or(otherwise, |text| text.parse().expect("a whole number"))
    };
    let seed = number("GRIDCROSS_FUZZ_SEED", SEED);
    let executions = number("GRIDCROSS_FUZZ_EXECUTIONS", EXECUTIONS);
    let mut coverage = Coverage::new();
    for execution in 0..executions {
        let mut random = Random::new(seed.wrapping_add(execution));
        let run = std::panic::AssertUnwindSafe(|| execute(&mut random, &mut coverage));
        if let Err(panic) = std::panic::catch_unwind(run) {
            println!(
                "shown again by GRIDCROSS_FUZZ_SEED={} GRIDCROSS_FUZZ_EXECUTIONS=1",
                seed.wrapping_add(execution)
            );
            std::panic::resume_unwind(panic);
        }
    }
    println!("{door}: {executions} executions from seed {seed}: {coverage:?}");
    if executions >= EXECUTIONS {
        for name in expected {
            let count = coverage.get(name).copied().unwrap_or(0);
            assert!(count >= OFTEN, "{door}: `{name}` came up {count} times only");
        }
    }
}

fn count(coverage: &mut Coverage, name: &'static str) {
    *coverage.entry(name).or_default() += 1;
}

fn order(client_order: u64) -> NewOrder {
    NewOrder {
        client_order: ClientOrderId::new(client_order),
        limit: Price::from_micros(210_000),
        quantity: Energy::from_wh(1_000),
        valid_until: Timestamp::from_seconds(1_800_000_000),
        key: SlotKey { market: MarketId::new(1), slot: DeliverySlot::new(29_000_100, 15).unwrap() },
        meter: FIRST,
        side: Side::Sell,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::UntilGate,
        conditions: Conditions::default(),
        list: OrderList::default(),
    }
}

fn sign(meter: MeterId, bytes: &[u8]) -> Signature {
    use ed25519_dalek::Signer as _;
    Signature::new(cast::meter_key(meter).sign(bytes).to_bytes())
}

fn signed_order(client_order: u64) -> Inbound {
    let order = order(client_order);
    let mut bytes = Vec::new();
    signing::new_order(&order, &mut bytes);
    Inbound::NewOrder(SignedNew { order, signature: sign(FIRST, &bytes) })
}

fn validation() -> Inbound {
    let order = order(3);
    let mut bytes = Vec::new();
    signing::validation(&order, &mut bytes);
    Inbound::ValidateOrder(SignedNew { order, signature: sign(FIRST, &bytes) })
}

fn signed_replacement() -> Inbound {
    let replace = ReplaceOrder {
        client_order: ClientOrderId::new(9),
        order: OrderId::new(1),
        limit: Price::from_micros(200_000),
        quantity: Energy::from_wh(500),
        valid_until: Timestamp::from_seconds(1_800_000_000),
        meter: FIRST,
    };
    let mut bytes = Vec::new();
    signing::replace_order(&replace, &mut bytes);
    Inbound::ReplaceOrder(SignedReplace { replace, signature: sign(FIRST, &bytes) })
}

/// A contract that the buyer's meter offers.
fn offered_contract(buyer: MeterId, seller: MeterId) -> Inbound {
    let terms = ContractTerms {
        key: order(1).key,
        buyer,
        seller,
        price: Price::from_micros(200_000),
        quantity: Energy::from_wh(500),
        reference: 77,
        expires: Timestamp::from_seconds(1_800_000_000),
    };
    let key = cast::meter_key(buyer);
    client::offer_contract(&key, ClientOrderId::new(8), Side::Buy, terms)
}

/// Streams as good clients send them: a logon, then requests of every kind.
fn streams() -> Vec<Vec<u8>> {
    let client_order = ClientOrderId::new(7);
    let request = inbound::OrderRequest { client_order, order: OrderId::new(1) };
    let logon = Inbound::Logon(Logon::new(10_000, ShardId::FIRST));
    let requests = [
        signed_order(1),
        signed_replacement(),
        Inbound::CancelOrder(request),
        Inbound::ReduceOrder(inbound::Reduce {
            client_order,
            order: OrderId::new(1),
            quantity: Energy::from_wh(10),
        }),
        Inbound::HibernateOrder(request),
        Inbound::ActivateOrder(request),
        Inbound::MassCancel(inbound::MassCancel { client_order, slot: None, scope: Scope::All }),
        Inbound::TestRequest(inbound::Test { token: 5 }),
        Inbound::Heartbeat(Empty),
        Inbound::SetDeadMan(inbound::DeadMan { after_ms: 5_000 }),
        validation(),
        Inbound::StatusRequest(request),
        offered_contract(FIRST, SECOND),
        Inbound::DeclineContract(inbound::OfferRequest { client_order, offer: OfferId::new(1) }),
    ];
    let mut to_sign = client::FrameToSign::default();
    [11, 12].into_iter().for_each(|number| to_sign.push(order(number)));
    let key = cast::party_key(cast::party(types::Role::Platform, 1));
    let signed = to_sign.sign(&key, PlatformId::new(1));
    let framed = |frames: &[&[Inbound]]| {
        let mut bytes = Vec::new();
        let mut builder = FrameBuilder::default();
        for (number, messages) in (1_u64..).zip(frames) {
            for message in *messages {
                builder.push(|out| message.encode(out));
            }
            builder.seal(number, &mut bytes);
        }
        bytes
    };
    vec![
        framed(&[&[logon], &requests, &signed]),
        framed(&[&[logon, requests[2]], &requests[..3], &[requests[8]], &requests[5..]]),
        framed(&[&[logon], &[Inbound::Logout(Empty)]]),
        framed(&[&[requests[2]]]),
    ]
}

#[test]
fn damaged_streams_are_cut_the_same_however_they_arrive() {
    let samples = streams();
    let expected =
        ["a frame", "bytes that are no frame", "a frame cut short", "a message", "no message"];
    fuzz("frames", &expected, |random, coverage| {
        let mut bytes = samples[usize::try_from(random.below(4)).unwrap()].clone();
        damage(&mut bytes, &samples, random);
        let mut whole = FrameDecoder::default();
        whole.extend(&bytes);
        let mut pieces = FrameDecoder::default();
        let mut rest = bytes.as_slice();
        loop {
            let mut next = pieces.next_frame();
            while next == Ok(None) && !rest.is_empty() {
                let size = usize::try_from(random.below(64)).unwrap() + 1;
                let (piece, behind) = rest.split_at(size.min(rest.len()));
                pieces.extend(piece);
                rest = behind;
                next = pieces.next_frame();
            }
            assert_eq!(whole.next_frame(), next);
            match next {
                Ok(Some(frame)) => {
                    count(coverage, "a frame");
                    for message in InboundMessages::new(&frame.payload, frame.header.messages) {
                        let Ok(message) = message else {
                            count(coverage, "no message");
                            break;
                        };
                        count(coverage, "a message");
                        let mut again = Vec::new();
                        message.encode(&mut again);
                        let has_it =
                            frame.payload.windows(again.len()).any(|part| part == again.as_slice());
                        assert!(has_it, "a message has one encoding");
                    }
                }
                Ok(None) if whole.is_mid_frame() => return count(coverage, "a frame cut short"),
                Ok(None) => return,
                Err(_) => return count(coverage, "bytes that are no frame"),
            }
        }
    });
}

#[test]
fn every_message_of_a_damaged_session_is_answered() {
    let samples = streams();
    let expected = [
        "accepted",
        "limits",
        "rejected",
        "refused message",
        "throttled",
        "request",
        "test reply",
        "dead man",
        "ended",
        "ended throttled",
        "logged out",
    ];
    fuzz("session", &expected, |random, coverage| {
        let mut bytes = samples[usize::try_from(random.below(4)).unwrap()].clone();
        damage(&mut bytes, &samples, random);
        let mut decoder = FrameDecoder::default();
        decoder.extend(&bytes);
        // Some may send less than the streams hold.
        let burst = 1 + u32::try_from(random.below(12)).unwrap();
        let rate = Rate { per_s: 1, burst };
        let limits = Limits { orders: rate, cancels: rate, open_requests: 1 };
        let mut session = Session::new(PlatformId::new(1), SessionId::new(1), Shards::ONE, limits);
        loop {
            let (handled, messages, heartbeats) = match decoder.next_frame() {
                Ok(Some(frame)) => {
                    let handled = session.handle_frame(&frame, 0, |_| Seq::new(3));
                    let messages = InboundMessages::new(&frame.payload, frame.header.messages);
                    let heartbeats =
                        messages.filter(|message| matches!(message, Ok(Inbound::Heartbeat(_))));
                    (handled, usize::from(frame.header.messages), heartbeats.count())
                }
                Ok(None) => return,
                Err(error) => (session.handle_frame_error(error), 1, 0),
            };
            for reply in &handled.replies {
                count(coverage, name(reply));
                if let Outbound::MessageRejected(rejected) = reply {
                    assert_ne!(rejected.reason.code(), 0);
                    if rejected.reason == RejectReason::Throttled {
                        assert_eq!(rejected.limit, 1, "the limit is told");
                        count(coverage, "throttled");
                    }
                }
            }
            for request in &handled.requests {
                count(coverage, "request");
                assert!(usize::from(request.index) < messages);
            }
            match handled.ended {
                // The connection's writer says so, behind the last answer.
                Some(Ended::LoggedOut) => return count(coverage, "logged out"),
                Some(Ended::Throttled) => {
                    assert!(!handled.replies.is_empty(), "the end is told");
                    return count(coverage, "ended throttled");
                }
                Some(Ended::Refused | Ended::ProtocolError) => {
                    assert!(!handled.replies.is_empty(), "the end is told");
                    return count(coverage, "ended");
                }
                None => {}
            }
            // Heartbeats are the only messages without an answer.
            let limits = usize::from(handled.opened.is_some());
            let replies = handled.replies.len() - limits;
            let answered = replies + handled.requests.len() + heartbeats;
            assert!(answered >= messages, "a message is not answered: {handled:?}");
        }
    });
}

fn name(reply: &Outbound) -> &'static str {
    match reply {
        Outbound::SessionAccepted(_) => "accepted",
        Outbound::SessionRejected(_) => "rejected",
        Outbound::MessageRejected(_) => "refused message",
        Outbound::TestReply(_) => "test reply",
        Outbound::Heartbeat(_)
        | Outbound::ExecutionReport(_)
        | Outbound::GoingAway(_)
        | Outbound::LoggedOut(_)
        | Outbound::ResumeComplete(_)
        | Outbound::ResumeTooOld(_)
        | Outbound::MassCancelled(_)
        | Outbound::ContractReport(_)
        | Outbound::ContractInvitation(_)
        | Outbound::MembersReport(_)
        | Outbound::AmendmentInvitation(_)
        | Outbound::DelegationReport(_) => "another",
        Outbound::SessionLimits(_) => "limits",
        Outbound::DeadManSet(_) => "dead man",
        Outbound::Applied(_) => "applied",
    }
}

#[test]
fn nothing_is_accepted_that_was_not_signed() {
    let expected =
        ["no message", "signature_invalid", "unknown_meter", "not_authorised", "as signed"];
    let directory = Directory::default();
    cast::registry().meters.iter().for_each(|meter| directory.enrol(meter));
    // The last is well signed, by the key of a meter for which the session may not speak.
    let strange = NewOrder { meter: SECOND, ..order(3) };
    let mut signed = Vec::new();
    signing::new_order(&strange, &mut signed);
    let signature = sign(SECOND, &signed);
    let strange = Inbound::NewOrder(SignedNew { order: strange, signature });
    let originals = [signed_order(1), signed_replacement(), strange];
    let encoded: Vec<Vec<u8>> = originals
        .iter()
        .map(|message| {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            bytes
        })
        .collect();
    let origin = types::Origin { platform: PlatformId::new(1), session: SessionId::new(1) };
    let mut room = Vec::new();
    fuzz("signatures", &expected, |random, coverage| {
        let which = usize::try_from(random.below(3)).unwrap();
        let mut bytes = encoded[which].clone();
        damage(&mut bytes, &encoded, random);
        let mut rest = bytes.as_slice();
        let command = match Inbound::decode(&mut rest) {
            Ok(Inbound::NewOrder(SignedNew { order, signature })) => {
                Command::NewOrder(types::SignedNewOrder { order, signature, origin })
            }
            Ok(Inbound::ReplaceOrder(SignedReplace { replace, signature })) => {
                Command::ReplaceOrder(types::SignedReplaceOrder { replace, signature, origin })
            }
            Ok(_) | Err(_) => return count(coverage, "no message"),
        };
        match verifier::check(&command, &directory, &mut room) {
            Ok(()) => {
                assert!(
                    encoded[..2].iter().any(|one| bytes.starts_with(one)),
                    "accepted: {command:?}"
                );
                count(coverage, "as signed");
            }
            Err(reason) => {
                let known = [
                    RejectReason::SignatureInvalid,
                    RejectReason::UnknownMeter,
                    RejectReason::NotAuthorised,
                ];
                assert!(known.contains(&reason), "{reason:?}");
                count(coverage, reason.name());
            }
        }
    });
}

fn delegation(meter: MeterId, platform: u16) -> Delegation {
    let key = cast::meter_key(meter).verifying_key();
    Delegation {
        number: 1,
        meter,
        platform: PlatformId::new(platform),
        market: MarketId::new(1),
        sides: types::Sides::Both,
        quantity_max: Energy::from_wh(1_000),
        buy_limit: Delegation::ANY_BUY,
        sell_limit: Price::from_micros(200_000),
        valid_from: Timestamp::from_seconds(1_700_000_000),
        valid_until: Timestamp::from_seconds(1_800_000_000),
        key: types::PublicKey::new(key.to_bytes()).id(),
    }
}

fn everyone() -> Directory {
    let directory = Directory::default();
    let registry = cast::registry();
    registry.meters.iter().for_each(|meter| directory.enrol(meter));
    registry.parties.iter().for_each(|party| directory.enrol_party(party));
    directory
}

const FIRST_PLATFORM: types::Origin =
    types::Origin { platform: PlatformId::new(1), session: SessionId::new(1) };

fn encoded(message: &Inbound) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

#[test]
fn no_delegation_is_accepted_that_was_not_signed() {
    let expected =
        ["no message", "signature_invalid", "unknown_meter", "not_authorised", "as signed"];
    let directory = everyone();
    let number = ClientOrderId::new(3);
    let to = |meter, platform| {
        client::sign_delegation(&cast::meter_key(meter), number, delegation(meter, platform))
    };
    let revocation = client::sign_revocation(&cast::meter_key(SECOND), number, SECOND, 4);
    // The last is well signed, and another platform's to bring.
    let originals = [to(FIRST, 1), to(SECOND, 1), revocation, to(FIRST, 2)];
    let samples: Vec<Vec<u8>> = originals.iter().map(encoded).collect();
    let mut room = Vec::new();
    fuzz("delegations", &expected, |random, coverage| {
        let mut bytes = samples[usize::try_from(random.below(4)).unwrap()].clone();
        damage(&mut bytes, &samples, random);
        let origin = FIRST_PLATFORM;
        let command = match Inbound::decode(&mut bytes.as_slice()) {
            Ok(Inbound::DelegateMeter(Delegate { client_order, delegation, signature })) => {
                Command::DelegateMeter(types::DelegateMeter {
                    origin,
                    client_order,
                    delegation,
                    signature,
                })
            }
            Ok(Inbound::RevokeDelegation(Revoke { client_order, number, meter, signature })) => {
                Command::RevokeDelegation(types::RevokeDelegation {
                    origin,
                    client_order,
                    meter,
                    number,
                    signature,
                })
            }
            Ok(_) | Err(_) => return count(coverage, "no message"),
        };
        match verifier::check(&command, &directory, &mut room) {
            Ok(()) => {
                // The platform's own number, behind the head, is not signed.
                let behind = |bytes: &[u8]| bytes.get(16..).map(<[u8]>::to_vec);
                let as_signed = samples[..3].iter().any(|one| {
                    bytes.len() >= one.len() && behind(one) == behind(&bytes[..one.len()])
                });
                let gives_back = matches!(&command, Command::RevokeDelegation(request)
                    if request.signature.is_none());
                assert!(as_signed || gives_back, "accepted: {command:?}");
                count(coverage, "as signed");
            }
            Err(reason) => {
                let known = [
                    RejectReason::SignatureInvalid,
                    RejectReason::UnknownMeter,
                    RejectReason::NotAuthorised,
                ];
                assert!(known.contains(&reason), "{reason:?}");
                count(coverage, reason.name());
            }
        }
    });
}

#[test]
fn no_contract_is_offered_that_was_not_signed() {
    let expected =
        ["no message", "signature_invalid", "unknown_meter", "not_authorised", "as signed"];
    let directory = everyone();
    // The last is well signed, by a meter for which the session may not speak.
    let originals = [
        offered_contract(FIRST, SECOND),
        offered_contract(FIRST, MeterId::new(3)),
        offered_contract(SECOND, FIRST),
    ];
    let samples: Vec<Vec<u8>> = originals.iter().map(encoded).collect();
    let mut room = Vec::new();
    fuzz("contracts", &expected, |random, coverage| {
        let mut bytes = samples[usize::try_from(random.below(3)).unwrap()].clone();
        damage(&mut bytes, &samples, random);
        let Ok(Inbound::OfferContract(offer)) = Inbound::decode(&mut bytes.as_slice()) else {
            return count(coverage, "no message");
        };
        let inbound::Offer { client_order, terms, signature, offered_by } = offer;
        let origin = FIRST_PLATFORM;
        let request = types::OfferContract { origin, client_order, terms, offered_by, signature };
        match verifier::check(&Command::OfferContract(request), &directory, &mut room) {
            Ok(()) => {
                let as_signed = originals[..2].iter().any(|one| {
                    matches!(one, Inbound::OfferContract(one)
                        if (one.terms, one.signature) == (terms, signature))
                });
                assert!(as_signed, "accepted: {request:?}");
                count(coverage, "as signed");
            }
            Err(reason) => {
                let known = [
                    RejectReason::SignatureInvalid,
                    RejectReason::UnknownMeter,
                    RejectReason::NotAuthorised,
                ];
                assert!(known.contains(&reason), "{reason:?}");
                count(coverage, reason.name());
            }
        }
    });
}

/// A frame that platform 1 signs as another one.
fn signed_frame(signs: u16, named: u16, orders: &[u64]) -> Vec<u8> {
    let mut frame = client::FrameToSign::default();
    orders.iter().for_each(|&number| frame.push(order(number)));
    let key = cast::party_key(cast::party(types::Role::Platform, signs));
    let mut builder = FrameBuilder::default();
    for message in frame.sign(&key, PlatformId::new(named)) {
        builder.push(|out| message.encode(out));
    }
    let mut bytes = Vec::new();
    builder.seal(2, &mut bytes);
    bytes
}

#[test]
fn no_frame_is_accepted_that_was_not_signed() {
    let expected = ["no frame", "no signature first", "signature_invalid", "as signed"];
    let directory = everyone();
    let samples = [
        signed_frame(1, 1, &[1, 2, 3]),
        signed_frame(1, 1, &[4]),
        signed_frame(2, 2, &[5, 6]),
        signed_frame(1, 2, &[7]),
    ];
    let logon = Inbound::Logon(Logon::new(10_000, ShardId::FIRST));
    let mut opening = FrameBuilder::default();
    opening.push(|out| logon.encode(out));
    let mut opened = Vec::new();
    opening.seal(1, &mut opened);
    let mut room = Vec::new();
    fuzz("signed frames", &expected, |random, coverage| {
        let mut bytes = samples[usize::try_from(random.below(4)).unwrap()].clone();
        damage(&mut bytes, &samples, random);
        let mut decoder = FrameDecoder::default();
        decoder.extend(&opened);
        decoder.extend(&bytes);
        let mut session =
            Session::new(PlatformId::new(1), SessionId::new(1), Shards::ONE, Limits::default());
        let first = decoder.next_frame().unwrap().unwrap();
        assert_eq!(session.handle_frame(&first, 0, |_| Seq::ZERO).ended, None);
        let Ok(Some(frame)) = decoder.next_frame() else { return count(coverage, "no frame") };
        let handled = session.handle_frame(&frame, 0, |_| Seq::ZERO);
        let (Some(signed), others) = verifier::split_frame(&handled.requests) else {
            return count(coverage, "no signature first");
        };
        // What no signature covers is never accepted.
        for request in others.iter().filter(|other| other.command.is_of_signed_frame()) {
            let outcome = verifier::check(&request.command, &directory, &mut room);
            assert_eq!(outcome, Err(RejectReason::SignatureInvalid));
        }
        match verifier::verify_frame(signed, &handled.covered, &directory, &mut room) {
            Ok(()) => {
                let covered = |bytes: &[u8], orders: usize| {
                    bytes.get(24..112 + 96 * orders).map(<[u8]>::to_vec)
                };
                let orders = signed.len() - 1;
                let got = covered(&bytes, orders);
                let is_one = |one: &Vec<u8>| covered(one, orders) == got;
                assert!(got.is_some() && samples[..2].iter().any(is_one), "accepted: {signed:?}");
                count(coverage, "as signed");
            }
            Err(reason) => {
                assert_eq!(reason, RejectReason::SignatureInvalid);
                count(coverage, reason.name());
            }
        }
    });
}

#[test]
fn damaged_market_data_is_read_or_refused_on_both_sides() {
    let key = order(1).key;
    let head = market::BookHead {
        key,
        revision: Seq::new(7),
        time: Timestamp::from_seconds(1_700_000_000),
        last: None,
        indicative: None,
        phase: Phase::Continuous,
        levels: 2,
    };
    let level = |micros, side| {
        let price = Price::from_micros(micros);
        let quantity = Energy::from_wh(10);
        MarketMessage::Level(market::Level { price, quantity, orders: 1, side })
    };
    let later = market::BookHead { revision: Seq::new(9), levels: 1, ..head };
    let change = market::BookChange { previous: head.revision, head: later };
    let subscribe = Subscribe { shard: ShardId::FIRST, after: Seq::new(3) };
    let encoded = |messages: &[MarketMessage]| {
        let mut builder = FrameBuilder::default();
        messages.iter().for_each(|message| builder.push(|out| message.encode(out)));
        let mut bytes = Vec::new();
        builder.seal(1, &mut bytes);
        bytes
    };
    let originals = [
        encoded(&[
            MarketMessage::BookSnapshot(head),
            level(100_000, Side::Buy),
            level(120_000, Side::Sell),
            MarketMessage::BookChange(change),
            level(110_000, Side::Sell),
        ]),
        encoded(&[
            MarketMessage::Subscribe(subscribe),
            MarketMessage::Select(market::Selection::Market(key.market)),
            MarketMessage::Select(market::Selection::Slot(key)),
        ]),
    ];
    let expected = ["no frame", "no message", "subscribed", "book", "gap", "misplaced"];
    fuzz("market data", &expected, |random, coverage| {
        let mut bytes = originals[usize::try_from(random.below(2)).unwrap()].clone();
        damage(&mut bytes, &originals, random);
        let mut decoder = FrameDecoder::default();
        decoder.extend(&bytes);
        let Ok(Some(frame)) = decoder.next_frame() else { return count(coverage, "no frame") };
        if subscription(&frame).is_some() {
            return count(coverage, "subscribed");
        }
        let mut books = MarketBooks::default();
        let mut payload = frame.payload.as_slice();
        while !payload.is_empty() {
            let Ok(message) = MarketMessage::decode(&mut payload) else {
                return count(coverage, "no message");
            };
            match books.apply(&message) {
                Ok(Some(MarketUpdate::Book(key))) => {
                    let book = books.book(key).unwrap();
                    let levels = [Side::Buy, Side::Sell].map(|side| book.levels(side).count());
                    assert_eq!(usize::from(book.head.levels), levels[0] + levels[1]);
                    count(coverage, "book");
                }
                Ok(_) => {}
                Err(BookError::Gap { .. }) => return count(coverage, "gap"),
                Err(BookError::Misplaced) => return count(coverage, "misplaced"),
            }
        }
    });
}

#[test]
fn damaged_certificates_name_a_party_or_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let validity = gateway::authority::Validity::development();
    let mut authority = gateway::Authority::create(dir.path(), validity).unwrap();
    let holders = ["platform/7", "retailer/1", "meter/3"];
    let samples: Vec<Vec<u8>> = holders
        .iter()
        .map(|holder| {
            let holder: gateway::authority::Holder = holder.parse().unwrap();
            let purpose = gateway::authority::Purpose::Transport;
            let key = gateway::authority::KeySource::New;
            authority.issue(holder, purpose, key, validity).unwrap();
            let file = dir.path().join(format!("{}.crt", holder.file_name()));
            identity::load_certificates(&file).unwrap()[0].to_vec()
        })
        .collect();
    let expected = ["the party", "nobody", "another branch"];
    fuzz("certificates", &expected, |random, coverage| {
        let mut bytes = samples[usize::try_from(random.below(3)).unwrap()].clone();
        damage(&mut bytes, &samples, random);
        match identity::party_of(&bytes.into()) {
            // The handshake has checked the signature over it; here only the reading is on trial.
            Ok(_) => count(coverage, "the party"),
            Err(identity::IdentityError::OtherBranch { .. }) => count(coverage, "another branch"),
            Err(_) => count(coverage, "nobody"),
        }
    });
}
