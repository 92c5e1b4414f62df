//! From readings to outcomes.

use super::{Block, Contract, DAY, Model, Way, round, share};

/// What a run says of a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tests) struct Facts {
    pub(in crate::tests) state: &'static str,
    pub(in crate::tests) allocated: [u64; 2],
    pub(in crate::tests) settled: u64,
    pub(in crate::tests) shortfall: u64,
    pub(in crate::tests) excused: u64,
    pub(in crate::tests) take_or_pay: u64,
    pub(in crate::tests) is_breach: bool,
    /// Withdrawn by the buyer and injected by the seller beyond contracts.
    pub(in crate::tests) excess: [u64; 2],
    /// For energy, energy not taken, and as a penalty.
    pub(in crate::tests) due: [i64; 3],
}

/// What one side of a contract gets of its meter's energy.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    allocated: u64,
    excused: u64,
    is_wash: bool,
}

/// A side of a contract: the contract, whether it sells, and how much.
type Side = (u64, bool, u64);

impl Model {
    /// Verifies everything, and settles what came out differently.
    pub(in crate::tests) fn verify(&mut self, now: i64) {
        let mut slots: Vec<u32> = self.contracts.values().map(|one| one.slot).collect();
        slots.sort_unstable();
        slots.dedup();
        for slot in slots {
            for contract in self.contracts.values_mut().filter(|one| one.slot == slot) {
                if self.rules.way == Way::Block && contract.block == Block::Asked {
                    contract.is_cancelled |= !contract.is_free();
                }
            }
            let ids: Vec<u64> = self.in_slot(slot).map(|(id, _)| *id).collect();
            for id in ids {
                if let Some(facts) = self.facts(slot, id) {
                    self.conclude(id, facts, now);
                }
            }
        }
    }

    fn in_slot(&self, slot: u32) -> impl Iterator<Item = (&u64, &Contract)> {
        self.contracts.iter().filter(move |(_, one)| one.slot == slot && !one.is_cancelled)
    }

    fn sides(&self, slot: u32, meter: u32) -> Vec<Side> {
        let mut sides = Vec::new();
        for is_seller in [false, true] {
            for (id, one) in self.in_slot(slot) {
                if meter == if is_seller { one.seller } else { one.buyer } {
                    sides.push((*id, is_seller, one.wh));
                }
            }
        }
        sides
    }

    /// The parts of a meter's sides, if its readings are there.
    fn parts(&self, slot: u32, meter: u32) -> Option<Vec<(Side, Part)>> {
        let &(injected, withdrawn) = self.readings.get(&(slot, meter))?;
        let sides = self.sides(slot, meter);
        let gross = |sells: bool| -> u128 {
            sides.iter().filter(|side| side.1 == sells).map(|side| u128::from(side.2)).sum()
        };
        let (bought, sold) = (gross(false), gross(true));
        if bought == sold {
            let wash = Part { is_wash: true, ..Part::default() };
            return Some(sides.into_iter().map(|side| (side, wash)).collect());
        }
        let sells = sold > bought;
        let net = sold.abs_diff(bought);
        let (with, against) = if sells { (injected, withdrawn) } else { (withdrawn, injected) };
        let is_mixed = bought > 0 && sold > 0;
        let moved = if is_mixed { with.saturating_sub(against) } else { with };
        let actual = u128::from(moved).min(net);
        let mut parts = Vec::new();
        for side_sells in [false, true] {
            let own: Vec<Side> = sides.iter().filter(|one| one.1 == side_sells).copied().collect();
            let mut left = gross(side_sells) * actual / net;
            let weights: Vec<u128> = own.iter().map(|side| u128::from(side.2)).collect();
            let spread = share(&weights, left);
            for (side, part) in own.into_iter().zip(spread) {
                let part = if self.rules.is_fifo { left.min(u128::from(side.2)) } else { part };
                left -= if self.rules.is_fifo { part } else { 0 };
                let allocated = u64::try_from(part).unwrap();
                parts.push((side, Part { allocated, ..Part::default() }));
            }
        }
        if let Some(&cap) = self.caps.get(&(slot, meter)) {
            let allowed = u128::from(cap).max(actual).min(net);
            let weights: Vec<u128> = parts
                .iter()
                .map(|(side, part)| if side.1 == sells { side.2 - part.allocated } else { 0 })
                .map(u128::from)
                .collect();
            let missing: u128 = weights.iter().sum();
            let excused = (missing * (net - allowed)).checked_div(net - actual).unwrap_or(0);
            for ((_, part), excused) in parts.iter_mut().zip(share(&weights, excused)) {
                part.excused = u64::try_from(excused).unwrap();
            }
        }
        Some(parts)
    }

    fn part(&self, slot: u32, meter: u32, id: u64, sells: bool) -> Option<Part> {
        let parts = self.parts(slot, meter)?;
        parts.into_iter().find(|(side, _)| (side.0, side.1) == (id, sells)).map(|(_, part)| part)
    }

    /// What counts of a side against its meter's register.
    fn used(&self, slot: u32, id: u64, sells: bool) -> u64 {
        let one = &self.contracts[&id];
        let buy = self.part(slot, one.buyer, id, false).map(|part| part.allocated);
        let sell = self.part(slot, one.seller, id, true).map(|part| part.allocated);
        match (buy, sell) {
            (Some(buy), Some(sell)) => buy.min(sell),
            _ => (if sells { sell } else { buy }).unwrap_or(0),
        }
    }

    /// A side's part of what its meter moved beyond its contracts.
    fn excess(&self, slot: u32, meter: u32, id: u64, sells: bool) -> u64 {
        let (injected, withdrawn) = self.readings[&(slot, meter)];
        let register = if sells { injected } else { withdrawn };
        let own: Vec<Side> =
            self.sides(slot, meter).into_iter().filter(|side| side.1 == sells).collect();
        let used: u64 = own.iter().map(|side| self.used(slot, side.0, sells)).sum();
        let weights: Vec<u128> = own.iter().map(|side| u128::from(side.2)).collect();
        let parts = share(&weights, u128::from(register.saturating_sub(used)));
        let at = own.iter().position(|side| side.0 == id).unwrap();
        u64::try_from(parts[at]).unwrap()
    }

    fn facts(&self, slot: u32, id: u64) -> Option<Facts> {
        let one = &self.contracts[&id];
        let buy = self.part(slot, one.buyer, id, false)?;
        let sell = self.part(slot, one.seller, id, true)?;
        let rules = self.rules;
        let settled = buy.allocated.min(sell.allocated);
        let shortfall = one.wh.saturating_sub(sell.allocated).saturating_sub(sell.excused);
        let is_wash = buy.is_wash || sell.is_wash;
        let beyond = i128::from(shortfall) * 1_000_000 > i128::from(one.wh) * rules.tolerance;
        let is_breach = beyond && !is_wash;
        let state = if is_wash {
            "DISPUTED"
        } else if sell.allocated == 0 {
            "FAILED"
        } else if buy.excused > 0 || sell.excused > 0 {
            "PARTIAL_CURTAILED"
        } else if is_breach {
            "PARTIAL"
        } else {
            "COMPLETE"
        };
        let pays = rules.takes_or_pays && one.micros > 0 && !is_wash;
        let untaken = (sell.allocated - settled).saturating_sub(buy.excused);
        let take_or_pay = if pays { untaken } else { 0 };
        let nanos = |wh: u64| i128::from(one.micros) * i128::from(wh);
        let penalty = if is_breach { nanos(shortfall).abs() * rules.penalty } else { 0 };
        let paisa = 10_000_000;
        let due = [
            round(nanos(settled), paisa),
            round(nanos(take_or_pay), paisa),
            round(penalty, paisa * 1_000_000),
        ];
        Some(Facts {
            state,
            allocated: [buy.allocated, sell.allocated],
            settled,
            shortfall,
            excused: sell.excused,
            take_or_pay,
            is_breach,
            excess: [
                self.excess(slot, one.buyer, id, false),
                self.excess(slot, one.seller, id, true),
            ],
            due: if is_wash { [0; 3] } else { due },
        })
    }

    /// A new outcome replaces the one before, as far as time allows.
    fn conclude(&mut self, id: u64, facts: Facts, now: i64) {
        let end = (self.ends)(self.contracts[&id].slot);
        let is_final = (now - end).div_euclid(DAY) > self.rules.final_days;
        let before = self.contracts[&id].facts;
        let is_disputed = |facts: &Facts| facts.state == "DISPUTED";
        let kept = match before {
            Some(before) if before == facts => return,
            Some(before) if is_final && is_disputed(&before) => return,
            Some(before) if is_final => Some(Facts { state: "DISPUTED", ..before }),
            Some(before) => {
                let is_same = before.due == facts.due;
                (is_same && is_disputed(&before) == is_disputed(&facts)).then_some(facts)
            }
            None => None,
        };
        let contract = self.contracts.get_mut(&id).unwrap();
        contract.facts = Some(kept.unwrap_or(facts));
        contract.uncovered = 0;
        if kept.is_none() {
            self.settle(id, facts, now);
        }
    }
}
