//! What is encoded decodes to itself, and nothing else does.

use proptest::{prelude::*, test_runner::TestCaseResult};
use types::Seq;

use super::{Message, decoded, encoded, for_all, framed, read_stream, tables, value};
use crate::{
    FeedMessage, Inbound, MarketMessage, Outbound,
    data::{Answer, BODY_BYTES_MAX, P2pQuery, RequestHead, RequestKind},
    field::{DecodeError, Field},
    inbound::InboundMessages,
};

fn check_round_trip<M: Message>() {
    let kinds: Vec<u8> = tables::of::<M>().iter().map(|table| table.kind).collect();
    let samples: Vec<u8> = M::samples().iter().map(|sample| encoded(sample)[0]).collect();
    assert_eq!(samples, kinds, "there is one sample of each kind of {}", M::SET);
    let property = |message: M| -> TestCaseResult {
        let bytes = encoded(&message);
        prop_assert_eq!(decoded::<M>(&bytes), Ok(message));
        let length = u16::from_le_bytes([bytes[2], bytes[3]]);
        prop_assert_eq!(usize::from(length), bytes.len());
        Ok(())
    };
    for_all(512, &M::arbitrary(), property);
}

#[test]
fn every_message_survives_a_round_trip() {
    check_round_trip::<Inbound>();
    check_round_trip::<Outbound>();
    check_round_trip::<FeedMessage>();
    check_round_trip::<MarketMessage>();
    check_round_trip::<Answer>();
}

fn check_frames<M: Message>() {
    let frames = prop::collection::vec(prop::collection::vec(M::arbitrary(), 1..=256), 1..4);
    for_all(16, &(any::<u64>(), frames), |(first, frames)| {
        let first = first.min(u64::MAX - 8);
        let numbered: Vec<(u64, Vec<M>)> = (first..).zip(frames).collect();
        let bytes: Vec<u8> =
            numbered.iter().flat_map(|(number, messages)| framed(*number, messages)).collect();
        prop_assert_eq!(read_stream::<M>(&bytes), Ok(numbered));
        Ok(())
    });
}

#[test]
fn frames_of_every_set_survive_a_round_trip() {
    check_frames::<Inbound>();
    check_frames::<Outbound>();
    check_frames::<FeedMessage>();
    check_frames::<MarketMessage>();
    check_frames::<Answer>();
}

/// Any bytes: pure noise, or a proper head with noise behind it.
fn noise<M: Message>() -> impl Strategy<Value = Vec<u8>> {
    let body = || prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..300);
    let headed = (prop::sample::select(tables::of::<M>()), body()).prop_map(|(table, body)| {
        let [low, high] = u16::try_from(table.bytes).unwrap().to_le_bytes();
        [&[table.kind, 0, low, high, 0, 0, 0, 0], body.as_slice()].concat()
    });
    prop_oneof![body(), headed]
}

fn check_noise<M: Message>() {
    for_all(4_096, &noise::<M>(), |bytes| {
        let mut rest = bytes.as_slice();
        if let Ok(message) = M::decode(&mut rest) {
            let used = bytes.len() - rest.len();
            prop_assert_eq!(encoded(&message), &bytes[..used], "one value, one encoding");
        }
        // A stream of it ends in frames or in an error, never in a panic.
        drop(read_stream::<M>(&bytes));
        let mut framed = Vec::new();
        let payload_bytes = u32::try_from(bytes.len()).unwrap();
        let header = crate::frame::FrameHeader { number: 1, payload_bytes, messages: 3 };
        header.put(&mut framed);
        framed.extend_from_slice(&bytes);
        drop(read_stream::<M>(&framed));
        Ok(())
    });
}

#[test]
fn arbitrary_bytes_never_panic_and_decode_in_one_way_only() {
    check_noise::<Inbound>();
    check_noise::<Outbound>();
    check_noise::<FeedMessage>();
    check_noise::<MarketMessage>();
    check_noise::<Answer>();
}

#[test]
fn iterating_over_noise_ends_with_at_most_one_error() {
    for_all(2_048, &(noise::<Inbound>(), any::<u16>()), |(bytes, count)| {
        let items: Vec<_> = InboundMessages::new(&bytes, count).collect();
        prop_assert!(items.len() <= usize::from(count) + 1);
        let errors = items.iter().filter(|item| item.is_err()).count();
        let proper = errors == 0;
        prop_assert!(proper || errors == 1 && items.last().unwrap().is_err());
        let used: usize = items.iter().flatten().map(|message| encoded(message).len()).sum();
        let is_exact = used == bytes.len() && items.len() == usize::from(count);
        prop_assert_eq!(proper, is_exact, "no error means every byte and message was taken");
        Ok(())
    });
}

#[test]
fn feed_items_and_messages_say_the_same() {
    for_all(256, &value::feed(), |message| {
        match message.item() {
            Some(item) => prop_assert_eq!(FeedMessage::from_item(&item), Some(message)),
            None => prop_assert!(matches!(
                message,
                FeedMessage::Subscribe(_) | FeedMessage::Progress(_) | FeedMessage::GoingAway(_)
            )),
        }
        Ok(())
    });
    assert_eq!(Seq::ZERO.get(), 0, "subscribing after 0 is subscribing to everything");
}

#[test]
fn requests_survive_a_round_trip_and_have_a_limit() {
    let kinds = prop::sample::select(RequestKind::ALL.to_vec());
    for_all(256, &(kinds, any::<u32>()), |(kind, body_bytes)| {
        let head = RequestHead { kind, body_bytes };
        let mut bytes = Vec::new();
        head.put(&mut bytes);
        let expected = if body_bytes <= BODY_BYTES_MAX {
            Ok(head)
        } else {
            Err(DecodeError::BadField("body_bytes"))
        };
        prop_assert_eq!(RequestHead::take(&mut bytes.as_slice()), expected);
        Ok(())
    });
    for_all(256, &value::p2p_query(), |query| {
        let mut bytes = Vec::new();
        query.put(&mut bytes);
        prop_assert_eq!(bytes.len(), P2pQuery::SIZE);
        prop_assert_eq!(P2pQuery::take(&mut bytes.as_slice()), Ok(query));
        for end in 0..bytes.len() {
            let cut = P2pQuery::take(&mut &bytes[..end]);
            prop_assert_eq!(cut, Err(DecodeError::Truncated));
        }
        Ok(())
    });
}
