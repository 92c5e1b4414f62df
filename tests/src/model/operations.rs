//! What operators order: once, in time, and the gravest when a second one agrees.

use std::collections::BTreeMap;

use types::{
    Action, CallExtended, CancelReason, Command, Event, KnownTrade, MarketDefinition,
    OPERATIONS_WAITING_MAX, Operated, Operation, Party, Phase, Price, RejectReason, Role,
    SignedOperation, SlotAction, SlotKey,
};

use super::{Model, Outcome, digest::Listing, refuse_if};

/// What operators ordered so far.
#[derive(Debug)]
pub(super) struct Desks {
    /// The highest number that each used.
    used: BTreeMap<u16, u64>,
    /// What waits for another operator.
    waiting: Vec<Operation>,
    /// The market that the command before brought.
    draft: Option<MarketDefinition>,
}

impl Desks {
    pub(super) const fn new() -> Self {
        Self { used: BTreeMap::new(), waiting: Vec::new(), draft: None }
    }
}

impl Model {
    pub(super) fn operate(
        &mut self,
        signed: &SignedOperation,
        made: Option<&KnownTrade>,
        events: &mut Vec<Event>,
    ) -> Outcome {
        let operation = signed.operation;
        for number in [operation.operator, signed.signer] {
            let operator = Party { role: Role::Operator, number };
            refuse_if(!self.parties.contains_key(&operator), RejectReason::UnknownParty)?;
        }
        refuse_if(self.last_time > operation.valid_until, RejectReason::SignatureExpired)?;
        let own = signed.signer == operation.operator;
        let took_effect = if own {
            let last = self.desks.used.get(&signed.signer).copied();
            let outdated = last.is_some_and(|last| operation.number <= last);
            refuse_if(outdated, RejectReason::OperationOutdated)?;
            let in_time = |other: &&Operation| other.valid_until >= self.last_time;
            let full = self.desks.waiting.iter().filter(in_time).count() >= OPERATIONS_WAITING_MAX;
            let waits = operation.action.needs_two();
            refuse_if(waits && full, RejectReason::OperationsFull)?;
            !waits
        } else {
            let waits = self.desks.waiting.contains(&operation);
            refuse_if(!waits, RejectReason::OperationUnknown)?;
            true
        };
        events.push(Event::Operated(Operated { signed: *signed, took_effect }));
        if took_effect {
            self.act(&operation.action, made, events)?;
        } else if let Action::Bust(trade) = operation.action {
            self.check_bust(trade, made)?;
        }
        let last_time = self.last_time;
        self.desks.waiting.retain(|other| other.valid_until >= last_time && *other != operation);
        if own {
            self.desks.used.insert(operation.operator, operation.number);
        }
        if !took_effect {
            self.desks.waiting.push(operation);
        }
        Ok(())
    }

    fn act(
        &mut self,
        action: &Action,
        made: Option<&KnownTrade>,
        events: &mut Vec<Event>,
    ) -> Outcome {
        match *action {
            Action::Bust(trade) => self.bust(trade, made, events)?,
            Action::SetTrading(control) => self.set_trading(&control, events)?,
            Action::Slot(action, key) => self.act_on_slot(action, key, events)?,
            Action::Define(new) => {
                let draft = self.desks.draft.filter(|draft| new.fits(draft));
                let draft = draft.ok_or(RejectReason::InvalidMarket)?;
                let is_taken = self.markets.contains_key(&new.market);
                refuse_if(is_taken, RejectReason::AlreadyRegistered)?;
                self.define_market(&draft, events)?;
            }
        }
        Ok(())
    }

    /// What a command brings for the one that follows, and no other.
    pub(super) fn keep_draft(&mut self, command: &Command) {
        self.desks.draft =
            if let Command::DraftMarket(draft) = command { Some(*draft) } else { None };
    }

    /// As the module `engine::digest` describes it.
    pub(super) fn list_draft(&self, listing: &mut Listing) {
        if let Some(draft) = &self.desks.draft {
            listing.definition(draft);
        }
    }

    fn act_on_slot(
        &mut self,
        action: SlotAction,
        key: SlotKey,
        events: &mut Vec<Event>,
    ) -> Outcome {
        match action {
            SlotAction::RunAuction => {
                let market = self.check_call(key)?;
                self.uncross(key, &market, events);
            }
            SlotAction::ExtendCall => {
                let market = self.check_call(key)?;
                let result = self.auction(key, &market);
                let none = Price::from_micros(0);
                let price = result.price.unwrap_or(none);
                let reference = result.reference.unwrap_or(none);
                events.push(Event::CallExtended(CallExtended { key, price, reference }));
                let extended = self.slot(key).extended;
                if self.slot(key).phase == Phase::Frozen {
                    self.enter_phase(key, Phase::Call, events);
                }
                self.slot_mut(key).extended = extended;
            }
            SlotAction::CancelAuction => {
                self.check_call(key)?;
                self.cancel_slot(key, CancelReason::AuctionCancelled, events);
                self.enter_phase(key, Phase::Continuous, events);
            }
            SlotAction::Call => {
                let (_, phase) = self.check_before_gate(key)?;
                refuse_if(phase != Phase::Continuous, RejectReason::WrongPhase)?;
                self.enter_phase(key, Phase::Call, events);
            }
            SlotAction::Close => self.close_slot(key, events)?,
        }
        Ok(())
    }

    /// As the module `engine::digest` describes it.
    pub(super) fn list_operations(&self, listing: &mut Listing) {
        if self.desks.used.is_empty() {
            return;
        }
        listing.count(self.desks.used.len());
        for (operator, number) in &self.desks.used {
            listing.bytes(&operator.to_le_bytes());
            listing.bytes(&number.to_le_bytes());
        }
        let mut waiting = self.desks.waiting.clone();
        waiting.sort_by_key(|operation| (operation.operator, operation.number));
        listing.count(waiting.len());
        for operation in waiting {
            listing.bytes(&operation.operator.to_le_bytes());
            listing.bytes(&operation.number.to_le_bytes());
            listing.bytes(&operation.valid_until.ns().to_le_bytes());
            listing.bytes(operation.reason.padded());
            listing.bytes(&[operation.action.code()]);
            match operation.action {
                Action::SetTrading(control) => {
                    let (kind, number) = control.scope.parts();
                    listing.bytes(&[kind]);
                    listing.bytes(&number.to_le_bytes());
                    listing.bytes(&[control.state.code()]);
                }
                Action::Bust(trade) => listing.bytes(&trade.get().to_le_bytes()),
                Action::Slot(_, key) => listing.key(key),
                Action::Define(new) => {
                    listing.bytes(&new.market.get().to_le_bytes());
                    listing.bytes(&new.uncross_lead.minutes().to_le_bytes());
                    listing.bytes(&new.call_extension_minutes.to_le_bytes());
                }
            }
        }
    }
}
