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
        drive::{self, Held, Pace, Plan, SessionLoad, Until},
        frames::{FrameSource, Signing},
        market::Setup,
        orders::Style,
        timetable::{Stage, orders_of_session},
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
    /// Open loop, in three stages of `--seconds` each: the rate, so many times the rate, the rate again
    #[arg(long, conflicts_with = "window", value_parser = value_parser!(u8).range(2..=100))]
    overload: Option<u8>,
    /// Sessions of further platforms that are open and say nothing
    #[arg(long, default_value_t = 0, value_parser = value_parser!(u16).range(0..=1_000))]
    idle_sessions: u16,
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
    let platforms = options.sessions.saturating_add(options.idle_sessions);
    let setup = Setup { books: options.books, meters: options.meters, platforms };
    let server = Server::start(&Opened {
        setup,
        seed: options.seed,
        verifiers: options.verifiers,
        below: options.dir.clone().unwrap_or_else(std::env::temp_dir),
    })?;
    let sessions = sessions(options, &server).map_err(failed)?;
    let without = server.usage();
    let _idle = idle_sessions(options, &server).map_err(failed)?;
    let plan = Plan {
        pace: match options.window {
            None => Pace::Stages(options.stages()),
            Some(frames) => Pace::Window(frames.into()),
        },
        until: options.until,
        warm_up: options.warm_up(),
        length: options.length(),
    };
    let before = server.usage();
    let idle_kib = before.resident_kib.saturating_sub(without.resident_kib);
    let watch = server.watch_memory();
    let outcome = drive::run(sessions, &plan).map_err(failed)?;
    let memory = watch.finish();
    let used = server.usage().since(before);
    if let Some(path) = &options.hgrm {
        write(path, &outcome.latencies.hgrm())?;
    }
    let mut figures = Figures::of(options, &server, outcome, (&used, &memory));
    figures.idle_sessions_mib = (options.idle_sessions > 0).then_some(idle_kib / 1_024);
    if let Some(path) = &options.html {
        write(path, &figures.page())?;
    }
    Ok(figures)
}

impl Options {
    fn length(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    fn warm_up(&self) -> Duration {
        Duration::from_secs(self.warm_up_seconds.into())
    }

    /// Of an open loop; the warm-up is part of the first.
    fn stages(&self) -> Vec<Stage> {
        let stage = |times: u8, length| Stage {
            orders_per_s: self.rate.saturating_mul(times.into()),
            length,
        };
        let mut stages = vec![stage(1, self.warm_up() + self.length())];
        if let Some(times) = self.overload {
            stages.extend([stage(times, self.length()), stage(1, self.length())]);
        }
        stages
    }
}

/// Opens the sessions that say nothing.
fn idle_sessions(options: &Options, server: &Server) -> Result<Held, load::Failure> {
    let numbers = options.sessions..options.sessions.saturating_add(options.idle_sessions);
    let connectors: Result<Vec<_>, load::Failure> = numbers
        .map(|before| {
            let party = Party { role: Role::Platform, number: before.saturating_add(1) };
            Ok(server.connector(party)?)
        })
        .collect();
    drive::hold(&connectors?)
}

/// Signs everything that will be sent.
fn sessions(options: &Options, server: &Server) -> Result<Vec<SessionLoad>, load::Failure> {
    let mut source = FrameSource::new(&server.market, options.seed, options.sign);
    let each = match options.window {
        Some(_) => options.orders,
        None => orders_of_session(&options.stages(), options.sessions.into()),
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
