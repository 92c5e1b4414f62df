//! The book of one slot: two ladders, what stands outside them, and what each meter has used.

use std::collections::{BTreeMap, BTreeSet};

use types::{Energy, MeterId, Price, Side};

use crate::{
    index::{NONE, at, next_index},
    ladder::{Ladder, queue},
    limits::{BOOK_ICEBERGS_MAX, BOOK_LISTED_MAX, BOOK_NEEDY_MAX},
    orders::{MARKET, OrderLog, Traits},
    prefetch::prefetch,
    registry::{Market, OWNERS_FROM},
};

/// A price level as market data shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthLevel {
    /// Its price.
    pub price: Price,
    /// Open quantity of all its orders that is in view.
    pub quantity: Energy,
    /// How many orders rest there.
    pub orders: u32,
}

/// The levels of a book that hold limit orders, best first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Depth {
    /// Buys: highest price first.
    pub buy: Vec<DepthLevel>,
    /// Sells: lowest price first.
    pub sell: Vec<DepthLevel>,
}

/// What a meter or an owner has open, in orders of each side.
type OpenCounts = Vec<[u32; 2]>;

/// How many orders are open of each kind that makes work for others, in the queues and outside.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rare {
    icebergs: u32,
    needy: u32,
    listed: u32,
}

impl Rare {
    /// Counts an order that is accepted.
    #[cold]
    pub(crate) fn add(&mut self, traits: Traits) {
        self.icebergs += u32::from(traits.has(Traits::ICEBERG));
        self.needy += u32::from(traits.has(Traits::NEEDY));
        self.listed += u32::from(traits.has(Traits::LISTED));
    }

    /// Counts an order that is done.
    #[cold]
    pub(crate) fn take(&mut self, traits: Traits) {
        self.icebergs -= u32::from(traits.has(Traits::ICEBERG));
        self.needy -= u32::from(traits.has(Traits::NEEDY));
        self.listed -= u32::from(traits.has(Traits::LISTED));
    }

    /// Whether one more order that asks for this may be open.
    pub(crate) const fn has_room(&self, traits: Traits) -> bool {
        (!traits.has(Traits::ICEBERG) || self.icebergs < BOOK_ICEBERGS_MAX)
            && (!traits.has(Traits::NEEDY) || self.needy < BOOK_NEEDY_MAX)
            && (!traits.has(Traits::LISTED) || self.listed < BOOK_LISTED_MAX)
    }
}

/// Open orders and used capacity of one slot.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Of buys and of sells.
    ladders: [Ladder; 2],
    /// Highest level of the market's band.
    top: u32,
    /// By meter: open and traded quantity in Wh, of buys and of sells.
    used: Vec<[u32; 2]>,
    /// How many orders of a self-trade group are open, by meter and by owner.
    open_by_meter: OpenCounts,
    open_by_owner: OpenCounts,
    /// By meter: how often it traded while its market counted that.
    executions: Vec<u32>,
    /// How many members of aggregate orders are open, of buys and of sells, and in which groups.
    members: [u32; 2],
    aggregated_by_meter: OpenCounts,
    aggregated_by_owner: OpenCounts,
    /// Open orders that make work for others.
    pub(crate) rare: Rare,
    /// Orders that hibernate or wait for a list. Sets, because what stands here leaves in any order.
    pub(crate) outside: BTreeSet<u32>,
    /// Lists with an order that waits here, by the number of their last order.
    pub(crate) blocks: BTreeMap<u32, u32>,
}

impl Book {
    /// Makes an empty book ready for a slot of a market with `levels` levels.
    pub(crate) fn reset(&mut self, levels: u32) {
        self.top = levels.saturating_sub(1);
        self.ladders.iter_mut().for_each(|ladder| ladder.reset(levels.saturating_add(1)));
        self.used.fill([0, 0]);
        self.open_by_meter.fill([0, 0]);
        self.open_by_owner.fill([0, 0]);
        self.executions.fill(0);
        self.members = [0, 0];
        self.aggregated_by_meter.fill([0, 0]);
        self.aggregated_by_owner.fill([0, 0]);
        self.rare = Rare::default();
        self.outside.clear();
        self.blocks.clear();
    }

    /// Gives the tables of meters and owners back. They grow again with what trades.
    pub(crate) fn release(&mut self) {
        self.used = Vec::new();
        self.open_by_meter = Vec::new();
        self.open_by_owner = Vec::new();
        self.executions = Vec::new();
    }

    #[inline(always)]
    pub(crate) const fn ladder(&self, side: Side) -> &Ladder {
        of(&self.ladders, side)
    }

    #[inline(always)]
    pub(crate) const fn ladder_mut(&mut self, side: Side) -> &mut Ladder {
        of_mut(&mut self.ladders, side)
    }

    /// Rank on `side` of a price level. An order of the other side at this level reaches exactly
    /// the ranks up to this one.
    #[inline(always)]
    pub(crate) const fn rank(&self, side: Side, level: u32) -> u32 {
        if level == MARKET { 0 } else { self.rank_of_limit(side, level) }
    }

    /// As [`Book::rank`] for a level of the band. Without a branch, since sides come as they like.
    #[inline(always)]
    pub(crate) const fn rank_of_limit(&self, side: Side, level: u32) -> u32 {
        let flip = match side {
            Side::Buy => u32::MAX,
            Side::Sell => 0,
        };
        // Sells count up, level + 1; buys down from the top, top + 1 − level, where −x is !x + 1.
        // A level is at most the top, so nothing wraps in the end.
        let from = self.top.wrapping_add(1) & flip;
        (level ^ flip).wrapping_add(from).wrapping_add(1)
    }

    /// The price level of a rank.
    #[inline(always)]
    pub(crate) const fn level(&self, side: Side, rank: u32) -> u32 {
        match (side, rank) {
            (_, 0) => MARKET,
            (Side::Buy, rank) => self.top + 1 - rank,
            (Side::Sell, rank) => rank - 1,
        }
    }

    /// The last rank that an order reaches which takes the other side at this level.
    #[inline(always)]
    pub(crate) const fn reach(&self, side: Side, level: u32) -> u32 {
        if level == MARKET { self.top + 1 } else { self.rank(side, level) }
    }

    /// What the meter has open and traded on `side`, in Wh.
    #[inline(always)]
    pub(crate) fn used(&self, meter: MeterId, side: Side) -> u32 {
        self.used.get(at(meter.get())).map_or(0, |used| *of(used, side))
    }

    /// Asks for the line behind [`Book::used`].
    #[inline(always)]
    pub(crate) fn prefetch_used(&self, meter: MeterId) {
        if let Some(used) = self.used.get(at(meter.get())) {
            prefetch(used);
        }
    }

    /// What the meter has used, of buys and of sells, if it was ever counted.
    #[inline(always)]
    pub(crate) fn used_cell(&self, meter: MeterId) -> Option<&[u32; 2]> {
        self.used.get(at(meter.get()))
    }

    #[inline(always)]
    pub(crate) fn used_cell_mut(&mut self, meter: MeterId) -> Option<&mut [u32; 2]> {
        self.used.get_mut(at(meter.get()))
    }

    /// The counter behind [`Book::used`].
    #[inline(always)]
    pub(crate) fn used_mut(&mut self, meter: MeterId, side: Side) -> &mut u32 {
        of_mut(entry(&mut self.used, meter.get()), side)
    }

    /// What meters have open and traded, as far as it is anything.
    pub(crate) fn all_used(&self) -> impl Iterator<Item = (MeterId, Side, u32)> {
        (0..).zip(&self.used).flat_map(|(meter, &[buy, sell])| {
            [(MeterId::new(meter), Side::Buy, buy), (MeterId::new(meter), Side::Sell, sell)]
                .into_iter()
                .filter(|&(.., used)| used > 0)
        })
    }

    /// How many orders of a self-trade group are open on `side`.
    pub(crate) fn open(&self, group: u32, side: Side) -> u32 {
        let (table, index) = match group.checked_sub(OWNERS_FROM) {
            Some(owner) => (&self.open_by_owner, owner),
            None => (&self.open_by_meter, group),
        };
        table.get(at(index)).map_or(0, |open| *of(open, side))
    }

    /// The counter behind [`Book::open`].
    #[inline(always)]
    pub(crate) fn open_mut(&mut self, group: u32, side: Side) -> &mut u32 {
        let (table, index) = match group.checked_sub(OWNERS_FROM) {
            Some(owner) => (&mut self.open_by_owner, owner),
            None => (&mut self.open_by_meter, group),
        };
        of_mut(entry(table, index), side)
    }

    /// How many members open aggregate orders have on `side`.
    #[inline(always)]
    pub(crate) const fn members(&self, side: Side) -> u32 {
        *of(&self.members, side)
    }

    /// Whether an aggregate order is open.
    #[inline(always)]
    pub(crate) fn has_members(&self) -> bool {
        self.members != [0, 0]
    }

    /// The counter behind [`Book::members`].
    pub(crate) const fn members_mut(&mut self, side: Side) -> &mut u32 {
        of_mut(&mut self.members, side)
    }

    /// In how many open aggregate orders on `side` a self-trade group has a member.
    pub(crate) fn aggregated(&self, group: u32, side: Side) -> u32 {
        let (table, index) = match group.checked_sub(OWNERS_FROM) {
            Some(owner) => (&self.aggregated_by_owner, owner),
            None => (&self.aggregated_by_meter, group),
        };
        table.get(at(index)).map_or(0, |open| *of(open, side))
    }

    /// The counter behind [`Book::aggregated`].
    pub(crate) fn aggregated_mut(&mut self, group: u32, side: Side) -> &mut u32 {
        let (table, index) = match group.checked_sub(OWNERS_FROM) {
            Some(owner) => (&mut self.aggregated_by_owner, owner),
            None => (&mut self.aggregated_by_meter, group),
        };
        of_mut(entry(table, index), side)
    }

    /// How often the meter traded.
    pub(crate) fn executions(&self, meter: MeterId) -> u32 {
        self.executions.get(at(meter.get())).copied().unwrap_or(0)
    }

    /// The counter behind [`Book::executions`].
    pub(crate) fn executions_mut(&mut self, meter: MeterId) -> &mut u32 {
        entry(&mut self.executions, meter.get())
    }

    /// Meters that traded while that was counted, with how often.
    pub(crate) fn all_executions(&self) -> impl Iterator<Item = (u32, u32)> {
        (0..).zip(&self.executions).filter(|&(_, &count)| count > 0).map(|(m, &count)| (m, count))
    }

    /// Whether an order that comes to rest on `side` may make others possible that wait.
    #[inline(always)]
    pub(crate) fn may_wake(&self, side: Side) -> bool {
        self.ladder(side.opposite()).needy > 0 || !self.blocks.is_empty()
    }

    /// Open orders, each member of an aggregate order as one more.
    pub(crate) fn orders(&self) -> u32 {
        let [bought_for, sold_for] = self.members;
        self.lines() + bought_for + sold_for
    }

    /// Open orders in the queues and outside.
    #[inline(always)]
    pub(crate) fn lines(&self) -> u32 {
        let [buy, sell] = &self.ladders;
        buy.orders() + sell.orders() + next_index(self.outside.len())
    }

    /// The levels that hold limit orders, as far as they are in view.
    pub(crate) fn depth(&self, orders: &OrderLog, market: &Market) -> Depth {
        Depth {
            buy: self.side(Side::Buy, orders, market).collect(),
            sell: self.side(Side::Sell, orders, market).collect(),
        }
    }

    /// One side of [`Book::depth`], best first.
    pub(crate) fn side<'a>(
        &'a self,
        side: Side,
        orders: &'a OrderLog,
        market: &'a Market,
    ) -> impl Iterator<Item = DepthLevel> + 'a {
        let ladder = self.ladder(side);
        ladder.ranks().filter(|&rank| rank > 0).map(move |rank| {
            let level = ladder.level(rank);
            let hidden: u64 = if level.special == 0 {
                0
            } else {
                queue(orders, level).map(|(_, o)| u64::from(o.leaves - orders.in_view(o))).sum()
            };
            DepthLevel {
                price: market.price_of(self.level(side, rank)),
                quantity: Energy::from_wh(level.quantity - hidden),
                orders: level.orders,
            }
        })
    }

    /// What a level brings into an auction: all but orders with a minimum, in Wh.
    #[inline(always)]
    pub(crate) fn auction_quantity(&self, orders: &OrderLog, side: Side, rank: u32) -> u64 {
        let ladder = self.ladder(side);
        let level = ladder.level(rank);
        if level.special == 0 || ladder.needy == 0 {
            return level.quantity;
        }
        let taking_part = queue(orders, level).filter(|(_, order)| !order.is_needy());
        taking_part.map(|(_, order)| u64::from(order.leaves)).sum()
    }

    /// Whether the best buy is at or above the best sell.
    pub(crate) fn is_crossed(&self) -> bool {
        let [buy, sell] = self.ladders.each_ref().map(Ladder::best);
        buy != NONE
            && sell != NONE
            && self.reach(Side::Sell, self.level(Side::Buy, buy)) >= sell.max(1)
    }
}

/// What a pair holds of one side.
#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "a side is 0 or 1")]
pub(crate) const fn of<T>(pair: &[T; 2], side: Side) -> &T {
    &pair[side_index(side)]
}

#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "a side is 0 or 1")]
pub(crate) const fn of_mut<T>(pair: &mut [T; 2], side: Side) -> &mut T {
    &mut pair[side_index(side)]
}

#[inline(always)]
#[expect(clippy::as_conversions, reason = "the enum is repr(u8), and widening loses nothing")]
const fn side_index(side: Side) -> usize {
    side.code() as usize
}

/// An entry of a table that grows, in big steps, with the numbers it meets.
#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "hot; grown just before")]
fn entry<T: Default + Clone>(table: &mut Vec<T>, index: u32) -> &mut T {
    if table.len() <= at(index) {
        grow(table, index);
    }
    &mut table[at(index)]
}

#[cold]
fn grow<T: Default + Clone>(table: &mut Vec<T>, index: u32) {
    table.resize((at(index) + 1).next_power_of_two(), T::default());
}
