//! What operators order: each operation once, and what needs two operators when the second has signed.
//!
//! A market that an operator defines stands in the command directly before the operation. Alone it does nothing.
//!
//! That the signatures verify was checked by the edge, and by every replay, as those of orders are.

use std::collections::BTreeMap;

use types::{
    Action, CancelReason, Event, KnownTrade, MarketDefinition, NewMarket, OPERATIONS_WAITING_MAX,
    Operated, Operation, Party, RejectReason, Role, Seq, SignedOperation, SlotAction, SlotKey,
    Timestamp,
};

use crate::engine::Engine;

/// What operators ordered before.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    /// By operator, the highest number used.
    used: BTreeMap<u16, u64>,
    /// By operator and number, what waits for another operator. Bounded.
    waiting: BTreeMap<(u16, u64), Operation>,
    /// The last definition that was brought for an operation, and where. It counts for the next command only.
    draft: Option<(Seq, MarketDefinition)>,
}

impl Operations {
    pub(crate) fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// The definition that the command at this position brought.
    pub(crate) fn draft_at(&self, at: Seq) -> Option<&MarketDefinition> {
        self.draft.as_ref().filter(|(seq, _)| *seq == at).map(|(_, definition)| definition)
    }

    /// A definition for the operation that follows.
    pub(crate) fn put_draft(&mut self, at: Seq, definition: MarketDefinition) {
        self.draft = Some((at, definition));
    }

    /// The highest number of each operator, by operator.
    pub(crate) fn used(&self) -> impl Iterator<Item = (u16, u64)> {
        self.used.iter().map(|(&operator, &number)| (operator, number))
    }

    /// What waits, by operator and number, with what lapsed since the last operation that was taken.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Operation> {
        self.waiting.values()
    }

    /// An operator used a number.
    pub(crate) fn put_used(&mut self, operator: u16, number: u64) {
        self.used.insert(operator, number);
    }

    /// An operation waits.
    pub(crate) fn put_waiting(&mut self, operation: Operation) {
        self.waiting.insert((operation.operator, operation.number), operation);
    }
}

impl Engine {
    /// An operator's order, with the trade that it is about: it takes effect, waits for another operator, or is
    /// refused and changes nothing.
    pub(crate) fn operate(
        &mut self,
        time: Timestamp,
        (signed, made): (&SignedOperation, Option<&KnownTrade>),
        events: &mut Vec<Event>,
    ) {
        let mark = events.len();
        let took_effect = match self.takes_effect(time, signed) {
            Ok(took_effect) => took_effect,
            Err(reason) => return events.push(Self::refused(reason)),
        };
        events.push(Event::Operated(Operated { signed: *signed, took_effect }));
        let operation = &signed.operation;
        let action = &operation.action;
        let done = if took_effect {
            self.act(time, (action, made), events)
        } else {
            self.check_proposed(time, action, made)
        };
        if let Err(reason) = done {
            events.truncate(mark);
            return events.push(Self::refused(reason));
        }
        self.operations.waiting.retain(|_, waiting| waiting.valid_until >= time);
        if signed.signer == operation.operator {
            self.operations.put_used(operation.operator, operation.number);
        }
        if took_effect {
            self.operations.waiting.remove(&(operation.operator, operation.number));
        } else {
            self.operations.put_waiting(*operation);
        }
    }

    /// Whether an operation takes effect now, or waits for another operator.
    /// Rule T-119.
    fn takes_effect(
        &self,
        time: Timestamp,
        signed: &SignedOperation,
    ) -> Result<bool, RejectReason> {
        let SignedOperation { operation, signer, .. } = signed;
        for number in [operation.operator, *signer] {
            if !self.registry.has_party(Party { role: Role::Operator, number }) {
                return Err(RejectReason::UnknownParty);
            }
        }
        if time > operation.valid_until {
            return Err(RejectReason::SignatureExpired);
        }
        let Operations { used, waiting, .. } = &self.operations;
        // Rule T-118.
        if *signer != operation.operator {
            let known = waiting.get(&(operation.operator, operation.number));
            return if known == Some(operation) {
                Ok(true)
            } else {
                Err(RejectReason::OperationUnknown)
            };
        }
        if used.get(signer).is_some_and(|&last| operation.number <= last) {
            return Err(RejectReason::OperationOutdated);
        }
        if !operation.action.needs_two() {
            return Ok(true);
        }
        let waiting = waiting.values().filter(|waiting| waiting.valid_until >= time).count();
        if waiting < OPERATIONS_WAITING_MAX { Ok(false) } else { Err(RejectReason::OperationsFull) }
    }

    /// Refuses at once what a second operator could not bring about either.
    fn check_proposed(
        &self,
        time: Timestamp,
        action: &Action,
        made: Option<&KnownTrade>,
    ) -> Result<(), RejectReason> {
        match action {
            Action::Bust(trade) => self.bustable(time, *trade, made).map(|_| ()),
            Action::SetTrading(_) | Action::Slot(..) | Action::Define(_) => Ok(()),
        }
    }

    /// Does it, or refuses before anything changed.
    fn act(
        &mut self,
        time: Timestamp,
        (action, made): (&Action, Option<&KnownTrade>),
        events: &mut Vec<Event>,
    ) -> Result<(), RejectReason> {
        match *action {
            Action::Bust(trade) => self.bust(time, trade, made, events)?,
            Action::SetTrading(control) => self.set_trading(control, events)?,
            Action::Slot(action, key) => self.act_on_slot(action, key, events)?,
            Action::Define(new) => self.define_ordered(new, events)?,
        }
        Ok(())
    }

    /// Makes the market of the command before. Unlike what configuration names again and again, an operator's
    /// market is new.
    fn define_ordered(
        &mut self,
        new: NewMarket,
        events: &mut Vec<Event>,
    ) -> Result<(), RejectReason> {
        let before = self.last_seq.get().checked_sub(1).map(Seq::new);
        let draft = before.and_then(|at| self.operations.draft_at(at)).copied();
        let definition =
            draft.filter(|draft| new.fits(draft)).ok_or(RejectReason::InvalidMarket)?;
        if self.registry.market_index(new.market).is_some() {
            return Err(RejectReason::AlreadyRegistered);
        }
        self.registry.define_market(&definition)?;
        events.push(Event::MarketDefined(definition));
        Ok(())
    }

    fn act_on_slot(
        &mut self,
        action: SlotAction,
        key: SlotKey,
        events: &mut Vec<Event>,
    ) -> Result<(), RejectReason> {
        match action {
            // Rule T-120.
            SlotAction::RunAuction => {
                let index = self.in_call(key)?;
                self.uncross(index, events);
            }
            SlotAction::ExtendCall => {
                let index = self.in_call(key)?;
                self.extend_call(index, events);
            }
            // Rule T-122.
            SlotAction::CancelAuction => {
                let index = self.in_call(key)?;
                self.cancel_slot(index, CancelReason::AuctionCancelled, events);
                self.trade_continuously(index, events);
            }
            SlotAction::Close => {
                let index = self.closable(key)?;
                self.close(index, events);
            }
            SlotAction::Call => {
                let index = self.callable(key)?;
                self.call_again(index, events);
            }
        }
        Ok(())
    }
}
