//! Offers of contracts and what is asked of them, good and bad.

use types::{
    AcceptContract, ClientOrderId, Command, ContractTerms, Energy, MeterId, OfferContract, OfferId,
    OfferRequest, OfferTerms, Side, Signature,
};

use super::History;

impl History {
    pub(super) fn offer(&mut self) -> Command {
        let again = self.offers.iter().rev().take(6).map(|known| known.1).collect::<Vec<_>>();
        let again = if self.random.once_in(6) { self.random.pick(&again) } else { None };
        let mut request = again.unwrap_or_else(|| self.fresh_offer());
        if again.is_some() && self.random.once_in(3) {
            request.terms.quantity = Energy::from_wh(10);
        }
        self.client_orders += 1;
        request.client_order = ClientOrderId::new(self.client_orders);
        self.offering = Some(request);
        Command::OfferContract(request)
    }

    fn fresh_offer(&mut self) -> OfferContract {
        let key = self.open_key();
        let market = self.definition(key.market);
        let offered_by = self.random.one_of(&[Side::Buy, Side::Sell]);
        let buyer = self.some_meter();
        let seller = if self.random.once_in(20) { buyer } else { self.some_meter() };
        let terms = ContractTerms {
            key,
            buyer,
            seller,
            price: self.price(&market),
            quantity: self.quantity(&market),
            reference: self.random.below(40),
            expires: self.valid_until(),
        };
        let mut origin = self.origin(terms.meter(offered_by));
        if self.random.once_in(30) {
            origin.platform = types::PlatformId::new(3);
        }
        let client_order = ClientOrderId::new(0);
        let signature = Signature::new([offered_by.code(); 64]);
        OfferContract { origin, client_order, terms, offered_by, signature }
    }

    /// An offer that is open, mostly.
    fn some_offer(&mut self) -> Option<(OfferId, OfferContract)> {
        let recent: Vec<_> = self.offers.iter().rev().take(8).copied().collect();
        let (mut number, request) = self.random.pick(&recent)?;
        if self.random.once_in(40) {
            number = OfferId::new(self.random.one_of(&[0, u64::MAX, 1 << 48, 5_000]));
        }
        Some((number, request))
    }

    pub(super) fn accept_offer(&mut self) -> Command {
        if self.random.once_in(2)
            && let Some(command) = self.accept_change()
        {
            return command;
        }
        let Some((offer, request)) = self.some_offer() else { return self.offer() };
        let mut terms = request.terms;
        if self.random.once_in(20) {
            terms.reference += 1;
        }
        let odd = self.random.once_in(30);
        let accepted_by = if odd { request.offered_by } else { request.offered_by.opposite() };
        self.client_orders += 1;
        Command::AcceptContract(AcceptContract {
            origin: self.origin(terms.meter(accepted_by)),
            client_order: ClientOrderId::new(self.client_orders),
            offer,
            terms,
            accepted_by,
            signature: Signature::new([7; 64]),
        })
    }

    pub(super) fn end_offer(&mut self) -> Command {
        let recent: Vec<_> = self.changes.iter().rev().take(4).copied().collect();
        let change = if self.random.once_in(2) { self.random.pick(&recent) } else { None };
        let offered = change.map(|(offer, request)| {
            (offer, OfferTerms::Amendment(request.terms), request.offered_by)
        });
        let offered = offered.or_else(|| {
            let (offer, request) = self.some_offer()?;
            Some((offer, OfferTerms::Contract(request.terms), request.offered_by))
        });
        let Some((offer, terms, offered_by)) = offered else { return self.offer() };
        let declines = self.random.once_in(2);
        let side = if declines { offered_by.opposite() } else { offered_by };
        let side = if self.random.once_in(12) { side.opposite() } else { side };
        let meter: MeterId = terms.meter(side);
        self.client_orders += 1;
        let client_order = ClientOrderId::new(self.client_orders);
        let request = OfferRequest { origin: self.origin(meter), client_order, offer };
        if declines {
            Command::DeclineContract(request)
        } else {
            Command::WithdrawContract(request)
        }
    }
}
