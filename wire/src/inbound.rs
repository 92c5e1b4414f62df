//! Stop 2 of an order's life: bytes become a message, or a [`DecodeError`].

use types::{ClientOrderId, NewOrder, OrderId, ReplaceOrder, Signature};

use crate::field::{DecodeError, Field};
use types::{Energy, MeterId, Price, Side, SlotKey, TimeInForce, Timestamp};

layout! {
    NewOrder {
        client_order: ClientOrderId,
        limit: Price,
        quantity: Energy,
        valid_until: Timestamp,
        key: SlotKey,
        meter: MeterId,
        side: Side,
        time_in_force: TimeInForce,
        zero 2,
    }
}
const _: () = assert!(NewOrder::SIZE == 48);

layout! {
    ReplaceOrder {
        client_order: ClientOrderId,
        order: OrderId,
        limit: Price,
        quantity: Energy,
        valid_until: Timestamp,
        meter: MeterId,
        zero 4,
    }
}
const _: () = assert!(ReplaceOrder::SIZE == 48);

/// The first message of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logon {
    /// Longest silence the client promises and expects, in milliseconds.
    pub heartbeat_ms: u32,
}
layout! { Logon { heartbeat_ms: u32, zero 4, } }

/// A message without content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Empty;
impl Field for Empty {
    const SIZE: usize = 0;
    const NAME: &'static str = "empty";
    fn parts(_: &'static str) -> Vec<(String, usize, &'static str)> {
        Vec::new()
    }
    fn put(&self, _: &mut Vec<u8>) {}
    fn take(_: &mut &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

/// A new order and the meter's signature over [`crate::signing::new_order`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedNew {
    /// What is signed.
    pub order: NewOrder,
    /// By the meter's key.
    pub signature: Signature,
}
layout! { SignedNew { order: NewOrder, signature: Signature, } }

/// A replacement and the meter's signature over [`crate::signing::replace_order`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedReplace {
    /// What is signed.
    pub replace: ReplaceOrder,
    /// By the meter's key.
    pub signature: Signature,
}
layout! { SignedReplace { replace: ReplaceOrder, signature: Signature, } }

/// A cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancel {
    /// The platform's own number for the request.
    pub client_order: ClientOrderId,
    /// The order to cancel.
    pub order: OrderId,
}
layout! { Cancel { client_order: ClientOrderId, order: OrderId, } }

/// Asks for an immediate answer: whatever the exchange sent before it has then arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Test {
    /// Comes back in the answer.
    pub token: u64,
}
layout! { Test { token: u64, } }

messages! {
    /// What a client may send on a trading session.
    Inbound {
        /// Begins the session; the first message, once.
        Logon(Logon) = 1, 16;
        /// Ends the session; answered by `LoggedOut`.
        Logout(Empty) = 2, 8;
        /// Nothing to say, still there.
        Heartbeat(Empty) = 3, 8;
        /// A new order.
        NewOrder(SignedNew) = 4, 120;
        /// A cancellation.
        CancelOrder(Cancel) = 5, 24;
        /// A replacement.
        ReplaceOrder(SignedReplace) = 6, 120;
        /// Asks for a `TestReply`.
        TestRequest(Test) = 7, 16;
    }
}

/// The messages of a frame, one by one.
#[derive(Debug)]
pub struct InboundMessages<'a> {
    rest: &'a [u8],
    left: u16,
}

impl<'a> InboundMessages<'a> {
    /// Over the payload of a frame with `count` messages.
    #[must_use]
    pub const fn new(payload: &'a [u8], count: u16) -> Self {
        Self { rest: payload, left: count }
    }
}

impl Iterator for InboundMessages<'_> {
    type Item = Result<Inbound, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            if self.rest.is_empty() {
                return None;
            }
            self.rest = &[];
            return Some(Err(DecodeError::TrailingBytes));
        }
        self.left = self.left.saturating_sub(1);
        let message = Inbound::decode(&mut self.rest);
        if message.is_err() {
            // Lengths can no longer be trusted: the rest of the frame is one error.
            self.left = 0;
            self.rest = &[];
        }
        Some(message)
    }
}
