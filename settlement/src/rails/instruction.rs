//! An instruction to a payment rail, and its life.

use core::fmt;

use types::{Money, Timestamp, TradeId};

use super::Answer;
use crate::{
    books::{
        accounts::Owner,
        posting::{pay_out_number, transfer_number},
    },
    rails::event::Outcome,
};

/// Of the number of a pay-out that was asked for, counted from below zero. Owners end before it.
const ASKED_FOR: i64 = 1 << 60;

/// The number of an instruction. It is derived from what causes it, so the same cause cannot write
/// two: contract, kind, and which one of its kind; of a pay-out, the owner and the day, or the owner's
/// own number of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstructionId(i64);

impl InstructionId {
    /// Of a contract: the `serial`-th of its kind, from 1.
    #[must_use]
    pub fn of_contract(contract: TradeId, kind: InstructionKind, serial: u16) -> Self {
        Self(transfer_number(contract, serial, kind.code()))
    }

    /// Of a pay-out to an owner on a day, counted from 1970. Below zero.
    #[must_use]
    pub fn of_pay_out(owner: Owner, day: u16) -> Self {
        let (role, number) = owner.parts();
        let owner = (i64::from(role) << 32) | i64::from(number);
        Self(!((owner << 24) | (i64::from(day) << 8) | i64::from(InstructionKind::PayOut.code())))
    }

    /// Of a pay-out that an owner asked for: its own number of the request. Below zero.
    #[must_use]
    pub fn of_request(owner: Owner, number: u16) -> Self {
        Self(Self::of_pay_out(owner, number).0 & !ASKED_FOR)
    }

    /// Whether it is a pay-out of free money that was asked for, and not one of earnings.
    #[must_use]
    pub const fn is_asked_for(self) -> bool {
        self.0 < 0 && !self.0 & ASKED_FOR != 0
    }

    /// Of a pay-out, the number of a transfer that is posted for it.
    #[must_use]
    pub fn transfer(self, owner: Owner, code: u8) -> i64 {
        let day = u16::try_from((!self.0 >> 8) & 0xffff).unwrap_or(0);
        let number = pay_out_number(owner, day, code);
        if self.is_asked_for() { number & !ASKED_FOR } else { number }
    }

    /// From a row.
    #[must_use]
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// As it stands in a row.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// Which one of its kind and contract; of a pay-out, nothing that means anything.
    #[must_use]
    pub fn serial(self) -> u16 {
        u16::try_from((self.0 >> 8) & 0xffff).unwrap_or(0)
    }

    /// From its 16 digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain =
            text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_plain)?;
        Some(Self(number.cast_signed()))
    }
}

impl fmt::Display for InstructionId {
    /// 16 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0.cast_unsigned())
    }
}

/// What a rail is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum InstructionKind {
    /// Keep the payer's money blocked until it is captured or given free.
    Block = 1,
    /// Take what is due from a block. The rest of the block stays until it is released.
    Capture = 2,
    /// Give the rest of a block free.
    Release = 3,
    /// Pull money from who owes it.
    Collect = 4,
    /// Pay earnings out.
    PayOut = 5,
    /// Pay back what a correction left over.
    Refund = 6,
    /// Present a bill, to be paid exactly.
    Bill = 7,
}

impl InstructionKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Block,
        Self::Capture,
        Self::Release,
        Self::Collect,
        Self::PayOut,
        Self::Refund,
        Self::Bill,
    ];

    /// The code in rows and numbers.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The kind with this code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Capture => "capture",
            Self::Release => "release",
            Self::Collect => "collect",
            Self::PayOut => "pay_out",
            Self::Refund => "refund",
            Self::Bill => "bill",
        }
    }

    /// What one of `amount` puts into the exchange's account at the rail once it is settled.
    #[must_use]
    pub const fn inflow(self, amount: i64) -> i64 {
        match self {
            Self::Capture | Self::Collect | Self::Bill => amount,
            Self::PayOut | Self::Refund => amount.saturating_neg(),
            Self::Block | Self::Release => 0,
        }
    }
}

/// Where an instruction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum InstructionState {
    /// Committed, and not sent.
    Written = 1,
    /// Sending was begun. It may have arrived.
    Sent = 2,
    /// The rail has it.
    Accepted = 3,
    /// Nobody knows whether the rail has it: it is asked.
    Unknown = 4,
    /// The rail has done it.
    Settled = 5,
    /// The rail has not done it and never will.
    Declined = 6,
    /// Its time is over: a bill that nobody paid.
    Expired = 7,
    /// It was never sent: when its time came there was nothing left to ask for.
    Dropped = 8,
}

impl InstructionState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Written,
        Self::Sent,
        Self::Accepted,
        Self::Unknown,
        Self::Settled,
        Self::Declined,
        Self::Expired,
        Self::Dropped,
    ];

    /// The code in rows.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The state with this code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// The name in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Unknown => "unknown",
            Self::Settled => "settled",
            Self::Declined => "declined",
            Self::Expired => "expired",
            Self::Dropped => "dropped",
        }
    }

    /// Whether something may still come of it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::Written | Self::Sent | Self::Accepted | Self::Unknown => true,
            Self::Settled | Self::Declined | Self::Expired | Self::Dropped => false,
        }
    }

    /// After an answer of the rail. `None` where it changes nothing.
    #[must_use]
    pub fn answered(self, answer: &Answer) -> Option<Self> {
        let next = match (self, answer) {
            (Self::Settled | Self::Declined | Self::Expired | Self::Dropped, _) => return None,
            // The answer to a query may be lost without making anything less certain.
            (Self::Accepted, Answer::Unknown) => Self::Accepted,
            (_, Answer::Accepted) => Self::Accepted,
            (_, Answer::Rejected) => Self::Declined,
            (_, Answer::Unknown) => Self::Unknown,
            (_, Answer::NotKnown) => Self::Written,
        };
        (next != self).then_some(next)
    }

    /// After an event. `None` where the event has no effect.
    #[must_use]
    pub const fn told(self, kind: InstructionKind, outcome: Outcome) -> Option<Self> {
        match (self, outcome) {
            (Self::Dropped | Self::Settled, _) => None,
            // Money that arrives after all is taken: a bill may be paid when it has lapsed.
            (Self::Declined | Self::Expired, Outcome::Settled { .. }) => match kind {
                InstructionKind::Collect | InstructionKind::Bill => Some(Self::Settled),
                InstructionKind::Block
                | InstructionKind::Capture
                | InstructionKind::Release
                | InstructionKind::PayOut
                | InstructionKind::Refund => None,
            },
            (Self::Declined | Self::Expired, Outcome::Declined | Outcome::Expired) => None,
            (Self::Written | Self::Sent | Self::Accepted | Self::Unknown, outcome) => {
                Some(match outcome {
                    Outcome::Settled { .. } => Self::Settled,
                    Outcome::Declined => Self::Declined,
                    Outcome::Expired => Self::Expired,
                })
            }
        }
    }
}

/// What a rail is asked, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Its number.
    pub id: InstructionId,
    /// What is asked.
    pub kind: InstructionKind,
    /// Under which contract; none for a pay-out.
    pub contract: Option<TradeId>,
    /// Who pays or is paid.
    pub owner: Owner,
    /// How much; above zero.
    pub amount: Money,
    /// Of a capture or release: the block.
    pub of: Option<InstructionId>,
    /// Where it stands.
    pub state: InstructionState,
    /// How often it was sent or asked about.
    pub attempts: u32,
    /// When something is to be done about it next.
    pub next: Timestamp,
}

#[cfg(test)]
mod tests {
    use types::MeterId;

    use super::*;

    #[test]
    fn numbers_are_read_back_and_differ() {
        let contract = TradeId::new((3 << 48) + 9);
        let first = InstructionId::of_contract(contract, InstructionKind::Bill, 1);
        let second = InstructionId::of_contract(contract, InstructionKind::Bill, 2);
        let paid = InstructionId::of_pay_out(Owner::Meter(MeterId::new(u32::MAX)), u16::MAX);
        let asked = InstructionId::of_request(Owner::Meter(MeterId::new(u32::MAX)), u16::MAX);
        assert!(asked.is_asked_for() && !paid.is_asked_for() && !first.is_asked_for());
        let transfers = [Owner::Exchange, Owner::Meter(MeterId::new(u32::MAX))]
            .map(|owner| [asked, paid].map(|id| id.transfer(owner, 51)));
        for number in transfers.as_flattened() {
            // As the view of transfers takes them apart.
            assert!(!number >= 1 << 62 && !number & 127 == 51);
        }
        let all: std::collections::BTreeSet<_> = transfers.as_flattened().iter().collect();
        assert_eq!(all.len(), 4);
        for id in [first, second, paid, asked] {
            assert_eq!(InstructionId::parse(&id.to_string()), Some(id));
        }
        assert!(first < second && second.serial() == 2);
        assert!(paid.number() < 0);
        for bad in ["", "1", "+000000000000001", "00000000000000G1", "0000000000000001 "] {
            assert_eq!(InstructionId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_final_stays() {
        for state in InstructionState::ALL.into_iter().filter(|state| !state.is_open()) {
            for answer in [Answer::Accepted, Answer::Rejected, Answer::Unknown, Answer::NotKnown] {
                assert_eq!(state.answered(&answer), None);
            }
            for kind in InstructionKind::ALL {
                let late = state.told(kind, Outcome::Settled { until: None });
                let pulls = matches!(kind, InstructionKind::Collect | InstructionKind::Bill);
                let failed =
                    matches!(state, InstructionState::Declined | InstructionState::Expired);
                assert_eq!(late.is_some(), pulls && failed);
                assert_eq!(state.told(kind, Outcome::Declined), None);
            }
        }
    }

    #[test]
    fn what_nobody_knows_is_asked_and_sent_again_under_its_own_number() {
        use InstructionState::{Accepted, Sent, Unknown, Written};
        assert_eq!(Sent.answered(&Answer::Unknown), Some(Unknown));
        assert_eq!(Unknown.answered(&Answer::NotKnown), Some(Written));
        assert_eq!(Unknown.answered(&Answer::Accepted), Some(Accepted));
        assert_eq!(Accepted.answered(&Answer::Unknown), None);
    }
}
