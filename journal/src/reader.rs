//! A read-only view that follows a writer, in the same process or another, at its own pace.
//!
//! # Why this is sound while a writer appends
//! The writer changes the files through a mapping or with writes; the reader copies bytes out of the same
//! page cache with positioned reads and holds no reference to mapped memory, so there is no data
//! race in the language's sense. That the copied bytes are *final* follows from the watermark: the
//! caller learns `through` from the writer's commit, over a channel that orders memory (a
//! release store read with acquire, a message, a socket). The batch or end marker before entry
//! `seq ≤ through` was complete before that commit returned and is never written again. The reader
//! looks at an offset, length field included, only after it was told that the entry there is
//! durable, so it never sees a length or a record that is still changing. A caller that names a
//! sequence beyond the durable one gets an error or an early entry, never undefined behaviour.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rkyv::util::AlignedVec;
use types::{Digest, Seq, Timestamp};

use crate::{
    BatchEnd, Entry,
    directory::{
        SegmentFile, begins_later, damaged_header, list_segments, read_header, segment_path,
    },
    error::{Damage, JournalError},
    format::{
        self, BATCH_HEADER_BYTES, BATCH_TRAILER_BYTES, END_MARKER_BYTES, EndMarker,
        SEGMENT_HEADER_BYTES, SegmentHeader, narrow, wide,
    },
    record,
    scan::check_link,
};

/// Reads the entries of a journal in order, up to the sequence it is told is durable.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    /// Entries up to here are passed over.
    after: Seq,
    file: File,
    segment: SegmentFile,
    header: SegmentHeader,
    /// Where the next batch or end marker starts.
    offset: usize,
    /// Hash of the batch before `offset`.
    chain: Digest,
    epoch: u64,
    /// The next entry.
    next_seq: Seq,
    /// Time of the entry before it; none was read yet at first.
    last_time: Option<Timestamp>,
    /// The batch that holds `next_seq`, while there are records left in it.
    batch: AlignedVec,
    /// Where in `batch` the next entry starts.
    record: usize,
}

impl Reader {
    /// Opens the journal in `dir` so that the first entry is the first one after `after`.
    ///
    /// Only the segment that holds that entry is read; earlier batches in it are verified and
    /// passed over by the first [`Reader::next`].
    ///
    /// # Errors
    /// [`JournalError::NotAJournal`] when there are no segments, [`JournalError::BeginsLater`] when the
    /// entry was removed, [`JournalError::Damaged`] when the segment's header is not sound, and errors
    /// of the file system.
    pub fn open(dir: &Path, after: Seq) -> Result<Self, JournalError> {
        let segments = list_segments(dir)?;
        let Some(first) = segments.first() else {
            return Err(JournalError::NotAJournal { path: dir.to_owned() });
        };
        let holds = |segment: &&SegmentFile| segment.first_seq <= after.next();
        let Some(segment) = segments.iter().rev().find(holds) else {
            return Err(begins_later(dir, first));
        };
        let (file, header) = open_segment(dir, segment)?;
        Ok(Self {
            dir: dir.to_owned(),
            after,
            file,
            segment: segment.clone(),
            header,
            offset: SEGMENT_HEADER_BYTES,
            chain: header.previous,
            epoch: header.epoch,
            next_seq: header.first_seq,
            last_time: None,
            batch: AlignedVec::new(),
            record: 0,
        })
    }

    /// Reads the next entry into `entry` if its sequence is at most `through`; otherwise returns
    /// `false` and leaves `entry` in an unspecified state. `entry` keeps its buffers.
    ///
    /// `through` is the durable watermark of the writer as the caller last saw it, or less.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] when an entry up to `through` is missing or not sound, and errors
    /// of the file system. The reader stays where it is.
    pub fn next(&mut self, through: Seq, entry: &mut Entry) -> Result<bool, JournalError> {
        while self.next_seq <= through {
            if self.record == 0 && !self.load_batch()? {
                continue;
            }
            self.decode(entry)?;
            if entry.command.seq > self.after {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The end of the batch of which the entry that was read last is the last; `None` inside a
    /// batch, and before the first entry.
    #[must_use]
    pub fn batch_end(&self) -> Option<BatchEnd> {
        let time = self.last_time.filter(|_| self.record == 0)?;
        let seq = Seq::new(self.next_seq.get().saturating_sub(1));
        Some(BatchEnd { seq, time, chain: self.chain })
    }

    /// Decodes the entry at `record`, in a batch that is proven.
    fn decode(&mut self, entry: &mut Entry) -> Result<(), JournalError> {
        let end = self.batch.len() - BATCH_TRAILER_BYTES;
        let taken = self
            .batch
            .get(self.record..end)
            .and_then(|records| record::decode_entry(records, self.next_seq, entry));
        let Some(taken) = taken else {
            return Err(self.damaged(self.offset - self.batch.len(), Damage::Record));
        };
        self.record += taken;
        self.next_seq = self.next_seq.next();
        self.last_time = Some(entry.command.time);
        if self.record == end {
            self.record = 0;
        }
        Ok(())
    }

    /// Loads and proves the batch at `offset`; `false` when an end marker led to the next segment.
    fn load_batch(&mut self) -> Result<bool, JournalError> {
        let room = narrow(self.header.segment_bytes).saturating_sub(self.offset);
        let mut head = [0; BATCH_HEADER_BYTES];
        let (head_read, _) = head.split_at_mut(room.min(BATCH_HEADER_BYTES));
        self.read(head_read, self.offset)?;
        if let Some(marker) = EndMarker::at(&head) {
            self.next_segment(marker)?;
            return Ok(false);
        }
        let Some(total) = format::batch_length(&head, room.saturating_sub(END_MARKER_BYTES)) else {
            return Err(self.damaged(self.offset, Damage::BatchHeader));
        };
        let mut bytes = core::mem::take(&mut self.batch);
        bytes.resize(total, 0);
        let read = self.read(&mut bytes, self.offset);
        self.batch = bytes;
        read?;
        let (hash, epoch) = self.prove().map_err(|what| self.damaged(self.offset, what))?;
        self.chain = hash;
        self.epoch = epoch;
        self.offset += total;
        self.record = BATCH_HEADER_BYTES;
        Ok(true)
    }

    fn prove(&self) -> Result<(Digest, u64), Damage> {
        let batch = format::batch_at(&self.batch)?;
        check_link(&batch, self.chain, self.next_seq, self.header.index, self.epoch)?;
        Ok((batch.hash, batch.header.epoch))
    }

    /// Moves to the segment that starts with `next_seq`.
    fn next_segment(&mut self, marker: EndMarker) -> Result<(), JournalError> {
        let before = |seq: Seq| seq.next() == self.next_seq;
        if !before(marker.last_seq) || marker.segment != self.header.index {
            return Err(self.damaged(self.offset, Damage::EndMarker));
        }
        let first_seq = self.next_seq;
        let segment = SegmentFile { first_seq, path: segment_path(&self.dir, first_seq) };
        let (file, header) = open_segment(&self.dir, &segment)?;
        if header.index != self.header.index + 1 {
            return Err(damaged_header(&segment, Damage::SegmentOrder));
        }
        if header.previous != self.chain {
            return Err(damaged_header(&segment, Damage::Chain));
        }
        if header.epoch < self.epoch {
            return Err(damaged_header(&segment, Damage::Epoch));
        }
        self.file = file;
        self.segment = segment;
        self.header = header;
        self.offset = SEGMENT_HEADER_BYTES;
        self.epoch = header.epoch;
        Ok(())
    }

    fn read(&self, bytes: &mut [u8], offset: usize) -> Result<(), JournalError> {
        match self.file.read_exact_at(bytes, wide(offset)) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.damaged(offset, Damage::SegmentSize))
            }
            Err(source) => {
                Err(JournalError::ReadSegment { path: self.segment.path.clone(), source })
            }
        }
    }

    fn damaged(&self, offset: usize, what: Damage) -> JournalError {
        JournalError::Damaged {
            segment: self.segment.path.clone(),
            offset: wide(offset),
            seq: self.next_seq,
            what,
        }
    }
}

fn open_segment(dir: &Path, segment: &SegmentFile) -> Result<(File, SegmentHeader), JournalError> {
    match File::open(&segment.path) {
        Ok(file) => {
            let header = read_header(&file, segment)?;
            Ok((file, header))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // The oldest segments may be removed under a reader that is far behind.
            let first = list_segments(dir)?.into_iter().next();
            let overtaken = first.filter(|first| first.first_seq > segment.first_seq);
            Err(overtaken.map_or_else(
                || damaged_header(segment, Damage::SegmentOrder),
                |first| begins_later(dir, &first),
            ))
        }
        Err(source) => Err(JournalError::ReadSegment { path: segment.path.clone(), source }),
    }
}
