//! `gridcross grid`: what is contracted on a utility's wires, and what it says of them.

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use settlement::{Curtailment, CurtailmentReason, GridLimit, PlaceName, ZoneCurtailment};
use types::{DeliverySlot, Energy, MeterId, Role, Side, Timestamp, UtilityId};
use wire::data::{RequestKind, ScheduleQuery, SinceQuery};

use super::{
    OutputOptions,
    connect::instant,
    data_port::{self, Access},
};
use crate::{
    exit::Failure,
    output::{self, Format},
    questions::{NoticeRow, ScheduleRows, WAIT_SECONDS_MAX},
};

const EXAMPLES: &str = "\
Examples:
  gridcross grid schedule --as utility/1 --data-dir ex --zone NORTH --from 2026-06-24T00:00Z --to 2026-06-25T00:00Z
  gridcross grid schedule --as utility/1 --data-dir ex --follow --output ndjson
  gridcross grid limit --as utility/1 --data-dir ex --zone NORTH --slot 2026-06-24T12:00Z --direction injection --wh 50000
  gridcross grid curtail --as utility/1 --data-dir ex --zone NORTH --feeder F7 --slot 2026-06-24T12:00Z --direction injection --cap-wh 20000
  gridcross grid curtail --as utility/1 --data-dir ex --meter 17 --slot 2026-06-24T12:00Z --reject --reason policy

Where meters hang, the utility says in a `meter_points` document: gridcross meter push points.json";

/// What utilities ask and say.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// What is contracted, by zone, feeder and slot
    Schedule {
        /// As whom
        #[command(flatten)]
        access: Access,
        /// Of which utility; operators say it
        #[arg(long)]
        utility: Option<u16>,
        /// Only this zone
        #[arg(long)]
        zone: Option<PlaceName>,
        /// Only this feeder
        #[arg(long)]
        feeder: Option<PlaceName>,
        /// First instant of delivery, RFC 3339 [default: everything]
        #[arg(long, value_parser = instant)]
        from: Option<Timestamp>,
        /// First instant after the period, RFC 3339 [default: everything]
        #[arg(long, value_parser = instant)]
        to: Option<Timestamp>,
        /// Only what changed after this number of the schedule
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// Go on with what changes, until stopped; needs --output ndjson
        #[arg(long)]
        follow: bool,
        /// With --follow: stop after so many answers
        #[arg(long, requires = "follow")]
        answers: Option<u32>,
        /// How it is printed
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Say how much may be traded in a zone or on a feeder, in a slot
    Limit {
        /// As whom
        #[command(flatten)]
        access: Access,
        /// Which zone
        #[arg(long)]
        zone: PlaceName,
        /// Which feeder of it; without, the whole zone
        #[arg(long)]
        feeder: Option<PlaceName>,
        /// Which way
        #[arg(long)]
        direction: Direction,
        /// Which slot, and which revision
        #[command(flatten)]
        slot: SlotOptions,
        /// The most that may be traded, in Wh
        #[arg(long)]
        wh: u64,
        /// How it is printed
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Curtail a meter, a feeder or a zone in a slot; both sides of each contract are told
    #[command(group(ArgGroup::new("what").required(true).args(["meter", "zone"])))]
    #[command(group(ArgGroup::new("how").required(true).args(["reject", "cap_wh"])))]
    Curtail {
        /// As whom
        #[command(flatten)]
        access: Access,
        /// One meter
        #[arg(long)]
        meter: Option<u32>,
        /// All contracts of a zone, pro rata
        #[arg(long, requires = "direction")]
        zone: Option<PlaceName>,
        /// Only those on this feeder of the zone
        #[arg(long, requires = "zone")]
        feeder: Option<PlaceName>,
        /// Which way; needed for a zone
        #[arg(long)]
        direction: Option<Direction>,
        /// Which slot, and which revision
        #[command(flatten)]
        slot: SlotOptions,
        /// Nothing may be moved
        #[arg(long)]
        reject: bool,
        /// The most that may be moved, in Wh
        #[arg(long)]
        cap_wh: Option<u64>,
        /// Why
        #[arg(long, default_value = "outage")]
        reason: ReasonName,
        /// How it is printed
        #[command(flatten)]
        output: OutputOptions,
    },
    /// What curtailments left of contracts, for the platforms, retailers and utilities of both sides
    Notices {
        /// As whom
        #[command(flatten)]
        access: Access,
        /// Only what has a larger number
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// Wait so many seconds for the first one
        #[arg(long, default_value_t = 0)]
        wait: u16,
        /// How it is printed
        #[command(flatten)]
        output: OutputOptions,
    },
}

/// Which slot a document is about.
#[derive(Debug, Clone, Args)]
pub struct SlotOptions {
    /// When it begins, RFC 3339
    #[arg(long = "slot", value_parser = instant)]
    start: Timestamp,
    /// How long it is, in minutes
    #[arg(long, default_value_t = 15)]
    minutes: u16,
    /// Which version of what is said of it, from 1 upwards
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    revision: u32,
}

impl SlotOptions {
    fn slot(&self) -> Result<DeliverySlot, Failure> {
        DeliverySlot::starting_at(self.start, self.minutes)
            .map_err(|error| Failure::usage(format!("--slot: {error}")))
    }
}

/// Which register is meant.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Direction {
    /// Into the grid: sellers
    Injection,
    /// Out of the grid: buyers
    Withdrawal,
}

impl Direction {
    const fn side(self) -> Side {
        match self {
            Self::Injection => Side::Sell,
            Self::Withdrawal => Side::Buy,
        }
    }
}

/// Why something is curtailed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ReasonName {
    /// The grid failed
    Outage,
    /// A rule was broken
    Policy,
}

impl From<ReasonName> for CurtailmentReason {
    fn from(name: ReasonName) -> Self {
        match name {
            ReasonName::Outage => Self::Outage,
            ReasonName::Policy => Self::Policy,
        }
    }
}

/// Carries the command out.
///
/// # Errors
/// With code 2 when options do not fit, 1 when a document is refused, and as the data port says.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Schedule { .. } => schedule(command),
        Command::Limit { access, zone, feeder, direction, slot, wh, output } => {
            let limit = GridLimit {
                zone: *zone,
                feeder: *feeder,
                side: direction.side(),
                slot: slot.slot()?,
                limit: Energy::from_wh(*wh),
                revision: slot.revision,
            };
            data_port::say(access, "grid limit", &limit.to_body(), output.output)
        }
        Command::Curtail {
            access,
            meter,
            zone,
            feeder,
            direction,
            slot,
            reject,
            cap_wh,
            reason,
            output,
        } => {
            let cap = Energy::from_wh(cap_wh.filter(|_| !reject).unwrap_or(0));
            let (revision, reason, slot) = (slot.revision, (*reason).into(), slot.slot()?);
            let body = match (meter, zone, direction) {
                (Some(meter), ..) => {
                    let meter = MeterId::new(*meter);
                    Curtailment { meter, slot, cap, reason, revision }.to_body()
                }
                (None, Some(zone), Some(direction)) => {
                    let (zone, feeder, side) = (*zone, *feeder, direction.side());
                    ZoneCurtailment { zone, feeder, side, slot, cap, reason, revision }.to_body()
                }
                (None, ..) => return Err(Failure::usage("--meter, or --zone with --direction")),
            };
            data_port::say(access, "curtailment", &body, output.output)
        }
        Command::Notices { access, after, wait, output } => {
            let query = SinceQuery { after: *after, wait_seconds: *wait, ..SinceQuery::default() };
            let rows: Vec<NoticeRow> = access.since(RequestKind::Notices, query)?;
            output::print_rows(&rows, output.output)
        }
    }
}

/// What is contracted, at once or as it changes.
fn schedule(command: &Command) -> Result<(), Failure> {
    let Command::Schedule {
        access,
        utility,
        zone,
        feeder,
        from,
        to,
        after,
        follow,
        answers,
        output,
    } = command
    else {
        return Ok(());
    };
    let own = access.party()?;
    let own = (own.role == Role::Utility).then_some(own.number);
    let Some(utility) = utility.or(own) else {
        return Err(Failure::usage("--utility: whose wires? only utilities need not say it"));
    };
    let query = ScheduleQuery {
        from: from.unwrap_or_else(|| Timestamp::from_ns(0)),
        to: to.unwrap_or_else(|| Timestamp::from_ns(i64::MAX)),
        after: *after,
        zone: *zone,
        feeder: *feeder,
        utility: UtilityId::new(utility),
        wait_seconds: 0,
    };
    if *follow {
        return follow_schedule(access, query, *answers, output.output);
    }
    let rows = access.run(async |client| {
        let text = client.schedule(query).await.map_err(data_port::failure)?;
        data_port::read::<ScheduleRows>(&text)
    })?;
    output::print_rows(&rows.lines, output.output)
}

/// Prints every change as it comes.
fn follow_schedule(
    access: &Access,
    query: ScheduleQuery,
    answers: Option<u32>,
    format: Format,
) -> Result<(), Failure> {
    if format != Format::Ndjson {
        return Err(Failure::usage("--follow needs --output ndjson: there is no end to it"));
    }
    access.run(async |client| {
        let mut query = query;
        let mut left = answers;
        while left != Some(0) {
            let text = client.schedule(query).await.map_err(data_port::failure)?;
            let rows: ScheduleRows = data_port::read(&text)?;
            output::print_rows(&rows.lines, format)?;
            query.after = rows.serial;
            query.wait_seconds = WAIT_SECONDS_MAX;
            left = left.map(|left| left.saturating_sub(1));
        }
        Ok(())
    })
}
