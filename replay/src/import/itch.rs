//! NASDAQ TotalView-ITCH 5.0 as it is distributed in files: each message behind its length in two
//! bytes, big-endian.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use types::Side;

use super::{Action, BadRow, Loss, Message, Row, RowError, Rows, Scale, Stay, UNIT};

/// Prices are in ten-thousandths.
const PRICE_UNIT: i64 = UNIT / 10_000;
/// Type 1, locate 2, tracking 2, time 6.
const HEAD_BYTES: usize = 11;

/// Reads a file of messages.
#[derive(Debug)]
pub struct ItchRows {
    path: PathBuf,
    file: BufReader<File>,
    /// Byte of the next message's length.
    offset: u64,
    scale: Scale,
    wanted: Option<Wanted>,
    /// Books by locate code.
    books: BTreeMap<u16, u32>,
    is_over: bool,
}

/// The one symbol that was asked for: by its locate code, which may have to be learned from its name.
#[derive(Debug)]
struct Wanted {
    name: String,
    locate: Option<u16>,
}

/// What a message must have been, and where.
type Bad = (&'static str, String, &'static str);

impl ItchRows {
    /// Opens a file; with `symbol` only messages of that stock or locate code are used.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, scale: Scale, symbol: Option<&str>) -> Result<Self, RowError> {
        let file =
            File::open(path).map_err(|source| RowError::Read { path: path.to_owned(), source })?;
        let wanted = symbol.map(|name| Wanted { name: name.to_owned(), locate: name.parse().ok() });
        Ok(Self {
            path: path.to_owned(),
            file: BufReader::with_capacity(1 << 20, file),
            offset: 0,
            scale,
            wanted,
            books: BTreeMap::new(),
            is_over: false,
        })
    }

    /// Reads the next message into `bytes`; false at the end of the file.
    fn read(&mut self, bytes: &mut [u8; 65_536]) -> Result<Option<usize>, RowError> {
        let mut length = [0; 2];
        let mut filled = 0;
        while let Some(rest) = length.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read(rest) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(self.broken("length", "one byte", "two bytes")),
                Ok(read) => filled = filled.saturating_add(read),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(RowError::Read { path: self.path.clone(), source }),
            }
        }
        let length = usize::from(u16::from_be_bytes(length));
        if length < HEAD_BYTES {
            let got = format!("{length}");
            return Err(self.broken("length", &got, "11 or more"));
        }
        let (body, _) = bytes.split_at_mut(length);
        match self.file.read_exact(body) {
            Ok(()) => Ok(Some(length)),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                let expected = format!("{length} bytes");
                Err(self.broken("message", "cut short", &expected))
            }
            Err(source) => Err(RowError::Read { path: self.path.clone(), source }),
        }
    }

    fn broken(&self, column: &'static str, value: &str, expected: &str) -> RowError {
        RowError::Broken(BadRow {
            place: format!("byte {}", self.offset),
            column: column.into(),
            value: value.to_owned(),
            expected: expected.to_owned(),
        })
    }

    fn row(&mut self, message: &[u8]) -> Result<Row, Bad> {
        let mut fields = Fields(message);
        let [kind] = fields.take();
        let locate = u16::from_be_bytes(fields.take());
        let _tracking: [u8; 2] = fields.take();
        let [a, b, c, d, e, f] = fields.take();
        let time = i64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let Some(expected) = length_of(kind) else { return Ok(Row::Lost(Loss::NotAnOrder)) };
        if message.len() != expected {
            let got = format!("{} bytes of type {}", message.len(), kind.escape_ascii());
            return Err(("message", got, "the length of its type"));
        }
        if kind == b'R' || kind == b'A' || kind == b'F' {
            let at = if kind == b'R' { HEAD_BYTES } else { 24 };
            self.learn(locate, message.get(at..).and_then(|rest| rest.get(..8)));
        }
        if self.wanted.as_ref().is_some_and(|wanted| wanted.locate != Some(locate)) {
            return Ok(Row::Lost(Loss::OtherSymbol));
        }
        let action = match kind {
            b'R' => return Ok(Row::Lost(Loss::NotAnOrder)),
            b'P' => return Ok(Row::Lost(Loss::HiddenTrade)),
            _order => action(kind, &mut fields, self.scale)?,
        };
        let action = match action {
            Ok(action) => action,
            Err(loss) => return Ok(Row::Lost(loss)),
        };
        let next = u32::try_from(self.books.len()).unwrap_or(u32::MAX);
        let book = *self.books.entry(locate).or_insert(next);
        Ok(Row::Message(Message { time, book, action }))
    }

    /// Learns the locate code of the symbol that was asked for.
    fn learn(&mut self, locate: u16, stock: Option<&[u8]>) {
        if let Some(wanted) = &mut self.wanted
            && wanted.locate.is_none()
            && stock.is_some_and(|stock| stock.trim_ascii_end() == wanted.name.as_bytes())
        {
            wanted.locate = Some(locate);
        }
    }
}

impl Rows for ItchRows {
    fn next_row(&mut self) -> Option<Result<Row, RowError>> {
        if self.is_over {
            return None;
        }
        let mut bytes = [0; 65_536];
        let length = match self.read(&mut bytes) {
            Ok(Some(length)) => length,
            Ok(None) => {
                self.is_over = true;
                return None;
            }
            Err(error) => {
                self.is_over = true;
                return Some(Err(error));
            }
        };
        let at = self.offset;
        self.offset = at.saturating_add(2).saturating_add(u64::try_from(length).unwrap_or(0));
        let (message, _) = bytes.split_at(length);
        Some(self.row(message).map_err(|(column, value, expected)| {
            let place = format!("byte {at}");
            BadRow { place, column: column.into(), value, expected: expected.to_owned() }.into()
        }))
    }
}

/// Length of the messages that are used, by type.
const fn length_of(kind: u8) -> Option<usize> {
    match kind {
        b'R' => Some(39),
        b'A' | b'C' => Some(36),
        b'F' => Some(40),
        b'E' => Some(31),
        b'X' => Some(23),
        b'D' => Some(19),
        b'U' => Some(35),
        b'P' => Some(44),
        _other => None,
    }
}

/// What a message of an order asks, behind its head.
fn action(kind: u8, fields: &mut Fields<'_>, scale: Scale) -> Result<Result<Action, Loss>, Bad> {
    let id = u64::from_be_bytes(fields.take());
    let lots = |shares: [u8; 4]| {
        scale.lots(i64::from(u32::from_be_bytes(shares)).saturating_mul(UNIT)).ok_or(Loss::OffLot)
    };
    let ticks = |price: [u8; 4]| {
        scale
            .ticks(i64::from(u32::from_be_bytes(price)).saturating_mul(PRICE_UNIT))
            .ok_or(Loss::OffTick)
    };
    Ok(match kind {
        b'A' | b'F' => {
            let [side] = fields.take();
            let side = match side {
                b'B' => Side::Buy,
                b'S' => Side::Sell,
                other => return Err(("side", other.escape_ascii().to_string(), "B or S")),
            };
            let quantity = lots(fields.take());
            let _stock: [u8; 8] = fields.take();
            let price = ticks(fields.take());
            quantity.and_then(|quantity| {
                let (account, stay) = (0, Stay::Rests);
                Ok(Action::New { id, side, price: price?, quantity, account, stay })
            })
        }
        b'E' | b'C' => lots(fields.take()).map(|quantity| Action::Execute { id, quantity }),
        b'X' => lots(fields.take()).map(|by| Action::Reduce { id, by }),
        b'U' => {
            let new_id = u64::from_be_bytes(fields.take());
            let quantity = lots(fields.take());
            let price = ticks(fields.take());
            quantity
                .and_then(|quantity| Ok(Action::Replace { id, new_id, price: price?, quantity }))
        }
        _delete => Ok(Action::Cancel { id }),
    })
}

/// Takes fields off the front of a message of known length; zeroes past its end.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk() else { return [0; N] };
        self.0 = rest;
        *field
    }
}
