//! Output that has several parts, each a table of its own.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    exit::Failure,
    output::{self, Format},
};

/// A named table: rows that serialise to flat JSON objects.
#[derive(Debug)]
pub(super) struct Part {
    name: &'static str,
    rows: Vec<Value>,
}

impl Part {
    pub(super) fn new<T: Serialize>(name: &'static str, rows: &[T]) -> Result<Self, Failure> {
        let rows = rows.iter().map(serde_json::to_value).collect::<Result<_, _>>();
        Ok(Self { name, rows: rows.map_err(Failure::runtime)? })
    }
}

/// One cell of a table, as a row of its own: parts with other columns share a file this way.
#[derive(Debug, Serialize)]
struct Cell<'a> {
    part: &'static str,
    row: usize,
    name: &'a str,
    value: &'a Value,
}

/// Prints all parts: as titled tables, one JSON object of arrays, a line for each row, or a line for
/// each cell. Parts without rows are left out, except from the one object.
pub(super) fn print(parts: &[Part], format: Format) -> Result<(), Failure> {
    match format {
        Format::Human => {
            for part in parts.iter().filter(|part| !part.rows.is_empty()) {
                output::print(&format!("{}\n", part.name.replace('_', " ")))?;
                output::print_rows(&part.rows, format)?;
            }
            Ok(())
        }
        Format::Json => {
            let object: Map<String, Value> = parts
                .iter()
                .map(|part| (part.name.to_owned(), Value::from(part.rows.clone())))
                .collect();
            let text = serde_json::to_string_pretty(&object).map_err(Failure::runtime)?;
            output::print(&format!("{text}\n"))
        }
        Format::Ndjson => {
            let mut rows = Vec::new();
            for part in parts {
                rows.extend(part.rows.iter().map(|row| {
                    let mut object = Map::new();
                    object.insert("part".to_owned(), Value::from(part.name));
                    object.extend(row.as_object().cloned().unwrap_or_default());
                    Value::Object(object)
                }));
            }
            output::print_rows(&rows, format)
        }
        Format::Csv => {
            let mut cells = Vec::new();
            for part in parts {
                for (row, object) in part.rows.iter().enumerate() {
                    let fields = object.as_object().into_iter().flatten();
                    cells.extend(fields.map(|(name, value)| Cell {
                        part: part.name,
                        row,
                        name,
                        value,
                    }));
                }
            }
            output::print_rows(&cells, format)
        }
    }
}
