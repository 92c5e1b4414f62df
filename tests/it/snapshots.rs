//! Starts from snapshots: the same state as from the whole journal, or else the whole journal.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tests::{
    cast::{FIRST, SECOND},
    platform::Platform,
    venue::{Venue, config_text, soon},
};
use types::{Command, Event, Seq, Side};

/// The snapshots of a journal, oldest first.
fn snapshots(journal: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(journal).unwrap().map(|file| file.unwrap().path());
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("snapshot-") && !name.contains('.')
    };
    let mut found: Vec<_> = files.filter(is_one).collect();
    found.sort();
    found
}

/// A sell that rests, bought in parts: some of it stays open. Numbers begin at `first`. Returns the
/// last position.
async fn trade(venue: &Venue, first: u64) -> Seq {
    let mut seller = Platform::log_on(venue, 1).await.counting_from(first);
    let mut buyer = Platform::log_on(venue, 2).await.counting_from(first);
    let sell = seller.order(FIRST, Side::Sell, 100, 500);
    seller.accepted(sell).await;
    let buy = buyer.order(SECOND, Side::Buy, 100, 200);
    buyer.accepted(buy).await.seq
}

fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_goes_on_from_the_newest_snapshot() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let end = trade(&venue, 1).await;
    let (venue, before) = venue.restart().await;
    let found = venue.first().recovered;
    assert_eq!((found.snapshot, found.last_seq, found.commands), (end, end, 0));
    // The restored exchange knows its orders, its meters and what is still to be done.
    trade(&venue, 10).await;
    let (venue, between) = venue.restart().await;
    assert_ne!(before, between);
    assert_eq!(snapshots(&venue.layout.journal()).len(), 2, "the newest and one before");
    let found = venue.first().recovered;
    assert!(found.snapshot > end && found.commands == 0);
    venue.clock_to(-10).await;
    let (mut closed, mut refused) = (0, 0);
    journal::scan(&venue.layout.journal(), &mut |entry, _| {
        closed += usize::from(entry.command.value == Command::CloseSlot(venue.slot(0)));
        let refusals = entry.events.iter().filter(|e| matches!(e, Event::CommandRejected(_)));
        refused += refusals.count();
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!((closed, refused), (1, 0), "the timetable goes on where it was");
    // The whole journal replays to this state too.
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_snapshots_are_passed_over() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    let older = trade(&venue, 1).await;
    let (venue, _) = venue.restart().await;
    let end = trade(&venue, 10).await;
    let journal = venue.layout.journal();
    let (venue, _) = venue.restart().await;
    let keep = venue.closed_for_repair().await;
    damage(snapshots(&journal).last().unwrap());
    let venue = keep.start().await;
    let found = venue.first().recovered;
    assert_eq!((found.snapshot, found.last_seq), (older, end), "the older one");
    let keep = venue.closed_for_repair().await;
    for path in snapshots(&journal) {
        damage(&path);
    }
    let venue = keep.start().await;
    let found = venue.first().recovered;
    assert_eq!((found.snapshot, found.last_seq), (Seq::ZERO, end), "the whole journal");
    assert_eq!(found.commands, end.get());
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_are_made_while_orders_come_in() {
    let config = config_text().replace("# snapshot_commands = 1000000", "snapshot_commands = 20");
    let venue = Venue::open_with(&config).await;
    venue.clock_to(-29).await;
    let journal = venue.layout.journal();
    let before = venue.durable();
    let newest = || snapshots(&journal).pop().and_then(|path| journal::snapshots::read(&path).ok());
    for first in [1, 11, 21, 31] {
        trade(&venue, first).await;
    }
    // Slots that open, uncross and close make up the rest of the commands.
    venue.clock_to(46).await;
    // It is made beside the core loop, some time after there is enough for it.
    let made = soon(async {
        loop {
            if let Some(snapshot) = newest().filter(|snapshot| snapshot.end.seq > before) {
                return snapshot;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(made.end.seq <= venue.durable());
    venue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_ends_before_its_snapshot_is_damaged() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    trade(&venue, 1).await;
    let journal = venue.layout.journal();
    let segments = || {
        let files = fs::read_dir(&journal).unwrap().map(|file| file.unwrap().path());
        let is_one = |path: &PathBuf| path.extension().is_some_and(|end| end == "seg");
        files.filter(is_one).collect::<Vec<_>>()
    };
    let keep = venue.closed_for_repair().await;
    let older: Vec<_> =
        segments().into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    let venue = keep.start().await;
    trade(&venue, 10).await;
    // The segments as they were before: they end below the newest snapshot, and above another.
    let keep = venue.closed_for_repair().await;
    for (bytes, path) in older {
        fs::write(path, bytes).unwrap();
    }
    let error = keep.try_start().await.map(|_| ()).unwrap_err();
    assert!(error.contains("damaged"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_does_not_stand_in_for_a_journal() {
    let venue = Venue::open().await;
    venue.clock_to(-29).await;
    trade(&venue, 1).await;
    let journal = venue.layout.journal();
    let keep = venue.closed_for_repair().await;
    for file in fs::read_dir(&journal).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            fs::remove_file(path).unwrap();
        }
    }
    keep.try_start().await.map(|_| ()).unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_snapshots_there_are_none() {
    let config = config_text().replace("# snapshot_commands = 1000000", "snapshot_commands = 0");
    let venue = Venue::open_with(&config).await;
    let end = venue.durable();
    let (venue, _) = venue.restart().await;
    assert_eq!(snapshots(&venue.layout.journal()), Vec::<PathBuf>::new());
    let found = venue.first().recovered;
    assert_eq!((found.snapshot, found.commands), (Seq::ZERO, end.get()));
    venue.close().await;
}
