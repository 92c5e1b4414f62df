//! Tests over every message of every set. The golden files lie in `wire/golden`; the tables of
//! `docs/protocol.md` are compared with the code. `UPDATE_GOLDEN=1 cargo test -p wire` writes both.

mod damage;
mod document;
mod golden;
mod round_trip;
mod sample;
mod sources;
mod tables;
mod value;

use core::fmt::Debug;

use proptest::{
    strategy::{BoxedStrategy, Strategy},
    test_runner::{Config, TestCaseResult, TestRunner},
};

use crate::{
    DecodeError, FeedMessage, FrameBuilder, FrameDecoder, Inbound, MarketMessage, Outbound,
    data::Answer,
};

/// A set of messages, as the tests see it.
trait Message: Copy + Debug + PartialEq {
    /// Its name.
    const SET: &'static str;
    fn encode(&self, out: &mut Vec<u8>);
    fn decode(bytes: &mut &[u8]) -> Result<Self, DecodeError>;
    fn byte_tables() -> String;
    /// One of each kind, in the order of declaration.
    fn samples() -> Vec<Self>;
    /// Any message with any values.
    fn arbitrary() -> BoxedStrategy<Self>;
}

macro_rules! message_sets {
    ($($set:ident = $samples:path, $arbitrary:path;)*) => {$(
        impl Message for $set {
            const SET: &'static str = stringify!($set);
            fn encode(&self, out: &mut Vec<u8>) {
                $set::encode(self, out);
            }
            fn decode(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
                $set::decode(bytes)
            }
            fn byte_tables() -> String {
                $set::byte_tables()
            }
            fn samples() -> Vec<Self> {
                $samples()
            }
            fn arbitrary() -> BoxedStrategy<Self> {
                $arbitrary().boxed()
            }
        }
    )*};
}
message_sets! {
    Inbound = sample::inbound, value::inbound;
    Outbound = sample::outbound, value::outbound;
    FeedMessage = sample::feed, value::feed;
    MarketMessage = sample::market_data, value::market_data;
    Answer = sample::answers, value::answer;
}

fn encoded<M: Message>(message: &M) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

/// Decodes bytes that must be exactly one message.
fn decoded<M: Message>(mut bytes: &[u8]) -> Result<M, DecodeError> {
    let message = M::decode(&mut bytes)?;
    if bytes.is_empty() { Ok(message) } else { Err(DecodeError::TrailingBytes) }
}

fn framed<M: Message>(number: u64, messages: &[M]) -> Vec<u8> {
    let mut builder = FrameBuilder::default();
    for message in messages {
        builder.push(|out| message.encode(out));
    }
    let mut bytes = Vec::new();
    builder.seal(number, &mut bytes);
    bytes
}

/// A whole stream: the number and the messages of each frame, or what is wrong with it.
fn read_stream<M: Message>(bytes: &[u8]) -> Result<Vec<(u64, Vec<M>)>, String> {
    let mut decoder = FrameDecoder::default();
    decoder.extend(bytes);
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next_frame().map_err(|error| error.to_string())? {
        let mut rest = frame.payload.as_slice();
        let mut messages = Vec::new();
        for _ in 0..frame.header.messages {
            messages.push(M::decode(&mut rest).map_err(|error| error.to_string())?);
        }
        if !rest.is_empty() {
            return Err(DecodeError::TrailingBytes.to_string());
        }
        frames.push((frame.header.number, messages));
    }
    if decoder.is_mid_frame() { Err("cut short".to_owned()) } else { Ok(frames) }
}

/// Runs a property on `cases` values.
fn for_all<T: Debug>(
    cases: u32,
    strategy: &impl Strategy<Value = T>,
    property: impl Fn(T) -> TestCaseResult,
) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if let Err(error) = TestRunner::new(config).run(strategy, property) {
        panic!("{error}");
    }
}
