//! Values of what operators order.

use types::{Action, Operated, Operation, Remark, Signature, SignedOperation, Timestamp};

use super::values::Source;

impl Source {
    fn action(&mut self) -> Action {
        let code = u8::try_from(1 + self.below(5)).unwrap();
        let key = self.key();
        Action::of_slot(code, key).unwrap_or(Action::SetTrading(self.trading()))
    }

    pub(super) fn operation(&mut self) -> SignedOperation {
        let reason = format!("reason {}", self.u64());
        SignedOperation {
            operation: Operation {
                operator: self.u16(),
                number: self.u64(),
                action: self.action(),
                valid_until: Timestamp::from_ns(i64::from(self.u32())),
                reason: Remark::new(&reason).unwrap(),
            },
            signer: self.u16(),
            signature: Signature::new(self.bytes()),
        }
    }

    pub(super) fn operated(&mut self) -> Operated {
        Operated { signed: self.operation(), took_effect: self.bool() }
    }
}
