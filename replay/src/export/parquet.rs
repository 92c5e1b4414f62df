//! A table as a Parquet file: a column for every name, of the narrowest kind that all its values fit.
//!
//! The columns and their order are those of the CSV. Every column may be empty in a row.

use std::{
    io::{self, Write},
    sync::Arc,
};

use ::parquet::{
    basic::{LogicalType, Repetition, Type as Physical},
    data_type::{BoolType, ByteArray, ByteArrayType, Int64Type},
    errors::ParquetError,
    file::{
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::types::Type,
};
use serde_json::Value;

use crate::fields::Object;

/// Rows of a group, which is kept in memory until it is written: 16 columns of at most 32 bytes and a
/// level of 2 each are 34 MiB.
const GROUP_ROWS: usize = 65_536;
/// The only level of a value that is there; one that is not there has 0.
const PRESENT: i16 = 1;

/// The columns of a table, learnt from all of its rows.
#[derive(Debug, Default)]
pub(super) struct Columns(Vec<Learnt>);

#[derive(Debug)]
struct Learnt {
    name: String,
    is_seen: bool,
    /// Whether every value so far is a truth value, fits `i64`, fits `u64`.
    are_flags: bool,
    are_signed: bool,
    are_unsigned: bool,
}

impl Learnt {
    fn new(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, is_seen: false, are_flags: true, are_signed: true, are_unsigned: true }
    }

    fn learn(&mut self, value: &Value) {
        if value.is_null() {
            return;
        }
        self.is_seen = true;
        self.are_flags &= value.is_boolean();
        self.are_signed &= value.is_i64();
        self.are_unsigned &= value.is_u64();
    }

    const fn values(&self) -> Values {
        if !self.is_seen {
            Values::Texts(Vec::new())
        } else if self.are_flags {
            Values::Flags(Vec::new())
        } else if self.are_signed {
            Values::Signed(Vec::new())
        } else if self.are_unsigned {
            Values::Unsigned(Vec::new())
        } else {
            Values::Texts(Vec::new())
        }
    }
}

impl Columns {
    /// Takes note of a row's names and values.
    pub(super) fn learn(&mut self, row: &Object) {
        for (name, value) in row {
            let at = self.0.iter().position(|column| column.name == *name);
            let at = at.unwrap_or_else(|| {
                self.0.push(Learnt::new(name));
                self.0.len().saturating_sub(1)
            });
            if let Some(column) = self.0.get_mut(at) {
                column.learn(value);
            }
        }
    }
}

/// Values of a column that are there, in the order of their rows.
enum Values {
    Flags(Vec<bool>),
    Signed(Vec<i64>),
    Unsigned(Vec<i64>),
    Texts(Vec<ByteArray>),
}

struct Column {
    name: String,
    /// One a row: whether it has a value.
    levels: Vec<i16>,
    values: Values,
}

impl Column {
    fn schema(&self) -> Result<Type, ParquetError> {
        let (physical, logical) = match &self.values {
            Values::Flags(_) => (Physical::BOOLEAN, None),
            Values::Signed(_) => (Physical::INT64, None),
            Values::Unsigned(_) => (Physical::INT64, Some(LogicalType::integer(64, false))),
            Values::Texts(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        Type::primitive_type_builder(&self.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
    }

    /// Takes a row's value. One that is not of the kind that was learnt cannot be: both passes read the
    /// same rows; it would be left empty.
    fn push(&mut self, value: Option<&Value>) {
        let is_present = value.is_some_and(|value| match &mut self.values {
            Values::Flags(flags) => pushed(flags, value.as_bool()),
            Values::Signed(numbers) => pushed(numbers, value.as_i64()),
            Values::Unsigned(numbers) => pushed(numbers, value.as_u64().map(u64::cast_signed)),
            Values::Texts(texts) => pushed(texts, text(value)),
        });
        self.levels.push(if is_present { PRESENT } else { 0 });
    }

    fn write(&mut self, out: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = Some(self.levels.as_slice());
        match &mut self.values {
            Values::Flags(flags) => {
                out.typed::<BoolType>().write_batch(flags, levels, None)?;
                flags.clear();
            }
            Values::Signed(numbers) | Values::Unsigned(numbers) => {
                out.typed::<Int64Type>().write_batch(numbers, levels, None)?;
                numbers.clear();
            }
            Values::Texts(texts) => {
                out.typed::<ByteArrayType>().write_batch(texts, levels, None)?;
                texts.clear();
            }
        }
        self.levels.clear();
        Ok(())
    }
}

fn pushed<T>(values: &mut Vec<T>, value: Option<T>) -> bool {
    let before = values.len();
    values.extend(value);
    values.len() > before
}

/// As in the CSV, but no spreadsheet takes it for a formula here.
fn text(value: &Value) -> Option<ByteArray> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    Some(text.into_bytes().into())
}

/// A file on its way out.
pub(super) struct Writer<'a> {
    file: SerializedFileWriter<&'a mut (dyn Write + Send)>,
    columns: Vec<Column>,
    rows: usize,
}

impl<'a> Writer<'a> {
    /// Begins the file.
    pub(super) fn new(columns: Columns, out: &'a mut (dyn Write + Send)) -> io::Result<Self> {
        let columns: Vec<_> = columns
            .0
            .into_iter()
            .map(|learnt| {
                let values = learnt.values();
                Column { name: learnt.name, levels: Vec::new(), values }
            })
            .collect();
        let fields: Result<_, _> =
            columns.iter().map(|column| column.schema().map(Arc::new)).collect();
        let schema = fields
            .and_then(|fields| Type::group_type_builder("row").with_fields(fields).build())
            .map_err(write_error)?;
        let properties = Arc::new(WriterProperties::builder().build());
        let file =
            SerializedFileWriter::new(out, Arc::new(schema), properties).map_err(write_error)?;
        Ok(Self { file, columns, rows: 0 })
    }

    /// Adds a row.
    pub(super) fn row(&mut self, row: &Object) -> io::Result<()> {
        for column in &mut self.columns {
            column.push(row.get(&column.name));
        }
        self.rows = self.rows.saturating_add(1);
        if self.rows < GROUP_ROWS { Ok(()) } else { self.group().map_err(write_error) }
    }

    /// Writes the last rows and the file's end.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.group().and_then(|()| self.file.close().map(drop)).map_err(write_error)
    }

    fn group(&mut self) -> Result<(), ParquetError> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for column in &mut self.columns {
            if let Some(mut out) = group.next_column()? {
                column.write(&mut out)?;
                out.close()?;
            }
        }
        self.rows = 0;
        group.close().map(drop)
    }
}

/// What the system said, where it said something: a reader that has enough is no failure.
fn write_error(error: ParquetError) -> io::Error {
    let ParquetError::External(source) = error else { return io::Error::other(error) };
    source.downcast::<io::Error>().map_or_else(io::Error::other, |error| *error)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, path::Path};

    use ::parquet::{
        file::reader::{FileReader, SerializedFileReader},
        record::Field,
    };

    use super::*;
    use crate::export::{Format, Span, What, cell, export};

    fn golden(what: What, format: Format) -> Vec<u8> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../journal/golden/v1");
        let mut out = Vec::new();
        export(&dir, what, format, Span::default(), &mut out).unwrap();
        out
    }

    fn reader(bytes: &[u8]) -> SerializedFileReader<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        SerializedFileReader::new(file).unwrap()
    }

    fn as_cell(field: &Field) -> String {
        if let Field::Str(text) = field {
            return cell(text).into_owned();
        }
        if *field == Field::Null { String::new() } else { field.to_string() }
    }

    #[test]
    fn rows_and_columns_are_those_of_the_csv() {
        for what in [What::Orders, What::Trades, What::Events, What::Commands] {
            let csv = String::from_utf8(golden(what, Format::Csv)).unwrap();
            let mut lines = csv.lines();
            let header = lines.next().unwrap();
            let reader = reader(&golden(what, Format::Parquet));
            let schema = reader.metadata().file_metadata().schema();
            let names: Vec<_> = schema.get_fields().iter().map(|field| field.name()).collect();
            assert_eq!(names.join(","), header, "{what:?}");
            let rows: Vec<_> = reader
                .get_row_iter(None)
                .unwrap()
                .map(|row| {
                    let row = row.unwrap();
                    let cells: Vec<_> =
                        row.get_column_iter().map(|(_, field)| as_cell(field)).collect();
                    cells.join(",")
                })
                .collect();
            assert!(!rows.is_empty(), "{what:?}");
            assert_eq!(rows, lines.collect::<Vec<_>>(), "{what:?}");
        }
    }

    fn write(rows: &[Object]) -> Vec<u8> {
        let (mut columns, mut out) = (Columns::default(), Vec::new());
        rows.iter().for_each(|row| columns.learn(row));
        let mut writer = Writer::new(columns, &mut out).unwrap();
        rows.iter().for_each(|row| writer.row(row).unwrap());
        writer.finish().unwrap();
        out
    }

    #[test]
    fn a_column_has_the_kind_that_all_its_values_fit() {
        let rows = [
            serde_json::json!({ "a": true, "b": -1, "c": 1, "d": -1, "e": 7, "f": null, "g": [1] }),
            serde_json::json!({ "c": u64::MAX, "d": u64::MAX, "e": "=x", "b": 2 }),
        ];
        let rows = rows.map(|row| serde_json::from_value::<Object>(row).unwrap());
        let reader = reader(&write(&rows));
        let read: Vec<_> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| {
                let row = row.unwrap();
                row.get_column_iter().map(|(_, field)| field.clone()).collect::<Vec<_>>()
            })
            .collect();
        let text = |text: &str| Field::Str(text.to_owned());
        let first = [
            Field::Bool(true),
            Field::Long(-1),
            Field::ULong(1),
            text("-1"),
            text("7"),
            Field::Null,
            text("[1]"),
        ];
        let second = [
            Field::Null,
            Field::Long(2),
            Field::ULong(u64::MAX),
            text("18446744073709551615"),
            text("=x"),
            Field::Null,
            Field::Null,
        ];
        assert_eq!(read, [first.to_vec(), second.to_vec()]);
    }

    #[test]
    fn long_tables_are_written_in_groups() {
        let row = |at: usize| {
            let row = serde_json::json!({ "at": at, "odd": (at % 2 == 1).then_some("odd") });
            serde_json::from_value::<Object>(row).unwrap()
        };
        let rows: Vec<_> = (0..=GROUP_ROWS).map(row).collect();
        let reader = reader(&write(&rows));
        assert_eq!(reader.num_row_groups(), 2);
        let last = reader.get_row_iter(None).unwrap().last().unwrap().unwrap();
        let last: Vec<_> = last.get_column_iter().map(|(_, field)| as_cell(field)).collect();
        assert_eq!(last, [GROUP_ROWS.to_string(), String::new()]);
        assert_eq!(reader.metadata().file_metadata().num_rows(), 65_537);
    }
}
