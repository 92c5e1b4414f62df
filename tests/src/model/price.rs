//! The price of a call auction by every rule: every candidate against every order.

use types::{Price, PriceRule, Side};

/// What brute force finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priced {
    /// The one price.
    pub price: Price,
    /// What trades.
    pub volume: u64,
    /// Demand minus supply at the price.
    pub surplus: i128,
    /// Candidates left after volume and surplus.
    pub candidates: usize,
    /// Whether the reference was outside the range that was left.
    pub clamped: bool,
}

/// Side, limit (none in a market order) and quantity of orders.
struct Orders<'a>(&'a [(Side, Option<Price>, u64)]);

impl Orders<'_> {
    fn sum(&self, side: Side, accepts: impl Fn(Price) -> bool) -> i128 {
        let accepting =
            self.0.iter().filter(|order| order.0 == side && order.1.is_none_or(&accepts));
        accepting.map(|order| i128::from(order.2)).sum()
    }

    fn demand(&self, price: Price) -> i128 {
        self.sum(Side::Buy, |limit| limit >= price)
    }

    fn supply(&self, price: Price) -> i128 {
        self.sum(Side::Sell, |limit| limit <= price)
    }

    fn volume(&self, price: Price) -> i128 {
        self.demand(price).min(self.supply(price))
    }

    fn surplus(&self, price: Price) -> i128 {
        self.demand(price) - self.supply(price)
    }

    /// Whether the curves meet at a price: no more is wanted strictly above it than is offered at
    /// it, and no more is offered strictly below it than is wanted at it.
    fn meet_at(&self, price: Price) -> bool {
        self.sum(Side::Buy, |limit| limit > price) <= self.supply(price)
            && self.sum(Side::Sell, |limit| limit < price) <= self.demand(price)
    }
}

/// Prices orders (side, limit or none for a market order, quantity) by a rule.
#[must_use]
pub fn price_by_brute_force(
    rule: PriceRule,
    orders: &[(Side, Option<Price>, u64)],
    tick: Price,
    reference: Option<Price>,
) -> Option<Priced> {
    let orders = Orders(orders);
    let mut left: Vec<Price> = orders.0.iter().filter_map(|order| order.1).collect();
    if left.is_empty() {
        // Market orders alone.
        let price = reference?;
        return (orders.volume(price) > 0).then(|| priced(&orders, price, 0, false));
    }
    if rule == PriceRule::Euronext {
        left.extend(reference);
    }
    left.sort();
    left.dedup();
    let most = left.iter().map(|&price| orders.volume(price)).max()?;
    if most == 0 {
        return None;
    }
    left.retain(|&price| orders.volume(price) == most);
    if rule == PriceRule::Midpoint {
        left = where_curves_meet(&orders, left);
        let price = middle(*left.first()?, *left.last()?, tick, 1);
        return Some(priced(&orders, price, left.len(), false));
    }
    let least = left.iter().map(|&price| orders.surplus(price).abs()).min()?;
    left.retain(|&price| orders.surplus(price).abs() == least);
    let candidates = left.len();
    if rule != PriceRule::Nse {
        if let Some(price) = under_pressure(&orders, &left) {
            return Some(priced(&orders, price, candidates, false));
        }
        left = from_buys_to_sells(&orders, left);
    }
    let (price, clamped) = match rule {
        PriceRule::T7Clamp | PriceRule::ProRataAtBand => clamp(&left, tick, reference)?,
        PriceRule::XetraNearest
        | PriceRule::Euronext
        | PriceRule::Asx
        | PriceRule::CmeIop
        | PriceRule::Nse
        | PriceRule::Midpoint => (nearest(&left, reference)?, false),
    };
    Some(priced(&orders, price, candidates, clamped))
}

fn priced(orders: &Orders<'_>, price: Price, candidates: usize, clamped: bool) -> Priced {
    let volume = u64::try_from(orders.volume(price)).expect("not negative, and few orders");
    Priced { price, volume, surplus: orders.surplus(price), candidates, clamped }
}

/// The highest candidate if all have a buy surplus, the lowest if all have a sell surplus.
fn under_pressure(orders: &Orders<'_>, left: &[Price]) -> Option<Price> {
    if left.iter().all(|&price| orders.surplus(price) > 0) {
        left.last().copied()
    } else if left.iter().all(|&price| orders.surplus(price) < 0) {
        left.first().copied()
    } else {
        None
    }
}

/// The candidates from the highest with a buy surplus to the lowest with a sell surplus; without
/// such, all of them.
fn from_buys_to_sells(orders: &Orders<'_>, left: Vec<Price>) -> Vec<Price> {
    let low = left.iter().copied().rfind(|&price| orders.surplus(price) > 0);
    let high = left.iter().copied().find(|&price| orders.surplus(price) < 0);
    left.into_iter()
        .filter(|&price| low.is_none_or(|low| low <= price))
        .filter(|&price| high.is_none_or(|high| price <= high))
        .collect()
}

/// The reference, moved into the range of what is left if it has to be; without one the middle,
/// rounded down to the tick.
fn clamp(left: &[Price], tick: Price, reference: Option<Price>) -> Option<(Price, bool)> {
    let (low, high) = (*left.first()?, *left.last()?);
    Some(match reference {
        Some(reference) => {
            let price = reference.clamp(low, high);
            (price, price != reference)
        }
        None => (middle(low, high, tick, 0), false),
    })
}

/// The price nearest to the reference, or to the exact middle without one; of two the higher.
fn nearest(left: &[Price], reference: Option<Price>) -> Option<Price> {
    let twice = |price: Price| 2 * i128::from(price.micros());
    let ends = i128::from(left.first()?.micros()) + i128::from(left.last()?.micros());
    let target = reference.map_or(ends, twice);
    left.iter().rev().copied().min_by_key(|&price| (twice(price) - target).abs())
}

/// Halfway between two prices, on the tick; an odd tick is left out, or added.
fn middle(low: Price, high: Price, tick: Price, odd: i64) -> Price {
    let ticks = (high.micros() - low.micros()) / tick.micros();
    Price::from_micros(low.micros() + (ticks + odd) / 2 * tick.micros())
}

/// The candidates at which the curves meet; all of them where market orders outweigh everything, so
/// that the curves meet beyond all limits.
fn where_curves_meet(orders: &Orders<'_>, left: Vec<Price>) -> Vec<Price> {
    let meet: Vec<Price> = left.iter().copied().filter(|&price| orders.meet_at(price)).collect();
    if meet.is_empty() { left } else { meet }
}
