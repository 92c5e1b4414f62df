//! Monthly statements of retailers: a fold over the leaves of the ledger, and nothing else.
//!
//! A statement says of every contract of a retailer's meters what was bought and sold, which energy is
//! declared (settled) and which is pending, the charges by area and split, and what the retailer gets
//! from and owes to others. Prices and payments between prosumers are not in it: those are the parties'.
//!
//! The file is one JSON record a line: `head`, `contract`…, sums by `meter`, `charge` and `retailer`,
//! `total`, `signature`. The sums follow from the lines, so a reader makes them again ([`verify`]).

mod file;
mod sums;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::{Energy, MarketId, MeterId, Money, RetailerId, Side, SlotKey, Timestamp, TradeId};

pub use file::{StatementFault, seal, verify};
pub use sums::{ChargeSum, MeterSum, RetailerSum, Sums, Total};

use crate::{
    books::{
        self,
        accounts::{Account, Owner},
        posting::contract_of,
    },
    capture::{Contract, ContractSide},
    declaration,
    mechanism::LegKind,
    outcome::{Excess, State},
    policy::Policy,
    rails::statement::day,
    tlog::facts::{Leaf, Transfer},
};

/// The form of statements written here.
pub const VERSION: u8 = 1;

/// Largest distance of a statement's month from UTC: the day line is 14 hours away.
pub const UTC_OFFSET_MINUTES_MAX: i32 = 14 * 60;

/// Minutes of a day.
const DAY_MINUTES: i64 = 1_440;

/// A month of deliveries, at a distance from UTC. A contract is in the month in which its slot begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Month {
    text: String,
    utc_offset_minutes: i32,
    from_minute: i64,
    until_minute: i64,
}

impl Month {
    /// A month such as `2026-06`, that begins `utc_offset_minutes` before it does in UTC: 330 is
    /// India's. `None` if there is no such month or offset.
    #[must_use]
    pub fn new(text: &str, utc_offset_minutes: i32) -> Option<Self> {
        let first = day(&format!("{text}-01"))?;
        // The day before the 32nd day is of the next month, whatever the length of this one.
        let next = crate::rails::statement::date(first.checked_add(31)?);
        let until = day(&format!("{}-01", next.get(..7)?))?;
        if utc_offset_minutes.checked_abs()? > UTC_OFFSET_MINUTES_MAX {
            return None;
        }
        let minute =
            |day: i64| day.checked_mul(DAY_MINUTES)?.checked_sub(i64::from(utc_offset_minutes));
        Some(Self {
            text: text.to_owned(),
            utc_offset_minutes,
            from_minute: minute(first)?,
            until_minute: minute(until)?,
        })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How far its clock is ahead of UTC.
    #[must_use]
    pub const fn utc_offset_minutes(&self) -> i32 {
        self.utc_offset_minutes
    }

    fn has(&self, key: SlotKey) -> bool {
        (self.from_minute..self.until_minute).contains(&i64::from(key.slot.start_minute()))
    }
}

/// Minutes that a clock is ahead of UTC, from a text such as `+05:30`.
#[must_use]
pub fn utc_offset(text: &str) -> Option<i32> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let is_pair = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !is_pair(hours) || !is_pair(minutes) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let distance = hours.checked_mul(60)?.checked_add(minutes)?;
    let is_offset = minutes < 60 && distance <= UTC_OFFSET_MINUTES_MAX;
    is_offset.then_some(distance.checked_mul(sign)?)
}

/// Whose statement, of which month, and of which state of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// [`VERSION`].
    pub version: u8,
    /// The name of the ledger.
    pub ledger: String,
    /// Whose.
    pub retailer: u16,
    /// Such as `2026-06`.
    pub month: String,
    /// How far the month's clock is ahead of UTC.
    pub utc_offset_minutes: i32,
    /// From 1; one more with each checkpoint under which something settled was changed.
    pub revision: u32,
    /// Leaves under the first checkpoint of which everything here holds.
    pub leaves: u64,
    /// Root of that checkpoint, in hexadecimal.
    pub root: String,
    /// Of all amounts, which are in its minor units.
    pub currency: String,
}

/// A part of a charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChargePart {
    /// Its name in the policy.
    pub name: String,
    /// On the bill of this side.
    pub own_minor: i64,
    /// On the bill of the other side.
    pub other_minor: i64,
}

/// One side of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractLine {
    /// The contract's number.
    pub contract: u64,
    /// Where it was traded.
    pub market: u16,
    /// The market's area.
    pub area: String,
    /// When delivery begins, RFC 3339 in UTC.
    pub start: String,
    /// How long it takes.
    pub minutes: u16,
    /// The retailer's meter.
    pub meter: u32,
    /// `buy` or `sell`.
    pub side: String,
    /// The meter on the other side.
    pub counterparty: u32,
    /// Its retailer.
    pub counterparty_retailer: u16,
    /// Where the contract stands.
    pub state: String,
    /// The settlement run this is from; 0 before the first.
    pub run: u16,
    /// It rests on estimates, and will be settled anew.
    pub provisional: bool,
    /// What is contracted.
    pub contracted_wh: u64,
    /// Of it, what is not decided yet.
    pub pending_wh: u64,
    /// Declared: delivered and taken, not to be billed as the retailer's own energy.
    pub settled_wh: u64,
    /// Charges on the settled energy, to be billed to both sides by their retailers.
    pub charges: Vec<ChargePart>,
    /// Of the meter beyond its contracts, by this contract's part.
    pub excess_wh: u64,
    /// Its value at the retailer's rate: a memo.
    pub excess_minor: i64,
    /// What the retailer passed on to the other's, prepaid.
    pub to_minor: i64,
    /// What the other's retailer passed on.
    pub from_minor: i64,
    /// Fines of the meter, which are the retailer's.
    pub fines_minor: i64,
    /// Of them, what is paid.
    pub fines_paid_minor: i64,
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetailerStatement {
    /// Whose and of what.
    pub head: Head,
    /// By start of delivery, contract and side.
    pub lines: Vec<ContractLine>,
}

/// What a leaf did to a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// It says something for the first time.
    Grows,
    /// It changes what was settled.
    Revises,
}

/// What a settlement run left, as far as statements say it.
#[derive(Debug, Clone, Copy)]
struct Decided {
    run: u16,
    provisional: bool,
    settled: Energy,
    charge: [Money; 2],
    excess: Excess,
    feed_in: Money,
    retail: Money,
}

#[derive(Debug)]
struct Entry {
    contract: Contract,
    state: State,
    decided: Option<Decided>,
    /// Prepaid money from the payer's retailer to the payee's.
    passed: i64,
    /// Fines of the buyer's meter and of the seller's: imposed and paid.
    fines: [[i64; 2]; 2],
}

/// Gathers a retailer's month from leaves, in their order.
#[derive(Debug)]
pub struct Draft<'p> {
    retailer: RetailerId,
    month: &'p Month,
    policy: &'p Policy,
    entries: BTreeMap<TradeId, Entry>,
}

impl<'p> Draft<'p> {
    /// Nothing yet.
    #[must_use]
    pub const fn new(retailer: RetailerId, month: &'p Month, policy: &'p Policy) -> Self {
        Self { retailer, month, policy, entries: BTreeMap::new() }
    }

    /// Takes the next leaf.
    /// Rule S-59.
    pub fn take(&mut self, leaf: &Leaf) -> Effect {
        match leaf {
            Leaf::Contract(contract) => self.take_contract(contract),
            Leaf::Amendment(record) => {
                let Some(entry) = self.entries.get_mut(&record.contract) else {
                    return Effect::None;
                };
                let was_here = self.month.has(entry.contract.key);
                entry.contract.energy = record.energy;
                entry.state = record.state;
                if let Some(slot) = record.moved_to {
                    entry.contract.key.slot = slot;
                }
                let is_here = self.month.has(entry.contract.key);
                if was_here || is_here { Effect::Grows } else { Effect::None }
            }
            Leaf::Outcome(record) => {
                let Some(entry) = self.entries.get_mut(&record.contract) else {
                    return Effect::None;
                };
                if !self.month.has(entry.contract.key) {
                    // Nothing moves a contract any more that has an outcome.
                    self.entries.remove(&record.contract);
                    return Effect::None;
                }
                let due = &record.due;
                entry.state = record.outcome.state;
                let decided = Decided {
                    run: record.run,
                    provisional: record.provisional,
                    settled: record.outcome.settled,
                    charge: [due.charge_buyer, due.charge_seller],
                    excess: record.excess,
                    feed_in: due.feed_in,
                    retail: due.retail,
                };
                match entry.decided.replace(decided) {
                    None => Effect::Grows,
                    Some(_) => Effect::Revises,
                }
            }
            Leaf::Transfers(transfers) => self.take_transfers(transfers),
            Leaf::Default(_) | Leaf::Document(_) | Leaf::Operation(_) | Leaf::Market(_) => {
                Effect::None
            }
        }
    }

    fn take_contract(&mut self, contract: &Contract) -> Effect {
        if ![contract.buy.retailer, contract.sell.retailer].contains(&self.retailer) {
            return Effect::None;
        }
        let entry = Entry {
            contract: *contract,
            state: State::AwaitingMeterData,
            decided: None,
            passed: 0,
            fines: [[0; 2]; 2],
        };
        self.entries.insert(contract.id, entry);
        if self.month.has(contract.key) { Effect::Grows } else { Effect::None }
    }

    fn take_transfers(&mut self, transfers: &[Transfer]) -> Effect {
        let id = transfers.first().and_then(|transfer| contract_of(transfer.id));
        let entry = id.and_then(|id| self.entries.get_mut(&id));
        let Some(entry) = entry.filter(|entry| self.month.has(entry.contract.key)) else {
            return Effect::None;
        };
        let mut is_told = false;
        for transfer in transfers {
            is_told |= entry.take_transfer(transfer);
        }
        match (is_told, entry.decided) {
            (false, _) => Effect::None,
            (true, None) => Effect::Grows,
            (true, Some(_)) => Effect::Revises,
        }
    }

    /// The lines so far. `areas` are those of markets.
    #[must_use]
    pub fn lines(&self, areas: &BTreeMap<MarketId, String>) -> Vec<ContractLine> {
        let here = self.entries.values().filter(|entry| self.month.has(entry.contract.key));
        let mut entries: Vec<_> = here.collect();
        entries.sort_by_key(|entry| (entry.contract.key.slot.start_minute(), entry.contract.id));
        let sides = |entry: &Entry| {
            let Contract { buy, sell, .. } = entry.contract;
            [(Side::Buy, buy, sell), (Side::Sell, sell, buy)]
        };
        entries
            .into_iter()
            .flat_map(|entry| sides(entry).map(|of| (entry, of)))
            .filter(|(_, (_, own, _))| own.retailer == self.retailer)
            .map(|(entry, (side, own, other))| self.line(entry, side, (own, other), areas))
            .collect()
    }

    fn line(
        &self,
        entry: &Entry,
        side: Side,
        (own, other): (ContractSide, ContractSide),
        areas: &BTreeMap<MarketId, String>,
    ) -> ContractLine {
        let Contract { id, key, price, energy, .. } = entry.contract;
        let settled = entry.decided.map_or(Energy::ZERO, |decided| decided.settled);
        let excess = entry.decided.map_or((Energy::ZERO, Money::ZERO), |decided| match side {
            Side::Buy => (decided.excess.withdrawn, decided.retail),
            Side::Sell => (decided.excess.injected, decided.feed_in),
        });
        let payer = if price.micros() < 0 { Side::Sell } else { Side::Buy };
        let (to, from) = if side == payer { (entry.passed, 0) } else { (0, entry.passed) };
        let [fines, fines_paid] = match side {
            Side::Buy => entry.fines[0],
            Side::Sell => entry.fines[1],
        };
        ContractLine {
            contract: id.get(),
            market: key.market.get(),
            area: areas.get(&key.market).cloned().unwrap_or_default(),
            start: Timestamp::from_minutes(key.slot.start_minute()).to_string(),
            minutes: key.slot.minutes(),
            meter: own.meter.get(),
            side: side.name().to_owned(),
            counterparty: other.meter.get(),
            counterparty_retailer: other.retailer.get(),
            state: entry.state.name().to_owned(),
            run: entry.decided.map_or(0, |decided| decided.run),
            provisional: entry.decided.is_some_and(|decided| decided.provisional),
            contracted_wh: energy.wh(),
            pending_wh: declaration::pending(entry.state, energy, settled).wh(),
            settled_wh: settled.wh(),
            charges: entry.decided.map_or_else(Vec::new, |decided| self.charges(&decided, side)),
            excess_wh: excess.0.wh(),
            excess_minor: excess.1.minor(),
            to_minor: to,
            from_minor: from,
            fines_minor: fines,
            fines_paid_minor: fines_paid,
        }
    }

    /// The charges of a run, by name. A run under other rules than today's has only their sum.
    fn charges(&self, decided: &Decided, side: Side) -> Vec<ChargePart> {
        let part = |name: &str, [buyer, seller]: [Money; 2]| {
            let (own, other) = if side == Side::Buy { (buyer, seller) } else { (seller, buyer) };
            let (own_minor, other_minor) = (own.minor(), other.minor());
            ChargePart { name: name.to_owned(), own_minor, other_minor }
        };
        let sum = |parts: &[(Money, Money)]| {
            let add = |[buyer, seller]: [Money; 2], part: &(Money, Money)| {
                Some([buyer.checked_add(part.0)?, seller.checked_add(part.1)?])
            };
            parts.iter().try_fold([Money::ZERO; 2], add)
        };
        let parts = books::charges(self.policy, decided.settled);
        let is_zero = decided.charge == [Money::ZERO; 2];
        match parts.filter(|parts| sum(parts) == Some(decided.charge)) {
            Some(_) if is_zero => Vec::new(),
            Some(parts) => {
                let named = self.policy.charges.iter().zip(parts);
                named.map(|(charge, (buyer, seller))| part(&charge.name, [buyer, seller])).collect()
            }
            None if is_zero => Vec::new(),
            None => vec![part("charges", decided.charge)],
        }
    }
}

impl Entry {
    /// Whether the transfer is one that a statement tells of.
    fn take_transfer(&mut self, transfer: &Transfer) -> bool {
        let Ok(code) = u8::try_from(transfer.id & 0xff) else { return false };
        let is_reversal = code & LegKind::REVERSAL != 0;
        let kind = LegKind::from_code(code & !LegKind::REVERSAL);
        if kind == Some(LegKind::RetailerTransfer) {
            let minor = if is_reversal { transfer.minor.saturating_neg() } else { transfer.minor };
            self.passed = self.passed.saturating_add(minor);
            return true;
        }
        let paid = match kind {
            Some(LegKind::Fine) => 0,
            Some(LegKind::FineCollected) => 1,
            Some(_) | None => return false,
        };
        let of_meter = |meter: MeterId| {
            Account::from_number(transfer.debit).map(|account| account.owner)
                == Some(Owner::Meter(meter))
        };
        let side = usize::from(!of_meter(self.contract.buy.meter));
        if let Some(minor) = self.fines.get_mut(side).and_then(|of| of.get_mut(paid)) {
            *minor = minor.saturating_add(transfer.minor);
        }
        true
    }
}
