//! Changes of trades: what every trade was and is follows from the list of offers.

use types::{
    AcceptAmendment, AmendmentOffered, AmendmentTerms, ClientOrderId, ContractAmended, Energy,
    Event, FIRST_VERSION, KnownTrade, OfferAmendment, OfferState, OfferTerms, Phase, RejectReason,
    Request, Side, TradeBusted, TradeId,
};

use super::{
    Market, Model, Outcome,
    admission::{check_quantity, check_value},
    contracts::{Offer, offer_id},
    digest::Listing,
    exposure, refuse_if,
    requests::reject,
};

impl Model {
    pub(super) fn offer_change(&mut self, request: &OfferAmendment, events: &mut Vec<Event>) {
        let OfferAmendment { origin, client_order, terms, offered_by, signature } = *request;
        match self.admit_amendment(request) {
            Err(reason) => events.push(reject(origin, client_order, Request::Offer, reason)),
            Ok(Some(at)) => events.push(self.offer_again(at, origin, client_order, offered_by)),
            Ok(None) => {
                let other = terms.meter(offered_by.opposite());
                let invited = self.find_meter(other).expect("it was checked").platform;
                self.offers.push(Offer {
                    origin,
                    client_order,
                    terms: OfferTerms::Amendment(terms),
                    offered_by,
                    signature,
                    invited,
                    state: OfferState::Open,
                    trade: TradeId::new(0),
                });
                events.push(Event::AmendmentOffered(AmendmentOffered {
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

    pub(super) fn accept_change(&mut self, request: &AcceptAmendment, events: &mut Vec<Event>) {
        let AcceptAmendment { origin, client_order, offer, terms, accepted_by, .. } = *request;
        let at = match self.admit_agreement(request) {
            Err(reason) => {
                return events.push(reject(origin, client_order, Request::Accept, reason));
            }
            Ok(at) if self.offers[at].is_agreed() => {
                return events.push(self.offer_again(at, origin, client_order, accepted_by));
            }
            Ok(at) => at,
        };
        for side in [Side::Buy, Side::Sell] {
            let platform = self.find_meter(terms.meter(side)).expect("it was checked").platform;
            let owes = owes_more(side, &terms);
            *self.owed.entry((platform, terms.key.market)).or_default() += owes;
        }
        self.offers[at].state = OfferState::Agreed;
        self.offers[at].trade = terms.trade;
        let agreed = self.offers[at];
        events.push(Event::ContractAmended(ContractAmended {
            origin,
            client_order,
            offer,
            offerer: agreed.origin.platform,
            offered_as: agreed.client_order,
            offered_by: agreed.offered_by,
            terms,
        }));
    }

    /// The changes of a trade, in order, while it is known: until the slots close where it was made and is.
    fn changes_of(&self, trade: TradeId) -> Vec<AmendmentTerms> {
        let agreed = self.offers.iter().filter(|offer| offer.is_agreed());
        let mut changes: Vec<_> = agreed.filter_map(Offer::change).copied().collect();
        changes.extend(&self.busts);
        changes.retain(|terms| terms.trade == trade);
        // They may have been agreed on in another order than offered.
        changes.sort_by_key(|terms| terms.version);
        let is_open = |key| self.slot(key).phase != Phase::Closed;
        match (changes.first(), changes.last()) {
            (Some(first), Some(last)) if !is_open(first.key) && !is_open(last.new_key()) => {
                Vec::new()
            }
            _ => changes,
        }
    }

    fn changed_trades(&self) -> Vec<TradeId> {
        let changes =
            self.offers.iter().filter(|offer| offer.is_agreed()).filter_map(Offer::change);
        let mut trades: Vec<_> = changes.chain(&self.busts).map(|terms| terms.trade).collect();
        trades.sort_unstable();
        trades.dedup();
        trades.retain(|&trade| !self.changes_of(trade).is_empty());
        trades
    }

    fn admit_amendment(&self, request: &OfferAmendment) -> Result<Option<usize>, RejectReason> {
        let OfferAmendment { origin, terms, offered_by, .. } = *request;
        for side in [Side::Buy, Side::Sell] {
            refuse_if(self.find_meter(terms.meter(side)).is_none(), RejectReason::UnknownMeter)?;
        }
        let own = terms.meter(offered_by);
        let serves = self.find_meter(own).expect("it was checked").platform;
        refuse_if(serves != origin.platform, RejectReason::NotAuthorised)?;
        let is_named = |terms_of: &AmendmentTerms| {
            (terms_of.trade, terms_of.reference) == (terms.trade, terms.reference)
        };
        let named = (0..self.offers.len()).find(|&at| {
            let offer = &self.offers[at];
            self.is_remembered(offer) && offer.change().is_some_and(is_named)
        });
        if let Some(at) = named {
            let known = self.offers[at];
            if known.change() == Some(&terms) && known.offered_by == offered_by {
                return Ok(Some(at));
            }
        }
        refuse_if(self.last_time > terms.expires, RejectReason::SignatureExpired)?;
        self.check_trading(serves, own, Some(terms.key.market))?;
        let market = self.check_change(&terms)?;
        refuse_if(named.is_some(), RejectReason::ReferenceTaken)?;
        let is_open = self.offers.iter().any(|offer| {
            offer.state == OfferState::Open
                && offer.change().is_some_and(|open| open.trade == terms.trade)
        });
        refuse_if(is_open, RejectReason::AmendmentOpen)?;
        self.check_changed(&market, &terms, offered_by)?;
        refuse_if(self.has_too_many_offers(origin.platform), RejectReason::OrderLimitReached)?;
        let changed = self.changed_trades();
        let full = changed.len() >= usize::try_from(self.limits.offers_max).expect("fits");
        refuse_if(full && !changed.contains(&terms.trade), RejectReason::OrderLimitReached)?;
        Ok(None)
    }

    /// A trade that can be busted, as a change to nothing.
    pub(super) fn check_bust(
        &self,
        trade: TradeId,
        made: Option<&KnownTrade>,
    ) -> Result<AmendmentTerms, RejectReason> {
        let is_made = trade.get() >= 1 && trade.get() <= self.trades;
        refuse_if(!is_made, RejectReason::UnknownTrade)?;
        let changes = self.changes_of(trade);
        let terms = match (changes.last(), made) {
            (Some(last), _) => AmendmentTerms {
                version: last.new_version(),
                key: last.new_key(),
                quantity: last.new_quantity,
                ..*last
            },
            (None, None) => return Err(RejectReason::UnknownTrade),
            (None, Some(made)) => {
                self.check_slot(made.key)?;
                AmendmentTerms {
                    trade,
                    version: FIRST_VERSION,
                    key: made.key,
                    buyer: made.buyer,
                    seller: made.seller,
                    price: made.price,
                    quantity: made.quantity,
                    new_slot: made.key.slot,
                    new_quantity: Energy::ZERO,
                    reference: 0,
                    expires: self.last_time,
                }
            }
        };
        refuse_if(terms.quantity.is_zero(), RejectReason::NothingToChange)?;
        self.check_slot(terms.key)?;
        for side in [Side::Buy, Side::Sell] {
            let meter = terms.meter(side);
            refuse_if(self.find_meter(meter).is_none(), RejectReason::UnknownMeter)?;
            let held = self.used(meter, side, terms.key);
            refuse_if(held < i128::from(terms.quantity.wh()), RejectReason::TermsDiffer)?;
        }
        let changed = self.changed_trades();
        let full = changed.len() >= 2 * usize::try_from(self.limits.offers_max).expect("fits");
        refuse_if(full && !changed.contains(&trade), RejectReason::OrderLimitReached)?;
        Ok(AmendmentTerms { new_slot: terms.key.slot, new_quantity: Energy::ZERO, ..terms })
    }

    pub(super) fn bust(
        &mut self,
        trade: TradeId,
        made: Option<&KnownTrade>,
        events: &mut Vec<Event>,
    ) -> Outcome {
        let terms = self.check_bust(trade, made)?;
        let waits = (0..self.offers.len()).find(|&at| {
            let offer = &self.offers[at];
            offer.state == OfferState::Open && offer.change().is_some_and(|of| of.trade == trade)
        });
        if let Some(at) = waits {
            self.end_offer(at, OfferState::Killed, ClientOrderId::new(0), events);
        }
        let [buyer_platform, seller_platform] = [Side::Buy, Side::Sell].map(|side| {
            let platform = self.find_meter(terms.meter(side)).expect("it was checked").platform;
            let owed = self.owed.entry((platform, terms.key.market)).or_default();
            *owed = (*owed + owes_more(side, &terms)).max(0);
            platform
        });
        self.busts.push(terms);
        let AmendmentTerms { version, key, buyer, seller, price, quantity, .. } = terms;
        events.push(Event::TradeBusted(TradeBusted {
            trade,
            version,
            key,
            buyer,
            seller,
            price,
            quantity,
            buyer_platform,
            seller_platform,
        }));
        Ok(())
    }

    fn admit_agreement(&self, request: &AcceptAmendment) -> Result<usize, RejectReason> {
        let AcceptAmendment { origin, offer, terms, accepted_by, .. } = *request;
        let at = self.acceptable(origin, offer, &OfferTerms::Amendment(terms), accepted_by)?;
        if self.offers[at].is_agreed() {
            return Ok(at);
        }
        for side in [Side::Buy, Side::Sell] {
            let meter = terms.meter(side);
            let platform = self.find_meter(meter).expect("it was checked").platform;
            self.check_trading(platform, meter, Some(terms.key.market))?;
        }
        let market = self.check_change(&terms)?;
        for side in [Side::Buy, Side::Sell] {
            self.check_changed(&market, &terms, side)?;
        }
        Ok(at)
    }

    fn check_change(&self, terms: &AmendmentTerms) -> Result<Market, RejectReason> {
        let (market, _) = self.check_slot(terms.key)?;
        self.check_slot(terms.new_key())?;
        let is_made = terms.trade.get() >= 1 && terms.trade.get() <= self.trades;
        refuse_if(!is_made, RejectReason::UnknownTrade)?;
        let changes = self.changes_of(terms.trade);
        let version = 1 + u32::try_from(changes.len()).expect("few");
        refuse_if(terms.version != version, RejectReason::StaleVersion)?;
        if let Some(last) = changes.last() {
            let is_other = (terms.buyer, terms.seller, terms.price)
                != (last.buyer, last.seller, last.price)
                || (terms.key, terms.quantity) != (last.new_key(), last.new_quantity);
            refuse_if(is_other, RejectReason::TermsDiffer)?;
        }
        let stays = terms.new_slot == terms.key.slot;
        let is_nothing =
            terms.quantity.is_zero() || (stays && terms.quantity == terms.new_quantity);
        refuse_if(is_nothing, RejectReason::NothingToChange)?;
        if !(stays && terms.new_quantity.is_zero()) {
            check_quantity(&market, terms.new_quantity.wh(), 0)?;
            check_value(&market, terms.price, terms.new_quantity.wh())?;
        }
        Ok(market)
    }

    fn check_changed(&self, market: &Market, terms: &AmendmentTerms, side: Side) -> Outcome {
        let meter = terms.meter(side);
        let held = self.used(meter, side, terms.key);
        let (before, after) = (terms.quantity.wh(), terms.new_quantity.wh());
        refuse_if(held < i128::from(before), RejectReason::TermsDiffer)?;
        let stays = terms.new_key() == terms.key;
        let more = if stays { after.saturating_sub(before) } else { after };
        self.check_capacity(meter, side, terms.new_key(), more)?;
        let owes = owes_more(side, terms);
        let platform = self.find_meter(meter).expect("it was checked").platform;
        if owes > 0 {
            return self.check_credit(platform, market, owes);
        }
        let owed = self.owed.get(&(platform, terms.key.market)).copied().unwrap_or(0);
        refuse_if(owed + owes < 0, RejectReason::InvalidCredit)
    }

    pub(super) fn list_changes(&self, listing: &mut Listing) {
        let is_offered = |at: &usize| {
            self.is_remembered(&self.offers[*at]) && self.offers[*at].change().is_some()
        };
        let offered: Vec<usize> = (0..self.offers.len()).filter(is_offered).collect();
        let changed = self.changed_trades();
        if offered.is_empty() && changed.is_empty() {
            return;
        }
        listing.count(offered.len());
        for at in offered {
            self.list_offer(at, listing);
            let terms = self.offers[at].change().expect("it was filtered");
            listing.bytes(&terms.trade.get().to_le_bytes());
            listing.bytes(&terms.version.to_le_bytes());
            listing.key(terms.key);
            list_parties(terms, listing);
            listing.bytes(&terms.quantity.wh().to_le_bytes());
            listing.key(terms.new_key());
            listing.bytes(&terms.new_quantity.wh().to_le_bytes());
            listing.bytes(&terms.reference.to_le_bytes());
            listing.bytes(&terms.expires.ns().to_le_bytes());
        }
        listing.count(changed.len());
        for trade in changed {
            let changes = self.changes_of(trade);
            let (first, last) = (changes[0], changes[changes.len() - 1]);
            listing.bytes(&trade.get().to_le_bytes());
            listing.bytes(&(last.version + 1).to_le_bytes());
            list_parties(&last, listing);
            listing.key(first.key);
            listing.bytes(&first.quantity.wh().to_le_bytes());
            listing.key(last.new_key());
            listing.bytes(&last.new_quantity.wh().to_le_bytes());
        }
    }
}

fn list_parties(terms: &AmendmentTerms, listing: &mut Listing) {
    listing.bytes(&terms.buyer.get().to_le_bytes());
    listing.bytes(&terms.seller.get().to_le_bytes());
    listing.bytes(&terms.price.micros().to_le_bytes());
}

fn owes_more(side: Side, terms: &AmendmentTerms) -> i128 {
    let owes = |wh| exposure(side, terms.price, wh);
    owes(terms.new_quantity.wh()) - owes(terms.quantity.wh())
}
