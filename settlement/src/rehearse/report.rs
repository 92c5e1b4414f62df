//! What a rehearsal came to.

use std::collections::BTreeMap;

use serde::Serialize;
use types::{Price, TradeId};

use super::{RehearseError, cast::Cast};
use crate::{
    books::{
        self, Due,
        accounts::{AccountKind, Owner},
    },
    mechanism::{self, LegKind},
    outcome::State,
    pipeline::{Pipeline, TransferLine},
    policy::Mechanism,
};

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The case's name.
    pub name: String,
    /// By the case's contract ids.
    pub contracts: BTreeMap<String, ContractReport>,
    /// Every account that is not zero, in minor units. A meter's money, free and earned, is under
    /// its name; its other accounts have the kind behind a colon.
    pub accounts: BTreeMap<String, i64>,
    /// Refused events, in order.
    pub rejected: Vec<Refusal>,
}

/// An event that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Its type.
    #[serde(rename = "type")]
    pub event: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// What became of a contract. Energies in Wh, amounts in minor units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the case format")]
pub struct ContractReport {
    pub state: &'static str,
    pub version: u32,
    pub settled_wh: u64,
    pub shortfall_wh: u64,
    pub breach: bool,
    pub energy: i64,
    pub take_or_pay: i64,
    pub penalty: i64,
    pub modification_penalty: i64,
    pub platform_fee: i64,
    pub charge_buyer: i64,
    pub charge_seller: i64,
    pub refund: i64,
    pub captured: i64,
    pub released: i64,
    pub receivable_from_buyer: i64,
    pub receivable_from_seller: i64,
    pub seller_net: i64,
    pub memo_feed_in: i64,
    pub memo_retail: i64,
    pub excess_injected_wh: u64,
    pub excess_withdrawn_wh: u64,
    pub live_settlements: u32,
    pub postings: Vec<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<&'static str>,
    pub enforcement: u8,
}

pub(super) fn report(
    name: &str,
    cast: &Cast,
    pipeline: &Pipeline,
    rejected: Vec<Refusal>,
) -> Result<Outcome, RehearseError> {
    let mut contracts = BTreeMap::new();
    for (id, trade) in cast.contract_names() {
        contracts.insert(id, contract(cast, pipeline, trade)?);
    }
    let mut accounts: BTreeMap<String, i64> = BTreeMap::new();
    for (account, minor) in pipeline.balances()? {
        let meter = match account.owner {
            Owner::Meter(meter) => cast.meter_name(meter),
            Owner::Retailer(_) | Owner::Utility(_) | Owner::Platform(_) | Owner::Exchange => None,
        };
        let name = match (meter, account.kind) {
            (None, AccountKind::Pool) => "pool".to_owned(),
            (None, AccountKind::Earned) if matches!(account.owner, Owner::Platform(_)) => {
                "platform".to_owned()
            }
            (Some(meter), AccountKind::Available | AccountKind::Earned) => meter.to_owned(),
            (Some(meter), kind) => format!("{meter}:{}", kind.name()),
            (None, _) => account.to_string(),
        };
        let sum = accounts.entry(name).or_default();
        *sum = sum.saturating_add(minor);
    }
    accounts.retain(|_, minor| *minor != 0);
    Ok(Outcome { name: name.to_owned(), contracts, accounts, rejected })
}

/// What was posted of each kind under a contract, less what was reversed.
struct Posted(BTreeMap<LegKind, i64>);

impl Posted {
    fn new(lines: &[TransferLine]) -> Self {
        let mut sums: BTreeMap<LegKind, i64> = BTreeMap::new();
        for line in lines {
            if let Some(kind) = LegKind::from_code(line.leg) {
                let minor = if line.is_reversal { line.minor.saturating_neg() } else { line.minor };
                let sum = sums.entry(kind).or_default();
                *sum = sum.saturating_add(minor);
            }
        }
        Self(sums)
    }

    fn sum(&self, kinds: &[LegKind]) -> i64 {
        let of = |kind| self.0.get(kind).copied().unwrap_or(0);
        kinds.iter().map(of).fold(0, i64::saturating_add)
    }
}

fn contract(
    cast: &Cast,
    pipeline: &Pipeline,
    trade: TradeId,
) -> Result<ContractReport, RehearseError> {
    let (state, version) = pipeline.standing(trade)?.unwrap_or((State::AwaitingMeterData, 1));
    let lines = pipeline.transfers_of(trade)?;
    let posted = Posted::new(&lines);
    let is_block = cast.policy().mechanism == Mechanism::Block;
    let open = pipeline.debts_of(trade)?;
    let meters = cast.meters_of(trade);
    let owed_by = |meter| {
        let own = open.iter().filter(|debt| Some(debt.debtor) == meter && !debt.is_fine());
        own.map(|debt| debt.open).fold(0, i64::saturating_add)
    };
    let back = if state == State::Cancelled { posted.sum(&[LegKind::Release]) } else { 0 };
    let common = ContractReport {
        state: state.name(),
        version,
        modification_penalty: posted
            .sum(&[LegKind::ModificationPenalty, LegKind::ModificationOwed]),
        refund: posted.sum(&[LegKind::Refund]).saturating_add(back),
        released: posted.sum(&[LegKind::BlockRelease]),
        receivable_from_buyer: owed_by(meters.map(|(buyer, _)| buyer)),
        receivable_from_seller: owed_by(meters.map(|(_, seller)| seller)),
        payment: (state == State::CancelledUnfunded).then_some("unfunded"),
        enforcement: pipeline.enforcement_level(trade)?,
        ..ContractReport::default()
    };
    let Some(record) = pipeline.outcome_of(trade)? else { return Ok(common) };
    let price = cast.price_of(trade);
    // A wash moves no money; a dispute after finality leaves what was settled.
    let is_wash = state == State::Disputed && record.due == Due::default();
    let owes =
        open.iter().any(|debt| matches!(debt.leg, LegKind::EnergyOwed | LegKind::TakeOrPayOwed));
    let captured = posted.sum(&[LegKind::Energy, LegKind::TakeOrPay]);
    let fee = if mechanism::has_fee(cast.policy().mechanism) && price.micros() >= 0 {
        books::platform_fee(&record.due, cast.policy()).unwrap_or(0)
    } else {
        0
    };
    Ok(ContractReport {
        settled_wh: record.outcome.settled.wh(),
        shortfall_wh: record.outcome.shortfall.wh(),
        breach: record.outcome.breach,
        energy: record.due.energy.minor(),
        take_or_pay: record.due.take_or_pay.minor(),
        penalty: record.due.penalty.minor(),
        platform_fee: fee,
        charge_buyer: record.due.charge_buyer.minor(),
        charge_seller: record.due.charge_seller.minor(),
        captured: if is_block { captured } else { 0 },
        seller_net: seller_net(&posted, price),
        memo_feed_in: record.due.feed_in.minor(),
        memo_retail: record.due.retail.minor(),
        excess_injected_wh: record.excess.injected.wh(),
        excess_withdrawn_wh: record.excess.withdrawn.wh(),
        live_settlements: u32::from(!is_wash),
        postings: energy_history(&lines, price),
        payment: match (is_wash, owes) {
            (true, _) => None,
            (false, true) if is_block => Some("invoiced"),
            (false, true) => Some("owed"),
            (false, false) => Some("paid"),
        },
        ..common
    })
}

/// What the seller was paid, less what the seller paid.
fn seller_net(posted: &Posted, price: Price) -> i64 {
    let energy = posted.sum(&[LegKind::Energy, LegKind::EnergyUncovered, LegKind::EnergyCollected]);
    let not_taken =
        posted.sum(&[LegKind::TakeOrPay, LegKind::TakeOrPayUncovered, LegKind::TakeOrPayCollected]);
    let paid = posted.sum(&[
        LegKind::Penalty,
        LegKind::PenaltyUncovered,
        LegKind::PenaltyCollected,
        LegKind::PenaltyRecovered,
        LegKind::Fee,
    ]);
    let sign = if price.micros() < 0 { -1 } else { 1 };
    energy.saturating_mul(sign).saturating_add(not_taken).saturating_sub(paid)
}

/// The energy leg run by run: each reversal, then what was posted instead.
fn energy_history(lines: &[TransferLine], price: Price) -> Vec<i64> {
    let legs = [LegKind::Energy, LegKind::EnergyUncovered, LegKind::EnergyOwed].map(LegKind::code);
    let mut by_run: BTreeMap<(u16, bool), i64> = BTreeMap::new();
    let sign = if price.micros() < 0 { -1 } else { 1 };
    for line in lines.iter().filter(|line| legs.contains(&line.leg)) {
        let minor = line.minor.saturating_mul(if line.is_reversal { -sign } else { sign });
        let sum = by_run.entry((line.run, !line.is_reversal)).or_default();
        *sum = sum.saturating_add(minor);
    }
    by_run.into_values().collect()
}
