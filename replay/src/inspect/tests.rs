//! The golden journal, whose every byte is known.

use std::path::Path;

use super::*;

#[test]
fn records_and_batches_add_up_to_the_bytes_used() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../journal/golden/v1");
    let mut entries = 0;
    let found = inspect(&dir, &mut |_, _| entries += 1).unwrap();
    assert_eq!((entries, found.recovery.entries), (60, 60));
    assert_eq!(found.segments.len(), 3);
    let batches: u64 = found.segments.iter().map(|segment| segment.batches).sum();
    assert_eq!(batches, u64::try_from(found.batches.entries.len()).unwrap());
    assert_eq!(found.batches.entries.iter().sum::<u32>(), 60);
    // Header of 4,096 a segment, 120 around the records of a batch, 24 at the end of a full segment.
    let around = 3 * 4_096 + batches * 120 + 2 * 24;
    assert_eq!(found.record_bytes() + around, found.bytes_used());
    let mut next = 1;
    for (index, segment) in (1..).zip(&found.segments) {
        assert_eq!((segment.index, segment.first_seq, segment.epoch), (index, next, 1));
        assert_eq!(segment.file, format!("{next:020}.seg"));
        assert!(segment.bytes_used <= segment.bytes);
        next = segment.last_seq + 1;
    }
    assert_eq!(next, 61);
    let refused: u64 = found.rejects.values().sum();
    let events = |name| found.events.get(name).map_or(0, |count| count.count);
    assert_eq!(refused, events("order_rejected") + events("command_rejected"));
    assert!(refused > 0);
}
