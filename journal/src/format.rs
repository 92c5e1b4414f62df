//! Bytes of segment headers, batches and end-of-segment markers, version 1. Little-endian,
//! without padding; the tables are in `docs/journal.md`.

use types::{Digest, Seq};

use crate::error::Damage;

/// The version this module writes and reads.
pub(crate) const VERSION: u16 = 1;

/// A segment's header is one page, so that batches start on a page of their own.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 4_096;
/// Header of a batch: 8 + 2 + 2 + 4 + 4 + 4 + 8 + 8 + 8 + 32.
pub(crate) const BATCH_HEADER_BYTES: usize = 80;
/// Trailer of a batch: 32 + 4 + 4.
pub(crate) const BATCH_TRAILER_BYTES: usize = 40;
/// Marker after the last batch of a full segment: 8 + 8 + 4 + 4. Every segment keeps room for it.
pub(crate) const END_MARKER_BYTES: usize = 24;
/// A batch without records, which is never written.
pub(crate) const BATCH_BYTES_MIN: usize = BATCH_HEADER_BYTES + BATCH_TRAILER_BYTES;

const SEGMENT_MAGIC: [u8; 8] = *b"GCJRNL01";
const BATCH_MAGIC: [u8; 8] = *b"GCBATCH1";
const BATCH_END_MAGIC: [u8; 4] = *b"GCBE";
const END_MARKER_MAGIC: [u8; 8] = *b"GCSEGEND";

const SEGMENT_CRC_AT: usize = SEGMENT_HEADER_BYTES - 4;
const BATCH_HASH_TO_END: usize = BATCH_TRAILER_BYTES;
const BATCH_CRC_TO_END: usize = 8;

const _: () = assert!(usize::BITS == 64, "offsets are converted without loss");
const _: () = assert!(BATCH_HEADER_BYTES.is_multiple_of(8), "records are aligned");
const _: () = assert!(BATCH_TRAILER_BYTES.is_multiple_of(8), "batches are aligned");

/// An offset or length in memory as a number on disk.
#[expect(clippy::as_conversions, reason = "usize has 64 bits, asserted above")]
pub(crate) const fn wide(bytes: usize) -> u64 {
    bytes as u64
}

/// A number on disk as an offset or length in memory.
#[expect(clippy::as_conversions, reason = "usize has 64 bits, asserted above")]
pub(crate) const fn narrow(bytes: u64) -> usize {
    bytes as usize
}

/// Largest batch that fits into an empty segment.
pub(crate) const fn batch_room(segment_bytes: u64) -> usize {
    narrow(segment_bytes).saturating_sub(SEGMENT_HEADER_BYTES + END_MARKER_BYTES)
}

/// The first page of a segment. Written once, before the file has its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Position among the segments, from 1.
    pub(crate) index: u32,
    /// Size of the file.
    pub(crate) segment_bytes: u64,
    /// Sequence of the first entry, which is also the file's name.
    pub(crate) first_seq: Seq,
    /// Epoch of the writer that created it.
    pub(crate) epoch: u64,
    /// Hash of the last batch of the segment before it.
    pub(crate) previous: Digest,
}

/// Why a page is not a segment header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// It fails its checksum.
    Checksum,
    /// It passes its checksum and is something else.
    Magic,
    /// It is of another version.
    Version(u16),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut page = [0; SEGMENT_HEADER_BYTES];
        let mut fields = Fill(&mut page);
        fields.put(&SEGMENT_MAGIC);
        fields.put(&VERSION.to_le_bytes());
        fields.put(&[0; 2]);
        fields.put(&self.index.to_le_bytes());
        fields.put(&self.segment_bytes.to_le_bytes());
        fields.put(&self.first_seq.get().to_le_bytes());
        fields.put(&self.epoch.to_le_bytes());
        fields.put(self.previous.as_bytes());
        let (body, sum) = page.split_at_mut(SEGMENT_CRC_AT);
        sum.copy_from_slice(&crc_fast::crc32_iscsi(body).to_le_bytes());
        page
    }

    pub(crate) fn decode(page: &[u8; SEGMENT_HEADER_BYTES]) -> Result<Self, HeaderFault> {
        let (body, sum) = page.split_at(SEGMENT_CRC_AT);
        if sum != crc_fast::crc32_iscsi(body).to_le_bytes() {
            return Err(HeaderFault::Checksum);
        }
        let mut fields = Fields(body);
        if fields.take::<8>() != SEGMENT_MAGIC {
            return Err(HeaderFault::Magic);
        }
        let version = u16::from_le_bytes(fields.take());
        if version != VERSION {
            return Err(HeaderFault::Version(version));
        }
        let [_, _] = fields.take::<2>();
        Ok(Self {
            index: u32::from_le_bytes(fields.take()),
            segment_bytes: u64::from_le_bytes(fields.take()),
            first_seq: Seq::new(u64::from_le_bytes(fields.take())),
            epoch: u64::from_le_bytes(fields.take()),
            previous: Digest::new(fields.take()),
        })
    }
}

/// What precedes the records of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    /// Records, commands and events together.
    pub(crate) records: u32,
    /// Index of the segment it was written to.
    pub(crate) segment: u32,
    /// Epoch of the writer.
    pub(crate) epoch: u64,
    /// Sequence of the first entry.
    pub(crate) first_seq: Seq,
    /// Sequence of the last entry.
    pub(crate) last_seq: Seq,
    /// Hash of the batch before it; zero for the first of all.
    pub(crate) previous: Digest,
}

/// A batch whose bytes are proven to be what was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(crate) header: BatchHeader,
    pub(crate) records: &'a [u8],
    pub(crate) hash: Digest,
    /// Length with header and trailer.
    pub(crate) total: usize,
}

impl BatchHeader {
    /// Writes header and trailer around the records that `batch` already holds, and returns the
    /// hash.
    ///
    /// # Panics
    /// When `batch` is shorter than header and trailer or longer than 4 GiB.
    pub(crate) fn seal(&self, batch: &mut [u8]) -> Digest {
        let total = u32::try_from(batch.len()).unwrap_or(0);
        assert!(total > 0, "batch length fits its field");
        let mut fields = Fill(batch);
        fields.put(&BATCH_MAGIC);
        fields.put(&VERSION.to_le_bytes());
        fields.put(&BATCH_HEADER_LENGTH.to_le_bytes());
        fields.put(&total.to_le_bytes());
        fields.put(&self.records.to_le_bytes());
        fields.put(&self.segment.to_le_bytes());
        fields.put(&self.epoch.to_le_bytes());
        fields.put(&self.first_seq.get().to_le_bytes());
        fields.put(&self.last_seq.get().to_le_bytes());
        fields.put(self.previous.as_bytes());
        let (body, trailer) = batch.split_at_mut(batch.len() - BATCH_HASH_TO_END);
        let hash = blake3::hash(body);
        Fill(trailer).put(hash.as_bytes());
        let (summed, end) = batch.split_at_mut(batch.len() - BATCH_CRC_TO_END);
        let mut fields = Fill(end);
        fields.put(&crc_fast::crc32_iscsi(summed).to_le_bytes());
        fields.put(&BATCH_END_MAGIC);
        Digest::new(*hash.as_bytes())
    }
}

const BATCH_HEADER_LENGTH: u16 = 80;
const _: () = assert!(narrow(80) == BATCH_HEADER_BYTES);

/// Length of the batch whose first bytes these are, or `None` when they cannot be a batch's that
/// ends within `room` bytes. Nothing but the length is believed of an unproven header.
pub(crate) fn batch_length(head: &[u8; BATCH_HEADER_BYTES], room: usize) -> Option<usize> {
    let mut fields = Fields(head);
    if fields.take::<8>() != BATCH_MAGIC {
        return None;
    }
    let [_, _, _, _] = fields.take::<4>();
    let total = narrow(u64::from(u32::from_le_bytes(fields.take())));
    let fits = (BATCH_BYTES_MIN..=room).contains(&total) && total.is_multiple_of(8);
    fits.then_some(total)
}

/// Proves the batch at the start of `area`: length, checksum, then hash.
pub(crate) fn batch_at(area: &[u8]) -> Result<Batch<'_>, Damage> {
    let head = area.first_chunk::<BATCH_HEADER_BYTES>().ok_or(Damage::BatchHeader)?;
    let total = batch_length(head, area.len()).ok_or(Damage::BatchHeader)?;
    let batch = area.get(..total).ok_or(Damage::BatchHeader)?;
    let (summed, end) = batch.split_at(total - BATCH_CRC_TO_END);
    let mut fields = Fields(end);
    let sum = u32::from_le_bytes(fields.take());
    // The end magic first: it is the cheap check when a torn area is searched.
    if fields.take::<4>() != BATCH_END_MAGIC || sum != crc_fast::crc32_iscsi(summed) {
        return Err(Damage::BatchChecksum);
    }
    let (body, trailer) = batch.split_at(total - BATCH_HASH_TO_END);
    let hash = Fields(trailer).take::<32>();
    if hash != *blake3::hash(body).as_bytes() {
        return Err(Damage::BatchHash);
    }
    let (_, records) = body.split_at(BATCH_HEADER_BYTES);
    let header = decode_batch_header(head)?;
    Ok(Batch { header, records, hash: Digest::new(hash), total })
}

fn decode_batch_header(head: &[u8; BATCH_HEADER_BYTES]) -> Result<BatchHeader, Damage> {
    let mut fields = Fields(head);
    let [_, _, _, _, _, _, _, _] = fields.take::<8>();
    if u16::from_le_bytes(fields.take()) != VERSION {
        return Err(Damage::BatchHeader);
    }
    if u16::from_le_bytes(fields.take()) != BATCH_HEADER_LENGTH {
        return Err(Damage::BatchHeader);
    }
    let [_, _, _, _] = fields.take::<4>();
    Ok(BatchHeader {
        records: u32::from_le_bytes(fields.take()),
        segment: u32::from_le_bytes(fields.take()),
        epoch: u64::from_le_bytes(fields.take()),
        first_seq: Seq::new(u64::from_le_bytes(fields.take())),
        last_seq: Seq::new(u64::from_le_bytes(fields.take())),
        previous: Digest::new(fields.take()),
    })
}

/// Says that a segment is full: the next batch is in the next segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndMarker {
    /// Sequence of the segment's last entry.
    pub(crate) last_seq: Seq,
    /// Index of the segment.
    pub(crate) segment: u32,
}

impl EndMarker {
    pub(crate) fn encode(&self) -> [u8; END_MARKER_BYTES] {
        let mut marker = [0; END_MARKER_BYTES];
        let mut fields = Fill(&mut marker);
        fields.put(&END_MARKER_MAGIC);
        fields.put(&self.last_seq.get().to_le_bytes());
        fields.put(&self.segment.to_le_bytes());
        let (body, sum) = marker.split_at_mut(END_MARKER_BYTES - 4);
        sum.copy_from_slice(&crc_fast::crc32_iscsi(body).to_le_bytes());
        marker
    }

    /// The marker at the start of `area`, if there is a whole one.
    pub(crate) fn at(area: &[u8]) -> Option<Self> {
        let marker = area.first_chunk::<END_MARKER_BYTES>()?;
        let (body, sum) = marker.split_at(END_MARKER_BYTES - 4);
        let mut fields = Fields(body);
        let whole = fields.take::<8>() == END_MARKER_MAGIC
            && sum == crc_fast::crc32_iscsi(body).to_le_bytes();
        whole.then(|| Self {
            last_seq: Seq::new(u64::from_le_bytes(fields.take())),
            segment: u32::from_le_bytes(fields.take()),
        })
    }
}

/// Length of `area` without the zero bytes at its end.
pub(crate) fn used_bytes(area: &[u8]) -> usize {
    const ZEROS: [u8; 4_096] = [0; 4_096];
    let mut used = area;
    // Whole pages first: an empty segment is 16,384 of them.
    while let Some((rest, page)) = used.split_last_chunk::<4_096>() {
        if *page != ZEROS {
            break;
        }
        used = rest;
    }
    used.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)
}

/// Takes fields off the front of bytes that are known to hold them.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    /// # Panics
    /// When fewer than `N` bytes are left, which the fixed layouts of this module rule out.
    pub(crate) fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk::<N>() else {
            unreachable!("the layout is longer than its area")
        };
        self.0 = rest;
        *field
    }
}

/// Puts fields at the front of an area that is known to have room for them.
pub(crate) struct Fill<'a>(pub(crate) &'a mut [u8]);

impl Fill<'_> {
    /// # Panics
    /// When `field` is longer than what is left.
    pub(crate) fn put(&mut self, field: &[u8]) {
        let (head, rest) = core::mem::take(&mut self.0).split_at_mut(field.len());
        head.copy_from_slice(field);
        self.0 = rest;
    }
}
