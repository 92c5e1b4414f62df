//! Pairing: the volume of an auction becomes trades between a buyer and a seller each.

use types::{Energy, Event, OrderId, Side, SlotKey, Trade, TradeId, TradeSide};

use crate::{
    auction::Clearing, book::Book, engine::Engine, index::NONE, sharing::share_pro_rata,
    slab::OpenOrder,
};

/// What one order gets in an auction: where it stands, and how much of it fills.
#[derive(Debug, Clone, Copy)]
struct Share {
    rank: u32,
    index: u32,
    quantity: u64,
}

impl Engine {
    /// Trades the volume of an auction at its price, walking both sides in priority order.
    pub(crate) fn pair(
        &mut self,
        key: SlotKey,
        book: u32,
        clearing: Clearing,
        events: &mut Vec<Event>,
    ) {
        let mut left = clearing.volume.wh();
        while left > 0 {
            let first = |side| {
                let ladder = self.slots.book(book).ladder(side);
                let rank = ladder.best();
                let index = ladder.level(rank).head;
                Share { rank, index, quantity: self.slab.get(index).leaves }
            };
            let (buy, sell) = (first(Side::Buy), first(Side::Sell));
            let quantity = buy.quantity.min(sell.quantity);
            self.cross(key, book, clearing, [buy, sell], quantity, events);
            left -= quantity;
        }
    }

    /// As [`Engine::pair`], where the orders of the last level that fills share it in proportion to
    /// their quantity, in whole lots.
    pub(crate) fn pair_pro_rata(
        &mut self,
        key: SlotKey,
        book: u32,
        clearing: Clearing,
        lot: Energy,
        events: &mut Vec<Event>,
    ) {
        let volume = clearing.volume.wh();
        let shares = |side| self.shares(self.slots.book(book), side, volume, lot.wh());
        let (buys, sells) = (shares(Side::Buy), shares(Side::Sell));
        let (mut buys, mut sells) = (buys.into_iter(), sells.into_iter());
        let (mut buy, mut sell) = (buys.next(), sells.next());
        while let (Some(one), Some(other)) = (&mut buy, &mut sell) {
            let quantity = one.quantity.min(other.quantity);
            self.cross(key, book, clearing, [*one, *other], quantity, events);
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

    /// What each order of a side gets of `volume`, without empty shares. Everything in a book is
    /// whole lots.
    fn shares(&self, book: &Book, side: Side, volume: u64, lot: u64) -> Vec<Share> {
        let mut shares = Vec::new();
        let mut left = volume;
        for rank in book.ladder(side).ranks() {
            if left == 0 {
                break;
            }
            let level = book.ladder(side).level(rank);
            let mut queue = Vec::new();
            let mut index = level.head;
            while index != NONE {
                queue.push(index);
                index = self.slab.get(index).next;
            }
            let lots: Vec<u64> =
                queue.iter().map(|&index| self.slab.get(index).leaves / lot).collect();
            let amount = left.min(level.quantity);
            let parts = share_pro_rata(&lots, amount / lot);
            shares.extend(queue.iter().zip(parts).map(|(&index, part)| Share {
                rank,
                index,
                quantity: part * lot,
            }));
            left -= amount;
        }
        shares.retain(|share| share.quantity > 0);
        shares
    }

    /// One trade of an auction.
    fn cross(
        &mut self,
        key: SlotKey,
        book: u32,
        clearing: Clearing,
        [buy, sell]: [Share; 2],
        quantity: u64,
        events: &mut Vec<Event>,
    ) {
        let buy = self.fill(book, Side::Buy, buy, quantity);
        let sell = self.fill(book, Side::Sell, sell, quantity);
        // Admission keeps a meter to one side during a call.
        assert!(buy.meter != sell.meter, "an auction paired a meter with itself");
        self.trades += 1;
        events.push(Event::Trade(Trade {
            trade: TradeId::new(self.trades),
            key,
            price: clearing.price,
            quantity: Energy::from_wh(quantity),
            buy: self.trade_side(&buy),
            sell: self.trade_side(&sell),
            maker: None,
        }));
    }

    /// Fills a resting order and returns it as it is afterwards.
    fn fill(&mut self, book: u32, side: Side, share: Share, quantity: u64) -> OpenOrder {
        let ladder = self.slots.book_mut(book).ladder_mut(side);
        ladder.level_mut(share.rank).quantity -= quantity;
        let order = self.slab.get_mut(share.index);
        order.leaves -= quantity;
        let after = *order;
        if after.leaves == 0 {
            ladder.unlink(&mut self.slab, share.rank, share.index);
            self.slab.release(share.index);
        }
        after
    }

    fn trade_side(&self, order: &OpenOrder) -> TradeSide {
        TradeSide {
            order: OrderId::new(u64::from(order.number)),
            client_order: order.client_order,
            meter: order.meter,
            platform: self.registry.platform_of(order.meter),
            leaves: Energy::from_wh(order.leaves),
        }
    }
}
