//! A segment mapped for writing. With the signal that a mapping brings, the only unsafe code here.
//!
//! Only the writer maps, and only under the directory's exclusive lock. Readers copy bytes out of
//! the page cache with positioned reads, so no other reference to mapped memory exists.

use std::{fs::File, io, ops::Range};

use memmap2::{Advice, MmapMut, MmapOptions};

use crate::bus_error;

/// A segment in memory, shared with its file.
#[derive(Debug)]
pub(crate) struct Mapping {
    map: MmapMut,
}

impl Mapping {
    /// Maps the first `bytes` bytes of `file`, which must be that long and allocated on disk.
    pub(crate) fn new(file: &File, bytes: usize) -> io::Result<Self> {
        bus_error::report()?;
        // SAFETY: the caller holds the exclusive lock of the journal, and each segment is mapped
        // once, so no other reference to this memory exists in this process and no cooperating
        // process writes the file. Another process of this crate only reads the file with system
        // calls, which is no access through a reference. A process that ignores the lock and
        // writes or truncates the file is outside the contract; truncation raises SIGBUS, which
        // ends the process with a sentence. The map outlives the file handle by definition of mmap.
        let map = unsafe { MmapOptions::new().len(bytes).map_mut(file)? };
        Ok(Self { map })
    }

    /// The bytes of `range`.
    ///
    /// # Panics
    /// When `range` is not within the segment.
    #[expect(clippy::indexing_slicing, reason = "an offset outside the segment is a bug here")]
    pub(crate) fn area(&mut self, range: Range<usize>) -> &mut [u8] {
        &mut self.map[range]
    }

    /// Brings every page into memory, ready to be written.
    pub(crate) fn populate(&self) -> io::Result<()> {
        match self.map.advise(Advice::PopulateWrite) {
            // A kernel before 5.14: the pages come when they are touched.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            populated => populated,
        }
    }

    /// Makes the pages that hold `range` durable. After an error nothing is known about them.
    pub(crate) fn sync(&mut self, range: Range<usize>) -> io::Result<()> {
        self.map.flush_range(range.start, range.len())
    }
}
