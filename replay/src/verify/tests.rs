//! Journals whose events are not what their commands cause, each place found exactly.

use std::path::PathBuf;

use journal::{Options, Writer};
use tempfile::TempDir;
use types::{CommandRejected, RejectReason, Timestamp};

use super::*;

/// What is done to an entry, given its number.
type Edit<'a> = dyn Fn(u64, &mut Sequenced<Command>, &mut Vec<Event>) + 'a;

/// More than two chunks of time that passes, one of them edited before it is written.
fn journal(edit: &Edit<'_>) -> (TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("journal");
    let (mut writer, _) = Writer::open(&dir, Options::default(), &mut |_| {}).unwrap();
    for number in 1..=700_u64 {
        let seq = Seq::new(number);
        let time = Timestamp::from_ns(i64::try_from(number).unwrap());
        // Every third command is refused, so that events have to be told apart by command.
        let key = crate::stage::key(0);
        let is_refused = number % 3 == 0;
        let value = if is_refused { Command::OpenSlot(key) } else { Command::PassTime };
        let mut command = Sequenced { seq, time, value };
        let mut events =
            if is_refused { vec![refused(RejectReason::UnknownMarket)] } else { vec![] };
        edit(number, &mut command, &mut events);
        writer.append(&command, &events).unwrap();
    }
    writer.commit().unwrap();
    (temporary, dir)
}

const fn refused(reason: RejectReason) -> Event {
    Event::CommandRejected(CommandRejected { reason })
}

fn verified(dir: &Path) -> Result<Verified, VerifyError> {
    verify(dir, Limits::default(), &mut |_| {})
}

#[test]
fn a_sound_journal_is_counted_to_its_end() {
    let (_temporary, dir) = journal(&|_, _, _| {});
    let mut told = Progress::default();
    let verified = verify(&dir, Limits::default(), &mut |progress| {
        assert!(progress.commands >= told.commands && progress.offset > told.offset);
        told = progress;
    });
    let verified = verified.unwrap();
    assert_eq!((verified.commands, verified.events, verified.trades), (700, 233, 0));
    assert_eq!((verified.last_seq, told.commands, told.segment), (Seq::new(700), 700, 1));
}

#[test]
fn the_first_difference_is_placed() {
    let other = refused(RejectReason::SlotMisaligned);
    let expected = refused(RejectReason::UnknownMarket);
    // In the first chunk, at the ends of chunks, in the last one.
    for place in [3, 255, 258, 510, 513, 699] {
        let check = |edit: &dyn Fn(&mut Vec<Event>), index, recorded, computed| {
            let (_temporary, dir) = journal(&|number, _, events| {
                if number == place {
                    edit(events);
                }
            });
            match verified(&dir).unwrap_err() {
                VerifyError::Different { seq, index: at, recorded: found, computed: says } => {
                    assert_eq!((seq, at), (Seq::new(place), index));
                    assert_eq!(
                        (found.map(|event| *event), says.map(|event| *event)),
                        (recorded, computed)
                    );
                }
                error @ (VerifyError::Journal(_) | VerifyError::Time { .. }) => panic!("{error}"),
            }
        };
        check(&|events| events[0] = other, 0, Some(other), Some(expected));
        check(&|events| events.clear(), 0, None, Some(expected));
        check(&|events| events.push(other), 1, Some(other), None);
    }
}

#[test]
fn an_event_too_much_where_none_is_caused_is_placed() {
    let extra = refused(RejectReason::Busy);
    for place in [1, 256, 700] {
        let (_temporary, dir) = journal(&|number, _, events| {
            if number == place {
                events.push(extra);
            }
        });
        match verified(&dir).unwrap_err() {
            VerifyError::Different { seq, index, recorded, computed } => {
                assert_eq!((seq, index), (Seq::new(place), 0));
                assert_eq!((recorded, computed), (Some(Box::new(extra)), None));
            }
            error @ (VerifyError::Journal(_) | VerifyError::Time { .. }) => panic!("{error}"),
        }
    }
}

#[test]
fn time_that_does_not_rise_is_no_journal_of_an_exchange() {
    let (_temporary, dir) = journal(&|number, command, _| {
        if number == 300 {
            command.time = Timestamp::from_ns(299);
        }
    });
    let error = verified(&dir).unwrap_err();
    assert!(matches!(error, VerifyError::Time { seq } if seq == Seq::new(300)), "{error}");
}
