use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

/// A frame whose payload is `payload_bytes` times the low byte of its number.
fn frame(number: u64, payload_bytes: u32) -> Frame {
    let header = FrameHeader { number, payload_bytes, messages: 1 };
    let [fill, ..] = number.to_le_bytes();
    Frame { header, payload: vec![fill; usize::try_from(payload_bytes).unwrap()] }
}

fn bytes_of(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames {
        frame.header.put(&mut bytes);
        bytes.extend_from_slice(&frame.payload);
    }
    bytes
}

/// Pushes the pieces one by one and takes all frames after each.
fn decode_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Frame> {
    let mut decoder = FrameDecoder::default();
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.extend(piece);
        while let Some(frame) = decoder.next_frame().unwrap() {
            frames.push(frame);
        }
    }
    assert!(!decoder.is_mid_frame());
    frames
}

#[test]
fn frames_do_not_depend_on_how_bytes_arrive() {
    let frames = [frame(1, 8), frame(2, 0), frame(3, 120), frame(u64::MAX, 16)];
    let bytes = bytes_of(&frames);
    assert_eq!(decode_pieces([bytes.as_slice()]), frames, "coalesced");
    assert_eq!(decode_pieces(bytes.chunks(1)), frames, "byte by byte");
    for first in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(first);
        assert_eq!(decode_pieces([head, tail]), frames, "split at {first}");
        for second in (0..=tail.len()).step_by(7) {
            let (middle, tail) = tail.split_at(second);
            assert_eq!(decode_pieces([head, middle, tail]), frames, "{first} {second}");
        }
    }
}

#[test]
fn a_frame_that_has_begun_shows_until_it_ends() {
    let bytes = bytes_of(&[frame(1, 8)]);
    let mut decoder = FrameDecoder::default();
    assert!(!decoder.is_mid_frame());
    for byte in &bytes {
        assert_eq!(decoder.next_frame(), Ok(None));
        decoder.extend(core::slice::from_ref(byte));
        assert!(decoder.is_mid_frame());
    }
    assert_eq!(decoder.next_frame(), Ok(Some(frame(1, 8))));
    assert!(!decoder.is_mid_frame());
    assert_eq!(decoder.next_frame(), Ok(None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_is_bounded_by_one_frame_and_what_was_pushed(
        sizes in prop::collection::vec(0..=FRAME_PAYLOAD_BYTES_MAX, 1..30),
        piece_max in 1_usize..100_000,
    ) {
        let frames: Vec<Frame> = (1..).zip(sizes).map(|(number, size)| frame(number, size)).collect();
        let bytes = bytes_of(&frames);
        let frame_max = FRAME_HEADER_BYTES + usize::try_from(FRAME_PAYLOAD_BYTES_MAX).unwrap();
        let mut decoder = FrameDecoder::default();
        let mut taken = 0;
        for piece in bytes.chunks(piece_max) {
            decoder.extend(piece);
            prop_assert!(decoder.buffer.len() <= frame_max + piece.len());
            // A vector at most doubles when it grows.
            prop_assert!(decoder.buffer.capacity() <= 2 * (frame_max + piece_max));
            while decoder.next_frame().unwrap().is_some() {
                taken += 1;
            }
            prop_assert!(decoder.buffer.len() - decoder.used < frame_max);
        }
        prop_assert_eq!(taken, frames.len());
    }
}

/// What a decoder says to the header of an empty-handed frame with some bytes replaced.
fn check(at: usize, bytes: &[u8], expected: &Expect) {
    let mut header = bytes_of(&[frame(1, 0)]);
    header[at..at + bytes.len()].copy_from_slice(bytes);
    let mut decoder = FrameDecoder::default();
    decoder.extend(&header);
    let error = decoder.next_frame().unwrap_err();
    expected.assert_eq(&error.to_string());

    for _ in 0..3 {
        decoder.extend(&bytes_of(&[frame(2, 8)]));
        assert_eq!(decoder.next_frame(), Err(error), "an error stays");
        assert_eq!(decoder.buffer.capacity(), 0, "nothing is held after an error");
    }
}

#[test]
fn impossible_headers_are_named() {
    check(0, b"PR", &expect!["bytes are not a frame"]);
    check(0, b"XG", &expect!["bytes are not a frame"]);
    check(2, &[0], &expect!["frame has version 0, this side speaks 1"]);
    check(2, &[2], &expect!["frame has version 2, this side speaks 1"]);
    check(3, &[1], &expect!["reserved bytes of the frame header are not zero"]);
    check(4, &[1, 0, 1, 0], &expect!["frame of 65537 bytes, at most 65536 are allowed"]);
    check(4, &[0xff; 4], &expect!["frame of 4294967295 bytes, at most 65536 are allowed"]);
    check(16, &[0, 0], &expect!["frame of 0 messages, 1 to 256 are allowed"]);
    check(16, &[1, 1], &expect!["frame of 257 messages, 1 to 256 are allowed"]);
    for reserved in 18..24 {
        check(reserved, &[128], &expect!["reserved bytes of the frame header are not zero"]);
    }
}

#[test]
fn another_version_is_named_before_anything_else_in_the_header() {
    check(2, &[9, 9, 0xff, 0xff, 0xff, 0xff], &expect!["frame has version 9, this side speaks 1"]);
}

#[test]
fn the_largest_messages_fill_the_largest_frame() {
    assert_eq!(
        u32::from(FRAME_MESSAGES_MAX) * u32::from(MESSAGE_BYTES_MAX),
        FRAME_PAYLOAD_BYTES_MAX
    );
    let mut builder = FrameBuilder::default();
    assert!(builder.is_empty());
    while !builder.is_full() {
        builder.push(|out| out.extend_from_slice(&[1; 256]));
    }
    assert_eq!(builder.messages(), FRAME_MESSAGES_MAX);
    let mut bytes = Vec::new();
    builder.seal(5, &mut bytes);
    assert!(builder.is_empty(), "the next frame has begun");
    let header = FrameHeader {
        number: 5,
        payload_bytes: FRAME_PAYLOAD_BYTES_MAX,
        messages: FRAME_MESSAGES_MAX,
    };
    let [decoded] = &decode_pieces([bytes.as_slice()])[..] else { panic!("one frame") };
    assert_eq!(decoded.header, header);
}

#[test]
#[should_panic(expected = "frame is full")]
fn nothing_is_pushed_into_a_full_frame() {
    let mut builder = FrameBuilder::default();
    for _ in 0..=FRAME_MESSAGES_MAX {
        builder.push(|_| {});
    }
}

#[test]
#[should_panic(expected = "frame has no message")]
fn an_empty_frame_is_not_sealed() {
    FrameBuilder::default().seal(1, &mut Vec::new());
}
