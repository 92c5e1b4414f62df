//! Heads of segments and batches as they stand in the files: what a scan proves and does not tell.
//!
//! The bytes are those of `docs/journal.md`. Nothing here decides whether they are sound.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use super::InspectError;

const HEADER_BYTES: u64 = 4_096;
const BATCH_HEADER_BYTES: usize = 80;
const END_MARKER_BYTES: u64 = 24;

/// A segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Name of its file.
    pub file: String,
    /// Position among the segments, from 1.
    pub index: u32,
    /// Epoch of the writer that created it.
    pub epoch: u64,
    /// Sequence of its first entry.
    pub first_seq: u64,
    /// Sequence of its last entry; one less than the first while there is none.
    pub last_seq: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Up to the end of what is valid in it.
    pub bytes_used: u64,
    /// Batches in it.
    pub batches: u64,
}

/// What is said about batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batches {
    /// Entries of each, in order of size.
    pub entries: Vec<u32>,
    /// The latest epoch: how often the journal was opened for writing.
    pub epoch: u64,
}

/// Reads the heads of all segments and batches up to `last_seq`, in order.
pub(super) fn read(dir: &Path, last_seq: u64) -> Result<(Vec<Segment>, Batches), InspectError> {
    let failed = |source| InspectError::Read { path: dir.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".seg") {
            names.push(name);
        }
    }
    names.sort();
    let mut batches = Batches::default();
    let mut segments = Vec::new();
    for name in names {
        let path = dir.join(&name);
        let segment = segment(&path, name, last_seq, &mut batches);
        segments.push(segment.map_err(|source| InspectError::Read { path, source })?);
    }
    batches.entries.sort_unstable();
    Ok((segments, batches))
}

fn segment(
    path: &Path,
    name: String,
    last_seq: u64,
    batches: &mut Batches,
) -> Result<Segment, io::Error> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut head = [0; 40];
    file.read_exact_at(&mut head, 0)?;
    let mut segment = Segment {
        file: name,
        index: u32::from_le_bytes(field(&head, 12)),
        epoch: u64::from_le_bytes(field(&head, 32)),
        first_seq: u64::from_le_bytes(field(&head, 24)),
        last_seq: u64::from_le_bytes(field(&head, 24)).saturating_sub(1),
        bytes,
        bytes_used: HEADER_BYTES,
        batches: 0,
    };
    batches.epoch = batches.epoch.max(segment.epoch);
    let mut head = [0; BATCH_HEADER_BYTES];
    loop {
        // At the end of a file fewer bytes are left: what is missing reads as zeroes.
        head.fill(0);
        let left = usize::try_from(bytes.saturating_sub(segment.bytes_used)).unwrap_or(usize::MAX);
        let (present, _) = head.split_at_mut(left.min(BATCH_HEADER_BYTES));
        file.read_exact_at(present, segment.bytes_used)?;
        if field(&head, 0) == *b"GCSEGEND" {
            segment.bytes_used = segment.bytes_used.saturating_add(END_MARKER_BYTES);
            break;
        }
        let (first, last) =
            (u64::from_le_bytes(field(&head, 32)), u64::from_le_bytes(field(&head, 40)));
        // What the scan did not count is a torn tail.
        if field(&head, 0) != *b"GCBATCH1" || last > last_seq || first > last {
            break;
        }
        let length = u64::from(u32::from_le_bytes(field(&head, 12)));
        segment.bytes_used = segment.bytes_used.saturating_add(length);
        segment.last_seq = last;
        segment.batches = segment.batches.saturating_add(1);
        let entries = u32::try_from(last.saturating_sub(first)).unwrap_or(u32::MAX);
        batches.entries.push(entries.saturating_add(1));
        batches.epoch = batches.epoch.max(u64::from_le_bytes(field(&head, 24)));
        if length == 0 {
            break;
        }
    }
    Ok(segment)
}

/// The field at this byte; zeroes past the end, where no field is.
fn field<const N: usize>(head: &[u8], at: usize) -> [u8; N] {
    head.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}
