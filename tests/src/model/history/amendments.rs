//! Changes of trades, good and bad. What a trade was as it was made is always said truly: the edge vouches
//! for that.

use types::{
    AcceptAmendment, AmendmentTerms, ClientOrderId, Command, Energy, FIRST_VERSION, KnownTrade,
    OfferAmendment, Side, Signature, Timestamp, Trade, TradeBusted,
};

use super::History;

impl History {
    pub(super) fn note_trade(&mut self, trade: &Trade) {
        self.made.push((
            trade.trade,
            KnownTrade {
                key: trade.key,
                buyer: trade.buy.meter,
                seller: trade.sell.meter,
                price: trade.price,
                quantity: trade.quantity,
            },
        ));
        self.traded.push(AmendmentTerms {
            trade: trade.trade,
            version: FIRST_VERSION,
            key: trade.key,
            buyer: trade.buy.meter,
            seller: trade.sell.meter,
            price: trade.price,
            quantity: trade.quantity,
            new_slot: trade.key.slot,
            new_quantity: trade.quantity,
            reference: 0,
            expires: Timestamp::from_ns(0),
        });
    }

    pub(super) fn note_change(&mut self, terms: &AmendmentTerms) {
        for known in self.traded.iter_mut().filter(|known| known.trade == terms.trade) {
            known.version = terms.new_version();
            known.key = terms.new_key();
            known.quantity = terms.new_quantity;
        }
    }

    pub(super) fn note_bust(&mut self, busted: &TradeBusted) {
        for known in self.traded.iter_mut().filter(|known| known.trade == busted.trade) {
            known.version = busted.version + 1;
            known.quantity = Energy::ZERO;
        }
    }

    pub(super) fn change(&mut self) -> Command {
        let again: Vec<_> = self.changes.iter().rev().take(6).map(|known| known.1).collect();
        let again = if self.random.once_in(8) { self.random.pick(&again) } else { None };
        let Some(mut request) = again.or_else(|| self.fresh_change()) else { return self.offer() };
        if again.is_some() && self.random.once_in(3) {
            request.terms.new_quantity = Energy::from_wh(10);
        }
        self.client_orders += 1;
        request.client_order = ClientOrderId::new(self.client_orders);
        self.changing = Some(request);
        Command::OfferAmendment(request)
    }

    fn fresh_change(&mut self) -> Option<OfferAmendment> {
        // Often those that can still be changed, and a few of them again and again.
        let recent: Vec<_> = self.traded.iter().rev().take(10).copied().collect();
        let (open, rest): (Vec<_>, Vec<_>) =
            recent.into_iter().partition(|known| self.is_before_gate(known.key));
        let from = if open.is_empty() || self.random.once_in(20) { &rest } else { &open };
        let mut terms = self.random.pick(from)?;
        let market = self.definition(terms.key.market);
        terms.new_slot = terms.key.slot;
        if self.random.once_in(3) {
            let key = self.open_key_where(|slot| slot.key.market == market.market);
            terms.new_slot = key.slot;
        }
        terms.new_quantity = match self.random.below(6) {
            0 => Energy::ZERO,
            1 => terms.quantity,
            _ => self.quantity(&market),
        };
        terms.reference = self.random.below(1_000_000);
        terms.expires = self.valid_until();
        if self.random.once_in(12) {
            terms.version = self.random.one_of(&[1, 2, 3, 0, u32::MAX]);
        } else if terms.version > FIRST_VERSION && self.random.once_in(12) {
            terms.quantity = Energy::from_wh(terms.quantity.wh() + 10);
        }
        if self.random.once_in(60) {
            terms.trade = types::TradeId::new(self.random.one_of(&[0, 1 << 40, u64::MAX]));
        }
        let offered_by = self.random.one_of(&[Side::Buy, Side::Sell]);
        let mut origin = self.origin(terms.meter(offered_by));
        if self.random.once_in(30) {
            origin.platform = types::PlatformId::new(3);
        }
        let client_order = ClientOrderId::new(0);
        let signature = Signature::new([offered_by.code(); 64]);
        Some(OfferAmendment { origin, client_order, terms, offered_by, signature })
    }

    pub(super) fn accept_change(&mut self) -> Option<Command> {
        let recent: Vec<_> = self.changes.iter().rev().take(5).copied().collect();
        let (offer, request) = self.random.pick(&recent)?;
        let mut terms = request.terms;
        if self.random.once_in(20) {
            terms.reference += 1;
        }
        let odd = self.random.once_in(30);
        let accepted_by = if odd { request.offered_by } else { request.offered_by.opposite() };
        self.client_orders += 1;
        Some(Command::AcceptAmendment(AcceptAmendment {
            origin: self.origin(terms.meter(accepted_by)),
            client_order: ClientOrderId::new(self.client_orders),
            offer,
            terms,
            accepted_by,
            signature: Signature::new([7; 64]),
        }))
    }
}
