//! What goes in comes out.

use proptest::prelude::*;
use types::{ClientOrderId, Command, MassCancel, Scope, Seq, Sequenced, Timestamp};

use super::{
    SMALL, read, segments,
    values::{COMMAND_KINDS, EVENT_KINDS, Source, entries, orders},
    write,
};
use crate::{Entry, Options, Reader, Writer, record};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_kind_survives_its_record(seed: u64) {
        let mut source = Source(seed);
        let mut entry = Entry::default();
        for kind in 0..COMMAND_KINDS {
            entry.command.value = source.command(kind);
            entry.command.seq = Seq::new(kind + 1);
            entry.events = (0..EVENT_KINDS).map(|kind| source.event(kind)).collect();
            let bytes = record::entry_bytes(&entry.command.value, &entry.events);
            let mut area = rkyv::util::AlignedVec::<16>::new();
            area.resize(bytes, 0xFF);
            let (records, written) = record::encode_entry(&entry.command, &entry.events, &mut area);
            let expected = u32::try_from(EVENT_KINDS + 1).unwrap();
            prop_assert_eq!((records, written), (expected, bytes));
            prop_assert!(bytes <= record::entry_bytes_max(entry.events.len()));
            let mut back = Entry::default();
            let taken = record::decode_entry(&area, entry.command.seq, &mut back);
            prop_assert_eq!(taken, Some(bytes));
            prop_assert_eq!(&back, &entry);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn journals_survive_any_cut_into_batches(seed: u64, count in 1..60_u64, batch in 1..20_usize) {
        let dir = tempfile::tempdir().unwrap();
        let expected = entries(seed, 1, count);
        write(dir.path(), SMALL, &expected, batch);
        let (found, result) = read(dir.path());
        let recovery = result.unwrap();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(recovery.last_seq, Seq::new(count));
        prop_assert_eq!(recovery.last_time, expected.last().unwrap().command.time);
        prop_assert_eq!(recovery.entries, count);
        prop_assert_eq!(recovery.torn_bytes, 0);
        let mut again = Vec::new();
        let (_writer, reopened) =
            Writer::open(dir.path(), SMALL, &mut |entry| again.push(entry)).unwrap();
        prop_assert_eq!(&again, &expected);
        prop_assert_eq!(reopened, recovery);
        let after = Seq::new(seed % (count + 1));
        let mut reader = Reader::open(dir.path(), after).unwrap();
        let mut entry = Entry::default();
        for expected in expected.iter().filter(|entry| entry.command.seq > after) {
            prop_assert!(reader.next(recovery.last_seq, &mut entry).unwrap());
            prop_assert_eq!(&entry, expected);
        }
        prop_assert!(!reader.next(recovery.last_seq, &mut entry).unwrap());
    }
}

#[test]
fn an_accepted_order_takes_232_bytes() {
    let order = &orders(1, 1)[0];
    assert!(matches!(order.command.value, Command::NewOrder(_)));
    assert_eq!(record::entry_bytes(&order.command.value, &order.events), 232);
}

#[test]
fn records_without_meaning_are_not_decoded() {
    let order = &orders(1, 1)[0];
    let mut area = rkyv::util::AlignedVec::<16>::new();
    area.resize(232, 0);
    record::encode_entry(&order.command, &order.events, &mut area);
    let mut decode = |at: usize, byte: u8| {
        let before = area[at];
        area[at] = byte;
        let decoded = record::decode_entry(&area, Seq::new(1), &mut Entry::default());
        area[at] = before;
        decoded
    };
    assert_eq!(decode(0, 7), Some(232));
    assert_eq!(decode(0, 0), None, "no such kind of command");
    assert_eq!(decode(0, 139), None, "an event where a command must be");
    assert_eq!(decode(1, 1), None, "reserved byte of the head");
    assert_eq!(decode(2, 128), None, "length of another layout");
    assert_eq!(decode(4, 2), None, "more events than there are");
    assert_eq!(decode(16 + 146, 2), None, "no such side");
    assert_eq!(decode(16 + 147, 2), None, "no such kind of order");
    assert_eq!(decode(16 + 148, 4), None, "no such time in force");
    assert_eq!(decode(16 + 149, 4), None, "no such condition");
    assert_eq!(decode(16 + 150, 3), None, "no such kind of list");
    assert_eq!(decode(168, 7), None, "a command where an event must be");
    assert_eq!(decode(168 + 4, 1), None, "an event with events");
    assert_eq!(decode(176 + 51, 1), None, "reserved byte of the layout");
}

/// A mass cancellation by the operator, of all slots, with some bytes of its layout replaced; what
/// comes back.
fn mass_cancel_with(at: usize, bytes: &[u8]) -> Option<Command> {
    let value = Command::MassCancel(MassCancel {
        origin: None,
        client_order: ClientOrderId::new(9),
        scope: Scope::All,
        slot: None,
    });
    let command = Sequenced { seq: Seq::new(1), time: Timestamp::from_ns(1), value };
    let mut area = rkyv::util::AlignedVec::<16>::new();
    area.resize(record::entry_bytes(&value, &[]), 0);
    record::encode_entry(&command, &[], &mut area);
    area[16 + at..16 + at + bytes.len()].copy_from_slice(bytes);
    let mut entry = Entry::default();
    record::decode_entry(&area, command.seq, &mut entry).map(|_| entry.command.value)
}

#[test]
fn what_is_missing_is_stored_as_zero() {
    assert!(mass_cancel_with(0, &[]).is_some());
    assert_eq!(mass_cancel_with(8, &[1]), None, "a session without an origin");
    assert_eq!(mass_cancel_with(24, &[1]), None, "a platform without an origin");
    assert_eq!(mass_cancel_with(12, &[1]), None, "a number without a scope");
    assert_eq!(mass_cancel_with(16, &[1]), None, "a start without a slot");
    assert_eq!(mass_cancel_with(22, &[1]), None, "a market without a slot");
    assert_eq!(mass_cancel_with(27, &[2]), None, "a slot of no minutes");
    assert_eq!(mass_cancel_with(27, &[4]), None, "no such flag");
    assert_eq!(mass_cancel_with(26, &[6]), None, "no such scope");
    assert_eq!(mass_cancel_with(28, &[1]), None, "reserved byte of the layout");
    let asked = mass_cancel_with(27, &[1]);
    assert!(matches!(asked, Some(Command::MassCancel(MassCancel { origin: Some(_), .. }))));
}

#[test]
fn time_alone_has_an_empty_layout() {
    let value = Command::PassTime;
    let command = Sequenced { seq: Seq::new(1), time: Timestamp::from_ns(7), value };
    assert_eq!(record::entry_bytes(&value, &[]), 16);
    let mut area = rkyv::util::AlignedVec::<16>::new();
    area.resize(24, 0);
    record::encode_entry(&command, &[], &mut area[..16]);
    let mut entry = Entry::default();
    assert_eq!(record::decode_entry(&area, command.seq, &mut entry), Some(16));
    assert_eq!(entry.command, command);
    area[2] = 16;
    let longer = record::decode_entry(&area, command.seq, &mut Entry::default());
    assert_eq!(longer, None, "length of another layout");
}

#[test]
fn default_options_fit_together() {
    let dir = tempfile::tempdir().unwrap();
    let expected = entries(5, 1, 100);
    write(dir.path(), Options::default(), &expected, 7);
    assert_eq!(read(dir.path()).0, expected);
    assert_eq!(segments(dir.path()).len(), 1);
}
