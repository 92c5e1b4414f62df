//! Pages of the outbox that everybody who follows it shares: each is read once while it is new.

use std::{collections::BTreeMap, sync::Arc};

use settlement::{
    SettlementError,
    store::{
        notices::{NoticePage, OutboxNotice},
        queries::Queries,
    },
};

/// Numbers of a page: 256 × 40 µs is the longest that one reader holds up others.
pub const PAGE: u32 = 256;
/// Pages that are kept: 64 × 256 notices × 1 KiB = 16 MiB.
const PAGES_MAX: usize = 64;

/// The newest pages that were read.
#[derive(Debug, Default)]
pub struct Pages {
    kept: BTreeMap<u64, Arc<NoticePage>>,
}

/// Notices after a number, and how far was looked.
#[derive(Debug, Clone)]
pub struct Found {
    page: Arc<NoticePage>,
    after: u64,
}

impl Found {
    /// What was found.
    pub fn notices(&self) -> impl Iterator<Item = &OutboxNotice> {
        let after = self.after;
        self.page.notices.iter().filter(move |notice| notice.number > after)
    }

    /// All numbers up to here were looked at.
    #[must_use]
    pub fn through(&self) -> u64 {
        self.page.through.max(self.after)
    }

    /// Whether nothing has this or a later number so far.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.page.through <= self.after
    }
}

impl Pages {
    /// Notices after a number, up to the end of its page.
    ///
    /// # Errors
    /// When the database refuses or a row cannot be.
    pub fn after(&mut self, queries: &Queries, after: u64) -> Result<Found, SettlementError> {
        let size = u64::from(PAGE);
        let begin = after.div_euclid(size).saturating_mul(size);
        let end = begin.saturating_add(size);
        let known = self.kept.get(&begin).filter(|page| page.through >= end);
        let page = match known {
            Some(page) => Arc::clone(page),
            None => self.read(queries, begin)?,
        };
        Ok(Found { page, after })
    }

    /// A page that is not full may have grown: what is new of it is read, and what is known stays.
    fn read(&mut self, queries: &Queries, begin: u64) -> Result<Arc<NoticePage>, SettlementError> {
        let known = self.kept.get(&begin).cloned();
        let through = known.as_ref().map_or(begin, |page| page.through);
        let rest = begin.saturating_add(PAGE.into()).saturating_sub(through);
        let more = queries.notices(through, u32::try_from(rest).unwrap_or(PAGE))?;
        let page = match known {
            Some(page) if more.through == page.through => return Ok(page),
            Some(page) => {
                let mut notices = page.notices.clone();
                notices.extend(more.notices);
                Arc::new(NoticePage { notices, through: more.through })
            }
            None => Arc::new(more),
        };
        self.kept.insert(begin, Arc::clone(&page));
        if self.kept.len() > PAGES_MAX {
            // Whoever reads old pages reads them in order; those who follow are at the newest.
            let oldest = self.kept.keys().copied().find(|&kept| kept != begin);
            oldest.and_then(|oldest| self.kept.remove(&oldest));
        }
        Ok(page)
    }
}
