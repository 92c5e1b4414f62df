//! The payment rail of the demo, in the same process: what the exchange asks of it, what it tells, and when. It
//! sees its clock only when somebody has a turn, so the seed decides everything it does.

use std::error::Error;

use settlement::{
    Errand, Pace, Task,
    books::accounts::Owner,
    rails::{
        Answer, Event, InstructionKind, PaymentRail as _, Sealed, Signer, Statement,
        simulated::{Chances, SimulatedDesk, SimulatedRail},
    },
};
use types::{Currency, MeterId, Money, Timestamp, TradeId};

use super::policy;
use crate::settlement_worker::Settlement;

/// Instructions handed out in one transaction.
const ERRANDS_MAX: u32 = 1_024;

/// Who cannot pay, and under which contract that was first seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaulter {
    /// Who.
    pub meter: MeterId,
    /// The contract whose bill it was sent.
    pub contract: TradeId,
}

/// What the rail's customers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purses {
    /// What they had before.
    AsTheyAre,
    /// Who gets the largest of the bills that are sent turns out to have nothing; the first time only.
    OneIsEmpty,
}

/// What passed between exchange and rail.
#[derive(Debug, Clone, Copy, Default)]
pub struct RailCounts {
    /// Instructions sent.
    pub sent: u64,
    /// Of these, those that it did not answer at first.
    pub silent: u64,
    /// Events that it told, each as often as it did.
    pub told: u64,
}

/// The rail with its customers.
#[derive(Debug)]
pub struct RailDesk {
    rail: SimulatedDesk,
    pace: Pace,
    /// Of every amount.
    pub currency: Currency,
    references: u64,
    /// What passed.
    pub counts: RailCounts,
    /// Whose account is empty, or was.
    pub defaulter: Option<Defaulter>,
}

/// What a rail said cannot be used: a mistake of the demo.
#[derive(Debug, thiserror::Error)]
#[error("an event of the rail is not what it sealed")]
pub struct BadEvent;

impl RailDesk {
    /// A rail that nobody has used.
    #[must_use]
    pub fn new(seed: u64, secret: &str, currency: Currency, pace: Pace) -> Self {
        let chances = Chances { seed, ..policy::CHANCES };
        let rail = SimulatedRail::new(chances, currency, policy::HOLD_DAYS);
        let rail = SimulatedDesk::new(rail, Signer::Hmac(secret.as_bytes().to_vec()));
        let counts = RailCounts::default();
        Self { rail, pace, currency, references: 0, counts, defaulter: None }
    }

    /// Somebody pays in.
    pub fn deposit(&mut self, now: Timestamp, meter: MeterId, amount: Money) {
        self.rail.set_clock(now);
        self.references = self.references.saturating_add(1);
        self.rail.deposit(self.references, meter, amount);
    }

    /// Who owed has paid, and has money in its account again.
    pub fn recover(&mut self, now: Timestamp, meter: MeterId, amount: Money) {
        self.rail.set_clock(now);
        self.references = self.references.saturating_add(1);
        self.rail.set_empty(&Owner::Meter(meter).to_string(), false);
        self.rail.recover(self.references, meter, amount);
    }

    /// What went in and out on a day, by the rail.
    #[must_use]
    pub fn statement_of(&self, day: i64) -> Statement {
        self.rail.statement_of(day)
    }

    /// Sends what is due, asks about what was not answered, and tells what has happened by now, until nothing is
    /// left to do.
    ///
    /// # Errors
    /// When settlement has stopped.
    pub async fn turn(
        &mut self,
        settlement: &Settlement,
        now: Timestamp,
        purses: Purses,
    ) -> Result<(), Box<dyn Error>> {
        let pace = self.pace;
        self.rail.set_clock(now);
        loop {
            let errands =
                settlement.rail(move |all, _| all.rail_errands(now, ERRANDS_MAX, pace)).await?;
            if purses == Purses::OneIsEmpty && self.defaulter.is_none() {
                self.defaulter = largest_bill(&errands);
                if let Some(Defaulter { meter, .. }) = self.defaulter {
                    self.rail.set_empty(&Owner::Meter(meter).to_string(), true);
                }
            }
            let (mut answers, mut heard) = (Vec::new(), Vec::new());
            for errand in errands {
                let answer = match errand.task {
                    Task::Submit => {
                        self.counts.sent = self.counts.sent.saturating_add(1);
                        self.rail.answer(&errand.submission).unwrap_or_else(|| {
                            self.counts.silent = self.counts.silent.saturating_add(1);
                            Answer::Unknown
                        })
                    }
                    Task::Query => {
                        let (answer, events) = self.rail.query(errand.id).await;
                        heard.extend(events);
                        answer
                    }
                };
                answers.push((errand.id, answer));
            }
            let is_idle = answers.is_empty();
            if !is_idle {
                settlement.rail(move |all, _| all.rail_answers(&answers, now, pace)).await?;
            }
            heard.extend(self.rail.take_due());
            if is_idle && heard.is_empty() {
                return Ok(());
            }
            self.tell(settlement, now, &heard).await?;
        }
    }

    async fn tell(
        &mut self,
        settlement: &Settlement,
        now: Timestamp,
        heard: &[Sealed],
    ) -> Result<(), Box<dyn Error>> {
        let told = u64::try_from(heard.len()).unwrap_or(u64::MAX);
        self.counts.told = self.counts.told.saturating_add(told);
        let mut events = Vec::with_capacity(heard.len());
        for sealed in heard {
            self.rail.verify(sealed).map_err(|_| BadEvent)?;
            let event = Event::read(&sealed.body, self.currency).map_err(|_| BadEvent)?;
            events.push((event, sealed.body.clone()));
        }
        if !events.is_empty() {
            settlement.rail(move |all, _| all.rail_events(&events, now)).await?;
        }
        Ok(())
    }
}

/// Who gets the largest of the bills that are sent now; of equal ones the first.
fn largest_bill(errands: &[Errand]) -> Option<Defaulter> {
    let bills = errands
        .iter()
        .filter(|errand| errand.task == Task::Submit && errand.kind == InstructionKind::Bill);
    let largest = bills.rev().max_by_key(|errand| errand.submission.amount)?;
    let meter = largest.submission.party.strip_prefix("meter/")?.parse().ok()?;
    let contract = largest.submission.contract?;
    Some(Defaulter { meter: MeterId::new(meter), contract: TradeId::new(contract) })
}
