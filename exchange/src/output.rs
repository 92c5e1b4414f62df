//! Data goes to stdout in the format that was asked for; a closed pipe is a normal end.

use std::{
    io::{self, Write},
    ops::ControlFlow,
};

use clap::ValueEnum;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

use crate::exit::Failure;

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for people.
    Human,
    /// One JSON document.
    Json,
    /// One JSON document per line.
    Ndjson,
    /// Comma-separated values with a header.
    Csv,
}

/// Prints text to stdout.
///
/// # Errors
/// When stdout fails otherwise than by being closed.
pub fn print(text: &str) -> Result<(), Failure> {
    print_on(text).map(|_| ())
}

/// Prints text to stdout, of which more will follow. Breaks when nobody reads it any more.
///
/// # Errors
/// When stdout fails otherwise than by being closed.
pub fn print_on(text: &str) -> Result<ControlFlow<()>, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(Failure::refused(format!("cannot write to stdout: {error}"))),
    }
}

/// Prints rows that serialise to flat JSON objects.
///
/// # Errors
/// When stdout fails otherwise than by being closed.
pub fn print_rows<T: Serialize>(rows: &[T], format: Format) -> Result<(), Failure> {
    let objects: Vec<serde_json::Value> = rows
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<_, _>>()
        .map_err(Failure::runtime)?;
    let text = match format {
        Format::Json => {
            let mut text = serde_json::to_string_pretty(&objects).map_err(Failure::runtime)?;
            text.push('\n');
            text
        }
        Format::Ndjson => objects.iter().map(|object| format!("{object}\n")).collect(),
        Format::Csv => csv(&objects),
        Format::Human if objects.is_empty() => "nothing\n".to_owned(),
        Format::Human => table(&objects),
    };
    print(&text)
}

fn columns(objects: &[serde_json::Value]) -> Vec<String> {
    objects
        .first()
        .and_then(serde_json::Value::as_object)
        .map(|object| object.keys().cloned().collect())
        .unwrap_or_default()
}

fn cell(object: &serde_json::Value, column: &str) -> String {
    match object.get(column) {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn csv(objects: &[serde_json::Value]) -> String {
    if objects.is_empty() {
        return String::new();
    }
    let columns = columns(objects);
    let mut text = columns.join(",");
    text.push('\n');
    for object in objects {
        let cells: Vec<_> = columns.iter().map(|column| csv_field(&cell(object, column))).collect();
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    text
}

/// Quotes what needs it, and keeps spreadsheets from taking text for a formula.
fn csv_field(text: &str) -> String {
    let is_number = text.parse::<rust_decimal::Decimal>().is_ok() && !text.starts_with('+');
    let guarded = if !is_number && text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if guarded.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}

fn table(objects: &[serde_json::Value]) -> String {
    let columns = columns(objects);
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(&columns);
    for object in objects {
        table.add_row(columns.iter().map(|column| cell(object, column)));
    }
    format!("{table}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_neutralises_formulas() {
        assert_eq!(csv_field("=1+1"), "'=1+1");
        assert_eq!(csv_field("-5"), "-5");
        assert_eq!(csv_field("-9981.39"), "-9981.39");
        assert_eq!(csv_field("+1"), "'+1");
        assert_eq!(csv_field("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
