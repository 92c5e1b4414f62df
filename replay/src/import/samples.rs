//! Sample logs of every format, made from a seed with the reference book, and the fills they must give.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use types::Side;

use crate::flow::{FlowKind, FlowOperation, Random, ReferenceBooks};

/// Ticks of 0.01 in a price of LOBSTER and ITCH.
const TICK: u32 = 100;
const SYMBOLS: [&str; 2] = ["SUN", "WIND"];

/// One thing that happens, as a venue sees it.
#[derive(Debug, Clone, Copy)]
enum Step {
    Sent(FlowOperation),
    /// What is left of the order last sent rests.
    Rests {
        order: FlowOperation,
        left: u32,
    },
    Filled {
        maker: FlowOperation,
        quantity: u32,
    },
    Cancelled {
        order: FlowOperation,
        left: u32,
    },
    Reduced {
        order: FlowOperation,
        by: u32,
    },
    Replaced {
        old: FlowOperation,
        new: FlowOperation,
    },
}

/// A day in one or two books.
#[derive(Debug)]
pub(crate) struct Day {
    steps: Vec<Step>,
    /// How many fills there are.
    pub(crate) fills: u64,
    /// How much was traded, in lots.
    pub(crate) volume: u128,
    /// Ticks times lots of all fills.
    pub(crate) notional: i128,
}

/// Draws a day.
struct Draw {
    random: Random,
    books: ReferenceBooks,
    sent: Vec<FlowOperation>,
    day: Day,
}

impl Draw {
    fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.random.below(end.into())).unwrap()
    }

    fn order(&mut self, kind: FlowKind, books: u16) -> FlowOperation {
        let side = if self.below(2) == 0 { Side::Buy } else { Side::Sell };
        let away = 1 + self.below(40);
        let price = match (side, kind) {
            (Side::Buy, FlowKind::New) => 10_002 - away,
            (Side::Buy, _) => 10_010 + away,
            (Side::Sell, FlowKind::New) => 9_998 + away,
            (Side::Sell, _) => 9_990 - away,
        };
        let book = u16::try_from(self.below(books.into())).unwrap();
        let id = u64::try_from(self.sent.len()).unwrap() + 1;
        let quantity = 2 + self.below(98);
        FlowOperation { id, price, quantity, account: 1 + self.below(9), book, kind, side }
    }

    fn send(&mut self, order: FlowOperation) {
        self.sent.push(order);
        let mut fills = Vec::new();
        self.books.apply_each(&order, &mut |fill| fills.push(*fill));
        for fill in fills {
            self.day.fills += 1;
            self.day.volume += u128::from(fill.quantity);
            self.day.notional += i128::from(fill.price) * i128::from(fill.quantity);
            let maker = self.sent[usize::try_from(fill.maker).unwrap() - 1];
            self.day.steps.push(Step::Filled { maker, quantity: fill.quantity });
        }
        if let Some(left) = self.books.left(order.id) {
            self.day.steps.push(Step::Rests { order, left });
        }
    }

    /// An order that rests, if there is one where chance looks.
    fn resting(&mut self) -> Option<(FlowOperation, u32)> {
        let place = self.below(u32::try_from(self.sent.len()).unwrap().max(1));
        let order = *self.sent.get(usize::try_from(place).unwrap())?;
        self.books.left(order.id).map(|left| (order, left))
    }

    fn cancel(&mut self, order: FlowOperation) {
        let gone = FlowOperation { kind: FlowKind::Cancel, quantity: 0, account: 0, ..order };
        self.books.apply_each(&gone, &mut |_| {});
    }

    fn step(&mut self, books: u16) {
        match self.below(20) {
            0..10 => {
                let order = self.order(FlowKind::New, books);
                self.day.steps.push(Step::Sent(order));
                self.send(order);
            }
            10..13 => {
                let order = self.order(FlowKind::ImmediateOrCancel, books);
                self.day.steps.push(Step::Sent(order));
                self.send(order);
            }
            13..17 => {
                if let Some((order, left)) = self.resting() {
                    self.cancel(order);
                    self.day.steps.push(Step::Cancelled { order, left });
                }
            }
            17 | 18 => {
                if let Some((order, left)) = self.resting().filter(|(_, left)| *left > 1) {
                    let by = 1 + self.below(left - 1);
                    self.books.reduce(order.id, by);
                    self.day.steps.push(Step::Reduced { order, by });
                }
            }
            _replace => {
                if let Some((old, _)) = self.resting() {
                    self.cancel(old);
                    let drawn = self.order(FlowKind::New, 1);
                    // Further away than anything rests on the other side: it only rests.
                    let price = if old.side == Side::Buy { 9_940 } else { 10_060 };
                    let new = FlowOperation { side: old.side, book: old.book, price, ..drawn };
                    self.day.steps.push(Step::Replaced { old, new });
                    let rests = self.day.steps.len();
                    self.send(new);
                    self.day.steps.truncate(rests);
                }
            }
        }
    }
}

/// A day of so many steps.
pub(crate) fn day(seed: u64, books: u16, steps: u32) -> Day {
    let day = Day { steps: Vec::new(), fills: 0, volume: 0, notional: 0 };
    let mut draw = Draw {
        random: Random::new(seed),
        books: ReferenceBooks::new(books.into()),
        sent: Vec::new(),
        day,
    };
    for _ in 0..steps {
        draw.step(books);
    }
    draw.day
}

const fn side_of(side: Side) -> i8 {
    match side {
        Side::Buy => 1,
        Side::Sell => -1,
    }
}

/// As LOBSTER writes it, with some rows that say nothing to a book.
pub(crate) fn lobster(day: &Day) -> String {
    let mut text = String::new();
    let mut line = |at: usize, kind: u8, order: &FlowOperation, size: u32| {
        let (second, ms) = (34_200 + at / 1_000, at % 1_000);
        let (id, price) = (1_000 + order.id, order.price * TICK);
        let side = side_of(order.side);
        writeln!(text, "{second}.{ms:03}000000,{kind},{id},{size},{price},{side}").unwrap();
    };
    for (at, step) in day.steps.iter().enumerate() {
        match step {
            Step::Sent(order) => {
                if order.id % 40 == 0 {
                    line(at, 5, &FlowOperation { price: order.price, ..*order }, 1);
                }
            }
            Step::Rests { order, left } => line(at, 1, order, *left),
            Step::Filled { maker, quantity } => line(at, 4, maker, *quantity),
            Step::Cancelled { order, left } => line(at, 3, order, *left),
            Step::Reduced { order, by } => line(at, 2, order, *by),
            Step::Replaced { old, new } => {
                line(at, 3, old, 1);
                line(at, 1, new, new.quantity);
            }
        }
    }
    text.push_str("57600.000000000,7,0,0,-1,-1\n");
    text
}

/// As NASDAQ writes it.
pub(crate) fn itch(day: &Day) -> Vec<u8> {
    let mut file = Vec::new();
    let mut put = |kind: u8, locate: u16, at: usize, body: &[&[u8]]| {
        let length = 11 + body.iter().map(|part| part.len()).sum::<usize>();
        file.extend(u16::try_from(length).unwrap().to_be_bytes());
        file.push(kind);
        file.extend(locate.to_be_bytes());
        file.extend([0; 2]);
        let time = 34_200_000_000_000 + u64::try_from(at).unwrap() * 1_000_000;
        file.extend(&time.to_be_bytes()[2..]);
        body.iter().for_each(|part| file.extend(*part));
    };
    put(b'S', 0, 0, &[b"O"]);
    let stock = |book: u16| {
        let mut name = [b' '; 8];
        let symbol = SYMBOLS[usize::from(book)].as_bytes();
        name[..symbol.len()].copy_from_slice(symbol);
        name
    };
    for book in 0..2 {
        put(b'R', book + 1, 0, &[&stock(book), &[b' '; 20]]);
    }
    for (at, step) in day.steps.iter().enumerate() {
        let be = |id: u64| (1_000 + id).to_be_bytes();
        let price = |order: &FlowOperation| (order.price * TICK).to_be_bytes();
        let side = |order: &FlowOperation| if order.side == Side::Buy { b"B" } else { b"S" };
        match step {
            Step::Sent(order) => {
                if order.id % 40 == 0 {
                    let [b] = side(order);
                    let (id, match_id) = (be(0), be(order.id));
                    let parts: &[&[u8]] =
                        &[&id, &[*b], &[0, 0, 0, 1], &stock(order.book), &price(order), &match_id];
                    put(b'P', order.book + 1, at, parts);
                }
            }
            Step::Rests { order, left } => {
                let (id, left) = (be(order.id), left.to_be_bytes());
                let (stock, price) = (stock(order.book), price(order));
                let parts: [&[u8]; 6] = [&id, side(order), &left, &stock, &price, b"MPID"];
                let named = order.id % 3 == 0;
                let (kind, count) = if named { (b'F', 6) } else { (b'A', 5) };
                put(kind, order.book + 1, at, &parts[..count]);
            }
            Step::Filled { maker, quantity } => {
                let (id, size, number) = (be(maker.id), quantity.to_be_bytes(), be(maker.id));
                let price = price(maker);
                let parts: [&[u8]; 5] = [&id, &size, &number, b"Y", &price];
                let (kind, count) = if at % 7 == 0 { (b'C', 5) } else { (b'E', 3) };
                put(kind, maker.book + 1, at, &parts[..count]);
            }
            Step::Cancelled { order, .. } => put(b'D', order.book + 1, at, &[&be(order.id)]),
            Step::Reduced { order, by } => {
                put(b'X', order.book + 1, at, &[&be(order.id), &by.to_be_bytes()]);
            }
            Step::Replaced { old, new } => {
                let (size, price) = (new.quantity.to_be_bytes(), price(new));
                put(b'U', old.book + 1, at, &[&be(old.id), &be(new.id), &size, &price]);
            }
        }
    }
    file
}

/// What stands before the records of MBO.
#[cfg(feature = "dbn")]
pub(crate) fn dbn_metadata() -> ::dbn::Metadata {
    ::dbn::Metadata::builder()
        .dataset("SYNTHETIC")
        .schema(Some(::dbn::Schema::Mbo))
        .start(0)
        .stype_in(None)
        .stype_out(::dbn::SType::InstrumentId)
        .build()
}

/// As Databento writes it. An order that is replaced keeps its number there.
#[cfg(feature = "dbn")]
pub(crate) fn dbn(day: &Day) -> Vec<u8> {
    use std::collections::BTreeMap;

    use ::dbn::{
        MboMsg, RecordHeader,
        encode::{EncodeRecord, dbn::Encoder},
        rtype,
    };
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, &dbn_metadata()).unwrap();
    let (mut names, mut sizes) = (BTreeMap::new(), BTreeMap::new());
    let mut put = |at: usize, action: u8, id: u64, order: &FlowOperation, size: u32| {
        let time = 1_782_896_400_000_000_000 + u64::try_from(at).unwrap() * 1_000_000;
        let side = if order.side == Side::Buy { b'B' } else { b'A' };
        let record = MboMsg {
            hd: RecordHeader::new::<MboMsg>(rtype::MBO, 1, 7 + u32::from(order.book), time),
            order_id: id,
            price: i64::from(order.price) * 10_000_000,
            size,
            action: std::ffi::c_char::try_from(action).unwrap(),
            side: std::ffi::c_char::try_from(side).unwrap(),
            ts_recv: time,
            ..MboMsg::default()
        };
        encoder.encode_record(&record).unwrap();
    };
    for (at, step) in day.steps.iter().enumerate() {
        let name = |order: &FlowOperation| names.get(&order.id).copied().unwrap_or(order.id);
        // What is left can be told as a cancellation of the rest or as a change to it.
        let mut less = |id: u64, order: &FlowOperation, by: u32| {
            let size = sizes.get_mut(&id).unwrap();
            *size -= by;
            let is_change = *size > 0 && at % 3 == 0;
            let (action, size) = if is_change { (b'M', *size) } else { (b'C', by) };
            (action, id, *order, size)
        };
        let (action, id, order, size) = match step {
            Step::Sent(_) => continue,
            Step::Rests { order, left } => {
                sizes.insert(name(order), *left);
                (b'A', name(order), *order, *left)
            }
            Step::Filled { maker, quantity } => {
                put(at, b'T', 0, maker, *quantity);
                put(at, b'F', name(maker), maker, *quantity);
                less(name(maker), maker, *quantity)
            }
            Step::Cancelled { order, left } => (b'C', name(order), *order, *left),
            Step::Reduced { order, by } => less(name(order), order, *by),
            Step::Replaced { old, new } => {
                let kept = name(old);
                names.insert(new.id, kept);
                sizes.insert(kept, new.quantity);
                (b'M', kept, *new, new.quantity)
            }
        };
        put(at, action, id, &order, size);
    }
    file
}

/// What a table's row says: action, order, new order, side, price, quantity, book, account.
type Cells = (&'static str, u64, Option<u64>, FlowOperation, Option<u32>, Option<u32>);

fn cells(step: &Step) -> Option<Cells> {
    Some(match step {
        Step::Sent(order) if order.kind == FlowKind::New => {
            ("new", order.id, None, *order, Some(order.price), Some(order.quantity))
        }
        Step::Sent(order) => {
            ("ioc", order.id, None, *order, Some(order.price), Some(order.quantity))
        }
        Step::Cancelled { order, .. } => ("cancel", order.id, None, *order, None, None),
        Step::Reduced { order, by } => ("reduce", order.id, None, *order, None, Some(*by)),
        Step::Replaced { old, new } => {
            ("replace", old.id, Some(new.id), *new, Some(new.price), Some(new.quantity))
        }
        Step::Rests { .. } | Step::Filled { .. } => return None,
    })
}

/// A table with a header, in kilowatt-hours and currency.
pub(crate) fn csv(day: &Day) -> String {
    let mut text = "Timestamp,Order ID,new_id,Type,Buy/Sell,Px,Qty,Symbol,Account\n".to_owned();
    text = text.replace("Buy/Sell", "buy_sell");
    for (at, step) in day.steps.iter().enumerate() {
        let Some((action, id, new, order, price, quantity)) = cells(step) else { continue };
        let price =
            price.map_or_else(String::new, |price| format!("{}.{:02}", price / 100, price % 100));
        let quantity = quantity
            .map_or_else(String::new, |lots| format!("{}.{:03}", lots / 1_000, lots % 1_000));
        let new = new.map_or_else(String::new, |new| new.to_string());
        writeln!(
            text,
            "2026-07-01T09:00:{:02}.{:03}Z,{id},{new},{action},{},{price},{quantity},{},M{}",
            at / 1_000,
            at % 1_000,
            order.side.name().to_ascii_uppercase(),
            SYMBOLS[usize::from(order.book)],
            order.account
        )
        .unwrap();
    }
    text
}

/// The same as objects, with other names.
pub(crate) fn ndjson(day: &Day) -> String {
    let mut text = String::new();
    for (at, step) in day.steps.iter().enumerate() {
        let Some((action, id, new, order, price, quantity)) = cells(step) else { continue };
        let object = serde_json::json!({
            "ts": 1_782_896_400_000_u64 + u64::try_from(at).unwrap(),
            "client_order_id": format!("order-{id}"),
            "new_id": new.map(|new| format!("order-{new}")),
            "action": action,
            "side": side_of(order.side),
            "limit": price.map(|price| format!("{}.{:02}", price / 100, price % 100)),
            "size": quantity,
            "instrument": SYMBOLS[usize::from(order.book)],
        });
        writeln!(text, "{object}").unwrap();
    }
    text
}

/// Where samples are kept.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")
}

/// One book for LOBSTER, two for the others.
pub(crate) fn days() -> (Day, Day) {
    (day(11, 1, 600), day(12, 2, 600))
}

#[test]
fn samples_are_what_their_generator_makes() {
    let (one, two) = days();
    let files = [
        ("lobster.csv", lobster(&one).into_bytes()),
        ("itch.bin", itch(&two)),
        ("orders.csv", csv(&two).into_bytes()),
        ("orders.ndjson", ndjson(&two).into_bytes()),
    ];
    #[cfg(feature = "dbn")]
    let files = files.into_iter().chain([("mbo.dbn", dbn(&two))]);
    for (name, made) in files {
        let path = folder().join(name);
        if std::env::var_os("UPDATE_SAMPLES").is_some() {
            fs::write(&path, &made).unwrap();
        }
        assert!(fs::read(&path).unwrap() == made, "{} differs", path.display());
    }
}
