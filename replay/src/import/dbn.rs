//! Databento's binary encoding (DBN), schema MBO: every order of a book, uncompressed.
//!
//! A fill of a resting order is two records: `F` says that it traded, and a cancellation (`C`) of as much
//! follows, which is what changes the book there. Here the fill is what changes the book, and the
//! cancellation that follows it is passed over.

use std::{
    collections::BTreeMap,
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use ::dbn::{
    Action as Mbo, MboMsg, Side as MboSide,
    decode::{DecodeRecordRef, dbn::Decoder},
};
use types::Side;

use super::{Action, BadRow, Loss, Message, Row, RowError, Rows, Scale, Stay, UNIT};

/// Reads a file of MBO records.
pub struct DbnRows {
    path: PathBuf,
    decoder: Decoder<BufReader<File>>,
    scale: Scale,
    /// The one instrument that was asked for, by its number.
    wanted: Option<u32>,
    /// Books by instrument number.
    books: BTreeMap<u32, u32>,
    /// What filled of orders and is still to be cancelled in the file.
    filled: BTreeMap<u64, u32>,
    records: u64,
    is_over: bool,
}

/// What a record must have been, and where.
type Bad = (&'static str, String, &'static str);

impl DbnRows {
    /// Opens a file; with `symbol`, which is an instrument's number, only its records are used.
    ///
    /// # Errors
    /// When it cannot be opened, is of another format, or `symbol` is no number.
    pub fn open(path: &Path, scale: Scale, symbol: Option<&str>) -> Result<Self, RowError> {
        let read = |source| RowError::Read { path: path.to_owned(), source };
        let file = BufReader::with_capacity(1 << 20, File::open(path).map_err(read)?);
        let decoder = Decoder::new(file).map_err(|error| broken(0, &error))?;
        let wanted = symbol.map(|name| {
            name.parse::<u32>().map_err(|_| {
                let expected = "an instrument's number".to_owned();
                let place = "--symbol".to_owned();
                RowError::Broken(BadRow {
                    place,
                    column: "symbol".into(),
                    value: name.to_owned(),
                    expected,
                })
            })
        });
        Ok(Self {
            path: path.to_owned(),
            decoder,
            scale,
            wanted: wanted.transpose()?,
            books: BTreeMap::new(),
            filled: BTreeMap::new(),
            records: 0,
            is_over: false,
        })
    }

    fn row(&mut self, record: &MboMsg) -> Result<Row, Bad> {
        if self.wanted.is_some_and(|wanted| wanted != record.hd.instrument_id) {
            return Ok(Row::Lost(Loss::OtherSymbol));
        }
        let kind = record
            .action()
            .map_err(|_| ("action", format!("{}", record.action), "a letter of MBO"))?;
        let id = record.order_id;
        let lots =
            || self.scale.lots(i64::from(record.size).saturating_mul(UNIT)).ok_or(Loss::OffLot);
        // Both are in billionths.
        let ticks = || self.scale.ticks(record.price).ok_or(Loss::OffTick);
        let action = match kind {
            Mbo::Add => {
                let side = match record.side() {
                    Ok(MboSide::Bid) => Side::Buy,
                    Ok(MboSide::Ask) => Side::Sell,
                    Ok(MboSide::None) | Err(_) => {
                        return Err(("side", format!("{}", record.side), "B or A"));
                    }
                };
                let (account, stay) = (0, Stay::Rests);
                lots().and_then(|quantity| {
                    Ok(Action::New { id, side, price: ticks()?, quantity, account, stay })
                })
            }
            Mbo::Modify => lots().and_then(|quantity| {
                Ok(Action::Replace { id, new_id: id, price: ticks()?, quantity })
            }),
            Mbo::Fill => lots().map(|quantity| Action::Execute { id, quantity }),
            Mbo::Cancel => {
                let rest = self.filled.get(&id).copied().unwrap_or(0);
                if rest >= record.size && rest > 0 {
                    self.filled.insert(id, rest.saturating_sub(record.size));
                    return Ok(Row::Lost(Loss::NotAnOrder));
                }
                lots().map(|by| Action::Reduce { id, by })
            }
            Mbo::Trade | Mbo::Clear | Mbo::None => Err(Loss::NotAnOrder),
        };
        let action = match action {
            Ok(action) => action,
            Err(loss) => return Ok(Row::Lost(loss)),
        };
        if kind == Mbo::Fill {
            let filled = self.filled.entry(id).or_default();
            *filled = filled.saturating_add(record.size);
        }
        let next = u32::try_from(self.books.len()).unwrap_or(u32::MAX);
        let book = *self.books.entry(record.hd.instrument_id).or_insert(next);
        let time = i64::try_from(record.hd.ts_event).unwrap_or(i64::MAX);
        Ok(Row::Message(Message { time, book, action }))
    }
}

impl Rows for DbnRows {
    fn next_row(&mut self) -> Option<Result<Row, RowError>> {
        if self.is_over {
            return None;
        }
        let record = match self.decoder.decode_record_ref() {
            Ok(Some(record)) => record.get::<MboMsg>().cloned(),
            Ok(None) => {
                self.is_over = true;
                return None;
            }
            Err(error) => {
                self.is_over = true;
                return Some(Err(broken(self.records, &error)));
            }
        };
        let place = self.records;
        self.records = place.saturating_add(1);
        // Records of other schemas say nothing about orders.
        let Some(record) = record else { return Some(Ok(Row::Lost(Loss::NotAnOrder))) };
        Some(self.row(&record).map_err(|(column, value, expected)| {
            let place = format!("record {place}");
            BadRow { place, column: column.into(), value, expected: expected.to_owned() }.into()
        }))
    }
}

impl std::fmt::Debug for DbnRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DbnRows")
            .field("path", &self.path)
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

fn broken(record: u64, error: &::dbn::Error) -> RowError {
    RowError::Broken(BadRow {
        place: format!("record {record}"),
        column: "record".into(),
        value: error.to_string(),
        expected: "uncompressed DBN".to_owned(),
    })
}
