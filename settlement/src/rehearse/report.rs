//! What a rehearsal came to.

use std::collections::BTreeMap;

use serde::Serialize;
use types::{Price, TradeId};

use super::{RehearseError, cast::Cast};
use crate::{
    books::accounts::{AccountKind, Owner},
    mechanism::LegKind,
    outcome::State,
    pipeline::{Pipeline, TransferLine},
    tlog::leaf::OutcomeRecord,
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

fn contract(
    cast: &Cast,
    pipeline: &Pipeline,
    trade: TradeId,
) -> Result<ContractReport, RehearseError> {
    let Some(record) = pipeline.outcome_of(trade)? else {
        let state = State::AwaitingMeterData.name();
        return Ok(ContractReport { state, version: 1, ..ContractReport::default() });
    };
    let lines = pipeline.transfers_of(trade)?;
    let price = cast.price_of(trade);
    let seller_pays = price.micros() < 0;
    let settled = &record.settled;
    let owed = settled.energy_owed.saturating_add(settled.take_or_pay_owed);
    let disputed = record.outcome.state == State::Disputed;
    Ok(ContractReport {
        state: record.outcome.state.name(),
        version: 1,
        settled_wh: record.outcome.settled.wh(),
        shortfall_wh: record.outcome.shortfall.wh(),
        breach: record.outcome.breach,
        energy: record.due.energy.minor(),
        take_or_pay: record.due.take_or_pay.minor(),
        penalty: record.due.penalty.minor(),
        charge_buyer: record.due.charge_buyer.minor(),
        charge_seller: record.due.charge_seller.minor(),
        refund: settled.refund,
        receivable_from_buyer: if seller_pays { 0 } else { owed },
        receivable_from_seller: settled.penalty_owed.saturating_add(if seller_pays {
            owed
        } else {
            0
        }),
        seller_net: seller_net(&record, price),
        memo_feed_in: record.due.feed_in.minor(),
        memo_retail: record.due.retail.minor(),
        excess_injected_wh: record.excess.injected.wh(),
        excess_withdrawn_wh: record.excess.withdrawn.wh(),
        live_settlements: u32::from(!disputed),
        postings: energy_history(&lines, price),
        payment: if disputed {
            None
        } else if owed > 0 {
            Some("owed")
        } else {
            Some("paid")
        },
        ..ContractReport::default()
    })
}

/// What the seller was paid, less what the seller paid.
fn seller_net(record: &OutcomeRecord, price: Price) -> i64 {
    let settled = &record.settled;
    let energy = settled.energy_paid.saturating_mul(if price.micros() < 0 { -1 } else { 1 });
    energy.saturating_add(settled.take_or_pay_paid).saturating_sub(settled.penalty_paid)
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
