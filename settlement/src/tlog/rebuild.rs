//! Contracts and balances from nothing but the leaves of a log.
//!
//! Each leaf is decoded and checked against the ones before it: what it supersedes, that energy is not
//! above what was allocated, and that the money of an outcome is what was posted under it. In the end
//! all balances are on their side of zero and sum to it.

use std::collections::{BTreeMap, BTreeSet};

use types::{Digest, Energy, MeterId, Role, TradeId};

use super::{
    facts::{DocumentRecord, Leaf, Transfer},
    hash_leaf,
    leaf::{
        AmendmentRecord, DefaultRecord, DisconnectionStep, LEVEL_DISCONNECTION, LEVEL_SUSPENDED,
        OutcomeRecord,
    },
};
use crate::{
    books::{
        accounts::Account,
        posting::{contract_of, run_of},
    },
    capture::Contract,
    mechanism::LegKind,
    metering::DocumentKind,
    outcome::State,
};

/// A contract as its newest leaf leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Index of its own leaf.
    pub leaf: u64,
    /// Index of the newest leaf: its own, an amendment or an outcome.
    pub newest: u64,
    /// Where it stands.
    pub state: State,
    /// Which version of it, from 1.
    pub version: u32,
    /// What is contracted, in Wh.
    pub energy: Energy,
    /// What was settled, in Wh.
    pub settled: Energy,
    /// The newest outcome rests on an estimate, or on the rule for missing readings.
    pub provisional: bool,
    newest_hash: Digest,
    meters: [MeterId; 2],
    /// The enforcement level of each of them.
    levels: [u8; 2],
    outcome: Option<Box<OutcomeRecord>>,
    /// What the legs of the newest run with transfers moved, by kind.
    posted_run: u16,
    posted: BTreeMap<u8, i64>,
}

impl Standing {
    /// The higher enforcement level of both sides.
    #[must_use]
    pub fn level(&self) -> u8 {
        self.levels.into_iter().max().unwrap_or(0)
    }
}

/// How many leaves there are of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Contracts as traded.
    pub contracts: u64,
    /// Outcomes, first and corrected.
    pub outcomes: u64,
    /// Changes before delivery.
    pub amendments: u64,
    /// Defaults and levels of enforcement.
    pub defaults: u64,
    /// Transfers, of which one leaf may have several.
    pub transfers: u64,
    /// Documents.
    pub documents: u64,
    /// Orders of operators.
    pub operations: u64,
}

/// What the leaves say together.
#[derive(Debug, Clone, Default)]
pub struct Rebuilt {
    /// Every contract.
    pub contracts: BTreeMap<TradeId, Standing>,
    /// Every account that was moved, by its number, in minor units.
    pub balances: BTreeMap<i64, i64>,
    /// Leaves by kind.
    pub counts: Counts,
    ids: Vec<i64>,
    /// Documents in which retailers decided on disconnection.
    decisions: BTreeSet<u64>,
}

impl Rebuilt {
    /// Takes the next leaf.
    ///
    /// # Errors
    /// When it cannot be, after the ones before it. Says why.
    pub fn apply(&mut self, index: u64, bytes: &[u8]) -> Result<(), String> {
        let leaf = Leaf::decode(bytes).ok_or("the leaf is of no known kind and version")?;
        let hash = hash_leaf(bytes);
        match leaf {
            Leaf::Contract(contract) => self.contract(index, hash, &contract),
            Leaf::Outcome(record) => self.outcome(index, hash, record),
            Leaf::Amendment(record) => self.amendment(index, hash, &record),
            Leaf::Default(record) => self.default(&record),
            Leaf::Transfers(transfers) => self.transfers(&transfers),
            Leaf::Document(record) => {
                self.document(&record);
                Ok(())
            }
            // What an operation defined stands behind it, and is counted with it.
            Leaf::Market(_) => Ok(()),
            Leaf::Operation(_) => {
                self.counts.operations = self.counts.operations.saturating_add(1);
                Ok(())
            }
        }
    }

    /// What must hold of all leaves together.
    ///
    /// # Errors
    /// When it does not. Says what.
    pub fn finish(&mut self) -> Result<(), String> {
        self.ids.sort_unstable();
        if let Some([id, _]) = self.ids.array_windows().find(|[one, next]| one == next) {
            return Err(format!("transfer {id} is posted twice"));
        }
        let mut sum = 0_i128;
        for (&number, &minor) in &self.balances {
            let account =
                Account::from_number(number).ok_or_else(|| format!("account {number} is none"))?;
            if !account.kind.allows(minor) {
                return Err(format!("account {account} is {minor}, on the wrong side of zero"));
            }
            sum = sum.saturating_add(minor.into());
        }
        if sum != 0 {
            return Err(format!("all balances together are {sum}, not zero"));
        }
        let strange = self.ids.iter().filter_map(|&id| contract_of(id));
        match strange.into_iter().find(|id| !self.contracts.contains_key(id)) {
            Some(id) => Err(format!("there are transfers of contract {id} and no contract")),
            None => Ok(()),
        }
    }

    fn standing(&mut self, id: TradeId) -> Result<&mut Standing, String> {
        self.contracts.get_mut(&id).ok_or_else(|| format!("contract {id} has no leaf before this"))
    }

    fn contract(&mut self, index: u64, hash: Digest, contract: &Contract) -> Result<(), String> {
        let standing = Standing {
            leaf: index,
            newest: index,
            state: State::AwaitingMeterData,
            version: 1,
            energy: contract.energy,
            settled: Energy::ZERO,
            provisional: false,
            newest_hash: hash,
            meters: [contract.buy.meter, contract.sell.meter],
            levels: [0; 2],
            outcome: None,
            posted_run: 0,
            posted: BTreeMap::new(),
        };
        self.counts.contracts = self.counts.contracts.saturating_add(1);
        match self.contracts.insert(contract.id, standing) {
            None => Ok(()),
            Some(_) => Err(format!("contract {} is there already", contract.id)),
        }
    }

    fn outcome(
        &mut self,
        index: u64,
        hash: Digest,
        record: Box<OutcomeRecord>,
    ) -> Result<(), String> {
        self.counts.outcomes = self.counts.outcomes.saturating_add(1);
        let id = record.contract;
        let standing = self.standing(id)?;
        if record.previous != standing.newest {
            let (got, newest) = (record.previous, standing.newest);
            return Err(format!("contract {id}: supersedes leaf {got}, the newest is {newest}"));
        }
        if standing.outcome.as_ref().is_some_and(|before| record.run <= before.run) {
            return Err(format!("contract {id}: run {} is not after the one before", record.run));
        }
        if standing.state.is_cancelled() {
            return Err(format!("contract {id}: is cancelled, and is settled"));
        }
        let settled = record.outcome.settled;
        let most = record.buyer_allocated.min(record.seller_allocated).min(standing.energy);
        if settled > most {
            return Err(format!(
                "contract {id}: settles {settled:?}, at most {most:?} is possible"
            ));
        }
        standing.check_money(&record).map_err(|what| format!("contract {id}: {what}"))?;
        standing.state = record.outcome.state;
        standing.settled = settled;
        standing.provisional = record.provisional;
        standing.newest = index;
        standing.newest_hash = hash;
        standing.outcome = Some(record);
        Ok(())
    }

    fn amendment(
        &mut self,
        index: u64,
        hash: Digest,
        record: &AmendmentRecord,
    ) -> Result<(), String> {
        self.counts.amendments = self.counts.amendments.saturating_add(1);
        let id = record.contract;
        let standing = self.standing(id)?;
        // What nobody asked for, a cancellation without money or by the exchange, is no new version.
        let asked = u32::from(record.requester.is_some());
        let follows = record.previous == standing.newest
            && record.previous_hash == standing.newest_hash
            && record.version == standing.version.saturating_add(asked);
        if !follows || standing.outcome.is_some() {
            return Err(format!("contract {id}: version {} follows no leaf", record.version));
        }
        standing.version = record.version;
        standing.energy = record.energy;
        standing.state = record.state;
        standing.newest = index;
        standing.newest_hash = hash;
        Ok(())
    }

    fn default(&mut self, record: &DefaultRecord) -> Result<(), String> {
        self.counts.defaults = self.counts.defaults.saturating_add(1);
        let (debtor, contract) = (record.debtor, record.contract);
        let decided = record.step.and_then(DisconnectionStep::document);
        if let Some(document) = decided.filter(|document| !self.decisions.contains(document)) {
            return Err(format!("document {document} is no retailer's decision on disconnection"));
        }
        let standing = self.standing(contract)?;
        let sides = standing.meters.into_iter().zip(&mut standing.levels);
        let mut own = sides.filter(|(meter, _)| *meter == debtor).map(|(_, level)| level);
        let level = own.next().ok_or_else(|| {
            format!("meter {debtor} defaults under {contract}, which it is no side of")
        })?;
        let is_next = match record.step {
            None => {
                record.level >= *level
                    && (record.level < LEVEL_DISCONNECTION || record.level == *level)
            }
            Some(DisconnectionStep::Notice { .. }) => {
                (*level, record.level) == (LEVEL_SUSPENDED, LEVEL_DISCONNECTION)
            }
            Some(DisconnectionStep::Withdrawn { .. } | DisconnectionStep::Paid) => {
                (*level, record.level) == (LEVEL_DISCONNECTION, LEVEL_SUSPENDED)
            }
        };
        if !is_next {
            let (from, to) = (*level, record.level);
            return Err(format!("contract {contract}: level {to} of meter {debtor} after {from}"));
        }
        *level = record.level;
        Ok(())
    }

    fn document(&mut self, record: &DocumentRecord) {
        self.counts.documents = self.counts.documents.saturating_add(1);
        let is_decision = record.kind == DocumentKind::Disconnection.code();
        if is_decision && record.accepted > 0 && record.signer.role == Role::Retailer {
            self.decisions.insert(record.document);
        }
    }

    fn transfers(&mut self, transfers: &[Transfer]) -> Result<(), String> {
        for transfer in transfers {
            self.counts.transfers = self.counts.transfers.saturating_add(1);
            self.ids.push(transfer.id);
            let moved = [
                (transfer.debit, transfer.minor.checked_neg()),
                (transfer.credit, Some(transfer.minor)),
            ];
            for (account, by) in moved {
                if Account::from_number(account).is_none() {
                    return Err(format!(
                        "transfer {} moves account {account}, which is none",
                        transfer.id
                    ));
                }
                let balance = self.balances.entry(account).or_default();
                let sum = by.and_then(|by| balance.checked_add(by));
                *balance = sum.ok_or_else(|| format!("account {account} overflows"))?;
            }
            // The hold comes before its contract's leaf, and belongs to no run.
            if let Some(standing) =
                contract_of(transfer.id).and_then(|id| self.contracts.get_mut(&id))
            {
                standing.note_posted(transfer);
            }
        }
        Ok(())
    }
}

impl Standing {
    /// Sums what a run moves. Reversals and legs that belong to no run are only in the balances.
    fn note_posted(&mut self, transfer: &Transfer) {
        let code = u8::try_from(transfer.id & 0xff).unwrap_or(0);
        let Some(kind) = LegKind::from_code(code).filter(|kind| kind.is_of_run()) else {
            if code >= LegKind::REVERSAL && self.posted_run != run_of(transfer.id) {
                self.posted_run = run_of(transfer.id);
                self.posted.clear();
            }
            return;
        };
        if self.posted_run != run_of(transfer.id) {
            self.posted_run = run_of(transfer.id);
            self.posted.clear();
        }
        let sum = self.posted.entry(kind.code()).or_default();
        *sum = sum.saturating_add(transfer.minor);
    }

    /// That an outcome says how its amounts were met, and that this is what was posted: under its own
    /// run, or under the run whose transfers it lets stand.
    fn check_money(&self, record: &OutcomeRecord) -> Result<(), String> {
        let (due, met) = (&record.due, &record.settled);
        let pairs = [
            ("energy", due.energy.minor().saturating_abs(), met.energy_paid, met.energy_owed),
            ("take or pay", due.take_or_pay.minor(), met.take_or_pay_paid, met.take_or_pay_owed),
            ("the penalty", due.penalty.minor(), met.penalty_paid, met.penalty_owed),
        ];
        for (what, due, paid, owed) in pairs {
            if paid.checked_add(owed) != Some(due) {
                return Err(format!("of {what} {due} are due, {paid} paid and {owed} owed"));
            }
        }
        if self.posted_run != record.run {
            let before = self.outcome.as_ref().map(|before| before.settled);
            return if before.unwrap_or_default() == *met || is_nothing(record) {
                Ok(())
            } else {
                Err(format!("no transfers of run {} say how it was met", record.run))
            };
        }
        let posted = |kinds: &[LegKind]| {
            let sums = kinds.iter().filter_map(|kind| self.posted.get(&kind.code()));
            sums.copied().fold(0, i64::saturating_add)
        };
        use LegKind::{
            Energy, EnergyOwed, EnergyUncovered, Penalty, PenaltyOwed, PenaltyUncovered, TakeOrPay,
            TakeOrPayOwed, TakeOrPayUncovered,
        };
        let pairs = [
            ("energy paid", posted(&[Energy, EnergyUncovered]), met.energy_paid),
            ("energy owed", posted(&[EnergyOwed]), met.energy_owed),
            ("take or pay paid", posted(&[TakeOrPay, TakeOrPayUncovered]), met.take_or_pay_paid),
            ("take or pay owed", posted(&[TakeOrPayOwed]), met.take_or_pay_owed),
            ("penalty paid", posted(&[Penalty, PenaltyUncovered]), met.penalty_paid),
            ("penalty owed", posted(&[PenaltyOwed]), met.penalty_owed),
        ];
        match pairs.into_iter().find(|(_, posted, met)| posted != met) {
            Some((what, posted, met)) => {
                Err(format!("{what} is {met} in the outcome and {posted} in the transfers"))
            }
            None => Ok(()),
        }
    }
}

/// Whether an outcome needs no transfer.
fn is_nothing(record: &OutcomeRecord) -> bool {
    let met = &record.settled;
    let moved = [
        met.energy_paid,
        met.energy_owed,
        met.take_or_pay_paid,
        met.take_or_pay_owed,
        met.penalty_paid,
        met.penalty_owed,
    ];
    moved.into_iter().all(|minor| minor == 0)
}
