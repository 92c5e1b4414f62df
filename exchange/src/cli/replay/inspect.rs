//! `gridcross replay inspect`: what is in a journal.

use std::{
    collections::BTreeMap,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

use ::replay::{
    fields::{Object, command_fields, event_fields, words},
    inspect::{Count, InspectError, Inspection},
    shards,
};
use clap::Args;
use journal::{Entry, JournalError, Reader};
use serde::Serialize;
use serde_json::Value;
use types::Seq;

use super::parts::{self, Part};
use crate::{cli::OutputOptions, exit::Failure, output::Format};

/// Options of `replay inspect`.
#[derive(Debug, Args)]
pub struct Options {
    /// A data directory, or the journal directory inside it
    dir: PathBuf,
    /// Print these entries instead, such as 100..120 or 100..
    #[arg(long, value_name = "FROM..TO")]
    entries: Option<Range>,
    /// How it is printed
    #[command(flatten)]
    output: OutputOptions,
}

/// Sequence numbers, both ends included.
#[derive(Debug, Clone, Copy)]
struct Range {
    first: u64,
    last: u64,
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let end = |text: &str, otherwise: u64| match text {
            "" => Ok(otherwise),
            number => number.parse::<u64>().map_err(|error| format!("`{number}`: {error}")),
        };
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let (first, last) = (end(first, 1)?, end(last, u64::MAX)?);
        if first == 0 || first > last {
            return Err("sequence numbers rise from 1, such as 100..120".to_owned());
        }
        Ok(Self { first, last })
    }
}

/// Inspects and prints.
///
/// # Errors
/// See [`super::run`].
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let format = options.output.output;
    let mut found = Vec::new();
    for shard in shards(&options.dir) {
        if let Some(range) = options.entries {
            print_entries(&shard.journal, range, format)?;
        } else {
            let inspection = ::replay::inspect::inspect(&shard.journal, &mut |_, _| {});
            found.extend(tables(&shard.journal, &inspection.map_err(failure)?)?);
        }
    }
    if options.entries.is_some() { Ok(()) } else { parts::print(&found, format) }
}

fn failure(error: InspectError) -> Failure {
    match error {
        InspectError::Journal(error) => Failure::journal(&error),
        read @ InspectError::Read { .. } => Failure::runtime(read),
    }
}

#[derive(Debug, Serialize)]
struct Summary {
    journal: String,
    entries: u64,
    first_time: String,
    last_time: String,
    segments: u32,
    epoch: u64,
    bytes_used: u64,
    bytes_per_order: Option<f64>,
    torn_bytes: u64,
    chain: String,
}

#[derive(Debug, Serialize)]
struct SegmentRow<'a> {
    index: u32,
    file: &'a str,
    first_seq: u64,
    last_seq: u64,
    batches: u64,
    bytes_used: u64,
    bytes: u64,
    epoch: u64,
}

#[derive(Debug, Serialize)]
struct BatchRow {
    batches: usize,
    entries_min: u32,
    entries_median: u32,
    entries_max: u32,
}

#[derive(Debug, Serialize)]
struct KindRow {
    kind: &'static str,
    count: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct RejectRow {
    code: u16,
    reason: &'static str,
    count: u64,
}

#[expect(
    clippy::float_arithmetic,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a figure for people; nothing is decided by it"
)]
fn tables(journal: &Path, found: &Inspection) -> Result<Vec<Part>, Failure> {
    let recovery = &found.recovery;
    let summary = Summary {
        journal: journal.display().to_string(),
        entries: recovery.entries,
        first_time: found.first_time.to_string(),
        last_time: recovery.last_time.to_string(),
        segments: recovery.segments,
        epoch: found.batches.epoch,
        bytes_used: found.bytes_used(),
        bytes_per_order: found.tenths_of_bytes_per_order().map(|tenths| tenths as f64 / 10.0),
        torn_bytes: recovery.torn_bytes,
        chain: recovery.chain.to_string(),
    };
    let segments: Vec<_> = found
        .segments
        .iter()
        .map(|segment| SegmentRow {
            index: segment.index,
            file: &segment.file,
            first_seq: segment.first_seq,
            last_seq: segment.last_seq,
            batches: segment.batches,
            bytes_used: segment.bytes_used,
            bytes: segment.bytes,
            epoch: segment.epoch,
        })
        .collect();
    let sizes = &found.batches.entries;
    let at = |index: usize| sizes.get(index).copied().unwrap_or(0);
    let batches = BatchRow {
        batches: sizes.len(),
        entries_min: at(0),
        entries_median: at(sizes.len() / 2),
        entries_max: at(sizes.len().saturating_sub(1)),
    };
    let rejects: Vec<_> = found
        .rejects
        .iter()
        .map(|(reason, &count)| RejectRow { code: reason.code(), reason: reason.name(), count })
        .collect();
    Ok(vec![
        Part::new("journal", &[summary])?,
        Part::new("segments", &segments)?,
        Part::new("batches", &[batches])?,
        Part::new("commands", &kinds(&found.commands))?,
        Part::new("events", &kinds(&found.events))?,
        Part::new("rejects", &rejects)?,
    ])
}

fn kinds(counts: &BTreeMap<&'static str, Count>) -> Vec<KindRow> {
    let row = |(&kind, count): (&&'static str, &Count)| KindRow {
        kind,
        count: count.count,
        bytes: count.bytes,
    };
    counts.iter().map(row).collect()
}

/// Prints entries as they are read, so that any number of them can be.
fn print_entries(journal: &Path, range: Range, format: Format) -> Result<(), Failure> {
    let told = |error: JournalError| Failure::journal(&error);
    // What is durable is what a scan finds.
    let recovery =
        ::journal::scan(journal, &mut |_, _| std::ops::ControlFlow::Continue(())).map_err(told)?;
    let last = Seq::new(range.last.min(recovery.last_seq.get()));
    let mut reader =
        Reader::open(journal, Seq::new(range.first.saturating_sub(1))).map_err(told)?;
    let mut entry = Entry::default();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut written = match format {
        Format::Csv => writeln!(out, "seq,time_ns,index,kind,fields"),
        Format::Json => writeln!(out, "["),
        Format::Human | Format::Ndjson => Ok(()),
    };
    let mut is_first = true;
    while written.is_ok() && reader.next(last, &mut entry).map_err(told)? {
        written = print_entry(&mut out, &entry, format, is_first);
        is_first = false;
    }
    if format == Format::Json && written.is_ok() {
        written = writeln!(out, "\n]");
    }
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::runtime(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn print_entry(
    out: &mut impl Write,
    entry: &Entry,
    format: Format,
    is_first: bool,
) -> io::Result<()> {
    let command = command_fields(&entry.command);
    let (seq, time) = (entry.command.seq, entry.command.time);
    let mut events = entry.events.iter().enumerate().map(|(index, event)| {
        // Place and time are the command's.
        let fields = event_fields(seq, time, index, event);
        fields.into_iter().skip(2).collect::<Object>()
    });
    match format {
        Format::Human => {
            writeln!(out, "{seq} {time} {}", words(command.iter().skip(2)))?;
            events.try_for_each(|event| writeln!(out, "    {}", words(event.iter())))
        }
        Format::Csv => {
            let mut line = |index: &str, fields: &Object, skip: usize| {
                let mut fields = fields.iter().skip(skip);
                let kind = fields.next().and_then(|(_, kind)| kind.as_str()).unwrap_or_default();
                let words = words(fields).replace('"', "\"\"");
                writeln!(out, "{seq},{},{index},{kind},\"{words}\"", time.ns())
            };
            line("", &command, 2)?;
            for (index, event) in events.enumerate() {
                line(&index.to_string(), &event, 1)?;
            }
            Ok(())
        }
        Format::Json | Format::Ndjson => {
            let mut object = command;
            object.insert("events".to_owned(), events.map(Value::Object).collect());
            let separator = if format == Format::Json && !is_first { ",\n" } else { "" };
            let end = if format == Format::Ndjson { "\n" } else { "" };
            write!(out, "{separator}{}{end}", Value::Object(object))
        }
    }
}
