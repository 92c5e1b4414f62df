//! Instructions to payment rails: written with what causes them, handed out when they are due, and
//! brought further by what the rail answers.

use types::{Money, Timestamp, TradeId};

use super::{DAY_MINUTES, Pipeline, Work, agreement::Agreement, blocking, collecting, minute_of};
use crate::{
    books::accounts::{Account, AccountKind, Owner},
    capture::{self, Contract},
    error::{Doing as _, SettlementError},
    mechanism::{self, BlockState, Cover, Leg, LegKind},
    outcome::State,
    policy::Mechanism,
    rails::{
        Answer, Bill, Instruction, InstructionId, InstructionKind, InstructionState,
        bill::{self, CustomerParam},
        message::Submission,
        statement,
    },
    store::database::params,
    store::{
        debts::{self, Blocked, Of},
        rails, signed,
    },
};

/// Nanoseconds of a minute.
const MINUTE_NS: i64 = 60_000_000_000;

/// What the shell does about an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Send it.
    Submit,
    /// Ask where it stands.
    Query,
}

/// An instruction about which something is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// Its number.
    pub id: InstructionId,
    /// Which kind.
    pub kind: InstructionKind,
    /// What is to be done.
    pub task: Task,
    /// What is sent; the same each time.
    pub submission: Submission,
}

/// When something is done again about an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// After the first attempt without an answer, in seconds; each one more doubles it.
    pub retry_min_s: u32,
    /// It never becomes longer than this.
    pub retry_max_s: u32,
    /// After the rail has accepted, without an event.
    pub query_s: u32,
}

impl Pace {
    /// When to try again after so many attempts. Spread by the instruction's number, so that what
    /// failed together does not come back together.
    fn retry(self, now: Timestamp, attempts: u32, id: InstructionId) -> Timestamp {
        let doubled = 1_u64.checked_shl(attempts.saturating_sub(1).min(20)).unwrap_or(1);
        let wait_s = u64::from(self.retry_min_s).saturating_mul(doubled);
        let wait_ms = wait_s.min(self.retry_max_s.into()).saturating_mul(1_000);
        let spread = id.number().unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        let part_ms = wait_ms.saturating_mul(spread) >> 18;
        let wait_ms = wait_ms.saturating_add(part_ms);
        now.plus_ns(i64::try_from(wait_ms.saturating_mul(1_000_000)).unwrap_or(i64::MAX))
    }

    fn query(self, now: Timestamp) -> Timestamp {
        now.plus_ns(i64::from(self.query_s).saturating_mul(1_000_000_000))
    }
}

impl Pipeline {
    /// Hands out what is due by `now`, at most `most` instructions. That each of them is being sent is
    /// durable before it is handed out; one that is never answered is asked about later.
    ///
    /// # Errors
    /// When stored data is damaged or the database refuses.
    pub fn rail_errands(
        &mut self,
        now: Timestamp,
        most: u32,
        pace: Pace,
    ) -> Result<Vec<Errand>, SettlementError> {
        if rails::due(self.connection(), now, 1)?.is_empty() {
            return Ok(Vec::new());
        }
        self.transact(|work| {
            let mut errands = Vec::new();
            for due in rails::due(work.connection, now, most)? {
                errands.extend(work.hand_out(due, now, pace)?);
            }
            Ok(errands)
        })
    }

    /// Notes what a rail answered. No money moves by it, except back: what a rail refused to take is
    /// as if it had been declined.
    ///
    /// # Errors
    /// When stored data is damaged or the database refuses.
    pub fn rail_answer(
        &mut self,
        id: InstructionId,
        answer: &Answer,
        now: Timestamp,
        pace: Pace,
    ) -> Result<(), SettlementError> {
        self.transact(|work| work.note_answer((id, answer), now, pace))
    }

    /// As [`Pipeline::rail_answer`] of each, in one transaction: one sync serves them all.
    ///
    /// # Errors
    /// As there. Then none of them is noted.
    pub fn rail_answers(
        &mut self,
        answers: &[(InstructionId, Answer)],
        now: Timestamp,
        pace: Pace,
    ) -> Result<(), SettlementError> {
        self.transact(|work| {
            answers.iter().try_for_each(|(id, answer)| work.note_answer((*id, answer), now, pace))
        })
    }

    /// An instruction, if there is one of this number.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn rail_instruction(
        &self,
        id: InstructionId,
    ) -> Result<Option<Instruction>, SettlementError> {
        rails::instruction(self.connection(), id)
    }

    /// Everything asked under a contract.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn rail_instructions_of(
        &self,
        contract: TradeId,
    ) -> Result<Vec<Instruction>, SettlementError> {
        rails::of_contract(self.connection(), contract)
    }

    /// Instructions in the order of their numbers, at most `most` after one of them: those up to a
    /// state, in the order of [`InstructionState`].
    ///
    /// # Errors
    /// When the database refuses.
    pub fn rail_instructions(
        &self,
        after: Option<InstructionId>,
        last_state: InstructionState,
        most: u32,
    ) -> Result<Vec<Instruction>, SettlementError> {
        let number = after.map_or(i64::MIN, InstructionId::number);
        rails::after(self.connection(), number, last_state, most)
    }

    /// How many instructions of each kind are in each state, and their amounts together.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn rail_totals(
        &self,
    ) -> Result<Vec<(InstructionKind, InstructionState, u64, i64)>, SettlementError> {
        rails::totals(self.connection())
    }
}

impl Work<'_> {
    fn note_answer(
        &mut self,
        (id, answer): (InstructionId, &Answer),
        now: Timestamp,
        pace: Pace,
    ) -> Result<(), SettlementError> {
        let Some(mut found) = rails::instruction(self.connection, id)? else { return Ok(()) };
        let is_accepted = *answer == Answer::Accepted;
        if found.state.is_open() {
            found.next =
                if is_accepted { pace.query(now) } else { pace.retry(now, found.attempts, id) };
        }
        let next = found.state.answered(answer);
        found.state = next.unwrap_or(found.state);
        rails::update(self.connection, &found)?;
        if next == Some(InstructionState::Declined) {
            self.failed(&found, now)?;
        }
        Ok(())
    }

    /// Writes an instruction, if a rail is used. It is sent once `next` has come.
    pub(super) fn instruct(
        &self,
        (kind, of): (InstructionKind, Option<InstructionId>),
        (contract, owner): (TradeId, Owner),
        amount: i64,
        next: Timestamp,
    ) -> Result<Option<Instruction>, SettlementError> {
        if self.policy.rail.is_none() || amount <= 0 {
            return Ok(None);
        }
        let before: i64 = self
            .connection
            .prepare_cached("SELECT count(*) FROM rail_instructions WHERE trade = ?1 AND kind = ?2")
            .and_then(|mut select| {
                let trade = signed(contract.get()).unwrap_or(-1);
                select.query_row(params![trade, kind.code()], |row| row.get(0))
            })
            .doing("number an instruction")?;
        let serial = u16::try_from(before.saturating_add(1));
        let what = "the number of instructions";
        let serial = serial.map_err(|_| SettlementError::OutOfRange { what, contract })?;
        let new = Instruction {
            id: InstructionId::of_contract(contract, kind, serial),
            kind,
            contract: Some(contract),
            owner,
            amount: Money::from_minor(amount),
            of,
            state: InstructionState::Written,
            attempts: 0,
            next,
        };
        rails::insert(self.connection, &new)?;
        Ok(Some(new))
    }

    /// At capture: the payer's money is blocked now or in time, or cash is called near delivery.
    pub(super) fn ask_cover(
        &mut self,
        contract: &Contract,
        mechanism: Mechanism,
        uncovered: i64,
    ) -> Result<(), SettlementError> {
        let Some(rule) = self.policy.rail else { return Ok(()) };
        let slot = contract.key.slot;
        let (kind, minute, amount) = match (mechanism::rail(mechanism).cover(), self.policy.block) {
            (Cover::ByRail, Some(block)) => {
                let (asked, delivery) = (minute_of(contract.traded), minute_of(slot.end()));
                let minute = blocking::placed(asked, delivery, block);
                (InstructionKind::Block, minute, capture::hold_due(contract, self.policy)?)
            }
            (Cover::AtTrade, _) => {
                let Some(lead) = rule.call_lead_days else { return Ok(()) };
                let lead = i64::from(lead).saturating_mul(DAY_MINUTES);
                let minute = minute_of(slot.start()).saturating_sub(lead);
                (InstructionKind::Collect, minute, uncovered)
            }
            (Cover::ByRail | Cover::Never, _) => return Ok(()),
        };
        if amount == 0 && kind == InstructionKind::Block {
            // Energy without a price: there is nothing to block, and nothing is missing.
            let nothing = Blocked { expires: minute, is_deposited: false, is_used: true };
            return debts::put_block(self.connection, contract.id, nothing);
        }
        let payer = Owner::Meter(contract.parties().payer());
        let next = Timestamp::from_ns(minute.saturating_mul(MINUTE_NS));
        self.instruct((kind, None), (contract.id, payer), amount, next)?;
        Ok(())
    }

    /// At settlement: what is due is captured from the block, the rest given free.
    pub(super) fn ask_capture(
        &self,
        (contract, payer): (TradeId, types::MeterId),
        state: BlockState,
        legs: &[Leg],
        now: Timestamp,
    ) -> Result<(), SettlementError> {
        if state != BlockState::Blocked || self.policy.rail.is_none() {
            return Ok(());
        }
        let sum = |kinds: [LegKind; 2]| {
            let of = legs.iter().filter(|leg| kinds.contains(&leg.kind));
            of.map(|leg| leg.amount.minor()).fold(0, i64::saturating_add)
        };
        let captured = sum([LegKind::Energy, LegKind::TakeOrPay]);
        let freed = sum([LegKind::BlockRelease; 2]);
        let block = Some(InstructionId::of_contract(contract, InstructionKind::Block, 1));
        let whose = (contract, Owner::Meter(payer));
        self.instruct((InstructionKind::Capture, block), whose, captured, now)?;
        self.instruct((InstructionKind::Release, block), whose, freed, now)?;
        Ok(())
    }

    /// The contract was cancelled: the rail gives its block free.
    pub(super) fn free_block(
        &self,
        (contract, payer): (TradeId, types::MeterId),
        held: i64,
        now: Timestamp,
    ) -> Result<(), SettlementError> {
        let Some(block) = debts::block(self.connection, contract)? else { return Ok(()) };
        if block.is_used || block.is_deposited {
            return Ok(());
        }
        debts::put_block(self.connection, contract, Blocked { is_used: true, ..block })?;
        let of = InstructionId::of_contract(contract, InstructionKind::Block, 1);
        let whose = (contract, Owner::Meter(payer));
        self.instruct((InstructionKind::Release, Some(of)), whose, held, now)?;
        Ok(())
    }

    /// Whoever owes for energy under a contract is asked for it, once at a time: by a bill, or by
    /// pulling it. What is open when it is sent is what is asked for.
    pub(super) fn ask_payment(
        &self,
        (contract, mechanism): (TradeId, Mechanism),
        now: Timestamp,
    ) -> Result<(), SettlementError> {
        let kind = match mechanism {
            Mechanism::SellerBiller | Mechanism::PlatformBiller => InstructionKind::Bill,
            Mechanism::Block | Mechanism::ClearingHouse => InstructionKind::Collect,
            // Top-ups are the owner's own doing.
            Mechanism::Prepaid => return Ok(()),
        };
        if self.policy.rail.is_none() {
            return Ok(());
        }
        let Some((debtor, open)) = self.open_bill(contract)? else { return Ok(()) };
        let before = rails::of_contract(self.connection, contract)?;
        if before.iter().any(|asked| asked.kind == kind && asked.state.is_open()) {
            return Ok(());
        }
        self.instruct((kind, None), (contract, debtor), open, now)?;
        Ok(())
    }

    /// Who owes for energy under a contract, and how much.
    fn open_bill(&self, contract: TradeId) -> Result<Option<(Owner, i64)>, SettlementError> {
        let open = debts::open(self.connection, Of::Contract(contract))?;
        let bill: Vec<_> = open.into_iter().filter(collecting::is_for_energy).collect();
        let total = bill.iter().map(|debt| debt.open).fold(0, i64::saturating_add);
        Ok(bill.first().map(|debt| (Owner::Meter(debt.debtor), total)))
    }

    /// What a correction left over of money that came over a rail goes back over it.
    pub(super) fn ask_refund(
        &mut self,
        (contract, mechanism): (TradeId, Mechanism),
        payer: types::MeterId,
        amount: i64,
        now: Timestamp,
    ) -> Result<(), SettlementError> {
        match mechanism {
            Mechanism::Block | Mechanism::SellerBiller | Mechanism::PlatformBiller => {}
            // It stays the payer's balance.
            Mechanism::ClearingHouse | Mechanism::Prepaid => return Ok(()),
        }
        let from = Account::of_meter(payer, AccountKind::Available);
        let amount = amount.min(self.posting.balance(from)?);
        let whose = (contract, Owner::Meter(payer));
        let asked = self.instruct((InstructionKind::Refund, None), whose, amount, now)?;
        if let Some(Instruction { id, .. }) = asked {
            let leg = Leg::new(LegKind::PayOut, from, Account::LEAVING, amount);
            let folio = self.folio(contract)?;
            self.posting.post(folio, id.serial(), &leg)?;
        }
        Ok(())
    }

    /// What is done about an instruction now; nothing, if there is nothing left to ask for.
    fn hand_out(
        &self,
        due: Instruction,
        now: Timestamp,
        pace: Pace,
    ) -> Result<Option<Errand>, SettlementError> {
        let mut changed = due;
        changed.attempts = due.attempts.saturating_add(1);
        changed.next = pace.retry(now, changed.attempts, due.id);
        let is_written = due.state == InstructionState::Written;
        if due.kind == InstructionKind::Refund && self.has_open_capture(&due)? {
            // What has not come cannot go back.
            let waits = Instruction { next: pace.query(now), ..due };
            rails::update(self.connection, &waits)?;
            return Ok(None);
        }
        let stored = rails::body(self.connection, due.id)?;
        let submission = match stored.as_deref().map(Submission::read) {
            Some(Ok((submission, ..))) => submission,
            Some(Err(error)) => return Err(SettlementError::Damaged(error.to_string())),
            None => {
                let Some(amount) = self.still_due(&due)? else {
                    changed.state = InstructionState::Dropped;
                    rails::update(self.connection, &changed)?;
                    return Ok(None);
                };
                changed.amount = Money::from_minor(amount);
                let bill = self.bill(&changed, now)?;
                let submission = Submission::of(&changed, self.policy.currency, bill);
                rails::set_body(self.connection, due.id, &submission.to_body())?;
                submission
            }
        };
        if is_written {
            changed.state = InstructionState::Sent;
        }
        rails::update(self.connection, &changed)?;
        let task = if is_written { Task::Submit } else { Task::Query };
        Ok(Some(Errand { id: due.id, kind: due.kind, task, submission }))
    }

    fn has_open_capture(&self, refund: &Instruction) -> Result<bool, SettlementError> {
        let Some(contract) = refund.contract else { return Ok(false) };
        let asked = rails::of_contract(self.connection, contract)?;
        let captures = |one: &Instruction| one.kind == InstructionKind::Capture;
        Ok(asked.iter().any(|one| captures(one) && one.state.is_open()))
    }

    /// How much an instruction asks for that was never sent, as things stand now.
    fn still_due(&self, due: &Instruction) -> Result<Option<i64>, SettlementError> {
        let written = Some(due.amount.minor());
        let Some(contract) = due.contract else { return Ok(written) };
        let amount = match due.kind {
            InstructionKind::Block => {
                let Some(agreement) = self.agreement(contract)? else { return Ok(None) };
                let is_open = agreement.state == State::AwaitingMeterData
                    && debts::block(self.connection, contract)?.is_none();
                let value = capture::value(agreement.price, agreement.energy, self.policy);
                value.filter(|_| is_open)
            }
            InstructionKind::Collect | InstructionKind::Bill => {
                let owed = self.open_bill(contract)?.map_or(0, |(_, open)| open);
                Some(owed.saturating_add(self.uncovered(contract)?))
            }
            InstructionKind::Capture
            | InstructionKind::Release
            | InstructionKind::PayOut
            | InstructionKind::Refund => written,
        };
        Ok(amount.filter(|&amount| amount > 0))
    }

    /// What a clearing house still misses of a contract's hold.
    pub(super) fn uncovered(&self, contract: TradeId) -> Result<i64, SettlementError> {
        self.connection
            .prepare_cached("SELECT uncovered FROM contracts WHERE trade = ?1 AND state = 0")
            .and_then(|mut select| {
                let mut rows = select.query([signed(contract.get()).unwrap_or(-1)])?;
                rows.next()?.map_or(Ok(0), |row| row.get(0))
            })
            .doing("read a hold")
    }

    /// The bill of an instruction that presents one.
    fn bill(&self, asked: &Instruction, now: Timestamp) -> Result<Option<Bill>, SettlementError> {
        let Some(contract) = asked.contract.filter(|_| asked.kind == InstructionKind::Bill) else {
            return Ok(None);
        };
        let Some(agreement) = self.agreement(contract)? else { return Ok(None) };
        let parties = self.parties_of(&agreement)?;
        let biller = if agreement.mechanism == Mechanism::PlatformBiller {
            Owner::Platform(parties.seller_platform)
        } else {
            Owner::Meter(parties.payee())
        };
        let today = statement::day_of(now);
        let due_days = self.policy.enforcement.map_or(0, |rule| rule.due_days);
        let params = [
            ("meter", parties.payer().get().to_string()),
            ("contract", contract.get().to_string()),
            ("slotStart", agreement.key.slot.start().to_string()),
        ];
        let param = |(name, value): (&str, String)| CustomerParam { name: name.to_owned(), value };
        Ok(Some(Bill {
            biller_id: biller.to_string(),
            bill_number: asked.id.to_string(),
            bill_date: statement::date(today),
            due_date: statement::date(today.saturating_add(due_days.into())),
            bill_amount: bill::decimal(asked.amount.minor(), self.policy.currency),
            customer_params: params.into_iter().map(param).collect(),
            payment_amount_exactness: "EXACT".to_owned(),
        }))
    }

    /// What follows when a rail will not do what it was asked.
    pub(super) fn failed(
        &mut self,
        failed: &Instruction,
        now: Timestamp,
    ) -> Result<(), SettlementError> {
        let amount = failed.amount.minor();
        match (failed.kind, failed.contract) {
            (InstructionKind::Block, Some(contract)) => {
                let agreement = self.agreement(contract)?;
                let waits = agreement.is_some_and(|one| one.state == State::AwaitingMeterData);
                if waits && debts::block(self.connection, contract)?.is_none() {
                    self.cancel_unfunded(contract)?;
                }
                Ok(())
            }
            (InstructionKind::Capture, Some(contract)) => {
                let Some(agreement) = self.agreement(contract)? else { return Ok(()) };
                self.lose_block(&agreement, failed, now)
            }
            (InstructionKind::PayOut | InstructionKind::Refund, _) => self.return_money(failed),
            (InstructionKind::Collect | InstructionKind::Bill, Some(contract)) => {
                // Who does not pay is for enforcement; another amount is another question.
                let open = self.open_bill(contract)?.map_or(0, |(_, open)| open);
                if open == amount {
                    return Ok(());
                }
                let Some(agreement) = self.agreement(contract)? else { return Ok(()) };
                self.ask_payment((contract, agreement.mechanism), now)
            }
            // A rail that does not give a block free is for people.
            (
                InstructionKind::Block
                | InstructionKind::Capture
                | InstructionKind::Release
                | InstructionKind::Collect
                | InstructionKind::Bill,
                _,
            ) => Ok(()),
        }
    }

    /// What was to go out goes back to where it came from.
    fn return_money(&mut self, failed: &Instruction) -> Result<(), SettlementError> {
        let is_free = failed.contract.is_some() || failed.id.is_asked_for();
        let kind = if is_free { AccountKind::Available } else { AccountKind::Earned };
        let to = Account { owner: failed.owner, kind };
        let minor = failed.amount.minor();
        self.post_for(failed, &Leg::new(LegKind::PayOutReturned, Account::LEAVING, to, minor))?;
        match failed.owner {
            // What was asked for meanwhile takes it, as it would a deposit.
            Owner::Meter(meter) if failed.id.is_asked_for() => {
                self.cover(meter)?;
                self.draw_for_debts(meter)
            }
            Owner::Meter(_)
            | Owner::Retailer(_)
            | Owner::Utility(_)
            | Owner::Platform(_)
            | Owner::Exchange => Ok(()),
        }
    }

    /// What was to be captured never came: the contract is settled without it, and the payer owes.
    /// Rule S-47.
    fn lose_block(
        &mut self,
        agreement: &Agreement,
        failed: &Instruction,
        now: Timestamp,
    ) -> Result<(), SettlementError> {
        let amount = failed.amount.minor();
        let payer = self.parties_of(agreement)?.payer();
        // Refunds have waited for the capture, so none was sent.
        for mut refund in rails::of_contract(self.connection, agreement.id)? {
            let is_refund = refund.kind == InstructionKind::Refund;
            if is_refund && refund.state == InstructionState::Written {
                refund.state = InstructionState::Dropped;
                rails::update(self.connection, &refund)?;
                self.return_money(&refund)?;
            }
        }
        let from = Account::of_meter(payer, AccountKind::Escrow);
        let leg = Leg::new(LegKind::BlockLost, from, Account::ARRIVING, amount);
        self.post_for(failed, &leg)?;
        self.settle_anew(agreement, amount, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_to_its_end_and_is_spread() {
        let pace = Pace { retry_min_s: 2, retry_max_s: 60, query_s: 30 };
        let now = Timestamp::from_seconds(100);
        for (attempts, least_s) in [(1, 2), (2, 4), (3, 8), (6, 60), (40, 60)] {
            for number in [1, 77, -5, i64::MIN] {
                let id = InstructionId::from_number(number);
                let waited = pace.retry(now, attempts, id).ns() - now.ns();
                let least = least_s * 1_000_000_000;
                assert!((least..=least + least / 4).contains(&waited), "{attempts}: {waited}");
            }
        }
        assert_eq!(pace.query(now), Timestamp::from_seconds(130));
    }
}
