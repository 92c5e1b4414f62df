//! One report, for people or programs.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    Failure,
    machine::{self, Machine},
};

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// One JSON document.
    Json,
}

/// What every benchmark program can be told.
#[derive(Debug, Clone, Args)]
pub struct CommonOptions {
    /// Decides everything that is random
    #[arg(long, default_value_t = 20_160_725)]
    pub seed: u64,
    /// Format of the report
    #[arg(long, value_enum, default_value = "human")]
    pub output: Format,
}

/// A report under construction: its head is observed before anything is measured.
#[derive(Debug)]
pub struct Report {
    name: &'static str,
    machine: Machine,
    options: CommonOptions,
}

impl Report {
    /// Begins the report of this program.
    #[must_use]
    pub fn begin(name: &'static str, options: &CommonOptions) -> Self {
        Self { name, machine: Machine::observe(), options: options.clone() }
    }

    /// Puts the report together. `digest` names the result: the same seed and parameters give the
    /// same, wherever the program decides the order of everything itself.
    ///
    /// # Errors
    /// When a part cannot be serialised.
    pub fn finish(
        self,
        parameters: &impl Serialize,
        result: &impl Serialize,
        digest: &str,
    ) -> Result<String, Failure> {
        let mut whole = Map::new();
        whole.insert("bench".to_owned(), self.name.into());
        whole.insert("machine".to_owned(), serde_json::to_value(&self.machine)?);
        whole.insert("load_at_end".to_owned(), machine::load().into());
        whole.insert("parameters".to_owned(), serde_json::to_value(parameters)?);
        whole.insert("seed".to_owned(), self.options.seed.into());
        whole.insert("result".to_owned(), serde_json::to_value(result)?);
        whole.insert("digest".to_owned(), digest.into());
        Ok(match self.options.output {
            Format::Json => serde_json::to_string_pretty(&Value::Object(whole))? + "\n",
            Format::Human => {
                let mut text = String::new();
                render(&whole, 0, &mut text);
                text
            }
        })
    }
}

fn render(object: &Map<String, Value>, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    for (name, value) in object {
        match value {
            Value::Object(inner) if inner.values().all(is_scalar) && depth > 0 => {
                let parts: Vec<_> =
                    inner.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect();
                writeln!(text, "{indent}{name}: {}", parts.join(" · ")).ok();
            }
            Value::Object(inner) => {
                writeln!(text, "{indent}{name}").ok();
                render(inner, depth.saturating_add(1), text);
            }
            Value::Array(rows) if rows.iter().all(Value::is_object) => {
                writeln!(text, "{indent}{name}\n{}", table(rows)).ok();
            }
            Value::Array(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_) => {
                writeln!(text, "{indent}{name}: {}", plain(value)).ok();
            }
        }
    }
}

fn table(rows: &[Value]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let objects: Vec<_> = rows.iter().filter_map(Value::as_object).map(flat).collect();
    if let Some(first) = objects.first() {
        table.set_header(first.keys());
    }
    for object in &objects {
        table.add_row(object.values().map(plain));
    }
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Columns of an inner object get its name in front.
fn flat(object: &Map<String, Value>) -> Map<String, Value> {
    let mut columns = Map::new();
    for (name, value) in object {
        if let Some(inner) = value.as_object() {
            let inner = inner.iter().map(|(part, value)| (format!("{name} {part}"), value.clone()));
            columns.extend(inner);
        } else {
            columns.insert(name.clone(), value.clone());
        }
    }
    columns
}

fn is_scalar(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
