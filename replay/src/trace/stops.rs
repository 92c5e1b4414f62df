//! The stops of an order's life, as `docs/ARCHITECTURE.md` lists them.

/// A stop: its number, and where in the source it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Stop {
    /// From 1.
    pub number: u8,
    /// Files and functions.
    pub place: &'static str,
}

macro_rules! stops {
    ($($number:literal $place:literal)*) => {
        /// All of them, in order.
        pub static STOPS: [Stop; 18] = [$(Stop { number: $number, place: $place },)*];
    };
}

stops! {
    1 "gateway/src/quic/ or gateway/src/https/ serve, then gateway/src/trading.rs Reader::run"
    2 "wire/src/inbound.rs Inbound::decode"
    3 "gateway/src/session.rs handle_frame, gateway/src/verifier.rs admit"
    4 "gateway/src/ingress.rs push"
    5 "exchange/src/core_loop.rs turn"
    6 "exchange/src/sequencer.rs stamp"
    7 "engine/src/engine.rs apply"
    8 "engine/src/admission.rs admit_new, matching.rs sweep, calls.rs uncross_slot"
    9 "journal/src/writer.rs append, commit"
    10 "gateway/src/egress.rs publish"
    11 "exchange/src/feed.rs read_feed"
    12 "settlement/src/capture.rs in_order, contract"
    13 "settlement/src/metering/ envelope::open, authority, judge"
    14 "settlement/src/allocation.rs allocate"
    15 "settlement/src/outcome.rs decide, amounts"
    16 "settlement/src/mechanism/ clearing_house"
    17 "settlement/src/books/ round, due, posting"
    18 "settlement/src/tlog/ Frontier, tiles, note"
}

/// The stop of this number, from 1 to 18.
///
/// # Panics
/// When there is none.
#[expect(clippy::expect_used, reason = "numbers are written in this module's siblings")]
pub(super) fn stop(number: u8) -> &'static Stop {
    STOPS.iter().find(|stop| stop.number == number).expect("a stop of that number")
}
