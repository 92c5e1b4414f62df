//! Negotiated trades: a list of every offer there ever was, searched from the beginning.

use types::{
    AcceptContract, ClientOrderId, ContractAgreed, ContractEnded, ContractOffered,
    ContractRestated, ContractTerms, Energy, Event, MeterId, OfferContract, OfferId, OfferRequest,
    OfferState, OrderId, Origin, Phase, PlatformId, RejectReason, Request, Scope, SelfTradeAction,
    Side, Signature, Trade, TradeId, TradeSide,
};

use super::{
    Market, Model, Outcome,
    admission::{check_price, check_quantity, check_value},
    digest::Listing,
    exposure, refuse_if,
    requests::reject,
};

/// An offer, whatever became of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer {
    request: OfferContract,
    invited: PlatformId,
    pub(super) state: OfferState,
    trade: TradeId,
}

impl Offer {
    const fn terms(&self) -> &ContractTerms {
        &self.request.terms
    }

    fn is_contract(&self) -> bool {
        self.state == OfferState::Agreed
    }
}

impl Model {
    pub(super) fn offer(&mut self, request: &OfferContract, events: &mut Vec<Event>) {
        let OfferContract { origin, client_order, terms, offered_by, .. } = *request;
        match self.admit_offer(request) {
            Err(reason) => events.push(reject(origin, client_order, Request::Offer, reason)),
            Ok(Some(at)) => events.push(self.offer_again(at, origin, client_order, offered_by)),
            Ok(None) => {
                let other = terms.meter(offered_by.opposite());
                let invited = self.find_meter(other).expect("it was checked").platform;
                let (state, trade) = (OfferState::Open, TradeId::new(0));
                self.offers.push(Offer { request: *request, invited, state, trade });
                events.push(Event::ContractOffered(ContractOffered {
                    origin,
                    client_order,
                    offer: offer_id(self.offers.len() - 1),
                    terms,
                    offered_by,
                    invited,
                }));
            }
        }
    }

    pub(super) fn accept_offer(&mut self, request: &AcceptContract, events: &mut Vec<Event>) {
        let AcceptContract { origin, client_order, accepted_by, .. } = *request;
        let at = match self.admit_acceptance(request) {
            Err(reason) => {
                return events.push(reject(origin, client_order, Request::Accept, reason));
            }
            Ok(at) if self.offers[at].is_contract() => {
                return events.push(self.offer_again(at, origin, client_order, accepted_by));
            }
            Ok(at) => at,
        };
        self.trades += 1;
        let trade = TradeId::new(self.trades);
        self.offers[at].state = OfferState::Agreed;
        self.offers[at].trade = trade;
        let offer = self.offers[at].request;
        let sides = [(offer.offered_by, offer.origin, offer.client_order)];
        let sides = [sides[0], (accepted_by, origin, client_order)];
        let of = |wanted: Side| {
            let (_, origin, client_order) = sides.into_iter().find(|side| side.0 == wanted)?;
            let meter = offer.terms.meter(wanted);
            let (order, leaves) = (OrderId::new(0), Energy::ZERO);
            Some(TradeSide { order, client_order, meter, platform: origin.platform, leaves })
        };
        let (buy, sell) = (of(Side::Buy), of(Side::Sell));
        let (buy, sell) = (buy.expect("a side"), sell.expect("the other"));
        let ContractTerms { key, price, quantity, .. } = offer.terms;
        for (side, party) in [(Side::Buy, buy), (Side::Sell, sell)] {
            let owes = exposure(side, price, quantity.wh());
            *self.owed.entry((party.platform, key.market)).or_default() += owes;
            if self.markets[&key.market].controls.executions_max > 0 {
                *self.slot_mut(key).executions.entry(party.meter).or_default() += 1;
            }
        }
        events.push(Event::ContractAgreed(ContractAgreed {
            origin,
            client_order,
            offer: request.offer,
            trade,
            offerer: offer.origin.platform,
            offered_as: offer.client_order,
            offered_by: offer.offered_by,
        }));
        events.push(Event::Trade(Trade { trade, key, price, quantity, buy, sell, maker: None }));
    }

    pub(super) fn decline(&mut self, request: &OfferRequest, events: &mut Vec<Event>) {
        let found = self.position_of_offer(request.offer).map(|at| (at, self.offers[at].invited));
        self.end_asked(request, found, (Request::Decline, OfferState::Declined), events);
    }

    pub(super) fn withdraw(&mut self, request: &OfferRequest, events: &mut Vec<Event>) {
        let found = self.position_of_offer(request.offer);
        let found = found.map(|at| (at, self.offers[at].request.origin.platform));
        self.end_asked(request, found, (Request::Withdraw, OfferState::Withdrawn), events);
    }

    fn end_asked(
        &mut self,
        request: &OfferRequest,
        found: Option<(usize, PlatformId)>,
        (what, state): (Request, OfferState),
        events: &mut Vec<Event>,
    ) {
        let OfferRequest { origin, client_order, .. } = *request;
        let refusal = match found {
            None => RejectReason::UnknownOffer,
            Some((_, may)) if may != origin.platform => RejectReason::NotAuthorised,
            Some((at, _)) if self.offers[at].state != OfferState::Open => {
                RejectReason::UnknownOffer
            }
            Some((at, _)) => return self.end_offer(at, state, client_order, events),
        };
        events.push(reject(origin, client_order, what, refusal));
    }

    fn end_offer(
        &mut self,
        at: usize,
        state: OfferState,
        client_order: ClientOrderId,
        events: &mut Vec<Event>,
    ) {
        let offer = &mut self.offers[at];
        offer.state = state;
        events.push(Event::ContractEnded(ContractEnded {
            offer: offer_id(at),
            offerer: offer.request.origin.platform,
            offered_as: offer.request.client_order,
            offered_by: offer.request.offered_by,
            invited: offer.invited,
            client_order,
            state,
        }));
    }

    /// Before every command: open offers whose last instant has passed, by instant, then number.
    pub(super) fn expire_offers(&mut self, events: &mut Vec<Event>) {
        let mut expired = self.open_where(|model, offer| offer.terms().expires < model.last_time);
        expired.sort_by_key(|&at| (self.offers[at].terms().expires, at));
        self.end_all(expired, OfferState::Expired, events);
    }

    pub(super) fn close_offers(&mut self, key: types::SlotKey, events: &mut Vec<Event>) {
        let ended = self.open_where(|_, offer| offer.terms().key == key);
        self.end_all(ended, OfferState::GateClosed, events);
    }

    pub(super) fn kill_offers(&mut self, scope: Scope, events: &mut Vec<Event>) {
        let ended = self.open_where(|model, offer| {
            [Side::Buy, Side::Sell].into_iter().any(|side| {
                let meter = model.find_meter(offer.terms().meter(side)).expect("it was checked");
                match scope {
                    Scope::All => true,
                    Scope::Platform(platform) => meter.platform == platform,
                    Scope::Retailer(retailer) => meter.retailer == retailer,
                    Scope::Meter(number) => meter.meter == number,
                    Scope::Session(_) => false,
                }
            })
        });
        self.end_all(ended, OfferState::Killed, events);
    }

    fn end_all(&mut self, ended: Vec<usize>, state: OfferState, events: &mut Vec<Event>) {
        for at in ended {
            self.end_offer(at, state, ClientOrderId::new(0), events);
        }
    }

    fn open_where(&self, wanted: impl Fn(&Self, &Offer) -> bool) -> Vec<usize> {
        let open = |at: &usize| self.offers[*at].state == OfferState::Open;
        (0..self.offers.len()).filter(open).filter(|&at| wanted(self, &self.offers[at])).collect()
    }

    /// What the contracts of a meter take of its capacity, in Wh.
    pub(super) fn contracted(&self, meter: MeterId, side: Side, key: types::SlotKey) -> u64 {
        let contracts = self.offers.iter().filter(|offer| offer.is_contract());
        contracts
            .map(Offer::terms)
            .filter(|terms| terms.key == key && terms.meter(side) == meter)
            .map(|terms| terms.quantity.wh())
            .sum()
    }

    /// Contracts until their slot closes, other offers until their last instant too.
    fn is_remembered(&self, offer: &Offer) -> bool {
        let closed = self.slot(offer.terms().key).phase == Phase::Closed;
        !closed && (offer.is_contract() || offer.terms().expires >= self.last_time)
    }

    fn position_of_offer(&self, offer: OfferId) -> Option<usize> {
        let at = usize::try_from(offer.get()).ok()?.checked_sub(1)?;
        self.offers.get(at).filter(|offer| self.is_remembered(offer)).map(|_| at)
    }

    fn offer_again(
        &self,
        at: usize,
        origin: Origin,
        client_order: ClientOrderId,
        side: Side,
    ) -> Event {
        let Offer { state, trade, .. } = self.offers[at];
        let offer = offer_id(at);
        let restated = ContractRestated { origin, client_order, offer, state, trade, side };
        Event::ContractRestated(restated)
    }

    /// The same offer, if it is known.
    fn admit_offer(&self, request: &OfferContract) -> Result<Option<usize>, RejectReason> {
        let OfferContract { origin, terms, offered_by, .. } = *request;
        for side in [Side::Buy, Side::Sell] {
            refuse_if(self.find_meter(terms.meter(side)).is_none(), RejectReason::UnknownMeter)?;
        }
        let own = terms.meter(offered_by);
        let serves = self.find_meter(own).expect("it was checked").platform;
        refuse_if(serves != origin.platform, RejectReason::NotAuthorised)?;
        let named = (0..self.offers.len()).find(|&at| {
            let offer = &self.offers[at];
            let of =
                |terms: &ContractTerms| (terms.key, terms.buyer, terms.seller, terms.reference);
            self.is_remembered(offer) && of(offer.terms()) == of(&terms)
        });
        if let Some(at) = named {
            let known = self.offers[at].request;
            if known.terms == terms && known.offered_by == offered_by {
                return Ok(Some(at));
            }
        }
        refuse_if(self.last_time > terms.expires, RejectReason::SignatureExpired)?;
        self.check_trading(serves, own)?;
        let (market, _) = self.check_slot(terms.key)?;
        check_quantity(&market, terms.quantity.wh(), 0)?;
        check_price(&market, terms.price)?;
        self.check_parties(&market, &terms)?;
        refuse_if(named.is_some(), RejectReason::ReferenceTaken)?;
        self.check_party(&market, &terms, offered_by)?;
        let remembered = self.offers.iter().filter(|offer| self.is_remembered(offer));
        let waiting = remembered.clone().filter(|offer| {
            !offer.is_contract() && offer.request.origin.platform == origin.platform
        });
        let full = remembered.count() >= usize::try_from(self.limits.offers_max).expect("fits")
            || waiting.count() >= usize::try_from(self.limits.platform_offers_max).expect("fits");
        refuse_if(full, RejectReason::OrderLimitReached)?;
        Ok(None)
    }

    fn admit_acceptance(&self, request: &AcceptContract) -> Result<usize, RejectReason> {
        let AcceptContract { origin, offer, terms, accepted_by, .. } = *request;
        let at = self.position_of_offer(offer).ok_or(RejectReason::UnknownOffer)?;
        let offer = self.offers[at];
        let other_side = accepted_by != offer.request.offered_by;
        let may = other_side && offer.invited == origin.platform;
        refuse_if(!may, RejectReason::NotAuthorised)?;
        refuse_if(*offer.terms() != terms, RejectReason::TermsDiffer)?;
        if offer.is_contract() {
            return Ok(at);
        }
        refuse_if(offer.state != OfferState::Open, RejectReason::UnknownOffer)?;
        for side in [Side::Buy, Side::Sell] {
            let meter = terms.meter(side);
            self.check_trading(self.find_meter(meter).expect("it was checked").platform, meter)?;
        }
        let (market, _) = self.check_slot(terms.key)?;
        self.check_parties(&market, &terms)?;
        for side in [Side::Buy, Side::Sell] {
            self.check_party(&market, &terms, side)?;
        }
        Ok(at)
    }

    fn check_parties(&self, market: &Market, terms: &ContractTerms) -> Outcome {
        let group = |meter| self.group_of(meter, &market.controls);
        let forbidden = market.controls.self_trade != SelfTradeAction::Allow
            && group(terms.buyer) == group(terms.seller);
        refuse_if(forbidden || terms.buyer == terms.seller, RejectReason::SameParty)
    }

    fn check_party(&self, market: &Market, terms: &ContractTerms, side: Side) -> Outcome {
        let meter = terms.meter(side);
        self.check_capacity(meter, side, terms.key, terms.quantity.wh())?;
        check_value(market, terms.price, terms.quantity.wh())?;
        let platform = self.find_meter(meter).expect("it was checked").platform;
        self.check_credit(platform, market, exposure(side, terms.price, terms.quantity.wh()))?;
        self.check_executions(market, terms.key, meter)
    }

    pub(super) fn list_offers(&self, listing: &mut Listing) {
        if self.offers.is_empty() {
            return;
        }
        listing.bytes(&u64::try_from(self.offers.len()).expect("few").to_le_bytes());
        let remembered = |at: &usize| self.is_remembered(&self.offers[*at]);
        listing.count((0..self.offers.len()).filter(remembered).count());
        for at in (0..self.offers.len()).filter(remembered) {
            let Offer { request, invited, state, trade } = &self.offers[at];
            let terms = &request.terms;
            listing.bytes(&offer_id(at).get().to_le_bytes());
            listing.bytes(&[state.code(), request.offered_by.code()]);
            listing.bytes(&request.origin.platform.get().to_le_bytes());
            listing.bytes(&request.client_order.get().to_le_bytes());
            listing.bytes(&invited.get().to_le_bytes());
            listing.bytes(&trade.get().to_le_bytes());
            let signature: &Signature = &request.signature;
            listing.bytes(signature.as_bytes());
            listing.key(terms.key);
            listing.bytes(&terms.buyer.get().to_le_bytes());
            listing.bytes(&terms.seller.get().to_le_bytes());
            listing.bytes(&terms.price.micros().to_le_bytes());
            listing.bytes(&terms.quantity.wh().to_le_bytes());
            listing.bytes(&terms.reference.to_le_bytes());
            listing.bytes(&terms.expires.ns().to_le_bytes());
        }
    }
}

fn offer_id(at: usize) -> OfferId {
    OfferId::new(u64::try_from(at + 1).expect("few offers"))
}
