//! Which journals a data directory holds: one for each shard of the engine.

use std::path::{Path, PathBuf};

use engine::Limits;
use types::shard::SHARDS_MAX;

/// A shard and where its journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    pub number: u8,
    /// The directory of its segments.
    pub journal: PathBuf,
}

impl Shard {
    /// The limits of its engine.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits { shard: self.number.saturating_sub(1), ..Limits::default() }
    }
}

/// The shards in `dir`: a data directory, or the directory of one journal itself. The first shard's
/// journal is `journal`, the second's `journal-2`, and so on without gaps.
#[must_use]
pub fn shards(dir: &Path) -> Vec<Shard> {
    let first = dir.join("journal");
    if !first.is_dir() {
        return vec![Shard { number: 1, journal: dir.to_owned() }];
    }
    let others = (2..=SHARDS_MAX)
        .map(|number| Shard { number, journal: dir.join(format!("journal-{number}")) })
        .take_while(|shard| shard.journal.is_dir());
    std::iter::once(Shard { number: 1, journal: first }).chain(others).collect()
}

/// Sizes of a journal's segments, in order: the measure of progress.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SegmentSizes(Vec<u64>);

/// Looks at the files of a journal. Where they cannot be seen there are none: whoever reads the
/// journal will say why.
#[must_use]
pub fn segment_sizes(journal: &Path) -> SegmentSizes {
    let Ok(entries) = std::fs::read_dir(journal) else { return SegmentSizes::default() };
    let mut segments: Vec<_> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "seg"))
        .map(|entry| (entry.file_name(), entry.metadata().map_or(0, |metadata| metadata.len())))
        .collect();
    segments.sort();
    SegmentSizes(segments.into_iter().map(|(_, bytes)| bytes).collect())
}

impl SegmentSizes {
    /// Of all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().copied().fold(0, u64::saturating_add)
    }

    /// Of all before this one, counted from 1.
    #[must_use]
    pub fn before(&self, segment: u32) -> u64 {
        let before = usize::try_from(segment).unwrap_or(usize::MAX).saturating_sub(1);
        self.0.iter().take(before).copied().fold(0, u64::saturating_add)
    }
}
