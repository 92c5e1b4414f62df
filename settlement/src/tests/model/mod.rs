//! A slow, obvious settlement: single-threaded, in memory, every slot computed anew each time, no
//! database, and nothing shared with the pipeline but numbers. The pipeline has to agree with it.
//!
//! It knows one policy ([`Rules`]) in five mechanisms, meters that deposit, rails that block, bills
//! that are paid, debts that are recovered, corrections, curtailments, finality and fines.

mod energy;
mod money;

use std::collections::BTreeMap;

pub(super) use energy::Facts;

/// Minutes of a day.
const DAY: i64 = 1_440;

/// How money moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    House,
    Block,
    Prepaid,
    SellerBills,
    PlatformBills,
}

/// What the model takes from a policy: fractions in millionths, terms in days.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) way: Way,
    pub(super) is_fifo: bool,
    pub(super) takes_or_pays: bool,
    pub(super) tolerance: i128,
    pub(super) penalty: i128,
    pub(super) fee: i128,
    pub(super) hold_days: i64,
    pub(super) due_days: i64,
    pub(super) fine_days: i64,
    pub(super) fine: i128,
    pub(super) final_days: i64,
}

/// A leg: what for, from, to, how much.
pub(super) type Leg = (&'static str, String, String, i64);

/// What somebody owes under a contract: by `energy`, `take_or_pay`, `penalty` or `fine`.
#[derive(Debug, Clone)]
struct Debt {
    what: &'static str,
    debtor: u32,
    creditor: String,
    open: i64,
}

/// How long somebody has owed something under a contract.
#[derive(Debug, Clone, Copy, Default)]
struct Arrears {
    since: Option<i64>,
    is_fined: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Asked,
    Waits { until: i64, is_deposited: bool },
    Used { is_deposited: bool },
}

#[derive(Debug, Clone)]
pub(super) struct Contract {
    slot: u32,
    seller: u32,
    buyer: u32,
    wh: u64,
    micros: i64,
    escrow: i64,
    uncovered: i64,
    block: Block,
    is_cancelled: bool,
    pub(super) facts: Option<Facts>,
    penalty_paid: i64,
    /// Taken back by the next run.
    live: Vec<Leg>,
    /// Never taken back.
    once: Vec<Leg>,
    debts: Vec<Debt>,
    arrears: BTreeMap<u32, Arrears>,
}

impl Contract {
    fn payer(&self) -> u32 {
        if self.micros < 0 { self.seller } else { self.buyer }
    }

    fn payee(&self) -> u32 {
        if self.micros < 0 { self.buyer } else { self.seller }
    }

    /// Whether no money is needed for it.
    fn is_free(&self) -> bool {
        round(i128::from(self.micros) * i128::from(self.wh), 10_000_000) == 0
    }

    /// What was posted and not taken back, by leg and accounts.
    pub(super) fn legs(&self) -> BTreeMap<(String, String, String), i64> {
        let mut sums = BTreeMap::new();
        for (what, from, to, minor) in self.live.iter().chain(&self.once) {
            *sums.entry(((*what).to_owned(), from.clone(), to.clone())).or_insert(0) += minor;
        }
        sums.retain(|_, minor| *minor != 0);
        sums
    }

    /// Where it stands, as the pipeline names it.
    pub(super) fn state(&self) -> &'static str {
        match &self.facts {
            _ if self.is_cancelled => "CANCELLED_UNFUNDED",
            None => "AWAITING_METER_DATA",
            Some(facts) => facts.state,
        }
    }
}

/// Everything there is.
#[derive(Debug)]
pub(super) struct Model {
    rules: Rules,
    retailer_of: fn(u32) -> u16,
    balances: BTreeMap<String, i64>,
    /// From 1 upwards, without gaps.
    pub(super) contracts: BTreeMap<u64, Contract>,
    /// By slot and meter: injected and withdrawn.
    readings: BTreeMap<(u32, u32), (u64, u64)>,
    caps: BTreeMap<(u32, u32), u64>,
    /// Minute in which each slot ends.
    ends: fn(u32) -> i64,
}

fn meter(number: u32, kind: &str) -> String {
    format!("meter/{number}:{kind}")
}

/// Half away from zero.
fn round(amount: i128, unit: i128) -> i64 {
    let (size, half) = (amount.abs(), unit / 2);
    let rounded = (size + half) / unit;
    i64::try_from(if amount < 0 { -rounded } else { rounded }).unwrap()
}

/// Cuts a total in proportion to weights: the whole parts, and what is left over one by one to the
/// largest remainders, the earliest first.
fn share(weights: &[u128], total: u128) -> Vec<u128> {
    let sum: u128 = weights.iter().sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let mut parts: Vec<u128> = weights.iter().map(|weight| total * weight / sum).collect();
    let mut given: Vec<bool> = vec![false; weights.len()];
    while parts.iter().sum::<u128>() < total {
        let remainder = |at: usize| total * weights[at] % sum;
        let waiting = (0..weights.len()).filter(|&at| !given[at]);
        // Of equals, the first.
        let best = waiting.min_by_key(|&at| core::cmp::Reverse(remainder(at))).unwrap();
        given[best] = true;
        parts[best] += 1;
    }
    parts
}

impl Model {
    pub(super) fn new(rules: Rules, retailer_of: fn(u32) -> u16, ends: fn(u32) -> i64) -> Self {
        Self {
            rules,
            retailer_of,
            balances: BTreeMap::new(),
            contracts: BTreeMap::new(),
            readings: BTreeMap::new(),
            caps: BTreeMap::new(),
            ends,
        }
    }

    /// All balances that are not zero.
    pub(super) fn balances(&self) -> BTreeMap<String, i64> {
        let mut balances = self.balances.clone();
        balances.retain(|_, minor| *minor != 0);
        balances
    }

    fn balance(&self, account: &str) -> i64 {
        self.balances.get(account).copied().unwrap_or(0)
    }

    fn transfer(&mut self, from: &str, to: &str, minor: i64) {
        *self.balances.entry(from.to_owned()).or_insert(0) -= minor;
        *self.balances.entry(to.to_owned()).or_insert(0) += minor;
    }

    /// Posts a leg that a later run takes back.
    fn post(&mut self, id: u64, what: &'static str, from: &str, to: &str, minor: i64) {
        if minor > 0 {
            self.transfer(from, to, minor);
            let leg = (what, from.to_owned(), to.to_owned(), minor);
            self.contracts.get_mut(&id).unwrap().live.push(leg);
        }
    }

    /// Posts a leg that stays.
    fn post_once(&mut self, id: u64, what: &'static str, from: &str, to: &str, minor: i64) {
        if minor > 0 {
            self.transfer(from, to, minor);
            let leg = (what, from.to_owned(), to.to_owned(), minor);
            self.contracts.get_mut(&id).unwrap().once.push(leg);
        }
    }

    pub(super) fn read(&mut self, slot: u32, meter: u32, injected: u64, withdrawn: u64) {
        self.readings.insert((slot, meter), (injected, withdrawn));
    }

    pub(super) fn curtail(&mut self, slot: u32, meter: u32, cap: u64) {
        self.caps.insert((slot, meter), cap);
    }

    pub(super) fn trade(
        &mut self,
        slot: u32,
        seller: u32,
        buyer: u32,
        wh: u64,
        micros: i64,
    ) -> u64 {
        let id = u64::try_from(self.contracts.len()).unwrap() + 1;
        let contract = Contract {
            slot,
            seller,
            buyer,
            wh,
            micros,
            escrow: 0,
            uncovered: 0,
            block: Block::Asked,
            is_cancelled: false,
            facts: None,
            penalty_paid: 0,
            live: Vec::new(),
            once: Vec::new(),
            debts: Vec::new(),
            arrears: BTreeMap::new(),
        };
        let payer = contract.payer();
        self.contracts.insert(id, contract);
        if self.rules.way == Way::House {
            let value = round(i128::from(micros) * i128::from(wh), 10_000_000).abs();
            self.contracts.get_mut(&id).unwrap().uncovered = value;
            // What is free goes to the new contract; those that wait are covered by deposits.
            self.hold(id, payer);
        }
        id
    }

    pub(super) fn deposit(&mut self, payer: u32, minor: i64) {
        self.transfer("exchange:external", &meter(payer, "available"), minor);
        self.cover(payer);
        self.draw(payer);
    }

    /// Free money becomes the holds that a clearing house still misses.
    fn cover(&mut self, payer: u32) {
        let ids: Vec<u64> = self.contracts.keys().copied().collect();
        for id in ids {
            if self.contracts[&id].payer() == payer {
                self.hold(id, payer);
            }
        }
    }

    /// As much as there is of what a contract's hold misses.
    fn hold(&mut self, id: u64, payer: u32) {
        let (free, escrow) = (meter(payer, "available"), meter(payer, "escrow"));
        let part = self.contracts[&id].uncovered.min(self.balance(&free));
        self.post_once(id, "hold", &free, &escrow, part);
        if part > 0 {
            let contract = self.contracts.get_mut(&id).unwrap();
            contract.escrow += part;
            contract.uncovered -= part;
        }
    }

    /// The payer's rail says what it blocked.
    pub(super) fn block(&mut self, id: u64, minor: i64, is_deposited: bool, asked: i64) {
        let until = asked + self.rules.hold_days * DAY;
        let Some(contract) = self.contracts.get_mut(&id) else { return };
        let is_open = contract.facts.is_none() && !contract.is_cancelled;
        if self.rules.way != Way::Block || contract.block != Block::Asked || !is_open {
            return;
        }
        let payer = contract.payer();
        let from =
            if is_deposited { meter(payer, "available") } else { "exchange:external".into() };
        let lacks = is_deposited && self.balances.get(&from).copied().unwrap_or(0) < minor;
        if minor <= 0 || lacks {
            contract.is_cancelled = !contract.is_free();
            return;
        }
        contract.block = Block::Waits { until, is_deposited };
        contract.escrow += minor;
        self.post_once(id, "block", &from, &meter(payer, "escrow"), minor);
    }

    /// What is open for energy under a contract.
    pub(super) fn bill(&self, id: u64) -> i64 {
        let Some(contract) = self.contracts.get(&id) else { return 0 };
        let own = contract.debts.iter().filter(|debt| is_for_energy(debt));
        own.map(|debt| debt.open).sum()
    }

    /// Everything that is open, as contract and amount.
    pub(super) fn open(&self) -> i64 {
        self.contracts.values().flat_map(|one| &one.debts).map(|debt| debt.open).sum()
    }
}

fn is_for_energy(debt: &Debt) -> bool {
    ["energy", "take_or_pay"].contains(&debt.what)
}
