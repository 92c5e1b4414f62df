//! Small numbers: table indices and exact division by a fixed number.

/// "No index": the end of a queue, no order, no book.
pub(crate) const NONE: u32 = u32::MAX;

const _: () = assert!(usize::BITS >= 32, "tables are indexed by u32");

/// A table index as the machine wants it.
#[inline(always)]
#[expect(clippy::as_conversions, reason = "usize has at least 32 bits, asserted above")]
pub(crate) const fn at(index: u32) -> usize {
    index as usize
}

/// The low 32 bits.
#[inline(always)]
#[expect(clippy::as_conversions, reason = "cutting off the high bits is the purpose")]
pub(crate) const fn low(bits: u64) -> u32 {
    bits as u32
}

/// The next index of a table that holds `len` entries.
#[expect(clippy::expect_used, reason = "every table is bounded below 2^32 by its limit")]
pub(crate) fn next_index(len: usize) -> u32 {
    u32::try_from(len).expect("a table has outgrown its index")
}

/// Divides exactly by a number known beforehand, with a multiplication.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Divisor {
    by: u64,
    /// ⌊(2^64 − 1) / by⌋.
    reciprocal: u64,
}

impl Divisor {
    /// # Panics
    /// When `by` is zero.
    pub(crate) fn new(by: u64) -> Self {
        assert!(by != 0, "division by zero");
        Self { by, reciprocal: u64::MAX.div_euclid(by) }
    }

    /// The quotient when the division leaves no rest.
    ///
    /// For `value` = q × by > 0 the high half of value × reciprocal is q − ε with 0 < ε < 1, so it
    /// floors to q − 1. Any other value fails the multiplication back.
    #[inline(always)]
    pub(crate) fn exact(self, value: u64) -> Option<u64> {
        let (_, high) = value.carrying_mul(self.reciprocal, 0);
        let quotient = high.wrapping_add(u64::from(value != 0));
        (quotient.wrapping_mul(self.by) == value).then_some(quotient)
    }
}

#[cfg(test)]
mod tests {
    use super::Divisor;

    #[test]
    fn exact_division_agrees_with_the_machine() {
        let edges = [0, 1, 2, 3, 5, 7, 10, 1 << 20, 10_000, 10_000_000, u64::MAX / 2, u64::MAX];
        for by in edges.into_iter().filter(|&by| by != 0) {
            for base in edges {
                for value in [base.wrapping_sub(1), base, base.wrapping_add(1)] {
                    let want = value.is_multiple_of(by).then(|| value / by);
                    assert_eq!(Divisor::new(by).exact(value), want, "{value} / {by}");
                    let multiple = value / by * by;
                    assert_eq!(Divisor::new(by).exact(multiple), Some(value / by));
                }
            }
        }
    }
}
