//! Clients that break the protocol: each is told how, and nobody else notices.

use ed25519_dalek::Signer as _;
use tests::{
    cast::{self, FIRST, SECOND, WEAK},
    line::{Line, Stream, header, sealed},
    platform::{Platform, told},
    venue::Venue,
};
use types::{ClientOrderId, MeterId, NewOrder, OrderId, ReplaceOrder, Role, Side, Signature};
use wire::{
    ALPN_ORDERS, Inbound, Outbound,
    field::Field,
    inbound::{Empty, Logon, SignedNew, SignedReplace},
    signing,
};

const LOGON: Inbound = Inbound::Logon(Logon::new(60_000, types::ShardId::FIRST));

/// A cancellation of no order: the engine answers it.
fn probe(client_order: u64) -> Inbound {
    let client_order = ClientOrderId::new(client_order);
    gateway::client::cancel(client_order, OrderId::new(999_999))
}

/// Where a rejected message stood, and why.
fn place(message: Option<Outbound>) -> (u64, u16, String) {
    match message {
        Some(Outbound::MessageRejected(rejected)) => {
            (rejected.frame, rejected.index, rejected.reason.name().to_owned())
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// A session of platform 1 with a logon behind it.
async fn session(venue: &Venue) -> (Line, Stream) {
    let line = line(venue).await;
    let stream = line.log_on().await;
    (line, stream)
}

async fn line(venue: &Venue) -> Line {
    Line::connect(&venue.connector(cast::party(Role::Platform, 1)), ALPN_ORDERS).await.unwrap()
}

/// Changes one byte of a frame of three cancellations.
fn with_byte(at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = sealed(2, &[probe(1), probe(2), probe(3)]);
    bytes[at] = byte;
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_frame_end_the_session() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut bystander = Platform::log_on(&venue, 2).await;
    let cases: [(&str, Vec<u8>); 8] = [
        ("not a frame", b"GET / HTTP/1.1\r\nHost: exchange\r\n\r\n".to_vec()),
        ("another version", with_byte(2, 2)),
        ("version zero", with_byte(2, 0)),
        ("a reserved byte", with_byte(3, 1)),
        ("the last reserved byte", with_byte(23, 1)),
        ("no message", header(2, 8, 0)),
        ("a message too many", header(2, 8, 257)),
        ("a byte too many", header(2, 65_537, 1)),
    ];
    for (name, bytes) in cases {
        let (line, mut stream) = session(&venue).await;
        stream.bytes(&bytes).await;
        let refused = place(stream.next().await);
        assert_eq!(refused, (2, 0, "malformed_message".to_owned()), "{name}");
        assert_eq!(stream.next().await, None, "{name}");
        assert_eq!(line.end().await, "1 protocol_error", "{name}");

        let line = self::line(&venue).await;
        let mut stream = line.open().await;
        stream.bytes(&bytes).await;
        let refused = stream.next().await.map(|message| told(&message));
        assert_eq!(refused.as_deref(), Some("no session malformed_message"), "{name}");
        assert_eq!(line.end().await, "1 protocol_error", "{name}");
        bystander.goes_on(SECOND).await;
    }
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_message_and_all_after_it_are_answered_and_the_session_goes_on() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut bystander = Platform::log_on(&venue, 2).await;
    let (_line, mut stream) = session(&venue).await;
    // The second of three messages begins at byte 24 + 24.
    let cases = [
        ("unknown kind", 48, 99),
        ("kind of the other direction", 48, 68),
        ("reserved byte of the head", 49, 1),
        ("length of another kind", 50, 16),
        ("length beyond the frame", 51, 1),
        ("last reserved byte of the head", 55, 1),
    ];
    for (number, (name, at, byte)) in (2_u64..).zip(cases) {
        let mut bytes = stream.seal(&[probe(1), probe(2), probe(3)]);
        bytes[at] = byte;
        stream.bytes(&bytes).await;
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(stream.next().await.unwrap());
        }
        // The first was readable: the engine answers it, sooner or later than the edge the others.
        answers.sort_by_key(told);
        assert_eq!(told(&answers[0]), "cancel rejected unknown_order", "{name}");
        let mut places = [place(Some(answers[1])), place(Some(answers[2]))];
        places.sort();
        let refused = |index| (number, index, "malformed_message".to_owned());
        assert_eq!(places, [refused(1), refused(2)], "{name}");
    }
    stream.frame(&[probe(7)]).await;
    let answer = stream.next().await.unwrap();
    assert_eq!(told(&answer), "cancel rejected unknown_order");
    bystander.goes_on(SECOND).await;
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_and_bytes_of_a_frame_must_agree() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let (_line, mut stream) = session(&venue).await;
    // Two messages announced, one sent: both the missing one and nothing else is refused.
    let mut bytes = stream.seal(&[probe(1)]);
    bytes[16] = 2;
    stream.bytes(&bytes).await;
    let mut answers = [stream.next().await.unwrap(), stream.next().await.unwrap()];
    answers.sort_by_key(told);
    assert_eq!(told(&answers[0]), "cancel rejected unknown_order");
    assert_eq!(place(Some(answers[1])), (2, 1, "malformed_message".to_owned()));
    // One announced, two sent: the bytes after the first are refused.
    let mut bytes = stream.seal(&[probe(1), probe(2)]);
    bytes[16] = 1;
    stream.bytes(&bytes).await;
    let mut answers = [stream.next().await.unwrap(), stream.next().await.unwrap()];
    answers.sort_by_key(told);
    assert_eq!(told(&answers[0]), "cancel rejected unknown_order");
    assert_eq!(place(Some(answers[1])), (3, 1, "malformed_message".to_owned()));
    // A frame in single bytes is a frame.
    for byte in stream.seal(&[probe(4)]) {
        stream.bytes(&[byte]).await;
    }
    assert_eq!(told(&stream.next().await.unwrap()), "cancel rejected unknown_order");
    // Two frames at once are two frames.
    let both = [stream.seal(&[probe(5)]), stream.seal(&[probe(6)])].concat();
    stream.bytes(&both).await;
    for _ in 0..2 {
        let answer = stream.next().await.unwrap();
        assert_eq!(told(&answer), "cancel rejected unknown_order");
    }
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_are_numbered_without_gaps() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut bystander = Platform::log_on(&venue, 2).await;
    for number in [0, 1, 3, u64::MAX] {
        let (line, mut stream) = session(&venue).await;
        stream.bytes(&sealed(number, &[probe(1)])).await;
        let refused = place(stream.next().await);
        assert_eq!(refused, (number, 0, "sequence_gap".to_owned()), "frame {number}");
        assert_eq!(stream.next().await, None, "nothing was done with it");
        assert_eq!(line.end().await, "1 protocol_error", "frame {number}");
        bystander.goes_on(SECOND).await;
    }
    for number in [0, 2] {
        let line = line(&venue).await;
        let mut stream = line.open().await;
        stream.bytes(&sealed(number, &[LOGON])).await;
        let refused = stream.next().await.map(|message| told(&message));
        assert_eq!(refused.as_deref(), Some("no session sequence_gap"), "frame {number}");
        assert_eq!(stream.next().await, None, "frame {number}");
    }
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logon_comes_first_and_once() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut bystander = Platform::log_on(&venue, 2).await;
    let order = sign(bystander.order(FIRST, Side::Sell, 100, 10), FIRST);
    for (name, first) in [
        ("an order", order),
        ("a cancellation", probe(1)),
        ("a heartbeat", Inbound::Heartbeat(Empty)),
        ("a logout", Inbound::Logout(Empty)),
    ] {
        let line = line(&venue).await;
        let mut stream = line.open().await;
        stream.frame(&[first, LOGON]).await;
        let refused = stream.next().await.map(|message| told(&message));
        assert_eq!(refused.as_deref(), Some("no session unexpected_message"), "{name}");
        assert_eq!(stream.next().await, None, "{name}");
    }
    let (line, mut stream) = session(&venue).await;
    stream.frame(&[LOGON]).await;
    assert_eq!(place(stream.next().await), (2, 0, "unexpected_message".to_owned()));
    assert_eq!(stream.next().await, None);
    assert_eq!(line.end().await, "1 protocol_error");
    bystander.goes_on(SECOND).await;

    let (line, mut stream) = session(&venue).await;
    stream.frame(&[Inbound::Logout(Empty), probe(1)]).await;
    let behind = (2, 1, "unexpected_message".to_owned());
    assert_eq!(place(stream.next().await), behind, "nothing behind a logout is done");
    assert_eq!(stream.next().await, Some(Outbound::LoggedOut(Empty)));
    assert_eq!(stream.next().await, None);
    assert_eq!(line.end().await, "0 done");
    venue.close().await;
}

fn sign(order: NewOrder, meter: MeterId) -> Inbound {
    gateway::client::sign_new(&cast::meter_key(meter), order)
}

/// The order with each field changed in turn.
fn changed(order: &NewOrder, other_slot: types::SlotKey) -> Vec<(&'static str, NewOrder)> {
    let order = *order;
    let mut market = order.key;
    market.market = types::MarketId::new(2);
    vec![
        ("client order", NewOrder { client_order: ClientOrderId::new(77), ..order }),
        ("meter", NewOrder { meter: cast::THIRD, ..order }),
        ("slot", NewOrder { key: other_slot, ..order }),
        ("market", NewOrder { key: market, ..order }),
        ("side", NewOrder { side: order.side.opposite(), ..order }),
        (
            "time in force",
            NewOrder { time_in_force: types::TimeInForce::ImmediateOrCancel, ..order },
        ),
        ("limit", NewOrder { limit: types::Price::from_micros(99_000), ..order }),
        ("quantity", NewOrder { quantity: types::Energy::from_wh(20), ..order }),
        ("valid until", NewOrder { valid_until: order.valid_until.plus_ns(1), ..order }),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t03_a_signature_covers_every_field() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut bystander = Platform::log_on(&venue, 2).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    let order = platform.order(FIRST, Side::Sell, 100, 10);
    let Inbound::NewOrder(SignedNew { signature, .. }) = sign(order, FIRST) else {
        panic!("not an order");
    };
    for (field, changed) in changed(&order, venue.slot(1)) {
        let message = Inbound::NewOrder(SignedNew { order: changed, signature });
        let answer = told(&platform.ask(message).await);
        assert_eq!(answer, "turned away signature_invalid", "{field}");
        bystander.goes_on(SECOND).await;
    }
    for bit in [0, 255, 256, 511] {
        let mut bytes = *signature.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let message = Inbound::NewOrder(SignedNew { order, signature: Signature::new(bytes) });
        let answer = told(&platform.ask(message).await);
        assert_eq!(answer, "turned away signature_invalid", "bit {bit}");
    }
    // Nothing of all this used up the number or left a trace.
    let resting = platform.accepted(order).await.order;

    let replace = platform.replacement(resting, FIRST, 110, 20);
    let signed = gateway::client::sign_replace(&cast::meter_key(FIRST), replace);
    let Inbound::ReplaceOrder(SignedReplace { signature, .. }) = signed else {
        panic!("not a replacement");
    };
    for (field, changed) in [
        ("client order", ReplaceOrder { client_order: ClientOrderId::new(77), ..replace }),
        ("order", ReplaceOrder { order: OrderId::new(resting.get() + 1), ..replace }),
        ("meter", ReplaceOrder { meter: cast::THIRD, ..replace }),
        ("limit", ReplaceOrder { limit: types::Price::from_micros(0), ..replace }),
        ("quantity", ReplaceOrder { quantity: types::Energy::from_wh(30), ..replace }),
        ("valid until", ReplaceOrder { valid_until: replace.valid_until.plus_ns(1), ..replace }),
    ] {
        let message = Inbound::ReplaceOrder(SignedReplace { replace: changed, signature });
        let answer = told(&platform.ask(message).await);
        assert_eq!(answer, "turned away signature_invalid", "{field}");
    }
    assert_eq!(told(&platform.replace(replace).await), "replaced leaves 20");
    bystander.goes_on(SECOND).await;
    venue.close().await;
}

/// `signature` with the group's order added to its second half: the same equation holds, but the
/// encoding is not the one that RFC 8032 allows.
fn malleated(signature: &Signature) -> Signature {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut bytes = *signature.as_bytes();
    let mut carry = 0_u16;
    for (byte, more) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    Signature::new(bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_that_are_no_evidence_are_turned_away() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let mut bystander = Platform::log_on(&venue, 2).await;
    let mut platform = Platform::log_on(&venue, 1).await;
    // R is the neutral point and S is zero: under a key of small order this fits every message.
    let mut fits_all = [0; 64];
    fits_all[..32].copy_from_slice(&cast::NEUTRAL_POINT);
    let fits_all = Signature::new(fits_all);
    let weak = platform.order(WEAK, Side::Sell, 100, 10);
    let order = platform.order(FIRST, Side::Sell, 100, 10);
    let key = cast::meter_key(FIRST);
    let mut bytes = Vec::new();
    signing::new_order(&order, &mut bytes);
    let good = Signature::new(key.sign(&bytes).to_bytes());
    // The fields alone, without the words that say what they are for.
    let mut fields = Vec::new();
    order.put(&mut fields);
    let bare = Signature::new(key.sign(&fields).to_bytes());
    let replace_tag = [signing::REPLACE_ORDER_TAG.as_slice(), &fields].concat();
    let other_purpose = Signature::new(key.sign(&replace_tag).to_bytes());
    for (name, order, signature) in [
        ("weak key", weak, fits_all),
        ("small order", order, fits_all),
        ("malleated", order, malleated(&good)),
        ("without its purpose", order, bare),
        ("for another purpose", order, other_purpose),
        ("zeros", order, Signature::new([0; 64])),
        ("ones", order, Signature::new([0xff; 64])),
    ] {
        let answer = platform.ask(Inbound::NewOrder(SignedNew { order, signature })).await;
        assert_eq!(told(&answer), "turned away signature_invalid", "{name}");
        bystander.goes_on(SECOND).await;
    }
    let answer = platform.ask(sign(weak, WEAK)).await;
    assert_eq!(told(&answer), "turned away signature_invalid", "a real key is not the weak one");
    let answer = platform.ask(Inbound::NewOrder(SignedNew { order, signature: good })).await;
    assert_eq!(told(&answer), "new 10");
    venue.close().await;
}
