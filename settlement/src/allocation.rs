//! Stop 14 of an order's life: metered energy is spread over all contracts of a meter and slot.
//!
//! Never trade by trade: what a meter moved is known only once per slot. A net seller is measured
//! by what it injected, a net buyer by what it withdrew, and a meter that holds both buys and sells
//! by the difference of its two registers in the direction of its net position. Pure: the same
//! positions in any order give the same allocation.

use core::cmp::Reverse;

use types::{Energy, Side, TradeId};

use crate::policy::Method;

/// Version of the two methods below, stored with each outcome.
pub const ALLOCATION_VERSION: u8 = 1;

/// What one contract asks of a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The contract; the smaller number traded first.
    pub contract: TradeId,
    /// Whether the meter buys or sells.
    pub side: Side,
    /// How much.
    pub energy: Energy,
}

/// What a meter moved in a slot, both registers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metered {
    /// Into the grid.
    pub injected: Energy,
    /// Out of the grid.
    pub withdrawn: Energy,
}

/// What one contract gets of a meter's energy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Delivered or taken under this contract; at most what was contracted.
    pub allocated: Energy,
    /// Missing because of a curtailment; at most what is missing.
    pub excused: Energy,
    /// The meter's buys and sells cancel out: nothing can be said about delivery.
    pub wash: bool,
}

/// Spreads `metered` over `positions`; the shares are in the order of the positions.
/// Rule S-23.
///
/// `cap` is the most the meter was allowed to move, by a signed curtailment.
#[must_use]
pub fn allocate(
    positions: &[Position],
    metered: Metered,
    cap: Option<Energy>,
    method: Method,
) -> Vec<Share> {
    let bought = total(positions, Side::Buy);
    let sold = total(positions, Side::Sell);
    if bought == sold {
        let wash = Share { wash: true, ..Share::default() };
        return positions.iter().map(|_| wash).collect();
    }
    let direction = if sold > bought { Side::Sell } else { Side::Buy };
    let net = sold.abs_diff(bought);
    let mixed = sold > 0 && bought > 0;
    let actual = u128::from(measure(metered, direction, mixed)).min(net);
    let mut shares = vec![Share::default(); positions.len()];
    for side in [Side::Buy, Side::Sell] {
        let gross = if side == Side::Buy { bought } else { sold };
        spread_side(
            positions,
            &mut shares,
            Target { side, total: scale(gross, actual, net) },
            method,
        );
    }
    if let Some(cap) = cap {
        let allowed = u128::from(cap.wh()).max(actual).min(net);
        // The part of the net shortfall that even full obedience to the cap leaves.
        excuse(
            positions,
            &mut shares,
            direction,
            (net.saturating_sub(allowed), net.saturating_sub(actual)),
        );
    }
    shares
}

/// Cuts `total` into parts in proportion to `weights`: floor, then the largest remainders, ties to
/// the smaller key. The parts sum to `total` if the weights are not all zero.
/// Rule S-20.
#[must_use]
pub fn largest_remainder(weights: &[(TradeId, u64)], total: u128) -> Vec<u64> {
    let sum: u128 = weights.iter().map(|&(_, weight)| u128::from(weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let mut parts = Vec::with_capacity(weights.len());
    let mut order = Vec::with_capacity(weights.len());
    let mut left = total;
    for (index, &(key, weight)) in weights.iter().enumerate() {
        let product = total.saturating_mul(u128::from(weight));
        let part = product.div_euclid(sum);
        left = left.saturating_sub(part);
        parts.push(u64::try_from(part).unwrap_or(u64::MAX));
        order.push((Reverse(product.rem_euclid(sum)), key, index));
    }
    order.sort_unstable();
    for (_, _, index) in order {
        if left == 0 {
            break;
        }
        if let Some(part) = parts.get_mut(index) {
            *part = part.saturating_add(1);
            left = left.saturating_sub(1);
        }
    }
    parts
}

/// The side on which a meter's contracts outweigh the other side; none, if they cancel out.
#[must_use]
pub fn net_side(positions: &[Position]) -> Option<Side> {
    let (bought, sold) = (total(positions, Side::Buy), total(positions, Side::Sell));
    match sold.cmp(&bought) {
        core::cmp::Ordering::Greater => Some(Side::Sell),
        core::cmp::Ordering::Less => Some(Side::Buy),
        core::cmp::Ordering::Equal => None,
    }
}

struct Target {
    side: Side,
    total: u128,
}

fn total(positions: &[Position], side: Side) -> u128 {
    positions.iter().filter(|p| p.side == side).map(|p| u128::from(p.energy.wh())).sum()
}

/// Rule S-22.
fn measure(metered: Metered, direction: Side, mixed: bool) -> u64 {
    let (with, against) = match direction {
        Side::Sell => (metered.injected, metered.withdrawn),
        Side::Buy => (metered.withdrawn, metered.injected),
    };
    if mixed { with.saturating_sub(against).wh() } else { with.wh() }
}

/// `gross × actual ÷ net`, rounded down. The products stay below 2^128: each factor is a sum of
/// watt-hours, bounded by [`crate::capture::ENERGY_WH_MAX`] times the contracts of a slot.
fn scale(gross: u128, actual: u128, net: u128) -> u128 {
    gross.saturating_mul(actual).checked_div(net).unwrap_or(0)
}

fn spread_side(positions: &[Position], shares: &mut [Share], target: Target, method: Method) {
    let mine: Vec<(usize, &Position)> =
        positions.iter().enumerate().filter(|(_, p)| p.side == target.side).collect();
    let parts = match method {
        Method::ProRata => {
            let weights: Vec<_> = mine.iter().map(|(_, p)| (p.contract, p.energy.wh())).collect();
            largest_remainder(&weights, target.total)
        }
        Method::Fifo => in_turn(&mine, target.total),
    };
    for ((index, _), part) in mine.into_iter().zip(parts) {
        if let Some(share) = shares.get_mut(index) {
            share.allocated = Energy::from_wh(part);
        }
    }
}

/// Rule S-21.
fn in_turn(mine: &[(usize, &Position)], total: u128) -> Vec<u64> {
    let mut order: Vec<(TradeId, usize)> =
        mine.iter().enumerate().map(|(at, (_, p))| (p.contract, at)).collect();
    order.sort_unstable();
    let mut left = total;
    let mut parts = vec![0; mine.len()];
    for (_, at) in order {
        let wanted = mine.get(at).map_or(0, |(_, p)| p.energy.wh());
        let part = u64::try_from(left).unwrap_or(u64::MAX).min(wanted);
        left = left.saturating_sub(u128::from(part));
        if let Some(slot) = parts.get_mut(at) {
            *slot = part;
        }
    }
    parts
}

/// Spreads the excused part of the shortfall over the contracts in the direction of the net
/// position, in proportion to what each misses.
/// Rule S-25.
fn excuse(
    positions: &[Position],
    shares: &mut [Share],
    direction: Side,
    (caused, missing): (u128, u128),
) {
    let weights: Vec<(TradeId, u64)> = positions
        .iter()
        .zip(shares.iter())
        .map(|(p, share)| {
            let short = p.energy.saturating_sub(share.allocated).wh();
            (p.contract, if p.side == direction { short } else { 0 })
        })
        .collect();
    let gross: u128 = weights.iter().map(|&(_, short)| u128::from(short)).sum();
    let excused = scale(gross, caused, missing);
    for (share, part) in shares.iter_mut().zip(largest_remainder(&weights, excused)) {
        share.excused = Energy::from_wh(part);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position(contract: u64, side: Side, wh: u64) -> Position {
        Position { contract: TradeId::new(contract), side, energy: Energy::from_wh(wh) }
    }

    fn metered(injected: u64, withdrawn: u64) -> Metered {
        Metered { injected: Energy::from_wh(injected), withdrawn: Energy::from_wh(withdrawn) }
    }

    fn allocated(shares: &[Share]) -> Vec<u64> {
        shares.iter().map(|share| share.allocated.wh()).collect()
    }

    #[test]
    fn s20_pro_rata_gives_the_remainder_to_the_largest_fraction_then_the_earliest() {
        let sells = [3, 1, 2].map(|id| position(id, Side::Sell, 1_000));
        let shares = allocate(&sells, metered(1_000, 0), None, Method::ProRata);
        assert_eq!(allocated(&shares), [333, 334, 333]);
    }

    #[test]
    fn s21_fifo_fills_the_earliest_first() {
        let sells = [position(2, Side::Sell, 4_000), position(1, Side::Sell, 5_000)];
        let shares = allocate(&sells, metered(8_000, 0), None, Method::Fifo);
        assert_eq!(allocated(&shares), [3_000, 5_000]);
    }

    #[test]
    fn s22_buys_and_sells_of_one_meter_are_netted() {
        let both = [position(1, Side::Sell, 5_000), position(2, Side::Buy, 2_000)];
        let whole = allocate(&both, metered(3_000, 0), None, Method::ProRata);
        assert_eq!(allocated(&whole), [5_000, 2_000]);
        let third = allocate(&both, metered(3_000, 2_000), None, Method::ProRata);
        assert_eq!(allocated(&third), [1_666, 666]);
        let wash = [position(1, Side::Sell, 5_000), position(2, Side::Buy, 5_000)];
        let shares = allocate(&wash, metered(5_000, 0), None, Method::ProRata);
        assert!(shares.iter().all(|share| share.wash && share.allocated.is_zero()));
    }

    #[test]
    fn s25_a_curtailment_excuses_what_it_caused_and_no_more() {
        let one = [position(1, Side::Sell, 5_000)];
        let cap = Some(Energy::from_wh(4_000));
        let excused = |wh| allocate(&one, metered(wh, 0), cap, Method::ProRata)[0].excused.wh();
        assert_eq!(excused(3_000), 1_000);
        assert_eq!(excused(4_000), 1_000);
        assert_eq!(excused(4_500), 500);
        assert_eq!(excused(5_000), 0);
        let loose = Some(Energy::from_wh(6_000));
        assert_eq!(allocate(&one, metered(3_000, 0), loose, Method::ProRata)[0].excused.wh(), 0);
    }

    fn positions() -> impl Strategy<Value = Vec<Position>> {
        prop::collection::vec((any::<bool>(), 1_u64..20_000), 1..12).prop_map(|list| {
            list.into_iter()
                .zip(1..)
                .map(|((buy, wh), id)| position(id, if buy { Side::Buy } else { Side::Sell }, wh))
                .collect()
        })
    }

    fn method() -> impl Strategy<Value = Method> {
        prop_oneof![Just(Method::ProRata), Just(Method::Fifo)]
    }

    proptest! {
        #[test]
        fn s23_shares_stay_within_contract_and_meter(
            list in positions(), inj in 0_u64..60_000, wd in 0_u64..60_000,
            cap in prop::option::of(0_u64..60_000), method in method(),
        ) {
            let shares = allocate(&list, metered(inj, wd), cap.map(Energy::from_wh), method);
            let mut net = 0_i128;
            for (p, share) in list.iter().zip(&shares) {
                prop_assert!(share.allocated.wh() + share.excused.wh() <= p.energy.wh());
                let wh = i128::from(share.allocated.wh());
                net += if p.side == Side::Sell { wh } else { -wh };
            }
            prop_assert!(net <= i128::from(inj));
            prop_assert!(-net <= i128::from(wd));
            let full: i128 = list.iter().map(|p| i128::from(p.energy.wh())).sum();
            let single = list.iter().all(|p| p.side == list[0].side);
            if single {
                let register = if list[0].side == Side::Sell { inj } else { wd };
                prop_assert_eq!(net.abs(), full.min(i128::from(register)));
            }
        }

        /// Twice the contracts and twice the energy: twice the shares, but for the watt-hour that
        /// rounding moves.
        #[test]
        fn doubling_everything_doubles_the_shares(
            list in positions(), inj in 0_u64..60_000, wd in 0_u64..60_000, method in method(),
        ) {
            let double = |p: &Position| Position { energy: Energy::from_wh(p.energy.wh() * 2), ..*p };
            let doubled: Vec<Position> = list.iter().map(double).collect();
            let once = allocated(&allocate(&list, metered(inj, wd), None, method));
            let twice = allocated(&allocate(&doubled, metered(inj * 2, wd * 2), None, method));
            let one_sided = list.iter().all(|p| p.side == list[0].side);
            if one_sided {
                let sum = |shares: &[u64]| shares.iter().sum::<u64>();
                prop_assert_eq!(sum(&twice), 2 * sum(&once));
            }
            if one_sided && method == Method::Fifo {
                prop_assert_eq!(&twice, &once.iter().map(|wh| wh * 2).collect::<Vec<_>>());
            }
            for (once, twice) in once.iter().zip(&twice) {
                let apart = (once * 2).abs_diff(*twice);
                prop_assert!(one_sided && apart <= 2 || !one_sided && apart <= 4, "{}", apart);
            }
        }

        #[test]
        fn the_order_of_positions_does_not_matter(
            list in positions(), inj in 0_u64..60_000, wd in 0_u64..60_000,
            cap in prop::option::of(0_u64..60_000), method in method(), turn in 0_usize..12,
        ) {
            let cap = cap.map(Energy::from_wh);
            let straight = allocate(&list, metered(inj, wd), cap, method);
            let mut pairs: Vec<_> = list.iter().copied().zip(straight).collect();
            let by = turn % pairs.len();
            pairs.rotate_left(by);
            pairs.reverse();
            let turned: Vec<Position> = pairs.iter().map(|(p, _)| *p).collect();
            let shares = allocate(&turned, metered(inj, wd), cap, method);
            for ((_, before), after) in pairs.iter().zip(&shares) {
                prop_assert_eq!(before, after);
            }
        }
    }
}
