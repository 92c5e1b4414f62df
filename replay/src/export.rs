//! A journal as a table, for other programs: orders, trades, events or commands, row by row.

#[cfg(feature = "parquet")]
mod parquet;

use std::{
    borrow::Cow,
    io::{self, Write},
    ops::ControlFlow,
    path::Path,
};

use journal::{Entry, JournalError};
use serde_json::Value;
use types::{Event, Timestamp};

use crate::fields::{Object, command_fields, event_fields};

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Orders that were accepted.
    Orders,
    /// Trades.
    Trades,
    /// Every event.
    Events,
    /// Every command, in a form that `replay run` reads.
    Commands,
}

/// In which format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header. Text that a spreadsheet would take for a formula is quoted
    /// with an apostrophe.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet; builds without the feature `parquet` do not write it.
    Parquet,
}

impl Format {
    /// Whether this build writes it.
    ///
    /// # Errors
    /// When it does not; the error names the feature to build with.
    pub const fn check(self) -> Result<(), ExportError> {
        match self {
            Self::Parquet if cfg!(not(feature = "parquet")) => {
                Err(ExportError::NotBuilt { format: "Parquet", feature: "parquet" })
            }
            Self::Csv | Self::Ndjson | Self::Parquet => Ok(()),
        }
    }
}

/// Which part of the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Not before this time.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
}

impl Span {
    fn holds(&self, time: Timestamp) -> bool {
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time < to)
    }
}

/// Why an export ends early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The journal cannot be read, or is damaged.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The rows cannot be written.
    #[error("cannot write the export")]
    Write(#[from] io::Error),
    /// This program was built without what writes the format.
    #[error("this build does not write {format}; build it with `--features {feature}`")]
    NotBuilt {
        /// Which format.
        format: &'static str,
        /// What it is built with.
        feature: &'static str,
    },
}

/// Writes rows of the journal in `dir` to `out`.
///
/// # Errors
/// When the journal cannot be read or is damaged, `out` fails, or this build does not write the format.
pub fn export(
    dir: &Path,
    what: What,
    format: Format,
    span: Span,
    out: &mut (dyn Write + Send),
) -> Result<(), ExportError> {
    let rows = Rows { dir, what, span };
    match format {
        Format::Csv => {
            let mut table = Table { format, columns: Vec::new(), out };
            // Rows of several kinds have different fields: all names are needed before the first row.
            rows.each(&mut |row| {
                table.learn(row);
                Ok(())
            })?;
            table.header()?;
            rows.each(&mut |row| table.row(row))
        }
        Format::Ndjson => {
            let mut table = Table { format, columns: Vec::new(), out };
            rows.each(&mut |row| table.row(row))
        }
        Format::Parquet => parquet(&rows, out),
    }
}

#[cfg(feature = "parquet")]
fn parquet(rows: &Rows<'_>, out: &mut (dyn Write + Send)) -> Result<(), ExportError> {
    let mut columns = parquet::Columns::default();
    rows.each(&mut |row| {
        columns.learn(row);
        Ok(())
    })?;
    let mut writer = parquet::Writer::new(columns, out)?;
    rows.each(&mut |row| writer.row(row))?;
    Ok(writer.finish()?)
}

#[cfg(not(feature = "parquet"))]
fn parquet(_: &Rows<'_>, _: &mut (dyn Write + Send)) -> Result<(), ExportError> {
    Format::Parquet.check()
}

/// Which rows.
struct Rows<'a> {
    dir: &'a Path,
    what: What,
    span: Span,
}

impl Rows<'_> {
    /// Calls `each` with every row, until it fails.
    fn each(&self, each: &mut dyn FnMut(&Object) -> io::Result<()>) -> Result<(), ExportError> {
        let mut failed = None;
        journal::scan(
            self.dir,
            &mut |entry, _| match each_row(entry, self.what, self.span, each) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            },
        )?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// The rows of an entry.
fn each_row(
    entry: &Entry,
    what: What,
    span: Span,
    each: &mut dyn FnMut(&Object) -> io::Result<()>,
) -> io::Result<()> {
    let command = &entry.command;
    if !span.holds(command.time) {
        return Ok(());
    }
    if what == What::Commands {
        return each(&command_fields(command));
    }
    for (index, event) in entry.events.iter().enumerate() {
        let is_wanted = match what {
            What::Events => true,
            What::Trades => matches!(event, Event::Trade(_)),
            What::Orders => matches!(event, Event::OrderAccepted(_)),
            What::Commands => false,
        };
        if is_wanted {
            each(&event_fields(command.seq, command.time, index, event))?;
        }
    }
    Ok(())
}

/// Rows on their way out.
struct Table<'a> {
    format: Format,
    columns: Vec<String>,
    out: &'a mut dyn Write,
}

impl Table<'_> {
    fn learn(&mut self, row: &Object) {
        for name in row.keys() {
            if !self.columns.contains(name) {
                self.columns.push(name.clone());
            }
        }
    }

    fn header(&mut self) -> io::Result<()> {
        writeln!(self.out, "{}", self.columns.join(","))
    }

    fn row(&mut self, row: &Object) -> io::Result<()> {
        if self.format == Format::Ndjson {
            serde_json::to_writer(&mut *self.out, row)?;
            return self.out.write_all(b"\n");
        }
        for (at, column) in self.columns.iter().enumerate() {
            if at > 0 {
                self.out.write_all(b",")?;
            }
            match row.get(column) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => self.out.write_all(cell(text).as_bytes())?,
                Some(value) => write!(self.out, "{value}")?,
            }
        }
        self.out.write_all(b"\n")
    }
}

/// Text as a cell: harmless to spreadsheets, and in quotes where it must be.
#[must_use]
pub fn cell(text: &str) -> Cow<'_, str> {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guarded = if is_formula { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) };
    if guarded.contains([',', '"', '\n', '\r']) {
        Cow::Owned(format!("\"{}\"", guarded.replace('"', "\"\"")))
    } else {
        guarded
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn golden(what: What, format: Format, span: Span) -> String {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../journal/golden/v1");
        let mut out = Vec::new();
        export(&dir, what, format, span, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn both_formats_hold_the_same_rows() {
        for what in [What::Orders, What::Trades, What::Events, What::Commands] {
            let csv = golden(what, Format::Csv, Span::default());
            let ndjson = golden(what, Format::Ndjson, Span::default());
            let mut rows = csv.lines();
            let header: Vec<&str> = rows.next().unwrap().split(',').collect();
            let mut compared = 0;
            for (line, object) in rows.zip(ndjson.lines()) {
                let cells = crate::import::split(line).unwrap();
                let cells: BTreeMap<_, _> = header.iter().copied().zip(cells).collect();
                let object: Object = serde_json::from_str(object).unwrap();
                for (name, value) in &object {
                    let text = match value {
                        Value::Null => String::new(),
                        Value::String(text) => text.clone(),
                        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                            value.to_string()
                        }
                    };
                    let found = cells[name.as_str()].trim_start_matches('\'');
                    assert_eq!(found, text.trim_start_matches('\''), "{name}");
                }
                compared += 1;
            }
            assert_eq!((csv.lines().count(), compared), (compared + 1, ndjson.lines().count()));
            assert!(compared > 0, "{what:?}");
        }
    }

    #[test]
    fn a_span_holds_its_start_and_not_its_end() {
        let all = golden(What::Commands, Format::Ndjson, Span::default());
        let times: Vec<i64> = all
            .lines()
            .map(|line| serde_json::from_str::<Object>(line).unwrap()["time_ns"].as_i64().unwrap())
            .collect();
        let (from, to) = (Timestamp::from_ns(times[5]), Timestamp::from_ns(times[8]));
        let part = golden(What::Commands, Format::Ndjson, Span { from: Some(from), to: Some(to) });
        let expected: Vec<&str> = all.lines().skip(5).take(3).collect();
        assert_eq!(part.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn formulas_are_neutralised() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            ("\tx", "'\tx"),
            ("=a,\"b\"", "\"'=a,\"\"b\"\"\""),
            ("plain", "plain"),
        ] {
            assert_eq!(cell(text), expected);
        }
    }
}
