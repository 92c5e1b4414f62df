//! What one sync covers, as the configuration says.

use std::{ops::ControlFlow, path::Path};

use tests::venue::{Venue, config_text};

/// A batch: its entries, and the bytes from the beginning of its header to that of its last entry.
#[derive(Debug, Clone, Copy, Default)]
struct Batch {
    entries: u64,
    bytes_before_last: u64,
}

const BATCH_HEADER_BYTES: u64 = 80;

fn batches(journal: &Path) -> Vec<Batch> {
    let (mut batches, mut batch, mut first) = (Vec::new(), Batch::default(), None);
    journal::scan(journal, &mut |_, position| {
        let begin = *first.get_or_insert(position.offset);
        batch.entries += 1;
        batch.bytes_before_last = BATCH_HEADER_BYTES + position.offset - begin;
        if position.batch_end.is_some() {
            batches.push(std::mem::take(&mut batch));
            first = None;
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    batches
}

/// Runs an exchange up to an hour before noon, when slots have opened and closed, and gives its batches.
async fn run(lines: &str) -> Vec<Batch> {
    let text = config_text().replacen("batch_commands = 8192", lines, 1);
    let venue = Venue::open_with(&text).await;
    venue.clock_to(-60).await;
    let journal = venue.layout.journal();
    let dir = venue.stop().await;
    let batches = batches(&journal);
    drop(dir);
    batches
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_ends_at_the_bound_that_is_reached_first() {
    let most = |batches: &[Batch]| batches.iter().map(|batch| batch.entries).max().unwrap();
    let bytes = |batches: &[Batch]| batches.iter().map(|batch| batch.bytes_before_last).max();
    let usual = run("batch_commands = 8192").await;
    let entries: u64 = usual.iter().map(|batch| batch.entries).sum();
    assert!(most(&usual) > 6, "everybody is entered with one sync");
    assert!(bytes(&usual) >= Some(1_024));
    let few = run("batch_commands = 3").await;
    assert_eq!(most(&few), 3);
    let short = run("batch_commands = 8192\nbatch_kib = 1").await;
    assert!(bytes(&short) < Some(1_024), "{short:?}");
    assert!(most(&short) > 3);
    for batches in [few, short] {
        assert_eq!(batches.iter().map(|batch| batch.entries).sum::<u64>(), entries);
    }
}
