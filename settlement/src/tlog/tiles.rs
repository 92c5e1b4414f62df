//! The tree on disk, in the layout of C2SP tlog-tiles: `tile/<level>/<number>[.p/<width>]` holds up
//! to 256 hashes, `tile/entries/<number>[.p/<width>]` the leaves under a tile of level 0.
//!
//! Tiles are derived data: [`TileDirectory::write`] can make them again from the leaves. They are
//! written whole, renamed into place and synced before the checkpoint that promises them.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use types::Digest;

use super::{Nodes, hash_leaf, hash_pair, walk::LogFiles};
use crate::error::SettlementError;

/// Hashes in a full tile.
pub const TILE_WIDTH: u64 = 256;

/// Levels of the tree in one level of tiles.
const TILE_HEIGHT: u32 = 8;

/// Up to this many files are synced one by one; beyond, the file system is synced once.
const SYNC_FILES_MAX: usize = 16;

/// Most bytes read of one file: 256 leaves of at most 64 KiB with their lengths.
const FILE_BYTES_MAX: u64 = TILE_WIDTH * (65_535 + 2);

/// A directory with tiles and a checkpoint.
#[derive(Debug)]
pub struct TileDirectory {
    root: PathBuf,
    cached: Option<(PathBuf, Vec<Digest>)>,
    size: u64,
}

impl TileDirectory {
    /// The directory at `root`, seen as a tree of `size` leaves. Nothing is read or made yet.
    #[must_use]
    pub fn new(root: &Path, size: u64) -> Self {
        Self { root: root.to_owned(), cached: None, size }
    }

    /// The path of the checkpoint.
    #[must_use]
    pub fn checkpoint_path(&self) -> PathBuf {
        self.root.join("checkpoint")
    }

    /// How many leaves the tree has for readers of this value.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Makes the tree `size` leaves large. `leaves` are the leaves from the last full tile of the
    /// tree before, that is from `first`, a multiple of [`TILE_WIDTH`], to the end.
    ///
    /// Every tile that differs is written; all are on disk when this returns.
    ///
    /// # Errors
    /// When a file cannot be written or an earlier tile cannot be read.
    pub fn write<'a>(
        &mut self,
        first: u64,
        leaves: impl Iterator<Item = &'a [u8]>,
    ) -> Result<u64, SettlementError> {
        let mut files = Vec::new();
        let mut level = 0;
        let mut start = first;
        let mut hashes = self.write_leaves(first, leaves, &mut files)?;
        let size = first.saturating_add(count(&hashes));
        loop {
            self.write_hashes(level, start, &hashes, &mut files)?;
            let (full, _) = hashes.as_chunks::<256>();
            let parents: Vec<Digest> = full.iter().map(|tile| fold(tile)).collect();
            let parent_start = start.div_euclid(TILE_WIDTH);
            if parent_start == 0 && parents.is_empty() {
                break;
            }
            level = level.saturating_add(1);
            start = parent_start.div_euclid(TILE_WIDTH).saturating_mul(TILE_WIDTH);
            hashes = self.read_prefix(level, start, parent_start.saturating_sub(start))?;
            hashes.extend(parents);
        }
        self.sync(&files)?;
        self.remove_narrower(&files)?;
        self.cached = None;
        self.size = size;
        Ok(size)
    }

    /// The bytes of a leaf.
    ///
    /// # Errors
    /// When its bundle cannot be read or is damaged.
    pub fn leaf(&mut self, index: u64) -> Result<Vec<u8>, SettlementError> {
        let number = index.div_euclid(TILE_WIDTH);
        let first = number.saturating_mul(TILE_WIDTH);
        let width = self.size.saturating_sub(first).min(TILE_WIDTH);
        let mut found = self.read(&tile_path("entries", number, width))?;
        if found.is_none() {
            found = self.read(&tile_path("entries", number, TILE_WIDTH))?;
        }
        let entries = found.as_deref().and_then(split_entries);
        let place = usize::try_from(index.rem_euclid(TILE_WIDTH)).unwrap_or(usize::MAX);
        entries
            .and_then(|mut entries| (place < entries.len()).then(|| entries.swap_remove(place)))
            .ok_or_else(|| {
                SettlementError::Damaged(format!("leaf {index} is not in its bundle of entries"))
            })
    }

    /// Writes the checkpoint file, durably.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_checkpoint(&self, note: &str) -> Result<(), SettlementError> {
        let path = self.checkpoint_path();
        self.put(&path, note.as_bytes())?;
        sync_path(&path)?;
        sync_path(&self.root)
    }

    /// The checkpoint file, if there is one.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn read_checkpoint(&self) -> Result<Option<String>, SettlementError> {
        let path = self.checkpoint_path();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SettlementError::File { doing: "read", path, source }),
        }
    }

    fn write_leaves<'a>(
        &self,
        first: u64,
        leaves: impl Iterator<Item = &'a [u8]>,
        files: &mut Vec<PathBuf>,
    ) -> Result<Vec<Digest>, SettlementError> {
        let mut hashes = Vec::new();
        let mut bundle = Vec::new();
        let mut number = first.div_euclid(TILE_WIDTH);
        for leaf in leaves {
            let length = u16::try_from(leaf.len())
                .map_err(|_| SettlementError::Damaged("a leaf is longer than 64 KiB".to_owned()))?;
            bundle.extend_from_slice(&length.to_be_bytes());
            bundle.extend_from_slice(leaf);
            hashes.push(hash_leaf(leaf));
            if count(&hashes).rem_euclid(TILE_WIDTH) == 0 {
                self.write_file(&self.path("entries", number, TILE_WIDTH), &bundle, files)?;
                bundle.clear();
                number = number.saturating_add(1);
            }
        }
        let width = count(&hashes).rem_euclid(TILE_WIDTH);
        if width > 0 {
            self.write_file(&self.path("entries", number, width), &bundle, files)?;
        }
        Ok(hashes)
    }

    fn write_hashes(
        &self,
        level: u32,
        start: u64,
        hashes: &[Digest],
        files: &mut Vec<PathBuf>,
    ) -> Result<(), SettlementError> {
        let mut number = start.div_euclid(TILE_WIDTH);
        for tile in hashes.chunks(256) {
            let bytes: Vec<u8> = tile.iter().flat_map(|hash| *hash.as_bytes()).collect();
            self.write_file(&self.path(&level.to_string(), number, count(tile)), &bytes, files)?;
            number = number.saturating_add(1);
        }
        Ok(())
    }

    /// The first `wanted` hashes of the tile of `level` that begins at hash `start`.
    fn read_prefix(
        &self,
        level: u32,
        start: u64,
        wanted: u64,
    ) -> Result<Vec<Digest>, SettlementError> {
        if wanted == 0 {
            return Ok(Vec::new());
        }
        self.read_tile(level, start.div_euclid(TILE_WIDTH), wanted)
    }

    /// Reads the tile as it was when it had `width` hashes.
    fn read_tile(
        &self,
        level: u32,
        number: u64,
        width: u64,
    ) -> Result<Vec<Digest>, SettlementError> {
        let path = self.path(&level.to_string(), number, width);
        let full = self.path(&level.to_string(), number, TILE_WIDTH);
        let (bytes, present) = match read_bounded(&path) {
            // Narrower tiles are removed when there is a full one.
            Err(error) if error.kind() == io::ErrorKind::NotFound && full != path => {
                (read_bounded(&full), TILE_WIDTH)
            }
            bytes => (bytes, width),
        };
        let failed = |source| SettlementError::File { doing: "read", path: path.clone(), source };
        let bytes = bytes.map_err(failed)?;
        let (hashes, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || u64::try_from(hashes.len()).ok() != Some(present) {
            let message = format!("tile `{}` has the wrong length", path.display());
            return Err(SettlementError::Damaged(message));
        }
        let wanted = usize::try_from(width).unwrap_or(usize::MAX);
        Ok(hashes.iter().take(wanted).copied().map(Digest::new).collect())
    }

    fn path(&self, level: &str, number: u64, width: u64) -> PathBuf {
        self.root.join(tile_path(level, number, width))
    }

    fn write_file(
        &self,
        path: &Path,
        bytes: &[u8],
        files: &mut Vec<PathBuf>,
    ) -> Result<(), SettlementError> {
        if matches!(read_bounded(path), Ok(present) if present == bytes) {
            return Ok(());
        }
        self.put(path, bytes)?;
        files.push(path.to_owned());
        Ok(())
    }

    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), SettlementError> {
        let failed =
            |source| SettlementError::File { doing: "write", path: path.to_owned(), source };
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(failed)?;
        let temporary = folder.join(".writing");
        let mut file = File::create(&temporary).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        if path == self.checkpoint_path() {
            // A checkpoint replaces its predecessor: its bytes must be there before its name is.
            file.sync_all().map_err(failed)?;
        }
        drop(file);
        fs::rename(&temporary, path).map_err(failed)
    }

    /// Removes what a full tile replaces, once that is durable.
    fn remove_narrower(&self, files: &[PathBuf]) -> Result<(), SettlementError> {
        let is_full =
            |path: &&PathBuf| path.parent().is_some_and(|folder| folder.extension().is_none());
        for path in files.iter().filter(is_full) {
            let narrower = path.with_extension("p");
            match fs::remove_dir_all(&narrower) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(SettlementError::File { doing: "remove", path: narrower, source });
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn sync(&self, files: &[PathBuf]) -> Result<(), SettlementError> {
        if files.is_empty() {
            return Ok(());
        }
        if files.len() > SYNC_FILES_MAX {
            let path = self.root.clone();
            let handle = File::open(&path);
            let synced = handle.and_then(|file| rustix::fs::syncfs(&file).map_err(Into::into));
            return synced.map_err(|source| SettlementError::File { doing: "sync", path, source });
        }
        for file in files {
            sync_path(file)?;
            for folder in file.ancestors().skip(1) {
                sync_path(folder)?;
                if folder == self.root {
                    break;
                }
            }
        }
        Ok(())
    }
}

impl LogFiles for TileDirectory {
    type Error = SettlementError;

    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, SettlementError> {
        let path = self.root.join(path);
        match read_bounded(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SettlementError::File { doing: "read", path, source }),
        }
    }
}

impl Nodes for TileDirectory {
    type Error = SettlementError;

    fn node(&mut self, level: u32, index: u64) -> Result<Digest, SettlementError> {
        let tile_level = level.div_euclid(TILE_HEIGHT);
        let inside = level.rem_euclid(TILE_HEIGHT);
        // The node covers the hashes of its tile from `first` on.
        let width = 1_u64 << inside;
        let first = index.saturating_mul(width);
        let number = first.div_euclid(TILE_WIDTH);
        let whole = self.size >> tile_level.saturating_mul(TILE_HEIGHT);
        let present = whole.saturating_sub(number.saturating_mul(TILE_WIDTH)).min(TILE_WIDTH);
        let path = self.path(&tile_level.to_string(), number, present);
        if self.cached.as_ref().is_none_or(|(cached, _)| *cached != path) {
            let hashes = self.read_tile(tile_level, number, present)?;
            self.cached = Some((path.clone(), hashes));
        }
        let from = usize::try_from(first.rem_euclid(TILE_WIDTH)).unwrap_or(usize::MAX);
        let to = from.saturating_add(usize::try_from(width).unwrap_or(usize::MAX));
        let hashes = self.cached.as_ref().and_then(|(_, hashes)| hashes.get(from..to));
        let missing = || SettlementError::Damaged(format!("tile `{}` is short", path.display()));
        Ok(fold(hashes.ok_or_else(missing)?))
    }
}

/// Leaves of a bundle of entries; `None` if the last one is cut.
pub(super) fn split_entries(bundle: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = bundle;
    let mut entries = Vec::with_capacity(256);
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let (entry, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry.to_vec());
        rest = tail;
    }
    Some(entries)
}

/// The path of a tile, or of a bundle of entries, in the layout of C2SP tlog-tiles.
#[must_use]
pub fn tile_path(level: &str, number: u64, width: u64) -> String {
    let mut groups = format!("{:03}", number.rem_euclid(1_000));
    let mut rest = number.div_euclid(1_000);
    while rest > 0 {
        groups = format!("x{:03}/{groups}", rest.rem_euclid(1_000));
        rest = rest.div_euclid(1_000);
    }
    if width < TILE_WIDTH {
        format!("tile/{level}/{groups}.p/{width}")
    } else {
        format!("tile/{level}/{groups}")
    }
}

/// The root of a complete subtree.
pub(super) fn fold(hashes: &[Digest]) -> Digest {
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        let (pairs, _) = level.as_chunks::<2>();
        level = pairs.iter().map(|[left, right]| hash_pair(left, right)).collect();
    }
    level.first().copied().unwrap_or(Digest::new([0; 32]))
}

fn count<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn sync_path(path: &Path) -> Result<(), SettlementError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|source| SettlementError::File {
        doing: "sync",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::{Frontier, inclusion_proof, root_of, verify_inclusion};

    #[test]
    fn a_tree_grown_in_steps_reads_back_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let leaves: Vec<Vec<u8>> = (0_u32..66_000).map(|n| n.to_le_bytes().to_vec()).collect();
        let mut frontier = Frontier::default();
        let mut tiles = TileDirectory::new(folder.path(), 0);
        for size in [1, 255, 256, 300, 65_536, 65_700, 66_000] {
            let before = usize::try_from(tiles.size()).unwrap();
            for leaf in &leaves[before..size] {
                frontier.push(hash_leaf(leaf));
            }
            let first = before - before % 256;
            let new = leaves[first..size].iter().map(Vec::as_slice);
            let wide = u64::try_from(size).unwrap();
            assert_eq!(tiles.write(u64::try_from(first).unwrap(), new).unwrap(), wide);
            let root = root_of(&mut tiles, wide).unwrap();
            assert_eq!(root, frontier.root(), "size {size}");
            for index in [0, wide / 2, wide - 1] {
                let path = inclusion_proof(&mut tiles, index, wide).unwrap();
                let leaf = hash_leaf(&leaves[usize::try_from(index).unwrap()]);
                assert!(verify_inclusion(leaf, index, wide, &path, &root));
            }
        }
        assert!(folder.path().join("tile/2/000.p/1").exists());
        assert!(folder.path().join("tile/entries/257.p/208").exists());
        assert!(!folder.path().join("tile/entries/001.p").exists(), "the full tile replaced it");
        let mut earlier = TileDirectory::new(folder.path(), 300);
        let mut frontier = Frontier::default();
        leaves[..300].iter().for_each(|leaf| frontier.push(hash_leaf(leaf)));
        assert_eq!(root_of(&mut earlier, 300).unwrap(), frontier.root(), "from full tiles");
    }

    #[test]
    fn paths_are_grouped_by_three_digits() {
        assert_eq!(tile_path("0", 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(tile_path("1", 5, 17), "tile/1/005.p/17");
    }
}
