//! Words with a version: one thread writes them, any number copy them, nobody waits.
//!
//! The orderings are argued in the module above. Each is needed: without it the model checker finds
//! a copy of two publications.

use core::{fmt, hint::spin_loop, slice};

use super::sync::{AtomicU64, MODELLED, Ordering, fence};

/// Words of a cache line: 64 bytes / 8.
const LINE_WORDS: usize = if MODELLED { 1 } else { 8 };

/// Most copies a reader makes before it gives up. Between them it pauses 1, 2, 4, … 64, 64, …
/// times: 703 pauses of up to 20 ns and 16 copies of 0.1 µs are about 15 µs.
const ATTEMPTS_MAX: u32 = if MODELLED { 1 } else { 16 };

/// The writer was faster than the reader every time, or was itself interrupted while it wrote.
/// Nothing is wrong: give the processor away and ask again, or answer with what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overtaken;

impl fmt::Display for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the writer was faster than the reader")
    }
}

impl core::error::Error for Overtaken {}

/// Number of a publication. Rises with every one, across all books: two publications never share a
/// version, whatever they are of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Version(u64);

impl Version {
    /// Before the first publication; the version of what is not there.
    pub const NONE: Self = Self(0);

    /// The number. Even: the odd ones mean "being written".
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// A version from the number it was given out as.
    #[must_use]
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The next version; 2^63 of them cannot be reached.
    pub(super) const fn next(self) -> Self {
        Self(self.0 + 2)
    }
}

/// Cells of equal size in one allocation, each beginning at a cache line. All words are 0 at first.
pub(super) struct Cells {
    words: Box<[AtomicU64]>,
    /// Where the first cache line begins.
    first: usize,
    /// Words from one cell to the next.
    stride: usize,
}

impl Cells {
    /// `cells` cells of a version and `words` words.
    pub(super) fn new(cells: usize, words: usize) -> Self {
        let stride = (words + 1).next_multiple_of(LINE_WORDS);
        let spare = LINE_WORDS - 1;
        let words: Box<[_]> = (0..cells * stride + spare).map(|_| AtomicU64::new(0)).collect();
        let first = words.as_ptr().align_offset(LINE_WORDS * size_of::<AtomicU64>()).min(spare);
        Self { words, first, stride }
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "callers have the index from a table of this size")]
    pub(super) fn get(&self, index: usize) -> Cell<'_> {
        let start = self.first + index * self.stride;
        let words = &self.words[start..start + self.stride];
        Cell { version: &words[0], words: &words[1..] }
    }
}

/// One version and the words it covers.
#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    version: &'a AtomicU64,
    words: &'a [AtomicU64],
}

impl Cell<'_> {
    /// Replaces the first words, of which `known` are those the cell holds. Only ever called by one
    /// thread, with versions that rise.
    #[inline]
    pub(super) fn write(self, version: Version, known: &mut [u64], words: &[u64]) {
        self.version.store(version.0 - 1, Ordering::Relaxed);
        // Pairs with the acquire fence in `read`: who copies one of the stores below finds at least
        // the odd version when looking again.
        fence(Ordering::Release);
        for ((word, known), &new) in self.words.iter().zip(known).zip(words) {
            // A line of which no word changes stays in the readers' caches.
            if *known != new {
                *known = new;
                word.store(new, Ordering::Relaxed);
            }
        }
        // Release pairs with the acquire load in `read`: who finds this version copies these words
        // or newer ones.
        self.version.store(version.0, Ordering::Release);
    }

    /// Copies words of one publication. What `copy` returns is given back only if no word changed
    /// meanwhile; until then every word is one that was written, but not all at the same time.
    ///
    /// # Errors
    /// When the writer came between every time.
    #[inline]
    pub(super) fn read<T>(
        self,
        mut copy: impl FnMut(&mut Words<'_>) -> T,
    ) -> Result<(Version, T), Overtaken> {
        for attempt in 0..ATTEMPTS_MAX {
            let before = self.version.load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                let copied = copy(&mut Words(self.words.iter()));
                fence(Ordering::Acquire);
                if self.version.load(Ordering::Relaxed) == before {
                    return Ok((Version(before), copied));
                }
            }
            for _ in 0..(1_u32 << attempt.min(6)) {
                spin_loop();
            }
        }
        Err(Overtaken)
    }

    /// The version a copy would have now, or an odd one while it is written.
    ///
    /// Relaxed is enough: a later look at the same word never finds an older version.
    #[inline]
    pub(super) fn version(self) -> Version {
        Version(self.version.load(Ordering::Relaxed))
    }
}

/// The words of a cell, one after another.
pub(super) struct Words<'a>(slice::Iter<'a, AtomicU64>);

impl Words<'_> {
    /// The next word; 0 after the last.
    #[inline]
    pub(super) fn next(&mut self) -> u64 {
        self.0.next().map_or(0, |word| word.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn a_writer_interrupted_in_a_cell_holds_no_reader() {
        let cells = Cells::new(2, 3);
        let mut known = [0; 3];
        let version = Version::NONE.next();
        cells.get(1).write(version, &mut known, &[1, 2, 3]);
        cells.get(1).version.store(version.get() + 1, Ordering::Relaxed);
        assert_eq!(cells.get(1).read(|words| words.next()), Err(Overtaken));
        assert_eq!(cells.get(0).read(|words| words.next()), Ok((Version::NONE, 0)));
        cells.get(1).write(version.next(), &mut known, &[4]);
        let all = |words: &mut Words<'_>| [words.next(), words.next(), words.next()];
        assert_eq!(cells.get(1).read(all), Ok((version.next(), [4, 2, 3])));
    }

    #[test]
    fn a_copy_that_was_overtaken_is_made_again() {
        let cells = Cells::new(1, 1);
        let (mut version, mut known) = (Version::NONE, [0]);
        let mut attempts = 0;
        let read = cells.get(0).read(|words| {
            attempts += 1;
            if attempts < ATTEMPTS_MAX {
                version = version.next();
                cells.get(0).write(version, &mut known, &[u64::from(attempts)]);
            }
            words.next()
        });
        assert_eq!(read, Ok((version, u64::from(ATTEMPTS_MAX - 1))));
        assert_eq!(attempts, ATTEMPTS_MAX);
    }

    #[test]
    fn cells_begin_at_cache_lines() {
        for words in [0, 5, 7, 8, 13, 168] {
            let cells = Cells::new(3, words);
            for index in 0..3 {
                let cell = cells.get(index);
                assert_eq!(core::ptr::from_ref(cell.version).addr() % 64, 0);
                assert!(cell.words.len() >= words);
            }
        }
    }
}
