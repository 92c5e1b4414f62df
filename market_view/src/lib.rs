//! What readers see of the books: one thread publishes, any number read, nobody waits.
//!
//! The core loop must not stop for those who look at it. It writes each changed book into a cell of
//! atomic words under a version (a seqlock); a reader copies the words and looks at the version
//! before and after. A reader that was overtaken copies again, a bounded number of times. The writer
//! takes no lock, never waits, does not see readers and allocates nothing after
//! [`MarketView::new`].
//!
//! # Why a seqlock
//!
//! Readers write nothing shared: however many there are, all they take from the writer is cache
//! lines, and the writer stores only words that changed. A triple buffer needs readers that sign in,
//! or one buffer for each. Replaced allocations (`ArcSwap`) allocate for every publication and free
//! on the core loop's thread. A second copy of each book would spare readers some retries, for twice
//! the memory and the same argument:
//!
//! # Why no reader sees a mix
//!
//! All words are `AtomicU64`, so nothing is a data race and one word is never torn. The writer: odd
//! version (relaxed), release fence, words (relaxed), even version (release). A reader: version
//! (acquire), words (relaxed), acquire fence, version (relaxed).
//!
//! 1. The reader first finds an even version v. This acquire pairs with the release of v: every word
//!    it copies is that of publication v, or newer.
//! 2. If one is newer, of publication w, the reader's acquire fence pairs with the writer's release
//!    fence of w: the second look finds the odd version of w, or later, and never v.
//! 3. So if both looks find v, every word is that of v. The key is one of the words: a cell that went
//!    to another slot shows itself the same way.
//! 4. Versions rise across all books: equal versions are the same publication of the same book.
//! 5. The table's key (release) follows the words it leads to and [`MarketReader::latest`] (release)
//!    follows both; keys and `latest` are read with acquire. Who finds them finds what they announce.
//!
//! `loom_tests.rs` checks this in every execution of small cases.
//!
//! # Sizes
//!
//! A book of 32 levels a side takes 22 cache lines: 1.4 MiB for 1,024 slots, and nearly as much in
//! the writer's memory of what it wrote. Best prices share one line with the version. A slot's cell
//! is found within a few of the table's 8-byte keys; only a question for a slot that is not shown
//! looks at all of them.

#![forbid(unsafe_code)]

mod book_view;
mod seqlock;
mod sync;
mod table;

#[cfg(test)]
mod loom_tests;
#[cfg(test)]
mod tests;

use core::fmt;
use std::sync::Arc;

use types::SlotKey;

pub use book_view::{BestView, BookView, Counters, IndicativeView, Quote, ViewLevel};
pub use seqlock::{Overtaken, Version};
pub use table::NoCell;

use self::{
    book_view::{
        COUNTER_WORDS, book_words, decode_best, decode_book, decode_counters, encode_book,
        encode_counters,
    },
    seqlock::Cells,
    sync::{AtomicU64, Ordering},
    table::{KeyWord, Table, TableWriter},
};

/// Makes both ends.
#[derive(Debug)]
pub struct MarketView;

/// The core loop's end. There is one, so there is one writer.
pub struct MarketWriter {
    shared: Arc<Shared>,
    /// The newest version given out.
    version: Version,
    books: TableWriter,
    counters: [u64; COUNTER_WORDS],
    /// A book on its way into its cell.
    words: Vec<u64>,
    depth_max: u16,
}

/// Everyone else's end. Clones read the same books.
#[derive(Clone)]
pub struct MarketReader {
    shared: Arc<Shared>,
    depth_max: u16,
}

struct Shared {
    books: Table,
    counters: Cells,
    latest: Latest,
}

/// On lines of its own: what it stands beside is read for every book, and this is always written.
#[repr(align(128))]
struct Latest(AtomicU64);

impl MarketView {
    /// For at most `slots_max` books at a time, of which readers see the best `depth_max` levels of
    /// each side, at least one.
    #[expect(clippy::new_ret_no_self, reason = "a view is its two ends")]
    #[must_use]
    pub fn new(slots_max: u32, depth_max: u16) -> (MarketWriter, MarketReader) {
        let depth_max = depth_max.max(1);
        let (slots, words) =
            (usize::try_from(slots_max).unwrap_or(usize::MAX), book_words(depth_max));
        let shared = Arc::new(Shared {
            books: Table::new(slots, words),
            counters: Cells::new(1, COUNTER_WORDS),
            latest: Latest(AtomicU64::new(0)),
        });
        let reader = MarketReader { shared: Arc::clone(&shared), depth_max };
        let writer = MarketWriter {
            shared,
            version: Version::NONE,
            books: TableWriter::new(slots, words),
            counters: [0; COUNTER_WORDS],
            words: Vec::with_capacity(words),
            depth_max,
        };
        (writer, reader)
    }
}

impl MarketWriter {
    /// Shows a book as it is now. Levels beyond the depth of the view are left out.
    ///
    /// # Errors
    /// When the slot is new and every cell has a slot. Nothing changed.
    pub fn publish(&mut self, key: SlotKey, book: &BookView) -> Result<Version, NoCell> {
        let version = self.version.next();
        encode_book(&mut self.words, KeyWord::new(key), book, self.depth_max);
        self.books.publish(&self.shared.books, version, &self.words)?;
        Ok(self.announce(version))
    }

    /// Takes a book away; its cell is free for another slot. `false` when it was not there.
    pub fn retire(&mut self, key: SlotKey) -> bool {
        let was_there = self.books.retire(&self.shared.books, KeyWord::new(key));
        if was_there {
            self.announce(self.version.next());
        }
        was_there
    }

    /// Shows the counters as they are now.
    pub fn count(&mut self, counters: Counters) {
        let version = self.version.next();
        let words = encode_counters(&counters);
        self.shared.counters.get(0).write(version, &mut self.counters, &words);
        self.announce(version);
    }

    fn announce(&mut self, version: Version) -> Version {
        self.version = version;
        // Release pairs with the acquire in `MarketReader::latest`.
        self.shared.latest.0.store(version.get(), Ordering::Release);
        version
    }
}

impl MarketReader {
    /// The book of a slot and its version; `None` when the slot is not shown.
    ///
    /// # Errors
    /// When the writer came between every time.
    pub fn book(&self, key: SlotKey) -> Result<Option<(Version, BookView)>, Overtaken> {
        let mut book = BookView::with_depth(self.depth_max);
        let version = self.book_into(key, &mut book)?;
        Ok(version.map(|version| (version, book)))
    }

    /// As [`MarketReader::book`], into memory the reader has. Without a version `book` is empty.
    ///
    /// # Errors
    /// When the writer came between every time.
    pub fn book_into(
        &self,
        key: SlotKey,
        book: &mut BookView,
    ) -> Result<Option<Version>, Overtaken> {
        let read = self.shared.books.read(KeyWord::new(key), |words| decode_book(words, book));
        if !matches!(read, Ok(Some(_))) {
            book.clear();
        }
        Ok(read?.map(|(version, ())| version))
    }

    /// The best prices of a slot and the version of its book; `None` when the slot is not shown.
    ///
    /// # Errors
    /// When the writer came between every time.
    pub fn best(&self, key: SlotKey) -> Result<Option<(Version, BestView)>, Overtaken> {
        self.shared.books.read(KeyWord::new(key), decode_best)
    }

    /// Whether a slot's book is another than that of `version`: changed, being changed, or gone.
    /// [`Version::NONE`] stands for a slot that was not shown.
    #[must_use]
    pub fn changed_since(&self, key: SlotKey, version: Version) -> bool {
        self.shared.books.version(KeyWord::new(key)) != version
    }

    /// The newest publication of anything: books, retirements and counters. Who reads afterwards
    /// finds what was published up to it.
    #[must_use]
    pub fn latest(&self) -> Version {
        Version::new(self.shared.latest.0.load(Ordering::Acquire))
    }

    /// Slots that are shown, in order. Each was at some moment of the call; one that is shown all
    /// the time is among them.
    #[must_use]
    pub fn keys(&self) -> Vec<SlotKey> {
        let mut keys: Vec<_> = self.shared.books.keys().collect();
        keys.sort_unstable();
        // A slot that was retired and shown again meanwhile may have been met twice.
        keys.dedup();
        keys
    }

    /// Adds to `keys` the slots whose books were published after `since`, in no order; none is added
    /// twice unless it was retired and shown again meanwhile. Who takes [`MarketReader::latest`]
    /// before and passes it as `since` next time misses none that is shown.
    pub fn keys_since(&self, since: Version, keys: &mut Vec<SlotKey>) {
        keys.extend(self.shared.books.keys_since(since));
    }

    /// The counters, all of one moment.
    ///
    /// # Errors
    /// When the writer came between every time.
    pub fn counters(&self) -> Result<Counters, Overtaken> {
        self.shared.counters.get(0).read(decode_counters).map(|(_, counters)| counters)
    }
}

impl fmt::Debug for MarketWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MarketWriter").field("version", &self.version).finish_non_exhaustive()
    }
}

impl fmt::Debug for MarketReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MarketReader").field("latest", &self.latest()).finish_non_exhaustive()
    }
}
