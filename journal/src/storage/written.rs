//! Batches in memory of their own, written with one call when they are complete. Appending touches
//! the same memory for every batch, which stays in the cache, and can meet no fault of the file.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt};

use super::{Opened, Storage};
use crate::format::wide;

/// Memory that is touched before the first batch, so that appending does not wait for pages.
const TOUCHED_BYTES: usize = 4 << 20;

#[derive(Debug)]
pub(super) struct Written {
    file: File,
    /// As long as the largest batch; only what batches have reached takes memory.
    batch: Vec<u8>,
    /// Where the batch begins in the segment.
    begin: usize,
}

impl Written {
    pub(super) fn new(file: File, batch_bytes_max: usize) -> Self {
        let mut batch = vec![0; batch_bytes_max];
        for page in batch.chunks_mut(4_096).take(TOUCHED_BYTES.div_euclid(4_096)) {
            // Anything but what is there already: a store that changes nothing may be left out.
            page.fill(1);
        }
        Self { file, batch, begin: 0 }
    }
}

impl Storage for Written {
    fn begin(&mut self, offset: usize) {
        self.begin = offset;
    }

    #[expect(clippy::indexing_slicing, reason = "an offset outside the batch is a bug here")]
    fn area(&mut self, range: Range<usize>) -> &mut [u8] {
        &mut self.batch[range.start - self.begin..range.end - self.begin]
    }

    fn sync(&mut self, range: Range<usize>) -> io::Result<()> {
        let at = wide(range.start);
        let (file, bytes) = (&self.file, self.batch.get(..range.end - self.begin));
        let bytes = bytes.and_then(|bytes| bytes.get(range.start - self.begin..));
        file.write_all_at(bytes.unwrap_or_default(), at)?;
        file.sync_data()
    }

    fn go_on(&mut self, next: Opened) {
        self.file = next.file;
    }
}
