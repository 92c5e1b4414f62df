//! From outcomes to money, and from money to debts paid.

use super::{Arrears, Block, DAY, Debt, Facts, Model, Way, is_for_energy, meter, round, share};

impl Model {
    /// Takes back what the run before posted, and pays what is due now.
    pub(super) fn settle(&mut self, id: u64, facts: Facts, now: i64) {
        for (_, from, to, minor) in core::mem::take(&mut self.contracts.get_mut(&id).unwrap().live)
        {
            self.transfer(&to, &from, minor);
        }
        let one = self.contracts[&id].clone();
        let (payer, seller) = (one.payer(), one.seller);
        let (escrow, free) = (meter(payer, "escrow"), meter(payer, "available"));
        let mut held = one.escrow;
        let lacking = -self.balance(&free).min(0);
        self.post(id, "uncover", &escrow, &free, lacking);
        held -= lacking;
        // What the seller has of its own is what it has before anything of this run is given back.
        let own = self.balance(&meter(seller, "available")).max(0);
        let contract = self.contracts.get_mut(&id).unwrap();
        contract.debts.retain(|debt| debt.what == "fine");
        contract.penalty_paid = 0;
        if facts.state != "DISPUTED" {
            self.pay_run(id, facts, (held, own), now);
        }
        for debtor in [one.buyer, one.seller] {
            self.note_arrears(id, debtor, Some(now));
        }
    }

    fn pay_run(&mut self, id: u64, facts: Facts, (mut held, own): (i64, i64), now: i64) {
        let one = self.contracts[&id].clone();
        let payer = one.payer();
        let (escrow, free) = (meter(payer, "escrow"), meter(payer, "available"));
        let earns = meter(one.payee(), "earned");
        let dues = [("energy", facts.due[0].abs()), ("take_or_pay", facts.due[1])];
        let before = self.balance(&free);
        let mut paid = [0; 2];
        if let Block::Waits { until, is_deposited } = one.block {
            self.contracts.get_mut(&id).unwrap().block = Block::Used { is_deposited };
            if now > until {
                self.free(id, is_deposited, held);
                held = 0;
            }
        }
        if self.rules.way == Way::Prepaid {
            self.post(id, "refund", &escrow, &free, held);
            let total = dues[0].1 + dues[1].1;
            if total <= self.balance(&free) {
                let from = self.pass_on(id, "available", total);
                for (at, (what, minor)) in dues.into_iter().enumerate() {
                    self.post(id, what, &from, &earns, minor);
                    paid[at] = minor;
                }
            }
        } else {
            for (at, (what, minor)) in dues.into_iter().enumerate() {
                let from_hold = minor.min(held);
                self.post(id, what, &escrow, &earns, from_hold);
                held -= from_hold;
                paid[at] = from_hold;
                if self.rules.way == Way::House {
                    let from_free = (minor - from_hold).min(self.balance(&free));
                    let what = ["energy_uncovered", "take_or_pay_uncovered"][at];
                    self.post(id, what, &free, &earns, from_free);
                    paid[at] += from_free;
                }
            }
            match one.block {
                Block::Waits { until, is_deposited } if now <= until => {
                    self.free(id, is_deposited, held);
                }
                Block::Waits { .. } | Block::Used { .. } | Block::Asked => {
                    self.post(id, "refund", &escrow, &free, held);
                }
            }
        }
        let mut owed = 0;
        for (at, (what, minor)) in dues.into_iter().enumerate() {
            owed += minor - paid[at];
            let leg = ["energy_owed", "take_or_pay_owed"][at];
            self.owe(id, (what, leg), (payer, one.payee()), minor - paid[at]);
        }
        let mut earned = if one.payee() == one.seller { paid[0] + paid[1] } else { 0 };
        if owed == 0 {
            earned -= self.take_fee(id, facts, earned);
        }
        // Money that a block gave free in this run is not there yet.
        let given = if one.payer() == one.seller && one.block == self.contracts[&id].block {
            self.balance(&free) - before
        } else {
            0
        };
        self.penalise(id, facts.due[2], earned, own + given);
    }

    /// From what the seller earned, from what it has, and the rest as a debt.
    fn penalise(&mut self, id: u64, penalty: i64, earned: i64, own: i64) {
        let one = self.contracts[&id].clone();
        let to = meter(one.buyer, "earned");
        let from_earned = penalty.min(earned);
        self.post(id, "penalty", &meter(one.seller, "earned"), &to, from_earned);
        let from_free = (penalty - from_earned).min(own);
        self.post(id, "penalty_uncovered", &meter(one.seller, "available"), &to, from_free);
        let paid = from_earned + from_free;
        self.contracts.get_mut(&id).unwrap().penalty_paid = paid;
        self.owe(id, ("penalty", "penalty_owed"), (one.seller, one.buyer), penalty - paid);
    }

    fn take_fee(&mut self, id: u64, facts: Facts, most: i64) -> i64 {
        if self.rules.way == Way::SellerBills {
            return 0;
        }
        let seller = self.contracts[&id].seller;
        let paid = (facts.due[0] + facts.due[1]).max(0);
        let fee = round(i128::from(paid) * self.rules.fee, 1_000_000).min(most);
        // Meters of a retailer are with the platform of the same number.
        let platform = format!("platform/{}:earned", (self.retailer_of)(seller));
        self.post(id, "fee", &meter(seller, "earned"), &platform, fee);
        fee
    }

    /// The rest of a block goes back to where it came from.
    fn free(&mut self, id: u64, is_deposited: bool, minor: i64) {
        let payer = self.contracts[&id].payer();
        let to = if is_deposited { meter(payer, "available") } else { "exchange:external".into() };
        self.post_once(id, "block_release", &meter(payer, "escrow"), &to, minor);
        self.contracts.get_mut(&id).unwrap().escrow -= minor;
    }

    /// Prepaid money passes both retailers.
    fn pass_on(&mut self, id: u64, kind: &str, total: i64) -> String {
        let one = self.contracts[&id].clone();
        let clearing = |of: u32| format!("retailer/{}:clearing", (self.retailer_of)(of));
        let (out, into) = (clearing(one.payer()), clearing(one.payee()));
        self.post(id, "retailer_debit", &meter(one.payer(), kind), &out, total);
        if out != into {
            self.post(id, "retailer_transfer", &out, &into, total);
        }
        into
    }

    fn owe(
        &mut self,
        id: u64,
        (what, leg): (&'static str, &'static str),
        (debtor, creditor): (u32, u32),
        open: i64,
    ) {
        if open > 0 {
            let creditor = meter(creditor, "owed");
            self.post(id, leg, &meter(debtor, "owes"), &creditor, open);
            let debt = Debt { what, debtor, creditor, open };
            self.contracts.get_mut(&id).unwrap().debts.push(debt);
        }
    }

    fn note_arrears(&mut self, id: u64, debtor: u32, now: Option<i64>) {
        let contract = self.contracts.get_mut(&id).unwrap();
        let mut own = contract.debts.iter().filter(|debt| debt.debtor == debtor);
        let owes = own.any(|debt| debt.what != "fine");
        let arrears = contract.arrears.entry(debtor).or_default();
        arrears.since = match (owes, now) {
            (true, Some(now)) => Some(arrears.since.unwrap_or(now)),
            (true, None) => arrears.since,
            (false, _) => None,
        };
    }

    /// Pays parts of debts under a contract, with money that has arrived: for energy in the payer's
    /// escrow, otherwise in the debtor's free money.
    fn collect(&mut self, id: u64, parts: &[(&'static str, u32, i64)]) {
        let is_energy = |what: &str| ["energy", "take_or_pay"].contains(&what);
        let for_energy = parts.iter().filter(|(what, ..)| is_energy(what));
        let total: i64 = for_energy.map(|(.., minor)| minor).sum();
        let payer = self.contracts[&id].payer();
        let mut arrived = meter(payer, "escrow");
        if self.rules.way == Way::Prepaid && total > 0 {
            arrived = self.pass_on(id, "escrow", total);
        }
        for &(what, debtor, minor) in parts {
            let from = if is_energy(what) { arrived.clone() } else { meter(debtor, "available") };
            self.clear(id, (what, debtor), &from, minor);
        }
        let left = self.contracts[&id].debts.iter().any(is_for_energy);
        let one = self.contracts[&id].clone();
        if total > 0 && !left && one.payee() == one.seller {
            let facts = one.facts.unwrap();
            let mut rest = (facts.due[0] + facts.due[1] - one.penalty_paid).max(0);
            rest -= self.take_fee(id, facts, rest);
            let own = one.debts.iter().find(|debt| debt.what == "penalty");
            let minor = own.map_or(0, |debt| debt.open).min(rest);
            self.clear(
                id,
                ("penalty from earnings", one.seller),
                &meter(one.seller, "earned"),
                minor,
            );
        }
        for debtor in [one.buyer, one.seller] {
            self.note_arrears(id, debtor, None);
        }
    }

    /// A part of a debt is paid from an account.
    fn clear(&mut self, id: u64, (what, debtor): (&'static str, u32), from: &str, minor: i64) {
        if minor <= 0 {
            return;
        }
        let (what, [paid, cleared]) = match what {
            "energy" => ("energy", ["energy_collected", "energy_cleared"]),
            "take_or_pay" => ("take_or_pay", ["take_or_pay_collected", "take_or_pay_cleared"]),
            "penalty" => ("penalty", ["penalty_recovered", "penalty_cleared"]),
            "fine" => ("fine", ["fine_collected", "fine_cleared"]),
            _ => ("penalty", ["penalty_collected", "penalty_cleared"]),
        };
        let contract = self.contracts.get_mut(&id).unwrap();
        let is_it = |debt: &&mut Debt| debt.what == what && debt.debtor == debtor;
        let debt = contract.debts.iter_mut().find(is_it).unwrap();
        debt.open -= minor;
        let creditor = debt.creditor.clone();
        contract.debts.retain(|debt| debt.open > 0);
        let earned = creditor.replace(":owed", ":earned");
        let owes = meter(debtor, "owes");
        if what == "fine" {
            self.post_once(id, paid, from, &earned, minor);
            self.post_once(id, cleared, &creditor, &owes, minor);
        } else {
            self.post(id, paid, from, &earned, minor);
            self.post(id, cleared, &creditor, &owes, minor);
        }
    }

    /// Money from outside pays parts of debts.
    fn take_in(&mut self, id: u64, parts: &[(&'static str, u32, i64)]) {
        let parts: Vec<_> = parts.iter().filter(|(.., minor)| *minor > 0).copied().collect();
        for &(what, debtor, minor) in &parts {
            if ["energy", "take_or_pay"].contains(&what) {
                let to = meter(debtor, "escrow");
                self.post_once(id, "payment", "exchange:external", &to, minor);
                self.contracts.get_mut(&id).unwrap().escrow += minor;
            } else {
                let to = meter(debtor, "available");
                self.post_once(id, "recovery", "exchange:external", &to, minor);
            }
        }
        self.collect(id, &parts);
    }

    /// A bill is paid, exactly or not at all.
    pub(in crate::tests) fn pay(&mut self, id: u64, minor: i64) {
        if minor > 0 && minor == self.bill(id) {
            let own = self.contracts[&id].debts.iter().filter(|debt| is_for_energy(debt));
            let parts: Vec<_> = own.map(|debt| (debt.what, debt.debtor, debt.open)).collect();
            self.take_in(id, &parts);
        }
    }

    /// Free money pays debts for energy, contract by contract, whole or not at all.
    pub(super) fn draw(&mut self, payer: u32) {
        if ![Way::House, Way::Prepaid].contains(&self.rules.way) {
            return;
        }
        let ids: Vec<u64> = self.contracts.keys().copied().collect();
        for id in ids {
            let total = self.bill(id);
            let free = meter(payer, "available");
            if self.contracts[&id].payer() != payer || total == 0 || total > self.balance(&free) {
                continue;
            }
            self.post_once(id, "hold", &free, &meter(payer, "escrow"), total);
            let contract = self.contracts.get_mut(&id).unwrap();
            contract.escrow += total;
            let own = contract.debts.iter().filter(|debt| is_for_energy(debt));
            let parts: Vec<_> = own.map(|debt| (debt.what, debt.debtor, debt.open)).collect();
            self.collect(id, &parts);
        }
    }

    /// Money is recovered: what is open over all contracts in proportion, then fines, then the party's.
    pub(in crate::tests) fn recover(&mut self, party: u32, minor: i64) {
        let open = |model: &Self, is_fine: bool| -> Vec<(u64, Vec<(&'static str, i64)>)> {
            let of = |debts: &[Debt]| -> Vec<(&'static str, i64)> {
                let own = debts.iter().filter(|debt| debt.debtor == party);
                let own = own.filter(|debt| (debt.what == "fine") == is_fine);
                own.map(|debt| (debt.what, debt.open)).collect()
            };
            let all = model.contracts.iter().map(|(id, one)| (*id, of(&one.debts)));
            all.filter(|(_, debts)| !debts.is_empty()).collect()
        };
        let first = self
            .contracts
            .iter()
            .find(|(_, one)| one.debts.iter().any(|debt| debt.debtor == party));
        let Some(first) = first.map(|(id, _)| *id) else { return };
        let mut left = minor;
        // What is open now; a principal that is paid frees no fine.
        for list in [open(self, false), open(self, true)] {
            let sum = |debts: &[(&str, i64)]| debts.iter().map(|(_, open)| open).sum::<i64>();
            let weights: Vec<u128> =
                list.iter().map(|(_, debts)| u128::try_from(sum(debts)).unwrap()).collect();
            let used = left.min(list.iter().map(|(_, debts)| sum(debts)).sum());
            let shares = share(&weights, u128::try_from(used).unwrap());
            for ((id, debts), part) in list.iter().zip(shares) {
                let mut part = i64::try_from(part).unwrap();
                let mut parts = Vec::new();
                for &(what, open) in debts {
                    parts.push((what, party, part.min(open)));
                    part -= part.min(open);
                }
                self.take_in(*id, &parts);
            }
            left -= used;
        }
        self.post_once(first, "recovery", "exchange:external", &meter(party, "available"), left);
    }

    /// Who has owed for too long is fined, once for each contract.
    pub(in crate::tests) fn enforce(&mut self, now: i64) {
        let mut all: Vec<(i64, u64, u32)> = Vec::new();
        for (id, one) in &self.contracts {
            let late = one.arrears.iter().filter(|(_, arrears)| !arrears.is_fined);
            all.extend(
                late.filter_map(|(debtor, Arrears { since, .. })| Some(((*since)?, *id, *debtor))),
            );
        }
        for (since, id, debtor) in all {
            if now < since + (self.rules.due_days + self.rules.fine_days) * DAY {
                continue;
            }
            let contract = self.contracts.get_mut(&id).unwrap();
            contract.arrears.entry(debtor).or_default().is_fined = true;
            let own = contract.debts.iter().filter(|debt| debt.debtor == debtor);
            let open: i64 = own.filter(|debt| debt.what != "fine").map(|debt| debt.open).sum();
            let fine = round(i128::from(open) * self.rules.fine, 1_000_000);
            if fine > 0 {
                let creditor = format!("retailer/{}:owed", (self.retailer_of)(debtor));
                self.post_once(id, "fine", &meter(debtor, "owes"), &creditor, fine);
                let debt = Debt { what: "fine", debtor, creditor, open: fine };
                self.contracts.get_mut(&id).unwrap().debts.push(debt);
            }
        }
    }
}
