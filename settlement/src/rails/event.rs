//! What a rail tells: signed, numbered, taken once.

use types::{MeterId, Money, Timestamp};

use super::InstructionId;

/// Longest number of an event, in bytes.
pub const EVENT_ID_BYTES_MAX: usize = 64;

/// Largest reference of money that nobody asked for: references of deposits that the exchange makes
/// up itself are larger.
pub const REFERENCE_MAX: u64 = (1 << 60) - 1;

/// What became of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done. Of a block: until when the rail keeps it, its last minute included.
    Settled {
        /// The rail's word on when a block expires.
        until: Option<Timestamp>,
    },
    /// Not done, and never will be.
    Declined,
    /// A bill that was not paid in time; or a block that was given free because its time is over.
    Expired,
}

impl Outcome {
    /// The name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Settled { .. } => "settled",
            Self::Declined => "declined",
            Self::Expired => "expired",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// To an instruction.
    Of {
        /// Which.
        instruction: InstructionId,
        /// How it ended.
        outcome: Outcome,
        /// The rail's figure.
        amount: Money,
    },
    /// A meter's owner paid in.
    Deposit {
        /// The rail's number of it.
        reference: u64,
        /// For which meter.
        meter: MeterId,
        /// How much.
        amount: Money,
    },
    /// Money was recovered from a party that owes.
    Recovered {
        /// The rail's number of it.
        reference: u64,
        /// From whom.
        meter: MeterId,
        /// How much.
        amount: Money,
    },
}

/// An event whose signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The rail's number of it.
    pub id: String,
    /// When it happened, by the rail's clock. It decides the day of the statement.
    pub at: Timestamp,
    /// What happened.
    pub news: News,
}

/// What became of an event. A repetition gets the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EventAnswer {
    /// It had its effect.
    Taken = 1,
    /// The same was told under another number before: no further effect.
    Repeated = 2,
    /// It contradicts what the rail told before. It is kept, has no effect, and shows as a break.
    Contradiction = 3,
    /// No such instruction. It is not kept.
    UnknownInstruction = 4,
    /// Its number was used for another event. It is not kept.
    Conflict = 5,
    /// No such meter. It is kept, has no effect, and shows as a break.
    UnknownMeter = 6,
}

impl EventAnswer {
    /// The code in rows.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The answer with this code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        let all = [
            Self::Taken,
            Self::Repeated,
            Self::Contradiction,
            Self::UnknownInstruction,
            Self::Conflict,
            Self::UnknownMeter,
        ];
        all.into_iter().find(|answer| answer.code() == code)
    }

    /// The name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Repeated => "repeated",
            Self::Contradiction => "contradiction",
            Self::UnknownInstruction => "unknown_instruction",
            Self::Conflict => "conflict",
            Self::UnknownMeter => "unknown_meter",
        }
    }

    /// Whether it is kept under its number.
    #[must_use]
    pub const fn is_kept(self) -> bool {
        match self {
            Self::Taken | Self::Repeated | Self::Contradiction | Self::UnknownMeter => true,
            Self::UnknownInstruction | Self::Conflict => false,
        }
    }
}
