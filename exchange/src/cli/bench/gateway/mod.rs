//! `gridcross bench gateway`: signed orders over QUIC into a whole exchange in a process of its own,
//! until each is answered.

mod figures;
mod objective;
mod server;

use std::{fs, path::PathBuf, time::Duration};

use clap::{Args, value_parser};
use types::{Party, PlatformId, Role};

use self::{
    figures::Figures,
    objective::Objective,
    server::{Opened, Server},
};
use crate::{
    exit::{Failure, Kind},
    load::{
        self,
        drive::{self, Pace, Plan, SessionLoad, Until},
        frames::{FrameSource, Signing},
        market::Setup,
        orders::Style,
    },
    output::Format,
};

/// Orders that fit into a frame beside its signature.
const SIGNED_ORDERS_MAX: u16 = wire::frame::FRAME_MESSAGES_MAX - 1;

/// Options of `bench gateway`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Trading sessions, each of its own platform
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u16).range(1..=256))]
    sessions: u16,
    /// Orders in a frame; with a signature of the frame at most 255
    #[arg(long, default_value_t = 16, value_parser = value_parser!(u16).range(1..=256))]
    frame_orders: u16,
    /// Open loop: orders per second over all sessions
    #[arg(long, default_value_t = 10_000, conflicts_with = "window",
        value_parser = value_parser!(u64).range(1..=10_000_000))]
    rate: u64,
    /// Closed loop: frames of a session that may be unanswered; as fast as that allows
    #[arg(long, value_parser = value_parser!(u16).range(1..))]
    window: Option<u16>,
    /// Until when an order's latency counts
    #[arg(long, value_enum, default_value = "durable")]
    until: Until,
    /// How long it is measured
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u16).range(1..=600))]
    seconds: u16,
    /// How long orders are sent before that, which do not count
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u16).range(0..=60))]
    warm_up_seconds: u16,
    /// Closed loop: orders made ready for each session
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u64).range(1..=20_000_000))]
    orders: u64,
    /// Of a hundred orders, how many meet another; the others find nobody
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u8).range(0..=100))]
    meeting: u8,
    /// Who signs
    #[arg(long, value_enum, default_value = "order")]
    sign: Signing,
    /// Threads of the exchange that check signatures [default: as in its default configuration]
    #[arg(long, value_parser = value_parser!(u16).range(1..=256))]
    verifiers: Option<u16>,
    /// Slots that are traded
    #[arg(long, default_value_t = 96, value_parser = value_parser!(u32).range(1..=96))]
    books: u32,
    /// Meters that send orders
    #[arg(long, default_value_t = 2_048, value_parser = value_parser!(u32).range(256..=100_000))]
    meters: u32,
    /// Decides the orders
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Directory below which the exchange keeps its files [default: the system's for temporary files]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Write the distribution of latencies for HdrHistogram's tools
    #[arg(long)]
    hgrm: Option<PathBuf>,
    /// Write a page with the distribution of latencies
    #[arg(long)]
    html: Option<PathBuf>,
    /// What must hold, such as `p99<250us`, `accepted>=1000000`, `unanswered<=0`; may be repeated
    #[arg(long)]
    assert: Vec<Objective>,
    /// JSON of an earlier run, to be printed beside this one
    #[arg(long)]
    compare: Option<PathBuf>,
    /// Format of what is printed
    #[arg(long, value_enum, default_value = "human")]
    output: Format,
}

/// Measures and prints.
///
/// # Errors
/// See [`super::run`]; with code 5 where an objective is missed.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let before = options.compare.as_deref().map(figures::read).transpose()?;
    let figures = measure(options)?;
    figures::print(&figures, before.as_ref(), options.output)?;
    objective::check(&options.assert, &figures)
}

fn measure(options: &Options) -> Result<Figures, Failure> {
    if options.sign == Signing::Frame && options.frame_orders > SIGNED_ORDERS_MAX {
        return Err(Failure::usage(format!(
            "`--frame-orders` is {}, but a signed frame has at most {SIGNED_ORDERS_MAX} orders: its \
             signature is a message too",
            options.frame_orders
        )));
    }
    let setup = Setup { books: options.books, meters: options.meters, platforms: options.sessions };
    let server = Server::start(&Opened {
        setup,
        seed: options.seed,
        verifiers: options.verifiers,
        below: options.dir.clone().unwrap_or_else(std::env::temp_dir),
    })?;
    let sessions = sessions(options, &server).map_err(failed)?;
    let warm_up = Duration::from_secs(options.warm_up_seconds.into());
    let plan = Plan {
        pace: options
            .window
            .map_or(Pace::OrdersPerSecond(options.rate), |frames| Pace::Window(frames.into())),
        until: options.until,
        warm_up,
        length: Duration::from_secs(options.seconds.into()),
    };
    let before = server.usage();
    let outcome = drive::run(sessions, plan).map_err(failed)?;
    let used = server.usage().since(before);
    if let Some(path) = &options.hgrm {
        write(path, &outcome.latencies.hgrm())?;
    }
    let figures = Figures::of(options, &server, outcome, &used);
    if let Some(path) = &options.html {
        write(path, &figures.page())?;
    }
    Ok(figures)
}

/// Signs everything that will be sent.
fn sessions(options: &Options, server: &Server) -> Result<Vec<SessionLoad>, load::Failure> {
    let mut source = FrameSource::new(&server.market, options.seed, options.sign);
    let seconds = u64::from(options.seconds) + u64::from(options.warm_up_seconds);
    let each = match options.window {
        Some(_) => options.orders,
        None => (options.rate * seconds).div_ceil(options.sessions.into()),
    };
    (1..=options.sessions)
        .map(|number| {
            let platform = PlatformId::new(number);
            let style = Style::Passing(options.meeting);
            let frames = source.frames(platform, each, options.frame_orders, style)?;
            let connector = server.connector(Party { role: Role::Platform, number })?;
            Ok(SessionLoad { connector, opening: source.opening(platform), frames })
        })
        .collect()
}

#[expect(clippy::needless_pass_by_value, reason = "fits `map_err`")]
fn failed(error: load::Failure) -> Failure {
    Failure::new(Kind::Runtime, error.as_ref())
}

fn write(path: &std::path::Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text)
        .map_err(|error| Failure::usage(format!("cannot write `{}`: {error}", path.display())))
}
