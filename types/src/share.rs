//! Cutting a whole into parts in proportion: by the largest remainder.

use core::cmp::Reverse;

/// Cuts `total` into parts in proportion to `weights`: floor, then one more for each of the largest
/// remainders, ties to the earlier.
///
/// The parts add up to `total` unless all weights are zero. A part is never above its weight while `total`
/// is not above the sum of the weights; a weight of zero gets nothing.
///
/// A product above 2^128, or a part above 2^64, counts as that much: amounts of the exchange stay far below.
#[must_use]
pub fn share(weights: &[u64], total: u128) -> Vec<u64> {
    let sum: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    if total == sum {
        return weights.to_vec();
    }
    let mut parts = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    let mut left = total;
    for (index, &weight) in weights.iter().enumerate() {
        let (part, remainder) = divide(total.saturating_mul(u128::from(weight)), sum);
        left = left.saturating_sub(part);
        parts.push(u64::try_from(part).unwrap_or(u64::MAX));
        remainders.push((Reverse(remainder), index));
    }
    // As many remainders as units are left, the largest first; which of them comes first does not matter.
    let units = usize::try_from(left).unwrap_or(usize::MAX).min(remainders.len());
    if units > 0 && units < remainders.len() {
        remainders.select_nth_unstable(units.saturating_sub(1));
    }
    for &(_, index) in remainders.iter().take(units) {
        if let Some(part) = parts.get_mut(index) {
            *part = part.saturating_add(1);
        }
    }
    parts
}

/// Quotient and remainder. Numbers of 64 bits, the usual ones, are divided several times faster.
fn divide(product: u128, by: u128) -> (u128, u128) {
    match (u64::try_from(product), u64::try_from(by)) {
        (Ok(product), Ok(by)) => (product.div_euclid(by).into(), product.rem_euclid(by).into()),
        _ => (product.div_euclid(by), product.rem_euclid(by)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ties_go_to_the_earlier() {
        assert_eq!(share(&[600, 400], 500), [300, 200]);
        assert_eq!(share(&[1, 1, 1], 2), [1, 1, 0]);
        assert_eq!(share(&[5, 0, 7], 12), [5, 0, 7]);
        assert_eq!(share(&[0, 0], 3), [0, 0]);
        assert_eq!(share(&[1, 2], 7), [2, 5]);
        assert_eq!(share(&[u64::MAX, 1], u128::from(u64::MAX)), [u64::MAX - 1, 1]);
        assert_eq!(share(&[], 3), []);
    }

    fn weights_and_total() -> impl Strategy<Value = (Vec<u64>, u128)> {
        let weights = prop::collection::vec(0..5_000_u64, 1..60);
        (weights, any::<u64>()).prop_map(|(weights, seed)| {
            let sum: u64 = weights.iter().sum();
            (weights, u128::from(seed % (sum + 1)))
        })
    }

    proptest! {
        #[test]
        fn parts_add_up_and_stay_within_their_weights((weights, total) in weights_and_total()) {
            let parts = share(&weights, total);
            let all_zero = weights.iter().all(|&weight| weight == 0);
            let sum: u128 = parts.iter().map(|&part| u128::from(part)).sum();
            prop_assert_eq!(sum, if all_zero { 0 } else { total });
            for (part, weight) in parts.iter().zip(&weights) {
                prop_assert!(part <= weight);
            }
        }

        #[test]
        fn a_part_is_within_one_of_its_proportion((weights, total) in weights_and_total()) {
            let sum: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
            for (part, weight) in share(&weights, total).into_iter().zip(&weights) {
                let (scaled, exact) = (u128::from(part) * sum, total * u128::from(*weight));
                prop_assert!(scaled < exact + sum.max(1));
                prop_assert!(exact < scaled + sum.max(1));
            }
        }

        #[test]
        fn of_equal_weights_none_gets_less_than_a_later_one((weights, total) in weights_and_total()) {
            let parts = share(&weights, total);
            for (at, weight) in weights.iter().enumerate() {
                for later in at + 1..weights.len() {
                    prop_assert!(*weight != weights[later] || parts[at] >= parts[later]);
                }
            }
        }
    }
}
