//! Pairing: the volume of an auction becomes trades between a buyer and a seller each.

use types::{Event, MeterId, Side, share};

use crate::{
    auction::Clearing,
    desk::{Desk, Match, Party},
    engine::Engine,
    ladder::queue,
    orders::{OrderLog, Traits},
    registry::Market,
    sharing::{Sharing, sharing},
};

/// What one order gets in an auction.
#[derive(Debug, Clone, Copy)]
struct Share {
    number: u32,
    /// Of an aggregate order 0 at first, then that of a member.
    meter: MeterId,
    quantity: u32,
}

impl Market {
    /// How the orders at the last price of a call share what is left for them.
    /// Rule T-59.
    fn sharing(&self, price: types::Price) -> Sharing {
        let band = (self.definition.price_min, self.definition.price_max);
        match self.controls.allocation {
            types::Allocation::ProRata => Sharing::ProRata,
            types::Allocation::Time => sharing(self.definition.price_rule, price, Some(band)),
        }
    }
}

impl Engine {
    /// Trades the volume of an auction at its price, walking both sides in priority order. The
    /// orders of the last level that fills get their part by time, or in proportion to their
    /// quantity, in whole lots.
    pub(crate) fn pair(&mut self, slot: u32, clearing: Clearing, events: &mut Vec<Event>) {
        let mut desk = self.desk(slot);
        let (sharing, volume) = (desk.market.sharing(clearing.price), clearing.volume.wh());
        let shares = |side| match sharing {
            Sharing::ByTime => by_time(&desk, side, volume),
            Sharing::ProRata => pro_rata(&desk, side, volume),
        };
        let (buys, sells) = (shares(Side::Buy), shares(Side::Sell));
        let mut buys = desk.among_members(Side::Buy, buys).into_iter();
        let mut sells = desk.among_members(Side::Sell, sells).into_iter();
        let (mut buy, mut sell) = (buys.next(), sells.next());
        while let (Some(one), Some(other)) = (&mut buy, &mut sell) {
            let quantity = one.quantity.min(other.quantity);
            let made = Match { price: clearing.price, quantity, maker: None };
            let party = |share: &Share| Party {
                meter: share.meter,
                ..Party::of(share.number, desk.orders.get(share.number))
            };
            let parties = [party(one), party(other)];
            desk.record(made, [&parties[0], &parties[1]], events);
            for party in parties {
                desk.fill_resting(&party, quantity);
            }
            one.quantity -= quantity;
            other.quantity -= quantity;
            let (bought, sold) = (one.quantity == 0, other.quantity == 0);
            if bought {
                buy = buys.next();
            }
            if sold {
                sell = sells.next();
            }
        }
    }
}

impl Desk<'_> {
    /// Shares what each aggregate order of a side gets among its members, in its place.
    fn among_members(&mut self, side: Side, shares: Vec<Share>) -> Vec<Share> {
        if self.book.members(side) == 0 {
            return shares;
        }
        let mut among = Vec::with_capacity(shares.len());
        for share in shares {
            let party = Party::of(share.number, self.orders.get(share.number));
            let split = self.split(&party, share.quantity).into_iter();
            among.extend(split.map(|(meter, quantity)| Share { meter, quantity, ..share }));
        }
        among
    }

    /// Fills an order in an auction, where it rests.
    /// Rule T-73.
    fn fill_resting(&mut self, party: &Party, quantity: u32) {
        let rank = self.book.rank(party.side, party.level);
        self.fill(party.number, quantity);
        let ladder = self.book.ladder_mut(party.side);
        ladder.level_mut(rank).quantity -= u64::from(quantity);
        if party.leaves == quantity {
            let order = *self.orders.get(party.number);
            ladder.bury(&order, rank);
            self.filled(party.number);
        } else if self.orders.get(party.number).traits.has(Traits::ICEBERG) {
            self.show(party.number);
        }
    }
}

/// The orders of one side that take part, level by level, best first.
/// Rule T-56.
fn levels<'a>(
    desk: &'a Desk<'_>,
    side: Side,
) -> impl Iterator<Item = impl Iterator<Item = Share> + 'a> + 'a {
    let ladder = desk.book.ladder(side);
    let orders: &OrderLog = desk.orders;
    ladder.ranks().map(move |rank| {
        let taking_part = queue(orders, ladder.level(rank)).filter(|(_, o)| !o.is_needy());
        taking_part.map(|(number, order)| Share {
            number,
            meter: order.meter,
            quantity: order.leaves,
        })
    })
}

/// What each order of a side gets of `volume`: the best price first, and there the first in line.
fn by_time(desk: &Desk<'_>, side: Side, volume: u64) -> Vec<Share> {
    let mut left = volume;
    let mut shares = Vec::new();
    for mut share in levels(desk, side).flatten() {
        share.quantity = fitting(u64::from(share.quantity).min(left));
        left -= u64::from(share.quantity);
        shares.push(share);
        if left == 0 {
            break;
        }
    }
    shares
}

/// As [`by_time`], but the last level that fills is shared. Everything in a book is whole lots.
fn pro_rata(desk: &Desk<'_>, side: Side, volume: u64) -> Vec<Share> {
    let lot = desk.market.definition.lot.wh();
    let mut left = volume;
    let mut shares: Vec<Share> = Vec::new();
    for level in levels(desk, side) {
        if left == 0 {
            break;
        }
        let line: Vec<Share> = level.collect();
        let lots: Vec<u64> = line.iter().map(|share| u64::from(share.quantity) / lot).collect();
        let amount = left.min(lots.iter().sum::<u64>() * lot);
        let parts = share(&lots, u128::from(amount / lot));
        shares.extend(
            line.iter()
                .zip(parts)
                .map(|(share, part)| Share { quantity: fitting(part * lot), ..*share }),
        );
        left -= amount;
    }
    shares.retain(|share| share.quantity > 0);
    shares
}

/// A part of an order's quantity, which fits.
fn fitting(wh: u64) -> u32 {
    u32::try_from(wh).unwrap_or(u32::MAX)
}
