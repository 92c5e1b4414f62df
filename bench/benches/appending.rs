//! The journal without its sync: one order with its acceptance into the open batch, and the sync of
//! one such batch.

use std::time::Duration;

use bench::{Failure, history::History, market::Setup};
use criterion::Criterion;
use journal::{Options, Writer};
use types::{Command, Event, Sequenced};

/// Orders between two commits, so that appending dominates.
const BATCH: usize = 4_096;

fn main() -> Result<(), Failure> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let history = History::of_orders(&Setup::new(1, 64), 1, 1)?;
    let (command, events): (&Sequenced<Command>, &[Event]) =
        history.entries().last().ok_or("no order")?;
    let mut next = *command;
    let folder = tempfile::tempdir()?;
    let (mut writer, recovery) = Writer::open(folder.path(), Options::default(), &mut |_| {})?;
    next.seq = recovery.last_seq;
    let mut open = 0;
    criterion.bench_function("journal/append_with_commit_every_4096", |bencher| {
        bencher.iter(|| {
            next.seq = next.seq.next();
            let appended = writer.append(&next, events).is_ok();
            open += 1;
            if open == BATCH {
                open = 0;
                return appended && writer.commit().is_ok();
            }
            appended
        });
    });
    let mut group = criterion.benchmark_group("journal");
    group.sample_size(20);
    group.bench_function("append_and_commit_one", |bencher| {
        bencher.iter(|| {
            next.seq = next.seq.next();
            writer.append(&next, events).is_ok() && writer.commit().is_ok()
        });
    });
    group.finish();
    criterion.final_summary();
    Ok(())
}
