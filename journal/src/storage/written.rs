//! Batches in memory of their own, written with one call when they are complete. Appending touches
//! the same memory for every batch, which stays in the cache, and can meet no fault of the file.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt};

use super::{Opened, Storage};
use crate::{format::wide, ring::Ring};

/// Memory that is touched before the first batch, so that appending does not wait for pages.
const TOUCHED_BYTES: usize = 4 << 20;

/// Which call writes a batch and makes it durable.
#[derive(Debug)]
pub(super) enum Call {
    /// `pwrite`, then `fdatasync`.
    Fdatasync,
    /// Both, linked, in one call.
    Ring(Box<Ring>),
}

#[derive(Debug)]
pub(super) struct Written {
    file: File,
    call: Call,
    /// As long as the largest batch; only what batches have reached takes memory.
    batch: Vec<u8>,
    /// Where the batch begins in the segment.
    begin: usize,
}

impl Written {
    pub(super) fn new(file: File, batch_bytes_max: usize, call: Call) -> Self {
        let mut batch = vec![0; batch_bytes_max];
        for page in batch.chunks_mut(4_096).take(TOUCHED_BYTES.div_euclid(4_096)) {
            // Anything but what is there already: a store that changes nothing may be left out.
            page.fill(1);
        }
        Self { file, call, batch, begin: 0 }
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
        let bytes = bytes.unwrap_or_default();
        match &mut self.call {
            Call::Fdatasync => {
                file.write_all_at(bytes, at)?;
                file.sync_data()
            }
            Call::Ring(ring) => ring.write_durably(file, bytes, at),
        }
    }

    fn go_on(&mut self, next: Opened) {
        self.file = next.file;
    }
}
