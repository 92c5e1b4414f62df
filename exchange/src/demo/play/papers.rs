//! What is written when everything is settled: statements of the retailers, and the rail's, each checked.

use std::{error::Error, fs, path::Path};

use ed25519_dalek::VerifyingKey;
use settlement::{
    Checkpoint, MechanismTotal, Month, Standing, Summary,
    rails::{
        InstructionKind, InstructionState,
        statement::{date, day_of},
    },
    statement::{self, Total},
};
use types::{RetailerId, Timestamp};

use super::{
    super::{household, rail_desk::RailDesk, setup::RETAILERS},
    Day96, Node,
};

/// A retailer's statement of the month.
#[derive(Debug, Clone)]
pub(in super::super) struct Paper {
    /// Whose.
    pub(in super::super) retailer: u16,
    /// What it comes to.
    pub(in super::super) total: Total,
}

/// What the comparison of books, instructions and the rail's statements found, day by day.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Compared {
    /// Days with movements.
    pub(in super::super) days: u64,
    /// Movements that all three agree on.
    pub(in super::super) agreed: u64,
    /// Differences.
    pub(in super::super) breaks: u64,
}

/// What settlement came to, and what was written about it.
#[derive(Debug)]
pub(in super::super) struct Settled {
    /// Counts and balances.
    pub(in super::super) summary: Summary,
    /// Contracts of each mechanism.
    pub(in super::super) mechanisms: Vec<MechanismTotal>,
    /// Who owed for how long.
    pub(in super::super) standings: Vec<Standing>,
    /// Instructions by kind and state, and their amounts.
    pub(in super::super) instructions: Vec<(InstructionKind, InstructionState, u64, i64)>,
    /// Books, instructions and the rail's statements.
    pub(in super::super) compared: Compared,
    /// Statements of the retailers.
    pub(in super::super) papers: Vec<Paper>,
    /// Signed head of the ledger.
    pub(in super::super) checkpoint: Checkpoint,
}

impl Day96<'_> {
    /// Signs the ledger and writes what follows from it; everything since an instant is compared with the rail.
    pub(super) async fn settled(
        &self,
        root: &Path,
        began: Timestamp,
    ) -> Result<Settled, Box<dyn Error>> {
        let settlement = &self.node.settlement;
        let summary = settlement.summary().await?;
        let checkpoint = settlement.checkpoint().await?;
        let key = self.cast.ledger_key().verifying_key();
        let papers = statements(root, self.node, RETAILERS, key).await?;
        let compared = reconcile(root, self.node, &self.rail, (began, self.clock.now())).await?;
        let (mechanisms, standings, instructions) = settlement
            .rail(|all, _| Ok((all.by_mechanism()?, all.standings()?, all.rail_totals()?)))
            .await?;
        Ok(Settled { summary, mechanisms, standings, instructions, compared, papers, checkpoint })
    }
}

/// Month of the data.
pub(in super::super) fn month() -> &'static str {
    household::DATE.get(..7).unwrap_or(household::DATE)
}

/// Makes, seals, checks and writes the statements of all retailers.
async fn statements(
    root: &Path,
    node: &Node,
    retailers: u16,
    key: VerifyingKey,
) -> Result<Vec<Paper>, Box<dyn Error>> {
    let dir = root.join("statements");
    fs::create_dir_all(&dir)?;
    let month = Month::new(month(), 0).ok_or("the date has no month")?;
    let mut papers = Vec::new();
    for retailer in 1..=retailers {
        let of = month.clone();
        let text = node
            .settlement
            .rail(move |all, _| {
                let made = all.statement(RetailerId::new(retailer), &of, None)?;
                Ok(made.map(|made| all.seal_statement(&made)))
            })
            .await?;
        let text = text.ok_or("there is no statement")?;
        let checked = statement::verify(&text, &key)?;
        fs::write(dir.join(format!("retailer-{retailer}.jsonl")), text)?;
        papers.push(Paper { retailer, total: checked.sums().total });
    }
    Ok(papers)
}

/// Compares every day of the rail's account from one instant to another with instructions and books, and writes
/// the days that have movements.
async fn reconcile(
    root: &Path,
    node: &Node,
    rail: &RailDesk,
    (from, to): (Timestamp, Timestamp),
) -> Result<Compared, Box<dyn Error>> {
    let dir = root.join("rail");
    fs::create_dir_all(&dir)?;
    let mut compared = Compared::default();
    for day in day_of(from)..=day_of(to) {
        let stated = rail.statement_of(day);
        if !stated.lines.is_empty() {
            compared.days = compared.days.saturating_add(1);
            fs::write(dir.join(format!("{}.csv", date(day))), stated.to_csv(rail.currency))?;
        }
        let found = node.settlement.rail(move |all, _| all.reconcile(&stated)).await?;
        compared.agreed = compared.agreed.saturating_add(found.agreed);
        let breaks = u64::try_from(found.breaks.len()).unwrap_or(u64::MAX);
        compared.breaks = compared.breaks.saturating_add(breaks);
    }
    Ok(compared)
}
