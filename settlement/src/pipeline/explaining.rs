//! How a contract's money came about: every leg, with the rule and the inputs that made it.

use std::collections::BTreeMap;

use types::{Energy, Price, TradeId};

use super::Pipeline;
use crate::{
    books::{accounts::Account, posting::Folio},
    error::{Doing as _, SettlementError},
    mechanism::LegKind,
    outcome::State,
    policy::Mechanism,
    rails::bill,
    store,
    tlog::leaf::{self, OutcomeRecord},
};

/// A leg of a contract, with why it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedLeg {
    /// The settlement run; of a leg that belongs to none, its number.
    pub run: u16,
    /// What it is for.
    pub leg: &'static str,
    /// It takes back the same leg of earlier runs.
    pub is_reversal: bool,
    /// Whose balance falls.
    pub debit: Account,
    /// Whose balance rises.
    pub credit: Account,
    /// By how much, in minor units.
    pub minor: i64,
    /// The rule.
    pub rule: &'static str,
    /// What it was applied to.
    pub inputs: String,
}

/// What is known of a contract's money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Where it stands.
    pub state: State,
    /// What is contracted.
    pub energy: Energy,
    /// At which price.
    pub price: Price,
    /// How its money moves.
    pub mechanism: Mechanism,
    /// The newest outcome, if there is one.
    pub outcome: Option<OutcomeRecord>,
    /// In the order of runs.
    pub legs: Vec<ExplainedLeg>,
}

impl Pipeline {
    /// Explains a contract, if it was captured. Reads its own rows only.
    ///
    /// # Errors
    /// When stored data is damaged or the database refuses.
    pub fn explain(&self, contract: TradeId) -> Result<Option<Explanation>, SettlementError> {
        const DOING: &str = "explain a contract";
        let Some((state, _)) = self.standing(contract)? else { return Ok(None) };
        let key = i64::try_from(contract.get()).unwrap_or(-1);
        let (price, energy, minute, mechanism): (i64, i64, u32, u8) = self
            .connection()
            .prepare_cached(
                "SELECT price, energy, folio, mechanism FROM contracts WHERE trade = ?1",
            )
            .and_then(|mut select| {
                select.query_row([key], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })
            })
            .doing(DOING)?;
        let damaged = || SettlementError::Damaged(format!("mechanism {mechanism}"));
        let mechanism = Mechanism::from_code(mechanism).ok_or_else(damaged)?;
        let price = Price::from_micros(price);
        let energy = Energy::from_wh(u64::try_from(energy).unwrap_or(0));
        let outcomes = self.outcomes_of(contract)?;
        let mut select = self
            .connection()
            .prepare_cached(
                "SELECT run, leg, reversal, debit, credit, amount FROM transfer_details
                 WHERE folio = ?1 AND id BETWEEN ?2 AND ?3 ORDER BY id",
            )
            .doing(DOING)?;
        let rows = select
            .query_map(Folio { contract, minute }.of_all(), |row| {
                let kind: (u16, u8, u8) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let numbers: [i64; 3] = [row.get(3)?, row.get(4)?, row.get(5)?];
                Ok((kind, numbers))
            })
            .doing(DOING)?;
        let mut legs = Vec::new();
        for row in rows {
            let ((run, code, reversal), [debit, credit, minor]) = row.doing(DOING)?;
            let damaged = || SettlementError::Damaged(format!("a transfer of contract {contract}"));
            let kind = LegKind::from_code(code).ok_or_else(damaged)?;
            let account = |number| Account::from_number(number).ok_or_else(damaged);
            let is_reversal = reversal == 1;
            let record = outcomes.get(&run).filter(|_| kind.is_of_run() && !is_reversal);
            legs.push(ExplainedLeg {
                run,
                leg: kind.name(),
                is_reversal,
                debit: account(debit)?,
                credit: account(credit)?,
                minor,
                rule: if is_reversal { "a later run differs: taken back" } else { rule(kind) },
                inputs: record.map_or_else(String::new, |record| self.inputs(kind, record, price)),
            });
        }
        let outcome = outcomes.into_values().next_back();
        Ok(Some(Explanation { state, energy, price, mechanism, outcome, legs }))
    }

    /// Every outcome of a contract, by run.
    fn outcomes_of(
        &self,
        contract: TradeId,
    ) -> Result<BTreeMap<u16, OutcomeRecord>, SettlementError> {
        let mut outcomes = BTreeMap::new();
        let Some((_, mut newest)) = self.leaves_of(contract)? else { return Ok(outcomes) };
        // A leaf supersedes an earlier one, so this ends; the contract's own is no outcome.
        while let Some(record) = store::ledger::leaf(self.connection(), newest)?
            .and_then(|bytes| leaf::decode_outcome(&bytes))
            .filter(|record| record.contract == contract)
        {
            let previous = record.previous;
            outcomes.insert(record.run, record);
            if previous >= newest {
                break;
            }
            newest = previous;
        }
        Ok(outcomes)
    }

    fn inputs(&self, kind: LegKind, record: &OutcomeRecord, price: Price) -> String {
        let policy = self.policy();
        let money = |minor: types::Money| bill::decimal(minor.minor(), policy.currency);
        let outcome = &record.outcome;
        let price = rust_decimal::Decimal::new(price.micros(), 6).normalize();
        match kind {
            LegKind::Energy
            | LegKind::EnergyUncovered
            | LegKind::EnergyOwed
            | LegKind::RetailerDebit
            | LegKind::RetailerTransfer => format!(
                "{} Wh settled at {price} per kWh = {}; seller's share {} Wh, buyer's {} Wh",
                outcome.settled.wh(),
                money(record.due.energy),
                record.seller_allocated.wh(),
                record.buyer_allocated.wh()
            ),
            LegKind::TakeOrPay | LegKind::TakeOrPayUncovered | LegKind::TakeOrPayOwed => {
                format!("not taken at {price} per kWh = {}", money(record.due.take_or_pay))
            }
            LegKind::Penalty | LegKind::PenaltyUncovered | LegKind::PenaltyOwed => format!(
                "{} Wh missing without excuse, tolerance {} ppm = {}",
                outcome.shortfall.wh(),
                policy.tolerance.ppm(),
                money(record.due.penalty)
            ),
            LegKind::Fee => {
                format!("{} ppm of {}", policy.platform_fee.ppm(), money(record.due.energy))
            }
            LegKind::Refund
            | LegKind::Hold
            | LegKind::Uncover
            | LegKind::Deposit
            | LegKind::Release
            | LegKind::Block
            | LegKind::BlockRelease
            | LegKind::Payment
            | LegKind::Recovery
            | LegKind::EnergyCollected
            | LegKind::EnergyCleared
            | LegKind::TakeOrPayCollected
            | LegKind::TakeOrPayCleared
            | LegKind::PenaltyCollected
            | LegKind::PenaltyCleared
            | LegKind::ModificationPenalty
            | LegKind::ModificationOwed
            | LegKind::ModificationCollected
            | LegKind::ModificationCleared
            | LegKind::Fine
            | LegKind::FineCollected
            | LegKind::FineCleared
            | LegKind::PenaltyRecovered
            | LegKind::ModificationRecovered
            | LegKind::ModificationForgotten
            | LegKind::Captured
            | LegKind::BlockLost
            | LegKind::Overpaid
            | LegKind::PayOut
            | LegKind::PaidOut
            | LegKind::PayOutReturned => String::new(),
        }
    }
}

/// The rule behind a leg, in a sentence.
const fn rule(kind: LegKind) -> &'static str {
    match kind {
        LegKind::Hold => "the value of the contract is held from what the payer has deposited",
        LegKind::Energy => "settled energy times price, rounded once, from what is held",
        LegKind::EnergyUncovered => "what the hold does not cover, from free money",
        LegKind::EnergyOwed => "what nothing covers is owed",
        LegKind::TakeOrPay | LegKind::TakeOrPayUncovered | LegKind::TakeOrPayOwed => {
            "take or pay: delivered and not taken"
        }
        LegKind::Refund => "what the contract did not need goes back",
        LegKind::Penalty | LegKind::PenaltyUncovered | LegKind::PenaltyOwed => {
            "penalty on the shortfall beyond tolerance"
        }
        LegKind::Uncover => "a refund that was taken back is in use elsewhere",
        LegKind::Deposit => "paid in",
        LegKind::Release => "the contract became smaller",
        LegKind::Block => "the rail blocked the payer's money",
        LegKind::BlockRelease => "the rest of the block is given free",
        LegKind::Payment => "the bill was paid",
        LegKind::Recovery => "recovered from who owed",
        LegKind::EnergyCollected | LegKind::TakeOrPayCollected | LegKind::PenaltyCollected => {
            "what was owed is paid"
        }
        LegKind::EnergyCleared
        | LegKind::TakeOrPayCleared
        | LegKind::PenaltyCleared
        | LegKind::ModificationCleared
        | LegKind::ModificationForgotten
        | LegKind::FineCleared => "and owed no more",
        LegKind::Fee => "the platform's part, once the seller has everything",
        LegKind::RetailerDebit | LegKind::RetailerTransfer => "prepaid money passes both retailers",
        LegKind::ModificationPenalty | LegKind::ModificationOwed => {
            "who asks for a modification pays the other"
        }
        LegKind::ModificationCollected | LegKind::ModificationRecovered => {
            "the penalty of a modification is paid"
        }
        LegKind::Fine => "fined for not paying in time",
        LegKind::FineCollected => "the fine is paid",
        LegKind::PenaltyRecovered => "the penalty was recovered",
        LegKind::Captured => "the rail paid what was captured",
        LegKind::BlockLost => "the rail did not pay what it had blocked",
        LegKind::Overpaid => "more was paid than is owed by now",
        LegKind::PayOut => "the rail is asked to pay it",
        LegKind::PaidOut => "the rail paid it",
        LegKind::PayOutReturned => "the rail did not pay it",
    }
}
