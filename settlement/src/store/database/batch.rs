//! Many rows for one statement: what writes one row is rewritten to write many, given as columns.

use core::error::Error;
use std::collections::BTreeSet;

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::Value;

/// How a statement takes many rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// The statement, with `VALUES` or the table of values written as `unnest` of arrays.
    pub sql: String,
    /// Parameters that say which row is written, counted from 0. Two rows of one batch that agree in
    /// all of them would meet; empty where that cannot be.
    pub key: Vec<usize>,
}

/// The plan for a statement with parameters of these types, if it can take many rows at once and mean
/// the same.
pub(super) fn plan(sql: &str, types: &[Type]) -> Option<Plan> {
    let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    if types.is_empty() || sql.contains("SELECT") || sql.contains("RETURNING") {
        return None;
    }
    let values = values(types)?;
    if sql.starts_with("INSERT INTO ") {
        insert(&sql, &values)
    } else if sql.starts_with("UPDATE ") {
        let (head, condition) = sql.split_once(" WHERE ")?;
        let key = equalities(condition)?;
        let sql = format!("{head} FROM {values} WHERE {condition}");
        Some(Plan { sql: columns(&sql), key })
    } else {
        let (head, condition) = sql.split_once(" WHERE ")?;
        equalities(condition)?;
        let sql = format!("{head} USING {values} WHERE {condition}");
        Some(Plan { sql: columns(&sql), key: Vec::new() })
    }
}

/// A question with parameters of these types, for many of them at once: a row has the place of its question,
/// counted from 1, behind its own columns.
pub(super) fn questions(sql: &str, types: &[Type]) -> Option<String> {
    let (arrays, names) = arrays(types)?;
    let sql = columns(&sql.split_whitespace().collect::<Vec<_>>().join(" "));
    Some(format!(
        "SELECT q.*, v.place FROM unnest({arrays}) WITH ORDINALITY AS v({names}, place)
         CROSS JOIN LATERAL ({sql}) AS q"
    ))
}

fn insert(sql: &str, values: &str) -> Option<Plan> {
    let (head, rest) = sql.split_once(" VALUES (")?;
    let (row, conflict) = match rest.split_once(") ON CONFLICT (") {
        Some((row, conflict)) => (row, Some(conflict)),
        None => (rest.strip_suffix(')')?, None),
    };
    let cells: Vec<&str> = row.split(", ").collect();
    let mut key = Vec::new();
    let mut tail = String::new();
    if let Some(conflict) = conflict {
        let (names, action) = conflict.split_once(") ")?;
        // What is not of the new row or the old one would have to be looked up.
        if action.contains('?') {
            return None;
        }
        let (_, list) = head.strip_suffix(')')?.split_once(" (")?;
        let all: Vec<&str> = list.split(", ").collect();
        for name in names.split(", ") {
            let cell = cells.get(all.iter().position(|known| *known == name)?)?;
            key.push(parameter(cell)?);
        }
        tail = format!(" ON CONFLICT ({conflict}");
    }
    Some(Plan { sql: columns(&format!("{head} SELECT {row} FROM {values}{tail}")), key })
}

/// `name = ?n AND …` and nothing else: which parameters.
fn equalities(condition: &str) -> Option<Vec<usize>> {
    condition
        .split(" AND ")
        .map(|one| one.split_once(" = ").and_then(|(_, value)| parameter(value)))
        .collect()
}

fn parameter(cell: &str) -> Option<usize> {
    cell.strip_prefix('?')?.parse::<usize>().ok()?.checked_sub(1)
}

fn values(types: &[Type]) -> Option<String> {
    let (arrays, names) = arrays(types)?;
    Some(format!("unnest({arrays}) AS v({names})"))
}

/// Parameters of these types as arrays, and the names of their elements.
fn arrays(types: &[Type]) -> Option<(String, String)> {
    let mut arrays = Vec::with_capacity(types.len());
    let mut names = Vec::with_capacity(types.len());
    for (number, of) in (1..).zip(types) {
        let name = match *of {
            Type::INT8 => "bigint",
            Type::BYTEA => "bytea",
            Type::TEXT => "text",
            _ => return None,
        };
        arrays.push(format!("${number}::{name}[]"));
        names.push(format!("p{number}"));
    }
    Some((arrays.join(", "), names.join(", ")))
}

/// Parameters as columns of `v`.
fn columns(sql: &str) -> String {
    sql.replace('?', "v.p")
}

/// Rows that wait, column by column, in the form in which arrays are sent.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    columns: Vec<Column>,
    rows: usize,
    keys: BTreeSet<Vec<u8>>,
}

/// One column.
#[derive(Debug, Clone)]
pub(super) struct Column {
    element: Type,
    bytes: Vec<u8>,
    rows: i32,
    has_null: bool,
}

impl Columns {
    pub(super) fn new(types: &[Type]) -> Self {
        let column = |element: &Type| Column {
            element: element.clone(),
            bytes: Vec::new(),
            rows: 0,
            has_null: false,
        };
        Self { columns: types.iter().map(column).collect(), rows: 0, keys: BTreeSet::new() }
    }

    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn bytes(&self) -> usize {
        self.columns.iter().map(|column| column.bytes.len()).sum()
    }

    pub(super) fn into_parameters(self) -> Vec<Column> {
        self.columns
    }

    /// Adds a row, unless one of the same key waits.
    pub(super) fn push(&mut self, plan: &Plan, row: &[Owned]) -> bool {
        if !plan.key.is_empty() {
            let mut key = Vec::with_capacity(plan.key.len().saturating_mul(12));
            for place in &plan.key {
                if let Some(value) = row.get(*place) {
                    value.append_to(&mut key);
                }
            }
            if !self.keys.insert(key) {
                return false;
            }
        }
        self.add(row);
        true
    }

    /// Adds a row, whatever waits.
    pub(super) fn add(&mut self, row: &[Owned]) {
        for (column, value) in self.columns.iter_mut().zip(row) {
            column.has_null |= *value == Owned::Null;
            column.rows = column.rows.saturating_add(1);
            value.append_to(&mut column.bytes);
        }
        self.rows = self.rows.saturating_add(1);
    }
}

impl ToSql for Column {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        // Dimensions, nulls, element, length, first index; then each as its length and bytes.
        for word in [1, i32::from(self.has_null)] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        out.extend_from_slice(&self.element.oid().to_be_bytes());
        for word in [self.rows, 1] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        out.extend_from_slice(&self.bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A value that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owned {
    Null,
    Integer(i64),
    Bytes(Vec<u8>),
    Text(String),
}

impl From<Value<'_>> for Owned {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Integer(number) => Self::Integer(number),
            Value::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
            Value::Text(text) => Self::Text(text.to_owned()),
        }
    }
}

impl Owned {
    /// As its length and bytes, the way elements of arrays are sent.
    fn append_to(&self, out: &mut Vec<u8>) {
        let number;
        let bytes: &[u8] = match self {
            Self::Null => return out.extend_from_slice(&(-1_i32).to_be_bytes()),
            Self::Integer(value) => {
                number = value.to_be_bytes();
                &number
            }
            Self::Bytes(bytes) => bytes,
            Self::Text(text) => text.as_bytes(),
        };
        out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(bytes);
    }
}

impl ToSql for Owned {
    fn to_sql(
        &self,
        of: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Integer(number) => match *of {
                Type::INT8 => out.extend_from_slice(&number.to_be_bytes()),
                Type::INT4 => out.extend_from_slice(&i32::try_from(*number)?.to_be_bytes()),
                Type::INT2 => out.extend_from_slice(&i16::try_from(*number)?.to_be_bytes()),
                Type::BOOL => out.extend_from_slice(&[u8::from(*number != 0)]),
                _ => return Err(format!("a number is no {of}").into()),
            },
            Self::Bytes(bytes) => out.extend_from_slice(bytes),
            Self::Text(text) => out.extend_from_slice(text.as_bytes()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(sql: &str, count: usize) -> Option<(String, Vec<usize>)> {
        plan(sql, &vec![Type::INT8; count]).map(|plan| (plan.sql, plan.key))
    }

    const V2: &str = "unnest($1::bigint[], $2::bigint[]) AS v(p1, p2)";

    #[test]
    fn statements_of_one_row_take_many() {
        let made = planned("INSERT INTO a (b, c, d) VALUES (?1, 0, ?2)", 2);
        assert_eq!(
            made,
            Some((format!("INSERT INTO a (b, c, d) SELECT v.p1, 0, v.p2 FROM {V2}"), vec![]))
        );
        let put =
            "INSERT INTO a (b, c) VALUES (?1, ?2) ON CONFLICT (b) DO UPDATE SET c = excluded.c";
        let made = planned(put, 2);
        let expected = format!(
            "INSERT INTO a (b, c) SELECT v.p1, v.p2 FROM {V2} ON CONFLICT (b) DO UPDATE SET c = excluded.c"
        );
        assert_eq!(made, Some((expected, vec![0])));
        let made = planned("UPDATE a SET b = b + ?2 WHERE c = ?1", 2);
        let expected = format!("UPDATE a SET b = b + v.p2 FROM {V2} WHERE c = v.p1");
        assert_eq!(made, Some((expected, vec![0])));
        let made = planned("DELETE FROM a WHERE b = ?1 AND c = ?2", 2);
        let expected = format!("DELETE FROM a USING {V2} WHERE b = v.p1 AND c = v.p2");
        assert_eq!(made, Some((expected, vec![])));
    }

    #[test]
    fn questions_of_one_row_are_asked_together() {
        let asked = questions(
            "SELECT b FROM a\n WHERE c = ?1 AND d = ?2 ORDER BY b",
            &[Type::INT8, Type::TEXT],
        );
        let expected = "SELECT q.*, v.place FROM unnest($1::bigint[], $2::text[])
         WITH ORDINALITY AS v(p1, p2, place)
         CROSS JOIN LATERAL (SELECT b FROM a WHERE c = v.p1 AND d = v.p2 ORDER BY b) AS q";
        let words = |sql: &str| sql.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&asked.unwrap()), words(expected));
        assert_eq!(questions("SELECT b FROM a WHERE c = ?1", &[Type::BOOL]), None);
    }

    #[test]
    fn what_could_mean_something_else_stays_alone() {
        for sql in [
            "INSERT INTO a (b) VALUES ((SELECT max(b) FROM a))",
            "UPDATE a SET b = ?2 WHERE c > ?1",
            "UPDATE a SET b = ?2 WHERE c = ?1 RETURNING b",
            "INSERT INTO a (b, c) VALUES (?1, ?2) ON CONFLICT (b) DO UPDATE SET c = ?2",
            "UPDATE a SET b = ?1",
        ] {
            assert_eq!(planned(sql, 2), None, "{sql}");
        }
    }

    #[test]
    fn rows_that_would_meet_do_not_wait_together() {
        let plan = plan("UPDATE a SET b = ?2 WHERE c = ?1", &[Type::INT8, Type::INT8]).unwrap();
        let mut columns = Columns::new(&[Type::INT8, Type::INT8]);
        let row = |key, value| [Owned::Integer(key), Owned::Integer(value)];
        assert!(columns.push(&plan, &row(1, 5)));
        assert!(columns.push(&plan, &row(2, 5)));
        assert!(!columns.push(&plan, &row(1, 6)));
        assert_eq!(columns.rows(), 2);
    }
}
