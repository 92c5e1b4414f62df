//! Events of payment rails: each is taken once, and only here does money move.

use sha2::{Digest as _, Sha256};
use types::{MeterId, Money, Timestamp};

use super::{
    BlockOutcome, BlockRequest, DepositOutcome, PaymentOutcome, Pipeline, Work,
    agreement::Agreement, collecting, minute_of,
};
use crate::{
    books::accounts::{Account, AccountKind, Owner},
    error::SettlementError,
    mechanism::{Leg, LegKind, clearing_house},
    policy::Mechanism,
    rails::{
        Event, EventAnswer, Instruction, InstructionId, InstructionKind, InstructionState, News,
        Outcome, event::REFERENCE_MAX, statement,
    },
    store::{
        database::Connection,
        debts::{self, Blocked, Of},
        rails::{self, KeptEvent},
    },
};

impl Pipeline {
    /// Takes an event whose seal was checked; `body` are its bytes. The same event again gets the same
    /// answer and changes nothing.
    ///
    /// # Errors
    /// When stored data is damaged or the database refuses.
    pub fn rail_event(
        &mut self,
        event: &Event,
        body: &[u8],
        now: Timestamp,
    ) -> Result<EventAnswer, SettlementError> {
        match known(self.connection(), event, Sha256::digest(body).into())? {
            Some(answer) => Ok(answer),
            None => self.transact(|work| work.rail_event(event, body, now)),
        }
    }

    /// As [`Pipeline::rail_event`] of each, in one transaction: one sync serves them all.
    ///
    /// # Errors
    /// As there. Then none of them is taken.
    pub fn rail_events(
        &mut self,
        events: &[(Event, Vec<u8>)],
        now: Timestamp,
    ) -> Result<Vec<EventAnswer>, SettlementError> {
        self.transact(|work| {
            events.iter().map(|(event, body)| work.rail_event(event, body, now)).collect()
        })
    }
}

/// What an event was answered that was taken before.
fn known(
    connection: &Connection,
    event: &Event,
    digest: [u8; 32],
) -> Result<Option<EventAnswer>, SettlementError> {
    let kept = rails::event(connection, &event.id)?;
    Ok(kept.map(|kept| if kept.digest == digest { kept.answer } else { EventAnswer::Conflict }))
}

impl Work<'_> {
    fn rail_event(
        &mut self,
        event: &Event,
        body: &[u8],
        now: Timestamp,
    ) -> Result<EventAnswer, SettlementError> {
        let digest: [u8; 32] = Sha256::digest(body).into();
        if let Some(answer) = known(self.connection, event, digest)? {
            return Ok(answer);
        }
        let answer = self.take_event(event, now)?;
        let posted = self.posting.take_outside();
        if !answer.is_kept() {
            return Ok(answer);
        }
        let day = statement::day_of(event.at);
        let (instruction, reference, amount) = match event.news {
            News::Of { instruction, amount, .. } => {
                (Some(instruction), Some(instruction.to_string()), amount)
            }
            News::Deposit { reference, amount, .. } => {
                (None, Some(format!("deposit-{reference}")), amount)
            }
            News::Recovered { reference, amount, .. } => {
                (None, Some(format!("recovered-{reference}")), amount)
            }
        };
        for transfer in posted {
            let reference = reference.as_deref().unwrap_or_default();
            rails::put_booking(self.connection, transfer, reference, day)?;
        }
        let amount = amount.minor();
        let kept = KeptEvent { digest, answer, day, instruction, reference, amount };
        rails::put_event(self.connection, &event.id, &kept, body)?;
        Ok(answer)
    }

    fn take_event(
        &mut self,
        event: &Event,
        now: Timestamp,
    ) -> Result<EventAnswer, SettlementError> {
        match event.news {
            News::Of { instruction, outcome, amount } => {
                self.hear_of(instruction, (outcome, amount), event.at, now)
            }
            News::Deposit { reference, meter, amount } => {
                Ok(credited(self.deposit(reference, meter, amount)?))
            }
            News::Recovered { reference, meter, amount } => {
                self.recovered(reference, meter, amount)
            }
        }
    }

    /// Recovered money pays debts; what nobody owes any more is the party's.
    fn recovered(
        &mut self,
        reference: u64,
        meter: MeterId,
        amount: Money,
    ) -> Result<EventAnswer, SettlementError> {
        Ok(match self.recover_once(reference, meter, amount)? {
            PaymentOutcome::Paid => EventAnswer::Taken,
            PaymentOutcome::NothingOwed => {
                let own = REFERENCE_MAX.saturating_add(1).saturating_add(reference);
                credited(self.deposit(own, meter, amount)?)
            }
            PaymentOutcome::Exists => EventAnswer::Repeated,
            PaymentOutcome::UnknownMeter => EventAnswer::UnknownMeter,
            PaymentOutcome::Conflict
            | PaymentOutcome::UnknownContract
            | PaymentOutcome::NotExact
            | PaymentOutcome::NotPositive
            | PaymentOutcome::ReferenceOutOfRange => EventAnswer::Contradiction,
        })
    }

    /// Rule S-44.
    fn hear_of(
        &mut self,
        id: InstructionId,
        (outcome, amount): (Outcome, Money),
        at: Timestamp,
        now: Timestamp,
    ) -> Result<EventAnswer, SettlementError> {
        let Some(mut found) = rails::instruction(self.connection, id)? else {
            return Ok(EventAnswer::UnknownInstruction);
        };
        if found.amount != amount {
            return Ok(EventAnswer::Contradiction);
        }
        if found.kind == InstructionKind::Block && outcome == Outcome::Expired {
            return self.block_ended(&found, minute_of(at));
        }
        let Some(next) = found.state.told(found.kind, outcome) else {
            return Ok(unheard(found.state, outcome));
        };
        found.state = next;
        rails::update(self.connection, &found)?;
        match outcome {
            Outcome::Settled { until } => {
                rails::set_day(self.connection, id, statement::day_of(at))?;
                self.settled(&found, until, now)?;
            }
            Outcome::Declined | Outcome::Expired => self.failed(&found, now)?,
        }
        Ok(EventAnswer::Taken)
    }

    /// The rail gave a block free, because its time was over. It may say so before it says that it
    /// placed it.
    fn block_ended(
        &self,
        block: &Instruction,
        minute: i64,
    ) -> Result<EventAnswer, SettlementError> {
        // The minute of the end is not in it any more.
        let last = minute.saturating_sub(1);
        match block.state {
            InstructionState::Written
            | InstructionState::Sent
            | InstructionState::Accepted
            | InstructionState::Unknown => {
                rails::set_lapsed(self.connection, block.id, last)?;
                Ok(EventAnswer::Taken)
            }
            InstructionState::Settled => {
                let Some(contract) = block.contract else { return Ok(EventAnswer::Repeated) };
                if let Some(kept) = debts::block(self.connection, contract)? {
                    let expires = kept.expires.min(last);
                    debts::put_block(self.connection, contract, Blocked { expires, ..kept })?;
                }
                rails::set_lapsed(self.connection, block.id, last)?;
                Ok(EventAnswer::Taken)
            }
            InstructionState::Declined | InstructionState::Expired | InstructionState::Dropped => {
                Ok(EventAnswer::Repeated)
            }
        }
    }

    fn settled(
        &mut self,
        done: &Instruction,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), SettlementError> {
        let amount = done.amount.minor();
        match (done.kind, done.contract) {
            (InstructionKind::Block, Some(contract)) => {
                let lapsed = rails::lapsed(self.connection, done.id)?.unwrap_or(i64::MAX);
                let amount = done.amount;
                let request = BlockRequest { contract, amount, from_deposits: false, asked: now };
                let told = until.map_or(i64::MAX, minute_of).min(lapsed);
                if self.note_block(&request, |_, _| told)? == BlockOutcome::Blocked {
                    return Ok(());
                }
                // It came too late: nobody needs it.
                let whose = (contract, done.owner);
                let what = (InstructionKind::Release, Some(done.id));
                self.instruct(what, whose, amount.minor(), now)?;
                Ok(())
            }
            (InstructionKind::Capture, _) => {
                let (from, to) = (Account::EXTERNAL, Account::ARRIVING);
                self.post_for(done, &Leg::new(LegKind::Captured, from, to, amount))
            }
            (InstructionKind::Collect | InstructionKind::Bill, Some(contract)) => {
                let Some(agreement) = self.agreement(contract)? else { return Ok(()) };
                self.paid(&agreement, done, now)
            }
            (InstructionKind::PayOut | InstructionKind::Refund, _) => {
                let (from, to) = (Account::LEAVING, Account::EXTERNAL);
                self.post_for(done, &Leg::new(LegKind::PaidOut, from, to, amount))
            }
            (
                InstructionKind::Block
                | InstructionKind::Collect
                | InstructionKind::Bill
                | InstructionKind::Release,
                _,
            ) => Ok(()),
        }
    }

    /// A bill was paid, or a debt was pulled: it pays what is open by now. What is more goes back,
    /// and what is missing is asked for again. A clearing house takes it like a deposit.
    fn paid(
        &mut self,
        agreement: &Agreement,
        done: &Instruction,
        now: Timestamp,
    ) -> Result<(), SettlementError> {
        let Owner::Meter(payer) = done.owner else { return Ok(()) };
        let available = Account::of_meter(payer, AccountKind::Available);
        let amount = done.amount.minor();
        let whose = (agreement.id, agreement.mechanism);
        if agreement.mechanism == Mechanism::ClearingHouse {
            self.post_for(done, &Leg::new(LegKind::Deposit, Account::EXTERNAL, available, amount))?;
            self.use_called(agreement, payer, amount)?;
            return self.ask_payment(whose, now);
        }
        let used = self.pay_in(agreement, amount)?;
        let rest = amount.saturating_sub(used);
        if rest > 0 {
            self.post_for(done, &Leg::new(LegKind::Overpaid, Account::EXTERNAL, available, rest))?;
            self.ask_refund(whose, payer, rest, now)?;
        }
        self.ask_payment(whose, now)
    }

    /// Cash that was called for a contract covers that contract first, or pays its debts.
    fn use_called(
        &mut self,
        agreement: &Agreement,
        payer: MeterId,
        amount: i64,
    ) -> Result<(), SettlementError> {
        let uncovered = self.uncovered(agreement.id)?;
        let part = uncovered.min(amount);
        if part > 0 {
            self.post_once(agreement.id, &[clearing_house::hold(payer, part)])?;
            let escrowed = agreement.escrowed.saturating_add(part);
            self.set_hold(agreement.id, escrowed, uncovered.saturating_sub(part))?;
        }
        let open = debts::open(self.connection, Of::Contract(agreement.id))?;
        let own: Vec<_> = open.into_iter().filter(collecting::is_for_energy).collect();
        self.draw(payer, &own)?;
        self.cover(payer)?;
        self.draw_for_debts(payer)
    }

    /// Posts a leg under an instruction's own number, so that it can be posted only once.
    pub(super) fn post_for(
        &mut self,
        instruction: &Instruction,
        leg: &Leg,
    ) -> Result<(), SettlementError> {
        match instruction.contract {
            Some(contract) => {
                let folio = self.folio(contract)?;
                self.posting.post(folio, instruction.id.serial(), leg)
            }
            None => {
                let number = instruction.id.transfer(instruction.owner, leg.kind.code());
                self.posting.post_numbered(number, leg)
            }
        }
    }
}

/// What an event means that changes nothing.
const fn unheard(state: InstructionState, outcome: Outcome) -> EventAnswer {
    match (state, outcome) {
        (InstructionState::Settled, Outcome::Settled { .. })
        | (
            InstructionState::Declined | InstructionState::Expired,
            Outcome::Declined | Outcome::Expired,
        ) => EventAnswer::Repeated,
        (
            InstructionState::Written
            | InstructionState::Sent
            | InstructionState::Accepted
            | InstructionState::Unknown
            | InstructionState::Settled
            | InstructionState::Declined
            | InstructionState::Expired
            | InstructionState::Dropped,
            _,
        ) => EventAnswer::Contradiction,
    }
}

const fn credited(outcome: DepositOutcome) -> EventAnswer {
    match outcome {
        DepositOutcome::Credited => EventAnswer::Taken,
        DepositOutcome::Exists => EventAnswer::Repeated,
        DepositOutcome::UnknownMeter => EventAnswer::UnknownMeter,
        DepositOutcome::Conflict
        | DepositOutcome::NotPositive
        | DepositOutcome::ReferenceOutOfRange => EventAnswer::Contradiction,
    }
}
