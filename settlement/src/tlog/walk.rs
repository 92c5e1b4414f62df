//! A whole log, read from its files and checked: every leaf, every tile, every root.

use std::collections::BTreeMap;

use types::Digest;

use super::{
    Frontier, hash_leaf,
    tiles::{TILE_WIDTH, fold, split_entries, tile_path},
};

/// Files of a log, by their paths in the layout of C2SP tlog-tiles.
pub trait LogFiles {
    /// Why a file cannot be read.
    type Error;

    /// A file, or `None` where there is none.
    ///
    /// # Errors
    /// When that is not known.
    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, Self::Error>;
}

/// What is wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum WalkError<E> {
    /// A file cannot be read.
    #[error("the log cannot be read")]
    Files(#[source] E),
    /// The log is not what it says. The index is that of the first leaf concerned.
    #[error("at leaf {index}: {what}")]
    Mismatch {
        /// Which leaf.
        index: u64,
        /// What is wrong.
        what: String,
    },
}

/// What a walk saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// Files of hashes and entries that were read.
    pub files: u64,
    /// The whole tree.
    pub frontier: Frontier,
    /// Roots at the sizes that were asked for.
    pub roots: BTreeMap<u64, Digest>,
}

/// Reads the `size` leaves of a log, compares every tile with what the leaves hash to, and the root
/// with `root`. Every leaf is handed to `each` with its index; what that finds wrong ends the walk.
/// `roots` of earlier sizes are computed on the way.
///
/// # Errors
/// When a file cannot be read, or with the first leaf at which something does not hold.
pub fn walk<F: LogFiles>(
    files: &mut F,
    (size, root): (u64, &Digest),
    sizes: &[u64],
    mut each: impl FnMut(u64, &[u8]) -> Result<(), String>,
) -> Result<Walked, WalkError<F::Error>> {
    let mut state = Walk { files, size, read: 0, levels: Vec::new() };
    let mut frontier = Frontier::default();
    let mut roots = BTreeMap::new();
    let mut note_root = |frontier: &Frontier| {
        if sizes.contains(&frontier.size()) {
            roots.insert(frontier.size(), frontier.root());
        }
    };
    note_root(&frontier);
    for number in 0..size.div_ceil(TILE_WIDTH) {
        let first = number.saturating_mul(TILE_WIDTH);
        let mut hashes = Vec::with_capacity(256);
        for (bytes, index) in state.entries(number)?.iter().zip(first..) {
            each(index, bytes).map_err(|what| WalkError::Mismatch { index, what })?;
            let hash = hash_leaf(bytes);
            hashes.push(hash);
            frontier.push(hash);
            note_root(&frontier);
        }
        state.compare(0, number, &hashes)?;
    }
    state.compare_rests()?;
    if frontier.root() != *root {
        let what = format!("the leaves have the root {}, not {root}", frontier.root());
        return Err(WalkError::Mismatch { index: size.saturating_sub(1), what });
    }
    Ok(Walked { files: state.read, frontier, roots })
}

struct Walk<'f, F> {
    files: &'f mut F,
    size: u64,
    read: u64,
    /// Hashes of tiles of levels above 0 that are not full yet: number of the tile, and hashes.
    levels: Vec<(u64, Vec<Digest>)>,
}

impl<F: LogFiles> Walk<'_, F> {
    fn entries(&mut self, number: u64) -> Result<Vec<Vec<u8>>, WalkError<F::Error>> {
        let first = number.saturating_mul(TILE_WIDTH);
        let width = self.size.saturating_sub(first).min(TILE_WIDTH);
        let bytes = self.file("entries", number, width, first)?;
        let mismatch = |what: &str| WalkError::Mismatch {
            index: first,
            what: format!("`{}` {what}", tile_path("entries", number, width)),
        };
        let mut entries = split_entries(&bytes).ok_or_else(|| mismatch("is cut"))?;
        let wide = usize::try_from(width).unwrap_or(usize::MAX);
        if entries.len() < wide {
            return Err(mismatch("has too few leaves"));
        }
        // A full file may stand for a narrower one of an earlier size; nothing else is longer.
        if entries.len() > wide && entries.len() != 256 {
            return Err(mismatch("has too many leaves"));
        }
        entries.truncate(wide);
        Ok(entries)
    }

    /// Compares a tile with its hashes, and takes its parent to the level above.
    fn compare(
        &mut self,
        level: usize,
        number: u64,
        hashes: &[Digest],
    ) -> Result<(), WalkError<F::Error>> {
        let width = u64::try_from(hashes.len()).unwrap_or(u64::MAX);
        let shift = u32::try_from(level).unwrap_or(u32::MAX).saturating_mul(8);
        let span = 1_u64.checked_shl(shift).unwrap_or(u64::MAX);
        let first = number.saturating_mul(TILE_WIDTH).saturating_mul(span);
        let bytes = self.file(&level.to_string(), number, width, first)?;
        let (found, rest) = bytes.as_chunks::<32>();
        let is_whole = rest.is_empty() && (found.len() == hashes.len() || found.len() == 256);
        let differs = hashes.iter().zip(found).position(|(hash, one)| hash.as_bytes() != one);
        if let Some(place) = differs.or((!is_whole).then_some(0)) {
            let place = u64::try_from(place).unwrap_or(0);
            let what = format!(
                "`{}` is not what the leaves hash to",
                tile_path(&level.to_string(), number, width)
            );
            let index = first.saturating_add(place.saturating_mul(span));
            return Err(WalkError::Mismatch { index, what });
        }
        if width < TILE_WIDTH {
            return Ok(());
        }
        if self.levels.len() == level {
            self.levels.push((0, Vec::new()));
        }
        let parent = fold(hashes);
        let Some((above, pending)) = self.levels.get_mut(level) else { return Ok(()) };
        pending.push(parent);
        if pending.len() == 256 {
            let (of, full) = (*above, core::mem::take(pending));
            *above = above.saturating_add(1);
            self.compare(level.saturating_add(1), of, &full)?;
        }
        Ok(())
    }

    /// Compares the tiles above level 0 that are not full.
    fn compare_rests(&mut self) -> Result<(), WalkError<F::Error>> {
        let mut level = 0;
        while let Some((number, hashes)) = self.levels.get(level).cloned() {
            level = level.saturating_add(1);
            if !hashes.is_empty() {
                self.compare(level, number, &hashes)?;
            }
        }
        Ok(())
    }

    /// A file of this width; or the full one, after which narrower ones may be gone.
    fn file(
        &mut self,
        level: &str,
        number: u64,
        width: u64,
        index: u64,
    ) -> Result<Vec<u8>, WalkError<F::Error>> {
        self.read = self.read.saturating_add(1);
        let path = tile_path(level, number, width);
        if let Some(bytes) = self.files.read(&path).map_err(WalkError::Files)? {
            return Ok(bytes);
        }
        let full = tile_path(level, number, TILE_WIDTH);
        let found =
            if full == path { None } else { self.files.read(&full).map_err(WalkError::Files)? };
        found.ok_or_else(|| WalkError::Mismatch { index, what: format!("`{path}` is missing") })
    }
}
