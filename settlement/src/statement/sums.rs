//! The sums of a statement: they follow from its lines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ChargePart, ContractLine};

/// A meter's month.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeterSum {
    /// The meter.
    pub meter: u32,
    /// Sides of contracts.
    pub contracts: u64,
    /// Declared: settled energy it bought.
    pub bought_wh: u64,
    /// Declared: settled energy it sold.
    pub sold_wh: u64,
    /// Bought and not decided yet.
    pub bought_pending_wh: u64,
    /// Sold and not decided yet.
    pub sold_pending_wh: u64,
    /// Charges on its bill.
    pub charges_minor: i64,
    /// Injected beyond its contracts.
    pub excess_injected_wh: u64,
    /// Its value at the feed-in rate: a memo.
    pub feed_in_minor: i64,
    /// Withdrawn beyond its contracts.
    pub excess_withdrawn_wh: u64,
    /// Its value at the retail rate: a memo.
    pub retail_minor: i64,
    /// Its fines.
    pub fines_minor: i64,
}

/// A charge in an area.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChargeSum {
    /// The market.
    pub market: u16,
    /// Its area.
    pub area: String,
    /// The charge.
    pub name: String,
    /// Settled energy that the retailer's meters bought.
    pub bought_wh: u64,
    /// Settled energy that they sold.
    pub sold_wh: u64,
    /// On the bills of its buyers.
    pub buyers_minor: i64,
    /// On the bills of its sellers.
    pub sellers_minor: i64,
    /// On the bills of the other sides, which their retailers write.
    pub others_minor: i64,
}

/// What there was with another retailer, or the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetailerSum {
    /// Which.
    pub retailer: u16,
    /// Settled energy bought from its meters.
    pub bought_wh: u64,
    /// Settled energy sold to its meters.
    pub sold_wh: u64,
    /// Passed on to it, prepaid.
    pub to_minor: i64,
    /// Passed on by it.
    pub from_minor: i64,
    /// Due from it; below zero, due to it.
    pub net_minor: i64,
}

/// The whole month.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Total {
    /// Sides of contracts.
    pub contracts: u64,
    /// Of them, not decided yet.
    pub pending: u64,
    /// Declared: settled energy bought.
    pub bought_wh: u64,
    /// Declared: settled energy sold.
    pub sold_wh: u64,
    /// Not decided yet, on both sides.
    pub pending_wh: u64,
    /// Charges on the bills of the retailer's meters.
    pub charges_minor: i64,
    /// Passed on to other retailers, prepaid.
    pub to_minor: i64,
    /// Passed on by other retailers.
    pub from_minor: i64,
    /// Fines of its meters, which are its own.
    pub fines_minor: i64,
    /// Of them, paid.
    pub fines_paid_minor: i64,
    /// Due to the retailer; below zero, due from it.
    pub net_minor: i64,
}

/// All sums.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    /// By meter.
    pub meters: Vec<MeterSum>,
    /// By market and name.
    pub charges: Vec<ChargeSum>,
    /// By retailer.
    pub retailers: Vec<RetailerSum>,
    /// Of everything.
    pub total: Total,
}

fn add_wh(sum: &mut u64, wh: u64) {
    *sum = sum.saturating_add(wh);
}

fn add(sum: &mut i64, minor: i64) {
    *sum = sum.saturating_add(minor);
}

impl Sums {
    /// Of these lines.
    #[must_use]
    pub fn of(lines: &[ContractLine]) -> Self {
        let mut meters: BTreeMap<u32, MeterSum> = BTreeMap::new();
        let mut charges: BTreeMap<(u16, &str), ChargeSum> = BTreeMap::new();
        let mut retailers: BTreeMap<u16, RetailerSum> = BTreeMap::new();
        let mut total = Total::default();
        for line in lines {
            meters.entry(line.meter).or_default().take(line);
            retailers.entry(line.counterparty_retailer).or_default().take(line);
            total.take(line);
            for part in &line.charges {
                let key = (line.market, part.name.as_str());
                charges.entry(key).or_default().take(line, part);
            }
        }
        Self {
            meters: meters.into_values().collect(),
            charges: charges.into_values().collect(),
            retailers: retailers.into_values().collect(),
            total,
        }
    }
}

impl ContractLine {
    fn is_bought(&self) -> bool {
        self.side == types::Side::Buy.name()
    }

    /// Of all charges, this side's part.
    #[must_use]
    pub fn charges_minor(&self) -> i64 {
        self.charges.iter().map(|part| part.own_minor).fold(0, i64::saturating_add)
    }
}

impl MeterSum {
    fn take(&mut self, line: &ContractLine) {
        self.meter = line.meter;
        add_wh(&mut self.contracts, 1);
        if line.is_bought() {
            add_wh(&mut self.bought_wh, line.settled_wh);
            add_wh(&mut self.bought_pending_wh, line.pending_wh);
            add_wh(&mut self.excess_withdrawn_wh, line.excess_wh);
            add(&mut self.retail_minor, line.excess_minor);
        } else {
            add_wh(&mut self.sold_wh, line.settled_wh);
            add_wh(&mut self.sold_pending_wh, line.pending_wh);
            add_wh(&mut self.excess_injected_wh, line.excess_wh);
            add(&mut self.feed_in_minor, line.excess_minor);
        }
        add(&mut self.charges_minor, line.charges_minor());
        add(&mut self.fines_minor, line.fines_minor);
    }
}

impl ChargeSum {
    fn take(&mut self, line: &ContractLine, part: &ChargePart) {
        self.market = line.market;
        self.area.clone_from(&line.area);
        self.name.clone_from(&part.name);
        if line.is_bought() {
            add_wh(&mut self.bought_wh, line.settled_wh);
            add(&mut self.buyers_minor, part.own_minor);
        } else {
            add_wh(&mut self.sold_wh, line.settled_wh);
            add(&mut self.sellers_minor, part.own_minor);
        }
        add(&mut self.others_minor, part.other_minor);
    }
}

impl RetailerSum {
    fn take(&mut self, line: &ContractLine) {
        self.retailer = line.counterparty_retailer;
        let energy = if line.is_bought() { &mut self.bought_wh } else { &mut self.sold_wh };
        add_wh(energy, line.settled_wh);
        add(&mut self.to_minor, line.to_minor);
        add(&mut self.from_minor, line.from_minor);
        self.net_minor = self.from_minor.saturating_sub(self.to_minor);
    }
}

impl Total {
    fn take(&mut self, line: &ContractLine) {
        add_wh(&mut self.contracts, 1);
        add_wh(&mut self.pending, u64::from(line.pending_wh > 0));
        let energy = if line.is_bought() { &mut self.bought_wh } else { &mut self.sold_wh };
        add_wh(energy, line.settled_wh);
        add_wh(&mut self.pending_wh, line.pending_wh);
        add(&mut self.charges_minor, line.charges_minor());
        add(&mut self.to_minor, line.to_minor);
        add(&mut self.from_minor, line.from_minor);
        add(&mut self.fines_minor, line.fines_minor);
        add(&mut self.fines_paid_minor, line.fines_paid_minor);
        let passed = self.from_minor.saturating_sub(self.to_minor);
        self.net_minor = passed.saturating_add(self.fines_minor);
    }
}
