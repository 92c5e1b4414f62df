//! Negotiated trades: offers of contracts, and what becomes of them.
//!
//! An offer is checked for its sender and holds nothing. Its acceptance is checked for both sides, as
//! two orders that meet would be, and is a trade at once. Offers are remembered as long as they could
//! be sent again: those that came to nothing until their last instant, contracts until the gate. So a
//! contract that was signed once is made once. Such trades are few beside orders: the tables are trees.
//!
//! Offers of changes are of the same table and end in the same ways; what is of their own is in
//! [`crate::amendments`].

use std::collections::{BTreeMap, BTreeSet};

use types::{
    AcceptContract, ClientOrderId, ContractAgreed, ContractEnded, ContractOffered,
    ContractRestated, ContractTerms, Event, MarketId, MeterId, OfferContract, OfferId,
    OfferRequest, OfferState, OfferTerms, OpenOffer, OrderId, Origin, Phase, PlatformId,
    RejectReason, Request, Scope, SelfTradeAction, Side, Signature, Timestamp, Trade, TradeId,
    TradeSide,
};

use crate::{
    admission::check_size,
    credit::amount,
    engine::Engine,
    limits::NUMBERS_MAX,
    matching::rejected,
    registry::{Market, MeterRow, group},
};

/// An offer that is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) terms: OfferTerms,
    /// Indices of its slots, which are open: of a contract, twice the same.
    pub(crate) slots: [u32; 2],
    pub(crate) offered_by: Side,
    /// Who sent it.
    pub(crate) offerer: PlatformId,
    /// The number of that request.
    pub(crate) offered_as: ClientOrderId,
    /// The platform of the other meter.
    pub(crate) invited: PlatformId,
    pub(crate) signature: Signature,
    pub(crate) state: OfferState,
    /// The trade, or 0.
    pub(crate) trade: TradeId,
}

impl Offer {
    /// What names it: a contract once for its slot, meters and reference, a change once for its trade and
    /// reference.
    const fn name(&self) -> Name {
        match &self.terms {
            OfferTerms::Contract(terms) => contract_name(self.slots[0], terms),
            OfferTerms::Amendment(terms) => Name::Amendment(terms.trade, terms.reference),
        }
    }
}

/// What names an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    /// Index of the slot, buyer, seller, reference.
    Contract(u32, MeterId, MeterId, u64),
    /// Trade, reference.
    Amendment(TradeId, u64),
}

const fn contract_name(slot: u32, terms: &ContractTerms) -> Name {
    Name::Contract(slot, terms.buyer, terms.seller, terms.reference)
}

/// Offers that are remembered.
#[derive(Debug, Default)]
pub(crate) struct Contracts {
    /// By number, counted from 1.
    pub(crate) offers: BTreeMap<u64, Offer>,
    by_name: BTreeMap<Name, u64>,
    /// By index of a slot of theirs.
    by_slot: BTreeSet<(u32, u64)>,
    /// Those that wait for the answer to a change, by trade: one for each.
    amending: BTreeMap<TradeId, u64>,
    /// Last instants of those that were not agreed on.
    expiries: BTreeSet<(Timestamp, u64)>,
    /// How many of those each platform has.
    of_platform: BTreeMap<PlatformId, u32>,
    /// How many there ever were.
    pub(crate) made: u64,
}

impl Contracts {
    /// Every offer that is remembered, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Offer)> {
        self.offers.iter().map(|(&number, offer)| (number, offer))
    }

    /// The earliest last instant.
    #[inline(always)]
    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.expiries.first().map(|&(expires, _)| expires)
    }

    /// Enters an offer under its number; `false` where the number, the name or the trade that it is to
    /// change is taken.
    pub(crate) fn put(&mut self, number: u64, offer: Offer) -> bool {
        let name = offer.name();
        if self.offers.contains_key(&number) || self.by_name.contains_key(&name) {
            return false;
        }
        if let OfferTerms::Amendment(terms) = &offer.terms
            && offer.state == OfferState::Open
        {
            if self.amending.contains_key(&terms.trade) {
                return false;
            }
            self.amending.insert(terms.trade, number);
        }
        if offer.state != OfferState::Agreed {
            self.expiries.insert((offer.terms.expires(), number));
            *self.of_platform.entry(offer.offerer).or_default() += 1;
        }
        self.by_name.insert(name, number);
        self.by_slot.extend(offer.slots.map(|slot| (slot, number)));
        self.offers.insert(number, offer);
        true
    }

    /// The number of the offer with a name.
    pub(crate) fn find(&self, name: Name) -> Option<u64> {
        self.by_name.get(&name).copied()
    }

    /// Whether a change of a trade waits for its answer.
    pub(crate) fn is_amending(&self, trade: TradeId) -> bool {
        self.amending(trade).is_some()
    }

    /// The offer of a change of a trade that waits for its answer.
    pub(crate) fn amending(&self, trade: TradeId) -> Option<u64> {
        self.amending.get(&trade).copied()
    }

    /// An open offer ends in a state; what it was. `None` of any other.
    fn end(&mut self, number: u64, state: OfferState) -> Option<Offer> {
        let offer = self.offers.get_mut(&number).filter(|offer| offer.state == OfferState::Open)?;
        offer.state = state;
        if let OfferTerms::Amendment(terms) = &offer.terms {
            self.amending.remove(&terms.trade);
        }
        Some(*offer)
    }

    /// Both sides of an open offer have signed: it is this trade from now on. What it says.
    ///
    /// # Panics
    /// Where it is not open.
    pub(crate) fn agree(&mut self, number: u64, trade: TradeId) -> Offer {
        let Some(offer) = self.end(number, OfferState::Agreed) else {
            unreachable!("the offer was admitted")
        };
        if let Some(known) = self.offers.get_mut(&number) {
            known.trade = trade;
        }
        self.settle(number, &offer);
        Offer { trade, ..offer }
    }

    /// An offer no longer counts among those that expire.
    fn settle(&mut self, number: u64, offer: &Offer) {
        self.expiries.remove(&(offer.terms.expires(), number));
        if let Some(count) = self.of_platform.get_mut(&offer.offerer) {
            *count -= 1;
            if *count == 0 {
                self.of_platform.remove(&offer.offerer);
            }
        }
    }

    fn forget(&mut self, number: u64) {
        if let Some(offer) = self.offers.remove(&number) {
            self.by_name.remove(&offer.name());
            for slot in offer.slots {
                self.by_slot.remove(&(slot, number));
            }
            if offer.state != OfferState::Agreed {
                self.settle(number, &offer);
            }
        }
    }
}

/// Why a request is not carried out.
pub(crate) enum Refusal {
    Reject(RejectReason),
    /// It was carried out before: the number of the offer.
    Restate(u64),
}

impl From<RejectReason> for Refusal {
    fn from(reason: RejectReason) -> Self {
        Self::Reject(reason)
    }
}

/// A side of a contract.
#[derive(Clone, Copy)]
pub(crate) struct Party<'a> {
    pub(crate) meter: MeterId,
    pub(crate) row: &'a MeterRow,
    pub(crate) side: Side,
}

impl Engine {
    /// An offer: entered, answered again, or refused.
    pub(crate) fn offer_contract(
        &mut self,
        time: Timestamp,
        request: &OfferContract,
        events: &mut Vec<Event>,
    ) {
        let OfferContract { origin, client_order, terms, offered_by, signature } = *request;
        let (slot, invited) = match self.admit_offer(time, request) {
            Ok(admitted) => admitted,
            Err(Refusal::Restate(number)) => {
                return events.push(self.restate((origin, client_order), offered_by, number));
            }
            Err(Refusal::Reject(reason)) => {
                return events.push(rejected(origin, client_order, Request::Offer, reason));
            }
        };
        let offer = self.enter_offer(Offer {
            terms: OfferTerms::Contract(terms),
            slots: [slot; 2],
            offered_by,
            offerer: origin.platform,
            offered_as: client_order,
            invited,
            signature,
            state: OfferState::Open,
            trade: TradeId::new(0),
        });
        events.push(Event::ContractOffered(ContractOffered {
            origin,
            client_order,
            offer,
            terms,
            offered_by,
            invited,
        }));
    }

    /// An acceptance: the trade, the same answer again, or a refusal.
    pub(crate) fn accept_contract(
        &mut self,
        time: Timestamp,
        request: &AcceptContract,
        events: &mut Vec<Event>,
    ) {
        let AcceptContract { origin, client_order, accepted_by, .. } = *request;
        let number = match self.admit_acceptance(time, request) {
            Ok(number) => number,
            Err(Refusal::Restate(number)) => {
                return events.push(self.restate((origin, client_order), accepted_by, number));
            }
            Err(Refusal::Reject(reason)) => {
                return events.push(rejected(origin, client_order, Request::Accept, reason));
            }
        };
        let (offer, trade) = self.trade_contract(number, &request.terms, (origin, client_order));
        events.push(Event::ContractAgreed(ContractAgreed {
            origin,
            client_order,
            offer: request.offer,
            trade: trade.trade,
            offerer: offer.offerer,
            offered_as: offer.offered_as,
            offered_by: offer.offered_by,
        }));
        events.push(Event::Trade(trade));
    }

    /// Enters an offer that was admitted, under the next number.
    pub(crate) fn enter_offer(&mut self, offer: Offer) -> OfferId {
        self.contracts.made += 1;
        let number = self.contracts.made;
        let entered = self.contracts.put(number, offer);
        assert!(entered, "an offer's number is new, and its name was looked up");
        self.offer_id(number)
    }

    /// The other side does not want an offer.
    pub(crate) fn decline_contract(&mut self, request: &OfferRequest, events: &mut Vec<Event>) {
        let state = OfferState::Declined;
        let found = self.open_offer(request, |offer| offer.invited);
        self.end_asked(request, (Request::Decline, state), found, events);
    }

    /// Who offered takes the offer back.
    pub(crate) fn withdraw_contract(&mut self, request: &OfferRequest, events: &mut Vec<Event>) {
        let state = OfferState::Withdrawn;
        let found = self.open_offer(request, |offer| offer.offerer);
        self.end_asked(request, (Request::Withdraw, state), found, events);
    }

    fn end_asked(
        &mut self,
        request: &OfferRequest,
        (what, state): (Request, OfferState),
        found: Result<u64, RejectReason>,
        events: &mut Vec<Event>,
    ) {
        let OfferRequest { origin, client_order, .. } = *request;
        match found {
            Ok(number) => self.end_offer(number, state, client_order, events),
            Err(reason) => events.push(rejected(origin, client_order, what, reason)),
        }
    }

    /// The number of an open offer that a platform may end.
    /// Rule T-109.
    fn open_offer(
        &self,
        request: &OfferRequest,
        who: impl Fn(&Offer) -> PlatformId,
    ) -> Result<u64, RejectReason> {
        let (number, offer) = self.known_offer(request.offer)?;
        if who(offer) != request.origin.platform {
            return Err(RejectReason::NotAuthorised);
        }
        if offer.state == OfferState::Open { Ok(number) } else { Err(RejectReason::UnknownOffer) }
    }

    /// Lets offers go whose last instant is before `time`; those that were open have expired.
    /// Rule T-110.
    #[cold]
    pub(crate) fn expire_offers(&mut self, time: Timestamp, events: &mut Vec<Event>) {
        while let Some(&(expires, number)) = self.contracts.expiries.first() {
            if expires >= time {
                return;
            }
            self.end_offer(number, OfferState::Expired, ClientOrderId::new(0), events);
            self.contracts.forget(number);
        }
    }

    /// A slot closes: its open offers end, by number, and none of its offers is remembered.
    pub(crate) fn close_offers(&mut self, slot: u32, events: &mut Vec<Event>) {
        let of_slot = self.contracts.by_slot.range((slot, 0)..=(slot, u64::MAX));
        let numbers: Vec<u64> = of_slot.map(|&(_, number)| number).collect();
        for number in numbers {
            self.end_offer(number, OfferState::GateClosed, ClientOrderId::new(0), events);
            self.contracts.forget(number);
        }
    }

    /// A scope is killed: open offers with a meter of it end, by number.
    pub(crate) fn kill_offers(&mut self, scope: Scope, events: &mut Vec<Event>) {
        let reached = |offer: &Offer| {
            [Side::Buy, Side::Sell].map(|side| offer.terms.meter(side)).into_iter().any(|meter| {
                let row = self.registry.meter(meter);
                match scope {
                    Scope::All => true,
                    Scope::Platform(platform) => row.is_some_and(|row| row.platform == platform),
                    Scope::Retailer(retailer) => row.is_some_and(|row| row.retailer == retailer),
                    Scope::Meter(killed) => meter == killed,
                    Scope::Market(market) => {
                        offer.slots.iter().any(|&slot| self.slots.slot(slot).key.market == market)
                    }
                    Scope::Session(_) => false,
                }
            })
        };
        let numbers: Vec<u64> =
            self.contracts.iter().filter(|(_, offer)| reached(offer)).map(|(n, _)| n).collect();
        for number in numbers {
            self.end_offer(number, OfferState::Killed, ClientOrderId::new(0), events);
        }
    }

    /// The open offers that a platform made or is invited to, oldest first.
    pub fn open_offers_of(&self, platform: PlatformId) -> impl Iterator<Item = OpenOffer> + '_ {
        let open = self.contracts.iter().filter(move |(_, offer)| {
            offer.state == OfferState::Open
                && (offer.offerer == platform || offer.invited == platform)
        });
        open.map(|(number, offer)| OpenOffer {
            offer: self.offer_id(number),
            terms: offer.terms,
            offered_by: offer.offered_by,
            offerer: offer.offerer,
            offered_as: offer.offered_as,
            invited: offer.invited,
            signature: offer.signature,
        })
    }

    /// The number by which everyone else knows an offer.
    pub(crate) fn offer_id(&self, number: u64) -> OfferId {
        assert!(number <= NUMBERS_MAX, "offer numbers are exhausted");
        OfferId::new(self.limits.numbers_from() + number)
    }

    /// Ends an offer that is open, and says so; leaves any other as it is.
    pub(crate) fn end_offer(
        &mut self,
        number: u64,
        state: OfferState,
        client_order: ClientOrderId,
        events: &mut Vec<Event>,
    ) {
        let offer_id = self.offer_id(number);
        let Some(offer) = self.contracts.end(number, state) else { return };
        events.push(Event::ContractEnded(ContractEnded {
            offer: offer_id,
            offerer: offer.offerer,
            offered_as: offer.offered_as,
            offered_by: offer.offered_by,
            invited: offer.invited,
            client_order,
            state,
        }));
    }

    /// Books the trade of an offer that both sides have signed.
    /// Rule T-104.
    fn trade_contract(
        &mut self,
        number: u64,
        terms: &ContractTerms,
        accepted: (Origin, ClientOrderId),
    ) -> (Offer, Trade) {
        self.trades += 1;
        let trade = self.orders.trade_id(self.trades);
        let offer = self.contracts.agree(number, trade);
        let ContractTerms { key, price, quantity, .. } = *terms;
        let side = |side| {
            let (platform, client_order) = if side == offer.offered_by {
                (offer.offerer, offer.offered_as)
            } else {
                (accepted.0.platform, accepted.1)
            };
            let meter = terms.meter(side);
            let (order, leaves) = (OrderId::new(0), types::Energy::ZERO);
            TradeSide { order, client_order, meter, platform, leaves }
        };
        let (buy, sell) = (side(Side::Buy), side(Side::Sell));
        // Within the market's largest, which fits.
        let wh = u32::try_from(quantity.wh()).unwrap_or(u32::MAX);
        let mut desk = self.desk(offer.slots[0]);
        for (side, party) in [(Side::Buy, &buy), (Side::Sell, &sell)] {
            desk.use_more(party.meter, side, wh);
            if desk.market.controls.executions_max != 0 {
                let executions = desk.book.executions_mut(party.meter);
                *executions = executions.saturating_add(1);
            }
            let owed = crate::credit::exposure(side, price);
            if owed != 0 {
                let account = desk.credit.account_mut(desk.slot.market, party.platform);
                account.owed += amount(owed, wh);
            }
        }
        (offer, Trade { trade, key, price, quantity, buy, sell, maker: None })
    }

    pub(crate) fn restate(
        &self,
        (origin, client_order): (Origin, ClientOrderId),
        side: Side,
        number: u64,
    ) -> Event {
        let known = self.contracts.offers.get(&number);
        Event::ContractRestated(ContractRestated {
            origin,
            client_order,
            offer: self.offer_id(number),
            state: known.map_or(OfferState::Open, |offer| offer.state),
            trade: known.map_or(TradeId::new(0), |offer| offer.trade),
            side,
        })
    }

    /// An offer that is remembered.
    pub(crate) fn known_offer(&self, offer: OfferId) -> Result<(u64, &Offer), RejectReason> {
        // What is below the shard's numbers wraps to far above them.
        let number = offer.get().wrapping_sub(self.limits.numbers_from());
        let known = self.contracts.offers.get(&number);
        known.map(|known| (number, known)).ok_or(RejectReason::UnknownOffer)
    }

    /// Checks an offer: the index of its slot and the platform it goes to.
    fn admit_offer(
        &self,
        time: Timestamp,
        request: &OfferContract,
    ) -> Result<(u32, PlatformId), Refusal> {
        let OfferContract { origin, terms, offered_by, .. } = request;
        let own = self.party(terms.meter(*offered_by), *offered_by)?;
        let other_side = offered_by.opposite();
        let other = self.party(terms.meter(other_side), other_side)?;
        if own.row.platform != origin.platform {
            return Err(RejectReason::NotAuthorised.into());
        }
        // A repeated offer is answered with where it stands, even when a new one would now fail.
        let named = |slot| self.contracts.find(contract_name(slot, terms));
        let known = self.slots.find(terms.key).and_then(named);
        self.check_repeated(known, &OfferTerms::Contract(*terms), *offered_by)?;
        if time > terms.expires {
            return Err(RejectReason::SignatureExpired.into());
        }
        self.check_trading(own, terms.key.market)?;
        // Rule T-105.
        let slot = self.trading_slot(terms.key, time)?;
        let market = self.registry.market(self.slots.slot(slot).market);
        let quantity = market.check_quantity(terms.quantity.wh())?;
        market.level_of(terms.price)?;
        check_parties(market, own, other)?;
        if known.is_some() {
            return Err(RejectReason::ReferenceTaken.into());
        }
        self.check_party(slot, own, terms, quantity)?;
        self.check_offers_room(origin.platform)?;
        Ok((slot, other.row.platform))
    }

    /// Checks an acceptance: the number of its offer.
    fn admit_acceptance(&self, time: Timestamp, request: &AcceptContract) -> Result<u64, Refusal> {
        let AcceptContract { origin, offer, terms, accepted_by, .. } = request;
        let signed = OfferTerms::Contract(*terms);
        let number = self.open_for(*origin, *offer, &signed, *accepted_by)?;
        let parties = self.both_parties([terms.buyer, terms.seller])?;
        for party in parties {
            self.check_trading(party, terms.key.market)?;
        }
        let slot = self.trading_slot(terms.key, time)?;
        let market = self.registry.market(self.slots.slot(slot).market);
        let quantity = market.check_quantity(terms.quantity.wh())?;
        let [buyer, seller] = parties;
        check_parties(market, buyer, seller)?;
        for party in parties {
            self.check_party(slot, party, terms, quantity)?;
        }
        Ok(number)
    }

    /// A repeated offer is answered with where it stands, even when a new one would now fail.
    pub(crate) fn check_repeated(
        &self,
        known: Option<u64>,
        terms: &OfferTerms,
        offered_by: Side,
    ) -> Result<(), Refusal> {
        if let Some(number) = known
            && let Some(offer) = self.contracts.offers.get(&number)
            && offer.terms == *terms
            && offer.offered_by == offered_by
        {
            return Err(Refusal::Restate(number));
        }
        Ok(())
    }

    /// Whether one more offer of a platform is remembered.
    pub(crate) fn check_offers_room(&self, platform: PlatformId) -> Result<(), RejectReason> {
        let open = self.contracts.of_platform.get(&platform).copied().unwrap_or(0);
        let all = self.contracts.offers.len();
        if open >= self.limits.platform_offers_max
            || all >= crate::index::at(self.limits.offers_max)
        {
            return Err(RejectReason::OrderLimitReached);
        }
        Ok(())
    }

    /// The number of an open offer that a platform may accept, and has with these terms.
    /// Rule T-108.
    pub(crate) fn open_for(
        &self,
        origin: Origin,
        offer: OfferId,
        terms: &OfferTerms,
        accepted_by: Side,
    ) -> Result<u64, Refusal> {
        let (number, offer) = self.known_offer(offer)?;
        if offer.invited != origin.platform || accepted_by != offer.offered_by.opposite() {
            return Err(RejectReason::NotAuthorised.into());
        }
        if offer.terms != *terms {
            return Err(RejectReason::TermsDiffer.into());
        }
        match offer.state {
            OfferState::Open => Ok(number),
            OfferState::Agreed => Err(Refusal::Restate(number)),
            OfferState::Declined
            | OfferState::Withdrawn
            | OfferState::Expired
            | OfferState::GateClosed
            | OfferState::Killed => Err(RejectReason::UnknownOffer.into()),
        }
    }

    pub(crate) fn party(&self, meter: MeterId, side: Side) -> Result<Party<'_>, RejectReason> {
        let row = self.registry.meter(meter).ok_or(RejectReason::UnknownMeter)?;
        Ok(Party { meter, row, side })
    }

    /// Buyer and seller, in this order.
    pub(crate) fn both_parties(
        &self,
        [buyer, seller]: [MeterId; 2],
    ) -> Result<[Party<'_>; 2], RejectReason> {
        Ok([self.party(buyer, Side::Buy)?, self.party(seller, Side::Sell)?])
    }

    pub(crate) fn check_trading(
        &self,
        party: Party<'_>,
        market: MarketId,
    ) -> Result<(), RejectReason> {
        let of = (party.meter, party.row.platform);
        if self.registry.is_stopped(of, party.row, Some(market)) {
            return Err(RejectReason::TradingSuspended);
        }
        Ok(())
    }

    /// What an order of this side with the contract's numbers would be checked for.
    /// Rule T-106.
    fn check_party(
        &self,
        slot: u32,
        party: Party<'_>,
        terms: &ContractTerms,
        quantity: u32,
    ) -> Result<(), RejectReason> {
        let slot = self.slots.slot(slot);
        let market = self.registry.market(slot.market);
        self.check_capacity(slot, party.row, party.meter, party.side, quantity)?;
        let level = market.level_of(terms.price)?;
        let per_wh = check_size(market, party.side, level, quantity)?;
        self.check_credit(slot.market, party.row.platform, amount(per_wh, quantity))?;
        if market.controls.executions_max != 0 {
            self.check_executions(slot, market, party.meter)?;
        }
        Ok(())
    }
}

/// Both sides are somebody, and not the same.
/// Rule T-107.
fn check_parties(market: &Market, one: Party<'_>, other: Party<'_>) -> Result<(), RejectReason> {
    let group = |party: Party<'_>| group(&market.controls, party.meter, party.row.owner);
    let is_one_group =
        market.controls.self_trade != SelfTradeAction::Allow && group(one) == group(other);
    if one.meter == other.meter || is_one_group {
        return Err(RejectReason::SameParty);
    }
    Ok(())
}

/// What the slow checks of all tables look at.
impl Engine {
    /// Offers of contracts that are remembered, by number.
    pub(crate) fn offered_contracts(&self) -> impl Iterator<Item = (u64, &Offer, &ContractTerms)> {
        self.contracts.iter().filter_map(|(number, offer)| match &offer.terms {
            OfferTerms::Contract(terms) => Some((number, offer, terms)),
            OfferTerms::Amendment(_) => None,
        })
    }

    /// Contracts of slots that are open, as they were agreed on: index of the slot, meter, side and
    /// quantity in Wh.
    pub(crate) fn contracted(&self) -> impl Iterator<Item = (u32, MeterId, Side, u64)> + '_ {
        let offered = self.offered_contracts();
        let agreed = offered.filter(|(_, offer, _)| offer.state == OfferState::Agreed);
        agreed.flat_map(|(_, offer, terms)| {
            [Side::Buy, Side::Sell]
                .map(|side| (offer.slots[0], terms.meter(side), side, terms.quantity.wh()))
        })
    }

    /// Whether the tables of offers agree with each other.
    ///
    /// # Panics
    /// When they do not.
    pub(crate) fn check_offers(&self) {
        let contracts = &self.contracts;
        let (mut waiting, mut amending) = (BTreeMap::new(), BTreeMap::new());
        let mut by_slot = BTreeSet::new();
        for (number, offer) in contracts.iter() {
            assert!(number >= 1 && number <= contracts.made, "an offer's number was not given");
            for (slot, key) in offer.slots.into_iter().zip(offer.terms.keys()) {
                by_slot.insert((slot, number));
                let slot = self.slots.slot(slot);
                assert!(slot.phase != Phase::Closed, "an offer outlives its slot");
                assert!(slot.key == key, "an offer is of another slot");
            }
            if let OfferTerms::Amendment(terms) = &offer.terms
                && offer.state == OfferState::Open
            {
                assert!(amending.insert(terms.trade, number).is_none(), "two changes of a trade");
            }
            assert!(contracts.find(offer.name()) == Some(number), "a name is lost");
            let is_agreed = offer.state == OfferState::Agreed;
            assert!(is_agreed == (offer.trade.get() != 0), "a contract is a trade");
            let place = (offer.terms.expires(), number);
            assert!(contracts.expiries.contains(&place) != is_agreed, "a last instant is lost");
            if !is_agreed {
                *waiting.entry(offer.offerer).or_insert(0) += 1;
            }
        }
        assert!(contracts.by_name.len() == contracts.offers.len(), "a name without an offer");
        assert!(contracts.by_slot == by_slot, "the offers of a slot are wrong");
        assert!(contracts.amending == amending, "a change that waits is lost");
        assert!(contracts.of_platform == waiting, "the counts of platforms' offers are wrong");
    }
}
