//! Order logs of others, read row by row: what each row asks of a book.
//!
//! Every format becomes the same [`Message`]s. What a book cannot use is a [`Loss`], counted and never
//! guessed at; what is not of the format is a [`BadRow`]. `docs/replay.md` has the tables.

mod commands;
#[cfg(feature = "dbn")]
mod dbn;
mod detect;
mod flow;
mod itch;
mod lines;
mod lobster;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
mod text;

use std::{borrow::Cow, io, path::PathBuf};

use journal::JournalError;
use types::{Command, Sequenced, Side};

#[cfg(feature = "dbn")]
pub use self::dbn::DbnRows;
pub use self::{
    commands::{CommandRows, JournalRows},
    detect::{Format, detect},
    flow::FlowRows,
    itch::ItchRows,
    lobster::LobsterRows,
    text::TextRows,
};

#[cfg(test)]
pub(crate) use text::split;

/// Prices and quantities are read in billionths of their unit.
pub const UNIT: i64 = 1_000_000_000;

/// How a file's prices and quantities become whole ticks and lots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// Billionths of a unit of price in a tick; above zero.
    pub tick: i64,
    /// Billionths of a unit of quantity in a lot; above zero.
    pub lot: i64,
}

impl Default for Scale {
    /// Ticks of 0.01 and lots of 1, as in share trading.
    fn default() -> Self {
        Self { tick: UNIT / 100, lot: UNIT }
    }
}

impl Scale {
    /// Ticks in a price, if they are whole.
    #[must_use]
    pub const fn ticks(&self, price: i64) -> Option<i64> {
        if price.rem_euclid(self.tick) == 0 { Some(price.div_euclid(self.tick)) } else { None }
    }

    /// Lots in a quantity, if they are whole.
    #[must_use]
    pub fn lots(&self, quantity: i64) -> Option<u64> {
        if quantity.rem_euclid(self.lot) != 0 {
            return None;
        }
        u64::try_from(quantity.div_euclid(self.lot)).ok()
    }
}

/// How long a new order stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stay {
    /// Until it is filled or cancelled.
    Rests,
    /// Only while it trades.
    Immediate,
    /// Only while it trades, at any price.
    Market,
}

/// What is asked of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// An order enters.
    New {
        /// Its number in the file.
        id: u64,
        /// Buy or sell.
        side: Side,
        /// Limit in ticks; of no meaning in a market order.
        price: i64,
        /// In lots.
        quantity: u64,
        /// Who sends it; zero where the file does not say.
        account: u64,
        /// How long it stays.
        stay: Stay,
    },
    /// An order leaves.
    Cancel {
        /// Its number in the file.
        id: u64,
    },
    /// An order becomes smaller and keeps its place.
    Reduce {
        /// Its number in the file.
        id: u64,
        /// By so many lots.
        by: u64,
    },
    /// An order gives way to another of the same side, behind all others of its price.
    Replace {
        /// The old number.
        id: u64,
        /// The new one.
        new_id: u64,
        /// In ticks.
        price: i64,
        /// In lots.
        quantity: u64,
    },
    /// Someone whom the file does not show takes from a resting order.
    Execute {
        /// Number of the resting order.
        id: u64,
        /// In lots.
        quantity: u64,
    },
}

/// One usable row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Nanoseconds since 1970, or since midnight where the file has no date. 0 without a time.
    pub time: i64,
    /// Which book, in the order of first appearance.
    pub book: u32,
    /// What is asked.
    pub action: Action,
}

/// Why a sound row says nothing to a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// It is of another symbol than what was asked for.
    OtherSymbol,
    /// It is neither an order nor a change of one: a halt, a directory entry, a crossing session.
    NotAnOrder,
    /// An order that the file does not show traded.
    HiddenTrade,
    /// Its price is not a whole number of ticks.
    OffTick,
    /// Its quantity is not a whole number of lots.
    OffLot,
    /// Its price is outside the band of its book.
    OutOfBand,
    /// It names an order that is not open, or is lost itself.
    UnknownOrder,
    /// It enters an order under the number of an open one.
    DuplicateOrder,
    /// There are more books than an engine holds.
    TooManyBooks,
    /// A market order for a book that had no other order before.
    EmptyBook,
}

impl Loss {
    /// The name in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OtherSymbol => "other_symbol",
            Self::NotAnOrder => "not_an_order",
            Self::HiddenTrade => "hidden_trade",
            Self::OffTick => "off_tick",
            Self::OffLot => "off_lot",
            Self::OutOfBand => "out_of_band",
            Self::UnknownOrder => "unknown_order",
            Self::DuplicateOrder => "duplicate_order",
            Self::TooManyBooks => "too_many_books",
            Self::EmptyBook => "empty_book",
        }
    }
}

/// A row of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// A command of an exchange, as it is.
    Command(Sequenced<Command>),
    /// Something is asked of a book.
    Message(Message),
    /// Nothing is.
    Lost(Loss),
}

/// A row that is not of the format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: `{column}` is `{value}`, expected {expected}")]
pub struct BadRow {
    /// Line or byte, from 1 or 0.
    pub place: String,
    /// Name of the column or field.
    pub column: Cow<'static, str>,
    /// What stands there.
    pub value: String,
    /// What could.
    pub expected: String,
}

/// Why reading stops or a row is passed over.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// The row can be passed over.
    #[error(transparent)]
    Bad(#[from] BadRow),
    /// What follows cannot be found: the file ends within a record, or is of another format.
    #[error("{0}")]
    Broken(BadRow),
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The journal cannot be read, or is damaged.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What every format is read by.
pub trait Rows {
    /// The next row; `None` at the end.
    fn next_row(&mut self) -> Option<Result<Row, RowError>>;
}

/// Names or numbers of books in the order of first appearance.
#[derive(Debug, Default)]
struct BookNames(std::collections::BTreeMap<String, u32>);

impl BookNames {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.0.get(name) {
            return number;
        }
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.insert(name.to_owned(), number);
        number
    }
}

/// A decimal number in billionths; `None` if it is none, has more decimals or is too large.
#[must_use]
pub fn decimal(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number =
        !digits.is_empty() && digits != "." && all_digits(whole) && all_digits(fraction);
    if !is_number || fraction.len() > 9 {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let missing = u32::try_from(9_usize.saturating_sub(fraction.len())).ok()?;
    let fraction: i64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let billionths = whole
        .checked_mul(UNIT)?
        .checked_add(fraction.checked_mul(10_i64.checked_pow(missing)?)?)?;
    Some(if negative { -billionths } else { billionths })
}
