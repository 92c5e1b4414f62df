//! Rehearsal: a written case runs through the real pipeline, in memory and on a virtual clock.
//!
//! `docs/settlement.md` describes the format. Back offices rehearse a policy with it; the cases in
//! `settlement/cases/` are tests. What the pipeline cannot do yet is refused by name.

mod cast;
mod report;
mod script;

use serde_json::Value;
use types::{Energy, MeterId, Money, Timestamp, TradeId};

pub use report::{ContractReport, Outcome, Refusal};

use crate::{
    allocation::Metered,
    error::SettlementError,
    metering::{Curtailment, CurtailmentReason, Interval, MeterFile, Reading, seal},
    pipeline::{DepositOutcome, Pipeline},
    policy::PolicyError,
};
use cast::Cast;
use script::{Case, EventText};

/// Most repetitions of one event.
pub const REPEATS_MAX: u32 = 10_000;

/// Why a case cannot be rehearsed.
#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    /// Not a case.
    #[error("the case cannot be read: {0}")]
    Unreadable(String),
    /// Something is possible, but not here yet.
    #[error("not supported: {field}")]
    NotSupported {
        /// Which field and value.
        field: String,
    },
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
            Self::NotSupported { .. } => "not_supported",
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
            PolicyError::NotSupported { field } => {
                Self::NotSupported { field: format!("policy.{field}") }
            }
        }
    }
}

/// Runs one case, given as JSON text.
///
/// # Errors
/// When it is no case, needs what is not supported, or the pipeline fails.
pub fn rehearse(case: &str) -> Result<Outcome, RehearseError> {
    let read = |error: serde_json::Error| RehearseError::Unreadable(error.to_string());
    run(serde_json::from_str(case).map_err(read)?)
}

/// Runs one case, given as a JSON value.
///
/// # Errors
/// As [`rehearse`].
pub fn rehearse_value(case: Value) -> Result<Outcome, RehearseError> {
    let read = |error: serde_json::Error| RehearseError::Unreadable(error.to_string());
    run(serde_json::from_value(case).map_err(read)?)
}

/// Something to do, decided once, so that it can be done again byte for byte.
#[derive(Debug, Clone)]
enum Action {
    Deposit { reference: u64, meter: MeterId, amount: Money },
    Document { event: &'static str, bytes: Vec<u8> },
    Verify,
}

fn run(case: Case) -> Result<Outcome, RehearseError> {
    let cast = Cast::new(&case)?;
    let mut stage = Stage {
        pipeline: cast.pipeline()?,
        cast: &cast,
        case: &case,
        refusals: Vec::new(),
        day: 0,
        deposits: 0,
    };
    let mut last = None;
    for event in &case.events {
        stage.turn(event, &mut last)?;
    }
    report::report(&case.name, &cast, &stage.pipeline, stage.refusals)
}

struct Stage<'a> {
    pipeline: Pipeline,
    cast: &'a Cast,
    case: &'a Case,
    refusals: Vec<Refusal>,
    day: i64,
    deposits: u64,
}

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
                    return Err(RehearseError::Bad { field: "repeat_last.times".to_owned(), why });
                }
                for action in (0..*times).flat_map(|_| last.clone().unwrap_or_default()) {
                    self.act(&action)?;
                }
                Ok(())
            }
            EventText::Day { to } => {
                self.day = *to;
                Ok(())
            }
            EventText::Deposit { .. }
            | EventText::Reading(_)
            | EventText::Curtailment { .. }
            | EventText::Verify
            | EventText::Hold(_)
            | EventText::Modification(_)
            | EventText::Payment(_)
            | EventText::Recovery(_) => {
                let actions = self.decide(event)?;
                for action in &actions {
                    self.act(action)?;
                }
                *last = Some(actions);
                Ok(())
            }
        }
    }

    fn decide(&mut self, event: &EventText) -> Result<Vec<Action>, RehearseError> {
        let not_supported =
            |name: &str| Err(RehearseError::NotSupported { field: format!("events.type: {name}") });
        match event {
            EventText::Deposit { account, minor } => {
                self.deposits = self.deposits.saturating_add(1);
                let amount = Money::from_minor(*minor);
                let meter = self.cast.meter(account)?;
                Ok(vec![Action::Deposit { reference: self.deposits, meter, amount }])
            }
            EventText::Reading(reading) => self.readings(reading),
            EventText::Curtailment { meter, cap_wh, revision } => {
                self.curtailments(meter, *cap_wh, *revision)
            }
            EventText::Verify => Ok(vec![Action::Verify]),
            EventText::RepeatLast { .. } | EventText::Day { .. } => Ok(Vec::new()),
            EventText::Hold(_) => not_supported("hold"),
            EventText::Modification(_) => not_supported("modification"),
            EventText::Payment(_) => not_supported("payment"),
            EventText::Recovery(_) => not_supported("recovery"),
        }
    }

    /// One signed file per slot of the meter. A file holds both registers: the one the event names,
    /// and the other as the case gives it for this revision, or zero.
    fn readings(&self, event: &script::ReadingText) -> Result<Vec<Action>, RehearseError> {
        let meter = self.cast.meter(&event.meter)?;
        let other = self.case.other_register(event);
        let metered = match event.direction {
            script::Direction::Injected => {
                Metered { injected: Energy::from_wh(event.wh), withdrawn: Energy::from_wh(other) }
            }
            script::Direction::Withdrawn => {
                Metered { injected: Energy::from_wh(other), withdrawn: Energy::from_wh(event.wh) }
            }
        };
        let slots = self.cast.slots_of(meter);
        Ok(slots
            .into_iter()
            .map(|key| {
                let file = MeterFile {
                    market: key.market,
                    revision: event.revision,
                    minutes: key.slot.minutes(),
                    intervals: vec![Interval {
                        start: key.slot.start(),
                        readings: vec![Reading { meter, metered }],
                    }],
                };
                let bytes = self.cast.sign_reading(meter, event.signature, &file.to_body());
                Action::Document { event: "reading", bytes }
            })
            .collect())
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
            Action::Document { event: "curtailment", bytes: seal(utility, &key, &body) }
        };
        Ok(self.cast.slots_of(meter).into_iter().map(|key| sealed(key.slot)).collect())
    }

    fn act(&mut self, action: &Action) -> Result<(), RehearseError> {
        match action {
            Action::Deposit { reference, meter, amount } => {
                let outcome = self.pipeline.deposit(*reference, *meter, *amount)?;
                if !matches!(outcome, DepositOutcome::Credited | DepositOutcome::Exists) {
                    self.refuse("deposit", outcome.name());
                }
            }
            Action::Document { event, bytes } => {
                let receipt = self.pipeline.ingest(self.now(), bytes)?;
                if let Err(reason) = receipt.result {
                    self.refuse(event, reason.name());
                }
            }
            Action::Verify => {
                self.pipeline.verify(self.now())?;
            }
        }
        Ok(())
    }

    fn refuse(&mut self, event: &'static str, reason: &'static str) {
        self.refusals.push(Refusal { event, reason });
    }

    /// The end of delivery, and days after.
    fn now(&self) -> Timestamp {
        const DAY_NS: i64 = 86_400_000_000_000;
        self.cast.delivery_end().plus_ns(self.day.saturating_mul(DAY_NS))
    }
}

/// The contract numbers of a case by name.
type Names = Vec<(String, TradeId)>;
