//! A log of orders, driven through an engine in this process.

mod machine;
mod venue;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use journal::JournalError;
use types::{Digest, Event, RejectReason, Sequenced, Timestamp};

pub use self::venue::{Band, Executions};
use self::{machine::Machine, venue::Venue};
use crate::import::{
    BadRow, CommandRows, FlowRows, Format, ItchRows, JournalRows, LobsterRows, Loss, Message, Row,
    RowError, Rows, Scale, TextRows,
};

/// Bad rows that are shown.
const BAD_ROWS_SHOWN: usize = 3;

/// How a log is read and driven.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the log is.
    pub format: Format,
    /// Ticks and lots of a file that has prices and quantities in units.
    pub scale: Scale,
    /// Levels of each book of such a file.
    pub levels: u32,
    /// The one symbol to use.
    pub symbol: Option<String>,
    /// What is before this time is applied and not timed.
    pub from: Option<Timestamp>,
    /// What is after this time is left out.
    pub to: Option<Timestamp>,
    /// So many times as fast as it happened; `None` is as fast as it goes.
    pub speed: Option<u32>,
    /// Pass over rows that are not of the format.
    pub skip_bad: bool,
    /// A new journal to write.
    pub journal: Option<PathBuf>,
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Rows read.
    pub rows: u64,
    /// Commands applied, those that are not timed included.
    pub commands: u64,
    /// Commands that were timed.
    pub timed: u64,
    /// What the engine needed for them.
    pub took: Duration,
    /// Their latencies in nanoseconds.
    pub latencies: Histogram<u64>,
    /// From the first row to the last.
    pub elapsed: Duration,
    /// Matches of two orders.
    pub trades: u64,
    /// Lots traded, or watt-hours in an exchange's own log.
    pub volume: u128,
    /// Ticks times lots, or micros times watt-hours: exact.
    pub notional: i128,
    /// Refusals by reason.
    pub rejects: BTreeMap<RejectReason, u64>,
    /// Rows that say nothing to a book, by reason.
    pub lost: BTreeMap<Loss, u64>,
    /// Rows passed over.
    pub bad_rows: u64,
    /// Executions of the file, compared with fills.
    pub executions: Executions,
    /// Digest of the state at the end.
    pub state_digest: Digest,
}

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Rows are not of the format.
    #[error("{}", shown(_0))]
    BadRows(Vec<BadRow>),
    /// The log cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// There is a journal where a new one was asked for.
    #[error("`{}` holds a journal already; name a new directory", path.display())]
    JournalExists {
        /// Where.
        path: PathBuf,
    },
    /// This program was built without what reads the format.
    #[error("this build does not read {format}; build it with `--features {feature}`")]
    NotBuilt {
        /// Which format.
        format: &'static str,
        /// What it is built with.
        feature: &'static str,
    },
    /// Latencies cannot be counted.
    #[error("no histogram of latencies")]
    Histogram(#[from] hdrhistogram::CreationError),
}

impl From<RowError> for RunError {
    fn from(error: RowError) -> Self {
        match error {
            RowError::Bad(row) | RowError::Broken(row) => Self::BadRows(vec![row]),
            RowError::Read { path, source } => Self::Read { path, source },
            RowError::Journal(error) => Self::Journal(error),
        }
    }
}

fn shown(rows: &[BadRow]) -> String {
    rows.iter().map(BadRow::to_string).collect::<Vec<_>>().join("\n  ")
}

/// Reads the log at `path` and applies it. `each` is told how many rows are done, now and then.
///
/// # Errors
/// When the log or a journal cannot be read or written, or rows are bad and not to be skipped.
pub fn run(path: &Path, options: &Options, each: &mut dyn FnMut(u64)) -> Result<Outcome, RunError> {
    let symbol = options.symbol.as_deref();
    let (rows, band): (Box<dyn Rows>, _) = match options.format {
        Format::Journal => (Box::new(JournalRows::open(&journal_of(path))?), None),
        Format::Commands => (Box::new(CommandRows::open(path)?), None),
        Format::Csv => (Box::new(TextRows::csv(path, options.scale, symbol)?), None),
        Format::Ndjson => (Box::new(TextRows::ndjson(path, options.scale, symbol)?), None),
        Format::Lobster => (Box::new(LobsterRows::open(path, options.scale)?), None),
        Format::Itch => (Box::new(ItchRows::open(path, options.scale, symbol)?), None),
        Format::Dbn => (dbn(path, options)?, None),
        Format::Flow => {
            let rows = FlowRows::open(path)?;
            let levels = rows.header().price_max;
            (Box::new(rows), Some(Band::From1 { levels }))
        }
    };
    let band = band.unwrap_or(Band::Around { levels: options.levels });
    let drive = Drive {
        options,
        band,
        machine: Machine::new(options.journal.as_deref())?,
        venue: None,
        tally: Tally::default(),
        pace: None,
    };
    drive.run(rows, each)
}

#[cfg(feature = "dbn")]
fn dbn(path: &Path, options: &Options) -> Result<Box<dyn Rows>, RunError> {
    let symbol = options.symbol.as_deref();
    Ok(Box::new(crate::import::DbnRows::open(path, options.scale, symbol)?))
}

#[cfg(not(feature = "dbn"))]
fn dbn(_: &Path, _: &Options) -> Result<Box<dyn Rows>, RunError> {
    Err(RunError::NotBuilt { format: "DBN", feature: "dbn" })
}

/// The first shard's journal of a data directory, or the directory itself.
fn journal_of(path: &Path) -> PathBuf {
    let shards = crate::shards(path);
    shards.into_iter().next().map_or_else(|| path.to_owned(), |shard| shard.journal)
}

/// Counts of a run.
#[derive(Debug, Default)]
struct Tally {
    rows: u64,
    commands: u64,
    trades: u64,
    volume: u128,
    notional: i128,
    rejects: BTreeMap<RejectReason, u64>,
    lost: BTreeMap<Loss, u64>,
    bad_rows: u64,
    /// The first bad rows, once a run has failed over them.
    refused: Vec<BadRow>,
}

/// Where a paced run began: by the clock and in the log.
#[derive(Debug, Clone, Copy)]
struct Pace {
    began: Instant,
    first: i64,
}

#[derive(Debug)]
struct Drive<'a> {
    options: &'a Options,
    band: Band,
    machine: Machine,
    venue: Option<Venue>,
    tally: Tally,
    pace: Option<Pace>,
}

impl Drive<'_> {
    fn run(
        mut self,
        mut rows: Box<dyn Rows>,
        each: &mut dyn FnMut(u64),
    ) -> Result<Outcome, RunError> {
        const TELL_EVERY: u64 = 65_536;
        let began = Instant::now();
        while let Some(row) = rows.next_row() {
            self.tally.rows = self.tally.rows.saturating_add(1);
            if self.tally.rows.is_multiple_of(TELL_EVERY) {
                each(self.tally.rows);
            }
            let is_over = match row {
                Ok(row) => self.row(row)?,
                Err(error) => self.refuse(error)?,
            };
            if is_over {
                break;
            }
        }
        if !self.tally.refused.is_empty() {
            return Err(RunError::BadRows(self.tally.refused));
        }
        self.flush()?;
        self.machine.finish()?;
        let Self { machine, tally, venue, .. } = self;
        Ok(Outcome {
            rows: tally.rows,
            commands: tally.commands,
            timed: machine.timed,
            took: machine.took,
            elapsed: began.elapsed(),
            trades: tally.trades,
            volume: tally.volume,
            notional: tally.notional,
            rejects: tally.rejects,
            lost: tally.lost,
            bad_rows: tally.bad_rows,
            executions: venue.map(|venue| venue.executions).unwrap_or_default(),
            state_digest: machine.engine.digest(),
            latencies: machine.latencies,
        })
    }

    /// Whether reading ends over a row that cannot be used.
    fn refuse(&mut self, error: RowError) -> Result<bool, RunError> {
        match error {
            RowError::Bad(_) if self.options.skip_bad => {
                self.tally.bad_rows = self.tally.bad_rows.saturating_add(1);
                Ok(false)
            }
            // The run has failed; more bad rows are looked for to be told together.
            RowError::Bad(row) => {
                self.tally.refused.push(row);
                Ok(self.tally.refused.len() == BAD_ROWS_SHOWN)
            }
            RowError::Broken(row) => {
                self.tally.refused.push(row);
                Ok(true)
            }
            error @ (RowError::Read { .. } | RowError::Journal(_)) => Err(error.into()),
        }
    }

    /// Whether a row is behind the last one that is wanted.
    fn row(&mut self, row: Row) -> Result<bool, RunError> {
        if !self.tally.refused.is_empty() {
            return Ok(false);
        }
        let time = match &row {
            Row::Command(command) => command.time,
            Row::Message(message) => Timestamp::from_ns(message.time),
            Row::Lost(loss) => {
                self.lose(*loss);
                return Ok(false);
            }
        };
        if self.options.to.is_some_and(|to| time > to) {
            return Ok(true);
        }
        let is_timed = self.options.from.is_none_or(|from| time >= from);
        if self.venue.is_none() && matches!(row, Row::Message(_)) {
            self.open(time)?;
        }
        if is_timed != self.machine.is_timed {
            self.flush()?;
            self.machine.is_timed = is_timed;
        }
        let due = self.wait(time)?;
        match row {
            Row::Command(Sequenced { value, .. }) => self.machine.load(time, value, due),
            Row::Message(message) => self.message(&message, due)?,
            Row::Lost(_) => {}
        }
        if self.machine.is_full() {
            self.flush()?;
        }
        Ok(false)
    }

    fn message(&mut self, message: &Message, due: Option<Instant>) -> Result<(), RunError> {
        if self.venue.as_ref().is_some_and(|venue| venue.must_wait_for(&message.action)) {
            self.flush()?;
        }
        let Some(venue) = &mut self.venue else { return Ok(()) };
        let time = Timestamp::from_ns(message.time);
        let machine = &mut self.machine;
        let entered = venue.commands(message, &mut |command| machine.load(time, command, due));
        if let Err(loss) = entered {
            self.lose(loss);
        }
        Ok(())
    }

    fn lose(&mut self, loss: Loss) {
        let count = self.tally.lost.entry(loss).or_default();
        *count = count.saturating_add(1);
    }

    /// Makes the market that the messages are for.
    fn open(&mut self, first: Timestamp) -> Result<(), RunError> {
        let venue = Venue::new(self.band, first.ns());
        for command in venue.opening() {
            self.machine.load(first, command, None);
        }
        self.venue = Some(venue);
        self.flush()
    }

    /// At a pace, waits for the time of a timed row and says when that was.
    fn wait(&mut self, time: Timestamp) -> Result<Option<Instant>, RunError> {
        let Some(speed) = self.options.speed.filter(|_| self.machine.is_timed) else {
            return Ok(None);
        };
        let pace =
            *self.pace.get_or_insert_with(|| Pace { began: Instant::now(), first: time.ns() });
        let since = time.ns().saturating_sub(pace.first).max(0);
        let since = u64::try_from(since).unwrap_or(0).div_euclid(u64::from(speed.max(1)));
        let Some(due) = pace.began.checked_add(Duration::from_nanos(since)) else {
            return Ok(None);
        };
        if due > Instant::now() {
            self.flush()?;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        Ok(Some(due))
    }

    /// Applies what was loaded and counts what it caused.
    fn flush(&mut self) -> Result<(), RunError> {
        if self.machine.is_empty() {
            return Ok(());
        }
        self.machine.apply()?;
        for (command, events) in self.machine.applied() {
            if let Some(venue) = &mut self.venue {
                venue.observe(command, events);
            }
            self.tally.count(events, self.venue.as_ref());
        }
        self.machine.clear();
        Ok(())
    }
}

impl Tally {
    fn count(&mut self, events: &[Event], venue: Option<&Venue>) {
        self.commands = self.commands.saturating_add(1);
        for event in events {
            if let Event::Trade(trade) = event {
                let price = venue.map_or(trade.price.micros(), |venue| venue.ticks(trade));
                let value = i128::from(price).saturating_mul(i128::from(trade.quantity.wh()));
                self.trades = self.trades.saturating_add(1);
                self.volume = self.volume.saturating_add(u128::from(trade.quantity.wh()));
                self.notional = self.notional.saturating_add(value);
            } else if let Event::OrderRejected(rejected) = event {
                self.reject(rejected.reason);
            } else if let Event::CommandRejected(rejected) = event {
                self.reject(rejected.reason);
            }
        }
    }

    fn reject(&mut self, reason: RejectReason) {
        let count = self.rejects.entry(reason).or_default();
        *count = count.saturating_add(1);
    }
}
