//! What operators order while a market runs: signed, with a reason, and the gravest by two of them.
//!
//! An operator signs an [`Operation`]. Most take effect at once. What [`Action::needs_two`] waits until another
//! operator signs the same bytes, and is gone if that does not happen in time. With [`Action::Define`] the
//! operator signs the market's definition too, which goes before the operation as a command of its own.

use core::fmt;

use crate::{
    control::{TradingControl, TradingState, coded},
    identity::Signature,
    ids::{MarketId, TradeId},
    market::MarketDefinition,
    slot::SlotKey,
    time::{Lead, Timestamp},
};

/// Most operations that wait for a second operator, at a shard.
pub const OPERATIONS_WAITING_MAX: usize = 64;

/// Why an operator did something: 1 to 48 printable ASCII characters, padded with zero bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Remark([u8; Self::BYTES]);

impl Remark {
    /// Bytes of it, padding included.
    pub const BYTES: usize = 48;

    /// The remark with this text; `None` where it is empty, too long, or not printable ASCII, or begins or
    /// ends with a space.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let mut padded = [0; Self::BYTES];
        padded.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Self::from_padded(padded)
    }

    /// The remark with these bytes, if they are one.
    #[must_use]
    pub fn from_padded(padded: [u8; Self::BYTES]) -> Option<Self> {
        let used = padded.iter().position(|&byte| byte == 0).unwrap_or(Self::BYTES);
        let (text, padding) = padded.split_at_checked(used)?;
        let is_printable = text.iter().all(|&byte| byte == b' ' || byte.is_ascii_graphic());
        let is_trimmed = !text.is_empty() && text.trim_ascii() == text;
        let is_padded = padding.iter().all(|&byte| byte == 0);
        (is_printable && is_trimmed && is_padded).then_some(Self(padded))
    }

    /// The bytes, padding included.
    #[must_use]
    pub const fn padded(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let used = self.0.iter().position(|&byte| byte == 0).unwrap_or(Self::BYTES);
        // Printable ASCII, as it was made.
        self.0.get(..used).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

coded! {
    /// What is done to a slot. The codes are those of [`Action`], which begins with [`Action::SET_TRADING`].
    SlotAction {
        /// The auction of its call is held now, whenever it was due.
        RunAuction = 2, "run_auction";
        /// Its call goes on for the market's extension.
        ExtendCall = 3, "extend_call";
        /// Its call ends without its auction: its orders are cancelled, then it trades continuously.
        CancelAuction = 4, "cancel_auction";
        /// Its gate closes now.
        Close = 5, "close_slot";
        /// It trades continuously, and is called again: orders collect for another auction.
        Call = 8, "call_slot";
    }
}

/// A market that comes into being while the exchange runs, and what the timetable adds to its definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewMarket {
    /// Its number, which no market has.
    pub market: MarketId,
    /// The call of a slot ends this long before delivery.
    pub uncross_lead: Lead,
    /// How long a call lasts that an interruption or an extension began, in minutes.
    pub call_extension_minutes: u16,
}

impl NewMarket {
    /// Most minutes of an extension.
    pub const EXTENSION_MINUTES_MAX: u16 = 1_440;

    /// Whether it is about this market, and fits what that says of its own times.
    #[must_use]
    pub fn fits(&self, definition: &MarketDefinition) -> bool {
        let is_between =
            self.uncross_lead > definition.gate_lead && self.uncross_lead < definition.opening_lead;
        let is_long = (1..=Self::EXTENSION_MINUTES_MAX).contains(&self.call_extension_minutes);
        self.market == definition.market && is_between && is_long
    }
}

/// What is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A scope is suspended, killed, or let trade again.
    SetTrading(TradingControl),
    /// Something is done to a slot.
    Slot(SlotAction, SlotKey),
    /// A trade is undone: neither side delivers or pays.
    Bust(TradeId),
    /// A market comes into being. Its definition is signed with the operation.
    Define(NewMarket),
}

/// The event of an operation is the largest there is.
const _: () = assert!(size_of::<Action>() == 16);

impl Action {
    /// The code of [`Self::SetTrading`].
    pub const SET_TRADING: u8 = 1;
    /// The code of [`Self::Bust`].
    pub const BUST: u8 = 6;
    /// The code of [`Self::Define`].
    pub const DEFINE: u8 = 7;

    /// The code in messages and records.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::SetTrading(_) => Self::SET_TRADING,
            Self::Slot(action, _) => action.code(),
            Self::Bust(_) => Self::BUST,
            Self::Define(_) => Self::DEFINE,
        }
    }

    /// The action with this code upon a slot, if there is one.
    #[must_use]
    pub const fn of_slot(code: u8, key: SlotKey) -> Option<Self> {
        match SlotAction::from_code(code) {
            Some(action) => Some(Self::Slot(action, key)),
            None => None,
        }
    }

    /// Whether one operator is not enough for it: a kill cancels what others have open, and a bust takes back
    /// what they traded, for good.
    #[must_use]
    pub const fn needs_two(&self) -> bool {
        match self {
            Self::SetTrading(control) => matches!(control.state, TradingState::Killed),
            // Of a new market nobody has anything yet.
            Self::Slot(..) | Self::Define(_) => false,
            Self::Bust(_) => true,
        }
    }

    /// The slot it is about, if it is about one.
    #[must_use]
    pub const fn slot(&self) -> Option<SlotKey> {
        match self {
            Self::SetTrading(_) | Self::Bust(_) | Self::Define(_) => None,
            Self::Slot(_, key) => Some(*key),
        }
    }

    /// The name in logs and output.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SetTrading(control) => match control.state {
                TradingState::Active => "resume",
                TradingState::Suspended => "halt",
                TradingState::Killed => "kill",
            },
            Self::Slot(action, _) => action.name(),
            Self::Bust(_) => "bust",
            Self::Define(_) => "define",
        }
    }
}

/// What an operator orders. These fields are what operators sign; with a market, its definition behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Whose it is: the number of the operator who signs it first.
    pub operator: u16,
    /// The operator's own number of it, above all that this operator used before.
    pub number: u64,
    /// What.
    pub action: Action,
    /// Last instant at which it, or the second signature of it, takes effect.
    pub valid_until: Timestamp,
    /// Why.
    pub reason: Remark,
}

/// An operation, signed by an operator: the one whose it is, or another who agrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedOperation {
    /// What.
    pub operation: Operation,
    /// The number of the operator who signed.
    pub signer: u16,
    /// Over the operation.
    pub signature: Signature,
}

/// An operation was signed, and took effect or waits for another operator. What it caused follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operated {
    /// What was signed, by whom.
    pub signed: SignedOperation,
    /// Whether it took effect.
    pub took_effect: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_is_short_printable_and_trimmed() {
        let remark = Remark::new("feed of the retailer is down").unwrap();
        assert_eq!(remark.to_string(), "feed of the retailer is down");
        assert_eq!(Remark::from_padded(*remark.padded()), Some(remark));
        let longest = "x".repeat(Remark::BYTES);
        assert_eq!(Remark::new(&longest).unwrap().as_str(), longest);
        let long = "x".repeat(Remark::BYTES + 1);
        for text in ["", " x", "x ", "a\nb", "a\0b", "é", long.as_str()] {
            assert_eq!(Remark::new(text), None, "{text:?}");
        }
        let mut behind = *remark.padded();
        behind[47] = b'x';
        assert_eq!(Remark::from_padded(behind), None);
    }
}
