//! Truncated, flipped, miscounted and inflated bytes: always an error or another value.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::{Message, decoded, encoded, for_all, framed, read_stream, sample, tables};
use crate::{
    FeedMessage, Inbound, MarketMessage, Outbound,
    data::Answer,
    field::{DecodeError, Field},
    frame::{FRAME_HEADER_BYTES, FrameHeader},
    inbound::{InboundMessages, MassCancel},
};

/// Every copy of `bytes` with one bit flipped, and the index of the byte it is in.
fn flips(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        (bit / 8, flipped)
    })
}

/// Which bytes have only one possible value once the kind is known: the length and what is reserved.
fn is_fixed<M: Message>(message: &[u8]) -> Vec<bool> {
    let mut fixed = vec![false; message.len()];
    for row in tables::of_message::<M>(message).rows {
        if row.kind == "zero" || row.field.starts_with("length =") {
            fixed[row.range()].fill(true);
        }
    }
    fixed
}

fn check_message<M: Message>(message: &M) {
    let bytes = encoded(message);
    for end in 0..bytes.len() {
        assert_eq!(decoded::<M>(&bytes[..end]), Err(DecodeError::Truncated), "{message:?} {end}");
    }
    let fixed = is_fixed::<M>(&bytes);
    assert!(fixed[1..8].iter().all(|&fixed| fixed), "the rest of the head is fixed");
    for (at, flipped) in flips(&bytes) {
        match decoded::<M>(&flipped) {
            Err(_) => {}
            Ok(other) => {
                assert_ne!(other, *message, "byte {at}");
                assert!(!fixed[at], "byte {at} of {message:?} is fixed");
                assert_eq!(encoded(&other), flipped);
            }
        }
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(decoded::<M>(&longer), Err(DecodeError::TrailingBytes));
}

fn check_messages<M: Message>() {
    M::samples().iter().for_each(check_message);
    for_all(24, &M::arbitrary(), |message| {
        check_message(&message);
        Ok(())
    });
}

#[test]
fn damaged_messages_are_errors_or_other_messages() {
    check_messages::<Inbound>();
    check_messages::<Outbound>();
    check_messages::<FeedMessage>();
    check_messages::<MarketMessage>();
    check_messages::<Answer>();
    check_message(&Inbound::NewOrder(sample::signed(sample::crowded_order())));
}

/// Bytes 8 to 15 of a frame are its number, the only part of its header that may vary freely.
const FRAME_NUMBER: core::ops::Range<usize> = 8..16;

fn check_frame<M: Message>(messages: &[M]) {
    let bytes = framed(1, messages);
    let whole = Ok(vec![(1, messages.to_vec())]);
    assert_eq!(read_stream::<M>(&bytes), whole);
    for end in 1..bytes.len() {
        assert_eq!(read_stream::<M>(&bytes[..end]), Err("cut short".to_owned()), "{end}");
    }
    for (at, flipped) in flips(&bytes) {
        let read = read_stream::<M>(&flipped);
        assert_ne!(read, whole, "byte {at}");
        if at < FRAME_HEADER_BYTES {
            assert_eq!(read.is_ok(), FRAME_NUMBER.contains(&at), "byte {at} of the header");
        }
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(read_stream::<M>(&longer), Err("cut short".to_owned()));
}

fn check_frames<M: Message>() {
    for sample in M::samples() {
        check_frame(&[sample]);
    }
    check_frame(&M::samples());
}

#[test]
fn damaged_frames_are_errors_or_other_frames() {
    check_frames::<Inbound>();
    check_frames::<Outbound>();
    check_frames::<FeedMessage>();
    check_frames::<MarketMessage>();
    check_frames::<Answer>();
}

/// What iterating over `payload` as a frame of `count` messages says: one word per item.
fn check_iteration(payload: &[u8], count: u16, expected: &Expect) {
    let items = InboundMessages::new(payload, count).map(|item| match item {
        Ok(_) => "message".to_owned(),
        Err(error) => error.to_string(),
    });
    expected.assert_eq(&items.collect::<Vec<_>>().join("; "));
}

#[test]
fn a_frame_ends_at_its_first_damage() {
    let three: Vec<u8> = sample::inbound()[..3].iter().flat_map(encoded).collect();
    check_iteration(&three, 3, &expect!["message; message; message"]);
    check_iteration(&three, 2, &expect!["message; message; bytes follow the last message"]);
    check_iteration(&three, 4, &expect!["message; message; message; message is truncated"]);
    check_iteration(&three, u16::MAX, &expect!["message; message; message; message is truncated"]);
    check_iteration(&three, 0, &expect!["bytes follow the last message"]);
    check_iteration(&[], 0, &expect![""]);
    check_iteration(&[], 256, &expect!["message is truncated"]);
    check_iteration(&three[..47], 3, &expect!["message; message; message is truncated"]);
    let mut damaged = three;
    damaged[32] = 99;
    check_iteration(&damaged, 3, &expect!["message; message kind 99 is unknown"]);
}

#[test]
fn damage_is_reported_once_wherever_it_is() {
    let samples = sample::inbound();
    let payload: Vec<u8> = samples.iter().flat_map(encoded).collect();
    let count = u16::try_from(samples.len()).unwrap();
    for (at, flipped) in flips(&payload) {
        let mut messages = InboundMessages::new(&flipped, count);
        let errors = messages.by_ref().filter(Result::is_err).count();
        assert!(errors <= 1, "byte {at}");
        assert!(messages.next().is_none(), "byte {at}: it has ended");
    }
}

/// What decoding `bytes` as a message of a client says.
fn check_error(bytes: &[u8], expected: &Expect) {
    expected.assert_eq(&decoded::<Inbound>(bytes).unwrap_err().to_string());
}

/// The sample order with some bytes replaced.
fn order_with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut order = encoded(&Inbound::NewOrder(sample::signed_new()));
    order[at..at + bytes.len()].copy_from_slice(bytes);
    order
}

#[test]
fn errors_say_what_is_wrong() {
    check_error(&[], &expect!["message is truncated"]);
    check_error(&order_with(0, &[0]), &expect!["message kind 0 is unknown"]);
    check_error(&order_with(0, &[64]), &expect!["message kind 64 is unknown"]);
    check_error(&order_with(0, &[6]), &expect!["message of kind 6 cannot be 160 bytes long"]);
    check_error(&order_with(1, &[1]), &expect!["field of type `zero` has an impossible value"]);
    check_error(&order_with(2, &[121]), &expect!["message of kind 4 cannot be 121 bytes long"]);
    check_error(&order_with(2, &[0, 1]), &expect!["message of kind 4 cannot be 256 bytes long"]);
    let bad_slot = expect!["field of type `DeliverySlot` has an impossible value"];
    check_error(&order_with(74, &[7, 0]), &bad_slot);
    check_error(&order_with(74, &[0, 0]), &bad_slot);
    check_error(&order_with(76, &[0xff; 4]), &bad_slot);
    check_error(&order_with(84, &[2]), &expect!["field of type `Side` has an impossible value"]);
    let bad_kind = expect!["field of type `OrderKind` has an impossible value"];
    check_error(&order_with(85, &[2]), &bad_kind);
    let bad_time = expect!["field of type `TimeInForce` has an impossible value"];
    check_error(&order_with(86, &[4]), &bad_time);
    let bad_conditions = expect!["field of type `Conditions` has an impossible value"];
    check_error(&order_with(87, &[4]), &bad_conditions);
    let bad_list = expect!["field of type `ListKind` has an impossible value"];
    check_error(&order_with(88, &[3]), &bad_list);
    let reserved = expect!["field of type `zero` has an impossible value"];
    check_error(&order_with(90, &[1]), &reserved);
    check_error(&order_with(95, &[1]), &reserved);
}

/// The sample mass cancellation with some bytes replaced.
fn mass_cancel_with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let sample =
        sample::inbound().into_iter().find(|sample| matches!(sample, Inbound::MassCancel(_)));
    let mut message = encoded(&sample.unwrap());
    message[at..at + bytes.len()].copy_from_slice(bytes);
    message
}

#[test]
fn a_mass_cancellation_names_one_slot_or_none_and_a_scope_that_exists() {
    let bad_slot = expect!["field of type `DeliverySlot` has an impossible value"];
    check_error(&mass_cancel_with(18, &[0, 0]), &bad_slot);
    check_error(&mass_cancel_with(18, &[0; 6]), &bad_slot);
    let bad_scope = expect!["field of type `Scope` has an impossible value"];
    check_error(&mass_cancel_with(28, &[6]), &bad_scope);
    check_error(&mass_cancel_with(28, &[0]), &bad_scope);
    check_error(&mass_cancel_with(24, &[0, 0, 1, 0, 1]), &bad_scope);
    let everywhere = decoded::<Inbound>(&mass_cancel_with(16, &[0; 8])).unwrap();
    assert!(matches!(everywhere, Inbound::MassCancel(MassCancel { slot: None, .. })));
}

#[test]
fn a_count_or_a_length_cannot_make_a_reader_take_more_than_there_is() {
    let payload = encoded(&sample::inbound()[1]);
    let claims = [(u32::MAX, 1), (65_537, 1), (8, u16::MAX), (8, 257), (8, 0)];
    for (payload_bytes, messages) in claims {
        let mut bytes = Vec::new();
        FrameHeader { number: 1, payload_bytes, messages }.put(&mut bytes);
        bytes.extend_from_slice(&payload);
        assert!(read_stream::<Inbound>(&bytes).is_err(), "{payload_bytes} {messages}");
    }
    for_all(512, &(any::<u32>(), any::<u16>()), |(payload_bytes, messages)| {
        let mut bytes = Vec::new();
        FrameHeader { number: 1, payload_bytes, messages }.put(&mut bytes);
        bytes.extend_from_slice(&payload);
        let is_proper = (payload_bytes, messages) == (8, 1);
        prop_assert_eq!(read_stream::<Inbound>(&bytes).is_ok(), is_proper);
        Ok(())
    });
}
