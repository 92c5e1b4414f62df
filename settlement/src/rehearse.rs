//! Rehearsal: a written case runs through the real pipeline, in memory and on a virtual clock.
//!
//! `docs/settlement.md` describes the format. Back offices rehearse a policy with it; the cases in
//! `settlement/cases/` are tests.

mod cast;
mod registers;
mod report;
mod script;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use types::{Energy, MeterId, Money, Side, Timestamp, TradeId};

pub use report::{ContractReport, Outcome, Refusal};

use crate::{
    capture,
    error::SettlementError,
    metering::{
        Curtailment, CurtailmentReason, DocumentReject, Interval, MeterFile, Quality, Reading, seal,
    },
    pipeline::{Amendment, Answer, BlockOutcome, BlockRequest, DepositOutcome, Pipeline},
    policy::{Mechanism, PolicyError},
};
use cast::Cast;
use registers::Registers;
use script::{AnswerText, Case, EventText, PartyText, ReadingText};

/// Most repetitions of one event.
pub const REPEATS_MAX: u32 = 10_000;

/// Why a case cannot be rehearsed.
#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    /// Not a case.
    #[error("the case cannot be read: {0}")]
    Unreadable(String),
    /// A value that cannot be.
    #[error("`{field}` is not possible: {why}")]
    Bad {
        /// Which field.
        field: String,
        /// Why.
        why: String,
    },
    /// The pipeline failed.
    #[error("the pipeline failed")]
    Pipeline(#[from] SettlementError),
}

impl RehearseError {
    /// The code in machine-readable output.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Bad { .. } => "bad_value",
            Self::Pipeline(_) => "pipeline_failed",
        }
    }
}

impl From<PolicyError> for RehearseError {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::Unreadable(why) => Self::Unreadable(why),
            PolicyError::Bad { field, why } => Self::Bad { field: format!("policy.{field}"), why },
        }
    }
}

/// Runs one case, given as JSON text.
///
/// # Errors
/// When it is no case, names something impossible, or the pipeline fails.
pub fn rehearse(case: &str) -> Result<Outcome, RehearseError> {
    let value: Value =
        serde_json::from_str(case).map_err(|error| RehearseError::Unreadable(error.to_string()))?;
    rehearse_value(value)
}

/// Runs one case, given as a JSON value.
///
/// # Errors
/// As [`rehearse`].
pub fn rehearse_value(case: Value) -> Result<Outcome, RehearseError> {
    let case: Case = serde_path_to_error::deserialize(case).map_err(|error| {
        let field = error.path().to_string();
        match field.as_str() {
            "." => RehearseError::Unreadable(error.into_inner().to_string()),
            _ => RehearseError::Bad { why: error.into_inner().to_string(), field },
        }
    })?;
    run(case)
}

/// Something to do, decided once, so that it can be done again byte for byte.
#[derive(Debug, Clone)]
enum Action {
    Deposit { reference: u64, meter: MeterId, amount: Money },
    Read { meter: MeterId, reading: ReadingText },
    Curtail { documents: Vec<Vec<u8>> },
    Verify,
    Block(BlockRequest),
    Amend { reference: u64, request: Amendment, now: Timestamp },
    Pay { reference: u64, contract: TradeId, amount: Money },
    Recover { reference: u64, party: MeterId, amount: Money },
}

fn run(case: Case) -> Result<Outcome, RehearseError> {
    let cast = Cast::new(&case)?;
    let mut stage = Stage {
        pipeline: cast.pipeline()?,
        cast: &cast,
        case: &case,
        refusals: Vec::new(),
        day: BEFORE_DELIVERY,
        references: 0,
        depositors: BTreeSet::new(),
        registers: BTreeMap::new(),
        files: 0,
    };
    let mut last = None;
    for (event, number) in case.events.iter().zip(0_usize..) {
        stage.turn(event, &mut last).map_err(|error| match error {
            RehearseError::Bad { field, why } => {
                RehearseError::Bad { field: format!("events[{number}].{field}"), why }
            }
            other @ (RehearseError::Unreadable(_) | RehearseError::Pipeline(_)) => other,
        })?;
    }
    report::report(&case.name, &cast, &stage.pipeline, stage.refusals)
}

/// A case begins the day before delivery.
const BEFORE_DELIVERY: i64 = -1;

/// Furthest day of a case, either side of delivery: 27 years.
const DAYS_MAX: i64 = 10_000;

struct Stage<'a> {
    pipeline: Pipeline,
    cast: &'a Cast,
    case: &'a Case,
    refusals: Vec<Refusal>,
    day: i64,
    references: u64,
    depositors: BTreeSet<MeterId>,
    registers: BTreeMap<MeterId, Registers>,
    /// Files made so far. Both registers share a file's revision, so it rises with either.
    files: u32,
}

/// What became of a document.
type Answered = Result<(), DocumentReject>;

impl Stage<'_> {
    fn turn(
        &mut self,
        event: &EventText,
        last: &mut Option<Vec<Action>>,
    ) -> Result<(), RehearseError> {
        match event {
            EventText::RepeatLast { times } => {
                if *times > REPEATS_MAX {
                    let why = format!("at most {REPEATS_MAX}");
                    return Err(RehearseError::Bad { field: "times".to_owned(), why });
                }
                for action in (0..*times).flat_map(|_| last.clone().unwrap_or_default()) {
                    self.act(&action)?;
                }
            }
            EventText::Day { to } => {
                self.day = day("to", *to)?;
                self.ask_for_blocks()?;
            }
            EventText::Deposit { .. }
            | EventText::Reading(_)
            | EventText::Curtailment { .. }
            | EventText::Verify
            | EventText::Hold { .. }
            | EventText::Modification { .. }
            | EventText::Payment { .. }
            | EventText::Recovery { .. } => {
                let actions = self.decide(event)?;
                for action in &actions {
                    self.act(action)?;
                }
                *last = Some(actions);
            }
        }
        self.pipeline.enforce(self.now())?;
        Ok(())
    }

    fn decide(&mut self, event: &EventText) -> Result<Vec<Action>, RehearseError> {
        match event {
            EventText::Deposit { account, minor } => {
                let amount = Money::from_minor(*minor);
                let meter = self.cast.meter(account)?;
                self.depositors.insert(meter);
                Ok(vec![Action::Deposit { reference: self.reference(), meter, amount }])
            }
            EventText::Reading(reading) => {
                self.delivered()?;
                let meter = self.cast.meter(&reading.meter)?;
                Ok(vec![Action::Read { meter, reading: reading.clone() }])
            }
            EventText::Curtailment { meter, cap_wh, revision } => {
                self.curtailments(meter, *cap_wh, *revision)
            }
            EventText::Verify => {
                self.delivered()?;
                Ok(vec![Action::Verify])
            }
            EventText::RepeatLast { .. } | EventText::Day { .. } => Ok(Vec::new()),
            EventText::Hold { contract, minor, day: asked } => {
                let contract = self.cast.contract(contract)?;
                let asked = self.at(day("day", *asked)?);
                Ok(vec![Action::Block(self.block(contract, *minor, asked))])
            }
            EventText::Modification { contract, by, version, energy_wh, answer } => {
                let request = Amendment {
                    contract: self.cast.contract(contract)?,
                    by: match by {
                        PartyText::Buyer => Side::Buy,
                        PartyText::Seller => Side::Sell,
                    },
                    version: *version,
                    energy: Energy::from_wh(*energy_wh),
                    answer: match answer {
                        AnswerText::Accept => Answer::Accept,
                        AnswerText::Reject => Answer::Reject,
                    },
                };
                let (reference, now) = (self.reference(), self.now());
                Ok(vec![Action::Amend { reference, request, now }])
            }
            EventText::Payment { contract, minor } => {
                let (contract, amount) = (self.cast.contract(contract)?, Money::from_minor(*minor));
                Ok(vec![Action::Pay { reference: self.reference(), contract, amount }])
            }
            EventText::Recovery { party, minor } => {
                let (party, amount) = (self.cast.meter(party)?, Money::from_minor(*minor));
                Ok(vec![Action::Recover { reference: self.reference(), party, amount }])
            }
        }
    }

    /// Each event has a reference of its own; only its redelivery has the same.
    fn reference(&mut self) -> u64 {
        self.references = self.references.saturating_add(1);
        self.references
    }

    /// Readings come, and are verified, after delivery.
    fn delivered(&mut self) -> Result<(), RehearseError> {
        self.day = self.day.max(0);
        self.ask_for_blocks()
    }

    /// At a payment rail, what the case does not say of holds is asked of the payers' deposits,
    /// when delivery comes near.
    fn ask_for_blocks(&mut self) -> Result<(), RehearseError> {
        let Some(rule) = self.cast.policy().block else { return Ok(()) };
        let lead = i64::from(rule.lead_days.unwrap_or(0));
        if self.cast.policy().mechanism != Mechanism::Block || self.day < -lead {
            return Ok(());
        }
        let mut told: Vec<&str> = Vec::new();
        for event in &self.case.events {
            if let EventText::Hold { contract, .. } = event {
                told.push(contract);
            }
        }
        let names = self.cast.contract_names();
        for (_, id) in names.iter().filter(|(name, _)| !told.contains(&name.as_str())) {
            let Some(trade) = self.cast.trades().find(|trade| trade.trade == *id) else { continue };
            let payer = if trade.price.micros() < 0 { trade.sell.meter } else { trade.buy.meter };
            let value = capture::value(trade.price, trade.quantity, self.cast.policy());
            if self.depositors.contains(&payer) && value.is_some_and(|value| value > 0) {
                let request = self.block(*id, value.unwrap_or(0), self.at(-lead));
                self.pipeline.block(&request)?;
            }
        }
        Ok(())
    }

    /// A rail knows of a payer's money what was deposited, if anything was.
    fn block(&self, contract: TradeId, minor: i64, asked: Timestamp) -> BlockRequest {
        let payer = self.cast.meters_of(contract).map(|(buyer, seller)| {
            if self.cast.price_of(contract).micros() < 0 { seller } else { buyer }
        });
        let from_deposits = payer.is_some_and(|payer| self.depositors.contains(&payer));
        BlockRequest { contract, amount: Money::from_minor(minor), from_deposits, asked }
    }

    /// What is not validly signed, or cannot be a revision, is the pipeline's to refuse.
    fn read(&mut self, meter: MeterId, event: &ReadingText) -> Result<(), RehearseError> {
        let answer = if event.is_proper() {
            self.read_valid(meter, event)?
        } else {
            let mut alone = Registers::default();
            alone.take(event.direction, 1, event.wh).ok();
            self.file(meter, event, (event.revision, &alone))?
        };
        if let Err(reason) = answer {
            self.refuse("reading", reason.name());
        }
        Ok(())
    }

    /// Each register has revisions of its own. What is new makes a file with what both show by now.
    fn read_valid(
        &mut self,
        meter: MeterId,
        event: &ReadingText,
    ) -> Result<Answered, RehearseError> {
        let mut registers = self.registers.get(&meter).cloned().unwrap_or_default();
        let answer = match registers.take(event.direction, event.revision, event.wh) {
            Ok(false) => return Ok(Ok(())),
            Ok(true) => {
                self.files = self.files.saturating_add(1);
                self.file(meter, event, (self.files, &registers))?
            }
            Err(reason) => {
                self.registers.insert(meter, registers);
                return Ok(Err(reason));
            }
        };
        if answer.is_ok() {
            self.registers.insert(meter, registers);
        }
        Ok(answer)
    }

    /// Sends one signed file per slot of the meter in which the register of the event counts.
    fn file(
        &mut self,
        meter: MeterId,
        event: &ReadingText,
        (revision, registers): (u32, &Registers),
    ) -> Result<Answered, RehearseError> {
        let mut answer = Ok(());
        for key in self.cast.slots_of(meter) {
            if event.is_proper() && !self.cast.counts(meter, key, event.direction) {
                continue;
            }
            let reading =
                Reading { meter, metered: registers.metered(), quality: Quality::Measured };
            let file = MeterFile {
                market: key.market,
                revision,
                minutes: key.slot.minutes(),
                intervals: vec![Interval { start: key.slot.start(), readings: vec![reading] }],
            };
            let document = self.cast.sign_reading(meter, event.signature, &file.to_body());
            answer = answer.and(self.pipeline.ingest(self.now(), &document)?.result);
        }
        Ok(answer)
    }

    fn curtailments(
        &self,
        meter: &str,
        cap_wh: u64,
        revision: u32,
    ) -> Result<Vec<Action>, RehearseError> {
        let meter = self.cast.meter(meter)?;
        let sealed = |slot| {
            let cap = Energy::from_wh(cap_wh);
            let reason = CurtailmentReason::Outage;
            let body = Curtailment { meter, slot, cap, reason, revision }.to_body();
            let (utility, key) = self.cast.utility(meter);
            seal(utility, &key, &body)
        };
        let documents = self.cast.slots_of(meter).into_iter().map(|key| sealed(key.slot)).collect();
        Ok(vec![Action::Curtail { documents }])
    }

    fn act(&mut self, action: &Action) -> Result<(), RehearseError> {
        match action {
            Action::Deposit { reference, meter, amount } => {
                let outcome = self.pipeline.deposit(*reference, *meter, *amount)?;
                if !matches!(outcome, DepositOutcome::Credited | DepositOutcome::Exists) {
                    self.refuse("deposit", outcome.name());
                }
            }
            Action::Read { meter, reading } => self.read(*meter, reading)?,
            Action::Curtail { documents } => {
                let mut answer = Ok(());
                for document in documents {
                    answer = answer.and(self.pipeline.ingest(self.now(), document)?.result);
                }
                if let Err(reason) = answer {
                    self.refuse("curtailment", reason.name());
                }
            }
            Action::Verify => {
                self.pipeline.verify(self.now())?;
            }
            Action::Block(request) => {
                let outcome = self.pipeline.block(request)?;
                if matches!(outcome, BlockOutcome::NotBlocking | BlockOutcome::TooLate) {
                    self.refuse("hold", outcome.name());
                }
            }
            Action::Amend { reference, request, now } => {
                let outcome = self.pipeline.amend(*reference, request, *now)?;
                if !outcome.is_answered() {
                    self.refuse("modification", outcome.name());
                }
            }
            Action::Pay { reference, contract, amount } => {
                let outcome = self.pipeline.pay(*reference, *contract, *amount)?;
                if !outcome.is_taken() {
                    self.refuse("payment", outcome.name());
                }
            }
            Action::Recover { reference, party, amount } => {
                let outcome = self.pipeline.recover(*reference, *party, *amount)?;
                if !outcome.is_taken() {
                    self.refuse("recovery", outcome.name());
                }
            }
        }
        Ok(())
    }

    fn refuse(&mut self, event: &'static str, reason: &'static str) {
        self.refusals.push(Refusal { event, reason });
    }

    fn now(&self) -> Timestamp {
        self.at(self.day)
    }

    /// The end of delivery, and days after.
    fn at(&self, day: i64) -> Timestamp {
        const DAY_NS: i64 = 86_400_000_000_000;
        self.cast.delivery_end().plus_ns(day.saturating_mul(DAY_NS))
    }
}

/// A day within the range of cases.
fn day(field: &str, day: i64) -> Result<i64, RehearseError> {
    if day.saturating_abs() <= DAYS_MAX {
        return Ok(day);
    }
    let why = format!("got {day}, expected at most {DAYS_MAX} days before or after delivery");
    Err(RehearseError::Bad { field: field.to_owned(), why })
}

/// The contract numbers of a case by name.
type Names = Vec<(String, TradeId)>;
