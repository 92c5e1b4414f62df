//! Checkpoints: the tree on disk, signed, and proofs under it.

use types::TradeId;

use super::Pipeline;
use crate::{
    error::SettlementError,
    store::ledger::{self, SignedCheckpoint},
    tlog::{
        Frontier, hash_leaf, inclusion_proof,
        note::{self, Checkpoint},
        proof::LeafProof,
        root_of,
        tiles::{TILE_WIDTH, TileDirectory},
    },
};

/// Leaves read and written at once: as many as one tile of level 1 covers.
const CHUNK_LEAVES: u64 = TILE_WIDTH * TILE_WIDTH;

impl Pipeline {
    /// Writes tiles and a signed checkpoint over everything appended so far. Without a new leaf,
    /// the checkpoint there is stays.
    /// Rule S-63.
    ///
    /// The root is computed three times: from the leaves as they were appended, from the leaves as
    /// they are stored, and from the tiles as they are on disk. Only if all agree is it signed.
    ///
    /// # Errors
    /// When the three differ, or the database or the directory refuses.
    pub fn checkpoint(&mut self) -> Result<Checkpoint, SettlementError> {
        if self.stopped {
            return Err(SettlementError::Stopped);
        }
        let (size, root) = self.ledger_head();
        let before = ledger::checkpoint(self.connection(), size)?;
        if let Some(newest) = &before
            && newest.frontier.size() == size
        {
            let tiles = self.tiles(size)?;
            if tiles.read_checkpoint()?.as_ref() != Some(&newest.note) {
                tiles.write_checkpoint(&newest.note)?;
            }
            return Ok(Checkpoint { size, root: newest.root, note: newest.note.clone() });
        }
        let start = before.map(|newest| newest.frontier).unwrap_or_default();
        let mut tiles = self.tiles(start.size())?;
        let frontier = self.write_tiles(&mut tiles, start, size)?;
        let from_tiles = root_of(&mut tiles, size)?;
        if frontier.root() != root || from_tiles != root {
            let text = format!(
                "the root of {size} leaves is {root} as appended, {} as stored, {from_tiles} in tiles",
                frontier.root()
            );
            return Err(SettlementError::Damaged(text));
        }
        let checkpoint = note::sign(&self.origin, &self.key, size, root);
        let note = checkpoint.note.clone();
        ledger::put_checkpoint(self.connection(), &SignedCheckpoint { frontier, root, note })?;
        tiles.write_checkpoint(&checkpoint.note)?;
        Ok(checkpoint)
    }

    /// The leaf of this index with its proof under the newest checkpoint.
    /// Rule S-62.
    ///
    /// # Errors
    /// When there is no such leaf under a checkpoint, or it cannot be read.
    pub fn inclusion_proof(&self, index: u64) -> Result<LeafProof, SettlementError> {
        let newest = ledger::checkpoint(self.connection(), self.ledger_head().0)?;
        let newest = newest.ok_or(SettlementError::NoSuchLeaf { index, size: 0 })?;
        let size = newest.frontier.size();
        if index >= size {
            return Err(SettlementError::NoSuchLeaf { index, size });
        }
        let bytes = ledger::leaf(self.connection(), index)?
            .ok_or_else(|| SettlementError::Damaged(format!("leaf {index} is missing")))?;
        let path = inclusion_proof(&mut self.tiles(size)?, index, size)?;
        let checkpoint = Checkpoint { size, root: newest.root, note: newest.note };
        Ok(LeafProof { index, bytes, path, checkpoint })
    }

    /// The indices of a contract's own leaf and of the leaf of its newest outcome, if it exists;
    /// both are the same until it is settled.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn leaves_of(&self, contract: TradeId) -> Result<Option<(u64, u64)>, SettlementError> {
        ledger::leaves_of(self.connection(), contract)
    }

    /// Checks that the directory promises nothing the database does not hold, and makes it say what
    /// the database says.
    pub(super) fn check_ledger_dir(&mut self) -> Result<(), SettlementError> {
        let stored = self.ledger_head().0;
        let mut tiles = self.tiles(0)?;
        if let Some(text) = tiles.read_checkpoint()? {
            let promised = note::open(&self.origin, &self.key.verifying_key(), &text)
                .map_err(|error| SettlementError::Damaged(error.to_string()))?;
            if promised.size > stored {
                return Err(SettlementError::RolledBack { promised: promised.size, stored });
            }
            let ours = ledger::checkpoint(self.connection(), promised.size)?;
            if ours.is_none_or(|ours| ours.root != promised.root) {
                let text = "the signed checkpoint is not one of this database".to_owned();
                return Err(SettlementError::Damaged(text));
            }
        }
        let Some(newest) = ledger::checkpoint(self.connection(), stored)? else { return Ok(()) };
        let size = newest.frontier.size();
        tiles = self.tiles(size)?;
        if root_of(&mut tiles, size).ok() != Some(newest.root) {
            // Tiles are derived from the leaves.
            tiles = self.tiles(0)?;
            let frontier = self.write_tiles(&mut tiles, Frontier::default(), size)?;
            if frontier != newest.frontier {
                let text = format!("the stored leaves do not have the root signed for {size}");
                return Err(SettlementError::Damaged(text));
            }
        }
        tiles.write_checkpoint(&newest.note)
    }

    /// Grows the tiles from `frontier` to `size` leaves, reading the leaves again from the database.
    fn write_tiles(
        &self,
        tiles: &mut TileDirectory,
        mut frontier: Frontier,
        size: u64,
    ) -> Result<Frontier, SettlementError> {
        while frontier.size() < size {
            let from = frontier.size();
            let first = from.saturating_sub(from.rem_euclid(TILE_WIDTH));
            let end = from.div_euclid(CHUNK_LEAVES).saturating_add(1).saturating_mul(CHUNK_LEAVES);
            let leaves = ledger::leaves(self.connection(), first, end.min(size))?;
            let known = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
            for bytes in leaves.iter().skip(known) {
                frontier.push(hash_leaf(bytes));
            }
            tiles.write(first, leaves.iter().map(Vec::as_slice))?;
        }
        Ok(frontier)
    }

    fn tiles(&self, size: u64) -> Result<TileDirectory, SettlementError> {
        let folder = self.ledger_dir.as_ref().ok_or(SettlementError::NoLedger)?;
        Ok(TileDirectory::new(folder, size))
    }
}
