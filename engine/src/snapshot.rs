//! The whole state as bytes, and back.
//!
//! A snapshot holds what cannot be worked out again: the registry, delegations, the slots, every order with its
//! extra, the order of each queue, credit, lists, counted trades and, where there ever were any, the
//! `Tables` of what is rarer than orders. Ladders, what stands outside,
//! used capacity, counts, expiries and the table of platforms' numbers are built anew. It ends with
//! the digest of the state, and [`Engine::restore`] compares: a snapshot restores to exactly the
//! state it was taken of, or not at all.
//!
//! The format is for one version of the engine: its first line names that. A journal, not a
//! snapshot, is what lasts.

mod read;
mod write;

use core::fmt;

use types::Digest;

use crate::{engine::Engine, limits::Limits};

/// First bytes of a snapshot.
const TITLE: &[u8; 20] = b"gridcross snapshot 2";
/// First bytes of one that has offers of contracts too.
const TITLE_WITH_OFFERS: &[u8; 20] = b"gridcross snapshot 3";
/// First bytes of one with a byte of [`Tables`] behind them.
const TITLE_WITH_TABLES: &[u8; 20] = b"gridcross snapshot 4";

/// What a snapshot holds only where there ever was any of it, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tables(u8);

impl Tables {
    /// Offers of contracts.
    const OFFERS: u8 = 1;
    /// Changes of trades, offered or made.
    const CHANGES: u8 = 2;
    /// Aggregate orders, and lists for them.
    const AGGREGATES: u8 = 4;
    /// Where meters hang in the grid, and its limits.
    const GRID: u8 = 8;
    /// What operators ordered.
    const OPERATIONS: u8 = 16;
    /// A market for the operation that the next command is.
    const DRAFT: u8 = 32;

    /// Those that an engine needs.
    fn of(engine: &Engine) -> Self {
        let bit = |bit, is_needed| if is_needed { bit } else { 0 };
        Self(
            bit(Self::OFFERS, engine.contracts.made > 0)
                | bit(Self::CHANGES, engine.knows_changes())
                | bit(Self::AGGREGATES, !engine.aggregates.is_empty())
                | bit(Self::GRID, !engine.grid.is_empty(engine.last_time))
                | bit(Self::OPERATIONS, !engine.operations.is_empty())
                | bit(Self::DRAFT, engine.operations.draft_at(engine.last_seq).is_some()),
        )
    }

    const fn has(self, table: u8) -> bool {
        self.0 & table != 0
    }

    /// How a snapshot with them begins.
    fn head(self) -> Vec<u8> {
        match self.0 {
            0 => TITLE.to_vec(),
            Self::OFFERS => TITLE_WITH_OFFERS.to_vec(),
            tables => [&TITLE_WITH_TABLES[..], &[tables]].concat(),
        }
    }

    /// Reads the beginning of a snapshot: the tables, and how long it is.
    fn read(snapshot: &[u8]) -> Option<(Self, usize)> {
        let (title, rest) = snapshot.split_first_chunk()?;
        match title {
            TITLE => Some((Self(0), title.len())),
            TITLE_WITH_OFFERS => Some((Self(Self::OFFERS), title.len())),
            TITLE_WITH_TABLES => {
                let tables = Self(*rest.first()?);
                let is_canonical = tables.head().len() > title.len() && tables.0 <= Self::ALL;
                is_canonical.then_some((tables, title.len() + 1))
            }
            _ => None,
        }
    }

    const ALL: u8 = Self::OFFERS
        | Self::CHANGES
        | Self::AGGREGATES
        | Self::GRID
        | Self::OPERATIONS
        | Self::DRAFT;
}

/// Why bytes are not a snapshot of this engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotError {
    /// They are of another version, or no snapshot.
    UnknownFormat,
    /// They end before they should, at this offset.
    Truncated(usize),
    /// A value that no state has, before this offset.
    Impossible(usize),
    /// They go on after their end, at this offset.
    TrailingBytes(usize),
    /// They restore to another state than they say.
    DifferentState {
        /// The digest in the snapshot.
        expected: Digest,
        /// Digest of the restored state.
        got: Digest,
    },
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFormat => f.write_str("not a snapshot of this version of the engine"),
            Self::Truncated(at) => write!(f, "the snapshot ends too early, at byte {at}"),
            Self::Impossible(at) => write!(f, "a value before byte {at} is not possible"),
            Self::TrailingBytes(at) => write!(f, "bytes follow the end of the snapshot, at {at}"),
            Self::DifferentState { expected, got } => {
                write!(f, "the snapshot says state {expected} but restores to {got}")
            }
        }
    }
}

impl core::error::Error for SnapshotError {}

impl Engine {
    /// The whole state as bytes, with its digest at the end.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        write::engine(self)
    }

    /// The engine that a snapshot was taken of. Goes on exactly as that one would have.
    ///
    /// # Errors
    /// When the bytes are not a whole and true snapshot of this version.
    pub fn restore(limits: Limits, snapshot: &[u8]) -> Result<Self, SnapshotError> {
        read::engine(limits, snapshot)
    }
}
