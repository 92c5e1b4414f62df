//! Stop 9 of an order's life: its command and events are appended to a batch, and the batch is
//! checksummed, chained and synced before anyone is told.
//!
//! At most one batch is written and not yet durable. That is what lets recovery tell a torn tail
//! from damage: an unreadable batch with a readable one behind it was durable once.

use std::{
    fs::{File, OpenOptions},
    io,
    num::NonZeroU64,
    ops::ControlFlow,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use types::{Command, Digest, Event, Seq, Sequenced, Timestamp};

use crate::{
    BatchEnd, Entry, Options, Recovery,
    ahead::{self, Ahead},
    directory::{Directory, SegmentFile, allocate, list_segments, segment_path},
    error::JournalError,
    format::{
        BATCH_HEADER_BYTES, BATCH_TRAILER_BYTES, BatchHeader, END_MARKER_BYTES, EndMarker,
        SEGMENT_HEADER_BYTES, SegmentHeader, narrow, wide,
    },
    probe::{self, SyncChoice},
    record,
    scan::{Tail, Walked, walk},
    storage::{self, Opened, Storage, SyncMethod},
};

/// The next segment is made ready when this part of the current one is used: one of so many.
const AHEAD_AT: usize = 4;

/// Appends entries to a journal. There is one per journal; dropping it gives the lock back.
///
/// What was appended and not committed is not part of the journal.
#[derive(Debug)]
pub struct Writer {
    /// Where the open batch is written.
    pub(crate) storage: Box<dyn Storage>,
    /// The segment being written.
    segment: Segment,
    /// The one after it, once this one is a quarter full. Dropped before the lock.
    ahead: Option<Ahead>,
    directory: Directory,
    options: Options,
    sync: SyncChoice,
    /// Rises each time the journal is opened for writing.
    epoch: u64,
    /// Hash of the last sealed batch.
    chain: Digest,
    /// Last sequence of the last durable batch.
    durable: Seq,
    /// Time of the entry with that sequence.
    durable_time: Timestamp,
    /// Last sequence appended; above `durable` while a batch is open.
    appended: Seq,
    /// Time of the entry with that sequence.
    appended_time: Timestamp,
    /// Records in the open batch.
    records: u32,
    /// Where the open batch starts in the segment.
    offset: usize,
    /// Where the next record goes: behind the place of the open batch's header.
    cursor: usize,
    /// Where the records of the open batch must end, for the batch to stay within its largest size
    /// and the segment to keep room for its end marker.
    records_end: usize,
    /// Set by the first failure. Nothing is ever retried.
    poisoned: bool,
}

/// A segment.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    header: SegmentHeader,
}

impl Writer {
    /// Opens or creates the journal in `dir` (created if absent), takes its exclusive lock,
    /// validates all of it, hands each entry to `each` in order, zeroes a torn tail, and stands
    /// ready to append.
    ///
    /// What was recovered is durable when this returns, also where an earlier process ended
    /// between writing a batch and syncing it.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when another writer has it, [`JournalError::Damaged`] when bytes
    /// that were durable are not what was written, and errors of the file system. Nothing is
    /// modified before the whole journal is found sound.
    pub fn open(
        dir: &Path,
        options: Options,
        each: &mut dyn FnMut(Entry),
    ) -> Result<(Self, Recovery), JournalError> {
        Self::open_expecting(dir, options, Seq::ZERO, each)
    }

    /// As [`Writer::open`], for a journal in which `durable` is known to have been durable.
    ///
    /// Damage to the last batch looks like a write that a crash cut short. A sequence that someone
    /// outside was told about, such as the last one that settlement acknowledged, tells them apart.
    ///
    /// # Errors
    /// As [`Writer::open`], and [`Damage::BelowWatermark`](crate::Damage::BelowWatermark) when the
    /// journal ends before `durable`.
    pub fn open_expecting(
        dir: &Path,
        options: Options,
        durable: Seq,
        each: &mut dyn FnMut(Entry),
    ) -> Result<(Self, Recovery), JournalError> {
        Self::open_after(dir, options, BatchEnd::START, durable, each)
    }

    /// As [`Writer::open_expecting`], for the entries after a batch that is trusted, such as the one
    /// at which a snapshot stands. Segments that end before it are not read and may be missing.
    ///
    /// # Errors
    /// As [`Writer::open_expecting`], and [`Damage::Chain`](crate::Damage::Chain) when the journal
    /// does not continue from `after`.
    pub fn open_after(
        dir: &Path,
        options: Options,
        after: BatchEnd,
        durable: Seq,
        each: &mut dyn FnMut(Entry),
    ) -> Result<(Self, Recovery), JournalError> {
        options.check(dir)?;
        let directory = Directory::lock(dir)?;
        let segments = list_segments(dir)?;
        if let Some(last) = segments.last() {
            settle(last)?;
        }
        let walked = walk(dir, &segments, after, &mut |entry, _| {
            each(core::mem::take(entry));
            ControlFlow::Continue(())
        })?;
        walked.check_watermark(dir, durable.max(after.seq))?;
        let recovery = walked.recovery;
        let writer = Self::position(directory, options, walked)?;
        Ok((writer, recovery))
    }

    /// Adds an entry to the open batch. It is not durable before [`Writer::commit`].
    ///
    /// An entry that does not fit behind the open batch commits it first and, where the segment is
    /// full, goes to a new one.
    ///
    /// # Errors
    /// [`JournalError::BatchTooLarge`] when the entry alone exceeds
    /// [`Options::batch_bytes_max`]; otherwise as [`Writer::commit`].
    ///
    /// # Panics
    /// When the command's sequence is not the next one.
    pub fn append(
        &mut self,
        command: &Sequenced<Command>,
        events: &[Event],
    ) -> Result<(), JournalError> {
        self.check_poisoned()?;
        assert!(
            command.seq == self.appended.next(),
            "sequence {} is appended after {}",
            command.seq,
            self.appended
        );
        if self.cursor + record::entry_bytes_max(events.len()) > self.records_end {
            self.make_room(command.seq, record::entry_bytes(&command.value, events))?;
        }
        let area = self.storage.area(self.cursor..self.records_end);
        let (records, bytes) = record::encode_entry(command, events, area);
        self.cursor += bytes;
        self.records += records;
        self.appended = command.seq;
        self.appended_time = command.time;
        Ok(())
    }

    /// Seals the open batch and makes it durable. Returns the last durable sequence; does nothing
    /// more than that when no batch is open.
    ///
    /// # Errors
    /// [`JournalError::Sync`] when the system cannot say that the batch is durable. The writer is
    /// poisoned then: every later call fails, because a second sync would report success for pages
    /// that were lost by the first.
    pub fn commit(&mut self) -> Result<Seq, JournalError> {
        self.check_poisoned()?;
        if self.records == 0 {
            return Ok(self.durable);
        }
        let header = BatchHeader {
            records: self.records,
            segment: self.segment.header.index,
            epoch: self.epoch,
            first_seq: self.durable.next(),
            last_seq: self.appended,
            previous: self.chain,
        };
        let end = self.cursor + BATCH_TRAILER_BYTES;
        let hash = header.seal(self.storage.area(self.offset..end));
        self.sync(self.offset, end)?;
        self.chain = hash;
        self.durable = self.appended;
        self.durable_time = self.appended_time;
        self.start_batch(end)?;
        Ok(self.durable)
    }

    /// The last sequence that is known to be durable.
    #[must_use]
    pub fn last_durable(&self) -> Seq {
        self.durable
    }

    /// Bytes of the batch that is open, without its trailer; of an empty one, its header's.
    #[must_use]
    pub fn open_bytes(&self) -> usize {
        self.cursor - self.offset
    }

    /// How batches are made durable, and what was measured to decide it.
    #[must_use]
    pub fn sync_choice(&self) -> &SyncChoice {
        &self.sync
    }

    /// The end of the last durable batch, at which a snapshot of that state stands.
    #[must_use]
    pub fn batch_end(&self) -> BatchEnd {
        BatchEnd { seq: self.durable, time: self.durable_time, chain: self.chain }
    }

    /// Takes over where a walk over the journal ended.
    fn position(
        directory: Directory,
        options: Options,
        walked: Walked,
    ) -> Result<Self, JournalError> {
        let last = walked.recovery.last_seq;
        let epoch = walked.epoch + 1;
        let chain = walked.recovery.chain;
        let sync = match options.sync {
            Some(method) => SyncChoice::given(method),
            None => probe::measure(directory.path()),
        };
        let method = sync.method;
        let end = walked.recovery.end();
        let create = |index| create(&directory, options, method, (index, epoch), end);
        let ((segment, opened), offset) = match walked.tail {
            None => (create(1)?, SEGMENT_HEADER_BYTES),
            Some(tail) if tail.full => (create(tail.header.index + 1)?, SEGMENT_HEADER_BYTES),
            // A segment without batches takes the size that is asked for now: its successor would
            // have the same name, so a batch that is too large for it could not go elsewhere.
            Some(tail) if tail.is_empty() && tail.header.segment_bytes != options.segment_bytes => {
                (create(tail.header.index)?, SEGMENT_HEADER_BYTES)
            }
            Some(tail) => (reopen(&tail, method, last)?, tail.end),
        };
        let opened = storage::open(method, opened, options.batch_bytes_max);
        let storage = opened.map_err(|source| {
            let path = directory.path().to_owned();
            JournalError::Method { path, method, source }
        })?;
        let mut writer = Self {
            storage,
            sync,
            segment,
            ahead: None,
            directory,
            options,
            epoch,
            chain,
            durable: last,
            durable_time: walked.recovery.last_time,
            appended: last,
            appended_time: walked.recovery.last_time,
            records: 0,
            offset,
            cursor: offset,
            records_end: offset,
            poisoned: false,
        };
        writer.start_batch(offset)?;
        Ok(writer)
    }

    fn start_batch(&mut self, offset: usize) -> Result<(), JournalError> {
        self.storage.begin(offset);
        self.offset = offset;
        self.cursor = offset + BATCH_HEADER_BYTES;
        let segment = narrow(self.segment.header.segment_bytes) - END_MARKER_BYTES;
        let batch = offset + narrow(u64::from(self.options.batch_bytes_max));
        self.records_end = segment.min(batch).saturating_sub(BATCH_TRAILER_BYTES);
        self.records = 0;
        if self.ahead.is_none() && offset > segment.div_euclid(AHEAD_AT) {
            self.prepare_ahead()?;
        }
        Ok(())
    }

    /// Where the open batch begins.
    #[cfg(test)]
    pub(crate) fn open_batch_at(&self) -> usize {
        self.offset
    }

    fn prepare_ahead(&mut self) -> Result<(), JournalError> {
        let bytes = self.options.segment_bytes;
        let started = Ahead::start(self.directory.path(), bytes, self.sync.method);
        self.ahead = Some(started.map_err(|source| self.cannot_create(source))?);
        Ok(())
    }

    /// The segment after this one cannot be made. The writer is poisoned: what comes next has no
    /// place.
    fn cannot_create(&mut self, source: io::Error) -> JournalError {
        self.poisoned = true;
        let path = segment_path(self.directory.path(), self.durable.next());
        JournalError::CreateSegment { path, source }
    }

    /// Makes sure that `bytes` of records fit at the cursor.
    fn make_room(&mut self, seq: Seq, bytes: usize) -> Result<(), JournalError> {
        let batch_bytes_max = narrow(u64::from(self.options.batch_bytes_max));
        let alone = BATCH_HEADER_BYTES + bytes + BATCH_TRAILER_BYTES;
        if alone > batch_bytes_max {
            return Err(JournalError::BatchTooLarge {
                seq,
                bytes: wide(alone),
                max: self.options.batch_bytes_max,
            });
        }
        if self.records > 0 && self.cursor + bytes > self.records_end {
            self.commit()?;
        }
        if self.cursor + bytes > self.records_end {
            self.roll()?;
        }
        Ok(())
    }

    /// Closes the segment with a durable end marker, then creates the next one. In this order: a
    /// segment that has a successor is complete.
    fn roll(&mut self) -> Result<(), JournalError> {
        assert!(self.offset > SEGMENT_HEADER_BYTES, "a segment without batches is never closed");
        let header = self.segment.header;
        let marker = EndMarker { last_seq: self.durable, segment: header.index };
        let end = self.offset + END_MARKER_BYTES;
        self.storage.area(self.offset..end).copy_from_slice(&marker.encode());
        self.sync(self.offset, end)?;
        if self.ahead.is_none() {
            self.prepare_ahead()?;
        }
        let header = SegmentHeader {
            index: header.index + 1,
            segment_bytes: self.options.segment_bytes,
            first_seq: self.durable.next(),
            epoch: self.epoch,
            previous: self.chain,
        };
        let finished = self.ahead.take().map(Ahead::finish);
        let named = finished.unwrap_or_else(|| Err(io::ErrorKind::NotFound.into())).and_then(
            |(opened, unnamed)| {
                self.directory.name_segment(&header, &opened.file, &unnamed)?;
                Ok(opened)
            },
        );
        let opened = named.map_err(|source| self.cannot_create(source))?;
        let path = segment_path(self.directory.path(), header.first_seq);
        self.storage.go_on(opened);
        self.segment = Segment { path, header };
        self.start_batch(SEGMENT_HEADER_BYTES)
    }

    fn sync(&mut self, start: usize, end: usize) -> Result<(), JournalError> {
        self.storage.sync(start..end).map_err(|source| {
            self.poisoned = true;
            JournalError::Sync { path: self.segment.path.clone(), durable: self.durable, source }
        })
    }

    fn check_poisoned(&self) -> Result<(), JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned { path: self.directory.path().to_owned() });
        }
        Ok(())
    }
}

/// Makes sure that what is read from the last segment is on disk.
///
/// A process that was killed leaves pages that were never synced, and one that saw a failed sync
/// leaves pages that look clean and are not on disk. The first are written here; the second are
/// dropped, so that reading brings back what the disk really holds.
fn settle(segment: &SegmentFile) -> Result<(), JournalError> {
    let failed =
        |source| JournalError::Sync { path: segment.path.clone(), durable: Seq::ZERO, source };
    let file = File::open(&segment.path).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    let whole: Option<NonZeroU64> = None;
    rustix::fs::fadvise(&file, 0, whole, rustix::fs::Advice::DontNeed)
        .map_err(|errno| failed(errno.into()))
}

/// Opens the last segment again and zeroes its torn tail, so that nothing of it can come back.
fn reopen(tail: &Tail, method: SyncMethod, last: Seq) -> Result<(Segment, Opened), JournalError> {
    let path = tail.path.clone();
    let opened = OpenOptions::new().read(true).write(true).open(&path);
    let file = opened.map_err(|source| JournalError::ReadSegment { path: path.clone(), source })?;
    let synced = |source| JournalError::Sync { path: path.clone(), durable: last, source };
    // A segment that was cut short gets its full length back before it is written.
    allocate(&file, tail.header.segment_bytes)
        .map_err(|source| JournalError::CreateSegment { path: path.clone(), source })?;
    let torn = vec![0; tail.used.saturating_sub(tail.end)];
    file.write_all_at(&torn, wide(tail.end)).map_err(synced)?;
    file.sync_all().map_err(synced)?;
    let opened = Opened::existing(file, tail.header.segment_bytes, method)
        .map_err(|source| JournalError::MapSegment { path: path.clone(), source })?;
    Ok((Segment { path, header: tail.header }, opened))
}

/// Creates the segment with which an opening begins. Its blocks are reserved and not written:
/// filling it would make every start wait.
fn create(
    directory: &Directory,
    options: Options,
    method: SyncMethod,
    (index, epoch): (u32, u64),
    end: BatchEnd,
) -> Result<(Segment, Opened), JournalError> {
    let header = SegmentHeader {
        index,
        segment_bytes: options.segment_bytes,
        first_seq: end.seq.next(),
        epoch,
        previous: end.chain,
    };
    let path = segment_path(directory.path(), header.first_seq);
    let unnamed = path.with_extension("seg.new");
    let created = ahead::create(&unnamed)
        .and_then(|file| Opened::allocated(file, options.segment_bytes, method))
        .and_then(|opened| {
            directory.name_segment(&header, &opened.file, &unnamed)?;
            Ok(opened)
        });
    match created {
        Ok(opened) => Ok((Segment { path, header }, opened)),
        Err(source) => Err(JournalError::CreateSegment { path, source }),
    }
}
