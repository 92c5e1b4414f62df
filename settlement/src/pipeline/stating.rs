//! Statements of retailers, out of the ledger as the database has it.

use types::{Digest, Party, RetailerId};

use super::Pipeline;
use crate::{
    error::SettlementError,
    statement::{self, Draft, Effect, Head, Month, RetailerStatement},
    store::{ledger, statements},
    tlog::{Frontier, facts::Leaf},
};

/// Leaves read at once: 16,384 × about 150 bytes.
const CHUNK_LEAVES: u64 = 16_384;

/// Of a state of the ledger: what is under a checkpoint.
#[derive(Debug, Clone, Copy)]
struct Under {
    leaves: u64,
    root: Digest,
}

/// A revision of a statement while its leaves are read.
#[derive(Debug)]
enum Read<'p> {
    /// Everything is read.
    Whole { draft: Draft<'p>, revision: u32, under: Under },
    /// The next revision begins behind this many leaves.
    Until(u64),
}

impl Pipeline {
    /// A retailer's statement of a month, as the checkpoints say: the newest revision, or an earlier
    /// one as it was before the next. `None` if there is no such revision yet.
    /// Rule S-58.
    ///
    /// Reads the ledger from its beginning, so it takes longer with every leaf.
    ///
    /// # Errors
    /// When stored data is damaged or the database refuses.
    pub fn statement(
        &self,
        retailer: RetailerId,
        month: &Month,
        revision: Option<u32>,
    ) -> Result<Option<RetailerStatement>, SettlementError> {
        let end = ledger::checkpoint(self.connection(), u64::MAX)?;
        let end = end.map_or(0, |newest| newest.frontier.size());
        let read = match self.read_statement(retailer, month, end, revision)? {
            Read::Until(end) => self.read_statement(retailer, month, end, None)?,
            whole @ Read::Whole { .. } => whole,
        };
        let Read::Whole { draft, revision: found, under } = read else { return Ok(None) };
        if revision.is_some_and(|asked| asked != found) {
            return Ok(None);
        }
        let head = Head {
            version: statement::VERSION,
            ledger: self.origin.clone(),
            retailer: retailer.get(),
            month: month.text().to_owned(),
            utc_offset_minutes: month.utc_offset_minutes(),
            revision: found,
            leaves: under.leaves,
            root: under.root.to_string(),
            currency: self.policy().currency.code().to_owned(),
        };
        let areas = statements::areas(self.connection())?;
        Ok(Some(RetailerStatement { head, lines: draft.lines(&areas) }))
    }

    /// Whether a party is registered.
    #[must_use]
    pub fn is_registered(&self, party: Party) -> bool {
        self.registry().signer(party).is_some()
    }

    /// The file of a statement, signed with the ledger's key.
    #[must_use]
    pub fn seal_statement(&self, statement: &RetailerStatement) -> String {
        statement::seal(statement, &self.key)
    }

    /// Reads the leaves before `end`, up to the end of revision `last`.
    fn read_statement<'p>(
        &'p self,
        retailer: RetailerId,
        month: &'p Month,
        end: u64,
        last: Option<u32>,
    ) -> Result<Read<'p>, SettlementError> {
        let mut draft = Draft::new(retailer, month, self.policy());
        let (mut revision, mut revised_under) = (1_u32, 0);
        let empty = Under { leaves: 0, root: Frontier::default().root() };
        let (mut before, mut under) = (empty, empty);
        let mut first = 0;
        while first < end {
            let until = first.saturating_add(CHUNK_LEAVES).min(end);
            for (index, bytes) in (first..).zip(ledger::leaves(self.connection(), first, until)?) {
                let damaged = || SettlementError::Damaged(format!("leaf {index}"));
                let leaf = Leaf::decode(&bytes).ok_or_else(damaged)?;
                let effect = draft.take(&leaf);
                if effect == Effect::None {
                    continue;
                }
                if index >= under.leaves {
                    let over = statements::checkpoint_over(self.connection(), index)?;
                    let (leaves, root) = over.ok_or_else(damaged)?;
                    before = under;
                    under = Under { leaves, root };
                }
                if effect == Effect::Revises && revised_under < under.leaves {
                    if last == Some(revision) {
                        return Ok(Read::Until(before.leaves));
                    }
                    revision = revision.saturating_add(1);
                    revised_under = under.leaves;
                }
            }
            first = until;
        }
        Ok(Read::Whole { draft, revision, under })
    }
}
