//! Everything random in the demo: a number that the seed and a few words decide, and nothing else.

/// A seeded source of numbers that depends on what is asked, not on how often.
#[derive(Debug, Clone, Copy)]
pub struct Dice {
    seed: u64,
}

/// What a number is for. Different questions about one meter and slot have unrelated answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Question {
    /// How far the forecast is off.
    ForecastError = 1,
    /// The limit of the first order.
    Limit = 2,
    /// What a platform does with an order that did not fill in the call.
    AfterCall = 3,
    /// Whether a producer's equipment fails.
    Outage = 4,
    /// What happens to a meter file.
    FileFate = 5,
    /// Which meters a utility curtails.
    Curtailment = 6,
    /// Which file never arrives.
    LostFile = 7,
    /// Which producer offers a contract to a neighbour.
    Producer = 8,
    /// To whom.
    Consumer = 9,
    /// Whether the neighbour wants it.
    Consent = 10,
    /// What a neighbour asks to change.
    Change = 11,
    /// Whether the other one agrees.
    ChangeConsent = 12,
    /// Who has joined a community.
    Community = 13,
}

impl Dice {
    /// A source that the seed decides.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// A number from 0 up to, not including, `sides`. Zero sides give zero.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the enum is repr(u8)")]
    pub fn roll(&self, question: Question, meter: u32, slot: u32, sides: u64) -> u64 {
        let place = (u64::from(meter) << 32) | u64::from(slot);
        let mixed = mix(mix(mix(self.seed) ^ u64::from(question as u8)) ^ place);
        mixed.checked_rem(sides).unwrap_or(0)
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_depend_on_seed_and_question_only() {
        let dice = Dice::new(7);
        let roll = |question, meter| dice.roll(question, meter, 3, 1_000_000);
        assert_eq!(roll(Question::Limit, 1), roll(Question::Limit, 1));
        assert_ne!(roll(Question::Limit, 1), roll(Question::Outage, 1));
        assert_ne!(roll(Question::Limit, 1), roll(Question::Limit, 2));
        assert_ne!(Dice::new(8).roll(Question::Limit, 1, 3, 1_000_000), roll(Question::Limit, 1));
        assert_eq!(dice.roll(Question::Limit, 1, 1, 0), 0);
    }
}
