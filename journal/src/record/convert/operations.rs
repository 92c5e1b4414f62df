//! What operators ordered.

use types::{
    Action, Operated, Operation, Remark, Scope, Signature, SignedOperation, SlotKey, Timestamp,
    TradingControl, TradingState,
};

use super::{Archived, Stored, layout::OperationLayout, slot_key, zero};

/// It took effect.
const TOOK_EFFECT: u8 = 1;

/// What an action is about, as it stands in a record.
#[derive(Default)]
struct Subject {
    scope: (u8, u32),
    state: u8,
    slot: Option<SlotKey>,
}

impl Subject {
    fn of(action: &Action) -> Self {
        match action {
            Action::SetTrading(TradingControl { scope, state }) => {
                Self { scope: scope.parts(), state: state.code(), slot: None }
            }
            Action::Slot(_, key) => Self { slot: Some(*key), ..Self::default() },
        }
    }
}

impl Stored for SignedOperation {
    type Layout = OperationLayout;

    fn layout(&self) -> OperationLayout {
        let Operation { operator, number, action, valid_until, reason } = &self.operation;
        let subject = Subject::of(action);
        let slot = subject.slot;
        OperationLayout {
            signature: *self.signature.as_bytes(),
            reason: *reason.padded(),
            number: *number,
            valid_until: valid_until.ns(),
            scope_number: subject.scope.1,
            start_minute: slot.map_or(0, |key| key.slot.start_minute()),
            operator: *operator,
            signer: self.signer,
            market: slot.map_or(0, |key| key.market.get()),
            minutes: slot.map_or(0, |key| key.slot.minutes()),
            action: action.code(),
            scope_kind: subject.scope.0,
            state: subject.state,
            flags: 0,
            zero: [0; 4],
        }
    }

    fn restore(layout: &Archived<OperationLayout>) -> Option<Self> {
        if layout.flags == 0 { restore(layout) } else { None }
    }
}

/// Whatever the flags are.
fn restore(layout: &Archived<OperationLayout>) -> Option<SignedOperation> {
    zero(&layout.zero)?;
    let (start_minute, minutes) = (layout.start_minute.to_native(), layout.minutes.to_native());
    let market = layout.market.to_native();
    let subject = (layout.scope_kind, layout.scope_number.to_native(), layout.state);
    let action = if layout.action == Action::SET_TRADING {
        let scope = Scope::from_parts(subject.0, subject.1)?;
        let state = TradingState::from_code(subject.2)?;
        let has_no_slot = (start_minute, minutes, market) == (0, 0, 0);
        has_no_slot.then_some(Action::SetTrading(TradingControl { scope, state }))?
    } else {
        let key = slot_key(start_minute, minutes, market)?;
        Action::of_slot(layout.action, key).filter(|_| subject == (0, 0, 0))?
    };
    let operation = Operation {
        operator: layout.operator.to_native(),
        number: layout.number.to_native(),
        action,
        valid_until: Timestamp::from_ns(layout.valid_until.to_native()),
        reason: Remark::from_padded(layout.reason)?,
    };
    let signature = Signature::new(layout.signature);
    Some(SignedOperation { operation, signer: layout.signer.to_native(), signature })
}

impl Stored for Operated {
    type Layout = OperationLayout;

    fn layout(&self) -> OperationLayout {
        let flags = if self.took_effect { TOOK_EFFECT } else { 0 };
        OperationLayout { flags, ..self.signed.layout() }
    }

    fn restore(layout: &Archived<OperationLayout>) -> Option<Self> {
        let signed = restore(layout)?;
        let is_known = layout.flags & !TOOK_EFFECT == 0;
        is_known.then_some(Self { signed, took_effect: layout.flags == TOOK_EFFECT })
    }
}
