//! A table that only grows, in chunks that never move: growing copies nothing.

use crate::index::at;

/// 16,384 entries of 64 bytes are 1 MiB.
const CHUNK_BITS: u32 = 14;
const CHUNK: usize = 1 << CHUNK_BITS;
const MASK: u32 = (1 << CHUNK_BITS) - 1;

/// Entries by dense index from 0.
#[derive(Debug)]
pub(crate) struct Chunked<T> {
    chunks: Vec<Box<[T; CHUNK]>>,
    len: u32,
    /// Fills memory that is only reserved.
    unused: T,
}

impl<T: Copy + core::fmt::Debug> Chunked<T> {
    pub(crate) const fn new(unused: T) -> Self {
        Self { chunks: Vec::new(), len: 0, unused }
    }

    /// How many entries there are.
    #[inline(always)]
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// Appends an entry.
    #[inline(always)]
    pub(crate) fn push(&mut self, entry: T) {
        let index = self.len;
        if at(index >> CHUNK_BITS) == self.chunks.len() {
            self.add_chunk();
        }
        self.len += 1;
        *self.get_mut(index) = entry;
    }

    /// Reserves and touches the memory of at least `more` further entries.
    pub(crate) fn prefault(&mut self, more: u32) {
        let until = at(self.len.saturating_add(more)).div_ceil(CHUNK);
        while self.chunks.len() < until {
            self.add_chunk();
        }
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "hot; only indices of entries get here")]
    pub(crate) fn get(&self, index: u32) -> &T {
        &self.chunks[at(index >> CHUNK_BITS)][at(index & MASK)]
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "hot; only indices of entries get here")]
    pub(crate) fn get_mut(&mut self, index: u32) -> &mut T {
        &mut self.chunks[at(index >> CHUNK_BITS)][at(index & MASK)]
    }

    /// All entries in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).take(at(self.len))
    }

    #[cold]
    fn add_chunk(&mut self) {
        let chunk: Result<Box<[T; CHUNK]>, _> =
            vec![self.unused; CHUNK].into_boxed_slice().try_into();
        // A slice of CHUNK entries is an array of CHUNK entries.
        if let Ok(chunk) = chunk {
            self.chunks.push(chunk);
        }
    }
}
