//! Reconciliation: books, instructions and the rail's statement of one day against each other.

use std::collections::{BTreeMap, BTreeSet};

use super::Pipeline;
use crate::{
    books::accounts::Account,
    error::SettlementError,
    rails::{EventAnswer, InstructionState, Statement, StatementLine},
    store::rails,
};

/// How two of the three differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BreakKind {
    /// An instruction was settled, and the statement does not have it.
    MissingOnStatement,
    /// The statement has a movement that we know nothing of.
    MissingHere,
    /// Statement and instruction have different figures.
    OtherAmount,
    /// An instruction was settled, and the books have another figure for it, or none.
    OtherInBooks,
    /// The rail told something that contradicts what it told before, or names somebody unknown.
    Contradiction,
    /// Money came in or went out by the books without any movement at the rail.
    NotOverRail,
    /// The rail did not give a block free.
    StillBlocked,
}

impl BreakKind {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MissingOnStatement => "missing_on_statement",
            Self::MissingHere => "missing_here",
            Self::OtherAmount => "other_amount",
            Self::OtherInBooks => "other_in_books",
            Self::Contradiction => "contradiction",
            Self::NotOverRail => "not_over_rail",
            Self::StillBlocked => "still_blocked",
        }
    }
}

/// A difference, with the figures in minor units: above zero what came in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Break {
    /// Which movement.
    pub reference: String,
    /// How they differ.
    pub kind: BreakKind,
    /// By the books.
    pub books: Option<i64>,
    /// By the instruction, or the event of money nobody asked for.
    pub instruction: Option<i64>,
    /// By the statement.
    pub statement: Option<i64>,
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    /// The day, counted from 1970.
    pub day: i64,
    /// Movements that all three agree on.
    pub agreed: u64,
    /// What they put in together, in minor units.
    pub agreed_minor: i64,
    /// Differences, by reference.
    pub breaks: Vec<Break>,
}

/// The three figures of one movement.
#[derive(Debug, Clone, Copy, Default)]
struct Figures {
    books: Option<i64>,
    instruction: Option<i64>,
    statement: Option<i64>,
}

impl Pipeline {
    /// Compares a day of the rail's statement with the instructions and with the books.
    ///
    /// # Errors
    /// When stored data is damaged or the database refuses.
    pub fn reconcile(&self, statement: &Statement) -> Result<Reconciliation, SettlementError> {
        let (day, outside) = (statement.day, Account::EXTERNAL.number());
        let mut movements: BTreeMap<String, Figures> = BTreeMap::new();
        for (reference, minor) in rails::booked_on(self.connection(), day, outside)? {
            movements.entry(reference).or_default().books = Some(minor);
        }
        for settled in rails::of_day(self.connection(), day)? {
            let minor = settled.kind.inflow(settled.amount.minor());
            if minor != 0 {
                movements.entry(settled.id.to_string()).or_default().instruction = Some(minor);
            }
        }
        let mut breaks = Vec::new();
        let mut contradicted = BTreeSet::new();
        for event in rails::events_of_day(self.connection(), day)? {
            let reference = event.reference.unwrap_or_default();
            match event.answer {
                EventAnswer::Taken if event.instruction.is_none() => {
                    movements.entry(reference).or_default().instruction = Some(event.amount);
                }
                EventAnswer::Contradiction | EventAnswer::UnknownMeter => {
                    contradicted.insert((reference, event.amount));
                }
                EventAnswer::Taken
                | EventAnswer::Repeated
                | EventAnswer::UnknownInstruction
                | EventAnswer::Conflict => {}
            }
        }
        for StatementLine { reference, minor, .. } in &statement.lines {
            let sum = &mut movements.entry(reference.clone()).or_default().statement;
            *sum = Some(sum.unwrap_or(0).saturating_add(*minor));
        }
        let none = Figures::default();
        breaks.extend(contradicted.into_iter().map(|(reference, minor)| {
            let figures = Figures { instruction: Some(minor), ..none };
            differ(reference, BreakKind::Contradiction, figures)
        }));
        let (mut agreed, mut agreed_minor) = (0_u64, 0_i64);
        for (reference, figures) in movements {
            match compare(figures) {
                Some(kind) => breaks.push(differ(reference, kind, figures)),
                None => {
                    agreed = agreed.saturating_add(1);
                    agreed_minor = agreed_minor.saturating_add(figures.books.unwrap_or(0));
                }
            }
        }
        breaks.extend(self.standing_breaks(outside)?);
        breaks.sort();
        Ok(Reconciliation { day, agreed, agreed_minor, breaks })
    }

    /// Differences of no particular day.
    fn standing_breaks(&self, outside: i64) -> Result<Vec<Break>, SettlementError> {
        let mut breaks = Vec::new();
        let (transfers, minor) = rails::unbooked(self.connection(), outside)?;
        if transfers > 0 {
            let figures = Figures { books: Some(minor), ..Figures::default() };
            let reference = format!("{transfers} transfers");
            breaks.push(differ(reference, BreakKind::NotOverRail, figures));
        }
        for (id, minor) in rails::releases_declined(self.connection())? {
            let figures = Figures { instruction: Some(minor), ..Figures::default() };
            breaks.push(differ(id.to_string(), BreakKind::StillBlocked, figures));
        }
        Ok(breaks)
    }

    /// A day of the exchange's account at the rail, by its own books.
    ///
    /// # Errors
    /// When stored data is damaged or the database refuses.
    pub fn rail_statement(&self, day: i64) -> Result<Statement, SettlementError> {
        let outside = Account::EXTERNAL.number();
        let opening = rails::booked_before(self.connection(), day, outside)?;
        let lines = rails::lines_of_day(self.connection(), day, outside)?;
        Ok(Statement { day, opening, lines })
    }

    /// How many instructions may still come to something.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn rail_open(&self) -> Result<u64, SettlementError> {
        let totals = self.rail_totals()?;
        let open = totals.iter().filter(|(_, state, ..)| *state <= InstructionState::Unknown);
        Ok(open.map(|(_, _, count, _)| *count).fold(0, u64::saturating_add))
    }
}

const fn compare(figures: Figures) -> Option<BreakKind> {
    match figures {
        Figures { books: None, instruction: None, .. } => Some(BreakKind::MissingHere),
        Figures { statement: None, .. } => Some(BreakKind::MissingOnStatement),
        Figures { books: Some(books), instruction: Some(asked), statement: Some(stated) } => {
            if books != asked {
                Some(BreakKind::OtherInBooks)
            } else if asked != stated {
                Some(BreakKind::OtherAmount)
            } else {
                None
            }
        }
        Figures { .. } => Some(BreakKind::OtherInBooks),
    }
}

const fn differ(reference: String, kind: BreakKind, figures: Figures) -> Break {
    let Figures { books, instruction, statement } = figures;
    Break { reference, kind, books, instruction, statement }
}
