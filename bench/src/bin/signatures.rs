//! `signatures`: orders a second through one verifying thread, from the bytes of a frame to the ring,
//! signed one by one by their meters or together by their platform.
//!
//! What is measured: cutting the frame, decoding, the session, the checks of `gateway::verifier::admit`,
//! and the ring, which is emptied in the same time. No network, no engine.

use std::{
    io::Write as _,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use bench::no_trades::NoTrades;
use bench::{
    Failure,
    market::{Market, Setup},
    orders::{OrderSource, Style},
    rate,
    report::{CommonOptions, Report},
};
use clap::Parser;
use gateway::{
    Directory, Ingress, IngressReceiver,
    client::{FrameToSign, sign_new},
    session::Session,
    throttle::{Limits, Rate},
    verifier::{self, Admission},
};
use serde::Serialize;
use types::{Command, Party, PlatformId, Role, Seq, SessionId, ShardId, ShardMap, Shards};
use wire::{FrameBuilder, FrameDecoder, Inbound, inbound::Logon};

/// Meters that the orders are of.
const METERS: u32 = 1_024;
/// Books that they are for.
const BOOKS: u32 = 96;
/// Places of the ring.
const RING_COMMANDS: u32 = 4_096;
/// Frames that are made before and sent again and again: more than the caches hold of meters' keys.
const FRAMES: u64 = 64;

/// Time stands still here.
const UNLIMITED: Limits = Limits {
    orders: Rate { per_s: 0, burst: 1 },
    cancels: Rate { per_s: 0, burst: 1 },
    open_requests: u32::MAX,
};

/// Orders a second through one verifying thread, individually signed and in signed frames
#[derive(Debug, Parser, Serialize)]
struct Options {
    /// Messages of a signed frame, its signature included
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(2..=256))]
    frame_messages: u32,
    /// Seconds of each round
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Rounds; the fastest counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    #[command(flatten)]
    #[serde(skip)]
    common: CommonOptions,
}

#[derive(Debug, Serialize)]
struct Figures {
    individually_signed_per_s: u64,
    individually_signed_per_s_slowest_round: u64,
    in_signed_frames_per_s: u64,
    in_signed_frames_per_s_slowest_round: u64,
    ring_place_bytes: usize,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let report = Report::begin("signatures", &options.common);
    let market = Market::new(Setup::new(BOOKS, METERS), 1)?;
    let mut edge = Edge::new(&market)?;
    let singles = Edge::frames(&market, 256, false)?;
    let signed = Edge::frames(&market, options.frame_messages, true)?;
    let (mut single, mut framed) = (Vec::new(), Vec::new());
    // Side by side, so that whatever else the machine does hits both.
    for _ in 0..options.rounds {
        single.push(edge.round(&singles, Duration::from_secs(options.seconds))?);
        framed.push(edge.round(&signed, Duration::from_secs(options.seconds))?);
    }
    let most = |rates: &[u64]| rates.iter().copied().max().unwrap_or(0);
    let least = |rates: &[u64]| rates.iter().copied().min().unwrap_or(0);
    let figures = Figures {
        individually_signed_per_s: most(&single),
        individually_signed_per_s_slowest_round: least(&single),
        in_signed_frames_per_s: most(&framed),
        in_signed_frames_per_s_slowest_round: least(&framed),
        ring_place_bytes: size_of::<Command>(),
    };
    let digest = engine::digest_of(&signed).to_string();
    let text = report.finish(&options, &figures, &digest)?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// The edge without a network.
struct Edge {
    admission: Admission,
    receiver: IngressReceiver,
    drained: Vec<Command>,
}

impl Edge {
    fn new(market: &Market) -> Result<Self, Failure> {
        let directory = Directory::default();
        market.registry.meters.iter().for_each(|meter| directory.enrol(meter));
        market.registry.parties.iter().for_each(|party| directory.enrol_party(party));
        let map = ShardMap::new(Shards::ONE, std::iter::once(&market.definition))?;
        let (ingress, receiver) = Ingress::new(RING_COMMANDS);
        let admission = Admission {
            directory: Arc::new(directory),
            map: Arc::new(map),
            rings: vec![ingress],
            storage_low: Arc::new(AtomicBool::new(false)),
            open_requests_max: u32::MAX,
            unverified_max: u32::MAX,
            trades: Arc::new(NoTrades),
        };
        Ok(Self { admission, receiver, drained: Vec::new() })
    }

    /// A logon and frames behind it, as they stand on the stream.
    fn frames(market: &Market, messages: u32, together: bool) -> Result<Vec<u8>, Failure> {
        let platform = PlatformId::new(1);
        let key = market.party_key(Party { role: Role::Platform, number: platform.get() });
        let mut source = OrderSource::new(market, 7);
        let mut bytes = Vec::new();
        let mut builder = FrameBuilder::default();
        let logon = Inbound::Logon(Logon::new(10_000, ShardId::FIRST));
        builder.push(|out| logon.encode(out));
        builder.seal(1, &mut bytes);
        for number in 2..FRAMES + 2 {
            let mut next = || source.next_of(platform, Style::Any).ok_or("no more orders");
            let mut frame = FrameToSign::default();
            let mut sent = Vec::new();
            for _ in 0..messages.saturating_sub(u32::from(together)) {
                let order = next()?;
                if together {
                    frame.push(order);
                } else {
                    sent.push(sign_new(&market.meter_key(order.meter), order));
                }
            }
            if together {
                sent = frame.sign(&key, platform);
            }
            for message in &sent {
                builder.push(|out| message.encode(out));
            }
            builder.seal(number, &mut bytes);
        }
        Ok(bytes)
    }

    /// Sends the frames again and again for a while: orders a second.
    fn round(&mut self, bytes: &[u8], lasts: Duration) -> Result<u64, Failure> {
        let began = Instant::now();
        let mut orders = 0;
        while began.elapsed() < lasts {
            orders += self.stream(bytes)?;
        }
        Ok(rate::per_second(orders, began.elapsed()))
    }

    /// One session from its logon to its last frame: how many orders reached the ring.
    fn stream(&mut self, bytes: &[u8]) -> Result<u64, Failure> {
        let mut session =
            Session::new(PlatformId::new(1), SessionId::new(1), Shards::ONE, UNLIMITED);
        let mut decoder = FrameDecoder::default();
        let mut refused = 0_u64;
        let mut orders = 0_u64;
        // As a stream hands them out.
        for chunk in bytes.chunks(64 << 10) {
            decoder.extend(chunk);
            while let Some(frame) = decoder.next_frame()? {
                let handled = session.handle_frame(&frame, 0, |_| Seq::ZERO);
                let work = (&handled.requests[..], &handled.covered[..]);
                verifier::admit(ShardId::FIRST, work, u32::MAX, &self.admission, &mut |_, _| {
                    refused += 1
                });
                self.receiver.drain_into(&mut self.drained, usize::MAX);
                let is_order = |command: &&Command| command.new_order().is_some();
                orders += u64::try_from(self.drained.iter().filter(is_order).count())?;
                self.drained.clear();
            }
        }
        if refused > 0 {
            return Err(format!("{refused} orders were refused").into());
        }
        Ok(orders)
    }
}
