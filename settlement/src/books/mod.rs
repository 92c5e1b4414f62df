//! Stop 17 of an order's life: balanced double-entry transfers, and the one place that rounds.
//!
//! [`round`] turns an exact value into minor units and says what is left over; [`due`] applies it
//! once to each leg of an outcome. [`accounts`] is the chart of accounts, [`posting`] writes
//! transfers and balances.

pub mod accounts;
pub mod posting;

use types::{Currency, Energy, Money, Notional};

use crate::{
    outcome::{Amounts, ExactCharge, charge_on},
    policy::{Charge, Fraction, Policy, Rounding},
};

/// Zepto-currency in one nano-currency.
const ZEPTO_PER_NANO: i128 = 1_000_000_000_000;

/// An exact amount in 10^-21 of a currency unit: a price times an energy times a fraction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exact(i128);

impl Exact {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From 10^-21 currency.
    #[must_use]
    pub const fn from_zepto(zepto: i128) -> Self {
        Self(zepto)
    }

    /// From a price times an energy, or `None` beyond the range.
    #[must_use]
    pub const fn from_notional(notional: Notional) -> Option<Self> {
        match notional.nanos().checked_mul(ZEPTO_PER_NANO) {
            Some(zepto) => Some(Self(zepto)),
            None => None,
        }
    }

    /// 10^-21 currency.
    #[must_use]
    pub const fn zepto(self) -> i128 {
        self.0
    }
}

/// A rounded amount and what rounding took away: `amount + remainder` is the exact value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounded {
    /// Minor units.
    pub amount: Money,
    /// The exact value minus the amount.
    pub remainder: Exact,
}

/// Rounds to minor units. `None` when the amount does not fit.
/// Rule S-33.
#[must_use]
pub fn round(exact: Exact, currency: Currency, rounding: Rounding) -> Option<Rounded> {
    let unit = currency.nanos_per_minor().checked_mul(ZEPTO_PER_NANO)?;
    let toward_zero = exact.0.checked_div(unit)?;
    let rest = exact.0.checked_rem(unit)?;
    let twice = rest.unsigned_abs().checked_mul(2)?;
    let up = match (twice.cmp(&unit.unsigned_abs()), rounding) {
        (core::cmp::Ordering::Less, _) => false,
        (core::cmp::Ordering::Greater, _)
        | (core::cmp::Ordering::Equal, Rounding::HalfAwayFromZero) => true,
        (core::cmp::Ordering::Equal, Rounding::HalfEven) => toward_zero.rem_euclid(2) == 1,
    };
    let away = if up { exact.0.signum() } else { 0 };
    let minor = toward_zero.checked_add(away)?;
    let remainder = exact.0.checked_sub(minor.checked_mul(unit)?)?;
    Some(Rounded {
        amount: Money::from_minor(i64::try_from(minor).ok()?),
        remainder: Exact(remainder),
    })
}

/// What each leg of an outcome comes to, in minor units. Each is rounded once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Due {
    /// For settled energy; negative when the seller pays.
    pub energy: Money,
    /// For energy not taken.
    pub take_or_pay: Money,
    /// From the seller.
    pub penalty: Money,
    /// Memo: charged to the buyer on the retailer's bill.
    pub charge_buyer: Money,
    /// Memo: charged to the seller on the retailer's bill.
    pub charge_seller: Money,
    /// Memo: what the seller's retailer pays for excess injection.
    pub feed_in: Money,
    /// Memo: what the buyer's retailer asks for excess withdrawal.
    pub retail: Money,
}

impl Due {
    /// Whether the same money moves; memos aside.
    #[must_use]
    pub fn moves_same_money(&self, other: &Self) -> bool {
        self.energy == other.energy
            && self.take_or_pay == other.take_or_pay
            && self.penalty == other.penalty
    }
}

/// Rounds every leg of an outcome. `None` when an amount does not fit.
#[must_use]
pub fn due(amounts: &Amounts, policy: &Policy) -> Option<Due> {
    let minor = |exact| Some(round(exact, policy.currency, policy.rounding)?.amount);
    let mut charge_buyer = Money::ZERO;
    let mut charge_seller = Money::ZERO;
    for charge in &amounts.charges {
        let (buyer, seller) = parts_of(*charge, policy)?;
        charge_buyer = charge_buyer.checked_add(buyer)?;
        charge_seller = charge_seller.checked_add(seller)?;
    }
    Some(Due {
        energy: minor(amounts.energy)?,
        take_or_pay: minor(amounts.take_or_pay)?,
        penalty: minor(amounts.penalty)?,
        charge_buyer,
        charge_seller,
        feed_in: minor(amounts.feed_in)?,
        retail: minor(amounts.retail)?,
    })
}

/// Each charge of the policy on settled energy: the buyer's part and the seller's. `None` when one
/// does not fit.
#[must_use]
pub fn charges(policy: &Policy, settled: Energy) -> Option<Vec<(Money, Money)>> {
    let parts = |charge: &Charge| parts_of(charge_on(charge.rule, settled)?, policy);
    policy.charges.iter().map(parts).collect()
}

fn parts_of(charge: ExactCharge, policy: &Policy) -> Option<(Money, Money)> {
    let minor = |exact| Some(round(exact, policy.currency, policy.rounding)?.amount);
    match charge {
        ExactCharge::Split(total) => halve(minor(total)?),
        ExactCharge::PerSide { buyer, seller } => Some((minor(buyer)?, minor(seller)?)),
    }
}

/// What the platform keeps of what the seller is paid for energy, taken or not. `None` when it
/// does not fit.
/// Rule S-35.
#[must_use]
pub fn platform_fee(due: &Due, policy: &Policy) -> Option<i64> {
    let paid = due.energy.checked_add(due.take_or_pay)?;
    fraction_of(paid.minor().max(0), policy.platform_fee, policy)
}

/// A fraction of an amount in minor units, rounded once.
#[must_use]
pub fn fraction_of(minor: i64, part: Fraction, policy: &Policy) -> Option<i64> {
    let nanos = i128::from(minor).checked_mul(policy.currency.nanos_per_minor())?;
    fraction_of_nanos(nanos, part, policy)
}

/// A fraction of an exact amount in nano-currency, rounded once to minor units.
#[must_use]
pub fn fraction_of_nanos(nanos: i128, part: Fraction, policy: &Policy) -> Option<i64> {
    // A nano is 10^-9 and a millionth 10^-6; a million of their product is 10^-21.
    let zepto = nanos.checked_mul(1_000_000)?.checked_mul(i128::from(part.ppm()))?;
    Some(round(Exact::from_zepto(zepto), policy.currency, policy.rounding)?.amount.minor())
}

/// The buyer's and the seller's half; the odd minor unit is the seller's.
/// Rule S-34.
fn halve(total: Money) -> Option<(Money, Money)> {
    let buyer = Money::from_minor(total.minor().div_euclid(2));
    Some((buyer, total.checked_sub(buyer)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rupee(zepto: i128, rounding: Rounding) -> i64 {
        let currency = Currency::from_iso("INR").unwrap();
        round(Exact::from_zepto(zepto), currency, rounding).unwrap().amount.minor()
    }

    const PAISA: i128 = 10_i128.pow(19);

    #[test]
    fn s33_halves_go_away_from_zero_or_to_the_even_side() {
        for (tenths, away, even) in
            [(5, 1, 0), (15, 2, 2), (25, 3, 2), (-5, -1, 0), (-15, -2, -2), (4, 0, 0), (6, 1, 1)]
        {
            let zepto = tenths * PAISA / 10;
            assert_eq!(rupee(zepto, Rounding::HalfAwayFromZero), away, "{tenths} tenths");
            assert_eq!(rupee(zepto, Rounding::HalfEven), even, "{tenths} tenths");
        }
    }

    #[test]
    fn s34_the_odd_minor_unit_is_the_sellers() {
        let halves = halve(Money::from_minor(181)).unwrap();
        assert_eq!(halves, (Money::from_minor(90), Money::from_minor(91)));
    }

    proptest! {
        #[test]
        fn rounding_loses_nothing(zepto in -10_i128.pow(33)..10_i128.pow(33)) {
            let currency = Currency::from_iso("INR").unwrap();
            for rounding in [Rounding::HalfAwayFromZero, Rounding::HalfEven] {
                let rounded = round(Exact::from_zepto(zepto), currency, rounding).unwrap();
                let back = i128::from(rounded.amount.minor()) * PAISA + rounded.remainder.zepto();
                prop_assert_eq!(back, zepto);
                prop_assert!(rounded.remainder.zepto().abs() * 2 <= PAISA);
            }
        }
    }
}
