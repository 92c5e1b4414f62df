//! The byte tables as data: what stands where in which message.

use super::Message;

/// One field of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) offset: usize,
    pub(super) bytes: usize,
    pub(super) field: String,
    pub(super) kind: String,
}

impl Row {
    pub(super) fn range(&self) -> core::ops::Range<usize> {
        self.offset..self.offset + self.bytes
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) kind: u8,
    pub(super) bytes: usize,
    pub(super) rows: Vec<Row>,
}

/// The tables of a set, read back from the Markdown that the document prints.
pub(super) fn of<M: Message>() -> Vec<Table> {
    let text = M::byte_tables();
    text.split("### ").skip(1).map(table).collect()
}

/// The table of the message that `bytes` hold.
pub(super) fn of_message<M: Message>(bytes: &[u8]) -> Table {
    of::<M>().into_iter().find(|table| table.kind == bytes[0]).unwrap()
}

fn table(text: &str) -> Table {
    let mut lines = text.lines();
    // Name (kind 4, 120 bytes)
    let words: Vec<&str> = lines.next().unwrap().split([' ', '(', ',']).collect();
    Table {
        name: words[0].to_owned(),
        kind: words[3].parse().unwrap(),
        bytes: words[5].parse().unwrap(),
        rows: lines.filter_map(row).collect(),
    }
}

/// `| offset | bytes | field | type |`, or nothing for any other line.
fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let offset = cells.get(1)?.parse().ok()?;
    let [field, kind] = [cells[3].to_owned(), cells[4].to_owned()];
    Some(Row { offset, bytes: cells[2].parse().unwrap(), field, kind })
}

fn check_tables<M: Message>() {
    for table in of::<M>() {
        let mut offset = 0;
        let mut fields = std::collections::BTreeSet::new();
        for row in &table.rows {
            let place = format!("{}::{} `{}`", M::SET, table.name, row.field);
            assert_eq!(row.offset, offset, "{place} follows the field before it");
            let is_zero = row.kind == "zero";
            assert_eq!(is_zero, row.field == "(zero)", "{place}");
            assert!(is_zero || fields.insert(row.field.clone()), "{place} stands there twice");
            let width = match row.kind.split(',').next().unwrap() {
                "u8" | "zero" => 1,
                "u16" => 2,
                "u32" => 4,
                "u64" | "i64" => 8,
                _ => 4,
            };
            assert_eq!(offset % width, 0, "{place} is aligned");
            offset += row.bytes;
        }
        assert_eq!(offset, table.bytes, "{}::{}", M::SET, table.name);
        assert_eq!(table.bytes % 8, 0, "{}::{} keeps the next aligned", M::SET, table.name);
    }
}

#[test]
fn fields_follow_each_other_aligned_and_named_once() {
    check_tables::<crate::Inbound>();
    check_tables::<crate::Outbound>();
    check_tables::<crate::FeedMessage>();
    check_tables::<crate::MarketMessage>();
    check_tables::<crate::data::Answer>();
}

#[test]
fn no_kind_belongs_to_two_sets() {
    let mut kinds = std::collections::BTreeSet::new();
    let all = [
        of::<crate::Inbound>(),
        of::<crate::Outbound>(),
        of::<crate::FeedMessage>(),
        of::<crate::MarketMessage>(),
        of::<crate::data::Answer>(),
    ];
    for table in all.iter().flatten() {
        assert!(kinds.insert(table.kind), "kind {} is {} too", table.kind, table.name);
    }
}
