//! Tables of orders in CSV or NDJSON, with column names as they are found in the wild.

use std::{borrow::Cow, path::Path};

use serde_json::Value;
use types::Side;

use super::{
    Action, BadRow, BookNames, Loss, Message, Row, RowError, Rows, Scale, Stay, decimal,
    lines::Lines,
};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Time(Unit),
    Id,
    NewId,
    Action,
    Side,
    Price,
    Quantity,
    Book,
    Account,
}

/// Unit of a time that is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// By its size: seconds, milli-, micro- or nanoseconds since 1970.
    Guessed,
    Ns(i64),
}

/// Names of columns, in lower case with underscores.
fn column(name: &str) -> Option<Column> {
    let name: String = name
        .trim()
        .trim_start_matches('\u{feff}')
        .chars()
        .map(|c| if c == ' ' || c == '-' || c == '.' { '_' } else { c.to_ascii_lowercase() })
        .collect();
    Some(match name.as_str() {
        "time" | "timestamp" | "ts" | "datetime" | "date_time" => Column::Time(Unit::Guessed),
        "time_ns" | "timestamp_ns" | "ts_event" => Column::Time(Unit::Ns(1)),
        "time_us" | "timestamp_us" => Column::Time(Unit::Ns(1_000)),
        "time_ms" | "timestamp_ms" => Column::Time(Unit::Ns(1_000_000)),
        "time_s" | "timestamp_s" | "seconds" => Column::Time(Unit::Ns(1_000_000_000)),
        "id" | "order_id" | "orderid" | "order" | "client_order_id" | "client_order" | "ref" => {
            Column::Id
        }
        "new_id" | "new_order_id" | "replaced_by" => Column::NewId,
        "action" | "type" | "event" | "kind" | "op" | "order_type" => Column::Action,
        "side" | "buy_sell" | "direction" | "bs" => Column::Side,
        "price" | "px" | "limit" | "limit_price" => Column::Price,
        "quantity" | "qty" | "size" | "volume" | "shares" | "energy" => Column::Quantity,
        "symbol" | "book" | "instrument" | "slot" | "ticker" | "product" | "contract" => {
            Column::Book
        }
        "account" | "meter" | "trader" | "participant" | "owner" => Column::Account,
        _other => return None,
    })
}

/// The cells of a row that are known.
#[derive(Debug, Default)]
struct Cells<'a> {
    time: Option<(Cow<'a, str>, Unit)>,
    id: Option<Cow<'a, str>>,
    new_id: Option<Cow<'a, str>>,
    action: Option<Cow<'a, str>>,
    side: Option<Cow<'a, str>>,
    price: Option<Cow<'a, str>>,
    quantity: Option<Cow<'a, str>>,
    book: Option<Cow<'a, str>>,
    account: Option<Cow<'a, str>>,
}

impl<'a> Cells<'a> {
    /// Keeps a cell; empty ones are not there.
    fn put(&mut self, column: Column, text: Cow<'a, str>) {
        let text = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        if text.is_empty() {
            return;
        }
        match column {
            Column::Time(unit) => self.time = Some((text, unit)),
            Column::Id => self.id = Some(text),
            Column::NewId => self.new_id = Some(text),
            Column::Action => self.action = Some(text),
            Column::Side => self.side = Some(text),
            Column::Price => self.price = Some(text),
            Column::Quantity => self.quantity = Some(text),
            Column::Book => self.book = Some(text),
            Column::Account => self.account = Some(text),
        }
    }
}

/// Reads a table.
#[derive(Debug)]
pub struct TextRows {
    lines: Lines,
    scale: Scale,
    symbol: Option<String>,
    /// What the columns of a CSV file hold; `None` for NDJSON.
    header: Option<Vec<Option<Column>>>,
    books: BookNames,
    /// Number of the next order without one.
    next_id: u64,
}

impl TextRows {
    /// Opens a CSV file and reads its header.
    ///
    /// # Errors
    /// When it cannot be opened, or no column is known.
    pub fn csv(path: &Path, scale: Scale, symbol: Option<&str>) -> Result<Self, RowError> {
        let mut rows = Self::ndjson(path, scale, symbol)?;
        let bad = |value: &str| {
            let expected = "columns such as side, price, quantity, time, id".to_owned();
            let place = "line 1".to_owned();
            RowError::Broken(BadRow {
                place,
                column: "header".into(),
                value: value.to_owned(),
                expected,
            })
        };
        let line = rows.lines.next().ok_or_else(|| bad("missing"))??;
        let header: Vec<_> =
            split(line).ok_or_else(|| bad(line))?.iter().map(|name| column(name)).collect();
        if header.iter().flatten().count() < 2 {
            return Err(bad(line));
        }
        rows.header = Some(header);
        Ok(rows)
    }

    /// Opens an NDJSON file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn ndjson(path: &Path, scale: Scale, symbol: Option<&str>) -> Result<Self, RowError> {
        Ok(Self {
            lines: Lines::open(path)?,
            scale,
            symbol: symbol.map(str::to_owned),
            header: None,
            books: BookNames::default(),
            next_id: 1,
        })
    }

    fn line(&mut self, line: &str) -> Result<Row, Bad> {
        let mut cells = Cells::default();
        if let Some(header) = &self.header {
            let values = split(line)
                .ok_or_else(|| ("line", shortened(line), "balanced quotes".to_owned()))?;
            if values.len() != header.len() {
                let got = format!("{} columns", values.len());
                return Err(("line", got, format!("{}, as the header has", header.len())));
            }
            for (column, value) in header.iter().zip(values) {
                if let Some(column) = column {
                    cells.put(*column, value);
                }
            }
        } else {
            let object: serde_json::Map<String, Value> = serde_json::from_str(line)
                .map_err(|error| ("line", error.to_string(), "a JSON object".to_owned()))?;
            for (name, value) in object {
                if let Some(column) = column(&name) {
                    cells.put(column, Cow::Owned(plain(value)));
                }
            }
        }
        self.row(&cells)
    }

    fn row(&mut self, cells: &Cells<'_>) -> Result<Row, Bad> {
        let book = cells.book.as_deref().unwrap_or_default();
        if self.symbol.as_deref().is_some_and(|symbol| symbol != book) {
            return Ok(Row::Lost(Loss::OtherSymbol));
        }
        let time = match &cells.time {
            Some((text, unit)) => instant(text, *unit)
                .ok_or_else(|| bad("time", text, "RFC 3339, or a number since 1970"))?,
            None => 0,
        };
        let action = match self.action(cells)? {
            Ok(action) => action,
            Err(loss) => return Ok(Row::Lost(loss)),
        };
        let book = self.books.number(book);
        Ok(Row::Message(Message { time, book, action }))
    }

    fn action(&mut self, cells: &Cells<'_>) -> Result<Result<Action, Loss>, Bad> {
        let word = cells.action.as_deref().unwrap_or("new").to_ascii_lowercase();
        let stay = match word.as_str() {
            "new" | "add" | "insert" | "limit" | "n" | "a" => Stay::Rests,
            "ioc" | "immediate" | "immediate_or_cancel" => Stay::Immediate,
            "market" | "mkt" | "m" => Stay::Market,
            "cancel" | "delete" | "remove" | "d" | "c" => {
                return Ok(Ok(Action::Cancel { id: number(required("id", cells.id.as_ref())?) }));
            }
            other => return self.change(other, cells),
        };
        let side = side(required("side", cells.side.as_ref())?)?;
        let price = if stay == Stay::Market { Ok(0) } else { self.ticks(cells)? };
        let quantity = self.lots(cells)?;
        let id = if let Some(id) = cells.id.as_deref() {
            number(id)
        } else {
            let id = self.next_id;
            self.next_id = id.saturating_add(1);
            id
        };
        let account = cells.account.as_deref().map_or(0, number);
        Ok(price.and_then(|price| {
            Ok(Action::New { id, side, price, quantity: quantity?, account, stay })
        }))
    }

    /// What changes an order that is there.
    fn change(&self, word: &str, cells: &Cells<'_>) -> Result<Result<Action, Loss>, Bad> {
        let id = number(required("id", cells.id.as_ref())?);
        match word {
            "reduce" | "partial_cancel" => {
                Ok(self.lots(cells)?.map(|by| Action::Reduce { id, by }))
            }
            "replace" | "modify" | "u" => {
                let new_id = cells.new_id.as_deref().map_or(id, number);
                let (price, quantity) = (self.ticks(cells)?, self.lots(cells)?);
                Ok(price.and_then(|price| {
                    Ok(Action::Replace { id, new_id, price, quantity: quantity? })
                }))
            }
            "execute" | "fill" | "trade" | "e" => {
                Ok(self.lots(cells)?.map(|quantity| Action::Execute { id, quantity }))
            }
            other => {
                Err(bad("action", other, "new, ioc, market, cancel, reduce, replace or execute"))
            }
        }
    }

    fn ticks(&self, cells: &Cells<'_>) -> Result<Result<i64, Loss>, Bad> {
        let text = required("price", cells.price.as_ref())?;
        let price = decimal(text).ok_or_else(|| bad("price", text, "a decimal number"))?;
        Ok(self.scale.ticks(price).ok_or(Loss::OffTick))
    }

    fn lots(&self, cells: &Cells<'_>) -> Result<Result<u64, Loss>, Bad> {
        let text = required("quantity", cells.quantity.as_ref())?;
        let quantity = decimal(text)
            .filter(|quantity| *quantity > 0)
            .ok_or_else(|| bad("quantity", text, "a decimal number above zero"))?;
        Ok(self.scale.lots(quantity).ok_or(Loss::OffLot))
    }
}

impl Rows for TextRows {
    fn next_row(&mut self) -> Option<Result<Row, RowError>> {
        let line = match self.lines.next()? {
            Ok(line) => line.to_owned(),
            Err(error) => return Some(Err(error)),
        };
        let number = self.lines.number();
        Some(self.line(&line).map_err(|(column, value, expected)| {
            let place = format!("line {number}");
            RowError::Bad(BadRow { place, column: column.into(), value, expected })
        }))
    }
}

type Bad = (&'static str, String, String);

fn bad(column: &'static str, value: &str, expected: &str) -> Bad {
    (column, shortened(value), expected.to_owned())
}

/// Enough to find it again.
fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

fn required<'a>(column: &'static str, cell: Option<&'a Cow<'_, str>>) -> Result<&'a str, Bad> {
    cell.map(AsRef::as_ref).ok_or_else(|| bad(column, "", "a value"))
}

fn side(text: &str) -> Result<Side, Bad> {
    match text.to_ascii_lowercase().as_str() {
        "buy" | "b" | "bid" | "1" | "+1" => Ok(Side::Buy),
        "sell" | "s" | "ask" | "offer" | "2" | "-1" => Ok(Side::Sell),
        _other => Err(bad("side", text, "buy or sell")),
    }
}

/// A number as it is; any other name as 64 bits of FNV-1a.
fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| {
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    })
}

/// Nanoseconds since 1970; `None` before that or after 2200.
fn instant(text: &str, unit: Unit) -> Option<i64> {
    /// 2200-01-01.
    const LAST: i64 = 7_258_118_400_000_000_000;
    let ns = if let Some(number) = decimal(text).filter(|_| text.contains('.')) {
        // Billionths of a unit: of a second unless the column says otherwise.
        match unit {
            Unit::Guessed => number,
            Unit::Ns(ns) => {
                let exact = i128::from(number) * i128::from(ns);
                i64::try_from(exact.div_euclid(1_000_000_000)).ok()?
            }
        }
    } else if let Ok(number) = text.parse::<i64>() {
        let factor = match unit {
            Unit::Ns(factor) => factor,
            Unit::Guessed if number < 100_000_000_000 => 1_000_000_000,
            Unit::Guessed if number < 100_000_000_000_000 => 1_000_000,
            Unit::Guessed if number < 100_000_000_000_000_000 => 1_000,
            Unit::Guessed => 1,
        };
        number.checked_mul(factor)?
    } else {
        let instant: jiff::Timestamp = text.parse().ok()?;
        i64::try_from(instant.as_nanosecond()).ok()?
    };
    (0..=LAST).contains(&ns).then_some(ns)
}

/// A JSON value as it would stand in a cell.
fn plain(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            other.to_string()
        }
    }
}

/// The cells of a line; `None` when a quote is not closed.
pub(crate) fn split(line: &str) -> Option<Vec<Cow<'_, str>>> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let (cell, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_cell(quoted)?,
            None => match rest.find(',') {
                Some(at) => (Cow::Borrowed(rest.get(..at)?), rest.get(at..)?),
                None => (Cow::Borrowed(rest), ""),
            },
        };
        cells.push(cell);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Some(cells),
            None => return None,
        }
    }
}

/// A cell behind its opening quote, and what follows the closing one.
fn quoted_cell(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        cell.push_str(before);
        match after.strip_prefix('"') {
            Some(next) => {
                cell.push('"');
                rest = next;
            }
            None => return Some((Cow::Owned(cell), after)),
        }
    }
}
