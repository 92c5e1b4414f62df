//! What aggregate orders do in their book: hold their members' capacity, and share what they fill.
//!
//! A fill is shared in proportion to what each member has open, in whole lots, by the largest remainder,
//! ties to the lowest meter. Trades are between two meters each: the parts of the two sides are walked side
//! by side. An order that enters shares what it fills at a price once; one that rests, each fill.

use std::collections::VecDeque;

use types::{Event, MeterId, Price, Side, share};

use crate::{
    desk::{Desk, Match, Party, use_less, use_more},
    index::next_index,
    ladder::queue,
    matching::{Ending, Taker},
    orders::Traits,
};

/// What an order fills, with the order as it is before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fill {
    pub(crate) party: Party,
    pub(crate) quantity: u32,
}

impl Desk<'_> {
    /// Books an accepted aggregate order.
    pub(crate) fn reserve_members(&mut self, number: u32, reserve: i128) {
        let order = self.orders.get(number);
        let (side, platform) = (order.side(), order.platform);
        self.enlist(number, side);
        for part in &self.aggregates.get(number).parts {
            let place = (part.meter, side);
            use_more((self.book, self.grid, self.slot), place, part.leaves);
        }
        if let Some(reserved) = self.credit.reserved_mut(self.slot.market, platform) {
            *reserved += reserve;
        }
    }

    /// Counts the members of an order that is open.
    pub(crate) fn enlist(&mut self, number: u32, side: Side) {
        let parts = &self.aggregates.get(number).parts;
        *self.book.members_mut(side) += next_index(parts.len());
        for part in parts.iter().filter(|part| part.group != 0) {
            *self.book.aggregated_mut(part.group, side) += 1;
        }
    }

    /// Counts the members of an order that is done no longer.
    #[cold]
    pub(crate) fn disband(&mut self, number: u32, side: Side) {
        let parts = &self.aggregates.get(number).parts;
        *self.book.members_mut(side) -= next_index(parts.len());
        for part in parts.iter().filter(|part| part.group != 0) {
            *self.book.aggregated_mut(part.group, side) -= 1;
        }
    }

    /// Gives back the capacity of what its members have open.
    #[cold]
    pub(crate) fn release_members(&mut self, number: u32, side: Side) {
        for part in self.aggregates.parts_mut(number) {
            let place = (part.meter, side);
            use_less((self.book, self.grid, self.slot), place, part.leaves);
            part.leaves = 0;
        }
    }

    /// Between how many meters a trade with an order is shared at most.
    pub(crate) fn shares(&self, number: u32) -> u64 {
        let is_aggregate = self.orders.get(number).traits.has(Traits::AGGREGATE);
        if is_aggregate { self.aggregates.open_parts(number) } else { 1 }
    }

    /// Shares a fill among those that an order is for, and books it to them.
    /// Rule T-101.
    pub(crate) fn split(&mut self, party: &Party, quantity: u32) -> Vec<(MeterId, u32)> {
        if !self.orders.get(party.number).traits.has(Traits::AGGREGATE) {
            return vec![(party.meter, quantity)];
        }
        let lot = self.market.definition.lot.wh();
        let parts = self.aggregates.parts_mut(party.number);
        let lots: Vec<u64> = parts.iter().map(|part| u64::from(part.leaves) / lot).collect();
        let shares = share(&lots, u128::from(u64::from(quantity) / lot));
        let mut split = Vec::with_capacity(parts.len());
        for (part, lots) in parts.iter_mut().zip(shares).filter(|(_, lots)| *lots > 0) {
            // At most what the member has open, which fits.
            let wh = u32::try_from(lots * lot).unwrap_or(u32::MAX);
            part.leaves -= wh;
            part.filled += wh;
            split.push((part.meter, wh));
        }
        split
    }

    /// Records the trades between the members of a taker and those of the orders that it met at a price.
    fn record_shared(
        &mut self,
        taker: &mut Party,
        fills: &[Fill],
        (price, maker): (Price, Option<Side>),
        events: &mut Vec<Event>,
    ) {
        let filled: u32 = fills.iter().map(|fill| fill.quantity).sum();
        let mut own = self.split(taker, filled).into_iter();
        let (mut meter, mut left) = (taker.meter, 0);
        for fill in fills {
            let mut party = fill.party;
            for (other, mut open) in self.split(&fill.party, fill.quantity) {
                party.meter = other;
                while open > 0 {
                    if left == 0 {
                        // Both sides share the same sum, so there is another part.
                        let Some(next) = own.next() else { unreachable!("shares add up") };
                        (meter, left) = next;
                    }
                    let quantity = open.min(left);
                    let one = Party { meter, ..*taker };
                    self.record(Match { price, quantity, maker }, [&one, &party], events);
                    taker.leaves -= quantity;
                    party.leaves -= quantity;
                    (open, left) = (open - quantity, left - quantity);
                }
            }
        }
        if filled > 0 {
            self.slot.last_price = Some(price);
        }
    }

    /// A trade of an order of one meter with an aggregate order at rest.
    #[cold]
    pub(crate) fn trade_with_members(
        &mut self,
        taker: &mut Taker,
        number: u32,
        made: Match,
        events: &mut Vec<Event>,
    ) {
        let party = Party::of(number, self.orders.get(number));
        let fill = Fill { party, quantity: made.quantity };
        self.record_shared(&mut taker.party, &[fill], (made.price, made.maker), events);
        self.fill(number, made.quantity);
    }

    /// An aggregate order trades against one level. What all of its makers fill there is shared once.
    #[cold]
    pub(crate) fn sweep_with_members(
        &mut self,
        taker: &mut Taker,
        rank: u32,
        events: &mut Vec<Event>,
    ) -> Option<Ending> {
        let other = taker.party.side.opposite();
        let price = self.market.price_of(self.book.level(other, rank));
        let mut line: VecDeque<u32> =
            queue(self.orders, self.book.ladder(other).level(rank)).map(|(n, _)| n).collect();
        let mut fills = Vec::new();
        let mut left = taker.party.leaves;
        // Two lists that are walked side by side make one trade less than both are long.
        let mut trades = *self.trades + self.aggregates.open_parts(taker.party.number) - 1;
        let mut ending = None;
        while let Some(number) = line.pop_front() {
            let maker = *self.orders.get(number);
            let quantity = self.orders.in_view(&maker).min(left);
            if quantity < self.orders.need(&maker) {
                continue; // Passed over.
            }
            trades += self.shares(number);
            if trades > taker.last_trade {
                ending = Some(Ending::TooManyTrades);
                break;
            }
            fills.push(Fill { party: Party::of(number, &maker), quantity });
            self.fill(number, quantity);
            if self.take_off((number, &maker), rank, quantity) {
                line.push_back(number);
            }
            left -= quantity;
            if left == 0 {
                ending = Some(Ending::Filled);
                break;
            }
        }
        self.record_shared(&mut taker.party, &fills, (price, Some(other)), events);
        ending
    }
}
