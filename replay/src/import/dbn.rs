//! Databento's binary encoding (DBN), schema MBO: every order of a book, uncompressed.
//!
//! A fill of a resting order is two records: `F` says that it traded, and a cancellation (`C`) of as much,
//! or a change (`M`) to what is left, follows, which is what changes the book there. Here the fill is what
//! changes the book, and of what follows only what goes further counts.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read as _},
    path::{Path, PathBuf},
};

use ::dbn::{
    Action as Mbo, Metadata, Schema, Side as MboSide, decode::dbn::MetadataDecoder, rtype,
};
use types::Side;

use super::{Action, BadRow, Loss, Message, Row, RowError, Rows, Scale, Stay, UNIT};

/// What a file begins with, its version and the size of its metadata.
const HEAD_BYTES: usize = 8;
/// In these versions records have one header and MBO records one layout.
const VERSIONS: std::ops::RangeInclusive<u8> = 1..=3;
/// Metadata names symbols, each by at most 71 bytes and some dates: this is room for 100,000 of them.
const METADATA_BYTES_MAX: usize = 16 << 20;
/// A record's header: size, kind, publisher, instrument, time.
const HEADER_BYTES: usize = 16;

/// Reads a file of MBO records.
///
/// Records are taken apart here, and not by the decoder of the crate, which trusts their sizes.
pub struct DbnRows {
    path: PathBuf,
    file: BufReader<File>,
    scale: Scale,
    /// The one instrument that was asked for, by its number.
    wanted: Option<u32>,
    /// Books by instrument number.
    books: BTreeMap<u32, u32>,
    /// Open orders by their numbers.
    open: BTreeMap<u64, Open>,
    records: u64,
    /// The record last read.
    record: Vec<u8>,
    is_over: bool,
}

/// An MBO record, as far as it matters here.
#[derive(Debug, Clone, Copy)]
struct MboRecord {
    instrument: u32,
    /// Nanoseconds since 1970.
    time: u64,
    order: u64,
    /// In billionths.
    price: i64,
    size: u32,
    action: u8,
    side: u8,
}

impl MboRecord {
    /// Of a record's bytes, if they are enough.
    fn new(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            instrument: u32::from_le_bytes(part(bytes, 4)?),
            time: u64::from_le_bytes(part(bytes, 8)?),
            order: u64::from_le_bytes(part(bytes, 16)?),
            price: i64::from_le_bytes(part(bytes, 24)?),
            size: u32::from_le_bytes(part(bytes, 32)?),
            action: u8::from_le_bytes(part(bytes, 38)?),
            side: u8::from_le_bytes(part(bytes, 39)?),
        })
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// An open order, in the file's units.
#[derive(Debug, Clone, Copy)]
struct Open {
    price: i64,
    /// As the file has it: what filled is still in it until its cancellation follows.
    size: u32,
    /// What filled and is still to be cancelled in the file.
    filled: u32,
}

/// What a record must have been, and where.
type Bad = (&'static str, String, &'static str);

impl DbnRows {
    /// Opens a file; with `symbol`, which is an instrument's number, only its records are used.
    ///
    /// # Errors
    /// When it cannot be opened, is of another format, version or schema, or `symbol` is no number.
    pub fn open(path: &Path, scale: Scale, symbol: Option<&str>) -> Result<Self, RowError> {
        let wanted = symbol.map(|name| {
            name.parse::<u32>()
                .map_err(|_| broken("--symbol", "symbol", name, "an instrument's number"))
        });
        let read = |source| RowError::Read { path: path.to_owned(), source };
        let mut file = BufReader::with_capacity(1 << 20, File::open(path).map_err(read)?);
        let metadata = metadata(&mut file, path)?;
        if let Some(schema) = metadata.schema.filter(|schema| *schema != Schema::Mbo) {
            return Err(broken("metadata", "schema", schema.as_str(), "mbo"));
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            scale,
            wanted: wanted.transpose()?,
            books: BTreeMap::new(),
            open: BTreeMap::new(),
            records: 0,
            record: Vec::new(),
            is_over: false,
        })
    }

    /// Reads the next record; false at the end.
    fn read(&mut self) -> Result<bool, RowError> {
        let read = |source| RowError::Read { path: self.path.clone(), source };
        self.record.clear();
        take(&mut self.file, 1, &mut self.record).map_err(read)?;
        let Some(&words) = self.record.first() else { return Ok(false) };
        let size = usize::from(words).saturating_mul(4);
        let place = || format!("record {}", self.records);
        if size < HEADER_BYTES {
            return Err(broken(&place(), "length", &words.to_string(), "4 or more words"));
        }
        take(&mut self.file, size.saturating_sub(1), &mut self.record).map_err(read)?;
        if self.record.len() < size {
            let value = format!("{} bytes", self.record.len());
            return Err(broken(&place(), "record", &value, &format!("{size} bytes")));
        }
        Ok(true)
    }

    fn row(&mut self, record: &MboRecord) -> Result<Row, Bad> {
        if self.wanted.is_some_and(|wanted| wanted != record.instrument) {
            return Ok(Row::Lost(Loss::OtherSymbol));
        }
        let kind = Mbo::try_from(record.action);
        let kind = kind.map_err(|_| ("action", shown(record.action), "a letter of MBO"))?;
        let action = match kind {
            Mbo::Add => self.added(record, side_of(record)?),
            Mbo::Modify => self.modified(record),
            Mbo::Fill => self.filled(record),
            Mbo::Cancel => self.cancelled(record),
            Mbo::Trade | Mbo::Clear | Mbo::None => Err(Loss::NotAnOrder),
        };
        let action = match action {
            Ok(action) => action,
            Err(loss) => return Ok(Row::Lost(loss)),
        };
        let next = u32::try_from(self.books.len()).unwrap_or(u32::MAX);
        let book = *self.books.entry(record.instrument).or_insert(next);
        let time = i64::try_from(record.time).unwrap_or(i64::MAX);
        Ok(Row::Message(Message { time, book, action }))
    }

    fn lots(&self, size: u32) -> Result<u64, Loss> {
        self.scale.lots(i64::from(size).saturating_mul(UNIT)).ok_or(Loss::OffLot)
    }

    /// Prices of the file are billionths, too.
    fn ticks(&self, price: i64) -> Result<i64, Loss> {
        self.scale.ticks(price).ok_or(Loss::OffTick)
    }

    fn added(&mut self, record: &MboRecord, side: Side) -> Result<Action, Loss> {
        let MboRecord { order: id, price, size, .. } = *record;
        let (quantity, ticks) = (self.lots(size)?, self.ticks(price)?);
        self.open.entry(id).or_insert(Open { price, size, filled: 0 });
        Ok(Action::New { id, side, price: ticks, quantity, account: 0, stay: Stay::Rests })
    }

    fn filled(&mut self, record: &MboRecord) -> Result<Action, Loss> {
        let MboRecord { order: id, size, .. } = *record;
        if let Some(order) = self.open.get_mut(&id) {
            order.filled = order.filled.saturating_add(size);
        }
        Ok(Action::Execute { id, quantity: self.lots(size)? })
    }

    fn cancelled(&mut self, record: &MboRecord) -> Result<Action, Loss> {
        let MboRecord { order: id, size, .. } = *record;
        let mut by = size;
        if let Some(order) = self.open.get_mut(&id) {
            by = size.saturating_sub(order.filled);
            order.filled = order.filled.saturating_sub(size);
            order.size = order.size.saturating_sub(size);
            if order.size == 0 {
                self.open.remove(&id);
            }
        }
        if by == 0 {
            return Err(Loss::NotAnOrder);
        }
        Ok(Action::Reduce { id, by: self.lots(by)? })
    }

    /// An order keeps its place when its price stays and it does not grow.
    fn modified(&mut self, record: &MboRecord) -> Result<Action, Loss> {
        let MboRecord { order: id, price, size, .. } = *record;
        let (quantity, ticks) = (self.lots(size)?, self.ticks(price)?);
        let Some(order) = self.open.get_mut(&id) else { return Err(Loss::UnknownOrder) };
        let old = std::mem::replace(order, Open { price, size, filled: 0 });
        let left = old.size.saturating_sub(old.filled);
        if old.price != price || size > left {
            return Ok(Action::Replace { id, new_id: id, price: ticks, quantity });
        }
        match left.saturating_sub(size) {
            0 => Err(Loss::NotAnOrder),
            by => Ok(Action::Reduce { id, by: self.lots(by)? }),
        }
    }
}

fn side_of(record: &MboRecord) -> Result<Side, Bad> {
    match MboSide::try_from(record.side) {
        Ok(MboSide::Bid) => Ok(Side::Buy),
        Ok(MboSide::Ask) => Ok(Side::Sell),
        Ok(MboSide::None) | Err(_) => Err(("side", shown(record.side), "B or A")),
    }
}

fn shown(byte: u8) -> String {
    byte.escape_ascii().to_string()
}

impl Rows for DbnRows {
    fn next_row(&mut self) -> Option<Result<Row, RowError>> {
        if self.is_over {
            return None;
        }
        match self.read() {
            Ok(true) => {}
            Ok(false) => {
                self.is_over = true;
                return None;
            }
            Err(error) => {
                self.is_over = true;
                return Some(Err(error));
            }
        }
        let at = self.records;
        self.records = at.saturating_add(1);
        // Records of other schemas say nothing about orders.
        if self.record.get(1) != Some(&rtype::MBO) {
            return Some(Ok(Row::Lost(Loss::NotAnOrder)));
        }
        let record = MboRecord::new(&self.record);
        let row = record
            .ok_or_else(|| ("length", format!("{} bytes", self.record.len()), "56 bytes"))
            .and_then(|record| self.row(&record));
        Some(row.map_err(|(column, value, expected)| {
            let place = format!("record {at}");
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

/// Reads what stands before the records.
fn metadata(file: &mut BufReader<File>, path: &Path) -> Result<Metadata, RowError> {
    let read = |source| RowError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    take(file, HEAD_BYTES, &mut bytes).map_err(read)?;
    let Some([b'D', b'B', b'N', version, size @ ..]) = part::<HEAD_BYTES>(&bytes, 0) else {
        let value = bytes.escape_ascii().to_string();
        return Err(broken("byte 0", "head", &value, "uncompressed DBN"));
    };
    if !VERSIONS.contains(&version) {
        return Err(broken("byte 3", "version", &version.to_string(), "1, 2 or 3"));
    }
    let size = usize::try_from(u32::from_le_bytes(size)).unwrap_or(usize::MAX);
    if size > METADATA_BYTES_MAX {
        return Err(broken("byte 4", "length", &size.to_string(), "at most 16777216"));
    }
    take(file, size, &mut bytes).map_err(read)?;
    let decoded = MetadataDecoder::new(bytes.as_slice()).decode();
    decoded.map_err(|error| broken("metadata", "metadata", &error.to_string(), "uncompressed DBN"))
}

/// Adds as many bytes as there are, up to `size`.
fn take(file: &mut BufReader<File>, size: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
    file.take(u64::try_from(size).unwrap_or(u64::MAX)).read_to_end(bytes).map(drop)
}

fn broken(place: &str, column: &'static str, value: &str, expected: &str) -> RowError {
    let (place, expected) = (place.to_owned(), expected.to_owned());
    RowError::Broken(BadRow { place, column: column.into(), value: value.to_owned(), expected })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ::dbn::{
        MboMsg, RecordHeader,
        encode::{EncodeRecord as _, dbn::Encoder},
    };
    use tempfile::TempDir;

    use super::*;
    use crate::import::samples::{days, dbn, dbn_metadata};

    /// Action, order, side, price in currency, size.
    type Written = (char, u64, char, i64, u32);

    fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.dbn");
        fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    fn letter(letter: char) -> std::ffi::c_char {
        std::ffi::c_char::try_from(u32::from(letter)).unwrap()
    }

    fn log(records: &[Written]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, &dbn_metadata()).unwrap();
        for &(action, order_id, side, price, size) in records {
            let record = MboMsg {
                hd: RecordHeader::new::<MboMsg>(rtype::MBO, 1, 7, 1_000),
                order_id,
                price: price * UNIT,
                size,
                action: letter(action),
                side: letter(side),
                ..MboMsg::default()
            };
            encoder.encode_record(&record).unwrap();
        }
        bytes
    }

    /// Rows up to the end or the first failure.
    fn rows(bytes: &[u8], symbol: Option<&str>) -> Result<Vec<Row>, RowError> {
        let (_dir, path) = file(bytes);
        let mut rows = DbnRows::open(&path, Scale::default(), symbol)?;
        std::iter::from_fn(|| rows.next_row()).collect()
    }

    fn actions(records: &[Written]) -> Vec<Result<Action, Loss>> {
        let told = |row| match row {
            Row::Message(message) => Ok(message.action),
            Row::Lost(loss) => Err(loss),
            Row::Command(command) => panic!("no exchange wrote this: {command:?}"),
        };
        rows(&log(records), None).unwrap().into_iter().map(told).collect()
    }

    const fn new(id: u64, quantity: u64) -> Result<Action, Loss> {
        let (side, account, stay) = (Side::Buy, 0, Stay::Rests);
        Ok(Action::New { id, side, price: 1_000, quantity, account, stay })
    }

    #[test]
    fn a_fill_counts_once_and_what_follows_it_only_beyond_it() {
        let read = actions(&[
            ('A', 1, 'B', 10, 9),
            ('T', 0, 'A', 10, 4),
            ('F', 1, 'B', 10, 4),
            ('C', 1, 'B', 10, 4),
            ('F', 1, 'B', 10, 2),
            ('M', 1, 'B', 10, 3),
            ('F', 1, 'B', 10, 1),
            ('C', 1, 'B', 10, 3),
            ('R', 0, 'N', 0, 0),
        ]);
        let nothing = Err(Loss::NotAnOrder);
        let expected = [
            new(1, 9),
            nothing,
            Ok(Action::Execute { id: 1, quantity: 4 }),
            nothing,
            Ok(Action::Execute { id: 1, quantity: 2 }),
            nothing,
            Ok(Action::Execute { id: 1, quantity: 1 }),
            Ok(Action::Reduce { id: 1, by: 2 }),
            nothing,
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn a_change_keeps_the_place_of_an_order_that_only_shrinks() {
        let read = actions(&[
            ('A', 1, 'B', 10, 9),
            ('M', 1, 'B', 10, 5),
            ('M', 1, 'B', 10, 6),
            ('M', 1, 'B', 11, 2),
            ('M', 2, 'B', 11, 2),
            ('F', 1, 'B', 11, 1),
            ('M', 1, 'B', 11, 2),
        ]);
        let replace = |price, quantity| Ok(Action::Replace { id: 1, new_id: 1, price, quantity });
        let shrinks = Ok(Action::Reduce { id: 1, by: 4 });
        let unknown = Err(Loss::UnknownOrder);
        let (fill, grows) = (Ok(Action::Execute { id: 1, quantity: 1 }), replace(1_100, 2));
        let expected = [new(1, 9), shrinks, replace(1_000, 6), grows, unknown, fill, grows];
        assert_eq!(read, expected);
    }

    #[test]
    fn one_instrument_can_be_had_alone() {
        let bytes = dbn(&days().1);
        let lost = |symbol| {
            let rows = rows(&bytes, symbol).unwrap();
            rows.into_iter().filter(|row| *row == Row::Lost(Loss::OtherSymbol)).count()
        };
        let all = rows(&bytes, None).unwrap().len();
        assert_eq!(lost(None), 0);
        assert!(lost(Some("7")) > 0 && lost(Some("8")) > 0);
        assert_eq!(lost(Some("7")) + lost(Some("8")), all);
        let refused = rows(&bytes, Some("SUN")).unwrap_err().to_string();
        assert_eq!(refused, "--symbol: `symbol` is `SUN`, expected an instrument's number");
    }

    #[test]
    fn what_is_not_whole_uncompressed_or_of_the_schema_is_refused() {
        let whole = log(&[('A', 1, 'B', 10, 9)]);
        let head = whole.len() - 56;
        let edited = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            bytes
        };
        for (bytes, expected) in [
            (
                whole[..whole.len() - 5].to_vec(),
                "record 0: `record` is `51 bytes`, expected 56 bytes",
            ),
            (edited(head, 3), "record 0: `length` is `3`, expected 4 or more words"),
            (edited(3, 4), "byte 3: `version` is `4`, expected 1, 2 or 3"),
            (edited(7, 1), "byte 4: `length` is `16777336`, expected at most 16777216"),
            (
                edited(0, b'd'),
                "byte 0: `head` is `dBN\\x03x\\x00\\x00\\x00`, expected uncompressed DBN",
            ),
            (b"DB".to_vec(), "byte 0: `head` is `DB`, expected uncompressed DBN"),
        ] {
            let error = rows(&bytes, None).unwrap_err();
            assert!(matches!(error, RowError::Broken(_)), "nothing can follow it: {error:?}");
            assert_eq!(error.to_string(), expected);
        }
        for (record, expected) in [
            (('x', 1, 'B', 10, 9), "record 0: `action` is `x`, expected a letter of MBO"),
            (('A', 1, 'N', 10, 9), "record 0: `side` is `N`, expected B or A"),
        ] {
            let bad = rows(&log(&[record]), None).unwrap_err();
            assert!(matches!(bad, RowError::Bad(_)), "a bad row can be passed over: {bad:?}");
            assert_eq!(bad.to_string(), expected);
        }
    }

    #[test]
    fn metadata_of_any_bytes_ends_in_a_value() {
        let whole = log(&[('A', 1, 'B', 10, 9)]);
        let head = whole.len() - 56;
        let mut refused = 0;
        for at in 0..head {
            for flip in [0x01, 0x80, 0xFF] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                refused += usize::from(rows(&bytes, None).is_err());
            }
        }
        assert!(refused > 8, "head and sizes must not change: {refused}");
    }
}
