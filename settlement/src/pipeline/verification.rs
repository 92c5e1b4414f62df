//! The verification cycle: allocate, decide, settle, post, append; slot by slot.
//!
//! A slot is verified again whenever a contract, reading or curtailment of it is new. A contract
//! whose outcome comes out the same is left alone; otherwise its transfers are reversed and posted
//! anew as the next run, and a leaf supersedes the one before.

use types::{DeliverySlot, Energy, MarketId, MeterId, Price, Side, SlotKey, Timestamp, TradeId};

use super::{DAY_MINUTES, Pipeline, Work, agreement::Agreement, blocking, minute_of};
use crate::{
    allocation::{self, ALLOCATION_VERSION, Metered, Position, Share},
    books::{
        self, Due,
        accounts::{Account, AccountKind},
        posting::Folio,
    },
    error::{Doing as _, SettlementError, fit},
    mechanism::{self, BlockState, Claim, Cover, Funds, Leg, LegKind, Settled, clearing_house},
    metering,
    outcome::{self, Excess, Outcome, State, Verified},
    policy::{Mechanism, Missing, PenaltyTo, Policy, ShortfallPenalty},
    store::database::{DatabaseError, Statement, params},
    store::{
        self,
        debts::{self, Blocked, Of},
        intake, signed,
    },
    tlog::leaf::{self, OutcomeRecord},
};

/// A transaction of the cycle ends with the slot in which it reaches this many contracts:
/// 16,384 × about 600 bytes of rows is 10 MiB of write-ahead log.
pub const CYCLE_CONTRACTS_MAX: usize = 16_384;

/// Most changed slots looked up at once.
const CYCLE_SLOTS_MAX: u32 = 256;

/// What a verification cycle did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerificationSummary {
    /// Slots looked at.
    pub slots: u64,
    /// Contracts looked at.
    pub examined: u64,
    /// Contracts with a new outcome: first or corrected.
    pub changed: u64,
    /// Of these, corrections of an earlier outcome.
    pub corrected: u64,
    /// Contracts that still miss a reading.
    pub awaiting: u64,
    /// Of those with a new outcome, the ones that rest on an estimate or on the rule for readings that
    /// never came.
    pub provisional: u64,
}

impl VerificationSummary {
    fn add(&mut self, part: &Self) {
        self.slots = self.slots.saturating_add(part.slots);
        self.examined = self.examined.saturating_add(part.examined);
        self.changed = self.changed.saturating_add(part.changed);
        self.corrected = self.corrected.saturating_add(part.corrected);
        self.awaiting = self.awaiting.saturating_add(part.awaiting);
        self.provisional = self.provisional.saturating_add(part.provisional);
    }
}

impl Pipeline {
    /// Verifies and settles every slot that ended by `now` and changed since it was last verified.
    ///
    /// # Errors
    /// When stored data is damaged or the database refuses. Slots finished before that stay
    /// finished, and calling again continues.
    pub fn verify(&mut self, now: Timestamp) -> Result<VerificationSummary, SettlementError> {
        self.verify_market(now, None)
    }

    /// As [`Pipeline::verify`], of one market only.
    ///
    /// # Errors
    /// As there.
    pub fn verify_market(
        &mut self,
        now: Timestamp,
        market: Option<MarketId>,
    ) -> Result<VerificationSummary, SettlementError> {
        let mut summary = VerificationSummary::default();
        loop {
            let slots = self.changed_slots(now, market)?;
            if slots.is_empty() {
                return Ok(summary);
            }
            let mut part = VerificationSummary::default();
            self.transact(|work| {
                part = VerificationSummary::default();
                let mut contracts = 0_usize;
                for key in &slots {
                    contracts = contracts.saturating_add(work.verify_slot(*key, now, &mut part)?);
                    if contracts >= CYCLE_CONTRACTS_MAX {
                        break;
                    }
                }
                work.note_cycle(now, market, &part)
            })?;
            summary.add(&part);
        }
    }

    /// Rule S-11.
    fn changed_slots(
        &self,
        now: Timestamp,
        market: Option<MarketId>,
    ) -> Result<Vec<SlotKey>, SettlementError> {
        const MINUTE_NS: i64 = 60_000_000_000;
        let minute = now.ns().div_euclid(MINUTE_NS);
        let rows: Vec<(u16, u32, u16)> = self
            .connection()
            .prepare_cached(
                "SELECT market, start_minute, minutes FROM slots
                 WHERE dirty = 1 AND end_minute <= ?1 AND (market = ?3 OR ?3 IS NULL)
                 UNION
                 SELECT market, start_minute, minutes FROM slots
                 WHERE waiting IS NOT NULL AND waiting <= ?1 AND (market = ?3 OR ?3 IS NULL)
                 ORDER BY start_minute, market, minutes LIMIT ?2",
            )
            .and_then(|mut select| {
                let columns =
                    |row: store::database::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
                let market = market.map(MarketId::get);
                select.query_map(params![minute, CYCLE_SLOTS_MAX, market], columns)?.collect()
            })
            .doing("look for changed slots")?;
        rows.into_iter()
            .map(|(market, start, minutes)| {
                let slot = DeliverySlot::new(start, minutes)
                    .map_err(|error| SettlementError::Damaged(error.to_string()))?;
                Ok(SlotKey { market: MarketId::new(market), slot })
            })
            .collect()
    }
}

/// A contract as the cycle sees it.
struct Row {
    id: TradeId,
    key: SlotKey,
    price: Price,
    energy: Energy,
    buyer: MeterId,
    seller: MeterId,
    escrowed: i64,
    state: State,
    run: u16,
    posted_run: u16,
    settled_wh: i64,
    newest_leaf: u64,
    mechanism: Mechanism,
    buy: Option<Share>,
    sell: Option<Share>,
    excess: Excess,
    /// One of its shares rests on an estimate or on the rule for missing readings.
    provisional: bool,
    /// Something is or was owed under it.
    has_debts: bool,
    /// Start of the slot for which it was captured.
    folio_minute: u32,
}

impl Row {
    /// Whether debts under it have to be looked at. Most contracts are paid at once and never have any; to
    /// find that out contract by contract was a sixth of a cycle.
    const fn may_owe(&self) -> bool {
        self.has_debts || self.posted_run > 0
    }

    const fn folio(&self) -> Folio {
        Folio { contract: self.id, minute: self.folio_minute }
    }

    fn verified(&self) -> Option<Verified> {
        let (buyer, seller) = (self.buy?, self.sell?);
        Some(Verified { energy: self.energy, price: self.price, buyer, seller })
    }

    /// What counts against the meter's energy on one side: settled, or allocated while the other
    /// side is missing.
    fn used(&self, side: Side) -> Energy {
        let own = match side {
            Side::Buy => self.buy,
            Side::Sell => self.sell,
        };
        self.verified().map_or_else(
            || own.map_or(Energy::ZERO, |share| share.allocated),
            |verified| verified.settled(),
        )
    }
}

/// Makes an outcome a contract's state. Without a hint SQLite would look for the trade first, far from the slot.
const WRITE_OUTCOME: &str =
    "UPDATE contracts INDEXED BY sqlite_autoindex_contracts_1 SET state = ?2, run = ?3, posted_run = ?4, settled = ?5,
    newest_leaf = ?6, uncovered = 0, provisional = ?7
    WHERE start_minute = ?8 AND market = ?9 AND minutes = ?10 AND trade = ?1";

const WRITING: &str = "write an outcome";

/// What the contracts of a slot are settled with, one after the other.
struct Pen<'c> {
    outcomes: Statement<'c>,
    legs: Vec<Leg>,
}

/// The contracts of one meter in one slot, as places in the list of rows.
struct Group {
    meter: MeterId,
    metered: Option<Metered>,
    provisional: bool,
    members: Vec<(Side, usize)>,
}

impl Work<'_> {
    /// Rule S-24.
    fn verify_slot(
        &mut self,
        key: SlotKey,
        now: Timestamp,
        summary: &mut VerificationSummary,
    ) -> Result<usize, SettlementError> {
        let mut rows = self.contracts_of(key)?;
        self.drop_cancelled(&mut rows)?;
        let cycle = Cycle { now, slot: key.slot };
        let groups = self.groups(cycle, &rows)?;
        self.allocate(key.slot, &groups, &mut rows)?;
        for group in &groups {
            attribute_excess(group, &mut rows);
        }
        self.read_balances(&rows)?;
        summary.slots = summary.slots.saturating_add(1);
        let mut pen = Pen {
            outcomes: self.connection.prepare_cached(WRITE_OUTCOME).doing(WRITING)?,
            legs: Vec::new(),
        };
        let mut waits = false;
        for row in &rows {
            summary.examined = summary.examined.saturating_add(1);
            match row.verified() {
                None => {
                    waits = true;
                    summary.awaiting = summary.awaiting.saturating_add(1);
                }
                Some(verified) => self.conclude(cycle, (row, &verified), &mut pen, summary)?,
            }
        }
        let is_open = waits || rows.iter().any(|row| row.provisional);
        let deadline = cycle.deadline(self.policy).filter(|_| waits);
        self.put_verified(key, deadline, is_open)?;
        Ok(rows.len())
    }

    /// Reads the balances that contracts will move which are settled for the first time.
    fn read_balances(&mut self, rows: &[Row]) -> Result<(), SettlementError> {
        let new = rows.iter().filter(|row| row.run == 0 && row.verified().is_some());
        let kinds = [AccountKind::Available, AccountKind::Escrow];
        self.posting.read_ahead(new.flat_map(|row| {
            let meters = [row.buyer, row.seller];
            meters.into_iter().flat_map(|meter| kinds.map(|kind| Account::of_meter(meter, kind)))
        }))
    }

    /// A slot is verified; contracts without readings wait until a minute, and it may have open ones.
    fn put_verified(
        &self,
        key: SlotKey,
        deadline: Option<i64>,
        is_open: bool,
    ) -> Result<(), SettlementError> {
        let (start, minutes) = (key.slot.start_minute(), key.slot.minutes());
        self.connection
            .prepare_cached(
                "UPDATE slots SET dirty = 0, waiting = ?4, open = ?5
                 WHERE start_minute = ?1 AND market = ?2 AND minutes = ?3",
            )
            .and_then(|mut update| {
                update.write(params![start, key.market.get(), minutes, deadline, is_open])
            })
            .doing("mark a slot as verified")?;
        Ok(())
    }

    fn contracts_of(&self, key: SlotKey) -> Result<Vec<Row>, SettlementError> {
        let slot = key.slot;
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT trade, price, energy, buyer, seller, escrowed, state, run, posted_run,
                 settled, newest_leaf,
                 (SELECT count(*) FROM debts d WHERE d.trade = c.trade)
                 + (SELECT count(*) FROM arrears a WHERE a.trade = c.trade), folio, mechanism
                 FROM contracts c WHERE start_minute = ?1 AND market = ?2 AND minutes = ?3
                 ORDER BY trade",
            )
            .doing("read the contracts of a slot")?;
        let mut found = select
            .query(params![slot.start_minute(), key.market.get(), slot.minutes()])
            .doing("read the contracts of a slot")?;
        let mut rows = Vec::new();
        while let Some(row) = found.next().doing("read the contracts of a slot")? {
            rows.push(read_row(key, row).doing("read the contracts of a slot")??);
        }
        Ok(rows)
    }

    /// Rule S-13.
    fn groups(&self, cycle: Cycle, rows: &[Row]) -> Result<Vec<Group>, SettlementError> {
        let slot = cycle.slot;
        let rule = cycle.overdue(self.policy);
        let mut places: Vec<(MeterId, Side, usize)> =
            Vec::with_capacity(rows.len().saturating_mul(2));
        for (index, row) in rows.iter().enumerate() {
            places.push((row.buyer, Side::Buy, index));
            places.push((row.seller, Side::Sell, index));
        }
        places.sort_unstable();
        let mut meters: Vec<MeterId> = places.iter().map(|place| place.0).collect();
        meters.dedup();
        let blocks = intake::blocks(self.connection, slot, &meters)?;
        let of_meter = |meter: MeterId| {
            let from = blocks.partition_point(|(of, _)| *of < meter);
            let to = blocks.partition_point(|(of, _)| *of <= meter);
            blocks.get(from..to).unwrap_or_default()
        };
        Ok(places
            .chunk_by(|first, second| first.0 == second.0)
            .filter_map(|chunk| {
                let meter = chunk.first()?.0;
                let covered = metering::cover(slot, of_meter(meter).iter().map(|(_, block)| block));
                let members: Vec<_> = chunk.iter().map(|&(_, side, index)| (side, index)).collect();
                let (metered, provisional) = match rule {
                    _ if covered.is_complete => (Some(covered.metered), covered.is_estimated),
                    None => (None, false),
                    Some(Missing::Nothing) => (Some(covered.metered), true),
                    Some(Missing::Contracted) => {
                        (Some(as_contracted(covered.metered, &members, rows)), true)
                    }
                };
                Some(Group { meter, metered, provisional, members })
            })
            .collect())
    }

    fn allocate(
        &self,
        slot: DeliverySlot,
        groups: &[Group],
        rows: &mut [Row],
    ) -> Result<(), SettlementError> {
        let caps = intake::caps(self.connection, slot)?;
        for group in groups {
            let Some(metered) = group.metered else { continue };
            let positions: Vec<Position> = group
                .members
                .iter()
                .filter_map(|&(side, index)| {
                    let row = rows.get(index)?;
                    Some(Position { contract: row.id, side, energy: row.energy })
                })
                .collect();
            let side = allocation::net_side(&positions);
            let cap = side.and_then(|side| caps.get(&(group.meter, side.code())).copied());
            let shares = allocation::allocate(&positions, metered, cap, self.policy.allocation);
            for (&(side, index), share) in group.members.iter().zip(shares) {
                if let Some(row) = rows.get_mut(index) {
                    row.provisional |= group.provisional;
                    match side {
                        Side::Buy => row.buy = Some(share),
                        Side::Sell => row.sell = Some(share),
                    }
                }
            }
        }
        Ok(())
    }

    /// Compares a contract's outcome with the one before and, if it differs, makes it a new run.
    fn conclude(
        &mut self,
        cycle: Cycle,
        (row, verified): (&Row, &Verified),
        pen: &mut Pen<'_>,
        summary: &mut VerificationSummary,
    ) -> Result<(), SettlementError> {
        let candidate = self.candidate(row, verified)?;
        let before = match row.run {
            0 => None,
            _ => Some(self.outcome_at(row.newest_leaf)?),
        };
        if before.as_ref().is_some_and(|before| before.says_the_same(&candidate)) {
            return Ok(());
        }
        let (record, posted_run) = match &before {
            // What is provisional is never final: it is trued up whenever its data comes.
            Some(before) if !before.provisional && cycle.is_final(self.policy) => {
                if before.outcome.state == State::Disputed {
                    return Ok(());
                }
                (disputed(before, &candidate), row.posted_run)
            }
            Some(before) if same_money(before, &candidate) => {
                (OutcomeRecord { settled: before.settled, ..candidate }, row.posted_run)
            }
            Some(_) | None => {
                let settled = self.repost(cycle.now, row, &candidate, &mut pen.legs)?;
                (OutcomeRecord { settled, ..candidate }, candidate.run)
            }
        };
        self.write_outcome(&mut pen.outcomes, row, &record, posted_run)?;
        summary.changed = summary.changed.saturating_add(1);
        summary.provisional = summary.provisional.saturating_add(u64::from(record.provisional));
        summary.corrected = summary.corrected.saturating_add(u64::from(before.is_some()));
        Ok(())
    }

    /// Appends an outcome and makes it the contract's state.
    fn write_outcome(
        &mut self,
        outcomes: &mut Statement<'_>,
        row: &Row,
        record: &OutcomeRecord,
        posted_run: u16,
    ) -> Result<(), SettlementError> {
        let leaf = self.ledger.append(&leaf::encode_outcome(record))?;
        let settled_wh = signed(record.outcome.settled.wh())?;
        let state = record.outcome.state;
        let columns = params![
            signed(row.id.get())?,
            state.code(),
            record.run,
            posted_run,
            settled_wh,
            signed(leaf)?,
            record.provisional,
            row.key.slot.start_minute(),
            row.key.market.get(),
            row.key.slot.minutes()
        ];
        outcomes.write(columns).doing(WRITING)?;
        self.count(row.state, -1, row.settled_wh.saturating_neg());
        self.count(state, 1, settled_wh);
        Ok(())
    }

    fn candidate(&self, row: &Row, verified: &Verified) -> Result<OutcomeRecord, SettlementError> {
        let outcome = outcome::decide(verified, self.policy);
        let due = if outcome.state == State::Disputed {
            Some(Due::default())
        } else {
            outcome::amounts(verified, &outcome, row.excess, self.policy)
                .and_then(|amounts| books::due(&amounts, self.policy))
        };
        let out_of_range = |what| SettlementError::OutOfRange { what, contract: row.id };
        Ok(OutcomeRecord {
            contract: row.id,
            run: row.run.checked_add(1).ok_or_else(|| out_of_range("the number of runs"))?,
            previous: row.newest_leaf,
            method: self.policy.allocation.code(),
            method_version: ALLOCATION_VERSION,
            buyer_allocated: verified.buyer.allocated,
            seller_allocated: verified.seller.allocated,
            outcome,
            provisional: row.provisional,
            excess: row.excess,
            due: due.ok_or_else(|| out_of_range("an amount"))?,
            settled: Settled::default(),
        })
    }

    pub(super) fn outcome_at(&self, index: u64) -> Result<OutcomeRecord, SettlementError> {
        store::ledger::leaf(self.connection, index)?
            .and_then(|bytes| leaf::decode_outcome(&bytes))
            .ok_or_else(|| SettlementError::Damaged(format!("leaf {index} is no outcome")))
    }

    /// Reverses the transfers of the live runs, if any, and posts those of the new one.
    /// Rule S-17.
    fn repost(
        &mut self,
        now: Timestamp,
        row: &Row,
        record: &OutcomeRecord,
        legs: &mut Vec<Leg>,
    ) -> Result<Settled, SettlementError> {
        let meters = (row.buyer, row.seller);
        if row.posted_run > 0 {
            let undone = row.posted_run..=row.run;
            let reversed = self.posting.reverse(row.folio(), undone, record.run)?;
            self.reopen(row.id, &reversed)?;
        }
        legs.clear();
        let parties = self.parties(row.id, meters, row.price)?;
        let payer = parties.payer();
        let (block, freed_to) = self.block_state(row, payer, now)?;
        let mut funds = Funds {
            escrow: row.escrowed,
            block,
            freed_to,
            payer_available: self.available(payer)?,
            seller_available: self.available(row.seller)?,
        };
        if funds.payer_available < 0 {
            // The reversal took back a refund that is in use elsewhere: so much of the hold is gone.
            let gone = funds.payer_available.saturating_neg();
            legs.push(clearing_house::uncover(payer, gone));
            funds.escrow = funds.escrow.saturating_sub(gone);
            funds.payer_available = 0;
            funds.seller_available = funds.seller_available.max(0);
        }
        let settled = if record.outcome.state == State::Disputed {
            Settled::default()
        } else {
            let rule = self.policy.shortfall_penalty.as_ref();
            let penalty_to = rule.map_or(PenaltyTo::Pool, |rule: &ShortfallPenalty| rule.to);
            let fee = self.fee((row.id, row.mechanism), &record.due)?;
            let claim = Claim { parties, due: record.due, penalty_to, fee };
            let settled = mechanism::rail(row.mechanism).settle(&claim, funds, legs);
            self.use_block(row.id, funds.block, legs)?;
            self.ask_capture((row.id, payer), funds.block, legs, now)?;
            self.pay_modification(&claim, &settled, row, legs)?;
            settled
        };
        self.write_debts((row.id, row.may_owe()), meters, legs, now)?;
        for leg in legs.iter().filter(|leg| leg.kind.is_of_run()) {
            self.posting.post(row.folio(), record.run, leg)?;
        }
        let once: Vec<Leg> = legs.iter().filter(|leg| !leg.kind.is_of_run()).copied().collect();
        self.post_once(row.id, &once)?;
        self.ask_payment((row.id, row.mechanism), now)?;
        self.ask_refund((row.id, row.mechanism), payer, settled.refund, now)?;
        Ok(settled)
    }

    /// Settles a contract once more on the outcome it has, without money that did not come.
    pub(super) fn settle_anew(
        &mut self,
        agreement: &Agreement,
        lost: i64,
        now: Timestamp,
    ) -> Result<(), SettlementError> {
        let rows = self.contracts_of(agreement.key)?;
        let Some(row) = rows.into_iter().find(|row| row.id == agreement.id) else { return Ok(()) };
        let before = self.outcome_at(row.newest_leaf)?;
        let row = Row { escrowed: row.escrowed.saturating_sub(lost), ..row };
        self.add_hold(row.id, lost.saturating_neg())?;
        let (what, previous) = ("the number of runs", row.newest_leaf);
        let run = row.run.checked_add(1);
        let run = run.ok_or(SettlementError::OutOfRange { what, contract: row.id })?;
        let candidate = OutcomeRecord { run, previous, ..before };
        let settled = self.repost(now, &row, &candidate, &mut Vec::new())?;
        let mut outcomes = self.connection.prepare_cached(WRITE_OUTCOME).doing(WRITING)?;
        self.write_outcome(&mut outcomes, &row, &OutcomeRecord { settled, ..candidate }, run)
    }

    /// What a seller still owes for a modification is paid from what this run earned.
    fn pay_modification(
        &self,
        claim: &Claim,
        settled: &Settled,
        row: &Row,
        legs: &mut Vec<Leg>,
    ) -> Result<(), SettlementError> {
        if !row.may_owe() {
            return Ok(());
        }
        let open = debts::open(self.connection, Of::Contract(row.id))?;
        let own: Vec<_> =
            open.into_iter().filter(|debt| debt.leg == LegKind::ModificationOwed).collect();
        let owes = settled.energy_owed > 0 || settled.take_or_pay_owed > 0;
        if own.is_empty() || owes || claim.parties.payee() != row.seller {
            return Ok(());
        }
        let paid = settled.energy_paid.saturating_add(settled.take_or_pay_paid);
        let left = paid.saturating_sub(settled.penalty_paid).saturating_sub(claim.fee).max(0);
        self.pay_from_earnings(row.seller, left, &own, legs)
    }

    /// What the rail has blocked for a contract, and where it goes when it is given free.
    /// Rule S-39.
    fn block_state(
        &self,
        row: &Row,
        payer: MeterId,
        now: Timestamp,
    ) -> Result<(BlockState, Account), SettlementError> {
        let block = match mechanism::rail(row.mechanism).cover() {
            Cover::ByRail => debts::block(self.connection, row.id)?,
            Cover::AtTrade | Cover::Never => None,
        };
        let Some(block) = block else { return Ok((BlockState::Used, Account::EXTERNAL)) };
        let state = if block.is_used {
            BlockState::Used
        } else if minute_of(now) <= block.expires {
            BlockState::Blocked
        } else {
            BlockState::Expired
        };
        Ok((state, blocking::source(block.is_deposited, payer, self.policy)))
    }

    /// Notes that a block is used up, and what of it was given free.
    fn use_block(
        &self,
        id: TradeId,
        state: BlockState,
        legs: &[Leg],
    ) -> Result<(), SettlementError> {
        if state == BlockState::Used {
            return Ok(());
        }
        if let Some(block) = debts::block(self.connection, id)? {
            debts::put_block(self.connection, id, Blocked { is_used: true, ..block })?;
        }
        let freed = legs.iter().filter(|leg| leg.kind == LegKind::BlockRelease);
        let freed = freed.map(|leg| leg.amount.minor()).fold(0, i64::saturating_add);
        self.add_hold(id, freed.saturating_neg())
    }

    /// Leaves out what was cancelled; where a rail should have blocked money and did not, the
    /// contract is cancelled now. One that is worth nothing needs no block.
    /// Rule S-40.
    fn drop_cancelled(&mut self, rows: &mut Vec<Row>) -> Result<(), SettlementError> {
        rows.retain(|row| !row.state.is_cancelled());
        let mut funded = Vec::with_capacity(rows.len());
        for row in rows.drain(..) {
            let by_rail = mechanism::rail(row.mechanism).cover() == Cover::ByRail
                && !self.is_free(row.price, row.energy);
            if by_rail && debts::block(self.connection, row.id)?.is_none() {
                self.cancel_unfunded(row.id)?;
            } else {
                funded.push(row);
            }
        }
        *rows = funded;
        Ok(())
    }

    fn available(&mut self, meter: MeterId) -> Result<i64, SettlementError> {
        self.posting.balance(Account::of_meter(meter, AccountKind::Available))
    }
}

/// What a slot is verified against.
#[derive(Debug, Clone, Copy)]
struct Cycle {
    now: Timestamp,
    slot: DeliverySlot,
}

impl Cycle {
    /// The minute from which readings are no longer waited for, if there is one.
    fn deadline(self, policy: &Policy) -> Option<i64> {
        let rule = policy.provisional?;
        let minutes = i64::from(rule.after_hours).saturating_mul(60);
        Some(minute_of(self.slot.end()).saturating_add(minutes))
    }

    /// What is taken in place of missing readings by now.
    /// Rule S-14.
    fn overdue(self, policy: &Policy) -> Option<Missing> {
        let deadline = self.deadline(policy)?;
        policy.provisional.filter(|_| minute_of(self.now) >= deadline).map(|rule| rule.missing)
    }

    /// Whether outcomes no longer change by themselves.
    /// Rule S-19.
    fn is_final(self, policy: &Policy) -> bool {
        let past = minute_of(self.now).saturating_sub(minute_of(self.slot.end()));
        let days = past.div_euclid(DAY_MINUTES);
        policy.finality_days.is_some_and(|finality| days > i64::from(finality))
    }
}

/// What is known of a meter, or its net position if that is more.
fn as_contracted(known: Metered, members: &[(Side, usize)], rows: &[Row]) -> Metered {
    let total = |of: Side| {
        let own = members.iter().filter(|(side, _)| *side == of);
        let energies = own.filter_map(|&(_, index)| rows.get(index)).map(|row| row.energy.wh());
        energies.fold(0, u64::saturating_add)
    };
    let (sold, bought) = (total(Side::Sell), total(Side::Buy));
    let at_least = |known: Energy, wh: u64| known.max(Energy::from_wh(wh));
    Metered {
        injected: at_least(known.injected, sold.saturating_sub(bought)),
        withdrawn: at_least(known.withdrawn, bought.saturating_sub(sold)),
    }
}

/// The outcome stands as it was; that the data says otherwise is for people to decide.
fn disputed(before: &OutcomeRecord, candidate: &OutcomeRecord) -> OutcomeRecord {
    OutcomeRecord {
        run: candidate.run,
        previous: candidate.previous,
        outcome: Outcome { state: State::Disputed, ..before.outcome },
        ..*before
    }
}

/// Whether the transfers of the earlier outcome may stay as they are.
fn same_money(before: &OutcomeRecord, now: &OutcomeRecord) -> bool {
    let disputed = |record: &OutcomeRecord| record.outcome.state == State::Disputed;
    disputed(before) == disputed(now) && before.due.moves_same_money(&now.due)
}

/// Spreads what a meter moved beyond its contracts over them, in proportion to their energy.
/// Rule S-27.
fn attribute_excess(group: &Group, rows: &mut [Row]) {
    let Some(metered) = group.metered else { return };
    for side in [Side::Buy, Side::Sell] {
        let register = match side {
            Side::Buy => metered.withdrawn,
            Side::Sell => metered.injected,
        };
        let mine: Vec<usize> =
            group.members.iter().filter(|(of, _)| *of == side).map(|&(_, index)| index).collect();
        let members = || mine.iter().filter_map(|&index| rows.get(index));
        let used = members().map(|row| row.used(side).wh()).fold(0, u64::saturating_add);
        let excess = u128::from(register.wh().saturating_sub(used));
        let weights: Vec<(TradeId, u64)> = members().map(|row| (row.id, row.energy.wh())).collect();
        let parts = allocation::largest_remainder(&weights, excess);
        for (index, part) in mine.into_iter().zip(parts) {
            if let Some(row) = rows.get_mut(index) {
                match side {
                    Side::Buy => row.excess.withdrawn = Energy::from_wh(part),
                    Side::Sell => row.excess.injected = Energy::from_wh(part),
                }
            }
        }
    }
}

fn read_row(
    key: SlotKey,
    row: store::database::Row<'_>,
) -> Result<Result<Row, SettlementError>, DatabaseError> {
    let numbers: (i64, i64, i64) = (row.get(0)?, row.get(2)?, row.get(10)?);
    let (state, mechanism): (u8, u8) = (row.get(6)?, row.get(13)?);
    let partial = Row {
        id: TradeId::default(),
        key,
        price: Price::from_micros(row.get(1)?),
        energy: Energy::ZERO,
        buyer: MeterId::new(row.get(3)?),
        seller: MeterId::new(row.get(4)?),
        escrowed: row.get(5)?,
        state: State::AwaitingMeterData,
        run: row.get(7)?,
        posted_run: row.get(8)?,
        settled_wh: row.get(9)?,
        newest_leaf: 0,
        mechanism: Mechanism::ClearingHouse,
        buy: None,
        sell: None,
        excess: Excess::default(),
        provisional: false,
        has_debts: row.get::<i64>(11)? > 0,
        folio_minute: row.get(12)?,
    };
    Ok((|| {
        Ok(Row {
            id: TradeId::new(fit(numbers.0, "a trade number")?),
            energy: Energy::from_wh(fit(numbers.1, "an energy")?),
            newest_leaf: fit(numbers.2, "a leaf index")?,
            state: State::from_code(state)
                .ok_or_else(|| SettlementError::Damaged(format!("state {state}")))?,
            mechanism: Mechanism::from_code(mechanism)
                .ok_or_else(|| SettlementError::Damaged(format!("mechanism {mechanism}")))?,
            ..partial
        })
    })())
}
