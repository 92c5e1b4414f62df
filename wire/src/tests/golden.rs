//! The bytes of version 1, one file per message. A published file never changes: another layout is
//! another version.

use std::{collections::BTreeSet, env, fs, path::PathBuf};

use types::{
    ClientOrderId, Code, Conditions, Energy, ListKind, MarketId, MeterId, NewOrder, OrderKind,
    OrderList, Price, Seq, ShardId, Side, SlotKey, TimeInForce, Timestamp, UtilityId,
};

use super::{Message, encoded, framed, sample, tables};
use crate::{
    FeedMessage, Inbound, MarketMessage, Outbound,
    data::{Answer, P2pQuery, RequestHead, RequestKind, ScheduleQuery, SinceQuery},
    feed::Subscribe,
    field::Field,
    inbound::Logon,
    outbound::SessionAccepted,
};

/// What to do when a generated file or table is not as the code has it.
pub(super) const ADVICE: &str = "if the change is intended: UPDATE_GOLDEN=1 cargo test -p wire";

/// Whether files are to be written instead of compared.
pub(super) fn is_updating() -> bool {
    env::var_os("UPDATE_GOLDEN").is_some()
}

/// A hex dump as `xxd -g1` prints it; `xxd -r` turns it back into bytes.
pub(super) fn hex_dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (number, line) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown = |&byte: &u8| if (b' '..=b'~').contains(&byte) { char::from(byte) } else { '.' };
        let ascii: String = line.iter().map(shown).collect();
        text.push_str(&format!("{:08x}: {:47}  {ascii}\n", number * 16, hex.join(" ")));
    }
    text
}

/// The example of the document: one signed order, the second frame of a session.
pub(super) fn signed_order_frame() -> Vec<u8> {
    framed(2, &[Inbound::NewOrder(sample::signed_new())])
}

/// `NewOrder` of `Inbound` is `inbound_new_order`.
fn file_name(set: &str, message: &str) -> String {
    let mut name = String::new();
    for letter in format!("{set}{message}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    format!("{name}.hex")
}

fn dumps<M: Message>() -> impl Iterator<Item = (String, String)> {
    M::samples().into_iter().map(|message| {
        let bytes = encoded(&message);
        let table = tables::of_message::<M>(&bytes);
        (file_name(M::SET, &table.name), hex_dump(&bytes))
    })
}

fn request_dumps() -> [(String, String); 5] {
    let document = RequestHead { kind: RequestKind::Document, body_bytes: 70_000 };
    let question = RequestHead { kind: RequestKind::P2pEnergy, body_bytes: 24 };
    let query = P2pQuery {
        from: Timestamp::from_minutes(29_671_920),
        to: Timestamp::from_minutes(29_671_980),
        meter: MeterId::new(42),
    };
    let mut submission = Vec::new();
    document.put(&mut submission);
    let mut asking = Vec::new();
    question.put(&mut asking);
    query.put(&mut asking);
    let head = RequestHead { kind: RequestKind::Operate, body_bytes: 152 };
    let mut stopping = Vec::new();
    head.put(&mut stopping);
    sample::operated().signed.put(&mut stopping);
    let schedule = ScheduleQuery {
        from: Timestamp::from_minutes(29_671_920),
        to: Timestamp::from_minutes(29_673_360),
        after: 7,
        zone: Code::new("NORTH").ok(),
        feeder: None,
        utility: UtilityId::new(2),
        wait_seconds: 20,
    };
    let mut watching = Vec::new();
    RequestHead { kind: RequestKind::GridSchedule, body_bytes: 64 }.put(&mut watching);
    schedule.put(&mut watching);
    let mut verifying = Vec::new();
    RequestHead { kind: RequestKind::Verify, body_bytes: 16 }.put(&mut verifying);
    SinceQuery { after: 3, market: MarketId::new(1), wait_seconds: 0 }.put(&mut verifying);
    [
        ("request_document.hex".to_owned(), hex_dump(&submission)),
        ("request_p2p_energy.hex".to_owned(), hex_dump(&asking)),
        ("request_grid_schedule.hex".to_owned(), hex_dump(&watching)),
        ("request_verify.hex".to_owned(), hex_dump(&verifying)),
        ("request_operate.hex".to_owned(), hex_dump(&stopping)),
    ]
}

#[test]
fn messages_have_the_bytes_of_their_golden_files() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/v1");
    let crowded = encoded(&Inbound::NewOrder(sample::signed(sample::crowded_order())));
    let expected: Vec<(String, String)> = dumps::<Inbound>()
        .chain(dumps::<Outbound>())
        .chain(dumps::<FeedMessage>())
        .chain(dumps::<MarketMessage>())
        .chain(dumps::<Answer>())
        .chain(request_dumps())
        .chain([
            ("inbound_new_order_crowded.hex".to_owned(), hex_dump(&crowded)),
            ("frame_signed_new_order.hex".to_owned(), hex_dump(&signed_order_frame())),
            ("frame_signed.hex".to_owned(), hex_dump(&framed(3, &sample::signed_frame()))),
            ("definition_signed.hex".to_owned(), hex_dump(&signed_definition())),
        ])
        .collect();
    if is_updating() {
        for (name, dump) in &expected {
            fs::write(dir.join(name), dump).unwrap();
        }
    }
    for (name, dump) in &expected {
        let golden = fs::read_to_string(dir.join(name)).unwrap_or_default();
        assert_eq!(&golden, dump, "golden/v1/{name} differs; {ADVICE}");
    }
    let names: BTreeSet<String> = expected.into_iter().map(|(name, _)| name).collect();
    let files: BTreeSet<String> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, names, "there is no file without a message");
}

/// What an operator signs to define a market: an order, and the definition behind it.
fn signed_definition() -> Vec<u8> {
    let order = sample::operated().signed.operation;
    let mut signed = Vec::new();
    crate::signing::operation(&order, &mut signed);
    let order_only = signed.clone();
    crate::signing::definition(&order, &sample::market(), &mut signed);
    assert_eq!(signed[..order_only.len()], order_only);
    assert_eq!(signed.len(), crate::signing::DEFINITION_SIGNED_BYTES);
    signed
}

#[test]
fn signed_bytes_are_the_tag_and_the_fields_of_the_message() {
    use ed25519_dalek::Signature;

    let mut signed = Vec::new();
    crate::signing::new_order(&sample::new_order(), &mut signed);
    let message = encoded(&Inbound::NewOrder(sample::signed_new()));
    assert_eq!(signed.len(), crate::signing::NEW_ORDER_SIGNED_BYTES);
    assert_eq!(signed[..24], *crate::signing::NEW_ORDER_TAG);
    assert_eq!(signed[24..], message[8..96]);
    let signature = Signature::from_bytes(message[96..].try_into().unwrap());
    let key = sample::meter_key().verifying_key();
    key.verify_strict(&signed, &signature).unwrap();

    let replace = sample::inbound()[5];
    let Inbound::ReplaceOrder(body) = replace else { panic!("a replacement") };
    crate::signing::replace_order(&body.replace, &mut signed);
    let message = encoded(&replace);
    assert_eq!(signed.len(), crate::signing::REPLACE_ORDER_SIGNED_BYTES);
    assert_eq!(signed[..24], *crate::signing::REPLACE_ORDER_TAG);
    assert_eq!(signed[24..], message[8..56]);
    let signature = Signature::from_bytes(message[56..].try_into().unwrap());
    key.verify_strict(&signed, &signature).unwrap();
}

#[test]
fn every_part_of_an_order_is_signed() {
    let order = sample::crowded_order();
    let (conditions, list) = (order.conditions, order.list);
    let with = |conditions| NewOrder { conditions, ..order };
    let in_list = |list| NewOrder { list, ..order };
    let changed = [
        NewOrder { client_order: ClientOrderId::new(1), ..order },
        NewOrder { meter: MeterId::new(1), ..order },
        NewOrder { key: SlotKey { market: MarketId::new(2), ..order.key }, ..order },
        NewOrder { side: Side::Buy, ..order },
        NewOrder { kind: OrderKind::Limit, ..order },
        NewOrder { time_in_force: TimeInForce::FillOrKill, ..order },
        NewOrder { limit: Price::from_micros(1), ..order },
        NewOrder { quantity: Energy::from_wh(1), ..order },
        NewOrder { valid_until: Timestamp::from_ns(1), ..order },
        with(Conditions { post_only: true, ..conditions }),
        with(Conditions { all_or_none: false, ..conditions }),
        with(Conditions { display: Energy::from_wh(1), ..conditions }),
        with(Conditions { minimum: Energy::from_wh(1), ..conditions }),
        with(Conditions { expires: Timestamp::from_ns(1), ..conditions }),
        in_list(OrderList { kind: ListKind::Block, ..list }),
        in_list(OrderList { orders: 95, ..list }),
        in_list(OrderList { number: ClientOrderId::new(56), ..list }),
    ];
    let signed = |order: &NewOrder| {
        let mut bytes = Vec::new();
        crate::signing::new_order(order, &mut bytes);
        bytes
    };
    let mut all: BTreeSet<Vec<u8>> = changed.iter().map(signed).collect();
    assert!(all.insert(signed(&order)));
    assert_eq!(all.len(), changed.len() + 1);
}

/// What stands at a shard beyond the first differs from what stands at the first in these bytes.
fn differs<M: Message>(first: &M, other: &M) -> Vec<(usize, u8)> {
    let (first, other) = (encoded(first), encoded(other));
    let pairs = first.iter().zip(&other).enumerate();
    pairs.filter(|(_, (one, two))| one != two).map(|(at, (_, &byte))| (at, byte)).collect()
}

#[test]
fn another_shard_stands_where_the_first_has_zero() {
    let [shard, last_shard] = [2, 5].map(|index| ShardId::new(index).unwrap());
    let logon = |shard| Inbound::Logon(Logon::new(5_000, shard));
    assert_eq!(differs(&logon(ShardId::FIRST), &logon(shard)), [(12, 2)]);
    let after = Seq::new(9_000);
    let subscribe = |shard| FeedMessage::Subscribe(Subscribe { shard, after });
    assert_eq!(differs(&subscribe(ShardId::FIRST), &subscribe(shard)), [(14, 2)]);
    let samples = sample::outbound();
    let accepted = samples.iter().find_map(|sample| {
        if let Outbound::SessionAccepted(accepted) = sample { Some(*accepted) } else { None }
    });
    let first = accepted.unwrap();
    let other = Outbound::SessionAccepted(SessionAccepted { shard, last_shard, ..first });
    assert_eq!(differs(&Outbound::SessionAccepted(first), &other), [(20, 2), (21, 5)]);
}
