//! Message files of LOBSTER: one day of one symbol, without a header.
//!
//! Time in seconds after midnight, type, order id, size, price times 10,000, direction of the resting
//! order (1 buy, -1 sell), and in newer files a seventh column that is not used.

use std::path::Path;

use types::Side;

use super::{
    Action, BadRow, Loss, Message, Row, RowError, Rows, Scale, Stay, UNIT, decimal, lines::Lines,
};

/// Prices are in ten-thousandths.
const PRICE_UNIT: i64 = UNIT / 10_000;

/// Reads a message file.
#[derive(Debug)]
pub struct LobsterRows {
    lines: Lines,
    scale: Scale,
}

impl LobsterRows {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, scale: Scale) -> Result<Self, RowError> {
        Ok(Self { lines: Lines::open(path)?, scale })
    }
}

impl Rows for LobsterRows {
    fn next_row(&mut self) -> Option<Result<Row, RowError>> {
        let scale = self.scale;
        let line = match self.lines.next()? {
            // The line borrows its reader, which knows the number.
            Ok(line) => line.to_owned(),
            Err(error) => return Some(Err(error)),
        };
        let number = self.lines.number();
        Some(row(&line, scale).map_err(|(column, value, expected)| {
            let place = format!("line {number}");
            BadRow { place, column: column.into(), value, expected: expected.to_owned() }.into()
        }))
    }
}

type Bad = (&'static str, String, &'static str);

fn row(line: &str, scale: Scale) -> Result<Row, Bad> {
    let mut cells = line.split(',').map(str::trim);
    let mut cell =
        |column: &'static str| cells.next().ok_or_else(|| (column, String::new(), "six columns"));
    let (time, kind, id) = (cell("time")?, cell("type")?, cell("order id")?);
    let (size, price, direction) = (cell("size")?, cell("price")?, cell("direction")?);
    let bad = |column, value: &str, expected| (column, value.to_owned(), expected);
    let time = decimal(time)
        .filter(|time| (0..86_400 * UNIT).contains(time))
        .ok_or_else(|| bad("time", time, "seconds after midnight"))?;
    let message = |action| Ok(Row::Message(Message { time, book: 0, action }));
    match kind {
        "1" | "2" | "3" | "4" => {}
        "5" => return Ok(Row::Lost(Loss::HiddenTrade)),
        "6" | "7" => return Ok(Row::Lost(Loss::NotAnOrder)),
        other => return Err(bad("type", other, "1 to 7")),
    }
    let id: u64 = id.parse().map_err(|_| bad("order id", id, "a whole number"))?;
    let quantity: i64 = size
        .parse::<u32>()
        .ok()
        .filter(|size| *size > 0)
        .map(|size| i64::from(size).saturating_mul(UNIT))
        .ok_or_else(|| bad("size", size, "a whole number above zero"))?;
    let price: i64 = price
        .parse::<i32>()
        .map(|price| i64::from(price).saturating_mul(PRICE_UNIT))
        .map_err(|_| bad("price", price, "a whole number of 32 bits"))?;
    let side = match direction {
        "1" => Side::Buy,
        "-1" => Side::Sell,
        other => return Err(bad("direction", other, "1 or -1")),
    };
    let Some(quantity) = scale.lots(quantity) else { return Ok(Row::Lost(Loss::OffLot)) };
    match kind {
        "1" => {
            let Some(price) = scale.ticks(price) else { return Ok(Row::Lost(Loss::OffTick)) };
            message(Action::New { id, side, price, quantity, account: 0, stay: Stay::Rests })
        }
        "2" => message(Action::Reduce { id, by: quantity }),
        "3" => message(Action::Cancel { id }),
        _four => message(Action::Execute { id, quantity }),
    }
}
