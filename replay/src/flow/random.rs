//! A seeded stream of numbers: xoshiro256++ 1.0 of Blackman and Vigna, filled by `SplitMix64`.

use types::Side;

/// The same seed gives the same numbers on every machine: only integers are involved.
#[derive(Debug, Clone)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// A stream of its own for each seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut filler = seed;
        let state = [(); 4].map(|()| {
            filler = filler.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let word = (filler ^ (filler >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^ (word >> 31)
        });
        Self { state }
    }

    fn next(&mut self) -> u64 {
        let [first, second, third, fourth] = self.state;
        let (third_mixed, fourth_mixed) = (third ^ first, fourth ^ second);
        self.state = [
            first ^ fourth_mixed,
            second ^ third_mixed,
            third_mixed ^ (second << 17),
            fourth_mixed.rotate_left(45),
        ];
        first.wrapping_add(fourth).rotate_left(23).wrapping_add(first)
    }

    /// From 0 up to, not including, `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        let product = u128::from(self.next()) * u128::from(end);
        // The high half of a product of two words is a word.
        u64::try_from(product >> 64).unwrap_or(u64::MAX)
    }

    /// From 0 up to, not including, `end`.
    pub(super) fn below_u32(&mut self, end: u32) -> u32 {
        u32::try_from(self.below(end.into())).unwrap_or(u32::MAX)
    }

    /// From 1 up to and including `last`.
    pub(super) fn one_to(&mut self, last: u32) -> u32 {
        self.below_u32(last).saturating_add(1)
    }

    /// True once in so many times.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Either side, equally often.
    pub(super) fn side(&mut self) -> Side {
        if self.next() >> 63 == 0 { Side::Buy } else { Side::Sell }
    }

    /// A step of one up or down, equally often.
    pub(super) fn step(&mut self) -> i64 {
        if self.next() >> 63 == 0 { 1 } else { -1 }
    }

    /// A distance from 0 on that gets half as likely every `half` ticks.
    pub(super) fn distance(&mut self, half: u32) -> i64 {
        const HALVINGS_MAX: u32 = 40;
        let halvings = self.next().trailing_zeros().min(HALVINGS_MAX);
        let within = ((self.next() >> 32) * u64::from(half)) >> 32;
        i64::from(halvings) * i64::from(half) + i64::try_from(within).unwrap_or(i64::MAX)
    }
}
