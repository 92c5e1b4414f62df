//! Validation of a whole journal: every header, checksum, hash, link and record, in order.
//!
//! Segments are read into one buffer with positioned reads, so a file that is cut short or damaged
//! under the reader is an error value, never a fault of memory.

use std::{
    fs::File,
    io,
    ops::ControlFlow,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rkyv::util::AlignedVec;
use types::{Digest, Seq};

use crate::{
    BatchEnd, Entry, Position, Recovery,
    directory::{
        SegmentFile, begins_later, damaged_header, list_segments, read_header, segment_path,
    },
    error::{Damage, JournalError},
    format::{self, Batch, END_MARKER_BYTES, EndMarker, SEGMENT_HEADER_BYTES, SegmentHeader, wide},
    record,
};

/// Validates the journal in `dir` and visits every entry, until `each` breaks. Modifies nothing.
///
/// Entries are visited before later ones are checked; only the returned value says that all of it
/// is sound. After a break it describes the entries visited so far. An unfinished batch at the end
/// is reported in [`Recovery::torn_bytes`]. Bytes that a running writer is changing can look
/// damaged: while one runs, follow it with a [`Reader`](crate::Reader) instead.
///
/// # Errors
/// [`JournalError::Damaged`] for damage before the end, [`JournalError::BeginsLater`] when the first
/// segments were removed, [`JournalError::NotAJournal`] when there are none, and errors of the file
/// system.
pub fn scan(
    dir: &Path,
    each: &mut dyn FnMut(&Entry, Position) -> ControlFlow<()>,
) -> Result<Recovery, JournalError> {
    scan_expecting(dir, Seq::ZERO, each)
}

/// As [`scan`], for a journal in which `durable` is known to have been durable.
///
/// Damage to the last batch looks like a write that a crash cut short. A sequence that someone
/// outside was told about, such as the last one that settlement acknowledged, tells them apart.
///
/// # Errors
/// As [`scan`], and [`Damage::BelowWatermark`] when the journal ends before `durable`.
pub fn scan_expecting(
    dir: &Path,
    durable: Seq,
    each: &mut dyn FnMut(&Entry, Position) -> ControlFlow<()>,
) -> Result<Recovery, JournalError> {
    scan_after(dir, BatchEnd::START, durable, each)
}

/// As [`scan_expecting`], for the entries after a batch that is trusted, such as the one at which a
/// snapshot stands. Segments that end before it are not read and may be missing.
///
/// # Errors
/// As [`scan_expecting`], and [`Damage::Chain`] when the journal does not continue from `after`.
pub fn scan_after(
    dir: &Path,
    after: BatchEnd,
    durable: Seq,
    each: &mut dyn FnMut(&Entry, Position) -> ControlFlow<()>,
) -> Result<Recovery, JournalError> {
    let segments = list_segments(dir)?;
    if segments.is_empty() {
        return Err(JournalError::NotAJournal { path: dir.to_owned() });
    }
    let walked = walk(dir, &segments, after, &mut |entry, position| each(entry, position))?;
    if !walked.stopped {
        walked.check_watermark(dir, durable.max(after.seq))?;
    }
    Ok(walked.recovery)
}

/// Called with each entry. It may take the entry's contents away.
pub(crate) type Visit<'v> = dyn FnMut(&mut Entry, Position) -> ControlFlow<()> + 'v;

/// What a walk over all segments found.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) recovery: Recovery,
    /// The latest epoch seen; zero in an empty directory.
    pub(crate) epoch: u64,
    /// The last segment, and where its valid bytes end.
    pub(crate) tail: Option<Tail>,
    /// Whether the visitor broke off.
    pub(crate) stopped: bool,
}

/// The end of the last segment.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) path: PathBuf,
    pub(crate) header: SegmentHeader,
    /// First byte after the last valid batch or marker.
    pub(crate) end: usize,
    /// First byte after the last one that is not zero; above `end` when the tail is torn.
    pub(crate) used: usize,
    /// Whether an end-of-segment marker says that the segment is full.
    pub(crate) full: bool,
}

impl Tail {
    /// Whether the segment holds no batch.
    pub(crate) fn is_empty(&self) -> bool {
        self.end == SEGMENT_HEADER_BYTES
    }
}

impl Walked {
    /// Refuses a journal that ends before `durable`.
    pub(crate) fn check_watermark(&self, dir: &Path, durable: Seq) -> Result<(), JournalError> {
        let last = self.recovery.last_seq;
        if last >= durable {
            return Ok(());
        }
        let (segment, offset) = match &self.tail {
            Some(tail) => (tail.path.clone(), wide(tail.end)),
            None => (segment_path(dir, last.next()), 0),
        };
        Err(JournalError::Damaged {
            segment,
            offset,
            seq: last.next(),
            what: Damage::BelowWatermark,
        })
    }
}

/// Validates the `segments` of `dir`, which are in order, from the one that holds the entry after `after`, and
/// visits every entry after it.
pub(crate) fn walk(
    dir: &Path,
    segments: &[SegmentFile],
    after: BatchEnd,
    visit: &mut Visit<'_>,
) -> Result<Walked, JournalError> {
    let recovery = Recovery {
        last_seq: after.seq,
        last_time: after.time,
        entries: 0,
        segments: 0,
        torn_bytes: 0,
        chain: after.chain,
    };
    let walked = Walked { recovery, epoch: 0, tail: None, stopped: false };
    let mut walk = Walk { walked, after, index: None, entry: Entry::default(), visit };
    let segments = from_holder_of(dir, segments, after)?;
    let mut image = AlignedVec::new();
    for (at, segment) in segments.iter().enumerate() {
        let last = at + 1 == segments.len();
        let header = load(segment, &mut image, last)?;
        walk.enter(segment, &header)?;
        walk.segment(segment, &header, &image, last)?;
        if walk.walked.stopped {
            break;
        }
    }
    Ok(walk.walked)
}

/// The segments from the one that holds the entry after `after`.
fn from_holder_of<'s>(
    dir: &Path,
    segments: &'s [SegmentFile],
    after: BatchEnd,
) -> Result<&'s [SegmentFile], JournalError> {
    let Some(first) = segments.first() else { return Ok(segments) };
    let begun = segments.partition_point(|segment| segment.first_seq <= after.seq.next());
    let holder = begun.checked_sub(1).and_then(|holder| segments.get(holder..));
    let holder = holder.ok_or_else(|| begins_later(dir, first))?;
    Ok(if after == BatchEnd::START { segments } else { holder })
}

/// Reads a segment into `image`. The last segment may be shorter than its header says: what is
/// missing is read as zero bytes, like a tail that was never written.
fn load(
    segment: &SegmentFile,
    image: &mut AlignedVec,
    last: bool,
) -> Result<SegmentHeader, JournalError> {
    let failed = |source| JournalError::ReadSegment { path: segment.path.clone(), source };
    let file = File::open(&segment.path).map_err(failed)?;
    let header = read_header(&file, segment)?;
    let present = file.metadata().map_err(failed)?.len();
    let too_short = present < header.segment_bytes && !last;
    if too_short || present > header.segment_bytes {
        return Err(damaged_header(segment, Damage::SegmentSize));
    }
    // What the file has is read over what was there; only the rest is made zero.
    image.resize(format::narrow(header.segment_bytes), 0);
    let (bytes, missing) = image.split_at_mut(format::narrow(present));
    missing.fill(0);
    match file.read_exact_at(bytes, 0) {
        Ok(()) => Ok(header),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(damaged_header(segment, Damage::SegmentSize))
        }
        Err(source) => Err(failed(source)),
    }
}

struct Walk<'v, 'w> {
    walked: Walked,
    /// Entries up to here are not visited.
    after: BatchEnd,
    /// Index of the segment before; unknown to a walk that does not begin at the first.
    index: Option<u32>,
    entry: Entry,
    visit: &'v mut Visit<'w>,
}

impl Walk<'_, '_> {
    /// Checks that a segment follows what has been read so far.
    fn enter(&mut self, segment: &SegmentFile, header: &SegmentHeader) -> Result<(), JournalError> {
        let recovery = &mut self.walked.recovery;
        let damaged = |what| Err(damaged_header(segment, what));
        if self.index.is_none() && header.first_seq <= self.after.seq {
            // The batches before the trusted one hang together, and lead to it.
            recovery.last_seq = Seq::new(header.first_seq.get().saturating_sub(1));
            recovery.chain = header.previous;
        }
        let first_index = (self.after == BatchEnd::START).then_some(0);
        let before = self.index.or(first_index);
        if before.is_some_and(|before| header.index != before + 1) {
            return damaged(Damage::SegmentOrder);
        }
        self.index = Some(header.index);
        if header.first_seq != recovery.last_seq.next() {
            return damaged(Damage::Sequence);
        }
        if header.previous != recovery.chain {
            return damaged(Damage::Chain);
        }
        if header.epoch < self.walked.epoch {
            return damaged(Damage::Epoch);
        }
        recovery.segments += 1;
        self.walked.epoch = header.epoch;
        Ok(())
    }

    /// Walks the batches of one segment up to its end, and says where that is.
    fn segment(
        &mut self,
        segment: &SegmentFile,
        header: &SegmentHeader,
        image: &[u8],
        last: bool,
    ) -> Result<(), JournalError> {
        let used = format::used_bytes(image);
        let mut tail = Tail {
            path: segment.path.clone(),
            header: *header,
            end: SEGMENT_HEADER_BYTES,
            used,
            full: false,
        };
        while tail.end < used && !self.walked.stopped {
            let (_, area) = image.split_at(tail.end);
            let (segment_index, offset) = (header.index, wide(tail.end));
            let at = Position { segment: segment_index, offset, batch_end: None };
            if let Some(marker) = EndMarker::at(area) {
                self.end_marker(marker, &mut tail)?;
                break;
            }
            match format::batch_at(area) {
                Ok(batch) => {
                    self.batch(&batch, segment, at)?;
                    tail.end += batch.total;
                }
                Err(_) if last && !self.continues(area) => {
                    self.walked.recovery.torn_bytes = wide(used - tail.end);
                    break;
                }
                Err(what) => return Err(self.damaged(&segment.path, at.offset, what)),
            }
        }
        if !tail.full && !last && !self.walked.stopped {
            return Err(self.damaged(&segment.path, wide(tail.end), Damage::EndMarker));
        }
        self.walked.tail = Some(tail);
        Ok(())
    }

    fn end_marker(&self, marker: EndMarker, tail: &mut Tail) -> Result<(), JournalError> {
        let expected =
            EndMarker { last_seq: self.walked.recovery.last_seq, segment: tail.header.index };
        if marker != expected {
            return Err(self.damaged(&tail.path, wide(tail.end), Damage::EndMarker));
        }
        let after = tail.end + END_MARKER_BYTES;
        if tail.used > after {
            return Err(self.damaged(&tail.path, wide(after), Damage::AfterEnd));
        }
        tail.end = after;
        tail.full = true;
        Ok(())
    }

    /// Whether a later batch or an end marker lies in `area`, which starts with a batch that cannot
    /// be read. At most one of them is ever written without being durable, so then this batch was
    /// durable once.
    fn continues(&self, area: &[u8]) -> bool {
        let lost = self.walked.recovery.last_seq.next();
        let mut rest = area;
        while let Some((_, later)) = rest.split_first_chunk::<8>() {
            rest = later;
            let follows = |batch: Batch<'_>| batch.header.first_seq > lost;
            let ends = |marker: EndMarker| marker.last_seq >= lost;
            if format::batch_at(rest).is_ok_and(follows) || EndMarker::at(rest).is_some_and(ends) {
                return true;
            }
        }
        false
    }

    /// Checks that an intact batch belongs here, and visits its entries.
    fn batch(
        &mut self,
        batch: &Batch<'_>,
        segment: &SegmentFile,
        at: Position,
    ) -> Result<(), JournalError> {
        let recovery = &self.walked.recovery;
        let damaged = |what| self.damaged(&segment.path, at.offset, what);
        check_link(batch, recovery.chain, recovery.last_seq.next(), at.segment, self.walked.epoch)
            .map_err(damaged)?;
        self.walked.epoch = batch.header.epoch;
        if batch.header.first_seq <= self.after.seq {
            return self
                .pass_over(batch)
                .map_err(|what| self.damaged(&segment.path, at.offset, what));
        }
        let mut seq = batch.header.first_seq;
        let mut records = batch.records;
        let mut count = 0_u64;
        loop {
            let offset =
                at.offset + wide(format::BATCH_HEADER_BYTES + batch.records.len() - records.len());
            let taken = record::decode_entry(records, seq, &mut self.entry);
            let Some((_, rest)) = taken.and_then(|taken| records.split_at_checked(taken)) else {
                return Err(self.damaged(&segment.path, at.offset, Damage::Record));
            };
            records = rest;
            count += 1 + wide(self.entry.events.len());
            let time = self.entry.command.time;
            let batch_end = (seq == batch.header.last_seq).then_some(batch.hash);
            let flow = (self.visit)(&mut self.entry, Position { offset, batch_end, ..at });
            let recovery = &mut self.walked.recovery;
            recovery.last_seq = seq;
            recovery.last_time = time;
            recovery.entries += 1;
            if flow.is_break() {
                self.walked.stopped = true;
                return Ok(());
            }
            if seq == batch.header.last_seq {
                break;
            }
            seq = seq.next();
        }
        if !records.is_empty() || count != u64::from(batch.header.records) {
            return Err(self.damaged(&segment.path, at.offset, Damage::Record));
        }
        self.walked.recovery.chain = batch.hash;
        Ok(())
    }

    /// Takes note of a batch that begins before the trusted end, and must not go beyond it.
    fn pass_over(&mut self, batch: &Batch<'_>) -> Result<(), Damage> {
        let last = batch.header.last_seq;
        if last > self.after.seq || (last == self.after.seq && batch.hash != self.after.chain) {
            return Err(Damage::Chain);
        }
        self.walked.recovery.last_seq = last;
        self.walked.recovery.chain = batch.hash;
        Ok(())
    }

    fn damaged(&self, path: &Path, offset: u64, what: Damage) -> JournalError {
        JournalError::Damaged {
            segment: path.to_owned(),
            offset,
            seq: self.walked.recovery.last_seq.next(),
            what,
        }
    }
}

/// Checks that an intact batch follows the one with hash `previous` and starts with `next`.
pub(crate) fn check_link(
    batch: &Batch<'_>,
    previous: Digest,
    next: Seq,
    segment: u32,
    epoch: u64,
) -> Result<(), Damage> {
    if batch.header.first_seq != next || batch.header.last_seq < next {
        return Err(Damage::Sequence);
    }
    if batch.header.previous != previous {
        return Err(Damage::Chain);
    }
    if batch.header.segment != segment {
        return Err(Damage::SegmentOrder);
    }
    if batch.header.epoch < epoch {
        return Err(Damage::Epoch);
    }
    Ok(())
}
