//! Notices as those outside the pipeline read them: the rows of the outbox, with what they are about.
//!
//! Nothing is decided here about who may be told what.

use types::{Energy, Operated, Party, Side, TradeId};

use super::{
    database::Connection,
    disconnections, ledger,
    outbox::{self, About, LimitRow, NoticeRow},
    queries::{self, ContractRow, Queries},
};
use crate::{
    error::SettlementError,
    pipeline::{NoticeKind, grid::kind_of},
    tlog::{
        facts::{DocumentRecord, Leaf},
        leaf::{AmendmentRecord, DefaultRecord, OutcomeRecord},
    },
};

/// A notice: something happened that somebody is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxNotice {
    /// Its number, from 1; numbers rise.
    pub number: u64,
    /// Where it is in the ledger, if it is a leaf.
    pub leaf: Option<u64>,
    /// What happened.
    pub news: News,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// To a contract, as it stands now.
    Contract(Box<ContractRow>, ContractNews),
    /// To a limit of a utility.
    Limit(LimitRow),
    /// A document was taken, or kept as evidence.
    Document(DocumentRecord),
    /// An operator ordered something.
    Operation(Box<Operated>),
}

/// What happened to a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContractNews {
    /// It was made.
    Made,
    /// Its sides agreed on it or on a change, or a curtailment leaves it less: its side, and the energy.
    Told(NoticeKind, Side, Energy),
    /// A change of it was settled.
    Changed(AmendmentRecord),
    /// It has an outcome: the first, or a correction.
    Outcome(Box<OutcomeRecord>),
    /// Somebody did not pay under it: a step of enforcement.
    Default(DefaultRecord),
    /// A disconnection began or ended for what is owed under it, and why, where a retailer decided so.
    Disconnection(DefaultRecord, Option<String>),
}

/// Notices in the order of their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoticePage {
    /// All that anybody is told.
    pub notices: Vec<OutboxNotice>,
    /// All numbers up to here were looked at.
    pub through: u64,
}

impl Queries {
    /// Notices of the `most` numbers after one. Leaves that only move money have numbers, and no notice:
    /// what they say of a contract is in its outcome.
    ///
    /// # Errors
    /// When the database refuses or a row cannot be.
    pub fn notices(&self, after: u64, most: u32) -> Result<NoticePage, SettlementError> {
        page_after(self.connection(), after, most)
    }

    /// The number of the newest notice; 0 while there is none.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn newest_notice(&self) -> Result<u64, SettlementError> {
        outbox::newest(self.connection())
    }

    /// The notice through which a party's webhook has acknowledged all; nothing of one that is new.
    ///
    /// # Errors
    /// When the database refuses or what is stored is no number.
    pub fn acknowledged(&self, party: Party) -> Result<Option<u64>, SettlementError> {
        outbox::acknowledged(self.connection(), party)
    }
}

/// [`Queries::notices`] over a connection.
///
/// # Errors
/// As there.
pub(crate) fn page_after(
    connection: &Connection,
    after: u64,
    most: u32,
) -> Result<NoticePage, SettlementError> {
    let end = after.saturating_add(most.into());
    let mut page = NoticePage { notices: Vec::new(), through: after };
    for row in outbox::rows_after(connection, after, most)? {
        if page.through >= end {
            break;
        }
        read_row(connection, &row, end, &mut page)?;
    }
    Ok(page)
}

/// Adds the notices of a row to a page that goes up to `end`.
fn read_row(
    connection: &Connection,
    row: &NoticeRow,
    end: u64,
    page: &mut NoticePage,
) -> Result<(), SettlementError> {
    let one = |news| OutboxNotice { number: row.last, leaf: None, news };
    match row.about {
        About::Limit(document) => {
            let limit = outbox::limit_of(connection, document)?;
            page.notices.push(one(News::Limit(limit)));
        }
        About::Contract { trade, side, energy, document } => {
            let contract = contract(connection, TradeId::new(trade))?;
            let told = ContractNews::Told(kind_of(document)?, side, energy);
            page.notices.push(one(News::Contract(contract, told)));
        }
        About::Leaves { first, count } => {
            let damaged = || SettlementError::Damaged(format!("the notices up to {}", row.last));
            let before = row.last.checked_sub(count).ok_or_else(damaged)?;
            let from = page.through.max(before);
            let to = row.last.min(end);
            let index = |number: u64| first.saturating_add(number.saturating_sub(before));
            let leaves = ledger::leaves(connection, index(from), index(to))?;
            for ((number, leaf), bytes) in (from.saturating_add(1)..).zip(index(from)..).zip(leaves)
            {
                let news = news_of(connection, leaf, &bytes)?;
                let notice = |news| OutboxNotice { number, leaf: Some(leaf), news };
                page.notices.extend(news.map(notice));
            }
            page.through = to;
            return Ok(());
        }
    }
    page.through = row.last;
    Ok(())
}

/// What a leaf tells, if it tells anybody anything.
fn news_of(
    connection: &Connection,
    index: u64,
    bytes: &[u8],
) -> Result<Option<News>, SettlementError> {
    let damaged = || SettlementError::Damaged(format!("leaf {index}"));
    let (trade, news) = match Leaf::decode(bytes).ok_or_else(damaged)? {
        // The operation before tells of a market.
        Leaf::Transfers(_) | Leaf::Market(_) => return Ok(None),
        Leaf::Document(record) => return Ok(Some(News::Document(record))),
        Leaf::Operation(operated) => return Ok(Some(News::Operation(operated))),
        Leaf::Contract(contract) => (contract.id, ContractNews::Made),
        Leaf::Outcome(record) => (record.contract, ContractNews::Outcome(record)),
        Leaf::Amendment(record) => (record.contract, ContractNews::Changed(record)),
        Leaf::Default(record) => (record.contract, step_of(connection, record)?),
    };
    Ok(Some(News::Contract(contract(connection, trade)?, news)))
}

fn step_of(
    connection: &Connection,
    record: DefaultRecord,
) -> Result<ContractNews, SettlementError> {
    let Some(step) = record.step else { return Ok(ContractNews::Default(record)) };
    let decided = match step.document() {
        Some(document) => disconnections::of_document(connection, document)?,
        None => None,
    };
    Ok(ContractNews::Disconnection(record, decided.map(|decided| decided.said.reason)))
}

fn contract(connection: &Connection, trade: TradeId) -> Result<Box<ContractRow>, SettlementError> {
    let row = queries::contract(connection, trade)?;
    row.map(Box::new).ok_or_else(|| SettlementError::Damaged(format!("the notice of {trade}")))
}
