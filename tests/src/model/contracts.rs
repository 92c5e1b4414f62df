//! Negotiated trades: a list of every offer there ever was, searched from the beginning.

use types::{
    AcceptContract, AmendmentTerms, ClientOrderId, ContractAgreed, ContractEnded, ContractOffered,
    ContractRestated, ContractTerms, Energy, Event, MeterId, OfferContract, OfferId, OfferRequest,
    OfferState, OfferTerms, OrderId, Origin, Phase, PlatformId, RejectReason, Request, Scope,
    SelfTradeAction, Side, Signature, Trade, TradeId, TradeSide,
};

use super::{
    Market, Model, Outcome,
    admission::{check_price, check_quantity, check_value},
    digest::Listing,
    exposure, refuse_if,
    requests::reject,
};

/// An offer of a contract or of a change, whatever became of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer {
    pub(super) origin: Origin,
    pub(super) client_order: ClientOrderId,
    pub(super) terms: OfferTerms,
    pub(super) offered_by: Side,
    pub(super) signature: Signature,
    pub(super) invited: PlatformId,
    pub(super) state: OfferState,
    pub(super) trade: TradeId,
}

impl Offer {
    pub(super) fn is_agreed(&self) -> bool {
        self.state == OfferState::Agreed
    }

    const fn contract(&self) -> Option<&ContractTerms> {
        match &self.terms {
            OfferTerms::Contract(terms) => Some(terms),
            OfferTerms::Amendment(_) => None,
        }
    }

    pub(super) const fn change(&self) -> Option<&AmendmentTerms> {
        match &self.terms {
            OfferTerms::Amendment(terms) => Some(terms),
            OfferTerms::Contract(_) => None,
        }
    }
}

impl Model {
    pub(super) fn offer(&mut self, request: &OfferContract, events: &mut Vec<Event>) {
        let OfferContract { origin, client_order, terms, offered_by, signature } = *request;
        match self.admit_offer(request) {
            Err(reason) => events.push(reject(origin, client_order, Request::Offer, reason)),
            Ok(Some(at)) => events.push(self.offer_again(at, origin, client_order, offered_by)),
            Ok(None) => {
                let other = terms.meter(offered_by.opposite());
                let invited = self.find_meter(other).expect("it was checked").platform;
                let (state, trade) = (OfferState::Open, TradeId::new(0));
                self.offers.push(Offer {
                    origin,
                    client_order,
                    terms: OfferTerms::Contract(terms),
                    offered_by,
                    signature,
                    invited,
                    state,
                    trade,
                });
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
            Ok(at) if self.offers[at].is_agreed() => {
                return events.push(self.offer_again(at, origin, client_order, accepted_by));
            }
            Ok(at) => at,
        };
        self.trades += 1;
        let trade = TradeId::new(self.trades);
        self.offers[at].state = OfferState::Agreed;
        self.offers[at].trade = trade;
        let offer = self.offers[at];
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
        let ContractTerms { key, price, quantity, .. } = request.terms;
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
        let found = found.map(|at| (at, self.offers[at].origin.platform));
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

    pub(super) fn end_offer(
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
            offerer: offer.origin.platform,
            offered_as: offer.client_order,
            offered_by: offer.offered_by,
            invited: offer.invited,
            client_order,
            state,
        }));
    }

    /// Before every command: open offers whose last instant has passed, by instant, then number.
    pub(super) fn expire_offers(&mut self, events: &mut Vec<Event>) {
        let mut expired = self.open_where(|model, offer| offer.terms.expires() < model.last_time);
        expired.sort_by_key(|&at| (self.offers[at].terms.expires(), at));
        self.end_all(expired, OfferState::Expired, events);
    }

    pub(super) fn close_offers(&mut self, key: types::SlotKey, events: &mut Vec<Event>) {
        let ended = self.open_where(|_, offer| offer.terms.keys().contains(&key));
        self.end_all(ended, OfferState::GateClosed, events);
    }

    pub(super) fn kill_offers(&mut self, scope: Scope, events: &mut Vec<Event>) {
        let ended = self.open_where(|model, offer| {
            [Side::Buy, Side::Sell].into_iter().any(|side| {
                let meter = model.find_meter(offer.terms.meter(side)).expect("it was checked");
                match scope {
                    Scope::All => true,
                    Scope::Platform(platform) => meter.platform == platform,
                    Scope::Retailer(retailer) => meter.retailer == retailer,
                    Scope::Meter(number) => meter.meter == number,
                    Scope::Market(market) => {
                        offer.terms.keys().iter().any(|key| key.market == market)
                    }
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

    /// What the contracts of a meter take of its capacity, and the changes of its trades more or less, in Wh.
    pub(super) fn contracted(&self, meter: MeterId, side: Side, key: types::SlotKey) -> i128 {
        let agreed = self.offers.iter().filter(|offer| offer.is_agreed());
        let of_meter = agreed.filter(|offer| offer.terms.meter(side) == meter);
        let mut sum = 0;
        for offer in of_meter {
            let (taken, given_back) = match &offer.terms {
                OfferTerms::Contract(terms) => ((terms.key, terms.quantity), None),
                OfferTerms::Amendment(terms) => {
                    ((terms.new_key(), terms.new_quantity), Some((terms.key, terms.quantity)))
                }
            };
            let held = |(at, energy): (types::SlotKey, Energy)| {
                if at == key { i128::from(energy.wh()) } else { 0 }
            };
            sum += held(taken) - given_back.map_or(0, held);
        }
        let busts = self.busts.iter().filter(|bust| bust.meter(side) == meter && bust.key == key);
        sum - busts.map(|bust| i128::from(bust.quantity.wh())).sum::<i128>()
    }

    /// What was agreed on until a slot of it closes, other offers until their last instant too.
    pub(super) fn is_remembered(&self, offer: &Offer) -> bool {
        let closed = |key| self.slot(key).phase == Phase::Closed;
        let is_closed = offer.terms.keys().into_iter().any(closed);
        !is_closed && (offer.is_agreed() || offer.terms.expires() >= self.last_time)
    }

    /// Whether one more offer of a platform is too many.
    pub(super) fn has_too_many_offers(&self, platform: PlatformId) -> bool {
        let remembered = self.offers.iter().filter(|offer| self.is_remembered(offer));
        let waiting = remembered
            .clone()
            .filter(|offer| !offer.is_agreed() && offer.origin.platform == platform);
        remembered.count() >= usize::try_from(self.limits.offers_max).expect("fits")
            || waiting.count() >= usize::try_from(self.limits.platform_offers_max).expect("fits")
    }

    /// The position of an open offer that may be accepted so, or was already.
    pub(super) fn acceptable(
        &self,
        origin: Origin,
        offer: OfferId,
        terms: &OfferTerms,
        accepted_by: Side,
    ) -> Result<usize, RejectReason> {
        let at = self.position_of_offer(offer).ok_or(RejectReason::UnknownOffer)?;
        let offer = self.offers[at];
        let may = accepted_by != offer.offered_by && offer.invited == origin.platform;
        refuse_if(!may, RejectReason::NotAuthorised)?;
        refuse_if(offer.terms != *terms, RejectReason::TermsDiffer)?;
        let is_over = !offer.is_agreed() && offer.state != OfferState::Open;
        refuse_if(is_over, RejectReason::UnknownOffer)?;
        Ok(at)
    }

    fn position_of_offer(&self, offer: OfferId) -> Option<usize> {
        let at = usize::try_from(offer.get()).ok()?.checked_sub(1)?;
        self.offers.get(at).filter(|offer| self.is_remembered(offer)).map(|_| at)
    }

    pub(super) fn offer_again(
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
        let of = |terms: &ContractTerms| (terms.key, terms.buyer, terms.seller, terms.reference);
        let named = (0..self.offers.len()).find(|&at| {
            let offer = &self.offers[at];
            self.is_remembered(offer) && offer.contract().map(of) == Some(of(&terms))
        });
        if let Some(at) = named {
            let known = self.offers[at];
            if known.contract() == Some(&terms) && known.offered_by == offered_by {
                return Ok(Some(at));
            }
        }
        refuse_if(self.last_time > terms.expires, RejectReason::SignatureExpired)?;
        self.check_trading(serves, own, Some(terms.key.market))?;
        let (market, _) = self.check_slot(terms.key)?;
        check_quantity(&market, terms.quantity.wh(), 0)?;
        check_price(&market, terms.price)?;
        self.check_parties(&market, &terms)?;
        refuse_if(named.is_some(), RejectReason::ReferenceTaken)?;
        self.check_party(&market, &terms, offered_by)?;
        refuse_if(self.has_too_many_offers(origin.platform), RejectReason::OrderLimitReached)?;
        Ok(None)
    }

    fn admit_acceptance(&self, request: &AcceptContract) -> Result<usize, RejectReason> {
        let AcceptContract { origin, offer, terms, accepted_by, .. } = *request;
        let at = self.acceptable(origin, offer, &OfferTerms::Contract(terms), accepted_by)?;
        if self.offers[at].is_agreed() {
            return Ok(at);
        }
        for side in [Side::Buy, Side::Sell] {
            let meter = terms.meter(side);
            let platform = self.find_meter(meter).expect("it was checked").platform;
            self.check_trading(platform, meter, Some(terms.key.market))?;
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
        let remembered = |at: &usize| {
            self.is_remembered(&self.offers[*at]) && self.offers[*at].contract().is_some()
        };
        listing.count((0..self.offers.len()).filter(remembered).count());
        for at in (0..self.offers.len()).filter(remembered) {
            self.list_offer(at, listing);
            let terms = self.offers[at].contract().expect("it was filtered");
            listing.key(terms.key);
            listing.bytes(&terms.buyer.get().to_le_bytes());
            listing.bytes(&terms.seller.get().to_le_bytes());
            listing.bytes(&terms.price.micros().to_le_bytes());
            listing.bytes(&terms.quantity.wh().to_le_bytes());
            listing.bytes(&terms.reference.to_le_bytes());
            listing.bytes(&terms.expires.ns().to_le_bytes());
        }
    }

    /// An offer without its terms.
    pub(super) fn list_offer(&self, at: usize, listing: &mut Listing) {
        let Offer { origin, client_order, offered_by, signature, invited, state, trade, .. } =
            &self.offers[at];
        listing.bytes(&offer_id(at).get().to_le_bytes());
        listing.bytes(&[state.code(), offered_by.code()]);
        listing.bytes(&origin.platform.get().to_le_bytes());
        listing.bytes(&client_order.get().to_le_bytes());
        listing.bytes(&invited.get().to_le_bytes());
        listing.bytes(&trade.get().to_le_bytes());
        listing.bytes(signature.as_bytes());
    }
}

pub(super) fn offer_id(at: usize) -> OfferId {
    OfferId::new(u64::try_from(at + 1).expect("few offers"))
}
